"""How far means of vectors are from their expectations: as often as it is said, in one dimension and in many."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attention.lookup.bounds.blends import mean_distance

CHANCE = 0.1


@pytest.mark.parametrize("width", [1, 3, 200])
@pytest.mark.parametrize("rare", [1.0, 0.02])
def test_a_mean_is_as_near_as_said_but_for_a_chance(width, rare):
    random = np.random.default_rng(width)
    expected = np.full(width, 0.3 / math.sqrt(width))
    held, bounds, distances = 0, [], []
    for _ in range(200):
        directions = random.standard_normal((400, width))
        directions /= np.linalg.norm(directions, axis=1)[:, None]
        # Seldom and then long, or always: of length below 1.
        some = (random.random(400) < rare) * 0.5
        vectors = expected + directions * some[:, None]
        squares = (vectors**2).sum(axis=1)
        bounds.append(mean_distance(squares, 0.8, 0.3**2 + 0.25 * rare, CHANCE))
        distances.append(np.linalg.norm(vectors.mean(axis=0) - expected))
        held += distances[-1] <= bounds[-1]
    assert held >= (1 - CHANCE) * 200
    assert np.median(bounds) < 25 * np.median(distances) + 0.05


def test_more_draws_say_more_and_a_smaller_chance_less():
    squares = np.full(4000, 0.01)
    near = mean_distance(squares, 1.0, 0.01, 1e-9)
    assert near < mean_distance(squares[:1000], 1.0, 0.01, 1e-9) < 1
    assert mean_distance(squares, 1.0, 0.01, 1e-3) < near
    # ln(2/δ) = 22.1 for half of 1e-9: never below what a known variance gives.
    assert near >= math.sqrt(2 * 22.1 * 0.01 / 4000)


def test_a_wrong_guess_makes_it_wider_and_nothing_has_no_distance():
    squares = np.random.default_rng(0).random(2000) * 0.02
    right = mean_distance(squares, 1.0, 0.01, 1e-9)
    assert mean_distance(squares, 1.0, 1e-5, 1e-9) > right
    assert mean_distance(np.zeros(50), 0.0, 1e-300, 1e-9) == pytest.approx(0.0, abs=1e-100)
