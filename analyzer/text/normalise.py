"""Many texts at once to one normal form, with a map back to the original characters.

All texts are laid end to end, a NUL between them, as an array of code points; each step is a function on arrays, so
that a million texts cost a few array passes and no Python loop.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.uint32]
Index = npt.NDArray[np.int64]

Classes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SEPARATOR = "\x00"
_CHINESE = re.compile("[\u3400-\u9fff]")
_ZERO_WIDTH = "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad\u061c\u180e\u202a\u202b\u202c\u202d\u202e\ufe0e\ufe0f"
# Marks put between the characters of a word to hide it. Not here: marks that end a clause.
_INSERTED = " \t\u00a0\u3000·•・.*_-~|/\\^+=#@&`'\"…"
_APOSTROPHES = "'’‘ʼ"
_UNSEEN, _MARK, _APOSTROPHE, _HAN, _LATIN, _LEET = 1, 2, 4, 8, 16, 32
_UNIT, _ANNOUNCES, _REFERENCE, _JOINT = 1, 2, 4, 16
# Digits of amounts, dates and numbers of days and of references stand for this one. The unit that follows, or what stands before.
FIGURE = "1"
_UNITS, _ANNOUNCED = "元块天月日号", "欠余逾额还$£€¥₹"
_REFERENCES = ("编号", "单号", "流水")
_LONGEST_FIGURE = 7
_LEET_LETTERS = {"@": "a", "0": "o", "1": "i", "3": "e", "$": "s", "!": "i"}
# One picture, one character, so that everything keeps its place.
_EMOJI = {
    "🐶": "狗", "🐕": "狗", "🐷": "猪", "🐖": "猪", "🐔": "鸡", "🔪": "刀", "🗡": "刀", "💀": "死", "☠": "死", "⚰": "棺", "💣": "炸", "🔥": "火",
    "🏠": "家", "🏡": "家", "💰": "钱", "💵": "钱", "👮": "警", "🚓": "警", "🐢": "龟", "🐴": "马", "🐎": "马", "💩": "屎", "👊": "打", "🤛": "打",
    "🚗": "车", "👩": "妈", "👨": "爸", "👶": "娃", "🧒": "娃", "📢": "播", "🦵": "腿", "✋": "手", "🍚": "饭", "🈲": "禁",
}  # fmt: skip
_SPLIT = """
亻尔你 亻也他 女也她 白勺的 女马妈 父巴爸 歹匕死 扌丁打 钅戋钱 亻责债 氵去法 讠斥诉 讠正证 讠羊详 木又权 弓长张 口马吗 亻昔借 走己起
讠人认 辶不还 犭句狗 犭者猪 犭入兽 石欠砍 禾刀利 贝戋贱 贝武赋 女昌娼 扌丑扭 扌斤折 扌召招 亻言信
亻共供 纟合给 辶斤近 辶首道 宀豕家 孑亥孩 口合哈 木艮根 木交校 土夬块 目艮眼 足包跑 身朵躲 身尚躺 氵肖消 王求球
"""


@dataclass(frozen=True)
class Normal:
    """Normalised texts laid end to end.

    `points`: code points, NUL between texts. `origin`: for each of them, its position in the originals laid end to end
    (`original`); `last`: the position of the last character it stands for, the same unless several became one. `starts`: where each text begins in `points`; `original_starts`: where it begins in the originals.
    """

    points: Points
    origin: Index
    last: Index
    starts: Index
    original_starts: Index
    original: Points

    def text(self) -> str:
        """The normalised texts as one string, NUL between them."""
        return self.points.tobytes().decode("utf-32-le")


def normalise(texts: Sequence[str]) -> Normal:
    """Lay the texts end to end and normalise them: see the steps."""
    original = code_points(SEPARATOR.join(texts) if not any(SEPARATOR in t for t in texts) else SEPARATOR.join(t.replace(SEPARATOR, " ") for t in texts))
    points = fold_characters(original)
    points[figures(points)] = ord(FIGURE)
    classes = _classes()[points]
    points = without_leet(points, classes)
    gone = zero_width(classes) | inserted_marks(classes) | apostrophes(classes)
    kept = np.flatnonzero(~gone)
    points, kept, last = join_split(points[kept], kept)
    points, kept, last = once(points, kept, last)
    ends = np.flatnonzero(original == 0)
    original_starts = np.concatenate([np.zeros(1, np.int64), ends + 1])
    return Normal(points, kept, last, np.searchsorted(kept, original_starts), original_starts, original)


def language_of(text: str) -> str:
    """zh where there is a Chinese character, else en."""
    return "zh" if _CHINESE.search(text) else "en"


def normal_forms(texts: Sequence[str]) -> list[str]:
    """The normal form of each text."""
    return normalise(texts).text().split(SEPARATOR) if texts else []


def code_points(text: str) -> Points:
    """A string as an array of code points."""
    return np.frombuffer(text.encode("utf-32-le", "replace"), dtype=np.uint32)


def fold_characters(points: Points) -> Points:
    """Full width to half width (NFKC), upper to lower case, traditional to simplified; one character stays one."""
    return _folding()[points]


def figures(points: Points) -> Mask:
    """Digits of amounts, dates, days and references (欠8,423元, 3月12日, 逾期45天, 编号4711): which ones they are changes nothing of what is said.

    Only whether a character is a digit decides, so that a text and the same text with other digits there have one normal form.
    """
    found = np.zeros(len(points), dtype=np.bool_)
    where = np.flatnonzero((points >= 48) & (points <= 57))
    if not len(where):
        return found
    begins = np.diff(where, prepend=-2) > 1
    first = where[begins]
    last = where[np.append(np.flatnonzero(begins)[1:] - 1, len(where) - 1)]
    role = _roles()
    padded = np.concatenate([np.zeros(2, points.dtype), points, np.zeros(1, points.dtype)])
    before, after = padded[first + 1], padded[last + 3]
    taken = role[after] & _UNIT != 0
    taken |= (role[before] & _ANNOUNCES != 0) & (role[after] & _HAN == 0)
    references = np.flatnonzero(role[before] & _REFERENCE)
    for at in references.tolist():
        taken[at] |= chr(int(padded[first[at]])) + chr(int(before[at])) in _REFERENCES
    short = last - first < _LONGEST_FIGURE
    # 8,423.50元 is one figure: what holds of a part of it holds of the others.
    joined = np.zeros(len(first), dtype=np.bool_)
    joined[1:] = (first[1:] == last[:-1] + 2) & (role[points[first[1:] - 1]] & _JOINT != 0)
    number = np.cumsum(~joined) - 1
    whole = np.zeros(int(number[-1]) + 1, dtype=np.bool_)
    whole[number[taken]] = True
    found[where] = (whole[number] & short)[np.cumsum(begins) - 1]
    return found


def zero_width(classes: Classes) -> Mask:
    """Which characters cannot be seen."""
    unseen: Mask = (classes & _UNSEEN) != 0
    return unseen


def apostrophes(classes: Classes) -> Mask:
    """Apostrophes inside an English word: don't is dont, however it is typed."""
    return _runs_between(classes, _APOSTROPHE, _LATIN)


