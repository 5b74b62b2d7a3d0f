"""Any file becomes rows: the right encoding, delimiter, header and cells, each row with its line - or a clear refusal."""

from __future__ import annotations

import csv
import io
import json
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
from analyzer.sources import Hints, detect, discover, documents, markup, open_sources, stage
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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030"])
def test_encodings(encoding: str, write: Write, tmp_path: Path) -> None:
    source, rows, unread = _rows(write("a.csv", TABLE, encoding), tmp_path)
    assert source.columns == ("案件编号", "通话时间", "催记内容")
    assert [r[3] for r in rows] == ["致电本人，承诺周五还款", "龘龘无人接听"]
    assert not unread and source.header_row == 1


def test_big5(write: Write, tmp_path: Path) -> None:
    source, rows, _ = _rows(write("a.csv", "案件編號,備註\nK1,致電本人無人接聽請轉告回電\n", "big5"), tmp_path)
    assert source.encoding == "big5" and not source.certain
    assert rows == [(2, "K1", "致電本人無人接聽請轉告回電")]


def test_the_encoding_is_judged_where_the_text_is_no_longer_ascii(write: Write, tmp_path: Path) -> None:
    """However far down that is, and wherever the chunks are cut."""
    for plain in (60_000, detect.CHUNK // 21 - 1, detect.CHUNK // 21):
        lines = ["case_id,note", *(f"K{i:06},no answer  " for i in range(plain)), "K7,致电本人无人接听", "K8,承诺周五还款"]
        data = "".join(line + "\r\n" for line in lines).encode("gb18030")
        source, rows, unread = _rows(write("a.csv", data), tmp_path)
        assert (source.encoding, source.certain) == ("gb18030", False)
        assert len(rows) == plain + 2 and not unread and rows[-2][1:] == ("K7", "致电本人无人接听")


@pytest.mark.parametrize("text", ["喆", "𠮷", "〇", "㐀", "王喆", "堃\n2,喆\n3,珺", "致电本人\n2,𠮷"])
def test_rare_characters_are_chinese(text: str, write: Write, tmp_path: Path) -> None:
    source, rows, unread = _rows(write("a.csv", f"id,name\n1,{text}\n", "gb18030"), tmp_path)
    assert source.encoding == "gb18030" and not unread
    assert [r[2] for r in rows] == [line.rsplit(",", 1)[-1] for line in text.split("\n")]


@pytest.mark.parametrize("text", ["café", "naïve", "Müller", "Größe", "l’été", "Müller\n2,Größe", "«Ñandú»", "Straße\n2,coöperatie\n3,señor"])
def test_accented_letters_are_western(text: str, write: Write, tmp_path: Path) -> None:
    source, rows, _ = _rows(write("a.csv", f"id,name\n1,{text}\n", "cp1252"), tmp_path)
    assert source.encoding == "cp1252" and rows[0][2] == text.split("\n")[0]


def test_big5_of_hong_kong(write: Write, tmp_path: Path) -> None:
    source, rows, unread = _rows(write("a.csv", "案件編號,備註\nK1,佢話聽日還款，唔喺屋企，仲話啲錢未到\nK2,致電本人無人接聽\n", "big5hkscs"), tmp_path)
    assert source.encoding == "big5hkscs" and not unread
    assert [r[2] for r in rows] == ["佢話聽日還款，唔喺屋企，仲話啲錢未到", "致電本人無人接聽"]


def test_a_named_encoding_is_read_with_all_of_its_family(write: Write, tmp_path: Path) -> None:
    _, rows, unread = _rows(write("a.csv", "案件编号,备注\nK1,𠮷先生——还款\n", "gb18030"), tmp_path, Hints("gb2312"))
    assert rows == [(2, "K1", "𠮷先生——还款")] and not unread


def test_utf_16_without_a_mark_may_hold_characters_that_end_in_zero(write: Write, tmp_path: Path) -> None:
    text = "案件编号,备注\nK0001,一月一日一次 09:00\nK0002,无\n"
    for encoding in ("utf-16-le", "utf-16-be"):
        source, rows, _ = _rows(write("a.csv", text, encoding), tmp_path)
        assert source.encoding == encoding and rows == [(2, "K0001", "一月一日一次 09:00"), (3, "K0002", "无")]


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


def test_carriage_returns_alone_around_quoted_line_feeds(write: Write, tmp_path: Path) -> None:
    """As Excel on an old Macintosh wrote them. The quoted line end counts as a line."""
    _, rows, _ = _rows(write("a.csv", 'case_id,note\rK1,"two\nlines"\rK2,b\r'), tmp_path)
    assert rows == [(2, "K1", "two\nlines"), (4, "K2", "b")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_stray_carriage_return_ends_a_row_or_is_part_of_its_cell(end: str, write: Write, tmp_path: Path) -> None:
    """Whichever keeps the width; if neither does, the line is rejected. A row that it ends has a number of its own."""
    text = end.join(["case_id,note", "K2,b\rK3,c", "", "K4,one\rtwo", 'K5,"x\ry"', "K6,a\rK7", "K8,z\r\rK9,y", "K10,last", ""])
    _, rows, unread = _rows(write("a.csv", text), tmp_path)
    assert rows == [
        (2, "K2", "b"), (3, "K3", "c"), (5, "K4", "one\rtwo"), (6, "K5", "x\ry"), (7, "K6", "a\rK7"),
        (8, "K8", "z"), (10, "K9", "y"), (11, "K10", "last"),
    ]  # fmt: skip
    assert not unread
    _, rows, unread = _rows(write("b.csv", end.join(["case_id,note", "K1,a,b\rK2,c", "K3,d", ""])), tmp_path)
    assert rows == [(3, "K3", "d")] and unread == [(2, "reject.too_many")]


def test_a_stray_carriage_return_in_the_smallest_file(write: Write, tmp_path: Path) -> None:
    source, rows, unread = _rows(write("a.csv", b"case_no,time\nA2,b\rA3,c\n\n"), tmp_path)
    assert source.columns == ("case_no", "time") and rows == [(2, "A2", "b"), (3, "A3", "c")] and not unread
    assert source.sample == (("A2", "b"), ("A3", "c"))


def test_a_carriage_return_above_and_in_the_header_ends_no_row(write: Write, tmp_path: Path) -> None:
    source, rows, unread = _rows(write("a.csv", "催收记录\r2026,,\n案件编号,通话\r时间,催记内容\nK1,2026-03-01,好\n"), tmp_path)
    assert (source.header_row, source.columns) == (2, ("案件编号", "通话 时间", "催记内容"))
    assert rows == [(3, "K1", "2026-03-01", "好")] and not unread


def test_a_header_of_several_lines_below_a_title_of_several_lines(write: Write, tmp_path: Path) -> None:
    source, rows, unread = _rows(write("a.csv", '"催收记录\n三月",,\n案件编号,"通话\n时间",催记内容\nK1,2026-03-01,好\n'), tmp_path)
    assert (source.header_row, source.columns) == (4, ("案件编号", "通话 时间", "催记内容"))
    assert rows == [(5, "K1", "2026-03-01", "好")] and not unread


def test_quotes_that_hold_no_record_together_cost_no_line(write: Write, tmp_path: Path) -> None:
    """A quote inside a cell opens nothing; one that opens a cell and closes nowhere costs its line."""
    _, rows, unread = _rows(write("a.csv", 'case_id,note\nK1,x"a\nb,"c"\n\nK2,5" pipe\nK3,"open\nK4,x"y\nK5,z\n'), tmp_path)
    assert rows == [(2, "K1", 'x"a'), (3, "b", "c"), (5, "K2", '5" pipe'), (7, "K4", 'x"y'), (8, "K5", "z")]
    assert unread == [(6, "reject.open_quote")]


def test_a_few_zero_bytes_are_left_out(write: Write, tmp_path: Path) -> None:
    for data in (b"case_id,note\nK1,a\x00b\nK2,c\n", b"\x00case_id,note\nK1,ab\nK2,c\n\x00\x00", "case_id,note\nK1,a\x00b\nK2,c\n".encode("utf-16")):
        _, rows, unread = _rows(write("a.csv", data), tmp_path)
        assert rows == [(2, "K1", "ab"), (3, "K2", "c")] and not unread
    lines = "case_id,note\n" + "K1,没有问题\n" * 2000
    source, rows, unread = _rows(write("a.csv", lines.encode() + b"K2,x" + b"\x00" * 20 + b"\nK3,y\n" + b"\x00" * 5), tmp_path)
    assert (source.encoding, source.certain) == ("utf-8", True)
    assert len(rows) == 2002 and rows[-2:] == [(2002, "K2", "x"), (2003, "K3", "y")] and not unread
    source, rows, _ = _rows(write("a.csv", lines.encode("gb18030") + b"K2,\x00x\n"), tmp_path)
    assert source.encoding == "gb18030" and rows[-1] == (2002, "K2", "x")
    with pytest.raises(InputError) as caught:
        open_sources(write("a.csv", lines.encode() + b"\x00" * 200), is_known_header)
    assert caught.value.key == "input.binary"


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
        ("a.xls", b"<html><body><p>session expired, log in again</p></body></html>", "input.html"),
        ("a.xls", b"<?xml version='1.0'?><rss><item>1</item></rss>", "input.html"),
        ("a.json", b"[1, 2, 3]", "input.json_array"),
        ("a.json", b'[["case_id", "note"], ["K1", "x"]]', "input.json_array"),
        ("a.json", b'[{"a": 1},\n{"a": 2},\n{"a": ', "input.json_damaged"),
        ("a.json", b'{\n"a": 1\n}\n{\n"a" 2\n}\n', "input.json_damaged"),
        ("a.json", b"[" * 100_000, "input.json_damaged"),
        ("a.json", b"{}", "input.json"),
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


ARRAY = '[{"case_id": "K1", "note": "他说“好”", "n": 1.5},\n {"case_id": "K2", "tags": ["a", {"b": 1}]}, null,\n {"case_id": "K3", "late": true}]'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "gb18030"])
@pytest.mark.parametrize("around", ["%s", '{"code": 0, "data": %s, "total": 3}', '{"code": 0, "data": {"page": 1, "list": %s}}'])
def test_a_json_array_is_a_table(around: str, encoding: str, write: Write, tmp_path: Path) -> None:
    """Each object is a row and its place in the array the number; what is no object is rejected."""
    source, rows, unread = _rows(write("a.json", around % ARRAY, encoding), tmp_path)
    assert source.kind == "json" and source.columns == ("case_id", "note", "n", "tags", "late")
    assert source.sample[1] == ("K2", None, None, '["a",{"b":1}]', None)
    assert rows == [(1, "K1", "他说“好”", "1.5", None, None), (2, "K2", None, None, '["a",{"b":1}]', None), (4, "K3", None, None, None, "true")]
    assert unread == [(3, "reject.json")]
    assert not list(tmp_path.glob("*.jsonl"))


