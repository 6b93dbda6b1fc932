"""Each step in C computes what numba's does to the last bit, from the same numbers, at shapes of all kinds."""

from __future__ import annotations

import platform

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention.kernels.native.library import usable_kinds
from attention.kernels.transformer.parameters import (
    CURVES,
    LAYER_NORM,
    NONE,
    PANEL,
    TILE_QUERIES,
    UNLIMITED,
    Design,
    Scratch,
    empty_words,
    pack_panels,
    zero_rows,
)
from attention.kernels.transformer.products import HAS_UNIT, MULTIPLIES_PAIRS
from tests.attention.kernels.transformer.kept import OFF_BY, words_of
from tests.attention.kernels.transformer.steps import steps_of

NUMBA = steps_of("numba")
BY_LLVM = platform.machine() not in ("x86_64", "AMD64")
"""Whether LLVM chooses another order for the sum of 16 lanes than the one written in C: in pairs of neighbours."""

WAYS = st.sampled_from(list(OFF_BY))
ROWS, SEEDS = st.integers(1, 40), st.integers(0, 2**32 - 1)
WIDTHS = st.integers(1, 12).map(lambda count: 32 * count)


@pytest.fixture(scope="module", params=[kind.name for kind in usable_kinds()])
def native(request):
    """The steps in C for a kind of processor, and how to compare a way's results with numba's."""
    kind = next(kind for kind in usable_kinds() if kind.name == request.param)
    return steps_of(kind.name), ("avx512-bf16" in kind.features, kind.name == "amx") == (MULTIPLIES_PAIRS, HAS_UNIT)


def normal(random, *shape, spread=1.0):
    return (random.standard_normal(shape) * spread).astype(np.float32)


def assert_same(actual, expected, *, sums=False):
    """Assert that arrays have the same bits; `sums` of lanes that LLVM ordered may be off by 1e-6."""
    if sums and BY_LLVM:
        np.testing.assert_allclose(actual.view(np.float32), expected.view(np.float32), rtol=1e-6, atol=1e-6)
    else:
        np.testing.assert_array_equal(actual.view(np.uint32), expected.view(np.uint32))


@given(way=WAYS, rows=ROWS, width=WIDTHS, seed=SEEDS, part=st.booleans())
def test_products(native, way, rows, width, seed, part):
    steps, alike = native
    if way and not alike:
        return  # other instructions round bfloat16 otherwise
    random, sums = np.random.default_rng(seed), []
    a, b = normal(random, rows, width), normal(random, width, 64)
    words = words_of(a, way, spare=PANEL)
    for kernels in (NUMBA, steps):
        across = kernels.columns_of(way)
        matrix = pack_panels([b], 1, way, across)
        c = np.full((rows + PANEL, 64), 0.5, np.float32)
        for column in range(0, 64, across):
            start, behind = column * matrix.shape[3], matrix[0, 0].size
            shape = (start, across, behind, matrix.shape[3])
            kernels.multiply(way, rows, words, 0, 0, matrix.reshape(-1), *shape, c, column, part)
        sums.append(c[:rows])
    assert_same(*sums)


@given(
    way=WAYS,
    rows=ROWS,
    width=WIDTHS,
    seed=SEEDS,
    curve=st.sampled_from([NONE, *CURVES.values()]),
    gated=st.integers(0, 1),
    spread=st.sampled_from([1e-3, 1.0, 4.0, 300.0]),
)
def test_curves_and_gates(native, way, rows, width, seed, curve, gated, spread):
    random, made = np.random.default_rng(seed), []
    gated = 0 if curve == NONE else gated  # there is no gate that only multiplies
    sums, bias = normal(random, rows, width << gated, spread=spread), normal(random, 3, (width << gated) + 32)
    for kernels in (NUMBA, native[0]):
        out = zero_rows(rows + 3, width + 64, way)
        kernels.finish(way, sums, rows, bias, 2, 32, width, curve, gated, out, 3, 64)
        made.append(out)
    assert_same(*made)


@given(way=WAYS, rows=ROWS, width=WIDTHS, seed=SEEDS)
def test_residuals_and_factors(native, way, rows, width, seed):
    random, made = np.random.default_rng(seed), []
    y, bias, x = normal(random, rows, width), normal(random, 2, width), normal(random, rows + 2, width)
    factors = normal(random, rows)
    for kernels in (NUMBA, native[0]):
        total, out = y.copy(), zero_rows(rows + 2, width + 32, way)
        kernels.add(total, rows, bias, 1, x, 2)
        kernels.scale(way, y, rows, width, factors, out, 2, 32)
        made.append((total, out))
    for one, other in zip(*made, strict=True):
        assert_same(one, other)


