"""Word borders by jieba (or rjieba, which cuts the same), with a tokenizer and a cache folder of our own."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pyarrow import csv

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


@cache
def _inner_pairs() -> npt.NDArray[np.uint64]:
    """Each two characters that stand beside each other in a word of the dictionary, as one number, in order."""
    import jieba

    # A line is a word, its weight and its kind.
    with jieba.get_dict_file() as file:
        columns = csv.read_csv(
            file, csv.ReadOptions(column_names=["word", "weight", "kind"]), csv.ParseOptions(delimiter=" ", quote_char=False),
            csv.ConvertOptions(include_columns=["word"]),
        )  # fmt: skip
    words = [*columns["word"].to_pylist(), *(word for word, _ in house_words())]
    points = np.frombuffer("\n".join(words).encode("utf-32-le"), dtype=np.uint32)
    inside = points != ord("\n")
    both = inside[:-1] & inside[1:]
    pairs: npt.NDArray[np.uint64] = (points[:-1][both].astype(np.uint64) << np.uint64(32)) | points[1:][both]
    pairs.sort()
    return pairs


# Two characters are nobody's text: they may be remembered from batch to batch.
@lru_cache(maxsize=1 << 17)
def may_join(pair: str) -> bool:
    """Whether jieba may put these two neighbouring characters into one word: some word of the dictionary holds them so, or both are ASCII."""
    if pair.isascii():
        return True
    wanted = (ord(pair[0]) << 32) | ord(pair[1])
    known = _inner_pairs()
    place = int(np.searchsorted(known, np.uint64(wanted)))
    return place < len(known) and int(known[place]) == wanted


def warm_up() -> None:
    """Load the dictionary (about a second the first time)."""
    _inner_pairs()
    if _fast() is None:
        _tokenizer()


_NEAR = 16


def is_border(text: str, at: int, low: int, high: int) -> bool:
    """Whether jieba puts a word border at text[at], in the clause text[low:high].

    Most borders are certain without cutting: jieba joins characters only into words of its dictionary, so where no word
    of it lies across the position there is a border. Otherwise the clause is cut (once, however often it is asked).
    """
    if at <= low or at >= high or not may_join(text[at - 1 : at + 1]):
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
