"""Samples of findings, and of contacts in which nothing was found: drawn by a seed, sized by a stated risk, judged on the upper limit.

A sample is the items with the smallest SHA-256 of seed, line feed and id: the same seed gives the same sample on any machine and in any
language, and an item's place does not depend on what else is there.

Size (attribute sampling): the smallest n with P(X <= k) <= 1 - confidence, where X counts deviations in n items drawn without replacement
from N of which D = ceil(tolerable * N) deviate (hypergeometric; binomial for N unknown), and k >= expected * n deviations may be found.
That is the formula behind the tables of the AICPA Audit Guide "Audit Sampling" (appendix A), which give its binomial form.

Judgement: the one-sided upper limit of the rate at that confidence, exact: the largest D for which finding no more than was found is still
likelier than 1 - confidence. For N unknown that is the limit of Clopper and Pearson (Biometrika 26, 1934), which is told beside it. An
item about which nothing can be said counts as a deviation (AU-C 530.11). Of strata each has its own limit; together, by Bonferroni's
inequality, their limits at 1 - (1 - confidence) / strata, weighted by their sizes, hold at the confidence.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from python_calamine import CalamineError, CalamineWorkbook

from analyzer import summary
from analyzer.errors import InputError, UsageError
from analyzer.messages import say
from analyzer.tables import Sheet, csv_bytes, write_whole, xlsx_bytes

OF, METHODS, ENDINGS = ("findings", "contacts"), ("random", "stratified", "attribute"), ("csv", "xlsx")
# What a sample may be parted by: name -> column.
STRATA = {
    "findings": {name: columns[0] for name, columns in summary.DIMENSIONS.items()},
    "contacts": {name: columns[1] for name, columns in summary.DIMENSIONS.items() if columns[1]},
}
USUAL_STRATA = {"findings": "rule", "contacts": "channel"}
OK, DEVIATION, UNCLEAR = ("ok", "符合"), ("deviation", "偏差"), ("unclear", "不明")
"""What may be written into the column `result`; empty: not yet examined."""
_FILLED = ("result", "comment", "checked_by", "checked_on")
_PLAN = ("of", "method", "seed", "filters", "population", "size", "reason", "confidence", "tolerable", "expected", "allowed", "stratum_population", "stratum_size")
COLUMNS = ("paper", "ordinal", "item_id", "stratum", *_FILLED, *_PLAN)
"""Of the sampling sheet in a pack: the rows of all papers, by number of the paper."""
_WHOLE, _SHARES = ("ordinal", "population", "size", "stratum_population", "stratum_size"), ("confidence", "tolerable", "expected")
_FRAMES = {
    "findings": """
        SELECT f.finding_id AS item_id, f.{strata}::VARCHAR AS stratum, f.rule, r.title_zh, r.title_en, f.severity, f.case_id, f.agent_id, f.first_local, f.breaches, f.measured, f.permitted
        FROM findings f JOIN rules r ON r.rule = f.rule WHERE f.finding_id IN (SELECT finding_id FROM findings WHERE {where})""",
    "contacts": """
        SELECT c.contact_id AS item_id, c.{strata}::VARCHAR AS stratum, c.case_id, c.person_id, c.relation::VARCHAR AS relation, c.agent_id, c.channel::VARCHAR AS channel,
               c.direction::VARCHAR AS direction, c.local_at, c.outcome::VARCHAR AS outcome, c.duration_s, c.text, b.file, c.row_no
        FROM contacts c LEFT JOIN batches b USING (batch_id)
        WHERE c.seq NOT IN (SELECT e.seq FROM finding_evidence e JOIN (SELECT finding_id FROM {breaches} WHERE {where}) f USING (finding_id) WHERE e.role = 'breach')""",
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """How a sample is drawn.

    `size`: given, or None for the formula; `reason`: why that size, where it is given; `strata`: a key of `STRATA`; confidence, tolerable
    and expected are shares of 1; `seed`: any text; `filters`: as `summary.findings` takes them.
    """

    of: str
    method: str
    seed: str
    size: int | None = None
    reason: str = ""
    strata: str | None = None
    confidence: float = 0.95
    tolerable: float = 0.05
    expected: float = 0.0
    filters: Mapping[str, Sequence[str]] | None = None


@dataclass(frozen=True)
class Drawn:
    """A sample: the work paper, how many there were, how many were drawn, how many deviations it may show (None: not even none)."""

    paper: Sheet
    population: int
    size: int
    allowed: int | None
    reason: str


@dataclass(frozen=True)
class Judged:
    """What a filled-in work paper comes to.

    `deviations` include what was unclear; `rate` = deviations / examined; `upper`: one-sided limit for this population; `upper_binomial`: the same
    for one without end (None for strata together); `verdict`: open (not all examined), accepted (the limit is below the tolerable rate) or
    rejected; `strata`: the same per stratum.
    """

    of: str
    method: str
    stratum: str
    population: int
    size: int
    examined: int
    deviations: int
    unclear: int
    rate: float
    upper: float
    upper_binomial: float | None
    confidence: float
    tolerable: float
    verdict: str
    strata: tuple[Judged, ...] = ()


def at_most(k: int, n: int, deviating: int, population: int) -> float:
    """P(X <= k): no more than k deviations among n drawn from a population of which so many deviate (hypergeometric)."""
    low, high = max(0, n - (population - deviating)), min(k, deviating, n)
    whole = _choose(population, n)
    return min(1.0, math.fsum(math.exp(_choose(deviating, i) + _choose(population - deviating, n - i) - whole) for i in range(low, high + 1)))


def at_most_binomial(k: int, n: int, rate: float) -> float:
    """P(X <= k) among n drawn from a population without end (binomial)."""
    if rate <= 0 or k >= n:
        return 1.0
    if rate >= 1:
        return 0.0
    return min(1.0, math.fsum(math.exp(_choose(n, i) + i * math.log(rate) + (n - i) * math.log1p(-rate)) for i in range(k + 1)))


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def attribute_size(population: int, confidence: float, tolerable: float, expected: float) -> tuple[int, int]:
    """(size, deviations it may show): see the module. The whole population where no sample is enough.

    Raises:
        UsageError: a share is not between 0 and 1, or the expected rate is not below the tolerable one.
    """
    if not (0 < confidence < 1 and 0 < tolerable < 1 and 0 <= expected < tolerable):
        raise UsageError("sampling.shares")
    deviating, k = _tolerated(population, tolerable), 0
    while k < deviating:
        size = _smallest(population, deviating, k, 1 - confidence)
        # 0.07 of 100 is seven, which binary fractions make a little more.
        if expected * size <= k + 1e-9:
            return size, k
        # Fewer than this cannot be enough for the size that is needed already.
        k = max(k + 1, math.ceil(expected * size - 1e-9))
    return population, deviating - 1


def _tolerated(population: int, tolerable: float) -> int:
    """The fewest deviations at which the rate is no longer below the tolerable one."""
    return math.ceil(tolerable * population - 1e-9)


def _smallest(population: int, deviating: int, k: int, risk: float) -> int:
    low, high = k + 1, population
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if at_most(k, middle, deviating, population) <= risk + 1e-12 else (middle + 1, high)
    return low


def allowed(population: int, size: int, confidence: float, tolerable: float) -> int | None:
    """The most deviations in a sample at which the limit is still below the tolerable rate; None: not even none at all."""
    deviating = _tolerated(population, tolerable)
    most = None
    for k in range(min(size, deviating)):
        if at_most(k, size, deviating, population) > 1 - confidence + 1e-12:
            break
        most = k
    return most


def upper_limit(found: int, size: int, population: int, confidence: float) -> float:
    """The one-sided upper limit of the rate in a population of so many, of which so many were drawn (share of 1)."""
    low, high = found, population - (size - found)
    # The largest number of deviations that is still likely enough; the probability falls as it grows.
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if at_most(found, size, middle, population) > 1 - confidence else (low, middle - 1)
    return low / population if population else 1.0


def clopper_pearson(found: int, size: int, confidence: float) -> float:
    """The one-sided upper limit of Clopper and Pearson (share of 1): the rate at which P(X <= found) is 1 - confidence."""
    if found >= size:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most_binomial(found, size, middle) > 1 - confidence else (low, middle)
    return high


def draw(con: duckdb.DuckDBPyConnection, plan: Plan, lang: str = "zh") -> Drawn:
    """Draw a sample from a run. The paper's columns: ordinal, item_id, stratum, facts of the item, `result`, comment, checked_by, checked_on (empty), the plan.

    Contacts are those in which nothing was found: no finding that the filters choose has them as a breach (a near miss is none).

    Raises:
        UsageError: the plan is none, or there is nothing to draw from.
    """
    strata = _checked(plan)
    where, params = summary.condition(plan.filters)
    frame = _FRAMES[plan.of].format(strata=strata, where=where, breaches=summary.BREACHES)
    if plan.method != "stratified":
        frame = f"SELECT * REPLACE ('' AS stratum) FROM ({frame})"
    else:
        frame = f"SELECT * REPLACE (coalesce(stratum, '') AS stratum) FROM ({frame})"
    sizes = dict(con.execute(f"SELECT stratum, count(*) FROM ({frame}) GROUP BY stratum ORDER BY stratum", params).fetchall())
    population = sum(sizes.values())
    if not population:
        raise UsageError("sampling.nothing")
    size, may_show, reason = _sized(plan, population, lang)
    parts = allotted(sizes, size)
    told, rows = (plan.of, plan.method, plan.seed, json.dumps({k: list(v) for k, v in (plan.filters or {}).items()}, ensure_ascii=False), population, size, reason,
                  plan.confidence, plan.tolerable, plan.expected, may_show), list[tuple[Any, ...]]()  # fmt: skip
    columns: tuple[str, ...] = ()
    for stratum, many in parts.items():
        found = con.execute(f"SELECT * FROM ({frame}) WHERE stratum = ? ORDER BY sha256(? || chr(10) || item_id), item_id LIMIT ?", [*params, stratum, plan.seed, many])
        columns = tuple(d[0] for d in found.description or ())
        rows += [(len(rows) + place, *row, *("",) * len(_FILLED), *told, sizes[stratum], many) for place, row in enumerate(found.fetchall(), start=1)]
    return Drawn(Sheet("items", ("ordinal", *columns, *_FILLED, *_PLAN), rows), population, size, may_show, reason)


def _checked(plan: Plan) -> str:
    """The column of the strata."""
    for asked, have in ((plan.of, OF), (plan.method, METHODS)):
        if asked not in have:
            raise UsageError("sampling.unknown", asked=asked[:40], have=", ".join(have))
    strata = plan.strata or USUAL_STRATA[plan.of]
    if strata not in STRATA[plan.of]:
        raise UsageError("sampling.unknown", asked=strata[:40], have=", ".join(sorted(STRATA[plan.of])))
    if plan.strata and plan.method != "stratified":
        raise UsageError("sampling.no_strata")
    if plan.size is not None and plan.method == "attribute":
        raise UsageError("sampling.size_given")
    return str(STRATA[plan.of][strata])


def _sized(plan: Plan, population: int, lang: str) -> tuple[int, int | None, str]:
    size, may_show = attribute_size(population, plan.confidence, plan.tolerable, plan.expected)
    if plan.size is None:
        shares = {name: f"{getattr(plan, name):.6g}" for name in _SHARES}
        return size, may_show, say("sampling.reason_formula", lang, population=population, allowed=may_show, **shares)
    size = min(plan.size, population)
    return size, allowed(population, size, plan.confidence, plan.tolerable), plan.reason or say("sampling.reason_given", lang)


def allotted(sizes: Mapping[str, int], size: int) -> dict[str, int]:
    """How many of each stratum: in proportion, by largest remainder, at least one each where there are as many to draw as strata."""
    whole = sum(sizes.values())
    least = 1 if size >= len(sizes) else 0
    exact = {name: many * size / whole for name, many in sizes.items()}
    given = {name: min(many, max(least, math.floor(exact[name]))) for name, many in sizes.items()}
    while sum(given.values()) != size:
        step = 1 if sum(given.values()) < size else -1
        open_ = [n for n in given if (given[n] < sizes[n] if step > 0 else given[n] > least)]
        name = max(open_, key=lambda n: (step * (exact[n] - given[n]), n))
        given[name] += step
    return {name: many for name, many in given.items() if many}


def write_paper(drawn: Drawn, target: Path, made: datetime) -> None:
    """The work paper as CSV, or as a workbook with the plan as a sheet of its own; `made` is the only date in it.

    Raises:
        UsageError: the ending is neither, or the file cannot be written.
    """
    ending = target.suffix.lower().lstrip(".")
    if ending not in ENDINGS:
        raise UsageError("export.format", ending=ending or "-", have=", ".join(ENDINGS))
    at = [drawn.paper.columns.index(name) for name in _PLAN[:-2]]
    plan = Sheet("sampling", ("name", "value"), [(name, drawn.paper.rows[0][i]) for name, i in zip(_PLAN[:-2], at, strict=True)])
    write_whole({target: csv_bytes(drawn.paper) if ending == "csv" else xlsx_bytes([plan, drawn.paper], made)})


def read_paper(path: Path) -> list[dict[str, Any]]:
    """The rows of a work paper: figures as int or float, the rest as text.

    Raises:
        InputError: it cannot be read, or is none.
    """
    try:
        lines = _csv_lines(path.read_bytes()) if path.suffix.lower() == ".csv" else CalamineWorkbook.from_path(str(path)).get_sheet_by_name("items").to_python()
    except (OSError, ValueError, csv.Error, CalamineError) as error:
        raise InputError("sampling.no_paper", name=path.name) from error
    header = [str(c) for c in lines[0]] if lines else []
    rows = [dict(zip(header, line, strict=False)) for line in lines[1:] if any(str(cell) for cell in line)]
    try:
        typed = [_typed(row) for row in rows] if rows else _none(path)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise InputError("sampling.no_paper", name=path.name) from error
    return _of_one_plan(path, typed)


def _of_one_plan(path: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, where they tell of one plan that can be and whose number of deviations is the one that follows from it."""
    first = rows[0]
    differs = [name for name in _PLAN[:-2] if any(row[name] != first[name] for row in rows)]
    if first["of"] not in OF or first["method"] not in METHODS:
        differs += ["of" if first["of"] not in OF else "method"]
    if not (0 < first["confidence"] < 1 and 0 < first["tolerable"] < 1 and 0 <= first["expected"] < 1):
        differs += list(_SHARES)
    elif not all(0 < row[many] <= row[whole] for row in rows for many, whole in (("size", "population"), ("stratum_size", "stratum_population"))):
        differs += ["size"]
    elif first["allowed"] not in _may_show(first):
        differs += ["allowed"]
    if differs:
        raise InputError("sampling.plan", name=path.name, columns=", ".join(dict.fromkeys(differs)))
    return rows


