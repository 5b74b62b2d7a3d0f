"""A named table and its bytes in each format a person opens: CSV, XLSX, Parquet, JSON Lines.

The same table gives the same bytes. A cell that a spreadsheet would take for a formula is defused.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import IO, Any, overload

import pyarrow as pa
from pyarrow import parquet

from analyzer import leftovers
from analyzer.errors import UsageError

# What a sheet holds beside its header.
XLSX_ROWS = 1_048_575
# What a cell holds; a longer text is cut there, and says so.
XLSX_TEXT = 32_767
_CUT = "…[cut]"
_FORMULA = "=+-@\t\r\n＝＋－＠﹢﹣﹦﹫"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class Packed(Sequence[tuple[Any, ...]]):
    """Rows kept by column as Arrow holds them, a tenth of what they take as plain values; they become those so many at a time."""

    def __init__(self, columns: Sequence[pa.ChunkedArray]) -> None:
        """Args:
            columns: of one length, at least one.
        """
        self._columns = columns

    def __len__(self) -> int:
        """How many rows."""
        return len(self._columns[0])

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Row by row."""
        for columns in self.chunks():
            yield from zip(*columns, strict=True)

    @overload
    def __getitem__(self, at: int) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, at: slice) -> Packed: ...
    def __getitem__(self, at: int | slice) -> tuple[Any, ...] | Packed:
        """A row, or rows that follow each other."""
        if isinstance(at, int):
            return tuple(column[at].as_py() for column in self._columns)
        start, stop, step = at.indices(len(self))
        if step != 1:
            raise ValueError("rows that follow each other only")
        return Packed([column.slice(start, max(0, stop - start)) for column in self._columns])

    def column(self, at: int) -> list[Any]:
        """The values of a column."""
        values: list[Any] = self._columns[at].to_pylist()
        return values

    def chunks(self) -> Iterator[list[Sequence[Any]]]:
        """The columns of so many rows at a time."""
        for start in range(0, len(self), _CHUNK):
            yield [column.slice(start, _CHUNK).to_pylist() for column in self._columns]


_CHUNK = 10_000


@dataclass(frozen=True)
class Sheet:
    """A named table: columns, and rows of plain values, which may be `Packed`."""

    name: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]

    def column(self, name: str) -> list[Any]:
        """The values of a column."""
        at = self.columns.index(name)
        return self.rows.column(at) if isinstance(self.rows, Packed) else [row[at] for row in self.rows]

    def chunks(self) -> Iterator[list[Sequence[Any]]]:
        """The columns of the rows, of all of them or of so many at a time; none of a table without rows."""
        if isinstance(self.rows, Packed):
            yield from self.rows.chunks()
        elif self.rows:
            yield list(zip(*self.rows, strict=True))


def plain(value: Any) -> Any:
    """A value as text files and JSON hold it."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def defused(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula, with an apostrophe before it. Some take the full-width signs for formulas too."""
    return f"'{value}" if isinstance(value, str) and value[:1] and value[0] in _FORMULA else value


def _plain_rows(sheet: Sheet, change: Callable[[Any], Any] = plain) -> Iterator[tuple[Any, ...]]:
    """The rows with `change` made to each value; columns that hold nothing but numbers need none and are most of a table."""
    for columns in sheet.chunks():
        yield from zip(*(column if all(kind in _NUMBERS for kind in set(map(type, column))) else list(map(change, column)) for column in columns), strict=True)


_NUMBERS = (int, float, bool, type(None))


def csv_bytes(sheet: Sheet) -> bytes:
    """CSV in UTF-8 with a byte order mark, formulas defused."""
    packed = io.BytesIO()
    with io.TextIOWrapper(packed, encoding="utf-8-sig", errors="replace", newline="", write_through=True) as out:
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(sheet.columns)
        writer.writerows(_plain_rows(sheet, lambda value: defused(value if type(value) is str else plain(value))))
        out.flush()
        return packed.getvalue()


_encode = json.JSONEncoder(ensure_ascii=False).encode


def jsonl_bytes(sheet: Sheet) -> bytes:
    """An object a line."""
    out = io.BytesIO()
    for row in _plain_rows(sheet):
        out.write(_encode(dict(zip(sheet.columns, row, strict=True))).encode("utf-8", "replace") + b"\n")
    return out.getvalue()


def parquet_bytes(sheet: Sheet) -> bytes:
    """Parquet with the types of the values; a column without any has the type of its name, so that parts of one table can be put together."""
    out = io.BytesIO()
    typed = [pa.array(values, type=_type_of(name) if all(v is None for v in values) else None) for name in sheet.columns for values in (sheet.column(name),)]
    parquet.write_table(pa.table(typed, names=list(sheet.columns)), out, compression="zstd")
    return out.getvalue()


