"""A request's trail: what is spent for it is its own, whichever task or thread does the work."""

from __future__ import annotations

import asyncio
import contextvars
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.trail import Trail, Wait, following, spending, together


class Heard:
    """Writes down what it hears."""

    def __init__(self):
        self.waits, self.batches = [], []

    def waited(self, queue, seconds):
        self.waits.append((queue, seconds))

    def done(self, stage, seconds, size):
        self.batches.append((stage, seconds, size))

    def encoded(self, tokens): ...

    def answered(self, method, total_variation): ...


def trails(n: int) -> list[Trail]:
    return [Trail(Heard()) for _ in range(n)]


def test_a_batch_is_spent_by_all_of_its_requests_and_heard_of_once():
    one, two = trails(2)
    waits = []
    for trail in (one, two):
        with following(trail):
            waits.append(Wait("scan"))
    time.sleep(0.01)
    with together(waits, 5):
        time.sleep(0.01)
    for trail in (one, two):
        assert trail.spells.keys() == {"wait for scan", "scan"}
        assert trail.spells["wait for scan"].ended == trail.spells["scan"].began
        assert all(spell.seconds >= 0.01 for spell in trail.spells.values())
    assert [(stage, size) for stage, _, size in one.listener.batches] == [("scan", 5)]
    assert two.listener.batches == []
    assert [len(trail.listener.waits) for trail in (one, two)] == [1, 1]


def test_a_request_that_comes_in_parts_waits_once_and_is_in_the_stage_as_often():
    (trail,) = trails(1)
    with following(trail):
        turn = Wait("encode")
    for _ in range(3):
        with together([turn], 1):
            pass
        time.sleep(0.005)
    spell = trail.spells["encode"]
    assert (spell.times, trail.spells["wait for encode"].times) == (3, 1)
    assert spell.seconds < spell.ended - spell.began


def test_a_batch_that_fails_is_no_batch():
    (trail,) = trails(1)
    with following(trail):
        turn = Wait("encode")
    with pytest.raises(ValueError, match="x"), together([turn], 1):
        raise ValueError("x")
    assert trail.spells.keys() == {"wait for encode"}


def test_in_tasks_and_threads_each_has_its_own():
    async def request(trail: Trail) -> None:
        def work():
            with spending("storage"):
                pass

        with following(trail):
            await asyncio.to_thread(work)
            with ThreadPoolExecutor(1) as pool:
                await asyncio.wrap_future(pool.submit(contextvars.copy_context().run, work))

    async def both(*requests) -> None:
        await asyncio.gather(*requests)

    one, two = trails(2)
    asyncio.run(both(request(one), request(two)))
    assert [trail.spells["storage"].times for trail in (one, two)] == [2, 2]


def test_who_is_not_followed_leaves_no_trail():
    (trail,) = trails(1)
    with following(trail):
        pass
    with spending("storage"):
        pass
    assert trail.spells == {}
