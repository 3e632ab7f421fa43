"""Where the shipped configs and their tables lie."""

from pathlib import Path

SHIPPED = [Path(__file__).parent / "configs", Path(__file__).parent.parent / "configs"]
"""In the wheel, and in a checkout."""
