"""Conduct towards customer types: which of the handbook's situations a contact met, and whether its text shows what the handbook prescribes.

Like `summary`: plain rows from a published run. Situations and marks are data (rules/conduct). What is found here is
information for coaching: no finding, no breach. A text is not the contact: a mark that a text does not show may still have been done,
and a situation that nobody wrote down is not seen. Where the handbook asks for what the law forbids, the situation's `conflicts` say so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal

import duckdb
import pyarrow as pa
import pydantic
from pydantic import Field

from analyzer import yamlfile
from analyzer.errors import RuleErrors, RuleProblem, UsageError
from analyzer.model import Text2
from analyzer.rules import CONDUCT, LEXICON, Day, rules_folder, validated
from analyzer.sql import literal
from analyzer.store import written_to_us
from analyzer.summary import Row, interval, rows
from analyzer.text import Lexicons, segment
from analyzer.text.finder import Signal, find
from analyzer.text.lexicon import WordsFile, compile_words
from analyzer.yamlfile import Both, Known, Strict

MARKS_FILE = "_marks.yaml"
BATCH = 20_000
# Fewer contacts of one collector in a situation say nothing about him.
LEAST = 10
EXAMPLES = 5
UNKNOWN = "unknown"
GOOD, POOR = "good", "poor"
# The kinds of rule that judge what was said.
WORDED = ("wording", "disclosure")
_THEIRS = f"coalesce({written_to_us('contacts')}, false)"
_SAID, _NOTED = "said", "noted"

Party = Literal["debtor", "obliged", "third_party", "unknown"]


class _Spoken(WordsFile):
    """Words whose groups and patterns say by their names who must have said them: `said…` or `noted…`."""

    @pydantic.model_validator(mode="after")
    def _told(self) -> _Spoken:
        names = [*self.groups, *self.patterns]
        if not names or any(not name.startswith((_SAID, _NOTED)) for name in names):
            raise ValueError("groups and patterns, at least one, are named said... or noted...")
        return self


class _MarkFile(_Spoken):
    title: Both
    examples: Annotated[list[str], Field(min_length=1)]
    counterexamples: Annotated[list[str], Field(min_length=1)]


_Id = Annotated[str, Field(pattern=r"^[a-z]+([-_][a-z]+)*$")]


class _MarksFile(Strict):
    marks: Annotated[dict[_Id, _MarkFile], Field(min_length=1)]


class _Asked(Strict):
    mark: str
    clause: Both


class _Conflict(Strict):
    clause: Both
    why: Both
    rules: Annotated[list[str], Field(min_length=1)]


class _MetWith(Strict):
    said: Annotated[list[Party], Field(min_length=1)] = Field(default=["debtor"])
    noted: Annotated[list[Party], Field(min_length=1)] = Field(default=["debtor"])


class _Example(Strict):
    text: str
    seen: list[str]
    party: Party = "debtor"


class _SituationFile(Strict):
    id: _Id
    title: Both
    about: Both
    source: Both
    known: Known
    consulted: Day
    met_with: _MetWith = _MetWith()
    met_by: _Spoken
    prescribed: Annotated[list[_Asked], Field(min_length=1)]
    avoid: list[_Asked] = Field(default_factory=list)
    conflicts: list[_Conflict] = Field(default_factory=list)
    examples: Annotated[list[_Example], Field(min_length=1)]
    counterexamples: Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True)
class Clause:
    """What the handbook asks in a situation: the mark that shows it, and the handbook's words."""

    mark: str
    clause: Text2


@dataclass(frozen=True)
class Conflict:
    """What the handbook asks and the law forbids: its words, why, and the rules (pack/id) that forbid it."""

    clause: Text2
    why: Text2
    rules: tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """A text that must be in the situation, said with such a `party`; `seen` are the marks it must show, of those prescribed and to be avoided."""

    text: str
    seen: frozenset[str]
    party: str


