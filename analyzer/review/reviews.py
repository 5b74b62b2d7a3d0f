"""The log of one folder of runs: what is written into it, and what is asked of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb

from analyzer import sampling, summary
from analyzer.errors import InputError, UsageError
from analyzer.review import quality
from analyzer.review.database import Session, Sqlite, database
from analyzer.review.entries import (
    ACTS,
    APPEAL,
    APPROVE,
    ASSIGN,
    BLIND,
    BLIND_DRAWN,
    CHECKED,
    COACH,
    COACHED,
    COLUMNS,
    CONTACT,
    CONTACTS_DRAWN,
    DECIDED,
    FIRST,
    LONGEST_COMMENT,
    REFUSE,
    RESULTS,
    SECOND,
    STATES,
    STORED,
    SUPPRESS,
    VERDICT,
    Entry,
    entry_hash,
    same_person,
)  # fmt: skip
from analyzer.review.standing import JUDGING, Standing, standing

Row = Mapping[str, Any]
LONGEST_SUPPRESSION = timedelta(days=366)
_DIGESTS = "finding_id, rule, rule_digest, evidence_digest, severity"


@dataclass(frozen=True)
class Bulk:
    """What was written at once, and how many findings were left as they are because somebody has judged or claimed them."""

    written: list[Entry]
    left: int


class Reviews:
    """The log of one folder of runs, or of the database that `url` or DUNAUDIT_REVIEWS names. Safe for several processes."""

    def __init__(self, folder: Path, url: str = "") -> None:
        """`folder` holds the runs; a run file stands for its folder.

        Raises:
            UsageError: the address is of no kind known here, or psycopg is needed and not there.
        """
        self._database = database(folder, url)

    def there(self) -> bool:
        """Whether there is a log: nothing can have been written where there is none."""
        return self._database.there()

    @property
    def path(self) -> Path | None:
        """The file, where it is one."""
        return self._database.path if isinstance(self._database, Sqlite) else None

    # Judging findings
    def decide(
        self, run: duckdb.DuckDBPyConnection, finding_id: str, actor: str, state: str, comment: str = "", assignee: str = "", seen: int | None = None,
        second: Collection[str] = (), replace: bool = True,
    ) -> Entry:  # fmt: skip
        """Add a verdict or a claim; of another person's verdict that waits for it, the second word.

        Args:
            run: the run the finding is looked at in; a finding that this connection does not show cannot be judged.
            finding_id: its whole id.
            actor: who decides.
            state: one of `STATES`; who claims has the task, unless it is given to somebody.
            comment: why; needed to dismiss.
            assignee: whose task it is from now on.
            seen: `Standing.seen` as the actor saw it; None does not ask.
            second: severities whose verdicts wait until a second person confirms them.
            replace: whether it may take the place of another person's verdict or claim; for those who have not seen what is there.

        Raises:
            UsageError: no such finding or state, nobody named, a dismissal without a reason, somebody else has written since, or it may take nobody's place and would.
        """
        if state not in STATES:
            raise UsageError("review.state", state=state[:40], have=", ".join(STATES))
        actor, comment, assignee = _checked(actor, comment, assignee)
        if state == "dismissed" and not comment:
            raise UsageError("review.no_reason")
        row = self._row(run, finding_id)

        def verdict(was: Standing) -> dict[str, Any]:
            _unchanged(was, seen, finding_id)
            found = _verdict(was, row, actor, state, second)
            if not replace and found["kind"] == VERDICT and not was.stale and _anothers(was, actor):
                raise UsageError("review.replaces", finding=finding_id)
            return found | {"comment": comment, "assignee": assignee or (actor if state == "claimed" else "")}

        return self._write(run, actor, [row], lambda _, was: verdict(was))[0]

    def decide_all(
        self, run: duckdb.DuckDBPyConnection, filters: Mapping[str, Sequence[str]], actor: str, state: str, comment: str, assignee: str = "", second: Collection[str] = ()
    ) -> Bulk:
        """One verdict with one reason on all findings that fit, as `summary.findings` filters them. What somebody has judged, or another person claimed, is left.

        Raises:
            UsageError: as `decide`, or no reason, or no finding fits.
        """
        if state not in STATES:
            raise UsageError("review.state", state=state[:40], have=", ".join(STATES))
        actor, comment, assignee = _checked(actor, comment, assignee)
        if not comment:
            raise UsageError("review.no_reason_all")

        def verdict(row: Row, was: Standing) -> dict[str, Any] | None:
            if was.entry is not None and (was.state not in ("open", "claimed") or not same_person(was.assignee or actor, actor)):
                return None
            return _verdict(was, row, actor, state, second) | {"comment": comment, "assignee": assignee or (actor if state == "claimed" else "")}

        return self._bulk(run, filters, actor, verdict)

    def suppress(
        self, run: duckdb.DuckDBPyConnection, finding_id: str, actor: str, comment: str, approver: str, until: date, seen: int | None = None
    ) -> Entry:
        """Ask another person to keep a finding out of the way until a day: see `answer`. It stays in every list and figure, marked; a new verdict, or another rule or evidence, ends it.

        Raises:
            UsageError: no reason, no approver or the same person, a day that is past or more than `LONGEST_SUPPRESSION` ahead, or as `decide`.
        """
        actor, comment, _ = _checked(actor, comment, "")
        told = _suppression(actor, comment, approver, until)

        def entry(_: Row, was: Standing) -> dict[str, Any]:
            _unchanged(was, seen, finding_id)
            return {"kind": SUPPRESS, "state": was.state, "comment": comment, "detail": told}

        return self._write(run, actor, [self._row(run, finding_id)], entry)[0]

    def suppress_all(self, run: duckdb.DuckDBPyConnection, filters: Mapping[str, Sequence[str]], actor: str, comment: str, approver: str, until: date) -> Bulk:
        """Ask to suppress all findings that fit, with one reason; those that are suppressed already, or for which somebody has asked, are left.

        Raises:
            UsageError: as `suppress`, or no finding fits.
        """
        actor, comment, _ = _checked(actor, comment, "")
        told, today = _suppression(actor, comment, approver, until), datetime.now(UTC).date()
        return self._bulk(run, filters, actor, lambda _, was: None if was.suppressed(today) or was.asked(today) else {"kind": SUPPRESS, "state": was.state, "comment": comment, "detail": told})

    def answer(self, run: duckdb.DuckDBPyConnection, finding_id: str, actor: str, granted: bool, comment: str = "", seen: int | None = None) -> Entry:
        """Approve or refuse a suppression that waits for this person: nothing is out of the way before. Its detail: of (place of the request).

        Raises:
            UsageError: nobody named, none waits for him, or as `decide`.
        """
        actor, comment, _ = _checked(actor, comment, "")

        def entry(_: Row, was: Standing) -> dict[str, Any]:
            _unchanged(was, seen, finding_id)
            told = _answer(was, actor, granted, comment)
            if told is None:
                raise UsageError("review.not_asked", finding=finding_id)
            return told

        return self._write(run, actor, [self._row(run, finding_id)], entry)[0]

    def answer_all(self, run: duckdb.DuckDBPyConnection, filters: Mapping[str, Sequence[str]], actor: str, granted: bool, comment: str = "") -> Bulk:
        """Approve or refuse all suppressions that wait for this person among the findings that fit; all others are left.

        Raises:
            UsageError: nobody named, or no finding fits.
        """
        actor, comment, _ = _checked(actor, comment, "")
        return self._bulk(run, filters, actor, lambda _, was: _answer(was, actor, granted, comment))

    def appeal(self, run: duckdb.DuckDBPyConnection, finding_id: str, actor: str, comment: str) -> Entry:
        """The collector's objection: the finding waits for a verdict that answers it.

        Raises:
            UsageError: no reason, an appeal that waits already, or as `decide`.
        """
        actor, comment, _ = _checked(actor, comment, "")
        if not comment:
            raise UsageError("review.no_reason_appeal")

        def entry(_: Row, was: Standing) -> dict[str, Any]:
            if was.appeal is not None:
                raise UsageError("review.appealed", finding=finding_id)
            return {"kind": APPEAL, "state": was.state, "comment": comment}

        return self._write(run, actor, [self._row(run, finding_id)], entry)[0]

    # Blind second review
    def draw_blind(self, run: duckdb.DuckDBPyConnection, actor: str, seed: str, size: int) -> Entry:
        """Draw findings whose verdict a second person shall give again without seeing the first: those with the smallest SHA-256 of seed, line feed and id.

        Its detail: seed, population (findings with a verdict in force and no appeal), findings (their ids, in the order drawn).

        Raises:
            UsageError: nobody named, or no finding has a verdict.
        """
        actor, _, _ = _checked(actor, "", "")
        decided = sorted((finding for finding, one in self.all_standings(run).items() if one.decided and one.appeal is None), key=lambda f: (sha256(f"{seed}\n{f}".encode()).hexdigest(), f))
        if not decided:
            raise UsageError("review.none_decided")
        return self._note(actor, BLIND_DRAWN, summary.run(run)["run_id"], "", {"seed": seed, "population": len(decided), "findings": decided[:size]})

    def blind_tasks(self, actor: str) -> list[str]:
        """Findings drawn for a blind review that this person can still do: nobody has, the verdict on it is not his, and no appeal has come since: whoever
        answers that must know what it is against. Nobody ("") has none."""
        if not actor or not self._database.there():
            return []
        with self._database.reading() as session:
            return list(_blind_tasks(session, actor))

    def judge_blind(self, run: duckdb.DuckDBPyConnection, finding_id: str, actor: str, state: str, comment: str = "") -> Entry:
        """Give a blind second verdict. It changes nothing about where the finding stands. Its detail: draw, of (place of the verdict it is compared with), first (that verdict).

        Raises:
            UsageError: not drawn for a blind review by this person, no verdict proper, or the first verdict is not in force any more.
        """
        actor, comment, _ = _checked(actor, comment, "")
        if state not in DECIDED:
            raise UsageError("review.state", state=state[:40], have=", ".join(DECIDED))
        row, run_id = self._row(run, finding_id), summary.run(run)["run_id"]
        # Whether it is still to be done is asked where nobody else writes in between: of six answers at once one is kept.
        with self._database.writing() as session:
            draw = _blind_tasks(session, actor).get(finding_id)
            was = standing(_histories(session, [finding_id]).get(finding_id, ()), row)
            if draw is None or was.entry is None or not was.decided:
                raise UsageError("review.not_blind", finding=finding_id)
            told = {"kind": BLIND, "state": state, "comment": comment, "detail": {"draw": draw, "of": was.entry.seq, "first": was.state}}
            return _stored(session, [_values(actor, run_id, row, told)])[0]

    def agreement(self) -> quality.Agreement:
        """First verdicts and blind second ones, compared."""
        return quality.agreement([(e.told["first"], e.state) for e in self.log() if e.kind == BLIND])

    # Coaching
    def coach(self, run_id: str, actor: str, agent: str, comment: str, since: date, due: date, rule: str = "") -> Entry:
        """Set a collector a coaching task. Its detail: agent, rule (empty: all), since, due.

        Args:
            run_id: the run that shows what to coach.
            actor: who sets it.
            agent: the collector.
            comment: what was agreed.
            since: the day from which his contacts are to be better.
            due: the day of the re-check.
            rule: the rule it is about; empty for all.

        Raises:
            UsageError: nobody named, nothing agreed, or a re-check before the day from which it counts.
        """
        actor, comment, agent = _checked(actor, comment, agent)
        if not comment or not agent:
            raise UsageError("review.no_reason_coach")
        if due <= since:
            raise UsageError("review.coach_due", since=since.isoformat(), due=due.isoformat())
        return self._note(actor, COACH, run_id, comment, {"agent": agent, "rule": rule, "since": since.isoformat(), "due": due.isoformat()})

    def check_coaching(self, run_id: str, task: int, actor: str, result: str, comment: str = "") -> Entry:
        """Say what the re-check of a coaching task came to. Its detail: task.

        Raises:
            UsageError: nobody named, no such task, or no such result.
        """
        actor, comment, _ = _checked(actor, comment, "")
        if result not in CHECKED:
            raise UsageError("review.state", state=result[:40], have=", ".join(CHECKED))
        if not self._entries("WHERE seq = ? AND kind = ?", [task, COACH]):
            raise UsageError("review.no_task", task=task)
        return self._note(actor, COACHED, run_id, comment, {"task": task}, result)

    def coaching(self) -> list[quality.Task]:
        """All coaching tasks: see `quality.tasks`."""
        return quality.tasks(self._entries("WHERE kind IN (?, ?)", [COACH, COACHED]))

    # Contacts in which nothing was found
    def draw_contacts(self, run: duckdb.DuckDBPyConnection, actor: str, seed: str, size: int | None = None, confidence: float = 0.95, tolerable: float = 0.05) -> Entry:
        """Draw a queue of contacts in which nothing was found, by `sampling`; without a size, as many as the formula asks for.

        Its detail: seed, population, confidence, tolerable, contacts (their ids, in the order to be examined).

        Raises:
            UsageError: nobody named, a share that is none, or nothing to draw from.
        """
        actor, _, _ = _checked(actor, "", "")
        plan = sampling.Plan("contacts", "attribute" if size is None else "random", seed, size, confidence=confidence, tolerable=tolerable)
        drawn = sampling.draw(run, plan)
        items = [row[drawn.paper.columns.index("item_id")] for row in drawn.paper.rows]
        return self._note(
            actor, CONTACTS_DRAWN, summary.run(run)["run_id"], "",
            {"seed": seed, "population": drawn.population, "confidence": confidence, "tolerable": tolerable, "contacts": items},
        )  # fmt: skip

    def examine(self, draw: int, contact_id: str, actor: str, result: str, comment: str = "") -> Entry:
        """Say what a contact of a queue came to.

        Args:
            draw: place of the entry that drew it.
            contact_id: the contact.
            actor: who examined it.
            result: one of `RESULTS`.
            comment: what was missed.

        Raises:
            UsageError: no such queue, the contact is not in it, or no such result.
        """
        actor, comment, _ = _checked(actor, comment, "")
        if result not in RESULTS:
            raise UsageError("review.state", state=result[:40], have=", ".join(RESULTS))
        drawn = self._entries("WHERE seq = ? AND kind = ?", [draw, CONTACTS_DRAWN])
        if not drawn or contact_id not in drawn[0].told["contacts"]:
            raise UsageError("review.not_drawn", contact=contact_id[:80], draw=draw)
        return self._note(actor, CONTACT, drawn[0].run_id, comment, {"draw": draw, "contact": contact_id}, result)

    def queues(self) -> list[quality.Misses]:
        """Every queue that was drawn and what it comes to so far, the newest first."""
        entries = self._entries("WHERE kind IN (?, ?)", [CONTACTS_DRAWN, CONTACT])
        return [quality.misses(e, entries) for e in reversed(entries) if e.kind == CONTACTS_DRAWN]

    def queue(self, draw: int) -> list[tuple[str, str]]:
        """(contact_id, result or empty) of a queue, in the order to be examined; none if there is no such queue."""
        entries = self._entries("WHERE seq = ? OR kind = ?", [draw, CONTACT])
        results = {e.told["contact"]: e.state for e in entries if e.kind == CONTACT and e.told["draw"] == draw}
        return [(item, results.get(item, "")) for e in entries if e.kind == CONTACTS_DRAWN for item in e.told["contacts"]]

    # What people looked at, took away or changed
    def act(self, actor: str, kind: str, run_id: str, comment: str = "", **detail: Any) -> Entry:
        """Note an act: `kind` is one of `entries.ACTS`; `detail` says on what, never a name or a text of the logs.

        Raises:
            UsageError: nobody named.
        """
        assert kind in ACTS, kind
        actor, comment, _ = _checked(actor, comment, "")
        return self._note(actor, kind, run_id, comment, detail)

    # What is asked
    def history(self, finding_id: str, blind_to: str = "") -> list[Entry]:
        """The entries of a finding, the oldest first. `blind_to`: a person who is to review it blind sees none."""
        if finding_id in self.blind_tasks(blind_to):
            return []
        return self._entries("WHERE finding_id = ?", [finding_id])

    def log(self) -> list[Entry]:
        """All entries, the oldest first."""
        return self._entries("", [])

    def chain(self) -> list[dict[str, Any]]:
        """All entries with what chains them: the fields of `Entry`, `previous` and `hash`; the oldest first."""
        if not self._database.there():
            return []
        with self._database.reading() as session:
            return [dict(zip(STORED, row, strict=True)) for row in session.rows(f"SELECT {', '.join(STORED)} FROM entries ORDER BY seq")]

    def standings(self, findings: Iterable[Row], blind_to: str = "") -> dict[str, Standing]:
        """Where some findings (rows with finding_id, rule_digest, evidence_digest) stand; those that a person is to review blind look untouched to him."""
        rows = list(findings)
        hidden = set(self.blind_tasks(blind_to))
        if not self._database.there():
            return {row["finding_id"]: Standing() for row in rows}
        with self._database.reading() as session:
            by = _histories(session, [r["finding_id"] for r in rows if r["finding_id"] not in hidden])
        return {row["finding_id"]: standing(by.get(row["finding_id"], ()), row) for row in rows}

    def all_standings(self, run: duckdb.DuckDBPyConnection) -> dict[str, Standing]:
        """Where the findings of a run stand that anybody has written about; all others are open."""
        if not self._database.there():
            return {}
        with self._database.reading() as session:
            by = _histories(session, None)
        rows = _shown(run, list(by))
        return {row["finding_id"]: standing(by[row["finding_id"]], row) for row in rows}

    def counts(self, run: duckdb.DuckDBPyConnection) -> dict[str, int]:
        """Findings of a run, near misses apart: `findings` in all = the sum over `STATES`; and of these suppressed, asked (a suppression waits to be approved), waiting (for a second person), stale, appealed, assigned."""
        breaches, today = {row[0] for row in run.execute(f"SELECT finding_id FROM {summary.BREACHES}").fetchall()}, datetime.now(UTC).date()
        standings, total = [one for finding, one in self.all_standings(run).items() if finding in breaches], len(breaches)
        told = {state: sum(one.state == state for one in standings) for state in STATES}
        told["open"] += total - len(standings)
        marks: dict[str, Callable[[Standing], bool]] = {
            "suppressed": lambda one: one.suppressed(today), "asked": lambda one: one.asked(today), "waiting": lambda one: one.waiting, "stale": lambda one: one.stale,
            "appealed": lambda one: one.appeal is not None, "assigned": lambda one: bool(one.assignee),
        }  # fmt: skip
        return {"findings": total, **told, **{name: sum(map(mark, standings)) for name, mark in marks.items()}}

    def verify(self) -> int | None:
        """The place of the first entry that breaks the chain; None if it is whole."""
        previous = FIRST
        for place, values in enumerate(self.chain(), start=1):
            if values["seq"] != place or values["previous"] != previous or _bytes(values.values()) or entry_hash(values) != values["hash"]:
                return int(values["seq"])
            previous = values["hash"]
        return None

    def precision(self, run: duckdb.DuckDBPyConnection | None = None) -> list[dict[str, Any]]:
        """See `quality.precision`; of the findings of a run, or of all that were ever judged, none of which is then known to be stale."""
        if run is not None:
            return quality.precision(self.all_standings(run).values())
        if not self._database.there():
            return []
        with self._database.reading() as session:
            by = _histories(session, None)
        return quality.precision(standing(entries, _digests(entries[-1])) for entries in by.values())

    # Within
    def _entries(self, where: str, params: Sequence[object]) -> list[Entry]:
        if not self._database.there():
            return []
        with self._database.reading() as session:
            return _read(session, where, params)

    def _row(self, run: duckdb.DuckDBPyConnection, finding_id: str) -> Row:
        found = _shown(run, [finding_id])
        if not found:
            raise UsageError("run.no_finding", name=summary.run(run)["run_id"], finding=finding_id)
        return found[0]

    def _bulk(self, run: duckdb.DuckDBPyConnection, filters: Mapping[str, Sequence[str]], actor: str, make: Callable[[Row, Standing], dict[str, Any] | None]) -> Bulk:
        where, params = summary.condition(filters)
        rows = summary.rows(run, f"SELECT {_DIGESTS} FROM findings WHERE {where} ORDER BY finding_id", params)
        if not rows:
            raise UsageError("review.nothing")
        written = self._write(run, actor, rows, make)
        return Bulk(written, len(rows) - len(written))

    def _write(self, run: duckdb.DuckDBPyConnection, actor: str, rows: Sequence[Row], make: Callable[[Row, Standing], dict[str, Any] | None]) -> list[Entry]:
        """Add what `make` says of each finding, by where it stands at that moment: nobody else writes in between."""
        run_id = summary.run(run)["run_id"]
        with self._database.writing() as session:
            by = _histories(session, [row["finding_id"] for row in rows])
            made = []
            for row in rows:
                found = make(row, standing(by.get(row["finding_id"], ()), row))
                if found is not None:
                    made.append(_values(actor, run_id, row, found))
            return _stored(session, made)

    def _note(self, actor: str, kind: str, run_id: str, comment: str, detail: Mapping[str, Any], state: str = "") -> Entry:
        """Add an entry about no one finding."""
        none = {"finding_id": "", "rule": "", "rule_digest": "", "evidence_digest": ""}
        with self._database.writing() as session:
            return _stored(session, [_values(actor, run_id, none, {"kind": kind, "state": state, "comment": comment, "detail": detail})])[0]


def _checked(actor: str, comment: str, assignee: str) -> tuple[str, str, str]:
    told = (actor.strip(), comment.strip(), assignee.strip())
    if not told[0]:
        raise UsageError("review.no_actor")
    if len(told[1]) > LONGEST_COMMENT:
        raise UsageError("review.too_long", most=LONGEST_COMMENT)
    # Halves of characters and NUL can be kept by neither database.
    if any("\0" in text or text.encode("utf-8", "ignore").decode("utf-8") != text for text in told):
        raise UsageError("review.characters")
    return told


def _suppression(actor: str, comment: str, approver: str, until: date) -> dict[str, Any]:
    approver, today = approver.strip(), datetime.now(UTC).date()
    if not comment:
        raise UsageError("review.no_reason_suppress")
    if not approver or same_person(approver, actor):
        raise UsageError("review.no_approver")
    if not today <= until <= today + LONGEST_SUPPRESSION:
        raise UsageError("review.until", day=until.isoformat(), most=LONGEST_SUPPRESSION.days)
    return {"until": until.isoformat(), "approver": approver}


def _answer(was: Standing, actor: str, granted: bool, comment: str) -> dict[str, Any] | None:
    if was.request is None or not was.asked(datetime.now(UTC).date(), actor):
        return None
    return {"kind": APPROVE if granted else REFUSE, "state": was.state, "comment": comment, "detail": {"of": was.request.seq}}


def _unchanged(was: Standing, seen: int | None, finding_id: str) -> None:
    if seen is not None and was.seen != seen:
        raise UsageError("review.changed", finding=finding_id)


def _anothers(was: Standing, actor: str) -> bool:
    """Whether what is in force is another person's: his verdict, or the claim of whoever has the task."""
    if was.entry is None or was.state == "open":
        return False
    return not (same_person(was.assignee or was.entry.actor, actor) if was.state == "claimed" else was.entry.by(actor))


