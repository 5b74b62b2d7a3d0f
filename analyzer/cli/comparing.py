"""Runs against runs, values against values, and the next contact: `diff`, `backtest`, `may-contact`."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from analyzer import advise, compare, rules, runs
from analyzer.checks import prepare
from analyzer.cli.shared import Json, RulesFolder, RunFolder, RunName, emit_json, emit_table, errors, help_, language, names, t, talk
from analyzer.errors import UsageError
from analyzer.messages import say_words
from analyzer.model import ExitCode

app = typer.Typer(rich_markup_mode=None)


@app.command("diff", help=help_("diff"))
def diff_(
    old: Annotated[str, typer.Argument(help=help_("diff_old"))],
    new: Annotated[str, typer.Argument(help=help_("diff_new"))],
    by: Annotated[str | None, typer.Option("--by", help=help_("diff_by"))] = None,
    run: RunFolder = Path("runs"),
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with errors():
        if by is not None and by not in compare.BY:
            raise UsageError("usage.diff_by", asked=by[:40], have=", ".join(compare.BY))
        told = compare.diff(*(Path(n) if n.endswith(".duckdb") else runs.locate(run, n) for n in (old, new)))
        if json_:
            emit_json({"by": told.by(by)} if by else told)
            return
        if by is not None:
            emit_table([t(f"column.{by}"), t("word.new"), t("word.resolved"), t("word.still_open")], [[r["value"] or "-", r["new"], r["resolved"], r["open"]] for r in told.by(by)])
            talk(t("talk.diff", old=told.old, after=told.new, **told.counts))
            return
        keys = ("state", "why", "finding_id", "rule", "case_id", "agent_id", "vendor", "first_local")
        changes = [f for f in told.findings if f["state"] != "open" or f["why"] != "same"]
        emit_table([t(f"column.{k}") for k in keys], [[t(f"word.{'still_open' if f[k] == 'open' else f[k]}") if k in ("state", "why") else f[k] for k in keys] for f in changes])
        talk(t("talk.diff", old=told.old, after=told.new, **told.counts))


@app.command("backtest", help=help_("backtest"))
def backtest_(
    changes: Annotated[list[str], typer.Option("--set", help=help_("set"))],
    run: RunFolder = Path("runs"),
    name: RunName = None,
    folder: RulesFolder = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with errors():
        told = compare.backtest(runs.locate(run, name), folder or rules.rules_folder(), changes)
        if json_:
            emit_json(told)
            return
        for one in told:
            lines = [[t(f"word.{state}"), *(row[k] or "-" for k in ("team", "vendor")), row["findings"]] for state, rows in (("added", one.added), ("removed", one.removed)) for row in rows]
            emit_table([t(f"column.{k}") for k in ("state", "team", "vendor", "findings")], lines)
            talk(t("talk.backtest", rule=one.rule, before=one.before, after=one.after, contacts_before=one.contacts_before, contacts_after=one.contacts_after))
            if one.stale:
                talk(t("talk.backtest_stale", rule=one.rule))


@app.command("may-contact", help=help_("may_contact"))
def may_contact_(
    case: Annotated[str | None, typer.Argument(help=help_("case"))] = None,
    person: Annotated[str | None, typer.Option("--person", help=help_("person"))] = None,
    channel: Annotated[str, typer.Option("--channel", help=help_("channel"))] = "call",
    at: Annotated[str | None, typer.Option("--at", help=help_("at"))] = None,
    batch: Annotated[Path | None, typer.Option("--batch", help=help_("batch"))] = None,
    packs: Annotated[str | None, typer.Option("--packs", help=help_("packs"))] = None,
    with_packs: Annotated[str | None, typer.Option("--with", help=help_("with_packs"))] = None,
    run: RunFolder = Path("runs"),
    name: RunName = None,
    folder: RulesFolder = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with errors():
        asked = _questions(batch) if batch else [_question({"case_id": case, "person_id": person, "channel": channel, "at": at})]
        answers = advise.may_contact(runs.locate(run, name), prepare(*rules.chosen(folder or rules.rules_folder(), names(packs), names(with_packs))), asked, when=not batch)
    if json_ or batch:
        emit_json(answers)
    else:
        for one in answers:
            typer.echo(t(f"advice.{one.answer}"))
            for reason in one.reasons:
                ends = ", ".join(t(f"word.{o}") for o in reason.outcomes)
                typer.echo(t(f"advice.because_{reason.answer}", rule=reason.rule, ends=ends, missing=say_words(reason.missing or "-", language())))
            if one.answer == "no":
                typer.echo(t("advice.not_before", at=f"{one.not_before:%Y-%m-%d %H:%M}") if one.not_before else t("advice.never", days=advise.DAYS_AHEAD))
            talk(t("advice.not_asked", rules=one.not_asked))
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
