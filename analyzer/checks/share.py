"""Kind `share`: of the contacts of a group in a month, what share has some property (numbers dialled: 70 to 80 % mobile).

A group too small for a share to say anything is clear. Contacts of which it is not known whether they belong to the part
count both ways: where only they decide, the group is undetermined. A group is judged at its last contact of the period, which
alone stands in the ledger; the count is repeated by the rule's statement.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from analyzer.checks.base import Compiled, Compiler, Figure, Key, Params, Scope, keys_of, row
from analyzer.model import Rule
from analyzer.sql import literal

_PERIODS = {"calendar_week": "week", "calendar_month": "month"}


class Share(Params):
    """`part` of the contacts in scope is `min` to `max` per cent, per `per` and period, where there are at least `at_least`."""

    kind: Literal["share"]
    scope: Scope
    part: Scope
    per: list[Key] = Field(min_length=1)
    window: Literal["calendar_week", "calendar_month"] = "calendar_month"
    min: Figure | None = None
    max: Figure | None = None
    at_least: int = Field(default=100, ge=1)

    @model_validator(mode="after")
    def _a_bound(self) -> Share:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        return self


def compile_share(rule: Rule, params: Share) -> Compiled:
    """See `Share`. Needs: started_at, the keys, what the scope and the part ask."""
    compiler = Compiler(rule, params.scope)
    least = compiler.value(params.min, ("check", "min")) if params.min is not None else "0"
    most = compiler.value(params.max, ("check", "max")) if params.max is not None else "100"
    standing = compiler.standing()
    part = compiler.condition(params.part, ("check", "part"))
    keys = keys_of(params.per)
    base = compiler.base(*(f"c.{k}" for k in keys), f"({part}) AS mine", f"{compiler.missing([*compiler.needs, 'at_utc'])} AS missing")
    key_list = ", ".join(keys)
    # A contact that may not be in scope, or whose part is not known, may add to either side.
    groups = (
        f"SELECT {key_list}, date_trunc({literal(_PERIODS[params.window])}, day)::DATE AS period, arg_max(seq, (at_utc, contact_id)) AS seq, max(day) AS day,"
        " count(*) AS n, count(*) FILTER (WHERE sure AND mine) AS n_part, count(*) FILTER (WHERE NOT sure OR mine IS NULL) AS n_open,"
        f" arg_max(missing, (at_utc, contact_id)) FILTER (WHERE NOT sure OR mine IS NULL) AS missing FROM ({base}) WHERE day IS NOT NULL AND {' AND '.join(f'{k} IS NOT NULL' for k in keys)}"
        f" GROUP BY ALL HAVING count(*) >= {params.at_least}"
    )
    low, high = "(100.0 * s.n_part / s.n)", "(100.0 * (s.n_part + s.n_open) / s.n)"
    verdict = f"CASE WHEN {high} < {least} OR {low} > {most} THEN true WHEN {low} < {least} OR {high} > {most} THEN NULL ELSE false END"
    episode = f"concat_ws(chr(124), {', '.join(f's.{k}' for k in keys)}, s.period)"
    measured = f"(round({low}, 1)::VARCHAR || ' % (' || s.n_part || '/' || s.n || ')')"
    permitted = f"(({least})::VARCHAR || '-' || ({most})::VARCHAR || ' %')"
    hits = (
        f"WITH judged AS (SELECT s.*, {verdict} AS shut FROM ({groups}) s WHERE {compiler.in_force('s.day')})"
        f" SELECT {row(episode, measured=measured, permitted=permitted)} FROM judged s WHERE s.shut"
        f" UNION ALL SELECT {row(episode, role=literal('undetermined'), missing='s.missing')} FROM judged s WHERE s.shut IS NULL"
    )
    return Compiled(*standing, hits)