def _verdict(was: Standing, row: Row, actor: str, state: str, second: Collection[str]) -> dict[str, Any]:
    """The kind, state and detail of a verdict, by what is there."""
    if was.waiting and not was.stale and was.entry is not None and state in DECIDED and not was.entry.by(actor):
        return {"kind": SECOND, "state": state, "detail": {"of": was.entry.seq}}
    if state == "claimed" and was.entry is not None and not was.stale and was.state not in ("open", "claimed"):
        # Who takes on a finding that has a verdict does not take the verdict away.
        return {"kind": ASSIGN, "state": was.state}
    return {"kind": VERDICT, "state": state, "detail": {"second": True} if state in DECIDED and row["severity"] in second else None}


def _values(actor: str, run_id: str, row: Row, told: Mapping[str, Any]) -> dict[str, Any]:
    detail = json.dumps(told["detail"], ensure_ascii=False, sort_keys=True) if told.get("detail") else ""
    return {
        "at_utc": datetime.now(UTC).isoformat(timespec="milliseconds"), "actor": actor, "run_id": run_id, "comment": "", "assignee": "",
        **{name: row[name] for name in ("finding_id", "rule", "rule_digest", "evidence_digest")}, **told, "detail": detail,
    }  # fmt: skip


def _stored(session: Session, made: Sequence[Mapping[str, Any]]) -> list[Entry]:
    return [Entry(seq, *(values[name] for name in COLUMNS[1:])) for seq, values in zip(session.add(made), made, strict=True)]


