"""Findings: filter, sort, page through them in SQL, open one; saved views; the selection to take away."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import streamlit as st

from analyzer import access, review, summary
from analyzer.dashboards._blocks import (
    DATES,
    FILTERS,
    MORE_FILTERS,
    NATURE,
    ask,
    ask_once,
    filter_key,
    lang,
    named,
    open_picked,
    paragraph,
    plain,
    run_path,
    sentence,
    set_filters,
    standing,
    t,
    table,
)
from analyzer.dashboards._identity import blind_to, may, me
from analyzer.dashboards._taking import exported, whole_report
from analyzer.dashboards._views import LONGEST_NAME, View, Views
from analyzer.dashboards._writing import actor, person, wrote
from analyzer.errors import UsageError

SORTS = ("severity", "-time", "time", "rule", "-breaches")
COLUMNS = ("severity", "state", "title", "first_local", "case_id", "vendor", "agent_id", "channel", "breaches", "evidence", "measured", "permitted", "finding_id")
ROWS, MOST_NAMED = 50, 50
# What no finding is called.
NOWHERE = "-"
# What the selection can be taken away as: ending, and the kind of file that a browser is told.
FORMATS = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "zip": "application/zip"}
Filters = dict[str, list[str]]


def begin() -> None:
    """Fields that nothing has set yet: near misses are no breaches and are left out until somebody asks for them."""
    for name in (*FILTERS, *MORE_FILTERS):
        st.session_state.setdefault(filter_key(name), [])
    st.session_state.setdefault(filter_key(NATURE), ["breach"])
    for name in DATES:
        st.session_state.setdefault(filter_key(name), None)


def whole() -> None:
    set_filters({NATURE: ["breach"]})


def scope() -> Filters:
    """What is chosen beyond the fields, by whoever came from a figure; it can be lifted."""
    filters, label = st.session_state.get("findings_scope", ({}, ""))
    if filters:
        with st.container(horizontal=True, vertical_alignment="center"):
            paragraph(label)
            st.button(t("page.findings.whole"), on_click=whole, key="findings_whole")
    return dict(filters)


def choose(titles: dict[str, str]) -> tuple[Filters, str]:
    """The filters and the sort; the keys carry the run, since another run has other values. A value that no finding of this run has stays chosen and is named."""
    filters: Filters = {}
    nowhere: list[str] = []
    near = ask_once(summary.values, NATURE)
    places = [*st.columns(3), *st.columns(3)]
    rest = st.expander(t("page.findings.more"), expanded=any(st.session_state[filter_key(n)] for n in (*MORE_FILTERS, *DATES)))
    with rest:
        places[5:5] = [*st.columns(5), *st.columns(3)]
    for place, name in zip(places, (*FILTERS, *MORE_FILTERS, NATURE), strict=False):
        have = near if name == NATURE else ask_once(summary.values, name)
        key = filter_key(name)
        # Without it as an option the field would drop what came from a figure of nothing or a saved view, and the page would show everything.
        missing = [value for value in st.session_state[key] if value not in have]
        options = [*have, *missing]
        if name == NATURE and len(options) < 2:
            continue
        words = {value: titles.get(value, value) if name == "rule" else named(name, value or None) for value in options}
        nowhere += [t("page.named", name=t(f"column.{name}"), value=words[value]) for value in missing if name != NATURE]
        picked = place.multiselect(t(f"column.{name}"), options, key=key, placeholder=t("page.all"), persist_state="session", format_func=words.__getitem__, select_all=False)
        if picked:
            filters[name] = picked
    for place, name in zip(places[11:13], DATES, strict=True):
        day: date | None = place.date_input(t(f"page.findings.{name}"), key=filter_key(name), value=None, format="YYYY-MM-DD", persist_state="session")
        if day:
            filters[name] = [day.isoformat()]
    orders = {s: t(f"page.sort.{s}") for s in SORTS}
    if nowhere:
        st.warning(plain(t("page.findings.nowhere", values=t("page.comma").join(nowhere))))
    sort = places[-1].selectbox(t("page.sort"), SORTS, format_func=orders.__getitem__, key="findings_sort", persist_state="session")
    return filters, sort


def choose_state() -> str:
    """One of the states and marks of reviews; empty: any."""
    words = {"": t("page.all"), **{state: t(f"word.{state}") for state in (*review.STATES, *review.MARKS)}}
    return st.columns(3)[0].selectbox(t("column.state"), list(words), format_func=words.__getitem__, key="findings_state", persist_state="session")


def by_state(log: review.Reviews, filters: Filters, chosen: str) -> Filters:
    """The filters, narrowed to the findings that stand so; those that somebody has to review blind look untouched to him."""
    if not chosen:
        return filters
    hidden, today = set(log.blind_tasks(blind_to())), datetime.now(UTC).date()
    standings = {finding: one for finding, one in ask(log.all_standings).items() if finding not in hidden}
    if chosen == "open":
        touched = [finding for finding, one in standings.items() if one.state != "open"]
        return filters | ({summary.EXCEPT: sorted({*touched, *filters.get(summary.EXCEPT, [])})} if touched else {})
    fits = {finding for finding, one in standings.items() if one.state == chosen or chosen in one.marks(today)}
    asked = filters.get("finding")
    return filters | {"finding": sorted(fits if asked is None else fits & set(asked)) or [NOWHERE]}


def my_views() -> list[View]:
    user = me()
    return Views(run_path().parent).all(user.id, access.scope(user).everything)


def show_view() -> None:
    views = {v.name: v for v in my_views()}
    view = views.get(st.session_state["views_choice"])
    if view:
        set_filters(view.filters, t("page.views.named", name=view.name))
        st.session_state["findings_sort"] = view.sort


def forget_view() -> None:
    # Who may judge many at once keeps the shared views tidy; anybody else removes only his own.
    Views(run_path().parent).remove(st.session_state["views_choice"], me().id, may("bulk"))
    st.session_state["views_choice"] = None


def keep_view(filters: Filters, sort: str) -> None:
    try:
        Views(run_path().parent).save(View(st.session_state["views_name"], filters, sort, me().id))
    except UsageError as error:
        st.session_state["views_error"] = error
        return
    st.session_state["views_choice"], st.session_state["views_name"] = st.session_state["views_name"].strip(), ""


def views(filters: Filters, sort: str) -> None:
    have = [v.name for v in my_views()]
    with st.popover(t("page.views")):
        if have:
            st.selectbox(t("page.views.choose"), have, index=None, key="views_choice", on_change=show_view, placeholder=t("page.views.none_chosen"))
            st.button(t("page.views.forget"), on_click=forget_view, disabled=not st.session_state.get("views_choice"), key="views_forget")
        else:
            st.caption(t("page.views.empty"))
        st.text_input(t("page.views.name"), key="views_name", max_chars=LONGEST_NAME)
        st.button(t("page.views.save"), on_click=keep_view, args=(filters, sort), key="views_save")
        error = st.session_state.pop("views_error", None)
        if error:
            st.error(sentence(error))


def take_away(path: Path, filters: Filters) -> None:
    st.subheader(t("page.export"))
    # The report prints its selection; a scope that names its findings one by one has no end.
    long = any(len(filters.get(name, [])) > MOST_NAMED for name in ("finding", summary.EXCEPT))
    with st.container(horizontal=True):
        st.download_button(
            t("page.report"), partial(whole_report, path, lang(), filters, me()), f"{path.stem}-{lang()}.html", "text/html", key="findings_report", on_click="ignore",
            disabled=long, help=t("page.export.too_many", most=MOST_NAMED) if long else None,
        )  # fmt: skip
        for ending, kind in FORMATS.items():
            st.download_button(t(f"page.export.{ending}"), partial(exported, path, ending, filters, me()), f"{path.stem}.{ending}", kind, key=f"findings_{ending}", on_click="ignore")
    st.caption(t("page.export.help" if may("reveal") else "page.export.help_covered"))


def judge_all(path: Path, filters: Filters, total: int) -> None:
    """One verdict, or one suppression, with one reason for all that are listed, on every page of the list."""
    log, user = review.Reviews(path), me()
    with st.expander(t("page.bulk", total=f"{total:,}")):
        st.caption(t("page.bulk.help"))
        who = actor()
        with st.form("bulk_judge"):
            left, right = st.columns(2)
            words = {state: t(f"word.{state}") for state in review.STATES}
            state = left.selectbox(t("column.state"), review.STATES, index=review.STATES.index("confirmed"), format_func=words.__getitem__, key="bulk_state")
            assignee = right.text_input(t("column.assignee"), key="bulk_assignee")
            comment = st.text_area(t("column.comment"), key="bulk_comment", max_chars=review.LONGEST_COMMENT)
            sent = st.form_submit_button(t("page.bulk.judge"), key="bulk_send")
        if sent:
            access.require(user, "bulk")
            if (whose := person(assignee, "judge")) is not None:
                told(wrote(log.decide_all, filters, who, state, comment, whose, user.two_level))
        if not may("suppress"):
            return
        with st.form("bulk_suppress"):
            left, right = st.columns(2)
            until = left.date_input(t("column.until"), datetime.now(UTC).date() + timedelta(days=30), key="bulk_until", format="YYYY-MM-DD")
            approver = right.text_input(t("column.approver"), key="bulk_approver")
            reason = st.text_area(t("column.comment"), key="bulk_reason", max_chars=review.LONGEST_COMMENT)
            sent = st.form_submit_button(t("page.bulk.suppress"), key="bulk_suppress_send")
        if sent:
            access.require(user, "suppress")
            if (by := person(approver, "suppress")) is not None:
                told(wrote(log.suppress_all, filters, who, reason, by, until))


def told(done: review.Bulk | None) -> None:
    """What was done to many, said once the list is drawn anew."""
    if done is not None:
        st.session_state["bulk_told"] = t("talk.reviewed", written=len(done.written), left=done.left)
        st.rerun()


def main() -> None:
    st.title(t("page.findings"))
    if said := st.session_state.pop("bulk_told", None):
        st.success(said)
    path = run_path()
    titles = {r["rule"]: r[f"title_{lang()}"] for r in ask_once(summary.by_rule)}
    begin()
    beyond = scope()
    filters, sort = choose(titles)
    filters |= beyond
    state = choose_state()
    # A view keeps what was asked for, not the findings that stand so today.
    views(filters | ({"state": [state]} if state else {}), sort)
    filters = by_state(review.Reviews(path), filters, state)
    _, total = ask(summary.findings, filters, sort, 0, 0)
    if not total:
        st.info(t("page.no_findings"))
        return
    # A key of its own for each question: another question starts at its first page.
    asked = f"{path.stem}_{sort}_{hash(str(sorted(filters.items())))}"
    pages = -(-total // ROWS)
    above = st.container()
    page = st.pagination(pages, key=f"findings_page_{asked}", persist_state="session") if pages > 1 else 1
    offset = (page - 1) * ROWS
    rows, _ = ask(summary.findings, filters, sort, ROWS, offset)
    standings = review.Reviews(path).standings(rows, blind_to=blind_to())
    rows = [r | {"title": titles[r["rule"]], "state": standing(standings[r["finding_id"]])} for r in rows]
    with above:
        st.caption(t("page.range", first=offset + 1, last=offset + len(rows), total=total))
        event = table(rows, COLUMNS, t("page.findings"), on_select="rerun", selection_mode="single-row", key="findings_table", height=560 if len(rows) > 14 else "auto")
    if may("bulk"):
        judge_all(path, filters, total)
    if may("export"):
        take_away(path, filters)
    open_picked(event, rows, offset, (filters, sort))


main()
