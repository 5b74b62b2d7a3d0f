"""Review: what waits for somebody, blind second reviews, and the queue of contacts in which nothing was found."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import streamlit as st

from analyzer import review, summary
from analyzer.dashboards._blocks import Row, ask, covered, facts, lang, open_picked, paragraph, percent, plain, quote, run_path, standing, t, table
from analyzer.dashboards._identity import blind_to, may
from analyzer.dashboards._writing import actor, sent

COLUMNS = ("severity", "state", "title", "first_local", "case_id", "vendor", "agent_id", "assignee", "finding_id")
SUPPRESSION = ("until", "approver", "comment")
BLIND = ("severity", "title", "first_local", "case_id", "channel", "finding_id")
CONTACT = ("contact_id", "local_at", "case_id", "agent_id", "vendor", "channel", "direction", "outcome", "relation", "dpd")
# The first so many of a list; who works through it sees the rest come up.
ROWS = 200


def his(one: review.Standing, who: str) -> bool:
    """Whether a finding is somebody's task: given to him, or claimed by him and given to nobody else."""
    if one.assignee:
        return review.same_person(one.assignee, who)
    return one.state == "claimed" and one.entry is not None and one.entry.by(who)


def waits(who: str) -> Mapping[str, Callable[[review.Standing], bool]]:
    """The lists of what waits, by name."""
    today = datetime.now(UTC).date()
    return {
        "mine": lambda one: his(one, who) and not one.decided,
        "second": lambda one: one.waiting and one.entry is not None and not one.entry.by(who),
        "appealed": lambda one: one.appeal is not None,
        "stale": lambda one: one.stale,
        "escalated": lambda one: one.state == "escalated",
        "asked": lambda one: one.asked(today, who),
        "requested": lambda one: one.asked(today) and one.request is not None and one.request.by(who),
        "suppressed": lambda one: one.suppressed(today),
    }


def waits_for(one: review.Standing) -> Row:
    """What is told of a suppression, or of the request for one."""
    entry = one.suppression or one.request
    return {"until": entry.told["until"], "approver": entry.told["approver"], "comment": entry.comment} if entry else dict.fromkeys(SUPPRESSION, "")


def waiting(log: review.Reviews) -> None:
    who = actor()
    hidden = set(log.blind_tasks(blind_to()))
    standings = {finding: one for finding, one in ask(log.all_standings).items() if finding not in hidden}
    lists = {name: [finding for finding, one in standings.items() if fits(one)] for name, fits in waits(who).items()}
    words = {name: f"{t(f'page.review.waits_{name}')} {len(found):,}" for name, found in lists.items()}
    chosen = st.segmented_control(t("page.review.waiting"), list(lists), format_func=words.__getitem__, default="mine", key="review_list", persist_state="session", label_visibility="collapsed") or "mine"
    ids = sorted(lists[chosen])
    if not ids:
        st.write(t("page.review.waits_none"))
        return
    filters = {"finding": ids}
    rows, total = ask(summary.findings, filters, "severity", ROWS, 0)
    told = [r | {"title": r[f"title_{lang()}"], "state": standing(standings[r["finding_id"]]), "assignee": standings[r["finding_id"]].assignee} | waits_for(standings[r["finding_id"]]) for r in rows]
    st.caption(t("page.range", first=1, last=len(rows), total=total))
    event = table(told, (*COLUMNS[:-1], *(SUPPRESSION if chosen in ("asked", "requested", "suppressed") else ()), COLUMNS[-1]), t("page.review.waiting"), on_select="rerun", selection_mode="single-row", key=f"review_waiting_{chosen}")
    open_picked(event, told, 0, (filters, "severity"))
    if chosen == "asked" and may("suppress"):
        answer_all(log, ids, who)


def answer_all(log: review.Reviews, ids: list[str], who: str) -> None:
    """One word on all suppressions that wait for somebody."""
    with st.form("review_answer"):
        comment = st.text_area(t("column.comment"), key="review_answer_comment", max_chars=review.LONGEST_COMMENT)
        left, right = st.columns(2)
        granted = left.form_submit_button(t("page.review.approve_all", total=f"{len(ids):,}"), key="review_approve_all")
        refused = right.form_submit_button(t("page.review.refuse_all", total=f"{len(ids):,}"), key="review_refuse_all")
    if granted or refused:
        sent("suppress", log.answer_all, {"finding": ids}, who, granted, comment)


