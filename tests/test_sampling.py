"""Samples: the same seed draws the same, sizes and limits are those of the tables, a paper is judged on its upper limit."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from hashlib import sha256
from math import comb
from pathlib import Path
from typing import Any

import duckdb
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from scipy import stats

from analyzer import audit, runs, sampling
from analyzer.errors import DunAuditError, InputError, UsageError
from analyzer.intake import folder_mapping, load_mapping
from analyzer.tables import Sheet, csv_bytes
from tests.conftest import ROOT

MADE = datetime(2026, 1, 1)
ENDLESS = 10**7


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = str(ROOT / "sample_logs")
    mapping = folder_mapping([logs])
    assert mapping is not None
    return audit.run([logs], tmp_path_factory.mktemp("runs"), mapping=load_mapping(mapping), packs=["cn-gbt-45251"], run_id="r").path


@pytest.fixture
def con(run: Path) -> Any:
    con = runs.connect(run)
    yield con
    con.close()


# AICPA Audit Guide "Audit Sampling", appendix A: confidence, tolerable and expected rate -> size, deviations.
@pytest.mark.parametrize(
    ("confidence", "tolerable", "expected", "size", "may_show"),
    [
        (0.95, 0.02, 0, 149, 0), (0.95, 0.03, 0, 99, 0), (0.95, 0.04, 0, 74, 0), (0.95, 0.05, 0, 59, 0), (0.95, 0.10, 0, 29, 0), (0.95, 0.20, 0, 14, 0),
        (0.95, 0.05, 0.01, 93, 1), (0.95, 0.05, 0.015, 124, 2), (0.95, 0.05, 0.0175, 153, 3), (0.95, 0.05, 0.02, 181, 4), (0.95, 0.10, 0.02, 46, 1),
        (0.90, 0.05, 0, 45, 0), (0.90, 0.10, 0, 22, 0), (0.90, 0.05, 0.01, 77, 1), (0.90, 0.10, 0.01, 38, 1),
    ],
)  # fmt: skip
def test_sizes_are_those_of_the_published_tables(confidence: float, tolerable: float, expected: float, size: int, may_show: int) -> None:
    assert sampling.attribute_size(ENDLESS, confidence, tolerable, expected) == (size, may_show)


def _exactly_at_most(k: int, n: int, deviating: int, population: int) -> Fraction:
    return Fraction(sum(comb(deviating, i) * comb(population - deviating, n - i) for i in range(min(k, n) + 1)), comb(population, n))


@settings(max_examples=150, deadline=None)
@given(st.integers(20, 400), st.sampled_from([0.9, 0.95, 0.99]), st.sampled_from([0.03, 0.05, 0.1]), st.sampled_from([0.0, 0.01, 0.02]))
def test_a_size_is_the_smallest_that_is_enough(population: int, confidence: float, tolerable: float, expected: float) -> None:
    """By exact fractions: with what it may show the risk is kept, with one item less it is not."""
    size, may_show = sampling.attribute_size(population, confidence, tolerable, expected)
    deviating, risk = -(-Fraction(str(tolerable)) * population // 1), Fraction(1) - Fraction(str(confidence))
    assert size <= population and expected * size <= max(may_show, expected * population)
    if size < population:
        assert _exactly_at_most(may_show, size, int(deviating), population) <= risk < _exactly_at_most(may_show, size - 1, int(deviating), population)
        assert sampling.allowed(population, size, confidence, tolerable) == may_show


# AICPA Audit Guide "Audit Sampling", appendix A, 95 %: size, deviations -> upper limit, per cent.
@pytest.mark.parametrize(("size", "found", "limit"), [(25, 0, 11.3), (25, 1, 17.6), (50, 0, 5.9), (60, 0, 4.9), (100, 0, 3.0), (100, 1, 4.7), (100, 2, 6.2), (100, 3, 7.6), (200, 2, 3.1)])
def test_limits_are_those_of_the_published_tables(size: int, found: int, limit: float) -> None:
    # The tables round up in the last place.
    assert limit - 0.1 < 100 * sampling.clopper_pearson(found, size, 0.95) <= limit + 0.05
    assert abs(sampling.upper_limit(found, size, ENDLESS, 0.95) - sampling.clopper_pearson(found, size, 0.95)) < 1e-4


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_the_limit_is_clopper_and_pearsons(size: int, data: st.DataObject, confidence: float) -> None:
    found = data.draw(st.integers(0, size))
    beta = 1.0 if found == size else float(stats.beta.ppf(confidence, found + 1, size - found))
    assert abs(sampling.clopper_pearson(found, size, confidence) - beta) < 1e-9
    population, deviating = size + data.draw(st.integers(0, 400)), data.draw(st.integers(0, size))
    assert abs(sampling.at_most(found, size, deviating, population) - stats.hypergeom.cdf(found, population, deviating, size)) < 1e-9
    assert found / population <= sampling.upper_limit(found, size, population, confidence) <= beta + 1e-9


def test_the_limit_covers_the_truth_as_often_as_it_says() -> None:
    """Of all samples from 300 with 15 deviations, the limit lies below the true rate in no more than 5 of 100."""
    missed = [sum(stats.hypergeom.pmf(k, 300, 15, size) for k in range(16) if sampling.upper_limit(k, size, 300, 0.95) < 15 / 300) for size in range(20, 290, 10)]
    assert max(missed) <= 0.05 and max(missed) > 0.03


def _paper(con: duckdb.DuckDBPyConnection, **more: Any) -> sampling.Drawn:
    return sampling.draw(con, sampling.Plan(**{"of": "contacts", "method": "random", "seed": "7", **more}), "en")


def _ids(drawn: sampling.Drawn) -> list[str]:
    return [row[drawn.paper.columns.index("item_id")] for row in drawn.paper.rows]


def test_the_same_seed_draws_the_same_by_a_rule_anybody_can_repeat(con: duckdb.DuckDBPyConnection) -> None:
    unflagged = [r[0] for r in con.execute("SELECT contact_id FROM contacts WHERE seq NOT IN (SELECT seq FROM finding_evidence WHERE role = 'breach')").fetchall()]
    drawn = _paper(con, size=50)
    assert _ids(drawn) == sorted(unflagged, key=lambda i: sha256(f"7\n{i}".encode()).hexdigest())[:50]
    assert (drawn.population, drawn.size) == (len(unflagged), 50)
    assert _ids(_paper(con, size=50)) == _ids(drawn) != _ids(_paper(con, size=50, seed="8"))
    assert _ids(_paper(con, size=30)) == _ids(drawn)[:30]
    found = {r[0] for r in con.execute("SELECT finding_id FROM findings").fetchall()}
    assert set(_ids(_paper(con, of="findings", size=10))) <= found and _paper(con, of="findings", size=10**6).size == len(found)


def test_every_item_is_as_likely_as_any_other(con: duckdb.DuckDBPyConnection) -> None:
    """Over 200 seeds: how often each of the findings is drawn is what chance gives (chi-square, p above one in ten thousand)."""
    times = Counter(i for seed in range(200) for i in _ids(_paper(con, of="findings", seed=str(seed), size=5)))
    population = _paper(con, of="findings", size=1).population
    expected = 1000 / population
    assert stats.chi2.sf(sum((times[i] - expected) ** 2 / expected for i in times) + (population - len(times)) * expected, population - 1) > 1e-4


def test_no_hash_order_of_python_reaches_a_paper(run: Path, tmp_path: Path) -> None:
    papers = []
    for seed in ("0", "1"):
        command = [sys.executable, "-m", "analyzer.cli", "sample", "--of", "contacts", "--method", "stratified", "--size", "40", "--seed", "x", "--run", str(run), "--to", str(tmp_path / f"{seed}.csv"), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed})
        assert json.loads(done.stdout)["size"] == 40
        papers.append((tmp_path / f"{seed}.csv").read_bytes())
    assert papers[0] == papers[1]


def test_strata_get_their_share(con: duckdb.DuckDBPyConnection) -> None:
    drawn = _paper(con, method="stratified", size=60)
    at = {name: drawn.paper.columns.index(name) for name in ("stratum", "stratum_population", "stratum_size")}
    strata = Counter(row[at["stratum"]] for row in drawn.paper.rows)
    told = {row[at["stratum"]]: (row[at["stratum_population"]], row[at["stratum_size"]]) for row in drawn.paper.rows}
    assert sum(strata.values()) == 60 and sum(p for p, _ in told.values()) == drawn.population and len(strata) > 2
    for name, (population, size) in told.items():
        assert strata[name] == size and (size == 1 or abs(size - 60 * population / drawn.population) < 2)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 1000), min_size=1, max_size=8), st.integers(1, 300))
def test_what_is_allotted_adds_up(sizes: dict[str, int], size: int) -> None:
    size = min(size, sum(sizes.values()))
    parts = sampling.allotted(sizes, size)
    assert sum(parts.values()) == size and all(0 < many <= sizes[name] for name, many in parts.items())
    assert size < len(sizes) or set(parts) == set(sizes)


def _fill(drawn: sampling.Drawn, path: Path, results: list[str], encoding: str = "utf-8-sig") -> Path:
    at = drawn.paper.columns.index("result")
    rows = [(*row[:at], result, *row[at + 1 :]) for row, result in zip(drawn.paper.rows, [*results, *["ok"] * len(drawn.paper.rows)], strict=False)]
    path.write_bytes(csv_bytes(Sheet("items", drawn.paper.columns, rows)).decode("utf-8-sig").encode(encoding))
    return path


def test_a_paper_is_judged_on_the_upper_limit(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    drawn = _paper(con, method="attribute", tolerable=0.05, expected=0.01)
    assert drawn.allowed == 1 and 80 < drawn.size < 93 and "hypergeometric" in drawn.reason and str(drawn.population) in drawn.reason
    for results, verdict, deviations in (
        ([], "accepted", 0), (["deviation"], "accepted", 1), (["偏差", "偏差"], "rejected", 2), (["deviation", "unclear"], "rejected", 2), ([""], "open", 0),
    ):  # fmt: skip
        told = sampling.judge(_fill(drawn, tmp_path / "p.csv", results, "gb18030" if results == ["偏差", "偏差"] else "utf-8-sig"))
        assert (told.verdict, told.deviations) == (verdict, deviations)
        if verdict != "open":
            # The rate in the sample is below what is tolerable either way: it is the limit that decides.
            assert told.rate < 0.05 and (told.upper < 0.05) == (verdict == "accepted")
            assert told.upper_binomial == sampling.clopper_pearson(deviations, drawn.size, 0.95) > told.upper


def test_strata_are_judged_together_with_care(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    drawn = _paper(con, method="stratified", size=200)
    told = sampling.judge(_fill(drawn, tmp_path / "p.csv", ["deviation"]))
    assert sum(s.population for s in told.strata) == told.population and sum(s.deviations for s in told.strata) == told.deviations == 1
    assert told.upper >= sampling.clopper_pearson(1, 200, 0.95) and told.upper_binomial is None
    assert told.upper <= 1 and all(s.upper >= s.rate for s in told.strata)


def test_a_workbook_is_filled_in_and_judged(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    drawn, path = _paper(con, size=12), tmp_path / "p.xlsx"
    sampling.write_paper(drawn, path, MADE)
    first = path.read_bytes()
    sampling.write_paper(drawn, path, MADE)
    assert path.read_bytes() == first
    plan = dict(CalamineWorkbook.from_path(str(path)).get_sheet_by_name("sampling").to_python()[1:])
    assert plan["seed"] == "7" and plan["size"] == 12 and plan["population"] == drawn.population
    header, *lines = CalamineWorkbook.from_path(str(path)).get_sheet_by_name("items").to_python()
    with xlsxwriter.Workbook(tmp_path / "filled.xlsx") as book:
        page = book.add_worksheet("items")
        page.write_row(0, 0, header)
        for number, line in enumerate(lines, start=1):
            for c, (name, cell) in enumerate(zip(header, line, strict=True)):
                page.write(number, c, "ok" if name == "result" else str(cell) if isinstance(cell, datetime) else cell)
    told = sampling.judge(tmp_path / "filled.xlsx")
    assert (told.size, told.examined, told.deviations, told.population) == (12, 12, 0, drawn.population)
    assert told.verdict == "rejected"  # twelve without a deviation say too little about five per cent


@pytest.mark.parametrize("more", [{"of": "cases"}, {"method": "all"}, {"method": "attribute", "size": 5}, {"strata": "channel"}, {"method": "stratified", "strata": "rule"}, {"tolerable": 0.01, "expected": 0.02}, {"confidence": 1.0}])
def test_a_plan_that_is_none_is_one_sentence(more: dict[str, Any], con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(UsageError):
        _paper(con, **more)


def test_a_paper_that_was_changed_is_refused(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    drawn = _paper(con, size=10)
    whole = _fill(drawn, tmp_path / "p.csv", []).read_text(encoding="utf-8-sig")
    header, *lines = list(csv.reader(io.StringIO(whole)))
    for changed in (lines[1:], [*lines, lines[0]], [["x" if n == "result" else c for n, c in zip(header, line, strict=True)] for line in lines]):
        out = io.StringIO()
        csv.writer(out).writerows([header, *changed])
        (tmp_path / "c.csv").write_text(out.getvalue(), encoding="utf-8")
        with pytest.raises(InputError):
            sampling.judge(tmp_path / "c.csv")
    for name, data in (("e.csv", b""), ("n.csv", b"a,b\r\n1,2\r\n"), ("x.xlsx", b"PK no"), ("gone.csv", None)):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(DunAuditError):
            sampling.judge(tmp_path / name)
    with pytest.raises(UsageError):
        sampling.write_paper(drawn, tmp_path / "p.doc", MADE)


@pytest.mark.parametrize(
    ("column", "value", "every"),
    [("tolerable", "nan", True), ("population", "inf", True), ("tolerable", "0.2", True), ("confidence", "0.5", True), ("confidence", "1.5", True), ("population", "3", True), ("of", "王建国 13800138000", True), ("method", "by hand", True), ("seed", "other", False), ("allowed", "9", True)],
)  # fmt: skip
def test_a_plan_that_was_changed_is_refused(column: str, value: str, every: bool, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Also where a pack is to take the paper along: what it says of its plan leaves unmasked."""
    path = _fill(_paper(con, of="contacts"), tmp_path / "p.csv", [])
    header, *lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    for line in lines if every else lines[:1]:
        line[header.index(column)] = value
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *lines])
    for asked in (lambda: sampling.judge(path), lambda: sampling.sheet_of([path])):
        with pytest.raises(InputError) as error:
            asked()
        assert error.value.key in ("sampling.plan", "sampling.no_paper")


