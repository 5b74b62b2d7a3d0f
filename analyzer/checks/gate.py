"""Kind `gate`: a contact that is not allowed yet, no longer, or only under a condition.

Exactly one thing closes the gate:

* `after_event`: an event of the case (a refusal, a dispute) that came before the contact;
* `after_contact`: an earlier contact of the same keys (a conversation) within so many calendar dates, its own date being
  the first;
* neither: every contact in scope is closed out unless something opens it.

`allowed_if` (facts of the contact) or `unless` (an event, the debtor out of reach) opens it again.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from analyzer.checks.base import NEVER_NULL, Compiled, Compiler, Figure, Key, Params, Scope, either, guests, keys_of, row
from analyzer.checks.conditions import EVENT_KIND, EVENT_PERSON, EVENT_TIME, EventCondition, Unless, event_join, events_near, lifted
from analyzer.model import Rule
from analyzer.sql import literal


class AfterContact(Params):
    """An earlier contact that closes the gate for `for_dates` dates, per `per`."""

    where: Scope
    per: list[Key] = Field(min_length=1)
    for_dates: Figure


class Gate(Params):
    """See the module's docstring. `reopened_by`: an event that lifts what `after_event` closed if it came after it."""

    kind: Literal["gate"]
    scope: Scope
    after_event: EventCondition | None = None
    after_contact: AfterContact | None = None
    reopened_by: EventCondition | None = None
    allowed_if: Scope | None = None
    unless: Unless | None = None
    clock: str | None = None

    @model_validator(mode="after")
    def _something(self) -> Gate:
        if self.after_event and self.after_contact:
            raise ValueError("give after_event or after_contact, not both")
        if self.reopened_by and not self.after_event:
            raise ValueError("reopened_by goes with after_event")
        if not (self.after_event or self.after_contact or self.allowed_if or self.unless):
            raise ValueError("a gate needs after_event, after_contact, allowed_if or unless")
        return self


def compile_gate(rule: Rule, params: Gate) -> Compiled:
    """See `Gate`. Needs: started_at, what scope and conditions ask."""
    compiler = Compiler(rule, params.scope, params.clock)
    opened = []
    if params.allowed_if:
        opened.append(compiler.condition(params.allowed_if, ("check", "allowed_if")))
    if params.unless:
        opened.append(lifted(compiler, params.unless, ("check", "unless")))
    closed = f"NOT ({' OR '.join(opened)})" if opened else "true"
    if params.after_contact:
        return _after_contact(compiler, params.after_contact, closed)
    if params.after_event:
        return _after_event(compiler, params.after_event, closed, params.reopened_by)
    return _plain(compiler, closed)


def _plain(compiler: Compiler, closed: str) -> Compiled:
    missing = compiler.missing([*compiler.needs, "at_utc"])
    base = compiler.base(
        "c.case_id", "coalesce(c.person_id, c.number, '') AS whom", f"CASE WHEN {compiler.day} IS NOT NULL THEN {closed} END AS shut",
        "coalesce(c.account_class, '-') || ' ' || coalesce(c.dpd::VARCHAR, '?') AS state",
        f"{missing} AS missing",
    )  # fmt: skip
    return Compiled(*compiler.standing(), _decided(base, "concat_ws(chr(124), s.case_id, s.whom, s.day)", "s.state"))


def _decided(base: str, episode: str, measured: str) -> str:
    """Hits from base rows with a three-valued `shut`: true breaches, NULL is undetermined."""
    breach = "s.sure AND s.shut IS TRUE"
    return (
        f"SELECT {row(f'CASE WHEN {breach} THEN {episode} END', role=either(breach), measured=measured, missing='s.missing')}"
        f" FROM ({base}) s WHERE s.shut IS NOT FALSE"
    )