def test_json_objects_over_several_lines_are_rows(write: Write, tmp_path: Path) -> None:
    objects = [{"case_id": f"K{i}", "note": "a\nb", "agent": {"id": i}} for i in range(3)]
    text = "\n".join(json.dumps(row, indent=2) for row in objects)
    source, rows, unread = _rows(write("a.json", text), tmp_path)
    assert source.columns == ("case_id", "note", "agent.id") and not unread
    assert rows == [(i + 1, f"K{i}", "a\nb", str(i)) for i in range(3)]


def test_raw_line_ends_inside_json_strings_become_blanks(write: Write, tmp_path: Path) -> None:
    _, rows, unread = _rows(write("a.json", '[{"case_id": "K1", "note": "one\r\ntwo\tthree"},\r\n{"case_id": "K2", "note": "x"}]'), tmp_path)
    assert rows == [(1, "K1", "one two three"), (2, "K2", "x")] and not unread


def test_one_object_with_its_own_list_is_one_row(write: Write, tmp_path: Path) -> None:
    """An object around a list is a wrapper unless its own keys are the column names."""
    text = '{"case_id": "K1", "note": "x", "history": [{"at": 1}, {"at": 2}]}\n'
    for name in ("a.json", "a.jsonl"):
        _, rows, unread = _rows(write(name, text), tmp_path)
        assert rows == [(1, "K1", "x", '[{"at":1},{"at":2}]')] and not unread


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32", "gb18030"])
def test_objects_in_json_lines_are_opened_once(encoding: str, write: Write, tmp_path: Path) -> None:
    text = (
        '{"case_id": "K1", "contact": {"phone": "138", "home": {"city": "沪"}}, "a.b": 1}\n'
        'not json 欠款\n{"case_id": "K2", "contact": "张三", "a": {"b": 2}, "tags": ["急"]}\n'
    )
    source, rows, unread = _rows(write("a.jsonl", text, encoding), tmp_path)
    assert source.kind == "jsonl" and source.columns == ("case_id", "contact", "contact.phone", "contact.home", "a.b", "a.b_2", "tags")
    assert rows[0] == (1, "K1", '{"phone":"138","home":{"city":"沪"}}', "138", '{"city":"沪"}', "1", None, None)
    assert rows[1] == (3, "K2", "张三", None, None, None, "2", '["急"]') and unread == [(2, "reject.json")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_is_nested_late_in_json_lines_is_not_lost(encoding: str, write: Write, tmp_path: Path) -> None:
    lines = ['{"case_id": "K1", "who": null, "text": "{"}'] * 2001 + ['{"case_id": "K2", "who": {"name": "n"}}', '{"case_id": "K3", "who": "plain", "e": {}}']
    source, rows, unread = _rows(write("a.jsonl", "\n".join(lines), encoding), tmp_path)
    assert source.columns == ("case_id", "who", "who.name", "text", "e") and len(rows) == 2003 and not unread
    assert rows[-2:] == [(2002, "K2", '{"name":"n"}', "n", None, None), (2003, "K3", "plain", None, None, "{}")]


def test_a_map_in_json_is_no_table_of_columns(write: Write, tmp_path: Path) -> None:
    rows = [{"case_id": f"K{i}", "by_day": {f"d{i}-{j}": j for j in range(60)}} for i in range(2)]
    source, found, _ = _rows(write("a.json", json.dumps(rows)), tmp_path)
    assert source.columns == ("case_id", "by_day") and len(found) == 2


def test_a_damaged_line_of_json_lines_costs_itself(write: Write, tmp_path: Path) -> None:
    """Bytes that are not UTF-8, and lines that end in different ways."""
    lines = [f'{{"case_id": "K{i}", "note": "没有问题"}}'.encode() for i in range(5)]
    data = lines[0] + b"\r\n" + lines[1] + b"\n" + b'{"case_id": "K9", "note": "\xff"}\n' + lines[2] + b"\r" + b"\n".join(lines[3:])
    _, rows, unread = _rows(write("a.jsonl", data), tmp_path)
    assert [r[0] for r in rows] == [1, 2, 4, 5, 6] and unread == [(3, "reject.encoding")]
    _, rows, unread = _rows(write("a.jsonl", b"\n".join([b"{broken", *lines])), tmp_path)
    assert len(rows) == 5 and unread == [(1, "reject.json")]


def test_damaged_bytes_in_a_json_array_cost_their_object(write: Write, tmp_path: Path) -> None:
    data = '[{"case_id": "K1", "note": "没有问题"},\n{"case_id": "K2", "note": "'.encode() + b'\xff"}\n,{"case_id": "K3"}]'
    _, rows, unread = _rows(write("a.json", data), tmp_path)
    assert [r[:2] for r in rows] == [(1, "K1"), (3, "K3")] and unread == [(2, "reject.encoding")]


def test_what_is_too_large_to_be_read_whole_says_so(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LARGEST", 20)
    monkeypatch.setattr(markup, "LARGEST", 20)
    for name, text, key in (("a.json", ARRAY, "input.json_large"), ("a.xls", PAGE, "input.markup_large")):
        with pytest.raises(InputError) as caught:
            open_sources(write(name, text), is_known_header)
        assert caught.value.key == key and name in caught.value.text("zh")
    assert len(_rows(write("a.json", '{"case_id": "K1"}\n{"case_id": "K2"}\n'), tmp_path)[1]) == 2


PAGE = """<html><head><meta http-equiv="Content-Type" content="text/html; charset=%s"><style>td {mso-number-format:'@'}</style></head>
<body><table><tr><td>催收记录导出</td></tr></table>
<table border=1><tr><td colspan=4>三月 &amp; 四月</td></tr>
<tr><th>案件编号</th><th>通话时间</th><th>坐席工号</th><th>催记内容</th></tr>
<tr><td rowspan="2">K1</td><td>2026-03-01 09:00:00</td><td colspan=2>A1<td>多一格</tr>
<tr><td>2026-03-01 10:00:00<td>&nbsp;<td>致电本人，<b>承诺</b>
   还款<br>&lt;周五&gt;&nbsp;前</tr>
<tr></tr><tr><td>K2</td><td>2026-03-01 11:00:00</td><td></td><td>喆<script>var x = "<td>";</script></td></tr>
</table></body></html>"""


@pytest.mark.parametrize(
    ("encoding", "stated", "said"),
    [
        ("utf-8", "utf-8", "utf-8"), ("gb18030", "gb2312", "gb2312"), ("gb18030", "", "gb18030"), ("gb18030", "iso-8859-1", "gb18030"),
        ("utf-8", "gb2312", "utf-8"), ("utf-8", "none such", "utf-8"), ("utf-16", "utf-8", "utf-16"), ("utf-8-sig", "gbk", "utf-8-sig"),
    ],
)  # fmt: skip
def test_a_page_saved_as_a_workbook_is_its_largest_table(encoding: str, stated: str, said: str, write: Write, tmp_path: Path) -> None:
    source, rows, unread = _rows(write("a.xls", PAGE % stated, encoding), tmp_path)
    assert (source.kind, source.encoding, source.header_row) == ("html", said, 2)
    assert source.columns == ("案件编号", "通话时间", "坐席工号", "催记内容", "column_5") and not unread
    assert rows == [
        (3, "K1", "2026-03-01 09:00:00", "A1", None, "多一格"),
        (4, "K1", "2026-03-01 10:00:00", None, "致电本人，承诺 还款\n<周五> 前", None),
        (6, "K2", "2026-03-01 11:00:00", None, "喆", None),
    ]


def test_a_page_that_begins_its_table_anew_is_read_to_the_end(write: Write, tmp_path: Path) -> None:
    head = "<tr><td>案件编号</td><td>催记内容</td></tr>"
    text = "".join(f"<table><tr><td>第 {n} 页</td></tr>{head}<tr><td>K{n}</td><td>a</td></tr></table>" for n in range(3))
    source, rows, _ = _rows(write("a.xls", "<meta charset=utf-8>" + text + "<table><tr><td>共</td><td>3</td></tr></table>"), tmp_path)
    assert source.header_row == 2 and rows == [(3, "K0", "a"), (6, "K1", "a"), (9, "K2", "a")]


def test_damaged_bytes_in_a_page_cost_their_row(write: Write, tmp_path: Path) -> None:
    data = "<table><tr><td>案件编号<td>备注<tr><td>K1<td>没有问题<tr><td>K2<td>".encode() + b"\xff<tr><td>K3<td>x</table>"
    _, rows, unread = _rows(write("a.xls", data), tmp_path, Hints("utf-8"))
    assert [r[:2] for r in rows] == [(2, "K1"), (4, "K3")] and unread == [(3, "reject.encoding")]


@pytest.mark.parametrize("cell", ["<td colspan=999999 rowspan=999999>", "<td rowspan=0 colspan=0>", "<![if x]><td><![endif]>", "<td colspan=-1><!-- <td> -->"])
def test_odd_spans_are_bounded(cell: str, write: Write, tmp_path: Path) -> None:
    _, rows, unread = _rows(write("a.xls", f"<table>{cell}x<td>y<tr><td>z<tr><td>w</table>"), tmp_path, Hints(header=0))
    assert len(rows) == 3 and not unread


SPREADSHEET = """<?xml version="1.0" encoding="%s"?>
<?mso-application progid="Excel.Sheet"?>
<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet">
 <Worksheet ss:Name="说明"><Table></Table></Worksheet>
 <Worksheet ss:Name="通话"><Table>
  <Row ss:Index="2"><Cell><Data ss:Type="String">案件编号</Data></Cell><Cell><Data ss:Type="String">通话时间</Data></Cell><Cell><Data ss:Type="String">时长</Data></Cell></Row>
  <Row><Cell ss:MergeDown="1"><Data ss:Type="Number">12345678901</Data></Cell><Cell><Data ss:Type="DateTime">2026-03-01T22:05:07.000</Data></Cell><Cell><Data ss:Type="Number">1.5</Data></Cell></Row>
  <Row ss:Index="4" ss:Span="2"><Cell ss:Index="2"><Data ss:Type="DateTime">2026-03-02T00:00:00.000</Data></Cell><Cell><Data ss:Type="DateTime">1899-12-31T00:03:25.000</Data><Comment><Data>no</Data></Comment></Cell></Row>
  <Row><Cell><Data ss:Type="Number">1.2E3</Data></Cell><Cell ss:MergeAcross="1"><Data ss:Type="String">a&amp;b&#10;<B xmlns="http://www.w3.org/TR/REC-html40">c</B></Data></Cell></Row>
 </Table></Worksheet>
</Workbook>"""


@pytest.mark.parametrize(("encoding", "stated"), [("utf-8", "UTF-8"), ("gb18030", "GB2312"), ("utf-16", "UTF-16"), ("utf-8-sig", "utf-8")])
def test_a_workbook_in_xml_is_read_by_its_sheets(encoding: str, stated: str, write: Write, tmp_path: Path) -> None:
    source, rows, unread = _rows(write("a.xls", SPREADSHEET % stated, encoding), tmp_path)
    assert (source.kind, source.sheet, source.header_row, source.columns) == ("xml", "通话", 2, ("案件编号", "通话时间", "时长"))
    assert rows == [
        (3, "12345678901", "2026-03-01 22:05:07", "1.5"), (4, "12345678901", "2026-03-02", "00:03:25"), (7, "1200", "a&b\nc", None),
    ]  # fmt: skip
    assert not unread


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("<?mso", "<!DOCTYPE Workbook [<!ENTITY a 'aaaa'>]>\n<?mso", "input.doctype"),
        ("</Workbook>", "", "input.workbook"),
        ('ss:Index="2"><Data', 'ss:Index="9999999"><Data', "input.markup_large"),
        ("<Row", "<Nothing", "input.workbook"),
    ],
)
def test_a_workbook_in_xml_that_is_not_read(old: str, new: str, key: str, write: Write) -> None:
    with pytest.raises(InputError) as caught:
        open_sources(write("a.xls", (SPREADSHEET % "utf-8").replace(old, new)), is_known_header)
    assert caught.value.key == key and "a.xls" in caught.value.text("zh")


