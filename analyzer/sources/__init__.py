"""Files to rows: what a file is (`detect`), and its rows as a table of text columns (`stage`).

Everything that is worked out about a file - its kind, encoding, delimiter, header row - is kept on the `Source`, so
that it can be shown before a single row is read (`dunaudit inspect`) and recorded with every batch.
"""

from analyzer.sources.discover import discover
from analyzer.sources.source import Hints, Source, open_sources
from analyzer.sources.stage import Staged, stage

__all__ = ["Hints", "Source", "Staged", "discover", "open_sources", "stage"]
