from __future__ import annotations

import asyncio
import math
import threading
import time

import numpy as np
import pytest

from softkv_service.encoding import queue as queue_module
from softkv_service.encoding.encoder import BATCH_SECONDS, MAX_CHARACTERS, FixedLimits
from softkv_service.encoding.errors import InvalidText, QueueClosed
from softkv_service.encoding.queue import MAX_CACHED_REQUEST, EncodingQueue
from softkv_service.scheduling import CALLER, TEXTS


class Gate:
    """The real encoder behind a door: batches are noted, and run only while the door is open."""

    knows_tokens = True
    lanes = 1
    has_query_lane = False
    timeout_seconds = math.inf

    def __init__(self, encoder, poison=None):
        self.dimension = encoder.dimension
        self.batches = []
        self.threads = set()
        self.door = threading.Event()
        self.slices, self.slice_may_begin = 0, threading.Event()
        self._encoder = encoder
        self._poison = poison

    def tokens_read(self, token_counts):
        return self._encoder.tokens_read(token_counts)

    def batch_limits(self):
        return self._encoder.batch_limits()

    def shorten(self, text, purpose):
        for step in self._encoder.shorten(text, purpose):
            self.slices += 1
            assert self.slice_may_begin.wait(120), "the test never let a slice begin"
            yield step

    def submit(self, texts, purpose, threads, seconds):
        return threads.submit(self.encode, texts, purpose)

    def encode(self, texts, purpose):
        self.batches.append((purpose, list(texts)))
        self.threads.add(threading.current_thread())
        if purpose == "document" or not self.has_query_lane:
            assert self.door.wait(120), "the test never opened the door"
        if self._poison in texts:
            raise RuntimeError("out of memory")
        return self._encoder.encode(texts, purpose)

    async def reached(self, count=1):
        while len(self.batches) < count:
            await asyncio.sleep(0.001)


@pytest.fixture
def gate(encoder):
    gate = Gate(encoder)
    yield gate
    gate.slice_may_begin.set()
    gate.door.set()  # so that a failed test does not leave a thread behind


def run(gate, scenario, clock=lambda: 0.0):
    async def lifetime():
        queue = EncodingQueue(gate, clock)
        queue.start()
        try:
            return await scenario(queue)
        finally:
            gate.door.set()
            await queue.close()

    return asyncio.run(asyncio.wait_for(lifetime(), 300))


def ask(queue, texts, purpose="document"):
    return asyncio.create_task(queue.encode(texts, purpose))


LONG = "the dog sees 猫 \U0001f63a. " * 20_000


def test_a_long_text_keeps_no_other_waiting_and_ends_with_its_call(gate):
    async def scenario(queue):
        gate.door.set()
        long = ask(queue, [LONG])
        while not gate.slices:
            await asyncio.sleep(0.001)
        await queue.encode(["a short text"], "query")
        long.cancel()
        await asyncio.wait([long])
        gate.slice_may_begin.set()
        await TEXTS.run(len, LONG)  # after the slice that was under way
        assert (long.cancelled(), gate.slices) == (True, 1)

    run(gate, scenario)


def test_the_answer_is_the_encoders_in_the_callers_order_also_for_a_long_text(encoder, gate):
    gate.slice_may_begin.set()
    gate.door.set()
    texts = ["a short text about the sea and the wind", LONG, "猫", "", "word " * 300]
    answer, expected = run(gate, lambda queue: queue.encode(texts, "document")), encoder.encode(texts, "document")
    assert gate.slices > 3
    assert max(len(text) for _, batch in gate.batches for text in batch) < 10_000
    np.testing.assert_allclose(answer.vectors, expected.vectors, rtol=0, atol=1e-6)
    for column in ("token_counts", "truncated", "unknown_tokens", "content"):
        np.testing.assert_array_equal(getattr(answer, column), getattr(expected, column))


def test_texts_that_wait_while_a_batch_runs_form_the_next(gate):
    async def scenario(queue):
        tasks = [ask(queue, ["first"])]
        await gate.reached()
        tasks += [ask(queue, [f"waiting {i}"]) for i in range(5)]
        await asyncio.sleep(0)
        assert queue.waiting == 5
        gate.door.set()
        await asyncio.gather(*tasks)
        assert queue.waiting == 0

    run(gate, scenario)
    assert [len(texts) for _, texts in gate.batches] == [1, 5]
    assert len(gate.threads) == 1
    assert threading.main_thread() not in gate.threads


