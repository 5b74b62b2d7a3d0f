"""Texts to signals: candidates by array operations over a whole batch, then the few that are left one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice, product

import numpy as np

from analyzer.text.context import Context, Index, Mask
from analyzer.text.lexicon import Lexicon, Lexicons, Pattern
from analyzer.text.normalise import Points, normalise

# What a pattern looks at in one clause, sentence or text is bounded, so that no text can make it slow.
MOST_OF_ONE, MOST_COMBINATIONS, LONGEST_SCOPE = 8, 512, 1_000


@dataclass(frozen=True)
class Signal:
    """Words of one text that point to a concept. Offsets are characters of the text as logged.

    `sure`: whether the words decide by themselves. `taken_back`: what stands around them means that they were not said, or
    not by the collector. `counts`: whether rules see it: sure and not taken back, or what the second reader made of it. `confidence` is 0 to 1.
    """

    text: int
    concept: str
    label: str
    detail: str
    start: int
    end: int
    words: str
    speaker: str
    negated: bool
    sure: bool
    taken_back: bool
    counts: bool
    confidence: float
    why: str
    version: str


SURE, DOUBTFUL = 0.9, 0.5


def find(texts: Sequence[str], lexicons: Lexicons, owes: Mask | None = None) -> list[Signal]:
    """The signals of each text, in the order of text and place.

    Args:
        texts: messages or notes as logged.
        lexicons: what to look for.
        owes: per text, whether its recipient is known to owe the debt: lexicons with audience "others" skip those.
    """
    return Finder(texts, lexicons, owes).signals()


@dataclass(frozen=True)
class _Hit:
    lexicon: Lexicon
    detail: str
    start: int
    end: int
    sure: bool
    anyone: bool
    despite: frozenset[str]


class Finder:
    """One batch of texts: candidates by array operations, then the few that are left one by one."""

    def __init__(self, texts: Sequence[str], lexicons: Lexicons, owes: Mask | None = None, keep_refused: bool = False) -> None:
        """See `find`. With `keep_refused`, matches that word borders or innocent longer strings refuse are in `refused`."""
        self._texts, self._lexicons = texts, lexicons
        self._keep_refused = keep_refused
        self.refused: list[Signal] = []
        self._normal = normalise(texts)
        self._whole = self._normal.text()
        matches = whole_words(self._normal.points, lexicons.matches(self._whole))
        self._context = Context(self._normal, self._whole, matches)
        self._spans, self._bounds = _by_set(matches, lexicons.sets)
        self._others = None if owes is None else ~owes
        self._by_key: dict[tuple[str, tuple[int, ...], str], tuple[Index, Index, Index]] = {}
        self._borders: dict[tuple[int, int], bool] = {}

    def of_sets(self, numbers: Sequence[int]) -> Index:
        """(start, end) of all matches of these sets."""
        parts = [self._spans[self._bounds[n] : self._bounds[n + 1]] for n in numbers]
        return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros((0, 2), np.int64)

    def signals(self) -> list[Signal]:
        """What was found, in the order of text and place."""
        hits = [hit for lexicon in self._lexicons.items if lexicon.label for hit in self._of_lexicon(lexicon)]
        if not hits:
            return []
        starts = np.array([h.start for h in hits], dtype=np.int64)
        text_of = self._context.text_of(starts)
        negated, reported = self._context.negated(starts), self._context.reported(starts)
        lessons = np.isin(text_of, self._context.lessons)
        order = np.lexsort((-np.array([h.end for h in hits]), starts, text_of))
        return [self._signal(hits[i], int(text_of[i]), bool(negated[i]), bool(reported[i]), bool(lessons[i])) for i in order.tolist()]

    def _signal(self, hit: _Hit, text: int, negated: bool, reported: bool, lesson: bool) -> Signal:
        normal, lexicon = self._normal, hit.lexicon
        first = int(normal.origin[hit.start] - normal.original_starts[text])
        last = int(normal.last[hit.end - 1] - normal.original_starts[text]) + 1
        words = self._texts[text][first:last]
        told = [("negated", negated and "prohibition" not in hit.despite), ("reported", reported and "reported" not in hit.despite and not hit.anyone)]
        told.append(("training", lesson and "training" not in hit.despite))
        taken_back = [name for name, on in told if on]
        reasons = ["normalised" if words != self._whole[hit.start : hit.end] else "literal", *(() if hit.sure else ("weak",)), *taken_back]
        return Signal(
            text, lexicon.id, lexicon.label or "", hit.detail, first, last, words, "reported" if reported else "collector", "negated" in taken_back,
            hit.sure, bool(taken_back), hit.sure and not taken_back, (SURE if hit.sure else DOUBTFUL) * (0.1 if taken_back else 1.0), ", ".join(reasons), lexicon.version,
        )  # fmt: skip

    def _of_lexicon(self, lexicon: Lexicon) -> Iterator[_Hit]:
        """The accepted matches of one lexicon: of its groups and its patterns, the longer before those they cover."""
        innocent = self.of_sets([lexicon.innocent])
        found: list[_Hit] = []
        for number, group, sure in lexicon.alone:
            spans = self.of_sets([number])
            wanted = self._wanted(lexicon, spans, innocent)
            for start, end in wanted.tolist():
                hit = _Hit(lexicon, group, start, end, sure, False, lexicon.despite)
                if self._on_borders(start, end):
                    found.append(hit)
                elif self._keep_refused:
                    self._refuse(hit, "cuts across a word")
            if self._keep_refused:
                left = {tuple(span) for span in spans.tolist()} - {tuple(span) for span in wanted.tolist()}
                for start, end in sorted(left):
                    self._refuse(_Hit(lexicon, group, start, end, sure, False, lexicon.despite), "inside an innocent longer string, or said to somebody who owes")
        for pattern in lexicon.patterns:
            for start, end in self._of_pattern(lexicon, pattern, innocent):
                found.append(_Hit(lexicon, pattern.name, start, end, pattern.sure, pattern.anyone, pattern.despite))
        found.sort(key=lambda h: (h.start, -h.end, not h.sure))
        reach, sure_reach = -1, -1
        for hit in found:
            if hit.end <= (sure_reach if hit.sure else reach):
                continue
            reach = max(reach, hit.end)
            sure_reach = max(sure_reach, hit.end) if hit.sure else sure_reach
            yield hit

    def _refuse(self, hit: _Hit, why: str) -> None:
        text = int(self._context.text_of(np.array([hit.start]))[0])
        self.refused.append(replace(self._signal(hit, text, False, False, False), counts=False, confidence=0.0, why=f"refused: {why}"))

    def _wanted(self, lexicon: Lexicon, spans: Index, innocent: Index) -> Index:
        """Spans whose recipient the lexicon looks at, and that no innocent longer string covers."""
        if lexicon.audience == "others" and self._others is not None and len(spans):
            spans = spans[self._others[self._context.text_of(spans[:, 0])]]
        if len(innocent) and len(spans):
            starts = innocent[np.argsort(innocent[:, 0], kind="stable")]
            reach = np.maximum.accumulate(starts[:, 1])
            place = np.searchsorted(starts[:, 0], spans[:, 0], side="right") - 1
            spans = spans[~((place >= 0) & (reach[np.maximum(place, 0)] >= spans[:, 1]))]
        return spans

    def _of_pattern(self, lexicon: Lexicon, pattern: Pattern, innocent: Index) -> Iterator[tuple[int, int]]:
        """(start, end) of each clause, sentence or text in which the pattern holds: the shortest span of its elements."""
        within = pattern.within
        elements = []
        keys: Index | None = None
        for sets in pattern.all:
            spans, mine, own = self._keyed(lexicon, sets, within, innocent)
            keys = own if keys is None else keys[_isin(keys, own)]
            if not len(keys):
                return
            elements.append((spans, mine))
        assert keys is not None
        if pattern.none:
            keys = keys[~_isin(keys, self._keyed(None, pattern.none, within, innocent)[2])]
        if pattern.of and len(keys):
            there = [self._keyed(None, sets, within, innocent)[2] for sets in pattern.of]
            keys = keys[sum(_isin(keys, some).astype(np.int64) for some in there) >= pattern.at_least]
        lows, highs = ([np.searchsorted(mine, keys, side=side).tolist() for _, mine in elements] for side in ("left", "right"))
        # What place and expressions say depends on the clause, sentence or text alone, and takes out most of them.
        bounded = bool(pattern.regex or pattern.unless or pattern.first is not None or pattern.last is not None)
        rows = [spans.tolist() if len(keys) * 4 > len(spans) else spans for spans, _ in elements]
        for number in range(len(keys)):
            if bounded and not self._stands(pattern, int(elements[0][0][lows[0][number], 0])):
                continue
            choices: list[list[tuple[int, int]]] = []
            for element, spans in enumerate(rows):
                here = spans[lows[element][number] : highs[element][number]][:MOST_OF_ONE]
                choices.append(here if isinstance(here, list) else here.tolist())
            for picked in _shortest_first(choices, pattern.near, pattern.ordered):
                if all(self._on_borders(start, end) for start, end in picked):
                    yield min(s for s, _ in picked), max(e for _, e in picked)
                    break

    def _keyed(self, lexicon: Lexicon | None, sets: tuple[int, ...], within: str, innocent: Index) -> tuple[Index, Index, Index]:
        """(spans, key of each, distinct keys) of some sets, by clause, sentence or text, in the order of keys."""
        name = (lexicon.id if lexicon else "", sets, within)
        if name not in self._by_key:
            spans = self.of_sets(sets)
            spans = self._wanted(lexicon, spans, innocent) if lexicon else spans
            mine = self._context.key_of(within, spans[:, 0])
            if len(sets) > 1:
                order = np.argsort(mine, kind="stable")
                spans, mine = spans[order], mine[order]
            first = np.ones(len(mine), np.bool_)
            first[1:] = mine[1:] != mine[:-1]
            self._by_key[name] = (spans, mine, mine[first])
        return self._by_key[name]

    def _on_borders(self, start: int, end: int) -> bool:
        known = self._borders.get((start, end))
        if known is None:
            known = self._borders[start, end] = self._context.on_borders(start, end)
        return known

    def _stands(self, pattern: Pattern, at: int) -> bool:
        """Whether place and regular expressions of the pattern hold at a position."""
        context = self._context
        if pattern.first is not None or pattern.last is not None:
            low, high = context.span("text", at)
            here, first, last = (int(context.sentence_of(np.array([x]))[0]) for x in (at, low, max(low, high - 1)))
            if pattern.first is not None and here - first >= pattern.first:
                return False
            if pattern.last is not None and last - here >= pattern.last:
                return False
        if pattern.regex or pattern.unless:
            low, high = context.span(pattern.within, at)
            scope = self._whole[low : min(high, low + LONGEST_SCOPE)]
            if pattern.regex and not pattern.regex.search(scope):
                return False
            if pattern.unless and pattern.unless.search(scope):
                return False
        return True


_LENGTH_BITS, _START_BITS = 10, 34


def _by_set(matches: Index, sets: int) -> tuple[Index, Index]:
    """(spans, bounds): the spans of set n are rows bounds[n] to bounds[n + 1], by start, the longest first.

    Set, start and length are packed into one number each, so that one plain sort does it.
    """
    most = (1 << _LENGTH_BITS) - 1
    packed = (matches[:, 0] << (_START_BITS + _LENGTH_BITS)) | (matches[:, 1] << _LENGTH_BITS) | (most - (matches[:, 2] - matches[:, 1]))
    packed.sort()
    starts = (packed >> _LENGTH_BITS) & ((1 << _START_BITS) - 1)
    bounds = np.searchsorted(packed, np.arange(sets + 1, dtype=np.int64) << (_START_BITS + _LENGTH_BITS))
    return np.stack([starts, starts + most - (packed & most)], axis=1), bounds


def whole_words(points: Points, matches: Index) -> Index:
    """Without the matches that begin or end inside a longer word of Latin letters and figures."""
    if not len(matches):
        return matches
    word = _alnum()[np.minimum(points, 128)]
    starts, ends = matches[:, 1], matches[:, 2]
    inside = word[starts] & word[np.maximum(starts - 1, 0)] & (starts > 0)
    inside |= word[ends - 1] & word[np.minimum(ends, len(points) - 1)] & (ends < len(points))
    return matches[~inside]


@cache
def _alnum() -> Mask:
    """Which of the first 128 code points are letters or figures; the last entry stands for all others."""
    return np.array([chr(p).isalnum() for p in range(128)] + [False], dtype=np.bool_)


def _isin(keys: Index, known: Index) -> Mask:
    """Which of some keys are among the known ones, which are in order."""
    if not len(known):
        return np.zeros(len(keys), np.bool_)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    found: Mask = known[place] == keys
    return found


def _shortest_first(choices: list[list[tuple[int, int]]], near: int | None, ordered: bool) -> list[tuple[tuple[int, int], ...]]:
    """Choices of one match of each element, neighbours no further apart than `near`, no two overlapping; the shortest span first."""
    if len(choices) == 1:
        return [(one,) for one in choices[0]]
    found: list[tuple[int, int, tuple[tuple[int, int], ...]]] = []
    for picked in islice(product(*choices), MOST_COMBINATIONS):
        line = picked if ordered else tuple(sorted(picked))
        reach = -1
        for start, end in line:
            if reach >= 0 and (start < reach or (near is not None and start - reach > near)):
                break
            reach = end
        else:
            found.append((line[-1][1] - line[0][0], line[0][0], line))
    found.sort()
    return [line for _, _, line in found]
