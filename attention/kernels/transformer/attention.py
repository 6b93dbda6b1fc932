"""Self-attention of one head over one text."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from attention.kernels.cpu import arrays
from attention.kernels.layout import LANES
from attention.kernels.simd import WORDS, Lanes
from attention.kernels.transformer.code_building import pointer_to
from attention.kernels.transformer.epilogues import scale
from attention.kernels.transformer.normalisation import exponentials
from attention.kernels.transformer.parameters import FLOAT32, PANEL, QUERIES, TILE_QUERIES, TILES, Scratch, Words
from attention.kernels.transformer.products import WIDE, columns_of, multiply

_LONG = ir.IntType(64)


@intrinsic
def _turn(typing_context: Any, rows: Any, row: Any, word: Any, into: Any, start: Any, apart: Any) -> Any:
    """Transpose 16 words of 16 rows into 16 lines, `apart` words from one line to the next."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, row, word, _, start, apart = arguments
        rows, into = arrays(context, builder, signature, arguments, 0, 3)
        stride = builder.extract_value(rows.shape, rows.shape.type.count - 1)
        first = builder.gep(rows.data, [builder.add(builder.mul(row, stride), word)])
        lines = [
            Lanes.load(builder, WORDS, builder.gep(first, [builder.mul(stride, _LONG(line))])).value
            for line in range(LANES)
        ]
        # Swap off-diagonal squares of side 1, 2, 4 and 8.
        for side in (1, 2, 4, 8):
            upper = ir.Constant(WORDS, [index if not index & side else LANES + index - side for index in range(LANES)])
            lower = ir.Constant(WORDS, [index + side if not index & side else LANES + index for index in range(LANES)])
            for line in (line for line in range(LANES) if not line & side):
                one, other = lines[line], lines[line + side]
                lines[line] = builder.shuffle_vector(one, other, upper)
                lines[line + side] = builder.shuffle_vector(one, other, lower)
        for number, line in enumerate(lines):
            pointer = builder.gep(into.data, [builder.add(start, builder.mul(apart, _LONG(number)))])
            Lanes(builder, line).store(pointer)
        return context.get_dummy_value()

    integers = types.int64
    return types.void(rows, integers, integers, into, integers, integers), build


@intrinsic
def _pair(typing_context: Any, rows: Any, row: Any, word: Any, both: Any, into: Any, start: Any, apart: Any) -> Any:
    """Interleave 32 bfloat16 of a row with those of the next row, or with zeros.

    The result is two lines of 16 words, `apart` words apart.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, row, word, both, _, start, apart = arguments
        rows, into = arrays(context, builder, signature, arguments, 0, 4)
        stride = builder.extract_value(rows.shape, rows.shape.type.count - 1)
        pointer = builder.gep(rows.data, [builder.add(builder.mul(row, stride), word)])
        one = Lanes.load(builder, WORDS, pointer).value
        other = Lanes.load(builder, WORDS, builder.gep(pointer, [stride])).value
        other = builder.select(both, other, ir.Constant(WORDS, [0] * LANES))
        half, upper = ir.Constant(WORDS, [16] * LANES), ir.Constant(WORDS, [-65536] * LANES)
        even = builder.or_(builder.lshr(builder.shl(one, half), half), builder.shl(other, half))
        odd = builder.or_(builder.lshr(one, half), builder.and_(other, upper))
        for side in range(2):
            order = [index // 2 + (LANES if index % 2 else 0) for index in range(LANES * side, LANES * side + LANES)]
            mixed = builder.shuffle_vector(even, odd, ir.Constant(WORDS, order))
            Lanes(builder, mixed).store(builder.gep(into.data, [builder.add(start, builder.mul(apart, _LONG(side)))]))
        return context.get_dummy_value()

    integers = types.int64
    return types.void(rows, integers, integers, types.boolean, into, integers, integers), build


@intrinsic
def _copy(typing_context: Any, rows: Any, row: Any, word: Any, into: Any, start: Any) -> Any:
    """Copy 16 words of a row to `into`."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, row, word, _, start = arguments
        rows, into = arrays(context, builder, signature, arguments, 0, 3)
        words = Lanes.load(builder, WORDS, pointer_to(builder, rows, row, word))
        words.store(builder.gep(into.data, [start]))
        return context.get_dummy_value()

    integers = types.int64
    return types.void(rows, integers, integers, into, integers), build