def test_queries_go_before_documents_and_not_with_them(gate):
    async def scenario(queue):
        tasks = [ask(queue, ["first"])]
        await gate.reached()
        tasks += [ask(queue, ["a document"]), ask(queue, ["a query"], "query"), ask(queue, ["another"])]
        await asyncio.sleep(0)
        gate.door.set()
        await asyncio.gather(*tasks)

    run(gate, scenario)
    assert gate.batches[1:] == [("query", ["a query"]), ("document", ["a document", "another"])]


def test_a_query_is_encoded_beside_a_batch_of_documents(gate):
    gate.has_query_lane = True

    async def scenario(queue):
        upload = ask(queue, [f"line {i} of an upload" for i in range(10_000)])
        await gate.reached()
        answers = [await queue.encode([text], "query") for text in ("a query", "another query")]
        assert not gate.door.is_set()
        assert not upload.done()
        upload.cancel()
        return answers

    for text, encoded in zip(("a query", "another query"), run(gate, scenario), strict=True):
        np.testing.assert_array_equal(encoded.vectors, gate._encoder.encode([text], "query").vectors)
    assert [batch for batch in gate.batches if batch[0] == "query"] == [
        ("query", ["a query"]),
        ("query", ["another query"]),
    ]


def test_the_rows_of_people_go_before_those_that_the_service_loads_itself(gate):
    async def scenario(queue):
        demo = [f"row {i} of a demo" for i in range(2_000)]
        tasks = [ask(queue, demo)]
        await gate.reached()
        token = CALLER.set("a learner")
        tasks.append(ask(queue, ["the learner's first row"]))
        CALLER.reset(token)
        await asyncio.sleep(0)
        gate.door.set()
        await tasks[1]
        assert not tasks[0].done()
        tasks[0].cancel()

    run(gate, scenario)
    assert gate.batches[1] == ("document", ["the learner's first row"])


def test_a_bulk_upload_starves_neither_a_query_nor_a_single_document(gate):
    async def scenario(queue):
        bulk = ask(queue, [f"line {i} of a bulk upload" for i in range(10_000)])
        await gate.reached()
        single = ask(queue, ["a single document"])
        query = ask(queue, ["a query"], "query")
        await asyncio.sleep(0)
        gate.door.set()
        await asyncio.gather(query, single)
        assert not bulk.done()
        bulk.cancel()

    run(gate, scenario)
    assert gate.batches[1] == ("query", ["a query"])
    assert "a single document" in gate.batches[2][1]
    assert all(sum(map(len, texts)) < MAX_CHARACTERS + 40 for _, texts in gate.batches)
    assert len(gate.batches) < 10  # the cancelled rest did not run


def test_the_batches_of_a_bulk_upload_learn_the_speed_of_the_machine(gate):
    """tests/service/encoding/queue/test_batch_size.py has the speeds."""

    def seconds():  # as if the encoder read 20,000 characters a second
        return sum(len(text) for _, texts in gate.batches for text in texts) / 20_000

    texts = [f"line {i} of a bulk upload" for i in range(330)]
    gate.door.set()
    run(gate, lambda queue: queue.encode(texts, "document"), seconds)
    sizes = [sum(map(len, texts)) for _, texts in gate.batches[:-1]]
    assert sizes[-1] == pytest.approx(20_000 * BATCH_SECONDS, rel=0.1)


def test_the_event_loop_goes_on_while_a_megabyte_is_read(encoder):
    async def scenario():
        queue = EncodingQueue(encoder)
        queue.start()
        started = last = time.perf_counter()
        task = ask(queue, ["a" * 1_000_000])
        longest = 0.0
        while not task.done():
            await asyncio.sleep(0.002)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        await queue.close()
        return longest / (last - started)

    # A tokeniser that holds the GIL takes 0.6 of the time in one go, every time; a busy machine does so now and then.
    assert any(asyncio.run(scenario()) < 0.4 for _ in range(5))


