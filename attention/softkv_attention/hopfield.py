"""Repeated attention: a modern Hopfield network, which recalls a stored pattern from a damaged one.

    state ← attend(state, patterns, patterns)

Every step lowers the energy, or keeps it if the state no longer moves. At low temperatures the state ends at one
pattern, at high temperatures at the mean of many. Source: Ramsauer et al. 2020, arXiv 2008.02217. With the gaussian
similarity the steps are those of mean shift (Cheng 1995).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from softkv_attention.arrays import Array, array_namespace, attendable, finite_or_zero, largest
from softkv_attention.definition import attend
from softkv_attention.errors import ParameterError
from softkv_attention.logits import check_temperature, compare

WITH_ENERGY = ("dot", "scaled_dot", "gaussian")


class Recalled(NamedTuple):
    """The path of each state from its start to its last step.

    Attributes:
        states: [steps + 1, ..., m, d], first the initial states.
        weights: [steps + 1, ..., m, n], the weights of the patterns for each state; the next state is
            weights @ patterns.
        energies: [steps + 1, ..., m], never increasing, never below zero.
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
    """Move each state step by step towards the stored patterns that it resembles.

    A step attends from the state to the patterns, and the output is the next state (a modern Hopfield network: Ramsauer
    et al. 2020, arXiv 2008.02217).

    Args:
        state: [..., m, d]
        patterns: [..., n, d], both keys and values.
        steps: the number of steps; one is often enough.
        similarity: "dot", "scaled_dot" or "gaussian"; for these the energy is known.
        temperature: from 0 to ∞, the paper's 1/β; at 0, one step goes to the best pattern.
        mask: bool, broadcasts to [..., m, n]; True where a pattern may be recalled.

    Returns:
        the states after 0, 1, …, `steps` steps, with the patterns' weights and the energy of each state.

    Raises:
        ParameterError: the steps are negative, the similarity lacks an energy, or `attend` raises the error.
        ShapeError: the shapes do not fit each other.
    """
    if steps < 0:
        raise ParameterError(f"steps must be 0 or more, got {steps}")
    state, patterns, *_ = attendable(state, patterns, patterns)
    options: dict[str, Any] = {"similarity": similarity, "temperature": temperature, "mask": mask}
    xp = array_namespace(patterns)

    path = []
    for _ in range(steps + 1):
        attended = attend(state, patterns, patterns, **options)
        state = xp.broadcast_to(state, attended.output.shape)
        path.append((state, attended.weights, energy(state, patterns, **options)))
        state = attended.output
    return Recalled(*(xp.stack(arrays) for arrays in zip(*path, strict=True)))


@np.errstate(over="ignore")  # a pattern too far below the best does not change the energy
def energy(
    state: Array,
    patterns: Array,
    *,
    similarity: str = "scaled_dot",
    temperature: float = 1.0,
    mask: Array | None = None,
) -> Array:
    """Return the energy −T ln (1/n) Σ exp(s/T) + ½‖state‖² + ½ max‖pattern‖², which `recall` lowers at every step.

    That is the energy for dot. For scaled_dot, s and T are multiplied by √d; for gaussian, s already contains the
    squares. At T = 0 the first term is −max s, at T = ∞ it is −mean s. The gradient is state − attend(state).output.

    Arguments and errors are those of `recall`.

    Returns:
        energy [..., m], 0 or more. If the mask forbids every pattern, ½‖state‖²; 0 for gaussian.
    """
    if similarity not in WITH_ENERGY:
        raise ParameterError(
            f"similarity must be one of {', '.join(WITH_ENERGY)} for an energy that falls, got {similarity!r}"
        )
    temperature = check_temperature(temperature)
    state, patterns, *_ = attendable(state, patterns, patterns)
    xp = array_namespace(state, patterns)
    _, gap, peak = compare(state, patterns, similarity, 1.0, mask, None, None)  # gap = s − peak: [..., m, n]
    allowed = gap > -math.inf
    gap = xp.where(allowed, gap, 0.0)

    if temperature == 0:
        level = peak[..., 0]
    elif temperature == math.inf:
        level = peak[..., 0] + mean(gap, allowed)
    else:
        level = peak[..., 0] + temperature * xp.log1p(mean(xp.expm1(gap / temperature), allowed))
    if similarity == "gaussian":
        return -level

    unit = math.sqrt(state.shape[-1]) if similarity == "scaled_dot" else 1.0
    square, squares = xp.sum(state**2, axis=-1), xp.sum(patterns**2, axis=-1)[..., None, :]
    largest_square = finite_or_zero(largest(xp.where(allowed, squares, -math.inf)))[..., 0]
    return square / 2 - unit * level + largest_square / 2


def mean(array: Array, mask: Array) -> Array:
    """Return the mean of the entries of each row [..., n] that the mask allows, as [...].

    It is 0 for a row in which the mask allows no entry.
    """
    xp = array_namespace(array)
    factors = xp.astype(mask, array.dtype)
    return xp.sum(array * factors, axis=-1) / xp.clip(xp.sum(factors, axis=-1), min=1)
