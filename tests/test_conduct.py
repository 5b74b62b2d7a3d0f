"""Conduct towards customer types: the book's own examples, figures by hand, what is counted as unknown, hostile texts, page and command."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from analyzer import conduct, rules, summary
from analyzer.cli import app
from analyzer.errors import RuleErrors
from analyzer.messages import say

ROOT = Path(__file__).parents[1]
SCRIPT = "<script>alert(1)</script>"
TYPES = {"provocative", "evasive", "victim", "confident", "stubborn", "sophisticated", "promising", "broken-promise", "unwilling", "deceased"}
HEAD = "流水号,案件编号,与客户关系,渠道,方向,通话时间,通话结果,坐席工号,催记内容\n"
KEPT = "KP拒还，已安抚，询问原因，已登记投诉，告知逾期影响。"
# A1 meets the unwilling four times (one kept, one abusive, two terse); the rest are texts of other kinds.
CONTACTS = [
    ("u1", "本人", "电话", "呼出", "接通", "A1", KEPT),
    ("u2", "本人", "电话", "呼出", "接通", "A1", "KP拒还，询问原因，骂KP臭不要脸的老赖。"),
    ("u3", "本人", "电话", "呼出", "接通", "A1", "KP拒还。"),
    ("u4", "本人", "电话", "呼出", "接通", "A1", "ＫＰ 拒 还 ，已安抚。"),
    ("u5", "本人", "电话", "呼入", "接通", "A2", f"客户：我就是不还{SCRIPT}。坐席：您先别激动，是对哪方面不满？"),
    ("both", "本人", "电话", "呼出", "接通", "A2", "KP拒还，破口大骂，已安抚，询问原因，已登记投诉，告知逾期影响。"),
    ("death", "配偶", "电话", "呼出", "接通", "A2", "家属称客户已去世，请其提供死亡证明，待核实情况。你替他还钱，你必须替他把钱还了。"),
    ("other", "配偶", "电话", "呼出", "接通", "A2", "配偶拒还，已安抚。"),
    ("plain", "本人", "电话", "呼出", "接通", "A2", "核对账单。"),
    ("said", "本人", "短信", "呼出", "已发送", "A2", "您若不想还，也请告诉我们原因。"),
    ("empty", "本人", "电话", "呼出", "无人接听", "A2", ""),
    ("wrote", "本人", "短信", "呼入", "已送达", "A2", "我拒绝还款，你们烦不烦"),
    ("who", "", "电话", "呼出", "接通", "A2", "接听人称借款人已去世。"),
]

Run = Callable[..., tuple[Any, duckdb.DuckDBPyConnection]]
Write = Callable[..., Path]


@pytest.fixture(scope="session")
def book() -> conduct.Book:
    return conduct.load()


@pytest.fixture
def con(run: Run, write: Write) -> duckdb.DuckDBPyConnection:
    lines = [f'{i},K{n},{who},{channel},{way},2026-03-{n + 2:02} 10:00:00,{end},{agent},"{text}"' for n, (i, who, channel, way, end, agent, text) in enumerate(CONTACTS)]
    return run([write("contacts.csv", HEAD + "\n".join(lines) + "\n")], packs=["cn-gbt-45251"])[1]


@pytest.fixture(autouse=True)
def _release() -> Iterator[None]:
    yield
    st.cache_resource.clear()


# The book
def test_every_example_of_the_book_comes_out_as_it_says(book: conduct.Book) -> None:
    assert conduct.failures(book) == []
    assert set(book.situations) == TYPES
    assert all(len(s.examples) >= 3 and len(s.counterexamples) >= 2 and any(e.text.isascii() for e in s.examples) for s in book.situations.values())
    used = {c.mark for s in book.situations.values() for c in (*s.prescribed, *s.avoid)}
    assert used == set(book.marks)


def test_what_the_law_forbids_is_told_by_rules_that_exist(book: conduct.Book) -> None:
    told = {s.id: {rule for c in s.conflicts for rule in c.rules} for s in book.situations.values()}
    assert "cn-gbt-45251/third-party-pressure" in told["deceased"] and "cn-nifa-2018/call-barrage" in told["evasive"]
    have = {f"{pack.id}/{rule.id}" for pack in rules.load(ROOT / "rules")[0] for rule in pack.rules}
    assert set().union(*told.values()) <= have


def test_a_broken_file_says_where(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "rules" / "conduct", tmp_path / "conduct")
    path = tmp_path / "conduct" / "unwilling.yaml"
    text = path.read_text(encoding="utf-8").replace("mark: calmed", "mark: clamed").replace("known: house", "known: house\nknwon: house")
    path.write_text(text, encoding="utf-8")
    other = tmp_path / "conduct" / "evasive.yaml"
    wrong = other.read_text(encoding="utf-8").replace("cn-nifa-2018/call-barrage", "cn-nifa-2018/no-such", 1).replace("mark: invited_talk", "mark: invited")
    other.write_text(wrong, encoding="utf-8")
    with pytest.raises(RuleErrors) as caught:
        conduct.load(tmp_path)
    lines = caught.value.text("en").splitlines()[1:]
    asked = ((other, "mark: invited"), (other, "no-such"), (path, "knwon"))
    places = [next(n for n, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if word in line) for file, word in asked]
    assert [line.split(": ")[0] for line in lines] == [f"conduct/{name}.yaml:{place}" for name, place in zip(("evasive", "evasive", "unwilling"), places, strict=True)]
    assert "invited_talk" in lines[0] and "cn-nifa-2018/no-such" in lines[1] and "knwon" in lines[2]
    path.write_text(text.replace("\nknwon: house", "").replace("    said:", "    heard:"), encoding="utf-8")
    with pytest.raises(RuleErrors) as caught:
        conduct.load(tmp_path)
    assert any("unwilling.yaml" in line and "met_by" in line for line in caught.value.text("en").splitlines())
    (tmp_path / "conduct" / "_marks.yaml").unlink()
    with pytest.raises(RuleErrors, match="problems"):
        conduct.load(tmp_path)


def test_the_folder_is_no_pack() -> None:
    packs, problems = rules.load(ROOT / "rules")
    assert not problems and "conduct" not in {pack.id for pack in packs}


# Texts
@pytest.mark.parametrize("text", [
    "ＫＰ拒还，已安撫。", "K P 拒 还，已 安 抚。", "kp拒-还，已安抚。", "KP拒還，已安撫。",
])  # fmt: skip
def test_disguises_are_seen_through(text: str, book: conduct.Book) -> None:
    told = conduct.read([text], book)[0]
    assert set(told.situations) == {"unwilling"} and told.marks == {"calmed"}
    assert all(text[start:end] for start, end in told.places)


@pytest.mark.parametrize("text", [
    "", " ", "\x00\x00", "\ud83d\ude02".encode("utf-16", "surrogatepass").decode("utf-16"), "拒" * 50_000, "客户：" * 20_000, "客户称" * 20_000 + "不还",
    "\u202e还拒PK", "坐席：我不想还跟您争。", "如有人说我就是不还，请举报。",
    "培训材料：KP拒还时应先安抚。", "[" * 5_000,
])  # fmt: skip
def test_hostile_texts_meet_nothing_and_stop_nothing(text: str, book: conduct.Book) -> None:
    told = conduct.read([text, KEPT], book)
    assert set(told) == {1} and set(told[1].situations) == {"unwilling"}


def test_who_speaks_decides(book: conduct.Book) -> None:
    assert "unwilling" in conduct.read(["客户称我就是不还。"], book)[0].situations
    assert conduct.read(["坐席：我就是不还手。客户：谢谢。"], book) == {}
    told = conduct.read(["客户：我就是不还，你们有什么不满找领导去。坐席：好。"], book)[0]
    assert told.marks == frozenset()


def test_what_is_to_be_avoided_is_no_complete_conduct(book: conduct.Book) -> None:
    situation = book.situations["sophisticated"]
    asked = frozenset(c.mark for c in situation.prescribed)
    assert conduct.judged(conduct.Told({}, asked, ()), situation)["complete"]
    told = conduct.judged(conduct.Told({}, asked | {"answered_in_kind"}, ()), situation)
    assert (told["complete"], told["missing"], told["avoided"]) == (False, (), ("answered_in_kind",))


# A run
def found(con: duckdb.DuckDBPyConnection, book: conduct.Book) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    told = conduct.coached(con, book)
    return told.rows, told.reach


def test_figures_are_those_worked_out_by_hand(con: duckdb.DuckDBPyConnection, book: conduct.Book) -> None:
    rows, reach = found(con, book)
    assert [(r["contact_id"], r["situation"]) for r in rows] == [
        ("u1", "unwilling"), ("u2", "unwilling"), ("u3", "unwilling"), ("u4", "unwilling"), ("u5", "unwilling"), ("both", "provocative"), ("both", "unwilling"),
        ("death", "deceased"), ("who", "deceased"),
    ]  # fmt: skip
    seen = {(r["contact_id"], r["situation"]): set(r["seen"]) for r in rows}
    assert seen["u1", "unwilling"] == {"asked_reason", "calmed", "separated_complaint", "named_consequences"}
    assert seen["u2", "unwilling"] == {"asked_reason"} and seen["u4", "unwilling"] == {"calmed"} and seen["u5", "unwilling"] == {"asked_reason", "calmed"}
    assert seen["both", "provocative"] == {"asked_reason", "calmed"} and seen["death", "deceased"] == {"verified_death", "asked_documents"}
    assert reach == {"debtor": 10, "messages": 1, "without_text": 1, "looked_at": 8, "others": 3, "unknown_party": 1, "met": 8, "plain": 2}
    unwilling = next(r for r in conduct.by_situation(rows, book) if r["situation"] == "unwilling")
    assert (unwilling["contacts"], unwilling["complete"], unwilling["rate"]) == (6, 2, 2 / 6)
    assert (unwilling["low"], unwilling["high"]) == summary.interval(2, 6)
    assert (unwilling["missed"], unwilling["missed_contacts"]) == ("named_consequences", 4)
    assert [(m["mark"], m["seen"], m["contacts"]) for m in conduct.marks_of(rows, book.situations["unwilling"])] == [
        ("asked_reason", 4, 6), ("calmed", 4, 6), ("separated_complaint", 2, 6), ("named_consequences", 2, 6),
    ]  # fmt: skip
    none = next(r for r in conduct.by_situation(rows, book) if r["situation"] == "victim")
    assert (none["contacts"], none["rate"], none["low"], none["breach_rate"]) == (0, None, None, None)


def test_breaches_are_those_of_the_run(con: duckdb.DuckDBPyConnection, book: conduct.Book) -> None:
    """What the lexicons find is not this module's: a contact breaches here where the run has such a finding on it."""
    rows, _ = found(con, book)
    evidence = "SELECT e.seq FROM finding_evidence e JOIN findings f USING (finding_id) JOIN rules r ON r.rule = f.rule WHERE e.role = 'breach'"
    worded = {seq for (seq,) in con.execute(f"{evidence} AND r.kind IN ('wording', 'disclosure')").fetchall()}
    assert worded and {r["seq"] for r in rows if r["breaching"]} == worded & {r["seq"] for r in rows}
    pressed = {seq for (seq,) in con.execute(f"{evidence} AND f.rule LIKE '%/third-party-%'").fetchall()}
    assert {r["seq"] for r in rows if r["against"]} == pressed & {r["seq"] for r in rows if r["situation"] == "deceased"}
    told = {r["situation"]: r for r in conduct.by_situation(rows, book)}
    count = sum(r["breaching"] for r in rows if r["situation"] == "unwilling")
    assert (told["unwilling"]["breaching_contacts"], told["unwilling"]["breach_low"]) == (count, summary.interval(count, 6)[0])


