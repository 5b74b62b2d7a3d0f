"""Personal data in texts: Presidio with recognisers of our own, over the few texts that can hold any.

A prefilter (one linear-time expression over the Arrow buffer) passes on a text only if it holds seven digits, an @, or a
word that announces an identifier; Presidio sees nothing else. Nothing is downloaded and nothing reaches the network: the
language engine is jieba's, and no recogniser of Presidio's own that validates against a list on the net is used.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from analyzer.text.normalise import language_of

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

# A superset of all that the recognisers can find, for RE2.
CANDIDATE = (
    r"[0-9０-９](?:[ \-—.·_*/]{0,3}[0-9０-９]){6}|[A-Z][0-9０-９]{6} ?[(（]?[0-9A]|[A-Z]{5}[0-9]{4}[A-Z]|@|＠|(?i:微信|薇信|威信|v信|wechat|weixin|\b[vw]x\b|加微|\bqq\b|扣扣|企鹅|护照|護照|passport|通行证|回乡证|台胞证|车牌|牌照|"
    r"住址|地址|家住|住在|\baddress\b|\blives at\b|[路街巷弄道同区區园園苑寓村][^，。,;；\n]{0,8}[0-9０-９一二三四五六七八九十百] ?(?:[号號]|[栋棟]|幢|座|弄|[组組])|[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][A-Z0-9·]{5,7}|"
    r"[0-9][A-Za-z]?,? (?:[A-Za-z']+ ){1,3}(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|court|ct|close|way|place|crescent|boulevard|blvd|terrace)\b|\b[A-Z]{2} ?[0-9]{2})"
)
# Long figures that are announced as something else may pass a card's checksum by chance (one in ten does), and a payee's own
# account is meant to be known.
_NO_CARD = re.compile(
    r"(订单|工单|单号|运单|快递|物流|流水|合同|协议|借据|凭证|编号|案号|票号|参考号|序列号|对公|公司账|还款账|收款账|公司户|专用账|order|ticket|tracking|invoice|waybill|contract|"
    r"reference|ref|case|loan|policy|warranty|airway|booking|receipt|transaction|corporate|company|our|escrow|trust)[^0-9,，。;；]{0,16}$",
    re.IGNORECASE,
)
LONGEST = 20_000
"""Characters of one text that are looked at; what lies beyond is said to be cut."""

# What a full identifier is: its owner can be harmed by it, whoever reads it.
FULL = ("CN_RESIDENT_ID", "BANK_CARD", "US_SSN", "UK_NINO", "PASSPORT", "NATIONAL_ID")
PLACES = ("CN_ADDRESS", "EN_ADDRESS")
ENTITIES = (*FULL, *PLACES, "CN_MOBILE", "CN_LANDLINE", "EN_PHONE", "EMAIL", "WECHAT", "QQ", "CN_PLATE", "TRAVEL_PERMIT", "IBAN")
"""The kinds of personal data that are looked for."""
PERSONAL_DATA = "personal_data"
"""The concept under which they are signals."""
# Of identifiers that are long figures only, a text must hold twelve digits.
_LONG = ("CN_RESIDENT_ID", "BANK_CARD")
_LONG_CANDIDATE = r"[0-9０-９](?:[ \-—.·_*/]{0,3}[0-9０-９]){11}"


@dataclass(frozen=True)
class Found:
    """One identifier: which text, what kind, where (characters of the text as logged), how sure, and why."""

    text: int
    entity: str
    start: int
    end: int
    score: float
    recogniser: str
    why: str


def candidates(texts: pa.Array, entities: Collection[str] = ENTITIES) -> list[int]:
    """The numbers of the texts that may hold personal data of some kinds."""
    pattern = _LONG_CANDIDATE if all(entity in _LONG for entity in entities) else CANDIDATE
    found: list[int] = pc.indices_nonzero(pc.fill_null(pc.match_substring_regex(texts, pattern), False)).to_pylist()
    return found


def find_personal_data(
    texts: Sequence[str | None], languages: Sequence[str] | None = None, names: Sequence[Iterable[str]] | None = None,
    entities: Collection[str] = ENTITIES,
) -> list[Found]:  # fmt: skip
    """The personal data in each text, in the order of text and place; overlapping finds are settled by score, then length.

    Args:
        texts: as logged.
        languages: zh or en per text; by default zh where there is a Chinese character.
        names: per text, names of the case's own persons: where they stand they are found too.
        entities: the kinds looked for, of `ENTITIES`; names of the case's persons are found whatever it says.
    """
    found = []
    readable = pa.array([None if t is None else t[:LONGEST].encode("utf-8", "replace").decode("utf-8") for t in texts], type=pa.string())
    wanted = candidates(readable, entities)
    if names is not None:
        wanted = sorted({*wanted, *(i for i, some in enumerate(names) if any(some))})
    for number in wanted:
        text = (texts[number] or "")[:LONGEST]
        language = languages[number] if languages is not None else language_of(text)
        hits = _one(number, text, language, names[number] if names is not None else (), entities)
        found += [hit for hit in hits if hit.entity in entities or hit.entity == "PERSON"]
    return found


def _one(number: int, text: str, language: str, names: Iterable[str], entities: Collection[str]) -> list[Found]:
    language = language if language in ("zh", "en") else "zh"
    # Few texts hold one of a few kinds. Those are read for every kind: another may be what the same figures are.
    held = len(entities) == len(ENTITIES) or _holds(text, language, entities)
    results = _engine().analyze(text, language=language, return_decision_process=True) if held else []
    hits = [
        Found(number, r.entity_type, r.start, r.end, round(r.score, 2), r.recognition_metadata["recognizer_name"], _why(r)) for r in results
    ]
    hits = [h for h in hits if h.entity != "BANK_CARD" or not _NO_CARD.search(text[max(0, h.start - 40) : h.start])]
    for name in {n for n in names if len(n) >= 2}:
        hits += [Found(number, "PERSON", m.start(), m.end(), 0.85, "case", "name of a person of the case") for m in re.finditer(re.escape(name), text)]
    kept: list[Found] = []
    for hit in sorted(hits, key=lambda h: (-h.score, h.start - h.end, h.start, h.entity)):
        if all(hit.end <= k.start or hit.start >= k.end for k in kept):
            kept.append(hit)
    return sorted(kept, key=lambda h: (h.start, h.end))


def _why(result: Any) -> str:
    told = result.analysis_explanation
    parts = [told.pattern_name or told.recognizer]
    if told.validation_result:
        parts.append("checksum")
    if told.supportive_context_word:
        parts.append(f"near {told.supportive_context_word}")
    return ", ".join(parts)


def _holds(text: str, language: str, entities: Collection[str]) -> bool:
    """Whether a recogniser of some of these kinds finds anything. Each is asked by itself: what words stand around only changes a score."""
    return any(r.analyze(text, r.supported_entities, None) for r in _asked(language, frozenset(entities)))


@cache
def _asked(language: str, entities: frozenset[str]) -> tuple[Any, ...]:
    """The recognisers of some kinds in a language."""
    return tuple(r for r in _engine().registry.recognizers if r.supported_language == language and r.supported_entities[0] in entities)


@cache
def _engine() -> AnalyzerEngine:
    """Presidio with our recognisers only. Loading takes seconds: only when asked for."""
    import logging

    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry

    from analyzer.text.recognisers import JiebaEngine, recognisers

    registry = RecognizerRegistry(recognizers=recognisers(), supported_languages=["zh", "en"])
    return AnalyzerEngine(registry=registry, nlp_engine=JiebaEngine(), supported_languages=["zh", "en"])


def label_of(found: Found, third_party: bool) -> bool:
    """Whether an identifier in a plain message is conduct (`pii_exposure`): full ones always, an address when told to a third party."""
    return found.entity in FULL or (third_party and found.entity in PLACES)
