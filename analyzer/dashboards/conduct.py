"""Customer types: which of the handbook's situations contacts met, whether their texts show the prescribed conduct, and a collector's own examples."""

from __future__ import annotations

import altair as alt
import duckdb
import streamlit as st

from analyzer import conduct
from analyzer.dashboards._blocks import (
    BLUE,
    RED,
    Row,
    ask,
    ask_once,
    covered,
    draw,
    field,
    lang,
    of,
    open_case,
    paragraph,
    percent,
    quote,
    sentence,
    shown,
    t,
    table,
)
from analyzer.errors import RuleErrors

FIGURES = ("contacts", "kept", "kept_interval", "missed", "avoided_contacts", "breach_share", "breach_interval", "against_contacts")
SHARES = (("rate", "low", "high", "complete"), ("breach_rate", "breach_low", "breach_high", "breaching_contacts"))
MARKS = ("mark", "seen_of", "interval", "handbook")


@st.cache_resource(show_spinner=False)
def book() -> conduct.Book:
    return conduct.load()


def span(low: float | None, high: float | None) -> str:
    return "" if low is None else f"{percent(low)} - {percent(high)}"


def mark(name: str) -> str:
    return book().marks[name].title.in_(lang())


def situation(name: str) -> str:
    return book().situations[name].title.in_(lang())


def marks(names: tuple[str, ...]) -> str:
    return t("page.comma").join(mark(name) for name in names) or t("page.none")


def written(row: Row) -> Row:
    """Shares as people read them; without one where there are too few contacts."""
    few = row["rate"] is None
    return row | {
        "kept": str(row["contacts"]) if few else of(row["complete"], row["contacts"]), "kept_interval": span(row["low"], row["high"]),
        "missed": "" if row["missed"] is None else f"{mark(row['missed'])} {row['missed_contacts']:,}",
        "breach_share": "" if few else of(row["breaching_contacts"], row["contacts"]), "breach_interval": span(row["breach_low"], row["breach_high"]),
    }  # fmt: skip


def situations(rows: list[Row]) -> None:
    st.subheader(t("page.conduct.situations"))
    names = [situation(r["situation"]) for r in rows]
    whats = [field("kept"), field("breach_share")]
    data = [
        {"name": name, "what": what, "rate": r[rate], "low": r[low], "high": r[high], "figures": of(r[part], r["contacts"])}
        for name, r in zip(names, rows, strict=True)
        for what, (rate, low, high, part) in zip(whats, SHARES, strict=True)
    ]
    base = alt.Chart(alt.InlineData(values=data), height=110 + 34 * len(rows)).encode(
        y=alt.Y("name:N", title=None, sort=names, axis=alt.Axis(labelLimit=240, labelOverlap=False)), yOffset=alt.YOffset("what:N", sort=whats),
        color=alt.Color("what:N", title=None, scale=alt.Scale(domain=whats, range=[BLUE, RED]), legend=alt.Legend(orient="top")),
        tooltip=[alt.Tooltip("name:N", title=field("situation")), alt.Tooltip("what:N", title=t("page.dimension")), alt.Tooltip("figures:N", title=field("contacts"))],
    )  # fmt: skip
    lines = base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", title=field("share"), scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")), x2="high:Q")
    draw(lines + base.mark_point(filled=True, size=70).encode(x="rate:Q"), t("page.conduct.situations"))
    st.caption(t("page.conduct.situations_help"))
    table([written(r) | {"situation": name} for name, r in zip(names, rows, strict=True)], ("situation", *FIGURES), t("page.conduct.situations"))


