"""Ranges of few rows, so that small collections have many."""

from __future__ import annotations

import pytest

from service.cluster import metadata, placement
from service.cluster.node import collection_replicas, maintenance, replica
from tests.service.retrieval.sealing import BLOCK, make_batches_small

MODULES = (collection_replicas, maintenance, metadata, placement, replica)


@pytest.fixture
def ranges_of_16_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in MODULES:
        monkeypatch.setattr(module, "SHARD_ROWS", 16)


@pytest.fixture
def ranges_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges and blocks of 64 rows."""
    make_batches_small(monkeypatch)
    for module in MODULES:
        monkeypatch.setattr(module, "SHARD_ROWS", BLOCK)
