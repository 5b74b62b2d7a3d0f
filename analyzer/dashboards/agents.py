"""Agents: who needs coaching, on what, shown on his own contacts. Never a bare ranking: each rate with its interval and its team."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import altair as alt
import streamlit as st

from analyzer import access, review, summary
from analyzer.dashboards._blocks import BLUE, GREY, RED, Row, ask, ask_once, draw, field, lang, of, open_picked, percent, plain, run_path, t, table, undecided
from analyzer.dashboards._identity import may
from analyzer.dashboards._writing import actor, sent

COLUMNS = ("agent_id", "name", "team", "vendor", "contacts", "breaching_contacts", "undetermined", "share", "interval", "expected", "change")
RULES = ("title", "severity", "findings", "breaching_contacts", "judged", "undetermined", "share", "team_share", "rule")
TASKS = ("task", "comment", "since", "earlier", "from_then", "due", "state", "title", "check_note", "actor")
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
    data = [{"agent": f"{r['agent_id']} {r['name'] or ''}".strip(), **{k: r[k] for k in ("rate", "low", "high", "expected", "contacts", "breaching_contacts", "undetermined")}} for r in rows[:40]]
    base = alt.Chart(alt.InlineData(values=data), height=70 + 24 * len(data)).encode(y=alt.Y("agent:N", title=None, sort=[d["agent"] for d in data], axis=alt.Axis(labelLimit=220)))
    low = alt.X("low:Q", title=t("column.rate"), axis=alt.Axis(format="%"))
    tips = [alt.Tooltip("agent:N", title=field("agent")), *(alt.Tooltip(f"{k}:Q", title=field(k), format=".1%") for k in ("rate", "expected")), *(alt.Tooltip(f"{k}:Q", title=field(k), format=",") for k in ("breaching_contacts", "contacts", "undetermined"))]
    lines = base.mark_rule(color=GREY, strokeWidth=3).encode(x=low, x2="high:Q", tooltip=tips)
    points = base.mark_point(filled=True, size=70, color=BLUE).encode(x="rate:Q", tooltip=tips)
    draw(lines + points + base.mark_tick(color=RED, thickness=3, size=16).encode(x="expected:Q", tooltip=tips), t("page.agents_spread"))
    st.caption(t("page.agents_help"))


def today() -> date:
    return datetime.now(UTC).date()


def result_of(task: review.Task) -> str:
    """Where a coaching task stands."""
    if task.result:
        return t(f"word.checked_{task.result}")
    return t("word.task_due" if task.is_due(today()) else "word.task_open")


def before_and_since(task: review.Task, titles: dict[str, str]) -> Row:
    """A coaching task with the collector's rate before it and since."""
    told = ask(summary.agent_around, task.agent_id, task.rule, date.fromisoformat(task.since))
    since = of(told["breaching_contacts_since"], told["contacts_since"])
    if told["rate_since"] is not None:
        since += f" [{percent(told['low_since'])} - {percent(told['high_since'])}]"
    return {
        "task": task.task, "title": titles.get(task.rule, task.rule) or t("page.all"), "comment": task.comment, "since": date.fromisoformat(task.since), "due": date.fromisoformat(task.due),
        "earlier": of(told["breaching_contacts"], told["contacts"]), "from_then": since, "state": result_of(task), "check_note": task.note, "actor": task.actor,
    }  # fmt: skip


def coaching(log: review.Reviews, tasks: list[review.Task], agent: str, rules: list[Row]) -> None:
    """The coaching tasks of a collector, each with the figures before and since; the forms that set one and say what a re-check came to."""
    st.subheader(t("page.coaching"))
    tasks = [task for task in tasks if task.agent_id == agent]
    titles = {r["rule"]: r[f"title_{lang()}"] for r in ask_once(summary.by_rule)}
    if tasks:
        table([before_and_since(task, titles) for task in tasks], TASKS, t("page.coaching"))
        st.caption(t("page.coaching.help"))
    else:
        st.write(t("page.coaching.none"))
    if not may("coach"):
        return
    run_id, who = ask_once(summary.run)["run_id"], actor()
    with st.expander(t("page.coaching.set")), st.form(f"coach_{agent}"):
        one, two, three = st.columns(3)
        choices = {"": t("page.all")} | {r["rule"]: r["title"] for r in rules}
        rule = one.selectbox(t("column.rule"), list(choices), index=min(1, len(choices) - 1), format_func=choices.__getitem__, key=f"coach_rule_{agent}")
        since = two.date_input(t("column.since"), today(), key=f"coach_since_{agent}", format="YYYY-MM-DD")
        due = three.date_input(t("column.due"), today() + timedelta(days=14), key=f"coach_due_{agent}", format="YYYY-MM-DD")
        comment = st.text_area(t("page.coaching.agreed"), key=f"coach_comment_{agent}", max_chars=review.LONGEST_COMMENT)
        pressed = st.form_submit_button(t("page.coaching.set"), key=f"coach_send_{agent}")
    if pressed:
        sent("coach", lambda _: log.coach(run_id, who, agent, comment, since, due, rule))
    still = [task for task in tasks if not task.result]
    if still:
        recheck(log, agent, still, run_id, who)


