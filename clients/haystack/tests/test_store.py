"""The document store beyond Haystack's own suites."""

from __future__ import annotations

import asyncio
from datetime import datetime

import haystack.utils.filters
import pytest
from haystack import Document
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DocumentStoreError, DuplicateDocumentError
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.testing.document_store import create_filterable_docs

import softkv
from haystack_integrations.document_stores.softkv import SoftkvDocumentStore
from tests.integrations.fixtures import DAY, DAY_STORED, WITHOUT_JSON

BOOKS = [
    Document(id="codd", content="relations", meta={"year": 1970, "loc": {"page": 7}}, embedding=[1.0, 0.0]),
    Document(id="hopper", content="compilers", meta={"year": 1952, "topics": ["code", "data"]}, embedding=[0.5, 1.0]),
    Document(id="picture", meta={"seen": "1970-05-01", "year": None}),
]


@pytest.fixture
def shelf(made):
    store = made(settings={"encoder": None})
    assert store.write_documents(BOOKS) == 3
    return store


def ids(store, filters=None):
    return {document.id for document in store.filter_documents(filters)}


def where(field, operator, value):
    return {"field": field, "operator": operator, "value": value}


def test_some_of_the_suites_documents_bring_vectors_and_some_none(made):
    store, documents = made(settings={"encoder": None}), create_filterable_docs()
    store.write_documents(documents)
    embeddings = {document.id: document.embedding for document in store.filter_documents()}
    assert {id_ for id_, vector in embeddings.items() if vector} == {
        document.id for document in documents if document.embedding
    }
    assert 0 < len([document for document in documents if document.embedding]) < len(documents) == len(embeddings)


def test_every_field_comes_back(made):
    store = made(settings={"encoder": None})
    document = Document(
        id="all",
        content="a text",
        blob=ByteStream(b"\x00\xff", meta={"file": "a.bin"}, mime_type="application/octet-stream"),
        meta={"nested": {"a": [1, {"b": None}]}},
        embedding=[0.5, 0.25],
        sparse_embedding=SparseEmbedding([1, 7], [0.5, 1.0]),
    )
    only = Document(id="blob", blob=ByteStream(b"1"), meta={})
    store.write_documents([document, only])
    assert store.filter_documents() == [document, only]


def test_an_empty_text_is_a_text(made):
    store = made()
    store.write_documents([Document(id="empty", content="")])
    assert store.filter_documents()[0].content == ""


def test_embeddings_are_returned_as_wanted(shelf):
    assert [document.embedding for document in shelf.filter_documents()] == [[1.0, 0.0], [0.5, 1.0], None]
    other = SoftkvDocumentStore(shelf.collection, return_embedding=False)
    assert [document.embedding for document in other.filter_documents()] == [None] * 3


def test_an_id_that_comes_twice(made):
    twice = [Document(id="a", content="first"), Document(id="b"), Document(id="a", content="second")]
    store = made(settings={"encoder": None})
    for policy in (DuplicatePolicy.NONE, DuplicatePolicy.FAIL):
        with pytest.raises(DuplicateDocumentError, match="'a' comes twice"):
            store.write_documents(twice, policy)
    assert store.count_documents() == 0
    assert store.write_documents(twice, DuplicatePolicy.SKIP) == 2
    assert store.filter_documents()[0].content == "first"
    assert store.write_documents(twice, DuplicatePolicy.OVERWRITE) == 3  # one of them over another, as Haystack counts
    assert store.filter_documents()[0].content == "second"
    with pytest.raises(ValueError, match="wanted a DuplicatePolicy, got 'skip'"):
        store.write_documents(twice, "skip")


def test_all_of_a_write_that_fails_stays_undone(shelf):
    with pytest.raises(DuplicateDocumentError, match="codd"):
        shelf.write_documents([Document(id="new"), Document(id="codd")])
    assert "new" not in ids(shelf)
    with pytest.raises(DocumentStoreError, match=r"^document 'wide' was refused: .*has width 3, .* holds width 2"):
        shelf.write_documents([Document(id="new"), Document(id="wide", embedding=[1.0, 2.0, 3.0])])
    assert "new" not in ids(shelf)
    with pytest.raises(DocumentStoreError, match="1 to 256 characters, got 300"):
        shelf.write_documents([Document(id="n" * 300)])


