"""One head of one text: every token of it attends to every other."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from attention.kernels.cpu import arrays
from attention.kernels.layout import LANES
from attention.kernels.simd import WORDS, Lanes
from attention.kernels.transformer.building import place_of
from attention.kernels.transformer.lane_blocks import WIDE
from attention.kernels.transformer.normalising import exponentials
from attention.kernels.transformer.parameters import QUERIES, TILE_QUERIES, Scratch
from attention.kernels.transformer.products import columns_of, multiply
from attention.kernels.transformer.rows import scale
from attention.kernels.transformer.words import FLOAT32, PANEL, TILES, Words

_LONG = ir.IntType(64)


@intrinsic
def _turn(typing_context: Any, rows: Any, row: Any, word: Any, into: Any, start: Any, apart: Any) -> Any:
    """16 words of 16 rows → 16 words of each word's rows, `apart` words from one to the next."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, row, word, _, start, apart = arguments
        rows, into = arrays(context, builder, signature, arguments, 0, 3)
        stride = builder.extract_value(rows.shape, rows.shape.type.count - 1)
        first = builder.gep(rows.data, [builder.add(builder.mul(row, stride), word)])
        lines = [
            Lanes.load(builder, WORDS, builder.gep(first, [builder.mul(stride, _LONG(line))])).value
            for line in range(LANES)
        ]
        # Squares of 8, 4, 2 and 1 change places across the diagonal.
        for side in (1, 2, 4, 8):
            upper = ir.Constant(WORDS, [at if not at & side else LANES + at - side for at in range(LANES)])
            lower = ir.Constant(WORDS, [at + side if not at & side else LANES + at for at in range(LANES)])
            for line in (line for line in range(LANES) if not line & side):
                one, other = lines[line], lines[line + side]
                lines[line] = builder.shuffle_vector(one, other, upper)
                lines[line + side] = builder.shuffle_vector(one, other, lower)
        for number, line in enumerate(lines):
            place = builder.gep(into.data, [builder.add(start, builder.mul(apart, _LONG(number)))])
            Lanes(builder, line).store(place)
        return context.get_dummy_value()

    integers = types.int64
    return types.void(rows, integers, integers, into, integers, integers), build


@intrinsic
def _pair(typing_context: Any, rows: Any, row: Any, word: Any, both: Any, into: Any, start: Any, apart: Any) -> Any:
    """32 bfloat16 of a row and of the next, or zeros for that → 16 words of one from each, and `apart` words on 16."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, row, word, both, _, start, apart = arguments
        rows, into = arrays(context, builder, signature, arguments, 0, 4)
        stride = builder.extract_value(rows.shape, rows.shape.type.count - 1)
        place = builder.gep(rows.data, [builder.add(builder.mul(row, stride), word)])
        one = Lanes.load(builder, WORDS, place).value
        other = Lanes.load(builder, WORDS, builder.gep(place, [stride])).value
        other = builder.select(both, other, ir.Constant(WORDS, [0] * LANES))
        half, upper = ir.Constant(WORDS, [16] * LANES), ir.Constant(WORDS, [-65536] * LANES)
        even = builder.or_(builder.lshr(builder.shl(one, half), half), builder.shl(other, half))
        odd = builder.or_(builder.lshr(one, half), builder.and_(other, upper))
        for side in range(2):
            order = [at // 2 + (LANES if at % 2 else 0) for at in range(LANES * side, LANES * side + LANES)]
            mixed = builder.shuffle_vector(even, odd, ir.Constant(WORDS, order))
            Lanes(builder, mixed).store(builder.gep(into.data, [builder.add(start, builder.mul(apart, _LONG(side)))]))
        return context.get_dummy_value()

    integers = types.int64
    return types.void(rows, integers, integers, types.boolean, into, integers, integers), build


@intrinsic
def _copy(typing_context: Any, rows: Any, row: Any, word: Any, into: Any, start: Any) -> Any:
    """16 words of a row."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, row, word, _, start = arguments
        rows, into = arrays(context, builder, signature, arguments, 0, 3)
        words = Lanes.load(builder, WORDS, place_of(builder, rows, row, word))
        words.store(builder.gep(into.data, [start]))
        return context.get_dummy_value()

    integers = types.int64
    return types.void(rows, integers, integers, into, integers), build


