"""Texts that differ in no more than an amount, a date, a number of days or of a reference say the same: one of them is read for all.

What a text says depends on its normal form, in which such figures are all alike (`normalise.figures`), and on whom it is said to. Personal
data does not: a text that may hold some is read as it is. Names of debtors are hidden before (`store.spoken_to`), so that what is
written from a template, which is most of what is logged, is read a few times and not a million.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analyzer.text.normalise import FIGURE, SEPARATOR, code_points, figures, fold_characters
from analyzer.text.personal_data import candidates
from analyzer.text.signals import SHAPES, TEXTS, Read

KNOWN = 1_000_000
"""How many shapes are remembered (some 150 MB); a new one beyond that is read again whenever it comes."""
# New shapes go to the reader in batches of so many texts: fewer cost it more each, more are long waited for.
BATCH = 10_000


class Shapes:
    """The shapes of texts, numbered as they come."""

    def __init__(self, entities: Collection[str], progress: Callable[[int], None] = lambda _: None) -> None:
        """`entities`: kinds of personal data the texts are read for; `progress`: called with the number of texts taken so far."""
        self._entities, self._progress = entities, progress
        self._numbers: dict[bytes, int] = {}
        self._count = self._taken = 0
        self._of: list[pa.RecordBatch] = []

    def new(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Of batches of `TEXTS`, one text of each shape that was not there before, its `seq` the number of the shape; no batch is empty."""
        waiting: list[pa.RecordBatch] = []
        for batch in batches:
            unread = self._take(batch)
            if unread.num_rows:
                waiting.append(unread)
            if sum(b.num_rows for b in waiting) >= BATCH:
                yield pa.concat_batches(waiting)
                waiting = []
            self._progress(self._taken)
        if waiting:
            yield pa.concat_batches(waiting)

    def read(self, signals: pa.Table) -> Read:
        """What was found in them, with the texts that have each shape."""
        return Read(signals, pa.Table.from_batches(self._of, SHAPES))

    def _take(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        batch = batch.cast(TEXTS)
        texts = shape_of(batch.column(1), self._entities)
        who = [pc.cast(column, pa.string()) for column in batch.columns[2:]]
        told = pc.binary_join_element_wise(texts, *who, SEPARATOR, null_handling="replace", null_replacement="")
        encoded = told.dictionary_encode()
        places = encoded.indices.to_numpy()
        first = np.zeros(len(encoded.dictionary), np.int64)
        first[places[::-1]] = np.arange(len(places))[::-1]
        numbers, unread = self._number(encoded.dictionary)
        # A copy: a column of what the database gave keeps the texts that came with it.
        self._of.append(pa.record_batch([pa.array(batch.column(0).to_numpy().copy()), pa.array(numbers[places])], schema=SHAPES))
        self._taken += batch.num_rows
        kept = pa.array(first[unread])
        return pa.record_batch([pa.array(numbers[unread]), *(column.take(kept) for column in (texts, *batch.columns[2:]))], schema=TEXTS)

    def _number(self, told: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(the number of each shape, the places of those that are new)."""
        numbers, unread = np.zeros(len(told), np.int64), []
        for place, text in enumerate(told.cast(pa.binary()).to_pylist()):
            # Their digests and not the texts are kept; two of different texts are the same once in 10^28 pairs.
            digest = blake2b(text, digest_size=12).digest()
            number = self._numbers.get(digest)
            if number is None:
                number, self._count = self._count, self._count + 1
                unread.append(place)
                if len(self._numbers) < KNOWN:
                    self._numbers[digest] = number
            numbers[place] = number
        return numbers, np.array(unread, dtype=np.int64)


def shape_of(texts: pa.Array, entities: Collection[str]) -> pa.Array:
    """Texts with the digits that change nothing written alike; those that may hold personal data of these kinds as they are.

    The normal form of a text is that of its shape, character by character: offsets hold in both.
    """
    plain = texts.to_pylist()
    points = code_points(SEPARATOR.join(plain))
    digits = (points >= 48) & (points <= 57)
    alike = figures(fold_characters(points))[digits]
    if not alike.any():
        return texts
    kept = pc.is_in(pa.array(range(len(plain))), pa.array(candidates(texts, entities), pa.int64())) if entities else None
    data = np.frombuffer(texts.buffers()[2], dtype=np.uint8).copy()
    bounds = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    own = data[bounds[0] : bounds[-1]]
    # A digit is one octet: the n-th of the octets is the n-th of the characters.
    own[np.flatnonzero((own >= 48) & (own <= 57))[alike]] = ord(FIGURE)
    found = pa.Array.from_buffers(pa.string(), len(texts), [None, texts.buffers()[1], pa.py_buffer(data)], offset=texts.offset)
    return found if kept is None else pc.if_else(kept, texts, found)
