"""The benchmarks themselves: the log of the day before, what pandas counts beside what an audit finds, and the page that is written."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from analyzer import audit, runs, summary
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import bench
import peer
from generate import generate


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up log of twenty thousand contacts."""
    folder = tmp_path_factory.mktemp("bench") / "log"
    generate(20_000, folder)
    return folder


def test_an_audit_finds_the_breaches_that_pandas_counts(log: Path, tmp_path: Path) -> None:
    result = audit.run([str(log)], tmp_path, packs=["cn-gbt-45251"])
    counted = peer.breaches(log)
    with runs.connect(result.path) as con:
        found = {row["rule"].split("/")[1]: row["breach"] for row in summary.by_rule(con)}
    assert {rule: found[rule] for rule in bench.RULES} == counted
    assert counted["quiet-hours"] > 100


def test_the_day_before_lacks_the_last_day_the_late_rows_and_the_payments_dated_back(log: Path, tmp_path: Path) -> None:
    bench.before(log, tmp_path / "before")

    def read(folder: Path, name: str) -> list[dict[str, str]]:
        with (folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    whole, part = read(log, "contacts.csv"), read(tmp_path / "before", "contacts.csv")
    last = max(row["started_at"] for row in whole)[:10]
    early = [row for row in whole if row["started_at"][:10] != last]
    assert 0 < len(early) < len(whole)
    assert len(part) == len(early) - sum(1 for number, row in enumerate(whole, start=1) if number % 1000 == 0 and row["started_at"][:10] != last)
    assert len(read(tmp_path / "before", "payments.csv")) == len(read(log, "payments.csv")) - len(read(log, "payments.csv")) // 50
    assert (tmp_path / "before" / "cases.csv").read_bytes() == (log / "cases.csv").read_bytes()


def test_the_page_says_median_spread_and_ratio_of_turns(tmp_path: Path) -> None:
    size = bench.Size(1000)
    size.parts = {"bare load": [(1.0, 10), (2.0, 12), (4.0, 11)], "full audit": [(3.0, 100), (8.0, 120), (10.0, 90)], "texts alone": [(6.0, 50)]}
    size.told = {
        "grep": {"grep": 2.0}, "pages": {"totals": 0.1, "hours": 0.5, "trend": 0.2}, "texts": 900, "same": True,
        "peer": {"relational": 4.0, "texts": 10, "per_text": {"re": 0.1, "jieba": 0.2, "presidio": 0.3}},
    }  # fmt: skip
    bench.write([size], tmp_path)
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert "| full audit | 8.00 (3.00–10.00) | 120 | 3.00 × bare load |" in page  # ratios 3, 4, 2.5
    assert "| grep -F | 2.00 |  | texts alone are 3.0 times as long |" in page
    assert "| pandas, re, jieba and Presidio | 544 (extrapolated from 10 texts) |  | 68 × full audit |" in page
    assert "longest: hours, 0.50" in page
    assert (tmp_path / "benchmarks.svg").read_text(encoding="utf-8").startswith("<svg")