@pytest.mark.parametrize("word", WITHOUT_JSON)
def test_metadata_without_json_is_refused_by_id(shelf, word):
    with pytest.raises(DocumentStoreError, match=rf"^document 'bad' was refused: .*{word}"):
        shelf.write_documents([Document(id="good"), Document(id="bad", meta={"at": WITHOUT_JSON[word]})])
    assert not {"good", "bad"} & ids(shelf)
    shelf.write_documents([Document(id="good", meta={"at": DAY})])
    assert [document.meta for document in shelf.filter_documents(where("id", "==", "good"))] == [{"at": DAY_STORED}]


def test_more_than_one_request_takes(made):
    store = made(settings={"encoder": None})
    assert store.write_documents([Document(id=f"n{n}", meta={"n": n}) for n in range(10_001)]) == 10_001
    assert store.count_documents() == 10_001
    assert len(store.filter_documents(where("meta.n", ">=", 7000))) == 3001
    store.delete_documents([f"n{n}" for n in range(10_000)])
    assert ids(store) == {"n10000"}
    large = [Document(id=f"l{n}", content="x" * 4_000_000) for n in range(9)]  # 36 MB, where a request takes 32
    assert store.write_documents(large) == 9


def test_filters_by_other_fields(shelf):
    assert ids(shelf, where("content", "==", "compilers")) == {"hopper"}
    assert ids(shelf, where("content", "==", None)) == {"picture"}
    assert ids(shelf, where("id", "in", ["codd", "nobody"])) == {"codd"}
    assert ids(shelf, where("year", ">", 1960)) == ids(shelf, where("meta.year", ">", 1960)) == {"codd"}
    assert ids(shelf, where("meta.loc.page", "==", 7)) == {"codd"}
    assert ids(shelf, where("meta.topics", "contains", "data")) == {"hopper"}
    assert ids(shelf, where("meta.seen", ">=", datetime(1970, 1, 1))) == {"picture"}
    nested = {"operator": "OR", "conditions": [where("id", "==", "codd"), {"operator": "NOT", "conditions": []}]}
    assert ids(shelf, {"operator": "AND", "conditions": [nested, where("meta.year", "!=", None)]}) == {"codd"}


DATES = {
    "zulu": "2025-02-03T12:45:46Z",
    "offset": "2025-02-03T12:45:46+00:00",
    "east": "2025-02-03T14:45:46+02:00",
    "fine": "2025-02-03T12:45:46.000000001Z",
    "later": "2025-02-03T12:45:47Z",
    "day": "2025-02-03",
    "midnight": "2025-02-03T00:00:00",
    "year": "2025",
    "first": "0001-01-01T00:00:00+05:00",
    "text": "2025-02-03 is a date",
}


@pytest.fixture
def dated(made):
    """A store and Haystack's own, with the same documents, each with a date."""
    stores = made(settings={"encoder": None}), InMemoryDocumentStore()
    for store in stores:
        store.write_documents([Document(id=name, meta={"at": date}) for name, date in DATES.items()])
    return stores


# Earlier versions compare the texts for equality.
haystack_compares_dates = pytest.mark.skipif(
    not hasattr(haystack.utils.filters, "_dates_are_equal"), reason="Haystack's own store does not compare dates"
)


@haystack_compares_dates
@pytest.mark.parametrize("date", [*DATES.values(), "2025-02-03 07:45:46-05:00", "20250203", 2025, None])
def test_dates_are_equal_as_in_haystacks_own_store(dated, date):
    ours, theirs = dated
    for operator, value in (("==", date), ("!=", date), ("in", [date, "2025"]), ("not in", [date, 3])):
        condition = where("meta.at", operator, value)
        assert ids(ours, condition) == ids(theirs, condition), condition


def test_a_date_without_a_zone_is_in_utc(made):
    store = made(settings={"encoder": None})
    store.write_documents([Document(id="naive", meta={"at": "2025-02-03T12:45:46"})])
    for operator in ("==", ">=", "<="):
        assert ids(store, where("meta.at", operator, "2025-02-03T14:45:46+02:00")) == {"naive"}
        assert ids(store, where("meta.at", operator, "2025-02-03T12:45:46Z")) == {"naive"}


