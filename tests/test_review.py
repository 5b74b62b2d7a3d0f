"""Verdicts: none lost, none overwritten, none changed unseen, stale when what they were about is another thing."""

from __future__ import annotations

import multiprocessing
import shutil
import sqlite3
import sys
from pathlib import Path

import duckdb
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from analyzer import audit, review, runs, summary
from analyzer.errors import UsageError
from analyzer.messages import say
from tests.conftest import ROOT

HEADERS = "contact_id,案件编号,通话时间,渠道,方向,结果,与借款人关系,内容,催收员\n"


def _audit(folder: Path, calls: list[str], name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "calls.csv").write_text(HEADERS + "".join(f"c{i},K1,{at},电话,呼出,接通,本人,提醒还款,A1\n" for i, at in enumerate(calls)), encoding="utf-8")
    return audit.run([str(folder / "calls.csv")], folder / "runs", packs=["cn-gbt-45251"], run_id=name).path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _audit(tmp_path_factory.mktemp("reviewed"), ["2026-03-02 23:10:00", "2026-03-04 23:10:00"], "first")


@pytest.fixture
def run(published: Path, tmp_path: Path) -> Path:
    shutil.copy(published, tmp_path / "first.duckdb")
    return tmp_path / "first.duckdb"


def _findings(run: Path) -> list[str]:
    con = runs.connect(run)
    try:
        return sorted(f["finding_id"] for f in summary.findings(con)[0])
    finally:
        con.close()


def test_a_verdict_is_kept_with_who_and_why(run: Path) -> None:
    log, (first, second), con = review.Reviews(run), _findings(run), runs.connect(run)
    log.decide(con, first, " 王主任 ", "confirmed", "录音已听")
    log.decide(con, first, "李审计", "remediated", "已辅导", assignee="张组长", seen=1)
    log.decide(con, second, "王主任", "dismissed", "客户来电约定")
    told = log.standings(summary.findings(con)[0])
    assert (told[first].state, told[second].state) == ("remediated", "dismissed")
    assert [(e.seq, e.actor, e.state) for e in log.history(first)] == [(1, "王主任", "confirmed"), (2, "李审计", "remediated")]
    assert log.verify() is None
    assert log.precision() == [{"rule": "cn-gbt-45251/quiet-hours", "verdicts": 2, "right": 1, "low": None, "high": None}]
    con.close()


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"state": "perhaps"}, "review.state"), ({"actor": " "}, "review.no_actor"), ({"state": "dismissed"}, "review.no_reason"),
        ({"finding_id": "0" * 16}, "run.no_finding"), ({"seen": 7}, "review.changed"), ({"comment": "长" * 4001}, "review.too_long"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_one_sentence(more: dict[str, object], key: str, run: Path) -> None:
    con = runs.connect(run)
    with pytest.raises(UsageError) as caught:
        review.Reviews(run).decide(con, **{"finding_id": _findings(run)[0], "actor": "甲", "state": "confirmed", **more})
    assert caught.value.key == key and review.Reviews(run).log() == []
    con.close()


def test_nobody_overwrites_what_he_has_not_seen(run: Path) -> None:
    log, finding, con = review.Reviews(run), _findings(run)[0], runs.connect(run)
    log.decide(con, finding, "甲", "confirmed", seen=0)
    with pytest.raises(UsageError, match="read it first"):
        log.decide(con, finding, "乙", "dismissed", "看错了", seen=0)
    assert [e.actor for e in log.history(finding)] == ["甲"]
    con.close()


def _write(run: str, finding: str, who: str, times: int) -> None:
    con = runs.connect(Path(run))
    for number in range(times):
        review.Reviews(Path(run)).decide(con, finding, who, "claimed", str(number))
    con.close()


def test_eight_reviewers_at_once_lose_nothing(run: Path) -> None:
    finding, times = _findings(run)[0], 25
    spawn = multiprocessing.get_context("spawn")
    people = [spawn.Process(target=_write, args=(str(run), finding, f"r{n}", times)) for n in range(8)]
    for process in people:
        process.start()
    for process in people:
        process.join(120)
        assert process.exitcode == 0
    log = review.Reviews(run)
    written = [(e.actor, e.comment) for e in log.log()]
    assert sorted(written) == sorted((f"r{n}", str(k)) for n in range(8) for k in range(times)) and log.verify() is None
    # Each reviewer's own entries stand in the order in which he wrote them.
    assert all([c for a, c in written if a == f"r{n}"] == [str(k) for k in range(times)] for n in range(8))


@pytest.mark.parametrize("tamper", ["UPDATE entries SET comment = 'x' WHERE seq = 2", "DELETE FROM entries WHERE seq = 2", "UPDATE entries SET actor = '乙' WHERE seq = 3"])
def test_a_changed_or_removed_entry_breaks_the_chain(tamper: str, run: Path) -> None:
    log, con = review.Reviews(run), runs.connect(run)
    for number in range(4):
        log.decide(con, _findings(run)[number % 2], "甲", "claimed", str(number))
    con.close()
    direct = sqlite3.connect(log.path)
    with pytest.raises(sqlite3.IntegrityError, match="append only"):
        direct.execute(tamper)
    direct.rollback()
    direct.executescript("DROP TRIGGER entries_no_update; DROP TRIGGER entries_no_delete;")
    direct.execute(tamper)
    direct.commit()
    direct.close()
    assert log.verify() == (3 if tamper.startswith("DELETE") or "seq = 3" in tamper else 2)


def test_an_entry_changed_together_with_its_hash_breaks_the_chain_behind_it(run: Path) -> None:
    log, con = review.Reviews(run), runs.connect(run)
    for number in range(3):
        log.decide(con, _findings(run)[0], "甲", "claimed", str(number))
    con.close()
    direct = sqlite3.connect(log.path)
    direct.executescript("DROP TRIGGER entries_no_update;")
    row = direct.execute(f"SELECT {', '.join(review._HASHED)} FROM entries WHERE seq = 2").fetchone()
    values = dict(zip(review._HASHED, row, strict=True)) | {"comment": "forged"}
    direct.execute("UPDATE entries SET comment = ?, hash = ? WHERE seq = 2", ["forged", review.entry_hash(values)])
    direct.commit()
    direct.close()
    assert log.verify() == 3


def test_a_verdict_is_stale_when_the_evidence_is_another(tmp_path: Path) -> None:
    first = _audit(tmp_path, ["2026-03-02 23:10:00"], "first")
    log, con = review.Reviews(first), runs.connect(first)
    finding = _findings(first)[0]
    log.decide(con, finding, "甲", "confirmed")
    assert not log.standings(summary.findings(con)[0])[finding].stale
    con.close()
    second = _audit(tmp_path, ["2026-03-02 23:10:00", "2026-03-02 23:40:00"], "second")
    con = runs.connect(second)
    assert log.standings(summary.findings(con)[0])[finding] == review.Standing(log.history(finding)[0], True)
    con.close()


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
    assert [e.value for e in at.error] == [say("review.changed", lang, finding=finding)]
    assert len(review.Reviews(run).history(finding)) == 2
    st.cache_resource.clear()
