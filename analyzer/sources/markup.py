"""Tables in markup: a web page saved as .xls, and Excel's XML Spreadsheet of 2003.

Both are read as a grid: a cell that spans columns is followed by empty ones, a cell that spans rows stands in each
of them, as every row is a record of its own.
"""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

LARGEST = 1 << 26
_MOST_CELLS = 20_000_000
_MOST_ACROSS = 16_384
_BLANKS = re.compile(r"[ \t\r\n\f\xa0]+")
_SPACES = re.compile(" {2,}")
_AROUND = re.compile(" ?\n ?")
_SPREADSHEET = "{urn:schemas-microsoft-com:office:spreadsheet}"
_BLOCKS = {"p", "div", "li", "h1", "h2", "h3", "h4", "h5", "h6"}
_SILENT = {"script", "style"}
_NO_DAY = ("1899-12-30", "1899-12-31", "1904-01-01")
Cells = list[str | None]
Rows = list[tuple[int, Cells]]


class TooLargeError(ValueError):
    """More cells than a table of this size may sensibly have."""


class DoctypeError(ValueError):
    """An XML file that declares a document type, and with it maybe entities."""


class _Grid:
    """Rows of cells being laid out; a cell that spans rows is put into those below it."""

    def __init__(self) -> None:
        self.rows: Rows = []
        self.filled = 0
        self._row: Cells | None = None
        self._number = self._cells = 0
        # Column -> the last row that a cell above reaches into, and its text.
        self._due: dict[int, tuple[int, str | None]] = {}

    def begin_row(self, number: int = 0) -> Cells:
        """A new row: the next one, or a later one that is named."""
        self.end_row()
        self._number = max(number, self._number + 1)
        self._due = {column: span for column, span in self._due.items() if span[0] >= self._number}
        self._row = []
        return self._row

    def put(self, text: str | None, across: int = 1, down: int = 1, column: int | None = None) -> None:
        """Add a cell where the row has got to, or at `column`, counted from 0."""
        row = self.begin_row() if self._row is None else self._row
        if (column or 0) + across > _MOST_ACROSS:
            raise TooLargeError
        while len(row) < (column or 0) or (column is None and len(row) in self._due):
            self._repeat(row)
        at = len(row)
        row += [text, *[None] * (across - 1)]
        self.filled += text is not None
        if down > 1:
            self._due.update((at + i, (self._number + down - 1, None if i else text)) for i in range(across))

    def end_row(self, skip: int = 0) -> None:
        """The row is whole; `skip` rows below it are passed over."""
        if self._row is None:
            return
        for _ in range(max(self._due, default=-1) + 1 - len(self._row)):
            self._repeat(self._row)
        self._cells += len(self._row)
        if self._cells > _MOST_CELLS:
            raise TooLargeError
        self.rows.append((self._number, self._row))
        self._row = None
        self._number += skip

    def _repeat(self, row: Cells) -> None:
        row.append(self._due.get(len(row), (0, None))[1])


