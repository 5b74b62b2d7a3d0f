"""Contacts' texts to rows of `signals`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from analyzer.text import context, segment
from analyzer.text.lexicon import TRAINING, Lexicons
from analyzer.text.normalise import normalise

BATCH = 120_000


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


def scan_contacts(con: duckdb.DuckDBPyConnection, lexicons: Lexicons, progress: Callable[[int], None] = lambda _: None) -> pa.Table:
    """The rows of `signals` for the texts of `contacts`; a customer's own messages (inbound) are not scanned.

    Args:
        con: holds the canonical tables; it is busy until this returns.
        lexicons: what to look for.
        progress: called with the number of texts read so far.
    """
    batches = con.sql(
        "SELECT seq, text, coalesce(party IN ('debtor', 'obliged'), false) AS owes FROM contacts"
        " WHERE text IS NOT NULL AND NOT (direction IS NOT DISTINCT FROM 'inbound' AND channel NOT IN ('call', 'ai_call'))"
    ).to_arrow_reader(BATCH)
    number = done = 0
    tables = []
    for batch in batches:
        texts = batch.column(1).to_pylist()
        seqs = batch.column(0).to_numpy()
        owes = batch.column(2).to_numpy(zero_copy_only=False).astype(np.bool_)
        found = find(texts, lexicons, owes)
        done += len(texts)
        progress(done)
        tables.append(_table(found, seqs, number))
        number += len(found)
        segment.forget()
    return pa.concat_tables(tables) if tables else _table([], np.zeros(0, np.int64), 0)


def store_signals(con: duckdb.DuckDBPyConnection, signals: pa.Table) -> None:
    """Put the rows `scan_contacts` found into `signals`."""
    con.register("signals_found", signals)
    con.execute("INSERT INTO signals SELECT * FROM signals_found")
    con.unregister("signals_found")


def _table(found: list[Signal], seqs: npt.NDArray[np.int64], first: int) -> pa.Table:
    return pa.table({
        "signal_id": pa.array(range(first, first + len(found)), type=pa.int64()),
        "seq": pa.array(seqs[[s.text for s in found]], type=pa.int64()),
        "concept": pa.array([s.concept for s in found], type=pa.string()),
        "label": pa.array([s.label for s in found], type=pa.string()),
        "detail": pa.array([s.detail for s in found], type=pa.string()),
        "start_at": pa.array([s.start for s in found], type=pa.int32()),
        "end_at": pa.array([s.end for s in found], type=pa.int32()),
        "words": pa.array([s.words for s in found], type=pa.string()),
        "speaker": pa.array([s.speaker for s in found], type=pa.string()),
        "negated": pa.array([s.negated for s in found], type=pa.bool_()),
        "counts": pa.array([s.counts for s in found], type=pa.bool_()),
        "why": pa.array([s.why for s in found], type=pa.string()),
        "lexicon_version": pa.array([s.version for s in found], type=pa.string()),
    })  # fmt: skip
