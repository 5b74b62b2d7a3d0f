"""Who says it, patterns, personal data, the second reader, and the bench that puts them together."""

from __future__ import annotations

import json
import lzma
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits

from analyzer import evaluation, scan, store, training
from analyzer.errors import RuleErrors, UsageError
from analyzer.intake import Settings, input_table
from analyzer.text import Lexicons, TextReader, Words, find, kept_words, load_lexicons, reading, second_reader, segment, shapes
from analyzer.text.finder import Finder
from analyzer.text.lexicon import LABELS
from analyzer.text.normalise import normalise
from analyzer.text.personal_data import ENTITIES, LONGEST, candidates, find_personal_data
from analyzer.text.recognisers import is_card, is_resident_id
from analyzer.text.safe_regex import compile_safe
from analyzer.text.second_reader import ABOUT, OVERRULED, SPEAKS, Recipient, features, settle
from analyzer.text.second_reader import LONGEST as READ
from analyzer.text.signals import TEXTS
from tests.conftest import ROOT

THREAT = "弄死你"


@pytest.mark.parametrize(
    ("text", "speaker"),
    [
        ("坐席：您好。客户：再打来我弄死你。", "reported"), ("坐席：再不还弄死你。客户：好的。", "collector"),
        ("客户：没钱\n坐席：没钱也弄死你", "collector"), ("客户称没钱，说要弄死你们。", "reported"),
        ("客户称没钱。我说不还就弄死你。", "collector"), ("客户称没钱，我告知其不还就弄死你", "collector"),
        ("Agent: hello. Customer: I will break your legs.", "reported"), ("Customer said no money. I told him I will break your legs.", "collector"),
        ("通知客户:不还弄死你", "collector"),
    ],
)  # fmt: skip
def test_who_says_it(text: str, speaker: str, lexicons: Lexicons) -> None:
    found = [s for s in find([text], lexicons) if s.label == "threat_violence"]
    assert found and {s.speaker for s in found} == {speaker}, found
    assert any(s.counts for s in found) == (speaker == "collector")


