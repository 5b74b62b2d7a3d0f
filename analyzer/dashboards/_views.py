"""Saved views: names for filters and a sort, kept in SQLite beside the runs, so that every viewer of the folder has them."""

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


@dataclass(frozen=True)
class View:
    """Filters as `summary.condition` takes them, a sort of `summary.SORTS`, and what people call them."""

    name: str
    filters: dict[str, list[str]]
    sort: str


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
                yield con
        finally:
            con.close()

    def all(self) -> list[View]:
        """By name."""
        if not self._path.is_file():
            return []
        with self._connect() as con:
            return [View(name, json.loads(filters), sort) for name, filters, sort in con.execute("SELECT name, filters, sort FROM views ORDER BY name")]

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
                con.execute("INSERT INTO views VALUES (?, ?, ?)", [name, json.dumps(view.filters, ensure_ascii=False), view.sort])
        except sqlite3.IntegrityError as error:
            raise UsageError("page.views.taken") from error

    def remove(self, name: str) -> None:
        """Forget a view; one that is not there is no error."""
        with self._connect() as con:
            con.execute("DELETE FROM views WHERE name = ?", [name])
