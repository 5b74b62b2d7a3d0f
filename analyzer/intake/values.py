"""Text cells to typed values, as SQL expressions over a staged column.

Each expression first takes the one shape that nearly every row has, and only rows that do not fit go through the
slower one: DuckDB evaluates a CASE branch for its own rows alone.
"""

from __future__ import annotations

from analyzer.intake.columns import EMPTY_WORDS, FALSE_WORDS, TRUE_WORDS
from analyzer.sql import literal

_WIDE = "０１２３４５６７８９：－／．，　（）＋"
_HALF = "0123456789:-/., ()+"

# Y-M-D first, or two short numbers and a year; Chinese or Latin marks; 12 or 24 hours; an offset or none.
_TIME = (
    r"^(\d{1,4})\s*[-/.年 ]\s*(\d{1,2})\s*[-/.月 ]\s*(\d{1,4})\s*日?(?:[Tt ,]*"
    r"(上午|下午|晚上|凌晨|中午|[AaPp][Mm])?\s*(\d{1,2})\s*[:时点]\s*(\d{1,2})?\s*分?(?::?\s*(\d{1,2})(?:[.,]\d+)?\s*秒?)?"
    r"\s*([AaPp]\.?[Mm]\.?)?)?\s*(Z|z|UTC|[+-](?:0\d|1[0-3]):?[0-5]\d|[+-]14:?00|[+-](?:0\d|1[0-4]))?$"
)
_PARTS = "['a', 'b', 'c', 'half', 'h', 'm', 's', 'half2', 'off']"
_MONTH_FORMATS = (
    "['%d-%b-%Y', '%d %b %Y', '%b %d, %Y', '%d-%b-%Y %H:%M:%S', '%d %b %Y %H:%M:%S', '%d-%b-%Y %H:%M', "
    "'%d %b %Y %H:%M', '%b %d, %Y %H:%M', '%b %d, %Y %H:%M:%S', '%Y%m%d', '%Y%m%d%H%M%S', '%Y%m%d %H%M%S', "
    "'%Y%m%d %H:%M:%S', '%Y%m%d %H:%M']"
)


def cell(raw: str) -> str:
    """A cell trimmed of blanks (also ideographic ones) and of a spreadsheet's leading apostrophe; '' is NULL."""
    return f"nullif(ltrim(trim({raw}, ' \t　\u00a0'), ''''), '')"


def filled(raw: str) -> str:
    """Like `cell`, and the words for "nothing" (null, n/a, -) are NULL too."""
    empty = ", ".join(literal(word) for word in EMPTY_WORDS if word)
    nothing = f"length({raw}) <= 5 AND lower(trim({raw})) IN ({empty})"
    return f"CASE WHEN regexp_full_match({raw}, '[0-9A-Za-z_]{{6,}}') THEN {raw} WHEN {nothing} THEN NULL ELSE {cell(raw)} END"


def is_plain_time(raw: str) -> str:
    """Whether a cell is year first, plain and without an offset, so that a cast alone reads it."""
    return (
        f"(length({raw}) IN (10, 16, 19) AND substr({raw}, 5, 1) IN ('-', '/') AND substr({raw}, 17, 1) IN ('', ':')"
        f" AND substr({raw}, 14, 1) IN ('', ':'))"
    )


def _half_width(raw: str) -> str:
    return f"translate({cell(raw)}, '{_WIDE}', '{_HALF}')"


def _parts(raw: str) -> str:
    return f"regexp_extract({_half_width(raw)}, '{_TIME}', {_PARTS})"


def _slow_time(raw: str, order: str) -> str:
    p = f"{_parts(raw)}"
    first, third = {"dmy": ("c", "a"), "mdy": ("c", "b"), "ymd": ("a", "c")}[order]
    month = {"dmy": "b", "mdy": "a", "ymd": "b"}[order]
    year = f"CASE WHEN length(p.{first}) <= 2 THEN '20' || lpad(p.{first}, 2, '0') ELSE p.{first} END"
    ymd = "p.a || '-' || p.b || '-' || p.c"
    ordered = f"CASE WHEN length(p.a) = 4 THEN {ymd} ELSE {year} || '-' || p.{month} || '-' || p.{third} END"
    half = "lower(replace(p.half || p.half2, '.', ''))"
    hour = (
        f"(CASE WHEN p.h = '' THEN 0 WHEN {half} IN ('下午', '晚上', 'pm') AND p.h::INT < 12 THEN p.h::INT + 12"
        f" WHEN {half} IN ('上午', '凌晨', 'am') AND p.h::INT = 12 THEN 0 ELSE p.h::INT END)"
    )
    text = f"{ordered} || ' ' || {hour} || ':' || coalesce(nullif(p.m, ''), '00') || ':' || coalesce(nullif(p.s, ''), '00')"
    regular = f"list_transform([{p}], lambda p: CASE WHEN p.a = '' THEN NULL ELSE try_cast({text} AS TIMESTAMP) END)[1]"
    number = f"try_cast({_half_width(raw)} AS DOUBLE)"
    serial = f"TIMESTAMP '1899-12-30' + to_microseconds(round({number} * 86400)::BIGINT * 1000000)"
    return (
        f"CASE WHEN {number} BETWEEN 20000 AND 80000 THEN {serial}"
        f" WHEN {number} BETWEEN 1000000000 AND 4000000000 AND length({cell(raw)}) = 10 THEN make_timestamp(({number} * 1000000)::BIGINT)"
        f" WHEN {number} BETWEEN 1000000000000 AND 4000000000000 AND length({cell(raw)}) = 13 THEN make_timestamp(({number} * 1000)::BIGINT)"
        f" ELSE coalesce({regular}, try_strptime({_half_width(raw)}, {_MONTH_FORMATS})) END"
    )


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
    off = f"upper({_parts(raw)}.off)"
    digits = f"replace(substr({off}, 2), ':', '')"
    minutes = f"(substr({digits}, 1, 2)::INT * 60 + coalesce(nullif(substr({digits}, 3, 2), '')::INT, 0))"
    epoch = f"length({cell(raw)}) IN (10, 13) AND try_cast({cell(raw)} AS BIGINT) >= 1000000000"
    return (
        f"CASE WHEN {is_plain_time(raw)} THEN NULL WHEN {epoch} THEN 0 WHEN {off} = '' THEN NULL WHEN {off} IN ('Z', 'UTC') THEN 0"
        f" WHEN {off} LIKE '-%' THEN -{minutes} ELSE {minutes} END::SMALLINT"
    )


