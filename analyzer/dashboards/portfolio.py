"""Portfolio: delinquency rates beside breach rates, effort against repayment, the share of effort on M1."""

from __future__ import annotations

from typing import Any

import altair as alt
import streamlit as st

from analyzer import portfolio
from analyzer.dashboards._blocks import (
    BLUE,
    RED,
    Row,
    ask,
    ask_once,
    draw,
    field,
    lang,
    muted,
    named,
    of,
    open_case,
    paragraph,
    percent,
    sentence,
    shown,
    t,
    table,
)
from analyzer.errors import RuleErrors

RATES = ("month", "figure", "ratio", "complete", "numerator", "denominator", "unknown", "missing", "breaching", "in_class", "accounts", "on_date", "base_on")
EFFORT = ("contacts", "reached", "not_reached", "unknown", "case_weeks", "per_case_week", "repaid", "per_contact", "followed")
WEEKS = ("case_id", "week", "contacts", "repaid", "reached", "not_reached", "unknown", "channels", "account_class", "vendor", "team")
SHARE = ("on_class", "interval", "target", "time", "untimed", "reminders", "unknown")
READINGS = ("c_m1", "m1", "m2_accounts", "m2_money", "readings")
COLOURS = ("#3b7cb8", "#8e5fb0", "#8a7f2b", "#3f8f6b", "#c2334d")
LISTED = 50


def money(value: Any, figure: str | None = None) -> str:
    """Money to the cent; accounts as a whole number."""
    return "" if value is None else f"{value:,.0f}" if figure == portfolio.FIGURES[2] else f"{value:,.2f}"


def month(row: Row) -> str:
    return f"{row['month']:%Y-%m}"


def whose(by: str, row: Row) -> str:
    return named(by, row["value"]) if row["assigned"] else t("page.portfolio.nobody")


def figure(row: Row) -> str:
    return t("page.portfolio.inflow") if row["figure"] == portfolio.INFLOW else str(row["figure"])


def written(rows: list[Row]) -> list[Row]:
    comma = t("page.comma")
    return [
        r | {
            "month": month(r), "figure": figure(r), "ratio": percent(r["rate"]) or t("page.unknown"), "breaching": of(r["breaching_contacts"], r["contacts"]),
            "missing": comma.join(t(f"word.{need}") for need in r["missing"].split("|") if need), **{k: money(r[k], r["figure"]) for k in ("numerator", "denominator")},
        }
        for r in rows
    ]  # fmt: skip


def lines(rows: list[Row], of_what: str, colours: tuple[str, ...]) -> alt.Chart:
    """Shares by month, one line for each of `of_what`."""
    scale = alt.Scale(domain=list(dict.fromkeys(r["line"] for r in rows)), range=list(colours))
    chart: alt.Chart = alt.Chart(alt.InlineData(values=rows), height=340).mark_line(point=alt.OverlayMarkDef(size=70)).encode(
        x=alt.X("month:O", title=t("column.month"), axis=alt.Axis(labelAngle=0)), y=alt.Y("share:Q", title=None, axis=alt.Axis(format="%")),
        color=alt.Color("line:N", title=of_what, scale=scale, sort=None, legend=alt.Legend(orient="top", labelLimit=300)),
        tooltip=[alt.Tooltip("line:N", title=of_what), alt.Tooltip("month:N", title=t("column.month")), alt.Tooltip("share:Q", title=t("column.ratio"), format=".2%"), alt.Tooltip("figures:N", title=t("page.portfolio.figures"))],
    )  # fmt: skip
    return chart


def drawn(row: Row, line: str) -> Row:
    return {"month": month(row), "line": line, "share": row["rate"], "figures": f"{money(row['numerator'], row['figure'])} / {money(row['denominator'], row['figure'])}"}


def whole(rows: list[Row]) -> alt.Chart:
    """The four rates by month, and the breach rate of the same contacts."""
    told = [drawn(r, r["figure"]) for r in rows if r["rate"] is not None]
    told += [
        {"month": month(r), "line": t("page.portfolio.breaches"), "share": r["breach_rate"], "figures": of(r["breaching_contacts"], r["contacts"])}
        for r in rows if r["figure"] == portfolio.FIGURES[1] and r["breach_rate"] is not None
    ]  # fmt: skip
    names = [*portfolio.FIGURES, t("page.portfolio.breaches")]
    told.sort(key=lambda r: names.index(r["line"]))
    kept = tuple(c for name, c in zip(names, COLOURS, strict=True) if any(r["line"] == name for r in told))
    return lines(told, t("column.figure"), kept)


