"""A run in shards: put together it is the run of one machine, row for row, by whatever engine; what is not whole is not published."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from analyzer import audit, cluster, shards
from analyzer.checks import prepare
from analyzer.circles import find_circles
from analyzer.errors import DunAuditError
from analyzer.intake import folder_mapping, load_mapping
from analyzer.rules import rules_folder, select
from tests.conftest import ROOT
from tests.same import differences


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = str(ROOT / "sample_logs")
    mapping = folder_mapping([logs])
    assert mapping is not None
    return audit.run([logs], tmp_path_factory.mktemp("one"), mapping=load_mapping(mapping), run_id="one").path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs, where = str(ROOT / "sample_logs"), tmp_path_factory.mktemp("shards") / "s"
    mapping = folder_mapping([logs])
    assert mapping is not None
    head = shards.prepare_shards([logs], where, 3, load_mapping(mapping))
    assert head == shards.read_head(where) and head.circles > 100 and 0 < head.largest <= head.largest_shard < head.contacts
    return where


@pytest.fixture(scope="module")
def sail() -> Iterator[str]:
    """A server of Sail in a process of its own, as a cluster's would be: its address."""
    code = (
        "from pysail.spark import SparkConnectServer; import sys, time; s = SparkConnectServer('127.0.0.1', 0); s.start(background=True);"
        " print(s.listening_address[1], flush=True); sys.stdin.read()"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment) as server:
        assert server.stdout is not None and server.stdin is not None
        yield f"sc://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()
        server.wait(30)


def _call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "analyzer.cli", *map(str, arguments)], capture_output=True, text=True, cwd=ROOT, env=os.environ | {"DUNAUDIT_LANG": "en"}, check=False)


