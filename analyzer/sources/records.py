"""Lines to records: quotes, quoted line ends and stray carriage returns, with no line lost.

Slower than DuckDB and exact: `source` reads a sample with it, `stage` whatever DuckDB does not read as a regular table.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

LONGEST_RECORD_LINES = 5_000
Record = tuple[int, list[str] | None, str]


def records_of(path: Path, delimiter: str, width: int, header_row: int) -> Iterator[Record]:
    """The records of a file in UTF-8; damaged bytes are surrogates."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        yield from records(file, delimiter, width, header_row)


def records(lines: Iterable[str], delimiter: str, width: int = 0, header_row: int = 0) -> Iterator[Record]:
    """(line on which it starts, cells, text) of each record that is not blank.

    A quote that is never closed would swallow the rest of the file: after `LONGEST_RECORD_LINES` lines, or at the
    end, only its first line is given up (cells None) and reading goes on with the next one. So it is when the lines
    that the quotes hold together are no record; a quote inside a cell (5" pipe) opens nothing and its line is a row.

    A bare carriage return, outside quotes, in a file whose lines end in LF is part of its cell if the record has
    `width` cells that way. If not, and each piece between the carriage returns has as many, it ends a row - and a
    line, so that each row keeps a number of its own. Up to `header_row` it is always part of its cell.
    """
    csv.field_size_limit(1 << 30)
    pending: list[tuple[int, str]] = []
    quotes = returns = 0
    source = _Pushback(enumerate(lines, start=1))
    while (item := source.next()) is not None:
        number, line = item
        if not pending and not line.strip("\r\n"):
            continue
        pending.append((number, line))
        quotes += line.count('"')
        if quotes % 2 and len(pending) < LONGEST_RECORD_LINES and not source.at_end():
            continue
        start = pending[0][0] + returns
        text = "".join(part for _, part in pending).strip("\r\n")
        cells = None if quotes % 2 else _cells(text, delimiter, len(pending) == 1)
        if cells is None:
            alone = pending[0][1].strip("\r\n")
            yield start, _cells(alone, delimiter), alone
            source.push(pending[1:])
        elif rows := _rows(text, delimiter, width) if "\r" in text and width not in (0, len(cells)) and start > header_row else []:
            yield from ((start + at, row, piece) for at, row, piece in rows)
            returns += rows[-1][0]
        else:
            yield start, cells, text
        pending, quotes = [], 0


def _rows(text: str, delimiter: str, width: int) -> list[tuple[int, list[str], str]]:
    """The pieces of a record between its unquoted carriage returns, each with its place; none if one has another width."""
    rows: list[tuple[int, list[str], str]] = []
    piece, at = "", 0
    for part in text.split("\r"):
        piece = f"{piece}\r{part}" if piece else part
        if piece.count('"') % 2:
            continue
        if piece:
            cells = _cells(piece, delimiter)
            if cells is None or len(cells) != width:
                return []
            rows.append((at, cells, piece))
        piece, at = "", at + 1
    return [] if piece else rows


def _cells(text: str, delimiter: str, lenient: bool = False) -> list[str] | None:
    """The cells of a record, or None where its quotes are not well formed ('"a"b,"c'); leniently they are then characters like others."""
    # The csv module takes no carriage return outside quotes. NUL stands for it: no text that comes here holds one.
    returns = "\r" in text
    if returns:
        text = text.replace("\r", "\x00")
    try:
        cells = next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        if not lenient:
            return None
        cells = next(csv.reader([text], delimiter=delimiter, quoting=csv.QUOTE_NONE))
    return [cell.replace("\x00", "\r") for cell in cells] if returns else cells


class _Pushback:
    """An iterator of lines that takes lines back."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self._back: list[tuple[int, str]] = []

    def next(self) -> tuple[int, str] | None:
        return self._back.pop() if self._back else next(self._lines, None)

    def push(self, lines: list[tuple[int, str]]) -> None:
        self._back.extend(reversed(lines))

    def at_end(self) -> bool:
        if not self._back:
            item = next(self._lines, None)
            if item is not None:
                self._back.append(item)
        return not self._back
