"""One slot: what it waits for, what it refuses, and what it keeps from one question to the next."""

from __future__ import annotations

import json
import threading
import time

import numpy as np
import pytest

from attention.lookup import of_bytes, to_bytes
from service.cluster import SHARD_ROWS, Node, NodeReport
from service.storage import DocumentDamaged
from tests.service.cluster.linked import Link
from tests.service.cluster.simulated import ODD, SimulatedReader, SimulatedStore


class Slots:
    """Slots over one store, which look on command; `seen` has the views and the mask of each answer.

    An answer `takes` some seconds.
    """

    def __init__(self) -> None:
        self.store, self.now, self.seen, self.takes = SimulatedStore(lambda: self.now), 0.0, [], 0.0
        self.number = self.store.create()

    def slot(self, name: str, copies: int = 1) -> Node:
        def told(views, mask, view, message, arrays, bias=None):
            self.seen.append((view, mask))
            self.now += self.takes
            numbers = [s.numbers if passing is None else s.numbers[passing] for s, passing in view.passing(mask)]
            return {}, {"rows": np.concatenate([np.empty(0, np.int64), *numbers])}

        link = Link(self.store, lambda: None, lambda *_: None, lambda *_: None)
        return Node(name, name, link, copies, respond=told, clock=lambda: self.now, submit=lambda work: work())

    def write(self, count: int, *removed: int, skipped: int = 0) -> None:
        self.store.collections[self.number].write([1] * count, removed, skipped=skipped, now=self.now)

    def ask(self, shard: Node, version: int, *ranges: int, condition=None, seconds=0.0):
        message_fields = {"collection": self.number, "version": version, "ranges": ranges or (0,)}
        message = to_bytes({**message_fields, "condition": condition, "seconds": seconds}, {})
        reply, arrays = of_bytes(shard.answer(message))
        return arrays["rows"].tolist() if "rows" in arrays else reply


@pytest.fixture
def slots() -> Slots:
    return Slots()


def test_it_answers_from_the_version_that_it_is_asked_about(slots):
    shard = slots.slot("a")
    slots.write(3)
    shard.step()
    slots.write(2, 1)
    assert slots.ask(shard, 2) == {"behind": 1}
    shard.step()
    assert slots.ask(shard, 1) == [1, 2, 3]
    assert slots.ask(shard, 2) == [2, 3, 4, 5]
    assert slots.ask(shard, 0) == {"gone": True}
    assert slots.ask(shard, 2, 0, SHARD_ROWS) == {"missing": [SHARD_ROWS]}
    assert slots.ask(shard, 2, condition=ODD) == [3, 5]
    assert slots.ask(shard, 1, condition=ODD) == [1, 3]
    assert "InvalidCondition" in slots.ask(shard, 2, condition=json.dumps({"field": 1}))["failed"]


def test_the_same_filter_of_the_same_views_is_the_same_mask(slots):
    shard = slots.slot("a")
    slots.write(3, skipped=SHARD_ROWS)
    slots.write(3)
    shard.step()
    for version in (2, 2, 2):
        slots.ask(shard, version, 0, SHARD_ROWS, condition=ODD)
    slots.ask(shard, 2, SHARD_ROWS, 0, condition=ODD)
    (view, mask), *middle, (other, _) = slots.seen
    assert all(pair == (view, mask) for pair in middle)
    assert other is not view
    slots.store.collections[slots.number].write([], [], skipped=0, now=0.0)
    shard.step()
    slots.ask(shard, 3, 0, SHARD_ROWS, condition=ODD)
    assert slots.seen[-1] == (view, mask)  # nothing changed in that version


