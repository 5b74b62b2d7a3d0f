"""A report as one HTML file that needs nothing else: no script, no font, no network (its own policy forbids both)."""

from __future__ import annotations

from pathlib import Path

from analyzer.report.blocks import Document


def page(document: Document) -> bytes:
    """The bytes of the file; the same for the same document. Every text is escaped by the template engine."""
    import jinja2

    engine = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    template = engine.from_string((Path(__file__).parent / "template.html").read_text(encoding="utf-8"))
    return template.render(d=document).encode("utf-8")
