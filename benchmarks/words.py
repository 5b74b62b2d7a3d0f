"""Messages a second for reading words, personal data and the second reader, beside one pass of grep -F with the same terms.

    python benchmarks/words.py 200000 [--runs 3]

Texts come from the generator (notes and messages of about 60 characters); they are read by as many processes as there
are processors, each with its share, as an audit with many texts does. Prints medians and ratios to grep's time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import duckdb
import numpy as np
from generate import generate

from analyzer import rules
from analyzer.text import Words, find, load_words, segment
from analyzer.text.finder import Finder
from analyzer.text.lexicon import LABELS
from analyzer.text.personal_data import find_personal_data
from analyzer.text.second_reader import Recipient, settle

BATCH = 20_000
_words: list[Words] = []


def prepare() -> None:
    """What each process loads once."""
    _words.append(load_words(rules.lexicon_folder(rules.rules_folder())))
    segment.warm_up()
    find_personal_data(["身份证号110101199003078515"])
    find(["还款"], _words[0].lexicons)


def read_sure(texts: list[str]) -> int:
    """All stages, for what decides by itself: without a second reader doubtful words count for nothing."""
    found = len(Finder(texts, _words[0].lexicons).signals(np.zeros((len(texts), len(LABELS)), np.bool_)))
    segment.forget()
    return found


def read_words(texts: list[str]) -> int:
    """All stages but the second reader, every doubtful word looked for."""
    found = len(find(texts, _words[0].lexicons))
    segment.forget()
    return found


def read_scores(texts: list[str]) -> int:
    """All stages, and the second reader for every text."""
    reader = _words[0].reader
    assert reader is not None
    found = len(settle(Finder(texts, _words[0].lexicons), [Recipient(True)] * len(texts), reader)[0])
    segment.forget()
    return found


def read_personal(texts: list[str]) -> int:
    """Personal data: the prefilter, then Presidio for what it lets pass."""
    return len(find_personal_data(texts, ["zh"] * len(texts)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="?", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dunaudit-words-") as place:
        folder = Path(place)
        generate(int(asked.size * 1.1) + 100, folder)
        rows = duckdb.sql(f"SELECT text FROM read_csv('{folder}/contacts.csv', all_varchar = true) WHERE text IS NOT NULL LIMIT {asked.size}").fetchall()
        texts = [row[0] for row in rows]
        (folder / "texts").write_text("\n".join(t.replace("\n", " ") for t in texts), encoding="utf-8")
        prepare()
        (folder / "terms").write_text("\n".join(t for t in _words[0].lexicons.terms.words if len(t) > 1 and "\n" not in t), encoding="utf-8")
        print(f"{len(texts)} texts, {sum(map(len, texts)) / len(texts):.0f} characters on average, {len(_words[0].lexicons.terms.words)} terms, {os.cpu_count()} processes")

        def grep() -> None:
            with (folder / "hits").open("wb") as out:
                subprocess.run(["grep", "-a", "-F", "-f", str(folder / "terms"), str(folder / "texts")], stdout=out, check=False, env={**os.environ, "LC_ALL": "C"})

        shares = [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]
        with ProcessPoolExecutor(os.cpu_count() or 1, initializer=prepare) as pool:
            list(pool.map(read_words, shares[: os.cpu_count() or 1]))
            steps: dict[str, Callable[[], object]] = {
                "grep -F": grep, "sure words": lambda: list(pool.map(read_sure, shares)), "words": lambda: list(pool.map(read_words, shares)), "words and second reader": lambda: list(pool.map(read_scores, shares)),
                "personal data": lambda: list(pool.map(read_personal, shares)),
            }  # fmt: skip
            taken: dict[str, list[float]] = {name: [] for name in steps}
            for _ in range(asked.runs):
                for name, step in steps.items():
                    began = time.perf_counter()
                    step()
                    taken[name].append(time.perf_counter() - began)
        base = statistics.median(taken["grep -F"])
        for name, seconds in taken.items():
            median = statistics.median(seconds)
            print(f"{name:24} median {median:.2f} s ({min(seconds):.2f}-{max(seconds):.2f}), {len(texts) / median:,.0f} texts/s, ratio: {median / base:.1f}")


if __name__ == "__main__":
    main()
