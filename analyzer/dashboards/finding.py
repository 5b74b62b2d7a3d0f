"""One finding in full: what, why, which clause, which facts, which words, and how to find it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from analyzer import access, explain, review, summary
from analyzer.dashboards import PAGES
from analyzer.dashboards._blocks import (
    BADGES,
    ask,
    ask_once,
    covered,
    facts,
    field,
    lang,
    open_picked,
    paragraph,
    plain,
    quote,
    reveal,
    run_path,
    sentence,
    shown,
    t,
    table,
)
from analyzer.dashboards._identity import blind_to, may, me
from analyzer.dashboards._writing import actor, person, wrote
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
AROUND = ("local_at", "broken", "channel", "direction", "outcome", "relation", "agent_id", "text", "contact_id")
TEXTS = 50
# More contacts of a case in a week than anybody reads.
WEEK = 200


def query() -> tuple[dict[str, list[str]], str]:
    """The list that the finding was opened from; all findings but near misses otherwise."""
    found: tuple[dict[str, list[str]], str] = st.session_state.get("findings_query", ({"nature": ["breach"]}, "severity"))
    return found


def go(at: int) -> None:
    rows, _ = ask(summary.findings, *query(), 1, at)
    if rows:
        st.session_state["finding_at"], st.session_state["finding_id"] = at, rows[0]["finding_id"]


def steps(total: int) -> None:
    """Previous and next, where the finding's place in a list is known."""
    at = st.session_state.get("finding_at")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(t("page.previous"), on_click=go, args=((at or 0) - 1,), disabled=not at, key="finding_previous", shortcut="K")
        st.button(t("page.next"), on_click=go, args=((at or 0) + 1,), disabled=at is None or at + 1 >= total, key="finding_next", shortcut="J")
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
    """Where the finding stands, what was done about it, and the forms for what the person in view may do."""
    log, finding = review.Reviews(run_path()), told.finding["finding_id"]
    st.subheader(t("page.review"))
    if finding in log.blind_tasks(blind_to()):
        # Neither the first verdict nor who gave it is shown to who is to give a second one without it.
        st.info(t("page.review.blind"))
        verdict(log, told, 0, actor(), blind=True)
        return
    standing = log.standings([told.finding])[finding]
    marks(standing)
    history = log.history(finding)
    if history:
        rows = [{"at_utc": e.at_utc, "actor": e.actor, "kind": t(f"word.kind_{e.kind}"), "state": t(f"word.{e.state}"), "assignee": e.assignee, "comment": e.comment} for e in history]
        table(rows, ("at_utc", "actor", "kind", "state", "assignee", "comment"), t("page.review"))
    else:
        st.caption(t("page.review.none"))
    seen = seen_at(finding, standing.seen)
    # Outside of the forms: each of them is sent by whoever stands here.
    who = actor() if any(map(may, ("judge", "assign", "suppress", "appeal"))) else ""
    if may("judge") or may("assign"):
        verdict(log, told, seen, who)
    if may("suppress"):
        if standing.asked(datetime.now(UTC).date(), who):
            answer(log, told, seen, who)
        with st.expander(t("page.review.suppress")):
            suppress(log, told, seen, who)
    if may("appeal"):
        with st.expander(t("page.review.appeal")):
            appeal(log, told, who)


def marks(standing: review.Standing) -> None:
    """The state and all that qualifies it, as badges."""
    today = datetime.now(UTC).date()
    told = [t(f"word.{standing.state}")]
    if standing.waiting:
        told.append(t("word.waiting"))
    for mark, entry, on in (("suppressed", standing.suppression, standing.suppressed(today)), ("asked", standing.request, standing.asked(today))):
        if entry and on:
            told.append(t(f"page.review.{mark}", **{k: entry.told[k] for k in ("until", "approver")}))
    if standing.appeal:
        told.append(t("word.appealed"))
    if standing.assignee:
        told.append(t("page.named", name=t("column.assignee"), value=standing.assignee))
    # A badge is Markdown, and people's names stand in these.
    paragraph(" · ".join(told))
    if standing.stale:
        st.warning(t("page.review.stale"))


