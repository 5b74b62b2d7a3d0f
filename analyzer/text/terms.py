"""All terms of all lexicons, and what finds them in a batch of normalised texts.

Terms of one and of two characters are looked up in tables, whole arrays at a time: they are most of the matches, and an
automaton reports its matches one Python object each. Longer terms are found by one Aho-Corasick automaton over the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import ahocorasick_rs
import numpy as np
import numpy.typing as npt

from analyzer.text.normalise import Points

Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_CODE_POINTS = 0x110000
# A match packed into one number, so that one plain sort puts all in order: start, length (the longest first), term.
_START_BITS, _LENGTH_BITS, _TERM_BITS = 33, 10, 20
LONGEST_TERM = (1 << _LENGTH_BITS) - 1


class Terms:
    """Compiled terms; their numbers are their places in `words`."""

    def __init__(self, words: Sequence[str]) -> None:
        """`words` are different normal forms of at most `LONGEST_TERM` characters, none empty."""
        self.words = tuple(words)
        self._one = np.zeros(_CODE_POINTS, np.int32)
        pairs: list[tuple[str, int]] = []
        long: list[int] = []
        for number, word in enumerate(words):
            if len(word) == 1:
                self._one[ord(word)] = number + 1
            elif len(word) == 2:
                pairs.append((word, number))
            else:
                long.append(number)
        self._first, firsts = _numbered([word[0] for word, _ in pairs])
        self._second, self._seconds = _numbered([word[1] for word, _ in pairs])
        self._pairs = np.zeros(firsts * self._seconds, np.int32)
        for word, number in pairs:
            self._pairs[int(self._first[ord(word[0])]) * self._seconds + int(self._second[ord(word[1])])] = number + 1
        self._long = np.array(long, dtype=np.int64)
        self._automaton = ahocorasick_rs.BytesAhoCorasick(
            [words[number].encode("utf-8") for number in long],
            matchkind=ahocorasick_rs.MatchKind.Standard, implementation=ahocorasick_rs.Implementation.DFA,
        )  # fmt: skip
        self._sizes = np.array([len(word) for word in words], dtype=np.int64)
        latin = _alnum()
        self._opens = np.array([bool(latin[min(ord(word[0]), 128)]) for word in words], dtype=np.bool_)
        self._closes = np.array([bool(latin[min(ord(word[-1]), 128)]) for word in words], dtype=np.bool_)

    def find(self, points: Points, whole: str) -> Matches:
        """Every place of every term, overlapping ones included, but none inside a longer Latin word.

        Args:
            points: normalised texts laid end to end, a NUL between them.
            whole: the same as a string.
        """
        terms, starts = zip(*(self._of_one(points), self._of_two(points), self._of_more(whole)), strict=True)
        term, start = np.concatenate(terms), np.concatenate(starts)
        keep = self._whole_words(points, term, start)
        term, start = term[keep], start[keep]
        packed = (((start << _LENGTH_BITS) | (LONGEST_TERM - self._sizes[term])) << _TERM_BITS) | term
        packed.sort()
        term = packed & ((1 << _TERM_BITS) - 1)
        start = packed >> (_LENGTH_BITS + _TERM_BITS)
        return Matches(term, start, start + self._sizes[term], len(self.words))

    def _of_one(self, points: Points) -> tuple[Index, Index]:
        hit = self._one[points]
        at = np.flatnonzero(hit)
        return hit[at].astype(np.int64) - 1, at

    def _of_two(self, points: Points) -> tuple[Index, Index]:
        if len(points) < 2:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        hit = self._pairs[self._first[points[:-1]] * self._seconds + self._second[points[1:]]]
        at = np.flatnonzero(hit)
        return hit[at].astype(np.int64) - 1, at

    def _of_more(self, whole: str) -> tuple[Index, Index]:
        raw = whole.encode("utf-8")
        found = np.array(self._automaton.find_matches_as_indexes(raw, overlapping=True), dtype=np.int64).reshape(-1, 3)
        at = found[:, 1]
        if len(at) and len(raw) != len(whole):
            at = np.cumsum(np.frombuffer(raw, dtype=np.int8) >= -64, dtype=np.int64)[at] - 1
        return self._long[found[:, 0]], at

    def _whole_words(self, points: Points, term: Index, start: Index) -> Mask:
        """Which matches do not begin or end inside a longer word of Latin letters and figures."""
        keep = np.ones(len(term), np.bool_)
        for edge, ends in ((self._opens, False), (self._closes, True)):
            doubtful = np.flatnonzero(edge[term])
            beside = start[doubtful] + self._sizes[term[doubtful]] if ends else start[doubtful] - 1
            inside = (beside >= 0) & (beside < len(points))
            inside[inside] = _alnum()[np.minimum(points[beside[inside]], 128)]
            keep[doubtful[inside]] = False
        return keep


class Matches:
    """Terms found in a batch: number, start and end of each, in the order of place, the longest first."""

    def __init__(self, term: Index, start: Index, end: Index, terms: int) -> None:
        """`terms`: how many there are to be found."""
        self.term, self.start, self.end = term, start, end
        self.counts = np.bincount(term, minlength=terms)
        self._bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.counts)])
        # Numbers of sixteen bits are sorted by radix.
        self._order = np.argsort(term.astype(np.uint16) if terms <= 1 << 16 else term, kind="stable")

    def of(self, terms: Index) -> Index:
        """The numbers of all matches of some terms, in the order of place."""
        parts = self.parts(terms)
        if len(parts) < 2:
            return parts[0] if parts else np.zeros(0, np.int64)
        found = np.concatenate(parts)
        found.sort()
        return found


    def parts(self, terms: Index) -> list[Index]:
        """The numbers of the matches of each of some terms that has any, each in the order of place."""
        here = terms[self.counts[terms] > 0]
        return [self._order[self._bounds[t] : self._bounds[t + 1]] for t in here.tolist()]


def _numbered(characters: Sequence[str]) -> tuple[npt.NDArray[np.int32], int]:
    """(table, size): code point -> a number from 1 for each of the characters, 0 for all others; how many numbers."""
    table = np.zeros(_CODE_POINTS, np.int32)
    different = sorted(set(characters))
    table[[ord(c) for c in different]] = np.arange(1, len(different) + 1)
    return table, len(different) + 1


@cache
def _alnum() -> Mask:
    """Which of the first 128 code points are letters or figures; the last entry stands for all others."""
    return np.array([chr(p).isalnum() for p in range(128)] + [False], dtype=np.bool_)
