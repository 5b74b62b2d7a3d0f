"""One catalogue, two languages, nothing forgotten."""

from __future__ import annotations

import re
import string

from analyzer import messages
from analyzer.intake.columns import WORDS
from analyzer.rules import ROWS
from analyzer.text import lexicon_ids
from tests.conftest import ROOT

CODE = [*sorted((ROOT / "analyzer").rglob("*.py")), ROOT / "app.py"]
KEY = re.compile(r"""["']((?:input|reject|scan|rules|yaml|mapping|run|usage|talk|inspect|explain|export|report|help|column|word|page|verify|sign|redact|sampling)\.[a-z_]+)["']""")


def test_both_languages_say_the_same_things() -> None:
    for key, (zh, en) in messages._CATALOGUE.items():
        assert zh.strip() and en.strip(), key
        fields = [{f for _, f, _, _ in string.Formatter().parse(text) if f} for text in (zh, en)]
        assert fields[0] == fields[1], key
        if not key.startswith(("word.", "column.")):
            assert re.search(r"[\u4e00-\u9fff]", zh) or not re.search(r"[a-z]{2}", re.sub(r"{.*?}", "", en)), key
        assert not re.search(r"[\u4e00-\u9fff]", en), key


def test_every_key_in_the_code_is_in_the_catalogue() -> None:
    known = messages.keys()
    for path in CODE:
        for key in KEY.findall(path.read_text(encoding="utf-8")):
            assert key in known or key in ("run.duckdb", "verify.py", "mapping.yaml", "sampling.csv"), f"{path.name}: {key}"


def test_no_sentence_stands_outside_the_catalogue() -> None:
    """Chinese in the code is data: header aliases, units, marks; never a sentence to a user."""
    allowed = {"messages.py", "columns.py", "values.py", "normalise.py", "context.py", "conditions.py", "personal_data.py", "recognisers.py",
                   "pack_verifier.py"}  # fmt: skip
    for path in CODE:
        if path.name in allowed:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            code = re.sub(r'""".*|#.*', "", line)
            assert not re.search(r"""["'][^"']*[\u4e00-\u9fff]{4,}[^"']*["']""", code), f"{path.name}:{number}"


def test_every_concept_that_signals_has_a_name_in_both_languages() -> None:
    for concept in lexicon_ids(ROOT / "rules" / "lexicon"):
        assert f"word.{concept}" in messages._CATALOGUE, concept


def test_a_word_before_a_figure_is_said_too() -> None:
    assert messages.say_words("day 7|gap 00:03:20", "en") == "in a day: 7, apart by 00:03:20" and messages.say_words("day 7", "zh") == "一日次数 7"
    assert messages.say_words("2026-03-01 10:00:00|nobody 7", "zh") == "2026-03-01 10:00:00, nobody 7"


def test_every_kind_of_event_has_a_word() -> None:
    assert {f"word.event_{kind}" for kind in WORDS["kind@case_events"]} <= messages.keys()


def test_every_row_that_rules_serve_has_a_word() -> None:
    assert {f"row.{row}" for row in ROWS} <= messages.keys()
