"""The second reader: a small statistical model that scores a text for each conduct label.

It settles what the words leave in doubt and points out texts for review; it never makes a finding alone. Sure words it overrules
only where the text and also what stands beside them in their sentence speak clearly against them: noise further off must not talk
a plain threat away. A text is the character n-grams of its normal form (1 to 3 characters, to 4 where
none is Chinese), its Latin words and pairs of them, the elements of patterns it has a word of (kin, workplace, publish, ...)
and who was spoken to, each hashed into one of `WIDTH` columns. It is not told which signals were found: the lexicons
were written with training examples in sight, and a second opinion that leans on the first is none.

It also says whether a text speaks of collection at all. Private chatter shares its words with every breach, so elsewhere doubtful words
need a higher score.

One logistic regression per label and one for that, trained by `analyzer.training` from the examples under rules/examples, its weights rounded
to eight bits: the same examples and lexicons give the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from analyzer.text.context import CLAUSE_ENDS, SENTENCE_ENDS
from analyzer.text.finder import Finder, Signal
from analyzer.text.lexicon import LABELS, Lexicons, load_lexicons
from analyzer.text.normalise import Normal, normalise

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Index = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

_BITS = 20
WIDTH = 1 << _BITS
# The longest n-grams that are features: with a Chinese character (four of them are seldom seen twice), and without one. Chinese ones count
# as often as they occur, which hardly ever is twice; without that the same letters and words of English would.
_CHINESE_SIZES, _OTHER_SIZES = 3, 4
_CHINESE = (0x3400, 0x9FFF)
# Words this far apart make a pair; letters beyond the longest word's weigh like its last.
APART, LONGEST_WORD = 3, 64
LONGEST = 2_000
# The score a label without a threshold needs; and how far scores are told apart from certainty.
_EVEN, _LEAST = 0.5, 1e-6
# Sure words do not count below this score, given by the whole text and by so many characters of their sentence on either side. Chosen on the
# development and the ordinary sets: about half of the false alarms go there, and macro-F1 does not (docs/words-report.md).
OVERRULED, AROUND = 0.25, 30
SPEAKS = 0.9992
"""A label needs its threshold in a text that so surely speaks of collection; elsewhere the log-odds that are lacking on top of it: private chatter shares its
words with every breach. Chosen on the development and the ordinary sets (docs/words-report.md)."""
A_NOTE = 7
"""Fewer characters are a word by itself, which says of nobody that he did it: that such a text is a note does not make it speak of collection."""
ABOUT = len(LABELS)
"""The column of the scores that says whether a text speaks of collection; before it come the labels."""
# Whether a disclosure is one depends on who is told and what he knows, which rules look at themselves: words of it are overruled only
# if they would be, said to somebody who owes nothing and knows nothing.
_BY_RECIPIENT = frozenset(["third_party_disclosure"])
_SENTENCE_END = re.compile(f"[{re.escape(SENTENCE_ENDS)}]")
_CLAUSE_END = re.compile(f"(?<=[{re.escape(CLAUSE_ENDS + SENTENCE_ENDS)}、])")
_LONG_FIGURE = re.compile(r"(?:[0-9０-９][\s-]*){7,}")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
MODEL_FILE = "second_reader.npz"


# A recipient that may not be told: everybody the bench can name who is not the borrower or bound by the debt.
THIRD = frozenset([
    "spouse", "parent", "sibling", "relative", "emergency_contact", "colleague", "employer", "friend", "neighbour", "village_committee",
    "unknown_third_party",
])  # fmt: skip


class Recipient(NamedTuple):
    """Who is spoken to, as far as it is known. `knows` is whether a third party knows of the loan; of no one else."""

    owes: bool | None = None
    knows: bool | None = None

    @classmethod
    def named(cls, recipient: str | None, knows: bool | None) -> Recipient:
        """From the words of the bench; without a recipient it is the borrower."""
        return cls(recipient not in THIRD, knows if recipient in THIRD else None)


class Columns(NamedTuple):
    """Some of the columns that texts have, as the rows of a sparse matrix of ones: those of text n are `columns[bounds[n]:bounds[n + 1]]`."""

    columns: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int32]

    def matrix(self) -> csr_matrix:
        """Of shape (texts, WIDTH); a column that a text has twice is there twice (its entries are added)."""
        # Only what reads texts waits for it: a tenth of a second.
        from scipy.sparse import csr_matrix

        return csr_matrix((np.ones(len(self.columns), np.float32), self.columns, self.bounds), shape=(len(self.bounds) - 1, WIDTH))


def features(normal: Normal, recipients: Sequence[Recipient], sets: tuple[Index, Index]) -> list[Columns]:
    """Which columns each text has, kind by kind: n-grams by size and script, words and pairs of words, elements of patterns, recipients.

    Args:
        normal: the texts; what lies beyond `LONGEST` characters of one is not read.
        recipients: one per text.
        sets: the elements of patterns each text has a word of: `Finder.sets`.
    """
    texts, tokens = sets
    order = np.argsort(texts.astype(np.uint16) if len(recipients) <= 1 << 16 else texts, kind="stable")
    elements = Columns((tokens[order] % WIDTH).astype(np.int32), _bounds(texts, len(recipients)))
    told = _of_recipients()
    each = np.array([told[recipient] for recipient in recipients], dtype=np.int32)
    known = Columns(each.reshape(-1), np.arange(len(each) + 1, dtype=np.int32) * 2)
    return [*_grams(normal), *_words(normal), elements, known]


def _grams(normal: Normal, least: int = 1) -> list[Columns]:
    """Each n-gram of each text, by size (`least` at the least) and script. Those that run over the end of a text are left out."""
    points = normal.points.astype(np.uint64)
    inside = normal.points != 0
    lengths = np.diff(np.append(normal.starts, len(points) + 1)) - 1
    for text in np.flatnonzero(lengths > LONGEST).tolist():
        inside[normal.starts[text] + LONGEST : normal.starts[text] + lengths[text]] = False
    chinese = (normal.points >= _CHINESE[0]) & (normal.points <= _CHINESE[1])
    found = []
    hashed = np.zeros(len(points), np.uint64)
    whole, some = np.ones(len(points), np.bool_), np.zeros(len(points), np.bool_)
    for size in range(1, max(_CHINESE_SIZES, _OTHER_SIZES) + 1):
        shift = size - 1
        usable = max(len(points) - shift, 0)
        hashed = (hashed[:usable] * _MULTIPLIER + points[shift:] + np.uint64(size)) * _MULTIPLIER
        whole, some = whole[:usable] & inside[shift:], some[:usable] | chinese[shift:]
        if least <= size <= _CHINESE_SIZES:
            taken = whole & some
            before = np.concatenate([np.zeros(1, np.int32), np.cumsum(taken, dtype=np.int32)])
            found.append(Columns(_column(hashed[taken]), np.append(before[np.minimum(normal.starts, usable)], before[-1])))
        if least <= size <= _OTHER_SIZES:
            at = np.flatnonzero(whole & ~some)
            found.append(_each_once(_text_of(normal, at), _column(hashed[at]), len(normal.starts)))
    return found


def _words(normal: Normal) -> list[Columns]:
    """Each Latin word of each text, and each pair of words at most `APART` apart."""
    points = normal.points
    latin = (points >= ord("a")) & (points <= ord("z"))
    begins = latin & ~np.concatenate([np.zeros(1, np.bool_), latin[:-1]])
    starts = np.flatnonzero(begins)
    texts = _text_of(normal, starts)
    early = starts - normal.starts[texts] < LONGEST
    if not early.any():
        return []
    place = np.arange(len(points)) - starts[np.maximum(np.cumsum(begins) - 1, 0)]
    letters = np.where(latin, (points.astype(np.uint64) + np.uint64(7)) * _powers()[np.clip(place, 0, LONGEST_WORD - 1)], np.uint64(0))
    hashed = np.add.reduceat(letters, starts).astype(np.uint64)
    hashed, texts = hashed[early], texts[early]
    count = len(normal.starts)
    found = [_each_once(texts, _column(hashed * _MULTIPLIER), count)]
    for apart in range(1, APART + 1):
        together = np.flatnonzero(texts[:-apart] == texts[apart:])
        pairs = _column((hashed[together] * _MULTIPLIER + hashed[together + apart] * np.uint64(9 + 2 * apart)) * _MULTIPLIER)
        found.append(_each_once(texts[together], pairs, count))
    return found


def _text_of(normal: Normal, at: Index) -> Index:
    return np.searchsorted(normal.starts, at, side="right") - 1


def _each_once(texts: Index, columns: npt.NDArray[np.int32], count: int) -> Columns:
    # Not by np.unique, which makes a table of all of them: sorting is ten times as quick.
    keys = (texts << _BITS) | columns
    keys.sort()
    keys = keys[np.concatenate([np.ones(min(len(keys), 1), np.bool_), keys[1:] != keys[:-1]])]
    return Columns((keys & (WIDTH - 1)).astype(np.int32), _bounds(keys >> _BITS, count))


def _bounds(texts: Index, count: int) -> npt.NDArray[np.int32]:
    """Where the entries of each of `count` texts begin, and where the last one's end."""
    return np.concatenate([np.zeros(1, np.int32), np.cumsum(np.bincount(texts, minlength=count), dtype=np.int32)])


