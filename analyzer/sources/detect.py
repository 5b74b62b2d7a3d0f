"""What the bytes of a file say about it: kind, encoding, delimiter, header row.

Nothing here reads a whole file into memory, and nothing here knows a canonical column: whether a line looks like a
header of ours is asked of the caller by a function.
"""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa

CHUNK = 1 << 20
HEAD_ROWS = 200
DELIMITERS = (",", "\t", ";", "|")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Census:
    """Counted over the bytes of a file: line ends, quotes, each delimiter, and the lines that end with each delimiter;
    and whether the last line has its end."""

    line_ends: int
    quotes: int
    delimiters: Mapping[str, int]
    open_ended: Mapping[str, int]
    ended: bool

    @property
    def lines(self) -> int:
        """Lines of the file; a last one without an end counts."""
        return self.line_ends + (not self.ended)


@dataclass(frozen=True)
class Passport:
    """One reading of the bytes: digest, size, whether they are UTF-8, and a census."""

    sha256: str
    size: int
    utf8: bool
    long_lines: bool
    head: bytes
    census: Census


class _Counter:
    """A census being taken, chunk by chunk. NumPy counts with the interpreter free for other threads."""

    def __init__(self) -> None:
        self._line_ends = self._quotes = 0
        self._delimiters = dict.fromkeys(DELIMITERS, 0)
        self._open_ended = dict.fromkeys(DELIMITERS, 0)
        self._last = b""

    def add(self, chunk: bytes) -> None:
        # Two bytes of the chunk before, so that what stands before each line end is in sight.
        octets = np.frombuffer(self._last + chunk, np.uint8)
        fresh = octets[len(self._last) :]
        ends = np.flatnonzero(fresh == 10) + len(self._last)
        before = octets[ends[ends > 0] - 1]
        before_cr = octets[ends[ends > 1] - 2][before[len(before) - np.count_nonzero(ends > 1) :] == 13]
        self._line_ends += len(ends)
        self._quotes += int(np.count_nonzero(fresh == 34))
        for mark in DELIMITERS:
            self._delimiters[mark] += int(np.count_nonzero(fresh == ord(mark)))
            self._open_ended[mark] += int(np.count_nonzero(before == ord(mark)) + np.count_nonzero(before_cr == ord(mark)))
        self._last = octets[-2:].tobytes()

    def result(self) -> Census:
        ended = self._last[-1:] in (b"", b"\n")
        return Census(self._line_ends, self._quotes, self._delimiters, self._open_ended, ended)


class _Utf8:
    """Whether a stream of chunks is UTF-8. Arrow checks whole buffers several times faster than a decoder."""

    def __init__(self) -> None:
        self.valid = True
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        if not self.valid:
            return
        octets = self._rest + chunk
        whole = len(octets) - _unfinished(octets)
        self.valid, self._rest = _is_utf8(octets[:whole]), octets[whole:]

    def close(self) -> bool:
        return self.valid and _is_utf8(self._rest)


def _unfinished(octets: bytes) -> int:
    """How many bytes at the end may be the beginning of a character that the next chunk goes on with."""
    for back in range(1, min(4, len(octets)) + 1):
        octet = octets[-back]
        if octet < 0x80:
            return 0
        if octet >= 0xC0:
            return back
    return 0


def _is_utf8(octets: bytes) -> bool:
    ends = pa.py_buffer(np.array([0, len(octets)], np.int32))
    try:
        pa.StringArray.from_buffers(1, ends, pa.py_buffer(octets)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def passport(path: Path) -> Passport:
    """SHA-256, size, UTF-8 validity and census of the whole file, and its first megabyte."""
    digest, size, long_lines, head = sha256(), 0, False, b""
    counter, utf8 = _Counter(), _Utf8()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            head = head or chunk
            digest.update(chunk)
            size += len(chunk)
            # A line of more than two chunks leaves at least one chunk without a line end.
            long_lines = long_lines or (len(chunk) == CHUNK and b"\n" not in chunk)
            counter.add(chunk)
            utf8.add(chunk)
    return Passport(digest.hexdigest(), size, utf8.close(), long_lines, head, counter.result())


def census(path: Path) -> Census:
    """The census of a file that has no passport: a copy in UTF-8."""
    counter = _Counter()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            counter.add(chunk)
    return counter.result()


def kind_of(path: Path, head: bytes) -> str:
    """One of csv, jsonl, parquet, excel; or, for what we do not read: empty, zip, html, json, pdf, binary."""
    if not head.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        return "empty"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"%PDF"):
        return "pdf"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return "excel"
    if head.startswith(b"PK\x03\x04"):
        return "excel" if _is_workbook(path) else "zip"
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start[:200].lower().startswith((b"<!doctype", b"<html", b"<table", b"<?xml", b"<head", b"<body")):
        return "html"
    if start.startswith((b"{", b"[")) and path.suffix.lower() in {".json", ".jsonl", ".ndjson", ".txt", ""}:
        return "jsonl" if start.startswith(b"{") else "json"
    if b"\x00" in head and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and not _bare_utf16(head):
        return "binary"
    return "csv"


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile:
        return False
    return "[Content_Types].xml" in names or "mimetype" in names


