"""Text cells to typed values, as SQL expressions over a staged column.

Each expression first takes the one shape that nearly every row has, and only rows that do not fit go through the
slower one: DuckDB evaluates a CASE branch for its own rows alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from analyzer.intake.columns import EMPTY_WORDS, FALSE_WORDS, TRUE_WORDS
from analyzer.sql import literal

# The blanks among them are no-break, thin and ideographic ones.
_WIDE = "０１２３４５６７８９：－／．，（）＋ＸｘＥｅ\u3000\u00a0\u202f\u2009"
_HALF = "0123456789:-/.,()+XxEe    "
_UNSEEN = "[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
_QUOTE = "''"

_MORNING, _NOON, _AFTERNOON, _EVENING = "上午|早上|早晨|清晨|凌晨", "中午", "下午|午后|傍晚", "晚上|夜里|夜间|深夜|晚间|晚"
_HALVES = f"{_MORNING}|{_NOON}|{_AFTERNOON}|{_EVENING}"
# Y-M-D first, or two short numbers and a year; Chinese or Latin marks; 12 or 24 hours, the half of the day before or after; an offset or none.
_TIME = (
    r"^(\d{1,4})\s*[-/.年 ]\s*(\d{1,2})\s*[-/.月 ]\s*(\d{1,4})\s*[日号]?(?:[Tt ,:-]*"
    rf"({_HALVES}|[AaPp]\.?[Mm]\.?)?\s*(\d{{1,2}})\s*[:时点.]\s*(\d{{1,2}})?\s*分?(?:[:.]?\s*(\d{{1,2}})(?:[.,:]\d+)?\s*秒?)?"
    rf"\s*({_HALVES}|[AaPp]\.?[Mm]\.?)?)?"
    r"\s*(Z|z|UTC|GMT|(?:UTC|GMT)[+-]\d{1,2}(?::?[0-5]\d)?|[+-](?:0\d|1[0-3]):?[0-5]\d|[+-]14:?00|[+-](?:0\d|1[0-4]))?$"
)
_PARTS = "['a', 'b', 'c', 'half', 'h', 'm', 's', 'half2', 'off']"
_MONTHS = "['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']"
_MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
# A day of the week says nothing that the date does not.
_WEEKDAY = r"[(（]?(?:星期|周|礼拜)[一二三四五六日天][)）]?|^\s*(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+"
_ZONE_NAME = r"\[[A-Za-z]+/[A-Za-z_/]+\]$|\s*\([A-Za-z ]+ Time\)$"
# Brought into the shape of `_TIME`: a month by its name after or before the day; digits without marks.
_DAY_MONTH = rf"^(\d{{1,2}})[-\s/.]*{_MONTH}\.?[-\s/.,]*(\d{{4}}|\d{{2}})\b(.*)$"
_MONTH_DAY = rf"^{_MONTH}\.?\s*(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b(.*)$"
_BARE = r"^((?:19|20)\d{2})(\d{2})(\d{2})(?:[T ]?(\d{2}):?(\d{2}):?(\d{2})?(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$"
# As Java writes a time: the year comes last, after the offset.
_YEAR_LAST = rf"^{_MONTH}\s+(\d{{1,2}})\s+(\d{{1,2}}:\d{{2}}:\d{{2}})\s*([-+][0-9:]+|z|utc|gmt)?\s+(\d{{4}})$"
# Years of an era, by its name or as three figures (no other count of years has three): 民國113年5月6日, 113/05/06, 1130506, 令和6年5月6日.
_ERA = r"^(?:中[华華])?(民[国國]|令和)\s*(元|[0-9]{1,3})([^0-9].*)$"
_ROC_BARE = r"^(1[0-4][0-9])(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])( .*)?$"
_ROC, _REIWA = 1911, 2018
# Offsets in minutes of the words for zones that mean one only. CST, IST, BST, MST and PST mean several: the log's own zone decides.
ZONE_WORDS = {
    "EST": -300, "EDT": -240, "CDT": -300, "MDT": -360, "PDT": -420, "JST": 540, "KST": 540, "HKT": 480, "SGT": 480, "WIB": 420, "PHT": 480,
    "CET": 60, "CEST": 120, "AEST": 600, "AEDT": 660,
}  # fmt: skip
_CLOCK = r"^(?:(\d+):)?(\d+):(\d{2})(?:\.\d+)?$"
_SPOKEN = (
    r"^(?:(\d+)\s*(?:小?时|小時|hours?|hrs?|h))?\s*(?:(\d+(?:\.\d+)?)\s*(?:分钟?|分鐘|minutes?|mins?|m|QUOTE|′))?"
    r'\s*(?:(\d+(?:\.\d+)?)\s*(?:秒钟?|秒鐘|seconds?|secs?|s|"|″))?$'
).replace("QUOTE", _QUOTE)


def _let(name: str, value: str, body: str) -> str:
    """SQL: `body`, in which `name` stands for `value`. Written out in its every place, a value within values takes longer to plan than to work out."""
    return f"list_transform([{value}], lambda {name}: {body})[1]"


def cell(raw: str) -> str:
    """A cell trimmed of blanks (also ideographic ones) and of a spreadsheet's leading apostrophe; '' is NULL."""
    return f"nullif(ltrim(trim({raw}, ' \t\u3000\u00a0'), ''''), '')"


