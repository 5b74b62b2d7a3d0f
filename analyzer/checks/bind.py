"""Rules to compiled checks. Every rule is bound against the empty canonical tables before any of them runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import duckdb
import pydantic

from analyzer import store
from analyzer.checks.base import BindError, Compiled, Params
from analyzer.checks.frequency import Frequency, compile_frequency
from analyzer.checks.gate import Gate, compile_gate
from analyzer.checks.hours import Hours, compile_hours
from analyzer.checks.near_miss import NearMiss, compile_near_miss
from analyzer.checks.record import Record, compile_record
from analyzer.checks.retention import Retention, compile_retention
from analyzer.checks.sequence import Sequence as SequenceParams
from analyzer.checks.sequence import compile_sequence
from analyzer.checks.share import Share, compile_share
from analyzer.checks.sqlcheck import Sql, compile_sql
from analyzer.checks.wording import Disclosure, PersonalData, Wording, compile_wording
from analyzer.errors import RuleErrors, RuleProblem
from analyzer.model import Pack, Rule
from analyzer.rules import explained
from analyzer.yamlfile import line_of

# A near miss is of another rule, which its compiler has to be shown.
NEAR_MISS = "near_miss"
KINDS: dict[str, tuple[type[Params], Callable[[Rule, Any], Compiled]]] = {
    "hours": (Hours, compile_hours),
    "frequency": (Frequency, compile_frequency),
    "gate": (Gate, compile_gate),
    "disclosure": (Disclosure, compile_wording),
    "wording": (Wording, compile_wording),
    "personal_data": (PersonalData, compile_wording),
    "record": (Record, compile_record),
    "retention": (Retention, compile_retention),
    "sequence": (SequenceParams, compile_sequence),
    "share": (Share, compile_share),
    "sql": (Sql, compile_sql),
}
PARAMS: dict[str, type[Params]] = {kind: model for kind, (model, _) in KINDS.items()} | {NEAR_MISS: NearMiss}


@dataclass(frozen=True)
class Prepared:
    """A rule with its parameters and its two SELECTs, known to bind."""

    rule: Rule
    params: Params
    compiled: Compiled

    @property
    def across(self) -> bool:
        """Whether it counts over contacts of people who have nothing to do with each other (see `circles`)."""
        if isinstance(self.params, Sql):
            return self.params.across
        per = getattr(self.params, "per", None) if isinstance(self.params, Share | Frequency | SequenceParams) else None
        return per is not None and not {"debtor", "case", "debt", "person", "number"} & set(per)

    @property
    def reads_signals(self) -> bool:
        """Whether it needs the texts to have been read."""
        return "signals" in self.compiled.hits


def entities_of(rules: Sequence[Prepared]) -> tuple[str, ...]:
    """The kinds of personal data that some rules ask for."""
    return tuple(sorted({name for p in rules if isinstance(p.params, PersonalData) for name in p.params.entities}))


def prepare(packs: Sequence[Pack], problems: Sequence[RuleProblem] = (), concepts: Sequence[str] | None = None) -> list[Prepared]:
    """Compile and bind every rule that is not retired.

    Args:
        packs: as loaded.
        problems: what loading already found; reported together with ours.
        concepts: the lexicons that exist; None does not check them.

    Raises:
        RuleErrors: with all problems of all rules.
    """
    found = list(problems)
    done: list[Prepared] = []
    with duckdb.connect(":memory:") as con:
        store.create_tables(con)
        others = {rule.ref: rule for pack in packs for rule in pack.rules}
        for rule in others.values():
            # Where other rules could not even be read, a near miss of one of them is not a mistake of its own.
            lost = bool(problems) and rule.kind == NEAR_MISS and rule.check.get("of") not in others
            prepared = _bind(con, rule, others, found, concepts) if rule.status != "retired" and not lost else None
            if prepared:
                done.append(prepared)
    if found:
        raise RuleErrors(found)
    return done


def rebind(rules: Sequence[Rule], others: Mapping[str, Rule], concepts: Sequence[str]) -> list[Prepared | None]:
    """Each rule prepared, or None where it cannot be: rules that somebody changed.

    Args:
        rules: to be compiled and bound.
        others: every rule by its name, for those that are about another.
        concepts: the lexicons that exist.
    """
    with duckdb.connect(":memory:") as con:
        store.create_tables(con)
        return [_bind(con, rule, others, [], concepts) for rule in rules]


def _bind(con: duckdb.DuckDBPyConnection, rule: Rule, others: Mapping[str, Rule], problems: list[RuleProblem], concepts: Sequence[str] | None) -> Prepared | None:
    def wrong(at: tuple[str | int, ...], key: str, **params: object) -> None:
        problems.append(RuleProblem(f"{rule.pack}/{rule.path.name}", line_of(at, rule.lines), key, tuple(params.items())))

    kinds = KINDS | {NEAR_MISS: (NearMiss, partial(compile_near_miss, others=others))}
    if rule.kind not in kinds:
        wrong(("check", "kind"), "rules.unknown_kind", kind=rule.kind, have=", ".join(kinds))
        return None
    model, compile_ = kinds[rule.kind]
    try:
        params = model.model_validate(rule.check)
    except pydantic.ValidationError as error:
        for item in error.errors():
            at = ("check", *item["loc"])
            key, told = explained(item["type"], ".".join(map(str, at)), item["msg"], model)
            wrong(at, key, **dict(told))
        return None
    for name in getattr(params, "concepts", []) if concepts is not None else []:
        if name not in (concepts or ()):
            wrong(("check", "concepts"), "rules.no_such_concept", name=name, have=", ".join(concepts or ()))
            return None
    try:
        compiled = compile_(rule, params)
        for statement in (compiled.standing, compiled.hits):
            # A view is bound and no more: planning every rule would take three times as long.
            con.execute(f"CREATE OR REPLACE TEMP VIEW bound AS {statement}")
    except BindError as error:
        wrong(error.at, error.key, **error.params)
        return None
    except duckdb.Error as error:
        wrong(("check",), "rules.sql_broken", why=str(error).splitlines()[0])
        return None
    return Prepared(rule, params, compiled)
