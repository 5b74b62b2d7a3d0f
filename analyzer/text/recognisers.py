"""Presidio recognisers for Chinese and English identifiers, and its language engine on jieba.

Presidio ships none for China, and its own rely on word borders that do not exist beside Chinese characters: all of
these look at neighbouring digits instead. Checksums: GB 11643 (resident ID, ISO 7064 MOD 11-2), Luhn (cards), ISO 13616
(IBAN), the weighted sums of Hong Kong's, Singapore's and Taiwan's identity cards, the letters that national insurance numbers never use, the areas that social security numbers never use.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from typing import Any, cast

from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from analyzer.text import segment

_D = r"[0-9０-９]"
_GAP = r"[ \-—.·_/]{0,2}"
_WIDE = str.maketrans("０１２３４５６７８９Ｘｘ", "0123456789Xx")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
# First two digits of the division codes of GB/T 2260.
_PROVINCES = frozenset(["11", "12", "13", "14", "15", "21", "22", "23", "31", "32", "33", "34", "35", "36", "37", "41", "42", "43", "44", "45", "46", "50", "51", "52", "53", "54", "61", "62", "63", "64", "65", "71", "81", "82", "83"])


def plain_digits(text: str) -> str:
    """Digits (and X) of an identifier as written, without what stands between them."""
    return re.sub(r"[^0-9Xx]", "", text.translate(_WIDE)).upper()


def is_resident_id(text: str) -> bool:
    """18 characters of GB 11643: a known province, a real date of birth, the right last character."""
    digits = plain_digits(text)
    if not re.fullmatch(r"\d{17}[\dX]", digits) or digits[:2] not in _PROVINCES:
        return False
    year, month, day = int(digits[6:10]), int(digits[10:12]), int(digits[12:14])
    if not (1900 <= year <= 2099 and 1 <= month <= 12 and 1 <= day <= 31):
        return False
    return "10X98765432"[sum(int(d) * w for d, w in zip(digits[:17], _WEIGHTS, strict=True)) % 11] == digits[17]


def is_card(text: str) -> bool:
    """12 to 19 digits that pass Luhn's sum, not all alike, beginning as cards do."""
    digits = plain_digits(text)
    if not re.fullmatch(r"\d{12,19}", digits) or len(set(digits)) < 2 or digits[0] not in "3456":
        return False
    total = sum(int(d) if i % 2 == 0 else sum(divmod(int(d) * 2, 10)) for i, d in enumerate(reversed(digits)))
    return total % 10 == 0


def is_hong_kong_id(text: str) -> bool:
    """One or two letters, six figures and one more or an A: the sum of the nine places, weighted 9 to 1, is a multiple of 11 (a blank counts 36)."""
    plain = re.sub(r"[^0-9A-Z]", "", text.translate(_WIDE).upper())
    if not re.fullmatch(r"[A-Z]{1,2}\d{6}[\dA]", plain):
        return False
    values = [36, *(int(c, 36) for c in plain)] if len(plain) == 8 else [int(c, 36) for c in plain]
    return sum(value * weight for value, weight in zip(values, range(9, 0, -1), strict=True)) % 11 == 0


def is_singapore_id(text: str) -> bool:
    """S, T, F, G or M, seven figures, and the letter that their weighted sum calls for."""
    plain = text.translate(_WIDE).upper()
    total = sum(int(d) * w for d, w in zip(plain[1:8], (2, 7, 6, 5, 4, 3, 2), strict=True)) + {"T": 4, "G": 4, "M": 3}.get(plain[0], 0)
    letters = "JZIHGFEDCBA" if plain[0] in "ST" else "XWUTRQPNJLK" if plain[0] == "M" else "XWUTRQPNMLK"
    return letters[total % 11] == plain[8]


