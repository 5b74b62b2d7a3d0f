"""The rows of a source as one table of text columns, each row with its place in the file.

A regular CSV - every line one record, all of one width - is read by DuckDB. Anything else (quoted line ends, blank
lines, ragged rows, damaged bytes, an open quote) is read again by `records`, slower and exact, so that a row number
is the line of the file on which the row starts, whatever the file looks like, and no row is lost.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from analyzer.errors import InputError
from analyzer.sources import detect
from analyzer.sources.source import Source, sheet_rows

CHUNK = 1 << 20
BATCH = 50_000
LONGEST_RECORD_LINES = 5_000
LONG_LINE = 1 << 26


@dataclass(frozen=True)
class Unread:
    """A record that could not be read as a row: its line, why (a key of the catalogue), and its text as it stands."""

    row_no: int
    reason: str
    original: str


@dataclass(frozen=True)
class Staged:
    """A table `name` with columns c0..cN (text) and `row_no` as an SQL expression over it; rows = table + unread."""

    name: str
    row_no: str
    rows: int
    unread: tuple[Unread, ...]


def stage(con: duckdb.DuckDBPyConnection, source: Source, name: str, scratch: Path) -> Staged:
    """Read `source` into the temporary table `name`.

    Args:
        con: where the table is made.
        source: what to read, as `open_sources` found it.
        name: a plain identifier of ours.
        scratch: a private folder for a copy in UTF-8, when the file is in another encoding.
    """
    con.execute(f"DROP TABLE IF EXISTS {name}")
    if source.kind == "excel":
        return _stage_sheet(con, source, name)
    if source.kind == "parquet":
        return _stage_parquet(con, source, name)
    path = _utf8_copy(source, scratch)
    try:
        if source.kind == "jsonl":
            return _stage_jsonl(con, source, name, path)
        staged = _stage_regular(con, source, name, path)
        return staged or _stage_exact(con, source, name, path)
    finally:
        if path != source.path:
            path.unlink()


def _utf8_copy(source: Source, scratch: Path) -> Path:
    """The file itself when it is UTF-8 with LF or CRLF; else a copy that is. Damaged bytes are kept, escaped."""
    bare_cr = source.kind == "csv" and _bare_cr(source.path)
    if source.encoding in ("utf-8", "utf-8-sig", "ascii") and not bare_cr:
        return source.path
    copy = scratch / f"{source.sha256[:16]}.utf8"
    decoder = codecs.getincrementaldecoder(source.encoding or "utf-8")(errors="surrogateescape" if _narrow(source) else "replace")
    with source.path.open("rb") as raw, copy.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        first = True
        while True:
            chunk = raw.read(CHUNK)
            text = decoder.decode(chunk, final=not chunk)
            if first:
                text, first = text.removeprefix("\ufeff"), False
            out.write(text.replace("\r", "\n") if bare_cr else text)
            if not chunk:
                return copy


def _narrow(source: Source) -> bool:
    """Encodings whose decoder can carry a damaged byte through as a surrogate (UTF-16 cannot)."""
    return not (source.encoding or "").startswith("utf-16")


def _bare_cr(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(CHUNK)
    return b"\r" in head and b"\n" not in head


def _stage_regular(con: duckdb.DuckDBPyConnection, source: Source, name: str, path: Path) -> Staged | None:
    columns = "{" + ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(source.columns))) + "}"
    longest = f", max_line_size = {LONG_LINE}" if source.long_lines else ""
    try:
        con.execute(
            f"CREATE TEMP TABLE {name} AS SELECT * FROM read_csv(?, auto_detect = false, delim = ?, quote = '\"',"
            f" escape = '\"', header = false, skip = {source.header_row}, columns = {columns}{longest})",
            [str(path), source.delimiter],
        )
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        return None
    rows = _count(con, name)
    seen = source.census if source.census and path == source.path else detect.census(path)
    if rows + source.header_row == seen.lines and _even(con, source, name, rows, seen):
        return Staged(name, f"({name}.rowid + {source.header_row + 1})", rows, ())
    con.execute(f"DROP TABLE {name}")
    return None


def _even(con: duckdb.DuckDBPyConnection, source: Source, name: str, rows: int, seen: detect.Census) -> bool:
    """Whether every row has the header's width. DuckDB lets one empty cell too many pass, although the others are then
    shifted: without quotes the delimiters are counted, with quotes the lines that end with one."""
    width, delimiter = len(source.columns), source.delimiter or ","
    if delimiter not in seen.delimiters:
        return False
    if not seen.quotes and source.header_row == 1:
        return seen.delimiters[delimiter] == (rows + 1) * (width - 1)
    empty = con.execute(f"SELECT count(*) FROM {name} WHERE c{width - 1} IS NULL").fetchall()[0][0]
    return seen.open_ended[delimiter] <= int(empty)


def _stage_exact(con: duckdb.DuckDBPyConnection, source: Source, name: str, path: Path) -> Staged:
    width = len(source.columns)
    unread: list[Unread] = []
    schema = pa.schema([("row_no", pa.int64()), *((f"c{i}", pa.string()) for i in range(width))])
    _create(con, name, width)
    rows: list[tuple[object, ...]] = []
    total = 0

    def flush() -> None:
        if rows:
            batch = pa.table([pa.array(c, type=f.type) for c, f in zip(zip(*rows, strict=True), schema, strict=True)], schema=schema)
            con.register("staged_batch", batch)
            con.execute(f"INSERT INTO {name} SELECT * FROM staged_batch")
            con.unregister("staged_batch")
            rows.clear()

    for line, record, original in records(path, source.delimiter or ","):
        if line <= source.header_row:
            continue
        total += 1
        problem = _problem(record, original, width)
        if problem:
            unread.append(Unread(line, problem, printable(original)))
        else:
            rows.append((line, *(cell or None for cell in record or ())))
        if len(rows) >= BATCH:
            flush()
    flush()
    return Staged(name, f"{name}.row_no", total, tuple(unread))


def _problem(record: list[str] | None, original: str, width: int) -> str | None:
    if record is None:
        return "reject.open_quote"
    if any("\udc80" <= char <= "\udcff" for char in original) or "\ufffd" in original:
        return "reject.encoding"
    if len(record) < width:
        return "reject.too_few"
    if len(record) > width:
        return "reject.too_many"
    return None


def records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str] | None, str]]:
    """(line on which it starts, cells, text) of each record that is not blank.

    A quote that is never closed would swallow the rest of the file: after `LONGEST_RECORD_LINES` lines, or at the
    end, only its first line is given up (cells None) and reading goes on with the next one.
    """
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        pending: list[tuple[int, str]] = []
        quotes = 0
        lines = _Pushback(enumerate(file, start=1))
        while (item := lines.next()) is not None:
            number, line = item
            if not pending and not line.strip("\r\n"):
                continue
            pending.append((number, line))
            quotes += line.count('"')
            if quotes % 2 and len(pending) < LONGEST_RECORD_LINES and not lines.at_end():
                continue
            if quotes % 2:
                yield pending[0][0], None, pending[0][1].rstrip("\r\n")
                lines.push(pending[1:])
            else:
                text = "".join(part for _, part in pending).rstrip("\r\n")
                yield pending[0][0], _cells(text, delimiter), text
            pending, quotes = [], 0


def _cells(text: str, delimiter: str) -> list[str] | None:
    try:
        # An even number of quotes need not be a well-formed record ('"a"b,"c'): the strict reader says so.
        parsed = list(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        parsed = list(csv.reader([text], delimiter=delimiter, quoting=csv.QUOTE_NONE))
    return parsed[0] if len(parsed) == 1 else [cell for row in parsed for cell in row]


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


def printable(text: str) -> str:
    """Text that can be stored: damaged bytes as \\xNN, NUL as \\x00."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\x00", "\\x00")


