"""Verdicts: none lost, none overwritten, none changed unseen, stale when what they were about is another thing; in SQLite and in PostgreSQL."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from analyzer import audit, review, runs, sampling, summary
from analyzer.cli import app
from analyzer.dashboards._blocks import plain
from analyzer.errors import UsageError
from analyzer.messages import say
from analyzer.model import ExitCode
from tests import postgres
from tests.conftest import ROOT

HEADERS = "contact_id,案件编号,通话时间,渠道,方向,结果,与借款人关系,内容,催收员\n"
QUIET = "cn-gbt-45251/quiet-hours"


def _audit(folder: Path, calls: list[str], name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "calls.csv").write_text(HEADERS + "".join(f"c{i},K{i},{at},电话,呼出,接通,本人,提醒还款,A1\n" for i, at in enumerate(calls)), encoding="utf-8")
    return audit.run([str(folder / "calls.csv")], folder / "runs", packs=["cn-gbt-45251"], run_id=name).path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _audit(tmp_path_factory.mktemp("reviewed"), ["2026-03-02 23:10:00", "2026-03-04 23:10:00"], "first")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 night calls, each a finding, and 170 in which nothing is found."""
    nights = [f"2026-03-{1 + i % 28:02} 23:{10 + i // 28}:00" for i in range(30)]
    return _audit(tmp_path_factory.mktemp("many"), [*nights, *(f"2026-03-{1 + i % 28:02} {10 + i // 28}:00:00" for i in range(170))], "many")


