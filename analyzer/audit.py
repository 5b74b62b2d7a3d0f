"""The one path: files to rows, rows to signals, rules to hits, hits to findings, one file per run."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import duckdb

from analyzer import findings, intake, rules, runs, store, summary
from analyzer.calendars import load_calendars
from analyzer.checks import entities_of, judge, prepare
from analyzer.errors import InputError, InputErrors, NoInput, UsageError
from analyzer.intake import Batch, Mapping, Plan, Settings
from analyzer.model import ExitCode, Outcome, Pack
from analyzer.sources import Source, discover, open_sources
from analyzer.text import Read, TextReader, contact_texts, lexicon_ids, reuse, store_signals, words_digest

# From this size of files on, a process of its own reads the texts (about 50,000 contacts).
MANY_BYTES, MANY_CONTACTS = 10_000_000, 50_000

Progress = Callable[[str, int, int], None]
"""Called with (step or name, number done, of how many)."""


@dataclass(frozen=True)
class RunResult:
    """What a run came to; near misses are no findings here and no breaches. `left_out`: sheets that are no tables. `judged`: how often a rule said something of a contact; where none did, nothing is clear."""

    run_id: str
    path: Path
    batches: tuple[Batch, ...]
    findings: int
    breaches: int
    undetermined: int
    not_evaluated: int
    judged: int
    seconds: dict[str, float]
    rule_seconds: dict[str, float]
    left_out: tuple[str, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that says it."""
        if self.findings:
            return ExitCode.BREACHES
        unread = any(batch.rejected for batch in self.batches) or not any(b.loaded for b in self.batches if b.table == "contacts")
        return ExitCode.UNDETERMINED if self.undetermined or self.not_evaluated or unread or not self.judged else ExitCode.CLEAN


def run(
    sources: Sequence[str],
    to: Path,
    *,
    packs: Sequence[str] = (),
    mapping: Mapping | None = None,
    settings: Settings | None = None,
    rules_folder: Path | None = None,
    run_id: str | None = None,
    memory: str | None = None,
    with_packs: Sequence[str] = (),
    drafts: bool = False,
    since: Path | None = None,
    progress: Progress = lambda *_: None,
) -> RunResult:
    """Audit files and publish a run.

    Args:
        sources: files, folders or globs.
        to: folder of runs; the run becomes <to>/<run_id>.duckdb.
        packs: pack ids; all packs but those by choice when empty.
        with_packs: packs by choice to be used as well.
        drafts: whether rules whose status is draft count.
        mapping: a house format.
        settings: zone of times without one, jurisdiction of cases without one.
        rules_folder: where the packs are; the program's own by default.
        run_id: name of the run; by default the time of its start.
        memory: DuckDB's memory limit, as "2GB".
        since: an earlier run; texts that it has read with the same words are not read again. The result is that of a full audit.
        progress: called as the run goes on.

    Raises:
        RuleErrors: a rule cannot be used; nothing was read.
        InputError: a file cannot be read; nothing was published.
    """
    started = datetime.now(UTC)
    clock = Stopwatch()
    folder = rules_folder or rules.rules_folder()
    mapping = mapping or Mapping()
    settings = settled(mapping, settings)
    lexicon_folder = rules.lexicon_folder(folder)
    name = run_id or started.strftime("%Y%m%dT%H%M%SZ")
    target = target_of(to, name)
    if since is not None:
        # Says in one sentence what is wrong with a file that is no run.
        runs.connect(since).close()
    with ExitStack() as early:
        # Its process loads the words while the rules are put together; how many texts an earlier run leaves to read is known only later.
        many = since is None and sum(path.stat().st_size for path in discover(sources, mapping.ignore)) > MANY_BYTES
        reader = early.enter_context(TextReader(lexicon_folder, many=True)) if many else None
        # The files are read once for their digest and shape meanwhile.
        with ThreadPoolExecutor(1) as background:
            looking = background.submit(inspect, sources, mapping)
            loaded, problems = rules.chosen(folder, packs, with_packs, drafts)
            prepared = prepare(loaded, problems, lexicon_ids(lexicon_folder))
            days = load_calendars(folder)
            clock.lap("rules")
            inspected = looking.result()
            plans = planned(inspected)
            clock.lap("inspect")
        words = words_digest(lexicon_folder, entities_of(prepared))
        # Should anything fail, the reader ends first, so that nobody waits for texts that no one will see.
        with store.new_run(target, memory, sum(p.source.size for p in plans)) as file, ThreadPoolExecutor(1) as background, early.pop_all() as stack:
            con = file.con
            con.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, NULL, ?, ?, ?, NULL, NULL, ?)",
                [name, program(), _command(loaded, drafts, mapping), _naive(started), settings.zone, settings.jurisdiction, mapping.name, words],
            )
            batches = intake.load(con, plans, settings, file.scratch, progress)
            clock.lap("load")
            zones = {b.batch_id: b.zone for b in batches}
            store.fill_calendars(con, days)
            store.derive_cases(con, settings, zones)
            # The texts are read beside all that needs none of them.
            total = sum(b.loaded for b in batches if b.table == "contacts")
            before = since is not None and reuse.attach(con, since, words)
            if before:
                total -= reuse.find_read(con)
            parts = store.split(con)
            queries = [reuse.unread(con, part) if before else store.spoken_to(con, part=part) for part in parts]
            if reader is None:
                reader = stack.enter_context(TextReader(lexicon_folder, total > MANY_CONTACTS))
            reading = background.submit(_read_texts, con.cursor(), queries, reader, entities_of(prepared), lambda done: progress("words", done, total))
            store.derive_contacts(con, settings, zones, parts=parts)
            store.lock(con)
            clock.lap("derive")
            findings.record_rules(con, prepared)
            rule_seconds = judge(con, [p for p in prepared if not p.reads_signals], progress)
            clock.lap("judge")
            store_signals(con, reading.result())
            if before:
                reuse.copy_signals(con)
            clock.lap("words")
            rule_seconds |= judge(con, [p for p in prepared if p.reads_signals], progress)
            clock.lap("judge_words")
            findings.build(con)
            clock.lap("findings")
            con.execute(
                "UPDATE runs SET finished_utc = ?, data_digest = ?, rules_digest = ?",
                [
                    _naive(datetime.now(UTC)),
                    digest(sorted(p.source.sha256 for p in plans)),
                    digest(sorted(p.digest for p in loaded)),
                ],
            )
            if since is not None:
                con.execute(f"DETACH {reuse.OLD}")
            result = replace(result_of(con, name, target, tuple(batches), clock.laps, rule_seconds), left_out=tuple(left_out(inspected)))
    clock.lap("publish")
    (to / "current").write_text(name + "\n", encoding="utf-8")
    return result


