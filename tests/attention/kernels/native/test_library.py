"""The library of kernels in C: every kind that this machine can run, what is checked before C reads it, its numbers."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest

from softkv_attention.kernels import CodedKeys
from softkv_attention.kernels.in_c import KernelsInC
from softkv_attention.kernels.layout import rows_room
from softkv_attention.kernels.native import pointers
from softkv_attention.kernels.native.kinds import FEATURES, KINDS, kinds_of, this_platform
from softkv_attention.kernels.native.library import library_of, load, usable_kinds
from softkv_attention.kernels.native.pointers import address, output

KINDS_HERE = pytest.mark.parametrize("kind", usable_kinds(), ids=lambda kind: kind.name)


def test_this_machine_has_the_library_and_a_kind_that_runs():
    library = load()
    assert library is not None
    assert library.kind is usable_kinds()[0]
    assert KernelsInC(library).NAME.startswith(f"C + {library.kind.instruction}")
    assert this_platform().startswith("linux-") or not this_platform().startswith("-")


def test_the_best_of_the_kinds_whose_features_a_processor_has_comes_first():
    machine = usable_kinds()[0].machine
    assert kinds_of({feature for kind in KINDS for feature in kind.features}) == [
        kind for kind in KINDS if kind.machine == machine
    ]
    if machine == "x86_64":
        assert [kind.name for kind in kinds_of({"avx2", "avxvnni"})] == ["avxvnni", "avx2"]
        assert kinds_of(set()) == []
        assert {feature for kind in KINDS if kind.machine == machine for feature in kind.features} == set(FEATURES)


@KINDS_HERE
def test_exponentials_and_logarithms_are_right_to_about_a_unit_in_the_last_place(kind):
    random = np.random.default_rng(0)
    x = np.concatenate(
        [-random.exponential(30, 20_000), random.uniform(0, 700, 5_000), 10.0 ** random.uniform(-300, 300, 20_000)]
    )
    x = np.concatenate([x, [0.0, -0.0, 1.0, -745.1, -745.2, -800.0, 709.7, 710.5, 5e-324, 2.3e-308, np.inf, -np.inf]])
    exponential, logarithm, one_plus = (np.empty(len(x)) for _ in range(3))
    call = library_of(kind).function("exponentials", None, *[ctypes.c_void_p, ctypes.c_int64], *[ctypes.c_void_p] * 3)
    call(
        *[address(x, pointers.F64), len(x)],
        *(address(into, pointers.F64) for into in (exponential, logarithm, one_plus)),
    )
    with np.errstate(all="ignore"):
        for computed, expected, of, most in (
            (exponential, np.exp(x.astype(np.longdouble)), x < 709.7, 1.0),
            (logarithm, np.log(x.astype(np.longdouble)), x >= 0, 1.0),
            (one_plus, np.log1p(x.astype(np.longdouble)), x >= 0, 1.5),
        ):
            units = np.abs(computed[of] - expected[of]) / np.spacing(np.abs(expected[of]).astype(float))
            assert np.nanmax(units) < most
    assert exponential[x == np.inf] == np.inf
    assert logarithm[x == 0].tolist() == [-np.inf, -np.inf]
    assert math.isnan(logarithm[x == -np.inf][0])


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros(4), TypeError, "wanted a contiguous array of float32, got a contiguous one of float64"),
        (np.zeros(8, dtype=np.float32)[::2], TypeError, "wanted a contiguous array of float32, got a strided one"),
        (np.zeros(3, dtype=np.float32), ValueError, r"wanted 4 numbers, got an array of shape \(3,\)"),
    ],
)
@pytest.mark.parametrize("checked", [address, output])
def test_an_array_that_c_would_misread_is_refused(checked, array, error, message):
    with pytest.raises(error, match=message):
        checked(array, pointers.F32, 4)


def test_a_read_only_array_is_refused_where_c_writes():
    array = np.zeros(4, dtype=np.float32)
    assert output(array, pointers.F32, 4) == address(array, pointers.F32, 4)
    array.flags.writeable = False
    with pytest.raises(TypeError, match="wanted a contiguous array of float32, got a contiguous, read-only one"):
        output(array, pointers.F32, 4)


def test_a_misaligned_array_is_refused_where_c_writes():
    array = np.frombuffer(bytearray(20), dtype=np.uint8)[1:17].view(np.float32)
    message = "wanted a contiguous, aligned array of float32, got a contiguous, misaligned one of float32"
    with pytest.raises(TypeError, match=message):
        output(array, pointers.F32, 4)


def test_an_address_is_that_of_the_first_element():
    matrix = np.arange(12, dtype=np.float32).reshape(3, 4)
    for part in (matrix, matrix[1:], matrix[2]):
        assert address(part, pointers.F32, part.size) == part.ctypes.data
    matrix.flags.writeable = False
    assert address(matrix, pointers.F32) == matrix.ctypes.data


@KINDS_HERE
@pytest.mark.parametrize("row", [-1, 5, 2**40])
def test_rows_that_do_not_exist_are_refused_before_any_is_read(kind, row):
    running, vectors, queries = KernelsInC(library_of(kind)), np.ones((5, 8), dtype=np.float32), np.ones((2, 8))
    rows, fine = np.array([0, row]), np.array([0, 1])
    outputs = np.zeros((2, 8))
    for call in (
        lambda: running.add_rows(vectors, rows, fine, np.ones(2), outputs),
        lambda: running.all_products(vectors, rows, queries, np.zeros((2, 2))),
        lambda: running.all_sums(vectors, rows, np.ones((2, 2)), outputs),
        lambda: running.row_products(vectors, rows, queries, fine),
        lambda: running.row_products(vectors, fine, queries, rows),
        lambda: running.residual_sum(vectors, rows),
    ):
        with pytest.raises(IndexError, match="at index 1"):
            call()
    assert not outputs.any()


@KINDS_HERE
def test_codes_of_another_shape_than_the_queries_are_refused_before_any_is_read(kind):
    running, best = KernelsInC(library_of(kind)), np.zeros((2, 4), dtype=np.float32)
    packed = running.pack_queries(np.ones((2, 16), np.int16), np.ones(2, np.float32), fine=False)
    one = np.ones(200, np.float32)
    for rows, width, scales in ((64, 32, one[:64]), (64, 12, one[:64]), (64, 16, one[:65]), (128, 16, one[:129])):
        keys = CodedKeys(rows_room(rows, width), scales, np.ones(len(scales), np.bool_), 0)
        with pytest.raises(ValueError, match=rf"wanted codes of {len(scales)} rows in 4 words, got"):
            running.sample_top(keys, packed, best)
    assert not best.any()
