"""A collection on shard servers moves to another encoder: coordinators and servers follow, and no answer is mixed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from extensions.cluster.tests.local_servers import LocalServers
from softkv_cluster.service import Roster, Router, ShardedCatalogue
from softkv_service.encoding import Encoder, Encoders, LoadingEncoder
from softkv_service.retrieval.documents import ReEncodings, Worker
from softkv_service.storage import open_shared
from tests.service.retrieval.documents.test_re_encoding import (
    TEXTS,
    Service,
    ended,
    filled,
    folder,
    hidden_gone,
    is_exact,
    models,
    sent,
    text,
    write,
)

__all__ = ["folder", "models"]  # fixtures
pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("shards_of_16_rows")]


class Coordinator(Service):
    """A coordinator of these servers with two encoders, and its jobs."""

    def __init__(self, address: str, servers: LocalServers, models: dict[str, Encoder]) -> None:
        self.encoders = Encoders([LoadingEncoder(name, lambda name=name: models[name]) for name in models])  # type: ignore[misc]
        store = open_shared(address)
        self.catalogue = ShardedCatalogue(store, self.encoders, Router(servers, Roster(store, servers), seconds=5.0))
        self.catalogue.rebuild()
        self.jobs, self.worker = ReEncodings(self.catalogue), Worker(self.catalogue, grace_seconds=0.2)

    def close(self) -> None:
        self.catalogue.close()
        self.catalogue.store.close()


@pytest.fixture
def coordinators(
    address: str, run_servers: Callable[..., LocalServers], models: dict[str, Encoder]
) -> Iterator[tuple[Coordinator, Coordinator]]:
    servers = run_servers(3, 2)
    both = Coordinator(address, servers, models), Coordinator(address, servers, models)
    yield both
    for each in both:
        each.close()


def test_a_sharded_collection_moves_under_questions_and_writes(
    coordinators: tuple[Coordinator, Coordinator], models: dict[str, Encoder]
) -> None:
    one, other = coordinators

    async def scenario() -> None:
        for each in coordinators:
            await each.encoders.start()
        await filled(one, 200)
        working = asyncio.create_task(one.worker.run())
        seen, written = list[str](), 200
        query = text(7)
        assert is_exact(await other.attend(query), models["old"], query, TEXTS)
        await one.jobs.start(one.collection(), "new")
        moving = asyncio.create_task(ended(one))
        over = False
        while not over:
            over = moving.done()  # one more round afterwards
            for each in coordinators:
                result = await each.attend(query)
                (encoder,) = [name for name in models if is_exact(result, models[name], query, TEXTS)]
                seen.append(encoder)
            await write(other.collection(), sent(written))
            written += 1
        assert (await moving).job.state == "done"
        assert seen == sorted(seen, reverse=True)
        assert seen[-2:] == ["new", "new"]
        for each in coordinators:
            assert each.collection().ids() == {f"{i:05}" for i in range(written)}
        with one.collection().reading() as (record, reader):
            stored = reader.documents(record.id, reader.rows_where(record.id))
        keys = models["new"].encode([document.key or "" for document in stored], "document").vectors
        np.testing.assert_allclose(np.concatenate([document.keys for document in stored]), keys, atol=1e-6)
        await hidden_gone(one)
        assert is_exact(await other.attend(query), models["new"], query, TEXTS)
        working.cancel()
        for each in coordinators:
            await each.encoders.close()

    asyncio.run(scenario())
