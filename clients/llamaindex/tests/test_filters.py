"""Every operator and condition gives the same documents as LlamaIndex's in-memory store; and nesting."""

from __future__ import annotations

import llama_index.core
import pytest
from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    SimpleVectorStore,
    VectorStoreQuery,
)

from clients.llamaindex.tests.conftest import FILMS
from llama_index.vector_stores.softkv.conversion import convert_filters

EVERY = {item.node_id for item in FILMS}
AND, OR, NOT = FilterCondition.AND, FilterCondition.OR, FilterCondition.NOT


def where(key, operator, value=None):
    return MetadataFilter(key=key, operator=FilterOperator(operator), value=value)


def passing(store, filters):
    query = VectorStoreQuery(query_embedding=[1.0, 1.0, 1.0], similarity_top_k=10, filters=filters)
    return set(store.query(query).ids)


S, G, N, M = "shawshank", "godfather", "inception", "memento"
COMPARISONS = [
    (where("theme", "==", "Mafia"), {G}),
    (where("year", "==", 1994), {S}),
    (where("theme", "!=", "Mafia"), {S, N, M}),
    (where("rating", "!=", 9.2), {S, N, M}),
    (where("rating", ">", 9.2), {S}),
    (where("rating", ">=", 9.2), {S, G}),
    (where("year", "<", 1994), {G}),
    (where("year", "<=", 1994), {S, G}),
    (where("theme", "in", ["Mafia", "Dream"]), {G, N}),
    (where("year", "in", [1994, 2010]), {S, N}),
    (where("rating", "nin", [9.2, 8.8]), {S, M}),
    (where("tags", "any", ["hope", "crime"]), {S, G}),
    (where("tags", "all", ["prison", "hope"]), {S}),
    (where("tags", "all", ["prison", "crime"]), set()),
    (where("tags", "contains", "family"), {G}),
    (where("director", "text_match", "Nolan"), {N, M}),
    (where("director", "text_match", "nolan"), set()),
    (where("director", "text_match_insensitive", "NOLAN"), {N, M}),
    (where("tags", "is_empty"), {N, M}),
    (where("theme", "is_empty"), {M}),
    (where("director", "is_empty"), {S}),
]
JOINED = [where("year", ">", 1990), where("director", "text_match", "Nolan"), where("rating", ">", 9)]
CONDITIONS = [(AND, 2, {N, M}), (AND, 3, set()), (None, 2, {N, M}), (OR, 2, {S, N, M}), (OR, 3, EVERY)]
CONDITIONS += [(NOT, 1, {G}), (NOT, 2, {G}), (NOT, 3, set())]
# In later versions the in-memory store gives ALL the meaning of other stores.
simple_knows_all = pytest.mark.skipif(
    tuple(map(int, llama_index.core.__version__.split(".")[:2])) < (0, 14), reason="SimpleVectorStore is too old"
)


@pytest.mark.parametrize(("comparison", "expected"), COMPARISONS)
def test_each_operator(films, comparison, expected):
    filters = MetadataFilters(filters=[comparison])
    assert passing(films, filters) == expected
    assert {node.node_id for node in films.get_nodes(filters=filters)} == expected


@pytest.mark.parametrize(("condition", "many", "expected"), CONDITIONS)
def test_each_condition(films, condition, many, expected):
    assert passing(films, MetadataFilters(filters=JOINED[:many], condition=condition)) == expected


@simple_knows_all
def test_the_store_in_memory_decides_alike():
    simple = SimpleVectorStore()
    simple.add(list(FILMS))
    for comparison, expected in COMPARISONS:
        assert passing(simple, MetadataFilters(filters=[comparison])) == expected
    for condition, many, expected in CONDITIONS:
        assert passing(simple, MetadataFilters(filters=JOINED[:many], condition=condition)) == expected


def test_every_operator_is_tried():
    assert {item.operator for item, _ in COMPARISONS} == set(FilterOperator)
    assert {item for item, *_ in CONDITIONS} == {*FilterCondition, None}


def test_nested_conditions(films):
    recent = MetadataFilters(filters=[where("year", ">=", 2000), where("rating", ">", 9)], condition=OR)
    nolan = MetadataFilters(filters=[where("director", "==", "Christopher Nolan")], condition=NOT)
    assert passing(films, MetadataFilters(filters=[recent, nolan], condition=AND)) == {"shawshank", "godfather"}
    deep = MetadataFilters(
        filters=[where("theme", "==", "Dream"), MetadataFilters(filters=[recent, nolan])], condition=OR
    )
    assert passing(films, deep) == {"inception", "shawshank", "godfather"}


def test_a_path_into_nested_metadata(films):
    assert passing(films, MetadataFilters(filters=[where("loc.shelf", "==", 3)])) == {"inception"}


def test_no_filter_lets_everything_pass(films):
    assert passing(films, None) == passing(films, MetadataFilters(filters=[])) == EVERY
    assert convert_filters(None) is convert_filters(MetadataFilters(filters=[])) is None


def test_ids_and_documents_are_filters_too(films):
    def ids(**which):
        return set(films.query(VectorStoreQuery(query_embedding=[1.0, 1.0, 1.0], similarity_top_k=9, **which)).ids)

    assert ids(node_ids=["memento", "nobody"]) == {"memento"}
    assert ids(doc_ids=["doc-2", "doc-0"]) == {"inception", "memento", "shawshank"}
    assert ids(doc_ids=["doc-2"], node_ids=["memento", "shawshank"]) == {"memento"}
    assert ids(doc_ids=[]) == ids(doc_ids=[], node_ids=["memento"]) == set()
    recent = MetadataFilters(filters=[where("year", ">", 2005)])
    assert ids(doc_ids=["doc-2"], filters=recent) == {"inception"}


def test_an_index_asks_for_all_nodes_with_an_empty_list(films):
    index = VectorStoreIndex.from_vector_store(films, embed_model=MockEmbedding(3))
    assert len(index.as_retriever(similarity_top_k=9).retrieve("films")) == len(EVERY)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (where("year", ">", ["1990"]), "> on metadata.year wants a number, a text or a datetime, not \\['1990'\\]"),
        (where("year", "<", None), "< on metadata.year wants a number, a text or a datetime, not None"),
        (where("year", "in", 1990), "in on metadata.year wants a list of at most 5000 scalars and datetimes, not 1990"),
        (where("year", "nin", list(range(5001))), "wants a list of at most 5000"),
        (where("tags", "any", "hope"), "any on tags wants a list, not 'hope'"),
        (where("theme", "text_match", 3), "text_match on theme wants a text, not 3"),
    ],
)
def test_a_wrong_value_is_a_value_error_with_softkv_s_words(films, wrong, message):
    with pytest.raises(ValueError, match=message):
        passing(films, MetadataFilters(filters=[wrong]))
    with pytest.raises(ValueError, match=message):
        films.delete_nodes(filters=MetadataFilters(filters=[wrong]))


def test_one_nested_too_deep_is_refused(films):
    filters = MetadataFilters(filters=[where("year", ">", 1990)])
    for _ in range(33):
        filters = MetadataFilters(filters=[filters])
    with pytest.raises(ValueError, match="conditions nest at most 32 deep"):
        passing(films, filters)
