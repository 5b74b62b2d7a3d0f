"""Run the rules: hits to `hits`, the outcome of every contact counted in `rule_results`.

A rule that fails while it runs does not stop the others: it is `not_evaluated`, for all its contacts, with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import duckdb

from analyzer.checks.base import HITS, ITS_DAY, Reach
from analyzer.checks.bind import Prepared
from analyzer.model import Outcome
from analyzer.store import append

_Result = tuple[str, str, str | None, int, str | None]
"""(rule, outcome, missing, contacts, reason), as in `rule_results`."""


def judge(
    con: duckdb.DuckDBPyConnection,
    rules: Sequence[Prepared],
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, float]:
    """Seconds by rule that was run. Adds to the temporary table `hits` (rule + the columns of `checks.base.HITS`, without undetermined) and rule_results.

    Args:
        con: holds the canonical tables and `signals`.
        rules: as prepared.
        progress: called with (rule, number, of how many) before each rule.
    """
    make_hits(con)
    binding = _binding(con, rules)
    contacts = con.execute("SELECT count(*) FROM contacts").fetchall()[0][0]
    # Of a rule whose pack binds nobody here no contact needs to be looked at.
    results: list[_Result] = [(prepared.rule.ref, Outcome.NOT_APPLICABLE.value, None, contacts, None) for prepared in rules if prepared not in binding]
    rules = binding
    standings = _standings(con, rules)
    seconds: dict[str, float] = {}
    for number, prepared in enumerate(rules, start=1):
        progress(prepared.rule.ref, number, len(rules))
        began = time.perf_counter()
        try:
            results += _run(con, prepared, standings[number - 1])
        except duckdb.Error as error:
            # Only the kind of failure is kept: DuckDB's message may quote a value of the logs.
            ref, total = prepared.rule.ref, sum(standings[number - 1].values())
            con.execute("DELETE FROM hits WHERE rule = ?", [ref])
            results.append((ref, Outcome.NOT_EVALUATED.value, None, total, type(error).__name__))
        seconds[prepared.rule.ref] = time.perf_counter() - began
    append(con, "rule_results", results)
    return seconds


def make_hits(con: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary table `hits`, if it is not there."""
    con.execute(
        "CREATE TEMP TABLE IF NOT EXISTS hits (rule VARCHAR, episode VARCHAR, seq BIGINT, role VARCHAR, measured VARCHAR,"
        " permitted VARCHAR, missing VARCHAR, signal_ids BIGINT[])"
    )


def _binding(con: duckdb.DuckDBPyConnection, rules: Sequence[Prepared]) -> list[Prepared]:
    """The rules whose pack binds at least one contact, by jurisdiction and kind of lender."""
    if not rules:
        return []
    tests = ", ".join(f"coalesce(bool_or({p.compiled.reach.applies}), false)" for p in rules)
    row = con.execute(f"SELECT {tests} FROM (SELECT DISTINCT jurisdiction, lender_kind FROM contacts) c").fetchall()[0]
    return [prepared for prepared, binds in zip(rules, row, strict=True) if binds]


_STANDINGS = ("in_scope", Outcome.UNDETERMINED.value, Outcome.NOT_APPLICABLE.value, Outcome.NOT_IN_FORCE.value)


def _standings(con: duckdb.DuckDBPyConnection, rules: Sequence[Prepared]) -> list[dict[str, int]]:
    """How many contacts have each standing, per rule.

    Rules share most of their conditions, and a million contacts come in a few hundred kinds by all of them together: the contacts of
    each kind are counted in one pass, and the standing of a kind is `Reach.case` said of its conditions.
    """
    if not rules:
        return []
    columns: dict[str, str] = {}
    days: dict[str, str] = {}
    dated: dict[str, str] = {}

    def named(known: dict[str, str], sql: str, letter: str) -> str:
        return known.setdefault(sql, f"{letter}{len(known)}")

    cases = []
    for reach in (prepared.compiled.reach for prepared in rules):
        day = named(days, reach.day, "d")
        force = named(dated, reach.in_force.replace(ITS_DAY, day), "f")
        cases.append(Reach(named(columns, reach.applies, "c"), named(columns, reach.scope, "c"), f"nullif({day}_known, false)", force).case)
    first = ", ".join(f"({sql}) AS {name}" for known in (columns, days) for sql, name in known.items())
    keys = [*columns.values(), *(f"{name} IS NOT NULL AS {name}_known" for name in days.values()), *(f"({sql}) AS {name}" for sql, name in dated.items())]
    kinds = f"SELECT {', '.join(keys)}, count(*) AS contacts FROM (SELECT {first} FROM contacts c) GROUP BY ALL"
    counted: list[dict[str, int]] = [dict.fromkeys(_STANDINGS, 0) for _ in rules]
    for contacts, *standings in con.execute(f"SELECT contacts, {', '.join(cases)} FROM ({kinds})").fetchall():
        for counts, standing in zip(counted, standings, strict=True):
            counts[standing] += contacts
    return counted


def _run(con: duckdb.DuckDBPyConnection, prepared: Prepared, standing: dict[str, int]) -> list[_Result]:
    """What it says of the contacts; its hits go to `hits`."""
    ref = prepared.rule.ref
    con.execute(f"CREATE OR REPLACE TEMP TABLE found AS SELECT {HITS} FROM ({prepared.compiled.hits})")
    con.execute("INSERT INTO hits SELECT ?, * FROM found WHERE role <> 'undetermined'", [ref])
    told = con.execute(
        "SELECT role, CASE role WHEN 'undetermined' THEN missing END AS lacks, count(DISTINCT seq) FROM found"
        " WHERE role IN ('breach', 'undetermined') GROUP BY ALL"
    ).fetchall()
    rows: list[tuple[str, str | None, int]] = [(role, lacks, int(n)) for role, lacks, n in told]
    clear = standing["in_scope"] + standing[Outcome.UNDETERMINED.value] - sum(n for _, _, n in rows)
    if clear < 0:
        raise AssertionError(f"{ref} judges more contacts than are in its scope")
    rows.append((Outcome.CLEAR.value, None, clear))
    rows += [(o.value, None, standing[o.value]) for o in (Outcome.NOT_APPLICABLE, Outcome.NOT_IN_FORCE)]
    return [(ref, o, m, n, None) for o, m, n in rows if n]
