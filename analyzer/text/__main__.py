"""The process that reads texts for a run: see `reading`."""

import sys
from pathlib import Path

from analyzer.text.reading import serve

serve(Path(sys.argv[1]), sys.stdin.buffer, sys.stdout.buffer)
