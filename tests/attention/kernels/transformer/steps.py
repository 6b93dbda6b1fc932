"""Steps of the encoder by themselves, under the same names and with the same arguments for each kind of kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Protocol

import numba
import numpy as np

from attention.kernels.native.library import Library, library_of, usable_kinds
from attention.kernels.native.pointers import address_of
from attention.kernels.transformer import attention, products, row_operations
from attention.kernels.transformer.in_c import (
    Encoder,
    design_in_c,
    require,
    scratch_in_c,
    table_of,
    words_in_c,
)
from attention.kernels.transformer.parameters import Design, Scratch


class Steps(Protocol):
    """Kernels, each a function of the arguments of numba's kernel of this name."""

    columns_of: Callable[[int], int]
    multiply: Callable[..., None]
    finish: Callable[..., None]
    add: Callable[..., None]
    scale: Callable[..., None]
    normalise: Callable[..., None]
    rotate: Callable[..., None]
    add_distances: Callable[..., None]
    exponentials: Callable[..., None]
    attend: Callable[..., None]


@numba.njit
def finish(way, sums, rows, bias, layer, first, columns, curve, gated, out, row, into):
    row_operations.finish(way, sums, rows, bias, layer, first, columns, curve, gated, out, row, into)


@numba.njit
def add(y, rows, bias, layer, x, row):
    row_operations.add(y, rows, bias, layer, x, row)


@numba.njit
def scale(way, sums, rows, columns, factors, out, row, into):
    row_operations.scale(way, sums, rows, columns, factors, out, row, into)


@numba.njit
def normalise(way, kind, y, rows, scales, shifts, number, epsilon, keeps, x, line, words, row):
    row_operations.normalise(way, kind, y, rows, scales, shifts, number, epsilon, keeps, x, line, words, row)


@numba.njit
def rotate(
    way,
    head,
    rows,
    bias,
    layer,
    column,
    normalises,
    scales,
    number,
    epsilon,
    rotations,
    rotation,
    places,
    out,
    row,
    into,
):
    turned = (rotations, rotation, places, out, row, into)
    row_operations.rotate(way, head, rows, bias, layer, column, normalises, scales, number, epsilon, *turned)


@numba.njit
def add_distances(logits, rows, columns, distances, head, first):
    row_operations.add_distances(logits, rows, columns, distances, head, first)


@numba.njit
def exponentials(way, logits, rows, count, padded, position, back, ahead, words, factors):
    row_operations.exponentials(way, logits, rows, count, padded, position, back, ahead, words, factors)


class ByNumba:
    """The kernels of numba."""

    columns_of = staticmethod(products.columns_of)
    multiply = staticmethod(products.multiply)
    attend = staticmethod(attention.attend)
    finish, add, scale, normalise = map(staticmethod, (finish, add, scale, normalise))
    rotate, add_distances, exponentials = map(staticmethod, (rotate, add_distances, exponentials))


class InC:
    """The kernels of the library."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.columns_of = Encoder(library).columns_of
        self.multiply, self.finish, self.add = (partial(self._call, name) for name in ("multiply", "finish", "add"))
        self.scale, self.normalise = (partial(self._call, name) for name in ("scale", "normalise"))
        self.rotate, self.attend = (partial(self._call, name) for name in ("rotate", "attend"))
        self.add_distances = partial(self._call, "add_distances")
        self.exponentials = partial(self._call, "exponentials")

    def _call(self, name: str, *arguments: Any) -> None:
        """Call a function of encoder.c: it takes tables and packed numbers as structures, other arrays as addresses."""
        kinds: list[Any] = []
        passed: list[Any] = []
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                kinds.append(ctypes.c_void_p)
                if argument.dtype == np.float32 and argument.ndim == 2:
                    passed.append(ctypes.byref(table_of(name, argument)))
                elif argument.dtype == np.uint32 and argument.ndim == 3:
                    passed.append(ctypes.byref(words_in_c(name, argument)))
                else:
                    passed.append(address_of(require(name, argument, argument.dtype, *argument.shape)))
                if argument.dtype == np.float32 and argument.ndim == 3:  # rotations, whose positions C has to know
                    kinds.append(ctypes.c_int64)
                    passed.append(argument.shape[1])
            elif isinstance(argument, Design | Scratch):
                kinds.append(ctypes.c_void_p)
                made = design_in_c(argument) if isinstance(argument, Design) else scratch_in_c(argument)
                passed.append(ctypes.byref(made))
            else:
                kinds.append(ctypes.c_float if isinstance(argument, np.float32) else ctypes.c_int64)
                passed.append(argument)
        self._library.function(f"encoder_{name}", None, *kinds)(*passed)


NAMES = ("numba", *(kind.name for kind in usable_kinds()))
"""numba, and every kind of processor of the library that this machine can be."""


@cache
def steps_of(name: str) -> Steps:
    """Return the steps of the kernels with one of NAMES."""
    if name == "numba":
        return ByNumba()
    return InC(library_of(next(kind for kind in usable_kinds() if kind.name == name)))
