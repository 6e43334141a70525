import matplotlib
import numpy as np
import pytest

from ecg_tl.figures import example_curves, figure3, figure4, figure5
from ecg_tl.learning_curve import learning_curve_index
from ecg_tl.records import Cell
from tests.drawing import legend_of, marks_of, unsaved

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def text_stays_text():
    """Letters as text, so that the tests can read the SVG; the style leaves this setting alone."""
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        yield


def curves_of(inits=("random", "image", "transfer"), fractions=(1.0, 0.25), n_seeds=2, n_epochs=5):
    generator = np.random.default_rng(0)
    return {
        Cell(init, fraction, seed): generator.uniform(0.2, 0.9, n_epochs)
        for init in inits
        for fraction in fractions
        for seed in range(n_seeds)
    }


def check(written, path):
    assert written == [path.with_name(f"{path.name}.{ending}") for ending in ("png", "svg")]
    assert sorted(path.parent.iterdir()) == written
    assert written[0].read_bytes().startswith(PNG)
    return written[1].read_text()


def test_example_curves_differ_in_steadiness_alone():
    steady, erratic = example_curves()
    assert steady.max() == pytest.approx(erratic.max())
    assert min(steady.min(), erratic.min()) >= 0
    assert learning_curve_index(steady).value > 1 > learning_curve_index(erratic).value


def test_figure3_prints_the_index_of_its_curves(tmp_path):
    svg = check(figure3(tmp_path / "figure3", note="for show"), tmp_path / "figure3")
    for curve in example_curves():
        assert f"LCI {learning_curve_index(curve).value:.2f}" in svg
    assert "for show" in svg


def test_figure4_gives_every_windows_error(tmp_path):
    original = np.zeros((2, 50))
    original[:, ::2] = 1
    reconstruction = original.copy()
    reconstruction[0] += 2  # 50 samples * 2^2 = 200
    reconstruction[1, 0] -= 5  # one sample * 5^2 = 25
    svg = check(figure4(original, reconstruction, 250.0, tmp_path / "figure4"), tmp_path / "figure4")
    assert "SSE 200 (4.000 per sample)" in svg
    assert "SSE 25 (0.500 per sample)" in svg
    assert "Time (s)" in svg


@pytest.mark.parametrize("shapes", [((2, 50), (2, 49)), ((50,), (50,)), ((0, 50), (0, 50))])
def test_figure4_refuses_windows_that_do_not_match(tmp_path, shapes):
    with pytest.raises(ValueError, match="give one reconstruction"):
        figure4(np.zeros(shapes[0]), np.zeros(shapes[1]), 250.0, tmp_path / "figure4")


def test_figure5_says_random_weights_and_its_note(tmp_path):
    svg = check(
        figure5(curves_of(), tmp_path / "figure5", weights={"image": ["random"]}, note="synthetic data"),
        tmp_path / "figure5",
    )
    for text in (
        "image (random weights)",
        "100 % of the training",
        "25 % of the training",
        "synthetic data",
        "Epoch",
    ):
        assert text in svg


def test_figure5_with_imagenet_weights_does_not(tmp_path):
    figure5(curves_of(), tmp_path / "figure5", weights={"image": ["imagenet"]})
    assert "random weights" not in (tmp_path / "figure5.svg").read_text()


def test_figure5_marks_best_epochs_as_its_legend_does(tmp_path):
    figure = unsaved(figure5, tmp_path / "figure5", curves=curves_of())
    of_legend, of_panel = marks_of(figure.legends[0]), marks_of(figure.axes[0])
    assert len(of_legend) == 3
    assert of_legend == of_panel
    assert legend_of(figure)[:4] == ["random", "image", "transfer", "best epoch of the line"]


def test_figure5_takes_an_incomplete_study(tmp_path):
    curves = curves_of(n_seeds=1)
    del curves[Cell("image", 0.25, 0)]
    curves[Cell("transfer", 1.0, 3)] = np.array([0.5])
    curves[Cell("other", 1.0, 0)] = np.array([0.1, np.nan, 0.3])
    curves[Cell("another", 1.0, 0, 1)] = np.full(3, np.nan)
    check(figure5(curves, tmp_path / "figure5"), tmp_path / "figure5")


def test_figure5_without_curves_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no learning curve"):
        figure5({}, tmp_path / "figure5")


def test_figure5_refuses_a_curve_without_an_epoch(tmp_path):
    with pytest.raises(ValueError, match=r"figure5: the curve of .*random.* has no epoch"):
        figure5({Cell("random", 1.0, 0): np.array([])}, tmp_path / "figure5")


def test_the_same_figure_gives_the_same_bytes_and_leaves_the_settings_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    for folder in ("first", "second"):
        figure5(curves_of(fractions=(1.0,)), tmp_path / folder / "figure5", note="n")
    assert dict(matplotlib.rcParams) == before
    for name in ("figure5.png", "figure5.svg"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
