"""What stands around a match: its clause and sentence, who speaks there, and what takes it back.

Everything here works on arrays of positions in normalised texts laid end to end; only word borders are asked one by one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from analyzer.text import lexicon, segment
from analyzer.text.normalise import Normal

Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_CLAUSE, _SENTENCE = 1, 2
CLAUSE_ENDS, SENTENCE_ENDS = ",，", "。!?;\n\r\x00！？；"
_LONG_TERM = 5
# jieba joins a pronoun with what follows it; a term that ends with the pronoun still ends there.
_PRONOUNS = frozenset("你您他她我")


T = TypeVar("T")


class Around(NamedTuple, Generic[T]):
    """What stands around words: a prohibition or denial; somebody else is speaking; training text; the question whether it was said or
    done; the case that somebody should do it."""

    negated: T
    reported: T
    lesson: T
    asked: T
    supposed: T


NOTHING = Around(False, False, False, False, False)


@dataclass(frozen=True)
class Marks:
    """The markers of a batch: for each kind the starts and ends of its matches, in order."""

    starts: tuple[Index, ...]
    ends: tuple[Index, ...]


class Context:
    """A batch of normalised texts with its borders and markers."""

    def __init__(self, normal: Normal, whole: str, markers: Sequence[tuple[Index, Index]]) -> None:
        """`markers`: for each kind of `lexicon.MARKERS` the starts and ends of its matches, in order."""
        self.normal, self.whole = normal, whole
        ends = _ends(normal.points)
        self._clause_ends = np.flatnonzero(ends)
        self._sentence_ends = np.flatnonzero(ends == _SENTENCE)
        # Single positions are looked up in lists, many at once in arrays.
        self._clause_list, self._sentence_list = self._clause_ends.tolist(), self._sentence_ends.tolist()
        self._text_starts: list[int] = normal.starts.tolist()
        # Per character, the number of its clause, sentence and text.
        self._numbers = {"clause": _before(ends > 0), "sentence": _before(ends == _SENTENCE), "text": _before(normal.points == 0)}
        self._marks = _without_addressed(Marks(tuple(starts for starts, _ in markers), tuple(stops for _, stops in markers)))
        self._lessons = np.unique(self.text_of(self._marks.starts[lexicon.TRAINING]))
        self._turns()
        self._resumes()
        self._quotes()

    def text_of(self, at: Index) -> Index:
        """The number of the text that holds each position."""
        return self._numbers["text"][at]

    def count(self, within: str) -> int:
        """How many clauses, sentences or texts there are, the last one included where it has no end."""
        return {"clause": len(self._clause_ends) + 1, "sentence": len(self._sentence_ends) + 1, "text": len(self._text_starts)}[within]

    def clause_start(self, at: Index) -> Index:
        """Where the clause of each position begins."""
        return _start(self._clause_ends, at)

    def span(self, within: str, at: int) -> tuple[int, int]:
        """(start, end) of the clause, sentence or text that holds a position."""
        if within == "text":
            text = bisect_right(self._text_starts, at) - 1
            last = len(self.whole) if text + 1 == len(self._text_starts) else self._text_starts[text + 1] - 1
            return self._text_starts[text], last
        ends = self._clause_list if within == "clause" else self._sentence_list
        place = bisect_left(ends, at)
        return (ends[place - 1] + 1 if place else 0), (ends[place] if place < len(ends) else len(self.whole))

    def spans(self, within: str, keys: Index) -> tuple[Index, Index]:
        """(starts, ends) of clauses, sentences or texts by their numbers."""
        borders = {"clause": self._clause_ends, "sentence": self._sentence_ends}.get(within, self.normal.starts[1:] - 1)
        starts = np.concatenate([np.zeros(1, np.int64), borders + 1])
        return starts[keys], np.append(borders, len(self.whole))[keys]

    def key_of(self, within: str, at: Index) -> Index:
        """The number of the clause, sentence or text of each position."""
        return self._numbers[within][at]

    def around(self, at: Index) -> Around[Mask]:
        """What stands around each position. What a quotation is opened with holds of all that is in it."""
        quoted, opened = self._opening(at)
        inside = np.flatnonzero(quoted)
        at_and_opened = np.concatenate([at, opened[inside]])

        def holds(found: Mask) -> Mask:
            mine = found[: len(at)].copy()
            mine[inside] |= found[len(at) :]
            return mine

        sentences = _start(self._sentence_ends, at_and_opened)
        return Around(
            holds(self._marked(lexicon.PROHIBITION, at_and_opened, self.clause_start(at_and_opened))),
            holds(self._reported(at_and_opened)),
            np.isin(self.text_of(at), self._lessons),
            holds(self._marked(lexicon.QUESTION, at_and_opened, sentences)),
            holds(self._marked(lexicon.CONDITION, at_and_opened, sentences)),
        )

    def _reported(self, at: Index) -> Mask:
        """Whether somebody else is speaking at each position: his turn of a dialogue, or reported speech not yet ended."""
        found = self._marked(lexicon.REPORTED, at, _start(self._sentence_ends, at))
        if found.any():
            last = self._last(lexicon.REPORTED, at)
            again = np.searchsorted(self._resumed, at, side="right") - 1
            resumed = np.where(again >= 0, self._resumed[np.maximum(again, 0)], -1) if len(self._resumed) else np.full(len(at), -1)
            found &= last >= resumed
        # 客户放话: the word that says it is his too.
        starts, ends = self._marks.starts[lexicon.REPORTED], self._marks.ends[lexicon.REPORTED]
        if len(starts):
            place = np.searchsorted(starts, at, side="left") - 1
            found |= (place >= 0) & (np.maximum.accumulate(ends)[np.maximum(place, 0)] > at)
        turn = np.searchsorted(self._turn_at, at, side="right") - 1
        if len(self._turn_at):
            there = np.maximum(turn, 0)
            same = (turn >= 0) & (self.text_of(self._turn_at[there]) == self.text_of(at))
            found |= same & self._turn_other[there]
        return found

    def _opening(self, at: Index) -> tuple[Mask, Index]:
        """(whether each position is in a quotation, where that one is opened)."""
        if not len(self._quote_at):
            return np.zeros(len(at), np.bool_), at
        place = np.searchsorted(self._quote_at, at, side="right") - 1
        there = np.maximum(place, 0)
        return (place >= 0) & (at < self._quote_end[there]), self._quote_at[there]

    def on_borders(self, start: int, end: int) -> bool:
        """Whether a match begins and ends where words do (Latin ones were looked at before). jieba is asked only where a border is in doubt."""
        whole = self.whole
        if end - start >= _LONG_TERM:
            return True
        if not (start and segment.may_join(whole[start - 1 : start + 1])) and not (end < len(whole) and segment.may_join(whole[end - 1 : end + 1])):
            return True
        low, high = self.span("clause", start)
        return segment.is_border(whole, start, low, high) and (whole[end - 1] in _PRONOUNS or segment.is_border(whole, end, low, high))

    def _marked(self, kind: int, at: Index, since: Index) -> Mask:
        """Whether a marker of the kind that stands alone begins at or after `since` and ends by `at`."""
        ends, starts = self._marks.ends[kind], self._marks.starts[kind]
        if not len(ends):
            return np.zeros(len(at), np.bool_)
        low = np.searchsorted(starts, since, side="left")
        high = np.searchsorted(starts, at, side="left")
        found = np.zeros(len(at), np.bool_)
        for i in np.flatnonzero(low < high):
            found[i] = any(ends[m] <= at[i] and self._stands_alone(int(starts[m]), int(ends[m])) for m in range(low[i], high[i]))
        return found

    def _last(self, kind: int, at: Index) -> Index:
        starts = self._marks.starts[kind]
        place = np.searchsorted(starts, at, side="left") - 1
        return np.where(place >= 0, starts[np.maximum(place, 0)], -1)

    def _stands_alone(self, start: int, end: int) -> bool:
        """不得 is a prohibition, but not inside 恨不得."""
        low, high = self.span("clause", start)
        if end - start >= _LONG_TERM or start == low:
            return True
        return segment.is_border(self.whole, start, low, high) and segment.is_border(self.whole, end, low, high)

    def _turns(self) -> None:
        """Turns of dialogues: each begins with a speaker and a colon, at the start of the text or after something that is no letter."""
        at, other = [], []
        for kind in (lexicon.COLLECTOR_TURN, lexicon.OTHER_TURN):
            starts = self._marks.starts[kind]
            starts = starts[self._opens(starts)]
            at.append(starts)
            other.append(np.full(len(starts), kind == lexicon.OTHER_TURN))
        collector, others = at
        # Without a collector's turn it is a dialogue only if it opens with somebody's.
        dialogues = self.text_of(collector)
        texts = self.text_of(others)
        opening = others == self.normal.starts[texts] if len(others) else np.zeros(0, np.bool_)
        kept = np.isin(texts, dialogues) | np.isin(texts, texts[opening])
        found = np.concatenate([collector, others[kept]])
        whose = np.concatenate([other[0], other[1][kept]])
        order = np.argsort(found, kind="stable")
        self._turn_at, self._turn_other = found[order], whose[order]

    def _opens(self, starts: Index) -> Mask:
        """Whether what stands before each position in the text as logged is no letter or digit (or nothing)."""
        if not len(starts):
            return np.zeros(0, np.bool_)
        origin = self.normal.origin[starts]
        before = np.where(origin > 0, self.normal.original[np.maximum(origin - 1, 0)], 0)
        return np.array([not chr(int(point)).isalnum() for point in before], dtype=np.bool_)

    def _resumes(self) -> None:
        """Where reported speech ends because the collector is the subject again."""
        clauses = self._marks.starts[lexicon.RESUMED_CLAUSE]
        begins = self.clause_start(clauses)
        blank = (begins == clauses - 1) & (self.normal.points[begins] == 32) if len(clauses) else np.zeros(0, np.bool_)
        at_start = clauses[(begins == clauses) | blank]
        resumed = self._marks.starts[lexicon.RESUMED]
        # What is said to the collector is not said by him: 客户跟我说 is no 我说.
        inside = _within(resumed, self._marks.ends[lexicon.RESUMED], self._marks.starts[lexicon.REPORTED], self._marks.ends[lexicon.REPORTED])
        self._resumed = np.sort(np.concatenate([resumed[~inside], at_start]))

    def _quotes(self) -> None:
        """Where quotations begin and end, the outermost ones; a quote that is never closed is none."""
        original = self.normal.original
        at_all = np.flatnonzero(_QUOTES[np.minimum(original, len(_QUOTES) - 1)])
        texts = np.searchsorted(self.normal.original_starts, at_all, side="right").tolist()
        begins, ends = [], []
        opened, closing, inside = -1, 0, -1
        for at, sign, text in zip(at_all.tolist(), original[at_all].tolist(), texts, strict=True):
            if text != inside:
                opened, inside = -1, text
            if opened < 0:
                if sign in _CLOSING and (sign not in _SINGLE or self._opens_single(at)):
                    opened, closing = at, _CLOSING[sign]
            elif sign == closing and (sign not in _SINGLE or not self._letter(at + 1)):
                begins.append(opened)
                ends.append(at)
                opened = -1
        self._quote_at = np.searchsorted(self.normal.origin, np.array(begins, dtype=np.int64))
        self._quote_end = np.searchsorted(self.normal.origin, np.array(ends, dtype=np.int64))

    def _opens_single(self, at: int) -> bool:
        """A single quote opens a quotation before a letter and after none; all others are apostrophes."""
        return self._letter(at + 1) and not self._letter(at - 1)

    def _letter(self, at: int) -> bool:
        return 0 <= at < len(self.normal.original) and chr(int(self.normal.original[at])).isalnum()


def _without_addressed(marks: Marks) -> Marks:
    """Whom the collector speaks to says nothing himself: 跟客户说 is no 客户说."""
    starts, ends = marks.starts[lexicon.REPORTED], marks.ends[lexicon.REPORTED]
    kept = ~_within(starts, ends, marks.starts[lexicon.ADDRESSED], marks.ends[lexicon.ADDRESSED])
    return Marks(
        tuple(s[kept] if kind == lexicon.REPORTED else s for kind, s in enumerate(marks.starts)),
        tuple(e[kept] if kind == lexicon.REPORTED else e for kind, e in enumerate(marks.ends)),
    )


def _within(starts: Index, ends: Index, opened: Index, closed: Index) -> Mask:
    """Whether each match lies in another that begins before it; all in order of their starts."""
    if not len(starts) or not len(opened):
        return np.zeros(len(starts), np.bool_)
    # Where one that begins before reaches farthest.
    reach = np.maximum.accumulate(closed)
    place = np.searchsorted(opened, starts, side="left") - 1
    inside: Mask = (place >= 0) & (reach[np.maximum(place, 0)] >= ends)
    return inside


def _before(ends: Mask) -> Index:
    """How many of the ends come before each character."""
    return np.cumsum(ends, dtype=np.int64) - ends


def _start(ends: Index, at: Index) -> Index:
    place = np.searchsorted(ends, at, side="left")
    return np.where(place > 0, ends[np.maximum(place - 1, 0)] + 1, 0) if len(ends) else np.zeros(len(at), np.int64)


def _ends(points: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """Per character: 0, or the end of a clause, or of a sentence. A full stop ends one before a blank or the end."""
    kinds = _TABLE[np.minimum(points, len(_TABLE) - 1)]
    dots = np.flatnonzero(points == ord("."))
    if len(dots):
        after = points[np.minimum(dots + 1, len(points) - 1)]
        kinds[dots[(after == 32) | (after == 10) | (after == 13) | (after == 0) | (dots == len(points) - 1)]] = _SENTENCE
    return kinds


_TABLE = np.zeros(0x10000, dtype=np.uint8)
_TABLE[[ord(c) for c in CLAUSE_ENDS]] = _CLAUSE
_TABLE[[ord(c) for c in SENTENCE_ENDS]] = _SENTENCE
# What opens a quotation, and what closes it.
_CLOSING = {ord(pair[0]): ord(pair[1]) for pair in ("“”", "「」", "『』", '""', "＂＂", "''", "‘’")}
_SINGLE = frozenset(map(ord, "'‘’"))
_QUOTES = np.zeros(0x10000, dtype=np.bool_)
_QUOTES[[*_CLOSING, *_CLOSING.values()]] = True
