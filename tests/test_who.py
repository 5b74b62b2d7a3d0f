"""Who was contacted, where, and about what: facts that a row leaves out and others give, and facts that are of somebody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analyzer import advise, audit, rules, runs, store
from analyzer.casebook import bench, derive_given, outcomes
from analyzer.checks import prepare
from analyzer.checks.base import guests
from analyzer.errors import RuleErrors, UsageError
from analyzer.intake import Settings, load_mapping
from analyzer.scan import Message, judge_messages
from analyzer.text import TextReader, Words, load_lexicons
from tests.conftest import ROOT

DAY = "2026-03-{:02d} 15:00:00"


def _told(words: Words, name: str, given: dict[str, list[dict[str, Any]]], place: str = "US") -> dict[str, str]:
    pack = next(p for p in rules.select(ROOT / "rules", [name.split("/")[0]]))
    rule = next(r for r in pack.rules if r.id == name.split("/")[1])
    with bench() as con:
        return outcomes(con, prepare([replace(pack, rules=(rule,))])[0], given, words, place)


def _calls(count: int, first: int = 2, **more: Any) -> list[dict[str, Any]]:
    return [{"id": f"c{first + n}", "case": "K1", "at": DAY.format(first + n // 2), "number": "2125550101", "vendor": "Apex", "outcome": "no_answer", "zone": "America/New_York", "relation": "self"} | more for n in range(count)]


def test_the_zone_of_a_row_needs_no_other_that_names_it(words: Words) -> None:
    """Times by New York. Not known elsewhere: the row's own zone decides. One of several candidates that nobody else names is one nevertheless."""
    late = {"id": "a", "at": "2026-03-03 00:30:00", "zone": "America/Denver", "relation": "self", "outcome": "no_answer"}
    early = {"id": "b", "at": "2026-03-03 09:00:00", "zone": "America/New_York|America/Los_Angeles|America/Chicago", "relation": "self", "outcome": "no_answer"}
    cases = [{"id": "K1", "zone": None}, {"id": "K2", "zone": "America/New_York|America/Chicago"}]
    found = _told(words, "us-reg-f/inconvenient-hours", {"cases": cases, "contacts": [late, early | {"case": "K2"}]})
    assert found == {"a": "breach", "b": "breach"}


def test_one_person_is_counted_as_one_though_some_rows_do_not_say_who_he_is(words: Words) -> None:
    rows = _calls(5, person="P1") + [row | {"id": f"x{n}", "relation": None, "person": "P1"} for n, row in enumerate(_calls(3, 5))]
    found = _told(words, "us-reg-f/seven-in-seven", {"contacts": rows})
    assert [i for i, told in found.items() if told == "breach"] == ["x2"]


def test_a_person_who_is_called_by_two_relations_is_neither(words: Words) -> None:
    rows = [row | {"person": "P1"} for row in _calls(2)] + [_calls(1, 4)[0] | {"person": "P1", "relation": "friend"}] + [row | {"id": f"x{n}", "relation": None, "person": "P1"} for n, row in enumerate(_calls(6, 4))]
    assert "breach" not in _told(words, "us-reg-f/seven-in-seven", {"contacts": rows}).values()


def test_a_debt_left_out_where_others_of_the_case_name_one_is_not_known(words: Words) -> None:
    rows = _calls(5, debt_id="L1") + [row | {"id": f"x{n}"} for n, row in enumerate(_calls(3, 5))]
    found = _told(words, "us-reg-f/seven-in-seven", {"contacts": rows})
    assert found["x2"] == "undetermined" and "breach" not in found.values()
    # Where none names one, the case is the debt.
    assert _told(words, "us-reg-f/seven-in-seven", {"contacts": _calls(8)})["c9"] == "breach"


def test_a_call_of_an_agency_that_is_not_named_may_be_the_one_that_had_to_wait(words: Words) -> None:
    talked = _calls(1, outcome="conversation")[0]
    later = _calls(1, 3, vendor=None)[0]
    cases = [{"id": "K1", "lender": None}]
    assert _told(words, "us-reg-f/after-conversation", {"cases": cases, "contacts": [talked, later]}) == {"c2": "clear", "c3": "undetermined"}
    much_later = _calls(1, 20, vendor=None)[0]
    assert _told(words, "us-reg-f/after-conversation", {"cases": cases, "contacts": [talked, much_later]})["c20"] == "clear"


