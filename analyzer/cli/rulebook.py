"""The rules there are: `rules list`. Nothing here compiles a rule or opens a database."""

from __future__ import annotations

import typer

from analyzer import rules
from analyzer.cli.shared import Json, RulesFolder, emit_json, emit_table, errors, help_, language, listed, t

app = typer.Typer(rich_markup_mode=None)


@app.command("list", help=help_("rules_list"))
def rules_list(folder: RulesFolder = None, json_: Json = False) -> None:
    """See the catalogue."""
    with errors():
        found = [r for p in rules.select(folder or rules.rules_folder()) for r in p.rules]
        if json_:
            emit_json([listed(r) for r in found])
            return
        lang = language()
        lines = [
            [r.ref, r.title.in_(lang), r.kind, ", ".join(r.serves), t(f"word.{r.severity}"), t(f"word.{r.strength}"), t(f"word.{r.status}"), len(r.cases)]
            for r in found
        ]
        emit_table([t(f"column.{k}") for k in ("rule", "title", "kind", "serves", "severity", "strength", "status", "cases")], lines)
