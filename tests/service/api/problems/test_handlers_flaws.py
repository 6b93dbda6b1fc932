"""Flaws of a request's content are sentences: the expected value, and the value that came."""

from __future__ import annotations

import pytest

DOCUMENTS = "/v1/collections/any/documents"
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        ("[]", "", "wanted an object, got a list"),
        ('"\\ud800"', "", 'wanted an object, got "?"'),
        ("{}", "/query", "this field is needed"),
        ('{"query": 5}', "/query", 'wanted a list of numbers or {"base64": "…"}, got a number'),
        ('{"query": "x", "temperatures": []}', "/temperatures", "wanted at least 1, got 0"),
        ('{"query": "x", "temperatures": [1e-40]}', "/temperatures/0", "wanted 0, or a number from 1e-30 on"),
        ('{"top_k": 1.5}', "/top_k", "wanted a whole number, got 1.5"),
        ('{"top_k": -1}', "/top_k", "wanted a number from 0 on, got -1"),
        ('{"include": ["output"]}', "/include/0", "'value_vector', got \"output\""),
        ('{"a/b~": 1}', "/a~1b~0", "there is no such field here: leave it out"),
    ],
)
def test_a_flaw_has_a_pointer_the_expected_and_the_received_value(client, body, pointer, detail):
    answer = client.post("/v1/collections/any/sweep", content=body.encode(), headers=JSON)
    assert answer.status_code == 422
    assert detail in {flaw["pointer"]: flaw["detail"] for flaw in answer.json()["errors"]}[pointer]


@pytest.mark.parametrize(
    ("method", "path", "body", "pointer"),
    [
        ("PUT", "/documents/a", '{"topic": 1}', "/topic"),
        ("PATCH", "/documents/a", '{"text": "x"}', "/text"),
        ("POST", "/documents", '{"documents": [{"id": "a", "page_content": "x"}]}', "/documents/0/page_content"),
    ],
)
def test_a_field_that_no_document_has_belongs_into_its_metadata(client, method, path, body, pointer):
    answer = client.request(method, f"/v1/collections/any{path}", content=body.encode(), headers=JSON)
    (flaw,) = answer.json()["errors"]
    assert (answer.status_code, flaw["pointer"]) == (422, pointer)
    assert flaw["detail"].endswith("the text that is searched is `key`, and a vector `key_vector`")


@pytest.mark.parametrize(
    ("path", "body", "pointer", "meant"),
    [
        ("/v1/collections/any/attend", {"question": "x"}, "/question", "query"),
        ("/v1/collections/any/attend", {"query": "x", "k": 3}, "/k", "top_k"),
        ("/v1/collections/any/attend", {"query": "x", "where": {}}, "/where", "filter"),
        (DOCUMENTS, {"documents": [{"id": "a", "vector": [1]}]}, "/documents/0/vector", "key_vector"),
    ],
)
def test_an_unknown_field_names_the_one_that_is_meant(client, path, body, pointer, meant):
    flaws = {flaw["pointer"]: flaw["detail"] for flaw in client.post(path, json=body).json()["errors"]}
    assert flaws[pointer] == f"there is no such field here: `{meant}` may be the one that you mean"


def test_the_refusal_of_a_long_name_is_short(client):
    answer = client.post("/v1/collections/any/attend", json={"query": "x", "filter" * 20_000: 1})
    (flaw,) = answer.json()["errors"]
    assert flaw["pointer"] == "/" + ("filter" * 43)[:256] + "…"
    assert len(answer.content) < 2000


def test_the_refusal_of_lines_of_a_wrong_type_names_the_right_one(client):
    lines = b'{"id": "a"}\n{"id": "b"}\n'
    path = DOCUMENTS
    form = client.post(path, content=lines, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (form.status_code, form.json()["detail"]) == (
        415,
        "this call takes application/json, the body came as application/x-www-form-urlencoded: set the header "
        "Content-Type: application/json (application/x-ndjson for documents, one a line)",
    )
    assert "ndjson" not in client.post(f"{path}/query", content=lines).json()["detail"]
    as_json = client.post(path, content=lines, headers=JSON)
    assert as_json.status_code == 400
    assert as_json.json()["detail"].endswith(": documents, one a line, are sent as application/x-ndjson")
    assert "ndjson" not in client.post(path, content=b'{"id": "a"}}', headers=JSON).json()["detail"]


def test_null_leaves_a_setting_as_it_is(client, collection):
    path = collection(encoder=None)
    before = client.get(path).json() | {"costs": None}  # an answer to a change does not measure them
    nothing = {"temperature": None, "null": None}
    assert client.patch(path, json=nothing).json() == before
    assert client.put(path, json=nothing | {"dimension": None, "value_dimension": None}).status_code == 200