class _Page(HTMLParser):
    """The tables of a page in the order in which they begin. What stands in a table inside a cell is not the cell's."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.grids: list[_Grid] = []
        self._open: list[tuple[_Grid, list[str] | None, dict[str, str | None]]] = []
        self._silent: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent = tag
        elif tag == "table":
            self.grids.append(_Grid())
            self._open.append((self.grids[-1], None, {}))
        elif not self._open:
            return
        elif tag == "tr":
            self._end_cell()
            self._open[-1][0].begin_row()
        elif tag in ("td", "th"):
            self._end_cell()
            self._open[-1] = (self._open[-1][0], [], dict(attrs))
        elif tag == "br" or tag in _BLOCKS:
            self._say("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._silent:
            self._silent = None
        elif not self._open:
            return
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag in ("tr", "table"):
            self._end_cell()
            self._open[-1][0].end_row()
            if tag == "table":
                self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._silent is None and self._open:
            self._say(_BLANKS.sub(" ", data))

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        """Pass over `<![if ...]>` as Excel writes it; the base class knows few of them and stops at the others."""
        return self.rawdata.find(">", i) + 1 or -1

    def updatepos(self, i: int, j: int) -> int:
        """Count no lines: nothing here asks where a tag stands."""
        return j

    def close(self) -> None:
        super().close()
        while self._open:
            self.handle_endtag("table")

    def _say(self, text: str) -> None:
        cell = self._open[-1][1]
        if cell is not None:
            cell.append(text)

    def _end_cell(self) -> None:
        grid, cell, attrs = self._open[-1]
        if cell is not None:
            text = _AROUND.sub("\n", _SPACES.sub(" ", "".join(cell))).strip()
            grid.put(text or None, min(_count(attrs.get("colspan")), 1000), _count(attrs.get("rowspan"), rest=65_534))
            self._open[-1] = (grid, None, {})


def _count(value: str | None, rest: int = 1) -> int:
    """How many columns or rows: what is no number is 1, and 0 is all the rest."""
    digits = re.match(r"\s*(\d{1,7})", value) if value else None
    return (int(digits[1]) or rest) if digits else 1


def html_rows(text: str) -> Rows:
    """(number, cells) of the rows of the page's largest table; none when no table has two cells.

    Exports that begin a table anew on every page: a table with the same heading as the largest - the first row with
    two cells filled - goes on with it. Its rows are numbered on, its heading is left out.

    Raises:
        TooLargeError: the spans ask for more cells than can be.
    """
    page = _Page()
    page.feed(text)
    page.close()
    largest = max(page.grids, key=lambda grid: grid.filled, default=_Grid())
    if largest.filled < 2:
        return []
    wide, (_, heading) = _width(largest.rows), _heading(largest.rows)
    rows: Rows = []
    passed = 0
    for grid in page.grids:
        number, cells = _heading(grid.rows)
        if grid is largest or (cells == heading and heading and _width(grid.rows) == wide):
            rows += [(passed + at, row) for at, row in grid.rows if at > number or not passed]
            passed += len(grid.rows)
    return _even(rows)


def _heading(rows: Rows) -> tuple[int, Cells]:
    return next((row for row in rows if sum(cell is not None for cell in row[1]) > 1), (0, []))


def _width(rows: Rows) -> int:
    return max((len(cells) for _, cells in rows), default=0)


def _even(rows: Rows) -> Rows:
    """The rows made as wide as the widest."""
    wide = _width(rows)
    if wide * len(rows) > _MOST_CELLS:
        raise TooLargeError
    return [(number, cells + [None] * (wide - len(cells))) for number, cells in rows]


def xml_sheets(text: str) -> list[tuple[str, Rows]]:
    """(name, rows) of each worksheet of an XML Spreadsheet.

    Raises:
        DoctypeError: it declares a document type.
        TooLargeError: it has more cells than can be.
        ElementTree.ParseError: it is not well-formed.
    """
    if "<!DOCTYPE" in text:
        raise DoctypeError
    # The declaration may name an encoding that the parser does not know; the text is given to it in UTF-8.
    body = re.sub(r"^\s*<\?xml[^>]*\?>", "", text).encode("utf-8", "replace")
    sheets: list[tuple[str, _Grid]] = []
    for event, element in ElementTree.iterparse(io.BytesIO(body), events=("start", "end")):
        part = (element.tag.removeprefix(_SPREADSHEET), event)
        if part == ("Worksheet", "start"):
            sheets.append((element.get(_SPREADSHEET + "Name") or f"{len(sheets) + 1}", _Grid()))
        elif not sheets:
            continue
        elif part == ("Row", "start"):
            sheets[-1][1].begin_row(_attribute(element, "Index"))
        elif part == ("Cell", "end"):
            index = _attribute(element, "Index")
            across, down = (_attribute(element, name) + 1 for name in ("MergeAcross", "MergeDown"))
            sheets[-1][1].put(_value(element), across, down, index - 1 if index else None)
        elif part == ("Row", "end"):
            sheets[-1][1].end_row(_attribute(element, "Span"))
            element.clear()
    return [(name, _even(grid.rows)) for name, grid in sheets]


def _attribute(element: ElementTree.Element, name: str) -> int:
    value = element.get(_SPREADSHEET + name)
    return _count(value, rest=0) if value else 0


def _value(cell: ElementTree.Element) -> str | None:
    """The value of a cell as text, in the forms in which those of an XLSX workbook are read."""
    data = cell.find(_SPREADSHEET + "Data")
    if data is None:
        return None
    text = "".join(data.itertext())
    match data.get(_SPREADSHEET + "Type"):
        case "DateTime":
            day, _, time = text.partition("T")
            time = time.removesuffix("Z").removesuffix(".000")
            return time if day in _NO_DAY else day if time in ("", "00:00:00") else f"{day} {time}"
        case "Boolean":
            return "true" if text == "1" else "false"
        case "Number":
            return _figure(text)
    return text or None


def _figure(text: str) -> str:
    """A number without an exponent and without a point that says nothing."""
    if not re.fullmatch(r"-?\d+", text):
        try:
            number = float(text)
        except ValueError:
            return text
        if number.is_integer() and abs(number) < 1e15:
            return str(int(number))
    return text
