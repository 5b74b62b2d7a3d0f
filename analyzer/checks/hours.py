"""Kind `hours`: a contact outside the permitted hours, by the recipient's clock.

Where the data point to several zones, the hours must hold in every one of them. An episode is one night (or one
gap between two permitted spans) of one debtor: the contacts between a closing hour and the next opening hour.
"""

from __future__ import annotations

from typing import Literal

from analyzer.checks.base import Compiled, Compiler, Moment, Params, Scope, either, row
from analyzer.checks.conditions import AGREED_HOURS, EVENT_TIME, EventCondition, Unless, event_join, lifted, three_valued
from analyzer.model import Rule
from analyzer.sql import literal


class Hours(Params):
    """Permitted from `opens` to `closes`. `opens` itself is permitted; `closes` is only when `closes_included`.

    `clock` judges everybody by one zone; without it the recipient's own zone counts. `agreed` names the events by
    which other hours were agreed with the debtor: the agreed hours then permit, and an agreement whose hours are not
    recorded leaves the contact undetermined.
    """

    kind: Literal["hours"]
    scope: Scope
    opens: Moment
    closes: Moment
    closes_included: bool = False
    clock: str | None = None
    agreed: EventCondition | None = None
    unless: Unless | None = None


def compile_hours(rule: Rule, params: Hours) -> Compiled:
    """See `Hours`. Needs: started_at and, without `clock`, the recipient's zone."""
    at = ("check",)
    compiler = Compiler(rule, params.scope, params.clock)
    day = f"({compiler.day})"
    opens = compiler.value(params.opens, (*at, "opens"), day)
    closes = compiler.value(params.closes, (*at, "closes"), day)
    upper = "<=" if params.closes_included else "<"

    def inside(local: str) -> str:
        return f"({local}::TIME >= {opens} AND {local}::TIME {upper} {closes})"

    local = compiler.local
    permitted = inside(local)
    if params.clock is None:
        permitted = f"({permitted} AND (c.other_local_at IS NULL OR list_bool_and(list_transform(c.other_local_at, lambda l: {inside('l')}))))"
    plainly = permitted
    if params.agreed:
        joined = event_join(compiler, params.agreed, (*at, "agreed"))
        hourless = f"SELECT e.case_id FROM case_events e WHERE e.kind IN {literal(params.agreed.kinds)} AND (e.agreed_from IS NULL OR e.agreed_to IS NULL)"
        compiler.open_question = f"CASE WHEN c.case_id IN ({hourless}) THEN {literal(AGREED_HOURS)} ELSE {literal(EVENT_TIME)} END"
        # Agreed hours may run over midnight.
        agreed_here = (
            f"CASE WHEN e.agreed_from <= e.agreed_to THEN {local}::TIME BETWEEN e.agreed_from AND e.agreed_to"
            f" ELSE {local}::TIME >= e.agreed_from OR {local}::TIME <= e.agreed_to END"
        )
        agreed = three_valued(f"{joined} AND ({agreed_here})", params.agreed)
        permitted = f"({permitted} OR {agreed})"
    if params.unless:
        permitted = f"({permitted} OR {lifted(compiler, params.unless, (*at, 'unless'))})"
    needed = [*compiler.needs, "at_utc", *([] if params.clock else ["local_at"])]
    # The night belongs to the date on which it began.
    night = f"CASE WHEN {local}::TIME < {opens} THEN {day} - 1 ELSE {day} END"
    base = compiler.base(
        "c.debtor_id", f"{night} AS night", f"NOT {permitted} AS outside", f"strftime({local}, '%H:%M:%S') AS clock",
        f"{opens}::VARCHAR || '-' || {closes}::VARCHAR AS span", f"{compiler.missing(needed)} AS missing",
        where=f"({plainly}) IS NOT TRUE",
    )  # fmt: skip
    breach = "s.sure AND s.outside IS TRUE"
    hits = (
        f"SELECT {row(f'CASE WHEN {breach} THEN concat_ws(chr(124), s.debtor_id, s.night) END', role=either(breach), measured='s.clock', permitted='s.span', missing='s.missing')}"
        f" FROM ({base}) s WHERE s.outside IS NOT FALSE"
    )
    return Compiled(*compiler.standing(), hits)
