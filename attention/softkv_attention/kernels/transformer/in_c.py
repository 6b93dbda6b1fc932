"""The encoder in the library of kernels: its function, and the structures that it reads, for Python.

A structure of ctypes neither keeps its arrays alive nor knows their sizes. So each one here is made once, from arrays
whose type, shape and order in memory are checked, and holds them. A call then passes addresses.
"""

from __future__ import annotations

import ctypes
from copy import copy
from ctypes import Structure, byref, c_float, c_int64, c_void_p
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from softkv_attention.arrays import F32, I64
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.kernels.native.library import Library
from softkv_attention.kernels.native.pointers import address_of, fields
from softkv_attention.kernels.transformer.parameters import (
    FLOAT32,
    INT16,
    PANEL,
    SPARE,
    THREE,
    TILES,
    Activations,
    Design,
    Network,
    Scratch,
    Words,
    depth,
    parts,
    room,
    scratch,
)

Array: TypeAlias = npt.NDArray[Any]

REAL, WORD, INTEGER = np.dtype(np.float32), np.dtype(np.uint32), np.dtype(np.int64)


class Table(Structure):
    """float32[rows, columns], in C."""

    _fields_ = (("start", c_void_p), ("rows", c_int64), ("columns", c_int64))


class Packed(Structure):
    """uint32[parts, rows, words], packed numbers, in C."""

    _fields_ = (("start", c_void_p), ("parts", c_int64), ("rows", c_int64), ("words", c_int64))


class DesignInC(Structure):
    """`Design`, in C."""

    _fields_ = tuple((name, c_int64) for name in Design._fields)


class NetworkInC(Structure):
    """`Network`, in C. There it has the numbers of positions too, and its fields stand in another order."""

    _fields_ = (
        *((name, Table) for name in ("tokens", "positions")),
        *((name, c_void_p) for name in ("projections", "output", "inner", "outer")),
        *((name, Table) for name in ("projections_bias", "output_bias", "inner_bias", "outer_bias")),
        *(("scales", Table), ("shifts", Table), ("norms", c_void_p), ("epsilons", c_void_p)),
        *(("head_scales", Table), ("head_epsilons", c_void_p)),
        *(("rotations", c_void_p), ("n_positions", c_int64), ("rotation_of", c_void_p), ("windows", c_void_p)),
        *(("distances", Table), ("token_scale", c_float)),
    )


class ActivationsInC(Structure):
    """`Activations`, in C. There `projected` is the first of `copies`."""

    _fields_ = (("x", Table), ("read", Packed), ("projected", Packed), ("copies", c_int64), ("joined", Packed))


class ScratchInC(Structure):
    """`Scratch`, in C."""

    _fields_ = (
        *(("keys", c_void_p), ("values", c_void_p), ("logits", Table), ("weights", Packed), ("factors", c_void_p)),
        *(("hidden", Packed), ("sums", Table), ("head", Table), ("y", Table)),
    )


class TextsInC(Structure):
    """Some texts, whose tokens are concatenated, in C."""

    _fields_ = fields("tokens positions lengths poolings", "count n_poolings")


class PartInC(Structure):
    """The ranges of tokens and of stages that a call computes, in C."""

    _fields_ = fields("", "first last begin end")


def require(name: str, array: Array, dtype: np.dtype[Any], *shape: int | None) -> Array:
    """Return an array after checking that a kernel can read it.

    Args:
        name: what an error calls it.
        dtype: the type of its elements.
        shape: its shape; None for an axis of any length.

    Raises:
        ParameterError: the array has another type, or its elements are not next to each other in C's order.
        ShapeError: the array has another shape.
    """
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise ParameterError(
            f"{name} must be {dtype} in C's order, got {array.dtype} with the strides {array.strides}: "
            "use numpy.ascontiguousarray"
        )
    if array.shape != shape and not _fits(array.shape, shape):
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise ShapeError(f"{name} must have shape [{sizes}], got {list(array.shape)}: pass arrays of one network")
    return array


def _fits(shape: tuple[int, ...], sizes: tuple[int | None, ...]) -> bool:
    return len(shape) == len(sizes) and all(size in (None, length) for length, size in zip(shape, sizes, strict=True))


def table_of(name: str, array: F32, *shape: int | None) -> Table:
    """Return the structure of float32[rows, columns], which `require` checks; float32[columns] is one row."""
    require(name, array, REAL, *(shape or [None] * array.ndim))
    return Table(address_of(array), len(array) if array.ndim > 1 else 1, array.shape[-1])


def words_in_c(name: str, array: Words, *shape: int | None) -> Packed:
    """Return the structure of uint32[parts, rows, words], which `require` checks."""
    require(name, array, WORD, *(shape or [None] * 3))
    return Packed(address_of(array), *array.shape)


def design_in_c(design: Design) -> DesignInC:
    """Return the structure of a design."""
    return DesignInC(*design)


