"""What the pages share: language, the run in view, one way to ask it, and visuals. Texts of logs are escaped here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import altair as alt
import duckdb
import streamlit as st

from analyzer import access, review, runs, summary
from analyzer.dashboards import PAGES, _identity
from analyzer.errors import DunAuditError
from analyzer.messages import LANGUAGES, default_lang, keys, say, say_words
from analyzer.rules import SEVERITIES as SEVERITIES

# Streamlit loads it when the first table is drawn, and Altair asks for it by what is loaded: of several first viewers at once, some met half of it.
import_module("pandas")

P = ParamSpec("P")
T = TypeVar("T")
Row = dict[str, Any]

# Each has a contrast of three to one at least on the light and on the dark ground; neighbours differ in lightness, the mildest in hue (colour-blind safe).
COLOURS = ("#c2334d", "#dd6a2f", "#b38d00", "#3b7cb8")
STRENGTH_COLOURS = ("#c2334d", "#dd6a2f", "#b38d00", "#3f8f6b", "#3b7cb8", "#7a8793")
BLUE, RED, GREY = "#3b7cb8", "#c2334d", "#7a8793"
BADGES = {"critical": "red", "high": "orange", "medium": "yellow", "low": "gray"}
STRENGTHS = ("law", "rule", "standard", "convention", "guideline", "policy")
# Columns whose values are words of a closed list; all other values are the log's own and shown as they stand.
CLOSED = frozenset({"severity", "strength", "effect", "known", "channel", "direction", "outcome", "relation", "party", "stage", "role", "nature", "state", "decided", "status"})
# The lists by which the page of findings filters: those always shown, and the rest.
FILTERS, MORE_FILTERS = ("rule", "severity", "vendor", "agent", "channel"), ("pack", "strength", "team", "class", "stage")
NATURE = "nature"
# Up to so many contacts the undetermined ones are counted at once; of more when somebody asks, since each rule is then run again.
SOON = 100_000
DATES = ("since", "until")
_MARKDOWN = re.compile(r"([!-/:-@\[-`{-~])")
# Addresses, emoji and icons are looked for after the backslashes are gone: a character that is not seen parts them.
_LIVE = re.compile(r"(?<=[:@])(?=\S)|(?<=www)(?=\.)", re.IGNORECASE)
_LANGUAGE_NAMES = {"zh": "中文", "en": "English"}


def muted() -> str:
    """The colour of figures beside marks: no one grey is legible on both grounds."""
    return "#a8b4c0" if st.context.theme.type == "dark" else "#5a6672"


def style() -> None:
    """What Streamlit has no option for: pictures that can be taken away beside the action log, and on the dark ground chosen values in white on an accent too light for that."""
    st.html('<style>[data-testid="stElementToolbarButton"]:has(button[aria-label^="Download"], button[aria-label^="Copy"]) { display: none; }</style>')
    if st.context.theme.type == "dark":
        st.html("<style>[data-tag], [data-tag] * { color: #0b141d !important; }</style>")


# Language
def lang() -> str:
    """The language in view."""
    return str(st.session_state.get("lang", default_lang()))


def t(key: str, **params: object) -> str:
    """A sentence of the catalogue in the language in view."""
    return say(key, lang(), **params)


def field(name: str) -> str:
    """The name of a column as people call it; the column's own name where the catalogue has none."""
    short = name.rsplit(".", 1)[-1]
    return next((t(key) for key in (f"column.{short}", f"page.field.{short}") if key in keys()), name)


