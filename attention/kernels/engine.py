"""What the lookup runs on: machine code made by numba, or NumPy where there is none, or none yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention.kernels import in_numpy as portable


@dataclass(frozen=True)
class Engine:
    """The steps of a scan.

    Attributes:
        name: what it runs on, for people to read.
        unit: whether it uses the processor's matrix unit.
        packed_queries: makes of coded queries what the passes read.
        lead, weigh, tally: see `passes`.
        weight_of, blend, add_rows, all_products, all_sums, row_products, quadratic_forms: see `products`.
    """

    name: str
    unit: bool
    packed_queries: Callable[..., Any]
    lead: Callable[..., None]
    weigh: Callable[..., int]
    tally: Callable[..., int]
    weight_of: Callable[..., tuple[NDArray[np.float64], NDArray[np.float64]]]
    blend: Callable[..., None]
    add_rows: Callable[..., None]
    all_products: Callable[..., None]
    all_sums: Callable[..., None]
    row_products: Callable[..., NDArray[np.float64]]
    quadratic_forms: Callable[..., NDArray[np.float64]]


_chosen: Engine | None = None
_held: ContextVar[Engine | None] = ContextVar("engine", default=None)


def engine() -> Engine:
    """The engine of the answer that is being made, see `held`; else the one that was chosen.

    Both give the same answers, to the last digits; so one answer is made by one of them. A thread that takes part in an
    answer has to be given it.
    """
    return _held.get() or _chosen or (compiled() if can_compile() else plain())


def choose(chosen: Engine | None) -> None:
    """Have answers made by this engine from now on; None for the faster one of those that are installed."""
    global _chosen
    _chosen = chosen


@contextmanager
def held() -> Iterator[None]:
    """Keep the engine while an answer is made, whichever is chosen meanwhile."""
    token = _held.set(engine())
    try:
        yield
    finally:
        _held.reset(token)


def can_compile() -> bool:
    """Whether machine code can be made here."""
    return find_spec("numba") is not None


@cache
def compiled() -> Engine:
    """With passes that numba compiles."""
    from attention.kernels import key_passes as passes
    from attention.kernels import value_passes as products
    from attention.kernels.dot_amx import usable
    from attention.kernels.dot_vnni import has_instruction

    names = ["numba"] + ["VNNI"] * has_instruction() + ["AMX"] * usable()
    return Engine(
        name=" + ".join(names),
        unit=usable(),
        packed_queries=passes.packed_queries,
        lead=passes.lead,
        weigh=passes.weigh,
        tally=passes.tally,
        weight_of=products.weight_of,
        blend=products.blend,
        add_rows=products.add_rows,
        all_products=products.all_products,
        all_sums=products.all_sums,
        row_products=products.row_products,
        quadratic_forms=products.quadratic_forms,
    )


@cache
def plain() -> Engine:
    """With passes in NumPy."""
    return Engine(
        name="NumPy",
        unit=False,
        packed_queries=portable.packed_queries,
        lead=portable.lead,
        weigh=portable.weigh,
        tally=portable.tally,
        weight_of=portable.weight_of,
        blend=portable.blend,
        add_rows=portable.add_rows,
        all_products=portable.all_products,
        all_sums=portable.all_sums,
        row_products=portable.row_products,
        quadratic_forms=portable.quadratic_forms,
    )


@cache
def workers() -> int:
    """As many as there are cores for this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def pool() -> ThreadPoolExecutor:
    """The threads that scan, shared by all questions of the process."""
    return ThreadPoolExecutor(workers(), thread_name_prefix="lookup")