@dataclass(frozen=True)
class Situation:
    """A situation of the handbook. `met_with`: said or noted -> the parties with whom words of that sort count."""

    id: str
    title: Text2
    about: Text2
    source: Text2
    known: str
    consulted: date
    met_with: dict[str, frozenset[str]]
    prescribed: tuple[Clause, ...]
    avoid: tuple[Clause, ...]
    conflicts: tuple[Conflict, ...]
    examples: tuple[Example, ...]
    counterexamples: tuple[str, ...]


@dataclass(frozen=True)
class Mark:
    """What a text can show of a collector's conduct, with texts that must and must not show it."""

    id: str
    title: Text2
    examples: tuple[str, ...]
    counterexamples: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Book:
    """The situations and marks of a rules folder, and their words, compiled."""

    situations: dict[str, Situation]
    marks: dict[str, Mark]
    met_words: Lexicons
    mark_words: Lexicons


def load(folder: Path | None = None) -> Book:
    """The book of a rules folder, or the program's own where it has none.

    Raises:
        RuleErrors: with every problem of every file.
    """
    own = rules_folder()
    where = folder if folder and (folder / CONDUCT).is_dir() else own
    problems: list[RuleProblem] = []
    marks_path = where / CONDUCT / MARKS_FILE
    marks = validated(marks_path, _MarksFile, problems) if marks_path.is_file() else None
    if not marks_path.is_file():
        problems.append(RuleProblem(_shown(marks_path), 0, "rules.no_marks"))
    files: dict[str, tuple[Path, _SituationFile]] = {}
    for path in sorted((where / CONDUCT).glob("[!_]*.yaml")):
        document = yamlfile.read(path)
        raw = validated(path, _SituationFile, problems, document)
        if raw is not None:
            files[raw.id] = path, raw
            problems += _problems(path, document, raw, marks, [where, own])
    if marks is None or problems:
        raise RuleErrors(problems)
    lexicons = next(f / LEXICON for f in (where, own) if (f / LEXICON).is_dir())
    return Book(
        {name: _situation(raw) for name, (_, raw) in files.items()},
        {name: Mark(name, m.title.plain(), tuple(m.examples), tuple(m.counterexamples)) for name, m in marks.marks.items()},
        compile_words(lexicons, {half: (path, words) for name, (path, raw) in files.items() for half, words in _halves(name, raw.met_by)}),
        compile_words(lexicons, {half: (marks_path, words) for name, mark in marks.marks.items() for half, words in _halves(name, mark)}),
    )


def _halves(name: str, words: _Spoken) -> Iterable[tuple[str, WordsFile]]:
    """What is said and what is noted as concepts of their own (`name/said`, `name/noted`): in one, the longer match would hide the other's."""
    for way in (_SAID, _NOTED):
        groups = {n: g for n, g in words.groups.items() if n.startswith(way)}
        patterns = {n: p for n, p in words.patterns.items() if n.startswith(way)}
        if groups or patterns:
            yield f"{name}/{way}", WordsFile(groups=groups, patterns=patterns, exclude=words.exclude)


def _problems(path: Path, document: yamlfile.Document, raw: _SituationFile, marks: _MarksFile | None, folders: Sequence[Path]) -> Iterable[RuleProblem]:
    """What is wrong with a file beyond its shape: its name, marks nobody defined, rules that do not exist."""
    if raw.id != path.stem:
        yield RuleProblem(_shown(path), document.line(("id",)), "rules.id_differs", (("id", raw.id), ("name", path.stem)))
    if marks is not None:
        told = [(("prescribed", i, "mark"), a.mark) for i, a in enumerate(raw.prescribed)] + [(("avoid", i, "mark"), a.mark) for i, a in enumerate(raw.avoid)]
        told += [(("examples", i, "seen"), name) for i, e in enumerate(raw.examples) for name in e.seen]
        for at, name in told:
            if name not in marks.marks:
                yield RuleProblem(_shown(path), document.line(at), "rules.no_such_mark", (("name", name), ("have", ", ".join(marks.marks))))
    for i, conflict in enumerate(raw.conflicts):
        for rule in conflict.rules:
            if not any((folder / f"{rule}.yaml").is_file() for folder in folders):
                yield RuleProblem(_shown(path), document.line(("conflicts", i, "rules")), "rules.no_such_rule", (("name", rule),))


