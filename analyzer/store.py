"""The run file: made under a temporary name, filled, closed, renamed; read-only ever after.

`derive` turns the loaded input tables into the canonical ones: instants, the recipient's wall clock, whom a number
belongs to, days past due, account class and stage on each contact's own date.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from analyzer import leftovers, zones
from analyzer.calendars import WorkDay
from analyzer.errors import UsageError
from analyzer.intake import Settings, input_table
from analyzer.intake.columns import EMPTY_WORDS
from analyzer.model import BUSINESS, SPOKEN, UNNAMED
from analyzer.rules import rules_folder
from analyzer.sql import literal

# The one legal time of a jurisdiction that has one; a debtor there needs no zone of his own.
SINGLE_ZONE = {
    "CN": "Asia/Shanghai", "HK": "Asia/Hong_Kong", "TW": "Asia/Taipei", "SG": "Asia/Singapore", "JP": "Asia/Tokyo",
    "KR": "Asia/Seoul", "IN": "Asia/Kolkata", "PH": "Asia/Manila", "VN": "Asia/Ho_Chi_Minh", "UK": "Europe/London",
}  # fmt: skip
# Account classes by days past due (handbook in the seeds: M1 1-30, M2 31-60, beyond that M3 and M3+; M3 ends at 90 by
# the trade's thirty-day buckets), and the three phases: the last two days before the due date are tracking.
CLASSES = ((0, "C"), (30, "M1"), (60, "M2"), (90, "M3"))
LAST_CLASS = "M3+"
TRACKING_DAYS = 2
OBLIGED = ("self", "guarantor", "co_borrower")
NOTHING_SAID = (*EMPTY_WORDS, "暂无", "同上", "略", "无内容", "无备注", "nil", "same as above", "ditto", "as above")
"""Notes that hold a word and say nothing."""
HIDDEN = "龥"
"""A character that no text and no lexicon has: each of a name's is written so for the reader of texts."""


@dataclass(frozen=True)
class RunFile:
    """A run file being made: the connection, where it will be, and a private folder that goes with it."""

    con: duckdb.DuckDBPyConnection
    target: Path
    scratch: Path


A_ROW = 400
"""What a contact may cost in octets while it is derived: what the joins hold of its case, person and number is about a quarter of it (measured)."""


@dataclass(frozen=True)
class Part:
    """The cases whose number is `number` of `count`, by a hash of their ids: contacts of the others have nothing to do with theirs while they are derived."""

    number: int = 0
    count: int = 1

    def number_of(self, alias: str) -> str:
        """SQL: the number of a case's part."""
        return f"hash({alias}.case_id) % {self.count}"

    def of(self, table: str) -> str:
        """SQL: the rows of a table with a case_id that belong to the part."""
        return table if self.count == 1 else f"(SELECT * FROM {table} r WHERE {self.number_of('r')} = {self.number})"

    def contacts(self, table: str) -> str:
        """SQL: the same of contacts that are in the order of their parts (see `split`)."""
        return table if self.count == 1 else f"(SELECT * EXCLUDE (part) FROM {table} WHERE part = {self.number})"


WHOLE = Part()


def settings_of(con: duckdb.DuckDBPyConnection, scratch: Path, memory: str | None = None) -> None:
    """Fix what must not depend on the machine: UTC, no network, no extension, spill files in our own folder."""
    con.execute("SET autoinstall_known_extensions = false")
    con.execute("SET autoload_known_extensions = false")
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET temp_directory = ?", [str(scratch)])
    # Symbol tables for strings more than double the time of writing and save less than two thirds of the space.
    con.execute("SET disabled_compression_methods = 'fsst,dict_fsst'")
    if memory:
        try:
            con.execute("SET memory_limit = ?", [memory])
        except duckdb.Error as error:
            raise UsageError("usage.memory", memory=memory) from error


