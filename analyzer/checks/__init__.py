"""The kinds of check: a rule's parameters to two SELECTs over the canonical tables (see `base`)."""

from analyzer.checks.bind import Prepared, entities_of, prepare, rebind
from analyzer.checks.judge import judge

__all__ = ["Prepared", "entities_of", "judge", "prepare", "rebind"]
