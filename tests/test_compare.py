"""Runs compared, values tried, contacts asked about beforehand, conflicts computed: against the audit itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from analyzer import advise, audit, compare, coverage, rules
from analyzer.checks import Prepared, prepare
from analyzer.errors import RuleErrors, UsageError
from analyzer.text import Words
from tests.conftest import ROOT

Write = Callable[[str, str], Path]
HEADER = "contact_id,案件编号,联系人编号,与客户关系,渠道,方向,通话时间,通话结果,通话类型,坐席工号,催记内容\n"
CASES = "案件编号,客户编号,放款机构,机构类型,法域\nK1,D1,甲,消费金融,CN\nK2,D2,甲,消费金融,CN\n"
AGENTS = "坐席工号,姓名,小组,委外机构\nA1,甲某,一组,\nA2,乙某,二组,乙机构\n"
PEOPLE = "联系人编号,案件编号,姓名,与客户关系\nP1,K1,张一,本人\nP2,K1,张二,父母\n"


def _call(number: int, at: str, person: str = "P1", relation: str = "本人", outcome: str = "接通") -> str:
    return f"c{number},K1,{person},{relation},电话,呼出,{at},{outcome},交互式,A1,核对账单，约好再联系\n"


def _logs(folder: Path, calls: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "calls.csv").write_text(HEADER + "".join(calls), encoding="utf-8")
    (folder / "cases.csv").write_text(CASES, encoding="utf-8")
    (folder / "people.csv").write_text(PEOPLE, encoding="utf-8")
    (folder / "agents.csv").write_text(AGENTS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run with a call at night, and a later one without it, with another night call and with four calls on one day."""
    base = tmp_path_factory.mktemp("runs")
    early = _logs(base / "a", [_call(1, "2026-03-02 23:00:00"), _call(2, "2026-03-03 23:30:00"), _call(9, "2026-03-05 21:30:00")])
    late = _logs(base / "b", [_call(2, "2026-03-03 23:30:00"), *(_call(n, f"2026-03-04 1{n}:00:00") for n in range(3, 7)), _call(9, "2026-03-05 21:30:00")])
    for name, folder in (("first", early), ("second", late)):
        audit.run([str(folder)], base / "runs", packs=["cn-gbt-45251"], run_id=name)
    return base / "runs" / "first.duckdb", base / "runs" / "second.duckdb"


def test_a_difference_says_what_and_why(two: tuple[Path, Path]) -> None:
    told = compare.diff(*two)
    assert (told.old, told.new, told.counts) == ("first", "second", {"new": 1, "resolved": 1, "open": 1})
    assert {(f["state"], f["rule"], f["why"]) for f in told.findings} == {
        ("new", "cn-gbt-45251/interactive-calls", "data_added"), ("resolved", "cn-gbt-45251/quiet-hours", "data_removed"),
        ("open", "cn-gbt-45251/quiet-hours", "same"),
    }  # fmt: skip
    same = compare.diff(two[0], two[0])
    assert same.counts["new"] == same.counts["resolved"] == 0 and {f["why"] for f in same.findings} == {"same"}


@pytest.mark.parametrize(
    ("change", "before", "after", "contacts"),
    [("quiet-hours.closes=21:00", 2, 3, 3), ("quiet-hours.closes=23:30", 2, 1, 1), ("quiet-hours.closes=22:00", 2, 2, 2)],
)
def test_other_values_on_a_run(two: tuple[Path, Path], change: str, before: int, after: int, contacts: int) -> None:
    found = compare.backtest(two[0], ROOT / "rules", [f"cn-gbt-45251/{change}"])[0]
    assert (found.before, found.after, found.contacts_after, found.stale) == (before, after, contacts, False)
    assert sum(row["findings"] for row in found.added) - sum(row["findings"] for row in found.removed) == after - before


@pytest.mark.parametrize(
    ("change", "key"),
    [("quiet-hours", "usage.set"), ("cn-gbt-45251/quiet-hours.limit=3", "usage.no_parameter"), ("us-reg-f/seven-in-seven.limit=3", "usage.rule_not_in_run")],
)
def test_what_cannot_be_tried_is_one_sentence(two: tuple[Path, Path], change: str, key: str) -> None:
    with pytest.raises(UsageError) as caught:
        compare.backtest(two[0], ROOT / "rules", [change])
    assert caught.value.key == key


def test_a_time_that_is_none_is_said(two: tuple[Path, Path]) -> None:
    with pytest.raises(RuleErrors) as caught:
        compare.backtest(two[0], ROOT / "rules", ["cn-gbt-45251/quiet-hours.opens=25:00", "cn-gbt-45251/quiet-hours.closes=25:00"])
    assert {p.key for p in caught.value.problems} == {"rules.not_a_time"}


