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


_NEAR = 16


def is_border(text: str, at: int, low: int, high: int) -> bool:
    """Whether jieba puts a word border at text[at], in the clause text[low:high].

    Most borders are certain without cutting: jieba joins characters only into words of its dictionary, so where no word
    of it lies across the position there is a border. Otherwise the clause is cut (once, however often it is asked).
    """
    if at <= low or at >= high:
        return True
    before, after = text[at - 1], text[at]
    if before.isascii() and after.isascii():
        # Latin letters and figures run together in jieba's eyes.
        return at - low in _cut(text[low:high])
    known = _tokenizer().FREQ
    for start in range(at - 1, max(low, at - _NEAR) - 1, -1):
        for end in range(start + 1, min(high, start + _NEAR) + 1):
            weight = known.get(text[start:end])
            if weight is None:
                break
            if weight and end > at:
                return at - low in _cut(text[low:high])
    return True


@cache
def _cut(clause: str) -> frozenset[int]:
    borders = {0}
    position = 0
    for word in _tokenizer().cut(clause, HMM=False):
        position += len(word)
        borders.add(position)
    return frozenset(borders)


def forget() -> None:
    """Drop the clauses remembered so far (they are texts of the logs)."""
    _cut.cache_clear()
