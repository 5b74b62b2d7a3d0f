"""What every kind of check shares: scope, dated values, the base rows, and the shape of its two SELECTs.

Unknown facts need no code of their own: a fact that is missing is NULL, and SQL's three-valued logic carries it to the
end. A scope or a breach condition that comes out NULL is `undetermined`, never `clear`.

A kind turns a rule into a `Compiled`:

* `standing`: (seq, standing, missing) for every contact, where standing is in_scope, not_applicable, not_in_force or
  undetermined;
* `hits`: (episode, seq, role, measured, permitted, missing, signal_ids), one row per contact that breaches (role
  breach), counts towards a limit that was passed (counted), is what a breach follows (cause), or cannot be decided
  (undetermined, with the missing fields).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from analyzer.model import UNNAMED, Rule
from analyzer.sql import literal

HITS = "episode, seq, role, measured, permitted, missing, signal_ids"
# What a scope may ask of a contact.
SCOPE_COLUMNS = frozenset(
    ["case_id", "debtor_id", "person_id", "agent_id", "team", "vendor", "collector", "lender", "lender_kind", "jurisdiction", "channel", "direction", "outcome", "call_type", "relation", "party", "knows", "duration_s", "staff_count", "dpd", "account_class", "stage", "template_id", "recording_id",
     "number_kind", "weekday", "working_day"]
)
KEYS = {
    "debtor": "debtor_id", "case": "case_id", "debt": "debt_id", "person": "human", "number": "number", "agent": "agent_id",
    "team": "team", "collector": "collector", "vendor": "vendor", "creditor": "creditor", "lender": "lender", "channel": "channel",
}  # fmt: skip
NEVER_NULL = ("debtor_id", "case_id", "collector", "creditor")


class BindError(Exception):
    """A check that cannot be compiled: where in the rule, and which sentence of the catalogue."""

    def __init__(self, at: tuple[str | int, ...], key: str, **params: object) -> None:
        """`at` is the path within the rule, `key` and `params` the sentence."""
        super().__init__(key)
        self.at, self.key, self.params = at, key, params


class Params(BaseModel):
    """Base of the parameters of a kind."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Range(Params):
    """A condition on a figure, both ends included."""

    min: int | None = None
    max: int | None = None


class Not(Params):
    """None of these; with `unknown`, a contact of which the fact is not known is taken to be none of them too."""

    none_of: list[str] = Field(alias="not")
    unknown: bool = False


Condition = bool | str | list[str] | Not | Range
Scope = dict[str, Condition]
Key = Literal["debtor", "case", "debt", "person", "number", "agent", "team", "collector", "vendor", "creditor", "lender", "channel"]
Figure = int | Annotated[str, Field(pattern=r"^\$[a-z_]+$")]
Moment = Annotated[str, Field(pattern=r"^(\$[a-z_]+|[0-2][0-9]:[0-5][0-9](:[0-5][0-9])?)$")]


AGENCY = "agency"
"""The kind of lender that says who collects."""
ITS_DAY = "$day"
"""Stands for the date in `Reach.in_force`."""


@dataclass(frozen=True)
class Reach:
    """What decides the standing of one contact `c`, as SQL: whether the pack binds it, whether it is in the scope, its date by the
    rule's clock, and whether the rule was in force on that date (written `ITS_DAY`)."""

    applies: str
    scope: str
    day: str
    in_force: str

    @property
    def case(self) -> str:
        """SQL: the standing, all together."""
        return (
            f"CASE WHEN NOT ({self.applies}) OR ({self.scope}) IS FALSE THEN 'not_applicable'"
            f" WHEN {self.day} IS NULL THEN 'undetermined' WHEN NOT {self.in_force.replace(ITS_DAY, self.day)} THEN 'not_in_force'"
            f" WHEN ({self.scope}) IS NULL THEN 'undetermined' ELSE 'in_scope' END"
        )


@dataclass(frozen=True)
class Compiled:
    """The two SELECTs of a rule (see the module's docstring), and the parts of the first."""

    standing: str
    reach: Reach
    hits: str


