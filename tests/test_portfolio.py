"""Portfolio and early warning: figures computed by hand on a few cases, sums that agree, unknowns that are counted, pages and command."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from analyzer import audit, early_warning, portfolio, runs, summary
from analyzer.cli import app
from analyzer.errors import RuleErrors
from analyzer.messages import say

ROOT = Path(__file__).parents[1]
MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)
# K1 is behind since 16 March, K2 since 1 April, K3 since 20 February, K5 (one due date, no instalments) since 1 March; of K4 nothing is known
# but the amount; K6 was paid off and closed in February.
CASES = """案件编号,放款机构,借款金额,放款日期,到期日,结清日期
K1,江岸银行,10000,2025-12-16,,
K2,江岸银行,8000,2026-01-20,,
K3,禾木小贷,6000,2026-01-20,,
K4,禾木小贷,5000,2026-01-20,,
K5,江岸银行,9000,2026-01-20,2026-03-01,
K6,江岸银行,1000,2025-12-16,,2026-02-10
"""
INSTALMENTS = """案件编号,期次,应还日期,应还金额
K1,1,2026-01-16,3000
K1,2,2026-02-16,3000
K1,3,2026-03-16,3000
K1,4,2026-04-16,3000
K2,1,2026-03-01,4000
K2,2,2026-04-01,4000
K3,1,2026-02-20,2000
K3,2,2026-03-20,2000
K3,3,2026-04-20,2000
K6,1,2026-01-16,1000
"""
PAYMENTS = """还款编号,案件编号,还款时间,还款金额
P1,K1,2026-01-16 09:00:00,3000
P2,K1,2026-02-16 22:00:00,3000
P3,K6,2026-02-10 09:00:00,1000
P4,K2,2026-03-01 20:00:00,4000
P5,K1,2026-04-01,1000
P6,K1,2026-04-10 10:00:00,500
"""
CONTACTS = """流水号,案件编号,与客户关系,渠道,方向,通话时间,通话时长,通话结果,坐席工号,委外机构,催记内容
c1,K3,本人,电话,呼出,2026-03-02 23:00:00,60,接通,B1,乙催收,核对账单
c2,K1,本人,电话,呼出,2026-03-20 10:00:00,120,接通,A1,甲催收,核对账单
c3,K2,本人,电话,呼出,2026-03-10 10:00:00,0,无人接听,N1,,无人接听
c4,K5,本人,电话,呼出,2026-03-25 10:00:00,,接通,A1,甲催收,核对账单
c5,K1,本人,短信,呼出,2026-04-01 09:00:00,,已发送,A1,甲催收,核对账单
c6,K3,本人,电话,呼出,2026-04-02 10:00:00,90,无人接听,A1,甲催收,无人接听
c7,K2,本人,电话,呼出,2026-04-10 10:00:00,30,接通,N1,,核对账单
"""
FILES = {"cases.csv": CASES, "instalments.csv": INSTALMENTS, "payments.csv": PAYMENTS, "contacts.csv": CONTACTS}

Run = Callable[..., tuple[audit.RunResult, duckdb.DuckDBPyConnection]]
Write = Callable[..., Path]


@pytest.fixture
def small(run: Run, write: Write) -> Callable[..., duckdb.DuckDBPyConnection]:
    """small(without=...) -> the tiny log as a run; `without` names a file to leave out."""

    def make(without: str = "", **options: Any) -> duckdb.DuckDBPyConnection:
        return run([write(name, text) for name, text in FILES.items() if name != without], **options)[1]

    return make


@pytest.fixture(autouse=True)
def _release() -> Iterator[None]:
    yield
    st.cache_resource.clear()


def figures(rows: list[dict[str, Any]], month: date) -> dict[str, dict[str, Any]]:
    return {r["figure"] if r["figure"] != portfolio.INFLOW else f"inflow {r['on_date'].day}": r for r in rows if r["month"] == month}


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[k] for k in ("on_date", "base_on", "numerator", "denominator", "in_class", "accounts", "unknown"))


def test_the_four_rates_are_those_of_the_handbook(small: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    """Left on 1 Feb: K1 10000 x 9/12, K2 8000, K3 6000, K5 9000, K6 1000; on 16 and 28 Feb: K1 5000, K2 8000, K3 6000, K5 9000; on 1 and 10 March K2 4000."""
    rows = portfolio.rates(small())
    march, april = figures(rows, MARCH), figures(rows, APRIL)
    assert told(march["inflow 1"]) == (date(2026, 3, 1), date(2026, 2, 1), 9000, 31500, 1, 5, 1)
    assert told(march["inflow 16"]) == (date(2026, 3, 16), date(2026, 2, 16), 5000, 28000, 1, 4, 1)
    assert march["C-M1%($)"]["rate"] == pytest.approx(float((Fraction(9000, 31500) + Fraction(5000, 28000)) / 2)) and march["C-M1%($)"]["complete"]
    assert told(march["M1%($)"]) == (date(2026, 3, 31), date(2026, 2, 28), 14000, 28000, 2, 4, 1) and march["M1%($)"]["rate"] == 0.5
    assert told(march["M2%(#)"]) == (date(2026, 3, 31), date(2026, 2, 28), 1, 5, 1, 5, 1) and march["M2%(#)"]["rate"] == 0.2
    assert told(march["M2%($)"])[2:] == (6000, 28000, 1, 4, 1) and march["M2%($)"]["rate"] == pytest.approx(3 / 14)
    # The data end on 10 April: measured there against 10 March, and said so; the 16th has not come.
    assert told(april["M1%($)"]) == (date(2026, 4, 10), date(2026, 3, 10), 7750, 24000, 2, 4, 1)
    assert (april["M2%(#)"]["numerator"], april["M2%($)"]["numerator"]) == (2, 15000)
    assert "inflow 16" not in april and april["C-M1%($)"]["rate"] == pytest.approx(1 / 6)
    assert not april["C-M1%($)"]["complete"] and not april["M1%($)"]["complete"] and march["M1%($)"]["complete"]
    assert {r["missing"] for r in rows} == {"instalments"}
    assert [(r["contacts"], r["breaching_contacts"]) for r in (march["M1%($)"], april["M1%($)"])] == [(4, 1), (3, 0)]


@pytest.mark.parametrize("by", portfolio.SCOPES)
def test_vendors_and_lenders_add_up_to_the_whole(by: str, small: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    con = small()
    parts = portfolio.rates(con, by)
    names = ("numerator", "denominator", "in_class", "accounts", "unknown")
    for whole in portfolio.rates(con):
        same = [r for r in parts if (r["month"], r["figure"]) == (whole["month"], whole["figure"]) and (r["figure"] != portfolio.INFLOW or r["on_date"] == whole["on_date"])]
        assert len(same) > (whole["month"] == APRIL or whole["figure"] in portfolio.FIGURES) and all(sum(r[n] for r in same) == whole[n] for n in names), whole
    march = {(r["value"], r["assigned"]): r for r in parts if (r["month"], r["figure"]) == (MARCH, "M1%($)")}
    if by == "vendor":
        assert {key: (r["numerator"], r["denominator"], r["unknown"], r["contacts"], r["breaching_contacts"]) for key, r in march.items()} == {
            ("甲催收", True): (14000, 14000, 0, 2, 0), ("乙催收", True): (0, 6000, 0, 1, 1), (None, True): (0, 8000, 0, 1, 0), (None, False): (0, 0, 1, 0, 0),
        }  # fmt: skip
    else:
        assert march["禾木小贷", True]["unknown"] == 1 and march["江岸银行", True]["numerator"] == 14000


def test_without_payments_nothing_is_zero(small: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    con = small(without="payments.csv")
    march = figures(portfolio.rates(con), MARCH)
    for name in ("M1%($)", "M2%($)"):
        assert (march[name]["rate"], march[name]["unknown"], march[name]["accounts"], march[name]["missing"]) == (None, 5, 0, "instalments|payments")
    # Of K5 the class is known without payments, of the others it is not.
    assert (march["M2%(#)"]["unknown"], march["M2%(#)"]["in_class"]) == (4, 0)
    assert all(r["repaid"] is r["paying"] is r["rate"] is r["per_contact"] is None for r in portfolio.effort(con, "vendor"))
    assert portfolio.effort_totals(con)[0]["paid"] is None and portfolio.case_weeks(con)[0]["repaid"] is None


def test_a_due_date_without_instalments_has_no_rate(small: Callable[..., duckdb.DuckDBPyConnection], tmp_path: Path) -> None:
    text = (ROOT / "rules" / portfolio.FILE).read_text(encoding="utf-8")
    (tmp_path / portfolio.FILE).write_text(text.replace("[1, 16]", "[1, 7]").replace("0.6", "0.5"), encoding="utf-8")
    used = portfolio.measures(tmp_path)
    con = small()
    march = figures(portfolio.rates(con, used=used), MARCH)
    assert march["inflow 7"]["rate"] is None and march["inflow 7"]["denominator"] > 0
    assert march["C-M1%($)"]["rate"] == march["inflow 1"]["rate"] and not march["C-M1%($)"]["complete"]
    assert portfolio.m1_share(con, used=used)[0]["target"] == 0.5
    (tmp_path / portfolio.FILE).write_text(text.replace("[1, 16]", "[1, 31]").replace("known:", "knwon:"), encoding="utf-8")
    with pytest.raises(RuleErrors) as caught:
        portfolio.measures(tmp_path)
    assert {p.params[0][1] for p in caught.value.problems} >= {"known", "knwon"} and any("due_days" in p.text("en") for p in caught.value.problems)


def test_who_was_behind_before_does_not_flow_in_and_who_is_closed_is_out(run: Run, write: Write) -> None:
    """K1 settles February's instalment on 20 March: on the 16th it was behind already. K2 was closed unpaid before the base date. K3 flows in."""
    cases = "案件编号,借款金额,放款日期,结清日期\nK1,2000,2026-01-01,\nK2,2000,2026-01-01,2026-02-10\nK3,1000,2026-01-01,\n"
    dues = "案件编号,期次,应还日期,应还金额\nK1,1,2026-02-16,1000\nK1,2,2026-03-16,1000\nK2,1,2026-03-16,2000\nK3,1,2026-03-16,1000\n"
    paid = "还款编号,案件编号,还款时间,还款金额\nP1,K1,2026-03-20 10:00:00,1000\n"
    contacts = CONTACTS.splitlines()[0] + "\nc1,K1,本人,电话,呼出,2026-03-25 10:00:00,60,接通,B1,,核对账单\n"
    files = [write(name, text) for name, text in (("cases.csv", cases), ("instalments.csv", dues), ("payments.csv", paid), ("contacts.csv", contacts))]
    march = figures(portfolio.rates(run(files)[1]), MARCH)["inflow 16"]
    assert (march["numerator"], march["denominator"], march["in_class"], march["accounts"]) == (1000, 3000, 1, 2)


