"""The kernels by numba, in C and in NumPy: all have every kernel, and give the same to the last digits."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.kernels import (
    CandidateLists,
    CodedKeys,
    CodedValues,
    Kernels,
    in_machine_code,
    in_numpy,
    kernels_in_c,
    value_passes,
)
from attention.kernels.interface import CandidateKernels
from attention.kernels.layout import FINE_LEVELS, LEVELS, WEIGHT_LEVELS, columns_room, put_columns, put_rows, rows_room

TWINS = (in_machine_code, kernels_in_c(), in_numpy)
COMPILED = pytest.mark.parametrize("compiled", [in_machine_code, kernels_in_c()], ids=["numba", "C"])
FUNCTIONS = [
    name
    for room in (CandidateKernels, Kernels)
    for name, value in vars(room).items()
    if inspect.isfunction(value) and not name.startswith("_")
]
f32 = np.float32
MOST = [WEIGHT_LEVELS] if in_machine_code.WIDE else [LEVELS, WEIGHT_LEVELS]

seeds = st.integers(0, 999)
sizes = {
    "rows": st.integers(1, 300),
    "width": st.sampled_from([1, 3, 17, 64]),
    "queries": st.sampled_from([1, 2, 5, 17]),
}


PICKED = 300
"""Rows that are asked for of the originals; some of them again and again."""


@pytest.fixture(scope="module", autouse=True)
def small_steps():
    """Set small steps, so that 300 rows are several steps of NumPy's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(in_numpy, "STEP", 100)
        yield


@pytest.mark.parametrize("twin", TWINS)
def test_each_has_a_name_and_every_kernel_with_the_interface_s_arguments(twin):
    assert len(FUNCTIONS) == 19
    assert (type(twin.NAME), type(twin.AMX)) == (str, bool)
    for name in FUNCTIONS:
        expected = [
            parameter for parameter in inspect.signature(getattr(Kernels, name)).parameters if parameter != "self"
        ]
        function = getattr(twin, name)
        assert list(inspect.signature(getattr(function, "py_func", function)).parameters) == expected


def coded(random, rows, width, queries, fine, addends=False):
    """Return (keys, codes and steps of queries), with float scales as in a memory, and addends as in a bias."""
    stored = rows_room(rows, width)
    put_rows(stored, 0, random.integers(-127, 128, (rows, width)).astype(np.int8))
    keys = CodedKeys(stored, random.random(rows, dtype=f32) / 1000, random.random(rows) < 0.8, 7)
    if addends:
        residuals = np.where(
            random.random(rows) < 0.5, 0, random.standard_normal(rows) * random.choice([0.01, 1.0, 1e4])
        )
        keys = keys._replace(addends=residuals.astype(f32))
    top = FINE_LEVELS if fine else LEVELS
    codes = random.integers(-top, top + 1, (queries, width)).astype(np.int16)
    return keys, codes, (random.random(queries) / top).astype(f32)


def drained(thresholds, rows, step):
    """Return all that a pass lists for each query, with lists emptied at each stop: [(position, similarity), …]."""
    q, done = len(thresholds), 0
    lists = CandidateLists(thresholds, np.empty((q, 90), np.int64), np.empty((q, 90), f32), np.zeros(q, np.int64))
    listed = [[] for _ in range(q)]
    while done < rows:
        done = step(done, lists)
        for row_numbers, positions, similarity, count in zip(
            listed, lists.places, lists.similarities, lists.counts, strict=True
        ):
            row_numbers += zip(positions[:count].tolist(), similarity[:count].tolist(), strict=True)
        lists.counts[:] = 0
    return listed


def passed(twin, keys, packed, thresholds, inverse):
    """(listed beside sums, listed beside a histogram, sums, weights, histogram, best)."""
    q, rows = len(thresholds), len(keys.scales)
    sums, weights, histogram = np.zeros((q, 3)), np.zeros((q, rows + 3), f32), np.zeros((q, 40, 2))
    lows, finer, best = np.full(q, -0.1, f32), np.full(q, 200, f32), np.full((q, 5), -1, f32)
    listed = [
        drained(thresholds, rows, lambda at, lists: twin.accumulate(keys, at, packed, lists, inverse, sums, weights)),
        drained(
            thresholds, rows, lambda at, lists: twin.fill_histogram(keys, at, packed, lists, lows, finer, histogram)
        ),
    ]
    twin.sample_top(keys, packed, best)
    return *listed, sums, weights, histogram, best


@COMPILED
@settings(deadline=None)
@given(seed=seeds, fine=st.booleans(), addends=st.booleans(), **sizes)
def test_they_list_the_same_to_the_bit_and_sum_the_same_to_the_last_digits(
    compiled, seed, fine, addends, rows, width, queries
):
    random = np.random.default_rng(seed)
    keys, codes, steps = coded(random, rows, width, queries, fine, addends)
    thresholds = random.choice([-3e38, -0.01, 0.0, 0.02], queries).astype(f32)
    inverse = random.choice([0.0, 1.0, 300.0, 1e30], queries).astype(f32)
    one, other = (
        passed(twin, keys, twin.pack_queries(codes, steps, fine=fine), thresholds, inverse)
        for twin in (compiled, in_numpy)
    )
    listed, beside_bins, sums, weights, histogram, best = one
    assert listed == beside_bins == other[0] == other[1]
    np.testing.assert_array_equal(best, other[5])
    # An exponent is rounded by 2⁻²² of itself, and so an exponential by up to 87 times that.
    np.testing.assert_allclose(sums, other[2], rtol=3e-5, atol=1e-36)
    np.testing.assert_allclose(weights, other[3], rtol=3e-5)
    # A similarity at the edge of two bins may be counted in either.
    np.testing.assert_allclose(histogram[..., 0].cumsum(axis=1), other[4][..., 0].cumsum(axis=1), atol=1)
    np.testing.assert_allclose(histogram.sum(axis=1), other[4].sum(axis=1), rtol=1e-5, atol=1e-5)


