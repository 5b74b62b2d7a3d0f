"""A folder of published runs: which there are, which is current."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from analyzer import leftovers, store
from analyzer.errors import InputError, UsageError


def list_runs(folder: Path) -> list[str]:
    """Names of the runs of a folder, oldest first."""
    return sorted(p.stem for p in folder.glob("*.duckdb")) if folder.is_dir() else []


def locate(folder: Path, name: str | None = None) -> Path:
    """The file of a run: by name, else the current one. `folder` may be the run file itself.

    Raises:
        UsageError: there is no run, or none of that name.
    """
    if folder.is_file():
        return folder
    have = list_runs(folder)
    if not have:
        raise UsageError("run.none", path=str(folder.name or folder))
    if name is None:
        pointer = folder / "current"
        name = pointer.read_text(encoding="utf-8").strip() if pointer.is_file() else have[-1]
        name = name if name in have else have[-1]
    if name not in have:
        raise UsageError("run.not_found", name=name, have=", ".join(have))
    return folder / f"{name}.duckdb"


@contextmanager
def sparing(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """`connect` for what goes through a whole run once: little of it is kept in memory (see `store.connect_run`).

    Raises:
        InputError: as `connect`.
    """
    with leftovers.private("dunaudit-reading-") as scratch:
        con = connect(path, scratch)
        try:
            yield con
        finally:
            con.close()


def connect(path: Path, scratch: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A read-only connection to a run file; the caller closes it. `scratch`: as `store.connect_run` takes it.

    Raises:
        InputError: the file is not a run of this version.
    """
    try:
        con = store.connect_run(path, scratch)
        for table, columns in store.schema():
            con.execute(f"SELECT {', '.join(column for column, _ in columns)} FROM {table} LIMIT 0").fetchall()
    except duckdb.Error as error:
        raise InputError("run.broken", name=path.name) from error
    return con