def test_a_contact_has_one_outcome_though_it_may_belong_to_several_agencies(tmp_path: Path) -> None:
    """It came too soon after one of nobody's, which is its own key, and perhaps after one of a named agency's."""
    head = "contact_id,case_id,person_id,channel,direction,started_at,outcome,relation,vendor,zone\n"
    lines = [f"{i},K1,P1,call,outbound,2026-03-0{day} 15:00:00,conversation,self,{vendor},America/New_York" for i, day, vendor in (("a", 2, ""), ("b", 3, "Apex"), ("c", 4, ""))]
    (tmp_path / "contacts.csv").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    run = audit.run([str(tmp_path / "contacts.csv")], tmp_path / "runs", packs=["us-reg-f"], settings=Settings("America/New_York", "US")).path
    with runs.connect(run) as con:
        told = dict(con.execute("SELECT outcome::VARCHAR, sum(contacts)::INTEGER FROM rule_results WHERE rule = 'us-reg-f/after-conversation' GROUP BY 1").fetchall())
    assert told == {"breach": 1, "undetermined": 1, "clear": 1}


def test_a_contact_is_one_guest_of_a_key_whatever_relations_it_was_logged_with() -> None:
    given = "SELECT seq, contact_id, TIMESTAMP '2026-03-02 15:00:00' AS at_utc, DATE '2026-03-02' AS day, NULL::VARCHAR AS missing, 'K1' AS case_id, relation, human FROM (VALUES (1, 'a', 'self', 'P1'), (2, 'b', 'friend', 'P1'), (3, 'c', NULL, NULL)) t(seq, contact_id, relation, human)"
    with duckdb.connect() as con:
        assert con.execute(guests(["human"], f"FROM ({given})", f"FROM ({given})", "human IS NOT NULL")).fetchall() == [("P1", 3, "c", datetime(2026, 3, 2, 15), date(2026, 3, 2), "vendor", True)]


def test_somebody_without_an_id_is_nobody_of_another_relation(words: Words) -> None:
    """Seven calls to the debtor and one to a colleague who has no id: the colleague is not the debtor."""
    rows = [*_calls(7, person="P1"), _calls(1, 2, relation="colleague")[0] | {"id": "x"}]
    found = _told(words, "us-reg-f/seven-in-seven", {"contacts": rows})
    assert all(told == "clear" for i, told in found.items() if i != "x")
    # Of one whose relation is not known either it may be said.
    assert "undetermined" in _told(words, "us-reg-f/seven-in-seven", {"contacts": [*_calls(7, person="P1"), _calls(1, 2, relation=None)[0] | {"id": "x"}]}).values()


@pytest.mark.parametrize(("relation", "told"), [("attorney", "breach"), ("self", "breach"), ("friend", "clear")])
def test_an_event_that_names_who_acts_for_the_debtor_is_his(words: Words, relation: str, told: str) -> None:
    given = {
        "persons": [{"id": "P9", "case": "K1", "relation": relation}], "case_events": [{"case": "K1", "kind": "attorney", "at": "2026-03-01 10:00:00", "person": "P9"}],
        "contacts": _calls(1, person="P1", outcome="conversation"),
    }  # fmt: skip
    assert _told(words, "us-reg-f/attorney-represented", given)["c2"] == told


