"""Products of bytes are whole numbers, by whatever the processor has for them."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from attention.kernels.dot import amx as dot_amx
from attention.kernels.dot.instructions import INSTRUCTION, instruction_of
from attention.kernels.dot.products import by_instruction, byte_products
from attention.kernels.layout import FINE_LEVELS, LEVELS, put_rows, rows_room
from attention.kernels.targets import targets_of, this_target


@pytest.mark.parametrize("width", [1, 4, 37, 64, 384])
@pytest.mark.parametrize("queries", [1, 2, 3, 7, 16, 21, 32, 64])
def test_products_are_exact_with_leave_to_use_the_matrix_unit_and_without(panels, width, queries):
    stored, group, factors, expected = panels(width, queries)
    for unit in {False, dot_amx.amx_usable()}:
        products = np.ones((queries, 64), dtype=np.int32)  # what is there is written over
        byte_products(stored, group, factors, products, unit)
        np.testing.assert_array_equal(products, expected)


@pytest.mark.parametrize("width", [1, 3, 4, 37, 64, 384])
@pytest.mark.parametrize("queries", [1, 2, 3, 4, 5, 7, 16, 21])
def test_products_are_exact_from_the_query_on_that_is_named(panels, width, queries):
    stored, group, factors, expected = panels(width, queries)
    for first in {0, 1, queries - 1, queries}:
        products = np.full((queries, 64), 7, dtype=np.int32)  # what is there is written over
        by_instruction(stored, group, factors, first, products)
        np.testing.assert_array_equal(products[first:], expected[first:])
        assert (products[:first] == 7).all()


@pytest.mark.parametrize("width", [1, 2, 5, 384, 1023, 4096])
@pytest.mark.parametrize("fine", [True, False])
def test_the_largest_products_fit_once_the_offset_is_taken_off(width, fine):
    """Codes and queries at the ends of their ranges, as far as 32 bits hold a product of all components."""
    top = min(FINE_LEVELS, (2**31 - 1) // (LEVELS * width)) if fine else LEVELS
    random = np.random.default_rng(width)
    codes = random.choice(np.array([-LEVELS, LEVELS], np.int8), (64, width))
    codes[0], codes[1] = LEVELS, -LEVELS
    queries = random.choice(np.array([-top, top], np.int16), (5, width))
    queries[0], queries[1] = top, -top
    stored = rows_room(64, width)
    put_rows(stored, 0, codes)
    factors = INSTRUCTION.pack(queries, fine=fine)
    products = np.empty((len(factors), 64), dtype=np.int32)
    by_instruction(stored, 0, factors, 0, products)
    if len(factors) > len(queries):  # two planes a query, the first of which counts 256 times
        products = (products[::2] << 8) + products[1::2]
    offsets = (INSTRUCTION.offset * queries.sum(axis=1, dtype=np.int64)).astype(np.int32)
    expected = queries.astype(np.int64) @ codes.T.astype(np.int64)
    np.testing.assert_array_equal(products - offsets[:, None], expected)


OTHERS = {"generic": ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}, "numba + plain")} | {
    target.name: (target.environment, f"numba + {instruction_of(*target.features).name}")
    for target in targets_of(platform.machine())
    if this_target() and set(target.features) < set(this_target().features)
}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", OTHERS)
def test_code_for_every_lesser_kind_of_processor_gives_the_same_answers(answered, kind):
    environment, name = OTHERS[kind]
    products, engine = answered(**environment)
    np.testing.assert_allclose(products, answered()[0], rtol=1e-5, atol=1e-5)
    assert engine.removesuffix(" + AMX") == name
