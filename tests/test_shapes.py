"""Texts that differ in figures that change nothing are read once, and what is found is what reading each of them finds."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer import store
from analyzer.intake import Settings, input_table
from analyzer.text import Read, Words, read_here, scan_contacts, store_signals
from analyzer.text import shapes as shapes_module
from analyzer.text.normalise import normal_forms, normalise
from analyzer.text.shapes import Shapes, shape_of
from analyzer.text.signals import SIGNALS, TEXTS, signals_of
from tests.conftest import ROOT

LONG = ("CN_RESIDENT_ID", "BANK_CARD")
PARTS = ["欠", "8423", "元", "3", "月", "12", "日", "逾期", "45", "天", ".", ",", "编号", "流水", "余", "１２", "３", "次", "打了", "7", "2026", "$", "块", "\x00", "号", " ", "弄死你", "😀", "110101199003078515", "13812345678"]


def batch_of(texts: Sequence[str], owes: Sequence[bool | None] | None = None) -> pa.RecordBatch:
    count = len(texts)
    return pa.record_batch([pa.array(range(100, 100 + count), pa.int64()), pa.array(texts, pa.string()), pa.array(owes or [True] * count, pa.bool_()), pa.array([None] * count, pa.bool_()), pa.array([False] * count, pa.bool_())], schema=TEXTS)


def spread(read: Read) -> list[tuple[object, ...]]:
    """(seq, all but the words) of each signal of each text."""
    of: dict[int, list[int]] = {}
    for row in read.shapes.to_pylist():
        of.setdefault(row["shape"], []).append(row["seq"])
    return sorted((seq, *(v for k, v in row.items() if k not in ("seq", "words"))) for row in read.signals.to_pylist() for seq in of[row["seq"]])


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("欠8,423.50元", "欠1,111.11元"), ("3月12日前", "1月11日前"), ("逾期45天", "逾期11天"), ("编号4711", "编号1111"), ("余5678，", "余1111,"), ("欠３２元", "欠11元"),
        ("$1,200.00 now", "$1,111.11 now"), ("打了30次", "打了30次"), ("余3次", "余3次"), ("拨打12315投诉", "拨打12315投诉"), ("12345678元", "12345678元"), ("电话13812345678", "电话13812345678"),
        ("24小时", "24小时"), ("会2元", "会1元"), ("5.8折9元", "5.8折1元"),
    ],
)  # fmt: skip
def test_figures_that_change_nothing_are_alike(text: str, normal: str) -> None:
    assert normal_forms([text]) == [normal]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.sampled_from(PARTS), max_size=8).map("".join), min_size=1, max_size=5), st.sampled_from([(), LONG]))
def test_a_text_and_its_shape_have_one_normal_form(texts: list[str], entities: tuple[str, ...]) -> None:
    before = pa.array(["1", *texts, "元"], pa.string()).slice(1, len(texts))
    shaped = shape_of(before, entities).to_pylist()
    assert before.to_pylist() == texts
    one, other = normalise(texts), normalise(shaped)
    assert one.text() == other.text() and np.array_equal(one.origin, other.origin) and np.array_equal(one.last, other.last)
    assert [len(t) for t in texts] == [len(s) for s in shaped]


def test_texts_of_one_shape_are_read_once_and_others_not() -> None:
    texts = ["欠100元", "欠250元", "欠1000元", "欠100元", "欠100元吧"]
    shapes = Shapes(())
    asked = list(shapes.new([batch_of(texts, [True, True, True, False, None])]))
    assert [b.column(1).to_pylist() for b in asked] == [["欠111元", "欠1111元", "欠111元", "欠111元吧"]]
    assert list(shapes.new([batch_of(texts[:2]), batch_of([])])) == []
    told = shapes.read(SIGNALS.empty_table()).shapes.column(1).to_pylist()
    assert told[0] == told[1] and len(set(told)) == 4


@pytest.mark.parametrize("known", [1_000_000, 3])
def test_reading_by_shape_finds_what_reading_each_finds(words: Words, known: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes_module, "KNOWN", known)
    monkeypatch.setattr(shapes_module, "BATCH", 7)
    patterns = ["再不还{0}元就弄死你", "你个老赖欠{0}元，{1}天了", "{1}号前把{0}元转到我个人微信", "告知其儿子逾期{1}天欠{0}元", "一天打你{1}0个电话", "您好，应还{0}元，{1}日到期", "编号{0}，{1}月底前回电", "身份证11010119900307851{1}", "证件 110101 19900307 851{1}号"]
    texts = [p.format(a, b) for p in patterns for a in ("8423", "12.50", "1,200") for b in (3, 5, 12)]
    owes = [number % 3 != 0 for number in range(len(texts))]
    held = Words(words.lexicons, words.reader, frozenset(LONG))
    batches = [batch_of(texts, owes).slice(start, 20) for start in range(0, len(texts), 20)]
    each = pa.Table.from_batches([signals_of(batch.slice(n, 1), held) for batch in batches for n in range(batch.num_rows)])
    alone = sorted((row.pop("seq"), *(v for k, v in row.items() if k != "words")) for row in each.to_pylist())
    read = read_here(batches, held)
    assert spread(read) == alone and len(alone) > 60
    assert len({row[0] for row in alone if "CN_RESIDENT_ID" in row}) == 6
    assert len(set(read.shapes.column(1).to_pylist())) < len(texts) or known == 3


def test_the_same_text_written_and_noted_is_read_twice() -> None:
    batch = batch_of(["欠8元", "欠9元", "欠7元"])
    on_business = pa.record_batch([*batch.columns[:4], pa.array([True, False, False])], schema=TEXTS)
    shapes = Shapes(())
    assert [row["on_business"] for part in shapes.new([on_business]) for row in part.to_pylist()] == [True, False]


def test_texts_that_were_read_are_let_go() -> None:
    """Which text has which shape is kept to the end; not with it the texts, of which a column of the database's batch would keep all."""
    with duckdb.connect() as con:
        given = con.sql("SELECT i AS seq, '欠' || i || '元' AS text, true AS owes, NULL::BOOLEAN AS knows, false AS on_business FROM range(100) t(i)").to_arrow_reader(100).read_next_batch()
    shapes = Shapes(())
    list(shapes.new([given]))
    kept = shapes.read(pa.Table.from_batches([], SIGNALS)).shapes
    assert kept.num_rows == 100
    assert kept.column(0).chunk(0).buffers()[1].address != given.column(0).buffers()[1].address


