"""Partials: cut the keys as you like, the merged parts are the whole."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softkv_attention import attend, merge, partial
from tests.thorough import examples

M, N, D, D_V = 3, 13, 5, 2

properly = settings(deadline=None, max_examples=examples(40), derandomize=True)

temperatures = st.sampled_from([0.0, 1e-30, 1e-9, 0.05, 1.0, 1e6, math.inf])
# Small integers: many similarities tie, and every product is exact in any order.
whole_numbers = st.integers(-2, 2).map(float)
queries = hnp.arrays(np.float64, (M, D), elements=whole_numbers)
keys = hnp.arrays(np.float64, (N, D), elements=whole_numbers)
values = hnp.arrays(np.float64, (N, D_V), elements=st.floats(-9, 9))
biases = hnp.arrays(np.float64, (M, N), elements=st.floats(-2000, 2000))
masks = hnp.arrays(bool, (M, N))
cuts = st.lists(st.integers(0, N), max_size=4).map(lambda at: [0, *sorted(at), N])


def in_parts(cuts, query, key, value, *, mask, bias, null, **options):
    """One partial for each stretch of keys, empty ones too; the null key comes with the first."""
    return [
        partial(
            query,
            key[start:stop],
            value[start:stop],
            mask=mask[:, start:stop],
            bias=bias[:, start:stop],
            null=null if i == 0 else None,
            **options,
        )
        for i, (start, stop) in enumerate(pairwise(cuts))
    ]


def agree(one, other, rtol=1e-12):
    np.testing.assert_allclose(one.output, other.output, rtol=rtol, atol=10 * rtol)
    np.testing.assert_allclose(one.peak, other.peak, rtol=rtol)
    np.testing.assert_allclose(one.mass, other.mass, rtol=rtol)
    np.testing.assert_allclose(one.log_sum_exp, other.log_sum_exp, rtol=rtol, atol=rtol)


arguments = {
    "query": queries,
    "key": keys,
    "value": values,
    "bias": biases,
    "mask": masks,
    "null": st.none() | st.integers(-3, 3).map(float),
    "temperature": temperatures,
    "similarity": st.sampled_from(["dot", "gaussian"]),
}


@given(cuts=cuts, **arguments)
@properly
def test_merged_parts_are_the_whole(cuts, query, key, value, **options):
    whole = attend(query, key, value, **options)
    merged = merge(*in_parts(cuts, query, key, value, **options))
    np.testing.assert_allclose(merged.output, whole.output, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(merged.log_sum_exp, whole.log_partition, rtol=1e-6, atol=1e-12)


@given(cuts=cuts, **arguments)
@properly
def test_merged_parts_are_the_partial_of_the_whole(cuts, query, key, value, **options):
    agree(merge(*in_parts(cuts, query, key, value, **options)), partial(query, key, value, **options))


@given(**arguments)
@properly
def test_merge_is_commutative_and_associative(query, key, value, **options):
    a, b, c = in_parts([0, 2, 7, N], query, key, value, **options)
    agree(merge(a, b), merge(b, a))
    agree(merge(merge(a, b), c), merge(a, merge(b, c)))
    agree(merge(merge(c, a), b), merge(a, b, c))


@given(**arguments)
@properly
def test_attention_over_no_keys_is_the_identity_of_merge(query, key, value, mask, bias, null, **options):
    nothing = partial(query, key[:0], value[:0], **options)
    something = partial(query, key, value, mask=mask, bias=bias, null=null, **options)
    agree(merge(nothing, something), something)
    agree(merge(something, nothing), something)
    assert np.all(merge(nothing, nothing).log_sum_exp == -np.inf)
    assert np.all(merge(nothing, nothing).peak == -np.inf)


@given(cuts=cuts, **arguments)
@properly
def test_merging_in_float32_keeps_five_digits(cuts, query, key, value, bias, **options):
    narrow = [array.astype(np.float32) for array in (query, key, value)]
    bias = (bias / 200).astype(np.float32)
    whole = attend(*narrow, bias=bias, **options)
    merged = merge(*in_parts(cuts, *narrow, bias=bias, **options))
    assert merged.output.dtype == np.float32
    assert merged.peak.dtype == merged.mass.dtype == np.float64
    np.testing.assert_allclose(merged.output, whole.output, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("temperature", [0.0, 1e-30])
def test_one_tied_key_and_two_tied_keys_share_in_thirds(temperature):
    query, key = np.ones((1, D)), np.ones((3, D))
    value = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    parts = [partial(query, key[part], value[part], temperature=temperature) for part in (slice(1), slice(1, 3))]
    np.testing.assert_allclose(merge(*parts).output, [[1 / 3, 2 / 3]], rtol=1e-15)


@pytest.mark.parametrize("temperature", [0.0, 1e-30])
def test_a_bias_still_decides_between_tied_tiles_when_it_is_lost_beside_the_logit(temperature):
    query, key, value = np.ones((1, D)), np.ones((2, D)), np.eye(2)
    bias = np.log(np.array([[1.0, 3.0]]))
    parts = [
        partial(query, key[i : i + 1], value[i : i + 1], bias=bias[:, i : i + 1], temperature=temperature)
        for i in range(2)
    ]
    np.testing.assert_allclose(merge(*parts).output, [[0.25, 0.75]], rtol=1e-12)


def test_two_hundred_thousand_keys_in_float32_keep_six_digits():
    random = np.random.default_rng(13)
    n, tiles = 200_003, 7
    query, key, value = (random.normal(size=shape) for shape in ((M, D), (n, D), (n, D_V)))
    narrow = [array.astype(np.float32) for array in (query, key, value + 3)]
    assert partial(*narrow).mass.dtype == partial(*narrow).peak.dtype == np.float64
    whole = attend(*(array.astype(float) for array in narrow))
    cuts = [n * i // tiles for i in range(tiles + 1)]
    merged = merge(*(partial(narrow[0], narrow[1][a:b], narrow[2][a:b]) for a, b in pairwise(cuts)))
    np.testing.assert_allclose(merged.output, whole.output, rtol=1e-6)
    np.testing.assert_allclose(merged.log_sum_exp, whole.log_partition, rtol=1e-7)
