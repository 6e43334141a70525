import itertools

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from ecg_tl.drawings import draw_study
from ecg_tl.figure_style import look_of
from ecg_tl.results import read_results
from ecg_tl.study_figures import figure6, figure7
from ecg_tl.trial_columns import PROTOCOLS
from tests.drawing import assert_same_bytes_twice, drawn, legend_of, marks_of, unsaved
from tests.fabricate_study import study

SIX = ("random", "image", "transfer", "frozen_random", "frozen", "mine")


def estimates(inits=("random", "image", "transfer"), fractions=(1.0, 0.25), half_width=0.02):
    return {
        (init, fraction): (round(8000 * fraction), mean, mean - half_width, mean + half_width)
        for init in inits
        for fraction in fractions
        for mean in [0.5 + 0.05 * inits.index(init) + 0.1 * fraction]
    }


def ticks_of(axes):
    return [label.get_text() for label in axes.get_xticklabels()]


def places_of(axes):
    """The (labels, F1) of every point of a panel, taken from the lines that join them."""
    return [tuple(point) for line in axes.lines if line.get_linestyle() != "None" for point in line.get_xydata()]


def test_figure6_says_protocols_labels_weights_and_note(tmp_path):
    svg = drawn(
        figure6,
        tmp_path / "figure6",
        best=estimates(),
        selected=estimates(),
        weights={"image": ["random"], "transfer": ["imagenet"]},
        note="synthetic data",
    )
    texts = ("Best epoch on the test set", "Epoch chosen out of bag", "2,000", "25 %", "8,000", "100 %")
    for text in (
        *texts,
        "95 % CI of the mean",
        "image (random weights)",
        "synthetic data",
        "Labelled training records",
    ):
        assert text in svg
    assert svg.count("random weights") == 1
    assert "no CI" not in svg


def test_figure6_draws_a_lone_run_hollow_and_without_whiskers(tmp_path):
    best = estimates(("random",)) | {("transfer", 0.25): (1900, 0.8, np.nan, np.nan)}
    figure = unsaved(figure6, tmp_path / "figure6", best=best, selected={}, no_interval="a missing cell")
    (axes,) = figure.axes
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert [line.get_ydata().tolist() for line in hollow] == [[0.8]]
    looks = {(look_of(init).marker, look_of(init).colour) for init in ("random", "transfer")}
    assert marks_of(figure.legends[0]) == {*looks, ("|", "0.3")}  # no mark of the hollow ones that is not drawn
    drawn = [lines for lines in axes.collections if isinstance(lines, LineCollection)]
    whiskers = [segment[:, 1].tolist() for lines in drawn for segment in lines.get_segments()]
    assert whiskers == [pytest.approx([0.505, 0.545]), pytest.approx([0.58, 0.62])]
    bands = [path.vertices[:, 1] for band in axes.collections if band not in drawn for path in band.get_paths()]
    assert [(band.min(), band.max()) for band in bands] == [(pytest.approx(0.505), pytest.approx(0.62))]
    assert legend_of(figure) == ["random", "transfer", "95 % CI of the mean", "no CI: a missing cell"]
    assert ticks_of(axes) == ["≈1,950\n25 %", "8,000\n100 %"]  # the arms drew 2,000 and 1,900


def test_figure6_tells_six_inits_apart_in_an_incomplete_study(tmp_path):
    best = estimates(SIX)
    del best["image", 0.25]
    figure = unsaved(figure6, tmp_path / "figure6", best=best, selected=estimates(("transfer",)))
    points = places_of(figure.axes[0])
    assert len(points) == len(best)
    assert len({labels for labels, _ in points}) == len(best)  # none right above another, whose whisker it would hide
    assert all(min(abs(labels / 2000 - 1), abs(labels / 8000 - 1)) < 0.1 for labels, _ in points)
    assert legend_of(figure)[: len(SIX)] == list(SIX)


@pytest.mark.parametrize(
    ("fractions", "ticks"),
    [
        ((1.0, 0.25), ["2,000\n25 %", "8,000\n100 %"]),
        ((1.0, 0.75, 0.01), ["80 (1 %)", "6,000 (75 %)", "8,000 (100 %)"]),
        ((0.05,), ["400\n5 %"]),
    ],
)
def test_figure6_keeps_the_labels_of_close_fractions_apart(tmp_path, fractions, ticks):
    arms = estimates(("random", "image"), fractions)
    figure = unsaved(figure6, tmp_path / "figure6", best=arms, selected=arms)
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert ticks_of(axes) == ticks
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


@pytest.mark.parametrize(
    ("best", "message"),
    [
        ({}, "no mean F1 to draw"),
        ({("random", 1.0): (100, 0.5, 0.6, 0.7)}, r"figure6: \('random', 1.0\): mean 0.5 in \[0.6, 0.7\]"),
        ({("random", 1.0): (100, 0.5, np.nan, 0.7)}, "both NaN without an interval"),
        ({("random", 1.0): (100, np.nan, np.nan, np.nan)}, "give a finite mean"),
        ({("random", 1.0): (0, 0.5, 0.4, 0.6)}, "of 0 labels"),
    ],
)
def test_figure6_refuses_what_it_cannot_draw(tmp_path, best, message):
    with pytest.raises(ValueError, match=message):
        figure6(best, {}, tmp_path / "figure6")