def rates(country: str, used: portfolio.Measures) -> None:
    st.subheader(t("page.portfolio.rates"))
    left, right = st.columns(2)
    words = {"": t("page.portfolio.whole")} | {name: field(name) for name in portfolio.SCOPES}
    by = left.selectbox(t("page.portfolio.by"), list(words), format_func=words.__getitem__, key="portfolio_by")
    rows = [r for r in ask_once(portfolio.rates, by or None, used) if r["jurisdiction"] == country]
    monthly = [r for r in rows if r["figure"] != portfolio.INFLOW]
    if by:
        one = right.selectbox(t("column.figure"), portfolio.FIGURES, key="portfolio_figure")
        draw(lines([drawn(r, whose(by, r)) for r in monthly if r["figure"] == one and r["rate"] is not None], field(by), COLOURS), t("page.portfolio.rates"))
    else:
        draw(whole(monthly), t("page.portfolio.rates"))
    named_rows = [r | ({by: whose(by, r)} if by else {}) for r in written(monthly)]
    table(named_rows, ([by] if by else []) + list(RATES), t("page.portfolio.rates"))
    with st.expander(t("page.portfolio.due_dates")):
        table([r | ({by: whose(by, r)} if by else {}) for r in written([r for r in rows if r["figure"] == portfolio.INFLOW])], ([by] if by else []) + list(RATES), t("page.portfolio.due_dates"))
    with st.expander(t("page.portfolio.formulas"), expanded=True):
        days = t("page.comma").join(str(day) for day in used.due_days)
        for name in READINGS:
            paragraph(t(f"page.portfolio.{name}", days=days))
        paragraph(t("page.portfolio.source", source=used.source.in_(lang()), known=t(f"word.{used.known}")))


def effort_lines(rows: list[Row], by: str) -> list[Row]:
    return [
        r | {
            by: named(by, r["value"]), "channel": named("channel", r["channel"]) if r["channel"] or by != "channel" else named("channel", r["value"]),
            "per_case_week": f"{r['per_case_week']:.2f}", "repaid": money(r["repaid"]), "per_contact": money(r["per_contact"]), "followed": "" if r["rate"] is None else of(r["paying"], r["case_weeks"]),
        }
        for r in rows
    ]  # fmt: skip


def scatter(rows: list[Row], by: str) -> None:
    """Contacts per case and week against what was repaid per case and week."""
    data = [
        {"name": named(by, r["value"]), "effort": r["per_case_week"], "repaid": float(r["repaid"]) / r["case_weeks"], "case_weeks": r["case_weeks"], "figures": of(r["paying"], r["case_weeks"])}
        for r in rows
    ]  # fmt: skip
    base = alt.Chart(alt.InlineData(values=data), height=340).encode(
        x=alt.X("effort:Q", title=t("column.per_case_week"), scale=alt.Scale(zero=False, padding=30)), y=alt.Y("repaid:Q", title=t("page.portfolio.repaid_per_case_week"), scale=alt.Scale(domainMin=0)),
        tooltip=[
            alt.Tooltip("name:N", title=field(by)), alt.Tooltip("effort:Q", title=t("column.per_case_week"), format=".2f"), alt.Tooltip("repaid:Q", title=t("page.portfolio.repaid_per_case_week"), format=",.2f"),
            alt.Tooltip("case_weeks:Q", title=t("column.case_weeks"), format=","), alt.Tooltip("figures:N", title=t("column.followed")),
        ],
    )  # fmt: skip
    points = base.mark_point(filled=True, color=BLUE, opacity=0.8).encode(size=alt.Size("case_weeks:Q", title=t("column.case_weeks"), legend=alt.Legend(orient="top", tickCount=3)))
    draw(points + base.mark_text(dy=-14, color=muted()).encode(text="name:N"), t("page.portfolio.effort"))


def effort(country: str, totals: Row, paid: bool) -> None:
    st.subheader(t("page.portfolio.effort"))
    words = {name: field(name) for name in portfolio.EFFORT}
    by = st.selectbox(t("page.dimension"), portfolio.EFFORT, format_func=words.__getitem__, key="portfolio_effort", width=260)
    rows = [r for r in ask_once(portfolio.effort, by) if r["jurisdiction"] == country]
    if paid:
        scatter(rows, by)
        st.caption(t("page.portfolio.effort_paid", **{k: f"{totals[k]:,}" for k in ("payments", "paid", "repaid", "unprompted", "open", "contacts")}))
    else:
        st.info(t("page.portfolio.no_payments"))
    st.caption(t("page.portfolio.effort_help", undated=totals["undated"]))
    table(effort_lines(rows, by), [by, *EFFORT], t("page.portfolio.effort"))
    if by != "channel":
        with st.expander(t("page.portfolio.by_channel")):
            split = [r for r in ask_once(portfolio.effort, by, True) if r["jurisdiction"] == country]
            table(effort_lines(split, by), [by, "channel", *EFFORT], t("page.portfolio.by_channel"))


