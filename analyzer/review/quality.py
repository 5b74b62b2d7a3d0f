"""How good the findings and the reviewers are: precision per rule, agreement of two reviewers, an upper bound for what was missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from analyzer import sampling, summary
from analyzer.review.entries import COACH, COACHED, CONTACT, FALSE, TRUE, Entry
from analyzer.review.standing import Standing

SMALLEST_SAMPLE = 20


@dataclass(frozen=True)
class Agreement:
    """Two reviewers on the same findings: how many pairs, how many agree, that share with Wilson's 95 % interval, and Cohen's kappa (None: not defined)."""

    pairs: int
    agree: int
    rate: float | None
    low: float
    high: float
    kappa: float | None


@dataclass(frozen=True)
class Misses:
    """What a sample of contacts in which nothing was found comes to.

    `draw`: place of its entry; `population` contacts without a finding, of which `size` were drawn by `seed`; `examined`: how many from the first
    on without a gap, so that nobody chooses what counts; `deviations` of these: something missed, or not to be told; `upper`: one-sided
    upper limit of the share missed at `confidence` (None: nothing examined); `missed`: the same in contacts, rounded down.
    """

    draw: int
    run_id: str
    seed: str
    population: int
    size: int
    examined: int
    deviations: int
    confidence: float
    upper: float | None
    missed: int | None


@dataclass(frozen=True)
class Task:
    """A coaching task: `task` is the place of its entry, `rule` empty for all rules, `since` the day from which contacts are to be better, `due` that of
    the re-check (ISO dates); `result` one of `CHECKED`, empty while it is open, with who said so and why."""

    task: int
    agent_id: str
    rule: str
    since: str
    due: str
    actor: str
    comment: str
    result: str
    checked_by: str
    note: str

    def is_due(self, today: date) -> bool:
        """Whether it waits for its re-check."""
        return not self.result and self.due <= today.isoformat()


def tasks(entries: Sequence[Entry]) -> list[Task]:
    """The coaching tasks of a log, open ones first, by the day they are due; the last word on a task counts."""
    said = {entry.told["task"]: entry for entry in entries if entry.kind == COACHED}
    found = []
    for entry in entries:
        if entry.kind != COACH:
            continue
        closed = said.get(entry.seq)
        told, result = entry.told, (closed.state, closed.actor, closed.comment) if closed else ("", "", "")
        found.append(Task(entry.seq, told["agent"], told["rule"], told["since"], told["due"], entry.actor, entry.comment, *result))
    return sorted(found, key=lambda task: (bool(task.result), task.due, task.task))


def precision(standings: Iterable[Standing]) -> list[dict[str, Any]]:
    """Per rule: verdicts, how many said there was a breach (`right`), and Wilson's 95 % interval, which samples below `SMALLEST_SAMPLE` have not.

    Verdicts that wait for a second person, or that are stale, say nothing about the rule as it is; the latter are counted in `stale`.
    """
    counted: dict[str, Counter[str]] = {}
    for one in standings:
        if one.entry is None or one.state not in (*TRUE, *FALSE) or one.waiting:
            continue
        counts = counted.setdefault(one.entry.rule, Counter())
        counts["stale" if one.stale else "right" if one.state in TRUE else "wrong"] += 1
    found = []
    for rule, counts in sorted(counted.items()):
        of = counts["right"] + counts["wrong"]
        low, high = (None, None) if of < SMALLEST_SAMPLE else summary.interval(counts["right"], of)
        found.append({"rule": rule, "verdicts": of, "right": counts["right"], "low": low, "high": high, "stale": counts["stale"]})
    return found


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two judges over the same items; None where it is not defined: no pair, or both always said one and the same word.

    kappa = (po - pe) / (1 - pe): po is the share of items on which they agree, pe the share on which they would agree by chance, the sum over
    the words of the product of the two judges' shares of that word (Cohen, Educational and Psychological Measurement 20, 1960, 37-46).
    """
    if not pairs:
        return None
    size = len(pairs)
    one, other = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    # In whole numbers, so that agreement by chance alone is known exactly.
    by_chance = sum(one[word] * other[word] for word in one)
    if by_chance == size * size:
        return None
    agree = sum(a == b for a, b in pairs)
    return (agree * size - by_chance) / (size * size - by_chance)


def agreement(pairs: Sequence[tuple[str, str]]) -> Agreement:
    """Agreement over pairs of verdicts."""
    agree = sum(a == b for a, b in pairs)
    return Agreement(len(pairs), agree, agree / len(pairs) if pairs else None, *summary.interval(agree, len(pairs)), kappa(pairs))


def misses(draw: Entry, examined: Sequence[Entry]) -> Misses:
    """What the sample of a `contacts_drawn` entry comes to by the `contact` entries of it, the oldest first; the last word on a contact counts."""
    told = draw.told
    results = {entry.told["contact"]: entry.state for entry in examined if entry.kind == CONTACT and entry.told["draw"] == draw.seq}
    items: list[str] = told["contacts"]
    done = next((place for place, item in enumerate(items) if item not in results), len(items))
    deviations = sum(results[item] != "ok" for item in items[:done])
    upper = sampling.upper_limit(deviations, done, told["population"], told["confidence"]) if done else None
    missed = None if upper is None else int(upper * told["population"] + 1e-9)
    return Misses(draw.seq, draw.run_id, told["seed"], told["population"], len(items), done, deviations, told["confidence"], upper, missed)
