"""Other ways in which people write a name or a number that is known: what a redacted edition must look for beside the thing itself.

A telephone number goes with and without its country's code and the zero before the area, a Chinese landline without its area. A cell of
names holds more than a name: titles, brackets, a relation, two names; and of a Latin name people write the first or the last alone.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from analyzer.intake.columns import WORDS

# Country's code -> whether a zero goes before a national number, and how such numbers look (national numbering plans, as ITU-T E.164 lists them).
_COUNTRIES = {
    "86": (True, r"1[3-9]\d{9}|(?:10|2\d|[3-9]\d{2})\d{7,8}"), "852": (False, r"[235-9]\d{7}"), "853": (False, r"[268]\d{7}"), "886": (True, r"9\d{8}|[2-8]\d{7,8}"),
    "65": (False, r"[3689]\d{7}"), "91": (True, r"[6-9]\d{9}"), "63": (True, r"9\d{9}"), "62": (True, r"8\d{8,11}"), "84": (True, r"[35789]\d{8}"), "81": (True, r"[5789]0\d{8}"),
    "82": (True, r"10\d{7,8}"), "61": (True, r"[2-478]\d{8}"), "1": (False, r"[2-9]\d{2}[2-9]\d{6}"), "44": (True, r"[127]\d{9}"), "60": (True, r"1\d{8,9}"), "66": (True, r"[689]\d{8}"),
    "234": (True, r"[789]\d{9}"), "254": (True, r"[17]\d{8}"),
}  # fmt: skip
_NATIONAL = tuple((code, trunk, re.compile(rf"(?:(?:00)?{code})?{'0?' if trunk else ''}({national})")) for code, (trunk, national) in _COUNTRIES.items())
_AREA_CN = re.compile(r"(?:(?:00)?86|0)(?:10|2\d|[3-9]\d{2})(\d{7,8})")
LONGEST_PREFIX = 6
"""Figures that may stand before a national number at most: 00, three of a country, 0."""
_BETWEEN_NAMES, _COMMA = re.compile(r"[()（）\[\]【】<>《》{}/／;；&|+\n\r\t]+"), re.compile(r"[、,，]")
_TITLES = ("先生", "女士", "小姐", "太太", "夫人", "阿姨", "叔叔", "大爷", "大妈", "大姐", "大哥", "老师", "经理", "主任", "总", "师傅", "医生", "律师", "同学", "老板", "队长", "处长", "局长", "书记")
_LATIN_TITLES = frozenset(["mr", "mrs", "ms", "miss", "mdm", "madam", "dr", "sir", "prof", "shri", "smt", "encik", "puan", "pak", "bu", "ibu", "bapak", "sdr", "jr", "sr"])
# What stands in names and is none by itself.
_PARTICLES = frozenset(["bin", "binti", "van", "von", "der", "den", "del", "dos", "the", "and", "abu", "ibn", "anak"])
# Names that are everyday words too: by themselves they are looked for with a capital only.
_EVERYDAY = frozenset(
    [
        "will", "may", "mark", "bill", "grace", "rich", "long", "young", "brown", "white", "black", "green", "gray", "grey", "king", "price", "day", "hope", "joy", "faith",
        "rose", "summer", "june", "april", "august", "hall", "wood", "rice", "cook", "page", "case", "law", "love", "best", "good", "rush", "bond", "cash", "stone", "field",
        "lake", "banks", "frank", "grant", "chase", "drew", "pat", "sue", "art", "gene", "dean", "miles", "jack", "rob", "guy", "ray", "lee", "park", "song", "sun", "son",
        "hand", "head", "short", "little", "small", "sharp", "swift", "wise", "noble", "power", "rule", "level", "key", "bell", "ball", "cross", "church", "major", "judge",
        "bridges", "street", "lane", "moon", "star", "prince", "penny", "dollar", "pound", "farmer", "homes", "house", "read", "reed", "call", "line", "date", "due", "low",
        "das", "are", "can", "has", "had", "was", "for", "you", "our", "his", "her", "not", "who", "how", "now", "new", "old", "two", "one", "she", "they", "ram",
    ]
)  # fmt: skip


class Spelling(NamedTuple):
    """What is looked for. `before`: figures that may stand right before it; `capital`: whether it must begin with a capital."""

    text: str
    before: frozenset[str] = frozenset()
    capital: bool = False


def of_number(normal: str) -> list[Spelling]:
    """The national numbers that a number in its normal form (figures only) may be, each with what may stand before it.

    A number without its country's code may be of several countries.
    """
    if not (normal.isascii() and normal.isdigit() and 7 <= len(normal) <= 16):
        return []
    found: dict[str, set[str]] = {}
    for code, trunk, pattern in _NATIONAL:
        if match := pattern.fullmatch(normal):
            before = found.setdefault(match[1], set())
            before |= {head + zero for head in ("", code, f"00{code}") for zero in (("", "0") if trunk else ("",))}
    if match := _AREA_CN.fullmatch(normal):
        found.setdefault(match[1], set())
    return [Spelling(national, frozenset(before - {""})) for national, before in found.items() if before or national != normal]


def of_name(cell: str) -> list[Spelling]:
    """The names in a cell of names: parted, without titles, brackets and relations; of Latin names also the parts and the words turned round."""
    found: dict[str, Spelling] = {}
    for piece in _BETWEEN_NAMES.split(cell):
        # A comma parts two Chinese names, and the last from the first of a Latin one.
        for spelling in [*(one for name in _COMMA.split(piece) for one in _without_titles(name.strip())), *_latin(piece)]:
            found.setdefault(spelling.text, spelling)
    return list(found.values())


def _without_titles(piece: str) -> list[Spelling]:
    """A name alone, where the piece is more than a title or a relation."""
    bare = piece.rstrip("0123456789").strip()
    for _ in range(2):
        for ends in _ends():
            # What would leave nothing is no title of somebody.
            bare = (ends.sub("", bare) or bare).strip(" :：的")
    if bare.isascii() or bare in _relations() or bare in _TITLES or sum(c.isalpha() for c in bare) < 2:
        return []
    return [Spelling(bare)]


@cache
def _ends() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Chinese titles and relations behind a name, and relations before it; one character is as often part of a name."""
    relations = [word for word in _relations() if not word.isascii() and len(word) > 1]
    behind, before = ("|".join(sorted(map(re.escape, words), key=lambda w: (-len(w), w))) for words in ((*_TITLES, *relations), relations))
    return re.compile(f"(?:{behind})$"), re.compile(f"^(?:{before})")


def _latin(piece: str) -> list[Spelling]:
    words = [word for word in re.split(r"[\s,;，；./]+", piece) if word]
    words = [word for word in words if word.lower() not in _LATIN_TITLES and word.lower() not in _relations()]
    if not words or not all(_is_latin(word) for word in words) or len(words) > 6:
        return []
    alone = [Spelling(word, capital=word.lower() in _EVERYDAY) for word in words if sum(c.isalpha() for c in word) >= 3 and word.lower() not in _PARTICLES] if len(words) > 1 or words != piece.split() else []
    turned = [Spelling(" ".join(order)) for order in (words, [words[-1], *words[:-1]], [*words[1:], words[0]])] if 2 <= len(words) <= 4 else []
    return [*turned, *alone]


def _is_latin(word: str) -> bool:
    return any(c.isalpha() for c in word) and all(ord(c) < 0x250 or 0x300 <= ord(c) < 0x370 or 0x1E00 <= ord(c) < 0x1F00 or c in "’‘´ʼ" for c in word)


@cache
def _relations() -> frozenset[str]:
    """What a log calls relations: 母亲, wife."""
    return frozenset(word for name, words in WORDS["relation"].items() for word in (name, *words.lower().split()))
