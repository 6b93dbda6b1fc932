"""Compaction: what is written anew, what is left alone, and that rows removed meanwhile stay removed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from softkv_attention.lookup import Limits, Memory, Question, Rows, answers
from softkv_attention.lookup.memory.blocks import BlockFormat
from softkv_attention.lookup.memory.compaction import apply_replacements, compact, replace_values

LIMITS = Limits(block_rows=64)
LAST_TOO = replace(LIMITS, removed_in_last=8)
DOT, DOT_LAST_TOO = (BlockFormat("dot", limits=limits) for limits in (LIMITS, LAST_TOO))


def keys_of(numbers):
    return np.stack([numbers, numbers % 7, -numbers], axis=1).astype(np.float32)


def of_blocks(*sizes, own_values=(), limits=LIMITS):
    """Return a memory of blocks with these numbers of rows; blocks in `own_values` have separate values."""
    memory, first = Memory("dot", limits=limits), sum(sizes)
    for index, size in enumerate(sizes):
        first -= size  # smaller numbers than before, so that every write begins a block
        numbers = np.arange(first, first + size)
        memory.publish(add=Rows(numbers, keys_of(numbers), keys_of(numbers) + 1 if index in own_values else None))
    assert [segment.count for segment in memory.view.segments] == list(sizes)
    return memory


def replaced(view):
    """Return the positions of the segments that are rewritten, group by group."""
    index_of = {id(segment): position for position, segment in enumerate(view.segments)}
    return [[index_of[id(old)] for old in block.old] for block in compact(view, BlockFormat("dot", limits=view.limits))]


def test_full_blocks_and_the_last_one_are_left_alone():
    assert replaced(of_blocks(64, 40, 3).view) == []
    assert replaced(of_blocks(64).view) == []
    assert replaced(Memory("dot", limits=LIMITS).view) == []


def test_small_neighbours_become_one_as_far_as_a_block_has_room():
    assert replaced(of_blocks(20, 20, 20, 5).view) == [[0, 1, 2]]
    assert replaced(of_blocks(30, 30, 30, 5).view) == [[0, 1]]
    assert replaced(of_blocks(20, 64, 20, 5).view) == []  # what lies between them is worth nothing anew
    assert replaced(of_blocks(20, 64, 20, 20, 5).view) == [[2, 3]]


def test_a_block_of_which_more_than_a_quarter_is_removed_is_written_anew():
    memory = of_blocks(64, 64, 5)
    first, second = (segment.numbers for segment in memory.view.segments[:2])
    assert replaced(memory.publish(remove=first[:16])) == []
    assert replaced(memory.publish(remove=first[16:17])) == [[0]]
    assert replaced(memory.publish(remove=second[:40])) == [[0], [1]]
    assert replaced(memory.publish(remove=first[:50])) == [[0, 1]]


def test_blocks_with_values_of_their_own_are_not_joined_with_others():
    assert replaced(of_blocks(20, 20, 20, 20, 5, own_values=(2, 3)).view) == [[0, 1], [2, 3]]


def test_rows_removed_meanwhile_stay_removed():
    memory = of_blocks(20, 20, 5)
    before = memory.publish(remove=np.array([7]))
    made = compact(before, DOT)
    now = memory.publish(remove=np.array([8, 30, 44]), add=Rows(np.array([90]), keys_of(np.array([90]))))
    joined, last = apply_replacements(made, now.segments, DOT)
    assert joined.block is made[0].new.block
    assert set(joined.numbers[joined.live]) == set(range(5, 45)) - {7, 8, 30, 44}
    assert last is now.segments[-1]


def test_a_replacement_for_a_block_without_rows_comes_too_late():
    memory = of_blocks(20, 20, 5)
    made = compact(memory.view, DOT)
    now = memory.publish(remove=np.setdiff1d(np.arange(5, 45), [10, 30]))
    assert [segment.n for segment in apply_replacements(made, now.segments, DOT)] == [2, 5]
    assert apply_replacements(made, memory.publish(remove=np.array([30])).segments, DOT) is None


def test_a_block_that_was_written_to_meanwhile_is_not_replaced():
    memory = of_blocks(20, 20, 5)
    made = compact(memory.view, DOT)
    memory.publish(remove=np.arange(5))  # the last block goes, and so the next rows stand in the one before
    now = memory.publish(add=Rows(np.array([70]), keys_of(np.array([70]))))
    assert [segment.count for segment in now.segments] == [20, 21]
    assert apply_replacements(made, now.segments, DOT) is None


def test_the_last_block_too_where_most_of_it_is_removed_and_nothing_else_is_to_do():
    few = of_blocks(15, limits=LAST_TOO)
    assert replaced(few.publish(remove=np.arange(8))) == []
    assert replaced(few.publish(remove=np.arange(9))) == [[0]]
    assert replaced(of_blocks(40, limits=LAST_TOO).publish(remove=np.arange(20))) == []
    assert replaced(of_blocks(20, 20, 15, limits=LAST_TOO).publish(remove=np.arange(9))) == [[0, 1]]


def test_rows_that_are_written_again_and_again_take_no_more_room_than_they_need():
    memory = Memory("dot", limits=LAST_TOO)
    memory.publish(add=Rows(np.arange(5), keys_of(np.arange(5))))
    for first in range(5, 300, 5):
        numbers = np.arange(first, first + 5)
        memory.publish(add=Rows(numbers, keys_of(numbers)), remove=numbers - 5)
        memory.compact()
        (segment,) = memory.view.segments
        assert segment.count <= 5 + 8 + 5
        np.testing.assert_array_equal(segment.keys[-5:], keys_of(numbers))
        assert memory.view.n == 5


def test_rows_written_during_compaction_follow_the_new_block():
    memory = Memory("dot", limits=LAST_TOO)
    memory.publish(add=Rows(np.arange(30), keys_of(np.arange(30))))
    before = memory.publish(remove=np.arange(20))
    made = compact(before, DOT_LAST_TOO)
    memory.publish(add=Rows(np.arange(30, 33), keys_of(np.arange(30, 33))), remove=np.array([25]))
    after = memory.publish(remove=np.array([31]))
    (segment,) = apply_replacements(made, after.segments, DOT_LAST_TOO)
    alive = np.ones(segment.count, bool) if segment.live is None else segment.live
    expected = np.array([*range(20, 25), *range(26, 31), 32])
    np.testing.assert_array_equal(segment.numbers[alive], expected)
    np.testing.assert_array_equal(segment.keys[alive], keys_of(expected))


def test_other_values_are_in_copies_and_answers_are_those_of_a_memory_that_had_them():
    numbers, rng = np.arange(150), np.random.default_rng(0)
    keys, values = rng.normal(size=(150, 3)).astype(np.float32), rng.normal(size=(150, 4)).astype(np.float32)
    changed = np.array([3, 70, 71, 140])
    lacking = values.copy()
    lacking[changed] = 0
    memory, complete = Memory("dot", limits=LIMITS), Memory("dot", limits=LIMITS)
    memory.publish(add=Rows(numbers, keys, lacking))
    complete.publish(add=Rows(numbers, keys, values))
    for one in (memory, complete):
        one.publish(remove=np.array([5, 140]))
    before = memory.view
    assert memory.replace_values(np.append(changed, 999), np.append(values[changed], values[:1], axis=0))
    question = Question(np.array([0.5, -1.0, 0.25]), 1.0)
    (ours,), (expected,), (old,) = (answers(view, [question]) for view in (memory.view, complete.view, before))
    np.testing.assert_allclose(ours.output, expected.output, rtol=0, atol=1e-6)
    assert np.abs(old.output - expected.output).max() > 1e-3
    shown = np.concatenate([segment.values[live_rows(segment)] for segment in memory.view.segments])
    assert np.array_equal(shown, np.delete(values, [5, 140], axis=0))
    assert not memory.replace_values(np.array([140, 999]), values[:2])


def test_rows_written_while_values_are_copied_stay():
    memory = of_blocks(20, own_values=(0,))
    layout = BlockFormat("dot", limits=LIMITS)
    copies = replace_values(memory.view, np.array([4]), np.ones((1, 3), np.float32), layout)
    memory.publish(add=Rows(np.arange(20, 30), keys_of(np.arange(20, 30)), keys_of(np.arange(20, 30))))
    memory.publish(remove=np.array([7]))
    segments = apply_replacements(copies, memory.view.segments, layout)
    assert segments is not None
    (segment,) = segments
    assert segment.n == 29
    assert segment.values[4].tolist() == [1, 1, 1]
    assert segment.values[-1].tolist() == keys_of(np.array([29]))[0].tolist()


def live_rows(segment):
    return slice(None) if segment.live is None else segment.live
