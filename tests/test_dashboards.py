"""The pages: no exception in either language, the numbers of `summary`, escaped texts, nothing from the network."""

import csv
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from analyzer import audit, explain, runs, summary
from analyzer.dashboards import PAGES
from analyzer.dashboards._blocks import marked
from analyzer.messages import say

ROOT = Path(__file__).parents[1]
FILES = sorted(p.name for p in PAGES.glob("*.py") if not p.name.startswith("_"))
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SCRIPT = "<script>alert(1)</script>"
HEADERS = ("案件编号", "通话时间", "渠道", "方向", "结果", "与借款人关系", "内容", "催收员")
NIGHT = ("2026-03-02 23:10:00", "2026-03-03 22:30:00", "2026-03-10 06:00:00")



@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("dashboards")
    rows = [(f"C{i}", at, "电话", "呼出", "接通", "本人", "提醒还款", "A1") for i, at in enumerate(NIGHT)]
    rows += [(f"C{i}", f"2026-03-{i + 2:02} 10:00:00", "电话", "呼出", "接通", "本人", "告知还款日", "A2") for i in range(6)]
    rows.append(("C7", "2026-03-11 10:00:00", "电话", "呼出", "接通", "本人", f"{SCRIPT}你个老赖，{SCRIPT}快还钱", "A1"))
    with (where / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADERS, *rows])
    audit.run([str(where / "contacts.csv")], where / "runs", packs=["cn-gbt-45251"], run_id="small")
    return where / "runs"


@pytest.fixture
def insult(folder: Path) -> str:
    con = runs.connect(runs.locate(folder))
    try:
        return str(summary.findings(con, {"rule": ["cn-gbt-45251/civil-language"]})[0][0]["finding_id"])
    finally:
        con.close()


@pytest.fixture(autouse=True)
def _release() -> Iterator[None]:
    yield
    st.cache_resource.clear()


