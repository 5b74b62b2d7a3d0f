"""Kinds `wording`, `disclosure` and `personal_data`: what was said, by the rows of `signals` that count.

`wording`: the contact's text holds one of the concepts. `disclosure`: it does, and the person contacted is one who may
not be told - which the scope says (party: third_party), and `unless` may lift (already knows, offered to pay, the
debtor out of reach). `personal_data`: it holds an identifier of one of some kinds. A contact in scope without a text cannot be cleared,
but for a visit that met nobody: nothing was said there, and what its record tells of all the same (a notice left or put up) is judged.
So is what the note of a call that reached nobody tells of, by `wording`: it was said or done otherwise; without such words nothing was.
`strangers` of a `disclosure` are outcomes by which somebody else was told than the one on record, whoever that one is; where nothing is noted, nothing was told.

What the collector says is judged whoever began: a scope that names no direction takes in inbound calls and visits, and leaves out the
other side's own messages.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from analyzer.checks.base import Compiled, Compiler, Params, Scope, either, row
from analyzer.checks.conditions import Unless, lifted
from analyzer.model import Rule
from analyzer.sql import literal
from analyzer.store import written_to_us
from analyzer.text.personal_data import ENTITIES, PERSONAL_DATA

UNREACHED = ("no_answer", "busy", "switched_off", "invalid")
"""Outcomes of calls at which nothing can have been said."""
HOW_OFTEN = "excessive_contact_statement"
"""Of a call that reached nobody its note tells how many it was: that is counted, and no threat."""


class Wording(Params):
    """The text holds one of `concepts` (ids of lexicons)."""

    kind: Literal["wording"]
    scope: Scope
    concepts: list[str] = Field(min_length=1)
    unless: Unless | None = None


class Disclosure(Params):
    """The text tells somebody who may not know one of the facts in `concepts`."""

    kind: Literal["disclosure"]
    scope: Scope
    concepts: list[str] = Field(min_length=1)
    strangers: list[str] = Field(default_factory=list)
    unless: Unless | None = None


class PersonalData(Params):
    """The text holds personal data of one of the kinds `entities`."""

    kind: Literal["personal_data"]
    scope: Scope
    entities: list[str] = Field(min_length=1)
    unless: Unless | None = None

    @field_validator("entities")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        if lost := [name for name in value if name not in ENTITIES]:
            raise ValueError(f"{', '.join(lost)}: not one of {', '.join(ENTITIES)}")
        return value


def compile_wording(rule: Rule, params: Wording | Disclosure | PersonalData) -> Compiled:
    """See `Wording`, `Disclosure` and `PersonalData`. Needs: started_at, text, and what scope and conditions ask."""
    if isinstance(params, PersonalData):
        told, name = f"concept = {literal(PERSONAL_DATA)} AND detail IN {literal(params.entities)}", "detail"
    else:
        told, name = f"counts AND concept IN {literal(params.concepts)}", "concept"
    compiler = Compiler(rule, params.scope)
    compiler.rough = True
    if isinstance(params, Wording) and "outcome" in params.scope:
        elsewhere = {name: wanted for name, wanted in params.scope.items() if name != "outcome"}
        compiler.scope = f"({compiler.scope} OR ({compiler.condition(elsewhere, ('check', 'scope'))} AND c.outcome IN {literal(UNREACHED)} AND c.seq IN (SELECT seq FROM signals WHERE {told} AND label <> {literal(HOW_OFTEN)})))"
    if isinstance(params, Disclosure) and params.strangers:
        others = {name: wanted for name, wanted in params.scope.items() if name not in ("outcome", "party", "relation")}
        compiler.scope = f"({compiler.scope} OR ({compiler.condition(others, ('check', 'strangers'))} AND (c.outcome IN {literal(params.strangers)} AND NOT c.silent) IS TRUE))"
    if "direction" not in params.scope:
        _leave_out_their_messages(compiler)
    allowed = lifted(compiler, params.unless, ("check", "unless")) if params.unless else "false"
    needed = [*compiler.needs, "at_utc"]
    silent = "(c.silent AND c.outcome IS DISTINCT FROM 'not_met')"
    base = compiler.base(
        "c.case_id", "coalesce(c.person_id, c.number, '') AS whom", "coalesce(c.agent_id, '') AS who",
        f"{silent} AS silent", f"({allowed}) AS allowed", f"{compiler.fields(needed)} AS fields", f"{compiler.missing(needed)} AS missing",
        where=f"({silent} OR c.seq IN (SELECT seq FROM signals WHERE {told}))",
    )  # fmt: skip
    found = (
        "SELECT seq, list(signal_id ORDER BY start_at) AS ids, string_agg(DISTINCT " + name + ", '|' ORDER BY " + name + ") AS told FROM signals"
        f" WHERE {told} GROUP BY seq"
    )
    episode = "concat_ws(chr(124), s.case_id, s.whom, s.who, s.day)"
    breach = "f.seq IS NOT NULL AND s.sure AND s.day IS NOT NULL AND s.allowed IS FALSE"
    # Without a text nothing else is asked than what the contact lacks.
    lacks = f"CASE WHEN s.silent THEN concat_ws(chr(124), s.fields, {literal('text')}) ELSE s.missing END"
    hits = (
        f"SELECT {row(f'CASE WHEN {breach} THEN {episode} END', role=either(breach), measured='f.told', missing=lacks, signal_ids='f.ids')}"
        f" FROM ({base}) s LEFT JOIN ({found}) f ON f.seq = s.seq WHERE s.allowed IS NOT TRUE"
    )
    return Compiled(*compiler.standing(), hits)


def _leave_out_their_messages(compiler: Compiler) -> None:
    """Narrow the scope to what the collector may have said: everything but an inbound message. A direction or channel that is not known
    is missing only where it decides."""
    theirs = written_to_us("c")
    compiler.scope = f"({compiler.scope} AND NOT {theirs})"
    for column in ("direction", "channel"):
        if column not in compiler.needs:
            compiler.needs[column] = None
            compiler.lacking[column] = f"(c.{column} IS NULL AND {theirs} IS NULL)"