def filled(raw: str) -> str:
    """Like `cell`, and the words for "nothing" (null, n/a, -) are NULL too."""
    nothing = f"length({raw}) <= 8 AND {_is_nothing(f'lower(trim({raw}))')}"
    return f"CASE WHEN regexp_full_match({raw}, '[0-9A-Za-z_]{{6,}}') THEN {raw} WHEN {nothing} THEN NULL ELSE {cell(raw)} END"


def _is_nothing(text: str) -> str:
    return one_of(text, [word for word in EMPTY_WORDS if word])


def one_of(text: str, words: Iterable[str]) -> str:
    """SQL: whether a text is one of some words. Behind IN DuckDB makes a join of a list, and then works the text out for every row."""
    return f"contains({literal('|' + '|'.join(words) + '|')}, '|' || {text} || '|')"


def note(raw: str) -> str:
    """A text as it stands; the words that exports put where there is none (NULL, \\N) are NULL."""
    return f"CASE WHEN length({raw}) <= 6 AND {one_of(f'lower(trim({raw}))', ('null', '(null)', 'nan', chr(92) + 'n', '#n/a'))} THEN NULL ELSE nullif({raw}, '') END"


def is_plain_time(raw: str) -> str:
    """Whether a cell is year first, plain and without an offset, so that a cast alone reads it."""
    return (
        f"(length({raw}) IN (10, 16, 19) AND substr({raw}, 5, 1) IN ('-', '/') AND substr({raw}, 8, 1) IN ('-', '/') AND substr({raw}, 17, 1) IN ('', ':')"
        f" AND substr({raw}, 14, 1) IN ('', ':') AND substr({raw}, 11, 1) IN ('', ' ', 'T'))"
    )


def _half_width(raw: str) -> str:
    return f"trim(translate({cell(raw)}, '{_WIDE}', '{_HALF}'))"


