"""Texts as people can see them: what would steer a terminal or a page, or cannot be seen, is shown as its number."""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def numbered(character: str) -> str:
    """A character by its number."""
    return f"‹U+{ord(character):04X}›"


def visible(value: object) -> str:
    """A value as text in which nothing is hidden; line ends stay, tabs become blanks."""
    text = re.sub(r"\r\n?", "\n", str(value)).replace("\t", "    ")
    if text.isprintable():
        return text
    return "".join(numbered(c) if unicodedata.category(c) in _UNSEEN and c != "\n" else c for c in text)


def steady(text: str) -> str:
    """A text as long as it was, in which what cannot be seen stands as U+FFFD, so that offsets into it hold."""
    return text if text.isprintable() else "".join("\ufffd" if unicodedata.category(c) in _UNSEEN and c != "\n" else c for c in text)
