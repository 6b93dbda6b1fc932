"""Documents over HTTP: written, read, listed, deleted."""

from __future__ import annotations

from urllib.parse import quote

import pytest

CATS = {"id": "cats", "key": "cats and how they live", "value": "The Cat Book", "metadata": {"year": 1999}}


def test_a_document_comes_back_as_it_was_sent(client, collection):
    path = collection()
    document = {
        "key": "clé 猫 😺",
        "value": {"deep": [1, None, True, "ü", 1.5, 2**63]},
        "metadata": {"tags": ["a", 1]},
    }
    assert client.put(f"{path}/documents/a", json=document).status_code == 201
    assert client.put(f"{path}/documents/a", json=document).status_code == 200
    assert client.get(f"{path}/documents/a").json() == {"id": "a", **document}
    with_vector = client.get(f"{path}/documents/a", params={"include": "key_vector"}).json()
    assert list(with_vector) == ["id", "key_vector"]
    assert len(with_vector["key_vector"]) == 384


def test_nested_metadata_comes_back_as_it_was_sent_and_is_found_by_its_paths(client, collection):
    path = collection()
    nested = {"loc": {"lines": {"from": {"a": {"b": {"c": [1, {"d": None}]}}}}, "page": 3}, "loc.page": 4}
    other = {"loc": {"page": 3}}
    documents = [{"id": "a", "key": "k", "metadata": nested}, {"id": "b", "key": "k", "metadata": other}]
    assert client.post(f"{path}/documents", json={"documents": documents}).status_code == 200
    assert client.get(f"{path}/documents/a").json()["metadata"] == nested

    def found(field, operator, value):
        condition = {"field": field, "operator": operator, "value": value}
        page = client.post(f"{path}/documents/query", json={"filter": condition, "include": []}).json()
        matches = client.post(f"{path}/attend", json={"query": "k", "filter": condition}).json()["matches"]
        assert sorted(match["id"] for match in matches) == [document["id"] for document in page["documents"]]
        return [document["id"] for document in page["documents"]]

    assert found("metadata.loc.page", "==", 3) == ["b"]
    assert found("metadata.loc.page", "==", 4) == ["a"]
    assert found("metadata.loc.lines.from.a.b.c", "contains", 1) == ["a"]
    assert found("metadata.loc", "!=", None) == ["a", "b"]


IDS = ["a/b", "a//b", "/", "query", "a?b#c", "ü猫", " ", "%2F", "%0A", "\u2028", "\ufffd", "😺", "..a", "x" * 256]


@pytest.mark.parametrize("identifier", IDS)
def test_any_id_works_in_a_path(client, collection, identifier):
    path = f"{collection()}/documents/{quote(identifier, safe='')}"
    assert client.put(path, json={"key": "k"}).status_code == 201
    assert client.get(path).json()["id"] == identifier
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404


def test_a_missing_value_is_the_key_text_and_null_is_null(client, collection):
    path = collection([{"id": "a", "key": "k"}, {"id": "b", "key": "k", "value": None}])
    assert client.get(f"{path}/documents/a").json()["value"] == "k"
    assert client.get(f"{path}/documents/b").json()["value"] is None


@pytest.mark.parametrize("value_from", ["value", "key"])
def test_value_from_says_which_text_the_value_vector_is_made_of(client, collection, value_from):
    path = collection([{"id": "a", "key": "cats", "value": "relational databases"}], value_from=value_from)
    stored = client.get(f"{path}/documents/a", params={"include": ["key_vector", "value_vector"]}).json()
    assert (stored["key_vector"] == stored["value_vector"]) == (value_from == "key")


def test_bulk_writes_all_or_nothing(client, collection):
    path = collection()
    answer = client.post(f"{path}/documents", json={"documents": [CATS, {"id": "dogs", "key": "dogs"}]})
    assert answer.json() == {"upserted": 2, "truncated": []}
    refused = client.post(f"{path}/documents", json={"documents": [{"id": "new", "key": "x"}, CATS], "mode": "create"})
    assert refused.status_code == 409
    assert "cats" in refused.json()["detail"]
    assert client.get(path).json()["documents"] == 2


