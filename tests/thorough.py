"""Parameters with which only `make test-nightly` tries a test."""

from __future__ import annotations

from typing import Any

import pytest


def thorough(*values: Any) -> Any:
    """What `pytest.mark.parametrize` takes for these values, marked."""
    return pytest.param(*values, marks=pytest.mark.thorough)
