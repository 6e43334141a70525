import itertools

import numpy as np
import pytest

from ecg_tl.confusion_figure import figure8, row_shares
from tests.drawing import drawn, unsaved

RHYTHMS = ("AFIB", "SR", "AVRT")


def texts_of(axes):
    return {tuple(map(int, text.get_position()[::-1])): text.get_text() for text in axes.texts}


def test_row_shares_of_a_row_without_a_record_are_unknown():
    shares = row_shares(np.array([[3, 1], [0, 0]]))
    np.testing.assert_array_equal(shares, [[0.75, 0.25], [np.nan, np.nan]])


@pytest.mark.parametrize("n_inits", [1, 3, 5])
@pytest.mark.parametrize("n_rhythms", [3, 11])
def test_figure8_keeps_title_scale_and_panels_apart(tmp_path, n_inits, n_rhythms):
    inits = ("random", "image", "transfer", "frozen_random", "frozen")[:n_inits]
    figure = unsaved(
        figure8,
        tmp_path / "figure8",
        confusion={init: np.ones((1, n_rhythms, n_rhythms), int) for init in inits},
        rhythms=[f"RHYTHM{index}" for index in range(n_rhythms)],
        fraction=1.0,
        protocol="Epoch chosen by lot",
    )
    figure.draw_without_rendering()
    panel, bar = figure.axes[0], figure.axes[-1]
    (title,) = [text for text in figure.texts if "training records" in text.get_text()]
    assert title.get_text() == "Epoch chosen by lot\nTrained on 100 % of the training records"
    stacked = [title, bar.xaxis.label, bar.get_xticklabels()[0], bar.patch, panel.title]
    boxes = [artist.get_window_extent() for artist in stacked]
    gaps_inches = [(above.y0 - below.y1) / figure.dpi for above, below in itertools.pairwise(boxes)]
    assert min(gaps_inches) > 0.04
    assert 0.1 < gaps_inches[-1] < 0.3  # the scale belongs to all panels, not to the one below it
    assert title.get_window_extent().width < figure.bbox.width


def test_figure8_sums_the_runs_and_leaves_empty_rows_empty(tmp_path):
    counts = np.array([[[8, 2, 0], [1, 996, 0], [0, 0, 0]], [[7, 3, 0], [2, 1001, 0], [0, 0, 0]]])
    figure = unsaved(figure8, tmp_path / "figure8", confusion={"transfer": counts}, rhythms=RHYTHMS, fraction=0.05)
    axes = figure.axes[0]
    # by hand: 15 and 5 of 20 true AFIB, 3 and 1,997 of 2,000 true SR, none of AVRT
    assert texts_of(axes) == {
        (0, 0): "75\n(15)",
        (0, 1): "25\n(5)",
        (1, 0): "<1\n(3)",
        (1, 1): "100\n(1,997)",
    }
    image = axes.images[0].get_array().filled(np.nan)
    np.testing.assert_allclose(image, [[75, 25, 0], [0.15, 99.85, 0], [np.nan] * 3])
    assert axes.images[0].get_clim() == (0, 100)


def test_figure8_says_axes_fraction_weights_and_note(tmp_path):
    svg = drawn(
        figure8,
        tmp_path / "figure8",
        confusion={init: np.ones((1, 3, 3), int) for init in ("transfer", "image")},
        rhythms=RHYTHMS,
        fraction=0.01,
        weights={"image": ["random"]},
        note="synthetic data",
    )
    for text in ("True rhythm", "Predicted rhythm", "Trained on 1 % of the training records", "(%)", "synthetic data"):
        assert text in svg
    assert svg.index("image (random weights)") < svg.index(">transfer<")
    for rhythm in RHYTHMS:
        assert f">{rhythm}<" in svg


@pytest.mark.parametrize(
    ("n_rhythms", "inits"),
    [
        (2, ("transfer",)),
        (4, ("random", "image", "transfer", "frozen", "mine", "frozen_random")),
        (11, ("random", "image", "transfer")),
    ],
)
def test_figure8_has_square_panels_whose_cells_hold_their_text(tmp_path, n_rhythms, inits):
    confusion = {init: np.full((1, n_rhythms, n_rhythms), 120_000) for init in inits}
    names = [f"RHYTHM{index}" for index in range(n_rhythms)]
    figure = unsaved(figure8, tmp_path / "figure8", confusion=confusion, rhythms=names, fraction=1.0)
    figure.draw_without_rendering()
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == len(inits)
    for axes in (panels[0], panels[-1]):
        box = axes.get_window_extent()
        assert box.width == pytest.approx(box.height, rel=0.05)
        for text in axes.texts[:: n_rhythms + 1]:
            assert text.get_window_extent().width < box.width / n_rhythms
            assert text.get_window_extent().height < box.height / n_rhythms


@pytest.mark.parametrize(
    ("confusion", "message"),
    [
        ({}, "0 confusions of 3 rhythms"),
        ({"image": np.zeros((3, 3))}, r"figure8: confusion of image has shape \(3, 3\); give \(runs, 3, 3\)"),
        ({"image": np.zeros((2, 3, 4))}, r"shape \(2, 3, 4\)"),
        ({"image": np.zeros((0, 3, 3))}, r"shape \(0, 3, 3\)"),
    ],
)
def test_figure8_refuses_shapes_that_do_not_match(tmp_path, confusion, message):
    with pytest.raises(ValueError, match=message):
        figure8(confusion, RHYTHMS, 1.0, tmp_path / "figure8")
