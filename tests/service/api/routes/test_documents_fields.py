"""Facts on metadata over HTTP."""

from __future__ import annotations

import pytest


@pytest.fixture
def path(client, collection):
    metadata = [
        {"mark": 1, "topics": ["cats", "pets"], "year": 1993},
        {"mark": 1.0, "topics": ["cats"], "year": 2004, "loc.page": 3},
        {"mark": "1", "topics": "cats"},
        {"mark": True, "year": None},
        {},
    ]
    documents = [{"id": str(i), "key_vector": [1, i], "metadata": value} for i, value in enumerate(metadata)]
    return collection(documents, encoder=None)


def facts(client, path, **parameters):
    answer = client.post(f"{path}/documents/fields", json=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_all_fields_are_listed_in_the_order_of_their_names(client, path):
    answer = facts(client, path)
    assert list(answer["fields"]) == ["metadata.loc.page", "metadata.mark", "metadata.topics", "metadata.year"]
    assert answer["next_cursor"] is None
    assert answer["fields"]["metadata.year"] == {
        "types": ["integer"],
        "count": 2,
        "distinct": 2,
        "min": 1993,
        "max": 2004,
        "values": None,
        "next_cursor": None,
    }


def test_four_similar_values_are_distinguished(client, path):
    answer = client.post(f"{path}/documents/fields", json={"fields": ["metadata.mark"], "values": True})
    assert answer.text.count('"value":') == 4
    for written in ("1", "1.0", '"1"', "true"):
        assert f'{{"value":{written},"count":1}}' in answer.text
    mark = answer.json()["fields"]["metadata.mark"]
    assert mark["types"] == ["integer", "number", "text", "boolean"]
    assert (mark["min"], mark["max"]) == (1, 1)


def test_a_filter_narrows_the_documents(client, path):
    late = {"field": "metadata.year", "operator": ">", "value": 2000}
    answer = facts(client, path, filter=late, values=True)
    assert list(answer["fields"]) == ["metadata.loc.page", "metadata.mark", "metadata.topics", "metadata.year"]
    assert answer["fields"]["metadata.year"]["values"] == [{"value": 2004, "count": 1}]
    nobody = facts(client, path, filter={"field": "id", "operator": "==", "value": "none"})
    assert nobody == {"fields": {}, "next_cursor": None}
    named = facts(client, path, filter=late, fields=["metadata.none", "metadata.year"])["fields"]
    assert list(named) == ["metadata.none", "metadata.year"]
    assert named["metadata.none"] == {
        "types": [], "count": 0, "distinct": 0, "min": None, "max": None, "values": None, "next_cursor": None,
    }  # fmt: skip


def test_cursors_lead_through_the_values_of_each_field(client, path):
    parameters = {"values": True, "limit": 1}
    for name, first in facts(client, path, **parameters)["fields"].items():
        seen, cursor = first["values"], first["next_cursor"]
        while cursor is not None:
            fields = facts(client, path, **parameters, cursor=cursor)["fields"]
            assert list(fields) == [name]
            seen, cursor = seen + fields[name]["values"], fields[name]["next_cursor"]
        assert seen == facts(client, path, fields=[name], values=True)["fields"][name]["values"]


def test_cursors_lead_through_many_fields(client, collection):
    path = collection(encoder=None)
    names = [f"f{i:03}" for i in range(250)]
    client.put(f"{path}/documents/a", json={"key_vector": [1, 0], "metadata": dict.fromkeys(names, 1)})
    seen, cursor, pages = [], None, 0
    while not pages or cursor is not None:
        answer = facts(client, path, cursor=cursor)
        seen, cursor, pages = seen + list(answer["fields"]), answer["next_cursor"], pages + 1
    assert seen == [f"metadata.{name}" for name in names]
    assert pages == 3


@pytest.mark.parametrize("value", [2**63, 2**64 - 1, 1e30, -1e300, -0.0, 9007199254740993, "é猫", "\x01"])
def test_any_value_comes_back_and_can_be_gone_on_from(client, collection, value):
    path = collection([{"id": "a", "key_vector": [1, 0], "metadata": {"x": [value, "😺"]}}], encoder=None)
    first = facts(client, path, values=True, limit=1)["fields"]["metadata.x"]
    assert first["values"] == [{"value": value, "count": 1}]
    assert first["min"] == value
    then = facts(client, path, values=True, cursor=first["next_cursor"])["fields"]["metadata.x"]
    assert then["values"] == [{"value": "😺", "count": 1}]
    assert then["next_cursor"] is None
