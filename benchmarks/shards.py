"""The same audit on one machine, in shards, on Sail, and since another run: seconds, peak memory of the main process, and ratios.

    python benchmarks/shards.py 1000000 [--shards 8]

Each in a process of its own, one after another. Every table of the other runs is compared with the first; prints `equal` or what differs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from generate import generate
from run import timed

from tests.same import differences

SAIL = "from pysail.spark import SparkConnectServer; import sys; s = SparkConnectServer('127.0.0.1', 0); s.start(background=True); print(s.listening_address[1], flush=True); sys.stdin.read()"

def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("rows", type=int)
    parser.add_argument("--shards", type=int, default=8)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dunaudit-bench-"))
    program, done = [sys.executable, "-m", "analyzer.cli"], {0, 1, 5}
    try:
        generate(asked.rows, folder / "data")
        (folder / "before").mkdir()
        for path in (folder / "data").iterdir():
            os.link(path, folder / "before" / path.name)
        # One day of sixty is not there yet: every sixtieth contact.
        (folder / "before" / "contacts.csv").unlink()
        with (folder / "data" / "contacts.csv").open(encoding="utf-8") as whole, (folder / "before" / "contacts.csv").open("w", encoding="utf-8") as part:
            part.writelines(line for number, line in enumerate(whole) if number == 0 or number % 60)
        timed([*program, "audit", str(folder / "before"), "--to", str(folder / "runs"), "--name", "before", "--json"], done)
        times = {"one machine": timed([*program, "audit", str(folder / "data"), "--to", str(folder / "runs"), "--name", "one", "--json"], done)}
        times["since, one part of sixty new"] = timed([*program, "audit", str(folder / "data"), "--to", str(folder / "runs"), "--name", "since", "--since", "before", "--json"], done)
        times["preparing shards"] = timed([*program, "shard", str(folder / "data"), "--to", str(folder / "shards"), "--shards", str(asked.shards)], done)
        times[f"{asked.shards} shards, one after another"] = timed([*program, "audit", str(folder / "shards"), "--engine", "shards", "--to", str(folder / "runs"), "--name", "shards", "--json"], done)
        with subprocess.Popen([sys.executable, "-c", SAIL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as sail:
            assert sail.stdout is not None and sail.stdin is not None
            remote = f"sc://127.0.0.1:{int(sail.stdout.readline())}"
            times[f"{asked.shards} shards on Sail"] = timed([*program, "audit", str(folder / "shards"), "--engine", "spark", "--remote", remote, "--to", str(folder / "runs"), "--name", "sail", "--json"], done)
            sail.stdin.close()
        base = times["one machine"][0]
        for name, (seconds, memory) in times.items():
            print(f"{name}: {seconds:.1f} s, ratio {seconds / base:.2f}, {memory:.0f} MiB")
        for name in ("since", "shards", "sail"):
            print(f"{name}: {', '.join(differences(folder / 'runs' / 'one.duckdb', folder / 'runs' / f'{name}.duckdb')) or 'equal'}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
