"""Kind `sql`: a SELECT of the rule's own, for what no other kind says.

`breach` gets the rows in scope as `scoped` (all columns of contacts, `day`, `sure`) and returns episode, seq, measured - and, where it counts,
`permitted` (the limit) and `counted` (a list of the seq of all that were counted, which become evidence);
`$name` in it is the value in force on `day`. It must be one SELECT and name no schema.

What it reads may be open, and then it is run more than once: a contact that only some of the runs find is undetermined.

* An event of which only the date is known, or not even that, may have come about early or late. A SELECT that asks `case_events` is
  run with events that come about as early and end as late as they may, and the other way round.
* A SELECT in which `$unknown` stands is run with false for it, over the rows that are certainly in scope and have a time, and with
  true, over those too that may be in scope: `coalesce(condition, $unknown)` is a condition that a missing fact leaves open, and
  `coalesce(excuse, NOT $unknown)` one that lifts. Only such a SELECT says itself what becomes of the rows that lack something (`needs`
  only names it); with any other they are undetermined. A fourth column `missing` says what it is that leaves a row open, where the
  row itself lacks nothing.
"""

from __future__ import annotations

import re
from typing import Literal

import duckdb

from analyzer.checks.base import BindError, Compiled, Compiler, Params, Scope, row
from analyzer.checks.conditions import EVENT_TIME
from analyzer.model import Rule
from analyzer.sql import literal

_SCHEMA = re.compile(r"\b(main|memory|run|temp|information_schema|pg_catalog|duckdb_\w+)\s*[.(]|\bread_\w+\s*\(|\bgetenv\b", re.IGNORECASE)
_UNKNOWN = "$unknown"


class Sql(Params):
    """See the module's docstring. `needs` are the columns without which a row in scope is undetermined.

    `hour`: whether it needs the hour of a contact; without, one of which only the date is known is judged too.
    `across`: whether what it says of a contact may depend on rows of people who share neither case nor debtor, person or number.
    """

    kind: Literal["sql"]
    scope: Scope
    needs: list[str]
    breach: str
    hour: bool = True
    across: bool = False
    clock: str | None = None


def compile_sql(rule: Rule, params: Sql) -> Compiled:
    """See `Sql`.

    Raises:
        BindError: the text is not exactly one SELECT, or reaches for something that is not a canonical table.
    """
    at = ("check", "breach")
    compiler = Compiler(rule, params.scope, params.clock)
    compiler.needs.update(dict.fromkeys(params.needs))
    text = re.sub(r"\$([a-z_]+)", lambda m: m[0] if m[0] == _UNKNOWN else f"({compiler.value(m[0], at, 'day')})", params.breach)
    try:
        statements = duckdb.extract_statements(text.replace(_UNKNOWN, "false"))
    except duckdb.ParserException as error:
        raise BindError(at, "rules.sql_broken", why=str(error).splitlines()[0]) from error
    if len(statements) != 1 or statements[0].type.name != "SELECT":
        raise BindError(at, "rules.sql_not_select")
    if _SCHEMA.search(text):
        raise BindError(at, "rules.sql_reaches_out")
    missing = compiler.missing([*compiler.needs, "at_utc"])
    unknown = " OR ".join(f"c.{name} IS NULL" for name in ([] if _UNKNOWN in text else params.needs)) or "false"
    unknown += f" OR {'c.at_utc' if params.hour else compiler.day} IS NULL"
    base = compiler.base("c.* EXCLUDE (seq, contact_id, at_utc)", f"({unknown}) AS unknown", f"{missing} AS missing_fields")
    given = f"WITH everything AS ({base}), scoped AS (SELECT * FROM everything WHERE sure AND NOT unknown)"
    asked = text.rstrip().rstrip(";")
    of_events, of_unknown = re.search(r"\bcase_events\b", asked, re.IGNORECASE) is not None, _UNKNOWN in asked
    runs = [_run(asked, side, most) for most in ((False, True) if of_unknown else (False,)) for side in (("early", "late") if of_events else (None,))]
    names = [f"run{n}" for n in range(len(runs))]
    always = " INTERSECT ".join(f"SELECT seq FROM {name}" for name in names)
    ever = " UNION ".join(f"SELECT seq FROM {name}" for name in names)
    # The rule's own rows are joined back, so that it can only ever name contacts in scope.
    hits = (
        f"{given}, {', '.join(f'{name} AS ({run})' for name, run in zip(names, runs, strict=True))}"
        f", certain AS (SELECT f.* FROM run0 f JOIN scoped s ON s.seq = f.seq WHERE f.seq IN ({always}))"
        f" SELECT {row('f.episode', seq='f.seq', measured='f.measured', permitted='f.permitted' if _gives('permitted', asked) else 'NULL')} FROM certain f"
    )
    if _gives("counted", asked):
        others = "SELECT DISTINCT episode, unnest(counted) AS seq FROM certain"
        hits += f" UNION ALL SELECT {row('f.episode', seq='f.seq', role=literal('counted'))} FROM ({others}) f ANTI JOIN certain g ON g.episode = f.episode AND g.seq = f.seq"
    if of_unknown:
        # What leaves it open may be a fact that another contact of the same debtor lacks.
        others = "(SELECT min(o.missing_fields) FROM everything o WHERE o.debtor_id = s.debtor_id)"
        told = f"(SELECT min(o.missing) FROM {names[-1]} o WHERE o.seq = s.seq), " if _gives("missing", asked) else ""
        last = literal(EVENT_TIME if of_events else "|".join(params.needs) or "started_at")
        open_rows = f"SELECT s.seq, coalesce(s.missing_fields, {told}{others}, {last}) AS missing FROM everything s JOIN (({ever}) EXCEPT ({always})) USING (seq)"
    else:
        open_rows = "SELECT seq, missing_fields AS missing FROM everything WHERE NOT sure OR unknown"
        if of_events:
            open_rows += f" UNION ALL SELECT seq, {literal(EVENT_TIME)} FROM scoped SEMI JOIN (({ever}) EXCEPT ({always})) USING (seq)"
    hits += f" UNION ALL SELECT {row('concat_ws(chr(124), s.seq)', role=literal('undetermined'), missing='s.missing')} FROM ({open_rows}) s"
    return Compiled(*compiler.standing(), hits)


def _gives(column: str, asked: str) -> bool:
    """Whether the rule's SELECT has one of the columns that it may have."""
    return re.search(rf"\bAS {column}\b", asked) is not None


def _run(asked: str, side: str | None, most: bool) -> str:
    """The rule's SELECT with one answer to what is open: events early or late, and every unknown fact taken for it or against it."""
    tables = ["scoped AS (SELECT * FROM everything)"] if most else []
    if side:
        tables.append(f"case_events AS (SELECT * REPLACE ({_BOUNDS[side]}) FROM case_events)")
    begins = re.match(r"\s*WITH\b", asked, re.IGNORECASE) if tables else None
    if begins:
        tables.append(asked[begins.end() :])
    text = f"WITH {', '.join(tables)}{'' if begins else f' {asked}'}" if tables else asked
    return f"SELECT * FROM ({text.replace(_UNKNOWN, 'true' if most else 'false')})"


_BOUNDS = {
    "early": "coalesce(occurred_utc, TIMESTAMP '1900-01-01') AS occurred_utc, ended_by AS ended_utc",
    "late": "coalesce(occurred_by, TIMESTAMP '9999-01-01') AS occurred_utc",
}

