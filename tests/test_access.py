"""Who may do what, who sees which rows, and who is let in."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas
import pyarrow.parquet as parquet
import pytest
import streamlit as st
from google.protobuf import json_format
from streamlit import config
from streamlit.testing.v1 import AppTest

from analyzer import access, audit, explain, export, report, review, runs, store, summary
from analyzer.access import EVERYTHING, Scope
from analyzer.dashboards._blocks import plain
from analyzer.dashboards._taking import exported, whole_report
from analyzer.errors import UsageError
from analyzer.messages import say
from tests import oidc
from tests.conftest import ROOT
from tests.serving import free_port, served

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
# What each role may do, written out: view judge bulk assign suppress appeal sample coach reveal export rules audit log
TABLE = {
    "compliance_officer": "yyyyynyyyyyyy",
    "reviewer": "yynnnnynnnnnn",
    "auditor": "ynnnnnnnnynny",
    "team_lead": "ynnynnnynnnnn",
    "agent": "ynnnnynnnnnnn",
    "administrator": "ynnnnnnnnnyyy",
    "local": "yyyyyyyyyyyyy",
    "somebody": "nnnnnnnnnnnnn",
    "": "nnnnnnnnnnnnn",
}
ONE, TWO = Scope(teams=("一组",)), Scope(teams=("二'组",))
NAMES = ("张三丰", "王小明", "李雷雷", "韩梅梅", "赵催收", "钱催收", "孙催收")
NIGHTS = [  # contact, case, collector, hour
    ("n1", "K1", "A1", "23:10"), ("n2", "K2", "A2", "23:20"), ("n3", "K3", "A3", "23:30"), ("d1", "K1", "A1", "10:00"), ("d2", "K2", "A2", "11:00"),
    ("d3", "K3", "A3", "12:00"), ("d4", "K4", "A1", "13:00"), ("d5", "K4", "A2", "13:30"), ("d6", "K4", "A1", "22:40"), ("d7", "K4", "A2", "23:40"),
    *((f"e{n}", "K5", "A1" if n < 3 else "A2", f"{9 + n:02}:15") for n in range(8)),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two teams of two agencies, one collector of none; case K4 is worked by both teams, and its night breaches in both."""
    where = tmp_path_factory.mktemp("access")
    (where / "agents.csv").write_text("agent_id,name,team,vendor\nA1,赵催收,一组,甲公司\nA2,钱催收,二'组,乙公司\nA3,孙催收,,\n", encoding="utf-8")
    (where / "cases.csv").write_text("case_id,debtor_id,debtor_name,principal\n" + "".join(f"K{i},B{i},{NAMES[i - 1]},1000\n" for i in range(1, 6)), encoding="utf-8")
    lines = [f"{i},{case},2026-03-02 {at}:00,call,outbound,conversation,self,{NAMES[int(case[1]) - 1]}您好，我是{a}的赵催收,{a},interactive\n" for i, case, a, at in NIGHTS]
    lines += ["bad,,2026-03-02 10:00:00,call,outbound,conversation,self,张三丰的秘密,A1,interactive\n"]
    (where / "contacts.csv").write_text("contact_id,case_id,started_at,channel,direction,outcome,relation,text,agent_id,call_type\n" + "".join(lines), encoding="utf-8")
    audit.run([str(where)], where / "runs", packs=["cn-gbt-45251"], run_id="r")
    return where / "runs"


@pytest.fixture
def path(folder: Path) -> Path:
    return runs.locate(folder)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    st.cache_resource.clear()
    st.cache_data.clear()
    config.set_option("server.trustedUserHeaders", {})


def _all(con: duckdb.DuckDBPyConnection, table: str) -> list[tuple[Any, ...]]:
    return con.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()


def _ids(con: duckdb.DuckDBPyConnection, table: str, column: str) -> set[Any]:
    return {row[0] for row in con.execute(f"SELECT {column} FROM {table}").fetchall()}


@pytest.mark.parametrize("role", TABLE)
@pytest.mark.parametrize(("number", "action"), list(enumerate(access.ACTIONS)))
def test_every_role_and_action(role: str, number: int, action: str) -> None:
    assert len(TABLE[role]) == len(access.ACTIONS) and set(access.ROLES) < set(TABLE)
    may = TABLE[role][number] == "y"
    assert access.allowed(role, action) is may
    user = access.User("u", "u", role)
    if may:
        access.require(user, action)
    else:
        with pytest.raises(UsageError) as caught:
            access.require(user, action)
        assert caught.value.key == f"access.denied_{action}" and say(caught.value.key, "zh")


def test_an_action_that_does_not_exist_is_a_bug() -> None:
    with pytest.raises(KeyError):
        access.allowed("local", "jduge")


def test_a_scope_shows_its_rows_in_every_table_and_no_others(path: Path) -> None:
    one, whole = access.connect(path, ONE), runs.connect(path)
    assert _ids(one, "contacts", "contact_id") == {"n1", "d1", "d4", "d6", "e0", "e1", "e2"} and _ids(one, "contacts", "team") == {"一组"}
    assert _ids(one, "agents", "agent_id") == {"A1"} and _ids(one, "cases", "case_id") == {"K1", "K4", "K5"} and _all(one, "rejects") == [] != _all(whole, "rejects")
    assert _ids(one, "finding_evidence", "contact_id") == {"n1", "d6"}
    # K5 was called too often by the other team: his team's calls counted, none of them breached, so the finding is not his.
    assert summary.findings(one, {"case": ["K5"]})[0] == [] != summary.findings(whole, {"case": ["K5"]})[0]
    for f in summary.findings(one)[0]:
        assert (f["team"], f["vendor"], f["agent_id"]) == ("一组", "甲公司", "A1")
    # No table has been forgotten, and each has its columns as they are.
    for table, columns in store.schema():
        assert [d[0] for d in one.execute(f"SELECT * FROM {table} LIMIT 0").description] == [name for name, _ in columns]
    one.close()
    whole.close()


