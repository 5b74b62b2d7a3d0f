"""One entry of the log: what it holds, which words there are, and the hash that chains it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

STATES = ("open", "claimed", "confirmed", "dismissed", "acceptable", "escalated", "remediated")
# Of these the precision of a rule is made: was there a breach as the rule says, or not.
TRUE, FALSE = ("confirmed", "acceptable", "escalated", "remediated"), ("dismissed",)
# Verdicts proper: what a second person may have to confirm, and what a blind second review is compared with.
DECIDED = ("confirmed", "dismissed", "acceptable", "remediated")
# What the examination of a contact in which nothing was found can come to: nothing to find, something missed, cannot be told.
RESULTS = ("ok", "deviation", "unclear")
# About a finding: what changes where it stands ...
VERDICT, SECOND, ASSIGN, SUPPRESS, APPROVE, REFUSE, APPEAL = "verdict", "second", "assign", "suppress", "approve", "refuse", "appeal"
# ... and the second opinion that does not.
BLIND = "blind"
# About no one finding: samples drawn, contacts examined, and what people looked at, took away or changed.
BLIND_DRAWN, CONTACTS_DRAWN, CONTACT = "blind_drawn", "contacts_drawn", "contact"
ACTS = ("reveal", "export", "rule", "audit")
# Coaching tasks, and what their re-check came to.
COACH, COACHED = "coach", "coached"
CHECKED = ("improved", "not_improved", "dropped")
KINDS = (VERDICT, SECOND, ASSIGN, SUPPRESS, APPROVE, REFUSE, APPEAL, BLIND, BLIND_DRAWN, CONTACTS_DRAWN, CONTACT, COACH, COACHED, *ACTS)
LONGEST_COMMENT = 4_000
FIRST = "0" * 64
HASHED = ("at_utc", "actor", "finding_id", "run_id", "state", "comment", "assignee", "rule", "rule_digest", "evidence_digest", "previous")
_MORE = ("kind", "detail")
COLUMNS = ("seq", "at_utc", "actor", "finding_id", "run_id", "state", "comment", "assignee", "rule", "rule_digest", "evidence_digest", *_MORE)
STORED = (*COLUMNS, "previous", "hash")


@dataclass(frozen=True)
class Entry:
    """One thing somebody did. `at_utc` is an ISO instant; `seq` its place in the log; `kind` one of `KINDS`.

    `comment` and `assignee` may be empty; `finding_id`, `state`, `rule` and the digests are empty where it is about no finding; `detail` is
    JSON, or empty (see the functions of `Reviews` that write it).
    """

    seq: int
    at_utc: str
    actor: str
    finding_id: str
    run_id: str
    state: str
    comment: str
    assignee: str
    rule: str
    rule_digest: str
    evidence_digest: str
    kind: str = VERDICT
    detail: str = ""

    @cached_property
    def told(self) -> dict[str, Any]:
        """`detail`, read."""
        found: dict[str, Any] = json.loads(self.detail) if self.detail else {}
        return found

    def by(self, person: str) -> bool:
        """Whether this person wrote it; case does not make another person."""
        return same_person(self.actor, person)


def same_person(one: str, other: str) -> bool:
    """Whether two names are meant for one person: blanks around them and case aside."""
    return one.strip().casefold() == other.strip().casefold()


def entry_hash(values: Mapping[str, Any]) -> str:
    """The SHA-256 that chains an entry: over its fields and the hash of the entry before.

    A plain verdict is hashed without kind and detail, so that logs of the first edition keep their hashes; nothing else is, so a
    kind or a detail that is added, changed or taken away changes the hash.
    """
    names = HASHED if values.get("kind", VERDICT) == VERDICT and not values.get("detail") else (*HASHED, *_MORE)
    told = json.dumps([values[name] for name in names], ensure_ascii=False, separators=(",", ":"))
    return sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