@pytest.fixture(scope="session")
def socket() -> Iterator[str]:
    if not postgres.HERE:
        pytest.skip("no /usr/lib/postgresql/*/bin/initdb")
    with postgres.server() as folder:
        yield folder


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Where the log is: nothing for the file beside the runs, else a schema of its own on a private server."""
    if request.param == "sqlite":
        return ""
    base, schema = f"postgresql://dunaudit@/postgres?host={request.getfixturevalue('socket')}", f"t{abs(hash(request.node.nodeid))}"
    with psycopg.connect(base, autocommit=True) as con:
        con.execute(f"CREATE SCHEMA {schema}".encode())
    return f"{base}&options=-csearch_path%3D{schema}"


@pytest.fixture
def run(published: Path, tmp_path: Path) -> Path:
    shutil.copy(published, tmp_path / "first.duckdb")
    return tmp_path / "first.duckdb"


@pytest.fixture
def con(run: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    opened = runs.connect(run)
    yield opened
    opened.close()


@pytest.fixture
def log(run: Path, url: str) -> review.Reviews:
    return review.Reviews(run, url)


@pytest.fixture
def wide(many: Path, tmp_path: Path, url: str) -> Iterator[tuple[review.Reviews, duckdb.DuckDBPyConnection]]:
    opened = runs.connect(many)
    yield review.Reviews(tmp_path, url), opened
    opened.close()


def _findings(run: Path) -> list[str]:
    opened = runs.connect(run)
    try:
        return sorted(f["finding_id"] for f in summary.findings(opened)[0])
    finally:
        opened.close()


def _standing(log: review.Reviews, con: duckdb.DuckDBPyConnection, finding: str) -> review.Standing:
    return log.standings(summary.findings(con, limit=1000)[0])[finding]


def test_a_verdict_is_kept_with_who_and_why(log: review.Reviews, con: duckdb.DuckDBPyConnection, run: Path) -> None:
    first, second = _findings(run)
    log.decide(con, first, " 王主任 ", "confirmed", "录音已听")
    log.decide(con, first, "李审计", "remediated", "已辅导", assignee="张组长", seen=1)
    log.decide(con, second, "王主任", "dismissed", "客户来电约定 <b>'; DROP TABLE entries; --")
    told = log.standings(summary.findings(con)[0])
    assert (told[first].state, told[first].assignee, told[second].state) == ("remediated", "张组长", "dismissed")
    assert [(e.seq, e.actor, e.state) for e in log.history(first)] == [(1, "王主任", "confirmed"), (2, "李审计", "remediated")]
    assert log.verify() is None
    for of in (None, con):
        assert log.precision(of) == [{"rule": QUIET, "verdicts": 2, "right": 1, "low": None, "high": None, "stale": 0}]
    assert log.counts(con) == {
        "findings": 2, "open": 0, "claimed": 0, "confirmed": 0, "dismissed": 1, "acceptable": 0, "escalated": 0, "remediated": 1,
        "suppressed": 0, "asked": 0, "waiting": 0, "stale": 0, "appealed": 0, "assigned": 1,
    }  # fmt: skip


def test_the_log_of_the_first_edition_is_read_and_its_chain_holds(run: Path, con: duckdb.DuckDBPyConnection) -> None:
    """Its table had neither kind nor detail, and its hashes were over eleven fields."""
    log, finding = review.Reviews(run, ""), _findings(run)[0]
    values = {"at_utc": "2026-03-01T00:00:00.000+00:00", "actor": "甲", "finding_id": finding, "run_id": "first", "state": "confirmed", "comment": "旧", "assignee": "", "rule": QUIET,
              **summary.rows(con, "SELECT rule_digest, evidence_digest FROM findings WHERE finding_id = ?", [finding])[0], "previous": review.FIRST}  # fmt: skip
    values["hash"] = review.entry_hash(values)
    assert log.path is not None
    old = sqlite3.connect(log.path)
    old.execute(f"CREATE TABLE entries (seq INTEGER PRIMARY KEY AUTOINCREMENT, {', '.join(f'{name} TEXT NOT NULL' for name in values)})")
    old.execute(f"INSERT INTO entries ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", list(values.values()))
    old.commit()
    old.close()
    assert _standing(log, con, finding).state == "confirmed" and log.verify() is None
    log.decide(con, finding, "乙", "dismissed", "听过", seen=1)
    log.act("乙", "reveal", "first", what="debtor", finding=finding)
    assert [(e.seq, e.kind) for e in log.log()] == [(1, "verdict"), (2, "verdict"), (3, "reveal")] and log.verify() is None


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"state": "perhaps"}, "review.state"), ({"actor": " "}, "review.no_actor"), ({"state": "dismissed"}, "review.no_reason"),
        ({"finding_id": "0" * 16}, "run.no_finding"), ({"seen": 7}, "review.changed"), ({"comment": "长" * 4001}, "review.too_long"),
        ({"comment": "a\0b"}, "review.characters"), ({"comment": "\ud800"}, "review.characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_one_sentence(more: dict[str, object], key: str, log: review.Reviews, con: duckdb.DuckDBPyConnection, run: Path) -> None:
    with pytest.raises(UsageError) as caught:
        log.decide(con, **{"finding_id": _findings(run)[0], "actor": "甲", "state": "confirmed", **more})
    assert caught.value.key == key and log.log() == []


def test_nobody_overwrites_what_he_has_not_seen(log: review.Reviews, con: duckdb.DuckDBPyConnection, run: Path) -> None:
    finding = _findings(run)[0]
    log.decide(con, finding, "甲", "confirmed", seen=0)
    with pytest.raises(UsageError, match="read it first"):
        log.decide(con, finding, "乙", "dismissed", "看错了", seen=0)
    with pytest.raises(UsageError, match="read it first"):
        log.suppress(con, finding, "乙", "吵", "丙", datetime.now(UTC).date(), seen=0)
    assert [e.actor for e in log.history(finding)] == ["甲"]


def _write(run: str, url: str, findings: list[str], who: str, times: int) -> None:
    opened, log = runs.connect(Path(run)), review.Reviews(Path(run), url)
    for number in range(times):
        log.decide(opened, findings[number % len(findings)], who, "claimed", str(number))
    opened.close()


def test_eight_reviewers_at_once_lose_nothing(many: Path, tmp_path: Path, url: str) -> None:
    run, times = tmp_path / "many.duckdb", 125
    shutil.copy(many, run)
    findings, spawn = _findings(run), multiprocessing.get_context("spawn")
    people = [spawn.Process(target=_write, args=(str(run), url, findings[:7], f"r{n}", times)) for n in range(8)]
    for process in people:
        process.start()
    for process in people:
        process.join(240)
        assert process.exitcode == 0
    log = review.Reviews(run, url)
    written = [(e.actor, e.comment) for e in log.log()]
    assert sorted(written) == sorted((f"r{n}", str(k)) for n in range(8) for k in range(times)) and log.verify() is None
    # Each reviewer's own entries stand in the order in which he wrote them.
    assert all([c for a, c in written if a == f"r{n}"] == [str(k) for k in range(times)] for n in range(8))


def _direct(log: review.Reviews, url: str) -> tuple[Callable[[str], object], Callable[[], None]]:
    """(run one statement past the program, take the triggers away)."""
    if url:
        def run(sql: str) -> None:
            with psycopg.connect(url) as con:
                con.execute(sql.encode())

        return run, lambda: run("ALTER TABLE entries DISABLE TRIGGER ALL")
    assert log.path is not None
    path = log.path

    def run_lite(sql: str) -> None:
        con = sqlite3.connect(path)
        try:
            con.executescript(sql)
            con.commit()
        finally:
            con.close()

    return run_lite, lambda: run_lite("DROP TRIGGER entries_no_update; DROP TRIGGER entries_no_delete;")


@pytest.mark.parametrize(
    ("tamper", "at"),
    [
        ("UPDATE entries SET comment = 'x' WHERE seq = 2", 2), ("DELETE FROM entries WHERE seq = 2", 3), ("UPDATE entries SET actor = '乙' WHERE seq = 3", 3),
        ("UPDATE entries SET kind = 'verdict', detail = '' WHERE seq = 4", 4), ("UPDATE entries SET detail = '{}' WHERE seq = 1", 1),
    ],
)  # fmt: skip
def test_a_changed_or_removed_entry_breaks_the_chain(tamper: str, at: int, log: review.Reviews, url: str, con: duckdb.DuckDBPyConnection, run: Path) -> None:
    first, second = _findings(run)
    for number in range(3):
        log.decide(con, (first, second)[number % 2], "甲", "claimed", str(number))
    log.suppress(con, first, "甲", "吵", "丙", datetime.now(UTC).date())
    statement, unguard = _direct(log, url)
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.RaiseException), match="append only"):
        statement(tamper)
    assert log.verify() is None
    unguard()
    statement(tamper)
    assert log.verify() == at


def test_an_entry_changed_together_with_its_hash_breaks_the_chain_behind_it(log: review.Reviews, url: str, con: duckdb.DuckDBPyConnection, run: Path) -> None:
    for number in range(3):
        log.decide(con, _findings(run)[0], "甲", "claimed", str(number))
    statement, unguard = _direct(log, url)
    forged = review.entry_hash(log.chain()[1] | {"comment": "forged"})
    unguard()
    statement(f"UPDATE entries SET comment = 'forged', hash = '{forged}' WHERE seq = 2")
    assert log.verify() == 3


def test_a_verdict_is_stale_when_the_evidence_is_another(tmp_path: Path, url: str) -> None:
    first = _audit(tmp_path, ["2026-03-02 23:10:00"], "first")
    log, con = review.Reviews(first, url), runs.connect(first)
    finding = _findings(first)[0]
    log.decide(con, finding, "甲", "confirmed")
    log.suppress(con, finding, "甲", "已知", "丙", datetime.now(UTC).date())
    log.answer(con, finding, "丙", True)
    log.suppress(con, finding, "甲", "再延长", "丙", datetime.now(UTC).date())
    assert not _standing(log, con, finding).stale and log.counts(con)["suppressed"] == 1
    con.close()
    (tmp_path / "calls.csv").write_text(HEADERS + "".join(f"c{i},K0,2026-03-02 23:{at}:00,电话,呼出,接通,本人,提醒还款,A1\n" for i, at in enumerate((10, 40))), encoding="utf-8")
    second = audit.run([str(tmp_path / "calls.csv")], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="second").path
    con = runs.connect(second)
    assert _standing(log, con, finding) == review.Standing(log.history(finding)[0], True, seen=4)
    assert (log.counts(con)["suppressed"], log.counts(con)["stale"], log.precision(con)[0]["stale"]) == (0, 1, 1)
    # A verdict on what is there now stands again.
    log.decide(con, finding, "乙", "confirmed")
    assert not _standing(log, con, finding).stale
    con.close()


def test_a_second_person_confirms_where_that_is_asked_for(wide: tuple[review.Reviews, duckdb.DuckDBPyConnection]) -> None:
    log, con = wide
    one, two, three = (f["finding_id"] for f in summary.findings(con, limit=3)[0])
    severity = summary.findings(con, limit=1)[0][0]["severity"]
    for finding in (one, two):
        log.decide(con, finding, "甲", "confirmed", second=[severity])
    log.decide(con, three, "甲", "confirmed", second=["no such severity"])
    assert [_standing(log, con, f).waiting for f in (one, two, three)] == [True, True, False]
    # What waits says nothing yet about the rule; the same person saying it again is no second person, nor is he in capitals or blanks.
    assert log.precision(con)[0]["verdicts"] == 1
    log.decide(con, one, " 甲 ", "confirmed", second=[severity])
    assert _standing(log, con, one).waiting
    log.decide(con, one, "乙", "claimed")
    assert (_standing(log, con, one).waiting, _standing(log, con, one).assignee) == (True, "乙")
    log.decide(con, one, "乙", "confirmed", second=[severity])
    assert (_standing(log, con, one).waiting, _standing(log, con, one).state) == (False, "confirmed")
    # Two who disagree have escalated it, and both words stay.
    log.decide(con, two, "乙", "dismissed", "约定", second=[severity])
    stands = _standing(log, con, two)
    assert (stands.state, stands.waiting) == ("escalated", False) and stands.second is not None and stands.second.state == "dismissed"
    assert log.verify() is None


def test_many_at_once_leave_what_somebody_has_judged(wide: tuple[review.Reviews, duckdb.DuckDBPyConnection]) -> None:
    log, con = wide
    judged, his, mine, *_ = (f["finding_id"] for f in summary.findings(con, limit=30)[0])
    log.decide(con, judged, "乙", "confirmed")
    log.decide(con, his, "乙", "claimed")
    log.decide(con, mine, "甲", "claimed")
    with pytest.raises(UsageError) as caught:
        log.decide_all(con, {"rule": [QUIET]}, "甲", "dismissed", " ")
    assert caught.value.key == "review.no_reason_all" and len(log.log()) == 3
    done = log.decide_all(con, {"rule": [QUIET]}, "甲", "dismissed", "节假日约定")
    assert (len(done.written), done.left, {e.comment for e in done.written}) == (28, 2, {"节假日约定"})
    counts = log.counts(con)
    assert (counts["dismissed"], counts["confirmed"], counts["claimed"], counts["open"], counts["findings"]) == (28, 1, 1, 0, 30)
    row = log.precision(con)[0]
    assert (row["verdicts"], row["right"]) == (29, 1) and (row["low"], row["high"]) == summary.interval(1, 29) and log.verify() is None
    with pytest.raises(UsageError) as caught:
        log.decide_all(con, {"rule": ["none/such"]}, "甲", "dismissed", "x")
    assert caught.value.key == "review.nothing"


def test_a_suppression_has_reason_approver_and_end_and_stays_counted(wide: tuple[review.Reviews, duckdb.DuckDBPyConnection]) -> None:
    log, con = wide
    finding, today = summary.findings(con, limit=1)[0][0]["finding_id"], datetime.now(UTC).date()
    wrong = [("", "丙", today, "no_reason_suppress"), ("吵", "", today, "no_approver"), ("吵", " 甲", today, "no_approver"),
             ("吵", "丙", today - timedelta(days=1), "until"), ("吵", "丙", today + timedelta(days=367), "until")]  # fmt: skip
    for comment, approver, until, key in wrong:
        with pytest.raises(UsageError) as caught:
            log.suppress(con, finding, "甲", comment, approver, until)
        assert caught.value.key == f"review.{key}"
    log.suppress(con, finding, "甲", "系统时钟错", "丙", today + timedelta(days=10))
    assert [_standing(log, con, finding).suppressed(today), log.counts(con)["suppressed"], log.counts(con)["asked"]] == [False, 0, 1], "nobody has approved it"
    log.answer(con, finding, " 丙", True, "查过")
    stands = _standing(log, con, finding)
    assert [stands.suppressed(today + timedelta(days=n)) for n in (0, 10, 11)] == [True, True, False] and stands.state == "open"
    assert log.counts(con)["asked"] == 0
    assert (log.counts(con)["suppressed"], log.counts(con)["findings"], log.counts(con)["open"]) == (1, 30, 30)
    log.decide(con, finding, "乙", "claimed")
    assert _standing(log, con, finding).suppressed(today)
    log.decide(con, finding, "乙", "confirmed")
    assert not _standing(log, con, finding).suppressed(today)
    done = log.suppress_all(con, {"rule": [QUIET]}, "甲", "换系统", "丙", today)
    assert (len(done.written), log.counts(con)["asked"]) == (30, 30)
    assert len(log.suppress_all(con, {}, "甲", "再来", "丙", today).written) == 0
    assert len(log.answer_all(con, {}, "丙", True).written) == 30 and log.counts(con)["suppressed"] == 30
    assert len(log.suppress_all(con, {}, "甲", "再来", "丙", today).written) == len(log.answer_all(con, {}, "丙", False).written) == 0


def test_only_who_was_asked_answers_a_suppression_and_once(wide: tuple[review.Reviews, duckdb.DuckDBPyConnection]) -> None:
    log, con = wide
    finding, today = summary.findings(con, limit=1)[0][0]["finding_id"], datetime.now(UTC).date()

    def refused(actor: str, granted: bool = True) -> None:
        with pytest.raises(UsageError) as caught:
            log.answer(con, finding, actor, granted)
        assert caught.value.key == "review.not_asked"

    refused("丙")
    log.suppress(con, finding, "甲", "系统时钟错", "丙", today)
    refused("甲")
    refused("乙")
    with pytest.raises(UsageError, match="read it first"):
        log.answer(con, finding, "丙", True, seen=0)
    entry = log.answer(con, finding, "丙", False, "证据不足")
    assert (entry.kind, entry.told) == ("refuse", {"of": 1}) and not _standing(log, con, finding).asked(today)
    refused("丙", False)
    log.suppress(con, finding, "甲", "补了证据", "丁", today)
    assert not _standing(log, con, finding).suppressed(today), "what was said of the first request is not said of the second"
    log.answer(con, finding, "丁", True)
    log.suppress(con, finding, "甲", "再延长", "丙", today + timedelta(days=5))
    log.answer(con, finding, "丙", False)
    stands = _standing(log, con, finding)
    assert stands.suppressed(today) and not stands.suppressed(today + timedelta(days=1)), "a longer one was refused: the one in force stays"
    log.suppress(con, finding, "甲", "再延长", "丁", today + timedelta(days=5))
    log.decide(con, finding, "乙", "confirmed")
    refused("丁")
    assert log.verify() is None


def test_an_appeal_waits_for_a_verdict(wide: tuple[review.Reviews, duckdb.DuckDBPyConnection]) -> None:
    log, con = wide
    finding = summary.findings(con, limit=1)[0][0]["finding_id"]
    log.decide(con, finding, "甲", "confirmed")
    with pytest.raises(UsageError) as caught:
        log.appeal(con, finding, "A1", "")
    assert caught.value.key == "review.no_reason_appeal"
    log.appeal(con, finding, "A1", "客户要求晚上打")
    assert (_standing(log, con, finding).state, log.counts(con)["appealed"]) == ("confirmed", 1)
    with pytest.raises(UsageError) as caught:
        log.appeal(con, finding, "A1", "再说一次")
    assert caught.value.key == "review.appealed"
    log.decide(con, finding, "乙", "claimed")
    assert log.counts(con)["appealed"] == 1 and _standing(log, con, finding).state == "confirmed"
    log.decide(con, finding, "乙", "dismissed", "录音证实")
    assert (log.counts(con)["appealed"], log.counts(con)["dismissed"]) == (0, 1)


def test_a_blind_review_hides_the_first_verdict_and_tells_agreement(wide: tuple[review.Reviews, duckdb.DuckDBPyConnection]) -> None:
    log, con = wide
    findings = [f["finding_id"] for f in summary.findings(con, limit=10)[0]]
    with pytest.raises(UsageError) as caught:
        log.draw_blind(con, "王", "s", 5)
    assert caught.value.key == "review.none_decided"
    for number, finding in enumerate(findings):
        log.decide(con, finding, "甲", "dismissed" if number % 2 else "confirmed", "看过")
    drawn = log.draw_blind(con, "王", "s", 6).told["findings"]
    assert len(drawn) == 6 and log.draw_blind(con, "王", "s", 6).told["findings"] == drawn != log.draw_blind(con, "王", "t", 6).told["findings"]
    assert log.blind_tasks("甲") == [] and set(drawn) <= set(log.blind_tasks("乙"))
    one = drawn[0]
    assert log.history(one, blind_to="乙") == [] and log.standings(summary.findings(con)[0], blind_to="乙")[one] == review.Standing()
    assert log.history(one, blind_to="甲") != []
    with pytest.raises(UsageError) as caught:
        log.judge_blind(con, one, "甲", "confirmed")
    assert caught.value.key == "review.not_blind"
    before = {f: _standing(log, con, f) for f in drawn}
    firsts = [before[f].state for f in drawn]
    for number, finding in enumerate(drawn):
        log.judge_blind(con, finding, "乙", "confirmed" if number == 0 else firsts[number], "盲审")
    assert {f: _standing(log, con, f) for f in drawn} == before
    told = log.agreement()
    pairs = [(first, "confirmed" if number == 0 else first) for number, first in enumerate(firsts)]
    assert (told.pairs, told.agree, told.kappa) == (6, sum(a == b for a, b in pairs), review.kappa(pairs))
    assert log.verify() is None


def test_an_appeal_ends_a_blind_review(wide: tuple[review.Reviews, duckdb.DuckDBPyConnection]) -> None:
    """Whoever answers it must see it, and what it is against."""
    log, con = wide
    one, other = [f["finding_id"] for f in summary.findings(con, limit=2)[0]]
    for finding in (one, other):
        log.decide(con, finding, "甲", "confirmed")
    log.draw_blind(con, "王", "s", 2)
    log.appeal(con, one, "A1", "不是我打的")
    assert log.blind_tasks("乙") == [other] and [e.kind for e in log.history(one, blind_to="乙")] == ["verdict", "appeal"]
    with pytest.raises(UsageError, match="blind"):
        log.judge_blind(con, one, "乙", "confirmed")
    assert log.draw_blind(con, "王", "s", 2).told["findings"] == [other]
    log.decide(con, one, "乙", "confirmed", seen=_standing(log, con, one).seen)
    assert log.draw_blind(con, "王", "s", 2).told["population"] == 2 and set(log.blind_tasks("丙")) == {one, other}


def test_who_lets_a_finding_go_has_no_task(wide: tuple[review.Reviews, duckdb.DuckDBPyConnection]) -> None:
    log, con = wide
    finding = summary.findings(con, limit=1)[0][0]["finding_id"]
    log.decide(con, finding, "甲", "claimed")
    assert _standing(log, con, finding).assignee == "甲"
    log.decide(con, finding, "甲", "open")
    assert (_standing(log, con, finding).state, _standing(log, con, finding).assignee, log.counts(con)["assigned"]) == ("open", "", 0)
    assert log.decide_all(con, {"finding": [finding]}, "乙", "confirmed", "看过").left == 0
    log.decide(con, finding, "乙", "open", "", "丙")
    assert _standing(log, con, finding).assignee == "丙"


def test_the_command_line_takes_nobodys_place_unless_told_to(many: Path, tmp_path: Path, url: str) -> None:
    run = tmp_path / "many.duckdb"
    shutil.copy(many, run)
    finding, other, third, *_ = _findings(run)
    log = review.Reviews(run, url)
    assert _call(run, url, finding, "--state", "confirmed", "--by", "Wang")[0] == 0
    code, _, said = _call(run, url, finding, "--state", "dismissed", "--comment", "x", "--by", "Li")
    assert code == ExitCode.USAGE and " ".join(said.split()) == say("review.replaces", "en", finding=finding) and len(log.log()) == 1
    # One's own is one's own; a task on it takes nothing away; who says so may.
    for more in (["--state", "remediated", "--by", "wang "], ["--state", "claimed", "--by", "Li"], ["--state", "dismissed", "--comment", "x", "--by", "Li", "--replace"]):
        assert _call(run, url, finding, *more)[0] == 0
    assert [(e.actor, e.state) for e in log.history(finding)] == [("Wang", "confirmed"), ("wang", "remediated"), ("Li", "remediated"), ("Li", "dismissed")]
    # So of a claim, but not for whoever was given the task; a second person's word takes no place.
    assert _call(run, url, other, "--state", "claimed", "--assign", "Zhao", "--by", "Wang")[0] == 0
    assert _call(run, url, other, "--state", "confirmed", "--by", "Li")[0] == ExitCode.USAGE and _call(run, url, other, "--state", "confirmed", "--by", "Zhao")[0] == 0
    for who in ("Wang", "Li"):
        assert _call(run, url, third, "--state", "confirmed", "--by", who, "--two-level", "critical,high,medium,low")[0] == 0


def test_there_is_nothing_to_verify_where_there_is_no_log(run: Path) -> None:
    done = CliRunner().invoke(app, ["--lang", "en", "log", "verify", "--run", str(run.parent)])
    assert done.exit_code == ExitCode.NO_INPUT and " ".join(done.output.split()) == say("review.none_there", "en", name=review.FILE)


def test_what_is_no_text_is_damage_and_no_trace(run: Path, con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    log = review.Reviews(run, "")
    for number in range(2):
        log.decide(con, _findings(run)[0], "甲", "claimed", str(number))
    statement, unguard = _direct(log, "")
    unguard()
    statement("UPDATE entries SET comment = x'00ff' WHERE seq = 2")
    done = CliRunner().invoke(app, ["--lang", "en", "log", "verify", "--run", str(run.parent)])
    assert done.exit_code == ExitCode.BREACHES and " ".join(done.output.split()) == say("talk.log_broken", "en", entries=2, at=2)
    assert _call(run, "", _findings(run)[0])[::2] == (ExitCode.NO_INPUT, say("review.damaged", "en", at=2) + "\n")
    con.close()
    at = _show(run, "action_log", monkeypatch)
    assert [plain(say("review.damaged", "en", at=2))] == [e.value for e in at.error]


def test_the_list_says_of_a_verdict_that_it_does_not_count_yet(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = review.Reviews(mine)
    with runs.connect(mine) as con:
        finding = summary.findings(con, {"rule": [QUIET]}, "time", 1)[0][0]
        log.decide(con, finding["finding_id"], "王", "confirmed", second=(finding["severity"],))
    at = _show(mine, "findings", monkeypatch, findings_scope=({"finding": [finding["finding_id"]]}, "one"))
    assert list(at.dataframe[0].value[say("column.state", "en")]) == ["confirmed · waiting for a second person"]


def test_kappa_is_cohens() -> None:
    """The worked example of two readers and 50 proposals: 20 and 15 agree, po 0.7, pe 0.5."""
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert review.kappa(pairs) == pytest.approx(0.4)
    assert review.kappa([("y", "n"), ("n", "y")]) == -1 and review.kappa([("y", "y")] * 3) is None and review.kappa([]) is None


def test_a_queue_of_unflagged_contacts_bounds_what_was_missed(wide: tuple[review.Reviews, duckdb.DuckDBPyConnection]) -> None:
    log, con = wide
    draw = log.draw_contacts(con, "甲", "42", 20)
    items = [item for item, _ in log.queue(draw.seq)]
    flagged = {c for (c,) in con.execute("SELECT contact_id FROM finding_evidence WHERE role = 'breach'").fetchall()}
    assert len(set(items)) == 20 and not flagged & set(items) and draw.told["population"] == 170
    assert [item for item, _ in log.queue(log.draw_contacts(con, "甲", "42", 20).seq)] == items != [item for item, _ in log.queue(log.draw_contacts(con, "甲", "43", 20).seq)]
    with pytest.raises(UsageError) as caught:
        log.examine(draw.seq, sorted(flagged)[0], "甲", "ok")
    assert caught.value.key == "review.not_drawn"
    told = next(q for q in log.queues() if q.draw == draw.seq)
    assert (told.examined, told.upper) == (0, None)
    # What is examined out of turn does not count until all before it are: nobody chooses what the bound is made of.
    log.examine(draw.seq, items[9], "甲", "deviation", "漏了骂人")
    assert next(q for q in log.queues() if q.draw == draw.seq).examined == 0
    for item in items[:9]:
        log.examine(draw.seq, item, "甲", "ok")
    told = next(q for q in log.queues() if q.draw == draw.seq)
    assert (told.examined, told.deviations, told.upper) == (10, 1, sampling.upper_limit(1, 10, 170, 0.95)) and told.missed == round((told.upper or 0) * 170)
    # Who looks again corrects himself; the log keeps both.
    log.examine(draw.seq, items[9], "甲", "ok", "看错了")
    assert next(q for q in log.queues() if q.draw == draw.seq).upper == sampling.upper_limit(0, 10, 170, 0.95)
    size = sampling.attribute_size(170, 0.95, 0.05, 0.0)[0]
    assert len(log.queue(log.draw_contacts(con, "甲", "7").seq)) == size and log.verify() is None


def test_the_bound_covers_what_was_missed_as_often_as_it_says(many: Path, tmp_path: Path) -> None:
    """17 of 170 contacts are held to be missed; over 120 seeds the 95 % bound lies below that in no more than a few."""
    log, con = review.Reviews(tmp_path, ""), runs.connect(many)
    below = 0
    flagged = {f"c{n}" for n in range(30, 47)}
    for seed in range(120):
        draw = log.draw_contacts(con, "甲", str(seed), 30)
        results = {item: "deviation" if item in flagged else "ok" for item, _ in log.queue(draw.seq)}
        examined = [replace(draw, seq=0, kind="contact", state=state, detail=json.dumps({"draw": draw.seq, "contact": item})) for item, state in results.items()]
        bound = review.quality.misses(draw, examined)
        below += bound.upper is not None and bound.upper < 17 / 170
    con.close()
    assert below <= 12


def test_what_people_look_at_is_in_the_same_chain(log: review.Reviews, con: duckdb.DuckDBPyConnection, run: Path) -> None:
    finding = _findings(run)[0]
    log.act("王", "reveal", "first", what="debtor", finding=finding)
    log.act("王", "export", "first", format="csv", findings=2)
    log.decide(con, finding, "王", "confirmed")
    assert [(e.kind, e.told) for e in log.log()][:2] == [("reveal", {"what": "debtor", "finding": finding}), ("export", {"format": "csv", "findings": 2})]
    assert log.history(finding)[0].seq == 3 and log.verify() is None


def test_an_address_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        review.Reviews(tmp_path, "mysql://a").log()
    assert caught.value.key == "review.url"
    with pytest.raises(UsageError) as caught:
        review.Reviews(tmp_path, "postgresql://u:hunter2@127.0.0.1:1/x").log()
    assert caught.value.key == "review.database" and "hunter2" not in str(caught.value) + str(caught.value.__cause__.__class__)


def _call(run: Path, url: str, *arguments: object) -> tuple[int, Any, str]:
    """(exit code, what was told as JSON, talk) of `dunaudit review ...`."""
    done = CliRunner().invoke(app, ["--lang", "en", "review", *map(str, arguments), "--run", str(run), *(["--reviews", url] if url else []), "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_the_command_line_reviews_one_and_many(many: Path, tmp_path: Path, url: str) -> None:
    run = tmp_path / "many.duckdb"
    shutil.copy(many, run)
    finding, other, *_ = _findings(run)
    day = (datetime.now(UTC).date() + timedelta(days=9)).isoformat()
    assert [e["state"] for e in _call(run, url, finding[:12], "--state", "confirmed", "--by", "Wang", "--two-level", "critical,high,medium,low")[1]] == ["confirmed"]
    assert _call(run, url)[1]["counts"]["waiting"] == 1
    assert [e["kind"] for e in _call(run, url, finding, "--state", "confirmed", "--by", "Li")[1]] == ["verdict", "second"]
    assert [e["kind"] for e in _call(run, url, finding, "--appeal", "--by", "A1", "--comment", "agreed with him")[1]][2:] == ["appeal"]
    assert _call(run, url, other, "--suppress-until", day, "--approved-by", "Li", "--by", "Wang", "--comment", "clock")[1][0]["detail"] == json.dumps({"approver": "Li", "until": day})
    assert _call(run, url, "--all", "--rule", QUIET, "--state", "dismissed", "--comment", "holiday", "--by", "Wang")[1] == {"written": 29, "left": 1}
    assert _call(run, url, other, "--refuse", "--by", "Wang")[0] != 0
    assert _call(run, url, "--all", "--suppress-until", day, "--approved-by", "Li", "--by", "Wang", "--comment", "clock")[1] == {"written": 30, "left": 0}
    assert _call(run, url, other, "--refuse", "--by", "Li")[1][-1]["kind"] == "refuse"
    assert _call(run, url, "--all", "--approve", "--by", "Li")[1] == {"written": 29, "left": 1}
    told = _call(run, url)[1]
    assert (told["counts"]["dismissed"], told["counts"]["suppressed"], told["counts"]["appealed"], told["precision"][0]["verdicts"]) == (29, 29, 1, 30)
    tasks = _call(run, url, "blind", "--size", "5", "--seed", "s", "--by", "Zhao")[1]["tasks"]
    assert len(tasks) == 5
    # Who is to judge blind is shown no history of it; afterwards it is there.
    assert _call(run, url, tasks[0], "--by", "Zhao")[1] == []
    assert {e["kind"] for e in _call(run, url, tasks[0], "--blind", "--state", "dismissed", "--by", "Zhao", "--comment", "x")[1]} > {"blind"}
    assert _call(run, url, "blind", "--by", "Zhao")[1]["agreement"]["pairs"] == 1
    queue = _call(run, url, "queue", "--size", "3", "--seed", "7", "--by", "Wang")[1]
    for item in queue["contacts"]:
        told = _call(run, url, "queue", queue["queue"]["draw"], "--contact", item["contact_id"], "--result", "ok", "--by", "Wang")[1]
    assert (told["queue"]["examined"], told["queue"]["upper"]) == (3, sampling.upper_limit(0, 3, 170, 0.95))
    done = CliRunner().invoke(app, ["--lang", "en", "log", "verify", "--run", str(tmp_path), *(["--reviews", url] if url else []), "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["broken_at"] is None


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["--all", "--by", "W"], "usage.review_one"), (["--all", "--appeal", "--by", "W"], "usage.review_one"), (["queue", "--contact", "c1"], "usage.queue"), (["queue", "99"], "review.no_draw"),
        (["--all", "--state", "dismissed", "--by", "W"], "review.no_reason_all"), (["--all", "--suppress-until", "soon", "--by", "W"], "usage.date"), (["blind", "--size", "3", "--by", "W"], "review.none_decided"),
    ],
)  # fmt: skip
def test_the_command_line_says_in_one_sentence_what_is_wrong(arguments: list[str], key: str, run: Path) -> None:
    code, told, talk = _call(run, "", *arguments)
    start = say(key, "en", text="soon", draw=99).split("{")[0]
    assert (code, told) == (2, None) and talk.startswith(start) and talk.count("\n") == 1


def test_a_share_has_wilsons_interval() -> None:
    low, high = summary.interval(18, 20)
    assert 0.69 < low < 0.70 and 0.97 < high < 0.98 and summary.interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_finding_is_judged_on_its_page(lang: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = _findings(run)[0]
    monkeypatch.setattr(sys, "argv", ["app.py", str(run.parent)])
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.session_state["lang"], at.session_state["finding_id"] = lang, finding
    at.run()
    at.switch_page("analyzer/dashboards/finding.py").run()

    def save(state: str, comment: str) -> None:
        at.selectbox(key=f"review_state_{finding}").select(state)
        at.text_input(key="review_actor").input("王主任")
        at.text_area(key=f"review_comment_{finding}").input(comment)
        at.button(key=f"review_save_{finding}").click().run()

    save("dismissed", "")
    assert [e.value for e in at.error] == [say("review.no_reason", lang)] and review.Reviews(run).log() == []
    save("dismissed", "<b>约定</b>")
    assert not at.exception and not at.error
    assert [(e.state, e.comment) for e in review.Reviews(run).history(finding)] == [("dismissed", "<b>约定</b>")]
    con: duckdb.DuckDBPyConnection = runs.connect(run)
    review.Reviews(run).decide(con, finding, "李审计", "confirmed", "不是约定")
    con.close()
    save("acceptable", "后写的")
    assert [e.value for e in at.error] == [plain(say("review.changed", lang, finding=finding))]
    assert len(review.Reviews(run).history(finding)) == 2
    st.cache_resource.clear()


def test_one_person_reviews_a_finding_blind_once_and_of_many_at_once_one_is_kept(wide: tuple[review.Reviews, duckdb.DuckDBPyConnection]) -> None:
    log, con = wide
    finding = summary.findings(con, limit=1)[0][0]["finding_id"]
    log.decide(con, finding, "甲", "confirmed", "看过")
    for seed in ("s", "t"):
        log.draw_blind(con, "王", seed, 5)
    kept: list[bool] = []

    def judge() -> None:
        try:
            with con.cursor() as own:
                log.judge_blind(own, finding, "乙", "confirmed")
            kept.append(True)
        except UsageError as error:
            kept.append(error.key != "review.not_blind")

    threads = [threading.Thread(target=judge) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kept) == [False] * 5 + [True] and log.agreement().pairs == 1
    # Another person answers the other draw, and then it is done.
    assert log.blind_tasks("乙") == [] and log.blind_tasks("丙") == [finding]
    log.judge_blind(con, finding, "丙", "dismissed", "不是")
    assert log.blind_tasks("丁") == [] and log.agreement().pairs == 2


# The pages on which people work
def _show(path: Path, page: str, monkeypatch: pytest.MonkeyPatch, **state: Any) -> AppTest:
    st.cache_resource.clear()
    monkeypatch.setattr(sys, "argv", ["app.py", str(path.parent)])
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for key, value in {"lang": "en", **state}.items():
        at.session_state[key] = value
    at.run()
    at = at.switch_page(f"analyzer/dashboards/{page}.py").run()
    assert not at.exception, at.exception
    return at


@pytest.fixture
def mine(many: Path, tmp_path: Path) -> Path:
    """A copy of `many`, with a log of its own."""
    (tmp_path / "runs").mkdir()
    return Path(shutil.copy(many, tmp_path / "runs" / many.name))


def test_what_waits_is_listed_by_whose_it_is(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = review.Reviews(mine)
    with runs.connect(mine) as con:
        ids = [row["finding_id"] for row in summary.findings(con, {"rule": [QUIET]}, "time", 6)[0]]
        log.decide(con, ids[0], "王", "claimed")
        log.decide(con, ids[1], "王", "confirmed", "", "", second=("high",))
        log.decide(con, ids[2], "赵", "confirmed", "", "")
        log.appeal(con, ids[2], "A1", "不是我打的")
        log.decide(con, ids[3], "赵", "claimed", "", "wang")
        for finding in ids[4:6]:
            log.suppress(con, finding, "赵", "已知", "孙", datetime.now(UTC).date())
        log.answer(con, ids[4], "孙", True)
    lists = {
        ("王", "mine"): ids[:1], ("王", "second"): [], ("赵", "second"): ids[1:2], ("赵", "mine"): [], (" WANG", "mine"): ids[3:4],
        ("赵", "appealed"): ids[2:3], ("赵", "suppressed"): ids[4:5], ("赵", "stale"): [], ("赵", "asked"): [], ("孙", "asked"): ids[5:6],
    }  # fmt: skip
    for (who, name), expected in lists.items():
        at = _show(mine, "review", monkeypatch, review_actor=who, review_list=name)
        assert [found for frame in at.dataframe for found in frame.value["id"]] == expected, (who, name)
    at = _show(mine, "review", monkeypatch, review_actor="赵", review_list="second")
    at.session_state["review_waiting_second"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    at.run()
    assert at.title[0].value == say("page.finding", "en") and at.session_state["finding_id"] == ids[1]


def test_a_blind_review_is_drawn_and_done_from_the_pages(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = review.Reviews(mine)
    at = _show(mine, "review", monkeypatch, review_section="blind", review_actor="赵")
    at.button(key="blind_send").click().run()
    assert [e.value for e in at.error] == [say("review.none_decided", "en")]
    with runs.connect(mine) as con:
        ids = [row["finding_id"] for row in summary.findings(con, {"rule": [QUIET]}, "time", 3)[0]]
        for finding in ids:
            log.decide(con, finding, "王", "confirmed", "看过")
    at = _show(mine, "review", monkeypatch, review_section="blind", review_actor="赵")
    at.number_input(key="blind_size").set_value(2)
    at.text_input(key="blind_seed").set_value("7")
    at.button(key="blind_send").click().run()
    tasks = log.blind_tasks("赵")
    assert len(tasks) == 2 and set(at.dataframe[0].value["id"]) == set(tasks) and "state" not in at.dataframe[0].value
    at = _show(mine, "finding", monkeypatch, finding_id=tasks[0], review_actor="赵")
    assert say("page.review.blind", "en") in [i.value for i in at.info]
    at.selectbox(key=f"review_state_{tasks[0]}").set_value("dismissed")
    at.button(key=f"review_save_{tasks[0]}").click().run()
    assert log.blind_tasks("赵") == tasks[1:] and log.agreement().pairs == 1 and log.agreement().agree == 0
    at = _show(mine, "review", monkeypatch, review_section="blind", review_actor="王")
    assert not at.dataframe and say("page.review.blind_none", "en") in [m.value for m in at.markdown]


def test_unflagged_contacts_are_drawn_and_examined_from_the_page(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = review.Reviews(mine)
    at = _show(mine, "review", monkeypatch, review_section="unflagged", review_actor="赵")
    at.number_input(key="queue_size").set_value(3)
    at.text_input(key="queue_seed").set_value("7")
    at.button(key="queue_send").click().run()
    [queue] = log.queues()
    items = [item for item, _ in log.queue(queue.draw)]
    assert queue.size == 3 and queue.seed == "7" and len(items) == 3
    for place, (item, result) in enumerate(zip(items, ("ok", "deviation", "ok"), strict=True)):
        assert "提醒还款" in "".join(h.body for h in at.get("html")), "its text is shown"
        at.radio(key=f"queue_result_{queue.draw}_{item}").set_value(result)
        at.button(key=f"queue_next_{queue.draw}_{item}").click().run()
        assert not at.exception and log.queues()[0].examined == place + 1
        assert list(at.dataframe[0].value["contact"]) == items[place::-1]
    assert log.queues()[0].deviations == 1 and not [b for b in at.button if b.key and b.key.startswith("queue_next")]


def test_all_that_is_listed_is_judged_at_once_from_the_page(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = review.Reviews(mine)
    with runs.connect(mine) as con:
        ids = [row["finding_id"] for row in summary.findings(con, {"rule": [QUIET]}, "time", 5)[0]]
        total = len(ids)
        assert summary.findings(con)[1] > total, "others are not listed"
        log.decide(con, ids[0], "王", "dismissed", "误报")
    at = _show(mine, "findings", monkeypatch, review_actor="赵", findings_scope=({"finding": ids}, "five"))
    at.button(key="bulk_send").click().run()
    assert [e.value for e in at.error] == [say("review.no_reason_all", "en")] and len(log.log()) == 1
    at.text_area(key="bulk_comment").set_value("同一天的演习")
    at.selectbox(key="bulk_state").set_value("acceptable")
    at.button(key="bulk_send").click().run()
    assert [s.value for s in at.success] == [say("talk.reviewed", "en", written=total - 1, left=1)]
    at.text_area(key="bulk_reason").set_value("演习")
    at.text_input(key="bulk_approver").set_value("孙")
    at.button(key="bulk_suppress_send").click().run()
    assert [s.value for s in at.success] == [say("talk.reviewed", "en", written=total, left=0)]
    with runs.connect(mine) as con:
        counts = log.counts(con)
    assert (counts["acceptable"], counts["dismissed"], counts["suppressed"], counts["asked"]) == (total - 1, 1, 0, total) and log.verify() is None
    at = _show(mine, "review", monkeypatch, review_actor="孙", review_list="asked")
    at.button(key="review_approve_all").click().run()
    assert not at.exception and not at.error
    with runs.connect(mine) as con:
        assert (log.counts(con)["suppressed"], log.counts(con)["asked"]) == (total, 0)


def test_a_coaching_task_is_set_and_checked(many: Path, tmp_path: Path, url: str) -> None:
    log, day = review.Reviews(tmp_path, url), datetime.now(UTC).date()
    task = log.coach("many", "组长", "A1", "晚上十点以后不拨", day, day + timedelta(days=7), QUIET).seq
    other = log.coach("many", "组长", "A2", "先报机构名称", day, day + timedelta(days=3)).seq
    assert [(one.task, one.agent_id, one.rule, one.result) for one in log.coaching()] == [(other, "A2", "", ""), (task, "A1", QUIET, "")]
    log.check_coaching("many", other, "组长", "not_improved", "再听录音")
    log.check_coaching("many", other, "组长", "improved")
    assert [(one.task, one.result, one.checked_by) for one in log.coaching()] == [(task, "", ""), (other, "improved", "组长")] and log.verify() is None
    for key, wrong in {
        "review.no_reason_coach": lambda: log.coach("many", "组长", "A1", " ", day, day + timedelta(days=7)),
        "review.coach_due": lambda: log.coach("many", "组长", "A1", "听", day, day),
        "review.no_task": lambda: log.check_coaching("many", task + 50, "组长", "improved"),
        "review.state": lambda: log.check_coaching("many", task, "组长", "fine"),
        "review.no_actor": lambda: log.check_coaching("many", task, " ", "improved"),
    }.items():
        with pytest.raises(UsageError) as told:
            wrong()
        assert told.value.key == key
    with runs.connect(many) as con:
        around = summary.agent_around(con, "A1", QUIET, datetime(2026, 3, 15).date())
        told_of = "SELECT count(*) FILTER (WHERE on_date < '2026-03-15'), count(*) FILTER (WHERE on_date >= '2026-03-15') FROM contacts"
        assert (around["contacts"], around["contacts_since"]) == con.execute(told_of).fetchall()[0]
        assert (around["breaching_contacts"], around["breaching_contacts_since"]) == con.execute(f"{told_of} WHERE hour(local_at) = 23").fetchall()[0] != (0, 0)
        assert around["low_since"] < around["rate_since"] < around["high_since"]
        assert summary.agent_around(con, "A1", QUIET, datetime(2027, 1, 1).date())["rate_since"] is None
        assert summary.agent_around(con, "A1", "no/rule", datetime(2026, 3, 15).date())["breaching_contacts"] == 0


def test_coaching_on_the_page_of_collectors(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = review.Reviews(mine)
    at = _show(mine, "agents", monkeypatch, review_actor="组长")
    at.text_area(key="coach_comment_A1").set_value("<script>晚上十点以后不拨")
    at.selectbox(key="coach_rule_A1").set_value(QUIET)
    at.date_input(key="coach_since_A1").set_value(datetime(2026, 3, 15).date())
    at.date_input(key="coach_due_A1").set_value(datetime(2026, 3, 22).date())
    at.button(key="coach_send_A1").click().run()
    assert not at.exception and [(one.agent_id, one.rule, one.due) for one in log.coaching()] == [("A1", QUIET, "2026-03-22")]
    assert [w.value.replace("\\", "") for w in at.warning] == [say("page.coaching.due", "en", count=1, names="A1")]
    [shown] = [frame.value for frame in at.dataframe if "re-check on" in frame.value]
    with runs.connect(mine) as con:
        around = summary.agent_around(con, "A1", QUIET, datetime(2026, 3, 15).date())
    assert shown["state"].iloc[0] == say("word.task_due", "en") and shown["before"].iloc[0].startswith(f"{around['breaching_contacts']:,} / {around['contacts']:,}")
    at.selectbox(key="check_result_A1").set_value("not_improved")
    at.button(key="check_send_A1").click().run()
    assert log.coaching()[0].result == "not_improved" and not at.warning
