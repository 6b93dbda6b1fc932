"""HEAD wherever GET is, and a list of the methods where another one comes."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/v1/collections", "/docs", "/openapi.json"])
def test_head_is_get_without_its_body(client, path):
    head, get = client.head(path), client.get(path)
    assert head.status_code == get.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/livez", "GET, HEAD"),
        ("PUT", "/docs", "GET, HEAD"),
        ("OPTIONS", "/v1/collections/a", "GET, HEAD, PUT, PATCH, DELETE"),
        ("POST", "/v1/collections/a/documents/b/c", "GET, HEAD, PUT, PATCH, DELETE"),
        ("GET", "/v1/collections/a/documents", "POST"),
        ("DELETE", "/v1/collections", "GET, HEAD"),
    ],
)
def test_another_method_is_a_405_that_names_those_there_are(client, method, path, allowed):
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert answer.json()["detail"] == f"{path} takes {allowed}, not {method}"
