"""Charts as SVG, made by hand: no script, no font file, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 680
_ROW, _BAR = 34, 10
_FONT = "Noto Sans CJK SC, Source Han Sans SC, Noto Sans SC, Microsoft YaHei, PingFang SC, sans-serif"
# The colours of the dashboard.
COLOURS = {"critical": "#8b1a1a", "high": "#d9622b", "medium": "#e8b33f", "low": "#8aa4b8"}
_INK, _FAINT, _PLAIN = "#22303c", "#e9eef2", "#4f7396"


@dataclass(frozen=True)
class Bar:
    """A bar from zero to `value`, with the interval (low, high) on it where there is one; `figure` is written behind the label."""

    label: str
    value: float
    figure: str
    colour: str = _PLAIN
    low: float | None = None
    high: float | None = None


def bars(rows: Sequence[Bar]) -> str:
    """Horizontal bars, each under its own label, on one scale that begins at zero."""
    most = max([row.high if row.high is not None else row.value for row in rows], default=0) or 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {_ROW * len(rows) + 4}" width="{WIDTH}" height="{_ROW * len(rows) + 4}"'
        f' font-family="{_FONT}" font-size="12">'
    ]
    for number, row in enumerate(rows):
        top = number * _ROW
        bar = top + 18
        parts.append(f'<text x="0" y="{top + 13}" fill="{_INK}">{escape(_short(row.label))}</text>')
        parts.append(f'<text x="{WIDTH}" y="{top + 13}" fill="{_INK}" text-anchor="end">{escape(row.figure)}</text>')
        parts.append(f'<rect x="0" y="{bar}" width="{WIDTH}" height="{_BAR}" fill="{_FAINT}"/>')
        parts.append(f'<rect x="0" y="{bar}" width="{_at(row.value, most)}" height="{_BAR}" fill="{row.colour}"/>')
        if row.low is not None and row.high is not None:
            left, right, middle = _at(row.low, most), _at(row.high, most), bar + _BAR / 2
            parts.append(f'<path d="M{left} {middle}H{right}M{left} {bar - 1}V{bar + _BAR + 1}M{right} {bar - 1}V{bar + _BAR + 1}" stroke="{_INK}" stroke-width="1.4" fill="none"/>')
    return "".join([*parts, "</svg>"])


def _at(value: float, most: float) -> str:
    # A point inside the frame even at the end of the scale, so that the whisker's cap is drawn whole.
    return f"{value / most * (WIDTH - 2) + 1:.2f}" if value else "0.00"


def _short(label: str, most: int = 84) -> str:
    """A label that fits over its bar; a Chinese character is as wide as two letters. The table beside the chart has it whole."""
    width, kept = 0, ""
    for character in label:
        width += 1 if ord(character) < 0x2E80 else 2
        if width > most:
            return kept + "…"
        kept += character
    return kept
