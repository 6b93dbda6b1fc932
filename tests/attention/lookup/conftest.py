"""Collections to ask, and what a scanned answer has to keep beside the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from softkv_attention.kernels import dispatch, in_numpy, kernels_in_c
from softkv_attention.lookup import AnyView, Limits, Memory, Rows, View
from softkv_attention.lookup.exact import exact_answers
from tests.oracle import similarities, weights
from tests.thorough import thorough


@pytest.fixture(scope="session")
def oracle() -> Callable[..., np.ndarray]:
    return similarities


@pytest.fixture(scope="session")
def oracle_weights() -> Callable[..., tuple[np.ndarray, float]]:
    return weights


@pytest.fixture(scope="session")
def filled() -> Callable[..., View]:
    """A view of the given keys and values, numbered from 100 on."""

    def fill(similarity, keys, values=None, limits=Limits()):
        keys = np.asarray(keys, dtype=np.float32)
        memory = Memory(similarity, limits=limits)
        values = None if values is None else np.asarray(values, dtype=np.float32)
        return memory.publish(add=Rows(np.arange(100, 100 + len(keys)), keys, values))

    return fill


@pytest.fixture(scope="session")
def in_pieces() -> Callable[..., View]:
    """A view of the given keys and values, numbered from 0 on and written in five pieces."""

    def fill(similarity, keys, values=None, pieces=5, limits=Limits()):
        memory = Memory(similarity, limits=limits)
        for rows in np.array_split(np.arange(len(keys)), pieces):
            memory.publish(add=Rows(rows, keys[rows], None if values is None else values[rows]))
        return memory.view

    return fill


@pytest.fixture(scope="session")
def as_one() -> Callable[..., AnyView]:
    """Return a function that returns several views as one; a module with another kind of view has its own."""
    return View.merged


@pytest.fixture(scope="session")
def data():
    """Keys [1009, 13], values [1009, 7] and five queries, all at random."""
    random = np.random.default_rng(5)
    return random.standard_normal((1009, 13)), random.standard_normal((1009, 7)), random.standard_normal((5, 13))


@pytest.fixture(scope="session")
def clusters():
    """Keys float32[6007, 37] around 40 centres, values float32[6007, 11], and 19 queries near some of the keys.

    The values lie around one vector, so that no average of them is too short for a scan.
    """
    random = np.random.default_rng(11)
    n, d = 6007, 37
    centres = random.standard_normal((40, d))
    keys = (centres[random.integers(0, 40, n)] + 0.7 * random.standard_normal((n, d))).astype(np.float32)
    values = random.standard_normal((n, 11)).astype(np.float32) + np.float32(2)
    random = np.random.default_rng(12)
    return keys, values, [keys[row] + random.standard_normal(d) for row in random.integers(0, n, 19)]


KERNELS = {"C": kernels_in_c(), "NumPy": in_numpy}


@pytest.fixture(params=["C", thorough("NumPy")])
def running(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Either kind of kernels in turn, and every answer made by them; by day, test_quantised.py tries both."""
    yield from using(request.param)


@pytest.fixture(params=list(KERNELS))
def either(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Either kind of kernels in turn, by day, too."""
    yield from using(request.param)


def using(kind: str) -> Iterator[Any]:
    """Let these kernels make every answer."""
    dispatch.use_kernels(KERNELS[kind])
    yield KERNELS[kind]
    dispatch.use_kernels(None)


@pytest.fixture(scope="session")
def coded() -> Callable[..., np.ndarray]:
    """Return a function: the similarity by codes alone of each query with all rows of a view, float64[q, n]."""

    def products(view, queries):
        computed = []
        for segment in view.segments:
            codes = segment.block.codes
            rows = codes.at(np.arange(segment.count), view.dimension).astype(np.float64)
            computed.append((queries.codes.astype(np.float64) @ rows.T) * codes.scales[: segment.count])
        return np.concatenate(computed, axis=1) * queries.scales[:, None]

    return products


@pytest.fixture(scope="session")
def agrees() -> Callable[..., None]:
    """Return a function that compares a scanned answer with the exact one: head and best to the bit, and all bounds."""

    def check(view, question, result):
        head, everything = exact_answers(view, [question, replace(question, top_k=view.n, top_p=None)])
        for name in ("numbers", "parts", "similarities", "matches", "complete", "documents", "keys", "best_similarity"):
            np.testing.assert_array_equal(getattr(result, name), getattr(head, name), err_msg=name)
        np.testing.assert_allclose(result.logits, head.logits, rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(result.log_weight_of_other_parts, head.log_weight_of_other_parts, atol=1e-12)
        assert result.verdict.stands == head.verdict.stands or not result.verdict.certain
        weight = dict(zip(everything.numbers.tolist(), everything.weights.tolist(), strict=True))
        true = np.array([weight[number] for number in result.numbers.tolist()])
        rests = [1 - one.null_weight - own.sum() for one, own in ((result, result.weights), (everything, true))]
        assert rests[0] >= -1e-12
        apart = np.abs(true - result.weights).sum() + abs(result.null_weight - everything.null_weight)
        bound = result.certificate.total_variation + everything.certificate.total_variation
        assert (apart + abs(rests[0] - rests[1])) / 2 <= bound + 1e-15
        assert result.certificate.method == "quantised"
        if question.output:
            bound = result.certificate.output_error + everything.certificate.output_error
            assert np.linalg.norm(result.output - everything.output) <= bound
        assert result.entropy == pytest.approx(head.entropy, rel=2e-2, abs=1e-3)
        assert (result.log_partition is None) == (head.log_partition is None)
        assert result.log_partition is None or result.log_partition == pytest.approx(
            head.log_partition, rel=1e-2, abs=1e-2
        )

    return check
