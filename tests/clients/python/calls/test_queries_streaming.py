"""Streamed answers, in each of the three ways."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from attention.lookup import Limits
from softkv import AsyncClient, Document, Invalid

KEYS = np.random.default_rng(3).standard_normal((200, 3)).astype(np.float32)
ASKED = {"temperature": 3.0, "null": False, "top_k": 2}


@pytest.fixture
def large(softkv_client, service, monkeypatch):
    """Return a collection of two hundred documents in blocks of 32, whose parts are streamed."""
    app = service.app if softkv_client._host is None else softkv_client._host._transport.app
    limits = Limits(block_rows=32, min_prefix_rows=100)
    monkeypatch.setattr(app.state.parts.catalogue, "limits", limits)
    collection = softkv_client.collection("streamed")
    collection.create(encoder=None, similarity="dot", dimension=3)
    collection.write([Document(f"d{i}", key_vector=key) for i, key in enumerate(KEYS)])
    yield collection
    collection.drop()


def test_partial_answers_come_first_and_the_last_equals_attend(large):
    *parts, last = large.attend_stream([1.0, 0.0, 0.5], **ASKED)
    assert parts
    for part in parts:
        assert not part.final
        assert part.coverage.total == 200
        assert part.coverage.documents == part.documents < 200
        assert part.verdict in ("one", "several")
    assert last.final
    whole = large.attend([1.0, 0.0, 0.5], **ASKED)
    assert last.to_dict() | {"took_ms": 0} == whole.to_dict() | {"took_ms": 0}
    assert whole.final


def test_an_invalid_stream_raises_when_it_is_iterated(large):
    with pytest.raises(Invalid, match="query has width 2"):
        list(large.attend_stream([1.0, 0.0]))


def test_a_stream_can_be_left_early(large):
    stream = iter(large.attend_stream([1.0, 0.0, 0.5], **ASKED))
    assert not next(stream).final
    del stream
    assert large.attend([1.0, 0.0, 0.5]).documents == 200


def test_an_awaited_one_stops_in_the_middle_and_the_client_goes_on(large, service):
    async def asked() -> tuple[bool, int]:
        async with AsyncClient(service.url) as client:
            collection = client.collection("streamed")
            async for item in collection.attend_stream([1.0, 0.0, 0.5], **ASKED):
                answer = item.final
                break
            return answer, (await collection.attend([1.0, 0.0, 0.5])).documents

    if not isinstance(service_of(large), str):
        pytest.skip("a service in this process has no address")
    assert asyncio.run(asked()) == (False, 200)


def service_of(collection):
    return None if "local" in repr(collection) else repr(collection)
