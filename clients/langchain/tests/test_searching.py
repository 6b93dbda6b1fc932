"""Searches: scores, thresholds, diversity and unknown topics; each awaited, too."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from langchain_softkv import SoftkvVectorStore
from langchain_softkv.search import EVIDENCE_FIELD
from softkv import F
from softkv.integrations import advice
from tests.integrations.fixtures import option_examples

KNOWN, UNKNOWN = "pets that purr", "flurb zindle quax"
CATS = "old-possums-book-of-practical-cats"


@pytest.fixture(params=["waited for", "awaited"])
def ask(request: Any, runner: Any) -> Any:
    """Return a function that calls a method by name, or its asynchronous form."""

    def call(store: Any, method: str, *arguments: Any, **named: Any) -> Any:
        if request.param == "waited for":
            return getattr(store, method)(*arguments, **named)
        return runner.run(getattr(store, "_a" + method[1:] if method[0] == "_" else "a" + method)(*arguments, **named))

    return call


@pytest.fixture(scope="module")
def library() -> SoftkvVectorStore:
    return SoftkvVectorStore("library")


class Angles(Embeddings):
    """A text that is a number is a vector at this angle, in degrees."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[math.cos(math.radians(float(text))), math.sin(math.radians(float(text)))] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


@pytest.fixture
def angles(name: Any) -> SoftkvVectorStore:
    texts = ["0", "2", "4", "50", "90", "180"]
    options = {"collection": name(), "settings": {"null": False}}  # six keys say little of what is unrelated
    return SoftkvVectorStore.from_texts(texts, Angles(), [{"n": int(text)} for text in texts], **options)


def texts(documents: Any) -> list[str]:
    return [document.page_content for document in documents]


def test_the_score_is_the_weight(ask, library):
    answer = library.collection.attend(KNOWN, top_k=4)
    pairs = ask(library, "similarity_search_with_score", KNOWN)
    assert [(document.id, score) for document, score in pairs] == list(zip(answer.ids, answer.weights, strict=True))
    assert [item.id for item in ask(library, "similarity_search", KNOWN)] == answer.ids
    fewer = ask(library, "similarity_search_with_score", KNOWN, k=2)
    assert [score for _, score in fewer] == [score for _, score in pairs][:2]


@pytest.mark.parametrize("query", [KNOWN, UNKNOWN, "?"])
def test_scores_are_from_0_to_1_and_together_at_most_1(ask, library, query, recwarn):
    answer = ask(library, "similarity_search_with_relevance_scores", query, k=110)
    scores = [score for _, score in answer]
    assert all(0 <= score <= 1 for score in scores)
    assert 0 < sum(scores) <= 1 + 1e-9
    assert not [item for item in recwarn if "Relevance scores" in str(item.message)]


def test_a_threshold_drops_documents_of_less_weight(ask, library):
    answer = ask(library, "search", KNOWN, "similarity_score_threshold", score_threshold=0.5)
    assert [document.id for document in answer] == [CATS]
    assert ask(library, "search", UNKNOWN, "similarity_score_threshold", score_threshold=0.5) == []
    retriever = library.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.005, "k": 9}
    )
    weights = library.collection.attend(KNOWN, top_k=9).weights
    assert len(ask(retriever, "invoke", KNOWN)) == sum(weights >= 0.005) > 1


def test_by_vector_it_is_the_same(ask, library, client):
    (vector,) = client.encode([KNOWN], purpose="query")
    assert texts(ask(library, "similarity_search_by_vector", vector.tolist(), k=3)) == texts(
        library.similarity_search(KNOWN, k=3)
    )


def test_diversity_leaves_out_documents_similar_to_a_selected_one(ask, angles):
    assert texts(ask(angles, "similarity_search", "1", k=3)) == ["0", "2", "4"]
    near = ask(angles, "max_marginal_relevance_search", "1.2", k=3, lambda_mult=1.0)
    assert texts(near) == ["2", "0", "4"]
    assert texts(ask(angles, "max_marginal_relevance_search", "1.2", k=2, lambda_mult=0.2)) == ["2", "180"]
    assert texts(ask(angles, "max_marginal_relevance_search", "1.2", k=2, fetch_k=4, lambda_mult=0.2)) == ["2", "50"]
    assert texts(ask(angles, "search", "1.2", "mmr", k=2, fetch_k=4, lambda_mult=0.2)) == ["2", "50"]
    by_vector = ask(angles, "max_marginal_relevance_search_by_vector", [0.0, 2.0], k=1, filter={"n": {"$lt": 60}})
    assert texts(by_vector) == ["50"]
    retriever = angles.as_retriever(search_type="mmr", search_kwargs={"k": 2, "fetch_k": 4, "lambda_mult": 0.2})
    assert texts(ask(retriever, "invoke", "1.2")) == ["2", "50"]


def test_diversity_fetches_no_fewer_than_it_gives(ask, angles):
    assert len(ask(angles, "max_marginal_relevance_search", "1", k=6, fetch_k=1)) == 6


