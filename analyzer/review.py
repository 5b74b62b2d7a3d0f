"""What people decided about findings: append-only, each entry chained to the one before by its hash, in SQLite beside the runs.

A verdict belongs to the finding's stable id, so it outlives the run it was given on; it is stale when rule or evidence have
changed since. Who writes says which entry of the finding was the last he saw: where somebody else has written since, nothing
is stored and he is told.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb

from analyzer import summary
from analyzer.errors import UsageError

FILE = "reviews.sqlite"
STATES = ("open", "claimed", "confirmed", "dismissed", "acceptable", "escalated", "remediated")
# Of these the precision of a rule is made: was there a breach as the rule says, or not.
TRUE, FALSE = ("confirmed", "acceptable", "escalated", "remediated"), ("dismissed",)
SMALLEST_SAMPLE = 20
LONGEST_COMMENT = 4_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_utc TEXT NOT NULL,
    actor TEXT NOT NULL,
    finding_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    state TEXT NOT NULL,
    comment TEXT NOT NULL,
    assignee TEXT NOT NULL,
    rule TEXT NOT NULL,
    rule_digest TEXT NOT NULL,
    evidence_digest TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE
);
CREATE INDEX IF NOT EXISTS entries_finding ON entries (finding_id, seq);
CREATE TRIGGER IF NOT EXISTS entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER IF NOT EXISTS entries_no_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'append only'); END;
"""
_HASHED = ("at_utc", "actor", "finding_id", "run_id", "state", "comment", "assignee", "rule", "rule_digest", "evidence_digest", "previous")
FIRST = "0" * 64
# Each finding's last entry.
_LAST = "seq IN (SELECT max(seq) FROM entries GROUP BY finding_id)"


@dataclass(frozen=True)
class Entry:
    """One thing somebody did. `at_utc` is an ISO instant; `seq` its place in the log; `comment` and `assignee` may be empty."""

    seq: int
    at_utc: str
    actor: str
    finding_id: str
    run_id: str
    state: str
    comment: str
    assignee: str
    rule: str
    rule_digest: str
    evidence_digest: str


@dataclass(frozen=True)
class Standing:
    """Where a finding stands: its last entry (None: nobody has looked at it), and whether rule or evidence have changed since."""

    entry: Entry | None
    stale: bool

    @property
    def state(self) -> str:
        """One of `STATES`."""
        return self.entry.state if self.entry else "open"


