"""Rulebook: every rule explained, what the rules cover, where policy and law clash, what other values would find, a bench for texts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

import altair as alt
import streamlit as st

from analyzer import compare, coverage, review, rules, scan, summary
from analyzer.dashboards._blocks import (
    BADGES,
    BLUE,
    GREY,
    Row,
    ask,
    ask_once,
    draw,
    facts,
    field,
    kept,
    lang,
    marked,
    named,
    of,
    open_contacts,
    open_findings,
    paragraph,
    percent,
    picked_row,
    plain,
    run_path,
    sentence,
    shown,
    t,
    table,
    whole_run,
)
from analyzer.errors import DunAuditError, RuleErrors
from analyzer.messages import keys, say_row
from analyzer.model import Outcome, Pack, Rule
from analyzer.text import TAKEN_BACK, Words, kept_words
from analyzer.text.second_reader import THIRD

SECTIONS = ("rules", "coverage", "conflicts", "what_if", "bench")
LISTED = ("title", "pack", "severity", "strength", "status", "findings", "judged", "rate", "undetermined", "serves", "rule")
CITATIONS = ("instrument", "clause", "known", "consulted", "note")
RECIPIENTS = ("self", "guarantor", "co_borrower", *sorted(THIRD))
KNOWS = {"yes": True, "no": False}
SIGNALS = ("label", "text", "why", "confidence", "speaker")
QUARTER = timedelta(minutes=15)
LONGEST_TEXT = 20_000
NOT_SAID = {*TAKEN_BACK.values(), "recipient owes or knows"}


@st.cache_resource(show_spinner=False, max_entries=1)
def all_packs() -> list[Pack]:
    return rules.select(rules.rules_folder())


def words() -> Words:
    return kept_words(rules.lexicon_folder(rules.rules_folder()))


# Rules
def results() -> dict[str, Row]:
    """What the run says of each rule it used."""
    return {r["rule"]: r for r in ask_once(summary.by_rule)}


def the_rules(packs: list[Pack]) -> None:
    told = results()
    left, right = st.columns(2)
    titles = {"": t("page.all")} | {p.id: p.title.in_(lang()) for p in packs}
    pack = left.selectbox(t("column.pack"), list(titles), format_func=titles.__getitem__, key="rulebook_pack")
    asked = right.text_input(t("page.rulebook.search"), key="rulebook_search").strip().casefold()
    have = [r for p in packs if pack in ("", p.id) for r in p.rules if asked in f"{r.ref} {r.title.zh} {r.title.en} {' '.join(r.serves)}".casefold()]
    if not have:
        st.info(t("page.rulebook.none"))
        return
    # Those that found most stand first, then those that were used.
    have.sort(key=lambda r: (-told[r.ref]["findings"], -told[r.ref]["judged"], r.ref) if r.ref in told else (1, 0, r.ref))
    lines = [
        {"rule": r.ref, "title": r.title.in_(lang()), "pack": r.pack, "severity": r.severity, "strength": r.strength, "status": r.status, "serves": ", ".join(r.serves)}
        | {name: told[r.ref][name] if r.ref in told else None for name in ("findings", "judged", "rate", "undetermined")}
        for r in have
    ]  # fmt: skip
    st.caption(t("page.rulebook.count", shown=len(have), total=sum(len(p.rules) for p in packs), used=len(told)))
    picked = picked_row(table(lines, LISTED, t("page.rulebook.rules"), on_select="rerun", selection_mode="single-row", key="rulebook_table", height=320 if len(lines) > 8 else "auto"), lines)
    if picked:
        st.session_state["rulebook_rule"] = picked["rule"]
    refs = [r.ref for r in have]
    chosen = st.session_state.get("rulebook_rule")
    explain_rule(have[refs.index(chosen) if chosen in refs else 0], told)


def explain_rule(rule: Rule, told: dict[str, Row]) -> None:
    st.header(plain(rule.title.in_(lang())))
    with st.container(horizontal=True):
        for name in ("severity", "strength", "effect", "status"):
            colour: Any = BADGES[rule.severity] if name == "severity" else "blue"
            st.badge(t("page.named", name=field(name), value=shown(name, getattr(rule, name))), color=colour)
    st.caption(plain(f"{rule.ref} · {t('page.comma').join(say_row(row, lang()) for row in rule.serves)}"))
    for key, text in (("explain.why", rule.why), ("explain.remedy", rule.remedy), ("explain.not_covered", rule.not_covered)):
        st.subheader(t(key))
        paragraph(text.in_(lang()))
    st.subheader(t("explain.clause"))
    cited: list[Row] = [
        {"instrument": c.instrument.in_(lang()), "clause": c.clause.in_(lang()), "known": c.known, "consulted": c.consulted, "note": c.note.in_(lang()) if c.note else None}
        for c in rule.citations
    ]
    table(cited, [n for n in CITATIONS if any(c[n] for c in cited)], t("explain.clause"))
    in_run(rule, told.get(rule.ref))
    by_date(rule)
    cases(rule)


def in_run(rule: Rule, row: Row | None) -> None:
    st.subheader(t("page.rulebook.in_run"))
    if row is None:
        st.caption(t("page.rulebook.not_used"))
        return
    if ask_once(summary.rule_digests).get(rule.ref) != rule.digest:
        st.warning(t("page.rulebook.stale"))
    table([row | {"rule": rule.ref}], ("findings", *(o.value for o in Outcome), "judged", "rate"), t("page.rulebook.in_run"))
    if row["reason"]:
        paragraph(row["reason"])
    precision(rule)
    with st.container(horizontal=True):
        if row["findings"] and st.button(t("page.rulebook.open_findings", findings=row["findings"]), key="rulebook_findings"):
            open_findings({"rule": [rule.ref]})
        if row["undetermined"] and st.button(t("page.rulebook.open_undetermined", contacts=row["undetermined"]), key="rulebook_undetermined"):
            open_contacts({"rule": [rule.ref], "outcome": ["undetermined"]}, t("page.contacts.undetermined", title=rule.title.in_(lang())))


def precision(rule: Rule) -> None:
    """How many of the findings that somebody has judged were right; of too few nothing is told but how many."""
    told = next((r for r in ask(review.Reviews(run_path()).precision) if r["rule"] == rule.ref), None)
    if told is None:
        st.caption(t("page.rulebook.unjudged"))
    elif told["low"] is None:
        st.caption(t("page.rulebook.few_judged", verdicts=told["verdicts"], stale=told["stale"], least=review.SMALLEST_SAMPLE))
    else:
        share = of(told["right"], told["verdicts"])
        st.write(t("page.rulebook.precision", share=share, low=percent(told["low"]), high=percent(told["high"]), stale=told["stale"]))


def by_date(rule: Rule) -> None:
    st.subheader(t("page.rulebook.values"))
    facts({"in_force": rule.in_force, "until": rule.until})
    rows = [{"value": name, "since": day, "text": t("page.rulebook.no_limit") if value is None else str(value)} for name, spans in rule.values.items() for day, value in spans]
    if rows:
        table([{"value": r["value"], "since": shown("since", r["since"]), "holds": r["text"]} for r in rows], ("value", "since", "holds"), t("page.rulebook.values"))
    else:
        st.caption(t("page.rulebook.no_values"))
    with st.expander(t("page.rulebook.check")):
        st.code(json.dumps(rule.check, ensure_ascii=False, indent=2, default=str), language="json", wrap_lines=True)


def cases(rule: Rule) -> None:
    st.subheader(t("page.rulebook.cases"))
    st.caption(t("page.rulebook.cases_help"))
    listed = [
        {"case_name": c["name"], "expect": t("page.rulebook.semicolon").join(f"{t(f'word.{outcome}')} {', '.join(ids)}" for outcome, ids in c["expect"].items()), "todo": bool(c["todo"])}
        for c in rule.cases
    ]
    row = picked_row(table(listed, ("case_name", "expect", *(("todo",) if any(c["todo"] for c in listed) else ())), t("page.rulebook.cases"), on_select="rerun", selection_mode="single-row", key=f"rulebook_cases_{rule.ref}"), [{"at": n} for n in range(len(listed))])
    case = rule.cases[row["at"] if row else 0]
    paragraph(case["name"])
    outcomes = {contact: t(f"word.{outcome}") for outcome, ids in case["expect"].items() for contact in ids}
    for name, given in case["given"].items():
        columns = list(dict.fromkeys(key for line in given for key in line))
        lines = [{key: told(line.get(key)) for key in columns} | ({"outcome_": outcomes.get(str(line.get("id")), "")} if name == "contacts" else {}) for line in given]
        st.caption(t(f"word.table_{name}") if f"word.table_{name}" in keys() else plain(name))
        st.dataframe([{**{key: line[key] for key in columns}, **({t("page.rulebook.expected"): line["outcome_"]} if "outcome_" in line else {})} for line in lines], hide_index=True, alt=name)


def told(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)


# Coverage
def the_coverage(packs: list[Pack]) -> None:
    rows, clauses = coverage.coverage(packs, ask_once(coverage.findings_by_rule))
    st.subheader(t("page.rulebook.by_row"))
    st.caption(t("page.rulebook.by_row_help"))
    by_row = [{"serves": say_row(r.row, lang()), "rules": len(r.rules), "cases": r.cases, "findings": r.findings} for r in rows]
    picked = picked_row(table(by_row, ("serves", "rules", "cases", "findings"), t("page.rulebook.by_row"), on_select="rerun", selection_mode="single-row", key="coverage_rows", height=320), [{"rules": r.rules, "findings": r.findings, "name": say_row(r.row, lang())} for r in rows])
    st.subheader(t("page.rulebook.by_clause"))
    counts = {how: sum(c.decided == how for c in clauses) for how in ("records", "words", "not_decided")}
    st.caption(t("page.rulebook.by_clause_help", total=len(clauses), **counts))
    titles = {"": t("page.all")} | {p.id: p.title.in_(lang()) for p in packs}
    left, right = st.columns(2)
    pack = left.selectbox(t("column.pack"), list(titles), format_func=titles.__getitem__, key="coverage_pack")
    ways = {"": t("page.all")} | {how: t(f"word.{how}") for how in counts}
    how = right.selectbox(t("column.decided"), list(ways), format_func=ways.__getitem__, key="coverage_decided")
    kept_clauses = [c for c in clauses if pack in ("", c.pack) and how in ("", c.decided)]
    lines = [
        {
            "clause": c.clause_zh if lang() == "zh" else c.clause_en, "known": None if c.known == "-" else c.known, "decided": c.decided, "rules": len(c.rules), "cases": c.cases,
            "findings": c.findings if c.rules else None, "pack": c.pack,
        }
        for c in kept_clauses
    ]  # fmt: skip
    if not lines:
        st.info(t("page.rulebook.none"))
        return
    clause = picked_row(table(lines, ("clause", "decided", "known", "rules", "cases", "findings", "pack"), t("page.rulebook.by_clause"), on_select="rerun", selection_mode="single-row", key=f"coverage_clauses_{pack}_{how}", height=420), [
        {"rules": c.rules, "findings": c.findings, "name": c.clause_zh if lang() == "zh" else c.clause_en} for c in kept_clauses
    ])  # fmt: skip
    chosen = clause or picked
    if chosen:
        serving(chosen)


def serving(chosen: Row) -> None:
    """The rules behind a row of the coverage map, and the way to their findings."""
    st.subheader(t("page.rulebook.serving"))
    paragraph(chosen["name"])
    if not chosen["rules"]:
        st.caption(t("page.rulebook.no_rules"))
        return
    known, used = {r.ref: r for p in all_packs() for r in p.rules}, results()
    lines = [{"rule": ref, "title": known[ref].title.in_(lang())} | {n: used[ref][n] if ref in used else None for n in ("findings", "breach", "clear", "undetermined")} for ref in chosen["rules"]]
    table(lines, ("title", "findings", "breach", "clear", "undetermined", "rule"), t("page.rulebook.serving"))
    if chosen["findings"] and st.button(t("page.rulebook.open_findings", findings=chosen["findings"]), key="coverage_findings"):
        open_findings({"rule": list(chosen["rules"])})


# Conflicts
def the_conflicts(packs: list[Pack]) -> None:
    st.caption(t("page.rulebook.conflicts_help"))
    key = ("conflicts", *(p.digest for p in packs))
    if key not in kept():
        if not st.button(t("page.rulebook.find_conflicts"), key="conflicts_find"):
            return
        bar = st.progress(0.0, t("page.working"))

        def progress(done: int, total: int) -> None:
            bar.progress(done / total, t("page.rulebook.case_of", done=done, total=total))

        kept()[key] = coverage.conflicts(packs, words(), progress)
        bar.empty()
    found = kept()[key]
    st.caption(t("talk.conflicts", conflicts=len(found)))
    titles = {r.ref: r.title.in_(lang()) for p in packs for r in p.rules}
    lines = [{"policy": titles[c.policy], "against": titles[c.against], "strength": c.strength, "case": c.case, "contacts": ", ".join(c.contacts)} for c in found]
    if lines:
        table(lines, ("policy", "against", "strength", "case", "contacts"), t("page.rulebook.conflicts"))


# What if
def parameters(rule: Rule) -> dict[str, int | str]:
    """What of a rule can be slid: numbers and times of day, with the value that holds last."""
    found: dict[str, int | str] = {}
    for name, value in ({k: v for k, v in rule.check.items() if k not in ("kind", "scope")} | {k: spans[-1][1] for k, spans in rule.values.items()}).items():
        if (isinstance(value, int) and not isinstance(value, bool)) or a_time(value):
            found[name] = value
    return found


def a_time(value: object) -> time | None:
    if not isinstance(value, str) or len(value) not in (5, 8):
        return None
    try:
        return time.fromisoformat(value)
    except ValueError:
        return None


def slide(name: str, value: int | str, key: str) -> int | str:
    label = t("page.rulebook.slide", name=plain(name), value=plain(str(value)))
    at = a_time(value)
    if at is not None:
        moved = st.slider(label, min_value=time(0, 0), max_value=time(23, 45), value=at.replace(second=0), step=QUARTER, format="HH:mm", key=key)
        return f"{moved:%H:%M}"
    return int(st.slider(label, min_value=0, max_value=max(10, 3 * int(value)), value=int(value), key=key))


@st.cache_data(max_entries=200, show_spinner=False)
def tried(path: str, changed: int, digest: str, ref: str, name: str, value: int | str) -> compare.WhatIf:
    written = f'"{value}"' if isinstance(value, str) else str(value)
    return compare.backtest(run_path(), rules.rules_folder(), [f"{ref}.{name}={written}"])[0]


def the_what_if(packs: list[Pack]) -> None:
    st.caption(t("page.rulebook.what_if_help"))
    used = results()
    can = {r.ref: r for p in packs for r in p.rules if r.ref in used and parameters(r)}
    titles = {ref: f"{rule.title.in_(lang())} ({ref})" for ref, rule in can.items()}
    if not can:
        st.info(t("page.rulebook.nothing_to_slide"))
        return
    order = sorted(can, key=lambda ref: (-used[ref]["findings"], ref))
    left, right = st.columns([2, 1])
    ref = left.selectbox(t("column.rule"), order, format_func=titles.__getitem__, key="what_if_rule")
    values = parameters(can[ref])
    name = right.selectbox(t("column.value"), list(values), key=f"what_if_value_{ref}")
    value = slide(name, values[name], f"what_if_{ref}_{name}")
    if not whole_run():
        return
    path = run_path()
    try:
        with st.spinner(t("page.working")):
            told_ = tried(str(path), path.stat().st_mtime_ns, can[ref].digest, ref, name, value)
    except RuleErrors as error:
        st.error(sentence(error))
        return
    show_tried(told_, ask(summary.rule_groups, ref))


def show_tried(tried_: compare.WhatIf, before: list[Row]) -> None:
    one, two = st.columns(2)
    one.metric(t("page.rulebook.findings_after"), f"{tried_.after:,}", delta=tried_.after - tried_.before, delta_color="off", border=True, help=t("page.rulebook.before", figure=f"{tried_.before:,}"))
    two.metric(t("page.rulebook.contacts_after"), f"{tried_.contacts_after:,}", delta=tried_.contacts_after - tried_.contacts_before, delta_color="off", border=True, help=t("page.rulebook.before", figure=f"{tried_.contacts_before:,}"))
    if tried_.stale:
        st.warning(t("talk.backtest_stale", rule=plain(tried_.rule)))
    groups: dict[tuple[str | None, str | None], dict[str, int]] = {}
    for kind, rows in (("as_is", before), ("added", tried_.added), ("removed", tried_.removed)):
        for row in rows:
            groups.setdefault((row["vendor"], row["team"]), {"as_is": 0, "added": 0, "removed": 0})[kind] += row["findings"]
    if not groups:
        st.write(t("page.rulebook.no_findings_either"))
        return
    lines: list[Row] = [{"vendor": named("vendor", vendor), "team": named("team", team), **counts, "after": counts["as_is"] + counts["added"] - counts["removed"]} for (vendor, team), counts in groups.items()]
    when = {"as_is": t("page.rulebook.as_is"), "after": t("page.rulebook.tried")}
    data = [{"group": f"{r['vendor']} · {r['team']}", "when": when[k], "findings": r[k]} for r in lines for k in when]
    chart = alt.Chart(alt.InlineData(values=data), height=90 + 44 * len(lines)).mark_bar().encode(
        x=alt.X("findings:Q", title=t("column.findings"), axis=alt.Axis(tickMinStep=1)), y=alt.Y("group:N", title=None, axis=alt.Axis(labelLimit=260)), yOffset=alt.YOffset("when:N", sort=list(when.values())),
        color=alt.Color("when:N", title=None, sort=list(when.values()), scale=alt.Scale(domain=list(when.values()), range=[GREY, BLUE]), legend=alt.Legend(orient="top")),
        tooltip=[alt.Tooltip("group:N", title=t("page.rulebook.group")), alt.Tooltip("when:N", title=t("page.rulebook.when")), alt.Tooltip("findings:Q", title=t("column.findings"))],
    )  # fmt: skip
    draw(chart, t("page.rulebook.what_if"))
    table(lines, ("vendor", "team", "as_is", "added", "removed", "after"), t("page.rulebook.what_if"))
    if sum(r["after"] for r in lines) != tried_.after:
        st.caption(t("page.rulebook.merged"))


# Bench
def why(text: str) -> str:
    """The steps of a reading in the language in view; what is a name or a figure stays."""
    if text.startswith("second reader "):
        score, _, grams = text.removeprefix("second reader ").partition(", from: ")
        return t("page.bench.suspected", score=score, grams=grams)
    place, _, steps = text.partition(": ")
    refused = steps.startswith("refused: ")
    said = [steps.removeprefix("refused: ")] if refused else steps.split(", ")
    known = {"cuts across a word": "across", "inside an innocent longer string, or said to somebody who owes": "innocent", "recipient owes or knows": "told"}
    parts = []
    for step in said:
        key = f"page.bench.{known.get(step, step)}"
        figures = step.removeprefix("second reader ").split(" of ")
        if step.startswith("second reader ") and len(figures) == 2:
            parts.append(t("page.bench.second_reader", score=figures[0], needed=figures[1]))
        else:
            parts.append(t(key) if key in keys() else step)
    name, _, detail = place.partition("/")
    where = f"{t(f'word.{name}') if f'word.{name}' in keys() else name}{f' / {detail}' if detail else ''}"
    return f"{where}{t('page.rulebook.semicolon')}{t('page.comma').join(p for p in parts if p)}"


def the_bench(_packs: list[Pack]) -> None:
    st.caption(t("page.bench.help"))
    with st.form("bench"):
        text = st.text_area(t("page.bench.text"), key="bench_text", height=160, max_chars=LONGEST_TEXT, placeholder=t("page.bench.placeholder"))
        left, right = st.columns(2)
        who = {name: t(f"word.{name}") for name in RECIPIENTS}
        recipient = left.selectbox(t("page.bench.recipient"), RECIPIENTS, format_func=who.__getitem__, key="bench_recipient")
        know = {"unknown": t("page.unknown"), "yes": t("page.yes"), "no": t("page.no")}
        knows = right.selectbox(t("page.bench.knows"), list(know), format_func=know.__getitem__, key="bench_knows")
        st.form_submit_button(t("page.bench.judge"), key="bench_judge")
    if not text.strip():
        return
    line = json.dumps({"text": text, "recipient": recipient, "third_party_knows_loan": KNOWS.get(knows)}).encode()
    with st.spinner(t("page.working")):
        verdict = scan.judge_messages(list(scan.read_messages([line])), words().lexicons, words().reader, why_not=True)[0]
    show_verdict(text, verdict)


def show_verdict(text: str, verdict: scan.Verdict) -> None:
    st.subheader(t("page.bench.labels"))
    if verdict.labels:
        with st.container(horizontal=True):
            for label in verdict.labels:
                st.badge(t(f"label.{label}"), color="red")
    else:
        st.write(t("page.bench.clean"))
    taken = [s for s in verdict.signals if s["label"] in verdict.labels and counts(s)]
    left_out = [s for s in verdict.signals if s not in taken]
    st.html(f'<div style="border-left:4px solid {GREY};padding:.2rem .8rem;white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.7">{marked(text, taken)}</div>')
    for key, found in (("page.bench.taken", taken), ("page.bench.left_out", left_out)):
        if found:
            st.subheader(t(key))
            table([s | {"label": t(f"label.{s['label']}"), "speaker": t(f"page.bench.speaker_{s['speaker']}"), "confidence": f"{s['confidence']:.2f}", "why": why(s["why"])} for s in found], SIGNALS, t(key))
    st.caption(t("page.bench.left_out_help"))
    if verdict.cut:
        st.warning(t("page.bench.cut"))


def counts(signal: Row) -> bool:
    """Whether a signal makes its label: not taken back or refused, and, where the words leave doubt, settled by the second reader."""
    steps = signal["why"].partition(": ")[2]
    if steps.startswith("refused") or NOT_SAID & set(steps.split(", ")) or signal["why"].startswith("second reader"):
        return False
    if signal["why"].startswith("personal_data/"):
        # One that is no conduct is given with a third of its score.
        return bool(signal["confidence"] > 0.34)
    doubt = re.search(r"second reader (\d\.\d+) of (\d\.\d+)", steps)
    return float(doubt[1]) >= float(doubt[2]) if doubt else "weak" not in steps.split(", ")


PAGES: dict[str, Callable[[list[Pack]], None]] = dict(zip(SECTIONS, (the_rules, the_coverage, the_conflicts, the_what_if, the_bench), strict=True))


def main() -> None:
    st.title(t("page.rulebook"))
    try:
        packs = all_packs()
    except DunAuditError as error:
        st.error(sentence(error))
        return
    names = {s: t(f"page.rulebook.{s}") for s in SECTIONS}
    section = st.segmented_control(t("page.rulebook"), SECTIONS, format_func=names.__getitem__, default=SECTIONS[0], key="rulebook_section", label_visibility="collapsed") or SECTIONS[0]
    PAGES[section](packs)


main()
