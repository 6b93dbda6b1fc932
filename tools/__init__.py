"""Programs that maintainers run with make or `python -m tools.NAME`: they write, check and count files."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The folder of the repository."""
