"""One table as found in one file, and everything that was worked out about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb

from analyzer.errors import InputError
from analyzer.sources import detect

SAMPLE_BYTES = 1 << 18


@dataclass(frozen=True)
class Hints:
    """What a mapping says about a file, so that it need not be worked out. `header` is a 1-based row, 0 for none."""

    encoding: str | None = None
    delimiter: str | None = None
    header: int | None = None


@dataclass(frozen=True)
class Source:
    """One table in one file: a CSV file, one sheet of a workbook, a JSON Lines or a Parquet file.

    `header_row` is the 1-based row that holds the column names, 0 when there is none. `certain` is False when the
    encoding is the likeliest rather than known.
    """

    path: Path
    kind: str
    sha256: str
    size: int
    columns: tuple[str, ...]
    sample: tuple[tuple[str | None, ...], ...]
    sheet: str | None = None
    encoding: str | None = None
    certain: bool = True
    delimiter: str | None = None
    header_row: int = 0
    long_lines: bool = False
    census: detect.Census | None = None

    @property
    def name(self) -> str:
        """File name, with the sheet where there is one. Never the whole path."""
        return f"{self.path.name}#{self.sheet}" if self.sheet else self.path.name


_REFUSED = {
    "zip": "input.zip",
    "html": "input.html",
    "json": "input.json_array",
    "pdf": "input.pdf",
    "binary": "input.binary",
}


def open_sources(path: Path, known: Callable[[str], bool], hints: Hints | None = None) -> list[Source]:
    """The tables in `path` (more than one only for a workbook).

    Args:
        path: a file.
        known: says whether a cell is a column name that we know, used to find the header row.
        hints: what a mapping says about the file.

    Raises:
        InputError: the file is empty, encrypted, or not a table; the sentence says what to do.
    """
    hints = hints or Hints()
    try:
        seen = detect.passport(path)
    except OSError as error:
        raise InputError("input.unreadable", path=path.name, why=error.strerror or "") from error
    kind = detect.kind_of(path, seen.head)
    if kind == "empty":
        raise InputError("input.empty", path=path.name, size=seen.size)
    if kind in _REFUSED:
        raise InputError(_REFUSED[kind], path=path.name)
    if kind == "excel":
        return _workbook(path, seen, known, hints)
    if kind == "parquet":
        return [_parquet(path, seen)]
    if kind == "jsonl":
        return [_jsonl(path, seen)]
    return [_csv(path, seen, known, hints)]


def column_names(cells: Sequence[str | None]) -> tuple[str, ...]:
    """Header cells as distinct names: blanks become `column_3`, repeats get a number."""
    names: list[str] = []
    for position, cell in enumerate(cells, start=1):
        base = " ".join((cell or "").split()) or f"column_{position}"
        name, times = base, 2
        while name in names:
            name, times = f"{base}_{times}", times + 1
        names.append(name)
    return tuple(names)


def _csv(path: Path, seen: detect.Passport, known: Callable[[str], bool], hints: Hints) -> Source:
    encoding, certain = (hints.encoding, True) if hints.encoding else detect.encoding_of(seen.head, seen.utf8)
    raw = seen.head[:SAMPLE_BYTES]
    try:
        text = raw.decode(encoding, errors="replace").lstrip("\ufeff")
    except LookupError as error:
        raise InputError("input.encoding_name", path=path.name, encoding=encoding) from error
    cut = len(raw) < seen.size
    if "\n" not in text:
        text = text.replace("\r", "\n")
    delimiter = hints.delimiter or detect.delimiter_of(text)
    rows = detect.records(text, delimiter)
    if cut and len(rows) > 1 and len(rows) < detect.HEAD_ROWS:
        rows = rows[:-1]
    header = detect.header_of(rows, known) if hints.header is None else hints.header - 1
    width = max((len(r) for r in rows), default=0)
    if header is None or header < 0:
        header_row, columns, body = 0, tuple(f"column_{i}" for i in range(1, width + 1)), rows
    else:
        if header >= len(rows):
            raise InputError("input.header_beyond", path=path.name, row=header + 1)
        header_row, body = header + 1, rows[header + 1 :]
        columns = column_names([*rows[header], *_trailing(len(rows[header]), body)])
    sample = tuple(tuple(r) for r in body[:50])
    return Source(
        path, "csv", seen.sha256, seen.size, columns, sample, None, encoding, certain, delimiter, header_row,
        seen.long_lines, seen.census,
    )  # fmt: skip


def _trailing(width: int, body: Sequence[Sequence[str]]) -> list[str]:
    """Blank names for the columns that every row has beyond the header because it ends with a delimiter."""
    beyond = {len(row) - width for row in body if row}
    if len(beyond) != 1 or max(beyond) <= 0 or any(cell.strip() for row in body for cell in row[width:]):
        return []
    return [""] * max(beyond)


def _workbook(path: Path, seen: detect.Passport, known: Callable[[str], bool], hints: Hints) -> list[Source]:
    import python_calamine

    found = []
    try:
        for sheet, rows in _sheets(path):
            if not rows:
                continue
            top = rows[: detect.HEAD_ROWS]
            header = detect.header_of([[c or "" for c in r] for r in top], known) if hints.header is None else hints.header - 1
            first = header if header is not None and 0 <= header < len(rows) else None
            columns = column_names(rows[first]) if first is not None else tuple(f"column_{i}" for i in range(1, len(rows[0]) + 1))
            start = 0 if first is None else first + 1
            sample = tuple(tuple(r) for r in rows[start : start + 50])
            found.append(Source(path, "excel", seen.sha256, seen.size, columns, sample, sheet, header_row=start))
    except python_calamine.PasswordError as error:
        raise InputError("input.encrypted", path=path.name) from error
    except (python_calamine.CalamineError, ValueError) as error:
        raise InputError("input.workbook", path=path.name) from error
    if not found:
        raise InputError("input.empty_workbook", path=path.name)
    return found


def _sheets(path: Path) -> Iterator[tuple[str, list[list[str | None]]]]:
    from python_calamine import CalamineWorkbook

    with CalamineWorkbook.from_path(str(path)) as book:
        for sheet in book.sheet_names:
            yield sheet, sheet_rows(book, sheet)


def sheet_rows(book: Any, sheet: str) -> list[list[str | None]]:
    """All rows of a sheet from its first one on, as text: dates and times in ISO form, whole numbers without a point."""
    rows = [[_cell_text(cell) for cell in row] for row in book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)]
    while rows and not any(rows[-1]):
        rows.pop()
    return rows


def _cell_text(cell: object) -> str | None:
    match cell:
        case None | "":
            return None
        case str():
            return cell
        case bool():
            return "true" if cell else "false"
        case float() if cell.is_integer():
            return str(int(cell))
        case datetime():
            return cell.isoformat(sep=" ")
        case timedelta():
            seconds = round(cell.total_seconds())
            return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        case date() | time():
            return cell.isoformat()
        case _:
            return str(cell)


def _parquet(path: Path, seen: detect.Passport) -> Source:
    with duckdb.connect() as con:
        try:
            rel = con.sql("SELECT * FROM read_parquet(?) LIMIT 50", params=[str(path)])
            columns = tuple(rel.columns)
            casts = ", ".join(f'"{c.replace(chr(34), chr(34) * 2)}"::VARCHAR' for c in columns)
            rows = con.sql(f"SELECT {casts} FROM read_parquet(?) LIMIT 50", params=[str(path)]).fetchall()
        except duckdb.Error as error:
            raise InputError("input.parquet", path=path.name) from error
    return Source(path, "parquet", seen.sha256, seen.size, columns, tuple(rows))


def _jsonl(path: Path, seen: detect.Passport) -> Source:
    import json

    # JSON is UTF-8 (or UTF-16 with a mark); a line that is not is damaged, not in another encoding.
    encoding, certain = detect.encoding_of(seen.head, seen.utf8)
    encoding = encoding if encoding.startswith("utf") else "utf-8"
    columns: dict[str, None] = {}
    objects: list[dict[str, object]] = []
    lines = seen.head.decode(encoding, errors="replace").lstrip("\ufeff").splitlines()
    if len(seen.head) < seen.size:
        lines = lines[:-1]
    for line in lines[:2000]:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            columns.update(dict.fromkeys(k for k in map(str, value) if k and "\x00" not in k))
            objects.append(value)
    if not columns:
        raise InputError("input.json", path=path.name)
    if len(lines) > 2000 or len(seen.head) < seen.size:
        columns.update(dict.fromkeys(_later_keys(path)))
    sample = tuple(tuple(_cell(o.get(c)) for c in columns) for o in objects[:50])
    return Source(
        path, "jsonl", seen.sha256, seen.size, tuple(columns), sample, None, encoding, certain, None, 0, seen.long_lines
    )


def _later_keys(path: Path) -> list[str]:
    """The keys of all objects of a JSON Lines file, so that a field that first comes late is not lost."""
    with duckdb.connect() as con:
        try:
            rows = con.execute(
                "SELECT DISTINCT unnest(json_keys(line)) AS key FROM read_csv(?, auto_detect = false, delim = '\x01', quote = '', escape = '',"
                " header = false, null_padding = true, columns = {'line': 'VARCHAR'}, ignore_errors = true)"
                " WHERE json_valid(line) AND line LIKE '{%' ORDER BY key",
                [str(path)],
            ).fetchall()
        except duckdb.Error as error:
            raise InputError("input.json_encoding", path=path.name) from error
    return [key for (key,) in rows if key and "\x00" not in key]


def _cell(value: object) -> str | None:
    return None if value is None else value if isinstance(value, str) else str(value)
