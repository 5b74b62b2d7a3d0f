"""Contacts' texts to rows of `signals`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analyzer.text import segment
from analyzer.text.finder import Finder, Signal
from analyzer.text.personal_data import PERSONAL_DATA, find_personal_data
from analyzer.text.second_reader import Recipient, Words, settle

BATCH = 20_000
TEXTS = pa.schema([("seq", pa.int64()), ("text", pa.string()), ("owes", pa.bool_()), ("knows", pa.bool_()), ("on_business", pa.bool_())])
"""A batch of texts: whose they are, what they say, whether the recipient owes the debt and knows of it (null: unknown), and whether their channel is for collecting alone."""
SIGNALS = pa.schema([
    ("seq", pa.int64()), ("concept", pa.string()), ("label", pa.string()), ("detail", pa.string()), ("start_at", pa.int32()),
    ("end_at", pa.int32()), ("words", pa.string()), ("speaker", pa.string()), ("negated", pa.bool_()), ("counts", pa.bool_()),
    ("confidence", pa.float64()), ("why", pa.string()), ("lexicon_version", pa.string()),
])  # fmt: skip
"""What is found in texts: the columns of the table `signals` but its first."""
SHAPES = pa.schema([("seq", pa.int64()), ("shape", pa.int64())])
"""Which text has which shape: see `shapes`."""


@dataclass(frozen=True)
class Read:
    """What was read of texts: `signals` (`SIGNALS`, their `seq` the number of a shape), and which text has which shape (`SHAPES`)."""

    signals: pa.Table
    shapes: pa.Table


def signals_of(batch: pa.RecordBatch, words: Words) -> pa.RecordBatch:
    """The signals (`SIGNALS`) of a batch of texts (`TEXTS`), doubtful ones settled by the second reader."""
    texts = batch.column(1).to_pylist()
    owes = batch.column(2).to_pylist()
    knows = batch.column(3).to_pylist()
    on_business = batch.column(4).to_numpy(zero_copy_only=False)
    finder = Finder(texts, words.lexicons, np.array([bool(o) for o in owes], dtype=np.bool_))
    told = list(map(Recipient, owes, knows))
    found = settle(finder, told, words.reader, on_business)[0] if words.reader else finder.signals()
    segment.forget()
    if words.entities:
        found += _personal(texts, words.entities)
    return _batch(found, batch.column(0).to_numpy())


def _personal(texts: list[str], entities: frozenset[str]) -> list[Signal]:
    """Personal data as signals; its kind is the detail."""
    return [
        Signal(f.text, PERSONAL_DATA, "pii_exposure", f.entity, f.start, f.end, texts[f.text][f.start : f.end], "collector", False, True, False, True, f.score, f"{f.recogniser}: {f.why}", "presidio")
        for f in find_personal_data(texts, entities=entities)
    ]


def contact_texts(con: duckdb.DuckDBPyConnection, *queries: str) -> Iterator[pa.RecordBatch]:
    """The texts that queries (`store.spoken_to`) give, as batches of `TEXTS`. The connection is busy until the last is taken."""
    for query in queries:
        yield from con.sql(query).to_arrow_reader(BATCH)


def store_signals(con: duckdb.DuckDBPyConnection, read: Read, first: int = 0) -> None:
    """Put the signals of each contact's text into the table `signals`, numbered from `first` by contact and place. The words are those of its own text."""
    con.register("signals_found", read.signals)
    con.register("shapes_found", read.shapes)
    con.execute(
        f"INSERT INTO signals SELECT {first} - 1 + row_number() OVER (ORDER BY p.seq, s.start_at, s.end_at, s.concept, s.detail, s.label),"
        " p.seq, s.* EXCLUDE (seq) REPLACE (substring(c.text, s.start_at + 1, s.end_at - s.start_at) AS words)"
        " FROM signals_found s JOIN shapes_found p ON p.shape = s.seq JOIN contacts c ON c.seq = p.seq"
    )
    con.unregister("signals_found")
    con.unregister("shapes_found")


def _batch(found: list[Signal], seqs: npt.NDArray[np.int64]) -> pa.RecordBatch:
    columns = [
        seqs[[s.text for s in found]], [s.concept for s in found], [s.label for s in found], [s.detail for s in found],
        [s.start for s in found], [s.end for s in found], [s.words for s in found], [s.speaker for s in found],
        [s.negated for s in found], [s.counts for s in found], [s.confidence for s in found], [s.why for s in found], [s.version for s in found],
    ]  # fmt: skip
    return pa.record_batch([pa.array(c, type=f.type) for c, f in zip(columns, SIGNALS, strict=True)], schema=SIGNALS)