def _after_event(compiler: Compiler, event: EventCondition, closed: str, reopened_by: EventCondition | None) -> Compiled:
    joined = event_join(compiler, event, ("check", "after_event"))
    missing = compiler.missing([*compiler.needs, "at_utc"])
    found = (
        f"(SELECT {{'yes': min(CASE WHEN {joined} THEN e.occurred_utc::VARCHAR || ' ' || e.event_id END),"
        f" 'maybe': bool_or(({joined}) IS NULL),"
        f" 'unread': bool_or(({joined}) IS NULL AND e.kind IS NULL),"
        f" 'timeless': bool_or(({joined}) IS NULL AND (e.occurred_utc IS NULL OR e.occurred_by <> e.occurred_utc OR e.ended_by <> e.ended_utc)),"
        f" {_latest(joined)},"
        f" 'kind': min(CASE WHEN {joined} THEN e.kind || ' ' || e.occurred_on::VARCHAR END)}}"
        f" {events_near(event)})"
    )
    columns = ["c.case_id", "coalesce(c.person_id, c.number, '') AS whom", f"{found} AS e", f"({closed}) AS shut_else", f"{missing} AS missing"]
    shut = "shut_else"
    if reopened_by:
        lifts = event_join(compiler, reopened_by, ("check", "reopened_by"))
        columns.append(f"(SELECT {{{_latest(lifts)}}} {events_near(reopened_by)}) AS r")
        # Which of the two came last; within one date it is not known.
        shut = "(shut_else AND CASE WHEN r.first >= e.last THEN false WHEN r.last IS NULL OR r.last < e.first THEN true END)"
    # The event decides first; whether something lifts it matters only where it holds, or may hold.
    base = (
        f"SELECT *, CASE WHEN e.yes IS NOT NULL THEN {shut} WHEN coalesce(e.maybe, false) AND {shut} IS NOT FALSE THEN NULL ELSE false END AS shut"
        f" FROM ({compiler.base(*columns)})"
    )
    episode = "concat_ws(chr(124), s.case_id, s.whom, s.e.kind)" if event.match.startswith("person") else "concat_ws(chr(124), s.case_id, s.e.kind)"
    breach = "s.sure AND s.shut IS TRUE"
    missing_or = f"coalesce(s.missing, CASE WHEN s.e.unread THEN {literal(EVENT_KIND)} WHEN s.e.timeless THEN {literal(EVENT_TIME)} ELSE {literal(EVENT_PERSON)} END)"
    hits = (
        f"SELECT {row(f'CASE WHEN {breach} THEN {episode} END', role=either(breach), measured='s.e.kind', missing=missing_or)}"
        f" FROM ({base}) s WHERE s.shut IS NOT FALSE"
    )
    return Compiled(*compiler.standing(), hits)


def _latest(joined: str) -> str:
    """SQL, two fields of a struct over events `e`: between which instants the latest that meets `joined` came about."""
    return f"'first': max(CASE WHEN {joined} THEN e.occurred_utc END), 'last': max(CASE WHEN ({joined}) IS NOT FALSE THEN coalesce(e.occurred_by, TIMESTAMP 'infinity') END)"


def _of_cause(sql: str) -> str:
    """SQL over contact `c`, said of the cause `t`."""
    return sql.replace("c.", "t.")


