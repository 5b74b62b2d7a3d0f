"""The texts of a run, read beside the rules: in a thread when they are few, in processes of their own when many.

Python reads texts under one lock; processes give them the other cores, and load the lexicons and jieba's dictionary while
the files are read. Batches go there and signals come back as Arrow streams over their standard input and output.
`python -m analyzer.text FOLDER` is such a process; it ends when its input does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from threading import Condition, Lock
from types import TracebackType
from typing import IO

import duckdb
import pyarrow as pa
from pyarrow import ipc

from analyzer.errors import UsageError
from analyzer.rules import rules_folder
from analyzer.store import debtor_names, spoken_to, without_names
from analyzer.text import segment
from analyzer.text.lexicon import load_lexicons
from analyzer.text.second_reader import Words, load_words
from analyzer.text.shapes import Shapes
from analyzer.text.signals import SIGNALS, TEXTS, Read, contact_texts, signals_of

# More would mostly wait for the database and cost some hundred megabytes each.
MOST_PROCESSES = 4
# Loading the words costs a process more than a second: another is started when so many batches more are not the last.
PATIENCE = 16
# Under this key of the schema of the texts stands, as JSON, what personal data to look for.
ENTITIES = b"entities"


def words_digest(lexicon_folder: Path, entities: Iterable[str] = ()) -> str:
    """SHA-256 over all that decides what is found in a text: the lexicons, the second reader beside them, the kinds of personal data, how names
    are hidden, this program and what it reads with."""
    files = [*lexicon_folder.glob("*.yaml"), *(lexicon_folder.parent / "examples").glob("*.npz"), *rules_folder().glob("*.txt"), *Path(__file__).parent.glob("*.py")]
    told = [sha256(path.read_bytes()).hexdigest() for path in sorted(files, key=lambda p: (p.suffix, p.name))]
    told += [*sorted(entities), debtor_names(), without_names("text", "names")]
    told += [f"{name} {metadata.version(name)}" for name in ("jieba", "OpenCC", "presidio-analyzer")]
    return sha256("\n".join(told).encode()).hexdigest()


class TextReader:
    """Reads batches of texts (`TEXTS`), each shape of them once. Loading begins when it is made; further processes start when there is much to read."""

    def __init__(self, lexicon_folder: Path, many: bool) -> None:
        """`many`: whether the texts are so many that processes of their own pay."""
        self._folder = lexicon_folder
        count = min(os.cpu_count() or 1, MOST_PROCESSES) if many else 0
        self._background = ThreadPoolExecutor(max(1, count))
        self._processes = [_Reading(lexicon_folder) for _ in range(count)]
        for reading in self._processes[:1]:
            reading.start()
        self._words = None if many else self._background.submit(kept_words, lexicon_folder)

    def __enter__(self) -> TextReader:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the processes; what they still do is of no use."""
        for reading in self._processes:
            reading.end()
        self._background.shutdown(wait=True)
        for reading in self._processes:
            reading.close()

    def read(self, batches: Iterable[pa.RecordBatch], entities: Iterable[str] = (), progress: Callable[[int], None] = lambda _: None) -> Read:
        """What is found in all texts, in no order.

        Args:
            batches: of `TEXTS`; taken one at a time, but from whatever thread has nothing else to do.
            entities: the kinds of personal data to look for as well; the same in every call.
            progress: called with the number of texts read so far.

        Raises:
            RuleErrors: the lexicons cannot be used.
            UsageError: a process ended before its work was done.
        """
        if self._words is not None:
            return read_here(batches, replace(self._words.result(), entities=frozenset(entities)), progress)
        shapes = Shapes(frozenset(entities), progress)
        with ThreadPoolExecutor(1) as ahead:
            taken, told = _Shared(shapes.new(batches), ahead), TEXTS.with_metadata({ENTITIES: json.dumps(sorted(entities))})
            working = [self._background.submit(self._ask, process, taken, number * PATIENCE, told) for number, process in enumerate(self._processes)]
            found = [answer for work in working for answer in work.result()]
        return shapes.read(pa.Table.from_batches(found, schema=SIGNALS))

    def _ask(self, reading: _Reading, taken: _Shared, after: int, schema: pa.Schema) -> list[pa.RecordBatch]:
        """One batch after the other there, its answer back, until there are no more; from when `after` of them were taken."""
        try:
            return [reading.ask(batch, schema) for batch in taken.after(after)]
        except (OSError, StopIteration, pa.ArrowInvalid) as error:
            load_lexicons(self._folder)
            raise UsageError("run.words_process", code=reading.code()) from error
        finally:
            taken.stop()


