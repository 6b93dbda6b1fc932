"""Invalid input raises LangChain's error with softkv's detail, in asynchronous calls too."""

from __future__ import annotations

import re

import pytest
from langchain_core.documents import Document
from langchain_core.exceptions import LangChainException
from pydantic import ValidationError

import softkv
from langchain_softkv import InvalidInput, SoftkvEmbeddings, SoftkvRetriever, SoftkvVectorStore
from softkv import F

NAN = float("nan")
# The call of a search → the text of the error.
SEARCHES = {
    "an unknown operator": ({"filter": {"year": {"$near": 1970}}}, "there is no operator '$near': there are $eq,"),
    "an unknown junction": ({"filter": {"$xor": []}}, "there is no operator '$xor'"),
    "an object as a value": ({"filter": {"loc": {"page": 3}}}, 'an object as a value is {"datetime": …}'),
    "a filter in a junction": ({"filter": {"$and": [{"operator": "=="}]}}, r"within $and, $or and $not wanted fields"),
    "a junction of one": ({"filter": {"$or": {"year": 1}}}, r"$or wants a list of filters, not dict"),
    "existence of three": ({"filter": {"year": {"$exists": 3}}}, r"$exists on year wants true or false, not 3"),
    "a number to look up": ({"filter": {1: 2}}, "wanted the name of a field, got 1"),
    "an order of null": (
        {"filter": {"year": {"$gt": None}}},
        "> on metadata.year wants a number, a text or a datetime",
    ),
    "half a filter": ({"filter": {"operator": "==", "field": "metadata.year"}}, "lacks 'value'"),
    "a field of no such kind": (
        {"filter": {"operator": "==", "field": "year", "value": 1}},
        "there is no field 'year'",
    ),
    "a field": ({"filter": F.year}, "wanted an object, or a filter such as F.year >= 1930, got Field"),
    "a function": ({"filter": lambda document: True}, "got function"),
    "a text as a filter": ({"filter": "year > 3"}, "got str"),
    "fewer than none": ({"k": -1}, "/top_k: wanted a number from 0 on, got -1"),
    "no number": ({"k": "four"}, "/top_k: wanted a"),
    "no temperature": ({"temperature": -1}, "/temperature: wanted 0, or a number from 1e-30 on"),
    "no share": ({"top_p": 1.5}, "/top_p"),
    "no normaliser": ({"normaliser": "hardmax"}, "/normaliser"),
    "no null": ({"null": "never"}, "/null"),
    "no field to include": ({"include": ["everything"]}, "/include/"),
    "one text to include": ({"include": "output"}, "wanted a list of fields, got 'output'"),
    "no score": ({"score": "distance"}, "score: wanted one of weight, similarity, got 'distance'"),
    "no verdict": ({"accept": "none"}, "accept: wanted one of one, several, any, got 'none'"),
    "how sure": ({"min_confidence": 0.5}, "min_confidence needs a calibration, and collection 'library' has none"),
    "no argument": ({"treshold": 0.5}, "a search has no argument treshold: it has k, accept, bias,"),
}


@pytest.fixture(scope="module")
def library() -> SoftkvVectorStore:
    return SoftkvVectorStore("library")


@pytest.mark.parametrize("case", SEARCHES)
def test_a_search_that_cannot_be(library, case, runner):
    options, detail = SEARCHES[case]
    for search in (
        lambda: library.similarity_search("cats", **options),
        lambda: runner.run(library.asimilarity_search("cats", **options)),
        lambda: library.similarity_search_by_vector([1.0] * 384, **options),
        lambda: runner.run(library.amax_marginal_relevance_search("cats", **options)),
        lambda: library.as_retriever(search_kwargs=options).invoke("cats"),
        lambda: SoftkvRetriever(collection="library").invoke("cats", **options),
    ):
        with pytest.raises(InvalidInput, match=re.escape(detail)) as refused:
            search()
        assert isinstance(refused.value, LangChainException)
        assert isinstance(refused.value, ValueError)
        assert isinstance(refused.value, softkv.Invalid)


