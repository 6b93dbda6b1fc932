"""Parameters with which only `make test-nightly` tries a test."""

from __future__ import annotations

from typing import Any

import pytest


def thorough(*values: Any) -> Any:
    """Return these values with the mark for `pytest.mark.parametrize`."""
    return pytest.param(*values, marks=pytest.mark.thorough)
