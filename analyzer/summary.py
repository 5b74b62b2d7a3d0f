"""Every number that a page or a command shows, each with its denominator and what could not be determined.

All functions read a published run (or the connection it is being made on) and return plain rows: lists of dicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from analyzer.model import Outcome

Row = dict[str, Any]
# What findings and contacts can be counted by: name -> (column of findings, column of contacts or None).
DIMENSIONS = {
    "rule": ("rule", None), "pack": ("pack", None), "severity": ("severity", None), "strength": ("strength", None),
    "vendor": ("vendor", "vendor"), "team": ("team", "team"), "agent": ("agent_id", "agent_id"),
    "channel": ("channel", "channel"), "class": ("account_class", "account_class"), "stage": ("stage", "stage"),
}  # fmt: skip
FILTERS = {name: columns[0] for name, columns in DIMENSIONS.items()} | {"case": "case_id", "debtor": "debtor_id"}
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
    """Contacts, cases, debtors, agents, findings, contacts that breach, rules, and what could not be judged."""
    return rows(
        con,
        """
        SELECT (SELECT count(*) FROM contacts) AS contacts, (SELECT count(*) FROM cases) AS cases,
               (SELECT count(DISTINCT debtor_id) FROM cases) AS debtors, (SELECT count(DISTINCT agent_id) FROM contacts) AS agents,
               (SELECT count(*) FROM findings) AS findings,
               (SELECT count(DISTINCT seq) FROM finding_evidence WHERE role = 'breach') AS breaching_contacts,
               (SELECT count(*) FROM rules) AS rules,
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
               count(*) FILTER (WHERE dpd IS NULL) AS unknown_dpd, (SELECT coalesce(sum(cells), 0) FROM cell_problems) AS unreadable_cells
        FROM contacts
        """,
    )[0]


def batches(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """One row per file, as in the table `batches`."""
    return rows(con, "SELECT * FROM batches ORDER BY batch_id")


def rejected(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Per file and reason: rows rejected, with the column or clash of one of them: the first by name, so that it is the same each time."""
    return rows(
        con,
        "SELECT b.file, r.reason, min(r.detail) AS detail, count(*) AS rows FROM rejects r JOIN batches b USING (batch_id) GROUP BY ALL ORDER BY rows DESC, b.file, r.reason",
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


def agents(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Per collector: outbound contacts, those that breach, rate with Wilson's 95 % interval (low, high), and `expected`: the rate drawn
    towards that of all collectors, the more the fewer contacts there are (beta-binomial, its prior by the method of moments); `change`:
    the rate in the second half of the period less that in the first. Those expected to breach most come first.
    """
    found = rows(
        con,
        """
        WITH bad AS (SELECT DISTINCT seq FROM finding_evidence WHERE role = 'breach'),
        middle AS (SELECT min(at_utc) + (max(at_utc) - min(at_utc)) / 2 AS at FROM contacts),
        names AS (SELECT agent_id, arg_max(name, coalesce(from_on, DATE '1900-01-01')) AS name FROM agents GROUP BY agent_id)
        SELECT c.agent_id, any_value(n.name) AS name, arg_max(c.team, c.at_utc) AS team, arg_max(c.vendor, c.at_utc) AS vendor, count(*) AS contacts,
               count(bad.seq) AS breaching_contacts, count(bad.seq) / count(*) AS rate,
               count(bad.seq) FILTER (WHERE c.at_utc > middle.at) / nullif(count(*) FILTER (WHERE c.at_utc > middle.at), 0)
                   - count(bad.seq) FILTER (WHERE c.at_utc <= middle.at) / nullif(count(*) FILTER (WHERE c.at_utc <= middle.at), 0) AS change
        FROM contacts c CROSS JOIN middle LEFT JOIN bad ON bad.seq = c.seq LEFT JOIN names n ON n.agent_id = c.agent_id
        WHERE c.agent_id IS NOT NULL AND c.direction IS DISTINCT FROM 'inbound' GROUP BY c.agent_id ORDER BY c.agent_id
        """,
    )
    total, bad = sum(r["contacts"] for r in found), sum(r["breaching_contacts"] for r in found)
    overall = bad / total if total else 0.0
    spread = sum(r["contacts"] * (r["rate"] - overall) ** 2 for r in found) / total - overall * (1 - overall) * len(found) / total if total else 0.0
    weight = min(max(overall * (1 - overall) / spread - 1, 1.0), 10_000.0) if spread > 0 else 10_000.0
    for row in found:
        row["low"], row["high"] = interval(row["breaching_contacts"], row["contacts"])
        row["expected"] = (row["breaching_contacts"] + weight * overall) / (row["contacts"] + weight)
    return sorted(found, key=lambda r: (-r["expected"], r["agent_id"]))


def agent_rules(con: duckdb.DuckDBPyConnection, agent_id: str) -> list[Row]:
    """Per rule that a collector or his team broke: his findings and breaching contacts, his rate and that of his team, per outbound contact."""
    return rows(
        con,
        """
        WITH outbound AS (SELECT * FROM contacts WHERE direction IS DISTINCT FROM 'inbound'),
        his_team AS (SELECT team FROM outbound WHERE agent_id = $agent ORDER BY at_utc DESC LIMIT 1),
        sizes AS (SELECT count(*) FILTER (WHERE agent_id = $agent) AS mine, count(*) FILTER (WHERE team IS NOT DISTINCT FROM (SELECT team FROM his_team)) AS theirs FROM outbound)
        SELECT f.rule, r.title_zh, r.title_en, r.severity, count(DISTINCT f.finding_id) FILTER (WHERE c.agent_id = $agent) AS findings,
               count(DISTINCT e.seq) FILTER (WHERE c.agent_id = $agent) AS breaching_contacts,
               count(DISTINCT e.seq) FILTER (WHERE c.agent_id = $agent) / any_value(sizes.mine) AS rate,
               count(DISTINCT e.seq) FILTER (WHERE c.team IS NOT DISTINCT FROM (SELECT team FROM his_team)) / any_value(sizes.theirs) AS team_rate
        FROM finding_evidence e JOIN outbound c USING (seq) JOIN findings f USING (finding_id) JOIN rules r ON r.rule = f.rule CROSS JOIN sizes
        WHERE e.role = 'breach' AND (c.agent_id = $agent OR c.team IS NOT DISTINCT FROM (SELECT team FROM his_team))
        GROUP BY f.rule, r.title_zh, r.title_en, r.severity ORDER BY breaching_contacts DESC, f.rule
        """,
        {"agent": agent_id},
    )


def agent_trend(con: duckdb.DuckDBPyConnection, agent_id: str) -> list[Row]:
    """Per week: a collector's outbound contacts and those that breach."""
    return rows(
        con,
        """
        SELECT date_trunc('week', c.on_date)::DATE AS since, count(*) AS contacts, count(DISTINCT e.seq) AS breaching_contacts
        FROM contacts c LEFT JOIN finding_evidence e ON e.seq = c.seq AND e.role = 'breach'
        WHERE c.agent_id = ? AND c.direction IS DISTINCT FROM 'inbound' AND c.on_date IS NOT NULL GROUP BY ALL ORDER BY ALL
        """,
        [agent_id],
    )


def case_ids(con: duckdb.DuckDBPyConnection, limit: int = 500) -> list[str]:
    """Cases, those with most findings first."""
    return [r["case_id"] for r in rows(con, "SELECT c.case_id FROM cases c LEFT JOIN findings f USING (case_id) GROUP BY ALL ORDER BY count(f.finding_id) DESC, c.case_id LIMIT ?", [limit])]


def case_timeline(con: duckdb.DuckDBPyConnection, case_id: str) -> list[Row]:
    """Everything that happened in a case by time: contacts (with the rules they broke), events, promises and payments.

    `what` is contact, event, promise or payment; `broken` the rules, joined by |; `detail` a word or amount. Times are the
    recipient's wall clock for contacts, by the zone of the case's last contact for the rest (UTC where it has none).
    """
    return rows(
        con,
        """
        WITH bad AS (SELECT e.seq, string_agg(DISTINCT f.rule, '|' ORDER BY f.rule) AS broken, any_value(f.finding_id) AS finding_id
                     FROM finding_evidence e JOIN findings f USING (finding_id) WHERE e.role = 'breach' GROUP BY e.seq),
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


def by_dimension(con: duckdb.DuckDBPyConnection, name: str) -> list[Row]:
    """Findings per value of a dimension; with contacts as denominator where a contact has that dimension too.

    Raises:
        KeyError: there is no such dimension.
    """
    column, own = DIMENSIONS[name]
    if own is None:
        return rows(con, f"SELECT {column} AS value, count(*) AS findings, sum(breaches)::BIGINT AS breaches FROM findings GROUP BY ALL ORDER BY findings DESC, value")
    return rows(
        con,
        f"""
        WITH f AS (SELECT {column} AS value, count(*) AS findings FROM findings GROUP BY ALL),
        c AS (SELECT {own} AS value, count(*) AS contacts FROM contacts GROUP BY ALL),
        b AS (SELECT c.{own} AS value, count(DISTINCT e.seq) AS breaching FROM finding_evidence e JOIN contacts c USING (seq)
              WHERE e.role = 'breach' GROUP BY ALL)
        SELECT c.value, coalesce(f.findings, 0) AS findings, coalesce(b.breaching, 0) AS breaching_contacts, c.contacts,
               coalesce(b.breaching, 0) / c.contacts AS rate
        FROM c LEFT JOIN f ON f.value IS NOT DISTINCT FROM c.value LEFT JOIN b ON b.value IS NOT DISTINCT FROM c.value
        ORDER BY findings DESC, c.value
        """,
    )


def trend(con: duckdb.DuckDBPyConnection, unit: str = "week") -> list[Row]:
    """Per week (or day) of the contacts' own dates: contacts, contacts that breach, findings that begin, by severity.

    Raises:
        ValueError: the unit is not day or week.
    """
    if unit not in ("day", "week"):
        raise ValueError(unit)
    return rows(
        con,
        f"""
        WITH c AS (SELECT date_trunc('{unit}', on_date)::DATE AS since, count(*) AS contacts FROM contacts WHERE on_date IS NOT NULL GROUP BY ALL),
        f AS (SELECT date_trunc('{unit}', on_date)::DATE AS since, severity, count(*) AS findings FROM findings GROUP BY ALL)
        SELECT c.since, c.contacts, f.severity, coalesce(f.findings, 0) AS findings
        FROM c LEFT JOIN f ON f.since = c.since ORDER BY c.since, f.severity
        """,
    )


def hour_by_weekday(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Contacts by the recipients' weekday (1 Monday .. 7 Sunday) and hour, with those that breach a rule on hours."""
    return rows(
        con,
        """
        WITH late AS (SELECT DISTINCT e.seq FROM finding_evidence e JOIN findings f USING (finding_id) JOIN rules r ON r.rule = f.rule
                      WHERE r.kind = 'hours' AND e.role = 'breach')
        SELECT isodow(local_at) AS weekday, hour(local_at) AS hour, count(*) AS contacts, count(late.seq) AS outside
        FROM contacts LEFT JOIN late USING (seq) WHERE local_at IS NOT NULL GROUP BY ALL ORDER BY ALL
        """,
    )


def condition(filters: Mapping[str, Sequence[str]] | None) -> tuple[str, list[object]]:
    """(SQL over `findings`, its parameters): name of `FILTERS` -> values, any of which fits."""
    where, params = ["true"], list[object]()
    for name, wanted in (filters or {}).items():
        where.append(f"{FILTERS[name]} IN ({', '.join('?' * len(wanted))})")
        params += list(wanted)
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
        filters: name of `FILTERS` -> values, any of which fits.
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
    """The values that findings have in a dimension, for filters."""
    column = FILTERS[name]
    return [r["value"] for r in rows(con, f"SELECT DISTINCT {column} AS value FROM findings WHERE {column} IS NOT NULL ORDER BY 1")]
