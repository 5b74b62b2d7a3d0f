"""What the bytes of a file say about it: kind, encoding, delimiter, header row.

Nothing here reads a whole file into memory, and nothing here knows a canonical column: whether a line looks like a
header of ours is asked of the caller by a function.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
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
# The marks of UTF-32 come first: the one of its little end begins like that of UTF-16.
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What is read instead of an encoding, because it holds all of it and the characters that programs write beyond it.
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "cp936": "gb18030", "big5": "big5hkscs"}
_OPENING = 4096
_FEW_NULS = 3
_FOREIGN = re.compile(rb"[\x80-\xff]")
_CHARACTER = re.compile(rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]|[\x81-\xfe][\x40-\xfe]")
_RUN = re.compile(rb"([A-Za-z]?)((?:" + _CHARACTER.pattern + rb")+)([A-Za-z]?)")
_JSON = re.compile(r'\{\s*(["}]|$)|\[\s*([\[{\]"]|$)')
_DECLARED = re.compile(rb"""<meta[^>]*?charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)""", re.IGNORECASE)
_WESTERN = ("ascii", "iso8859-1", "cp1252")
_MARKUP = re.compile(r"<(!doctype|html|table|\?xml|head|body|meta)\b", re.IGNORECASE)
_MARKUP_WITH_TABLE = re.compile(r"<(!--|[a-z][a-z0-9]*[\s>])(?=.*<table\b)", re.IGNORECASE | re.DOTALL)
_SPREADSHEET = re.compile(r"<(?=\?|\w+:Workbook|Workbook)(?=.*<(\w+:)?Workbook\b.*urn:schemas-microsoft-com:office:spreadsheet)", re.DOTALL)
_PAIRED = 0.25


@dataclass(frozen=True)
class Census:
    """Counted over the bytes of a file: line ends, carriage returns that are part of none, quotes, each delimiter, and
    the lines that end with each delimiter; and whether the last line has its end."""

    line_ends: int
    bare_returns: int
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
    """One reading of the bytes: digest, size, whether they are UTF-8, and a census.

    `head` is the first megabyte, `telling` the one that tells the encoding: the same in UTF-8, otherwise the one that
    begins with the first line that is not plain ASCII. `nuls` is the number of zero bytes.
    """

    sha256: str
    size: int
    utf8: bool
    long_lines: bool
    head: bytes
    telling: bytes
    nuls: int
    census: Census


class _Counter:
    """A census being taken, chunk by chunk. NumPy counts with the interpreter free for other threads."""

    def __init__(self) -> None:
        self._line_ends = self._bare_returns = self._quotes = 0
        self._delimiters = dict.fromkeys(DELIMITERS, 0)
        self._open_ended = dict.fromkeys(DELIMITERS, 0)
        self._last = b""

    def add(self, chunk: bytes) -> None:
        # Two bytes of the chunk before, so that what stands before each line end is in sight.
        octets = np.frombuffer(self._last + chunk, np.uint8)
        fresh = octets[len(self._last) :]
        ends = np.flatnonzero(fresh == 10) + len(self._last)
        before = octets[ends[ends > 0] - 1]
        after_cr = before[len(before) - np.count_nonzero(ends > 1) :] == 13
        before_cr = octets[ends[ends > 1] - 2][after_cr]
        if b"\r" in chunk or self._last.endswith(b"\r"):
            self._bare_returns += int(np.count_nonzero(fresh == 13) - np.count_nonzero(before == 13))
        self._line_ends += len(ends)
        self._quotes += int(np.count_nonzero(fresh == 34))
        for mark in DELIMITERS:
            self._delimiters[mark] += int(np.count_nonzero(fresh == ord(mark)))
            self._open_ended[mark] += int(np.count_nonzero(before == ord(mark)) + np.count_nonzero(before_cr == ord(mark)))
        self._last = octets[-2:].tobytes()

    def result(self) -> Census:
        ended = self._last[-1:] in (b"", b"\n")
        return Census(self._line_ends, self._bare_returns, self._quotes, self._delimiters, self._open_ended, ended)


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
        # A view: to cut off the beginning of a character is no reason to copy a megabyte.
        self.valid, self._rest = _is_utf8(memoryview(octets)[:whole]), octets[whole:]

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


def _is_utf8(octets: bytes | memoryview) -> bool:
    ends = pa.py_buffer(np.array([0, len(octets)], np.int32))
    try:
        pa.StringArray.from_buffers(1, ends, pa.py_buffer(octets)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def passport(path: Path) -> Passport:
    """SHA-256, size, UTF-8 validity and census of the whole file, and its first megabyte."""
    digest, size, nuls, long_lines, head = sha256(), 0, 0, False, b""
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
            # Looking for one is several times faster than counting none.
            nuls += chunk.count(0) if 0 in chunk else 0
    valid = utf8.close()
    return Passport(digest.hexdigest(), size, valid, long_lines, head, head if valid else _telling(path), nuls, counter.result())


def _telling(path: Path) -> bytes:
    """What the encoding is judged by: a megabyte from the first line with a byte that is not ASCII, wherever it stands."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            if foreign := _FOREIGN.search(chunk):
                part = chunk[chunk.rfind(b"\n", 0, foreign.start()) + 1 :]
                return part + file.read(CHUNK - len(part))
    return b""