@cache
def standard() -> list[Prepared]:
    return prepare(rules.select(ROOT / "rules", ["cn-gbt-45251"]))


def test_advice_says_no_yes_and_unknown(two: tuple[Path, Path]) -> None:
    def ask(**more: Any) -> advise.Advice:
        return advise.may_contact(two[1], standard(), [advise.Question(**{"case_id": "K1", "channel": "call", "at": datetime(2026, 3, 6, 10), "call_type": "interactive", **more})])[0]

    assert ask().answer == "yes"
    night = ask(at=datetime(2026, 3, 6, 22))
    assert night.answer == "no" and {r.rule for r in night.reasons if r.answer == "no"} == {"cn-gbt-45251/quiet-hours"}
    fifth = ask(at=datetime(2026, 3, 4, 18))
    assert ("cn-gbt-45251/interactive-calls", ("conversation",)) in {(r.rule, r.outcomes) for r in fifth.reasons if r.answer == "no"}
    assert ask(person_id="P2").answer == "no"
    with pytest.raises(UsageError):
        ask(case_id="K9")
    with pytest.raises(UsageError):
        ask(person_id="P9")


def test_advice_says_from_when(two: tuple[Path, Path]) -> None:
    def ask(rules_: list[Prepared], at: datetime, **more: Any) -> datetime | None:
        told = advise.may_contact(two[1], rules_, [advise.Question(**{"case_id": "K1", "channel": "call", "at": at, "call_type": "interactive", **more})], when=True)[0]
        assert told.answer == "no"
        if told.not_before:
            assert advise.may_contact(two[1], rules_, [advise.Question(**{"case_id": "K1", "channel": "call", "at": told.not_before, "call_type": "interactive", **more})])[0].answer != "no"
        return told.not_before

    assert ask(standard(), datetime(2026, 3, 6, 22)) == datetime(2026, 3, 7, 8)
    # The fourth conversation of a day waits for the next one, whose first permitted time is not the same hour.
    assert ask(standard(), datetime(2026, 3, 4, 18)) == datetime(2026, 3, 5, 8)
    assert ask(standard(), datetime(2026, 3, 6, 10), person_id="P2") is None
    night = {"kind": "hours", "scope": {}, "opens": "23:30", "closes": "23:40"}
    assert ask(_own(night), datetime(2026, 3, 6, 22)) == datetime(2026, 3, 6, 23, 30)


def _own(check: dict[str, Any]) -> list[Prepared]:
    """One rule of our own, that asks `check` of every contact in China."""
    pack = rules.select(ROOT / "rules", ["cn-gbt-45251"])[0]
    return prepare([replace(pack, rules=(replace(pack.rules[0], check=check, values={}, in_force=None, cases=()),))])


def test_advice_knows_who_would_call_and_nothing_that_comes_later(two: tuple[Path, Path]) -> None:
    def ask(check: dict[str, Any], **more: Any) -> advise.Advice:
        return advise.may_contact(two[1], _own(check), [advise.Question(**{"case_id": "K1", "channel": "call", "at": datetime(2026, 3, 6, 10), **more})])[0]

    agency = {"kind": "hours", "scope": {"vendor": "乙机构", "team": "二组"}, "opens": "12:00", "closes": "13:00"}
    assert ask(agency, agent_id="A2").answer == "no" and ask(agency, agent_id="A1").answer != "no"
    # Six contacts in all, of which one came before that moment.
    many = {"kind": "sql", "scope": {}, "needs": [], "breach": "SELECT contact_id AS episode, seq, NULL AS measured FROM scoped WHERE (SELECT count(*) FROM contacts) > 2"}
    assert ask(many).answer == "no" and ask(many, at=datetime(2026, 3, 4, 9)).answer == "yes"
    follows = {"kind": "sequence", "scope": {}, "after": {"where": {"channel": "sms"}, "per": ["case"], "dates": 0}}
    assert (ask(follows).answer, ask(follows).not_asked) == ("yes", 1)


