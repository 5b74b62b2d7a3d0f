"""Where a finding stands: what its entries come to, read from the oldest to the newest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from analyzer.review.entries import APPEAL, APPROVE, ASSIGN, BLIND, DECIDED, REFUSE, SECOND, SUPPRESS, VERDICT, Entry, same_person

MARKS = ("waiting", "stale", "appealed", "suppressed")


@dataclass(frozen=True)
class Standing:
    """What is in force for a finding.

    `entry`: the last verdict or claim (None: nobody has looked at it); `second`: the second person's word on it; `stale`: rule or evidence
    have changed since; `assignee`: whose task it is; `suppression`: the entry that keeps it out of the way, approved by another person; `request`: one that
    waits for that; both void once rule or evidence changed; `appeal`: one that no verdict has answered yet; `seen`: the place of its last entry, for `Reviews.decide`; blind ones do not count.
    """

    entry: Entry | None = None
    stale: bool = False
    second: Entry | None = None
    assignee: str = ""
    suppression: Entry | None = None
    request: Entry | None = None
    appeal: Entry | None = None
    seen: int = 0

    @property
    def state(self) -> str:
        """One of `STATES`. Two people who disagree have escalated it."""
        if self.second and self.entry and self.second.state != self.entry.state:
            return "escalated"
        return self.entry.state if self.entry else "open"

    @property
    def waiting(self) -> bool:
        """Whether a second person must still confirm the verdict."""
        return self.second is None and self.entry is not None and bool(self.entry.told.get("second"))

    @property
    def decided(self) -> bool:
        """Whether there is a verdict in force that nobody else needs to confirm."""
        return self.state in DECIDED and not self.waiting and not self.stale

    def suppressed(self, today: date) -> bool:
        """Whether it is kept out of the way on this day: until and including the day named."""
        return self.suppression is not None and _lasts(self.suppression, today)

    def marks(self, today: date | None = None) -> tuple[str, ...]:
        """Those of `MARKS` that qualify the state: why it does not count yet or any more. Without a day nothing is said of suppressions."""
        told = (self.waiting, self.stale, self.appeal is not None, today is not None and self.suppressed(today))
        return tuple(mark for mark, on in zip(MARKS, told, strict=True) if on)

    def asked(self, today: date, of: str | None = None) -> bool:
        """Whether a suppression waits to be approved, by this person if one is named."""
        return self.request is not None and _lasts(self.request, today) and (of is None or same_person(self.request.told["approver"], of))


def _lasts(suppression: Entry, today: date) -> bool:
    return today.isoformat() <= str(suppression.told["until"])


def standing(entries: Iterable[Entry], row: Mapping[str, Any]) -> Standing:
    """What the entries of one finding, the oldest first, come to; `row` has its rule_digest and evidence_digest of today."""
    last: dict[str, Any] = {}
    digests = (row["rule_digest"], row["evidence_digest"])
    for entry in entries:
        if entry.kind == BLIND:
            continue
        last["seen"] = entry.seq
        match entry.kind:
            case "verdict":
                # A new verdict answers an appeal, ends a suppression and stands alone until it is confirmed; a claim only says who will see to it.
                last |= {"entry": entry, "second": None} | ({} if entry.state == "claimed" else {"appeal": None, "suppression": None, "request": None})
            case "second":
                last |= {"second": entry, "appeal": None}
            case "suppress":
                last["request"] = entry
            case "approve":
                last |= {"suppression": last["request"], "request": None}
            case "refuse":
                # What was approved before stays in force.
                last["request"] = None
            case "appeal":
                last["appeal"] = entry
        # Who lets a finding go has no task any more.
        if entry.kind in (VERDICT, ASSIGN, SECOND) and (entry.assignee or (entry.kind == VERDICT and entry.state == "open")):
            last["assignee"] = entry.assignee
    changed = {name for name in ("entry", "suppression", "request") if last.get(name) and (last[name].rule_digest, last[name].evidence_digest) != digests}
    # They were for what is no longer there.
    last |= dict.fromkeys(changed - {"entry"})
    return Standing(**last, stale="entry" in changed)


JUDGING = (VERDICT, SECOND, ASSIGN, SUPPRESS, APPROVE, REFUSE, APPEAL)
"""The kinds of entry that bear on where a finding stands."""
