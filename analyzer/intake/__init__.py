"""Foreign columns to canonical ones, and an account of every row."""

from analyzer.intake.columns import is_known_header, place_of
from analyzer.intake.load import Batch, Settings, input_table, load, sample_orders
from analyzer.intake.mapping import Mapping, folder_mapping, load_mapping
from analyzer.intake.plan import Plan, borrowers, propose, told_apart

__all__ = [
    "Batch", "Mapping", "Plan", "Settings", "borrowers", "folder_mapping", "input_table", "is_known_header", "load", "load_mapping", "place_of", "propose", "sample_orders", "told_apart",
]  # fmt: skip
