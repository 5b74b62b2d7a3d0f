"""Rows of files to rows of the canonical input tables, and an account of every row that did not become one.

For each canonical table T that some file holds, `load` leaves a table `in_T` in memory, with batch_id, row_no and
T's columns, typed. A time column X is the wall clock as written, with X_off beside it: minutes east of UTC if the
cell states them. Rows read = loaded + rejected + duplicate, per file.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from analyzer.errors import InputError
from analyzer.intake import values
from analyzer.intake.columns import FOOTER, OFFSETS, PLACES, SECONDS, SUMS, TOTAL, Column, Table, bracketed, fold, place_of, table, word_list, word_of
from analyzer.intake.mapping import check_zone
from analyzer.intake.plan import Plan
from analyzer.sources import Staged, stage
from analyzer.sql import literal

_TYPES = {
    "text": "VARCHAR", "long_text": "VARCHAR", "id": "VARCHAR", "number": "VARCHAR", "word": "VARCHAR",
    "list": "VARCHAR", "integer": "BIGINT", "decimal": "DECIMAL(18, 2)", "time": "TIMESTAMP", "date": "DATE",
    "boolean": "BOOLEAN", "clock": "TIME",
}  # fmt: skip
RAW = "memory.main.raw"
"""The source being read, all its columns text (`stage`); its columns are raw.c0 and so on."""
# Where agencies and lenders are named.
_NAMED = (("contacts", "vendor"), ("agents", "vendor"), ("cases", "lender"))
_FIRST_YEAR, _LAST_YEAR = 1990, 2099
_MOST_WORDS = 2_000
# So many midnights and nothing else are dates.
_SURELY_MIDNIGHT = 3
_ZONE_WORD = re.compile(r"[0-9] *[A-Z]{3,4}\b(?! *[+-])")
_OF_THE_STATES = ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Anchorage", "Pacific/Honolulu")
# What happened to a case under a name that nobody knows did happen: it may be anything that a rule asks for.
_READ_LATER = ("case_events", "kind")
_HOUR_MATTERS = {("contacts", "started_at"), ("case_events", "occurred_at"), ("case_events", "ended_at")}


@dataclass(frozen=True)
class Batch:
    """One file (or sheet) as it was read. rows_read = loaded + rejected + duplicate."""

    batch_id: int
    file: str
    table: str
    encoding: str | None
    delimiter: str | None
    header_row: int
    zone: str
    date_order: str | None
    rows_read: int
    loaded: int
    rejected: int
    duplicate: int
    unmapped: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """What holds where the data say nothing: the zone of times without one, and the jurisdiction of cases without one."""

    zone: str = "Asia/Shanghai"
    jurisdiction: str = "CN"


def load(
    con: duckdb.DuckDBPyConnection,
    plans: Sequence[Plan],
    settings: Settings,
    scratch: Path,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> list[Batch]:
    """Read every plan's source; fill in_<table>, batches, rejects, duplicates, cell_problems and provided.

    Args:
        con: holds the run's tables (see schema.sql).
        plans: one per source, in reading order.
        settings: defaults.
        scratch: a private folder.
        progress: called with (file, number, of how many) before each source.

    Raises:
        InputError: a date column fits two orders, or mixes them.
    """
    plans = [replace(plan, zone_words=_zone_words(plan, plan.zone or settings.zone)) for plan in plans]
    for spec in dict.fromkeys(plan.table for plan in plans):
        con.execute(f"CREATE TABLE {_into(spec)} ({_input_columns(spec)}, bad VARCHAR, detail VARCHAR)")
    read = []
    for number, plan in enumerate(plans, start=1):
        progress(plan.source.name, number, len(plans))
        read.append(_read(con, plan, number, settings, scratch))
    for spec in dict.fromkeys(plan.table for plan in plans):
        _separate_repeats(con, spec)
    _spell_alike(con, {plan.table.name for plan in plans})
    return [_close(con, number, staged, plan, order, settings) for number, (plan, staged, order) in enumerate(read, start=1)]


def _zone_words(plan: Plan, zone: str) -> dict[str, int]:
    """Words for zones that the times of a source hold -> minutes east of UTC. A word that is said of several zones is read only where the
    log's own zone, or another of the United States beside it, goes by it: CST in a log by Asia/Shanghai."""
    times = [p for c in plan.table.columns if c.type == "time" for p in plan.positions.get(c.name, ())]
    if not any(_ZONE_WORD.search(row[p] or "") for row in plan.source.sample for p in times if p < len(row)):
        return {}
    found = dict(values.ZONE_WORDS)
    for name in {zone, *(_OF_THE_STATES if zone in _OF_THE_STATES else ())}:
        for month in (1, 7):
            moment = datetime(2026, month, 15, tzinfo=ZoneInfo(name))
            if (word := moment.tzname() or "").isalpha() and word not in ("UTC", "GMT"):
                found[word] = int((moment.utcoffset() or timedelta()).total_seconds() // 60)
    return found


def _spell_alike(con: duckdb.DuckDBPyConnection, tables: Container[str]) -> None:
    """Agencies and lenders whose names differ in no more than capitals, widths of letters and blanks are one: each is written as it is most often, and
    `cell_problems` says of how many cells. Else what is counted for one of them would be counted apart."""
    columns = [(spec, name) for spec, name in _NAMED if spec in tables]
    if not columns:
        return
    written = " UNION ALL ".join(f"SELECT {name} AS name FROM {_into(table(spec))}" for spec, name in columns)
    alike: dict[str, list[tuple[int, str]]] = {}
    for name, count in con.execute(f"SELECT name, count(*) FROM ({written}) WHERE name IS NOT NULL GROUP BY name").fetchall():
        alike.setdefault(" ".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append((-count, name))
    usual = {name: min(names)[1] for names in alike.values() for _, name in names if name != min(names)[1]}
    if not usual:
        return
    con.register("spelled_batch", pa.table({"name": list(usual), "usual": list(usual.values())}))
    for spec, name in columns:
        into = _into(table(spec))
        con.execute(f"INSERT INTO cell_problems SELECT batch_id, '{name}', 'spelled_alike', count(*), min(row_no), NULL FROM {into} t JOIN spelled_batch s ON s.name = t.{name} GROUP BY batch_id")
        con.execute(f"UPDATE {into} SET {name} = s.usual FROM spelled_batch s WHERE s.name = {into}.{name}")
    con.unregister("spelled_batch")


def _into(spec: Table) -> str:
    """The input table of a canonical table. Not a temporary one: other cursors read it while this one works on."""
    return f"memory.main.in_{spec.name}"


def _input_columns(spec: Table) -> str:
    parts = ["batch_id INTEGER", "row_no BIGINT"]
    for column in spec.columns:
        parts.append(f"{column.name} {_TYPES[column.type]}")
        if column.type == "time":
            parts.append(f"{column.name}_off SMALLINT")
            parts.append(f"{column.name}_day BOOLEAN")
    return ", ".join(parts)


def _read(
    con: duckdb.DuckDBPyConnection, plan: Plan, number: int, settings: Settings, scratch: Path
) -> tuple[Plan, Staged, str | None]:
    staged = _holding(con, plan, _filled_down(con, plan, stage(con, plan.source, RAW, scratch)))
    orders: set[str] = set()
    fields, bad = [], []
    for column in plan.table.columns:
        cell = _cell(plan, column)
        expression, extra, order = _typed(con, plan, column, cell)
        if order:
            orders.add(order)
        if column.name == _own_id(plan.table):
            expression = f"coalesce({expression}, 'x-' || {_row_digest(plan, staged)})"
        elif column.name == "person_id" and plan.told_by:
            expression = _told_by(plan)
        fields.append(f"{expression} AS {column.name}")
        if extra:
            fields.append(f"{extra} AS {column.name}_off")
            fields.append(f"{_day_only(con, plan, column, cell)} AS {column.name}_day")
        if (column.type in ("time", "date") or (plan.table.name, column.name) == _READ_LATER) and cell is not None:
            fields.append(f"{cell} AS cell_{column.name}")
        bad += _complaints(plan, column, cell)
    reason, detail = (_first_of(bad, part) for part in (1, 2))
    names = ", ".join(f"{c.name}, {c.name}_off, {c.name}_day" if c.type == "time" else c.name for c in plan.table.columns)
    con.execute(
        f"INSERT INTO {_into(plan.table)} SELECT batch_id, row_no, {names}, {reason}, {detail}"
        f" FROM (SELECT {number} AS batch_id, {staged.row_no} AS row_no, raw.c0 AS first_cell, {', '.join(fields)} FROM {_from(plan)})"
    )
    _keep_unreadable_rows(con, plan, number, staged)
    _count_cell_problems(con, plan, number, staged)
    con.executemany(
        "INSERT INTO provided VALUES (?, ?)", [[number, name] for name in [*plan.positions, *plan.constants, *(["person_id"] if plan.told_by else [])]]
    )
    con.execute(f"DROP TABLE {RAW}")
    return plan, staged, "/".join(sorted(orders - {"ymd"})) or None


def _filled_down(con: duckdb.DuckDBPyConnection, plan: Plan, staged: Staged) -> Staged:
    """The staged rows with what stands above in the empty cells of the columns that the mapping names."""
    filled = {p for name in plan.fill_down for p in plan.positions[name]}
    if not filled:
        return staged
    above = f"IGNORE NULLS) OVER (ORDER BY {staged.row_no})"
    cells = ", ".join(f"last_value({values.cell(f'c{i}')} {above} AS c{i}" if i in filled else f"c{i}" for i in range(len(plan.source.columns)))
    con.execute(f"CREATE OR REPLACE TABLE {RAW}_filled AS SELECT {staged.row_no} AS row_no, {cells} FROM {RAW}")
    con.execute(f"DROP TABLE {RAW}")
    con.execute(f"ALTER TABLE {RAW}_filled RENAME TO raw")
    return replace(staged, row_no="raw.row_no")


def _holding(con: duckdb.DuckDBPyConnection, plan: Plan, staged: Staged) -> Staged:
    """The staged rows that have something for this table: somebody without a number is no bad row of a list of numbers."""
    if plan.holds is None:
        return staged
    empty = f"{values.filled(f'c{plan.holds}')} IS NULL"
    without = con.execute(f"SELECT count(*) FROM {RAW} WHERE {empty}").fetchall()[0][0]
    con.execute(f"DELETE FROM {RAW} WHERE {empty}")
    return replace(staged, rows=staged.rows - int(without))


def _from(plan: Plan) -> str:
    joins = [
        f"LEFT JOIN words_{c.name} ON {_cell(plan, c)} = words_{c.name}.cell"
        for c in plan.table.columns
        if (c.type in ("word", "list") or c.name == "jurisdiction") and _cell(plan, c) is not None
    ]
    return " ".join([RAW, *joins])


def _cell(plan: Plan, column: Column) -> str | None:
    """The staged text of a canonical column as SQL, or None when the source does not have it."""
    if column.name in plan.constants:
        return literal(plan.constants[column.name])
    positions = plan.positions.get(column.name)
    if positions is None:
        return None
    if len(positions) == 1:
        return values.zoned(f"raw.c{positions[0]}", plan.zone_words if column.type == "time" else {})
    if column.type == "time" and len(positions) == 2:
        # A spreadsheet gives a date a midnight, and a time of day a day.
        day, clock = (f"raw.c{p}" for p in positions)
        day = f"regexp_replace({day}, '[T ]0?0:00(:00)?([.]0+)?$', '')"
        return values.zoned(f"nullif(concat_ws(' ', {day}, {_clock_of(clock)}), '')", plan.zone_words)
    return "concat_ws('|', " + ", ".join(f"raw.c{p}" for p in positions) + ")"


def _clock_of(cell: str) -> str:
    """SQL: a time of day in a cell of its own, where it is a part of a day too."""
    part = f"strftime(TIMESTAMP '2000-01-01' + to_seconds(round(try_cast({cell} AS DOUBLE) * 86400)::BIGINT), '%H:%M:%S')"
    return f"CASE WHEN try_cast({cell} AS DOUBLE) BETWEEN 0 AND 0.999999 THEN {part} ELSE regexp_replace({cell}, '^(1899|1900)-[0-9]{{2}}-[0-9]{{2}}[T ]', '') END"


def _typed(
    con: duckdb.DuckDBPyConnection, plan: Plan, column: Column, cell: str | None
) -> tuple[str, str | None, str | None]:
    """(expression, offset expression of a time, date order) for one column."""
    if cell is None:
        return f"NULL::{_TYPES[column.type]}", "NULL::SMALLINT" if column.type == "time" else None, None
    match column.type:
        case "long_text":
            return values.note(cell), None, None
        case "id" if column.name == "jurisdiction":
            _learn(con, column, _distinct(con, plan, column, cell), place_of)
            return f"coalesce(words_{column.name}.word, upper({values.filled(cell)}))", None, None
        case "id":
            return values.identifier(cell), None, None
        case "text":
            return values.filled(cell), None, None
        case "number":
            return _number(plan, cell), None, None
        case "integer" if column.name == "duration_s":
            return values.seconds(cell, SECONDS.get(plan.units.get(column.name, ""), 1)), None, None
        case "integer":
            return values.integer(cell), None, None
        case "decimal":
            return values.decimal(cell, SUMS.get(plan.units.get(column.name, ""), 1)), None, None
        case "boolean":
            return values.boolean(cell), None, None
        case "clock":
            return values.clock(_clock_of(cell)), None, None
        case "word" | "list":
            _learn_words(con, plan, column, cell)
            return f"words_{column.name}.word", None, None
        case "time" | "date":
            order, plain = _date_order(con, plan, column, cell)
            expression = values.time(cell, order, plain)
            if column.type == "date":
                return f"({expression})::DATE", None, order
            stated, noted = values.offset(cell, plain), OFFSETS.get(plan.units.get(column.name, ""))
            return expression, stated if noted is None else f"coalesce({stated}, {noted})::SMALLINT", order
    raise AssertionError(column.type)


def _number(plan: Plan, cell: str) -> str:
    """SQL: the number of the person: of an inbound call that of the caller, where the log has both."""
    if plan.caller is None:
        return values.number(cell)
    caller = f"raw.c{plan.caller}"
    return f"CASE WHEN words_direction.word = 'inbound' THEN coalesce({values.number(caller)}, {values.number(cell)}) ELSE {values.number(cell)} END"


def _day_only(con: duckdb.DuckDBPyConnection, plan: Plan, column: Column, cell: str | None) -> str:
    """SQL: whether a time is only a date. For a contact and for what changes a case that leaves its hour unknown; elsewhere the day's start will do."""
    if cell is None or (plan.table.name, column.name) not in _HOUR_MATTERS:
        return "false"
    return "true" if midnights(con, cell) else values.date_only(cell)


def midnights(con: duckdb.DuckDBPyConnection, cell: str) -> int:
    """How many cells of a column of times there are, where all of them are midnight: a column of dates that was exported as times."""
    asked = f"SELECT count(*) FILTER (WHERE midnight), count(*) FILTER (WHERE NOT midnight) FROM (SELECT regexp_matches(cell, '[T ]00:00(:00)?([.]0+)?$') AS midnight FROM (SELECT {cell} AS cell FROM {RAW}"
    for some in (" LIMIT 1000)", ")"):
        # Nearly always the first rows settle it.
        times, others = con.execute(f"{asked}{some} WHERE {values.filled('cell')} IS NOT NULL)").fetchall()[0]
        if others:
            return 0
    return int(times) if times >= _SURELY_MIDNIGHT else 0


def _learn_words(con: duckdb.DuckDBPyConnection, plan: Plan, column: Column, cell: str) -> None:
    """A temporary table words_<column>: each distinct cell and the canonical word (or zone list) it stands for."""
    found = _distinct(con, plan, column, cell)
    known = word_list(plan.table.name, column.name)
    own = {key.strip().casefold(): word for key, word in plan.values.get(column.name, {}).items()}
    # 接通(非本人) in a mapping says nothing of 接通.
    folded = {fold(key): word for key, word in plan.values.get(column.name, {}).items() if not bracketed(key)}

    def word(text: str) -> str | None:
        return own.get(text.strip().casefold()) or word_of(folded, text) or word_of(known, text)

    _learn(con, column, found, _zones if column.type == "list" else word)


def _distinct(con: duckdb.DuckDBPyConnection, plan: Plan, column: Column, cell: str) -> list[str]:
    found = [row[0] for row in con.execute(f"SELECT DISTINCT {cell} FROM {RAW} WHERE {cell} IS NOT NULL LIMIT {_MOST_WORDS + 1}").fetchall()]
    if len(found) > _MOST_WORDS:
        raise InputError("input.not_a_word_column", path=plan.source.name, column=column.name, most=_MOST_WORDS)
    return found


def _learn(con: duckdb.DuckDBPyConnection, column: Column, found: Sequence[str], meaning: Callable[[str], str | None]) -> None:
    pairs = [(text, meaning(text)) for text in found]
    batch = pa.table({
        "cell": pa.array([p[0] for p in pairs], type=pa.string()),
        "word": pa.array([p[1] for p in pairs], type=pa.string()),
    })  # fmt: skip
    con.register("words_batch", batch)
    con.execute(f"CREATE OR REPLACE TEMP TABLE words_{column.name} AS SELECT * FROM words_batch")
    con.unregister("words_batch")


def _zones(text: str) -> str | None:
    names = sorted({part for part in text.replace(";", "|").replace(",", "|").replace("，", "|").replace(" ", "|").split("|") if part})
    try:
        return "|".join(check_zone(name) for name in names) or None
    except ValueError:
        return None


def _date_order(con: duckdb.DuckDBPyConnection, plan: Plan, column: Column, cell: str) -> tuple[str, bool]:
    """(order, whether every cell is plain year-first) of a time or date column.

    Raises:
        InputError: the short dates fit two orders, or some fit only one and some only the other.
    """
    plain = values.is_plain_time(cell)
    # A year of two figures may stand first or last: where it stands the figures hardly change.
    row = con.execute(
        f"SELECT count(*), count(*) FILTER (WHERE a <= 31 AND b <= 12 AND a > 12), count(*) FILTER (WHERE a <= 12 AND b > 12),"
        f" count(*) FILTER (WHERE short), any_value(x) FILTER (WHERE short),"
        f" any_value(x) FILTER (WHERE short AND a > 12), any_value(x) FILTER (WHERE short AND b > 12),"
        f" count(*) FILTER (WHERE short AND c_short AND a BETWEEN 15 AND 45 AND b <= 12 AND c BETWEEN 1 AND 31),"
        f" max(a) FILTER (WHERE short) - min(a) FILTER (WHERE short) <= 1, max(c) FILTER (WHERE short) - min(c) FILTER (WHERE short) <= 1"
        f" FROM (SELECT x, try_cast(p.a AS INT) AS a, try_cast(p.b AS INT) AS b, try_cast(p.c AS INT) AS c, length(p.a) BETWEEN 1 AND 2 AS short, length(p.c) <= 2 AS c_short"
        f" FROM (SELECT {cell} AS x, {values.parts(cell)} AS p FROM {RAW} WHERE {cell} IS NOT NULL AND NOT {plain}))"
    ).fetchall()[0]
    odd, day_first, month_first, short, example, day_example, month_example, year_first, steady_front, steady_end = row
    if plan.date_order:
        return plan.date_order, odd == 0
    if not short:
        return "ymd", odd == 0
    header = plan.source.columns[plan.positions[column.name][0]] if column.name in plan.positions else column.name
    if year_first == short:
        if steady_front == steady_end:
            raise InputError("input.two_date_orders", path=plan.source.name, column=header, example=example, first="ymd", second="dmy")
        if steady_front:
            return "ymd", False
    if day_first and month_first:
        raise InputError(
            "input.mixed_dates", path=plan.source.name, column=header, first=day_example, second=month_example
        )
    if not day_first and not month_first:
        raise InputError("input.two_date_orders", path=plan.source.name, column=header, example=example, first="dmy", second="mdy")
    return ("dmy" if day_first else "mdy"), False


def _complaints(plan: Plan, column: Column, cell: str | None) -> list[tuple[str, str, str]]:
    """(SQL test over the typed row, reason, detail) for what makes a row of this column unusable."""
    name = column.name
    found = []
    # What happened at a time nobody can read did happen: an event without its time may hold at any contact of the case.
    timeless = (plan.table.name, name) == ("case_events", "occurred_at")
    if cell is not None and column.type in ("time", "date") and not timeless:
        lost = f"CASE WHEN {name} IS NULL THEN {values.filled(f'cell_{name}')} IS NOT NULL ELSE false END"
        found.append((lost, "reject.time", name))
    if cell is not None and column.type in ("time", "date"):
        year = f"year({name}) NOT BETWEEN {_FIRST_YEAR} AND {_LAST_YEAR}"
        found.append((year, "reject.time_range", name))
    if (plan.table.name, name) == ("contacts", "contact_id"):
        # Below a list stand its totals and who made it; that says more of such a row than what it lacks.
        # A total may stand beside a count in any column; a remark that opens a row with a case is somebody's note.
        totals, footer = (f"coalesce(regexp_matches({place}, {literal(words)}, 'i'), false)" for place, words in (("first_cell", TOTAL), ("coalesce(case_id, first_cell)", FOOTER)))
        stands = f"{totals} OR {footer}"
        found.append((f"CASE WHEN started_at IS NULL THEN {stands} ELSE false END", "reject.summary", "case_id"))
    # A contact without a time is loaded: it happened, and what needs its time is undetermined.
    if (plan.table.name, name) == _READ_LATER and cell is not None:
        found.append((f"{name} IS NULL AND {values.filled(f'cell_{name}')} IS NULL", "reject.missing", name))
    elif column.required and not timeless and (plan.table.name, name) != ("contacts", "started_at"):
        unreadable = column.type in ("decimal", "integer", "word")
        found.append((f"{name} IS NULL", "reject.unreadable" if unreadable else "reject.missing", name))
    return found


def _first_of(bad: list[tuple[str, str, str]], part: int) -> str:
    whens = " ".join(f"WHEN {complaint[0]} THEN {literal(complaint[part])}" for complaint in bad)
    return f"CASE {whens} END" if whens else "NULL"


def _own_id(spec: Table) -> str | None:
    """The single key column that a log may lack: the id is then made from the row itself."""
    return spec.key[0] if spec.key in (("contact_id",), ("payment_id",), ("promise_id",), ("event_id",)) else None


def _told_by(plan: Plan) -> str:
    """SQL: the id of a person who has none, from what tells people apart; NULL without a name."""
    name, *others = (values.filled(f"raw.c{p}") for p in plan.told_by)
    return f"CASE WHEN {name} IS NOT NULL THEN 'x-' || left(md5(concat_ws('|', {', '.join([name, *others])})), 16) END"


def _row_digest(plan: Plan, staged: Staged) -> str:
    """SQL: an id made from the whole row; where equal rows of a file are events of their own, numbered among them."""
    cells = ", ".join(f"coalesce(raw.c{i}, chr(0))" for i in range(len(plan.source.columns)))
    digest = f"left(md5(concat_ws('|', {cells})), 16)"
    if plan.repeats == "duplicates":
        return digest
    return f"{digest} || '-' || row_number() OVER (PARTITION BY {digest} ORDER BY {staged.row_no})"


def _keep_unreadable_rows(con: duckdb.DuckDBPyConnection, plan: Plan, number: int, staged: Staged) -> None:
    if staged.unread:
        batch = pa.table({
            "row_no": [u.row_no for u in staged.unread], "reason": [u.reason for u in staged.unread],
            "original": [u.original for u in staged.unread],
        })  # fmt: skip
        con.register("unread_batch", batch)
        con.execute("INSERT INTO rejects SELECT ?, row_no, reason, NULL, original FROM unread_batch", [number])
        con.unregister("unread_batch")
    into = _into(plan.table)
    found = con.execute(f"SELECT count(*) FROM {into} WHERE bad IS NOT NULL AND batch_id = ?", [number]).fetchall()[0]
    if found and found[0]:
        con.execute(
            f"INSERT INTO rejects SELECT t.batch_id, t.row_no, t.bad, t.detail, {_original(plan)} FROM {into} t"
            f" JOIN (SELECT *, {staged.row_no} AS place FROM {RAW}) r ON r.place = t.row_no"
            f" WHERE t.bad IS NOT NULL AND t.batch_id = ?",
            [number],
        )
        con.execute(f"DELETE FROM {into} WHERE bad IS NOT NULL AND batch_id = ?", [number])


def _original(plan: Plan) -> str:
    cells = ", ".join(f"coalesce(r.c{i}, '')" for i in range(len(plan.source.columns)))
    return f"concat_ws({literal(plan.source.delimiter or ' | ')}, {cells})"


def _count_cell_problems(con: duckdb.DuckDBPyConnection, plan: Plan, number: int, staged: Staged) -> None:
    """Cells that hold something but became unknown, counted per column; the first one's line is kept."""
    watched = [
        (c, cell)
        for c in plan.table.columns
        if c.type in ("word", "list", "integer", "decimal", "boolean", "date", "time", "clock", "number") and (cell := _cell(plan, c)) is not None
    ]
    into = _into(plan.table)
    if plan.table.name == "cases":
        unknown = f"FROM {into} WHERE batch_id = ? AND split_part(jurisdiction, '-', 1) NOT IN {literal(tuple(sorted(set(PLACES.values()))))}"
        con.execute(f"INSERT INTO cell_problems SELECT ?, 'jurisdiction', 'unmapped_word', count(*), min(row_no), string_agg(DISTINCT jurisdiction[:20], ', ') {unknown} HAVING count(*) > 0", [number, number])
    if not watched:
        return
    # A row that was rejected took its cells with it; only rows still in the table are compared.
    place = "place"
    # First by plain counting, which nearly always settles it; a column that differs is then looked at closely.
    raw = con.execute(f"SELECT {', '.join(f'count({cell})' for _, cell in watched)} FROM {RAW}").fetchall()[0]
    typed = con.execute(
        f"SELECT {', '.join(f'count({c.name})' for c, _ in watched)} FROM {into} WHERE batch_id = ?", [number]
    ).fetchall()[0]
    lost_rows = con.execute("SELECT detail, count(*), min(row_no) FROM rejects WHERE batch_id = ? AND reason = 'reject.unreadable' GROUP BY detail", [number]).fetchall()
    for name, count, first in lost_rows:
        # The row went with a word that it needs: whoever writes a mapping has to know which.
        for column, cell in watched:
            if column.name == name and (told := _unknown_words(con, column, cell)):
                con.execute("INSERT INTO cell_problems VALUES (?, ?, 'unmapped_word', ?, ?, ?)", [number, name, count, first, told])
    for (column, cell), before, after in zip(watched, raw, typed, strict=True):
        if before <= after:
            continue
        problem = "unmapped_word" if column.type == "word" else "unreadable"
        lost = con.execute(
            f"SELECT count(*), min({place}) FROM (SELECT {staged.row_no} AS {place}, {values.filled(cell)} AS cell FROM {RAW}) r"
            f" JOIN {into} t ON t.row_no = r.{place} AND t.batch_id = ? WHERE r.cell IS NOT NULL AND t.{column.name} IS NULL",
            [number],
        ).fetchall()[0]
        if lost[0]:
            con.execute("INSERT INTO cell_problems VALUES (?, ?, ?, ?, ?, ?)", [number, column.name, problem, *lost, _unknown_words(con, column, cell)])
    for column, cell in watched:
        if (plan.table.name, column.name) in _HOUR_MATTERS and (cells := midnights(con, cell)):
            con.execute("INSERT INTO cell_problems SELECT ?, ?, 'midnight', ?, min(row_no), NULL FROM " + into + " WHERE batch_id = ?", [number, column.name, cells, number])


def _unknown_words(con: duckdb.DuckDBPyConnection, column: Column, cell: str) -> str | None:
    """The commonest words of a closed list's column that are not known, for whoever writes a mapping; none that may be a number or a name."""
    if column.type != "word":
        return None
    found = con.execute(
        f"SELECT cell FROM (SELECT {cell} AS cell FROM {RAW}) r JOIN words_{column.name} w USING (cell) WHERE w.word IS NULL AND length(cell) <= 20"
        f" AND NOT regexp_matches(cell, '[0-9]{{5}}') AND {values.filled('cell')} IS NOT NULL GROUP BY cell ORDER BY count(*) DESC, cell LIMIT 5"
    ).fetchall()
    return ", ".join(row[0] for row in found) or None


def _separate_repeats(con: duckdb.DuckDBPyConnection, spec: Table) -> None:
    """Rows with the key of an earlier row: the same content is a duplicate, other content is rejected."""
    into, key = _into(spec), ", ".join(spec.key)
    con.execute(f"CREATE OR REPLACE TEMP TABLE repeated AS SELECT {key} FROM {into} GROUP BY ALL HAVING count(*) > 1")
    found = con.execute("SELECT count(*) FROM repeated").fetchall()[0]
    if not found or not found[0]:
        return
    content = ", ".join(
        f"coalesce({n}::VARCHAR, chr(0))" for c in spec.columns for n in ([c.name, f"{c.name}_off"] if c.type == "time" else [c.name])
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE repeats AS SELECT *, first_value(batch_id) OVER w AS first_batch, first_value(row_no) OVER w AS first_row,"
        f" first_value(content) OVER w = content AS same, row_number() OVER w AS nth"
        f" FROM (SELECT batch_id, row_no, {key}, concat_ws(chr(1), {content}) AS content FROM {into} SEMI JOIN repeated USING ({key}))"
        f" WINDOW w AS (PARTITION BY {key} ORDER BY batch_id, row_no)"
    )
    con.execute("INSERT INTO duplicates SELECT batch_id, row_no, first_batch, first_row FROM repeats WHERE nth > 1 AND same")
    con.execute(
        "INSERT INTO rejects SELECT batch_id, row_no, 'reject.same_id', first_batch || ':' || first_row,"
        " replace(replace(content, chr(1), ' | '), chr(0), '') FROM repeats WHERE nth > 1 AND NOT same"
    )
    con.execute(f"DELETE FROM {into} t USING repeats r WHERE r.nth > 1 AND t.batch_id = r.batch_id AND t.row_no = r.row_no")
    con.execute("DROP TABLE repeats")


def _close(
    con: duckdb.DuckDBPyConnection, number: int, staged: Staged, plan: Plan, order: str | None, settings: Settings
) -> Batch:
    counts = con.execute(
        f"SELECT (SELECT count(*) FROM {_into(plan.table)} WHERE batch_id = $n),"
        " (SELECT count(*) FROM rejects WHERE batch_id = $n), (SELECT count(*) FROM duplicates WHERE batch_id = $n)",
        {"n": number},
    ).fetchall()[0]
    source = plan.source
    mapped = {name: [source.columns[p] for p in positions] for name, positions in plan.positions.items()}
    mapped.update({name: [f"= {value}"] for name, value in plan.constants.items()})
    batch = Batch(
        number, source.name, plan.table.name, source.encoding, source.delimiter, source.header_row,
        plan.zone or settings.zone, order, staged.rows, counts[0], counts[1], counts[2], tuple(plan.unmapped),
    )  # fmt: skip
    said = "mapping" if plan.zone else "setting"
    if plan.table.name == "contacts" and counts[0] and not con.execute(f"SELECT count(*) FROM {_into(plan.table)} WHERE batch_id = ? AND started_at IS NOT NULL AND started_at_off IS NULL", [number]).fetchall()[0][0]:
        said = "cells"
    con.execute(
        "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            number, source.name, source.sha256, source.size, plan.table.name, source.kind, source.encoding,
            source.certain, source.delimiter, source.header_row, json.dumps(mapped, ensure_ascii=False),
            json.dumps(plan.unmapped, ensure_ascii=False), batch.zone, said, order,
            staged.rows, *counts,
        ],
    )  # fmt: skip
    return batch


def input_table(con: duckdb.DuckDBPyConnection, name: str) -> str:
    """The name of in_<table>, made empty if no file held that table."""
    spec = table(name)
    con.execute(f"CREATE TABLE IF NOT EXISTS {_into(spec)} ({_input_columns(spec)}, bad VARCHAR, detail VARCHAR)")
    return _into(spec)


def sample_orders(plan: Plan) -> dict[str, str]:
    """Date order per time or date column, from the first rows of the source: ymd, dmy, mdy, or "dmy?mdy" where both fit."""
    found = {}
    for column in plan.table.columns:
        positions = plan.positions.get(column.name)
        if column.type not in ("time", "date") or positions is None:
            continue
        short = [m for row in plan.source.sample if len(row) > positions[0] and (m := re.match(r"\s*(\d{1,2})[-/.](\d{1,2})[-/.]", row[positions[0]] or ""))]
        day_first = any(int(m[1]) > 12 for m in short)
        month_first = any(int(m[2]) > 12 for m in short)
        told = "ymd" if not short else "dmy" if day_first and not month_first else "mdy" if month_first and not day_first else "dmy?mdy"
        found[column.name] = plan.date_order or told
    return found