def test_a_text_that_begins_with_a_bracket_need_not_be_json(write: Write, tmp_path: Path) -> None:
    source, rows, _ = _rows(write("a.txt", "[case_id]\t[note]\nK1\tx\n"), tmp_path)
    assert source.kind == "csv" and rows == [(2, "K1", "x")]
    for name in ("a.txt", "a"):
        assert open_sources(write(name, ARRAY), is_known_header)[0].kind == "json"


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
    """Quotes, commas, line ends, blanks: the cells come back, an empty one as None; no row is lost but those with nothing in any cell."""
    folder = tmp_path_factory.mktemp("p")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["case_id", "note", "channel"])
    writer.writerows(cells)
    path = folder / "a.csv"
    path.write_bytes(buffer.getvalue().encode("utf-8"))
    _, rows, unread = _rows(path, folder, Hints("utf-8", ",", 1))
    assert not unread
    assert [r[1:] for r in rows] == [tuple(c or None for c in row) for row in cells if any(c.strip(" \t\u3000\u00a0\x1a") for c in row)]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([b"a", b",", b"\n", b"\r\n", b"\r", b"\x00", b"\xc7\xb7", b",\n", b";\r\n", b'"', "欠".encode(), b"\xe6", b"\t", b"|", "😀".encode()]), min_size=1, max_size=25), st.integers(1, 7))
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
    assert census.bare_returns == data.count(b"\r") - data.count(b"\r\n") and seen.nuls == data.count(0)
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
