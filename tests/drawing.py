"""What the tests of figures share: draw to files and read the SVG, or look at the figure itself before it is saved."""

import matplotlib
import pytest
from matplotlib.lines import Line2D

PNG = b"\x89PNG\r\n\x1a\n"


def drawn(draw, path, **arguments) -> str:
    """Draw, check that path.png and path.svg are all that was written, and return the SVG with letters as text."""
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        written = draw(path=path, **arguments)
    assert written == [path.with_name(f"{path.name}.{ending}") for ending in ("png", "svg")]
    assert sorted(path.parent.iterdir()) == written
    assert written[0].read_bytes().startswith(PNG)
    return written[1].read_text()


def unsaved(draw, path, **arguments):
    """Draw, and return the figure in place of its files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{draw.__module__}.save", lambda figure, _: figure)
        return draw(path=path, **arguments)


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def marks_of(artist) -> set[tuple[str, str]]:
    """Marker and colour of the points in an axes or a legend; those of ticks are numbers."""
    points = {(line.get_marker(), line.get_color()) for line in artist.findobj(Line2D)}
    return {(marker, colour) for marker, colour in points if isinstance(marker, str) and marker not in ("", "None")}


def assert_same_bytes_twice(draw, folder, **arguments) -> None:
    before = dict(matplotlib.rcParams)
    first, second = (draw(path=folder / name / "figure", **arguments) for name in ("first", "second"))
    assert dict(matplotlib.rcParams) == before
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
