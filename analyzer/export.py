"""Findings that leave the system: one selection as CSV, XLSX, Parquet or JSON Lines, and as an evidence pack.

The same run and selection give the same bytes. A cell that a spreadsheet would take for a formula is defused.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from pyarrow import parquet

from analyzer import summary
from analyzer.errors import UsageError
from analyzer.findings import reproducing_sql

FORMATS = ("csv", "xlsx", "parquet", "jsonl", "zip")
# What a sheet holds beside its header.
XLSX_ROWS = 1_048_575
# What a cell holds; a longer text is cut there, and says so.
XLSX_TEXT = 32_767
_CUT = "…[cut]"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Sheet:
    """A named table: columns, and rows of plain values."""

    name: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def sheets(con: duckdb.DuckDBPyConnection, filters: Mapping[str, Sequence[str]] | None = None) -> dict[str, Sheet]:
    """The tables of an export: findings, evidence, rules, reconciliation and rejects; all of the run but findings that are filtered.

    Args:
        con: a run.
        filters: as `summary.findings` takes them.

    Raises:
        UsageError: no finding fits.
    """
    where, params = summary.condition(filters)
    con.execute(f"CREATE OR REPLACE TEMP TABLE chosen AS SELECT finding_id FROM findings WHERE {where}", params)
    found = {
        "findings": _sheet(con, "findings", """
            SELECT f.finding_id, f.rule, r.title_zh, r.title_en, f.severity, f.strength, r.effect, r.known, f.case_id, f.debtor_id, f.person_id, f.agent_id, f.team, f.vendor,
                   f.channel, f.account_class, f.stage, f.first_utc, f.last_utc, f.first_local, f.on_date, f.breaches, f.evidence, f.measured, f.permitted, f.episode,
                   f.rule_digest, f.evidence_digest
            FROM findings f JOIN chosen USING (finding_id) JOIN rules r ON r.rule = f.rule ORDER BY f.finding_id"""),
        "evidence": _sheet(con, "evidence", """
            SELECT e.finding_id, e.ordinal, e.role, e.contact_id, c.case_id, c.person_id, c.number, c.relation::VARCHAR AS relation, c.party::VARCHAR AS party, c.agent_id, c.vendor,
                   c.channel::VARCHAR AS channel, c.direction::VARCHAR AS direction, c.at_utc, c.zone, c.local_at, c.outcome::VARCHAR AS outcome, c.duration_s, c.dpd, e.measured,
                   (SELECT string_agg(s.concept || '[' || s.start_at || ',' || s.end_at || ')', ' ' ORDER BY s.start_at) FROM signals s WHERE list_contains(e.signal_ids, s.signal_id)) AS marks,
                   c.text, b.file, c.row_no
            FROM finding_evidence e JOIN chosen USING (finding_id) JOIN contacts c ON c.seq = e.seq LEFT JOIN batches b ON b.batch_id = c.batch_id
            ORDER BY e.finding_id, e.ordinal"""),
        "rules": _sheet(con, "rules", """
            SELECT r.rule, r.title_zh, r.title_en, r.kind, r.severity, r.strength, r.effect, r.known, r.digest, count(f.finding_id) AS findings,
                   any_value(o.breach) AS breaching_contacts, any_value(o.clear) AS clear_contacts, any_value(o.undetermined) AS undetermined_contacts,
                   any_value(o.not_evaluated) AS not_evaluated_contacts
            FROM rules r LEFT JOIN (SELECT * FROM findings JOIN chosen USING (finding_id)) f ON f.rule = r.rule
            LEFT JOIN (SELECT rule, coalesce(sum(contacts) FILTER (WHERE outcome = 'breach'), 0) AS breach, coalesce(sum(contacts) FILTER (WHERE outcome = 'clear'), 0) AS clear,
                              coalesce(sum(contacts) FILTER (WHERE outcome = 'undetermined'), 0) AS undetermined,
                              coalesce(sum(contacts) FILTER (WHERE outcome = 'not_evaluated'), 0) AS not_evaluated
                       FROM rule_results GROUP BY rule) o ON o.rule = r.rule
            GROUP BY r.rule, r.title_zh, r.title_en, r.kind, r.severity, r.strength, r.effect, r.known, r.digest ORDER BY r.rule"""),
        "reconciliation": _sheet(con, "reconciliation", """
            SELECT file, table_name, sha256, bytes, encoding, header_row, zone, zone_from, date_order, rows_read, loaded, rejected, duplicate,
                   rows_read = loaded + rejected + duplicate AS adds_up
            FROM batches ORDER BY batch_id"""),
        "rejects": _sheet(con, "rejects", "SELECT b.file, r.row_no, r.reason, r.detail, r.original FROM rejects r JOIN batches b USING (batch_id) ORDER BY b.batch_id, r.row_no"),
    }  # fmt: skip
    if not found["findings"].rows:
        raise UsageError("export.nothing")
    return found


def _sheet(con: duckdb.DuckDBPyConnection, name: str, sql: str) -> Sheet:
    result = con.execute(sql)
    return Sheet(name, tuple(d[0] for d in result.description or ()), result.fetchall())


def write(con: duckdb.DuckDBPyConnection, target: Path, filters: Mapping[str, Sequence[str]] | None = None) -> dict[str, int]:
    """Write a selection; what the name ends with says how. Rows written, by table.

    CSV and JSON Lines hold the findings and, beside them, `<name>.evidence.<ending>`; Parquet likewise; XLSX has a sheet each; a
    ZIP is an evidence pack (`pack`).

    Raises:
        UsageError: no finding fits, the ending is none of `FORMATS`, or the file cannot be written.
    """
    ending = target.suffix.lower().lstrip(".")
    if ending not in FORMATS:
        raise UsageError("export.format", ending=ending or "-", have=", ".join(FORMATS))
    found = sheets(con, filters)
    files: dict[Path, bytes]
    if ending == "zip":
        files = {target: pack(con, found, filters)}
    elif ending == "xlsx":
        files = {target: _xlsx(found.values(), _finished(con))}
    else:
        encode: Callable[[Sheet], bytes] = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}[ending]
        files = {target: encode(found["findings"]), target.with_name(f"{target.stem}.evidence.{ending}"): encode(found["evidence"])}
    try:
        for path, data in files.items():
            path.write_bytes(data)
    except OSError as error:
        raise UsageError("export.cannot_write", name=target.name, why=type(error).__name__) from error
    return {name: len(sheet.rows) for name, sheet in found.items()}


def _finished(con: duckdb.DuckDBPyConnection) -> datetime:
    moment: datetime = con.execute("SELECT coalesce(finished_utc, started_utc) FROM runs").fetchall()[0][0]
    return moment.replace(microsecond=0)


def plain(value: Any) -> Any:
    """A value as text files and JSON hold it."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


