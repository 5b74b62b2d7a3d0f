"""What the rules cover and where they clash: computed from the rules, their cases and a run, never written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from analyzer import casebook
from analyzer.checks import Prepared, prepare
from analyzer.checks.bind import NEAR_MISS
from analyzer.model import Outcome, Pack
from analyzer.rules import ROWS
from analyzer.summary import interval, rows
from analyzer.text import Words, labels_of

BY_WORDS = frozenset(["wording", "disclosure", "personal_data"])
# Where `make evaluate` leaves what it measured: language -> label -> [right, wrong] on the development set.
MEASURED = "measured.json"
# A rule that breaches so often where it judges, and so many contacts, is noisy; two that share so much of their breaches overlap.
NOISY_SHARE, NOISY_CONTACTS, OVERLAP = 0.25, 50, 0.9


@dataclass(frozen=True)
class Row:
    """A row of the mission: how many rules serve it, their cases, and their findings in a run (None without one)."""

    row: str
    rules: tuple[str, ...]
    cases: int
    findings: int | None


@dataclass(frozen=True)
class Clause:
    """What is done about a clause: decided by `records` or `words` (with rules, cases, findings), or `not_decided` with what it needs.

    `right` of `told` labels were right on the development set, over the labels that its rules' words signal (0 of 0: not by words).
    """

    pack: str
    clause_zh: str
    clause_en: str
    known: str
    decided: str
    rules: tuple[str, ...]
    cases: int
    findings: int | None
    right: int = 0
    told: int = 0

    @property
    def precision(self) -> tuple[float, float, float] | None:
        """Share of labels that were right, with Wilson's 95 % interval; None where nothing was measured."""
        return (self.right / self.told, *interval(self.right, self.told)) if self.told else None


def measured(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Concept -> (label, right, told) of its label on the development sets, as `make evaluate` left it in a rules folder; empty where it did not."""
    path = folder / "examples" / MEASURED
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    by_label = {label: [sum(lang.get(label, (0, 0))[place] for lang in found.values()) for place in (0, 1)] for label in {k for lang in found.values() for k in lang}}
    return {concept: (label, right, right + wrong) for concept, label in labels_of(folder / "lexicon").items() for right, wrong in [by_label.get(label, [0, 0])]}


def coverage(
    packs: Sequence[Pack], findings: dict[str, int] | None, precision: Mapping[str, tuple[str, int, int]] | None = None
) -> tuple[list[Row], list[Clause]]:
    """The mission's rows and the packs' clauses.

    Args:
        packs: all of them.
        findings: how many findings each rule (pack/id) has in a run; None if there is no run to look at.
        precision: what was `measured` of the words.
    """
    rules = [rule for pack in packs for rule in pack.rules if rule.status != "retired"]
    found = []
    for name in sorted(ROWS, key=lambda r: (r[0], int(r[1:]))):
        serving = [rule for rule in rules if name in rule.serves]
        found.append(Row(name, tuple(r.ref for r in serving), sum(len(r.cases) for r in serving), None if findings is None else sum(findings.get(r.ref, 0) for r in serving)))
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
            # The concepts of one label were measured together.
            labels = {found_[0]: found_[1:] for r in unique for concept in by_ref[r].check.get("concepts", []) if (found_ := (precision or {}).get(concept))}
            clauses.append(Clause(
                pack.id, zh, en, known, how, unique, sum(len(by_ref[r].cases) for r in unique), None if findings is None else sum(findings.get(r, 0) for r in unique),
                sum(right for right, _ in labels.values()), sum(told for _, told in labels.values()),
            ))  # fmt: skip
        clauses += [Clause(pack.id, text.zh, text.en, "-", "not_decided", (), 0, None) for text in pack.not_decided]
    return found, clauses


def findings_by_rule(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """How many findings each rule has in a run."""
    return {str(rule): int(count) for rule, count in con.execute("SELECT rule, count(*) FROM findings GROUP BY rule").fetchall()}


@dataclass(frozen=True)
class Remark:
    """Something about a rule that its author should look at in a run.

    `what`: `silent` (it judged contacts and none breached), `idle` (it applies to none of them; `pack/*` where no rule of the pack does), `noisy` (more than `NOISY_SHARE` of
    those it judged breach, at least `NOISY_CONTACTS`), `overlap` (`OVERLAP` of its breaching contacts breach `other` too),
    `undetermined` (it could not judge more than it judged). `contacts` of `of`: the contacts it says so of.
    """

    rule: str
    what: str
    contacts: int
    of: int
    other: str | None = None


def hygiene(con: duckdb.DuckDBPyConnection) -> list[Remark]:
    """What the authors of the rules should look at in a run; rules that were not evaluated are told of elsewhere."""
    told: dict[str, dict[str, int]] = {}
    for row in rows(con, "SELECT rule, outcome, sum(contacts)::BIGINT AS contacts FROM rule_results GROUP BY ALL ORDER BY rule"):
        told.setdefault(row["rule"], {})[row["outcome"]] = row["contacts"]
    found = []
    # A pack that binds nobody here is one remark, not one for each of its rules.
    binding = {rule.split("/")[0] for rule, counts in told.items() if set(counts) - {Outcome.NOT_APPLICABLE.value}}
    found += [Remark(f"{pack}/*", "idle", 0, sum(next(c for r, c in told.items() if r.startswith(f"{pack}/")).values())) for pack in dict.fromkeys(r.split("/")[0] for r in told) if pack not in binding]
    for rule, counts in told.items():
        if rule.split("/")[0] not in binding:
            continue
        breach, open_ = counts.get(Outcome.BREACH, 0), counts.get(Outcome.UNDETERMINED, 0)
        judged = breach + counts.get(Outcome.CLEAR, 0)
        if not judged and not open_:
            found.append(Remark(rule, "idle", 0, sum(counts.values())))
        elif judged and not breach:
            found.append(Remark(rule, "silent", 0, judged))
        elif breach >= NOISY_CONTACTS and breach > NOISY_SHARE * judged:
            found.append(Remark(rule, "noisy", breach, judged))
        if open_ > judged:
            found.append(Remark(rule, "undetermined", open_, judged + open_))
    pairs = rows(con, """
        WITH broken AS (SELECT DISTINCT f.rule, e.seq FROM finding_evidence e JOIN findings f USING (finding_id) WHERE e.role = 'breach'),
             each_rule AS (SELECT rule, count(*) AS contacts FROM broken GROUP BY rule)
        SELECT a.rule, b.rule AS other, count(*) AS both, any_value(n.contacts) AS contacts
        FROM broken a JOIN broken b ON a.seq = b.seq AND a.rule <> b.rule JOIN each_rule n ON n.rule = a.rule
        GROUP BY a.rule, b.rule HAVING count(*) >= $share * any_value(n.contacts) ORDER BY a.rule, b.rule""", {"share": OVERLAP})  # fmt: skip
    return found + [Remark(row["rule"], "overlap", row["both"], row["contacts"], row["other"]) for row in pairs]


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
