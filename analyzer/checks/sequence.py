"""Kind `sequence`: a contact that must come after another one, or be followed by one.

`before`: so many contacts of the same keys within a window that ends with the contact judged (notice before a visit).
`after`: so many within a window that begins with it (a message after a call nobody answered).

What the log cannot show is not taken for missing: where the window reaches over the beginning or the end of the log and too
few were found, the contact is undetermined; so is one whose working days no calendar covers.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from analyzer.checks.base import NEVER_NULL, Compiled, Compiler, Figure, Key, Params, Scope, keys_of, row
from analyzer.checks.conditions import Unless, lifted
from analyzer.model import Rule
from analyzer.sql import literal


class Step(Params):
    """At least `at_least` contacts `where`, of the same `per`, within `dates`, `working_days` or `hours` of the contact judged.

    The contact's own date is day 0: `dates: 3` reaches three dates further. `lead` asks that so many dates (or working
    days) lie between them at the least.
    """

    where: Scope
    per: list[Key] = Field(min_length=1)
    dates: Figure | None = None
    working_days: Figure | None = None
    hours: int | None = Field(default=None, ge=1)
    lead: int = Field(default=0, ge=0)
    at_least: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _one_window(self) -> Step:
        if sum(x is not None for x in (self.dates, self.working_days, self.hours)) != 1:
            raise ValueError("give exactly one of dates, working_days, hours")
        if self.lead and self.hours:
            raise ValueError("lead goes with dates or working_days")
        return self


class Sequence(Params):
    """See the module's docstring. Exactly one of `before` and `after`."""

    kind: Literal["sequence"]
    scope: Scope
    before: Step | None = None
    after: Step | None = None
    unless: Unless | None = None

    @model_validator(mode="after")
    def _one_side(self) -> Sequence:
        if (self.before is None) == (self.after is None):
            raise ValueError("give exactly one of before and after")
        return self


def compile_sequence(rule: Rule, params: Sequence) -> Compiled:
    """See `Sequence`. Needs: started_at, the keys, what scope and conditions ask."""
    compiler = Compiler(rule, params.scope)
    earlier = params.before is not None
    name, step = ("before", params.before) if params.before else ("after", params.after)
    assert step is not None
    closed = f"NOT {lifted(compiler, params.unless, ('check', 'unless'))}" if params.unless else "true"
    keys = keys_of(step.per)
    other = compiler.condition(step.where, ("check", name, "where"), alias="t")
    needed = [*compiler.needs, *(k for k in keys if k not in NEVER_NULL), "at_utc"]
    nth, join_t = "NULL::BIGINT", ""
    if step.working_days is not None:
        nth, join = "k.nth", "LEFT JOIN calendar_days k ON k.jurisdiction = split_part({0}.jurisdiction, '-', 1) AND k.on_date = {0}.on_date"
        compiler.joins.append(join.format("c"))
        join_t = join.format("t")
    # Before the contacts are chosen: where the window is a dated value, its first date too says from when the rule holds.
    window, outside, uncovered = _window(compiler, step, name, earlier)
    base = compiler.base(*(f"c.{k}" for k in keys), "c.jurisdiction", f"{nth} AS nth", f"({closed}) AS wanted", f"{compiler.missing(needed)} AS missing")
    others = (
        f"SELECT t.seq AS other, t.at_utc AS other_at, t.on_date AS other_day, {nth} AS other_nth, {', '.join(f't.{k} AS other_{k}' for k in keys)},"
        f" ({other}) AS happened FROM contacts t {join_t} WHERE ({other}) IS NOT FALSE AND t.at_utc IS NOT NULL"
    )
    together = " AND ".join(f"o.other_{k} = s.{k}" for k in keys)
    judged = (
        "SELECT s.*, count(DISTINCT o.other) FILTER (WHERE o.happened) AS n_sure, count(DISTINCT o.other) AS n_all,"
        " list(DISTINCT o.other) FILTER (WHERE o.happened) AS others"
        f" FROM ({base}) s LEFT JOIN ({others}) o ON {together} AND {window} GROUP BY ALL"
    )
    known = " AND ".join(f"s.{k} IS NOT NULL" for k in ["day", *keys])
    decided = (
        f"SELECT s.*, CASE WHEN NOT ({known}) THEN NULL WHEN s.n_sure >= {step.at_least} OR s.wanted IS FALSE THEN false"
        f" WHEN s.n_all >= {step.at_least} OR {outside} OR {uncovered} THEN NULL ELSE s.wanted END AS shut,"
        f" coalesce(s.missing, CASE WHEN s.n_all >= {step.at_least} THEN 'outcome' WHEN {uncovered} THEN 'calendar'"
        f" WHEN {outside} THEN {literal('earlier_log' if earlier else 'later_log')} END) AS lacks FROM ({judged}) s"
    )
    episode = f"concat_ws(chr(124), {', '.join(f's.{k}' for k in keys)}, s.contact_id)"
    hits = (
        f"WITH decided AS ({decided}), shut AS (SELECT * FROM decided WHERE sure AND shut)"
        f" SELECT {row(episode, measured='s.n_sure', permitted=literal(f'>= {step.at_least}'))} FROM shut s"
        f" UNION ALL SELECT {row(episode, seq='s.found', role=literal('counted'))} FROM (SELECT *, unnest(others) AS found FROM shut) s"
        f" UNION ALL SELECT {row('concat_ws(chr(124), s.seq)', role=literal('undetermined'), missing='s.lacks')}"
        f" FROM decided s WHERE s.shut IS NULL OR (s.shut AND NOT s.sure)"
    )
    return Compiled(*compiler.standing(), hits)


def _window(compiler: Compiler, step: Step, name: str, earlier: bool) -> tuple[str, str, str]:
    """SQL: whether `o` lies in the window of `s`; whether that window leaves the log; whether no calendar covers it."""
    sign, order = ("-", "<") if earlier else ("+", ">")
    begin = "(SELECT min(at_utc) FROM contacts)" if earlier else "(SELECT max(at_utc) FROM contacts)"
    side = f"o.other_at {order} s.at_utc"
    if step.hours is not None:
        edge = f"s.at_utc {sign} INTERVAL {step.hours} HOUR"
        inside = f"o.other_at >= {edge}" if earlier else f"o.other_at <= {edge}"
        return f"{side} AND {inside}", f"({edge} {order} {begin})", "false"
    distance = "(s.day - o.other_day)" if earlier else "(o.other_day - s.day)"
    days = compiler.value(step.dates if step.dates is not None else step.working_days, ("check", name, "dates"))
    ends = "(SELECT min(on_date) FROM contacts)" if earlier else "(SELECT max(on_date) FROM contacts)"
    if step.dates is not None:
        within = f"{distance} BETWEEN {step.lead} AND {days}::INTEGER"
        # The last date of a log may be only half there, the first one too.
        out = f"(s.day {sign} {days}::INTEGER {'<' if earlier else '>='} {ends})"
        return f"{side} AND {within}", out, "false"
    distance = "(s.nth - o.other_nth)" if earlier else "(o.other_nth - s.nth)"
    within = f"{distance} BETWEEN {step.lead} AND {days}::INTEGER"
    limit = f"(SELECT nth FROM calendar_days e WHERE e.jurisdiction = split_part(s.jurisdiction, '-', 1) AND e.on_date = {ends})"
    out = f"(s.nth {sign} {days}::INTEGER {'<' if earlier else '>='} {limit})"
    return f"{side} AND {within}", f"coalesce({out}, false)", "(s.nth IS NULL)"
