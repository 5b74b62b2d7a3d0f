"""What a report is about: findings by filters and period, and the contacts they are counted over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import duckdb

from analyzer import summary
from analyzer.errors import UsageError
from analyzer.model import Outcome

Row = dict[str, Any]
# The filters that choose rules; all others choose contacts, by the column of `contacts` that is meant.
_OF_RULES = ("rule", "pack", "severity", "strength")
_OF_CONTACTS = {name: own for name, (_, own) in summary.DIMENSIONS.items() if own} | {"case": "case_id", "debtor": "debtor_id"}


@dataclass(frozen=True)
class Selection:
    """Filters as `summary.findings` takes them, and a period of the contacts' own dates, both ends included.

    A finding belongs to the date and the collector of its first breaching contact; a contact to its own.
    """

    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    since: date | None = None
    until: date | None = None

    @property
    def all_contacts(self) -> bool:
        """Whether it leaves out no contact."""
        return self.since is None and self.until is None and summary.keeps_contacts(self.filters)

    def _period(self) -> tuple[str, list[object]]:
        ends = [("on_date >= ?", self.since), ("on_date <= ?", self.until)]
        return " AND ".join(["true", *(sql for sql, day in ends if day)]), [day for _, day in ends if day]

    def findings(self) -> tuple[str, list[object]]:
        """(SQL over `findings`, its parameters)."""
        where, params = summary.condition(self.filters)
        period, days = self._period()
        return f"({where}) AND ({period})", [*params, *days]

    def contacts(self) -> tuple[str, list[object]]:
        """(SQL over `contacts`, its parameters)."""
        where, params = self._period()
        return self._narrowed(where, params, _OF_CONTACTS)

    def rules(self) -> tuple[str, list[object]]:
        """(SQL over `rules`, its parameters)."""
        return self._narrowed("true", [], {name: name for name in _OF_RULES})

    def _narrowed(self, where: str, params: list[object], columns: Mapping[str, str]) -> tuple[str, list[object]]:
        for name, wanted in self.filters.items():
            if name in columns:
                where += f" AND coalesce({columns[name]}::VARCHAR, '{summary.NO_VALUE}') IN ({', '.join('?' * len(wanted))})"
                params = [*params, *wanted]
        return where, params


def pick(con: duckdb.DuckDBPyConnection, selection: Selection) -> None:
    """Make the temporary tables `picked` (seq), `picked_rules` (rule) and `chosen` (finding_id) that everything here is counted over. Near misses are no breaches: neither they nor their rules are in.

    Raises:
        UsageError: the period ends before it begins, or no contact or no rule fits.
    """
    if selection.since and selection.until and selection.since > selection.until:
        raise UsageError("report.period", since=selection.since, until=selection.until)
    for table, column, source, (where, params) in (
        ("picked", "seq", "contacts", selection.contacts()), ("picked_rules", "rule", f"(SELECT * FROM rules WHERE kind <> '{summary.NEAR_MISS}')", selection.rules()),
        ("chosen", "finding_id", summary.BREACHES, selection.findings()),
    ):  # fmt: skip
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {column} FROM {source} WHERE {where}", params)
        if table != "chosen" and not con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]:
            raise UsageError("report.nothing")


def outcomes(con: duckdb.DuckDBPyConnection, selection: Selection) -> list[Row]:
    """Per rule picked, outcome and missing fields: contacts picked, as in `rule_results` (columns rule, outcome, missing, contacts, reason).

    Where contacts are left out, each rule that applies to some contact is judged again by the statements that the run keeps: over
    all contacts, since a window may reach beyond the selection, and counted over the contacts picked.
    """
    told = summary.rows(con, "SELECT r.* FROM rule_results r JOIN picked_rules USING (rule) ORDER BY ALL")
    if selection.all_contacts:
        return told
    size = int(con.execute("SELECT count(*) FROM picked").fetchall()[0][0])
    reasons = {row["rule"]: row["reason"] for row in told if row["outcome"] == Outcome.NOT_EVALUATED}
    nowhere = {row["rule"] for row in told} - {row["rule"] for row in told if row["outcome"] != Outcome.NOT_APPLICABLE}
    found: list[Row] = []
    with summary.whole_run(con) as judge:
        judge.register("picked_given", con.sql("SELECT seq FROM picked").to_arrow_table())
        judge.execute("CREATE OR REPLACE TEMP TABLE picked AS SELECT * FROM picked_given")
        for rule, hits, standing in con.execute("SELECT rule, hits_sql, standing_sql FROM rules JOIN picked_rules USING (rule) ORDER BY rule").fetchall():
            if rule in reasons or rule in nowhere:
                outcome = Outcome.NOT_EVALUATED if rule in reasons else Outcome.NOT_APPLICABLE
                found.append({"rule": rule, "outcome": outcome.value, "missing": None, "contacts": size, "reason": reasons.get(rule)})
            else:
                found += [{"rule": rule, "reason": None} | row for row in _judged_again(judge, hits, standing)]
    return found


def _judged_again(judge: duckdb.DuckDBPyConnection, hits: str, standing: str) -> list[Row]:
    """Outcome, missing fields and contacts picked of one rule, judged over all contacts."""
    return summary.rows(
        judge,
        f"""
        WITH told AS (SELECT DISTINCT seq, role, CASE role WHEN 'undetermined' THEN missing END AS missing FROM ({hits}) WHERE role IN ('breach', 'undetermined'))
        SELECT coalesce(t.role, CASE WHEN s.standing IN ('in_scope', 'undetermined') THEN 'clear' ELSE s.standing END) AS outcome, t.missing, count(*) AS contacts
        FROM ({standing}) s JOIN picked USING (seq) LEFT JOIN told t ON t.seq = s.seq GROUP BY ALL ORDER BY ALL
        """,
    )
