"""The command line as its users meet it: exit codes, data on stdout, talk on stderr, one sentence for each error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_group
from typer.testing import CliRunner

from analyzer import rules
from analyzer.cli import app
from analyzer.messages import default_lang, say
from tests.conftest import HEADER, ROOT

Write = Callable[..., Path]
GOOD = HEADER + "\n1,K1,P1,本人,电话,呼出,2026-03-01 10:00:00,接通,交互式,A1,本人承诺还款\n"
NIGHT = GOOD.replace("10:00:00", "23:00:00")
TIMELESS = GOOD.replace("2026-03-01 10:00:00", "")


def call(*arguments: object, lang: str = "en") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DUNAUDIT_LANG": lang, "COLUMNS": "200"}
    return subprocess.run([sys.executable, "-m", "analyzer.cli", *map(str, arguments)], capture_output=True, text=True, cwd=ROOT, env=environment, check=False)


@pytest.mark.parametrize(("text", "code"), [(GOOD, 0), (NIGHT, 1), (TIMELESS, 5), ("", 4), ("甲,乙\n丙,丁\n", 4)])
def test_exit_codes_of_audit(text: str, code: int, write: Write, tmp_path: Path) -> None:
    done = call("audit", write("a.csv", text), "--to", tmp_path / "runs", "--packs", "cn-gbt-45251", "--json")
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code in (0, 1, 5):
        told = json.loads(done.stdout)
        assert told["exit_code"] == code and told["completeness"]["rows_read"] == 1
    else:
        assert done.stdout == "" and done.stderr.count("\n") == 1
        assert not list((tmp_path / "runs").glob("*"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["audit"], 2), (["audit", "nothing-here.csv"], 4), (["audit", "README.md", "--zone", "CST"], 2), (["audit", "README.md", "--memory", "lots"], 2),
        (["audit", "README.md", "--mapping", "no.yaml"], 2), (["findings", "--run", "no-such-folder"], 2), (["rules", "explain", "no-such-rule"], 2),
        (["--lang", "fr", "rules", "list"], 2), (["audit", "README.md", "--packs", "no-such-pack"], 3),
    ],
)  # fmt: skip
def test_exit_codes_of_mistakes(arguments: list[str], code: int) -> None:
    for lang in ("zh", "en"):
        done = call(*arguments, lang=lang)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr and done.stderr.strip() and done.stdout == ""


def test_findings_and_explain(write: Write, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert call("audit", write("a.csv", NIGHT), "--to", runs, "--packs", "cn-gbt-45251").returncode == 1
    listed = json.loads(call("findings", "--run", runs, "--json").stdout)
    assert listed["total"] == 1 and listed["findings"][0]["rule"] == "cn-gbt-45251/quiet-hours"
    finding = listed["findings"][0]["finding_id"]
    told = json.loads(call("explain", finding[:8], "--run", runs, "--json").stdout)
    assert told["finding"]["measured"] == "23:00:00" and told["ledger"][0]["file"] == "a.csv" and told["ledger"][0]["row_no"] == 2
    for lang, word in (("zh", "据报道"), ("en", "only reported")):
        shown = call("explain", finding, "--run", runs, lang=lang).stdout
        assert word in shown and "GB/T 45251-2025" in shown and "SELECT" in shown
    assert call("explain", "ffff", "--run", runs).returncode == 2


def test_a_filter_that_fits_nothing_is_an_error(write: Write, tmp_path: Path) -> None:
    assert call("audit", write("a.csv", NIGHT), "--to", tmp_path / "runs", "--packs", "cn-gbt-45251").returncode == 1
    told = [json.loads(call("findings", "--run", tmp_path / "runs", "--rule", rule, "--json").stdout)["total"] for rule in ("quiet-hours", "cn-gbt-45251/quiet-hours", "notice-calls")]
    assert told == [1, 1, 0]
    for name, value in (("rule", "nosuch"), ("agent", "ZZZ")):
        done = call("findings", "--run", tmp_path / "runs", f"--{name}", value)
        assert (done.returncode, done.stdout) == (2, "") and value in done.stderr and "Traceback" not in done.stderr
    done = call("review", "--run", tmp_path / "runs", "--state", "confirmed", "--by", "W")
    assert done.returncode == 2 and not done.stdout
    done = call("export", "--run", tmp_path / "runs", "--to", tmp_path / "out.csv", "--severity", "urgent")
    assert done.returncode == 2 and "urgent" in done.stderr and "critical" in done.stderr and not (tmp_path / "out.csv").exists()


def test_rules_commands() -> None:
    listed = json.loads(call("rules", "list", "--json").stdout)
    assert {"id", "pack", "serves", "citations"} <= set(listed[0])
    assert call("rules", "check").returncode == 0
    assert "quiet-hours" in call("rules", "explain", "quiet-hours").stdout


def test_inspect_says_what_it_would_do(write: Write) -> None:
    path = write("a.csv", GOOD, "gb18030")
    told = json.loads(call("inspect", path, "--json").stdout)[0]
    assert told["encoding"] == "gb18030" and not told["encoding_certain"] and told["header_row"] == 1 and told["table"] == "contacts"
    assert told["columns"]["started_at"] == ["通话时间"] and told["date_order"] == {"started_at": "ymd"} and len(told["rows"]) == 1
    shown = call("inspect", path, lang="zh").stdout
    assert "gb18030" in shown and "最可能" in shown
    assert call("inspect", write("b.csv", "")).returncode == 4


def _commands(group: TyperGroup, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        found += _commands(command, (*path, name)) if isinstance(command, TyperGroup) else [(*path, name)]
    return found


def test_every_command_has_help_in_both_languages() -> None:
    runner = CliRunner()
    paths = _commands(get_group(app))
    assert {("demo",), ("inspect",), ("audit",), ("findings",), ("explain",), ("dashboard",), ("rules", "test"), ("review", "queue"), ("log", "verify")} <= set(paths)
    for path in paths:
        shown = runner.invoke(app, [*path, "--help"])
        # The help of the command that is loaded is the one that the list of commands promises.
        assert shown.exit_code == 0 and say("help." + "_".join(path).replace("-", "_"), default_lang())[:12] in shown.output, path
    for lang, word in (("zh", "审计"), ("en", "Audit")):
        assert word in call("--help", lang=lang).stdout
        assert word in call("audit", "--help", lang=lang).stdout


def test_no_text_name_or_number_in_talk(write: Write, tmp_path: Path) -> None:
    text = NIGHT.replace("本人承诺还款", "张三丰 19900001234 弄死你")
    done = call("audit", write("a.csv", text), "--to", tmp_path / "runs", "--packs", "cn-gbt-45251")
    assert "张三丰" not in done.stderr + done.stdout and "19900001234" not in done.stderr + done.stdout


def test_nothing_in_a_log_steers_the_terminal(write: Write, tmp_path: Path) -> None:
    text = NIGHT.replace("本人承诺还款", "\x1b]0;PWNED\x07\x1b[2J弄死你").replace("K1", "K\x1b[31m1").replace("A1", "A\u202e1")
    path = write("a\x1b[0m.csv", text)
    out = tmp_path / "runs"
    shown = [call("inspect", path), call("audit", path, "--to", out, "--packs", "cn-gbt-45251"), call("findings", "--run", out)]
    first = json.loads(call("findings", "--run", out, "--json").stdout)["findings"][0]["finding_id"]
    shown.append(call("explain", first, "--run", out))
    for done in shown:
        assert "\x1b" not in done.stdout + done.stderr and "\u202e" not in done.stdout, done.args
    assert "‹U+001B›" in shown[2].stdout


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_an_audit_that_is_ended_leaves_nothing_of_the_logs_behind(write: Write, tmp_path: Path, name: str) -> None:
    rows = "".join(f"{i},K{i % 50},P1,本人,电话,呼出,2026-03-01 10:00:{i % 60:02d},接通,交互式,A1,本人承诺还款{i}\n" for i in range(60_000))
    path, out = write("big.csv", HEADER + "\n" + rows), tmp_path / "runs"
    process = subprocess.Popen([sys.executable, "-m", "analyzer.cli", "audit", str(path), "--to", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    deadline = time.monotonic() + 60
    while not list(out.glob(".making-*/*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(getattr(signal, name))
    process.wait(60)
    assert process.returncode != 0 and not list(out.glob("*.duckdb"))
    if name == "SIGKILL":
        # Nobody can tidy up after this at once: the next audit does.
        assert list(out.glob(".making-*"))
        assert call("audit", write("small.csv", GOOD), "--to", out, "--packs", "cn-gbt-45251").returncode == 0
    assert not list(out.glob(".making-*"))


def test_packs_may_be_named_with_commas_or_blanks() -> None:
    told = [CliRunner().invoke(app, ["rules", "test", *given, "--json"]) for given in (["kr,vn"], ["kr", "vn"])]
    assert [t.exit_code for t in told] == [0, 0]
    assert told[0].stdout == told[1].stdout and json.loads(told[0].stdout)["cases"] == sum(len(r.cases) for p in rules.select(rules.rules_folder(), ["kr", "vn"]) for r in p.rules)


@pytest.mark.parametrize(("words", "lang"), [(["--lang", "en", "export", "--help"], "en"), (["--lang=en", "--help"], "en"), (["export", "--help"], "zh"), (["report", "--lang", "en", "--help"], "zh")])
def test_help_speaks_the_language_that_is_asked_for(words: list[str], lang: str) -> None:
    done = subprocess.run([sys.executable, "-m", "analyzer.cli", *words], capture_output=True, text=True, encoding="utf-8", check=True, env={**os.environ, "DUNAUDIT_LANG": "zh"})
    assert any("\u4e00" <= c <= "\u9fff" for c in done.stdout) is (lang == "zh")
