#!/bin/sh
# Makes the corpus and the encoder that come with the package as ecg-tl-small again, in the folder where it is started:
#     sh PROJECT/docs/ecg-tl-small.sh FOLDER_OF_RECORDINGS
# with mitdb, cinc2017, ptbxl, shaoxing_physionet and shaoxing_cinc2021 in that folder.
set -e
recordings=$1
docs=$(dirname "$0")
prepare="python -m ecg_tl.prepare"
twelve="I II III V1 V2 V3 V4 V5 V6 aVF aVL aVR"

$prepare source=wfdb source.path="$recordings/cinc2017" source.lead=ECG out=cinc2017.h5
python "$docs/training_records.py" cinc2017.h5 "$recordings/cinc2017" cinc_train
$prepare source=wfdb_icu source.path=cinc_train source.lead=ECG source.windows_per_patient=all out=cinc_train.h5
stores=cinc_train.h5
for lead in MLII V1 V2 V5; do
    $prepare source=wfdb_icu source.path="$recordings/mitdb" source.lead=$lead source.windows_per_patient=100 \
        out=mitdb_$lead.h5
    stores=$stores,mitdb_$lead.h5
done
for lead in $twelve; do
    $prepare source=shaoxing_physionet source.path="$recordings/shaoxing_cinc2021" source.hospital=all \
        source.lead=$lead out=ningbo_$lead.h5
    stores=$stores,ningbo_$lead.h5
done
for lead in $twelve; do
    $prepare source=ptbxl source.path="$recordings/ptbxl" source.lead=$lead out=ptbxl_$lead.h5
    stores=$stores,ptbxl_$lead.h5
done
for lead in $twelve; do
    $prepare source=shaoxing_physionet source.path="$recordings/shaoxing_physionet" source.lead=$lead \
        out=shaoxing_$lead.h5
    stores=$stores,shaoxing_$lead.h5
done
$prepare "merge=[$stores]" out=small_corpus.h5
python -m ecg_tl.pretrain study=small corpus.path=small_corpus.h5 epochs=20 patience=20 batch_size=16 trainer.threads=1
python "$docs/encoder_by_source.py" small_corpus.h5 outputs/small/encoder
