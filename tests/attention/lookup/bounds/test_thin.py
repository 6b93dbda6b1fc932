"""How far thin codes can be off: the tail of a coordinate on the sphere, and what a query's bounds are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attention.lookup.bounds.thin import reach, tail, thin_errors
from attention.lookup.codes.queries import in_codes


def beyond(dimension, far):
    """The chance itself, by summing the density."""
    x = np.linspace(far, 1, 2_000_001)
    factor = math.exp(math.lgamma(dimension / 2) - math.lgamma((dimension - 1) / 2)) / math.sqrt(math.pi)
    return 2 * factor * np.trapezoid((1 - x * x) ** ((dimension - 3) / 2), x)


@pytest.mark.parametrize("dimension", [15, 63, 383])
@pytest.mark.parametrize("deviations", [2.0, 4.0, 8.0])
def test_the_tail_is_a_bound_and_a_close_one(dimension, deviations):
    far = min(deviations / math.sqrt(dimension), 0.95)
    bound, true = math.exp(tail(dimension, far)), beyond(dimension, far)
    assert true <= bound <= true * (1 + 1.5 / (dimension * far * far))


@pytest.mark.parametrize("width", [16, 64, 384])
@pytest.mark.parametrize("chance", [1e-2, 1e-9, 5e-16])
def test_reach_is_where_the_tail_is_the_chance(width, chance):
    assert tail(width - 1, reach(width, chance)) == pytest.approx(math.log(chance), abs=1e-6)


def test_a_spread_above_the_usual_one_counts_on_one_side_only():
    queries = in_codes(np.random.default_rng(0).standard_normal((2, 64)), fine=True)
    narrow, wide = (thin_errors(queries, 0.1, largest, 1.0, 0.4) for largest in (0.1, 0.3))
    assert (wide.above < narrow.above * 1.01).all()
    assert (wide.below > 4.9 * narrow.below).all()
    assert (narrow.above >= 0.4 * 0.1 * queries.norms).all()
    assert (wide.below >= 0.4 * 0.5 * queries.norms).all()