def is_taiwan_id(text: str) -> bool:
    """A letter and nine figures: the letter's two figures and the others, weighted, come to a multiple of 10."""
    plain = text.translate(_WIDE).upper()
    letter = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(plain[0]) + 10
    return (letter // 10 + letter % 10 * 9 + sum(int(d) * w for d, w in zip(plain[1:], (8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True))) % 10 == 0


def is_iban(text: str) -> bool:
    """ISO 13616: the first four characters moved to the end, letters as 10 to 35, leave 1 of 97."""
    plain = re.sub(r"[^0-9A-Z]", "", text.translate(_WIDE).upper())
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


class _Checked(PatternRecognizer):
    """A pattern whose finds must pass a check; without it the pattern's own score stands."""

    def __init__(self, entity: str, language: str, patterns: list[tuple[str, str, float]], context: list[str], check: Any = None) -> None:
        self._check = check
        super().__init__(
            entity, patterns=[Pattern(name, regex, score) for name, regex, score in patterns], context=context, supported_language=language,
            name=f"{entity}_{language}", global_regex_flags=re.IGNORECASE,
        )  # fmt: skip

    def validate_result(self, pattern_text: str) -> bool | None:
        return None if self._check is None else bool(self._check(pattern_text))


def _not_ssn(text: str) -> bool:
    area, group, serial = re.findall(r"\d+", text)
    return area not in ("000", "666") and not area.startswith("9") and group != "00" and serial != "0000"


class _After(EntityRecognizer):
    """An identifier that only its announcement tells: 微信号abc123. Only the identifier itself is the find."""

    def __init__(self, entity: str, language: str, regex: str, score: float) -> None:
        self._regex, self._score, self._name = re.compile(regex, re.IGNORECASE), score, f"{entity}_{language}"
        super().__init__([entity], name=self._name, supported_language=language)

    def load(self) -> None:
        """Nothing to load."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts) -> list[Any]:
        from presidio_analyzer import AnalysisExplanation, RecognizerResult

        found = []
        for match in self._regex.finditer(text):
            told = AnalysisExplanation(recognizer=self._name, original_score=self._score, pattern_name="announced")
            meta = {RecognizerResult.RECOGNIZER_NAME_KEY: self._name, RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id}
            found.append(RecognizerResult(self.supported_entities[0], *match.span(1), self._score, told, meta))
        return found


_MAIL, _HOST, _TOLD = r"[A-Za-z0-9Ａ-Ｚａ-ｚ０-９._%+\-．＿]", r"[A-Za-z0-9Ａ-Ｚａ-ｚ０-９\-]", r"(?: is |[是为為:： (（\-]{0,3})"
_NUMBER_BEFORE, _NUMBER_AFTER = r"(?<![0-9０-９A-Za-z*＊])", r"(?![0-9０-９*＊])"
_ADDRESS = (
    r"(?:[\u4e00-\u9fff]{2,8}(?:省|市|自治[区區]|自治州|[区區]|[县縣]|[镇鎮]|[乡鄉]|街道|村|社[区區])){0,4}[\u4e00-\u9fffA-Za-z0-9]{1,12}(?:路|街|巷|弄|大道|胡同|小[区區]|花[园園]|苑|公寓|家[园園]|新村|村)"
    r"[\u4e00-\u9fff]{0,6} ?[0-9０-９一二三四五六七八九十百]{1,5} ?(?:[号號][楼樓]|[号號]院|[号號]|[栋棟]|幢|座|弄|[组組])(?:[0-9０-９一二三四五六七八九十A-Za-z\-]{0,6}(?:[单單]元|[号號][楼樓]|[栋棟]|幢|座|[楼樓]|[层層]|室|[户戶]|[号號])?){0,4}"
)


def recognisers() -> list[Any]:
    """All recognisers, for Chinese and English texts."""
    found: list[Any] = []
    resident = rf"{_NUMBER_BEFORE}{_D}(?:{_GAP}{_D}){{16}}{_GAP}[0-9０-９XxＸｘ]{_NUMBER_AFTER}"
    card = rf"{_NUMBER_BEFORE}{_D}(?:[ \-—.·]?{_D}){{11,18}}{_NUMBER_AFTER}"
    mobile = rf"{_NUMBER_BEFORE}(?:(?:\+|00)?86[ \-]?|0)?[1１][3-9３-９]{_D}[ \-]?{_D}{{4}}[ \-]?{_D}{{4}}{_NUMBER_AFTER}"
    for language in ("zh", "en"):
        found += [
            _Checked("CN_RESIDENT_ID", language, [("18 digits", resident, 0.5)], ["身份证", "证件", "id", "identity"], is_resident_id),
            _Checked("BANK_CARD", language, [("12-19 digits", card, 0.4)], ["卡号", "银行卡", "信用卡", "card"], is_card),
            _Checked("CN_MOBILE", language, [("11 digits", mobile, 0.6)], ["手机", "电话", "联系", "致电", "mobile", "phone"]),
            _Checked("EMAIL", language, [("address", rf"(?<!{_MAIL}){_MAIL}{{1,64}}[@＠]{_HOST}{{1,63}}(?:[.．]{_HOST}{{1,63}}){{1,4}}(?![A-Za-z0-9])", 0.8),
                                         ("with blanks", rf"(?<!{_MAIL}){_MAIL}{{1,64}} ?[@＠] ?{_HOST}{{1,63}} ?[.．] ?(?:com|cn|net|org|edu|gov)(?![A-Za-z0-9])", 0.7)], []),
            _After("WECHAT", language, rf"(?:微信|薇信|威信|V信|WeChat|weixin)(?:[号號][码碼]?| ?ID)?{_TOLD}([A-Za-z][A-Za-z0-9_\-]{{5,19}})(?![A-Za-z0-9])", 0.7),
            # Two letters, or a verb, announce only what looks like a name somebody gave himself.
            _After("WECHAT", language, rf"(?:(?<![A-Za-z])[VW]X|加微)(?:[号號][码碼]?)?{_TOLD}(?=[A-Za-z\-]{{0,19}}[0-9_])([A-Za-z][A-Za-z0-9_\-]{{5,19}})(?![A-Za-z0-9])", 0.7),
            _Checked("EN_PHONE", language, [("international", rf"(?<![0-9０-９A-Za-z])\+[1-9]{_D}{{0,2}}(?:[ \-]?{_D}){{7,12}}{_NUMBER_AFTER}", 0.55)], ["phone", "call", "mobile", "电话"]),
            _Checked("NATIONAL_ID", language, [("Hong Kong", rf"(?<![A-Za-z0-9])[A-Z]{{1,2}}{_D}{{6}} ?[(（]?[0-9０-９AＡ][)）]?(?![A-Za-z0-9])", 0.4)], ["hkid", "身份证", "identity"], is_hong_kong_id),
            _Checked("NATIONAL_ID", language, [("Singapore", rf"(?<![A-Za-z0-9])[STFGM]{_D}{{7}}[A-Z](?![A-Za-z0-9])", 0.5)], ["nric", "fin"], is_singapore_id),
            _Checked("NATIONAL_ID", language, [("Taiwan", rf"(?<![A-Za-z0-9])[A-Z][12]{_D}{{8}}(?![A-Za-z0-9])", 0.4)], ["身分證", "身份证"], is_taiwan_id),
            _Checked("IBAN", language, [("country, sum and account", r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", 0.4)], ["iban"], is_iban),
            _After("QQ", language, r"(?:QQ|扣扣|企鹅)(?:号|号码)?[是为:： ]{0,3}([1-9][0-9]{4,10})(?![0-9])", 0.7),
        ]
    found += [
        _Checked("CN_LANDLINE", "zh", [("area code", rf"{_NUMBER_BEFORE}(?:[(（]?0(?:10|2\d)[)） \-]{{0,2}}{_D}{{8}}|[(（]?0[3-9]\d{{2}}[)） \-]{{0,2}}{_D}{{7,8}}){_NUMBER_AFTER}", 0.5)], ["电话", "座机", "固话"]),
        _Checked("CN_PLATE", "zh", [("plate", r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·\- ]?[A-HJ-NP-Z0-9]{5,6}(?![A-Za-z0-9])", 0.6)], ["车牌", "牌照"]),
        _After("PASSPORT", "zh", r"[护護]照(?:[号號][码碼]|[号號])?[是为為:： ]{0,3}([EeGgDdSsPp][A-Za-z]?[0-9]{7,8})(?![0-9])", 0.8),
        _After("TRAVEL_PERMIT", "zh", r"(?:通行证|回乡证|台胞证)(?:号码|号)?[是为:： ]{0,3}([CcHhMmTtLlWw]?[0-9]{8,10})(?![0-9])", 0.8),
        _Checked("CN_ADDRESS", "zh", [("street and number", _ADDRESS, 0.6)], ["住址", "地址", "家住", "住在"]),
        _Checked("US_SSN", "en", [("ddd-dd-dddd", rf"{_NUMBER_BEFORE}\d{{3}}[- ]\d{{2}}[- ]\d{{4}}{_NUMBER_AFTER}", 0.6)], ["ssn", "social", "security"], _not_ssn),
        _After("US_SSN", "en", r"(?:SSN|social security(?: number| no\.?)?)[ :#is]{0,6}(\d{9})(?!\d)", 0.8),
        _Checked("UK_NINO", "en", [("two letters, six digits, a letter", r"(?<![A-Za-z0-9])(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?![A-Za-z0-9])", 0.7)], ["insurance", "nino"]),
        _After("PASSPORT", "en", r"passport(?: number| no\.?| #)?[ :is]{0,5}([A-Z]{0,2}\d{7,9})(?!\d)", 0.8),
        _After("NATIONAL_ID", "en", r"(?:aadhaar|aadhar|national id|nid|nin|bvn|pan)(?: card)?(?: number| no\.?)?[ :is#]{0,5}(\d{4}[ \-]?\d{4}[ \-]?\d{3,4}|\d{8,14}|[A-Z]{5}\d{4}[A-Z])(?![A-Za-z0-9])", 0.8),
        _Checked("EN_PHONE", "en", [("phone", rf"{_NUMBER_BEFORE}(?:\+?\d{{1,3}}[ .\-]?)?(?:\(\d{{2,4}}\)|\d{{3,4}})[ .\-]\d{{3,4}}[ .\-]?\d{{3,4}}{_NUMBER_AFTER}", 0.5)], ["phone", "call", "mobile", "cell"]),
        _Checked("EN_ADDRESS", "en", [("number and street", r"(?<![A-Za-z0-9])\d{1,5}[A-Za-z]?,? (?:[A-Z][A-Za-z']{1,20} ){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Court|Ct|Close|Way|Place|Crescent|Boulevard|Blvd|Terrace)\b", 0.6)], ["lives", "address", "home"]),
    ]  # fmt: skip
    return found


class JiebaEngine(NlpEngine):
    """Tokens for Presidio's context words, by jieba; the same words stand for lemmas. No entities, no model."""

    engine_name = "jieba"
    is_available = True

    def load(self) -> None:
        """Nothing to load: jieba is loaded by whoever first asks for a word."""

    def is_loaded(self) -> bool:
        """Always."""
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """Words of a text with where they begin."""
        words = list(segment.words(text)) if language == "zh" else [(m.group().lower(), m.start()) for m in re.finditer(r"\w+", text)]
        tokens = [word for word, _ in words]
        return NlpArtifacts([], cast("Any", tokens), [at for _, at in words], tokens, self, language, scores=[])

    def process_batch(self, texts: Iterable[str], language: str, batch_size: int = 1, n_process: int = 1, **kwargs: Any) -> Generator[tuple[str, NlpArtifacts], None, None]:
        """One after the other."""
        for text in texts:
            yield text, self.process_text(text, language)

    def is_stopword(self, word: str, language: str) -> bool:
        """No list of these is kept."""
        return False

    def is_punct(self, word: str, language: str) -> bool:
        """Whether a word has no letter and no digit."""
        return not any(c.isalnum() for c in word)

    def get_supported_entities(self) -> list[str]:
        """None of its own."""
        return []

    def get_supported_languages(self) -> list[str]:
        """Chinese and English."""
        return ["zh", "en"]
