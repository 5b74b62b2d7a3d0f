"""How many ordinary messages each rule flags: `python benchmarks/ordinary.py [FOLDER]`.

FOLDER holds `ordinary_sms_zh.csv` (private messages, so that every hit is false); `../shared/data` by default. Each message is audited as an SMS sent
to a borrower in China at ten in the morning, once for each kind of lender, with every pack that is used by default. Prints per rule that reads
words (its SELECT asks `signals`) the messages it flags, as counted by the run itself (`rule_results`); rules that flag none are counted in the last line.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from analyzer import audit
from analyzer.evaluation import ordinary
from analyzer.store import open_run

NAME = "ordinary_sms_zh.csv"
KINDS = ("bank", "consumer_finance", "microloan", "agency")


def flagged(texts: list[str], kind: str, folder: Path) -> dict[str, int]:
    """Messages flagged by each rule that reads words, where the lender is of this kind."""
    data = folder / kind
    data.mkdir()
    with (data / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["contact_id", "case_id", "channel", "direction", "started_at", "outcome", "relation", "text"])
        rows.writerows([f"K{n}", f"C{n}", "sms", "outbound", "2026-06-02 10:00:00", "delivered", "self", text] for n, text in enumerate(texts))
    with (data / "cases.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["case_id", "jurisdiction", "lender_kind"])
        rows.writerows([f"C{n}", "CN", kind] for n in range(len(texts)))
    path = audit.run([str(data)], folder / "runs", run_id=kind).path
    with open_run(path) as con:
        found = con.execute(
            "SELECT r.rule, coalesce(sum(n.contacts) FILTER (WHERE n.outcome = 'breach'), 0) FROM rules r JOIN rule_results n USING (rule)"
            " WHERE contains(r.hits_sql, 'signals') AND n.outcome IN ('breach', 'clear') GROUP BY ALL"
        ).fetchall()
    return {rule: int(number) for rule, number in found}


def main() -> None:
    """See the module's docstring."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "shared" / "data"
    texts = ordinary(data, NAME)
    by_rule: dict[str, dict[str, int]] = defaultdict(dict)
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            for rule, number in flagged(texts, kind, Path(folder)).items():
                by_rule[rule][kind] = number
    print(f"{len(texts)} messages\n\n| rule | {' | '.join(KINDS)} |\n|---|{'---|' * len(KINDS)}")
    silent = 0
    for rule, counts in sorted(by_rule.items()):
        silent += not any(counts.values())
        if any(counts.values()):
            print(f"| {rule} | {' | '.join(str(counts.get(kind, 'not bound')) for kind in KINDS)} |")
    print(f"\nOther rules that read words and flag none: {silent}.")


if __name__ == "__main__":
    main()
