"""Contacts: the rows behind a figure, page by page; all of them where nobody came from a figure."""

from __future__ import annotations

import streamlit as st

from analyzer.dashboards._blocks import contact_pages, paragraph, t


def whole() -> None:
    st.session_state.pop("contacts_query", None)


def main() -> None:
    st.title(t("page.contacts"))
    filters, label = st.session_state.get("contacts_query", ({}, ""))
    if filters:
        with st.container(horizontal=True, vertical_alignment="center"):
            paragraph(label)
            st.button(t("page.contacts.whole"), on_click=whole, key="contacts_whole")
    contact_pages(filters, "contacts", t("page.contacts"))


main()
