"""Verdicts of people: `review finding`, `queue`, `blind`, and `log verify`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from analyzer import explain, review, runs, summary
from analyzer.cli.shared import (
    AgentFilter,
    CaseFilter,
    Json,
    ReviewsUrl,
    RuleFilter,
    RunFolder,
    RunName,
    SeverityFilter,
    VendorFilter,
    day,
    emit_json,
    emit_table,
    errors,
    given,
    help_,
    names,
    percent,
    t,
    talk,
)
from analyzer.errors import NoInput, UsageError
from analyzer.model import ExitCode

app = typer.Typer(rich_markup_mode=None)
log_app = typer.Typer(rich_markup_mode=None)


@app.command("finding", help=help_("review_finding"))
def review_finding(
    finding: Annotated[str | None, typer.Argument(help=help_("finding"))] = None,
    state: Annotated[str | None, typer.Option("--state", help=help_("state"))] = None,
    comment: Annotated[str, typer.Option("--comment", help=help_("comment"))] = "",
    assignee: Annotated[str, typer.Option("--assign", help=help_("assign"))] = "",
    actor: Annotated[str, typer.Option("--by", help=help_("by"))] = "",
    all_: Annotated[bool, typer.Option("--all", help=help_("review_all"))] = False,
    rule: RuleFilter = None,
    agent: AgentFilter = None,
    vendor: VendorFilter = None,
    severity: SeverityFilter = None,
    case: CaseFilter = None,
    until: Annotated[str | None, typer.Option("--suppress-until", help=help_("suppress_until"))] = None,
    approver: Annotated[str, typer.Option("--approved-by", help=help_("approved_by"))] = "",
    approve: Annotated[bool | None, typer.Option("--approve/--refuse", help=help_("approve"))] = None,
    appeal: Annotated[bool, typer.Option("--appeal", help=help_("appeal"))] = False,
    blind: Annotated[bool, typer.Option("--blind", help=help_("blind"))] = False,
    replace: Annotated[bool, typer.Option("--replace", help=help_("review_replace"))] = False,
    two_level: Annotated[str, typer.Option("--two-level", help=help_("two_level"))] = "",
    run: RunFolder = Path("runs"), url: ReviewsUrl = "",
    name: RunName = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """See the catalogue."""
    filters = given(rule=rule, agent=agent, vendor=vendor, severity=severity, case=case)
    with errors():
        if sum((state is not None, until is not None, approve is not None, appeal)) > 1 or (all_ and (finding is not None or appeal or blind)) or (blind and state is None):
            raise UsageError("usage.review_one")
        path = runs.locate(run, name)
        log = review.Reviews(path, url)
        if finding is None and not all_ and (state or until or approve is not None or appeal):
            raise UsageError("usage.review_which")
        with runs.connect(path) as con:
            filters = summary.meant(con, filters)
            if all_:
                _review_all(log, con, filters, actor, state, comment, assignee, approver, until, approve, names(two_level), json_)
                return
            if finding is None:
                _show_reviews(log, con, json_)
                return
            whole = explain.explain(con, finding).finding["finding_id"]
            if appeal:
                log.appeal(con, whole, actor, comment)
            elif approve is not None:
                log.answer(con, whole, actor, approve, comment)
            elif until is not None:
                log.suppress(con, whole, actor, comment, approver, _need_day(until))
            elif blind and state is not None:
                log.judge_blind(con, whole, actor, state, comment)
            elif state is not None:
                log.decide(con, whole, actor, state, comment, assignee, second=names(two_level), replace=replace)
        history = log.history(whole, blind_to=actor.strip())
        if json_:
            emit_json(history)
        else:
            emit_table(
                [t(f"column.{k}") for k in ("at_utc", "actor", "kind", "state", "assignee", "comment")],
                [[e.at_utc, e.actor, t(f"word.kind_{e.kind}"), t(f"word.{e.state}"), e.assignee, e.comment] for e in history],
            )


def _need_day(text: str) -> date:
    found = day(text)
    assert found is not None
    return found


def _review_all(
    log: review.Reviews, con: Any, filters: dict[str, list[str]], actor: str, state: str | None, comment: str, assignee: str, approver: str, until: str | None,
    approve: bool | None, second: Sequence[str], json_: bool,
) -> None:  # fmt: skip
    if until is not None:
        done = log.suppress_all(con, filters, actor, comment, approver, _need_day(until))
    elif approve is not None:
        done = log.answer_all(con, filters, actor, approve, comment)
    elif state is not None:
        done = log.decide_all(con, filters, actor, state, comment, assignee, second)
    else:
        raise UsageError("usage.review_one")
    if json_:
        emit_json({"written": len(done.written), "left": done.left})
    else:
        talk(t("talk.reviewed", written=len(done.written), left=done.left))


def _show_reviews(log: review.Reviews, con: Any, json_: bool) -> None:
    found, counts, agreed, queues = log.precision(con), log.counts(con), log.agreement(), log.queues()
    if json_:
        emit_json({"entries": len(log.log()), "counts": counts, "precision": found, "agreement": agreed, "queues": queues})
        return
    keys = ("rule", "verdicts", "right", "low", "high", "stale")
    titles = [t("word.stale" if k == "stale" else f"column.{k}") for k in keys]
    emit_table(titles, [[f"{row[k]:.2f}" if isinstance(row[k], float) else "-" if row[k] is None else row[k] for k in keys] for row in found])
    talk(t("talk.review_counts", **counts))
    if agreed.pairs:
        talk(t("talk.agreement", pairs=agreed.pairs, agree=agreed.agree, rate=percent(agreed.rate), kappa="-" if agreed.kappa is None else f"{agreed.kappa:.2f}"))
    for one in queues:
        _show_misses(one)


def _show_misses(one: review.Misses) -> None:
    talk(t("talk.misses", draw=one.draw, seed=one.seed, examined=one.examined, size=one.size, population=one.population, deviations=one.deviations,
             confidence=f"{100 * one.confidence:g}", upper=percent(one.upper), missed="-" if one.missed is None else one.missed))  # fmt: skip


@app.command("queue", help=help_("review_queue"))
def review_queue(
    draw: Annotated[int | None, typer.Argument(help=help_("queue_draw"))] = None,
    contact: Annotated[str | None, typer.Option("--contact", help=help_("queue_contact"))] = None,
    result: Annotated[str | None, typer.Option("--result", help=help_("queue_result"))] = None,
    comment: Annotated[str, typer.Option("--comment", help=help_("comment"))] = "",
    size: Annotated[int | None, typer.Option("--size", min=1, help=help_("queue_size"))] = None,
    seed: Annotated[str | None, typer.Option("--seed", help=help_("sample_seed"))] = None,
    confidence: Annotated[float, typer.Option("--confidence", help=help_("sample_confidence"))] = 0.95,
    tolerable: Annotated[float, typer.Option("--tolerable", help=help_("sample_tolerable"))] = 0.05,
    actor: Annotated[str, typer.Option("--by", help=help_("by"))] = "",
    run: RunFolder = Path("runs"), url: ReviewsUrl = "",
    name: RunName = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """See the catalogue."""
    with errors():
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
            emit_json({"queue": told, "contacts": [{"contact_id": item, "result": found or None} for item, found in items]})
        else:
            emit_table([t("column.contact_id"), t("column.result")], [[item, t(f"word.result_{found}") if found else ""] for item, found in items])
            _show_misses(told)


@app.command("blind", help=help_("review_blind"))
def review_blind(
    size: Annotated[int | None, typer.Option("--size", min=1, help=help_("blind_size"))] = None,
    seed: Annotated[str | None, typer.Option("--seed", help=help_("sample_seed"))] = None,
    actor: Annotated[str, typer.Option("--by", help=help_("by"))] = "",
    run: RunFolder = Path("runs"), url: ReviewsUrl = "",
    name: RunName = None,
    json_: Json = False,
) -> None:  # fmt: skip
    """See the catalogue."""
    with errors():
        path = runs.locate(run, name)
        log = review.Reviews(path, url)
        if size is not None:
            with runs.connect(path) as con:
                log.draw_blind(con, actor, seed or str(secrets.randbelow(2**32)), size)
        tasks, agreed = log.blind_tasks(actor) if actor.strip() else [], log.agreement()
        if json_:
            emit_json({"tasks": tasks, "agreement": agreed})
        else:
            emit_table([t("column.finding_id")], [[finding] for finding in tasks])
            talk(t("talk.agreement", pairs=agreed.pairs, agree=agreed.agree, rate=percent(agreed.rate), kappa="-" if agreed.kappa is None else f"{agreed.kappa:.2f}"))


@log_app.command("verify", help=help_("log_verify"))
def log_verify(run: RunFolder = Path("runs"), url: ReviewsUrl = "", json_: Json = False) -> None:
    """See the catalogue."""
    with errors():
        log = review.Reviews(run, url)
        if not log.there():
            raise NoInput("review.none_there", name=review.FILE)
        broken, entries = log.verify(), len(log.chain())
    if json_:
        emit_json({"entries": entries, "broken_at": broken})
    else:
        talk(t("talk.log_whole", entries=entries) if broken is None else t("talk.log_broken", entries=entries, at=broken))
    if broken is not None:
        raise typer.Exit(ExitCode.BREACHES)
