"""The page of mem0: what its example prints, that it has every argument, and what it says of `SoftkvVectorStore`."""

from __future__ import annotations

import inspect
import os
import re

import pytest
from mem0 import Memory

import softkv
from langchain_softkv import InvalidInput, SoftkvVectorStore
from softkv_mem0 import SoftkvMemoryStore
from tests.examples import Page, run_python

PAGE = Page("clients/mem0/docs/guide/mem0.md")
ANNA = {"user_id": "anna"}


@pytest.mark.end_to_end
def test_examples_in_python_print_their_comments(client):
    assert run_python(Page("clients/mem0/docs/guide/mem0.md"), os.environ["SOFTKV_URL"]) == 1
    assert client.collections("mem0-").count() == 0


def test_the_example_of_the_readme_needs_no_key(client):
    assert run_python(Page("clients/mem0/README.md"), os.environ["SOFTKV_URL"]) == 1
    client.collection("memories").drop()


def test_every_argument_stands_there():
    assert set(inspect.signature(SoftkvMemoryStore).parameters) - set(re.findall(r"\w+", PAGE.text)) == set()


def test_a_langchain_store_lacks_filters_and_abstention(config, name, client):
    config["vector_store"]["config"]["client"] = SoftkvVectorStore(name(), client=client)
    with Memory.from_config(config) as memory:
        with pytest.raises(softkv.NotFound):
            memory.search("Anna", filters=ANNA)
        added = memory.add("Anna plays the cello", metadata={"year": 2020}, infer=False, **ANNA)
        (item,) = added["results"]
        assert memory.search("depreciation of steel furnaces", filters=ANNA, threshold=0)["results"]
        with pytest.raises(InvalidInput):
            memory.search("Anna", filters=ANNA | {"year": {"gte": 2000}})
        with pytest.raises(TypeError):
            memory.get_all(filters=ANNA)
        memory.update(item["id"], text="Anna plays the viola")
        assert memory.get(item["id"])["memory"] == "Anna plays the viola"
        assert memory.entity_store.client.collection.name == memory.vector_store.client.collection.name
