"""Hits to findings: one per episode, with the whole ledger of its evidence."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from analyzer.checks import Prepared
from analyzer.model import Rule
from analyzer.store import append

_WEAKEST = ("unverified", "reported", "house", "seen")


def known(rule: Rule) -> str:
    """How well the text behind the rule is known: that of its best known citation."""
    return max((c.known for c in rule.citations), key=_WEAKEST.index)


def record_rules(con: duckdb.DuckDBPyConnection, rules: Sequence[Prepared]) -> None:
    """Keep every rule as it was used in the table `rules`."""
    append(
        con, "rules",
        [
            [
                p.rule.ref, p.rule.pack, p.rule.digest, p.rule.kind, p.rule.severity, p.rule.strength, p.rule.effect,
                known(p.rule), p.rule.title.zh, p.rule.title.en, p.rule.source, p.compiled.hits,
                p.compiled.standing,
            ]
            for p in rules
        ],
    )  # fmt: skip


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Fill `findings` and `finding_evidence` from the temporary table `hits`.

    A finding's id is a digest of rule and episode; an episode is made of ids of the data and dates, so the same breach
    has the same id in every run.
    """
    con.execute("""
        CREATE OR REPLACE TEMP TABLE ledger AS
        SELECT left(sha256(h.rule || '|' || h.episode), 16) AS finding_id, h.*, c.contact_id, c.at_utc,
               row_number() OVER (PARTITION BY h.rule, h.episode ORDER BY c.at_utc, c.contact_id, h.role DESC) AS ordinal
        FROM hits h JOIN contacts c ON c.seq = h.seq
    """)
    con.execute("INSERT INTO finding_evidence SELECT finding_id, seq, contact_id, role, ordinal, measured, signal_ids FROM ledger")
    con.execute("""
        INSERT INTO findings
        WITH grouped AS (
            SELECT rule, episode, any_value(finding_id) AS finding_id, arg_min(seq, ordinal) FILTER (WHERE role = 'breach') AS first_seq,
                   max(at_utc) FILTER (WHERE role = 'breach') AS last_utc,
                   count(DISTINCT seq) FILTER (WHERE role = 'breach') AS breaches, count(DISTINCT seq) AS evidence,
                   arg_max(measured, ordinal) FILTER (WHERE role = 'breach') AS measured,
                   any_value(permitted) FILTER (WHERE role = 'breach') AS permitted,
                   sha256(string_agg(contact_id || ' ' || role, ',' ORDER BY ordinal)) AS evidence_digest
            FROM ledger GROUP BY rule, episode
        )
        SELECT g.finding_id, g.rule, r.pack, r.severity, r.strength, g.episode, c.case_id, c.debtor_id, c.person_id, c.agent_id,
               c.team, c.vendor, c.channel, c.account_class, c.stage, c.at_utc, g.last_utc, c.local_at, c.on_date, g.breaches,
               g.evidence, g.measured, g.permitted, r.digest, g.evidence_digest
        FROM grouped g JOIN rules r ON r.rule = g.rule JOIN contacts c ON c.seq = g.first_seq
    """)


def reproducing_sql(hits_sql: str, episode: str) -> str:
    """The one SELECT that finds an episode again, to be run in plain DuckDB on the published file."""
    quoted = episode.replace("'", "''")
    return (
        "SELECT c.contact_id, c.at_utc, c.local_at, h.role, h.measured, h.permitted\n"
        f"FROM ({hits_sql}) h JOIN contacts c ON c.seq = h.seq\n"
        f"WHERE h.episode = '{quoted}' AND h.role <> 'undetermined'\n"
        "ORDER BY c.at_utc, c.contact_id, h.role DESC"
    )
