"""Rows without codes: summed as they are read, and answered as the exact path answers that holds all of them."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup import Auto, Limits, Memory, Question, Rows, answers
from softkv_attention.lookup.exact import exact_answers
from softkv_attention.lookup.memory.blocks import Block
from softkv_attention.lookup.quantised import shard_of
from softkv_attention.lookup.shards.merged import MergedShards
from softkv_attention.lookup.shards.scan_result import ScanRequest
from softkv_attention.lookup.shards.uncoded import UncodedShard

N = 5_000
LIMITS = Limits(block_rows=1_024, exact_max_components=0)
RANDOM = np.random.default_rng(9)
KEYS = RANDOM.standard_normal((N, 12)).astype(np.float32)
KEYS[[10, 700, 4_321]] = KEYS[10]
VALUES = (RANDOM.standard_normal((N, 5)) + 1).astype(np.float32)
QUERIES = KEYS[[10, 3, 99]].astype(np.float64)
QUERIES[1:] += 0.4 * RANDOM.standard_normal((2, 12))


def bare(similarity):
    memory = Memory(similarity, codes_later=True, limits=LIMITS)
    memory.publish(add=Rows(np.arange(N), KEYS, VALUES))
    return memory.publish(remove=np.arange(0, N, 11)), memory


@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot", "gaussian"])
@pytest.mark.parametrize("temperature", [0, 1e-30, 0.07, 3.3, np.inf])
@pytest.mark.parametrize("masked", [False, True])
def test_uncoded_rows_are_answered_like_the_exact_path_with_its_certificate(similarity, temperature, masked):
    view, _ = bare(similarity)
    mask = view.mask(np.arange(10, N, 3)) if masked else None
    questions = [Question(query, temperature, null=0.2, mask=mask, top_k=7) for query in QUERIES]
    assert isinstance(shard_of(view, questions[0]), UncodedShard)
    for actual, expected in zip(answers(view, questions), exact_answers(view, questions), strict=True):
        np.testing.assert_array_equal(actual.numbers, expected.numbers)
        np.testing.assert_array_equal(actual.similarities, expected.similarities)
        assert actual.certificate.method == "exact"
        assert actual.certificate.total_variation <= 1.1 * expected.certificate.total_variation + 1e-15
        assert actual.certificate.output_error <= 16 * expected.certificate.output_error  # for the order of its sums
        together = actual.certificate.total_variation + expected.certificate.total_variation
        assert np.abs(actual.weights - expected.weights).sum() / 2 <= together
        assert abs(actual.null_weight - expected.null_weight) <= together
        errors = actual.certificate.output_error + expected.certificate.output_error
        assert np.linalg.norm(actual.output - expected.output) <= errors
        np.testing.assert_allclose(actual.log_partition, expected.log_partition, rtol=1e-12)
        np.testing.assert_allclose(actual.entropy, expected.entropy, rtol=1e-9, atol=1e-9)


def test_nothing_as_long_as_the_rows_is_held(monkeypatch):
    def refused(*_, **__):
        raise AssertionError("all similarities at once")

    monkeypatch.setattr("softkv_attention.lookup.shards.local.compute_all_similarities", refused)
    view, _ = bare("gaussian")
    results = answers(view, [Question(query, 0.05) for query in QUERIES])
    assert [result.certificate.method for result in results] == ["exact"] * 3
    request = ScanRequest(QUERIES, [10] * 3, listed=128, max_lookups=64, temperatures=np.ones(3))
    gathered = shard_of(view, Question(QUERIES[0], 1.0)).gather(request)
    assert (np.diff(gathered.starts) < N / 8).all()
    with pytest.raises(AssertionError, match="all similarities"):  # where every temperature is meant
        answers(view, [Question(QUERIES[0], Auto(3.0))])


def test_while_codes_are_made_some_rows_are_scanned_and_the_others_read(monkeypatch):
    """Without memory for more codes this stays so."""
    view, memory = bare("cosine")
    expected = exact_answers(view, [Question(query, 0.05, null=0.3) for query in QUERIES])
    coded, made = Block.with_codes, []

    def until_memory_is_full(block, *how):
        made.append(block)
        if len(made) == 3:
            raise MemoryError
        return coded(block, *how)

    monkeypatch.setattr(Block, "with_codes", until_memory_is_full)
    with pytest.raises(MemoryError):
        memory.code()
    view = memory.publish(add=Rows(np.arange(N, N + 1), -QUERIES[:1], VALUES[:1]))  # new rows have codes again
    questions = [Question(query, 0.05, null=0.3) for query in QUERIES]
    part = shard_of(view, questions[0])
    assert isinstance(part, MergedShards)
    assert [type(shard) is UncodedShard for shard, _ in part._shards] == [False, True, False][: len(part._shards)]
    for actual, exact in zip(answers(view, questions), expected, strict=True):
        np.testing.assert_array_equal(actual.numbers, exact.numbers)
        np.testing.assert_array_equal(actual.similarities, exact.similarities)
        assert actual.certificate.method == "quantised"
        bounds = actual.certificate.total_variation + exact.certificate.total_variation + 1e-12  # for the new row
        assert np.abs(actual.weights - exact.weights).sum() / 2 <= bounds
        assert np.linalg.norm(actual.output - exact.output) <= actual.certificate.output_error + 1e-9
    mask = view.mask(np.arange(0, N, 2))
    actual, exact = (ask(view, [Question(QUERIES[1], 0.05, mask=mask)])[0] for ask in (answers, exact_answers))
    np.testing.assert_array_equal(actual.numbers, exact.numbers)


def test_many_tiles_are_blended_in_few_runs(monkeypatch):
    monkeypatch.setattr("softkv_attention.lookup.shards.uncoded.TILE_ROWS", 16)
    monkeypatch.setattr("softkv_attention.lookup.shards.uncoded.MAX_TILES_PER_SUM", 5)
    view, _ = bare("dot")
    questions = [Question(query, 2.0) for query in QUERIES]
    for actual, expected in zip(answers(view, questions), exact_answers(view, questions), strict=True):
        np.testing.assert_array_equal(actual.numbers, expected.numbers)
        np.testing.assert_allclose(actual.output, expected.output, rtol=1e-12)
        np.testing.assert_allclose(actual.weights, expected.weights, rtol=1e-12)