class Compiler:
    """One rule being compiled: its scope, its dated values, the columns it needs."""

    def __init__(self, rule: Rule, scope: Scope, clock: str | None = None, scope_at: tuple[str, ...] = ("check", "scope")) -> None:
        """`clock` is a zone name, or None for the recipient's own; `scope_at` is where the scope stands in the rule."""
        self.rule = rule
        self.clock = clock
        self.needs: dict[str, None] = {}
        # Columns that are wanted for some contacts only: SQL over `c` that one is wanted and lacking.
        self.lacking: dict[str, str] = {}
        self.joins: list[str] = []
        # Whether an instant whose zone is not known may take the date it has in UTC, where that is as much in force as its neighbours.
        self.rough = False
        # SQL over `c`: what is asked where nothing that the contact says is missing.
        self.open_question: str | None = None
        self._used: set[str] = set()
        self.scope = self.condition(scope, scope_at)

    def condition(self, scope: Mapping[str, Condition], at: tuple[str, ...], alias: str = "c") -> str:
        """SQL for a scope, in three-valued logic; the columns are remembered as needed."""
        parts = []
        for column, wanted in scope.items():
            if column not in SCOPE_COLUMNS:
                raise BindError((*at, column), "rules.scope_column", column=column, have=", ".join(sorted(SCOPE_COLUMNS)))
            if alias == "c" and not (isinstance(wanted, Not) and wanted.unknown):
                self.needs[column] = None
            parts.append(_condition(f"{alias}.{column}", wanted))
        return "(" + " AND ".join(parts) + ")" if parts else "true"

    def value(self, figure: object, at: tuple[str, ...], day: str = "s.day") -> str:
        """SQL for a parameter: itself, or the rule's value of that name in force on `day` (NULL before its first date)."""
        if not (isinstance(figure, str) and figure.startswith("$")):
            try:
                return literal(_moment(figure))
            except ValueError as error:
                raise BindError(at, "rules.not_a_time", text=str(figure)) from error
        name = figure[1:]
        if name not in self.rule.values:
            raise BindError(at, "rules.no_such_value", name=name, have=", ".join(self.rule.values) or "-")
        self._used.add(name)
        try:
            return dated(self.rule.values[name], day)
        except ValueError as error:
            raise BindError(("values", name), "rules.not_a_time", text=str(self.rule.values[name][-1][1])) from error

    def smallest(self, figure: object) -> int:
        """The smallest value a figure has had: what no group below it can pass."""
        return min(self._figures(figure))

    def _figures(self, figure: object) -> list[int]:
        if isinstance(figure, int):
            return [figure]
        spans = self.rule.values.get(str(figure)[1:], ())
        found = [v for _, v in spans if isinstance(v, int) and not isinstance(v, bool)]
        if not found:
            raise BindError(("values", str(figure)[1:]), "rules.value_not_figure", name=str(figure)[1:])
        return found

    @property
    def day(self) -> str:
        """SQL: the contact's own date by the clock of the rule."""
        if self.clock is None and self.rough:
            return f"CASE WHEN c.on_date IS NULL AND {self.in_force('(c.at_utc::DATE - 1)')} = {self.in_force('(c.at_utc::DATE + 1)')} THEN c.at_utc::DATE ELSE c.on_date END"
        if self.clock is None:
            return "c.on_date"
        # Of a contact without an hour the date by the recipient's clock is known, which may be this one.
        return f"(CASE WHEN c.at_utc IS NULL AND c.zone = {literal(self.clock)} THEN c.on_date ELSE {self.local}::DATE END)"

    @property
    def first_day(self) -> str:
        """SQL: the earliest date that it may be, by all candidate zones of the recipient."""
        return self.day if self.clock else "least(c.on_date, list_min(list_transform(c.other_local_at, lambda l: l::DATE)))"

    @property
    def last_day(self) -> str:
        """SQL: the latest date that it may be, by all candidate zones of the recipient."""
        return self.day if self.clock else "greatest(c.on_date, list_max(list_transform(c.other_local_at, lambda l: l::DATE)))"

    @property
    def local(self) -> str:
        """SQL: the wall clock the rule goes by."""
        if self.clock is None:
            return "c.local_at"
        zone = literal(self.clock)
        return f"(CASE WHEN c.zone = {zone} THEN c.local_at ELSE timezone({zone}, timezone('UTC', c.at_utc)) END)"

    def in_force(self, day: str) -> str:
        """SQL: whether the rule was in force on `day`."""
        parts = []
        if self.rule.in_force:
            parts.append(f"{day} >= {literal(self.rule.in_force)}")
        if self.rule.until:
            parts.append(f"{day} < {literal(self.rule.until)}")
        parts += [f"{dated(self.rule.values[name], day)} IS NOT NULL" for name in sorted(self._used)]
        return "(" + " AND ".join(parts) + ")" if parts else "true"

    @property
    def applies(self) -> str:
        """SQL: whether the pack binds here. An unknown kind of lender does not take a contact out, nor does one that says who collects and not whose debt it is."""
        parts = []
        if places := self.rule.applies_to.get("jurisdiction"):
            parts.append(_within("c.jurisdiction", places))
        if kinds := self.rule.applies_to.get("lender_kind"):
            parts.append(f"(c.lender_kind IS NULL OR c.lender_kind IN {literal([*kinds, AGENCY])})")
        return " AND ".join(parts) or "true"

    def fields(self, columns: Sequence[str], alias: str = "c") -> str:
        """SQL: the names of those columns that are NULL, joined by |; NULL where there is none."""
        names = dict.fromkeys(columns)
        # Without an instant there is no wall clock either: it is not the zone that is missing.
        lacking = {c: f"{alias}.{c} IS NULL{f' AND {alias}.at_utc IS NOT NULL' if c == 'local_at' and 'at_utc' in names else ''}" for c in names}
        lacking |= {c: found for c, found in self.lacking.items() if c in lacking and alias == "c"}
        # Two derived columns may come from one field: it is told once.
        told: dict[str, list[str]] = {}
        for column in names:
            told.setdefault(_told(column), []).append(lacking[column])
        parts = ", ".join(f"CASE WHEN {' OR '.join(conditions)} THEN {literal(field)} END" for field, conditions in told.items())
        if self.clock is None and not self.rough and "at_utc" in names and "local_at" not in names:
            # An instant without a date: it is the recipient's zone that is not known.
            parts += f", CASE WHEN {alias}.at_utc IS NOT NULL AND {alias}.on_date IS NULL THEN 'zone' END"
        return f"nullif(concat_ws('|', {parts}), '')" if parts else "NULL"

    def missing(self, columns: Sequence[str], alias: str = "c") -> str:
        """SQL: `fields`, or where none is missing the question the rule leaves open."""
        found = self.fields(columns, alias)
        return f"coalesce({found}, {self.open_question})" if self.open_question else found

    def base(self, *extra: str, in_force: bool = True, where: str = "true") -> str:
        """SELECT of the contacts that may be in scope, with `day`, `sure` (scope is certain) and `extra` columns.

        With `in_force` false, contacts before the rule's first day are there too (windows look back over it). `where`
        takes out early what is clear anyway, before a subquery of `extra` is asked about it.
        """
        force = f" AND (({self.day}) IS NULL OR {self.in_force(f'({self.day})')})" if in_force else ""
        columns = ", ".join(
            ["c.seq", "c.contact_id", "c.at_utc", f"{self.day} AS day", f"({self.scope}) IS TRUE AS sure", *extra]
        )
        return (
            f"SELECT {columns} FROM {' '.join(['contacts c', *self.joins])}"
            f" WHERE {self.applies} AND ({self.scope}) IS NOT FALSE{force} AND {where}"
        )

    def standing(self) -> tuple[str, Reach]:
        """The SELECT that says of every contact whether the rule applies to it, and its parts."""
        reach = Reach(self.applies, self.scope, f"({self.day})", self.in_force(ITS_DAY))
        missing = self.missing([*self.needs, "at_utc"])
        return f"SELECT c.seq, {reach.case} AS standing, {missing} AS missing FROM contacts c", reach


