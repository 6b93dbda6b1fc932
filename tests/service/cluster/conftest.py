"""Ranges of few rows, so that small collections have many."""

from __future__ import annotations

import pytest

from service.cluster import cover, knowledge, placement
from service.cluster.slot import ranges, steps


@pytest.fixture
def ranges_of_16_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cover, knowledge, placement, ranges, steps):
        monkeypatch.setattr(module, "RANGE_ROWS", 16)
