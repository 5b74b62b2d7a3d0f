"""Regular expressions of rule packs, refused where a text could make them run for ever.

Python's engine backtracks: a repeat inside a repeat, or two repeats side by side that can match the same text, take
exponential or high polynomial time. Rule packs are data from anywhere, so only what is surely quick is let in.
"""

from __future__ import annotations

import re

# The parser of the standard library; its old public name is deprecated since 3.11.
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

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
