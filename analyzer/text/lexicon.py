"""Lexicons as data, and the one automaton that finds all their terms.

A lexicon is one file under rules/lexicon: a concept, its terms by group, patterns that put concepts together, longer
strings that are innocent (`exclude`), and sentences that must and must not signal, which run as tests. A file with a
`label` signals that conduct; one without is a plain concept (kin, workplace, notify) that patterns refer to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pydantic
from pydantic import Field

from analyzer.errors import RuleErrors, RuleProblem
from analyzer.model import Text2
from analyzer.rules import rules_folder, validated
from analyzer.text.normalise import normal_forms
from analyzer.text.safe_regex import compile_safe, necessary
from analyzer.text.terms import LONGEST_TERM, Terms
from analyzer.yamlfile import Both, Strict

Index = npt.NDArray[np.int64]

LABELS = (
    "threat_violence", "abuse", "exposure_threat", "impersonation", "false_legal_claim", "third_party_disclosure",
    "third_party_pressure", "induce_borrowing", "private_account", "false_promise", "excessive_contact_statement",
    "pii_exposure", "identity_concealed",
)  # fmt: skip
CONTEXT_FILE = "_context.yaml"
# What the context file lists, in this order: the first sets of every automaton.
MARKERS = ("prohibition", "reported", "resumed", "resumed_clause", "training", "collector_turn", "other_turn", "question", "condition", "addressed")
PROHIBITION, REPORTED, RESUMED, RESUMED_CLAUSE, TRAINING, COLLECTOR_TURN, OTHER_TURN, QUESTION, CONDITION, ADDRESSED = range(len(MARKERS))
Mark = Literal["prohibition", "reported", "training", "question", "condition"]


class _Place(Strict):
    first: Annotated[int, Field(ge=1)] | None = None
    last: Annotated[int, Field(ge=1)] | None = None


# "@concept", "@concept/group", or a list of words and such references, any of which will do.
_Element = str | Annotated[list[str], Field(min_length=1)]


class _PatternFile(Strict):
    all: Annotated[list[_Element], Field(min_length=1)]
    of: list[_Element] = Field(default_factory=list)
    at_least: Annotated[int, Field(ge=1)] = 1
    none: list[_Element] = Field(default_factory=list)
    within: Literal["clause", "sentence", "text"] = "clause"
    near: Annotated[int, Field(ge=0)] | None = None
    ordered: bool = False
    place: _Place | None = None
    said_by: Literal["collector", "anyone"] = "collector"
    despite: list[Mark] = Field(default_factory=list)
    regex: str | None = None
    unless: str | None = None
    sure: bool = True


class _LexiconFile(Strict):
    id: str
    version: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    label: str | None = None
    title: Both
    audience: Literal["all", "others"] = "all"
    despite: list[Mark] = Field(default_factory=list)
    groups: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(default_factory=dict)
    weak: list[str] = Field(default_factory=list)
    disguised: list[str] = Field(default_factory=list)
    patterns: dict[str, _PatternFile] = Field(default_factory=dict)
    exclude: list[str] = Field(default_factory=list)
    examples: list[str] = Field(default_factory=list)
    counterexamples: list[str] = Field(default_factory=list)

    @pydantic.model_validator(mode="after")
    def _whole(self) -> _LexiconFile:
        if not self.groups and not self.patterns:
            raise ValueError("give groups, patterns or both")
        if self.label and not (self.examples and self.counterexamples):
            raise ValueError("a lexicon with a label needs examples and counterexamples")
        if not self.label and (self.patterns or self.examples or self.weak):
            raise ValueError("a concept without a label has groups only")
        for key, names in (("weak", self.weak), ("disguised", self.disguised)):
            if lost := [name for name in names if name not in self.groups]:
                raise ValueError(f"{key} names no group: {', '.join(lost)}")
        return self


class WordsFile(Strict):
    """Words of one concept inside another file of the rules folder; its keys mean what they mean in a lexicon."""

    groups: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(default_factory=dict)
    patterns: dict[str, _PatternFile] = Field(default_factory=dict)
    exclude: list[str] = Field(default_factory=list)


class _ContextFile(Strict):
    """`sets`: words by name; a marker written `{a}{b}` stands for each word of the set a with each of b behind it."""

    version: str
    sets: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(default_factory=dict)
    prohibition: list[str]
    reported: list[str]
    resumed: list[str]
    resumed_clause: list[str]
    training: list[str]
    collector_turn: list[str]
    other_turn: list[str]
    question: list[str] = Field(default_factory=list)
    condition: list[str] = Field(default_factory=list)
    addressed: list[str] = Field(default_factory=list)

    @pydantic.model_validator(mode="after")
    def _sets_named(self) -> _ContextFile:
        named = {name for marker in MARKERS for word in getattr(self, marker) for name in _SET.findall(word)}
        if lost := sorted(named - set(self.sets)):
            raise ValueError(f"no such set: {', '.join(lost)}")
        return self

    def words(self, marker: str) -> list[str]:
        """All words of a marker."""
        found = []
        for word in getattr(self, marker):
            # A name of a set stands at every second place.
            parts = [self.sets[part] if place % 2 else [part] for place, part in enumerate(_SET.split(word))]
            found += ["".join(one) for one in product(*parts)]
        return found


_SET = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Pattern:
    """Concepts put together: every element of `all` and `at_least` of `of` in one `within`, none of `none`.

    An element is a set of terms any of which will do. `near` is the most characters between neighbouring elements,
    `ordered` that they follow each other as listed. `implied`: sets of which `regex` needs something anyway. `first`/`last` bound the sentences of the text it may stand in.
    """

    name: str
    all: tuple[int, ...]
    implied: tuple[int, ...]
    of: tuple[int, ...]
    at_least: int
    none: int | None
    within: str
    near: int | None
    ordered: bool
    first: int | None
    last: int | None
    anyone: bool
    despite: frozenset[str]
    regex: re.Pattern[str] | None
    unless: re.Pattern[str] | None
    sure: bool


@dataclass(frozen=True)
class Lexicon:
    """One concept. `audience` others: only what is said to somebody who is not known to owe the debt is looked at.

    `alone`: the sets whose terms signal by themselves, each with its group and whether it is sure. `despite`: marks that
    do not take a match back.
    """

    id: str
    version: str
    label: str | None
    title: Text2
    audience: str
    despite: frozenset[str]
    alone: tuple[tuple[int, str, bool], ...]
    innocent: int
    patterns: tuple[Pattern, ...]
    examples: tuple[str, ...]
    counterexamples: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Lexicons:
    """All lexicons, compiled. Set n of terms is `set_terms[set_starts[n]:set_starts[n + 1]]`, numbers of `terms`.

    The first `in_patterns` terms are those that elements of patterns hold. `set_tokens`: for each set that is an element of a
    pattern a number made from its terms, the same as long as they are; -1 for other sets, and for those with the terms of an earlier one.
    """

    items: tuple[Lexicon, ...]
    terms: Terms
    set_starts: Index
    set_terms: Index
    in_patterns: int
    set_tokens: Index

    @property
    def ids(self) -> tuple[str, ...]:
        """The concepts that signal."""
        return tuple(item.id for item in self.items if item.label)

    def terms_of(self, number: int) -> Index:
        """The numbers of a set's terms, in order."""
        return self.set_terms[self.set_starts[number] : self.set_starts[number + 1]]


