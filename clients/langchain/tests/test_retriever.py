"""The retriever beyond LangChain's suite: the arguments of attend, in the constructor and in invoke."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.runnables import RunnableLambda

from langchain_softkv import SoftkvRetriever, SoftkvVectorStore
from langchain_softkv.search import ATTEND_OPTIONS, EVIDENCE_FIELD
from softkv import F
from tests.integrations.fixtures import option_examples

KNOWN, UNKNOWN = "pets that purr", "flurb zindle quax"
GIVEN = option_examples() | {
    "filter": {"filter": F.year < 1950},
    "several terms": {"bias": [{"field": "metadata.year", "half_life": 10}, {"filter": F.year < 1950, "addend": 1}]},
}


@pytest.fixture(params=["waited for", "awaited"])
def invoke(request: Any, runner: Any) -> Any:
    def call(retriever: Any, *arguments: Any, **named: Any) -> Any:
        if request.param == "waited for":
            return retriever.invoke(*arguments, **named)
        return runner.run(retriever.ainvoke(*arguments, **named))

    return call


def test_the_retriever_has_every_argument_of_attend():
    assert SoftkvRetriever.model_fields.keys() >= ATTEND_OPTIONS


@pytest.mark.parametrize("options", GIVEN.values(), ids=GIVEN)
def test_an_argument_is_given_to_it_or_to_invoke(invoke, client, options):
    where = {"where" if name == "filter" else name: item for name, item in options.items()}
    expected = client.collection("library").attend(KNOWN, **where)
    made = invoke(SoftkvRetriever(collection="library", evidence=True, accept="any", **options), KNOWN)
    retriever = SoftkvRetriever(collection="library")
    documents = invoke(retriever, KNOWN, evidence=True, accept="any", **options)
    assert [item.id for item in made] == expected.ids
    assert made == documents
    assert [item.metadata[EVIDENCE_FIELD]["weight"] for item in made] == expected.weights.tolist()
    assert len(invoke(retriever, KNOWN)) == 10


def test_k_is_top_k(invoke):
    assert len(invoke(SoftkvRetriever(collection="library", k=3), KNOWN)) == 3
    assert len(invoke(SoftkvRetriever(collection="library", k=3), KNOWN, top_k=2)) == 2
    assert len(invoke(SoftkvRetriever(collection="library", top_k=3), KNOWN, k=2)) == 2


def test_an_unknown_topic_retrieves_nothing(invoke):
    retriever = SoftkvRetriever(collection="library", top_k=3)
    assert invoke(retriever, UNKNOWN) == []
    assert len(invoke(retriever, KNOWN)) == 3
    shared = {"null": False, "temperature": 1.0}
    assert len(invoke(retriever, KNOWN, **shared)) == 3
    assert invoke(retriever, KNOWN, accept="one", **shared) == []
    assert len(invoke(SoftkvRetriever(collection="library", accept="one", top_k=3), KNOWN)) == 3
    assert len(invoke(retriever, UNKNOWN, accept="any")) == 3
    assert len(invoke(SoftkvRetriever(collection="library", accept="any", top_k=3), UNKNOWN)) == 3


def test_a_collection_without_a_null_key_always_answers(invoke, name):
    embedding = DeterministicFakeEmbedding(size=6)
    store = SoftkvVectorStore.from_texts(["one", "two"], embedding, collection=name(), settings={"null": False})
    assert store.collection.info().null is False
    for retriever in (
        SoftkvRetriever(store=store),
        SoftkvRetriever(collection=store.collection.name, embedding=embedding),
    ):
        assert len(invoke(retriever, "three")) == 2
    assert invoke(SoftkvRetriever(store=store, null=1.0), "three") == []


def test_an_unknown_topic_retrieves_nothing_with_an_embedding_of_langchain(invoke, name):
    embedding = DeterministicFakeEmbedding(size=64)
    texts = [f"text {number}" for number in range(30)]
    store = SoftkvVectorStore.from_texts(texts, embedding, collection=name(), ids=texts)
    retriever = SoftkvRetriever(store=store, top_k=1)
    assert store.collection.info().null == "auto"
    assert invoke(retriever, "nothing of these") == []
    assert [document.id for document in invoke(retriever, "text 7")] == ["text 7"]


def test_the_text_of_a_document_is_its_value_or_its_key(invoke):
    (document,) = invoke(SoftkvRetriever(collection="library", content="key", top_k=1), KNOWN)
    assert document.page_content == "cats"


def test_the_retriever_is_part_of_chains(invoke):
    chain = SoftkvRetriever(collection="library", top_k=1) | RunnableLambda(lambda found: found[0].metadata["author"])
    assert invoke(chain, KNOWN) == "T. S. Eliot"
    assert SoftkvRetriever(collection="library", top_k=1).batch([KNOWN, UNKNOWN])[1] == []


def test_the_key_is_not_shown(monkeypatch):
    shown = repr(SoftkvRetriever(collection="library", key="a secret"))
    assert "library" in shown
    assert "a secret" not in shown


async def test_an_awaited_retriever_uses_no_thread(monkeypatch):
    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("a thread was asked for")

    monkeypatch.setattr("langchain_core.retrievers.run_in_executor", refused)
    assert await SoftkvRetriever(collection="library").ainvoke(KNOWN)