@njit(nogil=True)
def _keys(projected: Words, first: int, length: int, word: int, words: int, across: int, keys: Words) -> int:
    """A head's keys, side by side: `across` of them to a panel; behind the last there is what is of no meaning.

    Returns:
        How many words there are of each part.
    """
    size = -(-length // PANEL) * PANEL * words
    for part in range(projected.shape[0]):
        row = part * projected.shape[1] + first
        for block in range(0, length, across):
            for side in range(0, across, LANES):
                for some in range(0, words, LANES):
                    place = part * size + block * words + some * across + side
                    _turn(projected, row + block + side, word + some, keys, place, across)
    return size


@njit(nogil=True)
def _values(projected: Words, first: int, length: int, word: int, words: int, values: Words) -> int:
    """A head's values in float32, 16 components of all tokens after 16.

    Returns:
        How many words there are of each 16 components.
    """
    size = length * LANES
    for some in range(0, words, LANES):
        for token in range(length):
            _copy(projected, first + token, word + some, values, some * length + token * LANES)
    return size


@njit(nogil=True)
def _paired_values(
    projected: Words, first: int, length: int, padded: int, word: int, words: int, across: int, values: Words
) -> int:
    """A head's values in bfloat16, panel after panel, those of two tokens to a word; zeros up to `padded` tokens.

    Returns:
        How many words there are of each part of a panel.
    """
    size = padded // 2 * across
    parts = projected.shape[0]
    apart = LANES if across == PANEL else parts * size
    for some in range(0, words, LANES):
        for part in range(parts):
            row, start = part * projected.shape[1] + first, (2 * some // across * parts + part) * size
            for token in range(0, length, 2):
                place = start + token // 2 * across
                _pair(projected, row + token, word + some, token + 1 < length, values, place, apart)
            if across == PANEL:
                for place in range(start + (length + 1) // 2 * across, start + size):
                    values[place] = 0
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
    """The outputs of one head at tokens of one text.

    Args:
        way: one of `words`.
        projected: uint32[parts, rows, 3·n_heads·words], queries, which are scaled, keys and values; 32 rows behind the
            last text's are finite.
        first, length: the text's rows.
        begin, end: those that attend to all of them.
        head: which.
        words: those of a head, a multiple of 16.
        scratch: for a text as long.
        out: uint32[parts, rows, n_heads·words]
    """
    keys, values, logits, weights, sums = scratch.keys, scratch.values, scratch.logits, scratch.weights, scratch.sums
    stride = projected.shape[2]
    width = stride // 3
    query, key, value = head * words, width + head * words, 2 * width + head * words
    whole, across = way == FLOAT32, columns_of(way)
    behind = _keys(projected, first, length, key, words, across, keys)
    padded = -(-length // PANEL) * PANEL
    # Of lanes no more words than there are; of tiles whole ones, with zeros behind.
    deep = length if whole else (padded if way >= TILES else length + 1) // 2
    numbers = words if whole else 2 * words
    flat, apart, size = values, across, 0
    if not whole:
        size = _paired_values(projected, first, length, padded, value, words, across, values)
    elif WIDE:
        flat, apart = projected.reshape(-1), stride
    else:
        size = _values(projected, first, length, value, words, values)
    some_at_most = TILE_QUERIES if way >= TILES else QUERIES
    for at in range(begin, end, some_at_most):
        some = min(some_at_most, end - at)
        for block in range(0, length, across):
            start = block * words
            multiply(way, some, projected, at, query, keys, start, across, behind, words, logits, block, False)
        exponentials(way, logits, some, length, padded, weights, scratch.factors)
        for number in range(0, numbers, across):
            panel = number // across * projected.shape[0] * size
            start = first * stride + value + number if WIDE and whole else panel
            multiply(way, some, weights, 0, 0, flat, start, apart, size, deep, sums, 0, False)
            scale(way, sums, some, across, scratch.factors, out, at, head * numbers + number)
