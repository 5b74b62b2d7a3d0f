"""Saved views: names for filters and a sort, kept in SQLite beside the runs. A view is its owner's; who sees the whole run sees those of others too."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import UsageError

FILE = "views.sqlite"
LONGEST_NAME = 60
_SCHEMA = "CREATE TABLE IF NOT EXISTS views (name TEXT PRIMARY KEY, filters TEXT NOT NULL, sort TEXT NOT NULL)"
_OWNER = "ALTER TABLE views ADD COLUMN owner TEXT NOT NULL DEFAULT ''"


@dataclass(frozen=True)
class View:
    """Filters as `summary.condition` takes them, with `state` beside them (see `findings.by_state`), a sort of `summary.SORTS`, and what people call them."""

    name: str
    filters: dict[str, list[str]]
    sort: str
    owner: str = ""


class Views:
    """The saved views of a folder of runs. A name is never taken twice: who wants it anew removes it first."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where the runs are; the file is made with the first view."""
        self._path = folder / FILE

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        con = sqlite3.connect(self._path, timeout=30)
        try:
            with con:
                con.execute(_SCHEMA)
                # Files of an older version say nothing of owners: their views are nobody's.
                if "owner" not in {row[1] for row in con.execute("PRAGMA table_info(views)")}:
                    con.execute(_OWNER)
                yield con
        finally:
            con.close()

    def all(self, owner: str, of_others: bool) -> list[View]:
        """By name: a person's own, and with `of_others` everybody's."""
        if not self._path.is_file():
            return []
        with self._connect() as con:
            rows = con.execute("SELECT name, filters, sort, owner FROM views WHERE owner = ? OR ? ORDER BY name", [owner, of_others])
            return [View(name, json.loads(filters), sort, whose) for name, filters, sort, whose in rows]

    def save(self, view: View) -> None:
        """Keep a view.

        Raises:
            UsageError: it has no name, too long a one, or one that is taken.
        """
        name = view.name.strip()
        if not 0 < len(name) <= LONGEST_NAME:
            raise UsageError("page.views.no_name", most=LONGEST_NAME)
        try:
            with self._connect() as con:
                con.execute("INSERT INTO views (name, filters, sort, owner) VALUES (?, ?, ?, ?)", [name, json.dumps(view.filters, ensure_ascii=False), view.sort, view.owner])
        except sqlite3.IntegrityError as error:
            raise UsageError("page.views.taken") from error

    def remove(self, name: str, owner: str, of_others: bool) -> None:
        """Forget a view of one's own, with `of_others` anybody's; one that is not there is no error."""
        with self._connect() as con:
            con.execute("DELETE FROM views WHERE name = ? AND (owner = ? OR ?)", [name, owner, of_others])
