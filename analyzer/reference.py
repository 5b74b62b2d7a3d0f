"""What may be written in a rule file: every key with its type, as rows to read and as a JSON Schema for editors.

Both are made from the models that read the files, so they cannot fall behind; what a key means is in the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from analyzer.checks import PARAMS
from analyzer.messages import keys as sentences
from analyzer.messages import say
from analyzer.rules import PackFile, RuleFile

_NAMES: dict[str, type[BaseModel]] = {"rule": RuleFile, "pack": PackFile}
_SENTENCES = sentences()
# Models that only put a condition or a text into words: docs/rules.md tells of them.
_PLAIN = ("Both", "Not", "Range")


@dataclass(frozen=True)
class Key:
    """One key: where it may stand (`rule`, `pack`, a kind of check, a part of one), its type, and what it means by language."""

    within: str
    key: str
    required: bool
    type: str
    default: str
    zh: str
    en: str


def keys() -> list[Key]:
    """Every key of a rule, of a pack, and of each kind of check, the parts of a kind after the kinds."""
    return [_key(name, key, model) for name, model in _models() for key in model.model_fields]


def _models() -> Iterator[tuple[str, type[BaseModel]]]:
    """(name, model) of what holds keys, each once."""
    waiting: list[tuple[str, type[BaseModel]]] = [*_NAMES.items(), *PARAMS.items()]
    seen: set[type[BaseModel]] = set()
    while waiting:
        name, model = waiting.pop(0)
        if model in seen or model.__name__ in _PLAIN:
            continue
        seen.add(model)
        yield name, model
        for field in model.model_fields.values():
            waiting += [(_named(part), part) for part in _parts(field.annotation)]


def _named(model: type[BaseModel]) -> str:
    """EventCondition is event_condition."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", model.__name__.strip("_")).lower()


def _parts(annotation: Any) -> list[type[BaseModel]]:
    """The models in a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for inner in get_args(annotation) for part in _parts(inner)]


def _key(within: str, key: str, model: type[BaseModel]) -> Key:
    field = model.model_fields[key]
    default = "" if field.is_required() or field.default in (None, PydanticUndefined) else str(field.default).lower()
    property_ = model.model_json_schema()["properties"][field.alias or key]
    return Key(within, field.alias or key, field.is_required(), _type(property_), default, _meaning(within, key, "zh"), _meaning(within, key, "en"))


def _meaning(within: str, key: str, lang: str) -> str:
    """What a key means there; where the catalogue has no sentence for the place, what it means everywhere."""
    own = f"key.{within}.{key}"
    return say(own if own in _SENTENCES else f"key.{key}", lang)


def _type(schema: dict[str, Any]) -> str:
    """A JSON Schema as a few words."""
    if "enum" in schema:
        return " / ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return "zh, en" if name == "Both" else re.sub(r"(?<!^)(?=[A-Z])", "_", name.strip("_")).lower()
    if "anyOf" in schema:
        return " / ".join(dict.fromkeys(_type(part) for part in schema["anyOf"] if part.get("type") != "null"))
    match schema.get("type"):
        case "array":
            return f"[{_type(schema['items'])}]"
        case "object":
            return "{" + _type(schema["additionalProperties"]) + "}" if isinstance(schema.get("additionalProperties"), dict) else "{}"
        case "string":
            return "date" if schema.get("format") == "date" else "$value" if schema.get("pattern") == r"^\$[a-z_]+$" else "text"
        case "integer":
            return "figure"
        case "boolean":
            return "true / false"
    return "any"


def markdown() -> str:
    """The keys as one page: docs/rule-keys.md."""
    lines = ["# " + " / ".join(say("reference.title", lang) for lang in ("zh", "en")), "", *(say("reference.about", lang) for lang in ("zh", "en"))]
    for within in dict.fromkeys(k.within for k in keys()):
        lines += ["", f"## `{within}`", "", "| key | type | required | default | 含义 | meaning |", "|---|---|---|---|---|---|"]
        lines += [
            "| " + " | ".join([f"`{k.key}`", _cell(k.type), "✓" if k.required else "", k.default, _cell(k.zh), _cell(k.en)]) + " |" for k in keys() if k.within == within
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def schema() -> dict[str, Any]:
    """The JSON Schema of a rule file, with the keys of each kind of check: what an editor completes and checks."""
    whole = _described(RuleFile, "rule")
    definitions: dict[str, Any] = whole.pop("$defs", {})
    kinds = []
    for kind, model in PARAMS.items():
        part = _described(model, kind)
        definitions |= part.pop("$defs", {})
        definitions[f"check_{kind}"] = part
        kinds.append({"$ref": f"#/$defs/check_{kind}"})
    whole["properties"]["check"] = {"oneOf": kinds, "description": _both("rule", "check")}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "DunAudit rule", **whole, "$defs": definitions}


def _described(model: type[BaseModel], within: str) -> dict[str, Any]:
    found = model.model_json_schema()
    for key, property_ in found["properties"].items():
        property_["description"] = _both(within, key)
    return found


def _both(within: str, key: str) -> str:
    return f"{_meaning(within, key, 'zh')} / {_meaning(within, key, 'en')}"
