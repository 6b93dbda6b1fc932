"""Documents that new ones supersede: written and deleted in one transaction."""

from __future__ import annotations

from typing import Any

import httpx
import pytest


@pytest.fixture
def path(client: httpx.Client, collection: Any) -> str:
    made: str = collection(encoder=None)
    write(client, made, "a", "b", "c")
    return made


def write(client: httpx.Client, path: str, *names: str, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    documents = [{"id": name, "key_vector": [1, len(name)]} for name in names]
    return client.post(f"{path}/documents", json={"documents": documents} | fields, headers=headers)


def ids(client: httpx.Client, path: str) -> tuple[list[str], set[str]]:
    """The ids that are listed, and those that a question finds."""
    listed = client.post(f"{path}/documents/query", json={}).json()["documents"]
    found = client.post(f"{path}/attend", json={"query": [1, 1], "include": []}).json()["matches"]
    return [document["id"] for document in listed], {match["id"] for match in found}


def test_the_new_ones_are_there_and_the_old_ones_are_not(client, path):
    answer = write(client, path, "new", delete=["a", "c", "nobody"])
    assert answer.json() == {"upserted": 1, "deleted": 2, "truncated": []}
    assert ids(client, path) == (["b", "new"], {"b", "new"})
    assert client.get(path).json()["documents"] == 2
    assert "deleted" not in write(client, path, "d").json()


def test_a_refused_write_deletes_nothing(client, path):
    exists = write(client, path, "b", mode="create", delete=["a"])
    assert (exists.status_code, exists.json()["code"]) == (409, "documents_exist")
    both = write(client, path, "new", "b", delete=["a", "b"])
    assert (both.status_code, both.json()["errors"][0]["pointer"]) == (422, "/delete/1")
    wrong = client.post(f"{path}/documents", json={"documents": [{"id": "d", "key_vector": [1]}], "delete": ["a"]})
    assert wrong.status_code == 422
    assert ids(client, path) == (["a", "b", "c"], {"a", "b", "c"})


def test_a_skipped_document_still_supersedes_others(client, path):
    answer = write(client, path, "b", mode="skip", delete=["a"])
    assert answer.json() == {"upserted": 0, "skipped": ["b"], "deleted": 1, "truncated": []}
    assert ids(client, path) == (["b", "c"], {"b", "c"})
