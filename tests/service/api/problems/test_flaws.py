"""What is wrong with a request's content is said in words: what was wanted, and what came."""

from __future__ import annotations

import pytest

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ("[]", "", "wanted an object, got a list"),
        ('"\\ud800"', "", 'wanted an object, got "?"'),
        ("{}", "/query", "this field is needed"),
        ('{"query": 5}', "/query", 'wanted a list of numbers or {"base64": "…"}, got a number'),
        ('{"query": "x", "temperatures": 1}', "/temperatures", "wanted a list, got 1"),
        ('{"query": "x", "temperatures": []}', "/temperatures", "wanted at least 1, got 0"),
        ('{"query": "x", "temperatures": [1e-40]}', "/temperatures/0", "wanted 0, or a number from 1e-30 on"),
        ('{"top_k": 1.5}', "/top_k", "wanted a whole number, got 1.5"),
        ('{"top_k": -1}', "/top_k", "wanted a number from 0 on, got -1"),
        ('{"top_k": [[[]]]}', "/top_k", "wanted a whole number, got a list"),
        ('{"include": ["output"]}', "/include/0", "'value_vector', got \"output\""),
        ('{"a/b~": 1}', "/a~1b~0", "there is no such field here: leave it out"),
    ],
)
def test_a_flaw_says_where_it_is_what_was_wanted_and_what_came(client, body, pointer, detail):
    answer = client.post("/v1/collections/any/sweep", content=body.encode(), headers=JSON)
    assert answer.status_code == 422
    assert detail in {flaw["pointer"]: flaw["detail"] for flaw in answer.json()["errors"]}[pointer]


def test_null_leaves_a_setting_as_it_is(client, collection):
    path = collection(encoder=None)
    before = client.get(path).json()
    nothing = {"temperature": None, "null": None}
    assert client.patch(path, json=nothing).json() == before
    assert client.put(path, json=nothing | {"dimension": None, "value_dimension": None}).status_code == 200