class Reviews:
    """The log of one folder of runs. Safe for several processes: each writes in a transaction of its own."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the runs; a run file stands for its folder."""
        self.path = (folder.parent if folder.is_file() else folder) / FILE

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        con = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        try:
            con.execute("PRAGMA journal_mode = WAL")
            con.executescript(_SCHEMA)
            yield con
        finally:
            con.close()

    def decide(
        self, run: duckdb.DuckDBPyConnection, finding_id: str, actor: str, state: str, comment: str = "", assignee: str = "", seen: int | None = None
    ) -> Entry:
        """Add an entry.

        Args:
            run: the run the finding is looked at in.
            finding_id: its whole id.
            actor: who decides.
            state: one of `STATES`.
            comment: why; needed to dismiss.
            assignee: whose task it is from now on.
            seen: the `seq` of the last entry of this finding that the actor saw, 0 if there was none; None does not ask.

        Raises:
            UsageError: no such finding or state, nobody named, a dismissal without a reason, or somebody else has written since.
        """
        actor, comment, assignee = actor.strip(), comment.strip(), assignee.strip()
        if state not in STATES:
            raise UsageError("review.state", state=state[:40], have=", ".join(STATES))
        if not actor:
            raise UsageError("review.no_actor")
        if state == "dismissed" and not comment:
            raise UsageError("review.no_reason")
        if len(comment) > LONGEST_COMMENT:
            raise UsageError("review.too_long", most=LONGEST_COMMENT)
        found = summary.rows(run, "SELECT rule, rule_digest, evidence_digest FROM findings WHERE finding_id = ?", [finding_id])
        if not found:
            raise UsageError("run.no_finding", name=summary.run(run)["run_id"], finding=finding_id)
        values = {
            "at_utc": datetime.now(UTC).isoformat(timespec="milliseconds"), "actor": actor, "finding_id": finding_id, "run_id": summary.run(run)["run_id"],
            "state": state, "comment": comment, "assignee": assignee, **found[0],
        }  # fmt: skip
        with self._connect() as con:
            # The lock is taken before the last entry is looked at, so that the chain cannot fork.
            con.execute("BEGIN IMMEDIATE")
            try:
                last = con.execute("SELECT max(seq) FROM entries WHERE finding_id = ?", [finding_id]).fetchone()[0] or 0
                if seen is not None and last != seen:
                    raise UsageError("review.changed", finding=finding_id)
                previous = con.execute("SELECT hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
                values["previous"] = previous[0] if previous else FIRST
                values["hash"] = entry_hash(values)
                names = ", ".join(values)
                seq = con.execute(f"INSERT INTO entries ({names}) VALUES ({', '.join('?' * len(values))})", list(values.values())).lastrowid
                con.execute("COMMIT")
            finally:
                if con.in_transaction:
                    con.execute("ROLLBACK")
        return _entry((seq, *(values[name] for name in _COLUMNS[1:])))

    def history(self, finding_id: str) -> list[Entry]:
        """The entries of a finding, the oldest first."""
        return self._entries("WHERE finding_id = ?", [finding_id])

    def log(self) -> list[Entry]:
        """All entries, the oldest first."""
        return self._entries("", [])

    def _entries(self, where: str, params: Sequence[object]) -> list[Entry]:
        if not self.path.is_file():
            return []
        with self._connect() as con:
            return [_entry(row) for row in con.execute(f"SELECT {', '.join(_COLUMNS)} FROM entries {where} ORDER BY seq", params).fetchall()]

    def chain(self) -> list[dict[str, Any]]:
        """All entries with what chains them: the fields of `Entry`, `previous` and `hash`; the oldest first."""
        if not self.path.is_file():
            return []
        names = ("seq", *_HASHED, "hash")
        with self._connect() as con:
            return [dict(zip(names, row, strict=True)) for row in con.execute(f"SELECT {', '.join(names)} FROM entries ORDER BY seq")]

    def standings(self, findings: Iterable[Mapping[str, Any]]) -> dict[str, Standing]:
        """Where some findings (rows with finding_id, rule_digest, evidence_digest) stand."""
        rows = list(findings)
        last = {entry.finding_id: entry for entry in self._entries(f"WHERE {_LAST} AND finding_id IN (SELECT value FROM json_each(?))", [json.dumps([r["finding_id"] for r in rows])])}
        return {row["finding_id"]: _standing(last.get(row["finding_id"]), row) for row in rows}

    def verify(self) -> int | None:
        """The place of the first entry that breaks the chain; None if it is whole."""
        if not self.path.is_file():
            return None
        previous, place = FIRST, 0
        with self._connect() as con:
            for row in con.execute(f"SELECT seq, {', '.join(_HASHED)}, hash FROM entries ORDER BY seq"):
                seq, *hashed, stored = row
                values = dict(zip(_HASHED, hashed, strict=True))
                if seq != place + 1 or values["previous"] != previous or entry_hash(values) != stored:
                    return int(seq)
                previous, place = stored, seq
        return None

    def precision(self) -> list[dict[str, Any]]:
        """Per rule: verdicts, how many said there was a breach, and Wilson's 95 % interval, which small samples have not."""
        counted: dict[str, list[int]] = {}
        for entry in self._entries(f"WHERE {_LAST}", []):
            if entry.state in (*TRUE, *FALSE):
                counts = counted.setdefault(entry.rule, [0, 0])
                counts[0] += entry.state in TRUE
                counts[1] += 1
        return [
            {"rule": rule, "verdicts": of, "right": right, **({"low": None, "high": None} if of < SMALLEST_SAMPLE else dict(zip(("low", "high"), summary.interval(right, of), strict=True)))}
            for rule, (right, of) in sorted(counted.items())
        ]


_COLUMNS = ("seq", "at_utc", "actor", "finding_id", "run_id", "state", "comment", "assignee", "rule", "rule_digest", "evidence_digest")


def _entry(row: Sequence[Any]) -> Entry:
    return Entry(*row)


def _standing(entry: Entry | None, row: Mapping[str, Any]) -> Standing:
    stale = entry is not None and (entry.rule_digest, entry.evidence_digest) != (row["rule_digest"], row["evidence_digest"])
    return Standing(entry, stale)


def entry_hash(values: Mapping[str, Any]) -> str:
    """The SHA-256 that chains an entry: over its fields and the hash of the entry before."""
    told = json.dumps([values[name] for name in _HASHED], ensure_ascii=False, separators=(",", ":"))
    return sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