def test_mode_skip_leaves_existing_documents_and_names_them(client, collection):
    path = collection([{"id": "cats", "key": "cats"}])
    before = client.get(f"{path}/documents/cats", params={"include": ["key", "value", "metadata", "key_vector"]}).json()
    batch = [{"id": "long", "key": "cat " * 400}, CATS | {"key": "cat " * 400}, {"id": "dogs", "key": "dogs"}]
    answer = client.post(f"{path}/documents", json={"documents": batch, "mode": "skip"})
    assert answer.json() == {"upserted": 2, "skipped": ["cats"], "truncated": ["long"]}
    again = client.post(f"{path}/documents", json={"documents": batch, "mode": "skip"})
    assert again.json() == {"upserted": 0, "skipped": ["long", "cats", "dogs"], "truncated": []}
    assert client.get(f"{path}/documents/cats", params={"include": list(before)[1:]}).json() == before
    assert client.get(path).json()["documents"] == 3
    flawed = [CATS, {"id": "new", "key": "new"}, {"id": "dogs", "key_vectors": []}, {"id": "new", "key": "twice"}]
    for documents in (flawed[:3], [*flawed[:2], flawed[3]]):
        assert client.post(f"{path}/documents", json={"documents": documents, "mode": "skip"}).status_code == 422
    assert client.get(path).json()["documents"] == 3


def test_a_long_text_is_reported_as_truncated(client, collection):
    answer = client.post(f"{collection()}/documents", json={"documents": [CATS, {"id": "long", "key": "cat " * 400}]})
    assert answer.json() == {"upserted": 2, "truncated": ["long"]}


def test_pages_are_in_id_order_and_meet_without_gap_or_overlap(client, collection):
    ids = [f"{i:03}" for i in range(25)]
    documents = [{"id": i, "key_vector": [1, int(i)], "metadata": {"even": int(i) % 2 == 0}} for i in ids]
    path = collection(documents, encoder=None)
    seen, cursor = [], None
    while True:
        page = client.post(f"{path}/documents/query", json={"limit": 10, "cursor": cursor, "count": True}).json()
        assert page["count"] == 25
        seen += [document["id"] for document in page["documents"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ids
    selection = {"ids": ["003", "unknown", "001"], "include": []}
    assert client.post(f"{path}/documents/query", json=selection).json()["documents"] == [
        {"id": "001"},
        {"id": "003"},
    ]
    even = {"filter": {"field": "metadata.even", "operator": "==", "value": True}, "count": True, "limit": 1}
    assert client.post(f"{path}/documents/query", json=even).json()["count"] == 13
    assert client.post(f"{path}/documents/query", json={"cursor": "?"}).json()["errors"][0]["pointer"] == "/cursor"


def test_a_limit_of_0_counts_and_leads_nowhere(client, collection):
    path = f"{collection(encoder=None)}/documents"
    nothing = {"documents": [], "next_cursor": None, "count": None}
    assert client.post(f"{path}/query", json={"limit": 0}).json() == nothing
    documents = [{"id": str(i), "key_vector": [1, i], "metadata": {"i": i}} for i in range(5)]
    client.post(path, json={"documents": documents})
    cursor = client.post(f"{path}/query", json={"limit": 1}).json()["next_cursor"]
    above = {"field": "metadata.i", "operator": ">", "value": 2}
    for parameters, count in (({}, 5), ({"cursor": cursor}, 5), ({"filter": above}, 2), ({"ids": ["4", "unknown"]}, 1)):
        page = client.post(f"{path}/query", json={"limit": 0, "count": True, **parameters}).json()
        assert page == nothing | {"count": count}


def test_delete_by_ids_or_by_filter(client, collection):
    documents = [{"id": str(i), "key_vector": [1, i], "metadata": {"i": i}} for i in range(5)]
    path = collection(documents, encoder=None)
    assert client.post(f"{path}/documents/delete", json={"ids": ["0", "unknown"]}).json() == {"deleted": 1}
    above = {"filter": {"field": "metadata.i", "operator": ">", "value": 2}}
    assert client.post(f"{path}/documents/delete", json=above).json() == {"deleted": 2}
    assert client.get(path).json()["documents"] == 2


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
