"""Groups over HTTP: what comes back, for one query and for several."""

from __future__ import annotations

import numpy as np
import pytest

RNG = np.random.default_rng(19)
KEYS = RNG.normal(size=(40, 3)).astype(np.float32)
QUERY = [0.5, -1.0, 0.25]
SHELVES = [["QA76", "SF441", None][i % 3] for i in range(40)]


@pytest.fixture
def shelf(client, collection):
    documents = [
        {"id": f"d{i:02}", "key_vector": key.tolist(), "metadata": {"at": {"shelf": SHELVES[i]}, "i": i}}
        for i, key in enumerate(KEYS)
    ]
    return collection(documents, encoder=None, similarity="dot", temperature=0.5)


def group_by(client, shelf, field, **options):
    sent = {"query": QUERY, "group_by": {"field": f"metadata.{field}", **options}}
    return client.post(f"{shelf}/attend", json=sent).json()["group_by"]


def test_pages_list_each_group_once_in_the_order_of_one_page(client, shelf):
    whole = group_by(client, shelf, "i", groups=40, documents=1)
    assert (len(whole["groups"]), whole["next_cursor"], whole["rest_weight"]) == (40, None, pytest.approx(0, abs=1e-12))
    groups, cursor = [], {}
    while cursor is not None:
        page = group_by(client, shelf, "i", groups=7, documents=1, **cursor)
        groups += page["groups"]
        assert page["rest_weight"] == pytest.approx(sum(group["weight"] for group in whole["groups"][len(groups) :]))
        cursor = page["next_cursor"] and {"cursor": page["next_cursor"]}
    assert groups == whole["groups"]


def test_a_cursor_is_of_one_query(client, shelf):
    cursor = group_by(client, shelf, "i", groups=1)["next_cursor"]
    sent = {"queries": [QUERY] * 2, "group_by": {"field": "metadata.i", "cursor": cursor}}
    answer = client.post(f"{shelf}/attend", json=sent)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/group_by/cursor")
