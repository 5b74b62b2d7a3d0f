"""Contacts' texts to rows of `signals`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analyzer.text import context, segment
from analyzer.text.lexicon import TRAINING, Lexicons
from analyzer.text.normalise import normalise

BATCH = 60_000
SIGNALS = pa.schema([
    ("seq", pa.int64()), ("concept", pa.string()), ("label", pa.string()), ("detail", pa.string()), ("start_at", pa.int32()),
    ("end_at", pa.int32()), ("words", pa.string()), ("speaker", pa.string()), ("negated", pa.bool_()), ("counts", pa.bool_()),
    ("why", pa.string()), ("lexicon_version", pa.string()),
])  # fmt: skip
"""What is found in texts: the columns of the table `signals` but its first."""


@dataclass(frozen=True)
class Signal:
    """Words of one text that point to a concept. Offsets are characters of the text as logged."""

    text: int
    concept: str
    label: str
    detail: str
    start: int
    end: int
    words: str
    speaker: str
    negated: bool
    counts: bool
    why: str
    version: str


def find(texts: Sequence[str], lexicons: Lexicons, owes: npt.NDArray[np.bool_] | None = None) -> list[Signal]:
    """The signals of each text, in the order of text and place.

    Args:
        texts: messages or notes as logged.
        lexicons: what to look for.
        owes: per text, whether its recipient is known to owe the debt: lexicons with audience "others" skip those.
    """
    return list(_find(texts, lexicons, owes if owes is not None else np.zeros(len(texts), np.bool_)))


def _find(texts: Sequence[str], lexicons: Lexicons, owes: npt.NDArray[np.bool_]) -> Iterator[Signal]:
    normal = normalise(texts)
    whole = normal.text()
    matches = lexicons.matches(whole)
    if not len(matches):
        return
    text_of = np.searchsorted(normal.starts, matches[:, 1], side="right") - 1
    wanted = ~(lexicons.term_others[matches[:, 0]] & owes[text_of])
    matches, text_of = matches[wanted], text_of[wanted]
    concept_of = lexicons.term_lexicon[matches[:, 0]]
    lessons = set(text_of[concept_of == TRAINING].tolist())
    sought = concept_of != TRAINING
    matches, text_of, concept_of = matches[sought], text_of[sought], concept_of[sought]
    # By text and concept, the longest match first among those that begin together.
    order = np.lexsort((-matches[:, 2], matches[:, 1], concept_of, text_of))
    group: tuple[int, int] = (-1, -1)
    covered: list[tuple[int, int]] = []
    innocent: list[tuple[int, int]] = []
    columns = (text_of, concept_of, matches[:, 0], matches[:, 1], matches[:, 2])
    rows: list[tuple[int, int, int, int, int]] = list(zip(*(column[order].tolist() for column in columns), strict=True))
    for number, (text, concept, term_id, start, end) in enumerate(rows):
        if (text, concept) != group:
            group, covered = (text, concept), []
            innocent = [(r[3], r[4]) for r in _same(rows, number) if lexicons.terms[r[2]].exclude]
        term = lexicons.terms[term_id]
        if term.exclude or any(a <= start and end <= b for a, b in (*covered, *innocent)):
            continue
        seen = context.look(whole, start, end, lexicons.markers)
        if seen.refused:
            continue
        covered.append((start, end))
        lexicon = lexicons.items[concept]
        first = int(normal.origin[start] - normal.original_starts[text])
        last = int(normal.origin[end - 1] - normal.original_starts[text]) + 1
        words = texts[text][first:last]
        reasons = ["normalised" if words != term.text else "literal"]
        lesson = text in lessons
        reasons += [n for n, on in (("negated", seen.negated), ("reported", seen.reported), ("training", lesson)) if on]
        yield Signal(
            text, lexicon.id, lexicon.label, term.group, first, last, words, "reported" if seen.reported else "collector", seen.negated,
            not (seen.negated or seen.reported or lesson), ", ".join(reasons), lexicon.version,
        )  # fmt: skip


def _same(rows: list[tuple[int, int, int, int, int]], at: int) -> Iterator[tuple[int, int, int, int, int]]:
    key = rows[at][:2]
    while at < len(rows) and rows[at][:2] == key:
        yield rows[at]
        at += 1


def signals_of(batch: pa.RecordBatch, lexicons: Lexicons) -> pa.RecordBatch:
    """The signals (`SIGNALS`) of a batch of texts with the columns seq, text, owes."""
    found = find(batch.column(1).to_pylist(), lexicons, batch.column(2).to_numpy(zero_copy_only=False).astype(np.bool_))
    segment.forget()
    return _batch(found, batch.column(0).to_numpy())


def contact_texts(con: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
    """The texts of `contacts` as batches of seq, text, owes; a customer's own messages (inbound) are left out.

    The connection is busy until the last batch is taken.
    """
    yield from con.sql(
        "SELECT seq, text, coalesce(party IN ('debtor', 'obliged'), false) AS owes FROM contacts"
        " WHERE text IS NOT NULL AND NOT (direction IS NOT DISTINCT FROM 'inbound' AND channel NOT IN ('call', 'ai_call'))"
    ).to_arrow_reader(BATCH)


def scan_contacts(con: duckdb.DuckDBPyConnection, lexicons: Lexicons) -> pa.Table:
    """The signals of the texts of `contacts`."""
    return pa.Table.from_batches([signals_of(batch, lexicons) for batch in contact_texts(con)], SIGNALS)


def store_signals(con: duckdb.DuckDBPyConnection, found: pa.Table) -> None:
    """Put rows of `SIGNALS` into the table `signals`, numbered."""
    con.register("signals_found", found)
    con.execute("INSERT INTO signals SELECT row_number() OVER () - 1, * FROM signals_found")
    con.unregister("signals_found")


def _batch(found: list[Signal], seqs: npt.NDArray[np.int64]) -> pa.RecordBatch:
    columns = [
        seqs[[s.text for s in found]], [s.concept for s in found], [s.label for s in found], [s.detail for s in found],
        [s.start for s in found], [s.end for s in found], [s.words for s in found], [s.speaker for s in found],
        [s.negated for s in found], [s.counts for s in found], [s.why for s in found], [s.version for s in found],
    ]  # fmt: skip
    return pa.record_batch([pa.array(c, type=f.type) for c, f in zip(columns, SIGNALS, strict=True)], schema=SIGNALS)