def _stage_jsonl(con: duckdb.DuckDBPyConnection, source: Source, name: str, path: Path) -> Staged:
    longest = f", max_line_size = {LONG_LINE}" if source.long_lines else ""
    lines = f"{name}_lines"
    try:
        con.execute(f"DROP TABLE IF EXISTS {lines}")
        con.execute(
            f"CREATE TEMP TABLE {lines} AS SELECT * FROM read_csv(?, auto_detect = false, delim = '\x01', quote = '',"
            f" escape = '', header = false, null_padding = true, columns = {{'line': 'VARCHAR'}}{longest})",
            [str(path)],
        )
    except duckdb.InvalidInputException as error:
        raise InputError("input.json_encoding", path=source.path.name) from error
    fields = ", ".join(
        f"json_extract_string(line, '{_json_path(column)}') AS c{i}" for i, column in enumerate(source.columns)
    )
    good = "CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE false END"
    con.execute(f"CREATE TEMP TABLE {name} AS SELECT rowid + 1 AS row_no, {fields} FROM {lines} WHERE {good}")
    bad = con.execute(
        f"SELECT rowid + 1, line FROM {lines} WHERE trim(line) <> '' AND NOT coalesce({good}, false) ORDER BY 1"
    ).fetchall()
    con.execute(f"DROP TABLE {lines}")
    unread = tuple(Unread(int(row), "reject.json", text) for row, text in bad)
    return Staged(name, f"{name}.row_no", _count(con, name) + len(unread), unread)


def _json_path(column: str) -> str:
    return ('$."' + column.replace("\\", "\\\\").replace('"', '\\"') + '"').replace("'", "''")


def _stage_parquet(con: duckdb.DuckDBPyConnection, source: Source, name: str) -> Staged:
    casts = ", ".join(f'"{c.replace(chr(34), chr(34) * 2)}"::VARCHAR AS c{i}' for i, c in enumerate(source.columns))
    con.execute(f"CREATE TEMP TABLE {name} AS SELECT {casts} FROM read_parquet(?)", [str(source.path)])
    return Staged(name, f"({name}.rowid + 1)", _count(con, name), ())


def _stage_sheet(con: duckdb.DuckDBPyConnection, source: Source, name: str) -> Staged:
    from python_calamine import CalamineWorkbook

    width = len(source.columns)
    with CalamineWorkbook.from_path(str(source.path)) as book:
        rows = sheet_rows(book, source.sheet or "")
    body = [
        (number, *(cell or None for cell in row[:width]))
        for number, row in enumerate(rows, start=1)
        if number > source.header_row and any(cell and cell.strip() for cell in row)
    ]
    _create(con, name, width)
    if body:
        columns = list(zip(*body, strict=True))
        names = ["row_no", *(f"c{i}" for i in range(width))]
        types = [pa.int64(), *([pa.string()] * width)]
        batch = pa.table([pa.array(c, type=t) for c, t in zip(columns, types, strict=True)], names=names)
        con.register("staged_batch", batch)
        con.execute(f"INSERT INTO {name} SELECT * FROM staged_batch")
        con.unregister("staged_batch")
    return Staged(name, f"{name}.row_no", len(body), ())


def _create(con: duckdb.DuckDBPyConnection, name: str, width: int) -> None:
    columns = ", ".join(f"c{i} VARCHAR" for i in range(width))
    con.execute(f"CREATE TEMP TABLE {name} (row_no BIGINT, {columns})")


def _count(con: duckdb.DuckDBPyConnection, name: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {name}").fetchall()[0]
    return int(row[0])
