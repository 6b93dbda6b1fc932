"""Outputs of many questions: those that are requested, and that the scan summed."""

from __future__ import annotations

import numpy as np

from softkv_attention.lookup import Limits, Memory, Question
from softkv_attention.lookup.estimate import estimate_outputs, estimate_weights
from softkv_attention.lookup.quantised import shard_of

N, WIDTH = 6_000, 64
RANDOM = np.random.default_rng(31)
KEYS = RANDOM.standard_normal((N, WIDTH)).astype(np.float32)
QUERIES = RANDOM.standard_normal((2, WIDTH))


def test_outputs_that_are_not_requested_are_not_computed(running):
    questions = [Question(QUERIES[0], 0.3), Question(QUERIES[1], 0.3, output=False)]
    shard, width = shard_of(Memory.of(KEYS).view, questions[0]), Limits().scan_widths[0]
    with_outputs = estimate_weights(shard, questions, width)
    assert list(estimate_outputs(shard, with_outputs, [0])) == [0]
    assert estimate_outputs(shard, with_outputs, []) == {}
    without_outputs = estimate_weights(shard, questions[1:], width)
    assert estimate_outputs(shard, without_outputs, [0]) == {}
