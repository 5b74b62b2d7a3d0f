"""The findings of an export as documents that other programs read: SARIF 2.1.0 and OSCAL assessment results 1.1.

Both are made of the export's tables, so that a redacted edition needs no redaction of its own; every identifier in them is
derived from the finding's or the rule's, so that the same selection gives the same bytes.

`LINE_SCHEMA` is the published JSON Schema of the lines of the JSON Lines export.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID, uuid5

from analyzer.summary import NEAR_MISS
from analyzer.tables import Sheet, plain

# Names in this program's own name space (RFC 9562, version 5).
_SPACE = UUID("6f1c2d0a-7b53-5f0e-9a4e-4d756e417564")
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
_OSCAL, _NS = "1.1.2", "urn:dunaudit"


def _rows(sheet: Sheet) -> Iterator[dict[str, Any]]:
    for row in sheet.rows:
        yield dict(zip(sheet.columns, map(plain, row), strict=True))


def _evidence(sheet: Sheet) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for row in _rows(sheet):
        found[row["finding_id"]].append(row)
    return found


def _uuid(*parts: str) -> str:
    return str(uuid5(_SPACE, "/".join(parts)))


def _told(finding: Mapping[str, Any]) -> str:
    measured, permitted = finding["measured"] or "-", finding["permitted"] or "-"
    return f"{finding['title_zh']} · {finding['title_en']}: {measured} / {permitted}, {finding['breaches']}/{finding['evidence']}"


def _utc(moment: object) -> str:
    return f"{str(moment).replace(' ', 'T')}Z"


def _bytes(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")


def sarif(found: Mapping[str, Sheet], run: Mapping[str, Any], standings: Mapping[str, InForce]) -> bytes:
    """A SARIF log (OASIS, version 2.1.0) of one run: a result per finding, its contacts as locations in the files read.

    Only a breach of a prohibition is of kind `fail`; a presumption, a review or an advice is of kind `review`. What could not be
    judged stands with its rule, as `undetermined_contacts` and `not_evaluated_contacts`. The verdict in force is the property `verdict`; one
    that lets the finding go is a suppression with its reason, under review while it waits for a second person, is stale or appealed against.

    Args:
        found: the tables of `export.sheets`.
        run: a row of `summary.run`, with plain values.
        standings: of the findings with a verdict.
    """
    rules = list(_rows(found["rules"]))
    place = {rule["rule"]: number for number, rule in enumerate(rules)}
    ledger, verdicts = _evidence(found["evidence"]), _told_of(found, standings)
    results = []
    for finding in _rows(found["findings"]):
        near = rules[place[finding["rule"]]]["kind"] == NEAR_MISS
        fails = finding["effect"] == "prohibition" and not near
        results.append({
            "ruleId": finding["rule"], "ruleIndex": place[finding["rule"]], "kind": "informational" if near else "fail" if fails else "review",
            "level": _LEVELS[finding["severity"]] if fails else "none", "message": {"text": _told(finding)}, "guid": _uuid("finding", finding["finding_id"]),
            "locations": [_location(row) for row in ledger[finding["finding_id"]] if row["role"] == "breach"][:10],
            "relatedLocations": [_location(row) | {"id": row["ordinal"]} for row in ledger[finding["finding_id"]]],
            "partialFingerprints": {"finding/v1": finding["finding_id"], "evidence/v1": finding["evidence_digest"]},
            "properties": {k: v for k, v in finding.items() if k not in ("rule", "title_zh", "title_en")} | ({"verdict": verdicts[finding["finding_id"]]} if finding["finding_id"] in verdicts else {}),
            **_suppressed(verdicts.get(finding["finding_id"])),
        })  # fmt: skip
    log = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "DunAudit", "version": run["program"].split()[-1],
                "rules": [{
                    "id": rule["rule"], "shortDescription": {"text": f"{rule['title_zh']} · {rule['title_en']}"},
                    "defaultConfiguration": {"level": _LEVELS[rule["severity"]] if rule["effect"] == "prohibition" and rule["kind"] != NEAR_MISS else "none"},
                    "properties": {k: v for k, v in rule.items() if k not in ("rule", "title_zh", "title_en")},
                } for rule in rules],
            }},
            "automationDetails": {"id": run["run_id"]},
            "invocations": [{"executionSuccessful": True, "startTimeUtc": _utc(run["started_utc"]), "endTimeUtc": _utc(run["finished_utc"])}],
            "artifacts": [
                {"location": {"uri": quote(str(file["file"]))}, "length": file["bytes"], "hashes": {"sha-256": file["sha256"]}, "properties": {k: file[k] for k in ("table_name", "rows_read", "loaded", "rejected", "duplicate")}}
                for file in _rows(found["reconciliation"])
            ],
            "columnKind": "unicodeCodePoints",
            "results": results,
            "properties": {"data_digest": run["data_digest"], "rules_digest": run["rules_digest"]},
        }],
    }  # fmt: skip
    return _bytes(log)


# Verdicts that let a finding go.
_LET_GO = ("dismissed", "acceptable")


class InForce(NamedTuple):
    """Where a finding stands by the log of reviews: the state, the place in the log of the verdict behind it, and what keeps it from counting (see `review.Standing`)."""

    state: str
    seq: int
    marks: tuple[str, ...]


def _told_of(found: Mapping[str, Sheet], standings: Mapping[str, InForce]) -> dict[str, dict[str, Any]]:
    """Per finding its verdict in force, with who gave it when and why."""
    entries = {row["seq"]: row for row in _rows(found["verdicts"])}
    return {finding: {"state": one.state, **{name: entries[one.seq][name] for name in ("actor", "at_utc", "comment")}, "marks": list(one.marks)} for finding, one in standings.items()}


def _suppressed(verdict: Mapping[str, Any] | None) -> dict[str, Any]:
    if verdict is None or verdict["state"] not in _LET_GO:
        return {}
    return {"suppressions": [{"kind": "external", "status": "underReview" if verdict["marks"] else "accepted", **({"justification": verdict["comment"]} if verdict["comment"] else {})}]}


def _remark(verdict: Mapping[str, Any] | None) -> dict[str, str]:
    return {"remarks": " | ".join(str(part) for part in (verdict["state"], *verdict["marks"], verdict["actor"], verdict["at_utc"], verdict["comment"]) if part)} if verdict else {}


def _location(row: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"logicalLocations": [{"name": str(row["contact_id"]), "kind": "contact"}], "properties": {"role": row["role"]}}
    if row["file"] is not None:
        found["physicalLocation"] = {"artifactLocation": {"uri": quote(str(row["file"]))}, "region": {"startLine": max(1, int(row["row_no"]))}}
    return found


def oscal(found: Mapping[str, Sheet], run: Mapping[str, Any], whole: bool, standings: Mapping[str, InForce]) -> bytes:
    """OSCAL assessment results (NIST): an observation per finding, and for each rule whether its objective is met.

    A rule without findings is `satisfied` only where everything was judged and the selection is the whole run; where something could not
    be, an observation says how much, and nothing is concluded. A near miss is an observation and breaks no objective. The model knows no degrees of force: a rule's strength, effect and how
    well its text is known are properties.

    Args:
        found: the tables of `export.sheets`.
        run: a row of `summary.run`, with plain values.
        whole: whether the selection is the whole run.
        standings: of the findings with a verdict, a remark of the observation each.
    """
    rules = {rule["rule"]: rule for rule in _rows(found["rules"])}
    ledger, verdicts = _evidence(found["evidence"]), _told_of(found, standings)
    collected = _utc(run["finished_utc"])
    observations: list[dict[str, Any]] = []
    of_rule = defaultdict(list)
    for finding in _rows(found["findings"]):
        name = _uuid("observation", finding["finding_id"])
        near = rules[finding["rule"]]["kind"] == NEAR_MISS
        if not near:
            of_rule[finding["rule"]].append(name)
        observations.append({
            "uuid": name, "title": f"{finding['title_zh']} · {finding['title_en']}", "description": _told(finding),
            "props": _props(finding, ("finding_id", "severity", "strength", "effect", "known", "case_id", "agent_id", "team", "vendor", "channel", "account_class", "stage", "evidence_digest")),
            "methods": ["EXAMINE"], "types": ["near-miss" if near else "finding"], "collected": collected,
            "relevant-evidence": [{
                "href": f"{quote(str(row['file'] or 'contacts'))}#{row['row_no'] or ''}", "description": f"{row['contact_id']} {row['at_utc'] or '-'} {row['role']}",
            } for row in ledger[finding["finding_id"]]],
            **_remark(verdicts.get(finding["finding_id"])),
        })  # fmt: skip
    for ref, rule in rules.items():
        open_ = (rule["undetermined_contacts"] or 0) + (rule["not_evaluated_contacts"] or 0)
        if open_ and whole:
            observations.append({
                "uuid": _uuid("open", ref), "title": f"{rule['title_zh']} · {rule['title_en']}", "description": f"undetermined {rule['undetermined_contacts'] or 0}, not evaluated {rule['not_evaluated_contacts'] or 0}",
                "props": _props(rule, ("undetermined_contacts", "not_evaluated_contacts")), "methods": ["EXAMINE"], "types": ["control-objective"], "collected": collected,
            })  # fmt: skip
    findings = []
    for ref, rule in rules.items():
        if rule["kind"] == NEAR_MISS:
            continue
        judged = (rule["clear_contacts"] or 0) and not (rule["undetermined_contacts"] or 0) and not (rule["not_evaluated_contacts"] or 0)
        if not of_rule[ref] and not (whole and judged):
            continue
        findings.append({
            "uuid": _uuid("objective", ref), "title": f"{rule['title_zh']} · {rule['title_en']}", "description": ref,
            "props": _props(rule, ("severity", "strength", "effect", "known", "digest", "breaching_contacts", "clear_contacts")),
            "target": {"type": "objective-id", "target-id": _token(ref), "status": {"state": "not-satisfied" if of_rule[ref] else "satisfied"}},
            **({"related-observations": [{"observation-uuid": name} for name in of_rule[ref]]} if of_rule[ref] else {}),
        })  # fmt: skip
    document = {"assessment-results": {
        "uuid": _uuid("results", run["run_id"], str(run["data_digest"]), str(run["rules_digest"]), *sorted(o["uuid"] for o in observations)),
        "metadata": {"title": f"DunAudit {run['run_id']}", "last-modified": collected, "version": str(run["run_id"]), "oscal-version": _OSCAL},
        "import-ap": {"href": f"#{_uuid('plan', str(run['rules_digest']))}"},
        "results": [{
            "uuid": _uuid("result", run["run_id"], str(run["data_digest"]), str(run["rules_digest"])), "title": str(run["run_id"]), "description": run["command"],
            "start": _utc(run["started_utc"]), "end": collected,
            "props": _props(run, ("data_digest", "rules_digest")),
            "reviewed-controls": {"control-selections": [{"include-controls": [{"control-id": _token(ref)} for ref in rules]}]},
            **({"observations": observations} if observations else {}),
            **({"findings": findings} if findings else {}),
        }],
        "back-matter": {"resources": [{"uuid": _uuid("plan", str(run["rules_digest"])), "title": "rules", "description": run["command"]}]},
    }}  # fmt: skip
    return _bytes(document)


def _props(row: Mapping[str, Any], names: Iterable[str]) -> list[dict[str, str]]:
    """Those that have a value; the model has no empty ones."""
    return [{"name": name.replace("_", "-"), "ns": _NS, "value": " ".join(str(row[name]).split())} for name in names if str(row[name] if row[name] is not None else "").strip()]


def _token(ref: str) -> str:
    """A rule's name as OSCAL's tokens are written, which hold no slash."""
    return ref.replace("/", ".")


def _or_null(kind: str, **more: str) -> dict[str, Any]:
    return {"type": [kind, "null"], **more}


_TEXT, _MOMENT, _WHOLE = _or_null("string"), _or_null("string", pattern=r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?$"), _or_null("integer")
_SURE = {"type": "string"}


def _line(name: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"DunAudit {name}", "type": "object", "properties": dict(columns), "required": list(columns), "additionalProperties": False}


LINE_SCHEMA: dict[str, dict[str, Any]] = {
    "findings": _line("findings", {
        "finding_id": {"type": "string", "pattern": "^[0-9a-f]{16}$"}, "rule": _SURE, "title_zh": _SURE, "title_en": _SURE,
        "severity": {"enum": ["critical", "high", "medium", "low"]},
        "strength": {"enum": ["law", "rule", "standard", "convention", "guideline", "policy"]},
        "effect": {"enum": ["prohibition", "presumption", "review", "advisory"]},
        "known": {"enum": ["seen", "reported", "unverified", "house"]},
        "case_id": _SURE, "debtor_id": _SURE, "person_id": _TEXT, "agent_id": _TEXT, "team": _TEXT, "vendor": _TEXT, "channel": _TEXT, "account_class": _TEXT, "stage": _TEXT,
        "first_utc": _MOMENT, "last_utc": _MOMENT, "first_local": _MOMENT, "on_date": _or_null("string", pattern=r"^\d{4}-\d\d-\d\d$"),
        "breaches": {"type": "integer"}, "evidence": {"type": "integer"}, "measured": _TEXT, "permitted": _TEXT, "episode": _SURE, "rule_digest": _SURE, "evidence_digest": _SURE,
    }),
    "evidence": _line("evidence", {
        "finding_id": {"type": "string", "pattern": "^[0-9a-f]{16}$"}, "ordinal": {"type": "integer"}, "role": {"enum": ["breach", "counted", "cause"]}, "contact_id": _SURE, "case_id": _SURE,
        "person_id": _TEXT, "number": _TEXT, "relation": _TEXT, "party": _TEXT, "agent_id": _TEXT, "vendor": _TEXT, "channel": _TEXT, "direction": _TEXT, "at_utc": _MOMENT,
        "zone": _TEXT, "local_at": _MOMENT, "outcome": _TEXT, "duration_s": _WHOLE, "dpd": _WHOLE, "measured": _TEXT, "marks": _TEXT, "text": _TEXT, "file": _TEXT, "row_no": _WHOLE,
    }),
}  # fmt: skip
"""JSON Schema (draft 2020-12) of a line of the JSON Lines export, by table; in a redacted edition masks stand where identifiers do."""
