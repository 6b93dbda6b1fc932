"""Diversity against its definition in float64, over random collections; and the options that it refuses."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import Limits
from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.queries.places import share_places
from softkv_service.storage.records import DocumentRecord
from tests.service.retrieval.making import attend, opened
from tests.thorough import examples

SCANNED = Limits(block_rows=64, exact_max_components=-1)
DOCUMENTS = 150


def records(keys: dict[str, Any]) -> list[DocumentRecord]:
    return [DocumentRecord(name, None, None, np.array([key], np.float32)) for name, key in keys.items()]


def share(matches: list[Any], keys: dict[str, np.ndarray], diversity: float, size: int) -> dict[str, list[str]]:
    """The definition: each document, the heaviest first, shares the place of the first match near to it."""
    places: dict[str, list[str]] = {}
    for match in matches:
        key = keys[match.id].astype(np.float64)
        for place in places:
            other = keys[place].astype(np.float64)
            if 1 - key @ other / np.linalg.norm(key) / np.linalg.norm(other) <= diversity + 1e-7:
                places[place].append(match.id)
                break
        else:
            if len(places) < size:
                places[match.id] = []
    return places


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_places_follow_their_definition(seed, scanned):
    random = np.random.default_rng(seed)
    similarity = ("cosine", "dot", "scaled_dot")[random.integers(3)]
    centres = random.standard_normal((12, 3))
    keys = {
        f"d{i:03}": (centres[random.integers(12)] + random.choice([0, 0.2]) * random.standard_normal(3)).astype("f4")
        for i in range(DOCUMENTS)
    }
    with tempfile.TemporaryDirectory() as folder:
        catalogue = opened(Path(folder), records(keys), SCANNED if scanned else Limits(), similarity=similarity)
        collection = catalogue.collection("c")
        options: dict[str, Any] = {"temperature": float(random.choice([0.0, 0.05, 1.0])), "null": 0.1}
        query, diversity = random.standard_normal(3).astype(np.float32), float(random.choice([0, 0.01, 0.1, 1]))
        size = int(random.integers(1, 13))
        (plain,) = attend(collection, query, **options, top_k=min(max(10 * size, 100), 1000))
        (result,) = attend(collection, query, **options, top_k=size, diversity=diversity)
        weights = {match.id: match.weight for match in plain.matches}
        expected = share(plain.matches, keys, diversity, size)
        assert {match.id: [name for name, _ in match.stands_for] for match in result.matches} == expected
        for match in result.matches:
            assert [weight for _, weight in match.stands_for] == [weights[name] for name, _ in match.stands_for]
            total = weights[match.id] + sum(weights[name] for name in expected[match.id])
            assert match.weight == pytest.approx(total, abs=1e-12)
        assert [match.weight for match in result.matches] == sorted((m.weight for m in result.matches), reverse=True)
        whole = sum(match.weight for match in result.matches) + result.rest_weight + result.answer.null_weight
        assert whole == pytest.approx(1, abs=1e-9)
        assert (result.verdict, result.alike, result.reason) == (plain.verdict, plain.alike, plain.reason)
        assert result.answer.evidence == plain.answer.evidence
        catalogue.store.close()


@pytest.fixture
def shelf(create):
    angles = {"a": 0.0, "b": 0.1, "c": 0.3, "d": 1.5}
    keys = {name: [np.cos(angle), np.sin(angle)] for name, angle in angles.items()}
    return create(records(keys), similarity="cosine")


EAST = np.array([1, 0], np.float32)


def ids(result: Any) -> list[tuple[str, list[str]]]:
    return [(match.id, [name for name, _ in match.stands_for]) for match in result.matches]


def test_copies_that_share_a_place_are_several_alike(shelf):
    shelf.write([DocumentRecord("copy", None, None, EAST[None])])
    (result,) = attend(shelf, EAST, temperature=0.0005, diversity=0.0, top_k=1)
    assert ids(result) == [("a", ["copy"])]
    assert result.matches[0].weight == pytest.approx(1, abs=1e-3)
    assert (result.verdict.stands, result.alike) == ("several", True)


def test_an_option_of_single_documents_is_refused(shelf):
    with pytest.raises(InvalidContent, match="min_confidence is of a single document"):
        attend(shelf, EAST, diversity=0.1, min_confidence=0.5)


def test_gaussian_merges_equal_keys_alone(create):
    collection = create(records({"a": [1, 0], "b": [1, 0], "c": [2, 0]}), similarity="gaussian")
    assert ids(attend(collection, EAST, diversity=0)[0]) == [("a", ["b"]), ("c", [])]
    with pytest.raises(InvalidContent, match="diversity compares directions"):
        attend(collection, EAST, diversity=0.1)


def test_a_zero_key_shares_no_place():
    keys = np.array([[0, 0], [1, 0], [0, 0], [-1, 0]], np.float32)
    assert share_places("dot", 1.0, keys, 10).tolist() == [0, 1, 2, 3]
    assert share_places("dot", 1.0, keys, 2).tolist() == [0, 1, -1, -1]