def regular(raw: str) -> str:
    """A time or date in the one shape that the parts are taken from: without the day of the week and a zone's name in brackets, a month
    by its number, marks between digits."""
    plain = f"trim(regexp_replace(regexp_replace({_half_width(raw)}, '{_WEEKDAY}', ' ', 'gi'), '{_ZONE_NAME}', ''))"
    plain = f"regexp_replace({plain}, '([时点])半', '\\1 30分')"
    year = f"(CASE p.y WHEN '元' THEN 1 ELSE p.y::INT END + CASE p.era WHEN '令和' THEN {_REIWA} ELSE {_ROC} END)"
    era = _let("p", f"regexp_extract(spoken, '{_ERA}', ['era', 'y', 'rest'])", f"CASE WHEN p.era <> '' THEN {year} || p.rest END")
    plain = _let("spoken", plain, f"CASE WHEN regexp_matches(spoken, '民[国國]|令和') THEN coalesce({era}, spoken) ELSE spoken END")

    def named(pattern: str, names: str) -> str:
        built = f"CASE WHEN length(p.y) = 2 THEN '20' || p.y ELSE p.y END || '-' || list_position({_MONTHS}, p.mon) || '-' || p.d || upper(p.rest)"
        return _let("p", f"regexp_extract(lower(plain), '{pattern}', {names})", f"CASE WHEN p.d <> '' THEN {built} END")

    clock = "' ' || p.h || ':' || p.m || ':' || coalesce(nullif(p.s, ''), '00') || p.off"
    built = f"p.y || '-' || p.b || '-' || p.d || CASE WHEN p.h = '' THEN '' ELSE {clock} END"
    bare = _let("p", f"regexp_extract(plain, '{_BARE}', ['y', 'b', 'd', 'h', 'm', 's', 'off'])", f"CASE WHEN p.y <> '' THEN {built} END")
    java = f"p.y || '-' || list_position({_MONTHS}, p.mon) || '-' || p.d || ' ' || p.clock || upper(p.off)"
    year_last = _let("p", f"regexp_extract(lower(plain), '{_YEAR_LAST}', ['mon', 'd', 'clock', 'off', 'y'])", f"CASE WHEN p.d <> '' THEN {java} END")
    return _let("plain", plain, (
        f"coalesce(CASE WHEN regexp_matches(plain, '{_MONTH}', 'i')"
        f" THEN coalesce({named(_DAY_MONTH, _NAMES_DAY_MONTH)}, {named(_MONTH_DAY, _NAMES_MONTH_DAY)}, {year_last})"
        f" WHEN regexp_matches(plain, '^(19|20)[0-9]{{6}}') THEN {bare}"
        f" WHEN regexp_matches(plain, '{_ROC_BARE}') THEN regexp_replace(plain, '{_ROC_BARE}', '\\1-\\2-\\3\\4') END, plain)"
    ))  # fmt: skip


_NAMES_DAY_MONTH, _NAMES_MONTH_DAY = "['d', 'mon', 'y', 'rest']", "['mon', 'd', 'y', 'rest']"


def zoned(raw: str, words: Mapping[str, int]) -> str:
    """A cell with the offset in the place of the word for a zone; minutes east of UTC by word."""
    for word, minutes in words.items():
        stated = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
        raw = f"regexp_replace({raw}, '([0-9.]) *\\b{word}\\b', '\\1{stated}')"
    return raw


def parts(raw: str) -> str:
    """STRUCT of the parts of a time or date as text: a, b and c of the date in the order written, half, h, m, s, half2, off; '' where there is none."""
    return f"regexp_extract({regular(raw)}, '{_TIME}', {_PARTS})"


def _slow_time(raw: str, order: str) -> str:
    first, third = {"dmy": ("c", "a"), "mdy": ("c", "b"), "ymd": ("a", "c")}[order]
    month = {"dmy": "b", "mdy": "a", "ymd": "b"}[order]
    year = f"CASE WHEN length(p.{first}) <= 2 THEN '20' || lpad(p.{first}, 2, '0') ELSE p.{first} END"
    ymd = "p.a || '-' || p.b || '-' || p.c"
    roc = f"CASE WHEN p.a::INT BETWEEN 80 AND 149 THEN (p.a::INT + {_ROC}) || '-' || p.b || '-' || p.c END"
    ordered = f"CASE WHEN length(p.a) = 4 THEN {ymd} WHEN length(p.a) = 3 THEN {roc} ELSE {year} || '-' || p.{month} || '-' || p.{third} END"
    half = "lower(replace(p.half || p.half2, '.', ''))"
    morning, noon, afternoon, evening = (f"regexp_full_match({half}, '{words}')" for words in (f"{_MORNING}|am", _NOON, f"{_AFTERNOON}|pm", _EVENING))
    # Twelve in the evening is midnight, one to four then are past it: on which date the writer put them is not known.
    hour = (
        f"(CASE WHEN p.h = '' THEN 0 WHEN {evening} AND {one_of('p.h', ('1', '2', '3', '4', '12', '01', '02', '03', '04'))} THEN NULL"
        f" WHEN ({afternoon} OR {evening} OR ({noon} AND p.h::INT < 4)) AND p.h::INT < 12 THEN p.h::INT + 12"
        f" WHEN {morning} AND p.h::INT = 12 THEN 0 ELSE p.h::INT END)"
    )
    text = f"{ordered} || ' ' || {hour} || ':' || coalesce(nullif(p.m, ''), '00') || ':' || coalesce(nullif(p.s, ''), '00')"
    shaped = _let("p", parts(raw), f"CASE WHEN p.a = '' THEN NULL ELSE try_cast({text} AS TIMESTAMP) END")
    serial = "TIMESTAMP '1899-12-30' + to_microseconds(round(figure * 86400)::BIGINT * 1000000)"
    return _let("figure", _figure(raw), (
        f"CASE WHEN figure BETWEEN 20000 AND 80000 THEN {serial}"
        " WHEN figure BETWEEN 1e9 AND 4e9 THEN make_timestamp((figure * 1000000)::BIGINT)"
        " WHEN figure BETWEEN 1e12 AND 4e12 THEN make_timestamp((figure * 1000)::BIGINT)"
        f" WHEN figure BETWEEN 1e15 AND 4e15 THEN make_timestamp(figure::BIGINT) ELSE {shaped} END"
    ))  # fmt: skip


