"""Train the second reader from the labelled examples: `python -m analyzer.training`, or `make train`.

Needs scikit-learn (extra `train`). The same examples and thresholds give the same file, byte for byte.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from analyzer import rules
from analyzer.text.finder import Finder, find
from analyzer.text.lexicon import LABELS, Lexicons, load_lexicons
from analyzer.text.normalise import language_of
from analyzer.text.second_reader import ABOUT, MODEL_FILE, WIDTH, Recipient, features

# Of a few strengths and weights tried on the development set, from a range in which they hardly differ.
_STRENGTH = 30.0
# An example that carries a label weighs so much more than one that does not: few do.
_FOR = 8.0
# What has nothing to do with collection weighs so much more: most that people write is that.
_PRIVATE = 4.0
# To the end: stopped where a step gains little, the weights of rare labels are far from settled (two points of F1 on authors not seen before).
_STEPS, _TOLERANCE = 5_000, 1e-6


@dataclass(frozen=True)
class Example:
    """One labelled text: see docs/rules.md."""

    id: str
    text: str
    lang: str
    channel: str | None
    recipient: str | None
    knows: bool | None
    labels: tuple[str, ...]
    difficulty: str
    private: bool | None = False
    """Whether it has nothing to do with collection; None: not said, as of the lexicons' sentences."""

    @property
    def who(self) -> Recipient:
        """Who is spoken to."""
        return Recipient.named(self.recipient, self.knows)


def read_examples(paths: Sequence[Path]) -> list[Example]:
    """The examples of JSON Lines files, in order."""
    found = []
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            row: dict[str, Any] = json.loads(line)
            found.append(Example(
                row["id"], row["text"], row["lang"], row.get("channel"), row.get("recipient"), row.get("third_party_knows_loan"),
                tuple(row["labels"]), row["difficulty"], row.get("private", False),
            ))  # fmt: skip
    return found


def lexicon_examples(lexicons: Lexicons) -> list[Example]:
    """The lexicons' own sentences. An example carries its lexicon's label; what other labels one carries, sure words tell."""
    told = [
        (f"{lexicon.id}-{number}", text, lexicon.label if own else None, lexicon.audience)
        for lexicon in lexicons.items if lexicon.label
        for own, texts in ((True, lexicon.examples), (False, lexicon.counterexamples))
        for number, text in enumerate(texts)
    ]  # fmt: skip
    sure: list[set[str]] = [set() for _ in told]
    for signal in find([text for _, text, _, _ in told], lexicons):
        if signal.counts:
            sure[signal.text].add(signal.label)
    return [
        Example(id_, text, language_of(text), None, "colleague" if audience == "others" else "borrower", None,
                tuple(sorted({*words, *([label] if label else [])})), "lexicon", None)
        for (id_, text, label, audience), words in zip(told, sure, strict=True)
    ]  # fmt: skip


def given(folder: Path, lexicons: Lexicons) -> list[Example]:
    """All that the model is trained from: the files in `folder`, then the lexicons' own sentences."""
    return read_examples(sorted(folder.glob("*.jsonl"))) + lexicon_examples(lexicons)


def version_of(examples: Sequence[Example], lexicons: Lexicons) -> str:
    """What a model trained from these examples is called, with the lexicons whose elements of patterns it knows texts by and its width."""
    tokens = np.sort(lexicons.set_tokens[lexicons.set_tokens >= 0]).tolist()
    return sha256(json.dumps([[asdict(e) for e in examples], tokens, WIDTH], sort_keys=True).encode()).hexdigest()[:12]


def known_to(lexicons: Lexicons) -> frozenset[tuple[str, str]]:
    """The (id, version) of the lexicons that a model is trained with."""
    return frozenset((lexicon.id, lexicon.version) for lexicon in lexicons.items if lexicon.label)


def matrix(examples: Sequence[Example], lexicons: Lexicons) -> csr_matrix:
    """What the model sees of examples."""
    finder = Finder([e.text for e in examples], lexicons)
    seen: csr_matrix = sum(part.matrix() for part in features(finder.normal, [e.who for e in examples], finder.sets()))
    return seen