@settings(max_examples=8, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 3 * 24 * 12), st.sampled_from(["本人", "父母"]), st.sampled_from(["接通", "无人接听"])), max_size=8),
    st.integers(3 * 24 * 12, 5 * 24 * 12), st.sampled_from(["本人", "父母"]),
)  # fmt: skip
def test_what_is_allowed_is_no_breach_and_what_is_refused_is_one(
    tmp_path_factory: pytest.TempPathFactory, past: list[tuple[int, str, str]], when: int, whom: str
) -> None:
    """The same contact, asked about before and audited after: a yes is never a breach of a rule that was asked, a no with an outcome always is."""
    start, person = datetime(2026, 3, 2, 0, 0, 7), {"本人": "P1", "父母": "P2"}
    at = start + timedelta(minutes=5 * when)
    base = tmp_path_factory.mktemp("asked")
    calls = [_call(n, str(start + timedelta(minutes=5 * offset)), person[relation], relation, outcome) for n, (offset, relation, outcome) in enumerate(past)]
    calls.append(_call(90, "2026-02-20 10:00:00"))
    audit.run([str(_logs(base / "before", calls))], base / "runs", packs=["cn-gbt-45251"], run_id="before")
    told = advise.may_contact(base / "runs" / "before.duckdb", standard(), [advise.Question("K1", "call", at, person[whom], "interactive", "A1")])[0]
    asked = {p.rule.ref for p in standard() if p.rule.kind not in advise.LATER_KINDS}
    for outcome, said in (("conversation", "接通"), ("no_answer", "无人接听")):
        name = f"after-{outcome}"
        audit.run([str(_logs(base / name, [*calls, _call(99, str(at), person[whom], whom, said)]))], base / "runs", packs=["cn-gbt-45251"], run_id=name)
        con = duckdb.connect(str(base / "runs" / f"{name}.duckdb"), read_only=True)
        broken = {row[0] for row in con.execute("SELECT f.rule FROM findings f JOIN finding_evidence e USING (finding_id) WHERE e.contact_id = 'c99' AND e.role = 'breach'").fetchall()}
        con.close()
        assert broken & asked == {r.rule for r in told.reasons if r.answer == "no" and outcome in r.outcomes}


@pytest.fixture(scope="module")
def clashes(words: Words) -> Iterator[list[coverage.Conflict]]:
    yield coverage.conflicts(rules.select(ROOT / "rules", ["lender-playbook", "cn-gbt-45251"]), words)


def test_conflicts_of_policy_and_law_are_computed(clashes: list[coverage.Conflict]) -> None:
    """The handbook lets third persons be called from day 6 on, to be asked about a debtor who is within reach: the standard does not."""
    assert {("lender-playbook/days-6-to-17", "cn-gbt-45251/third-party-gate"), ("lender-playbook/days-18-to-30", "cn-gbt-45251/third-party-disclosure")} <= {
        (c.policy, c.against) for c in clashes
    }
    assert all(c.contacts and c.strength == "standard" for c in clashes)


def test_the_shortest_example_is_shown_whatever_the_order_of_cases(clashes: list[coverage.Conflict], words: Words) -> None:
    policy, law = rules.select(ROOT / "rules", ["lender-playbook"])[0], rules.select(ROOT / "rules", ["cn-gbt-45251"])[0]
    few = [replace(r, cases=r.cases[::-1]) for r in policy.rules if r.id in ("days-6-to-17", "days-18-to-30")]
    again = coverage.conflicts([replace(policy, rules=tuple(few)), law], words)
    assert {(c.policy, c.against, c.size) for c in again} == {(c.policy, c.against, c.size) for c in clashes if c.policy.split("/")[1] in ("days-6-to-17", "days-18-to-30")}


def test_every_row_and_clause_is_accounted_for() -> None:
    packs = rules.select(ROOT / "rules")
    rows, clauses = coverage.coverage(packs, {"cn-gbt-45251/quiet-hours": 3})
    assert {r.row for r in rows} == rules.ROWS and [r.row for r in rows if not r.rules and r.row not in ("C21",)] == []
    assert next(r for r in rows if r.row == "C8").findings == 3
    for pack in packs:
        mine = [c for c in clauses if c.pack == pack.id]
        assert {ref for c in mine for ref in c.rules} == {r.ref for r in pack.rules if r.status != "retired"}
        assert sum(c.decided == "not_decided" for c in mine) == len(pack.not_decided)


def test_two_runs_are_summed_up_by_what_is_asked(two: tuple[Path, Path]) -> None:
    told = compare.diff(*two)
    for column in compare.BY:
        rows = told.by(column)
        assert {state: sum(r[state] for r in rows) for state in ("new", "resolved", "open")} == {s: told.counts[s] for s in ("new", "resolved", "open")}
        assert {r["value"] for r in rows} == {f[column] for f in told.findings} and len(rows) == len({r["value"] for r in rows})
        changes = [abs(r["new"] - r["resolved"]) for r in rows]
        assert changes == sorted(changes, reverse=True)
