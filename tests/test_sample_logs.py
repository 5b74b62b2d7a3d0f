"""The sample logs: every rule finds what was planted for it and nothing else; the generator writes them again."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from analyzer import audit, coverage, rules, runs
from analyzer.intake import folder_mapping, load_mapping
from analyzer.model import ExitCode

LOGS = Path(__file__).parents[1] / "sample_logs"
WRITTEN = ["answers.csv", *(f"{part}{name}" for part in ("", "clean/") for name in (
    "agents.csv", "calls_2026-03.csv", "calls_2026-04.csv", "case_events.csv", "cases.xlsx", "instalments.csv", "messages.xlsx",
    "numbers.csv", "payments.csv", "promises.csv", "trainings.csv", "us_contacts.jsonl", "visits_letters.csv",
))]  # fmt: skip
Run = tuple[audit.RunResult, duckdb.DuckDBPyConnection]


def _audit(folder: Path, to: Path) -> audit.RunResult:
    found = folder_mapping([str(folder)])
    assert found is not None
    return audit.run([str(folder)], to, mapping=load_mapping(found), run_id="sample")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    result = _audit(LOGS, tmp_path_factory.mktemp("sample"))
    con = runs.connect(result.path)
    yield result, con
    con.close()


def _answers() -> list[tuple[str, str]]:
    with (LOGS / "answers.csv").open(encoding="utf-8", newline="") as file:
        return [(row["rule"], row["contact_id"]) for row in csv.DictReader(file)]


def test_breaches_are_those_planted(sample: Run) -> None:
    result, con = sample
    found = con.execute("SELECT DISTINCT f.rule, e.contact_id FROM findings f JOIN finding_evidence e USING (finding_id) WHERE e.role = 'breach'").fetchall()
    assert set(found) == set(_answers())
    assert result.exit_code == ExitCode.BREACHES


def test_every_row_of_the_mission_is_served_twice_and_each_answer_once() -> None:
    answers = Counter(rule for rule, _ in _answers())
    served: Counter[str] = Counter()
    for pack in rules.select(rules.rules_folder()):
        for rule in pack.rules:
            served.update(dict.fromkeys(rule.serves, answers[rule.ref]))
    # C21 is what `dunaudit rules conflicts` compares, no rule.
    assert [row for row in (f"C{n}" for n in range(1, 21)) if served[row] < 2] == []
    assert len(set(_answers())) == len(_answers())


def test_undetermined_are_those_the_readme_lists(sample: Run) -> None:
    result, con = sample
    found: set[tuple[str, str]] = set()
    for rule, hits in con.execute("SELECT rule, hits_sql FROM rules").fetchall():
        rows = con.execute(f"SELECT c.contact_id FROM ({hits}) h JOIN contacts c USING (seq) WHERE h.role = 'undetermined'").fetchall()
        found |= {(rule, row[0]) for row in rows}
    told = re.findall(r"^\| (\S+/\S+) \| (\w+) \|", (LOGS / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert found == set(told)
    assert result.not_evaluated == 0


def test_every_row_is_loaded_rejected_or_duplicate(sample: Run) -> None:
    result, con = sample
    assert [b.file for b in result.batches if b.rows_read != b.loaded + b.rejected + b.duplicate] == []
    rejects = con.execute("SELECT b.file, r.row_no, r.reason FROM rejects r JOIN batches b USING (batch_id)").fetchall()
    assert sorted(rejects) == [
        ("calls_2026-03.csv", 42, "reject.too_few"), ("calls_2026-03.csv", 213, "reject.too_many"),
        ("calls_2026-04.csv", 79, "reject.time"), ("messages.xlsx#短信", 92, "reject.missing"),
    ]  # fmt: skip
    duplicates = con.execute("SELECT b.file, d.row_no, d.first_row_no FROM duplicates d JOIN batches b USING (batch_id)").fetchall()
    assert sorted(duplicates) == [("calls_2026-04.csv", 124, 123), ("messages.xlsx#短信", 63, 62), ("us_contacts.jsonl", 52, 51)]
    assert con.execute("SELECT * FROM cell_problems").fetchall() == []
    assert [b.file for b in result.batches if b.unmapped] == []


def test_texts_are_varied(sample: Run) -> None:
    texts, distinct = sample[1].execute("SELECT count(*), count(DISTINCT text) FROM contacts WHERE trim(text) <> ''").fetchall()[0]
    assert distinct >= 0.95 * texts


def test_clean_logs_have_no_finding(tmp_path: Path) -> None:
    result = _audit(LOGS / "clean", tmp_path)
    assert (result.findings, result.undetermined, result.not_evaluated) == (0, 0, 0)
    assert result.exit_code == ExitCode.CLEAN
    assert sum(b.rejected + b.duplicate for b in result.batches) == 0


def test_generator_writes_the_same_bytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(LOGS / "make.py"), str(tmp_path)], check=True)
    made = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert made == set(WRITTEN)
    assert [name for name in WRITTEN if (tmp_path / name).read_bytes() != (LOGS / name).read_bytes()] == []


def test_what_rule_authors_should_look_at(sample: Run) -> None:
    """Silent, idle and overlapping rules, counted again from the findings one by one."""
    _, con = sample
    remarks = coverage.hygiene(con)
    by_what: dict[str, set[str]] = {}
    for remark in remarks:
        by_what.setdefault(remark.what, set()).add(remark.rule)
    broken: dict[str, set[int]] = {}
    for rule, seq in con.execute("SELECT f.rule, e.seq FROM finding_evidence e JOIN findings f USING (finding_id) WHERE e.role = 'breach'").fetchall():
        broken.setdefault(rule, set()).add(seq)
    assert {"us-ma/*", "jp/*"} <= by_what["idle"] and not any(rule.startswith(("us-ma/", "jp/")) and not rule.endswith("*") for rule in by_what["idle"])
    assert by_what["silent"] and not by_what["silent"] & set(broken)
    told = {(r.rule, r.other) for r in remarks if r.what == "overlap"}
    assert told == {(a, b) for a in broken for b in broken if a != b and len(broken[a] & broken[b]) >= coverage.OVERLAP * len(broken[a])}
    assert told
