"""Several views as one: what may be one, and what a mask and a bias of all say of each."""

from __future__ import annotations

import numpy as np
import pytest

from attention.errors import ParameterError, ShapeError
from attention.lookup import Bias, Memory, Parted, Question, Rows, answer
from attention.lookup.memory import memory as memory_module
from attention.lookup.memory import segments as segments_module
from attention.lookup.parts.parted import in_runs

KEYS = np.random.default_rng(3).standard_normal((12, 4)).astype(np.float32)


def view_of(rows, similarity="cosine", width=4, owners=None):
    rows = np.asarray(rows)
    return Memory(similarity).publish(add=Rows(rows, KEYS[rows % 12, :width], owners=owners))


@pytest.fixture
def parted():
    return Parted.of([view_of([0, 3, 6]), Memory("cosine").view, view_of([1, 2]), view_of([10])])


def test_parts_without_rows_are_left_out(parted):
    assert [part.n for part in parted.parts] == [3, 2, 1]
    assert (parted.n, parted.documents, parted.dimension, parted.similarity) == (6, 6, 4, "cosine")
    np.testing.assert_array_equal(parted.numbers(), [0, 1, 2, 3, 6, 10])
    nothing = Parted.of([Memory("dot").view])
    assert (nothing.n, nothing.parts, nothing.dimension) == (0, (), None)


def test_what_cannot_be_one_is_refused():
    with pytest.raises(ParameterError, match="at least one view, got none"):
        Parted.of([])
    with pytest.raises(ParameterError, match="one similarity, got cosine and dot: ask each by itself"):
        Parted.of([view_of([0]), view_of([1], "dot")])
    with pytest.raises(ShapeError, match=r"one dimension, got \[3, 4\]: encode all with the same model"):
        Parted.of([view_of([0]), view_of([1], width=3)])


def test_a_mask_of_all_is_cut_into_those_of_the_parts(parted):
    mask = parted.mask(np.array([2, 3, 10]))
    masks = parted.masks(mask)
    assert [own.n for own in masks] == [1, 1, 1]
    assert all(own.view is part for own, part in zip(masks, parted.parts, strict=True))
    np.testing.assert_array_equal(masks[0].bits[0].passes(), [False, True, False])
    assert parted.masks(mask) is masks
    assert parted.masks(None) == [None] * 3
    with pytest.raises(ParameterError, match="another view"):
        parted.masks(parted.parts[0].mask(np.array([0])))


def test_a_bias_of_all_is_cut_into_those_of_the_parts(parted):
    bias = Bias.of(parted, [3, 10, 1], [2.0, -5.0, -np.inf])
    biases = parted.biases(bias)
    assert [own.view is part for own, part in zip(biases, parted.parts, strict=True)] == [True] * 3
    assert biases[0].addends[0].tolist() == [0.0, 2.0, 0.0]
    assert biases[2].addends[0].tolist() == [-5.0]
    assert [own.mask.n for own in biases] == [3, 1, 1]  # one is forbidden
    assert {own.largest for own in biases} == {5.0}
    assert parted.biases(bias) is biases
    assert parted.biases(None) == [None] * 3


def test_facts_are_those_of_all_parts():
    some, others = view_of([0, 1, 2, 5], owners=np.array([0, 0, 0, 5])), view_of([7, 8], owners=np.array([7, 7]))
    facts = Parted.of([some, others]).facts
    assert (facts.n, facts.documents, facts.several, facts.most_keys) == (6, 3, True, 1)
    np.testing.assert_array_equal(facts.longest, [0, 5, 7])
    assert facts.key_norm == max(some.facts.key_norm, others.facts.key_norm)
    assert facts.blocks == 2
    whole = np.concatenate([KEYS[[0, 1, 2, 5]], KEYS[[7, 8]]]).astype(np.float64)
    np.testing.assert_allclose(facts.value_spread.mean, whole.mean(axis=0), rtol=1e-12)


def test_thin_codes_are_asked_together_where_one_seed_made_them():
    keys = np.random.default_rng(5).standard_normal((12, 64)).astype(np.float32)

    def view(rows, **how):
        return Memory("cosine", **how).publish(add=Rows(rows, keys[rows]))

    one, other = ({"thin_seed": seed, "thin_only": True} for seed in (bytes(range(32)), bytes(32)))
    first, rest = np.arange(6), np.arange(6, 12)
    alike, apart, some = (Parted.of([view(first, **one), view(rest, **how)]) for how in (one, other, {}))
    assert (alike.thin_only, alike.thin is None) == (True, False)
    assert (apart.thin_only, apart.thin) == (False, None)
    assert (some.thin_only, some.thin) == (False, None)
    question = Question(keys[3], 0.1)
    for found in (alike, apart, some):
        assert answer(found, question).numbers[0] == 3


def test_rows_with_and_without_codes_are_parts_of_one_view(monkeypatch):
    for module in (segments_module, memory_module):
        monkeypatch.setattr(module, "BLOCK_ROWS", 4)
    keys = np.random.default_rng(6).standard_normal((12, 4)).astype(np.float32)
    memory = Memory("cosine", codes_later=True)
    bare = memory.publish(add=Rows(np.arange(8), keys[:8]))
    assert in_runs(bare) is bare
    blocks = [segment.block for segment in bare.segments]
    monkeypatch.setattr(blocks[1].__class__, "bare", property(lambda block: block is blocks[0]))  # as if that was all
    memory.code()
    view = memory.publish(add=Rows(np.arange(8, 12), keys[8:]))
    runs = in_runs(view)
    assert isinstance(runs, Parted)
    assert [[segment.block.codes is None for segment in part.segments] for part in runs.parts] == [
        [False],
        [True],
        [False],
    ]
    assert in_runs(view) is runs
    mask = view.mask(np.array([1, 5, 6]))
    assert [own.n for own in runs.masks(mask)] == [1, 2, 0]
    # Parts of parts: a view that is one of several has runs too.
    assert len(in_runs(Parted.of([view_of([100]), view])).parts) == 4
