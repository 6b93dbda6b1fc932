"""Outputs of thin scans against the exact path: within what they say, and near where they are given."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from attention.kernels import engine
from attention.lookup import Background, Memory, Question, Rows, answering, thin, thin_output
from attention.lookup.bounds import draws
from attention.lookup.bounds.draws import MEASURED, PROVEN
from attention.lookup.exact import exact_answers
from attention.lookup.thin import thin_answers
from attention.lookup.thin_output import TARGET

SEED = bytes(range(32))
WIDTH, ROWS = 96, 30_000
BASES = pytest.mark.parametrize("basis", [PROVEN, MEASURED], ids=["proven", "measured"])


def clusters(random, rows=ROWS):
    centres = random.standard_normal((400, WIDTH))
    return centres[random.integers(0, 400, rows)] + random.standard_normal((rows, WIDTH))


@cache
def keys_of(kind):
    """float32[30000, 96] of one kind, and queries near some of them."""
    random = np.random.default_rng([3, len(kind)])
    keys = clusters(random)
    if kind == "alone":
        keys = random.standard_normal((ROWS, WIDTH))
    if kind == "copies":
        keys = np.repeat(keys[: ROWS // 50], 50, axis=0)
    if kind == "one side":  # all of them have much in common
        keys += 12 * random.standard_normal(WIDTH)
    if kind == "few directions":
        keys = random.standard_normal((ROWS, 6)) @ random.standard_normal((6, WIDTH))
    if kind == "lengths":
        keys *= random.lognormal(0, 0.7, (ROWS, 1))
    keys /= np.median(np.linalg.norm(keys, axis=1))
    queries = keys[random.integers(0, ROWS, 12)] + 0.7 / np.sqrt(WIDTH) * random.standard_normal((12, WIDTH))
    return keys.astype(np.float32), queries


def memory_of(keys, values=None, similarity="cosine"):
    written = Memory(similarity, thin_seed=SEED)
    for rows in np.array_split(np.arange(len(keys)), 3):
        written.publish(add=Rows(rows, keys[rows], None if values is None else values[rows]))
    return written


@cache
def view_of(kind, similarity="cosine"):
    return memory_of(keys_of(kind)[0], similarity=similarity).view


@pytest.fixture(scope="module")
def asked():
    return keys_of("clusters")[1]


@pytest.fixture(scope="module")
def view():
    return view_of("clusters")


def off(found, view, question):
    """(how far the output is from the exact one, how long that is); it has to be within what is said of it."""
    (exact,) = exact_answers(view, [question])
    np.testing.assert_array_equal(found.numbers, exact.numbers)
    distance = float(np.linalg.norm(found.output - exact.output))
    assert distance <= found.certificate.output_error
    assert found.certificate.method == "thin"
    return distance, float(np.linalg.norm(exact.output))


def answered(view, questions, basis, monkeypatch=None, target=None):
    """Those that were, each with its answer; within another target where one is given."""
    if target is not None:
        monkeypatch.setattr(thin_output, "TARGET", target)
        monkeypatch.setattr(thin, "enough_for", lambda *_: 1.0)
    found = thin_answers(view, questions, basis)
    return [(question, answer) for question, answer in zip(questions, found, strict=True) if answer is not None]


@BASES
@pytest.mark.parametrize("temperature", [1.0, 0.2, 0.1, 0.05, 0.02, 1e-3, 0.0])
@pytest.mark.parametrize("kind", ["clusters", "alone", "copies", "one side", "few directions", "lengths"])
def test_outputs_are_within_their_bounds_whatever_is_asked_of_what(basis, temperature, kind, monkeypatch):
    view, questions = view_of(kind), [Question(query, temperature) for query in keys_of(kind)[1][:4]]
    for question, found in answered(view, questions, basis, monkeypatch, np.inf):
        off(found, view, question)


@pytest.mark.parametrize("kind", ["clusters", "alone", "one side", "copies", "lengths"])
@BASES
def test_what_is_given_is_near(basis, kind):
    view, queries = view_of(kind), keys_of(kind)[1]
    told = 0
    for temperature in (0.07, 0.05, 0.03, 0.02, 0.01, 0.0):
        for question, found in answered(view, [Question(query, temperature) for query in queries], basis):
            distance, length = off(found, view, question)
            assert distance <= 1.5 * TARGET * length
            told += 1
    assert told >= 24 or basis is MEASURED or kind == "one side"


@pytest.mark.parametrize("normaliser", ["sparsemax", "entmax15", "one_hot"])
def test_where_only_a_head_has_weight_outputs_are_exact(view, asked, normaliser):
    questions = [Question(query, 0.02, 0.1, normaliser=normaliser) for query in asked]
    told = answered(view, questions, PROVEN)
    assert len(told) >= 6
    for question, found in told:
        off(found, view, question)
        assert found.certificate.output_error < 1e-9


@pytest.mark.parametrize("similarity", ["dot", "scaled_dot"])
@pytest.mark.parametrize("kind", ["clusters", "lengths"])
def test_outputs_of_products(similarity, kind, monkeypatch):
    view, queries = view_of(kind, similarity), keys_of(kind)[1]
    scale = 1.0 if similarity == "dot" else WIDTH**-0.5
    questions = [Question(query, temperature * scale) for query in queries[:4] for temperature in (0.2, 0.1, 0.05)]
    told = answered(view, questions, PROVEN, monkeypatch, np.inf)
    assert len(told) >= 4
    for question, found in told:
        off(found, view, question)


@BASES
@pytest.mark.parametrize("values", ["others", "narrow", "zero", "signs"])
def test_values_of_their_own_are_drawn(basis, values, monkeypatch, asked):
    random = np.random.default_rng(5)
    keys, _ = keys_of("clusters")
    made = {
        "others": random.standard_normal((ROWS, WIDTH)),
        "narrow": random.standard_normal((ROWS, 3)),
        "zero": np.zeros((ROWS, 5)),
        "signs": np.sign(random.standard_normal((ROWS, 1))),
    }[values]
    view = memory_of(keys, made.astype(np.float32)).view
    told = 0
    for temperature in (0.01, 0.02):
        for question, found in answered(view, [Question(query, temperature) for query in asked], basis):
            distance, length = off(found, view, question)
            assert distance <= 1.5 * TARGET * length
            told += 1
    assert told >= 12
    for temperature in (0.05, 0.2, 1.0):
        questions = [Question(query, temperature) for query in asked[:4]]
        for question, found in answered(view, questions, basis, monkeypatch, np.inf):
            off(found, view, question)


def test_rows_that_are_masked_or_removed_have_no_part(asked):
    keys, _ = keys_of("clusters")
    written = memory_of(keys)
    written.publish(remove=np.arange(0, ROWS, 3))
    view = written.view
    mask = view.mask(np.concatenate([np.arange(0, ROWS, 2), np.arange(20_000, 26_000)]))
    told = 0
    for query in asked:
        for chosen in (None, mask):
            for null in (None, 0.4, Background(0.0, 0.14)):
                question = Question(query, 0.05, null, mask=chosen)
                for _, found in answered(view, [question], PROVEN):
                    off(found, view, question)
                    told += 1
    assert told >= 24


def test_a_question_has_one_output_however_many_workers_there_are(view, asked, monkeypatch):
    question = Question(asked[0], 0.05)
    answers = []
    for count in (1, 2, 5):
        monkeypatch.setattr("attention.lookup.scan.thin.workers", lambda count=count: count)
        answers += thin_answers(view, [question], PROVEN)
    answers += thin_answers(view, [Question(asked[1], 0.02), question], PROVEN)[1:]
    for other in answers[1:]:
        np.testing.assert_allclose(other.output, answers[0].output, rtol=1e-9, atol=1e-12)
        assert other.certificate.output_error == pytest.approx(answers[0].certificate.output_error, rel=1e-9)


def test_both_kernels_blend_alike(view, asked):
    # Many are drawn, and all of them of the same rows but for the last digits of a term.
    question = Question(asked[0], 0.05)
    answers = []
    for kind in (engine.in_numpy, engine.machine_code()):
        engine.choose(kind)
        answers += thin_answers(view, [question], PROVEN)
        engine.choose(None)
    for found in answers:
        off(found, view, question)
    length = np.linalg.norm(answers[0].output)
    assert np.linalg.norm(answers[0].output - answers[1].output) <= 1e-3 * length


def test_an_error_that_is_asked_for_holds_for_the_output_too(view, asked):
    question = Question(asked[0], 0.05)
    (found,) = thin_answers(view, [question], PROVEN)
    relative = found.certificate.output_error / view.facts.value_norm
    assert relative > found.certificate.total_variation
    for factor, told in ((1.01, True), (0.99, False)):
        (again,) = thin_answers(view, [replace(question, max_error=factor * relative)], PROVEN)
        assert (again is not None) == told


def test_a_hot_question_is_not_scanned_for(view, asked, monkeypatch):
    def scanned(*_, **__):
        raise AssertionError

    monkeypatch.setattr("attention.lookup.scan.thin._work", scanned)
    for basis in (PROVEN, MEASURED):
        assert thin_answers(view, [Question(query, 1.0) for query in asked[:2]], basis) == [None, None]


def test_where_it_may_fail_more_often_it_holds_as_often_as_it_says(view, monkeypatch):
    for module in (thin, draws):
        monkeypatch.setattr(module, "CHANCE", 0.2)
    for module in (thin, thin_output):
        monkeypatch.setattr(module, "CHANCE_OF_OUTPUT", 0.05)
    keys, _ = keys_of("clusters")
    random = np.random.default_rng(13)
    held, told = 0, []
    for row in random.integers(0, ROWS, 60):
        question = Question(keys[row] + 0.7 / np.sqrt(WIDTH) * random.standard_normal(WIDTH), 0.06)
        for _, found in answered(view, [question], PROVEN, monkeypatch, np.inf):
            (exact,) = exact_answers(view, [question])
            told.append(found.output - exact.output)
            held += np.linalg.norm(told[-1]) <= found.certificate.output_error
    assert len(told) >= 50
    assert held >= 0.8 * len(told)
    # What the errors have in common is little: nothing leans one way.
    errors = np.array(told)
    assert np.linalg.norm(errors.mean(axis=0)) < 3 * np.sqrt((errors**2).sum(axis=1).mean() / len(errors))


def test_questions_with_outputs_are_answered_so_where_rows_are_many(view, asked, monkeypatch):
    monkeypatch.setattr(thin, "THIN_CELLS", 0)
    monkeypatch.setattr(thin, "DRAWN_CELLS", 0)
    monkeypatch.setattr(answering, "SMALL_CELLS", 0)
    cold, hot = answering.answers(view, [Question(asked[0], 0.02), Question(asked[0], 1.0)])
    assert (cold.certificate.method, hot.certificate.method) == ("thin", "quantised")
    assert cold.certificate.output_error is not None
