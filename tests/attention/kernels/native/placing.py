"""Kernels in C whose arrays lie elsewhere: beside pages that cannot be read, or in memory shared with a program."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Protocol
from unittest import mock

import numpy as np

from softkv_attention.kernels import candidates_in_c, in_c
from softkv_attention.kernels.in_c import KernelsInC
from softkv_attention.kernels.native import pointers
from softkv_attention.kernels.transformer import in_c as encoder

PAGE, NO_ACCESS = mmap.PAGESIZE, 0
UNTOUCHED = 0xA5
"""The value of the bytes around an array, before and after a call."""


class Place(Protocol):
    """Memory for the arrays of calls."""

    def take(self, size: int, alignment: int) -> tuple[int, np.ndarray]:
        """Return an address for C, and the same memory as uint8[size]."""

    def freeze(self) -> None:
        """Let the memory that was taken last be read only, if the system can do that."""

    def check(self) -> None:
        """Raise AssertionError if a call wrote beside the memory that it was given."""


class GuardedPages:
    """Memory that ends, or begins, at a page that can be neither read nor written.

    Args:
        end: whether the arrays end at such a page; else they begin behind one.
    """

    def __init__(self, *, end: bool) -> None:
        self._end = end
        self._protect = ctypes.CDLL(None, use_errno=True).mprotect
        self._protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self._pages: list[Any] = []
        self._around: list[np.ndarray] = []

    def take(self, size: int, alignment: int) -> tuple[int, np.ndarray]:
        """Return the address of `size` bytes beside such a page, and the bytes."""
        whole = -(-max(size, 1) // PAGE) * PAGE
        pages = mmap.mmap(-1, whole + 2 * PAGE)
        memory = np.frombuffer(pages, dtype=np.uint8)
        start = memory.ctypes.data
        inside = memory[PAGE : PAGE + whole]
        inside[...] = UNTOUCHED
        for guard in (start, start + PAGE + whole):
            assert self._protect(guard, PAGE, NO_ACCESS) == 0
        first = (whole - size) // alignment * alignment if self._end else 0
        self._pages.append(pages)
        self._last = start + PAGE, whole
        self._around += [inside[:first], inside[first + size :]]
        return start + PAGE + first, inside[first : first + size]

    def freeze(self) -> None:
        """Let the pages that were taken last be read only: a call that writes there ends the process."""
        assert self._protect(*self._last, mmap.PROT_READ) == 0

    def check(self) -> None:
        """Raise AssertionError if a call wrote beside the memory that it was given."""
        assert all((around == UNTOUCHED).all() for around in self._around), "a call wrote beside an array"
        self._pages.clear()
        self._around.clear()


class Placed:
    """Arrays and their copies elsewhere, which calls in C read and write instead."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []

    def put(self, array: np.ndarray) -> int:
        """Copy an array, and return the address of the copy for C."""
        address, memory = self.place.take(array.nbytes, array.itemsize)
        if array.size:
            memory[...] = array.reshape(-1).view(np.uint8)
            self._pending.append((array, memory))
        return address

    def bring_back(self) -> None:
        """Copy what the call wrote into the arrays."""
        for array, memory in self._pending:
            if array.flags.writeable:
                array.reshape(-1).view(np.uint8)[...] = memory
        self._pending.clear()


class Kept(Placed):
    """Copies that are used in many calls, because structures hold their addresses. Parts of an array share its copy."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._copies: list[tuple[np.ndarray, int]] = []

    def put(self, array: np.ndarray) -> int:
        """Copy an array unless it is a part of another that was copied, and return the address of the copy for C."""
        start = array.ctypes.data
        for other, address in self._copies:
            if other.ctypes.data <= start and start + array.nbytes <= other.ctypes.data + other.nbytes:
                return address + start - other.ctypes.data
        self._copies.append((array, super().put(array)))
        return self._copies[-1][1]


@contextmanager
def placed(running: KernelsInC, place: Place) -> Iterator[KernelsInC]:
    """Give the kernels in C, and the encoder, copies of all arrays and of their scratch memory, in another place."""
    arrays, kept, functions, function_of = Placed(place), Kept(place), vars(running._c), running._library.function

    def address(array: np.ndarray, kind: Any, size: int | None = None) -> int:
        pointers.address(array, kind, size)
        copied = arrays.put(array)
        place.freeze()
        return copied

    def output(array: np.ndarray, kind: Any, size: int | None = None) -> int:
        pointers.output(array, kind, size)
        return arrays.put(array)

    def wrapped(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            result = function(*arguments)
            arrays.bring_back()
            kept.bring_back()
            return result

        return call

    def function(*arguments: Any) -> Any:
        return wrapped(function_of(*arguments))

    scratch = SimpleNamespace(of=lambda size: place.take(size, 64)[0])
    wrappers = SimpleNamespace(**{name: wrapped(function) for name, function in functions.items()})
    with (
        mock.patch.multiple(in_c, address=address, output=output, scratch=scratch),
        mock.patch.multiple(candidates_in_c, address=address, output=output, scratch=scratch),
        mock.patch.object(running, "_c", wrappers),
        mock.patch.object(encoder, "address_of", kept.put),
        mock.patch.object(running._library, "function", function),
    ):
        yield running
