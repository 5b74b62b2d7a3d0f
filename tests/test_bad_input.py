"""Rubbish in: an answer out that is neither a trace nor a false verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from analyzer import audit
from analyzer.errors import DunAuditError, InputError, UsageError
from analyzer.intake import Mapping, load_mapping
from analyzer.runs import connect

Write = Callable[..., Path]
Run = Callable[..., tuple[audit.RunResult, duckdb.DuckDBPyConnection]]
H = "contact_id,case_id,started_at,channel,direction,outcome,relation,person_id,call_type,text\n"


def _outcomes(con: duckdb.DuckDBPyConnection, rule: str) -> dict[str, int]:
    return dict(con.execute("SELECT outcome, sum(contacts)::INT FROM rule_results WHERE rule = ? GROUP BY 1", [f"cn-gbt-45251/{rule}"]).fetchall())


def test_a_date_without_a_time_accuses_nobody(write: Write, run: Run) -> None:
    text = H + "".join(f"k{i},C1,{day},sms,outbound,delivered,self,P1,notice,请处理\n" for i, day in enumerate(["2026-03-02", "2026/3/3", "20260304", "2026-03-05 23:00"]))
    _, con = run([write("a.csv", text)])
    assert _outcomes(con, "quiet-hours") == {"undetermined": 3, "breach": 1}
    assert con.execute("SELECT count(*) FROM contacts WHERE on_date IS NULL").fetchall() == [(0,)]


def test_a_relation_belongs_to_its_case(write: Write, run: Run) -> None:
    persons = write("p.csv", "person_id,case_id,relation\nP1,C1,self\nP1,C2,colleague\n")
    calls = write(
        "c.csv",
        "contact_id,case_id,person_id,started_at,channel,direction,outcome,text\n"
        "k1,C2,P1,2026-03-02 10:00:00,call,outbound,conversation,告知其贷款逾期未还。\nk2,C3,P1,2026-03-02 10:00:00,call,outbound,conversation,告知其贷款逾期未还。\n",
    )
    _, con = run([persons, calls])
    assert _outcomes(con, "third-party-disclosure") == {"breach": 1, "undetermined": 1}


@pytest.mark.parametrize("offset", ["+99:99", "+14:59", "-15:00"])
def test_an_impossible_offset_is_no_time(offset: str, write: Write, run: Run) -> None:
    result, con = run([write("a.csv", H + f"k1,C1,2026-03-02T10:00:00{offset},call,outbound,no_answer,self,P1,notice,\n")])
    assert con.execute("SELECT reason FROM rejects").fetchall() == [("reject.time",)] and result.exit_code == 5


@pytest.mark.parametrize("value", ["13800138000", "9999999999999999999:00:00", "9000000000000000:00:00", "1772416800000"])
def test_a_figure_too_large_is_unknown_and_counted(value: str, write: Write, run: Run) -> None:
    _, con = run([write("a.csv", f"contact_id,case_id,started_at,channel,duration_s\nk1,C1,2026-03-02 10:00:00,call,{value}\n")])
    assert con.execute("SELECT duration_s FROM contacts").fetchall() == [(None,)]
    assert con.execute("SELECT column_name, problem, cells FROM cell_problems").fetchall() == [("duration_s", "unreadable", 1)]


def test_a_json_field_that_comes_late_is_not_lost(write: Write, run: Run) -> None:
    rows = [{"contact_id": f"k{i}", "case_id": "C1", "started_at": "2026-03-02 10:00:00", "channel": "call"} for i in range(2001)]
    rows.append({"contact_id": "z", "case_id": "C1", "started_at": "2026-03-02 23:30:00", "channel": "call", "direction": "outbound", "": "x", "a\u0000b": "y"})
    _, con = run([write("a.jsonl", "".join(json.dumps(r) + "\n" for r in rows))])
    assert _outcomes(con, "quiet-hours")["breach"] == 1


def test_one_damaged_line_does_not_garble_the_others(write: Write, run: Run) -> None:
    line = "k%d,C%d,2026-03-02 10:00:00,call,outbound,conversation,colleague,P%d,interactive,告知其贷款逾期未还。\n"
    data = (H + "".join(line % (i, i, i) for i in range(4))).encode() + (line % (9, 9, 9)).encode("gb18030")
    result, con = run([write("a.csv", data)])
    assert (result.batches[0].loaded, result.batches[0].rejected) == (4, 1)
    assert _outcomes(con, "third-party-disclosure") == {"breach": 4}


def test_no_cell_of_a_headerless_file_is_repeated(write: Write) -> None:
    with pytest.raises(InputError) as caught:
        audit.plan([str(write("a.csv", "张三丰,本人,称下周还款\n李四光,同事,骂人\n"))], Mapping())
    assert "张三丰" not in caught.value.text("zh") + caught.value.text("en")


def test_nothing_audited_is_not_clean(write: Write, run: Run) -> None:
    assert run([write("a.csv", H)])[0].exit_code == 5
    assert run([write("b.csv", H + "k1,C1,1989-12-31 23:00:00,call,outbound,conversation,self,P1,notice,x\n")])[0].exit_code == 5


@pytest.mark.parametrize("name", ["../../esc", "a/b", "x" * 300, ".hidden", ""])
def test_the_name_of_a_run_stays_in_its_folder(name: str, write: Write, run: Run, tmp_path: Path) -> None:
    path = write("a.csv", H + "k1,C1,2026-03-02 10:00:00,call,outbound,conversation,self,P1,notice,x\n")
    if name:
        with pytest.raises(UsageError):
            run([path], run_id=name)
        assert not list(tmp_path.glob("**/*.duckdb"))


@pytest.mark.parametrize("options", [{"memory": "0GB"}, {"memory": "99999999999999TB"}])
def test_settings_that_cannot_be_are_refused(options: dict[str, str], write: Write, run: Run) -> None:
    path = write("a.csv", H + "k1,C1,2026-03-02 10:00:00,call,outbound,conversation,self,P1,notice,x\n")
    with pytest.raises(UsageError):
        run([path], **options)
    with pytest.raises(UsageError):
        audit.run([str(path)], path, packs=["cn-gbt-45251"])


def test_a_file_that_only_looks_like_a_run(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "y.duckdb")) as con:
        con.execute("CREATE TABLE runs (run_id VARCHAR)")
    (tmp_path / "z.duckdb").write_bytes(b"garbage")
    for name in ("y", "z"):
        with pytest.raises(DunAuditError):
            connect(tmp_path / f"{name}.duckdb")


def test_a_mapping_that_holds_itself(write: Write) -> None:
    with pytest.raises(UsageError):
        load_mapping(write("m.yaml", "a: &a [*a]\n"))


def _counts(result: audit.RunResult) -> tuple[int, int, int]:
    batch = result.batches[0]
    assert batch.rows_read == batch.loaded + batch.rejected + batch.duplicate
    return batch.loaded, batch.rejected, batch.duplicate


def test_stray_carriage_returns_and_zero_bytes_lose_no_row(write: Write, run: Run) -> None:
    row = "k%d,C1,2026-03-02 10:00:00,call,outbound,no_answer,self,P1,notice,%s"
    lines = [row % (1, "one\rtwo"), row % (2, "a") + "\r" + row % (3, "b"), row % (4, "zero\x00byte"), row % (4, "zerobyte"), "k5,C1\rk6"]
    result, con = run([write("a.csv", H + "\n".join(lines) + "\n\n")])
    assert _counts(result) == (4, 1, 1)
    assert con.execute("SELECT contact_id, row_no FROM contacts ORDER BY 1").fetchall() == [("k1", 2), ("k2", 3), ("k3", 4), ("k4", 5)]
    assert con.execute("SELECT row_no, reason FROM rejects").fetchall() == [(7, "reject.too_few")]
    assert con.execute("SELECT text FROM contacts WHERE contact_id IN ('k1', 'k4') ORDER BY contact_id").fetchall() == [("one\rtwo",), ("zerobyte",)]


@pytest.mark.parametrize("form", ["array", "wrapped", "spread", "page"])
def test_what_a_web_system_exports_is_audited(form: str, write: Write, run: Run) -> None:
    """Four contacts: a breach, one without its time, one twice."""
    keys = H.strip().split(",")
    values = [
        ["k1", "C1", "2026-03-02 23:30:00", "call", "outbound", "no_answer", "self", "P1", "notice", "请处理"],
        ["k2", "C1", "some time", "call", "outbound", "no_answer", "self", "P1", "notice", ""],
        *[["k3", "C1", "2026-03-02 10:00:00", "call", "outbound", "no_answer", "self", "P1", "notice", "好"]] * 2,
    ]
    rows = [dict(zip(keys, row, strict=True)) for row in values]
    text = {
        "array": json.dumps(rows, ensure_ascii=False),
        "wrapped": json.dumps({"code": 200, "rows": rows, "total": 4}, ensure_ascii=False),
        "spread": "\n".join(json.dumps(row, ensure_ascii=False, indent=4) for row in rows),
        "page": "<table>" + "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in [keys, *values]) + "</table>",
    }[form]
    result, con = run([write("a.xls" if form == "page" else "a.json", text, "gb18030")])
    assert _counts(result) == (2, 1, 1)
    assert _outcomes(con, "quiet-hours") == {"breach": 1, "clear": 1}
    assert con.execute("SELECT row_no, reason FROM rejects").fetchall() == [(3 if form == "page" else 2, "reject.time")]
