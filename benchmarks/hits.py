"""The hits on ordinary messages, to be read by eye: `python benchmarks/hits.py [FOLDER]`.

Makes docs/ordinary-hits.md anew: every message of the ordinary sets in FOLDER (`../shared/data` by default) that gets a label, as said to the borrower. How a row
was read before (`right` or `wrong`) is kept as long as its labels are the same; the others are printed with their texts and stand in the page as `?`: read them, write
what they are into the page, and run it again for the figures. The table by rule is that of `benchmarks/ordinary.py`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date
from pathlib import Path

from analyzer.evaluation import ORDINARY, ordinary
from analyzer.rules import lexicon_folder, rules_folder
from analyzer.scan import Message, judge_messages
from analyzer.text import load_words

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "ordinary-hits.md"


def read_before(page: str) -> dict[tuple[str, int, str], str]:
    """(set, row, labels) -> right or wrong, as the page says."""
    found = {}
    for part in page.split("\n## ")[1:]:
        name = part.split("\n", 1)[0]
        for row, labels, what in re.findall(r"^\| (\d+) \| ([a-z_, ]+) \| (right|wrong) \|$", part, re.MULTILINE):
            found[name, int(row), labels] = what
    return found


def main(folder: Path) -> None:
    """Write the page; say what is to be read."""
    words = load_words(lexicon_folder(rules_folder()))
    assert words.reader is not None
    page = PAGE.read_text(encoding="utf-8")
    before = read_before(page)
    parts, sums = [], []
    for name, lang, _ in ORDINARY:
        texts = ordinary(folder, name)
        verdicts = judge_messages([Message(None, text, lang, "borrower", None) for text in texts], words.lexicons, words.reader)
        lines = []
        for number, verdict in enumerate(verdicts, start=1):
            if labels := ", ".join(verdict.labels):
                what = before.get((name, number, labels), "?")
                lines.append((number, labels, what))
                if what == "?":
                    print(name, number, labels, texts[number - 1], sep="\t")
        wrong = sum(what != "right" for *_, what in lines)
        sums.append(f"| {name} | {len(lines)} | {len(lines) - wrong} | {wrong} | {10_000 * wrong / len(texts):.1f} |")
        parts.append("\n".join([f"## {name}", "", "| row | label | read as |", "|---|---|---|", *(f"| {n} | {labels} | {what} |" for n, labels, what in lines)]))
    flagged = subprocess.run([sys.executable, str(ROOT / "benchmarks" / "ordinary.py"), str(folder)], check=True, capture_output=True, text=True, encoding="utf-8").stdout.strip()
    told = page[page.index("## By rule") : page.index("| rule |")].strip()
    head = re.sub(r"read on \d{4}-\d\d-\d\d with second reader \w+", f"read on {date.today()} with second reader {words.reader.version}", page[: page.index("| set |")].strip())
    table = ["| set | with a label | right | wrong | wrong per 10,000 |", "|---|---|---|---|---|", *sums]
    PAGE.write_text("\n\n".join([head, "\n".join(table), told, flagged, *parts]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data")