@pytest.mark.parametrize(
    ("texts", "options", "detail"),
    [
        ("one text", {}, "wanted a list of texts, got one text"),
        (["a", 3], {}, "wanted a list of texts, got int"),
        (["a", None], {}, "wanted a list of texts, got NoneType"),
        (["a"], {"metadatas": [{}, {}]}, "wanted as many metadatas as texts, got 2 of 1"),
        (["a", "b"], {"ids": ["a"]}, "wanted as many ids as texts, got 1 of 2"),
        (["a"], {"ids": [3]}, "wanted ids as texts, got int 3"),
        (["a"], {"ids": [""]}, "wanted an id of 1 to 256 characters, got 0"),
        (["a"], {"metadatas": [{"x": NAN}]}, "no NaN and no Infinity"),
        (["a"], {"metadatas": [{"x": object()}]}, "wanted JSON"),
        (["a"], {"metadatas": ["x"]}, "metadata"),
        (["a\ud800"], {}, "lone surrogate"),
        (["a"], {"on_conflict": "merge"}, "on_conflict: wanted 'replace', 'skip' or 'fail'"),
        (["a"], {"overwrite": True}, "a write has no argument overwrite: it has ids, on_conflict, progress"),
    ],
)
def test_a_write_that_cannot_be(name, texts, options, detail, runner):
    store = SoftkvVectorStore(name())
    with pytest.raises(InvalidInput, match=re.escape(detail)):
        store.add_texts(texts, **options)
    with pytest.raises(InvalidInput, match=re.escape(detail)):
        runner.run(store.aadd_texts(texts, **options))


def test_a_document_without_text_is_refused_by_langchain():
    with pytest.raises(ValidationError, match="page_content"):
        Document(page_content=None)  # type: ignore[arg-type]


def test_a_delete_that_cannot_be(library, runner):
    for options, detail in (
        ({"ids": ["a"], "filter": F.year > 3}, "wanted ids or a filter, got both"),
        ({"where": F.year > 3}, "delete has no argument where: it has ids, or filter"),
        ({"filter": {"year": {"$near": 3}}}, "there is no operator '$near'"),
        ({"ids": [3]}, "id"),
        ({"filter": None}, "Expected a filter with conditions, got None"),
        ({"filter": {}}, "Expected a filter with conditions, got {}"),
        ({"filter": {"$and": []}}, "one that every document passes"),
        ({"filter": {"$and": [{}, {"$and": []}]}}, "one that every document passes"),
        ({"filter": {"$or": [{"year": 1970}, {}]}}, "one that every document passes"),
        ({"filter": {"$not": {"$or": []}}}, "one that every document passes"),
        ({"filter": {"year": {}}}, "an object as a value"),
        ({"filter": {"year": {"$nin": []}}}, "one that every document passes"),
        ({"filter": {"operator": "AND", "conditions": []}}, "one that every document passes"),
    ):
        with pytest.raises(InvalidInput, match=re.escape(detail)):
            library.delete(**options)
        with pytest.raises(InvalidInput, match=re.escape(detail)):
            runner.run(library.adelete(**options))
    assert library.collection.count() == 110


def test_ids_that_cannot_be(library, runner):
    with pytest.raises(InvalidInput, match="wanted an id of 1 to 256 characters, got 300"):
        library.get_by_ids(["i" * 300])
    with pytest.raises(InvalidInput):
        runner.run(library.aget_by_ids([""]))


def test_a_collection_without_an_encoder_wants_an_embedding(name, runner):
    store = SoftkvVectorStore(name(), settings={"encoder": None, "dimension": 2})
    store.create()
    for search in (store.similarity_search, store.max_marginal_relevance_search):
        with pytest.raises(InvalidInput, match="has no encoder"):
            search("cats")
    with pytest.raises(InvalidInput, match="has no encoder"):
        runner.run(store.amax_marginal_relevance_search("cats"))


