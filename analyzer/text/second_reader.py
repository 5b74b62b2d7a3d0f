"""The second reader: a small statistical model that scores a text for each conduct label.

It settles what the words leave in doubt and points out texts for review; it never makes a finding alone, and where the words are
sure it is not asked: noise around a plain threat must not talk it away. A text is the set of its character n-grams (1 to 4
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
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analyzer.text.finder import Finder, Signal
from analyzer.text.lexicon import LABELS, Lexicons, load_lexicons
from analyzer.text.normalise import Normal, normalise

Index = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

_BITS = 18
WIDTH = 1 << _BITS
SIZES = (1, 2, 3, 4)
# Words this far apart make a pair; letters beyond the longest word's weigh like its last.
APART, LONGEST_WORD = 3, 64
LONGEST = 2_000
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


@dataclass(frozen=True)
class Features:
    """What occurs in `texts` texts: one (row, column) for each occurrence, in no order of rows."""

    rows: Index
    columns: Index
    texts: int


def features(texts: Sequence[str], recipients: Sequence[Recipient], sets: tuple[Index, Index]) -> Features:
    """The columns of each text.

    Args:
        texts: as logged; what lies beyond `LONGEST` characters of the normal form is not read.
        recipients: one per text.
        sets: the elements of patterns each text has a word of: `Finder.sets_of`.
    """
    normal = normalise([text[: LONGEST * 2] for text in texts])
    parts = [_grams(normal), _words(normal), (sets[0], sets[1] % WIDTH)]
    told = [(number, _token(token)) for number, recipient in enumerate(recipients) for token in recipient.tokens()]
    parts.append((np.array([n for n, _ in told], dtype=np.int64), np.array([c for _, c in told], dtype=np.int64)))
    # Each once, however often it occurs; sorted, which is quicker than numpy's own way to distinct values.
    keys = np.concatenate([rows for rows, _ in parts]) * WIDTH + np.concatenate([columns for _, columns in parts])
    keys.sort()
    keys = keys[np.concatenate([np.ones(min(1, len(keys)), np.bool_), keys[1:] != keys[:-1]])]
    return Features(keys // WIDTH, keys % WIDTH, len(texts))


def _grams(normal: Normal) -> tuple[Index, Index]:
    """(text, column) of each n-gram. Those that run over the end of a text are left out."""
    points = normal.points.astype(np.uint64)
    text_of = np.cumsum(normal.points == 0)
    inside = points != 0
    rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
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
            rows.append(text_of[at])
            columns.append(_column(hashed[at]))
    return np.concatenate(rows), np.concatenate(columns)


def _words(normal: Normal) -> tuple[Index, Index]:
    """(text, column) of each Latin word, and of each pair of words at most `APART` apart in one text."""
    points = normal.points
    latin = (points >= ord("a")) & (points <= ord("z"))
    begins = latin & ~np.concatenate([np.zeros(1, np.bool_), latin[:-1]])
    starts = np.flatnonzero(begins)
    if not len(starts):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    place = np.arange(len(points)) - starts[np.maximum(np.cumsum(begins) - 1, 0)]
    letters = np.where(latin, (points.astype(np.uint64) + np.uint64(7)) * _powers()[np.clip(place, 0, LONGEST_WORD - 1)], np.uint64(0))
    hashed = np.add.reduceat(letters, starts).astype(np.uint64)
    texts = np.cumsum(points == 0)[starts]
    rows, columns = [texts], [_column(hashed * _MULTIPLIER)]
    for apart in range(1, APART + 1):
        together = np.flatnonzero(texts[:-apart] == texts[apart:])
        rows.append(texts[together])
        columns.append(_column((hashed[together] * _MULTIPLIER + hashed[together + apart] * np.uint64(9 + 2 * apart)) * _MULTIPLIER))
    return np.concatenate(rows), np.concatenate(columns)


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


def weighed(seen: Features, known: npt.NDArray[np.bool_]) -> tuple[Index, Index, npt.NDArray[np.float32]]:
    """(rows, columns, weight) of the columns that are known: the weight is one over the root of how many its text has, so that long texts weigh no more."""
    here = np.flatnonzero(known[seen.columns])
    rows, columns = seen.rows[here], seen.columns[here]
    sizes = np.bincount(rows, minlength=seen.texts)
    return rows, columns, (1.0 / np.sqrt(np.maximum(sizes, 1)))[rows].astype(np.float32)


@dataclass(frozen=True, repr=False)
class SecondReader:
    """A trained model. `weights` is (labels, WIDTH) in steps of `step`; `bias` one per label; `known`: the columns that more than
    one example had; `settle`: per label the
    score from which a doubtful signal counts; `version` says which examples it was trained from."""

    weights: npt.NDArray[np.int8]
    step: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    known: npt.NDArray[np.bool_]
    settle: Mapping[str, float]
    version: str

    def scores(self, seen: Features, asked: npt.NDArray[np.bool_] | None = None) -> Scores:
        """Probabilities, shape (texts, labels). With `asked`, of the same shape, only those are worked out and the others are nothing (NaN)."""
        out = np.full((seen.texts, len(LABELS)), np.nan, dtype=np.float32)
        all_rows, all_columns, value = weighed(seen, self.known)
        for number in range(len(LABELS)):
            rows, columns, weight = all_rows, all_columns, value
            if asked is not None:
                if not asked[:, number].any():
                    continue
                here = np.flatnonzero(asked[:, number][rows])
                rows, columns, weight = rows[here], columns[here], value[here]
            total = np.bincount(rows, weights=self.weights[number][columns] * weight, minlength=seen.texts)
            out[:, number] = total * self.step[number] + self.bias[number]
        found: Scores = (1.0 / (1.0 + np.exp(-np.clip(out, -30, 30)))).astype(np.float32)
        if asked is not None:
            found[~asked] = np.nan
        return found

    def decided(self, signal: Signal, score: float) -> Signal:
        """A signal with what the score makes of it: a doubtful one settled, a sure one left as it is."""
        if signal.sure:
            return signal
        needed = self.settle.get(signal.label, 0.5)
        why = f"{signal.why}, second reader {score:.2f} of {needed:.2f}"
        return signal._replace(counts=score >= needed, confidence=round(min(max(score, 0.02), 0.98), 3), why=why)

    def reasons(self, text: str, label: str, most: int = 5) -> list[str]:
        """The n-grams and words of a text that speak most for the label, strongest first."""
        plain = normalise([text[: LONGEST * 2]]).text()
        mine = self.weights[LABELS.index(label)]
        grams = dict.fromkeys(plain[start : start + size] for size in SIZES[1:] for start in range(len(plain) - size + 1))
        found = {gram: int(mine[_grams(normalise_plain(gram))[1][-1]]) for gram in grams}
        for word in dict.fromkeys(re.findall("[a-z]{2,}", plain)):
            found[word] = max(found.get(word, 0), int(mine[_words(normalise_plain(word))[1][0]]))
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


def settle(texts: Sequence[str], finder: Finder, found: Sequence[Signal], recipients: Sequence[Recipient], reader: SecondReader) -> list[Signal]:
    """The signals `found` by a finder in its texts as the reader's scores leave them (`SecondReader.decided`); sure ones, and those
    taken back, stay as they are."""
    doubtful = sorted({s.text for s in found if not (s.sure or s.taken_back)})
    if not doubtful:
        return list(found)
    place = {text: number for number, text in enumerate(doubtful)}
    asked = np.zeros((len(doubtful), len(LABELS)), np.bool_)
    for signal in found:
        if not (signal.sure or signal.taken_back):
            asked[place[signal.text], LABELS.index(signal.label)] = True
    scores = reader.scores(features([texts[i] for i in doubtful], [recipients[i] for i in doubtful], finder.sets_of(np.array(doubtful, dtype=np.int64))), asked)
    return [
        s if s.sure or s.taken_back else reader.decided(s, float(scores[place[s.text]][LABELS.index(s.label)])) for s in found
    ]


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
        return SecondReader(file["weights"], file["step"], file["bias"], known, told["settle"], told["version"])
