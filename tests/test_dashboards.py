"""The pages: no exception in either language, the numbers of `summary`, escaped texts, nothing from the network."""

import csv
import os
import re
import shutil
import sqlite3
import sys
import tomllib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from datetime import time as dtime
from html import escape
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from analyzer import access, audit, compare, explain, export, review, rules, runs, summary, theme
from analyzer.dashboards import PAGES
from analyzer.dashboards._blocks import BLUE, COLOURS, GREY, RED, STRENGTH_COLOURS, marked, plain
from analyzer.dashboards._views import View, Views
from analyzer.messages import say
from tests.serving import free_port, served

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
        "10", "4 / 10", str(totals["findings"]), "0 / 10", f"{totals['rules_not_evaluated']} / {totals['rules']}", f"{totals['rules_undetermined']} / {totals['rules']}",
        "4 / 4", say("page.overview.days", "zh", days=f"{(datetime.now(UTC).date() - date(2026, 3, 2)).days:,}"),
    ]  # fmt: skip
    shown = at.dataframe[2].value
    rules = summary.applying(rules)
    assert 0 < len(rules) < totals["rules"] and list(shown["规则"]) == [r["rule"] for r in rules]
    assert list(shown["发现"]) == [r["findings"] for r in rules] and list(shown["已判断"]) == [r["judged"] for r in rules]
    assert [c.value for c in at.caption].count(say("talk.completeness", "zh", **done)) == 2


