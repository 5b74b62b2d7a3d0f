"""The report an auditor takes away: `report` gathers it, `write` makes one PDF, Word or offline HTML file of it.

`selection` says what is counted, `gather` makes the plain values, `document` lays them out in `blocks`, and `pdf`, `word` and `page`
draw the same blocks. The same run and selection give the same bytes.
"""

from __future__ import annotations

from pathlib import Path

from analyzer.errors import UsageError
from analyzer.report.document import lay_out
from analyzer.report.gather import SHEETS as SHEETS
from analyzer.report.gather import Report as Report
from analyzer.report.gather import report as report
from analyzer.tables import write_whole

FORMATS = ("pdf", "docx", "html")
# What the extra `report` installs, by import name.
_EXTRA = ("typst", "fontTools", "docx", "lxml")


def render(made: Report, ending: str, fonts: Path | None = None) -> bytes:
    """A report as the bytes of a file.

    Args:
        made: the report.
        ending: one of `FORMATS`.
        fonts: folder of fonts for the PDF; those of the system if None.

    Raises:
        UsageError: no such format, a package it needs is not installed, or no font shows Chinese.
    """
    if ending not in FORMATS:
        raise UsageError("report.format", ending=ending or "-", have=", ".join(FORMATS))
    document = lay_out(made)
    try:
        if ending == "pdf":
            from analyzer.report.pdf import pdf

            return pdf(document, fonts)
        if ending == "docx":
            from analyzer.report.word import word

            return word(document)
        from analyzer.report.page import page

        return page(document)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _EXTRA:
            raise
        raise UsageError("report.needs", package=(error.name or "").split(".")[0]) from error


def write(made: Report, target: Path, fonts: Path | None = None, ending: str | None = None) -> None:
    """Write a report; `ending`, or else what the name ends with, says how. The file is written beside its name and renamed, so it is whole or not there.

    Raises:
        UsageError: as `render`, or the file cannot be written.
    """
    write_whole({target: render(made, ending or target.suffix.lower().lstrip("."), fonts)})
