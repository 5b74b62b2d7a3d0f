"""The redacted edition: every identifier replaced by a mask of the same length, the same for the same person everywhere.

What is replaced: the names, numbers and ids of the case base (cases, persons, numbers, agents, contacts, reviewers), wherever they stand
and however they are written (full width, traditional script, with blanks, dots, dashes, symbols, unseen characters or plain tags in between, as codes of HTML, JSON and
addresses, figures in Chinese characters; numbers with and without the country's code, names without title or bracket, see `spellings`), and what Presidio with our
recognisers finds beside them (ID and card numbers, telephone numbers, addresses, mail). Since a mask is as long as what it hides, marked
words keep their offsets.

A mask is made of Hangul syllables, which no recogniser takes for a name or a number and no normal form changes. They come from
HMAC-SHA256 (RFC 2104) under a key that the user keeps: the first two say whose identifier it is, the others which. Without the key a
mask cannot be traced back, with it the same identifier always gets the same mask.

Not replaced: names that stand in no table of the case base, and what is ours by the grammar of a statement or a rule file. Ids of one or
two characters, Latin names of two letters, and short figures, are replaced in their own columns but not looked for in texts, where they
would be everywhere; part of a name that is an everyday word only with a capital. Rejected rows are blackened altogether: nothing says what
is in them. A finding's id is an unkeyed digest of its rule and its keys, the same in both editions: who guesses the keys can confirm the
guess. Digests of evidence are keyed with the full edition's secret.
"""

from __future__ import annotations

import csv
import hmac
import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from html.entities import html5
from itertools import chain, pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import ahocorasick_rs
import duckdb
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from analyzer import spellings, store
from analyzer.errors import UsageError
from analyzer.model import LOCAL
from analyzer.tables import Packed, Sheet
from analyzer.text import personal_data
from analyzer.text.normalise import SEPARATOR, Index, Mask, Points, code_points, fold_characters, join_split

EDITIONS = ("full", "redacted")
SHORTEST_KEY = 32
"""Bytes of a key, at least."""
# Masks: a symbol of these for each character.
_FIRST_SYMBOL, _SYMBOLS, _OWNER_SYMBOLS = 0xAC00, 11172, 2
BLACK = "█"
# Columns that hold one identifier each.
IDENTIFIERS = frozenset(["case_id", "debtor_id", "debt_id", "person_id", "agent_id", "number", "actor", "assignee", "checked_by", "made_by"])
# Columns that hold our own words, digests and the ids that both editions share.
KEPT = frozenset(
    ["finding_id", "rule", "rule_digest", "evidence_digest", "digest", "sha256", "hash", "previous", "severity", "strength", "effect", "known", "channel", "direction", "outcome", "relation",
     "party", "account_class", "stage", "call_type", "role", "kind", "state", "list", "control", "table_name", "zone", "zone_from", "date_order", "encoding", "of", "method", "marks"]
)  # fmt: skip
# Columns that hold the rules' and the program's own sentences. All others are looked through: people write what they like in them.
OWN = frozenset(["title_zh", "title_en", "query", "source", "parameter"])
BLACKENED = frozenset(["original"])
# Sums that would confirm a guess of what they are of: of evidence the ids, of a small file each of its numbers.
KEYED = frozenset(["evidence_digest", "sha256"])
_COLUMNS = frozenset(["text", "comment", "file", "mapped", "unmapped", "detail", "result", "stratum", "header"])
# Columns of whole numbers, which no identifier is written into.
FIGURES = frozenset(
    ["ordinal", "breaches", "evidence", "findings", "breaching_contacts", "clear_contacts", "undetermined_contacts", "not_evaluated_contacts", "bytes", "header_row", "rows_read", "loaded",
     "rejected", "duplicate", "adds_up", "row_no", "duration_s", "dpd", "seq", "rows", "total", "size", "population", "knows", "stale",
     "paper", "allowed", "stratum_population", "stratum_size", "confidence", "tolerable", "expected"]
)  # fmt: skip
_WHOLE_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(\+00:00|Z)?)?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIGURES_IN_WORDS = {
    word: figure
    for figure, words in enumerate(("〇零", "一幺" "壹弌", "二两贰" "貳弍兩", "三叁" "參叄弎", "四肆", "五伍", "六陆陸", "七柒", "八捌", "九玖"))
    for word in words
}
# Marks, beside blanks and dashes, that part an identifier without ending it.
_PARTING = "·•・.*_~|/\\^+=#&`'\"…()[]’‘´ʼˈ＇‧∙⋅․﹒\n\r"
# Between figures every other mark and symbol does so too; between Latin letters a comma or semicolon, as in a name turned round.
_PARTING_NAMES = ",;，；"
# Letters that show nothing.
_FILLERS = (0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0)
# A character written as a code, and tags that say nothing; one with words in it may hold a name.
_CODE = re.compile(r"&#(\d{1,7});|&#x([0-9a-f]{1,6});|&([a-z]{2,8});|\\\\?u([0-9a-f]{4})|((?:%[0-9a-f]{2})+)|</?(?:b|i|u|s|em|strong|span|font|br|p|div|small|big|sub|sup|wbr|code|td|tr|h[1-6]) ?/?>")
_BEGINS_CODE = tuple(map(ord, "&\\%<"))
_SIGNS_OF_CODES = "&\\%<＆＼％＜"
# A date, or a time of day behind one: its figures are no number, even if somebody has that number.
_MOMENT = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?(?!\d)")
_AROUND_MOMENT = 20
# Latin letters that no decomposition makes plain.
_PLAIN_LETTERS = {"đ": "d", "ø": "o", "ł": "l", "ß": "s", "ı": "i", "ħ": "h", "ŧ": "t"}
# What of a statement and of a rule file is not ours: literals and comments; all but keys, words of closed lists and calls of functions.
_LITERAL = re.compile(r"'((?:[^']|'')*)'|(--[^\n]*)")
_OUR_YAML = re.compile(r"(?m)^[ \t-]*[A-Za-z_][\w.]*(?=:)|(?<=: )[a-z][a-z0-9_]*(?=[ \t]*(?:$|[,\]}]))|(?<=[\[{,])[ \t]*[a-z][a-z0-9_]*(?=[ \t]*[\]},:])|(?<=- )[a-z][a-z0-9_]*(?=[ \t]*$)|\b[a-z_]+(?=\()")
# The kinds of personal data that are looked for again wherever else they stand: those that are one string of figures and letters.
_AGAIN = frozenset(personal_data.ENTITIES) - frozenset(personal_data.PLACES)
# Of these the figures are looked for in the normal form too: a checksum or a fixed beginning tells them from figures that merely follow each other.
_PARTED = ("CN_RESIDENT_ID", "BANK_CARD", "CN_MOBILE")
_BATCH, _AT_ONCE = 4_000_000, 20_000
_OVERLAP = 200
# Files of a pack that are named by us, and how such names end.
_OWN_FILES = frozenset(
    ["findings", "evidence", "rules", "reconciliation", "rejects", "parameters", "verdicts", "sampling", "window", "ipe", "contacts", "manifest", "action_log", "verify", "sql", "yaml", "csv", "jsonl"]
)  # fmt: skip
_ENDINGS = ("csv", "jsonl", "json", "sql", "py", "yaml")


