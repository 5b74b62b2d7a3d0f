"""JSON that is not one object a line: an array, an object around one, objects written over several lines.

The text is cut into its objects as they stand, so that figures keep their digits. Where the rows are is told by
`layout`, what their columns are by `Fields`; JSON Lines are told by `Fields` too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

LARGEST = 1 << 28
MOST_INNER = 100
_WRAPPERS = 2
# Not strict: raw line ends and tabs inside a string are no JSON, but systems write them.
_JSON = json.JSONDecoder(strict=False)
_GAP = re.compile(r"[\s,\x1e\ufeff]*")
_COLON = re.compile(r"\s*:\s*")
_CONTROL = re.compile(r"[\x00-\x1f]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
Path = tuple[str, ...]


class DamagedError(ValueError):
    """The text is not JSON from this line on."""

    def __init__(self, line: int) -> None:
        """`line` is counted from 1."""
        super().__init__(line)
        self.line = line


@dataclass(frozen=True)
class Shape:
    """How JSON becomes a table: the keys that lead to each column, and those that lead to the list of rows in a document."""

    paths: tuple[Path, ...]
    rows_at: Path = ()


class Fields:
    """The columns of objects, in the order in which their keys come.

    An object in an object gives a column for each of its keys. One level is opened: what lies deeper stays JSON text,
    as lists do, and an object with so many keys that it is a map rather than a record.
    """

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._keys: dict[str, dict[str, None]] = {}
        self._plain: set[str] = set()

    def add(self, row: dict[str, Any]) -> None:
        """Take note of the keys of an object."""
        for key, value in row.items():
            inner = self._keys.setdefault(key, {})
            if isinstance(value, dict):
                inner.update(dict.fromkeys(value))
            elif value is not None:
                self._plain.add(key)

    def nested(self) -> list[str]:
        """The keys under which some row has an object."""
        return [key for key, inner in self._keys.items() if inner and _usable(key)]

    def paths(self) -> tuple[Path, ...]:
        """The keys that lead to each column."""
        found: list[Path] = []
        for key in filter(_usable, self._keys):
            inner = list(filter(_usable, self._keys[key]))
            opened = 0 < len(inner) <= MOST_INNER
            if key in self._plain or not opened:
                found.append((key,))
            if opened:
                found += [(key, name) for name in inner]
        return tuple(found)


def _usable(key: str) -> bool:
    """Whether a key can name a column: not empty, and text that can be stored."""
    return bool(key) and "\x00" not in key and not _SURROGATE.search(key)


def object_of(line: str) -> dict[str, Any] | None:
    """The object on a line of JSON Lines, None when there is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def value_at(row: dict[str, Any], path: Path) -> str | None:
    """The text of a column as DuckDB takes it from the object: what is not text is JSON."""
    value: Any = row
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _SURROGATE.sub("\ufffd", text)


def layout(text: str, known: Callable[[str], bool]) -> Path:
    """The keys that lead to the list of rows; none unless the text is one object around one list of objects.

    Such an object is a row itself if more of its own keys are known column names than of the keys in the list.

    Raises:
        DamagedError: the text is not JSON.
    """
    start = _past(_GAP, text, 0)
    if not text.startswith("{", start):
        return ()
    value, end = _value(text, start)
    return _list_in(value, known, _WRAPPERS) if _past(_GAP, text, end) == len(text) else ()


def _list_in(row: dict[str, Any], known: Callable[[str], bool], deep: int) -> Path:
    lists = [key for key, value in row.items() if isinstance(value, list) and any(isinstance(item, dict) for item in value)]
    objects = [key for key, value in row.items() if isinstance(value, dict)]
    if len(lists) == 1:
        first = next(item for item in row[lists[0]] if isinstance(item, dict))
        return (lists[0],) if sum(map(known, first)) >= sum(map(known, row)) else ()
    if not lists and len(objects) == 1 and deep > 1:
        inner = _list_in(row[objects[0]], known, deep - 1)
        return (objects[0], *inner) if inner else ()
    return ()


def items(text: str, rows_at: Path) -> Iterator[tuple[int, int, Any]]:
    """(start, end, value) of each row: of the list that `rows_at` leads to, or of all lists and objects of the text.

    Raises:
        DamagedError: the text is not JSON.
    """
    at = _past(_GAP, text, 0)
    for key in rows_at:
        at = _member(text, at, key)
    if rows_at:
        yield from _elements(text, at)
        return
    while at < len(text):
        if text[at] == "[":
            at = yield from _elements(text, at)
        else:
            value, end = _value(text, at)
            yield at, end, value
            at = end
        at = _past(_GAP, text, at)


def one_line(text: str) -> str:
    """A piece of JSON on one line: line ends and tabs, between values or raw inside a string, become blanks."""
    return _CONTROL.sub(" ", text)


def sql_path(path: Path) -> str:
    """A JSON path for use inside quotes in SQL."""
    keys = "".join('."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"' for key in path)
    return "$" + keys.replace("'", "''")


def _elements(text: str, at: int) -> Generator[tuple[int, int, Any], None, int]:
    """(start, end, value) of the elements of the list at `at`; returns where it ends."""
    at = _past(_GAP, text, at + 1)
    while not text.startswith("]", at):
        value, end = _value(text, at)
        yield at, end, value
        at = _past(_GAP, text, end)
    return at + 1


def _member(text: str, at: int, key: str) -> int:
    """Where the value of a key that the object at `at` has begins."""
    at = _past(_GAP, text, at + 1)
    while True:
        name, end = _value(text, at)
        at = _past(_COLON, text, end)
        if name == key:
            return at
        at = _past(_GAP, text, _value(text, at)[1])


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        return _JSON.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise DamagedError(error.lineno) from error
    except (ValueError, RecursionError) as error:
        # A figure of thousands of digits, or nesting without end.
        raise DamagedError(text.count("\n", 0, at) + 1) from error


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
