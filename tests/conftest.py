"""Shared by the tests: small files, quick runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analyzer import audit, runs
from analyzer.text import Lexicons, Words, kept_words

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
HEADER = "流水号,案件编号,联系人编号,与客户关系,渠道,方向,通话时间,通话结果,通话类型,坐席工号,催记内容"


@pytest.fixture(scope="session")
def words() -> Words:
    return kept_words(ROOT / "rules" / "lexicon")


@pytest.fixture(scope="session")
def lexicons(words: Words) -> Lexicons:
    return words.lexicons


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """write(name, text, encoding) -> path of a small file."""

    def make(name: str, text: str | bytes, encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return make


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., tuple[audit.RunResult, duckdb.DuckDBPyConnection]]]:
    """run(files, ...) -> (result, connection to the published run)."""
    opened: list[duckdb.DuckDBPyConnection] = []

    def make(files: Sequence[Path], **options: Any) -> tuple[audit.RunResult, duckdb.DuckDBPyConnection]:
        options.setdefault("packs", ["cn-gbt-45251"])
        options.setdefault("run_id", f"r{len(opened)}")
        result = audit.run([str(f) for f in files], tmp_path / "runs", **options)
        opened.append(runs.connect(result.path))
        return result, opened[-1]

    yield make
    for con in opened:
        con.close()
