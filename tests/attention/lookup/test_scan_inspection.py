"""The similarity that weighed each row: within the quantisation error of the truth, and the base of weights."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Memory, Question, Rows
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