def test_a_filter_is_evaluated_for_new_rows_and_a_range_without_any_not_again(slots, monkeypatch):
    read = []
    rows_where = SimulatedReader.rows_where

    def counted(self, collection, condition=None, **arguments):
        if condition is not None:
            read.append(arguments["first"])
        return rows_where(self, collection, condition, **arguments)

    monkeypatch.setattr(SimulatedReader, "rows_where", counted)
    shard = slots.slot("a")
    slots.write(3)
    slots.write(3, skipped=SHARD_ROWS)
    shard.step()
    assert slots.ask(shard, 2, 0, SHARD_ROWS, condition=ODD) == [1, 3, 131077]
    slots.write(2)
    shard.step()
    assert slots.ask(shard, 3, 0, SHARD_ROWS, condition=ODD) == [1, 3, 131077, 131079]
    assert read == [0, SHARD_ROWS, SHARD_ROWS]


def test_it_waits_for_a_version_and_looks_at_once(slots):
    shard = slots.slot("a")
    slots.write(3)
    shard._clock = time.monotonic
    shard.start()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(slots.ask(shard, 2, seconds=20.0)))
    asking.start()
    time.sleep(0.3)
    assert not answers
    slots.write(1)
    assert slots.ask(shard, 2, seconds=20.0) == [1, 2, 3, 4]
    asking.join(20)
    assert answers == [[1, 2, 3, 4]]
    began = time.monotonic()
    assert slots.ask(shard, 3, seconds=0.4) == {"behind": 2}
    assert 0.3 < time.monotonic() - began < 10
    assert slots.ask(shard, 2, 7 * SHARD_ROWS, seconds=60.0) == {"missing": [7 * SHARD_ROWS]}  # and does not wait
    assert time.monotonic() - began < 30
    shard.close()


def test_a_range_that_has_only_begun_is_there_with_the_next_look(slots):
    shard = slots.slot("a")
    shard._clock = time.monotonic
    shard.start()
    slots.write(1)
    assert slots.ask(shard, 1, seconds=20.0) == [1]
    slots.write(2, skipped=2 * SHARD_ROWS)
    assert slots.ask(shard, 2, 0, SHARD_ROWS, 2 * SHARD_ROWS, seconds=20.0) == [1, 262146, 262147]
    shard.close()


def test_what_it_has_goes_over_to_others_when_it_leaves(slots):
    one, other = slots.slot("a"), slots.slot("b")
    slots.write(3)
    slots.write(3, skipped=SHARD_ROWS)
    one.step()
    assert (one.report.ranges, one.report.rows, one.report.versions) == (2, 6, {slots.number: 2})
    one.leave()
    for _ in range(3):
        slots.now += 2.0
        one.step()
    assert not one.left  # there is no other node
    assert slots.ask(one, 2, 0, SHARD_ROWS) == [1, 2, 3, 131076, 131077, 131078]
    for _ in range(3):
        slots.now += 2.0
        other.step()
        one.step()
    assert one.left
    assert one.report.leaving
    assert (one.report.ranges, other.report.ranges) == (0, 2)


def test_it_says_what_it_has_to_whoever_asks_for_that_alone(slots):
    shard = slots.slot("a")
    slots.write(3)
    slots.write(2, skipped=SHARD_ROWS)
    shard.step()
    reply, arrays = of_bytes(shard.answer(to_bytes({"call": "standing"}, {})))
    assert (reply["slot"], reply["ranges"], reply["rows"], reply["versions"]) == ("a", 2, 5, [[slots.number, 2]])
    assert not arrays
    assert NodeReport.of({**reply, "of a later slot": 1}) == shard.report
    shard.leave()
    assert of_bytes(shard.answer(to_bytes({"call": "standing"}, {})))[0]["leaving"]


def test_an_answer_says_how_long_it_took(slots):
    shard = slots.slot("a")
    slots.write(3)
    shard.step()
    slots.takes = 0.5
    message = {"collection": slots.number, "version": 1, "ranges": [0], "condition": None, "seconds": 9.0}
    assert of_bytes(shard.answer(to_bytes(message, {})))[0] == {"seconds": 0.5}


def test_it_is_closed_once_the_look_has_ended_that_was_begun(slots):
    """Otherwise it might join again after others heard that it is gone."""
    shard, begun, go, ended = slots.slot("a"), threading.Event(), threading.Event(), []

    def look():
        begun.set()
        assert go.wait(60)
        ended.append(True)

    shard._sync = look
    shard.start()
    assert begun.wait(60)
    threading.Timer(0.1, go.set).start()
    shard.close()
    assert ended == [True]


