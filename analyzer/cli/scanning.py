"""The wording test bench: `scan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from analyzer import rules, scan
from analyzer.cli.shared import Json, RulesFolder, emit_json, errors, help_, progress_bar, t, talk
from analyzer.model import ExitCode
from analyzer.text import load_words

app = typer.Typer(rich_markup_mode=None)


@app.command("scan", help=help_("scan"))
def scan_(
    file: Annotated[Path, typer.Argument(help=help_("scan_file"))],
    out: Annotated[Path, typer.Option("--out", help=help_("scan_out"))],
    why_not: Annotated[bool, typer.Option("--why-not", help=help_("why_not"))] = False,
    alone: Annotated[bool, typer.Option("--no-second-reader", help=help_("no_second_reader"))] = False,
    folder: RulesFolder = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""

    with errors():
        words = load_words(rules.lexicon_folder(folder or rules.rules_folder()))
        with progress_bar(json_) as progress:
            counts = scan.scan_file(file, out, words.lexicons, None if alone else words.reader, why_not, lambda done: progress("words", done, done))
        if json_:
            emit_json({"messages": counts.lines, "unread": counts.unread, "labelled": counts.labelled})
        else:
            talk(t("talk.scanned", messages=counts.lines, unread=counts.unread, labelled=counts.labelled))
    if counts.unread:
        raise typer.Exit(ExitCode.UNDETERMINED)