def blind(log: review.Reviews) -> None:
    who = actor()
    agreed = log.agreement()
    if agreed.pairs:
        st.write(t("talk.agreement", pairs=agreed.pairs, agree=agreed.agree, rate=percent(agreed.rate), kappa="-" if agreed.kappa is None else f"{agreed.kappa:.2f}"))
    tasks = log.blind_tasks(who)
    if tasks:
        filters = {"finding": tasks}
        rows, _ = ask(summary.findings, filters, "severity", ROWS, 0)
        told = [r | {"title": r[f"title_{lang()}"]} for r in rows]
        event = table(told, BLIND, t("page.review.blind_tasks"), on_select="rerun", selection_mode="single-row", key="review_blind")
        open_picked(event, told, 0, (filters, "severity"))
    else:
        st.write(t("page.review.blind_none"))
    if not may("sample"):
        return
    with st.form("blind_draw"):
        left, right = st.columns(2)
        size = left.number_input(t("column.size"), 1, 10_000, 20, key="blind_size")
        seed = right.text_input(t("page.review.seed"), key="blind_seed", help=t("page.review.seed_help"))
        pressed = st.form_submit_button(t("page.review.blind_draw"), key="blind_send")
    if pressed:
        sent("sample", log.draw_blind, who, seed or str(secrets.randbelow(2**32)), size)


def unflagged(log: review.Reviews) -> None:
    who = actor()
    queues = {one.draw: one for one in log.queues()}
    if queues:
        words = {draw: t("page.review.queue", draw=draw, seed=one.seed, examined=one.examined, size=one.size) for draw, one in queues.items()}
        draw = st.selectbox(t("page.review.queues"), list(queues), format_func=words.__getitem__, key="queue_choice")
        examine(log, queues[draw], who)
    else:
        st.write(t("page.review.queue_none"))
    with st.form("queue_draw"):
        one, two, three, four = st.columns(4)
        size = one.number_input(t("column.size"), 0, 100_000, 0, key="queue_size", help=t("page.review.queue_size_help"))
        confidence = two.number_input(t("page.review.confidence"), 0.5, 0.999, 0.95, key="queue_confidence")
        tolerable = three.number_input(t("page.review.tolerable"), 0.001, 0.5, 0.05, format="%.3f", key="queue_tolerable")
        seed = four.text_input(t("page.review.seed"), key="queue_seed", help=t("page.review.seed_help"))
        pressed = st.form_submit_button(t("page.review.queue_draw"), key="queue_send")
    if pressed:
        sent("sample", log.draw_contacts, who, seed or str(secrets.randbelow(2**32)), size or None, confidence, tolerable)


def examine(log: review.Reviews, queue: review.Misses, who: str) -> None:
    """What a queue comes to, its next contact with a form, and those already examined."""
    if queue.examined:
        st.write(t(
            "talk.misses", draw=queue.draw, seed=plain(queue.seed), examined=queue.examined, size=queue.size, population=queue.population, deviations=queue.deviations,
            confidence=f"{100 * queue.confidence:g}", upper=percent(queue.upper), missed=queue.missed,
        ))  # fmt: skip
    every = log.queue(queue.draw)
    # Somebody who sees more may have drawn it, or it is of another run: each goes through what he sees of it.
    seen = ask(summary.known, [item for item, _ in every])
    items = [(item, result) for item, result in every if item in seen]
    if len(items) < len(every):
        st.info(t("page.review.queue_not_here", left=len(every) - len(items), size=len(every)))
    following = next((item for item, result in items if not result), None)
    if following is not None:
        contact(log, queue.draw, following, who)
    done = [{"contact_id": item, "result": t(f"word.result_{result}")} for item, result in items if result]
    if done:
        table(done[::-1], ("contact_id", "result"), t("page.review.queue_done"))


def contact(log: review.Reviews, draw: int, contact_id: str, who: str) -> None:
    """One contact of a queue, and the form that says whether something was missed in it."""
    row: Row = covered(ask(summary.contacts, {"contact": [contact_id]}, 1, 0)[0])[0]
    facts({name: row[name] for name in CONTACT})
    if row["text"]:
        quote("", row["text"], ())
    else:
        paragraph(t("page.texts_none"))
    with st.form(f"queue_{draw}_{contact_id}"):
        words = {result: t(f"word.result_{result}") for result in review.RESULTS}
        result = st.radio(t("column.result"), review.RESULTS, format_func=words.__getitem__, horizontal=True, key=f"queue_result_{draw}_{contact_id}")
        comment = st.text_area(t("column.comment"), key=f"queue_comment_{draw}_{contact_id}", max_chars=review.LONGEST_COMMENT)
        pressed = st.form_submit_button(t("page.review.queue_next"), key=f"queue_next_{draw}_{contact_id}")
    if pressed:
        sent("sample", lambda _: log.examine(draw, contact_id, who, result, comment))


# What each section asks of who opens it.
SECTIONS: dict[str, tuple[str, Callable[[review.Reviews], None]]] = {"waiting": ("view", waiting), "blind": ("judge", blind), "unflagged": ("sample", unflagged)}


def main() -> None:
    st.title(t("page.review"))
    sections = [name for name, (action, _) in SECTIONS.items() if may(action)]
    names = {name: t(f"page.review.tab_{name}") for name in sections}
    section = st.segmented_control(t("page.review"), sections, format_func=names.__getitem__, default=sections[0], key="review_section", persist_state="session", label_visibility="collapsed") or sections[0]
    st.caption(t(f"page.review.{section}_help"))
    SECTIONS[section][1](review.Reviews(run_path()))


main()
