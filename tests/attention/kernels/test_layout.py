"""Bytes side by side: what is stored comes back, and every way to multiply gives the same whole numbers."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention.kernels import layout
from attention.kernels.layout import (
    OFFSET,
    columns_of,
    columns_room,
    packed,
    put_columns,
    put_rows,
    rows_at,
    rows_room,
)


def bytes_of(seed, *shape):
    return np.random.default_rng(seed).integers(-127, 128, shape).astype(np.int8)


@given(rows=st.integers(1, 200), width=st.integers(1, 70), cut=st.integers(0, 200))
def test_rows_and_columns_come_back_however_they_were_written(rows, width, cut):
    codes, cut = bytes_of(rows, rows, width), min(cut, rows)
    stored, turned = rows_room(rows, width), columns_room(1, 200, width)[0]
    for start, part in ((0, codes[:cut]), (cut, codes[cut:])):
        put_rows(stored, start, part)
        put_columns(turned, start, part)
    np.testing.assert_array_equal(rows_at(stored, np.arange(rows), width), codes)
    np.testing.assert_array_equal(columns_of(turned, 0, rows, width), codes)
    assert stored.ctypes.data % 64 == 0


@pytest.mark.parametrize("width", [1, 4, 37, 64, 384])
@pytest.mark.parametrize("queries", [1, 2, 3, 7, 16, 21, 32, 64])
def test_products_are_exact_by_every_way_that_this_processor_has(width, queries):
    pytest.importorskip("numba")
    from attention.kernels import dot_amx, dot_vnni
    from attention.kernels.dot import byte_products

    codes, asked = bytes_of(1, 192, width), bytes_of(2, queries, width)
    codes[70], asked[0] = 127, -127
    stored = rows_room(192, width)
    put_rows(stored, 0, codes)
    expected = asked.astype(np.int64) @ (codes[64:128].astype(np.int64) + OFFSET).T
    group, factors = 64 // layout.LANES, packed(asked)

    def made(way, *more):
        products = np.ones((queries, 64), dtype=np.int32)  # what is there is written over
        done = way(stored, group, factors, *more, products)
        return products, done

    ways = [dot_vnni.by_loop] + [dot_vnni.by_vnni] * dot_vnni.has_vnni()
    for way in ways:
        np.testing.assert_array_equal(made(way, 0)[0], expected)
        np.testing.assert_array_equal(made(way, 1)[0][1:], expected[1:])
        assert (made(way, 1)[0][0] == 1).all()
    for unit in {False, dot_amx.amx_usable()}:
        products = np.ones((queries, 64), dtype=np.int32)
        byte_products(stored, group, factors, products, unit)
        np.testing.assert_array_equal(products, expected)
    if dot_amx.amx_usable():
        products, done = made(dot_amx.by_amx)
        assert done == (queries // 16 * 16 if width % 64 == 0 else 0)
        np.testing.assert_array_equal(products[:done], expected[:done])
        assert (products[done:] == 1).all()


REFUSED = """
import ctypes
class Stack(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]
small = ctypes.create_string_buffer(4096)
assert ctypes.CDLL(None).sigaltstack(ctypes.byref(Stack(ctypes.addressof(small), 0, 4096)), None) == 0
"""
"""A stack for signals that has no room for tiles: Linux then does not let a process use them."""

ASK = """
import numpy as np
from attention.kernels import engine
from attention.lookup import Memory, Question, Rows
from attention.lookup.quantised import quantised_answers
random = np.random.default_rng(3)
memory = Memory("cosine")
view = memory.publish(add=Rows(np.arange(9000), random.standard_normal((9000, 64), dtype=np.float32)))
for count in (1, 3, 17, 40):
    for found in quantised_answers(view, [Question(random.standard_normal(64), 0.1) for _ in range(count)]):
        print(*found.numbers, *found.weights, *found.output)
print(engine.kernels().NAME)
"""


def said(program, **settings):
    """What a process says that computes on a processor as these settings describe it."""
    run = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **settings}, capture_output=True, text=True, check=True
    )
    *lines, name = run.stdout.splitlines()
    return np.array([[float(word) for word in line.split()] for line in lines]), name


def test_a_processor_without_the_instructions_gives_the_same_answers():
    pytest.importorskip("numba")
    found, name = said(ASK, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    np.testing.assert_allclose(found, said(ASK)[0], rtol=1e-5, atol=1e-5)
    assert name == "numba"


def test_a_system_that_does_not_let_the_matrix_unit_be_used_gets_the_same_answers():
    pytest.importorskip("numba")
    from attention.kernels import dot_amx

    if not dot_amx.amx_usable():
        pytest.skip("there is no matrix unit here, or no leave to use it")
    (found, without), (expected, name) = said(REFUSED + ASK), said(ASK)
    # Workers take tiles as they come, so sums are not in the same order each time.
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert "AMX" in name
    assert "AMX" not in without
