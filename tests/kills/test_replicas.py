"""`kill -9` of services and of their PostgreSQL under writers; reads through the other replica at once."""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kills.failover import KINDS, Failover, pair
from tests.kills.following import TOGETHER, DocumentSet, Following
from tests.postgres import PostgresServer, running
from tests.thorough import thorough


@pytest.mark.postgres
def test_nothing_acknowledged_is_lost_whatever_is_killed_under_writers(tmp_path: Path) -> None:
    with running(durable=True) as server, Failover(tmp_path, server, random.Random(8), most_seconds=0.8) as failover:
        for kind in KINDS[1:]:
            failover.once(kind)
        failover.check_rows()
        assert failover.acknowledged > 30, failover.report()


@pytest.mark.postgres
@pytest.mark.parametrize("questions", [200, thorough(1000)])
def test_a_read_through_the_other_replica_sees_every_write(
    tmp_path: Path, postgres: PostgresServer, questions: int
) -> None:
    with ExitStack() as stack:
        following = Following(
            [stack.enter_context(replica_service) for replica_service in pair(tmp_path, postgres.database())]
        )
        following.run(questions, 8)
    assert (following.missed, following.mixed) == ([], [])
    assert sum(following.asked.values()) == questions
    assert following.beside > 0.9 * questions


def matches(*numbers: int) -> list[dict[str, object]]:
    return [{"value": number, "metadata": {"number": number}} for number in numbers]


def test_an_answer_of_two_writes_or_of_half_of_one_is_seen() -> None:
    group = DocumentSet("g")
    for deletes in (False, False, True, False):
        group.begin(deletes=deletes)
        group.end()
    assert (group.begun, group.acknowledged) == (4, 4)
    for found_numbers, since, until in ((4, 4, 4), (2, 2, 4), (4, 2, 4), (1, 0, 4)):
        assert group.refused(matches(*[found_numbers] * TOGETHER), since, until=until) is None
    assert group.refused([], 0, until=0) is None
    assert group.refused([], 2, until=3) is None
    for numbers, since, until, why in (
        ([4, 4, 4, 4, 2], 2, 4, "a mixture of the writes"),
        ([4] * (TOGETHER - 1), 4, 4, "4 of 5 documents"),
        ([4] * (TOGETHER + 1), 4, 4, "6 of 5 documents"),
        ([2] * TOGETHER, 3, 4, "where 3 to 4 could be seen"),  # an older one
        ([3] * TOGETHER, 2, 4, "where 2 to 4 could be seen"),  # a deletion left nothing
        ([5] * TOGETHER, 4, 4, "where 4 to 4 could be seen"),  # not written yet
        ([], 4, 4, "nothing, where 4 to 4"),
    ):
        assert why in str(group.refused(matches(*numbers), since, until=until))