def memory_limit(con: duckdb.DuckDBPyConnection) -> int:
    """How many octets the database may use."""
    figure, unit = con.execute("SELECT current_setting('memory_limit')").fetchall()[0][0].split()
    return int(float(figure) * 1024 ** ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB").index(unit))


# The file of what does not fit into memory is called as the database in memory would be, so that its tables have one name.
_MAKING, _FILE, _BESIDE = ".making-", "run.duckdb", "memory.duckdb"


@contextmanager
def new_run(target: Path, memory: str | None = None, octets: int = 0) -> Iterator[RunFile]:
    """Make a run file. Published by rename when the block ends well; on any error nothing is left behind.

    Inside, the tables of schema.sql are those of the connection's default database; temporary tables are in memory. For `octets` see `workspace`.
    """
    with workspace(target.parent, memory, octets) as (con, scratch):
        yield RunFile(con, target, scratch)
        con.execute("USE memory")
        con.execute("CHECKPOINT run")
        con.execute("DETACH run")
        (scratch / _FILE).replace(target)


@contextmanager
def workspace(folder: Path, memory: str | None = None, octets: int = 0) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A connection with the tables of a run in a file that nobody else sees, and the private folder it is in; both go when the block ends.

    `octets`: how large the files to be loaded are. What is loaded from them is kept in memory, or in a file beside the run where it would take
    more than a third of what may be used: reading a file again costs less than moving pages out and in.

    Raises:
        UsageError: the folder cannot be made, or the memory is too little.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        leftovers.sweep(folder, _MAKING)
        scratch = Path(tempfile.mkdtemp(prefix=f"{_MAKING}{leftovers.owner()}-", dir=folder))
    except OSError as error:
        raise UsageError("usage.to", path=folder.name, why=error.strerror or "") from error
    try:
        con = duckdb.connect(":memory:")
        try:
            settings_of(con, scratch, memory)
            if octets * 3 > memory_limit(con):
                con.close()
                con = duckdb.connect(str(scratch / _BESIDE))
                settings_of(con, scratch, memory)
                # Nothing in it outlives the connection.
                con.execute("SET checkpoint_threshold = '1TB'")
            con.execute(f"ATTACH {literal(str(scratch / _FILE))} AS run")
            con.execute("USE run")
            create_tables(con)
            comment_on_tables(con)
            yield con, scratch
        except duckdb.OutOfMemoryException as error:
            raise UsageError("usage.memory_short", memory=memory or "-") from error
        finally:
            con.close()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def lock(con: duckdb.DuckDBPyConnection) -> None:
    """From here on no SQL reaches a file or the network, and no setting can be changed back."""
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")


@contextmanager
def open_run(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A published run, read-only."""
    con = connect_run(path)
    try:
        yield con
    finally:
        con.close()


# Nothing read from a run depends on the session's zone: all its times are without one.
_LOCKED = {
    "autoinstall_known_extensions": "false", "autoload_known_extensions": "false",
    "enable_external_access": "false", "lock_configuration": "true",
}  # fmt: skip


def connect_run(path: Path, scratch: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A connection to a published run, read-only and locked; the caller closes it. Several in one process are fine.

    `scratch`: with it, what the database keeps in memory is bounded by half the size of the run (and never below `A_LITTLE`); what is more goes to this folder.
    """
    if scratch is not None:
        bound = {"memory_limit": f"{max(A_LITTLE, path.stat().st_size // 2)}B", "temp_directory": str(scratch)}
        # Where this process reads the run already, it does so with the settings of the first.
        with suppress(duckdb.ConnectionException):
            return duckdb.connect(str(path), read_only=True, config={**_LOCKED, **bound})
    return duckdb.connect(str(path), read_only=True, config=dict(_LOCKED))


A_LITTLE = 256 << 20
"""Octets: what reading a run takes at most, however small it is."""


@cache
def schema() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """((table, ((column, comment), ...)), ...) as schema.sql states them."""
    text = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    found = []
    for table, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\);", text, re.DOTALL):
        columns = re.findall(r"^    (\w+) .*?-- (.+)$", body, re.MULTILINE)
        found.append((table, tuple(columns)))
    return tuple(found)


@cache
def closed_lists() -> dict[str, tuple[str, ...]]:
    """The words of each ENUM type of schema.sql, in their order."""
    text = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    return {name: tuple(re.findall(r"'([^']+)'", words)) for name, words in re.findall(r"CREATE TYPE (\w+) AS ENUM \((.*?)\);", text, re.DOTALL)}


@cache
def stored_columns(table: str) -> tuple[str, ...]:
    """The columns of a table of schema.sql that are written, and not worked out from others."""
    text = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    worked_out = set(re.findall(r"^    (\w+) VARCHAR AS \(", text, re.MULTILINE))
    return tuple(column for column, _ in dict(schema())[table] if column not in worked_out)


def create_tables(con: duckdb.DuckDBPyConnection, temporary: bool = False) -> None:
    """The tables of schema.sql; temporary ones for the rules' own cases."""
    text = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    con.execute(text.replace("CREATE TABLE", "CREATE TEMP TABLE") if temporary else text)


def comment_on_tables(con: duckdb.DuckDBPyConnection) -> None:
    """The comments of schema.sql on the columns of its tables, for whoever opens a run in a tool of his own."""
    comments = (
        f"COMMENT ON COLUMN {table}.{column} IS {literal(comment)}" for table, columns in schema() for column, comment in columns
    )
    con.execute(";".join(comments))


def class_of(dpd: int | None) -> str | None:
    """The account class of so many days past due; `CLASSES`."""
    return None if dpd is None else next((name for limit, name in CLASSES if dpd <= limit), LAST_CLASS)


def stage_of(dpd: int | None) -> str | None:
    """The stage of so many days past due: collection, tracking in the last `TRACKING_DAYS` before the due date, else reminder."""
    return None if dpd is None else "collection" if dpd > 0 else "tracking" if dpd >= -TRACKING_DAYS else "reminder"


def fill_calendars(con: duckdb.DuckDBPyConnection, days: Sequence[WorkDay]) -> None:
    """Put the days of the calendars into `calendar_days`; before `derive_contacts`."""
    rows = [(d.jurisdiction, d.on_date, d.working, d.nth, d.name.zh if d.name else None, d.name.en if d.name else None) for d in days]
    append(con, "calendar_days", rows)


def append(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Sequence[object]]) -> None:
    """Put rows into a table, their values in the order of its columns, in one statement: row by row each takes as long as a small query."""
    if not rows:
        return
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    con.register("rows_given", pa.table(columns, names=[f"c{i}" for i in range(len(columns))]))
    con.execute(f"INSERT INTO {table} SELECT * FROM rows_given")
    con.unregister("rows_given")


def derive(con: duckdb.DuckDBPyConnection, settings: Settings, zone_of_batch: dict[int, str]) -> None:
    """Fill the canonical tables from in_<table>: `derive_cases`, then `derive_contacts`."""
    derive_cases(con, settings, zone_of_batch)
    derive_contacts(con, settings, zone_of_batch)


