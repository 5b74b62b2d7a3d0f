"""Lexicons as data, and the one automaton that finds all their terms.

A lexicon is one file under rules/lexicon: a concept, the conduct label it is evidence of, its terms by group, longer
strings that are innocent (`exclude`), and sentences that must and must not signal, which run as tests.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import ahocorasick_rs
import numpy as np
import numpy.typing as npt
import pydantic
from pydantic import BaseModel, ConfigDict, Field

from analyzer import yamlfile
from analyzer.errors import RuleErrors, RuleProblem
from analyzer.model import Text2
from analyzer.text.normalise import normalise_one

LABELS = (
    "threat_violence", "abuse", "exposure_threat", "impersonation", "false_legal_claim", "third_party_disclosure",
    "third_party_pressure", "induce_borrowing", "private_account", "false_promise", "excessive_contact_statement",
    "pii_exposure", "identity_concealed",
)  # fmt: skip
CONTEXT_FILE = "_context.yaml"
TRAINING = -1


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Title(_Strict):
    zh: str
    en: str


class _LexiconFile(_Strict):
    id: str
    version: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    label: str
    title: _Title
    audience: Literal["all", "others"] = "all"
    groups: Annotated[dict[str, Annotated[list[str], Field(min_length=1)]], Field(min_length=1)]
    exclude: list[str] = Field(default_factory=list)
    examples: Annotated[list[str], Field(min_length=1)]
    counterexamples: Annotated[list[str], Field(min_length=1)]


class _ContextFile(_Strict):
    version: str
    prohibition: list[str]
    reported: list[str]
    training: list[str]


@dataclass(frozen=True)
class Lexicon:
    """One concept. `audience` others: only what is said to somebody who is not known to owe the debt is looked at."""

    id: str
    version: str
    label: str
    title: Text2
    audience: str
    examples: tuple[str, ...]
    counterexamples: tuple[str, ...]


@dataclass(frozen=True)
class Term:
    """One string that is looked for. `exclude` marks an innocent one that covers matches of its concept.

    `lexicon` is TRAINING for words that make the whole text a training or policy text.
    """

    text: str
    lexicon: int
    group: str
    exclude: bool


@dataclass(frozen=True)
class Markers:
    """Words before a match, in its clause, that change what it means."""

    prohibition: re.Pattern[str]
    reported: re.Pattern[str]


@dataclass(frozen=True)
class Lexicons:
    """All lexicons, compiled."""

    items: tuple[Lexicon, ...]
    terms: tuple[Term, ...]
    markers: Markers
    automaton: ahocorasick_rs.BytesAhoCorasick
    term_lexicon: npt.NDArray[np.int32]
    term_others: npt.NDArray[np.bool_]

    @property
    def ids(self) -> tuple[str, ...]:
        """The concepts."""
        return tuple(item.id for item in self.items)

    def matches(self, text: str) -> npt.NDArray[np.int64]:
        """(term, start, end) of every term in a normalised text, overlapping ones included; shape (n, 3).

        The automaton runs over the bytes, several times faster than over the string; only the ends of matches are then
        turned from bytes into characters.
        """
        raw = text.encode("utf-8")
        found = np.array(self.automaton.find_matches_as_indexes(raw, overlapping=True), dtype=np.int64).reshape(-1, 3)
        if len(found) and len(raw) != len(text):
            characters = np.cumsum((np.frombuffer(raw, dtype=np.int8) >= -64), dtype=np.int64)
            found[:, 1] = characters[found[:, 1]] - 1
            found[:, 2] = characters[found[:, 2] - 1]
        return found


def lexicon_ids(folder: Path) -> tuple[str, ...]:
    """The concepts of rules/lexicon, without reading them."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml") if path.name != CONTEXT_FILE))


def load_lexicons(folder: Path) -> Lexicons:
    """Read and compile rules/lexicon.

    Raises:
        RuleErrors: with every problem of every file.
    """
    problems: list[RuleProblem] = []
    items: list[Lexicon] = []
    terms: dict[tuple[str, int], Term] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name == CONTEXT_FILE:
            continue
        raw = _read(path, _LexiconFile, problems)
        if not isinstance(raw, _LexiconFile):
            continue
        if raw.id != path.stem:
            problems.append(RuleProblem(_shown(path), 1, "rules.id_differs", (("id", raw.id), ("name", path.stem))))
        if raw.label not in LABELS:
            problems.append(RuleProblem(_shown(path), 1, "rules.no_such_label", (("label", raw.label),)))
        number = len(items)
        items.append(
            Lexicon(raw.id, raw.version, raw.label, Text2(raw.title.zh, raw.title.en), raw.audience, tuple(raw.examples), tuple(raw.counterexamples))
        )
        for group, words in raw.groups.items():
            for word in words:
                terms.setdefault((normalise_one(word), number), Term(normalise_one(word), number, group, False))
        for word in raw.exclude:
            terms[(normalise_one(word), number)] = Term(normalise_one(word), number, "", True)
    context_path = folder / CONTEXT_FILE
    context = _read(context_path, _ContextFile, problems) if context_path.is_file() else None
    if not isinstance(context, _ContextFile):
        problems.append(RuleProblem(_shown(context_path), 0, "rules.no_context"))
    if problems or not isinstance(context, _ContextFile):
        raise RuleErrors(problems)
    for word in context.training:
        terms[(normalise_one(word), TRAINING)] = Term(normalise_one(word), TRAINING, "", True)
    listed = tuple(terms.values())
    automaton = ahocorasick_rs.BytesAhoCorasick(
        [t.text.encode("utf-8") for t in listed],
        matchkind=ahocorasick_rs.MatchKind.Standard,
        implementation=ahocorasick_rs.Implementation.DFA,
    )
    return Lexicons(
        tuple(items), listed,
        Markers(_any_of(context.prohibition), _any_of(context.reported)), automaton,
        np.array([t.lexicon for t in listed], dtype=np.int32),
        np.array([t.lexicon != TRAINING and items[t.lexicon].audience == "others" for t in listed], dtype=np.bool_),
    )  # fmt: skip


def _any_of(words: Sequence[str]) -> re.Pattern[str]:
    ordered = sorted({normalise_one(w) for w in words}, key=len, reverse=True)
    # An English marker must be a word of its own.
    return re.compile("|".join(rf"(?<![a-z]){re.escape(w)}(?![a-z])" if w.isascii() else re.escape(w) for w in ordered))


def _read(path: Path, model: type[BaseModel], problems: list[RuleProblem]) -> BaseModel | None:
    document = yamlfile.read(path)
    for line, key, params in document.problems:
        problems.append(RuleProblem(_shown(path), line, key, tuple(params.items())))
    if document.problems:
        return None
    try:
        return model.model_validate(document.data)
    except pydantic.ValidationError as error:
        for item in error.errors():
            where = ".".join(map(str, item["loc"])) or "-"
            problems.append(
                RuleProblem(_shown(path), document.line(item["loc"]), "rules.wrong_value", (("where", where), ("why", item["msg"])))
            )
        return None


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