@pytest.mark.parametrize(("kind", "relation", "told"), [("death", "self", "clear"), ("death", "parent", "breach"), ("unreachable", "emergency_contact", "breach"), ("unreachable", None, "clear"), ("death", "", "undetermined")])
def test_what_is_recorded_of_somebody_else_does_not_put_the_debtor_out_of_reach(words: Words, kind: str, relation: str | None, told: str) -> None:
    event = {"case": "K1", "kind": kind, "at": "2026-03-02 20:00:00"} | ({} if relation is None else {"person": "P9"})
    given = {
        "persons": [{"id": "P9", "case": "K1", "relation": relation}] if relation else [], "case_events": [event],
        "contacts": [
            {"id": "a", "case": "K1", "at": "2026-03-02 10:00:00", "relation": "self", "outcome": "conversation"},
            {"id": "b", "case": "K1", "at": "2026-03-03 10:00:00", "relation": "friend", "person": "P2", "outcome": "conversation"},
        ],
    }  # fmt: skip
    assert _told(words, "cn-gbt-45251/third-party-gate", given, "CN")["b"] == told


@pytest.mark.parametrize(("kind", "told"), [("mobile", "clear"), ("work", "undetermined"), (None, "undetermined"), ("alone", "clear")])
def test_a_dead_office_line_does_not_put_him_out_of_reach_whose_mobile_was_never_called(words: Words, kind: str | None, told: str) -> None:
    """Nor one that is not on record; the only number he has does, whatever its kind."""
    given = {
        "persons": [{"id": "P1", "case": "K1", "relation": "self"}],
        "numbers": [
            *([{"number": "13900000001", "case": "K1", "person": "P1", "kind": kind if kind != "alone" else "work"}] if kind else []),
            *([{"number": "01088880000", "case": "K1", "person": "P1", "kind": "home"}] if kind != "alone" else []),
        ],
        "contacts": [
            {"id": "a", "case": "K1", "at": "2026-03-02 10:00:00", "relation": "self", "person": "P1", "number": "13900000001", "outcome": "invalid"},
            {"id": "b", "case": "K1", "at": "2026-03-02 11:00:00", "relation": "friend", "person": "P2", "outcome": "conversation"},
        ],
    }  # fmt: skip
    assert _told(words, "cn-gbt-45251/third-party-gate", given, "CN")["b"] == told


def test_somebody_else_who_answers_the_debtors_phone_is_not_he(words: Words) -> None:
    """He was not reached, and who was told is not known; where the log says who, it was a conversation with him."""
    failed = [{"id": f"a{n}", "case": "K1", "at": DAY.format(n), "relation": "self", "outcome": "no_answer"} for n in (2, 3, 4)]
    other = {"id": "o", "case": "K1", "at": DAY.format(5), "relation": "self", "outcome": "other_answered", "text": "告知其儿子欠款12000元，逾期40天。"}
    friend = {"id": "f", "case": "K1", "at": DAY.format(6), "relation": "friend", "person": "P2", "outcome": "conversation"}
    assert _told(words, "cn-gbt-45251/third-party-gate", {"contacts": [*failed, other, friend]}, "CN")["f"] == "clear"
    mother = other | {"id": "m", "relation": "parent", "person": "P3"}
    with bench() as con:
        pack = next(p for p in rules.select(ROOT / "rules", ["cn-gbt-45251"]))
        rule = next(r for r in pack.rules if r.id == "third-party-disclosure")
        found = outcomes(con, prepare([replace(pack, rules=(rule,))])[0], {"contacts": [mother]}, words, "CN")
        told = con.execute("SELECT outcome, relation, person_id FROM contacts").fetchall()
    assert found == {"m": "breach"} and told == [("conversation", "parent", "P3")]


def test_who_is_bound_by_the_debt_is_no_third_party_though_nobody_says_what_he_is_to_the_debtor(words: Words) -> None:
    given = {
        "persons": [{"id": "P2", "case": "K1", "obliged": True}],
        "contacts": [{"id": "a", "case": "K1", "at": DAY.format(2), "person": "P2", "outcome": "conversation", "text": "告知逾期40天，欠款8600元。"}, {"id": "b", "case": "K1", "at": DAY.format(3), "person": "P2", "outcome": "other_answered"}],
    }  # fmt: skip
    with bench() as con:
        derive_given(con, given, words, "CN", "x")
        assert con.execute("SELECT contact_id, party::VARCHAR, person_id FROM contacts ORDER BY 1").fetchall() == [("a", "obliged", "P2"), ("b", None, None)]
        assert con.execute(f"SELECT owes FROM ({store.spoken_to(con)})").fetchall() == [(True,)]


