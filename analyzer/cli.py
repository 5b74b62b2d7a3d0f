"""The command line: a door. It parses, calls, shows; it owns no rule, no query and no number.

Data go to stdout, talk and progress to stderr. Exit codes: see `model.ExitCode`.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date, datetime
from decimal import Decimal
from importlib import util
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from analyzer import (
    __version__,
    access,
    advise,
    audit,
    casebook,
    compare,
    conduct,
    coverage,
    early_warning,
    explain,
    export,
    intake,
    mutation,
    portfolio,
    reference,
    report,
    review,
    rules,
    runs,
    sampling,
    summary,
    theme,
)
from analyzer.checks import prepare
from analyzer.errors import DunAuditError, RuleErrors, UsageError
from analyzer.intake.mapping import check_zone
from analyzer.messages import LANGUAGES, default_lang, say, say_words
from analyzer.model import ExitCode, Rule
from analyzer.tables import Sheet, csv_bytes
from analyzer.text import Words, load_words

_HELP_LANG = default_lang()


def _help(name: str) -> str:
    return say(f"help.{name}", _HELP_LANG)


app = typer.Typer(
    help=_help("app"), no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)
rules_app = typer.Typer(help=_help("rules"), no_args_is_help=True)
app.add_typer(rules_app, name="rules")
log_app = typer.Typer(help=_help("log"), no_args_is_help=True)
app.add_typer(log_app, name="log")


class _FindingFirst(TyperGroup):
    """`dunaudit review 5efec915` and `dunaudit review --all` mean `dunaudit review finding ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["finding", *args]
        return super().parse_args(ctx, args)


review_app = typer.Typer(help=_help("review"), cls=_FindingFirst)
app.add_typer(review_app, name="review")

Sources = Annotated[list[str], typer.Argument(help=_help("sources"), metavar="SOURCE...")]
RunFolder = Annotated[Path, typer.Option("--run", "--runs", help=_help("run_folder"))]
Json = Annotated[bool, typer.Option("--json", help=_help("json"))]
ReviewsUrl = Annotated[str, typer.Option("--reviews", help=_help("reviews"))]
RulesFolder = Annotated[Path | None, typer.Option("--rules", help=_help("rules_folder"))]
MappingFile = Annotated[Path | None, typer.Option("--mapping", help=_help("mapping"))]
Zone = Annotated[str | None, typer.Option("--zone", help=_help("zone"))]
Jurisdiction = Annotated[str | None, typer.Option("--jurisdiction", help=_help("jurisdiction"))]

_state = {"lang": _HELP_LANG}


@app.callback()
def main(
    lang: Annotated[str | None, typer.Option("--lang", help=_help("lang"))] = None,
    version: Annotated[bool, typer.Option("--version", help=_help("version"), is_eager=True)] = False,
) -> None:
    """See the catalogue."""
    if version:
        typer.echo(f"dunaudit {__version__}")
        raise typer.Exit
    if lang is not None and lang not in LANGUAGES:
        with _errors():
            raise UsageError("usage.lang", asked=lang)
    _state["lang"] = lang or default_lang()


def _t(key: str, **params: object) -> str:
    return say(key, _state["lang"], **params)


def _talk(text: str) -> None:
    Console(stderr=True, highlight=False).print(escape(text), soft_wrap=True)


@contextmanager
def _errors() -> Iterator[None]:
    """Our own errors become one sentence on stderr and an exit code; anything else is a bug and keeps its trace."""
    try:
        yield
    except DunAuditError as error:
        _talk(error.text(_state["lang"]))
        raise typer.Exit(error.exit_code) from error


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Path):
        return value.name
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _emit_json(value: Any) -> None:
    sys.stdout.write(json.dumps(_plain(value), ensure_ascii=False, indent=2) + "\n")


def _emit_table(columns: Sequence[str], lines: Sequence[Sequence[object]]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    table = Table(show_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for line in lines:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in line))
    console.print(table)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    console = Console(stderr=True)
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def update(name: str, done: int, total: int) -> None:
            label = _t("talk.words") if name == "words" else name
            bar.update(task, description=escape(label), completed=done, total=max(total, 1))

        yield update


def _mapping(path: Path | None, sources: Sequence[str]) -> intake.Mapping:
    found = path or intake.folder_mapping(sources)
    if found is None:
        return intake.Mapping()
    if path is None:
        _talk(_t("talk.folder_mapping", name=found.name))
    return intake.load_mapping(found)


def _settings(zone: str | None, jurisdiction: str | None) -> intake.Settings:
    if zone:
        try:
            check_zone(zone)
        except ValueError as error:
            raise UsageError("usage.zone", zone=zone) from error
    return intake.Settings(**{k: v for k, v in (("zone", zone), ("jurisdiction", jurisdiction)) if v})


@app.command("inspect", help=_help("inspect"))
def inspect_(
    files: Sources, mapping: MappingFile = None, zone: Zone = None, jurisdiction: Jurisdiction = None, json_: Json = False
) -> None:
    """See the catalogue."""
    with _errors():
        house = _mapping(mapping, files)
        settings = _settings(zone, jurisdiction)
        found = audit.inspect(files, house)
        told = [_inspected(item, house.zone or settings.zone) for item in found]
        if json_:
            _emit_json(told)
        else:
            for item, facts in zip(found, told, strict=True):
                _show_inspected(item, facts)
    failed = [item.error for item in found if item.error]
    if failed:
        raise typer.Exit(failed[0].exit_code)


def _inspected(item: audit.Inspected, zone: str) -> dict[str, Any]:
    source, plan = item.source, item.plan
    facts: dict[str, Any] = {"file": item.file, "problem": item.error.text(_state["lang"]) if item.error else None}
    if source:
        facts |= {
            "kind": source.kind, "encoding": source.encoding, "encoding_certain": source.certain, "delimiter": source.delimiter,
            "header_row": source.header_row, "rows": [dict(zip(source.columns, row, strict=False)) for row in source.sample[:5]],
        }  # fmt: skip
    if source and plan:
        facts |= {
            "table": plan.table.name, "zone": plan.zone or zone, "date_order": audit.date_orders(plan), "mapping": plan.by,
            "columns": {name: [source.columns[p] for p in positions] for name, positions in plan.positions.items()},
            "constants": plan.constants, "unmapped": plan.unmapped,
        }  # fmt: skip
    return facts


def _show_inspected(item: audit.Inspected, facts: dict[str, Any]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(Text(f"{item.file} -> {facts.get('table', '?')}", style="bold"))
    if item.source:
        certain = "" if facts["encoding_certain"] else f" ({_t('inspect.likely')})"
        header = _t("inspect.header_row", row=facts["header_row"]) if facts["header_row"] else _t("inspect.no_header")
        delimiter = {"\t": "TAB", None: "-"}.get(facts["delimiter"], facts["delimiter"])
        order = ", ".join(f"{k}: {v}" for k, v in facts.get("date_order", {}).items()) or "-"
        encoding = f"{facts['encoding'] or '-'}{certain}"
        console.print(Text(_t("inspect.said", kind=facts["kind"], encoding=encoding, delimiter=delimiter, header=header, zone=facts.get("zone", "-"), order=order)))
    if item.plan:
        lines: list[list[str]] = [[name, ", ".join(found)] for name, found in facts["columns"].items()]
        lines += [[name, f"= {value}"] for name, value in facts["constants"].items()]
        _emit_table([_t("inspect.canonical"), _t("inspect.in_file")], lines)
        if facts["unmapped"]:
            console.print(Text(_t("inspect.unmapped", columns=", ".join(facts["unmapped"]))))
    if item.source:
        _emit_table(item.source.columns, [[(c or "")[:40] for c in row] for row in item.source.sample[:5]])
    console.print()
    if item.error:
        _talk(item.error.text(_state["lang"]))


@app.command("audit", help=_help("audit"))
def audit_(
    sources: Sources,
    mapping: MappingFile = None,
    packs: Annotated[str | None, typer.Option("--packs", help=_help("packs"))] = None,
    with_packs: Annotated[str | None, typer.Option("--with", help=_help("with_packs"))] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help=_help("drafts"))] = False,
    to: Annotated[Path, typer.Option("--to", help=_help("to"))] = Path("runs"),
    zone: Zone = None,
    jurisdiction: Jurisdiction = None,
    rules_folder: RulesFolder = None,
    memory: Annotated[str | None, typer.Option("--memory", help=_help("memory"))] = None,
    profile: Annotated[bool, typer.Option("--profile", help=_help("profile"))] = False,
    run_id: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with _errors():
        if memory and not re.fullmatch(r"\d+(\.\d+)?\s?(KB|MB|GB|TB|KiB|MiB|GiB)", memory):
            raise UsageError("usage.memory", memory=memory)
        result = _audit(sources, mapping, _names(packs), to, _settings(zone, jurisdiction), rules_folder, memory, run_id, json_, profile, _names(with_packs), drafts)
    raise typer.Exit(result.exit_code)


def _names(packs: str | None) -> list[str]:
    return [name.strip() for name in (packs or "").split(",") if name.strip()]


def _audit(
    sources: Sequence[str], mapping: Path | None, packs: Sequence[str], to: Path, settings: intake.Settings, rules_folder: Path | None,
    memory: str | None, run_id: str | None, json_: bool, profile: bool, with_packs: Sequence[str] = (), drafts: bool = False,
) -> audit.RunResult:  # fmt: skip
    house = _mapping(mapping, sources)
    with _progress(json_) as progress:
        result = audit.run(
            sources, to, packs=packs, mapping=house, settings=settings, rules_folder=rules_folder, run_id=run_id, memory=memory,
            with_packs=with_packs, drafts=drafts, progress=progress,
        )  # fmt: skip
    with runs.connect(result.path) as con:
        if json_:
            _emit_json({
                "run": result.run_id, "findings": result.findings, "breaching_contacts": summary.totals(con)["breaching_contacts"],
                "exit_code": int(result.exit_code), "completeness": summary.completeness(con), "batches": summary.batches(con),
                "rules": summary.by_rule(con), "undetermined": summary.undetermined(con), "seconds": result.seconds, "rule_seconds": result.rule_seconds,
            })  # fmt: skip
            return result
        _show_run(con, result)
        if profile:
            whole = sum(result.seconds.values())
            for title, taken in (("talk.step", list(result.seconds.items())), ("column.rule", sorted(result.rule_seconds.items(), key=lambda pair: -pair[1]))):
                _emit_table([_t(title), "s", "%"], [[k, f"{v:.3f}", f"{100 * v / whole:.1f}"] for k, v in taken])
    return result


def _show_run(con: Any, result: audit.RunResult) -> None:
    run = summary.run(con)
    _talk(_t("talk.settings", zone=run["zone"], jurisdiction=run["jurisdiction"], mapping=run["mapping"]))
    keys = ("file", "table_name", "rows_read", "loaded", "rejected", "duplicate")
    lines = [[b[k] for k in keys] for b in summary.batches(con)]
    _emit_table([_t(f"column.{k}") for k in keys], lines)
    done = summary.completeness(con)
    _talk(_t("talk.completeness", **done))
    for batch in summary.batches(con):
        if batch["encoding_certain"] is False:
            _talk(_t("talk.uncertain", file=batch["file"], encoding=batch["encoding"]))
    for row in summary.rejected(con)[:10]:
        _talk(_t("talk.rejected", file=row["file"], rows=row["rows"], reason=_t(row["reason"]), detail=row["detail"] or "-"))
    _show_rules(con)
    for row in summary.undetermined(con)[:5]:
        _talk(_t("talk.undetermined", rule=row["rule"], contacts=row["contacts"], missing=say_words(row["missing"] or "-", _state["lang"])))
    _talk(_t("talk.done", run=result.run_id, findings=result.findings, contacts=summary.totals(con)["contacts"]))


def _show_rules(con: Any) -> None:
    keys = ("rule", "title", "severity", "strength", "known", "findings", "breach", "clear", "undetermined", "not_applicable", "not_in_force", "not_evaluated")
    lang = _state["lang"]
    lines = [
        [r["rule"], r[f"title_{lang}"], *(_t(f"word.{r[k]}") for k in ("severity", "strength", "known")), *(r[k] for k in keys[5:])]
        for r in summary.applying(summary.by_rule(con))
    ]
    _emit_table([_t(f"column.{k}") for k in keys], lines)


@app.command("findings", help=_help("findings"))
def findings_(
    run: RunFolder = Path("runs"),
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    rule: Annotated[list[str] | None, typer.Option("--rule", help=_help("filter_rule"))] = None,
    agent: Annotated[list[str] | None, typer.Option("--agent", help=_help("filter_agent"))] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help=_help("limit"))] = 100,
    offset: Annotated[int, typer.Option("--offset", min=0, help=_help("offset"))] = 0,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with _errors():
        with runs.connect(runs.locate(run, name)) as con:
            filters = {k: v for k, v in (("rule", rule), ("agent", agent)) if v}
            page, total = summary.findings(con, filters, "time", limit, offset)
        if json_:
            _emit_json({"total": total, "findings": page})
            return
        keys = ("finding_id", "rule", "severity", "case_id", "agent_id", "first_local", "breaches", "evidence", "measured", "permitted")
        lines = [[say_words(str(f[k]), _state["lang"]) if k in ("severity", "measured") and f[k] else f[k] for k in keys] for f in page]
        _emit_table([_t(f"column.{k}") for k in keys], lines)
        _talk(_t("talk.page", shown=len(page), total=total))


@app.command("explain", help=_help("explain"))
def explain_(
    finding: Annotated[str, typer.Argument(help=_help("finding"))],
    run: RunFolder = Path("runs"),
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with _errors():
        with runs.connect(runs.locate(run, name)) as con:
            told = explain.explain(con, finding)
        if json_:
            _emit_json(told)
            return
        _show_explained(told)


def _show_explained(told: explain.Explained) -> None:
    lang, console = _state["lang"], Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    finding, rule = told.finding, told.rule

    def part(key: str, text: str) -> None:
        console.print(Text(_t(key), style="bold"), Text(text), sep="\n")

    console.print(Text(f"{finding['finding_id']}  {finding['rule']}", style="bold"))
    console.print(Text(told.texts["title"][lang]))
    console.print(Text("  ".join(_t(f"word.{rule[k]}") for k in ("severity", "strength", "effect", "known"))))
    part("explain.why", told.texts["why"][lang])
    for cite in told.citations:
        note = f" - {cite['note'][lang]}" if cite.get("note") else ""
        part("explain.clause", f"{cite['instrument'][lang]}, {cite['clause'][lang]} ({_t('word.' + cite['known'])}, {cite['consulted']}){note}")
    part("explain.what", _t("explain.measured", measured=say_words(finding["measured"] or "-", lang), permitted=finding["permitted"] or "-", breaches=finding["breaches"], evidence=finding["evidence"]))
    lines = []
    for entry in told.ledger:
        shown = Text(entry["text"] or "")
        for mark in entry["marks"]:
            shown.stylize("bold reverse", mark["start"], mark["end"])
        lines.append((entry, shown))
    table = Table(show_edge=False)
    for key in ("ordinal", "contact_id", "role", "local_at", "channel", "outcome", "relation", "agent_id", "measured", "text"):
        table.add_column(_t(f"column.{key}"), overflow="fold")
    for entry, shown in lines:
        words = [_t(f"word.{entry[k]}") if entry[k] else "" for k in ("channel", "outcome", "relation")]
        cells = [entry["ordinal"], entry["contact_id"], _t(f"word.{entry['role']}"), entry["local_at"], *words, entry["agent_id"], say_words(entry["measured"], lang)]
        table.add_row(*(Text("" if c is None else str(c)) for c in cells), shown)
    console.print(table)
    part("explain.remedy", told.texts["remedy"][lang])
    part("explain.not_covered", told.texts["not_covered"][lang])
    part("explain.sql", told.sql)


@rules_app.command("list", help=_help("rules_list"))
def rules_list(folder: RulesFolder = None, json_: Json = False) -> None:
    """See the catalogue."""
    with _errors():
        packs, _, _ = casebook.check_all(folder or rules.rules_folder())
        found = [r for p in packs for r in p.rules]
        if json_:
            _emit_json([_listed(r) for r in found])
            return
        lang = _state["lang"]
        lines = [
            [r.ref, r.title.in_(lang), r.kind, ", ".join(r.serves), _t(f"word.{r.severity}"), _t(f"word.{r.strength}"), _t(f"word.{r.status}"), len(r.cases)]
            for r in found
        ]
        _emit_table([_t(f"column.{k}") for k in ("rule", "title", "kind", "serves", "severity", "strength", "status", "cases")], lines)


def _listed(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id, "pack": rule.pack, "ref": rule.ref, "serves": rule.serves, "title": rule.title, "kind": rule.kind,
        "severity": rule.severity, "strength": rule.strength, "effect": rule.effect, "status": rule.status,
        "citations": rule.citations, "values": {k: {str(d): v for d, v in spans} for k, spans in rule.values.items()},
        "in_force": rule.in_force, "until": rule.until, "cases": len(rule.cases), "digest": rule.digest,
    }  # fmt: skip


@app.command("scan", help=_help("scan"))
def scan_(
    file: Annotated[Path, typer.Argument(help=_help("scan_file"))],
    out: Annotated[Path, typer.Option("--out", help=_help("scan_out"))],
    why_not: Annotated[bool, typer.Option("--why-not", help=_help("why_not"))] = False,
    alone: Annotated[bool, typer.Option("--no-second-reader", help=_help("no_second_reader"))] = False,
    folder: RulesFolder = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    from analyzer import scan

    with _errors():
        words = load_words(rules.lexicon_folder(folder or rules.rules_folder()))
        with _progress(json_) as progress:
            counts = scan.scan_file(file, out, words.lexicons, None if alone else words.reader, why_not, lambda done: progress("words", done, done))
        if json_:
            _emit_json({"messages": counts.lines, "unread": counts.unread, "labelled": counts.labelled})
        else:
            _talk(_t("talk.scanned", messages=counts.lines, unread=counts.unread, labelled=counts.labelled))
    if counts.unread:
        raise typer.Exit(ExitCode.UNDETERMINED)


@rules_app.command("check", help=_help("rules_check"))
def rules_check(folder: RulesFolder = None, json_: Json = False) -> None:
    """See the catalogue."""
    where = folder or rules.rules_folder()
    try:
        packs, prepared, words = casebook.check_all(where)
    except RuleErrors as error:
        if json_:
            _emit_json([{"path": p.path, "line": p.line, "problem": p.text(_state["lang"])} for p in error.problems])
        else:
            _talk(error.text(_state["lang"]))
        raise typer.Exit(error.exit_code) from error
    if json_:
        _emit_json([])
    else:
        _talk(_t("talk.rules_ok", packs=len(packs), rules=len(prepared), lexicons=len(words.lexicons.items)))


@rules_app.command("test", help=_help("rules_test"))
def rules_test(
    packs: Annotated[list[str] | None, typer.Argument(help=_help("packs"))] = None,
    mutate: Annotated[bool, typer.Option("--mutate", help=_help("mutate"))] = False,
    folder: RulesFolder = None, json_: Json = False,
) -> None:  # fmt: skip
    """See the catalogue."""
    with _errors():
        where = folder or rules.rules_folder()
        words = load_words(rules.lexicon_folder(where))
        if mutate:
            _mutated(where, packs or [], words, json_)
            return
        rules.select(where, packs or [])
        # A near miss is of a rule of another pack, so all are loaded.
        loaded, problems = rules.load(where)
        results = casebook.run_cases(loaded, words, problems, where, packs or []) + ([] if packs else casebook.run_lexicon_examples(words.lexicons))
        failed = [r for r in results if not r.ok and not r.todo]
        if json_:
            _emit_json({"cases": len(results), "failed": len(failed), "todo": sum(r.todo for r in results), "results": results})
        else:
            for result in failed:
                for contact, expected, found in result.wrong:
                    _talk(_t("talk.case_failed", rule=result.rule, case=result.case, contact=contact, expected=expected, found=found))
            _talk(_t("talk.cases", cases=len(results), failed=len(failed), todo=sum(r.todo for r in results)))
    if failed:
        raise typer.Exit(ExitCode.BAD_RULES)


def _mutated(where: Path, packs: Sequence[str], words: Words, json_: bool) -> None:
    """Changes that no case notices, and the share noticed by pack."""
    rules.select(where, [name.split("/")[0] for name in packs])
    loaded = rules.select(where)
    with _progress(json_) as progress:
        found = mutation.mutate(loaded, packs, words, where, lambda done, total: progress("mutate", done, total))
    scores = mutation.scores(found)
    if json_:
        _emit_json({"packs": [dataclasses.asdict(s) | {"share": s.share} for s in scores], "unnoticed": [m for m in found if m.noticed is None]})
        return
    _emit_table([_t("column.rule"), _t("column.change")], [[m.rule, m.what] for m in found if m.noticed is None])
    _emit_table([_t(f"column.{k}") for k in ("pack", "changes", "noticed", "share")], [[s.pack, s.changes, s.noticed, f"{s.share:.0%}"] for s in scores])


@rules_app.command("explain", help=_help("rules_explain"))
def rules_explain(rule: Annotated[str, typer.Argument(help=_help("rule"))], folder: RulesFolder = None, json_: Json = False) -> None:
    """See the catalogue."""
    with _errors():
        found = explain.find_rule(folder or rules.rules_folder(), rule)
        if json_:
            _emit_json(_listed(found) | {"why": found.why, "remedy": found.remedy, "not_covered": found.not_covered, "check": found.check, "examples": found.cases})
            return
        lang, console = _state["lang"], Console(highlight=False, width=None if sys.stdout.isatty() else 120)
        console.print(Text(f"{found.ref}  {found.title.in_(lang)}", style="bold"))
        console.print(Text("  ".join(_t(f"word.{w}") for w in (found.severity, found.strength, found.effect, found.status))))
        for key, text in (("explain.why", found.why), ("explain.remedy", found.remedy), ("explain.not_covered", found.not_covered)):
            console.print(Text(_t(key), style="bold"), Text(text.in_(lang)), sep="\n")
        for cite in found.citations:
            console.print(Text(_t("explain.clause"), style="bold"), Text(f"{cite.instrument.in_(lang)}, {cite.clause.in_(lang)} ({_t('word.' + cite.known)}, {cite.consulted})"), sep="\n")
        for value, spans in found.values.items():
            console.print(Text(f"{value}: " + "; ".join(f"{day} -> {v}" for day, v in spans)))
        for case in found.cases:
            console.print(Text(f"- {case['name']}: " + ", ".join(f"{_t('word.' + str(o))} {', '.join(ids)}" for o, ids in case["expect"].items())))


@review_app.command("finding", help=_help("review_finding"))
def review_finding(
    finding: Annotated[str | None, typer.Argument(help=_help("finding"))] = None,
    state: Annotated[str | None, typer.Option("--state", help=_help("state"))] = None,
    comment: Annotated[str, typer.Option("--comment", help=_help("comment"))] = "",
    assignee: Annotated[str, typer.Option("--assign", help=_help("assign"))] = "",
    actor: Annotated[str, typer.Option("--by", help=_help("by"))] = "",
    all_: Annotated[bool, typer.Option("--all", help=_help("review_all"))] = False,
    rule: Annotated[list[str] | None, typer.Option("--rule", help=_help("filter_rule"))] = None,
    agent: Annotated[list[str] | None, typer.Option("--agent", help=_help("filter_agent"))] = None,
    vendor: Annotated[list[str] | None, typer.Option("--vendor", help=_help("filter_vendor"))] = None,
    severity: Annotated[list[str] | None, typer.Option("--severity", help=_help("filter_severity"))] = None,
    case: Annotated[list[str] | None, typer.Option("--case", help=_help("filter_case"))] = None,
    until: Annotated[str | None, typer.Option("--suppress-until", help=_help("suppress_until"))] = None,
    approver: Annotated[str, typer.Option("--approved-by", help=_help("approved_by"))] = "",
    appeal: Annotated[bool, typer.Option("--appeal", help=_help("appeal"))] = False,
    blind: Annotated[bool, typer.Option("--blind", help=_help("blind"))] = False,
    two_level: Annotated[str, typer.Option("--two-level", help=_help("two_level"))] = "",
    run: RunFolder = Path("runs"), url: ReviewsUrl = "",
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """See the catalogue."""
    filters = {k: v for k, v in (("rule", rule), ("agent", agent), ("vendor", vendor), ("severity", severity), ("case", case)) if v}
    with _errors():
        if sum((state is not None, until is not None, appeal)) > 1 or (all_ and (finding is not None or appeal or blind)) or (blind and state is None):
            raise UsageError("usage.review_one")
        path = runs.locate(run, name)
        log = review.Reviews(path, url)
        with runs.connect(path) as con:
            if all_:
                _review_all(log, con, filters, actor, state, comment, assignee, approver, until, _names(two_level), json_)
                return
            if finding is None:
                _show_reviews(log, con, json_)
                return
            whole = explain.explain(con, finding).finding["finding_id"]
            if appeal:
                log.appeal(con, whole, actor, comment)
            elif until is not None:
                log.suppress(con, whole, actor, comment, approver, _need_day(until))
            elif blind and state is not None:
                log.judge_blind(con, whole, actor, state, comment)
            elif state is not None:
                log.decide(con, whole, actor, state, comment, assignee, second=_names(two_level))
        history = log.history(whole, blind_to=actor.strip())
        if json_:
            _emit_json(history)
        else:
            _emit_table(
                [_t(f"column.{k}") for k in ("at_utc", "actor", "kind", "state", "assignee", "comment")],
                [[e.at_utc, e.actor, _t(f"word.kind_{e.kind}"), _t(f"word.{e.state}"), e.assignee, e.comment] for e in history],
            )


def _need_day(text: str) -> date:
    found = _day(text)
    assert found is not None
    return found


def _review_all(
    log: review.Reviews, con: Any, filters: dict[str, list[str]], actor: str, state: str | None, comment: str, assignee: str, approver: str, until: str | None,
    second: Sequence[str], json_: bool,
) -> None:  # fmt: skip
    if until is not None:
        done = log.suppress_all(con, filters, actor, comment, approver, _need_day(until))
    elif state is not None:
        done = log.decide_all(con, filters, actor, state, comment, assignee, second)
    else:
        raise UsageError("usage.review_one")
    if json_:
        _emit_json({"written": len(done.written), "left": done.left})
    else:
        _talk(_t("talk.reviewed", written=len(done.written), left=done.left))


def _show_reviews(log: review.Reviews, con: Any, json_: bool) -> None:
    found, counts, agreed, queues = log.precision(con), log.counts(con), log.agreement(), log.queues()
    if json_:
        _emit_json({"entries": len(log.log()), "counts": counts, "precision": found, "agreement": agreed, "queues": queues})
        return
    keys = ("rule", "verdicts", "right", "low", "high", "stale")
    titles = [_t("word.stale" if k == "stale" else f"column.{k}") for k in keys]
    _emit_table(titles, [[f"{row[k]:.2f}" if isinstance(row[k], float) else "-" if row[k] is None else row[k] for k in keys] for row in found])
    _talk(_t("talk.review_counts", **counts))
    if agreed.pairs:
        _talk(_t("talk.agreement", pairs=agreed.pairs, agree=agreed.agree, rate=_share(agreed.rate), kappa="-" if agreed.kappa is None else f"{agreed.kappa:.2f}"))
    for one in queues:
        _show_misses(one)


def _show_misses(one: review.Misses) -> None:
    _talk(_t("talk.misses", draw=one.draw, seed=one.seed, examined=one.examined, size=one.size, population=one.population, deviations=one.deviations,
             confidence=f"{100 * one.confidence:g}", upper=_share(one.upper), missed="-" if one.missed is None else one.missed))  # fmt: skip


@review_app.command("queue", help=_help("review_queue"))
def review_queue(
    draw: Annotated[int | None, typer.Argument(help=_help("queue_draw"))] = None,
    contact: Annotated[str | None, typer.Option("--contact", help=_help("queue_contact"))] = None,
    result: Annotated[str | None, typer.Option("--result", help=_help("queue_result"))] = None,
    comment: Annotated[str, typer.Option("--comment", help=_help("comment"))] = "",
    size: Annotated[int | None, typer.Option("--size", min=1, help=_help("queue_size"))] = None,
    seed: Annotated[str | None, typer.Option("--seed", help=_help("sample_seed"))] = None,
    confidence: Annotated[float, typer.Option("--confidence", help=_help("sample_confidence"))] = 0.95,
    tolerable: Annotated[float, typer.Option("--tolerable", help=_help("sample_tolerable"))] = 0.05,
    actor: Annotated[str, typer.Option("--by", help=_help("by"))] = "",
    run: RunFolder = Path("runs"), url: ReviewsUrl = "",
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """See the catalogue."""
    with _errors():
        if (contact is None) != (result is None) or (contact is not None and draw is None):
            raise UsageError("usage.queue")
        path = runs.locate(run, name)
        log = review.Reviews(path, url)
        if draw is None:
            with runs.connect(path) as con:
                # A seed nobody chose is as good, so long as it is told.
                draw = log.draw_contacts(con, actor, seed or str(secrets.randbelow(2**32)), size, confidence, tolerable).seq
        elif contact is not None and result is not None:
            log.examine(draw, contact, actor, result, comment)
        told = next((one for one in log.queues() if one.draw == draw), None)
        if told is None:
            raise UsageError("review.no_draw", draw=draw)
        items = log.queue(draw)
        if json_:
            _emit_json({"queue": told, "contacts": [{"contact_id": item, "result": found or None} for item, found in items]})
        else:
            _emit_table([_t("column.contact_id"), _t("column.result")], [[item, _t(f"word.result_{found}") if found else ""] for item, found in items])
            _show_misses(told)


@review_app.command("blind", help=_help("review_blind"))
def review_blind(
    size: Annotated[int | None, typer.Option("--size", min=1, help=_help("blind_size"))] = None,
    seed: Annotated[str | None, typer.Option("--seed", help=_help("sample_seed"))] = None,
    actor: Annotated[str, typer.Option("--by", help=_help("by"))] = "",
    run: RunFolder = Path("runs"), url: ReviewsUrl = "",
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """See the catalogue."""
    with _errors():
        path = runs.locate(run, name)
        log = review.Reviews(path, url)
        if size is not None:
            with runs.connect(path) as con:
                log.draw_blind(con, actor, seed or str(secrets.randbelow(2**32)), size)
        tasks, agreed = log.blind_tasks(actor) if actor.strip() else [], log.agreement()
        if json_:
            _emit_json({"tasks": tasks, "agreement": agreed})
        else:
            _emit_table([_t("column.finding_id")], [[finding] for finding in tasks])
            _talk(_t("talk.agreement", pairs=agreed.pairs, agree=agreed.agree, rate=_share(agreed.rate), kappa="-" if agreed.kappa is None else f"{agreed.kappa:.2f}"))


@log_app.command("verify", help=_help("log_verify"))
def log_verify(run: RunFolder = Path("runs"), url: ReviewsUrl = "", json_: Json = False) -> None:
    """See the catalogue."""
    with _errors():
        log = review.Reviews(run, url)
        broken, entries = log.verify(), len(log.log())
    if json_:
        _emit_json({"entries": entries, "broken_at": broken})
    else:
        _talk(_t("talk.log_whole", entries=entries) if broken is None else _t("talk.log_broken", entries=entries, at=broken))
    if broken is not None:
        raise typer.Exit(ExitCode.BREACHES)


@app.command("export", help=_help("export"))
def export_(
    out: Annotated[Path | None, typer.Argument(help=_help("export_out"))] = None,
    to: Annotated[Path | None, typer.Option("--to", help=_help("export_out"))] = None,
    run: RunFolder = Path("runs"),
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    rule: Annotated[list[str] | None, typer.Option("--rule", help=_help("filter_rule"))] = None,
    agent: Annotated[list[str] | None, typer.Option("--agent", help=_help("filter_agent"))] = None,
    vendor: Annotated[list[str] | None, typer.Option("--vendor", help=_help("filter_vendor"))] = None,
    severity: Annotated[list[str] | None, typer.Option("--severity", help=_help("filter_severity"))] = None,
    case: Annotated[list[str] | None, typer.Option("--case", help=_help("filter_case"))] = None,
    edition: Annotated[str, typer.Option("--edition", help=_help("edition"))] = "full",
    key: Annotated[Path | None, typer.Option("--key", help=_help("key"))] = None,
    sign: Annotated[Path | None, typer.Option("--sign", help=_help("sign"))] = None,
    sample: Annotated[list[Path] | None, typer.Option("--sample", help=_help("export_sample"))] = None,
    by: Annotated[str, typer.Option("--by", help=_help("export_by"))] = "",
    url: ReviewsUrl = "",
    json_: Json = False,
) -> None:
    """See the catalogue."""
    chosen = {"rule": rule, "agent": agent, "vendor": vendor, "severity": severity, "case": case}
    with _errors():
        target = to or out
        if target is None:
            raise UsageError("usage.no_target")
        path = runs.locate(run, name)
        log = review.Reviews(path, url)
        options = export.Options(edition, key, sign, log, tuple(sample or ()), by)
        with runs.connect(path) as con:
            written = export.write(con, target, {k: v for k, v in chosen.items() if v}, options)
        # After the writing: an export that told of itself would never be the same twice.
        log.act(by or os.environ.get("USER") or access.LOCAL, "export", path.stem, edition=edition, format=target.suffix.lstrip("."), findings=written["findings"])
        if json_:
            _emit_json({"file": target.name, "edition": edition, "rows": written})
        else:
            _talk(_t("talk.exported", name=target.name, findings=written["findings"], evidence=written["evidence"]))


@app.command("report", help=_help("report"))
def report_(
    to: Annotated[Path, typer.Option("--to", help=_help("report_to"))],
    run: RunFolder = Path("runs"),
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    rule: Annotated[list[str] | None, typer.Option("--rule", help=_help("filter_rule"))] = None,
    agent: Annotated[list[str] | None, typer.Option("--agent", help=_help("filter_agent"))] = None,
    vendor: Annotated[list[str] | None, typer.Option("--vendor", help=_help("filter_vendor"))] = None,
    severity: Annotated[list[str] | None, typer.Option("--severity", help=_help("filter_severity"))] = None,
    case: Annotated[list[str] | None, typer.Option("--case", help=_help("filter_case"))] = None,
    since: Annotated[str | None, typer.Option("--from", help=_help("report_from"))] = None,
    until: Annotated[str | None, typer.Option("--until", help=_help("report_until"))] = None,
    lang: Annotated[str | None, typer.Option("--lang", help=_help("report_lang"))] = None,
    fonts: Annotated[Path | None, typer.Option("--fonts", help=_help("report_fonts"))] = None,
    sheets: Annotated[int, typer.Option("--sheets", min=0, help=_help("report_sheets"))] = report.SHEETS,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    chosen = {"rule": rule, "agent": agent, "vendor": vendor, "severity": severity, "case": case}
    with _errors():
        if lang is not None and lang not in LANGUAGES:
            raise UsageError("usage.lang", asked=lang)
        with runs.connect(runs.locate(run, name)) as con:
            made = report.report(con, lang or _state["lang"], {k: v for k, v in chosen.items() if v}, (_day(since), _day(until)), sheets)
        report.write(made, to, fonts)
        told = {"findings": made.population.findings, "sheets": len(made.sheets), "rules": len(made.rules)}
        if json_:
            _emit_json({"file": to.name, "lang": made.lang, "grouped": made.grouped, "contacts": made.population.contacts, **told})
        else:
            _talk(_t("talk.reported", name=to.name, **told))


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError("usage.date", text=text[:40]) from error


@app.command("verify", help=_help("verify"))
def verify_(
    pack: Annotated[Path, typer.Argument(help=_help("verify_pack"))],
    run: Annotated[Path | None, typer.Option("--run", "--runs", help=_help("verify_run"))] = None,
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    public_key: Annotated[Path | None, typer.Option("--public-key", help=_help("public_key"))] = None,
    full: Annotated[Path | None, typer.Option("--full", help=_help("verify_full"))] = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with _errors():
        with runs.connect(runs.locate(run, name)) if run is not None else nullcontext() as con:
            told = export.verify(pack, con, public_key, full)
        if json_:
            _emit_json(told)
        else:
            for kind, what in told.wrong:
                _talk(_t(kind, name=what))
            for kind in (f"verify.signature_{told.signature}", *told.unseen):
                _talk(_t(kind))
            _talk(_t("talk.verified", findings=told.findings, files=told.files, repeated=told.repeated, wrong=len(told.wrong)))
    if told.wrong:
        raise typer.Exit(ExitCode.BREACHES)


@app.command("sample", help=_help("sample"))
def sample_(
    of: Annotated[str, typer.Option("--of", help=_help("sample_of"))] = "findings",
    method: Annotated[str, typer.Option("--method", help=_help("sample_method"))] = "random",
    strata: Annotated[str | None, typer.Option("--strata", help=_help("sample_strata"))] = None,
    size: Annotated[int | None, typer.Option("--size", min=1, help=_help("sample_size"))] = None,
    reason: Annotated[str, typer.Option("--reason", help=_help("sample_reason"))] = "",
    confidence: Annotated[float, typer.Option("--confidence", help=_help("sample_confidence"))] = 0.95,
    tolerable: Annotated[float, typer.Option("--tolerable", help=_help("sample_tolerable"))] = 0.05,
    expected: Annotated[float, typer.Option("--expected", help=_help("sample_expected"))] = 0.0,
    seed: Annotated[str | None, typer.Option("--seed", help=_help("sample_seed"))] = None,
    to: Annotated[Path | None, typer.Option("--to", help=_help("sample_to"))] = None,
    paper: Annotated[Path | None, typer.Option("--judge", help=_help("sample_judge"))] = None,
    rule: Annotated[list[str] | None, typer.Option("--rule", help=_help("filter_rule"))] = None,
    run: RunFolder = Path("runs"),
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with _errors():
        if paper is not None:
            told = sampling.judge(paper)
        elif to is None:
            raise UsageError("usage.no_target")
        else:
            # A seed nobody chose is as good, so long as it is told.
            plan = sampling.Plan(of, method, seed or str(secrets.randbelow(2**32)), size, reason, strata, confidence, tolerable, expected, {"rule": rule} if rule else None)
            with runs.connect(runs.locate(run, name)) as con:
                drawn = sampling.draw(con, plan, _state["lang"])
                sampling.write_paper(drawn, to, summary.run(con)["started_utc"].replace(microsecond=0))
            if json_:
                _emit_json({"file": to.name, "of": of, "method": method, "seed": plan.seed, "population": drawn.population, "size": drawn.size, "allowed": drawn.allowed, "reason": drawn.reason})
            else:
                _talk(_t("talk.sampled", name=to.name, size=drawn.size, population=drawn.population, seed=plan.seed, reason=drawn.reason))
            return
    if json_:
        _emit_json(told)
    else:
        _show_judged(told)
    raise typer.Exit({"accepted": ExitCode.CLEAN, "rejected": ExitCode.BREACHES, "open": ExitCode.UNDETERMINED}[told.verdict])


def _show_judged(told: sampling.Judged) -> None:
    keys = ("stratum", "population", "size", "examined", "deviations", "unclear", "rate", "upper")
    lines = [[f"{100 * getattr(one, k):.2f} %" if k in ("rate", "upper") else getattr(one, k) for k in keys] for one in (*told.strata, told)]
    _emit_table([_t("column.deviation_rate" if k == "rate" else f"column.{k}") for k in keys], lines)
    _talk(_t(f"sampling.{told.verdict}", upper=f"{100 * told.upper:.2f}", tolerable=f"{100 * told.tolerable:g}", confidence=f"{100 * told.confidence:g}", left=told.size - told.examined))


@app.command("diff", help=_help("diff"))
def diff_(
    old: Annotated[str, typer.Argument(help=_help("diff_old"))],
    new: Annotated[str, typer.Argument(help=_help("diff_new"))],
    run: RunFolder = Path("runs"),
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with _errors():
        told = compare.diff(*(Path(n) if n.endswith(".duckdb") else runs.locate(run, n) for n in (old, new)))
        if json_:
            _emit_json(told)
            return
        keys = ("state", "why", "finding_id", "rule", "case_id", "agent_id", "vendor", "first_local")
        changes = [f for f in told.findings if f["state"] != "open" or f["why"] != "same"]
        _emit_table([_t(f"column.{k}") for k in keys], [[_t(f"word.{f[k]}") if k in ("state", "why") else f[k] for k in keys] for f in changes])
        _talk(_t("talk.diff", old=told.old, after=told.new, **told.counts))


@app.command("backtest", help=_help("backtest"))
def backtest_(
    changes: Annotated[list[str], typer.Option("--set", help=_help("set"))],
    run: RunFolder = Path("runs"),
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    folder: RulesFolder = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with _errors():
        told = compare.backtest(runs.locate(run, name), folder or rules.rules_folder(), changes)
        if json_:
            _emit_json(told)
            return
        for one in told:
            lines = [[_t(f"word.{state}"), *(row[k] or "-" for k in ("team", "vendor")), row["findings"]] for state, rows in (("added", one.added), ("removed", one.removed)) for row in rows]
            _emit_table([_t(f"column.{k}") for k in ("state", "team", "vendor", "findings")], lines)
            _talk(_t("talk.backtest", rule=one.rule, before=one.before, after=one.after, contacts_before=one.contacts_before, contacts_after=one.contacts_after))
            if one.stale:
                _talk(_t("talk.backtest_stale", rule=one.rule))


@app.command("may-contact", help=_help("may_contact"))
def may_contact_(
    case: Annotated[str | None, typer.Argument(help=_help("case"))] = None,
    person: Annotated[str | None, typer.Option("--person", help=_help("person"))] = None,
    channel: Annotated[str, typer.Option("--channel", help=_help("channel"))] = "call",
    at: Annotated[str | None, typer.Option("--at", help=_help("at"))] = None,
    batch: Annotated[Path | None, typer.Option("--batch", help=_help("batch"))] = None,
    packs: Annotated[str | None, typer.Option("--packs", help=_help("packs"))] = None,
    with_packs: Annotated[str | None, typer.Option("--with", help=_help("with_packs"))] = None,
    run: RunFolder = Path("runs"),
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    folder: RulesFolder = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with _errors():
        asked = _questions(batch) if batch else [_question({"case_id": case, "person_id": person, "channel": channel, "at": at})]
        answers = advise.may_contact(runs.locate(run, name), prepare(*rules.chosen(folder or rules.rules_folder(), _names(packs), _names(with_packs))), asked, when=not batch)
    if json_ or batch:
        _emit_json(answers)
    else:
        for one in answers:
            typer.echo(_t(f"advice.{one.answer}"))
            for reason in one.reasons:
                ends = ", ".join(_t(f"word.{o}") for o in reason.outcomes)
                typer.echo(_t(f"advice.because_{reason.answer}", rule=reason.rule, ends=ends, missing=say_words(reason.missing or "-", _state["lang"])))
            if one.answer == "no":
                typer.echo(_t("advice.not_before", at=f"{one.not_before:%Y-%m-%d %H:%M}") if one.not_before else _t("advice.never", days=advise.DAYS_AHEAD))
            _talk(_t("advice.not_asked", rules=one.not_asked))
    answer = {a.answer for a in answers}
    raise typer.Exit(ExitCode.BREACHES if "no" in answer else ExitCode.UNDETERMINED if "unknown" in answer else ExitCode.CLEAN)


def _question(row: dict[str, str | None]) -> advise.Question:
    if not row.get("case_id"):
        raise UsageError("usage.no_case", case="-")
    try:
        at = datetime.fromisoformat(row.get("at") or "")
    except ValueError as error:
        raise UsageError("usage.at", text=str(row.get("at"))[:40]) from error
    channel = row.get("channel") or "call"
    if channel not in advise.CHANNELS:
        raise UsageError("usage.channel", channel=channel[:40], have=", ".join(advise.CHANNELS))
    return advise.Question(str(row["case_id"]), channel, at.replace(tzinfo=None), row.get("person_id") or None, row.get("call_type") or None, row.get("agent_id") or None)


def _questions(path: Path) -> list[advise.Question]:
    """Questions of a CSV file with the columns case_id, channel, at and, where they matter, person_id, call_type, agent_id."""
    if not path.is_file():
        raise UsageError("usage.no_file", name=path.name)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [_question(row) for row in csv.DictReader(file)]


@rules_app.command("new", help=_help("rules_new"))
def rules_new(
    name: Annotated[str, typer.Argument(help=_help("new_name"))],
    target: Annotated[Path, typer.Option("--rules", help=_help("new_target"))],
    like: Annotated[str | None, typer.Option("--like", help=_help("new_like"))] = None,
    kind: Annotated[str, typer.Option("--kind", help=_help("new_kind"))] = "hours",
) -> None:
    """See the catalogue."""
    with _errors():
        own = rules.rules_folder()
        shipped = [r for p in rules.select(own) for r in p.rules if r.kind == kind]
        if like is None and not shipped:
            raise UsageError("rules.unknown_kind", kind=kind[:40], have=", ".join(sorted({r.kind for p in rules.select(own) for r in p.rules})))
        path = explain.new_rule(name, explain.find_rule(own, like) if like else min(shipped, key=lambda r: (r.status != "stable", len(r.cases), r.ref)), target)
        _talk(_t("talk.rule_new", path=f"{path.parent.name}/{path.name}"))


@rules_app.command("keys", help=_help("rules_keys"))
def rules_keys(markdown: Annotated[bool, typer.Option("--markdown", help=_help("markdown"))] = False, json_: Json = False) -> None:
    """See the catalogue."""
    found = reference.keys()
    if json_:
        _emit_json(found)
    elif markdown:
        typer.echo(reference.markdown(), nl=False)
    else:
        lang = _state["lang"]
        lines = [[k.within, k.key, k.type, "✓" if k.required else "", k.default, k.zh if lang == "zh" else k.en] for k in found]
        _emit_table([_t(f"column.{k}") for k in ("within", "key", "type", "required", "default", "meaning")], lines)


@rules_app.command("schema", help=_help("rules_schema"))
def rules_schema() -> None:
    """See the catalogue."""
    _emit_json(reference.schema())


@rules_app.command("coverage", help=_help("rules_coverage"))
def rules_coverage(
    run: Annotated[Path | None, typer.Option("--run", "--runs", help=_help("run_folder"))] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help=_help("markdown"))] = False,
    csv_: Annotated[bool, typer.Option("--csv", help=_help("coverage_csv"))] = False,
    folder: RulesFolder = None, json_: Json = False,
) -> None:  # fmt: skip
    """See the catalogue."""
    with _errors():
        found, where = None, folder or rules.rules_folder()
        if run is not None:
            with runs.connect(runs.locate(run)) as con:
                found = coverage.findings_by_rule(con)
        rows, clauses = coverage.coverage(rules.select(where), found, coverage.measured(where))
    if json_:
        _emit_json({"rows": rows, "clauses": clauses})
        return
    lang = _state["lang"]
    by_row = [[r.row, len(r.rules), r.cases, "-" if r.findings is None else r.findings, ", ".join(r.rules)] for r in rows]
    by_clause = [
        [c.pack, c.clause_zh if lang == "zh" else c.clause_en, _t(f"word.{c.known}") if c.known != "-" else "-", _t(f"word.{c.decided}"), len(c.rules), c.cases,
         "-" if c.findings is None else c.findings, "{:.2f} ({:.2f}-{:.2f})".format(*c.precision) if c.precision else "-"]
        for c in clauses
    ]  # fmt: skip
    tables: list[tuple[tuple[str, ...], list[list[Any]]]] = [
        (("serves", "rules", "cases", "findings", "rule"), by_row), (("pack", "clause", "known", "decided", "rules", "cases", "findings", "precision"), by_clause),
    ]  # fmt: skip
    if csv_:
        keys, lines = tables[1]
        typer.echo(csv_bytes(Sheet("coverage", tuple(_t(f"column.{k}") for k in keys), [tuple(line) for line in lines])).decode("utf-8"), nl=False)
        return
    for keys, lines in tables:
        titles = [_t(f"column.{k}") for k in keys]
        if markdown:
            typer.echo("\n".join(["| " + " | ".join(str(c).replace("|", "\\|") for c in line) + " |" for line in (titles, ["---"] * len(titles), *lines)]) + "\n")
        else:
            _emit_table(titles, lines)


@rules_app.command("hygiene", help=_help("rules_hygiene"))
def rules_hygiene(run: RunFolder = Path("runs"), name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None, json_: Json = False) -> None:
    """See the catalogue."""
    with _errors(), runs.connect(runs.locate(run, name)) as con:
        found = coverage.hygiene(con)
    if json_:
        _emit_json(found)
        return
    _emit_table([_t(f"column.{k}") for k in ("rule", "remark", "contacts", "out_of", "other")], [[r.rule, _t(f"word.{r.what}"), r.contacts, r.of, r.other or ""] for r in found])


@rules_app.command("conflicts", help=_help("rules_conflicts"))
def rules_conflicts(packs: Annotated[list[str] | None, typer.Argument(help=_help("packs"))] = None, folder: RulesFolder = None, json_: Json = False) -> None:
    """See the catalogue."""
    with _errors():
        where = folder or rules.rules_folder()
        words = load_words(rules.lexicon_folder(where))
        with _progress(json_) as progress:
            found = coverage.conflicts(rules.select(where, packs or ()), words, lambda done, total: progress("conflicts", done, total))
    if json_:
        _emit_json(found)
        return
    keys = ("policy", "against", "strength", "case", "contacts")
    _emit_table([_t(f"column.{k}") for k in keys], [[c.policy, c.against, _t(f"word.{c.strength}"), c.case, ", ".join(c.contacts)] for c in found])
    _talk(_t("talk.conflicts", conflicts=len(found)))


@app.command("portfolio", help=_help("portfolio"))
def portfolio_(
    run: RunFolder = Path("runs"),
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    by: Annotated[str | None, typer.Option("--by", help=_help("portfolio_by"))] = None,
    folder: RulesFolder = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with _errors():
        if by is not None and by not in portfolio.SCOPES:
            raise UsageError("usage.portfolio_by", asked=by, have=", ".join(portfolio.SCOPES))
        used = portfolio.measures(folder)
        with runs.connect(runs.locate(run, name)) as con:
            told = {
                "measures": used, "span": portfolio.span(con), "rates": portfolio.rates(con, by, used), "effort_totals": portfolio.effort_totals(con),
                "effort": {d: portfolio.effort(con, d) for d in portfolio.EFFORT}, "share": {d or "whole": portfolio.m1_share(con, d, used) for d in (None, "month", "vendor", "team")},
                "near": early_warning.near_rules(con), "rising": {g: early_warning.rising(con, g) for g in early_warning.GROUPS},
            }  # fmt: skip
    if json_:
        _emit_json(told)
    else:
        _show_portfolio(told, by)


def _show_portfolio(told: dict[str, Any], by: str | None) -> None:
    rates = [
        r | {
            "value": (r["value"] or _t("page.none")) if r["assigned"] else _t("page.portfolio.nobody"), "month": f"{r['month']:%Y-%m}", "ratio": _share(r["rate"]),
            "missing": say_words(r["missing"], _state["lang"]), "complete": _t("page.yes" if r["complete"] else "page.no"), "breaching": f"{r['breaching_contacts']} / {r['contacts']}",
        }
        for r in told["rates"] if r["figure"] != portfolio.INFLOW
    ]  # fmt: skip
    keys = ("month", "figure", "on_date", "base_on", "numerator", "denominator", "ratio", "in_class", "accounts", "unknown", "missing", "complete", "breaching")
    _emit_rows(("jurisdiction", *(("value",) if by else ()), *keys), rates)
    effort = [r | {"vendor": r["value"] or _t("page.none"), "per_case_week": f"{r['per_case_week']:.2f}", "followed": "-" if r["paying"] is None else f"{r['paying']} / {r['case_weeks']}"} for r in told["effort"]["vendor"]]
    _emit_rows(("jurisdiction", "vendor", "contacts", "reached", "not_reached", "unknown", "case_weeks", "per_case_week", "repaid", "followed"), effort)
    share = [r | {"on_class": f"{r['on_class']} / {r['contacts']} {_share(r['rate'])}", "target": _share(r["target"]), "time": _share(r["time_rate"])} for r in told["share"]["whole"]]
    _emit_rows(("on_class", "target", "time", "untimed", "reminders", "unknown"), share)
    rising = [
        r | {"value": r["value"] or _t("page.none"), "before": f"{r['breaching_before']} / {r['contacts_before']}", "now": f"{r['breaching_contacts']} / {r['contacts']}", "ratio": _share(r["rate"]), "trend": _t(f"word.{r['trend']}")}
        for group in early_warning.GROUPS for r in told["rising"][group] if r["enough"]
    ]  # fmt: skip
    _emit_rows(("value", "before", "now", "ratio", "trend"), rising)
    _emit_rows(("rule", "of", "near", "judged", "undetermined", "findings"), told["near"])
    _talk(_t("talk.portfolio", last_payment=told["span"]["last_payment"] or "-"))
    for row in told["effort_totals"]:
        _talk(_t("talk.effort", **row))
    if not told["near"]:
        _talk(_t("talk.near_none", pack=early_warning.PACK))


@app.command("conduct", help=_help("conduct"))
def conduct_(
    run: RunFolder = Path("runs"),
    name: Annotated[str | None, typer.Option("--name", help=_help("name"))] = None,
    agent: Annotated[str | None, typer.Option("--agent", help=_help("conduct_agent"))] = None,
    folder: RulesFolder = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with _errors():
        book = conduct.load(folder)
        with runs.connect(runs.locate(run, name)) as con:
            told = conduct.report(con, book, agent)
    if json_:
        _emit_json(told)
    else:
        _show_conduct(told, book)


def _show_conduct(told: dict[str, Any], book: conduct.Book) -> None:
    lang = _state["lang"]

    def figures(row: dict[str, Any]) -> dict[str, Any]:
        return row | {
            "kept": f"{row['complete']} / {row['contacts']} {_share(row['rate'])}", "kept_interval": "-" if row["rate"] is None else f"{_share(row['low'])} - {_share(row['high'])}",
            "missed": "-" if row["missed"] is None else f"{book.marks[row['missed']].title.in_(lang)} {row['missed_contacts']}", "breach_share": f"{row['breaching_contacts']} / {row['contacts']} {_share(row['breach_rate'])}",
            "breach_interval": "-" if row["breach_rate"] is None else f"{_share(row['breach_low'])} - {_share(row['breach_high'])}",
        }  # fmt: skip

    keys = ("contacts", "kept", "kept_interval", "missed", "avoided_contacts", "breach_share", "breach_interval", "against_contacts")
    _emit_rows(("situation", *keys), [figures(r) | {"situation": book.situations[r["situation"]].title.in_(lang)} for r in told["situations"] if r["contacts"]])
    _emit_rows(("agent_id", "team", *keys), [figures(r) for r in told["agents"] if r["enough"]])
    shown = [
        r | {
            "kind_of_example": _t(f"word.{kind}"), "situation": book.situations[r["situation"]].title.in_(lang), "not_seen": ", ".join(book.marks[m].title.in_(lang) for m in r["missing"]),
            "breaks": ", ".join(r["broken"]),
        }
        for kind in ("good", "poor") for r in told["examples"][kind]
    ]  # fmt: skip
    _emit_rows(("kind_of_example", "contact_id", "case_id", "situation", "not_seen", "breaks", "text"), shown)
    _talk(_t("talk.conduct", **told["reach"]))
    _talk(_t("talk.conduct_hidden", hidden=sum(not r["enough"] for r in told["agents"]), total=len(told["agents"]), least=conduct.LEAST))


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _emit_rows(names: Sequence[str], found: Sequence[dict[str, Any]]) -> None:
    if found:
        _emit_table([_t(f"page.field.{n}" if n == "jurisdiction" else f"column.{n}") for n in names], [["-" if r[n] is None else r[n] for n in names] for r in found])


@app.command("dashboard", help=_help("dashboard"))
def dashboard(
    run: RunFolder = Path("runs"), port: Annotated[int, typer.Option("--port", help=_help("port"))] = 8501,
    headless: Annotated[bool, typer.Option("--headless", help=_help("headless"))] = False,
    users: Annotated[Path | None, typer.Option("--users", help=_help("users"))] = None, url: ReviewsUrl = "",
) -> None:  # fmt: skip
    """See the catalogue."""
    with _errors():
        path = runs.locate(run)
        review.Reviews(run, url)
        headers = access.load_users(users).headers() if users else {}
        if users:
            _talk(_t("talk.preparing"))
            access.prepare(path)
    raise typer.Exit(_serve(run, port, headless, users, headers, url))


def _serve(run: Path, port: int, headless: bool, users: Path | None = None, headers: dict[str, str] | None = None, url: str = "") -> int:
    entry = _entry()
    command = [
        sys.executable, "-m", "streamlit", "run", str(entry), "--server.port", str(port), "--server.address", "127.0.0.1",
        "--browser.gatherUsageStats", "false", "--server.showEmailPrompt", "false", "--server.headless", "true",
        "--client.showErrorDetails", "none", "--client.showErrorLinks", "false", "--client.toolbarMode", "minimal",
        *theme.options(),
        *(("--server.trustedUserHeaders", json.dumps(headers)) if headers else ()),
        "--", str(run.resolve()), *((str(users.resolve()),) if users else ()),
    ]  # fmt: skip
    _talk(_t("talk.dashboard", port=port))
    # The server itself always runs headless: otherwise it asks for an e-mail address and advertises in the page.
    # An address may hold a password: it goes by the environment, which other users of the machine cannot list.
    with subprocess.Popen(command, env=os.environ | ({review.VARIABLE: url} if url else {})) as server:
        if not headless and _answers(port, server):
            webbrowser.open(f"http://127.0.0.1:{port}")
        return server.wait()


def _answers(port: int, server: subprocess.Popen[bytes]) -> bool:
    """Wait up to half a minute for the server; False when it ended or does not answer."""
    for _ in range(120):
        if server.poll() is not None:
            return False
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.25)
    return False


def _entry() -> Path:
    spec = util.find_spec("analyzer")
    assert spec is not None and spec.origin is not None
    here = Path(spec.origin).parent
    return next(p for p in (here / "_app.py", here.parent / "app.py") if p.is_file())


@app.command("demo", help=_help("demo"))
def demo(
    to: Annotated[Path, typer.Option("--to", help=_help("to"))] = Path("runs"),
    port: Annotated[int, typer.Option("--port", help=_help("port"))] = 8501,
    dashboard_: Annotated[bool, typer.Option("--dashboard/--no-dashboard", help=_help("no_dashboard"))] = True,
    headless: Annotated[bool, typer.Option("--headless", help=_help("headless"))] = False,
) -> None:
    """See the catalogue."""
    with _errors():
        logs = audit.sample_logs()
        result = _audit([str(logs)], None, [], to, intake.Settings(), None, None, None, False, False)
    if dashboard_:
        raise typer.Exit(_serve(to, port, headless))
    raise typer.Exit(result.exit_code)


def run() -> None:
    """Entry point: `dunaudit`."""
    # DuckDB's statements look in on Python while they run; a reader of texts in a second thread must not make them wait.
    sys.setswitchinterval(0.0001)
    app()


if __name__ == "__main__":
    run()
