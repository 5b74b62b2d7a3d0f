"""A PostgreSQL server of one's own, from Debian's package, in a temporary folder; nothing listens on the network."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
HERE = bool(PROGRAMS) and (PROGRAMS[-1] / "initdb").is_file()


@contextmanager
def server() -> Iterator[str]:
    """The folder of its socket, as libpq takes it for a host. The server refuses root, so it runs as the user `postgres` then."""
    root = os.geteuid() == 0
    # Not below pytest's own folder, which other users cannot enter; a socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="dunaudit-pg-"))
    as_other = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if root else []
    if root:
        other = pwd.getpwnam("postgres")
        os.chown(folder, other.pw_uid, other.pw_gid)
    try:
        subprocess.run(
            [*as_other, str(PROGRAMS[-1] / "initdb"), "-D", str(folder / "data"), "-U", "dunaudit", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True, capture_output=True, cwd=folder, timeout=120,
        )  # fmt: skip
        command = [*as_other, str(PROGRAMS[-1] / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"]
        with (folder / "log").open("wb") as told, subprocess.Popen(command, stdout=told, stderr=told, cwd=folder) as process:
            try:
                _wait(process, folder)
                yield str(folder)
            finally:
                process.terminate()
                process.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in range(240):
        if process.poll() is not None:
            raise RuntimeError((folder / "log").read_text(encoding="utf-8", errors="replace"))
        ready = subprocess.run([str(PROGRAMS[-1] / "pg_isready"), "-h", str(folder), "-U", "dunaudit", "-q"], check=False)
        if ready.returncode == 0:
            return
        time.sleep(0.25)
    raise TimeoutError("postgres")
