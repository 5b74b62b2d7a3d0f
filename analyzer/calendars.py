"""Working days as data: one calendar per jurisdiction under rules/calendars, each with the dates it covers.

Outside these dates nothing is known of a day but its weekday: a rule that asks whether it was a working day is undetermined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import pydantic
from pydantic import Field

from analyzer.errors import RuleErrors, RuleProblem
from analyzer.model import Text2
from analyzer.rules import CALENDARS, Day, rules_folder, validated
from analyzer.yamlfile import Both, Known, Strict

Weekday = Annotated[int, Field(ge=1, le=7)]


class _Holiday(Strict):
    name: Both
    off: Annotated[list[Day], Field(min_length=1)]
    worked: list[Day] = Field(default_factory=list)


class _CalendarFile(Strict):
    id: str
    title: Both
    source: Both
    known: Known
    consulted: Day
    covered_from: Day
    covered_until: Day
    rest_weekdays: list[Weekday]
    holidays: list[_Holiday]

    @pydantic.model_validator(mode="after")
    def _covered(self) -> _CalendarFile:
        days = [day for holiday in self.holidays for day in (*holiday.off, *holiday.worked)]
        if lost := [day for day in days if not self.covered_from <= day <= self.covered_until]:
            raise ValueError(f"not covered: {', '.join(map(str, lost))}")
        if len(days) != len(set(days)):
            raise ValueError("a date stands twice")
        return self


@dataclass(frozen=True)
class WorkDay:
    """One day of a calendar. `nth`: how many working days there were from the first day covered to this one, itself included."""

    jurisdiction: str
    on_date: date
    working: bool
    nth: int
    name: Text2 | None


def load_calendars(folder: Path) -> list[WorkDay]:
    """Every day that the calendars of a rules folder (or the program's own, where it has none) cover.

    Raises:
        RuleErrors: with every problem of every file.
    """
    where = folder / CALENDARS if (folder / CALENDARS).is_dir() else rules_folder() / CALENDARS
    problems: list[RuleProblem] = []
    days: list[WorkDay] = []
    for path in sorted(where.glob("*.yaml")):
        raw = validated(path, _CalendarFile, problems)
        if raw is not None and raw.id != path.stem:
            problems.append(RuleProblem(f"{path.parent.name}/{path.name}", 1, "rules.id_differs", (("id", raw.id), ("name", path.stem))))
        elif raw is not None:
            days += _days(raw)
    if problems:
        raise RuleErrors(problems)
    return days


def _days(raw: _CalendarFile) -> Sequence[WorkDay]:
    off = {day: Text2(h.name.zh, h.name.en) for h in raw.holidays for day in h.off}
    worked = {day: Text2(h.name.zh, h.name.en) for h in raw.holidays for day in h.worked}
    found, nth = [], 0
    for number in range((raw.covered_until - raw.covered_from).days + 1):
        day = raw.covered_from + timedelta(days=number)
        working = day in worked or (day not in off and day.isoweekday() not in raw.rest_weekdays)
        nth += working
        found.append(WorkDay(raw.id, day, working, nth, off.get(day) or worked.get(day)))
    return found
