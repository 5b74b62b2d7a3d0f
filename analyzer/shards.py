"""A run in shards: input rows parted by circles, each shard judged by one pure function, and the parts put together as one run file.

    prepare    files -> a folder: contacts as Parquet by shard, the rows of the other tables beside them, head.json
    judge      the rows of a shard -> its canonical rows, signals, hits and outcomes (Arrow in, Arrow out; nothing else is read or written)
    assemble   the parts of all shards -> a run file, as an audit on one machine would have made it

The folder holds

    head.json                     what every shard must know (`Head`)
    contacts/*.parquet            shard, input columns of contacts; name and rows are empty here
    side/*.parquet                shard, name of a table, rows: its input rows as an Arrow stream
    common/<table>.parquet        tables that belong to no case: agents, trainings, provided, and the account of what was read
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from pyarrow import ipc, parquet

from analyzer import audit, findings, intake, rules, store
from analyzer.calendars import load_calendars
from analyzer.checks import Prepared, entities_of, judge, make_hits, prepare
from analyzer.circles import find_circles
from analyzer.errors import InputError, UsageError
from analyzer.intake import Mapping as HouseMapping
from analyzer.intake import Settings, input_table
from analyzer.model import Outcome
from analyzer.sql import literal
from analyzer.text import TextReader, contact_texts, kept_words, lexicon_ids, read_here, store_signals, words_digest

FORMAT = "dunaudit-shards-2"
HEAD = "head.json"
SIDE = ("cases", "persons", "numbers", "instalments", "payments", "promises", "case_events")
"""Tables whose rows belong to a case, beside the contacts."""
COMMON = ("agents", "trainings")
_READ = ("batches", "rejects", "duplicates", "cell_problems", "provided")
# What a shard gives back: canonical tables in the order in which they are filled, and what the rules said.
_CANONICAL = ("cases", "persons", "numbers", "instalments", "payments", "promises", "case_events", "arrears", "contacts", "signals")
OUT = pa.schema([("shard", pa.int32()), ("name", pa.string()), ("rows", pa.binary())])
"""A part of a shard: the shard, the name of a table, its rows as an Arrow stream."""
MANY = 20_000
"""From so many contacts on processes of their own read the texts of shards that are judged here."""
_NUMBERS = 1 << 36
"""Signals of a shard are numbered from the shard's number times this."""


@dataclass(frozen=True)
class Head:
    """What every shard must know, and what the run will say of itself.

    `zones`: batch -> zone of its times without one; `bases`: batch -> what is added to its lines to number contacts; `digests`: of the
    files; `largest`: contacts of the largest circle; `left_out`: sheets that are no tables.
    """

    zone: str
    jurisdiction: str
    mapping: str
    shards: int
    zones: dict[int, str]
    bases: dict[int, int]
    digests: list[str]
    contacts: int
    circles: int
    largest: int
    largest_shard: int
    left_out: list[str]

    def settings(self) -> Settings:
        """As an audit takes them."""
        return Settings(self.zone, self.jurisdiction)


def read_head(folder: Path) -> Head:
    """The head of a folder of shards.

    Raises:
        InputError: there is none of this version.
    """
    try:
        told = json.loads((folder / HEAD).read_text(encoding="utf-8"))
        if told.pop("format") != FORMAT:
            raise ValueError(FORMAT)
        return Head(**{**told, **{name: {int(k): v for k, v in told[name].items()} for name in ("zones", "bases")}})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError("shards.no_head", name=folder.name) from error