def settled(mapping: Mapping, settings: Settings | None) -> Settings:
    """What holds where the data say nothing: a house format knows better than the call, the call better than the default."""
    given = settings or Settings()
    return Settings(mapping.zone or given.zone, mapping.jurisdiction or given.jurisdiction)


def target_of(to: Path, name: str) -> Path:
    """Where a run of this name will be.

    Raises:
        UsageError: that is no name.
        InputError: there is one of that name.
    """
    if not re.fullmatch(r"\w[\w.-]{0,79}", name):
        raise UsageError("usage.name", name=name[:80])
    target = to / f"{name}.duckdb"
    if target.exists():
        raise InputError("run.exists", name=name)
    return target


def result_of(con: duckdb.DuckDBPyConnection, name: str, target: Path, batches: tuple[Batch, ...], laps: dict[str, float], rule_seconds: dict[str, float]) -> RunResult:
    """What a run that is complete came to."""
    counts = {
        outcome: _one(con, f"SELECT coalesce(sum(contacts), 0) FROM rule_results JOIN rules USING (rule) WHERE outcome = ? AND (outcome <> 'breach' OR kind <> '{summary.NEAR_MISS}')", [outcome.value])
        for outcome in (Outcome.BREACH, Outcome.UNDETERMINED, Outcome.NOT_EVALUATED)
    }
    return RunResult(
        name, target, batches, _one(con, f"SELECT count(*) FROM {summary.BREACHES}"), counts[Outcome.BREACH], counts[Outcome.UNDETERMINED],
        counts[Outcome.NOT_EVALUATED], _one(con, "SELECT coalesce(sum(contacts), 0) FROM rule_results WHERE outcome NOT IN ('not_applicable', 'not_in_force')"), laps, rule_seconds,
    )  # fmt: skip


def batches_of(con: duckdb.DuckDBPyConnection) -> list[Batch]:
    """The batches as a run tells of them."""
    names = ("batch_id", "file", "encoding", "delimiter", "header_row", "zone", "date_order", "rows_read", "loaded", "rejected", "duplicate")
    found = con.execute(f"SELECT table_name, unmapped, {', '.join(names)} FROM batches ORDER BY batch_id").fetchall()
    return [Batch(table=table, unmapped=tuple(json.loads(unmapped)), **dict(zip(names, row, strict=True))) for table, unmapped, *row in found]


