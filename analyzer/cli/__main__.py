"""`python -m analyzer.cli` is `dunaudit`."""

from analyzer.cli import run

run()
