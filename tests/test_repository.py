"""The floors at run time, and what may not be in the repository."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

from tests.conftest import ROOT


def test_the_command_line_starts_without_the_dashboard_or_presidio() -> None:
    code = "import sys, analyzer.cli; print([m for m in ('streamlit', 'altair', 'presidio_analyzer', 'presidio_anonymizer', 'cryptography', 'spacy', 'jieba', 'pandas', 'typst', 'docx', 'fontTools', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_help_waits_for_no_command_and_the_list_of_rules_for_no_database() -> None:
    code = "import sys; from typer.testing import CliRunner; from analyzer.cli import app; assert CliRunner().invoke(app, {}).exit_code == 0; print([m for m in ({}) if m in sys.modules])"
    for arguments, heavy in ((["--help"], ("pydantic", "yaml", "numpy", "duckdb", "pyarrow")), (["rules", "list"], ("numpy", "duckdb", "pyarrow", "opencc"))):
        done = subprocess.run([sys.executable, "-c", code.format(arguments, ", ".join(map(repr, heavy)))], capture_output=True, text=True, check=True, cwd=ROOT)
        assert done.stdout.strip() == "[]", arguments


def _tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True, check=True, cwd=ROOT)
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_addresses_of_registries_and_no_lock_files() -> None:
    host = re.compile("py" + r"pi\.org|python" + r"hosted\.org|registry\.npm" + "js|deb\\.debian")
    for name in _tracked():
        assert not name.endswith((".lock", "package-lock.json")), name
        data = (ROOT / name).read_bytes()
        if b"\x00" not in data[:1000]:
            assert not host.search(data.decode("utf-8", "replace")), name


def test_constraints_are_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[A-Za-z0-9_.\-]+==[A-Za-z0-9_.+!]+", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for need in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        assert re.split(r"[<>=~!\[ ]", need)[0].lower().replace("_", "-") in pinned, need


def test_no_broad_except() -> None:
    for path in (ROOT / "analyzer").rglob("*.py"):
        assert not re.search(r"except( Exception| BaseException)?:", path.read_text(encoding="utf-8")), path.name
