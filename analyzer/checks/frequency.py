"""Kind `frequency`: more contacts than a limit permits, per key and window.

Every contact in scope counts. One of which it is not known whether it counts (its scope is unknown) is only possible:
where the certain ones alone pass the limit there is a breach, where they pass it only together with the possible ones
the last of them are undetermined. So is a contact that lacks a part of the key: it is possible under each whole key of its case
that agrees with the rest (`base.guests`).

Windows: `calendar_day`, `calendar_week` (Monday to Sunday), `dates: N` (the contact's date and the N-1 before it),
`hours: N` (the N hours up to the contact, both ends included). Contacts at the same instant follow each other by id.

Where the person may be in several zones a contact near midnight may be of two dates. It is certain in a window of dates that holds both,
possible in one that holds one of them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from analyzer.checks.base import NEVER_NULL, BindError, Compiled, Compiler, Figure, Key, Params, Scope, guests, keys_of, row
from analyzer.checks.conditions import EventCondition, event_holds
from analyzer.model import Rule
from analyzer.sql import literal


class Frequency(Params):
    """At most `limit` contacts in scope per `per` and window. `except_events` take a contact out of the count."""

    kind: Literal["frequency"]
    scope: Scope
    per: list[Key] = Field(min_length=1)
    limit: Figure
    window: Literal["calendar_day", "calendar_week"] | None = None
    dates: int | None = Field(default=None, ge=2)
    hours: int | None = Field(default=None, ge=1)
    clock: str | None = None
    except_events: list[EventCondition] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_window(self) -> Frequency:
        if sum(x is not None for x in (self.window, self.dates, self.hours)) != 1:
            raise ValueError("give exactly one of window, dates, hours")
        return self


def compile_frequency(rule: Rule, params: Frequency) -> Compiled:
    """See `Frequency`. Needs: started_at, what the scope asks, and the keys."""
    compiler = Compiler(rule, params.scope, params.clock)
    keys = keys_of(params.per)
    for i, event in enumerate(params.except_events):
        held = event_holds(compiler, event, ("check", "except_events", str(i)))
        compiler.scope = f"({compiler.scope} AND NOT {held})"
    limit = compiler.value(params.limit, ("check", "limit"))
    least = compiler.smallest(params.limit)
    if least < 0:
        raise BindError(("check", "limit"), "rules.value_not_figure", name="limit")
    standing = compiler.standing()
    needed = [*compiler.needs, *(k for k in keys if k not in NEVER_NULL), "at_utc"]
    base = compiler.base(
        *(f"c.{k}" for k in dict.fromkeys(["case_id", "relation", *keys])), f"{compiler.fields(needed)} AS missing", f"({compiler.first_day}) AS first_day", f"({compiler.last_day}) AS last_day",
        in_force=False,
    )  # fmt: skip
    keyed = " AND ".join(f"{k} IS NOT NULL" for k in keys)
    known = f"{keyed} AND day IS NOT NULL"
    key_list = ", ".join(keys)
    bucket = {"calendar_day": "{0}", "calendar_week": "date_trunc('week', {0})::DATE"}.get(params.window or "", "NULL::DATE")
    apart = "false" if params.hours or params.clock else f"{bucket.format('first_day')} <> {bucket.format('last_day')}" if params.window else "first_day <> last_day"
    # `counts`: it is certain in every window that holds this date. `again`: it is there a second time, at its other date, the one before.
    either = f"FROM ({base}) WHERE {known} AND {apart}"
    rows = (
        f"SELECT {key_list}, seq, contact_id, at_utc, day, missing, sure, sure AS counts, 0 AS again, NULL::DATE AS night, false AS lost FROM ({base}) WHERE {known} AND NOT ({apart})"
        f" UNION ALL SELECT {key_list}, seq, contact_id, at_utc, first_day, coalesce(missing, 'zone'), false, sure AND {literal(not params.window)}, 0, last_day, false {either}"
        f" UNION ALL SELECT {key_list}, seq, contact_id, at_utc, last_day, coalesce(missing, 'zone'), sure AND {literal(not params.window)}, false, 1, last_day, false {either}"
        f" UNION ALL SELECT {key_list}, seq, contact_id, at_utc, day, missing, false, false, 0, NULL, lost FROM ({guests(keys, base, base, known)})"
    )
    # One without a date may be on any.
    undated = f"SELECT {', '.join(f'{k} AS other_{k}' for k in keys)}, count(*) AS loose FROM ({base}) WHERE {keyed} AND day IS NULL GROUP BY ALL"
    rows = f"SELECT r.*, coalesce(x.loose, 0) AS loose FROM ({rows}) r LEFT JOIN ({undated}) x ON {' AND '.join(f'x.other_{k} = r.{k}' for k in keys)}"
    counted = _by_bucket(rows, key_list, bucket.format("day"), least) if params.window else _by_sliding(rows, key_list, params, least)
    excess = f"s.sure AND s.n_sure > {limit}"
    doubtful = f"NOT ({excess}) AND s.n_all > {limit}"
    force = compiler.in_force("s.day")
    # What leaves a count open may be a fact that another contact of the same key lacks.
    lacks = f"coalesce(missing, max(missing) OVER (PARTITION BY {key_list}), CASE WHEN loose > 0 THEN 'started_at' END)"
    judged = (
        f"SELECT * EXCLUDE (missing), {lacks} AS missing,"
        f" ({excess}) AND {force} AS over, ({doubtful}) AND {force} AS open FROM ({counted}) s"
    )
    episode = f"concat_ws(chr(124), {', '.join(f's.{k}' for k in keys)}, {'s.bucket' if params.window else 's.first_day'})"
    limit_text = f"({limit})::VARCHAR"
    if params.window:
        ledger = f"SELECT *, bool_or(over) OVER (PARTITION BY {key_list}, bucket) AS breached FROM ({judged})"
    else:
        ledger = _islands(judged, key_list, params)
    hits = (
        f"WITH ledger AS ({ledger})"
        f" SELECT {row(episode, role='CASE WHEN s.over THEN ' + literal('breach') + ' ELSE ' + literal('counted') + ' END', measured='s.n_sure', permitted=limit_text)}"
        f" FROM ledger s WHERE s.breached AND s.sure"
        f" UNION ALL SELECT {row('concat_ws(chr(124), s.seq)', role=literal('undetermined'), missing=f'coalesce(s.missing, {compiler.open_question or literal(None)})')}"
        f" FROM (SELECT seq, min(missing) AS missing FROM ledger WHERE NOT lost GROUP BY seq HAVING bool_or(open) AND NOT bool_or(over)) s JOIN contacts c ON c.seq = s.seq"
        f" UNION ALL SELECT {row('concat_ws(chr(124), s.seq)', role=literal('undetermined'), missing='s.missing')}"
        f" FROM ({base}) s WHERE NOT ({known}) AND (s.day IS NULL OR {force})"
    )
    return Compiled(*standing, hits)


def _by_bucket(rows: str, keys: str, bucket: str, least: int) -> str:
    """Running counts within a key's day or week. Groups that cannot pass any limit are dropped before the sort."""
    rows = f"SELECT *, {bucket} AS bucket FROM ({rows})"
    return (
        f"SELECT *, sum(CASE WHEN counts THEN 1 ELSE 0 END) OVER w AS n_sure, count(*) OVER w + loose AS n_all"
        f" FROM (SELECT *, count(*) OVER (PARTITION BY {keys}, bucket) AS in_bucket FROM ({rows}) QUALIFY in_bucket + loose > {least})"
        f" WINDOW w AS (PARTITION BY {keys}, bucket ORDER BY at_utc, contact_id ROWS UNBOUNDED PRECEDING)"
    )


