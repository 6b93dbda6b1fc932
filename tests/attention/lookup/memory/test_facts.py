"""Facts about a whole view that an answer needs: sizes, the longest key and value, and the spread of values."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Limits, Memory, Rows
from attention.lookup.memory import rows as owners_module
from attention.lookup.memory import statistics as facts_module

SMALL_BLOCKS = Limits(block_rows=64)


def test_facts_are_of_all_blocks_together():
    random = np.random.default_rng(0)
    keys, values = random.standard_normal((300, 5)), random.standard_normal((300, 3)) + 2
    facts = Memory("scaled_dot", limits=SMALL_BLOCKS).publish(add=Rows(np.arange(300), keys, values)).facts
    assert (facts.similarity, facts.n, facts.value_dimension, facts.blocks) == ("scaled_dot", 300, 3, 5)
    assert facts.key_norm == pytest.approx(np.linalg.norm(keys, axis=1).max(), rel=1e-6)
    assert facts.value_norm == pytest.approx(np.linalg.norm(values, axis=1).max(), rel=1e-6)
    assert sum(value_moment.count for value_moment in facts.value_moments) == facts.value_spread.count == 300
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


def test_a_spread_is_known_only_where_that_of_every_block_is():
    memory = Memory("dot", limits=SMALL_BLOCKS)
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


def owned(sizes):
    return np.repeat(np.cumsum([0, *sizes[:-1]]), sizes)


@pytest.mark.parametrize("seed", range(5))
def test_the_longest_documents_are_known_by_name_and_of_the_others_how_long_they_are(monkeypatch, seed):
    for module in (owners_module, facts_module):
        monkeypatch.setattr(module, "LONGEST_DOCUMENTS", 3)
    random = np.random.default_rng(seed)
    sizes = random.choice([1, 2, 5, 40, 90], 40)
    memory = Memory("dot", limits=SMALL_BLOCKS)
    memory.publish(add=Rows(np.arange(sizes.sum()), np.ones((sizes.sum(), 2)), owners=owned(sizes)))
    documents = np.cumsum([0, *sizes[:-1]])
    gone = random.random(40) < 0.3
    facts = memory.publish(remove=documents[gone]).facts
    alive = sizes[~gone]
    assert (facts.n, facts.documents, facts.several) == (alive.sum(), len(alive), True)
    named = np.isin(documents, facts.longest)
    assert (named & gone).sum() == 0
    assert named.sum() == 3
    other_sizes = sizes[~named & ~gone]
    assert facts.most_keys >= other_sizes.max()
    assert facts.most_keys <= np.sort(alive)[-4]


def test_where_each_row_is_a_document_there_is_nothing_to_say_of_their_length():
    memory = Memory("dot", limits=SMALL_BLOCKS)
    plain = memory.publish(add=Rows(np.arange(100), np.ones((100, 2)), owners=np.arange(100))).facts
    assert (plain.documents, plain.several, plain.longest.tolist(), plain.most_keys) == (100, False, [], 1)
    assert not any(segment.several for segment in memory.view.segments)
    with_one = memory.publish(add=Rows([100, 101], np.ones((2, 2)), owners=[100, 100]))
    assert (with_one.n, with_one.documents, with_one.facts.several) == (102, 101, True)
    assert [segment.several for segment in with_one.segments] == [False, True]
    without = memory.publish(remove=np.array([100]))
    assert (without.n, without.documents, without.facts.several) == (100, 100, False)
