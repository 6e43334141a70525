import pytest
from matplotlib.lines import Line2D

from ecg_tl.figure_style import LOOKS, OTHER_LOOK, add_note, grid_shape, legend_above, look_of, new_figure, save
from ecg_tl.trials import INIT_ORDER


def test_every_init_differs_from_every_other_in_each_means_of_telling():
    looks = [look_of(init) for init in (*INIT_ORDER, "unknown")]
    assert looks[-1] == OTHER_LOOK
    assert set(LOOKS) == set(INIT_ORDER)
    for means in zip(*looks, strict=True):
        assert len(set(means)) == len(looks)


@pytest.mark.parametrize(("n_panels", "shape"), [(1, (1, 1)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3)), (7, (3, 3))])
def test_panels_leave_as_few_empty_places_as_they_can(n_panels, shape):
    assert grid_shape(n_panels) == shape


@pytest.mark.parametrize(("width_inches", "n_rows"), [(7.0, 1), (3.6, 2), (1.0, 4)])
@pytest.mark.parametrize("title", ["", "T"])
def test_a_legend_takes_as_many_rows_as_the_width_asks_and_adds_their_height(width_inches, n_rows, title):
    figure = new_figure(width_inches, 2.0)
    legend_above(figure, [Line2D([], [], label=label) for label in ("random", "image", "transfer", "frozen")], title)
    (legend,) = figure.legends
    figure.draw_without_rendering()
    tops = {round(text.get_window_extent().y1) for text in legend.get_texts()}
    assert len(tops) == n_rows
    n_lines = n_rows + len(title)
    one_line = legend.get_window_extent().height / figure.dpi / n_lines
    assert figure.get_figheight() == pytest.approx(2.0 + (n_lines - 1) * one_line)
    assert n_rows == 4 or legend.get_window_extent().width <= figure.bbox.width


def test_a_note_is_drawn_only_where_there_is_one():
    figure = new_figure(2.0, 2.0)
    add_note(figure, "")
    assert not figure.get_supxlabel()
    add_note(figure, "synthetic data")
    assert figure.get_supxlabel() == "synthetic data"


def test_files_say_nothing_of_when_or_with_what_they_were_made(tmp_path):
    written = save(new_figure(1.0, 1.0), tmp_path / "folder.1" / "figure6")
    assert [path.name for path in written] == ["figure6.png", "figure6.svg"]
    for path in written:
        content = path.read_bytes()
        assert content
        assert b"dc:date" not in content
        assert b"Software" not in content
        assert b"dc:creator" not in content