def recheck(log: review.Reviews, agent: str, tasks: list[review.Task], run_id: str, who: str) -> None:
    """The form that says what the re-check of a task came to."""
    with st.expander(t("page.coaching.check"), expanded=any(task.is_due(today()) for task in tasks)), st.form(f"check_{agent}"):
        left, right = st.columns(2)
        words = {task.task: f"{task.task}: {task.comment[:60]}" for task in tasks}
        number = left.selectbox(t("page.coaching.task"), list(words), format_func=words.__getitem__, key=f"check_task_{agent}")
        results = {result: t(f"word.checked_{result}") for result in review.CHECKED}
        result = right.selectbox(t("column.result"), review.CHECKED, format_func=results.__getitem__, key=f"check_result_{agent}")
        comment = st.text_area(t("column.comment"), key=f"check_comment_{agent}", max_chars=review.LONGEST_COMMENT)
        pressed = st.form_submit_button(t("page.coaching.check"), key=f"check_send_{agent}")
    if pressed:
        sent("coach", lambda _: log.check_coaching(run_id, number, who, result, comment))


def say_due(tasks: list[review.Task], agents: set[str]) -> None:
    """Coaching tasks of the collectors in view whose re-check is due."""
    waiting = [task.agent_id for task in tasks if task.agent_id in agents and task.is_due(today())]
    if waiting:
        st.warning(plain(t("page.coaching.due", count=len(waiting), names=t("page.comma").join(sorted(set(waiting))))))


def one(agent: str, log: review.Reviews, tasks: list[review.Task], wanted: Any, elsewhere: bool) -> None:
    """A collector: by rule beside his team, by week, his coaching, and his own contacts to coach on. `elsewhere`: he worked in teams that are not in view."""
    st.header(plain(agent))
    if elsewhere:
        st.caption(t("page.agent_elsewhere"))
    with st.spinner(t("page.working")):
        outcomes = access.outcomes(run_path())
    rules = [r | {"title": r[f"title_{lang()}"], "share": percent(r["rate"]), "team_share": percent(r["team_rate"])} for r in ask(summary.agent_rules, agent, outcomes)]
    if rules:
        st.subheader(t("page.agent_rules"))
        table(rules, RULES, t("page.agent_rules"))
    weeks = ask(summary.agent_trend, agent, wanted)
    # A week without contacts has no rate: the line has a gap there.
    found = {r["since"]: {k: r[k] for k in ("rate", "contacts", "breaching_contacts", "undetermined")} for r in weeks}
    every = [min(found) + timedelta(days=7 * n) for n in range((max(found) - min(found)).days // 7 + 1)] if found else []
    data = [{"since": day.isoformat(), **found.get(day, {"rate": None, "contacts": 0, "breaching_contacts": 0, "undetermined": 0})} for day in every]
    st.subheader(t("page.agent_trend"))
    chart = alt.Chart(alt.InlineData(values=data), height=200).mark_line(point=True, color=BLUE).encode(
        x=alt.X("since:O", title=t("column.since"), axis=alt.Axis(labelAngle=0, labelOverlap=True)), y=alt.Y("rate:Q", title=t("column.rate"), axis=alt.Axis(format="%")),
        tooltip=[alt.Tooltip("since:N", title=field("since")), *(alt.Tooltip(f"{k}:Q", title=field(k)) for k in ("breaching_contacts", "contacts", "undetermined"))],
    )  # fmt: skip
    draw(chart, t("page.agent_trend"))
    coaching(log, tasks, agent, rules)
    filters = {"involved": [agent], "nature": ["breach"]}
    examples, total = ask(summary.findings, filters, "severity", EXAMPLES, 0)
    st.subheader(t("page.agent_examples"))
    if not total:
        st.write(t("page.no_findings"))
        return
    st.caption(t("page.agent_examples_help"))
    rows = [e | {"title": e[f"title_{lang()}"]} for e in examples]
    event = table(rows, ("severity", "title", "first_local", "case_id", "channel", "breaches", "measured", "finding_id"), t("page.agent_examples"), on_select="rerun", selection_mode="single-row", key=f"agent_findings_{agent}")
    open_picked(event, rows, 0, (filters, "severity"))


def main() -> None:
    st.title(t("page.agents"))
    wanted = undecided(ask_once(summary.totals)["contacts"])
    teams = ask(summary.teams)
    words = {"": t("page.all")} | {name: name for name in teams}
    team = st.selectbox(t("column.team"), list(words), format_func=words.__getitem__, key="agents_team", width=260) if teams else ""
    rows = ask(summary.agents, wanted, team)
    if not rows:
        st.info(t("page.no_agents"))
        return
    log = review.Reviews(run_path())
    tasks = log.coaching()
    say_due(tasks, {r["agent_id"] for r in rows})
    spread(rows)
    event = table([written(r) for r in rows], COLUMNS, t("page.agents"), on_select="rerun", selection_mode="single-row", key=f"agents_table_{team}")
    picked = event["selection"]["rows"]
    agent = rows[picked[0] if picked and picked[0] < len(rows) else 0]["agent_id"]
    one(agent, log, tasks, wanted, elsewhere=bool(team) and len(ask(summary.teams, agent)) > 1)


main()
