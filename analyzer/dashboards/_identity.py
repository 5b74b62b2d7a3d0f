"""Who is looking: from a login, from a proxy's headers, or the one person on this machine; asked anew each time, never kept in the page."""

from __future__ import annotations

import os
import sys
import time
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from analyzer import access
from analyzer.errors import UsageError
from analyzer.messages import default_lang, say

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# What a proxy adds: behind one, whoever comes is not the one person of this machine.
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via")


def users_file() -> Path | None:
    """The file named on the command line."""
    return Path(sys.argv[2]) if len(sys.argv) > 2 else None


@lru_cache(maxsize=4)
def _users(path: Path, changed: int) -> access.Users:
    return access.load_users(path)


def me() -> access.User:
    """Who is looking.

    Raises:
        UsageError: nobody who may be let in.
    """
    path = users_file()
    if path is None:
        return _local()
    users = _users(path, path.stat().st_mtime_ns if path.is_file() else 0)
    if users.headers() != (st.get_option("server.trustedUserHeaders") or {}):
        raise UsageError("access.headers")
    return access.identify(users, st.user.to_dict(), time.time())


def _local() -> access.User:
    headers = st.context.headers
    host = urlsplit(f"//{headers.get('Host', 'localhost')}").hostname
    if st.get_option("server.address") not in _LOOPBACK or host not in _LOOPBACK or any(name in headers for name in _FORWARDED):
        raise UsageError("access.not_local")
    name = os.environ.get("USER") or os.environ.get("LOGNAME") or access.LOCAL
    return access.User(name, name, access.LOCAL)


def may(action: str) -> bool:
    """Whether the person in view may do something."""
    return access.allowed(me().role, action)


def meant(said: str, action: str) -> str:
    """The id of whoever is meant, where a users file knows people; else what was said.

    Raises:
        UsageError: nobody is, or he may not do that.
    """
    path = users_file()
    return said if path is None or not said.strip() else _users(path, path.stat().st_mtime_ns).meant(said, action)


def blind_to() -> str:
    """Who must not read the verdicts that he is to give again without them; nobody, where the person in view judges nothing."""
    return me().id if may("judge") else ""


def turned_away(error: UsageError, text: str) -> None:
    """What somebody sees who is not let in; where there is a login, its door."""
    st.info(text)
    path = users_file()
    if path is not None and error.key in ("access.login", "access.expired") and _users(path, path.stat().st_mtime_ns).login == "oidc":
        st.button(say("page.login", str(st.session_state.get("lang", default_lang()))), on_click=st.login, key="login", type="primary")


def way_out() -> None:
    """The button that ends a login, where there was one."""
    if st.user.get("is_logged_in"):
        st.button(say("page.logout", str(st.session_state.get("lang", default_lang()))), on_click=st.logout, key="logout")
