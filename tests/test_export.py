"""What leaves the system: formats that agree, the same bytes twice, and packs in which no byte can change unseen."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from typer.testing import CliRunner

from analyzer import alerts, audit, export, interchange, leftovers, pack_verifier, report, review, runs, sampling, signature, summary
from analyzer import tables as tables_module
from analyzer.cli import app
from analyzer.errors import UsageError
from analyzer.intake import folder_mapping, load_mapping
from analyzer.messages import say
from tests.conftest import HEADER, ROOT
from tests.packs import mended as _mended
from tests.packs import rewritten as _rewritten


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = str(ROOT / "sample_logs")
    mapping = folder_mapping([logs])
    assert mapping is not None
    return audit.run([logs], tmp_path_factory.mktemp("runs"), mapping=load_mapping(mapping), packs=["cn-gbt-45251", "us-reg-f"], run_id="r").path


@pytest.fixture
def con(run: Path) -> Any:
    con = runs.connect(run)
    yield con
    con.close()


@pytest.fixture(scope="module")
def pack(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    con, path = runs.connect(run), tmp_path_factory.mktemp("pack") / "pack.zip"
    export.write(con, path)
    con.close()
    return path


def test_the_formats_agree_cell_by_cell(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for ending in ("csv", "jsonl", "parquet", "xlsx"):
        export.write(con, tmp_path / f"a.{ending}")
    for table in ("findings", "evidence"):
        name = "a" if table == "findings" else "a.evidence"
        text = (tmp_path / f"{name}.csv").read_bytes().decode("utf-8-sig")
        header, *lines = list(csv.reader(io.StringIO(text)))
        objects = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        typed = duckdb.sql(f"SELECT * FROM read_parquet('{tmp_path / name}.parquet')")
        assert header == list(objects[0]) == typed.columns and len(lines) == len(objects) > 30
        sheet = CalamineWorkbook.from_path(str(tmp_path / "a.xlsx")).get_sheet_by_name(table).to_python()
        assert sheet[0] == header
        for line, told, row, cells in zip(lines, objects, typed.fetchall(), sheet[1:], strict=True):
            assert line == ["" if v is None else str(export.defused(v)) for v in told.values()]
            assert [export.plain(v) for v in row] == list(told.values())
            for key, value, cell in zip(header, row, cells, strict=True):
                shown = cell.replace(microsecond=0) if isinstance(cell, datetime) else cell
                if isinstance(value, datetime):
                    # A time whose figure is whole, a midnight, is read as a date.
                    shown = shown if isinstance(shown, datetime) else datetime.combine(shown, time())
                    assert shown == value.replace(microsecond=0), key
                else:
                    assert (shown if shown != "" else None) == (value if value != "" else None) or isinstance(value, date), (key, value, cell)


def test_parts_of_a_table_can_be_put_together() -> None:
    """A column without a value has the type that it has elsewhere."""
    full = tables_module.Sheet("findings", ("finding_id", "first_utc", "on_date", "breaches", "vendor"), [("a", datetime(2026, 3, 1), date(2026, 3, 1), 2, "v")])
    for rows in ([("b", None, None, None, None)], []):
        part = tables_module.Sheet("findings", full.columns, rows)
        assert pq.read_table(io.BytesIO(tables_module.parquet_bytes(part))).schema == pq.read_table(io.BytesIO(tables_module.parquet_bytes(full))).schema


def test_the_same_selection_gives_the_same_bytes(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for ending in export.FORMATS:
        first, second = tmp_path / f"1.{ending}", tmp_path / f"2.{ending}"
        for path in (first, second):
            export.write(con, path, {"severity": ["high", "critical"]})
        assert first.read_bytes() == second.read_bytes(), ending


def test_a_selection_is_what_was_asked_for(con: duckdb.DuckDBPyConnection) -> None:
    found = export.sheets(con, {"rule": ["cn-gbt-45251/quiet-hours"]})
    assert {row[1] for row in found["findings"].rows} == {"cn-gbt-45251/quiet-hours"}
    assert {row[0] for row in found["evidence"].rows} == {row[0] for row in found["findings"].rows}
    marks = [[int(at) for at in re.findall(r"\[(\d+),", row[found["evidence"].columns.index("marks")] or "")] for row in export.sheets(con)["evidence"].rows]
    assert max(map(len, marks)) > 1 and all(starts == sorted(starts) for starts in marks), "in the order of the text"
    assert all(row[-1] for row in found["reconciliation"].rows) and len(found["rejects"].rows) == 4
    with pytest.raises(UsageError):
        export.sheets(con, {"rule": ["nothing"]})


@pytest.mark.parametrize("text", ["=1+1", "+86", "-5", "@x", "\tx", "\rx", "\nx", "＝1+1", "＋86", "－5", "＠x"])
def test_what_looks_like_a_formula_is_defused(text: str) -> None:
    assert export.defused(text) == f"'{text}" and export.defused(f"a{text}") == f"a{text}"


def test_a_whole_pack_is_whole_and_its_sql_repeats(pack: Path, con: duckdb.DuckDBPyConnection) -> None:
    told = export.verify(pack, con)
    assert told.wrong == () and told.repeated == told.findings > 30
    with zipfile.ZipFile(pack) as archive:
        assert {"findings.csv", "contacts.csv", "reconciliation.csv", "rules/cn-gbt-45251/quiet-hours.yaml", "verify.py"} <= set(archive.namelist())
        # `verify` runs a rule's statement once for all its findings; each finding's own statement, run alone, gives the same.
        evidence = [json.loads(line) for line in archive.read("evidence.jsonl").decode().splitlines()]
        for name in archive.namelist():
            if name.startswith("sql/"):
                alone = sorted((contact, role) for contact, _, _, role, *_ in con.execute(archive.read(name).decode()).fetchall())
                assert alone == sorted((e["contact_id"], e["role"]) for e in evidence if name == f"sql/{e['finding_id']}.sql"), name


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_one_flipped_byte_anywhere_is_named(pack: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    with zipfile.ZipFile(pack) as archive:
        name = data.draw(st.sampled_from([n for n in archive.namelist() if n != export.MANIFEST]))
        content = bytearray(archive.read(name))
    at = data.draw(st.integers(0, len(content) - 1)) if content else 0
    changed = bytes(content[:at] + bytes([content[at] ^ (1 << data.draw(st.integers(0, 7)))]) + content[at + 1 :]) if content else b"x"
    broken = _rewritten(pack, tmp_path_factory.mktemp("broken") / "p.zip", {name: changed})
    # The sum of the manifest and the manifest differ: it is the manifest that is told of.
    assert export.verify(broken).wrong == (("verify.changed", export.MANIFEST if name == "manifest.sha256" else name),)


def test_what_is_missing_added_or_told_wrongly_is_named(pack: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    missing = _rewritten(pack, tmp_path / "m.zip", {"evidence.csv": None, "extra.txt": b"x"})
    assert set(export.verify(missing).wrong) == {("verify.missing", "evidence.csv"), ("verify.unlisted", "extra.txt")}
    # A forger who mends the sums as well: the count of the evidence, and then the SQL, tell.
    with zipfile.ZipFile(pack) as archive:
        manifest, lines = json.loads(archive.read(export.MANIFEST)), archive.read("evidence.jsonl").decode("utf-8").splitlines()
    first = json.loads(lines[0])["finding_id"]
    swapped = json.loads(lines[0]) | {"contact_id": "forged"}
    for kept, kind in (([*lines[1:]], "verify.rows"), ([json.dumps(swapped, ensure_ascii=False), *lines[1:]], "verify.differs")):
        data = ("\n".join(kept) + "\n").encode("utf-8")
        told = manifest | {"files": manifest["files"] | {"evidence.jsonl": {"sha256": export.sha256(data).hexdigest(), "bytes": len(data)}}}
        text = json.dumps(told).encode()
        mended = {"evidence.jsonl": data, export.MANIFEST: text, "manifest.sha256": f"{export.sha256(text).hexdigest()}  manifest.json\n".encode()}
        forged = _rewritten(pack, tmp_path / f"{kind}.zip", mended)
        wrong = export.verify(forged, con).wrong
        assert kind in {k for k, _ in wrong} and (kind == "verify.rows" or ("verify.differs", first) in wrong)


def test_what_is_renamed_swapped_added_or_packed_again_is_named(pack: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    swapped = {"findings.csv": inside["evidence.csv"], "evidence.csv": inside["findings.csv"]}
    for number, (change, wrong) in enumerate([
        ({"rules.csv": None, "regeln.csv": inside["rules.csv"]}, {("verify.missing", "rules.csv"), ("verify.unlisted", "regeln.csv")}),
        (swapped, {("verify.changed", name) for name in swapped}),
        ({export.MANIFEST: inside[export.MANIFEST].replace(b"dunaudit 0", b"dunaudit 9")}, {("verify.changed", export.MANIFEST)}),
        ({"manifest.sha256": None}, {("verify.changed", export.MANIFEST)}), ({"manifest.sha256": b"0"}, {("verify.changed", export.MANIFEST)}),
        ({}, set()),
    ]):  # fmt: skip
        assert set(export.verify(_rewritten(pack, tmp_path / f"{number}.zip", change)).wrong) == wrong
    again = _rewritten(pack, tmp_path / "again.zip", {}, sealed=False)
    assert export.verify(again).wrong == (("verify.archive", "again.zip"),)
    twice = tmp_path / "twice.zip"
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(twice, "w") as new:
        for name, data in [*inside.items(), ("findings.csv", inside["findings.csv"])]:
            new.writestr(name, data)
    assert ("verify.twice", "findings.csv") in export.verify(twice).wrong


def _noticed(path: Path) -> bool:
    try:
        return bool(export.verify(path).wrong)
    except UsageError as error:
        return error.key == "verify.no_pack"


def test_three_hundred_changed_bytes_of_the_file_are_all_noticed(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Not only the content: headers, times, names, the directory at the end, the seal itself. The verifier inside notices each too."""
    pack, broken, draw = tmp_path / "small.zip", tmp_path / "broken.zip", random.Random(6)
    export.write(con, pack, {"severity": ["critical"]})
    whole = pack.read_bytes()
    assert not _noticed(pack) and pack_verifier.main([str(pack)]) == 0
    for _ in range(300):
        at = draw.randrange(len(whole))
        broken.write_bytes(whole[:at] + bytes([whole[at] ^ draw.randrange(1, 256)]) + whole[at + 1 :])
        assert _noticed(broken) and pack_verifier.main([str(broken)]) != 0, at
    for length in [0, 1, 22, *(draw.randrange(len(whole)) for _ in range(20)), len(whole) - 1]:
        broken.write_bytes(whole[:length])
        assert _noticed(broken), length
    for more in (b"x", b"\0" * 100):
        broken.write_bytes(whole + more)
        assert _noticed(broken)
        broken.write_bytes(more + whole)
        assert _noticed(broken)


