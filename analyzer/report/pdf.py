"""A report as PDF by typst: tagged, PDF/A-2a (archiving, accessible) and PDF/UA-1 in one.

The texts go to the template as data (`sys.inputs`), never as markup, so nothing in them is read as typst.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC
from pathlib import Path
from typing import Any

from analyzer.report.blocks import Document
from analyzer.report.fonts import Face, face


def pdf(document: Document, fonts: Path | None = None) -> bytes:
    """The bytes of the PDF; the same for the same document and font.

    Args:
        document: a report laid out.
        fonts: folder of fonts; those of the system if None.

    Raises:
        UsageError: no font shows Chinese.
    """
    import typst

    with_face = face(document.lang, fonts)
    data = _plain(dataclasses.asdict(document) | {"made": None}, with_face) | {"family": with_face.family}
    made: bytes = typst.compile(
        (Path(__file__).parent / "template.typ").read_bytes(), font_paths=with_face.fonts, ignore_system_fonts=True,
        sys_inputs={"data": json.dumps(data, ensure_ascii=False)}, format="pdf", pdf_standards=["a-2a", "ua-1"],
        timestamp=document.made.replace(tzinfo=UTC),
    )  # fmt: skip
    return made


def _plain(value: Any, with_face: Face) -> Any:
    if isinstance(value, str):
        return with_face.shown(value)
    if isinstance(value, dict):
        return {key: _plain(v, with_face) for key, v in value.items()}
    return [_plain(v, with_face) for v in value] if isinstance(value, list | tuple) else value
