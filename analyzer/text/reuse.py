"""Texts that an earlier run has read already, to the same kind of person with the same words, need not be read again.

What a text says depends on its characters, on whether the person spoken to owes the debt and knows of it, and on the words it is read with
(`reading.words_digest`), and on nothing else: so the signals of the earlier run are those that reading it again would give.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from analyzer.sql import literal
from analyzer.store import WHOLE, Part, debtor_names, on_business, spoken_to, without_names, written_to_us

OLD = "earlier"
"""The name under which the earlier run is attached."""
# Whether a person knew on a date is kept in a run by the recipient's calendar, and was asked by the log's: those texts are read again.
_READ = f"""
    SELECT md5_number({without_names("c.text", "d.names")}) AS text, CASE WHEN c.party IN ('debtor', 'obliged') THEN true WHEN c.party = 'third_party' THEN false END AS owes,
           CASE WHEN c.party IN ('debtor', 'obliged') THEN NULL ELSE c.knows END AS knows, {on_business("c")} AS on_business, min(c.seq) AS old_seq
    FROM {OLD}.contacts c LEFT JOIN ({debtor_names(f"{OLD}.")}) d ON d.case_id = c.case_id
    WHERE c.text IS NOT NULL AND {written_to_us("c")} IS NOT TRUE
      AND NOT EXISTS (SELECT 1 FROM {OLD}.persons p WHERE p.case_id = c.case_id AND p.person_id = c.person_id AND p.knows_since IS NOT NULL)
    GROUP BY 1, 2, 3, 4
"""


def attach(con: duckdb.DuckDBPyConnection, run: Path, digest: str) -> bool:
    """Attach an earlier run; whether its texts were read with the same words. Before `store.lock`."""
    con.execute(f"ATTACH {literal(str(run))} AS {OLD} (READ_ONLY)")
    told = con.execute(f"SELECT words_digest FROM {OLD}.runs").fetchall()
    return bool(told) and told[0][0] == digest


def find_read(con: duckdb.DuckDBPyConnection) -> int:
    """Make memory.main.read_before (seq, old_seq): the contacts of the input tables whose text the earlier run has read; how many they are."""
    con.execute(
        f"CREATE OR REPLACE TABLE memory.main.read_before AS SELECT s.seq, o.old_seq FROM ({spoken_to(con)}) s JOIN ({_READ}) o"
        " ON o.text = md5_number(s.text) AND o.owes IS NOT DISTINCT FROM s.owes AND o.knows IS NOT DISTINCT FROM s.knows AND o.on_business = s.on_business"
    )
    return int(con.execute("SELECT count(*) FROM memory.main.read_before").fetchall()[0][0])


def unread(con: duckdb.DuckDBPyConnection, part: Part = WHOLE) -> str:
    """SELECT like `store.spoken_to`, of the texts that are left to read."""
    return f"SELECT s.* FROM ({spoken_to(con, part=part)}) s ANTI JOIN memory.main.read_before r ON r.seq = s.seq"


def copy_signals(con: duckdb.DuckDBPyConnection) -> None:
    """Add the signals of the texts that were read before to the table `signals`, numbered on."""
    con.execute(
        f"INSERT INTO signals SELECT row_number() OVER () + (SELECT coalesce(max(signal_id), -1) FROM signals), r.seq, s.* EXCLUDE (signal_id, seq)"
        f" FROM memory.main.read_before r JOIN {OLD}.signals s ON s.seq = r.old_seq"
    )
