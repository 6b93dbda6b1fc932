"""Compiled steps for a panel of 64 rows and one query: from products to similarities, and on to softmax terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import float32, njit, types
from numba.extending import intrinsic

from attention.arrays import F32, I32, Bools
from attention.kernels.layout import LANES, PANEL
from attention.kernels.simd import BYTES, REALS, WORDS, Lanes

FAR_BELOW = np.float32(-3e38)
NOT_ALLOWED = np.float32(-2e38)
"""Below every similarity, above FAR_BELOW, the value of rows that are not allowed."""

SMALLEST = -87.0
"""The logarithm of the smallest normal float32."""


def lane_pointers(context: Any, builder: Any, kind: Any, array: Any, first: Any) -> list[Any]:
    """Return four pointers to the 64 elements from `first` on of a contiguous array: one for each 16 elements.

    Args:
        context, builder: numba's context and the LLVM builder.
        kind: numba's type of the array.
    """
    data = context.make_array(kind)(context, builder, value=array).data
    return [builder.gep(data, [builder.add(first, first.type(part))]) for part in range(0, PANEL, LANES)]


@intrinsic
def _scale_and_mask_panel(typing_context: Any, scales: Any, allowed: Any, first: Any, scaling: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Four times 16 lanes: float32 scales and bool8 leave in, float32 factors and terms out.
        (scales, allowed, first, scaling), kinds = arguments, signature.args
        zero, far_below = (Lanes.broadcast(builder, number) for number in (0.0, float(FAR_BELOW)))
        allowed_lanes = []
        for scale, leave, factor, term in zip(
            lane_pointers(context, builder, kinds[0], scales, first),
            lane_pointers(context, builder, kinds[1], allowed, first),
            lane_pointers(context, builder, kinds[3], scaling, first.type(0)),
            lane_pointers(context, builder, kinds[3], scaling, first.type(PANEL)),
            strict=True,
        ):
            allowed_lanes.append(Lanes.load(builder, BYTES, leave).is_nonzero())
            allowed_lanes[-1].choose(Lanes.load(builder, REALS, scale), zero).store(factor)
            allowed_lanes[-1].choose(zero, far_below).store(term)
        return ((allowed_lanes[0] | allowed_lanes[1]) | (allowed_lanes[2] | allowed_lanes[3])).any()

    return types.boolean(scales, allowed, types.int64, scaling), build


@njit(nogil=True)
def scale_and_mask(scales: F32, allowed: Bools, first: int, scaling: F32) -> bool:
    """Fill scaling float32[2, 64] with a factor and a term for each of the 64 rows from `first` on.

    They turn products of codes into similarities: similarity = product·factor·step + term. A row's factor is its scale.
    The term is 0 for allowed rows, and FAR_BELOW for rows that are not allowed and beyond the last row.

    Returns:
        Whether any of the 64 rows is allowed.
    """
    if first + PANEL <= len(scales):
        return _scale_and_mask_panel(scales, allowed, first, scaling)
    scaling[0] = 0
    scaling[1] = FAR_BELOW
    any_allowed = False
    for i in range(len(scales) - first):
        if allowed[first + i]:
            scaling[0, i] = scales[first + i]
            scaling[1, i] = float32(0.0)
            any_allowed = True
    return any_allowed


@njit(nogil=True)
def add_to_terms(addends: F32, first: int, scaling: F32) -> None:
    """Add the addends of up to 64 rows, from `first` on, to the terms in scaling float32[2, 64].

    `addends` float32[r] are within ±1e30. `scale_and_mask` fills the terms.
    """
    for i in range(min(PANEL, len(addends) - first)):
        scaling[1, i] += addends[first + i]


def _similarities(planes: int) -> Callable[..., None]:
    """Return an intrinsic that fills float32[64] with product·(factor·step) + term.

    An intrinsic is a function that emits instructions. `planes` is the number of bytes of a query's code, 1 or 2.
    """

    @intrinsic
    def to_similarities(
        typing_context: Any, products: Any, query: Any, scaling: Any, offset: Any, step: Any, similarities: Any
    ) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            # Four times 16 lanes: int32 products minus the offset, the first byte's shifted by 8, as float32.
            (products, query, scaling, offset, step, similarities), kinds = arguments, signature.args
            first = builder.mul(query, query.type(planes * PANEL))
            last = builder.add(first, query.type((planes - 1) * PANEL))
            for high, low, factor, term, pointer in zip(
                lane_pointers(context, builder, kinds[0], products, first),
                lane_pointers(context, builder, kinds[0], products, last),
                lane_pointers(context, builder, kinds[2], scaling, query.type(0)),
                lane_pointers(context, builder, kinds[2], scaling, query.type(PANEL)),
                lane_pointers(context, builder, kinds[5], similarities, query.type(0)),
                strict=True,
            ):
                product = Lanes.load(builder, WORDS, low) - Lanes.broadcast(builder, offset)
                if planes == 2:
                    product = (Lanes.load(builder, WORDS, high) << 8) + product
                scale = Lanes.load(builder, REALS, factor) * Lanes.broadcast(builder, step)
                (product.to_floats() * scale + Lanes.load(builder, REALS, term)).store(pointer)
            return context.get_dummy_value()

        return types.void(products, types.int64, scaling, types.int32, types.float32, similarities), build

    return to_similarities


_in_one_byte, _in_two_bytes = _similarities(1), _similarities(2)


@njit(nogil=True)
def to_similarities(
    products: I32,
    planes: int,
    query: int,
    scaling: F32,
    offset: int,
    step: float,
    similarities: F32,
) -> None:
    """Fill similarities float32[64] with the similarities of 64 rows to one query, from products of their codes.

    Args:
        products: int32[planes·q, 64], of all queries.
        planes: bytes per code of a query, 1 or 2, the first of which counts 256 times.
        query: the index of the query.
        scaling: float32[2, 64], the factor and the term of each row, from `scale_and_mask`.
        offset: the part of a product that comes from the 128 added to each key byte.
        step: similarity = (product − offset)·factor·step + term.
        similarities: filled.
    """
    if planes == 2:
        _in_two_bytes(products, query, scaling, offset, step, similarities)
    else:
        _in_one_byte(products, query, scaling, offset, step, similarities)


@intrinsic
def terms_of(typing_context: Any, similarities: Any, threshold: Any, inverse: Any, terms: Any, first: Any) -> Any:
    """Compute the softmax terms e = exp(x), x = (s − threshold)·inverse, of 64 similarities s, and their sums.

    Only similarities below the threshold count, and x is at least −87. The 64 elements from `first` on of the
    contiguous float32 array `terms` are set to e, or to 0 for rows that reach the threshold or are not allowed.

    Returns:
        (Σe, Σe·x, Σe², listed): `listed` is true if any similarity reaches the threshold.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # Four times 16 lanes of float32 with three sums each. The four are added in pairs, then the 16 lanes.
        (similarities, threshold, inverse, terms, first), kinds = arguments, signature.args
        threshold, inverse = Lanes.broadcast(builder, threshold), Lanes.broadcast(builder, inverse)
        zero = Lanes.broadcast(builder, 0.0)
        sums, listed = [], []
        for pointer, term in zip(
            lane_pointers(context, builder, kinds[0], similarities, first.type(0)),
            lane_pointers(context, builder, kinds[3], terms, first),
            strict=True,
        ):
            s = Lanes.load(builder, REALS, pointer)
            x = ((s - threshold) * inverse).at_most(0.0).at_least(SMALLEST)
            e = ((s < threshold) & (s > float(NOT_ALLOWED))).choose(x.exponential(), zero)
            e.store(term)
            sums.append((e, e * x, e * e))
            listed.append(s >= threshold)
        mass, gap, square = (((a + b) + (c + d)).sum() for a, b, c, d in zip(*sums, strict=True))
        any_allowed = ((listed[0] | listed[1]) | (listed[2] | listed[3])).any()
        return context.make_tuple(builder, signature.return_type, (mass, gap, square, any_allowed))

    sums = types.Tuple((types.float32, types.float32, types.float32, types.boolean))
    return sums(similarities, types.float32, types.float32, terms, types.int64), build
