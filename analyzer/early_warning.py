"""Who is heading for a breach before it happens: contacts that only just kept a rule, agents and vendors whose breach rate is rising.

Like `summary`: plain rows from a published run.
"""

from __future__ import annotations

from typing import Any

import duckdb

from analyzer import yamlfile
from analyzer.summary import BREACHING, Row, by_rule, interval, rows

PACK = "early-warning"
LIMIT, EDGE = "limit", "edge"
GROUPS = ("agent", "vendor")
LEAST = 30
DAYS = 28


def near_rules(con: duckdb.DuckDBPyConnection) -> list[Row]:
    """The rules of kind near_miss that the run used; none where the pack `PACK`, which is by choice, was not asked for.

    Returns:
        `rule`, `title_zh`, `title_en`; `of` (the rule that was only just kept), `what` (`limit`: so many contacts below a limit, `edge`: so many
        minutes from hours in which contact is forbidden) and `margin` (how many); `findings`; `near` (contacts), `judged` (near and
        not), `rate` (near / judged), `undetermined`, `not_evaluated`.
    """
    sources = {r["rule"]: yamlfile.parse(r["source"]).data["check"] for r in rows(con, "SELECT rule, source FROM rules WHERE kind = 'near_miss'")}
    return [_near(row, sources[row["rule"]]) for row in by_rule(con) if row["rule"] in sources]


def _near(row: Row, check: dict[str, Any]) -> Row:
    what = LIMIT if check.get("fewer") is not None else EDGE
    kept = ("rule", "title_zh", "title_en", "findings", "judged", "rate", "undetermined", "not_evaluated")
    return {name: row[name] for name in kept} | {"near": row["breach"], "of": check["of"], "what": what, "margin": check["fewer" if what == LIMIT else "minutes"]}


def rising(con: duckdb.DuckDBPyConnection, by: str, days: int = DAYS, least: int = LEAST) -> list[Row]:
    """Breach rates of the last days against those of as many days before, per agent or vendor.

    A rate is the share of outbound contacts that breach any rule; near misses are no breaches. The interval of a rate is Wilson's, that
    of the change is Newcombe's hybrid of the two (R. G. Newcombe, Statistics in Medicine 17, 1998, method 10), both 95 %.

    Args:
        con: a run.
        by: agent or vendor (None: the lender's own staff).
        days: length of each period; the later one ends with the last contact of the data.
        least: contacts needed in each period; below it no rate is given.

    Returns:
        Rows, those that rise most surely first: `value`, `team` and `vendor` (of the last contact), `before_from`, `from_on`, `until_on` (first day of
        the earlier and the later period, last day); `contacts_before`, `breaching_before`, `contacts`, `breaching_contacts`; `enough` (both
        periods reach `least`), without which the rest is None: `rate_before`, `low_before`, `high_before`, `rate`, `low`, `high`, `change`,
        `change_low`, `change_high`; `trend`: rising (the change's interval lies above 0), falling (below), unclear (0 lies in it).

    Raises:
        KeyError: there is no such group.
    """
    column = {"agent": "agent_id", "vendor": "vendor"}[by]
    found = rows(
        con,
        f"""
        WITH o AS (SELECT *, {column} AS value FROM contacts WHERE direction IS DISTINCT FROM 'inbound' AND on_date IS NOT NULL {"AND agent_id IS NOT NULL" if by == "agent" else ""}),
        ends AS (SELECT max(on_date) AS until_on FROM contacts WHERE direction IS DISTINCT FROM 'inbound'),
        periods AS (SELECT until_on, until_on - $days + 1 AS from_on, until_on - 2 * $days + 1 AS before_from FROM ends)
        SELECT o.value, arg_max({{'x': o.team}}, (o.on_date, o.contact_id)).x AS team, arg_max({{'x': o.vendor}}, (o.on_date, o.contact_id)).x AS vendor,
               any_value(p.before_from) AS before_from, any_value(p.from_on) AS from_on, any_value(p.until_on) AS until_on,
               count(*) FILTER (WHERE o.on_date < p.from_on) AS contacts_before, count(bad.seq) FILTER (WHERE o.on_date < p.from_on) AS breaching_before,
               count(*) FILTER (WHERE o.on_date >= p.from_on) AS contacts, count(bad.seq) FILTER (WHERE o.on_date >= p.from_on) AS breaching_contacts
        FROM o CROSS JOIN periods p LEFT JOIN ({BREACHING}) bad ON bad.seq = o.seq WHERE o.on_date >= p.before_from GROUP BY o.value
        """,
        {"days": days},
    )
    for row in found:
        row |= _change(row, least)
    return sorted(found, key=lambda r: (not r["enough"], -(r["change_low"] or 0.0), r["value"] or ""))


_RATES = ("rate_before", "low_before", "high_before", "rate", "low", "high", "change", "change_low", "change_high", "trend")


def _change(row: Row, least: int) -> Row:
    if min(row["contacts_before"], row["contacts"]) < max(least, 1):
        return {"enough": False} | dict.fromkeys(_RATES)
    before, now = row["breaching_before"] / row["contacts_before"], row["breaching_contacts"] / row["contacts"]
    low_before, high_before = interval(row["breaching_before"], row["contacts_before"])
    low, high = interval(row["breaching_contacts"], row["contacts"])
    change = now - before
    change_low = change - ((now - low) ** 2 + (high_before - before) ** 2) ** 0.5
    change_high = change + ((high - now) ** 2 + (before - low_before) ** 2) ** 0.5
    trend = "rising" if change_low > 0 else "falling" if change_high < 0 else "unclear"
    return {"enough": True} | dict(zip(_RATES, (before, low_before, high_before, now, low, high, change, change_low, change_high, trend), strict=True))


def overlooked(con: duckdb.DuckDBPyConnection) -> Row:
    """What these rates cannot see: outbound contacts `undated` or without an agent (`agentless`) of `contacts`, and `undetermined` judgements (a contact under a rule)."""
    return rows(
        con,
        """
        SELECT count(*) AS contacts, count(*) FILTER (WHERE on_date IS NULL) AS undated, count(*) FILTER (WHERE agent_id IS NULL) AS agentless,
               (SELECT coalesce(sum(r.contacts), 0)::BIGINT FROM rule_results r JOIN rules USING (rule) WHERE r.outcome = 'undetermined' AND rules.kind <> 'near_miss') AS undetermined
        FROM contacts WHERE direction IS DISTINCT FROM 'inbound'
        """,
    )[0]
