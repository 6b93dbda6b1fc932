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


def test_cursors_lead_through_the_values_of_each_field(client, path):
    parameters = {"values": True, "limit": 1}
    for name, first in facts(client, path, **parameters)["fields"].items():
        seen, cursor = first["values"], first["next_cursor"]
        while cursor is not None:
            fields = facts(client, path, **parameters, cursor=cursor)["fields"]
            assert list(fields) == [name]
            seen, cursor = seen + fields[name]["values"], fields[name]["next_cursor"]
        assert seen == facts(client, path, fields=[name], values=True)["fields"][name]["values"]


@pytest.mark.parametrize("value", [2**64 - 1, -1e300, -0.0, 9007199254740993, "é猫\x01"])
def test_any_value_comes_back_and_can_be_gone_on_from(client, collection, value):
    path = collection([{"id": "a", "key_vector": [1, 0], "metadata": {"x": [value, "😺"]}}], encoder=None)
    first = facts(client, path, values=True, limit=1)["fields"]["metadata.x"]
    assert (first["values"], first["min"]) == ([{"value": value, "count": 1}], value)
    then = facts(client, path, values=True, cursor=first["next_cursor"])["fields"]["metadata.x"]
    assert (then["values"], then["next_cursor"]) == ([{"value": "😺", "count": 1}], None)