def shown(name: str, value: object) -> str:
    """One value of a column as text; empty when unknown."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return t("page.yes" if value else "page.no")
    if name == "measured":
        return say_words(str(value), lang())
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | int):
        return f"{value:,}"
    key = f"page.lender.{value}" if name == "lender_kind" else f"word.{value}"
    return t(key) if (name in CLOSED or name == "lender_kind") and key in keys() else str(value)


def named(name: str, value: object) -> str:
    """As `shown`, with a word for no value."""
    return shown(name, value) or t("page.none")


def percent(share: float | None) -> str:
    """A share as people read it; empty when it cannot be told."""
    return "" if share is None else f"{share:.1%}"


def of(hits: int, total: int, share: float | None = None) -> str:
    """A figure with its denominator, and their ratio."""
    ratio = percent(hits / total if share is None and total else share)
    return f"{hits:,} / {total:,} ({ratio})" if ratio else f"{hits:,} / {total:,}"


def choose_language() -> None:
    """The switch in the sidebar; `?lang=` sets it at the start."""
    asked = st.query_params.get("lang", "")
    remember("lang", asked if asked in LANGUAGES else default_lang(), LANGUAGES)
    st.radio(t("page.lang"), LANGUAGES, format_func=_LANGUAGE_NAMES.__getitem__, key="lang", horizontal=True, label_visibility="collapsed", on_change=_renamed)
    keep("lang")
    # The address says it too, so that the page comes back as it was when it is loaded anew.
    st.query_params["lang"] = st.session_state["lang"]


def _renamed() -> None:
    """What is chosen in lists is set again: browsers keep the words that stood there, which mean nothing to the other language."""
    for key, value in st.session_state.items():
        if isinstance(key, str) and (isinstance(value, str) or (isinstance(value, list) and value and all(isinstance(one, str) for one in value))):
            st.session_state[key] = value


def remember(key: str, default: str, options: Sequence[str] | None = None) -> None:
    """Before a widget: its value as it was kept, or the default where there is none or the options no longer have it. Streamlit forgets what widgets
    were set to, those of the sidebar too, when a page opens another (a row that is selected, a link to a case)."""
    value = st.session_state.get(key, st.session_state.get(f"kept_{key}", default))
    value = value if options is None or value in options else default
    if st.session_state.get(key) != value:
        # Not otherwise: a field that the program sets loses what is being typed into it.
        st.session_state[key] = value


def keep(key: str) -> None:
    """After a widget: its value is kept for `remember`."""
    st.session_state[f"kept_{key}"] = st.session_state[key]


# The run
def choose_run(folder: Path) -> bool:
    """The chooser in the sidebar; a sentence in the page, and False, when there is no run that can be read."""
    st.session_state["folder"] = str(folder if not folder.is_file() else folder.parent)
    if wanted := st.session_state.pop("run_wanted", None):
        st.session_state["run"] = wanted
        forget()
    try:
        current = runs.locate(folder).stem
        have = runs.list_runs(folder)[::-1]
        if have:
            asked = st.query_params.get("run", "")
            remember("run", asked if asked in have else current, have)
            current = st.selectbox(t("page.run"), have, key="run", on_change=forget)
            keep("run")
            st.query_params["run"] = current
        st.session_state["run_path"] = str(runs.locate(folder, current))
        told = ask(summary.run)
    except DunAuditError as error:
        st.info(sentence(error))
        return False
    st.caption(t("page.run_settings", **{k: plain(told[k]) for k in ("program", "zone", "jurisdiction")}))
    return True


def forget() -> None:
    """Another run is in view: what was chosen in the last one is void."""
    for key in ("finding_id", "finding_at", "findings_query", "findings_scope", "contacts_query"):
        st.session_state.pop(key, None)


@st.cache_resource(max_entries=32, show_spinner=False, on_release=duckdb.DuckDBPyConnection.close)
def _open(path: str, changed: int, rows: access.Scope) -> duckdb.DuckDBPyConnection:
    return access.connect(Path(path), rows)


def ask(question: Callable[Concatenate[duckdb.DuckDBPyConnection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The answer of a function of `summary` or `explain` on what the person in view may see of the run, asked on a cursor of its own."""
    return ask_run(run_path(), question, *args, **kwargs)


