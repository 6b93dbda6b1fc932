"""The kernels in C and in NumPy: both have every kernel, and give the same to the last digits."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attention.kernels import CandidateLists, CodedKeys, CodedValues, Kernels, in_numpy
from attention.kernels.interface import CandidateKernels
from attention.kernels.layout import CHUNK, FINE_LEVELS, LEVELS, columns_room, put_columns, put_rows, rows_room
from tests.attention.kernels.implementations import EVERY, EVERY_IN_C

FUNCTIONS = [
    name
    for room in (CandidateKernels, Kernels)
    for name, value in vars(room).items()
    if inspect.isfunction(value) and not name.startswith("_")
]
f32 = np.float32

seeds = st.integers(0, 999)
sizes = {
    "rows": st.integers(1, 300),
    "width": st.sampled_from([1, 3, 17, 64]),
    "queries": st.sampled_from([1, 2, 5, 17]),
}


@pytest.fixture(scope="module", autouse=True)
def small_steps():
    """Set small steps, so that 300 rows are several steps of NumPy's."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(in_numpy, "STEP", 100)
        yield


@EVERY
def test_each_has_a_name_and_every_kernel_with_the_interface_s_arguments(running):
    assert len(FUNCTIONS) == 24
    assert (type(running.NAME), type(running.AMX)) == (str, bool)
    for name in FUNCTIONS:
        expected = [
            parameter for parameter in inspect.signature(getattr(Kernels, name)).parameters if parameter != "self"
        ]
        assert list(inspect.signature(getattr(running, name)).parameters) == expected


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


def passed(running, keys, packed, thresholds, inverse):
    """(listed beside sums, listed beside a histogram, sums, weights, histogram, best)."""
    q, rows = len(thresholds), len(keys.scales)
    sums, weights, histogram = np.zeros((q, 3)), np.zeros((q, rows + 3), f32), np.zeros((q, 40, 2))
    lows, finer, best = np.full(q, -0.1, f32), np.full(q, 200, f32), np.full((q, 5), -1, f32)
    listed = [
        drained(
            thresholds, rows, lambda at, lists: running.accumulate(keys, at, packed, lists, inverse, sums, weights)
        ),
        drained(
            thresholds, rows, lambda at, lists: running.fill_histogram(keys, at, packed, lists, lows, finer, histogram)
        ),
    ]
    running.sample_top(keys, packed, best)
    return *listed, sums, weights, histogram, best


@EVERY_IN_C
@settings(deadline=None)
@given(seed=seeds, fine=st.booleans(), addends=st.booleans(), **sizes)
def test_they_list_the_same_to_the_bit_and_sum_the_same_to_the_last_digits(
    running, seed, fine, addends, rows, width, queries
):
    random = np.random.default_rng(seed)
    keys, codes, steps = coded(random, rows, width, queries, fine, addends)
    thresholds = random.choice([-3e38, -0.01, 0.0, 0.02], queries).astype(f32)
    inverse = random.choice([0.0, 1.0, 300.0, 1e30], queries).astype(f32)
    one, other = (
        passed(kernels, keys, kernels.pack_queries(codes, steps, fine=fine), thresholds, inverse)
        for kernels in (running, in_numpy)
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


@EVERY_IN_C
@settings(deadline=None)
@given(
    rows=st.integers(1, 2300),
    width=st.sampled_from([1, 3, 63, 64, 65, 130]),
    queries=st.sampled_from([1, 2, 5, 18]),
    power=st.sampled_from([1, 4, 40]),
    fine=st.booleans(),
)
@example(rows=2, width=1, queries=1, power=40, fine=False)
def test_they_add_values_alike(running, rows, width, queries, power, fine):
    random = np.random.default_rng(rows)
    codes = random.integers(-LEVELS, LEVELS + 1, (rows, width)).astype(np.int8)
    room = columns_room(-(-rows // CHUNK), CHUNK, width)
    for chunk, first in enumerate(range(0, rows, CHUNK)):
        put_columns(room[chunk], 0, codes[first : first + CHUNK])
    weights = np.full((queries, rows + 70), f32(np.nan))  # what is behind the rows must not be read
    weights[:, :rows] = random.random((queries, rows), dtype=f32) ** power
    scales = random.random(rows, dtype=f32)
    values = CodedValues(room, scales, codes * scales[:, None], random.random(len(room)), 0.1, 2.0, 30.0)
    exact = weights[:, :rows].astype(np.float64) @ values.values
    # The sums start as large as the weights: beside 1, weights to the power of 40 are below float64's digits.
    masses = weights[:, :rows].sum(axis=1, dtype=np.float64)[:, None]
    for counts in (np.zeros(queries, np.int64), np.full(queries, 10**11)):
        outputs = np.tile(masses, (2, 1, width))
        errors = np.tile(masses ** [1, 1, 1, 1, 2], (2, 1, 1))  # the last bound is of squares
        running.add_values(values, weights, counts, fine, outputs[0], errors[0], running.AMX)
        in_numpy.add_values(values, weights, counts, fine or running.WIDE, outputs[1], errors[1], False)
        np.testing.assert_allclose(errors[0], errors[1], rtol=1e-5)
        left_out = (masses <= counts[:, None]).all()  # all weights can be 0 in float32
        assert (errors[:, :, 0] > masses.T).any() == counts.any()
        assert (errors[:, :, 1] == masses.T).all() == left_out
        if left_out:
            assert (outputs == masses).all()
            continue
        rounding = (errors[1, :, 2:3] - masses) / (rows * values.code_length)
        digits = 1e-5 * np.abs(outputs[1]).max(axis=1, keepdims=True)
        # A level half-way between two may go either way.
        assert (np.abs(outputs[0] - outputs[1]) <= 4 * rounding * LEVELS + digits).all()
        assert (np.abs(outputs - masses - exact) <= rounding * np.abs(codes.astype(int)).sum(axis=0) + digits).all()
