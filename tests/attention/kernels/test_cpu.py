"""Compiling with numba: what is kept for `prepare`, for which processor, and with types that calls really have."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import pytest
from numba import float32, float64, int64, types

from attention.kernels import cpu
from attention.kernels.cpu import array, compiles_for, fetch, kernel, record


class Pair(NamedTuple):
    values: np.ndarray
    count: int


@pytest.fixture(autouse=True)
def kernels(monkeypatch):
    """A list of kernels of this test's own."""
    libraries = []
    monkeypatch.setattr(cpu, "KERNELS", libraries)
    return libraries


def test_a_compiled_function_is_kept_with_its_types_and_compiled_by_its_first_call(kernels):
    @kernel(array(float64, 1), int64, fastmath=False)
    def scaled(values, by):
        return values.sum() * by

    assert kernels == [(scaled, (array(float64, 1), int64))]
    assert not scaled.signatures
    assert scaled(np.arange(4.0), 3) == 18
    # The types that it was defined with are those that it is called with: `prepare` leaves nothing to compile.
    assert scaled.signatures == [kernels[0][1]]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.zeros(3), array(float64, 1)),
        (np.zeros((3, 2), np.float32), array(float32, 2)),
        (Pair(np.zeros((1, 1, 1)), 4), record(Pair, array(float64, 3), int64)),
    ],
)
def test_numba_types_match_the_values(value, kind):
    assert numba.typeof(value) == kind


def test_a_part_of_an_array_that_is_not_contiguous_is_of_another_type():
    assert numba.typeof(np.zeros((3, 2))[:, 0]) != array(float64, 1)


def test_processor_features_use_the_names_of_the_compiler():
    codegen = cpu.cpu_target.target_context.codegen()
    features = [feature[1:] for feature in codegen.magic_tuple()[2].split(",") if feature.startswith("+")]
    assert compiles_for()
    assert all(compiles_for(feature) for feature in features)
    assert compiles_for(*features)
    assert not compiles_for("no-such-feature")
    assert not compiles_for(*features, "no-such-feature")


def test_a_line_that_is_fetched_is_as_it_was():
    @numba.njit
    def total(values):
        sum_of_values = 0.0
        for position in range(len(values)):
            # A prefetch beyond the end of the array is not an error.
            fetch(values.ctypes.data + np.uintp(8 * (position + 50)))
            sum_of_values += values[position]
        return sum_of_values

    assert total(np.arange(100.0)) == 4950


def test_arrays_of_code_being_built_have_their_data_and_shape():
    @numba.extending.intrinsic
    def rows_of(typing_context, by, values):
        def build(context, builder, signature, arguments):
            (array,) = cpu.arrays(context, builder, signature, arguments, 1)
            cpu.prefetch(builder, array.data)
            return builder.mul(arguments[0], numba.core.cgutils.unpack_tuple(builder, array.shape)[0])

        return types.int64(types.int64, values), build

    @numba.njit
    def ask(by, values):
        return rows_of(by, values)

    assert ask(10, np.zeros((7, 3))) == 70
