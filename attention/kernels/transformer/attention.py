"""Self-attention of some heads over one text."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from attention.arrays import F32
from attention.kernels.cpu import arrays
from attention.kernels.layout import LANES
from attention.kernels.simd import WORDS, Lanes
from attention.kernels.transformer.code_building import pointer_to
from attention.kernels.transformer.parameters import (
    FLOAT32,
    PANEL,
    QUERIES,
    TILE_QUERIES,
    TILES,
    Design,
    Scratch,
    Words,
)
from attention.kernels.transformer.products import WIDE, columns_of, multiply
from attention.kernels.transformer.row_operations import add_distances, exponentials, scale

_LONG = ir.IntType(64)


@intrinsic
def _transpose(typing_context: Any, rows: Any, row: Any, word: Any, into: Any, start: Any, apart: Any) -> Any:
    """Transpose a square of 16 by 16 words: words `word` to `word + 16` of the rows from `row` on.

    The square becomes 16 lines of `into`, from element `start` on, `apart` words from one line to the next.
    """

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
def _interleave_rows(
    typing_context: Any, rows: Any, row: Any, word: Any, both: Any, into: Any, start: Any, apart: Any
) -> Any:
    """Interleave 32 bfloat16 of one row with those of the next row, or with zeros if `both` is false.

    They are read from word `word` of row `row` on. The result is two lines of 16 words in `into`, from element `start`
    on, `apart` words apart.
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
    """Copy 16 words of row `row`, from word `word` on, to `into` from element `start` on."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, row, word, _, start = arguments
        rows, into = arrays(context, builder, signature, arguments, 0, 3)
        words = Lanes.load(builder, WORDS, pointer_to(builder, rows, row, word))
        words.store(builder.gep(into.data, [start]))
        return context.get_dummy_value()

    integers = types.int64
    return types.void(rows, integers, integers, into, integers), build


@njit(nogil=True)
def _arrange_keys(projected: Words, first: int, length: int, word: int, words: int, across: int, keys: Words) -> int:
    """Write the keys of one head and one text as panels of `across` keys each, which queries can be multiplied with.

    Keys of the last panel after the text's last token are meaningless.

    Args:
        projected: uint32[parts, rows, words], queries, keys and values of all heads.
        first, length: the first row and the number of rows of the text.
        word, words: the first word of the head's keys and their number.
        across: the number of keys that a panel interleaves.
        keys: the buffer to write to.

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
                    _transpose(projected, row + block + side, word + count, keys, pointer, across)
    return size


@njit(nogil=True)
def _arrange_values(projected: Words, first: int, length: int, word: int, words: int, values: Words) -> int:
    """Write the float32 values of one head and one text in the order in which a product reads them.

    First come 16 components of all tokens, then the next 16 components of all tokens, and so on.

    Args:
        projected: uint32[parts, rows, words], queries, keys and values of all heads.
        first, length: the first row and the number of rows of the text.
        word, words: the first word of the head's values and their number.
        values: the buffer to write to.

    Returns:
        The number of words of each 16 components.
    """
    size = length * LANES
    for count in range(0, words, LANES):
        for token in range(length):
            _copy(projected, first + token, word + count, values, count * length + token * LANES)
    return size


@njit(nogil=True)
def _arrange_value_pairs(
    projected: Words, first: int, length: int, padded: int, word: int, words: int, across: int, values: Words
) -> int:
    """Write the bfloat16 values of one head and one text as panels, two tokens to a word.

    Args:
        projected: uint32[parts, rows, words], queries, keys and values of all heads.
        first, length: the first row and the number of rows of the text.
        padded: the number of tokens to write; those after the text's last are zeros.
        word, words: the first word of the head's values and their number.
        across: the number of components that a panel interleaves.
        values: the buffer to write to.

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
                _interleave_rows(projected, row + token, word + count, token + 1 < length, values, pointer, apart)
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
    design: Design,
    key_head: int,
    back: int,
    ahead: int,
    distances: F32,
    scratch: Scratch,
    out: Words,
) -> None:
    """Compute the outputs of the attention heads that share some keys and values, for some tokens of one text.

    Products skip keys that are too far away. What is skipped depends on the text's panels of 32 tokens alone, and its
    terms are exact zeros, so results do not depend on `begin` and `end`.

    Args:
        way: how numbers are packed and multiplied, one of FLOAT32, BFLOAT16, TILES and THREE; see `parameters`.
        projected: uint32[parts, rows, …], scaled queries of all heads, then keys and values of all their heads; the 32
            rows after the last text must be finite.
        first, length: the first row and the number of rows of the text.
        begin, end: the rows whose outputs are computed.
        design: the number and width of heads.
        key_head: the number of the head of keys and values.
        back, ahead: how many positions back and ahead a token attends to.
        distances: the biases of `Network`.
        scratch: buffers for a text of this length.
        out: uint32[parts, rows, …], the outputs of all heads, filled in the rows from `begin` to `end`.
    """
    keys, values, logits, weights, sums = scratch.keys, scratch.values, scratch.logits, scratch.weights, scratch.sums
    numbers, stride, group = design.head_width, projected.shape[2], design.heads // design.key_heads
    whole, across = way == FLOAT32, columns_of(way)
    words = numbers if whole else numbers // 2
    key = (design.heads + key_head) * words
    value = key + design.key_heads * words
    # The text's tokens that any of these tokens attends to, from a whole panel on.
    lowest = max(0, begin - first - back) // PANEL * PANEL
    count = min(length, end - first + ahead) - lowest
    start_row = first + lowest
    behind = _arrange_keys(projected, start_row, count, key, words, across, keys)
    padded = -(-count // PANEL) * PANEL
    flat, apart, size = values, across, 0
    if not whole:
        size = _arrange_value_pairs(projected, start_row, count, padded, value, words, across, values)
    elif WIDE:
        flat, apart = projected.reshape(-1), stride
    else:
        size = _arrange_values(projected, start_row, count, value, words, values)
    some_at_most = TILE_QUERIES if way >= TILES else QUERIES
    for head in range(key_head * group, (key_head + 1) * group):
        for index in range(begin, end, some_at_most):
            rows = min(some_at_most, end - index)
            position = index - start_row
            low = max(0, position - back) // PANEL * PANEL
            high = min(count, position + rows + ahead)
            columns = high - low
            for block in range(low, high, across):
                start = block * words
                multiply(
                    way,
                    rows,
                    projected,
                    index,
                    head * words,
                    keys,
                    start,
                    across,
                    behind,
                    words,
                    logits,
                    block - low,
                    False,
                )
            if distances.shape[1] > 0:
                # The bias of column c in row r is that of the distance low + c − (position + r).
                middle = distances.shape[1] // 2
                add_distances(logits, rows, columns, distances, head, middle + low - position)
            # Vector instructions read only existing words. Tiles are always full, padded with zeros.
            padded = -(-columns // PANEL) * PANEL
            deep = columns if whole else (padded if way >= TILES else columns + 1) // 2
            exponentials(way, logits, rows, columns, padded, position - low, back, ahead, weights, scratch.factors)
            for number in range(0, numbers, across):
                panel = number // across * projected.shape[0] * size
                if WIDE and whole:
                    start = (start_row + low) * stride + value + number
                else:
                    start = panel + (low if whole else low // 2) * apart
                multiply(way, rows, weights, 0, 0, flat, start, apart, size, deep, sums, 0, False)
                scale(way, sums, rows, across, scratch.factors, out, index, head * numbers + number)
