"""Every shipped rule proves itself; every mistake in a rule file is found, all at once, with file and line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest

from analyzer import casebook, explain, mutation, reference, rules, yamlfile
from analyzer.errors import RuleErrors, UsageError
from analyzer.model import Pack, Rule
from analyzer.text import Lexicons, Words
from tests.conftest import ROOT

FOLDER = ROOT / "rules"
PACKS: list[Pack] = rules.select(FOLDER)
KINDS_USED = {"hours", "frequency", "gate", "sequence", "disclosure", "wording", "personal_data", "record", "retention", "share", "near_miss", "sql"}


@pytest.fixture(scope="module")
def ready(words: Words) -> Iterator[Callable[[Rule], list[casebook.CaseResult]]]:
    """Runs the cases of one shipped rule: each process only those of the rules that fall to it."""
    prepared, reading = casebook.made_ready(PACKS, words)
    items = {item.rule.ref: item for item in prepared}
    with casebook.bench() as con:
        yield lambda rule: casebook.run_rule(con, items[rule.ref], reading, PACKS)


@pytest.mark.parametrize("rule", [rule for pack in PACKS for rule in pack.rules], ids=lambda rule: rule.ref)
def test_cases_hold(rule: Rule, ready: Callable[[Rule], list[casebook.CaseResult]]) -> None:
    results = ready(rule)
    assert len(results) == len(rule.cases)
    assert [(r.case, r.wrong) for r in results if r.ok == r.todo] == []


def test_the_lexicons_hold_their_own_examples(lexicons: Lexicons) -> None:
    results = casebook.run_lexicon_examples(lexicons)
    assert len(results) > 200
    assert [r for r in results if not r.ok] == []


def test_rules_of_law_cite_no_deeper_than_is_known() -> None:
    """GB/T 45251-2025 is known to its second-level headings; what is only reported or recalled says so."""
    for pack in PACKS:
        for rule in pack.rules:
            for cite in rule.citations:
                if "45251" in cite.instrument.zh:
                    assert (cite.clause.zh, cite.clause.en) in (("5.2", "5.2"), ("5.3", "5.3"), ("条号未见", "clause not seen"))
                    assert cite.known in ("reported", "unverified")
            if pack.id in ("lender-playbook", "early-warning"):
                assert rule.strength == "policy" and all(c.known == "house" for c in rule.citations)
            if all(c.known == "unverified" for c in rule.citations):
                assert rule.status == "trial" and rule.effect == "review"


def test_every_kind_is_used_by_a_shipped_rule() -> None:
    assert {r.kind for p in PACKS for r in p.rules} == KINDS_USED


@pytest.mark.parametrize(
    ("rule", "value", "other"),
    [
        ("cn-gbt-45251/quiet-hours", "quiet_from", "23:00"), ("cn-gbt-45251/quiet-hours", "quiet_until", "07:00"),
        ("cn-gbt-45251/interactive-calls", "max_calls", 4), ("cn-gbt-45251/notice-calls", "max_calls", 2),
        ("cn-gbt-45251/third-party-gate", "failed_attempts", 2), ("us-reg-f/seven-in-seven", "max_calls", 8),
        ("us-reg-f/after-conversation", "wait_dates", 6), ("us-reg-f/inconvenient-hours", "opens", "07:00"),
    ],
)  # fmt: skip
def test_a_changed_value_turns_a_case_red(rule: str, value: str, other: object, words: Words) -> None:
    """The deliberate break: each limit of the law, off by one."""
    pack = next(p for p in PACKS if p.id == rule.split("/")[0])
    found = next(r for r in pack.rules if r.ref == rule)
    assert value in found.values, list(found.values)
    values = found.values | {value: tuple((day, other) for day, _ in found.values[value])}
    broken = replace(pack, rules=(replace(found, values=values),))
    assert any(not r.ok for r in casebook.run_cases([broken], words))


def _broken(tmp_path: Path, change: Callable[[str], str], name: str = "quiet-hours.yaml") -> list[tuple[str, int, str]]:
    folder = tmp_path / "rules"
    shutil.copytree(FOLDER, folder)
    path = folder / "cn-gbt-45251" / name
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(RuleErrors) as caught:
        casebook.check_all(folder, ["cn-gbt-45251"])
    for lang in ("zh", "en"):
        assert "cn-gbt-45251/" in caught.value.text(lang)
    return [(p.path, p.line, p.key) for p in caught.value.problems]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("severity: high", "severity: high\nseverity: low", "yaml.duplicate_key"),
        ("severity: high", "severitty: high", "rules.unknown_key"),
        ("severity: high", "severity: dreadful", "rules.wrong_value"),
        ("serves: [C8]", "serves: [C99]", "rules.wrong_value"),
        ("id: quiet-hours", "id: quiet-hour", "rules.id_differs"),
        ("status: stable", "status: [stable", "yaml.broken"),
        ("  kind: hours", "  kind: hour", "rules.unknown_kind"),
        ("  kind: hours", "  kind: hours\n  closing: 1", "rules.unknown_key"),
        ("  opens: $quiet_until", "  opens: $nothing", "rules.no_such_value"),
        ("    direction: outbound\n", "    directions: outbound\n", "rules.scope_column"),
        ('"2025-02-28": "22:00"', '"2025-02-28": "22:00", "2027-01-01": "21:00"', "rules.one_sided"),
        ("expect: {breach: [a]}", "expect: {wrong: [a]}", "rules.wrong_value"),
        ("citations:\n", "citations: []\nother:\n", "rules.wrong_value"),
    ],
)
def test_a_mistake_is_found_with_its_line(old: str, new: str, key: str, tmp_path: Path) -> None:
    text = (FOLDER / "cn-gbt-45251" / "quiet-hours.yaml").read_text(encoding="utf-8")
    assert old in text
    problems = _broken(tmp_path, lambda s: s.replace(old, new, 1))
    assert key in {k for _, _, k in problems}
    assert all(line >= 1 for _, line, _ in problems)
    expected = text[: text.index(old)].count("\n") + 1
    assert min(abs(line - expected) for _, line, k in problems if k == key) <= 2 or key in ("rules.one_sided", "rules.scope_column", "rules.wrong_value", "rules.no_such_value")


@pytest.mark.parametrize(
    ("old", "new", "meant"),
    [
        ("severity: high", "severitty: high", "severity"), ("  kind: hours", "  kind: hour", "hours"), ("  opens: $quiet_until", "  opens: $quiet_untill", "quiet_until"),
        ("    direction: outbound\n", "    directions: outbound\n", "direction"), ("  closes:", "  closses:", "closes"), ("  kind: hours", "  kind: zzz", None),
    ],
)  # fmt: skip
def test_a_mistake_is_told_what_was_meant(old: str, new: str, meant: str | None, tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    shutil.copytree(FOLDER / "cn-gbt-45251", folder / "cn-gbt-45251")
    path = folder / "cn-gbt-45251" / "quiet-hours.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RuleErrors) as caught:
        casebook.check_all(folder)
    for lang, told in (("zh", "是不是 {}？"), ("en", " Did you mean {}?")):
        asked = [line for line in caught.value.text(lang).splitlines() if told.split("{}")[0] in line]
        assert bool(asked) == (meant is not None) and all(line.endswith(told.format(meant)) for line in asked)


def test_the_schema_takes_every_shipped_rule_and_no_misspelt_key() -> None:
    check = jsonschema.Draft202012Validator(reference.schema())
    for pack in PACKS:
        for rule in pack.rules:
            data = yamlfile.read(rule.path).data
            assert check.is_valid(data), rule.ref
            key = next(k for k in data["check"] if k != "kind")
            data["check"][f"{key}s_"] = data["check"].pop(key)
            assert not check.is_valid(data), rule.ref


def test_the_page_of_keys_is_as_generated() -> None:
    assert (ROOT / "docs" / "rule-keys.md").read_text(encoding="utf-8") == reference.markdown()
    found = reference.keys()
    assert {k.within for k in found} >= {"rule", "pack", "event_condition", "unless", "unreachable", *KINDS_USED}


def test_a_rule_without_cases_for_both_sides_does_not_load(tmp_path: Path) -> None:
    keys = [k for _, _, k in _broken(tmp_path, lambda s: s[: s.index("cases:")] + "cases: []\n")]
    assert keys.count("rules.no_case") == 2 and "rules.one_sided" in keys


def test_all_mistakes_of_all_files_come_together(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    shutil.copytree(FOLDER, folder)
    for name, old, new in (("quiet-hours", "severity: high", "severitty: high"), ("call-record", "id: call-record", "id: other"), ("notice-calls", "kind: frequency", "kind: nothing")):
        path = folder / "cn-gbt-45251" / f"{name}.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    lexicon = folder / "lexicon" / "insult.yaml"
    with pytest.raises(RuleErrors) as caught:
        casebook.check_all(folder)
    assert {p.path for p in caught.value.problems} == {f"cn-gbt-45251/{n}.yaml" for n in ("quiet-hours", "call-record", "notice-calls")}
    lexicon.write_text(lexicon.read_text(encoding="utf-8").replace("label: abuse", "label: rude"), encoding="utf-8")
    with pytest.raises(RuleErrors):
        casebook.check_all(folder)


@pytest.mark.parametrize(
    ("sql", "key"),
    [
        ("SELECT nothing FROM scoped", "rules.sql_broken"), ("SELECT 'x' AS episode, seq, NULL AS measured FROM scoped; SELECT 1", "rules.sql_not_select"),
        ("DROP TABLE contacts", "rules.sql_not_select"), ("SELECT 'x' AS episode, seq, NULL AS measured FROM main.contacts", "rules.sql_reaches_out"),
        ("SELECT 'x' AS episode, 1 AS seq, content AS measured FROM read_text('/etc/passwd')", "rules.sql_reaches_out"), ("SELECT (", "rules.sql_broken"),
    ],
)  # fmt: skip
def test_the_sql_of_a_rule_is_checked_as_code(sql: str, key: str, tmp_path: Path) -> None:
    text = f"check:\n  kind: sql\n  scope: {{direction: outbound}}\n  needs: []\n  breach: |\n    {sql}\n"
    keys = [k for _, _, k in _broken(tmp_path, lambda s: s[: s.index("check:")] + text + s[s.index("cases:") :])]
    assert key in keys


@pytest.mark.parametrize("kind", sorted(KINDS_USED))
def test_a_new_rule_of_any_kind_begins_as_one_that_works(kind: str, tmp_path: Path, words: Words) -> None:
    like = min((r for p in PACKS for r in p.rules if r.kind == kind), key=lambda r: (r.status != "stable", len(r.cases), r.ref))
    path = explain.new_rule("our-policy/our-rule", like, tmp_path)
    packs, problems = rules.load(tmp_path)
    # A near miss is of another rule, which has to be in use as well.
    others = [p for p in PACKS if kind == "near_miss"]
    found = [r for r in casebook.run_cases([*packs, *(replace(p, rules=tuple(replace(r, cases=()) for r in p.rules)) for p in others)], words, problems) if r.rule == "our-policy/our-rule"]
    assert path.is_file() and packs[0].rules[0].status == "draft" and len(found) == len(like.cases)
    assert [r.wrong for r in found if not r.ok] == []
    with pytest.raises(UsageError):
        explain.new_rule("our-policy/our-rule", like, tmp_path)
    with pytest.raises(UsageError):
        explain.new_rule("../x", like, tmp_path)


def test_changes_that_no_case_notices_are_told(words: Words) -> None:
    """seven-in-seven with and without the cases that lie beside the limit."""
    def unnoticed(cases: int | None) -> set[str]:
        packs = [replace(p, rules=tuple(replace(r, cases=r.cases[:cases]) if r.id == "seven-in-seven" else r for r in p.rules)) for p in PACKS]
        return {m.what for m in mutation.mutate(packs, ["us-reg-f/seven-in-seven"], words, FOLDER) if m.noticed is None}

    # The first two cases hold the eighth call in seven dates and in eight.
    first = unnoticed(2)
    assert {"values.max_calls.2021-11-30 7 -> 6", "values.max_calls.2021-11-30 7 -> 8", "check.dates 7 -> 6", "check.dates 7 -> 8"}.isdisjoint(first)
    assert {"check.scope.direction left out", "check.scope.channel without voicemail", "check.per without collector"} <= first
    assert unnoticed(None) < first
    assert unnoticed(0) > first


@pytest.mark.parametrize("rule_id", ["notice-before-visit", "number-mix-home"])
def test_a_rule_waits_for_the_first_date_of_its_figures(rule_id: str, words: Words) -> None:
    """The figures begin a day later than the rule: on its first day, which the case is about, it is not in force yet."""
    pack = next(p for p in PACKS if p.id == "lender-playbook")
    rule = next(r for r in pack.rules if r.id == rule_id)
    spec = next(c for c in rule.cases if c["name"].startswith("手册首日"))
    expect = {"not_in_force": [i for outcome in ("breach", "clear") for i in spec["expect"].get(outcome, [])], "not_applicable": spec["expect"].get("not_applicable", [])}
    values = {name: tuple((since + timedelta(1), figure) for since, figure in spans) for name, spans in rule.values.items()}
    later = replace(rule, values=values, cases=({**spec, "expect": expect},))
    assert expect["not_in_force"] and [r.wrong for r in casebook.run_cases([replace(pack, rules=(later,))], words)] == [()]


@pytest.mark.parametrize(("name", "packs"), [("stop-reply", ("us-reg-f", "us-nyc")), ("opt-out-notice", ("us-reg-f", "us-nyc")), ("extra-fees", ("cn-cba-2026", "cn-nifa-2018"))])
def test_what_two_packs_tell_alike_is_one_text(name: str, packs: tuple[str, str]) -> None:
    """Whoever mends one mends the other."""
    one, other = ({rule.id: rule for pack in rules.chosen(FOLDER, [pack])[0] for rule in pack.rules}[name].check["breach"] for pack in packs)
    assert one == other
