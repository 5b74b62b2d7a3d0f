"""Kind `near_miss`: what would have breached another rule, had its limit been a little tighter, and did not.

For `hours`: contacts within `minutes` of the edges of the permitted span. For `frequency`: contacts that reach the limit less
`fewer`. The other rule's scope, values by date and exceptions all hold; near misses of it change with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

from pydantic import Field, model_validator

from analyzer.checks.base import HITS, BindError, Compiled, Params
from analyzer.checks.frequency import Frequency, compile_frequency
from analyzer.checks.hours import Hours, compile_hours
from analyzer.model import Rule


class NearMiss(Params):
    """`of`: the other rule, as pack/id. `minutes` for one of kind hours, `fewer` for one of kind frequency."""

    kind: Literal["near_miss"]
    of: str
    minutes: int | None = Field(default=None, ge=1, le=240)
    fewer: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one(self) -> NearMiss:
        if (self.minutes is None) == (self.fewer is None):
            raise ValueError("give exactly one of minutes and fewer")
        return self


def compile_near_miss(rule: Rule, params: NearMiss, others: Mapping[str, Rule]) -> Compiled:
    """See `NearMiss`.

    Args:
        rule: the rule itself, whose dates and status hold.
        params: as validated.
        others: all rules in use, by pack/id.
    """
    at = ("check", "of")
    other = others.get(params.of)
    kinds = "hours" if params.minutes is not None else "frequency"
    if other is None or other.kind != kinds:
        raise BindError(at, "rules.no_other_rule", name=params.of, kind=kinds, have=", ".join(r.ref for r in others.values() if r.kind == kinds) or "-")
    lender = replace(other, in_force=_later(other.in_force, rule.in_force))
    if params.minutes is not None:
        shift = timedelta(minutes=params.minutes)
        plain, near = compile_hours(lender, Hours.model_validate(other.check)), _tighter_hours(lender, shift)
    else:
        plain, near = compile_frequency(lender, Frequency.model_validate(other.check)), _tighter_limit(lender, params.fewer or 1)
    hits = (
        f"WITH near AS ({near.hits}), plain AS (SELECT DISTINCT seq FROM ({plain.hits}) WHERE role IN ('breach', 'undetermined'))"
        f" SELECT {HITS} FROM near WHERE role = 'breach' AND seq NOT IN (SELECT seq FROM plain)"
    )
    return Compiled(near.standing, near.reach, hits)


def _later(one: date | None, other: date | None) -> date | None:
    return max((day for day in (one, other) if day), default=None)


def _tighter_hours(rule: Rule, shift: timedelta) -> Compiled:
    check, values = dict(rule.check), dict(rule.values)
    for name, by in (("opens", shift), ("closes", -shift)):
        check[name] = _moved(values, str(check[name]), lambda moment, by=by: _clock(str(moment), by))
    return compile_hours(replace(rule, check=check, values=values), Hours.model_validate(check))


def _tighter_limit(rule: Rule, fewer: int) -> Compiled:
    check, values = dict(rule.check), dict(rule.values)
    limit = check["limit"]
    check["limit"] = _moved(values, limit, lambda n: n - fewer) if isinstance(limit, str) else max(0, limit - fewer)
    return compile_frequency(replace(rule, check=check, values=values), Frequency.model_validate(check))


def _moved(values: dict[str, Any], figure: str, move: Any) -> str:
    """A figure moved: itself, or the dated value it names, each value of which is moved."""
    if not figure.startswith("$"):
        return str(move(figure))
    name = f"near_{figure[1:]}"
    values[name] = tuple((day, None if value is None else move(value)) for day, value in values[figure[1:]])
    return f"${name}"


def _clock(text: str, by: timedelta) -> str:
    form = "%H:%M:%S" if len(text) == 8 else "%H:%M"
    return (datetime.strptime(text, form) + by).strftime("%H:%M:%S")