def test_figure7_draws_means_from_the_most_to_the_least_frequent_rhythm(tmp_path):
    f1 = {
        ("random", 1.0): np.array([[0.2, 0.6, 0.9], [0.4, 0.8, np.nan]]),
        ("transfer", 1.0): np.array([[0.5, 0.7, np.nan], [0.5, 0.9, np.nan]]),
        ("transfer", 0.05): np.array([[0.1, 0.2, 0.3]]),
    }
    figure = unsaved(figure7, tmp_path / "figure7", f1=f1, rhythms=("AVRT", "SB", "AT"), support=(4, 778, 5))
    heights = [[bars.datavalues.tolist() for bars in axes.containers] for axes in figure.axes]
    assert heights == [
        [pytest.approx([0.7, 0.9, 0.3]), pytest.approx([0.8, 0.5])],
        [pytest.approx([0.2, 0.3, 0.1])],
    ]
    dots = [sorted(np.concatenate([line.get_ydata() for line in axes.lines] or [[]])) for axes in figure.axes]
    assert dots == [[0.2, 0.4, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9, 0.9], []]  # one run needs no dot: its bar is the run
    assert ticks_of(figure.axes[-1]) == ["SB\n(n=778)", "AT\n(n=5)", "AVRT†\n(n=4)"]
    assert [axes.get_title() for axes in figure.axes] == [f"{p} % of the training records" for p in (100, 5)]
    random, transfer = figure.axes[0].containers
    assert random[0].get_x() + random[0].get_width() == pytest.approx(transfer[0].get_x())


@pytest.mark.parametrize(("support", "marked"), [(4, True), (5, False)])
def test_figure7_marks_rhythms_of_few_test_records(tmp_path, support, marked):
    svg = drawn(
        figure7,
        tmp_path / "figure7",
        f1={("image", 0.25): np.array([[0.5, 0.5]])},
        rhythms=("SB", "SAAWR"),
        support=(90, support),
        weights={"image": ["random"]},
        note="synthetic data",
        protocol="Epoch chosen by lot",
    )
    assert ("SAAWR†" in svg) == marked
    assert ("† fewer than 5 test records" in svg) == marked
    assert "SB†" not in svg
    said = ("image (random weights)", "synthetic data", "25 % of the training records", "(n=90)")
    for text in (*said, "Epoch chosen by lot"):
        assert text in svg
    assert "one run" not in svg


def test_figure7_gives_six_inits_and_long_names_room(tmp_path):
    names = ("Sinus bradycardia", "Atrial fibrillation", "Supraventricular tachycardia", "Sinus rhythm")
    f1 = {(init, 1.0): np.full((10, 4), 0.5) for init in SIX}
    figure = unsaved(figure7, tmp_path / "figure7", f1=f1, rhythms=names, support=(9, 8, 7, 6))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_window_extent().height / figure.dpi > 1.2
    assert all(axes.get_window_extent().width < figure.bbox.width for axes in (*figure.axes, *figure.legends))
    assert legend_of(figure) == [*SIX, "one run (bar: mean)"]


@pytest.mark.parametrize(
    ("f1", "support", "message"),
    [
        ({}, (5, 5), "F1 of 0 cells"),
        ({("random", 1.0): np.zeros((3, 2))}, (5,), "2 rhythms and 1 supports"),
        ({("random", 1.0): np.zeros((3, 4))}, (5, 5), r"figure7: F1 of \('random', 1.0\) has shape \(3, 4\); give"),
        ({("random", 1.0): np.zeros((0, 2))}, (5, 5), r"shape \(0, 2\)"),
    ],
)
def test_figure7_refuses_shapes_that_do_not_match(tmp_path, f1, support, message):
    with pytest.raises(ValueError, match=message):
        figure7(f1, ("SB", "SR"), support, tmp_path / "figure7")


def test_a_studys_figures_and_texts_say_which_epoch_they_show(tmp_path):
    results = read_results(study(tmp_path / "s", ("random", "transfer"), fractions=(1.0,), seeds=(0, 1)))
    shows = {drawing.path.name: drawing.shows for drawing in draw_study(results, tmp_path, [], "")}
    for name in ("figure7", "figure8"):
        assert f"<!-- {PROTOCOLS['selected_f1']}" in (tmp_path / f"{name}.svg").read_text()
        assert PROTOCOLS["selected_f1"] in shows[name]
    assert "<!-- no CI: fewer than 3 runs in the mean -->" in (tmp_path / "figure6.svg").read_text()


def test_the_same_figures_give_the_same_bytes(tmp_path):
    assert_same_bytes_twice(figure6, tmp_path / "6", best=estimates(), selected={}, note="n")
    f1 = {(init, 1.0): np.full((2, 1), 0.5) for init in ("random", "image")}  # hatches have names in an SVG
    assert_same_bytes_twice(figure7, tmp_path / "7", f1=f1, rhythms=("SB",), support=(9,))
