"""Documents over HTTP: written, read, listed, deleted."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from softkv_service.retrieval.collections.collection import Collection

CATS = {"id": "cats", "key": "cats and how they live", "value": "The Cat Book", "metadata": {"year": 1999}}


def test_a_document_comes_back_as_it_was_sent(client, collection):
    path = collection()
    document = {"key": "clé 猫 😺", "value": {"deep": [1, None, True, "ü", 1.5, 2**63]}, "metadata": {"tags": ["a", 1]}}
    assert client.put(f"{path}/documents/a", json=document).status_code == 201
    assert client.put(f"{path}/documents/a", json=document).status_code == 200
    assert client.get(f"{path}/documents/a").json() == {"id": "a", **document}
    with_vector = client.get(f"{path}/documents/a", params={"include": "key_vector"}).json()
    assert list(with_vector) == ["id", "key_vector"]
    assert len(with_vector["key_vector"]) == 384


IDS = ["a/b", "a//b", "/", "query", "a?b#c", "ü猫", " ", "%2F", "%0A", "\u2028", "\ufffd", "😺", "..a", "x" * 256]


@pytest.mark.parametrize("identifier", IDS)
def test_any_id_works_in_a_path(client, collection, identifier):
    path = f"{collection()}/documents/{quote(identifier, safe='')}"
    assert client.put(path, json={"key": "k"}).status_code == 201
    assert client.get(path).json()["id"] == identifier
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404


def test_bulk_writes_all_or_nothing(client, collection):
    path = collection()
    answer = client.post(f"{path}/documents", json={"documents": [CATS, {"id": "dogs", "key": "dogs"}]})
    assert answer.json() == {"upserted": 2, "truncated": []}
    refused = client.post(f"{path}/documents", json={"documents": [{"id": "new", "key": "x"}, CATS], "mode": "create"})
    assert refused.status_code == 409
    assert "cats" in refused.json()["detail"]
    assert client.get(path).json()["documents"] == 2


def test_each_write_counts_as_an_upload_in_progress(service, client, collection, monkeypatch):
    path, uploads, in_progress = collection(), service.app.state.parts.catalogue.encoders.uploads, []
    real = Collection.write

    def write(self, *arguments, **named):
        in_progress.append(uploads.running)
        return real(self, *arguments, **named)

    monkeypatch.setattr(Collection, "write", write)
    client.post(f"{path}/documents", json={"documents": [CATS]}).raise_for_status()
    client.put(f"{path}/documents/a", json={"key": "a"}).raise_for_status()
    client.patch(f"{path}/documents/a", json={"value": "b"}).raise_for_status()
    assert in_progress == [1, 1, 1]
    assert uploads.running == 0


def test_the_first_write_that_commits_sets_the_width(client, collection):
    path = collection(encoder=None)
    assert client.put(f"{path}/documents/a", json={"key_vectors": []}).json()["errors"][0]["pointer"] == "/key_vectors"
    assert client.get(path).json()["dimension"] is None
    assert client.put(f"{path}/documents/a", json={"key_vector": [1, 2, 3]}).status_code == 201
    assert client.get(path).json()["dimension"] == 3
    refused = client.put(f"{path}/documents/b", json={"key_vector": [1, 2]})
    assert refused.status_code == 422
    assert "width 2" in refused.json()["detail"]
    assert "width 3" in refused.json()["detail"]


def test_base64_vectors_are_little_endian_float32(client, collection):
    path = collection(encoder=None)
    assert client.put(f"{path}/documents/a", json={"key_vector": {"base64": "AACAPwAAAMA="}}).status_code == 201
    expected = {"include": "key_vector"}
    assert client.get(f"{path}/documents/a", params=expected).json()["key_vector"] == [1.0, -2.0]
    coded = client.get(f"{path}/documents/a", params={**expected, "vector_format": "base64"}).json()
    assert coded["key_vector"] == {"base64": "AACAPwAAAMA="}
