"""Time and peak memory of a full audit beside DuckDB's bare typed load of the same contacts into a database file.

    python benchmarks/run.py 1000000 [10000000] [--runs 3] [--memory 3GB]

For each size, in one go: generate, then in turns (bare, audit, bare, audit, ...) each in a process of its own, so that
a shared machine slows both alike. Prints the medians with their spread, peak memory, and a line `ratio: 2.31`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from generate import generate

BARE = """
import duckdb, sys
con = duckdb.connect(sys.argv[2])
con.execute("CREATE TABLE contacts AS SELECT * FROM read_csv(?, header = true, auto_detect = false, delim = ',', quote = '\\"', escape = '\\"',"
            " columns = {'contact_id': 'VARCHAR', 'case_id': 'VARCHAR', 'person_id': 'VARCHAR', 'number': 'VARCHAR', 'agent_id': 'VARCHAR',"
            " 'channel': 'VARCHAR', 'direction': 'VARCHAR', 'started_at': 'TIMESTAMP', 'duration_s': 'INTEGER', 'outcome': 'VARCHAR',"
            " 'call_type': 'VARCHAR', 'text': 'VARCHAR', 'recording_id': 'VARCHAR'})", [sys.argv[1]])
con.close()
"""


def timed(command: list[str], ok: set[int]) -> tuple[float, float]:
    """(seconds, peak MiB) of one process.

    Raises:
        RuntimeError: its exit code is not one of `ok`.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code
    if code not in ok:
        raise RuntimeError(f"exit {code}: {told.decode(errors='replace')[-500:]}")
    return seconds, usage.ru_maxrss / 1024


def measure(rows: int, runs: int, memory: str = "") -> dict[str, float]:
    """Medians for one size; prints its lines."""
    folder = Path(tempfile.mkdtemp(prefix="dunaudit-bench-"))
    try:
        data = folder / "data"
        generate(rows, data)
        bare: list[tuple[float, float]] = []
        full: list[tuple[float, float]] = []
        for number in range(runs):
            target = folder / "bare.duckdb"
            target.unlink(missing_ok=True)
            bare.append(timed([sys.executable, "-c", BARE, str(data / "contacts.csv"), str(target)], {0}))
            target.unlink()
            out = folder / f"runs{number}"
            full.append(timed([sys.executable, "-m", "analyzer.cli", "audit", str(data), "--to", str(out), "--json", *(["--memory", memory] if memory else [])], {0, 1, 5}))
            shutil.rmtree(out)
        ratio = statistics.median(f[0] / b[0] for f, b in zip(full, bare, strict=True))
        for name, taken in (("bare load", bare), ("full audit", full)):
            seconds = sorted(t[0] for t in taken)
            print(f"{rows} rows  {name:10}  median {statistics.median(seconds):.2f} s ({seconds[0]:.2f}-{seconds[-1]:.2f}), peak {max(t[1] for t in taken):.0f} MiB")
        print(f"ratio: {ratio:.2f}")
        return {"rows": rows, "audit": statistics.median(f[0] for f in full), "ratio": ratio}
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Measure each size, and how the largest compares with the smallest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1_000_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", default="")
    asked = parser.parse_args()
    results = [measure(rows, asked.runs, asked.memory) for rows in asked.sizes]
    if len(results) > 1:
        small, large = results[0], results[-1]
        print(f"{large['rows']:.0f} rows take {large['audit'] / small['audit']:.1f} times as long as {small['rows']:.0f}")


if __name__ == "__main__":
    main()
