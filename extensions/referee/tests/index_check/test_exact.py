"""The exact answer: softkv-core and NumPy agree within their bounds, with the definition and with filters."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_referee.index_check.exact import ExactAnswer, count_as_similar, exact_search, similarities, weights_of

N, WIDTH, K = 400, 12, 7
SIMILARITIES = ("cosine", "dot", "gaussian")


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.standard_normal((N, WIDTH)).astype(np.float32), random.standard_normal((30, WIDTH))


def answers(core: bool, similarity: str, temperature: float, passing=None, excluded=None) -> list[ExactAnswer]:
    vectors, queries = data()
    excluded = np.full(len(queries), -1) if excluded is None else excluded
    return exact_search(vectors, similarity, core=core).answers(queries, K, temperature, passing, excluded)


def defined(similarity: str, query: np.ndarray, key: np.ndarray) -> float:
    match similarity:
        case "cosine":
            return float(query @ key / np.linalg.norm(query) / np.linalg.norm(key))
        case "dot":
            return float(query @ key)
    return float(-((query - key) ** 2).sum() / 2)


@pytest.mark.parametrize("core", [True, False])
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_the_answer_is_that_of_the_definition(core: bool, similarity: str, temperature: float) -> None:
    vectors, queries = data()
    passing = np.arange(N) % 3 > 0
    excluded = np.where(np.arange(len(queries)) % 2, np.arange(len(queries)), -1)
    for number, answer in enumerate(answers(core, similarity, temperature, passing, excluded)):
        keys = vectors.astype(np.float64)
        values = np.array([defined(similarity, queries[number], key) for key in keys])
        values[~passing] = -np.inf
        if excluded[number] >= 0:
            values[excluded[number]] = -np.inf
        order = np.argsort(-values, kind="stable")[:K]
        np.testing.assert_array_equal(answer.rows, order)
        np.testing.assert_allclose(answer.similarities, values[order], rtol=0, atol=1e-12)
        weights = np.exp((values - values.max()) / temperature)
        weights /= weights.sum()
        shown = weights_of(answer, answer.similarities, temperature)
        assert abs(shown.sum() - weights[order].sum()) <= answer.bound + 1e-13
        assert 0 < answer.rounding <= answer.bound < 1e-3


def test_a_row_that_has_all_the_weight_leaves_the_others_exact() -> None:
    vectors, _ = data()
    search = exact_search(vectors, "dot", core=True)
    query = 40 * vectors[3:4].astype(np.float64)
    (answer,) = search.answers(query, K, 1.0, None, np.array([3]))
    (expected,) = exact_search(vectors, "dot", core=False).answers(query, K, 1.0, None, np.array([3]))
    np.testing.assert_array_equal(answer.rows, expected.rows)
    assert answer.log_partition == pytest.approx(expected.log_partition, abs=1e-9)
    assert answer.bound == answer.rounding < 1e-9


@pytest.mark.parametrize("core", [True, False])
def test_no_row_that_passes_is_an_empty_answer(core: bool) -> None:
    answer = answers(core, "cosine", 0.05, np.zeros(N, dtype=np.bool_))[0]
    assert (len(answer.rows), len(answer.similarities)) == (0, 0)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_rows_with_copies_are_counted(similarity: str) -> None:
    vectors, _ = data()
    if similarity == "dot":
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[1:4] = vectors[0]
    counts = count_as_similar(vectors, similarity, np.arange(6))
    assert counts.tolist() == [3, 3, 3, 3, 0, 0]


def test_a_short_row_is_not_nearest_to_its_own_vector_by_the_dot_product() -> None:
    vectors, _ = data()
    vectors[0] /= 100
    values = similarities("dot", vectors[:1].astype(np.float64), vectors.astype(np.float64))[0]
    assert count_as_similar(vectors, "dot", np.array([0]))[0] == (values[1:] > values[0]).sum()