def _open(folder: Path, lang: str, page: str, monkeypatch: pytest.MonkeyPatch, **state: Any) -> AppTest:
    monkeypatch.setattr(sys, "argv", ["app.py", str(folder)])
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for key, value in {"lang": lang, **state}.items():
        at.session_state[key] = value
    at.run()
    return at.switch_page(f"analyzer/dashboards/{page}").run()


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("page", FILES)
def test_every_page_opens(page: str, lang: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(folder, lang, page, monkeypatch)
    assert not at.exception and not at.error
    assert at.title[0].value == say(f"page.{page.removesuffix('.py')}", lang)


def test_the_figures_are_those_of_summary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    con = runs.connect(runs.locate(folder))
    try:
        totals, rules, done = summary.totals(con), summary.by_rule(con), summary.completeness(con)
    finally:
        con.close()
    assert totals["contacts"] == 10 and totals["breaching_contacts"] == 4
    at = _open(folder, "zh", "overview.py", monkeypatch)
    assert [m.value for m in at.metric] == [
        "10", "4 / 10", str(totals["findings"]), f"{totals['rules_not_evaluated']} / {totals['rules']}", f"{totals['rules_undetermined']} / {totals['rules']}",
    ]  # fmt: skip
    shown = at.dataframe[0].value
    rules = summary.applying(rules)
    assert 0 < len(rules) < totals["rules"] and list(shown["规则"]) == [r["rule"] for r in rules]
    assert list(shown["发现"]) == [r["findings"] for r in rules] and list(shown["已判断"]) == [r["judged"] for r in rules]
    assert [c.value for c in at.caption].count(say("talk.completeness", "zh", **done)) == 3


def test_a_filter_reaches_the_list(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(folder, "en", "findings.py", monkeypatch)
    rule = next(m for m in at.multiselect if m.label == "rule")
    rule.select("cn-gbt-45251/quiet-hours").run()
    assert not at.exception
    assert set(at.dataframe[0].value["case"]) == {"C0", "C1", "C2"}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_findings_can_be_taken_away_as_a_report(lang: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(folder, lang, "findings.py", monkeypatch)
    button = at.get("download_button")[0].proto
    # Made only when somebody asks for it.
    assert button.label == say("page.report", lang) and button.deferred_file_id and not button.url


def test_a_selected_row_opens_its_finding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(folder, "en", "findings.py", monkeypatch)
    wanted = at.dataframe[0].value["id"][1]
    at.session_state["findings_table"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    at.run()
    assert at.session_state["finding_id"] == wanted and at.session_state["finding_at"] == 1
    assert not at.exception and at.title[0].value == say("page.finding", "en")
    at.button(key="finding_previous").click().run()
    assert not at.exception and at.session_state["finding_at"] == 0 and at.session_state["finding_id"] != wanted


def test_texts_are_escaped_and_marked(folder: Path, insult: str, monkeypatch: pytest.MonkeyPatch) -> None:
    con = runs.connect(runs.locate(folder))
    try:
        told = explain.explain(con, insult)
    finally:
        con.close()
    at = _open(folder, "zh", "finding.py", monkeypatch, finding_id=insult)
    assert not at.exception
    bodies = [element.proto.body for element in at.get("html")]
    assert not any("<script" in body for body in bodies)
    spoken = [body for body in bodies if "&lt;script&gt;alert(1)&lt;/script&gt;" in body]
    assert len(spoken) == 1
    assert [m for entry in told.ledger for m in entry["marks"]]
    assert all(f"<mark>{mark['words']}</mark>" in spoken[0] for entry in told.ledger for mark in entry["marks"])


def test_a_collector_is_shown_with_his_interval_and_his_own_examples(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    con = runs.connect(runs.locate(folder))
    try:
        found = summary.agents(con)
        broken = summary.agent_rules(con, "A1")
    finally:
        con.close()
    assert [(r["agent_id"], r["breaching_contacts"], r["contacts"]) for r in found] == [("A1", 4, 4), ("A2", 0, 6)]
    assert all(r["low"] - 1e-9 <= r["rate"] <= r["high"] + 1e-9 for r in found) and 0.4 < found[0]["expected"] < 1.0 and 0.0 < found[1]["expected"] < 0.4
    assert {r["rule"]: r["breaching_contacts"] for r in broken} == {"cn-gbt-45251/quiet-hours": 3, "cn-gbt-45251/civil-language": 1}
    at = _open(folder, "en", "agents.py", monkeypatch)
    assert not at.exception and list(at.dataframe[0].value["collector"]) == ["A1", "A2"]
    assert set(at.dataframe[2].value["case"]) == {"C0", "C1", "C2", "C7"}


def test_a_case_shows_its_contacts_and_what_they_broke(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(folder, "zh", "case.py", monkeypatch, case_id="C7")
    assert not at.exception
    shown = at.dataframe[0].value
    assert list(shown["违反"]) == ["cn-gbt-45251/civil-language"] and SCRIPT in shown["内容"].iloc[0]
    assert say("page.case_counts", "zh", contacts=1, broken=1) in [c.value for c in at.caption]


def test_a_timeline_is_told_by_one_clock(tmp_path: Path) -> None:
    """The log's own clock for all: contacts, events, payments."""
    (tmp_path / "calls.csv").write_text("案件编号,通话时间,渠道,方向,结果,与借款人关系,内容,催收员\nC1,2026-03-02 10:00:00,电话,呼出,接通,本人,核对账单,A1\n", encoding="utf-8")
    (tmp_path / "events.csv").write_text("案件编号,事件类型,事件时间\nC1,投诉,2026-03-02 11:00:00\n", encoding="utf-8")
    (tmp_path / "payments.csv").write_text("还款编号,案件编号,还款时间,还款金额\nP1,C1,2026-03-02 09:00:00,100\n", encoding="utf-8")
    con = runs.connect(audit.run([str(tmp_path)], tmp_path / "runs", packs=["cn-gbt-45251"]).path)
    told = [(row["what"], f"{row['local_at']:%H:%M}") for row in summary.case_timeline(con, "C1")]
    con.close()
    assert told == [("payment", "09:00"), ("contact", "10:00"), ("event", "11:00")]


def test_marks_that_overlap_or_exceed_the_text() -> None:
    assert marked("a<b>c", [{"start": 1, "end": 3}, {"start": 2, "end": 9}]) == "a<mark>&lt;b</mark><mark>&gt;c</mark>"


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_empty_folder_says_so(lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(tmp_path, lang, "overview.py", monkeypatch)
    assert not at.exception
    assert [i.value for i in at.info] == [say("run.none", lang, path=tmp_path.name)]


def test_an_empty_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agents.csv").write_text("催收员编号,姓名,机构\nA1,甲,乙\n", encoding="utf-8")
    audit.run([str(tmp_path / "agents.csv")], tmp_path / "runs", packs=["cn-gbt-45251"])
    for page, key in (("overview.py", "page.empty_run"), ("findings.py", "page.no_findings"), ("finding.py", "page.no_findings"),
                      ("agents.py", "page.no_agents"), ("case.py", "page.no_cases")):  # fmt: skip
        at = _open(tmp_path / "runs", "zh", page, monkeypatch)
        assert not at.exception
        assert [i.value for i in at.info] == [say(key, "zh")]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true", "--", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                    break
            except urllib.error.URLError:
                assert process.poll() is None and time.monotonic() < deadline, "the server does not start"
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.is_file() and "CI" not in os.environ, reason=f"no Chromium at {CHROMIUM} (set CHROMIUM)")
def test_in_a_browser_nothing_leaves_this_machine(server: str) -> None:
    from playwright.sync_api import expect, sync_playwright

    asked: list[str] = []
    arguments = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        for name in ("overview", "findings", "finding", "case", "agents"):
            page.goto(f"{server}/{'' if name == 'overview' else name}")
            expect(page.get_by_role("heading", name=say(f"page.{name}", "zh"), exact=True)).to_be_visible(timeout=30_000)
            if name == "finding":
                expect(page.locator("mark").first).to_be_visible(timeout=30_000)
        browser.close()
    local = (server + "/", server.replace("http", "ws", 1) + "/", "data:", "blob:")
    assert asked and [url for url in asked if not url.startswith(local)] == []
