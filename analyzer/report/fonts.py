"""The font that a PDF is set in: found, and looked into, before a line is written. No renderer says so when it draws boxes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from analyzer.errors import UsageError
from analyzer.legible import numbered
from analyzer.messages import say

# One design under three names.
FAMILIES = ("Noto Sans CJK SC", "Source Han Sans SC", "Noto Sans SC")
_CHINESE = frozenset(map(ord, say("report.title", "zh")))


@dataclass(frozen=True)
class Face:
    """A family that shows Chinese, what typst finds it with, and the code points it has."""

    family: str
    fonts: Any
    has: frozenset[int]

    def shown(self, text: str) -> str:
        """A text in which what the font lacks stands as its number; line ends stay."""
        if all(ord(c) in self.has or c == "\n" for c in text):
            return text
        return "".join(c if ord(c) in self.has or c == "\n" else numbered(c) for c in text)


def face(lang: str, folder: Path | None = None) -> Face:
    """The font to set a report in.

    Args:
        lang: language of the error's words.
        folder: where to look; the fonts of the system if None.

    Raises:
        UsageError: there is no font of `FAMILIES` that shows Chinese.
    """
    import typst

    fonts = typst.Fonts(include_system_fonts=folder is None, include_embedded_fonts=False, font_paths=[folder] if folder is not None else [])
    for family in FAMILIES:
        for info in fonts.fonts():
            if info.family == family and info.path and info.weight == 400:
                has = _code_points(info.path, info.index)
                if has >= _CHINESE:
                    return Face(family, fonts, has)
    raise UsageError("report.no_font", family=FAMILIES[0], where=folder.name if folder is not None else say("report.system_fonts", lang))


@cache
def _code_points(path: str, index: int) -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(path, fontNumber=index, lazy=True) as font:
        return frozenset(font["cmap"].getBestCmap())


