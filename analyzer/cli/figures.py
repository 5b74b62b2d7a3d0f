"""Figures of a run: `portfolio`, `conduct`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from analyzer import conduct, early_warning, portfolio, runs
from analyzer.cli.shared import Json, RulesFolder, RunFolder, RunName, emit_json, emit_rows, errors, help_, language, percent, t, talk
from analyzer.errors import UsageError
from analyzer.messages import say_words

app = typer.Typer(rich_markup_mode=None)


@app.command("portfolio", help=help_("portfolio"))
def portfolio_(
    run: RunFolder = Path("runs"),
    name: RunName = None,
    by: Annotated[str | None, typer.Option("--by", help=help_("portfolio_by"))] = None,
    folder: RulesFolder = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with errors():
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
        emit_json(told)
    else:
        _show_portfolio(told, by)


def _show_portfolio(told: dict[str, Any], by: str | None) -> None:
    rates = [
        r | {
            "value": (r["value"] or t("page.none")) if r["assigned"] else t("page.portfolio.nobody"), "month": f"{r['month']:%Y-%m}", "ratio": percent(r["rate"]),
            "missing": say_words(r["missing"], language()), "complete": t("page.yes" if r["complete"] else "page.no"), "breaching": f"{r['breaching_contacts']} / {r['contacts']}",
        }
        for r in told["rates"] if r["figure"] != portfolio.INFLOW
    ]  # fmt: skip
    keys = ("month", "figure", "on_date", "base_on", "numerator", "denominator", "ratio", "in_class", "accounts", "unknown", "missing", "complete", "breaching")
    emit_rows(("jurisdiction", *(("value",) if by else ()), *keys), rates)
    effort = [r | {"vendor": r["value"] or t("page.none"), "per_case_week": f"{r['per_case_week']:.2f}", "followed": "-" if r["paying"] is None else f"{r['paying']} / {r['case_weeks']}"} for r in told["effort"]["vendor"]]
    emit_rows(("jurisdiction", "vendor", "contacts", "reached", "not_reached", "unknown", "case_weeks", "per_case_week", "repaid", "followed"), effort)
    share = [r | {"on_class": f"{r['on_class']} / {r['contacts']} {percent(r['rate'])}", "target": percent(r["target"]), "time": percent(r["time_rate"])} for r in told["share"]["whole"]]
    emit_rows(("on_class", "target", "time", "untimed", "reminders", "unknown"), share)
    rising = [
        r | {"value": r["value"] or t("page.none"), "before": f"{r['breaching_before']} / {r['contacts_before']}", "now": f"{r['breaching_contacts']} / {r['contacts']}", "ratio": percent(r["rate"]), "trend": t(f"word.{r['trend']}")}
        for group in early_warning.GROUPS for r in told["rising"][group] if r["enough"]
    ]  # fmt: skip
    emit_rows(("value", "before", "now", "ratio", "trend"), rising)
    emit_rows(("rule", "of", "near", "judged", "undetermined", "findings"), told["near"])
    talk(t("talk.portfolio", last_payment=told["span"]["last_payment"] or "-"))
    for row in told["effort_totals"]:
        talk(t("talk.effort", **row))
    if not told["near"]:
        talk(t("talk.near_none", pack=early_warning.PACK))


@app.command("conduct", help=help_("conduct"))
def conduct_(
    run: RunFolder = Path("runs"),
    name: RunName = None,
    agent: Annotated[str | None, typer.Option("--agent", help=help_("conduct_agent"))] = None,
    folder: RulesFolder = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with errors():
        book = conduct.load(folder)
        with runs.connect(runs.locate(run, name)) as con:
            told = conduct.report(con, book, agent)
    if json_:
        emit_json(told)
    else:
        _show_conduct(told, book)


def _show_conduct(told: dict[str, Any], book: conduct.Book) -> None:
    lang = language()

    def figures(row: dict[str, Any]) -> dict[str, Any]:
        return row | {
            "kept": f"{row['complete']} / {row['contacts']} {percent(row['rate'])}", "kept_interval": "-" if row["rate"] is None else f"{percent(row['low'])} - {percent(row['high'])}",
            "missed": "-" if row["missed"] is None else f"{book.marks[row['missed']].title.in_(lang)} {row['missed_contacts']}", "breach_share": f"{row['breaching_contacts']} / {row['contacts']} {percent(row['breach_rate'])}",
            "breach_interval": "-" if row["breach_rate"] is None else f"{percent(row['breach_low'])} - {percent(row['breach_high'])}",
        }  # fmt: skip

    keys = ("contacts", "kept", "kept_interval", "missed", "avoided_contacts", "breach_share", "breach_interval", "against_contacts")
    emit_rows(("situation", *keys), [figures(r) | {"situation": book.situations[r["situation"]].title.in_(lang)} for r in told["situations"] if r["contacts"]])
    emit_rows(("agent_id", "team", *keys), [figures(r) for r in told["agents"] if r["enough"]])
    shown = [
        r | {
            "kind_of_example": t(f"word.{kind}"), "situation": book.situations[r["situation"]].title.in_(lang), "not_seen": ", ".join(book.marks[m].title.in_(lang) for m in r["missing"]),
            "breaks": ", ".join(r["broken"]),
        }
        for kind in ("good", "poor") for r in told["examples"][kind]
    ]  # fmt: skip
    emit_rows(("kind_of_example", "contact_id", "case_id", "situation", "not_seen", "breaks", "text"), shown)
    talk(t("talk.conduct", **told["reach"]))
    talk(t("talk.conduct_hidden", hidden=sum(not r["enough"] for r in told["agents"]), total=len(told["agents"]), least=conduct.LEAST))
