"""The dashboard's entry file: which folder, which language, which run, which page. Everything else is in the pages."""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

from analyzer.dashboards import PAGES, _blocks, _identity
from analyzer.errors import DunAuditError, UsageError

SECTIONS = {
    "look": ("overview", "findings", "finding", "review", "case", "contacts"),
    "compare": ("hours", "agents", "conduct", "early_warning", "portfolio"),
    "basis": ("rulebook", "data", "action_log"),
}
# The one page that is of use where there is no run yet: it makes one.
WITHOUT_RUN = "data"


def main() -> None:
    # The icon is a local picture: a material icon would be fetched from the network.
    st.set_page_config(page_title="DunAudit", page_icon=str(PAGES / "icon.png"), layout="wide")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs")
    _blocks.style()
    with st.sidebar:
        _blocks.choose_language()
    try:
        user = _identity.me()
    except UsageError as error:
        _identity.turned_away(error, _blocks.sentence(error))
        return
    with st.sidebar:
        chosen = _blocks.choose_run(folder)
        _blocks.paragraph(_blocks.t(f"role.{user.role}_here", name=user.name))
        _identity.way_out()
    pages = {
        _blocks.t(f"page.section.{section}"): [st.Page(PAGES / f"{name}.py", title=_blocks.t(f"page.{name}"), default=name == "overview") for name in names]
        for section, names in SECTIONS.items()
    }
    # All of them: the folded list would say "View more" in English.
    page = st.navigation(pages, expanded=True)
    if chosen or page.url_path == WITHOUT_RUN:
        try:
            page.run()
        except DunAuditError as error:
            st.error(_blocks.sentence(error))


main()
