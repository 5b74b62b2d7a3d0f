"""How well the words are read: `python -m analyzer.evaluation [DATA]`, or `make evaluate`.

Measures the bench (`scan`) on the test sets under tests/development, which nothing is trained on: one on which the second reader's
threshold is chosen, and those of other authors on which nothing is (`OTHERS`). Counts false alarms on the ordinary sets where DATA holds them, and
writes docs/words-report.md. Intervals are Wilson's at 95 %.
"""

from __future__ import annotations

import csv
import json
import lzma
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from analyzer import rules
from analyzer.coverage import MEASURED
from analyzer.scan import Message, Verdict, judge_messages
from analyzer.summary import interval
from analyzer.text import Lexicons, load_lexicons
from analyzer.text.lexicon import LABELS
from analyzer.text.second_reader import SecondReader, load_reader
from analyzer.training import Example, fit, given, known_to, matrix, read_examples, to_learn, truth_of

Truth = npt.NDArray[np.bool_]
_GRID = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
_FOLDS = 6
OTHERS = {"others": "another author, {lang}, on which nothing was chosen", "further": "a further author, {lang}, whose totals alone were looked at"}
"""Sets under tests/development that only measure, by the name of their files, and whose they are."""


def f1(told: Truth, truth: Truth) -> float:
    """2PR / (P + R); 1 where there is nothing to find and nothing was found."""
    both = int(told.sum() + truth.sum())
    return 1.0 if not both else 2 * int((told & truth).sum()) / both


def macro_f1(told: Truth, truth: Truth) -> float:
    """The mean of the labels' F1."""
    return float(np.mean([f1(told[:, n], truth[:, n]) for n in range(len(LABELS))]))


def messages_of(examples: Sequence[Example]) -> list[Message]:
    """Examples as the bench reads them."""
    return [Message(e.id, e.text, e.lang, e.recipient, e.knows, e.channel) for e in examples]


def told_of(verdicts: Sequence[Verdict]) -> Truth:
    """Labels told, shape (messages, labels)."""
    return np.array([[label in v.labels for label in LABELS] for v in verdicts], dtype=np.bool_).reshape(len(verdicts), len(LABELS))


def choose_threshold(development: Sequence[Sequence[Example]], lexicons: Lexicons, reader: SecondReader) -> float:
    """The threshold, of the grid, with the best mean of the macro-F1 of some sets; of several the highest. One for all labels: of each a set has some twenty texts."""
    sets = [(messages_of(own), truth_of(own)) for own in development]
    best = (0.0, 0.0)
    for value in _GRID:
        using = replace(reader, settle=dict.fromkeys(LABELS, value))
        best = max(best, (round(float(np.mean([macro_f1(told_of(judge_messages(own, lexicons, using)), truth) for own, truth in sets])), 6), value))
    return best[1]


def left_out(examples: Sequence[Example], lexicons: Lexicons, settle: Mapping[str, float]) -> Truth:
    """The labels told of each training example by a reader that was trained without it and all else that its author wrote, as they would be of a stranger's."""
    authors = sorted({_author(e) for e in examples})
    number_of = dict(zip(authors, np.random.default_rng(0).permutation(len(authors)) % _FOLDS, strict=True))
    fold = np.array([number_of[_author(e)] for e in examples])
    seen, learnt = matrix(examples, lexicons), to_learn(examples)
    told = np.zeros((len(examples), len(LABELS)), np.bool_)
    for number in range(_FOLDS):
        reader = SecondReader(*fit(seen[fold != number], learnt[fold != number]), settle, "", known_to(lexicons))
        told[fold == number] = told_of(judge_messages(messages_of([e for e, f in zip(examples, fold, strict=True) if f == number]), lexicons, reader))
    return told


def _author(example: Example) -> str:
    """The file that an example is from, or its lexicon."""
    return example.id.rsplit("-", 1)[0]


def table(told: Truth, truth: Truth) -> list[str]:
    """Markdown: per label counts, precision and recall with intervals, F1; the macro mean."""
    lines = ["| label | n | found right | found wrong | missed | precision (95 %) | recall (95 %) | F1 |", "|---|---|---|---|---|---|---|---|"]
    for number, label in enumerate(LABELS):
        t, y = told[:, number], truth[:, number]
        right, wrong, missed = int((t & y).sum()), int((t & ~y).sum()), int((~t & y).sum())
        shares = [f"{hits / max(of, 1):.2f} ({interval(hits, of)[0]:.2f}-{interval(hits, of)[1]:.2f})" for hits, of in ((right, right + wrong), (right, right + missed))]
        lines.append(f"| {label} | {int(y.sum())} | {right} | {wrong} | {missed} | {shares[0]} | {shares[1]} | {f1(t, y):.3f} |")
    lines.append(f"| **macro** | {len(truth)} texts | | | | | | **{macro_f1(told, truth):.3f}** |")
    return lines