LEXICON = """
id: {id}
version: '2026-11-24'
label: abuse
title: {{zh: 试, en: trial}}
patterns:
  p:
{pattern}
examples: [x]
counterexamples: [y]
"""


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        ("    all: [[甲字], [乙字]]", ["甲字在乙字前", "乙字，甲字乙字"], ["甲字，乙字", "甲字"]),
        ("    all: [[甲字], [乙字]]\n    within: sentence", ["甲字，乙字"], ["甲字。乙字"]),
        ("    all: [[甲字], [乙字]]\n    within: text", ["甲字。乙字"], ["甲字。丙字"]),
        ("    all: [[甲字], [乙字]]\n    near: 3", ["甲字三个字乙字", "甲字乙字"], ["甲字有四个字乙字"]),
        ("    all: [[甲字], [乙字]]\n    ordered: true", ["甲字与乙字"], ["乙字与甲字"]),
        ("    all: [[甲字]]\n    none: [[乙字]]", ["甲字"], ["甲字与乙字"]),
        ("    all: [[甲字]]\n    of: [[乙字], [丙字], [丁字]]\n    at_least: 2", ["甲字乙字丁字"], ["甲字乙字", "甲字乙字乙字"]),
        ("    all: [[甲字]]\n    place: {first: 1}", ["甲字。后句", "甲字"], ["前句。甲字", "前句。中句。甲字"]),
        ("    all: [[甲字]]\n    place: {last: 1}", ["前句。甲字", "前句。甲字。"], ["甲字。后句", "甲字。后句。末句"]),
        ("    all: [[甲字]]\n    regex: '\\d{3}元'", ["甲字100元"], ["甲字10元"]),
        ("    all: [[甲字]]\n    unless: '乙.丙'", ["甲字乙丙"], ["甲字乙与丙"]),
        ("    all: [[甲字]]", ["甲字"], ["不得甲字", "客户称甲字"]),
        ("    all: [[甲字]]\n    despite: [prohibition]", ["不得甲字"], ["客户称甲字"]),
        ("    all: [[甲字]]\n    said_by: anyone", ["客户称甲字"], ["不得甲字"]),
        ("    all: [[reg]]\n    none: [[bal]]", ["the reg", "reg of balance"], ["regarding", "greg", "reg bal"]),
    ],
)  # fmt: skip
def test_operators(tmp_path: Path, pattern: str, hits: list[str], misses: list[str]) -> None:
    (tmp_path / "_context.yaml").write_text((ROOT / "rules/lexicon/_context.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "trial.yaml").write_text(LEXICON.format(id="trial", pattern=pattern), encoding="utf-8")
    lexicons = load_lexicons(tmp_path)
    told = {s.text for s in find([*hits, *misses], lexicons) if s.counts}
    assert told == set(range(len(hits)))


@pytest.mark.parametrize("broken", ["    all: [[甲字], '@nobody']", "    all: [[甲]]\n    regex: '(a+)+'", "    all: [[甲]]\n    regex: '('", "    all: []", "    any: [[甲]]"])
def test_a_wrong_pattern_is_refused(tmp_path: Path, broken: str) -> None:
    (tmp_path / "_context.yaml").write_text((ROOT / "rules/lexicon/_context.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "trial.yaml").write_text(LEXICON.format(id="trial", pattern=broken), encoding="utf-8")
    with pytest.raises(RuleErrors):
        load_lexicons(tmp_path)


@pytest.mark.parametrize("text", ["(a*)*", "(a|b+)+c", "(?:x{2,}y?){3,}", r"(a)\1", "a" * 501, "a+b+c+d+e+"])
def test_expressions_that_could_run_for_ever_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"repeat|back|characters"):
        compile_safe(text)


def test_both_segmenters_cut_alike() -> None:
    rjieba = segment._fast()
    if rjieba is None:
        pytest.skip("rjieba is not installed")
    texts = [e.text for e in training.read_examples([ROOT / "tests/development/zh.jsonl"])]
    assert len(texts) > 400
    for text in texts:
        assert list(segment._tokenizer().cut(text, HMM=False)) == rjieba.cut(text, False)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from("拨打人工客服过去死活不接听逾期欠款ab1 +"), min_size=1, max_size=14))
def test_certain_borders_are_those_jieba_cuts(text: str) -> None:
    borders = {0}
    for word in segment._tokenizer().cut(text, HMM=False):
        borders.add(max(borders) + len(word))
    fast, segment._fast = segment._fast, lambda: None  # type: ignore[assignment]
    try:
        told = {at for at in range(len(text) + 1) if segment.is_border(text, at, 0, len(text))}
    finally:
        segment._fast = fast
        segment.forget()
    assert told == borders


@pytest.mark.parametrize(
    ("text", "entity", "words"),
    [
        ("身份证号110101199003078515请核对", "CN_RESIDENT_ID", "110101199003078515"), ("证件１１０１０１１９９００３０７８５１５", "CN_RESIDENT_ID", "１１０１０１１９９００３０７８５１５"),
        ("身份证110101 19900307 8515", "CN_RESIDENT_ID", "110101 19900307 8515"), ("身份证号110101199003078516", None, ""),
        ("打13800138000找我", "CN_MOBILE", "13800138000"), ("卡号6222 0212 3456 7895请还", None, ""), ("卡号4111 1111 1111 1111请还", "BANK_CARD", "4111 1111 1111 1111"),
        ("订单号4111111111111111已发货", None, ""), ("座机010-62345678", "CN_LANDLINE", "010-62345678"), ("护照E12345678", "PASSPORT", "E12345678"),
        ("通行证C12345678", "TRAVEL_PERMIT", "C12345678"), ("车牌京A12345停在门口", "CN_PLATE", "京A12345"), ("微信号abc_12345加我", "WECHAT", "abc_12345"),
        ("QQ：12345678", "QQ", "12345678"), ("邮箱zhang.san@example.com联系", "EMAIL", "zhang.san@example.com"), ("家住朝阳区建国路88号3栋201室", "CN_ADDRESS", None),
        ("尾号1234，卡号6217****1234", None, ""), ("工单20261124000012345", None, ""), ("SSN 123-45-6789", "US_SSN", "123-45-6789"), ("SSN 000-45-6789", None, ""),
        ("NI number AB 12 34 56 C", "UK_NINO", "AB 12 34 56 C"), ("call 415-555-0132", "EN_PHONE", "415-555-0132"), ("card 4111-1111-1111-1111", "BANK_CARD", "4111-1111-1111-1111"),
    ],
)  # fmt: skip
def test_personal_data(text: str, entity: str | None, words: str | None) -> None:
    found = find_personal_data([text])
    assert [f.entity for f in found] == ([entity] if entity else []), found
    if found and words is not None:
        assert text[found[0].start : found[0].end] == words
        assert found[0].recogniser and found[0].why and 0 < found[0].score <= 1


def test_names_of_the_case_are_found_where_they_stand() -> None:
    found = find_personal_data(["转告王小明回电", "王小明"], names=[["王小明"], []])
    assert [(f.text, f.entity, f.start, f.end) for f in found] == [(0, "PERSON", 2, 5)]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**17 - 1), st.integers(0, 10))
