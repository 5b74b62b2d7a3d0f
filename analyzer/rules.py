"""Packs of rules: strict YAML to `Rule`. Every problem of every file is found in one go, with file and line.

What a `check` means is not known here; `analyzer.checks` binds it and adds its own problems to ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import pydantic
from pydantic import BaseModel, BeforeValidator, Field

from analyzer import yamlfile
from analyzer.errors import RuleErrors, RuleProblem, UsageError
from analyzer.model import Citation, Outcome, Pack, Rule
from analyzer.yamlfile import Both, Known, Strict

Checked = TypeVar("Checked", bound=BaseModel)
ROWS = frozenset([*(f"C{i}" for i in range(1, 22)), *(f"S{i}" for i in range(1, 6))])
SEVERITIES = ("critical", "high", "medium", "low")
_Strength = Literal["law", "rule", "standard", "convention", "guideline", "policy"]
STRENGTHS: tuple[str, ...] = get_args(_Strength)
LEXICON = "lexicon"
CALENDARS = "calendars"
CONDUCT = "conduct"
# Folders of a rules folder that hold no pack: the words, the labelled examples, the working days, the conduct by situation.
_NO_PACKS = (LEXICON, "examples", CALENDARS, CONDUCT)


def _a_date(value: object) -> object:
    if not (isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value)):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        return value


Day = Annotated[date, BeforeValidator(_a_date)]


class _Citation(Strict):
    instrument: Both
    clause: Both
    known: Known
    consulted: Day
    note: Both | None = None


class _Applies(Strict):
    jurisdiction: list[str] | None = None
    lender_kind: list[str] | None = None


class CaseSpec(Strict):
    """One example: the rows it gives, and the contacts each outcome must hold. `todo` marks a known miss."""

    name: Annotated[str, Field(min_length=5)]
    todo: bool = False
    given: dict[str, list[dict[str, Any]]]
    expect: dict[Outcome, list[str]]

    @pydantic.field_validator("expect", mode="before")
    @classmethod
    def _outcomes(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {Outcome(k) if k in set(Outcome) else k: v for k, v in value.items()}


class RuleFile(Strict):
    """A rule as its file writes it; `check` is read by `analyzer.checks`."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: Both
    why: Both
    remedy: Both
    not_covered: Both
    serves: Annotated[list[str], Field(min_length=1)]
    status: Literal["draft", "trial", "stable", "retired"]
    severity: Literal["critical", "high", "medium", "low"]
    strength: _Strength
    effect: Literal["prohibition", "presumption", "review", "advisory"]
    citations: Annotated[list[_Citation], Field(min_length=1)]
    in_force: Day | None = None
    until: Day | None = None
    values: dict[str, dict[str, Any]] = Field(default_factory=dict)
    check: dict[str, Any]
    cases: list[CaseSpec]

    @pydantic.field_validator("serves")
    @classmethod
    def _rows(cls, value: list[str]) -> list[str]:
        for row in value:
            if row not in ROWS:
                raise ValueError(f"{row} is not a row of the mission (C1-C21, S1-S5)")
        return value


class PackFile(Strict):
    """A pack as pack.yaml writes it."""

    id: str
    title: Both
    about: Both
    binds: Both
    applies_to: _Applies
    by_choice: bool = False
    in_force: Day | None = None
    until: Day | None = None
    not_decided: list[Both] = Field(default_factory=list)


def rules_folder() -> Path:
    """The packs that come with the program: of the checkout, or of the installed wheel."""
    here = Path(__file__).parent
    return next(p for p in (here / "_rules", here.parent / "rules") if p.is_dir())


def lexicon_folder(folder: Path) -> Path:
    """The lexicons that go with a rules folder: its own, or the program's where it has none."""
    return folder / LEXICON if (folder / LEXICON).is_dir() else rules_folder() / LEXICON


