"""The dashboard as a process of its own, for tests in a browser and for the benchmark of the pages."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def served(command: Sequence[str], port: int, cwd: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The address of what `command` serves on `port`; it ends with the block.

    Raises:
        AssertionError: nothing listens there within two minutes.
    """
    # Its own group, so that a server behind a command ends with it.
    process = subprocess.Popen(command, cwd=cwd, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None and time.monotonic() < deadline, "the server does not start"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
