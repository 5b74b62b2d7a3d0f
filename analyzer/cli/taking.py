"""What an auditor takes away: `export`, `report`, `verify`, `sample`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import duckdb
import typer

from analyzer import access, export, leftovers, report, review, runs, sampling, summary
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
    language,
    progress_bar,
    t,
    talk,
)
from analyzer.errors import UsageError
from analyzer.messages import LANGUAGES
from analyzer.model import ExitCode

app = typer.Typer(rich_markup_mode=None)


@app.command("export", help=help_("export"))
def export_(
    out: Annotated[Path | None, typer.Argument(help=help_("export_out"))] = None,
    to: Annotated[Path | None, typer.Option("--to", help=help_("export_out"))] = None,
    run: RunFolder = Path("runs"),
    name: RunName = None,
    rule: RuleFilter = None,
    agent: AgentFilter = None,
    vendor: VendorFilter = None,
    severity: SeverityFilter = None,
    case: CaseFilter = None,
    form: Annotated[str | None, typer.Option("--format", help=help_("export_format"))] = None,
    each: Annotated[str | None, typer.Option("--each", help=help_("export_each"))] = None,
    edition: Annotated[str, typer.Option("--edition", help=help_("edition"))] = "full",
    redacted: Annotated[bool, typer.Option("--redacted", help=help_("redacted"))] = False,
    key: Annotated[Path | None, typer.Option("--key", help=help_("key"))] = None,
    sign: Annotated[Path | None, typer.Option("--sign", help=help_("sign"))] = None,
    sample: Annotated[list[Path] | None, typer.Option("--sample", help=help_("export_sample"))] = None,
    by: Annotated[str, typer.Option("--by", help=help_("export_by"))] = "",
    url: ReviewsUrl = "",
    json_: Json = False,
) -> None:
    """See the catalogue."""
    chosen = given(rule=rule, agent=agent, vendor=vendor, severity=severity, case=case)
    edition = "redacted" if redacted else edition
    report_only = form == "report"
    with errors():
        target = to or out
        if target is None:
            raise UsageError("usage.no_target")
        path = runs.locate(run, name)
        with runs.connect(path) as con:
            chosen = summary.meant(con, chosen)
        log = review.Reviews(path, url)
        who = by or os.environ.get("USER") or access.LOCAL
        if report_only and edition != "full":
            raise UsageError("report.not_redacted")
        _all_used({"--key": key is not None and edition == "full", "--sign": report_only and sign is not None, "--sample": report_only and bool(sample)})
        if report_only and each is None:
            target = _in(target, path, "html")
            ending = target.suffix.lower().lstrip(".")
            with runs.connect(path) as con:
                told = _reported(report.report(con, language(), chosen, reviews=log), target, None, ending if ending in report.FORMATS else "html", json_)
            log.act(who, "export", path.stem, edition=edition, format=form, findings=told)
            return
        form = {"pack": "zip"}.get(form or "", form)
        if not (target.suffix or form):
            raise UsageError("export.format", ending="-", have=", ".join(export.FORMATS))
        with leftovers.private("dunaudit-key-") as private:
            if edition == "redacted" and key is None:
                # Nobody keeps this key: the masks of this export are those of no other.
                key = private / "key"
                key.write_text(secrets.token_hex(32), encoding="ascii")
                talk(t("talk.fresh_key"))
            with runs.sparing(path) as con, progress_bar(json_) as progress:
                options = export.Options(edition, key, sign, log, tuple(sample or ()), by, progress)
                if each is not None:
                    written = export.write_each(con, target, each, "html" if report_only else form or "zip", chosen, options, _reports(con, log) if report_only else None)
                else:
                    target = _in(target, path, {"oscal": "oscal.json"}.get(form or "", form or ""))
                    written = {target.name: export.write(con, target, chosen, options, form)}
        for file, rows in written.items():
            # After the writing: an export that told of itself would never be the same twice.
            log.act(who, "export", path.stem, edition=edition, format=form or target.suffix.lstrip("."), findings=rows["findings"])
            if not json_:
                talk(t("talk.exported", name=file, findings=rows["findings"], evidence=rows["evidence"]) if "evidence" in rows else t("talk.reported", name=file, **rows))
        if json_:
            emit_json({"file": target.name, "edition": edition, **({"files": written} if each is not None else {"rows": written[target.name]})})


def _all_used(given_in_vain: Mapping[str, bool]) -> None:
    """Raises: UsageError: an option is given that this export has no use for."""
    for option, vain in given_in_vain.items():
        if vain:
            raise UsageError("export.in_vain", option=option)


def _reports(con: duckdb.DuckDBPyConnection, log: review.Reviews) -> export.Writer:
    """Writes a report of what some filters choose, as HTML."""

    def write(target: Path, chosen: Mapping[str, Sequence[str]]) -> dict[str, int]:
        made = report.report(con, language(), chosen, reviews=log)
        report.write(made, target, None, "html")
        return _told(made)

    return write


def _told(made: report.Report) -> dict[str, int]:
    return {"findings": made.population.findings, "sheets": len(made.sheets), "rules": len(made.rules)}


def _in(target: Path, run: Path, ending: str) -> Path:
    """The file itself; in a folder that is there, one named after the run."""
    return target / f"{run.stem}.{ending}" if target.is_dir() else target


def _reported(made: report.Report, target: Path, fonts: Path | None, ending: str | None, json_: bool) -> int:
    """Write a report and say so; its findings."""
    report.write(made, target, fonts, ending)
    told = _told(made)
    if json_:
        emit_json({"file": target.name, "lang": made.lang, "grouped": made.grouped, "contacts": made.population.contacts, **told})
    else:
        talk(t("talk.reported", name=target.name, **told))
    return made.population.findings


@app.command("report", help=help_("report"))
def report_(
    to: Annotated[Path, typer.Option("--to", help=help_("report_to"))],
    run: RunFolder = Path("runs"),
    name: RunName = None,
    rule: RuleFilter = None,
    agent: AgentFilter = None,
    vendor: VendorFilter = None,
    severity: SeverityFilter = None,
    case: CaseFilter = None,
    since: Annotated[str | None, typer.Option("--from", help=help_("report_from"))] = None,
    until: Annotated[str | None, typer.Option("--until", help=help_("report_until"))] = None,
    lang: Annotated[str | None, typer.Option("--lang", help=help_("report_lang"))] = None,
    fonts: Annotated[Path | None, typer.Option("--fonts", help=help_("report_fonts"))] = None,
    sheets: Annotated[int, typer.Option("--sheets", min=0, help=help_("report_sheets"))] = report.SHEETS,
    url: ReviewsUrl = "",
    json_: Json = False,
) -> None:
    """See the catalogue."""
    chosen = given(rule=rule, agent=agent, vendor=vendor, severity=severity, case=case)
    with errors():
        if lang is not None and lang not in LANGUAGES:
            raise UsageError("usage.lang", asked=lang)
        path = runs.locate(run, name)
        with runs.connect(path) as con:
            chosen = summary.meant(con, chosen)
            made = report.report(con, lang or language(), chosen, (day(since), day(until)), sheets, review.Reviews(path, url))
        _reported(made, to, fonts, None, json_)


@app.command("verify", help=help_("verify"))
def verify_(
    pack: Annotated[Path, typer.Argument(help=help_("verify_pack"))],
    run: Annotated[Path | None, typer.Option("--run", "--runs", help=help_("verify_run"))] = None,
    name: RunName = None,
    public_key: Annotated[Path | None, typer.Option("--public-key", help=help_("public_key"))] = None,
    full: Annotated[Path | None, typer.Option("--full", help=help_("verify_full"))] = None,
    url: ReviewsUrl = "",
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with errors():
        with runs.sparing(runs.locate(run, name)) if run is not None else nullcontext() as con:
            told = export.verify(pack, con, public_key, full, review.Reviews(runs.locate(run, name), url) if run is not None else None)
        if json_:
            emit_json(told)
        else:
            for kind, what in told.wrong:
                talk(t(kind, name=what))
            for kind in (f"verify.signature_{told.signature}", *told.unseen):
                talk(t(kind))
            for key, count in (("talk.verify_lacking", told.lacking), ("talk.verify_later", told.later)):
                if count:
                    talk(t(key, count=count))
            talk(t("talk.verified", findings=told.findings, files=told.files, repeated=told.repeated, wrong=len(told.wrong)))
    if told.wrong:
        raise typer.Exit(ExitCode.BREACHES)


@app.command("sample", help=help_("sample"))
def sample_(
    of: Annotated[str, typer.Option("--of", help=help_("sample_of"))] = "findings",
    method: Annotated[str, typer.Option("--method", help=help_("sample_method"))] = "random",
    strata: Annotated[str | None, typer.Option("--strata", help=help_("sample_strata"))] = None,
    size: Annotated[int | None, typer.Option("--size", min=1, help=help_("sample_size"))] = None,
    reason: Annotated[str, typer.Option("--reason", help=help_("sample_reason"))] = "",
    confidence: Annotated[float, typer.Option("--confidence", help=help_("sample_confidence"))] = 0.95,
    tolerable: Annotated[float, typer.Option("--tolerable", help=help_("sample_tolerable"))] = 0.05,
    expected: Annotated[float, typer.Option("--expected", help=help_("sample_expected"))] = 0.0,
    seed: Annotated[str | None, typer.Option("--seed", help=help_("sample_seed"))] = None,
    to: Annotated[Path | None, typer.Option("--to", help=help_("sample_to"))] = None,
    paper: Annotated[Path | None, typer.Option("--judge", help=help_("sample_judge"))] = None,
    rule: RuleFilter = None,
    run: Annotated[Path | None, typer.Option("--run", "--runs", help=help_("sample_run"))] = None,
    name: RunName = None,
    json_: Json = False,
) -> None:
    """See the catalogue."""
    with errors():
        if paper is not None:
            with runs.connect(runs.locate(run, name)) if run is not None else nullcontext() as con:
                told = sampling.judge(paper, con)
        elif to is None:
            raise UsageError("usage.no_target")
        else:
            # A seed nobody chose is as good, so long as it is told.
            with runs.connect(runs.locate(run or Path("runs"), name)) as con:
                chosen = summary.meant(con, given(rule=rule))
                plan = sampling.Plan(of, method, seed or str(secrets.randbelow(2**32)), size, reason, strata, confidence, tolerable, expected, chosen or None)
                drawn = sampling.draw(con, plan, language())
                sampling.write_paper(drawn, to, summary.run(con)["started_utc"].replace(microsecond=0))
            if json_:
                emit_json({"file": to.name, "of": of, "method": method, "seed": plan.seed, "population": drawn.population, "size": drawn.size, "allowed": drawn.allowed, "reason": drawn.reason})
            else:
                talk(t("talk.sampled", name=to.name, size=drawn.size, population=drawn.population, seed=plan.seed, reason=drawn.reason))
            return
    if json_:
        emit_json(told)
    else:
        _show_judged(told)
    raise typer.Exit({"accepted": ExitCode.CLEAN, "rejected": ExitCode.BREACHES, "open": ExitCode.UNDETERMINED}[told.verdict])


def _show_judged(told: sampling.Judged) -> None:
    keys = ("stratum", "population", "size", "examined", "deviations", "unclear", "rate", "upper")
    lines = [[f"{100 * getattr(one, k):.2f} %" if k in ("rate", "upper") else getattr(one, k) for k in keys] for one in (*told.strata, told)]
    emit_table([t("column.deviation_rate" if k == "rate" else f"column.{k}") for k in keys], lines)
    talk(t(f"sampling.{told.verdict}", upper=f"{100 * told.upper:.2f}", tolerable=f"{100 * told.tolerable:g}", confidence=f"{100 * told.confidence:g}", left=told.size - told.examined))