def _situation(raw: _SituationFile) -> Situation:
    return Situation(
        raw.id, raw.title.plain(), raw.about.plain(), raw.source.plain(), raw.known, raw.consulted,
        {_SAID: frozenset(raw.met_with.said), _NOTED: frozenset(raw.met_with.noted)},
        tuple(Clause(a.mark, a.clause.plain()) for a in raw.prescribed), tuple(Clause(a.mark, a.clause.plain()) for a in raw.avoid),
        tuple(Conflict(c.clause.plain(), c.why.plain(), tuple(c.rules)) for c in raw.conflicts),
        tuple(Example(e.text, frozenset(e.seen), e.party) for e in raw.examples), tuple(raw.counterexamples),
    )  # fmt: skip


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


# Texts
@dataclass(frozen=True)
class Told:
    """What one text tells: situation -> how it shows (`said`, `noted`), marks seen, and the places of both: (start, end) in the text as logged."""

    situations: dict[str, frozenset[str]]
    marks: frozenset[str]
    places: tuple[tuple[int, int], ...]


def read(texts: Sequence[str], book: Book) -> dict[int, Told]:
    """Number of the text -> what it tells, for the texts that show a situation.

    The situation is shown by the customer's own words (reported speech, his turn of a dialogue) or by what the record says of him; a mark by
    the collector's own words or by what the record says that he did. A prohibition in front or a lesson takes either back, as for signals.
    The marks are only looked for in texts that show a situation.
    """
    shown = [s for s in find(texts, book.met_words) if _counts(s, "reported")]
    numbers = sorted({s.text for s in shown})
    if not numbers:
        return {}
    by_text: dict[int, list[Signal]] = defaultdict(list)
    for signal in shown:
        by_text[signal.text].append(signal)
    marks: dict[int, list[Signal]] = defaultdict(list)
    for signal in find([texts[n] for n in numbers], book.mark_words):
        if _counts(signal, "collector"):
            marks[numbers[signal.text]].append(signal)
    return {n: _told(by_text[n], marks[n]) for n in numbers}


def _counts(signal: Signal, speaker: str) -> bool:
    return not signal.taken_back and (signal.speaker == speaker or signal.concept.endswith(f"/{_NOTED}"))


def _told(met: list[Signal], marks: list[Signal]) -> Told:
    how: dict[str, set[str]] = defaultdict(set)
    for signal in met:
        name, way = signal.concept.split("/")
        how[name].add(way)
    return Told({name: frozenset(ways) for name, ways in how.items()}, frozenset(s.concept.split("/")[0] for s in marks), tuple(sorted((s.start, s.end) for s in [*met, *marks])))


def met_in(told: Told, party: str | None, book: Book) -> list[Situation]:
    """The situations that a text shows where it was said to such a party (None: not known who it was)."""
    return [s for name, s in book.situations.items() if any(told.situations.get(name, frozenset()) & {way} and (party or UNKNOWN) in s.met_with[way] for way in (_SAID, _NOTED))]


# A run
@dataclass(frozen=True)
class Broken:
    """Rules that a contact breaks: those on words, and all that were asked about."""

    worded: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()


NOTHING = Broken()


@dataclass(frozen=True)
class Coached:
    """What a run's contacts met (`rows` of `coached`), and what nobody can tell (`reach`)."""

    rows: list[Row]
    reach: Row


