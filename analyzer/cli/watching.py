"""What arrives: `watch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analyzer import alerts, rules, watch
from analyzer.cli.auditing import settings_of
from analyzer.cli.shared import Jurisdiction, RulesFolder, Zone, errors, help_, names, t, talk
from analyzer.model import ExitCode

app = typer.Typer(rich_markup_mode=None)


@app.command("watch", help=help_("watch"))
def watch_(
    folder: Annotated[Path, typer.Argument(help=help_("watch_folder"))],
    to: Annotated[Path, typer.Option("--to", help=help_("to"))] = Path("runs"),
    alerts_file: Annotated[Path | None, typer.Option("--alerts", help=help_("watch_alerts"))] = None,
    every: Annotated[float, typer.Option("--every", min=1, help=help_("watch_every"))] = 60,
    single: Annotated[bool, typer.Option("--once", help=help_("watch_once"))] = False,
    packs: Annotated[str | None, typer.Option("--packs", help=help_("packs"))] = None,
    with_packs: Annotated[str | None, typer.Option("--with", help=help_("with_packs"))] = None,
    zone: Zone = None,
    jurisdiction: Jurisdiction = None,
    rules_folder: RulesFolder = None,
    memory: Annotated[str | None, typer.Option("--memory", help=help_("memory"))] = None,
) -> None:
    """See the catalogue."""
    with errors():
        wanted = alerts.load(alerts_file) if alerts_file else None
        if wanted is not None:
            alerts.check_rules(wanted, rules.load(rules_folder or rules.rules_folder())[0])
        told = watch.Watch(folder, to, wanted, names(packs), names(with_packs), settings_of(zone, jurisdiction), rules_folder, memory)
        if single:
            result = watch.once(told, _say)
            raise typer.Exit(result.exit_code if result else ExitCode.CLEAN)
        talk(t("watch.begun", name=folder.name, every=f"{every:g}"))
        watch.forever(told, every, _say)


def _say(key: str, params: dict[str, object]) -> None:
    talk(t(key, **params))
