"""Derived facts against plain reckoning, and the run file as a thing that is whole or not there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer import audit, store, zones
from analyzer.casebook import bench, place_given
from analyzer.intake import Settings

Write = Callable[..., Path]
Run = Callable[..., tuple[audit.RunResult, duckdb.DuckDBPyConnection]]
ZONES = ("Asia/Shanghai", "America/New_York", "America/Phoenix", "Europe/London", "Asia/Kolkata", "Australia/Lord_Howe")
MOMENT = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1)).map(lambda d: d.replace(microsecond=0))


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(ZONES), st.lists(MOMENT, min_size=1, max_size=6))
def test_wall_clocks_equal_the_zone_database(zone: str, moments: list[datetime]) -> None:
    there = zones.utc_to_local("x", zone, min(moments), max(moments))
    back = zones.local_to_utc("x", zone, min(moments), max(moments))
    info = ZoneInfo(zone)
    with duckdb.connect() as con:
        for moment in moments:
            local = moment.replace(tzinfo=UTC).astimezone(info).replace(tzinfo=None)
            assert con.execute(f"SELECT {there} FROM (SELECT ?::TIMESTAMP AS x)", [moment]).fetchall() == [(local,)]
            first = local.replace(tzinfo=info, fold=0).astimezone(UTC).replace(tzinfo=None)
            assert con.execute(f"SELECT {back} FROM (SELECT ?::TIMESTAMP AS x)", [local]).fetchall() == [(first,)]


DAY = st.integers(0, 200).map(lambda n: date(2026, 1, 1) + timedelta(days=n))


def _days_past_due(day: date, instalments: list[tuple[date, int]], payments: list[tuple[date, int]]) -> int:
    """By hand: pay the oldest first; count from the oldest unpaid due date, ahead of it to the next one; 0 when all is paid."""
    paid = sum(amount for when, amount in payments if when <= day)
    for due, amount in sorted(instalments):
        if paid >= amount:
            paid -= amount
            continue
        return (day - due).days
    return 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(DAY, st.integers(1, 5)), min_size=1, max_size=5), st.lists(st.tuples(DAY, st.integers(1, 6)), max_size=5), st.lists(DAY, min_size=1, max_size=6))
def test_days_past_due_equal_plain_reckoning(instalments: list[tuple[date, int]], payments: list[tuple[date, int]], days: list[date]) -> None:
    given_rows = {
        "instalments": [{"no": i, "due_on": due.isoformat(), "amount": amount} for i, (due, amount) in enumerate(sorted(instalments))],
        "payments": [{"at": f"{when} 12:00:00", "amount": amount} for when, amount in payments],
        "contacts": [{"id": f"c{i}", "at": f"{day} 10:00:00"} for i, day in enumerate(days)],
    }
    with bench() as con:
        place_given(con, given_rows, "CN", "test")
        store.derive(con, Settings(), {1: "Asia/Shanghai"})
        found = dict(con.execute("SELECT contact_id, dpd FROM contacts").fetchall())
        classes = dict(con.execute("SELECT dpd, account_class FROM contacts WHERE dpd IS NOT NULL").fetchall())
    assert found == {f"c{i}": _days_past_due(day, instalments, payments) for i, day in enumerate(days)}
    for dpd, name in classes.items():
        assert name == ("C" if dpd <= 0 else "M1" if dpd <= 30 else "M2" if dpd <= 60 else "M3" if dpd <= 90 else "M3+")


def test_whose_number_which_zone_which_agency(write: Write, run: Run) -> None:
    files = [
        write("cases.csv", "案件编号,客户编号,法域,时区\nK1,D1,US,America/New_York\nK2,D2,US,\nK3,D3,CN,\n"),
        write("persons.csv", "联系人编号,案件编号,姓名,与借款人关系\nP1,K1,甲,本人\nP2,K1,乙,同事\nP3,K1,丙,担保人\n"),
        write("numbers.csv", "号码,案件编号,联系人编号,时区\n5550100,K1,P1,America/Los_Angeles\n5550101,K1,P2,\n"),
        write("agents.csv", "工号,姓名,小组,机构,入职日期\nA1,子,一组,甲公司,2026-01-01\nA1,子,二组,乙公司,2026-03-02\n"),
        write(
            "calls.csv",
            "流水号,案件编号,联系人编号,被叫号码,渠道,方向,通话时间,坐席工号\n"
            "1,K1,,555-0100,电话,呼出,2026-03-01T12:00:00Z,A1\n2,K1,,5550101,电话,呼出,2026-03-03T12:00:00Z,A1\n"
            "3,K1,P3,,电话,呼出,2026-03-03T12:00:00Z,\n4,K2,,,电话,呼出,2026-03-03T12:00:00Z,\n5,K3,,,电话,呼出,2026-03-03 12:00:00,\n",
        ),
    ]
    _, con = run(files)
    rows = con.execute("SELECT contact_id, person_id, party, zone, local_at, other_local_at, vendor, team FROM contacts ORDER BY 1").fetchall()
    first, second = datetime(2026, 3, 1, 7), datetime(2026, 3, 1, 4)
    assert rows[0] == ("1", "P1", "debtor", "America/New_York", first, [second], "甲公司", "一组")
    assert rows[1][1:4] == ("P2", "third_party", "America/New_York") and rows[1][6:] == ("乙公司", "二组")
    assert rows[2][1:4] == ("P3", "obliged", "America/New_York")
    assert rows[3][2:5] == (None, None, None)
    assert rows[4][3:5] == ("Asia/Shanghai", datetime(2026, 3, 3, 12))


def test_every_column_has_a_comment(write: Write, run: Run) -> None:
    _, con = run([write("a.csv", "案件编号,通话时间,催记内容\nK1,2026-03-01 09:00,x\n")])
    bare = con.execute("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND coalesce(comment, '') = ''").fetchall()
    assert bare == []
    assert con.execute("SELECT count(*) FROM duckdb_columns() WHERE NOT internal").fetchall()[0][0] == sum(len(columns) for _, columns in store.schema())


def test_a_crash_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), store.new_run(tmp_path / "runs" / "r.duckdb") as file:
        file.con.execute("INSERT INTO provided VALUES (1, 'x')")
        raise ZeroDivisionError
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_published_run_is_read_only_and_cannot_reach_out(write: Write, run: Run, tmp_path: Path) -> None:
    _, con = run([write("a.csv", "案件编号,通话时间,催记内容\nK1,2026-03-01 09:00,x\n")])
    for sql in ("DELETE FROM contacts", "SELECT * FROM read_csv('/etc/passwd')", "SET enable_external_access = true", f"COPY runs TO '{tmp_path}/x.csv'"):
        with pytest.raises(duckdb.Error):
            con.execute(sql)


def test_a_new_run_does_not_disturb_an_open_one(write: Write, run: Run) -> None:
    path = write("a.csv", "案件编号,通话时间,催记内容\nK1,2026-03-01 09:00,x\n")
    _, con = run([path])
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(con.cursor().execute("SELECT count(*) FROM contacts").fetchall()[0][0]))
    run([path])
    thread.start()
    thread.join()
    assert seen == [1]
    with pytest.raises(Exception, match="exists already"):
        run([path], run_id="r0")
