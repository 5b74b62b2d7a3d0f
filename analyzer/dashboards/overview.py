"""Overview: the key figures, each with its denominator, and what could not be judged."""

from __future__ import annotations

from datetime import timedelta

import altair as alt
import streamlit as st

from analyzer import summary
from analyzer.dashboards._blocks import SEVERITIES, Row, ask, draw, field, lang, named, severity_colour, shown, t, table

DIMENSIONS = ("vendor", "team", "agent", "channel", "class", "stage")
BARS = 30


def metrics(totals: Row) -> None:
    first, last = totals["first_local"], totals["last_local"]
    if first is not None:
        st.caption(t("page.span", first=first.date(), last=last.date()))
    figures = {
        "page.contacts": f"{totals['contacts']:,}",
        "page.breaching_of": f"{totals['breaching_contacts']:,} / {totals['contacts']:,}",
        "page.findings_count": f"{totals['findings']:,}",
        "page.rules_not_evaluated": f"{totals['rules_not_evaluated']} / {totals['rules']}",
        "page.rules_undetermined": f"{totals['rules_undetermined']} / {totals['rules']}",
    }
    for place, (key, figure) in zip([*st.columns(3), *st.columns(2)], figures.items(), strict=True):
        place.metric(t(key), figure, border=True)


def trend() -> None:
    st.subheader(t("page.trend"))
    rows = ask(summary.trend)
    if not rows:
        return
    day, weeks = rows[0]["since"], []
    while day <= rows[-1]["since"]:
        weeks.append(day.isoformat())
        day += timedelta(days=7)
    data = [
        {"since": r["since"].isoformat(), "severity": shown("severity", r["severity"]), "rank": SEVERITIES.index(r["severity"]), **{k: r[k] for k in ("findings", "contacts")}}
        for r in rows
        if r["severity"]
    ]
    chart = alt.Chart(alt.InlineData(values=data), height=260).mark_bar().encode(
        x=alt.X("since:O", title=t("column.since"), scale=alt.Scale(domain=weeks), axis=alt.Axis(labelOverlap=True, labelAngle=0)),
        y=alt.Y("findings:Q", title=t("column.findings"), axis=alt.Axis(tickMinStep=1)),
        color=severity_colour(),
        order=alt.Order("rank:Q", sort="descending"),
        tooltip=[alt.Tooltip(f"{k}:{'Q' if k in ('findings', 'contacts') else 'N'}", title=field(k)) for k in ("since", "severity", "findings", "contacts")],
    )  # fmt: skip
    draw(chart, t("page.trend"))


def by_rule(rows: list[Row], titles: dict[str, str]) -> None:
    st.subheader(t("page.by_rule"))
    rows = [r | {"title": titles[r["rule"]]} for r in rows]
    names = ["title", "severity", "strength", "known", "findings", "breach", "judged", "rate", "undetermined", "not_evaluated", "rule"]
    if any(r["reason"] for r in rows):
        names.append("reason")
    table(rows, names, t("page.by_rule"))
    st.caption(t("page.by_rule_help"))


def by_dimension() -> None:
    st.subheader(t("page.by_dimension"))
    words = {d: field(d) for d in DIMENSIONS}
    name = st.selectbox(t("page.dimension"), DIMENSIONS, format_func=words.__getitem__, key="overview_dimension", width=260)
    rows = ask(summary.by_dimension, name)
    share, counts = t("page.dimension_share"), ("breaching_contacts", "contacts", "findings")
    data = [
        {"value": named(name, r["value"]), "rate": r["rate"], "label": f"{r['breaching_contacts']:,} / {r['contacts']:,}", **{k: r[k] for k in counts}}
        for r in rows[:BARS]
    ]
    base = alt.Chart(alt.InlineData(values=data), height=90 + 26 * len(data)).encode(
        x=alt.X("rate:Q", title=share, axis=alt.Axis(format="%", tickCount=6)),
        y=alt.Y("value:N", title=None, sort="-x", axis=alt.Axis(labelLimit=220, labelOverlap=False)),
        tooltip=[
            alt.Tooltip("value:N", title=field(name)),
            alt.Tooltip("rate:Q", title=share, format=".2%"),
            *(alt.Tooltip(f"{k}:Q", title=field(k), format=",") for k in counts),
        ],
    )
    draw(base.mark_bar(color="#1f4e79") + base.mark_text(align="left", dx=6, color="#7a8793").encode(text="label:N"), t("page.by_dimension"))
    if len(rows) > BARS:
        st.caption(t("page.dimension_first", shown=BARS, total=len(rows)))
    with st.expander(t("page.dimension_all")):
        table([r | {name: named(name, r["value"])} for r in rows], [name, *counts, "rate"], t("page.dimension_all"))


def hours() -> None:
    st.subheader(t("page.hours"))
    days = [t(f"page.weekday.{n}") for n in range(1, 8)]
    data = [r | {"weekday": days[r["weekday"] - 1], "figure": f"{r['outside']:,}" if r["outside"] else ""} for r in ask(summary.hour_by_weekday)]
    base = alt.Chart(alt.InlineData(values=data), height=260).encode(
        x=alt.X("hour:O", title=t("column.hour"), scale=alt.Scale(domain=list(range(24))), axis=alt.Axis(labelAngle=0)),
        y=alt.Y("weekday:O", title=None, scale=alt.Scale(domain=days)),
        tooltip=[
            alt.Tooltip("weekday:N", title=field("weekday")),
            alt.Tooltip("hour:O", title=field("hour")),
            alt.Tooltip("contacts:Q", title=field("contacts"), format=","),
            alt.Tooltip("outside:Q", title=t("page.outside"), format=","),
        ],
    )
    cells = base.mark_rect().encode(color=alt.Color("contacts:Q", title=field("contacts"), scale=alt.Scale(range=["#e3edf5", "#5b8db8"])))
    draw(cells + base.mark_text(color="#8b1a1a", fontWeight="bold", fontSize=11).encode(text="figure:N"), t("page.hours"))
    st.caption(t("page.hours_help"))


def to_do(titles: dict[str, str]) -> None:
    st.subheader(t("page.todo"))
    rows = ask(summary.undetermined)
    if not rows:
        st.write(t("page.todo_none"))
        return
    comma = t("page.comma")
    lines = [
        r | {"title": titles[r["rule"]], "missing": comma.join(field(m) for m in r["missing"].split("|")) if r["missing"] else t("page.todo_review")}
        for r in rows
    ]
    table(lines, ["title", "missing", "contacts", "rule"], t("page.todo"))
    st.caption(t("page.todo_help"))


def main() -> None:
    st.title(t("page.overview"))
    totals = ask(summary.totals)
    if not totals["contacts"]:
        st.info(t("page.empty_run"))
        return
    rules = ask(summary.by_rule)
    titles = {r["rule"]: r[f"title_{lang()}"] for r in rules}
    metrics(totals)
    trend()
    by_rule(summary.applying(rules), titles)
    st.caption(t("page.rules_elsewhere", rules=len(rules) - len(summary.applying(rules))))
    by_dimension()
    hours()
    to_do(titles)


main()