def derive_cases(con: duckdb.DuckDBPyConnection, settings: Settings, zone_of_batch: dict[int, str]) -> None:
    """Fill every canonical table but `contacts`; after this the texts can be read (see `spoken_to`).

    Args:
        con: the connection `load` worked on.
        settings: defaults.
        zone_of_batch: zone in which a batch's times without one are read.
    """
    # Until the contacts are there, what stands right of a join is what is held: how many contacts there are is guessed too low after some joins, and left to
    # itself the next would hold them, texts and all, and not what goes with them.
    con.execute("SET disabled_optimizers = 'build_side_probe_side'")
    clock = _Clock(con, zone_of_batch, settings.zone)
    _cases(con, settings)
    _persons_and_numbers(con)
    _money(con, clock)
    _events(con, clock)
    fill_agents(con)
    _arrears(con)
    _owners(con)
    _relations(con)
    con.execute(f"CREATE OR REPLACE TABLE memory.main.debtors AS {debtor_names()}")


def derive_contacts(
    con: duckdb.DuckDBPyConnection, settings: Settings, zone_of_batch: dict[int, str], bases: Mapping[int, int] | None = None, parts: Sequence[Part] = (WHOLE,),
) -> None:  # fmt: skip
    """Fill `contacts`, after `derive_cases`; the arguments are the same.

    `bases`: what is added to the lines of a batch to number its contacts, where the input tables hold a part of the batches only. `parts`: see `split`.
    """
    _contacts(con, _Clock(con, zone_of_batch, settings.zone), bases, parts)


