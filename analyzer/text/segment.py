"""Word borders by jieba, with a tokenizer and a cache folder of our own."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _tokenizer() -> Any:
    import jieba

    jieba.setLogLevel(logging.ERROR)
    tokenizer = jieba.Tokenizer()
    # jieba reads its cache with marshal and asks nobody whose file it is: it must not lie in the shared temp folder.
    tokenizer.tmp_dir = str(_private_folder())
    tokenizer.initialize()
    return tokenizer


def _private_folder() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or tempfile.gettempdir())
    folder = base / "dunaudit"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="dunaudit-"))
    return folder


def warm_up() -> None:
    """Load the dictionary (about a second the first time)."""
    _tokenizer()


@cache
def _cut(clause: str) -> frozenset[int]:
    borders = {0}
    position = 0
    for word in _tokenizer().cut(clause, HMM=False):
        position += len(word)
        borders.add(position)
    return frozenset(borders)


def borders(clause: str) -> frozenset[int]:
    """The positions in a clause at which a word begins or ends. The same clause is cut once."""
    return _cut(clause)


def forget() -> None:
    """Drop the clauses remembered so far (they are texts of the logs)."""
    _cut.cache_clear()
