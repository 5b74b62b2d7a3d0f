"""What a run found: `findings`, `explain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analyzer import explain, runs, summary
from analyzer.cli.shared import AgentFilter, Json, RuleFilter, RunFolder, RunName, emit_json, emit_table, errors, given, help_, language, t, talk
from analyzer.legible import steady, visible
from analyzer.messages import say_words

app = typer.Typer(rich_markup_mode=None)


@app.command("findings", help=help_("findings"))
def findings_(
    run: RunFolder = Path("runs"),
    name: RunName = None,
    rule: RuleFilter = None,
    agent: AgentFilter = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help=help_("limit"))] = 100,
    offset: Annotated[int, typer.Option("--offset", min=0, help=help_("offset"))] = 0,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with errors():
        with runs.connect(runs.locate(run, name)) as con:
            filters = summary.meant(con, given(rule=rule, agent=agent))
            page, total = summary.findings(con, filters, "time", limit, offset)
        if json_:
            emit_json({"total": total, "findings": page})
            return
        keys = ("finding_id", "rule", "severity", "case_id", "agent_id", "first_local", "breaches", "evidence", "measured", "permitted")
        lines = [[say_words(str(f[k]), language()) if k in ("severity", "measured") and f[k] else f[k] for k in keys] for f in page]
        emit_table([t(f"column.{k}") for k in keys], lines)
        talk(t("talk.page", shown=len(page), total=total))


@app.command("explain", help=help_("explain"))
def explain_(
    finding: Annotated[str, typer.Argument(help=help_("finding"))],
    run: RunFolder = Path("runs"),
    name: RunName = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with errors():
        with runs.connect(runs.locate(run, name)) as con:
            told = explain.explain(con, finding)
        if json_:
            emit_json(told)
            return
        _show_explained(told)


def _show_explained(told: explain.Explained) -> None:
    lang, console = language(), Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    finding, rule = told.finding, told.rule

    def part(key: str, text: str) -> None:
        console.print(Text(t(key), style="bold"), Text(visible(text)), sep="\n")

    console.print(Text(f"{finding['finding_id']}  {finding['rule']}", style="bold"))
    console.print(Text(told.texts["title"][lang]))
    console.print(Text("  ".join(t(f"word.{rule[k]}") for k in ("severity", "strength", "effect", "known"))))
    part("explain.why", told.texts["why"][lang])
    for cite in told.citations:
        note = f" - {cite['note'][lang]}" if cite.get("note") else ""
        part("explain.clause", f"{cite['instrument'][lang]}, {cite['clause'][lang]} ({t('word.' + cite['known'])}, {cite['consulted']}){note}")
    part("explain.what", t("explain.measured", measured=say_words(finding["measured"] or "-", lang), permitted=finding["permitted"] or "-", breaches=finding["breaches"], evidence=finding["evidence"]))
    lines = []
    for entry in told.ledger:
        shown = Text(steady(entry["text"] or ""))
        for mark in entry["marks"]:
            shown.stylize("bold reverse", mark["start"], mark["end"])
        lines.append((entry, shown))
    table = Table(show_edge=False)
    for key in ("ordinal", "contact_id", "role", "local_at", "channel", "outcome", "relation", "agent_id", "measured", "text"):
        table.add_column(t(f"column.{key}"), overflow="fold")
    for entry, shown in lines:
        words = [t(f"word.{entry[k]}") if entry[k] else "" for k in ("channel", "outcome", "relation")]
        cells = [entry["ordinal"], entry["contact_id"], t(f"word.{entry['role']}"), entry["local_at"], *words, entry["agent_id"], say_words(entry["measured"], lang)]
        table.add_row(*(Text("" if c is None else visible(c)) for c in cells), shown)
    console.print(table)
    part("explain.remedy", told.texts["remedy"][lang])
    part("explain.not_covered", told.texts["not_covered"][lang])
    part("explain.sql", told.sql)
