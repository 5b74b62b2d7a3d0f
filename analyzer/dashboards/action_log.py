"""Action log: who did what and when, and whether the chain is whole. Read only."""

from __future__ import annotations

from datetime import date, datetime

import streamlit as st

from analyzer import access, review, summary
from analyzer.dashboards._blocks import ask, ask_once, lang, open_picked, run_path, shown, t, table
from analyzer.dashboards._identity import blind_to, may, me
from analyzer.messages import keys

COLUMNS = ("seq", "at_utc", "actor", "kind", "object", "state", "title", "assignee", "comment", "run_id")
ROWS = 100
# What an entry about no finding was about: the parts of its detail.
OBJECTS = {"reveal": ("what", "item"), "export": ("format", "findings"), "contact": ("contact",), "coach": ("agent", "rule"), "coached": ("task",), "audit": ("files", "findings"), "blind_drawn": ("seed",), "contacts_drawn": ("seed",)}


def day_of(entry: review.Entry) -> date:
    return datetime.fromisoformat(entry.at_utc).date()


def chain(log: review.Reviews, entries: int) -> None:
    broken = log.verify()
    if broken is None:
        st.success(t("talk.log_whole", entries=f"{entries:,}"))
    else:
        st.error(t("talk.log_broken", entries=f"{entries:,}", at=broken))


def part(name: str, value: object) -> str:
    key = f"word.what_{value}"
    return t(key) if name == "what" and key in keys() else shown(name, value)


def thing(entry: review.Entry) -> str:
    """What was acted on."""
    return entry.finding_id or " · ".join(part(name, entry.told[name]) for name in OBJECTS.get(entry.kind, ()) if entry.told.get(name))


def result(entry: review.Entry) -> str:
    """What it came to: the words for contacts examined and for coaching are their own."""
    key = f"word.{ {'contact': 'result_', 'coached': 'checked_'}.get(entry.kind, '') }{entry.state}"
    return t(key) if key in keys() else entry.state


def his(entries: list[review.Entry]) -> list[review.Entry]:
    """Of whoever sees a part of the run only: what he did himself, and what was done to the findings, cases, contacts and collectors of that part."""
    user = me()
    if access.scope(user).everything:
        return entries
    agents = {e.seq: e.told["agent"] for e in entries if e.kind == "coach"}
    about = {e.seq: e.finding_id or e.told.get("item") or e.told.get("contact") or e.told.get("agent") or agents.get(e.told.get("task", 0), "") for e in entries}
    seen = ask(summary.known, sorted(set(about.values())))
    return [e for e in entries if e.by(user.id) or about[e.seq] in seen]


def choose(entries: list[review.Entry]) -> list[review.Entry]:
    """The entries that fit the filters."""
    one, two, three, four = st.columns(4)
    actors = one.multiselect(t("column.actor"), sorted({e.actor for e in entries}), key="log_actor", placeholder=t("page.all"), select_all=False)
    kinds = {e.kind: t(f"word.kind_{e.kind}") for e in entries}
    done = two.multiselect(t("page.action_log.action"), list(kinds), format_func=kinds.__getitem__, key="log_kind", placeholder=t("page.all"), select_all=False)
    words = {s: t(f"word.{s}") for s in review.STATES}
    states = three.multiselect(t("column.state"), [s for s in review.STATES if any(e.state == s for e in entries)], format_func=words.__getitem__, key="log_state", placeholder=t("page.all"), select_all=False)
    about = four.text_input(t("page.action_log.finding"), key="log_finding").strip()
    one, two, _ = st.columns(3)
    since = one.date_input(t("page.action_log.since"), value=None, key="log_since", format="YYYY-MM-DD")
    until = two.date_input(t("page.action_log.until"), value=None, key="log_until", format="YYYY-MM-DD")
    return [
        e for e in entries
        if (not actors or e.actor in actors) and (not done or e.kind in done) and (not states or e.state in states) and thing(e).startswith(about)
        and (not since or day_of(e) >= since) and (not until or day_of(e) <= until)
    ]  # fmt: skip


def main() -> None:
    st.title(t("page.action_log"))
    if not may("log"):
        st.info(t("access.denied_log"))
        return
    log = review.Reviews(run_path())
    whole = log.log()
    if whole:
        chain(log, len(whole))
    # Who is to give a second verdict without the first must not read it here either.
    blind = set(log.blind_tasks(blind_to()))
    mine = his(whole)
    entries = [e for e in mine if e.finding_id not in blind]
    if len(mine) < len(whole):
        st.caption(t("page.action_log.others", left=len(whole) - len(mine)))
    if len(entries) < len(mine):
        st.caption(t("page.action_log.blind", left=len(mine) - len(entries)))
    st.caption(t("page.action_log.help"))
    if not entries:
        st.info(t("page.action_log.empty"))
        return
    found = choose(entries)[::-1]
    if not found:
        st.info(t("page.action_log.none"))
        return
    pages = -(-len(found) // ROWS)
    above = st.container()
    page = st.pagination(pages, key=f"log_page_{len(found)}") if pages > 1 else 1
    listed = found[(page - 1) * ROWS : page * ROWS]
    here = {r["finding_id"] for r in ask(summary.digests, [e.finding_id for e in listed])}
    titles = {r["rule"]: r[f"title_{lang()}"] for r in ask_once(summary.by_rule)}
    rows = [
        {**vars(e), "seq": str(e.seq), "at_utc": datetime.fromisoformat(e.at_utc), "kind": t(f"word.kind_{e.kind}"), "object": thing(e), "state": result(e), "title": titles.get(e.rule, e.rule)}
        for e in listed
    ]  # fmt: skip
    with above:
        st.caption(t("page.action_log.range", first=(page - 1) * ROWS + 1, last=(page - 1) * ROWS + len(listed), total=f"{len(found):,}"))
        event = table(rows, COLUMNS, t("page.action_log"), on_select="rerun", selection_mode="single-row", key="log_table", height=560 if len(rows) > 14 else "auto")
    # A finding of another run is none of this one and cannot be opened here.
    open_picked(event, [r if r["finding_id"] in here else r | {"finding_id": ""} for r in rows])


main()
