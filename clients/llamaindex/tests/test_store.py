"""The tests of LlamaIndex's own stores, and further tests; each blocking and asynchronous."""

from __future__ import annotations

import asyncio
import inspect
import pickle

import pytest
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.schema import ImageNode, IndexNode, MetadataMode, NodeRelationship, NodeWithScore, TextNode
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQueryMode

import softkv
from clients.llamaindex.tests.conftest import FILMS, text_node
from llama_index.vector_stores.softkv import SoftkvEmbedding, SoftkvVectorStore
from tests.integrations.fixtures import DAY, DAY_STORED, WITHOUT_JSON

NOLAN = MetadataFilters(filters=[MetadataFilter(key="director", value="Christopher Nolan")])


@pytest.fixture(params=["waited for", "awaited"])
def call_store(request):
    """Return a function that calls a method of a store, or its asynchronous form in a new event loop."""

    def call(store, method, *arguments, **named):
        if request.param == "waited for":
            return getattr(store, method)(*arguments, **named)
        name = {"add": "async_add"}.get(method, f"a{method}")
        assert inspect.iscoroutinefunction(getattr(store, name))
        return asyncio.run(getattr(store, name)(*arguments, **named))

    return call


def ids(store):
    return {node.node_id for node in store.get_nodes()}


def query(vector=None, **options):
    return VectorStoreQuery(query_embedding=vector, **{"similarity_top_k": 4, **options})


def test_add_and_query(films, call_store):
    result = call_store(films, "query", query([0.0, 0.0, 1.0], similarity_top_k=2))
    assert result.ids == ["inception", "memento"]
    assert [node.get_content() for node in result.nodes] == ["Inception", "Memento"]
    assert result.nodes[0].metadata == FILMS[2].metadata
    assert result.nodes[0].ref_doc_id == "doc-2"
    assert 1 > result.similarities[0] > result.similarities[1] > 0


def test_a_similarity_is_the_weight_and_sums_to_one(films, call_store):
    result = call_store(films, "query", query([0.0, 0.5, 1.0]), null=False)
    assert sum(result.similarities) == pytest.approx(1)
    other = call_store(films, "query", query([0.0, 0.5, 1.0]), score="similarity")
    assert other.similarities == pytest.approx([1.1, 1.0, 0.5, 0.0])


