"""Link the WFDB records that a study with split_seed=0 trains on into a folder of their own, to pretrain on those.

python docs/training_records.py data.h5 FOLDER_OF_RECORDS OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from ecg_tl.labelled import labelled_split
from ecg_tl.store import open_store


def main(store_path: Path, folder: Path, out: Path) -> None:
    """Make out/ with a symbolic link for the header and the signal of each record."""
    store = open_store(store_path)
    train, test = labelled_split(store, test_fraction=0.2, split_seed=0)
    out.mkdir(exist_ok=True)
    for record in store.record[train]:
        for path in folder.glob(f"{record}.*"):
            if not (out / path.name).is_symlink():
                (out / path.name).symlink_to(path.resolve())
    print(f"{out}: {len(train):,} records; {len(test):,} of the test set are not among them")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