def _by_sliding(rows: str, keys: str, params: Frequency, least: int) -> str:
    """Counts over the window that ends with each row. Rows of the same date (instant) after it are taken off again."""
    few = f"SELECT *, count(*) OVER (PARTITION BY {keys}) AS in_key FROM ({rows}) QUALIFY in_key + loose > {least}"
    if params.dates:
        frame = f"PARTITION BY {keys} ORDER BY day RANGE BETWEEN INTERVAL {params.dates - 1} DAY PRECEDING AND CURRENT ROW"
        same = f"PARTITION BY {keys}, day"
    else:
        frame = f"PARTITION BY {keys} ORDER BY at_utc RANGE BETWEEN INTERVAL {params.hours} HOUR PRECEDING AND CURRENT ROW"
        same = f"PARTITION BY {keys}, at_utc"
    sure = "CASE WHEN counts THEN 1 ELSE 0 END"
    after = f"{same} ORDER BY at_utc, contact_id ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING"
    twice = sooner = ""
    if params.dates:
        both = f"PARTITION BY {keys} ORDER BY day RANGE BETWEEN INTERVAL {params.dates - 2} DAY PRECEDING AND CURRENT ROW"
        # At its later date those that came after it in the same night are there by their earlier one.
        coming = f"PARTITION BY {keys}, night ORDER BY at_utc, contact_id, again ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING"
        twice = f" - (sum(again) OVER ({both}) - coalesce(sum(again) OVER ({after}), 0)) - CASE WHEN again = 1 THEN count(CASE WHEN again = 0 THEN 1 END) OVER ({coming}) ELSE 0 END"
        sooner = f" - CASE WHEN again = 1 THEN coalesce(sum({sure}) OVER ({coming}), 0) ELSE 0 END"
    return (
        f"SELECT *, sum({sure}) OVER ({frame}) - coalesce(sum({sure}) OVER ({after}), 0){sooner} AS n_sure,"
        f" count(*) OVER ({frame}) - count(*) OVER ({after}){twice} + loose AS n_all FROM ({few})"
    )


def _islands(judged: str, keys: str, params: Frequency) -> str:
    """Breaches whose windows touch are one episode; its ledger reaches back over the window of its first breach."""
    gap = f"INTERVAL {params.dates - 1} DAY" if params.dates else f"INTERVAL {params.hours} HOUR"
    axis = "day" if params.dates else "at_utc"
    return (
        f"SELECT l.*, i.first_day IS NOT NULL AS breached, i.first_day FROM (SELECT * FROM ({judged})) l LEFT JOIN ("
        f" SELECT {keys}, island, min(day) AS first_day, min({axis}) - {gap} AS reach_from, max({axis}) AS reach_to FROM ("
        f" SELECT *, sum(CASE WHEN {axis} - {gap} <= before THEN 0 ELSE 1 END) OVER (PARTITION BY {keys} ORDER BY at_utc, contact_id ROWS UNBOUNDED PRECEDING) AS island FROM ("
        f" SELECT *, lag({axis}) OVER (PARTITION BY {keys} ORDER BY at_utc, contact_id) AS before FROM ({judged}) WHERE over)) GROUP BY ALL"
        f") i ON {' AND '.join(f'l.{k.strip()} = i.{k.strip()}' for k in keys.split(','))} AND l.{axis} BETWEEN i.reach_from AND i.reach_to"
    )
