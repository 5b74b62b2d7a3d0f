"""Hours: contacts by the recipients' weekday and hour against the permitted hours; a cell opens its contacts."""

from __future__ import annotations

from typing import Any

import altair as alt
import streamlit as st

from analyzer import summary
from analyzer.dashboards._blocks import (
    RED,
    Row,
    ask,
    ask_once,
    contact_pages,
    draw_to_pick,
    field,
    lang,
    named,
    percent,
    picked_point,
    picked_row,
    t,
    table,
)

ANY = ""
# A cell leaves a rim of its ground to be seen.
INNER: dict[str, Any] = {"width": alt.RelativeBandSize(0.88), "height": alt.RelativeBandSize(0.8)}
CELLS = ("weekday", "hours", "contacts", "outside", "undetermined", "share")


def choose(rules: list[Row]) -> tuple[Row | None, dict[str, list[str]]]:
    """The rule whose hours are shown (None: any), and the filters of contacts."""
    left, middle, right = st.columns([2, 1, 1])
    titles = {ANY: t("page.hours.any")} | {r["rule"]: r[f"title_{lang()}"] for r in rules}
    name = left.selectbox(t("column.rule"), list(titles), index=min(1, len(rules)), format_func=titles.__getitem__, key="hours_rule")
    filters = {}
    for place, dimension in ((middle, "channel"), (right, "vendor")):
        options = ask_once(summary.contact_values, dimension)
        words = {value: named(dimension, value or None) for value in options}
        picked = place.multiselect(t(f"column.{dimension}"), options, key=f"hours_{dimension}", format_func=words.__getitem__, placeholder=t("page.all"), select_all=False)
        if picked:
            filters[dimension] = picked
    return next((r for r in rules if r["rule"] == name), None), filters



def permitted(rule: Row | None, hour: int) -> str:
    """Whether an hour lies in the span that the rule permits now: yes, part, no; of no rule nothing is known."""
    if rule is None:
        return "yes"
    _, opens, closes = rule["spans"][-1]
    first, last = f"{hour:02}:00", f"{hour + 1:02}:00"
    inside_from, inside_to = opens or "00:00", closes or "24:00"
    if last <= inside_from or first >= inside_to:
        return "no"
    return "yes" if inside_from <= first and last <= inside_to else "part"


def heat_map(cells: list[Row], rule: Row | None) -> Any:
    days = [t(f"page.weekday.{n}") for n in range(1, 8)]
    known = {(r["weekday"], r["hour"]): r for r in cells}
    none = {"contacts": 0, "outside": 0, "undetermined": 0}
    data = [
        {
            "day": n, "hour": hour, "weekday": days[n - 1], "state": permitted(rule, hour), "permitted": t(f"page.hours.permitted_{permitted(rule, hour)}"),
            **{k: known.get((n, hour), none)[k] for k in ("contacts", "outside", "undetermined")},
        }
        for n in range(1, 8) for hour in range(24)
    ]  # fmt: skip
    base = alt.Chart(alt.InlineData(values=data), height=300).encode(
        x=alt.X("hour:O", title=t("column.hour"), axis=alt.Axis(labelAngle=0), scale=alt.Scale(domain=list(range(24)))), y=alt.Y("weekday:O", title=None, sort=days),
        tooltip=[
            alt.Tooltip("weekday:N", title=field("weekday")), alt.Tooltip("hour:O", title=field("hour")), alt.Tooltip("permitted:N", title=field("permitted")),
            alt.Tooltip("contacts:Q", title=field("contacts"), format=","), alt.Tooltip("outside:Q", title=t("page.outside"), format=","), alt.Tooltip("undetermined:Q", title=field("undetermined"), format=","),
        ],
    )  # fmt: skip
    cell = alt.selection_point(name="cell", fields=["day", "hour"])
    closed = base.transform_filter("datum.state != 'yes'").mark_rect(color=RED).encode(opacity=alt.Opacity("state:N", scale=alt.Scale(domain=["no", "part"], range=[0.28, 0.14]), legend=None))
    filled = base.transform_filter("datum.contacts > 0").mark_rect(**INNER).encode(color=alt.Color("contacts:Q", title=field("contacts"), scale=alt.Scale(range=["#e3edf5", "#8db8dc"])))
    late = base.transform_filter("datum.outside > 0")
    outlined = late.mark_rect(filled=False, stroke=RED, strokeWidth=2.5, **INNER)
    figures = late.mark_text(color="#7a0019", fontWeight="bold", fontSize=12).encode(text=alt.Text("outside:Q", format=","))
    return draw_to_pick(closed + filled.add_params(cell) + outlined + figures, t("page.hours.chart"), "hours_chart")


