"""Typed Python values as SQL literals. Data from logs is never put into SQL; it is bound as a parameter."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal


def literal(value: object) -> str:
    """One value of a rule or of our own lists as an SQL literal.

    Raises:
        TypeError: the type has no literal here.
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case float():
            return repr(value)
        case str():
            return "'" + value.replace("'", "''") + "'"
        case datetime():
            return f"TIMESTAMP '{value:%Y-%m-%d %H:%M:%S}'"
        case date():
            return f"DATE '{value:%Y-%m-%d}'"
        case time():
            return f"TIME '{value:%H:%M:%S}'"
        case list() | tuple():
            return "(" + ", ".join(literal(v) for v in value) + ")"
        case _:
            raise TypeError(f"no literal for {type(value).__name__}")


def name(identifier: str) -> str:
    """An identifier, quoted."""
    return '"' + identifier.replace('"', '""') + '"'
