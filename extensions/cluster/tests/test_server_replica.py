"""The change log as steps, the rows that each adds to a shard, and the versions of a replica that are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from softkv_attention.lookup import Memory, Rows, View
from softkv_cluster.server.replica import VERSION_SECONDS, LogStep, Versions, plan_steps, read_written_rows
from softkv_service.storage.errors import CollectionMissing
from softkv_service.storage.records import VersionChange
from tests.service.storage.making import collection, document


def change(version: int, seconds: float, *removed: int) -> VersionChange:
    return VersionChange(version, 10 * version, 10, np.array(removed, np.int64), seconds)


def plain(step: LogStep) -> tuple[int, int, int, list[int], float, bool]:
    return (step.version, step.first, step.stop, step.removed.tolist(), step.since, step.one)


def views(count: int) -> list[View]:
    memory = Memory("dot")
    return [memory.publish(add=Rows(np.array([i]), np.ones((1, 4), np.float32))) for i in range(count)]


def shown(versions: Versions, version: int) -> View:
    kept = versions.at(version)
    assert kept is not None
    return kept.view


def test_versions_that_no_query_can_name_are_one_step() -> None:
    old = VERSION_SECONDS + 1
    log = [change(4, old + 5, 9), change(5, old, 3, 2), change(6, old), change(7, 1.0, 60, 8), change(8, 0.0)]
    assert [plain(step) for step in plan_steps(log, 100.0)] == [
        (6, 40, 70, [2, 3, 9], 100 - old, False),
        (7, 70, 80, [8, 60], 99.0, True),
        (8, 80, 90, [], 100.0, True),
    ]
    recent = [change(i, VERSION_SECONDS - 1) for i in range(1, 201)]
    assert [step.version for step in plan_steps(recent, 0)] == list(range(1, 201))


@pytest.mark.postgres
@pytest.mark.usefixtures("shards_of_16_rows")
def test_a_step_adds_the_rows_of_its_version_that_begin_in_the_shard(run_servers: Any) -> None:
    store = run_servers().store
    number = collection(store)

    def write(*counts: int, deleted: str | None = None, skip: int = 0) -> None:
        with store._connection() as connection:
            connection.execute("UPDATE softkv.collections SET next_row = next_row + %s", (skip,))
        with store.writing() as writer:
            _, extent = store.extent(number)
            names = [f"{extent.next_row}-{i}" for i in range(len(counts))]
            keys = [np.ones((count, 3), np.float32) for count in counts]
            writer.upsert(number, [document(name, keys=key) for name, key in zip(names, keys, strict=True)])
        if deleted is not None:
            with store.writing() as writer:
                writer.delete_ids(number, [deleted])

    write(1, 1, 3)  # rows 1, 2, and 3 to 5
    write(1, deleted="1-2")  # row 6; then without 3 to 5
    write(3, skip=8)  # rows 15 to 17, which belong to the first shard
    write(1)  # row 18
    steps = plan_steps(store.change_log(number, 0), 0.0)

    def added(first_row: int) -> list[list[int]]:
        rows = read_written_rows(store, number, first_row, steps, lambda _: None)
        return [[] if written.rows is None else written.rows.numbers.tolist() for written in rows]

    assert added(0) == [[1, 2, 3, 4, 5], [6], [], [15, 16, 17], []]
    assert added(16) == [[], [], [], [], [18]]
    assert [step.removals_in(0).tolist() for step in steps] == [[], [], [3], [], []]
    with store.writing() as writer:
        writer.delete_collection("c")
    with pytest.raises(CollectionMissing):
        added(0)


def test_each_version_has_its_view_and_no_other() -> None:
    made = views(4)
    versions = Versions(7, made[0])
    for position, view in enumerate(made[1:]):
        versions.follow(view, position)
    assert (versions.oldest, versions.newest, versions.view) == (7, 10, made[3])
    assert [shown(versions, 7 + i) for i in range(4)] == made
    assert versions.at(6) is versions.at(11) is None
    versions.replace(made[0])
    assert shown(versions, 10) is versions.view is made[0]
    versions.begin(20, made[1])
    assert (versions.oldest, versions.newest) == (20, 20)
    assert versions.at(10) is versions.at(19) is None
    assert shown(versions, 20) is made[1]


def test_a_version_is_kept_for_as_long_as_a_request_for_it_may_take() -> None:
    (view,) = views(1)
    versions = Versions(0, view)
    for position in range(1, 200):
        versions.follow(view, 0.01 * position)
    versions.forget(VERSION_SECONDS)
    assert versions.oldest == 0
    versions.forget(VERSION_SECONDS + 1.005)
    assert versions.oldest == 100
    versions.forget(1000.0)
    assert versions.oldest == versions.newest == 199  # the newest one always
