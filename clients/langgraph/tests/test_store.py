"""The store with the service's encoder: abstention, numbers of a match, texts, times to live, and what is refused."""

from __future__ import annotations

import asyncio
import re
import runpy
from datetime import UTC, datetime, timedelta
from typing import TypedDict

import numpy as np
import pytest
from langgraph.config import get_store
from langgraph.graph import START, StateGraph
from langgraph.store.base import GetOp, InvalidNamespaceError, ListNamespacesOp, MatchCondition, PutOp, SearchOp

import softkv
from langgraph_store_softkv import InvalidInput, SoftkvSearchItem, SoftkvStore
from tests.examples import ROOT
from tests.integrations.fixtures import DAY, DAY_STORED, WITHOUT_JSON, option_examples

EXAMPLE = ROOT / "clients" / "langgraph" / "examples" / "memory.py"
ANNA, BEN = ("users", "anna"), ("users", "ben")
FACTS = {"pet": "Anna's cat is called Miso.", "work": "Anna works as a nurse.", "food": "Anna is allergic to peanuts."}
CAT, OFF_TOPIC = "What is the name of Anna's cat?", "depreciation of steel furnaces"


@pytest.fixture
def facts(made):
    """Makes stores with three facts on Anna."""

    def make(**options):
        store = made(**{"index": {"fields": ["text"]}, **options})
        store.batch([PutOp(ANNA, key, {"text": text, "length": len(text)}) for key, text in FACTS.items()])
        return store

    return make


def keys(items):
    return [item.key for item in items]


def test_an_item_has_all_numbers_of_its_match(facts, call):
    store = facts()
    expected = store._source.connection.client.collection(store._source.place.name).attend(CAT, top_k=2)
    items = call(store, "search", (), query=CAT, limit=2)
    assert [type(item) for item in items] == [SoftkvSearchItem] * 2
    assert keys(items)[0] == "pet"
    assert [item.score for item in items] == [item.weight for item in items] == pytest.approx(list(expected.weights))
    assert [item.similarity for item in items] == pytest.approx([match.similarity for match in expected])
    assert items[0].dict()["similarity"] == items[0].similarity
    assert items[0].confidence is None
    assert [item.score for item in call(store, "search", (), limit=2)] == [None, None]


def test_nothing_comes_where_nothing_fits(facts, call):
    assert call(facts(), "search", ANNA, query=OFF_TOPIC) == []
    for options in ({"null": False}, {"accept": "any"}):
        assert len(call(facts(**options), "search", ANNA, query=OFF_TOPIC)) == 3
    strict = facts(null=False, temperature=1.0, accept="one")
    assert call(strict, "search", ANNA, query=CAT) == []
    assert call(facts(null=False, temperature=1.0), "search", ANNA, query=CAT) != []


def test_an_item_without_a_text_comes_only_where_nothing_is_held_back(facts, call):
    for options, expected, index in (({}, 3, False), ({"null": False}, 4, []), ({"accept": "any"}, 4, False)):
        store = facts(**options)
        store.put(ANNA, "scan", {"text": CAT}, index=index)
        items = call(store, "search", ANNA, query=CAT)
        assert len(items) == expected
        assert call(store, "get", ANNA, "scan").value == {"text": CAT}
        assert [item.score for item in items[3:]] == [None] * (expected - 3)


def test_options_of_attend_reach_searches(facts, call):
    for name, options in option_examples().items():
        if name not in ("include", "top_k"):
            store = facts(accept="any", **options)
            collection = store._source.connection.client.collection(store._source.place.name)
            expected = collection.attend(CAT, **{"top_k": 3, **options})
            items = call(store, "search", (), query=CAT, limit=3)
            weights = [item.weight for item in items if item.weight is not None]
            assert weights == pytest.approx(list(expected.weights)), name


def test_a_reranker_orders_items_of_several_texts(made, call):
    store = made(index={"fields": ["notes[*]"]}, null=False, temperature=1.0, rerank={"weight": 20.0})
    for name, notes in {"pets": ["Cats purr.", "Dogs bark."], "sea": ["Ships sink."], "sky": ["Stars shine."]}.items():
        call(store, "put", BEN, name, {"notes": notes})
    items = call(store, "search", BEN, query=CAT)
    weights = [item.weight for item in items]
    assert weights == sorted(weights, reverse=True)
    plain = [item.key for item in call(SoftkvStore(store._source.place.name, null=False), "search", BEN, query=CAT)]
    assert keys(items) != plain


