"""A house format as a YAML file: which file is which table, which column is which, which word means what.

    name: Example agency export
    zone: Asia/Shanghai            # what times without a zone mean, in every file
    jurisdiction: CN               # where cases without one belong
    ignore: ["answers.csv"]        # files of the folder that are not data
    tables:
      - match: ["calls_*.csv"]     # file names, or file#sheet
        table: contacts
        encoding: gb18030          # only if it must not be worked out
        delimiter: ";"
        header: 0                  # 1-based row of the column names, 0 for none (then column_1, column_2, ...)
        zone: Asia/Kolkata
        date_order: dmy            # ymd, dmy or mdy
        repeats: events            # rows without an id that are equal in all columns: duplicates (default) or events
        fill_down: [case_id]       # merged cells: an empty cell holds what stands above it
        columns:
          started_at: 通话时间
          case_id: [甲方, 合同号]   # several columns, joined by "|"
          channel: {const: call}
        values:
          outcome: {"A1": conversation}
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pydantic
from pydantic import Field, field_validator

from analyzer import yamlfile
from analyzer.intake.columns import TABLES, place_of, table, word_list
from analyzer.sources import Hints, Source

FILE_NAME = "mapping.yaml"
TableName = Literal[
    "contacts", "cases", "persons", "numbers", "instalments", "payments", "promises", "case_events", "agents", "trainings"
]
assert {t.name for t in TABLES} == set(TableName.__args__)  # type: ignore[attr-defined]


def check_zone(name: str) -> str:
    """The zone name, if it is an Area/City name of the time zone database ("CST" is three different zones).

    Raises:
        ValueError: it is not.
    """
    if "/" not in name and name != "UTC":
        raise ValueError(f"{name!r} is not an Area/City zone name")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{name!r} is not a known time zone") from error
    return name


class Const(yamlfile.Strict):
    """One value for every row of the table."""

    const: str


class TableMapping(yamlfile.Strict):
    """What one kind of file holds."""

    match: Annotated[list[str], Field(min_length=1)]
    table: TableName
    encoding: str | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    header: Annotated[int, Field(ge=0)] | None = None
    zone: str | None = None
    date_order: Literal["ymd", "dmy", "mdy"] | None = None
    repeats: Literal["duplicates", "events"] = "duplicates"
    fill_down: list[str] = Field(default_factory=list)
    columns: dict[str, str | list[str] | Const] = Field(default_factory=dict)
    values: dict[str, dict[str, str]] = Field(default_factory=dict)

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return value if value is None else check_zone(value)

    @pydantic.model_validator(mode="after")
    def _names(self) -> TableMapping:
        spec = table(self.table)
        for name in [*self.columns, *self.values, *self.fill_down]:
            if spec.column(name) is None:
                raise ValueError(f"{self.table} has no column {name!r}")
        for name, words in self.values.items():
            known = set(word_list(self.table, name).values())
            for word in words.values():
                if known and word not in known:
                    raise ValueError(f"{name}: {word!r} is not one of {', '.join(sorted(known))}")
        return self

    def hints(self) -> Hints:
        """What need not be worked out about the file."""
        return Hints(self.encoding, self.delimiter, self.header)


class Mapping(yamlfile.Strict):
    """A house format. Without a file, everything is worked out from the built-in names."""

    name: str = "built-in"
    zone: str | None = None
    jurisdiction: str | None = None
    ignore: list[str] = Field(default_factory=list)
    tables: list[TableMapping] = Field(default_factory=list)

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return value if value is None else check_zone(value)

    @field_validator("jurisdiction")
    @classmethod
    def _jurisdiction(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if (code := place_of(value)) is None:
            raise ValueError(f"{value!r} is not a jurisdiction we know: give a code, as CN, US, US-MA, HK")
        return code

    def for_name(self, file_name: str, sheet: str | None = None) -> TableMapping | None:
        """The first entry whose pattern fits the file name, or file#sheet."""
        names = [file_name] if sheet is None else [file_name, f"{file_name}#{sheet}"]
        for entry in self.tables:
            if any(fnmatch.fnmatch(name, pattern) for name in names for pattern in entry.match):
                return entry
        return None

    def ignores(self, source: Source) -> bool:
        """Whether a sheet is named (file#sheet) among what is not read; whole files are left out where they are looked for."""
        return source.sheet is not None and any(fnmatch.fnmatch(source.name, pattern) for pattern in self.ignore)

    def for_source(self, source: Source) -> TableMapping | None:
        """The entry for a source."""
        return self.for_name(source.path.name, source.sheet)


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file strictly.

    Raises:
        UsageError: it is not YAML, holds an unknown key, table, column, zone or word; the sentence says where.
    """
    return yamlfile.settings(path, Mapping)


def folder_mapping(names: Sequence[str]) -> Path | None:
    """The `mapping.yaml` lying in the only folder that is named, if there is one."""
    folders = [Path(n) for n in names if Path(n).is_dir()]
    if len(folders) == 1 and (folders[0] / FILE_NAME).is_file():
        return folders[0] / FILE_NAME
    return None