def _told(column: str) -> str:
    """The field a user would have to supply for a derived column."""
    return {
        "on_date": "started_at", "at_utc": "started_at", "day": "started_at", "local_at": "zone", "party": "relation",
        "account_class": "dpd", "stage": "dpd", "human": "person_id",
    }.get(column, column)  # fmt: skip


def _within(column: str, places: Sequence[str]) -> str:
    """SQL: whether a place is one of these or lies in one: US holds US-MA too."""
    inside = [f"starts_with({column}, {literal(place + '-')})" for place in places]
    return f"({' OR '.join([f'{column} IN {literal(places)}', *inside])})"


def _condition(column: str, wanted: Condition) -> str:
    if column.endswith(".jurisdiction") and isinstance(wanted, (str, list)):
        return _within(column, [wanted] if isinstance(wanted, str) else wanted)
    match wanted:
        case bool() | str():
            return f"{column} = {literal(wanted)}"
        case list():
            return f"{column} IN {literal(wanted)}"
        case Not() if column.endswith(".jurisdiction"):
            inside = _within(column, wanted.none_of)
            return f"({inside}) IS NOT TRUE" if wanted.unknown else f"NOT {inside}"
        case Not():
            none = f"{column} NOT IN {literal(wanted.none_of)}"
            return f"({none}) IS NOT FALSE" if wanted.unknown else none
        case Range():
            ends = [f"{column} >= {wanted.min}"] if wanted.min is not None else []
            ends += [f"{column} <= {wanted.max}"] if wanted.max is not None else []
            return " AND ".join(ends) or "true"


