import dataclasses
import io
import math
import re

import numpy as np
import pandas as pd
import pytest

from ecg_tl.cohorts import Cohort, cohort_of, table1
from ecg_tl.records import Cell
from ecg_tl.rendering import Block, Table, latex_escape, to_csv, to_latex, to_markdown, write_table
from ecg_tl.statistics import bca_mean
from ecg_tl.study_report import provenance_notes
from ecg_tl.tables import trial_tables
from ecg_tl.trial_tables import format_p, table2, table3
from ecg_tl.trials import TRIAL_COLUMNS, in_order, percent, published_trials, read_trials, trials_of
from tests.fabricate import icu_store, labelled_store
from tests.test_records import record_of

# Mean and SD as the paper prints them, tables 2 and 3.
PRINTED_F1 = {
    (1.0, "random"): (0.843, 0.004),
    (1.0, "image"): (0.811, 0.005),
    (1.0, "transfer"): (0.857, 0.004),
    (0.5, "random"): (0.831, 0.005),
    (0.5, "image"): (0.796, 0.003),
    (0.5, "transfer"): (0.843, 0.004),
    (0.25, "random"): (0.543, 0.009),
    (0.25, "image"): (0.782, 0.003),
    (0.25, "transfer"): (0.835, 0.008),
}
PRINTED_LCI = {
    (1.0, "random"): (1.370, 0.178),
    (1.0, "transfer"): (1.440, 0.205),
    (0.5, "random"): (1.211, 0.183),
    (0.5, "transfer"): (1.678, 0.266),
    (0.25, "random"): (0.557, 0.075),
    (0.25, "transfer"): (1.184, 0.242),
}


def number(table, fraction, init, statistic, measure=None):
    rows = table.numbers
    rows = rows[(rows["fraction"] == fraction) & (rows["init"] == init) & (rows["statistic"] == statistic)]
    if measure:
        rows = rows[rows["measure"] == measure]
    return rows["value"].item()


def column(table, *head):
    return [row[table.columns.index(head)] for row in table.rows]


def notes(table):
    return "\n".join(table.notes)


def records_of_grid(inits=("random", "image", "transfer"), fractions=(1.0, 0.25), n_seeds=3, **changes):
    generator = np.random.default_rng(0)
    return [
        record_of(
            init,
            fraction,
            seed,
            best_f1=float(generator.uniform(0.6, 0.9)),
            lci=float(generator.uniform(0.5, 2)),
            weights="imagenet" if init == "image" else None,
            **changes,
        )
        for init in inits
        for fraction in fractions
        for seed in range(n_seeds)
    ]


