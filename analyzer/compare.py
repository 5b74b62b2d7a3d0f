"""Two runs side by side, and one run under other values: what is new, what is gone, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from analyzer import explain, runs, summary, yamlfile
from analyzer.checks import prepare
from analyzer.errors import UsageError
from analyzer.model import Rule
from analyzer.rules import select
from analyzer.sql import literal

_FINDING = "finding_id, rule, severity, case_id, agent_id, team, vendor, first_local, breaches"


@dataclass(frozen=True)
class Difference:
    """Findings of two runs. Each is a row of `findings` with `state` and `why`; `counts` by state.

    `state`: new, resolved or open. `why` of a new or resolved one: rule_added, rule_removed, rule_changed (its file),
    data_added, data_removed (a contact of its evidence is in one run only) or data_changed; of an open one: same,
    evidence_changed or rule_changed.
    """

    old: str
    new: str
    counts: dict[str, int]
    findings: list[dict[str, Any]]

    def by(self, column: str) -> list[dict[str, Any]]:
        """Findings by a column of theirs (`BY`) and state: value, new, resolved, open; the largest change first."""
        groups: dict[Any, dict[str, Any]] = {}
        for finding in self.findings:
            row = groups.setdefault(finding[column], {"value": finding[column], "new": 0, "resolved": 0, "open": 0})
            row[finding["state"]] += 1
        return sorted(groups.values(), key=lambda r: (-abs(r["new"] - r["resolved"]), -r["open"], str(r["value"])))


BY = ("vendor", "team", "agent_id", "rule", "severity")
"""What two runs can be compared by."""


@contextmanager
def _both(old: Path, new: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    for path in (old, new):
        # Says in one sentence what is wrong with a file that is no run.
        runs.connect(path).close()
    with duckdb.connect(":memory:") as con:
        con.execute(f"ATTACH {literal(str(old))} AS a (READ_ONLY)")
        con.execute(f"ATTACH {literal(str(new))} AS b (READ_ONLY)")
        yield con


def diff(old: Path, new: Path) -> Difference:
    """New, resolved and open findings of the run in `new` against the one in `old`.

    Raises:
        InputError: one of the files is not a run of this version.
    """
    gone = "EXISTS (SELECT 1 FROM {0}.finding_evidence e WHERE e.finding_id = f.finding_id AND e.contact_id NOT IN (SELECT contact_id FROM {1}.contacts))"
    with _both(old, new) as con:
        names = [con.execute(f"SELECT run_id FROM {side}.runs").fetchall()[0][0] for side in "ab"]
        found = summary.rows(con, f"""
            SELECT 'new' AS state, CASE WHEN r.rule IS NULL THEN 'rule_added' WHEN r.digest <> f.rule_digest THEN 'rule_changed'
                   WHEN {gone.format("b", "a")} THEN 'data_added' ELSE 'data_changed' END AS why, {_columns("f")}
            FROM b.findings f LEFT JOIN a.rules r ON r.rule = f.rule WHERE f.finding_id NOT IN (SELECT finding_id FROM a.findings)
            UNION ALL
            SELECT 'resolved', CASE WHEN r.rule IS NULL THEN 'rule_removed' WHEN r.digest <> f.rule_digest THEN 'rule_changed'
                   WHEN {gone.format("a", "b")} THEN 'data_removed' ELSE 'data_changed' END, {_columns("f")}
            FROM a.findings f LEFT JOIN b.rules r ON r.rule = f.rule WHERE f.finding_id NOT IN (SELECT finding_id FROM b.findings)
            UNION ALL
            SELECT 'open', CASE WHEN o.rule_digest <> f.rule_digest THEN 'rule_changed' WHEN o.evidence_digest <> f.evidence_digest THEN 'evidence_changed'
                   ELSE 'same' END, {_columns("f")}
            FROM b.findings f JOIN a.findings o USING (finding_id)
            ORDER BY 1, 4, 3
        """)
    counts = {state: sum(row["state"] == state for row in found) for state in ("new", "resolved", "open")}
    return Difference(names[0], names[1], counts, found)


def _columns(alias: str) -> str:
    return ", ".join(f"{alias}.{name.strip()}" for name in _FINDING.split(","))


@dataclass(frozen=True)
class WhatIf:
    """One rule over a run's data with other values. `added` and `removed`: findings by rule, team and vendor of their first contact.

    `stale`: whether the rule's file is not the one the run used, so that not all of the difference comes from the values.
    """

    rule: str
    changes: dict[str, Any]
    stale: bool
    before: int
    after: int
    contacts_before: int
    contacts_after: int
    added: list[dict[str, Any]]
    removed: list[dict[str, Any]]


def read_changes(asked: list[str]) -> dict[str, dict[str, Any]]:
    """"pack/rule.parameter=value" to {rule: {parameter: value}}; a value is read as YAML does.

    Raises:
        UsageError: not of that form.
    """
    found: dict[str, dict[str, Any]] = {}
    for text in asked:
        left, equals, value = text.partition("=")
        rule, dot, parameter = left.rpartition(".")
        if not (equals and dot and rule and parameter):
            raise UsageError("usage.set", text=text[:80])
        found.setdefault(rule, {})[parameter] = yamlfile.parse(f"value: {value}\n").data["value"]
    return found


def changed(rule: Rule, changes: Mapping[str, Any]) -> Rule:
    """A rule with other values: a dated value takes the new one on all its dates, a parameter of the check is replaced.

    Raises:
        UsageError: the rule has no such value or parameter.
    """
    values, check = dict(rule.values), dict(rule.check)
    for name, value in changes.items():
        if name in values:
            values[name] = tuple((day, None if old is None else value) for day, old in values[name])
        elif name in check and name not in ("kind", "scope"):
            check[name] = value
        else:
            have = [*values, *(key for key in check if key not in ("kind", "scope"))]
            raise UsageError("usage.no_parameter", rule=rule.ref, name=name, have=", ".join(have))
    return replace(rule, values=values, check=check)


def backtest(run: Path, folder: Path, asked: list[str]) -> list[WhatIf]:
    """What the changed rules would have found on a run's data.

    Args:
        run: a run file; it is only read.
        folder: the rules folder.
        asked: see `read_changes`.

    Raises:
        UsageError: no such rule or parameter.
        RuleErrors: the values do not fit the check.
    """
    found = []
    packs = select(folder)
    with runs.connect(run) as con:
        for name, changes in read_changes(asked).items():
            rule = explain.named_rule(packs, name)
            used = con.execute("SELECT digest, hits_sql FROM rules WHERE rule = ?", [rule.ref]).fetchall()
            if not used:
                raise UsageError("usage.rule_not_in_run", rule=rule.ref)
            # A near miss is bound together with the rule it is of.
            needed = (rule.ref, rule.check.get("of"))
            few = [replace(p, rules=tuple(changed(r, changes) if r.ref == rule.ref else r for r in p.rules if r.ref in needed)) for p in packs]
            item = next(p for p in prepare(few) if p.rule.ref == rule.ref)
            found.append(_what_if(con, rule, changes, used[0][0] != rule.digest, item.compiled.hits))
    return found


def _what_if(con: duckdb.DuckDBPyConnection, rule: Rule, changes: dict[str, Any], stale: bool, hits: str) -> WhatIf:
    con.execute(f"CREATE OR REPLACE TEMP TABLE tried AS SELECT DISTINCT episode, seq FROM ({hits}) WHERE role = 'breach'")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE was AS SELECT DISTINCT f.episode, e.seq FROM findings f JOIN finding_evidence e USING (finding_id)"
        " WHERE f.rule = ? AND e.role = 'breach'",
        [rule.ref],
    )
    # An episode may be named after its first contact or date, which other values move: findings are the same where they share a contact.
    groups = (
        "SELECT c.team, c.vendor, count(*) AS findings FROM (SELECT episode, min(seq) AS seq, bool_or(seq IN (SELECT seq FROM {1})) AS kept FROM {0} GROUP BY episode) g"
        " JOIN contacts c USING (seq) WHERE NOT kept GROUP BY ALL ORDER BY findings DESC, c.team, c.vendor"
    )
    count = "SELECT count(DISTINCT episode), count(DISTINCT seq) FROM {}"
    before, after = (con.execute(count.format(table)).fetchall()[0] for table in ("was", "tried"))
    return WhatIf(
        rule.ref, changes, stale, before[0], after[0], before[1], after[1],
        summary.rows(con, groups.format("tried", "was")), summary.rows(con, groups.format("was", "tried")),
    )  # fmt: skip
