"""Documents in Python's own words, in each of the three ways; test_client_fixtures.py has all their calls."""

from __future__ import annotations

import numpy as np
import pytest

import softkv
from softkv import F
from softkv.filters import Combination


def test_a_document_comes_back_as_it_was_written(made):
    collection = made(encoder=None)
    vector = np.array([0.1, -2.5], dtype=np.float32)
    name = "a/b c?#%é"
    assert (
        collection.put(name, "key", {"any": ["JSON"]}, {"n": 1}, key_vector=vector, value_vector=[1, 2]).upserted == 1
    )
    result = collection.get(name, include=["key", "value", "metadata", "key_vector", "value_vector"])
    assert (result.id, result.key, result.value, result.metadata) == (name, "key", {"any": ["JSON"]}, {"n": 1})
    assert result.key_vector.tobytes() == vector.tobytes()
    assert result.value_vector.tolist() == [1.0, 2.0]
    assert collection.get(name) == softkv.Document(name, "key", {"any": ["JSON"]}, {"n": 1})
    assert collection.get(name, include=["value"]).key is None
    assert collection.get(name, include=[]).fields == {}
    collection.patch(name, key_vector=[3, 0])
    assert collection.get(name, include=["key_vector"]).key_vector.tolist() == [3.0, 0.0]


def test_left_out_and_none_are_two_things(made):
    collection = made(encoder=None)
    collection.put("left out", "the key")
    collection.put("none", "the key", None)
    assert collection.get("left out").value == "the key"
    assert collection.get("none").value is None


def test_several_keys_come_back_as_several(made):
    collection = made(encoder=None, similarity="dot")
    parts = [{"start": 0, "end": 4}, {"start": 5, "end": 9}]
    collection.put("two", "cats dogs", key_vectors=np.eye(2), parts=parts)
    result = collection.get("two", include=["key_vector"])
    assert [key_vector.tolist() for key_vector in result.key_vectors] == [[1.0, 0.0], [0.0, 1.0]]
    assert result.parts == parts


def test_a_missing_document_is_an_error_with_the_id_of_its_request_or_does_not_exist(shelf):
    with pytest.raises(softkv.NotFound) as missing:
        shelf.get("nobody")
    assert missing.value.status == 404
    assert missing.value.request_id
    assert (shelf.exists("codd"), shelf.exists("nobody")) == (True, False)


def test_finding_goes_over_all_pages(shelf):
    assert [document.id for document in shelf.find(page=1)] == ["codd", "hopper", "noether"]
    assert [[item.id for item in page] for page in shelf.find(page=2).pages()] == [["codd", "hopper"], ["noether"]]
    first = shelf.find(page=2).page()
    assert ([item.id for item in first.items], first.next_cursor is None) == (["codd", "hopper"], False)
    last = shelf.find(page=2).page(first.next_cursor)
    assert ([item.id for item in last.items], last.next_cursor) == (["noether"], None)
    result = shelf.find(where=F.topics.contains("data"), include=["key"])
    assert [document.id for document in result] == ["codd", "hopper"]
    assert result.count() == shelf.count(where=F.topics.contains("data")) == 2
    assert result.first().id == "codd"
    assert shelf.find(where=F.id == "nobody").first() is None
    assert [document.id for document in shelf.find(ids=["hopper", "nobody"])] == ["hopper"]
    assert (shelf.count(), shelf.get_many([])) == (3, [])
    assert [item.value for item in shelf.values(F.topics)] == ["data", "code"]
    assert shelf.values("metadata.topics").count() == 2


@pytest.mark.parametrize("call", ["delete", "update"])
def test_ids_or_a_filter_and_not_both(shelf, call):
    for which in ({}, {"ids": ["a"], "where": F.id == "a"}):
        with pytest.raises(softkv.Invalid, match="send exactly one of ids and filter"):
            getattr(shelf, call)(**which)


def test_an_empty_filter_deletes_nothing(shelf):
    empty = Combination("AND", ())
    for where in ({}, empty, empty | (F.id == "a"), F.id.not_in([])):
        with pytest.raises(softkv.Invalid):
            shelf.delete(where=where)
    assert shelf.count() == 3
    assert shelf.delete(where=F.id != "") == 3