def test_a_finding_of_two_teams_is_each_teams_with_its_own_contacts(path: Path) -> None:
    whole, found = runs.connect(path), {}
    night = {f["finding_id"]: f for f in summary.findings(whole, {"case": ["K4"]})[0]}
    for name, rows in (("A1", ONE), ("A2", TWO)):
        con = access.connect(path, rows)
        found[name] = {f["finding_id"]: f for f in summary.findings(con, {"case": ["K4"]})[0]}
        for finding, row in found[name].items():
            told = explain.explain(con, finding)
            assert {e["agent_id"] for e in told.ledger} == {name} == {row["agent_id"]}
            # Its digests stay those of the whole: a verdict is stale for both or for none.
            assert row["evidence_digest"] == night[finding]["evidence_digest"]
        con.close()
    both = set(found["A1"]) & set(found["A2"])
    assert both and set(found["A1"]) | set(found["A2"]) == set(night)
    whole.close()


def test_figures_of_the_parts_add_up_to_those_of_the_whole(path: Path) -> None:
    """Teams, and the collector without one, part the contacts: outcomes per rule, contacts and breaching contacts add up."""
    whole = runs.connect(path)
    parts = [access.connect(path, rows) for rows in (ONE, TWO, Scope(agents=("A3",)))]
    outcomes = "SELECT rule, outcome, missing, sum(contacts) FROM rule_results GROUP BY ALL"
    told: dict[tuple[Any, ...], int] = {}
    for con in parts:
        for *key, contacts in con.execute(outcomes).fetchall():
            told[tuple(key)] = told.get(tuple(key), 0) + contacts
    assert told == {tuple(key): n for *key, n in whole.execute(outcomes).fetchall()}
    for name in ("contacts", "breaching_contacts"):
        assert sum(summary.totals(con)[name] for con in parts) == summary.totals(whole)[name]
    rates = {r["agent_id"]: r["rate"] for r in summary.agents(whole, summary.wanting(whole))}
    assert {r["agent_id"]: r["rate"] for con in parts for r in summary.agents(con, summary.wanting(con))} == rates
    everything = access.connect(path, EVERYTHING)
    for table, _ in store.schema():
        if table not in ("cases", "persons", "agents"):
            assert _all(everything, table) == _all(whole, table), table
    for con in (whole, everything, *parts):
        con.close()


@pytest.mark.parametrize("rows", [Scope(teams=()), Scope(teams=("一组",), vendors=("乙公司",)), Scope(teams=("no'; DROP TABLE x; --",)), Scope((), (), ())])
def test_a_scope_of_nobody_shows_nothing(rows: Scope, path: Path) -> None:
    con = access.connect(path, rows)
    for table in ("contacts", "cases", "persons", "agents", "findings", "finding_evidence", "signals", "payments", "rejects"):
        assert _all(con, table) == []
    con.close()


def test_who_is_bound_to_a_team_and_names_none_sees_nothing() -> None:
    assert access.scope(access.User("u", "u", "team_lead")) == Scope((), (), ()) == access.scope(access.User("u", "u", "agent", Scope(teams=("一组",))))
    assert access.scope(access.User("u", "u", "nobody")) == Scope((), (), ())
    assert access.scope(access.User("u", "u", "auditor")) == EVERYTHING and access.scope(access.User("u", "u", "team_lead", ONE)) == ONE


def test_names_are_pseudonyms_in_every_table_and_covered_in_texts(path: Path) -> None:
    con = access.connect(path)
    for table in ("cases", "persons", "agents"):
        assert not any(name in str(row) for row in _all(con, table) for name in NAMES), table
    shown = dict(access.names(con, ["K1"], ["A1"]))
    assert set(shown.values()) == {"张三丰", "赵催收"} and set(shown) == _ids(con, "cases WHERE case_id = 'K1'", "debtor_name") | _ids(con, "agents WHERE agent_id = 'A1'", "name")
    finding = summary.findings(con, {"case": ["K1"]})[0][0]["finding_id"]
    entry = access.veiled(explain.explain(con, finding).ledger, shown.values())[0]
    assert entry["text"] == "＊＊＊您好，我是A1的＊＊＊"
    con.close()
    # Nobody learns by this door the names of those he does not see.
    other = access.connect(path, TWO)
    assert access.names(other, ["K1", "K2"], ["A1", "A2"]) == access.names(other, ["K2"], ["A2"]) and {name for _, name in access.names(other, ["K2"], ["A2"])} == {"王小明", "钱催收"}
    other.close()