def lexicon_ids(folder: Path) -> tuple[str, ...]:
    """The concepts of rules/lexicon that signal, without reading their terms."""
    return tuple(labels_of(folder))


def labels_of(folder: Path) -> dict[str, str]:
    """Concept -> the label it signals, of the lexicons that signal, without reading their terms."""
    found = {p.stem: re.search(r"^label: *(\w+)", p.read_text(encoding="utf-8"), re.MULTILINE) for p in sorted(folder.glob("[!_]*.yaml"))}
    return {name: label[1] for name, label in found.items() if label}


class _Sets:
    """Sets of terms being numbered, and the terms of each."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, int]] = {}
        self._unions: dict[tuple[int, ...], int] = {}
        self._members: list[dict[str, None]] = []
        self._waiting: list[tuple[int, str]] = []

    def number(self, concept: str, group: str) -> int:
        """The number of a set, a new one if it is not there yet."""
        groups = self._groups.setdefault(concept, {})
        if group not in groups:
            groups[group] = self._new()
        return groups[group]

    def _new(self) -> int:
        self._members.append({})
        return len(self._members) - 1

    def add(self, number: int, words: Iterable[str]) -> None:
        """Words to a set, in their normal form once `settled`."""
        self._waiting += [(number, word) for word in words]

    def settled(self) -> None:
        """Put the words added into their sets. All at once: the normal form of one word costs as much as that of a thousand."""
        for (number, _), term in zip(self._waiting, normal_forms([word for _, word in self._waiting]), strict=True):
            if term:
                self._members[number][term] = None
        self._waiting = []

    def of(self, concept: str, group: str = "") -> tuple[int, ...]:
        """The numbers of a concept's groups, or of the one named."""
        return tuple(n for g, n in self._groups.get(concept, {}).items() if (g == group or not group) and g != _INNOCENT)

    def words(self, words: Sequence[str]) -> int:
        """The number of a set of words that belongs to no concept; the same for the same words."""
        number = self.number(_WORDS, "|".join(words))
        self.add(number, words)
        return number

    def union(self, numbers: Iterable[int]) -> int:
        """The number of the set of all that is in some sets; these may still grow."""
        key = tuple(sorted(set(numbers)))
        if len(key) == 1:
            return key[0]
        if key not in self._unions:
            self._unions[key] = self._new()
        return self._unions[key]

    def compiled(self, first: Iterable[int]) -> tuple[Terms, Index, Index, int]:
        """(terms, set_starts, set_terms, in_patterns) as `Lexicons` has them; `first`: the sets whose terms come first."""
        for numbers, union in self._unions.items():
            self._members[union] = {term: None for number in numbers for term in self._members[number]}
        place: dict[str, int] = {}
        for number in sorted(set(first)):
            for term in self._members[number]:
                place.setdefault(term, len(place))
        in_patterns = len(place)
        for members in self._members:
            for term in members:
                place.setdefault(term, len(place))
        rows = [np.sort(np.array([place[term] for term in members], dtype=np.int64)) for members in self._members]
        starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
        return Terms(list(place)), starts, np.concatenate(rows), in_patterns

    def tokens(self, asked: Iterable[int]) -> Index:
        """`Lexicons.set_tokens`, for the sets in `asked`; the unions must have been made."""
        found = np.full(len(self._members), -1, np.int64)
        told: set[int] = set()
        for number in sorted(set(asked)):
            digest = sha256("\n".join(sorted(self._members[number])).encode("utf-8")).digest()
            token = int.from_bytes(digest[:8], "big") >> 1
            if token not in told:
                told.add(token)
                found[number] = token
        return found

    def too_long(self) -> str | None:
        """A term that is longer than can be looked for, if there is one."""
        return next((term for members in self._members for term in members if len(term) > LONGEST_TERM), None)


