"""The nouns. Frozen, without behaviour beyond what they say about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any


class Outcome(StrEnum):
    """What a rule says of one contact. The first three are judgements, the last three say why there is none."""

    BREACH = "breach"
    CLEAR = "clear"
    UNDETERMINED = "undetermined"
    NOT_APPLICABLE = "not_applicable"
    NOT_IN_FORCE = "not_in_force"
    NOT_EVALUATED = "not_evaluated"


LOCAL = "local"
"""The role and the name of the one person of a page without a users file."""
# What stands for a collector where the log names neither agency nor lender.
UNNAMED = "(unknown)"
SPOKEN = ("call", "ai_call", "visit")
"""Channels in which both sides speak: what came in by another is the other side's own words."""
BUSINESS = (*SPOKEN, "voicemail", "letter")
"""Channels whose texts there are only because somebody collects: what is noted or taken down of a call or a visit, left on a machine, or posted. Not what is recorded of
legal steps: a summons that was served is no threat of one."""


class ExitCode(IntEnum):
    """Exit codes of the command line.

    0  finished, no breach, nothing undetermined, nothing rejected
    1  finished, at least one breach
    2  the command, an option or a mapping cannot be understood
    3  at least one rule cannot be used
    4  no input, or an input that cannot be read
    5  finished, no breach, but something is undetermined, was not evaluated or was rejected, or there was no contact
    """

    CLEAN = 0
    BREACHES = 1
    USAGE = 2
    BAD_RULES = 3
    NO_INPUT = 4
    UNDETERMINED = 5


@dataclass(frozen=True)
class Text2:
    """One text in both languages."""

    zh: str
    en: str

    def in_(self, lang: str) -> str:
        """The text in `lang`, "zh" or "en"."""
        return self.zh if lang == "zh" else self.en


@dataclass(frozen=True)
class Citation:
    """Where a rule comes from, and how well that text is known.

    `known` is one of "seen" (the clause itself was read), "reported" (press or commentary quotes it),
    "unverified" (recalled only), "house" (the lender's own policy or our own reading).
    """

    instrument: Text2
    clause: Text2
    known: str
    consulted: date
    note: Text2 | None = None


@dataclass(frozen=True)
class Rule:
    """One rule as loaded: what it asks, why, where it comes from, and the cases that prove it; `source` is its file, `digest` that of the file's octets."""

    id: str
    pack: str
    path: Path
    title: Text2
    why: Text2
    remedy: Text2
    not_covered: Text2
    serves: tuple[str, ...]
    status: str
    severity: str
    strength: str
    effect: str
    citations: tuple[Citation, ...]
    in_force: date | None
    until: date | None
    values: dict[str, tuple[tuple[date, Any], ...]]
    check: dict[str, Any]
    cases: tuple[dict[str, Any], ...]
    applies_to: dict[str, tuple[str, ...]]
    digest: str
    source: str = field(repr=False)
    lines: Mapping[tuple[str | int, ...], int] = field(default_factory=dict, compare=False, hash=False)

    @property
    def ref(self) -> str:
        """`pack/id`, unique over all packs."""
        return f"{self.pack}/{self.id}"

    @property
    def kind(self) -> str:
        """The kind of check."""
        return str(self.check["kind"])


@dataclass(frozen=True)
class Pack:
    """One instrument, or one lender's policy: its title, where it binds, and its rules.

    `by_choice`: data cannot say whether it binds (membership, a product the log does not name); it is used only when asked for.
    """

    id: str
    title: Text2
    about: Text2
    binds: Text2
    jurisdiction: str | None
    digest: str
    rules: tuple[Rule, ...]
    not_decided: tuple[Text2, ...] = ()
    by_choice: bool = False
