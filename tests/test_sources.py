"""Any file becomes rows: the right encoding, delimiter, header and cells, each row with its line - or a clear refusal."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import InputError
from analyzer.intake import is_known_header
from analyzer.sources import Hints, detect, discover, open_sources, stage
from analyzer.sources.source import Source

Write = Callable[..., Path]
TABLE = "案件编号,通话时间,催记内容\nK1,2026-03-01 09:00:00,致电本人，承诺周五还款\nK2,2026-03-01 10:00:00,龘龘无人接听\n"


def _rows(path: Path, tmp_path: Path, hints: Hints | None = None) -> tuple[Source, list[tuple[object, ...]], list[tuple[int, str]]]:
    source = open_sources(path, is_known_header, hints)[0]
    with duckdb.connect() as con:
        staged = stage(con, source, "raw", tmp_path)
        columns = ", ".join(f"c{i}" for i in range(len(source.columns)))
        rows = con.execute(f"SELECT {staged.row_no}, {columns} FROM raw ORDER BY 1").fetchall()
    assert staged.rows == len(rows) + len(staged.unread)
    return source, rows, [(u.row_no, u.reason) for u in staged.unread]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"])
def test_encodings(encoding: str, write: Write, tmp_path: Path) -> None:
    source, rows, unread = _rows(write("a.csv", TABLE, encoding), tmp_path)
    assert source.columns == ("案件编号", "通话时间", "催记内容")
    assert [r[3] for r in rows] == ["致电本人，承诺周五还款", "龘龘无人接听"]
    assert not unread and source.header_row == 1


def test_big5(write: Write, tmp_path: Path) -> None:
    source, rows, _ = _rows(write("a.csv", "案件編號,備註\nK1,致電本人無人接聽請轉告回電\n", "big5"), tmp_path)
    assert source.encoding == "big5" and not source.certain
    assert rows == [(2, "K1", "致電本人無人接聽請轉告回電")]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_delimiters(delimiter: str, write: Write, tmp_path: Path) -> None:
    source, rows, _ = _rows(write("a.txt", f"case_id{delimiter}note\nK1{delimiter}ok\nK2{delimiter}fine\n"), tmp_path)
    assert source.delimiter == delimiter and [r[1:] for r in rows] == [("K1", "ok"), ("K2", "fine")]


def test_header_in_the_third_line(write: Write, tmp_path: Path) -> None:
    source, rows, _ = _rows(write("a.csv", "催收记录导出,,\n,,\n案件编号,通话时间,催记内容\nK1,2026-03-01 09:00:00,好\n"), tmp_path)
    assert source.header_row == 3 and rows == [(4, "K1", "2026-03-01 09:00:00", "好")]


def test_lines_are_those_of_the_file(write: Write, tmp_path: Path) -> None:
    text = 'case_id,note\nK1,"two\nlines"\n\nK2,one,too many\nK3\nK4,last\n'
    _, rows, unread = _rows(write("a.csv", text), tmp_path)
    assert rows == [(2, "K1", "two\nlines"), (7, "K4", "last")]
    assert unread == [(5, "reject.too_many"), (6, "reject.too_few")]


def test_one_empty_cell_too_many_is_still_one_too_many(write: Write, tmp_path: Path) -> None:
    """An unquoted comma shifts the cells; that the last of them is empty does not make the row right."""
    _, rows, unread = _rows(write("a.csv", "case_id,note,recording\nK1,fine,R1\nK2,rang,out,\n"), tmp_path)
    assert [r[1] for r in rows] == ["K1"] and unread == [(3, "reject.too_many")]
    _, rows, unread = _rows(write("b.csv", "case_id,note,recording\nK1,fine,R1,\nK2,good,,\n"), tmp_path)
    assert [r[1:4] for r in rows] == [("K1", "fine", "R1"), ("K2", "good", None)] and not unread


def test_an_open_quote_costs_one_line(write: Write, tmp_path: Path) -> None:
    text = 'case_id,note\nK1,"never closed\nK2,fine\nK3,fine\n'
    _, rows, unread = _rows(write("a.csv", text), tmp_path)
    assert unread == [(2, "reject.open_quote")]
    assert [r[1] for r in rows] == ["K2", "K3"]


def test_damaged_bytes_cost_their_line(write: Write, tmp_path: Path) -> None:
    lines = ["案件编号,备注"] + [f"K{i},没有问题" for i in range(20)]
    data = "\n".join(lines).encode() + b"\nK99,\xff\xfe\xff\n"
    _, rows, unread = _rows(write("a.csv", data), tmp_path)
    assert len(rows) == 20 and unread == [(22, "reject.encoding")]


def test_carriage_returns_alone(write: Write, tmp_path: Path) -> None:
    _, rows, _ = _rows(write("a.csv", "case_id,note\rK1,a\rK2,b\r"), tmp_path)
    assert [r[1:] for r in rows] == [("K1", "a"), ("K2", "b")]


def test_a_ten_megabyte_cell(write: Write, tmp_path: Path) -> None:
    _, rows, unread = _rows(write("a.csv", "case_id,note\nK1," + "长" * 3_500_000 + "\nK2,b\n"), tmp_path)
    assert not unread and len(str(rows[0][2])) == 3_500_000 and rows[1] == (3, "K2", "b")


def test_workbook_dates_numbers_and_times(tmp_path: Path) -> None:
    import datetime as dt

    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet("通话")
        date = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        sheet.write_row(1, 0, ["案件编号", "通话时间", "时长"])
        sheet.write_row(2, 0, [12345678901])
        sheet.write_datetime(2, 1, dt.datetime(2026, 3, 1, 22, 5, 7), date)
        sheet.write_number(2, 2, 1.5)
    source, rows, _ = _rows(path, tmp_path)
    assert source.header_row == 2 and source.sheet == "通话"
    assert rows == [(3, "12345678901", "2026-03-01 22:05:07", "1.5")]


def test_json_lines_and_parquet(write: Write, tmp_path: Path) -> None:
    text = '{"case_id": "K1", "note": "a \\"b\\""}\n\nnot json\n{"case_id": "K2", "note": null}\n[1]\n'
    _, rows, unread = _rows(write("a.jsonl", text), tmp_path)
    assert rows == [(1, "K1", 'a "b"'), (4, "K2", None)]
    assert unread == [(3, "reject.json"), (5, "reject.json")]
    with duckdb.connect() as con:
        con.execute(f"COPY (SELECT 'K1' AS case_id, TIMESTAMP '2026-03-01 09:00:00' AS t) TO '{tmp_path}/a.parquet'")
    _, rows, _ = _rows(tmp_path / "a.parquet", tmp_path)
    assert rows == [(1, "K1", "2026-03-01 09:00:00")]


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("a.csv", b"", "input.empty"),
        ("a.csv", b"\n \n", "input.empty"),
        ("a.csv", b"<html><table><tr><td>1</td></tr></table>", "input.html"),
        ("a.json", b'[{"a": 1}]', "input.json_array"),
        ("a.csv", b"%PDF-1.7 x", "input.pdf"),
        ("a.csv", b"\x00\x01\x02\x00\x03abc" * 50, "input.binary"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0 not a workbook", "input.workbook"),
        ("a.parquet", b"PAR1 broken", "input.parquet"),
        ("a.jsonl", b"{broken\n{again\n", "input.json"),
    ],
)
def test_what_is_no_table_is_refused_by_name(name: str, content: bytes, key: str, write: Write) -> None:
    with pytest.raises(InputError) as caught:
        open_sources(write(name, content), is_known_header)
    assert caught.value.key == key
    assert name in caught.value.text("zh") and name in caught.value.text("en")


def test_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "a,b\n1,2\n")
    with pytest.raises(InputError) as caught:
        open_sources(path, is_known_header)
    assert caught.value.key == "input.zip"


def test_discover_takes_files_folders_and_globs(write: Write, tmp_path: Path) -> None:
    a, b = write("b.csv", "x"), write("a.csv", "x")
    write(".hidden.csv", "x")
    write("notes.md", "x")
    assert discover([str(tmp_path)]) == [b, a]
    assert discover([str(a), str(tmp_path / "*.csv")]) == [a, b]
    assert discover([str(tmp_path)], ["b.csv"]) == [b]
    for name in ("nothing*.csv", str(tmp_path / "none.csv")):
        with pytest.raises(InputError):
            discover([name])


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00\x01\ufeff", exclude_categories=("Cs",)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=12))
def test_what_a_csv_writer_wrote_is_read_back(tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str, str]]) -> None:
    """Quotes, commas, line ends, blanks: the cells come back, an empty one as None; no row is lost."""
    folder = tmp_path_factory.mktemp("p")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["case_id", "note", "channel"])
    kept = [tuple(c.replace("\r", " ") for c in row) for row in cells]
    writer.writerows(kept)
    path = folder / "a.csv"
    path.write_bytes(buffer.getvalue().encode("utf-8"))
    _, rows, unread = _rows(path, folder, Hints("utf-8", ",", 1))
    assert not unread
    assert [r[1:] for r in rows] == [tuple(c or None for c in row) for row in kept]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([b"a", b",", b"\n", b"\r\n", b",\n", b";\r\n", b'"', "欠".encode(), b"\xe6", b"\t", b"|", "😀".encode()]), min_size=1, max_size=25), st.integers(1, 7))
def test_the_census_is_plain_counting_wherever_the_chunks_are_cut(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], size: int) -> None:
    path, data = tmp_path_factory.mktemp("census") / "a.csv", b"".join(parts)
    path.write_bytes(data)
    before, detect.CHUNK = detect.CHUNK, size
    try:
        seen = detect.passport(path)
    finally:
        detect.CHUNK = before
    census = seen.census
    assert census == detect.census(path)
    assert (census.line_ends, census.quotes, census.lines) == (data.count(b"\n"), data.count(b'"'), data.count(b"\n") + (not data.endswith(b"\n")))
    for mark in detect.DELIMITERS:
        octet = mark.encode()
        assert census.delimiters[mark] == data.count(octet)
        assert census.open_ended[mark] == data.count(octet + b"\n") + data.count(octet + b"\r\n")
    try:
        data.decode("utf-8")
        valid = True
    except UnicodeDecodeError:
        valid = False
    assert seen.utf8 == valid