def _keys(folder: Path, name: str) -> tuple[Path, Path]:
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_a_signature_is_checked_with_the_public_key_only(pack: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (private, public), (_, other), signed = _keys(tmp_path, "ours"), _keys(tmp_path, "theirs"), tmp_path / "signed.zip"
    export.write(con, signed, options=export.Options(sign_with=private))
    assert export.verify(signed).signature == "unchecked" and export.verify(signed, public_key=public).signature == "good"
    assert export.verify(signed, public_key=public).wrong == () and pack_verifier.main([str(signed)]) == 0
    assert "the signature was not checked" in capsys.readouterr().out
    assert export.verify(signed, public_key=other).wrong == (("verify.signature", "signed.zip"),)
    assert export.verify(pack, public_key=public).wrong == (("verify.unsigned", "pack.zip"),)
    # Who changes a byte and mends every sum cannot mend the signature.
    with zipfile.ZipFile(signed) as archive:
        manifest, rejects = json.loads(archive.read(export.MANIFEST)), archive.read("rules.csv").replace(b"high", b"HIGH")
    told = json.dumps(manifest | {"files": manifest["files"] | {"rules.csv": {"sha256": export.sha256(rejects).hexdigest(), "bytes": len(rejects)}}}).encode()
    mended = {"rules.csv": rejects, export.MANIFEST: told, "manifest.sha256": f"{export.sha256(told).hexdigest()}  manifest.json\n".encode()}
    forged = _rewritten(signed, tmp_path / "forged.zip", mended)
    assert export.verify(forged).wrong == () and export.verify(forged, public_key=public).wrong == (("verify.signature", "forged.zip"),)
    for wrong in (public, tmp_path / "nothing", signed):
        with pytest.raises(UsageError):
            signature.sign(b"", wrong)
    with pytest.raises(UsageError):
        export.verify(signed, public_key=private)


def _open(pack: Path, name: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(pack) as archive:
        return list(csv.DictReader(io.StringIO(archive.read(name).decode("utf-8-sig"), newline="")))


def test_counts_can_be_repeated_from_the_pack(pack: Path) -> None:
    """Of every finding by frequency, each breach's figure is the number of rows of its own ledger up to it that lie in its window."""
    contacts, findings, evidence = {c["contact_id"]: c for c in _open(pack, "contacts.csv")}, _open(pack, "findings.csv"), _open(pack, "evidence.csv")
    told = {(p["rule"], p["parameter"]): p["value"] for p in _open(pack, "parameters.csv")}
    repeated = 0
    for finding in (f for f in findings if told[f["rule"], "check.kind"] == "frequency"):
        ledger = [e for e in evidence if e["finding_id"] == finding["finding_id"]]
        for row in (e for e in ledger if e["role"] == "breach"):
            mine, at = contacts[row["contact_id"]], (row["at_utc"], row["contact_id"])
            count = sum(_in_window(contacts[e["contact_id"]], mine, told, finding["rule"]) for e in ledger if (e["at_utc"], e["contact_id"]) <= at)
            assert str(count) == row["measured"], finding["finding_id"]
            repeated += 1
    assert repeated >= 6 and {e["contact_id"] for e in evidence} <= set(contacts)


def _in_window(one: dict[str, str], mine: dict[str, str], told: dict[tuple[str, str], str], rule: str) -> bool:
    day, last = (date.fromisoformat(c["on_date"]) for c in (one, mine))
    match told.get((rule, "check.window")):
        case "calendar_day":
            return day == last
        case "calendar_week":
            return day.isocalendar()[:2] == last.isocalendar()[:2]
    if dates := told.get((rule, "check.dates")):
        return (last - day).days < int(dates)
    return datetime.fromisoformat(mine["at_utc"]) - datetime.fromisoformat(one["at_utc"]) <= timedelta(hours=int(told[rule, "check.hours"]))


def test_a_share_is_counted_again_over_the_rows_of_its_window(write: Any, tmp_path: Path) -> None:
    rows = "".join(f"c{i},K{i % 9},2026-03-{i % 27 + 1:02d} 10:00:00,{'电话' if i % 3 else '短信'},呼出,接通,本人,提醒还款,A1\n" for i in range(120))
    calls = write("calls.csv", f"contact_id,案件编号,通话时间,渠道,方向,结果,与借款人关系,内容,催收员\n{rows}")
    shutil.copytree(ROOT / "rules" / "lexicon", tmp_path / "rules" / "lexicon")
    (tmp_path / "rules" / "p").mkdir()
    head = (ROOT / "rules" / "lender-playbook" / "pack.yaml").read_text(encoding="utf-8")
    (tmp_path / "rules" / "p" / "pack.yaml").write_text(re.sub(r"^id: .*", "id: p", head, flags=re.MULTILINE), encoding="utf-8")
    shipped = next(p for p in sorted((ROOT / "rules").glob("*/*.yaml")) if "kind: share" in p.read_text(encoding="utf-8"))
    changed = re.sub(r"(?s)\ncheck:\n.*?\n(?=\w)", "\ncheck:\n  kind: share\n  scope: {direction: outbound}\n  part: {channel: call}\n  per: [agent]\n  max: 50\n", shipped.read_text(encoding="utf-8"))
    (tmp_path / "rules" / "p" / shipped.name).write_text(re.sub(r"(?m)^status: .*", "status: stable", changed), encoding="utf-8")
    made = audit.run([str(calls)], tmp_path / "runs", packs=["p"], rules_folder=tmp_path / "rules", run_id="r").path
    con, pack = runs.connect(made), tmp_path / "p.zip"
    export.write(con, pack)
    (finding,), window, contacts = _open(pack, "findings.csv"), _open(pack, "window.csv"), {c["contact_id"]: c for c in _open(pack, "contacts.csv")}
    con.close()
    mine = [contacts[w["contact_id"]]["channel"] == "call" for w in window if w["finding_id"] == finding["finding_id"]]
    assert finding["measured"] == f"{100 * sum(mine) / len(mine):.1f} % ({sum(mine)}/{len(mine)})" and len(mine) == 120


def test_verdicts_the_chain_and_samples_go_along(run: Path, tmp_path: Path) -> None:
    shutil.copy(run, tmp_path / "r.duckdb")
    con, log, packed = runs.connect(tmp_path / "r.duckdb"), review.Reviews(tmp_path), tmp_path / "p.zip"
    mine, others = ([r[0] for r in con.execute(f"SELECT finding_id FROM findings WHERE severity {op} 'critical' ORDER BY 1").fetchall()] for op in ("=", "<>"))
    for number, finding in enumerate([mine[0], others[0], mine[0], others[1]]):
        log.decide(con, finding, "王主任", "confirmed", f"看过 {number}")
    sampling.write_paper(sampling.draw(con, sampling.Plan("findings", "random", "7", size=5)), tmp_path / "s.csv", datetime(2026, 1, 1))
    options = export.Options(reviews=log, samples=(tmp_path / "s.csv",), made_by="李审计")
    export.write(con, packed, {"severity": ["critical"]}, options)
    first = packed.read_bytes()
    export.write(con, packed, {"severity": ["critical"]}, options)
    assert packed.read_bytes() == first and export.verify(packed, con).wrong == ()
    assert [(v["actor"], v["comment"], v["stale"]) for v in _open(packed, "verdicts.csv")] == [("王主任", "看过 0", "False"), ("王主任", "看过 2", "False")]
    with zipfile.ZipFile(packed) as archive:
        entries = pack_verifier.rows_of(archive, "action_log.jsonl")
    assert [e["seq"] for e in entries] == [1, 2, 3] and ["actor" in e for e in entries] == [True, False, True], "up to the last about these findings"
    assert [e["hash"] for e in entries] == [e["hash"] for e in log.chain()[:3]]
    # What is logged afterwards, the export itself among it, makes the pack no other.
    log.act("李审计", "export", "r", edition="full", format="zip", findings=len(mine))
    export.write(con, packed, {"severity": ["critical"]}, options)
    assert packed.read_bytes() == first
    # The run's own log tells whether the verdicts are those that were given.
    assert export.verify(packed, con, reviews=log).wrong == () and "verify.unseen_verdicts" not in export.verify(packed, con, reviews=log).unseen
    assert "verify.unseen_verdicts" in export.verify(packed, con).unseen
    (tmp_path / "other").mkdir()
    # A sheet of verdicts that says something else than the log beside it is found out by the pack itself.
    with zipfile.ZipFile(packed) as archive:
        said = archive.read("verdicts.csv").replace(b",confirmed,", b",dismissed,", 1)
    forged = _mended(packed, tmp_path / "said.zip", {"verdicts.csv": said})
    assert export.verify(forged).wrong == (("verify.verdicts", "verdicts.csv"),) and pack_verifier.main([str(forged)]) == 1
    other = review.Reviews(tmp_path / "other")
    other.decide(con, mine[0], "王主任", "dismissed", "看过 0")
    assert {("verify.other", "action_log.jsonl"), ("verify.other", "verdicts.csv")} <= set(export.verify(packed, con, reviews=other).wrong)
    assert [s["ordinal"] for s in _open(packed, "sampling.csv")] == ["1", "2", "3", "4", "5"]
    lists = {i["list"]: i for i in _open(packed, "ipe.csv")}
    assert lists["findings"]["rows"] == str(len(mine)) and lists["findings"]["made_by"] == "李审计" and json.loads(lists["findings"]["filters"]) == {"severity": ["critical"]}
    assert set(lists) >= {"findings", "evidence", "contacts", "reconciliation", "rejects", "verdicts", "sampling", "rules", "parameters", "window"}
    # Every statement of the sheet gives its rows again.
    for name in ("findings", "evidence", "contacts", "reconciliation"):
        assert str(len(con.execute(lists[name]["query"]).fetchall())) == lists[name]["rows"]
    con.close()
    # A changed comment with all sums mended breaks the chain.
    with zipfile.ZipFile(packed) as archive:
        data, manifest = archive.read("action_log.jsonl").replace("看过 0".encode(), "看过 9".encode()), json.loads(archive.read(export.MANIFEST))
    told = json.dumps(manifest | {"files": manifest["files"] | {"action_log.jsonl": {"sha256": export.sha256(data).hexdigest(), "bytes": len(data)}}}).encode()
    mended = {"action_log.jsonl": data, export.MANIFEST: told, "manifest.sha256": f"{export.sha256(told).hexdigest()}  manifest.json\n".encode()}
    assert export.verify(_rewritten(packed, tmp_path / "forged.zip", mended)).wrong == (("verify.chain", "action_log.jsonl 1"),)


def test_the_verifier_in_the_pack_needs_only_python(pack: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack) as archive:
        archive.extractall(tmp_path)
    command = [sys.executable, "-I", "-S", str(tmp_path / "verify.py")]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert subprocess.run([*command, str(pack)], check=False, capture_output=True).returncode == 0
    (tmp_path / "findings.csv").write_bytes(b"other")
    told = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")
    assert told.returncode == 1 and "changed: findings.csv" in told.stdout


def test_where_nothing_can_be_written_is_one_sentence(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for name in ("no/such/folder/a.csv", "a.doc"):
        with pytest.raises(UsageError):
            export.write(con, tmp_path / name)


def test_rubbish_is_no_pack(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"PK rubbish")
    with pytest.raises(UsageError):
        export.verify(path)


def _forged(pack: Path, target: Path, mode: str) -> Path:
    """A pack changed by somebody who mends every sum, total and count."""
    with zipfile.ZipFile(pack) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files.pop(export.MANIFEST))
    del files["manifest.sha256"]
    findings, evidence = ([json.loads(line) for line in files[f"{name}.jsonl"].decode().splitlines()] for name in ("findings", "evidence"))
    victim = next(f for f in findings if f["evidence"] == 1)
    row = next(e for e in evidence if e["finding_id"] == victim["finding_id"])
    if mode == "text":
        row["text"], row["agent_id"], victim["agent_id"] = "what nobody wrote", "A-INNOCENT", "A-INNOCENT"
    elif mode == "invent":
        findings.append(victim | {"finding_id": "f" * 16})
        evidence.append(row | {"finding_id": "f" * 16, "contact_id": "NOSUCH"})
        files[f"sql/{'f' * 16}.sql"] = b"SELECT 'NOSUCH', NULL, NULL, 'breach'\n"
    elif mode == "drop":
        findings.remove(victim)
        evidence.remove(row)
        del files[f"sql/{victim['finding_id']}.sql"]
    else:
        files[f"sql/{victim['finding_id']}.sql"] = b"SELECT * FROM nosuch_13912345678\n"
    tables = {"findings": findings, "evidence": evidence}
    for name, rows in tables.items():
        sheet = export.Sheet(name, tuple(rows[0]), [tuple(r.values()) for r in rows])
        files |= {f"{name}.jsonl": tables_module.jsonl_bytes(sheet), f"{name}.csv": tables_module.csv_bytes(sheet)}
    ipe = list(csv.DictReader(io.StringIO(files["ipe.csv"].decode("utf-8-sig"), newline="")))
    for told in ipe:
        if told["list"] in tables:
            told |= {"rows": str(len(tables[told["list"]])), "total": str(sum(r[told["control"]] or 0 for r in tables[told["list"]]))}
    files["ipe.csv"] = tables_module.csv_bytes(export.Sheet("ipe", tuple(ipe[0]), [tuple(r.values()) for r in ipe]))
    manifest["rows"] |= {name: len(rows) for name, rows in tables.items()}
    manifest["files"] = {name: {"sha256": export.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    text = json.dumps(manifest).encode()
    files |= {export.MANIFEST: text, "manifest.sha256": f"{export.sha256(text).hexdigest()}  manifest.json\n".encode()}
    target.write_bytes(pack_verifier.sealed(tables_module.zip_bytes(files)))
    return target


@pytest.mark.parametrize("mode", ["text", "invent", "drop", "sql"])
def test_a_forgery_whose_every_sum_holds_is_found_out_by_the_run(pack: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path, mode: str) -> None:
    forged = _forged(pack, tmp_path / "forged.zip", mode)
    assert export.verify(forged).wrong == () and pack_verifier.main([str(forged)]) == 0
    kinds = {kind for kind, _ in export.verify(forged, con).wrong}
    assert kinds == {"text": {"verify.other"}, "invent": {"verify.differs", "verify.other"}, "drop": {"verify.other"}, "sql": {"verify.differs"}}[mode]


def test_rule_files_sheets_and_a_claim_to_be_partial_are_found_out_by_the_run(pack: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    rule = next(name for name in inside if name.startswith("rules/"))
    for number, (change, manifest, wrong) in enumerate([
        ({rule: inside[rule] + b"# more\n"}, {}, {("verify.other", rule)}),
        ({"ipe.csv": inside["ipe.csv"].replace(b"dunaudit 0", b"dunaudit 9")}, {}, {("verify.other", "ipe.csv")}),
        ({"rules.csv": inside["rules.csv"].replace(b"high", b"low ", 1)}, {}, {("verify.other", "rules.csv")}),
        ({"contacts.csv": inside["contacts.csv"].replace(b",outbound,", b",inbound,", 1)}, {"partial": True}, {("verify.other", "contacts.csv")}),
        ({rule: inside[rule] + b"# more\n"}, {"partial": True}, {("verify.other", rule)}),
    ]):  # fmt: skip
        assert all(inside[name] != data for name, data in change.items()), number
        forged = _mended(pack, tmp_path / f"{number}.zip", change, **manifest)
        assert export.verify(forged).wrong == () and set(export.verify(forged, con).wrong) == wrong, number


def test_what_the_run_knows_of_a_pack_is_asked(pack: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Files that packs do not have, a manifest that says more, another account of the run, a secret or a verifier that is another."""
    with zipfile.ZipFile(pack) as archive:
        manifest = json.loads(archive.read(export.MANIFEST))
    for number, (change, more, wrong, unseen) in enumerate([
        ({"findings/all_good.html": b"none"}, {}, {("verify.other", "findings/all_good.html")}, ()),
        ({}, {"approved_by": "the regulator"}, {("verify.other", "manifest.json")}, ()),
        ({}, {"run": manifest["run"] | {"rules_digest": "0" * 64}}, {("verify.another_run", "3.zip")}, ()),
        ({"link.txt": b"0\n"}, {}, {("verify.other", "link.txt")}, ()),
        ({"verify.py": b"print('whole')\n"}, {}, set(), ("verify.unseen_verifier",)),
    ], start=1):  # fmt: skip
        forged = _mended(pack, tmp_path / f"{number}.zip", change, **more)
        told = export.verify(forged, con)
        assert export.verify(forged).wrong == () and set(told.wrong) == wrong and told.unseen == unseen, number


def test_findings_and_verdicts_that_a_pack_has_not_are_counted(run: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    log = review.Reviews(tmp_path)
    mine = [row[0] for row in export.sheets(con)["findings"].rows[:2]]
    export.write(con, tmp_path / "early.zip", options=export.Options(reviews=log))
    log.decide(con, mine[0], "王主任", "dismissed", "看过")
    told = export.verify(tmp_path / "early.zip", con, reviews=log)
    assert told.wrong == () and (told.lacking, told.later) == (0, 1)
    with zipfile.ZipFile(tmp_path / "early.zip") as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    kept, counts = {}, {}
    for name in ("findings", "evidence"):
        objects = [line for line in inside[f"{name}.jsonl"].splitlines(keepends=True) if mine[1].encode() not in line]
        header, *lines = csv.reader(io.StringIO(inside[f"{name}.csv"].decode("utf-8-sig"), newline=""))
        kept |= {f"{name}.jsonl": b"".join(objects), f"{name}.csv": _table([header, *(line for line in lines if mine[1] not in line)])}
        counts[name] = len(objects)
    manifest = json.loads(inside[export.MANIFEST])
    ipe = _ipe_of(inside["ipe.csv"], kept)
    forged = _mended(tmp_path / "early.zip", tmp_path / "some.zip", {**kept, "ipe.csv": ipe}, partial=True, rows=manifest["rows"] | counts)
    told = export.verify(forged, con)
    assert told.wrong == () and "verify.unseen_partial" in told.unseen and told.lacking == 1
    done = CliRunner().invoke(app, ["verify", str(forged), "--run", str(run)])
    assert done.exit_code == 0 and say("talk.verify_lacking", "zh", count=1) in done.output


def _ipe_of(ipe: bytes, changed: dict[str, bytes]) -> bytes:
    """The reconciliation sheet with the rows and totals of other tables."""
    header, *lines = list(csv.reader(io.StringIO(ipe.decode("utf-8-sig"))))
    at = {name: header.index(name) for name in ("list", "rows", "control", "total")}
    for line in lines:
        if f"{line[at['list']]}.csv" in changed:
            rows = list(csv.DictReader(io.StringIO(changed[f"{line[at['list']]}.csv"].decode("utf-8-sig"))))
            line[at["rows"]], line[at["total"]] = str(len(rows)), str(sum(int(r[line[at["control"]]] or 0) for r in rows))
    return _table([header, *lines])


def _table(lines: list[list[str]]) -> bytes:
    target = io.StringIO(newline="")
    csv.writer(target, lineterminator="\r\n").writerows(lines)
    return "\ufeff".encode() + target.getvalue().encode()


def test_the_query_of_each_list_repeats_it(run: Path, tmp_path: Path) -> None:
    """In plain DuckDB, word for word, with filters and without."""
    con = runs.connect(run)
    shutil.copy(run, tmp_path / "r.duckdb")
    for number, filters in enumerate([{}, {"severity": ["critical", "high"], "vendor": ["启衡信息", "x'y"]}]):
        export.write(con, tmp_path / f"{number}.zip", filters)
        asked = [r for r in _open(tmp_path / f"{number}.zip", "ipe.csv") if r["query"]]
        assert {r["list"] for r in asked} == {"findings", "evidence", "rules", "reconciliation", "rejects", "contacts", "window"}
        for row in asked:
            with duckdb.connect(str(tmp_path / "r.duckdb"), read_only=True) as plain:
                assert len(plain.execute(row["query"]).fetchall()) == int(row["rows"]), (number, row["list"])
    con.close()


def test_nothing_beside_the_verifier_runs_in_its_place(pack: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(pack) as archive:
        archive.extractall(folder)
    asked = [sys.executable, str(folder / "verify.py")]
    assert subprocess.run(asked, capture_output=True, check=False).returncode == 0
    (folder / "findings.csv").write_bytes((folder / "findings.csv").read_bytes().replace(b"critical", b"low"))
    for name in ("hashlib", "csv", "json"):
        (folder / f"{name}.py").write_text("print('证据包完整 / the pack is whole')\nraise SystemExit(0)\n", encoding="utf-8")
    done = subprocess.run(asked, capture_output=True, check=False)
    assert done.returncode == 1 and b"changed: findings.csv" in done.stdout and b"unlisted: hashlib.py" in done.stdout


def test_a_name_in_a_pack_cannot_move_the_cursor(pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    added = _rewritten(pack, tmp_path / "esc.zip", {"\x1b[2J\x1b[H whole\x1b[8m": b""})
    assert pack_verifier.main([str(added)]) == 1
    told = capsys.readouterr().out
    assert "\x1b" not in told and "unlisted: <U+001B>[2J<U+001B>[H whole<U+001B>[8m" in told


def test_verdicts_go_along_in_every_format(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    log = review.Reviews(tmp_path)
    let_go, kept, other = (row[0] for row in export.sheets(con)["findings"].rows[:3])
    log.decide(con, let_go, "王主任", "confirmed", "先看")
    log.decide(con, let_go, "李主任", "dismissed", "客户约定的时间")
    log.decide(con, kept, "王主任", "confirmed", "")
    log.decide(con, other, "王主任", "claimed")
    options = export.Options(reviews=log)
    for name in ("v.sarif", "v.oscal.json", "v.csv", "v.jsonl", "v.parquet"):
        export.write(con, tmp_path / name, options=options)
    told = [json.loads(line) for line in (tmp_path / "v.verdicts.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(r["finding_id"], r["actor"], r["state"], r["comment"]) for r in told] == [(let_go, "王主任", "confirmed", "先看"), (let_go, "李主任", "dismissed", "客户约定的时间"), (kept, "王主任", "confirmed", ""), (other, "王主任", "claimed", "")]
    assert next(list(r) for r in csv.DictReader(io.StringIO((tmp_path / "v.verdicts.csv").read_bytes().decode("utf-8-sig")))) == list(told[0]) == pq.read_table(tmp_path / "v.verdicts.parquet").column_names
    export.write(con, tmp_path / "n.csv")
    assert not (tmp_path / "n.verdicts.csv").exists(), "nobody has judged: nothing beside it"
    results = {r["properties"]["finding_id"]: r for r in json.loads((tmp_path / "v.sarif").read_text(encoding="utf-8"))["runs"][0]["results"]}
    assert results[let_go]["suppressions"] == [{"kind": "external", "status": "accepted", "justification": "客户约定的时间"}] and results[let_go]["properties"]["verdict"]["actor"] == "李主任"
    assert results[kept]["properties"]["verdict"]["state"] == "confirmed" and "suppressions" not in results[kept] and "verdict" not in results[other]["properties"]
    # What waits for a second person is not let go yet, and where two disagree nothing is.
    waits, disputed = (row[0] for row in export.sheets(con)["findings"].rows[3:5])
    every = ("critical", "high", "medium", "low")
    for finding in (waits, disputed):
        log.decide(con, finding, "王主任", "confirmed" if finding == disputed else "dismissed", "第一人", second=every)
    log.decide(con, disputed, "李主任", "dismissed", "第二人", second=every)
    export.write(con, tmp_path / "w.sarif", options=options)
    results = {r["properties"]["finding_id"]: r for r in json.loads((tmp_path / "w.sarif").read_text(encoding="utf-8"))["runs"][0]["results"]}
    assert results[waits]["suppressions"][0]["status"] == "underReview" and results[waits]["properties"]["verdict"]["marks"] == ["waiting"]
    assert results[disputed]["properties"]["verdict"]["state"] == "escalated" and results[disputed]["properties"]["verdict"]["actor"] == "李主任" and "suppressions" not in results[disputed]
    observed = json.loads((tmp_path / "v.oscal.json").read_text(encoding="utf-8"))["assessment-results"]["results"][0]["observations"]
    assert sorted(o["remarks"].split(" | ")[:2] for o in observed if "remarks" in o) == [["confirmed", "王主任"], ["dismissed", "李主任"]]


def test_a_run_without_findings_is_valid_oscal(tmp_path: Path) -> None:
    path = audit.run([str(ROOT / "sample_logs" / "clean")], tmp_path / "runs", packs=["cn-complaints"], run_id="c").path
    con = runs.connect(path)
    export.write(con, tmp_path / "c.oscal.json")
    con.close()
    result = json.loads((tmp_path / "c.oscal.json").read_text(encoding="utf-8"))["assessment-results"]["results"][0]
    assert "observations" not in result and result["findings"], "a list of none is no OSCAL"


def test_no_field_of_an_archive_hides_anything(pack: Path, tmp_path: Path) -> None:
    """More fields, modes, dates, the long kind of sizes, bytes behind a stream: each with the seal made anew."""
    with zipfile.ZipFile(pack) as archive:
        inside = {info.filename: archive.read(info.filename) for info in archive.infolist()}

    def packed(change: Callable[[zipfile.ZipInfo], None], long: bool = False) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
            for name, data in inside.items():
                entry = zipfile.ZipInfo(name)
                entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
                if name == "findings.csv":
                    change(entry)
                with new.open(entry, "w", force_zip64=long and name == "findings.csv") as file:
                    file.write(data)
        return out.getvalue()

    made = {
        "the same": packed(lambda _: None), "extra": packed(lambda e: setattr(e, "extra", b"\x75\x70\x05\x00\x01\0\0\0\0")), "mode": packed(lambda e: setattr(e, "external_attr", 0o120777 << 16)),
        "comment": packed(lambda e: setattr(e, "comment", b"secret")), "date": packed(lambda e: setattr(e, "date_time", (2026, 1, 1, 0, 0, 0))), "long": packed(lambda _: None, long=True),
        "stored": packed(lambda e: setattr(e, "compress_type", zipfile.ZIP_STORED)), "system": packed(lambda e: setattr(e, "create_system", 0)),
    }  # fmt: skip
    behind = bytearray(made["the same"])
    with zipfile.ZipFile(pack) as archive:
        last = archive.infolist()[-1]
        start = archive.start_dir
    at = behind.index(b"PK\1\2", start)
    for _ in archive.infolist()[:-1]:
        name, = struct.unpack("<H", behind[at + 28 : at + 30])
        at += 46 + name
    for place in (last.header_offset + 18, at + 20):
        behind[place : place + 4] = struct.pack("<L", last.compress_size + 6)
    end = behind.rindex(b"PK\5\6")
    behind[end + 16 : end + 20] = struct.pack("<L", start + 6)
    behind[start:start] = b"secret"
    made["behind"] = bytes(behind)
    target = tmp_path / "p.zip"
    for name, data in made.items():
        target.write_bytes(pack_verifier.sealed(data))
        with zipfile.ZipFile(target) as archive:
            assert pack_verifier.problems(archive) == [], name
        assert export.verify(target).wrong == (() if name == "the same" else (("verify.archive", "p.zip"),)), name
        assert pack_verifier.main([str(target)]) == (name != "the same"), name


def test_more_files_than_two_bytes_count_are_laid_out_as_packs_are(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    path.write_bytes(pack_verifier.sealed(tables_module.zip_bytes({f"{n}": b"" for n in range(66_000)})))
    with zipfile.ZipFile(path) as archive:
        assert pack_verifier.as_written(archive)
    whole = path.read_bytes()
    at = whole.rindex(b"PK\6\6")
    path.write_bytes(pack_verifier.sealed(whole[: at + 12] + b"\x2e" + whole[at + 13 : -71]))
    with zipfile.ZipFile(path) as archive:
        assert not pack_verifier.as_written(archive)


def test_an_unpacked_pack_with_a_link_is_not_whole(pack: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack) as archive:
        archive.extractall(tmp_path / "p")
    (tmp_path / "elsewhere.csv").write_bytes((tmp_path / "p" / "findings.csv").read_bytes())
    (tmp_path / "p" / "findings.csv").unlink()
    (tmp_path / "p" / "findings.csv").symlink_to(tmp_path / "elsewhere.csv")
    assert pack_verifier.main([str(tmp_path / "p")]) == 1


def test_the_verifier_answers_where_there_are_no_chinese_characters(pack: Path) -> None:
    done = subprocess.run([sys.executable, "-X", "utf8=0", pack_verifier.__file__, str(pack)], check=False, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and b"the pack is whole" in done.stdout and not done.stderr


def test_what_an_export_has_no_use_for_and_a_file_that_is_not_there_are_said(run: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        export.verify(tmp_path / "nosuch.zip")
    assert caught.value.key == "verify.no_file"
    (tmp_path / "key").write_bytes(bytes(range(40)))
    for options in (["--key", str(tmp_path / "key")], ["--format", "report", "--sign", str(tmp_path / "key")], ["--format", "report", "--sample", str(tmp_path / "key")]):
        done = CliRunner().invoke(app, ["export", "--run", str(run), "--to", str(tmp_path / "x.html"), "--format", "csv", *options])
        assert done.exit_code == 2 and done.stderr.count("\n") == 1 and next(o for o in options if o.startswith("--") and o != "--format") in done.stderr and not (tmp_path / "x.html").exists()


def test_a_clean_run_can_be_taken_away_and_a_filter_that_fits_nothing_cannot(write: Any, tmp_path: Path) -> None:
    made = audit.run([str(write("a.csv", f"{HEADER}\n1,C1,,本人,电话,呼出,2026-03-02 10:00:00,接通,,A1,提醒还款\n"))], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="r")
    con = runs.connect(made.path)
    for form in export.FORMATS:
        assert export.write(con, tmp_path / f"a.{form}")["findings"] == 0
        with pytest.raises(UsageError):
            export.write(con, tmp_path / f"b.{form}", {"severity": ["critical"]})
    told = export.verify(tmp_path / "a.zip", con)
    clear = {r["rule"]: r["clear_contacts"] for r in _open(tmp_path / "a.zip", "rules.csv")}
    con.close()
    assert told.wrong == () and told.findings == 0 and clear["cn-gbt-45251/quiet-hours"] == "1"


def test_a_part_tells_nothing_of_the_others(write: Any, tmp_path: Path) -> None:
    """A vendor's pack: no rejected row of a file that holds other vendors' contacts, no figure of the whole run as if it were his."""
    header, row = "contact_id,case_id,started_at,channel,direction,outcome,relation,text,agent_id,vendor", "{0},K{0},2026-03-0{1} 23:00:00,call,outbound,conversation,self,x,A{0},{2}"
    bad = "{0},K{0},never,call,outbound,conversation,self,秘密{2},A{0},{2}"
    both = write("both.csv", "\n".join([header, row.format(1, 1, "甲"), row.format(2, 2, "乙"), bad.format(3, 3, "乙")]) + "\n")
    own = write("own.csv", "\n".join([header, row.format(4, 4, "甲"), bad.format(5, 5, "甲")]) + "\n")
    path = audit.run([str(both), str(own)], tmp_path / "runs", packs=["cn-gbt-45251"], run_id="r").path
    with runs.connect(path) as con:
        for vendor, files in (("甲", ["own.csv"]), ("乙", []), (None, ["both.csv", "own.csv"])):
            pack, chosen = tmp_path / f"{vendor}.zip", {"vendor": [vendor]} if vendor else {}
            export.write(con, pack, chosen)
            assert export.verify(pack, con).wrong == ()
            assert [r["file"] for r in _open(pack, "rejects.csv")] == files
            assert {r["file"] for r in _open(pack, "reconciliation.csv")} == {"both.csv", "own.csv"}
            figures = [r["breaching_contacts"] for r in _open(pack, "rules.csv") if r["rule"] == "cn-gbt-45251/quiet-hours"]
            assert figures == ([""] if vendor else ["3"])
        export.write(con, tmp_path / "high.zip", {"severity": ["high"]})
        assert [r["breaching_contacts"] for r in _open(tmp_path / "high.zip", "rules.csv") if r["rule"] == "cn-gbt-45251/quiet-hours"] == ["3"], "of the rule's own contacts all are there"
    done = CliRunner().invoke(app, ["export", "--run", str(path), "--to", str(tmp_path / "each"), "--each", "vendor", "--format", "report", "--by", "W"])
    assert done.exit_code == 0 and sorted(p.name for p in (tmp_path / "each").iterdir()) == ["index.csv", "vendor-001.html", "vendor-002.html"]
    shown = [(tmp_path / "each" / f"vendor-00{n}.html").read_text(encoding="utf-8") for n in (1, 2)]
    index = list(csv.DictReader((tmp_path / "each" / "index.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert sorted((i["value"], i["findings"]) for i in index) == [("乙", "1"), ("甲", "2")]
    assert all(i["value"] in page and i["sha256"] == export.sha256(page.encode()).hexdigest() for i, page in zip(index, shown, strict=True))


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One contact at night, one a few minutes before it begins, one at ten in the morning."""
    folder = tmp_path_factory.mktemp("near")
    rows = [f"{n},C{n},,本人,电话,呼出,2026-03-02 {at},接通,,A1,提醒还款" for n, at in enumerate(("23:10:00", "21:55:00", "10:00:00"), start=1)]
    (folder / "a.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    return audit.run([str(folder / "a.csv")], folder / "runs", packs=["cn-gbt-45251", "cn-nifa-2024", "us-reg-f", "early-warning"], run_id="near").path


def test_a_near_miss_breaks_nothing_in_what_leaves(near: Path, tmp_path: Path) -> None:
    with runs.connect(near) as con:
        missed = {row[0] for row in con.execute("SELECT rule FROM findings WHERE starts_with(rule, 'early-warning/')").fetchall()}
        assert missed
        made = report.report(con, "zh")
        breaches = made.population.findings
        assert made.population.near_misses == con.execute("SELECT count(*) FROM findings").fetchall()[0][0] - breaches > 0 and made.population.breaching_contacts == 1
        assert not missed & {r.rule for r in made.rules} and not missed & {s.result.rule for s in made.sheets} and sum(made.severities.values()) == breaches == made.population.findings_of_run
        assert f"{made.population.near_misses}（未违规" in report.render(made, "html").decode()
        assert summary.meant(con, {"vendor": [summary.NO_VALUE]}) == {"vendor": [summary.NO_VALUE]}, "what has no agency is chosen by an empty name"
        drawn = sampling.draw(con, sampling.Plan("contacts", "random", "7", size=3))
        assert drawn.population == 2, "the near miss is a contact in which no breach was found"
        by_rule = sampling.draw(con, sampling.Plan("contacts", "random", "7", size=3, filters={"rule": ["cn-gbt-45251/third-party-pressure"]}))
        assert by_rule.population == 3, "in none of them that rule found anything"
        for form in ("sarif", "oscal"):
            export.write(con, tmp_path / f"a.{form}")
    (tmp_path / "alerts.yaml").write_text("channels: {c: {kind: wecom, url: 'http://127.0.0.1:9/x'}}\nalerts: [{name: a, to: [c]}, {name: b, to: [c], when: {pack: [early-warning]}}]\n", encoding="utf-8")
    due = alerts.due(alerts.load(tmp_path / "alerts.yaml"), near, None)
    assert [(m.alert, m.facts["findings"]) for m in due] == [("a", breaches), ("b", made.population.near_misses)]
    results = json.loads((tmp_path / "a.sarif").read_bytes())["runs"][0]["results"]
    assert {r["kind"] for r in results if r["ruleId"] in missed} == {"informational"} and {r["level"] for r in results if r["ruleId"] in missed} == {"none"}
    assert all(r["kind"] != "informational" for r in results if r["ruleId"] not in missed)
    told = json.loads((tmp_path / "a.oscal").read_bytes())["assessment-results"]["results"][0]
    assert not missed & {f["description"] for f in told["findings"]} and sum(o["types"] == ["near-miss"] for o in told["observations"]) == made.population.near_misses


def test_nothing_can_be_hidden_between_the_files_of_a_pack(pack: Path, tmp_path: Path) -> None:
    whole, hidden = pack.read_bytes(), tmp_path / "hidden.zip"
    with zipfile.ZipFile(pack) as archive:
        start = archive.start_dir
    # The directory says where the files are; more bytes before it are nobody's.
    tail = bytearray(whole[start:])
    at = tail.rindex(b"PK\x05\x06")
    tail[at + 16 : at + 20] = (start + 40).to_bytes(4, "little")
    body = whole[:start] + b"a file that no directory lists: secret.. " [:40] + bytes(tail[: len(tail) - 71])
    hidden.write_bytes(pack_verifier.sealed(body))
    with zipfile.ZipFile(hidden) as archive:
        assert archive.testzip() is None and pack_verifier.problems(archive) == []
    assert export.verify(hidden).wrong == (("verify.archive", "hidden.zip"),) and pack_verifier.main([str(hidden)]) == 1


def test_an_unpacked_pack_hides_nothing_in_a_cache_folder(pack: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pack) as archive:
        archive.extractall(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "verify.cpython-311.pyc").write_bytes(b"x")
    assert pack_verifier.main([str(tmp_path)]) == 0
    (tmp_path / "rules" / "__pycache__").mkdir()
    (tmp_path / "rules" / "__pycache__" / "more.csv").write_text("x", encoding="utf-8")
    assert pack_verifier.main([str(tmp_path)]) == 1


def test_where_one_file_cannot_be_written_none_is(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old", encoding="utf-8")
    (tmp_path / "a.evidence.csv").mkdir()
    with pytest.raises(UsageError) as caught:
        export.write(con, tmp_path / "a.csv")
    assert caught.value.key == "export.cannot_write" and (tmp_path / "a.csv").read_text(encoding="utf-8") == "old"
    # What a killed process left of a file goes when the file is written anew.
    (tmp_path / f".b.csv.{leftovers._host()}-999999999-1.part").write_text("half", encoding="utf-8")
    export.write(con, tmp_path / "b.csv")
    assert [p.name for p in tmp_path.glob(".*.part")] == []


def test_every_line_fits_its_published_schema_and_no_stranger_does(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    export.write(con, tmp_path / "a.jsonl")
    for name, path in (("findings", "a.jsonl"), ("evidence", "a.evidence.jsonl")):
        schema = interchange.LINE_SCHEMA[name]
        jsonschema.Draft202012Validator.check_schema(schema)
        published = json.loads((ROOT / "docs" / f"{name}.schema.json").read_text(encoding="utf-8"))
        assert published == schema
        lines = [json.loads(line) for line in (tmp_path / path).read_text(encoding="utf-8").splitlines()]
        for line in lines:
            jsonschema.validate(line, schema)
        for wrong in (lines[0] | {"more": 1}, {k: v for k, v in lines[0].items() if k != "finding_id"}, lines[0] | {"finding_id": "x"}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(wrong, schema)


def test_sarif_and_oscal_hold_the_same_findings(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.sarif", "a.json", "b.oscal"):
        export.write(con, tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.oscal").read_bytes()
    lines = {f["finding_id"]: f for f in map(json.loads, (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines())}
    (log,) = json.loads((tmp_path / "a.sarif").read_text(encoding="utf-8"))["runs"]
    ids = [rule["id"] for rule in log["tool"]["driver"]["rules"]]
    assert {r["partialFingerprints"]["finding/v1"] for r in log["results"]} == set(lines)
    files = {a["location"]["uri"] for a in log["artifacts"]}
    for result in log["results"]:
        told = lines[result["partialFingerprints"]["finding/v1"]]
        assert ids[result["ruleIndex"]] == result["ruleId"] == told["rule"] and len(result["relatedLocations"]) >= told["evidence"]
        assert (result["kind"], result["level"] == "none") == (("fail", False) if told["effect"] == "prohibition" else ("review", True))
        assert {place["physicalLocation"]["artifactLocation"]["uri"] for place in result["relatedLocations"]} <= files
    (told,) = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["assessment-results"]["results"]
    seen = {p["value"] for o in told["observations"] for p in o["props"] if p["name"] == "finding-id"}
    assert seen == set(lines) and len({o["uuid"] for o in told["observations"]}) == len(told["observations"])
    states = {f["description"]: f["target"]["status"]["state"] for f in told["findings"]}
    assert {rule for rule, state in states.items() if state == "not-satisfied"} == {f["rule"] for f in lines.values()} and "satisfied" in states.values()
    open_rules = {r for (r,) in con.execute("SELECT rule FROM rule_results WHERE outcome IN ('undetermined', 'not_evaluated')").fetchall()}
    assert not {rule for rule, state in states.items() if state == "satisfied"} & open_rules
    # Of a part of the run nothing is concluded about rules without findings.
    export.write(con, tmp_path / "c.oscal", {"severity": ["critical"]})
    (part,) = json.loads((tmp_path / "c.oscal").read_text(encoding="utf-8"))["assessment-results"]["results"]
    assert {f["target"]["status"]["state"] for f in part["findings"]} == {"not-satisfied"}


@pytest.mark.parametrize("by", export.EACH)
def test_parted_exports_are_the_whole_and_say_whose_they_are(con: duckdb.DuckDBPyConnection, tmp_path: Path, by: str) -> None:
    export.write(con, tmp_path / "whole.jsonl")
    whole = {json.loads(line)["finding_id"] for line in (tmp_path / "whole.jsonl").read_text(encoding="utf-8").splitlines()}
    written = export.write_each(con, tmp_path / "parts", by, "jsonl")
    index = list(csv.DictReader(io.StringIO((tmp_path / "parts" / "index.csv").read_text(encoding="utf-8-sig"))))
    assert [row["file"] for row in index] == list(written) and len({row["value"] for row in index}) == len(index) > 1
    parts: list[str] = []
    for row in index:
        data = (tmp_path / "parts" / row["file"]).read_bytes()
        assert export.sha256(data).hexdigest() == row["sha256"]
        found = [json.loads(line) for line in data.decode("utf-8").splitlines()]
        assert len(found) == int(row["findings"]) == written[row["file"]]["findings"]
        if by in ("vendor", "team", "pack", "rule"):
            told = {(f["rule"].split("/")[0] if by == "pack" else f[by]) or "" for f in found}
            assert told == {row["value"]}
        parts += [f["finding_id"] for f in found]
    assert set(parts) == whole and (by == "clause" or len(parts) == len(whole))
    with pytest.raises(UsageError):
        export.write_each(con, tmp_path / "parts", "weather", "jsonl")


def test_the_command_writes_each_format_into_a_folder_and_redacts_by_a_key_used_once(run: Path, tmp_path: Path) -> None:
    for form, ending in (("csv", "csv"), ("sarif", "sarif"), ("oscal", "oscal.json"), ("report", "html"), ("pack", "zip")):
        done = CliRunner().invoke(app, ["export", "--format", form, "--run", str(run), "--to", str(tmp_path)])
        assert done.exit_code == 0 and (tmp_path / f"r.{ending}").stat().st_size > 1000, form
    done = CliRunner().invoke(app, ["export", "--format", "pack", "--redacted", "--run", str(run), "--to", str(tmp_path / "red.zip"), "--json"])
    assert done.exit_code == 0 and export.verify(tmp_path / "red.zip").edition == "redacted" and not list(tmp_path.glob("**/key"))
    refused = CliRunner().invoke(app, ["export", "--format", "report", "--redacted", "--run", str(run), "--to", str(tmp_path / "r2.html")])
    assert refused.exit_code == 2 and not (tmp_path / "r2.html").exists()
    done = CliRunner().invoke(app, ["export", "--each", "vendor", "--format", "xlsx", "--run", str(run), "--to", str(tmp_path / "vendors"), "--json"])
    assert done.exit_code == 0 and len(list((tmp_path / "vendors").glob("*.xlsx"))) == len(json.loads(done.stdout)["files"]) > 1


@pytest.mark.parametrize("ending", ["csv", "xlsx", "zip"])
def test_an_export_says_how_far_it_is(ending: str, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    export.write(con, tmp_path / f"a.{ending}", options=export.Options(progress=lambda *step: told.append(step)))
    assert [name for name, _, _ in told[:5]] == ["findings", "evidence", "rules", "reconciliation", "rejects"] and len(told) > 5
    assert all(0 <= done < of for _, done, of in told)


def test_tables_kept_by_column_hold_what_the_database_says(con: duckdb.DuckDBPyConnection) -> None:
    found = export.sheets(con)
    export._fill_windows(con)
    for name in ("findings", "evidence", "rules", "reconciliation", "rejects", "contacts", "window"):
        told = con.execute(export._QUERIES[name]).fetchall()
        sheet = found.get(name) or export._sheet(con, name)
        # A sum that comes as another kind of number would be written as another.
        assert list(sheet.rows) == told and [tuple(map(type, row)) for row in sheet.rows] == [tuple(map(type, row)) for row in told], name
        assert [sheet.column(column) for column in sheet.columns] == [list(column) for column in zip(*told, strict=True)] or not told
        assert list(sheet.rows[1:3]) == told[1:3] and (not told or sheet.rows[0] == told[0])


def test_tables_are_the_same_however_they_are_kept(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = export.sheets(con)["evidence"]
    as_rows = tables_module.Sheet(sheet.name, sheet.columns, list(sheet.rows))
    monkeypatch.setattr(tables_module, "_CHUNK", 7)
    for written in (tables_module.csv_bytes, tables_module.jsonl_bytes, tables_module.parquet_bytes):
        assert written(sheet) == written(as_rows)
    made = datetime(2026, 1, 2, 3, 4, 5)
    assert tables_module.xlsx_bytes([sheet], made) == tables_module.xlsx_bytes([as_rows], made)


def test_rows_kept_by_column_are_all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables_module, "_CHUNK", 3)
    for count in range(11):
        rows = tables_module.Packed(pa.table({"a": list(range(count)), "b": [f"x{n}" for n in range(count)]}).columns)
        assert list(rows) == [(n, f"x{n}") for n in range(count)] and len(rows) == count
        assert all(list(rows[at:to]) == list(rows)[at:to] for at in range(count + 2) for to in range(count + 2))


def test_a_private_folder_goes_and_takes_those_of_the_dead_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, alive = tmp_path / f"some-{leftovers._host()}-999999999-x", tmp_path / f"some-{leftovers.owner()}-y"
    dead.mkdir(), alive.mkdir()
    with leftovers.private("some-") as folder:
        assert folder.is_dir() and folder.stat().st_mode & 0o077 == 0
        assert not dead.exists() and alive.exists()
    assert not folder.exists()


def test_what_goes_through_a_run_once_has_a_bound(run: Path) -> None:
    # In a process of its own: where a run is open already, it stays open as it is.
    program = f"from pathlib import Path\nfrom analyzer import runs\nwith runs.sparing(Path({str(run)!r})) as con:\n    print(con.execute(\"SELECT current_setting('memory_limit')\").fetchall()[0][0])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "256.0 MiB"
