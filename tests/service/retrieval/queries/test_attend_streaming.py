"""A stream is sent once, even if others fail beside it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from service.retrieval import SnapshotGone
from service.retrieval.collections import Collection
from service.retrieval.queries import Options, stream_collection
from service.retrieval.queries import stream as module
from tests.service.retrieval.making import numbered

QUERY = np.array([1, 0], np.float32)


@pytest.fixture
def few(create: Any) -> Collection:
    return create(numbered(*range(20)))


async def beside(collection: Collection, *fails: Any) -> tuple[Counter[bool], BaseException | None]:
    """Count the final answers and others of a stream in one batch with failing ones; return its error too."""
    counts = Counter[bool]()

    async def listen() -> None:
        async for part in stream_collection(collection, QUERY, Options()):
            counts[part.final] += 1

    before = asyncio.create_task(collection.lookups.read(lambda _: time.sleep(0.2), size=1))
    await asyncio.sleep(0.05)
    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.05)
    mates = [asyncio.create_task(collection.lookups.read(fail, size=1)) for fail in fails]
    results = await asyncio.gather(listening, before, *mates, return_exceptions=True)
    return counts, results[0]


def test_a_failing_question_does_not_repeat_a_stream_beside_it(few: Collection) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError("of another")

    assert asyncio.run(beside(few, fail)) == ({True: 1}, None)


def test_a_stream_whose_version_goes_ends_and_does_not_begin_again(
    few: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module._stream_results

    def going(*arguments: Any) -> Iterator[Any]:
        for part in real(*arguments):
            yield module.StreamedResult(part.result, final=False)
            raise SnapshotGone("gone")

    monkeypatch.setattr(module, "_stream_results", going)
    results, error = asyncio.run(beside(few, lambda *_: None))
    assert results == {False: 1}
    assert isinstance(error, SnapshotGone)
    assert "ask once more" in str(error)
