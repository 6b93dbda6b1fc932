"""Callers are distinguished by their keys, and no key is stored."""

from __future__ import annotations

import pytest

from tests.service.api.repeats import Write, new, same


@pytest.fixture(scope="module")
def keyed(service_of):
    """A service that callers with two keys may write to, and callers without a key."""
    keys = ("unmistakable-one", "unmistakable-two")
    return service_of(api_keys=keys, read_keys=("reader",), allow_anonymous="write")


def test_each_caller_has_keys_of_its_own(keyed):
    path, key = "/v1/collections/c", new()
    callers = [{}, {"x-api-key": "unmistakable-one"}, {"x-api-key": "unmistakable-two"}]
    send = Write("PUT", "/documents/a", {"key_vector": [3, 4]}).send
    with keyed.client() as anyone:
        anyone.put(path, json={})
    for turn, headers in enumerate(callers):
        with keyed.client(headers=headers) as client:
            first = send(client, path, key)
            assert first.status_code == (200 if turn else 201)
            same(send(client, path, key), first)
    with keyed.client(headers={"authorization": "Bearer unmistakable-one"}) as client:
        assert send(client, path, key).headers["idempotency-replayed"] == "true"
    with keyed.client(headers={"x-api-key": "reader"}) as client:
        assert send(client, path, key).status_code == 403


def test_no_key_of_a_caller_is_on_disk(keyed):
    with keyed.client(headers={"x-api-key": "unmistakable-one"}) as client:
        assert client.put("/v1/collections/d", json={}, headers={"idempotency-key": "findable"}).status_code == 201
    files = [path.read_bytes() for path in keyed.settings.data_dir.rglob("*") if path.is_file()]
    assert any(b"findable" in content for content in files)
    assert not any(b"unmistakable" in content for content in files)
