"""Kind `record`: evidence that should exist does not.

Here an empty cell is the breach itself - but only where the file has that column at all. Where no column of the file
holds the fact, it may well be recorded elsewhere: undetermined.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from analyzer.checks.base import Compiled, Compiler, Params, Scope, either, row
from analyzer.model import Rule
from analyzer.sql import literal

_RECORDED = Literal["text", "recording_id", "agent_id", "outcome", "ended_at", "duration_s", "staff_count", "person_id", "number"]
_STORED = {"ended_at": "ended_utc"}


class Record(Params):
    """Each of `requires` must be filled; with `at_least`, a figure must reach that much (two persons on a visit)."""

    kind: Literal["record"]
    scope: Scope
    requires: list[_RECORDED] = Field(min_length=1)
    at_least: dict[_RECORDED, int] = Field(default_factory=dict)


def compile_record(rule: Rule, params: Record) -> Compiled:
    """See `Record`. Needs: started_at, what the scope asks, and the required columns in the file."""
    compiler = Compiler(rule, params.scope)
    empty, absent = [], []
    for name in params.requires:
        column = f"c.{_STORED.get(name, name)}"
        # A note of 111 or 同上 is none.
        blank = "c.silent" if name == "text" else f"({column} IS NULL OR trim({column}::VARCHAR) = '')"
        given = f"EXISTS (SELECT 1 FROM provided v WHERE v.batch_id = c.batch_id AND v.column_name = {literal(name)})"
        empty.append(f"CASE WHEN {blank} AND {given} THEN {literal(name)} END")
        absent.append(f"CASE WHEN {blank} AND NOT {given} THEN {literal(name)} END")
    for name, least in params.at_least.items():
        empty.append(f"CASE WHEN c.{_STORED.get(name, name)} < {least} THEN {literal(name)} END")
    missing = compiler.missing([*compiler.needs, "at_utc"])
    base = compiler.base(
        "c.case_id", "c.contact_id AS id", f"nullif(concat_ws('|', {', '.join(empty)}), '') AS lacking",
        f"nullif(concat_ws('|', {', '.join(absent)}), '') AS absent", f"{missing} AS missing",
    )  # fmt: skip
    breach = "s.sure AND s.day IS NOT NULL AND s.lacking IS NOT NULL"
    told = "concat_ws(chr(124), s.missing, s.absent)"
    hits = (
        f"SELECT {row(f'CASE WHEN {breach} THEN s.id END', role=either(breach), measured='s.lacking', missing=told)}"
        f" FROM ({base}) s WHERE s.lacking IS NOT NULL OR s.absent IS NOT NULL"
    )
    return Compiled(*compiler.standing(), hits)