def test_a_filter_reaches_the_list(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(folder, "en", "findings.py", monkeypatch)
    rule = next(m for m in at.multiselect if m.label == "rule")
    rule.select("cn-gbt-45251/quiet-hours").run()
    assert not at.exception
    assert set(at.dataframe[0].value["case"]) == {"C0", "C1", "C2"}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_findings_can_be_taken_away_as_a_report(lang: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(folder, lang, "findings.py", monkeypatch)
    buttons = [b.proto for b in at.get("download_button")]
    assert [b.label for b in buttons] == [say(key, lang) for key in ("page.report", "page.export.csv", "page.export.xlsx", "page.export.zip")]
    # Made only when somebody asks for them.
    assert all(b.deferred_file_id and not b.url for b in buttons)


def test_a_selected_row_opens_its_finding(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(folder, "en", "findings.py", monkeypatch)
    wanted = at.dataframe[0].value["id"][1]
    at.session_state["findings_table"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    at.run()
    assert at.session_state["finding_id"] == wanted and at.session_state["finding_at"] == 1
    assert not at.exception and at.title[0].value == say("page.finding", "en")
    at.button(key="finding_previous").click().run()
    assert not at.exception and at.session_state["finding_at"] == 0 and at.session_state["finding_id"] != wanted


def test_a_finding_shows_what_else_was_done_in_its_week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("C1", "2026-03-04 23:10:00", "提醒还款"), ("C1", "2026-03-02 00:10:00", "凌晨"), ("C1", "2026-03-08 10:00:00", "周日"), ("C1", "2026-03-09 10:00:00", "下周一"), ("C2", "2026-03-04 10:00:00", "别的案件")]
    with (tmp_path / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADERS, *((case, at, "电话", "呼出", "接通", "本人", text, "A1") for case, at, text in rows)])
    with runs.connect(audit.run([str(tmp_path / "contacts.csv")], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="r").path) as con:
        finding = next(f for f in summary.findings(con)[0] if f"{f['first_local']:%d %H}" == "04 23")
        other = next(f for f in summary.findings(con)[0] if f"{f['first_local']:%d %H}" == "02 00")
    at = _open(tmp_path / "runs", "en", "finding.py", monkeypatch, finding_id=finding["finding_id"])
    around = at.dataframe[-1].value
    assert not at.exception and list(around["text"]) == ["凌晨", "周日"] and say("page.around.help", "en", since="2026-03-02", until="2026-03-08", shown=2, total=3) in [c.value for c in at.caption]
    assert around[say("page.field.broken", "en")].iloc[0] and not around[say("page.field.broken", "en")].iloc[1]
    at.session_state[f"around_{finding['finding_id']}"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert not at.exception and at.session_state["finding_id"] == other["finding_id"]


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
        found = summary.agents(con, summary.wanting(con))
        broken = summary.agent_rules(con, "A1", access.outcomes(runs.locate(folder)))
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
    assert list(shown["违反"]) == ["不得辱骂、威胁、曝光、轰炸或冒充"] and SCRIPT in shown["内容"].iloc[0]
    assert say("page.case_counts", "zh", contacts=1, broken=1) in [c.value for c in at.caption]


def test_a_case_beyond_those_listed_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"K{n:04},2026-03-02 10:00:00,电话,呼出,接通,本人,核对账单,A1" for n in range(1, 604)]
    (tmp_path / "calls.csv").write_text("\n".join([",".join(HEADERS), *lines, ""]), encoding="utf-8")
    audit.run([str(tmp_path / "calls.csv")], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="r")
    at = _open(tmp_path / "runs", "zh", "case.py", monkeypatch, case_id="K0601")
    assert at.selectbox(key="case_choice_").value == "K0601" and "K0602" not in at.selectbox(key="case_choice_").options
    at.text_input(key="case_part").set_value("k0602").run()
    assert not at.exception and at.selectbox(key="case_choice_k0602").options == ["K0602"] and say("page.case_counts", "zh", contacts=1, broken=0) in [c.value for c in at.caption]
    at.text_input(key="case_part").set_value("K060").run()
    assert at.selectbox(key="case_choice_K060").options == [f"K060{n}" for n in range(4)]
    at.text_input(key="case_part").set_value("%").run()
    assert [i.value for i in at.info] == [say("page.case.none", "zh")]


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
    assert [i.value for i in at.info] == [plain(say("run.none", lang, path=tmp_path.name))]


def test_an_empty_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "agents.csv").write_text("催收员编号,姓名,机构\nA1,甲,乙\n", encoding="utf-8")
    audit.run([str(tmp_path / "agents.csv")], tmp_path / "runs", packs=["cn-gbt-45251"])
    for page, key in (("overview.py", "page.empty_run"), ("findings.py", "page.no_findings"), ("finding.py", "page.no_findings"),
                      ("agents.py", "page.no_agents"), ("case.py", "page.no_cases"), ("hours.py", "page.contacts.none"), ("action_log.py", "page.action_log.empty")):  # fmt: skip
        at = _open(tmp_path / "runs", "zh", page, monkeypatch)
        assert not at.exception
        assert [i.value for i in at.info] == [say(key, "zh")]


def test_the_first_run_can_be_made_from_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(tmp_path, "en", "data.py", monkeypatch)
    assert not at.exception and at.title[0].value == say("page.data", "en") and at.get("file_uploader")
    at.button(key="data_audit").click().run()
    assert [e.value for e in at.error] == [say("page.data.no_files", "en")]


@pytest.fixture(scope="session")
def near(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which every contact at night breaches, and every contact near it is a near miss."""
    where = tmp_path_factory.mktemp("near")
    rows = [("C1", "2026-03-02 23:10:00", "电话", "呼出", "接通", "本人", "提醒还款", "A1"), ("C2", "2026-03-03 21:55:00", "电话", "呼出", "接通", "本人", "提醒还款", "A2")]
    rows += [(f"C{i}", f"2026-03-0{i} 10:00:00", "电话", "呼出", "接通", "本人", "告知还款日", "A2") for i in range(3, 6)]
    with (where / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADERS, *rows])
    audit.run([str(where / "contacts.csv")], where / "runs", packs=["cn-gbt-45251", "cn-nifa-2024", "us-reg-f", "early-warning"], run_id="near")
    return where / "runs"


def test_a_near_miss_is_no_breach(near: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nor is it one for the exit code, for what reviews count, or for where a page begins.
    (tmp_path / "calm.csv").write_text(",".join(HEADERS) + "\nC2,2026-03-03 21:55:00,电话,呼出,接通,本人,提醒还款,A2\n", encoding="utf-8")
    calm = audit.run([str(tmp_path / "calm.csv")], tmp_path / "runs", packs=["cn-gbt-45251", "cn-nifa-2024", "us-reg-f", "early-warning"], run_id="calm")
    with runs.connect(calm.path) as con:
        assert summary.findings(con)[1] > 0 and (calm.findings, calm.breaches, calm.exit_code) == (0, 0, 0)
        assert (review.Reviews(calm.path).counts(con)["findings"], review.Reviews(calm.path).counts(con)["open"]) == (0, 0)
    assert [i.value for i in _open(tmp_path / "runs", "en", "finding.py", monkeypatch).info] == [say("page.no_findings", "en")]
    at = _open(near, "en", "agents.py", monkeypatch, agents_table_={"selection": {"rows": [1], "columns": [], "cells": []}})
    assert [h.value for h in at.header] == ["A2"] and say("page.no_findings", "en") in [m.value for m in at.markdown]
    con = runs.connect(runs.locate(near))
    try:
        every, of_all = summary.findings(con)
        missed = [f for f in every if f["rule"].startswith("early-warning/")]
        totals = summary.totals(con)
        assert missed and len({f["agent_id"] for f in missed}) == 1 and of_all == totals["findings"] + totals["near_misses"] and totals["near_misses"] == len(missed)
        assert totals["breaching_contacts"] == 1
        assert {r["value"]: (r["findings"], r["breaching_contacts"]) for r in summary.by_dimension(con, "agent")} == {"A1": (totals["findings"], 1), "A2": (0, 0)}
        assert sum(r["findings"] for r in summary.by_dimension(con, "rule")) == totals["findings"]
        assert {r["agent_id"]: r["breaching_contacts"] for r in summary.agents(con, summary.wanting(con))} == {"A1": 1, "A2": 0}
        assert all(r["findings"] == 0 for r in summary.agent_rules(con, "A2", access.outcomes(runs.locate(near)))) and sum(r["breaching_contacts"] for r in summary.agent_trend(con, "A2", None)) == 0
        assert sum(r["findings"] for r in summary.trend(con)) == totals["findings"]
        assert sum(r["findings"] for r in summary.backlog(con, [], date(2026, 4, 1))) == totals["findings"]
        assert summary.findings(con, {"nature": ["near_miss"]})[1] == len(missed)
        assert [r["broken"] for r in summary.case_timeline(con, "C2")] == [None]
    finally:
        con.close()
    at = _open(near, "en", "overview.py", monkeypatch)
    assert at.metric[1].value == "1 / 5" and at.metric[2].value == str(totals["findings"])
    # The page of findings leaves them out too, until it is asked for them.
    at = _open(near, "en", "findings.py", monkeypatch)
    assert len(at.dataframe[0].value) == totals["findings"]
    at.multiselect(key="findings_nature_near").set_value(["near_miss"]).run()
    assert not at.exception and set(at.dataframe[0].value["collector"]) == {"A2"}


def test_a_figure_opens_its_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(folder, "en", "overview.py", monkeypatch)
    at.button(key="open_page.breaching_of").click().run()
    assert not at.exception and at.title[0].value == say("page.contacts", "en")
    assert list(at.dataframe[0].value["case"]) == ["C0", "C1", "C2", "C7"]
    at.switch_page("analyzer/dashboards/contacts.py").run().button(key="contacts_whole").click().run()
    assert not at.exception and len(at.dataframe[0].value) == 10
    at = _open(folder, "en", "overview.py", monkeypatch, overview_dimension="agent")
    at.session_state["overview_agent_table"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert not at.exception and at.title[0].value == say("page.findings", "en")
    assert at.multiselect(key="findings_agent_small").value == ["A1"] and len(at.dataframe[0].value) == 4
    at = _open(folder, "en", "overview.py", monkeypatch)
    at.session_state["overview_weeks"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert not at.exception and at.title[0].value == say("page.findings", "en")
    assert set(at.dataframe[0].value["case"]) == {"C0", "C1"}


def test_a_figure_of_nothing_opens_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(folder, "en", "overview.py", monkeypatch, overview_dimension="agent")
    at.session_state["overview_agent_table"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    at.run()
    assert not at.exception and at.title[0].value == say("page.findings", "en") and not at.dataframe
    assert at.multiselect(key="findings_agent_small").value == ["A2"] and [i.value for i in at.info] == [say("page.no_findings", "en")]
    assert "A2" in at.warning[0].value and "bulk_send" not in {b.key for b in at.button}
    copy = tmp_path / "runs"
    copy.mkdir()
    (copy / "small.duckdb").write_bytes((folder / "small.duckdb").read_bytes())
    Views(copy).save(View("elsewhere", {"rule": ["x/*none*"], "nature": ["breach"]}, "time", os.environ.get("USER") or os.environ.get("LOGNAME") or "local"))
    at = _open(copy, "en", "findings.py", monkeypatch)
    at.selectbox(key="views_choice").set_value("elsewhere").run()
    assert not at.exception and not at.dataframe and plain("x/*none*") in at.warning[0].value and "bulk_send" not in {b.key for b in at.button}
    # A value that it has, beside it, is shown.
    at.multiselect(key="findings_rule_small").select("cn-gbt-45251/civil-language").run()
    assert not at.exception and list(at.dataframe[0].value["case"]) == ["C7"] and len(at.warning) == 1


def test_undetermined_contacts_are_counted_and_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("C1", "2026-03-02 10:00:00", "电话", "呼出", "接通", "本人", "提醒还款", "A1"), ("C2", "", "电话", "呼出", "接通", "本人", "提醒还款", "A2"), ("C3", "2026-03-03 10:00:00", "电话", "呼出", "接通", "本人", "", "A2")]
    with (tmp_path / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADERS, *rows])
    audit.run([str(tmp_path / "contacts.csv")], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="gaps")
    con = runs.connect(tmp_path / "runs" / "gaps.duckdb")
    try:
        told, wanting = summary.undetermined(con), summary.undetermined_contacts(con, summary.wanting(con))
        assert wanting["whole"] == {None: 2} and wanting["agent"] == {"A2": 2} and wanting["week"] == {None: 1, date(2026, 3, 2): 1}
        for row in told:
            assert summary.contacts(con, {"rule": [row["rule"]], "outcome": ["undetermined"]})[1] == sum(r["contacts"] for r in told if r["rule"] == row["rule"])
    finally:
        con.close()
    at = _open(tmp_path / "runs", "en", "overview.py", monkeypatch)
    assert at.metric[3].value == "2 / 3"
    at.session_state["overview_todo"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert not at.exception and at.title[0].value == say("page.contacts", "en")
    assert len(at.dataframe[0].value) == sum(r["contacts"] for r in told if r["rule"] == told[0]["rule"])


def test_what_cannot_be_decided_is_told_beside_a_rate_that_is_a_floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a contact at night without a channel breaches nobody knows: it is neither clean nor in breach."""
    rows = [("C1", "2026-03-02 23:10:00", "电话", "A1"), ("C2", "2026-03-03 10:00:00", "电话", "A1"), ("C3", "2026-03-02 23:30:00", "", "A1"), ("C4", "2026-03-09 23:40:00", "", "A1"), ("C5", "2026-03-04 10:00:00", "电话", "A2")]
    with (tmp_path / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADERS, *((case, at, channel, "呼出", "接通", "本人", "提醒还款", agent) for case, at, channel, agent in rows)])
    with runs.connect(audit.run([str(tmp_path / "contacts.csv")], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="r").path) as con:
        wanted = summary.wanting(con)
        names = ("contacts", "breaching_contacts", "undetermined", "rate")
        expected = {"A1": (4, 1, 2, 0.25), "A2": (1, 0, 0, 0.0)}
        assert {r["value"]: tuple(r[n] for n in names) for r in summary.by_dimension(con, "agent", wanted)} == expected
        found = summary.agents(con, wanted)
        assert {r["agent_id"]: tuple(r[n] for n in names) for r in found} == expected and (found[0]["low"], found[0]["high"]) == summary.interval(1, 4)
        assert [(r["contacts"], r["undetermined"], r["rate"]) for r in summary.agent_trend(con, "A1", wanted)] == [(3, 1, 1 / 3), (1, 1, 0.0)]
        cells = {(r["weekday"], r["hour"]): (r["contacts"], r["outside"], r["undetermined"], r["rate"]) for r in summary.hour_by_weekday(con)}
        assert cells == {(1, 23): (3, 1, 2, 1 / 3), (2, 10): (1, 0, 0, 0.0), (3, 10): (1, 0, 0, 0.0)}
        # Where nobody has counted them, it is not said that there are none.
        assert {r["undetermined"] for r in (*summary.by_dimension(con, "agent"), *summary.agents(con, None), *summary.agent_trend(con, "A1", None))} == {None}
    for page in ("agents.py", "overview.py", "hours.py"):
        at = _open(tmp_path / "runs", "en", page, monkeypatch, overview_dimension="agent")
        assert not at.exception and any(2 in list(frame.value.get("undetermined", ())) for frame in at.dataframe), page
    monkeypatch.setattr("analyzer.dashboards._blocks.SOON", 1)
    for page in ("agents.py", "overview.py"):
        at = _open(tmp_path / "runs", "en", page, monkeypatch)
        assert not at.exception and not at.button(key="undecided_count").disabled
        at.button(key="undecided_count").click().run().run()
        assert not at.exception and at.button(key="undecided_count").disabled


def test_the_backlog_shrinks_with_a_verdict(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "runs"
    copy.mkdir()
    (copy / "small.duckdb").write_bytes((folder / "small.duckdb").read_bytes())
    con = runs.connect(copy / "small.duckdb")
    try:
        finding = summary.findings(con)[0][0]["finding_id"]
        log = review.Reviews(copy)
        log.decide(con, finding, "王五", "claimed")
        log.decide(con, finding, "王五", "confirmed", f"{SCRIPT} $x^2$ **粗**")
    finally:
        con.close()
    at = _open(copy, "zh", "overview.py", monkeypatch)
    assert at.metric[6].value == "3 / 4"
    at.button(key="open_page.overview.waiting").click().run()
    assert not at.exception and finding not in list(at.dataframe[0].value["编号"]) and len(at.dataframe[0].value) == 3
    for lang in ("zh", "en"):
        at = _open(copy, lang, "action_log.py", monkeypatch)
        assert not at.exception and [s.value for s in at.success] == [say("talk.log_whole", lang, entries=2)]
        shown = at.dataframe[0].value
        assert list(shown[say("column.state", lang)]) == [say("word.confirmed", lang), say("word.claimed", lang)] and SCRIPT in shown[say("column.comment", lang)].iloc[0]
    at.multiselect(key="log_state").set_value(["claimed"]).run()
    assert len(at.dataframe[0].value) == 1
    at.text_input(key="log_finding").set_value("zzz").run()
    assert [i.value for i in at.info] == [say("page.action_log.none", "en")]
    con_ = sqlite3.connect(log.path)
    con_.executescript("DROP TRIGGER entries_no_update; UPDATE entries SET comment = 'other' WHERE seq = 1;")
    con_.close()
    at = _open(copy, "en", "action_log.py", monkeypatch)
    assert [e.value for e in at.error] == [say("talk.log_broken", "en", entries=2, at=1)]


def test_what_changed_since_the_previous_run(tmp_path: Path, folder: Path, near: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = tmp_path / "runs"
    both.mkdir()
    for number, source in enumerate((folder / "small.duckdb", near / "near.duckdb")):
        (both / source.name).write_bytes(source.read_bytes())
        os.utime(both / source.name, (1_700_000_000 + number, 1_700_000_000 + number))
    (both / "current").write_text("near", encoding="utf-8")
    told = compare.diff(both / "small.duckdb", both / "near.duckdb")
    counts = {state: sum(f["state"] == state and not f["rule"].startswith("early-warning/") for f in told.findings) for state in told.counts}
    at = _open(both, "en", "overview.py", monkeypatch)
    assert not at.exception and [m.value for m in at.metric][6:9] == [str(counts[s]) for s in ("new", "open", "resolved")] and counts["resolved"] == 4
    at.button(key="open_page.overview.new").click().run()
    assert not at.exception and len(at.dataframe[0].value) == counts["new"]
    at.switch_page("analyzer/dashboards/findings.py").run().button(key="findings_whole").click().run()
    assert not at.exception and len(at.dataframe[0].value) == counts["new"] + counts["open"]


def test_hours_are_those_of_the_log_and_a_cell_opens_its_contacts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    con = runs.connect(runs.locate(folder))
    try:
        cells = {(r["weekday"], r["hour"]): (r["contacts"], r["outside"]) for r in summary.hour_by_weekday(con)}
        rule = next(r for r in summary.hours_rules(con) if r["rule"] == "cn-gbt-45251/quiet-hours")
    finally:
        con.close()
    assert rule["spans"] == [("2025-02-28", "08:00", "22:00")] and rule["clock"] == "Asia/Shanghai"
    assert cells[1, 23] == cells[2, 22] == cells[2, 6] == (1, 1) and sum(c for c, _ in cells.values()) == 10 and sum(o for _, o in cells.values()) == 3
    for lang in ("zh", "en"):
        at = _open(folder, lang, "hours.py", monkeypatch)
        assert not at.exception and [m.value for m in at.metric] == ["3 / 10", "0", "10", "0"]
        at.session_state["hours_table"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
        at.run()
        assert not at.exception and list(at.dataframe[1].value[say("column.case_id", lang)]) == ["C0"]
    at.multiselect(key="hours_channel").set_value(["call"]).run()
    assert not at.exception and at.metric[0].value == "3 / 10"


def _section(folder: Path, lang: str, section: str, monkeypatch: pytest.MonkeyPatch, **state: Any) -> AppTest:
    at = _open(folder, lang, "rulebook.py", monkeypatch, rulebook_section=section, **state)
    assert not at.exception and not at.error
    return at


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_rule_is_explained(lang: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = explain.find_rule(rules.rules_folder(), "cn-gbt-45251/quiet-hours")
    at = _section(folder, lang, "rules", monkeypatch, rulebook_rule=rule.ref)
    assert at.header[0].value == plain(rule.title.in_(lang))
    bodies = " ".join(e.proto.body for e in at.get("html"))
    assert all(escape(text.in_(lang)) in bodies for text in (rule.why, rule.remedy, rule.not_covered))
    tables = [d.value for d in at.dataframe]
    # The list, the clauses, the outcomes in the run, values by date, the cases, and the tables of the first.
    assert list(tables[1][say("column.known", lang)]) == [say("word.reported", lang)]
    assert tables[2][say("column.breach", lang)].iloc[0] == 3 and tables[2][say("column.clear", lang)].iloc[0] == 7
    assert list(tables[3][say("column.holds", lang)]) == ["22:00", "08:00"] and len(tables[4]) == len(rule.cases)
    at.session_state["rulebook_table"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    at.run()
    assert not at.exception and at.header[0].value == plain(at.dataframe[0].value[say("column.title", lang)].iloc[1])


def test_a_rule_tells_how_often_it_was_right_and_of_few_verdicts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"C{n}", f"2026-03-{n + 1:02} 23:10:00", "电话", "呼出", "接通", "本人", "提醒还款", "A1") for n in range(25)]
    with (tmp_path / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADERS, *rows])
    path = audit.run([str(tmp_path / "contacts.csv")], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="r").path
    rule, log = "cn-gbt-45251/quiet-hours", review.Reviews(path)

    def told() -> list[str]:
        at = _section(path.parent, "en", "rules", monkeypatch, rulebook_rule=rule)
        return [*(c.value for c in at.caption), *(m.value for m in at.markdown)]

    assert say("page.rulebook.unjudged", "en") in told()
    with runs.connect(path) as con:
        ids = [f["finding_id"] for f in summary.findings(con, {"rule": [rule]}, "time", 25)[0]]
        for number, finding in enumerate(ids[:20]):
            if number == 19:
                assert say("page.rulebook.few_judged", "en", verdicts=19, stale=0, least=20) in told() and not any("interval" in text for text in told())
            log.decide(con, finding, "王", "confirmed" if number else "dismissed", "看过")
    low, high = summary.interval(19, 20)
    assert say("page.rulebook.precision", "en", share="19 / 20 (95.0%)", low=f"{low:.1%}", high=f"{high:.1%}", stale=0) in told()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_coverage_leads_to_rules_and_findings(lang: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _section(folder, lang, "coverage", monkeypatch)
    rows = at.dataframe[0].value
    at.session_state["coverage_rows"] = {"selection": {"rows": [list(rows[say("column.serves", lang)]).index(f"C8 {say('row.C8', lang)}")], "columns": [], "cells": []}}
    at.run()
    assert not at.exception and "cn-gbt-45251/quiet-hours" in list(at.dataframe[2].value[say("column.rule", lang)])
    at.button(key="coverage_findings").click().run()
    assert not at.exception and at.title[0].value == say("page.findings", lang) and len(at.dataframe[0].value) == 3
    at = _section(folder, lang, "conflicts", monkeypatch)
    assert at.button(key="conflicts_find").label == say("page.rulebook.find_conflicts", lang)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_what_if_is_the_backtest(lang: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _section(folder, lang, "what_if", monkeypatch, what_if_rule="cn-gbt-45251/quiet-hours")
    at.selectbox(key="what_if_value_cn-gbt-45251/quiet-hours").set_value("quiet_from").run()
    assert at.metric[0].value == "3" and at.metric[0].delta == "0"
    at.slider(key="what_if_cn-gbt-45251/quiet-hours_quiet_from").set_value(dtime(23, 0)).run()
    found = compare.backtest(folder / "small.duckdb", rules.rules_folder(), ["cn-gbt-45251/quiet-hours.quiet_from=23:00"])[0]
    assert not at.exception and found.after == 2 and at.metric[0].value == "2" and at.metric[0].delta == "-1"
    shown = at.dataframe[0].value
    assert list(shown[say("column.removed", lang)]) == [1] and list(shown[say("column.after", lang)]) == [2]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_bench_says_what_counts_and_what_does_not(lang: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _section(folder, lang, "bench", monkeypatch)
    at.text_area(key="bench_text").set_value(f"催收员：{SCRIPT}你个老赖，快还钱。\n客户：他说要曝光我。")
    at.button(key="bench_judge").click().run()
    assert not at.exception
    badges = " ".join(m.value for m in at.markdown)
    assert say("label.abuse", lang) in badges and say("label.exposure_threat", lang) not in badges
    bodies = [e.proto.body for e in at.get("html")]
    assert any(re.search("<mark>[^<]*老赖", b) and "&lt;script&gt;" in b for b in bodies) and not any("<script" in b for b in bodies)
    taken, left_out = (d.value for d in at.dataframe)
    assert any("老赖" in words for words in taken[say("column.text", lang)]) and "曝光" in list(left_out[say("column.text", lang)])
    said = dict(zip(left_out[say("column.text", lang)], left_out[say("column.why", lang)], strict=True))
    assert say("page.bench.reported", lang) in said["曝光"]
    at.text_area(key="bench_text").set_value("您好，请于今日还款。")
    at.button(key="bench_judge").click().run()
    assert say("page.bench.clean", lang) in [m.value for m in at.markdown]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_data_page_adds_up_and_shows_rejects_as_they_stood(lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [",".join(HEADERS), "C1,2026-03-02 10:00:00,电话,呼出,接通,本人,核对账单,A1", f"C2,不是时间,电话,呼出,接通,本人,{SCRIPT}=1+1,A1", "C3,2026-03-02 11:00:00,飞鸽,呼出,接通,本人,核对,A1"]
    (tmp_path / "c $x$ **y** [z](q).csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    audit.run([str(tmp_path / "c $x$ **y** [z](q).csv")], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="one")
    at = _open(tmp_path / "runs", lang, "data.py", monkeypatch)
    # Where Markdown is read, a name is shown as it stands.
    assert say("page.data.mapping", lang, file=r"c \$x\$ \*\*y\*\* \[z\]\(q\)\.csv") in [h.value for h in at.subheader]
    assert not at.exception and say("page.data.adds_up", lang, rows_read=3, loaded=2, rejected=1, duplicate=0) in [c.value for c in at.caption]
    assert SCRIPT not in str([d.value.to_csv() for d in at.dataframe])
    at.button(key="reveal_rejects").click().run()
    batches, mapping, _, originals, cells = (d.value for d in at.dataframe)
    assert list(batches[say("column.rejected", lang)]) == [1] and dict(zip(mapping[say("column.key", lang)], mapping[say("column.in_file", lang)], strict=True))["case_id"] == "案件编号"
    assert list(originals[say("column.reason", lang)]) == [say("reject.time", lang)] and SCRIPT in originals[say("column.original", lang)].iloc[0]
    assert list(cells[say("column.problem", lang)]) == [say("word.unmapped_word", lang)] and list(cells[say("column.cells", lang)]) == [1]
    # A name that exists is refused; nothing is written and nothing is left.
    at.file_uploader(key="data_files").upload("calls.csv", "\n".join(lines).encode(), "text/csv")
    at.text_input(key="data_name").set_value("one")
    at.button(key="data_audit").click().run(timeout=120)
    assert not at.exception and [e.value for e in at.error] == [plain(say("run.exists", lang, name="one"))]
    # So is a file that is none of ours, in one sentence.
    at.file_uploader(key="data_files").upload("calls.csv", b"<html><body>no table</body></html>", "text/csv")
    at.text_input(key="data_name").set_value("two")
    at.button(key="data_audit").click().run(timeout=120)
    assert not at.exception and [e.value for e in at.error] == [plain(say("input.html", lang, path="calls.csv"))]
    assert sorted(p.name for p in (tmp_path / "runs").iterdir() if not p.name.startswith(review.database.FILE)) == ["current", "one.duckdb"]


def test_two_uploads_of_one_name_are_both_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(tmp_path, "zh", "data.py", monkeypatch)
    lines = [f"{','.join(HEADERS)}\nC{n},2026-03-02 1{n}:00:00,电话,呼出,接通,本人,核对账单,A1\n".encode() for n in range(3)]
    for name, data in zip(("calls.csv", "calls.csv", "Calls.csv"), lines, strict=True):
        at.file_uploader(key="data_files").upload(name, data, "text/csv")
    at.text_input(key="data_name").set_value("both")
    at.button(key="data_audit").click().run(timeout=120)
    assert not at.exception and not at.error
    with runs.connect(tmp_path / "both.duckdb") as con:
        assert [(b["file"], b["loaded"]) for b in summary.batches(con)] == [("Calls-3.csv", 1), ("calls-2.csv", 1), ("calls.csv", 1)]
        assert con.execute("SELECT count(*) FROM contacts").fetchall() == [(3,)]
    assert [(e.kind, e.run_id, e.told) for e in review.Reviews(tmp_path).log()] == [("audit", "both", {"files": 3, "findings": 0})]


def test_a_view_is_its_owners_and_who_sees_everything_sees_it_too(tmp_path: Path) -> None:
    views = Views(tmp_path)
    views.save(View("mine", {"case": ["K1"]}, "time", "a"))
    views.save(View("theirs", {}, "time", "b"))
    assert [v.name for v in views.all("a", False)] == ["mine"] and [v.name for v in views.all("c", False)] == [] and [v.name for v in views.all("c", True)] == ["mine", "theirs"]
    views.remove("theirs", "a", False)
    assert len(views.all("a", True)) == 2
    views.remove("theirs", "a", True)
    assert [v.name for v in views.all("b", True)] == ["mine"]


def test_views_of_a_file_without_owners_are_nobodys(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "views.sqlite") as con:
        con.execute("CREATE TABLE views (name TEXT PRIMARY KEY, filters TEXT NOT NULL, sort TEXT NOT NULL)")
        con.execute("INSERT INTO views VALUES ('old', '{}', 'time')")
    con.close()
    assert Views(tmp_path).all("a", False) == [] and [v.owner for v in Views(tmp_path).all("a", True)] == [""]


def test_saved_views_are_kept_for_everybody(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "runs"
    copy.mkdir()
    (copy / "small.duckdb").write_bytes((folder / "small.duckdb").read_bytes())
    at = _open(copy, "en", "findings.py", monkeypatch)
    at.multiselect(key="findings_rule_small").set_value(["cn-gbt-45251/quiet-hours"]).run()
    for _ in range(2):
        at.text_input(key="views_name").set_value(f"night {SCRIPT}")
        at.button(key="views_save").click().run()
    assert not at.exception and [e.value for e in at.error] == [say("page.views.taken", "en")]
    other = _open(copy, "zh", "findings.py", monkeypatch)
    assert len(other.dataframe[0].value) == 4
    other.selectbox(key="views_choice").set_value(f"night {SCRIPT}").run()
    assert not other.exception and set(other.dataframe[0].value["案件"]) == {"C0", "C1", "C2"}
    other.button(key="views_forget").click().run()
    assert not other.exception and say("page.views.empty", "zh") in [c.value for c in other.caption]


def _contrast(one: str, other: str) -> float:
    """Of two colours, by WCAG 2.2."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_theme_is_one_and_legible() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
    flat = {"theme.font": config.pop("font")} | {f"theme.{ground}.{name}": value for ground, values in config.items() for name, value in values.items()}
    assert flat == theme.THEME
    for ground in ("light", "dark"):
        page, side, text, link = (theme.THEME[f"theme.{ground}.{name}Color"] for name in ("background", "secondaryBackground", "text", "link"))
        for behind in (page, side):
            # Captions are the text at six tenths of its strength.
            caption = "#" + "".join(f"{round(0.6 * int(text[i : i + 2], 16) + 0.4 * int(behind[i : i + 2], 16)):02x}" for i in (1, 3, 5))
            assert min(_contrast(word, behind) for word in (text, link, caption)) >= 4.5
        assert min(_contrast(colour, page) for colour in (*COLOURS, *STRENGTH_COLOURS, BLUE, RED, GREY)) >= 3


def test_marks_are_seen_on_either_ground() -> None:
    """All colours that pages draw with, but those of words (`muted`, `style`) and of the cells of the picture of hours, which are told apart by figures and frames."""
    words, cells = {"#a8b4c0", "#5a6672", "#0b141d"}, {"#e3edf5", "#8db8dc", "#7a0019"}
    for path in PAGES.glob("*.py"):
        source = path.read_text(encoding="utf-8")
        drawn = set(re.findall(r"#[0-9a-fA-F]{6}", source)) - (words if path.name == "_blocks.py" else cells if path.name == "hours.py" else set())
        faint = {colour for colour in drawn for ground in ("light", "dark") if _contrast(colour, theme.THEME[f"theme.{ground}.backgroundColor"]) < 3}
        assert not faint and "scheme=" not in source, path.name


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    with _serving(folder) as address:
        yield address


def _serving(runs_folder: Path) -> AbstractContextManager[str]:
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true", "--", str(runs_folder)]
    return served(command, port, ROOT, {"PYTHONPATH": str(ROOT)})


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
        for name in [f.removesuffix(".py") for f in FILES]:
            page.goto(f"{server}/{'' if name == 'overview' else name}")
            expect(page.get_by_role("heading", name=say(f"page.{name}", "zh"), exact=True)).to_be_visible(timeout=30_000)
            if name == "finding":
                expect(page.locator("mark").first).to_be_visible(timeout=30_000)
        browser.close()
    local = (server + "/", server.replace("http", "ws", 1) + "/", "data:", "blob:")
    assert asked and [url for url in asked if not url.startswith(local)] == []


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-background-networking", "--disable-gpu"])
        yield found
        found.close()


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.is_file() and "CI" not in os.environ, reason=f"no Chromium at {CHROMIUM} (set CHROMIUM)")
def test_in_a_browser_a_row_opens_in_the_language_the_run_and_the_name_given(folder: Path, browser: Any, tmp_path: Path) -> None:
    """What a page opens itself, not a link, is where Streamlit forgets what the widgets of the sidebar were set to."""
    from playwright.sync_api import expect

    first = runs.locate(folder)
    both = tmp_path / "runs"
    both.mkdir()
    for name in ("a_first", "b_second"):
        shutil.copy(first, both / f"{name}.duckdb")
    (both / "current").write_text("b_second\n", encoding="utf-8")
    with _serving(both) as address:
        page = browser.new_page()
        page.goto(f"{address}/review?lang=en")
        reviewer = page.get_by_label(say("column.actor", "en")).first
        reviewer.fill("Wang")
        reviewer.press("Enter")
        page.wait_for_timeout(1_000)
        page.get_by_role("link", name=say("page.findings", "en"), exact=True).click()
        chosen, table = page.get_by_role("combobox", name=say("page.run", "en")), page.locator("canvas").first
        expect(table).to_be_visible(timeout=30_000)
        page.wait_for_timeout(1_000)
        chosen.focus()
        chosen.press("ArrowDown")
        page.get_by_role("option", name="a_first").click(timeout=10_000)
        expect(chosen).to_have_value("a_first", timeout=30_000)
        expect(table).to_be_visible(timeout=30_000)
        page.wait_for_timeout(2_000)
        box = table.bounding_box()
        page.mouse.click(box["x"] + 15, box["y"] + 50)
        expect(page.get_by_role("heading", name=say("page.finding", "en"), exact=True)).to_be_visible(timeout=30_000)
        expect(chosen).to_have_value("a_first", timeout=30_000)
        expect(reviewer).to_have_value("Wang", timeout=30_000)
        page.close()


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.is_file() and "CI" not in os.environ, reason=f"no Chromium at {CHROMIUM} (set CHROMIUM)")
def test_in_a_browser_what_is_chosen_changes_its_language_and_stays_chosen(server: str, browser: Any) -> None:
    """A browser keeps the words of a list; to the other language they mean nothing, and the choice was lost with the old words standing there."""
    from playwright.sync_api import expect

    page = browser.new_page()
    page.goto(f"{server}/?lang=zh")
    chosen = page.get_by_role("combobox", name=say("page.dimension", "zh"))
    expect(chosen).to_have_value(say("column.vendor", "zh"), timeout=30_000)
    chosen.focus()
    chosen.press("ArrowDown")
    page.get_by_role("option", name=say("column.agent", "zh"), exact=True).click(timeout=10_000)
    expect(chosen).to_have_value(say("column.agent", "zh"), timeout=30_000)
    for lang, words in (("en", "English"), ("zh", "中文")):
        page.wait_for_timeout(1_000)
        page.get_by_text(words, exact=True).click()
        expect(page.get_by_role("combobox", name=say("page.dimension", lang))).to_have_value(say("column.agent", lang), timeout=30_000)
    page.close()


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.is_file() and "CI" not in os.environ, reason=f"no Chromium at {CHROMIUM} (set CHROMIUM)")
def test_in_a_browser_files_are_uploaded_audited_and_taken_away(server: str, folder: Path, browser: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    rows = [(f"U{i}", at, "电话", "呼出", "接通", "本人", "提醒还款", "A1") for i, at in enumerate(("2026-03-02 23:30:00", "2026-03-03 10:00:00"))]
    with (tmp_path / "calls.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADERS, *rows])
    before = sorted(folder.glob("*.duckdb"))
    page = browser.new_page()
    try:
        page.goto(f"{server}/data?lang=en")
        page.locator("input[type=file]").first.set_input_files(str(tmp_path / "calls.csv"))
        expect(page.get_by_text("calls.csv").first).to_be_visible(timeout=30_000)
        page.get_by_label(say("page.data.name", "en")).fill("uploaded")
        page.get_by_role("button", name=say("page.data.audit", "en"), exact=True).click()
        expect(page.get_by_text("Run uploaded is complete and chosen")).to_be_visible(timeout=240_000)
        # The new run is the one in view.
        expect(page.get_by_role("heading", name=say("page.data.run", "en", run="uploaded"))).to_be_visible(timeout=30_000)
        page.get_by_role("link", name=say("page.findings", "en"), exact=True).click()
        with page.expect_download(timeout=60_000) as csv_file:
            page.get_by_role("button", name=say("page.export.csv", "en")).click()
        taken = csv_file.value.path().read_text(encoding="utf-8-sig")
        with page.expect_download(timeout=60_000) as pack_file:
            page.get_by_role("button", name=say("page.export.zip", "en")).click()
        pack_file.value.save_as(tmp_path / "pack.zip")
        con = runs.connect(folder / "uploaded.duckdb")
        try:
            found = {f["finding_id"] for f in summary.findings(con, {}, "time", 100)[0]}
            assert found and {row["finding_id"] for row in csv.DictReader(taken.splitlines())} == found
            assert export.verify(tmp_path / "pack.zip", con).wrong == ()
        finally:
            con.close()
        assert not [p for p in folder.iterdir() if p.name.startswith(".making-")]
    finally:
        page.close()
        for path in set(folder.glob("*.duckdb")) - set(before):
            path.unlink()
        (folder / "current").write_text("small\n", encoding="utf-8")


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.is_file() and "CI" not in os.environ, reason=f"no Chromium at {CHROMIUM} (set CHROMIUM)")
def test_in_a_browser_a_slider_says_what_if(server: str, folder: Path, browser: Any) -> None:
    from playwright.sync_api import expect

    page = browser.new_page()
    page.goto(f"{server}/rulebook?lang=zh")
    page.get_by_text(say("page.rulebook.what_if", "zh"), exact=True).click()
    slider = page.get_by_role("slider")
    expect(slider).to_be_visible(timeout=60_000)
    metric = page.get_by_test_id("stMetricValue").first
    expect(metric).to_have_text("3", timeout=30_000)
    slider.focus()
    # The first value that can be slid is the hour at which the quiet begins; four quarters on it is 23:00.
    for _ in range(4):
        slider.press("ArrowRight")
    found = compare.backtest(folder / "small.duckdb", rules.rules_folder(), ["cn-gbt-45251/quiet-hours.quiet_from=23:00"])[0]
    expect(metric).to_have_text(str(found.after), timeout=30_000)
    page.close()


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.is_file() and "CI" not in os.environ, reason=f"no Chromium at {CHROMIUM} (set CHROMIUM)")
def test_in_a_browser_findings_are_gone_through_by_keyboard(server: str, browser: Any) -> None:
    from playwright.sync_api import expect

    page = browser.new_page()
    page.goto(f"{server}/finding?lang=en")
    place = lambda at: page.get_by_text(say("page.position", "en", at=at, total=4), exact=True)  # noqa: E731 - said three times
    expect(place(1)).to_be_visible(timeout=60_000)
    page.wait_for_timeout(2_000)
    page.keyboard.press("j")
    expect(place(2)).to_be_visible(timeout=30_000)
    page.keyboard.press("k")
    expect(place(1)).to_be_visible(timeout=30_000)
    # Whoever writes is not carried off.
    page.get_by_label(say("column.comment", "en")).first.press_sequentially("jj")
    page.wait_for_timeout(1_000)
    expect(place(1)).to_be_visible()
    page.close()


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.is_file() and "CI" not in os.environ, reason=f"no Chromium at {CHROMIUM} (set CHROMIUM)")
def test_in_a_browser_nothing_is_taken_away_beside_the_log(server: str, browser: Any) -> None:
    """Neither a table, a chart nor the data behind a chart has Streamlit's own button for a file."""
    from playwright.sync_api import expect

    # Which also keeps whole tables out of the clipboard.
    assert tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["client"]["disableDataExport"]

    page = browser.new_page()

    def offered(place: str) -> set[str]:
        found = page.get_by_test_id(place).first
        expect(found).to_be_visible(timeout=60_000)
        found.hover()
        page.wait_for_timeout(500)
        return {str(b.get_attribute("aria-label")).partition(":")[0] for b in page.get_by_test_id("stElementToolbarButton").filter(visible=True).get_by_role("button").all()}

    page.goto(f"{server}/findings")
    assert {"Search", "Fullscreen"} <= offered("stDataFrame") <= {"Search", "Fullscreen", "Show/hide columns"}
    page.goto(server)
    chart = offered("stVegaLiteChart")
    assert "Fullscreen" in chart and not any(label.startswith(("Download", "Copy")) for label in chart)
    # The button appears with the mouse, and is no other's.
    page.get_by_role("button", name=re.compile("^Show data")).first.click()
    assert not any(label.startswith(("Download", "Copy")) for label in offered("stDataFrame"))
    page.close()


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.is_file() and "CI" not in os.environ, reason=f"no Chromium at {CHROMIUM} (set CHROMIUM)")
def test_in_a_browser_words_of_the_log_are_no_markdown(browser: Any, tmp_path: Path) -> None:
    """Neither picture nor address, icon nor emoji comes of what somebody wrote."""
    from playwright.sync_api import expect

    words = "![x](https://evil.example/a.png) https://evil.example/b www.evil.example c@evil.example :smile: :material/home: :red[d]"
    with (tmp_path / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADERS, *((f"C{n}", f"2026-03-02 1{n}:00:00", "电话", "呼出", "接通", "本人", "提醒还款", words) for n in range(3))])
    path = audit.run([str(tmp_path / "contacts.csv")], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="r").path
    log = review.Reviews(path)
    with runs.connect(path) as con:
        draw = log.draw_contacts(con, "w", words, 2).seq
    log.examine(draw, log.queue(draw)[0][0], "w", "ok")
    asked: list[str] = []
    with _serving(path.parent) as address:
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        for name, place in (("agents", page.locator("h2")), ("review", page.get_by_test_id("stMarkdownContainer").filter(has_text="evil"))):
            page.goto(f"{address}/{name}?lang=en")
            if name == "review":
                page.get_by_text(say("page.review.tab_unflagged", "en"), exact=True).click()
            shown = place.filter(has_text="evil").first
            expect(shown).to_be_visible(timeout=60_000)
            assert words in shown.inner_text().replace("\N{WORD JOINER}", "")
            assert page.locator("[href^=http][href*=evil], [href^=mailto], [src*=evil]").count() == 0
        page.close()
    assert asked and not [url for url in asked if not url.startswith((address, "data:", "blob:"))]


def _copy(folder: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "runs"
    copy.mkdir()
    (copy / "small.duckdb").write_bytes((folder / "small.duckdb").read_bytes())
    return copy


def test_an_address_holds_the_finding_the_run_and_the_language(folder: Path, insult: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(folder, "en", "finding.py", monkeypatch, finding_id=insult)
    assert not at.exception and {k: at.query_params[k] for k in ("finding", "run", "lang")} == {"finding": insult, "run": "small", "lang": "en"}
    monkeypatch.setattr(sys, "argv", ["app.py", str(folder)])
    anew = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for key, value in (("finding", insult), ("run", "small"), ("lang", "en")):
        anew.query_params[key] = value
    anew.run()
    anew.query_params["finding"] = insult
    anew.switch_page("analyzer/dashboards/finding.py").run()
    assert not anew.exception and anew.title[0].value == say("page.finding", "en") and any(insult in c.value for c in anew.caption)
    # What is no finding of this run is said, and no other is shown.
    other = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    other.run()
    other.query_params["finding"] = "0" * 16
    other.switch_page("analyzer/dashboards/finding.py").run()
    assert not other.exception and other.info and not other.header


def test_one_person_asks_for_a_suppression_by_the_name_that_stands_there(folder: Path, insult: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = _copy(folder, tmp_path)
    log = review.Reviews(copy / "small.duckdb")
    at = _open(copy, "zh", "finding.py", monkeypatch, finding_id=insult)
    at.text_input(key="review_actor").input("甲").run()
    at.text_area(key=f"suppress_comment_{insult}").input("整改中")
    at.text_input(key=f"suppress_approver_{insult}").input("乙")
    at.button(key=f"suppress_save_{insult}").click().run()
    assert not at.exception and not at.error and [(e.kind, e.actor) for e in log.log()] == [("suppress", "甲")]
    # Only who was asked is offered to answer; what waits is in the asker's list, what holds in everybody's, and marked in the list of findings.
    assert f"approve_{insult}" not in [b.key for b in at.button]
    waiting = _open(copy, "zh", "review.py", monkeypatch, review_actor="甲", review_list="requested")
    assert not waiting.exception and list(waiting.dataframe[0].value[say("column.approver", "zh")]) == ["乙"]
    at.text_input(key="review_actor").input("乙").run()
    at.button(key=f"approve_{insult}").click().run()
    assert not at.exception and not at.error and log.log()[-1].kind == "approve"
    counted = say("page.named", "zh", name=say("word.suppressed", "zh"), value="1")
    assert counted in [c.value for c in _open(copy, "zh", "overview.py", monkeypatch).caption] and counted not in [c.value for c in _open(folder, "zh", "overview.py", monkeypatch).caption]
    listed = _open(copy, "zh", "findings.py", monkeypatch, findings_state="suppressed")
    assert not listed.exception and [say("word.suppressed", "zh") in state for state in listed.dataframe[0].value[say("column.state", "zh")]] == [True]
    told = _open(copy, "zh", "review.py", monkeypatch, review_actor="丙", review_list="suppressed").dataframe[0].value
    assert list(told[say("column.comment", "zh")]) == ["整改中"] and all(told[say("column.until", "zh")])


def test_findings_are_listed_by_where_they_stand(folder: Path, insult: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = _copy(folder, tmp_path)
    with runs.connect(runs.locate(copy)) as con:
        review.Reviews(copy / "small.duckdb").decide(con, insult, "甲", "escalated", "请看")
        every = {r["finding_id"] for r in summary.findings(con, {"nature": ["breach"]})[0]}
    for state, expected in (("escalated", {insult}), ("open", every - {insult}), ("", every)):
        shown = _open(copy, "en", "findings.py", monkeypatch, findings_state=state)
        assert not shown.exception and set(shown.dataframe[0].value[say("column.finding_id", "en")]) == expected, state
    # A figure that opens its findings opens all of them, whatever state was chosen before; a saved view keeps the state, not the findings that stood so.
    at = _open(copy, "en", "findings.py", monkeypatch, findings_state="escalated")
    at.text_input(key="views_name").input("look here").run()
    at.button(key="views_save").click().run()
    assert not at.exception and [v.filters["state"] for v in Views(copy).all("local", True)] == [["escalated"]]
    assert all("finding" not in v.filters for v in Views(copy).all("local", True))
    at.switch_page("analyzer/dashboards/overview.py").run()
    at.button(key="open_page.findings_count").click().run()
    assert not at.exception and at.title[0].value == say("page.findings", "en") and set(at.dataframe[0].value[say("column.finding_id", "en")]) == every
    at = _open(copy, "en", "findings.py", monkeypatch)
    at.selectbox(key="views_choice").select("look here").run()
    assert not at.exception and set(at.dataframe[0].value[say("column.finding_id", "en")]) == {insult}
    none = _open(copy, "en", "findings.py", monkeypatch, findings_state="remediated")
    assert not none.exception and [i.value for i in none.info] == [say("page.no_findings", "en")]
    queue = _open(copy, "en", "review.py", monkeypatch, review_actor="乙", review_list="escalated")
    assert not queue.exception and list(queue.dataframe[0].value[say("column.finding_id", "en")]) == [insult]


def test_a_row_of_what_is_to_do_opens_the_contacts_it_counts(tmp_path: Path) -> None:
    """Of one rule some want a fact, others another: each row its own."""
    rows = "".join(f"c{n},K{n},2026-03-0{n} 10:00:00,{channel},呼出,{outcome},本人,,A1\n" for n, (channel, outcome) in enumerate([("电话", ""), ("短信", "已送达"), ("微信", "已送达"), ("电话", "接通")], start=1))
    (tmp_path / "calls.csv").write_text(f"contact_id,案件编号,通话时间,渠道,方向,结果,与借款人关系,内容,催收员\n{rows}", encoding="utf-8")
    path = audit.run([str(tmp_path / "calls.csv")], tmp_path / "runs", packs=["cn-gbt-45251", "lender-playbook"], run_id="r").path
    with runs.connect(path) as con:
        told = summary.undetermined(con)
        assert len(told) > len({r["rule"] for r in told}) > 3, "a rule has two rows"
        for row in told:
            asked = {"rule": [row["rule"]], "outcome": ["undetermined"], "missing": [row["missing"] or ""]}
            assert summary.contacts(con, asked, 0, 0)[1] == row["contacts"], row


def test_what_was_chosen_is_there_again(near: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(near, "zh", "overview.py", monkeypatch)
    at.selectbox(key="overview_dimension").select("agent").run()
    at.switch_page("analyzer/dashboards/findings.py").run()
    at.switch_page("analyzer/dashboards/overview.py").run()
    assert not at.exception and at.selectbox(key="overview_dimension").value == "agent"


def test_a_team_s_collectors_are_rated_on_what_they_did_in_it_and_share_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        ("C1", "2026-03-02 23:10:00", "电话", "呼出", "接通", "本人", "提醒还款", "A1"), ("C1", "2026-03-02 23:40:00", "电话", "呼出", "接通", "本人", "提醒还款", "A2"),
        ("C2", "2026-03-05 10:00:00", "电话", "呼出", "接通", "本人", "提醒还款", "A1"), ("C3", "2026-03-05 11:00:00", "电话", "呼出", "接通", "本人", "提醒还款", "A2"),
    ]  # fmt: skip
    for name, lines in (("contacts.csv", [HEADERS, *rows]), ("agents.csv", [("agent_id", "team", "from_on"), ("A1", "one", "2026-01-01"), ("A1", "two", "2026-03-04"), ("A2", "two", "2026-01-01")])):
        with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(lines)
    done = audit.run([str(tmp_path)], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="r")
    with runs.connect(done.path) as con:
        assert summary.teams(con) == ["one", "two"]
        assert summary.teams(con, "A1") == ["one", "two"] and summary.teams(con, "A2") == ["two"]
        told = {team: {r["agent_id"]: (r["contacts"], r["breaching_contacts"]) for r in summary.agents(con, None, team)} for team in ("", "one", "two")}
        assert told == {"": {"A1": (2, 1), "A2": (2, 1)}, "one": {"A1": (1, 1)}, "two": {"A1": (1, 0), "A2": (2, 1)}}
        # Somebody who worked in one team alone is expected to do there what he is expected to do.
        expected = [{r["agent_id"]: r["expected"] for r in summary.agents(con, None, team)}["A2"] for team in ("", "two")]
        assert expected[0] == expected[1]
        night = {"rule": ["cn-gbt-45251/quiet-hours"]}
        shared, count = summary.findings(con, night)
        assert count == 1 and shared[0]["breaches"] == 2 and shared[0]["agent_id"] == "A1"
        # The second collector's example is there too, though the finding counts at the first.
        assert summary.findings(con, night | {"agent": ["A2"]})[1] == 0 and [summary.findings(con, night | {"involved": [a]})[1] for a in ("A1", "A2", "A3")] == [1, 1, 0]
    at = _open(tmp_path / "runs", "en", "agents.py", monkeypatch, agents_team="two")
    assert at.header[0].value in ("A1", "A2") and (at.header[0].value == "A1") == (say("page.agent_elsewhere", "en") in [c.value for c in at.caption])
    at = _open(tmp_path / "runs", "en", "agents.py", monkeypatch, agents_team="one")
    assert [h.value for h in at.header] == ["A1"] and say("page.agent_elsewhere", "en") in [c.value for c in at.caption] and say("page.agent_examples_help", "en") in [c.value for c in at.caption]