def _figure(raw: str) -> str:
    """A cell that is a figure and nothing else, DOUBLE. Twelve and fourteen digits that begin with a year are a date and time."""
    return _let("text", _half_width(raw), "CASE WHEN regexp_full_match(text, '(19|20)[0-9]{10}([0-9]{2})?') THEN NULL ELSE try_cast(text AS DOUBLE) END")


def time(raw: str, order: str, plain_only: bool) -> str:
    """TIMESTAMP as written (local to whoever wrote it, unless `offset` gives one); NULL when unreadable."""
    fast = f"try_cast({raw} AS TIMESTAMP)"
    if plain_only:
        return fast
    return f"CASE WHEN {is_plain_time(raw)} THEN {fast} ELSE {_slow_time(raw, order)} END"


def offset(raw: str, plain_only: bool) -> str:
    """Minutes east of UTC that the cell itself states (SMALLINT); NULL when it states none."""
    if plain_only:
        return "NULL::SMALLINT"
    stated = f"regexp_replace(regexp_replace(upper({parts(raw)}.off), '^(UTC|GMT)([+-])', '\\2'), '^([+-])([0-9])$', '\\10\\2')"
    minutes = _let("digits", "replace(substr(stated, 2), ':', '')", "substr(digits, 1, 2)::INT * 60 + coalesce(nullif(substr(digits, 3, 2), '')::INT, 0)")
    said = f"CASE WHEN stated = '' THEN NULL WHEN {one_of('stated', ('Z', 'UTC', 'GMT'))} THEN 0 WHEN stated LIKE '-%' THEN -{minutes} ELSE {minutes} END"
    epoch = "figure BETWEEN 1e9 AND 4e9 OR figure BETWEEN 1e12 AND 4e12 OR figure BETWEEN 1e15 AND 4e15"
    return (
        f"CASE WHEN {is_plain_time(raw)} THEN NULL WHEN {_let('figure', _figure(raw), epoch)} THEN 0 ELSE {_let('stated', stated, said)} END::SMALLINT"
    )


def date_only(raw: str) -> str:
    """Whether a cell that holds a date gives no time of day (BOOLEAN): its hour is then not known, not midnight."""
    counted = _let("figure", _figure(raw), "figure <> floor(figure) OR figure >= 1e9")
    timed = f"coalesce(({parts(raw)}).h <> '', false) OR coalesce({counted}, false)"
    return f"CASE WHEN {is_plain_time(raw)} THEN length({raw}) = 10 ELSE NOT ({timed}) END"


def integer(raw: str) -> str:
    """BIGINT from "1,234", "12.0", "(3)", "逾期30天"; NULL for a part of one and beyond 32 bits."""
    number = f"try_cast(regexp_replace({_plain_number(raw)}, '^(逾期?|overdue|past due)', '', 'i') AS DOUBLE)"
    whole = _let("figure", number, "CASE WHEN figure = floor(figure) THEN try_cast(figure AS INTEGER) END")
    return f"CASE WHEN regexp_full_match({raw}, '-?[0-9]{{1,9}}') THEN {raw}::INTEGER ELSE {whole} END::BIGINT"