def test_a_number_that_was_his_until_last_year_is_nobodys(words: Words) -> None:
    """Unless another row of it is open."""
    given = {
        "persons": [{"id": "P1", "case": "K1", "relation": "self"}],
        "numbers": [{"number": n, "case": "K1", "person": "P1", "valid_until": until} for n, until in (("1", "2025-12-31"), ("2", "2026-03-02"), ("3", "2025-12-31"), ("3", None))],
        "contacts": [{"id": n, "case": "K1", "at": DAY.format(2), "number": n, "outcome": "conversation"} for n in ("1", "2", "3")],
    }  # fmt: skip
    assert _told(words, "cn-gbt-45251/third-party-gate", given, "CN") == {"1": "undetermined", "2": "not_applicable", "3": "not_applicable"}


def test_a_kind_of_lender_that_says_who_collects_takes_nobody_out(words: Words) -> None:
    given = {"cases": [{"id": "K1", "lender_kind": "agency"}, {"id": "K2", "lender_kind": "other"}], "contacts": [{"id": k, "case": k, "at": "2026-03-02 22:30:00", "relation": "self"} for k in ("K1", "K2")]}
    assert _told(words, "cn-gbt-45251/quiet-hours", given, "CN") == {"K1": "breach", "K2": "not_applicable"}


def test_an_agency_written_in_two_ways_is_one(tmp_path: Path) -> None:
    lines = [f"c{n},K1,P1,call,outbound,2026-03-0{2 + n // 4} {10 + n}:00:00,no_answer,self,{'Apex  Recovery' if n < 5 else 'APEX RECOVERY'},America/New_York" for n in range(8)]
    log = tmp_path / "contacts.csv"
    log.write_text("contact_id,case_id,person_id,channel,direction,started_at,outcome,relation,vendor,zone\n" + "\n".join(lines) + "\n", encoding="utf-8")
    run = audit.run([str(log)], tmp_path / "runs", packs=["us-reg-f"], settings=Settings("America/New_York", "US")).path
    with runs.connect(run) as con:
        assert con.execute("SELECT DISTINCT collector FROM contacts").fetchall() == [("Apex  Recovery",)]
        assert con.execute("SELECT contacts FROM rule_results WHERE rule = 'us-reg-f/seven-in-seven' AND outcome = 'breach'").fetchall() == [(1,)]
        assert con.execute("SELECT column_name, cells, first_row_no FROM cell_problems WHERE problem = 'spelled_alike'").fetchall() == [("vendor", 3, 7)]