def test_names_are_no_words_and_words_for_people_are_no_names(words: Words) -> None:
    con = duckdb.connect(":memory:")
    store.create_tables(con)
    given = [
        ("c1", "王家破", "催收王家破，再不还就弄死你"), ("c2", "客户", "客户称要弄死你们"), ("c3", "李四", "李四您好，应还8423元"),
        ("c4", "赵六", "赵六您好，应还9423元"), ("c5", None, "张三您好"), ("c6", "John Smith", "John Smith owes"), ("c7", "师傅", "师傅说弄死你"),
    ]  # fmt: skip
    for number, (case, name, text) in enumerate(given):
        con.execute(f"INSERT INTO {input_table(con, 'contacts')} (batch_id, row_no, contact_id, case_id, relation, text) VALUES (1, ?, ?, ?, 'self', ?)", [number, case, case, text])
        con.execute(f"INSERT INTO {input_table(con, 'cases')} (batch_id, row_no, case_id, debtor_name) VALUES (1, ?, ?, ?)", [number, case, name])
    con.execute(f"INSERT INTO {input_table(con, 'persons')} (batch_id, row_no, person_id, case_id, relation, name) VALUES (1, 1, 'p', 'c5', 'self', '张三')")
    store.derive(con, Settings(), {1: "Asia/Shanghai"})
    told = dict(con.execute(f"SELECT c.contact_id, s.text FROM ({store.spoken_to(con)}) s JOIN contacts c USING (seq)").fetchall())
    hidden = store.HIDDEN
    assert told == {
        "c1": f"催收{hidden * 3}，再不还就弄死你", "c2": "客户称要弄死你们", "c3": f"{hidden * 2}您好，应还8423元", "c4": f"{hidden * 2}您好，应还9423元",
        "c5": f"{hidden * 2}您好", "c6": "John Smith owes", "c7": "师傅说弄死你",
    }  # fmt: skip
    read = scan_contacts(con, words)
    assert len(set(read.shapes.column(1).to_pylist())) == len(given) - 1
    store_signals(con, read)
    found = con.execute("SELECT c.contact_id, s.words, substring(c.text, s.start_at + 1, s.end_at - s.start_at) FROM signals s JOIN contacts c USING (seq)").fetchall()
    con.close()
    assert found and all(words == there for _, words, there in found) and "c1" in {contact for contact, *_ in found}


def test_what_hides_a_name_is_in_no_lexicon() -> None:
    assert not [path.name for path in (ROOT / "rules/lexicon").glob("*.yaml") if store.HIDDEN in path.read_text(encoding="utf-8").replace("一-龥", "")]


def test_the_words_told_are_those_of_each_text() -> None:
    con = duckdb.connect(":memory:")
    store.create_tables(con)
    for number, amount in enumerate(("100", "950")):
        con.execute(f"INSERT INTO {input_table(con, 'contacts')} (batch_id, row_no, contact_id, case_id, relation, text) VALUES (1, ?, ?, 'c', 'colleague', ?)", [number, amount, f"😀欠{amount}元"])
    store.derive(con, Settings(), {1: "Asia/Shanghai"})
    shapes = Shapes(())
    assert [b.num_rows for b in shapes.new(con.sql(store.spoken_to(con)).to_arrow_reader(1))] == [1]
    row = {"seq": 0, "concept": "c", "label": "l", "detail": "d", "start_at": 2, "end_at": 6, "words": "111元", "speaker": "collector", "negated": False, "counts": True, "confidence": 0.9, "why": "literal", "lexicon_version": "v"}
    store_signals(con, shapes.read(pa.Table.from_pylist([row, row | {"start_at": 1, "end_at": 2, "words": "欠"}], schema=SIGNALS)), 40)
    rows = con.execute("SELECT signal_id, contact_id, words FROM signals JOIN contacts USING (seq) ORDER BY signal_id").fetchall()
    con.close()
    assert rows == [(40, "100", "欠"), (41, "100", "100元"), (42, "950", "欠"), (43, "950", "950元")]
