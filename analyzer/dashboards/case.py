"""One case: everything that happened, by time, with the stage at that moment and the rules that were broken."""

from __future__ import annotations

from datetime import timedelta

import altair as alt
import streamlit as st

from analyzer import access, summary
from analyzer.dashboards._blocks import BLUE, RED, Row, ask, ask_once, draw, field, lang, open_picked, reveal, shown, t, table

COLUMNS = ("local_at", "what", "channel", "direction", "outcome", "relation", "agent_id", "dpd", "account_class", "stage", "broken", "detail", "text", "contact_id")


# In figures, which every language reads: the library's own names of months are English.
DAY_OR_TIME = "timeFormat(datum.value, hours(datum.value) + minutes(datum.value) === 0 ? '%m-%d' : '%m-%d %H:%M')"


def lane(row: Row) -> str:
    return shown("channel", row["channel"]) or t("page.none") if row["what"] == "contact" else t(f"page.what.{row['what']}")


def span(rows: list[Row]) -> list[str]:
    """What the picture shows at first: the contacts with some days about them; earlier payments are reached by dragging."""
    times = [r["local_at"] for r in rows if r["local_at"] is not None and r["what"] == "contact"] or [r["local_at"] for r in rows if r["local_at"] is not None]
    return [(min(times) - timedelta(days=5)).isoformat(), (max(times) + timedelta(days=2)).isoformat()] if times else []


def said(row: Row, titles: dict[str, str]) -> str:
    """The rules a contact broke, by their titles."""
    return t("page.comma").join(titles[name] for name in (row["broken"] or "").split("|") if name)


def told(row: Row) -> str:
    """What a table says of an event, a promise or a payment."""
    if row["what"] == "event":
        # Of a kind that nobody knows: it may be any.
        return t(f"word.event_{row['detail']}") if row["detail"] else t("page.unknown")
    return row["detail"] or ""


def picture(rows: list[Row], titles: dict[str, str]) -> None:
    data = [
        {
            "at": r["local_at"].isoformat(), "lane": lane(r), "state": t("word.breach" if r["broken"] else "page.no_breach" if r["what"] == "contact" else f"page.what.{r['what']}"),
            "outcome": shown("outcome", r["outcome"]) or told(r), "relation": shown("relation", r["relation"]), "stage": shown("stage", r["stage"]),
            "dpd": "" if r["dpd"] is None else str(r["dpd"]), "broken": said(r, titles),
        }
        # What breaks a rule lies on top.
        for r in sorted(rows, key=lambda r: bool(r["broken"]))
        if r["local_at"] is not None
    ]  # fmt: skip
    chart = alt.Chart(alt.InlineData(values=data), height=alt.Step(34)).mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("at:T", title=None, scale=alt.Scale(domain=span(rows)), axis=alt.Axis(tickCount=8, labelExpr=DAY_OR_TIME, labelOverlap=True)), y=alt.Y("lane:N", title=None, axis=alt.Axis(labelLimit=200)),
        color=alt.Color("state:N", title=None, scale=alt.Scale(
            domain=[t(k) for k in ("word.breach", "page.no_breach", "page.what.event", "page.what.promise", "page.what.payment")], range=[RED, BLUE, "#dd6a2f", "#8e5fb0", "#3f8f6b"]), legend=alt.Legend(orient="top")),
        tooltip=[alt.Tooltip("at:T", title=field("local_at"), format="%Y-%m-%d %H:%M"), *(alt.Tooltip(f"{k}:N", title=field(k)) for k in ("lane", "outcome", "relation", "stage", "dpd", "broken"))],
    ).interactive(bind_y=False)  # fmt: skip
    draw(chart, t("page.timeline"))


def main() -> None:
    st.title(t("page.case"))
    left, right = st.columns(2)
    part = left.text_input(t("page.case.find"), key="case_part", help=t("page.case.find_help")).strip()
    known = ask(summary.case_ids, part)
    if not known:
        st.info(t("page.case.none" if part else "page.no_cases"))
        return
    asked = "" if part else st.session_state.get("case_id")
    if asked and asked not in known:
        known = [asked, *known]
    case = right.selectbox(t("column.case_id"), known, index=known.index(asked) if asked else 0, key=f"case_choice_{part}")
    rows = ask(summary.case_timeline, case)
    hidden = ask(access.names, [case], sorted({r["agent_id"] for r in rows if r["agent_id"]}))
    if not rows:
        st.info(t("page.case_empty"))
        return
    st.caption(t("page.case_counts", contacts=sum(r["what"] == "contact" for r in rows), broken=sum(bool(r["broken"]) for r in rows)))
    if not reveal("case", case, hidden):
        rows = access.veiled(rows, [name for _, name in hidden])
    titles = {r["rule"]: r[f"title_{lang()}"] for r in ask_once(summary.by_rule)}
    picture(rows, titles)
    lines = [r | {"dpd": "" if r["dpd"] is None else str(r["dpd"]), "what": t(f"page.what.{r['what']}"), "broken": said(r, titles), "detail": told(r)} for r in rows]
    event = table(lines, COLUMNS, t("page.timeline"), on_select="rerun", selection_mode="single-row", key=f"case_table_{case}", height=520 if len(lines) > 13 else "auto")
    open_picked(event, rows)


main()