def read_key(path: Path) -> bytes:
    """The key in a file, without the line's end.

    Raises:
        UsageError: the file cannot be read, or the key is shorter than `SHORTEST_KEY` bytes or hardly more than one byte repeated.
    """
    try:
        key = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise UsageError("redact.no_key", name=path.name) from error
    if len(key) < SHORTEST_KEY or len(set(key)) < 8:
        raise UsageError("redact.short_key", name=path.name, least=SHORTEST_KEY)
    return key


@dataclass(frozen=True)
class _Flat:
    """Texts laid end to end in the normal form for identifiers: without what may stand between their characters.

    `text`: the normal characters; `first`, `last`: where each stands in the originals laid end to end; `folded`: the originals, each
    character folded; `starts`: where each text begins there.
    """

    text: str
    first: Index
    last: Index
    folded: Points
    starts: Index


def _flat(texts: Sequence[str], codes: bool = False) -> _Flat:
    """`codes`: with codes as what they stand for (`_decoded`)."""
    folded = _plain()[fold_characters(code_points(SEPARATOR.join(t.replace(SEPARATOR, " ") for t in texts)))]
    folded, ends = _decoded(folded) if codes else (folded, np.arange(len(folded), dtype=np.int64))
    kept = np.flatnonzero(_kinds()[folded] & _GAP == 0)
    points, first, last = join_split(folded[kept], kept)
    last = ends[last]
    # Of what is left, the marks that part figures or names only.
    inner = _between(_kinds()[points])
    points, first, last = points[~inner], first[~inner], last[~inner]
    ends = np.flatnonzero(folded == 0)
    return _Flat(points.tobytes().decode("utf-32-le"), first, last, folded, np.concatenate([np.zeros(1, np.int64), ends + 1]))


def _decoded(folded: Points) -> tuple[Points, Index]:
    """Folded characters with codes as what they stand for and blanks behind it, tags as blanks; and where each character ends.

    What looks like a code may be none: in 10%13812345678 a number follows a percentage. So texts are looked through with it and without.
    """
    ends = np.arange(len(folded), dtype=np.int64)
    begins = np.flatnonzero(np.isin(folded, _BEGINS_CODE))
    if not len(begins):
        return folded, ends
    folded, text, done = folded.copy(), folded.tobytes().decode("utf-32-le"), 0
    for begin in begins.tolist():
        code = _CODE.match(text, begin) if begin >= done else None
        told = _meant(code) if code else None
        if code is None or told is None:
            continue
        done = code.end()
        folded[begin:done] = ord(" ")
        at = begin
        for char, size in told:
            folded[at] = _plain()[fold_characters(code_points(char))][0]
            ends[at] = at + size - 1
            at += size
    return folded, ends


