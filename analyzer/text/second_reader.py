"""The second reader: a small statistical model that scores a text for each conduct label.

It settles what the words leave in doubt and points out texts for review; it never makes a finding alone. Sure words it overrules
only where the text and also what stands beside them in their sentence speak clearly against them: noise further off must not talk
a plain threat away. A text is the set of its character n-grams (1 to 4
characters of its normal form), its Latin words and pairs of them, the elements of patterns it has a word of (kin, workplace,
publish, ...) and who was spoken to, each hashed into one of `WIDTH` columns. It is not told which signals were found: the
lexicons were written with training examples in sight, and a second opinion that leans on the first is none.

One logistic regression per label, trained by `analyzer.training` from the examples under rules/examples, its weights rounded
to eight bits: the same examples and lexicons give the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analyzer.text.context import SENTENCE_ENDS
from analyzer.text.finder import Finder, Signal
from analyzer.text.lexicon import LABELS, Lexicons, load_lexicons
from analyzer.text.normalise import Normal, normalise

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Index = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

_BITS = 18
WIDTH = 1 << _BITS
SIZES = (1, 2, 3, 4)
# Words this far apart make a pair; letters beyond the longest word's weigh like its last.
APART, LONGEST_WORD = 3, 64
LONGEST = 2_000
# The score a label without a threshold needs.
_EVEN = 0.5
# Sure words do not count below this score, given by the whole text and by so many characters of their sentence on either side. Chosen on the
# development and the ordinary sets: about half of the false alarms go there, and macro-F1 does not (docs/words-report.md).
VAGUE = 0.7
"""How much nearer to certainty the score must be where the words alone are everyday ones."""
OVERRULED, AROUND = 0.1, 30
# Never overruled: whether a disclosure is one depends on who is told and what he knows, which rules look at themselves.
_BY_RECIPIENT = frozenset(["third_party_disclosure"])
_SENTENCE_END = re.compile(f"[{re.escape(SENTENCE_ENDS)}]")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
MODEL_FILE = "second_reader.npz"


# A recipient that may not be told: everybody the bench can name who is not the borrower or bound by the debt.
THIRD = frozenset([
    "spouse", "parent", "sibling", "relative", "emergency_contact", "colleague", "employer", "friend", "neighbour", "village_committee",
    "unknown_third_party",
])  # fmt: skip


@dataclass(frozen=True)
class Recipient:
    """Who is spoken to, as far as it is known. `knows` is whether a third party knows of the loan; of no one else."""

    owes: bool | None = None
    knows: bool | None = None

    @classmethod
    def named(cls, recipient: str | None, knows: bool | None) -> Recipient:
        """From the words of the bench; without a recipient it is the borrower."""
        return cls(recipient not in THIRD, knows if recipient in THIRD else None)

    def tokens(self) -> list[str]:
        """What the model is told of it."""
        return [f"owes {self.owes}", f"knows {self.knows}"]


def features(normal: Normal, recipients: Sequence[Recipient], sets: tuple[Index, Index]) -> csr_matrix:
    """Which columns each text has: ones of shape (texts, WIDTH).

    Args:
        normal: the texts; what lies beyond `LONGEST` characters of one is not read.
        recipients: one per text.
        sets: the elements of patterns each text has a word of: `Finder.sets`.
    """
    # Only what reads texts waits for it: a tenth of a second.
    from scipy.sparse import csr_matrix

    told = [(number, _token(token)) for number, recipient in enumerate(recipients) for token in recipient.tokens()]
    parts = [*_grams(normal), *_words(normal), sets, (np.array([n for n, _ in told], dtype=np.int64), np.array([c for _, c in told], dtype=np.int64))]
    rows, columns = (np.concatenate([part[side] for part in parts]).astype(np.int32) for side in (0, 1))
    # Each once, however often it occurs.
    order = np.argsort(rows.astype(np.uint16) if len(recipients) <= 1 << 16 else rows, kind="stable")
    bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(rows, minlength=len(recipients)))])
    found = csr_matrix((np.ones(len(rows), np.float32), columns[order] % WIDTH, bounds), shape=(len(recipients), WIDTH))
    # There and back puts columns in order by counting, which is quicker than sorting them.
    found = found.tocsc().tocsr()
    found.sum_duplicates()
    found.data[:] = 1
    return found


def _grams(normal: Normal) -> list[tuple[Index, Index]]:
    """(text, column) of each n-gram, by size. Those that run over the end of a text are left out."""
    points = normal.points.astype(np.uint64)
    text_of = np.cumsum(normal.points == 0)
    inside = (normal.points != 0) & (np.arange(len(points)) - normal.starts[text_of] < LONGEST)
    found = []
    hashed = np.zeros(len(points), np.uint64)
    whole = np.ones(len(points), np.bool_)
    for size in range(1, max(SIZES) + 1):
        shift = size - 1
        usable = len(points) - shift
        if usable <= 0:
            break
        hashed = (hashed[:usable] * _MULTIPLIER + points[shift:] + np.uint64(size)) * _MULTIPLIER
        whole = whole[:usable] & inside[shift:]
        if size in SIZES:
            at = np.flatnonzero(whole)
            found.append((text_of[at], _column(hashed[at])))
    return found


def _words(normal: Normal) -> list[tuple[Index, Index]]:
    """(text, column) of each Latin word, and of each pair of words at most `APART` apart in one text."""
    points = normal.points
    latin = (points >= ord("a")) & (points <= ord("z"))
    begins = latin & ~np.concatenate([np.zeros(1, np.bool_), latin[:-1]])
    starts = np.flatnonzero(begins)
    texts = np.cumsum(points == 0)[starts]
    early = starts - normal.starts[texts] < LONGEST
    if not early.any():
        return []
    place = np.arange(len(points)) - starts[np.maximum(np.cumsum(begins) - 1, 0)]
    letters = np.where(latin, (points.astype(np.uint64) + np.uint64(7)) * _powers()[np.clip(place, 0, LONGEST_WORD - 1)], np.uint64(0))
    hashed = np.add.reduceat(letters, starts).astype(np.uint64)
    hashed, texts = hashed[early], texts[early]
    found = [(texts, _column(hashed * _MULTIPLIER))]
    for apart in range(1, APART + 1):
        together = np.flatnonzero(texts[:-apart] == texts[apart:])
        found.append((texts[together], _column((hashed[together] * _MULTIPLIER + hashed[together + apart] * np.uint64(9 + 2 * apart)) * _MULTIPLIER)))
    return found


def _column(hashed: npt.NDArray[np.uint64]) -> Index:
    return (hashed >> np.uint64(64 - _BITS)).astype(np.int64)


@cache
def _powers() -> npt.NDArray[np.uint64]:
    found, power = [], 1
    for _ in range(LONGEST_WORD):
        found.append(power)
        power = power * int(_MULTIPLIER) % (1 << 64)
    return np.array(found, dtype=np.uint64)


@cache
def _token(text: str) -> int:
    hashed = 1469598103934665603
    for octet in text.encode("utf-8"):
        hashed = ((hashed ^ octet) * 1099511628211) % (1 << 64)
    return (hashed ^ (hashed >> 32)) % WIDTH


@dataclass(frozen=True, repr=False)
class SecondReader:
    """A trained model. `weights` is (labels, WIDTH) in steps of `step`; `bias` one per label; `known`: the columns that more than
    one example had; `settle`: per label the
    score from which a doubtful signal counts; `version` says which examples it was trained from; `lexicons`: the (id, version) of
    those whose sentences were among them: words of others it has never seen, and does not overrule."""

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

    def scores(self, seen: csr_matrix) -> Scores:
        """Probabilities, shape (texts, labels). A known column counts one over the root of how many its text has, so that long texts weigh no more."""
        sums = seen @ self._table
        totals = sums[:, :-1] / np.sqrt(np.maximum(sums[:, -1:], 1)) * self.step + self.bias
        found: Scores = (1.0 / (1.0 + np.exp(-np.clip(totals, -30, 30)))).astype(np.float32)
        return found

    def agrees(self, scores: Scores) -> npt.NDArray[np.bool_]:
        """Where the scores let doubtful words count, shape (texts, labels)."""
        needed: npt.NDArray[np.bool_] = scores >= np.array([self.settle.get(label, _EVEN) for label in LABELS])
        return needed

    def overrules(self, signal: Signal, score: float) -> bool:
        """Whether sure words do not count because the score is so low."""
        return signal.counts and score < OVERRULED and signal.label not in _BY_RECIPIENT and (signal.concept, signal.version) in self.lexicons

    def decided(self, signal: Signal, score: float, vague: bool = False) -> Signal:
        """A signal with what the score makes of it: a doubtful one settled, a sure one left as it is unless it is overruled. What was taken back stays so.

        `vague`: whether its words are so common that the score must be nearer to certainty, by `VAGUE` of what is left to it.
        """
        if signal.taken_back or (signal.sure and not self.overrules(signal, score)):
            return signal
        needed = OVERRULED if signal.sure else self.settle.get(signal.label, _EVEN)
        if vague and not signal.sure:
            needed += (1 - needed) * VAGUE
        why = f"{signal.why}, second reader {score:.2f} of {needed:.2f}"
        return signal._replace(counts=score >= needed, confidence=round(min(max(score, 0.02), 0.98), 3), why=why)

    def reasons(self, text: str, label: str, most: int = 5) -> list[str]:
        """The n-grams and words of a text that speak most for the label, strongest first."""
        plain = normalise([text[: LONGEST * 2]]).text()
        mine = self.weights[LABELS.index(label)]
        grams = dict.fromkeys(plain[start : start + size] for size in SIZES[1:] for start in range(len(plain) - size + 1))
        found = {gram: int(mine[_grams(normalise_plain(gram))[-1][1][-1]]) for gram in grams}
        for word in dict.fromkeys(re.findall("[a-z]{2,}", plain)):
            found[word] = max(found.get(word, 0), int(mine[_words(normalise_plain(word))[0][1][0]]))
        ranked = sorted((g for g in found if found[g] > 0 and g.strip()), key=lambda g: (-found[g], -len(g), g))
        kept: list[str] = []
        for gram in ranked:
            if not any(gram in other or other in gram for other in kept):
                kept.append(gram)
            if len(kept) == most:
                break
        return kept


def normalise_plain(text: str) -> Normal:
    """A text that is in its normal form already."""
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    here = np.arange(len(points), dtype=np.int64)
    zero = np.zeros(1, np.int64)
    return Normal(points, here, here, zero, zero, points)


def settle(finder: Finder, recipients: Sequence[Recipient], reader: SecondReader) -> tuple[list[Signal], Scores]:
    """The signals of a finder's texts as the reader leaves them (`SecondReader.decided`), and the scores of each text and label.

    Every text is scored at once, and doubtful words are looked for only where the score lets them count, since there are many;
    with the finder's `keep_refused` everywhere.
    """
    scores = reader.scores(features(finder.normal, recipients, finder.sets()))
    found = finder.signals(None if finder.keeps_refused else reader.agrees(scores))
    column = {label: number for number, label in enumerate(LABELS)}
    own = [float(scores[s.text, column[s.label]]) for s in found]
    asked = [place for place, s in enumerate(found) if reader.overrules(s, own[place])]
    if asked:
        pieces = [_beside(finder.texts[s.text], s.start, s.end) for s in (found[place] for place in asked)]
        near = Finder(pieces, finder.lexicons)
        around = reader.scores(features(near.normal, [recipients[found[place].text] for place in asked], near.sets()))
        for number, place in enumerate(asked):
            own[place] = max(own[place], float(around[number, column[found[place].label]]))
    vague = finder.lexicons.vague
    return [reader.decided(s, score, (s.concept, s.detail) in vague) for s, score in zip(found, own, strict=True)], scores


def _beside(text: str, start: int, end: int) -> str:
    """What stands around some words in their sentence, `AROUND` characters on either side at most."""
    before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    return _SENTENCE_END.split(before)[-1] + text[start:end] + _SENTENCE_END.split(after)[0]


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