def parse_markdown(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


class TestPublished:
    def test_all_ninety_trials_are_there(self):
        trials = published_trials()
        assert tuple(trials.columns) == TRIAL_COLUMNS
        assert trials.groupby(["init", "fraction"]).size().tolist() == [10] * 9
        assert sorted(set(trials["seed"])) == list(range(1, 11))
        assert trials.loc[trials["init"] == "image", "lci"].isna().all()
        assert trials.loc[trials["init"] != "image", "lci"].notna().all()

    @pytest.mark.parametrize(
        ("make", "printed"), [(table2, PRINTED_F1), (table3, PRINTED_LCI)], ids=["table2", "table3"]
    )
    def test_means_and_sds_are_the_papers(self, make, printed):
        table = make(published_trials())
        assert len(table.columns) == 1 + len(printed)
        for (fraction, init), (mean, sd) in printed.items():
            assert number(table, fraction, init, "mean") == pytest.approx(mean, abs=0.001)
            assert number(table, fraction, init, "sd") == pytest.approx(sd, abs=0.001)

    def test_p_values_are_the_papers(self):
        f1, lci = table2(published_trials()), table3(published_trials())
        assert number(lci, 1.0, "random", "welch_p") == pytest.approx(0.452, abs=0.0005)
        for fraction in (0.5, 0.25):
            assert number(lci, fraction, "random", "welch_p") < 0.05
        for fraction in (1.0, 0.5, 0.25):
            assert number(f1, fraction, "random", "welch_p") < 0.05
            assert number(f1, fraction, "image", "welch_p") < 0.05

    def test_tables_print_them_in_the_papers_order(self):
        f1, lci = table2(published_trials()), table3(published_trials())
        assert [head for _, head in f1.columns] == ["Seed", *["random", "image", "transfer"] * 3]
        assert [head for head, _ in f1.columns[1::3]] == ["100 %", "50 %", "25 %"]
        assert column(f1, "100 %", "transfer")[0] == "0.861"
        assert column(f1, "100 %", "transfer")[10] == "0.857 ± 0.004"
        assert column(f1, "100 %", "transfer")[-2:] == ["", ""]
        assert column(f1, "25 %", "random")[-1] == "< 0.001"
        assert column(lci, "100 %", "random")[10] == "1.371 ± 0.178"
        # Of three comparisons the one at 100 % has the largest p, which Holm leaves as it is.
        assert column(lci, "100 %", "random")[-2:] == ["0.452", "0.452"]
        assert "ddof=0" in notes(f1)
        assert "No learning curve index given: image" in notes(lci)
        assert "missing" not in notes(f1).lower() + notes(lci).lower()


class TestReadTrials:
    HEAD = "init,fraction,seed,best_f1,lci\n"

    def read(self, tmp_path, text):
        path = tmp_path / "trials.csv"
        path.write_text(text, encoding="utf-8")
        return read_trials(path)

    def test_reads_what_it_says(self, tmp_path):
        trials = self.read(tmp_path, "\ufeff" + self.HEAD + "random,0.5,3,0.8125,\n\ntransfer,1,0,0.9,inf\n")
        assert trials["fraction"].tolist() == [0.5, 1.0]
        assert trials["seed"].tolist() == [3, 0]
        assert trials["best_f1"].tolist() == [0.8125, 0.9]
        assert math.isnan(trials["lci"][0])
        assert trials["lci_flag"].tolist() == ["", "never falls"]

    @pytest.mark.parametrize(
        ("lines", "where", "what"),
        [
            ("random,1,0,high,1\n", "line 2", "best_f1 'high' is not a number"),
            ("random,1,0,0.8,1\nrandom,,1,0.8,1\n", "line 3", "fraction '' is not a number"),
            ("random,1\n", "line 2", "seed '' is not a number"),
            ("random,0,0,0.8,1\n", "line 2", "fraction 0 is outside (0, 1]"),
            ("random,25,0,0.8,1\n", "line 2", "fraction 25 is outside (0, 1]"),
            ("random,nan,0,0.8,1\n", "line 2", "fraction nan is outside (0, 1]"),
            ("random,1,0,84.3,1\n", "line 2", "best_f1 84.3 is outside [0, 1]"),
            ("random,1,0,-0.1,1\n", "line 2", "best_f1 -0.1 is outside [0, 1]"),
            ("random,1,0,nan,1\n", "line 2", "best_f1 nan is outside [0, 1]"),
            ("random,1,0.5,0.8,1\n", "line 2", "seed 0.5 is no whole number"),
            ("random,1,0,0.8,-1\n", "line 2", "lci -1 is below 0"),
            (",1,0,0.8,1\n", "line 2", "init is empty"),
            ("random,0.5,0,0.8,1\nrandom,1,0,0.8,1\nrandom,0.50,0,0.7,\n", "line 4", "stands in line 2 too"),
            ("", "trials.csv", "no trial"),
        ],
    )
    def test_errors_name_file_line_and_fault(self, tmp_path, lines, where, what):
        with pytest.raises(ValueError, match=re.escape(what)) as error:
            self.read(tmp_path, self.HEAD + lines)
        assert str(tmp_path / "trials.csv") in str(error.value)
        assert where in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("text", ["init,fraction,seed,lci\nrandom,1,0,1\n", ""])
    def test_a_missing_column_is_named(self, tmp_path, text):
        with pytest.raises(ValueError, match=r"trials\.csv: line 1: no column '(best_f1|init)'"):
            self.read(tmp_path, text)


class TestTrialsOf:
    def test_columns_and_values(self):
        records = [
            record_of("image", 0.25, 4, best_f1=0.5, lci=None, lci_flag="flat", weights="random"),
            record_of("transfer", 1.0, 0, best_f1=0.75, lci=math.inf, lci_flag="never falls", selected_f1=0.7),
        ]
        trials = trials_of(records)
        assert tuple(trials.columns) == TRIAL_COLUMNS
        assert trials.loc[0, ["init", "fraction", "seed", "best_f1"]].tolist() == ["image", 0.25, 4, 0.5]
        assert trials["lci_flag"].tolist() == ["flat", "never falls"]
        assert math.isnan(trials["lci"][0])
        assert trials["lci"][1] == math.inf
        assert trials["weights"].tolist() == ["random", ""]
        assert trials["selected_f1"][1] == 0.7

    def test_a_cell_given_twice_is_refused(self):
        with pytest.raises(ValueError, match=r"two records of init=transfer fraction=0\.5 seed=0"):
            trials_of([record_of(), record_of(best_f1=0.1)])

    @pytest.mark.parametrize("make", [table2, table3])
    def test_the_tables_refuse_it_too(self, make):
        trials = trials_of([record_of()])
        with pytest.raises(ValueError, match="given twice"):
            make(pd.concat([trials, trials]))


class TestTable2:
    def test_a_missing_cell_is_named_and_its_column_has_no_mean(self):
        records = [r for r in records_of_grid() if r.cell not in {Cell("image", 0.25, 1), Cell("transfer", 1.0, 2)}]
        table = table2(trials_of(records))
        assert column(table, "25 %", "image")[1] == "missing"
        assert column(table, "25 %", "image")[3:] == ["– (2 of 3)", "–", "–", "–"] * 2
        # Without transfer at 100 % nothing can be tested against it there.
        assert column(table, "100 %", "transfer")[3:] == ["– (2 of 3)", "–", "", ""] * 2
        assert column(table, "100 %", "random")[5] == "–"
        assert column(table, "25 %", "random")[5] not in ("–", "")
        assert "transfer at 100 % seed 2; image at 25 % seed 1" in notes(table)
        assert "A dash for the CI: a missing cell" in notes(table)
        assert math.isnan(number(table, 0.25, "image", "mean", "best_f1"))
        assert number(table, 0.25, "image", "n", "best_f1") == 2

    def test_both_protocols_stand_together(self):
        records = records_of_grid(inits=("random", "transfer"), fractions=(1.0,))
        records = [dataclasses.replace(r, selected_f1=r.best_f1 - 0.125) for r in records]
        table = table2(trials_of(records))
        assert [block.heading for block in table.blocks[1:]] == [
            "Best epoch on the test set, as in the paper",
            "Epoch chosen on out-of-bag records",
        ]
        for init in ("random", "transfer"):
            best, selected = (number(table, 1.0, init, "mean", m) for m in ("best_f1", "selected_f1"))
            assert best - selected == pytest.approx(0.125)
            shown = [row for row in column(table, "100 %", init) if "±" in row]
            assert [text.split(" ")[0] for text in shown] == [f"{best:.3f}", f"{selected:.3f}"]

    def test_without_selected_f1_there_is_one_protocol(self):
        assert [row[0] for row in table2(published_trials()).rows].count("Mean ± SD") == 1

    def test_random_weights_are_said_in_head_and_note(self):
        records = [dataclasses.replace(r, weights="random") if r.init == "image" else r for r in records_of_grid()]
        for table in (table2(trials_of(records)), table3(trials_of(records))):
            assert ("25 %", "image (random weights)") in table.columns
            assert ("25 %", "image") not in table.columns
            assert "image (random weights): the borrowed network had random weights" in notes(table)
            assert "random weights" in to_csv(table)
        assert "random weights" not in to_markdown(table2(trials_of(records_of_grid())))

    def test_without_transfer_nothing_is_tested(self):
        table = table2(trials_of(records_of_grid(inits=("random", "image"))))
        assert not [row for row in table.rows if row[0].startswith("p ")]
        assert "Welch" not in notes(table)

    def test_one_seed_has_a_mean_but_no_p(self):
        table = table2(trials_of(records_of_grid(n_seeds=1)))
        assert column(table, "100 %", "random")[-1] == "–"

    @pytest.mark.parametrize(
        ("n_seeds", "changes", "why"),
        [
            (1, {}, "fewer than 3 runs in the mean"),
            (2, {}, "fewer than 3 runs in the mean"),
            (3, {}, None),
            (3, {"selected_f1": 0.5}, "no spread"),  # of the second protocol alone
        ],
    )
    def test_the_notes_say_why_a_mean_has_no_interval(self, n_seeds, changes, why):
        grid = records_of_grid(n_seeds=n_seeds)
        records = [dataclasses.replace(r, **{"selected_f1": r.best_f1, **changes}) for r in grid]
        table = table2(trials_of(records))
        intervals = [text for name, *texts in table.rows if name == "95 % CI of the mean" for text in texts]
        assert ("–" in intervals) == bool(why)
        assert [note for note in table.notes if "dash" in note] == ([f"A dash for the CI: {why}."] if why else [])

    def test_of_several_splits_it_is_splits_that_are_too_few(self):
        records = [r for split in (0, 1) for r in records_of_grid(split_seed=split)]
        assert "A dash for the CI: fewer than 3 splits in the mean." in table2(trials_of(records)).notes

    def test_the_order_of_the_trials_does_not_matter(self):
        trials = trials_of(records_of_grid())
        shuffled = trials.sample(frac=1, random_state=np.random.RandomState(1))
        for render in (to_markdown, to_csv, to_latex):
            assert render(table2(trials)) == render(table2(shuffled))


class TestTable3:
    def trials(self, **changes):
        records = records_of_grid(inits=("random", "transfer"), fractions=(1.0,))
        lcis = dict(zip([r.cell for r in records], (1.0, 2.0, 4.0, 1.5, 2.5, 3.5), strict=True))
        records = [dataclasses.replace(r, lci=lcis[r.cell]) for r in records]
        records[1] = dataclasses.replace(records[1], **changes)
        return trials_of(records)

    @pytest.mark.parametrize(
        ("lci", "flag"),
        [(math.inf, "never falls"), (None, "flat"), (None, "not finite"), (None, "one epoch")],
    )
    def test_a_curve_without_finite_index_is_flagged_and_left_out(self, lci, flag):
        table = table3(self.trials(lci=lci, lci_flag=flag))
        shown = column(table, "100 %", "random")
        assert shown[1] == flag
        assert shown[3] == "2.500 ± 1.500 (n=2)"  # of 1 and 4
        assert shown[4] == "–"
        assert "A dash for the CI: fewer than 3 runs in the mean." in notes(table)
        assert f"random at 100 % seed 1 ({flag})" in notes(table)
        assert "issing" not in notes(table)

    def test_a_curve_that_never_rises_counts_as_the_zero_it_is(self):
        table = table3(self.trials(lci=0.0, lci_flag="never rises"))
        shown = column(table, "100 %", "random")
        assert shown[1] == "0.000"
        assert shown[3].startswith("1.667 ± ")  # of 1, 0 and 4
        assert "random at 100 % seed 1 (never rises)" in notes(table)

    def test_an_index_that_is_not_given_is_missing(self):
        table = table3(self.trials(lci=None, lci_flag=""))
        assert column(table, "100 %", "random")[1:7] == ["missing", "4.000", "– (2 of 3)", "–", "–", "–"]

    def test_trials_without_any_index_are_refused(self):
        with pytest.raises(ValueError, match="no learning curve index in 90 trials"):
            table3(published_trials().assign(lci=math.nan))

    def test_image_has_a_column_if_it_has_an_index(self):
        table = table3(trials_of(records_of_grid()))
        assert [head for _, head in table.columns] == ["Seed", *["random", "image", "transfer"] * 2]


class TestTable1:
    def cohort(self, **changes):
        # a: 50 and 52, male; b: age unknown, female; c: 71, sex unknown; d: recorded as male and female.
        cohort = Cohort(
            patient=np.array(["a", "b", "a", "c", "d", "d"]),
            age_years=np.array([50, np.nan, 52, 71, 31, 31], np.float32),
            sex=np.array([1, 2, 0, 0, 1, 2], np.uint8),
            rhythm=np.array([0, 0, 2, 2, 2, 0], np.uint8),
            rhythms=("SR", "AF_X", "SB"),
            source="two clinics",
        )
        return dataclasses.replace(cohort, **changes)

    def test_patients_count_once(self):
        table = table1({"Labelled": self.cohort()})
        told = dict(table.rows)
        assert told["Patients"] == "4"
        assert told["Age (yr)"] == "51.0 ± 16.3; 1 unknown"  # 51, 71, 31: SD sqrt(800/3)
        assert told["Sex, male, n (%)"] == "1 (50.0); 2 unknown"
        assert told["ECG data count"] == "6"
        assert told["ECGs per patient"] == "1.5 (1 to 2)"
        assert [told[f"Rhythm {name}"] for name in ("SR", "AF_X", "SB")] == [
            "3 (50.0)",
            "0 (0.0)",
            "3 (50.0)",
        ]
        assert "Labelled: two clinics." in table.notes
        assert "2 rhythm classes where the paper has 11" in notes(table)

    def test_two_sets_side_by_side(self):
        unlabelled = self.cohort(rhythm=None, rhythms=())
        table = table1({"ICU": unlabelled, "Labelled": self.cohort()})
        assert table.columns == (("Characteristic",), ("ICU",), ("Labelled",))
        told = {row[0]: row[1:] for row in table.rows}
        assert told["Patients"] == ("4", "4")
        assert told["Rhythm SR"] == ("–", "3 (50.0)")

    def test_nothing_known(self):
        cohort = self.cohort(age_years=np.full(6, np.nan), sex=np.zeros(6, np.uint8))
        told = dict(table1({"ICU": cohort}).rows)
        assert told["Age (yr)"] == "–; 4 unknown"
        assert told["Sex, male, n (%)"] == "–; 4 unknown"

    def test_numbers_are_unrounded(self):
        numbers = table1({"ICU": self.cohort()}).numbers
        age = numbers[(numbers["characteristic"] == "Age (yr)") & (numbers["statistic"] == "sd")]
        assert age["value"].item() == pytest.approx(math.sqrt(800 / 3))

    def test_stores_as_they_are_prepared(self, tmp_path):
        icu = icu_store(tmp_path / "icu.h5", patients=3, windows_per_patient=4)
        labelled = labelled_store(tmp_path / "labelled.h5", records=6, rhythms=("SR", "AFIB"))
        table = table1({"ICU": cohort_of(icu), "Labelled": cohort_of(labelled)})
        told = {row[0]: row[1:] for row in table.rows}
        assert told["Patients"] == ("3", "6")
        assert told["ECG data count"] == ("12", "6")
        assert told["ECGs per patient"] == ("4", "1")
        assert told["Rhythm AFIB"] == ("–", "3 (50.0)")
        assert icu.content_sha256[:12] in notes(table)

    def test_an_empty_set_is_refused(self):
        empty = Cohort(np.array([], str), np.array([]), np.array([], np.uint8))
        with pytest.raises(ValueError, match="ICU: 0 windows"):
            table1({"ICU": empty})


class TestProvenance:
    def test_one_experiment_with_the_papers_classes_needs_no_note(self):
        assert provenance_notes([record_of(rhythms=[str(i) for i in range(11)])] * 2) == []

    def test_fewer_classes_and_mixed_settings_are_said(self):
        records = [
            record_of(encoder_sha256="a" * 64),
            record_of(seed=1, epochs=9, data_sha256="e" * 64, encoder_sha256="b" * 64),
            record_of("random", 0.5, 0),
        ]
        told = provenance_notes(records)
        assert "2 rhythm classes where the paper has 11" in told[0]
        assert "SR, AFIB" in told[0]
        assert [name for name in ("data_sha256", "encoder_sha256", "epochs", "n_test") if name in str(told)] == [
            "data_sha256",
            "encoder_sha256",
            "epochs",
        ]

    def test_an_encoder_whose_corpus_was_not_at_hand_is_said(self):
        rhythms = [str(i) for i in range(11)]
        records = [record_of(rhythms=rhythms, encoder_sha256="a" * 64, test_rows_in_corpus=rows) for rows in (None, 0)]
        (note,) = provenance_notes(records)
        assert note.startswith("In 1 cells it was not checked whether the encoder has seen test records")


class TestRendering:
    def table(self):
        return Table(
            number=1,
            title="A & B: 50 % of_x",
            columns=(("", "Seed"), ("100 %", "a_1"), ("100 %", "b|c"), ("50 %", "a_1")),
            blocks=(
                Block("", (("1", "0.5 ± 0.1", "< 0.001", "–"),)),
                Block("Under_way #1", (("2", "$5", "{x}", "~^\\"),)),
            ),
            notes=("100 % of_all",),
            numbers=pd.DataFrame({"value": [0.1 + 0.2]}),
        )

    def test_markdown_reads_back(self):
        parsed = parse_markdown(to_markdown(self.table()))
        assert {len(row) for row in parsed} == {4}
        assert parsed[0] == ["Seed", "100 % a_1", r"100 % b\|c", "50 % a_1"]
        assert parsed[2] == ["1", "0.5 ± 0.1", "< 0.001", "–"]
        assert parsed[3][0] == "*Under_way #1*"
        assert parsed[4][0] == "2"

    def test_markdown_of_the_paper_reads_back_to_its_trials(self):
        parsed = parse_markdown(to_markdown(table2(published_trials())))
        frame = pd.DataFrame(parsed[2:12], columns=parsed[0]).set_index("Seed").astype(float)
        trials = published_trials().set_index(["init", "fraction", "seed"])["best_f1"]
        for (init, fraction, seed), best_f1 in trials.items():
            assert frame.loc[str(seed), f"{percent(fraction)} {init}"] == best_f1

    @pytest.mark.parametrize("make", [lambda: table2(published_trials()), lambda: table3(published_trials())])
    def test_latex_of_the_paper_is_sound(self, make):
        check_latex(to_latex(make()), len(make().columns))

    def test_latex_is_sound_and_escaped(self):
        text = to_latex(self.table())
        check_latex(text, 4)
        for escaped in (
            r"A \& B: 50 \% of\_x",
            r"Under\_way \#1",
            r"0.5 $\pm$ 0.1",
            r"$<$ 0.001",
            r"\$5",
            r"\{x\}",
        ):
            assert escaped in text
        assert r"& \multicolumn{2}{c}{100 \%} & \multicolumn{1}{c}{50 \%} \\" in text
        assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-4}" in text
        assert text.isascii()

    def test_latex_escape(self):
        assert latex_escape(r"a\b_c ± 5 % {x}") == r"a\textbackslash{}b\_c $\pm$ 5 \% \{x\}"

    def test_csv_holds_every_digit(self):
        table = table3(published_trials())
        read = pd.read_csv(io.StringIO(to_csv(table)))
        assert read["value"].tolist() == table.numbers["value"].tolist()

    def test_the_same_trials_give_the_same_bytes(self, tmp_path):
        for folder in ("a", "b"):
            written = write_table(table2(published_trials()), tmp_path / folder, "table2")
            assert [path.name for path in written] == ["table2.md", "table2.csv", "table2.tex"]
            assert sorted(written) == sorted((tmp_path / folder).iterdir())
        for path in (tmp_path / "a").iterdir():
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def check_latex(text, width):
    """Braces, dollars and environments balance, and every row of the tabular has as many cells as columns."""
    bare = re.sub(r"\\[\\{}$&%#_]", "", text)
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0
    assert not re.search(r"(?<!\{)%", bare)  # only the one that ends the line of \resizebox
    stack = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert rows
    for row in rows:
        spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", row))
        assert len(re.findall(r"(?<!\\)&", row)) + 1 + spans == width