def test_a_request_that_makes_a_batch_fail_fails_alone(encoder):
    gate = Gate(encoder, poison="poison")

    async def scenario(queue):
        first = ask(queue, ["first"])
        await gate.reached()
        tasks = [ask(queue, ["good"]), ask(queue, ["poison", "its neighbour"]), ask(queue, ["fine"])]
        await asyncio.sleep(0)
        gate.door.set()
        outcomes = await asyncio.gather(first, *tasks, return_exceptions=True)
        assert (await queue.encode(["afterwards"], "query")).vectors.shape == (1, 384)
        return outcomes

    first, good, bad, fine = run(gate, scenario)
    assert isinstance(bad, RuntimeError)
    assert first.vectors.shape == good.vectors.shape == fine.vectors.shape == (1, 384)


def test_an_invalid_text_is_refused_before_it_waits(gate):
    async def scenario(queue):
        with pytest.raises(InvalidText, match=r"texts\[1\]"):
            await queue.encode(["fine", "\ud800"], "query")
        return await queue.encode([], "query")

    assert run(gate, scenario).vectors.shape == (0, 384)
    assert gate.batches == []


async def test_closing_ends_running_batches_and_refuses_waiting_texts(gate, monkeypatch):
    monkeypatch.setattr(queue_module, "CLOSING_SECONDS", 60.0)  # a busy machine may take long over one text
    queue = EncodingQueue(gate)
    with pytest.raises(QueueClosed):
        await queue.encode(["too early"], "query")
    queue.start()
    tasks = [ask(queue, ["running"])]
    await gate.reached()
    tasks.append(ask(queue, [f"text {i} that waits for its turn" for i in range(300)]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(queue.close())
    await asyncio.sleep(0)
    with pytest.raises(QueueClosed):
        await queue.encode(["too late"], "query")
    with pytest.raises(QueueClosed):
        await tasks[1]
    assert queue.waiting == 0
    gate.door.set()
    await closing
    await queue.close()
    assert tasks[0].result().vectors.shape == (1, 384)
    assert [texts for _, texts in gate.batches] == [["running"]]
    for thread in gate.threads:
        thread.join(30)
        assert not thread.is_alive()


def test_a_text_that_was_encoded_lately_is_not_encoded_again(gate):
    gate.door.set()

    async def scenario(queue):
        first = await queue.encode(["a", "b", "a"], "document")
        second = await queue.encode(["b", "c", "a"], "document")
        await queue.encode(["a"], "query")
        return first, second

    first, second = run(gate, scenario)
    assert [(purpose, sorted(texts)) for purpose, texts in gate.batches] == [
        ("document", ["a", "b"]),
        ("document", ["c"]),
        ("query", ["a"]),
    ]
    np.testing.assert_array_equal(first.vectors[[0, 1]], first.vectors[[2, 1]])
    np.testing.assert_array_equal(second.vectors[[2, 0]], first.vectors[[0, 1]])
    np.testing.assert_array_equal(second.token_counts, [3, 3, 3])


def test_documents_of_the_service_take_turns_from_their_time_on(gate):
    gate.batch_limits = lambda: FixedLimits(texts=4, tokens=10_000)

    async def scenario(queue):
        first = ask(queue, ["it runs"])
        await gate.reached()
        token = CALLER.set("an uploader")
        upload = ask(queue, [f"uploaded {i}" for i in range(8)])
        CALLER.reset(token)
        late = asyncio.create_task(queue.encode(["waits for ever"], "document"))
        soon = asyncio.create_task(queue.encode(["has waited"], "document", turn_at=time.monotonic()))
        await asyncio.sleep(0.01)
        gate.door.set()
        await asyncio.gather(first, upload, late, soon)
        batches = [batch for _, batch in gate.batches]
        assert batches[1] == ["uploaded 7", "uploaded 6", "uploaded 5", "has waited"]  # one of each caller in turn
        assert batches[-1] == ["waits for ever"]

    run(gate, scenario)


def test_an_answer_is_the_callers_own(gate):
    gate.door.set()

    async def scenario(queue):
        (await queue.encode(["a"], "document")).vectors[:] = 0
        return await queue.encode(["a"], "document")

    assert np.abs(run(gate, scenario).vectors).max() > 0


def test_an_upload_is_neither_looked_up_nor_kept(gate):
    gate.door.set()
    texts = [str(i) for i in range(MAX_CACHED_REQUEST + 1)]

    async def scenario(queue):
        task = ask(queue, texts)
        await gate.reached()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(queue.cache) == 0

    run(gate, scenario)
