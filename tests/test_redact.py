"""The redacted edition: no identifier left in any format however it is written, and nothing else gone."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import shutil
import unicodedata
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from analyzer import audit, export, redact, review, runs, sampling
from analyzer.errors import UsageError
from analyzer.tables import Sheet
from analyzer.text.personal_data import find_personal_data
from tests.conftest import HEADER, ROOT
from tests.packs import mended as _mended

KEY = bytes(range(7, 47))
SEED, TEXTS = 20261129, 500
_WIDE = str.maketrans("0123456789XABCDEFGHIJKLMNOPQRSTUVWYZ", "０１２３４５６７８９ＸＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＹＺ")
_SPELT = str.maketrans("0123456789", "零幺二三四五六七八九")
_TRADITIONAL = str.maketrans("张陈刘赵龙国丽伟静强华", "張陳劉趙龍國麗偉靜強華")
# What people write beside identifiers, much of it in figures: none of it may go.
BENIGN = ["本期应还2291.00元，尚欠12000元", "第3次拨打，响33秒未接", "已告知4月9日前入账", "订单尾号不详，分24期", "约定2026-04-09 10:30再联系", "利率18.25%，共180000元", "客户说高兴还款，情绪平稳",
          "周三上午九点再核对", "对方表示三天后处理", "需2024年12月账单", "提到法院但无文书", "编号不清，转主管"]  # fmt: skip


def _resident_id(draw: random.Random) -> str:
    body = f"{draw.choice(['110101', '440305', '510104'])}{draw.randrange(1960, 2004)}{draw.randrange(1, 13):02d}{draw.randrange(1, 29):02d}{draw.randrange(1000):03d}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11]


def _card(draw: random.Random) -> str:
    body = "622202" + "".join(str(draw.randrange(10)) for _ in range(12))
    total = sum(int(d) if i % 2 else sum(divmod(int(d) * 2, 10)) for i, d in enumerate(reversed(body)))
    return body + str(-total % 10)


def _disguised(value: str, draw: random.Random) -> str:
    """An identifier as people write it."""
    figures = value[:-1].isdigit()
    ways = [
        str, lambda v: v.translate(_WIDE), lambda v: " ".join(v), "-".join, ".".join, lambda v: "\u3000".join(v), lambda v: "\u200b".join(v), lambda v: f"{v[:1]}·{v[1:]}",
        lambda v: v[:3] + draw.choice(" -.—") + v[3:7] + draw.choice(" -.—") + v[7:] if figures else f"{v[:1]} {v[1:]}",
        (lambda v: v.translate(_SPELT)) if figures and len(value) == 11 else lambda v: v.translate(_TRADITIONAL),
    ]  # fmt: skip
    return str(draw.choice(ways)(value))


@dataclass
class World:
    """A case base, the texts with what is planted in them, and the run."""

    run: Path
    identifiers: dict[str, str]
    # contact id -> text, and the (start, end) of everything planted in it.
    texts: dict[str, tuple[str, list[tuple[int, int]]]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder, draw = tmp_path_factory.mktemp("planted"), random.Random(SEED)
    # One is called as the day of the week is: his name is hidden wherever the day stands, and that is counted.
    surnames, given_names = "张陈刘赵欧阳诸葛王李孟", "建国丽娟伟静思远子轩永强立新雅琴晓华"
    people = []
    for number in range(60):
        name = draw.choice(surnames) + "".join(draw.choice(given_names) for _ in range(draw.choice([1, 2, 2])))
        people.append({"case": f"JK2026{number:04d}", "debtor": f"D{70000 + number}", "name": name, "number": f"1{draw.choice('3578')}{draw.randrange(10**9):09d}", "id": _resident_id(draw), "card": _card(draw)})
    people[3]["name"] = "周三"
    agents = [{"agent": f"Q{number:03d}", "name": f"{draw.choice('蒋罗潘')}{draw.choice('文思立')}{draw.choice('博雨群')}"} for number in range(8)]
    _rows(folder / "cases.csv", ["案件编号", "客户编号", "姓名"], [[p["case"], p["debtor"], p["name"]] for p in people])
    _rows(folder / "persons.csv", ["person_id", "案件编号", "name", "与客户关系"], [[f"{p['case']}-1", p["case"], p["name"], "本人"] for p in people])
    _rows(folder / "numbers.csv", ["案件编号", "联系人编号", "号码"], [[p["case"], f"{p['case']}-1", p["number"]] for p in people])
    _rows(folder / "agents.csv", ["坐席工号", "姓名", "小组"], [[a["agent"], a["name"], f"{a['name']}组"] for a in agents])
    texts: dict[str, tuple[str, list[tuple[int, int]]]] = {}
    lines = []
    for number in range(TEXTS):
        person, agent, text, spans = draw.choice(people), draw.choice(agents), "", []
        for planted in draw.sample([person["name"], person["number"], person["id"], person["card"], agent["name"], f"{person['case']}-1", person["debtor"]], draw.choice([0, 1, 1, 2, 3])):
            text += draw.choice(BENIGN) + draw.choice(["，找", "；", "，他是", "联系", "\n"])
            written = _disguised(planted, draw)
            spans.append((len(text), len(text) + len(written)))
            text += written + draw.choice(["说", "，", "的", "。"])
        text += draw.choice(BENIGN) + draw.choice(["", f"，单号{draw.randrange(10**15):015d}", f"，批次2{draw.randrange(10**15):015d}", f"，余{draw.randrange(10**7)}分", f"，合同HT{draw.randrange(10**8):08d}"])
        contact = f"c{number:03d}"
        texts[contact] = (text, spans)
        lines.append([contact, person["case"], f"{person['case']}-1", "本人", "电话", "呼出", f"2026-03-{number % 28 + 1:02d} 23:{number % 60:02d}:00", "接通", "交互式", agent["agent"], text, person["number"]])
    # The name of a file and of a column are somebody's too; the last row is rejected with all that is in it.
    hidden = people[0]
    lines.append(["c000", hidden["case"], "", "本人", "电话", "呼出", "2026-03-01 23:00:00", "接通", "交互式", "Q001", f"{hidden['name']} {hidden['number']} 林不在册", hidden["number"]])
    _rows(folder / f"催记_{hidden['name']}_{hidden['number'][:3]}-{hidden['number'][3:]}.csv", [*HEADER.split(","), "被叫号码", f"备注{hidden['number']}", people[1]["name"]], [[*line, "", ""] for line in lines])
    made = audit.run([str(folder)], folder / "runs", packs=["cn-gbt-45251"], run_id="r")
    identifiers = {v: k for p in people for k, v in p.items()} | {v: k for a in agents for k, v in a.items()} | {f"{p['case']}-1": "person" for p in people}
    return World(made.path, identifiers, texts)


def _rows(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "masks.key"
    path.write_bytes(KEY)
    return path


@pytest.fixture
def con(world: World) -> Any:
    con = runs.connect(world.run)
    yield con
    con.close()


@pytest.fixture(scope="module")
def packs(world: World, key: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    con, folder = runs.connect(world.run), tmp_path_factory.mktemp("packs")
    export.write(con, folder / "full.zip")
    export.write(con, folder / "redacted.zip", options=export.Options("redacted", key))
    con.close()
    return folder / "full.zip", folder / "redacted.zip"


def _strings(path: Path, data: bytes | None = None) -> list[str]:
    """All texts of a file, read without the program's help."""
    data = path.read_bytes() if data is None else data
    if path.suffix == ".parquet":
        return [str(v) for row in duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall() for v in row]
    if path.suffix == ".xlsx":
        book = CalamineWorkbook.from_path(str(path))
        return [str(v) for name in book.sheet_names for row in book.get_sheet_by_name(name).to_python() for v in row]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return [s for name in archive.namelist() for s in (name, *_strings(Path(name), archive.read(name)))]
    text = data.decode("utf-8-sig", "replace")
    if path.suffix == ".csv":
        return [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    return [text]


def _bare(text: str) -> str:
    """Only letters and figures, the way a person compares: not the normal form of the program."""
    spelt = text.translate({v: k for k, v in _TRADITIONAL.items()})
    return "".join(c for c in unicodedata.normalize("NFKC", spelt) if c.isalnum())


def test_no_planted_identifier_is_left_in_any_format(world: World, packs: tuple[Path, Path], key: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for ending in ("csv", "xlsx", "parquet", "jsonl"):
        export.write(con, tmp_path / f"out.{ending}", options=export.Options("redacted", key))
    bare = {_bare(i) for i in world.identifiers}
    spelt = {i.translate(_SPELT) for i in world.identifiers if len(i) == 11 and i.isdigit()}
    wanted = re.compile("|".join(sorted(bare | spelt, key=len, reverse=True)))
    written = {text[start:end] for text, spans in world.texts.values() for start, end in spans}
    found = 0
    for path in [*tmp_path.iterdir(), packs[1]]:
        # A name in two characters may stand in a text by chance across a sentence's end; what was planted may not.
        strings = _strings(path)
        whole = "\n".join(strings)
        assert not [w for w in written if w in whole], path.name
        assert not [s for s in strings for part in re.split(r"[，。；：\n\"]", s) if wanted.search(_bare(part)) and not re.fullmatch(r"[0-9a-f]{64}", part)], path.name
        found += len(strings)
    assert found > 20_000
    # The same search finds them all in the full edition: it is not blind.
    full = "\n".join(_strings(packs[0]))
    assert sum(w in full for w in written) == len(written) > 400


def _contacts(pack: Path) -> dict[str, dict[str, str]]:
    with zipfile.ZipFile(pack) as archive:
        return {c["contact_id"]: c for c in csv.DictReader(io.StringIO(archive.read("contacts.csv").decode("utf-8-sig"), newline=""))}


def test_what_is_no_identifier_stays_and_everything_keeps_its_place(world: World, packs: tuple[Path, Path]) -> None:
    """Same lengths; of the characters outside of what was planted fewer than 1 in 500 are gone, and fewer than 1 in 50 where the day that is also a name counts too."""
    full, redacted = (_contacts(pack) for pack in packs)
    assert set(full) == set(redacted) == set(world.texts)
    outside = gone = named = 0
    for contact, (text, spans) in world.texts.items():
        shown = redacted[contact]["text"]
        assert full[contact]["text"] == text and len(shown) == len(text)
        planted = {i for start, end in spans for i in range(start, end)}
        outside += len(text) - len(planted)
        lost = {i for i, c in enumerate(text) if shown[i] != c and i not in planted}
        days = {i for m in re.finditer("周三", text) for i in range(*m.span())}
        gone, named = gone + len(lost - days), named + len(lost & days)
        assert all(shown[start] != text[start] and shown[end - 1] != text[end - 1] for start, end in spans)
    print(f"false redactions: {gone} of {outside} characters, and {named} where a day is called as somebody is")
    assert outside > 8_000 and gone / outside < 0.002 and named > 0 and (gone + named) / outside < 0.02


def test_both_editions_have_the_same_findings_marks_and_counts(packs: tuple[Path, Path], con: duckdb.DuckDBPyConnection) -> None:
    full, redacted = packs
    told = export.verify(redacted, con, full=full)
    assert told.wrong == () and told.edition == "redacted" and told.repeated == told.findings > 20
    assert told.unseen == ("verify.unseen_texts", "verify.unseen_statements", "verify.unseen_content")
    with zipfile.ZipFile(full) as one, zipfile.ZipFile(redacted) as two:
        for name in ("findings.jsonl", "evidence.jsonl"):
            rows = [[json.loads(line) for line in archive.read(name).decode().splitlines()] for archive in (one, two)]
            same = (redact.KEPT | redact.FIGURES) - {"evidence_digest"}
            assert [[r[k] for k in r if k in same] for r in rows[0]] == [[r[k] for k in r if k in same] for r in rows[1]]
        assert "link.txt" in one.namelist() and "link.txt" not in two.namelist()
        rejected = list(csv.DictReader(io.StringIO(two.read("rejects.csv").decode("utf-8-sig"), newline="")))
    assert len(rejected) == 1 and set(rejected[0]["original"]) <= set('█|,;，；。.-:—·_“”" \n\u3000\u200b')
    # Another run's full edition is not the one it was made with.
    assert export.verify(redacted, full=redacted).wrong == (("verify.other_full", "redacted.zip"),)


def test_what_is_not_masked_of_a_redacted_edition_is_compared_with_the_run(packs: tuple[Path, Path], con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    redacted = packs[1]
    with zipfile.ZipFile(redacted) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    rule = next(name for name in inside if name.startswith("rules/") and b"severity: high" in inside[name])
    for number, (change, wrong) in enumerate([
        ({rule: inside[rule].replace(b"severity: high", b"severity: low ")}, {rule}),
        ({name: inside[name].replace(b"high", b"low ") for name in ("findings.csv", "findings.jsonl")}, {"findings.csv"}),
        ({"note.txt": b"all good"}, {"note.txt"}),
    ]):  # fmt: skip
        assert all(inside.get(name) != data for name, data in change.items()), number
        told = export.verify(_mended(redacted, tmp_path / f"{number}.zip", change), con)
        assert set(told.wrong) == {("verify.other", name) for name in wrong}, number


@pytest.mark.parametrize(
    "written",
    [
        "王\u2028建\u2029国", "王\x0b建\x0c国", "王\x85建国", "王\u3164建国", "王\u2800建国", "王📞建⭐国", "王\ue000建国", "<b>王</b>建<br/>国", "&#29579;&#x5efa;国", "%E7%8E%8B建国", "\\u738b\\u5efa国", "王&#12288;建&thinsp;国",
        "138\u20281234\u20285678", "138\x0b12345678", "138➖1234➖5678", "138<b>1234</b>5678", "138%201234%205678", "%31%33812345678", "MariaSantos88", "ｍａｒｉａ santos2nd", "Santos2026",
    ],
)  # fmt: skip
def test_signs_and_codes_between_and_for_letters_hide_nobody(written: str) -> None:
    known = redact.Redactor(KEY, [("name", "王建国", "a"), ("number", "13812345678", "a"), ("name", "Maria Santos", "b")])
    text = f"催收：{written}，欠款"
    [shown] = known.texts([text])
    assert len(shown) == len(text) and shown.startswith("催收：") and shown.endswith("，欠款") and known.holds([text])
    left = shown.removeprefix("催收：").removesuffix("，欠款")
    assert not any(part in left for part in ("王", "建国", "1234", "Maria", "Santos", "santos", "29579", "E7")), shown
    assert not known.holds([shown])


def test_a_code_for_nothing_parts_no_text_from_the_next() -> None:
    known = redact.Redactor(KEY, [("name", "王建国", "a")])
    for nothing in ("%00", "&#0;", "&#x0;", "\\u0000", "\x00", "%e4%00", "&#xd800;", "&#1114112;"):
        first, second = known.texts([f"甲{nothing}乙", f"{nothing}找王建国，王{nothing}建国"])
        assert known.holds([f"王{nothing}建国"]) and first == f"甲{nothing}乙" and second.startswith(f"{nothing}找") and "王" not in second and len(second) == 2 * len(nothing) + 8, nothing


@pytest.mark.parametrize("written", ["138%201234%205678", "138&nbsp;1234&#8211;5678", "138<b>1234</b>5678", "1381234\\u0020 5678"])
def test_a_number_in_no_table_is_found_behind_codes(written: str) -> None:
    redactor = redact.Redactor(KEY, [])
    redactor.learn([Sheet("contacts", ("text",), [(f"新电话{written}，已记",)])])
    [shown] = redactor.texts([f"新电话{written}，已记"])
    assert shown.startswith("新电话") and shown.endswith("，已记") and "138" not in shown and "5678" not in shown


def test_what_looks_like_a_code_may_be_none() -> None:
    known = redact.Redactor(KEY, [("number", "13812345678", "a")])
    for text in ("优惠10%13812345678", "&13812345678;", "\\u1381 2345678", "A&B;13812345678"):
        assert known.holds([text]) and known.texts([text]) != [text], text


def test_what_a_tag_or_a_code_holds_is_looked_through() -> None:
    known = redact.Redactor(KEY, [("name", "王建国", "a"), ("number", "13812345678", "a"), ("name", "Li Span", "b")])
    for text in ('<a href="tel:13812345678">电话</a>', '<i title="王建国">他</i>', "<Li Span>", "100%25 &amp; %zz &nosuch; &#99999999;", "a\\u12"):
        assert known.holds([text]) is any(name in text for name in ("13812345678", "王建国", "Li Span")), text


def test_a_number_like_a_date_does_not_take_dates_away() -> None:
    """Collectors are numbered 140101 or 202603, telephones 20260301: the program's own times hold the same figures."""
    known = redact.Redactor(KEY, [("id", "140101", "a"), ("id", "202603", "b"), ("number", "20260301", "c")])
    for text in ("2026-03-01T14:01:01Z", "K1 2026-03-01 14:01:01 breach", "K1|2026-03-01", "2026-03-01 14:01:01"):
        assert known.texts([text]) == [text] and not known.holds([text]), text
    for text in ("坐席140101", "坐席14-01-01", "编号202603", "电话2026 0301", "2026-0301"):
        assert known.holds([text]) and known.texts([text]) != [text], text


def test_sums_of_the_files_read_are_keyed(packs: tuple[Path, Path]) -> None:
    """Who has the redacted edition could else try all numbers of a small file until its sum fits."""
    told = []
    for pack in packs:
        with zipfile.ZipFile(pack) as archive:
            rows = list(csv.DictReader(io.StringIO(archive.read("reconciliation.csv").decode("utf-8-sig"), newline="")))
            whole = b"".join(archive.read(name) for name in archive.namelist())
            told.append(({r["sha256"] for r in rows}, json.loads(archive.read("manifest.json"))["run"]["data_digest"], whole))
    (full, digest, _), (masked, other, redacted) = told
    assert len(full) == len(masked) == 5 and not full & masked and digest != other and not any(one.encode() in redacted for one in (*full, digest))


def test_a_person_has_one_mask_whose_first_two_symbols_are_everywhere(world: World, packs: tuple[Path, Path], key: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    full, redacted = (_contacts(pack) for pack in packs)
    for column in ("person_id", "number", "agent_id", "case_id", "debtor_id"):
        pairs = {(full[c][column], redacted[c][column]) for c in full if full[c][column]}
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}), column
    masker = redact.Redactor.of_run(con, KEY)
    owners = con.execute("SELECT p.person_id, c.debtor_id, n.number, p.name FROM persons p JOIN cases c USING (case_id) LEFT JOIN numbers n USING (person_id)"
                         " WHERE p.name IN (SELECT name FROM persons GROUP BY name HAVING count(*) = 1)").fetchall()  # fmt: skip
    assert len(owners) > 20
    for values in owners:
        assert len({masker.pseudonym(v)[:2] for v in values if v}) == 1
    other = tmp_path / "other.key"
    other.write_bytes(bytes(reversed(KEY)))
    for name, file in (("a.zip", key), ("b.zip", other)):
        export.write(con, tmp_path / name, options=export.Options("redacted", file))
    assert (tmp_path / "a.zip").read_bytes() == packs[1].read_bytes()
    again = _contacts(tmp_path / "b.zip")
    assert all(again[c]["person_id"] != redacted[c]["person_id"] for c in full)


_KNOWN = [("name", "张建国", "p1"), ("name", "欧阳娟", "p2"), ("number", "13800001234", "p1"), ("number", "01088886666", "p2"), ("name", "Mary Ann Lee", "p3"), ("id", "JK20260001-1", "p1"), ("id", "P1", "p1")]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40), st.sampled_from([k[1] for k in _KNOWN[:6]]), st.sampled_from(["", " ", "-", ".", "\u200b", "　", "·", "—"]), st.booleans(), st.text(max_size=40))
def test_masks_are_as_long_as_what_they_hide(before: str, value: str, between: str, wide: bool, behind: str) -> None:
    """And characters outside of an identifier stay where they were; the sweep then finds nothing."""
    masker = redact.Redactor(KEY, _KNOWN)
    written = between.join(value.translate(_WIDE) if wide else value)
    before, behind = (t.encode("utf-8", "replace").decode().replace("\x00", " ") for t in (before, behind))
    text = f"{before}，{written}，{behind}"
    shown = masker.texts([text])[0]
    start = len(before) + 1
    assert len(shown) == len(text) and shown[:start] == text[:start] and shown[start + len(written) :] == text[start + len(written) :]
    assert not masker.holds([shown]) and masker.holds([text])
    assert shown[start : start + len(written)].startswith(masker.pseudonym(value)[:2])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("电话138 0000 1234。", True), ("电话一三八零零零零幺二三四", True), ("138、0000、1234", True), ("座机010-8888-6666", True), ("座机8888 6666转", True), ("+8613800001234", True),
        ("(010)88886666", True), ("張建國", True), ("弓长建国", True), ("mary-ann lee", True), ("Rosemary Annette Leeds", False), ("call Ann", True), ("张。建国", False), ("欠款1380000元", False), ("188886666123", False),
        ("P1", False), ("见JK20260001—1", True), ("张建设", False),
    ],
)  # fmt: skip
def test_what_counts_as_an_identifier(text: str, found: bool) -> None:
    assert redact.Redactor(KEY, _KNOWN).holds([text]) is found