def test_a_balance_stands_in_for_the_amount_lent(run: Run, write: Write) -> None:
    """K1: 5000 left now of 8 x 1000 of which 4 are paid: 10000 lent. K2: neither, so it is unknown."""
    cases = "案件编号,剩余本金,放款日期\nK1,5000,2025-12-16\nK2,,2025-12-16\n"
    dues = "案件编号,期次,应还日期,应还金额\n" + "".join(f"{k},{i},2026-{i:02}-10,1000\n" for k in ("K1", "K2") for i in range(1, 9))
    paid = "还款编号,案件编号,还款时间,还款金额\n" + "".join(f"{k}{i},{k},2026-{i:02}-10 10:00:00,1000\n" for k in ("K1", "K2") for i in range(1, 5))
    contacts = CONTACTS.splitlines()[0] + "\nc1,K1,本人,电话,呼出,2026-03-02 10:00:00,60,接通,B1,,核对账单\n"
    files = [write(name, text) for name, text in (("cases.csv", cases), ("instalments.csv", dues), ("payments.csv", paid), ("contacts.csv", contacts))]
    row = figures(portfolio.rates(run(files)[1]), MARCH)["M1%($)"]
    assert (row["denominator"], row["accounts"], row["unknown"], row["missing"]) == (7500, 1, 1, "principal")


