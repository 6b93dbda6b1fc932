"""Stores whose collections are gone after the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langgraph_store_softkv import SoftkvStore


@pytest.fixture
def made(name: Callable[[], str]) -> Callable[..., SoftkvStore]:
    """Makes stores of new collections."""

    def make(**options: Any) -> SoftkvStore:
        return SoftkvStore(name(), **options)

    return make


@pytest.fixture(params=["waited for", "awaited"])
def call(request, runner):
    """Calls a method of a store by its name, in both ways."""

    def run(store: SoftkvStore, method: str, *args: Any, **options: Any) -> Any:
        if request.param == "waited for":
            return getattr(store, method)(*args, **options)
        return runner.run(getattr(store, f"a{method}")(*args, **options))

    return run
