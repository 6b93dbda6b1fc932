"""Weighted sums as queries, against a float64 computation over random collections."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import Limits
from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.queries import QueryPart, WeightedSum, find_words, sweep_collection
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage.records import DocumentRecord
from tests.service.retrieval.making import attend, opened
from tests.thorough import examples

SCANNED = Limits(block_rows=64, exact_max_components=-1)
SIMILARITIES = ("cosine", "dot", "scaled_dot", "gaussian")
WIDTH = 4


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def add_up(similarity: str, parts: list[QueryPart], keys: dict[str, np.ndarray]) -> np.ndarray:
    """The definition: Σ weight · vector, of unit vectors for cosine; of a document's keys the mean."""
    total = np.zeros(WIDTH)
    for part in parts:
        vectors = (keys[part.id] if part.vector is None else part.vector[None]).astype(np.float64)
        mean = (unit(vectors) if similarity == "cosine" else vectors).mean(axis=0)
        total += part.weight * (unit(mean) if similarity == "cosine" else mean)
    return total


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_sum_is_answered_as_its_vector(seed, scanned):
    random = np.random.default_rng(seed)
    keys = {
        f"d{i:02}": random.standard_normal((random.integers(1, 4), WIDTH)).astype(np.float32) * random.uniform(0.1, 9)
        for i in range(50)
    }
    similarity = SIMILARITIES[random.integers(4)]
    with tempfile.TemporaryDirectory() as folder:
        documents = [DocumentRecord(name, None, None, rows) for name, rows in keys.items()]
        catalogue = opened(Path(folder), documents, SCANNED if scanned else Limits(), similarity=similarity)
        collection = catalogue.collection("c")
        sums = [
            [
                QueryPart(float(random.normal()), id=str(random.choice(list(keys))))
                if random.integers(2)
                else QueryPart(float(random.normal()), vector=random.standard_normal(WIDTH).astype(np.float32))
                for _ in range(random.integers(1, 6))
            ]
            for _ in range(3)
        ]
        plain = random.standard_normal(WIDTH).astype(np.float32)
        options = {"temperature": 0.5, "top_k": 50}
        results = attend(collection, *map(WeightedSum, sums), plain, **options)
        vectors = [*(add_up(similarity, parts, keys) for parts in sums), plain]
        for result, vector in zip(results, attend(collection, *vectors, **options), strict=True):
            weights = {match.id: match.weight for match in result.matches}
            assert weights == pytest.approx({match.id: match.weight for match in vector.matches}, abs=1e-9)
        swept = asyncio.run(sweep_collection(collection, WeightedSum(sums[0]), [0.5], CollectionQuestion(top_k=50)))
        pairs = zip(swept.matches, swept.temperatures[0].weights.tolist(), strict=True)
        weights = {match.document.id: weight for match, weight in pairs}
        assert weights == pytest.approx({match.id: match.weight for match in results[0].matches}, abs=1e-9)
        catalogue.store.close()


@pytest.fixture
def shelf(create):
    keys = {"east": [[2, 0]], "north": [[0, 3]], "both": [[1, 0], [-4, 0]], "none": np.empty((0, 2))}
    documents = [DocumentRecord(name, "text", None, np.array(rows, np.float32)) for name, rows in keys.items()]
    return create(documents, similarity="cosine")


def part(weight: float = 1.0, **content: Any) -> QueryPart:
    return QueryPart(weight, **content)


@pytest.mark.parametrize(
    ("parts", "pointer", "message"),
    [
        ([part(id="none")], "/queries/0/0/id", "document 'none' has no key"),
        ([part(id="both")], "/queries/0/0/id", "the keys of document 'both' cancel"),
        ([part(id="east"), part(-1, vector=np.array([1, 1e-7], np.float32))], "/queries/0", "the weights cancel"),
        ([part(0, id="east")], "/queries/0", "the weights cancel"),
        ([part(vector=np.zeros(2, np.float32))], "/queries/0/0/vector", "a zero vector has no direction"),
        ([part(vector=np.ones(3, np.float32))], "/queries/0/0/vector", "query has width 3"),
        ([part(text="cats")], "/queries/0/0/text", "the query is a text and collection 'c' has no encoder"),
    ],
)
def test_sums_without_an_answer_are_refused(shelf, parts, pointer, message):
    with pytest.raises(InvalidContent, match=message) as raised:
        attend(shelf, WeightedSum(parts), temperature=1.0)
    assert [flaw.pointer for flaw in raised.value.flaws] == [pointer]


def test_all_unknown_documents_are_named_at_once(shelf):
    with pytest.raises(InvalidContent) as raised:
        attend(shelf, WeightedSum([part(id="x")]), WeightedSum([part(id="y")]))
    assert [flaw.pointer for flaw in raised.value.flaws] == ["/queries/0/0/id", "/queries/1/0/id"]


def test_weights_of_any_size_have_one_direction(shelf):
    results = [
        attend(shelf, WeightedSum([part(3 * size, id="east"), part(size, id="north")]), temperature=1.0)[0]
        for size in (1e-300, 1.0, 1e300)
    ]
    weights = [[match.weight for match in result.matches] for result in results]
    assert weights[0] == pytest.approx(weights[1], abs=1e-12)
    assert weights[2] == pytest.approx(weights[1], abs=1e-12)


def test_a_sum_beyond_float32_is_refused(create):
    collection = create([DocumentRecord("a", None, None, np.ones((1, 2), np.float32))])
    for weight in (1e39, 1e300):
        query = WeightedSum([part(weight, id="a"), part(weight, id="a")])
        with pytest.raises(InvalidContent, match="not finite as float32"):
            attend(collection, query, temperature=1.0)


def test_an_empty_collection_takes_parts_of_one_width(create):
    collection, widths = create(similarity="cosine"), [part(vector=np.ones(width, np.float32)) for width in (2, 3)]
    assert attend(collection, WeightedSum(widths[:1]))[0].matches == []
    with pytest.raises(InvalidContent, match="the part has width 3, the first part has width 2"):
        attend(collection, WeightedSum(widths))


def test_too_many_parts_of_all_queries_are_refused(shelf):
    with pytest.raises(InvalidContent, match="1100 parts of queries came, and a request has 1000 in all"):
        attend(shelf, *[WeightedSum([part(id="east")] * 100)] * 11)


def test_the_words_of_a_sum_are_those_of_its_liked_texts():
    liked = WeightedSum([part(text="cats"), part(-1, text="dogs"), part(0.5, text="birds"), part(id="x")])
    assert find_words(liked) == "cats birds"
    assert find_words(WeightedSum([part(-1, text="dogs"), part(id="x")])) is None
    assert find_words("cats") == "cats"
    assert find_words(np.ones(2)) is None