def test_every_name_of_an_id_is_covered_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector under two names, a debtor who is called otherwise in another case, and a collector whom the staff list gives to another agency."""
    where = tmp_path / "twice"
    where.mkdir()
    (where / "agents.csv").write_text("agent_id,name,vendor,from_on,until_on\nA1,赵催收,甲公司,2020-01-01,2026-02-01\nA1,赵莉莉,甲公司,2026-02-02,\nA2,钱催收,乙公司,,\n", encoding="utf-8")
    (where / "cases.csv").write_text("case_id,debtor_id,debtor_name,principal\nK1,B1,张三丰,1000\nK2,B1,欧阳锋,1000\n", encoding="utf-8")
    lines = [f"c{n},K1,2026-03-02 23:1{n}:00,call,outbound,conversation,self,张三丰欧阳锋您好，赵催收赵莉莉钱催收,A{n},甲公司,interactive\n" for n in (1, 2)]
    (where / "contacts.csv").write_text("contact_id,case_id,started_at,channel,direction,outcome,relation,text,agent_id,vendor,call_type\n" + "".join(lines), encoding="utf-8")
    run = audit.run([str(where)], where / "runs", packs=["cn-gbt-45251"], run_id="r").path
    con = access.connect(run, Scope(vendors=("甲公司",)))
    told = access.names(con, ["K1"], ["A1", "A2"])
    assert sorted(name for _, name in told) == sorted(("张三丰", "欧阳锋", "赵催收", "赵莉莉", "钱催收")) and len(dict(told)) == 3
    con.close()
    finding = _finding(run, "K1")
    shown = _shown(_open(where / "runs", tmp_path, monkeypatch, "second", finding_id=finding))
    assert "您好" in shown and not any(name in shown for _, name in told)
    at = _open(where / "runs", tmp_path, monkeypatch, "officer", finding_id=finding)
    at.button(key="reveal_finding").click().run()
    assert not at.exception and all(name in _shown(at) for _, name in told)


def test_a_connection_reaches_no_file_and_stays_locked(path: Path) -> None:
    con = access.connect(path, ONE)
    for sql in ("SELECT * FROM read_csv('/etc/passwd')", "SET enable_external_access = true", f"ATTACH '{path}' AS again", "DELETE FROM run.main.contacts"):
        with pytest.raises(duckdb.Error):
            con.execute(sql)
    con.close()


def test_a_report_can_be_made_of_what_is_seen(path: Path) -> None:
    con = access.connect(path, ONE)
    made = report.render(report.report(con, "zh", {"agent": ["A1"]}), "html").decode()
    con.close()
    assert "K1" in made and "K2" not in made and "A2" not in made


# The users file
GOOD = """
login: oidc
claims: {user: email, name: name, role: groups, team: team, agent: staff}
roles: {leads: team_lead, staff: agent, officers: compliance_officer}
two_level: [critical]
people:
  Wang@x.example: {name: 王主任, role: compliance_officer}
  li@x.example: {role: team_lead, teams: [一组]}
"""


def _users(tmp_path: Path, text: str = GOOD) -> access.Users:
    (tmp_path / "users.yaml").write_text(text, encoding="utf-8")
    return access.load_users(tmp_path / "users.yaml")


@pytest.mark.parametrize(
    "wrong",
    [
        "login: none\n", GOOD + "admins: [x]\n", GOOD.replace("compliance_officer}", "root}"), GOOD.replace(", teams: [一组]", ""), GOOD.replace("[critical]", "[severe]"),
        GOOD + "  WANG@x.example : {role: auditor}\n", "login: oidc\n", GOOD.replace("teams: [一组]", "teams: []"), GOOD.replace("teams: [一组]", "teams: 一组"), "a: [", GOOD + "login: proxy\n",
        GOOD + "session_hours: 0\n",
    ],
)  # fmt: skip
def test_a_users_file_is_read_strictly(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        _users(tmp_path, wrong)
    assert caught.value.key in ("settings.yaml", "settings.invalid") and "@" not in str(caught.value)


def test_an_error_in_a_users_file_says_where(tmp_path: Path) -> None:
    for wrong, place in ((GOOD.replace("[critical]", "[severe]"), (5, "two_level.0")), (GOOD.replace("role: compliance_officer}", "role: root}"), (7, "people.*.role"))):
        with pytest.raises(UsageError) as caught:
            _users(tmp_path, wrong)
        assert (caught.value.params["line"], caught.value.params["where"]) == place


def test_a_users_file_that_is_not_there_lets_nobody_in(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file none\.yaml"):
        access.load_users(tmp_path / "none.yaml")


NOW = 1_000_000.0
IN = {"is_logged_in": True, "iat": NOW - 60, "email": "zhao@x.example"}


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"email": " wang@X.example"}, ("wang@X.example", "王主任", "compliance_officer", EVERYTHING)),
        ({"email": "li@x.example", "groups": ["officers"]}, ("li@x.example", "li@x.example", "team_lead", ONE)),
        ({"groups": ["leads", "everybody"], "team": "一组", "name": "赵"}, ("zhao@x.example", "赵", "team_lead", ONE)),
        ({"groups": "staff", "staff": ["A1", "A9"]}, ("zhao@x.example", "zhao@x.example", "agent", Scope(agents=("A1", "A9")))),
        ({"is_logged_in": False}, "login"), ({"iat": NOW - 13 * 3600}, "expired"), ({"iat": None}, "expired"), ({"email": ""}, "nobody"), ({"email": ["wang@x.example"]}, "nobody"),
        ({"email": "wang@x.example", "email_verified": False}, "unverified"), ({}, "no_role"), ({"groups": ["compliance_officer"]}, "no_role"),
        ({"groups": ["leads", "officers"], "team": "一组"}, "two_roles"), ({"groups": ["leads"]}, "no_rows"), ({"groups": ["staff"], "team": "一组"}, "no_rows"),
    ],
)  # fmt: skip
def test_who_somebody_is(facts: dict[str, Any], told: str | tuple[str, str, str, Scope], tmp_path: Path) -> None:
    users = _users(tmp_path)
    if isinstance(told, str):
        with pytest.raises(UsageError) as caught:
            access.identify(users, IN | facts, NOW)
        assert caught.value.key == f"access.{told}"
    else:
        user = access.identify(users, IN | facts, NOW)
        assert (user.id, user.name, user.role, user.rows) == told and user.two_level == ("critical",)


# The pages
PROXY = """
login: proxy
claims: {user: X-Forwarded-User}
two_level: [critical, high, medium, low]
people:
  officer: {role: compliance_officer, name: "*王*主任"}
  deputy: {role: compliance_officer, name: 李主任}
  second: {role: reviewer}
  auditor: {role: auditor}
  bound: {role: auditor, vendors: [甲公司]}
  reviewer: {role: reviewer, vendors: [甲公司]}
  lead: {role: team_lead, teams: [一组]}
  a1: {role: agent, agents: [A1]}
  admin: {role: administrator}
