"""Threads that the event loop waits for: no more than there may be, none too few, and every outcome comes back."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import weakref

import pytest

from service.retrieval.collections.worker_threads import WorkerThreads


def test_what_is_handed_over_runs_elsewhere_and_its_outcome_comes_back():
    threads = WorkerThreads(2, "worker")

    def refuse(reason):
        raise KeyError(reason)

    async def run():
        assert await threads.run(threading.get_ident) != threading.get_ident()
        assert await threads.run(lambda a, b: a - b, 5, 3) == 2
        with pytest.raises(KeyError, match="no"):
            await threads.run(refuse, "no")
        assert await threads.run(lambda: None) is None

    asyncio.run(run())


def test_one_after_the_other_is_one_thread_and_at_once_are_as_many_as_there_may_be():
    threads = WorkerThreads(3, "worker")
    names = set()
    together = threading.Barrier(3)

    def alone():
        names.add(threading.current_thread().name)

    def at_once():
        together.wait(10)
        alone()

    async def run():
        for _ in range(10):
            await threads.run(alone)
            await asyncio.sleep(0.01)
        assert names == {"worker-0"}
        await asyncio.gather(*(threads.run(at_once) for _ in range(9)))
        assert names == {"worker-0", "worker-1", "worker-2"}

    asyncio.run(run())


def test_who_leaves_takes_no_thread_along():
    threads = WorkerThreads(1, "worker")
    gate, done = threading.Event(), []

    def work(number):
        gate.wait(10)
        done.append(number)

    async def run():
        leaver = asyncio.create_task(threads.run(work, 1))
        stayer = asyncio.create_task(threads.run(work, 2))
        await asyncio.sleep(0.05)
        leaver.cancel()
        gate.set()
        await stayer

    asyncio.run(run())
    assert done == [1, 2]


def test_a_loop_that_is_gone_ends_no_thread():
    threads = WorkerThreads(1, "worker")
    gate = threading.Event()

    async def leave():
        task = asyncio.create_task(threads.run(gate.wait, 10))
        await asyncio.sleep(0.05)
        task.cancel()

    asyncio.run(leave())
    gate.set()
    assert asyncio.run(threads.run(lambda: "still there")) == "still there"


def test_a_program_that_ends_waits_for_what_is_under_way():
    program = """
import asyncio, time
from service.retrieval.collections.worker_threads import WorkerThreads

def work():
    time.sleep(0.3)
    print("done", flush=True)

async def leave():
    asyncio.create_task(WorkerThreads(2, "worker").run(work))
    await asyncio.sleep(0.05)

asyncio.run(leave())
print("left", flush=True)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.split() == ["left", "done"]


def test_nothing_of_what_was_done_is_kept():
    threads = WorkerThreads(1, "worker")

    class Thing:
        pass

    def fail(thing):
        raise ValueError(thing)

    async def run():
        kept = []
        for work in (id, fail):
            thing = Thing()
            kept.append(weakref.ref(thing))
            task = asyncio.create_task(threads.run(work, thing))
            await asyncio.wait([task])
            task.exception()
            del task, thing
        await asyncio.sleep(0.05)
        gc.collect()
        assert [each() for each in kept] == [None, None]

    asyncio.run(run())


def test_a_thread_that_cannot_begin_is_an_error_and_not_counted(monkeypatch):
    threads = WorkerThreads(2, "worker")

    def refuse(_):
        raise RuntimeError("can't start new thread")

    async def run():
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start"):
                await threads.run(int)
        assert await threads.run(int) == 0

    asyncio.run(run())
