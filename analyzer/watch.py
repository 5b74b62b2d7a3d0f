"""A folder watched: when its files have changed and are whole, all of it is audited anew, and the alerts are told.

What was audited, and what could not be told yet, stands in watch.json beside the runs, so that a watcher that was stopped goes on
where it was. A file that cannot be read does not keep the others waiting: it is left out, said, and tried again once it changes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from analyzer import alerts, audit, runs
from analyzer.errors import DunAuditError, InputError, UsageError
from analyzer.intake import Mapping, Settings, folder_mapping, load_mapping
from analyzer.sources import discover
from analyzer.tables import write_whole

STATE, LOCK = "watch.json", "watch.lock"
Files = dict[str, tuple[int, int]]
"""Name -> (bytes, nanoseconds of its last change)."""
Tell = Callable[[str, dict[str, object]], None]
"""Called with a key of the catalogue and its parameters."""


@dataclass
class State:
    """What is known of the folder: the files of the last audit, the run whose alerts were made last (None: not known), and messages that have not arrived."""

    files: Files = field(default_factory=dict)
    told: str | None = None
    waiting: list[alerts.Message] = field(default_factory=list)


@dataclass(frozen=True)
class Watch:
    """What is watched and how: see `audit.run` for what it is given."""

    folder: Path
    to: Path
    alerts: alerts.Alerts | None = None
    packs: Sequence[str] = ()
    with_packs: Sequence[str] = ()
    settings: Settings | None = None
    rules_folder: Path | None = None
    memory: str | None = None


def look(watch: Watch) -> Files:
    """The files there, as they are now. None is no error: they may be still to come."""
    mapping = _mapping(watch.folder)
    try:
        found = discover([str(watch.folder)], mapping.ignore)
    except UsageError:
        raise
    except DunAuditError:
        return {}
    there: Files = {}
    for path in found:
        try:
            state = path.stat()
        except OSError:
            continue
        there[path.name] = (state.st_size, state.st_mtime_ns)
    return there


def once(watch: Watch, tell: Tell, settle: float = 1.0) -> audit.RunResult | None:
    """One look: audit if the files are others than the last time and do not change within `settle` seconds; then tell what is due.

    Raises:
        UsageError: another watcher is at work on these runs, or the folder is not there.
    """
    if not watch.folder.is_dir():
        raise UsageError("watch.no_folder", name=watch.folder.name)
    watch.to.mkdir(parents=True, exist_ok=True)
    with _alone(watch.to):
        state = read_state(watch.to)
        now = look(watch)
        result = None
        if now and now != state.files:
            time.sleep(settle)
            if look(watch) == now:
                result = _audited(watch, state, now, tell)
            else:
                tell("watch.growing", {})
        # Whatever ends the watcher while it tells: what was not told yet is told by the next.
        _write_state(watch.to, state)
        _tell_all(watch, state, tell)
        return result


def forever(watch: Watch, every: float, tell: Tell) -> None:
    """`once`, again and again, until interrupted. A file is taken when it has not changed from one look to the next."""
    while True:
        once(watch, tell)
        time.sleep(every)


def _audited(watch: Watch, state: State, now: Files, tell: Tell) -> audit.RunResult | None:
    mapping = _mapping(watch.folder)
    refused = {item.file.split("#")[0]: item.error for item in audit.unreadable(audit.inspect([str(watch.folder)], mapping)) if item.error}
    for error in refused.values():
        tell(error.key, dict(error.params))
    sources = [str(path) for path in discover([str(watch.folder)], mapping.ignore) if path.name not in refused]
    if not sources:
        state.files = now
        tell("watch.nothing", {"refused": len(refused)})
        return None
    if state.told is None:
        # Written down before the audit: a run that is published just as its watcher is stopped must not pass for the one before the next.
        last = _last(watch.to)
        state.told = last.name if last else ""
        _write_state(watch.to, state)
    state.files, before = now, _told(watch.to, state.told)
    try:
        result = audit.run(
            sources, watch.to, packs=watch.packs, with_packs=watch.with_packs, mapping=mapping, settings=watch.settings, rules_folder=watch.rules_folder, memory=watch.memory,
        )  # fmt: skip
    except InputError as error:
        # The last good run stays; the same files are not tried again until one of them changes.
        tell(error.key, dict(error.params))
        return None
    tell("watch.audited", {"run": result.run_id, "findings": result.findings, "refused": len(refused)})
    if watch.alerts is not None:
        state.waiting += alerts.due(watch.alerts, result.path, before)
    state.told = result.path.name
    return result


def _tell_all(watch: Watch, state: State, tell: Tell) -> None:
    """Deliver what waits, each written down as told once it is; what does not arrive waits on."""
    for message in list(state.waiting):
        try:
            if watch.alerts is None:
                raise UsageError("alert.no_channel", channel=message.channel)
            alerts.deliver(watch.alerts, message)
            state.waiting.remove(message)
            _write_state(watch.to, state)
            tell("alert.sent", {"name": message.alert, "channel": message.channel})
        except UsageError as error:
            tell(error.key, dict(error.params))
        except alerts.UndeliveredError as error:
            tell("alert.failed", {"name": message.alert, "channel": message.channel, "why": error.why})


def _mapping(folder: Path) -> Mapping:
    path = folder_mapping([str(folder)])
    return load_mapping(path) if path else Mapping()


def _told(to: Path, name: str) -> Path | None:
    return to / name if name and (to / name).is_file() else None


def _last(to: Path) -> Path | None:
    return runs.locate(to) if runs.list_runs(to) else None


@contextmanager
def _alone(to: Path) -> Iterator[None]:
    """One watcher at a time; the lock goes with the process that holds it."""
    try:
        import fcntl
    except ImportError:  # elsewhere than on POSIX nothing of the kind is there
        yield
        return
    with (to / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError("watch.busy", name=to.name) from error
        yield


def read_state(to: Path) -> State:
    """What the last watcher left; nothing known where there is none, or its file cannot be read."""
    try:
        told: Any = json.loads((to / STATE).read_text(encoding="utf-8"))
        files = {str(name): (int(size), int(changed)) for name, (size, changed) in told["files"].items()}
        return State(files, told.get("told"), [alerts.Message(**message) for message in told["waiting"]])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return State()


def _write_state(to: Path, state: State) -> None:
    text = json.dumps({"files": state.files, "told": state.told, "waiting": [asdict(message) for message in state.waiting]}, ensure_ascii=False, indent=1)
    write_whole({to / STATE: text.encode("utf-8")})
