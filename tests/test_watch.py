"""A folder watched, and alerts over real sockets on loopback: what is told, to whom, how often, and what never is."""

from __future__ import annotations

import hmac
import json
import os
import shutil
import socketserver
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner

from analyzer import alerts, runs, watch
from analyzer.cli import app
from analyzer.errors import UsageError
from analyzer.messages import say
from tests.conftest import HEADER, ROOT

NIGHT = "{0},张三丰案{0},P1,本人,电话,呼出,2026-03-0{1} 23:00:00,接通,交互式,A王,请尽快联系 13812345678\n"


class Hook:
    """A web hook: keeps what is posted, and answers with the statuses it is given, then with 200."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, bytes]] = []
        self.usual = b'{"errcode": 0}'
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, self.rfile.read(int(self.headers["Content-Length"]))))
                status, body = hook.answers.pop(0) if hook.answers else (200, hook.usual)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?key=topsecret"


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.server.shutdown()
    made.server.server_close()


class _Post(socketserver.StreamRequestHandler):
    """SMTP as far as a letter needs it."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        letter: list[bytes] | None = None
        for line in self.rfile:
            if letter is not None:
                if line == b".\r\n":
                    self.server.letters.append(b"".join(letter))  # type: ignore[attr-defined]
                    letter = None
                    self.wfile.write(b"250 kept\r\n")
                else:
                    letter.append(line)
            elif line[:4].upper() == b"DATA":
                letter = []
                self.wfile.write(b"354 go on\r\n")
            elif line[:4].upper() == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 yes\r\n")


@pytest.fixture
def post() -> Iterator[socketserver.ThreadingTCPServer]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Post) as server:
        server.letters = []  # type: ignore[attr-defined]
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _told() -> tuple[list[str], Callable[[str, dict[str, object]], None]]:
    said: list[str] = []
    return said, lambda key, params: said.append(say(key, "en", **params))


def _settings(tmp_path: Path, text: str) -> alerts.Alerts:
    path = tmp_path / "alerts.yaml"
    path.write_text(text, encoding="utf-8")
    return alerts.load(path)


def _day(folder: Path, day: int) -> None:
    (folder / f"{day}.csv").write_text(f"{HEADER}\n{NIGHT.format(day, day)}", encoding="utf-8")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    _day(folder, 1)
    return folder


def test_a_folder_is_audited_when_it_changes_and_only_what_is_new_is_told(logs: Path, tmp_path: Path, hook: Hook) -> None:
    settings = _settings(tmp_path, f"""
channels: {{ops: {{kind: webhook, url: "{hook.url}"}}}}
alerts:
  - {{name: 夜间, when: {{rule: [cn-gbt-45251/quiet-hours]}}, to: [ops]}}
  - {{name: 都算, when: {{rule: [cn-gbt-45251/quiet-hours]}}, new: false, at_least: 2, to: [ops]}}
  - {{name: 没有, when: {{vendor: [某公司]}}, to: [ops]}}
""")
    said, tell = _told()
    watched = watch.Watch(logs, tmp_path / "runs", settings, packs=["cn-gbt-45251"])
    first = watch.once(watched, tell, 0)
    assert first is not None and first.findings == 1 and [json.loads(data)["alert"] for _, _, data in hook.got] == ["夜间"]
    assert watch.once(watched, tell, 0) is None and len(hook.got) == 1 and runs.list_runs(tmp_path / "runs") == [first.run_id]
    _day(logs, 2)
    time.sleep(1.1)
    second = watch.once(watched, tell, 0)
    assert second is not None and second.findings == 2
    facts = [json.loads(data) for _, _, data in hook.got[1:]]
    assert [(f["alert"], f["findings"], f["new"]) for f in facts] == [("夜间", 1, True), ("都算", 2, False)] and facts[0]["rules"] == {"cn-gbt-45251/quiet-hours": 1}
    # No case, collector, number or text of the logs, and no address, in what is told or kept.
    everything = "\n".join([*said, *(data.decode() for _, _, data in hook.got), (tmp_path / "runs" / watch.STATE).read_text(encoding="utf-8")])
    assert not [word for word in ("张三丰", "A王", "13812345678", "请尽快联系", "topsecret", str(tmp_path)) if word in everything]


