"""Several views as one: what may be one, and what a mask and a bias of all say of each."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.lookup import Bias, Memory, Rows, View
from softkv_attention.lookup.shards import open_shard

KEYS = np.random.default_rng(3).standard_normal((12, 4)).astype(np.float32)


def view_of(rows, similarity="cosine", width=4, owners=None):
    rows = np.asarray(rows)
    return Memory(similarity).publish(add=Rows(rows, KEYS[rows % 12, :width], owners=owners))


@pytest.fixture
def merged():
    return View.merged([view_of([0, 3, 6]), Memory("cosine").view, view_of([1, 2]), view_of([10])])


def test_parts_without_rows_are_left_out(merged):
    assert [part.n for part in merged.parts] == [3, 2, 1]
    assert (merged.n, merged.documents, merged.dimension, merged.similarity) == (6, 6, 4, "cosine")
    np.testing.assert_array_equal(merged.numbers(), [0, 1, 2, 3, 6, 10])
    nothing = View.merged([Memory("dot").view])
    assert (nothing.n, nothing.parts, nothing.dimension) == (0, (), None)


def test_views_that_do_not_fit_are_not_merged():
    with pytest.raises(ParameterError, match="at least one view, got none"):
        View.merged([])
    with pytest.raises(ParameterError, match="one similarity, got cosine and dot: ask each by itself"):
        View.merged([view_of([0]), view_of([1], "dot")])
    with pytest.raises(ShapeError, match=r"one dimension, got \[3, 4\]: encode all with the same model"):
        View.merged([view_of([0]), view_of([1], width=3)])


def test_a_mask_of_a_merged_view_is_cut_into_masks_of_its_parts(merged):
    mask = merged.mask(np.array([2, 3, 10]))
    masks = mask.runs
    assert [part_mask.n for part_mask in masks] == [1, 1, 1]
    assert all(part_mask.view is part for part_mask, part in zip(masks, merged.parts, strict=True))
    np.testing.assert_array_equal(masks[0].bits[0].passes(), [False, True, False])
    assert mask.runs is masks
    with pytest.raises(ParameterError, match="another view"):
        open_shard(merged, merged.parts[0].mask(np.array([0])))


def test_a_bias_of_a_merged_view_is_cut_into_biases_of_its_parts(merged):
    bias = Bias.of(merged, [3, 10, 1], [2.0, -5.0, -np.inf])
    biases = bias.runs
    assert [biase.view is part for biase, part in zip(biases, merged.parts, strict=True)] == [True] * 3
    assert biases[0].addends[0].tolist() == [0.0, 2.0, 0.0]
    assert biases[2].addends[0].tolist() == [-5.0]
    assert [biase.mask.n for biase in biases] == [3, 1, 1]  # one is forbidden
    assert {biase.largest for biase in biases} == {5.0}
    assert bias.runs is biases


def test_statistics_of_a_merged_view_cover_all_parts():
    first, second = view_of([0, 1, 2, 5], owners=np.array([0, 0, 0, 5])), view_of([7, 8], owners=np.array([7, 7]))
    facts = View.merged([first, second]).facts
    assert (facts.n, facts.documents, facts.several, facts.most_keys) == (6, 3, True, 1)
    np.testing.assert_array_equal(facts.longest, [0, 5, 7])
    assert facts.key_norm == max(first.facts.key_norm, second.facts.key_norm)
    assert facts.blocks == 2
    whole = np.concatenate([KEYS[[0, 1, 2, 5]], KEYS[[7, 8]]]).astype(np.float64)
    np.testing.assert_allclose(facts.value_spread.mean, whole.mean(axis=0), rtol=1e-12)
