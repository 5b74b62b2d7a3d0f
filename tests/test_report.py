"""The report: three formats with the same figures, nothing hostile read as markup, the same bytes twice, an error instead of boxes."""

from __future__ import annotations

import html.parser
import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import docx
import duckdb
import pypdf
import pytest
from click.testing import Result
from typer.testing import CliRunner

from analyzer import audit, legible, report, review, runs, summary
from analyzer.cli import app
from analyzer.errors import UsageError
from analyzer.intake import folder_mapping, load_mapping
from analyzer.messages import say
from analyzer.model import Outcome
from analyzer.report import blocks, charts
from analyzer.report.document import lay_out
from analyzer.report.selection import Selection, outcomes, pick
from tests.conftest import HEADER, ROOT

LANGS = ("zh", "en")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logs = str(ROOT / "sample_logs")
    mapping = folder_mapping([logs])
    assert mapping is not None
    return audit.run([logs], tmp_path_factory.mktemp("runs"), mapping=load_mapping(mapping), packs=["cn-gbt-45251", "us-reg-f", "lender-playbook"], run_id="r").path


@pytest.fixture
def con(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    con = runs.connect(path)
    yield con
    con.close()


class Page(html.parser.HTMLParser):
    """What a browser would see: the words, the tags, every attribute, and the tables by name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.tags, self.attributes, self.marked = "", list[str](), list[tuple[str, str]](), list[str]()
        self.tables: dict[str, list[list[str]]] = {}
        self._table = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(k, v or "") for k, v in attrs]
        if tag == "table":
            self._table = dict(attrs).get("data-name") or ""
        elif tag == "tr":
            self.tables.setdefault(self._table, []).append([])
        elif tag in ("td", "th"):
            self.tables[self._table][-1].append("")
        elif tag == "mark":
            self.marked.append("")

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.tags[-1:] in (["td"], ["th"]):
            self.tables[self._table][-1][-1] += data
        elif self.tags[-1:] == ["mark"]:
            self.marked[-1] += data


def _read(data: bytes) -> str:
    """The words of a PDF, without the breaks that lay-out puts into them."""
    return _close("".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages))


def _close(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _word_tables(data: bytes) -> list[list[list[str]]]:
    return [[[c.text for c in row.cells] for row in table.rows] for table in docx.Document(io.BytesIO(data)).tables]


@pytest.mark.parametrize("lang", LANGS)
def test_every_denominator_is_that_of_summary(con: duckdb.DuckDBPyConnection, lang: str) -> None:
    made = report.report(con, lang)
    told = {r["rule"]: r for r in summary.by_rule(con)}
    assert {r.rule for r in (*made.rules, *made.rules_elsewhere)} == told.keys()
    assert [r.rule for r in made.rules] == [r["rule"] for r in summary.applying(list(told.values()))]
    for r in (*made.rules, *made.rules_elsewhere):
        row = told[r.rule]
        assert (r.findings, r.judged, r.rate, r.title) == (row["findings"], row["judged"], row["rate"], row[f"title_{lang}"])
        assert {o.value: n for o, n in r.counts.items()} == {o.value: row[o.value] for o in Outcome}
        assert (r.low, r.high) == (summary.interval(row["breach"], row["judged"]) if row["judged"] else (None, None))
    totals, p = summary.totals(con), made.population
    assert (p.contacts, p.findings, p.breaching_contacts, p.cases, p.debtors) == (totals["contacts"], totals["findings"], totals["breaching_contacts"], p.cases, p.debtors)
    assert sum(r.findings for r in made.rules) == p.findings == sum(made.severities.values()) == len(made.sheets)
    assert [(w["contacts"], w["breaching_contacts"]) for w in made.weeks] and sum(w["breaching_contacts"] for w in made.weeks) == p.breaching_contacts


def test_judging_again_says_what_the_run_said_and_its_parts_add_up(con: duckdb.DuckDBPyConnection) -> None:
    def counted(selection: Selection) -> dict[tuple[Any, ...], int]:
        pick(con, selection)
        return {(r["rule"], r["outcome"], r["missing"]): r["contacts"] for r in outcomes(con, selection)}

    whole = counted(Selection())
    assert counted(Selection(since=date(2000, 1, 1))) == whole
    assert any(outcome == "undetermined" for _, outcome, _ in whole) and any(outcome == "breach" for _, outcome, _ in whole)
    early, late = counted(Selection(until=date(2026, 4, 5))), counted(Selection(since=date(2026, 4, 6)))
    assert early != whole != late
    assert {key: early.get(key, 0) + late.get(key, 0) for key in whole} == whole


def test_a_period_counts_its_own_contacts_and_findings(con: duckdb.DuckDBPyConnection) -> None:
    since, until = date(2026, 4, 6), date(2026, 4, 8)
    made = report.report(con, "en", {"rule": ["cn-gbt-45251/quiet-hours", "us-reg-f/inconvenient-hours"]}, (since, until))
    days = con.execute("SELECT count(*), count(*) FILTER (WHERE on_date BETWEEN ? AND ?) FROM contacts", [since, until]).fetchall()[0]
    assert (made.population.contacts_of_run, made.population.contacts) == days and 0 < days[1] < days[0]
    wanted = con.execute("SELECT finding_id FROM findings WHERE on_date BETWEEN ? AND ? AND rule IN ('cn-gbt-45251/quiet-hours', 'us-reg-f/inconvenient-hours')", [since, until]).fetchall()
    assert {s.findings[0]["finding_id"] for s in made.sheets} == {i for i, in wanted} and wanted
    for r in made.rules:
        assert sum(r.counts.values()) == days[1]
    with pytest.raises(UsageError) as error:
        report.report(con, "en", None, (until, since))
    assert error.value.key == "report.period"
    for filters in ({"rule": ["no/such"]}, {"vendor": ["nobody"]}):
        with pytest.raises(UsageError) as error:
            report.report(con, "en", filters)
        assert error.value.key == "report.nothing"


def test_a_vendor_is_judged_over_its_own_contacts(con: duckdb.DuckDBPyConnection) -> None:
    vendor = con.execute("SELECT vendor FROM findings WHERE vendor IS NOT NULL GROUP BY ALL ORDER BY count(*) DESC LIMIT 1").fetchall()[0][0]
    made = report.report(con, "zh", {"vendor": [vendor]})
    own = con.execute("SELECT count(*) FROM contacts WHERE vendor = ?", [vendor]).fetchall()[0][0]
    assert made.population.contacts == own and all(sum(r.counts.values()) == own for r in made.rules)
    assert {s.findings[0]["vendor"] for s in made.sheets} == {vendor}


@pytest.mark.parametrize("lang", LANGS)
def test_the_three_formats_show_the_same_figures(con: duckdb.DuckDBPyConnection, lang: str) -> None:
    made = report.report(con, lang, {"rule": ["cn-gbt-45251/civil-language", "cn-gbt-45251/quiet-hours", "cn-gbt-45251/interactive-calls", "us-reg-f/inconvenient-hours"]})
    document = lay_out(made)
    page = Page(report.render(made, "html").decode("utf-8"))
    word = _word_tables(report.render(made, "docx"))
    data = report.render(made, "pdf")
    pdf = _read(data)
    tables = [b for b in document.blocks if isinstance(b, blocks.Table)]
    assert {"files", "rules", "undetermined", "weak_sources", "ledger", "index", "used", "digests"} <= {b.name for b in tables}
    for table in tables:
        rows = [list(table.columns), *map(list, table.rows)]
        assert rows in word, table.name
        assert all(row in page.tables[table.name] for row in rows), table.name
        assert all(_close("".join(row)) in pdf for row in rows), table.name
    rules = next(b for b in tables if b.name == "rules")
    for r, row in zip(made.rules, rules.rows, strict=True):
        assert row[1:5] == (f"{r.findings:,}", f"{r.counts[Outcome.BREACH]:,}", f"{r.judged:,}", "–" if r.rate is None else f"{r.rate:.2%}")
        assert row[6] == f"{r.counts[Outcome.UNDETERMINED]:,}"
    reader = pypdf.PdfReader(io.BytesIO(data))
    assert reader.metadata is not None and reader.metadata.title == say("report.title", lang)
    root: Any = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] and str(root["/Lang"]).startswith(lang)
    meta = root["/Metadata"].get_data().decode("utf-8")
    assert re.search(r"pdfaid:part>2<.*pdfaid:conformance>A<", meta, re.DOTALL) and "pdfuaid:part>1<" in meta
    for heading in (b.text for b in document.blocks if isinstance(b, blocks.Heading)):
        assert heading in page.text and _close(heading) in pdf


def test_each_sheet_has_its_five_parts_and_the_marked_words(con: duckdb.DuckDBPyConnection) -> None:
    made = report.report(con, "zh", {"rule": ["cn-gbt-45251/civil-language"]})
    assert len(made.sheets) == made.population.findings > 1 and not made.grouped
    page = Page(report.render(made, "html").decode("utf-8"))
    for part in ("criteria", "condition", "cause", "consequence", "action"):
        assert page.text.count(f"{say(f'report.{part}', 'zh')}\n") == len(made.sheets), part
    texts = [(e["text"], {at for m in e["marks"] for at in range(m["start"], m["end"])}) for s in made.sheets for e in s.told[0].ledger if e["text"]]
    marks = "".join(text[at] for text, places in texts for at in sorted(places))
    assert "".join(page.marked) == marks and len(marks) > 4
    book = docx.Document(io.BytesIO(report.render(made, "docx")))
    assert "".join(run.text for p in book.paragraphs for run in p.runs if run.font.highlight_color) == marks
    assert made.sheets[0].remedy in page.text and made.sheets[0].told[0].citations[0]["clause"]["zh"] in page.text


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_tables_columns_and_what_is_missing_are_told_in_words(con: duckdb.DuckDBPyConnection, lang: str) -> None:
    cells = re.findall(r"<td>([^<]*)</td>", report.render(report.report(con, lang), "html").decode("utf-8"))
    assert say("word.table_contacts", lang) in cells and say("page.field.started_at", lang) in cells
    assert not [cell for cell in cells if re.fullmatch(r"[a-z]+(_[a-z]+)+", cell)] and (lang == "en" or not {"contacts", "cases"} & set(cells))


def test_more_findings_than_sheets_are_grouped_and_it_says_so(con: duckdb.DuckDBPyConnection) -> None:
    whole = report.report(con, "en")
    made = report.report(con, "en", sheets_most=10)
    assert made.grouped and {s.result.rule for s in made.sheets} == {r.rule for r in made.rules if r.findings} and len(made.sheets) < len(whole.sheets)
    assert sum(s.total for s in made.sheets) == sum(len(s.findings) for s in made.sheets) == whole.population.findings
    page = Page(report.render(made, "html").decode("utf-8"))
    said = say("report.grouped", "en", findings=str(made.population.findings), most="10", sheets=len(made.sheets), examples=3)
    assert said in page.text
    listed = [row[0] for row in page.tables["group"] if row[0] != say("column.finding_id", "en")]
    assert sorted(listed) == [i for i, in con.execute("SELECT finding_id FROM findings ORDER BY 1").fetchall()] and "index" not in page.tables
    large = next(s for s in made.sheets if s.total > 3)
    assert say("report.group_ledgers", "en", shown=3, total=large.total) in page.text


def test_the_same_question_has_the_same_answer(con: duckdb.DuckDBPyConnection) -> None:
    first = lay_out(report.report(con, "en", {"severity": ["critical"]}))
    for _ in range(2):
        assert lay_out(report.report(con, "en", {"severity": ["critical"]})) == first
    rejected = summary.rejected(con)
    assert rejected == sorted(rejected, key=lambda r: (-r["rows"], r["file"], r["reason"])) and len(rejected) > 2


@pytest.mark.parametrize("ending", report.FORMATS)
def test_the_same_run_and_selection_give_the_same_bytes(path: Path, tmp_path: Path, ending: str) -> None:
    code = (
        "import sys; from pathlib import Path; from analyzer import report, runs; con = runs.connect(Path(sys.argv[1]));"
        "report.write(report.report(con, 'zh', {'severity': ['critical']}), Path(sys.argv[2]))"
    )
    # In a process of its own: another seed of hashes, another clock.
    files = [tmp_path / f"{n}.{ending}" for n in (1, 2)]
    for file in files:
        subprocess.run([sys.executable, "-c", code, str(path), str(file)], check=True, cwd=ROOT)
    assert files[0].read_bytes() == files[1].read_bytes()
    if ending == "docx":
        with zipfile.ZipFile(files[0]) as archive:
            assert {i.date_time[0] for i in archive.infolist()} == {1980}


HOSTILE = (
    "<script>alert(1)</script> </td></table><img src=x onerror=alert(2)> &lt;b&gt; #let x = 1 #panic() $a^2$ *粗* _斜_ @see <lab> = 标题 \\u{41} `raw` // c /* d */ "
    "=HYPERLINK(\"http://x\") {{ 7 * 7 }} {% raw %} ]]> <w:p/> \x0b\x01\x7f\u202eabc\u2066 😀🚀 שלום\u200f " + "q" * 400
)
INSULT = "你个老赖😀<b>快还钱"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A night call with a hostile note, in a file, a case and by a collector of hostile names; and an insult."""
    where, quoted = tmp_path_factory.mktemp("hostile"), HOSTILE.replace('"', '""')
    name = "<i>A1</i>#let $x$ *b* \u202e"
    lines = [f'{n},"{quoted[:60]}",,本人,电话,呼出,2026-03-02 {at},接通,,"{name}","{text}"' for n, at, text in ((1, "23:10:00", quoted), (2, "10:00:00", INSULT))]
    (where / "<b>#let $日志$.csv").write_text("\n".join([HEADER, *lines]), encoding="utf-8")
    con = runs.connect(audit.run([str(where)], where / "runs", packs=["cn-gbt-45251"], run_id="r").path)
    yield con
    con.close()


@pytest.mark.parametrize("lang", LANGS)
def test_hostile_text_is_text_in_all_three(hostile: duckdb.DuckDBPyConnection, lang: str) -> None:
    made = report.report(hostile, lang)
    assert {s.result.rule for s in made.sheets} >= {"cn-gbt-45251/quiet-hours", "cn-gbt-45251/civil-language"}
    shown = legible.visible(HOSTILE)
    assert "‹U+202E›" in shown and "‹U+000B›" in shown and "\u202e" not in shown
    text = report.render(made, "html").decode("utf-8")
    page = Page(text)
    assert shown in page.text and INSULT in page.text and page.marked == ["你个老赖"] and "<b>#let $日志$.csv" in page.text
    assert not {"script", "img", "lab", "w:p", "i", "b"} & set(page.tags)
    assert not [k for k, _ in page.attributes if k.startswith("on")]
    assert not [v for k, v in page.attributes if k in ("src", "href") and not v.startswith("#")] and "url(" not in text and "@import" not in text
    data = report.render(made, "docx")
    book = docx.Document(io.BytesIO(data))
    assert shown in [p.text for p in book.paragraphs] and any("<b>#let $日志$.csv" in c for t in _word_tables(data) for row in t for c in row)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            if name.endswith((".xml", ".rels")):
                ElementTree.fromstring(archive.read(name))
        assert archive.read("word/document.xml").count(b"w:instrText") == 0
    pdf = _read(report.render(made, "pdf"))
    # What the font does not have stands as its number there.
    assert _close(re.sub(r"[😀🚀\u0590-\u05ff]", lambda m: legible.numbered(m[0]), shown)) in pdf
    assert _close("<b>#let $日志$.csv") in pdf


def test_halves_of_characters_and_marks_in_any_order() -> None:
    assert legible.visible("a\ud800b\r\nc\td\u2028") == "a‹U+D800›b\nc    d‹U+2028›"
    marks = [{"start": 3, "end": 9}, {"start": 1, "end": 2}, {"start": 4, "end": 5}]
    assert blocks.spans("ab\u202ecd", marks) == (blocks.Span("a"), blocks.Span("b", True), blocks.Span("‹U+202E›"), blocks.Span("cd", True))


def test_a_chart_is_drawn_to_scale_and_escaped() -> None:
    svg = ElementTree.fromstring(charts.bars([charts.Bar("<b>&", 0.5, "50 %", low=0.25, high=1.0), charts.Bar("x" * 200, 0.0, "0")]))
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(r.attrib["width"]) for r in svg.iter(f"{space}rect")]
    assert widths[1] == pytest.approx(charts.WIDTH / 2, abs=1) and widths[3] == 0
    texts = [t.text for t in svg.iter(f"{space}text")]
    assert texts[0] == "<b>&" and texts[2] is not None and texts[2].endswith("…") and len(texts[2]) == 85
    assert len(list(svg.iter(f"{space}path"))) == 1