def _meant(code: re.Match[str]) -> list[tuple[str, int]] | None:
    """(character, how many characters of the text stand for it) for each that a code means; none for a tag, and for a code that means nothing; None: it is no code."""
    if code[5]:
        try:
            # What parts texts from each other is in none of them.
            return [(char, 3 * len(char.encode())) for char in bytes.fromhex(code[5].replace("%", "")).decode().replace(SEPARATOR, " ")]
        except UnicodeDecodeError:
            return []
    if code[3]:
        named = html5.get(f"{code[3]};", "")
        return [(named, len(code[0]))] if len(named) == 1 else None
    point = int(code[1]) if code[1] else int(code[2] or code[4] or "0", 16)
    return [(chr(point), len(code[0]))] if 0 < point < 0xD800 or 0xE000 <= point < 0x110000 else []


_GAP, _FIGURE, _ALNUM, _PART, _SPELT, _COMMA, _LETTER = 1, 2, 4, 8, 16, 32, 64


@cache
def _plain() -> Points:
    """Code point -> code point: letters without their accents, every script's figures as ours."""
    table = np.arange(0x110000, dtype=np.uint32)
    for point in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
        whole = unicodedata.normalize("NFD", chr(point))
        base, marks = whole[0], whole[1:]
        if marks and all(unicodedata.category(m) == "Mn" for m in marks):
            table[point] = ord(base.lower())
    for letter, plain in _PLAIN_LETTERS.items():
        table[ord(letter)] = ord(plain)
    for point in range(0x80, 0x20000):
        figure = unicodedata.digit(chr(point), None)
        if figure is not None:
            table[point] = ord("0") + figure
    return table


@cache
def _kinds() -> np.ndarray[Any, np.dtype[np.uint8]]:
    table = np.zeros(0x110000, dtype=np.uint8)
    # All that is neither a letter nor a figure nor a mark that people write between words; what ends a text has no kind.
    nothing = [p for p in range(1, 0x20000) if (kind := unicodedata.category(chr(p)))[0] in "ZC" or kind in ("Pd", "Mn", "Me", "So", "Sk")]
    table[[*nothing, *_FILLERS, 0x2212, *map(ord, _PARTING)]] |= _GAP
    table[0xE0000:] |= _GAP
    table[[*map(ord, "0123456789")]] |= _FIGURE | _ALNUM
    table[[*range(ord("a"), ord("z") + 1)]] |= _ALNUM | _LETTER
    marks = [p for p in (*range(0x2600), *range(0x3000, 0x3100), *range(0xFE10, 0x10000)) if unicodedata.category(chr(p))[0] in "PS" and not table[p] & _GAP]
    table[marks] |= _PART
    table[[*map(ord, _PARTING_NAMES)]] |= _COMMA
    table[[*map(ord, _FIGURES_IN_WORDS)]] |= _SPELT
    return table


@cache
def _spelt() -> Points:
    """Code point -> code point, figures in words as figures."""
    table = np.arange(0x110000, dtype=np.uint32)
    for word, figure in _FIGURES_IN_WORDS.items():
        table[ord(word)] = ord("0") + figure
    return table


def _between(kinds: np.ndarray[Any, np.dtype[np.uint8]]) -> Mask:
    """Where runs of marks stand that only part figures, or of commas that only part Latin letters."""
    part = kinds & _PART != 0
    places = np.arange(len(kinds))
    before = np.maximum.accumulate(np.where(part, -1, places))
    after = np.minimum.accumulate(np.where(part, len(kinds), places)[::-1])[::-1]
    within = part & (before >= 0) & (after < len(kinds))
    left, right = kinds[np.maximum(before, 0)], kinds[np.minimum(after, len(kinds) - 1)] if len(kinds) else kinds
    figures = (left & (_FIGURE | _SPELT) != 0) & (right & (_FIGURE | _SPELT) != 0)
    letters = (left & _ALNUM != 0) & (right & _ALNUM != 0) & (kinds & _COMMA != 0) & (after - before == 2)
    found: Mask = within & (figures | letters)
    return found


def _normal_forms(texts: Sequence[str]) -> list[str]:
    return _flat(texts).text.split(SEPARATOR) if texts else []


def normal_form(text: str) -> str:
    """How an identifier is looked for: folded (width, case, script), without blanks, dots, dashes and unseen characters."""
    return _flat([text]).text


_ANYWHERE, _NO_FIGURE_BESIDE, _NO_LETTER_BESIDE, _NO_SIGN_BESIDE = 0, _FIGURE, _LETTER, _ALNUM


