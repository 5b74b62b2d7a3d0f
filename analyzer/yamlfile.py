"""YAML read strictly, with the line of every key.

Scalars follow the YAML 1.2 core schema: plain `22:00` and `no` are text, only true/false, null and figures are not;
a key given twice is a problem, not a silent choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict, Field

from analyzer.errors import UsageError
from analyzer.model import Text2

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # a build without the C parser reads the same, slower
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]


class _Plain(_Loader):
    """Reads the same nodes without working out their tags: what a scalar is, `_scalar` says."""

    def descend_resolver(self, *_: object) -> None:
        """See yaml."""

    def ascend_resolver(self) -> None:
        """See yaml."""

    def resolve(self, *_: object) -> str:
        """See yaml."""
        return ""


_DEEPEST = 30
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?")


Known = Literal["seen", "reported", "unverified", "house"]
"""How well a text is known: see `model.Citation`."""


class Strict(BaseModel):
    """Base of what a file may hold: no key that is not known, no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Both(Strict):
    """A text in both languages."""

    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]

    def plain(self) -> Text2:
        """The text as the rest of the program holds it."""
        return Text2(self.zh.strip(), self.en.strip())


Model = TypeVar("Model", bound=Strict)


Place = tuple[str | int, ...]


class Lines(Mapping[Place, int]):
    """The 1-based line of each path into a text, worked out when somebody asks: a file without a mistake is never asked about."""

    def __init__(self, text: str = "") -> None:
        """`text`: YAML."""
        self._text: str | None = text
        self._found: dict[Place, int] = {}

    def _all(self) -> dict[Place, int]:
        if self._text is not None:
            node, self._text = _node(self._text), None
            if node is not None:
                _note_lines(node, (), self._found)
        return self._found

    def __getitem__(self, path: Place) -> int:
        """The line of a path."""
        return self._all()[path]

    def __iter__(self) -> Iterator[Place]:
        """Every path."""
        return iter(self._all())

    def __len__(self) -> int:
        """How many paths there are."""
        return len(self._all())


@dataclass
class Document:
    """The data of a file, the 1-based line of each path into it, what is wrong with its YAML: (line, key, params), and the file's octets."""

    data: Any = None
    lines: Lines = field(default_factory=Lines)
    problems: list[tuple[int, str, dict[str, object]]] = field(default_factory=list)
    source: bytes = b""

    def line(self, path: Place) -> int:
        """The line of a path, or of the nearest part of it that exists."""
        return line_of(path, self.lines)


def line_of(path: Place, lines: Mapping[Place, int]) -> int:
    """The line of a path, or of the nearest part of it that has one."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def read(path: Path) -> Document:
    """Read one file. Nothing is raised for bad YAML: it is in `problems`."""
    document = Document()
    document.source = path.read_bytes()
    try:
        text = document.source.decode("utf-8")
    except UnicodeDecodeError:
        document.problems.append((1, "yaml.encoding", {}))
        return document
    return parse(text, document)


def settings(path: Path, model: type[Model], private: str = "") -> Model:
    """A file of settings as `model`. Below the key `private` an error does not quote keys: they are people's.

    Raises:
        UsageError: it is not there, is not YAML, or is no such model; the sentence says where.
    """
    if not path.is_file():
        raise UsageError("settings.missing", path=path.name)
    document = read(path)
    if document.problems:
        raise UsageError("settings.yaml", path=path.name, line=document.problems[0][0])
    try:
        return model.model_validate(document.data or {})
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        at = first["loc"]
        where = ".".join("*" if place == 1 and private and at[0] == private else str(part) for place, part in enumerate(at)) or "-"
        raise UsageError("settings.invalid", path=path.name, line=document.line(at), where=where, why=first["msg"]) from error


def parse(text: str, document: Document | None = None) -> Document:
    """Read YAML text."""
    document = document or Document()
    try:
        node = _node(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        document.problems.append((mark.line + 1 if mark else 1, "yaml.broken", {"why": getattr(error, "problem", "") or ""}))
        return document
    document.lines = Lines(text)
    document.data = None if node is None else _build(node, 0, document)
    return document


def _node(text: str) -> yaml.Node | None:
    loader = _Plain(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _note_lines(node: yaml.Node, path: Place, lines: dict[Place, int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > _DEEPEST:
        return
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.value not in seen:
                seen.add(key_node.value)
                lines[(*path, key_node.value)] = key_node.start_mark.line + 1
                _note_lines(value_node, (*path, key_node.value), lines)
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _note_lines(item, (*path, i), lines)


def _build(node: yaml.Node, depth: int, document: Document) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return node.value if node.style in ("'", '"', "|", ">") else _scalar(node.value)
    if depth > _DEEPEST:
        document.problems.append((node.start_mark.line + 1, "yaml.deep", {}))
        return None
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, depth + 1, document) for item in node.value]
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            document.problems.append((key_node.start_mark.line + 1, "yaml.key", {}))
            continue
        key = key_node.value
        if key in found:
            document.problems.append((key_node.start_mark.line + 1, "yaml.duplicate_key", {"name": key}))
            continue
        found[key] = _build(value_node, depth + 1, document)
    return found


def _scalar(text: str) -> Any:
    match text:
        case "" | "~" | "null":
            return None
        case "true":
            return True
        case "false":
            return False
    if text[0] not in "+-.0123456789":
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