def test_texts_that_no_search_would_find_are_not_written(name, runner):
    store = SoftkvVectorStore(name(), settings={"encoder": None})
    refusal = "collection .* has no encoder: give the store an embedding"
    for _ in range(2):  # before the collection exists, and with it
        with pytest.raises(InvalidInput, match=refusal):
            store.add_texts(["cats purr"], ids=["a"])
        with pytest.raises(InvalidInput, match=refusal):
            runner.run(store.aadd_documents([Document(id="a", page_content="cats purr")]))
    with pytest.raises(InvalidInput, match=refusal):
        SoftkvVectorStore.from_texts(["cats purr"], collection=store.collection.name)
    assert store.get_by_ids(["a"]) == []
    assert store.collection.count() == 0


def test_vectors_of_another_width(library):
    with pytest.raises(InvalidInput, match="query has width 3, the keys of 'library' have width 384"):
        library.similarity_search_by_vector([1.0, 2.0, 3.0])
    with pytest.raises(InvalidInput, match="not finite"):
        library.similarity_search_by_vector([NAN] * 384)


@pytest.mark.parametrize("weight", [-1, 2, NAN])
def test_a_weight_of_relevance_is_from_0_to_1(library, weight):
    with pytest.raises(InvalidInput, match="a number from 0 to 1"):
        library.max_marginal_relevance_search("cats", lambda_mult=weight)


@pytest.mark.parametrize(
    ("options", "detail"),
    [
        ({}, "wanted the name of a collection, or a store, one of the two"),
        ({"collection": "a/b"}, "wanted a text of the form"),
        ({"collection": "library", "url": "nowhere"}, "not an http address"),
        ({"collection": "library", "filter": {"$xor": []}}, "there is no operator"),
        ({"store": SoftkvVectorStore("library"), "collection": "library"}, "one of the two"),
        ({"store": SoftkvVectorStore("library"), "url": "http://127.0.0.1:9"}, "leave out those of the retriever"),
    ],
)
def test_a_retriever_that_cannot_be(options, detail):
    with pytest.raises(InvalidInput, match=re.escape(detail)):
        SoftkvRetriever(**options)


@pytest.mark.parametrize("options", [{"treshold": 1}, {"top_k": "four"}, {"accept": "none"}, {"filter": 3}])
def test_fields_of_a_retriever_are_checked_as_langchain_s_are(options):
    with pytest.raises(ValidationError, match=next(iter(options))):
        SoftkvRetriever(collection="library", **options)


def test_a_store_that_cannot_be():
    for options, detail in (
        ({"collection": ""}, "wanted a text of the form"),
        ({"collection": "library", "content": "text"}, "content: wanted 'value' or 'key', got 'text'"),
        ({"collection": "library", "url": "http://127.0.0.1:9/v1"}, "ends in /v1"),
    ):
        with pytest.raises(InvalidInput, match=re.escape(detail)):
            SoftkvVectorStore(**options)


def test_an_embedding_that_cannot_be():
    with pytest.raises(InvalidInput, match="not an http address"):
        SoftkvEmbeddings(url="nowhere")
    with pytest.raises(InvalidInput, match="wanted a list of texts, got one text"):
        SoftkvEmbeddings().embed_documents("one text")  # type: ignore[arg-type]
    with pytest.raises(softkv.NotFound):
        SoftkvEmbeddings("no such model").embed_query("cats")


def test_an_error_of_the_service_stays_an_error_of_softkv(name):
    gone = SoftkvVectorStore("library", url="http://127.0.0.1:9")
    with pytest.raises(softkv.Unreachable, match="no service answers"):
        gone.similarity_search("cats")
    with pytest.raises(softkv.NotFound, match="there is no collection"):
        SoftkvVectorStore(name()).similarity_search("cats")
