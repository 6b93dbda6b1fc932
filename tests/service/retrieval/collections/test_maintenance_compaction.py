"""The compaction thread: a request while it ends is not lost."""

from __future__ import annotations

import time
from itertools import islice
from threading import Event

from softkv_service.retrieval.collections import maintenance as compaction
from softkv_service.retrieval.collections.maintenance import Compaction, retry_forever


def test_a_request_during_a_compaction_continues_it():
    begun, wait, steps = Event(), Event(), []

    def step():
        steps.append(len(steps))
        begun.set()
        assert wait.wait(30)
        return False

    tidying = Compaction("c", step)
    tidying.begin()
    assert begun.wait(30)
    assert tidying.running
    for _ in range(3):  # behind the last look at what there is to do
        tidying.begin()
    wait.set()
    deadline = time.monotonic() + 30
    while tidying.running or len(steps) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert len(steps) == 2


def test_one_tries_again_ever_later(monkeypatch):
    slept = []
    monkeypatch.setattr(compaction, "sleep", slept.append)
    assert len(list(islice(retry_forever(), 8))) == 8
    assert slept == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
