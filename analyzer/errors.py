"""One error tree. Every error is one sentence in both languages: what, where, what to do.

    DunAuditError
    ├── UsageError      the command or a setting cannot be understood          exit 2
    ├── RuleErrors      one or more rules cannot be used (all of them at once)  exit 3
    └── InputError      a file cannot be read as what it claims to be          exit 4
        ├── InputErrors several of them (all at once)                          exit 4
        └── NoInput     nothing to read at all                                 exit 4

An error carries the key of a sentence in the message catalogue and its parameters, so the door that shows it
chooses the language. Parameters never hold a message text, a name or a number from the logs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from analyzer.messages import say

# The parameter that holds what was written, where `have` lists what could have been.
_WRITTEN = ("name", "kind", "column", "table", "label", "where", "state", "channel", "ending")


def nearest(params: Mapping[str, object], lang: str) -> str:
    """" Did you mean X?", where a sentence tells what there is (`have`) and something of it looks like what was written."""
    written = next((str(params[key]) for key in _WRITTEN if key in params), "").rsplit(".", 1)[-1]
    close = get_close_matches(written, str(params.get("have", "")).split(", "), n=1, cutoff=0.7)
    return say("error.nearest", lang, name=close[0]) if close and close[0] != written else ""


class DunAuditError(Exception):
    """Base of all errors that are the user's to mend; `key` names a sentence of the catalogue."""

    exit_code = 2

    def __init__(self, key: str, **params: object) -> None:
        """`key` names a sentence of the catalogue, `params` fill it."""
        self.key = key
        self.params = params
        super().__init__(say(key, "en", **params))

    def text(self, lang: str) -> str:
        """The sentence in `lang` ("zh" or "en")."""
        return say(self.key, lang, **self.params) + nearest(self.params, lang)


class UsageError(DunAuditError):
    """The command, an option or a mapping cannot be understood."""

    exit_code = 2


class InputError(DunAuditError):
    """A file cannot be read as what it claims to be."""

    exit_code = 4


class NoInput(InputError):  # noqa: N818 - the name says what is the matter
    """There is nothing to read."""


class InputErrors(InputError):  # noqa: N818 - it is many
    """All files of an audit that cannot be read, in reading order."""

    def __init__(self, problems: Sequence[DunAuditError]) -> None:
        """`problems`: one per file or sheet, at least two."""
        self.problems = tuple(problems)
        super().__init__("input.several", count=len(problems))

    def text(self, lang: str) -> str:
        """A headline and one line per file."""
        return "\n".join([super().text(lang), *(p.text(lang) for p in self.problems)])


@dataclass(frozen=True)
class RuleProblem:
    """One thing wrong with one rule file. `line` is 1-based; 0 when the whole file is meant."""

    path: str
    line: int
    key: str
    params: tuple[tuple[str, object], ...] = ()

    def text(self, lang: str) -> str:
        """`path:line: sentence` in `lang`; without the line where the whole file is meant."""
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {say(self.key, lang, **dict(self.params))}{nearest(dict(self.params), lang)}"


class RuleErrors(DunAuditError):  # noqa: N818 - it is many
    """All problems of all rule files that were read, in the order of path and line."""

    exit_code = 3

    def __init__(self, problems: list[RuleProblem]) -> None:
        """`problems` in any order."""
        self.problems = sorted(problems, key=lambda p: (p.path, p.line))
        super().__init__("rules.broken", count=len(problems))

    def text(self, lang: str) -> str:
        """A headline and one line per problem."""
        return "\n".join([super().text(lang), *(p.text(lang) for p in self.problems)])
