"""Kind `retention`: a recording or a record that was not kept, or is not to be kept, for as long as it must be.

The log's own dates are read: `recording_kept_until` and `record_kept_until`, the day until which each is kept or on which
it was destroyed. Only files that have the column at all are judged: a log without it is no register of what is kept, and says
nothing of it. Where the cell is empty it is undetermined, of recordings if there is one.
"""

from __future__ import annotations

from typing import Literal

from analyzer.checks.base import Compiled, Compiler, Figure, Params, Scope, either, row
from analyzer.model import Rule

_KEPT = {"recording": "recording_kept_until", "record": "record_kept_until"}


class Retention(Params):
    """What `of` names is kept at least `months` calendar months, counted from the contact or from the last one about the debt."""

    kind: Literal["retention"]
    scope: Scope
    of: Literal["recording", "record"]
    months: Figure
    since: Literal["contact", "last_contact"] = "contact"


def compile_retention(rule: Rule, params: Retention) -> Compiled:
    """See `Retention`. Needs: started_at, what the scope asks, and the day until which it is kept."""
    compiler = Compiler(rule, params.scope)
    kept = _KEPT[params.of]
    held = f"EXISTS (SELECT 1 FROM provided v WHERE v.batch_id = c.batch_id AND v.column_name = '{kept}')"
    if params.of == "recording":
        held = f"c.recording_id IS NOT NULL AND {held}"
    compiler.scope = f"({compiler.scope} AND {held})"
    months = compiler.value(params.months, ("check", "months"))
    standing = compiler.standing()
    missing = compiler.missing([*compiler.needs, "at_utc", kept])
    base = compiler.base("c.debt_id", "c.contact_id AS id", f"c.{kept} AS kept", f"{missing} AS missing")
    # The last contact that is certainly one: what may be later only makes the time longer.
    anchor = "s.day" if params.since == "contact" else "max(s.day) FILTER (WHERE s.sure) OVER (PARTITION BY s.debt_id)"
    judged = f"SELECT s.*, CASE WHEN s.day IS NOT NULL THEN (greatest(s.day, {anchor}) + to_months(({months})::INTEGER))::DATE END AS due FROM ({base}) s"
    hits = (
        f"SELECT {row('CASE WHEN s.sure AND s.kept < s.due THEN s.id END', role=either('s.sure AND s.kept < s.due'), measured='s.kept', permitted='s.due', missing='s.missing')}"
        f" FROM ({judged}) s WHERE (s.kept >= s.due) IS NOT TRUE"
    )
    return Compiled(*standing, hits)
