"""A report laid out: which sections, in which order, which sentences and tables. No number is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from analyzer.explain import Explained
from analyzer.legible import visible
from analyzer.messages import keys, say, say_words
from analyzer.model import Outcome
from analyzer.report import charts
from analyzer.report.blocks import Blank, Block, Break, Chart, Document, Facts, Heading, Paragraph, Quote, Table, spans
from analyzer.report.gather import EXAMPLES, LEDGER, Report, RuleResult, Sheet
from analyzer.rules import SEVERITIES

# Bars of the chart of rules; the table under it has all.
_BARS = 15
# A middle dot is as wide as a Chinese character in a Chinese font.
_BETWEEN = " | "
# How well a text is known, the weakest first: those on which no finding should rest alone.
_WEAK = ("unverified", "reported", "house")


@dataclass(frozen=True)
class Say:
    """The catalogue in one language; nothing hidden in what fills a sentence."""

    lang: str

    def __call__(self, key: str, **params: object) -> str:
        """A sentence."""
        return visible(say(key, self.lang, **params))

    def words(self, listed: str | None) -> str:
        """Words joined by |; a dash for none."""
        return visible(say_words(listed, self.lang)) if listed else "–"


def lay_out(report: Report) -> Document:
    """The report as blocks."""
    t, run = Say(report.lang), report.run
    sections = [_scope, _population, _method, _reconciliation, _results, _limits, _findings]
    blocks: list[Block] = []
    for number, section in enumerate(sections, start=1):
        name, body = section(report, t)
        blocks += [Heading(f"{number}. {name}", 1), *body]
    for letter, annex in zip("ABCD", (_files, _rules_used, _index, _repeat), strict=True):
        name, body = annex(report, t)
        blocks += [Heading(t("report.annex", letter=letter, name=name), 1), *body]
    made = run["finished_utc"] or run["started_utc"]
    return Document(t.lang, t("report.title"), _subtitle(report, t), t("report.footer", run=run["run_id"], digest=run["data_digest"][:12]), t("report.contents"), made.replace(microsecond=0), tuple(blocks))


def _subtitle(report: Report, t: Say) -> str:
    return t("report.subtitle", run=report.run["run_id"], period=_period(report, t), findings=f"{report.population.findings:,}")


def _period(report: Report, t: Say) -> str:
    since, until = report.selection.since, report.selection.until
    if since is None and until is None:
        return t("report.period_all")
    return t("report.period_of", since=since or t("report.period_open"), until=until or t("report.period_open"))


# Values
def _named(name: str, t: Say) -> str:
    return next((t(key) for key in (f"column.{name}", f"page.field.{name}") if key in keys()), name)


def _word(value: object, t: Say) -> str:
    """A word of a closed list, or the value itself; a dash when unknown."""
    if value is None or value == "":
        return "–"
    return t(f"word.{value}") if f"word.{value}" in keys() else visible(value)


def _value(value: object) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return visible(value)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:.2%} – {high:.2%}"


def _table(name: str, columns: Sequence[str], widths: Sequence[int], rows: Sequence[Sequence[str]], t: Say, right: Sequence[int] = ()) -> Table:
    return Table(name, tuple(_named(column, t) for column in columns), tuple(widths), tuple(tuple(row) for row in rows), tuple(right))


# Sections
def _scope(report: Report, t: Say) -> tuple[str, list[Block]]:
    run, chosen = report.run, report.selection.filters
    filters = t("report.comma").join(f"{_named(name, t)} = {' / '.join(_word(v, t) if name in ('severity', 'strength', 'channel', 'stage', 'nature') else visible(v) for v in values)}" for name, values in sorted(chosen.items()))
    rows = [
        (t("report.run"), visible(run["run_id"])), (t("report.selection"), filters or t("report.everything")), (t("report.period_name"), _period(report, t)),
        (t("report.program"), visible(run["program"])), (t("report.started"), _value(run["started_utc"].replace(microsecond=0))), (t("report.finished"), _value(run["finished_utc"] and run["finished_utc"].replace(microsecond=0))),
        (t("report.settings"), t("report.settings_of", zone=run["zone"], jurisdiction=run["jurisdiction"], mapping=run["mapping"])), (t("report.command"), visible(run["command"])),
        (t("report.data_digest"), visible(run["data_digest"])), (t("report.rules_digest"), visible(run["rules_digest"])),
    ]  # fmt: skip
    return t("report.scope"), [Facts(tuple(rows)), Paragraph(t("report.scope_rules", applying=len(report.rules), elsewhere=len(report.rules_elsewhere))), Paragraph(t("report.personal"), "note")]


def _population(report: Report, t: Say) -> tuple[str, list[Block]]:
    p = report.population
    rows = [
        (t("report.contacts"), t("report.of_run", some=f"{p.contacts:,}", all=f"{p.contacts_of_run:,}")),
        (t("report.breaching"), t("report.of_contacts", some=f"{p.breaching_contacts:,}", all=f"{p.contacts:,}", share=_share(p.breaching_contacts / p.contacts))),
        (t("report.findings_number"), t("report.of_run", some=f"{p.findings:,}", all=f"{p.findings_of_run:,}")),
        *([(t("report.near_misses"), t("report.near_misses_of", findings=f"{p.near_misses:,}"))] if p.near_misses else []),
        *((t(f"report.{name}"), f"{getattr(p, name):,}") for name in ("cases", "debtors", "agents")),
        (t("report.span"), f"{_value(p.first_local)} – {_value(p.last_local)}"),
        (t("report.undated"), t("report.undated_of", contacts=f"{p.undated_contacts:,}", findings=f"{p.undated_findings:,}")),
    ]  # fmt: skip
    return t("report.population"), [Facts(tuple(rows))]


def _method(report: Report, t: Say) -> tuple[str, list[Block]]:
    said = ("whole", "outcomes", "rate", "episode", "belongs", "in_force", "words", "unseen")
    return t("report.method"), [Paragraph(t(f"report.method_{name}")) for name in said]


def _reconciliation(report: Report, t: Say) -> tuple[str, list[Block]]:
    columns = ("file", "table_name", "rows_read", "loaded", "rejected", "duplicate", "adds_up")
    done = report.completeness
    rows = [
        [visible(f["file"]), _word(f"table_{f['table_name']}", t), *(f"{f[k]:,}" for k in columns[2:6]), t("page.yes" if f["rows_read"] == f["loaded"] + f["rejected"] + f["duplicate"] else "page.no")]
        for f in report.files
    ]
    rows.append([t("report.total"), "", *(f"{done[k]:,}" for k in columns[2:6]), t("page.yes" if done["rows_read"] == done["loaded"] + done["rejected"] + done["duplicate"] else "page.no")])
    rejects = [[visible(r["file"]), t(r["reason"]), visible(_named(r["detail"], t)) if r["detail"] else "–", f"{r['rows']:,}"] for r in report.rejected]
    blocks: list[Block] = [
        Paragraph(t("talk.completeness", **{k: f"{v:,}" for k, v in done.items()})), Paragraph(t("report.whole_run"), "note"),
        _table("files", columns, (30, 16, 10, 10, 10, 10, 8), rows, t, (2, 3, 4, 5)),
    ]  # fmt: skip
    if rejects:
        blocks += [Paragraph(t("report.rejects"), "head"), _table("rejects", ("file", "reason", "detail", "rows"), (30, 34, 26, 10), rejects, t, (3,))]
    return t("report.reconciliation"), blocks


def _results(report: Report, t: Say) -> tuple[str, list[Block]]:
    columns = ("rule", "findings", "breach", "judged", "rate", "interval", "undetermined", "not_in_force", "not_evaluated")
    rows = [
        [
            f"{visible(r.title)}\n{_BETWEEN.join([r.rule, *(t(f'word.{w}') for w in (r.severity, r.strength, r.known))])}", f"{r.findings:,}", f"{r.counts[Outcome.BREACH]:,}", f"{r.judged:,}", _share(r.rate), _interval(r.low, r.high),
            *(f"{r.counts[o]:,}" for o in (Outcome.UNDETERMINED, Outcome.NOT_IN_FORCE, Outcome.NOT_EVALUATED)),
        ]
        for r in report.rules
    ]  # fmt: skip
    blocks: list[Block] = [Paragraph(t("page.by_rule_help"))]
    if report.population.findings:
        blocks += [_by_severity(report, t), _by_rate(report, t)]
    if len(report.weeks) > 1:
        blocks.append(_by_week(report, t))
    blocks.append(_table("rules", columns, (30, 7, 7, 7, 8, 14, 11, 7, 9), rows, t, tuple(range(1, 9))))
    if report.rules_elsewhere:
        blocks.append(Paragraph(t("page.rules_elsewhere", rules=len(report.rules_elsewhere)), "note"))
    return t("report.results"), blocks


def _chart(caption: str, rows: Sequence[charts.Bar]) -> Chart:
    return Chart(caption, charts.bars(rows), f"{caption}: " + "; ".join(f"{row.label} {row.figure}" for row in rows), tuple((row.label, row.figure) for row in rows))


def _by_severity(report: Report, t: Say) -> Chart:
    rows = [charts.Bar(t(f"word.{s}"), n, f"{n:,}", charts.COLOURS[s]) for s, n in report.severities.items()]
    return _chart(t("report.chart_severity", findings=f"{report.population.findings:,}"), rows)


def _by_rate(report: Report, t: Say) -> Chart:
    broken = [r for r in report.rules if r.counts[Outcome.BREACH] and r.rate is not None]
    shown = sorted(broken, key=lambda r: (-r.counts[Outcome.BREACH], r.rule))[:_BARS]
    rows = [charts.Bar(visible(r.title), r.rate or 0.0, f"{_share(r.rate)} ({r.counts[Outcome.BREACH]:,} / {r.judged:,})", charts.COLOURS[r.severity], r.low, r.high) for r in shown]
    return _chart(t("report.chart_rules", shown=len(shown), total=len(broken)), rows)


def _by_week(report: Report, t: Say) -> Chart:
    rows = [charts.Bar(_value(w["since"]), w["rate"], f"{_share(w['rate'])} ({w['breaching_contacts']:,} / {w['contacts']:,})", low=w["low"], high=w["high"]) for w in report.weeks]
    return _chart(t("report.chart_weeks"), rows)


def _limits(report: Report, t: Say) -> tuple[str, list[Block]]:
    blocks: list[Block] = []

    def part(key: str, columns: Sequence[str], widths: Sequence[int], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
        blocks.append(Heading(t(f"report.{key}"), 2))
        blocks.append(Paragraph(t(f"report.{key}_help") if rows else t(f"report.{key}_none")))
        if rows:
            blocks.append(_table(key, columns, widths, rows, t, right))

    failed = [[_titled(r), f"{r.counts[Outcome.NOT_EVALUATED]:,}", _value(r.reason)] for r in report.rules if r.counts[Outcome.NOT_EVALUATED]]
    part("not_evaluated", ("rule", "contacts", "reason"), (60, 15, 25), failed, (1,))
    open_ = [[_titled(r), t.words(fields) if fields else t("page.todo_review"), f"{contacts:,}"] for r in report.rules for fields, contacts in r.missing]
    part("undetermined", ("rule", "missing", "contacts"), (52, 34, 14), open_, (2,))
    weak = [
        [t(f"word.{r.known}"), _titled(r), "\n".join(map(visible, r.citations)), f"{r.findings:,}"]
        for r in sorted(report.rules, key=lambda r: (_WEAK.index(r.known) if r.known in _WEAK else len(_WEAK), r.rule)) if r.known in _WEAK
    ]  # fmt: skip
    part("weak_sources", ("known", "rule", "clause", "findings"), (14, 38, 36, 12), weak, (3,))
    blocks += [Heading(t("report.other_limits"), 2), *(Paragraph(t(f"report.limit_{name}")) for name in ("log", "words", "person", "fonts"))]
    return t("report.limits"), blocks


def _titled(result: RuleResult) -> str:
    return f"{visible(result.title)}\n{result.rule}"


def _findings(report: Report, t: Say) -> tuple[str, list[Block]]:
    if not report.sheets:
        return t("report.findings"), [Paragraph(t("report.no_finding"))]
    how = "report.grouped" if report.grouped else "report.each"
    blocks: list[Block] = [Paragraph(t(how, findings=f"{report.population.findings:,}", most=f"{report.sheets_most:,}", sheets=len(report.sheets), examples=EXAMPLES))]
    for number, sheet in enumerate(report.sheets, start=1):
        blocks += [Break()] if number > 1 else []
        blocks += _sheet(report, number, sheet, t)
    return t("report.findings"), blocks


def _sheet(report: Report, number: int, sheet: Sheet, t: Say) -> list[Block]:
    r = sheet.result
    blocks: list[Block] = [Heading(t("report.sheet", number=number, title=r.title), 2)]
    name = r.rule if report.grouped else f"{r.rule}{_BETWEEN}{sheet.findings[0]['finding_id']}"
    blocks.append(Paragraph(_BETWEEN.join([name, *(t("page.named", name=_named(k, t), value=t(f"word.{getattr(r, k)}")) for k in ("severity", "strength", "effect", "known"))]), "note"))
    blocks += [Heading(t("report.criteria"), 3), Paragraph(visible(sheet.why)), *(_clause(cite, t) for cite in sheet.told[0].citations)]
    blocks.append(Heading(t("report.condition"), 3))
    blocks += _group(report, sheet, t) if report.grouped else _facts(report, sheet.told[0], t)
    for told in sheet.told:
        if report.grouped:
            blocks.append(Paragraph(t("report.example", finding=told.finding["finding_id"]), "head"))
        blocks += _ledger(told, t)
    blocks += [Paragraph(t("report.not_covered", text=sheet.not_covered), "note"), Heading(t("report.cause"), 3), Blank(t("report.cause_blank"))]
    effect = t(f"report.effect_{r.effect}")
    blocks += [
        Heading(t("report.consequence"), 3),
        Paragraph(t("report.affected", **{k: f"{sheet.affected[k]:,}" for k in ("breaches", "debtors", "cases", "agents", "third_parties")}, strength=t(f"word.{r.strength}"), severity=t(f"word.{r.severity}"), effect=effect)),
        Blank(t("report.consequence_blank")), Heading(t("report.action"), 3), Paragraph(visible(sheet.remedy)), Blank(t("report.action_blank")),
    ]  # fmt: skip
    return blocks


def _clause(cite: Mapping[str, Any], t: Say) -> Paragraph:
    said = [cite["instrument"][t.lang], cite["clause"][t.lang], t(f"word.{cite['known']}"), t("page.consulted", day=cite["consulted"])]
    note = f"\n{cite['note'][t.lang]}" if cite.get("note") else ""
    return Paragraph(t("page.named", name=t("explain.clause"), value=_BETWEEN.join(said) + note))


def _verdict(report: Report, finding: str, t: Say) -> str:
    """Where a finding stands, and who said so when and why."""
    one = report.standings.get(finding)
    if one is None:
        return t("word.open")
    told = [t(f"word.{one.state}"), *(t(f"word.{mark}") for mark in one.marks())]
    for entry in (one.entry, one.second):
        told += [part for part in (entry.actor, f"{str(entry.at_utc)[:16].replace('T', ' ')} UTC", entry.comment) if part] if entry else []
    return visible(_BETWEEN.join(told))


def _facts(report: Report, told: Explained, t: Say) -> list[Block]:
    f = told.finding
    said = t("report.happened", measured=t.words(f["measured"]), permitted=f["permitted"] or "–", breaches=f["breaches"], evidence=f["evidence"])
    names = ("finding_id", "case_id", "debtor_id", "person_id", "first_local", "agent_id", "team", "vendor", "channel", "account_class", "stage")
    reviewed = ((t("page.review"), _verdict(report, f["finding_id"], t)),) if report.standings else ()
    return [Paragraph(said), Facts((*((_named(name, t), _word(f[name], t) if name in ("channel", "stage") else _value(f[name])) for name in names if f[name] is not None), *reviewed))]


def _group(report: Report, sheet: Sheet, t: Say) -> list[Block]:
    columns: tuple[str, ...] = ("finding_id", "case_id", "agent_id", "vendor", "first_local", "breaches", "measured", "permitted")
    rows = [[*(_value(f[k]) for k in columns[:6]), t.words(f["measured"]), _value(f["permitted"])] for f in sheet.findings]
    widths: tuple[int, ...] = (16, 12, 9, 12, 15, 8, 14, 14)
    if report.standings:
        columns, widths = (*columns, "state"), (*widths, 14)
        rows = [[*row, _verdict(report, f["finding_id"], t)] for row, f in zip(rows, sheet.findings, strict=True)]
    shown = t("report.group_all", total=f"{sheet.total:,}") if len(rows) == sheet.total else t("report.group_first", shown=f"{len(rows):,}", total=f"{sheet.total:,}")
    more = [Paragraph(t("report.group_ledgers", shown=len(sheet.told), total=f"{sheet.total:,}"), "note")] if len(sheet.told) < sheet.total else []
    return [Paragraph(shown), _table("group", columns, widths, rows, t, (5,)), *more]


def _ledger(told: Explained, t: Say) -> list[Block]:
    """Who was contacted when and how, each text under it with its marked words."""
    columns = ("ordinal", "local_at", "contact_id", "role", "channel", "outcome", "relation", "agent_id", "measured", "file")
    entries = told.ledger[:LEDGER]
    rows = []
    for e in entries:
        place = t("page.row", file=e["file"], row=e["row_no"]) if e["file"] else "–"
        when = f"{_value(e['local_at'])}\n{visible(e['zone'])}" if e["zone"] else _value(e["local_at"])
        how = " ".join(_word(e[k], t) for k in ("channel", "direction") if e[k])
        rows.append([
            str(e["ordinal"]), when, _value(e["contact_id"]), _word(e["role"], t), how or "–", _word(e["outcome"], t), _word(e["relation"], t), _value(e["agent_id"]),
            t.words(e["measured"]), place,
        ])  # fmt: skip
    blocks: list[Block] = [_table("ledger", columns, (4, 16, 11, 9, 11, 12, 10, 10, 11, 15), rows, t, (0,))]
    if len(entries) < len(told.ledger):
        blocks.append(Paragraph(t("report.ledger_first", shown=len(entries), total=f"{len(told.ledger):,}"), "note"))
    for e in entries:
        if e["text"]:
            blocks.append(Quote(t("report.text_of", ordinal=e["ordinal"], contact=e["contact_id"]), spans(e["text"], e["marks"])))
    return blocks


# Annexes
def _files(report: Report, t: Say) -> tuple[str, list[Block]]:
    rows = [[visible(f["file"]), f"{f['bytes']:,}", _value(f["encoding"]), visible(f["zone"]), f["sha256"]] for f in report.files]
    return t("report.annex_files"), [_table("digests", ("file", "bytes", "encoding", "zone", "sha256"), (24, 10, 12, 16, 38), rows, t, (1,))]


def _rules_used(report: Report, t: Say) -> tuple[str, list[Block]]:
    rows = [[r.rule, visible(r.title), t(f"word.{r.known}"), r.digest] for r in report.rules]
    return t("report.annex_rules"), [_table("used", ("rule", "title", "known", "sha256"), (26, 30, 10, 34), rows, t)]


def _index(report: Report, t: Say) -> tuple[str, list[Block]]:
    per = [f"{t(f'word.{s}')} {report.severities[s]:,}" for s in SEVERITIES]
    if report.grouped:
        return t("report.annex_findings"), [Paragraph(_BETWEEN.join(per)), Paragraph(t("report.listed_there"))]
    listed = [(number, sheet, f) for number, sheet in enumerate(report.sheets, start=1) for f in sheet.findings]
    rows = [[f["finding_id"], str(number), sheet.result.rule, t(f"word.{f['severity']}"), _value(f["case_id"]), _value(f["agent_id"]), _value(f["first_local"])] for number, sheet, f in listed]
    columns: tuple[str, ...] = ("finding_id", "sheet", "rule", "severity", "case_id", "agent_id", "first_local")
    widths: tuple[int, ...] = (18, 7, 28, 9, 13, 9, 16)
    if report.standings:
        columns, widths = (*columns, "state"), (*widths, 12)
        rows = [[*row, t(f"word.{report.standings[f['finding_id']].state}")] for row, (_, _, f) in zip(rows, listed, strict=True)]
    blocks: list[Block] = [Paragraph(f"{t('report.group_all', total=f'{len(rows):,}')} {_BETWEEN.join(per)}")]
    if rows:
        blocks.append(_table("index", columns, widths, rows, t, (1,)))
    return t("report.annex_findings"), blocks


def _repeat(report: Report, t: Say) -> tuple[str, list[Block]]:
    return t("report.annex_repeat"), [Paragraph(t(f"report.repeat_{name}")) for name in ("finding", "pack", "digests")]