def heaviest(country: str) -> None:
    st.subheader(t("page.portfolio.case_weeks"))
    rows = ask_once(portfolio.case_weeks, country, LISTED)
    comma = t("page.comma")
    told = [r | {"repaid": money(r["repaid"]), "channels": comma.join(f"{named('channel', k)} {n}" for k, n in r["channels"].items())} for r in rows]
    st.caption(t("page.portfolio.case_weeks_help", shown=len(rows)))
    event = table(told, WEEKS, t("page.portfolio.case_weeks"), on_select="rerun", selection_mode="single-row", key=f"portfolio_weeks_{country}", height=400 if len(told) > 10 else "auto")
    open_case(event, rows)


def share_lines(rows: list[Row], name: str) -> list[Row]:
    return [
        r | {
            name: month(r | {"month": r["value"]}) if name == "month" and r["value"] else named(name, r["value"]), "on_class": of(r["on_class"], r["contacts"]),
            "interval": f"{percent(r['low'])} - {percent(r['high'])}" if r["contacts"] else "", "target": percent(r["target"]), "time": percent(r["time_rate"]),
        }
        for r in rows
    ]  # fmt: skip


def on_class(used: portfolio.Measures) -> None:
    """The share of the effort on M1 beside its target, over all jurisdictions: contacts and seconds can be added up."""
    st.subheader(t("page.portfolio.share", wanted=used.effort_class))
    total = ask_once(portfolio.m1_share, None, used)[0]
    if not total["contacts"]:
        st.info(t("page.portfolio.share_none", unknown=total["unknown"]))
        return
    one, two, three = st.columns(3)
    one.metric(t("page.portfolio.share_contacts_of", part=f"{total['on_class']:,}", whole=f"{total['contacts']:,}"), percent(total["rate"]), border=True)
    two.metric(t("page.portfolio.share_time_of", part=f"{total['seconds_on_class']:,}", whole=f"{total['seconds']:,}"), percent(total["time_rate"]) or t("page.unknown"), border=True)
    three.metric(t("column.target"), percent(total["target"]), border=True)
    st.caption(t("page.portfolio.share_help", wanted=used.effort_class, target=percent(used.effort_target), **{k: f"{total[k]:,}" for k in ("reminders", "unknown", "untimed")}))
    words = {name: field(name) for name in ("month", "vendor", "team")}
    by = st.selectbox(t("page.dimension"), list(words), format_func=words.__getitem__, key="portfolio_share", width=260)
    rows = ask_once(portfolio.m1_share, by, used)
    told = [{"name": line[by], "share": row["rate"], "figures": line["on_class"], "target": row["target"]} for row, line in zip(rows, share_lines(rows, by), strict=True) if row["rate"] is not None]
    base = alt.Chart(alt.InlineData(values=told), height=90 + 34 * len(told))
    tips = [alt.Tooltip("name:N", title=field(by)), alt.Tooltip("figures:N", title=t("column.on_class")), alt.Tooltip("target:Q", title=t("column.target"), format=".0%")]
    bars = base.mark_bar(color=BLUE).encode(x=alt.X("share:Q", title=t("page.portfolio.share_contacts"), scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")), y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=220, labelOverlap=False)), tooltip=tips)
    labels = base.mark_text(align="left", dx=6, color=muted()).encode(x="share:Q", y=alt.Y("name:N", sort=None), text="figures:N")
    draw(bars + labels + base.mark_rule(color=RED, strokeDash=[6, 4], strokeWidth=2).encode(x="target:Q", tooltip=tips), t("page.portfolio.share", wanted=used.effort_class))
    table(share_lines(rows, by), [by, *SHARE], t("page.portfolio.share", wanted=used.effort_class))


def main() -> None:
    st.title(t("page.portfolio"))
    try:
        used = portfolio.measures()
    except RuleErrors as error:
        st.error(sentence(error))
        return
    span, totals = ask(portfolio.span), {r["jurisdiction"]: r for r in ask_once(portfolio.effort_totals)}
    if span["first"] is None or not totals:
        st.info(t("page.empty_run"))
        return
    st.caption(t("page.portfolio.book", first=span["first"], last=span["last"], last_payment=shown("paid_on", span["last_payment"]) or t("page.none")))
    country = next(iter(totals))
    if len(totals) > 1:
        country = st.selectbox(t("page.field.jurisdiction"), list(totals), key="portfolio_country", width=260, help=t("page.portfolio.currency"))
    rates(country, used)
    effort(country, totals[country], span["payments"])
    heaviest(country)
    on_class(used)


main()
