"""HEAD wherever GET is."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/v1/collections", "/docs/", "/docs/api", "/openapi.json"])
def test_head_is_get_without_its_body(client, path):
    head, get = client.head(path), client.get(path)
    assert head.status_code == get.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == get.headers["content-type"]
