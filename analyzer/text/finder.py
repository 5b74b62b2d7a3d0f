"""Texts to signals: candidates by array operations over a whole batch, then the few that are left one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from analyzer.text.context import NOTHING, Around, Context, Index, Mask
from analyzer.text.lexicon import LABELS, MARKERS, Lexicon, Lexicons, Pattern
from analyzer.text.normalise import FIGURE, normalise

# What a pattern looks at in one clause, sentence or text is bounded, so that no text can make it slow.
MOST_OF_ONE, MOST_COMBINATIONS, LONGEST_SCOPE = 8, 512, 1_000


class Signal(NamedTuple):
    """Words of one text that point to a concept. Offsets are characters of the text as logged.

    `sure`: whether the words decide by themselves. `taken_back`: what stands around them means that they were not said, or
    not by the collector. `counts`: whether rules see it: sure and neither taken back nor overruled by the second reader, or doubtful and confirmed by it. `confidence` is 0 to 1.
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
TAKEN_BACK = {"prohibition": "negated", "reported": "reported", "training": "training", "question": "asked", "condition": "supposed"}
"""What takes words back, by the name that lexicons have for it, and what `Signal.why` says of it."""
# That a figure is written like others in the normal form is no disguise.
_ALIKE = str.maketrans("0123456789", FIGURE * 10)


def find(texts: Sequence[str], lexicons: Lexicons, owes: Mask | None = None) -> list[Signal]:
    """The signals of each text, in the order of text and place.

    Args:
        texts: messages or notes as logged.
        lexicons: what to look for.
        owes: per text, whether its recipient is known to owe the debt: lexicons with audience "others" skip those.
    """
    return Finder(texts, lexicons, owes).signals()


class _Hit(NamedTuple):
    """A match accepted so far. In the order of its first three: by place, the longer and the surer first."""

    start: int
    end_backwards: int
    weak: bool
    lexicon: Lexicon
    detail: str
    anyone: bool
    despite: frozenset[str]

    @property
    def end(self) -> int:
        return -self.end_backwards


_ORDER = itemgetter(0, 1, 2)