def _bare_utf16(head: bytes) -> str | None:
    """UTF-16 without a mark, told by the zero bytes that ASCII letters, digits and line ends leave behind."""
    sample = head[: 1 << 14]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > len(sample) // 10 and even == 0:
        return "utf-16-le"
    if even > len(sample) // 10 and odd == 0:
        return "utf-16-be"
    return None


def encoding_of(head: bytes, whole_is_utf8: bool) -> tuple[str, bool]:
    """The encoding as Python names it, and whether it is certain (a mark, or valid UTF-8) or the likeliest.

    Between GB18030 and Big5 the one under which more of the non-ASCII characters are everyday ones wins: each of
    the two standards put the frequent characters into its first plane (GB2312 level 1, Big5 level 1). If neither
    reads as Chinese, the text is Western (Windows-1252).
    """
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name, True
    if whole_is_utf8 and b"\x00" not in head:
        return "utf-8", True
    if bare := _bare_utf16(head):
        return bare, False
    if _mostly_utf8(head):
        return "utf-8", False
    scores = {name: _everyday(head, name) for name in ("gb18030", "big5")}
    best = max(scores, key=lambda name: scores[name])
    return (best, False) if scores[best] >= 0.6 else ("cp1252", False)


def _mostly_utf8(head: bytes) -> bool:
    """Most lines that hold non-ASCII bytes are valid UTF-8: a UTF-8 file with a few damaged lines."""
    good = bad = 0
    for line in head.split(b"\n")[:-1] or [head]:
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            good += 1
        except UnicodeDecodeError:
            bad += 1
    return good > bad


def _everyday(head: bytes, encoding: str) -> float:
    text = head.decode(encoding, errors="replace")
    foreign = [c for c in text if ord(c) > 0x7F]
    if not foreign:
        return 0.0
    common = 0
    for char in foreign:
        try:
            raw = char.encode("gb2312" if encoding == "gb18030" else "big5")
        except UnicodeEncodeError:
            continue
        if len(raw) != 2:
            continue
        high = raw[0]
        level_1 = 0xB0 <= high <= 0xD7 if encoding == "gb18030" else 0xA4 <= high <= 0xC6
        punctuation = high in (0xA1, 0xA3)
        common += level_1 or punctuation
    return common / len(foreign)


def delimiter_of(text: str) -> str:
    """The delimiter under which most records have the same width; the comma when there is only one column."""
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        widths = Counter(len(r) for r in records(text, delimiter) if r)
        if not widths:
            continue
        width, times = widths.most_common(1)[0]
        if width < 2:
            continue
        score = (times / sum(widths.values()), width)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def records(text: str, delimiter: str, most: int = HEAD_ROWS) -> list[list[str]]:
    """The first records of `text`. A last record that the end of the sample may have cut is left out by callers."""
    csv.field_size_limit(1 << 28)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    for row in reader:
        rows.append(row)
        if len(rows) >= most:
            break
    return rows


def header_of(rows: Sequence[Sequence[str]], known: Callable[[str], bool]) -> int | None:
    """The index of the header row among the first 40 rows, or None when no row looks like one.

    A row with at least two known column names wins at once. Otherwise it is the first row that fills about as many
    cells as the table is wide, with words rather than figures, no two alike.
    """
    top = rows[:40]
    hits = [sum(known(cell) for cell in row) for row in top]
    if hits and max(hits) >= 2:
        return hits.index(max(hits))
    widths = Counter(sum(1 for cell in row if cell and cell.strip()) for row in rows if any(row))
    usual = max(widths, key=lambda w: (widths[w], w), default=0)
    for index, row in enumerate(top):
        cells = [cell.strip() for cell in row if cell and cell.strip()]
        wide = len(cells) >= max(1, round(usual * 0.6))
        words = [cell for cell in cells if not _figure(cell)]
        years = [cell for cell in cells if _year(cell)]
        # Years may head columns, below a title or beside a word.
        worded = len(words) == len(cells) or (len(words) + len(years) == len(cells) and (index > 0 or words))
        if wide and cells and len(set(cells)) == len(cells) and worded:
            return index
    return None


def _year(cell: str) -> bool:
    return len(cell) == 4 and cell.isdigit() and 1900 <= int(cell) <= 2100


def _figure(cell: str) -> bool:
    digits = sum(c.isdigit() for c in cell)
    return digits > 0 and digits >= len(cell.replace(" ", "")) / 2
