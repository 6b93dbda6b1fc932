"""The log as steps: which versions get a view of their own, and what each of them adds to a range."""

from __future__ import annotations

import numpy as np
import pytest

from service.cluster.node.replica import MIN_VERSIONS, UNREACHABLE_SECONDS, LogStep, plan_steps, read_written_rows
from service.cluster.placement import SHARD_ROWS
from service.storage import CollectionMissing, VersionChange
from tests.service.cluster.linked import Link
from tests.service.cluster.simulated import SimulatedStore


def logged(version: int, seconds: float, *removed: int) -> VersionChange:
    return VersionChange(version, 10 * version, 10, np.array(removed, np.int64), seconds)


def plain(step: LogStep) -> tuple[int, int, int, list[int], float, bool]:
    return (step.version, step.first, step.stop, step.removed.tolist(), step.since, step.one)


def test_versions_that_nobody_asks_for_are_one_step():
    old = UNREACHABLE_SECONDS + 1
    log = [logged(4, old + 5, 9), logged(5, old, 3, 2), logged(6, old), logged(7, 1.0, 60, 8), logged(8, 0.0)]
    assert [plain(step) for step in plan_steps(log, 100.0)] == [
        (6, 40, 70, [2, 3, 9], 100 - old, False),
        (7, 70, 80, [8, 60], 99.0, True),
        (8, 80, 90, [], 100.0, True),
    ]
    assert [step.version for step in plan_steps(log[-1:], 0)] == [8]


def test_the_newest_have_a_step_each_unless_there_are_very_many():
    many = [logged(i, 3.0) for i in range(1, 201)]
    assert [step.version for step in plan_steps(many, 0)] == list(range(201 - MIN_VERSIONS, 201))
    assert not plan_steps(many, 0)[0].one
    at_once = [logged(i, 1.0) for i in range(1, 201)]
    assert [step.version for step in plan_steps(at_once, 0)] == list(range(1, 201))


@pytest.fixture
def store() -> SimulatedStore:
    return SimulatedStore(lambda: 0.0)


def added(store: SimulatedStore, number: int, first_row: int, log: list[VersionChange]) -> list[list[int]]:
    link = Link(store, lambda: None, lambda *_: None, lambda *_: None)
    rows = read_written_rows(link, number, first_row, plan_steps(log, 0.0), lambda _: None)
    return [[] if row is None else row.numbers.tolist() for row in rows]


def test_a_step_adds_what_lives_at_its_version_and_what_soon_died_is_read_as_well(store):
    number = store.create()
    collection = store.collections[number]
    collection.write([1, 1, 3], [], skipped=0, now=0.0)  # rows 1, 2, 3 to 5
    collection.write([1], [2], skipped=0, now=0.0)  # row 6
    collection.write([1], [3, 6], skipped=SHARD_ROWS - 8, now=0.0)  # row SHARD_ROWS - 1
    collection.write([3, 1], [], skipped=0, now=0.0)  # the first rows of another range
    link = Link(store, lambda: None, lambda *_: None, lambda *_: None)
    log = link.change_log(number, 0)
    assert log is not None
    assert added(store, number, 0, log) == [[1, 2, 3, 4, 5], [6], [SHARD_ROWS - 1], []]
    assert added(store, number, SHARD_ROWS, log) == [[], [], [], [SHARD_ROWS + i for i in range(4)]]
    assert [step.removals_in(0).tolist() for step in plan_steps(log, 0.0)] == [[], [2], [3, 6], []]
    assert [len(step.removals_in(SHARD_ROWS)) for step in plan_steps(log, 0.0)] == [0, 0, 0, 0]


def test_a_document_belongs_to_the_range_of_its_first_row_with_all_of_its_rows(store):
    number = store.create()
    store.collections[number].write([3], [], skipped=SHARD_ROWS - 2, now=0.0)
    log = Link(store, lambda: None, lambda *_: None, lambda *_: None).change_log(number, 0)
    assert added(store, number, 0, log) == [[SHARD_ROWS - 1, SHARD_ROWS, SHARD_ROWS + 1]]
    assert added(store, number, SHARD_ROWS, log) == [[]]


def test_what_is_read_of_a_collection_that_is_being_deleted_is_not_taken_for_all(store):
    number = store.create()
    store.collections[number].write([1, 1], [], skipped=0, now=0.0)
    log = Link(store, lambda: None, lambda *_: None, lambda *_: None).change_log(number, 0)
    store.delete(number)
    with pytest.raises(CollectionMissing):
        added(store, number, 0, log)
