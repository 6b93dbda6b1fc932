"""The bounds against distributions that were really moved, as far as the bound allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.lookup import Memory, Question, Rows, answer
from attention.lookup.bounds.rounding import Slack
from attention.lookup.bounds.weights import bound_rounding, bound_separated, bound_sparse, bound_tail
from attention.lookup.inspection import similarities_seen
from attention.lookup.quantised import quantised_answers
from attention.lookup.softmax.distribution import SUPPORT, softmax, sparse
from attention.lookup.softmax.null import NullKey

SEEDS = st.integers(0, 2**32 - 1)


def apart(one, other):
    """Total variation over all documents and the null key."""
    nulls = abs(one.evidence.null_weight - other.evidence.null_weight)
    return (np.abs(one.weights - other.weights).sum() + nulls) / 2


@settings(deadline=None)
@given(
    seed=SEEDS,
    temperature=st.floats(1e-3, 10),
    error=st.floats(1e-6, 0.5),
    head=st.integers(1, 40),
    null=st.none() | st.builds(NullKey, st.floats(-1, 2)),
    signs=st.booleans(),
)
def test_a_tail_that_is_off_by_at_most_the_error(seed, temperature, error, head, null, signs):
    random = np.random.default_rng(seed)
    true = random.random(200)
    noise = random.choice([-error, error], 200) if signs else random.uniform(-error, error, 200)
    tail = np.argsort(true)[:-head]
    seen = true.copy()
    seen[tail] += noise[tail]
    known, real = softmax(seen, null, temperature), softmax(true, null, temperature)
    weight = known.weights[tail].sum()
    bound = bound_tail(error, temperature, float(np.log(weight)) if weight > 0 else -np.inf, 0.0)
    assert apart(known, real) <= bound + 1e-13
    # Cauchy–Schwarz over the tail, with the squares as they are, is a bound too, and often the better one.
    square = np.sqrt((known.weights[tail] ** 2).sum() * (noise[tail] ** 2).sum()) / temperature
    sharper = bound_tail(error, temperature, float(np.log(weight)) if weight > 0 else -np.inf, 0.0, float(square))
    assert apart(known, real) <= sharper + 1e-13 <= bound + 2e-13


@settings(deadline=None)
@given(
    seed=SEEDS,
    temperature=st.floats(1e-4, 10),
    error=st.floats(0, 0.1),
    null=st.none() | st.builds(NullKey, st.floats(-1, 2)),
)
def test_every_similarity_off_by_at_most_the_slack(seed, temperature, error, null):
    random = np.random.default_rng(seed)
    true = random.random(50)
    seen = true + random.uniform(-error, error, 50)
    known, real = softmax(seen, null, temperature), softmax(true, null, temperature)
    slack, level = Slack(error, 0.0), None if null is None else null.similarity
    assert apart(known, real) <= bound_rounding(slack, float(seen.max()), temperature, known.mean_gap, 50)
    assert apart(known, real) <= bound_separated(seen, level, slack, temperature, alike=True) + 1e-13
    for normaliser, reach in SUPPORT.items():
        known, real = (sparse(s, null, temperature, normaliser) for s in (seen, true))
        assert apart(known, real) <= bound_sparse(seen, level, slack, temperature, reach)


def test_the_bound_is_never_zero_while_two_documents_hold_weight():
    memory = Memory("dot")
    memory.publish(add=Rows(np.arange(3), np.array([[1.0, 0], [1.0, 0], [0, 1.0]])))
    for temperature in (0, 1e-30, 1e-3, 1.0, np.inf):
        assert answer(memory.view, Question(np.array([1.0, 0]), temperature)).certificate.total_variation > 0


def test_at_temperature_0_only_copies_tie_for_certain():
    memory = Memory("cosine")
    memory.publish(add=Rows(np.arange(3), np.array([[1.0, 2], [1.0, 2], [3.0, 0]])))
    certain = answer(memory.view, Question(np.array([1.0, 2.5]), 0))
    assert certain.certificate.total_variation < 1e-14
    memory.publish(add=Rows(np.array([3]), np.array([[1.0, np.nextafter(np.float32(2), np.float32(3))]])))
    unsure = answer(memory.view, Question(np.array([1.0, 2.0000001]), 0))
    assert unsure.certificate.total_variation <= 1


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_one_query_s_bound_is_of_the_error_s_size(temperature):
    """The Gram matrix of the residuals brings the bound within ten times the true distance, over all documents."""
    random = np.random.default_rng(4)
    keys = random.standard_normal((3000, 64)).astype(np.float32)
    memory = Memory("cosine")
    view = memory.publish(add=Rows(np.arange(3000), keys))
    ratios = []
    for _ in range(11):
        query = random.standard_normal(64)
        found = quantised_answers(view, [Question(query, temperature, top_k=1, output=False)])[0]
        unit = keys.astype(np.float64) / np.linalg.norm(keys.astype(np.float64), axis=1, keepdims=True)
        true = unit @ (query / np.linalg.norm(query))
        (seen,) = similarities_seen(view, [Question(query, temperature, top_k=1, output=False)])[1]
        distance = apart(softmax(seen, None, temperature), softmax(true, None, temperature))
        assert distance <= found.certificate.total_variation
        ratios.append(found.certificate.total_variation / distance)
    assert np.median(ratios) < 10