def test_advice_sees_what_came_before_by_the_instant_and_not_by_two_clocks(tmp_path: Path) -> None:
    """The debtor in Beijing was reached two hours before his mother in New York would be called."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "cases.csv").write_text("case_id,debtor_id,lender_kind,jurisdiction\nK1,D1,consumer_finance,CN\n", encoding="utf-8")
    (logs / "persons.csv").write_text("person_id,case_id,name,relation,zone\nP1,K1,甲,self,Asia/Shanghai\nP2,K1,乙,parent,America/New_York\n", encoding="utf-8")
    (logs / "numbers.csv").write_text("number,case_id,person_id,kind\n13900000001,K1,P1,mobile\n", encoding="utf-8")
    # The day before his phone was dead: until he was reached again, he could not be.
    (logs / "contacts.csv").write_text(
        "contact_id,case_id,person_id,number,channel,direction,started_at,outcome,call_type\n"
        "z,K1,P1,13900000001,call,outbound,2026-03-03 10:00:00,invalid,interactive\na,K1,P1,13900000001,call,outbound,2026-03-04 19:00:00,conversation,interactive\n", encoding="utf-8",
    )  # fmt: skip
    (logs / "case_events.csv").write_text("event_id,case_id,person_id,kind,occurred_at\ne,K1,P2,refusal,2026-03-05 07:30:00\n", encoding="utf-8")
    run = audit.run([str(logs)], tmp_path / "runs", packs=["cn-gbt-45251"]).path
    known = prepare(rules.select(ROOT / "rules", ["cn-gbt-45251"]))

    def refused(at: datetime) -> set[str]:
        told = advise.may_contact(run, known, [advise.Question("K1", "call", at, "P2", "interactive")])[0]
        return {reason.rule.split("/")[1] for reason in told.reasons if reason.answer == "no"}

    # 08:30 in New York is 21:30 in Beijing; 19:30 there is 08:30 the next morning here, an hour after she refused.
    assert "third-party-gate" in refused(datetime(2026, 3, 4, 8, 30))
    assert "third-party-gate" not in refused(datetime(2026, 3, 4, 5, 30))
    assert "stop-on-refusal" in refused(datetime(2026, 3, 4, 19, 30))
    assert "stop-on-refusal" not in refused(datetime(2026, 3, 4, 8, 30))


def test_advice_does_not_know_which_debt_a_contact_would_be_about_where_contacts_of_the_case_name_one(tmp_path: Path) -> None:
    lines = [f"c{n},K1,P1,call,outbound,2026-03-0{2 + n // 2} 1{n}:00:00,no_answer,self,L1,America/New_York" for n in range(7)]
    (tmp_path / "contacts.csv").write_text("contact_id,case_id,person_id,channel,direction,started_at,outcome,relation,debt_id,zone\n" + "\n".join(lines) + "\n", encoding="utf-8")
    run = audit.run([str(tmp_path / "contacts.csv")], tmp_path / "runs", packs=["us-reg-f"], settings=Settings("America/New_York", "US")).path
    # Where P1 is, and that it is the debtor, only his calls tell.
    for person in ("P1", None):
        told = advise.may_contact(run, prepare(rules.select(ROOT / "rules", ["us-reg-f"])), [advise.Question("K1", "call", datetime(2026, 3, 6, 15), person)])[0]
        assert {r.rule: r.answer for r in told.reasons}["us-reg-f/seven-in-seven"] == "unknown" and told.person_id == "P1"


def test_advice_needs_a_zone_where_his_contacts_name_several(tmp_path: Path) -> None:
    (tmp_path / "contacts.csv").write_text("contact_id,case_id,person_id,channel,direction,started_at,outcome,relation,zone\nc1,K1,P1,call,outbound,2026-03-02 10:00:00,no_answer,self,America/New_York|America/Chicago\n", encoding="utf-8")
    run = audit.run([str(tmp_path / "contacts.csv")], tmp_path / "runs", packs=["us-reg-f"], settings=Settings("America/New_York", "US")).path
    with pytest.raises(UsageError) as error:
        advise.may_contact(run, prepare(rules.select(ROOT / "rules", ["us-reg-f"])), [advise.Question("K1", "call", datetime(2026, 3, 6, 15), "P1")])
    assert error.value.key == "usage.no_zone"


def test_no_process_is_left_where_the_rules_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It loads its words while the rules are put together."""
    started: list[TextReader] = []
    made = TextReader.__init__
    monkeypatch.setattr(TextReader, "__init__", lambda reader, *asked, **more: (started.append(reader), made(reader, *asked, **more))[1])
    monkeypatch.setattr(audit, "MANY_BYTES", 0)
    (tmp_path / "a.csv").write_text("case_id,channel,started_at\nK1,call,2026-03-02 09:00:00\n", encoding="utf-8")
    with pytest.raises(RuleErrors):
        audit.run([str(tmp_path / "a.csv")], tmp_path / "runs", packs=["no-such-pack"])
    process = started[0]._processes[0].process
    assert process is not None and process.poll() is not None


