"""Findings that leave the system: one selection as CSV, XLSX, Parquet or JSON Lines, and as an evidence pack.

The same run, selection, log of reviews and options give the same bytes. There are two editions: full, and redacted (see `redact`).
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from analyzer import interchange, pack_verifier, redact, sampling, signature, summary, yamlfile
from analyzer.checks.base import KEYS
from analyzer.errors import UsageError
from analyzer.findings import reproducing_sql
from analyzer.review import FIRST, Reviews, entry_hash
from analyzer.sql import literal
from analyzer.tables import Packed, Sheet, csv_bytes, defused, jsonl_bytes, parquet_bytes, plain, write_whole, xlsx_bytes, zip_bytes

_T = TypeVar("_T")
__all__ = ["EACH", "FORMATS", "MANIFEST", "Options", "Sheet", "Verified", "defused", "pack", "plain", "sheets", "verify", "write", "write_each"]
FORMATS = ("csv", "xlsx", "parquet", "jsonl", "sarif", "oscal", "zip")
"""What a selection is written as; `zip` is an evidence pack."""
_ENDINGS = {"json": "oscal"}
MANIFEST, VERIFIER = pack_verifier.MANIFEST, "verify.py"
SECRET = "link.txt"
"""In a full edition: what ties the redacted one to it (see `redact.secret_of`)."""
FORMAT = "dunaudit-evidence-2"


@dataclass(frozen=True)
class Options:
    """How an export is made, beside its selection.

    `edition`: full or redacted; `key_file`: the key of the masks, which a redacted edition needs; `sign_with`: the private key that signs
    a pack; `reviews`: the log whose verdicts go along; `samples`: work papers of `sampling`; `made_by`: who makes it, as the
    reconciliation sheet says; `progress`: called with (table or file, number done, of how many).
    """

    edition: str = "full"
    key_file: Path | None = None
    sign_with: Path | None = None
    reviews: Reviews | None = None
    samples: tuple[Path, ...] = ()
    made_by: str = ""
    progress: Callable[[str, int, int], None] = field(default=lambda *_: None, compare=False)

    def telling(self, items: Mapping[str, _T]) -> Iterator[tuple[str, _T]]:
        """The items one by one, each told before it is begun."""
        for number, (name, item) in enumerate(items.items()):
            self.progress(name, number, len(items))
            yield name, item


_FULL = Options()
_QUERIES = {
    "findings": """
        SELECT f.finding_id, f.rule, r.title_zh, r.title_en, f.severity, f.strength, r.effect, r.known, f.case_id, f.debtor_id, f.person_id, f.agent_id, f.team, f.vendor,
               f.channel, f.account_class, f.stage, f.first_utc, f.last_utc, f.first_local, f.on_date, f.breaches, f.evidence, f.measured, f.permitted, f.episode,
               f.rule_digest, f.evidence_digest
        FROM findings f JOIN chosen USING (finding_id) JOIN rules r ON r.rule = f.rule ORDER BY f.finding_id""",
    "evidence": """
        WITH marks AS (
            SELECT e.finding_id, e.ordinal, string_agg(s.concept || '[' || s.start_at || ',' || s.end_at || ')', ' ' ORDER BY s.start_at, s.end_at, s.concept) AS marks
            FROM (SELECT finding_id, ordinal, unnest(signal_ids) AS signal_id FROM finding_evidence SEMI JOIN chosen USING (finding_id)) e JOIN signals s USING (signal_id)
            GROUP BY e.finding_id, e.ordinal
        )
        SELECT e.finding_id, e.ordinal, e.role, e.contact_id, c.case_id, c.person_id, c.number, c.relation::VARCHAR AS relation, c.party::VARCHAR AS party, c.agent_id, c.vendor,
               c.channel::VARCHAR AS channel, c.direction::VARCHAR AS direction, c.at_utc, c.zone, c.local_at, c.outcome::VARCHAR AS outcome, c.duration_s, c.dpd, e.measured,
               marks.marks, c.text, b.file, c.row_no
        FROM finding_evidence e JOIN chosen USING (finding_id) JOIN contacts c ON c.seq = e.seq LEFT JOIN batches b ON b.batch_id = c.batch_id
        LEFT JOIN marks ON marks.finding_id = e.finding_id AND marks.ordinal = e.ordinal
        ORDER BY e.finding_id, e.ordinal""",
    "rules": """
        SELECT r.rule, r.title_zh, r.title_en, r.kind, r.severity, r.strength, r.effect, r.known, r.digest, count(f.finding_id) AS findings,
               any_value(o.breach) AS breaching_contacts, any_value(o.clear) AS clear_contacts, any_value(o.undetermined) AS undetermined_contacts,
               any_value(o.not_evaluated) AS not_evaluated_contacts
        FROM rules r LEFT JOIN (SELECT * FROM findings JOIN chosen USING (finding_id)) f ON f.rule = r.rule
        LEFT JOIN (SELECT rule, coalesce(sum(contacts) FILTER (WHERE outcome = 'breach'), 0)::BIGINT AS breach, coalesce(sum(contacts) FILTER (WHERE outcome = 'clear'), 0)::BIGINT AS clear,
                          coalesce(sum(contacts) FILTER (WHERE outcome = 'undetermined'), 0)::BIGINT AS undetermined,
                          coalesce(sum(contacts) FILTER (WHERE outcome = 'not_evaluated'), 0)::BIGINT AS not_evaluated
                   FROM rule_results GROUP BY rule) o ON o.rule = r.rule
        GROUP BY r.rule, r.title_zh, r.title_en, r.kind, r.severity, r.strength, r.effect, r.known, r.digest ORDER BY r.rule""",
    "reconciliation": """
        SELECT file, table_name, sha256, bytes, encoding, header_row, zone, zone_from, date_order, rows_read, loaded, rejected, duplicate,
               rows_read = loaded + rejected + duplicate AS adds_up, mapped, unmapped
        FROM batches ORDER BY batch_id""",
    "rejects": "SELECT b.file, r.row_no, r.reason, r.detail, r.original FROM rejects r JOIN batches b USING (batch_id) SEMI JOIN told_batches USING (batch_id) ORDER BY b.batch_id, r.row_no",
    "contacts": """
        SELECT c.contact_id, c.case_id, c.debtor_id, c.debt_id, c.person_id, c.number, c.agent_id, c.team, c.vendor, c.collector, c.lender, c.channel::VARCHAR AS channel,
               c.direction::VARCHAR AS direction, c.at_utc, c.zone, c.local_at, c.on_date, c.outcome::VARCHAR AS outcome, c.call_type::VARCHAR AS call_type,
               c.relation::VARCHAR AS relation, c.party::VARCHAR AS party, c.knows, c.number_kind, c.duration_s, c.dpd, c.text, b.file, c.row_no
        FROM contacts c LEFT JOIN batches b USING (batch_id)
        WHERE c.debtor_id IN (SELECT f.debtor_id FROM findings f JOIN chosen USING (finding_id))
           OR c.seq IN (SELECT e.seq FROM finding_evidence e JOIN chosen USING (finding_id)) OR c.seq IN (SELECT seq FROM windows)
        ORDER BY c.at_utc, c.contact_id""",
    "window": "SELECT w.finding_id, c.contact_id FROM windows w JOIN contacts c USING (seq) ORDER BY w.finding_id, c.at_utc, c.contact_id",
}  # fmt: skip
# What the sheet of rules counts over all contacts of the run; and the filters that say whose the contacts are, by column of theirs.
_OVER_CONTACTS = ("breaching_contacts", "clear_contacts", "undetermined_contacts", "not_evaluated_contacts")
_WHOSE = {"vendor": "vendor", "team": "team", "agent": "agent_id", "case": "case_id", "debtor": "debtor_id"}
# What is added up of each list, and the column by whose dates it says its period.
_CONTROLS = {
    "findings": ("breaches", "on_date"), "evidence": ("duration_s", "local_at"), "rules": ("findings", ""), "reconciliation": ("rows_read", ""),
    "rejects": ("row_no", ""), "contacts": ("duration_s", "on_date"), "verdicts": ("seq", "at_utc"), "sampling": ("ordinal", ""),
}  # fmt: skip


def sheets(con: duckdb.DuckDBPyConnection, filters: Mapping[str, Sequence[str]] | None = None, options: Options = _FULL) -> dict[str, Sheet]:
    """The tables of an export, all of the run but findings that are filtered.

    findings, evidence, rules, reconciliation (a row per file read), rejects; parameters (rule, parameter, since, value: of the rules with
    findings), verdicts (what people decided about these findings), sampling (see `sampling.COLUMNS`). Nothing is redacted yet. Where filters
    leave contacts out, the sheet of rules says nothing of contacts, and where they say whose the contacts are, rejected rows are told of files
    that hold nobody else's.

    Args:
        con: a run.
        filters: as `summary.findings` takes them.
        options: the log of reviews and the work papers.

    Raises:
        UsageError: no finding fits the filters, or a work paper cannot be read.
    """
    where, params = summary.condition(filters)
    con.execute(f"CREATE OR REPLACE TEMP TABLE chosen AS SELECT finding_id FROM findings WHERE {where}", params)
    con.execute(*_tell_batches(filters or {}))
    found = {name: _sheet(con, name) for name, _ in options.telling(dict.fromkeys(("findings", "evidence", "rules", "reconciliation", "rejects")))}
    if filters and not found["findings"].rows:
        raise UsageError("export.nothing")
    if not summary.keeps_contacts(filters):
        found["rules"] = _without(found["rules"], _OVER_CONTACTS)
    return found | {s.name: s for s in (_parameters(con), _verdicts(found["findings"], _entries(options.reviews)), sampling.sheet_of(options.samples))}


def _sheet(con: duckdb.DuckDBPyConnection, name: str) -> Sheet:
    """A table of the export."""
    found = con.sql(_QUERIES[name]).to_arrow_table()
    return Sheet(name, tuple(found.column_names), Packed(found.columns))


def _tell_batches(filters: Mapping[str, Sequence[str]]) -> tuple[str, list[list[str]]]:
    """(statement, its parameters) that makes `told_batches` (batch_id): the files whose rejected rows may be told. A rejected row does not say whose it is."""
    whose = {column: list(filters[name]) for name, column in _WHOSE.items() if name in filters}
    theirs = " AND ".join(f"coalesce({column}, '{summary.NO_VALUE}') IN (SELECT unnest(?::VARCHAR[]))" for column in whose)
    kept = f"SELECT batch_id FROM contacts GROUP BY batch_id HAVING bool_and({theirs})" if whose else "SELECT batch_id FROM batches"
    return f"CREATE OR REPLACE TEMP TABLE told_batches AS {kept}", list(whose.values())


def _without(sheet: Sheet, columns: Sequence[str]) -> Sheet:
    """A table with some columns empty."""
    emptied = [name in columns for name in sheet.columns]
    return Sheet(sheet.name, sheet.columns, [tuple(None if empty else cell for cell, empty in zip(row, emptied, strict=True)) for row in sheet.rows])


def _used(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, str]]:
    """(rule, its file's text, hits_sql, standing_sql) of the rules with chosen findings."""
    return con.execute("SELECT DISTINCT r.rule, r.source, r.hits_sql, r.standing_sql FROM rules r JOIN findings f USING (rule) JOIN chosen USING (finding_id) ORDER BY 1").fetchall()


def _parameters(con: duckdb.DuckDBPyConnection) -> Sheet:
    rows: list[tuple[Any, ...]] = []
    for rule, source, *_ in _used(con):
        data = yamlfile.parse(source).data
        rows += [(rule, f"check.{name}", "", _told(value)) for name, value in sorted(data["check"].items())]
        rows += [(rule, name, str(since), _told(value)) for name, spans in sorted(data.get("values", {}).items()) for since, value in sorted(spans.items(), key=lambda s: str(s[0]))]
    return Sheet("parameters", ("rule", "parameter", "since", "value"), rows)


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _entries(reviews: Reviews | None) -> list[dict[str, Any]]:
    return list(reviews.chain()) if reviews else []


def _verdicts(findings: Sheet, entries: Sequence[Mapping[str, Any]]) -> Sheet:
    columns = ("seq", "at_utc", "actor", "finding_id", "run_id", "kind", "state", "comment", "assignee", "detail", "rule", "stale")
    at = {name: findings.columns.index(name) for name in ("finding_id", "rule_digest", "evidence_digest")}
    digests = {row[at["finding_id"]]: (row[at["rule_digest"]], row[at["evidence_digest"]]) for row in findings.rows}
    rows = [
        (*(entry[c] for c in columns[:-1]), (entry["rule_digest"], entry["evidence_digest"]) != digests[entry["finding_id"]])
        for entry in entries
        if entry["finding_id"] in digests
    ]
    return Sheet("verdicts", columns, rows)


def _in_force(findings: Sheet, reviews: Reviews | None) -> dict[str, interchange.InForce]:
    """Where the findings stand on which somebody has given a verdict."""
    standings = reviews.standings([dict(zip(findings.columns, row, strict=True)) for row in findings.rows]) if reviews else {}
    return {
        finding: interchange.InForce(one.state, (one.second or one.entry).seq, one.marks())
        for finding, one in standings.items() if one.entry is not None and one.state not in ("open", "claimed")
    }  # fmt: skip


def write(
    con: duckdb.DuckDBPyConnection, target: Path, filters: Mapping[str, Sequence[str]] | None = None, options: Options = _FULL, form: str | None = None,
) -> dict[str, int]:  # fmt: skip
    """Write a selection; `form`, or else what the name ends with, says how. Rows written, by table.

    CSV and JSON Lines hold the findings and, beside them, `<name>.evidence.<ending>` and, where somebody has judged one, `<name>.verdicts.<ending>`; Parquet likewise; XLSX has a sheet each; SARIF and
    OSCAL (also `.json`) are one document (`interchange`); a ZIP is an evidence pack (`pack`). Files are whole or not there.

    Raises:
        UsageError: no finding fits, the format is none of `FORMATS`, the file cannot be written, a key is missing or too short, or an
            identifier is left in a redacted edition.
    """
    ending = form or target.suffix.lower().lstrip(".")
    ending = _ENDINGS.get(ending, ending)
    if ending not in FORMATS:
        raise UsageError("export.format", ending=ending or "-", have=", ".join(FORMATS))
    if options.sign_with is not None and ending != "zip":
        raise UsageError("sign.only_packs")
    found = sheets(con, filters, options)
    redactor = _redactor(con, found, options)
    files: dict[Path, bytes]
    if ending == "zip":
        files = {target: pack(con, found, filters, options, redactor)}
    else:
        if redactor is not None:
            redactor.learn(found.values())
        shown = {name: redactor.sheet(sheet) for name, sheet in options.telling(found)} if redactor else found
        options.progress(target.name, 0, 1)
        if ending == "xlsx":
            files = {target: xlsx_bytes((sheet for _, sheet in options.telling(shown)), _finished(con))}
        elif ending in ("sarif", "oscal"):
            run, standings = _run(con, redactor), _in_force(found["findings"], options.reviews)
            files = {target: interchange.sarif(shown, run, standings) if ending == "sarif" else interchange.oscal(shown, run, not filters, standings)}
        else:
            encode: Callable[[Sheet], bytes] = {"csv": csv_bytes, "jsonl": jsonl_bytes, "parquet": parquet_bytes}[ending]
            beside = ["evidence", *(["verdicts"] if shown["verdicts"].rows else [])]
            files = {target: encode(shown["findings"])} | {target.with_name(f"{target.stem}.{name}{target.suffix or f'.{ending}'}"): encode(shown[name]) for name in beside}
        if redactor is not None:
            _swept(redactor, {f"{number}.{'json' if ending in ('sarif', 'oscal') else ending}": data for number, data in enumerate(files.values())}, target.name)
    if redactor is not None and redactor.holds([target.name]):
        raise UsageError("redact.left_in_name")
    write_whole(files)
    return {name: len(sheet.rows) for name, sheet in found.items()}


EACH = ("vendor", "team", "pack", "rule", "clause")
"""What an export can be parted by."""


Writer = Callable[[Path, Mapping[str, Sequence[str]]], dict[str, int]]
"""Writes what some filters choose into a file; rows written, by table."""


def write_each(
    con: duckdb.DuckDBPyConnection, folder: Path, by: str, form: str, filters: Mapping[str, Sequence[str]] | None = None, options: Options = _FULL, writer: Writer | None = None,
) -> dict[str, dict[str, int]]:  # fmt: skip
    """One export for each agency, team, pack, rule or clause that has findings: rows written, by file and table.

    The files are named by number; `index.csv` (file, by, value, findings, sha256) says which is whose. A clause is an instrument and a place
    in it that a rule cites; a rule that cites two stands in both. In a redacted edition the value is masked as everywhere else.

    Args:
        con: a run.
        folder: where they go; made where it is not there.
        by: one of `EACH`.
        form: one of `FORMATS`, or what a `writer` of another kind writes.
        filters: see `summary.condition`; what is parted.
        options: see `Options`.
        writer: what writes each part; by default `write`.

    Raises:
        UsageError: as `write`, and where `by` is not known or the folder cannot be made.
    """
    if by not in EACH:
        raise UsageError("export.each", by=by[:40], have=", ".join(EACH))
    if writer is None and form not in FORMATS:
        raise UsageError("export.format", ending=form[:40], have=", ".join(FORMATS))
    parts = _parts(con, by, filters)
    if not parts:
        raise UsageError("export.nothing")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError("export.cannot_write", name=folder.name, why=type(error).__name__) from error
    ending = {"oscal": "oscal.json"}.get(form, form)
    done: dict[str, dict[str, int]] = {}
    index = []
    for number, (value, part) in enumerate(parts.items(), start=1):
        target = folder / f"{by}-{number:03d}.{ending}"
        chosen = {**(filters or {}), **part}
        done[target.name] = writer(target, chosen) if writer else write(con, target, chosen, options, form)
        index.append((target.name, by, value, done[target.name]["findings"], sha256(target.read_bytes()).hexdigest()))
    sheet = Sheet("index", ("file", "by", "value", "findings", "sha256"), index)
    redactor = _redactor(con, sheets(con, filters, options), options)
    if redactor is not None:
        redactor.learn([sheet])
        sheet = redactor.sheet(sheet)
        _swept(redactor, {"index.csv": csv_bytes(sheet)})
    write_whole({folder / "index.csv": csv_bytes(sheet)})
    return done


def _parts(con: duckdb.DuckDBPyConnection, by: str, filters: Mapping[str, Sequence[str]] | None) -> dict[str, dict[str, list[str]]]:
    """What each part is called, and the filter that selects it."""
    where, params = summary.condition(filters)
    if by in ("vendor", "team"):
        values = [row[0] for row in con.execute(f"SELECT DISTINCT {by} FROM findings WHERE {where} ORDER BY 1 NULLS LAST", params).fetchall()]
        return {"" if value is None else str(value): {by: [summary.NO_VALUE if value is None else str(value)]} for value in values}
    found = con.execute(f"SELECT DISTINCT r.pack, r.rule, r.source FROM findings f JOIN rules r ON r.rule = f.rule WHERE f.finding_id IN (SELECT finding_id FROM findings WHERE {where}) ORDER BY 1, 2", params).fetchall()
    parts: dict[str, dict[str, list[str]]] = {}
    for pack_id, rule, source in found:
        names = [pack_id] if by == "pack" else [rule]
        if by == "clause":
            names = list(dict.fromkeys(f"{cite['instrument']['zh']} {cite['clause']['zh']}" for cite in yamlfile.parse(source).data["citations"]))
        for name in names:
            parts.setdefault(name, {"rule": []})["rule"].append(rule)
    return parts


def _redactor(con: duckdb.DuckDBPyConnection, found: Mapping[str, Sheet], options: Options) -> redact.Redactor | None:
    if options.edition not in redact.EDITIONS:
        raise UsageError("redact.edition", edition=options.edition[:40], have=", ".join(redact.EDITIONS))
    if options.edition == "full":
        return None
    if options.key_file is None:
        raise UsageError("redact.needs_key")
    entries = _entries(options.reviews)
    people = [entry[name] for entry in entries for name in ("actor", "assignee")] + [json.loads(entry["detail"] or "{}").get("approver", "") for entry in entries]
    redactor = redact.Redactor.of_run(con, redact.read_key(options.key_file), [*people, options.made_by, *found["sampling"].column("checked_by")])
    redactor.keep([FORMAT, *found["findings"].column("finding_id")])
    redactor.keep(entry["finding_id"] for entry in entries if entry["finding_id"])
    return redactor


def _swept(redactor: redact.Redactor, files: Mapping[str, bytes], name: str = "") -> None:
    """Nothing leaves in which an identifier is left.

    Raises:
        UsageError: one is; it names the file, never the identifier.
    """
    left = redactor.left(files)
    if left is not None:
        raise UsageError("redact.left", name=name or left)


def _finished(con: duckdb.DuckDBPyConnection) -> datetime:
    moment: datetime = con.execute("SELECT coalesce(finished_utc, started_utc) FROM runs").fetchall()[0][0]
    return moment.replace(microsecond=0)


def pack(
    con: duckdb.DuckDBPyConnection, found: Mapping[str, Sheet], filters: Mapping[str, Sequence[str]] | None = None, options: Options = _FULL,
    redactor: redact.Redactor | None = None,
) -> bytes:  # fmt: skip
    """An evidence pack: an archive of

    the tables of `sheets` as CSV, findings and evidence as JSON Lines too; contacts.csv (all contacts of the findings' debtors, all
    evidence, and all that a share was counted over, so that every count can be repeated); window.csv (finding_id, contact_id: what a share
    was counted over, where the ledger holds its last contact only); ipe.csv (for each list: source, filters, period, rows, control
    total, who, when, query); rules/, sql/; action_log.jsonl, the chain of the log of reviews, entries about other findings without
    content; manifest.json with the SHA-256 of each, manifest.sha256, manifest.sig where it is signed, and a verifier that needs nothing but Python.

    Args:
        con: the run `found` is of.
        found: `sheets`.
        filters: the selection, as told in the manifest.
        options: see `Options`.
        redactor: for a redacted edition; its manifest names sums of the full edition's files (see `redact.secret_of`).

    Raises:
        UsageError: the key to sign with is none, or an identifier is left.
    """
    selected = {k: list(v) for k, v in sorted((filters or {}).items())}
    windows = _fill_windows(con)
    found = {**found, **{name: _sheet(con, name) for name in ("contacts", "window")}}
    files = _files(con, found, selected, options, windows, None)
    secret = redactor.secret if redactor else redact.secret_of(con)
    files[SECRET] = f"{secret}\n".encode()
    manifest = _manifest(con, found, files, selected, {"edition": "full"}, None)
    if redactor is not None:
        linked = [name for name in sorted(files) if name not in (SECRET, VERIFIER)]
        sums = {shown: redact.linked_sum(secret, files[name]) for name, shown in zip(linked, redactor.names(linked), strict=True)}
        # From here on only the other edition is held.
        del files
        link = {"edition": "redacted", "full_edition": {"manifest": sha256(manifest).hexdigest(), "files": sums}}
        redactor.learn(found.values())
        shown = {name: redactor.sheet(sheet) for name, sheet in options.telling(found)}
        selected = redactor.filters(selected)
        files = _files(con, shown, selected, options, windows, redactor)
        manifest = _manifest(con, shown, files, selected, link, redactor)
        _swept(redactor, {name: data for name, data in {**files, MANIFEST: manifest}.items() if name != VERIFIER})
    files[MANIFEST] = manifest
    files[pack_verifier.MANIFEST_SUM] = f"{sha256(manifest).hexdigest()}  {MANIFEST}\n".encode()
    if options.sign_with is not None:
        files[pack_verifier.SIGNATURE] = signature.sign(manifest, options.sign_with)
    return pack_verifier.sealed(zip_bytes({name: files[name] for name in sorted(files)}))


def _fill_windows(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Make the temporary table `windows` (finding_id, seq), all contacts that a share was counted over; the statements that make it.

    The ledgers of the other kinds hold every contact that was counted.
    """
    made = ["CREATE OR REPLACE TEMP TABLE windows (finding_id VARCHAR, seq BIGINT)"]
    for rule, source, _, standing in _used(con):
        check = yamlfile.parse(source).data["check"]
        if check["kind"] != "share":
            continue
        unit = {"calendar_week": "week", "calendar_month": "month"}[check.get("window", "calendar_month")]
        same = " AND ".join(f"c.{KEYS[key]} IS NOT DISTINCT FROM l.{KEYS[key]}" for key in check["per"])
        made.append(
            f"INSERT INTO windows SELECT f.finding_id, c.seq FROM findings f JOIN chosen USING (finding_id) JOIN finding_evidence e ON e.finding_id = f.finding_id AND e.role = 'breach'"
            f" JOIN contacts l ON l.seq = e.seq JOIN contacts c ON {same} AND date_trunc('{unit}', c.on_date) = date_trunc('{unit}', l.on_date)"
            f" JOIN ({standing}) s ON s.seq = c.seq AND s.standing IN ('in_scope', 'undetermined') WHERE f.rule = {literal(rule)}"
        )
    for statement in made:
        con.execute(statement)
    return made


def _stated(sql: str, params: Sequence[object]) -> str:
    """A statement with its parameters in their places, so that it can be run by itself."""
    told = [f"[{', '.join(map(literal, value))}]" if isinstance(value, list) else literal(value) for value in params]
    return "".join(part + value for part, value in zip(sql.split("?"), [*told, ""], strict=True))


def _files(con: duckdb.DuckDBPyConnection, shown: Mapping[str, Sheet], selected: Mapping[str, list[str]], options: Options, windows: Sequence[str], redactor: redact.Redactor | None) -> dict[str, bytes]:
    """The files of an edition but the manifest; `shown` are its tables already, `windows` the statements of `_fill_windows`."""
    tables = {**shown, "ipe": _ipe(con, shown, selected, options.made_by, windows, redactor)}
    if redactor is not None:
        tables["ipe"] = redactor.sheet(tables["ipe"])
    files = {f"{name}.csv": csv_bytes(sheet) for name, sheet in options.telling(tables)} | {f"{name}.jsonl": jsonl_bytes(tables[name]) for name in ("findings", "evidence")}
    used = _used(con)
    statements = {rule: hits for rule, _, hits, _ in used}
    chosen = con.execute("SELECT finding_id, rule, episode FROM findings JOIN chosen USING (finding_id) ORDER BY 1").fetchall()
    names = [f"rules/{rule}.yaml" for rule, *_ in used]
    texts = dict(zip(redactor.names(names) if redactor else names, (source for _, source, *_ in used), strict=True))
    texts |= {f"sql/{finding}.sql": reproducing_sql(statements[rule], redactor.episode(episode) if redactor else episode) + "\n" for finding, rule, episode in chosen}
    files |= {name: text.encode("utf-8") for name, text in zip(texts, redactor.sources(texts) if redactor else texts.values(), strict=True)}
    files[pack_verifier.ACTION_LOG] = _action_log({finding for finding, *_ in chosen}, options.reviews, redactor)
    files[VERIFIER] = Path(pack_verifier.__file__).read_bytes()
    return files


def _ipe(con: duckdb.DuckDBPyConnection, tables: Mapping[str, Sheet], selected: Mapping[str, list[str]], made_by: str, windows: Sequence[str], redactor: redact.Redactor | None = None) -> Sheet:
    """The reconciliation sheet (information produced by the entity): one row per list. When: as of the end of the run, so that the same run gives the same bytes."""
    run = _run(con, redactor)
    columns = ("list", "source", "filters", "period_from", "period_to", "rows", "control", "total", "made_by", "as_of_utc", "query")
    chosen = _stated(*summary.condition(selected))
    before = {"rejects": [_stated(*_tell_batches(selected))], **dict.fromkeys(("contacts", "window"), windows)}
    rows: list[tuple[Any, ...]] = []
    for name, sheet in tables.items():
        control, dated = _CONTROLS.get(name, ("", ""))
        days = sorted(str(plain(d))[:10] for d in _values(sheet, dated) if d is not None)
        total = sum(int(v or 0) for v in _values(sheet, control)) if control else 0
        query = " ".join(_QUERIES[name].split()) if name in _QUERIES else ""
        told = "; ".join([f"CREATE OR REPLACE TEMP TABLE chosen AS SELECT finding_id FROM findings WHERE {chosen}", *before.get(name, []), query]) if query else ""
        source = f"{run['program']}; run {run['run_id']}; data {run['data_digest']}; rules {run['rules_digest']}"
        rows.append((
            name, source, json.dumps(selected, ensure_ascii=False), days[0] if days else "", days[-1] if days else "", len(sheet.rows), control, total, made_by, _finished(con),
            told,
        ))  # fmt: skip
    return Sheet("ipe", columns, rows)


def _values(sheet: Sheet, column: str) -> list[Any]:
    return sheet.column(column) if column else []


def _action_log(findings: set[str], reviews: Reviews | None, redactor: redact.Redactor | None) -> bytes:
    """The chain of the log up to the last entry about these findings: what is logged later, such as this export, does not make it another.

    A redacted edition is a chain of its own, since its entries are others; the full one is tied to by the manifest.
    """
    entries = _entries(reviews)
    last = max((place for place, entry in enumerate(entries, start=1) if entry["finding_id"] in findings), default=0)
    told = [e if e["finding_id"] in findings else {k: e[k] for k in ("seq", "previous", "hash")} for e in entries[:last]]
    if redactor is not None:
        previous = FIRST
        for number, entry in enumerate(told):
            told[number] = entry = {k: _entry_value(redactor, k, v) for k, v in entry.items()} | {"previous": previous}
            if "actor" in entry:
                entry["hash"] = entry_hash(entry)
            previous = entry["hash"]
    return "".join(json.dumps(e, ensure_ascii=False) + "\n" for e in told).encode("utf-8", "replace")


def _entry_value(redactor: redact.Redactor, name: str, value: Any) -> Any:
    if name == "evidence_digest" and value:
        return redactor.digest(value)
    if name in redact.KEPT or not isinstance(value, str):
        return value
    return redactor.pseudonym(value) if name in redact.IDENTIFIERS and value else redactor.texts([value])[0]


def _manifest(
    con: duckdb.DuckDBPyConnection, tables: Mapping[str, Sheet], files: Mapping[str, bytes], selected: Mapping[str, list[str]], more: Mapping[str, Any],
    redactor: redact.Redactor | None,
) -> bytes:  # fmt: skip
    run = _run(con, redactor)
    with summary.whole_run(con) as whole:
        # Somebody who sees some contacts only takes away some of each ledger: the pack says so.
        count = "SELECT count(*) FROM contacts"
        partial = whole.execute(count).fetchall() != con.execute(count).fetchall()
    manifest = {
        **({"partial": True} if partial else {}), "format": FORMAT, "run": run, "selection": dict(selected), "rows": {name: len(sheet.rows) for name, sheet in tables.items()} | {"ipe": len(tables)},
        "files": {name: {"sha256": sha256(data).hexdigest(), "bytes": len(data)} for name, data in sorted(files.items())}, **more,
    }  # fmt: skip
    return (json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode("utf-8")


def _run(con: duckdb.DuckDBPyConnection, redactor: redact.Redactor | None) -> dict[str, Any]:
    """The run as it is told of outside: plain values, no identifier in a redacted edition, nor the sum of its data."""
    run = {key: plain(value) for key, value in summary.run(con).items()}
    if redactor is None:
        return run
    return {key: redactor.digest(value) if key == "data_digest" and value else redactor.texts([value])[0] if isinstance(value, str) else value for key, value in run.items()}


@dataclass(frozen=True)
class Verified:
    """What a check of a pack found.

    `wrong` says each thing that is not as it should be, as (key of the catalogue, what); `signature`: none, unchecked, good or bad;
    `repeated`: findings whose SQL was run again; `unseen`: keys of the catalogue, each a thing that could not be compared; `lacking`: how many
    findings of the run that the selection chooses are not in it; `later`: entries of the log of reviews about its findings that came after.
    """

    findings: int
    files: int
    repeated: int
    wrong: tuple[tuple[str, str], ...]
    edition: str = "full"
    signature: str = "none"
    unseen: tuple[str, ...] = ()
    lacking: int = 0
    later: int = 0


def verify(
    path: Path, run: duckdb.DuckDBPyConnection | None = None, public_key: Path | None = None, full: Path | None = None, reviews: Reviews | None = None,
) -> Verified:  # fmt: skip
    """Check the sums, the chain and the counts of an evidence pack.

    Args:
        path: the pack, of either edition.
        run: with it each finding is found again by the run's own statement, never by the pack's (a rule's is run once for all its findings),
            and every table, statement and rule file is made again and compared, of a redacted edition but for its masks; of one that holds some
            contacts only, each row must be the run's.
        reviews: the log of that run's reviews; with it the verdicts are compared.
        public_key: with it the signature is checked; a pack without one is then wrong.
        full: the full edition a redacted one was made with; with it the sums that tie the two are checked.

    Raises:
        UsageError: a file is not there or no evidence pack, or a key none.
    """
    if not path.is_file():
        raise UsageError("verify.no_file", name=path.name)
    again = _Again({}, [], [])
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(MANIFEST)
            manifest = json.loads(text)
            findings, files, edition = int(manifest["rows"]["findings"]), len(manifest["files"]), str(manifest.get("edition", "full"))
            wrong = [(f"verify.{kind}", name) for kind, name in pack_verifier.problems(archive)]
            signed = archive.read(pack_verifier.SIGNATURE) if pack_verifier.SIGNATURE in archive.namelist() else None
            if not wrong and not pack_verifier.as_written(archive):
                wrong = [("verify.archive", path.name)]
            elif not wrong and run is not None:
                again = _found_again(archive, manifest, run, edition, _entries(reviews), path.name)
                wrong += again.wrong
    except pack_verifier.DAMAGED as error:
        raise UsageError("verify.no_pack", name=path.name) from error
    state = "none" if signed is None else "unchecked"
    if public_key is not None:
        state = "good" if signature.signed_by(text, signed or b"", public_key) else "bad" if signed is not None else "none"
        wrong += [] if state == "good" else [("verify.signature" if signed is not None else "verify.unsigned", path.name)]
    if full is not None:
        wrong += _tied(manifest, full, path)
        again.unseen.append("verify.unseen_content")
    return Verified(findings, files, len(again.hits), tuple(wrong), edition, state, tuple(again.unseen), again.lacking, again.later)


# What a pack tells of the run alone; the others also depend on the log of reviews, on work papers and on who made it.
_OF_RUN = ("findings", "evidence", "rules", "reconciliation", "rejects", "parameters", "contacts", "window")
# Of these the ones in which somebody who sees some contacts only has some of the same rows.
_OF_CONTACTS = ("findings", "evidence", "contacts", "window")
_OF_WHOLE_FINDING = frozenset(["finding_id", "rule", "title_zh", "title_en", "severity", "strength", "effect", "known", "measured", "permitted", "episode", "rule_digest", "evidence_digest"])


_MANIFEST_KEYS = frozenset(["partial", "format", "run", "selection", "rows", "files", "edition", "full_edition"])


@dataclass
class _Again:
    """What a run says of a pack: each finding's contacts and roles by its own statement, what differs, what could not be compared, and see `Verified`."""

    hits: dict[str, list[tuple[str, str]]]
    wrong: list[tuple[str, str]]
    unseen: list[str]
    lacking: int = 0
    later: int = 0


def _found_again(
    archive: zipfile.ZipFile, manifest: Mapping[str, Any], run: duckdb.DuckDBPyConnection, edition: str, entries: Sequence[Mapping[str, Any]], name: str,
) -> _Again:  # fmt: skip
    partial, redacted, secret = bool(manifest.get("partial")), edition == "redacted", redact.secret_of(run)
    if not _same_run(manifest, run, redacted, secret):
        return _Again({}, [("verify.another_run", name)], [])
    evidence = pack_verifier.rows_of(archive, "evidence.jsonl")
    told = [str(row["finding_id"]) for row in pack_verifier.rows_of(archive, "findings.jsonl")]
    known = _known(run, told)
    found = _Again(_hit_again(run, told, known), [], ["verify.unseen_texts", "verify.unseen_statements"] if redacted else [])
    differs, hidden = _compared(found.hits, evidence, redacted, partial)
    found.unseen += ["verify.unseen_contacts"] if hidden else []
    for finding in told:
        sql = reproducing_sql(known[finding][1], known[finding][2]) + "\n" if finding in known else ""
        if not _agrees(archive.read(f"sql/{finding}.sql").decode("utf-8", "replace"), sql, redacted):
            differs.append(finding)
    found.wrong += [("verify.differs", finding) for finding in dict.fromkeys(differs)]
    if set(manifest) - _MANIFEST_KEYS:
        found.wrong.append(("verify.other", MANIFEST))
    if archive.namelist().count(VERIFIER) and archive.read(VERIFIER) != Path(pack_verifier.__file__).read_bytes():
        found.unseen.append("verify.unseen_verifier")
    if any(redact.masked(value) for values in manifest["selection"].values() for value in values):
        found.unseen.append("verify.unseen_selection")
        return found
    try:
        mine = sheets(run, manifest["selection"])
    except UsageError:
        found.wrong.append(("verify.other", "findings.csv"))
        return found
    windows = _fill_windows(run)
    mine |= {name: _sheet(run, name) for name in ("contacts", "window")}
    found.lacking = len(set(mine["findings"].column("finding_id")) - set(told))
    _compare_log(archive, mine, entries, found, redacted, partial)
    if len(list(_cells(archive.read("sampling.csv")))) > 1:
        found.unseen.append("verify.unseen_samples")
    if partial:
        found.unseen.append("verify.unseen_partial")
        if not redacted:
            for name in _OF_CONTACTS:
                told_rows, our_rows = (Counter(_whole_finding(lines) if name == "findings" else map(tuple, lines)) for lines in map(_cells, (archive.read(f"{name}.csv"), csv_bytes(mine[name]))))
                if told_rows - our_rows:
                    found.wrong.append(("verify.other", f"{name}.csv"))
    else:
        _compare_tables(archive, manifest, run, mine, windows, found, redacted, secret)
    _compare_rules(archive, manifest, run, found, redacted, partial)
    return found


def _same_run(manifest: Mapping[str, Any], run: duckdb.DuckDBPyConnection, redacted: bool, secret: str) -> bool:
    """Whether the manifest tells of this run: all of it, but for masks; the sum of its data is keyed in a redacted edition."""
    mine, told = _run(run, None), manifest["run"]
    return set(told) == set(mine) and all(
        _agrees(str(told[key]), str(value), redacted) or (redacted and key == "data_digest" and told[key] == redact.keyed(secret, str(value))) for key, value in mine.items()
    )


def _agrees(told: str, ours: str, redacted: bool) -> bool:
    """Whether a text of a pack is ours; of a redacted edition, where it is not masked."""
    return told == ours or (redacted and len(told) == len(ours) and all(a == b or redact.masked(a) or a == redact.BLACK for a, b in zip(told, ours, strict=True)))


def _table_agrees(told: bytes, sheet: Sheet, redacted: bool, secret: str) -> bool:
    """Whether a table of a pack is ours; of a redacted edition, where it is not masked and with its sums keyed."""
    ours = csv_bytes(sheet)
    if not redacted:
        return told == ours
    keyed = [name in redact.KEYED for name in sheet.columns]
    return all(
        a is not None and b is not None and len(a) == len(b)
        and all(_agrees(x, y, True) or (sums and x == redact.keyed(secret, y)) for x, y, sums in zip(a, b, keyed, strict=True))
        for a, b in zip_longest(_cells(told), _cells(ours))
    )  # fmt: skip


def _compare_tables(
    archive: zipfile.ZipFile, manifest: Mapping[str, Any], run: duckdb.DuckDBPyConnection, mine: Mapping[str, Sheet],
    windows: Sequence[str], found: _Again, redacted: bool, secret: str,
) -> None:  # fmt: skip
    """Every table, and the names of all files."""
    names = manifest["rows"]
    found.wrong += [("verify.other", f"{name}.csv") for name in _OF_RUN if name not in names or not _table_agrees(archive.read(f"{name}.csv"), mine[name], redacted, secret)]
    expected = {*(f"{name}.csv" for name in (*mine, "ipe")), "findings.jsonl", "evidence.jsonl", pack_verifier.ACTION_LOG, VERIFIER, *([] if redacted else [SECRET])}
    named = {name for name in manifest["files"] if not name.startswith(("rules/", "sql/"))}
    found.wrong += [("verify.other", name) for name in sorted(expected ^ named)]
    if redacted:
        return
    found.wrong += [("verify.other", f"{name}.jsonl") for name in ("findings", "evidence") if archive.read(f"{name}.jsonl") != jsonl_bytes(mine[name])]
    if SECRET in named and archive.read(SECRET) != f"{secret}\n".encode():
        found.wrong.append(("verify.other", SECRET))
    # What the verdicts and the work papers say is theirs; what the reconciliation sheet says of all of them is worked out anew.
    sheet = archive.read("ipe.csv")
    header, *lines = _cells(sheet)
    made_by = lines[0][header.index("made_by")] if lines else ""
    order = [line[header.index("list")] for line in lines]
    listed = {name: mine[name] if name in _OF_RUN else _as_told(name, list(_cells(archive.read(f"{name}.csv")))) for name in order if name in names}
    if sheet != csv_bytes(_ipe(run, listed, manifest["selection"], made_by, windows)):
        found.wrong.append(("verify.other", "ipe.csv"))


def _compare_log(
    archive: zipfile.ZipFile, mine: Mapping[str, Sheet], entries: Sequence[Mapping[str, Any]], found: _Again, redacted: bool, partial: bool,
) -> None:  # fmt: skip
    """The log of reviews and the verdicts of it."""
    log = pack_verifier.rows_of(archive, pack_verifier.ACTION_LOG)
    found.later = sum(entry["finding_id"] in found.hits for entry in entries[len(log) :])
    if not entries and log:
        found.unseen.append("verify.unseen_verdicts")
    elif redacted:
        # It is a chain of its own, whose entries are masked: as many of the same kind must be there.
        told = [[row.get(name) for name in ("finding_id", "kind", "state")] for row in log if "actor" in row]
        if told != [[entry[name] for name in ("finding_id", "kind", "state")] for entry in entries[: len(log)] if entry["finding_id"] in found.hits]:
            found.wrong.append(("verify.other", pack_verifier.ACTION_LOG))
    elif [row["hash"] for row in log] != [entry["hash"] for entry in entries[: len(log)]]:
        found.wrong.append(("verify.other", pack_verifier.ACTION_LOG))
    if entries and not redacted and not partial and archive.read("verdicts.csv") != csv_bytes(_verdicts(mine["findings"], entries[: len(log)])):
        found.wrong.append(("verify.other", "verdicts.csv"))


def _compare_rules(archive: zipfile.ZipFile, manifest: Mapping[str, Any], run: duckdb.DuckDBPyConnection, found: _Again, redacted: bool, partial: bool) -> None:
    """The rule files: as they were used."""
    sources = {f"rules/{rule}.yaml": source for rule, source, *_ in _used(run)}
    packed = {name: archive.read(name).decode("utf-8", "replace") for name in manifest["files"] if name.startswith("rules/")}
    for name in sorted({*sources, *packed}):
        if redact.masked(name) or (name not in packed and (partial or (redacted and any(map(redact.masked, packed))))):
            continue
        if not _agrees(packed.get(name, ""), sources.get(name, ""), redacted):
            found.wrong.append(("verify.other", name))


def _cells(data: bytes) -> Iterator[list[str]]:
    """The lines of a table, the header first."""
    csv.field_size_limit(2**31 - 1)
    return csv.reader(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline=""))


def _whole_finding(lines: Iterable[Sequence[str]]) -> list[tuple[str, ...]]:
    """Of a table of findings what is the same for somebody who sees some of their contacts only; whose, when and how many is that of those."""
    header, *others = lines
    columns = [number for number, name in enumerate(header) if name in _OF_WHOLE_FINDING]
    return [tuple(line[number] for number in columns) for line in (header, *others)]


def _as_told(name: str, lines: Sequence[Sequence[str]]) -> Sheet:
    """A table as a pack has it."""
    return Sheet(name, tuple(lines[0]), [tuple(line) for line in lines[1:]])


def _known(run: duckdb.DuckDBPyConnection, findings: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """(rule, its statement, episode) of each of these findings that a run has."""
    hits = dict(run.execute("SELECT rule, hits_sql FROM rules").fetchall())
    found = run.execute("SELECT finding_id, rule, episode FROM findings WHERE finding_id IN (SELECT unnest(?::VARCHAR[]))", [list(findings)]).fetchall()
    return {finding: (rule, hits[rule], episode) for finding, rule, episode in found}


def _hit_again(run: duckdb.DuckDBPyConnection, findings: Sequence[str], known: Mapping[str, tuple[str, str, str]]) -> dict[str, list[tuple[str, str]]]:
    """The contacts and roles of findings by the run's own statements. A finding the run has not gives nothing.

    Each rule's statement is run once for all its findings: what `reproducing_sql` adds to it is the episode alone.
    """
    wanted = {(known[finding][0], known[finding][2]): finding for finding in findings if finding in known}
    again: dict[str, list[tuple[str, str]]] = {finding: [] for finding in findings}
    for rule, hits in sorted({known[finding][:2] for finding in wanted.values()}):
        for episode, contact, role in run.execute(f"SELECT h.episode, c.contact_id, h.role FROM ({hits}) h JOIN contacts c ON c.seq = h.seq WHERE h.role <> 'undetermined'").fetchall():
            if (rule, episode) in wanted:
                again[wanted[rule, episode]].append((contact, role))
    return {finding: sorted(found) for finding, found in again.items()}


def _compared(again: Mapping[str, list[tuple[str, str]]], evidence: Sequence[Mapping[str, Any]], redacted: bool, partial: bool) -> tuple[list[str], bool]:
    """(findings whose contacts and roles are others, whether any contact's id is masked and only its role could be compared).

    `partial`: the ledgers hold some of the contacts only; none that the run has not may be there.
    """
    told: dict[str, list[tuple[str, str]]] = {}
    for row in evidence:
        told.setdefault(row["finding_id"], []).append((row["contact_id"], row["role"]))
    differs, hidden = [], False
    for finding, found in again.items():
        rows = sorted(told.get(finding, []))
        if redacted and any(redact.masked(contact) for contact, _ in rows):
            hidden, rows, found = True, sorted(("", role) for _, role in rows), sorted(("", role) for _, role in found)
        if rows != found and not (partial and rows and not Counter(rows) - Counter(found)):
            differs.append(finding)
    return differs, hidden


def _tied(manifest: Mapping[str, Any], full: Path, path: Path) -> list[tuple[str, str]]:
    """What of the sums in a redacted edition's manifest does not fit a full edition."""
    link = manifest.get("full_edition")
    if link is None:
        return [("verify.not_redacted", path.name)]
    try:
        with zipfile.ZipFile(full) as archive:
            if sha256(archive.read(MANIFEST)).hexdigest() != link["manifest"]:
                return [("verify.other_full", full.name)]
            secret = archive.read(SECRET).decode("utf-8").strip()
            names = sorted(n for n in json.loads(archive.read(MANIFEST))["files"] if n not in (SECRET, VERIFIER))
            sums = {redact.linked_sum(secret, archive.read(name)): name for name in names}
    except pack_verifier.DAMAGED as error:
        raise UsageError("verify.no_pack", name=full.name) from error
    told = set(link["files"].values())
    return [("verify.other_full", name) for name, one in sorted(link["files"].items()) if one not in sums] + [("verify.unlinked", name) for one, name in sorted(sums.items(), key=lambda s: s[1]) if one not in told]