class TestTrialTables:
    def test_trials_make_the_tables_that_they_have_what_it_takes_for(self):
        tables = trial_tables(trials_of(records_of_grid()), ["Synthetic data."])
        assert list(tables) == ["table2", "table3", "table4"]
        assert all("Synthetic data." in table.notes for table in tables.values())

    def test_without_indices_or_transfer_table2_alone(self):
        trials = published_trials().assign(lci=math.nan)
        assert list(trial_tables(trials[trials["init"] != "transfer"])) == ["table2"]


class TestSplits:
    def trials(self):
        records = [r for split in range(7) for r in records_of_grid(("random", "transfer"), (1.0,), split_seed=split)]
        return trials_of([dataclasses.replace(r, best_f1=r.best_f1 - 0.1 * r.split_seed) for r in records])

    def test_rows_name_split_and_seed(self):
        table = table2(self.trials())
        assert table.columns[0] == ("", "Split/seed")
        assert [row[0] for row in table.rows[:9]] == [f"{split}/{seed}" for split in range(3) for seed in range(3)]
        assert "treats the split as a factor" in notes(table)

    def test_the_interval_of_a_mean_is_over_the_splits(self):
        pooled = self.trials().assign(split_seed=0, seed=list(range(21)) * 2)
        wide, narrow = (number(table2(t), 1.0, "random", "ci_low", "best_f1") for t in (self.trials(), pooled))
        of_splits = self.trials().query("init == 'random'").groupby("split_seed")["best_f1"].mean()
        assert wide == pytest.approx(bca_mean(of_splits, np.random.default_rng(0)).low, abs=0.005)
        assert wide < narrow - 0.02


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.452026, "0.452"),
        (0.0009, "< 0.001"),
        (0.001, "0.001"),
        (0.0, "< 0.001"),
        (1.0, "1.000"),
        (math.nan, "–"),
    ],
)
def test_format_p(p, text):
    assert format_p(p) == text


def test_percent_and_order():
    assert [percent(fraction) for fraction in (1.0, 0.07, 0.005)] == ["100 %", "7 %", "0.5 %"]
    assert in_order(["transfer", "zeta", "random", "alpha", "image"]) == [
        "random",
        "image",
        "transfer",
        "alpha",
        "zeta",
    ]
