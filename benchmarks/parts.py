"""Single parts of the work, each in a process of its own for `bench.py`: `words FOLDER`, `grep FOLDER`, `pages RUN`.

`words` reads the texts of a log as an audit does (shapes, reader, personal data) without any rule; `grep` scans the same octets for our terms with
`grep -F` (and `rg -F` where it is installed); `pages` asks what the pages of overview, hours and findings ask of a run. Each prints one JSON object of seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from analyzer import rules, runs, store, summary
from analyzer.text import TextReader, load_lexicons

# As `store.spoken_to` gives them to an audit: the names of the case's debtor hidden.
TEXTS = (
    f"SELECT row_number() OVER () AS seq, {store.without_names('t.text', 'd.names')} AS text, true AS owes, NULL::BOOLEAN AS knows, {store.on_business('t')} AS on_business"
    " FROM read_csv($contacts, all_varchar = true) t LEFT JOIN (SELECT case_id, list(DISTINCT name)[:2] AS names FROM read_csv($persons, all_varchar = true)"
    " WHERE relation = 'self' GROUP BY case_id) d USING (case_id) WHERE t.text IS NOT NULL"
)
BATCH = 20_000


def words(folder: Path) -> dict[str, float]:
    """The texts alone: loading the lexicons, and reading."""
    began = time.perf_counter()
    with TextReader(rules.lexicon_folder(rules.rules_folder()), many=True) as reader, duckdb.connect() as con:
        con.execute(f"CREATE TABLE texts AS {TEXTS}", {name: str(folder / f"{name}.csv") for name in ("contacts", "persons")})
        loaded = time.perf_counter()
        found = reader.read(con.sql("SELECT * FROM texts").to_arrow_reader(BATCH), ("CN_ID", "BANK_CARD"))
    return {"load": loaded - began, "read": time.perf_counter() - loaded, "texts": found.shapes.num_rows}


def grep(folder: Path) -> dict[str, float]:
    """One pass for our terms over the texts."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="dunaudit-bench-") as place:
        texts, terms = Path(place) / "texts", Path(place) / "terms"
        with duckdb.connect() as con, texts.open("w", encoding="utf-8") as lines:
            for (text,) in con.execute("SELECT replace(text, chr(10), ' ') FROM read_csv(?, all_varchar = true) WHERE text IS NOT NULL", [str(folder / "contacts.csv")]).fetchall():
                lines.write(text + "\n")
        terms.write_text("\n".join(t for t in load_lexicons(rules.lexicon_folder(rules.rules_folder())).terms.words if len(t) > 1 and "\n" not in t), encoding="utf-8")
        for tool in ("grep", "rg"):
            if shutil.which(tool):
                began = time.perf_counter()
                # Into a file: where nobody reads them, grep stops at the first.
                with (Path(place) / "hits").open("wb") as out:
                    subprocess.run([tool, "-a", "-F", "-f", str(terms), str(texts)], stdout=out, check=False, env={**os.environ, "LC_ALL": "C"})
                found[tool] = time.perf_counter() - began
    return found


def pages(run: Path) -> dict[str, float]:
    """What the pages ask, each three times; the median."""
    with runs.connect(run) as con:
        asked: dict[str, Callable[[], object]] = {
            "totals": lambda: summary.totals(con), "by rule": lambda: summary.by_rule(con), "trend": lambda: summary.trend(con),
            "hours": lambda: summary.hour_by_weekday(con), "findings": lambda: summary.findings(con),
            "findings, filtered": lambda: summary.findings(con, {"severity": ["high"]}), "findings, far": lambda: summary.findings(con, offset=50_000),
            "contacts": lambda: summary.contacts(con, {"breaching": ["1"]}),
        }  # fmt: skip
        taken = {}
        for name, ask in asked.items():
            times = []
            for _ in range(3):
                began = time.perf_counter()
                ask()
                times.append(time.perf_counter() - began)
            taken[name] = statistics.median(times)
    return taken


if __name__ == "__main__":
    print(json.dumps({"words": words, "grep": grep, "pages": pages}[sys.argv[1]](Path(sys.argv[2]))))