def fit(seen: csr_matrix, truth: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """(weights, step, bias, known) of one logistic regression per column of `truth` (`to_learn`).

    A column counts the more the fewer examples have it: log((n + 1) / (its examples + 1)), which goes into its weight; one that a
    single example has is left out.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, unused-ignore]

    many = np.bincount(seen.indices, minlength=WIDTH)
    known = many > 1
    rarity = np.log((seen.shape[0] + 1) / (many + 1))
    sizes = seen @ known.astype(np.float64)
    x = csr_matrix((seen.data * (known * rarity)[seen.indices] / np.sqrt(np.repeat(np.maximum(sizes, 1), np.diff(seen.indptr))), seen.indices, seen.indptr), shape=seen.shape)
    x.eliminate_zeros()
    count = truth.shape[1]
    weight_of = np.where(truth[:, ABOUT] == 0, _PRIVATE, 1.0) if count > ABOUT else np.ones(len(truth))
    weights = np.zeros((count, WIDTH), dtype=np.int8)
    step, bias = np.zeros(count, np.float32), np.zeros(count, np.float32)
    for number in range(count):
        weighed = {1: _FOR, 0: 1.0} if number < ABOUT else "balanced"
        said = truth[:, number] >= 0
        model = LogisticRegression(C=_STRENGTH, max_iter=_STEPS, tol=_TOLERANCE, class_weight=weighed)
        # With one thread: how many there are changes the order in which sums are made, and with it the last of thousands of steps.
        with threadpool_limits(1):
            model.fit(x[said], truth[said, number], sample_weight=weight_of[said])
        # Rounded to eight bits: what the last bits of a sum depend on (the order of threads, the processor) goes with them.
        weight = model.coef_[0] * rarity
        step[number] = np.float32(round(float(np.abs(weight).max()) / 127, 4))
        weights[number] = np.rint(weight / step[number]).clip(-127, 127).astype(np.int8)
        bias[number] = np.float32(round(float(model.intercept_[0]), 2))
    return weights, step, bias, known


def truth_of(examples: Sequence[Example]) -> npt.NDArray[np.bool_]:
    """Which labels each example carries, shape (examples, labels)."""
    return np.array([[label in e.labels for label in LABELS] for e in examples], dtype=np.bool_)


def to_learn(examples: Sequence[Example]) -> npt.NDArray[np.int8]:
    """What the model learns of each example, shape (examples, labels and `ABOUT`): 1 yes, 0 no, -1 not said."""
    about = [-1 if e.private is None else int(not e.private) for e in examples]
    return np.concatenate([truth_of(examples).astype(np.int8), np.array(about, dtype=np.int8)[:, np.newaxis]], axis=1)


def save(
    path: Path, weights: npt.NDArray[np.int8], step: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], known: npt.NDArray[np.bool_], told: dict[str, Any]
) -> None:
    """Write a model; the archive holds no time, so that the same model is the same bytes."""
    arrays: dict[str, npt.NDArray[Any]] = {"weights": weights, "step": step, "bias": bias, "known": np.packbits(known), "told": np.frombuffer(json.dumps(told, sort_keys=True).encode(), dtype=np.uint8)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), buffer.getvalue(), zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    """Train from rules/examples and the lexicons, and write the model beside them. The thresholds in thresholds.json are kept."""
    folder = rules.rules_folder() / "examples"
    lexicons = load_lexicons(rules.lexicon_folder(rules.rules_folder()))
    examples = given(folder, lexicons)
    version = version_of(examples, lexicons)
    thresholds = json.loads((folder / "thresholds.json").read_text(encoding="utf-8"))
    save(folder / MODEL_FILE, *fit(matrix(examples, lexicons), to_learn(examples)), {**thresholds, "version": version, "lexicons": sorted(known_to(lexicons))})
    print(f"{len(examples)} examples, model {version}")


if __name__ == "__main__":
    main()
