"""The rows of a source as one table of text columns, each row with its place in the file.

A regular CSV - every line one record, all of one width - is read by DuckDB. Anything else (quoted line ends, blank
lines, ragged rows, damaged bytes, an open quote) is read again by `records`, slower and exact, so that a row number
is the line of the file on which the row starts, whatever the file looks like, and no row is lost.

What DuckDB cannot read as it stands - another encoding, rows that end in CR alone, zero bytes, a JSON document - is
written to a copy in the scratch folder first. In a document and in a page a row's number is its place among the rows.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa

from analyzer.errors import InputError
from analyzer.sources import detect, documents
from analyzer.sources.records import records_of
from analyzer.sources.source import Source, markup_tables, sheet_rows, whole_text

CHUNK = 1 << 20
BATCH = 50_000
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
    """Read `source` into the table `name`. A row with nothing in any cell is none.

    Args:
        con: where the table is made.
        source: what to read, as `open_sources` found it.
        name: an identifier of ours, with its database and schema or plain.
        scratch: a private folder for a copy in UTF-8, when the file cannot be read as it stands.
    """
    con.execute(f"DROP TABLE IF EXISTS {name}")
    staged = _staged(con, source, name, scratch)
    blank = " AND ".join(f"(c{i} IS NULL OR trim(c{i}, ' \t\u3000\u00a0\x1a') = '')" for i in range(len(source.columns)))
    if blanks := int(con.execute(f"SELECT count(*) FROM {name} WHERE {blank}").fetchall()[0][0]):
        con.execute(f"DELETE FROM {name} WHERE {blank}")
    return replace(staged, rows=staged.rows - blanks)


def _staged(con: duckdb.DuckDBPyConnection, source: Source, name: str, scratch: Path) -> Staged:
    match source.kind:
        case "excel":
            return _stage_sheet(con, source, name)
        case "html" | "xml":
            rows = next(rows for sheet, rows in markup_tables(source) if sheet == source.sheet)
            return _stage_rows(con, source, name, rows)
        case "parquet":
            return _stage_parquet(con, source, name)
        case "json":
            path = _lines_copy(source, scratch)
        case _:
            path = _utf8_copy(source, scratch)
    try:
        if source.kind != "csv":
            return _stage_jsonl(con, source, name, path, scratch)
        staged = _stage_regular(con, source, name, path)
        return staged or _stage_exact(con, source, name, path)
    finally:
        if path != source.path:
            path.unlink()


def _utf8_copy(source: Source, scratch: Path) -> Path:
    """The file itself when it is UTF-8 with LF or CRLF; else a copy that is.

    Damaged bytes are kept, escaped. Zero bytes are dropped: they fill up what a program wrote into fields of a fixed
    size, or were left behind by a crash, and no text holds one.
    """
    if source.encoding in ("utf-8", "utf-8-sig", "ascii") and not source.bare_cr and not source.nuls:
        return source.path
    copy = scratch / f"{source.sha256[:16]}.utf8"
    errors = "surrogateescape" if source.kind == "csv" and _narrow(source) else "replace"
    plain = codecs.getincrementaldecoder(detect.codec(source.encoding or "utf-8"))(errors=errors)
    decoder = io.IncrementalNewlineDecoder(plain, translate=True) if source.bare_cr else plain
    with source.path.open("rb") as raw, copy.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        first = True
        while True:
            chunk = raw.read(CHUNK)
            text = decoder.decode(chunk, final=not chunk).replace("\x00", "")
            if first:
                text, first = text.removeprefix("\ufeff"), False
            out.write(text)
            if not chunk:
                return copy


def _narrow(source: Source) -> bool:
    """Encodings whose decoder can carry a damaged byte through as a surrogate (UTF-16 and UTF-32 cannot)."""
    return not (source.encoding or "").lower().replace("_", "-").startswith(("utf-16", "utf-32"))


def _lines_copy(source: Source, scratch: Path) -> Path:
    """The rows of a JSON document, one a line."""
    text = whole_text(source)
    copy = scratch / f"{source.sha256[:16]}.jsonl"
    with copy.open("w", encoding="utf-8", newline="") as out:
        for start, end, _ in documents.items(text, source.shape.rows_at if source.shape else ()):
            out.write(documents.one_line(text[start:end]) + "\n")
    return copy


def _even_lines(path: Path, scratch: Path) -> Path:
    """A copy of JSON Lines whose lines all end in LF; damaged bytes become U+FFFD."""
    copy = scratch / f"{path.name}.lf"
    with path.open(encoding="utf-8-sig", errors="replace") as lines, copy.open("w", encoding="utf-8", newline="") as out:
        out.writelines(lines)
    return copy


def _stage_regular(con: duckdb.DuckDBPyConnection, source: Source, name: str, path: Path) -> Staged | None:
    seen = source.census if source.census and path == source.path else detect.census(path)
    if seen.bare_returns:
        # DuckDB takes some of them for line ends and stops at others.
        return None
    columns = "{" + ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(source.columns))) + "}"
    longest = f", max_line_size = {LONG_LINE}" if source.long_lines else ""
    try:
        con.execute(
            f"CREATE TABLE {name} AS SELECT * FROM read_csv(?, auto_detect = false, delim = ?, quote = '\"',"
            f" escape = '\"', header = false, skip = {source.header_row}, columns = {columns}{longest})",
            [str(path), source.delimiter],
        )
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        return None
    rows = _count(con, name)
    if rows + source.header_row == seen.lines and _even(con, source, name, rows, seen):
        return Staged(name, f"({_short(name)}.rowid + {source.header_row + 1})", rows, ())
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
    _create(con, name, width)
    rows: list[tuple[object, ...]] = []
    total = 0
    for line, record, original in records_of(path, source.delimiter or ",", width, source.header_row):
        if line <= source.header_row:
            continue
        total += 1
        problem = _problem(record, original, width)
        if problem:
            unread.append(Unread(line, problem, printable(original)))
        else:
            rows.append((line, *(cell or None for cell in record or ())))
        if len(rows) >= BATCH:
            _insert(con, name, width, rows)
            rows.clear()
    _insert(con, name, width, rows)
    return Staged(name, f"{_short(name)}.row_no", total, tuple(unread))


def _insert(con: duckdb.DuckDBPyConnection, name: str, width: int, rows: Iterable[tuple[object, ...]]) -> None:
    """Add rows of (number, cells) to a table."""
    columns = list(zip(*rows, strict=True))
    if not columns:
        return
    schema = pa.schema([("row_no", pa.int64()), *((f"c{i}", pa.string()) for i in range(width))])
    con.register("staged_batch", pa.table([pa.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)], schema=schema))
    con.execute(f"INSERT INTO {name} SELECT * FROM staged_batch")
    con.unregister("staged_batch")


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


def printable(text: str) -> str:
    """Text that can be stored: damaged bytes as \\xNN, NUL as \\x00."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").replace("\x00", "\\x00")


