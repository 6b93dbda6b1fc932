"""mem0's own `Memory` and `AsyncMemory` over a collection: every method, and nothing where nothing is known."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from mem0 import AsyncMemory, Memory

import softkv
from langchain_softkv import InvalidInput
from softkv_mem0 import SoftkvMemoryStore
from tests.integrations.fixtures import DAY, DAY_STORED, WITHOUT_JSON

ANNA, BERT = {"user_id": "anna"}, {"user_id": "bert"}
FACTS = {
    "Anna plays the cello in an orchestra": {"year": 2019, "tags": ["music"]},
    "Anna is allergic to peanuts": {"year": 2020, "tags": ["health", "food"]},
    "Anna parks her bicycle behind the library": {"year": 2024},
}
UNKNOWN = "quarterly depreciation of steel furnaces"


@pytest.fixture
def filled(memory: Memory) -> Memory:
    """Return a memory that knows three things of Anna's and one of Bert's."""
    for text, metadata in FACTS.items():
        memory.add(text, metadata=metadata, infer=False, **ANNA)
    memory.add("Bert plays the drums", infer=False, **BERT)
    return memory


def texts(answer: dict[str, Any]) -> list[str]:
    return [item["memory"] for item in answer["results"]]


def test_a_search_finds_stored_facts_and_nothing_else(filled):
    best, *_ = filled.search("which instrument does she play?", filters=ANNA)["results"]
    assert best["memory"] == "Anna plays the cello in an orchestra"
    assert (best["user_id"], best["metadata"]) == ("anna", {"year": 2019, "tags": ["music"]})
    assert texts(filled.search("nuts", filters=ANNA, top_k=1)) == ["Anna is allergic to peanuts"]
    assert texts(filled.search("who plays the drums?", filters=BERT)) == ["Bert plays the drums"]
    assert filled.search(UNKNOWN, filters=ANNA) == {"results": []}
    assert filled.search("cello", filters={"user_id": "nobody"}) == {"results": []}


def test_scores_are_similarities(filled, client):
    query, text = "a string instrument", "Anna plays the cello in an orchestra"
    asked, stored = client.encode([query, text])
    (best,) = filled.search(query, filters=ANNA, top_k=1)["results"]
    assert best["memory"] == text
    assert best["score"] == pytest.approx(float(asked @ stored), abs=1e-3)
    assert filled.search(query, filters=ANNA, threshold=0.99) == {"results": []}


def test_every_method_of_a_memory(filled):
    listed = {item["memory"]: item for item in filled.get_all(filters=ANNA)["results"]}
    assert listed.keys() == FACTS.keys()
    item = listed["Anna is allergic to peanuts"]
    assert filled.get(item["id"])["memory"] == item["memory"]
    filled.update(item["id"], text="Anna is allergic to walnuts", metadata={"year": 2026})
    updated = filled.get(item["id"])
    assert (updated["memory"], updated["metadata"]) == (
        "Anna is allergic to walnuts",
        {"year": 2026, "tags": ["health", "food"]},
    )
    assert texts(filled.search("walnuts", filters=ANNA, top_k=1)) == ["Anna is allergic to walnuts"]
    assert [entry["event"] for entry in filled.history(item["id"])] == ["ADD", "UPDATE"]
    filled.delete(item["id"])
    assert filled.get(item["id"]) is None
    assert len(filled.get_all(filters=ANNA)["results"]) == 2
    filled.delete_all(**ANNA)
    assert filled.get_all(filters=ANNA) == {"results": []}
    assert texts(filled.get_all(filters=BERT)) == ["Bert plays the drums"]
    filled.reset()
    assert filled.get_all(filters=BERT) == {"results": []}


def test_all_memories_are_listed_however_many_they_are(config, name):
    store = SoftkvMemoryStore(name(), DeterministicFakeEmbedding(size=4))
    config["vector_store"]["config"]["client"] = store
    numbers = [f"number {i:04}" for i in range(1201)]
    store.add_texts(numbers, [{"data": number, "user_id": "anna"} for number in numbers], ids=numbers)
    with Memory.from_config(config) as memory:
        assert texts(memory.get_all(filters=ANNA, top_k=3)) == numbers[:3]
        assert texts(memory.get_all(filters=ANNA, top_k=5000)) == numbers


def test_a_memory_that_is_empty_so_far(memory):
    assert memory.search("anything", filters=ANNA) == {"results": []}
    assert memory.get_all(filters=ANNA) == {"results": []}
    assert memory.get("unknown") is None
    memory.delete_all(**ANNA)
    memory.reset()


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ({"year": 2019}, 1),
        ({"year": {"gte": 2020, "lt": 2024}}, 1),
        ({"year": {"in": [2019, 2024]}}, 2),
        ({"year": {"ne": 2019}}, 2),
        ({"tags": {"contains": "food"}}, 1),
        ({"tags": {"contains": "FOOD"}}, 0),
        ({"tags": {"icontains": "FOOD"}}, 1),
        ({"data": {"icontains": "CELLO"}}, 1),
        ({"year": [2019, 2024]}, 2),
        ({"year": []}, 0),
        ({"year": {"in": []}}, 0),
        ({"NOT": [{"year": [2019, 2024]}]}, 1),
        ({"NOT": [{"year": []}]}, 3),
        ({"OR": [{"year": [2019]}, {"tags": {"icontains": "Health"}}]}, 2),
        ({"tags": "*"}, 2),
        ({"AND": [{"year": {"gt": 2019}}, {"tags": "*"}]}, 1),
        ({"OR": [{"year": 2019}, {"year": 2024}]}, 2),
        ({"NOT": [{"year": 2019}, {"year": 2024}]}, 1),
    ],
)
def test_filters(filled, condition, count):
    store = filled.config.vector_store.config.client
    store._search_options["accept"] = "any"
    assert len(filled.search("Anna", filters=ANNA | condition, threshold=0)["results"]) == count
    assert len(filled.get_all(filters=ANNA | condition)["results"]) == count


def test_an_operator_that_is_not_there_is_named(filled):
    with pytest.raises(softkv.Invalid, match=r"wanted one of the operators eq, .*, got startswith"):
        SoftkvMemoryStore().similarity_search_with_score_by_vector([0.0], filter={"tags": {"startswith": "f"}})
    with pytest.raises(softkv.Invalid, match="NOT wants a list of filters, got dict"):
        SoftkvMemoryStore().similarity_search_with_score_by_vector([0.0], filter={"NOT": {"year": 1}})


@pytest.mark.parametrize("word", WITHOUT_JSON)
def test_metadata_without_json_is_refused_by_id(memory, word):
    with pytest.raises(InvalidInput, match=rf"document '[0-9a-f-]+' was refused: .*{word}"):
        memory.add("Anna sings", metadata={"at": WITHOUT_JSON[word]}, infer=False, **ANNA)
    memory.add("Anna sings", metadata={"at": DAY}, infer=False, **ANNA)
    assert [item["metadata"] for item in memory.get_all(filters=ANNA)["results"]] == [{"at": DAY_STORED}]


def test_facts_of_a_language_model(memory, extractor):
    added = memory.add("My name is Anna. I like hiking. I like hiking", **ANNA)
    assert sorted(texts(added)) == ["I like hiking", "My name is Anna"]
    assert extractor.requests[-1]["model"] == "stub"
    assert memory.add("I like hiking", **ANNA) == {"results": []}  # known by its hash
    assert texts(memory.search("outdoor hobbies", filters=ANNA, top_k=1)) == ["I like hiking"]


def test_entities_are_not_memories(filled, client):
    """Without spaCy mem0 finds no entities in a text, so this test names one."""
    (best,) = filled.search("cello", filters=ANNA, top_k=1)["results"]
    for _ in range(2):
        filled._upsert_entity("Royal Orchestra", "PROPER", best["id"], ANNA)
    entities = filled.entity_store.client.collection
    assert entities.name == f"{filled.vector_store.client.collection.name}-entities"
    try:
        (entity,) = entities.find()
        assert entity.metadata == ANNA | {
            "data": "Royal Orchestra",
            "entity_type": "PROPER",
            "linked_memory_ids": [best["id"]],
        }
        boosts = filled._compute_entity_boosts([("PROPER", "Royal Orchestra")], ANNA)
        assert boosts[best["id"]] == pytest.approx(0.5, abs=0.01)
        assert len(filled.get_all(filters=ANNA)["results"]) == 3
        filled.delete(best["id"])
        assert entities.count() == 0
    finally:
        entities.drop()


async def test_the_awaited_memory(config):
    memory = AsyncMemory.from_config(config)
    await memory.add("Anna plays the cello", infer=False, **ANNA)
    assert texts(await memory.search("cello", filters=ANNA)) == ["Anna plays the cello"]
    assert await memory.search(UNKNOWN, filters=ANNA) == {"results": []}
    assert texts(await memory.get_all(filters=ANNA)) == ["Anna plays the cello"]
    memory.close()


def test_options_of_attend_reach_searches(config, name):
    config["vector_store"]["config"]["client"] = store = SoftkvMemoryStore(name(), accept="any", temperature=5.0)
    with Memory.from_config(config) as memory:
        for fact in ("Anna plays the cello.", "Anna has a cat."):
            memory.add(fact, infer=False, **ANNA)
        vector = memory.embedding_model.embed("cello")
        scores = [score for _, score in store.similarity_search_with_score_by_vector(vector, score="weight")]
        expected = store.collection.attend(vector, temperature=5.0)
        assert scores == pytest.approx(list(expected.weights))


def test_an_embedding_of_ones_own(config, name):
    """mem0's embedder must be the store's. Its provider `langchain` wants the package langchain, so this one is put."""
    embedding = DeterministicFakeEmbedding(size=16)
    config["vector_store"]["config"]["client"] = SoftkvMemoryStore(name(), embedding, accept="any")
    with Memory.from_config(config) as memory:
        memory.add("one", infer=False, **ANNA)
        with pytest.raises(softkv.Invalid, match="16"):
            memory.search("one", filters=ANNA)
        memory.embedding_model.embed = lambda text, _=None: embedding.embed_query(text)
        assert texts(memory.search("one", filters=ANNA)) == ["one"]


def test_mem0_says_that_words_do_not_count(config, caplog):
    with caplog.at_level(logging.WARNING), Memory.from_config(config):
        assert "does not support keyword search" in caplog.text
