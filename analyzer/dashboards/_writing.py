"""What the pages that write to the log share: who writes, and what happens when it is written or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from analyzer import access
from analyzer.dashboards._blocks import ask, keep, remember, sentence, t
from analyzer.dashboards._identity import me, meant
from analyzer.errors import UsageError

T = TypeVar("T")


def actor(key: str = "review_actor") -> str:
    """Who writes: whoever is logged in; on a page for one person, whoever he says."""
    user = me()
    if user.role != access.LOCAL:
        return user.id
    remember(key, "")
    name = st.text_input(t("column.actor"), key=key)
    keep(key)
    return name


def person(said: str, action: str) -> str | None:
    """The id of whoever is meant to do something; None, with the reason on the page, where nobody is."""
    try:
        return meant(said, action)
    except UsageError as error:
        st.error(sentence(error))
        return None


def wrote(write: Callable[..., T], *args: object) -> T | None:
    """What writing with the run in view gave; None, with the reason on the page, where it was refused."""
    try:
        return ask(write, *args)
    except UsageError as error:
        st.error(sentence(error))
        return None


def sent(action: str, write: Callable[..., object], *args: object) -> None:
    """A form that was sent: the gate once more, then write and draw the page anew, or say why not."""
    access.require(me(), action)
    if wrote(write, *args) is not None:
        st.rerun()
