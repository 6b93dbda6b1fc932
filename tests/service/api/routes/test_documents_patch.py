"""PATCH of a document: a merge patch that encodes only what changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.service.api.routes.test_documents_long_texts import ask, write
from tests.service.api.routes.test_documents_split_texts import essay

VECTORS = {"include": ["key", "value", "metadata", "key_vector", "value_vector"]}


@pytest.fixture
def document(client, collection):
    path = f"{collection()}/documents/a"
    metadata = {"year": 1993, "shelf": "QA", "tags": ["x"]}
    client.put(path, json={"key": "cats", "value": "all about cats", "metadata": metadata})
    return path


def read(client, path):
    return client.get(path, params=VECTORS).json()


def test_metadata_merges_and_null_removes(client, document):
    before = read(client, document)
    assert client.patch(document, json={"metadata": {"year": 2000, "shelf": None, "new": [1]}}).status_code == 200
    after = read(client, document)
    assert after["metadata"] == {"year": 2000, "tags": ["x"], "new": [1]}
    assert {**after, "metadata": None} == {**before, "metadata": None}


def test_a_new_key_moves_the_key_vector_and_leaves_the_value(client, document):
    before = read(client, document)
    client.patch(document, json={"key": "dogs"})
    after = read(client, document)
    assert after["key_vector"] != before["key_vector"]
    assert (after["value"], after["value_vector"]) == (before["value"], before["value_vector"])


BLENDED = {"query": "a question", "include": ["value", "output"], "null": False, "temperature": 1}


@pytest.mark.parametrize("split", [{}, {"split": {}}])
def test_a_value_that_was_never_sent_follows_its_key(client, collection, split):
    path = collection()
    write(client, path, [{"id": "a", "key": "cats", **split}])
    client.patch(f"{path}/documents/a", json={"key": "trains and stations", **split})
    changed = ask(client, path, **BLENDED)
    write(client, path, [{"id": "a", "key": "trains and stations", **split}])
    written = ask(client, path, **BLENDED)
    assert changed["matches"] == written["matches"]
    assert changed["matches"][0]["value"] == "trains and stations"
    assert changed["output"] == written["output"]


@pytest.mark.parametrize(
    ("sent", "changes", "value"),
    [
        ({"key": "cats"}, [{"metadata": {"n": 1}}, {"key": "dogs"}, {"key": "trains"}], "trains"),
        ({"key": "cats"}, [{"key": None}], None),
        ({}, [{"key": "cats"}], "cats"),
        ({"key": "cats", "value": "cats"}, [{"metadata": {"n": 1}}, {"key": "dogs"}], "cats"),
        ({"key": "cats"}, [{"value": "cats"}, {"key": "dogs"}], "cats"),
        ({"key": "cats", "value": "fur"}, [{"value": None}, {"key": "dogs"}], "dogs"),
        ({"value": None}, [{"key": "cats"}], None),
        ({"key": 'a "quoted"\\ word'}, [{"key": "plain"}], "plain"),
        ({"key": 'a "quoted"\\ word', "value": 'a "quoted"\\ word'}, [{"key": "plain"}], 'a "quoted"\\ word'),
    ],
)
def test_only_a_value_that_was_sent_stays(client, collection, sent, changes, value):
    document = f"{collection(encoder=None)}/documents/a"
    client.put(document, json=sent)
    for change in changes:
        assert client.patch(document, json=change).status_code == 200
    assert read(client, document)["value"] == value


def test_whether_a_value_was_sent_can_be_read(client, collection):
    path = collection(encoder=None)
    write(
        client, path, [{"id": "no", "key": "cats"}, {"id": "same", "key": "cats", "value": "cats"}, {"id": "neither"}]
    )
    body = {"include": ["key", "sent_value"]}
    assert client.post(f"{path}/documents/query", json=body).json()["documents"] == [
        {"id": "neither", "key": None},
        {"id": "no", "key": "cats"},
        {"id": "same", "key": "cats", "value": "cats"},
    ]
    assert client.get(f"{path}/documents/no", params=body).json() == {"id": "no", "key": "cats"}
    assert client.get(f"{path}/documents/same", params={"include": "sent_value"}).json()["value"] == "cats"
    client.post(f"{path}/documents/update", json={"ids": ["same"], "patch": {"value": None}})
    assert "value" not in client.get(f"{path}/documents/same", params=body).json()


def test_a_vector_that_is_sent_is_kept_and_null_makes_it_anew(client, document):
    before = read(client, document)
    client.patch(document, json={"key_vector": [1.0] * 384})
    assert read(client, document)["key_vector"] == [1.0] * 384
    client.patch(document, json={"key_vector": None})
    assert read(client, document)["key_vector"] == pytest.approx(before["key_vector"], abs=1e-6)


def test_patches_at_once_are_all_kept(service, client, document):
    def patch(i):
        with service.client() as own_client:
            return own_client.patch(document, json={"metadata": {f"field{i}": i}}).status_code

    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(patch, range(6))) == {200}
    assert {f"field{i}" for i in range(6)} <= read(client, document)["metadata"].keys()


def test_a_patch_that_keeps_a_split_text_keeps_its_output(client, collection):
    path = collection()
    text, _ = essay(300)
    body = {"query": "an insect", "include": ["output"], "null": False, "temperature": 0.05}
    document = {"id": "essay", "key": text, "split": {"tokens": 64}}
    write(client, path, [document])
    blended = ask(client, path, **body)["output"]
    include = {"include": ["key", "value", "key_vector"]}
    read_back = client.get(f"{path}/documents/essay", params=include).json()
    for patch in ({"metadata": {"n": 1}}, {"value": text}, {"value": None}, {"value_vector": None}, {"key": text}):
        assert client.patch(f"{path}/documents/essay", json=patch).json() == {"upserted": 1, "truncated": []}
        assert ask(client, path, **body)["output"] == blended, patch
    assert write(client, path, [read_back]) == {"upserted": 1, "truncated": []}
    assert ask(client, path, **body)["output"] == blended

    update = {"ids": ["essay"], "patch": {"value": "of its own"}}
    assert client.post(f"{path}/documents/update", json=update).json() == {"updated": 1}
    assert ask(client, path, **body)["output"] != blended
    update = {"ids": ["essay"], "patch": {"value": text}}
    assert client.post(f"{path}/documents/update", json=update).json() == {"updated": 1}
    assert ask(client, path, **body)["output"] == blended


def test_parts_alone_are_those_of_the_stored_keys(client, collection):
    path = collection(encoder=None)
    keys, parts = [[1.0, 0.0], [0.0, 1.0]], [{"start": 0, "end": 3}, {"start": 4, "end": 7}]
    write(client, path, [{"id": "a", "key": "one two", "key_vectors": keys, "parts": parts}])

    def patched(**patch):
        answer = client.patch(f"{path}/documents/a", json=patch)
        assert answer.status_code in (200, 422), answer.text
        if answer.status_code == 422:
            return None, [error["pointer"] for error in answer.json()["errors"]]
        stored = client.get(f"{path}/documents/a", params={"include": ["key", "key_vector"]}).json()
        assert stored["key_vectors"] == keys
        return stored["key"], stored.get("parts")

    assert patched(key="three four") == (None, ["/parts"])
    assert patched(key=None) == (None, ["/parts"])
    assert patched(parts=parts[:1]) == (None, ["/parts"])
    wide = [{"start": 0, "end": 5}, {"start": 6, "end": 10}]
    assert patched(key="three four", parts=wide) == ("three four", wide)
    assert patched(metadata={"n": 1}) == ("three four", wide)
    assert patched(parts=None) == ("three four", None)
    assert patched(parts=parts) == ("three four", parts)
    assert patched(parts=[]) == ("three four", None)
    assert patched(key="five") == ("five", None)