_WHOLE = frozenset(["ordinal", "breaches", "evidence", "findings", "duration_s", "dpd", "row_no", "seq", "rows", "total", "bytes", "header_row", "rows_read", "loaded", "rejected", "duplicate"])


def _type_of(name: str) -> pa.DataType:
    """What a column holds, by its name."""
    if name.endswith(("_utc", "_local", "local_at")):
        return pa.timestamp("us")
    return pa.date32() if name.endswith("_date") else pa.int64() if name in _WHOLE or name.endswith("_contacts") else pa.string()


def xlsx_bytes(found: Iterable[Sheet], created: datetime) -> bytes:
    """A workbook with a sheet each, `created` as its only date."""
    import xlsxwriter  # type: ignore[import-untyped]

    # Its parts are written beside, so that a long list is never held as marks of a workbook too; private, and gone with this process.
    with leftovers.private("dunaudit-book-") as folder:
        written = folder / "book.xlsx"
        book = xlsxwriter.Workbook(str(written), {"constant_memory": True, "tmpdir": str(folder), "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False})
        _fill(book, found, created)
        # The library stamps the parts of the archive with the clock.
        with zipfile.ZipFile(written) as old:
            return _zip((info.filename, info.file_size, partial(old.open, info)) for info in old.infolist())


def _fill(book: Any, found: Iterable[Sheet], created: datetime) -> None:
    book.set_properties({"created": created})
    head = book.add_format({"bold": True})
    moment, on = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}), book.add_format({"num_format": "yyyy-mm-dd"})
    for sheet in found:
        # More rows than a sheet holds go on in the next.
        for part in range(max(1, -(-len(sheet.rows) // XLSX_ROWS))):
            page = book.add_worksheet(sheet.name if not part else f"{sheet.name} {part + 1}")
            page.freeze_panes(1, 0)
            page.write_row(0, 0, sheet.columns, head)
            rows = sheet.rows[part * XLSX_ROWS : (part + 1) * XLSX_ROWS]
            page.autofilter(0, 0, max(1, len(rows)), len(sheet.columns) - 1)
            for c, width in enumerate(_widths(sheet.columns, rows)):
                page.set_column(c, c, width)
            for r, row in enumerate(rows, start=1):
                for c, value in enumerate(row):
                    if isinstance(value, datetime | date):
                        page.write_datetime(r, c, value, moment if isinstance(value, datetime) else on)
                    elif isinstance(value, str):
                        page.write_string(r, c, value if len(value) <= XLSX_TEXT else value[: XLSX_TEXT - len(_CUT)] + _CUT)
                    elif value is not None:
                        page.write(r, c, plain(value))
    book.close()


def _widths(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[int]:
    """How wide columns are, in figures of the usual font: as their first rows need it, within bounds; a Chinese character is two wide."""
    shown = [[str(plain(cell)) for cell in cells if cell is not None] for cells in zip(*rows[:_LOOKED_AT], strict=True)] or [[] for _ in columns]
    needed = [max((sum(1 + (ord(c) > 0x2E80) for c in text[:_WIDEST]) for text in (f"{name}  ", *cells)), default=0) for name, cells in zip(columns, shown, strict=True)]
    return [min(max(width + 2, _NARROWEST), _WIDEST) for width in needed]


_LOOKED_AT, _NARROWEST, _WIDEST = 200, 8, 60


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """An archive of these files, in this order, without a clock."""
    return _zip((name, len(data), partial(io.BytesIO, data)) for name, data in files.items())


def _zip(files: Iterable[tuple[str, int, Callable[[], IO[bytes]]]]) -> bytes:
    """An archive of files, each told by its name, its size and how it is opened; one part of it at a time is held."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, size, opened in files:
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.file_size, entry.compress_type = size, zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            with opened() as part, archive.open(entry, "w") as into:
                shutil.copyfileobj(part, into, 1 << 20)
    return out.getvalue()


def write_whole(files: Mapping[Path, bytes]) -> None:
    """Write files so that none is ever half: each under another name first, and renamed when all are whole.

    Raises:
        UsageError: one of them cannot be written; then none is, and nothing is left behind.
    """
    made: list[Path] = []
    try:
        for path in files:
            if path.is_dir():
                raise IsADirectoryError(path.name)
            leftovers.sweep(path.parent, f".{path.name}.")
        for path, data in files.items():
            made.append(path.with_name(f".{path.name}.{leftovers.owner()}-{threading.get_ident()}.part"))
            made[-1].write_bytes(data)
        for part, path in zip(made, files, strict=True):
            part.replace(path)
        made.clear()
    except OSError as error:
        raise UsageError("export.cannot_write", name=next(iter(files)).name, why=type(error).__name__) from error
    finally:
        # Also when the program is ended meanwhile.
        for part in made:
            with suppress(OSError):
                part.unlink(missing_ok=True)