def seconds(raw: str, each: float = 1) -> str:
    """BIGINT: a duration in seconds from "200", "03:25", "1:03:25", "3分25秒", "3m20s", "PT3M20S", or a part of a day as spreadsheets keep it.

    `each`: how many seconds one is where a figure stands alone. NULL beyond 32 bits and below nought.
    """

    def told(pattern: str) -> str:
        each_part = " + ".join(f"coalesce(try_cast(nullif(p.{part}, '') AS DOUBLE), 0) * {factor}" for part, factor in (("h", 3600), ("m", 60), ("s", 1)))
        return _let("p", f"regexp_extract(value, '{pattern}', ['h', 'm', 's'])", f"CASE WHEN p.h || p.m || p.s <> '' THEN TRY(round({each_part})::INTEGER) END")

    spoken = _let("value", f"regexp_replace(lower({_half_width(raw)}), '^(0 days? |pt)', '')", f"coalesce({told(_CLOCK)}, {told(_SPOKEN)})")
    alone = f"WHEN number >= 0 THEN TRY(round(number * {each})::INTEGER)"
    # A part of a day has many places; 0.5 alone may be anything.
    part = "WHEN number > 0 AND number < 1 AND length(bare) >= 6 THEN TRY(round(number * 86400)::INTEGER) " if each == 1 else ""
    slow = _let("bare", _plain_number(raw), _let("number", "try_cast(bare AS DOUBLE)", f"CASE {part}{alone} ELSE {spoken} END"))
    return f"CASE WHEN regexp_full_match({raw}, '[0-9]{{1,9}}') THEN {raw}::INTEGER ELSE {slow} END::BIGINT" if each == 1 else f"{slow}::BIGINT"


def decimal(raw: str, each: float = 1) -> str:
    """DECIMAL(18,2) from "¥1,234.50", "1.234,50", "(1 234.50)" and "100-" (negative), "1234.5元", "5万"; `each`: how much one is."""
    number = f"try_cast({_plain_number(raw)} AS DOUBLE)"
    told = f"TRY(round({number} * CASE WHEN regexp_matches({_half_width(raw)}, '万元?$') THEN 10000 ELSE 1 END * {each}, 2)::DECIMAL(18, 2))"
    return told if each != 1 else f"coalesce(try_cast({raw} AS DECIMAL(18, 2)), {told})"


def _plain_number(raw: str) -> str:
    bare = f"regexp_replace({_half_width(raw)}, '[¥￥$€£元圆整万天日期 ]|人民币|RMB|CNY|USD|HK|US|NT', '', 'g')"
    # A comma before one or two last digits is a decimal one, before three it parts thousands.
    european = "regexp_full_match(bare, '[-(]?([0-9]{1,3}(\\.[0-9]{3})+|[0-9]+),[0-9]{1,2}[)-]?')"
    bare = _let("bare", bare, f"CASE WHEN {european} THEN replace(replace(bare, '.', ''), ',', '.') ELSE replace(bare, ',', '') END")
    return f"regexp_replace(regexp_replace({bare}, '^\\((.*)\\)$', '-\\1'), '^([0-9.]+)-$', '-\\1')"


def clock(raw: str) -> str:
    """TIME from "8:00", "08:00:00", "24:00", "8:00 AM", "8pm", "0800", "8", "下午8点", "8点30分"; NULL from anything else."""
    text = f"lower(regexp_replace({filled(raw)}, '[ .\u3000]', '', 'g'))"
    found = f"regexp_extract({text}, '^(上午|早上|早|中午|下午|晚上|晚|am|pm)?([0-9]{{1,2}}?)(?:[:：点时]?([0-9]{{2}})|[:：点时])?分?(?::([0-9]{{2}}))?(am|pm|a|p)?$', ['half', 'h', 'm', 's', 'end'])"
    half = "CASE WHEN x.half IN ('下午', '晚上', '晚', 'pm') OR x.end IN ('pm', 'p') THEN 'pm' WHEN x.half <> '' AND x.half <> '中午' OR x.end <> '' THEN 'am' END"
    spoken = (
        f"list_transform([{found}], lambda x: CASE"
        f" WHEN ({half}) = 'pm' AND try_cast(x.h AS INTEGER) < 12 THEN try_cast(x.h AS INTEGER) + 12"
        f" WHEN x.half IN ('晚上', '晚') AND x.h = '12' THEN 24 WHEN ({half}) = 'am' AND try_cast(x.h AS INTEGER) = 12 THEN 0"
        f" WHEN x.end <> '' AND try_cast(x.h AS INTEGER) > 12 THEN NULL"
        f" ELSE try_cast(x.h AS INTEGER) END::VARCHAR || ':' || coalesce(nullif(x.m, ''), '00') || ':' || coalesce(nullif(x.s, ''), '00'))[1]"
    )
    return f"try_cast({spoken} AS TIME)"


