"""Files in, a run out: `inspect`, `audit`, `demo`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from analyzer import audit, intake, runs, summary
from analyzer.cli.serving import serve
from analyzer.cli.shared import (
    Json,
    Jurisdiction,
    MappingFile,
    RulesFolder,
    RunName,
    Sources,
    Zone,
    emit_json,
    emit_table,
    errors,
    help_,
    language,
    names,
    progress_bar,
    t,
    talk,
)
from analyzer.errors import UsageError
from analyzer.intake.mapping import check_zone
from analyzer.legible import visible
from analyzer.messages import say_words

app = typer.Typer(rich_markup_mode=None)


def mapping_of(path: Path | None, sources: Sequence[str]) -> intake.Mapping:
    """The house format: the one named, else the one that lies with the sources."""
    found = path or intake.folder_mapping(sources)
    if found is None:
        return intake.Mapping()
    if path is None:
        talk(t("talk.folder_mapping", name=found.name))
    return intake.load_mapping(found)


def settings_of(zone: str | None, jurisdiction: str | None) -> intake.Settings:
    """What holds where the data say nothing, as the options say it."""
    if zone:
        try:
            check_zone(zone)
        except ValueError as error:
            raise UsageError("usage.zone", zone=zone) from error
    place = intake.place_of(jurisdiction) if jurisdiction else None
    if jurisdiction and not place:
        raise UsageError("usage.jurisdiction", text=jurisdiction[:40])
    return intake.Settings(**{k: v for k, v in (("zone", zone), ("jurisdiction", place)) if v})


@app.command("inspect", help=help_("inspect"))
def inspect_(
    files: Sources, mapping: MappingFile = None, zone: Zone = None, jurisdiction: Jurisdiction = None, json_: Json = False
) -> None:
    """See the catalogue."""
    with errors():
        house = mapping_of(mapping, files)
        settings = settings_of(zone, jurisdiction)
        found = audit.inspect(files, house)
        told = [_inspected(item, house.zone or settings.zone) for item in found]
        if json_:
            emit_json(told)
        else:
            for item, facts in zip(found, told, strict=True):
                _show_inspected(item, facts)
    failed = [item.error for item in found if item.error]
    if failed:
        raise typer.Exit(failed[0].exit_code)


def _inspected(item: audit.Inspected, zone: str) -> dict[str, Any]:
    source, plan = item.source, item.plan
    facts: dict[str, Any] = {"file": item.file, "problem": item.error.text(language()) if item.error else None}
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
    console.print(Text(visible(f"{item.file} -> {facts.get('table', '?')}"), style="bold"))
    if item.source:
        certain = "" if facts["encoding_certain"] else f" ({t('inspect.likely')})"
        header = t("inspect.header_row", row=facts["header_row"]) if facts["header_row"] else t("inspect.no_header")
        delimiter = {"\t": "TAB", None: "-"}.get(facts["delimiter"], facts["delimiter"])
        order = ", ".join(f"{k}: {v}" for k, v in facts.get("date_order", {}).items()) or "-"
        encoding = f"{facts['encoding'] or '-'}{certain}"
        console.print(Text(t("inspect.said", kind=facts["kind"], encoding=encoding, delimiter=delimiter, header=header, zone=facts.get("zone", "-"), order=order)))
    if item.plan:
        lines: list[list[str]] = [[name, ", ".join(found)] for name, found in facts["columns"].items()]
        lines += [[name, f"= {value}"] for name, value in facts["constants"].items()]
        emit_table([t("inspect.canonical"), t("inspect.in_file")], lines)
        if facts["unmapped"]:
            console.print(Text(visible(t("inspect.unmapped", columns=", ".join(facts["unmapped"])))))
    if item.source:
        emit_table(item.source.columns, [[(c or "")[:40] for c in row] for row in item.source.sample[:5]])
    console.print()
    if item.error:
        talk(item.error.text(language()))


@app.command("audit", help=help_("audit"))
def audit_(
    sources: Sources,
    mapping: MappingFile = None,
    packs: Annotated[str | None, typer.Option("--packs", help=help_("packs"))] = None,
    with_packs: Annotated[str | None, typer.Option("--with", help=help_("with_packs"))] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help=help_("drafts"))] = False,
    to: Annotated[Path, typer.Option("--to", help=help_("to"))] = Path("runs"),
    zone: Zone = None,
    jurisdiction: Jurisdiction = None,
    rules_folder: RulesFolder = None,
    memory: Annotated[str | None, typer.Option("--memory", help=help_("memory"))] = None,
    profile: Annotated[bool, typer.Option("--profile", help=help_("profile"))] = False,
    run_id: RunName = None,
    since: Annotated[str | None, typer.Option("--since", help=help_("since"))] = None,
    engine: Annotated[str, typer.Option("--engine", help=help_("engine"))] = "here",
    remote: Annotated[str | None, typer.Option("--remote", help=help_("remote"))] = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with errors():
        if memory and not re.fullmatch(r"\d+(\.\d+)?\s?(KB|MB|GB|TB|KiB|MiB|GiB)", memory):
            raise UsageError("usage.memory", memory=memory)
        if engine != "here":
            from analyzer.cli.sharding import audit_shards

            result = audit_shards(sources, engine, remote, names(packs), names(with_packs), drafts, to, rules_folder, memory, run_id)
            _tell(result, json_, profile)
        else:
            result = _audit(sources, mapping, names(packs), to, settings_of(zone, jurisdiction), rules_folder, memory, run_id, json_, profile, names(with_packs), drafts, since)
    raise typer.Exit(result.exit_code)


def _audit(
    sources: Sequence[str], mapping: Path | None, packs: Sequence[str], to: Path, settings: intake.Settings, rules_folder: Path | None,
    memory: str | None, run_id: str | None, json_: bool, profile: bool, with_packs: Sequence[str] = (), drafts: bool = False,
    since: str | None = None,
) -> audit.RunResult:  # fmt: skip
    house = mapping_of(mapping, sources)
    earlier = None if since is None else Path(since) if since.endswith(".duckdb") else runs.locate(to, since)
    with progress_bar(json_) as progress:
        result = audit.run(
            sources, to, packs=packs, mapping=house, settings=settings, rules_folder=rules_folder, run_id=run_id, memory=memory,
            with_packs=with_packs, drafts=drafts, since=earlier, progress=progress,
        )  # fmt: skip
    _tell(result, json_, profile)
    return result


def _tell(result: audit.RunResult, json_: bool, profile: bool) -> None:
    """What a run came to, as JSON or for people."""
    with runs.connect(result.path) as con:
        if json_:
            emit_json({
                "run": result.run_id, "findings": result.findings, "breaching_contacts": summary.totals(con)["breaching_contacts"],
                "exit_code": int(result.exit_code), "left_out": result.left_out, "completeness": summary.completeness(con), "batches": summary.batches(con),
                "rules": summary.by_rule(con), "undetermined": summary.undetermined(con), "seconds": result.seconds, "rule_seconds": result.rule_seconds,
            })  # fmt: skip
            return
        _show_run(con, result)
        if profile:
            whole = sum(result.seconds.values())
            for title, taken in (("talk.step", list(result.seconds.items())), ("column.rule", sorted(result.rule_seconds.items(), key=lambda pair: -pair[1]))):
                emit_table([t(title), "s", "%"], [[k, f"{v:.3f}", f"{100 * v / whole:.1f}"] for k, v in taken])


def _show_run(con: Any, result: audit.RunResult) -> None:
    run = summary.run(con)
    talk(t("talk.settings", zone=run["zone"], jurisdiction=run["jurisdiction"], mapping=run["mapping"]))
    keys = ("file", "table_name", "rows_read", "loaded", "rejected", "duplicate")
    lines = [[b[k] for k in keys] for b in summary.batches(con)]
    emit_table([t(f"column.{k}") for k in keys], lines)
    for file in result.left_out:
        talk(t("talk.left_out", file=visible(file)))
    done = summary.completeness(con)
    talk(t("talk.completeness", **done))
    for batch in summary.batches(con):
        if batch["encoding_certain"] is False:
            talk(t("talk.uncertain", file=batch["file"], encoding=batch["encoding"]))
        if unread := json.loads(batch["unmapped"]):
            talk(t("talk.unread_columns", file=batch["file"], columns=visible(", ".join(unread))))
    for row in summary.elsewhere(con):
        talk(t("talk.elsewhere", **row))
    for cells in summary.cell_problems(con)[:10]:
        words = t("talk.cell_words", words=visible(cells["words"])) if cells["words"] else ""
        talk(t("talk.cells", file=cells["file"], column=cells["column_name"], cells=cells["cells"], problem=t(f"word.{cells['problem']}"), row=cells["first_row_no"], words=words))
    for row in summary.rejected(con)[:10]:
        talk(t("talk.rejected", file=row["file"], rows=row["rows"], row=row["first_row_no"], reason=t(row["reason"]), detail=row["detail"] or "-"))
    _show_rules(con)
    if not result.judged:
        talk(t("talk.nothing_judged", jurisdiction=run["jurisdiction"]))
    for row in summary.undetermined(con)[:5]:
        talk(t("talk.undetermined", rule=row["rule"], contacts=row["contacts"], missing=say_words(row["missing"] or "-", language())))
    talk(t("talk.done", run=result.run_id, findings=result.findings, contacts=summary.totals(con)["contacts"]))


def _show_rules(con: Any) -> None:
    keys = ("rule", "title", "severity", "strength", "known", "findings", "breach", "clear", "undetermined", "not_applicable", "not_in_force", "not_evaluated")
    lang = language()
    lines = [
        [r["rule"], r[f"title_{lang}"], *(t(f"word.{r[k]}") for k in ("severity", "strength", "known")), *(r[k] for k in keys[5:])]
        for r in summary.applying(summary.by_rule(con))
    ]
    emit_table([t(f"column.{k}") for k in keys], lines)


@app.command("demo", help=help_("demo"))
def demo(
    to: Annotated[Path, typer.Option("--to", help=help_("to"))] = Path("runs"),
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help=help_("port"))] = 8501,
    dashboard_: Annotated[bool, typer.Option("--dashboard/--no-dashboard", help=help_("no_dashboard"))] = True,
    headless: Annotated[bool, typer.Option("--headless", help=help_("headless"))] = False,
) -> None:
    """See the catalogue."""
    with errors():
        logs = audit.sample_logs()
        result = _audit([str(logs)], None, [], to, intake.Settings(), None, None, None, False, False)
    if dashboard_:
        raise typer.Exit(serve(to, port, headless))
    raise typer.Exit(result.exit_code)