def _after_contact(compiler: Compiler, after: AfterContact, closed: str) -> Compiled:
    keys = keys_of(after.per)
    cause = compiler.condition(after.where, ("check", "after_contact", "where"), alias="t")
    days = compiler.value(after.for_dates, ("check", "after_contact", "for_dates"))
    standing = compiler.standing()
    needed = [*compiler.needs, *(k for k in keys if k not in NEVER_NULL), "at_utc"]
    key_list = ", ".join(keys)
    keyed = " AND ".join(f"{k} IS NOT NULL" for k in keys)
    known = f"{keyed} AND day IS NOT NULL"
    base = compiler.base(*(f"c.{k}" for k in dict.fromkeys(["case_id", "relation", *keys])), f"({closed}) AS shut_else", f"{compiler.fields(needed)} AS missing", f"({compiler.first_day}) AS first_day", f"({compiler.last_day}) AS last_day", f"{compiler.open_question or 'NULL'} AS asked", in_force=False)
    day, applies = _of_cause(compiler.day), _of_cause(compiler.applies)
    causes = (
        f"SELECT t.seq, t.contact_id, t.at_utc, {day} AS day, {_of_cause(compiler.first_day)} AS first_day, {_of_cause(compiler.last_day)} AS last_day, NULL::VARCHAR AS missing, {', '.join(f't.{k}' for k in dict.fromkeys(['case_id', 'relation', *keys]))}, ({cause}) AS happened"
        f" FROM contacts t WHERE {applies} AND ({cause}) IS NOT FALSE"
    )
    together = (
        f"SELECT seq, contact_id, at_utc, day, first_day, last_day, {key_list}, sure, shut_else, missing, asked, NULL::BOOLEAN AS happened, 1 AS kind, coalesce(at_utc, TIMESTAMP '-infinity') AS place, false AS guest FROM base WHERE {known}"
        # A contact that names no collector may be of any that had a cause.
        f" UNION ALL SELECT g.seq, g.contact_id, g.at_utc, g.day, b.first_day, b.last_day, {', '.join(f'g.{k}' for k in keys)}, b.sure, b.shut_else, g.missing, b.asked, NULL, 1, coalesce(g.at_utc, TIMESTAMP '-infinity'), true"
        f" FROM ({guests(keys, 'FROM base', 'FROM dated', known)}) g JOIN base b ON b.seq = g.seq WHERE NOT g.lost"
        f" UNION ALL SELECT seq, contact_id, at_utc, day, first_day, last_day, {key_list}, NULL, NULL, NULL, NULL, happened, 0, at_utc, false FROM dated WHERE at_utc IS NOT NULL"
        # One whose hour is not known came about at the end of its date at the latest, and may have come about before all else on it.
        f" UNION ALL SELECT seq, contact_id, at_utc, day, first_day, last_day, {key_list}, NULL, NULL, NULL, NULL, happened, 0, TIMESTAMP 'infinity', false FROM dated WHERE at_utc IS NULL"
        f" UNION ALL SELECT seq, contact_id, at_utc, day, first_day, last_day, {key_list}, NULL, NULL, NULL, NULL, NULL, 0, TIMESTAMP '-infinity', false FROM dated WHERE at_utc IS NULL"
        # A cause that does not name the whole key may be one of this key.
        f" UNION ALL SELECT seq, contact_id, at_utc, day, day, day, {key_list}, NULL, NULL, NULL, NULL, NULL, 0, coalesce(at_utc, TIMESTAMP '-infinity'), false FROM ({guests(keys, 'FROM dated', 'FROM base', known)})"
    )
    # A contact is its own cause only for later ones: as a row to be judged (kind 1) it sorts before itself as a cause (0).
    earlier = f"PARTITION BY {key_list} ORDER BY day, place, contact_id, kind DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    looked = (
        f"SELECT *, last_value(CASE WHEN happened THEN seq END IGNORE NULLS) OVER w AS cause_seq,"
        f" last_value(CASE WHEN happened THEN day END IGNORE NULLS) OVER w AS cause_day,"
        f" last_value(CASE WHEN happened THEN first_day END IGNORE NULLS) OVER w AS cause_first,"
        f" last_value(CASE WHEN kind = 0 THEN last_day END IGNORE NULLS) OVER w AS possible_day, last_value(CASE WHEN kind = 0 THEN first_day <> last_day END IGNORE NULLS) OVER w AS apart,"
        # Of a contact whose hour is not known all others of its date may come first.
        f" at_utc IS NULL AND count(DISTINCT CASE WHEN kind = 0 THEN seq END) OVER (PARTITION BY {key_list}, day)"
        f" > count(DISTINCT CASE WHEN kind = 0 THEN seq END) OVER (PARTITION BY {key_list}, day, seq) AS same_date"
        f" FROM ({together}) WINDOW w AS ({earlier})"
    )
    # A cause without any date may be before every contact of its key.
    timeless = f"SELECT {', '.join(f'{k} AS other_{k}' for k in keys)}, min(seq) AS first_seq, max(seq) AS last_seq FROM causes WHERE day IS NULL AND {keyed} GROUP BY ALL"
    looked = (
        f"SELECT l.*, (x.first_seq <> l.seq OR x.last_seq <> l.seq) IS TRUE AS sometime FROM ({looked}) l"
        f" LEFT JOIN ({timeless}) x ON {' AND '.join(f'x.other_{k} = l.{k}' for k in keys)} WHERE l.kind = 1"
    )
    # Within it in every zone that may be the person's, or in one.
    within = f"(s.cause_day IS NOT NULL AND s.last_day < s.cause_first + {days}::INTEGER)"
    maybe = f"(s.same_date OR s.sometime OR (s.possible_day IS NOT NULL AND s.first_day < s.possible_day + {days}::INTEGER))"
    force = compiler.in_force("s.day")
    judged = (
        f"SELECT *, CASE WHEN {within} AND NOT s.guest THEN s.shut_else WHEN ({within} OR {maybe}) AND s.shut_else IS NOT FALSE THEN NULL ELSE false END AS shut"
        f" FROM ({looked}) s WHERE {force}"
    )
    # Where the cause is certain, what may lift it is the question; else whether, or when, there was a cause.
    lacks = f"coalesce(s.missing, CASE WHEN {within} THEN coalesce(s.asked, 'outcome') WHEN s.sometime THEN 'started_at' WHEN s.apart OR s.first_day <> s.last_day THEN 'zone' ELSE 'outcome' END)"
    open_ = (
        f"SELECT seq, {lacks} AS missing FROM judged s WHERE NOT (s.sure AND s.shut IS TRUE) AND s.shut IS NOT FALSE"
        f" UNION ALL SELECT seq, missing FROM base s WHERE NOT ({known}) AND (s.day IS NULL OR {force})"
    )
    episode = f"concat_ws(chr(124), {', '.join(f's.{k}' for k in keys)}, s.cause_day)"
    hits = (
        f"WITH base AS ({base}), causes AS ({causes}), dated AS (SELECT * FROM causes WHERE day IS NOT NULL), judged AS ({judged}), shut AS (SELECT * FROM judged WHERE sure AND shut)"
        f" SELECT {row(episode, measured='s.cause_day', permitted=f'(s.cause_day + {days}::INTEGER)')} FROM shut s"
        f" UNION ALL SELECT DISTINCT {row(episode, seq='s.cause_seq', role=literal('cause'), measured='s.cause_day', permitted=f'(s.cause_day + {days}::INTEGER)')} FROM shut s"
        f" UNION ALL SELECT {row('concat_ws(chr(124), s.seq)', role=literal('undetermined'), missing='s.missing')}"
        f" FROM (SELECT seq, min(missing) AS missing FROM ({open_}) GROUP BY seq) s WHERE s.seq NOT IN (SELECT seq FROM shut)"
    )
    return Compiled(*standing, hits)