class _Reading:
    """A process that reads texts, and the two streams between it and us, which last as long as it does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self._lock = Lock()
        self._out: ipc.RecordBatchStreamWriter | None = None
        self._answers: ipc.RecordBatchReader | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """The process, started if it is not there yet."""
        with self._lock:
            if self._ended:
                raise OSError
            self.process = self.process or _start(self._folder)
            return self.process

    def ask(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        """The signals of a batch; `schema` is `TEXTS`, and says what personal data to look for."""
        process = self.start()
        assert process.stdin is not None and process.stdout is not None
        self._out = self._out or ipc.new_stream(process.stdin, schema)
        self._out.write_batch(batch.cast(schema))
        process.stdin.flush()
        # The answers' schema comes with the first of them.
        self._answers = self._answers or ipc.open_stream(process.stdout)
        return self._answers.read_next_batch()

    def code(self) -> int:
        """What the process ended with."""
        return self.process.wait() if self.process else 0

    def end(self) -> None:
        """End the process, now and for good."""
        with self._lock:
            self._ended = True
        if self.process:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """Close the streams, when nobody reads them any more."""
        for pipe in (self.process.stdin, self.process.stdout) if self.process else ():
            with suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]


class _Shared:
    """Batches that several threads take in turn; the next is made while the last are read."""

    def __init__(self, batches: Iterable[pa.RecordBatch], ahead: ThreadPoolExecutor) -> None:
        self._batches, self._ahead = iter(batches), ahead
        self._next = ahead.submit(next, self._batches, None)
        self._taken, self._over = 0, False
        self._lock = Condition()

    def stop(self) -> None:
        """There are no more, for whoever waits."""
        with self._lock:
            self._over = True
            self._lock.notify_all()

    def after(self, count: int) -> Iterator[pa.RecordBatch]:
        """The next batches, from when `count` have been taken."""
        with self._lock:
            self._lock.wait_for(lambda: self._over or self._taken >= count)
        while True:
            with self._lock:
                batch = None if self._over else self._next.result()
                if batch is not None:
                    self._next = self._ahead.submit(next, self._batches, None)
                self._taken += 1
                self._lock.notify_all()
            if batch is None:
                return
            yield batch


def scan_contacts(con: duckdb.DuckDBPyConnection, words: Words) -> Read:
    """What is found in the texts of the contacts in the input tables."""
    return read_here(contact_texts(con, spoken_to(con)), words)


def read_here(batches: Iterable[pa.RecordBatch], words: Words, progress: Callable[[int], None] = lambda _: None) -> Read:
    """What is found in batches of `TEXTS`, read in this process; `progress` as in `TextReader.read`."""
    shapes = Shapes(words.entities, progress)
    return shapes.read(pa.Table.from_batches([signals_of(batch, words) for batch in shapes.new(batches)], schema=SIGNALS))


def _start(folder: Path) -> subprocess.Popen[bytes]:
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join(p for p in (here, os.environ.get("PYTHONPATH")) if p)
    # Its complaints are not shown: they could quote a text. That it ended early is told by its code.
    return subprocess.Popen(
        [sys.executable, "-m", "analyzer.text", str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def kept_words(folder: Path, entities: Iterable[str] = ()) -> Words:
    """The words in a folder (`load_words`), the last ones kept for whoever asks again in this process as long as no file of theirs is another.

    Raises:
        RuleErrors: a lexicon cannot be used.
    """
    return replace(_kept(folder, words_digest(folder)), entities=frozenset(entities))


@lru_cache(maxsize=1)
def _kept(folder: Path, digest: str) -> Words:
    words = load_words(folder)
    segment.warm_up()
    return words


def serve(folder: Path, source: IO[bytes], target: IO[bytes]) -> None:
    """Answer each batch of `TEXTS` from `source` with one batch of `SIGNALS` to `target`."""
    words = kept_words(folder)
    with ipc.open_stream(source) as batches, ipc.new_stream(target, SIGNALS) as out:
        words = replace(words, entities=frozenset(json.loads(batches.schema.metadata[ENTITIES])))
        for batch in batches:
            out.write_batch(signals_of(batch, words))
            target.flush()