def _moment(value: object) -> object:
    """"22:00" as a time of day, anything else as it is."""
    if isinstance(value, str) and len(value) in (5, 8) and value[2] == ":":
        return time.fromisoformat(value)
    return value


def dated(spans: tuple[tuple[date, Any], ...], day: str) -> str:
    """SQL: the value in force on `day`; NULL before the first date, and where a value was ended by null."""
    whens = " ".join(f"WHEN {day} >= {literal(since)} THEN {literal(_moment(value))}" for since, value in reversed(spans))
    return f"(CASE {whens} END)"


def keys_of(per: Sequence[Key]) -> list[str]:
    """The columns that make up a key."""
    return [KEYS[key] for key in per]


def guests(keys: Sequence[str], rows: str, there: str, known: str) -> str:
    """SELECT of rows that may belong to a key they do not name: they lack a part of it, or name no collector, and another row of
    their case has that key whole and agrees with the rest. Somebody without an id whose relation is known is nobody of another relation.

    Args:
        keys: the columns of the key.
        rows: SELECT with seq, contact_id, at_utc, day, missing, case_id, relation and the keys.
        there: SELECT of the other rows, with day, case_id, relation and the keys.
        known: SQL: whether one of those has its whole key.

    The columns are the keys (those of the other row), seq, contact_id, at_utc, day, missing, and `lost`: whether a part is lacking.
    """
    doubt = {k: f"(b.{k} IS NULL{f' OR b.{k} = {literal(UNNAMED)}' if k == 'collector' else ''})" for k in keys}
    agrees = " AND ".join(f"({doubt[k]} OR b.{k} = g.{k})" for k in keys)
    of_whom = ", relation" if "human" in keys else ""
    if of_whom:
        agrees += " AND (b.human IS NOT NULL OR b.relation IS NULL OR g.relation IS NULL OR b.relation = g.relation)"
    return (
        f"SELECT DISTINCT {', '.join(f'g.{k}' for k in keys)}, b.seq, b.contact_id, b.at_utc, b.day, coalesce(b.missing, 'vendor') AS missing,"
        f" {' OR '.join(f'b.{k} IS NULL' for k in keys)} AS lost"
        f" FROM (SELECT * FROM ({rows}) b WHERE b.day IS NOT NULL AND ({' OR '.join(doubt.values())})) b"
        f" JOIN (SELECT DISTINCT case_id AS case_there, {', '.join(keys)}{of_whom} FROM ({there}) WHERE {known}) g"
        f" ON g.case_there = b.case_id AND {agrees} AND NOT ({' AND '.join(f'b.{k} IS NOT DISTINCT FROM g.{k}' for k in keys)})"
    )


def either(breach: str) -> str:
    """SQL: the role of a row that breaches when the condition holds, and is undetermined otherwise."""
    return f"CASE WHEN {breach} THEN 'breach' ELSE 'undetermined' END"


def row(episode: str, seq: str = "s.seq", role: str = "'breach'", measured: str = "NULL", permitted: str = "NULL",
        missing: str = "NULL", signal_ids: str = "NULL") -> str:  # fmt: skip
    """The select list of one kind of hit, in the order of `HITS` and with its types."""
    return (
        f"({episode})::VARCHAR AS episode, {seq} AS seq, ({role})::VARCHAR AS role, ({measured})::VARCHAR AS measured,"
        f" ({permitted})::VARCHAR AS permitted, ({missing})::VARCHAR AS missing, ({signal_ids})::BIGINT[] AS signal_ids"
    )
