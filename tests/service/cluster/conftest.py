"""Ranges of few rows, so that small collections have many."""

from __future__ import annotations

import pytest

from service.cluster import cover, knowledge, placement
from service.cluster.slot import files, holding, ranges, steps
from tests.service.retrieval.sealing import BLOCK, make_blocks_small

MODULES = (cover, files, holding, knowledge, placement, ranges, steps)


@pytest.fixture
def ranges_of_16_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in MODULES:
        monkeypatch.setattr(module, "RANGE_ROWS", 16)


@pytest.fixture
def ranges_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges and blocks of 64 rows."""
    make_blocks_small(monkeypatch)
    for module in MODULES:
        monkeypatch.setattr(module, "RANGE_ROWS", BLOCK)