def _may_show(plan: Mapping[str, Any]) -> set[int | None]:
    """How many deviations a sample of that size and plan may show: by the formula, or where the size was given."""
    population, size, confidence, tolerable = plan["population"], plan["size"], plan["confidence"], plan["tolerable"]
    formula = attribute_size(population, confidence, tolerable, plan["expected"]) if plan["expected"] < tolerable else None
    return {allowed(population, size, confidence, tolerable), *([formula[1]] if formula and formula[0] == size else [])}


def _none(path: Path) -> list[dict[str, Any]]:
    raise InputError("sampling.no_paper", name=path.name)


def _csv_lines(data: bytes) -> list[list[str]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What a spreadsheet program in Chinese saves.
        text = data.decode("gb18030")
    return list(csv.reader(io.StringIO(text, newline="")))


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: str(row[name]).strip() for name in ("item_id", "stratum", *_FILLED, *_PLAN)}
    may_show = int(float(row["allowed"])) if str(row["allowed"]).strip() else None
    return {**told, **{name: int(float(row[name])) for name in _WHOLE}, **{name: float(row[name]) for name in _SHARES}, "allowed": may_show}


def sheet_of(papers: Iterable[Path]) -> Sheet:
    """The sampling sheet of an export: see `COLUMNS`.

    Raises:
        InputError: one of them is no work paper.
    """
    return Sheet("sampling", COLUMNS, [tuple((row | {"paper": number})[c] for c in COLUMNS) for number, path in enumerate(papers, start=1) for row in read_paper(path)])


