"""The encoder's kernels that numba compiles, in the form of `dispatch.EncoderKernels`."""

from __future__ import annotations

import sys

from attention.arrays import F32, I64
from attention.kernels.transformer.parameters import (
    BFLOAT16,
    FLOAT32,
    THREE,
    TILES,
    Activations,
    Design,
    Network,
    Scratch,
    room,
    scratch,
)


class NumbaRoom:
    """The activations of some tokens, for kernels that numba compiled."""

    def __init__(self, arrays: Activations) -> None:
        self.arrays = arrays

    def alone(self) -> NumbaRoom:
        """Return the same memory for one thread, which needs one copy of queries, keys and values."""
        return NumbaRoom(self.arrays._replace(projected=self.arrays.projected[:1]))


class NumbaNetwork:
    """A network that kernels of numba encode with."""

    def __init__(self, network: Network, design: Design, way: int) -> None:
        self._network, self._design, self._way = network, design, way

    def room(self, rows: int, *, threads: int = 1) -> NumbaRoom:
        """Return memory for the activations of `rows` tokens, which `threads` threads share."""
        return NumbaRoom(room(self._network, self._design, self._way, rows, threads=threads))

    def scratch(self, longest: int) -> Scratch:
        """Return the buffers of one thread, for texts of up to `longest` tokens."""
        return scratch(self._network, self._design, self._way, longest)

    def encode(
        self,
        tokens: I64,
        token_positions: I64,
        lengths: I64,
        poolings: I64,
        room: NumbaRoom,
        scratch: Scratch,
        first: int,
        last: int,
        begin: int,
        end: int,
        out: F32,
    ) -> None:
        """Compute the vectors of some texts; the arguments are those of `encoding.encode`."""
        from attention.kernels.transformer.encoding import encode

        texts = (tokens, token_positions, lengths, poolings)
        encode(self._way, self._network, self._design, *texts, room.arrays, scratch, first, last, begin, end, out)


class Numba:
    """The kernels that numba compiles."""

    @property
    def multiplies_bfloat16(self) -> bool:
        """Whether bfloat16 is faster than float32: on numba's target if that is fixed already, else on the host."""
        if "attention.kernels.cpu" not in sys.modules:
            import llvmlite.binding as llvm

            has = llvm.get_host_cpu_features()
            return bool(has.get("avx512bf16") or (has.get("amx-tile") and has.get("amx-bf16")))
        from attention.kernels.transformer.products import MULTIPLIES_PAIRS, usable

        return MULTIPLIES_PAIRS or usable()

    def way_of(self, precision: str) -> int:
        """Return the fastest way to multiply at a precision. This imports the compiler."""
        from attention.kernels.transformer.products import usable

        if precision == "float32":
            return THREE if usable() else FLOAT32
        return TILES if usable() else BFLOAT16

    def columns_of(self, way: int) -> int:
        """Return the number of columns of a panel for this way to multiply. This imports the compiler."""
        from attention.kernels.transformer import products

        return products.columns_of(way)

    def network(self, network: Network, design: Design, way: int) -> NumbaNetwork:
        """Return a network to encode with."""
        return NumbaNetwork(network, design, way)
