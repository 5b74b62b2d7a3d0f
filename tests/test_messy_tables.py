"""52 odd tables: each is read as it should be, or refused by name with what to do. None crashes, none loses a row."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from analyzer.errors import InputError
from analyzer.intake import is_known_header
from analyzer.sources import open_sources, stage
from tests.conftest import SHARED

FOLDER = SHARED / "messy_tables"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared measuring data are not here")
# file -> (encoding, delimiter, header row, columns, rows, unread) of its first table, or the key of the refusal; rows of
# nothing but delimiters are none: one in excel_pasting and spanish_chars, 37 in sparse_with_column_errors
EXPECTED: dict[str, tuple[str | None, str | None, int, int, int, int] | str] = {
    "badcolspan.html": ("utf-8", None, 0, 4, 4, 0), "complex.html": ("utf-8", None, 1, 1, 2, 0), "html.html": ("utf-8", None, 1, 6, 199, 0),
    "invisible_text.html": ("utf-8", None, 1, 9, 3, 0), "rowcolspan.html": ("utf-8", None, 0, 5, 10, 0), "encrypted_no_password.xls": "input.encrypted", "libreoffice.xlsx": "input.empty_workbook",
    "simple.unknown": "input.empty", "simple.zip": "input.zip",
    "begrotingsanalyse-2011.csv": ("utf-8", ",", 5, 20, 38, 0), "bian-anal-mca-2005-dols-eng-1011-0312-tab3.xlsm": (None, None, 10, 4, 40, 0),
    "blank_line.ods": (None, None, 1, 3, 3, 0), "characters.csv": ("big5", ",", 1, 18, 382, 0), "complex.csv": ("utf-8", ",", 1, 4, 3, 0),
    "example.tsv": ("utf-8", "\t", 1, 17, 140, 0), "excel_pasting.csv": ("utf-8", ",", 4, 9, 16, 0), "excel_properties.xls": (None, None, 1, 1, 17, 0),
    "large.xlsx": (None, None, 4, 11, 30, 0), "loffice-4.4.1.2.ods": (None, None, 1, 3, 3, 0), "long.csv": ("utf-8", ",", 1, 1, 3999, 0),
    "mixedGLB.csv": ("utf-8", ",", 4, 19, 133, 0), "multilineods.ods": (None, None, 0, 1, 1, 0), "null.csv": ("utf-8", ",", 0, 4, 10, 0),
    "ods_formats.ods": (None, None, 1, 10, 5, 0), "simple.csv": ("utf-8", ",", 1, 3, 6, 0), "simple.ods": (None, None, 1, 3, 3, 0),
    "simple.psv": ("utf-8", "|", 1, 6, 28, 0), "simple.ssv": ("utf-8", ";", 1, 3, 6, 0), "simple.xls": (None, None, 1, 3, 6, 0),
    "simple.xlsx": (None, None, 1, 3, 6, 0), "skip_initials.csv": ("utf-8", ",", 1, 2, 2, 0), "small.csv": ("utf-8", ",", 1, 1, 0, 0),
    "span_rich.xls": (None, None, 1, 4, 5, 0), "spanish_chars.csv": ("cp1252", ",", 1, 8, 115, 0),
    "sparse_with_column_errors.csv": ("cp1252", ",", 1, -1, 2200, 0), "sw_gen.xlsx": (None, None, 1, 17, 15, 0),
    "unicode_sheet_name.xls": (None, None, 1, 1, 0, 0), "utf-16le_encoded.csv": ("utf-16", ",", 1, 19, 327, 0), "utf8bom.csv": ("utf-8-sig", ",", 1, 2, 0, 0),
    "weird_head_padding.csv": ("utf-8", ";", 12, 11, 76, 16),
}  # fmt: skip


def test_all_fifty_two_are_here() -> None:
    assert len(EXPECTED) + len(list((FOLDER / "csv_spectrum" / "csvs").iterdir())) == 52
    assert set(EXPECTED) == {p.name for p in (FOLDER / "horror").iterdir()} - {"README.md"}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_horror(name: str, tmp_path: Path) -> None:
    expected = EXPECTED[name]
    path = FOLDER / "horror" / name
    if isinstance(expected, str):
        with pytest.raises(InputError) as caught:
            open_sources(path, is_known_header)
        assert caught.value.key == expected and name in caught.value.text("zh")
        return
    source = open_sources(path, is_known_header)[0]
    with duckdb.connect() as con:
        staged = stage(con, source, "raw", tmp_path)
    columns = len(source.columns) if expected[3] >= 0 else -1
    assert (source.encoding, source.delimiter, source.header_row, columns, staged.rows, len(staged.unread)) == expected


@pytest.mark.parametrize("path", sorted((FOLDER / "csv_spectrum" / "csvs").glob("*.csv")), ids=lambda p: p.stem)
def test_csv_spectrum(path: Path, tmp_path: Path) -> None:
    expected = json.loads((FOLDER / "csv_spectrum" / "json" / f"{path.stem}.json").read_text(encoding="utf-8"))
    expected = expected if isinstance(expected, list) else [expected]
    source = open_sources(path, is_known_header)[0]
    with duckdb.connect() as con:
        stage(con, source, "raw", tmp_path)
        cells = ", ".join(f"coalesce(c{i}, '')" for i in range(len(source.columns)))
        rows = con.execute(f"SELECT {cells} FROM raw").fetchall()
    assert list(source.columns) == list(expected[0])
    if path.stem == "location_coordinates":
        # The phone number in the expected file is not the one in the table.
        rows, expected = [row[1:] for row in rows], [dict(list(row.items())[1:]) for row in expected]
    # The expected values were written with CR LF where the file at hand has LF.
    assert rows == [tuple(str(v).replace("\r\n", "\n") for v in row.values()) for row in expected]


def test_cells_that_span_others(tmp_path: Path) -> None:
    """One that spans columns is followed by empty cells, one that spans rows stands in each of them."""
    source = open_sources(FOLDER / "horror" / "rowcolspan.html", is_known_header)[0]
    with duckdb.connect() as con:
        stage(con, source, "raw", tmp_path)
        rows = con.execute("SELECT c0, c1, c2, c3, c4 FROM raw ORDER BY row_no").fetchall()
    assert rows[0] == ("05", "06", None, "08", "09")
    assert rows[2:4] == [("25", "26", "27", None, "29"), ("25", "36", "27", None, "39")]
    assert rows[7:9] == [("65", "76", "77", None, "79"), ("85", "86", "77", None, "89")]