def census(path: Path) -> Census:
    """The census of a file that has no passport: a copy in UTF-8."""
    counter = _Counter()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            counter.add(chunk)
    return counter.result()


def kind_of(path: Path, head: bytes) -> str:
    """One of csv, json (lines, an array, objects), html, xml (a workbook in XML), parquet, excel; or, for what we do
    not read: empty, zip, pdf, binary."""
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
    start = _opening(head)
    if _SPREADSHEET.match(start):
        return "xml"
    if _MARKUP.match(start) or _MARKUP_WITH_TABLE.match(start):
        return "html"
    named, unnamed = path.suffix.lower() in {".json", ".jsonl", ".ndjson"}, path.suffix.lower() in {".txt", ""}
    if (named and start.startswith(("{", "["))) or (unnamed and _JSON.match(start)):
        return "json"
    if _unicode_of(head) is None and head.count(0) > max(_FEW_NULS, len(head) // 1000):
        return "binary"
    return "csv"


def _opening(head: bytes) -> str:
    """The first characters as text, without a mark and the blanks before the first of them. The letters that tell
    markup and JSON are the same in all encodings but those of Unicode."""
    return head[:_OPENING].decode(_unicode_of(head) or "latin-1", errors="replace").lstrip("\ufeff \t\r\n\x00")


def _unicode_of(head: bytes) -> str | None:
    """The encoding of Unicode that a mark states, or that zero bytes give away."""
    return next((name for mark, name in _BOMS if head.startswith(mark)), None) or _bare_utf16(head)


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile:
        return False
    return "[Content_Types].xml" in names or "mimetype" in names


def _bare_utf16(head: bytes) -> str | None:
    """UTF-16 without a mark, told by the zero bytes that ASCII letters, digits and line ends leave behind. A few stand
    on the other side: some characters end in a zero byte themselves (U+4E00, "one")."""
    sample = head[: 1 << 14]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > len(sample) // 10 and even <= odd // 4:
        return "utf-16-le"
    if even > len(sample) // 10 and odd <= even // 4:
        return "utf-16-be"
    return None


def codec(encoding: str) -> str:
    """The decoder for an encoding: the widest of its family, as programs write characters beyond the one they name."""
    return _WIDER.get(encoding.lower().replace("_", "-"), encoding)


def encoding_of(seen: Passport) -> tuple[str, bool]:
    """The encoding as Python names it, and whether it is certain (a mark, or valid UTF-8) or the likeliest.

    Between GB18030 and Big5 the one under which more of the non-ASCII characters are everyday ones wins: each of
    the two standards put the frequent characters into its first plane (GB2312 level 1, Big5 level 1). If neither
    reads as everyday Chinese it may be rare Chinese - a column of names - which stands in pairs of bytes. If not
    that either, the text is Western (Windows-1252).
    """
    if found := _unicode_of(seen.head):
        return found, seen.head.startswith(tuple(mark for mark, _ in _BOMS))
    if seen.utf8:
        return "utf-8", True
    if _mostly_utf8(seen.telling):
        return "utf-8", False
    scores = {name: _everyday(seen.telling, name) for name in ("gb18030", "big5")}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] < 0.6:
        pairs = [name for name in ("gb18030", "big5") if _paired(seen.telling, name)]
        best = max(pairs, key=lambda name: scores[name], default="cp1252")
    return _big5_of(seen.telling) if best == "big5" else best, False