def test_a_missing_chinese_font_is_an_error_and_leaves_no_file(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    made = report.report(con, "zh", {"severity": ["critical"]})
    (tmp_path / "fonts").mkdir()
    with pytest.raises(UsageError) as error:
        report.write(made, tmp_path / "a.pdf", tmp_path / "fonts")
    assert error.value.key == "report.no_font" and all("fonts-noto-cjk" in error.value.text(lang) for lang in LANGS)
    assert [p.name for p in tmp_path.iterdir()] == ["fonts"]


def test_no_half_file(con: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = report.report(con, "en", {"severity": ["critical"]})
    old = tmp_path / "a.html"
    old.write_text("old", encoding="utf-8")
    whole = Path.write_bytes

    def full(self: Path, data: Any) -> int:
        whole(self, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UsageError) as error:
        report.write(made, old)
    monkeypatch.undo()
    assert error.value.key == "export.cannot_write" and old.read_text(encoding="utf-8") == "old" and [p.name for p in tmp_path.iterdir()] == ["a.html"]
    for name in ("no/such/a.html", "a.html/b.html", "a.odt", "a"):
        with pytest.raises(UsageError):
            report.write(made, tmp_path / name)
    report.write(made, old)
    assert old.read_bytes() == report.render(made, "html")


@pytest.mark.parametrize(("package", "ending"), [("typst", "pdf"), ("fontTools", "pdf"), ("docx", "docx")])
def test_a_package_that_is_absent_is_named(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, package: str, ending: str) -> None:
    made = report.report(con, "en", {"severity": ["critical"]})
    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    from analyzer.report import fonts

    fonts._code_points.cache_clear()
    with pytest.raises(UsageError) as error:
        report.render(made, ending)
    assert error.value.key == "report.needs" and package in error.value.text("en") and "dunaudit[report]" in error.value.text("zh")


def test_a_run_without_findings_has_a_report(run: Callable[..., Any], write: Callable[..., Path]) -> None:
    con = run([write("a.csv", f"{HEADER}\n1,C1,,本人,电话,呼出,2026-03-02 10:00:00,接通,,A1,提醒还款\n")])[1]
    made = report.report(con, "zh")
    assert made.population.findings == 0 and made.sheets == ()
    assert say("report.no_finding", "zh") in Page(report.render(made, "html").decode("utf-8")).text
    for ending in report.FORMATS:
        assert report.render(made, ending)


def test_the_command(path: Path, tmp_path: Path) -> None:
    def call(*options: str) -> Result:
        return CliRunner().invoke(app, ["report", "--run", str(path), *options])

    done = call("--to", str(tmp_path / "a.html"), "--lang", "en", "--severity", "high", "--from", "2026-04-01", "--until", "2026-04-10", "--json")
    told = json.loads(done.stdout)
    con = runs.connect(path)
    made = report.report(con, "en", {"severity": ["high"]}, (date(2026, 4, 1), date(2026, 4, 10)))
    con.close()
    assert told["findings"] == made.population.findings > 0 and told["contacts"] == made.population.contacts and told["lang"] == "en"
    assert (tmp_path / "a.html").read_bytes() == report.render(made, "html")
    for wrong in (["--from", "1.4.2026"], ["--lang", "fr"], ["--from", "2026-05-01", "--until", "2026-04-01"], ["--fonts", str(tmp_path)]):
        done = call("--to", str(tmp_path / "b.pdf"), "--severity", "critical", *wrong)
        assert done.exit_code == 2 and done.stderr.count("\n") == 1, done.output
    assert not (tmp_path / "b.pdf").exists()


def test_hours_are_those_of_the_contacts_that_the_rule_is_about(con: duckdb.DuckDBPyConnection) -> None:
    """A contact under another law is neither outside nor inside the hours of this one."""
    every = summary.totals(con)["contacts"]
    rules = [r for r in summary.hours_rules(con) if r["judged"]]
    assert {r["rule"].split("/")[0] for r in rules} >= {"cn-gbt-45251", "us-reg-f"}
    for rule in rules:
        cells = summary.hour_by_weekday(con, rule["rule"])
        assert sum(c["contacts"] for c in cells) == rule["judged"] + rule["undetermined"] < every
        assert sum(c["outside"] for c in cells) == rule["breach"]
        for cell in [c for c in cells if c["outside"]]:
            asked = {"bound": [rule["rule"]], "weekday": [str(cell["weekday"])], "hour": [str(cell["hour"])]}
            assert summary.contacts(con, asked, 0, 0)[1] == cell["contacts"]
    assert sum(c["contacts"] for c in summary.hour_by_weekday(con)) == every


@pytest.mark.parametrize("most", [200, 0])
def test_verdicts_stand_in_the_report(most: int, path: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    log, finding = review.Reviews(tmp_path), summary.findings(con, {}, "severity", 1, 0)[0][0]["finding_id"]
    before = report.report(con, "zh", sheets_most=most, reviews=log)
    assert before == report.report(con, "zh", sheets_most=most), "nobody has written: nothing is told"
    log.decide(con, finding, "王主任", "dismissed", "客户约定的<b>时间")
    made = report.report(con, "zh", sheets_most=most, reviews=log)
    told = f"{say('word.dismissed', 'zh')} | 王主任 | "
    page = Page(report.render(made, "html").decode())
    assert told in page.text and "客户约定的<b>时间" in page.text and page.text.count("王主任") == 1
    assert page.text.count(say("word.open", "zh")) >= (len(made.sheets) - 1 if most else 1)
    for form in ("pdf", "docx"):
        assert report.render(made, form) != report.render(before, form)
    done = CliRunner().invoke(app, ["report", "--to", str(tmp_path / "r.html"), "--run", str(path), "--lang", "zh"])
    assert done.exit_code == 0 and "王主任" not in (tmp_path / "r.html").read_text(encoding="utf-8"), "of the run's own folder there is no log"
