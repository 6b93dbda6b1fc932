"""From the core's answer to matches: ties by id, as many as asked, weights of one; and many temperatures at once."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np
import pytest

from softkv_attention.lookup import Memory, Question, Rows, answer, summary_of
from softkv_service.retrieval import InvalidContent, ShardsMissing
from softkv_service.retrieval.queries import attend_collection, documents, sweep_collection
from softkv_service.retrieval.queries.documents import MemoryDocuments
from softkv_service.retrieval.queries.encoded import EncodedQuery
from softkv_service.retrieval.queries.results import ResultBuilder
from softkv_service.retrieval.question import CollectionQuestion
from softkv_service.storage.records import CollectionRecord, CollectionSettings, DocumentRecord
from tests.service.retrieval.making import attend, document, lacking, numbered

ONES = np.ones(2)
RECORD = CollectionRecord(1, "c", CollectionSettings("dot", 1.0, dimension=2, value_dimension=3))


def asked(names: str, **options):
    """Return results for documents of one key that all tie, their ids in the order of their rows."""
    memory = Memory("dot")
    view = (
        memory.publish(add=Rows(np.arange(len(names)), np.ones((len(names), 2), np.float32))) if names else memory.view
    )
    outcome = answer(view, Question(ONES, 1.0, **options))
    documents = MemoryDocuments([DocumentRecord(name, None, None, np.ones((1, 2))) for name in names])
    return ResultBuilder(RECORD, CollectionQuestion(), documents).build(EncodedQuery(ONES, ONES), outcome)


def test_documents_that_tie_at_the_cut_are_chosen_by_id():
    for names in ("dcba", "badc"):
        assert [match.id for match in asked(names, top_k=2).matches] == ["a", "b"]


def test_nothing_is_an_answer_of_the_right_width():
    result = asked("", output=True)
    assert (result.matches, result.rest_weight) == ([], 0)
    np.testing.assert_array_equal(result.output, np.zeros(3))


def test_vectors_of_more_matches_than_an_answer_holds_are_refused(create, monkeypatch):
    """All queries of a request count together: here two, with two matches of 4 components each."""
    collection, queries = create([document(name) for name in "bac"]), [np.ones(2, np.float32)] * 2
    attending = partial(attend, collection, *queries, include=["key_vector"], temperature=0.1, top_k=2)
    monkeypatch.setattr(documents, "MAX_COMPONENTS", 16)
    assert [len(result.matches) for result in attending()] == [2, 2]
    monkeypatch.setattr(documents, "MAX_COMPONENTS", 15)
    with pytest.raises(InvalidContent, match="have 16 components or more, and an answer holds 15: leave key_vector"):
        attending()


def test_an_invalid_filter_is_refused_with_a_pointer(create):
    unknown = {"field": "id", "operator": "??", "value": "a"}
    with pytest.raises(InvalidContent, match="no operator") as refused:
        attend(create([document("a")]), np.ones(2, np.float32), filter=unknown)
    assert [flaw.pointer for flaw in refused.value.flaws] == ["/filter/operator"]


@pytest.fixture
def partly(create):
    """Return a collection of forty documents, fifteen of which are unreachable; and all of them."""
    here, away, whole = (create(numbered(*range(first, last))) for first, last in ((0, 25), (25, 40), (0, 40)))
    with away.snapshot() as snapshot:
        lacking(here, summary_of(snapshot.view))
    return here, whole


def test_missing_shards_are_refused_unless_they_are_allowed(partly):
    present, _ = partly
    query = np.ones(2, np.float32)
    errors = r"only 25 of the 40 documents of collection 'c' can be asked now: try again in a moment, or attend with"
    for asking in (
        attend_collection(present, [query], CollectionQuestion(), ["/query"]),
        sweep_collection(present, query, [1.0], CollectionQuestion()),
    ):
        with pytest.raises(ShardsMissing, match=errors):
            asyncio.run(asking)


def test_the_certificate_of_a_partial_answer_covers_all_documents(partly):
    present, whole = partly
    for temperature in (0.0, 0.5, 30.0):
        options = {"temperature": temperature, "top_k": 40, "allow_missing": True, "include": ["output"]}
        (result,), (true,) = (attend(of, np.array([0.3, -0.2], np.float32), **options) for of in (present, whole))
        assert (result.coverage.documents, result.coverage.total, result.answer.documents) == (25, 40, 25)
        assert (true.coverage.documents, true.coverage.total, true.coverage.max_missing_weight) == (40, 40, 0)
        weights = {match.id: match.weight for match in true.matches}
        expected_weights = {match.id: match.weight for match in result.matches}
        apart = sum(abs(weight - expected_weights.get(name, 0.0)) for name, weight in weights.items()) / 2
        assert apart <= result.answer.certificate.total_variation + 1e-12
        missing = sum(weight for name, weight in weights.items() if name not in expected_weights)
        assert missing <= result.coverage.max_missing_weight + 1e-12
        error = np.linalg.norm(result.output - true.output)
        assert error <= result.answer.certificate.output_error + 1e-12
    assert result.coverage.max_missing_weight == pytest.approx(15 / 40, rel=0.02)


QUERY = np.array([1, 2], np.float32)


async def test_matches_that_tie_are_ordered_by_id_with_the_weights_of_attend(collection):
    options = CollectionQuestion(top_k=3, null=False)
    swept = await sweep_collection(collection, QUERY, [0.0, 0.5, 2.0], options)
    alone = [
        (await attend_collection(collection, [QUERY], CollectionQuestion(temperature=t, top_k=3), ["/query"]))[0]
        for t in (0.0, 0.5, 2.0)
    ]
    assert [match.document.id for match in swept.matches] == ["000", "001", "002"]
    for temperature, result in zip(swept.temperatures, alone, strict=True):
        np.testing.assert_allclose(temperature.weights, [match.weight for match in result.matches])
        assert temperature.rest_weight == pytest.approx(result.rest_weight)
        assert temperature.weights.sum() + temperature.rest_weight == pytest.approx(1)


def test_a_filter_without_documents_leaves_no_rest(collection):
    nobody = {"field": "id", "operator": "==", "value": "nobody"}
    swept = asyncio.run(sweep_collection(collection, QUERY, [0.0, 1.0], CollectionQuestion(filter=nobody)))
    assert (swept.matches, swept.documents) == ([], 0)
    assert [temperature.rest_weight for temperature in swept.temperatures] == [0, 0]


@pytest.mark.parametrize(
    "options",
    [CollectionQuestion(top_p=0.5), CollectionQuestion(normaliser="sparsemax"), CollectionQuestion(temperature="auto")],
)
def test_a_sweep_is_softmax_at_given_temperatures(collection, options):
    with pytest.raises(InvalidContent, match="a sweep is softmax at given temperatures"):
        asyncio.run(sweep_collection(collection, QUERY, [1.0], options))
