"""One table as found in one file, and everything that was worked out about it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb

from analyzer.errors import InputError
from analyzer.sources import detect, documents, markup
from analyzer.sources.records import records

SAMPLE_BYTES = 1 << 18
_SAMPLE_LINES = 2000
_JSON_ENCODINGS = ("utf", "gb18030", "big5")


@dataclass(frozen=True)
class Hints:
    """What a mapping says about a file, so that it need not be worked out. `header` is a 1-based row, 0 for none."""

    encoding: str | None = None
    delimiter: str | None = None
    header: int | None = None


@dataclass(frozen=True)
class Source:
    """One table in one file: a CSV file, one sheet of a workbook, a page or a JSON document, a JSON Lines or a Parquet file.

    `header_row` is the 1-based row that holds the column names, 0 when there is none. `certain` is False when the
    encoding is the likeliest rather than known. `bare_cr` is True when the rows of a CSV file end in CR alone, `nuls`
    when a text holds zero bytes, which are left out; `shape` says where the columns of JSON are.
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
    bare_cr: bool = False
    nuls: bool = False
    shape: documents.Shape | None = None

    @property
    def name(self) -> str:
        """File name, with the sheet where there is one. Never the whole path."""
        return f"{self.path.name}#{self.sheet}" if self.sheet else self.path.name


_REFUSED = {
    "zip": "input.zip",
    "pdf": "input.pdf",
    "binary": "input.binary",
}