def test_an_identifier_that_is_left_stops_the_export_without_being_told(world: World, key: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep does not trust the masks: where a column is forgotten, nothing is written, and the sentence names the file alone."""
    whole = redact.Redactor._column
    monkeypatch.setattr(redact.Redactor, "_column", lambda self, name, values: values if name == "case_id" else whole(self, name, values))
    for ending in ("csv", "xlsx", "parquet", "jsonl", "zip"):
        with pytest.raises(UsageError) as caught:
            export.write(con, tmp_path / f"out.{ending}", options=export.Options("redacted", key))
        assert caught.value.key == "redact.left"
        assert not any(i in str(caught.value) for i in world.identifiers) and not list(tmp_path.iterdir())
    assert "findings.csv" in caught.value.text("zh") and "findings.csv" in caught.value.text("en")


def test_the_name_of_the_file_is_looked_at_too(world: World, key: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    number = next(i for i, kind in world.identifiers.items() if kind == "number")
    with pytest.raises(UsageError) as caught:
        export.write(con, tmp_path / f"{number[:3]} {number[3:]}.csv", options=export.Options("redacted", key))
    assert caught.value.key == "redact.left_in_name" and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("content", "key"), [(b"short", "redact.short_key"), (b"a" * 64, "redact.short_key"), (b"", "redact.short_key"), (KEY[:31] + b"\n", "redact.short_key"), (None, "redact.no_key")])
def test_a_key_that_is_none_is_refused(content: bytes | None, key: str, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "k").write_bytes(content)
    for ending in ("zip", "csv"):
        with pytest.raises(UsageError) as caught:
            export.write(con, tmp_path / f"x.{ending}", options=export.Options("redacted", tmp_path / "k"))
        assert caught.value.key == key
    with pytest.raises(UsageError):
        export.write(con, tmp_path / "x.zip", options=export.Options("redacted"))
    with pytest.raises(UsageError):
        export.write(con, tmp_path / "x.zip", options=export.Options("blue"))


def test_people_whose_names_are_our_own_words_break_nothing(tmp_path: Path, key: Path) -> None:
    """Names like Case, Breach or Evidence: the verifier still counts, and the names are gone from the texts."""
    calls = "".join(f"c{i},K{i},2026-03-0{i + 1} 23:10:00,电话,呼出,接通,本人,{name} said the case is closed,A1\n" for i, name in enumerate(("Case", "Breach", "Evidence Rule", "call")))
    (tmp_path / "calls.csv").write_text(f"contact_id,案件编号,通话时间,渠道,方向,结果,与借款人关系,内容,催收员\n{calls}", encoding="utf-8")
    _rows(tmp_path / "cases.csv", ["案件编号", "客户编号", "姓名"], [[f"K{i}", f"D{i}", name] for i, name in enumerate(("Case", "Breach", "Evidence Rule", "call"))])
    made = audit.run([str(tmp_path / "calls.csv"), str(tmp_path / "cases.csv")], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="r")
    con, pack = runs.connect(made.path), tmp_path / "p.zip"
    review.Reviews(made.path).decide(con, con.execute("SELECT min(finding_id) FROM findings").fetchall()[0][0], "Breach", "dismissed", "Case rang back")
    export.write(con, pack, options=export.Options("redacted", key, reviews=review.Reviews(made.path)))
    assert export.verify(pack, con).wrong == ()
    with zipfile.ZipFile(pack) as archive:
        log = json.loads(archive.read("action_log.jsonl"))
    assert redact.masked(log["actor"]) and len(log["actor"]) == 6 and log["comment"].endswith(" rang back") and "Case" not in log["comment"]
    assert all(c["channel"] == "call" and not re.match("Case|Breach|Evid|call", c["text"]) for c in _contacts(pack).values())
    con.close()


def test_many_identifiers_are_one_pass() -> None:
    """200,000 identifiers over two million characters: a search for each would not end."""
    known = [("number", f"139{number:08d}", f"p{number}") for number in range(200_000)]
    texts = [f"第{number}次联系139{number * 7:08d}，{BENIGN[number % len(BENIGN)]}，{BENIGN[(number + 5) % len(BENIGN)]}" for number in range(40_000)]
    masker = redact.Redactor(KEY, known)
    shown = masker.sheet(Sheet("contacts", ("note",), [(t,) for t in texts]))
    assert sum(row[0] != text for row, text in zip(shown.rows, texts, strict=True)) == sum(number * 7 < 200_000 for number in range(40_000))
    assert not masker.holds(row[0] for row in shown.rows)


def test_the_rules_own_repository_is_not_named(packs: tuple[Path, Path]) -> None:
    """The verifier travels as it is: it holds nothing of the data."""
    with zipfile.ZipFile(packs[1]) as archive:
        assert archive.read("verify.py") == (ROOT / "analyzer" / "pack_verifier.py").read_bytes()


BASE = {"K0": "O'Neil", "K1": "Smith, John", "K2": "阿卜杜·热合曼", "K3": "Nguyễn Văn An", "K4": "José García", "K5": "Muhammad Ali", "K6": "张三丰"}
SPELT = [
    "O’Neil", "O´Neil", "ONeil", "Smith John", "John Smith", "JOHN SMITH", "阿卜杜热合曼", "阿卜杜‧热合曼", "阿卜杜∙热合曼", "Nguyen Van An", "NGUYỄN VĂN AN", "Jose Garcia", "Jose\u0301 Garci\u0301a",
    "Muhammad, Ali", "Muhammad\nAli", "張三豐", "张 三 丰", "张\n三丰",
    "一三八，一二三四，五六七八", "一三八、一二三四、五六七八", "壹叁捌壹贰叁肆伍陆柒捌", "⑴⑶⑻⑴⑵⑶⑷⑸⑹⑺⑻", "१३८१२३४५६७८", "١٣٨١٢٣٤٥٦٧٨", "138:1234:5678", "138;1234!5678", "138【1234】5678", "138,,1234,,5678", "138&nbsp;1234%205678",
]


def test_known_names_and_numbers_are_found_however_they_are_spelt() -> None:
    redactor = redact.Redactor(KEY, [*(("name", name, case) for case, name in BASE.items()), ("number", "13812345678", "K6")])
    for spelt in SPELT:
        (made,) = redactor.texts([f"《{spelt}》"])
        assert spelt not in made and len(made) == len(spelt) + 2 and (made[0], made[-1]) == ("《", "》"), spelt
        assert redactor.left({"a.csv": f"\ufefftext\r\n\"{spelt}\"\r\n".encode()}) == "a.csv", spelt
    benign = ["他姓张，三点半到丰台", "还款，李明天来", "Hello, Alice", "金额138元，1234期，共5678", "编号一三八，其余另议", "Hello Smithson"]
    assert redactor.texts(benign) == benign


@pytest.mark.parametrize(
    ("kind", "known", "written"),
    [
        ("name", "王小丽（母亲）", ["王小丽来电", "找王小丽"]), ("name", "母亲:王小丽", ["王小丽"]), ("name", "张三丰/李四光", ["张三丰不在", "找李四光"]), ("name", "张建国先生", ["张建国"]),
        ("name", "Mr. John Smith", ["john called", "Smith, call me", "Smith John"]), ("name", "Ms Grace Tan (wife)", ["Grace said", "Tan rang"]),
        ("number", "85291234567", ["91234567", "+852 9123 4567", "0085291234567"]), ("number", "91234567", ["85291234567", "+852-91234567", "6591234567"]),
        ("number", "09171234567", ["+639171234567", "9171234567", "639171234567"]), ("number", "+919876543210", ["9876543210", "09876543210"]), ("number", "081234567890", ["+6281234567890", "81234567890"]),
        ("number", "07911123456", ["+447911123456", "+44 (0)7911 123456"]), ("number", "13812345678", ["8613812345678", "+86 138 1234 5678"]), ("number", "075512345678", ["12345678", "0755-12345678"]),
    ],
)  # fmt: skip
def test_names_in_cells_that_hold_more_and_numbers_of_every_country_are_found(kind: str, known: str, written: list[str]) -> None:
    redactor = redact.Redactor(KEY, [(kind, known, "p")])
    for text in written:
        assert redactor.texts([text])[0] != text and redactor.holds([text]) and not redactor.holds(redactor.texts([text])), text


def test_what_only_looks_like_a_part_of_a_name_or_number_stays() -> None:
    redactor = redact.Redactor(KEY, [("number", "91234567", "p"), ("number", "85291234568", "p"), ("name", "Will May", "q"), ("name", "王女士（母亲）", "r"), ("name", "Ms Grace Tan (wife)", "s"), ("name", "Siti binti Omar", "t")])
    benign = ["order 202691234567890", "订单1912345678", "991234567", "912345678", "will you pay in may", "grace period", "母亲来电", "王先生", "the wife", "binti", "tanned"]
    assert redactor.texts(benign) == benign


def test_our_own_words_in_statements_and_rule_files_stay(world: World, key: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Whoever reviews is called local, or Max, as columns and functions are: the second pack's SQL still runs, and is redacted in its literals."""
    shutil.copy(world.run, tmp_path / "r.duckdb")
    log = review.Reviews(tmp_path / "r.duckdb")
    with runs.connect(tmp_path / "r.duckdb") as own:
        finding = own.execute("SELECT min(finding_id) FROM findings").fetchall()[0][0]
        for actor in ("local", "Max", "Min"):
            log.decide(own, finding, actor, "dismissed", f"{actor} saw it")
        made = []
        for number in range(2):
            export.write(own, tmp_path / "p.zip", options=export.Options("redacted", key, reviews=log))
            log.act("local", "export", "r", edition="redacted", format="zip", findings=number)
            made.append((tmp_path / "p.zip").read_bytes())
        export.write(own, tmp_path / "f.zip", options=export.Options(reviews=log))
        log.act("local", "export", "r", edition="full", format="zip", findings=2)
        assert made[0] == made[1] and export.verify(tmp_path / "p.zip", own, full=tmp_path / "f.zip", reviews=log).wrong == (), "the two tie, in whatever order they were made"
    with zipfile.ZipFile(tmp_path / "p.zip") as archive, zipfile.ZipFile(tmp_path / "f.zip") as full:
        sql = next(name for name in archive.namelist() if name.startswith("sql/"))
        bare, whole = (re.sub(r"'(?:[^']|'')*'", "''", a.read(sql).decode()) for a in (archive, full))
        assert bare == whole and "local_at" in bare
        assert "local saw it" in archive.read("verdicts.csv").decode() and "Max saw it" not in archive.read("verdicts.csv").decode()
        digests = [{row["evidence_digest"] for row in csv.DictReader(io.StringIO(a.read("findings.csv").decode("utf-8-sig")))} for a in (archive, full)]
        assert not digests[0] & digests[1] and len(digests[0]) == len(digests[1]), "a digest of sequential ids could be found out"
    redactor = redact.Redactor(KEY, [("name", "Max", "q")])
    shown = redactor.sources({"a.sql": "SELECT max(x), 'Max paid' FROM t\nWHERE a='x'", "b.yaml": "check:\n  max: 3\n  window: {max: 3, kind: max}\n  of: [max, x]\ntitle: Max calls once\nx: max\n"})
    assert [re.sub(f"[{chr(0xAC00)}-{chr(0xD7A3)}]", "#", text) for text in shown] == [
        "SELECT max(x), '### paid' FROM t\nWHERE a='x'", "check:\n  max: 3\n  window: {max: 3, kind: max}\n  of: [max, x]\ntitle: ### calls once\nx: max\n",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["HKID A123456(3)", "身份证A123456(3)", "nric S1234567D", "IC F1234567N", "身分證A123456789", "to GB29 NWBK 6016 1331 9268 19", "aadhaar 1234 5678 9012", "PAN ABCDE1234F"],
)
def test_identity_cards_of_other_places_and_ibans_are_found(text: str) -> None:
    redactor, sheet = redact.Redactor(KEY, []), Sheet("contacts", ("text",), [(text,)])
    redactor.learn([sheet])
    ((shown,),) = redactor.sheet(sheet).rows
    assert redact.masked(shown) and not re.search(r"\d{4}", shown)
    wrong = re.sub(r"\d(?=\D*$)", lambda m: str((int(m[0]) + 1) % 10), text)
    if not re.match("aadhaar|PAN", text):
        assert not redact.Redactor(KEY, []).holds([wrong]) and not [h for h in find_personal_data([wrong]) if h.entity in ("NATIONAL_ID", "IBAN")], "the sum does not hold"


def test_columns_in_which_anybody_may_write_anything_are_looked_through(key: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "agents.csv").write_text("agent_id,name,team,vendor\nA1,赵催收,刘组长13911112222组,个人合作方13911113333\n", encoding="utf-8")
    (logs / "contacts.csv").write_text(
        "contact_id,case_id,started_at,channel,direction,outcome,relation,text,agent_id\nREC_13955556666_0001,K1,2026-03-02 23:10:00,call,outbound,conversation,self,x,A1\n", encoding="utf-8"
    )
    path = audit.run([str(logs)], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="r").path
    with runs.connect(path) as con:
        drawn = sampling.draw(con, sampling.Plan("findings", "random", "13777778888", 1, reason="客户刘德华13766667777投诉"))
        sampling.write_paper(drawn, tmp_path / "paper.csv", datetime(2026, 1, 1))
        export.write(con, tmp_path / "r.zip", options=export.Options("redacted", key, samples=(tmp_path / "paper.csv",)))
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        told = b"".join(archive.read(name) for name in archive.namelist() if name != "verify.py").decode("utf-8", "replace")
    for number in ("13911112222", "13911113333", "13955556666", "13777778888", "13766667777"):
        assert number not in told
