"""The kinds of check: a rule's parameters to two SELECTs over the canonical tables (see `base`)."""

from analyzer.checks.bind import PARAMS, Prepared, entities_of, prepare, rebind
from analyzer.checks.judge import judge, make_hits

__all__ = ["PARAMS", "Prepared", "entities_of", "judge", "make_hits", "prepare", "rebind"]
