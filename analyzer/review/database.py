"""Where the log is kept: SQLite beside the runs, or PostgreSQL. Both refuse to change or remove what is written.

The interface is two contexts, `reading` and `writing`, each giving a `Session`; whoever is in `writing` is alone, so a chain cannot fork.
"""

from __future__ import annotations

import json
import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module, util
from pathlib import Path
from typing import Any

from analyzer.errors import InputError, UsageError
from analyzer.review.entries import FIRST, STORED, entry_hash

FILE = "reviews.sqlite"
VARIABLE = "DUNAUDIT_REVIEWS"
_SECONDS = 30
_TABLE = """
CREATE TABLE IF NOT EXISTS entries (
    seq {seq} PRIMARY KEY,
    at_utc TEXT NOT NULL,
    actor TEXT NOT NULL,
    finding_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    state TEXT NOT NULL,
    comment TEXT NOT NULL,
    assignee TEXT NOT NULL,
    rule TEXT NOT NULL,
    rule_digest TEXT NOT NULL,
    evidence_digest TEXT NOT NULL,
    kind TEXT NOT NULL DEFAULT 'verdict',
    detail TEXT NOT NULL DEFAULT '',
    previous TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE
);
CREATE INDEX IF NOT EXISTS entries_finding ON entries (finding_id, seq);
CREATE INDEX IF NOT EXISTS entries_kind ON entries (kind, seq);
"""
_SQLITE_MORE = ("ALTER TABLE entries ADD COLUMN kind TEXT NOT NULL DEFAULT 'verdict'", "ALTER TABLE entries ADD COLUMN detail TEXT NOT NULL DEFAULT ''")
_SQLITE_TRIGGERS = """
CREATE TRIGGER IF NOT EXISTS entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS entries_no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""
# Two hosts that come first at once must not make the table twice: the lock is any fixed number of our own.
_POSTGRES_ALONE = "SELECT pg_advisory_xact_lock(7205759403792793600)"
_POSTGRES_TRIGGERS = """
CREATE OR REPLACE FUNCTION entries_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'append only'; END $$;
CREATE OR REPLACE TRIGGER entries_no_change BEFORE UPDATE OR DELETE ON entries FOR EACH ROW EXECUTE FUNCTION entries_append_only();
CREATE OR REPLACE TRIGGER entries_no_truncate BEFORE TRUNCATE ON entries FOR EACH STATEMENT EXECUTE FUNCTION entries_append_only();
"""


class Session:
    """SQL on one connection; parameters are written `?` for both."""

    def __init__(self, cursor: Any, mark: str) -> None:
        """`cursor`: of sqlite3 or psycopg; `mark`: what it takes for a parameter."""
        self._cursor, self._mark = cursor, mark

    def rows(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        found: list[tuple[Any, ...]] = self._cursor.execute(sql.replace("?", self._mark), params).fetchall()
        return found

    def among(self, column: str, values: Sequence[str]) -> tuple[str, list[object]]:
        """(SQL, its parameters): the column has one of many values, as one parameter."""
        if self._mark == "?":
            return f"{column} IN (SELECT value FROM json_each(?))", [json.dumps(list(values))]
        return f"{column} = ANY(?)", [list(values)]

    def add(self, entries: Sequence[Mapping[str, Any]]) -> list[int]:
        """Chain entries to the last one; their places. Only inside `writing`."""
        last = self.rows("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1")
        place, previous = last[0] if last else (0, FIRST)
        lines, places = [], []
        for entry in entries:
            place += 1
            values = {**entry, "seq": place, "previous": previous}
            values["hash"] = previous = entry_hash(values)
            lines.append([values[name] for name in STORED])
            places.append(place)
        self._cursor.executemany(f"INSERT INTO entries ({', '.join(STORED)}) VALUES ({', '.join([self._mark] * len(STORED))})", lines)
        return places


class Database(ABC):
    """Where the entries are."""

    @abstractmethod
    def there(self) -> bool:
        """Whether anything can have been written yet."""

    @abstractmethod
    def reading(self) -> Any:
        """A context that gives a `Session` to read with."""

    @abstractmethod
    def writing(self) -> Any:
        """A context that gives a `Session` to write with, alone. What is written is kept whole if the block ends well, else not at all."""


class Sqlite(Database):
    """A file beside the runs. Safe for several processes of one host: each writes in a transaction of its own."""

    def __init__(self, path: Path) -> None:
        """`path`: the file; made when first written to."""
        self.path = path

    def there(self) -> bool:
        """See `Database`."""
        return self.path.is_file()

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        try:
            con = sqlite3.connect(self.path, timeout=_SECONDS, isolation_level=None)
            try:
                con.execute("PRAGMA journal_mode = WAL")
                if not con.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries_no_delete'").fetchall() or not _has_kind(con):
                    _prepare(con)
                yield con
            finally:
                con.close()
        except sqlite3.OperationalError as error:
            raise UsageError("review.file", name=self.path.name, why=str(error)) from error
        except sqlite3.DatabaseError as error:
            raise InputError("review.file", name=self.path.name, why=str(error)) from error

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """See `Database`."""
        with self._connect() as con:
            yield Session(con.cursor(), "?")

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """See `Database`."""
        with self._connect() as con:
            con.execute("BEGIN IMMEDIATE")
            try:
                yield Session(con.cursor(), "?")
                con.execute("COMMIT")
            finally:
                if con.in_transaction:
                    con.execute("ROLLBACK")


def _has_kind(con: sqlite3.Connection) -> bool:
    return any(row[1] == "kind" for row in con.execute("PRAGMA table_info(entries)"))


def _prepare(con: sqlite3.Connection) -> None:
    """Make the table, or add to one of the first edition what it lacks."""
    con.execute("BEGIN IMMEDIATE")
    try:
        if con.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries'").fetchall() and not _has_kind(con):
            for statement in _SQLITE_MORE:
                con.execute(statement)
        # `executescript` would end the transaction, so each statement goes alone.
        for statement in (*_TABLE.format(seq="INTEGER").split(";\n"), *_SQLITE_TRIGGERS.strip().split("\n")):
            con.execute(statement)
        con.execute("COMMIT")
    finally:
        if con.in_transaction:
            con.execute("ROLLBACK")


class Postgres(Database):
    """A database that several hosts share. Writers wait for one another on the table; readers never wait."""

    def __init__(self, url: str) -> None:
        """`url`: postgresql://..., as libpq reads it; a password is better left to its files and variables.

        Raises:
            UsageError: psycopg is not installed.
        """
        if util.find_spec("psycopg") is None:
            raise UsageError("review.no_psycopg")
        self._psycopg: Any = import_module("psycopg")
        self._url, self._ready = url, False

    def there(self) -> bool:
        """See `Database`."""
        return True

    @contextmanager
    def _connect(self) -> Iterator[Session]:
        # psycopg's message may quote the whole address, password included; only the kind of failure is told.
        psycopg = self._psycopg
        try:
            with psycopg.connect(self._url, connect_timeout=_SECONDS, application_name="dunaudit") as con:
                if not self._ready:
                    self._prepare(con)
                yield Session(con.cursor(), "%s")
        except psycopg.Error as error:
            raise UsageError("review.database", why=type(error).__name__) from error

    def _prepare(self, con: Any) -> None:
        if not con.execute("SELECT 1 FROM pg_trigger WHERE tgname = 'entries_no_truncate' AND tgrelid = to_regclass('entries')").fetchall():
            con.execute(_POSTGRES_ALONE)
            con.execute(_TABLE.format(seq="BIGINT") + _POSTGRES_TRIGGERS)
            con.commit()
        self._ready = True

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """See `Database`."""
        with self._connect() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """See `Database`."""
        with self._connect() as session:
            session._cursor.execute("LOCK TABLE entries IN EXCLUSIVE MODE")
            yield session


def database(folder: Path, url: str = "") -> Database:
    """The database of a folder of runs (a run file stands for its folder), or that of `url`; without one, the variable DUNAUDIT_REVIEWS is asked.

    Raises:
        UsageError: the address is of no kind known here.
    """
    url = url or os.environ.get(VARIABLE, "")
    if url.startswith(("postgresql://", "postgres://")):
        return Postgres(url)
    if url:
        raise UsageError("review.url")
    return Sqlite((folder.parent if folder.is_file() else folder) / FILE)