def _border(normal: str, kind: str) -> int | None:
    """What may not stand beside an identifier in a text; None: it is not looked for in texts."""
    if normal.isdigit() and normal.isascii():
        least = 5 if kind == "number" else 6
        return None if len(normal) < least else _NO_FIGURE_BESIDE if len(normal) < 11 else _ANYWHERE
    if not normal.isascii():
        return _ANYWHERE if sum(c.isalnum() for c in normal) >= 2 else None
    if kind == "name":
        return _NO_LETTER_BESIDE if len(normal) >= 3 else None
    return _NO_SIGN_BESIDE if len(normal) >= 6 or (len(normal) >= 3 and any(c.isdigit() for c in normal)) else None


class Redactor:
    """Replaces what it knows. Make one with `of_run`, let it `learn` the texts, then give it what is to leave."""

    def __init__(self, key: bytes, known: Iterable[tuple[str, str, str]], secret: str = "") -> None:
        """`known`: (kind, identifier, owner); kind is name, number or id. `secret`: see `secret_of`."""
        self._key, self.secret = key, secret
        self._owners: dict[str, str | None] = {}
        self._borders: dict[str, int] = {}
        self._before: dict[str, frozenset[str]] = {}
        self._capitals: set[str] = set()
        self._exact: set[str] = set()
        self._kept: set[str] = set()
        self._alone: dict[str, str] = {}
        self._places: dict[str, list[tuple[int, int]]] = {}
        self._masks: dict[tuple[str, str], str] = {}
        self._automata: tuple[ahocorasick_rs.AhoCorasick, list[str], ahocorasick_rs.AhoCorasick | None, list[str]] | None = None
        self._add(list(known))

    @classmethod
    def of_run(cls, con: duckdb.DuckDBPyConnection, key: bytes, people: Iterable[str] = ()) -> Redactor:
        """All identifiers of a run's case base, and the names of `people` beside it (reviewers)."""
        own = {"", LOCAL}
        return cls(key, [*con.execute(_KNOWN).fetchall(), *(("name", name, f"reviewer {name}") for name in sorted({*people} - own))], secret_of(con))

    def _add(self, known: Sequence[tuple[str, str, str]]) -> None:
        normals = _normal_forms([value for _, value, _ in known])
        spelt = [spellings.of_number(whole) if kind == "number" else spellings.of_name(value) if kind == "name" else [] for (kind, value, _), whole in zip(known, normals, strict=True)]
        others = iter(_normal_forms([one.text for some in spelt for one in some]))
        for (kind, value, owner), whole, some in zip(known, normals, spelt, strict=True):
            self._exact.add(value)
            for normal, spelling in ((whole, None), *((next(others), one) for one in some)):
                # An identifier that two people have belongs to neither: its mask says which it is, not whose.
                self._owners[normal] = owner if self._owners.get(normal, owner) == owner else None
                border = _border(normal, kind)
                if border is None:
                    continue
                if spelling is not None and spelling.capital and normal not in self._borders:
                    self._capitals.add(normal)
                elif spelling is None or not spelling.capital:
                    self._capitals.discard(normal)
                if spelling is not None and spelling.before:
                    self._before[normal] = self._before.get(normal, frozenset()) | spelling.before
                self._borders[normal] = min(border, self._borders.get(normal, border))
        self._automata = None
        self._alone.clear()

    @property
    def known(self) -> int:
        """How many identifiers are looked for."""
        return len(self._borders)

    def keep(self, values: Iterable[str]) -> None:
        """Values that stay as they are wherever they stand alone: ids of findings."""
        self._kept.update(values)

    def learn(self, found: Iterable[Sheet]) -> None:
        """Let Presidio look for identifiers in what people wrote; what it finds is looked for in everything from then on."""
        tables = list(found)
        self.keep(part for value in _values(tables, KEPT) for part in (value, *value.split("/")))
        texts = _values(tables, frozenset(c for sheet in tables for c in sheet.columns) - KEPT - IDENTIFIERS - BLACKENED - FIGURES - OWN)
        # A text longer than what is looked at is looked at in pieces that overlap.
        pieces = [(text, at) for text in texts for at in range(0, max(len(text), 1), personal_data.LONGEST - _OVERLAP)]
        # What is known already is masked first: masks are as long, and most texts then hold nothing that could be looked for.
        shown = dict(zip(texts, self.cover(texts, BLACK), strict=True))
        read = [shown[text][at : at + personal_data.LONGEST] for text, at in pieces]
        learnt = []
        for number, start, end, entity in [*_found(read), *_found_in_normal_form(read)]:
            text, at = pieces[number]
            self._places.setdefault(text, []).append((at + start, at + end))
            if entity in _AGAIN:
                learnt.append(text[at + start : at + end])
        normals = dict(zip(learnt, _normal_forms(learnt), strict=True))
        self._add([("number", value, "") for value in learnt if normals[value] not in self._owners])

    def cover(self, texts: Sequence[str], mark: str) -> list[str]:
        """Texts with the known identifiers covered by a mark of one character, as long as they were."""
        made = []
        for batch in _batches(texts):
            hits = self._search(batch)
            for number, text in enumerate(batch):
                for start, end, _ in hits.get(number, ()):
                    text = text[:start] + mark * (end - start) + text[end:]
                made.append(text)
        return made

    def pseudonym(self, value: str) -> str:
        """The mask of one identifier that stands alone."""
        if value not in self._alone:
            self._alone |= self._pseudonyms([value])
        return self._alone[value]

    def _pseudonyms(self, values: Iterable[str]) -> dict[str, str]:
        distinct = list(dict.fromkeys(values))
        normals = _normal_forms(distinct)
        return {value: self._mask(normal or value, len(value)) for value, normal in zip(distinct, normals, strict=True)}

    def _mask(self, normal: str, length: int) -> str:
        owner = self._owners.get(normal) or f"value {normal}"
        key = (owner, normal)
        if len(self._masks.setdefault(key, "")) < length:
            rest = max(length - _OWNER_SYMBOLS, 0)
            self._masks[key] = _symbols(self._key, f"owner\0{owner}", _OWNER_SYMBOLS) + _symbols(self._key, f"value\0{normal}", max(rest, 32))
        return self._masks[key][:length]

    def digest(self, value: str) -> str:
        """What stands for a digest (`KEYED`), as long as it."""
        made = keyed(self.secret, value)
        self._kept.add(made)
        return made

    def episode(self, episode: str) -> str:
        """An episode: its parts are identifiers, dates and words, joined by |."""
        return "|".join(self.pseudonym(part) if part in self._exact and part not in self._kept else part for part in episode.split("|"))

    def filters(self, filters: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """A selection as it may be told."""
        return {name: [self.pseudonym(v) if f"{name}_id" in IDENTIFIERS else self.texts([v])[0] for v in values] for name, values in filters.items()}

    def names(self, paths: Sequence[str]) -> list[str]:
        """The names of files within a pack."""
        parts = [path.split("/") for path in paths]
        shown = iter(self.texts([part for path in parts for part in path]))
        return ["/".join(next(shown) for _ in path) for path in parts]

    def sources(self, files: Mapping[str, str]) -> list[str]:
        """The texts of statements and rule files, by name of the file, with every identifier replaced but in what is ours by the grammar."""
        parted = [_pieces(name, text) for name, text in files.items()]
        shown = iter(self.texts([piece for pieces in parted for theirs, piece in pieces if theirs]))
        return ["".join(next(shown) if theirs else piece for theirs, piece in pieces) for pieces in parted]

    def texts(self, texts: Sequence[str]) -> list[str]:
        """Texts with every identifier replaced; what Presidio found in them (see `learn`) too."""
        distinct = list(dict.fromkeys(texts))
        made: dict[str, str] = {}
        for batch in _batches(distinct):
            hits = self._search(batch)
            for number, text in enumerate(batch):
                places = self._places.get(text)
                made[text] = self._replaced(text, hits.get(number, []), places) if places or number in hits else text
        return [made[text] for text in texts]

    def _replaced(self, text: str, hits: list[tuple[int, int, str]], places: list[tuple[int, int]] | None) -> str:
        """One text through Presidio's anonymizer: its custom operator gives each place, none of which overlap, a mask as long as it is."""
        spans = [(start, end, normal_form(text[start:end])) for start, end in places or ()] + sorted(hits, key=lambda h: h[1] - h[0])
        painted = np.full(len(text), -1, dtype=np.int64)
        for number, (start, end, _) in enumerate(spans):
            painted[start:end] = number
        edges = [0, *(np.flatnonzero(np.diff(painted)) + 1).tolist(), len(text)]
        parts = []
        for start, end in pairwise(edges):
            if painted[start] >= 0:
                begin, stop, normal = spans[int(painted[start])]
                parts.append((start, end, self._mask(normal, stop - begin)[start - begin : end - begin]))
        return _anonymised(text, parts)

    def sheet(self, sheet: Sheet) -> Sheet:
        """A table with the same columns and rows, every identifier replaced."""
        columns = (self._column(name, sheet.column(name)) for name in sheet.columns)
        if isinstance(sheet.rows, Packed):
            return Sheet(sheet.name, sheet.columns, Packed([pa.chunked_array([pa.array(values)]) for values in columns]))
        return Sheet(sheet.name, sheet.columns, list(zip(*columns, strict=True)))

    def _column(self, name: str, values: list[Any]) -> list[Any]:
        if name in KEYED:
            return [self.digest(v) if v else v for v in values]
        if name in KEPT or name in FIGURES:
            return values
        texts = [v for v in values if isinstance(v, str)]
        if name in IDENTIFIERS:
            change = self._pseudonyms(texts)
        elif name in BLACKENED:
            change = {text: blackened(text) for text in texts}
        else:
            # Ids too short to be looked for are whole parts of an episode; the others may stand inside one.
            begun = [self.episode(text) for text in texts] if name == "episode" else texts
            change = dict(zip(texts, self.texts(begun), strict=True))
        return [change[v] if isinstance(v, str) else v for v in values]

    def left(self, files: Mapping[str, bytes]) -> str | None:
        """The first file in whose content or name an identifier is left, however written; None: there is none."""
        batch: dict[str, str] = {}
        size = 0
        for name, data in files.items():
            for value in chain(values_of(name, data), name.split("/")):
                if value not in batch:
                    batch[value] = name
                    size += len(value) + 1
                if size >= _BATCH:
                    if found := self._first(batch):
                        return found
                    batch, size = {}, 0
        return self._first(batch)

    def _first(self, batch: Mapping[str, str]) -> str | None:
        hits = self._search(list(batch))
        return list(batch.values())[min(hits)] if hits else None

    def holds(self, texts: Iterable[str]) -> bool:
        """Whether an identifier stands in one of these."""
        return any(self._search(batch) for batch in _batches(list(dict.fromkeys(texts))))

    def _search(self, texts: Sequence[str]) -> dict[int, list[tuple[int, int, str]]]:
        """Per number of a text, where identifiers stand in it: start, end, normal form. One pass over all texts, and one over those that may hold codes."""
        if not self._borders:
            return {}
        kept = ["" if self._stays(t) else t for t in texts]
        found = self._hits(kept, False)
        coded = _coded(kept)
        for number, hits in self._hits([kept[number] for number in coded], True).items() if coded else ():
            known = found.setdefault(coded[number], [])
            known += [hit for hit in hits if hit not in known]
        return found

    def _hits(self, texts: Sequence[str], codes: bool) -> dict[int, list[tuple[int, int, str]]]:
        plain, normals, figures, figure_normals = self._patterns()
        flat = _flat(texts, codes)
        found: dict[int, list[tuple[int, int, str]]] = {}
        matches = [(normals[i], s, e) for i, s, e in plain.find_matches_as_indexes(flat.text, overlapping=True)]
        if figures is not None:
            spelt = _spelt()[code_points(flat.text)].tobytes().decode("utf-32-le")
            matches += [(figure_normals[i], s, e) for i, s, e in figures.find_matches_as_indexes(spelt, overlapping=True) if flat.text[s:e] != spelt[s:e]]
        kinds = _kinds()[flat.folded]
        for normal, s, e in matches:
            start, end = int(flat.first[s]), int(flat.last[e - 1]) + 1
            border = self._borders[normal]
            if border and (end < len(kinds) and kinds[end] & border):
                continue
            if border and start and kinds[start - 1] & border and _figures_before(flat.folded, kinds, start) not in self._before.get(normal, ()):
                continue
            text = int(np.searchsorted(flat.starts, start, side="right")) - 1
            start, end = start - int(flat.starts[text]), end - int(flat.starts[text])
            if normal in self._capitals and not texts[text][start].isupper():
                continue
            if normal.isdigit() and end - start > len(normal) and _in_a_moment(texts[text], start, end):
                continue
            found.setdefault(text, []).append((start, end, normal))
        return found

    def _patterns(self) -> tuple[ahocorasick_rs.AhoCorasick, list[str], ahocorasick_rs.AhoCorasick | None, list[str]]:
        if self._automata is None:
            normals = sorted(self._borders)
            figures = [n for n in normals if n.isascii() and n.isdigit() and len(n) >= 7]
            self._automata = (ahocorasick_rs.AhoCorasick(normals), normals, ahocorasick_rs.AhoCorasick(figures) if figures else None, figures)
        return self._automata

    def _stays(self, text: str) -> bool:
        """Whether a whole value is one of our own words, a date, a digest or a finding's id."""
        stem, _, ending = text.rpartition(".")
        alone = stem if stem and ending in _ENDINGS else text
        return alone in own_words() or alone in self._kept or bool(_WHOLE_MOMENT.fullmatch(text) or _DIGEST.fullmatch(text))


def _in_a_moment(text: str, start: int, end: int) -> bool:
    """Whether a place with marks in it is part of a date or time."""
    begin = max(start - _AROUND_MOMENT, 0)
    return any(m.start() + begin <= start and end <= m.end() + begin for m in _MOMENT.finditer(text[begin : end + _AROUND_MOMENT]))


def _figures_before(folded: Points, kinds: np.ndarray[Any, np.dtype[np.uint8]], start: int) -> str:
    """The figures that stand right before a place."""
    begin = start
    while begin and start - begin <= spellings.LONGEST_PREFIX and kinds[begin - 1] & _FIGURE:
        begin -= 1
    return folded[begin:start].tobytes().decode("utf-32-le")


def _pieces(name: str, text: str) -> list[tuple[bool, str]]:
    """(whether somebody's words may stand in it, the piece): a statement's or a rule file's text in pieces, others whole."""
    match Path(name).suffix:
        case ".sql":
            spans = [m.span(1) if m[1] is not None else m.span() for m in _LITERAL.finditer(text)]
        case ".yaml":
            ends = [0, *(edge for m in _OUR_YAML.finditer(text) for edge in m.span()), len(text)]
            spans = list(zip(ends[::2], ends[1::2], strict=True))
        case _:
            return [(True, text)]
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    return [(bool(number % 2), text[start:end]) for number, (start, end) in enumerate(pairwise(edges)) if start < end]


def _values(tables: Iterable[Sheet], columns: frozenset[str]) -> list[str]:
    """The distinct texts in some columns of tables."""
    return sorted({value for sheet in tables for name in sheet.columns if name in columns for value in sheet.column(name) if isinstance(value, str)})


def _found(texts: Sequence[str]) -> list[tuple[int, int, int, str]]:
    """What Presidio finds: number of the text, start, end, kind."""
    return [(hit.text, hit.start, hit.end, hit.entity) for hit in personal_data.find_personal_data(texts)]


def _found_in_normal_form(texts: Sequence[str]) -> list[tuple[int, int, int, str]]:
    """ID, card and mobile numbers that only show when what parts their figures is taken away; where they stand in the texts."""
    found = []
    coded = _coded(texts)
    for numbers, codes in ((range(len(texts)), False), (coded, True)):
        for batch_start in range(0, len(numbers), _AT_ONCE):
            found += _found_in_flat(texts, numbers[batch_start : batch_start + _AT_ONCE], codes)
    return found


def _coded(texts: Sequence[str]) -> list[int]:
    """The numbers of the texts that may hold codes (`_CODE`)."""
    return [number for number, text in enumerate(texts) if any(sign in text for sign in _SIGNS_OF_CODES)]


def _found_in_flat(texts: Sequence[str], numbers: Sequence[int], codes: bool) -> list[tuple[int, int, int, str]]:
    flat = _flat([texts[number] for number in numbers], codes)
    normals = flat.text.split(SEPARATOR)
    begins = np.concatenate([[0], np.cumsum([len(n) + 1 for n in normals])])
    found = []
    for hit in personal_data.find_personal_data(normals, entities=_PARTED):
        begin, base = int(begins[hit.text]), int(flat.starts[hit.text])
        found.append((numbers[hit.text], int(flat.first[begin + hit.start]) - base, int(flat.last[begin + hit.end - 1]) + 1 - base, hit.entity))
    return found


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text) + 1
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _symbols(key: bytes, label: str, count: int) -> str:
    """`count` symbols of the stream HMAC-SHA256(key, label, block number)."""
    stream = b"".join(hmac.digest(key, f"{label}\0{block}".encode("utf-8", "surrogatepass"), "sha256") for block in range(-(-count * 4 // 32)))
    return "".join(chr(_FIRST_SYMBOL + int.from_bytes(stream[at : at + 4], "big") % _SYMBOLS) for at in range(0, count * 4, 4))


def _anonymised(text: str, parts: Sequence[tuple[int, int, str]]) -> str:
    from presidio_anonymizer.entities import OperatorConfig, RecognizerResult

    if not parts:
        return text
    # A kind of its own for each place, so that the anonymizer neither merges two nor mistakes one for another.
    results = [RecognizerResult(f"M{number}", start, end, 1.0) for number, (start, end, _) in enumerate(parts)]
    operators = {f"M{number}": OperatorConfig("custom", {"lambda": _giving(mask)}) for number, (_, _, mask) in enumerate(parts)}
    done: str = _anonymizer().anonymize(text=text, analyzer_results=results, operators=operators, merge_entities_with_spaces=False).text
    return done


def _giving(mask: str) -> Callable[[str], str]:
    return lambda _: mask


@cache
def _anonymizer() -> Any:
    """Presidio's anonymizer. Loading takes long: only when asked for."""
    import logging

    logging.getLogger("presidio-anonymizer").setLevel(logging.ERROR)
    from presidio_anonymizer import AnonymizerEngine

    make: Any = AnonymizerEngine
    return make()


def blackened(text: str) -> str:
    """A text of which only the marks and blanks are left."""
    return re.sub(r"[^\W_]", BLACK, text)


def covered(texts: Sequence[str], names: Iterable[str]) -> list[str]:
    """Texts with these names covered however they are written (see the module), as long as they were."""
    return Redactor(b"", [("name", name, name) for name in dict.fromkeys(names)]).cover(texts, "＊")


def masked(text: str) -> bool:
    """Whether a text holds a mask."""
    return any(_FIRST_SYMBOL <= ord(c) < _FIRST_SYMBOL + _SYMBOLS for c in text)


@lru_cache(maxsize=1)
def own_words() -> frozenset[str]:
    """Names of columns and words of closed lists: what stands alone in a cell and is ours, even if somebody is named so."""
    words = {word for listed in store.closed_lists().values() for word in listed}
    return frozenset(words | {column for _, columns in store.schema() for column, _ in columns} | _OWN_FILES | IDENTIFIERS | KEPT | OWN | BLACKENED | FIGURES | _COLUMNS)


def values_of(name: str, data: bytes) -> Iterator[str]:
    """Every text in a file of an export: cells and headers of tables, values of JSON and the names of files among its keys, what is not ours of statements and rule files, the whole of anything else."""
    match Path(name).suffix:
        case ".csv":
            csv.field_size_limit(2**31 - 1)
            rows = csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=""))
            header = next(rows)
            yield from header
            theirs = [column not in FIGURES for column in header]
            for row in rows:
                yield from (cell for other, cell in zip(theirs, row, strict=True) if other)
        case ".jsonl":
            # No other sign ends a line of it: a text may hold those that Python takes for ends of lines.
            yield from (v for line in io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="\n") if line.strip() for v in _json_values(json.loads(line)))
        case ".json":
            yield from _json_values(json.loads(data))
        case ".parquet":
            table = parquet.read_table(io.BytesIO(data))
            yield from table.column_names
            yield from (v for c in table.columns if pa.types.is_string(c.type) or pa.types.is_large_string(c.type) for v in c.to_pylist() if v)
        case ".xlsx" | ".zip":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield from (v for inner in archive.namelist() for v in (*inner.split("/"), *values_of(inner, archive.read(inner))))
        case ".xml" | ".rels":
            # A sheet's texts stand in its cells, or in a list of their own; what else a cell holds is figures.
            for _, node in ElementTree.iterparse(io.BytesIO(data)):
                told = [] if node.tag.endswith("}v") else [node.text, node.get("name")]
                # What comes after a part is known when that which holds it ends.
                yield from (t for t in (*told, *(part.tail for part in node)) if t and t.strip())
                if node.tag.endswith("}row"):
                    node.clear()
        case _:
            yield from (piece for theirs, piece in _pieces(name, data.decode("utf-8", "replace")) if theirs)