def by_difficulty(examples: Sequence[Example], told: Truth, truth: Truth) -> list[str]:
    """Markdown: per difficulty the texts whose labels are exactly right, and compliant texts with a false label."""
    lines = ["| difficulty | texts | all labels right | compliant | of these falsely labelled |", "|---|---|---|---|---|"]
    for name in sorted({e.difficulty for e in examples}):
        here = np.array([e.difficulty == name for e in examples])
        clean = here & ~truth.any(axis=1)
        exact = int((told[here] == truth[here]).all(axis=1).sum())
        lines.append(f"| {name} | {int(here.sum())} | {exact} | {int(clean.sum())} | {int(told[clean].any(axis=1).sum())} |")
    return lines


def errors(examples: Sequence[Example], told: Truth, truth: Truth) -> list[str]:
    """Markdown: every error of the development set, by id (its text stands in the file)."""
    lines = ["| id | difficulty | falsely told | missed |", "|---|---|---|---|"]
    for example, t, y in zip(examples, told, truth, strict=True):
        if (t != y).any():
            wrong, missed = ([LABELS[i] for i in np.flatnonzero(mask)] for mask in (t & ~y, ~t & y))
            lines.append(f"| {example.id} | {example.difficulty} | {', '.join(wrong) or '-'} | {', '.join(missed) or '-'} |")
    return lines


ORDINARY = (
    ("ordinary_sms_zh.csv", "zh", "18,662 private Chinese SMS"), ("ordinary_sms_en.tsv", "en", "English SMS, ham only"),
    ("angry_reviews_zh.csv", "zh", "Chinese reviews of deliveries"),
)  # fmt: skip


