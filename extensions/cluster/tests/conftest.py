"""Shards of few rows, so that small collections have many; a database, and servers over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from extensions.cluster.tests.local_servers import LocalServers
from softkv_cluster import placement
from tests.postgres import PostgresServer
from tests.service.retrieval.sealing import BLOCK, make_batches_small


def make_shards_small(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Give every shard this number of rows."""
    monkeypatch.setattr(placement, "SHARD_SIZES", ())
    monkeypatch.setattr(placement, "MAX_SHARD_ROWS", rows)


@pytest.fixture
def shards_of_16_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    make_shards_small(monkeypatch, 16)


@pytest.fixture
def shards_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards and blocks of 64 rows."""
    make_batches_small(monkeypatch)
    make_shards_small(monkeypatch, BLOCK)


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.database()


@pytest.fixture
def run_servers(address: str) -> Iterator[Callable[..., LocalServers]]:
    """Yield a function that starts servers over the test's database; it takes the arguments of `LocalServers`."""
    opened: list[LocalServers] = []

    def run(*plan: Any, **options: Any) -> LocalServers:
        opened.append(LocalServers(address, *plan, **options))
        return opened[-1]

    yield run
    for servers in opened:
        servers.close()
