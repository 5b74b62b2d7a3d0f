"""Word borders by jieba (or rjieba, which cuts the same), with a tokenizer and a cache folder of our own."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from analyzer.rules import rules_folder


@cache
def _tokenizer() -> Any:
    import jieba

    jieba.setLogLevel(logging.ERROR)
    tokenizer = jieba.Tokenizer()
    # jieba reads its cache with marshal and asks nobody whose file it is: it must not lie in the shared temp folder.
    tokenizer.tmp_dir = str(_private_folder())
    tokenizer.initialize()
    for word, weight in house_words():
        tokenizer.add_word(word, weight)
    return tokenizer


@cache
def _fast() -> Any:
    """The same words from rjieba (extra `fast`), or None where it is not installed."""
    try:
        import rjieba
    except ImportError:
        return None
    tokenizer = rjieba.Jieba()
    for word, weight in house_words():
        tokenizer.add_word(word, weight, None)
    return tokenizer


def house_words() -> list[tuple[str, int]]:
    """The words of rules/dictionary.txt with their weights."""
    lines = (rules_folder() / "dictionary.txt").read_text(encoding="utf-8").splitlines()
    return [(word, int(weight)) for word, weight in (line.split() for line in lines if line.strip() and not line.startswith("#"))]


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
    if _fast() is None:
        _tokenizer()


_NEAR = 16


def is_border(text: str, at: int, low: int, high: int) -> bool:
    """Whether jieba puts a word border at text[at], in the clause text[low:high].

    Most borders are certain without cutting: jieba joins characters only into words of its dictionary, so where no word
    of it lies across the position there is a border. Otherwise the clause is cut (once, however often it is asked).
    """
    if at <= low or at >= high:
        return True
    if _fast() is not None:
        return at - low in _cut(text[low:high])
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
    for word in cut(clause):
        position += len(word)
        borders.add(position)
    return frozenset(borders)


def cut(text: str) -> list[str]:
    """The words of a text, none left out."""
    fast = _fast()
    return list(fast.cut(text, False) if fast is not None else _tokenizer().cut(text, HMM=False))


def words(text: str) -> Iterator[tuple[str, int]]:
    """(word, where it begins) of a text."""
    position = 0
    for word in cut(text):
        yield word, position
        position += len(word)


def forget() -> None:
    """Drop the clauses remembered so far (they are texts of the logs)."""
    _cut.cache_clear()
