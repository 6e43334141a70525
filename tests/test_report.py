from __future__ import annotations

import base64
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from ecg_tl.rendering import Block, Table
from ecg_tl.report import Contents, Drawing, to_html, write_report

VOID = {"meta", "img", "link", "br"}


class Outline(HTMLParser):
    """Collects what a browser would: open tags must close in order, ids be unique, links lead somewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.labels: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        entries = dict(attrs)
        self.tags.append((tag, entries))
        if tag not in VOID:
            self.open.append(tag)
        if entries.get("id"):
            self.ids.append(str(entries["id"]))
        if str(entries.get("href", "")).startswith("#"):
            self.targets.append(str(entries["href"])[1:])
        if entries.get("aria-labelledby"):
            self.labels.append(str(entries["aria-labelledby"]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    (tmp_path / "figure6.png").write_bytes(b"png")
    (tmp_path / "figure6.svg").write_text("<svg/>")
    table = Table(
        2,
        "F1 <of> every trial",
        (("", "Seed"), ("100 %", "random"), ("100 %", "transfer"), ("50 %", "random")),
        (Block("", (("0", "0.1", "0.2", "0.3"),)), Block("Best & selected", (("Mean", "0.4", "0.5", "0.6"),))),
        ("SD: ddof=0.",),
        pd.DataFrame(),
    )
    return Contents(
        study="a<b",
        findings=["transfer is ahead by 0.02"],
        made_of={"Data": "12 records", "Torch": "2.13"},
        tables=[table],
        drawings=[Drawing(tmp_path / "figure6", "Figure 6", 'F1 against "fraction"')],
        unfinished=[("init=random fraction=1 seed=3", "missing"), ("init=image fraction=1 seed=0", "no <weights>")],
        commands=["python -m ecg_tl.train -m 'seed=range(2)'"],
        cells=[{"Cell": "random/1/0", "Best F1": "0.5"}, {"Cell": "random/1/1", "Best F1": "0.6"}],
    )


def outline_of(html: str) -> Outline:
    outline = Outline()
    outline.feed(html)
    outline.close()
    assert outline.open == []
    return outline


def test_the_page_is_well_formed_and_its_links_and_labels_lead_somewhere(contents: Contents) -> None:
    outline = outline_of(to_html(contents))
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.targets) | set(outline.labels) <= set(outline.ids)
    assert [tag for tag, _ in outline.tags if tag in ("h1", "h2")] == ["h1"] + ["h2"] * 7
    for words in ("transfer is ahead by 0.02", "a<b", "no <weights>", "seed=range(2)", "random/1/1", "SD: ddof=0."):
        assert words in outline.text


def test_the_page_needs_nothing_but_itself(contents: Contents, tmp_path: Path) -> None:
    path = write_report(contents, tmp_path / "report.html")
    outline = outline_of(path.read_text(encoding="utf-8"))
    for tag, entries in outline.tags:
        assert tag not in ("script", "link", "iframe")
        for name in ("src", "href"):
            assert str(entries.get(name, "#")).startswith(("#", "data:"))
    assert "url(" not in path.read_text(encoding="utf-8")


def test_outer_levels_of_a_header_span_their_columns_and_scopes_are_said(contents: Contents) -> None:
    outline = outline_of(to_html(contents))
    spans = [(e["scope"], e["colspan"]) for tag, e in outline.tags if tag == "th" and e.get("class") == "group"]
    assert spans == [("colgroup", "2"), ("colgroup", "1")]
    scopes = [e.get("scope") for tag, e in outline.tags if tag == "th"]
    assert scopes.count("row") == 2 + 2
    assert scopes.count("col") == 4 + 2
    assert all(scopes)
    regions = [e for tag, e in outline.tags if e.get("role") == "region"]
    assert len(regions) == 2
    assert all(region["tabindex"] == "0" for region in regions)


def test_a_figure_is_its_svg_unless_that_is_large_and_has_words_for_it(contents: Contents, tmp_path: Path) -> None:
    def image() -> dict[str, str | None]:
        return next(entries for tag, entries in outline_of(to_html(contents)).tags if tag == "img")

    assert image()["src"] == "data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode()
    assert image()["alt"] == 'Figure 6: F1 against "fraction"'
    (tmp_path / "figure6.svg").write_bytes(b" " * 400_001)
    assert image()["src"] == "data:image/png;base64," + base64.b64encode(b"png").decode()