def coached(con: duckdb.DuckDBPyConnection, book: Book) -> Coached:
    """Every contact that met a situation, once per situation, and how many could be looked at.

    Returns:
        `rows` by time, contact and situation: `seq`, `contact_id`, `case_id`, `agent_id`, `team`, `vendor`, `channel`, `local_at`, `party`; `situation`; `seen` and `missing`
        (prescribed marks the text shows and does not show), `avoided` (marks to be avoided that it shows), `complete` (nothing missing, nothing to be avoided seen);
        `breaching` and `broken` (rules on words, `WORDED`, that this contact breaks), `against` (rules broken of those that forbid what the handbook asks here).
        `reach`: `debtor` (contacts with the debtor), of these `without_text`, `messages` (written by the customer) and `looked_at`; `met` (contacts that met a
        situation), `plain` (looked at, and no situation recognised), `others` (contacts with others or unknown persons whose text was looked at for
        situations that concern them), `unknown_party` (contacts of which nobody knows whether with the debtor).
    """
    broken = _broken(con, sorted({rule for s in book.situations.values() for c in s.conflicts for rule in c.rules}))
    found: list[Row] = []
    reader = con.sql(
        "SELECT seq, contact_id, case_id, agent_id, team, vendor, channel::VARCHAR AS channel, local_at, party::VARCHAR AS party, text FROM contacts"
        f" WHERE NOT silent AND NOT {_THEIRS}"
    ).to_arrow_reader(BATCH)
    for batch in reader:
        found += _of_batch(batch, book, broken)
    segment.forget()
    found.sort(key=lambda r: (r["local_at"] or datetime.min, r["contact_id"], r["situation"]))
    reach = rows(
        con,
        f"""
        WITH c AS (SELECT party, NOT silent AS told, {_THEIRS} AS message FROM contacts)
        SELECT count(*) FILTER (WHERE party = 'debtor') AS debtor, count(*) FILTER (WHERE party = 'debtor' AND message) AS messages,
               count(*) FILTER (WHERE party = 'debtor' AND NOT message AND NOT told) AS without_text,
               count(*) FILTER (WHERE party = 'debtor' AND NOT message AND told) AS looked_at,
               count(*) FILTER (WHERE party IS DISTINCT FROM 'debtor' AND NOT message AND told) AS others, count(*) FILTER (WHERE party IS NULL) AS unknown_party
        FROM c
        """,
    )[0]
    reach["met"] = len({r["seq"] for r in found})
    reach["plain"] = reach["looked_at"] - len({r["seq"] for r in found if r["party"] == "debtor"})
    return Coached(found, reach)


def _of_batch(batch: pa.RecordBatch, book: Book, broken: dict[int, Broken]) -> list[Row]:
    """The rows of `coached` of one batch of contacts. The same text is read once."""
    texts = batch.column("text").dictionary_encode()
    told = read(texts.dictionary.to_pylist(), book)
    if not told:
        return []
    numbers = texts.indices.to_pylist()
    chosen = [place for place, number in enumerate(numbers) if number in told]
    facts = batch.drop_columns(["text"]).take(pa.array(chosen, pa.int64())).to_pylist()
    pairs = zip(facts, (told[numbers[place]] for place in chosen), strict=True)
    return [fact | judged(one, situation, broken.get(fact["seq"], NOTHING)) for fact, one in pairs for situation in met_in(one, fact["party"], book)]


def judged(told: Told, situation: Situation, broken: Broken = NOTHING) -> Row:
    """A text beside what the handbook prescribes in a situation it shows; see `coached` for the columns."""
    forbidding = {rule for c in situation.conflicts for rule in c.rules}
    missing = tuple(c.mark for c in situation.prescribed if c.mark not in told.marks)
    avoided = tuple(c.mark for c in situation.avoid if c.mark in told.marks)
    return {
        "situation": situation.id, "seen": tuple(c.mark for c in situation.prescribed if c.mark in told.marks), "missing": missing, "avoided": avoided,
        "complete": not missing and not avoided, "breaching": bool(broken.worded), "broken": tuple(sorted(broken.worded)), "against": tuple(sorted(forbidding & broken.rules)),
    }  # fmt: skip


