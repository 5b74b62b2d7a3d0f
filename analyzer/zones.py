"""Wall clocks and instants, as SQL. A zone's changes of offset are asked once of the time zone database, not per row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from analyzer.sql import literal

_DAY = timedelta(days=1)


@lru_cache(maxsize=512)
def spans(zone: str, first: datetime, last: datetime) -> tuple[tuple[datetime, int], ...]:
    """((until, minutes), ...) covering first..last (naive UTC): up to `until` the zone is `minutes` east of UTC.

    The last span's `until` is datetime.max. Offsets with seconds (before 1920 or so) are rounded to minutes.
    """
    info = ZoneInfo(zone)

    def minutes(moment: datetime) -> int:
        offset = moment.replace(tzinfo=UTC).astimezone(info).utcoffset()
        assert offset is not None
        return round(offset.total_seconds() / 60)

    found: list[tuple[datetime, int]] = []
    at, now = first - _DAY, minutes(first - _DAY)
    while at < last + _DAY:
        ahead = at + _DAY
        then = minutes(ahead)
        if then != now:
            low, high = at, ahead
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                low, high = (middle, high) if minutes(middle) == now else (low, middle)
            found.append((high.replace(microsecond=0), now))
            now = then
        at = ahead
    return (*found, (datetime.max, now))


def _shift(expression: str, minutes: int) -> str:
    return f"{expression} + to_minutes({minutes})" if minutes else expression


def utc_to_local(instant: str, zone: str, first: datetime, last: datetime) -> str:
    """SQL: the wall clock in `zone` of the naive-UTC expression `instant`, right for first..last."""
    pieces = spans(zone, first, last)
    if len(pieces) == 1:
        return f"({_shift(instant, pieces[0][1])})"
    whens = " ".join(f"WHEN {instant} < {literal(until)} THEN {_shift(instant, m)}" for until, m in pieces[:-1])
    return f"(CASE {whens} ELSE {_shift(instant, pieces[-1][1])} END)"


def local_to_utc(local: str, zone: str, first: datetime, last: datetime) -> str:
    """SQL: the instant (naive UTC) of the wall-clock expression `local` in `zone`.

    Of two instants with one wall clock (clocks set back) it is the first.
    """
    pieces = spans(zone, first - _DAY, last + _DAY)
    if len(pieces) == 1:
        return f"({_shift(local, -pieces[0][1])})"
    whens = " ".join(
        f"WHEN {local} < {literal(until + timedelta(minutes=m))} THEN {_shift(local, -m)}" for until, m in pieces[:-1]
    )
    return f"(CASE {whens} ELSE {_shift(local, -pieces[-1][1])} END)"
