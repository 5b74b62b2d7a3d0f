"""Which canonical table a source is, and which of its columns is which: proposed, shown, and only then used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.errors import InputError, UsageError
from analyzer.intake.columns import TABLES, Table, fold, header_aliases, is_known_header, table
from analyzer.intake.mapping import Const, Mapping
from analyzer.sources import Source


@dataclass(frozen=True)
class Plan:
    """How a source is read: canonical column -> positions of the source's columns (joined by "|"), or a constant."""

    source: Source
    table: Table
    positions: dict[str, tuple[int, ...]]
    constants: dict[str, str]
    values: dict[str, dict[str, str]]
    zone: str | None
    date_order: str | None
    repeats: str
    by: str

    @property
    def unmapped(self) -> list[str]:
        """Headers of the source that nothing reads."""
        used = {p for positions in self.positions.values() for p in positions}
        return [name for i, name in enumerate(self.source.columns) if i not in used]

    def provides(self, column: str) -> bool:
        """Whether the source has this canonical column at all."""
        return column in self.positions or column in self.constants


def propose(source: Source, mapping: Mapping) -> Plan:
    """The plan for a source, by the mapping's entry for it or else by header names.

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
    for column, position in _by_header(spec, folded).items():
        if column not in positions and column not in constants and position not in taken:
            positions[column] = (position,)
    missing = [c.name for c in spec.columns if c.required and c.name not in positions and c.name not in constants]
    if missing:
        raise InputError(
            "input.missing_columns", path=source.name, table=spec.name, columns=", ".join(missing),
            found=named(source),
        )  # fmt: skip
    return Plan(
        source, spec, positions, constants, entry.values if entry else {},
        (entry.zone if entry else None) or mapping.zone, entry.date_order if entry else None,
        entry.repeats if entry else "duplicates", mapping.name if entry else "built-in",
    )  # fmt: skip


def _by_header(spec: Table, folded: Sequence[str]) -> dict[str, int]:
    """Canonical column -> position. Its own name beats an alias, an earlier alias a later one, then the first column."""
    known = header_aliases(spec.name)
    ranked: dict[str, tuple[int, int]] = {}
    for position, name in enumerate(folded):
        target = known.get(name)
        if target is None:
            continue
        column = spec.column(target)
        assert column is not None
        order = [fold(column.name), *(fold(a) for a in column.aliases)]
        rank = (order.index(name), position)
        if target not in ranked or rank < ranked[target]:
            ranked[target] = rank
    return {target: position for target, (_, position) in ranked.items()}


def _best(source: Source) -> Table:
    folded = [fold(name) for name in source.columns]
    fits: list[tuple[int, int, Table]] = []
    for spec in TABLES:
        found = _by_header(spec, folded)
        required = [c.name for c in spec.columns if c.required]
        have = sum(name in found for name in required)
        fits.append((int(have == len(required)), len(set(found.values())), spec))
    complete = [(hits, spec) for whole, hits, spec in fits if whole]
    near = max(fits, key=lambda fit: fit[1])
    # A table that most of the headers speak for, but that lacks a required column, is not taken for a smaller one.
    if near[1] >= 2 and near[1] > max((hits for hits, _ in complete), default=0) + 1:
        spec, found = near[2], _by_header(near[2], folded)
        raise InputError(
            "input.missing_columns", path=source.name, table=spec.name,
            columns=", ".join(c.name for c in spec.columns if c.required and c.name not in found),
            found=named(source),
        )  # fmt: skip
    if not complete:
        key = "input.unknown_table" if source.header_row or source.kind not in ("csv", "excel") else "input.no_header"
        raise InputError(key, path=source.name, found=named(source))
    most = max(hits for hits, _ in complete)
    best = [spec for hits, spec in complete if hits == most]
    if len(best) > 1:
        raise InputError("input.two_tables", path=source.name, tables=", ".join(s.name for s in best))
    return best[0]


def named(source: Source) -> str:
    """The columns of a source for a message; none where no header is known for sure: its cells may be data about people."""
    return ", ".join(source.columns[:12]) if sum(map(is_known_header, source.columns)) >= 2 else "-"


def _position(source: Source, folded: Sequence[str], wanted: str) -> int:
    if wanted in source.columns:
        return source.columns.index(wanted)
    if fold(wanted) in folded:
        return folded.index(fold(wanted))
    raise UsageError(
        "mapping.no_such_column", path=source.name, column=wanted, found=named(source)
    )