def inserted_marks(classes: Classes) -> Mask:
    """Blanks and marks with a Chinese character on either side: 去 死, 老*赖. Between Latin letters they stay."""
    return _runs_between(classes, _MARK, _HAN)


def without_leet(points: Points, classes: Classes) -> Points:
    """Figures and signs that stand for a letter inside an English word: sc@mbag, id1ot."""
    signs = np.flatnonzero(classes & _LEET)
    if not len(signs):
        return points
    inner = (signs > 0) & (signs < len(points) - 1)
    signs = signs[inner]
    signs = signs[(classes[signs - 1] & _LATIN != 0) & (classes[signs + 1] & _LATIN != 0)]
    out = points.copy()
    for sign, letter in _LEET_LETTERS.items():
        out[signs[points[signs] == ord(sign)]] = ord(letter)
    return out


def join_split(points: Points, origin: Index) -> tuple[Points, Index, Index]:
    """Characters taken apart into two are put together: 亻尔 is 你."""
    first = np.flatnonzero(_split_firsts()[points[:-1]]) if len(points) > 1 else np.zeros(0, np.int64)
    if not len(first):
        return points, origin, origin
    whole = _split_wholes()
    pairs = [whole.get((int(points[i]), int(points[i + 1])), 0) for i in first.tolist()]
    first = first[np.array(pairs, dtype=np.int64) != 0]
    out, last = points.copy(), origin.copy()
    out[first] = [p for p in pairs if p]
    last[first] = origin[first + 1]
    kept = np.ones(len(points), np.bool_)
    kept[first + 1] = False
    return out[kept], origin[kept], last[kept]


