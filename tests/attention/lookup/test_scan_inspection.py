"""The similarity that weighed each row: within the quantisation error of the truth, and the base of weights."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Memory, Question, Rows
from attention.lookup.bounds.similarities import quantisation_errors
from attention.lookup.codes.quantisation import code_queries
from attention.lookup.quantised import quantised_answers
from tests.attention.lookup.inspection import similarities_seen


@pytest.fixture
def view(clusters):
    """In three pieces, every seventh row removed again."""
    keys, values, _ = clusters
    memory = Memory("scaled_dot")
    for rows in np.array_split(np.arange(len(keys)), 3):
        memory.publish(add=Rows(rows, keys[rows], values[rows]))
    return memory.publish(remove=np.arange(0, len(keys), 7))


@pytest.mark.parametrize("count", [1, 12])
def test_every_row_that_lives_is_seen_within_the_error_of_its_codes(running, clusters, oracle, view, count):
    keys, _, queries = clusters
    questions = [Question(query, 0.3) for query in queries[:count]]
    numbers, seen = similarities_seen(view, questions)
    np.testing.assert_array_equal(np.sort(numbers), view.numbers())
    codes = code_queries("scaled_dot", np.array(queries[:count]), outputs=True)
    largest = quantisation_errors(view, codes)[:, 0]
    for query, values_seen, error in zip(queries, seen, largest, strict=False):
        off = np.abs(values_seen - oracle("scaled_dot", query, keys[numbers]))
        assert 0 < off.max() <= error


def test_the_softmax_of_scanned_similarities_is_the_answer(running, clusters, view):
    questions = [
        Question(query, temperature, top_k=20)
        for query, temperature in zip(clusters[2], (0.05, 0.3, 9.0), strict=False)
    ]
    numbers, seen = similarities_seen(view, questions)
    index_of = {number: position for position, number in enumerate(numbers.tolist())}
    for question, similarities, quantised_answer in zip(
        questions, seen, quantised_answers(view, questions), strict=True
    ):
        weights = np.exp((similarities - similarities.max()) / question.temperature)
        head = [index_of[number] for number in quantised_answer.numbers.tolist()]
        np.testing.assert_allclose(quantised_answer.weights, (weights / weights.sum())[head], rtol=1e-5)
        np.testing.assert_array_equal(quantised_answer.similarities, similarities[head])  # these were looked up


def test_a_question_that_the_exact_path_answers_was_not_weighed_by_codes(clusters, in_pieces):
    keys, _, queries = clusters
    questions = [Question(queries[0], 0.05), Question(queries[0], 9.0, normaliser="sparsemax")]
    seen, unseen = similarities_seen(in_pieces("cosine", keys), questions)[1]
    assert seen is not None
    assert unseen is None
