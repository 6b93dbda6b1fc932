"""Statistics of a view: sizes, the longest key and value, the spread of values, and the sum of value residuals."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup import Limits, Memory, Rows
from softkv_attention.lookup.codes.quantisation import quantise
from softkv_attention.lookup.memory import rows as owners_module
from softkv_attention.lookup.memory import statistics as facts_module
from softkv_attention.lookup.memory import statistics as residuals

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


def test_a_spread_is_known_only_where_that_of_every_block_is():
    memory = Memory("dot", limits=SMALL_BLOCKS)
    memory.publish(add=Rows(np.arange(64), np.ones((64, 2))))
    assert memory.view.facts.value_spread is not None
    too_far = memory.publish(add=Rows(np.arange(64, 66), np.full((2, 2), 1e30))).facts
    assert len(too_far.value_moments) == 2
    assert too_far.value_spread is None


def test_values_too_wide_for_sums_have_no_spread():
    widest, wider = (Memory("dot").publish(add=Rows(np.arange(2), np.ones((2, width)))) for width in (1024, 1025))
    assert widest.facts.value_spread.count == 2
    assert wider.facts.value_spread is None


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


def test_documents_of_one_row_have_no_statistics_of_length():
    memory = Memory("dot", limits=SMALL_BLOCKS)
    plain = memory.publish(add=Rows(np.arange(100), np.ones((100, 2)), owners=np.arange(100))).facts
    assert (plain.documents, plain.several, plain.longest.tolist(), plain.most_keys) == (100, False, [], 1)
    assert not any(segment.several for segment in memory.view.segments)
    with_one = memory.publish(add=Rows([100, 101], np.ones((2, 2)), owners=[100, 100]))
    assert (with_one.n, with_one.documents, with_one.facts.several) == (102, 101, True)
    assert [segment.several for segment in with_one.segments] == [False, True]
    without = memory.publish(remove=np.array([100]))
    assert (without.n, without.documents, without.facts.several) == (100, 100, False)


N = 900
RANDOM = np.random.default_rng(3)
KEYS = RANDOM.standard_normal((N, 6)).astype(np.float32)
VALUES = RANDOM.standard_normal((N, 5)).astype(np.float32)
LEFT = quantise(VALUES)[2]


def gathered(values=VALUES):
    memory = Memory("cosine")
    for part in np.array_split(np.arange(N), 3):
        memory.publish(add=Rows(part, KEYS[part], None if values is None else values[part]))
    return memory


@pytest.mark.parametrize("passing", [np.arange(0, N, 5), np.arange(7, N), np.array([0]), np.arange(N)])
def test_a_mask_sums_the_residuals_of_its_rows(running, passing):
    view = gathered().view
    residuals = view.mask(passing).value_residuals
    assert residuals.count == len(passing)
    np.testing.assert_allclose(residuals.total, LEFT[passing].sum(axis=0), rtol=1e-9, atol=1e-12)
    assert view.value_residuals.count == N
    np.testing.assert_allclose(view.value_residuals.total, LEFT.sum(axis=0), rtol=1e-9, atol=1e-12)


def test_removed_rows_are_taken_off_and_rows_written_since_do_no_harm(running):
    memory = gathered(None)
    before = memory.view
    removed = np.arange(0, N, 9)
    view = memory.publish(remove=removed)
    lives = np.setdiff1d(np.arange(N), removed)
    left = quantise(KEYS)[2]
    np.testing.assert_allclose(view.value_residuals.total, left[lives].sum(axis=0), rtol=1e-9, atol=1e-12)
    memory.publish(add=Rows(np.arange(N, N + 50), KEYS[:50]))
    mask = before.mask(np.arange(10, N))
    actual = mask.value_residuals
    expected = left[10:].sum(axis=0) + (left[:50].sum(axis=0) if actual.count > N - 10 else 0)
    np.testing.assert_allclose(actual.total, expected, rtol=1e-9, atol=1e-12)


def test_a_removed_row_is_read_once_for_all_views(monkeypatch):
    read, reading = [], residuals.sum_row_residuals
    monkeypatch.setattr(
        residuals, "sum_row_residuals", lambda values, rows: read.append(len(rows)) or reading(values, rows)
    )
    memory = gathered(None)
    left, gone, views = quantise(KEYS)[2], np.empty(0, np.int64), []
    for removed in (np.arange(0, N, 9), np.array([1]), np.array([2, 3, 400]), np.array([N - 1])):
        gone = np.union1d(gone, removed)
        views.append((memory.publish(remove=removed), np.setdiff1d(np.arange(N), gone)))
    for view, lives in (*views[:3], views[1], *views[2:]):  # one of them from before the last one that was asked of
        read.clear()
        np.testing.assert_allclose(view.value_residuals.total, left[lives].sum(axis=0), rtol=1e-9, atol=1e-12)
    assert sum(read) == 1
    memory.publish(add=Rows(np.arange(N, N + 50), KEYS[:50]))
    read.clear()
    view = memory.publish(remove=np.array([N + 3]))
    lives = np.setdiff1d(np.arange(N), gone)
    expected = left[lives].sum(axis=0) + left[:50].sum(axis=0) - left[3]
    np.testing.assert_allclose(view.value_residuals.total, expected, rtol=1e-9, atol=1e-12)
    assert sum(read) == 1


def test_many_rows_are_summed_in_every_core(running, monkeypatch):
    monkeypatch.setattr(residuals, "ROWS_PER_TASK", 7)
    rows = RANDOM.permutation(N)[:100]
    np.testing.assert_allclose(residuals.sum_row_residuals(VALUES, rows), LEFT[rows].sum(axis=0), rtol=1e-9, atol=1e-12)
