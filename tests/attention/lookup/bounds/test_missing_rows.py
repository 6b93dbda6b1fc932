"""The mass of rows that were not read lies between its bounds; and these are as near as mean and spread allow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from softkv_attention.lookup.bounds.missing_rows import MissingRows
from softkv_attention.lookup.codes.summary import KeySummary

TEMPERATURES = (1e-30, 1e-3, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0, 1e6, math.inf)


def log_mass(similarities, temperature):
    logits = similarities / temperature
    return float(logits.max() + np.log(np.exp(logits - logits.max()).sum()))


@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot", "gaussian"])
@pytest.mark.parametrize("n", [1, 2, 7, 3000])
@pytest.mark.parametrize("kind", ["even", "far", "copies", "heavy", "tiny", "huge"])
def test_the_true_mass_lies_between(similarity, n, kind, oracle):
    random = np.random.default_rng([n, len(kind), len(similarity)])
    keys = random.standard_normal((n, 9))
    if kind == "heavy":
        keys *= random.pareto(1.0, (n, 1)) + 0.1
    keys = {"far": keys + 30, "copies": keys[:1] + 0 * keys, "tiny": keys * 1e-18, "huge": keys * 1e15}.get(kind, keys)
    keys = keys.astype(np.float32)
    summary = KeySummary.of(similarity, keys)
    for query in (keys[0].astype(float), 3 * random.standard_normal(9), -keys[-1].astype(float)):
        true = oracle(similarity, query, keys)
        rows = MissingRows.of(summary, query)
        assert rows.highest >= true.max()
        for temperature in TEMPERATURES:
            mass = log_mass(true, temperature)
            # The rounding error of the comparison itself.
            room = 1e-11 + 1e-14 * np.abs(true / temperature).max()
            assert rows.min_log_mass(temperature) <= mass + room
            assert mass <= rows.max_log_mass(temperature) + room


def test_two_similarities_are_the_worst_there_is():
    """Some rows at the upper end, all others alike: they weigh what is said at most, but for what float32 lost."""
    angle = 0.3
    keys = np.array([[1.0, 0.0]] * 3 + [[math.cos(angle), math.sin(angle)]] * 97, dtype=np.float32)
    rows = MissingRows.of(KeySummary.of("cosine", keys), np.array([2.0, 0.0]))
    true = np.array([1.0] * 3 + [math.cos(angle)] * 97)
    for temperature in (0.02, 0.1, 1.0):
        assert rows.max_log_mass(temperature) == pytest.approx(log_mass(true, temperature), abs=2e-3)


def test_infinite_summaries_give_only_the_upper_bound():
    keys = np.full((4, 3), 1e38, dtype=np.float32)
    rows = MissingRows.of(KeySummary.of("dot", keys), np.array([1.0, 0.0, 0.0]))
    assert rows.max_log_mass(1e38) == pytest.approx(math.log(4) + math.sqrt(3), rel=1e-6)
    assert rows.min_log_mass(1e38) == -math.inf
    rows = MissingRows.of(KeySummary.of("dot", keys), np.full(3, 1e300))
    assert rows.max_log_mass(1.0) == math.inf
