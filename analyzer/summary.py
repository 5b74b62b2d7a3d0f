"""Every number that a page or a command shows, each with its denominator and what could not be determined.

All functions read a published run (or the connection it is being made on) and return plain rows: lists of dicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from analyzer import yamlfile
from analyzer.errors import UsageError
from analyzer.model import Outcome
from analyzer.rules import SEVERITIES

Row = dict[str, Any]
# What findings and contacts can be counted by: name -> (column of findings, column of contacts or None).
DIMENSIONS = {
    "rule": ("rule", None), "pack": ("pack", None), "severity": ("severity", None), "strength": ("strength", None),
    "vendor": ("vendor", "vendor"), "team": ("team", "team"), "agent": ("agent_id", "agent_id"),
    "channel": ("channel", "channel"), "class": ("account_class", "account_class"), "stage": ("stage", "stage"),
}  # fmt: skip
NEAR_MISS = "near_miss"
# What a near miss was only near to is no breach: it is in no count of breaches.
BREACHES = f"(SELECT f.* FROM findings f SEMI JOIN (SELECT rule FROM rules WHERE kind <> '{NEAR_MISS}') r ON r.rule = f.rule)"
BREACHING = f"SELECT DISTINCT e.seq FROM finding_evidence e JOIN {BREACHES} f USING (finding_id) WHERE e.role = 'breach'"
NO_VALUE = ""
"""In a filter: what has no value in that dimension."""
FILTERS = {name: columns[0] for name, columns in DIMENSIONS.items()} | {
    "case": "case_id", "debtor": "debtor_id", "finding": "finding_id",
    "nature": f"CASE WHEN rule IN (SELECT rule FROM rules WHERE kind = '{NEAR_MISS}') THEN '{NEAR_MISS}' ELSE 'breach' END",
}  # fmt: skip
# Filters that compare: of a date each, both ends included; and findings that are left out.
_COMPARED = {"since": "on_date >= ?::DATE", "until": "on_date <= ?::DATE"}
EXCEPT = "except"
SORTS = {
    "time": "first_utc, finding_id", "-time": "first_utc DESC, finding_id", "rule": "rule, first_utc, finding_id",
    "severity": "severity_rank, first_utc DESC, finding_id", "-breaches": "breaches DESC, first_utc, finding_id",
}  # fmt: skip
_RANK = "CASE severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END"


def rows(con: duckdb.DuckDBPyConnection, sql: str, params: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
    """The rows of a query as dicts."""
    cursor = con.execute(sql, params)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def interval(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not of:
        return 0.0, 1.0
    z, share = 1.959964, hits / of
    centre = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * (share * (1 - share) / of + z * z / (4 * of * of)) ** 0.5 / (1 + z * z / of)
    return max(0.0, centre - half), min(1.0, centre + half)


def run(con: duckdb.DuckDBPyConnection) -> Row:
    """The run itself: see the table `runs`."""
    return rows(con, "SELECT * FROM runs")[0]


def totals(con: duckdb.DuckDBPyConnection) -> Row:
    """Contacts, cases, debtors, agents, findings, contacts that breach, rules, and what could not be judged.

    Near misses are counted apart (`near_misses`). `undetermined` and `judged` are judgements (a contact under a rule) that want a fact,
    and those that came to breach or clear; `undated` the contacts without a local date.
    """
    return rows(
        con,
        f"""
        SELECT (SELECT count(*) FROM contacts) AS contacts, (SELECT count(*) FROM cases) AS cases,
               (SELECT count(DISTINCT debtor_id) FROM cases) AS debtors, (SELECT count(DISTINCT agent_id) FROM contacts) AS agents,
               (SELECT count(*) FROM {BREACHES}) AS findings, (SELECT count(*) FROM findings) - (SELECT count(*) FROM {BREACHES}) AS near_misses,
               (SELECT count(*) FROM ({BREACHING})) AS breaching_contacts,
               (SELECT count(*) FROM rules) AS rules,
               (SELECT coalesce(sum(contacts) FILTER (WHERE outcome = 'undetermined'), 0)::BIGINT FROM rule_results JOIN rules USING (rule) WHERE kind <> '{NEAR_MISS}') AS undetermined,
               (SELECT coalesce(sum(contacts) FILTER (WHERE outcome IN ('breach', 'clear')), 0)::BIGINT FROM rule_results JOIN rules USING (rule) WHERE kind <> '{NEAR_MISS}') AS judged,
               (SELECT count(*) FROM contacts WHERE on_date IS NULL) AS undated,
               (SELECT count(DISTINCT rule) FROM rule_results WHERE outcome = 'not_evaluated') AS rules_not_evaluated,
               (SELECT count(DISTINCT rule) FROM rule_results WHERE outcome = 'undetermined') AS rules_undetermined,
               (SELECT min(local_at) FROM contacts) AS first_local, (SELECT max(local_at) FROM contacts) AS last_local
        """,
    )[0]


def completeness(con: duckdb.DuckDBPyConnection) -> Row:
    """Rows read = loaded + rejected + duplicate over all files, and facts that are unknown in the contacts loaded."""
    return rows(
        con,
        """
        SELECT (SELECT count(*) FROM batches) AS files, (SELECT coalesce(sum(rows_read), 0) FROM batches) AS rows_read,
               (SELECT coalesce(sum(loaded), 0) FROM batches) AS loaded, (SELECT coalesce(sum(rejected), 0) FROM batches) AS rejected,
               (SELECT coalesce(sum(duplicate), 0) FROM batches) AS duplicate,
               count(*) FILTER (WHERE at_utc IS NULL) AS unknown_time, count(*) FILTER (WHERE zone IS NULL) AS unknown_zone,
               count(*) FILTER (WHERE party IS NULL) AS unknown_party, count(*) FILTER (WHERE outcome IS NULL) AS unknown_outcome,
               count(*) FILTER (WHERE dpd IS NULL) AS unknown_dpd, (SELECT coalesce(sum(cells), 0) FROM cell_problems WHERE problem NOT IN ('midnight', 'spelled_alike')) AS unreadable_cells
        FROM contacts
        """,
    )[0]


def batches(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """One row per file, as in the table `batches`."""
    return rows(con, "SELECT * FROM batches ORDER BY batch_id")


def elsewhere(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Per file whose times state no zone and for which none was said: contacts, and those of people in another zone than the one their times were
    read in, where these are the most. Very likely the log is by another clock."""
    return rows(
        con,
        "SELECT b.file, b.zone, count(*) AS contacts, count(*) FILTER (WHERE c.zone <> b.zone) AS elsewhere, mode(c.zone) AS there FROM contacts c JOIN batches b USING (batch_id)"
        " WHERE b.zone_from = 'setting' AND c.zone IS NOT NULL GROUP BY ALL HAVING elsewhere * 2 > contacts ORDER BY b.file",
    )


