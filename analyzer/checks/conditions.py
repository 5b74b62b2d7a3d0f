"""Conditions that lift a prohibition, as three-valued SQL: an event, the debtor out of reach, a fact of the contact."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from analyzer.checks.base import Compiler, Figure, Params, Scope
from analyzer.model import SPOKEN, UNNAMED
from analyzer.sql import literal
from analyzer.store import written_to_us

# What a user would have to supply where only an event's time, whose it is, to whom it was said or its kind leaves the answer open.
EVENT_TIME = "case_events.occurred_at"
AGREED_HOURS = "case_events.agreed_from"
EVENT_PERSON, EVENT_VENDOR, EVENT_KIND = "case_events.person_id", "case_events.vendor", "case_events.kind"
# Who acts for the debtor.
ACTING = ("attorney", "guardian", "executor")
_COLLECTORS = "SELECT case_id AS case_there, count(DISTINCT collector) AS collectors FROM contacts WHERE case_id IN (SELECT case_id FROM case_events WHERE kind IN {kinds}) GROUP BY ALL"
_OF_DEBTORS = f"(SELECT v.*, d.debtor_id, coalesce(d.lender, {literal(UNNAMED)}) AS creditor FROM case_events v JOIN cases d USING (case_id))"
# Of each person the one number that he has; an empty one where he has several.
_NUMBERS = "SELECT case_id, person_id, CASE WHEN count(DISTINCT number) = 1 THEN any_value(number) ELSE '' END AS only_one FROM numbers GROUP BY ALL"


class EventCondition(Params):
    """An event of the case that holds at the moment of the contact.

    `match` says whose: any event of the case, of any case of the debtor, or of those with the lender, one of the debtor (`consumer`: an event that names nobody is
    his), one of the consumer contacted (`own`: the debtor's, unless somebody is contacted who is bound by the debt himself), or one of
    the person contacted: in the case, or in any case of the debtor (`person_any_case`; an event there that names nobody is nobody's).
    `to`: it holds for the collector to whom it was said; one that names none was said to the case's only one, else it is not known.
    `for_dates` ends it so many calendar dates after it, its own date being the first.
    """

    kinds: list[str] = Field(min_length=1)
    match: Literal["case", "consumer", "own", "person", "person_any_case", "lender", "debtor"] = "case"
    to: Literal["collector"] | None = None
    for_dates: Figure | None = None


class Unreachable(Params):
    """The debtor cannot be reached by his lender: so many failed attempts in a row in any of his cases, or at once a certain outcome or event.

    An event of `events` holds for good, one of `lost` until he is reached. An outcome of `unclear` may
    have failed or reached him. Fewer attempts than `attempts` but at least `unsure_from` leave it open: what counts as out of reach is then for the contract to say.
    """

    attempts: Figure
    unsure_from: int = 1
    failed: list[str] = Field(min_length=1)
    reached: list[str] = Field(min_length=1)
    unclear: list[str] = Field(default_factory=list)
    at_once: list[str] = Field(default_factory=list)
    events: list[str] = Field(default_factory=list)
    lost: list[str] = Field(default_factory=list)


class Unless(Params):
    """Any of these lifts the prohibition; where `doubt` holds it may be lifted, and the contact is undetermined."""

    event: EventCondition | None = None
    unreachable: Unreachable | None = None
    fact: Scope | None = None
    doubt: Scope | None = None


def lifted(compiler: Compiler, unless: Unless, at: tuple[str, ...]) -> str:
    """SQL over the contact `c`: whether the prohibition is lifted (three-valued)."""
    parts = []
    if unless.fact:
        parts.append(compiler.condition(unless.fact, (*at, "fact")))
    if unless.event:
        parts.append(event_holds(compiler, unless.event, (*at, "event")))
    if unless.unreachable:
        parts.append(_unreachable(compiler, unless.unreachable, (*at, "unreachable")))
    if unless.doubt:
        parts.append(f"(CASE WHEN {compiler.condition(unless.doubt, (*at, 'doubt'))} THEN NULL ELSE false END)")
    return "(" + " OR ".join(parts) + ")" if parts else "false"


def event_join(compiler: Compiler, event: EventCondition, at: tuple[str, ...]) -> str:
    """SQL over contact `c` and an event `e` that is `events_near`: e is of the kinds, concerns c, and holds at c's moment (three-valued)."""
    parts = [f"e.kind IN {literal(event.kinds)}", _concerns(compiler, event), holds(compiler.day)]
    if event.to:
        parts.append(f"CASE WHEN e.vendor = c.collector OR (e.vendor IS NULL AND e.alone) THEN true WHEN e.vendor IS NOT NULL AND c.collector <> {literal(UNNAMED)} THEN false END")
    if event.for_dates is not None:
        days = compiler.value(event.for_dates, (*at, "for_dates"), compiler.day)
        parts.append(f"{compiler.day} < e.occurred_on + {days}::INTEGER")
    return " AND ".join(f"({part})" for part in parts)


def holds(day: str) -> str:
    """SQL over contact `c`, whose date is `day`, and event `e`: e has come about before c and has not ended (three-valued).

    Where only a date is known, of the one or of the other, it is told by dates; on that date itself it is not known.
    """
    begun = (
        "CASE WHEN e.occurred_by < c.at_utc THEN true WHEN e.occurred_utc >= c.at_utc THEN false"
        f" WHEN c.at_utc IS NULL AND {day} <> e.occurred_on THEN {day} > e.occurred_on END"
    )
    lasting = (
        "CASE WHEN e.ended_utc IS NULL OR c.at_utc < e.ended_utc THEN true WHEN c.at_utc >= e.ended_by THEN false"
        f" WHEN c.at_utc IS NULL AND {day} <> e.ended_on THEN {day} < e.ended_on END"
    )
    return f"({begun}) AND ({lasting})"


def _concerns(compiler: Compiler, event: EventCondition) -> str:
    """SQL over `c` and `e`: whether the event is of whom it must be (three-valued)."""
    # What concerns the debtor may name who acts for him.
    debtor, own = f"e.relation IN {literal(('self', *ACTING))}", "c.relation IN ('co_borrower', 'guarantor')"
    # The debtor may have an id in each of his cases.
    same = "(e.person_id = c.person_id OR coalesce(e.relation = 'self' AND c.relation = 'self', false))"
    match event.match:
        case "case" | "lender" | "debtor":
            return "true"
        case "consumer":
            return f"e.person_id IS NULL OR {debtor}"
        case "own":
            # Whose an event is that names nobody is not known where two are bound by the debt.
            return (
                f"CASE WHEN e.person_id IS NULL THEN nullif(NOT coalesce({own}, false), false)"
                f" WHEN {same} THEN true WHEN {debtor} THEN NOT {own}"
                " WHEN e.relation IS NOT NULL AND coalesce(c.person_id, c.relation::VARCHAR) IS NOT NULL THEN false END"
            )
        case "person":
            compiler.needs["person_id"] = None
            return same
        case "person_any_case":
            compiler.needs["person_id"] = None
            return f"(e.case_id = c.case_id OR e.person_id IS NOT NULL) AND {same}"


def event_holds(compiler: Compiler, event: EventCondition, at: tuple[str, ...], also: str = "true") -> str:
    """SQL over `c`: true if such an event holds and `also` does, NULL if one may (its hour or whose it is is not known), else false."""
    compiler.open_question = compiler.open_question or _asked(event)
    return three_valued(f"{event_join(compiler, event, at)} AND ({also})", event)


def _asked(event: EventCondition) -> str:
    """SQL over `c`: which fact of its events leaves it open."""
    lacking = [("e.kind IS NULL", EVENT_KIND)]
    if event.match.startswith("person"):
        lacking.insert(0, (f"e.kind IN {literal(event.kinds)} AND e.person_id IS NULL", EVENT_PERSON))
    if event.to:
        lacking.append((f"e.kind IN {literal(event.kinds)} AND e.vendor IS NULL", EVENT_VENDOR))
    whens = " ".join(f"WHEN c.case_id IN (SELECT e.case_id FROM case_events e WHERE {condition}) THEN {literal(field)}" for condition, field in lacking)
    return f"CASE {whens} ELSE {literal(EVENT_TIME)} END"


def three_valued(joined: str, event: EventCondition) -> str:
    """SQL over `c`: true if an event `e` meets `joined`, NULL if one may, else false."""
    return (
        f"(SELECT CASE WHEN bool_or({joined}) THEN true WHEN bool_or(({joined}) IS NULL) THEN NULL ELSE false END"
        f" {events_near(event)})"
    )


def events_near(event: EventCondition) -> str:
    """SQL over contact `c`: FROM and WHERE of the events `e` that may concern it: of the kinds, or of one that could not be read, and of the cases meant."""
    source = "case_events" if _near(event).startswith("e.case_id") else _OF_DEBTORS
    if event.to:
        source = f"(SELECT v.*, coalesce(x.collectors, 1) = 1 AS alone FROM {source} v LEFT JOIN ({_COLLECTORS.format(kinds=literal(event.kinds))}) x ON x.case_there = v.case_id)"
    return f"FROM {source} e WHERE {_near(event)} AND (e.kind IN {literal(event.kinds)} OR e.kind IS NULL)"


def _near(event: EventCondition) -> str:
    """SQL over contact `c` and event `e`: the cases whose events may concern it."""
    if event.match == "lender":
        return "e.debtor_id = c.debtor_id AND e.creditor = c.creditor"
    return "e.debtor_id = c.debtor_id" if event.match in ("debtor", "person_any_case") else "e.case_id = c.case_id"


def _unreachable(compiler: Compiler, rule: Unreachable, at: tuple[str, ...]) -> str:
    """SQL over `c`. Failed attempts to the debtor since the last time he was reached, before this contact.

    Attempts are outbound calls and visits to the debtor, in any of his cases with the lender; he is also reached when he calls or writes.
    """
    compiler.open_question = literal("contract")
    attempts = compiler.value(rule.attempts, (*at, "attempts"), compiler.day)
    reached = literal(rule.reached)
    failed = literal(rule.failed)
    once = literal(rule.at_once) if rule.at_once else "('')"
    unclear = f" OR coalesce({{out}} AND t.outcome IN {literal(rule.unclear)}, false)" if rule.unclear else ""
    alias = f"u{len(compiler.joins)}"
    parts = []
    # What is recorded of somebody else is not the debtor's.
    his_own = "CASE WHEN e.person_id IS NULL OR e.relation = 'self' THEN true WHEN e.relation IS NOT NULL THEN false END"
    if rule.events:
        parts.append(event_holds(compiler, EventCondition(kinds=rule.events, match="debtor"), (*at, "events"), his_own))
    if rule.lost:
        # He was reached after it, or may have been.
        since = f"CASE WHEN e.occurred_utc <= {alias}.reached_at THEN nullif(e.occurred_by > {alias}.reached_at, true) WHEN e.occurred_utc <= {alias}.maybe_at THEN NULL ELSE true END"
        parts.append(event_holds(compiler, EventCondition(kinds=rule.lost, match="lender"), (*at, "lost"), f"({his_own}) AND ({since})"))
    # What is not known counts both ways: an attempt without an outcome may have failed or reached him, a call to an
    # unknown number may have been to him. `least` counts certain failures since he was last possibly reached, `most`
    # possible ones since he was last certainly reached.
    his, maybe_his = "t.party IS NOT DISTINCT FROM 'debtor'", "t.party IS NULL"
    out, wrote = "t.direction IS NOT DISTINCT FROM 'outbound'", written_to_us("t")
    # A line that is dead says that he cannot be reached where it is his mobile, or the only number he has; else it is an attempt that failed.
    dead = "(t.number_kind IS NOT DISTINCT FROM 'mobile' OR coalesce(h.only_one, t.number) IS NOT DISTINCT FROM t.number)"
    reach = f"{his} AND coalesce(t.outcome IN {reached} OR {wrote}, false)"
    rows = (
        f"SELECT t.debtor_id, t.creditor, t.at_utc, t.contact_id, {his} AND {out} AND coalesce(t.outcome IN {failed} OR (t.outcome IN {once} AND NOT ({dead})), false) AS fail,"
        f" {his} AND {out} AND coalesce(t.outcome IN {once}, false) AND {dead} AS once, {reach} AS reach,"
        f" (({his} AND (t.outcome IS NULL OR t.direction IS NULL{unclear.format(out=out)}) AND NOT ({reach})) OR {maybe_his}) AS unsure"
        f" FROM contacts t LEFT JOIN ({_NUMBERS}) h ON h.case_id = t.case_id AND h.person_id = t.person_id AND t.outcome IN {once}"
        # Whoever answered, it was not he.
        f" WHERE t.outcome IS DISTINCT FROM 'other_answered' AND ({his} OR {maybe_his}) AND t.at_utc IS NOT NULL"
        f" AND (t.channel IN {literal(SPOKEN)} OR t.outcome IN {reached} OR ({his} AND {wrote}))"
        # Only debtors who have a contact to be judged are worth counting.
        f" AND t.debtor_id IN (SELECT c.debtor_id FROM contacts c WHERE {compiler.applies} AND ({compiler.scope}) IS NOT FALSE)"
    )
    # What was counted since the last time he was reached is what was counted in all less what was counted by then (that contact is no failure itself):
    # the sums only grow, so their greatest value there is the last. Two sorts by one order are all it takes.
    by_time = "PARTITION BY debtor_id, creditor ORDER BY at_utc, contact_id"
    sums = (
        f"SELECT debtor_id, creditor, at_utc, contact_id, reach, reach OR unsure AS maybe,"
        f" count(CASE WHEN fail OR once THEN 1 END) OVER w AS all_missed, count(CASE WHEN fail OR once OR unsure THEN 1 END) OVER w AS all_perhaps, count(CASE WHEN once THEN 1 END) OVER w AS all_once,"
        f" max(CASE WHEN reach THEN at_utc END) OVER w AS reached_at, max(CASE WHEN reach OR unsure THEN at_utc END) OVER w AS maybe_at FROM ({rows}) WINDOW w AS ({by_time})"
    )
    since = (
        f"SELECT debtor_id, creditor, at_utc, reached_at, maybe_at,"
        f" all_missed - coalesce(max(CASE WHEN maybe THEN all_missed END) OVER w, 0) AS least,"
        f" all_perhaps - coalesce(max(CASE WHEN reach THEN all_perhaps END) OVER w, 0) AS most,"
        f" all_once > coalesce(max(CASE WHEN maybe THEN all_once END) OVER w, 0) AS out_at_once FROM ({sums}) WINDOW w AS ({by_time})"
    )
    # One row per debtor and instant, so that the join below has one answer when two attempts share a second.
    runs = (
        "SELECT debtor_id, creditor, at_utc, min(least) AS least, max(most) AS most, bool_and(out_at_once) AS once, max(reached_at) AS reached_at, max(maybe_at) AS maybe_at"
        f" FROM ({since}) GROUP BY debtor_id, creditor, at_utc"
    )
    compiler.joins.append(f"ASOF LEFT JOIN ({runs}) {alias} ON {alias}.debtor_id = c.debtor_id AND {alias}.creditor = c.creditor AND c.at_utc > {alias}.at_utc")
    parts.append(
        # Of a contact without an hour it is not known what came before it.
        f"(CASE WHEN c.at_utc IS NULL THEN NULL WHEN {alias}.once OR {alias}.least >= {attempts} THEN true"
        f" WHEN {alias}.most >= {rule.unsure_from} THEN NULL ELSE false END)"
    )
    return f"({' OR '.join(parts)})"
