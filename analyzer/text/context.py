"""What stands around a match: the clause it is in, and what in front of it changes its meaning."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.text import segment
from analyzer.text.lexicon import Markers

BREAKS = frozenset("。！？；，,!?;\n\r\x00")
_LONG_TERM = 5
# jieba joins a pronoun with what follows it; a term that ends with the pronoun still ends there.
_PRONOUNS = frozenset("你您他她我")


@dataclass(frozen=True)
class Verdict:
    """What became of a match. `refused` is the step that refused it, or None."""

    refused: str | None
    negated: bool
    reported: bool


def clause_of(text: str, start: int, end: int) -> tuple[int, int]:
    """(start, end) of the clause that holds text[start:end]."""
    low = start
    while low > 0 and text[low - 1] not in BREAKS:
        low -= 1
    high = end
    while high < len(text) and text[high] not in BREAKS:
        high += 1
    return low, high


def look(text: str, start: int, end: int, markers: Markers) -> Verdict:
    """Judge a match at text[start:end]. jieba is asked only where a border is in doubt."""
    if not _whole_words(text, start, end):
        return Verdict("latin_border", False, False)
    low, high = clause_of(text, start, end)
    clause = text[low:high]
    if end - start < _LONG_TERM and not _on_borders(clause, start - low, end - low):
        return Verdict("word_border", False, False)
    before = clause[: start - low]
    negated = any(_stands_alone(clause, *m.span()) for m in markers.prohibition.finditer(before))
    reported = any(_stands_alone(clause, *m.span()) for m in markers.reported.finditer(before))
    return Verdict(None, negated, reported)


def _on_borders(clause: str, start: int, end: int) -> bool:
    cuts = segment.borders(clause)
    return start in cuts and (end in cuts or clause[end - 1] in _PRONOUNS)


def _stands_alone(clause: str, start: int, end: int) -> bool:
    """不得 is a prohibition, but not inside 恨不得."""
    if end - start >= _LONG_TERM or start == 0:
        return True
    cuts = segment.borders(clause)
    return start in cuts and end in cuts


def _whole_words(text: str, start: int, end: int) -> bool:
    """A term that begins (ends) with a Latin letter or a digit does not begin (end) inside a longer word."""
    left = not (text[start].isascii() and text[start].isalnum() and start > 0 and text[start - 1].isascii() and text[start - 1].isalnum())
    right = not (text[end - 1].isascii() and text[end - 1].isalnum() and end < len(text) and text[end].isascii() and text[end].isalnum())
    return left and right
