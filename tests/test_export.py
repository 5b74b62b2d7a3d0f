"""What leaves the system: formats that agree, the same bytes twice, and packs in which no byte can change unseen."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from analyzer import audit, export, runs
from analyzer.errors import UsageError
from analyzer.intake import folder_mapping, load_mapping
from tests.conftest import ROOT


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
                    assert shown == value.replace(microsecond=0), key
                else:
                    assert (shown if shown != "" else None) == (value if value != "" else None) or isinstance(value, date), (key, value, cell)


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
    assert all(row[-1] for row in found["reconciliation"].rows) and len(found["rejects"].rows) == 4
    with pytest.raises(UsageError):
        export.sheets(con, {"rule": ["nothing"]})


@pytest.mark.parametrize("text", ["=1+1", "+86", "-5", "@x", "\tx", "\rx"])
def test_what_looks_like_a_formula_is_defused(text: str) -> None:
    assert export.defused(text) == f"'{text}" and export.defused(f"a{text}") == f"a{text}"


def test_a_whole_pack_is_whole_and_its_sql_repeats(pack: Path, con: duckdb.DuckDBPyConnection) -> None:
    told = export.verify(pack, con)
    assert told.wrong == () and told.repeated == told.findings > 30
    with zipfile.ZipFile(pack) as archive:
        assert {"findings.csv", "contacts.csv", "reconciliation.csv", "rules/cn-gbt-45251/quiet-hours.yaml", "verify.py"} <= set(archive.namelist())


def _rewritten(pack: Path, target: Path, change: dict[str, bytes | None]) -> Path:
    with zipfile.ZipFile(pack) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = change.get(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
        for name in change.keys() - set(old.namelist()):
            new.writestr(name, change[name] or b"")
    return target


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_one_flipped_byte_anywhere_is_named(pack: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    with zipfile.ZipFile(pack) as archive:
        name = data.draw(st.sampled_from([n for n in archive.namelist() if n != export.MANIFEST]))
        content = bytearray(archive.read(name))
    at = data.draw(st.integers(0, len(content) - 1)) if content else 0
    changed = bytes(content[:at] + bytes([content[at] ^ (1 << data.draw(st.integers(0, 7)))]) + content[at + 1 :]) if content else b"x"
    broken = _rewritten(pack, tmp_path_factory.mktemp("broken") / "p.zip", {name: changed})
    assert export.verify(broken).wrong == (("verify.changed", name),)


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
        forged = _rewritten(pack, tmp_path / f"{kind}.zip", {"evidence.jsonl": data, export.MANIFEST: json.dumps(told).encode()})
        wrong = export.verify(forged, con).wrong
        assert kind in {k for k, _ in wrong} and (kind == "verify.rows" or ("verify.differs", first) in wrong)


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