def test_several_texts_of_an_item_are_several_keys(made, call):
    """Their best text counts, so that an item with more texts does not come first for that."""
    store = made(index={"fields": ["title", "notes[*]"]}, null=False, score="similarity")
    notes = ["Cats purr.", "Cats meow.", "Cats sleep."]
    call(store, "put", BEN, "many", {"title": "cats", "notes": notes})
    call(store, "put", BEN, "one", {"title": "What do cats do all day?"})
    for query, first in (("What do cats do all day?", "one"), ("Cats meow.", "many")):
        items = call(store, "search", BEN, query=query)
        assert keys(items)[0] == first
        assert items[0].score == pytest.approx(1, abs=1e-5)
        assert sum(item.weight for item in items) == pytest.approx(1)
    (document,) = store._source.connection.client.collection(store._source.place.name).find(
        where=softkv.F.key.contains("purr"), include=["key", "key_vector"]
    )
    assert [document.key[part["start"] : part["end"]] for part in document.parts] == ["cats", *notes]


def test_the_whole_value_is_the_text_unless_fields_are_named(made, call):
    store = made(null=False)
    call(store, "put", BEN, "a", {"b": 1, "a": "é"})
    (document,) = store._source.connection.client.collection(store._source.place.name).find()
    assert document.key == '{"a": "é", "b": 1}'


def test_a_store_without_an_index_lists_items_whatever_the_query(made, call):
    store = made(index=False)
    call(store, "put", BEN, "a", {"text": "cats"})
    (item,) = call(store, "search", BEN, query=OFF_TOPIC)
    assert (item.key, item.score, item.weight) == ("a", None, None)


def test_a_text_that_no_search_would_find_is_not_written(made, call):
    store = made(settings={"encoder": None})
    with pytest.raises(InvalidInput, match=r"has no encoder, .* Give the store an embedding, .* or index=False"):
        call(store, "put", BEN, "a", {"text": "cats"})
    assert call(store, "get", BEN, "a") is None
    call(store, "put", BEN, "a", {"text": "cats"}, index=False)
    call(made(index=False, settings={"encoder": None}), "put", BEN, "a", {"text": "cats"})
    assert call(store, "get", BEN, "a").value == {"text": "cats"}


def test_a_replaced_item_keeps_the_time_of_its_first_write(made, call):
    store, start = made(), datetime.now(UTC)
    call(store, "put", BEN, "a", {"n": 1})
    first = call(store, "get", BEN, "a")
    call(store, "put", BEN, "a", {"n": 2})
    second = call(store, "get", BEN, "a")
    assert start <= first.created_at == first.updated_at == second.created_at < second.updated_at
    assert second.value == {"n": 2}
    call(store, "delete", BEN, "a")
    assert call(store, "get", BEN, "a") is None


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"n": {"$gt": 1}}, ["two"]),
        ({"n": {"$lt": 5}}, ["one", "two"]),
        ({"n": {"$gt": np.int64(1)}}, ["two"]),
        ({"n": {"$lt": True}}, []),
        ({"n": {"$lt": None}}, []),
        ({"n": {"$lt": float("nan")}}, []),
        ({"n": {"$lt": float("inf")}}, ["one", "two"]),
        ({"n": float("nan")}, []),
        ({"day": {"$gte": "2026-03-01"}}, ["date"]),
    ],
)
def test_an_ordering_passes_only_numbers_or_only_texts(made, condition, expected):
    """InMemoryStore raises for an item without the field, and where a text is not a number."""
    store = made(null=False)
    values = {"one": {"n": 1}, "two": {"n": 2}, "text": {"n": "7"}, "none": {}, "date": {"day": "2026-03-05"}}
    store.batch([PutOp(BEN, key, value) for key, value in values.items()])
    assert keys(store.search(BEN, filter=condition)) == expected
    assert sorted(keys(store.search(BEN, query="two", filter=condition))) == sorted(expected)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"n": {"$in": [1]}}, r"expected operators of \$eq, .*; got '\$in'"),
        ({"n": {"$gt": 1, "other": 2}}, "got 'other'"),
        ({3: 1}, "expected names of fields, got 3"),
        ({"n": {"$gt": datetime(2026, 1, 2)}}, "Values have dates as texts: say '2026-01-02T00:00:00'"),
        ({"n": {"$gt": np.datetime64("2026-01-02")}}, "Values have dates as texts: say '2026-01-02'"),
        ({"n": {"$gt": np.datetime64("NaT")}}, r"got .*NaT.*\.$"),
        ({"n": {"$gt": timedelta(1)}}, r"expected a number or a text, got datetime.timedelta\(days=1\)\.$"),
        ({"n": {"$gt": [1]}}, r"expected a number or a text, got \[1\]"),
        ([("n", 1)], "expected an object with fields of the value, got list"),
    ],
)
def test_a_wrong_filter_is_a_value_error(made, call, condition, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        call(made(), "search", BEN, filter=condition)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, softkv.Invalid)