def _broken(con: duckdb.DuckDBPyConnection, named: Sequence[str]) -> dict[int, Broken]:
    """What each contact breaks: of the rules on words, and of those named."""
    found = rows(
        con,
        f"""
        SELECT e.seq, list(DISTINCT f.rule) AS rules, coalesce(list(DISTINCT f.rule) FILTER (WHERE r.kind IN {literal(WORDED)}), []) AS worded
        FROM finding_evidence e JOIN findings f USING (finding_id) JOIN rules r ON r.rule = f.rule
        WHERE e.role = 'breach' AND (r.kind IN {literal(WORDED)} OR list_contains($named, f.rule)) GROUP BY e.seq
        """,
        {"named": list(named)},
    )
    return {r["seq"]: Broken(frozenset(r["worded"]), frozenset(r["rules"])) for r in found}


# Figures
def by_situation(found: Sequence[Row], book: Book) -> list[Row]:
    """The figures of each situation of the book, those met most often first; `situation`, then as of `_figures`."""
    told = [{"situation": name} | _figures([r for r in found if r["situation"] == name]) for name in book.situations]
    return sorted(told, key=lambda r: (-r["contacts"], r["situation"]))


def by_agent(found: Sequence[Row], situation: str | None = None, least: int = LEAST) -> list[Row]:
    """The figures of each collector, over a situation or over all that a contact met (then complete in each of them).

    Returns:
        Rows by `agent_id`: `team` (of the last contact), `enough` (at least `least` contacts; shares are None without), then as of `_figures`.
    """
    groups: dict[str, dict[int, Row]] = defaultdict(dict)
    teams: dict[str, str | None] = {}
    for row in found:
        agent = row["agent_id"]
        if agent is not None and situation in (None, row["situation"]):
            mine = groups[agent]
            mine[row["seq"]] = _joined(mine[row["seq"]], row) if row["seq"] in mine else row
            teams[agent] = row["team"]
    told = []
    for agent, contacts in sorted(groups.items()):
        enough = len(contacts) >= max(least, 1)
        figures = _figures(list(contacts.values()))
        told.append({"agent_id": agent, "team": teams[agent], "enough": enough} | (figures if enough else figures | dict.fromkeys(SHARES)))
    return told


def _joined(one: Row, other: Row) -> Row:
    """Two situations of one contact as one row."""
    parts = {name: tuple(dict.fromkeys([*one[name], *other[name]])) for name in ("missing", "avoided", "against")}
    return one | parts | {"complete": one["complete"] and other["complete"]}


SHARES = ("rate", "low", "high", "breach_rate", "breach_low", "breach_high", "missed", "missed_contacts")
"""The columns of `_figures` that say nothing where there are too few contacts."""


def _figures(found: Sequence[Row]) -> Row:
    """Of `contacts`: `complete` (all prescribed conduct seen, nothing to be avoided) with `rate`, `low`, `high`; `missed`, the prescribed mark most
    often not seen, and in how many (`missed_contacts`); `avoided_contacts`; `breaching_contacts` (rules on words) with `breach_rate`, `breach_low`,
    `breach_high`; `against_contacts` (rules that forbid what the handbook asks). Intervals are Wilson's, 95 %; shares of no contacts are None.
    """
    count = len(found)
    complete, breaching = sum(r["complete"] for r in found), sum(r["breaching"] for r in found)
    lost = Counter(mark for r in found for mark in r["missing"])
    missed, times = min(lost.items(), key=lambda pair: (-pair[1], pair[0])) if lost else (None, 0)
    low, high = interval(complete, count)
    breach_low, breach_high = interval(breaching, count)
    told = {
        "contacts": count, "complete": complete, "rate": complete / count if count else None, "low": low, "high": high, "missed": missed, "missed_contacts": times,
        "avoided_contacts": sum(bool(r["avoided"]) for r in found), "breaching_contacts": breaching, "breach_rate": breaching / count if count else None,
        "breach_low": breach_low, "breach_high": breach_high, "against_contacts": sum(bool(r["against"]) for r in found),
    }  # fmt: skip
    return told if count else told | dict.fromkeys(SHARES)


