"""What the portfolio does beside what the collectors do: delinquency rates, effort against repayment, the share of effort on M1.

Like `summary`: plain rows from a published run. Amounts are in the loan's own currency, which the data do not name, so what
belongs to different jurisdictions is never added up: every row of money says its `jurisdiction` (country).

The portfolio is what the log holds, not the lender's whole book: where only overdue accounts were exported, the rates are
shares of these.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal

import duckdb
from pydantic import Field

from analyzer.errors import RuleErrors, RuleProblem
from analyzer.model import Text2
from analyzer.rules import Day, rules_folder, validated
from analyzer.sql import literal
from analyzer.store import CLASSES, LAST_CLASS
from analyzer.summary import BREACHING, Row, interval, rows
from analyzer.yamlfile import Both, Known, Strict

FIGURES = ("C-M1%($)", "M1%($)", "M2%(#)", "M2%($)")
INFLOW = "inflow"
SCOPES = ("vendor", "lender")
EFFORT = ("vendor", "team", "class", "channel", "week")
FOLLOW_DAYS = 7
FILE = "portfolio.yaml"
# How a contact ended, for whether somebody was reached; any other word, `sent` among them, leaves it unknown.
REACHED = ("conversation", "answered_dropped", "recorded_message", "delivered", "met")
NOT_REACHED = ("no_answer", "voicemail", "busy", "switched_off", "invalid", "failed", "not_met")
_TIMED = ("call", "ai_call", "visit")
# What a rate needs to be known of every account, and the table or column that would say it.
_NEEDS = ("instalments", "payments", "principal")


class _MeasuresFile(Strict):
    title: Both
    source: Both
    known: Known
    consulted: Day
    due_days: Annotated[list[Annotated[int, Field(ge=1, le=28)]], Field(min_length=1)]
    effort_class: Literal["C", "M1", "M2", "M3", "M3+"]
    effort_target: Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Measures:
    """What the handbook fixes: `due_days` of a month, the class most effort belongs to, the share of it; and which handbook."""

    source: Text2
    known: str
    due_days: tuple[int, ...]
    effort_class: str
    effort_target: float


def measures(folder: Path | None = None) -> Measures:
    """The measures of a rules folder, or the program's own where it has none.

    Raises:
        RuleErrors: the file cannot be used; with every problem in it.
    """
    path = (folder or rules_folder()) / FILE
    problems: list[RuleProblem] = []
    raw = validated(path if path.is_file() else rules_folder() / FILE, _MeasuresFile, problems)
    if raw is None:
        raise RuleErrors(problems)
    return Measures(raw.source.plain(), raw.known, tuple(sorted(set(raw.due_days))), raw.effort_class, raw.effort_target)


# Rates of the portfolio
def span(con: duckdb.DuckDBPyConnection) -> Row:
    """`first` and `last` day of the contacts, `last_payment`, `through`: the later of the last two; all None without one. `payments`: whether the run has any file of payments."""
    return rows(
        con,
        """
        SELECT c.*, p.*, greatest(c.last, p.last_payment) AS through, EXISTS (SELECT 1 FROM batches WHERE table_name = 'payments') AS payments
        FROM (SELECT min(on_date) AS first, max(on_date) AS last FROM contacts) c CROSS JOIN (SELECT max(paid_on) AS last_payment FROM payments) p
        """,
    )[0]


def rates(con: duckdb.DuckDBPyConnection, by: str | None = None, used: Measures | None = None) -> list[Row]:
    """The handbook's four delinquency rates per month of the contacts, and the breach rate of the same month beside them.

    The formulas are those of the handbook named in `Measures.source` (门店的逾期管理指标, 1 to 4):

    - C-M1%($): the mean, over the fixed due dates of a month (the 1st and the 16th), of the principal left of what flows into M1
      on that date / all principal left on the same date of the month before.
    - M1%($): principal left of all M1 on the last day of the month / all principal left on the same day of the month before.
    - M2%(#): accounts in M2 on the last day of the month / all accounts on the same day of the month before.
    - M2%($): principal left of all M2 on the last day of the month / all principal left on the same day of the month before.

    What the handbook leaves open is read as usual in the trade:

    - The same day of the month before a month's last day is that month's last day. A month whose last day lies beyond the data is
      measured on their last day and says so (`complete` is False).
    - "All" are all accounts of the log that are open: lent by that day, neither closed nor with every instalment settled. An account
      without a date of opening is open since the first sign of it (first contact, first payment, a month before its first due date).
    - An account flows into M1 on a due date where its instalment of that date is unpaid at the end of the day and nothing was overdue
      before. A due date on which nothing falls due has no rate, and a month's C-M1%($) is the mean of the due dates that have one;
      `complete` is False where that is not all of them.
    - Data do not split instalments into principal and interest: principal left = amount lent x (1 - paid / all instalments); a loan
      with a single due date and no instalments owes the amount lent then. Where the amount lent is missing, it is worked back from the
      balance stated, taken as that after the last payment of the data.
    - An account belongs to the vendor of its last outbound contact up to the day measured, or to nobody yet (`assigned` is False);
      to that vendor both its numerator and its denominator count, so that vendors add up to the whole.

    Args:
        con: a run.
        by: one of `SCOPES`, or None for the whole.
        used: the handbook's measures; the program's own by default.

    Returns:
        Rows by jurisdiction, value, month, date: `jurisdiction`; `value` and `assigned` (of `by`); `month` (its first day); `figure` (of
        `FIGURES`, or `inflow`: one due date of C-M1%($)); `on_date`, `base_on` (days of numerator and denominator); `numerator`,
        `denominator` (money to the cent, or accounts); `rate` (None where it cannot be told); `in_class` and `accounts` (accounts counted in numerator and denominator);
        `unknown` (accounts left out for want of a fact) and `missing` (which: instalments, payments, principal, joined by |);
        all of these are for C-M1%($) the sums over its due dates, and its rate the mean of theirs; `complete`; `contacts`, `breaching_contacts`, `breach_rate` (outbound contacts of the month; near misses are no breaches).

    Raises:
        KeyError: there is no such scope.
    """
    if by is not None and by not in SCOPES:
        raise KeyError(by)
    when = span(con)
    if when["first"] is None:
        return []
    points = _points(when["first"], when["last"], when["through"], used or measures())
    found = rows(con, _rates_sql(by, points), {"payments": when["payments"]})
    beside = {(r["jurisdiction"], r["value"], r["month"]): r for r in _breaches(con, by)}
    for row in found:
        row["missing"] = "|".join(need for need in _NEEDS if row.pop(f"no_{need}"))
        told = row.pop("told")
        row["rate"] = float(row["numerator"] / row["denominator"]) if row["denominator"] and told else None
    found = sorted([*(r for r in found if r["figure"] != INFLOW or r["complete"]), *_means(found)], key=_order)
    for row in found:
        near = beside.get((row["jurisdiction"], row["value"], row["month"])) if row["assigned"] else None
        row["contacts"], row["breaching_contacts"] = (near["contacts"], near["breaching_contacts"]) if near else (0, 0)
        row["breach_rate"] = row["breaching_contacts"] / row["contacts"] if row["contacts"] else None
    return found


@dataclass(frozen=True)
class _Point:
    """One figure to measure: on which day, against which, and whether that day is the one the handbook means."""

    figure: str
    month: date
    on_date: date
    base_on: date
    complete: bool


def _last_of(month: date) -> date:
    return month.replace(day=calendar.monthrange(month.year, month.month)[1])


def _month_before(day: date, last: bool) -> date:
    before = _last_of(day.replace(day=1) - timedelta(days=1))
    return before if last else before.replace(day=min(day.day, before.day))


def _points(first: date, last: date, through: date, used: Measures) -> list[_Point]:
    found, month = [], first.replace(day=1)
    while month <= last:
        end = _last_of(month)
        on, whole = min(end, through), end <= through
        found += [_Point(figure, month, on, _month_before(on, whole), whole) for figure in FIGURES[1:]]
        dues = [month.replace(day=day) for day in used.due_days]
        # Whether a due date was kept is known when that day is over.
        found += [_Point(INFLOW, month, due, _month_before(due, False), True) for due in dues if due < through]
        found += [_Point(INFLOW, month, due, _month_before(due, False), False) for due in dues if due >= through]
        month = end + timedelta(days=1)
    return found


def _rates_sql(by: str | None, points: list[_Point]) -> str:
    dated = ", ".join(literal((p.figure, p.month, p.on_date, p.base_on, p.complete)) for p in points)
    days = ", ".join(f"({literal(day)})" for day in sorted({d for p in points for d in (p.on_date, p.base_on)}))
    classes = " ".join(f"WHEN dpd <= {limit} THEN {literal(name)}" for limit, name in CLASSES)
    money = f"figure <> {literal(FIGURES[2])}"
    value, assigned, join = "NULL::VARCHAR", "true", ""
    if by == "lender":
        value = "n.lender"
    elif by == "vendor":
        value, assigned = "v.vendor", "v.case_id IS NOT NULL"
        join = "ASOF LEFT JOIN touched v ON v.case_id = n.case_id AND p.on_date >= v.on_date"
    return f"""
        WITH points(figure, month, on_date, base_on, complete) AS (VALUES {dated}), days(day) AS (VALUES {days}),
        due AS (SELECT case_id, sum(amount) AS total, min(due_on) AS first_due FROM instalments GROUP BY case_id),
        paid AS (SELECT case_id, paid_on, sum(sum(amount)) OVER (PARTITION BY case_id ORDER BY paid_on) AS paid FROM payments GROUP BY case_id, paid_on),
        all_paid AS (SELECT case_id, sum(amount) AS paid, min(paid_on) AS first_paid FROM payments GROUP BY case_id),
        seen AS (SELECT case_id, min(on_date) AS first_seen FROM contacts GROUP BY case_id),
        touched AS (SELECT case_id, on_date, arg_max({{'name': vendor}}, (coalesce(at_utc, on_date::TIMESTAMP), contact_id)).name AS vendor
                    FROM contacts WHERE direction IS DISTINCT FROM 'inbound' AND on_date IS NOT NULL GROUP BY case_id, on_date),
        accounts AS (
            SELECT c.case_id, c.lender, split_part(c.jurisdiction, '-', 1) AS jurisdiction, c.closed_on, due.total IS NULL AND c.due_on IS NULL AS unscheduled,
                   coalesce(c.opened_on, least(due.first_due - INTERVAL 1 MONTH, first_paid, first_seen)::DATE, DATE '1900-01-01') AS since,
                   coalesce(c.principal, CASE WHEN due.total IS NOT NULL THEN c.balance * due.total / nullif(due.total - coalesce(all_paid.paid, 0), 0) ELSE c.balance + coalesce(all_paid.paid, 0) END) AS lent,
                   CASE WHEN due.total IS NOT NULL THEN due.total WHEN c.due_on IS NOT NULL THEN lent END AS owed
            FROM cases c LEFT JOIN due USING (case_id) LEFT JOIN all_paid USING (case_id) LEFT JOIN seen USING (case_id)
        ),
        placed AS (
            SELECT x.*, d.day, a.case_id IS NOT NULL AND (a.source <> 'schedule' OR $payments) AS classed, a.overdue, a.reference_on,
                   CASE WHEN classed THEN coalesce(d.day - a.reference_on, 0) END AS dpd
            FROM accounts x CROSS JOIN days d ASOF LEFT JOIN arrears a ON a.case_id = x.case_id AND d.day >= a.from_on
            WHERE x.since <= d.day AND (x.closed_on IS NULL OR x.closed_on > d.day)
        ),
        state AS (
            SELECT s.*, CASE WHEN dpd IS NULL THEN NULL {classes} ELSE {literal(LAST_CLASS)} END AS class,
                   CASE WHEN $payments AND owed > 0 THEN (lent * greatest(0, 1 - coalesce(p.paid, 0) / owed))::DECIMAL(18, 2) END AS remaining,
                   EXISTS (SELECT 1 FROM arrears a WHERE a.case_id = s.case_id AND a.overdue AND a.reference_on = s.day AND a.from_on = s.day + 1) AS flows,
                   EXISTS (SELECT 1 FROM instalments i WHERE i.case_id = s.case_id AND i.due_on = s.day) OR (s.reference_on = s.day AND NOT s.overdue) AS falls_due
            FROM placed s ASOF LEFT JOIN paid p ON p.case_id = s.case_id AND s.day >= p.paid_on
            WHERE NOT classed OR overdue OR reference_on IS NOT NULL
        ),
        told AS (
            SELECT p.*, n.jurisdiction, n.unscheduled, n.lent IS NULL AS unlent, {value} AS value, {assigned} AS assigned,
                   CASE WHEN s.case_id IS NULL THEN false WHEN NOT s.classed THEN NULL WHEN figure = {literal(INFLOW)} THEN s.flows ELSE s.class = left(figure, 2) END AS hit,
                   s.remaining, b.case_id IS NOT NULL AS in_base, b.remaining AS base_remaining, coalesce(s.falls_due AND s.classed, false) AS due, s.case_id IS NOT NULL AS open
            FROM points p CROSS JOIN accounts n LEFT JOIN state s ON s.case_id = n.case_id AND s.day = p.on_date
            LEFT JOIN state b ON b.case_id = n.case_id AND b.day = p.base_on {join}
            WHERE s.case_id IS NOT NULL OR b.case_id IS NOT NULL
        ),
        judged AS (
            SELECT *, ({money} AND in_base AND base_remaining IS NULL) OR hit IS NULL OR (hit AND {money} AND remaining IS NULL) AS gap FROM told
        )
        SELECT figure, month, on_date, base_on, complete, jurisdiction, value, assigned,
               CASE WHEN {money} THEN coalesce(sum(remaining) FILTER (WHERE hit), 0) ELSE count(*) FILTER (WHERE hit) END::DECIMAL(18, 2) AS numerator,
               CASE WHEN {money} THEN coalesce(sum(base_remaining), 0) ELSE count(*) FILTER (WHERE in_base) END::DECIMAL(18, 2) AS denominator,
               count(*) FILTER (WHERE hit AND (remaining IS NOT NULL OR NOT {money})) AS in_class,
               count(*) FILTER (WHERE in_base AND (base_remaining IS NOT NULL OR NOT {money})) AS accounts, count(*) FILTER (WHERE gap) AS unknown,
               bool_or(gap AND unscheduled) AS no_instalments, bool_or(gap AND NOT $payments) AS no_payments, bool_or(gap AND unlent AND {money}) AS no_principal,
               figure <> {literal(INFLOW)} OR (complete AND bool_or(due)) AS told
        FROM judged GROUP BY figure, month, on_date, base_on, complete, jurisdiction, value, assigned
    """


def _means(found: list[Row]) -> list[Row]:
    """C-M1%($) of each month from its due dates."""
    months: dict[tuple[object, ...], list[Row]] = {}
    for row in found:
        if row["figure"] == INFLOW:
            months.setdefault((row["jurisdiction"], row["value"], row["assigned"], row["month"]), []).append(row)
    means = []
    for dues in months.values():
        told = [r for r in dues if r["rate"] is not None]
        means.append({
            **dues[0], "figure": FIGURES[0], "on_date": max(r["on_date"] for r in told or dues), "base_on": max(r["base_on"] for r in told or dues),
            **{name: sum(r[name] for r in dues if r["complete"]) for name in ("numerator", "denominator", "in_class", "accounts", "unknown")},
            "missing": "|".join(n for n in _NEEDS if any(n in r["missing"].split("|") for r in dues)),
            "rate": sum(r["rate"] for r in told) / len(told) if told else None, "complete": len(told) == len(dues),
        })  # fmt: skip
    return means


def _order(row: Row) -> tuple[object, ...]:
    return row["jurisdiction"], not row["assigned"], row["value"] is not None, row["value"] or "", row["month"], (*FIGURES, INFLOW).index(row["figure"]), row["on_date"]


def _breaches(con: duckdb.DuckDBPyConnection, by: str | None) -> list[Row]:
    value = by or "NULL::VARCHAR"
    return rows(
        con,
        f"""
        SELECT split_part(c.jurisdiction, '-', 1) AS jurisdiction, {value} AS value, date_trunc('month', c.on_date)::DATE AS month, count(*) AS contacts, count(bad.seq) AS breaching_contacts
        FROM contacts c LEFT JOIN ({BREACHING}) bad ON bad.seq = c.seq
        WHERE c.direction IS DISTINCT FROM 'inbound' AND c.on_date IS NOT NULL GROUP BY ALL
        """,
    )


# Effort against repayment
def _worked() -> str:
    """CTEs `worked`: outbound contacts with a date, whether somebody was `reached`, and the payments credited to each; `money`: payments with the contact they follow.

    A payment follows the case's last outbound contact before it, where that was at most `FOLLOW_DAYS` days earlier. One without a
    time of day counts as made at the end of its day, a contact without one as made at its beginning.
    """
    return f"""
        WITH outbound AS (
            SELECT *, coalesce(at_utc, on_date::TIMESTAMP) AS moment, split_part(jurisdiction, '-', 1) AS country, date_trunc('week', on_date)::DATE AS week,
                   CASE WHEN outcome IN {literal(REACHED)} THEN true WHEN outcome IN {literal(NOT_REACHED)} THEN false END AS reached
            FROM contacts WHERE direction IS DISTINCT FROM 'inbound' AND on_date IS NOT NULL
        ),
        paid AS (
            SELECT p.*, CASE WHEN timezone(coalesce(b.zone, 'UTC'), timezone('UTC', p.paid_utc))::TIME = TIME '00:00' THEN p.paid_utc + INTERVAL 1 DAY ELSE p.paid_utc END AS moment
            FROM payments p LEFT JOIN batches b USING (batch_id) WHERE p.paid_on >= (SELECT min(on_date) - 1 FROM contacts)
        ),
        last_at AS (SELECT case_id, moment, arg_max(seq, contact_id) AS seq FROM outbound WHERE case_id IN (SELECT case_id FROM paid) GROUP BY case_id, moment),
        money AS (
            SELECT p.case_id, p.amount, p.paid_on, CASE WHEN p.moment - l.moment <= INTERVAL {FOLLOW_DAYS} DAY THEN l.seq END AS seq
            FROM paid p ASOF LEFT JOIN last_at l ON l.case_id = p.case_id AND p.moment >= l.moment
        ),
        credited AS (SELECT seq, sum(amount) AS amount FROM money WHERE seq IS NOT NULL GROUP BY seq),
        worked AS (SELECT o.*, credited.amount FROM outbound o LEFT JOIN credited ON credited.seq = o.seq)
    """


_COUNTS = """count(*) AS contacts, count(*) FILTER (WHERE reached) AS reached, count(*) FILTER (WHERE NOT reached) AS not_reached,
    count(*) FILTER (WHERE reached IS NULL) AS unknown"""


def effort(con: duckdb.DuckDBPyConnection, by: str, channels: bool = False) -> list[Row]:
    """Outbound contacts against what was repaid in the seven days after them, by one of `EFFORT`.

    A payment is credited once: to the case's last outbound contact before it, where that was no more than seven days earlier. So
    amounts add up over any dimension, and with those of `effort_totals` that follow no contact to all that was paid in the period.
    It shows what came after, not what came of it.

    Args:
        con: a run.
        by: vendor, team, class (all on the contact's own date), channel or week.
        channels: split each value by channel as well.

    Returns:
        Rows by jurisdiction and value: `jurisdiction`, `value`, `channel` (None unless split), `contacts`, of which somebody was
        `reached` (conversation, answered and dropped, recorded message, delivered, met), `not_reached`, or it is `unknown` (no outcome,
        or only sent); `case_weeks` (a case in a week from Monday) and `per_case_week` (contacts per case and week); `repaid` (None where the
        run has no payments at all), `paying` (case-weeks that a payment followed), `rate` (paying / case_weeks), `per_contact` (repaid / contacts).

    Raises:
        KeyError: there is no such dimension.
    """
    column = {"vendor": "vendor", "team": "team", "class": "account_class::VARCHAR", "channel": "channel::VARCHAR", "week": "week"}[by]
    found = rows(
        con,
        f"""
        {_worked()},
        by_week AS (
            SELECT country, {column} AS value, {"channel::VARCHAR" if channels else "NULL::VARCHAR"} AS channel, case_id, week AS monday, {_COUNTS}, sum(amount) AS amount
            FROM worked GROUP BY country, value, {"worked.channel" if channels else "NULL"}, case_id, week
        )
        SELECT country AS jurisdiction, value, channel, {", ".join(f"sum({n})::BIGINT AS {n}" for n in ("contacts", "reached", "not_reached", "unknown"))},
               count(*) AS case_weeks, coalesce(sum(amount), 0)::DECIMAL(18, 2) AS repaid, count(*) FILTER (WHERE amount > 0) AS paying
        FROM by_week GROUP BY country, value, channel ORDER BY country, value NULLS LAST, channel NULLS LAST
        """,
    )
    known = span(con)["payments"]
    for row in found:
        row["per_case_week"] = row["contacts"] / row["case_weeks"]
        row["rate"] = row["paying"] / row["case_weeks"] if known else None
        row["per_contact"] = float(row["repaid"]) / row["contacts"] if known else None
        if not known:
            row["repaid"] = row["paying"] = None
    return found


def effort_totals(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """What the effort is measured against, per jurisdiction.

    Returns:
        `jurisdiction`, `contacts`, `reached`, `not_reached`, `unknown` as in `effort`; `open` (contacts whose seven days go on beyond the
        last payment of the data: whether more followed is not known); `undated` (outbound contacts without a date, left out of everything); `payments` and `paid` (from the first
        contact to seven days after the last), of which `repaid` follows a contact within seven days and `unprompted` follows none;
        the last four None where the run has no payments at all.
    """
    when = span(con)
    found = rows(
        con,
        f"""
        {_worked()},
        ends AS (SELECT min(on_date) AS first, max(on_date) + {FOLLOW_DAYS} AS last FROM contacts),
        bought AS (
            SELECT split_part(c.jurisdiction, '-', 1) AS country, count(*) AS payments, sum(m.amount) AS paid, sum(m.amount) FILTER (WHERE seq IS NOT NULL) AS repaid
            FROM money m JOIN cases c USING (case_id) CROSS JOIN ends WHERE m.paid_on BETWEEN ends.first AND ends.last OR seq IS NOT NULL GROUP BY ALL
        ),
        told AS (SELECT country, {_COUNTS}, count(*) FILTER (WHERE coalesce(on_date + {FOLLOW_DAYS} > $last, true)) AS open FROM worked GROUP BY country),
        lost AS (SELECT split_part(jurisdiction, '-', 1) AS country, count(*) AS undated FROM contacts WHERE direction IS DISTINCT FROM 'inbound' AND on_date IS NULL GROUP BY ALL)
        SELECT country AS jurisdiction, told.* EXCLUDE (country), coalesce(undated, 0) AS undated, coalesce(payments, 0) AS payments,
               coalesce(paid, 0)::DECIMAL(18, 2) AS paid, coalesce(repaid, 0)::DECIMAL(18, 2) AS repaid
        FROM told LEFT JOIN bought USING (country) LEFT JOIN lost USING (country) ORDER BY country
        """,
        {"last": when["last_payment"]},
    )
    known = when["payments"]
    for row in found:
        row["unprompted"] = row["paid"] - row["repaid"]
        if not known:
            row |= dict.fromkeys(("payments", "paid", "repaid", "unprompted"))
    return found


def case_weeks(con: duckdb.DuckDBPyConnection, jurisdiction: str | None = None, limit: int = 50) -> list[Row]:
    """The cases and weeks with most outbound contacts, those that no payment followed first among equals.

    Returns:
        `case_id`, `week` (its Monday), `contacts`, `reached`, `not_reached`, `unknown`, `channels` (as "call 3, sms 2"), `vendor`, `team` and
        `account_class` at the week's last contact, `repaid` within seven days (None where the run has no payments at all).
    """
    return rows(
        con,
        f"""
        {_worked()},
        heaviest AS (
            SELECT case_id, week, {_COUNTS},
                   CASE WHEN EXISTS (SELECT 1 FROM batches WHERE table_name = 'payments') THEN coalesce(sum(amount), 0)::DECIMAL(18, 2) END AS repaid
            FROM worked WHERE $country IS NULL OR country = $country GROUP BY case_id, week ORDER BY contacts DESC, repaid, week DESC, case_id LIMIT $limit
        ),
        theirs AS (SELECT * FROM worked SEMI JOIN heaviest USING (case_id, week)),
        by_channel AS (SELECT case_id, week, channel::VARCHAR AS channel, count(*) AS n FROM theirs GROUP BY ALL),
        listed AS (SELECT case_id, week, map_from_entries(list({{'k': coalesce(channel, ''), 'v': n}} ORDER BY n DESC, channel)) AS channels FROM by_channel GROUP BY ALL),
        ends AS (SELECT case_id, week, arg_max({{'vendor': vendor, 'team': team, 'account_class': account_class::VARCHAR}}, (moment, contact_id)) AS at_end FROM theirs GROUP BY ALL)
        SELECT heaviest.* EXCLUDE (repaid), channels, at_end.vendor, at_end.team, at_end.account_class, repaid
        FROM heaviest JOIN listed USING (case_id, week) JOIN ends USING (case_id, week) ORDER BY contacts DESC, repaid, week DESC, case_id
        """,
        {"country": jurisdiction, "limit": limit},
    )


def m1_share(con: duckdb.DuckDBPyConnection, by: str | None = None, used: Measures | None = None) -> list[Row]:
    """The share of the effort spent on M1 (the class of `Measures.effort_class`), beside the handbook's target of 60 %.

    The handbook says: 我们应该将60%的催收精力和时间放在M1阶段, 60 % of the effort and time of collection. Effort is read as outbound contacts, time as
    their seconds; both only to overdue accounts, since reminders before the due date are not collection.

    Args:
        con: a run.
        by: vendor, team or month; None for the whole.
        used: the handbook's measures; the program's own by default.

    Returns:
        Rows by value: `value`; `contacts` (to overdue accounts) and `on_class`, `rate`, `low`, `high` (Wilson's 95 % interval), `target`;
        `seconds`, `seconds_on_class`, `time_rate`; `untimed` (calls and visits to overdue accounts whose duration is missing);
        `reminders` (to accounts not overdue, left out) and `unknown` (to accounts of which nobody knows whether they are, left out).

    Raises:
        KeyError: there is no such dimension.
    """
    measure = used or measures()
    column = {None: "NULL::VARCHAR", "vendor": "vendor", "team": "team", "month": "date_trunc('month', on_date)::DATE"}[by]
    found = rows(
        con,
        f"""
        WITH o AS (SELECT *, {column} AS value, account_class = $wanted AS wanted, account_class <> 'C' AS overdue FROM contacts WHERE direction IS DISTINCT FROM 'inbound')
        SELECT value, count(*) FILTER (WHERE overdue) AS contacts, count(*) FILTER (WHERE overdue AND wanted) AS on_class,
               coalesce(sum(duration_s) FILTER (WHERE overdue), 0)::BIGINT AS seconds, coalesce(sum(duration_s) FILTER (WHERE overdue AND wanted), 0)::BIGINT AS seconds_on_class,
               count(*) FILTER (WHERE overdue AND duration_s IS NULL AND channel IN {literal(_TIMED)}) AS untimed,
               count(*) FILTER (WHERE NOT overdue) AS reminders, count(*) FILTER (WHERE overdue IS NULL) AS unknown
        FROM o GROUP BY value ORDER BY value NULLS FIRST
        """,
        {"wanted": measure.effort_class},
    )
    for row in found:
        row["rate"] = row["on_class"] / row["contacts"] if row["contacts"] else None
        row["low"], row["high"] = interval(row["on_class"], row["contacts"])
        row["time_rate"] = row["seconds_on_class"] / row["seconds"] if row["seconds"] else None
        row["target"] = measure.effort_target
    return found