"""


def _open(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str | None, page: str | None = "finding.py", trusted: bool = True, **state: Any) -> AppTest:
    (tmp_path / "users.yaml").write_text(PROXY, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["app.py", str(folder), str(tmp_path / "users.yaml")])
    monkeypatch.setenv("DUNAUDIT_LANG", "zh")
    config.set_option("server.trustedUserHeaders", {"X-Forwarded-User": "X-Forwarded-User"} if trusted else {})
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.user = {} if who is None else {"X-Forwarded-User": who}
    for key, value in {"lang": "zh", **state}.items():
        at.session_state[key] = value
    at.run()
    return at.switch_page(f"analyzer/dashboards/{page}").run() if page else at


def _shown(at: AppTest) -> str:
    """All that the page and its sidebar hold: words, pieces of HTML, cells of tables, data of charts."""
    parts = []
    for element in (*at.main, *at.sidebar):
        value = getattr(element, "value", None)
        parts.append(value.to_csv() if isinstance(value, pandas.DataFrame) else str(value))
        if getattr(element, "proto", None) is not None:
            parts.append(json_format.MessageToJson(element.proto, ensure_ascii=False))
    return " ".join(parts)


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """The runs with a log of their own."""
    where = tmp_path / "runs"
    where.mkdir()
    (where / "r.duckdb").write_bytes(runs.locate(folder).read_bytes())
    return where


def _finding(path: Path, case: str) -> str:
    con = runs.connect(path)
    try:
        return str(summary.findings(con, {"case": [case]})[0][0]["finding_id"])
    finally:
        con.close()


def test_a_team_lead_who_asks_for_another_teams_finding_sees_nothing(own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    his, other = _finding(path, "K1"), _finding(path, "K2")
    at = _open(own, tmp_path, monkeypatch, "lead", finding_id=his)
    assert not at.exception and his in _shown(at)
    at = _open(own, tmp_path, monkeypatch, "lead", finding_id=other)
    assert not at.exception and [e.value for e in at.info] == [plain(say("run.no_finding", "zh", name="r", finding=other))]
    for secret in ("K2", "A2", "乙公司", "王小明", "23:20"):
        assert secret not in _shown(at)
    at = _open(own, tmp_path, monkeypatch, "lead", "case.py", case_id="K2")
    assert not at.exception and [e.value for e in at.info] == [say("page.case_empty", "zh")]
    # The whole finding is there for who may see it.
    assert "K2" in _shown(_open(own, tmp_path, monkeypatch, "officer", finding_id=other))


@pytest.mark.parametrize(("who", "verdict", "suppress", "appeal", "reveal"), [
    ("officer", True, True, False, True), ("second", True, False, False, False), ("auditor", False, False, False, False), ("lead", True, False, False, False),
    ("a1", False, False, True, False), ("admin", False, False, False, False),
])  # fmt: skip
def test_a_page_offers_what_the_role_may_do(who: str, verdict: bool, suppress: bool, appeal: bool, reveal: bool, own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = _finding(path, "K1")
    at = _open(own, tmp_path, monkeypatch, who, finding_id=finding)
    assert not at.exception
    keys = {b.key for b in at.button}
    assert [f"{k}_{finding}" in keys for k in ("review_save", "suppress_save", "appeal_save")] == [verdict, suppress, appeal] and ("reveal_finding" in keys) is reveal
    if who == "lead":
        assert at.selectbox(key=f"review_state_{finding}").options == [say("word.claimed", "zh")]
    assert not any(name in _shown(at) for name in NAMES)


def test_a_form_that_is_sent_after_the_role_was_taken_away_writes_nothing(own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = _finding(path, "K1")
    at = _open(own, tmp_path, monkeypatch, "officer", finding_id=finding)
    at.text_area(key=f"review_comment_{finding}").input("x")
    at.user = {"X-Forwarded-User": "auditor"}
    at.button(key=f"review_save_{finding}").click().run()
    assert review.Reviews(own).log() == []
    at.user = {"X-Forwarded-User": "stranger"}
    at.run()
    assert [e.value for e in at.info] == [say("access.no_role", "zh")] and "K1" not in _shown(at)


def test_verdicts_bear_the_name_of_the_login_and_wait_for_a_second_person(own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = _finding(path, "K1")
    for who in ("officer", "second"):
        at = _open(own, tmp_path, monkeypatch, who, finding_id=finding)
        assert "review_actor" not in {w.key for w in at.text_input}
        at.button(key=f"review_save_{finding}").click().run()
        assert not at.exception and not at.error
    assert [(e.actor, e.kind, e.state) for e in review.Reviews(own).log()] == [("officer", "verdict", "confirmed"), ("second", "second", "confirmed")]


def test_each_reveal_is_in_the_log_without_the_name(own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = _finding(path, "K1")
    at = _open(own, tmp_path, monkeypatch, "officer", finding_id=finding)
    at.button(key="reveal_finding").click().run()
    assert not at.exception and "张三丰" in _shown(at)
    at.run()
    told = review.Reviews(own).log()
    assert [(e.actor, e.kind, e.told["item"]) for e in told] == [("officer", "reveal", finding)] and "张三丰" not in str(told) and review.Reviews(own).verify() is None
    at.user = {"X-Forwarded-User": "second"}
    at.run()
    assert "张三丰" not in _shown(at)


@pytest.mark.parametrize("who", ["officer", "second", "auditor", "admin"])
def test_rows_that_were_rejected_are_covered_until_they_are_revealed(who: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(own, tmp_path, monkeypatch, who, "data.py")
    assert not at.exception and "＊＊＊" in _shown(at) and "张三丰" not in _shown(at)
    assert ("reveal_rejects" in {b.key for b in at.button}) is (who == "officer")
    if who == "officer":
        at.button(key="reveal_rejects").click().run()
        assert "张三丰的秘密" in _shown(at)
        assert [(e.kind, e.told) for e in review.Reviews(own).log()] == [("reveal", {"what": "rejects", "item": "r/0", "rows": 1})]


@pytest.mark.parametrize("rows", [EVERYTHING, Scope(vendors=("甲公司",))])
def test_who_may_not_reveal_takes_no_name_away(rows: Scope, own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor, officer, run = access.User("auditor", "auditor", "auditor", rows), access.User("officer", "officer", "compliance_officer", rows), own / "r.duckdb"
    filters = {"case": ["K1"]}
    for user, told in ((auditor, False), (officer, True)):
        for ending in ("csv", "xlsx", "zip"):
            taken = tmp_path / f"taken.{ending}"
            taken.write_bytes(exported(run, ending, filters, user))
            parts = {"": taken.read_bytes()} if ending == "csv" else {name: zipfile.ZipFile(taken).read(name) for name in zipfile.ZipFile(taken).namelist()}
            assert any(name.encode() in data for data in parts.values() for name in NAMES) is (told and ending != "csv"), ending
            if ending == "zip":
                assert json.loads(parts["manifest.json"])["edition"] == ("full" if told else "redacted")
        made = whole_report(run, "zh", filters, user).decode()
        assert "您好" in made and any(name in made for name in NAMES) is told
    assert [(e.actor, e.told["format"], e.told["edition"]) for e in review.Reviews(own).log()] == [
        *(("auditor", form, "redacted") for form in ("csv", "xlsx", "zip")), ("auditor", "html", "covered"), *(("officer", form, "full") for form in ("csv", "xlsx", "zip", "html")),
    ]  # fmt: skip
    for who, key in (("auditor", "page.export.help_covered"), ("officer", "page.export.help")):
        assert say(key, "zh") in [c.value for c in _open(own, tmp_path, monkeypatch, who, "findings.py").caption]


def test_who_is_to_review_blind_sees_neither_verdict_nor_history(own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding, log, con = _finding(path, "K1"), review.Reviews(own), runs.connect(path)
    log.decide(con, finding, "officer", "dismissed", "客户约定的时间")
    log.draw_blind(con, "officer", "s", 1)
    con.close()
    at = _open(own, tmp_path, monkeypatch, "second", finding_id=finding)
    assert "客户约定的时间" not in _shown(at) and say("page.review.blind", "zh") in [e.value for e in at.info]
    at.button(key=f"review_save_{finding}").click().run()
    assert not at.exception and not at.error and "客户约定的时间" in _shown(at)
    assert (log.agreement().pairs, log.agreement().agree, log.standings([{"finding_id": finding, "rule_digest": "", "evidence_digest": ""}])[finding].state) == (1, 0, "dismissed")


def test_a_suppression_answers_what_the_page_showed(own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding, log, con = _finding(path, "K1"), review.Reviews(own), runs.connect(path)
    at = _open(own, tmp_path, monkeypatch, "officer", finding_id=finding)
    at.text_area(key=f"suppress_comment_{finding}").input("整改中")
    at.text_input(key=f"suppress_approver_{finding}").input("李主任")
    log.decide(con, finding, "second", "dismissed", "客户约定的时间")
    con.close()
    at.button(key=f"suppress_save_{finding}").click().run()
    assert not at.exception and len(at.error) == 1 and [e.kind for e in log.log()] == ["verdict"]
    # Now he has seen it, and what he sends again counts.
    at.button(key=f"suppress_save_{finding}").click().run()
    assert not at.exception and not at.error and [e.kind for e in log.log()] == ["verdict", "suppress"]
    # By his name the person is meant whose login it is. Who asked is told that it waits, and has nothing to approve it with; who was asked has.
    assert log.log()[-1].told["approver"] == "deputy" and say("page.review.asked", "zh", until=log.log()[-1].told["until"], approver="deputy") in _shown(at)
    assert f"approve_{finding}" not in [b.key for b in at.button]
    asked = _open(own, tmp_path, monkeypatch, "deputy", finding_id=finding)
    asked.button(key=f"approve_{finding}").click().run()
    assert not asked.exception and not asked.error and [e.kind for e in log.log()] == ["verdict", "suppress", "approve"]


def test_tasks_go_to_people_whom_the_users_file_knows_and_who_may(own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding, log = _finding(path, "K1"), review.Reviews(own)
    at = _open(own, tmp_path, monkeypatch, "officer", finding_id=finding)
    for whom, written in (("nobody@nowhere", 0), ("a1", 0), (" SECOND", 1)):
        at.selectbox(key=f"review_state_{finding}").select("claimed")
        at.text_input(key=f"review_assignee_{finding}").input(whom)
        at.button(key=f"review_save_{finding}").click().run()
        assert not at.exception and len(log.log()) == written and [e.value for e in at.error] == ([] if written else [plain(say("access.nobody_judge", "zh", name=whom))])
    assert log.log()[-1].assignee == "second"
    # Whoever may not assign has no field for it.
    assert f"review_assignee_{finding}" not in [t.key for t in _open(own, tmp_path, monkeypatch, "second", finding_id=finding).text_input]


def test_the_action_log_keeps_what_a_blind_review_must_not_know(own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding, other, log, con = _finding(path, "K1"), _finding(path, "K2"), review.Reviews(own), runs.connect(path)
    log.decide(con, finding, "second", "dismissed", "客户约定的时间")
    log.draw_blind(con, "second", "s", 1)
    log.decide(con, other, "second", "confirmed", "另一条")
    con.close()
    at = _open(own, tmp_path, monkeypatch, "officer", "action_log.py")
    assert not at.exception and "另一条" in _shown(at) and "客户约定的时间" not in _shown(at) and say("page.action_log.blind", "zh", left=1) in [c.value for c in at.caption]
    # Whoever has nothing to judge blind reads all of it.
    assert "客户约定的时间" in _shown(_open(own, tmp_path, monkeypatch, "auditor", "action_log.py"))


def test_whoever_is_bound_to_an_agency_reads_its_part_of_the_action_log(own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    his, other, log, con = _finding(path, "K1"), _finding(path, "K2"), review.Reviews(own), runs.connect(path)
    log.decide(con, his, "second", "confirmed", "这是甲公司的")
    log.decide(con, other, "second", "confirmed", "这是乙公司的")
    log.coach("r", "second", "A2", "辅导乙", date(2026, 3, 1), date(2026, 3, 9))
    log.check_coaching("r", 3, "second", "improved", "乙好了")
    log.coach("r", "second", "A1", "辅导甲", date(2026, 3, 1), date(2026, 3, 9))
    log.act("second", "reveal", "r", what="case", item="K2", names=1)
    log.act("second", "reveal", "r", what="case", item="K1", names=1)
    log.draw_contacts(con, "second", "乙的种子", 2)
    log.act("bound", "export", "r", format="csv", findings=1)
    con.close()
    bound = _open(own, tmp_path, monkeypatch, "bound", "action_log.py")
    assert not bound.exception and list(bound.dataframe[0].value[say("column.seq", "zh")]) == ["9", "7", "5", "1"]
    # As words: what Streamlit sends holds tables as letters and figures, in which two of them may stand by chance.
    assert not any(re.search(rf"(?<![A-Za-z0-9+/]){word}(?![A-Za-z0-9+/])", _shown(bound)) for word in ("乙", "K2", "A2", other)) and say("page.action_log.others", "zh", left=5) in [c.value for c in bound.caption]
    at = _open(own, tmp_path, monkeypatch, "auditor", "action_log.py")
    told = at.dataframe[0].value
    assert list(told[say("column.kind", "zh")]) == [say(f"word.kind_{kind}", "zh") for kind in ("export", "contacts_drawn", "reveal", "reveal", "coach", "coached", "coach", "verdict", "verdict")]
    assert list(told[say("column.object", "zh")]) == ["csv · 1", "乙的种子", "案件 · K1", "案件 · K2", "A1", "3", "A2", other, his]
    assert list(told[say("column.state", "zh")])[5] == say("word.checked_improved", "zh")


def test_a_queue_shows_whoever_is_bound_to_an_agency_its_contacts_only(own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, con = review.Reviews(own), runs.connect(path)
    draw = log.draw_contacts(con, "second", "s", 12).seq
    agencies = dict(con.execute("SELECT contact_id, vendor FROM contacts").fetchall())
    con.close()
    items = [item for item, _ in log.queue(draw)]
    foreign, mine = ([item for item in items if (agencies[item] == "甲公司") is his] for his in (False, True))
    assert foreign and len(mine) > 1
    log.examine(draw, foreign[0], "second", "ok")
    at = _open(own, tmp_path, monkeypatch, "reviewer", "review.py", review_section="unflagged")
    for item in mine:
        assert not at.exception and not any(f'"{other}"' in _shown(at) or f">{other}<" in _shown(at) or f",{other}," in _shown(at) for other in foreign)
        at.button(key=f"queue_next_{draw}_{item}").click().run()
    assert set(at.dataframe[0].value[say("column.contact_id", "zh")]) == set(mine) and not [b for b in at.button if (b.key or "").startswith("queue_next")]
    assert say("page.review.queue_not_here", "zh", left=len(foreign), size=len(items)) in [i.value for i in at.info]


def test_a_collector_is_told_the_rate_of_his_team_and_not_his_own_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "team"
    where.mkdir()
    (where / "agents.csv").write_text("agent_id,name,team\nA1,赵催收,一组\nA2,钱催收,一组\nA3,孙催收,二组\n", encoding="utf-8")
    hours = {"A1": (23, 10, 11, 12), "A2": (23, 22, 22, 10), "A3": (23, 23, 23, 23)}
    lines = [f"{agent}{n},K{agent}{n},2026-03-0{n + 2} {hour}:30:00,call,outbound,conversation,self,提醒还款,{agent},interactive\n" for agent, told in hours.items() for n, hour in enumerate(told)]
    # What a rule cannot judge is in no rate.
    lines.append("A1u,KA1u,2026-03-09 23:30:00,,outbound,conversation,self,提醒还款,A1,interactive\n")
    (where / "contacts.csv").write_text("contact_id,case_id,started_at,channel,direction,outcome,relation,text,agent_id,call_type\n" + "".join(lines), encoding="utf-8")
    path = audit.run([str(where)], where / "runs", packs=["cn-gbt-45251"], run_id="r").path
    for rows in (EVERYTHING, Scope(agents=("A1",))):
        with access.connect(path, rows) as con:
            [quiet] = [r for r in summary.agent_rules(con, "A1", access.outcomes(path)) if r["rule"] == "cn-gbt-45251/quiet-hours"]
        assert (quiet["breaching_contacts"], quiet["judged"], quiet["undetermined"], quiet["rate"], quiet["team_rate"]) == (1, 4, 1, 1 / 4, 4 / 8)
    at = _open(where / "runs", tmp_path, monkeypatch, "a1", "agents.py")
    told = at.dataframe[1].value
    assert not at.exception and list(told[say("page.field.team_share", "zh")]) == ["50.0%"] and list(at.dataframe[0].value[say("column.agent_id", "zh")]) == ["A1"]


def test_a_verdict_that_waits_for_a_second_person_leaves_the_backlog_as_it_was(own: Path, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, log, con = _finding(path, "K1"), _finding(path, "K2"), review.Reviews(own), runs.connect(path)
    all_of_them = len(summary.findings(con)[0])
    log.decide(con, one, "second", "confirmed", second={summary.findings(con, {"finding": [one]})[0][0]["severity"]})
    log.decide(con, two, "second", "confirmed")
    con.close()
    at = _open(own, tmp_path, monkeypatch, "officer", "overview.py")
    assert not at.exception and [m.value for m in at.metric if m.label == say("page.overview.waiting", "zh")] == [f"{all_of_them - 1:,} / {all_of_them:,}"]


@pytest.mark.parametrize("page", ["contacts.py", "conduct.py"])
def test_names_in_texts_are_covered_wherever_texts_are_listed(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = tmp_path / "few"
    where.mkdir()
    (where / "agents.csv").write_text("agent_id,name\nA1,赵催收\n", encoding="utf-8")
    (where / "cases.csv").write_text("case_id,debtor_id,debtor_name,principal\n" + "".join(f"K{n},B{n},张三丰,1000\n" for n in range(12)), encoding="utf-8")
    text = "张三丰拒还，赵催收已安抚，询问原因，已登记投诉，告知逾期影响。"
    lines = [f"c{n},K{n},2026-03-02 1{n % 8}:00:00,call,outbound,conversation,self,{text},A1,interactive\n" for n in range(12)]
    (where / "contacts.csv").write_text("contact_id,case_id,started_at,channel,direction,outcome,relation,text,agent_id,call_type\n" + "".join(lines), encoding="utf-8")
    audit.run([str(where)], where / "runs", packs=["cn-gbt-45251"], run_id="r")
    shown = _shown(_open(where / "runs", tmp_path, monkeypatch, "officer", page))
    assert "已登记投诉" in shown and "张三丰" not in shown and "赵催收" not in shown


@pytest.mark.parametrize(("who", "trusted", "key"), [(None, True, "access.nobody"), ("stranger", True, "access.no_role"), ("officer", False, "access.headers")])
def test_who_is_not_let_in_sees_a_sentence_and_nothing_else(who: str | None, trusted: bool, key: str, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = _open(own, tmp_path, monkeypatch, who, None, trusted)
    assert not at.exception and [e.value for e in at.info] == [say(key, "zh")] and len(at.main) == 1


def test_without_a_users_file_the_page_says_so_and_serves_this_machine_only(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["app.py", str(own)])
    monkeypatch.setenv("USER", "wang")
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.session_state["lang"] = "zh"
    at.run()
    assert not at.exception and say("role.local_here", "zh", name="wang") in _shown(at)
    address = config.get_option("server.address")
    try:
        config.set_option("server.address", "0.0.0.0")
        at.run()
        assert [e.value for e in at.info] == [say("access.not_local", "zh")] and len(at.main) == 1
    finally:
        config.set_option("server.address", address)


OIDC = """
login: oidc
claims: {user: email, name: name, role: groups, team: team}
roles: {leads: team_lead}
people:
  wang@x.example: {role: compliance_officer}
