"""The texts of a run, read beside the rules: in a thread when they are few, in processes of their own when many.

Python reads texts under one lock; processes give them the other cores, and load the lexicons and jieba's dictionary while
the files are read. Batches go there and signals come back as Arrow streams over their standard input and output.
`python -m analyzer.text FOLDER [ENTITY...]` is such a process; it ends when its input does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import IO

import pyarrow as pa
from pyarrow import ipc

from analyzer.errors import UsageError
from analyzer.text import segment
from analyzer.text.lexicon import load_lexicons
from analyzer.text.second_reader import Words, load_words
from analyzer.text.signals import SIGNALS, TEXTS, signals_of

# More would mostly wait for the database and cost some hundred megabytes each.
MOST_PROCESSES = 4


def words_digest(lexicon_folder: Path, entities: Iterable[str] = ()) -> str:
    """SHA-256 over all that decides what is found in a text: the lexicons, the second reader beside them, the kinds of personal data, this program and what it reads with."""
    files = sorted([*lexicon_folder.glob("*.yaml"), *(lexicon_folder.parent / "examples").glob("*.npz"), *Path(__file__).parent.glob("*.py")], key=lambda p: (p.suffix, p.name))
    told = [sha256(path.read_bytes()).hexdigest() for path in files] + sorted(entities)
    told += [f"{name} {metadata.version(name)}" for name in ("jieba", "OpenCC", "presidio-analyzer")]
    return sha256("\n".join(told).encode()).hexdigest()


class TextReader:
    """Reads batches of texts (`TEXTS`) into one table of signals (`SIGNALS`). Loading begins when it is made."""

    def __init__(self, lexicon_folder: Path, many: bool, entities: Iterable[str] = ()) -> None:
        """`many`: whether the texts are so many that processes of their own pay. `entities`: personal data to look for."""
        self._folder = lexicon_folder
        count = min(os.cpu_count() or 1, MOST_PROCESSES) if many else 0
        self._background = ThreadPoolExecutor(max(1, count))
        self._processes = [_Reading(_start(lexicon_folder, entities)) for _ in range(count)]
        self._words = None if many else self._background.submit(_load, lexicon_folder, entities)

    def __enter__(self) -> TextReader:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the processes; what they still do is of no use."""
        for reading in self._processes:
            reading.process.kill()
            reading.process.wait()
        self._background.shutdown(wait=True)
        for reading in self._processes:
            for pipe in (reading.process.stdin, reading.process.stdout):
                with suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]

    def read(self, batches: Iterable[pa.RecordBatch], progress: Callable[[int], None] = lambda _: None) -> pa.Table:
        """The signals of all texts, in no order.

        Args:
            batches: of `TEXTS`; taken one at a time, but from whatever thread has nothing else to do.
            progress: called with the number of texts read so far.

        Raises:
            RuleErrors: the lexicons cannot be used.
            UsageError: a process ended before its work was done.
        """
        taken = _Shared(batches, progress)
        if self._words is not None:
            words = self._words.result()
            found = [signals_of(batch, words) for batch in taken]
        else:
            working = [self._background.submit(self._ask, process, taken) for process in self._processes]
            found = [answer for work in working for answer in work.result()]
        return pa.Table.from_batches(found, schema=SIGNALS)

    def _ask(self, reading: _Reading, taken: _Shared) -> list[pa.RecordBatch]:
        """One batch after the other there, its answer back, until there are no more."""
        try:
            return [reading.ask(batch) for batch in taken]
        except (OSError, StopIteration, pa.ArrowInvalid) as error:
            load_lexicons(self._folder)
            raise UsageError("run.words_process", code=reading.process.wait()) from error


class _Reading:
    """A process that reads texts, and the two streams between it and us, which last as long as it does."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._out: ipc.RecordBatchStreamWriter | None = None
        self._answers: ipc.RecordBatchReader | None = None

    def ask(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        assert self.process.stdin is not None and self.process.stdout is not None
        self._out = self._out or ipc.new_stream(self.process.stdin, TEXTS)
        self._out.write_batch(batch.cast(TEXTS))
        self.process.stdin.flush()
        # The answers' schema comes with the first of them.
        self._answers = self._answers or ipc.open_stream(self.process.stdout)
        return self._answers.read_next_batch()


class _Shared:
    """Batches that several threads take in turn; each is counted when the next is asked for."""

    def __init__(self, batches: Iterable[pa.RecordBatch], progress: Callable[[int], None]) -> None:
        self._batches, self._progress = iter(batches), progress
        self._lock = Lock()
        self._done = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while True:
            with self._lock:
                batch = next(self._batches, None)
            if batch is None:
                return
            yield batch
            with self._lock:
                self._done += batch.num_rows
                self._progress(self._done)


def _start(folder: Path, entities: Iterable[str]) -> subprocess.Popen[bytes]:
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join(p for p in (here, os.environ.get("PYTHONPATH")) if p)
    # Its complaints are not shown: they could quote a text. That it ended early is told by its code.
    return subprocess.Popen(
        [sys.executable, "-m", "analyzer.text", str(folder), *entities],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def _load(folder: Path, entities: Iterable[str]) -> Words:
    words = load_words(folder, entities)
    segment.warm_up()
    return words


def serve(folder: Path, entities: Iterable[str], source: IO[bytes], target: IO[bytes]) -> None:
    """Answer each batch of `TEXTS` from `source` with one batch of `SIGNALS` to `target`."""
    words = _load(folder, entities)
    with ipc.open_stream(source) as batches, ipc.new_stream(target, SIGNALS) as out:
        for batch in batches:
            out.write_batch(signals_of(batch, words))
            target.flush()
