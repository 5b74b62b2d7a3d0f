"""Do a rule's examples notice when the rule is changed? Each limit, time, date and condition is changed by itself, and its cases are run.

A change that no case notices says that the examples do not prove that part of the rule: one that lies just beside the limit, or
that has the fact and lacks it, is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from analyzer.casebook import bench, derive_given, found_wrong, judged
from analyzer.checks import Prepared, entities_of, prepare, rebind
from analyzer.model import Pack, Rule
from analyzer.text import Words

_TIME = re.compile(r"[0-2]\d:[0-5]\d(:[0-5]\d)?")
# What a check is, and the statement of a check in SQL, have no neighbouring value.
_FIXED = ("kind", "of")


@dataclass(frozen=True)
class Mutant:
    """A rule with one thing changed, and where: `what` reads `check.scope.dpd.min 6 -> 7`. `noticed`: the case that fails with it."""

    rule: str
    what: str
    noticed: str | None


@dataclass(frozen=True)
class Score:
    """How many changes to the rules of a pack there were, and how many of them a case noticed."""

    pack: str
    changes: int
    noticed: int

    @property
    def share(self) -> float:
        """Noticed of changes; 1 where nothing could be changed."""
        return self.noticed / self.changes if self.changes else 1.0


def scores(found: Sequence[Mutant]) -> list[Score]:
    """By pack, in the order found."""
    by_pack: dict[str, list[Mutant]] = {}
    for mutant in found:
        by_pack.setdefault(mutant.rule.split("/")[0], []).append(mutant)
    return [Score(pack, len(listed), sum(m.noticed is not None for m in listed)) for pack, listed in by_pack.items()]


def mutants(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """(what was changed, the changed rule): figures and times by one, dates by a day; each condition and each item of a list left out."""
    for name, spans in rule.values.items():
        for place, (since, value) in enumerate(spans):
            for day in (since - timedelta(1), since + timedelta(1)):
                if place == 0 and rule.in_force and max(since, day) <= rule.in_force:
                    # The rule's own first day comes later anyway.
                    continue
                yield f"values.{name} {since} -> {day}", _with_span(rule, name, place, (day, value))
            for other in _beside(value):
                yield f"values.{name}.{since} {value} -> {other}", _with_span(rule, name, place, (since, other))
    for key, first in (("in_force", rule.in_force), ("until", rule.until)):
        for day in (first - timedelta(1), first + timedelta(1)) if first else ():
            # Before the first date of its values a rule is not in force either, whatever its own first day.
            if key == "until" or all(spans[0][0] < max(first or day, day) for spans in rule.values.values()):
                yield f"{key} {first} -> {day}", replace(rule, until=day) if key == "until" else replace(rule, in_force=day)
    for what, check in _changed(rule.check, "check"):
        yield what, replace(rule, check=check)


def _with_span(rule: Rule, name: str, place: int, span: tuple[date, Any]) -> Rule:
    spans = rule.values[name]
    return replace(rule, values=rule.values | {name: (*spans[:place], span, *spans[place + 1 :])})


def _changed(node: Any, at: str) -> Iterator[tuple[str, Any]]:
    """(what, the node with one thing in it changed)."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _FIXED or (key == "select" and isinstance(value, str)):
                continue
            yield f"{at}.{key} left out", {k: v for k, v in node.items() if k != key}
            for what, other in _changed(value, f"{at}.{key}"):
                yield what, node | {key: other}
    elif isinstance(node, list):
        for place, value in enumerate(node):
            if len(node) > 1:
                yield f"{at} without {_short(value)}", [*node[:place], *node[place + 1 :]]
            if isinstance(value, dict):
                for what, other in _changed(value, f"{at}.{place}"):
                    yield what, [*node[:place], other, *node[place + 1 :]]
    else:
        for other in _beside(node):
            yield f"{at} {node} -> {other}", other


def _beside(value: Any) -> Iterator[Any]:
    """The neighbours of a figure, a time of day or a truth."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value - 1, value + 1)
    elif isinstance(value, str) and _TIME.fullmatch(value):
        for minutes in (-1, 1):
            moved = datetime.combine(date(2000, 1, 1), datetime.strptime(value[:5], "%H:%M").time()) + timedelta(minutes=minutes)
            yield moved.strftime("%H:%M")


def _short(value: Any) -> str:
    return str(value)[:60]


def mutate(
    packs: Sequence[Pack], only: Sequence[str], words: Words, folder: Path, progress: Callable[[int, int], None] = lambda *_: None
) -> list[Mutant]:
    """Every change to every rule of some packs that is still a rule, and whether the rule's own cases notice.

    Args:
        packs: all packs, since a near miss is of a rule of another.
        only: packs, or rules as pack/id, that are changed; all when empty.
        words: what reads the texts of cases.
        folder: the rules folder, for its calendars.
        progress: called with (rules done, of how many).

    Raises:
        RuleErrors: a rule cannot be used as it is.
    """
    prepared = prepare(packs, concepts=words.lexicons.ids)
    words = replace(words, entities=frozenset(entities_of(prepared)))
    others = {rule.ref: rule for pack in packs for rule in pack.rules}
    places = {pack.id: pack.jurisdiction or "CN" for pack in packs}
    chosen = [item for item in prepared if not only or item.rule.pack in only or item.rule.ref in only]
    found: list[Mutant] = []
    for done, item in enumerate(chosen):
        progress(done, len(chosen))
        changed = rebind([rule for _, rule in mutants(item.rule)], others, words.lexicons.ids)
        alive = {what: variant for (what, _), variant in zip(mutants(item.rule), changed, strict=True) if variant is not None and _differs(variant, item)}
        found += _noticed(item, alive, words, places[item.rule.pack], folder)
    progress(len(chosen), len(chosen))
    return found


def _differs(variant: Prepared, item: Prepared) -> bool:
    """Whether a change changes anything that is run: a default written out may be left out."""
    return variant.compiled != item.compiled


def _noticed(item: Prepared, alive: dict[str, Prepared], words: Words, jurisdiction: str, folder: Path) -> list[Mutant]:
    told: dict[str, str | None] = dict.fromkeys(alive)
    with bench(folder) as con:
        for spec in item.rule.cases:
            left = [what for what, by in told.items() if by is None]
            if spec["todo"] or not left:
                continue
            con.execute("BEGIN")
            derive_given(con, spec["given"], words, jurisdiction, item.rule.ref)
            # A case that does not hold as it is notices nothing.
            for what, variant in (("", item), *((what, alive[what]) for what in left)):
                wrong = found_wrong(spec, judged(con, variant))
                con.execute("DELETE FROM rule_results")
                con.execute("DELETE FROM hits")
                if wrong and not what:
                    break
                if wrong:
                    told[what] = spec["name"]
            con.execute("ROLLBACK")
    return [Mutant(item.rule.ref, what, by) for what, by in told.items()]