_INNOCENT, _WORDS = "!", "#"
_LONGEST_DISGUISED = 6


def disguises(word: str) -> list[str]:
    """A Chinese word with one character, or all of them, written as pinyin: 弄死你 as nong死你, 弄si你, 弄死ni, nongsini.

    Made from the lexicon when it is compiled, so that no message has to be converted. Words of one character or of more
    than six have none.
    """
    known = syllables()
    if not 2 <= len(word) <= _LONGEST_DISGUISED or any(c not in known for c in word):
        return []
    one = [word[:i] + known[c] + word[i + 1 :] for i, c in enumerate(word)]
    return [*one, "".join(known[c] for c in word)] if len(word) > 2 else one


@cache
def syllables() -> dict[str, str]:
    """Character -> its commonest reading without tone, from rules/pinyin.txt."""
    lines = (rules_folder() / "pinyin.txt").read_text(encoding="utf-8").splitlines()
    return {c: line.split()[0] for line in lines if not line.startswith("#") for c in line.split()[1]}


def load_lexicons(folder: Path) -> Lexicons:
    """Read and compile rules/lexicon.

    Raises:
        RuleErrors: with every problem of every file.
    """
    problems: list[RuleProblem] = []
    sets = _Sets()
    _mark(folder, sets, problems)
    files: list[tuple[Path, _LexiconFile]] = []
    for path in sorted(folder.glob("[!_]*.yaml")):
        raw = validated(path, _LexiconFile, problems)
        if not isinstance(raw, _LexiconFile):
            continue
        if raw.id != path.stem:
            problems.append(RuleProblem(_shown(path), 1, "rules.id_differs", (("id", raw.id), ("name", path.stem))))
        if raw.label is not None and raw.label not in LABELS:
            problems.append(RuleProblem(_shown(path), 1, "rules.no_such_label", (("label", raw.label),)))
        files.append((path, raw))
    return _compiled(folder, files, sets, problems)


