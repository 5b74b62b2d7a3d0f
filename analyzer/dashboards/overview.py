"""Overview: the key figures, each with its denominator and what could not be judged, and each a way to its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import altair as alt
import streamlit as st

from analyzer import compare, review, summary
from analyzer.dashboards import PAGES
from analyzer.dashboards._blocks import (
    BLUE,
    COLOURS,
    SEVERITIES,
    STRENGTHS,
    Row,
    ask,
    ask_once,
    ask_run,
    completeness_line,
    draw_to_pick,
    field,
    lang,
    legible,
    link,
    muted,
    named,
    of,
    open_contacts,
    open_findings,
    percent,
    picked_point,
    picked_row,
    plain,
    previous_run,
    run_path,
    scale_colour,
    shown,
    t,
    table,
    undecided,
    whole_run,
)

DIMENSIONS = ("vendor", "team", "agent", "channel", "class", "stage")
BARS = 30
RESOLVED = ("title", "why", "case_id", "agent_id", "vendor", "first_local", "breaches", "finding_id")
LISTED = 200
BREACHES = {"nature": ["breach"]}


def figure(place: Any, key: str, value: str, open_rows: Callable[[], None] | None = None, note: str = "") -> None:
    """A figure, and under it the way to its rows."""
    with place:
        st.metric(t(key), value, border=True)
        with st.container(horizontal=True, vertical_alignment="center"):
            if open_rows and st.button(link(t("page.rows")), key=f"open_{key}", type="tertiary"):
                open_rows()
            if note:
                st.caption(note, width="content")


def share(hits: int, whole: int) -> tuple[str, str]:
    """A count of a whole, and their ratio with its interval."""
    low, high = summary.interval(hits, whole)
    return f"{hits:,} / {whole:,}", t("page.overview.interval", share=percent(hits / whole), low=percent(low), high=percent(high)) if whole else ""


def metrics(totals: Row, wanting: dict[str, dict[object, int]] | None) -> None:
    first, last = totals["first_local"], totals["last_local"]
    if first is not None:
        st.caption(t("page.span", first=first.date(), last=last.date()))
    contacts = totals["contacts"]
    one, two, three = st.columns(3)
    figure(one, "page.contacts", f"{contacts:,}", lambda: open_contacts({}, ""))
    value, note = share(totals["breaching_contacts"], contacts)
    figure(two, "page.breaching_of", value, lambda: open_contacts({"breaching": ["1"]}, t("page.contacts.breaching")), note)
    figure(three, "page.findings_count", f"{totals['findings']:,}", lambda: open_findings(BREACHES))
    one, two, three = st.columns(3)
    if wanting is not None:
        count = wanting["whole"].get(None, 0)
        value, note = share(count, contacts)
        figure(one, "page.overview.undetermined", value, (lambda: open_contacts({"undetermined": ["1"]}, t("page.contacts.wanting"))) if count else None, note)
    else:
        figure(one, "page.overview.undetermined", t("page.overview.not_counted"))
    figure(two, "page.rules_not_evaluated", f"{totals['rules_not_evaluated']} / {totals['rules']}")
    figure(three, "page.rules_undetermined", f"{totals['rules_undetermined']} / {totals['rules']}")
    judgements = totals["judged"] + totals["undetermined"]
    st.caption(t("page.overview.judgements", undetermined=f"{totals['undetermined']:,}", judgements=f"{judgements:,}", undated=f"{totals['undated']:,}"))
    if totals["near_misses"]:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(t("page.overview.near", near=f"{totals['near_misses']:,}"), width="content")
            if st.button(link(t("page.early_warning")), key="open_near", type="tertiary"):
                st.switch_page(PAGES / "early_warning.py")


@st.cache_data(max_entries=20, show_spinner=False)
def difference(old: str, old_changed: int, new: str, new_changed: int) -> dict[str, list[Row]]:
    """Findings by state since an earlier run, near misses left out."""
    told = compare.diff(Path(old), Path(new))
    near = {r["rule"] for path in (old, new) for r in ask_run(Path(path), summary.by_rule) if r["kind"] == summary.NEAR_MISS}
    found: dict[str, list[Row]] = {state: [] for state in told.counts}
    for row in told.findings:
        if row["rule"] not in near:
            found[row["state"]].append(row)
    return found


def since_last() -> None:
    st.subheader(t("page.overview.since_last"))
    if not whole_run():
        return
    before = previous_run()
    if before is None:
        st.caption(t("page.overview.first_run"))
        return
    now = run_path()
    found = difference(str(before), before.stat().st_mtime_ns, str(now), now.stat().st_mtime_ns)
    label = t("page.overview.since", run=before.stem)
    st.caption(plain(label))
    for place, state in zip(st.columns(3), ("new", "open", "resolved"), strict=True):
        ids = [r["finding_id"] for r in found[state]]
        # What is resolved is no finding of this run: its rows are shown here.
        rows = (lambda i=ids, s=state: open_findings({"finding": i}, f"{t(f'page.overview.{s}')} · {label}")) if ids and state != "resolved" else None
        figure(place, f"page.overview.{state}", f"{len(ids):,}", rows)
    if found["resolved"]:
        with st.expander(t("page.overview.resolved_rows", shown=min(LISTED, len(found["resolved"])), total=len(found["resolved"]))):
            titles = {r["rule"]: r[f"title_{lang()}"] for r in ask_run(before, summary.by_rule)}
            table([r | {"title": titles[r["rule"]], "why": t(f"word.{r['why']}")} for r in found["resolved"][:LISTED]], RESOLVED, t("page.overview.resolved"))


def weeks(first: date, last: date) -> Iterator[str]:
    while first <= last:
        yield first.isoformat()
        first += timedelta(days=7)


def week_filters(since: str) -> dict[str, list[str]]:
    return BREACHES | {"since": [since], "until": [(date.fromisoformat(since) + timedelta(days=6)).isoformat()]}


def trend(wanting: dict[str, dict[object, int]] | None) -> None:
    st.subheader(t("page.trend"))
    words = {name: t(f"column.{name}") for name in summary.SPLITS}
    by = st.segmented_control(t("page.overview.split"), summary.SPLITS, format_func=words.__getitem__, default=summary.SPLITS[0], key="overview_split", persist_state="session") or summary.SPLITS[0]
    rows = ask(summary.trend, "week", by)
    if not rows:
        st.caption(t("page.overview.no_dates"))
        return
    order = list(SEVERITIES if by == "severity" else STRENGTHS)
    data = [
        {"since": r["since"].isoformat(), by: shown(by, r[by]), "word": r[by], "rank": order.index(r[by]), **{k: r[k] for k in ("findings", "contacts", "breaching_contacts")}}
        for r in rows if r[by]
    ]  # fmt: skip
    point = alt.selection_point(name="bar", fields=["since", "word"])
    chart = alt.Chart(alt.InlineData(values=data), height=260).mark_bar().encode(
        x=alt.X("since:O", title=t("column.since"), scale=alt.Scale(domain=list(weeks(rows[0]["since"], rows[-1]["since"]))), axis=alt.Axis(labelOverlap=True, labelAngle=0)),
        y=alt.Y("findings:Q", title=t("column.findings"), axis=alt.Axis(tickMinStep=1)),
        color=scale_colour(by), order=alt.Order("rank:Q", sort="descending"),
        tooltip=[alt.Tooltip(f"{k}:{'N' if k in ('since', by) else 'Q'}", title=field(k)) for k in ("since", by, "findings", "breaching_contacts", "contacts")],
    ).add_params(point)  # fmt: skip
    pick = picked_point(draw_to_pick(chart, t("page.trend"), f"overview_trend_{by}"), "bar")
    if pick:
        open_findings(week_filters(pick["since"]) | {by: [pick["word"]]})
    by_week = {r["since"]: r for r in rows}
    told = [
        {
            "since": day, "findings": sum(r["findings"] for r in rows if r["since"] == day), "breaching_of": of(r["breaching_contacts"], r["contacts"]),
            "undetermined": "" if wanting is None else f"{wanting['week'].get(day, 0):,}",
        }
        for day, r in by_week.items()
    ]  # fmt: skip
    with st.expander(t("page.overview.weeks")):
        week = picked_row(table(told, ("since", "findings", "breaching_of", *(("undetermined",) if wanting else ())), t("page.overview.weeks"), on_select="rerun", selection_mode="single-row", key="overview_weeks"), told)
    if week:
        open_findings(week_filters(week["since"].isoformat()))


def by_rule(rows: list[Row], titles: dict[str, str]) -> None:
    st.subheader(t("page.by_rule"))
    rows = [r | {"title": titles[r["rule"]]} for r in rows if r["kind"] != summary.NEAR_MISS]
    names = ["title", "severity", "strength", "known", "findings", "breach", "judged", "rate", "undetermined", "not_evaluated", "rule"]
    if any(r["reason"] for r in rows):
        names.append("reason")
    picked = picked_row(table(rows, names, t("page.by_rule"), on_select="rerun", selection_mode="single-row", key="overview_rules"), rows)
    st.caption(t("page.by_rule_help"))
    if picked and picked["findings"]:
        open_findings(BREACHES | {"rule": [picked["rule"]]})
    if picked:
        st.session_state["rulebook_rule"] = picked["rule"]
        st.switch_page(PAGES / "rulebook.py")


def by_dimension(wanted: Any) -> None:
    st.subheader(t("page.by_dimension"))
    words = {d: field(d) for d in DIMENSIONS}
    name = st.selectbox(t("page.dimension"), DIMENSIONS, format_func=words.__getitem__, key="overview_dimension", width=260, persist_state="session")
    rows = ask(summary.by_dimension, name, wanted)
    title, counts = t("page.dimension_share"), ("breaching_contacts", "contacts", *(() if wanted is None else ("undetermined",)), "findings")
    data = [
        {"name": named(name, r["value"]), "value": r["value"] or summary.NO_VALUE, "rate": r["rate"], "label": f"{r['breaching_contacts']:,} / {r['contacts']:,}", **{k: r[k] for k in counts}}
        for r in rows[:BARS]
    ]  # fmt: skip
    base = alt.Chart(alt.InlineData(values=data), height=90 + 26 * len(data)).encode(
        x=alt.X("rate:Q", title=title, axis=alt.Axis(format="%", tickCount=6)),
        y=alt.Y("name:N", title=None, sort="-x", axis=alt.Axis(labelLimit=220, labelOverlap=False)),
        tooltip=[
            alt.Tooltip("name:N", title=field(name)),
            alt.Tooltip("rate:Q", title=title, format=".2%"),
            *(alt.Tooltip(f"{k}:Q", title=field(k), format=",") for k in counts),
        ],
    )
    bars = base.mark_bar(color=BLUE).add_params(alt.selection_point(name="bar", fields=["value"]))
    pick = picked_point(draw_to_pick(bars + base.mark_text(align="left", dx=6, color=muted()).encode(text="label:N"), t("page.by_dimension"), f"overview_{name}"), "bar")
    if len(rows) > BARS:
        st.caption(t("page.dimension_first", shown=BARS, total=len(rows)))
    lines = [r | {name: named(name, r["value"])} for r in rows]
    columns = [name, *counts, "rate"]
    row = picked_row(table(lines, columns, t("page.dimension_all"), on_select="rerun", selection_mode="single-row", key=f"overview_{name}_table", height=320 if len(lines) > 8 else "auto"), rows)
    st.caption(t("page.overview.pick"))
    if "undetermined" in counts:
        st.caption(t("page.overview.undetermined_here"))
    wanted = pick["value"] if pick else (row["value"] or summary.NO_VALUE) if row else None
    if wanted is not None:
        open_findings(BREACHES | {name: [wanted]})


def backlog(findings: int) -> None:
    """Findings that nobody has decided yet, by age. A verdict that rule or evidence have outrun decides nothing."""
    st.subheader(t("page.overview.backlog"))
    log = review.Reviews(run_path())
    standings = log.standings(ask(summary.digests, list({e.finding_id for e in log.log()})))
    decided = [finding for finding, s in standings.items() if s.decided]
    today = datetime.now(UTC).date()
    rows = ask(summary.backlog, decided, today)
    waiting = sum(r["findings"] for r in rows)
    left, right = st.columns(2)
    def open_waiting() -> None:
        open_findings(BREACHES | {summary.EXCEPT: decided}, t("page.findings.waiting"))

    figure(left, "page.overview.waiting", f"{waiting:,} / {findings:,}", open_waiting if waiting else None, percent(waiting / findings) if findings else "")
    known = [r["oldest"] for r in rows if r["oldest"] is not None]
    figure(right, "page.overview.oldest", t("page.overview.days", days=f"{max(known):,}") if known else t("page.none"))
    marks = Counter(mark for one in standings.values() for mark in (one.state, *one.marks(today)))
    told = [t("page.named", name=t(f"word.{mark}"), value=f"{marks[mark]:,}") for mark in ("escalated", *review.MARKS) if marks[mark]]
    if told:
        st.caption(t("page.comma").join(told))
    if not rows:
        return
    ages = {age: t("page.overview.age_to", days=age) for age in summary.AGES} | {None: t("page.overview.age_over", days=summary.AGES[-1]), -1: t("page.overview.age_unknown")}
    data = [{"age": ages[r["age"]], "severity": shown("severity", r["severity"]), "rank": SEVERITIES.index(r["severity"]), "findings": r["findings"]} for r in rows]
    chart = alt.Chart(alt.InlineData(values=data), height=190).mark_bar().encode(
        x=alt.X("findings:Q", title=t("column.findings"), axis=alt.Axis(tickMinStep=1)), y=alt.Y("age:N", title=None, sort=list(ages.values()), axis=alt.Axis(labelLimit=220)),
        color=alt.Color("severity:N", title=t("column.severity"), scale=alt.Scale(domain=[t(f"word.{w}") for w in SEVERITIES], range=list(COLOURS)), legend=None), order=alt.Order("rank:Q"),
        tooltip=[alt.Tooltip("age:N", title=t("page.overview.age")), alt.Tooltip("severity:N", title=t("column.severity")), alt.Tooltip("findings:Q", title=t("column.findings"))],
    )  # fmt: skip
    st.altair_chart(legible(chart), width="stretch", alt=t("page.overview.backlog"))
    st.caption(t("page.overview.backlog_help", day=today.isoformat()))


def to_do(titles: dict[str, str]) -> None:
    st.subheader(t("page.todo"))
    rows = ask(summary.undetermined)
    if not rows:
        st.write(t("page.todo_none"))
        return
    comma = t("page.comma")
    lines = [
        r | {"title": titles[r["rule"]], "fields": r["missing"] or "", "missing": comma.join(dict.fromkeys(field(m) for m in r["missing"].split("|"))) if r["missing"] else t("page.todo_review")}
        for r in rows
    ]
    picked = picked_row(table(lines, ["title", "missing", "contacts", "rule"], t("page.todo"), on_select="rerun", selection_mode="single-row", key="overview_todo"), lines)
    st.caption(t("page.todo_help"))
    if picked:
        open_contacts({"rule": [picked["rule"]], "outcome": ["undetermined"], "missing": [picked["fields"]]}, t("page.contacts.undetermined", title=picked["title"]))


def main() -> None:
    st.title(t("page.overview"))
    totals = ask_once(summary.totals)
    if not totals["contacts"]:
        st.info(t("page.empty_run"))
        completeness_line()
        return
    rules = ask_once(summary.by_rule)
    titles = {r["rule"]: r[f"title_{lang()}"] for r in rules}
    wanted = undecided(totals["contacts"])
    wanting = None if wanted is None else ask(summary.undetermined_contacts, wanted)
    metrics(totals, wanting)
    since_last()
    trend(wanting)
    by_dimension(wanted)
    by_rule(summary.applying(rules), titles)
    st.caption(t("page.rules_elsewhere", rules=len(rules) - len(summary.applying(rules))))
    backlog(totals["findings"])
    to_do(titles)


main()
