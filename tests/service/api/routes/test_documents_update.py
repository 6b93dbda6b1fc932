"""One patch for many documents: by id or by filter, all or none, and nothing but what it names."""

from __future__ import annotations

import threading

import pytest

EVERYTHING = ["key", "value", "metadata", "key_vector", "value_vector"]
ALL = {"operator": "AND", "conditions": []}


def numbered(count):
    return [
        {"id": f"{i:04}", "key_vector": [1, i], "value_vector": [i, 1, 2], "value": i, "metadata": {"i": i, "old": 1}}
        for i in range(count)
    ]


@pytest.fixture
def vectors(client, collection):
    """A collection without an encoder, of 2,500 documents: more than one batch."""
    return collection(numbered(2500), encoder=None)


def read(client, path, **options):
    options = {"include": EVERYTHING, "limit": 10_000, **options}
    return {
        document["id"]: document
        for document in client.post(f"{path}/documents/query", json=options).json()["documents"]
    }


def update(client, path, patch, **which):
    return client.post(f"{path}/documents/update", json={"patch": patch, **which})


def test_all_that_pass_are_changed_and_nothing_else_of_them(client, vectors):
    before = read(client, vectors)
    passing = {"field": "metadata.i", "operator": ">=", "value": 100}
    answer = update(client, vectors, {"metadata": {"old": None, "new": [1, "x"]}}, filter=passing)
    assert answer.json() == {"updated": 2400}
    changed = {
        key: stored_document | {"metadata": {"i": stored_document["value"], "new": [1, "x"]}}
        if stored_document["value"] >= 100
        else stored_document
        for key, stored_document in before.items()
    }
    assert read(client, vectors) == changed
    assert client.get(vectors).json()["documents"] == 2500
    new = {"field": "metadata.new", "operator": "contains", "value": "x"}
    body = {"query": [1, 2], "filter": new, "top_k": 1, "include": ["output"], "temperature": 0}
    assert client.post(f"{vectors}/attend", json=body).json()["documents"] == 2400
    assert client.post(f"{vectors}/attend", json={"query": [1, 2]}).json()["documents"] == 2500


def test_an_update_with_encoded_values_equals_single_patches(client, collection):
    patches = [{"value": "relational databases"}, {"value": {"a": 1}}, {"value": "cats", "metadata": {"x": 1}}, {}]
    sent = [{"id": "a", "key": "cats", "value": "purr"}, {"id": "b", "key": "dogs", "value_vector": [1.0] * 384}]
    one, many = collection(), collection()
    for path in (one, many):
        client.post(f"{path}/documents", json={"documents": sent})
    for patch in patches:
        assert update(client, one, patch, filter=ALL).json() == {"updated": 2}
        for name in ("a", "b"):
            client.patch(f"{many}/documents/{name}", json=patch)
        ours, theirs = read(client, one), read(client, many)
        for name in ("a", "b"):
            for vector in ("key_vector", "value_vector"):
                assert ours[name].pop(vector) == pytest.approx(theirs[name].pop(vector), abs=1e-6)
        assert ours == theirs


def test_one_unstorable_document_leaves_all_unchanged(client, collection):
    """A value that is not a text gets the key vector as its value vector, which is too narrow here."""
    path = collection(value_dimension=3)
    vector = [0.0, 1.0, 0.0]
    for i in range(3):
        document = {"key": f"cats {i}", "value": {"i": i}, "value_vector": vector}
        assert client.put(f"{path}/documents/{i}", json=document).status_code == 201
    before = read(client, path)
    assert update(client, path, {"value": {"i": 0}}, filter=ALL).status_code == 422
    assert read(client, path) == before
    assert client.post(f"{path}/attend", json={"query": "cats"}).json()["documents"] == 3


def test_concurrent_updates_and_patches_are_all_stored_and_none_is_seen_half_done(service, client, collection):
    documents = [{"id": str(i), "key_vector": [1, i], "metadata": {"round": 0}} for i in range(30)]
    path = collection(documents, encoder=None)
    statuses: set[int] = set()

    def change(i):
        with service.client() as own_client:
            for round_ in range(5):
                statuses.add(
                    update(own_client, path, {"metadata": {f"by{i}": round_, "round": i}}, filter=ALL).status_code
                )
                patch = {"metadata": {f"patched{i}": round_}}
                statuses.add(own_client.patch(f"{path}/documents/3", json=patch).status_code)

    threads = [threading.Thread(target=change, args=(i,)) for i in range(1, 4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert len({updated["metadata"]["round"] for updated in read(client, path).values()}) == 1
    for thread in threads:
        thread.join()
    assert statuses == {200}
    after = read(client, path)
    for stored_document in after.values():
        assert {name: stored_document["metadata"][name] for name in ("by1", "by2", "by3")} == {
            "by1": 4,
            "by2": 4,
            "by3": 4,
        }
    assert {f"patched{i}": 4 for i in range(1, 4)}.items() <= after["3"]["metadata"].items()