@given(
    way=WAYS,
    rows=ROWS,
    width=WIDTHS,
    seed=SEEDS,
    kind=st.integers(0, 2),
    keeps=st.booleans(),
    about=st.sampled_from([0.0, 100.0]),
)
def test_norms(native, way, rows, width, seed, kind, keeps, about):
    random, made = np.random.default_rng(seed), []
    y, scales, shifts = normal(random, rows, width) + np.float32(about), *(normal(random, 3, width) for _ in range(2))
    for kernels in (NUMBA, native[0]):
        x, out = np.zeros((rows + 2, width), np.float32), zero_rows(rows + 2, width, way)
        kernels.normalise(way, kind, y, rows, scales, shifts, 1, np.float32(1e-5), keeps, x, 2, out, 1)
        made.append((x, out))
    for one, other in zip(*made, strict=True):
        if not (BY_LLVM and way):
            assert_same(one, other, sums=kind >= LAYER_NORM)


@given(way=WAYS, rows=ROWS, width=WIDTHS, seed=SEEDS, normalises=st.integers(0, 1))
def test_rotations(native, way, rows, width, seed, normalises):
    random, made = np.random.default_rng(seed), []
    head, bias, scales = normal(random, rows, width), normal(random, 2, width + 32), normal(random, 2, width)
    rotations, places = normal(random, 2, 50, width), random.integers(0, 50, rows + 2)
    for kernels in (NUMBA, native[0]):
        out = zero_rows(rows + 2, width + 32, way)
        turned = (rotations, 1, places, out, 2, 32)
        kernels.rotate(way, head, rows, bias, 1, 32, normalises, scales, 1, np.float32(1e-6), *turned)
        made.append(out)
    if not (BY_LLVM and way):
        assert_same(*made, sums=normalises > 0)


@given(
    way=WAYS,
    rows=st.integers(1, TILE_QUERIES),
    count=st.integers(1, 200),
    seed=SEEDS,
    back=st.sampled_from([0, 3, 40, UNLIMITED]),
    ahead=st.sampled_from([0, 3, 40, UNLIMITED]),
    spread=st.sampled_from([0.0, 1.0, 30.0, 1e4]),
)
def test_exponentials(native, way, rows, count, seed, back, ahead, spread):
    random, made, rows = np.random.default_rng(seed), [], min(rows, count)
    padded, position = -(-count // PANEL) * PANEL, count - rows
    logits = np.full((TILE_QUERIES, padded + PANEL), np.nan, np.float32)
    logits[:, :count] = normal(random, TILE_QUERIES, count, spread=spread)
    distances = normal(random, 2, 3 * padded + 64)
    for kernels in (NUMBA, native[0]):
        biased, factors = logits.copy(), np.zeros(TILE_QUERIES, np.float32)
        out = zero_rows(TILE_QUERIES, padded, way)
        kernels.add_distances(biased, rows, count, distances, 1, 40)
        kernels.exponentials(way, biased, rows, count, padded, position, back, ahead, out, factors)
        made.append((biased, out, factors))
    for number, (one, other) in enumerate(zip(*made, strict=True)):
        assert_same(one, other, sums=number == 2)


@given(
    way=WAYS,
    length=st.integers(1, 150),
    seed=SEEDS,
    heads=st.sampled_from([(1, 1), (3, 1), (4, 2), (2, 2)]),
    width=st.sampled_from([32, 64, 96]),
    back=st.sampled_from([0, 5, 40, UNLIMITED]),
    ahead=st.sampled_from([0, 5, UNLIMITED]),
    biased=st.booleans(),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_attention(native, way, length, seed, heads, width, back, ahead, biased, share):
    steps, alike = native
    if way and not alike:
        return
    random, made, (queries, keys) = np.random.default_rng(seed), [], heads
    first, spare = 7, 5  # rows of texts before and after this one
    begin, end = sorted(first + round(length * part) for part in share)
    rows, across = first + length + spare, length + 2 * PANEL
    projected = words_of(normal(random, rows, (queries + 2 * keys) * width), way, spare=PANEL)
    reach = length + PANEL
    distances = normal(random, queries, 2 * reach if biased else 0)
    design = Design(queries, keys, width, NONE, 0, 0, 0, 0)
    for kernels in (NUMBA, steps):
        flat = [empty_words(across * width * len(projected)) for _ in range(2)]
        weights, unused = zero_rows(TILE_QUERIES, across, way), np.zeros((1, PANEL), np.float32)
        for words in (*flat, weights):
            words[...] = 0x7FC07FC0  # NaN, which would show
        logits, sums = np.full((TILE_QUERIES, across), np.nan, np.float32), np.zeros((PANEL, PANEL), np.float32)
        buffers = (logits, weights, np.zeros(TILE_QUERIES, np.float32), weights, sums, unused, unused)
        out = zero_rows(rows + PANEL, queries * width, way)
        for head in range(keys):
            where = (first, length, begin, end, design, head, back, ahead, distances)
            kernels.attend(way, projected, *where, Scratch(*flat, *buffers), out)
        made.append(out)
    if not (BY_LLVM and way):
        assert_same(*made, sums=True)
