"""The quantised path against the exact one, whichever engine runs it: the head is the same, the bounds hold."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from softkv_attention.lookup import Auto, Limits, Question, ScanWidth, answers, quantised, sweep
from softkv_attention.lookup.exact import exact_answers
from softkv_attention.lookup.quantised import quantised_answers
from softkv_attention.lookup.rescoring import candidates
from softkv_attention.lookup.shards import local

LIMITS = Limits(max_tile_rows=1024, scan_widths=(ScanWidth(64, 128),))


@pytest.fixture
def running(either):
    """Either kind of kernels, by day, too."""
    return either


@pytest.fixture
def in_pieces(in_pieces):
    """In small tiles, with short lists."""
    return partial(in_pieces, limits=LIMITS)


@pytest.mark.parametrize("temperature", [0, 1e-30, 1e-6, 1e-3, 0.02, 0.1, 1.0, 100.0, np.inf])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot"])
def test_every_bound_holds(running, clusters, in_pieces, agrees, similarity, temperature):
    keys, values, queries = clusters
    view = in_pieces(similarity, keys, values)
    width = keys.shape[1]
    scale = {"cosine": 1, "dot": width, "scaled_dot": np.sqrt(width)}[similarity]
    for count in (1, 3, 19):
        questions = [Question(query, temperature * scale, null=0.5 * scale) for query in queries[:count]]
        answers = quantised_answers(view, questions)
        assert all(answers)
        for question, result in list(zip(questions, answers, strict=True))[:3]:
            agrees(view, question, result)


@pytest.mark.parametrize("normaliser", ["one_hot", "sparsemax", "entmax15"])
def test_other_normalisers_come_from_the_head(running, clusters, in_pieces, agrees, normaliser):
    keys, values, queries = clusters
    view = in_pieces("cosine", keys, values)
    question = Question(queries[0], 0.02, normaliser=normaliser)
    agrees(view, question, quantised_answers(view, [question])[0])
    # At a temperature where everything has weight, the head is not enough.
    assert normaliser == "one_hot" or quantised_answers(view, [replace(question, temperature=9.0)]) == [None]


def test_top_k_and_top_p(running, clusters, in_pieces, agrees):
    keys, values, queries = clusters
    view = in_pieces("cosine", keys, values)
    for top_k, top_p in ((0, None), (1500, None), (None, 0.5), (3, 0.9)):
        question = Question(queries[0], 0.1, top_k=top_k, top_p=top_p, output=False)
        agrees(view, question, quantised_answers(view, [question])[0])


def test_rows_that_the_codes_cannot_tell_apart_go_to_the_exact_path(running, clusters, in_pieces):
    keys, _, queries = clusters
    copies = np.ones(keys.shape, dtype=np.float32)
    question = Question(queries[0], 0.05)
    assert quantised_answers(in_pieces("cosine", copies), [question]) == [None]
    near = copies + 1e-4 * np.random.default_rng(1).standard_normal(copies.shape).astype(np.float32)
    assert quantised_answers(in_pieces("cosine", near), [question]) == [None]


def test_rows_that_may_belong_to_the_head_are_looked_up_in_a_second_round(
    running, clusters, in_pieces, agrees, monkeypatch
):
    """Forty rows closer together than their codes can tell: which ten are best shows only in float64."""
    random = np.random.default_rng(5)
    keys = clusters[0].copy()
    near = random.choice(len(keys), 40, replace=False)
    keys[near] = keys[0] + 1e-3 * random.standard_normal((40, keys.shape[1])).astype(np.float32)
    view = in_pieces("cosine", keys, limits=replace(LIMITS, scan_widths=(ScanWidth(12, 128),)))
    monkeypatch.setattr(candidates, "ERROR_MARGIN", 0.0)
    monkeypatch.setattr(quantised, "FEW_QUESTIONS", 0)
    looked_up = []
    read = local.compute_similarities
    monkeypatch.setattr(local, "compute_similarities", lambda *asked: looked_up.append(len(asked[3])) or read(*asked))
    for normaliser, temperature in (("softmax", 0), ("softmax", 1e-4), ("sparsemax", 1e-3), ("entmax15", 1e-4)):
        looked_up.clear()
        question = Question(keys[0], temperature, normaliser=normaliser, output=False)
        agrees(view, question, quantised_answers(view, [question])[0])
        assert len(looked_up) == 2
        assert sum(looked_up) >= 40


def test_rising_rows_fill_lists_again_and_again(running, in_pieces, agrees):
    """Each row is better than all before: every one of them is listed when it comes."""
    n, width = 6007, 37
    keys = (1.002 ** np.arange(n)[:, None] * np.ones((1, width))).astype(np.float32)
    view = in_pieces("dot", keys, np.linspace(-1, 1, n * 2, dtype=np.float32).reshape(n, 2))
    for temperature in (1e3, 1e5, 1e7):
        question = Question(np.ones(width), temperature)
        agrees(view, question, quantised_answers(view, [question])[0])


def test_max_error_is_kept_or_refused(running, clusters, in_pieces):
    keys, values, queries = clusters
    view = in_pieces("cosine", keys, values)
    loose, tight = Question(queries[0], 0.05, max_error=0.9), Question(queries[0], 1.0, max_error=1e-9)
    result, refused = quantised_answers(view, [loose, tight])
    assert result.certificate.total_variation <= 0.9
    assert refused is None


@pytest.mark.parametrize("scale", [1e-17, 1e19])
def test_products_beyond_float32_go_to_the_exact_path(running, clusters, in_pieces, scale):
    keys, _, queries = clusters
    view = in_pieces("dot", keys * np.float32(scale))
    assert quantised_answers(view, [Question(queries[0] * scale, 1.0)]) == [None]


@pytest.mark.parametrize("passing", [0, 1, 2])
def test_next_to_nothing_passes(running, clusters, in_pieces, passing):
    keys, values, queries = clusters
    view = in_pieces("cosine", keys, values, limits=replace(LIMITS, exact_max_components=-1))
    mask = view.mask(np.arange(passing))
    for question in (Question(queries[0], Auto(), None, mask), Question(queries[0], 0.1, 0.2, mask)):
        result, exact = answers(view, [question])[0], exact_answers(view, [question])[0]
        np.testing.assert_array_equal(result.numbers, exact.numbers)
        np.testing.assert_allclose(result.weights, exact.weights, atol=1e-9)
        assert (result.documents, result.verdict.stands) == (passing, exact.verdict.stands)
    assert sweep(view, question, [0.0, 1.0]).documents == passing


def test_one_hot_at_infinity_where_all_rows_tie_is_for_the_exact_path(clusters, in_pieces):
    keys, _, queries = clusters
    view = in_pieces("cosine", keys, limits=replace(LIMITS, exact_max_components=0))
    question = Question(queries[0], np.inf, normaliser="one_hot")
    assert quantised_answers(view, [question]) == [None]
    np.testing.assert_allclose(answers(view, [question])[0].weights, 1 / len(keys))