@pytest.mark.parametrize("value", ["text", ["text"], 5])
def test_a_value_that_is_not_an_object_is_refused(made, call, value):
    store = made()
    with pytest.raises(InvalidInput, match="value: expected an object"):
        call(store, "put", BEN, "k", value)
    with pytest.raises(InvalidInput, match=r"Expected a list of paths of texts, got 'text'\. Write \['text'\]"):
        call(store, "put", BEN, "k", {"text": "a"}, index="text")
    with pytest.raises(InvalidInput, match="Expected a list of paths"):
        made(index={"fields": "text"})
    assert call(store, "get", BEN, "k") is None


@pytest.mark.parametrize("index", [None, False])
@pytest.mark.parametrize("word", WITHOUT_JSON)
def test_a_value_without_json_is_refused_by_key(made, call, word, index):
    store = made()
    item = re.escape(f"item 'bad' of {BEN}, value: ")
    with pytest.raises(InvalidInput, match=rf"^{item}.*{word}"):
        store.batch([PutOp(BEN, "good", {"n": 1}), PutOp(BEN, "bad", {"n": WITHOUT_JSON[word]}, index)])
    assert call(store, "search", BEN) == []
    call(store, "put", BEN, "good", {"at": DAY}, index=index)
    assert call(store, "get", BEN, "good").value == {"at": DAY_STORED}


def test_a_refusal_of_the_service_names_the_key(made, call):
    with pytest.raises(InvalidInput, match=r"^item 'a\\x00' of \('users', 'ben'\) was refused: .* a NUL"):
        call(made(), "put", BEN, "a\0", {"n": 1})


@pytest.mark.parametrize("namespace", [("a.b",), ("",), (3,), ("a", "\0"), ("\ud83d",)])
def test_a_wrong_namespace_is_refused_in_a_batch_too(made, namespace):
    condition = MatchCondition("prefix", namespace)
    ops = [PutOp(namespace, "k", {}), GetOp(namespace, "k"), SearchOp(namespace), ListNamespacesOp((condition,))]
    for op in ops:
        with pytest.raises(InvalidNamespaceError):
            made().batch([op])


def test_invalid_operations_of_a_batch_are_refused(made):
    store = made()
    with pytest.raises(InvalidNamespaceError, match="at least one label"):
        store.batch([PutOp((), "k", {})])
    with pytest.raises(ValueError, match="Unknown operation"):
        store.batch(["get"])
    with pytest.raises(ValueError, match="Unsupported match type"):
        store.batch([ListNamespacesOp((MatchCondition("middle", ("a",)),))])
    with pytest.raises(ValueError, match="from 0 on, got -1"):
        store.search(BEN, query="cats", limit=-1)
    with pytest.raises(softkv.Invalid, match="NaN"):
        store.put(BEN, "k", {"n": float("nan")})


def test_documents_of_other_programs_are_items_of_the_empty_namespace(client):
    store = SoftkvStore("library")
    (item,) = store.search((), query="pets that purr", limit=1)
    assert item.namespace == ()
    assert item.value["text"].startswith("Old Possum")
    assert item.value["metadata"]["year"] == 1939
    assert store.get((), item.key).value == item.value
    assert store.list_namespaces() == []