def prepare_shards(
    sources: Sequence[str], folder: Path, shards: int, mapping: HouseMapping | None = None, settings: Settings | None = None, memory: str | None = None
) -> Head:
    """Read files and write a folder of shards.

    Args:
        sources: files, folders or globs.
        folder: must not be there yet.
        shards: how many; a shard should fit a worker's memory a few times over.
        mapping: a house format.
        settings: zone of times without one, jurisdiction of cases without one.
        memory: DuckDB's memory limit.

    Raises:
        InputError: a file cannot be read.
        UsageError: the folder is there already, or cannot be made.
    """
    mapping = mapping or HouseMapping()
    settings = audit.settled(mapping, settings)
    if folder.exists():
        raise UsageError("shards.exists", name=folder.name)
    inspected = audit.inspect(sources, mapping)
    plans = audit.planned(inspected)
    # Made in private and renamed when it is whole.
    with store.workspace(folder.parent, memory, sum(p.source.size for p in plans)) as (con, scratch):
        making = scratch / "shards"
        batches = intake.load(con, plans, settings, scratch)
        circles = find_circles(con, shards)
        bases, at = {}, 0
        for batch, rows in con.execute(f"SELECT batch_id, max(row_no) FROM {input_table(con, 'contacts')} GROUP BY 1 ORDER BY 1").fetchall():
            bases[int(batch)], at = at, at + int(rows)
        for name in ("contacts", "side", "common"):
            (making / name).mkdir(parents=True)
        con.execute(
            f"COPY (SELECT s.shard, {_columns(con, 'contacts', 't')}, NULL::VARCHAR AS name, NULL::BLOB AS rows FROM {input_table(con, 'contacts')} t"
            f" JOIN memory.main.circles s USING (case_id) ORDER BY s.shard) TO {literal(str(making / 'contacts' / 'contacts.parquet'))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50000)"
        )
        _write_side(con, making / "side" / "side.parquet", shards)
        for name in COMMON:
            parquet.write_table(con.sql(f"SELECT {_columns(con, name, 't')} FROM {input_table(con, name)} t").to_arrow_table(), making / "common" / f"{name}.parquet")
        for name in _READ:
            parquet.write_table(con.sql(f"SELECT * FROM {name}").to_arrow_table(), making / "common" / f"{name}.parquet")
        sizes = con.execute(
            f"SELECT circle, any_value(shard), count(*) FROM {input_table(con, 'contacts')} JOIN memory.main.circles USING (case_id) GROUP BY circle"
        ).fetchall()
        by_shard: dict[int, int] = {}
        for _, shard, contacts in sizes:
            by_shard[shard] = by_shard.get(shard, 0) + contacts
        head = Head(
            settings.zone, settings.jurisdiction, mapping.name, shards, {b.batch_id: b.zone for b in batches}, bases, sorted(p.source.sha256 for p in plans),
            sum(by_shard.values()), circles, max((c for *_, c in sizes), default=0), max(by_shard.values(), default=0), audit.left_out(inspected),
        )  # fmt: skip
        (making / HEAD).write_text(json.dumps({"format": FORMAT, **asdict(head)}, ensure_ascii=False, indent=1), encoding="utf-8")
        making.rename(folder)
    return head


def _columns(con: duckdb.DuckDBPyConnection, name: str, alias: str) -> str:
    """The columns of an input table but those that said what was wrong with a row."""
    found = con.execute(f"SELECT * FROM {input_table(con, name)} LIMIT 0").description or []
    return ", ".join(f"{alias}.{column[0]}" for column in found if column[0] not in ("bad", "detail"))


def _write_side(con: duckdb.DuckDBPyConnection, path: Path, shards: int) -> None:
    schema = pa.schema([("shard", pa.int32()), ("name", pa.string()), ("rows", pa.binary())])
    with parquet.ParquetWriter(path, schema, compression="zstd") as out:
        for name in SIDE:
            found = con.sql(
                f"SELECT s.shard AS shard_of, {_columns(con, name, 't')} FROM {input_table(con, name)} t JOIN memory.main.circles s USING (case_id) ORDER BY s.shard"
            ).to_arrow_table()
            whose, rows = found.column(0).combine_chunks().to_numpy(), found.drop_columns(["shard_of"])
            for shard in range(shards):
                first, last = (int(at) for at in (whose.searchsorted(shard), whose.searchsorted(shard, side="right")))
                if first < last:
                    out.write_table(pa.table({"shard": [shard], "name": [name], "rows": [_stream(rows.slice(first, last - first))]}, schema=schema))


def _stream(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, rows.schema) as out:
        out.write_table(rows)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def _rows(data: bytes) -> pa.Table:
    with ipc.open_stream(data) as stream:
        return stream.read_all()


@dataclass(frozen=True)
class Law:
    """What shards are judged by; small enough to be sent along, but for the words, which each worker loads from its own rules folder.

    `words`: `text.words_digest`, so that no worker reads with others.
    """

    head: Head
    rules: tuple[Prepared, ...]
    common: dict[str, bytes]
    folder: Path | None
    words: str


def law_of(folder: Path, packs: Sequence[str] = (), with_packs: Sequence[str] = (), drafts: bool = False, rules_folder: Path | None = None) -> tuple[Law, list[Prepared], Any]:
    """(what the shards are judged by, all rules, the packs).

    Raises:
        RuleErrors: a rule cannot be used.
        InputError: the folder is no folder of shards.
    """
    where, head = rules_folder or rules.rules_folder(), read_head(folder)
    loaded, problems = rules.chosen(where, packs, with_packs, drafts)
    prepared = prepare(loaded, problems, lexicon_ids(rules.lexicon_folder(where)))
    common = {name: (folder / "common" / f"{name}.parquet").read_bytes() for name in (*COMMON, "provided")}
    law = Law(head, tuple(p for p in prepared if not p.across), common, rules_folder, words_digest(rules.lexicon_folder(where), entities_of(prepared)))
    return law, prepared, loaded