def handbook(found: list[Row], one: conduct.Situation) -> None:
    """What the handbook prescribes in a situation, how often it is seen, and what of it the law forbids."""
    st.subheader(t("page.conduct.prescribed"))
    paragraph(one.about.in_(lang()))
    clauses = {c.mark: c.clause.in_(lang()) for c in one.prescribed}
    lines = [
        r | {"mark": mark(r["mark"]), "seen_of": of(r["seen"], r["contacts"]), "interval": span(r["low"], r["high"]) if r["contacts"] else "", "handbook": clauses[r["mark"]]}
        for r in conduct.marks_of(found, one)
    ]
    table(lines, MARKS, t("page.conduct.prescribed"))
    for clause in one.avoid:
        paragraph(t("page.conduct.avoid", mark=mark(clause.mark), clause=clause.clause.in_(lang())))
    for conflict in one.conflicts:
        st.warning(t("page.conduct.conflict", clause=conflict.clause.in_(lang()), why=conflict.why.in_(lang()), rules=t("page.comma").join(conflict.rules)))
    st.caption(t("page.conduct.source", source=one.source.in_(lang()), known=t(f"word.{one.known}"), consulted=one.consulted))


def collectors(found: list[Row], chosen: str | None) -> None:
    st.subheader(t("page.conduct.agents"))
    every = conduct.by_agent(found, chosen)
    rows = [r for r in every if r["enough"]]
    st.caption(t("talk.conduct_hidden", hidden=len(every) - len(rows), total=len(every), least=conduct.LEAST))
    if rows:
        rows.sort(key=lambda r: (r["rate"], r["agent_id"]))
        table([written(r) for r in rows], ("agent_id", "team", *FIGURES), t("page.conduct.agents"))
    else:
        st.write(t("page.conduct.no_agent", least=conduct.LEAST))
    if not every:
        return
    ids = [r["agent_id"] for r in (*rows, *(r for r in every if not r["enough"]))]
    agent = st.selectbox(field("agent"), ids, key=f"conduct_agent_{chosen}", width=260)
    mine = [r for r in found if r["agent_id"] == agent and chosen in (None, r["situation"])]
    for kind in (conduct.GOOD, conduct.POOR):
        examples(mine, kind)


def examples(mine: list[Row], kind: str) -> None:
    st.subheader(t(f"page.conduct.{kind}"))
    rows = covered(ask(conduct.examples, mine, book(), kind == conduct.GOOD))
    if not rows:
        st.write(t("page.conduct.no_example"))
        return
    for row in rows:
        head = t(
            "page.conduct.example", contact=row["contact_id"], case=row["case_id"], at=shown("local_at", row["local_at"]) or t("page.unknown"),
            situation=situation(row["situation"]),
            seen=marks(row["seen"]), missing=marks(row["missing"]), avoided=marks(row["avoided"]), broken=t("page.comma").join(row["broken"]) or t("page.none"),
        )  # fmt: skip
        quote(head, row["text"], row["marks"])
    event = table(rows, ("case_id", "contact_id", "local_at", "channel"), t(f"page.conduct.{kind}"), on_select="rerun", selection_mode="single-row", key=f"conduct_{kind}")
    open_case(event, rows)


def coached() -> conduct.Coached:
    """Kept as long as the run is in view: the book itself is no argument, since it is the same for every page."""
    return ask_once(_coached)


def _coached(con: duckdb.DuckDBPyConnection) -> conduct.Coached:
    return conduct.coached(con, book())


def main() -> None:
    st.title(t("page.conduct"))
    try:
        book()
    except RuleErrors as error:
        st.error(sentence(error))
        return
    told = coached()
    st.info(t("talk.conduct", **{k: f"{v:,}" for k, v in told.reach.items()}))
    rows = [r for r in conduct.by_situation(told.rows, book()) if r["contacts"]]
    if not rows:
        st.write(t("page.conduct.none"))
        return
    situations(rows)
    words = {"": t("page.conduct.all")} | {name: one.title.in_(lang()) for name, one in book().situations.items()}
    chosen = st.selectbox(t("page.conduct.situation"), list(words), format_func=words.__getitem__, key="conduct_situation", width=320) or None
    if chosen:
        handbook(told.rows, book().situations[chosen])
    collectors(told.rows, chosen)


main()
