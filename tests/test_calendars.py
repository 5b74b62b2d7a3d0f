"""Working days, and the packs an audit uses."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from analyzer import casebook, rules
from analyzer.calendars import load_calendars
from analyzer.checks import prepare
from analyzer.errors import RuleErrors
from analyzer.model import Pack
from analyzer.text import Words
from tests.conftest import ROOT

FOLDER = ROOT / "rules"


def _pack(check: dict[str, Any], jurisdiction: str = "CN") -> Pack:
    """The first pack with one rule of its own that asks `check`."""
    pack = rules.select(FOLDER, ["cn-gbt-45251"])[0]
    return replace(pack, rules=(replace(pack.rules[0], check=check, values={}, in_force=None, cases=(), applies_to={"jurisdiction": (jurisdiction,)}),))


def _outcomes(check: dict[str, Any], contacts: list[dict[str, Any]], words: Words, jurisdiction: str = "CN", place: str = "CN") -> dict[str, str]:
    with casebook.bench() as con:
        return casebook.outcomes(con, prepare([_pack(check, jurisdiction)])[0], {"contacts": contacts}, words, place)


def test_holidays_and_exchanged_days() -> None:
    days = {d.on_date: d for d in load_calendars(FOLDER) if d.jurisdiction == "CN"}
    assert [days[date(2026, m, d)].working for m, d in ((2, 14), (2, 15), (2, 24), (2, 28), (10, 1), (10, 8), (10, 10), (3, 7))] == [True, False, True, True, False, True, True, False]
    assert days[date(2026, 2, 24)].nth - days[date(2026, 2, 14)].nth == 1
    assert min(days) == date(2024, 1, 1) and max(days) == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("old", "new"), [("covered_until: 2026-12-31", "covered_until: 2026-01-01"), ("off: [2026-01-01,", "off: [2026-01-02,"), ("id: CN", "id: XX"), ("known: reported", "known: certain")]
)
def test_a_calendar_with_a_mistake_is_told(old: str, new: str, tmp_path: Path) -> None:
    text = (FOLDER / "calendars" / "CN.yaml").read_text(encoding="utf-8")
    (tmp_path / "calendars").mkdir()
    (tmp_path / "calendars" / "CN.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RuleErrors) as caught:
        casebook.check_all(tmp_path)
    assert {p.path for p in caught.value.problems} == {"calendars/CN.yaml"}


def test_a_day_no_calendar_covers_is_undetermined(words: Words) -> None:
    check = {"kind": "hours", "scope": {"working_day": False}, "opens": "09:00", "closes": "10:00"}
    days = {"holiday": "2026-10-01", "exchanged": "2026-10-10", "ordinary": "2026-03-03", "beyond": "2027-10-01"}
    found = _outcomes(check, [{"id": name, "at": f"{day} 12:00:00"} for name, day in days.items()], words)
    assert found == {"holiday": "breach", "exchanged": "not_applicable", "ordinary": "not_applicable", "beyond": "undetermined"}
    assert _outcomes(check, [{"id": "a", "at": "2026-10-01 12:00:00"}], words, "CN", "CN-GD") == {"a": "breach"}
    weekend = _outcomes(check | {"scope": {"weekday": {"min": 6}}}, [{"id": "a", "at": "2026-03-07 12:00:00"}, {"id": "b", "at": "2026-03-06 12:00:00"}], words)
    assert weekend == {"a": "breach", "b": "not_applicable"}


def test_a_window_of_working_days(words: Words) -> None:
    """Three working days before Tuesday 24 February 2026 reach back over the Spring Festival, to Thursday the 12th."""
    check = {
        "kind": "sequence", "scope": {"channel": "visit"},
        "before": {"where": {"channel": "letter"}, "per": ["case"], "working_days": 3},
    }  # fmt: skip
    contacts = [{"id": "first", "case": "K0", "at": "2026-01-05 10:00:00"}]
    for case, letter in (("K1", "2026-02-12"), ("K2", "2026-02-11")):
        contacts += [{"id": f"l{case}", "case": case, "channel": "letter", "at": f"{letter} 10:00:00"}, {"id": f"v{case}", "case": case, "channel": "visit", "at": "2026-02-24 10:00:00"}]
    contacts.append({"id": "beyond", "case": "K3", "channel": "visit", "at": "2027-02-24 10:00:00"})
    found = _outcomes(check, contacts, words)
    assert (found["vK1"], found["vK2"], found["beyond"]) == ("clear", "breach", "undetermined")


@pytest.mark.parametrize(("place", "binds"), [("US", True), ("US-MA", True), ("USX", False), ("CN", False)])
def test_a_country_binds_its_states(place: str, binds: bool, words: Words) -> None:
    check = {"kind": "hours", "scope": {}, "opens": "09:00", "closes": "10:00", "clock": "UTC"}
    assert _outcomes(check, [{"id": "a", "at": "2026-03-03 12:00:00"}], words, "US", place) == {"a": "breach" if binds else "not_applicable"}


def test_packs_by_choice_and_drafts_are_used_when_asked_for() -> None:
    def used(**more: Any) -> tuple[set[str], bool]:
        packs, problems = rules.chosen(FOLDER, **more)
        assert problems == []
        return {p.id for p in packs}, any(r.status == "draft" for p in packs for r in p.rules)

    usual, drafts = used()
    assert "cn-gbt-45251" in usual and "cn-nifa-2018" not in usual and not drafts
    assert used(also=["cn-nifa-2018"])[0] == usual | {"cn-nifa-2018"}
    assert used(only=["cn-nifa-2018"])[0] == {"cn-nifa-2018"}
    assert used(drafts=True) == (usual, True)
    for more in ({"also": ["no-such"]}, {"only": ["no-such"]}, {"only": ["cn-pipl"], "also": ["no-such"]}):
        assert [p.key for p in rules.chosen(FOLDER, **more)[1]] == ["rules.no_such_pack"]