def rejected(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Per file and reason: rows rejected, with the column or clash of one of them (the first by name, so that it is the same each time) and the first line."""
    return rows(
        con,
        "SELECT b.file, r.reason, min(r.detail) AS detail, count(*) AS rows, min(r.row_no) AS first_row_no FROM rejects r JOIN batches b USING (batch_id) GROUP BY ALL ORDER BY rows DESC, b.file, r.reason",
    )


def by_rule(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Per rule: findings, and the contacts with each outcome; judged = breach + clear is the denominator of rate."""
    outcomes = ", ".join(
        f"coalesce(sum(contacts) FILTER (WHERE outcome = '{o.value}'), 0)::BIGINT AS {o.value}" for o in Outcome
    )
    return rows(
        con,
        f"""
        WITH told AS (SELECT rule, {outcomes}, max(reason) AS reason FROM rule_results GROUP BY rule)
        SELECT r.rule, r.pack, r.title_zh, r.title_en, r.kind, r.severity, r.strength, r.effect, r.known,
               (SELECT count(*) FROM findings f WHERE f.rule = r.rule) AS findings, told.* EXCLUDE (rule),
               told.breach + told.clear AS judged,
               CASE WHEN told.breach + told.clear > 0 THEN told.breach / (told.breach + told.clear) END AS rate
        FROM rules r LEFT JOIN told ON told.rule = r.rule ORDER BY findings DESC, r.rule
        """,
    )


def applying(found: Sequence[Row]) -> list[Row]:
    """Of the rows of `by_rule`, those of rules that apply to some contact: of the others there is nothing to tell."""
    told = (Outcome.BREACH, Outcome.CLEAR, Outcome.UNDETERMINED, Outcome.NOT_IN_FORCE, Outcome.NOT_EVALUATED)
    return [row for row in found if row["findings"] or any(row[outcome.value] for outcome in told)]


def teams(con: duckdb.DuckDBPyConnection, agent_id: str = "") -> list[str]:
    """The teams in which outbound contacts were made, by a collector or by any, by name."""
    found = "SELECT DISTINCT team FROM contacts WHERE team IS NOT NULL AND agent_id IS NOT NULL AND $agent IN ('', agent_id) AND direction IS DISTINCT FROM 'inbound' ORDER BY team"
    return [r["team"] for r in rows(con, found, {"agent": agent_id})]


def agents(con: duckdb.DuckDBPyConnection, wanted: Any, team: str = "") -> list[Row]:
    """Per collector: outbound contacts, those that breach, those `undetermined` (see `wanting`), the rate with Wilson's 95 % interval (low, high): a floor, since
    what is undetermined is among the contacts; and `expected`: the rate drawn towards that of all collectors, the more the fewer contacts there are (beta-binomial, its prior by the method of
    moments); `change`: the rate in the second half of the period less that in the first. Those expected to breach most come first. Near misses are no breaches.

    Args:
        con: a run.
        wanted: what `wanting` gave; None where nobody has counted: then `undetermined` is None.
        team: only the contacts made in this team; of any where it is empty. What is expected is drawn towards the rate of all collectors all the same: a team is too few.
    """
    with _given(con, wanted):
        found = rows(
            con,
            f"""
            WITH bad AS ({BREACHING}),
            middle AS (SELECT min(at_utc) + (max(at_utc) - min(at_utc)) / 2 AS at FROM contacts),
            names AS (SELECT agent_id, arg_max(name, coalesce(from_on, DATE '1900-01-01')) AS name FROM agents GROUP BY agent_id)
            SELECT c.agent_id, any_value(n.name) AS name, arg_max(c.team, c.at_utc) AS team, arg_max(c.vendor, c.at_utc) AS vendor, count(*) AS contacts,
                   count(bad.seq) AS breaching_contacts, count(*) FILTER (WHERE w.undecided) AS undetermined,
                   count(bad.seq) FILTER (WHERE c.at_utc > middle.at) / nullif(count(*) FILTER (WHERE c.at_utc > middle.at), 0)
                       - count(bad.seq) FILTER (WHERE c.at_utc <= middle.at) / nullif(count(*) FILTER (WHERE c.at_utc <= middle.at), 0) AS change
            FROM contacts c CROSS JOIN middle LEFT JOIN bad ON bad.seq = c.seq LEFT JOIN wanting_given w ON w.seq = c.seq LEFT JOIN names n ON n.agent_id = c.agent_id
            WHERE c.agent_id IS NOT NULL AND c.direction IS DISTINCT FROM 'inbound' AND $team IN ('', c.team) GROUP BY c.agent_id ORDER BY c.agent_id
            """,
            {"team": team},
        )
    overall, weight = _prior(agents(con, None) if team else found)
    found = [_rated(row, wanted) for row in found]
    for row in found:
        hits, of = row["breaching_contacts"], row["contacts"]
        row["low"], row["high"] = interval(hits, of)
        row["expected"] = (hits + weight * overall) / (of + weight)
    return sorted(found, key=lambda r: (-r["expected"], r["agent_id"]))


def _prior(found: Sequence[Row]) -> tuple[float, float]:
    """(the rate of all contacts of these collectors, as how many contacts it counts for each)."""
    total, bad = sum(r["contacts"] for r in found), sum(r["breaching_contacts"] for r in found)
    overall = bad / total if total else 0.0
    spread = sum(r["contacts"] * (r["breaching_contacts"] / r["contacts"] - overall) ** 2 for r in found) / total - overall * (1 - overall) * len(found) / total if total else 0.0
    return overall, min(max(overall * (1 - overall) / spread - 1, 1.0), 10_000.0) if spread > 0 else 10_000.0


@contextmanager
def _given(con: duckdb.DuckDBPyConnection, wanted: Any) -> Iterator[None]:
    """What `wanting` gave as the table `wanting_given`; an empty one of None."""
    con.register("wanting_given", pa.table({"seq": pa.array([], pa.int64()), "undecided": pa.array([], pa.bool_())}) if wanted is None else wanted)
    try:
        yield
    finally:
        con.unregister("wanting_given")


def agent_rules(con: duckdb.DuckDBPyConnection, agent_id: str, outcomes: Any) -> list[Row]:
    """Per rule that a collector or his team broke: his findings, his contacts that breach and that are judged and undetermined, his rate and that of his team.

    The rate is of the contacts that the rule could judge. That of the team is over all its contacts, those that the connection does not show too.

    Args:
        con: a run.
        agent_id: the collector.
        outcomes: see `access.outcomes`.
    """
    con.register("outcomes_given", outcomes)
    try:
        return rows(
            con,
            """
            WITH his AS (SELECT DISTINCT team, vendor FROM contacts WHERE agent_id = $agent),
            his_team AS (SELECT team FROM contacts WHERE agent_id = $agent AND direction IS DISTINCT FROM 'inbound' ORDER BY at_utc DESC LIMIT 1),
            told AS (
                SELECT o.rule, o.outcome, o.contacts,
                       o.agent_id = $agent AND EXISTS (FROM his WHERE his.team IS NOT DISTINCT FROM o.team AND his.vendor IS NOT DISTINCT FROM o.vendor) AS mine,
                       o.team IS NOT DISTINCT FROM (SELECT team FROM his_team) AS theirs
                FROM outcomes_given o
            ),
            counted AS (
                SELECT rule, coalesce(sum(contacts) FILTER (WHERE mine AND outcome = 'breach'), 0)::BIGINT AS breaching_contacts,
                       coalesce(sum(contacts) FILTER (WHERE mine AND outcome IN ('breach', 'clear')), 0)::BIGINT AS judged,
                       coalesce(sum(contacts) FILTER (WHERE mine AND outcome = 'undetermined'), 0)::BIGINT AS undetermined,
                       coalesce(sum(contacts) FILTER (WHERE theirs AND outcome = 'breach'), 0) AS team_breaching,
                       sum(contacts) FILTER (WHERE theirs AND outcome IN ('breach', 'clear')) AS team_judged
                FROM told GROUP BY rule
            )
            SELECT n.rule, r.title_zh, r.title_en, r.severity,
                   (SELECT count(DISTINCT f.finding_id) FROM findings f JOIN finding_evidence e USING (finding_id) JOIN contacts c USING (seq)
                    WHERE f.rule = n.rule AND e.role = 'breach' AND c.agent_id = $agent) AS findings,
                   n.breaching_contacts, n.judged, n.undetermined, n.breaching_contacts / nullif(n.judged, 0) AS rate, n.team_breaching / nullif(n.team_judged, 0) AS team_rate
            FROM counted n JOIN rules r ON r.rule = n.rule
            WHERE r.kind <> 'near_miss' AND (n.breaching_contacts > 0 OR n.team_breaching > 0) ORDER BY n.breaching_contacts DESC, n.rule
            """,
            {"agent": agent_id},
        )
    finally:
        con.unregister("outcomes_given")


def agent_trend(con: duckdb.DuckDBPyConnection, agent_id: str, wanted: Any) -> list[Row]:
    """Per week: a collector's outbound contacts, those that breach, those undetermined and the rate: see `agents`."""
    with _given(con, wanted):
        found = rows(
            con,
            f"""
            SELECT date_trunc('week', c.on_date)::DATE AS since, count(*) AS contacts, count(bad.seq) AS breaching_contacts, count(*) FILTER (WHERE w.undecided) AS undetermined
            FROM contacts c LEFT JOIN ({BREACHING}) bad ON bad.seq = c.seq LEFT JOIN wanting_given w ON w.seq = c.seq
            WHERE c.agent_id = ? AND c.direction IS DISTINCT FROM 'inbound' AND c.on_date IS NOT NULL GROUP BY ALL ORDER BY ALL
            """,
            [agent_id],
        )
    return [_rated(row, wanted) for row in found]


def _rated(row: Row, wanted: Any) -> Row:
    """A row with the share of its contacts that breach: a floor, what is undetermined being among them; that is None where nobody has counted it."""
    return row | {"rate": row["breaching_contacts"] / row["contacts"], **({"undetermined": None} if wanted is None else {})}


def agent_around(con: duckdb.DuckDBPyConnection, agent_id: str, rule: str, day: date) -> Row:
    """A collector's outbound contacts and those that breach, a rule or any where `rule` is empty, before a day and from it on.

    `contacts`, `breaching_contacts`, `rate` (None without contacts), and `contacts_since`, `breaching_contacts_since`, `rate_since` with Wilson's
    95 % interval `low_since`, `high_since`.
    """
    found = rows(
        con,
        f"""
        WITH bad AS (SELECT DISTINCT e.seq FROM finding_evidence e JOIN {BREACHES} f USING (finding_id) WHERE e.role = 'breach' AND ($rule = '' OR f.rule = $rule))
        SELECT count(*) FILTER (WHERE c.on_date < $day) AS contacts, count(bad.seq) FILTER (WHERE c.on_date < $day) AS breaching_contacts,
               count(*) FILTER (WHERE c.on_date >= $day) AS contacts_since, count(bad.seq) FILTER (WHERE c.on_date >= $day) AS breaching_contacts_since
        FROM contacts c LEFT JOIN bad ON bad.seq = c.seq WHERE c.agent_id = $agent AND c.direction IS DISTINCT FROM 'inbound'
        """,
        {"agent": agent_id, "rule": rule, "day": day},
    )[0]
    for end in ("", "_since"):
        found[f"rate{end}"] = found[f"breaching_contacts{end}"] / found[f"contacts{end}"] if found[f"contacts{end}"] else None
    found["low_since"], found["high_since"] = interval(found["breaching_contacts_since"], found["contacts_since"])
    return found


def case_ids(con: duckdb.DuckDBPyConnection, part: str = "", limit: int = 500) -> list[str]:
    """Cases whose id holds `part`, that very id first, then those with most findings (no near misses)."""
    found = rows(
        con,
        f"SELECT c.case_id FROM cases c LEFT JOIN {BREACHES} f USING (case_id) WHERE contains(lower(c.case_id), lower($part)) GROUP BY c.case_id"
        " ORDER BY any_value(c.case_id = $part) DESC, count(f.finding_id) DESC, c.case_id LIMIT $limit",
        {"part": part, "limit": limit},
    )
    return [r["case_id"] for r in found]


def case_timeline(con: duckdb.DuckDBPyConnection, case_id: str) -> list[Row]:
    """Everything that happened in a case by time: contacts (with the rules they broke, near misses apart), events, promises and payments.

    `what` is contact, event, promise or payment; `broken` the rules, joined by |; `detail` a word or amount. Times are the
    recipient's wall clock for contacts, by the zone of the case's last contact for the rest (UTC where it has none).
    """
    return rows(
        con,
        f"""
        WITH bad AS (SELECT e.seq, string_agg(DISTINCT f.rule, '|' ORDER BY f.rule) AS broken, any_value(f.finding_id) AS finding_id
                     FROM finding_evidence e JOIN {BREACHES} f USING (finding_id) WHERE e.role = 'breach' GROUP BY e.seq),
        z AS (SELECT coalesce((SELECT arg_max(zone, at_utc) FROM contacts WHERE case_id = $case), 'UTC') AS zone)
        SELECT c.local_at, 'contact' AS what, c.channel::VARCHAR AS channel, c.direction::VARCHAR AS direction, c.outcome::VARCHAR AS outcome, c.relation::VARCHAR AS relation,
               c.agent_id, c.dpd, c.account_class::VARCHAR AS account_class, c.stage::VARCHAR AS stage, bad.broken, bad.finding_id, c.text, NULL AS detail, c.contact_id
        FROM contacts c LEFT JOIN bad ON bad.seq = c.seq WHERE c.case_id = $case
        UNION ALL SELECT timezone(z.zone, timezone('UTC', occurred_utc)), 'event', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, kind, event_id FROM case_events CROSS JOIN z WHERE case_id = $case
        UNION ALL SELECT timezone(z.zone, timezone('UTC', made_utc)), 'promise', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, concat_ws(' ', due_on, amount, method), promise_id FROM promises CROSS JOIN z WHERE case_id = $case
        UNION ALL SELECT timezone(z.zone, timezone('UTC', paid_utc)), 'payment', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, amount::VARCHAR, payment_id FROM payments CROSS JOIN z WHERE case_id = $case
        ORDER BY 1 NULLS LAST, contact_id
        """,
        {"case": case_id},
    )


def undetermined(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Per rule and missing fields: how many contacts those fields would decide; the largest first."""
    return rows(
        con,
        "SELECT rule, missing, sum(contacts)::BIGINT AS contacts FROM rule_results WHERE outcome = 'undetermined' GROUP BY ALL ORDER BY contacts DESC, rule",
    )


def by_dimension(con: duckdb.DuckDBPyConnection, name: str, wanted: Any = None) -> list[Row]:
    """Findings (no near misses) per value of a dimension; where a contact has that dimension too, with its contacts, those that breach, those
    `undetermined` and the rate, a floor: see `agents`.

    Args:
        con: a run.
        name: the dimension.
        wanted: see `agents`.

    Raises:
        KeyError: there is no such dimension.
    """
    column, own = DIMENSIONS[name]
    if own is None:
        return rows(con, f"SELECT {column} AS value, count(*) AS findings, sum(breaches)::BIGINT AS breaches FROM {BREACHES} GROUP BY ALL ORDER BY findings DESC, value")
    with _given(con, wanted):
        found = rows(
            con,
            f"""
            WITH f AS (SELECT {column} AS value, count(*) AS findings FROM {BREACHES} GROUP BY ALL),
            c AS (SELECT {own} AS value, count(*) AS contacts, count(*) FILTER (WHERE undecided) AS undetermined FROM contacts LEFT JOIN wanting_given USING (seq) GROUP BY ALL),
            b AS (SELECT c.{own} AS value, count(*) AS breaching FROM ({BREACHING}) JOIN contacts c USING (seq) GROUP BY ALL)
            SELECT c.value, coalesce(f.findings, 0) AS findings, coalesce(b.breaching, 0) AS breaching_contacts, c.contacts, c.undetermined
            FROM c LEFT JOIN f ON f.value IS NOT DISTINCT FROM c.value LEFT JOIN b ON b.value IS NOT DISTINCT FROM c.value
            ORDER BY findings DESC, c.value
            """,
        )
    return [_rated(row, wanted) for row in found]


SPLITS = ("severity", "strength")


def trend(con: duckdb.DuckDBPyConnection, unit: str = "week", by: str = "severity") -> list[Row]:
    """Per week (or day) of the contacts' own dates: contacts, findings (no near misses) that begin then, by severity or strength.

    A row per `since` and value of `by` (None where nothing begins): `contacts` and `breaching_contacts` of the whole week, `findings` of that value.

    Raises:
        ValueError: the unit is not day or week, or the split is none of `SPLITS`.
    """
    if unit not in ("day", "week") or by not in SPLITS:
        raise ValueError(unit, by)
    return rows(
        con,
        f"""
        WITH c AS (SELECT date_trunc('{unit}', on_date)::DATE AS since, count(*) AS contacts, count(bad.seq) AS breaching_contacts
                   FROM contacts LEFT JOIN ({BREACHING}) bad USING (seq) WHERE on_date IS NOT NULL GROUP BY ALL),
        f AS (SELECT date_trunc('{unit}', on_date)::DATE AS since, {by}, count(*) AS findings FROM {BREACHES} GROUP BY ALL)
        SELECT c.since, c.contacts, c.breaching_contacts, f.{by}, coalesce(f.findings, 0) AS findings
        FROM c LEFT JOIN f ON f.since = c.since ORDER BY c.since, f.{by}
        """,
    )


@contextmanager
def whole_run(con: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor on which the statements that a run keeps of its rules judge all contacts, where `con` shows some only (see `access.connect`).

    Its temporary tables are its own.
    """
    cursor = con.cursor()
    try:
        if cursor.execute("SELECT count(*) FROM duckdb_databases() WHERE database_name = 'run'").fetchall()[0][0]:
            cursor.execute("USE run")
        yield cursor
    finally:
        cursor.close()


def said_of(con: duckdb.DuckDBPyConnection, statements: Iterable[str], outcomes: Sequence[str], table: str, missing: Sequence[str] = ()) -> None:
    """Make the temporary table `table` (seq): the contacts of the whole run of which one of the statements says one of the outcomes, for want of these
    fields (joined by |, empty: of none) where some are given."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE {table} (seq BIGINT)")
    with whole_run(con) as judge:
        for statement in statements:
            found = judge.sql(f"SELECT DISTINCT seq FROM ({statement}) WHERE list_contains(?, role) AND (len(?::VARCHAR[]) = 0 OR list_contains(?, coalesce(missing, '')))", params=[list(outcomes), list(missing), list(missing)]).to_arrow_table()
            con.register("said_given", found)
            con.execute(f"INSERT INTO {table} SELECT * FROM said_given")
            con.unregister("said_given")


def wanting(con: duckdb.DuckDBPyConnection) -> Any:
    """Contacts that at least one rule cannot decide for want of a fact (near misses apart), as a table: seq, and `undecided`: it breaches no other rule either, so
    that it is not known whether it breaches.

    Each rule with such contacts is asked again by the statement the run keeps: on a large run this takes its time.
    """
    asked = rows(con, f"SELECT DISTINCT hits_sql FROM rules SEMI JOIN (SELECT rule FROM rule_results WHERE outcome = 'undetermined') u USING (rule) WHERE kind <> '{NEAR_MISS}'")
    said_of(con, (row["hits_sql"] for row in asked), [Outcome.UNDETERMINED.value], "wanting")
    return con.sql(f"SELECT DISTINCT seq, seq NOT IN ({BREACHING}) AS undecided FROM wanting SEMI JOIN contacts USING (seq)").to_arrow_table()


def undetermined_contacts(con: duckdb.DuckDBPyConnection, wanted: Any) -> dict[str, dict[object, int]]:
    """How many contacts of `wanting` there are, by each dimension that contacts have and by `week`.

    Returns:
        {dimension: {value: contacts}}; {"whole": {None: contacts}}.
    """
    groups = {name: own for name, (_, own) in DIMENSIONS.items() if own} | {"week": "date_trunc('week', on_date)::DATE", "whole": "NULL"}
    with _given(con, wanted):
        return {
            name: {r["value"]: r["contacts"] for r in rows(con, f"SELECT {own} AS value, count(*) AS contacts FROM contacts SEMI JOIN wanting_given USING (seq) GROUP BY ALL HAVING count(*) > 0")}
            for name, own in groups.items()
        }


_CONTACT_FILTERS = {name: own for name, (_, own) in DIMENSIONS.items() if own} | {"case": "case_id", "contact": "contact_id", "weekday": "isodow(local_at)", "hour": "hour(local_at)"}
_CONTACT = (
    "c.local_at, c.case_id, c.agent_id, c.vendor, c.team, c.channel::VARCHAR AS channel, c.direction::VARCHAR AS direction, c.outcome::VARCHAR AS outcome,"
    " c.relation::VARCHAR AS relation, c.dpd, c.text, c.contact_id"
)


def contacts(con: duckdb.DuckDBPyConnection, filters: Mapping[str, Sequence[str]] | None = None, limit: int = 50, offset: int = 0) -> tuple[list[Row], int]:
    """One page of contacts, and how many there are in all.

    Args:
        con: a run.
        filters: dimensions of contacts, `case`, `contact`, `weekday` (1 Monday to 7), `hour`, `since`, `until`; `breaching` (any value): those that breach; `bound`: those that one of these rules judges or cannot decide; `rule`
            together with `outcome`, breach or undetermined: those of which a rule says so (its statement is run again), with `missing` for want of these fields; `undetermined`
            (any value): those that some rule cannot decide.
        limit: rows of the page.
        offset: rows before it.

    Returns:
        Rows by local time: case, agent, vendor, team, channel, direction, outcome, relation, days past due, text; `broken`, the rules broken, joined by |
        (near misses apart), and one `finding_id`.
    """
    where, params = ["true"], list[object]()
    asked = dict(filters or {})
    rules, outcome, bound, missing = (asked.pop(name, None) for name in ("rule", "outcome", "bound", "missing"))
    if bound:
        where.append(_bound(con, bound))
    if asked.pop("breaching", None):
        where.append(f"seq IN ({BREACHING})")
    if asked.pop("undetermined", None):
        wanting(con)
        where.append("seq IN (SELECT seq FROM wanting)")
    if rules and outcome:
        found = rows(con, f"SELECT hits_sql FROM rules WHERE rule IN ({', '.join('?' * len(rules))})", list(rules))
        said_of(con, (r["hits_sql"] for r in found), outcome, "said", missing or ())
        where.append("seq IN (SELECT seq FROM said)")
    for name, wanted in asked.items():
        sql, more = _one_of(name, _CONTACT_FILTERS, wanted)
        where.append(sql)
        params += more
    chosen = f"FROM contacts c WHERE {' AND '.join(where)}"
    total = con.execute(f"SELECT count(*) {chosen}", params).fetchall()[0][0]
    page = rows(
        con,
        f"""
        WITH page AS (SELECT c.seq, {_CONTACT} {chosen} ORDER BY c.local_at NULLS LAST, c.contact_id LIMIT ? OFFSET ?),
        bad AS (SELECT e.seq, string_agg(DISTINCT f.rule, '|' ORDER BY f.rule) AS broken, min(f.finding_id) AS finding_id
                FROM finding_evidence e SEMI JOIN page USING (seq) JOIN {BREACHES} f USING (finding_id) WHERE e.role = 'breach' GROUP BY e.seq)
        SELECT page.* EXCLUDE (seq), bad.broken, bad.finding_id FROM page LEFT JOIN bad USING (seq) ORDER BY local_at NULLS LAST, contact_id
        """,
        [*params, limit, offset],
    )
    return page, int(total)


def hours_rules(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """The rules of kind hours of the run that apply to some contact: as `by_rule`, with `spans`, what they permit.

    `spans`: (since, opens, closes) by date, texts as HH:MM; since and a time are None where there is none. `clock`: the zone that holds
    for everybody, None: the recipient's own. Those with most contacts judged come first.
    """
    told = applying([r for r in by_rule(con) if r["kind"] == "hours"])
    sources = {r["rule"]: yamlfile.parse(r["source"]).data for r in rows(con, "SELECT rule, source FROM rules WHERE kind = 'hours'")}
    found = [row | {"spans": _spans(sources[row["rule"]]), "clock": sources[row["rule"]]["check"].get("clock")} for row in told]
    return sorted(found, key=lambda r: (-r["judged"] - r["undetermined"], r["rule"]))


def _spans(data: Mapping[str, Any]) -> list[tuple[str | None, str | None, str | None]]:
    """The opening and closing hours of a rule by date, whether written in the check or as values."""
    ends: list[dict[str | None, str | None]] = []
    for name in ("opens", "closes"):
        written = str(data["check"][name])
        dated = data.get("values", {}).get(written[1:], {}) if written.startswith("$") else {None: written}
        ends.append({None if day is None else str(day): None if at is None else str(at)[:5] for day, at in dated.items()})
    days: list[str | None] = sorted(day for day in {*ends[0], *ends[1]} if day) or [None]  # type: ignore[assignment]
    return [(day, _at(ends[0], day), _at(ends[1], day)) for day in days]


def _at(dated: Mapping[str | None, str | None], day: str | None) -> str | None:
    """The value that holds on a day: that of the last date up to it."""
    known = [since for since in dated if (since or "") <= (day or "")]
    return dated[max(known, key=lambda since: since or "")] if known else None


def hour_by_weekday(
    con: duckdb.DuckDBPyConnection, rule: str | None = None, channels: Sequence[str] = (), vendors: Sequence[str] = (),
) -> list[Row]:  # fmt: skip
    """Contacts by the recipients' weekday (1 Monday .. 7 Sunday) and hour, with those that breach a rule on hours, or one of them, those that it leaves
    `undetermined` (and none of them finds in breach), and the rate, a floor.

    `weekday` and `hour` are None in the one row of contacts whose local time is unknown, where there are any.

    Args:
        con: a run.
        rule: one rule, with the contacts that it judges or cannot decide; any of kind hours when None, with all contacts.
        channels: only these; all when empty.
        vendors: only these, `NO_VALUE` for the lender itself; all when empty.
    """
    where, params = ["true"], list[object]()
    for name, wanted in (("channel", channels), ("vendor", vendors)):
        if wanted:
            sql, more = _one_of(name, _CONTACT_FILTERS, wanted)
            where.append(sql)
            params += more
    if rule is not None:
        where.append(_bound(con, [rule]))
    asked = rows(con, "SELECT hits_sql FROM rules WHERE kind = 'hours' AND (?::VARCHAR IS NULL OR rule = ?)", [rule, rule])
    said_of(con, (row["hits_sql"] for row in asked), [Outcome.UNDETERMINED.value], "open_hours")
    return rows(
        con,
        f"""
        WITH late AS (SELECT DISTINCT e.seq FROM finding_evidence e JOIN findings f USING (finding_id) JOIN rules r ON r.rule = f.rule
                      WHERE r.kind = 'hours' AND e.role = 'breach' AND (?::VARCHAR IS NULL OR r.rule = ?)),
        told AS (SELECT isodow(local_at) AS weekday, hour(local_at) AS hour, count(*) AS contacts, count(late.seq) AS outside, count(*) FILTER (WHERE late.seq IS NULL AND o.seq IS NOT NULL) AS undetermined
                 FROM contacts c LEFT JOIN late USING (seq) LEFT JOIN (SELECT DISTINCT seq FROM open_hours) o USING (seq) WHERE {" AND ".join(where)} GROUP BY ALL)
        SELECT *, outside / contacts AS rate FROM told ORDER BY ALL
        """,
        [rule, rule, *params],
    )


def _bound(con: duckdb.DuckDBPyConnection, rules: Sequence[str]) -> str:
    """SQL: whether a contact is one that some of these rules judge, or cannot decide."""
    found = rows(con, f"SELECT standing_sql FROM rules WHERE rule IN ({', '.join('?' * len(rules))}) ORDER BY rule", list(rules))
    told = " UNION ALL ".join(f"SELECT seq FROM ({r['standing_sql']}) WHERE standing IN ('in_scope', 'undetermined')" for r in found)
    return f"seq IN ({told})" if told else "false"


def contact_values(con: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """The values that contacts have in a dimension, `NO_VALUE` among them where some have none; for filters."""
    column = _CONTACT_FILTERS[name]
    return [r["value"] for r in rows(con, f"SELECT DISTINCT coalesce({column}::VARCHAR, '{NO_VALUE}') AS value FROM contacts ORDER BY 1")]


def rejects(con: duckdb.DuckDBPyConnection, batch: int | None = None, limit: int = 50, offset: int = 0) -> tuple[list[Row], int]:
    """One page of rejected rows (file, row_no, reason: a key of the catalogue, detail, original), of one batch or of all, and how many there are."""
    where, params = ("r.batch_id = ?", [batch]) if batch is not None else ("true", [])
    total = con.execute(f"SELECT count(*) FROM rejects r WHERE {where}", params).fetchall()[0][0]
    page = rows(
        con,
        f"SELECT b.file, r.row_no, r.reason, r.detail, r.original FROM rejects r JOIN batches b USING (batch_id) WHERE {where} ORDER BY r.batch_id, r.row_no, r.reason LIMIT ? OFFSET ?",
        [*params, limit, offset],
    )
    return page, int(total)


def cell_problems(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Per file and canonical column: cells that held something and became unknown, with the line of the first, and words that are not known; the most first."""
    return rows(
        con,
        "SELECT b.file, p.column_name, p.problem, sum(p.cells)::BIGINT AS cells, min(p.first_row_no) AS first_row_no, string_agg(p.words, ', ') AS words FROM cell_problems p JOIN batches b USING (batch_id)"
        " GROUP BY ALL ORDER BY cells DESC, b.file, p.column_name",
    )


def rule_groups(con: duckdb.DuckDBPyConnection, rule: str) -> list[Row]:
    """Findings of a rule by the vendor and team of their first contact."""
    return rows(con, "SELECT vendor, team, count(*) AS findings FROM findings WHERE rule = ? GROUP BY ALL ORDER BY findings DESC, vendor, team", [rule])


def digests(con: duckdb.DuckDBPyConnection, finding_ids: Sequence[str]) -> list[Row]:
    """finding_id, rule_digest and evidence_digest of those of some findings that the run has."""
    return rows(con, "SELECT finding_id, rule_digest, evidence_digest FROM findings WHERE finding_id IN (SELECT unnest(?::VARCHAR[]))", [list(finding_ids)])


AGES = (7, 30, 90)


def backlog(con: duckdb.DuckDBPyConnection, decided: Sequence[str], on: date) -> list[Row]:
    """Findings (no near misses) without a verdict by severity and age, in whole days from the breach to a day.

    Args:
        con: a run.
        decided: ids of findings that have a verdict.
        on: the day up to which is counted.

    Returns:
        `severity`, `age` (the least of `AGES` not exceeded; None: older than all; -1: of unknown date), `findings`, `oldest` (days; None where unknown).
    """
    ages = " ".join(f"WHEN days <= {age} THEN {age}" for age in AGES)
    return rows(
        con,
        f"""
        WITH waiting AS (SELECT severity, date_diff('day', on_date, ?::DATE) AS days FROM {BREACHES} WHERE finding_id NOT IN (SELECT unnest(?::VARCHAR[])))
        SELECT severity, CASE WHEN days IS NULL THEN -1 {ages} END AS age, count(*) AS findings, max(days) AS oldest FROM waiting GROUP BY ALL ORDER BY ALL
        """,
        [on, list(decided)],
    )


def _one_of(name: str, columns: Mapping[str, str], wanted: Sequence[str]) -> tuple[str, list[object]]:
    """(SQL, parameters) of one filter."""
    if name in _COMPARED:
        return _COMPARED[name], [wanted[0]]
    return f"coalesce(({columns[name]})::VARCHAR, '{NO_VALUE}') IN ({', '.join('?' * len(wanted))})", list(wanted)


def meant(con: duckdb.DuckDBPyConnection, filters: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Filters as people write them: a rule may go without its pack.

    Raises:
        UsageError: there is no such severity, or the run has no such rule, collector, agency or case; a filter that fits nothing would read as "no findings".
    """
    told = {name: list(wanted) for name, wanted in filters.items()}
    have = [row[0] for row in con.execute("SELECT rule FROM rules ORDER BY 1").fetchall()] if "rule" in told else []
    for asked in told.pop("rule", []):
        fits = [rule for rule in have if asked in (rule, rule.split("/")[-1])]
        if not fits:
            raise UsageError("usage.no_rule", name=asked[:60], have=", ".join(have))
        told.setdefault("rule", []).extend(fits)
    for asked in told.get("severity", []):
        if asked not in SEVERITIES:
            raise UsageError("usage.not_severity", name=asked[:60], have=", ".join(SEVERITIES))
    for name, column in (("agent", "agent_id"), ("vendor", "vendor"), ("case", "case_id")):
        for asked in told.get(name, []):
            if not con.execute(f"SELECT 1 FROM contacts WHERE coalesce({column}, '{NO_VALUE}') = ? LIMIT 1", [asked]).fetchall():
                raise UsageError(f"usage.not_{name}", name=asked[:60])
    return told


def condition(filters: Mapping[str, Sequence[str]] | None) -> tuple[str, list[object]]:
    """(SQL over `findings`, its parameters): name of `FILTERS` -> values, any of which fits (`NO_VALUE`: none).

    Besides, `since` and `until` take one date each, both included, `EXCEPT` the ids of findings that are left out, and `involved` collectors: findings of
    which a breaching contact is one of theirs, whoever made the first.
    """
    where, params = ["true"], list[object]()
    for name, wanted in (filters or {}).items():
        if name in (EXCEPT, "finding"):
            where.append(f"finding_id {'NOT IN' if name == EXCEPT else 'IN'} (SELECT unnest(?::VARCHAR[]))")
            params.append(list(wanted))
            continue
        if name == "involved":
            where.append("finding_id IN (SELECT e.finding_id FROM finding_evidence e JOIN contacts c USING (seq) WHERE e.role = 'breach' AND c.agent_id IN (SELECT unnest(?::VARCHAR[])))")
            params.append(list(wanted))
            continue
        sql, more = _one_of(name, FILTERS, wanted)
        where.append(sql)
        params += more
    return " AND ".join(where), params


def findings(
    con: duckdb.DuckDBPyConnection,
    filters: Mapping[str, Sequence[str]] | None = None,
    sort: str = "severity",
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[Row], int]:
    """One page of findings, and how many there are in all.

    Args:
        con: a run.
        filters: see `condition`.
        sort: a key of `SORTS`.
        limit: rows of the page.
        offset: rows before it.
    """
    chosen, params = condition(filters)
    total = con.execute(f"SELECT count(*) FROM findings WHERE {chosen}", params).fetchall()[0][0]
    page = rows(
        con,
        f"SELECT * EXCLUDE (severity_rank) FROM (SELECT f.*, r.title_zh, r.title_en, r.effect, r.known, {_RANK.replace('severity', 'f.severity')} AS severity_rank"
        f" FROM (SELECT * FROM findings WHERE {chosen}) f JOIN rules r ON r.rule = f.rule) ORDER BY {SORTS[sort]} LIMIT ? OFFSET ?",
        [*params, limit, offset],
    )
    return page, int(total)


def values(con: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    """The values that findings have in a dimension, `NO_VALUE` among them where some have none; for filters."""
    return [r["value"] for r in rows(con, f"SELECT DISTINCT coalesce(({FILTERS[name]})::VARCHAR, '{NO_VALUE}') AS value FROM findings ORDER BY 1")]


_OF_FINDINGS = frozenset(["rule", "pack", "severity", "strength", "nature", "finding", EXCEPT])


def keeps_contacts(filters: Mapping[str, Sequence[str]] | None) -> bool:
    """Whether filters choose among rules and findings only, so that figures of the run's contacts are those of the selection."""
    return set(filters or {}) <= _OF_FINDINGS


def rule_digests(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The digest of each rule's file as the run used it."""
    return {r["rule"]: r["digest"] for r in rows(con, "SELECT rule, digest FROM rules")}


def known(con: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> set[str]:
    """Those of some ids that a finding, or the case, the collector or the id of a contact has."""
    found = con.execute(
        "SELECT id FROM (SELECT unnest(?::VARCHAR[]) AS id) WHERE id IN (SELECT finding_id FROM findings) OR id IN (SELECT case_id FROM contacts)"
        " OR id IN (SELECT contact_id FROM contacts) OR id IN (SELECT agent_id FROM contacts WHERE agent_id IS NOT NULL)",
        [list(ids)],
    )
    return {row[0] for row in found.fetchall()}


def reconciled(found: Sequence[Row]) -> Row:
    """The rows of some batches added up: `rows_read`, `loaded`, `rejected`, `duplicate`, and whether each batch and all of them add up."""
    names = ("rows_read", "loaded", "rejected", "duplicate")
    return {name: sum(b[name] for b in found) for name in names} | {"adds_up": all(b["rows_read"] == b["loaded"] + b["rejected"] + b["duplicate"] for b in found)}