@pytest.mark.parametrize("engine", ["shards", "spark"])
def test_every_table_is_the_same_by_every_engine(engine: str, one: Path, folder: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    remote = ["--remote", request.getfixturevalue("sail")] if engine == "spark" else []
    done = _call("audit", folder, "--engine", engine, *remote, "--to", tmp_path / "runs", "--name", "r", "--json")
    assert done.returncode == 1, done.stderr
    assert differences(one, tmp_path / "runs" / "r.duckdb") == {}
    told = json.loads(done.stdout)
    with duckdb.connect(str(one), read_only=True) as con:
        assert told["findings"] == con.execute("SELECT count(*) FROM findings").fetchall()[0][0] > 90
    rows = duckdb.sql(f"SELECT count(*), count(DISTINCT finding_id) FROM '{tmp_path / 'runs' / 'r.findings.parquet'}'").fetchall()[0]
    assert rows[1] == told["findings"] and rows[0] > rows[1]
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["current", "r.duckdb", "r.findings.parquet"]


def test_the_same_shard_gives_the_same_parts(folder: Path) -> None:
    law, _, _ = shards.law_of(folder, ["us-reg-f"])
    rows = shards.shard_rows(folder, 1)
    first, shuffled = shards.judge_shard(rows, law), shards.judge_shard(rows.take(pa.array(random.Random(1).sample(range(rows.num_rows), rows.num_rows))), law)
    told, again, mixed = ({part["name"]: shards._rows(part["rows"]) for part in made.to_pylist()} for made in (first, shards.judge_shard(rows, law), shuffled))
    assert told == again and told["contacts"].num_rows > 100 and told["hits"].num_rows > 0
    # In whatever order the rows come, the same is found; only its signals are numbered otherwise.
    assert all(told[name] == mixed[name] for name in told if name not in ("signals", "hits"))
    assert [sorted(map(str, made["signals"].drop_columns("signal_id").to_pylist())) for made in (told, mixed)] == [sorted(map(str, told["signals"].drop_columns("signal_id").to_pylist()))] * 2
    assert all(sorted(map(str, made["hits"].drop_columns("signal_ids").to_pylist())) == sorted(map(str, told["hits"].drop_columns("signal_ids").to_pylist())) for made in (again, mixed))


def test_what_is_not_whole_is_not_published(folder: Path, tmp_path: Path) -> None:
    law, every, packs = shards.law_of(folder, ["us-reg-f"])
    parts = list(shards.judge_here(folder, law))
    for number, (wrong, key) in enumerate([(parts[1:], "shards.not_whole"), ([*parts, parts[0]], "shards.twice"), ([], "shards.not_whole")]):
        with pytest.raises(DunAuditError) as caught:
            shards.assemble(folder, wrong, tmp_path / str(number), law, every, packs, "test", "r")
        assert caught.value.key == key and not (tmp_path / str(number) / "r.duckdb").exists()
    assert shards.assemble(folder, reversed(parts), tmp_path / "well", law, every, packs, "test", "r").findings > 0


def test_a_worker_with_other_words_is_refused(folder: Path) -> None:
    law, _, _ = shards.law_of(folder, ["us-reg-f"])
    with pytest.raises(DunAuditError) as caught:
        shards.judge_shard(shards.shard_rows(folder, 0), shards.Law(law.head, law.rules, law.common, law.folder, "0" * 64))
    assert caught.value.key == "shards.other_words"


def test_what_is_asked_wrongly_gets_one_sentence(folder: Path, tmp_path: Path) -> None:
    for arguments, part in (
        (["audit", folder, "--engine", "spark"], "--remote"), (["audit", folder, "--engine", "hadoop"], "hadoop"), (["audit", ROOT / "sample_logs", "--engine", "shards"], "no folder of shards"),
        (["shard", ROOT / "sample_logs", "--to", folder], "already"), (["audit", folder, folder, "--engine", "shards"], "one folder"), (["shard", tmp_path / "none", "--to", tmp_path / "s"], "none"),
    ):  # fmt: skip
        done = _call(*arguments, *(["--to", tmp_path / "runs"] if arguments[0] == "audit" else []))
        assert done.returncode in (2, 4) and part in done.stderr and "Traceback" not in done.stderr, (arguments, done.stderr)
    assert not list(tmp_path.glob("**/*.duckdb"))


def test_a_cluster_that_fails_publishes_nothing(sail: str, folder: Path, tmp_path: Path) -> None:
    law, _, _ = shards.law_of(folder, ["us-reg-f"])
    wrong = shards.Law(law.head, law.rules, law.common, law.folder, "0" * 64)
    with pytest.raises(DunAuditError) as caught:
        list(cluster.judge_remotely(sail, folder, wrong, tmp_path / "out"))
    assert caught.value.key == "cluster.failed" and "sc://" not in caught.value.text("en")


# Which cases belong together
def _circles(tmp_path: Path, **files: str) -> dict[str, str]:
    for name, text in files.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    shards.prepare_shards([str(tmp_path)], tmp_path.with_name(f"{tmp_path.name}-s"), 7)
    found: dict[str, set[int]] = {}
    for shard in range(7):
        for case in shards.shard_rows(tmp_path.with_name(f"{tmp_path.name}-s"), shard).column("case_id").to_pylist():
            if case:
                found.setdefault(case, set()).add(shard)
    assert all(len(s) == 1 for s in found.values())
    with duckdb.connect() as con:
        con.execute("CREATE TABLE memory.main.in_contacts AS SELECT * FROM read_csv(?, all_varchar = true)", [str(tmp_path / "contacts.csv")])
        for column in ("debtor_id", "debt_id", "person_id", "number"):
            con.execute(f"ALTER TABLE memory.main.in_contacts ADD COLUMN IF NOT EXISTS {column} VARCHAR")
        for name in ("cases", "persons", "numbers"):
            if name in files:
                con.execute(f"CREATE TABLE memory.main.in_{name} AS SELECT * FROM read_csv(?, all_varchar = true)", [str(tmp_path / f"{name}.csv")])
        find_circles(con)
        return dict(con.execute("SELECT case_id, circle FROM memory.main.circles").fetchall())


def test_cases_are_tied_by_debtor_debt_person_and_number_and_through_each_other(tmp_path: Path) -> None:
    told = _circles(
        tmp_path,
        contacts="contact_id,case_id,started_at,channel,relation,debtor_id,debt_id,person_id,number\n"
        + "".join(f"c{n},{row}\n" for n, row in enumerate([
            "K1,2026-03-01 10:00:00,call,self,D1,,,", "K2,2026-03-01 10:00:00,call,self,D1,,,", "K3,2026-03-01 10:00:00,call,self,,K2,,", "K4,2026-03-01 10:00:00,call,friend,,,P9,",
            "K5,2026-03-01 10:00:00,call,friend,,,,5550001", "K6,2026-03-01 10:00:00,call,self,,,,", "K7,2026-03-01 10:00:00,call,self,K6,,,", "K8,2026-03-01 10:00:00,call,self,,,,",
        ])),
        numbers="number,case_id,person_id\n5550001,K4,P7\n",
    )  # fmt: skip
    groups = {frozenset(case for case in told if told[case] == circle) for circle in told.values()}
    assert groups == {frozenset({"K1", "K2", "K3"}), frozenset({"K4", "K5"}), frozenset({"K6", "K7"}), frozenset({"K8"})}
    assert all(circle == min(case for case in told if told[case] == circle) for circle in told.values())


def test_rules_over_people_who_have_nothing_to_do_with_each_other_are_known() -> None:
    across = {p.rule.ref for p in prepare(select(rules_folder())) if p.across}
    shares = {p.rule.ref for p in prepare(select(rules_folder())) if p.rule.kind == "share"}
    assert across == shares | {"us-reg-f/validation-notice"}


def _world(folder: Path, draw: random.Random) -> None:
    """Cases in two countries whose people, numbers and debtors run into each other, and everything that happens to them."""
    folder.mkdir()
    cases = [f"K{n}" for n in range(draw.randrange(6, 14))]
    people = [f"P{n}" for n in range(12)]
    numbers = [f"212555{n:04d}" for n in range(8)]
    place = {case: draw.choice(["CN", "US", "US-MA"]) for case in cases}
    rows = {name: [] for name in ("contacts", "cases", "persons", "numbers", "case_events", "agents")}  # type: dict[str, list[str]]
    for case in cases:
        zone = "Asia/Shanghai" if place[case] == "CN" else "America/New_York"
        rows["cases"].append(f"{case},D{draw.randrange(8)},{place[case]},{zone},{draw.choice(['bank', 'microloan', ''])},2026-02-{draw.randrange(1, 28):02d}")
        for person in draw.sample(people, 2):
            rows["persons"].append(f"{person},{case},{draw.choice(['self', 'spouse', 'friend', 'guarantor'])}")
            rows["numbers"].append(f"{draw.choice(numbers)},{case},{person},mobile")
    texts = ["弄死你", "请今天还款", "告诉你单位", "we will call your employer", "please call us back", "", "validation", "STOP"]
    begin = datetime(2026, 3, 2)
    for number in range(draw.randrange(60, 160)):
        at = begin + timedelta(minutes=draw.randrange(12 * 24 * 60))
        rows["contacts"].append(
            f"c{number},{draw.choice(cases)},{draw.choice([*people, ''])},{draw.choice([*numbers, ''])},A{draw.randrange(4)},{draw.choice(['call', 'call', 'sms', 'visit'])},{draw.choice(['outbound', 'outbound', 'inbound'])},"
            f"{at:%Y-%m-%d %H:%M:%S},{draw.choice(['conversation', 'no_answer', 'delivered', 'busy', ''])},{draw.choice(['self', 'friend', 'spouse', ''])},{draw.choice(texts)},{draw.choice(['interactive', 'notice', ''])}"
        )
    for number in range(draw.randrange(12)):
        rows["case_events"].append(f"e{number},{draw.choice(cases)},{draw.choice([*people, ''])},{draw.choice(['refusal', 'dispute', 'attorney', 'unreachable', 'validation_notice', 'consent', 'written_cease'])},2026-03-{draw.randrange(2, 13):02d} 09:00:00")
    rows["agents"] = [f"A{n},T{n % 2},{['', 'Northgate'][n % 2]},2026-03-{1 + n:02d}" for n in range(4)]
    heads = {
        "contacts": "contact_id,case_id,person_id,number,agent_id,channel,direction,started_at,outcome,relation,text,call_type", "cases": "case_id,debtor_id,jurisdiction,zone,lender_kind,due_on",
        "persons": "person_id,case_id,relation", "numbers": "number,case_id,person_id,kind", "case_events": "event_id,case_id,person_id,kind,occurred_at", "agents": "agent_id,team,vendor,from_on",
    }  # fmt: skip
    for name, head in heads.items():
        lines = rows[name]
        # One table in two files: shards must number their rows as the whole does.
        half = len(lines) // 2 if name == "contacts" else len(lines)
        for part, some in enumerate((lines[:half], lines[half:])):
            if some:
                (folder / f"{name}{part}.csv").write_text("\n".join([head, *some]) + "\n", encoding="utf-8")


@pytest.mark.parametrize("seed", range(3))
def test_random_worlds_come_out_the_same_in_shards(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    _world(tmp_path / "logs", draw)
    whole = audit.run([str(tmp_path / "logs")], tmp_path / "runs", run_id="one")
    shards.prepare_shards([str(tmp_path / "logs")], tmp_path / "s", draw.choice([2, 3, 5]))
    law, every, packs = shards.law_of(tmp_path / "s")
    put = shards.assemble(tmp_path / "s", shards.judge_here(tmp_path / "s", law), tmp_path / "runs", law, every, packs, "test", "two")
    assert differences(whole.path, put.path) == {} and whole.findings == put.findings > 0
