"""The choice between the encoder's kernels: those that numba compiles, and those of the library in C."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, Protocol, TypeAlias

from attention.arrays import F32, I64
from attention.errors import ParameterError
from attention.kernels.dispatch import can_compile
from attention.kernels.transformer.by_numba import Numba
from attention.kernels.transformer.parameters import FLOAT32, Design, Network

Name: TypeAlias = Literal["native", "numba", "numpy"]

BY_PREFERENCE: tuple[Name, ...] = ("native", "numba")
"""The kernels to encode with, the first that there are."""

_NUMBA = Numba()

_chosen: Name | None = None


class PreparedNetwork(Protocol):
    """A network that kernels encode with. Threads may share it."""

    def room(self, rows: int, *, threads: int = 1) -> Any:
        """Return memory for the activations of `rows` tokens, which `threads` threads share.

        Its method `alone` returns the same memory for one thread.
        """

    def scratch(self, longest: int) -> Any:
        """Return the buffers of one thread, for texts of up to `longest` tokens."""

    def encode(
        self,
        tokens: I64,
        token_positions: I64,
        lengths: I64,
        poolings: I64,
        room: Any,
        scratch: Any,
        first: int,
        last: int,
        begin: int,
        end: int,
        out: F32,
    ) -> None:
        """Compute the vectors of some texts; the arguments are those of `encoding.encode`."""


class EncoderKernels(Protocol):
    """The kernels of an encoder."""

    @property
    def multiplies_bfloat16(self) -> bool:
        """Whether bfloat16 is faster than float32, which needs AVX512_BF16 or AMX.

        Without them each number is widened first, at half of float32's speed.
        """

    def way_of(self, precision: str) -> int:
        """Return the fastest way to multiply at a precision, "float32" or "bfloat16", on this processor.

        A way is a number that `parameters` defines: it says how numbers are packed and which instruction multiplies
        them. With AMX, the matrix unit, another way is faster.
        """

    def columns_of(self, way: int) -> int:
        """Return the number of columns that are packed side by side, as one panel, for this way to multiply."""

    def network(self, network: Network, design: Design, way: int) -> PreparedNetwork:
        """Return a network to encode with. Its matrices are packed with `columns_of(way)` columns to a panel."""


def use_encoder(name: Name | None) -> None:
    """Set the kernels of encoders that are prepared from now on; None for the first of BY_PREFERENCE that there are.

    Args:
        name: "native" for the library in C, "numba", or "numpy" for none of them.

    Raises:
        ParameterError: these kernels are not installed.
    """
    global _chosen
    if name is not None and name not in available():
        raise ParameterError(
            f"the encoder's kernels must be {', '.join(available())} or None on this machine, got {name!r}"
        )
    _chosen = name


def available() -> list[Name]:
    """Return which kernels there are on this machine."""
    return [*(name for name in BY_PREFERENCE if kernels_of(name) is not None), "numpy"]


def encoder_kernels() -> EncoderKernels | None:
    """Return the kernels to encode with, as `use_encoder` says; None if NumPy has to, by `Packed`."""
    return kernels_of(_chosen or available()[0])


@cache
def _native() -> EncoderKernels | None:
    from attention.kernels.native.library import load

    library = load()
    if library is None:
        return None
    from attention.kernels.transformer.in_c import Encoder

    return Encoder(library)


def kernels_of(name: Name) -> EncoderKernels | None:
    """Return the kernels of this name; None if they are not installed, and for "numpy"."""
    if name == "native":
        return _native()
    return _NUMBA if name == "numba" and can_compile() else None


def compiles_encoder() -> bool:
    """Return whether the kernels in use have to be compiled first, by numba."""
    return (_chosen or available()[0]) != "native"


def way_of(precision: str) -> int:
    """Return what `EncoderKernels.way_of` of the kernels in use does; FLOAT32 without kernels."""
    kernels = encoder_kernels()
    return FLOAT32 if kernels is None else kernels.way_of(precision)


def multiplies_bfloat16() -> bool:
    """Return whether the kernels in use multiply bfloat16 faster than float32."""
    kernels = encoder_kernels()
    return kernels is not None and kernels.multiplies_bfloat16
