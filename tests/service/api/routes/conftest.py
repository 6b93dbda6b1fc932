"""A small cross-encoder with random weights, for the tests of rerankers."""

from __future__ import annotations

from pathlib import Path

import pytest

from softkv_service.encoding import Reranker, default_precision, load_reranker
from tests.checkpoints import write_cross_encoder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cross_encoder(tmp_path_factory.mktemp("model") / "pairs")


@pytest.fixture(scope="module")
def reranker(model: Path) -> Reranker:
    return load_reranker(str(model), precision=default_precision())
