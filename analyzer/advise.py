"""May I contact now? The rules of an audit, asked before the contact instead of after it.

The contact that is asked about is put beside those of the case in an empty store, once for each way in which it may end, and
judged by the same statements. A rule that only looks at what was said, or at what must be on record afterwards, has nothing
to say yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb

from analyzer import runs, store
from analyzer.checks import Prepared
from analyzer.errors import UsageError
from analyzer.intake.columns import WORDS
from analyzer.model import UNNAMED
from analyzer.sql import literal

# Rules of these kinds wait for words, records or a whole month.
LATER_KINDS = frozenset(["wording", "disclosure", "personal_data", "record", "share", "near_miss"])
OUTCOMES = {
    "call": ("conversation", "no_answer", "voicemail"), "ai_call": ("recorded_message", "no_answer"), "voicemail": ("voicemail",),
    "visit": ("met", "not_met"), "letter": ("sent",), "legal": ("sent",),
}  # fmt: skip
WRITTEN = ("delivered",)
CHANNELS = tuple(WORDS["channel"])
_ASKED = "(asked)"
# So far ahead a time is looked for at which a refused contact would not be refused.
DAYS_AHEAD = 60
Answer = Literal["yes", "no", "unknown"]


@dataclass(frozen=True)
class Reason:
    """A rule that speaks against a contact (`no`), or cannot tell (`unknown`, with the missing fields), and how the contact would end."""

    answer: Answer
    rule: str
    missing: str | None
    outcomes: tuple[str, ...]


@dataclass(frozen=True)
class Advice:
    """`no` as soon as one rule forbids it however it ends or may end, else `unknown` as soon as one cannot tell, else `yes`.

    `not_before`: of a refused contact, the first moment from which no rule refuses it any more, as long as nobody is contacted
    meanwhile: the same time on a later day, or an opening hour. None where there is none within `DAYS_AHEAD` days, or nobody asked.
    """

    case_id: str
    person_id: str
    channel: str
    at: datetime
    answer: Answer
    reasons: tuple[Reason, ...]
    not_asked: int
    not_before: datetime | None = None


@dataclass(frozen=True)
class Question:
    """A contact that somebody wants to make. `at` is the wall clock of the person contacted."""

    case_id: str
    channel: str
    at: datetime
    person_id: str | None = None
    call_type: str | None = None
    agent_id: str | None = None


def may_contact(run: Path, rules: Sequence[Prepared], asked: Sequence[Question], when: bool = False) -> list[Advice]:
    """Answers in the order of the questions.

    Args:
        run: the run whose contacts, events and people are known; it is only read.
        rules: the rules in use.
        asked: what is to be done.
        when: whether to look for the time from which a refused contact is not refused any more.

    Raises:
        UsageError: no such case or person, or the debtor's zone is not known.
    """
    runs.connect(run).close()
    with duckdb.connect(":memory:") as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"ATTACH {literal(str(run))} AS past (READ_ONLY)")
        store.create_tables(con)
        return [_advise(con, rules, question, when) for question in asked]


def _advise(con: duckdb.DuckDBPyConnection, rules: Sequence[Prepared], asked: Question, when: bool) -> Advice:
    who = _take_over(con, asked)
    usable = [p for p in rules if not _waits(p)]
    reasons = _reasons(con, usable, asked, who)
    answers = {reason.answer for reason in reasons}
    answer: Answer = "no" if "no" in answers else "unknown" if answers else "yes"
    not_before = _not_before(con, usable, asked, who, reasons) if when and answer == "no" else None
    return Advice(asked.case_id, who.person_id, asked.channel, asked.at, answer, reasons, len(rules) - len(usable), not_before)


def _reasons(con: duckdb.DuckDBPyConnection, rules: Sequence[Prepared], asked: Question, who: _Who) -> tuple[Reason, ...]:
    """What speaks against contacting somebody, over the history that was taken over."""
    found: dict[tuple[str, Answer, str | None], list[str]] = {}
    for outcome in OUTCOMES.get(asked.channel, WRITTEN):
        seq = _place(con, asked, who, outcome)
        for item in rules:
            for role, missing in con.execute(f"SELECT DISTINCT role, missing FROM ({item.compiled.hits}) WHERE seq = ? AND role IN ('breach', 'undetermined')", [seq]).fetchall():
                found.setdefault((item.rule.ref, "no" if role == "breach" else "unknown", missing), []).append(outcome)
        con.execute("DELETE FROM contacts WHERE seq = ?", [seq])
    return tuple(Reason(answer, rule, missing, tuple(ends)) for (rule, answer, missing), ends in sorted(found.items(), key=lambda pair: (pair[0][1], pair[0][0])))


def _not_before(con: duckdb.DuckDBPyConnection, rules: Sequence[Prepared], asked: Question, who: _Who, reasons: Sequence[Reason]) -> datetime | None:
    """See `Advice`. Rules that refused are asked first; where they let a moment pass, so must all the others."""
    against = {reason.rule for reason in reasons if reason.answer == "no"}
    for moment in _later(asked.at, rules):
        later = replace(asked, at=moment)
        refusing = [p for p in rules if p.rule.ref in against]
        if _refused(con, refusing, later, who):
            continue
        refused = _refused(con, rules, later, who)
        if not refused:
            return moment
        against |= refused
    return None


def _refused(con: duckdb.DuckDBPyConnection, rules: Sequence[Prepared], asked: Question, who: _Who) -> set[str]:
    return {reason.rule for reason in _reasons(con, rules, asked, who) if reason.answer == "no"}


def _later(at: datetime, rules: Sequence[Prepared]) -> list[datetime]:
    """Moments after `at`: on each day the same time, and each time at which permitted hours begin by some rule."""
    opening = {at.time()}
    for item in rules:
        written = item.rule.check.get("opens")
        texts = [str(value) for _, value in item.rule.values.get(written[1:], ())] if isinstance(written, str) and written.startswith("$") else [written]
        opening |= {time.fromisoformat(text) for text in texts if isinstance(text, str) and ":" in text}
    days = [at.date() + timedelta(day) for day in range(DAYS_AHEAD + 1)]
    return [moment for day in days for moment in sorted(datetime.combine(day, clock) for clock in opening) if moment > at]


def _waits(item: Prepared) -> bool:
    """Whether a rule can only answer afterwards: it asks for words, for records, or for what must follow."""
    check = item.rule.check
    return item.rule.kind in LATER_KINDS or "text" in check.get("needs", []) or (item.rule.kind == "sequence" and "after" in check)


@dataclass(frozen=True)
class _Who:
    """Who would be contacted: whether he is bound by the debt, since when he knows of it, and the zones he may be in, the likeliest first."""

    person_id: str
    relation: str | None
    obliged: bool
    knows_since: date | None
    zones: tuple[str, ...]


def _take_over(con: duckdb.DuckDBPyConnection, asked: Question) -> _Who:
    """Take over what is known of the debtor, on all of his cases, and of the others who were contacted about them; who is asked about.

    Raises:
        UsageError: there is no such case, or the case has no such person, or nobody knows where he is.
    """
    if not con.execute("SELECT 1 FROM past.cases WHERE case_id = ?", [asked.case_id]).fetchall():
        raise UsageError("usage.no_case", case=asked.case_id)
    mine = "(SELECT case_id FROM past.cases WHERE debtor_id = (SELECT debtor_id FROM past.cases WHERE case_id = $case))"
    for table in ("cases", "persons", "numbers", "instalments", "payments", "promises", "case_events", "arrears", "contacts"):
        con.execute(f"DELETE FROM {table}")
        con.execute(f"INSERT INTO {table} SELECT {', '.join(store.stored_columns(table))} FROM past.{table} WHERE case_id IN {mine}", {"case": asked.case_id})
    for table in ("agents", "trainings", "calendar_days"):
        con.execute(f"DELETE FROM {table}")
        con.execute(f"INSERT INTO {table} SELECT * FROM past.{table}")
    # What has not happened yet at that moment must not be seen; of what has only a date, the clock of its own place has to do.
    who = _person(con, asked)
    moment = _instant(con, who.zones[0], asked.at)
    con.execute("DELETE FROM contacts WHERE CASE WHEN at_utc IS NULL THEN on_date > ? ELSE at_utc > ? END", [asked.at.date(), moment])
    con.execute("DELETE FROM case_events WHERE CASE WHEN occurred_utc IS NULL THEN occurred_on > ? ELSE occurred_utc > ? END", [asked.at.date(), moment])
    return who


def _person(con: duckdb.DuckDBPyConnection, asked: Question) -> _Who:
    """Who is asked about, as the persons say or, of whom they say nothing, his contacts."""
    whom = con.execute(
        "SELECT person_id, relation, obliged, knows_since, zones FROM persons WHERE case_id = $case AND (person_id = $person OR ($person IS NULL AND relation = 'self'))",
        {"case": asked.case_id, "person": asked.person_id},
    ).fetchall()
    # What he is to the debtor, and where he is, contacts tell where all of them say the same.
    seen = con.execute(
        "SELECT person_id, CASE WHEN count(DISTINCT relation) = 1 THEN any_value(relation)::VARCHAR END, bool_or(party = 'obliged') IS TRUE, NULL,"
        " CASE WHEN count(DISTINCT zone) = 1 AND count(other_local_at) = 0 THEN any_value(zone) END"
        " FROM contacts WHERE case_id = $case AND (person_id = $person OR ($person IS NULL AND relation = 'self')) GROUP BY person_id",
        {"case": asked.case_id, "person": asked.person_id},
    ).fetchall()
    if asked.person_id is not None and not whom and not seen:
        raise UsageError("usage.no_person", case=asked.case_id, person=asked.person_id)
    debtor, zones, place = con.execute("SELECT debtor_id, zones, jurisdiction FROM cases WHERE case_id = ?", [asked.case_id]).fetchall()[0]
    person, relation, obliged, knows_since, own = whom[0] if whom else seen[0] if len(seen) == 1 else (f"self:{debtor}", "self", True, None, None)
    logged = next((zone for other, *_, zone in seen if other == person), None)
    known = own or logged or zones or store.SINGLE_ZONE.get(place.split("-")[0])
    if not known:
        raise UsageError("usage.no_zone", case=asked.case_id)
    return _Who(person, relation, bool(obliged), knows_since, tuple(known.split("|")))


def _instant(con: duckdb.DuckDBPyConnection, zone: str, local: datetime) -> datetime:
    """The instant (UTC, without a zone) of a wall clock."""
    found: datetime = con.execute("SELECT timezone('UTC', timezone(?, ?::TIMESTAMP))", [zone, local]).fetchall()[0][0]
    return found


def _place(con: duckdb.DuckDBPyConnection, asked: Question, who: _Who, outcome: str) -> int:
    """Put the contact beside the others; its number."""
    debtor, place, lender, kind = con.execute("SELECT debtor_id, jurisdiction, lender, lender_kind FROM cases WHERE case_id = ?", [asked.case_id]).fetchall()[0]
    party = "debtor" if who.relation == "self" else "obliged" if who.relation in store.OBLIGED or who.obliged else "third_party" if who.relation else None
    knows = True if party in ("debtor", "obliged") else (who.knows_since <= asked.at.date() if who.knows_since else None)
    at_utc = _instant(con, who.zones[0], asked.at)
    # Where contacts of the case name a debt, it is not known which this one would be about.
    several = con.execute("SELECT count(*) FROM contacts WHERE case_id = $case AND debt_id IS DISTINCT FROM $case", {"case": asked.case_id}).fetchall()[0][0]
    other_clocks = [con.execute("SELECT timezone(?, timezone('UTC', ?::TIMESTAMP))", [zone, at_utc]).fetchall()[0][0] for zone in who.zones[1:]] or None
    # Who would call, and on which number, where the question does not say: as the last time.
    before = con.execute("SELECT agent_id FROM contacts WHERE case_id = ? AND agent_id IS NOT NULL ORDER BY at_utc DESC, contact_id DESC LIMIT 1", [asked.case_id]).fetchall()
    agent_id = asked.agent_id or (before[0][0] if before else None)
    numbers = con.execute(
        "SELECT n.number, n.kind FROM numbers n LEFT JOIN contacts c ON c.case_id = n.case_id AND c.number = n.number WHERE n.case_id = ? AND n.person_id = ?"
        " GROUP BY ALL ORDER BY max(c.at_utc) DESC NULLS LAST, n.number LIMIT 1",
        [asked.case_id, who.person_id],
    ).fetchall()
    number, number_kind = numbers[0] if numbers else (None, None)
    agent = con.execute("SELECT team, vendor FROM agents WHERE agent_id = ? AND coalesce(from_on <= ?::DATE, true) ORDER BY from_on DESC NULLS LAST LIMIT 1", [agent_id, asked.at]).fetchall()
    team, vendor = agent[0] if agent else (None, None)
    last = con.execute("SELECT dpd + date_diff('day', on_date, ?::DATE), dpd_source FROM contacts WHERE case_id = ? AND dpd IS NOT NULL ORDER BY at_utc DESC LIMIT 1", [asked.at, asked.case_id]).fetchall()
    due = con.execute(
        "SELECT coalesce((?::DATE - reference_on)::INTEGER, 0), source FROM arrears WHERE case_id = ? AND ?::DATE >= from_on AND ?::DATE < until_on",
        [asked.at, asked.case_id, asked.at, asked.at],
    ).fetchall()
    dpd, source = (due or last or [(None, None)])[0]
    working = con.execute("SELECT working FROM calendar_days WHERE jurisdiction = ? AND on_date = ?::DATE", [place.split("-")[0], asked.at]).fetchall()
    seq = con.execute("SELECT coalesce(max(seq), 0) + 1 FROM contacts").fetchall()[0][0]
    values: dict[str, Any] = {
        "seq": seq, "contact_id": _ASKED, "case_id": asked.case_id, "debtor_id": debtor, "debt_id": None if several else asked.case_id, "person_id": who.person_id, "number": number, "number_kind": number_kind, "agent_id": agent_id,
        "team": team, "vendor": vendor, "collector": vendor or lender or UNNAMED, "lender": lender, "lender_kind": kind, "jurisdiction": place,
        "channel": asked.channel, "direction": "outbound", "at_utc": at_utc, "zone": who.zones[0], "local_at": asked.at, "other_local_at": other_clocks, "on_date": asked.at.date(),
        "weekday": asked.at.isoweekday(), "working_day": working[0][0] if working else None, "outcome": outcome, "call_type": asked.call_type, "relation": who.relation,
        "party": party, "knows": knows, "dpd": dpd, "dpd_source": source, "account_class": store.class_of(dpd), "stage": store.stage_of(dpd),
        "batch_id": 0, "row_no": 0,
    }  # fmt: skip
    con.execute(f"INSERT INTO contacts ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", list(values.values()))
    return int(seq)
