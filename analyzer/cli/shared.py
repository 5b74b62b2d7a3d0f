"""What every command shares: options that mean the same everywhere, how data and talk are shown, how an error ends."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from analyzer.errors import DunAuditError, UsageError
from analyzer.legible import visible
from analyzer.messages import LANGUAGES, default_lang, say
from analyzer.model import Rule


def help_(name: str) -> str:
    """The help text of a command or option, in the language asked for before the command, or that of the surroundings."""
    return say(f"help.{name}", _asked())


@cache
def _asked() -> str:
    """Help is put together before anything is parsed: what `--lang` says is looked for in the words of the command line before the first that is no option."""
    words = iter(sys.argv[1:])
    for word in words:
        told = next(words, "") if word == "--lang" else word.removeprefix("--lang=")
        if told in LANGUAGES and word.startswith("--lang"):
            return told
        if not word.startswith("-"):
            break
    return default_lang()


_spoken = {"lang": default_lang()}


def speak(lang: str | None) -> None:
    """Set the language of this call; the surroundings' own when None."""
    _spoken["lang"] = lang or default_lang()


def language() -> str:
    """The language of this call: zh or en."""
    return _spoken["lang"]


def t(key: str, **params: object) -> str:
    """A sentence of the catalogue in the language of this call."""
    return say(key, language(), **params)


def talk(text: str) -> None:
    """A sentence for the person, on stderr."""
    Console(stderr=True, highlight=False).print(escape(visible(text)), soft_wrap=True)


@contextmanager
def errors() -> Iterator[None]:
    """Our own errors become one sentence on stderr and an exit code; anything else is a bug and keeps its trace."""
    try:
        yield
    except DunAuditError as error:
        talk(error.text(language()))
        raise typer.Exit(error.exit_code) from error


def plain(value: Any) -> Any:
    """A value as JSON knows it; of a path only the name."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Path):
        return value.name
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def emit_json(value: Any) -> None:
    """Data as JSON, on stdout."""
    sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n")


def emit_table(columns: Sequence[str], lines: Sequence[Sequence[object]]) -> None:
    """Data as a table, on stdout."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    table = Table(show_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for line in lines:
        table.add_row(*(Text("" if cell is None else visible(cell)) for cell in line))
    console.print(table)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """What to call with (name, done, of how many); it draws only on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    console = Console(stderr=True)
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)

        def update(name: str, done: int, total: int) -> None:
            label = t("talk.words") if name == "words" else name
            bar.update(task, description=escape(label), completed=done, total=max(total, 1))

        yield update


def names(packs: str | None) -> list[str]:
    """Names given with commas between them."""
    return [name.strip() for name in (packs or "").split(",") if name.strip()]


def day(text: str | None) -> date | None:
    """A date as ISO 8601 writes it; None of None."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError("usage.date", text=text[:40]) from error


def percent(share: float | None) -> str:
    """A share as a percentage."""
    return "-" if share is None else f"{share:.1%}"


def emit_rows(names: Sequence[str], found: Sequence[dict[str, Any]]) -> None:
    """Rows as a table under the titles of the catalogue; nothing where there are none."""
    if found:
        emit_table([t(f"page.field.{n}" if n == "jurisdiction" else f"column.{n}") for n in names], [["-" if r[n] is None else r[n] for n in names] for r in found])


def listed(rule: Rule) -> dict[str, Any]:
    """A rule as JSON lists it."""
    return {
        "id": rule.id, "pack": rule.pack, "ref": rule.ref, "serves": rule.serves, "title": rule.title, "kind": rule.kind,
        "severity": rule.severity, "strength": rule.strength, "effect": rule.effect, "status": rule.status,
        "citations": rule.citations, "values": {k: {str(d): v for d, v in spans} for k, spans in rule.values.items()},
        "in_force": rule.in_force, "until": rule.until, "cases": len(rule.cases), "digest": rule.digest,
    }  # fmt: skip

Sources = Annotated[list[str], typer.Argument(help=help_("sources"), metavar="SOURCE...")]
RunFolder = Annotated[Path, typer.Option("--run", "--runs", help=help_("run_folder"))]
Json = Annotated[bool, typer.Option("--json", help=help_("json"))]
ReviewsUrl = Annotated[str, typer.Option("--reviews", help=help_("reviews"))]
RulesFolder = Annotated[Path | None, typer.Option("--rules", help=help_("rules_folder"))]
MappingFile = Annotated[Path | None, typer.Option("--mapping", help=help_("mapping"))]
Zone = Annotated[str | None, typer.Option("--zone", help=help_("zone"))]
Jurisdiction = Annotated[str | None, typer.Option("--jurisdiction", help=help_("jurisdiction"))]
RunName = Annotated[str | None, typer.Option("--name", help=help_("name"))]
RuleFilter = Annotated[list[str] | None, typer.Option("--rule", help=help_("filter_rule"))]
AgentFilter = Annotated[list[str] | None, typer.Option("--agent", help=help_("filter_agent"))]
VendorFilter = Annotated[list[str] | None, typer.Option("--vendor", help=help_("filter_vendor"))]
SeverityFilter = Annotated[list[str] | None, typer.Option("--severity", help=help_("filter_severity"))]
CaseFilter = Annotated[list[str] | None, typer.Option("--case", help=help_("filter_case"))]


def given(**filters: list[str] | None) -> dict[str, list[str]]:
    """The filters that were given, as `summary.condition` takes them."""
    return {name: values for name, values in filters.items() if values}