def test_an_error_of_its_own_is_told_and_others_may_have_an_answer(slots):
    shard = slots.slot("a")
    slots.write(3)
    shard.step()
    shard._respond = lambda *_: {}["nothing"]
    assert slots.ask(shard, 1) == {"failed": "KeyError: 'nothing'"}


def test_what_comes_takes_its_part_and_nothing_is_held_twice(slots):
    shards = [slots.slot(name) for name in "abc"]
    for _ in range(9):
        slots.write(1, skipped=SHARD_ROWS)
    for joined in range(1, 4):
        for _ in range(4):
            slots.now += 2.0
            for shard in shards[:joined]:
                shard.step()
        assert sum(shard.report.ranges for shard in shards) == 10
    assert all(shard.report.ranges for shard in shards)


def test_a_damaged_document_is_named_until_it_is_gone(slots, monkeypatch):
    shard = slots.slot("a")
    read_vectors = SimulatedReader.vectors

    def vectors(self, collection, batch=4096, *, damaged=None, **arguments):
        for rows in read_vectors(self, collection, batch, **arguments):
            if 2 in rows.numbers:
                damaged(DocumentDamaged(2, "two", vectors=True))
            yield rows

    monkeypatch.setattr(SimulatedReader, "vectors", vectors)
    slots.write(3)
    shard.step()
    assert "'two', row 2 is damaged" in slots.ask(shard, 1)["failed"]
    slots.write(0, 2)
    shard.step()
    assert slots.ask(shard, 1) == {"gone": True}
    assert slots.ask(shard, 2) == [1, 3]


def test_rows_that_were_written_one_by_one_are_put_together_and_stay_the_same(slots):
    shard = slots.slot("a")
    for i in range(40):
        slots.write(500, *range(1 + 500 * (i - 1), 1 + 500 * (i - 1) + 400))
        shard.step()
    living = slots.store.collections[slots.number].living(40)
    assert slots.ask(shard, 40) == living
    before = slots.seen[-1][0]
    assert sum(segment.count for segment in before.segments) < 3 * len(living)
    assert slots.ask(shard, 39) == slots.store.collections[slots.number].living(39)


def test_before_it_knows_what_is_its_own_something_is_coming(slots):
    shard = slots.slot("a")
    slots.write(3)
    assert (shard.report.coming, shard.report.ranges) == (1, 0)
    shard.step()
    assert (shard.report.coming, shard.report.ranges) == (0, 1)


def test_a_range_that_cannot_be_read_is_tried_again_later(slots, monkeypatch):
    shard = slots.slot("a")
    slots.write(3)

    def vectors(*_, **__):
        raise MemoryError("none left")

    with monkeypatch.context() as patched:
        patched.setattr(SimulatedReader, "vectors", vectors)
        shard.step()
        assert slots.ask(shard, 1) == {"missing": [0]}
        assert shard.report.trouble == "MemoryError: none left"
    shard.step()
    assert (shard.report.coming, shard.report.ranges) == (1, 0)
    slots.now += 3.0
    shard.step()
    assert slots.ask(shard, 1) == [1, 2, 3]
    assert shard.report.trouble is None


def test_a_filter_of_a_version_that_the_store_has_cleared_in_part_is_not_answered(slots):
    shard = slots.slot("a")
    slots.write(3)
    shard.step()
    slots.write(0, 1)
    shard.step()
    slots.now += 700.0
    slots.write(1)
    slots.store.collections[slots.number].clear(slots.now)
    assert slots.ask(shard, 1) == [1, 2, 3]  # which needs the store for nothing
    assert slots.ask(shard, 1, condition=ODD) == {"gone": True}
    shard.step()
    assert slots.ask(shard, 1) == {"gone": True}
    assert slots.ask(shard, 2, condition=ODD) == [3]
    assert slots.ask(shard, 3, condition=ODD) == [3]