def marks_of(found: Sequence[Row], situation: Situation) -> list[Row]:
    """Per prescribed mark of a situation, in the handbook's order: `mark`, `seen`, `contacts`, `rate` with `low`, `high`."""
    mine = [r for r in found if r["situation"] == situation.id]
    told = []
    for clause in situation.prescribed:
        seen = sum(clause.mark in r["seen"] for r in mine)
        low, high = interval(seen, len(mine))
        told.append({"mark": clause.mark, "seen": seen, "contacts": len(mine), "rate": seen / len(mine) if mine else None, "low": low, "high": high})
    return told


def examples(con: duckdb.DuckDBPyConnection, found: Sequence[Row], book: Book, good: bool, most: int = EXAMPLES) -> list[Row]:
    """Rows of `coached` to coach on, with their `text` and `marks` (`start`, `end` in it).

    Good ones show all that is prescribed and break no rule on words, the latest first. Poor ones do not: those that break such a rule first, then those that did
    what is to be avoided, then those that lack most.
    """
    if good:
        chosen = [r for r in found if r["complete"] and not r["breaching"]][::-1][:most]
    else:
        poor = [r for r in found if not r["complete"] or r["breaching"]]
        chosen = sorted(poor, key=lambda r: (not r["breaching"], not r["avoided"], -len(r["missing"])))[:most]
    texts = dict(con.execute("SELECT seq, text FROM contacts WHERE list_contains($seqs, seq)", {"seqs": [r["seq"] for r in chosen]}).fetchall())
    told = read([texts[r["seq"]] for r in chosen], book)
    return [r | {"text": texts[r["seq"]], "marks": [{"start": start, "end": end} for start, end in told[i].places]} for i, r in enumerate(chosen)]


def report(con: duckdb.DuckDBPyConnection, book: Book, agent: str | None = None) -> Row:
    """All figures of a run, or of one collector: `reach` (of the whole run), `situations`, `marks` (situation -> as of `marks_of`), `agents`, and
    `examples` (`good` and `poor`, as of `examples`; none without an agent).

    Raises:
        UsageError: the run has no contact of that collector.
    """
    found = coached(con, book)
    if agent is not None and not rows(con, "SELECT 1 FROM contacts WHERE agent_id = ? LIMIT 1", [agent]):
        raise UsageError("usage.conduct_agent", asked=agent)
    mine = [r for r in found.rows if agent in (None, r["agent_id"])]
    return {
        "reach": found.reach, "situations": by_situation(mine, book), "marks": {name: marks_of(mine, s) for name, s in book.situations.items()}, "agents": by_agent(mine),
        "examples": {kind: examples(con, mine, book, kind == GOOD) if agent is not None else [] for kind in (GOOD, POOR)},
    }  # fmt: skip


# The book's own examples
def failures(book: Book) -> list[Row]:
    """The book's examples that do not come out as they say: `of` (situation or mark), `text`, `wanted` and `got` (None: not in the situation, or not shown)."""
    told = []
    for situation in book.situations.values():
        for example in situation.examples:
            told.append(_tried(situation, example.text, example.party, book) | {"wanted": example.seen})
        for text in situation.counterexamples:
            told.append(_tried(situation, text, "debtor", book) | {"wanted": None})
    for mark in book.marks.values():
        for texts, shown in ((mark.examples, True), (mark.counterexamples, False)):
            for text in texts:
                got = any(_counts(s, "collector") and s.concept.startswith(f"{mark.id}/") for s in find([text], book.mark_words))
                told.append({"of": mark.id, "text": text, "got": got, "wanted": shown})
    segment.forget()
    return [row for row in told if row["got"] != row["wanted"]]


def _tried(situation: Situation, text: str, party: str, book: Book) -> Row:
    told = read([text], book).get(0)
    if told is None or situation not in met_in(told, party, book):
        return {"of": situation.id, "text": text, "got": None}
    row = judged(told, situation)
    return {"of": situation.id, "text": text, "got": frozenset([*row["seen"], *row["avoided"]])}
