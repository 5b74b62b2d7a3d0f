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
    """Per file and reason: rows rejected, with the column or clash of one of them."""
    return rows(
        con,
        "SELECT b.file, r.reason, any_value(r.detail) AS detail, count(*) AS rows FROM rejects r JOIN batches b USING (batch_id) GROUP BY ALL ORDER BY rows DESC, b.file",
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