def _read_texts(cursor: duckdb.DuckDBPyConnection, queries: Sequence[str], reader: TextReader, entities: Sequence[str], progress: Callable[[int], None]) -> Read:
    try:
        cursor.execute("USE run")
        return reader.read(contact_texts(cursor, *queries), entities, progress)
    finally:
        cursor.close()


@dataclass(frozen=True)
class Inspected:
    """A file, or one table of it, as it was found: how it would be read, or why it cannot be; neither where the mapping leaves it out."""

    file: str
    source: Source | None
    plan: Plan | None
    error: InputError | UsageError | None


def inspect(sources: Sequence[str], mapping: Mapping) -> list[Inspected]:
    """Every table of every file, in reading order. Problems of single files are in the result, not raised.

    Raises:
        NoInput: a name matches nothing.
    """
    found: list[Inspected] = []
    for path in discover(sources, mapping.ignore):
        entry = mapping.for_name(path.name)
        try:
            opened = open_sources(path, intake.is_known_header, entry.hints() if entry else None)
        except InputError as error:
            found.append(Inspected(path.name, None, None, error))
            continue
        for source in opened:
            if mapping.ignores(source):
                found.append(Inspected(source.name, source, None, None))
                continue
            try:
                found.extend(Inspected(source.name, source, plan, None) for plan in intake.propose(source, mapping))
            except (InputError, UsageError) as error:
                found.append(Inspected(source.name, source, None, error))
    if any(item.plan and item.plan.table.name in ("persons", "numbers") for item in found):
        return found
    return [one for item in found for one in _with_borrowers(item)]


def _with_borrowers(item: Inspected) -> list[Inspected]:
    people = intake.borrowers(item.plan) if item.plan else ()
    if not item.plan or not people:
        return [item]
    return [replace(item, plan=plan) for plan in intake.told_apart(item.plan, *people)]


def unreadable(found: Sequence[Inspected]) -> list[Inspected]:
    """Those that keep an audit from its files: all but the ones `left_out`."""
    aside = left_out(found)
    return [item for item in found if item.error and item.file not in aside]


def left_out(found: Sequence[Inspected]) -> list[str]:
    """The names of sheets that the mapping leaves out, and of those without any column of ours, where another sheet of the workbook is a table: an explanation, a chart."""
    useful = {item.source.path for item in found if item.plan and item.source}
    return [
        item.file for item in found
        if (not item.error and not item.plan)
        or (item.error and item.source and item.source.sheet and item.source.path in useful and not any(map(intake.is_known_header, item.source.columns)))
    ]  # fmt: skip


def plan(sources: Sequence[str], mapping: Mapping) -> list[Plan]:
    """What will be read, and how: every table of every file, in reading order.

    Sheets of a workbook that are no table of ours are left out when another sheet is one.

    Raises:
        NoInput, InputError, UsageError: nothing to read, or a file cannot be read.
    """
    return planned(inspect(sources, mapping))


def planned(found: Sequence[Inspected]) -> list[Plan]:
    """The plans of what was inspected.

    Raises:
        NoInput, InputError, UsageError: as `plan`; of several files that cannot be read each is named.
    """
    problems = [item.error for item in unreadable(found) if item.error]
    if problems:
        raise problems[0] if len(problems) == 1 else InputErrors(problems)
    plans = [item.plan for item in found if item.plan]
    if not plans:
        raise NoInput("input.nothing")
    return plans


def date_orders(plan: Plan) -> dict[str, str]:
    """The date order of each time or date column of a source, worked out from its first rows; ambiguous ones say so."""
    return intake.sample_orders(plan)


def sample_logs() -> Path:
    """The logs that come with the program: of the checkout, or of the installed wheel."""
    here = Path(__file__).parent
    return next(p for p in (here / "_sample_logs", here.parent / "sample_logs") if p.is_dir())


def program() -> str:
    """Name and version of the program."""
    from analyzer import __version__

    return f"dunaudit {__version__}"


def _command(packs: Sequence[Pack], drafts: bool, mapping: Mapping) -> str:
    return f"audit packs={','.join(p.id for p in packs)}{' drafts' if drafts else ''} mapping={mapping.name}"


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def digest(parts: Sequence[str]) -> str:
    """SHA-256 over digests, one a line."""
    return sha256("\n".join(parts).encode()).hexdigest()


def _one(con: duckdb.DuckDBPyConnection, sql: str, params: list[object] | None = None) -> int:
    row = con.execute(sql, params or []).fetchall()[0]
    return int(row[0])


class Stopwatch:
    """Seconds by step."""

    def __init__(self) -> None:
        """Starts now."""
        self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """What passed since the last one was `name`."""
        now = time.perf_counter()
        self.laps[name] = round(now - self._last, 3)
        self._last = now
