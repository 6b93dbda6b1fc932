"""The versions of a range that are kept, and their lifetime."""

from __future__ import annotations

import numpy as np

from attention.lookup import Memory, Rows, View
from service.cluster.node.replica import MAX_VERSION_SECONDS, MIN_VERSIONS, VERSION_SECONDS, Versions


def views(count: int) -> list[View]:
    memory = Memory("dot")
    return [memory.publish(add=Rows(np.array([i]), np.ones((1, 4), np.float32))) for i in range(count)]


def test_each_version_has_its_view_and_no_other():
    made = views(4)
    versions = Versions(7, made[0])
    for position, view in enumerate(made[1:]):
        versions.follow(view, position)
    assert (versions.oldest, versions.newest, versions.view) == (7, 10, made[3])
    assert [versions.at(7 + i) for i in range(4)] == made
    assert versions.at(6) is versions.at(11) is None
    versions.replace(made[0])
    assert versions.at(10) is versions.view is made[0]
    versions.begin(20, made[1])
    assert (versions.oldest, versions.newest) == (20, 20)
    assert versions.at(10) is versions.at(19) is None
    assert versions.at(20) is made[1]


def test_the_last_ones_are_kept_and_more_of_the_last_seconds_and_none_for_long():
    (view,) = views(1)
    versions = Versions(0, view)
    for position in range(1, 3 * MIN_VERSIONS):
        versions.follow(view, 0.01 * position)
    newest = versions.newest
    versions.forget(0.01 * newest)
    assert versions.oldest == 0  # all of them were the newest a moment ago
    versions.forget(0.01 * newest + VERSION_SECONDS)
    assert MIN_VERSIONS <= newest - versions.oldest + 1 <= MIN_VERSIONS + 1
    versions.forget(MAX_VERSION_SECONDS)
    assert newest - versions.oldest + 1 == MIN_VERSIONS
    versions.forget(0.01 * newest + MAX_VERSION_SECONDS + 1)
    assert versions.oldest == newest