def split(con: duckdb.DuckDBPyConnection) -> tuple[Part, ...]:
    """The parts in which the contacts of the input tables are best derived and read: one, or as many as keep the rows that go with those of a part within
    the memory; they are then put in the order of their parts. After `derive_cases`."""
    contacts = input_table(con, "contacts")
    rows = con.execute(f"SELECT count(*) FROM {contacts}").fetchall()[0][0]
    count = -(-rows * A_ROW // memory_limit(con))
    if count <= 1:
        return (WHOLE,)
    parts = tuple(Part(number, count) for number in range(count))
    con.execute(f"CREATE TABLE {contacts}_parted AS SELECT t.*, {parts[0].number_of('t')}::USMALLINT AS part FROM {contacts} t ORDER BY part")
    con.execute(f"DROP TABLE {contacts}")
    con.execute(f"ALTER TABLE {contacts}_parted RENAME TO {contacts.rpartition('.')[2]}")
    return parts


def spoken_to(con: duckdb.DuckDBPyConnection, bases: Mapping[int, int] | None = None, part: Part = WHOLE) -> str:
    """SELECT of seq, text, owes, knows, on_business for each contact with a text of ours, from the input tables.

    `owes`: whether the person contacted is bound by the debt (NULL: not known who it is; whoever answers a wrong number is not). `knows`: whether a person
    who is not knew of the loan on the date as written. `on_business`: whether its channel is for collecting alone. A customer's own messages (inbound, neither call nor visit) are left out. In `text`
    the names of the case's debtor are hidden (`without_names`): no word is found in a name, and what is written from a template is the same text.
    """
    contacts = input_table(con, "contacts")
    owes = f"{_RELATION} IN {literal(OBLIGED)}"
    return (
        f"SELECT t.row_no + {_row_base(con, contacts, bases)} AS seq, {without_names('t.text', 'd.names')} AS text,"
        f" CASE WHEN t.outcome = 'wrong_number' THEN false WHEN {owes} THEN true WHEN {_BOUND} THEN true WHEN {_RELATION} IS NOT NULL THEN false END AS owes,"
        f" CASE WHEN t.outcome = 'wrong_number' OR {owes} OR {_BOUND} THEN NULL WHEN t.knows IS NOT NULL THEN t.knows WHEN p.knows_since IS NOT NULL THEN p.knows_since <= t.started_at::DATE END AS knows, {on_business('t')} AS on_business"
        f" FROM {part.contacts(contacts)} t LEFT JOIN {part.of('memory.main.owners')} o ON {_OWNED}"
        f" LEFT JOIN {part.of('memory.main.relations')} n ON n.case_id = t.case_id AND n.person_id = t.person_id"
        f" LEFT JOIN {part.of('persons')} p ON p.person_id = coalesce(t.person_id, o.person_id) AND p.case_id = t.case_id"
        f" LEFT JOIN {part.of('memory.main.debtors')} d ON d.case_id = t.case_id"
        f" WHERE t.text IS NOT NULL AND {written_to_us('t')} IS NOT TRUE"
    )


# Whose number was called, while it was his.
_OWNED = "t.person_id IS NULL AND o.case_id = t.case_id AND o.number = t.number AND (o.until IS NULL OR t.started_at::DATE <= o.until)"
# What the person was to the debtor, as the row, the persons or his other contacts say, and whether he is bound by the debt. Where somebody else
# answered the debtor's phone, neither is known.
_RELATION = "CASE WHEN t.outcome = 'other_answered' THEN nullif(coalesce(t.relation, p.relation, n.relation), 'self') ELSE coalesce(t.relation, p.relation, n.relation) END"
_BOUND = f"CASE WHEN t.outcome IS DISTINCT FROM 'other_answered' OR {_RELATION} IS NOT NULL THEN p.obliged END"


def written_to_us(alias: str) -> str:
    """SQL: whether a contact is a message of the other side's own, in which the collector says nothing (NULL: not known)."""
    return f"({alias}.direction = 'inbound' AND {alias}.channel NOT IN {literal(SPOKEN)})"


def silent(text: str) -> str:
    """SQL: whether a note says nothing: there is none, or no letter and no sign beyond figures and punctuation stands in it, or only a word for nothing."""
    return f"coalesce(NOT regexp_matches({text}, '[\\p{{L}}\\p{{So}}]') OR lower(trim({text})) IN {literal(NOTHING_SAID)}, true)"


def on_business(alias: str) -> str:
    """SQL: whether the text of a contact is of a channel that is for collecting alone (`BUSINESS`)."""
    return f"coalesce({alias}.channel IN {literal(BUSINESS)}, false)"


def debtor_names(database: str = "") -> str:
    """SELECT of case_id, names: what the debtor of a case is called (at most two names), where that is a Chinese name and nothing else."""
    return (
        f"SELECT case_id, list_sort(list(DISTINCT name))[:2] AS names FROM (SELECT case_id, debtor_name AS name FROM {database}cases"
        f" UNION ALL SELECT case_id, name FROM {database}persons WHERE relation = 'self') WHERE regexp_full_match(name, {literal(_name())}) GROUP BY case_id"
    )


@cache
def _name() -> str:
    """What a Chinese name looks like: a surname of rules/surnames.txt and one or two characters more."""
    lines = (rules_folder() / "surnames.txt").read_text(encoding="utf-8").splitlines()
    return f"[{''.join(line.strip() for line in lines if not line.startswith('#'))}][\u4e00-{HIDDEN}]{{1,2}}"


def without_names(text: str, names: str) -> str:
    """SQL: a text with each name written as so many characters that stand for nothing."""
    for place in (1, 2):
        name = f"coalesce({names}[{place}], '')"
        text = f"replace({text}, {name}, repeat({literal(HIDDEN)}, length({name})))"
    return text


class _Clock:
    """Instants from wall clocks: each batch has a zone, a cell may state its own offset."""

    def __init__(self, con: duckdb.DuckDBPyConnection, zone_of_batch: dict[int, str], default: str) -> None:
        self._con = con
        self._batches: dict[str, list[int]] = {}
        for batch, zone in zone_of_batch.items():
            self._batches.setdefault(zone, []).append(batch)
        self._default = default

    def range(self, table: str, column: str) -> tuple[datetime, datetime]:
        row = self._con.execute(f"SELECT min({column}), max({column}) FROM {table}").fetchall()[0]
        return row[0] or datetime(2000, 1, 1), row[1] or datetime(2000, 1, 2)

    def utc(self, table: str, column: str, alias: str = "t") -> str:
        """SQL: the instant of a time column of in_<table>."""
        first, last = self.range(table, column)
        local = f"{alias}.{column}"
        zone_cases = [
            (f"WHEN {alias}.batch_id IN {literal(tuple(batches))} THEN ", zones.local_to_utc(local, zone, first, last))
            for zone, batches in self._batches.items()
        ]
        plain = zones.local_to_utc(local, self._default, first, last)
        if len({sql for _, sql in zone_cases} | {plain}) > 1 or len(zone_cases) > 1:
            plain = "CASE " + " ".join(when + sql for when, sql in zone_cases) + f" ELSE {plain} END"
        stated = self._con.execute(f"SELECT count({column}_off) FROM {table}").fetchall()[0]
        if not stated or not stated[0]:
            return f"({plain})"
        return f"(CASE WHEN {local}_off IS NOT NULL THEN {local} - to_minutes({local}_off::BIGINT) ELSE {plain} END)"


def _cases(con: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Cases as given, and one for each case that only a contact, a person or an event names."""
    given, contacts = input_table(con, "cases"), input_table(con, "contacts")
    con.execute(
        f"INSERT INTO cases SELECT case_id, coalesce(debtor_id, case_id), debtor_name, product, lender, lender_kind,"
        f" coalesce(upper(jurisdiction), {literal(settings.jurisdiction)}), CASE WHEN jurisdiction IS NULL THEN 'setting' ELSE 'data' END,"
        f" region, zone, principal, balance, opened_on, due_on, closed_on, guaranteed, dpd, dpd_on, batch_id, row_no FROM {given}"
    )
    con.execute(
        f"INSERT INTO cases (case_id, debtor_id, jurisdiction, jurisdiction_from)"
        f" SELECT case_id, coalesce(min(debtor_id), case_id), {literal(settings.jurisdiction)}, 'setting' FROM {contacts} t"
        f" WHERE NOT EXISTS (SELECT 1 FROM cases c WHERE c.case_id = t.case_id) GROUP BY case_id"
    )


def _persons_and_numbers(con: duckdb.DuckDBPyConnection) -> None:
    persons, numbers = input_table(con, "persons"), input_table(con, "numbers")
    con.execute(
        f"INSERT INTO persons SELECT person_id, case_id, name, relation,"
        f" CASE WHEN relation IN {literal(OBLIGED)} THEN true ELSE obliged END, knows_since, zone, batch_id, row_no FROM {persons}"
    )
    con.execute(
        f"INSERT INTO numbers SELECT number, case_id, person_id, kind, source, zone, valid_from, valid_until, batch_id, row_no FROM {numbers}"
    )


def _money(con: duckdb.DuckDBPyConnection, clock: _Clock) -> None:
    instalments, payments, promises = (input_table(con, n) for n in ("instalments", "payments", "promises"))
    con.execute(f"INSERT INTO instalments SELECT case_id, instalment_no, due_on, amount, batch_id, row_no FROM {instalments}")
    con.execute(
        f"INSERT INTO payments SELECT payment_id, case_id, {clock.utc(payments, 'paid_at')}, paid_at::DATE, amount, method, batch_id, row_no FROM {payments} t"
    )
    con.execute(
        f"INSERT INTO promises SELECT promise_id, case_id, {clock.utc(promises, 'made_at')}, due_on, amount, method, batch_id, row_no FROM {promises} t"
    )


def _events(con: duckdb.DuckDBPyConnection, clock: _Clock) -> None:
    """Events by the debtor's clock, as contacts are: the zone of the file where his is not known. One with a date only may have come
    about, or ended, at any moment of that date."""
    events, contacts = input_table(con, "case_events"), input_table(con, "contacts")
    single = " ".join(f"WHEN {literal(code)} THEN {literal(zone)}" for code, zone in SINGLE_ZONE.items())
    zone = f"coalesce(string_split(c.zones, '|')[1], CASE split_part(c.jurisdiction, '-', 1) {single} END)"
    known = [row[0] for row in con.execute(f"SELECT DISTINCT {zone} FROM cases c JOIN {events} e USING (case_id)").fetchall()]
    columns = []
    for name in ("occurred_at", "ended_at"):
        first, last = clock.range(events, name)
        instant = clock.utc(events, name)
        start, end = (_by_zone(zones.local_to_utc, day, zone, known, first, last) for day in (f"t.{name}", f"(t.{name} + INTERVAL 1 DAY)"))
        columns.append((
            f"CASE WHEN t.{name}_day THEN coalesce({start}, {instant}) ELSE {instant} END",
            f"CASE WHEN t.{name}_day THEN coalesce({end}, {instant} + INTERVAL 1 DAY) - INTERVAL 1 MICROSECOND ELSE {instant} END",
            f"CASE WHEN t.{name}_day THEN t.{name}::DATE ELSE coalesce({_by_zone(zones.utc_to_local, instant, zone, known, first, last)}, t.{name})::DATE END",
        ))  # fmt: skip
    (occurred, occurred_by, occurred_on), (ended, ended_by, ended_on) = columns
    con.execute(
        "CREATE OR REPLACE TEMP TABLE named AS SELECT case_id, person_id, CASE WHEN count(DISTINCT relation) = 1 THEN any_value(relation) END AS relation FROM ("
        f" SELECT case_id, person_id, relation::VARCHAR AS relation FROM persons UNION ALL SELECT case_id, person_id, relation FROM {contacts}"
        f") WHERE relation IS NOT NULL AND (case_id, person_id) IN (SELECT (case_id, person_id) FROM {events} WHERE person_id IS NOT NULL) GROUP BY ALL"
    )
    con.execute(
        f"INSERT INTO case_events SELECT t.event_id, t.case_id, t.person_id, n.relation, t.vendor, t.kind, {occurred}, {occurred_by}, {occurred_on}, {ended}, {ended_by}, {ended_on},"
        f" t.agreed_from, t.agreed_to, t.batch_id, t.row_no"
        f" FROM {events} t LEFT JOIN cases c ON c.case_id = t.case_id LEFT JOIN named n ON n.case_id = t.case_id AND n.person_id = t.person_id"
    )


def fill_agents(con: duckdb.DuckDBPyConnection) -> None:
    """Fill `agents` and `trainings` from the input tables; `derive_cases` does it among the rest."""
    agents, trainings = input_table(con, "agents"), input_table(con, "trainings")
    con.execute(f"INSERT INTO agents SELECT agent_id, name, team, vendor, from_on, until_on, batch_id, row_no FROM {agents}")
    con.execute(f"INSERT INTO trainings SELECT agent_id, course, passed_on, valid_until, batch_id, row_no FROM {trainings}")


def _arrears(con: duckdb.DuckDBPyConnection) -> None:
    """For each case, spans of days with the due date from which days past due count.

    Payments settle the oldest instalment first: instalment k is settled on the first day by which the sum of payments
    reaches the sum of instalments 1..k. While k is the oldest unsettled one, it is the reference: overdue from the day
    after its due date, ahead of that the next due date. Without instalments the case's due date counts, settled by the
    closing date; without that, a stated number of days past due is carried on from its date.
    """
    con.execute("""
        CREATE OR REPLACE TEMP TABLE settled AS
        WITH due AS (
            SELECT case_id, instalment_no, due_on, sum(amount) OVER (PARTITION BY case_id ORDER BY due_on, instalment_no) AS owed
            FROM instalments
        ), paid AS (
            SELECT case_id, paid_on, sum(amount) OVER (PARTITION BY case_id ORDER BY paid_on, payment_id) AS paid FROM payments
        )
        SELECT due.case_id, due.instalment_no, due.due_on, min(paid.paid_on) AS settled_on
        FROM due LEFT JOIN paid ON paid.case_id = due.case_id AND paid.paid >= due.owed
        GROUP BY ALL
    """)
    con.execute("""
        INSERT INTO arrears
        WITH spans AS (
            SELECT case_id, due_on, settled_on, lag(settled_on, 1, DATE '1900-01-01') OVER w AS from_on,
                   lag(due_on) OVER w IS NOT NULL AND lag(settled_on) OVER w IS NULL AS behind
            FROM settled WINDOW w AS (PARTITION BY case_id ORDER BY due_on, instalment_no)
        ), open AS (
            SELECT * FROM spans WHERE NOT behind AND (settled_on IS NULL OR settled_on > from_on)
        ), last AS (
            SELECT case_id, max(settled_on) AS from_on FROM settled GROUP BY case_id HAVING count(*) = count(settled_on)
        )
        SELECT case_id, from_on, NULL, due_on, false, 'schedule' FROM open
        UNION ALL
        SELECT case_id, greatest(from_on, due_on + 1), NULL, due_on, true, 'schedule' FROM open
        WHERE settled_on IS NULL OR settled_on > greatest(from_on, due_on + 1)
        UNION ALL
        SELECT case_id, from_on, NULL, NULL, false, 'schedule' FROM last
    """)
    con.execute("""
        INSERT INTO arrears
        WITH plain AS (
            SELECT * FROM cases c WHERE NOT EXISTS (SELECT 1 FROM instalments i WHERE i.case_id = c.case_id)
        ), dated AS (
            SELECT case_id, coalesce(due_on, dpd_on - dpd) AS due_on, closed_on,
                   CASE WHEN due_on IS NOT NULL THEN 'due_date' ELSE 'stated' END AS source
            FROM plain WHERE due_on IS NOT NULL OR (dpd IS NOT NULL AND dpd_on IS NOT NULL)
        )
        SELECT case_id, DATE '1900-01-01', NULL, due_on, false, source FROM dated
        UNION ALL
        SELECT case_id, due_on + 1, NULL, due_on, true, source FROM dated WHERE closed_on IS NULL OR closed_on > due_on + 1
        UNION ALL
        SELECT case_id, closed_on, NULL, NULL, false, source FROM dated WHERE closed_on IS NOT NULL
    """)
    # Two spans may begin on one day (an instalment already overdue when the one before it was settled): the overdue one holds.
    con.execute("""
        DELETE FROM arrears a WHERE NOT a.overdue AND EXISTS (
            SELECT 1 FROM arrears b WHERE b.case_id = a.case_id AND b.from_on = a.from_on AND b.overdue)
    """)
    con.execute("""
        UPDATE arrears SET until_on = n.until_on FROM (
            SELECT case_id, from_on, lead(from_on, 1, DATE '9999-12-31') OVER (PARTITION BY case_id ORDER BY from_on) AS until_on
            FROM arrears) n
        WHERE n.case_id = arrears.case_id AND n.from_on = arrears.from_on
    """)


def _contacts(con: duckdb.DuckDBPyConnection, clock: _Clock, bases: Mapping[int, int] | None, parts: Sequence[Part]) -> None:
    contacts = input_table(con, "contacts")
    _selves(con, contacts)
    _several_debts(con)
    first, last = clock.range(contacts, "started_at")
    started, ended, base = clock.utc(contacts, "started_at"), clock.utc(contacts, "ended_at"), _row_base(con, contacts, bases)
    agent_join, agent_columns = _agent_join(con)
    dpd_join = con.execute("SELECT count(*) FROM arrears").fetchall()[0]
    has_arrears = bool(dpd_join and dpd_join[0])
    stated = "l.dpd::INTEGER"
    # Where the schedule is known it decides; with everything settled nothing is past due, whatever a log still says.
    dpd = f"CASE WHEN a.case_id IS NOT NULL THEN coalesce((l.on_date - a.reference_on)::INTEGER, 0) ELSE {stated} END" if has_arrears else stated
    source = (
        f"CASE WHEN a.case_id IS NOT NULL THEN a.source WHEN {stated} IS NOT NULL THEN 'logged' END"
        if has_arrears
        else f"CASE WHEN {stated} IS NOT NULL THEN 'logged' END"
    )
    # A portfolio whose jurisdictions have no calendar need not be joined with any.
    days = con.execute("SELECT count(*) FROM calendar_days WHERE jurisdiction IN (SELECT split_part(jurisdiction, '-', 1) FROM cases)").fetchall()[0][0]
    day_join = "LEFT JOIN calendar_days k ON k.jurisdiction = split_part(l.jurisdiction, '-', 1) AND k.on_date = l.on_date" if days else ""
    working = "k.working" if days else "NULL::BOOLEAN"
    classes = " ".join(f"WHEN days <= {limit} THEN {literal(name)}" for limit, name in CLASSES)
    # The order of rows in the file means nothing; not keeping it lets both threads write.
    con.execute("SET preserve_insertion_order = false")
    for part in parts:
        mine = part.contacts(contacts)
        _zone_candidates(con, mine, part)
        told = f"SELECT zones FROM candidates UNION SELECT zone FROM {mine}"
        known_zones = [row[0] for row in con.execute(f"SELECT DISTINCT unnest(string_split(zones, '|')) FROM ({told})").fetchall()]
        local = _by_zone(zones.utc_to_local, "at_utc", "zone", known_zones, first, last)
        others = _by_zone(zones.utc_to_local, "at_utc", "z", known_zones, first, last)
        arrears_join = f"LEFT JOIN {part.of('arrears')} a ON a.case_id = l.case_id AND l.on_date >= a.from_on AND l.on_date < a.until_on" if has_arrears else ""
        con.execute(f"""
            INSERT INTO contacts
            WITH timed AS (
                SELECT t.*, CASE WHEN NOT coalesce(t.started_at_day, false) THEN {started} END AS at_utc, {ended} AS ended_utc,
                       coalesce(t.person_id, o.person_id) AS whom
                FROM {mine} t LEFT JOIN {part.of("memory.main.owners")} o ON {_OWNED}
            ), placed AS (
                SELECT t.*, c.debtor_id AS case_debtor, c.lender, c.lender_kind, c.jurisdiction, CASE WHEN b.case_id IS NULL THEN t.case_id ELSE t.debt_id END AS debt,
                       {_RELATION} AS rel, {_BOUND} AS obliged, p.knows_since,
                       coalesce(t.zone, z.zones) AS zones, z.number_kind, CASE WHEN t.relation = 'self' THEN coalesce(i.person_id, 'self:' || c.debtor_id) END AS himself
                FROM timed t JOIN {part.of("cases")} c ON c.case_id = t.case_id
                LEFT JOIN {part.of("persons")} p ON p.person_id = t.whom AND p.case_id = t.case_id
                LEFT JOIN {part.of("memory.main.relations")} n ON n.case_id = t.case_id AND n.person_id = t.person_id
                LEFT JOIN {part.of("memory.main.debts_named")} b ON b.case_id = t.case_id
                LEFT JOIN {part.of("memory.main.selves")} i ON i.case_id = t.case_id
                LEFT JOIN candidates z ON z.case_id = t.case_id AND z.person_id IS NOT DISTINCT FROM t.whom
                    AND z.number IS NOT DISTINCT FROM t.number
            ), clocked AS (
                SELECT * EXCLUDE (zone), string_split(zones, '|')[1] AS zone FROM placed
            ), l AS (
                SELECT *, {local} AS local_at, CASE WHEN started_at_day THEN started_at::DATE ELSE {local}::DATE END AS on_date,
                       CASE WHEN contains(zones, '|') THEN list_transform(string_split(zones, '|')[2:], lambda z: {others}) END AS other_local_at
                FROM clocked
            ), dated AS (
                SELECT l.*, {dpd} AS days, {source} AS dpd_source, {agent_columns}, {working} AS working_day
                FROM l {agent_join} {arrears_join} {day_join}
            )
            SELECT t.row_no + {base}, contact_id, case_id, coalesce(debtor_id, case_debtor), debt, CASE WHEN outcome IS DISTINCT FROM 'other_answered' OR rel IS NOT NULL THEN coalesce(whom, himself) END, number, number_kind,
                   agent_id, team_then, coalesce(vendor, vendor_then), coalesce(vendor, vendor_then, lender, {literal(UNNAMED)}), lender, lender_kind,
                   jurisdiction, channel, direction, at_utc, zone, local_at, other_local_at, on_date, isodow(on_date), working_day, ended_utc, duration_s, CASE WHEN outcome = 'other_answered' AND rel IS NOT NULL THEN 'conversation' ELSE outcome END,
                   call_type, rel,
                   CASE WHEN rel = 'self' THEN 'debtor' WHEN rel IN ('guarantor', 'co_borrower') OR obliged THEN 'obliged'
                        WHEN rel IS NOT NULL THEN 'third_party' END,
                   CASE WHEN outcome = 'wrong_number' THEN coalesce(knows, false) WHEN rel IN {literal(OBLIGED)} THEN true WHEN knows IS NOT NULL THEN knows
                        WHEN knows_since IS NOT NULL THEN knows_since <= on_date END,
                   text, {silent('text')}, recording_id, recording_kept_until, record_kept_until, template_id, staff_count, days, dpd_source,
                   CASE WHEN days IS NULL THEN NULL {classes} ELSE {literal(LAST_CLASS)} END,
                   CASE WHEN days IS NULL THEN NULL WHEN days > 0 THEN 'collection' WHEN days >= -{TRACKING_DAYS} THEN 'tracking' ELSE 'reminder' END,
                   batch_id, row_no
            FROM dated t
        """)
    con.execute("RESET disabled_optimizers")
    con.execute("SET preserve_insertion_order = true")


def _row_base(con: duckdb.DuckDBPyConnection, contacts: str, bases: Mapping[int, int] | None = None) -> str:
    """SQL: what to add to a row's line so that rows of different batches get different numbers."""
    if bases is not None:
        return f"CASE t.batch_id {' '.join(f'WHEN {batch} THEN {base}' for batch, base in sorted(bases.items()))} END" if bases else "0"
    last = con.execute(f"SELECT batch_id, max(row_no) FROM {contacts} GROUP BY 1 ORDER BY 1").fetchall()
    base, whens = 0, []
    for batch, rows in last:
        whens.append(f"WHEN {batch} THEN {base}")
        base += rows
    return f"CASE t.batch_id {' '.join(whens)} END" if len(whens) > 1 else "0"


def _owners(con: duckdb.DuckDBPyConnection) -> None:
    """Whose a number is, per case, where exactly one person of the case has it, and until when it was his."""
    con.execute(
        "CREATE OR REPLACE TABLE memory.main.owners AS SELECT case_id, number, any_value(person_id) AS person_id, CASE WHEN count(valid_until) = count(*) THEN max(valid_until) END AS until FROM numbers"
        " GROUP BY case_id, number HAVING count(DISTINCT person_id) = 1"
    )


def _relations(con: duckdb.DuckDBPyConnection) -> None:
    """What a person is to the debtor, where his contacts say one thing and the persons nothing: it holds for his contacts that say nothing."""
    contacts = input_table(con, "contacts")
    con.execute(
        "CREATE OR REPLACE TABLE memory.main.relations AS SELECT case_id, person_id, any_value(relation) AS relation"
        f" FROM {contacts} t WHERE person_id IS NOT NULL AND relation IS NOT NULL"
        f" AND EXISTS (SELECT 1 FROM {contacts} x WHERE x.case_id = t.case_id AND x.person_id = t.person_id AND x.relation IS NULL)"
        " GROUP BY case_id, person_id HAVING count(DISTINCT relation) = 1"
    )


def _several_debts(con: duckdb.DuckDBPyConnection) -> None:
    """The cases of which some contacts name a debt: the others of them speak of a debt that is not known."""
    con.execute(f"CREATE OR REPLACE TABLE memory.main.debts_named AS SELECT DISTINCT case_id FROM {input_table(con, 'contacts')} WHERE debt_id IS NOT NULL")


def _selves(con: duckdb.DuckDBPyConnection, contacts: str) -> None:
    """Who the debtor of a case is, where exactly one person is logged as he: he is the same person where his id was left out."""
    con.execute(
        "CREATE OR REPLACE TABLE memory.main.selves AS SELECT case_id, any_value(person_id) AS person_id FROM ("
        f" SELECT case_id, person_id FROM persons WHERE relation = 'self' UNION SELECT case_id, person_id FROM {contacts} WHERE relation = 'self' AND person_id IS NOT NULL"
        ") GROUP BY case_id HAVING count(*) = 1"
    )


def _zone_candidates(con: duckdb.DuckDBPyConnection, contacts: str, part: Part) -> None:
    """Candidate zones per (case, person, number) that occurs: what the person, all his numbers and the case point to, else the jurisdiction's.

    For a person other than the debtor the debtor's own zone says nothing unless nothing else is known.
    """
    single = " ".join(f"WHEN {literal(code)} THEN {literal(zone)}" for code, zone in SINGLE_ZONE.items())
    con.execute(f"""
        CREATE OR REPLACE TEMP TABLE candidates AS
        WITH pairs AS (
            SELECT DISTINCT t.case_id, coalesce(t.person_id, o.person_id) AS person_id, t.number
            FROM {contacts} t LEFT JOIN {part.of("memory.main.owners")} o ON {_OWNED}
        ), known AS (
            SELECT k.case_id, k.person_id, k.number, nullif(concat_ws('|', n.zones, m.zones), '') AS of_number, n.kind AS number_kind, p.zones AS of_person, c.zones AS of_case,
                   CASE split_part(c.jurisdiction, '-', 1) {single} END AS legal, coalesce(p.relation, 'self') = 'self' AS own
            FROM pairs k JOIN {part.of("cases")} c ON c.case_id = k.case_id LEFT JOIN {part.of("persons")} p ON p.person_id = k.person_id AND p.case_id = k.case_id
            LEFT JOIN (SELECT case_id, number, string_agg(DISTINCT zones, '|') AS zones, CASE WHEN count(DISTINCT kind) = 1 THEN any_value(kind) END AS kind
                        FROM {part.of("numbers")} GROUP BY ALL) n
                ON n.case_id = k.case_id AND n.number = k.number
            LEFT JOIN (SELECT case_id, person_id, string_agg(DISTINCT zones, '|') AS zones FROM {part.of("numbers")} WHERE zones IS NOT NULL AND person_id IS NOT NULL GROUP BY ALL) m
                ON m.case_id = k.case_id AND m.person_id = k.person_id
        ), together AS (
            SELECT case_id, person_id, number, number_kind, legal,
                   CASE WHEN own OR (of_number IS NULL AND of_person IS NULL) THEN concat_ws('|', of_case, of_person, of_number)
                        ELSE concat_ws('|', of_person, of_number) END AS found
            FROM known
        )
        SELECT case_id, person_id, number, number_kind,
               CASE WHEN found = '' THEN legal
                    ELSE array_to_string(list_filter(listed, lambda z, i: list_position(listed, z) = i), '|') END AS zones
        FROM (SELECT *, string_split(found, '|') AS listed FROM together)
    """)


def _by_zone(convert: Callable[[str, str, datetime, datetime], str], moment: str, zone: str, known: list[str], first: datetime, last: datetime) -> str:
    """SQL: a moment converted (`zones`) by the zone that a row names; NULL where it names none of the known ones."""
    names = sorted({z for z in known if z})
    if not names:
        return "NULL::TIMESTAMP"
    whens = " ".join(f"WHEN {literal(z)} THEN {convert(moment, z, first, last)}" for z in names)
    return f"(CASE {zone} {whens} END)"


def _agent_join(con: duckdb.DuckDBPyConnection) -> tuple[str, str]:
    """The agent's team and vendor on the contact's date: the latest row that had begun by then."""
    found = con.execute("SELECT count(*), count(*) - count(DISTINCT agent_id) FROM agents").fetchall()[0]
    if not found or not found[0]:
        return "", "NULL::VARCHAR AS team_then, NULL::VARCHAR AS vendor_then"
    if found[1] == 0:
        return "LEFT JOIN agents g ON g.agent_id = l.agent_id", "g.team AS team_then, g.vendor AS vendor_then"
    con.execute(
        "CREATE OR REPLACE TEMP TABLE postings AS SELECT agent_id, team, vendor, coalesce(from_on, DATE '1900-01-01') AS from_on FROM agents"
    )
    return (
        "ASOF LEFT JOIN postings g ON g.agent_id = l.agent_id AND coalesce(l.on_date, DATE '1900-01-01') >= g.from_on",
        "g.team AS team_then, g.vendor AS vendor_then",
    )