def seen_at(finding: str, now: int) -> int:
    """What the page showed when it was drawn last, not what came after: that is what a verdict answers."""
    key = f"review_seen_{finding}"
    seen = st.session_state.get(key, now)
    st.session_state[key] = now
    return int(seen)


def save(finding: str, write: Callable[..., object], *args: object) -> None:
    """Write, and draw the page anew; or say why not."""
    if wrote(write, *args) is not None:
        st.session_state.pop(f"review_seen_{finding}", None)
        st.rerun()


def verdict(log: review.Reviews, told: explain.Explained, seen: int, who: str, blind: bool = False) -> None:
    """The form for a verdict; for who may only give tasks, one with nothing but the task. `seen`: see `seen_at`; `who` sends it."""
    finding, states = told.finding["finding_id"], review.DECIDED if blind else review.STATES if may("judge") else ("claimed",)
    with st.form(f"review_{finding}", clear_on_submit=False):
        left, right = st.columns(2)
        words = {s: t(f"word.{s}") for s in states}
        usual = states.index("confirmed") if "confirmed" in states else 0
        state = left.selectbox(t("column.state"), states, index=usual, format_func=words.__getitem__, key=f"review_state_{finding}")
        assignee = right.text_input(t("column.assignee"), key=f"review_assignee_{finding}") if may("assign") and not blind else ""
        comment = st.text_area(t("column.comment"), key=f"review_comment_{finding}", max_chars=review.LONGEST_COMMENT)
        sent = st.form_submit_button(t("page.review.save"), key=f"review_save_{finding}")
    if not sent:
        return
    user = me()
    access.require(user, "assign" if state == "claimed" and not may("judge") else "judge")
    if assignee.strip():
        access.require(user, "assign")
    whose = person(assignee, "judge")
    if whose is None:
        return
    if blind:
        save(finding, log.judge_blind, finding, who, state, comment)
    else:
        save(finding, log.decide, finding, who, state, comment, whose, seen, user.two_level)


def suppress(log: review.Reviews, told: explain.Explained, seen: int, who: str) -> None:
    finding = told.finding["finding_id"]
    with st.form(f"suppress_{finding}"):
        left, right = st.columns(2)
        until = left.date_input(t("column.until"), datetime.now(UTC).date() + timedelta(days=30), key=f"suppress_until_{finding}")
        approver = right.text_input(t("column.approver"), key=f"suppress_approver_{finding}")
        comment = st.text_area(t("column.comment"), key=f"suppress_comment_{finding}", max_chars=review.LONGEST_COMMENT)
        sent = st.form_submit_button(t("page.review.suppress"), key=f"suppress_save_{finding}")
    if sent:
        access.require(me(), "suppress")
        if (by := person(approver, "suppress")) is not None:
            save(finding, log.suppress, finding, who, comment, by, until, seen)


def answer(log: review.Reviews, told: explain.Explained, seen: int, who: str) -> None:
    """The form of who was asked to approve a suppression."""
    finding = told.finding["finding_id"]
    with st.form(f"answer_{finding}"):
        comment = st.text_area(t("column.comment"), key=f"answer_comment_{finding}", max_chars=review.LONGEST_COMMENT)
        left, right = st.columns(2)
        granted = left.form_submit_button(t("page.review.approve"), key=f"approve_{finding}")
        refused = right.form_submit_button(t("page.review.refuse"), key=f"refuse_{finding}")
    if granted or refused:
        access.require(me(), "suppress")
        save(finding, log.answer, finding, who, granted, comment, seen)


