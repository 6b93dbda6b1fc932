"""Ranges over slots: evenly, on different machines, and with no more moved than what has to move."""

from __future__ import annotations

from itertools import product

import hypothesis.strategies as st
import pytest
from hypothesis import given

from service.cluster.placement import SHARD_ROWS, place_shard, shard_start, shard_starts
from service.storage import NodeRecord

FIRST_ROWS = [k * SHARD_ROWS for k in range(2000)]
names = st.text("abcdefgh0123456789", min_size=1, max_size=6)


@st.composite
def clusters(draw: st.DrawFn, limit: int = 9) -> list[NodeRecord]:
    result = draw(st.lists(names, min_size=1, max_size=limit, unique=True))
    return [NodeRecord(name, draw(st.sampled_from("xyz"))) for name in result]


def placed(slots: list[NodeRecord], copies: int, first_rows: list[int]) -> dict[int, tuple[str, ...]]:
    return {first_row: place_shard(7, first_row, slots, copies) for first_row in first_rows}


def moved(before: dict[int, tuple[str, ...]], after: dict[int, tuple[str, ...]]) -> int:
    """Return how many ranges some slot has to read."""
    return sum(len(set(after[first_row]) - set(before[first_row])) for first_row in after)


def test_a_range_is_named_by_its_first_row():
    assert list(shard_starts(1)) == []
    assert list(shard_starts(2)) == [0]
    assert list(shard_starts(SHARD_ROWS)) == [0]
    assert list(shard_starts(SHARD_ROWS + 1)) == [0, SHARD_ROWS]
    assert [shard_start(row) for row in (1, SHARD_ROWS - 1, SHARD_ROWS)] == [0, 0, SHARD_ROWS]


@given(clusters(), st.integers(1, 4), st.integers(0, 10**6))
def test_as_many_copies_as_asked_on_as_many_nodes_as_there_are(slots, copies, k):
    result = place_shard(k, k * SHARD_ROWS, slots, copies)
    assert len(set(result)) == len(result) == min(copies, len(slots))
    nodes = {slot.name: slot.machine for slot in slots}
    assert len({nodes[name] for name in result}) == min(copies, len(set(nodes.values())))
    assert place_shard(k, k * SHARD_ROWS, slots[::-1], copies) == result


@given(clusters(), st.integers(1, 3), names, st.sampled_from("xyz"))
def test_who_comes_takes_ranges_and_moves_no_others(slots, copies, name, node):
    slots = [slot for slot in slots if slot.name != name]
    before = placed(slots, copies, FIRST_ROWS[:60])
    after = placed([*slots, NodeRecord(name, node)], copies, FIRST_ROWS[:60])
    for first_row, now in after.items():
        if name not in now:
            assert now == before[first_row]
    if len({slot.machine for slot in slots}) >= copies and node in {slot.machine for slot in slots}:
        for first_row, now in after.items():  # no node is new: only the new slot gets ranges
            assert set(now) - set(before[first_row]) <= {name}


@given(clusters(), st.integers(1, 3), st.data())
def test_who_goes_moves_what_it_had_alone(slots, copies, data):
    gone = data.draw(st.sampled_from(slots))
    before = placed(slots, copies, FIRST_ROWS[:60])
    after = placed([slot for slot in slots if slot != gone], copies, FIRST_ROWS[:60])
    for first_row, now in after.items():
        if gone.name not in before[first_row]:
            assert now == before[first_row]


@pytest.mark.parametrize(("nodes", "copies"), list(product((4, 8), (1, 2, 3))))
def test_slots_have_as_many_ranges_each_as_chance_gives(nodes, copies):
    slots = [NodeRecord(f"slot-{i}", f"node-{i}") for i in range(nodes)]
    actual = [name for names in placed(slots, copies, FIRST_ROWS).values() for name in names]
    expected = len(FIRST_ROWS) * copies / nodes
    for slot in slots:
        assert abs(actual.count(slot.name) - expected) < 5 * expected**0.5


@pytest.mark.parametrize("copies", [1, 2])
def test_a_machine_more_and_one_less_move_about_the_least_possible(copies):
    slots = [NodeRecord(f"slot-{i}", f"node-{i}") for i in range(8)]
    before = placed(slots, copies, FIRST_ROWS)
    more = moved(before, placed([*slots, NodeRecord("slot-8", "node-8")], copies, FIRST_ROWS))
    least = len(FIRST_ROWS) * copies / 9  # what the new one is to have
    assert least * 0.8 < more < least * 1.2
    less = moved(before, placed(slots[1:], copies, FIRST_ROWS))
    had = sum("slot-0" in names for names in before.values())  # what has to go somewhere
    assert less == had