def test_what_cannot_be_read_keeps_nobody_waiting_and_is_said(logs: Path, tmp_path: Path) -> None:
    (logs / "rubbish.xlsx").write_bytes(b"no workbook")
    said, tell = _told()
    watched = watch.Watch(logs, tmp_path / "runs", packs=["cn-gbt-45251"])
    result = watch.once(watched, tell, 0)
    assert result is not None and result.findings == 1 and any("rubbish.xlsx" in line for line in said) and any("1 files could not be read" in line for line in said)
    (logs / "1.csv").unlink()
    assert watch.once(watched, tell, 0) is None and runs.list_runs(tmp_path / "runs") == [result.run_id]
    assert any(line == say("watch.nothing", "en", refused=1) for line in said)
    with pytest.raises(UsageError) as caught:
        watch.once(watch.Watch(tmp_path / "nowhere", tmp_path / "runs"), tell)
    assert caught.value.key == "watch.no_folder"


def test_a_file_that_still_grows_is_left_until_it_is_whole(logs: Path, tmp_path: Path) -> None:
    said, tell = _told()
    watched = watch.Watch(logs, tmp_path / "runs", packs=["cn-gbt-45251"])

    def write() -> None:
        with (logs / "1.csv").open("a", encoding="utf-8") as file:
            file.write(NIGHT.format(9, 2))

    more = threading.Timer(0.2, write)
    more.start()
    assert watch.once(watched, tell, 0.6) is None and said == [say("watch.growing", "en")]
    more.join()
    result = watch.once(watched, tell, 0)
    assert result is not None and result.findings == 2


def test_only_one_watches_into_a_folder_of_runs(logs: Path, tmp_path: Path) -> None:
    with watch._alone(_made(tmp_path / "runs")), pytest.raises(UsageError) as caught:
        watch.once(watch.Watch(logs, tmp_path / "runs"), lambda *_: None)
    assert caught.value.key == "watch.busy"