def test_contacts_derived_in_parts_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With little memory: what is loaded is kept in a file, and contacts are derived and read by parts of their cases."""
    from tests.same import differences

    packs, mapping = ["cn-gbt-45251", "us-reg-f", "lender-playbook"], load_mapping(ROOT / "sample_logs" / "mapping.yaml")
    whole = audit.run([str(ROOT / "sample_logs")], tmp_path / "runs", run_id="whole", packs=packs, mapping=mapping)
    monkeypatch.setattr(store, "memory_limit", lambda con: 160_000)
    asked: list[int] = []
    kept: list[tuple[bool]] = []
    split = store.split
    monkeypatch.setattr(store, "split", lambda con: (parts := split(con), asked.append(len(parts)), kept.extend(con.execute("SELECT path IS NOT NULL FROM duckdb_databases() WHERE database_name = 'memory'").fetchall()))[0])
    parted = audit.run([str(ROOT / "sample_logs")], tmp_path / "runs", run_id="parted", packs=packs, mapping=mapping, memory="2GB")
    assert asked == [6] and kept == [(True,)]
    assert list(differences(whole.path, parted.path)) == []
    with runs.connect(parted.path) as con:
        assert con.execute("SELECT count(*) FROM signals").fetchall()[0][0] > 100


_TO_HIM = [f"{who}{towards}{whom}{says}" for who in ("", "坐席", "我", "直接") for towards in "跟对给向" for whom in ("客户", "本人", "对方", "联系人", "借款人") for says in ("说", "讲", "说了")] + ["回复客户说", "告诉借款人说"]
_TO_US = [f"{who}{towards}{whom}{says}" for who in ("客户", "对方", "借款人", "其") for towards in "跟对冲" for whom in ("坐席", "催收员") for says in ("说", "讲", "喊")]
_TO_US += [*(f"客户{towards}我说" for towards in "跟对"), "客户怒称", "客户放话", "客户叫嚣", "客户扬言", "客户骂坐席说", "客户怒道", "客户口头威胁", "客户回怼坐席", "客户反问坐席", "客户撂狠话", "客户指着外访员说"]


@pytest.mark.parametrize("sign", ["", "：", "，"])
def test_who_says_it_to_whom(words: Words, sign: str) -> None:
    """跟客户说 is the collector's own word though 客户说 stands in it, 客户对坐席说 the customer's."""
    threats = [Message(str(n), f"{said}{sign}再不还就打断你的腿。", "zh", None, None, "call_note") for n, said in enumerate(_TO_HIM)]
    lost = [m.text for m, v in zip(threats, judge_messages(threats, words.lexicons, words.reader), strict=True) if not v.labels]
    suffered = [Message(str(n), f"{said}{sign}再打电话就打断你的腿。", "zh", None, None, "call_note") for n, said in enumerate(_TO_US)]
    charged = [m.text for m, v in zip(suffered, judge_messages(suffered, words.lexicons, words.reader), strict=True) if v.labels]
    assert (lost, charged) == ([], [])


@pytest.mark.parametrize(("text", "told"), [
    ("客户说没钱，跟他挑明了：再不还就叫人去你家砸门。", True), ("客户问能不能缓几天，跟他说不行，今天不还就弄你。", True), ("客户说没钱，跟借款人说再不还就打断你的腿。", True),
    ("客户称上家催收跟他说再不还就叫人砸门。", False), ("客户投诉坐席昨天来电，对其说你再不还就死定了。", False), ("客户说他老婆跟他说，再不还钱就弄死他。", False),
    ("客户跟我说，再打电话就打断你的腿。", False), ("Debtor told the collector: call me again and I will break your legs.", False), ("Told the debtor: pay or we break your legs.", True),
])  # fmt: skip
def test_reported_speech_ends_where_the_collector_turns_to_him(words: Words, text: str, told: bool) -> None:
    message = Message("1", text, "zh" if text[0] > "z" else "en", None, None, "call_note")
    assert bool(judge_messages([message], words.lexicons, words.reader)[0].labels) is told


def test_a_set_of_context_words_that_is_not_there_is_said(tmp_path: Path) -> None:
    context = (ROOT / "rules/lexicon/_context.yaml").read_text(encoding="utf-8")
    (tmp_path / "_context.yaml").write_text(context.replace("'{person}怒称'", "'{persons}怒称'"), encoding="utf-8")
    with pytest.raises(RuleErrors) as caught:
        load_lexicons(tmp_path)
    assert "no such set: persons" in caught.value.text("en")