def ask_run(path: Path, question: Callable[Concatenate[duckdb.DuckDBPyConnection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As `ask`, on another run."""
    user = _identity.me()
    access.require(user, "view")
    cursor = _open(str(path), path.stat().st_mtime_ns, access.scope(user)).cursor()
    try:
        return question(cursor, *args, **kwargs)
    finally:
        cursor.close()


def whole_run() -> bool:
    """Whether the person in view sees all of the run; who does not is told."""
    if access.scope(_identity.me()).everything:
        return True
    st.caption(t("page.only_whole"))
    return False


def run_path() -> Path:
    """The file of the run in view."""
    return Path(st.session_state["run_path"])


def previous_run() -> Path | None:
    """The run of the folder that was published last before the one in view."""
    path = run_path()
    mine = path.stat().st_mtime_ns
    earlier = [(p.stat().st_mtime_ns, p) for p in path.parent.glob("*.duckdb") if p != path and p.stat().st_mtime_ns <= mine]
    return max(earlier)[1] if earlier else None


@st.cache_resource(show_spinner=False)
def kept() -> MutableMapping[tuple[object, ...], Any]:
    """Answers that took long and tell their progress on the way, for all viewers: what a cached function could not."""
    return {}


@st.cache_data(max_entries=100, show_spinner=False)
def _answer(_question: Callable[..., Any], name: str, path: str, changed: int, rows: access.Scope, args: tuple[object, ...]) -> Any:
    return ask(_question, *args)


def ask_once(question: Callable[Concatenate[duckdb.DuckDBPyConnection, P], T], *args: P.args, **_: P.kwargs) -> T:
    """As `ask`, for a figure that takes its time: a run never changes, so the answer is kept. Only for arguments by position."""
    path = run_path()
    # Whose rows it is made of is part of the key: nobody gets another's answer.
    rows = access.scope(_identity.me())
    found: T = _answer(question, f"{question.__module__}.{question.__qualname__}", str(path), path.stat().st_mtime_ns, rows, args)
    return found


def undecided(contacts: int) -> Any:
    """What `summary.wanting` gives for a run of so many contacts; None where nobody has asked for it yet, with the button that does."""
    if contacts > SOON:
        key = f"undecided_{run_path().stem}"
        if st.button(t("page.overview.count_undetermined"), key="undecided_count", disabled=st.session_state.get(key, False)):
            st.session_state[key] = True
        if not st.session_state.get(key):
            return None
    with st.spinner(t("page.working")):
        return ask_once(summary.wanting)


def completeness_line() -> None:
    """Under every chart: what was read, and what is unknown in it."""
    st.caption(t("talk.completeness", **ask_once(summary.completeness)))


# From a figure to its rows
def filter_key(name: str) -> str:
    """Where the page of findings keeps a filter; another run has other values."""
    return f"findings_{name}_{run_path().stem}"


def set_filters(filters: Mapping[str, Sequence[str]], label: str = "") -> None:
    """Set the page of findings to these filters, `state` among them; what it has no field for is kept as its scope, under a name that people understand."""
    scope = dict(filters)
    st.session_state["findings_state"] = next(iter(scope.pop("state", [])), "")
    for name in (*FILTERS, *MORE_FILTERS, NATURE):
        st.session_state[filter_key(name)] = list(scope.pop(name, []))
    for name in DATES:
        wanted = scope.pop(name, None)
        st.session_state[filter_key(name)] = date.fromisoformat(wanted[0]) if wanted else None
    st.session_state["findings_scope"] = (scope, label)


def open_findings(filters: Mapping[str, Sequence[str]], label: str = "") -> None:
    """Open the page of findings on these filters (see `summary.condition`)."""
    set_filters(filters, label)
    st.switch_page(PAGES / "findings.py")


def open_contacts(filters: Mapping[str, Sequence[str]], label: str) -> None:
    """Open the page of contacts on these filters (see `summary.contacts`), under a title that says what they are."""
    st.session_state["contacts_query"] = (dict(filters), label)
    st.switch_page(PAGES / "contacts.py")


def link(words: str) -> str:
    """The label of a button that leads to rows; the words are the catalogue's."""
    return f":primary[{words} →]"


def picked_row(event: Any, rows: Sequence[Row]) -> Row | None:
    """The row selected in a table, if one is."""
    picked = event["selection"]["rows"]
    return rows[picked[0]] if picked and picked[0] < len(rows) else None


def picked_point(event: Any, name: str) -> Row | None:
    """The values of the mark selected in a chart, if one is."""
    points = event["selection"].get(name) if event and event.get("selection") else None
    return dict(points[0]) if points else None


def unveiled(what: str, item: str, label: str, **counts: Any) -> bool:
    """Whether what is covered on a page is shown; the button that shows it, for who may, and the entry in the action log that says so and how much it was."""
    user, key = _identity.me(), f"revealed_{what}_{item}"
    if not access.allowed(user.role, "reveal"):
        return False

    def shown_from_now_on() -> None:
        access.require(_identity.me(), "reveal")
        path = run_path()
        review.Reviews(path).act(user.id, "reveal", path.stem, what=what, item=item, **counts)
        st.session_state[key] = True

    if not st.session_state.get(key):
        st.button(label, on_click=shown_from_now_on, key=f"reveal_{what}", help=t("page.reveal_logged"))
    return bool(st.session_state.get(key))


def reveal(what: str, item: str, hidden: Sequence[tuple[str, str]]) -> bool:
    """Whether the names behind a finding or a case (see `access.names`) are shown, and them: see `unveiled`."""
    if not hidden or not unveiled(what, item, t("page.reveal", count=len(hidden)), names=len(hidden)):
        return False
    paragraph(t("page.revealed", names=" · ".join(f"{pseudonym} = {name}" for pseudonym, name in hidden)))
    return True


# Text: everything goes through `escape`
def marked(text: str, marks: Iterable[Mapping[str, Any]]) -> str:
    """HTML of a text with the marked words in <mark>; the offsets count characters of the text as logged."""
    parts, at = [], 0
    for mark in sorted(marks, key=lambda m: (m["start"], m["end"])):
        start, end = max(int(mark["start"]), at), min(int(mark["end"]), len(text))
        if start < end:
            parts += [escape(text[at:start]), "<mark>", escape(text[start:end]), "</mark>"]
            at = end
    return "".join([*parts, escape(text[at:])])


def plain(text: str) -> str:
    """A text of the log or the name of a file for where Markdown is read (headings, captions, messages): shown as it stands."""
    return _MARKDOWN.sub(r"\\\1", _LIVE.sub("\N{WORD JOINER}", text))


def sentence(error: DunAuditError) -> str:
    """An error in the language in view, for where Markdown is read: what it tells of data is shown as it stands."""
    return plain(error.text(lang())) if error.params else error.text(lang())


def paragraph(text: str) -> None:
    """Plain text, no Markdown."""
    st.html(f'<p style="margin:0;white-space:pre-wrap;overflow-wrap:anywhere">{escape(text)}</p>')


def quote(head: str, text: str, marks: Iterable[Mapping[str, Any]]) -> None:
    """A text of the log under a line that says where it stands."""
    st.html(
        f'<div style="border-left:4px solid {GREY};padding:.2rem .8rem"><div style="opacity:.7;font-size:.85rem">{escape(head)}</div>'
        f'<div style="white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.7">{marked(text, marks)}</div></div>'
    )


def facts(values: Mapping[str, object]) -> None:
    """Names and values, those that are known."""
    lines = "".join(
        f'<div style="opacity:.7">{escape(field(name))}</div><div style="overflow-wrap:anywhere">{escape(text)}</div>'
        for name, value in values.items()
        if (text := shown(name, value))
    )
    st.html(f'<div style="display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.25rem 1.2rem">{lines}</div>')


def standing(one: review.Standing) -> str:
    """Where a finding stands, and why that does not count yet or any more."""
    return " · ".join([t(f"word.{one.state}"), *(t(f"word.{mark}") for mark in one.marks(datetime.now(UTC).date()))])


# Tables and charts
def open_picked(event: Any, rows: Sequence[Row], place: int | None = None, query: tuple[dict[str, list[str]], str] | None = None) -> None:
    """Open the finding of the row selected in a table, if one is: `place` of the first row in the list that `query` gives, where it is one."""
    picked = event["selection"]["rows"]
    if not picked or picked[0] >= len(rows) or not rows[picked[0]]["finding_id"]:
        return
    st.session_state["finding_id"] = rows[picked[0]]["finding_id"]
    st.session_state.pop("finding_at", None)
    if place is not None and query is not None:
        st.session_state["finding_at"], st.session_state["findings_query"] = place + picked[0], query
    st.switch_page(PAGES / "finding.py")


def open_case(event: Any, rows: Sequence[Row]) -> None:
    """Open the case of the row selected in a table, if one is."""
    picked = event["selection"]["rows"]
    if picked and picked[0] < len(rows):
        st.session_state["case_id"] = rows[picked[0]]["case_id"]
        st.switch_page(PAGES / "case.py")


# Of columns that hold sentences: what else would push the figures out of sight.
WIDTHS = {"title": 290, "broken": 250, "clause": 330, "case_name": 420}


def table(rows: Sequence[Row], names: Sequence[str], alt_text: str, **options: Any) -> Any:
    """Rows as a table with people's names for columns. Numbers stay numbers, so that they sort; `rate` is a percentage."""
    numbers = {n for n in names if n == "rate" or any(isinstance(r[n], int) and not isinstance(r[n], bool) for r in rows)}
    lines = [{field(n): r[n] if n in numbers else shown(n, r[n]) for n in names} for r in rows]
    config: dict[str, Any] = {field(n): st.column_config.NumberColumn(format="percent" if n == "rate" else "localized") for n in numbers}
    config |= {field(name): st.column_config.TextColumn(width=width) for name, width in WIDTHS.items() if name in names}
    return st.dataframe(lines, hide_index=True, column_config=config, alt=alt_text, placeholder="", **options)


CONTACT_COLUMNS = ("local_at", "case_id", "agent_id", "broken", "channel", "outcome", "relation", "vendor", "team", "direction", "dpd", "finding_id", "text")
CONTACT_ROWS = 50


def covered(rows: Sequence[Row]) -> list[Row]:
    """Rows with a `text` in which the names of their cases' people and their collectors are covered: to show them is a reveal, and logged."""
    hidden = ask(access.names, sorted({r["case_id"] for r in rows if r.get("case_id")}), sorted({r["agent_id"] for r in rows if r.get("agent_id")}))
    return access.veiled(rows, [name for _, name in hidden])


def contact_pages(filters: Mapping[str, Sequence[str]], key: str, title: str) -> None:
    """The contacts of a filter, page by page; a row opens its finding, or its case where it breaks no rule."""
    chooser = f"{key}_page_{sorted(filters.items())}"
    # Asked once with the page that was chosen: some filters run rules again, and a run never changes.
    offset = (st.session_state.get(chooser, 1) - 1) * CONTACT_ROWS
    rows, total = ask_once(summary.contacts, filters, CONTACT_ROWS, offset)
    if not total:
        st.write(t("page.contacts.none"))
        return
    above = st.container()
    if total > CONTACT_ROWS:
        st.pagination(-(-total // CONTACT_ROWS), key=chooser)
    titles = {r["rule"]: r[f"title_{lang()}"] for r in ask_once(summary.by_rule)}
    rows = covered(rows)
    lines = [r | {"dpd": shown("dpd", r["dpd"]), "broken": t("page.comma").join(titles[name] for name in (r["broken"] or "").split("|") if name)} for r in rows]
    with above:
        st.caption(t("page.contacts.range", first=offset + 1, last=offset + len(rows), total=f"{total:,}"))
        event = table(lines, CONTACT_COLUMNS, title, on_select="rerun", selection_mode="single-row", key=f"{key}_table", height=560 if len(rows) > 14 else "auto")
    open_picked(event, rows)
    open_case(event, rows)


def draw(chart: alt.Chart | alt.LayerChart, alt_text: str) -> None:
    """A chart and the completeness line under it."""
    st.altair_chart(legible(chart), width="stretch", alt=alt_text)
    completeness_line()


def legible(chart: alt.Chart | alt.LayerChart) -> alt.Chart | alt.LayerChart:
    """A chart with words that have enough contrast on either ground; those of the library's theme have not."""
    words: dict[str, Any] = {"labelColor": muted(), "titleColor": muted()}
    told: alt.Chart | alt.LayerChart = chart.configure_axis(**words).configure_legend(**words)
    return told


def draw_to_pick(chart: alt.Chart | alt.LayerChart, alt_text: str, key: str) -> Any:
    """As `draw`, a chart whose marks can be selected; the event."""
    event = st.altair_chart(legible(chart), width="stretch", alt=alt_text, on_select="rerun", key=key)
    completeness_line()
    return event


def scale_colour(name: str) -> alt.Color:
    """One colour per severity or strength, the same everywhere."""
    order, colours = (SEVERITIES, COLOURS) if name == "severity" else (STRENGTHS, STRENGTH_COLOURS)
    return alt.Color(f"{name}:N", title=t(f"column.{name}"), scale=alt.Scale(domain=[t(f"word.{w}") for w in order], range=list(colours)), legend=alt.Legend(orient="top", labelLimit=200))