def test_diversity_of_texts_that_the_service_encodes(ask, library, client):
    """The result is the same by the text's vector, and with relevance alone it is the order of similarity."""
    (vector,) = client.encode([KNOWN], purpose="query")
    answer = ask(library, "max_marginal_relevance_search", KNOWN, k=5)
    assert answer == library.max_marginal_relevance_search_by_vector(vector.tolist(), k=5)
    assert answer[0].id == CATS
    assert ask(library, "max_marginal_relevance_search", KNOWN, k=5, lambda_mult=1) == library.similarity_search(
        KNOWN, k=5
    )


def test_diversity_of_documents_of_several_keys(ask, name):
    store = SoftkvVectorStore(name(), split={"tokens": 20, "overlap": 0})
    store.add_texts(["cats purr " * 20, "stars shine " * 20, "cats sleep " * 20])
    answer = ask(store, "max_marginal_relevance_search", "stars", k=2, lambda_mult=0.5)
    assert texts(answer)[0].startswith("stars")


def test_an_ordering_of_another_type_gives_a_warning(ask, library):
    with pytest.warns(UserWarning, match="metadata.year holds numbers in every document that has it"):
        assert ask(library, "similarity_search", KNOWN, filter={"year": {"$gte": "1900"}}) == []


def test_documents_come_back_where_the_verdict_is_accepted(ask, library):
    for method in ("similarity_search", "max_marginal_relevance_search", "similarity_search_with_score"):
        assert len(ask(library, method, UNKNOWN)) == 4
        assert ask(library, method, UNKNOWN, accept="several") == []
        assert len(ask(library, method, KNOWN, accept="one")) == 4
        shared = {"null": False, "temperature": 1.0}
        assert len(ask(library, method, KNOWN, accept="several", **shared)) == 4
        assert ask(library, method, KNOWN, accept="one", **shared) == []


def test_an_unknown_topic_retrieves_nothing_from_a_store(ask, library):
    assert ask(library.as_retriever(), "invoke", UNKNOWN) == []
    assert len(ask(library.as_retriever(), "invoke", KNOWN)) == 4
    assert len(ask(library.as_retriever(search_kwargs={"accept": "any", "k": 2}), "invoke", UNKNOWN)) == 2


GIVEN = option_examples() | {
    "automatic": {"temperature": "auto"},
    "filter": {"filter": F.year < 1950},
    "no null key": {"null": False},
}


@pytest.mark.parametrize("options", GIVEN.values(), ids=GIVEN)
def test_every_argument_of_attend_arrives(ask, library, options):
    arguments = {"where" if name == "filter" else name: value for name, value in options.items()}
    expected = library.collection.attend(KNOWN, **{"top_k": 5, **arguments})
    answer = ask(library, "similarity_search_with_score", KNOWN, k=5, evidence=True, **options)
    assert [(document.id, score) for document, score in answer] == list(
        zip(expected.ids, expected.weights, strict=True)
    )
    evidence = answer[0][0].metadata[EVIDENCE_FIELD]
    assert (evidence["temperature"], evidence["null_weight"]) == (expected.temperature, expected.null_weight)
    assert evidence["advice"] == advice(expected)


def test_a_retriever_of_the_store_reranks(library):
    expected = library.collection.attend(KNOWN, top_k=4, rerank={"depth": 50})
    search = {"k": 4, "rerank": {"depth": 50}}
    assert [item.id for item in library.as_retriever(search_kwargs=search).invoke(KNOWN)] == expected.ids
    assert expected.ids != library.collection.attend(KNOWN, top_k=4).ids


async def test_awaited_methods_use_no_thread(angles, monkeypatch):
    """LangChain's own methods wait in a thread where a store has none that is awaited."""

    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("a thread was asked for")

    for module in ("vectorstores.base", "retrievers"):
        monkeypatch.setattr(f"langchain_core.{module}.run_in_executor", refused)
    monkeypatch.setattr(Angles, "aembed_documents", embedded, raising=False)
    monkeypatch.setattr(Angles, "aembed_query", embedded_query, raising=False)
    ids = await angles.aadd_texts(["70"])
    await angles.aadd_documents(await angles.aget_by_ids(ids))
    for kind in ("similarity", "mmr", "similarity_score_threshold"):
        assert await angles.asearch("1", kind)
        search = {"score_threshold": 0.1} if kind == "similarity_score_threshold" else {}
        assert await angles.as_retriever(search_type=kind, search_kwargs=search).ainvoke("1")
    assert await angles.asimilarity_search_by_vector([1.0, 0.0])
    assert await angles.amax_marginal_relevance_search_by_vector([1.0, 0.0])
    assert await angles.asimilarity_search_with_score("1")
    assert await angles.asimilarity_search_with_relevance_scores("1")
    assert await angles.adelete(ids)
    methods = {name for name in dir(VectorStore) if name.startswith(("a", "_a")) and "search" in name}
    assert {name for name in methods if getattr(SoftkvVectorStore, name) is getattr(VectorStore, name)} == {
        "asearch",
        "asimilarity_search_with_relevance_scores",
    }


async def embedded(self: Angles, texts: list[str]) -> list[list[float]]:
    return self.embed_documents(texts)


async def embedded_query(self: Angles, text: str) -> list[float]:
    return self.embed_query(text)


async def test_concurrent_questions_get_their_own_answers(library):
    results = await asyncio.gather(*(library.asimilarity_search(text, k=1) for text in (KNOWN, "war at sea") * 20))
    assert {document.id for (document,) in results[::2]} == {CATS}