def test_a_collector_with_few_contacts_has_no_share(con: duckdb.DuckDBPyConnection, book: conduct.Book) -> None:
    rows, _ = found(con, book)
    few = {r["agent_id"]: r for r in conduct.by_agent(rows)}
    assert {k: (r["contacts"], r["enough"], r["rate"], r["missed"]) for k, r in few.items()} == {"A1": (4, False, None, None), "A2": (4, False, None, None)}
    told = {r["agent_id"]: r for r in conduct.by_agent(rows, least=4)}
    # `both` met two situations and is one contact, `death` alone is complete.
    assert (told["A1"]["rate"], told["A2"]["contacts"], told["A2"]["complete"]) == (0.25, 4, 1)
    assert {r["agent_id"]: r["contacts"] for r in conduct.by_agent(rows, "unwilling")} == {"A1": 4, "A2": 2}
    mine = [r for r in rows if r["agent_id"] == "A1"]
    assert [r["contact_id"] for r in conduct.examples(con, mine, book, True)] == ["u1"]
    poor = conduct.examples(con, mine, book, False)
    assert {r["contact_id"] for r in poor} == {"u2", "u3", "u4"} and poor[-1]["contact_id"] == "u4"
    assert [poor[-1]["text"][m["start"] : m["end"]] for m in poor[-1]["marks"]] == ["拒 还", "安抚"]


