"""The dashboard on this machine: `dashboard`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from contextlib import suppress
from importlib import util
from pathlib import Path
from typing import Annotated

import typer

from analyzer import access, review, runs, theme
from analyzer.cli.shared import ReviewsUrl, RunFolder, errors, help_, t, talk
from analyzer.errors import DunAuditError

app = typer.Typer(rich_markup_mode=None)


@app.command("dashboard", help=help_("dashboard"))
def dashboard(
    run: RunFolder = Path("runs"), port: Annotated[int, typer.Option("--port", min=1, max=65535, help=help_("port"))] = 8501,
    headless: Annotated[bool, typer.Option("--headless", help=help_("headless"))] = False,
    users: Annotated[Path | None, typer.Option("--users", help=help_("users"))] = None, url: ReviewsUrl = "",
) -> None:  # fmt: skip
    """See the catalogue."""
    with errors():
        path = runs.locate(run)
        review.Reviews(run, url)
        headers = access.load_users(users).headers() if users else {}
        if users:
            talk(t("talk.preparing"))
            access.prepare(path)
        else:
            # Whoever sees everything needs it on one page only: it is counted while the server starts.
            threading.Thread(target=_prepare, args=(path,), daemon=True).start()
    raise typer.Exit(serve(run, port, headless, users, headers, url))


def _prepare(path: Path) -> None:
    with suppress(DunAuditError):
        access.prepare(path)


def serve(run: Path, port: int, headless: bool, users: Path | None = None, headers: dict[str, str] | None = None, url: str = "") -> int:
    """Run the server on this machine until it ends; its exit code."""
    entry = _entry()
    command = [
        sys.executable, "-m", "streamlit", "run", str(entry), "--server.port", str(port), "--server.address", "127.0.0.1",
        "--browser.gatherUsageStats", "false", "--server.showEmailPrompt", "false", "--server.headless", "true",
        "--client.showErrorDetails", "none", "--client.showErrorLinks", "false", "--client.toolbarMode", "minimal", "--client.disableDataExport", "true",
        "--global.disableWidgetStateDuplicationWarning", "true",
        *theme.options(),
        *(("--server.trustedUserHeaders", json.dumps(headers)) if headers else ()),
        "--", str(run.resolve()), *((str(users.resolve()),) if users else ()),
    ]  # fmt: skip
    talk(t("talk.dashboard", port=port))
    # The server itself always runs headless: otherwise it asks for an e-mail address and advertises in the page.
    # An address may hold a password: it goes by the environment, which other users of the machine cannot list.
    with subprocess.Popen(command, env=os.environ | ({review.VARIABLE: url} if url else {})) as server:
        if not headless and _answers(port, server):
            webbrowser.open(f"http://127.0.0.1:{port}")
        return server.wait()


def _answers(port: int, server: subprocess.Popen[bytes]) -> bool:
    """Wait up to half a minute for the server; False when it ended or does not answer."""
    for _ in range(120):
        if server.poll() is not None:
            return False
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.25)
    return False


def _entry() -> Path:
    spec = util.find_spec("analyzer")
    assert spec is not None and spec.origin is not None
    here = Path(spec.origin).parent
    return next(p for p in (here / "_app.py", here.parent / "app.py") if p.is_file())
