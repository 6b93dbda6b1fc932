"""The quantised path against the exact one, whichever engine runs it: the head is the same, the bounds hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attention.kernels import engine, in_machine_code, in_numpy
from attention.lookup import Auto, Memory, Question, Rows, answering, answers, quantised, sweep
from attention.lookup.exact import exact_answers, exact_sweep
from attention.lookup.head import candidates
from attention.lookup.parts import whole
from attention.lookup.quantised import quantised_answers
from attention.lookup.scan import scan as scan_module
from attention.lookup.sweeping import quantised_sweep

N, D, D_V = 6007, 37, 11


@pytest.fixture(params=[in_machine_code, in_numpy], ids=["machine code", "NumPy"])
def running(request, monkeypatch):
    """Every engine in turn, over small tiles and with short lists."""
    engine.choose(request.param)
    monkeypatch.setattr(scan_module, "MOST_ROWS", 1024)
    monkeypatch.setattr(quantised, "WIDTHS", (quantised.Width(64, 128),))
    yield request.param
    engine.choose(None)


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(11)
    centres = random.standard_normal((40, D))
    keys = centres[random.integers(0, 40, N)] + 0.7 * random.standard_normal((N, D))
    return keys.astype(np.float32), random.standard_normal((N, D_V)).astype(np.float32) + 0.3


@pytest.fixture(scope="module")
def queries(data):
    random = np.random.default_rng(12)
    return [data[0][row] + random.standard_normal(D) for row in random.integers(0, N, 19)]


def view_of(similarity, keys, values=None, pieces=5):
    memory = Memory(similarity)
    for rows in np.array_split(np.arange(len(keys)), pieces):
        memory.publish(add=Rows(rows, keys[rows], None if values is None else values[rows]))
    return memory.view


def agrees(view, question, found):
    """Head and best alike to the bit; every number within its bound of the exact one."""
    exact = exact_answers(view, [replace(question, top_k=view.n)])[0]
    head = exact_answers(view, [question])[0]
    np.testing.assert_array_equal(found.numbers, head.numbers)
    np.testing.assert_array_equal(found.similarities, head.similarities)
    np.testing.assert_array_equal(found.logits, head.logits)
    place = {int(number): index for index, number in enumerate(exact.numbers)}
    true = exact.weights[[place[int(number)] for number in found.numbers]]
    rest = abs((true.sum() + exact.null_weight) - (found.weights.sum() + found.null_weight))
    apart = (np.abs(true - found.weights).sum() + abs(exact.null_weight - found.null_weight) + rest) / 2
    slack = exact.certificate.total_variation
    assert apart <= found.certificate.total_variation + slack
    assert found.certificate.method == "quantised"
    if question.output:
        assert np.linalg.norm(found.output - exact.output) <= (
            found.certificate.output_error + exact.certificate.output_error
        )
    assert found.entropy == pytest.approx(exact.entropy, rel=1e-2, abs=1e-6)
    assert (found.evidence.answered, found.documents, found.best_similarity) == (
        exact.evidence.answered,
        exact.documents,
        exact.best_similarity,
    )
    if exact.log_partition is None:
        assert found.log_partition is None
    else:
        assert found.log_partition == pytest.approx(exact.log_partition, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize("temperature", [0, 1e-30, 1e-6, 1e-3, 0.02, 0.1, 1.0, 100.0, np.inf])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot"])
def test_every_bound_holds(running, data, queries, similarity, temperature):
    view = view_of(similarity, *data)
    scale = {"cosine": 1, "dot": D, "scaled_dot": np.sqrt(D)}[similarity]
    for count in (1, 3, 19):
        asked = [Question(query, temperature * scale, null=0.5 * scale) for query in queries[:count]]
        answers = quantised_answers(view, asked)
        assert all(answers)
        for question, found in list(zip(asked, answers, strict=True))[:3]:
            agrees(view, question, found)


@pytest.mark.parametrize("normaliser", ["one_hot", "sparsemax", "entmax15"])
def test_other_normalisers_come_from_the_head(running, data, queries, normaliser):
    view = view_of("cosine", *data)
    question = Question(queries[0], 0.02, normaliser=normaliser)
    agrees(view, question, quantised_answers(view, [question])[0])
    # At a temperature where everything has weight, the head is not enough.
    assert normaliser == "one_hot" or quantised_answers(view, [replace(question, temperature=9.0)]) == [None]


def test_masks_and_removed_rows(running, data, queries):
    memory = Memory("cosine")
    memory.publish(add=Rows(np.arange(N), *data))
    view = memory.publish(remove=np.arange(0, N, 3))
    mask = view.mask(np.arange(N // 4, N))
    asked = [Question(queries[0], 0.05), Question(queries[1], 0.05, mask=mask), Question(queries[2], 1.0, mask=mask)]
    for question, found in zip(asked, quantised_answers(view, asked), strict=True):
        agrees(view, question, found)


def test_top_k_and_top_p(running, data, queries):
    view = view_of("cosine", *data)
    for top_k, top_p in ((0, None), (1500, None), (None, 0.5), (3, 0.9)):
        question = Question(queries[0], 0.1, top_k=top_k, top_p=top_p, output=False)
        found = quantised_answers(view, [question])[0]
        exact = exact_answers(view, [question])[0]
        agrees(view, question, found)
        assert (found.matches, found.complete) == (exact.matches, exact.complete)


def test_rows_that_the_codes_cannot_tell_apart_go_to_the_exact_path(running, queries):
    copies = np.tile(np.ones((1, D), dtype=np.float32), (N, 1))
    question = Question(queries[0], 0.05)
    assert quantised_answers(view_of("cosine", copies), [question]) == [None]
    near = copies + 1e-4 * np.random.default_rng(1).standard_normal(copies.shape).astype(np.float32)
    assert quantised_answers(view_of("cosine", near), [question]) == [None]


def test_rows_that_may_belong_to_the_head_are_looked_up_in_a_second_round(running, data, monkeypatch):
    """Forty rows closer together than their codes can tell: which ten are best shows only in float64."""
    random = np.random.default_rng(5)
    keys = data[0].copy()
    near = random.choice(N, 40, replace=False)
    keys[near] = keys[0] + 1e-3 * random.standard_normal((40, D)).astype(np.float32)
    view = view_of("cosine", keys)
    monkeypatch.setattr(candidates, "MARGIN", 0.0)
    monkeypatch.setattr(quantised, "WIDTHS", (quantised.Width(12, 128),))
    looked_up = []
    read = whole.similarities_at
    monkeypatch.setattr(whole, "similarities_at", lambda *asked: looked_up.append(len(asked[3])) or read(*asked))
    for normaliser, temperature in (("softmax", 0), ("softmax", 1e-4), ("sparsemax", 1e-3), ("entmax15", 1e-4)):
        looked_up.clear()
        question = Question(keys[0], temperature, normaliser=normaliser, output=False)
        agrees(view, question, quantised_answers(view, [question])[0])
        assert len(looked_up) == 2
        assert sum(looked_up) >= 40


def test_rising_rows_fill_lists_again_and_again(running):
    """Each row is better than all before: every one of them is listed when it comes."""
    keys = (1.002 ** np.arange(N)[:, None] * np.ones((1, D))).astype(np.float32)
    view = view_of("dot", keys, np.linspace(-1, 1, N * 2, dtype=np.float32).reshape(N, 2))
    for temperature in (1e3, 1e5, 1e7):
        question = Question(np.ones(D), temperature)
        agrees(view, question, quantised_answers(view, [question])[0])


def test_max_error_is_kept_or_refused(running, data, queries):
    view = view_of("cosine", *data)
    loose, tight = Question(queries[0], 0.05, max_error=0.9), Question(queries[0], 1.0, max_error=1e-9)
    found, none = quantised_answers(view, [loose, tight])
    assert found.certificate.total_variation <= 0.9
    assert none is None


@pytest.mark.parametrize("scale", [1e-17, 1e19])
def test_products_beyond_float32_go_to_the_exact_path(running, data, queries, scale):
    view = view_of("dot", data[0] * np.float32(scale))
    assert quantised_answers(view, [Question(queries[0] * scale, 1.0)]) == [None]


def test_a_sweep_is_many_answers(running, data, queries):
    view = view_of("cosine", *data)
    temperatures = [0, 1e-4, 0.01, 0.05, 0.3, 2.0, np.inf]
    question = Question(queries[0], 1.0, null=0.4, mask=view.mask(np.arange(0, N, 2)), top_k=7)
    found, exact = quantised_sweep(view, question, temperatures), exact_sweep(view, question, temperatures)
    np.testing.assert_array_equal(found.numbers, exact.numbers)
    np.testing.assert_array_equal(found.similarities, exact.similarities)
    assert (found.documents, found.matches) == (exact.documents, exact.matches)
    for index, (mine, true) in enumerate(zip(found.evidence, exact.evidence, strict=True)):
        apart = (
            np.abs(found.weights[index] - exact.weights[index]).sum() + abs(mine.null_weight - true.null_weight)
        ) / 2
        assert apart <= found.certificates[index].total_variation
        assert mine.answered == true.answered
        assert mine.log_partition == pytest.approx(true.log_partition, rel=1e-2, abs=1e-2)
        assert mine.effective_documents == pytest.approx(true.effective_documents, rel=2e-2)


def test_auto_reaches_its_effective_documents(running, data, queries, monkeypatch):
    monkeypatch.setattr(answering, "SMALL_CELLS", 0)
    view = view_of("cosine", *data)
    asked = [Question(query, Auto(wanted)) for query, wanted in zip(queries, (8, 300, 2500), strict=False)]
    for question, found in zip(asked, answers(view, asked), strict=True):
        assert found.certificate.method == "quantised"
        exact = exact_answers(view, [replace(question, temperature=found.temperature)])[0]
        assert exact.effective_documents == pytest.approx(question.temperature.effective_documents, rel=1e-2)
        assert found.effective_documents == pytest.approx(question.temperature.effective_documents, rel=1e-2)
        without = answers(view, [replace(question, output=False, null=0.4)])[0]  # from the histogram alone
        agrees(view, replace(question, output=False, null=0.4, temperature=without.temperature), without)


@pytest.mark.parametrize("passing", [0, 1, 2])
def test_next_to_nothing_passes(running, data, queries, monkeypatch, passing):
    monkeypatch.setattr(answering, "SMALL_CELLS", -1)
    view = view_of("cosine", *data)
    mask = view.mask(np.arange(passing))
    for question in (Question(queries[0], Auto(), None, mask), Question(queries[0], 0.1, 0.2, mask)):
        found, exact = answers(view, [question])[0], exact_answers(view, [question])[0]
        np.testing.assert_array_equal(found.numbers, exact.numbers)
        np.testing.assert_allclose(found.weights, exact.weights, atol=1e-9)
        assert (found.documents, found.evidence.answered) == (passing, exact.evidence.answered)
    assert sweep(view, question, [0.0, 1.0]).documents == passing
