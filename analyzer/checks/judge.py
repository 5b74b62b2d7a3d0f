"""Run the rules: hits to `hits`, the outcome of every contact counted in `rule_results`.

A rule that fails while it runs does not stop the others: it is `not_evaluated`, for all its contacts, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb

from analyzer.checks.base import HITS
from analyzer.checks.bind import Prepared
from analyzer.model import Outcome


def judge(
    con: duckdb.DuckDBPyConnection,
    rules: Sequence[Prepared],
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> None:
    """Add to the temporary table `hits` (rule + the columns of `checks.base.HITS`, without undetermined) and rule_results.

    Args:
        con: holds the canonical tables and `signals`.
        rules: as prepared.
        progress: called with (rule, number, of how many) before each rule.
    """
    con.execute(
        "CREATE TEMP TABLE IF NOT EXISTS hits (rule VARCHAR, episode VARCHAR, seq BIGINT, role VARCHAR, measured VARCHAR,"
        " permitted VARCHAR, missing VARCHAR, signal_ids BIGINT[])"
    )
    total = con.execute("SELECT count(*) FROM contacts").fetchall()[0]
    for number, prepared in enumerate(rules, start=1):
        progress(prepared.rule.ref, number, len(rules))
        try:
            _run(con, prepared, int(total[0]))
        except duckdb.Error as error:
            # Only the kind of failure is kept: DuckDB's message may quote a value of the logs.
            con.execute("DELETE FROM hits WHERE rule = ?", [prepared.rule.ref])
            con.execute("DELETE FROM rule_results WHERE rule = ?", [prepared.rule.ref])
            con.execute(
                "INSERT INTO rule_results VALUES (?, ?, NULL, ?, ?)",
                [prepared.rule.ref, Outcome.NOT_EVALUATED.value, total[0], type(error).__name__],
            )


def _run(con: duckdb.DuckDBPyConnection, prepared: Prepared, total: int) -> None:
    ref = prepared.rule.ref
    con.execute(f"CREATE OR REPLACE TEMP TABLE found AS SELECT {HITS} FROM ({prepared.compiled.hits})")
    con.execute("INSERT INTO hits SELECT ?, * FROM found WHERE role <> 'undetermined'", [ref])
    counts: dict[tuple[str, str | None], int] = {}
    for standing, contacts in con.execute(f"SELECT standing, count(*) FROM ({prepared.compiled.standing}) GROUP BY 1").fetchall():
        counts[(standing, None)] = contacts
    unsure = con.execute(
        "SELECT missing, count(DISTINCT seq) FROM found WHERE role = 'undetermined' GROUP BY 1"
    ).fetchall()
    breach = con.execute("SELECT count(DISTINCT seq) FROM found WHERE role = 'breach'").fetchall()[0]
    rows: list[tuple[str, str | None, int]] = [(Outcome.BREACH.value, None, int(breach[0]))]
    rows += [(Outcome.UNDETERMINED.value, missing, n) for missing, n in unsure]
    judged = counts.get(("in_scope", None), 0) + counts.get((Outcome.UNDETERMINED.value, None), 0)
    rows.append((Outcome.CLEAR.value, None, judged - sum(n for _, _, n in rows)))
    rows += [
        (outcome.value, None, counts.get((outcome.value, None), 0)) for outcome in (Outcome.NOT_APPLICABLE, Outcome.NOT_IN_FORCE)
    ]
    assert sum(n for _, _, n in rows) == total, ref
    con.executemany("INSERT INTO rule_results VALUES (?, ?, ?, ?, NULL)", [[ref, o, m, n] for o, m, n in rows if n])