def open_sources(path: Path, known: Callable[[str], bool], hints: Hints | None = None) -> list[Source]:
    """The tables in `path` (more than one only for a workbook, which may be one in XML).

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
    if kind == "json":
        return [_json(path, seen, known, hints)]
    if kind in ("html", "xml"):
        return _markup(path, kind, seen, known, hints)
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
    encoding, certain = (hints.encoding, True) if hints.encoding else detect.encoding_of(seen)
    raw = seen.head[:SAMPLE_BYTES]
    try:
        text = raw.decode(detect.codec(encoding), errors="replace").lstrip("\ufeff").replace("\x00", "")
    except LookupError as error:
        raise InputError("input.encoding_name", path=path.name, encoding=encoding) from error
    if bare_cr := detect.bare_cr(text):
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    delimiter = hints.delimiter or detect.delimiter_of(text)
    cut = len(raw) < seen.size
    lines, rows = _sampled(text, delimiter, cut)
    if not rows:
        raise InputError("input.no_header", path=path.name)
    if hints.header is None:
        header = detect.header_of(rows, known)
    else:
        header = next((i for i, (first, last) in enumerate(lines) if first <= hints.header <= last), len(rows)) if hints.header else None
    if header is None:
        width = max((len(row) for row in _untorn(rows)), default=0)
        header_row, columns, body = 0, tuple(f"column_{i}" for i in range(1, width + 1)), rows
    else:
        if header >= len(rows):
            raise InputError("input.header_beyond", path=path.name, row=hints.header)
        header_row, body = lines[header][1], rows[header + 1 :]
        columns = column_names([*rows[header], *_trailing(len(rows[header]), _untorn(body))])
    if "\r" in text:
        lines, rows = _sampled(text, delimiter, cut, len(columns), header_row)
        body = [row for (first, _), row in zip(lines, rows, strict=True) if first > header_row]
    sample = tuple(tuple(r) for r in body[:50])
    return Source(
        path, "csv", seen.sha256, seen.size, columns, sample, None, encoding, certain, delimiter, header_row,
        seen.long_lines, seen.census, bare_cr, _has_nuls(seen, encoding),
    )  # fmt: skip


def _sampled(text: str, delimiter: str, cut: bool, width: int = 0, header_row: int = 0) -> tuple[list[tuple[int, int]], list[list[str]]]:
    """The first records of a sample that are not blank, and the lines on which each begins and ends. Where stray
    carriage returns end rows is known only with the `width` of the table.

    The last one is left out where the end of the sample may have cut it, as it does where a quote stays open.
    """
    found: list[tuple[tuple[int, int], list[str]]] = []
    for line, cells, original in islice(records(io.StringIO(text, newline="\n"), delimiter, width, header_row), detect.HEAD_ROWS):
        if cells is None and cut and found:
            break
        found.append(((line, line + original.count("\n")), original.split(delimiter) if cells is None else cells))
    if cut and 1 < len(found) < detect.HEAD_ROWS:
        found.pop()
    return [lines for lines, _ in found], [cells for _, cells in found]


def _untorn(rows: list[list[str]]) -> list[list[str]]:
    """The rows that tell how wide the table is: where a stray carriage return ends one, two are still together here."""
    return [row for row in rows if not any("\r" in cell for cell in row)] or rows


def _has_nuls(seen: detect.Passport, encoding: str) -> bool:
    """Whether zero bytes are characters: in UTF-16 and UTF-32 they are parts of them, and looking is not worth while."""
    return seen.nuls > 0 and not encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32"))


def _trailing(width: int, body: Sequence[Sequence[str]]) -> list[str]:
    """Blank names for the columns that every row has beyond the header because it ends with a delimiter."""
    beyond = {len(row) - width for row in body if row}
    if len(beyond) != 1 or max(beyond) <= 0 or any(cell.strip() for row in body for cell in row[width:]):
        return []
    return [""] * max(beyond)


def _workbook(path: Path, seen: detect.Passport, known: Callable[[str], bool], hints: Hints) -> list[Source]:
    import python_calamine

    base = Source(path, "excel", seen.sha256, seen.size, (), ())
    try:
        found = [_of_rows(replace(base, sheet=sheet), list(enumerate(rows, start=1)), known, hints) for sheet, rows in _sheets(path) if rows]
    except python_calamine.PasswordError as error:
        raise InputError("input.encrypted", path=path.name) from error
    except (python_calamine.CalamineError, ValueError) as error:
        raise InputError("input.workbook", path=path.name) from error
    if not found:
        raise InputError("input.empty_workbook", path=path.name)
    return found


def _of_rows(base: Source, rows: markup.Rows, known: Callable[[str], bool], hints: Hints) -> Source:
    """A source whose rows, all as wide, have numbers of their own: its columns and sample are added."""
    if hints.header is None:
        header = detect.header_of([[cell or "" for cell in row] for _, row in rows[: detect.HEAD_ROWS]], known)
    else:
        header = next((i for i, (number, _) in enumerate(rows) if number == hints.header), None)
    if header is None:
        columns, header_row, body = tuple(f"column_{i}" for i in range(1, len(rows[0][1]) + 1)), 0, rows
    else:
        columns, header_row, body = column_names(rows[header][1]), rows[header][0], rows[header + 1 :]
    return replace(base, columns=columns, header_row=header_row, sample=tuple(tuple(row) for _, row in body[:50]))


def _markup(path: Path, kind: str, seen: detect.Passport, known: Callable[[str], bool], hints: Hints) -> list[Source]:
    if seen.size > markup.LARGEST:
        raise InputError("input.markup_large", path=path.name, most=markup.LARGEST >> 20)
    encoding, certain = (hints.encoding, True) if hints.encoding else detect.declared(seen) or detect.encoding_of(seen)
    base = Source(path, kind, seen.sha256, seen.size, (), (), None, encoding, certain)
    return [_of_rows(replace(base, sheet=sheet), rows, known, hints) for sheet, rows in markup_tables(base)]


def markup_tables(source: Source) -> list[tuple[str | None, markup.Rows]]:
    """The tables of a page (one, without a name) or of a workbook in XML, with the numbers of their rows.

    Raises:
        InputError: there is none, or it is not one that is read; the sentence says what to do.
    """
    name = source.path.name
    try:
        text = whole_text(source)
        found = markup.xml_sheets(text) if source.kind == "xml" else [("", markup.html_rows(text))]
    except markup.TooLargeError as error:
        raise InputError("input.markup_large", path=name, most=markup.LARGEST >> 20) from error
    except markup.DoctypeError as error:
        raise InputError("input.doctype", path=name) from error
    except ElementTree.ParseError as error:
        raise InputError("input.workbook", path=name) from error
    filled = [(sheet, rows) for sheet, rows in found if any(any(row) for _, row in rows)]
    if not filled:
        raise InputError("input.empty_workbook" if source.kind == "xml" else "input.html", path=name)
    # Two sheets of one name would be one sheet read twice.
    names = column_names([sheet for sheet, _ in filled]) if source.kind == "xml" else (None,)
    return [(sheet, rows) for sheet, (_, rows) in zip(names, filled, strict=True)]


def whole_text(source: Source) -> str:
    """A text that is read as a whole. Bytes that are not of its encoding become U+FFFD; zero bytes are left out."""
    return _text(source, source.path.read_bytes())


def _text(source: Source, octets: bytes) -> str:
    try:
        return octets.decode(detect.codec(source.encoding or "utf-8"), errors="replace").lstrip("\ufeff").replace("\x00", "")
    except LookupError as error:
        raise InputError("input.encoding_name", path=source.path.name, encoding=source.encoding) from error


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


def _json(path: Path, seen: detect.Passport, known: Callable[[str], bool], hints: Hints) -> Source:
    """JSON Lines, or a document: an array, one object around one, or objects written over several lines.

    A file whose first line is not an object may still be JSON Lines with a damaged line: if it is no document, and
    most of its lines are objects.
    """
    encoding, certain = (hints.encoding, True) if hints.encoding else detect.encoding_of(seen)
    if not hints.encoding and not encoding.startswith(_JSON_ENCODINGS):
        # A line that is not UTF-8 is damaged, not in a Western encoding.
        encoding = "utf-8"
    base = Source(
        path, "jsonl", seen.sha256, seen.size, (), (), None, encoding, certain, None, 0, seen.long_lines,
        nuls=_has_nuls(seen, encoding),
    )  # fmt: skip
    text = _text(base, seen.head).lstrip()
    lines = text.split("\n")
    if len(seen.head) < seen.size:
        lines.pop()
    lines = [line for line in lines if line.strip()]
    objects = [documents.object_of(line) for line in lines[:_SAMPLE_LINES]]
    more = len(lines) > 1 or len(seen.head) < seen.size or path.suffix.lower() in (".jsonl", ".ndjson")
    mostly = text.startswith("{") and 2 * objects.count(None) < len(objects)
    if objects and objects[0] is not None and more:
        return _jsonl(base, objects, len(lines))
    try:
        if seen.size <= documents.LARGEST:
            return _document(replace(base, kind="json"), known)
    except documents.DamagedError as error:
        if not mostly:
            key = "input.json" if error.line == 1 and text.startswith("{") else "input.json_damaged"
            raise InputError(key, path=path.name, line=error.line) from error
    if mostly:
        return _jsonl(base, objects, len(lines))
    raise InputError("input.json_large", path=path.name, most=documents.LARGEST >> 20)


def _document(base: Source, known: Callable[[str], bool]) -> Source:
    text = whole_text(base)
    rows_at = documents.layout(text, known)
    fields, longest = documents.Fields(), 0
    rows: list[dict[str, Any]] = []
    for start, end, value in documents.items(text, rows_at):
        longest = max(longest, end - start)
        if isinstance(value, dict):
            fields.add(value)
            rows += [value] if len(rows) < 50 else []
    if not fields.paths():
        raise InputError("input.json_array" if text.lstrip().startswith("[") else "input.json", path=base.path.name)
    return replace(_with_fields(base, fields, rows, rows_at), long_lines=longest >= detect.CHUNK // 4)


def _jsonl(base: Source, objects: Sequence[dict[str, Any] | None], lines: int) -> Source:
    """JSON Lines, by the objects of the first lines of those that are known."""
    fields, rows = documents.Fields(), [row for row in objects if row is not None]
    for row in rows:
        fields.add(row)
    if lines > len(objects) or base.size > detect.CHUNK:
        _add_later(fields, base)
    if not fields.paths():
        raise InputError("input.json", path=base.path.name)
    return _with_fields(base, fields, rows[:50], ())


def _with_fields(base: Source, fields: documents.Fields, rows: Sequence[dict[str, Any]], rows_at: documents.Path) -> Source:
    paths = fields.paths()
    names = [".".join(path) for path in paths]
    columns = tuple(names) if len(set(names)) == len(names) else column_names(names)
    sample = tuple(tuple(documents.value_at(row, path) for path in paths) for row in rows)
    return replace(base, columns=columns, sample=sample, shape=documents.Shape(paths, rows_at))


def _add_later(fields: documents.Fields, base: Source) -> None:
    """Take note of the keys of all objects of a JSON Lines file, so that a field that first comes late is not lost."""
    if (base.encoding or "").startswith("utf-8") and not base.nuls:
        try:
            _add_by_duckdb(fields, str(base.path))
            return
        except duckdb.Error:
            # Lines that end in different ways, or one that is too long for it.
            pass
    with base.path.open(encoding=detect.codec(base.encoding or "utf-8"), errors="replace") as file:
        for line in file:
            fields.add(documents.object_of(line.replace("\x00", "")) or {})


def _add_by_duckdb(fields: documents.Fields, path: str) -> None:
    lines = (
        "(SELECT line FROM read_csv(?, auto_detect = false, delim = '\x01', quote = '', escape = '', header = false, null_padding = true,"
        " columns = {'line': 'VARCHAR'}, ignore_errors = true) WHERE json_valid(line) AND line LIKE '{%')"
    )
    with duckdb.connect() as con:
        keys = con.execute(f"SELECT DISTINCT unnest(json_keys(line)) AS key FROM {lines} ORDER BY key", [path]).fetchall()
        fields.add({key: None for (key,) in keys})
        # Only a line with a second brace can hold an object in its object.
        for (structure,) in con.execute(f"SELECT DISTINCT json_structure(line)::VARCHAR FROM {lines} WHERE line LIKE '{{%{{%'", [path]).fetchall():
            found = documents.object_of(structure) or {}
            fields.add({key: None if kind in ("NULL", "JSON") else kind for key, kind in found.items()})
        for key in fields.nested():
            plain = f"json_type(line, '{documents.sql_path((key,))}') NOT IN ('OBJECT', 'NULL')"
            if con.execute(f"SELECT 1 FROM {lines} WHERE {plain} LIMIT 1", [path]).fetchall():
                fields.add({key: True})
