"""The queue in front of an encoder behind a URL: several calls at once, and a provider that fails."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from softkv_service.encoding import EncodingQueue, ProviderUnavailable, QueueOverfull, TextRefused
from softkv_service.encoding.remote import RemoteSettings
from softkv_service.encoding.remote.encoder import RemoteEncoder
from softkv_service.scheduling import CALLER
from tests.service.encoding.remote.provider import Reply, vector_of


def run(stub, scenario, *, max_waiting=1000, **fields):
    usual = {"name": "nomic", "url": stub.url, "model": "nomic-embed-text", "timeout_seconds": 60.0}

    async def lifetime():
        encoder = await asyncio.to_thread(ready_encoder, RemoteSettings(**(usual | fields)))
        stub.calls.clear()
        queue = EncodingQueue(encoder, max_waiting=max_waiting)
        queue.start()
        try:
            return await scenario(queue)
        finally:
            await queue.close()

    return asyncio.run(asyncio.wait_for(lifetime(), 120))


def ready_encoder(settings):
    """An encoder whose width is known; the stub is not asked."""
    encoder = RemoteEncoder(settings)
    encoder._provider.dimension = 48
    return encoder


def ask(queue, texts, purpose="document", caller="a caller"):
    token = CALLER.set(caller)
    try:
        return asyncio.create_task(queue.encode(texts, purpose))
    finally:
        CALLER.reset(token)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def test_several_batches_are_in_flight_and_each_keeps_the_limits(stub, door):
    async def scenario(queue):
        first = ask(queue, [f"document number {i}" for i in range(40)])
        await until(lambda: stub.in_flight == 3)
        question = ask(queue, ["a question"], "query")
        await asyncio.sleep(0)
        door.set()
        await question
        assert not first.done()
        return await first

    encoded = run(stub, scenario, concurrency=3, batch_texts=4)
    np.testing.assert_array_equal(encoded.vectors[7], vector_of("document number 7"))
    assert stub.most_in_flight == 3
    assert max(len(call.body["input"]) for call in stub.calls) == 4


def test_a_cancelled_call_leaves_the_queue_and_its_lane(stub, door):
    async def scenario(queue):
        task = ask(queue, ["first"])
        await until(lambda: stub.in_flight == 1)
        waiting = ask(queue, ["second"])
        await asyncio.sleep(0)
        waiting.cancel()
        task.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)
        await until(lambda: not queue._lanes)  # although the provider still holds the call
        assert stub.in_flight == 1
        assert queue.waiting == 0
        third = ask(queue, ["third"])
        await until(lambda: len(stub.calls) == 2)
        door.set()
        await third

    run(stub, scenario, concurrency=1)
    assert stub.texts == ["first", "third"]


def test_a_batch_goes_on_while_one_of_its_callers_waits(stub, door):
    async def scenario(queue):
        leaves, stays = ask(queue, ["of one who leaves"], caller="x"), ask(queue, ["of one who stays"], caller="y")
        await until(lambda: stub.in_flight == 1)
        leaves.cancel()
        await asyncio.sleep(0)
        door.set()
        return await stays

    encoded = run(stub, scenario, concurrency=1)
    np.testing.assert_array_equal(encoded.vectors[0], vector_of("of one who stays"))
    assert [len(call.body["input"]) for call in stub.calls] == [2]


def refuse(stub, call):
    return Reply(400, {"error": "too long"}) if "bad" in call.body["input"] else None


def answer_invalid(stub, call):
    answer = stub.answer(call)
    for text, item in zip(call.body["input"], answer["data"], strict=True):
        if text == "bad":
            item["embedding"] = [1e39] * 48
    return Reply(200, answer)


@pytest.mark.parametrize(
    ("behaviour", "error", "words"),
    [(refuse, TextRefused, "'bad'"), (answer_invalid, ProviderUnavailable, "not finite")],
)
def test_a_bad_text_fails_its_own_caller_only(stub, door, behaviour, error, words):
    async def scenario(queue):
        first = ask(queue, ["first"])
        await until(lambda: stub.in_flight == 1)
        good, bad = ask(queue, ["good", "also good"], caller="x"), ask(queue, ["bad"], caller="y")
        await asyncio.sleep(0)
        stub.behaviour = lambda call: behaviour(stub, call)
        door.set()
        return await asyncio.gather(first, good, bad, return_exceptions=True)

    _, good, bad = run(stub, scenario, concurrency=1)
    np.testing.assert_array_equal(good.vectors[1], vector_of("also good"))
    assert isinstance(bad, error)
    assert words in str(bad)


def test_callers_of_a_hanging_provider_fail_soon_and_the_queue_empties(stub, door):
    async def scenario(queue):
        async def one(number):
            with pytest.raises(ProviderUnavailable, match="did not answer in time"):
                await ask(queue, [f"text {number}"], caller=f"caller {number}")

        await asyncio.gather(*(one(number) for number in range(40)))
        assert len(stub.calls) <= 4  # of ten batches: the others are refused before they are sent
        assert queue.waiting == 0
        door.set()
        await ask(queue, ["it is back"])

    run(stub, scenario, concurrency=2, batch_texts=4, timeout_seconds=1.0)


def test_more_texts_than_the_queue_takes_are_refused(stub, door):
    async def scenario(queue):
        first = ask(queue, [f"text {i}" for i in range(30)])
        await until(lambda: stub.in_flight == 1)
        with pytest.raises(QueueOverfull, match="texts wait for encoder 'nomic'"):
            await ask(queue, [f"other {i}" for i in range(5)])
        door.set()
        await first
        await ask(queue, [f"other {i}" for i in range(5)])

    run(stub, scenario, concurrency=1, batch_texts=4, max_waiting=30)
