"""Documents of several keys from a scan: the head is the exact one, weights keep their certificate, or it says no."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from softkv_attention.lookup import Limits, Memory, Question, ScanWidth, answers, sweep
from softkv_attention.lookup.exact import exact_answers, exact_sweep
from softkv_attention.lookup.quantised import quantised_answers
from softkv_attention.lookup.rescoring.candidates import RescoredQuery
from softkv_attention.lookup.rescoring.ranking import DocumentGrouping
from softkv_attention.lookup.shards.documents import AnswerRows
from softkv_attention.lookup.shards.local import LocalShard
from softkv_attention.lookup.softmax.evidence import Evidence
from softkv_attention.lookup.softmax.mixture import Mixture
from softkv_attention.lookup.temperature_sweep import sweep_by_scan

N, WIDTH = 12_000, 37
LIMITS = Limits(max_tile_rows=1024, scan_widths=(ScanWidth(64, 128), ScanWidth(512, 2048)))
WIDE = replace(LIMITS, scan_widths=(ScanWidth(512, 2048),))


def rows_of(sizes, seed=3):
    """Return (keys, values, owners): documents with these numbers of keys near 40 centres, each key nearer to another.

    The values lie around one vector, so that no average of them is too short for a scan.
    """
    random = np.random.default_rng(seed)
    sizes = np.asarray(sizes)
    owners = np.repeat(np.cumsum([0, *sizes[:-1]]), sizes)[:N]
    centres = random.standard_normal((40, WIDTH))
    subject = np.repeat(random.integers(0, 40, len(sizes)), sizes)[:N]
    keys = 0.8 * centres[subject] + 0.5 * centres[random.integers(0, 40, N)] + 0.7 * random.standard_normal((N, WIDTH))
    return keys.astype(np.float32), 2 + random.standard_normal((N, 5)).astype(np.float32), owners


KINDS = {
    "few keys each": np.random.default_rng(1).integers(1, 5, N),
    "thousands of keys": np.where(np.random.default_rng(2).random(N) < 0.002, 3000, 2),
}


@pytest.fixture(params=KINDS)
def view(request):
    keys, values, owners = rows_of(KINDS[request.param])
    memory = Memory.of(keys, values, owners=owners, limits=LIMITS)
    return memory.publish(remove=np.unique(owners)[::7])


def queries_of(view, count):
    random = np.random.default_rng(8)
    keys = view.segments[0].keys
    return [keys[row] + random.standard_normal(WIDTH) for row in random.integers(0, len(keys), count)]


@pytest.mark.parametrize("temperature", [0, 1e-30, 1e-4, 0.01, 0.03, 0.1])
@pytest.mark.parametrize("null", [None, 0.6])
def test_every_bound_holds(running, view, agrees, temperature, null):
    questions = [Question(query, temperature, null=null) for query in queries_of(view, 6)]
    answers = quantised_answers(view, questions)
    assert sum(answer is not None for answer in answers) >= 4
    for question, candidate in zip(questions, answers, strict=True):
        if candidate is not None:
            agrees(view, question, candidate)


@pytest.mark.parametrize("normaliser", ["one_hot", "sparsemax", "entmax15"])
def test_other_normalisers(view, agrees, normaliser):
    questions = [Question(query, 0.05, normaliser=normaliser, top_k=5) for query in queries_of(view, 6)]
    answers = quantised_answers(view, questions)
    assert sum(answer is not None for answer in answers) >= 4
    for question, candidate in zip(questions, answers, strict=True):
        if candidate is not None:
            agrees(view, question, candidate)
            assert not candidate.log_weight_of_other_parts.any()


@pytest.mark.parametrize(("top_k", "top_p"), [(0, None), (1, None), (40, None), (None, 0.5), (3, 0.9), (40, 1.0)])
def test_top_k_top_p_and_masks(view, agrees, top_k, top_p):
    documents = np.unique(view.segments[0].owners)
    mask = view.mask(np.random.default_rng(0).choice(documents, len(documents) // 2, replace=False))
    questions = [
        Question(query, 0.02, mask=mask, top_k=top_k, top_p=top_p, null=0.3, output=False)
        for query in queries_of(view, 5)
    ]
    answers = quantised_answers(view, questions)
    assert sum(answer is not None for answer in answers) >= 3
    for question, candidate in zip(questions, answers, strict=True):
        if candidate is not None:
            agrees(view, question, candidate)


def crowd(mediocre, count, limits=LIMITS):
    """Return two documents for a query e₁: one with a single key at 0.9, one with `count` keys at `mediocre`."""
    random = np.random.default_rng(4)
    keys = random.standard_normal((N, WIDTH)) * (np.arange(WIDTH) > 0)
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    cosines = np.append(0.9, np.full(count, mediocre))
    keys[: count + 1] *= np.sqrt(1 - cosines * cosines)[:, None]
    keys[: count + 1, 0] = cosines
    owners = np.arange(N)
    owners[1 : count + 1] = 1
    return Memory.of(keys.astype(np.float32), owners=owners, limits=limits).view, np.eye(WIDTH)[0]


@pytest.mark.parametrize(("scanned", "count"), [(False, 40), (True, 40), (True, 3000)])
def test_many_mediocre_keys_outweigh_a_good_one(scanned, count):
    view, query = crowd(0.8, count, replace(LIMITS, exact_max_components=0 if scanned else 10**9))
    warm, cold = answers(view, [Question(query, temperature, top_k=2) for temperature in (0.05, 0.01)])
    assert {warm.certificate.method, cold.certificate.method} == {"quantised" if scanned else "exact"}
    ratio = count * np.exp(-0.1 / np.array([0.05, 0.01]))
    assert (ratio[0] > 5, ratio[1] < 1 or count == 3000) == (True, True)
    assert warm.numbers.tolist() == [1, 0]
    assert warm.similarities == pytest.approx([0.8, 0.9], abs=1e-6)
    assert warm.weights[0] / warm.weights[1] == pytest.approx(ratio[0], rel=1e-4)
    np.testing.assert_allclose(
        np.log(warm.weights), warm.logits - warm.log_partition + warm.log_weight_of_other_parts, atol=0.02
    )
    assert cold.weights[cold.numbers.tolist().index(1)] / cold.weights.sum() == pytest.approx(
        ratio[1] / (1 + ratio[1]), rel=1e-4
    )
    swept = sweep(view, Question(query, 1.0, top_k=2), [0.05, 0.01, 0])
    assert swept.numbers.tolist() == [0, 1]  # by similarity
    np.testing.assert_allclose(swept.weights[0], warm.weights[::-1], rtol=1e-2)
    np.testing.assert_array_equal(swept.weights[2], [1, 0])


def test_similarity_decides_if_weights_vanish(agrees):
    """After the best, 40 keys just below 0.7 have more mass together than one at 0.7; but no weight is left of it."""
    view, query = crowd(0.6998, 40)
    keys = view.segments[0].keys.astype(np.float64)
    keys[50] = np.append(0.7, keys[50, 1:] / np.linalg.norm(keys[50, 1:]) * np.sqrt(1 - 0.49))
    view = Memory.of(keys.astype(np.float32), owners=view.segments[0].owners, limits=LIMITS).view
    for temperature, second in ((1e-4, 50), (0.01, 1)):
        question = Question(query, temperature, top_k=2)
        (answer,) = quantised_answers(view, [question])
        assert answer.numbers.tolist() == [0, second]
        assert (answer.weights[1] == 0) == (temperature == 1e-4)
        agrees(view, question, answer)


def test_a_document_whose_keys_a_scan_lists_none_of_is_known_by_their_number():
    """At 0.3 none of 6,000 keys is near the best, and together they outweigh it."""
    view, query = crowd(0.3, 6000, replace(LIMITS, scan_widths=(ScanWidth(64, 32),)))
    question = Question(query, 0.1, top_k=1, output=False)
    (answer,) = quantised_answers(view, [question])
    assert answer is None or answer.numbers.tolist() == [1]
    assert exact_answers(view, [question])[0].numbers.tolist() == [1]


def test_a_sweep_has_the_documents_of_the_best_keys_and_all_that_these_weigh(running, view):
    view = replace(view, limits=WIDE)
    temperatures = [0, 1e-4, 0.02, 0.1, 1.0, np.inf]
    decided = 0
    for query in queries_of(view, 6):
        question = Question(query, 1.0, null=0.4, top_k=7)
        result, exact = sweep_by_scan(view, question, temperatures), exact_sweep(view, question, temperatures)
        if result is None:
            continue
        decided += 1
        for name in ("numbers", "parts", "similarities", "matches", "documents", "keys", "best_similarity"):
            np.testing.assert_array_equal(getattr(result, name), getattr(exact, name), err_msg=name)
        for position in range(len(temperatures)):
            pairs = (
                (result.weights[position], result.evidence[position]),
                (exact.weights[position], exact.evidence[position]),
            )
            mine, true = (np.append(w, [e.null_weight, 1 - e.null_weight - w.sum()]) for w, e in pairs)
            assert np.abs(mine - true).sum() / 2 <= result.certificates[position].total_variation + 1e-12
    assert decided >= 4


def test_undecided_documents_are_left_to_the_exact_path():
    keys, values, owners = rows_of(KINDS["few keys each"])
    view = Memory.of(keys, values, owners=owners, limits=LIMITS).view
    (query,) = queries_of(view, 1)
    assert quantised_answers(view, [Question(query, np.inf)]) == [None]  # their numbers of keys decide, and tie
    few = replace(view, limits=replace(LIMITS, max_document_lookups=5))
    assert quantised_answers(few, [Question(query, 0.02)]) == [None]
    wide = replace(view, limits=replace(WIDE, max_document_lookups=5))
    assert sweep_by_scan(wide, Question(query, 0.02), [0.02]) is None


def test_documents_never_weigh_more_than_there_is():
    """Two rows of a tail that was taken for lighter than it is."""
    evidence = Evidence(1.0, 0.2, 0.5, 0.0, 0.0, 1.0)
    rescored = RescoredQuery(
        np.array([0, 1]), np.array([1.0, 0.5]), np.array([2, 3]), np.array([0.2, 0.1]), -9.0, 1.0, 0.0
    )
    factor = 0.4
    weights_known = np.exp(rescored.similarities - 1.0) * factor
    result = Mixture(
        weights_known, np.array([0.1, 0.05]), np.zeros(0), evidence, 0.0, 0.15, np.log(0.15), 0.0, 0.0, 0.0
    )
    part = LocalShard(Memory.of(np.eye(5)).view, None)
    question = Question(np.ones(5), 1.0)
    rows = AnswerRows(np.array([0, 2, 3]), np.array([1.0, 0.6, 0.4]), DocumentGrouping(np.array([0, 2, 2])))
    weights, elsewhere = rows.weights(part, question, rescored, result)
    exact = np.exp(rows.similarities - 1.0) * factor
    assert exact.sum() > weights_known.sum() + 0.15
    np.testing.assert_allclose(weights, exact / exact.sum() * (weights_known.sum() + 0.15))
    assert 0 <= elsewhere < 1e-300  # though there are other rows
    fewer = AnswerRows(np.array([0, 3]), np.array([1.0, 0.4]), DocumentGrouping(np.array([0, 3])))
    weights, elsewhere = fewer.weights(part, question, rescored, result)
    np.testing.assert_allclose(weights, exact[[0, 2]])
    assert elsewhere == pytest.approx(weights_known.sum() + 0.15 - weights.sum())