def once(points: Points, origin: Index, last: Index) -> tuple[Points, Index, Index]:
    """A letter or Chinese character written three times or more in a row is written once: 滚滚滚, fuuuck."""
    classes = _classes()[points]
    same = (points[1:] == points[:-1]) & (classes[1:] & (_HAN | _LATIN) != 0) if len(points) else np.zeros(0, np.bool_)
    if not same.any():
        return points, origin, last
    new = np.flatnonzero(np.concatenate([[True], ~same]))
    sizes = np.diff(np.append(new, len(points)))
    long = sizes >= 3
    kept = np.ones(len(points), np.bool_)
    last = last.copy()
    for start, size in zip(new[long].tolist(), sizes[long].tolist(), strict=True):
        kept[start + 1 : start + size] = False
        last[start] = last[start + size - 1]
    return points[kept], origin[kept], last[kept]


def _runs_between(classes: Classes, mark: int, neighbour: int) -> Mask:
    """Which characters stand in a run of `mark` with a `neighbour` in front of the run and behind it."""
    found = np.zeros(len(classes), dtype=np.bool_)
    where = np.flatnonzero(classes & mark)
    if not len(where):
        return found
    new_run = np.diff(where, prepend=-2) > 1
    first = where[new_run]
    last = where[np.append(np.flatnonzero(new_run)[1:] - 1, len(where) - 1)]
    inner = (first > 0) & (last < len(classes) - 1)
    inner[inner] = (classes[first[inner] - 1] & neighbour != 0) & (classes[last[inner] + 1] & neighbour != 0)
    found[where[inner[np.cumsum(new_run) - 1]]] = True
    return found


@cache
def _folding() -> Points:
    """Code point -> code point for every character with a one-character normal form."""
    table = np.arange(0x110000, dtype=np.uint32)
    ranges = (range(0x20, 0x3400), range(0xF900, 0x10000), range(0x1D400, 0x1D800), range(0x1F100, 0x1F200))
    for point in (p for block in ranges for p in block):
        folded = unicodedata.normalize("NFKC", chr(point)).lower()
        if len(folded) == 1:
            table[point] = ord(folded)
    for point, simple in _simplified().items():
        table[point] = simple
    for picture, character in _EMOJI.items():
        table[ord(picture)] = ord(character)
    table[0xA0] = 0x20
    return table


def _simplified() -> dict[int, int]:
    """Traditional to simplified, character by character (a line each, so that no phrase is converted)."""
    from opencc import OpenCC

    han = [chr(p) for p in range(0x3400, 0xA000)]
    simple = OpenCC("t2s").convert("\n".join(han)).split("\n")
    return {ord(a): ord(b) for a, b in zip(han, simple, strict=True) if a != b and len(b) == 1}


@cache
def _split_wholes() -> dict[tuple[int, int], int]:
    """The two parts of a character -> the character."""
    return {(ord(entry[0]), ord(entry[1])): ord(entry[2]) for entry in _SPLIT.split()}


@cache
def _split_firsts() -> Mask:
    """Which code points can be the first part of a split character."""
    table = np.zeros(0x110000, dtype=np.bool_)
    table[[first for first, _ in _split_wholes()]] = True
    return table


@cache
def _roles() -> Classes:
    """Code point -> what it is beside a figure, a bit each."""
    table = np.zeros(0x110000, dtype=np.uint8)
    table[0x3400:0xA000] |= _HAN
    table[[ord(c) for c in _UNITS]] |= _UNIT
    table[[ord(c) for c in _ANNOUNCED]] |= _ANNOUNCES
    table[[ord(name[-1]) for name in _REFERENCES]] |= _REFERENCE
    table[[ord(c) for c in ",."]] |= _JOINT
    return table


@cache
def _classes() -> Classes:
    """Code point -> what a step asks of it, a bit each."""
    table = np.zeros(0x110000, dtype=np.uint8)
    table[[ord(c) for c in _ZERO_WIDTH]] |= _UNSEEN
    table[[ord(c) for c in _INSERTED]] |= _MARK
    table[[ord(c) for c in _APOSTROPHES]] |= _APOSTROPHE
    table[0x3400:0xA000] |= _HAN
    table[0x20000:0x32000] |= _HAN
    table[[*range(ord("a"), ord("z") + 1)]] |= _LATIN
    table[[ord(c) for c in _LEET_LETTERS]] |= _LEET
    return table
