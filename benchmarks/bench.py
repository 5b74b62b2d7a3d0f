"""Everything at several sizes in one go, as a table and a picture: `make bench`, or

    python benchmarks/bench.py 100000 1000000 10000000 [--runs 3] [--to docs]

For each size a log is generated; then, in turns and each in a process of its own, DuckDB's bare typed load into a database file and the full
audit with the packs used by default (`--runs` times; once from 5 million on), and once each the audit of the three first packs, the last of sixty days on top of
a run of the others (`--since`; every thousandth earlier contact late, every fiftieth payment dated back), one what-if, an export, the questions
of the pages, the texts alone, `grep -F` over the same octets, and what people would write instead (`peer.py`; its wording on a slice, extrapolated).
Writes docs/benchmarks.md and docs/benchmarks.svg.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import altair as alt
import duckdb
from generate import generate
from run import BARE, timed

from analyzer import runs, summary

HERE = Path(__file__).parent
FIRST_PACKS = "cn-gbt-45251,us-reg-f,lender-playbook"
WHAT_IF = "cn-gbt-45251/interactive-calls.max_calls=2"
RULES = ("quiet-hours", "interactive-calls", "notice-calls")
ONCE_FROM = 5_000_000
SLICE = 2_000
DONE = {0, 1, 5}


@dataclass
class Size:
    """What was measured of one size: (seconds, peak MiB) by part, and what the parts told."""

    rows: int
    parts: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    def seconds(self, part: str) -> float:
        """The median."""
        return statistics.median(s for s, _ in self.parts[part])

    def ratio(self, part: str, to: str) -> float:
        """The median of the ratios of the turns, or the ratio of the medians where their numbers differ."""
        one, other = self.parts[part], self.parts[to]
        if len(one) == len(other):
            return statistics.median(a[0] / b[0] for a, b in zip(one, other, strict=True))
        return self.seconds(part) / self.seconds(to)


def _told(command: list[str]) -> Any:
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.splitlines()[-1])


def before(data: Path, folder: Path) -> None:
    """The log as it was a day earlier, with what came late or was dated back not there yet."""
    folder.mkdir()
    for path in data.iterdir():
        if path.name not in ("contacts.csv", "payments.csv"):
            os.link(path, folder / path.name)
    with (data / "contacts.csv").open(encoding="utf-8") as whole:
        columns = next(whole).rstrip("\n").split(",")
        last = max(line.split(",")[columns.index("started_at")][:10] for line in whole)
    with (data / "contacts.csv").open(encoding="utf-8") as whole, (folder / "contacts.csv").open("w", encoding="utf-8") as part:
        part.writelines(line for number, line in enumerate(whole) if number == 0 or (number % 1000 and line.split(",", 8)[columns.index("started_at")][:10] != last))
    with (data / "payments.csv").open(encoding="utf-8") as whole, (folder / "payments.csv").open("w", encoding="utf-8") as part:
        part.writelines(line for number, line in enumerate(whole) if number == 0 or number % 50)


def measure(rows: int, turns: int) -> Size:
    """One size, all parts."""
    size, program = Size(rows), [sys.executable, "-m", "analyzer.cli"]
    place = Path(tempfile.mkdtemp(prefix="dunaudit-bench-"))
    data, to = place / "data", place / "runs"

    def take(part: str, command: list[str], ok: set[int] = DONE) -> None:
        size.parts.setdefault(part, []).append(timed(command, ok))
        seconds, memory = size.parts[part][-1]
        print(f"{rows:>10,}  {part:24} {seconds:8.2f} s  {memory:8.0f} MiB", flush=True)

    try:
        generate(rows, data)
        for turn in range(turns if rows < ONCE_FROM else 1):
            bare = place / "bare.duckdb"
            take("bare load", [sys.executable, "-c", BARE, str(data / "contacts.csv"), str(bare)], {0})
            bare.unlink()
            take("full audit", [*program, "audit", str(data), "--to", str(to), "--name", f"full{turn}", "--json"])
        take("first packs", [*program, "audit", str(data), "--to", str(to), "--name", "first", "--packs", FIRST_PACKS, "--json"])
        before(data, place / "before")
        subprocess.run([*program, "audit", str(place / "before"), "--to", str(to), "--name", "before", "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        take("one day more", [*program, "audit", str(data), "--to", str(to), "--name", "since", "--since", "before", "--json"])
        full = ["--run", str(to / "full0.duckdb")]
        take("what if", [*program, "backtest", *full, "--set", WHAT_IF, "--json"])
        take("export to CSV", [*program, "export", str(place / "out.csv"), *full])
        take("texts alone", [sys.executable, str(HERE / "parts.py"), "words", str(data)], {0})
        size.told["texts"] = duckdb.sql(f"SELECT count(text) FROM read_csv('{data}/contacts.csv', all_varchar = true)").fetchall()[0][0]
        size.told["grep"] = _told([sys.executable, str(HERE / "parts.py"), "grep", str(data)])
        size.told["pages"] = _told([sys.executable, str(HERE / "parts.py"), "pages", str(to / "full0.duckdb")])
        if rows < ONCE_FROM:
            size.told["peer"] = _told([sys.executable, str(HERE / "peer.py"), str(data), "--slice", str(SLICE)])
            size.told["same"] = _same(to / "full0.duckdb", size.told["peer"]["breaches"])
        return size
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _same(run: Path, counted: dict[str, int]) -> bool:
    """Whether the run has the breaches that pandas counted."""
    with runs.connect(run) as con:
        ours = {row["rule"].split("/")[1]: row["breach"] for row in summary.by_rule(con) if row["rule"].startswith("cn-gbt-45251/")}
    return all(ours[rule] == counted[rule] for rule in RULES)


def lines(size: Size) -> list[tuple[str, str, str, str]]:
    """(part, seconds, peak memory, against what) of one size."""
    against = {"full audit": "bare load", "first packs": "bare load", "one day more": "full audit"}
    found = []
    for part, taken in size.parts.items():
        seconds = sorted(s for s, _ in taken)
        spread = f"{statistics.median(seconds):.2f} ({seconds[0]:.2f}–{seconds[-1]:.2f})" if len(seconds) > 1 else f"{seconds[0]:.2f}"
        to = against.get(part)
        found.append((part, spread, f"{max(m for _, m in taken):,.0f}", f"{size.ratio(part, to):.2f} × {to}" if to else ""))
    alone = size.seconds("texts alone")
    for tool, seconds in size.told["grep"].items():
        found.append((f"{tool} -F", f"{seconds:.2f}", "", f"texts alone are {alone / seconds:.1f} times as long"))
    asked = size.told["pages"]
    slowest = max(asked, key=lambda name: asked[name])
    found.append(("a page's question", f"{statistics.median(asked.values()):.2f} (longest: {slowest}, {asked[slowest]:.2f})", "", ""))
    if "peer" in size.told:
        peer, full = size.told["peer"], size.seconds("full audit")
        whole = peer["relational"] + sum(peer["per_text"].values()) * size.told["texts"]
        found.append(("pandas, three rules, no wording", f"{peer['relational']:.1f}", "", f"{peer['relational'] / full:.2f} × full audit; breaches {'the same' if size.told['same'] else 'NOT THE SAME'}"))
        found.append(("pandas, re, jieba and Presidio", f"{whole:,.0f} (extrapolated from {peer['texts']:,} texts)", "", f"{whole / full:.0f} × full audit"))
    return found


def write(sizes: list[Size], folder: Path) -> None:
    """The table and the picture."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("duckdb", "pyarrow", "pandas", "jieba", "presidio-analyzer"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    text = [
        "# Benchmarks 用时与内存", "",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processors, {memory:.0f} GiB, {platform.system()} {platform.machine()}, Python {platform.python_version()}, {versions}; a shared machine: trust the ratios.",
        "在一台共享的机器上测得：只看比值。", "",
        f"`make bench SIZES=\"{' '.join(str(s.rows) for s in sizes)}\"` made this page. The log is made up (`benchmarks/generate.py` says of what); the memory is that of the main process, and of those it waited for if greater.", "",
    ]  # fmt: skip
    for size in sizes:
        text += [f"## {size.rows:,}", "", "| part | seconds | peak MiB | against |", "|---|---|---|---|"]
        text += [f"| {' | '.join(line)} |" for line in lines(size)]
        text += [""]
    text += ["![seconds by number of contacts](benchmarks.svg)", ""]
    (folder / "benchmarks.md").write_text("\n".join(text), encoding="utf-8")
    rows = [{"contacts": s.rows, "seconds": s.seconds(part), "part": part} for s in sizes for part in s.parts]
    chart = alt.Chart(alt.Data(values=rows)).mark_line(point=True).encode(
        x=alt.X("contacts:Q", scale=alt.Scale(type="log"), title="contacts"), y=alt.Y("seconds:Q", scale=alt.Scale(type="log"), title="seconds"),
        color=alt.Color("part:N", title=None),
    ).properties(width=560, height=340)  # fmt: skip
    chart.save(folder / "benchmarks.svg")


def main() -> None:
    """Measure all sizes and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=[100_000, 1_000_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--to", type=Path, default=HERE.parent / "docs")
    asked = parser.parse_args()
    began = time.perf_counter()
    write([measure(rows, asked.runs) for rows in asked.sizes], asked.to)
    print(f"{time.perf_counter() - began:.0f} s; written to {asked.to}")


if __name__ == "__main__":
    main()