def appeal(log: review.Reviews, told: explain.Explained, who: str) -> None:
    finding = told.finding["finding_id"]
    with st.form(f"appeal_{finding}"):
        comment = st.text_area(t("column.comment"), key=f"appeal_comment_{finding}", max_chars=review.LONGEST_COMMENT)
        sent = st.form_submit_button(t("page.review.appeal"), key=f"appeal_save_{finding}")
    if sent:
        access.require(me(), "appeal")
        save(finding, log.appeal, finding, who, comment)


def with_names(told: explain.Explained) -> tuple[explain.Explained, bool]:
    """The finding with the names of its people covered in texts and facts, or, once revealed, shown; whether they are."""
    agents = sorted({entry["agent_id"] for entry in told.ledger if entry["agent_id"]})
    # A ledger may go over several cases of a person.
    hidden = ask(access.names, sorted({told.finding["case_id"], *(entry["case_id"] for entry in told.ledger)}), agents)
    if reveal("finding", told.finding["finding_id"], hidden):
        shown_as = told.case.get("debtor_name")
        return replace(told, case=told.case | {"debtor_name": " / ".join(name for pseudonym, name in hidden if pseudonym == shown_as) or shown_as}), True
    return replace(told, ledger=access.veiled(told.ledger, [name for _, name in hidden])), False


def around(told: explain.Explained, revealed: bool) -> None:
    """What else was done in the case in the week of the finding; a row opens the finding of that contact."""
    day = told.finding["on_date"]
    if day is None:
        st.caption(t("page.around.undated"))
        return
    monday = day - timedelta(days=day.weekday())
    week = {"case": [told.finding["case_id"]], "since": [monday.isoformat()], "until": [(monday + timedelta(days=6)).isoformat()]}
    evidence = {entry["contact_id"] for entry in told.ledger}
    every, total = ask(summary.contacts, week, WEEK, 0)
    rows = [r for r in every if r["contact_id"] not in evidence]
    st.caption(t("page.around.help", since=monday.isoformat(), until=week["until"][0], shown=len(rows), total=total))
    if not rows:
        return
    titles = {r["rule"]: r[f"title_{lang()}"] for r in ask_once(summary.by_rule)}
    rows = rows if revealed else covered(rows)
    lines = [r | {"broken": t("page.comma").join(titles[name] for name in (r["broken"] or "").split("|") if name)} for r in rows]
    open_picked(table(lines, AROUND, t("page.around"), on_select="rerun", selection_mode="single-row", key=f"around_{told.finding['finding_id']}"), rows)


def show(told: explain.Explained) -> None:
    st.header(plain(told.texts["title"][lang()]))
    badges(told.rule)
    st.caption(plain(f"{told.finding['rule']} · {told.finding['finding_id']}"))
    if st.button(t("page.open_case", case=plain(told.finding["case_id"])), key="finding_case"):
        st.session_state["case_id"] = told.finding["case_id"]
        st.switch_page(PAGES / "case.py")
    told, revealed = with_names(told)
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
    st.subheader(t("page.around"))
    around(told, revealed)
    st.subheader(t("explain.remedy"))
    paragraph(told.texts["remedy"][lang()])
    st.subheader(t("explain.not_covered"))
    paragraph(told.texts["not_covered"][lang()])
    st.subheader(t("explain.sql"))
    st.code(told.sql, language="sql", wrap_lines=True, height=320)


def main() -> None:
    st.title(t("page.finding"))
    if "finding_id" not in st.session_state and (asked := st.query_params.get("finding")):
        # An address that somebody kept or sent, or the page that was loaded anew.
        st.session_state["finding_id"] = asked
    if "finding_id" not in st.session_state:
        go(0)
    if "finding_id" not in st.session_state:
        st.info(t("page.no_findings"))
        return
    st.query_params["finding"] = st.session_state["finding_id"]
    steps(ask(summary.findings, *query(), 0, 0)[1])
    try:
        told = ask(explain.explain, st.session_state["finding_id"])
    except UsageError as error:
        st.info(sentence(error))
        return
    show(told)


main()
