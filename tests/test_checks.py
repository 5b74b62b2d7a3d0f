"""Counts against a plain reckoning, outcomes that add up, findings that can be found again by their SQL alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analyzer import audit, explain, rules, summary
from analyzer.casebook import bench, derive_given, outcomes
from analyzer.checks import prepare
from analyzer.checks.judge import _STANDINGS, _standings
from analyzer.model import Rule
from analyzer.text import Words
from tests.conftest import ROOT

Run = Callable[..., tuple[audit.RunResult, duckdb.DuckDBPyConnection]]
START = datetime(2026, 3, 1, 0, 0)


def _rule(name: str) -> Rule:
    pack, rule = name.split("/")
    return next(r for p in rules.select(ROOT / "rules", [pack]) for r in p.rules if r.id == rule)


def _with(rule: Rule, **check: Any) -> Rule:
    return replace(rule, check=check, values={}, in_force=None, cases=())


def _pack(rule: Rule) -> Any:
    return replace(next(p for p in rules.select(ROOT / "rules", [rule.pack])), rules=(rule,))


CALL = st.tuples(st.integers(0, 12 * 24 * 60), st.sampled_from("XY"), st.sampled_from([True, True, True, None, False]))
WINDOW = st.sampled_from([{"window": "calendar_day"}, {"window": "calendar_week"}, {"dates": 3}, {"dates": 7}, {"hours": 24}, {"hours": 36}])


def _inside(window: dict[str, Any], now: datetime, before: datetime) -> bool:
    if "window" in window:
        def bucket(d: datetime) -> date:
            return d.date() if window["window"] == "calendar_day" else d.date() - timedelta(days=d.weekday())
        return bucket(now) == bucket(before)
    if "dates" in window:
        return (now.date() - before.date()).days < window["dates"]
    return now - before <= timedelta(hours=window["hours"])


@settings(max_examples=50, deadline=None)
@given(st.lists(CALL, min_size=1, max_size=18), WINDOW, st.integers(0, 4))
def test_frequency_equals_plain_counting(words: Words, calls: list[tuple[int, str, bool | None]], window: dict[str, Any], limit: int) -> None:
    """Over every key and window: certain ones alone pass the limit - breach; together with possible ones - undetermined."""
    rule = _with(
        _rule("cn-gbt-45251/interactive-calls"), kind="frequency", scope={"outcome": "conversation", "direction": "outbound"}, per=["number"], limit=limit, **window
    )
    rows = [
        {"id": f"c{i:02}", "at": str(START + timedelta(minutes=at)), "number": number, "outcome": {True: "conversation", False: "no_answer", None: None}[counts]}
        for i, (at, number, counts) in enumerate(calls)
    ]
    with bench() as con:
        found = outcomes(con, prepare([_pack(rule)])[0], {"contacts": rows}, words, "CN")
    order = sorted(range(len(calls)), key=lambda i: (calls[i][0], f"c{i:02}"))
    expected: dict[str, str] = {}
    earlier: dict[str, list[tuple[datetime, bool | None]]] = defaultdict(list)
    for i in order:
        at, number, counts = calls[i]
        now = START + timedelta(minutes=at)
        if counts is False:
            expected[f"c{i:02}"] = "not_applicable"
            continue
        earlier[number].append((now, counts))
        inside = [c for when, c in earlier[number] if _inside(window, now, when)]
        sure = sum(c is True for c in inside)
        if counts is True and sure > limit:
            expected[f"c{i:02}"] = "breach"
        else:
            expected[f"c{i:02}"] = "undetermined" if len(inside) > limit else "clear"
    assert found == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 15 * 24 * 60), st.sampled_from("PQ"), st.booleans()), min_size=1, max_size=14), st.integers(1, 9))
def test_waiting_after_a_conversation_equals_plain_reckoning(words: Words, calls: list[tuple[int, str, bool]], dates: int) -> None:
    rule = _with(
        _rule("cn-gbt-45251/stop-on-refusal"), kind="gate", scope={"channel": "call", "direction": "outbound"},
        after_contact={"where": {"channel": "call", "outcome": "conversation"}, "per": ["person"], "for_dates": dates},
    )  # fmt: skip
    rows = [
        {"id": f"c{i:02}", "at": str(START + timedelta(minutes=at)), "person": person, "outcome": "conversation" if talked else "no_answer"}
        for i, (at, person, talked) in enumerate(calls)
    ]
    with bench() as con:
        found = outcomes(con, prepare([_pack(rule)])[0], {"contacts": rows}, words, "CN")
    expected = {}
    for i, (at, person, _) in enumerate(calls):
        now = START + timedelta(minutes=at)
        talks = [
            START + timedelta(minutes=a) for j, (a, p, t) in enumerate(calls) if t and p == person and (a, f"c{j:02}") < (at, f"c{i:02}")
        ]
        shut = any((now.date() - talk.date()).days < dates for talk in talks)
        expected[f"c{i:02}"] = "breach" if shut else "clear"
    assert found == expected


NIGHTS = st.lists(st.tuples(st.integers(0, 5), st.integers(-90, 90), st.booleans()), min_size=1, max_size=10)
ZONES = (ZoneInfo("America/New_York"), ZoneInfo("America/Chicago"))


def _by_nights(words: Words, rule: Rule, calls: list[tuple[int, int, bool]], over: Callable[[list[tuple[datetime, bool]]], bool]) -> None:
    """Calls around midnight to somebody who may be in one of two zones. What is told of one must hold in either zone; `over` reckons one by the wall clock:
    is the last of these calls, (when, whether they talked), too much? What differs is open, and what comes before any doubtful midnight is decided."""
    told = sorted((datetime(2026, 6, 1, tzinfo=ZONES[0]) + timedelta(days=day, minutes=minutes), f"c{i:02}", talked) for i, (day, minutes, talked) in enumerate(calls))
    rows = [{"id": name, "at": at.isoformat(), "person": "P", "vendor": "A", "outcome": "conversation" if talked else "no_answer"} for at, name, talked in told]
    with bench() as con:
        found = outcomes(con, prepare([_pack(rule)])[0], {"cases": [{"id": "K1", "zone": [zone.key for zone in ZONES]}], "contacts": rows}, words, "US")
    clocks = [[(at.astimezone(zone).replace(tzinfo=None), talked) for at, _, talked in told] for zone in ZONES]
    doubtful = False
    for i, (_, name, _) in enumerate(told):
        doubtful |= clocks[0][i][0].date() != clocks[1][i][0].date()
        by_zone = {over(clock[: i + 1]) for clock in clocks}
        assert found[name] == "undetermined" or by_zone == {found[name] == "breach"}, name
        assert doubtful or found[name] != "undetermined", name


@example([(0, 0, False), (0, 0, False)], {"dates": 2}, 1)
@example([(0, 0, False), (1, -60, False), (3, 0, False)], {"dates": 4}, 1)
@example([(0, 0, False), (3, -90, False)], {"dates": 4}, 1)
@settings(max_examples=40, deadline=None)
@given(NIGHTS, st.sampled_from([{"window": "calendar_day"}, {"window": "calendar_week"}, {"dates": 2}, {"dates": 4}]), st.integers(0, 3))
def test_a_count_by_dates_holds_in_each_zone_that_may_be_the_persons(words: Words, calls: list[tuple[int, int, bool]], window: dict[str, Any], limit: int) -> None:
    rule = _with(_rule("us-reg-f/seven-in-seven"), kind="frequency", scope={"direction": "outbound"}, per=["person", "debt"], limit=limit, **window)
    _by_nights(words, rule, calls, lambda told: sum(_inside(window, told[-1][0], when) for when, _ in told) > limit)


@settings(max_examples=40, deadline=None)
@given(NIGHTS, st.integers(1, 4))
def test_waiting_by_dates_holds_in_each_zone_that_may_be_the_persons(words: Words, calls: list[tuple[int, int, bool]], dates: int) -> None:
    rule = _with(
        _rule("us-reg-f/after-conversation"), kind="gate", scope={"channel": "call", "direction": "outbound"},
        after_contact={"where": {"channel": "call", "outcome": "conversation"}, "per": ["person", "debt"], "for_dates": dates},
    )  # fmt: skip
    _by_nights(words, rule, calls, lambda told: any(talked and (told[-1][0].date() - when.date()).days < dates for when, talked in told[:-1]))


def _told(words: Words, name: str, given: dict[str, list[dict[str, Any]]]) -> list[tuple[str, str, str | None, str | None, str | None]]:
    """(contact, role, measured, permitted, missing) of what a rule says of the rows of a case."""
    rule = _rule(name)
    with bench() as con:
        outcomes(con, prepare([_pack(rule)])[0], given, words, next(p.jurisdiction for p in rules.select(ROOT / "rules", [rule.pack])) or "CN")
        return con.execute("SELECT c.contact_id, f.role, f.measured, f.permitted, f.missing FROM found f JOIN contacts c USING (seq) ORDER BY 1, 2").fetchall()


def test_a_rule_in_sql_that_counts_shows_what_it_counted_and_the_limit(words: Words) -> None:
    contacts = [{"id": f"c{n}", "at": f"2026-03-0{n} 10:00:00", "relation": "self", "person": "P1", "number": "6175550101", "vendor": "A", "outcome": "no_answer"} for n in (2, 3, 4)]
    found = _told(words, "us-ma/personal-two-in-seven", {"cases": [{"id": "K1", "zone": ["America/New_York"]}], "contacts": contacts})
    assert found == [("c2", "counted", None, None, None), ("c3", "counted", None, None, None), ("c4", "breach", "3", "2", None)]


def test_what_is_missing_is_told_once_and_is_what_would_decide(words: Words) -> None:
    nobody = {"contacts": [{"id": "a", "at": "2026-09-08 10:00:00", "number": "0812345678"}]}
    assert [row[4] for row in _told(words, "id-ojk/borrower-only", {"cases": [{"id": "K1", "zone": ["Asia/Jakarta"]}], **nobody})] == ["relation"]
    zone = {"cases": [{"id": "K1", "zone": ["Australia/Brisbane"]}]}
    visit = {"id": "a", "at": "2026-06-02 23:00:00+10:00", "relation": "self", "person": "P1", "channel": "visit", "outcome": "met"}
    agreed = {"kind": "agreed_time", "at": "2026-05-01 10:00:00+10:00"}
    assert [row[4] for row in _told(words, "au-accc/visit-hours", {**zone, "contacts": [visit], "case_events": [agreed]})] == ["case_events.agreed_from"]
    silent = {"id": "a", "at": "2026-06-02 03:00:00", "relation": "friend", "person": "P2", "outcome": "conversation", "text": None}
    assert [row[4] for row in _told(words, "au-accc/third-party-disclosure", {**zone, "contacts": [silent]})] == ["text"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> audit.RunResult:
    import sys

    sys.path.insert(0, str(ROOT / "benchmarks"))
    from generate import generate

    folder = tmp_path_factory.mktemp("sample")
    generate(6000, folder / "data")
    return audit.run([str(folder / "data")], folder / "runs", run_id="r")


def test_each_finding_is_found_again_by_its_sql_in_plain_duckdb(sample: audit.RunResult) -> None:
    with duckdb.connect(str(sample.path), read_only=True) as con:
        seen: dict[str, int] = defaultdict(int)
        for finding_id, rule in con.execute("SELECT finding_id, rule FROM findings ORDER BY 1").fetchall():
            seen[rule] += 1
            if seen[rule] > 3:
                continue
            told = explain.explain(con, finding_id)
            again = [(row[0], row[3]) for row in con.execute(told.sql).fetchall()]
            assert again == [(entry["contact_id"], entry["role"]) for entry in told.ledger], rule
        assert len(seen) >= 4


def test_the_six_outcomes_of_a_rule_add_up_to_all_contacts(sample: audit.RunResult) -> None:
    with duckdb.connect(str(sample.path), read_only=True) as con:
        total = con.execute("SELECT count(*) FROM contacts").fetchall()[0][0]
        sums = con.execute("SELECT rule, sum(contacts) FROM rule_results GROUP BY 1").fetchall()
        assert {n for _, n in sums} == {total}
        assert len(sums) == con.execute("SELECT count(*) FROM rules").fetchall()[0][0]
        for row in summary.by_rule(con):
            breaching = con.execute(
                "SELECT count(DISTINCT seq) FROM finding_evidence JOIN findings USING (finding_id) WHERE rule = ? AND role = 'breach'", [row["rule"]]
            ).fetchall()[0][0]
            assert breaching == row["breach"]


def test_contacts_counted_by_their_kinds_have_the_standing_of_each(sample: audit.RunResult) -> None:
    """Every shipped rule, over contacts of several jurisdictions of which facts are missing."""
    every = prepare(rules.select(ROOT / "rules"))
    with duckdb.connect(":memory:") as con:
        con.execute(f"ATTACH '{sample.path}' AS r (READ_ONLY)")
        for (name,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'r' AND table_name <> 'contacts'").fetchall():
            con.execute(f"CREATE VIEW {name} AS FROM r.{name}")
        lacking = ", ".join(f"CASE WHEN seq % {step} > 0 THEN {column} END AS {column}" for step, column in enumerate(("direction", "outcome", "party", "channel", "on_date", "local_at", "call_type", "dpd", "at_utc"), start=5))
        con.execute(f"CREATE TABLE contacts AS SELECT * REPLACE ({lacking}, ['CN', 'US-NY', 'UK', 'IN', 'CN-GD', 'JP'][seq % 6 + 1] AS jurisdiction, CASE WHEN seq % 4 > 0 THEN lender_kind END AS lender_kind, CASE WHEN seq % 3 = 0 THEN 'America/New_York' ELSE zone END AS zone) FROM r.contacts")
        told = dict(zip((p.rule.ref for p in every), _standings(con, every), strict=True))
        assert len(told) > 150
        for prepared in every:
            each = dict(con.execute(f"SELECT standing, count(*) FROM ({prepared.compiled.standing}) GROUP BY 1").fetchall())
            assert each == {standing: contacts for standing, contacts in told[prepared.rule.ref].items() if contacts}, prepared.rule.ref
        assert {standing for counts in told.values() for standing, contacts in counts.items() if contacts} == set(_STANDINGS)


def test_findings_do_not_depend_on_the_order_of_files_or_rows(sample: audit.RunResult, tmp_path: Path) -> None:
    data = sample.path.parents[1] / "data"
    other = tmp_path / "data"
    other.mkdir()
    for path in data.iterdir():
        head, *rest = path.read_text(encoding="utf-8").split("\n")
        lines = rest[:-1] if "\"" not in path.read_text(encoding="utf-8") else None
        if lines is None:
            with duckdb.connect() as con:
                con.execute(f"COPY (SELECT * FROM read_csv('{path}', all_varchar = true, header = true) ORDER BY 1 DESC) TO '{other}/z{path.name}' (HEADER)")
            continue
        (other / f"z{path.name}").write_text("\n".join([head, *reversed(lines), ""]), encoding="utf-8")
    again = audit.run([str(other)], tmp_path / "runs", run_id="r")
    listing = "SELECT finding_id, evidence_digest FROM findings ORDER BY 1"
    with duckdb.connect(str(sample.path), read_only=True) as a, duckdb.connect(str(again.path), read_only=True) as b:
        assert a.execute(listing).fetchall() == b.execute(listing).fetchall()


def test_a_rule_that_fails_is_not_evaluated_and_says_so(words: Words) -> None:
    broken = _with(
        _rule("cn-gbt-45251/quiet-hours"), kind="sql", scope={"direction": "outbound"}, needs=[],
        breach="SELECT contact_id AS episode, seq, error('x') AS measured FROM scoped",
    )  # fmt: skip
    with bench() as con:
        found = outcomes(con, prepare([_pack(broken)])[0], {"contacts": [{"id": "a", "at": "2026-03-01 10:00:00"}]}, words, "CN")
        reason = con.execute("SELECT outcome, contacts, reason FROM rule_results").fetchall()
    assert found == {"a": "not_evaluated"} and reason == [("not_evaluated", 1, "InvalidInputException")]


def test_a_rule_in_sql_sees_only_what_can_be_judged(words: Words) -> None:
    rule = _with(
        _rule("cn-gbt-45251/quiet-hours"), kind="sql", scope={"direction": "outbound"}, needs=["number"],
        breach="SELECT contact_id AS episode, seq, NULL AS measured FROM scoped",
    )  # fmt: skip
    rows = [
        {"id": "a", "at": "2026-03-01 10:00:00", "number": "1"}, {"id": "b", "at": "2026-03-01 10:00:00"},
        {"id": "c", "number": "1"}, {"id": "d", "at": "2026-03-01 10:00:00", "number": "1", "direction": None},
        {"id": "e", "at": "2026-03-01 10:00:00", "number": "1", "direction": "inbound"},
    ]  # fmt: skip
    with bench() as con:
        found = outcomes(con, prepare([_pack(rule)])[0], {"contacts": rows}, words, "CN")
    assert found == {"a": "breach", "b": "undetermined", "c": "undetermined", "d": "undetermined", "e": "not_applicable"}


def test_a_rule_in_sql_that_says_unknown_judges_what_may_count(words: Words) -> None:
    """The second of a person breaches; one that is the second only together with a row that lacks something is undetermined."""
    rule = _with(
        _rule("cn-gbt-45251/quiet-hours"), kind="sql", scope={"direction": "outbound"}, needs=["number"],
        breach="WITH s AS (SELECT * FROM scoped) SELECT a.contact_id AS episode, a.seq, count(*)::VARCHAR AS measured FROM s a"
        " JOIN s b ON b.person_id = a.person_id AND coalesce(b.number = a.number, $unknown) AND coalesce(b.at_utc <= a.at_utc, $unknown) GROUP BY ALL HAVING count(*) > 1",
    )  # fmt: skip
    rows = [
        {"id": "a1", "person": "A", "at": "2026-03-01 10:00:00", "number": "1"}, {"id": "a2", "person": "A", "at": "2026-03-02 10:00:00", "number": "1"},
        {"id": "b1", "person": "B", "at": "2026-03-01 10:00:00"}, {"id": "b2", "person": "B", "at": "2026-03-02 10:00:00", "number": "1"},
        {"id": "c1", "person": "C", "at": "2026-03-01 10:00:00", "number": "1", "direction": None}, {"id": "c2", "person": "C", "at": "2026-03-02 10:00:00", "number": "1"},
        {"id": "d1", "person": "D", "number": "1"}, {"id": "d2", "person": "D", "at": "2026-03-02 10:00:00", "number": "1"},
        {"id": "e1", "person": "E", "direction": None}, {"id": "f1", "person": "F", "direction": "inbound"}, {"id": "f2", "person": "F", "at": "2026-03-02 10:00:00", "number": "1"},
    ]  # fmt: skip
    with bench() as con:
        found = outcomes(con, prepare([_pack(rule)])[0], {"contacts": rows}, words, "CN")
        lacking = dict(con.execute("SELECT c.contact_id, f.missing FROM found f JOIN contacts c USING (seq) WHERE f.role = 'undetermined'").fetchall())
    assert {name for name, outcome in found.items() if outcome == "breach"} == {"a2"}
    assert {name for name, outcome in found.items() if outcome == "undetermined"} == {"b2", "c2", "d1", "d2"}
    assert {name for name, outcome in found.items() if outcome == "not_applicable"} == {"f1"}
    # A row that lacks nothing itself is told what another of its debtor lacks.
    assert set(lacking) == {"b2", "c2", "d1", "d2"} and all(lacking.values())


def test_what_is_unknown_and_when_an_event_came_about_are_asked_together(words: Words) -> None:
    rule = _with(
        _rule("cn-gbt-45251/quiet-hours"), kind="sql", scope={"direction": "outbound"}, needs=[],
        breach="SELECT s.contact_id AS episode, s.seq, NULL AS measured FROM scoped s JOIN case_events e ON e.case_id = s.case_id"
        " AND e.occurred_utc < s.at_utc AND coalesce(e.person_id = s.person_id, $unknown)",
    )  # fmt: skip
    rows = [
        {"id": "a", "person": "P", "at": "2026-03-05 10:00:00"}, {"id": "b", "at": "2026-03-05 10:00:00"}, {"id": "c", "person": "Q", "at": "2026-03-05 10:00:00"},
        {"id": "d", "person": "P", "at": "2026-03-03 10:00:00"}, {"id": "e", "at": "2026-03-03 10:00:00"}, {"id": "f", "person": "P", "at": "2026-03-02 10:00:00"},
    ]  # fmt: skip
    with bench() as con:
        found = outcomes(con, prepare([_pack(rule)])[0], {"contacts": rows, "case_events": [{"kind": "complaint", "person": "P", "at": "2026-03-03"}]}, words, "CN")
    assert found == {"a": "breach", "b": "undetermined", "c": "clear", "d": "undetermined", "e": "undetermined", "f": "clear"}


def test_personal_data_of_another_kind_is_another_rules_business(words: Words) -> None:
    """Another rule of the run has ID numbers looked for as well; this one asks for cards only."""
    rule = _rule("cn-pipl/sensitive-identifiers")
    cards = replace(rule, check=rule.check | {"entities": ["BANK_CARD"]})
    rows = [{"id": "a", "at": "2026-03-02 10:00:00", "channel": "sms", "relation": "friend", "outcome": "delivered", "text": "身份证110101199003078515请核对。"}]
    with bench() as con:
        found = outcomes(con, prepare([_pack(cards)])[0], {"contacts": rows}, replace(words, entities=frozenset(["BANK_CARD", "CN_RESIDENT_ID"])), "CN")
    assert found == {"a": "clear"}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("CN", {"a": "breach", "b": "breach", "c": "not_applicable"}), (["US", "CN"], {"a": "breach", "b": "breach", "c": "breach"}),
        ({"not": ["CN"]}, {"a": "not_applicable", "b": "not_applicable", "c": "breach"}), (["CN-GD"], {"a": "not_applicable", "b": "breach", "c": "not_applicable"}),
    ],
)  # fmt: skip
def test_a_country_in_a_scope_holds_its_provinces(words: Words, wanted: Any, told: dict[str, str]) -> None:
    rule = replace(_with(_rule("cn-gbt-45251/quiet-hours"), kind="hours", scope={"jurisdiction": wanted}, opens="10:00", closes="10:01"), applies_to={})
    given_ = {
        "cases": [{"id": "K1", "jurisdiction": "CN"}, {"id": "K2", "jurisdiction": "CN-GD"}, {"id": "K3", "jurisdiction": "US-MA", "zone": "America/New_York"}],
        "contacts": [{"id": name, "case": case, "at": "2026-03-02 15:00:00"} for name, case in (("a", "K1"), ("b", "K2"), ("c", "K3"))],
    }
    with bench() as con:
        assert outcomes(con, prepare([_pack(rule)])[0], given_, words, "CN") == told


def test_what_the_collector_says_is_judged_whoever_called_and_what_the_other_side_writes_is_not(words: Words) -> None:
    """By channel and direction, unknown ones too; what is missing is named only where it decides. A visit that met nobody needs no text."""
    said = {"outcome": ["conversation", "delivered", "met", "not_met"]}
    rule = _with(_rule("cn-gbt-45251/civil-language"), kind="wording", scope=said, concepts=["insult"])
    spoken, text = {"outcome": "conversation"}, "你个老赖，还要不要脸。"
    rows = [
        {"id": f"{channel}-{direction}", "at": "2026-03-02 10:00:00", "channel": channel, "direction": direction, "text": text, **spoken}
        for channel in ("call", "ai_call", "visit", "sms", "voicemail", "letter", None) for direction in ("outbound", "inbound", None)
    ]
    rows += [
        {"id": "call-silent", "at": "2026-03-02 11:00:00", "direction": None, "text": None, **spoken},
        {"id": "nobody-silent", "at": "2026-03-02 11:00:00", "channel": "visit", "outcome": "not_met", "text": None},
        {"id": "nobody-posted", "at": "2026-03-02 11:00:00", "channel": "visit", "outcome": "not_met", "text": text},
    ]
    both = {"call", "ai_call", "visit"}
    told = {
        f"{channel}-{direction}": "breach" if channel in both or direction == "outbound" else "undetermined" if None in (channel, direction) else "not_applicable"
        for channel in (*both, "sms", "voicemail", "letter", None) for direction in ("outbound", "inbound", None)
    }
    told |= {"call-silent": "undetermined", "nobody-silent": "clear", "nobody-posted": "breach"}
    with bench() as con:
        prepared = prepare([_pack(rule)])[0]
        assert outcomes(con, prepared, {"contacts": rows}, words, "CN") == told
        # A rule that names the direction is taken at its word.
        named = prepare([_pack(_with(rule, **{**rule.check, "scope": {**said, "direction": "outbound"}}))])[0]
        assert {k for k, v in outcomes(con, named, {"contacts": rows}, words, "CN").items() if v == "not_applicable"} == {k for k in told if k.endswith("-inbound")}


def test_a_direction_is_missing_only_where_it_decides(words: Words) -> None:
    rule = _with(_rule("cn-gbt-45251/civil-language"), kind="wording", scope={"outcome": ["conversation", "delivered"]}, concepts=["insult"])
    rows = [
        {"id": "a", "at": "2026-03-02 10:00:00", "direction": None, "outcome": "conversation", "text": None},
        {"id": "b", "at": "2026-03-02 10:00:00", "channel": "sms", "direction": None, "outcome": "delivered", "text": "你个老赖"},
        {"id": "c", "at": "2026-03-02 10:00:00", "channel": None, "direction": "inbound", "outcome": "delivered", "text": "你个老赖"},
        {"id": "d", "at": "2026-03-02 10:00:00", "channel": None, "outcome": "conversation", "text": None},
    ]
    with bench() as con:
        prepared = prepare([_pack(rule)])[0]
        derive_given(con, {"contacts": rows}, words, "CN", rule.ref)
        found = con.execute(f"SELECT c.contact_id, h.missing FROM ({prepared.compiled.hits}) h JOIN contacts c USING (seq) ORDER BY 1").fetchall()
    assert found == [("a", "text"), ("b", "direction"), ("c", "channel"), ("d", "text")]