def _made(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_hook_that_fails_is_tried_again_and_what_never_arrives_waits(logs: Path, tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "FIRST_WAIT", 0.01)
    settings = _settings(tmp_path, f"channels: {{ops: {{kind: webhook, url: '{hook.url}'}}}}\nalerts: [{{name: a, to: [ops]}}]\n")
    said, tell = _told()
    watched = watch.Watch(logs, tmp_path / "runs", settings, packs=["cn-gbt-45251"])
    hook.answers = [(503, b""), (429, b""), (200, b"")]
    watch.once(watched, tell, 0)
    assert len(hook.got) == 3 and watch.read_state(tmp_path / "runs").waiting == []
    _day(logs, 3)
    time.sleep(1.1)
    hook.answers = [(500, b"")] * 3
    watch.once(watched, tell, 0)
    assert len(hook.got) == 6 and len(watch.read_state(tmp_path / "runs").waiting) == 1 and said[-1] == say("alert.failed", "en", name="a", channel="ops", why="HTTP 500")
    # What is refused for good, or sent elsewhere, is asked once; the message is kept for whoever mends the address.
    for status in (404, 302):
        hook.answers = [(status, b"")]
        before = len(hook.got)
        watch.once(watched, tell, 0)
        assert len(hook.got) == before + 1 and len(watch.read_state(tmp_path / "runs").waiting) == 1
    watch.once(watched, tell, 0)
    assert watch.read_state(tmp_path / "runs").waiting == [] and said[-1] == say("alert.sent", "en", name="a", channel="ops")


def _message(channel: str = "c") -> alerts.Message:
    return alerts.Message("夜间", channel, "【夜间】新增 1 个发现", {"alert": "夜间", "findings": 1})


def test_a_webhook_is_signed(tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", hook.url)
    monkeypatch.setenv("KEY", "k")
    settings = _settings(tmp_path, "channels: {c: {kind: webhook, url_env: HOOK, secret_env: KEY}}\nalerts: []\n")
    alerts.deliver(settings, _message())
    ((path, headers, data),) = hook.got
    assert path == "/hook?key=topsecret" and headers["x-dunaudit-signature"] == f"sha256={hmac.new(b'k', data, sha256).hexdigest()}" and json.loads(data)["findings"] == 1
    monkeypatch.delenv("HOOK")
    with pytest.raises(UsageError) as caught:
        alerts.deliver(settings, _message())
    assert caught.value.key == "alert.no_variable"


def test_robots_are_told_as_they_ask_and_their_errcode_is_read(tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("KEY", "SECkey")
    settings = _settings(tmp_path, f"channels:\n  w: {{kind: wecom, url: '{hook.url}'}}\n  d: {{kind: dingtalk, url: '{hook.url}', secret_env: KEY}}\nalerts: []\n")
    alerts.deliver(settings, _message("w"))
    assert json.loads(hook.got[0][2]) == {"msgtype": "text", "text": {"content": "【夜间】新增 1 个发现"}}
    alerts.deliver(settings, _message("d"))
    asked = parse_qs(urlsplit(hook.got[1][0]).query)
    stamp = asked["timestamp"][0]
    assert asked["key"] == ["topsecret"] and asked["sign"] == [b64encode(hmac.new(b"SECkey", f"{stamp}\nSECkey".encode(), sha256).digest()).decode()]
    assert abs(int(stamp) / 1000 - time.time()) < 60
    hook.usual = b'{"errcode": 310000, "errmsg": "sign not match"}'
    with pytest.raises(alerts.UndeliveredError) as caught:
        alerts.deliver(settings, _message("d"))
    assert caught.value.why == "errcode 310000"
    hook.usual = b"<html>"
    with pytest.raises(alerts.UndeliveredError):
        alerts.deliver(settings, _message("w"))


def test_a_letter_arrives_whole(tmp_path: Path, post: Any) -> None:
    settings = _settings(tmp_path, f"channels: {{c: {{kind: email, host: 127.0.0.1, port: {post.server_address[1]}, tls: none, sender: a@example.com, to: [b@example.com, c@example.com]}}}}\nalerts: []\n")
    alerts.deliver(settings, _message())
    (data,) = post.letters
    letter = message_from_bytes(data, policy=policy.default)
    assert (letter["Subject"], letter["From"], letter["To"]) == ("DunAudit: 夜间", "a@example.com", "b@example.com, c@example.com")
    assert letter.get_content().strip() == _message().text


def test_a_server_that_is_not_there_is_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "FIRST_WAIT", 0.01)
    settings = _settings(tmp_path, "channels:\n  c: {kind: webhook, url: 'http://127.0.0.1:9/x'}\n  m: {kind: email, host: 127.0.0.1, port: 9, tls: none, sender: a@b.c, to: [d@e.f]}\nalerts: []\n")
    for channel in ("c", "m"):
        with pytest.raises(alerts.UndeliveredError) as caught:
            alerts.deliver(settings, _message(channel))
        assert "127.0.0.1" not in caught.value.why


@pytest.mark.parametrize(
    "text",
    [
        "channels: {c: {kind: webhook}}\nalerts: []\n", "channels: {c: {kind: webhook, url: 'ftp://x'}}\nalerts: []\n", "channels: {c: {kind: pigeon, url: 'http://x'}}\nalerts: []\n",
        "channels: {c: {kind: email, host: h}}\nalerts: []\n", "channels: {}\nalerts: [{name: a, to: [c]}]\n",
        "channels: {c: {kind: wecom, url: 'http://x'}}\nalerts: [{name: a, to: [c], when: {agent: [A1]}}]\n", "channels: {c: {kind: wecom, url: 'http://x', url_env: Y}}\nalerts: []\n",
        "channels: {c: {kind: wecom, url: 'http://x'}}\nalerts: [{name: a, to: [c]}, {name: a, to: [c]}]\n", "channels: {c: {kind: email, host: h, sender: \"a\\nb\", to: [x]}}\nalerts: []\n",
        "channels: {c: {kind: wecom, url: 'http://x'}}\nalerts: [{name: a, to: [c], at_least: 0}]\n",
        *(f"channels: {{c: {{kind: wecom, url: 'http://x'}}}}\nalerts: [{{name: a, to: [c], when: {{{name}: [urgent]}}}}]\n" for name in ("severity", "strength", "channel", "class", "stage")),
    ],
)  # fmt: skip
def test_settings_that_say_nothing_sure_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        _settings(tmp_path, text)
    assert caught.value.key == "settings.invalid"


def test_an_alert_that_waits_for_what_there_is_not_is_refused(logs: Path, tmp_path: Path) -> None:
    for when in ("rule: [quiet-hours]", "pack: [cn-nosuch]"):
        (tmp_path / "alerts.yaml").write_text(f"channels: {{ops: {{kind: webhook, url: 'http://127.0.0.1:9/x'}}}}\nalerts: [{{name: 夜间, when: {{{when}}}, to: [ops]}}]\n", encoding="utf-8")
        done = CliRunner().invoke(app, ["watch", str(logs), "--to", str(tmp_path / "runs"), "--alerts", str(tmp_path / "alerts.yaml"), "--once"])
        assert done.exit_code == 2 and "夜间" in done.stderr and not (tmp_path / "runs").exists()


class _StoppedError(Exception):
    pass


@pytest.mark.parametrize("where", ["while it tells", "between run and alerts"])
def test_a_watcher_that_is_stopped_loses_no_alert(logs: Path, tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Neither one that waits to be told, nor one of a run that was published just before."""
    settings = _settings(tmp_path, f'channels: {{ops: {{kind: webhook, url: "{hook.url}"}}}}\nalerts: [{{name: a, to: [ops]}}, {{name: b, to: [ops]}}]\n')
    watched, tell = watch.Watch(logs, tmp_path / "runs", settings, packs=["cn-gbt-45251"]), _told()[1]

    def stopped(*args: object, **more: object) -> None:
        raise _StoppedError

    with monkeypatch.context() as patch:
        if where == "while it tells":
            deliver = alerts.deliver
            patch.setattr(alerts, "deliver", lambda given, message: deliver(given, message) if message.alert == "a" else stopped())
        else:
            patch.setattr(alerts, "due", stopped)
        with pytest.raises(_StoppedError):
            watch.once(watched, tell, 0)
    assert len(runs.list_runs(tmp_path / "runs")) == 1 and len(hook.got) == (where == "while it tells")
    time.sleep(1.1)
    watch.once(watched, tell, 0)
    assert sorted(json.loads(data)["alert"] for _, _, data in hook.got) == ["a", "b"], "each once"
    assert watch.once(watched, tell, 0) is None and len(hook.got) == 2


def test_the_command_looks_once_and_ends(logs: Path, tmp_path: Path, hook: Hook) -> None:
    (tmp_path / "alerts.yaml").write_text(f"lang: en\nchannels: {{ops: {{kind: webhook, url: '{hook.url}'}}}}\nalerts: [{{name: a, to: [ops]}}]\n", encoding="utf-8")
    command = [sys.executable, "-m", "analyzer.cli", "watch", str(logs), "--to", str(tmp_path / "runs"), "--alerts", str(tmp_path / "alerts.yaml"), "--once", "--packs", "cn-gbt-45251"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"DUNAUDIT_LANG": "en"}, check=False)
    assert done.returncode == 1 and "Alert a sent to ops." in done.stderr and "topsecret" not in done.stderr and "new findings" in json.loads(hook.got[0][2])["text"]
    shutil.rmtree(logs)
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"DUNAUDIT_LANG": "en"}, check=False)
    assert done.returncode == 2 and "There is no folder logs" in done.stderr
