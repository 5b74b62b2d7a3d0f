"""Names on the command line to files: a file, a folder (not its subfolders) or a glob."""

from __future__ import annotations

import fnmatch
import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from analyzer.errors import NoInput

SUFFIXES = {
    ".csv", ".tsv", ".txt", ".tab", ".psv", ".ssv", ".xlsx", ".xlsm", ".xls", ".ods", ".jsonl", ".ndjson", ".parquet",
}  # fmt: skip


def discover(names: Iterable[str], ignore: Sequence[str] = ()) -> list[Path]:
    """The files meant by `names`, each once, in a stable order (by folder, then name).

    A folder stands for the files in it with a suffix we read; hidden files, `~$` lock files and those matching a
    pattern of `ignore` are left out. A file that is named outright is taken whatever its suffix.

    Raises:
        NoInput: a name matches nothing, or a folder holds no file that could be read.
    """
    found: dict[Path, None] = {}
    for name in names:
        path = Path(name)
        if path.is_dir():
            here = [p for p in sorted(path.iterdir()) if p.is_file() and _readable(p.name, ignore)]
            if not here:
                raise NoInput("input.empty_folder", path=name)
        elif path.is_file():
            here = [path]
        else:
            here = [Path(p) for p in sorted(glob.glob(name, recursive=True)) if Path(p).is_file()]
            here = [p for p in here if not any(fnmatch.fnmatch(p.name, pattern) for pattern in ignore)]
            if not here:
                raise NoInput("input.not_found", path=name)
        found.update(dict.fromkeys(here))
    if not found:
        raise NoInput("input.nothing")
    return list(found)


def _readable(name: str, ignore: Sequence[str]) -> bool:
    hidden = name.startswith((".", "~$"))
    ignored = any(fnmatch.fnmatch(name, pattern) for pattern in ignore)
    return not hidden and not ignored and Path(name).suffix.lower() in SUFFIXES
