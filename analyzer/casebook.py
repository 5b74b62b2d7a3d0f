"""The rules' own examples, run through the real path: derive, signals, judge. Product code: it runs on anyone's pack.

A case gives rows by table, with short names: a contact needs `id`, usually `at` (wall clock) and what matters; case K1,
channel call and direction outbound are understood. Everything not given is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from analyzer import rules, store
from analyzer.calendars import load_calendars
from analyzer.checks import Prepared, entities_of, judge, prepare
from analyzer.errors import RuleErrors, RuleProblem
from analyzer.intake import Settings, input_table
from analyzer.intake.columns import TABLES, Table, table
from analyzer.model import Outcome, Pack
from analyzer.text import Lexicons, Words, find, load_words, scan_contacts, store_signals

CASE, DEBTOR = "K1", "D1"
# Where a case says nothing of a zone: the debtor's, and the one its wall clocks are in.
_HOME = {"CN": "Asia/Shanghai", "US": "America/New_York"}
_SHORT = {
    "contacts": {"id": "contact_id", "at": "started_at", "case": "case_id", "person": "person_id", "agent": "agent_id", "ended": "ended_at"},
    "cases": {"id": "case_id", "debtor": "debtor_id"},
    "persons": {"id": "person_id", "case": "case_id"},
    "numbers": {"case": "case_id", "person": "person_id"},
    "instalments": {"case": "case_id", "no": "instalment_no"},
    "payments": {"case": "case_id", "at": "paid_at"},
    "promises": {"case": "case_id", "at": "made_at"},
    "case_events": {"id": "event_id", "case": "case_id", "person": "person_id", "at": "occurred_at", "ended": "ended_at"},
    "agents": {"id": "agent_id"},
    "trainings": {"agent": "agent_id"},
}  # fmt: skip


@dataclass(frozen=True)
class CaseResult:
    """What became of one case. `wrong` names contact, expected and found outcome; a `todo` case may be wrong."""

    rule: str
    case: str
    todo: bool
    wrong: tuple[tuple[str, str, str], ...]

    @property
    def ok(self) -> bool:
        """Whether the case holds."""
        return not self.wrong


def run_cases(
    packs: Sequence[Pack], words: Words, problems: Sequence[RuleProblem] = (), folder: Path | None = None, only: Sequence[str] = ()
) -> list[CaseResult]:
    """Run every case of every rule, or of the packs in `only`, by the calendars of a rules folder (the program's own by default).

    Raises:
        RuleErrors: a rule cannot be used, or a case gives a table or column that does not exist.
    """
    prepared, words = made_ready(packs, words, problems)
    with bench(folder) as con:
        return [result for item in prepared if not only or item.rule.pack in only for result in run_rule(con, item, words, packs)]


def made_ready(packs: Sequence[Pack], words: Words, problems: Sequence[RuleProblem] = ()) -> tuple[list[Prepared], Words]:
    """The rules of packs, and what reads words for them: `run_rule` takes one with the other.

    Raises:
        RuleErrors: a rule cannot be used.
    """
    prepared = prepare(packs, problems, words.lexicons.ids)
    return prepared, replace(words, entities=frozenset(entities_of(prepared)))


def run_rule(con: duckdb.DuckDBPyConnection, item: Prepared, words: Words, packs: Sequence[Pack]) -> list[CaseResult]:
    """Run the cases of one rule on a `bench`."""
    place = next((pack.jurisdiction for pack in packs if pack.id == item.rule.pack), None) or "CN"
    return [_run(con, item, spec, words, place) for spec in item.rule.cases]


def run_lexicon_examples(lexicons: Lexicons) -> list[CaseResult]:
    """The lexicons' own sentences: examples must signal their concept, counter-examples must not."""
    results = []
    for lexicon in lexicons.items:
        for texts, wanted in ((lexicon.examples, True), (lexicon.counterexamples, False)):
            told = {(s.text, s.concept) for s in find(texts, lexicons) if s.counts}
            for i, text in enumerate(texts):
                got = (i, lexicon.id) in told
                wrong = () if got == wanted else ((text, _said(wanted), _said(got)),)
                results.append(CaseResult(f"lexicon/{lexicon.id}", f"{'example' if wanted else 'counterexample'} {i + 1}", False, wrong))
    return results


def _said(signal: bool) -> str:
    return "signal" if signal else "no signal"


@contextmanager
def bench(folder: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory store for cases, with the calendars of a rules folder; each case is rolled back."""
    with duckdb.connect(":memory:") as con:
        con.execute("SET autoinstall_known_extensions = false")
        con.execute("SET TimeZone = 'UTC'")
        store.create_tables(con)
        store.fill_calendars(con, load_calendars(folder or rules.rules_folder()))
        yield con


def _run(con: duckdb.DuckDBPyConnection, item: Prepared, spec: dict[str, Any], words: Words, jurisdiction: str) -> CaseResult:
    con.execute("BEGIN")
    try:
        found = outcomes(con, item, spec["given"], words, jurisdiction)
    finally:
        con.execute("ROLLBACK")
    return CaseResult(item.rule.ref, spec["name"], spec["todo"], tuple(found_wrong(spec, found)))


def found_wrong(spec: dict[str, Any], found: dict[str, str]) -> list[tuple[str, str, str]]:
    """(contact, expected, found) of each contact of a case that came out otherwise; contacts not named may be in no trouble."""
    expected = {contact: str(outcome) for outcome, ids in spec["expect"].items() for contact in ids}
    wrong = [(contact, outcome, found.get(contact, "-")) for contact, outcome in expected.items() if found.get(contact) != outcome]
    quiet = (Outcome.BREACH.value, Outcome.UNDETERMINED.value, Outcome.NOT_EVALUATED.value)
    return wrong + [(contact, "-", outcome) for contact, outcome in found.items() if contact not in expected and outcome in quiet]


def outcomes(
    con: duckdb.DuckDBPyConnection, item: Prepared, given: dict[str, list[dict[str, Any]]], words: Words, jurisdiction: str
) -> dict[str, str]:
    """Contact id -> outcome, for one rule over the rows of `given`. The connection's tables must be empty."""
    derive_given(con, given, words, jurisdiction, item.rule.ref)
    return judged(con, item)


def judged(con: duckdb.DuckDBPyConnection, item: Prepared) -> dict[str, str]:
    """Contact id -> outcome, for one rule over the rows in the store. Nothing may have been judged there yet."""
    judge(con, [item])
    failed = con.execute("SELECT count(*) FROM rule_results WHERE outcome = 'not_evaluated'").fetchall()[0]
    if failed and failed[0]:
        return {row[0]: Outcome.NOT_EVALUATED.value for row in con.execute("SELECT contact_id FROM contacts").fetchall()}
    if not con.execute("SELECT count(*) FROM rule_results WHERE outcome <> 'not_applicable'").fetchall()[0][0]:
        # The pack binds none of the contacts: nothing was run, and there is no table of what it found.
        return dict(con.execute("SELECT contact_id, 'not_applicable' FROM contacts").fetchall())
    found = dict(con.execute(f"SELECT c.contact_id, s.standing FROM ({item.compiled.standing}) s JOIN contacts c USING (seq)").fetchall())
    told = {k: Outcome.CLEAR.value if v in ("in_scope", "undetermined") else v for k, v in found.items()}
    roles = con.execute("SELECT c.contact_id, f.role FROM found f JOIN contacts c USING (seq) WHERE f.role IN ('breach', 'undetermined')")
    told.update(dict(sorted(roles.fetchall(), key=lambda pair: pair[1], reverse=True)))
    return told


def derive_given(con: duckdb.DuckDBPyConnection, given: dict[str, list[dict[str, Any]]], words: Words, jurisdiction: str, where: str) -> None:
    """Fill the canonical tables and `signals` from the rows of a case; they must be empty."""
    place_given(con, given, jurisdiction, where)
    store.derive(con, Settings(jurisdiction=jurisdiction), {1: _HOME.get(jurisdiction, "UTC")})
    store_signals(con, scan_contacts(con, words))


def place_given(con: duckdb.DuckDBPyConnection, given: dict[str, list[dict[str, Any]]], jurisdiction: str, where: str) -> None:
    """Put the rows of a case into the input tables.

    Raises:
        RuleErrors: a table or a column is not ours.
    """
    named = {t.name for t in TABLES}
    for name in given:
        if name not in named:
            raise RuleErrors([RuleProblem(where, 0, "rules.case_table", (("table", name), ("have", ", ".join(sorted(named)))))])
    rows = {name: [_long(name, row) for row in given.get(name, [])] for name in named}
    for row in rows["contacts"]:
        for key, value in (("case_id", CASE), ("channel", "call"), ("direction", "outbound")):
            row.setdefault(key, value)
    described = {row.get("case_id") for row in rows["cases"]}
    for case_id in dict.fromkeys(r.get("case_id") for r in rows["contacts"]):
        if case_id not in described:
            rows["cases"].append({"case_id": case_id})
    for row in rows["cases"]:
        row.setdefault("jurisdiction", jurisdiction)
        if row["jurisdiction"] not in store.SINGLE_ZONE:
            row.setdefault("zone", _HOME.get(row["jurisdiction"]))
        row.setdefault("debtor_id", DEBTOR if row["case_id"] == CASE else f"D-{row['case_id']}")
    for name, listed in rows.items():
        for number, row in enumerate(listed, start=1):
            if name != "cases":
                row.setdefault("case_id", CASE)
            for key in table(name).key:
                # A row has an id of its own; a date that is left out is not known.
                if (column := table(name).column(key)) is None or column.type != "date":
                    row.setdefault(key, str(number))
            _insert(con, table(name), row, number, where, _HOME.get(jurisdiction, "UTC"))
    columns = {key for row in rows["contacts"] for key in row}
    con.executemany("INSERT INTO provided VALUES (1, ?)", [[c] for c in columns])


def _long(name: str, row: dict[str, Any]) -> dict[str, Any]:
    return {_SHORT[name].get(key, key): value for key, value in row.items()}


def _insert(con: duckdb.DuckDBPyConnection, spec: Table, row: dict[str, Any], number: int, where: str, zone: str) -> None:
    into = input_table(con, spec.name)
    names, places, values = ["batch_id", "row_no"], ["1", "?"], [number]
    for key, value in row.items():
        column = spec.column(key)
        if column is None:
            if key == "case_id":
                continue
            raise RuleErrors([RuleProblem(where, 0, "rules.case_column", (("table", spec.name), ("column", key)))])
        names.append(key)
        places.append("?")
        if column.type == "time" and value is not None and len(str(value)) == len("2026-03-05"):
            # A time given by its date alone, as in a file.
            names.append(f"{key}_day")
            places.append("true")
        try:
            values.append(_value(value, column.type, zone))
        except ValueError as error:
            raise RuleErrors([RuleProblem(where, 0, "rules.case_value", (("table", spec.name), ("column", key), ("value", str(value)[:40])))]) from error
    con.execute(f"INSERT INTO {into} ({', '.join(names)}) VALUES ({', '.join(places)})", values)


def _value(value: Any, type_: str, zone: str) -> Any:
    if value is None or type_ not in ("time", "date", "list"):
        return value
    if type_ == "list":
        return "|".join(value) if isinstance(value, list) else value
    if type_ == "date":
        return date.fromisoformat(value)
    moment = datetime.fromisoformat(value)
    # An instant that states its offset is put by the clock that the others go by.
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) if moment.tzinfo else moment


def check_all(folder: Path, only: Sequence[str] = ()) -> tuple[list[Pack], list[Prepared], Words]:
    """Load, compile and bind everything in a rules folder.

    Raises:
        RuleErrors: with all problems of all files.
    """
    words = load_words(rules.lexicon_folder(folder))
    load_calendars(folder)
    packs, problems = rules.load(folder, only)
    return packs, prepare(packs, problems, words.lexicons.ids), words