def scratch_in_c(scratch: Scratch) -> ScratchInC:
    """Return the structure of some buffers. The caller has to keep them alive."""
    return ScratchInC(
        keys=address_of(require("keys", scratch.keys, WORD, None)),
        values=address_of(require("values", scratch.values, WORD, None)),
        logits=table_of("logits", scratch.logits),
        weights=words_in_c("weights", scratch.weights),
        factors=address_of(require("factors", scratch.factors, REAL, None)),
        hidden=words_in_c("hidden", scratch.hidden),
        sums=table_of("sums", scratch.sums),
        head=table_of("head", scratch.head),
        y=table_of("y", scratch.y),
    )


class Room:
    """Activations of up to `rows` tokens, for C.

    Attributes:
        arrays: the memory.
        rows: the largest number of tokens.
        address: the address of its structure.
    """

    def __init__(self, arrays: Activations) -> None:
        self.arrays = arrays
        copies, count, rows, words = arrays.projected.shape
        self.rows = rows - SPARE
        require("projected", arrays.projected, WORD, None, count, rows, words)
        self._structure = ActivationsInC(
            x=table_of("x", arrays.x, rows, None),
            read=words_in_c("read", arrays.read, count, rows, None),
            projected=Packed(address_of(arrays.projected), count, rows, words),
            copies=copies,
            joined=words_in_c("joined", arrays.joined, count, rows, None),
        )
        self.address = ctypes.addressof(self._structure)
        self._alone = self if copies == 1 else Room(arrays._replace(projected=arrays.projected[:1]))

    def alone(self) -> Room:
        """Return the same memory for one thread, which needs one copy of queries, keys and values."""
        return self._alone


class Buffers:
    """The buffers of one thread for texts of up to `longest` tokens, for C.

    Attributes:
        arrays: the memory.
        longest: the largest number of tokens of a text.
        address: the address of their structure.
    """

    def __init__(self, arrays: Scratch, longest: int) -> None:
        self.arrays, self.longest = arrays, longest
        self._structure = scratch_in_c(arrays)
        self.address = ctypes.addressof(self._structure)


class NativeNetwork:
    """A network that C encodes with. Threads may share it.

    Args:
        encode: the library's function.
        network: the parameters of l layers, packed for this library.
        design: what the layers are like.
        way: how numbers are packed and multiplied.

    Raises:
        ParameterError, ShapeError: the arrays are not those of such a network.
    """

    def __init__(self, encode: Any, network: Network, design: Design, way: int) -> None:
        self._encode, self._arrays, self._design, self._way = encode, network, design, way
        self._structure, self._design_in_c = _network_in_c(network, design, way), design_in_c(design)
        self._width = network.tokens.shape[1]
        self._addresses = ctypes.addressof(self._structure), ctypes.addressof(self._design_in_c)

    def with_tokens(self, tokens: F32) -> NativeNetwork:
        """Return this network with another table of tokens, float32[n_vocabulary, d]; nothing else is copied."""
        changed = copy(self)
        changed._arrays = self._arrays._replace(tokens=tokens)
        changed._structure = NetworkInC.from_buffer_copy(self._structure)
        changed._structure.tokens = table_of("tokens", tokens, None, self._width)
        changed._addresses = ctypes.addressof(changed._structure), self._addresses[1]
        return changed

    def room(self, rows: int, *, threads: int = 1) -> Room:
        """Return memory for the activations of `rows` tokens, which `threads` threads share."""
        return Room(room(self._arrays, self._design, self._way, rows, threads=threads))

    def scratch(self, longest: int) -> Buffers:
        """Return the buffers of one thread, for texts of up to `longest` tokens."""
        return Buffers(scratch(self._arrays, self._design, self._way, longest), longest)

    def encode(
        self,
        tokens: I64,
        token_positions: I64,
        lengths: I64,
        poolings: I64,
        room: Room,
        scratch: Buffers,
        first: int,
        last: int,
        begin: int,
        end: int,
        out: F32,
    ) -> None:
        """Compute the vectors of b texts, or only some stages of that for some of their tokens.

        The tokens of the texts are concatenated. Stage 0 embeds tokens, stages 1 to l compute the layers, and stage
        l + 1 pools. Threads can share a stage; it starts when the previous one is complete for all tokens.

        Args:
            tokens: int64[t]. The caller checks that they are below n_vocabulary.
            token_positions: int64[t], the position of each token in its text.
            lengths: int64[b], from 1 to n_positions. The caller checks that they sum to t.
            poolings: int64[p], values of `POOLINGS`.
            room: activations of t tokens, as earlier stages left them.
            scratch: this thread's buffers, for texts of these lengths.
            first, last: the range of tokens to compute.
            begin, end: the range of stages to compute, of l + 2; the last stage pools all texts.
            out: float32[p, b, d], filled by the last stage; vectors are not normalised to length 1.

        Raises:
            ParameterError: an array has another type, or lies otherwise in memory, or `out` is read-only.
            ShapeError: the room, the buffers or `out` are too small.
        """
        count, texts, vectors = len(tokens), len(lengths), len(poolings)
        require("tokens", tokens, INTEGER, count)
        require("token_positions", token_positions, INTEGER, count)
        require("lengths", lengths, INTEGER, texts)
        require("poolings", poolings, INTEGER, vectors)
        if not require("out", out, REAL, vectors, texts, self._width).flags.writeable:
            raise ParameterError("out must be writable, got a read-only array: pass a new one")
        if not 0 <= first <= last <= count <= min(room.rows, scratch.longest):
            raise ShapeError(
                f"rows {first} to {last} of {count} tokens need room for them, got room for {room.rows} and buffers "
                f"for {scratch.longest}: make both for the number of tokens"
            )
        packed = TextsInC(*map(address_of, (tokens, token_positions, lengths, poolings)), texts, vectors)
        self._encode(
            self._way,
            *self._addresses,
            byref(packed),
            room.address,
            scratch.address,
            byref(PartInC(first, last, begin, end)),
            address_of(out),
        )


