"""What a process that was killed left behind: whatever is private to one carries its host and number, and goes once that process is gone."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path


def owner() -> str:
    """The mark of this process; no two that run at once on one storage have the same."""
    return f"{_host()}-{os.getpid()}"


@contextmanager
def private(prefix: str) -> Iterator[Path]:
    """A folder that nobody else may read, among the temporary ones of this machine; it goes when the block ends, or when the next of that name is made."""
    sweep(Path(tempfile.gettempdir()), prefix)
    with tempfile.TemporaryDirectory(prefix=f"{prefix}{owner()}-") as folder:
        yield Path(folder)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", platform.node()) or "host"


def sweep(folder: Path, prefix: str) -> None:
    """Remove files and folders called `prefix`, an `owner` and anything, whose owner was a process of this host and is gone."""
    for left in folder.glob(f"{escape(prefix + _host())}-*"):
        pid = re.match(r"\d+", left.name.removeprefix(f"{prefix}{_host()}-"))
        if pid and not _alive(int(pid[0])):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