def test_effort_counts_each_payment_once(small: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    """P5 has no time of day and follows c5 of that day; P6 comes nine days after it; P4 was paid before the first contact."""
    con = small()
    by_vendor = {r["value"]: r for r in portfolio.effort(con, "vendor")}
    names = ("contacts", "reached", "not_reached", "unknown", "case_weeks", "repaid", "paying")
    assert tuple(by_vendor["甲催收"][n] for n in names) == (4, 2, 1, 1, 4, 1000, 1) and by_vendor["甲催收"]["rate"] == 0.25
    assert tuple(by_vendor["乙催收"][n] for n in names) == (1, 1, 0, 0, 1, 0, 0)
    assert tuple(by_vendor[None][n] for n in names) == (2, 1, 1, 0, 2, 0, 0)
    total = portfolio.effort_totals(con)[0]
    assert {k: total[k] for k in ("contacts", "reached", "not_reached", "unknown", "open", "undated", "payments")} == {"contacts": 7, "reached": 4, "not_reached": 2, "unknown": 1, "open": 1, "undated": 0, "payments": 2}
    assert (total["paid"], total["repaid"], total["unprompted"]) == (1500, 1000, 500)
    for by in portfolio.EFFORT:
        for channels in (False, True):
            rows = portfolio.effort(con, by, channels)
            assert all(sum(r[n] for r in rows) == total[n] for n in ("contacts", "reached", "not_reached", "unknown", "repaid")), by
    assert {r["value"]: r["contacts"] for r in portfolio.effort(con, "class")} == {"C": 1, "M1": 5, "M2": 1}
    weeks = portfolio.case_weeks(con)
    assert len(weeks) == 7 and [(r["case_id"], r["week"], r["channels"], r["vendor"]) for r in weeks if r["repaid"]] == [("K1", date(2026, 3, 30), {"sms": 1}, "甲催收")]


def test_a_payment_after_two_contacts_belongs_to_the_later(run: Run, write: Write) -> None:
    """Paid at 12:00: after the call at 9 and the one at 11, before the one at 13."""
    head = CONTACTS.splitlines()[0]
    calls = "".join(f"c{h},K1,本人,电话,呼出,2026-03-02 {h:02}:00:00,60,接通,{a},,核对账单\n" for h, a in ((9, "A1"), (11, "A2"), (13, "A3")))
    agents = "坐席工号,姓名,小组\nA1,甲,一组\nA2,乙,二组\nA3,丙,三组\n"
    files = [write("contacts.csv", f"{head}\n{calls}"), write("agents.csv", agents), write("payments.csv", "还款编号,案件编号,还款时间,还款金额\nP1,K1,2026-03-02 12:00:00,70.5\n")]
    con = run(files)[1]
    assert {r["value"]: r["repaid"] for r in portfolio.effort(con, "team")} == {"一组": 0, "二组": Decimal("70.5"), "三组": 0}


def test_the_share_of_effort_on_m1(small: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    """Overdue at the contact: c1, c2, c4, c5, c7 in M1, c6 in M2; c3 is a reminder; c4 has no duration."""
    con = small()
    row = portfolio.m1_share(con)[0]
    assert {k: row[k] for k in ("contacts", "on_class", "seconds", "seconds_on_class", "untimed", "reminders", "unknown", "target")} == {
        "contacts": 6, "on_class": 5, "seconds": 300, "seconds_on_class": 210, "untimed": 1, "reminders": 1, "unknown": 0, "target": 0.6,
    }  # fmt: skip
    assert row["rate"] == pytest.approx(5 / 6) and row["time_rate"] == pytest.approx(0.7) and (row["low"], row["high"]) == summary.interval(5, 6)
    for by in ("month", "vendor", "team"):
        assert sum(r["on_class"] for r in portfolio.m1_share(con, by)) == 5 and sum(r["contacts"] for r in portfolio.m1_share(con, by)) == 6


def test_an_account_of_unknown_class_is_in_no_share(run: Run, write: Write) -> None:
    con = run([write("contacts.csv", CONTACTS)])[1]
    row = portfolio.m1_share(con)[0]
    assert (row["contacts"], row["rate"], row["unknown"]) == (0, None, 7)
    march = figures(portfolio.rates(con), MARCH)["M2%(#)"]
    assert (march["numerator"], march["denominator"], march["rate"], march["unknown"]) == (0, 0, None, 4)


def warned(write: Write) -> Path:
    """A1 calls at night from 29 January on (half of 40 calls), never in the 28 days before; A2 has too few calls; one call ends near the curfew."""
    head, lines = CONTACTS.splitlines()[0], []
    for agent, before, now in (("A1", 40, 40), ("A2", 29, 40)):
        for period, calls in ((date(2026, 1, 1), before), (date(2026, 1, 29), now)):
            for i in range(calls):
                night = agent == "A1" and period.day == 29 and i % 2
                day = period + timedelta(days=i % 28)
                lines.append(f"{agent}{period.day}-{i},{agent}{period.day}K{i},本人,电话,呼出,{day} {'23' if night else '10'}:00:00,60,接通,{agent},,核对账单")
    lines.append("near,NK,本人,电话,呼出,2026-02-25 21:55:00,60,接通,A2,,核对账单")
    return write("contacts.csv", "\n".join([head, *lines]) + "\n")


def test_whose_rate_is_rising(run: Run, write: Write) -> None:
    con = run([warned(write)], packs=[], with_packs=["early-warning"])[1]
    rows = {r["value"]: r for r in early_warning.rising(con, "agent")}
    first = rows["A1"]
    assert (first["before_from"], first["from_on"], first["until_on"]) == (date(2026, 1, 1), date(2026, 1, 29), date(2026, 2, 25))
    assert (first["breaching_before"], first["contacts_before"], first["breaching_contacts"], first["contacts"]) == (0, 40, 20, 40)
    low, high = summary.interval(20, 40)
    assert (first["low"], first["high"], first["trend"]) == (low, high, "rising")
    assert first["change_low"] == pytest.approx(0.5 - ((0.5 - low) ** 2 + summary.interval(0, 40)[1] ** 2) ** 0.5)
    # One contact too few before: no rate; and its near miss is no breach.
    assert (rows["A2"]["enough"], rows["A2"]["rate"], rows["A2"]["trend"], rows["A2"]["breaching_contacts"]) == (False, None, None, 0)
    assert {r["value"]: r["enough"] for r in early_warning.rising(con, "agent", least=29)} == {"A1": True, "A2": True}
    assert sum(r["contacts"] for r in rows.values()) == early_warning.rising(con, "vendor")[0]["contacts"] == 81
    near = {r["rule"]: r for r in early_warning.near_rules(con)}
    assert {(r["what"], r["margin"], r["of"]) for r in near.values()} == {("limit", 1, "cn-gbt-45251/interactive-calls"), ("limit", 1, "us-reg-f/seven-in-seven"), ("edge", 10, "cn-gbt-45251/quiet-hours")}
    assert (near["early-warning/near-quiet-hours"]["near"], near["early-warning/near-quiet-hours"]["findings"]) == (1, 1)


# Command and pages
def test_the_command_on_the_sample_logs(tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["audit", str(ROOT / "sample_logs"), "--to", str(tmp_path), "--with", "early-warning", "--json"]).exit_code == 1
    done = runner.invoke(app, ["portfolio", "--run", str(tmp_path), "--by", "vendor", "--json"])
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert {r["jurisdiction"] for r in data["rates"]} == {"CN", "US"} and {r["figure"] for r in data["rates"]} == {*portfolio.FIGURES, portfolio.INFLOW}
    con = runs.connect(runs.locate(tmp_path))
    try:
        for whole in portfolio.rates(con):
            if whole["figure"] != portfolio.INFLOW:
                same = [r for r in data["rates"] if all(r[k] == str(whole[k]) for k in ("month", "figure", "jurisdiction"))]
                assert sum(r["accounts"] for r in same) == whole["accounts"] and sum(r["numerator"] for r in same) == pytest.approx(float(whole["numerator"]))
        assert {r["value"]: r["contacts"] for r in data["effort"]["vendor"] if r["jurisdiction"] == "CN"} == {r["value"]: r["contacts"] for r in portfolio.effort(con, "vendor") if r["jurisdiction"] == "CN"}
    finally:
        con.close()
    assert data["near"] and data["share"]["whole"][0]["target"] == 0.6
    for lang in ("zh", "en"):
        shown = runner.invoke(app, ["--lang", lang, "portfolio", "--run", str(tmp_path)])
        assert shown.exit_code == 0 and "C-M1%($)" in shown.stdout and say("column.numerator", lang).split()[0] in shown.stdout
    wrong = runner.invoke(app, ["--lang", "en", "portfolio", "--run", str(tmp_path), "--by", "moon"])
    assert wrong.exit_code == 2 and "moon" in wrong.stderr and wrong.stdout == ""


def opened(folder: Path, lang: str, page: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(sys, "argv", ["app.py", str(folder)])
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.session_state["lang"] = lang
    at.run()
    at.switch_page(f"analyzer/dashboards/{page}.py").run()
    assert not at.exception and not at.error and at.title[0].value == say(f"page.{page}", lang)
    return at


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_portfolio_page(lang: str, small: Callable[..., duckdb.DuckDBPyConnection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small()
    at = opened(tmp_path / "runs", lang, "portfolio", monkeypatch)
    shown = at.dataframe[0].value
    march = shown[shown[say("column.month", lang)] == "2026-03"].set_index(say("column.figure", lang))
    assert list(march[say("column.ratio", lang)]) == ["23.2%", "50.0%", "20.0%", "21.4%"] and list(march[say("column.unknown", lang)]) == [2, 1, 1, 1]
    assert march.loc["M1%($)", say("column.numerator", lang)] == "14,000.00" and march.loc["M2%(#)", say("column.denominator", lang)] == "5"
    assert set(shown[say("column.missing", lang)]) == {say("word.instalments", lang)} and march.loc["M1%($)", say("column.breaching", lang)] == "1 / 4 (25.0%)"
    said = " ".join(element.proto.body for element in at.get("html"))
    assert "C-M1%($)" in said and portfolio.measures().source.in_(lang).split("(")[0].split("（")[0].strip() in said.replace("&#x27;", "'")
    assert [m.value for m in at.metric] == ["83.3%", "70.0%", "60.0%"] and "5 / 6" in at.metric[0].label and "210 / 300" in at.metric[1].label
    at.selectbox(key="portfolio_by").select("vendor").run()
    assert not at.exception and say("page.portfolio.nobody", lang) in set(at.dataframe[0].value[say("column.vendor", lang)])
    at.selectbox(key="portfolio_effort").select("class").run()
    assert not at.exception
    rows = portfolio.case_weeks(runs.connect(runs.locate(tmp_path / "runs")))
    at.session_state["portfolio_weeks_CN"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    at.run()
    assert not at.exception and at.title[0].value == say("page.case", lang) and at.session_state["case_id"] == rows[1]["case_id"]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_early_warning_page(lang: str, run: Run, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run([warned(write)], packs=[], with_packs=["early-warning"])
    at = opened(tmp_path / "runs", lang, "early_warning", monkeypatch)
    frames = {frame.proto.id.split("-")[-1]: frame.value for frame in at.dataframe}
    assert "NK" in set(frames["near_edge"][say("column.case_id", lang)])
    assert list(frames["rising_agent_28"][say("column.trend", lang)]) == [say("word.rising", lang)]
    assert any(say("page.early_warning.hidden", lang, hidden=1, total=2, least=30) in c.value for c in at.caption)
    at.session_state["rising_agent_28"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert not at.exception and say("page.early_warning.examples", lang, name="A1") in [s.value for s in at.subheader]
    at.session_state["near_edge"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert not at.exception and at.title[0].value == say("page.finding", lang)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_pages_say_what_is_missing(lang: str, run: Run, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run([write("contacts.csv", CONTACTS)])
    at = opened(tmp_path / "runs", lang, "portfolio", monkeypatch)
    assert [i.value for i in at.info] == [say("page.portfolio.no_payments", lang), say("page.portfolio.share_none", lang, unknown=7)]
    at = opened(tmp_path / "runs", lang, "early_warning", monkeypatch)
    assert at.info[0].value == say("page.early_warning.no_pack", lang, pack="early-warning") and "dunaudit audit" in at.info[0].value
    audit.run([str(write("agents.csv", "催收员编号,姓名,机构\nA1,甲,乙\n"))], tmp_path / "empty", packs=["cn-gbt-45251"])
    for page in ("portfolio", "early_warning"):
        assert [i.value for i in opened(tmp_path / "empty", lang, page, monkeypatch).info] == [say("page.empty_run", lang)]