def _json_values(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            # A key is a word of ours, or the name of a file.
            yield from key.split("/") if "." in key else ()
            yield from _json_values(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _json_values(inner)


def secret_of(con: duckdb.DuckDBPyConnection) -> str:
    """A digest over the whole run's contacts that only a holder of the full edition knows.

    The redacted edition names sums of the full one's files. Were they plain sums, who has the redacted edition of a small selection could
    try all numbers until one fits; with this beside each file he cannot.
    """
    told = con.execute(
        "SELECT sha256(concat_ws('|', contact_id, debtor_id, person_id, number, at_utc, text)) AS told FROM contacts"
        " UNION ALL SELECT sha256(concat_ws('|', person_id, case_id, name)) FROM persons UNION ALL SELECT sha256(concat_ws('|', number, person_id)) FROM numbers ORDER BY told"
    )
    whole = sha256()
    while chunk := told.fetchmany(_ROWS):
        whole.update("".join(one for (one,) in chunk).encode())
    return whole.hexdigest()


_ROWS = 10_000


def keyed(secret: str, digest: str) -> str:
    """What stands for a digest in the redacted edition, as long as it."""
    return linked_sum(secret, digest.encode())[: len(digest)]


def linked_sum(secret: str, data: bytes) -> str:
    """SHA-256 over the secret and a file: see `secret_of`."""
    return sha256(secret.encode() + b"\n" + data).hexdigest()


# Whose an identifier is: a debtor is one person in all his cases.
_KNOWN = """
WITH people AS (
    SELECT p.*, CASE WHEN p.relation = 'self' OR starts_with(p.person_id, 'self:') THEN 'debtor ' || c.debtor_id ELSE 'person ' || p.person_id END AS owner
    FROM persons p LEFT JOIN cases c USING (case_id)
)
SELECT DISTINCT kind, value, coalesce(owner, 'value ' || value) FROM (
    SELECT 'name' AS kind, name AS value, owner FROM people UNION ALL SELECT 'id', person_id, owner FROM people
    UNION ALL SELECT 'name', debtor_name, 'debtor ' || debtor_id FROM cases UNION ALL SELECT 'id', debtor_id, 'debtor ' || debtor_id FROM cases
    UNION ALL SELECT 'id', case_id, 'case ' || case_id FROM cases
    UNION ALL SELECT 'number', n.number, p.owner FROM numbers n LEFT JOIN (SELECT person_id, min(owner) AS owner FROM people GROUP BY person_id) p USING (person_id)
    UNION ALL SELECT 'name', name, 'agent ' || agent_id FROM agents UNION ALL SELECT 'id', agent_id, 'agent ' || agent_id FROM agents
    UNION ALL SELECT 'id', person_id, CASE WHEN starts_with(person_id, 'self:') THEN 'debtor ' || debtor_id END FROM contacts WHERE person_id NOT IN (SELECT person_id FROM persons)
    UNION ALL SELECT 'id', debt_id, 'case ' || case_id FROM contacts UNION ALL SELECT 'id', agent_id, 'agent ' || agent_id FROM contacts
    UNION ALL SELECT 'number', number, NULL FROM contacts WHERE number NOT IN (SELECT number FROM numbers)
) WHERE value IS NOT NULL AND value <> '' ORDER BY ALL
"""
