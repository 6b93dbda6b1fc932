"""Attend again and again: a modern Hopfield network, which recalls a stored pattern from a damaged one.

    state ← attend(state, patterns, patterns)

Every step lowers the energy, or leaves it where the state no longer moves: at one pattern when it is cold,
at the mean of many when it is hot. Source: Ramsauer et al. 2020, arXiv 2008.02217. With the gaussian
similarity the steps are those of mean shift (Cheng 1995).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from attention.arrays import Array, attendable, finite_or_zero, largest
from attention.definition import attend
from attention.errors import ParameterError
from attention.logits import check_temperature, compare

WITH_ENERGY = ("dot", "scaled_dot", "gaussian")


class Recalled(NamedTuple):
    """The way of each state, the first of them what was asked.

    Attributes:
        states: [steps + 1, ..., m, d]
        weights: [steps + 1, ..., m, n] how each state rests on the patterns; the next state is weights @ patterns.
        energies: [steps + 1, ..., m] never rising, never below zero.
    """

    states: Array
    weights: Array
    energies: Array


def recall(
    state: Array,
    patterns: Array,
    *,
    steps: int,
    similarity: str = "scaled_dot",
    temperature: float = 1.0,
    mask: Array | None = None,
) -> Recalled:
    """Let each state fall towards the stored patterns it resembles.

    Args:
        state: [..., m, d]
        patterns: [..., n, d], which are keys and values at once.
        steps: how often to attend; one is often enough.
        similarity: "dot", "scaled_dot" or "gaussian"; for these the energy is known.
        temperature: 1/β of the paper; from 0, where one step goes to the best pattern, to ∞.
        mask: bool, broadcasts to [..., m, n]; True where a pattern may be recalled.

    Raises:
        ParameterError: the steps are negative, the similarity has no energy, or what `attend` refuses.
        ShapeError: shapes that do not fit.
    """
    if steps < 0:
        raise ParameterError(f"steps must be 0 or more, got {steps}")
    state, patterns, *_ = attendable(state, patterns, patterns)
    options: dict[str, Any] = {"similarity": similarity, "temperature": temperature, "mask": mask}
    xp = array_namespace(patterns)

    way = []
    for _ in range(steps + 1):
        attended = attend(state, patterns, patterns, **options)
        state = xp.broadcast_to(state, attended.output.shape)
        way.append((state, attended.weights, energy(state, patterns, **options)))
        state = attended.output
    return Recalled(*(xp.stack(each) for each in zip(*way, strict=True)))


@np.errstate(over="ignore")  # a pattern too far below the best has no part in the energy
def energy(
    state: Array,
    patterns: Array,
    *,
    similarity: str = "scaled_dot",
    temperature: float = 1.0,
    mask: Array | None = None,
) -> Array:
    """−T ln (1/n) Σ exp(s/T) + ½‖state‖² + ½ max‖pattern‖², which `recall` lowers at every step.

    That is for dot; scaled_dot counts s and T in √d, and gaussian has its squares in s already. At T = 0
    the first term is −max s, at T = ∞ it is −mean s. Its gradient is state − attend(state).output.

    Arguments and errors are those of `recall`.

    Returns:
        energy [..., m], 0 or more; where no pattern may be recalled, ½‖state‖² and 0 for gaussian.
    """
    if similarity not in WITH_ENERGY:
        raise ParameterError(
            f"similarity must be one of {', '.join(WITH_ENERGY)} for an energy that falls, got {similarity!r}"
        )
    temperature = check_temperature(temperature)
    state, patterns, *_ = attendable(state, patterns, patterns)
    xp = array_namespace(state, patterns)
    _, gap, peak = compare(state, patterns, similarity, 1.0, mask, None, None)  # gap = s − peak: [..., m, n]
    known = gap > -math.inf
    gap = xp.where(known, gap, 0.0)

    if temperature == 0:
        level = peak[..., 0]
    elif temperature == math.inf:
        level = peak[..., 0] + mean(gap, known)
    else:
        level = peak[..., 0] + temperature * xp.log1p(mean(xp.expm1(gap / temperature), known))
    if similarity == "gaussian":
        return -level

    unit = math.sqrt(state.shape[-1]) if similarity == "scaled_dot" else 1.0
    square, squares = xp.sum(state**2, axis=-1), xp.sum(patterns**2, axis=-1)[..., None, :]
    largest_square = finite_or_zero(largest(xp.where(known, squares, -math.inf)))[..., 0]
    return square / 2 - unit * level + largest_square / 2


def mean(array: Array, known: Array) -> Array:
    """The mean of the known entries of each row: [..., n] → [...]; 0 where none is known."""
    xp = array_namespace(array)
    counted = xp.astype(known, array.dtype)
    return xp.sum(array * counted, axis=-1) / xp.clip(xp.sum(counted, axis=-1), min=1)
