"""Pieces of HTML: text that is escaped, tables, sections, and data for the page's script.

Captions, causes and messages come out of the world and out of judges, so every text goes through `text`, and data
through `data_block`, which leaves no character that could end a script element.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Any

from pipelines.stored.evidence import printable

SECRET_IN_ADDRESS = re.compile(r"//[^/@\s]+@")


def clean(value: object, most: int | None = None) -> str:
    """Text without control characters and without secrets in addresses; cut after `most` characters, with a mark."""
    said = SECRET_IN_ADDRESS.sub("//…@", printable(str(value)))
    return said if most is None or len(said) <= most else said[: most - 1] + "…"


def text(value: object, most: int | None = None) -> str:
    """The same, escaped: safe between tags and within quoted attributes."""
    return escape(clean(value, most))


def link(address: str, shown: str) -> str:
    """A link; whoever calls has seen that the address is one that a browser may be sent to."""
    return f'<a href="{text(address)}" rel="noreferrer">{text(shown)}</a>'


def data_block(value: Any) -> str:
    """Plain data for the page's script, in an element that is never executed."""
    said = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII: no U+2028, no control characters
    said = said.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'<script type="application/json">{said}</script>'


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    numbers: Sequence[int] = (),
    note: str = "",
    label: str = "",
) -> str:
    """A table whose first column names its rows; columns in `numbers` are aligned as numbers.

    Where there is no row, the note alone. `label` names the table to those who do not see what stands around it.
    """

    def cell(column: int, value: object) -> str:
        style = ' class="n"' if column in numbers else ""
        return f"<td{style}>{text(value)}</td>"

    body = "".join(f"<tr>{''.join(cell(c, value) for c, value in enumerate(row))}</tr>" for row in rows)
    said = f'<p class="none">{text(note)}</p>' if note else ""
    if not body:
        return said
    titles = "".join(
        f'<th scope="col"{" class=n" if c in numbers else ""}>{text(t) or "<span class=sr>what</span>"}</th>'
        for c, t in enumerate(head)
    )
    caption = f'<caption class="sr">{text(label)}</caption>' if label else ""
    wide = f"<table>{caption}<thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
    named = f' aria-label="{text(label)}"' if label else ' aria-label="table"'
    return f'<div class="wide" role="region" tabindex="0"{named}>{wide}</div>{said}'


def facts_list(pairs: Iterable[tuple[str, str]]) -> str:
    """Labels and values as a list of definitions."""
    items = "".join(f"<div><dt>{text(label)}</dt><dd>{text(value)}</dd></div>" for label, value in pairs)
    return f'<dl class="facts">{items}</dl>'


def details(summary: str, content: str) -> str:
    """What is shown when asked for."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>"


def section(title: str, content: Callable[[], str], level: int = 2) -> Iterator[str]:
    """A titled section; nothing where there is nothing to tell.

    A fault in one section costs that section only: a run of many hours is not left without its report.
    """
    try:
        html = content()
    except Exception as error:
        html = f'<p class="none">This part could not be made: {text(f"{type(error).__name__}: {error}", 500)}</p>'
    if html:
        heading = f"<h{level}>{text(title)}</h{level}>" if title else ""
        label = f' aria-label="{text(title or "At a glance")}"'
        yield f"<section{label}>{heading}{html}</section>"
