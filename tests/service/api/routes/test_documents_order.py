"""Lists of documents in the order of a metadata field, over HTTP: their pages and cursors."""

from __future__ import annotations

import base64

import pytest

YEARS = {"a": 1990, "b": 2010, "c": 1990, "d": None, "e": "1990", "f": True, "g": [3], "h": 2**53 + 1, "i": 2.0**53}
ASCENDING = ["f", "a", "c", "b", "i", "h", "e", "d", "g", "j"]
DESCENDING = ["e", "h", "i", "b", "a", "c", "f", "d", "g", "j"]
BY_YEAR = {"field": "metadata.year"}


@pytest.fixture(scope="module")
def path(client):
    path = "/v1/collections/ordered"
    client.put(path, json={"encoder": None})
    documents = [
        {"id": identity, "key_vector": [1, i], "metadata": {"year": year, "at": {"page": -i}}}
        for i, (identity, year) in enumerate(YEARS.items())
    ]
    answer = client.post(f"{path}/documents", json={"documents": [*documents, {"id": "j", "key_vector": [1, 1]}]})
    assert answer.status_code == 200, answer.text
    yield f"{path}/documents/query"
    client.delete(path)


def pages(client, path, **body):
    """Return the ids of each page."""
    ids, cursor = [], None
    while True:
        answer = client.post(path, json={"include": [], **body, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        ids.append([document["id"] for document in answer.json()["documents"]])
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return ids


def flat(listed):
    return [identity for page in listed for identity in page]


@pytest.mark.parametrize("limit", [1, 3, 10, 100])
@pytest.mark.parametrize(("direction", "expected"), [("ascending", ASCENDING), ("descending", DESCENDING)])
def test_pages_list_each_document_once_in_order(client, path, limit, direction, expected):
    listed = pages(client, path, order_by={**BY_YEAR, "direction": direction}, limit=limit)
    assert [len(page) for page in listed[:-1]] == [limit] * (len(listed) - 1)
    assert flat(listed) == expected


def test_a_cursor_belongs_to_its_order(client, path):
    def cursor(**body):
        return client.post(path, json={"limit": 1, **body}).json()["next_cursor"]

    descending = {**BY_YEAR, "direction": "descending"}
    crossed = [
        (cursor(), {"order_by": BY_YEAR}),
        (cursor(order_by=BY_YEAR), {}),
        (cursor(order_by=BY_YEAR), {"order_by": descending}),
        (cursor(order_by=BY_YEAR), {"order_by": {"field": "metadata.at"}}),
        (base64.urlsafe_b64encode(b"\x01[").decode(), {"order_by": BY_YEAR}),
        (base64.urlsafe_b64encode(b'\x01["year", false, 1, 2]').decode(), {"order_by": BY_YEAR}),
    ]
    for sent, body in crossed:
        refused = client.post(path, json={"limit": 1, "cursor": sent, **body})
        assert refused.status_code == 422, refused.text
        assert refused.json()["errors"][0]["pointer"] == "/cursor"
        assert "send next_cursor with the order_by of its page" in refused.json()["detail"]
