"""Turns between callers, and shared threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial, wraps
from typing import Any

import pytest

from softkv_service.scheduling import CALLER, FairQueue, FairThreads


def test_callers_take_turns_and_each_one_s_stay_in_order():
    turns = FairQueue[str]()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        turns.put(item[0], item)
    assert len(turns) == 6
    assert turns.next() == ("a", "a1")
    assert [turns.take()[1] for _ in range(6)] == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert turns.take() is None


def test_a_caller_has_at_most_its_share_in_progress():
    turns = FairQueue[int](share=2)
    for number in range(4):
        turns.put("a", number)
    assert [turns.take(), turns.take(), turns.take()] == [("a", 0), ("a", 1), None]
    turns.put("b", 9)
    assert turns.take() == ("b", 9)
    turns.done("a")
    assert [turns.take(), turns.take()] == [("a", 2), None]


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


async def as_caller(caller, threads, work):
    CALLER.set(caller)
    return await threads.run(work)


@in_a_loop
async def test_a_flood_of_one_caller_leaves_a_thread_to_another():
    threads, go_on = FairThreads("test", 3), threading.Event()
    flood = [asyncio.create_task(as_caller("flood", threads, partial(go_on.wait, 120))) for _ in range(50)]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(as_caller("other", threads, lambda: 7), 60) == 7
    go_on.set()
    assert all(await asyncio.gather(*flood))


@in_a_loop
async def test_a_caller_behind_a_flood_waits_for_one_item_of_it():
    threads, done = FairThreads("test", 1), list[str]()
    first = threading.Event()
    tasks = [asyncio.create_task(as_caller("flood", threads, partial(first.wait, 120)))]
    await asyncio.sleep(0.05)
    tasks += [asyncio.create_task(as_caller("flood", threads, partial(done.append, "flood"))) for _ in range(20)]
    tasks.append(asyncio.create_task(as_caller("other", threads, partial(done.append, "other"))))
    await asyncio.sleep(0.05)
    first.set()
    await asyncio.gather(*tasks)
    assert done.index("other") <= 1
    assert len(done) == 21


@in_a_loop
async def test_cancelled_work_is_not_done():
    threads, go_on, done = FairThreads("test", 1), threading.Event(), list[int]()
    running = asyncio.create_task(as_caller("a", threads, partial(go_on.wait, 120)))
    waiting = [asyncio.create_task(as_caller("a", threads, partial(done.append, number))) for number in range(5)]
    await asyncio.sleep(0.05)
    for task in waiting[:4]:
        task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(running, *waiting, return_exceptions=True)
    assert done == [4]


@in_a_loop
async def test_an_error_is_whose_work_it_was_and_the_thread_goes_on():
    threads = FairThreads("test", 1)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await threads.run(fail)
    assert await threads.run(time.strftime, "%%") == "%"