DEEP = where("meta.a", "==", 1)
for _ in range(33):
    DEEP = {"operator": "AND", "conditions": [DEEP]}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (where("meta.year", "~", 1), "wanted an operator of .*; got '~'"),
        (where("meta.year", ">", True), "> on metadata.year wants a number, a text or a datetime, not True"),
        (where("meta.year", "==", {"a": 1}), "an object as a value is {.datetime.: …} and has no other field"),
        (where("meta.year", "in", list(range(5001))), "wants a list of at most 5000 scalars"),
        (where("id", ">", 3), "> on id wants a text, not 3"),
        (where("embedding", "==", 3), "cannot filter by 'embedding'"),
        (where(3, "==", 3), "field: wanted a text, got 3"),
        ({"operator": "XOR", "conditions": []}, "wanted AND, OR, NOT to join conditions, got 'XOR'"),
        ({"operator": "AND", "conditions": {}}, "conditions: wanted a list of filters"),
        ({"operator": "AND", "conditions": ["a"]}, "wanted a filter as an object .* got 'a'"),
        ({"operator": "AND"}, "'conditions' is missing"),
        (DEEP, "conditions nest at most 32 deep"),
    ],
)
def test_a_wrong_filter_is_a_filter_error_with_softkv_s_words(shelf, wrong, message):
    methods = [shelf.filter_documents, shelf.delete_by_filter, shelf.count_documents_by_filter]
    for item in (*methods, lambda filters: shelf.update_by_filter(filters, {"a": 1})):
        with pytest.raises(FilterError, match=message):
            item(wrong)
    assert shelf.count_documents() == 3


def test_an_empty_filter_changes_nothing(shelf):
    for empty in ({}, None):
        with pytest.raises(FilterError, match="delete_all_documents deletes all"):
            shelf.delete_by_filter(empty)
        with pytest.raises(FilterError, match="wanted a filter"):
            shelf.update_by_filter(empty, {"a": 1})
    conditions = {"operator": "AND", "conditions": []}
    for empty in (conditions, {"operator": "AND", "conditions": [conditions]}, where("meta.year", "not in", [])):
        with pytest.raises(FilterError, match="one that every document passes"):
            shelf.delete_by_filter(empty)
    assert shelf.count_documents() == 3


def test_facts_on_fields(shelf):
    types = {name: item["type"] for name, item in shelf.get_metadata_fields_info().items()}
    assert types == {"year": "int", "loc": "object", "loc.page": "int", "topics": "keyword", "seen": "keyword"}
    assert shelf.get_metadata_field_min_max("seen") == {"min": "1970-05-01", "max": "1970-05-01"}
    assert shelf.get_metadata_field_unique_values("meta.topics") == (["code", "data"], 2)
    assert shelf.get_metadata_field_unique_values("year", size=0) == ([], 2)


def test_a_collection_made_anew_takes_vectors_of_another_width(shelf):
    shelf.delete_all_documents()
    with pytest.raises(DocumentStoreError, match="width"):
        shelf.write_documents([Document(id="a", embedding=[1.0, 2.0, 3.0])])
    shelf.delete_all_documents(recreate_collection=True)
    assert shelf.write_documents([Document(id="a", embedding=[1.0, 2.0, 3.0])]) == 1


def test_settings_of_a_collection_that_is_there_are_compared(shelf):
    with pytest.raises(DocumentStoreError, match=shelf.collection):
        SoftkvDocumentStore(shelf.collection, settings={"similarity": "dot"}).count_documents()
    assert SoftkvDocumentStore(shelf.collection).count_documents() == 3
    with pytest.raises(softkv.Invalid, match=r"settings: a collection has .* not encoders"):
        SoftkvDocumentStore("a", settings={"encoders": None})


def test_an_unreachable_service_raises_the_error_of_softkv():
    store = SoftkvDocumentStore("a", url="http://127.0.0.1:9", retries=0)
    with pytest.raises(softkv.Unreachable):
        store.count_documents()
    with pytest.raises(softkv.Unreachable):
        asyncio.run(store.count_documents_async())


def test_a_store_is_awaited_in_one_loop_after_another(shelf):
    for _ in range(3):
        assert asyncio.run(shelf.count_documents_async()) == 3


async def test_awaited_calls_run_side_by_side(shelf):
    assert await asyncio.gather(*(shelf.count_documents_async() for _ in range(8))) == [3] * 8


def test_documents_of_other_programs_are_read_by_their_value():
    documents = SoftkvDocumentStore("library").filter_documents(where("content", "==", "cats"))
    assert [document.content for document in documents] == ["Old Possum's Book of Practical Cats, T. S. Eliot"]