def test_checksums_accept_one_last_digit(front: int, shift: int) -> None:
    digits = f"{front:017d}"
    assert sum(is_resident_id("110101" + "19900307" + digits[:3] + last) for last in "0123456789X") == 1
    accepted = [is_card("4" + digits[:14] + str((last + shift) % 10)) for last in range(10)]
    assert sum(accepted) == 1 or set(digits[:14]) == {"4"}


def test_the_prefilter_lets_every_identifier_pass() -> None:
    examples = training.read_examples([ROOT / "tests/development" / f"{lang}.jsonl" for lang in ("zh", "en")])
    texts = [e.text for e in examples]
    kept = set(candidates(pa.array(texts)))
    import analyzer.text.personal_data as personal

    for number, text in enumerate(texts):
        if number not in kept:
            assert not personal._one(number, text, examples[number].lang, (), ENTITIES), text


def judge(rows: list[dict[str, object]], words: Words, why_not: bool = False) -> list[scan.Verdict]:
    messages = list(scan.read_messages(json.dumps(r).encode() for r in rows))
    return scan.judge_messages(messages, words.lexicons, words.reader, why_not)


def test_disclosure_depends_on_who_is_told(words: Words) -> None:
    text = "王明欠我公司贷款三万元已逾期60天，请转告他还款"
    rows: list[dict[str, object]] = [
        {"text": text, "recipient": "borrower"}, {"text": text, "recipient": "colleague"},
        {"text": text, "recipient": "colleague", "third_party_knows_loan": True}, {"text": text, "recipient": "guarantor"},
    ]  # fmt: skip
    assert ["third_party_disclosure" in v.labels for v in judge(rows, words)] == [False, True, False, False]


def test_what_is_refused_can_say_why_not(words: Words) -> None:
    rows: list[dict[str, object]] = [{"text": "严禁说弄死你"}, {"text": "客户称要弄死我们，弄死你"}]
    for plain, full in zip(judge(rows, words), judge(rows, words, True), strict=True):
        assert not plain.labels and len(full.signals) >= len(plain.signals)
        assert any("negated" in s["why"] or "reported" in s["why"] for s in full.signals)


RUBBISH = [
    "", None, "\ud800老赖\udfff", "\x00\x01\x02去\x00死", "\u202e你个老赖\u202c", "<b>你个老赖</b>&nbsp;", '{"note": "你个老赖"}', "😀" * 5_000, "a" * 200_000,
    "1" * 100_000, "你个老赖" * 20_000, "，" * 100_000, "((((" * 10_000, "客户称" * 30_000, "١٢٣٤٥٦٧٨٩٠", "Ａ" * 50_000 + "你个老赖",
]  # fmt: skip


def test_rubbish_neither_crashes_nor_moves_offsets(words: Words) -> None:
    for text, verdict in zip(RUBBISH, judge([{"text": t} for t in RUBBISH], words, True), strict=True):
        for signal in verdict.signals:
            assert (text or "")[signal["start"] : signal["end"]] == signal["text"]
        assert verdict.cut == (len(text or "") > LONGEST)


def test_lines_that_cannot_be_read_are_counted_and_kept_in_place(tmp_path: Path, words: Words) -> None:
    (tmp_path / "in.jsonl").write_bytes(b'{"id": 1, "text": "\\ud800"}\nrubbish\n[1]\n{"id": 4, "text": 5}\n\n{"id": 5, "text": "ok"}\n\xff\xfe\n')
    counts = scan.scan_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl", words.lexicons, words.reader)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (counts.lines, counts.unread) == (6, 4)
    assert [r["id"] for r in rows] == [1, None, None, 4, 5, None] and [bool(r.get("problem")) for r in rows] == [False, True, True, True, False, True]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=8))
