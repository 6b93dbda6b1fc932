from __future__ import annotations

import asyncio

import numpy as np
import pytest

from softkv_service.encoding.errors import QueueClosed
from softkv_service.encoding.queue import SLICE_TEXTS, EncodingQueue, encode_stream

TEXTS = [f"{'word ' * (i % 17)}number {i}" for i in range(SLICE_TEXTS * 2 + 5)]


def run(encoder, scenario):
    async def lifetime():
        queue = EncodingQueue(encoder)
        queue.start()
        try:
            return await scenario(queue)
        finally:
            await queue.close()

    return asyncio.run(asyncio.wait_for(lifetime(), 300))


def test_the_parts_are_the_whole_in_order(encoder):
    async def scenario(queue):
        return [part async for part in encode_stream(queue, TEXTS, "document")]

    parts = run(encoder, scenario)
    assert [len(part.vectors) for part in parts] == [SLICE_TEXTS] * 2 + [5]
    expected = encoder.encode(TEXTS, "document")
    np.testing.assert_allclose(np.concatenate([part.vectors for part in parts]), expected.vectors, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(np.concatenate([part.token_counts for part in parts]), expected.token_counts)


def test_a_caller_that_leaves_gives_the_rest_up(encoder):
    async def scenario(queue):
        parts = encode_stream(queue, TEXTS, "document")
        await anext(parts)
        await parts.aclose()
        assert queue.waiting == 0
        assert len(queue.cache) == SLICE_TEXTS

    run(encoder, scenario)


def test_a_queue_that_closes_ends_the_stream(encoder):
    async def scenario(queue):
        parts = encode_stream(queue, TEXTS, "document")
        await anext(parts)
        await queue.close()
        with pytest.raises(QueueClosed):
            async for _ in parts:
                pass

    run(encoder, scenario)
