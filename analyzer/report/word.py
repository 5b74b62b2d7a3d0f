"""A report as a Word document by python-docx. Texts become runs of text; nothing in them is read as XML or as a field."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

from analyzer.report.blocks import Blank, Block, Break, Chart, Document, Facts, Heading, Paragraph, Quote, Span, Table

if TYPE_CHECKING:
    from docx.document import Document as Book
    from docx.text.paragraph import Paragraph as Lines

_LATIN, _CHINESE = "Arial", "Microsoft YaHei"
# What a page of A4 leaves between its margins, in twentieths of a point; a table's columns share it.
_WIDTH = 9866


def word(document: Document) -> bytes:
    """The bytes of the document; the same for the same document."""
    import docx

    book = docx.Document()
    _prepare(book, document)
    book.add_paragraph(document.title, style="Title")
    _note(book.add_paragraph(document.subtitle))
    for before, block in zip((None, *document.blocks), document.blocks, strict=False):
        _draw(book, block, isinstance(before, Break))
    packed = io.BytesIO()
    book.save(packed)
    return _timeless(packed)


def _timeless(packed: io.BytesIO) -> bytes:
    """The same archive without the clock's time in its entries."""
    out = io.BytesIO()
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, old.read(name))
    return out.getvalue()


def _prepare(book: Book, document: Document) -> None:
    from docx.oxml.ns import qn
    from docx.shared import Mm, Pt, RGBColor

    told = book.core_properties
    told.title, told.author, told.last_modified_by, told.comments = document.title, "DunAudit", "DunAudit", ""
    told.language = "zh-CN" if document.lang == "zh" else "en-US"
    told.created = told.modified = document.made
    page = book.sections[0]
    page.page_width, page.page_height = Mm(210), Mm(297)
    page.left_margin = page.right_margin = Mm(18)
    page.top_margin = page.bottom_margin = Mm(18)
    sizes = {"Normal": 9.5, "Title": 22, "Heading 1": 15, "Heading 2": 12, "Heading 3": 10}
    for name, size in sizes.items():
        style: Any = book.styles[name]
        style.font.size, style.font.name = Pt(size), _LATIN
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
            fonts.attrib.pop(qn(f"w:{theme}"), None)
        fonts.set(qn("w:eastAsia"), _CHINESE)
        style.font.color.rgb = RGBColor.from_string("8B1A1A" if name == "Heading 3" else "22303C")
        style.paragraph_format.space_after = Pt(4)
    foot = page.footer.paragraphs[0]
    foot.text = f"{document.footer}    "
    _page_number(foot)
    _note(foot)


def _page_number(foot: Lines) -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    for kind, text in (("begin", None), (None, "PAGE"), ("end", None)):
        run = foot.add_run()
        part = OxmlElement("w:fldChar" if kind else "w:instrText")
        if kind:
            part.set(qn("w:fldCharType"), kind)
        else:
            part.text = text
        run._r.append(part)


def _note(lines: Lines) -> None:
    from docx.shared import Pt, RGBColor

    for run in lines.runs:
        run.font.size, run.font.color.rgb = Pt(8), RGBColor.from_string("5B6B79")


def _draw(book: Book, block: Block, new_page: bool) -> None:
    match block:
        case Heading():
            # A break of its own would leave an empty page where the last one is full.
            book.add_heading(block.text, block.level).paragraph_format.page_break_before = new_page or None
        case Paragraph():
            lines = book.add_paragraph()
            lines.add_run(block.text).bold = block.style == "head" or None
            lines.paragraph_format.keep_with_next = block.style == "head" or None
            if block.style == "note":
                _note(lines)
        case Quote():
            _quote(book, block.head, block.spans)
        case Facts():
            _grid(book, (30, 70), [list(row) for row in block.rows], False, ())
        case Table():
            _grid(book, block.widths, [list(block.columns), *map(list, block.rows)], True, block.right)
        case Chart():
            # A chart's figures: not every Word shows SVG.
            book.add_paragraph().add_run(block.caption).bold = True
            _grid(book, (70, 30), [list(row) for row in block.rows], False, (1,))
        case Blank():
            _grid(book, (100,), [[f"{block.text}\n\n\n"]], False, ())
        case Break():
            pass


def _quote(book: Book, head: str, parts: tuple[Span, ...]) -> None:
    from docx.enum.text import WD_COLOR_INDEX
    from docx.shared import Mm

    above, lines = book.add_paragraph(head), book.add_paragraph()
    _note(above)
    above.paragraph_format.keep_with_next = True
    for each in (above, lines):
        each.paragraph_format.left_indent = Mm(5)
    for part in parts:
        run = lines.add_run(part.text)
        if part.marked:
            run.bold, run.font.highlight_color = True, WD_COLOR_INDEX.YELLOW


def _grid(book: Book, widths: tuple[int, ...], rows: list[list[str]], header: bool, right: tuple[int, ...]) -> None:
    """A table, written as elements: a cell at a time through the library takes minutes for a long list."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    def part(name: str, **attributes: str) -> Any:
        made = OxmlElement(f"w:{name}")
        for key, value in attributes.items():
            made.set(qn(f"w:{key}"), value)
        return made

    def cell(text: str, column: int, head: bool) -> Any:
        made, settings = part("tc"), part("tcPr")
        settings.append(part("tcW", w=str(shares[column]), type="dxa"))
        if head:
            settings.append(part("shd", val="clear", color="auto", fill="E9EEF2"))
        lines, run, look = part("p"), part("r"), part("rPr")
        about = part("pPr")
        about.append(part("spacing", before="30", after="40"))
        if column in right:
            about.append(part("jc", val="right"))
        if head:
            look.append(part("b"))
        look.append(part("sz", val="14"))
        run.append(look)
        for number, line in enumerate(text.split("\n")):
            if number:
                run.append(part("br"))
            words = part("t")
            words.text = line
            words.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
            run.append(words)
        lines.extend([about, run])
        made.extend([settings, lines])
        return made

    shares = [_WIDTH * width // sum(widths) for width in widths]
    table = book.add_table(rows=0, cols=len(widths), style="Table Grid")
    table.autofit = False
    for share, column in zip(shares, table._tbl.tblGrid.gridCol_lst, strict=True):
        column.set(qn("w:w"), str(share))
    for number, texts in enumerate(rows):
        line, about = part("tr"), part("trPr")
        about.append(part("cantSplit"))
        if header and number == 0:
            about.append(part("tblHeader"))
        line.append(about)
        line.extend([cell(text, column, header and number == 0) for column, text in enumerate(texts)])
        table._tbl.append(line)
    book.add_paragraph().paragraph_format.space_after = 0