def defused(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula, with an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _csv(sheet: Sheet) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(sheet.columns)
    writer.writerows([["" if v is None else defused(plain(v)) for v in row] for row in sheet.rows])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8", "replace")


def _jsonl(sheet: Sheet) -> bytes:
    lines = [json.dumps(dict(zip(sheet.columns, map(plain, row), strict=True)), ensure_ascii=False) for row in sheet.rows]
    return ("\n".join(lines) + "\n" if lines else "").encode("utf-8", "replace")


def _parquet(sheet: Sheet) -> bytes:
    columns = list(zip(*sheet.rows, strict=True)) or [() for _ in sheet.columns]
    out = io.BytesIO()
    parquet.write_table(pa.table([pa.array(list(c)) for c in columns], names=list(sheet.columns)), out, compression="zstd")
    return out.getvalue()


def _xlsx(found: Iterable[Sheet], created: datetime) -> bytes:
    import xlsxwriter  # type: ignore[import-untyped]

    packed, out = io.BytesIO(), io.BytesIO()
    book = xlsxwriter.Workbook(packed, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False})
    book.set_properties({"created": created})
    head = book.add_format({"bold": True})
    moment, on = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}), book.add_format({"num_format": "yyyy-mm-dd"})
    for sheet in found:
        # More rows than a sheet holds go on in the next.
        for part in range(max(1, -(-len(sheet.rows) // XLSX_ROWS))):
            page = book.add_worksheet(sheet.name if not part else f"{sheet.name} {part + 1}")
            page.freeze_panes(1, 0)
            page.write_row(0, 0, sheet.columns, head)
            rows = sheet.rows[part * XLSX_ROWS : (part + 1) * XLSX_ROWS]
            page.autofilter(0, 0, max(1, len(rows)), len(sheet.columns) - 1)
            for r, row in enumerate(rows, start=1):
                for c, value in enumerate(row):
                    if isinstance(value, datetime | date):
                        page.write_datetime(r, c, value, moment if isinstance(value, datetime) else on)
                    elif isinstance(value, str):
                        page.write_string(r, c, value if len(value) <= XLSX_TEXT else value[: XLSX_TEXT - len(_CUT)] + _CUT)
                    elif value is not None:
                        page.write(r, c, plain(value))
    book.close()
    # The library stamps the parts of the archive with the clock.
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(_entry(info.filename), old.read(info))
    return out.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _ZIP_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


MANIFEST = "manifest.json"
VERIFIER = "verify.py"


def pack(con: duckdb.DuckDBPyConnection, found: Mapping[str, Sheet], filters: Mapping[str, Sequence[str]] | None = None) -> bytes:
    """An evidence pack: findings, evidence, all contacts of their debtors (so that counts can be repeated), rules as used, the SQL of
    each finding, the reconciliation, and a manifest of SHA-256 sums with a verifier that needs nothing but Python.
    """
    files = {f"{name}.csv": _csv(sheet) for name, sheet in found.items()} | {f"{name}.jsonl": _jsonl(found[name]) for name in ("findings", "evidence")}
    contacts = _sheet(con, "contacts", """
        SELECT c.contact_id, c.case_id, c.debtor_id, c.debt_id, c.person_id, c.number, c.agent_id, c.vendor, c.collector, c.channel::VARCHAR AS channel, c.direction::VARCHAR AS direction,
               c.at_utc, c.zone, c.local_at, c.on_date, c.outcome::VARCHAR AS outcome, c.call_type::VARCHAR AS call_type, c.relation::VARCHAR AS relation, c.party::VARCHAR AS party,
               c.knows, c.duration_s, c.dpd, c.text, b.file, c.row_no
        FROM contacts c LEFT JOIN batches b USING (batch_id) WHERE c.debtor_id IN (SELECT f.debtor_id FROM findings f JOIN chosen USING (finding_id))
        ORDER BY c.at_utc, c.contact_id""")  # fmt: skip
    files["contacts.csv"] = _csv(contacts)
    used = con.execute("SELECT DISTINCT r.rule, r.source, r.hits_sql FROM rules r JOIN findings f USING (rule) JOIN chosen USING (finding_id) ORDER BY 1").fetchall()
    statements = {rule: hits for rule, _, hits in used}
    for rule, source, _ in used:
        files[f"rules/{rule}.yaml"] = source.encode("utf-8")
    for finding, rule, episode in con.execute("SELECT finding_id, rule, episode FROM findings JOIN chosen USING (finding_id) ORDER BY 1").fetchall():
        files[f"sql/{finding}.sql"] = (reproducing_sql(statements[rule], episode) + "\n").encode("utf-8")
    files[VERIFIER] = (Path(__file__).parent / "pack_verifier.py").read_bytes()
    run = {key: plain(value) for key, value in summary.run(con).items()}
    manifest = {
        "format": "dunaudit-evidence-1", "run": run, "selection": {k: list(v) for k, v in sorted((filters or {}).items())},
        "rows": {name: len(sheet.rows) for name, sheet in found.items()} | {"contacts": len(contacts.rows)},
        "files": {name: {"sha256": sha256(data).hexdigest(), "bytes": len(data)} for name, data in sorted(files.items())},
    }  # fmt: skip
    files[MANIFEST] = (json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode("utf-8")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(_entry(name), files[name])
    return out.getvalue()


@dataclass(frozen=True)
class Verified:
    """What a check of a pack found: `wrong` says each thing that is not as it should be, as (key of the catalogue, what)."""

    findings: int
    files: int
    repeated: int
    wrong: tuple[tuple[str, str], ...]


def verify(path: Path, run: duckdb.DuckDBPyConnection | None = None) -> Verified:
    """Check the sums of an evidence pack, and with a run repeat each finding's SQL and compare its contacts with the evidence.

    Raises:
        UsageError: the file is no evidence pack.
    """
    from analyzer import pack_verifier

    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            wrong = [(f"verify.{kind}", name) for kind, name in pack_verifier.problems(archive)]
            evidence = pack_verifier.rows_of(archive, "evidence.jsonl") if not wrong else []
            statements = {n[4:-4]: archive.read(n).decode("utf-8") for n in archive.namelist() if n.startswith("sql/")} if not wrong else {}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UsageError("verify.no_pack", name=path.name) from error
    repeated = 0
    if run is not None and not wrong:
        told: dict[str, list[tuple[str, str]]] = {}
        for row in evidence:
            told.setdefault(row["finding_id"], []).append((row["contact_id"], row["role"]))
        for finding, sql in sorted(statements.items()):
            again = sorted((contact, role) for contact, _, _, role, *_ in run.execute(sql).fetchall())
            repeated += 1
            if again != sorted(told.get(finding, [])):
                wrong.append(("verify.differs", finding))
    return Verified(manifest["rows"]["findings"], len(manifest["files"]), repeated, tuple(wrong))
