"""Which canonical table a source is, and which of its columns is which: proposed, shown, and only then used."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from collections.abc import Mapping as Maps
from dataclasses import dataclass, field, replace

from analyzer.errors import InputError, UsageError
from analyzer.intake.columns import (
    NUMBER_OR_CHANNEL,
    OF_CALLS,
    OF_OTHERS,
    OURS,
    TABLES,
    TIME_OR_DURATION,
    Table,
    fold,
    header_aliases,
    is_caller,
    is_known_header,
    named,
    simplified,
    table,
)
from analyzer.intake.mapping import Const, Mapping
from analyzer.sources import Source


@dataclass(frozen=True)
class Plan:
    """How a source is read: canonical column -> positions of the source's columns (joined by "|"; a time's date and clock by a blank),
    or a constant. `units`: what the header says of a column's unit. `caller`: where the number is of who called, for inbound calls.
    `zone_words`: words for zones in the times -> minutes east of UTC. `fill_down`: columns whose empty cells hold what stands above.
    `told_by`: where people have no id, the columns that tell them apart, the name first. `beside`: columns that the source's other tables
    read. `holds`: the column without which a row has nothing for this table: nobody's number, no borrower's name."""

    source: Source
    table: Table
    positions: dict[str, tuple[int, ...]]
    constants: dict[str, str]
    values: dict[str, dict[str, str]]
    zone: str | None
    date_order: str | None
    repeats: str
    by: str
    units: Maps[str, str] = field(default_factory=dict)
    caller: int | None = None
    zone_words: Maps[str, int] = field(default_factory=dict)
    fill_down: tuple[str, ...] = ()
    told_by: tuple[int, ...] = ()
    beside: frozenset[int] = frozenset()
    holds: int | None = None

    @property
    def unmapped(self) -> list[str]:
        """Headers of the source that nothing reads."""
        used = {p for positions in self.positions.values() for p in positions} | {self.caller} | self.beside
        return [name for i, name in enumerate(self.source.columns) if i not in used]

    def provides(self, column: str) -> bool:
        """Whether the source has this canonical column at all."""
        return column in self.positions or column in self.constants


def propose(source: Source, mapping: Mapping) -> tuple[Plan, ...]:
    """The plans for a source, by the mapping's entry for it or else by header names: one, or two for a list of people with their numbers.

    Raises:
        InputError: no canonical table fits, two fit equally well, or a required column is missing.
        UsageError: the mapping names a column that the source does not have.
    """
    entry = mapping.for_source(source)
    spec = table(entry.table) if entry else _best(source)
    positions: dict[str, tuple[int, ...]] = {}
    constants: dict[str, str] = {}
    folded = [fold(name) for name in source.columns]
    if entry:
        for name, target in entry.columns.items():
            if isinstance(target, Const):
                constants[name] = target.const
            else:
                wanted = [target] if isinstance(target, str) else target
                positions[name] = tuple(_position(source, folded, w) for w in wanted)
    # A column that the mapping already reads is not proposed a second time under another name.
    taken = {p for used in positions.values() for p in used}
    for column, proposed in _by_header(spec, source).items():
        if column not in positions and column not in constants and not taken & set(proposed):
            positions[column] = proposed
    if spec.name == "contacts" and "channel" not in positions and "channel" not in constants and _calls_only(source):
        constants["channel"] = "call"
    if missing := _lacking(spec, {*positions, *constants}):
        raise InputError(
            "input.missing_columns", path=source.name, table=spec.name, columns=", ".join(missing),
            found=shown_columns(source),
        )  # fmt: skip
    if entry and (lost := [name for name in entry.fill_down if name not in positions]):
        raise UsageError("mapping.fill_down", path=source.name, column=lost[0], found=shown_columns(source))
    named_by_id = spec.name != "persons" or "person_id" in positions or "person_id" in constants
    known = header_aliases(spec.name)
    units = {name: unit for name, (first, *_) in positions.items() if (unit := named(known, source.columns[first])[1])}
    caller = next((p for p, name in enumerate(source.columns) if is_caller(name) and p not in taken), None) if spec.name == "contacts" and "direction" in positions and not (entry and "number" in entry.columns) else None
    plan = Plan(
        source, spec, positions, constants, entry.values if entry else {},
        (entry.zone if entry else None) or mapping.zone, entry.date_order if entry else None,
        entry.repeats if entry else "duplicates", mapping.name if entry else "built-in", units, caller,
        fill_down=tuple(entry.fill_down) if entry else (), told_by=() if named_by_id else _told_by(positions),
    )  # fmt: skip
    numbers = _numbers_beside(plan) if spec.name == "persons" else None
    return (plan,) if numbers is None else told_apart(plan, numbers)


def told_apart(*plans: Plan) -> tuple[Plan, ...]:
    """Plans for one source, each with what the others read."""
    read = [frozenset(p for used in plan.positions.values() for p in used) for plan in plans]
    return tuple(replace(plan, beside=frozenset().union(*read[:i], *read[i + 1 :])) for i, plan in enumerate(plans))


def _lacking(spec: Table, names: Iterable[str]) -> list[str]:
    """Required columns that are not among these. A person without an id is told by name, case and relation."""
    have = {*names, "person_id"} if spec.name == "persons" and "name" in names else {*names}
    return [c.name for c in spec.columns if c.required and c.name not in have]


def _told_by(positions: Maps[str, tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(p for name in ("name", "case_id", "relation") for p in positions.get(name, ())) if "name" in positions else ()


def borrowers(plan: Plan) -> tuple[Plan, ...]:
    """The borrowers of a list of cases and their numbers, where it has both: for an audit without lists of people and numbers."""
    if plan.table.name != "cases" or "debtor_name" not in plan.positions or "case_id" not in plan.positions:
        return ()
    who = {"case_id": plan.positions["case_id"], "name": plan.positions["debtor_name"]}
    person = replace(
        plan, table=table("persons"), positions=who, constants={"relation": "self"}, values={}, units={}, told_by=_told_by(who),
        fill_down=tuple(name for name in plan.fill_down if name in who), holds=who["name"][0],
    )  # fmt: skip
    numbers = _numbers_beside(person, {p for used in plan.positions.values() for p in used})
    return () if numbers is None else (person, numbers)


def _numbers_beside(plan: Plan, others: Collection[int] = ()) -> Plan | None:
    """The numbers in a list of people, as a table of their own; `others`: columns that are something else."""
    spec, taken = table("numbers"), {p for used in plan.positions.values() for p in used}.union(others)
    found = {name: used for name, used in _by_header(spec, plan.source).items() if not taken & set(used)}
    if "number" not in found:
        return None
    shared = {name: plan.positions[name] for name in ("case_id", "person_id") if name in plan.positions}
    constants = {name: value for name, value in plan.constants.items() if name in ("case_id", "person_id")}
    fill_down = tuple(name for name in plan.fill_down if name in shared)
    return replace(plan, table=spec, positions=found | shared, constants=constants, values={}, units={}, fill_down=fill_down, holds=found["number"][0])


def _by_header(spec: Table, source: Source) -> dict[str, tuple[int, ...]]:
    """Canonical column -> positions. Its own name beats an alias, an earlier alias a later one, then the first column; one whose cells
    are all empty in the first rows comes after one that holds something. Where a header may mean two things, its cells decide."""
    known = header_aliases(spec.name)
    ranked: dict[str, tuple[bool, int, int]] = {}
    for position, header in enumerate(source.columns):
        target, unit = named(known, header)
        target = _by_cells(spec, header, target, source, position)
        if target is None or (target == "number" and unit in OURS):
            continue
        column = spec.column(target)
        assert column is not None
        order = [fold(column.name), *(fold(a) for a in column.aliases)]
        rank = (not _cells(source, position), order.index(fold(header)) if fold(header) in order else len(order), position)
        if target not in ranked or rank < ranked[target]:
            ranked[target] = rank
    found: dict[str, tuple[int, ...]] = {target: (position,) for target, (_, _, position) in ranked.items()}
    if spec.name == "contacts" and (pair := _date_and_clock(source, known)):
        found["started_at"] = pair
    return found


_DIGITS = re.compile(r"(?:[^0-9]*[0-9]){7}")
_DATE = re.compile(r"\d{1,4}[-/.年 ]\s*\d{1,2}[-/.月 ]\s*\d{1,4}日?(?:[T ]0?0:00(?::00)?(?:\.0+)?)?|(?:19|20)\d{6}|\d{1,2}[- ][A-Za-z]{3}[- ]\d{2,4}")
_CLOCK = re.compile(r"(?:(?:1899|1900)-\d\d-\d\d[T ])?\s*(?:[上下中]午|凌晨|早上|晚上?)?\s*\d{1,2}[:时点]\d{2}(?:[:分]\d{2}秒?)?(?:\.\d+)?\s*(?:[AaPp]\.?[Mm]\.?)?|0\.\d{3,}")
_LENGTH = re.compile(r"\d{1,5}(?:\.\d+)?|(?:\d{1,2}:)?\d{1,3}:\d{2}|(?:\d+小?时)?(?:\d+分钟?)?\d+秒?")


def _cells(source: Source, position: int) -> list[str]:
    """What stands in a column in the first rows."""
    return [cell.strip() for row in source.sample if position < len(row) and (cell := row[position]) and cell.strip()]


def _all(pattern: re.Pattern[str], cells: Sequence[str]) -> bool:
    return bool(cells) and all(pattern.fullmatch(cell) for cell in cells)


def _by_cells(spec: Table, header: str, target: str | None, source: Source, position: int) -> str | None:
    """What a header that may mean two things means here: 联系方式 is a channel or a number, 通话时间 a time or a duration."""
    if spec.name != "contacts":
        return target
    name, cells = simplified(fold(header)), _cells(source, position)
    if name == NUMBER_OR_CHANNEL:
        return "number" if cells and sum(bool(_DIGITS.match(cell)) for cell in cells) * 2 > len(cells) else "channel"
    others = any(named(header_aliases("contacts"), h)[0] == "started_at" for p, h in enumerate(source.columns) if p != position)
    if target == "started_at" and name == TIME_OR_DURATION and others and _all(_LENGTH, cells):
        return "duration_s"
    return target


def _date_and_clock(source: Source, known: dict[str, str]) -> tuple[int, int] | None:
    """Where the date of a contact and its time of day stand in columns of their own: 拨打日期 and 拨打时间."""
    columns = [p for p, header in enumerate(source.columns) if named(known, header)[0] == "started_at"]
    dates = [p for p in columns if _all(_DATE, _cells(source, p))]
    clocks = [p for p in columns if _all(_CLOCK, _cells(source, p))]
    whole = [p for p in columns if p not in dates and p not in clocks and _cells(source, p)]
    return (dates[0], clocks[0]) if dates and clocks and not whole else None


def _calls_only(source: Source) -> bool:
    """Whether a list without a channel is what a dialler exports: at least three headers speak of calls, and none of anything else."""
    return sum(bool(OF_CALLS.search(name)) for name in source.columns) >= 3 and not any(OF_OTHERS.search(name) for name in source.columns)


_OF_A_CONTACT = {"text", "outcome", "channel", "agent_id", "duration_s", "direction", "call_type", "started_at"}


def _best(source: Source) -> Table:
    fits: list[tuple[int, int, Table]] = []
    for spec in TABLES:
        found = _by_header(spec, source)
        # What was said or came of it makes a list of contacts, even of one that lacks their times.
        events = spec.name == "persons" and "person_id" not in found and _OF_A_CONTACT & _by_header(table("contacts"), source).keys()
        fits.append((int(not _lacking(spec, found) and not events), len(found), spec))
    # One known column among several says too little: a list of visits with a case number is no list of cases.
    complete = [(hits, spec) for whole, hits, spec in fits if whole and (hits > 1 or len(source.columns) <= 2)]
    near = max(fits, key=lambda fit: fit[1])
    # A table that most of the headers speak for, but that lacks a required column, is not taken for a smaller one.
    if near[1] >= 2 and near[1] > max((hits for hits, _ in complete), default=0) + 1:
        spec, found = near[2], _by_header(near[2], source)
        raise InputError(
            "input.missing_columns", path=source.name, table=spec.name,
            columns=", ".join(_lacking(spec, found)),
            found=shown_columns(source),
        )  # fmt: skip
    if not complete:
        key = "input.unknown_table" if source.header_row or source.kind not in ("csv", "excel", "html", "xml") else "input.no_header"
        raise InputError(key, path=source.name, found=shown_columns(source))
    most = max(hits for hits, _ in complete)
    best = [spec for hits, spec in complete if hits == most]
    # A list of people is read for their numbers too, not the other way round.
    people = [spec for _, spec in complete if spec.name == "persons"]
    if people and {spec.name for spec in best} <= {"persons", "numbers"}:
        return people[0]
    if len(best) > 1:
        raise InputError("input.two_tables", path=source.name, tables=", ".join(s.name for s in best))
    return best[0]


def shown_columns(source: Source) -> str:
    """The columns of a source for a message; none where no header is known for sure: its cells may be data about people."""
    return ", ".join(source.columns[:12]) if sum(map(is_known_header, source.columns)) >= 1 else "-"


def _position(source: Source, folded: Sequence[str], wanted: str) -> int:
    if wanted in source.columns:
        return source.columns.index(wanted)
    if fold(wanted) in folded:
        return folded.index(fold(wanted))
    raise UsageError(
        "mapping.no_such_column", path=source.name, column=wanted, found=shown_columns(source)
    )
