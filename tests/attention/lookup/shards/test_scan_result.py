"""A scan's result: workers add up to one, and it can be sent, because it has only arrays and numbers."""

from __future__ import annotations

import io
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import Limits, Memory, Question, Rows, ScanWidth, planner
from softkv_attention.lookup import scan as scan_module
from softkv_attention.lookup.quantised import quantised_answers
from softkv_attention.lookup.scan import ERROR_DEGREES, NO_THRESHOLD, Accumulator
from softkv_attention.lookup.shards.local import LocalShard
from softkv_attention.lookup.shards.scan_result import ScanRequest, ScanResult, add_accumulators
from softkv_attention.lookup.temperature_sweep import solve_temperatures, sweep_by_scan

LIMITS = Limits(max_tile_rows=1024, scan_widths=(ScanWidth(64, 128),))


def worker(thresholds, inverse, similarities, values):
    """An accumulator that has summed the similarities [r] and values [r, d_v] of each query."""
    made = Accumulator(np.array(thresholds, np.float32), np.array(inverse, np.float32), 64, values[0].shape[1], None)
    for query, (similarity, theirs) in enumerate(zip(similarities, values, strict=True)):
        terms = np.exp((similarity - float(made.lists.thresholds[query])) * float(made.inverse[query]))
        logits = np.log(terms)
        made.sums[query] = terms.sum(), (terms * logits).sum(), (terms * terms).sum()
        made.outputs[query] = terms @ theirs
        # So that each of them is what a plain sum of these rows would be.
        made.value_errors[query] = [(terms**degree).sum() for degree in ERROR_DEGREES]
    return made


@settings(deadline=None)
@given(
    seed=st.integers(0, 999), workers=st.integers(1, 4), temperature=st.sampled_from([0.05, 0.3, 5.0]), data=st.data()
)
def test_sums_of_several_workers_equal_the_sum_of_one(seed, workers, temperature, data):
    random, inverse = np.random.default_rng(seed), [1 / temperature] * 2
    drawn = [data.draw(st.sampled_from([-1.0, 0.0, 0.25, 1.5])) for _ in range(2 * workers)]
    thresholds = np.array(drawn, dtype=np.float64).reshape(workers, 2)
    counts = [data.draw(st.integers(0, 5)) for _ in range(2 * workers)]
    similarities = [
        [random.uniform(-2, 0, count) + thresholds[w, q] for q, count in enumerate(counts[2 * w : 2 * w + 2])]
        for w in range(workers)
    ]
    values = [
        [random.standard_normal((len(own_similarities), 3)) for own_similarities in similarity]
        for similarity in similarities
    ]
    parts = [worker(thresholds[w], inverse, similarities[w], values[w]) for w in range(workers)]
    accumulators = add_accumulators(parts)
    np.testing.assert_array_equal(accumulators.thresholds, thresholds.max(axis=0))
    everything = [np.concatenate([similarity[query] for similarity in similarities]) for query in range(2)]
    every_value = [np.concatenate([value[query] for value in values]) for query in range(2)]
    for query in range(2):
        has_any = [w for w in range(workers) if len(similarities[w][query])]
        assert accumulators.levels[query] == (thresholds[has_any, query] if has_any else thresholds[:, query]).max()
    one = worker(accumulators.levels, inverse, everything, every_value)
    np.testing.assert_allclose(accumulators.sums, one.sums, rtol=1e-5, atol=1e-300)
    assert (np.abs(accumulators.outputs - one.outputs) <= 1e-5 * (one.sums[:, :1] + np.abs(one.outputs))).all()
    np.testing.assert_allclose(accumulators.value_errors, one.value_errors, rtol=1e-5, atol=1e-300)


def test_an_idle_worker_does_not_set_the_level_of_the_sums():
    idle = Accumulator(np.array([NO_THRESHOLD, 9.0], np.float32), np.ones(2, np.float32), 64, None, None)
    busy = Accumulator(np.array([NO_THRESHOLD, 0.5], np.float32), np.ones(2, np.float32), 64, None, None)
    busy.sums[1] = 2.0, -1.0, 1.5
    accumulators = add_accumulators([idle, busy])
    assert accumulators.thresholds.tolist() == [-np.inf, 9.0]  # where no threshold rose, everything is listed
    assert accumulators.levels[1] == 0.5
    np.testing.assert_array_equal(accumulators.sums, [[0, 0, 0], [2.0, -1.0, 1.5]])
    assert accumulators.outputs is None


@pytest.fixture
def view(clusters):
    memory = Memory("cosine", limits=LIMITS)
    memory.publish(add=Rows(np.arange(len(clusters[0])), *clusters[:2]))
    return memory.publish(remove=np.arange(0, len(clusters[0]), 9))


@pytest.fixture(autouse=True)
def three_workers(monkeypatch):
    monkeypatch.setattr(scan_module, "workers", lambda: 3)


def gathered_of(view, queries, temperatures, outputs=True):
    ks = [10] * len(queries)
    request = ScanRequest(np.array(queries), ks, listed=128, max_lookups=64, temperatures=temperatures, outputs=outputs)
    return LocalShard(view, None).gather(request)


def sent(gathered):
    """Return the result after a round trip as bytes that may hold no Python objects."""
    file = io.BytesIO()
    np.savez(file, **{name: value for name, value in vars(gathered).items() if value is not None})
    arrays = np.load(io.BytesIO(file.getvalue()), allow_pickle=False)
    return ScanResult(
        **{field.name: arrays[field.name][()] if field.name in arrays else None for field in fields(ScanResult)}
    )


def same(actual, expected):
    for field in fields(expected):
        one, other = getattr(actual, field.name), getattr(expected, field.name)
        np.testing.assert_equal(one, other)


def test_an_answer_is_the_same_to_the_bit_when_it_was_sent(clusters, view, monkeypatch):
    questions = [Question(clusters[2][0], 0.1, null=0.4), Question(clusters[2][1], 0.01, normaliser="entmax15")]
    gathered = gathered_of(view, clusters[2][:2], np.array([0.1, 0.0]))
    monkeypatch.setattr(LocalShard, "gather", lambda *_, **__: gathered)
    local = quantised_answers(view, questions)
    monkeypatch.setattr(LocalShard, "gather", lambda *_, **__: sent(gathered))
    for actual, expected in zip(quantised_answers(view, questions), local, strict=True):
        assert expected is not None
        same(actual, expected)


def test_every_temperature_is_the_same_when_a_histogram_was_sent(clusters, view, monkeypatch):
    question, temperatures = Question(clusters[2][0], 1.0, null=0.4, output=False), [0, 0.05, 1.0, np.inf]
    gathered = gathered_of(view, clusters[2][:1], None, outputs=False)
    auto = Question(clusters[2][0], planner.Auto(30), output=False)
    monkeypatch.setattr(LocalShard, "gather", lambda *_, **__: gathered)
    local, at = sweep_by_scan(view, question, temperatures), solve_temperatures(view, [auto])
    monkeypatch.setattr(LocalShard, "gather", lambda *_, **__: sent(gathered))
    same(sweep_by_scan(view, question, temperatures), local)
    assert solve_temperatures(view, [auto])[0].temperature == at[0].temperature
