"""Circles: the cases that no rule about people can tell apart, because they share a debtor, a person, a number or a debt.

What a rule says of a contact depends on the rows of its own circle only, unless the rule counts over something that goes through all
circles (`checks.Prepared.across`). So a run can be taken apart by circles and put together again.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from analyzer.intake import input_table

_CASES = ("cases", "persons", "numbers", "instalments", "payments", "promises", "case_events", "contacts")
# The tables whose rows belong to a case, and the columns by which they tie it to others.
_TIES = {"cases": ("debtor_id",), "persons": ("person_id",), "numbers": ("person_id", "number"), "contacts": ("debtor_id", "debt_id", "person_id", "number")}
# Where the log names nobody, a debtor or a debt is called by his case's id.
_LIKE_A_CASE = ("debtor_id", "debt_id")


def find_circles(con: duckdb.DuckDBPyConnection, shards: int = 1) -> int:
    """Make the table memory.main.circles (case_id, circle, shard) from the input tables; how many circles there are.

    A circle is called by the first of its cases' ids; its shard comes from the MD5 of that name, so that it is the same wherever and
    whenever it is worked out.

    Args:
        con: holds the input tables (see `intake.load`).
        shards: how many shards the circles are spread over.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    tables = {name: input_table(con, name) for name in _CASES}
    ties = " UNION ".join(
        f"SELECT case_id, '{column}|' || {column} AS tie FROM {tables[name]} WHERE {column} IS NOT NULL AND case_id IS NOT NULL"
        for name, columns in _TIES.items()
        for column in columns
    )
    every = " UNION ".join(f"SELECT case_id FROM {table} WHERE case_id IS NOT NULL" for table in tables.values())
    con.execute(f"CREATE OR REPLACE TABLE memory.main.circle_cases AS SELECT case_id, row_number() OVER (ORDER BY case_id) - 1 AS place FROM ({every})")
    # A debtor who is nobody else's namesake ties a case to the case that has his name for an id.
    con.execute(f"CREATE OR REPLACE TABLE memory.main.circle_ties AS SELECT place, dense_rank() OVER (ORDER BY tie) - 1 AS tie FROM ({ties} {_named()}) t JOIN memory.main.circle_cases USING (case_id)")
    size = int(con.execute("SELECT count(*) FROM memory.main.circle_cases").fetchall()[0][0])
    pairs = con.sql("SELECT place, tie FROM memory.main.circle_ties").fetchnumpy()
    cases, keys = np.asarray(pairs["place"], dtype=np.int64), np.asarray(pairs["tie"], dtype=np.int64) + size
    whole = size + (int(keys.max()) - size + 1 if len(keys) else 0)
    count, labels = connected_components(coo_matrix((np.ones(len(cases), np.int8), (cases, keys)), shape=(whole, whole)), directed=False)
    first = np.full(count, size, dtype=np.int64)
    np.minimum.at(first, labels[:size], np.arange(size))
    con.register("circle_given", pa.table({"place": np.arange(size), "first": first[labels[:size]]}))
    con.execute(
        "CREATE OR REPLACE TABLE memory.main.circles AS SELECT c.case_id, n.case_id AS circle,"
        f" (('0x' || left(md5(n.case_id), 8))::UBIGINT % {shards})::INTEGER AS shard"
        " FROM circle_given g JOIN memory.main.circle_cases c ON c.place = g.place JOIN memory.main.circle_cases n ON n.place = g.first"
    )
    con.unregister("circle_given")
    con.execute("DROP TABLE memory.main.circle_ties")
    con.execute("DROP TABLE memory.main.circle_cases")
    return int(con.execute("SELECT count(DISTINCT circle) FROM memory.main.circles").fetchall()[0][0])


def _named() -> str:
    """SQL: every case is tied to the debtor and the debt of its own name."""
    return "".join(f" UNION SELECT case_id, '{column}|' || case_id FROM memory.main.circle_cases" for column in _LIKE_A_CASE)
