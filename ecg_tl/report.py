"""report.html: one file that holds a study's tables and figures, what made them and how to make them again."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path

from ecg_tl.records import write_whole
from ecg_tl.rendering import Table

_LARGEST_SVG = 400_000
"""Bytes beyond which a figure is shown as PNG: a map of thousands of points is slow to draw as SVG."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1c1f; --soft: #565d66; --paper: #fff; --line: #d5d9de; --shade: #f3f5f7;
  --link: #0b5cad; --bad: #a8330f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ec; --soft: #a9b1bb; --paper: #15181c; --line: #3a4149;
  --shade: #1f242a; --link: #7db8f2; --bad: #ff9a76; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
header, main, footer { max-width: 76rem; margin: 0 auto; padding: 1rem clamp(0.8rem, 3vw, 2rem); }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.6rem 0 0.2rem; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 0.6rem; border-bottom: 1px solid var(--line); padding-bottom: 0.2rem; }
p, li, dd { max-width: 46rem; overflow-wrap: anywhere; }
a { color: var(--link); }
.skip { position: absolute; left: -999rem; }
.skip:focus { position: static; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; margin: 0.8rem 0; }
nav a { display: inline-block; padding: 0.25rem 0; }
.soft { color: var(--soft); }
.bad { color: var(--bad); }
dl { display: grid; grid-template-columns: minmax(7rem, 14rem) 1fr; gap: 0.3rem 1rem; margin: 0; }
dt { color: var(--soft); overflow-wrap: anywhere; }
dd { margin: 0; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: 0.5rem; } }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 0.4rem; margin: 0.6rem 0; }
.wide:focus-visible, a:focus-visible, summary:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 0.86rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: 0.3rem 0.6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
thead th { background: var(--shade); vertical-align: bottom; }
th.group { text-align: center; border-left: 1px solid var(--line); }
thead th:first-child { text-align: left; }
tbody th { text-align: left; font-weight: 500; position: sticky; left: 0; background: var(--paper); }
tbody th.block { font-weight: 600; font-style: italic; background: var(--shade); }
caption { text-align: left; padding: 0.5rem 0.6rem; font-weight: 600; }
ul.notes { font-size: 0.86rem; color: var(--soft); padding-left: 1.1rem; }
figure { margin: 1.2rem 0; }
figure img { background: #fff; border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.4rem; width: 100%;
  max-width: 62rem; height: auto; }
figcaption { color: var(--soft); max-width: 46rem; }
pre { background: var(--shade); border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.7rem; overflow-x: auto;
  font-size: 0.86rem; }
details > summary { cursor: pointer; padding: 0.3rem 0; }
@media print { nav, .skip { display: none; } .wide { overflow: visible; } figure, tr { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Drawing:
    """A figure of the report: its files without ending (PNG and SVG), its number and title, and what it shows.

    shows: a sentence or two, read out in place of the picture too.
    """

    path: Path
    title: str
    shows: str


@dataclass(frozen=True)
class Contents:
    """What a report tells, in the order that it tells it.

    findings: sentences, the answer first. made_of: facts of data, encoder, settings and machine, by name. unfinished:
    cells that are missing or failed, with the reason. commands: lines that make the study again. cells: one row a run.
    """

    study: str
    findings: Sequence[str]
    made_of: Mapping[str, str]
    tables: Sequence[Table]
    drawings: Sequence[Drawing]
    unfinished: Sequence[tuple[str, str]]
    commands: Sequence[str]
    cells: Sequence[Mapping[str, str]]


def write_report(contents: Contents, path: Path) -> Path:
    """Write the report as one file that needs no other and no network; whole or not at all."""
    return write_whole(path, to_html(contents))


def to_html(contents: Contents) -> str:
    """Lay a report out as HTML: landmarks, headings in order, captions, keyboard-scrollable tables, light and dark."""
    sections = [
        ("findings", "In short", _list(contents.findings)),
        ("made-of", "What was run", _facts(contents.made_of)),
        ("unfinished", "Missing and failed cells", _unfinished(contents.unfinished)),
        ("tables", "Tables", "\n".join(_table(table) for table in contents.tables)),
        ("figures", "Figures", "\n".join(_figure(drawing) for drawing in contents.drawings)),
        ("again", "How to make it again", _commands(contents.commands)),
        ("cells", "Every cell", _cells(contents.cells)),
    ]
    links = "\n".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, _ in sections)
    body = "\n".join(
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(title)}</h2>\n{content}\n</section>'
        for name, title, content in sections
    )
    title = escape(f"Study {contents.study}")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: does pretraining help?</title>
