"""Findings: filter, sort, page through them in SQL, open one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from analyzer import report, review, runs, summary
from analyzer.dashboards._blocks import ask, lang, open_picked, shown, t, table

FILTERS = ("rule", "severity", "vendor", "agent", "channel")
SORTS = ("severity", "-time", "time", "rule", "-breaches")
COLUMNS = ("severity", "state", "title", "first_local", "case_id", "vendor", "agent_id", "channel", "breaches", "evidence", "measured", "permitted", "finding_id")
ROWS = 50


def choose(titles: dict[str, str], run: str) -> tuple[dict[str, list[str]], str]:
    """The filters and the sort; the keys carry the run, since another run has other values."""
    filters: dict[str, list[str]] = {}
    places = [*st.columns(3), *st.columns(3)]
    for place, name in zip(places, FILTERS, strict=False):
        options = ask(summary.values, name)
        words = titles if name == "rule" else {value: shown(name, value) for value in options}
        picked = place.multiselect(
            t(f"column.{name}"), options, key=f"findings_{name}_{run}", placeholder=t("page.all"), persist_state="session",
            format_func=words.__getitem__, select_all=False,
        )  # fmt: skip
        if picked:
            filters[name] = picked
    orders = {s: t(f"page.sort.{s}") for s in SORTS}
    sort = places[-1].selectbox(t("page.sort"), SORTS, format_func=orders.__getitem__, key="findings_sort", persist_state="session")
    return filters, sort


def whole_report(path: Path, language: str, filters: dict[str, list[str]]) -> bytes:
    """Made when it is asked for, on a connection of its own: nobody waits for it who does not want it."""
    con = runs.connect(path)
    try:
        return report.render(report.report(con, language, filters), "html")
    finally:
        con.close()


def main() -> None:
    st.title(t("page.findings"))
    path = Path(st.session_state["run_path"])
    run = path.stem
    titles = {r["rule"]: r[f"title_{lang()}"] for r in ask(summary.by_rule)}
    filters, sort = choose(titles, run)
    _, total = ask(summary.findings, filters, sort, 0, 0)
    if not total:
        st.info(t("page.no_findings"))
        return
    # A key of its own for each question: another question starts at its first page.
    asked = f"{run}_{sort}_{sorted(filters.items())}"
    pages = -(-total // ROWS)
    above = st.container()
    page = st.pagination(pages, key=f"findings_page_{asked}") if pages > 1 else 1
    offset = (page - 1) * ROWS
    rows, _ = ask(summary.findings, filters, sort, ROWS, offset)
    standings = review.Reviews(path).standings(rows)
    rows = [r | {"title": titles[r["rule"]], "state": t(f"word.{standings[r['finding_id']].state}")} for r in rows]
    with above:
        st.caption(t("page.range", first=offset + 1, last=offset + len(rows), total=total))
        event = table(rows, COLUMNS, t("page.findings"), on_select="rerun", selection_mode="single-row", key="findings_table", height=560 if len(rows) > 14 else "auto")
    make = partial(whole_report, path, lang(), filters)
    st.download_button(t("page.report"), make, f"{run}-{lang()}.html", "text/html", key="findings_report", on_click="ignore")
    open_picked(event, rows, offset, (filters, sort))


main()