def test_names_with_periods_are_not_paths(made, call):
    store = made(null=False)
    values = {"path": {"a": {"b": 1}}, "name": {"a.b": 1}, "both": {"a.b": 2, "a": {"b": 3}}, "%": {"a%2Eb": 1}}
    store.batch([PutOp(BEN, key, value) for key, value in values.items()])
    assert {key: call(store, "get", BEN, key).value for key in values} == values
    assert keys(call(store, "search", BEN, filter={"a.b": 1})) == ["name"]
    assert keys(call(store, "search", BEN, filter={"a": {"b": {"$gte": 1}}})) == ["path", "both"]
    assert keys(call(store, "search", BEN, filter={"a%2Eb": 1})) == ["%"]


def test_settings_are_of_the_new_collection_and_required_of_an_old_one(made, client):
    store = made(settings={"temperature": 0.2})
    store.put(BEN, "a", {})
    assert client.collection(store._source.place.name).info().temperature == 0.2
    other = SoftkvStore(store._source.place.name, settings={"temperature": 0.3})
    with pytest.raises(softkv.Conflict):
        other.get(BEN, "a")
    assert SoftkvStore(store._source.place.name).get(BEN, "a").value == {}


def test_a_store_with_an_embedding_has_a_null_key(made, client, runner):
    async def embed(texts):
        return [[1.0, float(len(text)), 0.5] for text in texts]

    store = made(index={"dims": 3, "embed": embed, "fields": ["text"]})
    runner.run(store.aput(BEN, "a", {"text": "cats"}))
    info = client.collection(store._source.place.name).info()
    assert (info.encoder, info.dimension, info.null) == (None, 3, "auto")
    assert keys(runner.run(store.asearch(BEN, query="cats"))) == ["a"]
    with pytest.raises(ValueError, match="async"):
        store.search(BEN, query="cats")


def test_a_large_batch_is_written_whole_and_in_order(made):
    store = made(index=False)
    store.batch([PutOp(BEN, str(number), {"n": number}) for number in range(1500)])
    assert [item.value["n"] for item in store.search(BEN, limit=1500)] == list(range(1500))
    store.batch([PutOp(BEN, str(number), None) for number in range(1499)])
    assert keys(store.search(())) == ["1499"]


def test_a_store_is_awaited_in_one_loop_after_another(facts):
    store = facts()
    for _ in range(3):
        assert asyncio.run(store.aget(ANNA, "pet")).value["text"] == FACTS["pet"]


def test_an_unreachable_service_raises_the_error_of_softkv():
    store = SoftkvStore("a", client=softkv.Client("http://127.0.0.1:9", retries=0))
    with pytest.raises(softkv.Unreachable):
        store.get(BEN, "a")


class State(TypedDict, total=False):
    question: str
    facts: list[str]


async def test_a_graph_reads_and_writes_its_store(made):
    store = made(index={"fields": ["text"]})

    async def recall(state: State) -> State:
        await get_store().aput(ANNA, "pet", {"text": FACTS["pet"]})
        items = await get_store().asearch(ANNA, query=state["question"])
        return {"facts": [item.value["text"] for item in items]}

    graph = StateGraph(State).add_node("recall", recall).add_edge(START, "recall").compile(store=store)
    assert (await graph.ainvoke({"question": CAT}))["facts"] == [FACTS["pet"]]
    assert (await graph.ainvoke({"question": OFF_TOPIC}))["facts"] == []


def test_the_example_remembers_facts_and_admits_unknown_ones(made, capsys):
    example = runpy.run_path(str(EXAMPLE))
    graph = example["build_graph"](made(index={"fields": ["text"]}))
    ask = example["ask"]
    assert ask(graph, "anna", "Remember: my cat is called Miso.") == "I will remember that."
    assert "Miso" in ask(graph, "anna", "What is my cat called?")
    assert ask(graph, "anna", OFF_TOPIC) == "I do not know."
    assert ask(graph, "ben", "What is my cat called?") == "I do not know."
