"""The pages of the dashboard, one file each. A page asks `summary` and `explain`; it owns no query and no number."""

from pathlib import Path

PAGES = Path(__file__).parent