def permits(rule: Row | None) -> None:
    """What the rule permits, in words: the picture shows only what holds last."""
    if rule is None:
        st.caption(t("page.hours.any_help"))
        return
    parts = []
    for since, opens, closes in rule["spans"]:
        span = t("page.hours.span", opens=opens or "00:00", closes=closes or "24:00")
        parts.append(t("page.hours.span_since", since=since, span=span) if since else span)
    whose = t("page.hours.clock", zone=rule["clock"]) if rule["clock"] else t("page.hours.own_clock")
    st.caption(t("page.hours.permits", spans=t("page.comma").join(parts), clock=whose, judged=f"{rule['judged']:,}", undetermined=f"{rule['undetermined']:,}"))


def changed(picks: dict[str, Row | None]) -> None:
    """The cell in view is what was selected last, in the picture or in the table."""
    for name, pick in picks.items():
        cell = (int(pick["day"]), int(pick["hour"])) if pick else None
        if cell != st.session_state.get(f"hours_last_{name}"):
            st.session_state[f"hours_last_{name}"] = cell
            st.session_state["hours_cell"] = cell


def main() -> None:
    st.title(t("page.hours"))
    rules = ask_once(summary.hours_rules)
    rule, filters = choose(rules)
    rows = ask(summary.hour_by_weekday, rule["rule"] if rule else None, filters.get("channel", []), filters.get("vendor", []))
    if not rows:
        st.info(t("page.contacts.none"))
        return
    cells = [r for r in rows if r["hour"] is not None]
    timed, outside, open_ = (sum(r[k] for r in cells) for k in ("contacts", "outside", "undetermined"))
    for place, key, figure in zip(
        st.columns(4), ("page.hours.outside", "page.hours.undetermined", "page.hours.timed", "page.hours.untimed"),
        (f"{outside:,} / {timed:,}", f"{open_:,}", f"{timed:,}", f"{sum(r['contacts'] for r in rows) - timed:,}"), strict=True,
    ):  # fmt: skip
        place.metric(t(key), figure, border=True)
    point = picked_point(heat_map(cells, rule), "cell")
    permits(rule)
    st.caption(t("page.hours.help"))
    late = sorted(({"day": r["weekday"], **r} for r in cells if r["outside"]), key=lambda r: (-r["outside"], r["weekday"], r["hour"]))
    picked = None
    if late:
        st.subheader(t("page.hours.late"))
        lines = [r | {"weekday": t(f"page.weekday.{r['weekday']}"), "hours": t("page.hours.span", opens=f"{r['hour']:02}:00", closes=f"{r['hour'] + 1:02}:00"), "share": percent(r["rate"])} for r in late]
        picked = picked_row(table(lines, CELLS, t("page.hours.late"), on_select="rerun", selection_mode="single-row", key="hours_table", height=300 if len(late) > 8 else "auto"), late)
    changed({"chart": point, "table": picked})
    cell = st.session_state.get("hours_cell")
    if cell:
        title = t("page.hours.cell", weekday=t(f"page.weekday.{cell[0]}"), span=t("page.hours.span", opens=f"{cell[1]:02}:00", closes=f"{cell[1] + 1:02}:00"))
        st.subheader(title)
        contact_pages(filters | ({"bound": [rule["rule"]]} if rule else {}) | {"weekday": [str(cell[0])], "hour": [str(cell[1])]}, "hours_contacts", title)


main()
