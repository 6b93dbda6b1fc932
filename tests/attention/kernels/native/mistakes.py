"""Calls of kernels in C with a mistake in one argument: each has to be an error of Python, or to do no harm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from softkv_attention.kernels.in_c import SIGNATURES, KernelsInC
from tests.attention.kernels.native import cases
from tests.attention.kernels.native.placing import GuardedPages, placed

REFUSED = (TypeError, ValueError, IndexError, MemoryError)
HUGE = 2**62
METHODS = {*SIGNATURES, "top_rows"} - {"values_scratch"}


def wrong_arrays(array: np.ndarray) -> Iterator[tuple[str, np.ndarray, bool]]:
    """Give arrays that are not as this one: a name, the array, and whether it has to be refused."""
    other = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.float32, np.dtype(np.int64): np.int32}
    yield "of another type", array.astype(other.get(array.dtype, np.int16)), array.size > 0
    strided = np.repeat(array, 2, axis=-1)[..., ::2]
    yield "strided", strided, not strided.flags.c_contiguous
    yield "turned", array.copy(order="F"), not array.flags.f_contiguous
    yield "of one row less", array[:-1].copy(), False
    yield "of one column less", array[..., :-1].copy(), False
    yield "without rows", array[:0].copy(), False
    yield "twice as long", np.concatenate([array, array]), False
    yield "of one more axis", array[None].copy(), False
    yield "flat", array.reshape(-1).copy(), False
    yield "a number", array.reshape(-1)[:1].reshape(()).copy() if array.size else np.zeros((), array.dtype), False
    values = [-1, 1, 2**40, HUGE, -(2**63)] if array.dtype == np.int64 else []
    if array.dtype.kind == "f":
        values = [np.nan, np.inf, -np.inf, 0.0, 5e-324, np.finfo(array.dtype).max]
    for value in values:
        with np.errstate(all="ignore"):
            yield f"filled with {value}", np.full_like(array, value), False
        if array.size:
            one = array.copy()
            one.reshape(-1)[array.size // 2] = value
            yield f"with {value} in the middle", one, False
    yield "backwards", array[::-1].copy(), False


def wrong_arguments(argument: Any) -> Iterator[tuple[str, Any, bool]]:
    """Give mistakes in an argument: a name, the argument, and whether it has to be refused."""
    if isinstance(argument, np.ndarray):
        yield from wrong_arrays(argument)
    elif isinstance(argument, tuple):
        for index, field in enumerate(argument):
            for name, wrong, refused in wrong_arguments(field):
                yield (
                    f"{argument._fields[index]} {name}",
                    _copy(argument)._replace(**{argument._fields[index]: wrong}),
                    refused,
                )
    elif isinstance(argument, int) and not isinstance(argument, bool):
        yield from ((str(wrong), wrong, False) for wrong in (-HUGE, -64, -1, 0, 1, 7, 2**31, HUGE))
    elif isinstance(argument, float):
        yield from ((str(wrong), wrong, False) for wrong in (np.nan, np.inf, -np.inf, -1.0))


class Mistaken:
    """Kernels in C that make every call with each mistake first, with all arrays before pages that cannot be read.

    Args:
        running: the kernels.
        say: told the name of each call before it is made.
    """

    def __init__(self, running: KernelsInC, say: Callable[[str], None]) -> None:
        self._running, self._say = running, say

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._running, name)
        return partial(self._call, name, method) if name in METHODS else method

    def _call(self, name: str, method: Callable[..., Any], *arguments: Any) -> Any:
        for index, argument in enumerate(arguments):
            for mistake, wrong, refused in wrong_arguments(argument):
                what = f"{name}: argument {index} {mistake}"
                self._say(what)
                place = GuardedPages(end=True)
                raised = False
                with placed(self._running, place), np.errstate(all="ignore"):
                    try:
                        method(
                            *(_copy(other) for other in arguments[:index]), wrong, *map(_copy, arguments[index + 1 :])
                        )
                    except REFUSED:
                        raised = True
                place.check()
                assert raised or not refused, f"{what} was not refused"
        return method(*arguments)


def _copy(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        return argument.copy()
    return type(argument)(*map(_copy, argument)) if isinstance(argument, tuple) else argument


def mistaken_cases(say: Callable[[str], None]) -> dict[str, cases.Case]:
    """Return calls with mistakes, by name."""

    def mistaken(function: Callable[..., cases.Outputs], *sizes: int, **options: Any) -> cases.Case:
        return lambda running: function(Mistaken(running, say), *sizes, **options)

    return {
        "scans": mistaken(cases.scans, 65, 33, 3, fine=False, biased=True),
        "scans of many": mistaken(cases.scans, 65, 64, 17, fine=True, biased=False),
        "values": mistaken(cases.values, 130, 65, 3, fine=True, chunk=64),
        "values by bytes": mistaken(cases.values, 130, 65, 3, fine=False, chunk=64),
        "originals": mistaken(cases.originals, 19, 9, 3),
        "exact": mistaken(cases.exact, 19, 9, 3),
        "one form": mistaken(cases.forms, 17, 1),
        "forms": mistaken(cases.forms, 17, 3),
        "candidates": mistaken(cases.candidates, 9, 5),
    }
