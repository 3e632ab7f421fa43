"""Benchmarks: each result that README and docs/ quote can be measured again by one command."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))  # helpers that tests and benchmarks share