def judge_shard(rows: pa.Table, law: Law, reader: TextReader | None = None) -> pa.Table:
    """Judge one shard: its rows of contacts/ and side/ in, its parts (`OUT`) out. The same rows give the same parts, wherever and how often.

    Args:
        rows: as `shard_rows` gives them.
        law: what it is judged by.
        reader: reads the texts in processes of its own; None: they are read here.

    Raises:
        UsageError: the words of this worker are not those the run was prepared with.
    """
    shard = int(rows.column("shard")[0].as_py()) if rows.num_rows else 0
    where = law.folder or rules.rules_folder()
    if words_digest(rules.lexicon_folder(where), entities_of(law.rules)) != law.words:
        raise UsageError("shards.other_words")
    with duckdb.connect(":memory:") as con:
        con.execute("SET autoinstall_known_extensions = false")
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET threads = 1")
        store.create_tables(con)
        store.fill_calendars(con, load_calendars(where))
        _place(con, rows, law)
        settings, head = law.head.settings(), law.head
        store.derive_cases(con, settings, head.zones)
        texts = contact_texts(con, store.spoken_to(con, head.bases))
        read = reader.read(texts, entities_of(law.rules)) if reader else read_here(texts, kept_words(rules.lexicon_folder(where), entities_of(law.rules)))
        store.derive_contacts(con, settings, head.zones, head.bases)
        store_signals(con, read, shard * _NUMBERS)
        judge(con, law.rules)
        parts = {name: _plain(con, name) for name in _CANONICAL}
        parts |= {"hits": con.sql("SELECT * FROM hits ORDER BY ALL").to_arrow_table(), "rule_results": con.sql("SELECT * FROM rule_results ORDER BY ALL").to_arrow_table()}
    return pa.table({"shard": [shard] * len(parts), "name": list(parts), "rows": [_stream(part) for part in parts.values()]}, schema=OUT)


def _place(con: duckdb.DuckDBPyConnection, rows: pa.Table, law: Law) -> None:
    """Put a shard's rows into the input tables."""
    side: dict[str, list[pa.Table]] = {}
    mask = rows.column("name").is_valid()
    for part in rows.filter(mask).select(["name", "rows"]).to_pylist():
        side.setdefault(part["name"], []).append(_rows(part["rows"]))
    given = {"contacts": rows.filter(pa.compute.invert(mask))} | {name: pa.concat_tables(parts) for name, parts in side.items()}
    given |= {name: parquet.read_table(pa.BufferReader(law.common[name])) for name in COMMON}
    for name, table in given.items():
        into = input_table(con, name)
        con.register("given_rows", table)
        columns = _columns(con, name, "g")
        con.execute(f"INSERT INTO {into} BY NAME SELECT {columns} FROM given_rows g")
        con.unregister("given_rows")
    con.register("given_rows", parquet.read_table(pa.BufferReader(law.common["provided"])))
    con.execute("INSERT INTO provided SELECT * FROM given_rows")
    con.unregister("given_rows")


def _plain(con: duckdb.DuckDBPyConnection, name: str) -> pa.Table:
    """A canonical table with its closed words as texts, which every reader of Arrow knows, in an order that does not depend on chance."""
    kinds = dict(con.execute("SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'main' AND table_name = ?", [name]).fetchall())
    told = ", ".join(f"{column}::VARCHAR AS {column}" if kinds[column].startswith("ENUM") else column for column in store.stored_columns(name))
    return con.sql(f"SELECT {told} FROM {name} ORDER BY ALL").to_arrow_table()


def shard_rows(folder: Path, shard: int) -> pa.Table:
    """The rows of one shard, as a cluster groups them."""
    contacts = parquet.read_table(folder / "contacts", filters=[("shard", "=", shard)])
    side = parquet.read_table(folder / "side", filters=[("shard", "=", shard)])
    return pa.concat_tables([contacts, side], promote_options="default")


def judge_here(folder: Path, law: Law) -> Iterator[pa.Table]:
    """Judge the shards one after another in this process, texts in processes beside it: no more than one is in memory."""
    where = law.folder or rules.rules_folder()
    with TextReader(rules.lexicon_folder(where), law.head.contacts > MANY) as reader:
        for shard in range(law.head.shards):
            rows = shard_rows(folder, shard)
            if rows.num_rows:
                yield judge_shard(rows, law, reader)


