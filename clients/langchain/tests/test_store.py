"""The vector store beyond LangChain's suite: ids, metadata, long lists, LangChain's index, embeddings."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.indexing import InMemoryRecordManager, index

import softkv
from langchain_softkv import InvalidInput, SoftkvVectorStore
from softkv import Client, F
from tests.integrations.fixtures import DAY, DAY_STORED, WITHOUT_JSON

EMBEDDING = DeterministicFakeEmbedding(size=6)
NESTED = {"loc": {"lines": {"from": 1, "to": 9}}, "tags": ["a", {"deep": [None, 1.5]}], "source": "notes.md"}


@pytest.fixture
def store(name: Any) -> SoftkvVectorStore:
    return SoftkvVectorStore(name(), EMBEDDING)


def test_nested_metadata_comes_back_and_is_filtered_by(store):
    store.add_documents([Document("one", metadata=NESTED), Document("two", metadata={"source": "others.md"})])
    for filtering in ({"loc.lines.from": 1}, {"source": "notes.md"}, F["loc.lines.to"] > 8):
        (document,) = store.similarity_search("one", filter=filtering)
        assert (document.page_content, document.metadata) == ("one", NESTED)


@pytest.mark.parametrize("embedding", [EMBEDDING, None], ids=["own vectors", "the service's"])
def test_an_empty_text_is_a_text(name, embedding):
    store = SoftkvVectorStore(name(), embedding)
    (own_id,) = store.add_texts([""], ids=["empty"])
    assert store.get_by_ids([own_id]) == [Document(id="empty", page_content="")]
    assert store.similarity_search("anything", k=1)[0].id == "empty"


def test_the_last_of_two_texts_with_one_id_is_stored(store):
    assert store.add_texts(["first", "other", "last"], ids=["twice", "once", "twice"]) == ["twice", "once", "twice"]
    assert [get_by_id.page_content for get_by_id in store.get_by_ids(["twice", "once"])] == ["last", "other"]
    assert store.collection.count() == 2


def test_documents_come_in_the_requested_order_without_unknown_ones(store):
    ids = [f"n{number:03}" for number in range(300)]
    store.add_texts([f"text {document_id}" for document_id in ids], ids=ids)
    requested_ids = [*reversed(ids), "nobody", ids[7]]
    assert [get_by_id.id for get_by_id in store.get_by_ids(requested_ids)] == [*reversed(ids), ids[7]]


def test_texts_without_ids_get_some_beside_those_that_have(store):
    own_id, made = store.add_documents([Document("one", id="mine"), Document("two")])
    assert own_id == "mine"
    assert [get_by_id.page_content for get_by_id in store.get_by_ids([made, own_id])] == ["two", "one"]


async def test_10_001_at_once(name):
    store = SoftkvVectorStore(name(), EMBEDDING)
    texts = [f"text {number}" for number in range(10_001)]
    ids = store.add_texts(texts)
    assert len(set(ids)) == store.collection.count() == 10_001
    assert store.similarity_search("text 9999", k=1)[0].page_content == "text 9999"
    assert [get_by_id.page_content for get_by_id in store.get_by_ids(ids)] == texts
    assert await store.aadd_texts(texts, ids=ids) == ids
    store.delete(ids[1:])
    assert [aget_by_id.page_content for aget_by_id in await store.aget_by_ids(ids)] == ["text 0"]


def test_an_id_of_300_is_refused_and_others_are_written(store):
    with pytest.raises(InvalidInput, match="wanted an id of 1 to 256 characters, got 300") as refused:
        store.add_texts(["one", "two"], ids=["good", "i" * 300])
    assert [refusal.row for refusal in refused.value.report.refused] == [1]
    assert store.get_by_ids(["good"])[0].page_content == "one"


@pytest.mark.parametrize("word", WITHOUT_JSON)
def test_metadata_without_json_is_refused_by_id_and_others_are_written(store, word):
    with pytest.raises(InvalidInput, match=rf"document 'bad' was refused: .*{word}"):
        store.add_texts(["one", "two"], [{"at": DAY}, {"at": WITHOUT_JSON[word]}], ids=["good", "bad"])
    assert [(document.id, document.metadata) for document in store.get_by_ids(["good", "bad"])] == [
        ("good", {"at": DAY_STORED})
    ]


async def test_a_store_is_made_of_texts_and_of_documents(name):
    documents = [Document("one", id="a", metadata={"n": 1}), Document("two", metadata={"n": 2})]
    for store in (
        SoftkvVectorStore.from_documents(documents, EMBEDDING, collection=name()),
        await SoftkvVectorStore.afrom_documents(documents, EMBEDDING, collection=name()),
        SoftkvVectorStore.from_texts(["one", "two"], EMBEDDING, [{"n": 1}, {"n": 2}], collection=name()),
        await SoftkvVectorStore.afrom_texts(["one", "two"], None, [{"n": 1}, {"n": 2}], collection=name()),
    ):
        assert [document.metadata for document in store.similarity_search("one", k=1)] == [{"n": 1}]
        assert store.collection.count() == 2


def test_without_a_name_the_collection_is_called_langchain(client):
    documents = [Document("one", id="a"), Document("two", id="b")]
    store = SoftkvVectorStore.from_documents(documents, EMBEDDING)
    try:
        assert store.collection.name == SoftkvVectorStore(embedding=EMBEDDING).collection.name == "langchain"
        assert [document.id for document in store.similarity_search("two", k=1)] == ["b"]
    finally:
        client.collection("langchain").drop()


def test_an_embedding_in_place_of_the_name_is_refused_with_advice(name):
    with pytest.raises(InvalidInput, match="wanted a name, got DeterministicFakeEmbedding: the first argument is the"):
        SoftkvVectorStore(EMBEDDING)


@pytest.mark.parametrize("was", [False, "strict"])
async def test_a_collection_that_is_there_keeps_its_null_key(client, name, was):
    collection = client.collection(name())
    collection.create(encoder=None, null=was)
    SoftkvVectorStore.from_texts(["one"], EMBEDDING, collection=collection.name)
    await SoftkvVectorStore.afrom_texts(["two"], EMBEDDING, collection=collection.name)
    assert (collection.info().null, collection.count()) == (was, 2)


def test_a_store_of_no_texts_is_an_empty_collection(name):
    store = SoftkvVectorStore.from_texts([], EMBEDDING, collection=name())
    assert store.similarity_search("anything") == []


def test_the_first_write_makes_the_collection_with_the_settings(name):
    settings = {"similarity": "dot", "temperature": 0.5, "null": 0.2}
    store = SoftkvVectorStore(name(), EMBEDDING, settings=settings)
    with pytest.raises(softkv.NotFound):
        store.similarity_search("one")
    store.add_texts(["one"])
    info = store.collection.info()
    assert (info.similarity, info.temperature, info.null, info.encoder) == ("dot", 0.5, 0.2, None)
    with pytest.raises(softkv.Conflict, match="other settings"):
        SoftkvVectorStore(store.collection.name, settings={"similarity": "cosine"}).create()
    with pytest.raises(softkv.Conflict, match="other settings"):
        SoftkvVectorStore.from_texts(["one"], EMBEDDING, collection="library")


async def test_delete_takes_ids_or_a_filter_or_all(store):
    store.add_texts([f"n{n}" for n in range(10)], [{"n": n} for n in range(10)], ids=[str(n) for n in range(10)])
    assert store.delete([]) is True
    assert store.delete(["0", "nobody"]) is True
    assert store.delete(filter={"n": {"$gte": 8}}) is True
    assert await store.adelete(filter=F.n == 7) is True
    assert [document.id for document in store.collection.find()] == [str(n) for n in range(1, 7)]
    assert await store.adelete(["1"]) is True
    assert store.collection.count() == 5
    assert store.delete() is True
    assert store.collection.count() == 0


def test_existing_documents_are_preserved_on_request(store):
    store.add_texts(["one"], ids=["a"])
    store.add_texts(["two"], ids=["a"], on_conflict="skip")
    assert store.get_by_ids(["a"])[0].page_content == "one"
    with pytest.raises(softkv.Conflict):
        store.add_texts(["two"], ids=["a"], on_conflict="fail")


def test_langchain_s_index_keeps_a_store_up_to_date(store):
    records = InMemoryRecordManager("records")
    records.create_schema()

    def indexed(texts: list[str]) -> dict[str, int]:
        documents = [Document(text, metadata={"source": "notes.md"}) for text in texts]
        return dict(index(documents, records, store, cleanup="full", source_id_key="source", key_encoder="sha256"))

    assert indexed(["one", "two"])["num_added"] == 2
    again = indexed(["two", "three"])
    assert (again["num_added"], again["num_skipped"], again["num_deleted"]) == (1, 1, 1)
    assert {document.page_content for document in store.similarity_search("any", k=9)} == {"two", "three"}


def test_a_text_that_is_cut_is_warned_of_and_one_that_is_split_is_not(name):
    long = "word " * 400 + "purring cats"
    with pytest.warns(UserWarning, match=r"longer than the encoder reads.*split="):
        SoftkvVectorStore(name()).add_texts([long])
    store = SoftkvVectorStore(name(), split={"tokens": 100, "overlap": 10})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.add_texts([long], ids=["long"])
    assert store.collection.info().keys > 3
    assert store.similarity_search("purring cats")[0].page_content == long


def test_a_store_s_text_is_the_value_or_the_key():
    options = {"k": 1, "filter": F.id == "old-possums-book-of-practical-cats"}
    (value,) = SoftkvVectorStore("library").similarity_search("cats", **options)
    (key,) = SoftkvVectorStore("library", content="key").similarity_search("cats", **options)
    assert (value.page_content, key.page_content) == ("Old Possum's Book of Practical Cats, T. S. Eliot", "cats")
    assert SoftkvVectorStore("library", content="key").get_by_ids([key.id]) == [key]


def test_a_store_shows_the_embedding_of_its_vectors(store):
    assert store.embeddings is EMBEDDING
    assert SoftkvVectorStore("library").embeddings is None
    assert store.as_retriever().tags == ["SoftkvVectorStore", "DeterministicFakeEmbedding"]


class TooFew(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[1.0, 2.0]]

    def embed_query(self, text: str) -> list[float]:
        return [1.0, 2.0]


def test_an_embedding_makes_a_vector_of_each_text(name):
    store = SoftkvVectorStore(name(), TooFew())
    with pytest.raises(InvalidInput, match="made 1 vectors of 2 texts"):
        store.add_texts(["one", "two"])


async def test_a_client_of_one_s_own_serves_both(client, name):
    store = SoftkvVectorStore(name(), EMBEDDING, client=client)
    await store.aadd_texts(["one"])
    assert [document.page_content for document in store.similarity_search("one")] == ["one"]
    async with softkv.AsyncClient() as awaited:
        other = SoftkvVectorStore(store.collection.name, EMBEDDING, async_client=awaited)
        assert other.async_collection.name == store.collection.name
        assert await other.asimilarity_search("one") == store.similarity_search("one")
    assert isinstance(client, Client)