@njit(nogil=True)
def _keys(projected: Words, first: int, length: int, word: int, words: int, across: int, keys: Words) -> int:
    """Write a head's keys as panels, each of `across` interleaved keys.

    Keys after the text's last token are meaningless.

    Returns:
        The number of words of each part.
    """
    size = -(-length // PANEL) * PANEL * words
    for part in range(projected.shape[0]):
        row = part * projected.shape[1] + first
        for block in range(0, length, across):
            for side in range(0, across, LANES):
                for count in range(0, words, LANES):
                    pointer = part * size + block * words + count * across + side
                    _turn(projected, row + block + side, word + count, keys, pointer, across)
    return size


@njit(nogil=True)
def _values(projected: Words, first: int, length: int, word: int, words: int, values: Words) -> int:
    """Write a head's float32 values: 16 components of all tokens, then the next 16 components.

    Returns:
        The number of words of each 16 components.
    """
    size = length * LANES
    for count in range(0, words, LANES):
        for token in range(length):
            _copy(projected, first + token, word + count, values, count * length + token * LANES)
    return size


@njit(nogil=True)
def _value_pairs(
    projected: Words, first: int, length: int, padded: int, word: int, words: int, across: int, values: Words
) -> int:
    """Write a head's bfloat16 values, two tokens to a word, with zeros up to `padded` tokens.

    They are written panel by panel.

    Returns:
        The number of words of each part of a panel.
    """
    size = padded // 2 * across
    parts = projected.shape[0]
    apart = LANES if across == PANEL else parts * size
    for count in range(0, words, LANES):
        for part in range(parts):
            row, start = part * projected.shape[1] + first, (2 * count // across * parts + part) * size
            for token in range(0, length, 2):
                pointer = start + token // 2 * across
                _pair(projected, row + token, word + count, token + 1 < length, values, pointer, apart)
            if across == PANEL:
                for pointer in range(start + (length + 1) // 2 * across, start + size):
                    values[pointer] = 0
    return size


@njit(nogil=True)
def attend(
    way: int,
    projected: Words,
    first: int,
    length: int,
    begin: int,
    end: int,
    head: int,
    words: int,
    scratch: Scratch,
    out: Words,
) -> None:
    """Compute the outputs of one head for some tokens of one text.

    Args:
        way: how numbers are packed and multiplied; see `parameters`.
        projected: uint32[parts, rows, 3·n_heads·words], scaled queries, keys and values; the 32 rows after the last
            text must be finite.
        first, length: the text's rows.
        begin, end: the rows whose outputs are computed; they attend to all of the text.
        head: the number of the head.
        words: words of a head, a multiple of 16.
        scratch: buffers for a text of this length.
        out: uint32[parts, rows, n_heads·words]
    """
    keys, values, logits, weights, sums = scratch.keys, scratch.values, scratch.logits, scratch.weights, scratch.sums
    stride = projected.shape[2]
    width = stride // 3
    query, key, value = head * words, width + head * words, 2 * width + head * words
    whole, across = way == FLOAT32, columns_of(way)
    behind = _keys(projected, first, length, key, words, across, keys)
    padded = -(-length // PANEL) * PANEL
    # Vector instructions read only existing words. Tiles are always full, padded with zeros.
    deep = length if whole else (padded if way >= TILES else length + 1) // 2
    numbers = words if whole else 2 * words
    flat, apart, size = values, across, 0
    if not whole:
        size = _value_pairs(projected, first, length, padded, value, words, across, values)
    elif WIDE:
        flat, apart = projected.reshape(-1), stride
    else:
        size = _values(projected, first, length, value, words, values)
    some_at_most = TILE_QUERIES if way >= TILES else QUERIES
    for index in range(begin, end, some_at_most):
        count = min(some_at_most, end - index)
        for block in range(0, length, across):
            start = block * words
            multiply(way, count, projected, index, query, keys, start, across, behind, words, logits, block, False)
        exponentials(way, logits, count, length, padded, weights, scratch.factors)
        for number in range(0, numbers, across):
            panel = number // across * projected.shape[0] * size
            start = first * stride + value + number if WIDE and whole else panel
            multiply(way, count, weights, 0, 0, flat, start, apart, size, deep, sums, 0, False)
            scale(way, sums, count, across, scratch.factors, out, index, head * numbers + number)
