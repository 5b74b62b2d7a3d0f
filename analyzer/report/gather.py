"""What a report says, as plain values in one language: no layout, no file format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import duckdb

from analyzer import explain, summary
from analyzer.model import Outcome
from analyzer.report.selection import Row, Selection, outcomes, pick
from analyzer.review import Reviews, Standing
from analyzer.rules import SEVERITIES, read_head

# Up to so many findings have a sheet each; more are grouped, a sheet per rule.
SHEETS = 200
# What a sheet prints in full: ledgers of a group, findings listed, rows of a ledger.
EXAMPLES, LISTED, LEDGER = 3, 300, 300


@dataclass(frozen=True)
class Population:
    """Who and what was looked at. `undated_*`: without a date of their own, so in no period and in no week. `near_misses`: of the selection, in no other figure."""

    contacts: int
    contacts_of_run: int
    cases: int
    debtors: int
    agents: int
    breaching_contacts: int
    findings: int
    findings_of_run: int
    near_misses: int
    first_local: Any
    last_local: Any
    undated_contacts: int
    undated_findings: int


@dataclass(frozen=True)
class RuleResult:
    """One rule over the contacts picked. `judged` = breach + clear is the denominator of `rate`; (low, high) Wilson's 95 % interval.

    `rate`, `low` and `high` are None where nothing was judged. `missing`: (fields, joined by |; contacts that they would decide).
    """

    rule: str
    pack: str
    title: str
    severity: str
    strength: str
    effect: str
    known: str
    digest: str
    findings: int
    counts: Mapping[Outcome, int]
    judged: int
    rate: float | None
    low: float | None
    high: float | None
    missing: tuple[tuple[str, int], ...]
    reason: str | None
    citations: tuple[str, ...]

    @property
    def applies(self) -> bool:
        """Whether there is anything to tell: see `summary.applying`."""
        return bool(self.findings or any(n for outcome, n in self.counts.items() if outcome is not Outcome.NOT_APPLICABLE))


@dataclass(frozen=True)
class Sheet:
    """A finding, or the findings of a rule, in the five parts that an auditor asks for; `told` are the ledgers printed in full.

    `affected` counts over all its findings: contacts in breach, debtors, persons who are third parties, cases, collectors.
    """

    result: RuleResult
    why: str
    remedy: str
    not_covered: str
    findings: tuple[Row, ...]
    total: int
    told: tuple[explain.Explained, ...]
    affected: Row


@dataclass(frozen=True)
class Report:
    """A run, or a part of it, as an auditor takes it away; see the fields' own types."""

    lang: str
    run: Row
    selection: Selection
    population: Population
    completeness: Row
    files: tuple[Row, ...]
    rejected: tuple[Row, ...]
    rules: tuple[RuleResult, ...]
    rules_elsewhere: tuple[RuleResult, ...]
    severities: Mapping[str, int]
    weeks: tuple[Row, ...]
    sheets: tuple[Sheet, ...]
    grouped: bool
    sheets_most: int
    standings: Mapping[str, Standing] = field(default_factory=dict)
    """Where the findings of the sheets stand by the log of reviews; empty where nobody has written about any of them."""


def report(
    con: duckdb.DuckDBPyConnection,
    lang: str,
    filters: Mapping[str, Sequence[str]] | None = None,
    period: tuple[date | None, date | None] = (None, None),
    sheets_most: int = SHEETS,
    reviews: Reviews | None = None,
) -> Report:
    """Gather a report.

    Args:
        con: a run.
        lang: "zh" or "en".
        filters: as `summary.findings` takes them. Those on rules choose rules, the others the contacts they are counted over as well.
        period: first and last date, by the contacts' own dates, both included; None: no end.
        sheets_most: up to so many findings have a sheet each, more a sheet per rule.
        reviews: the log whose verdicts are told.

    Raises:
        UsageError: no contact or no rule fits, or the period ends before it begins.
    """
    selection = Selection(dict(filters or {}), *period)
    pick(con, selection)
    results = _results(con, lang, outcomes(con, selection))
    population = _population(con, selection)
    grouped = population.findings > sheets_most
    made = tuple(_sheets(con, lang, {r.rule: r for r in results}, grouped))
    return Report(
        lang, summary.run(con), selection, population, summary.completeness(con), tuple(summary.batches(con)), tuple(summary.rejected(con)),
        tuple(r for r in results if r.applies), tuple(r for r in results if not r.applies), _severities(con), tuple(_weeks(con)),
        made, grouped, sheets_most, _standings(made, reviews),
    )  # fmt: skip


def _standings(sheets: Sequence[Sheet], reviews: Reviews | None) -> Mapping[str, Standing]:
    found = reviews.standings([row for sheet in sheets for row in sheet.findings]) if reviews else {}
    return found if any(one.seen for one in found.values()) else {}


