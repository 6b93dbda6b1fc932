"""Blended values of many questions, from what a scan brought home."""

from __future__ import annotations

import numpy as np
import pytest

from attention import attend
from attention.lookup import Limits, Memory, Question
from attention.lookup.estimate import estimate_outputs, estimate_weights
from attention.lookup.quantised import shard_of

N, WIDTH = 6_000, 64
RANDOM = np.random.default_rng(31)
CENTRES = RANDOM.standard_normal((20, WIDTH))
KEYS = (CENTRES[RANDOM.integers(0, 20, N)] + RANDOM.standard_normal((N, WIDTH))).astype(np.float32)
QUERIES = CENTRES[:12] + 0.3 * RANDOM.standard_normal((12, WIDTH))


def blends_of(view, questions, *, fine=False):
    part = shard_of(view, questions[0])
    return estimate_outputs(
        part, estimate_weights(part, questions, Limits().scan_widths[0], fine=fine), range(len(questions))
    )


@pytest.mark.parametrize("temperature", [0, 0.05, 0.3, 1, 100, np.inf])
@pytest.mark.parametrize("some", [1, 2, 5])
def test_a_blend_is_within_its_error_of_the_one_in_float64(running, temperature, some):
    view = Memory.of(KEYS).view
    mask = None if some == 1 else view.mask(np.arange(0, N, some))
    blends = blends_of(view, [Question(query, temperature, mask=mask) for query in QUERIES], fine=True)
    assert len(blends) == len(QUERIES)
    keys = KEYS[::some].astype(np.float64)
    for index, query in enumerate(QUERIES):
        expected = attend(query[None], keys, keys, similarity="cosine", temperature=temperature).output[0]
        off = np.linalg.norm(blends[index].output - expected)
        assert off <= blends[index].error
        assert off <= 1e-3 * np.linalg.norm(expected)


def test_outputs_that_are_not_requested_are_not_computed(running):
    view = Memory.of(KEYS).view
    questions = [Question(QUERIES[0], 0.3), Question(QUERIES[1], 0.3, output=False)]
    part = shard_of(view, questions[0])
    estimates = estimate_weights(part, questions, Limits().scan_widths[0])
    assert list(estimate_outputs(part, estimates, [0])) == [0]
    assert estimate_outputs(part, estimates, []) == {}
    assert estimate_outputs(part, estimate_weights(part, questions[1:], Limits().scan_widths[0]), [0]) == {}


def test_a_short_average_that_8_bits_would_be_seen_in_is_coarse_and_with_16_bits_is_not(running):
    """The values lie around zero, so their average is short, and any error is large relative to it."""
    values = np.random.default_rng(7).standard_normal((4 * N, WIDTH)).astype(np.float32)
    view = Memory.of(values - values.mean(axis=0)).view
    questions = [Question(query, 0.06) for query in QUERIES]
    assert any(blend.coarse for blend in blends_of(view, questions).values()) != running.WIDE
    assert not any(blend.coarse for blend in blends_of(view, questions, fine=True).values())
