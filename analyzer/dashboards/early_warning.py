"""Early warning: contacts that only just kept a rule, and agents and vendors whose breach rate is rising."""

from __future__ import annotations

import altair as alt
import streamlit as st

from analyzer import early_warning, summary
from analyzer.dashboards._blocks import GREY, RED, Row, ask, ask_once, draw, field, lang, named, of, open_picked, percent, plain, t, table

RULES = ("title", "margin", "near", "judged", "ratio", "undetermined", "not_evaluated", "of")
NEAR = ("first_local", "case_id", "measured", "permitted", "agent_id", "vendor", "team", "channel", "title", "finding_id")
RISING = ("trend", "now", "before", "change_interval", "interval", "interval_before")
EXAMPLES = ("severity", "title", "first_local", "case_id", "channel", "breaches", "measured", "finding_id")
PERIODS = (7, 14, 28)
LISTED = 50
BARS = 30


def findings(filters: dict[str, list[str]], names: tuple[str, ...], title: str, key: str) -> None:
    """The latest findings of a filter; a row opens one, and from there the next of the same list."""
    rows, total = ask(summary.findings, filters, "-time", LISTED, 0)
    if not total:
        st.write(t("page.no_findings"))
        return
    st.caption(t("page.range", first=1, last=len(rows), total=total))
    event = table([r | {"title": r[f"title_{lang()}"]} for r in rows], names, title, on_select="rerun", selection_mode="single-row", key=key, height=400 if len(rows) > 10 else "auto")
    open_picked(event, rows, 0, (filters, "-time"))


def near() -> None:
    st.subheader(t("page.early_warning.near"))
    rules = ask(early_warning.near_rules)
    if not rules:
        st.info(t("page.early_warning.no_pack", pack=early_warning.PACK))
        return
    table([r | {"title": r[f"title_{lang()}"], "margin": t(f"page.early_warning.margin_{r['what']}", margin=r["margin"]), "ratio": percent(r["rate"])} for r in rules], RULES, t("page.early_warning.near"))
    st.caption(t("page.early_warning.near_help"))
    for what in (early_warning.LIMIT, early_warning.EDGE):
        st.subheader(t(f"page.early_warning.{what}"))
        asked = sorted(r["rule"] for r in rules if r["what"] == what)
        if asked:
            findings({"rule": asked}, NEAR, t(f"page.early_warning.{what}"), f"near_{what}")
        else:
            st.write(t("page.early_warning.no_such_rule"))


def intervals(rows: list[Row], by: str) -> None:
    """Both rates with their intervals, one under the other."""
    periods = [t("page.early_warning.before"), t("page.early_warning.now")]
    data = [
        {"name": named(by, r["value"]), "period": period, "low": r[f"low{end}"], "high": r[f"high{end}"], "rate": r[f"rate{end}"], "figures": of(r[bad], r[all_])}
        for r in rows[:BARS]
        for period, end, bad, all_ in zip(periods, ("_before", ""), ("breaching_before", "breaching_contacts"), ("contacts_before", "contacts"), strict=True)
    ]
    base = alt.Chart(alt.InlineData(values=data), height=120 + 34 * len(rows[:BARS])).encode(
        y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=220, labelOverlap=False)), yOffset=alt.YOffset("period:N", sort=periods),
        color=alt.Color("period:N", title=None, scale=alt.Scale(domain=periods, range=[GREY, RED]), legend=alt.Legend(orient="top")),
        tooltip=[alt.Tooltip("name:N", title=field(by)), alt.Tooltip("period:N", title=t("page.early_warning.period")), alt.Tooltip("figures:N", title=t("column.breaching_contacts"))],
    )  # fmt: skip
    spans = base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", title=t("column.rate"), axis=alt.Axis(format="%")), x2="high:Q")
    draw(spans + base.mark_point(filled=True, size=70).encode(x="rate:Q"), t(f"page.early_warning.rising_{by}"))


def written(rows: list[Row], by: str) -> list[Row]:
    return [
        r | {
            by: named(by, r["value"]), "before": of(r["breaching_before"], r["contacts_before"]), "now": of(r["breaching_contacts"], r["contacts"]),
            "interval_before": f"{percent(r['low_before'])} - {percent(r['high_before'])}", "interval": f"{percent(r['low'])} - {percent(r['high'])}",
            "change_interval": f"{r['change']:+.1%} ({r['change_low']:+.1%} - {r['change_high']:+.1%})", "trend": t(f"word.{r['trend']}"),
        }
        for r in rows
    ]  # fmt: skip


def rising(by: str, days: int) -> None:
    title = t(f"page.early_warning.rising_{by}")
    st.subheader(title)
    every = ask_once(early_warning.rising, by, days)
    rows = [r for r in every if r["enough"]]
    hidden = t("page.early_warning.hidden", hidden=len(every) - len(rows), total=len(every), least=early_warning.LEAST)
    if not rows:
        st.info(hidden)
        return
    st.caption(t("page.early_warning.periods", **{k: rows[0][k].isoformat() for k in ("before_from", "from_on", "until_on")}) + " " + hidden)
    intervals(rows, by)
    if len(rows) > BARS:
        st.caption(t("page.dimension_first", shown=BARS, total=len(rows)))
    event = table(written(rows, by), (by, *RISING, *(("team", "vendor") if by == "agent" else ())), title, on_select="rerun", selection_mode="single-row", key=f"rising_{by}_{days}")
    picked = event["selection"]["rows"]
    chosen = rows[picked[0]]["value"] if picked and picked[0] < len(rows) else None
    if chosen is not None:
        st.subheader(t("page.early_warning.examples", name=plain(chosen)))
        findings({by: [chosen]}, EXAMPLES, title, f"rising_findings_{by}")


def main() -> None:
    st.title(t("page.early_warning"))
    lost = ask(early_warning.overlooked)
    if not lost["contacts"]:
        st.info(t("page.empty_run"))
        return
    near()
    st.header(t("page.early_warning.rising"))
    st.caption(t("page.early_warning.rising_help", **{k: f"{lost[k]:,}" for k in ("undetermined", "undated", "agentless", "contacts")}))
    days = st.selectbox(t("page.early_warning.days"), PERIODS, index=PERIODS.index(early_warning.DAYS), key="warning_days", persist_state="session", width=260)
    for by in early_warning.GROUPS:
        rising(by, days)


main()
