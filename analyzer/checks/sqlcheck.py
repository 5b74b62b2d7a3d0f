"""Kind `sql`: a SELECT of the rule's own, for what no other kind says.

`breach` gets the rows in scope as `scoped` (all columns of contacts, `day`, `sure`) and returns episode, seq, measured;
`$name` in it is the value in force on `day`. It must be one SELECT and name no schema.

An event of which only the date is known, or not even that, may have come about early or late. A SELECT that asks `case_events` is run
twice, with events that come about as early and end as late as they may, and the other way round: a contact that only one of the two
finds is undetermined.
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


class Sql(Params):
    """See the module's docstring. `needs` are the columns without which a row in scope is undetermined.

    `across`: whether what it says of a contact may depend on rows of people who share neither case nor debtor, person or number.
    """

    kind: Literal["sql"]
    scope: Scope
    needs: list[str]
    breach: str
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
    text = re.sub(r"\$([a-z_]+)", lambda m: f"({compiler.value('$' + m[1], at, 'day')})", params.breach)
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.ParserException as error:
        raise BindError(at, "rules.sql_broken", why=str(error).splitlines()[0]) from error
    if len(statements) != 1 or statements[0].type.name != "SELECT":
        raise BindError(at, "rules.sql_not_select")
    if _SCHEMA.search(text):
        raise BindError(at, "rules.sql_reaches_out")
    missing = compiler.missing([*compiler.needs, "at_utc"])
    unknown = " OR ".join(f"c.{name} IS NULL" for name in [*params.needs, "at_utc"])
    base = compiler.base("c.* EXCLUDE (seq, contact_id, at_utc)", f"({unknown}) AS unknown", f"{missing} AS missing_fields")
    given = f"WITH everything AS ({base}), scoped AS (SELECT * FROM everything WHERE sure AND NOT unknown)"
    asked = text.rstrip().rstrip(";")
    # The rule's own rows are joined back, so that it can only ever name contacts in scope.
    open_rows = (
        f" UNION ALL SELECT {row('concat_ws(chr(124), s.seq)', role=literal('undetermined'), missing='s.missing_fields')}"
        f" FROM everything s WHERE NOT s.sure OR s.unknown"
    )
    if not re.search(r"\bcase_events\b", asked, re.IGNORECASE):
        hits = f"{given}, found AS ({asked}) SELECT {row('f.episode', measured='f.measured')} FROM found f JOIN scoped s ON s.seq = f.seq{open_rows}"
        return Compiled(*compiler.standing(), hits)
    early, late = (f"SELECT * FROM (WITH case_events AS (SELECT * REPLACE ({_BOUNDS[side]}) FROM case_events) {_inside(asked)})" for side in ("early", "late"))
    hits = (
        f"{given}, early AS ({early}), late AS ({late})"
        f" SELECT {row('f.episode', measured='f.measured')} FROM early f JOIN scoped s ON s.seq = f.seq WHERE f.seq IN (SELECT seq FROM late)"
        f" UNION ALL SELECT {row('concat_ws(chr(124), s.seq)', role=literal('undetermined'), missing=literal(EVENT_TIME))}"
        " FROM ((SELECT seq FROM early EXCEPT SELECT seq FROM late) UNION (SELECT seq FROM late EXCEPT SELECT seq FROM early)) s"
        f" SEMI JOIN scoped USING (seq){open_rows}"
    )
    return Compiled(*compiler.standing(), hits)


_BOUNDS = {
    "early": "coalesce(occurred_utc, TIMESTAMP '1900-01-01') AS occurred_utc, ended_by AS ended_utc",
    "late": "coalesce(occurred_by, TIMESTAMP '9999-01-01') AS occurred_utc",
}


def _inside(asked: str) -> str:
    """A SELECT to follow a WITH that has begun: its own WITH becomes a part of that one."""
    begins = re.match(r"\s*WITH\b", asked, re.IGNORECASE)
    return f", {asked[begins.end() :]}" if begins else asked
