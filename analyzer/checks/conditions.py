"""Conditions that lift a prohibition, as three-valued SQL: an event, the debtor out of reach, a fact of the contact."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from analyzer.checks.base import Compiler, Figure, Params, Scope
from analyzer.sql import literal

# What a user would have to supply where only an event's time leaves the answer open.
EVENT_TIME = "case_events.occurred_at"
_CASES_OF_DEBTOR = "SELECT d.case_id FROM cases d WHERE d.debtor_id = c.debtor_id"


class EventCondition(Params):
    """An event of the case that holds at the moment of the contact.

    `match` says whose: any event of the case, of any case of the debtor, or one of the person contacted: in the case, or in any
    case of the debtor (`person_any_case`; an event there that names nobody is nobody's). `for_dates` ends it so many calendar
    dates after it, its own date being the first.
    """

    kinds: list[str] = Field(min_length=1)
    match: Literal["case", "person", "person_any_case", "debtor"] = "case"
    for_dates: Figure | None = None


class Unreachable(Params):
    """The debtor cannot be reached: so many failed attempts in a row, or at once a certain outcome or event.

    Fewer attempts than `attempts` but at least `unsure_from` leave it open: what counts as out of reach is then for
    the contract to say.
    """

    attempts: Figure
    unsure_from: int = 1
    failed: list[str] = Field(min_length=1)
    reached: list[str] = Field(min_length=1)
    at_once: list[str] = Field(default_factory=list)
    events: list[str] = Field(default_factory=list)


class Unless(Params):
    """Any of these lifts the prohibition."""

    event: EventCondition | None = None
    unreachable: Unreachable | None = None
    fact: Scope | None = None


def lifted(compiler: Compiler, unless: Unless, at: tuple[str, ...]) -> str:
    """SQL over the contact `c`: whether the prohibition is lifted (three-valued)."""
    parts = []
    if unless.fact:
        parts.append(compiler.condition(unless.fact, (*at, "fact")))
    if unless.event:
        parts.append(event_holds(compiler, unless.event, (*at, "event")))
    if unless.unreachable:
        parts.append(_unreachable(compiler, unless.unreachable, (*at, "unreachable")))
    return "(" + " OR ".join(parts) + ")" if parts else "false"


def event_join(compiler: Compiler, event: EventCondition, at: tuple[str, ...]) -> str:
    """SQL over contact `c` and event `e`: e is of the kinds, concerns c, and holds at c's moment (three-valued)."""
    match event.match:
        case "case":
            whose = "e.case_id = c.case_id"
        case "debtor":
            whose = f"e.case_id IN ({_CASES_OF_DEBTOR})"
        case "person":
            compiler.needs["person_id"] = None
            whose = "e.case_id = c.case_id AND e.person_id = c.person_id"
        case "person_any_case":
            compiler.needs["person_id"] = None
            whose = f"(e.case_id = c.case_id OR e.person_id IS NOT NULL) AND e.case_id IN ({_CASES_OF_DEBTOR}) AND e.person_id = c.person_id"
    parts = [
        f"e.kind IN {literal(event.kinds)}", whose, "e.occurred_utc < c.at_utc",
        "(e.ended_utc IS NULL OR c.at_utc < e.ended_utc)",
    ]  # fmt: skip
    if event.for_dates is not None:
        days = compiler.value(event.for_dates, (*at, "for_dates"), compiler.day)
        parts.append(f"{compiler.day} < e.occurred_on + {days}::INTEGER")
    return " AND ".join(parts)


def event_holds(compiler: Compiler, event: EventCondition, at: tuple[str, ...]) -> str:
    """SQL over `c`: true if such an event holds, NULL if one may (it is not known whose it is), else false."""
    joined = event_join(compiler, event, at)
    compiler.open_question = compiler.open_question or EVENT_TIME
    if event.match not in ("person", "person_any_case"):
        return _three_valued(joined)
    return (
        f"(SELECT CASE WHEN count(*) FILTER (WHERE {joined}) > 0 THEN true"
        f" WHEN count(*) FILTER (WHERE ({joined}) IS NULL) > 0 THEN NULL ELSE false END"
        f" FROM case_events e WHERE {whose_case(event)})"
    )


def whose_case(event: EventCondition) -> str:
    """SQL over contact `c` and event `e`: the cases whose events may concern it."""
    return "e.case_id = c.case_id" if event.match in ("case", "person") else f"e.case_id IN ({_CASES_OF_DEBTOR})"


def _three_valued(joined: str) -> str:
    """SQL over `c`: true if an event `e` of the case meets `joined`, NULL if one whose time is unknown may, else false."""
    timeless = joined.replace("e.occurred_utc < c.at_utc", "e.occurred_utc IS NULL").replace("e.occurred_on", "c.on_date")
    return (
        f"(CASE WHEN EXISTS (SELECT 1 FROM case_events e WHERE {joined}) THEN true"
        f" WHEN EXISTS (SELECT 1 FROM case_events e WHERE {timeless}) THEN NULL ELSE false END)"
    )


def _unreachable(compiler: Compiler, rule: Unreachable, at: tuple[str, ...]) -> str:
    """SQL over `c`. Failed attempts to the debtor since the last time he was reached, before this contact.

    Attempts are outbound calls and visits to the debtor; he is also reached when he calls.
    """
    compiler.open_question = "contract"
    attempts = compiler.value(rule.attempts, (*at, "attempts"), compiler.day)
    reached = literal(rule.reached)
    failed = literal(rule.failed)
    once = literal(rule.at_once) if rule.at_once else "('')"
    events = event_holds(compiler, EventCondition(kinds=rule.events), (*at, "events")) if rule.events else "false"
    # What is not known counts both ways: an attempt without an outcome may have failed or reached him, a call to an
    # unknown number may have been to him. `least` counts certain failures since he was last possibly reached, `most`
    # possible ones since he was last certainly reached.
    his, maybe_his = "t.party IS NOT DISTINCT FROM 'debtor'", "t.party IS NULL"
    out = "t.direction IS NOT DISTINCT FROM 'outbound'"
    rows = (
        f"SELECT t.case_id, t.at_utc, t.contact_id, {his} AND {out} AND coalesce(t.outcome IN {failed}, false) AS fail,"
        f" {his} AND {out} AND coalesce(t.outcome IN {once}, false) AS once, {his} AND coalesce(t.outcome IN {reached}, false) AS reach,"
        f" (({his} AND (t.outcome IS NULL OR t.direction IS NULL)) OR {maybe_his}) AS unsure"
        f" FROM contacts t WHERE ({his} OR {maybe_his}) AND t.at_utc IS NOT NULL"
        f" AND (t.channel IN ('call', 'ai_call', 'visit') OR t.outcome IN {reached})"
        # Only cases that have a contact to be judged are worth counting.
        f" AND t.case_id IN (SELECT c.case_id FROM contacts c WHERE {compiler.applies} AND ({compiler.scope}) IS NOT FALSE)"
    )
    by_time = "PARTITION BY case_id ORDER BY at_utc, contact_id"
    spells = (
        f"SELECT *, sum(CASE WHEN reach OR unsure THEN 1 ELSE 0 END) OVER ({by_time}) AS strict,"
        f" sum(CASE WHEN reach THEN 1 ELSE 0 END) OVER ({by_time}) AS loose FROM ({rows})"
    )
    # One row per case and instant, so that the join below has one answer when two attempts share a second.
    runs = (
        "SELECT case_id, at_utc, min(least) AS least, max(most) AS most, bool_and(once) AS once FROM (SELECT case_id, at_utc,"
        " sum(CASE WHEN fail OR once THEN 1 ELSE 0 END) OVER (PARTITION BY case_id, strict ORDER BY at_utc, contact_id) AS least,"
        " sum(CASE WHEN fail OR once OR unsure THEN 1 ELSE 0 END) OVER (PARTITION BY case_id, loose ORDER BY at_utc, contact_id) AS most,"
        " bool_or(once) OVER (PARTITION BY case_id, strict ORDER BY at_utc, contact_id) AS once"
        f" FROM ({spells})) GROUP BY ALL"
    )
    alias = f"u{len(compiler.joins)}"
    compiler.joins.append(f"ASOF LEFT JOIN ({runs}) {alias} ON {alias}.case_id = c.case_id AND c.at_utc > {alias}.at_utc")
    state = (
        f"(CASE WHEN {alias}.once OR {alias}.least >= {attempts} THEN true"
        f" WHEN {alias}.most >= {rule.unsure_from} THEN NULL ELSE false END)"
    )
    return f"({events} OR {state})"
