"""What the scan runs on: numkong and numba where they are installed, NumPy where they are not."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention.lookup import portable

Dots = Callable[[NDArray[np.int8], NDArray[np.int32]], None]


@dataclass(frozen=True)
class Engine:
    """The steps of a scan.

    Attributes:
        fine: up to so many queries at a time are coded in 16 bits, and so are their weights.
        dots: given codes of queries [q, d], makes the function that fills int32[r, q] with their products with
            codes int8[r, d].
        weigh: given how many queries there are, the pass to use; see `passes.weigh_few`.
        tally, fine_sums, fine_levels, coarse_levels, add_rows: see `passes` and `products`.
    """

    fine: int
    dots: Callable[[NDArray[np.integer]], Dots]
    weigh: Callable[[int], Callable[..., int]]
    tally: Callable[..., int]
    fine_sums: Callable[..., None]
    fine_levels: Callable[..., None]
    coarse_levels: Callable[..., None]
    add_rows: Callable[..., None]


@cache
def engine() -> Engine:
    """The fastest engine that is installed. All give the same answers."""
    return (compiled if find_spec("numba") else plain)(packed_dots if find_spec("numkong") else portable_dots)


def compiled(dots: Callable[[NDArray[np.integer]], Dots]) -> Engine:
    """With the passes that numba compiles."""
    from attention.lookup import passes, products

    def fine_or(codes: NDArray[np.integer]) -> Dots:
        if codes.dtype == np.int8:
            return dots(codes)
        wide = codes.astype(np.int16)
        return lambda codes, filled: products.fine_dots(codes, wide, filled)

    return Engine(
        3,
        fine_or,
        lambda queries: passes.weigh_few if queries < 16 else passes.weigh_many,
        passes.tally,
        products.fine_sums,
        products.fine_levels,
        products.coarse_levels,
        products.add_rows,
    )


def plain(dots: Callable[[NDArray[np.integer]], Dots]) -> Engine:
    """With the passes in NumPy."""
    return Engine(
        3,
        lambda codes: dots(codes) if codes.dtype == np.int8 else portable_dots(codes),
        lambda queries: portable.weigh,
        portable.tally,
        portable.fine_sums,
        portable.fine_levels,
        portable.coarse_levels,
        portable.add_rows,
    )


def packed_dots(queries: NDArray[np.integer]) -> Dots:
    """Products by numkong's packed kernels, which use VNNI where the processor has it and release the GIL."""
    import numkong

    kong: Any = numkong
    packed = kong.dots_pack(np.ascontiguousarray(queries), dtype="int8")

    def fill(codes: NDArray[np.int8], products: NDArray[np.int32]) -> None:
        out = kong.from_pointer(products.ctypes.data, products.shape, "int32", owner=products)
        kong.dots_packed(codes, packed, out=out)

    return fill


def portable_dots(queries: NDArray[np.integer]) -> Dots:
    """Products by NumPy, in floating point wide enough for every partial sum to be an exact integer."""
    largest = 127 if queries.dtype == np.int8 else 2**15
    wide = np.float32 if queries.shape[1] * 127 * largest < 2**24 else np.float64
    turned: NDArray[Any] = queries.astype(wide).T

    def fill(codes: NDArray[np.int8], products: NDArray[np.int32]) -> None:
        for first in range(0, len(codes), 1024):
            part = slice(first, first + 1024)
            rows: NDArray[Any] = codes[part].astype(wide)
            products[part] = rows @ turned

    return fill


@cache
def workers() -> int:
    """As many as there are cores for this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def pool() -> ThreadPoolExecutor:
    """The threads that scan, shared by all questions of the process."""
    return ThreadPoolExecutor(workers(), thread_name_prefix="lookup")