def boolean(raw: str) -> str:
    """BOOLEAN from 是/否, yes/no, 1/0 ...; NULL for anything else."""
    value = f"lower({cell(raw)})"
    return f"CASE WHEN {one_of(value, sorted(TRUE_WORDS))} THEN true WHEN {one_of(value, sorted(FALSE_WORDS))} THEN false END"


def identifier(raw: str) -> str:
    """An id as written, in half width; ="123" and 123.0 are 123. NULL where a spreadsheet has made it 1.2E+18 or an error: its digits are lost."""
    bare = f"regexp_replace(regexp_replace({_seen(raw)}, '^=\"(.*)\"$', '\\1'), '^([0-9]+)\\.0$', '\\1')"
    lost = f"regexp_full_match(bare, '[0-9](\\.[0-9]+)?[Ee]\\+[0-9]+|#[A-Z/0]+[!?]?') OR {_is_nothing('lower(bare)')}"
    plain = f"CASE WHEN length({raw}) <= 4 AND {_is_nothing(f'lower({raw})')} THEN NULL ELSE {raw} END"
    slow = _let("bare", bare, f"CASE WHEN {lost} THEN NULL ELSE nullif(bare, '') END")
    return f"CASE WHEN regexp_full_match({raw}, '[0-9A-Za-z_-]+') THEN {plain} ELSE {slow} END"


def _seen(raw: str) -> str:
    return f"regexp_replace({_half_width(raw)}, '{_UNSEEN}', '', 'g')"


def number(raw: str) -> str:
    """A phone number as digits: blanks, dashes, brackets and extensions go, so do 86 of a mainland number and 1 of a North American one.

    Of several in one cell the first. NULL for what is no number: too few or too many digits, or digits that a spreadsheet has lost (1.38E+10).
    """
    bare = f"regexp_replace(regexp_replace({_seen(raw)}, '^=\"(.*)\"$', '\\1'), '\\.0$', '')"
    # What is said of a number in brackets is no part of it: (本人), but (010).
    bare = f"regexp_replace({bare}, '\\([^)0-9]*\\)|\\(0\\)', '', 'g')"
    bare = f"regexp_replace({bare}, '\\s*(ext\\.?|extension|x|转|分机|#)\\s*[0-9]+$', '', 'i')"
    bare = f"regexp_replace({bare}, '^(0[0-9]{{2,3}}-[0-9]{{7,8}})-[0-9]{{1,6}}$', '\\1')"
    first = f"regexp_extract({bare}, '^([-+0-9(). ]+?)\\s*(?:[/;,、，；|].*)?$', 1)"
    north = "regexp_full_match(digits, '\\+1[2-9][0-9]{9}') OR (regexp_full_match(digits, '1[2-9][0-9]{9}') AND regexp_matches(first, '^1[-. (]'))"
    mainland = "regexp_replace(ltrim(digits, '+'), '^(0{0,2}86|0)(1[3-9][0-9]{9})$', '\\2')"
    # An area code has its nought at home only.
    landline = f"regexp_replace(regexp_replace({mainland}, '^0{{0,2}}86(0[1-9][0-9]{{8,10}})$', '\\1'), '^0{{0,2}}86([2-9][0-9]{{8,10}})$', '0\\1')"
    told = _let("digits", "translate(first, ' -()./', '')", f"CASE WHEN {north} THEN right(digits, 10) ELSE {landline} END")
    slow = _let("first", first, _let("told", told, "CASE WHEN regexp_full_match(told, '[0-9]{3,15}') THEN told END"))
    return f"CASE WHEN regexp_full_match({raw}, '[1-9][0-9]{{6,10}}') THEN {raw} ELSE {slow} END"


def zone_list(raw: str) -> str:
    """Zone names in one cell, separated by ; , | or a blank, as one text separated by |, sorted and distinct."""
    found = f"string_split_regex(replace({cell(raw)}, '，', ','), '[;,|\\s]+')"
    return f"array_to_string(list_sort(list_distinct(list_filter({found}, lambda z: z <> ''))), '|')"