def compile_words(folder: Path, concepts: Mapping[str, tuple[Path, WordsFile]]) -> Lexicons:
    """Words of other files of the rules folder, compiled like lexicons: what the finder finds has their names as concepts.

    Who speaks does not take a match back, only a prohibition or a lesson does: `Signal.speaker` says who it was.

    Args:
        folder: rules/lexicon, for its context words.
        concepts: name -> the file, for its problems, and the words.

    Raises:
        RuleErrors: with every problem.
    """
    problems: list[RuleProblem] = []
    sets = _Sets()
    _mark(folder, sets, problems)
    files = [
        (path, _LexiconFile.model_construct(id=name, version="", label=name, title=Both(zh=name, en=name), despite=["reported"], **dict(words)))
        for name, (path, words) in concepts.items()
    ]
    return _compiled(folder, files, sets, problems)


def _mark(folder: Path, sets: _Sets, problems: list[RuleProblem]) -> None:
    """The context words as the first sets."""
    path = folder / CONTEXT_FILE
    context = validated(path, _ContextFile, problems) if path.is_file() else None
    if isinstance(context, _ContextFile):
        for marker in MARKERS:
            sets.add(sets.number("", marker), context.words(marker))
    else:
        problems.append(RuleProblem(_shown(path), 0, "rules.no_context"))


def _compiled(folder: Path, files: Sequence[tuple[Path, _LexiconFile]], sets: _Sets, problems: list[RuleProblem]) -> Lexicons:
    for _, raw in files:
        for group, words in raw.groups.items():
            sets.add(sets.number(raw.id, group), words)
            if group in raw.disguised:
                sets.add(sets.number(raw.id, group), [form for word in normal_forms(words) for form in disguises(word)])
        sets.add(sets.number(raw.id, _INNOCENT), raw.exclude)
    items = [_compile(path, raw, sets, problems) for path, raw in files]
    sets.settled()
    if (long := sets.too_long()) is not None:
        problems.append(RuleProblem(_shown(folder), 0, "rules.wrong_value", (("where", long[:20]), ("why", f"> {LONGEST_TERM}"))))
    if problems:
        raise RuleErrors(problems)
    elements = [n for item in items for p in item.patterns for n in (*p.all, *p.implied, *p.of, *(() if p.none is None else (p.none,)))]
    asked = {n for item in items for p in item.patterns for n in (*p.all, *p.of)}
    return Lexicons(tuple(items), *sets.compiled(elements), sets.tokens(asked))


def _compile(path: Path, raw: _LexiconFile, sets: _Sets, problems: list[RuleProblem]) -> Lexicon:
    def element(name: str, place: int, wanted: _Element) -> tuple[int, ...]:
        """The numbers of the sets that an element names."""
        parts = [wanted] if isinstance(wanted, str) else wanted
        found: dict[int, None] = {}
        words = [part for part in parts if not part.startswith("@")]
        if words:
            number = sets.number(raw.id, f"{name} {place}")
            sets.add(number, words)
            found[number] = None
        for part in parts:
            if part.startswith("@"):
                numbers = sets.of(*part[1:].split("/", 1))
                if not numbers:
                    problems.append(RuleProblem(_shown(path), 1, "rules.no_such_concept", (("name", part), ("have", name))))
                found.update(dict.fromkeys(numbers))
        return tuple(found)

    patterns = []
    for name, item in raw.patterns.items():
        places = iter(range(1000))
        regexes = []
        for text in (item.regex, item.unless):
            try:
                regexes.append(compile_safe(text) if text else None)
            except ValueError as error:
                problems.append(RuleProblem(_shown(path), 1, "rules.wrong_value", (("where", f"patterns.{name}"), ("why", str(error)))))
                regexes.append(None)
        needed = tuple(sets.union(element(name, next(places), e)) for e in item.all)
        implied = [sets.words(words) for words in necessary(item.regex)] if item.regex and regexes[0] else []
        optional = tuple(sets.union(element(name, next(places), e)) for e in item.of)
        refused = [n for e in item.none for n in element(name, next(places), e)]
        patterns.append(Pattern(
            name, needed, tuple(implied), optional, item.at_least if item.of else 0, sets.union(refused) if refused else None, item.within, item.near, item.ordered,
            item.place.first if item.place else None, item.place.last if item.place else None, item.said_by == "anyone",
            frozenset([*raw.despite, *item.despite]), regexes[0], regexes[1], item.sure,
        ))  # fmt: skip
    alone = tuple((sets.number(raw.id, group), group, group not in raw.weak) for group in raw.groups) if raw.label else ()
    return Lexicon(
        raw.id, raw.version, raw.label, Text2(raw.title.zh, raw.title.en), raw.audience, frozenset(raw.despite), alone,
        sets.number(raw.id, _INNOCENT), tuple(patterns), tuple(raw.examples), tuple(raw.counterexamples),
    )  # fmt: skip


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
