"""One finding in full, and one rule in full: what, why, which clause, which facts, and how to find it again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from analyzer import findings, rules, summary
from analyzer.errors import UsageError
from analyzer.messages import LANGUAGES, say
from analyzer.model import Pack, Rule


@dataclass(frozen=True)
class Explained:
    """A finding with everything that bears on it.

    `ledger` is its evidence by time: contact_id, role, measured, local_at, channel, outcome, agent_id, vendor, text,
    file, row_no, and marks (start, end, words, concept) into the text. `sql` finds it again on the run's file.
    """

    finding: dict[str, Any]
    rule: dict[str, Any]
    citations: list[dict[str, Any]]
    texts: dict[str, dict[str, str]]
    ledger: list[dict[str, Any]]
    case: dict[str, Any]
    sql: str


def explain(con: duckdb.DuckDBPyConnection, finding_id: str) -> Explained:
    """Everything about a finding; its id may be shortened as long as it fits one.

    Raises:
        UsageError: no finding, or more than one, has that id.
    """
    found = summary.rows(con, "SELECT * FROM findings WHERE starts_with(finding_id, ?) LIMIT 2", [finding_id])
    run = summary.run(con)["run_id"]
    if not found:
        raise UsageError("run.no_finding", name=run, finding=finding_id)
    if len(found) > 1:
        raise UsageError("run.two_findings", finding=finding_id)
    finding = found[0]
    rule = summary.rows(con, "SELECT * FROM rules WHERE rule = ?", [finding["rule"]])[0]
    ledger = summary.rows(
        con,
        """
        SELECT e.ordinal, e.contact_id, c.case_id, e.role, e.measured, c.at_utc, c.local_at, c.zone, c.channel, c.direction, c.outcome, c.relation,
               c.party, c.number, c.agent_id, c.vendor, c.dpd, c.account_class, c.text, b.file, c.row_no, e.signal_ids
        FROM finding_evidence e JOIN contacts c ON c.seq = e.seq LEFT JOIN batches b ON b.batch_id = c.batch_id
        WHERE e.finding_id = ? ORDER BY e.ordinal
        """,
        [finding["finding_id"]],
    )
    for entry in ledger:
        ids = entry.pop("signal_ids") or []
        entry["marks"] = summary.rows(
            con,
            "SELECT start_at AS start, end_at AS \"end\", words, concept, detail FROM signals WHERE list_contains(?::BIGINT[], signal_id) ORDER BY start_at",
            [ids],
        ) if ids else []
    case = summary.rows(con, "SELECT * FROM cases WHERE case_id = ?", [finding["case_id"]])
    head = rules.read_head(rule["source"])
    return Explained(
        finding, {k: v for k, v in rule.items() if k not in ("source", "hits_sql", "standing_sql")}, head["citations"],
        {name: head[name] for name in ("title", "why", "remedy", "not_covered")}, ledger, case[0] if case else {},
        findings.reproducing_sql(rule["hits_sql"], finding["episode"]),
    )  # fmt: skip


def find_rule(folder: Path, name: str) -> Rule:
    """A rule by pack/id, or by id where only one pack has it.

    Raises:
        UsageError: there is none, or more than one.
        RuleErrors: the packs cannot be loaded.
    """
    return named_rule(rules.select(folder), name)


def named_rule(packs: Sequence[Pack], name: str) -> Rule:
    """A rule of some packs, by pack/id, or by id where only one pack has it.

    Raises:
        UsageError: there is none, or more than one.
    """
    found = [r for p in packs for r in p.rules if name in (r.ref, r.id)]
    if len(found) != 1:
        raise UsageError("rules.no_such_rule", name=name)
    return found[0]


_PACK = """id: {id}
title: {{zh: "{id}", en: "{id}"}}
about: {{zh: "{about_zh}", en: "{about_en}"}}
binds: {{zh: "{binds_zh}", en: "{binds_en}"}}
applies_to: {applies}
"""


def new_rule(name: str, like: Rule, target: Path) -> Path:
    """Begin a rule as a copy of one that works, as a draft; its pack is made if it is not there.

    Args:
        name: pack/id of the new rule.
        like: the rule to begin with.
        target: the rules folder that gets it.

    Raises:
        UsageError: not of that form, or there is such a rule already.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UsageError("rules.new_name", name=name[:80])
    pack, rule = name.split("/")
    path = target / pack / f"{rule}.yaml"
    if path.exists():
        raise UsageError("rules.new_exists", name=name)
    path.parent.mkdir(parents=True, exist_ok=True)
    head = path.parent / "pack.yaml"
    if not head.exists():
        said = {f"{name}_{lang}": say(f"rules.new_{name}", lang) for name in ("about", "binds") for lang in LANGUAGES}
        applies = "{" + ", ".join(f"{key}: [{', '.join(words)}]" for key, words in like.applies_to.items()) + "}"
        head.write_text(_PACK.format(id=pack, applies=applies, **said), encoding="utf-8")
    text = like.path.read_text(encoding="utf-8")
    text = re.sub(r"^id: .*$", f"id: {rule}", text, count=1, flags=re.MULTILINE)
    text = re.sub(r"^status: .*$", "status: draft", text, count=1, flags=re.MULTILINE)
    # Dates that the copied rule has from its pack would be lost with it.
    for key, day in (("in_force", like.in_force), ("until", like.until)):
        if day and not re.search(rf"^{key}:", text, re.MULTILINE):
            text = text.replace("\ncheck:", f"\n{key}: {day.isoformat()}\ncheck:", 1)
    path.write_text(text, encoding="utf-8")
    return path
