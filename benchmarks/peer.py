"""What people would write instead: pandas, groupby, re, jieba and Presidio on every row. Beside `bench.py`, which runs it.

    python benchmarks/peer.py FOLDER [--slice 2000]

Counts the breaches of three rules of cn-gbt-45251 (quiet hours, interactive calls, notice calls) over the whole log with pandas, and reads the
wording of the first texts of a slice: every term of our lexicons in one alternation of `re`, then jieba over the text, then
Presidio with a blank spaCy model. Prints one JSON object: seconds of each, breaches by rule, and seconds a text.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path

import jieba
import pandas as pd
import spacy
from presidio_analyzer import AnalyzerEngine, Pattern, PatternRecognizer, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import CreditCardRecognizer, PhoneRecognizer

from analyzer import rules
from analyzer.text import load_lexicons

WRITTEN = ["call", "ai_call", "voicemail", "sms", "wechat", "im", "email", "visit"]
CALLS = ["call", "ai_call"]


class Blank(SpacyNlpEngine):
    """Presidio's engine with a model that knows nothing, as it can be had without a download."""

    def __init__(self) -> None:
        super().__init__(models=[{"lang_code": "zh", "model_name": "blank"}])
        self.nlp = {"zh": spacy.blank("zh")}


def breaches(folder: Path) -> dict[str, int]:
    """Breaching contacts by rule."""
    contacts = pd.read_csv(folder / "contacts.csv", dtype={"number": "string", "recording_id": "string"}, parse_dates=["started_at"])
    cases, persons = pd.read_csv(folder / "cases.csv"), pd.read_csv(folder / "persons.csv")
    all_rows = contacts.merge(cases[["case_id", "debtor_id", "lender", "lender_kind"]], on="case_id", how="left").merge(persons[["person_id", "relation"]], on="person_id", how="left")
    bound = all_rows[(all_rows["direction"] == "outbound") & all_rows["lender_kind"].isin(["bank", "consumer_finance", "microloan", "auto_finance"])]
    hour = bound["started_at"].dt.hour
    found = {"quiet-hours": int((bound["channel"].isin(WRITTEN) & ((hour < 8) | (hour >= 22))).sum())}
    calls = bound[bound["channel"].isin(CALLS) & (bound["relation"] == "self")].assign(day=lambda rows: rows["started_at"].dt.date)
    for rule, kind, outcomes, keys in (
        ("interactive-calls", "interactive", ["conversation"], ["debtor_id", "day"]),
        ("notice-calls", "notice", ["conversation", "answered_dropped", "recorded_message"], ["debtor_id", "lender", "day"]),
    ):
        counted = calls[(calls["call_type"] == kind) & calls["outcome"].isin(outcomes)].sort_values("started_at")
        found[rule] = int((counted.groupby(keys).cumcount() >= 3).sum())
    return found


def reader() -> AnalyzerEngine:
    """Presidio, as its documentation sets it up, with a pattern for resident IDs."""
    number = PatternRecognizer("CN_ID", supported_language="zh", patterns=[Pattern("id", r"(?<!\d)[1-9]\d{16}[\dXx](?!\d)", 0.6)])
    known = RecognizerRegistry(recognizers=[number, CreditCardRecognizer(supported_language="zh"), PhoneRecognizer(supported_language="zh", supported_regions=["CN"])], supported_languages=["zh"])
    return AnalyzerEngine(registry=known, nlp_engine=Blank(), supported_languages=["zh"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slice", type=int, default=2000)
    asked = parser.parse_args()
    began = time.perf_counter()
    found = breaches(asked.folder)
    relational = time.perf_counter() - began
    texts = pd.read_csv(asked.folder / "contacts.csv", usecols=["text"], nrows=asked.slice * 2)["text"].dropna().head(asked.slice).tolist()
    terms = load_lexicons(rules.lexicon_folder(rules.rules_folder())).terms.words
    pattern = re.compile("|".join(map(re.escape, sorted((t for t in terms if len(t) > 1), key=len, reverse=True))))
    presidio = reader()
    jieba.lcut("还款")
    presidio.analyze("还款", language="zh")
    seconds = {}
    for name, read in (("re", pattern.search), ("jieba", jieba.lcut), ("presidio", lambda text: presidio.analyze(text, language="zh"))):
        began = time.perf_counter()
        for text in texts:
            read(text)
        seconds[name] = (time.perf_counter() - began) / len(texts)
    print(json.dumps({"relational": relational, "breaches": found, "texts": len(texts), "terms": len(terms), "per_text": seconds}))


if __name__ == "__main__":
    main()
