"""The wording test bench: texts in, conduct labels out, each with its words and why.

The same reading as in an audit (`text.find`), then personal data, then the second reader: a doubtful signal becomes a
label where the reader's score reaches the label's threshold; a text that only the reader objects to stays a suspicion.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from analyzer.errors import InputError, UsageError
from analyzer.text import Lexicons, Signal, segment
from analyzer.text.finder import Finder
from analyzer.text.lexicon import LABELS
from analyzer.text.normalise import language_of
from analyzer.text.personal_data import LONGEST, find_personal_data, label_of
from analyzer.text.second_reader import ABOUT, THIRD, Recipient, SecondReader, settle

BATCH = 20_000
SUSPECT = 0.85
"""From this score on the second reader alone raises a suspicion."""
BUSINESS = ("call_note", "visit_note", "transcript", "voicemail", "letter")
"""Channels of the bench that are for collecting alone: see `model.BUSINESS`."""


@dataclass(frozen=True)
class Message:
    """One line of the bench. `problem` says why it cannot be read (a key of the catalogue)."""

    id: Any
    text: str
    lang: str
    recipient: str | None
    knows: bool | None
    channel: str | None = None
    problem: str | None = None

    @property
    def who(self) -> Recipient:
        """Who is spoken to; without a recipient it is the borrower."""
        return Recipient.named(self.recipient, self.knows)


@dataclass(frozen=True)
class Verdict:
    """What one message came to: `labels` would become findings; `signals` as the bench writes them."""

    labels: tuple[str, ...]
    signals: tuple[dict[str, Any], ...]
    cut: bool


def read_messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """One message per line that is not blank; a line that is no JSON object with a text becomes one with a `problem`."""
    for line in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield Message(None, "", "zh", None, None, problem="scan.no_json")
            continue
        if not isinstance(row, dict):
            yield Message(None, "", "zh", None, None, problem="scan.no_object")
            continue
        text = row.get("text")
        if text is not None and not isinstance(text, str):
            yield Message(row.get("id"), "", "zh", None, None, problem="scan.no_text")
            continue
        text, recipient, knows = text or "", row.get("recipient"), row.get("third_party_knows_loan")
        stated = row.get("lang")
        lang = str(stated) if stated in ("zh", "en") else language_of(text)
        channel = row.get("channel")
        yield Message(row.get("id"), text, lang, recipient if isinstance(recipient, str) else None, knows if isinstance(knows, bool) else None, channel if isinstance(channel, str) else None)


def judge_messages(messages: Sequence[Message], lexicons: Lexicons, reader: SecondReader | None, why_not: bool = False) -> list[Verdict]:
    """The labels and signals of each message.

    Args:
        messages: as read.
        lexicons: the words.
        reader: the second reader, or None to leave doubtful signals undecided.
        why_not: also give what was found and refused, with the reason.
    """
    texts = [m.text for m in messages]
    owes = np.array([bool(m.who.owes) for m in messages], dtype=np.bool_)
    finder = Finder(texts, lexicons, owes, keep_refused=why_not)
    found, scores = settle(finder, [m.who for m in messages], reader, np.array([m.channel in BUSINESS for m in messages], dtype=np.bool_)) if reader else (finder.signals(), None)
    segment.forget()
    labels: list[dict[str, None]] = [{} for _ in messages]
    told: list[list[dict[str, Any]]] = [[] for _ in messages]
    for signal in found:
        message = messages[signal.text]
        if _told_already(signal, message):
            signal = signal._replace(counts=False, confidence=0.1, why=f"{signal.why}, recipient owes or knows")
        if signal.counts:
            labels[signal.text][signal.label] = None
        if why_not or not signal.taken_back:
            told[signal.text].append(_shown(signal.label, signal.start, signal.end, signal.words, signal.speaker, signal.confidence, f"{signal.concept}/{signal.detail}: {signal.why}"))
    if why_not:
        for refused in finder.refused:
            told[refused.text].append(_shown(refused.label, refused.start, refused.end, refused.words, refused.speaker, 0.0, f"{refused.concept}/{refused.detail}: {refused.why}"))
    for hit in find_personal_data(texts, [m.lang for m in messages]):
        conduct = label_of(hit, messages[hit.text].recipient in THIRD)
        if conduct:
            labels[hit.text]["pii_exposure"] = None
        why = f"personal_data/{hit.entity}: {hit.recogniser}, {hit.why}"
        told[hit.text].append(_shown("pii_exposure", hit.start, hit.end, texts[hit.text][hit.start : hit.end], "collector", hit.score if conduct else round(hit.score / 3, 2), why))
    if scores is not None and reader is not None:
        _suspect(messages, scores, reader, labels, told)
    return [
        Verdict(tuple(label for label in LABELS if label in labels[i]), tuple(sorted(told[i], key=lambda s: (s["start"], s["end"], s["label"]))), len(m.text) > LONGEST)
        for i, m in enumerate(messages)
    ]


def _told_already(signal: Signal, message: Message) -> bool:
    """Whether a disclosure discloses nothing: the recipient owes the debt or knows of it."""
    return signal.label == "third_party_disclosure" and (message.knows is True or message.recipient not in THIRD)


def _suspect(messages: Sequence[Message], scores: Any, reader: SecondReader, labels: list[dict[str, None]], told: list[list[dict[str, Any]]]) -> None:
    for number, column in zip(*np.nonzero(scores[:, :ABOUT] >= SUSPECT), strict=True):
        label, text = LABELS[column], messages[number].text
        if not text.strip() or label in labels[number] or (label == "third_party_disclosure" and messages[number].recipient not in THIRD):
            continue
        why = f"second reader {scores[number][column]:.2f}, {_from(reader, text, label)}"
        told[number].append(_shown(label, 0, len(text), text, "collector", round(float(scores[number][column]) / 2, 3), why))


def _from(reader: SecondReader, text: str, label: str) -> str:
    """What of a text speaks most for a label."""
    return f"from: {' '.join(reader.reasons(text, label)) or '-'}"


def _shown(label: str, start: int, end: int, text: str, speaker: str, confidence: float, why: str) -> dict[str, Any]:
    return {"label": label, "start": start, "end": end, "text": text, "speaker": speaker, "confidence": confidence, "why": why}


@dataclass(frozen=True)
class Counts:
    """Lines read, lines that could not be read, messages with at least one label."""

    lines: int
    unread: int
    labelled: int


def scan_file(path: Path, out: Path, lexicons: Lexicons, reader: SecondReader | None, why_not: bool = False, progress: Callable[[int], None] = lambda _: None) -> Counts:
    """Judge a JSON Lines file into another, line by line in the same order.

    Raises:
        InputError: the file cannot be opened.
    """
    lines = unread = labelled = 0
    try:
        source = path.open("rb")
    except OSError as error:
        raise InputError("input.unreadable", path=path.name, why=error.strerror or "") from error
    try:
        target = out.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        source.close()
        raise UsageError("usage.out", path=out.name, why=error.strerror or "") from error
    with source, target:
        messages = read_messages(source)
        while batch := list(islice(messages, BATCH)):
            for message, verdict in zip(batch, judge_messages(batch, lexicons, reader, why_not), strict=True):
                row: dict[str, Any] = {"id": message.id, "labels": list(verdict.labels), "signals": list(verdict.signals)}
                if message.problem:
                    row["problem"] = message.problem
                if verdict.cut:
                    row["cut"] = LONGEST
                target.write(_line(row))
                labelled += bool(verdict.labels)
                unread += message.problem is not None
            lines += len(batch)
            progress(lines)
    return Counts(lines, unread, labelled)


def _line(row: dict[str, Any]) -> str:
    text = json.dumps(row, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # Half a surrogate pair is no character: it is written as it came, escaped.
        text = json.dumps(row)
    return text + "\n"
