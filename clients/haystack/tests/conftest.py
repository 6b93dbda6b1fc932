"""Stores whose collections are gone after the test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from haystack_integrations.document_stores.softkv import SoftkvDocumentStore


@pytest.fixture
def made(name: Callable[[], str]) -> Callable[..., SoftkvDocumentStore]:
    """Makes stores of new collections."""

    def make(**options: Any) -> SoftkvDocumentStore:
        return SoftkvDocumentStore(name(), **options)

    return make
