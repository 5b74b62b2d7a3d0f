"""Foreign columns to canonical ones; every row loaded, rejected or duplicate; nothing guessed in silence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer import audit
from analyzer.errors import DunAuditError, InputError, UsageError
from analyzer.intake import Mapping, load_mapping, values
from tests.conftest import HEADER

Write = Callable[..., Path]
Run = Callable[..., tuple[audit.RunResult, duckdb.DuckDBPyConnection]]


def _one(sql: str, *params: Any) -> Any:
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        return con.execute(sql, params or None).fetchall()[0][0]


@pytest.mark.parametrize(
    ("cell", "order", "expected"),
    [
        ("2026-03-01 09:05:07", "ymd", "2026-03-01 09:05:07"), ("2026/3/1 9:05", "ymd", "2026-03-01 09:05:00"),
        ("2026-03-01", "ymd", "2026-03-01 00:00:00"), ("2026.03.01 21:00", "ymd", "2026-03-01 21:00:00"),
        ("2026年3月1日 9时5分7秒", "ymd", "2026-03-01 09:05:07"), ("2026年3月1日下午9:05", "ymd", "2026-03-01 21:05:00"),
        ("２０２６－０３－０１　０９：０５", "ymd", "2026-03-01 09:05:00"), ("2026-03-01T09:05:07.123", "ymd", "2026-03-01 09:05:07"),
        ("01-09-2016 06:01:12", "dmy", "2016-09-01 06:01:12"), ("01/09/2016", "mdy", "2016-01-09 00:00:00"),
        ("13/09/16 12:30 AM", "dmy", "2016-09-13 00:30:00"), ("03/01/2026 9:05 PM", "mdy", "2026-03-01 21:05:00"),
        ("20260301", "ymd", "2026-03-01 00:00:00"), ("20260301 090507", "ymd", "2026-03-01 09:05:07"),
        ("46082.5", "ymd", "2026-03-01 12:00:00"), ("1-Mar-2026 09:05", "ymd", "2026-03-01 09:05:00"),
        ("1772355907", "ymd", "2026-03-01 09:05:07"),
        ("2026-02-30 09:00:00", "ymd", None), ("2026-03-01 25:99", "ymd", None), ("昨天", "ymd", None), ("13-13-2026", "dmy", None),
    ],
)  # fmt: skip
def test_shapes_of_time(cell: str, order: str, expected: str | None) -> None:
    found = _one(f"SELECT {values.time('x', order, False)} FROM (SELECT ?::VARCHAR AS x)", cell)
    assert (found.replace(microsecond=0) if found else None) == (datetime.fromisoformat(expected) if expected else None)


@pytest.mark.parametrize(
    ("cell", "minutes"),
    [("2026-03-01T09:05:07+08:00", 480), ("2026-03-01 09:05:07Z", 0), ("2026-03-01 09:05-0530", -330), ("2026-03-01 09:05:07", None), ("2026-03-01 09:05+08", 480)],
)
def test_offsets_a_cell_states(cell: str, minutes: int | None) -> None:
    assert _one(f"SELECT {values.offset('x', False)} FROM (SELECT ?::VARCHAR AS x)", cell) == minutes


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("12", 12), ("1,234", 1234), (" 12.0 ", 12), ("(3)", -3), ("１２", 12), ("03:25", 205), ("1:03:25", 3805), ("3分25秒", 205), ("abc", None), ("", None)],
)
def test_whole_numbers(cell: str, expected: int | None) -> None:
    assert _one(f"SELECT {values.integer('x')} FROM (SELECT nullif(?, '')::VARCHAR AS x)", cell) == expected


@pytest.mark.parametrize(("cell", "expected"), [("¥1,234.50", 1234.50), ("(1 234.5)", -1234.5), ("1234.5元", 1234.5), ("x", None)])
def test_amounts(cell: str, expected: float | None) -> None:
    found = _one(f"SELECT {values.decimal('x')} FROM (SELECT ?::VARCHAR AS x)", cell)
    assert (None if found is None else float(found)) == expected


@pytest.mark.parametrize(("cell", "expected"), [("(022)2895-2819", "02228952819"), ("78130 00821", "7813000821"), ("+86 199 0000 1234", "19900001234"), ("8619900001234", "19900001234")])
def test_phone_numbers(cell: str, expected: str) -> None:
    assert _one(f"SELECT {values.number('x')} FROM (SELECT ?::VARCHAR AS x)", cell) == expected


def test_every_row_has_an_end(write: Write, run: Run) -> None:
    text = HEADER + "\n" + "\n".join([
        "1,K1,P1,本人,电话,呼出,2026-03-01 09:00:00,接通,交互式,A1,好",
        "1,K1,P1,本人,电话,呼出,2026-03-01 09:00:00,接通,交互式,A1,好",
        "1,K1,P1,本人,电话,呼出,2026-03-01 09:00:00,接通,交互式,A1,不同",
        "2,,P1,本人,电话,呼出,2026-03-01 09:00:00,接通,交互式,A1,无案件",
        "3,K1,P1,本人,电话,呼出,不是时间,接通,交互式,A1,坏时间",
        "4,K1,P1,本人,电话,呼出,,接通,交互式,A1,没有时间",
        "5,K1,P1,本人,飞鸽,呼出,2026-03-01 10:00:00,接通,交互式,A1,没有这种渠道",
        "6,K1,P1",
        "7,K1,P1,本人,电话,呼出,0206-03-01 10:00:00,接通,交互式,A1,年份写错",
    ]) + "\n"  # fmt: skip
    result, con = run([write("calls.csv", text)])
    batch = result.batches[0]
    assert (batch.rows_read, batch.loaded, batch.rejected, batch.duplicate) == (9, 3, 5, 1)
    rejects = con.execute("SELECT row_no, reason, detail FROM rejects ORDER BY row_no").fetchall()
    assert rejects == [
        (4, "reject.same_id", "1:2"), (5, "reject.missing", "case_id"), (6, "reject.time", "started_at"), (9, "reject.too_few", None),
        (10, "reject.time_range", "started_at"),
    ]  # fmt: skip
    assert con.execute("SELECT * FROM duplicates").fetchall() == [(1, 3, 1, 2)]
    assert "无案件" in con.execute("SELECT original FROM rejects WHERE row_no = 5").fetchall()[0][0]
    assert con.execute("SELECT column_name, problem, cells, first_row_no FROM cell_problems").fetchall() == [("channel", "unmapped_word", 1, 8)]
    # The contact without a time is judged where it can be, and undetermined where it cannot.
    assert con.execute("SELECT contacts FROM rule_results WHERE rule = 'cn-gbt-45251/quiet-hours' AND outcome = 'undetermined' AND missing = 'started_at'").fetchall() == [(1,)]


def test_the_same_file_twice_changes_nothing(write: Write, run: Run) -> None:
    text = HEADER + "\n1,K1,P1,本人,电话,呼出,2026-03-01 23:00:00,接通,交互式,A1,好\n,K2,P2,本人,电话,呼出,2026-03-01 23:30:00,接通,交互式,A1,无编号\n"
    a, b = write("a.csv", text), write("b.csv", text)
    once, con1 = run([a])
    twice, con2 = run([a, b])
    assert [(x.loaded, x.duplicate) for x in twice.batches] == [(2, 0), (0, 2)]
    listing = "SELECT finding_id, episode, breaches, evidence_digest FROM findings ORDER BY 1"
    assert con1.execute(listing).fetchall() == con2.execute(listing).fetchall() and once.findings == 2


def test_an_event_without_a_readable_time_may_hold(write: Write, run: Run) -> None:
    """It is kept, counted, and what depends on it is undetermined: not clear, and not lost with the row."""
    calls = write("a.csv", HEADER + "\n1,K1,P2,母亲,电话,呼出,2026-03-02 10:00:00,接通,交互式,A1,您好\n")
    events = write("事件.csv", "案件编号,人员编号,事件类型,事件时间\nK1,P2,拒绝联系,上周三下午\nK1,P2,拒绝联系,\n")
    result, con = run([calls, events])
    assert [(b.loaded, b.rejected) for b in result.batches if b.table == "case_events"] == [(2, 0)]
    assert con.execute("SELECT column_name, problem, cells FROM cell_problems").fetchall() == [("occurred_at", "unreadable", 1)]
    found = con.execute("SELECT outcome, missing FROM rule_results WHERE rule = 'cn-gbt-45251/stop-on-refusal' AND contacts > 0").fetchall()
    assert found == [("undetermined", "case_events.occurred_at")]


@pytest.mark.parametrize(
    ("dates", "key"),
    [(["01/02/2026 09:00", "03/04/2026 10:00"], "input.two_date_orders"), (["13/02/2026 09:00", "03/14/2026 10:00"], "input.mixed_dates")],
)
def test_dates_that_fit_two_orders_are_an_error(dates: list[str], key: str, write: Write, run: Run) -> None:
    path = write("a.csv", "案件编号,通话时间,催记内容\n" + "".join(f"K{i},{d},x\n" for i, d in enumerate(dates)))
    with pytest.raises(InputError) as caught:
        run([path])
    assert caught.value.key == key and "通话时间" in caught.value.text("zh")
    assert not list((path.parent / "runs").glob("*")), "nothing half-written is left behind"
    said = write("m.yaml", 'name: m\ntables: [{match: ["a.csv"], table: contacts, date_order: dmy}]\n')
    result, con = run([path], mapping=load_mapping(said))
    assert con.execute("SELECT count(*) FROM contacts WHERE year(at_utc) = 2026").fetchall()[0][0] == result.batches[0].loaded > 0


def test_missing_columns_are_named(write: Write) -> None:
    for text, key in (
        ("通话结果,催记内容,坐席工号\n接通,x,A1\n", "input.missing_columns"),
        ("甲,乙\n丙,丁\n", "input.unknown_table"),
        ("1,2\n3,4\n", "input.no_header"),
    ):
        with pytest.raises(InputError) as caught:
            audit.plan([str(write("a.csv", text))], Mapping())
        assert caught.value.key == key, text


@pytest.mark.parametrize(
    "text",
    ["name: [", "nonsense: 1", "tables: [{match: [x], table: nothing}]", "zone: CST", "tables: [{match: [x], table: contacts, columns: {nothing: A}}]",
     "tables: [{match: [x], table: contacts, values: {channel: {A: pigeon}}}]", "name: a\nname: b"],
)  # fmt: skip
def test_a_wrong_mapping_is_one_sentence(text: str, write: Write) -> None:
    with pytest.raises(UsageError) as caught:
        load_mapping(write("m.yaml", text))
    assert "m.yaml" in caught.value.text("en") and caught.value.exit_code == 2


def test_house_words_and_constants(write: Write, run: Run) -> None:
    path = write("a.csv", "合同,时刻,码\nK1,2026-03-01 09:00,A1\nK1,2026-03-01 10:00,Z9\n")
    mapping = write(
        "m.yaml",
        "name: house\ntables:\n  - match: ['a.csv']\n    table: contacts\n    columns: {case_id: 合同, started_at: 时刻, outcome: 码, channel: {const: call}, direction: {const: 呼出}}\n"
        "    values: {outcome: {A1: conversation}}\n",
    )
    _, con = run([path], mapping=load_mapping(mapping))
    assert con.execute("SELECT channel, direction, outcome FROM contacts ORDER BY at_utc").fetchall() == [("call", "outbound", "conversation"), ("call", "outbound", None)]


ROW = st.tuples(
    st.sampled_from(["1", "2", "3", "", "4"]), st.sampled_from(["K1", "K2", ""]),
    st.sampled_from(["2026-03-01 09:00:00", "2026-03-01 23:00:00", "x", "", "2026-03-02T08:00:00+08:00"]), st.sampled_from(["好", "坏", ""]),
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(ROW, min_size=1, max_size=8), min_size=1, max_size=3))
def test_rows_read_are_loaded_rejected_or_duplicate(tmp_path_factory: pytest.TempPathFactory, files: list[list[tuple[str, ...]]]) -> None:
    folder = tmp_path_factory.mktemp("p")
    for i, rows in enumerate(files):
        body = "".join(",".join(row) + "\n" for row in rows)
        (folder / f"f{i}.csv").write_text("流水号,案件编号,通话时间,催记内容\n" + body, encoding="utf-8")
    try:
        result = audit.run([str(folder)], folder / "runs", packs=["cn-gbt-45251"], run_id="r")
    except DunAuditError as error:
        pytest.fail(error.text("en"))
    with duckdb.connect(str(result.path), read_only=True) as con:
        for batch, rows in zip(result.batches, files, strict=True):
            assert batch.rows_read == len(rows) == batch.loaded + batch.rejected + batch.duplicate
        lines = con.execute("SELECT batch_id, row_no FROM contacts UNION ALL SELECT batch_id, row_no FROM rejects UNION ALL SELECT batch_id, row_no FROM duplicates").fetchall()
        assert sorted(lines) == [(i + 1, n + 2) for i, rows in enumerate(files) for n in range(len(rows))]
        assert con.execute("SELECT count(*) - count(DISTINCT contact_id) FROM contacts").fetchall()[0][0] == 0
