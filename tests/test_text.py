"""The words: a map back to the original, stages that refuse for a reason, and false alarms counted on real messages."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.scan import Message, judge_messages
from analyzer.text import Lexicons, Words, find
from analyzer.text.normalise import normal_forms, normalise
from analyzer.text.safe_regex import necessary
from tests.conftest import SHARED

MOST_FLAGGED = 90


@pytest.mark.parametrize(
    ("text", "normal"),
    [("ＡＢＣ１２", "abc12"), ("還錢，騙子", "还钱,骗子"), ("弄 死 你", "弄死你"), ("弄\u200b死*你", "弄死你"), ("don’t pay", "dont pay"), ("a - b", "a - b"), ("好 的，再 见", "好的,再见"), ("第 1 期", "第 1 期"), ("弄死亻尔", "弄死你"), ("🐶东西", "狗东西"), ("滚滚滚滚出去", "滚出去"), ("fuuuuck", "fuck"), ("哈哈", "哈哈"), ("sc@mbag", "scambag"), ("id10t", "id10t"), ("b1tch 100", "bitch 100"), ("b1tch 1000次", "bitch 1000次"), ("家门口", "家门口")],
)
def test_normal_forms(text: str, normal: str) -> None:
    assert normal_forms([text]) == [normal]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet=st.sampled_from("弄死你亻尔 *\u200bＡaaé@還😀老·赖,，。'x\n"), max_size=20), min_size=1, max_size=6))
def test_each_normal_character_knows_its_origin(texts: list[str]) -> None:
    normal = normalise(texts)
    original = "\x00".join(texts)
    assert len(normal.points) == len(normal.origin) == len(normal.last)
    assert (normal.last >= normal.origin).all() and (normal.origin[1:] > normal.last[:-1]).all()
    for point, origin in zip(normal.points, normal.origin, strict=True):
        assert (point == 0) == (original[origin] == "\x00")
    assert [normal.text()[s:].split("\x00")[0] for s in normal.starts] == normal.text().split("\x00")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["弄死你", "弄 死 你", "你个老賴", "打断你的腿", "好的", "，", "。", "😀", " ", "you scumbag", "拨打人工"]), min_size=1, max_size=8))
def test_offsets_point_into_the_text_as_logged(lexicons: Lexicons, parts: list[str]) -> None:
    text = "".join(parts)
    for signal in find(["前文", text, "后文"], lexicons):
        assert signal.text == 1 and text[signal.start : signal.end] == signal.words


@pytest.mark.parametrize(
    ("text", "concept", "counts"),
    [
        ("再不还就弄死你", "violence", True), ("客户称要弄死你们", "violence", False), ("严禁说弄死你这类话", "violence", False), ("恨不得弄死你", "violence", True),
        ("培训材料：弄死你属于威胁", "violence", False), ("请拨打人工客服", "violence", None), ("Pay now or we will break your legs", "violence", True),
        ("严禁使用“你等着，老子找人打断你的腿”之类的话术", "violence", False), ("客户骂：“你再来。我打断你的腿。滚！”已安抚", "violence", False),
        ("客户说“没钱，随便”，我回他“再不还打断你的腿”", "violence", True), ("客户说“没钱”。再不还打断你的腿", "violence", True),
        ("She told me \"ring again and you will see. We will break your legs.\" Noted", "violence", False), ("I said 'pay now. We will break your legs'", "violence", True),
        ("请问之前有没有催收员说过，要打断你的腿", "violence", False), ("Has any collector said they will break your legs?", "violence", False),
        ("信不信我打断你的腿？", "violence", True), ("若有人以我司名义上门，扬言打断你的腿，请报警", "violence", False), ("如果再不还，就打断你的腿", "violence", True),
        ("don't say \"pay, or we will break your legs\"", "violence", False), ("严禁说“没钱，打断你的腿", "violence", True),
    ],
)  # fmt: skip
def test_context(text: str, concept: str, counts: bool | None, lexicons: Lexicons) -> None:
    found = [s for s in find([text], lexicons) if s.concept == concept]
    assert (any(s.counts for s in found) if found else None) == counts, found


def test_a_quotation_ends_with_its_text(lexicons: Lexicons) -> None:
    told = {s.text: s.counts for s in find(["严禁说“没钱", "好，打断你的腿”"], lexicons) if s.concept == "violence"}
    assert told == {1: True}


def test_what_only_matters_to_others_is_skipped_for_those_who_owe(lexicons: Lexicons) -> None:
    import numpy as np

    texts = ["您的贷款逾期未还", "他的贷款逾期未还"]
    found = find(texts, lexicons, np.array([True, False]))
    assert {s.text for s in found if s.concept == "debt_fact"} == {1}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared measuring data are not here")
def test_false_alarms_on_ordinary_messages(words: Words) -> None:
    """A bare list of insults fires 60 times per 10,000; ours must stay far below."""
    with (SHARED / "ordinary_sms_zh.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    told = judge_messages([Message(None, text, "zh", "borrower", None) for text in texts], words.lexicons, words.reader)
    flagged = 10_000 * sum(bool(v.labels) for v in told) / len(texts)
    # The aim is 20; what has been reached is in docs/words-report.md, and it must not get worse.
    assert len(texts) > 18_000 and flagged < MOST_FLAGGED


@pytest.mark.parametrize(("expression", "words"), [
    ("打(三|五)通", [("打",), ("三", "五"), ("通",)]), ("第\\d+天", [("第",), ("天",)]), ("[你您]家", [("你", "您"), ("家",)]),
    ("(打|call)电话", [("电话",)]), ("(催?收|收账)", [("收", "收账")]), ("打?", []), ("[^打]", []), ("(?:不(?!得)|勿)打{1,3}", [("不", "勿"), ("打",)]), ("sms|短信", []),
])  # fmt: skip
def test_what_an_expression_cannot_do_without(expression: str, words: list[tuple[str, ...]]) -> None:
    assert sorted(necessary(expression)) == sorted(words)


def test_every_match_of_an_expression_of_the_lexicons_holds_its_necessary_words(lexicons: Lexicons) -> None:
    """Over the lexicons' own sentences: what is left out for want of a word would not have matched."""
    sentences = normalise([text for item in lexicons.items for text in (*item.examples, *item.counterexamples)]).text().split("\x00")
    tried = 0
    for pattern in (p for item in lexicons.items for p in item.patterns if p.regex):
        needed = necessary(pattern.regex.pattern)
        for sentence in sentences:
            if needed and pattern.regex.search(sentence):
                tried += 1
                assert all(any(word in sentence for word in words) for words in needed), pattern.name
    assert tried > 100