def ordinary(folder: Path, name: str) -> list[str]:
    """The texts of one of the ordinary sets."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        if name.endswith(".tsv"):
            return [row[1] for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row and row[0] == "ham"]
        rows = csv.DictReader(file)
        column = next(c for c in ("text", "review", "content") if c in (rows.fieldnames or ()))
        return [row[column] for row in rows]


def alarms(texts: Sequence[str], lang: str, recipient: str, lexicons: Lexicons, reader: SecondReader) -> Counter[str]:
    """Messages per label, all false; `any` counts messages with at least one label."""
    found: Counter[str] = Counter()
    for start in range(0, len(texts), 20_000):
        for verdict in judge_messages([Message(None, t, lang, recipient, None) for t in texts[start : start + 20_000]], lexicons, reader):
            found.update(verdict.labels)
            found["any"] += bool(verdict.labels)
    return found


def alarm_table(folder: Path, lexicons: Lexicons, reader: SecondReader) -> list[str]:
    """Markdown: false alarms per 10,000 on the ordinary sets, as if sent to the borrower and to a colleague."""
    lines = ["| set | recipient | texts | with a label | per 10,000 (95 %) | by label |", "|---|---|---|---|---|---|"]
    for name, lang, what in ORDINARY:
        if not (folder / name).is_file():
            lines.append(f"| {name} | | not here | | | |")
            continue
        texts = ordinary(folder, name)
        for recipient in ("borrower", "colleague"):
            found = alarms(texts, lang, recipient, lexicons, reader)
            low, high = interval(found["any"], len(texts))
            told = ", ".join(f"{k} {v}" for k, v in found.most_common() if k != "any") or "-"
            lines.append(f"| {name} ({what}) | {recipient} | {len(texts)} | {found['any']} | {10_000 * found['any'] / len(texts):.1f} ({10_000 * low:.1f}-{10_000 * high:.1f}) | {told} |")
    return lines


OFFENSIVE = "offensive_zh/dev.csv.xz"


def offensive_table(folder: Path, lexicons: Lexicons, reader: SecondReader) -> list[str]:
    """Markdown: forum posts of the COLD set that carry `abuse`, among those its makers call offensive and those they do not, with the words
    that decide by themselves alone and with the second reader. There is no bar: what is offensive there is prejudice more than insult."""
    lines = ["| posts | texts | abuse, sure words (95 %) | abuse, with the second reader (95 %) | any label, with the second reader |", "|---|---|---|---|---|"]
    if not (folder / OFFENSIVE).is_file():
        return [*lines, f"| {OFFENSIVE} | not here | | | |"]
    with lzma.open(folder / OFFENSIVE, "rt", encoding="utf-8-sig", newline="") as file:
        rows = [(row["TEXT"], row["label"] == "1") for row in csv.DictReader(file)]
    for name, offensive in (("offensive: found", True), ("clean: false alarms", False)):
        messages = [Message(None, text, "zh", "borrower", None) for text, is_so in rows if is_so == offensive]
        sure, read = (told_of(judge_messages(messages, lexicons, used)) for used in (None, reader))
        abuse = LABELS.index("abuse")
        shares = [_share(int(told.sum()), len(messages)) for told in (sure[:, abuse], read[:, abuse], read.any(axis=1))]
        lines.append(f"| {name} | {len(messages)} | {' | '.join(shares)} |")
    return lines


def _share(hits: int, of: int) -> str:
    low, high = interval(hits, of)
    return f"{hits}, {100 * hits / max(of, 1):.1f} % ({100 * low:.1f}-{100 * high:.1f})"


def main() -> None:
    """See the module's docstring."""
    root = rules.rules_folder().parent
    folder = rules.rules_folder() / "examples"
    lexicons = load_lexicons(rules.lexicon_folder(rules.rules_folder()))
    reader = load_reader(rules.lexicon_folder(rules.rules_folder()))
    if reader is None:
        raise SystemExit("there is no second reader yet: python -m analyzer.training")
    development = {lang: read_examples([root / "tests" / "development" / f"{lang}.jsonl"]) for lang in ("zh", "en")}
    examples = given(folder, lexicons)
    if "--keep" not in sys.argv:
        settle = dict.fromkeys(LABELS, choose_threshold(list(development.values()), lexicons, reader))
        (folder / "thresholds.json").write_text(json.dumps({"settle": settle}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        reader = replace(reader, settle=settle)
    measured: dict[str, dict[str, list[int]]] = {}
    lines = ["# How well the words are read", "", "Written by `make evaluate`. The threshold of the second reader was chosen on the development set, which flatters it a little; the sets of other",
             "authors, who saw neither words nor examples, are the real measure.", ""]
    for lang, own in development.items():
        truth = truth_of(own)
        told = told_of(judge_messages(messages_of(own), lexicons, reader))
        measured[lang] = {label: [int((told[:, n] & truth[:, n]).sum()), int((told[:, n] & ~truth[:, n]).sum())] for n, label in enumerate(LABELS)}
        lines += [f"## Development set, {lang}", "", *table(told, truth), "", *by_difficulty(own, told, truth), "", "Every error:", "", *errors(own, told, truth), ""]
    for name, what in OTHERS.items():
        for lang in development:
            others = read_examples([root / "tests" / "development" / f"{name}-{lang}.jsonl"])
            told, truth = told_of(judge_messages(messages_of(others), lexicons, reader)), truth_of(others)
            lines += [f"## Set of {what.format(lang=lang)}", "", *table(told, truth), "", *by_difficulty(others, told, truth), ""]
    told, truth = left_out(examples, lexicons, reader.settle), truth_of(examples)
    for lang in ("zh", "en"):
        here = np.array([e.lang == lang for e in examples])
        lines += [f"## Training examples, {lang}, each judged by a reader trained without it (the words were written with them in sight)", "", *table(told[here], truth[here]), ""]
    (folder / MEASURED).write_text(json.dumps(measured, sort_keys=True, indent=1) + "\n", encoding="utf-8")
    data = Path(next((a for a in sys.argv[1:] if not a.startswith("-")), root.parent / "shared" / "data"))
    lines += ["## False alarms on ordinary texts", "", *alarm_table(data, lexicons, reader), ""]
    lines += ["## Offensive forum posts (COLD, dev): what is found beside what is falsely told", "", *offensive_table(data, lexicons, reader), ""]
    (root / "docs" / "words-report.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(line for line in lines if line.startswith("## ") or any(word in line for word in ("macro", "sms", "reviews", "offensive:", "clean:"))))


if __name__ == "__main__":
    main()