<style>{_STYLE}</style>
</head>
<body>
<a class="skip" href="#main">To the contents</a>
<header>
<h1>{title}</h1>
<p class="soft">Does an encoder pretrained on unlabelled ECGs beat one that starts at random, and by how much as labels
get scarce?</p>
<nav aria-label="Sections"><ul>
{links}
</ul></nav>
</header>
<main id="main">
{body}
</main>
<footer class="soft"><p>Made by <code>python -m ecg_tl.tables study={escape(contents.study)}</code>.</p></footer>
</body>
</html>
"""


def _list(sentences: Iterable[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "\n</ul>"


def _facts(facts: Mapping[str, str]) -> str:
    pairs = "\n".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    return f"<dl>\n{pairs}\n</dl>"


def _unfinished(cells: Sequence[tuple[str, str]]) -> str:
    if not cells:
        return "<p>None: every cell that was asked for has its record.</p>"
    lines = "\n".join(
        f'<li><code>{escape(name)}</code> <span class="bad">{escape(why)}</span></li>' for name, why in cells
    )
    return f"<p>{len(cells)} without a record:</p>\n<ul>\n{lines}\n</ul>"


def _table(table: Table) -> str:
    name = f"table{table.number}"
    rows = []
    for block in table.blocks:
        if block.heading:
            span = f'scope="rowgroup" colspan="{len(table.columns)}"'
            rows.append(f'<tr><th class="block" {span}>{escape(block.heading)}</th></tr>')
        for first, *cells in block.rows:
            values = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            rows.append(f'<tr><th scope="row">{escape(first)}</th>{values}</tr>')
    caption = f"Table {table.number}. {table.title}"
    return _wide(
        name,
        f'<table>\n<caption id="{name}">{escape(caption)}</caption>\n<thead>\n{_header(table.columns)}\n</thead>\n'
        "<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table>",
    ) + _notes(table.notes)


def _wide(label: str, table: str) -> str:
    return f'<div class="wide" role="region" aria-labelledby="{label}" tabindex="0">\n{table}\n</div>\n'


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    return '<ul class="notes">\n' + "\n".join(f"<li>{escape(note)}</li>" for note in notes) + "\n</ul>"


def _header(columns: Sequence[tuple[str, ...]]) -> str:
    """Draw the levels of a header, equal neighbours of an outer level as one cell."""
    levels = len(columns[0])
    lines = []
    for level in range(levels):
        cells = []
        for name, group in groupby(columns, key=lambda column: column[: level + 1]):
            span = len(list(group))
            if level < levels - 1:
                kind = f'class="group" scope="colgroup" colspan="{span}"' if name[-1] else f'colspan="{span}"'
                tag = "th" if name[-1] else "td"
                cells.append(f"<{tag} {kind}>{escape(name[-1])}</{tag}>")
            else:
                cells += [f'<th scope="col">{escape(name[-1])}</th>'] * span
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join(lines)


def _figure(drawing: Drawing) -> str:
    svg, png = (drawing.path.with_name(f"{drawing.path.name}.{ending}") for ending in ("svg", "png"))
    path, kind = (svg, "svg+xml") if svg.is_file() and svg.stat().st_size <= _LARGEST_SVG else (png, "png")
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    title, shows = escape(drawing.title), escape(drawing.shows)
    return (
        f'<figure>\n<img src="data:image/{kind};base64,{data}" alt="{title}: {shows}">\n'
        f"<figcaption><strong>{title}.</strong> {shows}</figcaption>\n</figure>"
    )


def _commands(lines: Sequence[str]) -> str:
    return f'<pre tabindex="0" aria-label="Commands"><code>{escape(chr(10).join(lines))}</code></pre>'


def _cells(cells: Sequence[Mapping[str, str]]) -> str:
    if not cells:
        return "<p>No cell has been run.</p>"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in cells[0])
    rows = []
    for cell in cells:
        first, *values = cell.values()
        rows.append(f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(v)}</td>" for v in values)}</tr>')
    table = (
        f'<table>\n<caption id="every-cell">Runs and what they rest on</caption>\n<thead><tr>{head}</tr></thead>\n'
        "<tbody>\n" + "\n".join(rows) + "\n</tbody>\n</table>"
    )
    return f"<details><summary>{len(cells)} runs</summary>\n{_wide('every-cell', table)}</details>"
