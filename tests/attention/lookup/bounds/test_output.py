"""Outputs against float64, over values that are made to be difficult: the bound holds, and is not far off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import Limits, Memory, Question, Rows, ScanWidth, estimate
from softkv_attention.lookup.bounds.output import Centre, bound_directional_shift, bound_tail_output
from softkv_attention.lookup.bounds.similarities import QuantisationError
from softkv_attention.lookup.codes.quantisation import quantise
from softkv_attention.lookup.exact import exact_answers
from softkv_attention.lookup.quantised import quantised_answers
from softkv_attention.lookup.softmax.distribution import softmax
from softkv_attention.lookup.softmax.evidence import NullKey
from softkv_attention.lookup.softmax.mixture import TailSums, mix
from tests.thorough import crossed

SEEDS = st.integers(0, 2**32 - 1)
SCALES = {"cosine": lambda width: 1.0, "dot": float, "scaled_dot": np.sqrt}


def length(vector):
    return float(np.linalg.norm(vector))


@settings(deadline=None)
@given(
    seed=SEEDS,
    temperature=st.floats(0.01, 10),
    error=st.floats(1e-6, 0.1),
    head=st.integers(1, 40),
    null=st.none() | st.builds(NullKey, st.floats(-1, 2)),
    along=st.booleans(),
)
def test_a_blend_moves_no_further_than_its_bound(seed, temperature, error, head, null, along):
    random = np.random.default_rng(seed)
    seen, values = random.random(200), random.standard_normal((200, 5)) + random.standard_normal(5)
    noise = error * np.sign(values @ random.standard_normal(5)) if along else random.uniform(-error, error, 200)
    noise[np.argsort(seen)[200 - head :]] = 0  # those the scan has no part in
    known_weights, true = softmax(seen, null, temperature), softmax(seen + noise, null, temperature)
    output, pushed = known_weights.weights @ values, known_weights.weights * np.abs(noise) / temperature
    tail = float(known_weights.weights[noise != 0].sum())
    centres = [
        Centre(length(pushed) * np.linalg.norm(values - centre, ord=2), length(centre - output))
        for centre in (output, values.mean(axis=0))
    ]
    longest = float(np.linalg.norm(values, axis=1).max())
    bound, plain = (
        bound_tail_output(error / temperature, tail, 0.0, float(pushed.sum()), summary, longest, length(output))
        for summary in (centres, [])
    )
    assert length(true.weights @ values - output) <= bound + 1e-13
    assert bound <= plain


@settings(deadline=None)
@given(seed=SEEDS, temperature=st.floats(0.02, 3), listed=st.integers(0, 60), most=st.floats(0.01, 1))
def test_a_tail_moves_the_output_by_at_most_its_bounds(seed, temperature, listed, most):
    """Errors and projections within their sums and maxima, as bad as chance and as the worst order make them."""
    random = np.random.default_rng(seed)
    similarities = np.sort(random.random(200))[::-1]
    head, rows, below = np.split(similarities, [5, 5 + listed])
    parts, thresholds = np.array_split(below, 2), below[0] + np.array([0.0, 0.05])
    terms = [np.exp((part - threshold) / temperature) for part, threshold in zip(parts, thresholds, strict=True)]
    tail_sums = TailSums(thresholds, np.array([[(t.sum(), (t * np.log(t)).sum(), (t * t).sum()) for t in terms]]))
    (mixed,) = mix(head, rows, tail_sums, [None], np.array([temperature]))
    weights = np.concatenate([mixed.candidates, *(f * t for f, t in zip(mixed.factors, terms, strict=True))])
    heaviest = np.cumsum(np.sort(weights**2)[::-1])
    for count in (1, 7, 50, len(weights)):
        assert heaviest[count - 1] <= mixed.heaviest(count) * (1 + 1e-12)
    assert mixed.heaviest(len(weights)) <= mixed.tail_square * (1 + 1e-12)
    errors, seen = (np.clip(random.standard_normal(len(weights)), -most, most) for _ in range(2))
    for _ in range(2):
        pushes = (errors * errors).sum(), (seen * seen).sum()
        error = QuantisationError(float(np.abs(errors).max()), float(pushes[0]), 0.0)
        bound = bound_directional_shift(mixed, error, float(pushes[1]), float(np.abs(seen).max()))
        assert (weights * np.abs(errors * seen)).sum() <= bound
        wide = bound_directional_shift(
            mixed, replace(error, squares=np.inf), float(pushes[1]), float(np.abs(seen).max())
        )
        assert bound <= wide < np.inf
        order = np.argsort(np.argsort(-weights))  # the largest errors and projections on the heaviest rows
        errors, seen = -np.sort(-np.abs(errors))[order], -np.sort(-np.abs(seen))[order]


def values_of(kind, random, keys, query, width):
    """Return float32[n, width] that are hard for one bound or another; None for the keys themselves."""
    n = len(keys)
    values = random.standard_normal((n, width))
    unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    made = {
        "keys": lambda: None,
        "few": lambda: values[random.integers(0, 3, n)],
        "equal": lambda: np.tile(values[0], (n, 1)),
        "zero": lambda: 0 * values,
        "one huge": lambda: values * np.where(np.arange(n) == n // 2, 1e6, 1.0)[:, None],
        "one beyond squares": lambda: values * np.where(np.arange(n) == n // 2, 1e30, 1.0)[:, None],
        "of all lengths": lambda: values * np.exp(3 * random.standard_normal((n, 1))),
        "squares vanish": lambda: 1e-25 * values,
        "hardly any": lambda: 1e-40 * values,
        "far from 0": lambda: 5 + 1e-3 * values,
        # Every error of a similarity pushes the same way.
        "with the errors": lambda: np.sign(quantise(unit.astype(np.float32))[2] @ query)[:, None] * values[0],
        # Every value is rounded the same way.
        "with one residual": lambda: np.where(np.arange(width) > 0, np.round(9 * values) + 0.49, 127.0),
    }[kind]()
    return None if made is None else made.astype(np.float32)


KINDS = (
    "keys",
    "few",
    "equal",
    "zero",
    "one huge",
    "one beyond squares",
    "of all lengths",
    "squares vanish",
    "hardly any",
    "far from 0",
    "with the errors",
    "with one residual",
)


@crossed({"kind": KINDS, "temperature": [1e-30, 1e-3, 0.05, 1.0, np.inf]}, meeting=1)
def test_the_bound_holds(running, monkeypatch, kind, temperature):
    for seed, similarity in enumerate(SCALES):
        random = np.random.default_rng([seed, KINDS.index(kind)])
        width, value_width = random.choice([3, 17, 64]), random.choice([1, 5, 33])
        limits = Limits(
            max_tile_rows=int(random.choice([1024, 32768])),
            scan_widths=(ScanWidth(*random.choice([30, 300], 2).tolist()),),
        )
        centres = random.standard_normal((20, width))
        keys = (centres[random.integers(0, 20, 2000)] + random.standard_normal((2000, width))).astype(np.float32)
        queries = random.standard_normal((12, width))
        values = values_of(kind, random, keys, queries[0], value_width)
        memory = Memory(similarity, limits=limits)
        for part in np.array_split(np.arange(2000), 3):
            memory.publish(add=Rows(part, keys[part], None if values is None else values[part]))
        view = memory.publish(remove=np.arange(0, 2000, 7)) if seed else memory.view
        mask = view.mask(np.arange(400, 2000)) if seed == 1 else None
        null = None if seed == 2 else 0.5
        scale = float(SCALES[similarity](width))
        # Also where all is mended that can be, whatever it is worth; with this seed 16 bits answer the twelve, too.
        # None is left to the exact path.
        monkeypatch.setattr(estimate, "MIN_RESIDUAL_SHIFT", 0.0 if seed == 1 else 2e-4)
        monkeypatch.setattr(estimate, "MAX_EXPECTED_ERROR_8_BITS", 0.0 if seed == 1 else np.inf)
        monkeypatch.setattr(estimate, "MAX_EXPECTED_ERROR_16_BITS", np.inf)
        for count in (1, 12):
            questions = [Question(query, temperature * scale, null, mask) for query in queries[:count]]
            exact = exact_answers(view, questions)
            for quantised_answer, true in zip(quantised_answers(view, questions), exact, strict=True):
                bound = quantised_answer.certificate.output_error + true.certificate.output_error
                assert length(quantised_answer.output - true.output) <= bound


@pytest.mark.parametrize(("temperature", "times"), [(1.0, 40), (0.3, 70), (0.1, 150), (0.05, 300)])
def test_the_bound_is_not_far_off(temperature, times):
    """20,000 rows of width 64 in 2,000 clusters: how many times the true error it is, in the median over queries."""
    random = np.random.default_rng(5)
    keys = random.standard_normal((2000, 64))[random.integers(0, 2000, 20_000)] + random.standard_normal((20_000, 64))
    keys = (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)
    view = Memory("cosine").publish(add=Rows(np.arange(20_000), keys, keys[:, ::-1]))
    ratios = []
    for row in random.integers(0, 20_000, 11):
        question = Question(keys[row] + random.standard_normal(64) / 8, temperature, top_k=1)
        (result,), (true,) = quantised_answers(view, [question]), exact_answers(view, [question])
        ratios.append(result.certificate.output_error / length(result.output - true.output))
    assert 1 < np.median(ratios) < times
