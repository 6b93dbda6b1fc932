"""Sixteen numbers side by side: what is done to them in compiled code is what NumPy does to them."""

from __future__ import annotations

import numba
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from attention.kernels.cpu import arrays
from attention.kernels.layout import LANES
from attention.kernels.simd import BYTES, DOUBLES, REALS, WORDS, Lanes

SOME_FLOATS = hnp.arrays(np.float32, LANES, elements=st.floats(-1e6, 1e6, width=32))
SOME_INTEGERS = hnp.arrays(np.int32, LANES, elements=st.integers(-(2**15), 2**15))


def compiled(kind, operations):
    """Compile a function of two times 16 numbers that writes the result of each operation into its own row."""

    @intrinsic
    def fill(typing_context, left, right, made):
        def build(context, builder, signature, arguments):
            left, right, made = arrays(context, builder, signature, arguments, 0, 1, 2)
            a, b = Lanes.load(builder, kind, left.data), Lanes.load(builder, kind, right.data)
            for row, operation in enumerate(operations):
                result = operation(a, b)
                result = result if isinstance(result, Lanes) else Lanes.broadcast(builder, result)
                result.store(builder.gep(made.data, [ir.IntType(64)(LANES * row)]))
            return context.get_dummy_value()

        return types.void(left, right, made), build

    @numba.njit
    def run(left, right, made):
        fill(left, right, made)

    def apply(left, right, dtype):
        # One place further on, so that no load is aligned.
        room = [np.append(array[:1], array)[1:] for array in (left, right)]
        made = np.zeros((len(operations), LANES), dtype=dtype)
        run(*room, made)
        return made

    return apply


def one_or_none(condition):
    """Convert bool[16] to 1 for True and 0 for False."""
    one, zero = (Lanes.broadcast(condition.builder, number) for number in (1.0, 0.0))
    return condition.choose(one, zero)


def one_or_none_of_all(condition):
    one, zero = (ir.Constant(ir.FloatType(), number) for number in (1.0, 0.0))
    return condition.builder.select(condition.any(), one, zero)


FLOATS = {
    "sum": (lambda a, b: a + b, lambda a, b: a + b),
    "difference": (lambda a, b: a - b, lambda a, b: a - b),
    "product": (lambda a, b: a * b, lambda a, b: a * b),
    "with a number": (lambda a, b: (a - 0.5) * 2.0, lambda a, b: (a - np.float32(0.5)) * 2),
    "below": (lambda a, b: one_or_none(a < b), lambda a, b: a < b),
    "above": (lambda a, b: one_or_none(a > b), lambda a, b: a > b),
    "not below": (lambda a, b: one_or_none(a >= b), lambda a, b: a >= b),
    "above a number": (lambda a, b: one_or_none(a > 0.0), lambda a, b: a > 0),
    "both": (lambda a, b: one_or_none((a > 0.0) & (b > 0.0)), lambda a, b: (a > 0) & (b > 0)),
    "either": (lambda a, b: one_or_none((a > 0.0) | (b > 0.0)), lambda a, b: (a > 0) | (b > 0)),
    "smaller": (lambda a, b: a.at_most(b), np.minimum),
    "larger": (lambda a, b: a.at_least(b), np.maximum),
    "at most a number": (lambda a, b: a.at_most(3.0), lambda a, b: np.minimum(a, 3)),
    "nearest": (lambda a, b: a.round_to_nearest(), lambda a, b: np.rint(a)),
    "towards 0 and back": (lambda a, b: a.to_integers(WORDS).to_floats(), lambda a, b: np.trunc(a)),
    "largest": (lambda a, b: a.largest(), lambda a, b: np.full(LANES, a.max())),
    "any": (lambda a, b: one_or_none_of_all(a > b), lambda a, b: np.full(LANES, (a > b).any())),
}
on_floats = compiled(REALS, [operation for operation, _ in FLOATS.values()])


@settings(deadline=None)
@given(a=SOME_FLOATS, b=SOME_FLOATS, ties=st.integers(0, LANES))
def test_floats(a, b, ties):
    b[:ties] = a[:ties]
    for actual, (name, (_, expected)) in zip(on_floats(a, b, np.float32), FLOATS.items(), strict=True):
        np.testing.assert_array_equal(actual, expected(a, b).astype(np.float32), err_msg=name)


INTEGERS = {
    "sum": (lambda a, b: a + b, lambda a, b: a + b),
    "difference": (lambda a, b: a - b, lambda a, b: a - b),
    "product": (lambda a, b: a * b, lambda a, b: (a.astype(np.int64) * b).astype(np.int32)),
    "with a number": (lambda a, b: a * 3 + 128, lambda a, b: a * 3 + 128),
    "higher": (lambda a, b: a << 8, lambda a, b: a << 8),
    "lower, with the sign": (lambda a, b: a >> 8, lambda a, b: a >> 8),
    "and": (lambda a, b: a & b, lambda a, b: a & b),
    "or": (lambda a, b: a | b, lambda a, b: a | b),
    "which are not 0": (lambda a, b: a.is_nonzero().choose(a, b), lambda a, b: np.where(a != 0, a, b)),
    "total": (lambda a, b: a.sum(), lambda a, b: np.full(LANES, a.sum())),
}
on_integers = compiled(WORDS, [operation for operation, _ in INTEGERS.values()])


@settings(deadline=None)
@given(a=SOME_INTEGERS, b=SOME_INTEGERS)
def test_integers(a, b):
    for actual, (name, (_, expected)) in zip(on_integers(a, b, np.int32), INTEGERS.items(), strict=True):
        np.testing.assert_array_equal(actual, expected(a, b), err_msg=name)


to_bytes = compiled(WORDS, [lambda a, b: a.to_integers(BYTES)])
to_doubles = compiled(WORDS, [lambda a, b: a.to_floats(DOUBLES) * 256.0 + b.to_floats(DOUBLES)])


@settings(deadline=None)
@given(a=SOME_INTEGERS, b=SOME_INTEGERS)
def test_integers_become_their_lowest_bytes_and_doubles(a, b):
    np.testing.assert_array_equal(to_bytes(a, b, np.int8)[0], a.astype(np.int8))
    np.testing.assert_array_equal(to_doubles(a, b, np.float64)[0], 256.0 * a + b)


summed = compiled(REALS, [lambda a, b: (a * b).sum(), lambda a, b: a.exponential()])


@settings(deadline=None)
@given(a=SOME_FLOATS, b=SOME_FLOATS)
def test_a_sum_is_off_by_a_few_roundings(a, b):
    products = a.astype(np.float64) * b
    assert np.abs(summed(a, b, np.float32)[0] - products.sum()).max() <= 1e-6 * np.abs(products).sum() + 1e-40


def test_an_exponential_is_off_by_2e_7_and_by_the_rounding_of_its_argument():
    for x in np.linspace(-87, 0, 50_000, dtype=np.float32).reshape(-1, LANES):
        actual, true = summed(x, x, np.float32)[1].astype(np.float64), np.exp(x.astype(np.float64))
        assert (np.abs(actual / true - 1) <= 2e-7 + 2.0**-23 * np.abs(x)).all()
    assert (summed(np.zeros(LANES, np.float32), np.zeros(LANES, np.float32), np.float32)[1] == 1).all()