@COMPILED
@settings(deadline=None)
@given(seed=seeds, **sizes)
def test_they_make_the_same_of_the_originals(compiled, seed, rows, width, queries):
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((rows, width)).astype(f32)
    queries_given, rows_chosen = random.standard_normal((queries, width)), random.integers(0, rows, PICKED)
    of = random.integers(0, queries, PICKED)
    weights, shares = random.random(PICKED), random.random((queries, PICKED))
    results = []
    for twin in (compiled, in_numpy):
        products, sums, outputs = np.empty((queries, PICKED)), np.ones((queries, width)), np.ones((queries, width))
        twin.all_products(vectors, rows_chosen, queries_given, products)
        twin.all_sums(vectors, rows_chosen, shares, sums)
        twin.add_rows(vectors, rows_chosen, of, weights, outputs)
        row_products = twin.row_products(vectors, rows_chosen, queries_given, of)
        results.append((products, sums, outputs, row_products))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


@COMPILED
@settings(deadline=None)
@given(seed=seeds, rows=sizes["rows"], width=sizes["width"], scale=st.sampled_from([1e-42, 1e-6, 1.0, 1e38]))
def test_twins_code_rows_to_the_bit_and_sum_residuals_to_the_last_digits(compiled, seed, rows, width, scale):
    vectors = (np.random.default_rng(seed).uniform(-1, 1, (rows, width)) * scale).astype(f32)
    vectors[::7] = 0
    made = []
    for twin in (compiled, in_numpy):
        codes, left = np.empty((rows, width), np.int8), np.empty((rows, width), f32)
        scales, squares, total = np.empty(rows), np.empty(rows), np.zeros(width)
        twin.code_rows(vectors, codes, left, scales, squares, total)
        made.append((codes, left, scales, squares, total))
    for one, other in zip(made[0][:3], made[1][:3], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(made[0][3], made[1][3], rtol=1e-13)
    np.testing.assert_allclose(made[0][4], made[1][4], rtol=1e-11, atol=1e-12 * scale)


@COMPILED
@settings(deadline=None)
@given(
    rows=st.integers(1, 2300),
    width=st.sampled_from([1, 3, 63, 64, 65, 130]),
    queries=st.integers(1, 5),
    most=st.sampled_from(MOST),
    above=st.booleans(),
)
def test_they_blend_alike(compiled, rows, width, queries, most, above):
    random = np.random.default_rng(rows)
    codes = random.integers(-127, 128, (rows, width)).astype(np.int8)
    room = columns_room(-(-rows // 1024), 1024, width)
    for chunk, first in enumerate(range(0, rows, 1024)):
        put_columns(room[chunk], 0, codes[first : first + 1024])
    weights = np.full((queries, rows + 70), f32(np.nan))  # what is behind the rows must not be read
    weights[:, :rows] = random.random((queries, rows), dtype=f32) ** 4
    scales = random.random(rows, dtype=f32)
    top = (weights[:, :rows] * scales).max(axis=1)
    steps = np.maximum(top * (0.3 if above and most == 127 else 1.0) / most, 1e-30).astype(f32)
    values = codes * scales[:, None]
    actual, expected = np.ones((queries, width)), np.ones((queries, width))
    value_passes.blend(room, weights, scales, steps, most, values, actual, in_machine_code.AMX)
    in_numpy.blend(room, weights, scales, steps, most, values, expected, in_numpy.AMX)
    # A level half-way between two may go either way.
    room_for_ties = 2 * steps[:, None].astype(float) * 127 + 1e-9
    assert (np.abs(actual - expected) <= room_for_ties).all()
    (sums, largest), (sums_too, largest_too) = (twin.weight_of(weights, rows) for twin in (value_passes, in_numpy))
    np.testing.assert_allclose(sums, sums_too, rtol=1e-6)
    np.testing.assert_array_equal(largest, largest_too)
    tile = CodedValues(room, scales, values, random.random(len(room)), 0.1, 2.0, 30.0)
    for counts in (np.zeros(queries, np.int64), np.full(queries, 10**11)):
        outputs, errors = np.ones((2, queries, width)), np.ones((2, queries, 5))
        for twin, output, error in zip((compiled, in_numpy), outputs, errors, strict=True):
            twin.add_values(tile, weights, counts, most == WEIGHT_LEVELS, output, error, twin.AMX)
        np.testing.assert_allclose(errors[0], errors[1], rtol=1e-5)
        steps = 2 * (errors[1, :, 2] - 1) / (rows * tile.code_length)
        room_for_ties = 2 * steps[:, None] * 127 + 1e-5 * np.abs(outputs[1]).max()
        assert (np.abs(outputs[0] - outputs[1]) <= room_for_ties).all()
        assert (outputs == 1).all() == bool(counts.any())