class Finder:
    """One batch of texts: candidates by array operations, then the few that are left one by one."""

    def __init__(self, texts: Sequence[str], lexicons: Lexicons, owes: Mask | None = None, keep_refused: bool = False) -> None:
        """See `find`. With `keep_refused`, matches that word borders or innocent longer strings refuse are in `refused`."""
        self.texts, self.lexicons = texts, lexicons
        self.keeps_refused = keep_refused
        self.refused: list[Signal] = []
        self.normal = normalise(texts)
        self._whole = self.normal.text()
        self._found = found = lexicons.terms.find(self.normal.points, self._whole)
        markers = [found.of(lexicons.terms_of(kind)) for kind in range(len(MARKERS))]
        self._context = Context(self.normal, self._whole, [(found.start[m], found.end[m]) for m in markers])
        counted = np.concatenate([np.zeros(1, np.int64), np.cumsum(found.counts[lexicons.set_terms])])
        # How many matches each set has: of most there are none, and a pattern begins with its rarest element.
        self._counts: list[int] = (counted[lexicons.set_starts[1:]] - counted[lexicons.set_starts[:-1]]).tolist()
        self._others = None if owes is None else ~owes
        self._scopes: dict[str, tuple[Index, Index]] = {}
        self._members: dict[int, Mask] = {}
        self._presence: dict[tuple[int, str], Mask] = {}
        self._homes: dict[str, Index] = {}
        self._borders: dict[tuple[int, int], bool] = {}

    def _of_set(self, number: int) -> Index:
        """The matches of a set's terms, in the order of place."""
        return self._found.of(self.lexicons.terms_of(number)) if self._counts[number] else np.zeros(0, np.int64)

    def _spans(self, matches: Index) -> list[tuple[int, int]]:
        return list(zip(self._found.start[matches].tolist(), self._found.end[matches].tolist(), strict=True))

    def signals(self, agreed: Mask | None = None) -> list[Signal]:
        """What was found, in the order of text and place.

        Args:
            agreed: shape (texts, labels); doubtful words are looked for only where it is true. None: everywhere.
        """
        hits: list[_Hit] = []
        for lexicon in self.lexicons.items:
            if lexicon.label:
                hits += self._of_lexicon(lexicon, None if agreed is None else agreed[:, LABELS.index(lexicon.label)])
        return self._signals(hits)

    def nearly(self, asked: Mask) -> list[Signal]:
        """The words that come nearest to a pattern of a label: all its elements but one, or all of them further apart than it allows.

        Args:
            asked: shape (texts, labels): where they are looked for. One signal for each at the most, doubtful and not yet settled.
        """
        best: dict[tuple[int, str], tuple[tuple[int, int], _Hit]] = {}
        for lexicon in self.lexicons.items:
            texts = np.flatnonzero(asked[:, LABELS.index(lexicon.label)]) if lexicon.label else np.zeros(0, np.int64)
            if lexicon.audience == "others" and self._others is not None:
                texts = texts[self._others[texts]]
            for pattern in lexicon.patterns if len(texts) else ():
                if len(pattern.all) == 1:
                    continue
                enough = sum(self._held(number, "text")[texts].view(np.uint8) for number in pattern.all) >= len(pattern.all) - 1
                if pattern.none is not None:
                    enough &= ~self._held(pattern.none, "text")[texts]
                for text in texts[enough].tolist():
                    if (span := self._nearest(pattern, text)) is None:
                        continue
                    count, start, end = span
                    rank, key = (count, start - end), (text, lexicon.label or "")
                    if key not in best or rank > best[key][0]:
                        best[key] = rank, _Hit(start, -end, True, lexicon, pattern.name, pattern.anyone, pattern.despite)
        return [signal._replace(why=f"nearly, {signal.why}") for signal in self._signals([hit for _, hit in best.values()])]

    def _nearest(self, pattern: Pattern, text: int) -> tuple[int, int, int] | None:
        """(how many elements, start, end) of the shortest span of the elements of a pattern that a text has."""
        numbers, _ = self._scope("text")
        of = np.array([text])
        around = self._around("text", of)
        found = [self._first_spans(mine, numbers[mine], of)[0] for number in pattern.all if len(mine := self._among(number, around))]
        choices = [whole for spans in found if (whole := [span for span in spans if self._on_borders(*span)])]
        if len(choices) < len(pattern.all) - 1:
            return None
        picked = next(iter(_shortest_first(choices, None, False)), None)
        return None if picked is None else (len(picked), min(s for s, _ in picked), max(e for _, e in picked))

    def _signals(self, hits: Sequence[_Hit]) -> list[Signal]:
        if not hits:
            return []
        starts = np.array([h.start for h in hits], dtype=np.int64)
        ends = np.array([h.end for h in hits], dtype=np.int64)
        order = np.lexsort((-ends, starts))
        starts, ends = starts[order], ends[order]
        texts = self._context.text_of(starts)
        normal = self.normal
        firsts = (normal.origin[starts] - normal.original_starts[texts]).tolist()
        lasts = (normal.last[ends - 1] - normal.original_starts[texts] + 1).tolist()
        around = [Around(*marks) for marks in zip(*(mask.tolist() for mask in self._context.around(starts)), strict=True)]
        rows = zip(order.tolist(), texts.tolist(), firsts, lasts, around, strict=True)
        return [self._signal(hits[number], *row) for number, *row in rows]

    def sets(self) -> tuple[Index, Index]:
        """(text, token) of each element of a pattern (`Lexicons.set_tokens`) of which a text has a word."""
        tokens = self.lexicons.set_tokens
        used = [number for number in np.flatnonzero(tokens >= 0).tolist() if self._counts[number]]
        found = [np.flatnonzero(self._held(number, "text")) for number in used]
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.concatenate(found), np.repeat(tokens[used], [len(texts) for texts in found])

    def _signal(self, hit: _Hit, text: int, first: int, last: int, around: Around[bool]) -> Signal:
        start, end_backwards, weak, lexicon, detail, anyone, despite = hit
        words = self.texts[text][first:last]
        why = "literal" if words.translate(_ALIKE) == self._whole[start:-end_backwards].translate(_ALIKE) else "normalised"
        if weak:
            why += ", weak"
        taken_back = False
        if any(around):
            on = {
                "prohibition": around.negated, "reported": around.reported and not anyone, "training": around.lesson,
                "question": around.asked, "condition": around.supposed,
            }  # fmt: skip
            for mark, name in TAKEN_BACK.items():
                if on[mark] and mark not in despite:
                    why += f", {name}"
                    taken_back = True
        return Signal(
            text, lexicon.id, lexicon.label or "", detail, first, last, words, "reported" if around.reported else "collector", around.negated and "prohibition" not in despite,
            not weak, taken_back, not weak and not taken_back, (DOUBTFUL if weak else SURE) * (0.1 if taken_back else 1.0), why, lexicon.version,
        )  # fmt: skip

    def _of_lexicon(self, lexicon: Lexicon, agreed: Mask | None) -> Iterator[_Hit]:
        """The accepted matches of one lexicon: of its groups and its patterns, the longer before those they cover.

        `agreed`: the texts whose doubtful words are looked for; None for all.
        """
        innocent = self._of_set(lexicon.innocent)
        found: list[_Hit] = []
        for number, group, sure in lexicon.alone:
            matches = self._of_set(number)
            if not (sure or agreed is None or not len(matches)):
                matches = matches[agreed[self._context.text_of(self._found.start[matches])]]
            if not len(matches):
                continue
            wanted = self._wanted(lexicon, matches, innocent)
            for start, end in self._spans(wanted):
                hit = _Hit(start, -end, not sure, lexicon, group, False, lexicon.despite)
                if self._on_borders(start, end):
                    found.append(hit)
                elif self.keeps_refused:
                    self._refuse(hit, "cuts across a word")
            if self.keeps_refused:
                for start, end in self._spans(np.setdiff1d(matches, wanted)):
                    self._refuse(_Hit(start, -end, not sure, lexicon, group, False, lexicon.despite), "inside an innocent longer string, or said to somebody who owes")
        some = agreed is None or bool(agreed.any())
        for pattern in lexicon.patterns:
            if (pattern.sure or some) and all(self._counts[number] for number in (*pattern.all, *pattern.implied)):
                for start, end in self._of_pattern(lexicon, pattern, innocent, None if pattern.sure else agreed):
                    found.append(_Hit(start, -end, not pattern.sure, lexicon, pattern.name, pattern.anyone, pattern.despite))
        found.sort(key=_ORDER)
        reach, sure_reach = -1, -1
        for hit in found:
            end = -hit.end_backwards
            if end <= (reach if hit.weak else sure_reach):
                continue
            reach = max(reach, end)
            sure_reach = sure_reach if hit.weak else max(sure_reach, end)
            yield hit

    def _refuse(self, hit: _Hit, why: str) -> None:
        text = int(self._context.text_of(np.array([hit.start]))[0])
        normal = self.normal
        first, last = int(normal.origin[hit.start] - normal.original_starts[text]), int(normal.last[hit.end - 1] - normal.original_starts[text]) + 1
        self.refused.append(self._signal(hit, text, first, last, NOTHING)._replace(counts=False, confidence=0.0, why=f"refused: {why}"))

    def _wanted(self, lexicon: Lexicon, matches: Index, innocent: Index) -> Index:
        """Matches whose recipient the lexicon looks at, and that no innocent longer string covers."""
        start, end = self._found.start, self._found.end
        if lexicon.audience == "others" and self._others is not None and len(matches):
            matches = matches[self._others[self._context.text_of(start[matches])]]
        if len(innocent) and len(matches):
            reach = np.maximum.accumulate(end[innocent])
            place = np.searchsorted(start[innocent], start[matches], side="right") - 1
            matches = matches[~((place >= 0) & (reach[np.maximum(place, 0)] >= end[matches]))]
        return matches

    def _of_pattern(self, lexicon: Lexicon, pattern: Pattern, innocent: Index, agreed: Mask | None) -> Iterator[tuple[int, int]]:
        """(start, end) of each clause, sentence or text in which the pattern holds: the shortest span of its elements.

        First which of these hold something of every element, all at once; then the elements' places in the few that do.
        """
        keys = self._candidates(lexicon, pattern)
        if agreed is not None and len(keys):
            keys = keys[agreed[self._texts_of(pattern.within)[keys]]]
        if not len(keys):
            return
        numbers, _ = self._scope(pattern.within)
        around = self._around(pattern.within, keys)
        elements = []
        for number in pattern.all:
            mine = self._wanted(lexicon, self._among(number, around), innocent)
            elements.append(mine)
            keys = keys[_isin(keys, numbers[mine])]
            if not len(keys):
                return
        if pattern.first is not None or pattern.last is not None:
            keys = keys[self._placed(pattern, self._found.start[elements[0][np.searchsorted(numbers[elements[0]], keys)]])]
        if pattern.regex or pattern.unless:
            keys = keys[self._worded(pattern, keys)]
        if not len(keys):
            return
        choices_of = [self._first_spans(mine, numbers[mine], keys) for mine in elements]
        for choices in zip(*choices_of, strict=True):
            for picked in _shortest_first(choices, pattern.near, pattern.ordered):
                if all(self._on_borders(start, end) for start, end in picked):
                    yield min(s for s, _ in picked), max(e for _, e in picked)
                    break

    def _first_spans(self, matches: Index, numbers: Index, keys: Index) -> list[list[tuple[int, int]]]:
        """The spans of the first `MOST_OF_ONE` matches in each clause, sentence or text; `numbers` are those of the matches."""
        lows, highs = np.searchsorted(numbers, keys, side="left"), np.searchsorted(numbers, keys, side="right")
        sizes = np.minimum(highs - lows, MOST_OF_ONE)
        ends = np.cumsum(sizes)
        spans = self._spans(matches[np.arange(int(ends[-1])) + np.repeat(lows - ends + sizes, sizes)])
        return [spans[low:high] for low, high in zip((ends - sizes).tolist(), ends.tolist(), strict=True)]

    def _candidates(self, lexicon: Lexicon, pattern: Pattern) -> Index:
        """The clauses, sentences or texts that hold something of every element, as many of `of` as it asks, and nothing of `none`."""
        within = pattern.within
        held = self._held(pattern.all[0], within)
        for number in (*pattern.all[1:], *pattern.implied):
            held = held & self._held(number, within)
        if lexicon.audience == "others" and self._others is not None:
            held = held & self._others[self._texts_of(within)]
        if pattern.of:
            held = held & (sum(self._held(number, within).view(np.uint8) for number in pattern.of) >= pattern.at_least)
        if pattern.none is not None and self._counts[pattern.none]:
            held = held & ~self._held(pattern.none, within)
        return np.flatnonzero(held)

    def _held(self, number: int, within: str) -> Mask:
        """Per clause, sentence or text, whether it holds a term of a set."""
        known = self._presence.get((number, within))
        if known is None:
            known = self._presence[number, within] = np.zeros(self._context.count(within), np.bool_)
            numbers, _ = self._scope(within)
            for matches in self._found.parts(self.lexicons.terms_of(number)) if self._counts[number] else ():
                known[numbers[matches]] = True
        return known

    def _texts_of(self, within: str) -> Index:
        """The text of each clause, sentence or text."""
        if within not in self._homes:
            starts, _ = self._context.spans(within, np.arange(self._context.count(within)))
            self._homes[within] = self._context.text_of(np.minimum(starts, len(self._whole) - 1))
        return self._homes[within]

    def _scope(self, within: str) -> tuple[Index, Index]:
        """(numbers, bounds): the clause, sentence or text of each match; matches bounds[n] to bounds[n + 1] are in number n."""
        if within not in self._scopes:
            numbers = self._context.key_of(within, self._found.start)
            counts = np.bincount(numbers, minlength=self._context.count(within))
            self._scopes[within] = numbers, np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        return self._scopes[within]

    def _around(self, within: str, keys: Index) -> Index:
        """All matches in some clauses, sentences or texts that elements of patterns can be."""
        _, bounds = self._scope(within)
        lows, counts = bounds[keys], bounds[keys + 1] - bounds[keys]
        found = np.arange(int(counts.sum())) + np.repeat(lows - np.cumsum(counts) + counts, counts)
        kept: Index = found[self._found.term[found] < self.lexicons.in_patterns]
        return kept

    def _among(self, number: int, matches: Index) -> Index:
        """Those of some matches whose term is in a set."""
        if not self._counts[number]:
            return np.zeros(0, np.int64)
        if number not in self._members:
            member = np.zeros(self.lexicons.in_patterns, np.bool_)
            member[self.lexicons.terms_of(number)] = True
            self._members[number] = member
        return matches[self._members[number][self._found.term[matches]]]

    def _on_borders(self, start: int, end: int) -> bool:
        known = self._borders.get((start, end))
        if known is None:
            known = self._borders[start, end] = self._context.on_borders(start, end)
        return known

    def _placed(self, pattern: Pattern, at: Index) -> Mask:
        """Which positions lie in the first or the last sentences of their text, as the pattern asks."""
        context = self._context
        starts, ends = context.spans("text", context.text_of(at))
        here = context.key_of("sentence", at)
        keep = np.ones(len(at), np.bool_)
        if pattern.first is not None:
            keep &= here - context.key_of("sentence", starts) < pattern.first
        if pattern.last is not None:
            keep &= context.key_of("sentence", np.maximum(starts, ends - 1)) - here < pattern.last
        return keep

    def _worded(self, pattern: Pattern, keys: Index) -> Mask:
        """In which clauses, sentences or texts the pattern's regular expressions hold."""
        starts, ends = self._context.spans(pattern.within, keys)
        ends = np.minimum(ends, starts + LONGEST_SCOPE)
        scopes = [self._whole[low:high] for low, high in zip(starts.tolist(), ends.tolist(), strict=True)]
        keep = np.ones(len(keys), np.bool_)
        if pattern.regex:
            search = pattern.regex.search
            keep &= np.array([search(scope) is not None for scope in scopes], dtype=np.bool_)
        if pattern.unless:
            search = pattern.unless.search
            keep &= np.array([search(scope) is None for scope in scopes], dtype=np.bool_)
        return keep


def _distinct(keys: Index) -> Index:
    """Each of some keys, which are in order, once."""
    first = np.ones(len(keys), np.bool_)
    first[1:] = keys[1:] != keys[:-1]
    return keys[first]


def _isin(keys: Index, known: Index) -> Mask:
    """Which of some keys are among the known ones, which are in order."""
    if not len(known):
        return np.zeros(len(keys), np.bool_)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    found: Mask = known[place] == keys
    return found


def _shortest_first(choices: Sequence[list[tuple[int, int]]], near: int | None, ordered: bool) -> list[tuple[tuple[int, int], ...]]:
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
