"""Shards cover every row once and never move; rendezvous hashing spreads them, and moves the fewest."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from softkv_cluster.placement import MAX_SHARD_ROWS, SHARD_SIZES
from softkv_cluster.service import choose_servers, place_shard, shard_rows, shard_start, shard_starts, shard_stop
from softkv_service.storage.records import ClusterPlan

FIRST_ROWS = list(shard_starts(100_000_000))
Placement = dict[int, tuple[str, ...]]
rows = st.integers(1, 5_000_000)


def names_of(servers: int) -> tuple[str, ...]:
    return choose_servers(None, (), servers)


def place(servers: int, copies: int, first_rows: list[int] = FIRST_ROWS) -> Placement:
    return {first_row: place_shard(7, first_row, names_of(servers), copies) for first_row in first_rows}


def count_loads(before: Placement, after: Placement) -> int:
    """Return how many replicas some server has to load."""
    return sum(len(set(after[first_row]) - set(before[first_row])) for first_row in after)


@given(rows)
@example(4096)
@example(65_535)
@example(65_536)
@example(262_144)
@example(1_048_576)
@example(1_048_575)
def test_every_row_is_in_exactly_one_shard(row: int) -> None:
    first_rows = list(shard_starts(row + 1))
    ends = [shard_stop(first_row) for first_row in first_rows]
    assert first_rows == [0, *ends[:-1]]  # without gaps or overlaps
    assert first_rows[-1] == shard_start(row) <= row < ends[-1]
    assert {shard_start(number) for number in (first_rows[-1], row, ends[-1] - 1)} == {first_rows[-1]}


@given(rows, st.integers(0, 100_000))
@example(5000, 0)
def test_boundaries_do_not_move_while_a_collection_grows(row: int, more: int) -> None:
    before, after = list(shard_starts(row)), list(shard_starts(row + more))
    assert after[: len(before)] == before
    written = [first_row for first_row in after if shard_stop(first_row) > row] if more else []
    assert list(shard_starts(row + more, row)) == written


def test_a_shard_has_more_rows_the_later_it_begins() -> None:
    assert [list(shard_starts(stop)) for stop in (1, 2, 4096, 4097)] == [[], [0], [0], [0, 4096]]
    assert [shard_rows(row) for row in (0, 65_535, 65_536, 262_144, 1_048_576)] == [4096, 4096, 16_384, 65_536, 131_072]
    for stop, size in (*SHARD_SIZES, (2 * MAX_SHARD_ROWS, MAX_SHARD_ROWS)):
        assert stop % size == 0


def test_a_small_collection_occupies_every_server() -> None:
    """Each of three servers is the first holder of some shard of 60,000 rows, so all of them scan.

    By chance, one collection in 150 leaves a server out; none of the first 50 does.
    """
    for collection in range(1, 51):
        firsts = Counter(place_shard(collection, row, names_of(3), 2)[0] for row in shard_starts(60_001))
        assert len(firsts) == 3, (collection, firsts)


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 10**6))
def test_each_shard_has_its_number_of_copies_on_different_servers(servers: int, copies: int, row: int) -> None:
    names = names_of(servers)
    holders = place_shard(3, row, names, copies)
    assert len(set(holders)) == len(holders) == min(copies, servers)
    assert place_shard(3, row, names[::-1], copies) == holders


@pytest.mark.parametrize("servers", [1, 2, 4, 8])
@pytest.mark.parametrize("copies", [1, 2, 3])
def test_one_server_more_takes_its_part_and_moves_nothing_else(servers: int, copies: int) -> None:
    before, after = place(servers, copies), place(servers + 1, copies)
    newcomer = names_of(servers + 1)[-1]
    for first_row, holders in after.items():
        assert set(holders) - set(before[first_row]) <= {newcomer}
        if newcomer not in holders:
            assert holders == before[first_row]
    loads, part = count_loads(before, after), len(FIRST_ROWS) * min(copies, servers + 1) / (servers + 1)
    assert abs(loads - part) < 5 * part**0.5
    had = sum(newcomer in holders for holders in after.values())
    assert count_loads(after, before) == (had if servers >= copies else 0)  # and back: only what the server had


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_servers_hold_as_many_shards_as_chance_gives(copies: int) -> None:
    counts = Counter(name for holders in place(8, copies).values() for name in holders)
    expected = len(FIRST_ROWS) * copies / 8
    assert all(abs(counts[name] - expected) < 5 * expected**0.5 for name in names_of(8))


def test_servers_of_a_plan_stay_and_those_that_do_not_answer_go_first():
    assert names_of(3) == ("softkv-0", "softkv-1", "softkv-2")
    plan = ClusterPlan(1, names_of(3), 2)
    assert choose_servers(plan, ["softkv-1", "softkv-2"], 2) == ("softkv-1", "softkv-2")
    assert choose_servers(plan, plan.names, 2) == ("softkv-0", "softkv-1")
    assert choose_servers(plan, ["softkv-1"], 3) == plan.names
    shrunk = ClusterPlan(2, ("softkv-1", "softkv-2"), 2)
    assert choose_servers(shrunk, shrunk.names, 4) == ("softkv-1", "softkv-2", "softkv-0", "softkv-3")
