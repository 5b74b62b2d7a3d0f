"""Sequences worked by hand from the law's own text: every rule of a pack says of every contact what it must, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from analyzer import casebook, rules, yamlfile
from analyzer.checks import judge, prepare
from analyzer.text import Words
from tests.conftest import ROOT

FOLDER = ROOT / "rules"
Given = dict[str, list[dict[str, Any]]]
Told = dict[str, dict[str, set[str]]]
# The keys by which rules tell contacts apart: no two sequences share one, so that all can stand in one store.
NAMES = ("id", "case", "debtor", "person", "agent", "debt_id")


@dataclass(frozen=True)
class Sequence:
    """One worked story: its rows, and per rule the contacts that breach or stay open."""

    pack: str
    number: int
    title: str
    given: Given
    expect: Told
    # What a rule says of it hangs on what stands in the whole store: it has one of its own.
    alone: bool = False


def _read(path: Path) -> list[Sequence]:
    document = yamlfile.read(path)
    assert document.problems == []
    found: list[Sequence] = []
    for group in document.data:
        assert set(group) - {"alone"} == {"clause", "title", "sequences"}
        for item in group["sequences"]:
            assert set(item) == {"name", "why", "given", "expect"}
            told = {rule: {role: set(ids) for role, ids in roles.items()} for rule, roles in item["expect"].items()}
            known = {row["id"] for row in item["given"]["contacts"]}
            assert all(ids <= known for roles in told.values() for ids in roles.values()), item["name"]
            found.append(Sequence(path.stem, len(found), f"{group['clause']}: {item['name']}", item["given"], told, group.get("alone", False)))
    return found


SEQUENCES = {path.stem: _read(path) for path in sorted((ROOT / "tests" / "sequences").glob("*.yaml"))}


def _apart(sequence: Sequence, table: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row with names of its sequence's own."""
    named = row if table in ("cases", "agents") else {"case": casebook.CASE, **row}
    named = {key: f"{sequence.number}/{value}" if key in NAMES and value is not None else value for key, value in named.items()}
    return named | {"number": f"{row['number']}{sequence.number:04}"} if row.get("number") else named


@pytest.fixture(scope="module")
def told(words: Words) -> dict[str, dict[int, Told]]:
    """What every rule in use said of every sequence of its pack, all of them side by side in one store."""
    found: dict[str, dict[int, Told]] = {}
    for name, sequences in SEQUENCES.items():
        packs, problems = rules.chosen(FOLDER, [name])
        prepared = prepare(packs, problems)
        said: dict[int, Told] = {sequence.number: {} for sequence in sequences}
        for together in ([s for s in sequences if not s.alone], *([s] for s in sequences if s.alone)):
            given: Given = {}
            for sequence in together:
                for table, rows in sequence.given.items():
                    given.setdefault(table, []).extend(_apart(sequence, table, row) for row in rows)
            with casebook.bench(FOLDER) as con:
                casebook.derive_given(con, given, words, packs[0].jurisdiction or "CN", name)
                recorded = {row["kind"] for row in given.get("case_events", [])}
                for item in prepared:
                    judge(con, [item])
                    # Stories that record no validation notice leave it open, every one of them, whether one was given.
                    if item.rule.id == "validation-notice" and "validation_notice" not in recorded:
                        continue
                    hits = con.execute("SELECT c.contact_id, f.role FROM found f JOIN contacts c USING (seq) WHERE f.role IN ('breach', 'undetermined')").fetchall()
                    for contact_id, role in hits:
                        number, contact = contact_id.split("/")
                        said[int(number)].setdefault(item.rule.id, {}).setdefault(role, set()).add(contact)
                assert con.execute("SELECT rule, reason FROM rule_results WHERE outcome = 'not_evaluated'").fetchall() == []
        found[name] = said
    return found


@pytest.mark.parametrize("sequence", [item for items in SEQUENCES.values() for item in items], ids=lambda item: item.title)
def test_every_rule_says_what_the_law_says(sequence: Sequence, told: dict[str, dict[int, Told]]) -> None:
    assert told[sequence.pack][sequence.number] == sequence.expect


@pytest.mark.parametrize("pack", SEQUENCES)
def test_every_rule_in_use_is_asked(pack: str) -> None:
    packs, _ = rules.chosen(FOLDER, [pack])
    assert {rule for item in SEQUENCES[pack] for rule in item.expect} == {rule.id for p in packs for rule in p.rules if rule.status != "retired"}
