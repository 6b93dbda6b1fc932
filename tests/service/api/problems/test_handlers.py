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


def test_only_the_shown_flaws_of_a_hundred_thousand_are_worded(client, monkeypatch):
    put = []
    words_of = handlers.words_of
    monkeypatch.setattr(handlers, "words_of", lambda error: put.append(error) or words_of(error))
    answer = client.post("/v1/encode", json={"texts": [1] * 100_000})
    assert answer.status_code == 422
    assert answer.json()["errors"][1] == {"pointer": "/texts/1", "detail": "wanted a text, got 1"}
    assert len(answer.json()["errors"]) == len(put) == 100
    assert "(and 255 more, see errors)" in answer.json()["detail"]  # a list is looked through no further
