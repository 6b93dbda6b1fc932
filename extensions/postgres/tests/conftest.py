"""Databases, and stores in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from softkv_service.storage import open_shared
from tests.postgres import PostgresServer


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
def store(address: str) -> Iterator[Any]:
    opened = open_shared(address)
    yield opened
    opened.close()
