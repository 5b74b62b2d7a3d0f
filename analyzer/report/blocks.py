"""What a report is laid out in: a few kinds of block that PDF, Word and HTML each draw in their own way.

Every text of the logs passes `visible`, so that all three show the same characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analyzer.legible import visible


@dataclass(frozen=True)
class Span:
    """Part of a text; `marked` words are the evidence."""

    text: str
    marked: bool = False


@dataclass(frozen=True)
class Heading:
    """A title of level 1, 2 or 3."""

    text: str
    level: int
    kind: str = "heading"


@dataclass(frozen=True)
class Paragraph:
    """A text; `note` is small and grey, `head` stands over what follows."""

    text: str
    style: str = "body"
    kind: str = "paragraph"


@dataclass(frozen=True)
class Quote:
    """A text of the log under a line that says where it stands."""

    head: str
    spans: tuple[Span, ...]
    kind: str = "quote"


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    rows: tuple[tuple[str, str], ...]
    kind: str = "facts"


@dataclass(frozen=True)
class Table:
    """Columns with their shares of the width, rows of texts; `right`: the columns of numbers. `name` tells tables apart."""

    name: str
    columns: tuple[str, ...]
    widths: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[int, ...] = ()
    kind: str = "table"


@dataclass(frozen=True)
class Chart:
    """A picture as SVG with a caption; `alt` says it in words, `rows` holds its labels and figures."""

    caption: str
    svg: str
    alt: str
    rows: tuple[tuple[str, str], ...]
    kind: str = "chart"


@dataclass(frozen=True)
class Blank:
    """Room for a person to write in."""

    text: str
    kind: str = "blank"


@dataclass(frozen=True)
class Break:
    """The heading that follows begins a page."""

    kind: str = "break"


Block = Heading | Paragraph | Quote | Facts | Table | Chart | Blank | Break


@dataclass(frozen=True)
class Document:
    """A report laid out. `made` is the run's own time (UTC): no file depends on the clock."""

    lang: str
    title: str
    subtitle: str
    footer: str
    contents: str
    made: datetime
    blocks: tuple[Block, ...]


def spans(text: str, marks: Iterable[Mapping[str, Any]]) -> tuple[Span, ...]:
    """A text of the log cut at its marks, whose offsets count the characters as logged."""
    parts, at = list[Span](), 0
    for mark in sorted(marks, key=lambda m: (m["start"], m["end"])):
        start, end = max(int(mark["start"]), at), min(int(mark["end"]), len(text))
        if start < end:
            parts += [Span(visible(text[at:start])), Span(visible(text[start:end]), marked=True)]
            at = end
    return tuple(span for span in (*parts, Span(visible(text[at:]))) if span.text)