def load(folder: Path, only: Sequence[str] = ()) -> tuple[list[Pack], list[RuleProblem]]:
    """The packs of a folder, and everything wrong with them.

    Args:
        folder: holds one folder per pack.
        only: pack ids; all when empty. A pack that is asked for and not there is a problem.
    """
    if not folder.is_dir():
        raise UsageError("usage.rules_folder", path=folder.name or str(folder))
    problems: list[RuleProblem] = []
    packs: list[Pack] = []
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name not in _NO_PACKS and not p.name.startswith((".", "_")))
    problems += [RuleProblem(name, 0, "rules.no_such_pack", (("have", ", ".join(names)),)) for name in only if name not in names]
    for name in names:
        if not only or name in only:
            pack = _pack(folder / name, problems)
            if pack:
                packs.append(pack)
    return packs, problems


def select(folder: Path, only: Sequence[str] = ()) -> list[Pack]:
    """Like `load`, but any problem is an error.

    Raises:
        RuleErrors: with all problems.
    """
    packs, problems = load(folder, only)
    if problems:
        raise RuleErrors(problems)
    return packs


def chosen(folder: Path, only: Sequence[str] = (), also: Sequence[str] = (), drafts: bool = False) -> tuple[list[Pack], list[RuleProblem]]:
    """The packs an audit uses, and everything wrong with them.

    Args:
        folder: holds one folder per pack.
        only: pack ids; all but those by choice when empty.
        also: packs by choice to be used as well.
        drafts: whether rules whose status is draft count.
    """
    packs, problems = load(folder, [*only, *also] if only else ())
    have = [pack.id for pack in packs]
    if not only:
        problems += [RuleProblem(name, 0, "rules.no_such_pack", (("have", ", ".join(have)),)) for name in also if name not in have]
    kept = [pack for pack in packs if not pack.by_choice or pack.id in (*only, *also)]
    return [replace(pack, rules=tuple(r for r in pack.rules if drafts or r.status != "draft")) for pack in kept], problems


def _pack(folder: Path, problems: list[RuleProblem]) -> Pack | None:
    head_path = folder / "pack.yaml"
    if not head_path.is_file():
        problems.append(RuleProblem(f"{folder.name}/pack.yaml", 0, "rules.no_pack_file"))
        return None
    document = yamlfile.read(head_path)
    head = validated(head_path, PackFile, problems, document)
    rules = []
    for path in sorted(folder.glob("*.yaml")):
        if path.name != "pack.yaml" and path.is_file():
            rule = _rule(path, head if isinstance(head, PackFile) else None, problems)
            if rule:
                rules.append(rule)
    if not isinstance(head, PackFile):
        return None
    if head.id != folder.name:
        problems.append(RuleProblem(_shown(head_path), 1, "rules.id_differs", (("id", head.id), ("name", folder.name))))
    digest = sha256("".join([_digest(document), *(r.digest for r in rules)]).encode()).hexdigest()
    places = head.applies_to.jurisdiction or []
    return Pack(
        head.id, head.title.plain(), head.about.plain(), head.binds.plain(), places[0] if len(places) == 1 else None,
        digest, tuple(rules), tuple(t.plain() for t in head.not_decided), head.by_choice,
    )  # fmt: skip


def _rule(path: Path, head: PackFile | None, problems: list[RuleProblem]) -> Rule | None:
    before = len(problems)
    document = yamlfile.read(path)
    raw = validated(path, RuleFile, problems, document)
    if not isinstance(raw, RuleFile):
        return None

    def wrong(at: tuple[str | int, ...], key: str, **params: object) -> None:
        problems.append(RuleProblem(_shown(path), document.line(at), key, tuple(params.items())))

    if raw.id != path.stem:
        wrong(("id",), "rules.id_differs", id=raw.id, name=path.stem)
    if "kind" not in raw.check:
        wrong(("check",), "rules.no_kind")
    in_force = raw.in_force or (head.in_force if head else None)
    until = raw.until or (head.until if head else None)
    values = {name: _dated(name, spans, wrong) for name, spans in raw.values.items()}
    _check_cases(raw, values, wrong)
    if len(problems) > before:
        return None
    applies = head.applies_to if head else _Applies()
    return Rule(
        raw.id, path.parent.name, path, raw.title.plain(), raw.why.plain(), raw.remedy.plain(), raw.not_covered.plain(),
        tuple(raw.serves), raw.status, raw.severity, raw.strength, raw.effect,
        tuple(
            Citation(c.instrument.plain(), c.clause.plain(), c.known, c.consulted, c.note.plain() if c.note else None)
            for c in raw.citations
        ),
        in_force, until, values, raw.check, tuple(c.model_dump() for c in raw.cases),
        {k: tuple(v) for k, v in applies.model_dump().items() if v}, _digest(document),
        document.source.decode("utf-8"), document.lines,
    )  # fmt: skip