def _column(hashed: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
    return (hashed >> np.uint64(64 - _BITS)).astype(np.int32)


@cache
def _powers() -> npt.NDArray[np.uint64]:
    found, power = [], 1
    for _ in range(LONGEST_WORD):
        found.append(power)
        power = power * int(_MULTIPLIER) % (1 << 64)
    return np.array(found, dtype=np.uint64)


@cache
def _of_recipients() -> dict[Recipient, tuple[int, int]]:
    """The two columns of each recipient there can be."""
    said = (None, False, True)
    return {Recipient(owes, knows): (_token(f"owes {owes}"), _token(f"knows {knows}")) for owes in said for knows in said}


def _token(text: str) -> int:
    hashed = 1469598103934665603
    for octet in text.encode("utf-8"):
        hashed = ((hashed ^ octet) * 1099511628211) % (1 << 64)
    return (hashed ^ (hashed >> 32)) % WIDTH


@dataclass(frozen=True, repr=False)
class SecondReader:
    """A trained model. `weights` is (labels and `ABOUT`, WIDTH) in steps of `step`; `bias` one for each; `known`: the columns that
    more than one example had; `settle`: per label the score from which a doubtful signal counts in a text that speaks of
    collection; `version` says which examples it was trained from; `lexicons`: the (id, version) of those whose sentences were
    among them: words of others it has never seen, and does not overrule."""

    weights: npt.NDArray[np.int8]
    step: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    known: npt.NDArray[np.bool_]
    settle: Mapping[str, float]
    version: str
    lexicons: frozenset[tuple[str, str]]

    @cached_property
    def _table(self) -> npt.NDArray[np.float32]:
        """Per column its weight for each label, and whether it is known: whole numbers, so that a sum of them is exact in any order."""
        return np.ascontiguousarray(np.concatenate([np.where(self.known, self.weights, 0), self.known[np.newaxis]]).T.astype(np.float32))

    def scores(self, seen: Sequence[Columns]) -> Scores:
        """Probabilities, shape (texts, labels and `ABOUT`), of texts with these `features`. A known column counts one over the root of how many its text has, so that long texts weigh no more."""
        sums = np.sum([part.matrix() @ self._table for part in seen], axis=0)
        totals = sums[:, :-1] / np.sqrt(np.maximum(sums[:, -1:], 1)) * self.step + self.bias
        found: Scores = (1.0 / (1.0 + np.exp(-np.clip(totals, -30, 30)))).astype(np.float32)
        return found

    def agrees(self, scores: Scores) -> npt.NDArray[np.bool_]:
        """Where the scores let a label count without words that are sure, shape (texts, labels)."""
        agreed: npt.NDArray[np.bool_] = scores[:, :ABOUT] >= self.needed(scores[:, ABOUT])
        return agreed

    def needed(self, about: Scores) -> npt.NDArray[np.float64]:
        """The score from which each label counts without sure words, shape (texts, labels), in texts that speak of collection so surely."""
        settled = _log_odds(np.array([self.settle.get(label, _EVEN) for label in LABELS]))
        lacking = np.maximum(_log_odds(np.array([SPEAKS])) - _log_odds(about), 0)
        found: npt.NDArray[np.float64] = 1 / (1 + np.exp(-(settled + lacking[:, np.newaxis])))
        return found

    def overrules(self, signal: Signal, score: float) -> bool:
        """Whether sure words do not count because the score is so low."""
        return signal.counts and (signal.concept, signal.version) in self.lexicons and score < OVERRULED

    def decided(self, signal: Signal, score: float, needed: float) -> Signal:
        """A signal with what the score makes of it: a doubtful one settled by what is `needed`, a sure one left as it is unless it is overruled. What was taken back stays so."""
        if signal.taken_back or (signal.sure and not self.overrules(signal, score)):
            return signal
        needed = OVERRULED if signal.sure else needed
        why = f"{signal.why}, {_of(score, needed)}"
        return signal._replace(counts=score >= needed, confidence=round(min(max(score, 0.02), 0.98), 3), why=why)

    def reasons(self, text: str, label: str, most: int = 5) -> list[str]:
        """The n-grams and words of a text that speak most for the label, strongest first."""
        plain = normalise([text[: LONGEST * 2]]).text()
        mine = self.weights[LABELS.index(label)]
        grams = dict.fromkeys(plain[start : start + size] for size in range(2, _OTHER_SIZES + 1) for start in range(len(plain) - size + 1))
        found = {gram: sum(int(mine[part.columns].sum()) for part in _grams(normalise_plain(gram), len(gram))) for gram in grams}
        for word in dict.fromkeys(re.findall("[a-z]{2,}", plain)):
            found[word] = max(found.get(word, 0), int(mine[_words(normalise_plain(word))[0].columns].sum()))
        ranked = sorted((g for g in found if found[g] > 0 and g.strip()), key=lambda g: (-found[g], -len(g), g))
        kept: list[str] = []
        for gram in ranked:
            if not any(gram in other or other in gram for other in kept):
                kept.append(gram)
            if len(kept) == most:
                break
        return kept


def _of(score: float, needed: float) -> str:
    return f"second reader {score:.2f} of {needed:.2f}"


def _log_odds(share: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    bounded = np.clip(share.astype(np.float64), _LEAST, 1 - _LEAST)
    found: npt.NDArray[np.float64] = np.log(bounded) - np.log1p(-bounded)
    return found


def normalise_plain(text: str) -> Normal:
    """A text that is in its normal form already."""
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    here = np.arange(len(points), dtype=np.int64)
    zero = np.zeros(1, np.int64)
    return Normal(points, here, here, zero, zero, points)


def settle(finder: Finder, recipients: Sequence[Recipient], reader: SecondReader, on_business: npt.NDArray[np.bool_] | None = None) -> tuple[list[Signal], Scores]:
    """The signals of a finder's texts as the reader leaves them (`SecondReader.decided`), and the scores of each text.

    `on_business`: per text whether its channel is for collecting alone, like the note of a call: then it speaks of collection (`A_NOTE`).

    Every text is scored at once, and doubtful words are looked for only where the score lets them count, since there are many;
    with the finder's `keep_refused` everywhere.
    """
    scores = reader.scores(features(finder.normal, recipients, finder.sets()))
    if on_business is not None:
        scores[on_business & np.array([len(text) >= A_NOTE for text in finder.texts], dtype=np.bool_), ABOUT] = 1
    needed, left = reader.needed(scores[:, ABOUT]), reader.agrees(scores)
    found = finder.signals(None if finder.keeps_refused else left)
    column = {label: number for number, label in enumerate(LABELS)}
    own = [float(scores[s.text, column[s.label]]) for s in found]
    asked = [place for place, s in enumerate(found) if reader.overrules(s, own[place])]
    if asked:
        again: list[tuple[int, str, Recipient]] = []
        for place in asked:
            signal = found[place]
            text, by_recipient = finder.texts[signal.text], signal.label in _BY_RECIPIENT
            told = Recipient(owes=False, knows=False) if by_recipient else recipients[signal.text]
            again += [(place, part, told) for part in (*_beside(text, signal.start, signal.end), *([text] if by_recipient else []))]
        near = Finder([text for _, text, _ in again], finder.lexicons)
        around = reader.scores(features(near.normal, [told for _, _, told in again], near.sets()))
        for number, (place, _, _) in enumerate(again):
            own[place] = max(own[place], float(around[number, column[found[place].label]]))
    decided = [reader.decided(s, score, float(needed[s.text, column[s.label]])) for s, score in zip(found, own, strict=True)]
    # What is left are labels of which no words counted.
    for signal in decided:
        if signal.counts:
            left[signal.text, column[signal.label]] = False
    decided += _nearly(finder, left, scores, needed)
    return sorted(decided, key=lambda s: (s.text, s.start, -s.end)), scores


def _nearly(finder: Finder, left: npt.NDArray[np.bool_], scores: Scores, needed: npt.NDArray[np.float64]) -> list[Signal]:
    """What is nearly a pattern of a label that is left."""
    if not left.any():
        return []
    found = []
    for signal in finder.nearly(left):
        place = signal.text, LABELS.index(signal.label)
        score = float(scores[place])
        why = f"{signal.why}, {_of(score, float(needed[place]))}"
        found.append(signal if signal.taken_back else signal._replace(counts=True, confidence=round(min(score, 0.98), 3), why=why))
    return found


def _beside(text: str, start: int, end: int) -> list[str]:
    """What stands around some words in their sentence, `AROUND` characters on either side at most, and the same without the clauses
    beside theirs that hold a long figure: an identifier says nothing of them."""
    before, after = _CLAUSE_END.split(text[:start]), _CLAUSE_END.split(text[end:])
    far = ["".join(clause for clause in clauses if not _LONG_FIGURE.search(clause)) for clauses in (before[:-1], after[1:])]
    words = text[start:end]
    return list(dict.fromkeys([_sentence(text[:start], words, text[end:]), _sentence(far[0] + before[-1], words, after[0] + far[1])]))


def _sentence(before: str, words: str, after: str) -> str:
    return _SENTENCE_END.split(before[-AROUND:])[-1] + words + _SENTENCE_END.split(after[:AROUND])[0]


@dataclass(frozen=True, repr=False)
class Words:
    """All that reads words: the lexicons, and the second reader where a rules folder has one."""

    lexicons: Lexicons
    reader: SecondReader | None
    entities: frozenset[str] = frozenset()
    """The kinds of personal data looked for as well (`personal_data.ENTITIES`)."""


def load_words(folder: Path, entities: Iterable[str] = ()) -> Words:
    """The lexicons in `folder` and the reader trained with them.

    Raises:
        RuleErrors: a lexicon cannot be used.
    """
    return Words(load_lexicons(folder), load_reader(folder), frozenset(entities))


def load_reader(folder: Path) -> SecondReader | None:
    """The model beside the lexicons in `folder` (../examples/second_reader.npz), if there is one."""
    path = folder.parent / "examples" / MODEL_FILE
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        told = json.loads(bytes(file["told"]).decode("utf-8"))
        known = np.unpackbits(file["known"]).astype(np.bool_)
        return SecondReader(file["weights"], file["step"], file["bias"], known, told["settle"], told["version"], frozenset((name, version) for name, version in told["lexicons"]))
