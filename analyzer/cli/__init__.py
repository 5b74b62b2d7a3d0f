"""The command line: a door. It parses, calls, shows; it owns no rule, no query and no number.

Data go to stdout, talk and progress to stderr. Exit codes: see `model.ExitCode`. A command's module is loaded when the
command is named, so that `--help` waits for none of them; `_WHERE` says which module holds which command.
"""

from __future__ import annotations

import gc
import signal
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from analyzer import __version__
from analyzer.cli.shared import errors, help_, speak
from analyzer.errors import UsageError
from analyzer.messages import LANGUAGES

_WHERE: dict[str, dict[str, str]] = {
    "": {
        "inspect": "auditing", "audit": "auditing", "demo": "auditing", "findings": "browsing", "explain": "browsing", "dashboard": "serving", "scan": "scanning",
        "export": "taking", "report": "taking", "verify": "taking", "sample": "taking", "diff": "comparing", "backtest": "comparing", "may-contact": "comparing",
        "portfolio": "figures", "conduct": "figures", "watch": "watching", "shard": "sharding",
    },
    "rules": {
        "list": "rulebook", "check": "authoring", "test": "authoring", "explain": "authoring", "new": "authoring", "keys": "authoring", "schema": "authoring",
        "coverage": "authoring", "hygiene": "authoring", "conflicts": "authoring",
    },
    "log": {"verify": "reviewing"},
    "review": {"finding": "reviewing", "queue": "reviewing", "blind": "reviewing"},
}  # fmt: skip


class _Lazy(TyperGroup):
    """A group whose commands are known by name and help; the one that is called is loaded."""

    def __init__(self, **settings: Any) -> None:
        """See typer."""
        super().__init__(**settings)
        self._place = self.name if self.name in _WHERE else ""
        stubs = {name: TyperCommand(name, help=help_("_".join(filter(None, (self._place, name))).replace("-", "_"))) for name in _WHERE[self._place or ""]}
        self.commands = {**stubs, **self.commands}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """See click."""
        name, found, rest = super().resolve_command(ctx, args)
        where = _WHERE[self._place or ""].get(str(name))
        if where:
            module = import_module(f"analyzer.cli.{where}")
            found = typer.main.get_group(module.log_app if self._place == "log" else module.app).commands[str(name)]
        return name, found, rest


class _FindingFirst(_Lazy):
    """`dunaudit review 5efec915` and `dunaudit review --all` mean `dunaudit review finding ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["finding", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Lazy, help=help_("app"), no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)
for _name, _group in (("rules", _Lazy), ("log", _Lazy), ("review", _FindingFirst)):
    app.add_typer(typer.Typer(cls=_group, rich_markup_mode=None, help=help_(_name), no_args_is_help=_name != "review", callback=lambda: None), name=_name)


@app.callback()
def main(
    lang: Annotated[str | None, typer.Option("--lang", help=help_("lang"))] = None,
    version: Annotated[bool, typer.Option("--version", help=help_("version"), is_eager=True)] = False,
) -> None:
    """See the catalogue."""
    if version:
        typer.echo(f"dunaudit {__version__}")
        raise typer.Exit
    if lang is not None and lang not in LANGUAGES:
        with errors():
            raise UsageError("usage.lang", asked=lang)
    speak(lang)


def _ended(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def run() -> None:
    """Entry point: `dunaudit`."""
    # Asked to end, or left by its terminal, the program ends as on Ctrl-C: what it was making is removed.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _ended)
    # DuckDB's statements look in on Python while they run; a reader of texts in a second thread must not make them wait.
    sys.setswitchinterval(0.0001)
    # Rules and lexicons are many small objects that stay; looking them over again and again frees nothing.
    gc.set_threshold(100_000, 20, 100)
    app()
