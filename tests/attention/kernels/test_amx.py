"""AMX, the matrix unit: the shapes of its tiles, permission to use it, and its products of bytes."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from attention.kernels import amx
from attention.kernels.amx import FEW_QUERIES, SHAPES, allowed, amx_usable, by_amx, has_amx, pad_rows


def test_eight_tiles_of_16_lines_of_64_bytes():
    assert SHAPES[0] == 1
    assert SHAPES[16:32].view("<u2").tolist() == [64] * 8
    assert SHAPES[48:56].tolist() == [16] * 8
    assert SHAPES.sum(dtype=int) == 1 + 8 * 64 + 8 * 16


def test_amx_is_allowed_only_on_linux(monkeypatch):
    assert allowed.__wrapped__() == allowed()
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert not allowed.__wrapped__()


needs_amx = pytest.mark.skipif(not amx_usable(), reason="there is no matrix unit here, or no leave to use it")


@needs_amx
@pytest.mark.parametrize("width", [1, 37, 64, 100, 128, 384])
@pytest.mark.parametrize("queries", [1, 15, 16, 21, 32, 48, 64, 65])
def test_products_of_whole_sixteens_are_exact_and_the_others_are_left(panels, width, queries):
    stored, group, factors, expected = panels(width, queries)
    products = np.full((queries, 64), 7, dtype=np.int32)
    done = by_amx(stored, group, factors, products)
    assert done == (queries // 16 * 16 if -(-width // 4) % 16 == 0 else 0)
    np.testing.assert_array_equal(products[:done], expected[:done])
    assert (products[done:] == 7).all()


@pytest.mark.parametrize("amx", [True, False])
@pytest.mark.parametrize("words", [15, 16, 17, 96])
def test_more_than_a_few_queries_are_padded_where_the_unit_takes_them(words, amx):
    for rows in (0, 1, FEW_QUERIES, FEW_QUERIES + 1, 16, 17, 32, 100):
        takes = amx and words % 16 == 0 and rows > FEW_QUERIES
        assert pad_rows(rows, words, amx) == (int(np.ceil(rows / 16)) * 16 if takes else rows)


def test_without_the_unit_or_leave_it_is_not_used(monkeypatch):
    assert amx_usable.__wrapped__() == amx_usable() <= has_amx()
    monkeypatch.setattr(amx, "allowed", lambda: False)
    assert not amx_usable.__wrapped__()
    monkeypatch.setattr(amx, "allowed", lambda: True)
    assert amx_usable.__wrapped__() == has_amx()


REFUSED = """
import ctypes
class Stack(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]
small = ctypes.create_string_buffer(4096)
assert ctypes.CDLL(None).sigaltstack(ctypes.byref(Stack(ctypes.addressof(small), 0, 4096)), None) == 0
"""
"""A stack for signals that has no room for tiles: Linux then does not let a process use them."""


@needs_amx
def test_a_system_that_does_not_let_the_matrix_unit_be_used_gets_the_same_answers(answered):
    (actual, without), (expected, name) = answered(REFUSED), answered()
    # Workers take tiles as they come, so sums are not in the same order each time.
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)
    assert "AMX" in name
    assert "AMX" not in without