def _population(con: duckdb.DuckDBPyConnection, selection: Selection) -> Population:
    where, params = selection.findings()
    row = summary.rows(
        con,
        f"""
        WITH c AS (SELECT * FROM contacts JOIN picked USING (seq)), f AS (SELECT * FROM findings JOIN chosen USING (finding_id))
        SELECT count(*) AS contacts, (SELECT count(*) FROM contacts) AS contacts_of_run, count(DISTINCT case_id) AS cases, count(DISTINCT debtor_id) AS debtors,
               count(DISTINCT agent_id) AS agents,
               (SELECT count(DISTINCT e.seq) FROM finding_evidence e JOIN picked USING (seq) JOIN findings USING (finding_id) JOIN picked_rules USING (rule) WHERE e.role = 'breach') AS breaching_contacts,
               (SELECT count(*) FROM f) AS findings, (SELECT count(*) FROM {summary.BREACHES}) AS findings_of_run,
               (SELECT count(*) FROM findings WHERE {where}) - (SELECT count(*) FROM f) AS near_misses, min(local_at) AS first_local, max(local_at) AS last_local,
               (SELECT count(*) FROM contacts WHERE on_date IS NULL) AS undated_contacts, (SELECT count(*) FROM {summary.BREACHES} WHERE on_date IS NULL) AS undated_findings
        FROM c
        """,
        params,
    )[0]
    return Population(**row)


def _results(con: duckdb.DuckDBPyConnection, lang: str, told: Sequence[Row]) -> list[RuleResult]:
    """Per rule, those with most findings first."""
    found = []
    for rule in summary.rows(
        con,
        f"""
        SELECT r.rule, r.pack, r.title_{lang} AS title, r.severity, r.strength, r.effect, r.known, r.digest, r.source,
               (SELECT count(*) FROM findings f JOIN chosen USING (finding_id) WHERE f.rule = r.rule) AS findings
        FROM rules r JOIN picked_rules USING (rule) ORDER BY findings DESC, r.rule
        """,
    ):
        mine = [row for row in told if row["rule"] == rule["rule"]]
        counts = {outcome: sum(int(row["contacts"]) for row in mine if row["outcome"] == outcome) for outcome in Outcome}
        breach, judged = counts[Outcome.BREACH], counts[Outcome.BREACH] + counts[Outcome.CLEAR]
        low, high = summary.interval(breach, judged) if judged else (None, None)
        missing = sorted(((row["missing"] or "", int(row["contacts"])) for row in mine if row["outcome"] == Outcome.UNDETERMINED), key=lambda pair: (-pair[1], pair[0]))
        cited = tuple(f"{c['instrument'][lang]} {c['clause'][lang]}" for c in read_head(rule.pop("source"))["citations"])
        reason = next((row["reason"] for row in mine if row["reason"]), None)
        found.append(RuleResult(**rule, counts=counts, judged=judged, rate=breach / judged if judged else None, low=low, high=high, missing=tuple(missing), reason=reason, citations=cited))
    return found


def _severities(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    found = dict(con.execute("SELECT severity, count(*) FROM findings JOIN chosen USING (finding_id) GROUP BY ALL").fetchall())
    return {severity: int(found.get(severity, 0)) for severity in SEVERITIES}


def _weeks(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """Per week (its Monday): contacts picked, those in breach of a rule picked, share with Wilson's interval (low, high)."""
    found = summary.rows(
        con,
        """
        WITH bad AS (SELECT DISTINCT e.seq FROM finding_evidence e JOIN findings USING (finding_id) JOIN picked_rules USING (rule) WHERE e.role = 'breach')
        SELECT date_trunc('week', on_date)::DATE AS since, count(*) AS contacts, count(bad.seq) AS breaching_contacts
        FROM contacts c JOIN picked ON picked.seq = c.seq LEFT JOIN bad ON bad.seq = c.seq WHERE on_date IS NOT NULL GROUP BY ALL ORDER BY ALL
        """,
    )
    for row in found:
        row["rate"] = row["breaching_contacts"] / row["contacts"]
        row["low"], row["high"] = summary.interval(row["breaching_contacts"], row["contacts"])
    return found


def _sheets(con: duckdb.DuckDBPyConnection, lang: str, results: Mapping[str, RuleResult], grouped: bool) -> list[Sheet]:
    """The worst rules first; within a rule by time."""
    key = "f.rule" if grouped else "f.finding_id"
    groups = summary.rows(
        con,
        f"""
        SELECT {key} AS key, any_value(f.rule) AS rule, count(DISTINCT f.finding_id) AS total, min(f.first_utc) AS first_utc, count(DISTINCT e.seq) AS breaches,
               count(DISTINCT c.debtor_id) AS debtors, count(DISTINCT c.case_id) AS cases, count(DISTINCT c.agent_id) AS agents,
               count(DISTINCT coalesce(c.person_id, c.number)) FILTER (WHERE c.party = 'third_party') AS third_parties
        FROM findings f JOIN chosen USING (finding_id) JOIN finding_evidence e ON e.finding_id = f.finding_id AND e.role = 'breach' JOIN contacts c ON c.seq = e.seq
        GROUP BY {key}
        """,
    )
    groups.sort(key=lambda g: (SEVERITIES.index(results[g["rule"]].severity), g["rule"], str(g["first_utc"]), g["key"]))
    found = []
    for group in groups:
        rows = summary.rows(
            con,
            f"SELECT f.* FROM findings f JOIN chosen USING (finding_id) WHERE {key} = ? ORDER BY f.breaches DESC, f.first_utc, f.finding_id LIMIT ?",
            [group["key"], LISTED],
        )
        told = tuple(explain.explain(con, row["finding_id"]) for row in rows[:EXAMPLES])
        texts = told[0].texts
        found.append(Sheet(results[group["rule"]], texts["why"][lang], texts["remedy"][lang], texts["not_covered"][lang], tuple(rows), group["total"], told, group))
    return found