def _drawn_again(con: duckdb.DuckDBPyConnection, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the plan of a paper draws its items from this run. By what it was parted is not in the paper: any part that fits will do."""
    first = rows[0]
    # A plan that cannot be carried out on this run draws nothing.
    with suppress(UsageError, ValueError, AttributeError, TypeError):
        filters = json.loads(first["filters"])
        parted = [None] if first["method"] != "stratified" else sorted(STRATA[first["of"]])
        plan = Plan(
            first["of"], first["method"], first["seed"], None if first["method"] == "attribute" else first["size"],
            confidence=first["confidence"], tolerable=first["tolerable"], expected=first["expected"], filters=filters or None,
        )  # fmt: skip
        for strata in parted:
            drawn = draw(con, replace(plan, strata=strata))
            at = [drawn.paper.columns.index(name) for name in ("item_id", "stratum", "stratum_population")]
            if drawn.population == first["population"] and [tuple(row[i] for i in at) for row in drawn.paper.rows] == [(row["item_id"], row["stratum"], row["stratum_population"]) for row in sorted(rows, key=lambda r: r["ordinal"])]:
                return True
    return False


def judge(path: Path, run: duckdb.DuckDBPyConnection | None = None) -> Judged:
    """What a filled-in work paper comes to. `run`: the one it was drawn from; its items are then drawn again.

    Raises:
        InputError: it is no work paper, its rows are of no one plan, gone or there twice, a result is not one of the words for it, or the run
            gives other items.
    """
    rows = read_paper(path)
    if run is not None and not _drawn_again(run, rows):
        raise InputError("sampling.not_drawn", name=path.name)
    words = {word for known in (OK, DEVIATION, UNCLEAR) for word in known} | {""}
    for row in rows:
        if row["result"].lower() not in words:
            raise InputError("sampling.result", name=path.name, row=row["ordinal"], have=", ".join(sorted(words - {""})))
    first = rows[0]
    if len({row["item_id"] for row in rows}) != len(rows) or len(rows) != first["size"]:
        raise InputError("sampling.rows", name=path.name, rows=len({row["item_id"] for row in rows}), size=first["size"])
    by: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by.setdefault(row["stratum"], []).append(row)
    if len(by) == 1 and rows[0]["stratum_population"] in (None, "", first["population"]):
        return _judged(rows, "", first["population"], first["confidence"])
    share = 1 - (1 - first["confidence"]) / len(by)
    parts = tuple(_judged(some, name, some[0]["stratum_population"], first["confidence"]) for name, some in by.items())
    together = sum(_judged(some, name, some[0]["stratum_population"], share).upper * some[0]["stratum_population"] for name, some in by.items())
    # A stratum that was too small to be drawn from may be all deviations.
    unseen = first["population"] - sum(part.population for part in parts)
    whole = _judged(rows, "", first["population"], first["confidence"])
    upper = (together + unseen) / first["population"]
    verdict = "open" if whole.verdict == "open" else "accepted" if upper < first["tolerable"] else "rejected"
    return Judged(**{**{k: getattr(whole, k) for k in whole.__dataclass_fields__}, "upper": upper, "upper_binomial": None, "verdict": verdict, "strata": parts})


def _judged(rows: Sequence[Mapping[str, Any]], stratum: str, population: int, confidence: float) -> Judged:
    results, first = [row["result"].lower() for row in rows], rows[0]
    examined, unclear = sum(bool(r) for r in results), sum(r in UNCLEAR for r in results)
    deviations = unclear + sum(r in DEVIATION for r in results)
    upper = upper_limit(deviations, examined, population, confidence) if examined else 1.0
    verdict = "open" if examined < len(rows) else "accepted" if upper * population < _tolerated(population, first["tolerable"]) - 0.5 else "rejected"
    return Judged(
        first["of"], first["method"], stratum, population, len(rows), examined, deviations, unclear, deviations / examined if examined else 0.0, upper,
        clopper_pearson(deviations, examined, confidence) if examined else 1.0, confidence, first["tolerable"], verdict,
    )  # fmt: skip
