"""Whether two runs are the same, row for row; used by tests and benchmarks alike."""

from __future__ import annotations

from pathlib import Path

import duckdb

from analyzer import store

# What the numbers of signals and the moments of a run are is chance; all else must be the same.
LEFT_OUT = {"finding_evidence": "signal_ids", "signals": "signal_id", "runs": "run_id, command, started_utc, finished_utc"}


def differences(one: Path, other: Path) -> dict[str, int]:
    """Rows that are in one run only, by table; tables without any are left out."""
    found = {}
    with duckdb.connect() as con:
        for name, path in (("a", one), ("b", other)):
            con.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
        for table, _ in store.schema():
            columns = f"* EXCLUDE ({LEFT_OUT[table]})" if table in LEFT_OUT else "*"
            count = con.execute(
                f"SELECT (SELECT count(*) FROM (SELECT {columns} FROM a.{table} EXCEPT ALL SELECT {columns} FROM b.{table}))"
                f" + (SELECT count(*) FROM (SELECT {columns} FROM b.{table} EXCEPT ALL SELECT {columns} FROM a.{table}))"
            ).fetchall()[0][0]
            if count:
                found[table] = count
        marks = "SELECT e.finding_id, e.contact_id, s.* EXCLUDE (signal_id) FROM (SELECT *, unnest(signal_ids) AS signal FROM {0}.finding_evidence) e JOIN {0}.signals s ON s.signal_id = e.signal"
        if con.execute(f"SELECT count(*) FROM ({marks.format('a')} EXCEPT ALL {marks.format('b')})").fetchall()[0][0]:
            found["marks"] = 1
    return found
