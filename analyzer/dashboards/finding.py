"""One finding in full: what, why, which clause, which facts, which words, and how to find it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from analyzer import explain, review, summary
from analyzer.dashboards import PAGES
from analyzer.dashboards._blocks import BADGES, ask, facts, field, lang, paragraph, quote, shown, t, table
from analyzer.errors import UsageError

LEDGER = (
    "ordinal", "role", "local_at", "zone", "channel", "direction", "outcome", "relation", "party", "agent_id", "vendor", "dpd",
    "measured", "text", "contact_id", "file", "row_no",
)  # fmt: skip
FACTS = ("measured", "permitted", "breaches", "evidence", "first_local", "vendor", "team", "agent_id", "channel", "account_class", "stage")
CASE = (
    "case_id", "debtor_id", "debtor_name", "product", "lender", "lender_kind", "jurisdiction", "region", "zones", "principal", "balance",
    "opened_on", "due_on", "closed_on", "guaranteed", "dpd",
)  # fmt: skip
TEXTS = 50


def query() -> tuple[dict[str, list[str]], str]:
    """The list that the finding was opened from; all findings otherwise."""
    found: tuple[dict[str, list[str]], str] = st.session_state.get("findings_query", ({}, "severity"))
    return found


def go(at: int) -> None:
    rows, _ = ask(summary.findings, *query(), 1, at)
    if rows:
        st.session_state["finding_at"], st.session_state["finding_id"] = at, rows[0]["finding_id"]


def steps(total: int) -> None:
    """Previous and next, where the finding's place in a list is known."""
    at = st.session_state.get("finding_at")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(t("page.previous"), on_click=go, args=((at or 0) - 1,), disabled=not at, key="finding_previous")
        st.button(t("page.next"), on_click=go, args=((at or 0) + 1,), disabled=at is None or at + 1 >= total, key="finding_next")
        if at is not None:
            st.caption(t("page.position", at=at + 1, total=total), width="content")


def badges(rule: dict[str, Any]) -> None:
    with st.container(horizontal=True):
        for name in ("severity", "strength", "effect", "known"):
            colour: Any = BADGES[rule["severity"]] if name == "severity" else "blue"
            st.badge(t("page.named", name=field(name), value=shown(name, rule[name])), color=colour)


def clauses(citations: list[dict[str, Any]]) -> None:
    for cite in citations:
        said = [cite["instrument"][lang()], cite["clause"][lang()], shown("known", cite["known"]), t("page.consulted", day=cite["consulted"])]
        note = f"\n{cite['note'][lang()]}" if cite.get("note") else ""
        paragraph(" · ".join(said) + note)


def texts(ledger: list[dict[str, Any]]) -> None:
    spoken = [entry for entry in ledger if entry["text"]]
    if not spoken:
        st.write(t("page.texts_none"))
    for entry in spoken[:TEXTS]:
        place = t("page.row", file=entry["file"], row=entry["row_no"]) if entry["file"] else ""
        head = [str(entry["ordinal"]), *(shown(k, entry[k]) for k in ("role", "local_at", "channel", "relation")), place]
        quote(" · ".join(part for part in head if part), entry["text"], entry["marks"])
    if len(spoken) > TEXTS:
        st.caption(t("page.texts_first", shown=TEXTS, total=len(spoken)))


def judge(told: explain.Explained) -> None:
    """Where the finding stands, and the form for a verdict: what somebody else wrote meanwhile is never overwritten."""
    log = review.Reviews(Path(st.session_state["run_path"]))
    finding = told.finding["finding_id"]
    history = log.history(finding)
    standing = log.standings([told.finding])[finding]
    st.subheader(t("page.review"))
    st.badge(t(f"word.{standing.state}"), color="gray" if standing.state == "open" else "blue")
    if standing.stale:
        st.warning(t("page.review.stale"))
    if history:
        rows = [{"at_utc": e.at_utc, "actor": e.actor, "state": t(f"word.{e.state}"), "assignee": e.assignee, "comment": e.comment} for e in history]
        table(rows, ("at_utc", "actor", "state", "assignee", "comment"), t("page.review"))
    else:
        st.caption(t("page.review.none"))
    # A verdict answers what the page showed when it was drawn last, not what came after.
    key, now = f"review_seen_{finding}", history[-1].seq if history else 0
    seen = st.session_state.get(key, now)
    st.session_state[key] = now
    with st.form(f"review_{finding}", clear_on_submit=False):
        left, right, last = st.columns(3)
        words = {s: t(f"word.{s}") for s in review.STATES}
        state = left.selectbox(t("column.state"), review.STATES, index=review.STATES.index("confirmed"), format_func=words.__getitem__, key=f"review_state_{finding}")
        actor = right.text_input(t("column.actor"), key="review_actor")
        assignee = last.text_input(t("column.assignee"), key=f"review_assignee_{finding}")
        comment = st.text_area(t("column.comment"), key=f"review_comment_{finding}", max_chars=review.LONGEST_COMMENT)
        sent = st.form_submit_button(t("page.review.save"), key=f"review_save_{finding}")
    if sent:
        try:
            ask(log.decide, finding, actor, state, comment, assignee, seen)
        except UsageError as error:
            st.error(error.text(lang()))
            return
        st.session_state.pop(key)
        st.rerun()


def show(told: explain.Explained) -> None:
    st.header(told.texts["title"][lang()])
    badges(told.rule)
    st.caption(f"{told.finding['rule']} · {told.finding['finding_id']}")
    if st.button(t("page.open_case", case=told.finding["case_id"]), key="finding_case"):
        st.session_state["case_id"] = told.finding["case_id"]
        st.switch_page(PAGES / "case.py")
    judge(told)
    st.subheader(t("explain.why"))
    paragraph(told.texts["why"][lang()])
    st.subheader(t("explain.clause"))
    clauses(told.citations)
    left, right = st.columns(2)
    with left:
        st.subheader(t("page.facts"))
        facts({name: told.finding[name] for name in FACTS})
    with right:
        st.subheader(t("page.case"))
        facts({name: told.case.get(name) for name in CASE})
    st.subheader(t("page.ledger"))
    table(told.ledger, [n for n in LEDGER if any(e[n] is not None for e in told.ledger)], t("page.ledger"))
    st.subheader(t("page.texts"))
    texts(told.ledger)
    st.subheader(t("explain.remedy"))
    paragraph(told.texts["remedy"][lang()])
    st.subheader(t("explain.not_covered"))
    paragraph(told.texts["not_covered"][lang()])
    st.subheader(t("explain.sql"))
    st.code(told.sql, language="sql", wrap_lines=True, height=320)


def main() -> None:
    st.title(t("page.finding"))
    if "finding_id" not in st.session_state:
        go(0)
    if "finding_id" not in st.session_state:
        st.info(t("page.no_findings"))
        return
    steps(ask(summary.findings, *query(), 0, 0)[1])
    try:
        told = ask(explain.explain, st.session_state["finding_id"])
    except UsageError as error:
        st.info(error.text(lang()))
        return
    show(told)


main()
