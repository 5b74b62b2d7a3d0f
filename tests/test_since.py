"""An audit since another run is the full audit, row for row, whatever came late, was corrected or was withdrawn."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analyzer import audit, runs, store
from analyzer.errors import DunAuditError
from analyzer.rules import rules_folder
from analyzer.text import TextReader, words_digest
from tests.conftest import HEADER, ROOT
from tests.same import differences
from tests.test_cluster import _world


class _Counted:
    """Counts the texts that are read anew."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.texts = 0
        whole = TextReader.read

        def read(reader: TextReader, batches: Any, *asked: Any) -> Any:
            def counted() -> Any:
                for batch in batches:
                    self.texts += batch.num_rows
                    yield batch

            return whole(reader, counted(), *asked)

        monkeypatch.setattr(TextReader, "read", read)


@pytest.mark.parametrize("seed", range(3))
def test_late_corrected_and_withdrawn_rows_come_out_as_in_a_full_audit(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, logs = random.Random(100 + seed), tmp_path / "logs"
    _world(logs, draw)
    first = audit.run([str(logs)], tmp_path / "runs", run_id="first")
    contacts = logs / "contacts0.csv"
    header, *lines = contacts.read_text(encoding="utf-8").splitlines()
    draw.shuffle(lines)
    # Withdrawn, corrected (who was spoken to, what was said), and a file that comes a day late.
    lines = lines[: -draw.randrange(1, 6)]
    for number in draw.sample(range(len(lines)), 4):
        cells = lines[number].split(",")
        cells[9], cells[10] = draw.choice(["self", "friend", "spouse", ""]), draw.choice(["弄死你", "请今天还款", "今天不还就告诉你单位", ""])
        lines[number] = ",".join(cells)
    contacts.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    late = [f"late{n},K{n % 3},P1,2125550001,A1,call,outbound,2026-03-0{2 + n} 23:0{n}:00,conversation,friend,{'we will call your employer' if n % 2 else '新的一句：今晚上门'},interactive" for n in range(4)]
    (logs / "contacts9.csv").write_text("\n".join([header, *late]) + "\n", encoding="utf-8")
    people = logs / "persons0.csv"
    people.write_text(people.read_text(encoding="utf-8").replace("friend", "guarantor", 2).replace("self", "friend", 1), encoding="utf-8")
    full = audit.run([str(logs)], tmp_path / "runs", run_id="full")
    read = _Counted(monkeypatch)
    since = audit.run([str(logs)], tmp_path / "runs", run_id="since", since=first.path)
    assert differences(full.path, since.path) == {} and full.findings == since.findings > 0
    with duckdb.connect(str(full.path), read_only=True) as con:
        texts = con.execute("SELECT count(text) FROM contacts").fetchall()[0][0]
    assert 0 < read.texts < texts * 0.6


def _grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> tuple[int, Path]:
    """(how many texts are read again when a log has grown, the full run), after the run since the one before was seen to equal it."""
    log, packs = tmp_path / "logs" / "a.csv", ["cn-gbt-45251"]
    log.parent.mkdir(exist_ok=True)
    log.write_text(f"{HEADER}\n{before}", encoding="utf-8")
    first = audit.run([str(log.parent)], tmp_path / "runs", run_id="first", packs=packs)
    log.write_text(f"{HEADER}\n{after}", encoding="utf-8")
    full = audit.run([str(log.parent)], tmp_path / "runs", run_id="full", packs=packs)
    read = _Counted(monkeypatch)
    since = audit.run([str(log.parent)], tmp_path / "runs", run_id="since", packs=packs, since=first.path)
    assert differences(full.path, since.path) == {}
    return read.texts, full.path


def test_a_text_said_to_somebody_else_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same words to the debtor and to his friend are two things: only what was said to the same kind of person is taken over."""
    line = "{0},K1,P{0},{1},电话,呼出,2026-03-01 10:0{0}:00,接通,交互式,A1,您朋友欠我们的钱逾期三个月了\n"
    read, _ = _grown(tmp_path, monkeypatch, line.format(1, "本人"), line.format(1, "本人") + line.format(2, "朋友") + line.format(3, "本人"))
    assert read == 1


def test_a_text_that_was_written_to_him_is_read_again_where_it_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noted of a call speaks of collection by itself: fewer words of it are doubted."""
    line = "{0},K1,P1,本人,{1},呼出,2026-03-01 10:0{0}:00,接通,交互式,A1,今晚去他家坐坐\n"
    read, _ = _grown(tmp_path, monkeypatch, line.format(1, "短信"), line.format(1, "短信") + line.format(2, "电话") + line.format(3, "短信"))
    assert read == 1


def test_a_text_with_a_name_in_it_is_read_again_where_nobody_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A debtor's name is no word in his own case: what was read there says nothing of the same text in another's."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "cases.csv").write_text("case_id,debtor_name\nK1,王老赖\nK2,李四\n", encoding="utf-8")
    line = "{0},K{0},P{0},本人,短信,呼出,2026-03-01 10:0{0}:00,送达,,A1,你就是个王老赖，骗子\n"
    read, full = _grown(tmp_path, monkeypatch, line.format(1), line.format(1) + line.format(2))
    assert read == 1
    with duckdb.connect(str(full), read_only=True) as con:
        found = con.execute("SELECT case_id, words FROM signals JOIN contacts USING (seq) WHERE words LIKE '%老赖'").fetchall()
    assert {case for case, _ in found} == {"K2"}


def test_what_is_taken_for_a_name_is_part_of_what_texts_are_read_with(monkeypatch: pytest.MonkeyPatch) -> None:
    before = words_digest(ROOT / "rules/lexicon")
    assert before == words_digest(ROOT / "rules/lexicon")
    monkeypatch.setattr(store, "_name", lambda: "[王][一-龥]")
    assert before != words_digest(ROOT / "rules/lexicon")


def test_what_was_read_with_other_words_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs, own = tmp_path / "logs", tmp_path / "rules"
    logs.mkdir()
    (logs / "a.csv").write_text(f"{HEADER}\n1,K1,P1,本人,电话,呼出,2026-03-01 10:00:00,接通,交互式,A1,弄死你\n", encoding="utf-8")
    first = audit.run([str(logs)], tmp_path / "runs", run_id="first", packs=["cn-gbt-45251"])
    shutil.copytree(rules_folder(), own)
    with (own / "lexicon" / "violence.yaml").open("a", encoding="utf-8") as file:
        file.write("\n# another version\n")
    read = _Counted(monkeypatch)
    audit.run([str(logs)], tmp_path / "runs", run_id="again", packs=["cn-gbt-45251"], rules_folder=own, since=first.path)
    assert read.texts == 1
    audit.run([str(logs)], tmp_path / "runs", run_id="same", packs=["cn-gbt-45251"], since=first.path)
    assert read.texts == 1


def test_the_command_takes_a_name_a_file_or_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{HEADER}\n1,K1,P1,本人,电话,呼出,2026-03-01 23:00:00,接通,交互式,A1,弄死你\n", encoding="utf-8")
    command = [sys.executable, "-m", "analyzer.cli", "audit", str(tmp_path / "a.csv"), "--to", str(tmp_path / "runs"), "--packs", "cn-gbt-45251"]

    def call(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], capture_output=True, text=True, cwd=ROOT, check=False)

    assert call("--name", "one").returncode == 1
    assert call("--name", "two", "--since", "one").returncode == 1 and call("--name", "three", "--since", str(tmp_path / "runs" / "two.duckdb")).returncode == 1
    assert differences(tmp_path / "runs" / "one.duckdb", tmp_path / "runs" / "three.duckdb") == {}
    (tmp_path / "broken.duckdb").write_bytes(b"no run")
    for wrong in ("none", str(tmp_path / "broken.duckdb")):
        done = call("--name", "four", "--since", wrong)
        assert done.returncode in (2, 4) and "Traceback" not in done.stderr and runs.list_runs(tmp_path / "runs") == ["one", "three", "two"]
    with pytest.raises(DunAuditError):
        audit.run([str(tmp_path / "a.csv")], tmp_path / "runs", run_id="five", since=tmp_path / "broken.duckdb")
