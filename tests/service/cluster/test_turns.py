"""Scans take turns: two at a time, and none for a caller that has given up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from attention.lookup import of_bytes, to_bytes
from service.cluster import Node
from service.cluster.errors import ScanTimeout
from service.cluster.node.node import MAX_SCANS, ScanLimiter
from tests.service.cluster.linked import Link
from tests.service.cluster.simulated import SimulatedStore
from tests.waiting import until


def test_what_reads_all_rows_waits_for_its_turn_and_no_longer_than_it_may():
    turns, go, begun = ScanLimiter(), Event(), []

    def scan():
        with turns.acquire("gather", 60):
            begun.append(1)
            assert go.wait(60)

    with ThreadPoolExecutor(MAX_SCANS + 1) as threads:
        first = [threads.submit(scan) for _ in range(MAX_SCANS)]
        until(lambda: len(begun) == MAX_SCANS)
        with pytest.raises(ScanTimeout), turns.acquire("rows", 0.05):
            pytest.fail("three at a time")
        with pytest.raises(ScanTimeout), turns.acquire("sampled", -1.0):
            pytest.fail("three at a time")
        with turns.acquire("values", 0.0), turns.acquire(None, 0.0):
            begun.append(2)
        next_one = threads.submit(scan)
        go.set()
        for caller in [*first, next_one]:
            caller.result(60)
    assert begun.count(1) == MAX_SCANS + 1
    assert begun.count(2) == 1


def test_a_turn_is_given_back_after_an_error():
    turns = ScanLimiter()
    for _ in range(2 * MAX_SCANS):
        with pytest.raises(ZeroDivisionError), turns.acquire("gather", 0.0):
            1 / 0  # noqa: B018


def test_a_slot_scans_nothing_for_whom_nobody_waits_any_more():
    store, go, begun = SimulatedStore(lambda: 0.0), Event(), []

    def told(views, mask, view, message, arrays, bias=None):
        begun.append(message["call"])
        if message["call"] == "gather":
            assert go.wait(60)
        return {}, {}

    link = Link(store, lambda: None, lambda *_: None, lambda *_: None)
    shard = Node("a", "a", link, 1, respond=told, clock=lambda: 0.0, submit=lambda work: work())
    number = store.create()
    store.collections[number].write([1], (), skipped=0, now=0.0)
    shard.step()

    def asked(call, seconds):
        message = {"collection": number, "version": 1, "ranges": [0], "condition": None}
        return of_bytes(shard.answer(to_bytes({**message, "seconds": seconds, "call": call}, {})))[0]

    with ThreadPoolExecutor(MAX_SCANS) as threads:
        scans = [threads.submit(asked, "gather", 60.0) for _ in range(MAX_SCANS)]
        until(lambda: len(begun) == MAX_SCANS)
        assert "ScanTimeout" in asked("gather", 0.05)["failed"]
        assert "failed" not in asked("owners", 0.0)
        go.set()
        assert all("failed" not in scan.result(60) for scan in scans)
    assert begun == ["gather"] * MAX_SCANS + ["owners"]