def _read(session: Session, where: str, params: Sequence[object]) -> list[Entry]:
    rows = session.rows(f"SELECT {', '.join(COLUMNS)} FROM entries {where} ORDER BY seq", params)
    damaged = next((row[0] for row in rows if _bytes(row)), None)
    if damaged is not None:
        raise InputError("review.damaged", at=damaged)
    return [Entry(*row) for row in rows]


def _bytes(values: Iterable[object]) -> bool:
    """Whether something is no text: SQLite keeps in a column what it is given, and we give it none."""
    return any(isinstance(value, bytes) for value in values)


def _histories(session: Session, findings: Sequence[str] | None) -> dict[str, list[Entry]]:
    """The entries that bear on where findings stand, by finding, the oldest first; of all findings for None."""
    where, params = "finding_id <> ''", list[object]()
    if findings is not None:
        where, params = session.among("finding_id", findings)
    by: dict[str, list[Entry]] = {}
    for entry in _read(session, f"WHERE {where}", params):
        if entry.kind in JUDGING:
            by.setdefault(entry.finding_id, []).append(entry)
    return by


def _blind_tasks(session: Session, actor: str) -> dict[str, int]:
    """Findings drawn for a blind review that this person can still do, each with the draw it is for: nobody has for that draw, there was no appeal since, and he neither gave the verdict nor a blind one."""
    entries = _read(session, "WHERE kind IN (?, ?)", [BLIND_DRAWN, BLIND])
    done = {(e.finding_id, e.told["draw"]) for e in entries if e.kind == BLIND}
    mine = {e.finding_id for e in entries if e.kind == BLIND and e.by(actor)}
    drawn = [(f, e.seq) for e in entries if e.kind == BLIND_DRAWN for f in e.told["findings"] if (f, e.seq) not in done and f not in mine]
    if not drawn:
        return {}
    by = _histories(session, [f for f, _ in drawn])
    his = {f for f, found in by.items() if any(e.kind in (VERDICT, SECOND) and e.state in DECIDED and e.by(actor) for e in found)}
    appealed = {f: max((e.seq for e in found if e.kind == APPEAL), default=0) for f, found in by.items()}
    found: dict[str, int] = {}
    for finding, draw in drawn:
        if finding not in his and appealed.get(finding, 0) < draw:
            found.setdefault(finding, draw)
    return found


def _digests(entry: Entry) -> Row:
    return {"rule_digest": entry.rule_digest, "evidence_digest": entry.evidence_digest}


def _shown(run: duckdb.DuckDBPyConnection, findings: Sequence[str]) -> list[dict[str, Any]]:
    return summary.rows(run, f"SELECT {_DIGESTS} FROM findings WHERE finding_id IN (SELECT unnest(?::VARCHAR[]))", [list(findings)]) if findings else []