def test_every_option_of_attend_goes_through(films, call_store):
    options = {"temperature": 0.1, "null": "strict", "max_error": 0.5, "normaliser": "softmax"}
    result = call_store(
        films, "query", query([0.0, 0.5, 1.0]), **options, evidence=True, include=["explanation", "key_vector"]
    )
    metadata = result.nodes[0].metadata["softkv"]
    assert metadata["weight"] == result.similarities[0]
    assert metadata["temperature"] == metadata["explanation"]["temperature"] == 0.1
    assert result.nodes[0].embedding == pytest.approx([0.0, 0.6, 0.8])
    assert "softkv" not in result.nodes[0].get_content(metadata_mode=MetadataMode.LLM)
    assert len(call_store(films, "query", query([0.0, 0.5, 1.0]), temperature=0.05, top_p=0.5).ids) == 1
    assert call_store(films, "query", query([0.0, 0.5, 1.0]), null=9.0, accept="several").nodes == []
    for wrong in ({"treshold": 0.5}, {"accept": "none"}, {"temperature": -1}, {"include": ["weights"]}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            call_store(films, "query", query([1.0, 0.0, 0.0]), **wrong)


def test_delete_by_document(films, call_store):
    call_store(films, "delete", "doc-2")
    call_store(films, "delete", "nobody's")
    assert ids(films) == {"shawshank", "godfather"}
    with pytest.raises(ValueError, match="Expected the id of a source document, got None"):
        call_store(films, "delete", None)
    assert ids(films) == {"shawshank", "godfather"}


def test_delete_nodes(films, call_store):
    call_store(films, "delete_nodes", ["shawshank", "nobody"])
    assert ids(films) == {"godfather", "inception", "memento"}
    call_store(films, "delete_nodes", ["godfather", "memento"], NOLAN)
    assert ids(films) == {"godfather", "inception"}
    call_store(films, "delete_nodes", filters=NOLAN)
    assert ids(films) == {"godfather"}
    call_store(films, "delete_nodes", [])
    assert ids(films) == {"godfather"}
    for filters in (None, MetadataFilters(filters=[])):
        with pytest.raises(ValueError, match="got neither"):
            call_store(films, "delete_nodes", filters=filters)
    nested = MetadataFilters(filters=[MetadataFilters(filters=[])])
    none_of = MetadataFilters(
        filters=[MetadataFilters(filters=[], condition=FilterCondition.OR)], condition=FilterCondition.NOT
    )
    for filters in (nested, none_of):
        with pytest.raises(ValueError, match="one that every document passes"):
            call_store(films, "delete_nodes", filters=filters)
    assert ids(films) == {"godfather"}


def test_get_nodes(films, call_store):
    result = call_store(films, "get_nodes", ["memento", "nobody", "shawshank"])
    assert [document.node_id for document in result] == ["memento", "shawshank"]
    assert result[0].embedding == pytest.approx([0.0, 0.6, 0.8])
    result[0].embedding = FILMS[3].embedding
    assert result[0] == FILMS[3]
    assert [item.node_id for item in call_store(films, "get_nodes", ["shawshank", "memento"], NOLAN)] == ["memento"]
    assert call_store(films, "get_nodes", []) == []
    assert len(call_store(films, "get_nodes")) == 4


def test_clear(films, call_store):
    call_store(films, "clear")
    assert ids(films) == set()
    call_store(films, "add", [FILMS[0]])
    assert ids(films) == {"shawshank"}


def test_an_id_that_is_there_is_replaced_and_one_that_comes_twice_written_once(films, call_store):
    again = [text_node("memento", "Memento, again", [1.0, 0.0, 0.0], "doc-9"), FILMS[3]]
    assert call_store(films, "add", again) == ["memento", "memento"]
    (node,) = films.get_nodes(["memento"])
    assert node.get_content() == "Memento"
    assert len(ids(films)) == 4


def test_mmr_selects_varied_nodes(films, call_store):
    near = [text_node(f"copy-{n}", "Inception", [0.0, 0.0, 1.0], "doc-2") for n in range(3)]
    films.add(near)
    plain = call_store(films, "query", query([0.1, 0.2, 1.0], similarity_top_k=3)).ids
    assert set(plain) <= {"copy-0", "copy-1", "copy-2", "inception"}
    mmr = query([0.1, 0.2, 1.0], similarity_top_k=3, mode=VectorStoreQueryMode.MMR, mmr_threshold=0.2)
    varied = call_store(films, "query", mmr)
    assert len(set(varied.ids) & {"copy-0", "copy-1", "copy-2", "inception"}) < 3
    assert len(varied.nodes) == len(varied.similarities) == 3
    narrow = call_store(films, "query", mmr, mmr_prefetch_k=3)
    assert set(narrow.ids) == set(plain)
    alike = call_store(
        films, "query", query([0.1, 0.2, 1.0], similarity_top_k=3, mode=VectorStoreQueryMode.MMR), mmr_threshold=1
    )
    assert set(alike.ids) == set(plain)


def test_other_modes_are_refused(films, call_store):
    with pytest.raises(ValueError, match="expected the mode default or mmr"):
        call_store(films, "query", query([1.0, 0.0, 0.0], mode=VectorStoreQueryMode.SPARSE))
    with pytest.raises(ValueError, match="got neither"):
        call_store(films, "query", query())


def test_kinds_of_nodes_come_back_as_they_were(made, call_store):
    store = made(settings={"encoder": None})
    nodes = [
        TextNode(id_="text", text="a text", embedding=[1.0, 0.0], start_char_idx=3, metadata={"loc": {"page": 1}}),
        ImageNode(id_="image", image_url="http://127.0.0.1/i.png", embedding=[0.0, 1.0], metadata={"kind": "picture"}),
        IndexNode(id_="index", text="see there", index_id="there", embedding=[1.0, 1.0]),
        Document(id_="whole", text="a document", embedding=[0.5, 1.0], excluded_llm_metadata_keys=["a"]),
    ]
    assert call_store(store, "add", nodes) == ["text", "image", "index", "whole"]
    assert store.get_nodes(["text", "image", "index", "whole"]) == nodes
    assert [type(node) for node in store.get_nodes(["image", "index"])] == [ImageNode, IndexNode]


def test_many_at_once(made, call_store):
    store = made(settings={"encoder": None})
    nodes = [TextNode(id_=f"n{n}", text=f"text {n}", embedding=[1.0, n / 1000]) for n in range(2500)]
    assert len(call_store(store, "add", nodes)) == 2500
    assert len(call_store(store, "get_nodes")) == 2500
    call_store(store, "delete_nodes", [f"n{n}" for n in range(2400)])
    assert len(ids(store)) == 100


def test_nodes_without_embedding_are_encoded_by_the_service(made, call_store):
    store = made(is_embedding_query=False)
    call_store(store, "add", [TextNode(id_="cat", text="cats that purr"), TextNode(id_="sea", text="war at sea")])
    result = call_store(store, "query", VectorStoreQuery(query_str="a pet", similarity_top_k=1))
    assert result.ids == ["cat"]
    mmr = VectorStoreQuery(query_str="a pet", similarity_top_k=2, mode=VectorStoreQueryMode.MMR)
    assert call_store(store, "query", mmr).ids == ["cat", "sea"]
    assert call_store(store, "get_nodes", ["cat"])[0].embedding is None


def test_nodes_without_embedding_and_text_are_refused(made, call_store):
    with pytest.raises(ValueError, match="no embedding, and the collection has no encoder"):
        call_store(made(settings={"encoder": None}), "add", [TextNode(text="a text")])
    with pytest.raises(ValueError, match="no embedding, and no text"):
        call_store(made(), "add", [TextNode(text="")])
    with pytest.raises(ValueError, match="wanted nodes, got str"):
        call_store(made(), "add", ["a text"])


def test_a_refusal_of_the_service_is_a_value_error_with_its_words(films, call_store):
    with pytest.raises(ValueError, match=r"key_vector has width 2, collection .* holds width 3"):
        call_store(films, "add", [TextNode(id_="narrow", text="a", embedding=[1.0, 0.0])])
    with pytest.raises(ValueError, match="1 to 256 characters, got 300"):
        call_store(films, "add", [TextNode(id_="n" * 300, text="a", embedding=[1.0, 0.0, 0.0])])
    with pytest.raises(ValueError, match="query has width 2"):
        call_store(films, "query", query([1.0, 0.0]))
    with pytest.raises(ValueError, match=r"settings: a collection has .* not encoders"):
        SoftkvVectorStore("a", settings={"encoders": None})
    with pytest.raises(ValueError, match=r"path\.name"):
        SoftkvVectorStore("no name")


@pytest.mark.parametrize("word", WITHOUT_JSON)
def test_metadata_without_json_is_refused_by_id(films, call_store, word):
    """Pydantic makes null of NaN, and a text of a length of time."""
    source = Document(id_="source", text="a", metadata={"at": DAY})
    good = TextNode(id_="good", text="a", embedding=[1.0, 0.0, 0.0], metadata={"at": DAY})
    good.relationships[NodeRelationship.SOURCE] = source.as_related_node_info()
    bad = good.model_copy(update={"id_": "bad", "metadata": {"at": WITHOUT_JSON[word]}})
    with pytest.raises(ValueError, match=rf"^node 'bad' was refused: .*{word}"):
        call_store(films, "add", [good, bad])
    assert call_store(films, "get_nodes", ["good", "bad"]) == []
    call_store(films, "add", [good])
    (node,) = call_store(films, "get_nodes", ["good"])
    assert node.metadata == node.source_node.metadata == {"at": DAY_STORED}


def test_settings_of_a_collection_that_is_there_are_compared(films, call_store):
    other = SoftkvVectorStore(films.collection, settings={"similarity": "cosine"})
    with pytest.raises(ValueError, match=films.collection):
        call_store(other, "get_nodes")
    assert len(call_store(SoftkvVectorStore(films.collection), "get_nodes")) == 4


def test_an_unreachable_service_raises_the_error_of_softkv(call_store):
    with pytest.raises(softkv.Unreachable):
        call_store(SoftkvVectorStore("a", url="http://127.0.0.1:9"), "get_nodes")


def test_documents_of_other_programs_are_read_as_text(call_store):
    result = call_store(SoftkvVectorStore("library"), "query", VectorStoreQuery(query_str="pets that purr"))
    assert result.nodes[0].get_content().startswith("Old Possum's Book of Practical Cats")


def test_everything_is_implemented_and_awaited():
    for name, method in vars(BasePydanticVectorStore).items():
        if inspect.isfunction(method) and not name.startswith("_") and name != "persist":
            own_method = getattr(SoftkvVectorStore, name)
            assert own_method is not method
            assert inspect.iscoroutinefunction(own_method) == inspect.iscoroutinefunction(method)
            assert list(inspect.signature(own_method).parameters)[1:] == list(inspect.signature(method).parameters)[1:]


async def test_awaited_calls_run_side_by_side(films):
    results = await asyncio.gather(*(films.aquery(query([0.0, 0.0, 1.0], similarity_top_k=1)) for _ in range(8)))
    assert [document.ids for document in results] == [["inception"]] * 8


def test_an_index_over_it(made):
    store = made()
    index = VectorStoreIndex.from_documents(
        [Document(id_="a", text="Cats purr."), Document(id_="b", text="Ships sink at sea.")],
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=SoftkvEmbedding(),
    )
    retriever = index.as_retriever(similarity_top_k=1, vector_store_kwargs={"temperature": 0.05})
    (node,) = retriever.retrieve("pets")
    assert isinstance(node, NodeWithScore)
    assert node.node.get_content() == "Cats purr."
    (awaited,) = asyncio.run(retriever.aretrieve("pets"))
    assert (awaited.node_id, awaited.score) == (node.node_id, node.score)
    index.delete_ref_doc("a")
    assert [item.ref_doc_id for item in store.get_nodes()] == ["b"]
    again = VectorStoreIndex.from_vector_store(store, embed_model=SoftkvEmbedding("all-MiniLM-L6-v2"))
    assert [item.node.get_content() for item in again.as_retriever().retrieve("ships")] == ["Ships sink at sea."]


def test_an_index_reranks_if_the_service_encodes_the_question(made):
    store = made(is_embedding_query=False)
    texts = ["Cats purr.", "Dogs bark.", "Ships sink at sea."]
    index = VectorStoreIndex.from_documents(
        [Document(id_=str(number), text=text) for number, text in enumerate(texts)],
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=SoftkvEmbedding(),
    )
    options = {"temperature": 1.0, "rerank": {"weight": 1.0}, "accept": "any"}
    expected = store.client.collection(store.collection).attend("pets", top_k=3, temperature=1.0, rerank={})
    nodes = index.as_retriever(similarity_top_k=3, vector_store_kwargs=options).retrieve("pets")
    assert [node.node.node_id for node in nodes] == expected.ids
    assert [node.score for node in nodes] == pytest.approx(list(expected.weights))


def test_a_serialised_store_has_no_key(films):
    store = SoftkvVectorStore("films", url="http://127.0.0.1:1", key="a secret", settings={"encoder": None})
    written = store.to_json()
    assert "a secret" not in written
    assert SoftkvVectorStore.from_json(written).to_dict() == store.to_dict()
    assert MetadataFilters(filters=[MetadataFilter(key="a", value=1, operator=FilterOperator.EQ)]).filters


def test_a_pickled_store_asks_the_same_service(films):
    pickled = pickle.loads(pickle.dumps(films))
    assert [node.node_id for node in pickled.get_nodes()] == [node.node_id for node in films.get_nodes()]
    assert repr(pickled.client) == repr(films.client)
