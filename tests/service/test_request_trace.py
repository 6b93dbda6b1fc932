"""A request's trace: what is spent for it is its own, whichever task or thread does the work."""

from __future__ import annotations

import asyncio
import contextvars
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from softkv_service.request_trace import RequestTrace, Wait, batch_stage, time_stage


class Heard:
    """Writes down what it hears."""

    def __init__(self):
        self.waits, self.batches = [], []

    def record_wait(self, queue, seconds):
        self.waits.append((queue, seconds))

    def record_stage(self, stage, seconds, size):
        self.batches.append((stage, seconds, size))

    def record_tokens(self, tokens): ...

    def record_answer(self, method, total_variation): ...

    def record_lookups(self, path, number): ...


def traces(n: int) -> list[RequestTrace]:
    return [RequestTrace(Heard()) for _ in range(n)]


def test_a_batch_is_spent_by_all_of_its_requests_and_heard_of_once():
    one, two = traces(2)
    waits = []
    for trace in (one, two):
        with trace:
            waits.append(Wait("scan"))
    time.sleep(0.01)
    with batch_stage(waits, 5):
        time.sleep(0.01)
    for trace in (one, two):
        assert trace.timings.keys() == {"wait for scan", "scan"}
        assert trace.timings["wait for scan"].ended == trace.timings["scan"].began
        assert all(timing.seconds >= 0.01 for timing in trace.timings.values())
    assert [(stage, size) for stage, _, size in one.listener.batches] == [("scan", 5)]
    assert two.listener.batches == []
    assert [len(trace.listener.waits) for trace in (one, two)] == [1, 1]


def test_a_request_that_comes_in_parts_waits_once_and_is_in_the_stage_as_often():
    (trace,) = traces(1)
    with trace:
        turn = Wait("encode")
    for _ in range(3):
        with batch_stage([turn], 1):
            pass
        time.sleep(0.005)
    timing = trace.timings["encode"]
    assert (timing.times, trace.timings["wait for encode"].times) == (3, 1)
    assert timing.seconds < timing.ended - timing.began


def test_a_failed_batch_records_no_stage():
    (trace,) = traces(1)
    with trace:
        turn = Wait("encode")
    with pytest.raises(ValueError, match="x"), batch_stage([turn], 1):
        raise ValueError("x")
    assert trace.timings.keys() == {"wait for encode"}


def test_in_tasks_and_threads_each_has_its_own():
    async def request(trace: RequestTrace) -> None:
        def work():
            with time_stage("storage"):
                pass

        with trace:
            await asyncio.to_thread(work)
            with ThreadPoolExecutor(1) as pool:
                await asyncio.wrap_future(pool.submit(contextvars.copy_context().run, work))

    async def both(*requests) -> None:
        await asyncio.gather(*requests)

    one, two = traces(2)
    asyncio.run(both(request(one), request(two)))
    assert [trace.timings["storage"].times for trace in (one, two)] == [2, 2]


def test_a_stage_outside_a_trace_is_not_recorded():
    (trace,) = traces(1)
    with trace:
        pass
    with time_stage("storage"):
        pass
    assert trace.timings == {}