def date_only(raw: str, plain_only: bool) -> str:
    """Whether a cell that holds a date gives no time of day (BOOLEAN): its hour is then not known, not midnight."""
    plain = f"length({raw}) = 10"
    if plain_only:
        return plain
    timed = f"regexp_matches({_half_width(raw)}, '[:时点]|^\\d{{8}} ?\\d{{4,6}}$|^\\d{{10}}$|^\\d{{13}}$|^\\d{{5}}\\.\\d')"
    return f"CASE WHEN {is_plain_time(raw)} THEN {plain} ELSE NOT {timed} END"


def integer(raw: str) -> str:
    """BIGINT from "1,234", "12.0", "(3)", "03:25" or "1:03:25" (seconds), "3分25秒"; NULL beyond 32 bits."""
    value = f"{_half_width(raw)}"
    clock = f"regexp_extract({value}, '^(?:(\\d+):)?(\\d+):(\\d{{2}})$', ['h', 'm', 's'])"
    spoken = f"regexp_extract({value}, '^(?:(\\d+)小?时)?(?:(\\d+)分钟?)?(?:(\\d+)秒)?$', ['h', 'm', 's'])"

    def seconds(parts: str) -> str:
        piece = "coalesce(try_cast(nullif({p}.{k}, '') AS BIGINT), CASE WHEN {p}.{k} = '' THEN 0 END)"
        h, m, s = (piece.format(p=parts, k=k) for k in "hms")
        return f"{h} * 3600 + {m} * 60 + {s}"

    return (
        f"CASE WHEN try_cast({raw} AS INTEGER) IS NOT NULL THEN try_cast({raw} AS INTEGER)"
        f" WHEN {clock}.s <> '' THEN TRY(({seconds(clock)})::INTEGER)"
        f" WHEN {spoken}.h || {spoken}.m || {spoken}.s <> '' THEN TRY(({seconds(spoken)})::INTEGER)"
        f" ELSE try_cast({_plain_number(raw)} AS INTEGER) END::BIGINT"
    )


def decimal(raw: str) -> str:
    """DECIMAL(18,2) from "¥1,234.50", "(1 234.50)" (negative), "1234.5元"."""
    return f"coalesce(try_cast({raw} AS DECIMAL(18, 2)), try_cast({_plain_number(raw)} AS DECIMAL(18, 2)))"


def _plain_number(raw: str) -> str:
    bare = f"regexp_replace({_half_width(raw)}, '[,¥￥$€£元圆天日期 \u00a0]|RMB|CNY|USD', '', 'g')"
    return f"regexp_replace({bare}, '^\\((.*)\\)$', '-\\1')"


def boolean(raw: str) -> str:
    """BOOLEAN from 是/否, yes/no, 1/0 ...; NULL for anything else."""
    yes, no = (", ".join(literal(w) for w in sorted(words)) for words in (TRUE_WORDS, FALSE_WORDS))
    value = f"lower({cell(raw)})"
    return f"CASE WHEN {value} IN ({yes}) THEN true WHEN {value} IN ({no}) THEN false END"


def number(raw: str) -> str:
    """A phone number as digits: blanks, dashes and brackets go, so does the prefix +86 of a mainland number."""
    digits = f"translate({cell(raw)}, '{_WIDE} -()./\u00a0', '{_HALF}')"
    digits = f"translate({digits}, ' -()./', '')"
    return (
        f"CASE WHEN regexp_full_match({raw}, '[0-9]{{7,12}}') THEN {raw} WHEN {digits} IS NULL THEN NULL WHEN starts_with({digits}, '+86') THEN substr({digits}, 4)"
        f" WHEN length({digits}) = 13 AND starts_with({digits}, '861') THEN substr({digits}, 3)"
        f" ELSE ltrim({digits}, '+') END"
    )


def zone_list(raw: str) -> str:
    """Zone names in one cell, separated by ; , | or a blank, as one text separated by |, sorted and distinct."""
    parts = f"string_split_regex(replace({cell(raw)}, '，', ','), '[;,|\\s]+')"
    return f"array_to_string(list_sort(list_distinct(list_filter({parts}, lambda z: z <> ''))), '|')"
