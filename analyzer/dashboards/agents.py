"""Agents: who needs coaching, on what, shown on his own contacts. Never a bare ranking: each rate with its interval and its team."""

from __future__ import annotations

import altair as alt
import streamlit as st

from analyzer import summary
from analyzer.dashboards._blocks import BLUE, GREY, RED, Row, ask, draw, field, lang, open_picked, percent, plain, t, table

COLUMNS = ("agent_id", "name", "team", "vendor", "contacts", "breaching_contacts", "share", "interval", "expected", "change")
RULES = ("title", "severity", "findings", "breaching_contacts", "share", "team_share", "rule")
EXAMPLES = 50


def written(row: Row) -> Row:
    """Shares as people read them; the figures themselves are `summary`'s."""
    change = row["change"]
    return row | {
        "share": percent(row["rate"]), "interval": f"{percent(row['low'])} - {percent(row['high'])}", "expected": percent(row["expected"]),
        "change": "" if change is None else f"{change:+.1%}",
    }  # fmt: skip


def spread(rows: list[Row]) -> None:
    """Every collector's rate with its interval, and where all of them lie."""
    data = [{"agent": f"{r['agent_id']} {r['name'] or ''}".strip(), **{k: r[k] for k in ("rate", "low", "high", "expected", "contacts", "breaching_contacts")}} for r in rows[:40]]
    base = alt.Chart(alt.InlineData(values=data), height=70 + 24 * len(data)).encode(y=alt.Y("agent:N", title=None, sort=[d["agent"] for d in data], axis=alt.Axis(labelLimit=220)))
    low = alt.X("low:Q", title=t("column.rate"), axis=alt.Axis(format="%"))
    tips = [alt.Tooltip("agent:N", title=field("agent")), *(alt.Tooltip(f"{k}:Q", title=field(k), format=".1%") for k in ("rate", "expected")), *(alt.Tooltip(f"{k}:Q", title=field(k), format=",") for k in ("breaching_contacts", "contacts"))]
    lines = base.mark_rule(color=GREY, strokeWidth=3).encode(x=low, x2="high:Q", tooltip=tips)
    points = base.mark_point(filled=True, size=70, color=BLUE).encode(x="rate:Q", tooltip=tips)
    draw(lines + points + base.mark_tick(color=RED, thickness=3, size=16).encode(x="expected:Q", tooltip=tips), t("page.agents_spread"))
    st.caption(t("page.agents_help"))


def one(agent: str) -> None:
    """A collector: by rule beside his team, by week, and his own contacts to coach on."""
    st.header(plain(agent))
    rules = [r | {"title": r[f"title_{lang()}"], "share": percent(r["rate"]), "team_share": percent(r["team_rate"])} for r in ask(summary.agent_rules, agent)]
    if rules:
        st.subheader(t("page.agent_rules"))
        table(rules, RULES, t("page.agent_rules"))
    weeks = ask(summary.agent_trend, agent)
    data = [{"since": r["since"].isoformat(), "rate": r["breaching_contacts"] / r["contacts"], "contacts": r["contacts"], "breaching_contacts": r["breaching_contacts"]} for r in weeks]
    st.subheader(t("page.trend"))
    chart = alt.Chart(alt.InlineData(values=data), height=200).mark_line(point=True, color=BLUE).encode(
        x=alt.X("since:O", title=t("column.since"), axis=alt.Axis(labelAngle=0, labelOverlap=True)), y=alt.Y("rate:Q", title=t("column.rate"), axis=alt.Axis(format="%")),
        tooltip=[alt.Tooltip("since:N", title=field("since")), *(alt.Tooltip(f"{k}:Q", title=field(k)) for k in ("breaching_contacts", "contacts"))],
    )  # fmt: skip
    draw(chart, t("page.trend"))
    filters = {"agent": [agent]}
    examples, total = ask(summary.findings, filters, "severity", EXAMPLES, 0)
    st.subheader(t("page.agent_examples"))
    if not total:
        st.write(t("page.no_findings"))
        return
    rows = [e | {"title": e[f"title_{lang()}"]} for e in examples]
    event = table(rows, ("severity", "title", "first_local", "case_id", "channel", "breaches", "measured", "finding_id"), t("page.agent_examples"), on_select="rerun", selection_mode="single-row", key=f"agent_findings_{agent}")
    open_picked(event, rows, 0, (filters, "severity"))


def main() -> None:
    st.title(t("page.agents"))
    rows = ask(summary.agents)
    if not rows:
        st.info(t("page.no_agents"))
        return
    teams = sorted({r["team"] for r in rows if r["team"]})
    words = {"": t("page.all")} | {name: name for name in teams}
    team = st.selectbox(t("column.team"), list(words), format_func=words.__getitem__, key="agents_team", width=260)
    rows = [r for r in rows if not team or r["team"] == team]
    spread(rows)
    event = table([written(r) for r in rows], COLUMNS, t("page.agents"), on_select="rerun", selection_mode="single-row", key=f"agents_table_{team}")
    picked = event["selection"]["rows"]
    one(rows[picked[0] if picked and picked[0] < len(rows) else 0]["agent_id"])


main()
