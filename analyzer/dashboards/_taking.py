"""What leaves the page of findings as a file, made when it is asked for on a connection of its own, and noted in the action log.

Whoever may not reveal names gets the redacted edition, with masks of a key that is thrown away, and a report with the pseudonyms of the pages.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb

from analyzer import access, export, leftovers, report, review
from analyzer.dashboards._blocks import DATES
from analyzer.explain import Explained

Filters = dict[str, list[str]]


def whole_report(path: Path, language: str, filters: Filters, user: access.User) -> bytes:
    """The report of a selection as HTML.

    Raises:
        UsageError: the user may take nothing away.
    """
    access.require(user, "export")
    period = tuple(date.fromisoformat(filters[name][0]) if name in filters else None for name in DATES)
    reveals = access.allowed(user.role, "reveal")
    with access.connect(path, access.scope(user)) as con:
        made = report.report(con, language, {k: v for k, v in filters.items() if k not in DATES}, (period[0], period[1]), reviews=review.Reviews(path))
        if not reveals:
            made = replace(made, sheets=tuple(replace(sheet, told=tuple(_covered(con, one) for one in sheet.told)) for sheet in made.sheets))
        review.Reviews(path).act(user.id, "export", path.stem, format="html", filters=filters, findings=made.population.findings, edition="full" if reveals else "covered")
        return report.render(made, "html")


def _covered(con: duckdb.DuckDBPyConnection, told: Explained) -> Explained:
    hidden = access.names(con, {told.finding["case_id"], *(entry["case_id"] for entry in told.ledger)}, {entry["agent_id"] for entry in told.ledger})
    return replace(told, ledger=access.veiled(told.ledger, [name for _, name in hidden]))


def exported(path: Path, ending: str, filters: Filters, user: access.User) -> bytes:
    """A selection as a file of one kind: see `export.write`.

    Raises:
        UsageError: the user may take nothing away, nothing fits, or an identifier is left in a redacted edition.
    """
    access.require(user, "export")
    reveals = access.allowed(user.role, "reveal")
    with access.connect(path, access.scope(user), masked=reveals) as con, leftovers.private("dunaudit-taking-") as folder:
        target, key = folder / f"{path.stem}.{ending}", folder / "key"
        key.write_text(secrets.token_hex(32), encoding="ascii")
        options = export.Options("full" if reveals else "redacted", None if reveals else key, reviews=review.Reviews(path), made_by=user.id)
        written = export.write(con, target, filters, options)
        review.Reviews(path).act(user.id, "export", path.stem, format=ending, filters=filters, findings=written["findings"], edition=options.edition)
        return target.read_bytes()
