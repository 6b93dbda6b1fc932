"""The head: the best rows with their ties, and the smallest part of them that holds a share of the weight."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Question, answer


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9, 0.999, 1.0])
def test_top_p_is_the_smallest_set_that_holds_the_share(filled, p):
    random = np.random.default_rng(2)
    view = filled("cosine", random.standard_normal((700, 5)))
    query = random.standard_normal(5)
    everything = answer(view, Question(query, 0.1, null=0.9, top_k=700))
    shares = np.cumsum(everything.weights) / everything.weights.sum()
    found = answer(view, Question(query, 0.1, null=0.9, top_p=p))
    assert found.complete
    assert shares[found.matches - 1] >= p - 1e-12
    assert found.matches == 1 or shares[found.matches - 2] < p
    capped = answer(view, Question(query, 0.1, null=0.9, top_p=p, top_k=2))
    assert capped.matches == min(2, found.matches)
    assert capped.complete == (found.matches <= 2)


def test_top_p_of_equal_weights(filled):
    view = filled("dot", np.ones((10, 2)))
    found = answer(view, Question(np.ones(2), 1.0, top_p=0.9))
    assert found.matches == 9
    assert len(found.numbers) == 10
    assert answer(view, Question(np.ones(2), 1.0, top_p=1.0)).matches == 10
    assert answer(filled("dot", np.ones((1200, 2))), Question(np.ones(2), 1.0, top_p=1.0)).matches == 1000
