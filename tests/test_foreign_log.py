"""A foreign log (no header, day first, several number shapes) against counts made independently of this program."""

import json
from pathlib import Path

import pytest

from analyzer import audit, runs
from analyzer.intake import load_mapping

DATA = Path(__file__).parents[2] / "shared" / "data" / "call_logs"
MAPPING = """
name: udacity
zone: Asia/Kolkata
jurisdiction: IN
tables:
  - match: ["udacity_calls.csv"]
    table: contacts
    header: 0
    date_order: dmy
    repeats: events
    columns: {agent_id: column_1, number: column_2, case_id: [column_2], person_id: column_2, started_at: column_3, duration_s: column_4,
              channel: {const: call}, direction: {const: outbound}, relation: {const: self}, outcome: {const: conversation}}
  - match: ["udacity_texts.csv"]
    table: contacts
    header: 0
    date_order: dmy
    repeats: events
    columns: {agent_id: column_1, number: column_2, case_id: [column_2], person_id: column_2, started_at: column_3,
              channel: {const: sms}, direction: {const: outbound}, relation: {const: self}, outcome: {const: delivered}}
"""
PACK = """
id: reference
title: {zh: 对照, en: Reference}
about: {zh: 对照计数用。, en: For counting against an outside reference.}
binds: {zh: 无, en: nobody}
applies_to: {jurisdiction: [IN]}
in_force: 2016-01-01
"""
RULE = """
id: %s
title: {zh: 规则, en: rule}
why: {zh: 对照。, en: reference.}
remedy: {zh: 无。, en: none.}
not_covered: {zh: 无。, en: nothing.}
serves: [C1]
status: stable
severity: low
strength: policy
effect: advisory
citations: [{instrument: {zh: 对照, en: reference}, clause: {zh: 无, en: none}, known: house, consulted: 2026-11-24}]
check: %s
cases:
  - {name: breach of it, given: {contacts: %s}, expect: {breach: [%s]}}
  - {name: clear of it, given: {contacts: [{id: a, at: "2016-09-01 10:00:00", agent: A, number: "1", person: P}]}, expect: {clear: [a]}}
"""


def _calls(n: int) -> str:
    return "[" + ", ".join(f'{{id: c{i}, at: "2016-09-01 10:00:{i:02}", agent: A, number: "1", person: P}}' for i in range(n)) + "]"


def _write(folder: Path) -> None:
    pack = folder / "reference"
    pack.mkdir(parents=True)
    (pack / "pack.yaml").write_text(PACK, encoding="utf-8")
    for hour in (20, 21, 22):
        check = f'{{kind: hours, scope: {{direction: outbound}}, opens: "08:00", closes: "{hour}:00"}}'
        night = '[{id: n, at: "2016-09-01 23:00:00"}]'
        (pack / f"hours-{hour}.yaml").write_text(RULE % (f"hours-{hour}", check, night, "n"), encoding="utf-8")
    for limit in (1, 2, 3):
        check = f"{{kind: frequency, scope: {{direction: outbound}}, per: [agent, number], limit: {limit}, window: calendar_day}}"
        (pack / f"pair-day-{limit}.yaml").write_text(RULE % (f"pair-day-{limit}", check, _calls(limit + 1), f"c{limit}"), encoding="utf-8")
    others = {
        "recipient-day": ("{kind: frequency, scope: {direction: outbound}, per: [number], limit: 3, window: calendar_day}", 4),
        "dates-7": ("{kind: frequency, scope: {direction: outbound}, per: [agent, number], limit: 7, dates: 7}", 8),
        "hours-168": ("{kind: frequency, scope: {direction: outbound}, per: [agent, number], limit: 7, hours: 168}", 8),
        "within-hour": ("{kind: frequency, scope: {direction: outbound}, per: [agent, number], limit: 2, hours: 1}", 3),
    }
    for name, (check, n) in others.items():
        (pack / f"{name}.yaml").write_text(RULE % (name, check, _calls(n), f"c{n - 1}"), encoding="utf-8")


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared measuring data are not here")
@pytest.mark.parametrize("name", ["udacity_calls", "udacity_texts"])
def test_counts_equal_the_reference(name: str, tmp_path: Path) -> None:
    reference = json.loads((DATA / "reference_counts.json").read_text())[name]
    (tmp_path / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    _write(tmp_path / "rules")
    result = audit.run(
        [str(DATA / f"{name}.csv")], tmp_path / "runs", mapping=load_mapping(tmp_path / "mapping.yaml"), rules_folder=tmp_path / "rules"
    )
    con = runs.connect(result.path)
    try:
        breaching = dict(con.execute("SELECT rule, sum(contacts) FROM rule_results WHERE outcome = 'breach' GROUP BY 1").fetchall())
        episodes = dict(con.execute("SELECT rule, count(*) FROM findings GROUP BY 1").fetchall())
        pairs = dict(con.execute(
            "SELECT f.rule, count(DISTINCT (c.agent_id, c.number)) FROM findings f JOIN finding_evidence e USING (finding_id)"
            " JOIN contacts c USING (seq) WHERE e.role = 'breach' GROUP BY 1"
        ).fetchall())  # fmt: skip
    finally:
        con.close()
    batch = result.batches[0]
    assert batch.rows_read == batch.loaded + batch.rejected + batch.duplicate == reference["rows"]
    assert batch.rejected == batch.duplicate == 0
    found = {
        "time_before_0800_or_from_2000": breaching["reference/hours-20"],
        "time_before_0800_or_from_2100": breaching["reference/hours-21"],
        "time_before_0800_or_from_2200": breaching["reference/hours-22"],
        "pair_days_ge2": episodes["reference/pair-day-1"],
        "pair_days_ge3": episodes["reference/pair-day-2"],
        "pair_days_ge4": episodes["reference/pair-day-3"],
        "recipient_days_ge4": episodes["reference/recipient-day"],
        "pairs_more_than_7_in_rolling_168h": pairs["reference/hours-168"],
        "pairs_more_than_7_in_7_consecutive_dates": pairs["reference/dates-7"],
        "pairs_3_or_more_within_60min": pairs["reference/within-hour"],
    }
    assert found == {k: reference[k] for k in found}