def test_scores_do_not_depend_on_the_company(words: Words, texts: list[str]) -> None:
    together = judge([{"text": t} for t in texts], words)
    alone = [judge([{"text": t}], words)[0] for t in texts]
    assert together == alone


def test_the_model_is_what_the_examples_give(words: Words) -> None:
    """The model in the repository was trained from the examples and the lexicons that are there."""
    assert words.reader is not None
    assert words.reader.version == training.version_of(training.given(ROOT / "rules/examples", words.lexicons), words.lexicons)
    assert set(words.reader.settle) == set(LABELS)


def test_who_knows_of_the_debt_is_for_rules_to_judge(words: Words) -> None:
    """A disclosure to one who knows stays a signal: a policy may forbid that too."""
    text = "说明借款未还情况，请其转告KH。"
    assert words.reader is not None
    for knows in (True, False, None):
        found, _ = settle(Finder([text], words.lexicons, np.array([False])), [Recipient(False, knows)], words.reader)
        assert any(s.label == "third_party_disclosure" and s.counts for s in found), knows


def test_training_twice_gives_the_same_bytes(tmp_path: Path, lexicons: Lexicons) -> None:
    examples = training.read_examples([ROOT / "rules/examples/zh-harassment.jsonl"])[:150]
    truth = training.truth_of(examples)
    truth[0, :], truth[1, :] = True, False
    for name in ("a", "b"):
        training.save(tmp_path / name, *training.fit(training.matrix(examples, lexicons), truth), {"settle": {}, "version": "v"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_training_takes_one_thread_on_any_machine(lexicons: Lexicons, monkeypatch: pytest.MonkeyPatch) -> None:
    """With several, sums are made in another order, and the model of thousands of steps is another one."""
    examples = training.read_examples([ROOT / "rules/examples/zh-harassment.jsonl"])[:40]
    whole, threads = LogisticRegression.fit, set[int]()

    def fit(model: LogisticRegression, *given: Any, **more: Any) -> LogisticRegression:
        threads.update(pool["num_threads"] for pool in threadpool_info())
        return whole(model, *given, **more)

    monkeypatch.setattr(LogisticRegression, "fit", fit)
    with threadpool_limits(2):
        training.fit(training.matrix(examples, lexicons), np.tile([[1], [0]], (20, 1)).astype(np.int8))
    assert threads == {1}


def test_the_threshold_is_the_one_that_the_development_set_asks_for(words: Words) -> None:
    """`make evaluate` chooses it; whoever changes what it depends on has to run that again."""
    assert words.reader is not None
    development = [training.read_examples([ROOT / "tests/development" / f"{lang}.jsonl"]) for lang in ("zh", "en")]
    assert set(words.reader.settle.values()) == {evaluation.choose_threshold(development, words.lexicons, words.reader)}


def test_the_examples_are_whole_and_apart_from_the_test_set() -> None:
    train = training.read_examples(sorted((ROOT / "rules/examples").glob("*.jsonl")))
    held = training.read_examples(sorted((ROOT / "tests/development").glob("*.jsonl")))
    assert len(train) > 3_000 and len({e.text for e in train} & {e.text for e in held}) == 0
    assert len({e.id for e in train + held}) == len(train) + len(held)
    for example in train + held:
        assert set(example.labels) <= set(LABELS) and example.text.strip() and example.lang in ("zh", "en")
    for lang, texts in (("zh", 400), ("en", 150)):
        mine = [e for e in held if e.lang == lang]
        assert len(mine) >= texts and 0.4 < sum(not e.labels for e in mine) / len(mine) < 0.6


def test_a_process_of_its_own_reads_the_same(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text and f"{text}，第{number}次" for number in range(50) for text in ("再不还就弄死你", None, "您好，请按时还款，证件号110101199003078515", "你个老赖")]
    batch = pa.record_batch([pa.array(range(len(texts)), pa.int64()), pa.array(texts, pa.string()), pa.array([True] * len(texts)), pa.array([None] * len(texts), pa.bool_()), pa.array([False] * len(texts), pa.bool_())], schema=TEXTS)
    batches = [batch.filter(pa.compute.is_valid(batch.column(1))).slice(start, 60) for start in (0, 60, 120)]
    monkeypatch.setattr(shapes, "BATCH", 50)
    monkeypatch.setattr(reading, "PATIENCE", 1)
    tables = []
    for many in (False, True):
        with TextReader(ROOT / "rules/lexicon", many) as reader:
            tables.append(reader.read(batches, ["CN_RESIDENT_ID"]).signals)
            assert [p.process is not None for p in reader._processes[:2]] == [True, True][: (os.cpu_count() or 1) * many]
    assert tables[0].sort_by([("seq", "ascending"), ("start_at", "ascending")]).equals(tables[1].sort_by([("seq", "ascending"), ("start_at", "ascending")])) and tables[0].num_rows >= 100
    assert tables[1].column("detail").to_pylist().count("CN_RESIDENT_ID") == 50


def test_settled_signals_carry_the_score(words: Words) -> None:
    assert words.reader is not None
    sure = find([THREAT], words.lexicons)[0]
    doubtful = sure._replace(sure=False, counts=False)
    settled, column = words.reader.settle[doubtful.label], LABELS.index(doubtful.label)
    decided = words.reader.decided(doubtful, 0.97, settled)
    assert decided.counts and decided.confidence == pytest.approx(0.97) and f"second reader 0.97 of {settled:.2f}" in decided.why
    assert not words.reader.decided(doubtful, settled - 0.01, settled).counts
    # The less a text speaks of collection, the more is needed; what is sure needs none.
    odds = [p / (1 - p) for p in (settled, SPEAKS, 0.9)]
    beside = odds[0] * odds[1] / odds[2]
    for about, least in ((1.0, settled), (SPEAKS, settled), (0.9, beside / (1 + beside))):
        assert words.reader.needed(np.array([about], np.float32))[0, column] == pytest.approx(least, abs=1e-4)
        for score, counts in ((least + 0.001, True), (least - 0.001, False)):
            scores = np.full((1, len(LABELS) + 1), 0.0001, np.float32)
            scores[0, [column, ABOUT]] = score, about
            assert words.reader.agrees(scores).sum() == counts, (about, score)
    assert words.reader.decided(sure, OVERRULED, 0.99) is sure and not words.reader.decided(sure, OVERRULED - 0.01, 0.0).counts
    assert np.all((words.reader.weights >= -127) & (words.reader.weights <= 127))


def test_an_audit_tells_the_reader_what_it_was_trained_on() -> None:
    """Who is spoken to is told in the words of the examples: of one who owes, whether he knows is never said."""
    trained = {(e.who.owes, e.who.knows) for e in training.read_examples(sorted((ROOT / "rules/examples").glob("*.jsonl")))}
    con = duckdb.connect(":memory:")
    store.create_tables(con)
    for relation, knows in (("self", None), ("guarantor", None), ("colleague", True), ("colleague", False), ("friend", None), (None, None)):
        con.execute(f"INSERT INTO {input_table(con, 'contacts')} (batch_id, row_no, contact_id, case_id, relation, knows, text) VALUES (1, 1, 'a', 'b', ?, ?, 'c')", [relation, knows])
    store.derive_cases(con, Settings(), {1: "Asia/Shanghai"})
    told = {(owes, known) for _, _, owes, known, _ in con.execute(store.spoken_to(con)).fetchall()}
    con.close()
    assert (True, None) in told and len(told) == 5
    assert told - trained <= {(None, None)}, told - trained


def test_a_reader_that_dies_is_an_error_and_not_a_silence() -> None:
    batch = pa.record_batch([pa.array([0], pa.int64()), pa.array(["x"]), pa.array([True]), pa.array([None], pa.bool_()), pa.array([False], pa.bool_())], schema=TEXTS)
    with TextReader(ROOT / "rules/lexicon", True) as reader:
        first = reader._processes[0].process
        assert first is not None
        first.kill()
        with pytest.raises(UsageError) as error:
            reader.read([batch] * 50)
    assert error.value.key == "run.words_process"


def test_words_the_second_reader_never_saw_are_not_overruled(words: Words) -> None:
    """A house's own lexicon decides by itself until the model is trained with it."""
    assert words.reader is not None
    sure = find([THREAT], words.lexicons)[0]
    assert not words.reader.decided(sure, 0.01, 0.0).counts
    for own in (sure._replace(concept="house_words"), sure._replace(version="2099-01-01")):
        assert words.reader.decided(own, 0.01, 0.0) is own


def test_asking_why_not_changes_no_label(words: Words) -> None:
    """Doubtful words are then looked for everywhere, and otherwise only where the second reader agrees."""
    rows = [json.loads(line) for name in ("zh", "en") for line in (ROOT / f"tests/development/{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    plain, all_ = judge(rows, words), judge(rows, words, why_not=True)
    assert [v.labels for v in plain] == [v.labels for v in all_]
    doubted = [[s["start"] for s in v.signals if re.search(r"weak, second reader \d\.\d+ of", s["why"])] for v in all_]
    assert sum(map(len, doubted)) > 100, "the set has doubtful words to be decided"


def test_a_kind_asked_for_alone_is_what_it_is_among_all(words: Words) -> None:
    texts = ["Aadhaar 8871 2204 6639 we have", "call me on +44 7911 123456", "身份证110101199003078515，电话13812345678", "卡号6222 0212 3456 7890 128"]
    all_ = find_personal_data(texts)
    assert len(all_) >= 4
    for kind in ENTITIES:
        assert find_personal_data(texts, entities=[kind]) == [f for f in all_ if f.entity == kind], kind


def test_noise_does_not_talk_a_plain_threat_away(words: Words) -> None:
    """The second reader overrules sure words only by what stands around them."""
    noise = "发票已开具，请在邮箱中查收。请各位同事核对本月考勤。" * 12
    text = f"{noise}{THREAT}。{noise}"
    finder = Finder([text], words.lexicons)
    assert words.reader is not None
    whole = words.reader.scores(features(finder.normal, [Recipient(True)], finder.sets()))[0]
    assert whole[LABELS.index("threat_violence")] < OVERRULED, "the whole text speaks against it"
    told = [v.labels for v in judge([{"text": THREAT}, {"text": text}, {"text": noise}], words)]
    assert ["threat_violence" in labels for labels in told] == [True, True, False] and told[2] == ()


def test_plain_breaches_are_told(words: Words) -> None:
    """Sayings that no reader may talk away, identifiers and amounts beside them or not."""
    rows = [json.loads(line) for line in (ROOT / "tests/development/plain.jsonl").read_text(encoding="utf-8").splitlines()]
    missed = [row["id"] for row, verdict in zip(rows, judge(rows, words), strict=True) if not set(row["labels"]) <= set(verdict.labels)]
    assert len(rows) > 90 and len(missed) <= 6, missed


@pytest.mark.parametrize(
    ("text", "words", "beside"),
    [
        ("王明，老赖，身份证110101199003078515，不还", "老赖", ["王明，老赖，身份证110101199003078515，不还", "王明，老赖，不还"]),
        ("卡号6222 0212 3456 7890，老赖138 0013 8000呢。别的", "老赖", ["卡号6222 0212 3456 7890，老赖138 0013 8000呢", "老赖138 0013 8000呢"]),
        ("好。你这老赖，欠3500元", "老赖", ["你这老赖，欠3500元"]),
    ],
)  # fmt: skip
def test_what_stands_beside_words_without_identifiers(text: str, words: str, beside: list[str]) -> None:
    start = text.index(words)
    assert second_reader._beside(text, start, start + len(words)) == beside


def test_what_is_too_far_on_is_not_read_and_columns_stay_with_their_texts(words: Words) -> None:
    def seen(*texts: str) -> list[dict[int, float]]:
        normal = normalise(list(texts))
        found = sum(part.matrix() for part in features(normal, [Recipient(True)] * len(texts), (np.zeros(0, np.int64), np.zeros(0, np.int64))))
        return [dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)) for row in (found[n] for n in range(len(texts)))]

    assert seen("还款 pay pay now")[0].keys() >= seen("pay")[0].keys() and seen("pay pay pay")[0] != seen("pay")[0], "pairs are features too"
    assert max(seen("pay pay you you")[0].values()) == 1.0, "of other letters than Chinese each once"
    long = "还款啊pay " * (READ // 4)
    assert seen(long) == seen(long + "另有 other 几个字") != seen(long[:20] + "另有 other 几个字")
    tokens = words.lexicons.set_tokens[words.lexicons.set_tokens >= 0]
    assert len(np.unique(tokens)) == len(tokens) > 100, "elements with the same words are one column, and count once"
    texts = ["", "请 pay 还款", long, "x", "明天还", "", "call me back later", ""]
    assert seen(*texts) == [seen(text)[0] for text in texts]


def test_doubtful_words_said_by_anyone_are_settled_too(tmp_path: Path, words: Words) -> None:
    (tmp_path / "_context.yaml").write_text((ROOT / "rules/lexicon/_context.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "trial.yaml").write_text(LEXICON.format(id="trial", pattern="    all: [[甲字]]\n    said_by: anyone\n    sure: false"), encoding="utf-8")
    finder = Finder(["客户借款逾期未还，联系还款，客户称甲字"], load_lexicons(tmp_path))
    found = finder.signals()
    assert words.reader is not None and [s.counts for s in found] == [False]
    for needed, told in ((0.0, [True]), (2.0, [])):
        reader = replace(words.reader, settle=dict.fromkeys(LABELS, needed))
        assert [s.counts for s in settle(finder, [Recipient(True)], reader)[0]] == told


def test_what_is_nearly_a_pattern_is_settled_by_the_second_reader(tmp_path: Path, words: Words) -> None:
    """All elements but one, or all of them apart: never without words, never taken back, only where nothing else of the label counts."""
    (tmp_path / "_context.yaml").write_text((ROOT / "rules/lexicon/_context.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "trial.yaml").write_text(LEXICON.format(id="trial", pattern="    all: [[甲字], [乙字], [丙字]]\n    none: [[丁字]]\n    within: clause"), encoding="utf-8")
    texts = ["借款逾期，乙字。另外甲字", "借款逾期，丙字。乙字。甲字", "借款逾期，只有甲字", "甲字乙字丁字", "严禁说甲字乙字", "甲字乙字丙字"]
    asked = np.zeros((len(texts), len(LABELS)), np.bool_)
    column = LABELS.index("abuse")
    asked[:, column] = True
    found = {s.text: s for s in Finder(texts, load_lexicons(tmp_path)).nearly(asked)}
    assert {n: (s.words, s.taken_back) for n, s in found.items()} == {0: ("乙字。另外甲字", False), 1: ("丙字。乙字。甲字", False), 4: ("甲字乙字", True), 5: ("甲字乙字丙字", False)}
    assert all(not s.counts and not s.sure and "nearly" in s.why for s in found.values())
    assert not Finder(texts, load_lexicons(tmp_path)).nearly(np.zeros_like(asked))

    def told(bias: float, about: float) -> list[tuple[int, bool]]:
        assert words.reader is not None
        biases = np.full(len(LABELS) + 1, -30, np.float32)
        biases[column], biases[ABOUT] = bias, about
        reader = replace(words.reader, weights=np.zeros_like(words.reader.weights), bias=biases, lexicons=frozenset())
        return [(s.text, s.counts) for s in settle(Finder(texts, load_lexicons(tmp_path)), [Recipient(True)] * len(texts), reader)[0]]

    assert told(2, 30) == told(6, 2.8) == [(0, True), (1, True), (4, False), (5, True)], "the sure words of the last are told once"
    assert told(-4, 30) == [(5, True)] == told(2, 0), "neither without a sure reader nor outside of collection"


def test_what_only_a_collector_writes_speaks_of_collection(tmp_path: Path, words: Words) -> None:
    """Be it short, but more than a word; a message has to say so itself."""
    assert words.reader is not None
    biases = np.full(len(LABELS) + 1, -30, np.float32)
    biases[LABELS.index("abuse")] = 6
    reader = replace(words.reader, weights=np.zeros_like(words.reader.weights), bias=biases, lexicons=frozenset())
    finder = Finder(["跟他说你个废物", "跟他说你个废物", "你个废物"], words.lexicons)
    found, scores = settle(finder, [Recipient(True)] * 3, reader, np.array([True, False, True]))
    assert {(s.text, s.label) for s in found if s.counts} == {(0, "abuse")} and scores[:, ABOUT].tolist() == [1.0, *[pytest.approx(0.0, abs=1e-6)] * 2]
    lines = [json.dumps({"text": "跟他说你个废物", "recipient": "borrower", "channel": channel}).encode() for channel in ("call_note", "visit_note", "transcript", "voicemail", "letter", "sms", "wechat", None)]
    told = scan.judge_messages(list(scan.read_messages(lines)), words.lexicons, reader)
    assert [v.labels for v in told] == [("abuse",)] * 5 + [()] * 3
    con = duckdb.connect(":memory:")
    store.create_tables(con)
    for channel in ("call", "ai_call", "visit", "voicemail", "letter", "legal", "sms", "wechat", "im", "email", None):
        con.execute(f"INSERT INTO {input_table(con, 'contacts')} (batch_id, row_no, contact_id, case_id, channel, text) VALUES (1, 1, 'a', 'b', ?, 'c')", [channel])
    store.derive_cases(con, Settings(), {1: "Asia/Shanghai"})
    assert sorted(con.execute(f"SELECT on_business FROM ({store.spoken_to(con)})").fetchall()) == [(False,)] * 6 + [(True,)] * 5
    con.close()


def test_the_second_reader_tells_collection_from_private_messages(words: Words) -> None:
    texts = ["您尾号3072的借款已逾期12天，请尽快还款，如有困难请联系我司协商。", "Your loan is 12 days past due, please call us to arrange a payment.", "今晚食堂吃啥，我带伞了", "see u at the pub at 8, bring the tickets"]
    finder = Finder(texts, words.lexicons)
    assert words.reader is not None
    about = words.reader.scores(features(finder.normal, [Recipient(True)] * len(texts), finder.sets()))[:, ABOUT]
    assert (about >= SPEAKS).tolist() == [True, True, False, False], about
    # An everyday word that is doubtful counts where collection is spoken of, and not in a chat.
    told = [v.labels for v in judge([{"text": "哈哈你个废物，今晚食堂吃啥"}, {"text": "你就是个废物，借款逾期三个月都不还"}], words)]
    assert told == [(), ("abuse",)], told


@pytest.mark.parametrize("text", ["不还就弄死亻尔全家", "不还就弄 死*你全家", "不还就弄死死死死你全家"])
def test_disguised_words_are_marked_whole(text: str, lexicons: Lexicons) -> None:
    found = [s for s in find([text], lexicons) if s.label == "threat_violence" and s.counts]
    assert found and all(text[s.start : s.end] == s.words for s in found)
    assert any(s.words.startswith("弄") and not s.words.endswith("亻") for s in found), found
    assert not any(s.words.endswith("亻") or (s.end < len(text) and text[s.end] == "尔") for s in found), found


def test_insults_found_and_falsely_told_stand_side_by_side(words: Words, tmp_path: Path) -> None:
    """COLD as its makers wrote it: a row whose label is 1 is offensive."""
    assert words.reader is not None and "not here" in evaluation.offensive_table(tmp_path, words.lexicons, words.reader)[-1]
    (tmp_path / "offensive_zh").mkdir()
    posts = ["0,dev,race,1,你就是个傻逼老赖，骗钱的畜生", "1,dev,race,1,那里的人都不行", "2,dev,race,0,您好，请按时还款"]
    (tmp_path / evaluation.OFFENSIVE).write_bytes(lzma.compress("\n".join(["\ufeff,split,topic,label,TEXT", *posts]).encode()))
    found, false = evaluation.offensive_table(tmp_path, words.lexicons, words.reader)[-2:]
    assert found.startswith("| offensive: found | 2 | 1, 50.0 %") and false.startswith("| clean: false alarms | 1 | 0, 0.0 %")


def test_the_words_are_kept_until_a_file_of_theirs_is_another(tmp_path: Path) -> None:
    folder = tmp_path / "lexicon"
    shutil.copytree(ROOT / "rules" / "lexicon", folder)
    first = kept_words(folder)
    assert kept_words(folder).lexicons is first.lexicons
    with (folder / "violence.yaml").open("a", encoding="utf-8") as file:
        file.write("# another\n")
    assert kept_words(folder).lexicons is not first.lexicons