def _network_in_c(network: Network, design: Design, way: int) -> NetworkInC:
    layers, width = network.output_bias.shape
    heads, head_width = design.heads + 2 * design.key_heads, design.head_width
    hidden, norms = network.inner_bias.shape[1], 2 * (2 * layers + 1)
    for name, size in {"the width": width, "heads": head_width, "hidden units": hidden >> design.gated}.items():
        if size % PANEL:
            raise ShapeError(f"{name} must be a multiple of {PANEL}, got {size}: pad with zeros")

    def panels(name: str, matrices: Words, depth_of: int, columns: int) -> int:
        return address_of(require(name, matrices, WORD, layers * parts(way) * depth(depth_of, way) * columns))

    def numbers(name: str, array: Array, dtype: np.dtype[Any], *shape: int | None) -> int:
        return address_of(require(name, array, dtype, *shape))

    distances, biased = network.distances, network.distances.shape[-1] > 0
    kinds, n_positions, _ = network.rotations.shape
    require("rotations", network.rotations, REAL, None, None, head_width)
    if network.rotation_of.min() < 0 or network.rotation_of.max() >= kinds:
        raise ParameterError(f"rotation_of must have numbers from 0 to {kinds - 1}, got {network.rotation_of}")
    return NetworkInC(
        tokens=table_of("tokens", network.tokens, None, width),
        positions=table_of("positions", network.positions, None, width),
        projections=panels("projections", network.projections, width, heads * head_width),
        output=panels("output", network.output, design.heads * head_width, width),
        inner=panels("inner", network.inner, width, hidden),
        outer=panels("outer", network.outer, hidden >> design.gated, width),
        projections_bias=table_of("projections_bias", network.projections_bias, layers, heads * head_width),
        output_bias=table_of("output_bias", network.output_bias, layers, width),
        inner_bias=table_of("inner_bias", network.inner_bias, layers, hidden),
        outer_bias=table_of("outer_bias", network.outer_bias, layers, width),
        scales=table_of("scales", network.scales, norms, width),
        shifts=table_of("shifts", network.shifts, norms, width),
        norms=numbers("norms", network.norms, INTEGER, norms),
        epsilons=numbers("epsilons", network.epsilons, REAL, norms),
        head_scales=table_of("head_scales", network.head_scales, 2 * layers, head_width),
        head_epsilons=numbers("head_epsilons", network.head_epsilons, REAL, 2 * layers),
        rotations=address_of(network.rotations),
        n_positions=n_positions,
        rotation_of=numbers("rotation_of", network.rotation_of, INTEGER, layers),
        windows=numbers("windows", network.windows, INTEGER, layers, 2),
        distances=table_of("distances", distances, design.heads if biased else None, None),
        token_scale=network.token_scale,
    )


class Encoder:
    """The encoder of a library, for its kind of processor."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._encode = library.function("encode_texts", None, c_int64, *[c_void_p] * 7)
        self._columns_of = library.function("encoder_columns_of", c_int64, c_int64)

    @property
    def multiplies_bfloat16(self) -> bool:
        """Whether bfloat16 is the fastest precision, which needs AMX.

        AVX512_BF16 multiplies it a tenth faster than int16, which is a thousand times as exact.
        """
        return self.library.amx

    @property
    def multiplies_int16(self) -> bool:
        """Whether int16 is faster than float32, texts of any length taken together: on x86 without AMX.

        AMX and ARM multiply float32 as fast, or faster.
        """
        return self.library.kind.machine == "x86_64" and not self.library.amx

    def way_of(self, precision: str) -> int:
        """Return the fastest way to multiply at a precision, "float32", "int16" or "bfloat16", on this processor.

        A way is a number that `parameters` defines: it says how numbers are packed and which instruction multiplies
        them. With AMX, the matrix unit, another way is faster.
        """
        return {"float32": THREE if self.library.amx else FLOAT32, "int16": INT16, "bfloat16": TILES}[precision]

    def columns_of(self, way: int) -> int:
        """Return the number of columns that are packed side by side, as one panel, for this way to multiply."""
        return int(self._columns_of(way))

    def network(self, network: Network, design: Design, way: int) -> NativeNetwork:
        """Return a network to encode with. Its matrices are packed with `columns_of(way)` columns to a panel."""
        return NativeNetwork(self._encode, network, design, way)