def _dated(name: str, spans: dict[str, Any], wrong: Any) -> tuple[tuple[date, Any], ...]:
    found = []
    for text, value in spans.items():
        day = _a_date(text)
        if not isinstance(day, date):
            wrong(("values", name, text), "rules.not_a_date", text=text)
            continue
        found.append((day, value))
    if not found:
        wrong(("values", name), "rules.no_value", name=name)
    return tuple(sorted(found, key=lambda pair: pair[0]))


def _check_cases(raw: RuleFile, values: dict[str, tuple[tuple[date, Any], ...]], wrong: Any) -> None:
    """At least one case that breaches, one that is clear, and both sides of every later date of a value."""
    told = {outcome for case in raw.cases if not case.todo for outcome, ids in case.expect.items() if ids}
    for outcome in (Outcome.BREACH, Outcome.CLEAR):
        if outcome not in told:
            wrong(("cases",), "rules.no_case", outcome=outcome.value)
    names = [case.name for case in raw.cases]
    for i, name in enumerate(names):
        if name in names[:i]:
            wrong(("cases", i), "rules.case_name", name=name)
    days = sorted({str(row.get("at"))[:10] for case in raw.cases for row in case.given.get("contacts", []) if row.get("at")})
    for value, spans in values.items():
        for day, _ in spans:
            before = any(d < day.isoformat() for d in days)
            after = any(d >= day.isoformat() for d in days)
            if not (before and after):
                wrong(("values", value), "rules.one_sided", name=value, day=day.isoformat())


def validated(
    path: Path, model: type[Checked], problems: list[RuleProblem], document: yamlfile.Document | None = None
) -> Checked | None:
    """A file of the rules folder as `model`; None, and its problems added to `problems` with file and line, where it is no such."""
    document = document or yamlfile.read(path)
    for line, key, params in document.problems:
        problems.append(RuleProblem(_shown(path), line, key, tuple(params.items())))
    if document.problems:
        return None
    try:
        return model.model_validate(document.data)
    except pydantic.ValidationError as error:
        for item in error.errors():
            at = tuple(part for part in item["loc"] if not str(part).startswith("function-"))
            where = ".".join(map(str, at)) or "-"
            problems.append(
                RuleProblem(_shown(path), document.line(at), *explained(item["type"], where, item["msg"], model))
            )
        return None


def explained(kind: str, where: str, message: str, model: type[BaseModel]) -> tuple[str, tuple[tuple[str, object], ...]]:
    """Key and parameters of the sentence for one of pydantic's errors, found while reading a `model`."""
    if kind == "extra_forbidden":
        return "rules.unknown_key", (("where", where), ("have", ", ".join(sorted(_keys_of(model)))))
    if kind == "missing":
        return "rules.missing_key", (("where", where),)
    return "rules.wrong_value", (("where", where), ("why", message))


def _keys_of(model: type[BaseModel]) -> set[str]:
    """All keys that a file of this model may have anywhere."""
    schema = model.model_json_schema()
    return {key for part in (schema, *schema.get("$defs", {}).values()) for key in part.get("properties", {})}


def read_head(source: str) -> dict[str, Any]:
    """The texts and citations of a rule kept in a run: title, why, remedy, not_covered, citations."""
    data = yamlfile.parse(source).data
    return {name: data[name] for name in ("title", "why", "remedy", "not_covered", "citations")}


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _digest(document: yamlfile.Document) -> str:
    return sha256(document.source).hexdigest()
