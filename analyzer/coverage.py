"""What the rules cover and where they clash: computed from the rules, their cases and a run, never written by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

from analyzer import casebook
from analyzer.checks import Prepared, prepare
from analyzer.checks.bind import NEAR_MISS
from analyzer.model import Outcome, Pack
from analyzer.rules import ROWS
from analyzer.text import Words

BY_WORDS = frozenset(["wording", "disclosure", "personal_data"])


@dataclass(frozen=True)
class Row:
    """A row of the mission: how many rules serve it, their cases, and their findings in a run (None without one)."""

    row: str
    rules: tuple[str, ...]
    cases: int
    findings: int | None


@dataclass(frozen=True)
class Clause:
    """What is done about a clause: decided by `records` or `words` (with rules, cases, findings), or `not_decided` with what it needs."""

    pack: str
    clause_zh: str
    clause_en: str
    known: str
    decided: str
    rules: tuple[str, ...]
    cases: int
    findings: int | None


def coverage(packs: Sequence[Pack], findings: dict[str, int] | None) -> tuple[list[Row], list[Clause]]:
    """The mission's rows and the packs' clauses.

    Args:
        packs: all of them.
        findings: how many findings each rule (pack/id) has in a run; None if there is no run to look at.
    """
    rules = [rule for pack in packs for rule in pack.rules if rule.status != "retired"]
    rows = []
    for name in sorted(ROWS, key=lambda r: (r[0], int(r[1:]))):
        serving = [rule for rule in rules if name in rule.serves]
        rows.append(Row(name, tuple(r.ref for r in serving), sum(len(r.cases) for r in serving), None if findings is None else sum(findings.get(r.ref, 0) for r in serving)))
    clauses = []
    for pack in packs:
        grouped: dict[tuple[str, str, str, str], list[str]] = {}
        for rule in pack.rules:
            how = "words" if rule.kind in BY_WORDS else "records"
            for cite in rule.citations:
                grouped.setdefault((f"{cite.instrument.zh} {cite.clause.zh}", f"{cite.instrument.en}, {cite.clause.en}", cite.known, how), []).append(rule.ref)
        by_ref = {rule.ref: rule for rule in pack.rules}
        for (zh, en, known, how), refs in grouped.items():
            unique = tuple(dict.fromkeys(refs))
            clauses.append(Clause(pack.id, zh, en, known, how, unique, sum(len(by_ref[r].cases) for r in unique), None if findings is None else sum(findings.get(r, 0) for r in unique)))
        clauses += [Clause(pack.id, text.zh, text.en, "-", "not_decided", (), 0, None) for text in pack.not_decided]
    return rows, clauses


def findings_by_rule(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many findings each rule has in a run."""
    return {str(rule): int(count) for rule, count in con.execute("SELECT rule, count(*) FROM findings GROUP BY rule").fetchall()}


@dataclass(frozen=True)
class Conflict:
    """A contact that a policy lets pass and a binding rule does not: the shortest case of the policy's rule that shows it.

    `contacts` are the ids of the contacts in that case; `size` is how many contacts the case has.
    """

    policy: str
    against: str
    strength: str
    case: str
    contacts: tuple[str, ...]
    size: int


def conflicts(packs: Sequence[Pack], words: Words, progress: Callable[[int, int], None] = lambda *_: None) -> list[Conflict]:
    """Where a policy's own cases, clear under it, breach another rule in the same jurisdiction.

    Every case of every policy rule is put before the rules of law, regulation, standard and convention that bind the same
    place; what they find among the contacts the policy calls clear is a conflict.

    Args:
        packs: policies and the rest.
        words: for rules that read texts.
        progress: called with (case, of how many).
    """
    prepared = prepare(packs, (), words.lexicons.ids)
    places = {pack.id: pack.jurisdiction or "CN" for pack in packs}
    policies = [p for p in prepared if p.rule.strength == "policy" and p.rule.status != "draft" and p.rule.kind != NEAR_MISS]
    binding = [p for p in prepared if p.rule.strength in ("law", "rule", "standard", "convention") and p.rule.status not in ("draft", "retired")]
    shortest: dict[tuple[str, str], Conflict] = {}
    total, done = sum(len(p.rule.cases) for p in policies), 0
    with casebook.bench() as con:
        for policy in policies:
            place = places[policy.rule.pack]
            against = [p for p in binding if places[p.rule.pack] == place]
            for case in policy.rule.cases:
                done += 1
                progress(done, total)
                clear = [contact for outcome, ids in case["expect"].items() if outcome == Outcome.CLEAR for contact in ids]
                if not clear or case["todo"]:
                    continue
                con.execute("BEGIN")
                try:
                    casebook.derive_given(con, case["given"], words, place, policy.rule.ref)
                    for other in against:
                        broken = _breaches(con, other, clear)
                        known = shortest.get((policy.rule.ref, other.rule.ref))
                        size = len(case["given"].get("contacts", []))
                        if broken and (known is None or size < known.size):
                            shortest[policy.rule.ref, other.rule.ref] = Conflict(policy.rule.ref, other.rule.ref, other.rule.strength, case["name"], broken, size)
                finally:
                    con.execute("ROLLBACK")
    return sorted(shortest.values(), key=lambda c: (c.policy, c.against))


def _breaches(con: duckdb.DuckDBPyConnection, item: Prepared, among: Sequence[str]) -> tuple[str, ...]:
    rows = con.execute(f"SELECT DISTINCT c.contact_id FROM ({item.compiled.hits}) h JOIN contacts c USING (seq) WHERE h.role = 'breach' ORDER BY 1").fetchall()
    return tuple(row[0] for row in rows if row[0] in among)
