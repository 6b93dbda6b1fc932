"""What an answer needs to know of a whole view: sizes, the longest key and value, and how far values spread."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Memory, Rows
from attention.lookup.memory import blocks as blocks_module
from attention.lookup.memory import memory as memory_module


@pytest.fixture
def small_blocks(monkeypatch):
    for module in (blocks_module, memory_module):
        monkeypatch.setattr(module, "BLOCK_ROWS", 64)


def test_facts_are_of_all_blocks_together(small_blocks):
    random = np.random.default_rng(0)
    keys, values = random.standard_normal((300, 5)), random.standard_normal((300, 3)) + 2
    facts = Memory("scaled_dot").publish(add=Rows(np.arange(300), keys, values)).facts
    assert (facts.similarity, facts.n, facts.value_dimension, facts.blocks) == ("scaled_dot", 300, 3, 5)
    assert facts.key_norm == pytest.approx(np.linalg.norm(keys, axis=1).max(), rel=1e-6)
    assert facts.value_norm == pytest.approx(np.linalg.norm(values, axis=1).max(), rel=1e-6)
    assert sum(each.count for each in facts.value_moments) == facts.value_spread.count == 300
    np.testing.assert_allclose(facts.value_spread.mean, values.mean(axis=0), rtol=1e-6)


def test_the_longest_row_may_be_one_that_was_removed():
    memory = Memory("dot")
    memory.publish(
        add=Rows(np.arange(3), np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]]), np.array([[1.0], [9.0], [2.0]]))
    )
    facts = memory.publish(remove=np.array([0, 1])).facts
    assert (facts.n, facts.key_norm, facts.value_norm) == (1, 5.0, 9.0)


def test_without_values_of_their_own_the_keys_are_the_values():
    facts = Memory("dot").publish(add=Rows(np.arange(2), np.array([[3.0, 4.0], [1.0, 0.0]]))).facts
    assert (facts.value_dimension, facts.key_norm, facts.value_norm) == (2, 5.0, 5.0)


def test_of_nothing_there_is_nothing_to_say():
    facts = Memory("cosine").view.facts
    assert (facts.n, facts.value_dimension, facts.key_norm, facts.value_norm, facts.blocks) == (0, None, 0.0, 0.0, 0)
    assert facts.value_spread is None


def test_values_that_are_not_coded_have_no_spread():
    facts = Memory("gaussian").publish(add=Rows(np.arange(4), np.eye(4))).facts
    assert (facts.value_moments, facts.value_spread, facts.value_norm) == ((), None, 1.0)


def test_a_spread_is_known_only_where_that_of_every_block_is(small_blocks):
    memory = Memory("dot")
    memory.publish(add=Rows(np.arange(64), np.ones((64, 2))))
    assert memory.view.facts.value_spread is not None
    too_far = memory.publish(add=Rows(np.arange(64, 66), np.full((2, 2), 1e30))).facts
    assert len(too_far.value_moments) == 2
    assert too_far.value_spread is None


def test_a_view_counts_every_row_it_shows_and_those_removed():
    random = np.random.default_rng(3)
    values = random.standard_normal((300, 5)).astype(np.float32)
    memory = Memory("cosine")
    views = [memory.publish(add=Rows(part, values[part] + 3)) for part in np.array_split(np.arange(300), 4)]
    before = views[-1].facts.value_spread
    after = memory.publish(remove=np.arange(0, 300, 2)).facts.value_spread
    assert [before.count, after.count] == [300, 300]
    assert views[0].facts.value_spread.count >= 75
    wide = Memory("dot")
    assert wide.publish(add=Rows(np.arange(2), np.ones((2, 1025)))).facts.value_spread is None