def assemble(
    folder: Path, parts: Iterable[pa.Table], to: Path, law: Law, every: Sequence[Prepared], packs: Sequence[Any], command: str,
    run_id: str | None = None, memory: str | None = None, started: datetime | None = None,
) -> audit.RunResult:  # fmt: skip
    """Put the parts of all shards together and publish the run.

    Rules that go through all circles are judged here, over the whole; everything else is only put in place.

    Args:
        folder: the folder of shards.
        parts: tables of `OUT`, in any order; each is dropped before the next is taken.
        to: folder of runs.
        law: what the shards were judged by.
        every: all rules, those that go through circles too.
        packs: as loaded.
        command: what was run, as the run says it.
        run_id: name of the run; by default the time of its start.
        memory: DuckDB's memory limit.
        started: when the run began.

    Raises:
        UsageError: a shard is missing or there twice.
    """
    began = started or datetime.now(UTC)
    name = run_id or began.strftime("%Y%m%dT%H%M%SZ")
    target = audit.target_of(to, name)
    head, clock = law.head, audit.Stopwatch()
    with store.new_run(target, memory) as file:
        con = file.con
        con.execute(
            "INSERT INTO runs VALUES (?, ?, ?, ?, NULL, ?, ?, ?, NULL, NULL, ?)",
            [name, audit.program(), command, began.replace(tzinfo=None), head.zone, head.jurisdiction, head.mapping, law.words],
        )
        for table in _READ:
            con.execute(f"INSERT INTO {table} SELECT * FROM read_parquet(?)", [str(folder / "common" / f"{table}.parquet")])
        for table in COMMON:
            con.execute(f"INSERT INTO {input_table(con, table)} BY NAME SELECT * FROM read_parquet(?)", [str(folder / "common" / f"{table}.parquet")])
        store.fill_agents(con)
        store.fill_calendars(con, load_calendars(law.folder or rules.rules_folder()))
        make_hits(con)
        con.execute("CREATE TEMP TABLE outcomes AS SELECT * FROM rule_results LIMIT 0")
        contacts = _put(con, parts)
        if contacts != head.contacts:
            raise UsageError("shards.not_whole", found=contacts, wanted=head.contacts)
        clock.lap("shards")
        store.lock(con)
        findings.record_rules(con, every)
        con.execute("INSERT INTO rule_results SELECT rule, outcome, missing, sum(contacts)::BIGINT, any_value(reason) FROM outcomes GROUP BY rule, outcome, missing")
        _settle_failed(con)
        seconds = judge(con, [p for p in every if p.across])
        clock.lap("judge_across")
        findings.build(con)
        clock.lap("findings")
        con.execute(
            "UPDATE runs SET finished_utc = ?, data_digest = ?, rules_digest = ?",
            [datetime.now(UTC).replace(tzinfo=None), audit.digest(head.digests), audit.digest(sorted(p.digest for p in packs))],
        )
        result = audit.result_of(con, name, target, tuple(audit.batches_of(con)), clock.laps, seconds)
    (to / "current").write_text(name + "\n", encoding="utf-8")
    return result


_INTO: Mapping[str, str] = {**{name: name for name in _CANONICAL}, "hits": "hits", "rule_results": "outcomes"}


def _put(con: duckdb.DuckDBPyConnection, parts: Iterable[pa.Table]) -> int:
    """Insert every part; the contacts there are then. A shard that comes twice is a mistake of whoever brought it."""
    seen: set[tuple[int, str]] = set()
    for table in parts:
        for part in table.to_pylist():
            key = (part["shard"], part["name"])
            if key in seen:
                raise UsageError("shards.twice", shard=part["shard"])
            seen.add(key)
            con.register("given_part", _rows(part["rows"]))
            con.execute(f"INSERT INTO {_INTO[part['name']]} SELECT * FROM given_part")
            con.unregister("given_part")
    return int(con.execute("SELECT count(*) FROM contacts").fetchall()[0][0])


def _settle_failed(con: duckdb.DuckDBPyConnection) -> None:
    """A rule that failed in one shard is not evaluated at all, as on one machine: half a count would look like a whole one."""
    failed = [row[0] for row in con.execute("SELECT DISTINCT rule FROM rule_results WHERE outcome = ?", [Outcome.NOT_EVALUATED.value]).fetchall()]
    for rule in failed:
        con.execute("DELETE FROM hits WHERE rule = ?", [rule])
        told = con.execute("SELECT sum(contacts) FILTER (WHERE outcome NOT IN ('not_applicable', 'not_in_force')), any_value(reason) FILTER (WHERE reason IS NOT NULL) FROM rule_results WHERE rule = ?", [rule]).fetchall()[0]
        con.execute("DELETE FROM rule_results WHERE rule = ? AND outcome NOT IN ('not_applicable', 'not_in_force')", [rule])
        con.execute("INSERT INTO rule_results VALUES (?, ?, NULL, ?, ?)", [rule, Outcome.NOT_EVALUATED.value, *told])


def write_findings(con: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write the findings of a run with their ledgers as Parquet, typed: a row for each contact in evidence."""
    found = con.sql("SELECT f.*, e.contact_id, e.role, e.ordinal, e.measured AS measured_here FROM findings f JOIN finding_evidence e USING (finding_id) ORDER BY f.finding_id, e.ordinal")
    making = path.with_name(f".{path.name}.part")
    parquet.write_table(found.to_arrow_table(), making, compression="zstd")
    making.replace(path)
