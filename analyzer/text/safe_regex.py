"""Regular expressions of rule packs, refused where a text could make them run for ever.

Python's engine backtracks: a repeat inside a repeat, or two repeats side by side that can match the same text, take
exponential or high polynomial time. Rule packs are data from anywhere, so only what is surely quick is let in.
"""

from __future__ import annotations

import re

# The parser of the standard library; its old public name is deprecated since 3.11.
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

# A necessary word may be one of so many.
_MOST_WORDS = 40
_MOST_REPEATS = 4
_LONGEST = 500


def compile_safe(text: str) -> re.Pattern[str]:
    """The compiled expression.

    Raises:
        ValueError: it is no expression, too long, refers back, or repeats something that itself repeats.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"a regular expression of more than {_LONGEST} characters")
    try:
        tree = parser.parse(text)
    except re.error as error:
        raise ValueError(f"no regular expression: {error.msg}") from error
    if _repeats(tree, False) > _MOST_REPEATS:
        raise ValueError(f"more than {_MOST_REPEATS} open repeats in one expression")
    return re.compile(text)


def _repeats(tree: Any, inside: bool) -> int:
    """How many open-ended repeats there are; one inside another is refused."""
    found = 0
    for name, value in tree:
        kind = str(name)
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            _, most, what = value
            if inside and most > 1:
                raise ValueError("a repeat inside a repeat")
            found += (most > 20) + _repeats(what, inside or most > 1)
        elif kind == "BRANCH":
            found += sum(_repeats(branch, inside) for branch in value[1])
        elif kind in ("SUBPATTERN", "ATOMIC_GROUP"):
            found += _repeats(value[-1] if kind == "SUBPATTERN" else value, inside)
        elif kind in ("ASSERT", "ASSERT_NOT"):
            found += _repeats(value[1], inside)
        elif kind == "GROUPREF":
            raise ValueError("a reference back to a group")
    return found


def necessary(text: str) -> list[tuple[str, ...]]:
    """Chinese words of which every match of the expression holds at least one, for each list of them; there may be none.

    Where a text holds no word of a list, the expression need not be tried. Words of other scripts are left out: their case and
    their borders would have to be minded.
    """
    return [tuple(sorted(words)) for words in _needed(parser.parse(text)) if len(words) <= _MOST_WORDS]


def _needed(tree: Any) -> list[frozenset[str]]:
    """What a sequence needs: each run of Chinese characters, and what each of its parts needs."""
    found: list[frozenset[str]] = []
    run = ""
    for name, value in tree:
        kind = str(name)
        if kind == "LITERAL" and _is_han(value):
            run += chr(value)
            continue
        if run:
            found.append(frozenset([run]))
            run = ""
        if kind == "IN" and all(str(n) == "LITERAL" and _is_han(v) for n, v in value):
            found.append(frozenset(chr(v) for _, v in value))
        elif kind == "BRANCH":
            # One word of each branch will do, the fewest and longest that there are.
            needs = [_needed(branch) for branch in value[1]]
            if all(needs):
                found.append(frozenset().union(*(min(need, key=lambda words: (len(words), -min(map(len, words)))) for need in needs)))
        elif kind in ("SUBPATTERN", "ATOMIC_GROUP"):
            found += _needed(value[-1] if kind == "SUBPATTERN" else value)
        elif kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and value[0] >= 1:
            found += _needed(value[2])
    if run:
        found.append(frozenset([run]))
    return found


def _is_han(point: int) -> bool:
    return 0x3400 <= point < 0xA000
