"""Parts of a view answer for all of it: float64 over all rows lies within what each says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.lookup import (
    Background,
    Limits,
    Memory,
    Question,
    Rows,
    View,
    answers,
    cover_missing_rows,
    view_prefixes,
)
from attention.lookup.shards import prefixes as module
from tests.thorough import examples

TEMPERATURES = (0.0, 0.05, 0.3, 1.0, 10.0, math.inf)
ANY_SIZE = Limits(min_prefix_rows=0)


def blocks(seed, similarity, *, sizes=(120, 40, 90, 33, 300), limits=ANY_SIZE):
    """A view of blocks of these sizes, rows of documents of one to three keys, after some were removed."""
    random = np.random.default_rng(seed)
    segments, rows, first = [], {}, 0
    for size in sizes:
        memory = Memory(similarity)
        counts = random.integers(1, 4, size)
        owners = np.repeat(np.cumsum(counts) - counts, counts) + first
        numbers = first + np.arange(len(owners))
        keys = (random.standard_normal((len(numbers), 6)) + 0.5).astype(np.float32)
        values = random.standard_normal((len(numbers), 3)).astype(np.float32)
        memory.publish(add=Rows(numbers, keys, values, owners))
        gone = random.choice(np.unique(owners), size // 10, replace=False)
        segments += memory.publish(remove=gone).segments
        rows |= {n: (o, k, v) for n, o, k, v in zip(numbers, owners, keys, values, strict=True) if o not in gone}
        first = int(numbers[-1]) + 1
    return View(similarity, tuple(segments), 6, 3, limits=limits), rows


def truth(oracle, oracle_weights, view, there, question, documents):
    """Return each document's weight, the null key's weight, and the output, in float64 over all rows that pass."""
    rows = [row for row in there.values() if documents is None or row[0] in documents]
    similarities = oracle(view.similarity, question.vector, [key for _, key, _ in rows])
    null = question.null_key(question.temperature, len(rows))
    temperature = question.temperature
    if null is None or temperature == 0:
        level = None if null is None else null.similarity
    else:
        level = null.logit(0.0, temperature) * temperature if math.isfinite(temperature) else None
    if temperature == math.inf and null is not None:
        share = math.exp(null.logit(0.0, temperature))
        weights, null_weight = np.full(len(rows), 1 / (len(rows) + share)), share / (len(rows) + share)
    else:
        weights, null_weight = oracle_weights(similarities, temperature, level)
    found: dict[int, float] = {}
    for (owner, _, _), weight in zip(rows, weights, strict=True):
        found[int(owner)] = found.get(int(owner), 0.0) + float(weight)
    return found, null_weight, weights @ np.array([value for _, _, value in rows], dtype=np.float64)


@settings(max_examples=examples(25), deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    similarity=st.sampled_from(["cosine", "dot", "scaled_dot", "gaussian"]),
    null=st.sampled_from([None, 0.4, Background(0.1, 0.3)]),
    filtered=st.booleans(),
    summed=st.booleans(),
)
def test_every_part_is_true_of_all_rows(oracle, oracle_weights, seed, similarity, null, filtered, summed):
    view, rows = blocks(seed, similarity)
    random = np.random.default_rng(seed)
    owners = np.array(sorted({int(owner) for owner, _, _ in rows.values()}))
    documents = set(random.choice(owners, len(owners) // 2, replace=False).tolist()) if filtered else None
    mask = None if documents is None else view.mask(np.array(sorted(documents)))
    query = random.standard_normal(6)
    for temperature in TEMPERATURES:
        question = Question(query, temperature, null=null, mask=mask, top_k=len(owners))
        weights, null_weight, blend = truth(oracle, oracle_weights, view, rows, question, documents)
        seen = 0
        for grown in view_prefixes(view):
            if summed:
                grown.sum_up()
            restricted = grown.restrict(question)
            (answer,) = answers(grown.view, [restricted])
            answer, coverage = cover_missing_rows(answer, restricted, grown.view.facts, grown.summarise_rest())
            weights_by_number = dict(zip(answer.numbers.tolist(), answer.weights.tolist(), strict=True))
            missing = sum(weight for name, weight in weights.items() if name not in weights_by_number)
            apart = sum(abs(weight - weights[name]) for name, weight in weights_by_number.items())
            apart = (apart + missing + abs(answer.null_weight - null_weight)) / 2
            assert apart <= answer.certificate.total_variation + 1e-12
            assert np.linalg.norm(answer.output - blend) <= answer.certificate.output_error + 1e-9
            assert missing <= coverage.max_missing_weight + 1e-12
            assert seen < coverage.documents < coverage.total == view.documents
            seen = coverage.documents


def test_parts_are_the_small_blocks_first_and_kept_with_the_view():
    view, _ = blocks(1, "dot", sizes=(600, 150, 900, 40, 700, 300))
    first, second = view_prefixes(view)
    assert view_prefixes(view) == (first, second)
    assert first.segments == (1, 3)
    assert set(first.segments) < set(second.segments)
    assert second.view.n + second.rest.n == view.n
    assert second.view.n <= view.n / 2


def test_sums_are_made_once_and_until_then_only_lengths_are_known():
    view, _ = blocks(2, "cosine")
    first, *_ = view_prefixes(view)
    assert not first.is_known
    assert not np.isfinite(first.summarise_rest().gram).any()
    first.sum_up()
    assert first.is_known
    rest = first.summarise_rest()
    assert rest is first.summarise_rest()
    assert rest.n == sum(segment.count for segment in first.rest.segments)
    question = Question(np.ones(6), 1.0)
    (answer,) = answers(first.view, [first.restrict(question)])
    bound = cover_missing_rows(answer, question, first.view.facts, rest)[1].max_missing_weight
    assert bound < 0.99


def test_few_rows_or_one_block_have_no_parts():
    view, _ = blocks(3, "dot", sizes=(200,))
    assert view_prefixes(view) == ()
    view, _ = blocks(3, "dot", limits=Limits(min_prefix_rows=10**6))
    assert view_prefixes(view) == ()


def test_one_at_a_time_sums_up(monkeypatch):
    view, _ = blocks(3, "cosine")
    parts = view_prefixes(view)
    assert all(grown.is_due for grown in parts)
    calls, real = [], module.summary_of

    def watched(rest):
        calls.append(rest)
        assert not any(grown.is_due for grown in parts)
        parts[0].sum_up()  # while somebody is at it, another leaves it
        return real(rest)

    monkeypatch.setattr(module, "summary_of", watched)
    parts[0].sum_up()
    assert len(calls) == 1
    assert not parts[0].is_due

    def failing(rest):
        raise MemoryError

    fresh = view_prefixes(blocks(4, "cosine")[0])[0]
    monkeypatch.setattr(module, "summary_of", failing)
    with pytest.raises(MemoryError):
        fresh.sum_up()
    assert fresh.is_due