def _stage_jsonl(con: duckdb.DuckDBPyConnection, source: Source, name: str, path: Path, scratch: Path) -> Staged:
    lines = f"{name}_lines"
    damaged = "false" if path == source.path else "contains(line, '\ufffd')"
    try:
        _read_lines(con, source, lines, path)
    except duckdb.InvalidInputException:
        # Bytes that are not UTF-8, or lines that end in different ways: each line is then judged by itself.
        copy, damaged = _even_lines(path, scratch), "contains(line, '\ufffd')"
        try:
            _read_lines(con, source, lines, copy)
        except duckdb.InvalidInputException as error:
            raise InputError("input.json_encoding", path=source.path.name) from error
        finally:
            copy.unlink()
    paths = source.shape.paths if source.shape else ()
    fields = ", ".join(f"json_extract_string(line, '{documents.sql_path(path)}') AS c{i}" for i, path in enumerate(paths))
    good = f"CASE WHEN {damaged} THEN false WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE false END"
    con.execute(f"CREATE TABLE {name} AS SELECT rowid + 1 AS row_no, {fields} FROM {lines} WHERE {good}")
    bad = con.execute(
        f"SELECT rowid + 1, line, {damaged} FROM {lines} WHERE trim(line) <> '' AND NOT coalesce({good}, false) ORDER BY 1"
    ).fetchall()
    con.execute(f"DROP TABLE {lines}")
    unread = tuple(Unread(int(row), "reject.encoding" if harmed else "reject.json", text) for row, text, harmed in bad)
    return Staged(name, f"{_short(name)}.row_no", _count(con, name) + len(unread), unread)


def _read_lines(con: duckdb.DuckDBPyConnection, source: Source, lines: str, path: Path) -> None:
    longest = f", max_line_size = {LONG_LINE}" if source.long_lines else ""
    con.execute(f"DROP TABLE IF EXISTS {lines}")
    con.execute(
        f"CREATE TABLE {lines} AS SELECT * FROM read_csv(?, auto_detect = false, delim = '\x01', quote = '',"
        f" escape = '', header = false, null_padding = true, columns = {{'line': 'VARCHAR'}}{longest})",
        [str(path)],
    )


def _stage_parquet(con: duckdb.DuckDBPyConnection, source: Source, name: str) -> Staged:
    casts = ", ".join(f'"{c.replace(chr(34), chr(34) * 2)}"::VARCHAR AS c{i}' for i, c in enumerate(source.columns))
    con.execute(f"CREATE TABLE {name} AS SELECT {casts} FROM read_parquet(?)", [str(source.path)])
    return Staged(name, f"({_short(name)}.rowid + 1)", _count(con, name), ())


def _stage_sheet(con: duckdb.DuckDBPyConnection, source: Source, name: str) -> Staged:
    from python_calamine import CalamineWorkbook

    with CalamineWorkbook.from_path(str(source.path)) as book:
        rows = sheet_rows(book, source.sheet or "")
    return _stage_rows(con, source, name, enumerate(rows, start=1))


def _stage_rows(con: duckdb.DuckDBPyConnection, source: Source, name: str, rows: Iterable[tuple[int, list[str | None]]]) -> Staged:
    """The numbered rows below the header that are not blank (of a sheet a million may be); one that holds a damaged byte is unread."""
    width = len(source.columns)
    body: list[tuple[object, ...]] = []
    unread: list[Unread] = []
    for number, row in rows:
        if number <= source.header_row or not any(cell and cell.strip() for cell in row):
            continue
        if source.kind != "excel" and any(cell and "\ufffd" in cell for cell in row):
            unread.append(Unread(number, "reject.encoding", printable("\t".join(cell or "" for cell in row))))
        else:
            body.append((number, *(cell or None for cell in row[:width])))
    _create(con, name, width)
    _insert(con, name, width, body)
    return Staged(name, f"{_short(name)}.row_no", len(body) + len(unread), tuple(unread))


def _short(name: str) -> str:
    """What the columns of a table go by."""
    return name.rpartition(".")[2]


def _create(con: duckdb.DuckDBPyConnection, name: str, width: int) -> None:
    columns = ", ".join(f"c{i} VARCHAR" for i in range(width))
    con.execute(f"CREATE TABLE {name} (row_no BIGINT, {columns})")


def _count(con: duckdb.DuckDBPyConnection, name: str) -> int:
    row = con.execute(f"SELECT count(*) FROM {name}").fetchall()[0]
    return int(row[0])
