"""The texts of a run, read beside the rules: in a thread when they are few, in a process of its own when they are many.

Python reads texts under one lock; a second process gives them a core of their own, and loads the lexicons and jieba's
dictionary while the files are read. Batches go there and signals come back as Arrow streams over its standard input
and output. `python -m analyzer.text FOLDER` is that process; it ends when its input does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import IO

import pyarrow as pa
from pyarrow import ipc

from analyzer.errors import UsageError
from analyzer.text import segment
from analyzer.text.lexicon import load_lexicons
from analyzer.text.second_reader import Words, load_words
from analyzer.text.signals import SIGNALS, TEXTS, signals_of


class TextReader:
    """Reads batches of texts (`TEXTS`) into one table of signals (`SIGNALS`). Loading begins when it is made."""

    def __init__(self, lexicon_folder: Path, many: bool) -> None:
        """`many`: whether the texts are so many that a process of its own pays."""
        self._folder = lexicon_folder
        self._background = ThreadPoolExecutor(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._words: Future[Words] | None = None
        if many:
            # Its complaints are not shown: they could quote a text. That it ended early is told by its code.
            here = str(Path(__file__).parents[2])
            path = os.pathsep.join(p for p in (here, os.environ.get("PYTHONPATH")) if p)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "analyzer.text", str(lexicon_folder)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path},
            )  # fmt: skip
        else:
            self._words = self._background.submit(_load, lexicon_folder)

    def __enter__(self) -> TextReader:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the process; what it still does is of no use."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self._background.shutdown(wait=True)
        if self._process and self._process.stdout:
            self._process.stdout.close()

    def read(self, batches: Iterable[pa.RecordBatch], progress: Callable[[int], None] = lambda _: None) -> pa.Table:
        """The signals of all texts.

        Args:
            batches: of `TEXTS`; taken from one thread, but not necessarily the caller's.
            progress: called with the number of texts read so far.

        Raises:
            RuleErrors: the lexicons cannot be used.
            UsageError: the process ended before its work was done.
        """
        found = list(self._elsewhere(batches, progress) if self._process else self._here(batches, progress))
        return pa.Table.from_batches(found, schema=SIGNALS)

    def _here(self, batches: Iterable[pa.RecordBatch], progress: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        assert self._words is not None
        words, done = self._words.result(), 0
        for batch in batches:
            yield signals_of(batch, words)
            done += batch.num_rows
            progress(done)

    def _elsewhere(self, batches: Iterable[pa.RecordBatch], progress: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        sizes: list[int] = []
        feeding = self._background.submit(_feed, process.stdin, batches, sizes)
        done = 0
        try:
            with ipc.open_stream(process.stdout) as answers:
                for number, answer in enumerate(answers):
                    yield answer
                    done += sizes[number]
                    progress(done)
            feeding.result()
        except (OSError, pa.ArrowInvalid) as error:
            load_lexicons(self._folder)
            raise UsageError("run.words_process", code=process.poll()) from error
        if process.wait():
            raise UsageError("run.words_process", code=process.returncode)


def _feed(pipe: IO[bytes], batches: Iterable[pa.RecordBatch], sizes: list[int]) -> None:
    with closing(pipe), ipc.new_stream(pipe, TEXTS) as out:
        for batch in batches:
            sizes.append(batch.num_rows)
            out.write_batch(batch.cast(TEXTS))
            pipe.flush()


def _load(folder: Path) -> Words:
    words = load_words(folder)
    segment.warm_up()
    return words


def serve(folder: Path, source: IO[bytes], target: IO[bytes]) -> None:
    """Answer each batch of `TEXTS` from `source` with one batch of `SIGNALS` to `target`."""
    words = _load(folder)
    with ipc.open_stream(source) as batches, ipc.new_stream(target, SIGNALS) as out:
        for batch in batches:
            out.write_batch(signals_of(batch, words))
            target.flush()
