import numpy as np
import pytest
from matplotlib.colors import to_hex
from sklearn.decomposition import PCA

from ecg_tl.latent_map import figure9, pca, thin_out
from tests.drawing import drawn, legend_of, unsaved


def clouds(counts, n_features=5):
    """One cloud a rhythm, of so many records; returns features (N, n_features) and rhythm (N,)."""
    generator = np.random.default_rng(1)
    rhythm = np.repeat(np.arange(len(counts)), counts)
    return generator.normal(size=(len(rhythm), n_features)) + 3 * rhythm[:, None] % 4, rhythm


def drawn_points(figure):
    return [line.get_xydata() for line in figure.axes[0].lines]


@pytest.mark.parametrize("shape", [(50, 7), (4, 30), (20, 2)])
def test_pca_is_that_of_sklearn_up_to_sign(shape):
    features = np.random.default_rng(0).normal(10, np.linspace(1, 3, shape[1]), shape)
    scores, explained = pca(features)
    reference = PCA(n_components=2)
    expected = reference.fit_transform(features)
    signs = np.sign((expected * scores).sum(axis=0))
    np.testing.assert_allclose(scores, expected * signs, atol=1e-8)
    np.testing.assert_allclose(explained, reference.explained_variance_ratio_)


def test_pca_does_not_flip_when_rows_come_in_another_order():
    features, _ = clouds((30, 20))
    order = np.random.default_rng(2).permutation(len(features))
    np.testing.assert_allclose(pca(features[order])[0], pca(features)[0][order], atol=1e-8)
    along = np.outer([-1.0, 0.0, 2.0], [0.6, -0.8])  # by hand: the larger weight, -0.8, is turned positive
    scores, explained = pca(along)
    np.testing.assert_allclose(scores[:, 0], [4 / 3, 1 / 3, -5 / 3])
    np.testing.assert_allclose(explained, [1, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((1, 5)), r"shape \(1, 5\) has no two directions"),
        (np.zeros(5), "no two directions"),
        (np.array([[1.0, 2.0], [3.0, np.nan]]), "NaN or infinite"),
        (np.full((7, 3), 0.1), "all 7 rows are the same"),
    ],
)
def test_features_without_components_are_refused_with_the_figures_name(tmp_path, features, message):
    with pytest.raises(ValueError, match=f"^features: .*{message}|^features: {message}"):
        pca(features)
    rhythm = np.zeros(len(features), int)
    with pytest.raises(ValueError, match=f"figure9: features: .*{message}|figure9: features: {message}"):
        figure9(features, rhythm, ("SR",), tmp_path / "figure9", np.random.default_rng(0))


def test_thinning_keeps_every_rhythm_and_its_share():
    rhythm = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 4], [600, 300, 99, 1]))
    rows = thin_out(rhythm, 100, np.random.default_rng(0))
    assert (np.diff(rows) > 0).all()
    assert np.bincount(rhythm[rows]).tolist() == [60, 30, 9, 0, 1]
    assert not np.array_equal(rows, thin_out(rhythm, 100, np.random.default_rng(1)))
    assert thin_out(rhythm[:100], 100, np.random.default_rng(0)).tolist() == list(range(100))


def test_figure9_puts_the_rarest_rhythm_last_and_says_what_it_left_out(tmp_path):
    features, rhythm = clouds((3, 400, 0, 197))
    figure = unsaved(
        figure9,
        tmp_path / "figure9",
        features=features,
        rhythm=rhythm,
        rhythms=("AVRT", "SB", "none", "SR"),
        generator=np.random.default_rng(0),
        n_max=60,
    )
    assert legend_of(figure) == ["SB (n=400)", "SR (n=197)", "AVRT (n=3)"]
    assert [len(points) for points in drawn_points(figure)] == [40, 19, 1]
    assert figure.legends[0].get_title().get_text() == "60 of 600 records drawn"
    scores, explained = pca(features)
    known = {tuple(score) for score in scores[rhythm == 3]}
    assert {tuple(point) for point in drawn_points(figure)[1]} <= known
    assert f"{explained[1] * 100:.1f} %" in figure.axes[0].get_ylabel()


def test_figure9_tells_fourteen_rhythms_apart_without_colour(tmp_path):
    features, rhythm = clouds((2,) * 14)
    names = [f"RHYTHM{index}" for index in range(14)]
    figure = unsaved(
        figure9,
        tmp_path / "figure9",
        features=features,
        rhythm=rhythm,
        rhythms=names,
        generator=np.random.default_rng(0),
    )
    lines = figure.axes[0].lines
    looks = {(line.get_marker(), to_hex(line.get_markerfacecolor()) == "#ffffff") for line in lines}
    assert len(looks) == 14


def test_figure9_gives_the_same_bytes_for_the_same_draw(tmp_path):
    features, rhythm = clouds((30, 20))
    written = [
        drawn(
            figure9,
            tmp_path / str(place) / "figure9",
            features=features,
            rhythm=rhythm,
            rhythms=("SB", "SR"),
            generator=np.random.default_rng(seed),
            n_max=10,
            note="synthetic data",
        )
        for place, seed in enumerate((0, 0, 1))
    ]
    assert written[0] == written[1] != written[2]
    first, second = ((tmp_path / name / "figure9.png").read_bytes() for name in "01")
    assert first == second
    for text in ("SB (n=30)", "10 of 50 records drawn", "First principal component", "synthetic data"):
        assert text in written[0]


@pytest.mark.parametrize("rhythm", [[0, 1], [0, 1, 2], [0, -1, 1], [0, 0.5, 1], [[0], [1], [0]]])
def test_figure9_refuses_rhythms_without_a_name(tmp_path, rhythm):
    with pytest.raises(ValueError, match=r"figure9: .*2 rhythm names do not match"):
        figure9(np.eye(3), np.array(rhythm), ("SB", "SR"), tmp_path / "figure9", np.random.default_rng(0))
