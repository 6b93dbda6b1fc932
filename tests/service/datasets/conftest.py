from __future__ import annotations

import pytest

from softkv_service.datasets import DEMOS
from softkv_service.encoding.encoder import Encoder
from softkv_service.encoding.registry import load_encoder


@pytest.fixture(scope="session")
def documents() -> dict[str, list[dict]]:
    """Every document of every demo collection."""
    return {name: list(demo.documents()) for name, demo in DEMOS.items()}


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load_encoder("all-MiniLM-L6-v2")