def declared(seen: Passport) -> tuple[str, bool] | None:
    """The encoding that a page or an XML file states, if its bytes are in it and it says more than "Western", which
    many pages state whatever they hold. A mark goes before it."""
    found = _DECLARED.search(seen.head[:_OPENING])
    if not found or _unicode_of(seen.head):
        return None
    name = (found[1] or found[2]).decode("ascii").lower()
    try:
        fits = "<".encode(codec(name)) == b"<" and codecs.lookup(name).name not in _WESTERN
    except LookupError:
        return None
    return (name, True) if fits and _strictly(seen.telling, codec(name)) is not None else None


def _big5_of(telling: bytes) -> str:
    """Big5, or Big5-HKSCS where only that has all of the characters."""
    return "big5hkscs" if _strictly(telling, "big5") is None and _strictly(telling, "big5hkscs") is not None else "big5"


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


def _everyday(telling: bytes, encoding: str) -> float:
    """The share of everyday ones among the characters that are not ASCII."""
    found = Counter(telling.decode(encoding, errors="replace"))
    foreign = {char: times for char, times in found.items() if ord(char) > 0x7F}
    common = sum(times for char, times in foreign.items() if _is_everyday(char, encoding))
    return common / sum(foreign.values()) if foreign else 0.0


def _is_everyday(char: str, encoding: str) -> bool:
    try:
        raw = char.encode("gb2312" if encoding == "gb18030" else "big5")
    except UnicodeEncodeError:
        return False
    if len(raw) != 2:
        return False
    level_1 = 0xB0 <= raw[0] <= 0xD7 if encoding == "gb18030" else 0xA4 <= raw[0] <= 0xC6
    return level_1 or raw[0] in (0xA1, 0xA3)


def _strictly(octets: bytes, encoding: str) -> str | None:
    """The text, or None when a byte does not fit. A last character may be cut."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(octets)
    except UnicodeDecodeError:
        return None


def _paired(telling: bytes, encoding: str) -> bool:
    """Whether the bytes that are not ASCII are characters of two such bytes (or of GB18030's four), as Chinese ones are.

    A decoder alone cannot tell: to it the ü and the l of "Müller" are one character. There the second byte is an
    ASCII letter, which in rare Chinese it is for some characters but not for all; and where two accented letters do
    stand together ("Größe"), Latin letters stand beside them.
    """
    text = _strictly(telling, codec(encoding))
    if text is None or any("\ue000" <= char <= "\uf8ff" for char in set(text)):
        return False
    pairs = embedded = total = 0
    for before, run, after in _RUN.findall(telling):
        characters = _CHARACTER.findall(run)
        fours = sum(len(octets) == 4 for octets in characters)
        total += len(characters)
        if before or after:
            pairs += fours
            embedded += len(characters) - fours
        else:
            pairs += fours + sum(len(octets) == 2 and octets[-1] >= 0x80 for octets in characters)
    return pairs > embedded and pairs >= total * _PAIRED


def bare_cr(text: str) -> bool:
    """Whether rows end in CR alone, as on an old Macintosh: outside quotes there are CRs and no LF."""
    if text.count("\r") == text.count("\r\n"):
        return False
    outside = re.sub(r'"[^"]*("|$)', "", text)
    return "\r" in outside and "\n" not in outside


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