# Command and page
def test_the_command(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    runner = CliRunner()
    where = str(tmp_path / "runs")
    data = json.loads(runner.invoke(app, ["conduct", "--run", where, "--json"]).stdout)
    assert data["reach"]["looked_at"] == 8 and {r["situation"] for r in data["situations"]} == TYPES and data["examples"] == {"good": [], "poor": []}
    mine = json.loads(runner.invoke(app, ["conduct", "--run", where, "--agent", "A1", "--json"]).stdout)
    assert [r["contact_id"] for r in mine["examples"]["good"]] == ["u1"] and [r["agent_id"] for r in mine["agents"]] == ["A1"]
    for lang in ("zh", "en"):
        done = runner.invoke(app, ["--lang", lang, "conduct", "--run", where, "--agent", "A1"])
        assert done.exit_code == 0 and say("word.good", lang) in done.stdout
        assert say("talk.conduct", lang, **data["reach"]).split("。")[0].split(":")[0] in done.stderr.replace("\n", " ")
    wrong = runner.invoke(app, ["--lang", "en", "conduct", "--run", where, "--agent", "moon"])
    assert wrong.exit_code == 2 and "moon" in wrong.stderr and wrong.stdout == ""


def opened(folder: Path, lang: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(sys, "argv", ["app.py", str(folder)])
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.session_state["lang"] = lang
    at.run()
    at.switch_page("analyzer/dashboards/conduct.py").run()
    assert not at.exception and not at.error and at.title[0].value == say("page.conduct", lang)
    return at


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page(lang: str, con: duckdb.DuckDBPyConnection, book: conduct.Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = opened(tmp_path / "runs", lang, monkeypatch)
    rows, reach = found(con, book)
    assert at.info[0].value == say("talk.conduct", lang, **reach)
    shown = at.dataframe[0].value.set_index(say("column.situation", lang))
    title = book.situations["unwilling"].title.in_(lang)
    assert next(iter(shown.index)) == title and shown.loc[title, say("column.kept", lang)] == "2 / 6 (33.3%)"
    assert shown.loc[title, say("column.missed", lang)] == f"{book.marks['named_consequences'].title.in_(lang)} 4"
    assert any(say("page.conduct.no_agent", lang, least=conduct.LEAST) in m.value for m in at.markdown)
    at.selectbox(key="conduct_situation").select("unwilling").run()
    marks = at.dataframe[1].value
    assert not at.exception and next(iter(marks[say("column.seen_of", lang)])) == "4 / 6 (66.7%)"
    at.selectbox(key="conduct_agent_unwilling").select("A2").run()
    bodies = [element.proto.body for element in at.get("html")]
    assert not any("<script" in body for body in bodies) and any("&lt;script&gt;" in body and "<mark>" in body for body in bodies)
    at.selectbox(key="conduct_situation").select("deceased").run()
    assert len(at.warning) == 2 and "cn-gbt-45251/third-party-pressure" in at.warning[0].value
    poor = conduct.examples(con, [r for r in rows if r["situation"] == "deceased"], book, False)
    at.session_state["conduct_poor"] = {"selection": {"rows": [len(poor) - 1], "columns": [], "cells": []}}
    at.run()
    assert not at.exception and at.title[0].value == say("page.case", lang) and at.session_state["case_id"] == poor[-1]["case_id"]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_run_without_any_situation_says_so(lang: str, run: Run, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run([write("contacts.csv", HEAD + "c1,K1,本人,电话,呼出,2026-03-02 10:00:00,接通,A1,核对账单\n")])
    at = opened(tmp_path / "runs", lang, monkeypatch)
    assert say("page.conduct.none", lang) in [m.value for m in at.markdown] and not at.dataframe
