"""Refusals: each with its status and a message that helps."""

from __future__ import annotations

import pytest

from softkv_service.api.problems import handlers

JSON = {"content-type": "application/json"}


def test_a_number_beyond_float64_is_a_422(client, collection):
    path = collection(encoder=None)
    answer = client.put(f"{path}/documents/a", content=b'{"key_vector": [1e400]}', headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/key_vector"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/livez", "GET, HEAD"), ("POST", "/v1/collections/a/documents/b/c", "GET, HEAD, PUT, PATCH, DELETE")],
)
def test_another_method_is_a_405_that_names_those_there_are(client, method, path, allowed):
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert (answer.headers["allow"], answer.headers["content-type"]) == (allowed, "application/problem+json")
    assert answer.json()["detail"] == f"{path} takes {allowed}, not {method}"


@pytest.mark.parametrize("path", ["/api/embed", "/assets/none.js", "/docs/none", "/explore/"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_path_without_a_route_has_no_method(client, method, path):
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        f"there is nothing at {path}: /docs/api lists every call",
    )


@pytest.mark.parametrize("path", ["/", "/explore", "/docs/api"])
def test_a_page_is_only_read(client, path):
    answer = client.post(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_call_of_other_services_names_the_one_that_is_meant(client):
    created = client.post("/v1/collections", json={"name": "a"})
    assert created.status_code == 405
    assert "PUT /v1/collections/{name}" in created.json()["detail"]
    listed = client.get("/v1/collections/a/documents")
    assert listed.status_code == 405
    assert "/documents/query" in listed.json()["detail"]
    slashed = client.get("/v1/collections/")
    assert (slashed.status_code, slashed.json()["detail"]) == (
        404,
        "there is nothing at /v1/collections/: write /v1/collections",
    )


def test_only_the_shown_flaws_of_a_hundred_thousand_are_worded(client, monkeypatch):
    put = []
    words_of = handlers.words_of
    monkeypatch.setattr(handlers, "words_of", lambda error: put.append(error) or words_of(error))
    answer = client.post("/v1/encode", json={"texts": [1] * 100_000})
    assert answer.status_code == 422
    assert answer.json()["errors"][1] == {"pointer": "/texts/1", "detail": "wanted a text, got 1"}
    assert len(answer.json()["errors"]) == len(put) == 100
    assert "(and 255 more, see errors)" in answer.json()["detail"]  # a list is looked through no further