"""


@contextmanager
def _served(own: Path, tmp_path: Path, provider: oidc.Provider) -> Iterator[str]:
    """`dunaudit dashboard --users`, as a company would set it up with its provider."""
    port, home = free_port(), tmp_path / "home"
    (home / ".streamlit").mkdir(parents=True)
    (home / "users.yaml").write_text(OIDC, encoding="utf-8")
    told = {"redirect_uri": f"http://127.0.0.1:{port}/oauth2callback", "cookie_secret": "x" * 32, "client_id": oidc.CLIENT, "client_secret": oidc.SECRET, "server_metadata_url": f"{provider.address}/.well-known/openid-configuration"}
    (home / ".streamlit" / "secrets.toml").write_text("[auth]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in told.items()), encoding="utf-8")
    command = [sys.executable, "-m", "analyzer.cli", "--lang", "zh", "dashboard", "--run", str(own), "--port", str(port), "--headless", "--users", str(home / "users.yaml")]
    with served(command, port, home, {"PYTHONPATH": str(ROOT), "DUNAUDIT_LANG": "zh"}) as address:
        yield address


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.is_file() and "CI" not in os.environ, reason=f"no Chromium at {CHROMIUM} (set CHROMIUM)")
def test_a_login_shows_each_person_his_own_part(own: Path, tmp_path: Path) -> None:
    from playwright.sync_api import expect, sync_playwright

    with oidc.provider() as provider, _served(own, tmp_path, provider) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-background-networking", "--disable-gpu"])

        def enter(person: dict[str, Any]) -> Any:
            provider.person = person
            page = browser.new_context().new_page()
            page.goto(address)
            expect(page.get_by_text(say("access.login", "zh"))).to_be_visible(timeout=60_000)
            assert page.get_by_role("heading").count() == 0
            page.get_by_role("button", name=say("page.login", "zh"), exact=True).click()
            return page

        lead = enter({"email": "zhao@x.example", "email_verified": True, "name": "赵*组*长", "groups": ["leads", "everybody"], "team": "一组"})
        expect(lead.get_by_text(say("role.team_lead_here", "zh", name="赵*组*长"))).to_be_visible(timeout=60_000)
        lead.get_by_role("link", name=say("page.case", "zh"), exact=True).click()
        expect(lead.get_by_role("heading", name=say("page.case", "zh"), exact=True)).to_be_visible(timeout=60_000)
        lead.get_by_role("combobox", name=say("column.case_id", "zh")).click()
        assert sorted(lead.get_by_role("option").all_inner_texts()) == ["K1", "K4", "K5"]
        officer = enter({"email": "wang@x.example", "email_verified": True})
        expect(officer.get_by_text(say("role.compliance_officer_here", "zh", name="wang@x.example"))).to_be_visible(timeout=60_000)
        for person, key in (({"email": "wang@x.example", "email_verified": False}, "access.unverified"), ({"email": "eve@x.example"}, "access.no_role")):
            expect(enter(person).get_by_text(say(key, "zh"))).to_be_visible(timeout=60_000)
        browser.close()


def test_claims_that_do_not_say_whose_rows_let_nobody_in() -> None:
    users = access.Users.model_validate({"login": "oidc", "claims": {"role": "roles", "vendor": "vendor", "team": "team"}, "people": {"boss@x.com": {"role": "compliance_officer"}}})
    now = time.time()

    def who(**facts: Any) -> str:
        try:
            return str(access.scope(access.identify(users, {"is_logged_in": True, "iat": now, "email": "r@x.com"} | facts, now)))
        except UsageError as error:
            return error.key

    assert who(roles="reviewer") == who(roles="reviewer", vendor="") == who(roles="reviewer", vendor=7) == who(roles="compliance_officer", team=[]) == "access.no_rows"
    assert who(roles="reviewer", vendor="甲") == str(Scope(vendors=("甲",))) and who(roles="auditor") == str(EVERYTHING)
    for wrong in (False, "false", 0, None, "no"):
        assert who(email="boss@x.com", email_verified=wrong) == "access.unverified"
    assert who(email="boss@x.com") == who(email="boss@x.com", email_verified=True) == str(EVERYTHING)
    for stamp in (now + 10**9, float("nan"), True, "now", now - 13 * 3600):
        assert who(email="boss@x.com", iat=stamp) == "access.expired"


def test_under_a_scope_rules_are_judged_over_the_whole_run_and_counted_over_the_part(path: Path) -> None:
    """K5 is called three times by the first team, then five times by the second: all five are over the limit, of these alone only two."""
    whole, one = runs.connect(path), access.connect(path, TWO)
    hits = "SELECT hits_sql FROM rules WHERE rule = 'cn-gbt-45251/interactive-calls'"
    seen = _ids(one, "contacts", "seq")
    statement = whole.execute(hits).fetchall()[0][0]
    expected = {seq for (seq,) in whole.execute(f"SELECT seq FROM ({statement}) WHERE role = 'breach'").fetchall()} & seen
    # The sixth is the last call of K4, whose earlier ones both teams made.
    assert len(expected) == 6
    _, total = summary.contacts(one, {"rule": ["cn-gbt-45251/interactive-calls"], "outcome": ["breach"]})
    assert total == len(expected)
    told = {r.rule: {o.value: n for o, n in r.counts.items()} for r in report.report(one, "en", {"team": ["二'组"]}).rules}
    assert told["cn-gbt-45251/interactive-calls"]["breach"] == len(expected)
    counted = {r["rule"]: r["breach"] for r in summary.by_rule(one)}
    assert counted["cn-gbt-45251/interactive-calls"] == len(expected)
    whole.close()
    one.close()


def test_a_pack_of_a_part_is_whole_and_says_that_it_is_a_part(path: Path, tmp_path: Path) -> None:
    whole, one = runs.connect(path), access.connect(path, ONE)
    export.write(one, tmp_path / "part.zip")
    told = export.verify(tmp_path / "part.zip", whole)
    assert told.wrong == () and told.unseen == ("verify.unseen_partial",) and told.repeated == told.findings
    for finding in summary.findings(one)[0]:
        ledger = explain.explain(one, finding["finding_id"]).ledger
        assert finding["evidence"] == len({e["contact_id"] for e in ledger}) and finding["breaches"] == len({e["contact_id"] for e in ledger if e["role"] == "breach"})
    export.write(whole, tmp_path / "whole.zip")
    assert export.verify(tmp_path / "whole.zip", whole).unseen == ()
    whole.close()
    one.close()


def test_outcomes_kept_beside_a_run_are_taken_for_no_other(path: Path, tmp_path: Path) -> None:
    run, kept = tmp_path / "a.duckdb", tmp_path / f"a{access.CUBE}"
    shutil.copy(path, run)
    access.prepare(run)
    right = kept.read_bytes()
    cube = parquet.read_table(kept)
    for wrong in (cube.replace_schema_metadata({b"run": b"another"}), cube.replace_schema_metadata(None)):
        parquet.write_table(wrong.slice(0, 1), kept)
        access._cube.cache_clear()
        access.prepare(run)
        assert parquet.read_table(kept).num_rows == cube.num_rows
    kept.write_bytes(right[: len(right) // 2])
    access._cube.cache_clear()
    access.prepare(run)
    assert parquet.read_table(kept).num_rows == cube.num_rows


def test_names_are_covered_however_they_are_written() -> None:
    rows = [{"text": "张三丰、張三豐、张 三丰和李四说赵", "marks": [{"start": 0, "end": 3, "words": "张三丰"}]}, {"text": None}]
    (told, none) = access.veiled(rows, ["张三丰", "赵", ""])
    assert told["text"] == "＊＊＊、＊＊＊、＊＊＊＊和李四说赵" and told["marks"][0]["words"] == "＊＊＊" and none["text"] is None and rows[0]["text"].startswith("张")