@pytest.mark.parametrize("plan", [{"of": "contacts"}, {"of": "contacts", "method": "attribute"}, {"of": "findings", "method": "stratified", "strata": "rule", "size": 20}, {"of": "contacts", "method": "stratified", "strata": "team"}])
def test_a_paper_is_drawn_again_from_its_run(plan: dict[str, Any], con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    drawn = _paper(con, **plan)
    path = _fill(drawn, tmp_path / "p.csv", ["ok"] * drawn.size)
    assert sampling.judge(path, con) == sampling.judge(path)
    at = drawn.paper.columns.index("item_id")
    swapped = replace(drawn, paper=replace(drawn.paper, rows=[(*row[:at], "another", *row[at + 1 :]) if place == 0 else row for place, row in enumerate(drawn.paper.rows)]))
    with pytest.raises(InputError) as error:
        sampling.judge(_fill(swapped, tmp_path / "q.csv", ["ok"] * drawn.size), con)
    assert error.value.key == "sampling.not_drawn"


def test_a_size_is_not_enlarged_by_binary_fractions() -> None:
    """0.07 of 100 is seven: 100 with seven deviations is enough, and the next size that is was 108."""
    assert sampling.attribute_size(1000, 0.99, 0.15, 0.07) == (100, 7)


def test_strata_that_were_not_drawn_from_count_even_if_only_one_was(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    drawn = sampling.draw(con, sampling.Plan("contacts", "stratified", "x", 59, strata="team"))
    sampling.write_paper(drawn, tmp_path / "p.csv", MADE)
    header, *rows = list(csv.reader(io.StringIO((tmp_path / "p.csv").read_text(encoding="utf-8-sig"))))
    at = {name: header.index(name) for name in ("stratum", "stratum_population", "stratum_size", "population", "size", "result", "ordinal")}
    for number, row in enumerate(rows, start=1):
        for name, value in (("stratum", "a"), ("stratum_population", "900"), ("stratum_size", "59"), ("population", "1000"), ("size", "59"), ("result", "ok"), ("ordinal", str(number))):
            row[at[name]] = value
    with (tmp_path / "p.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    told = sampling.judge(tmp_path / "p.csv")
    # A hundred of the thousand were in strata that nobody drew from, and may all be deviations.
    assert told.upper > 0.1 and told.verdict == "rejected"
