"""Groups over HTTP: what comes back, for one query and for several."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracle import similarities, weights

RNG = np.random.default_rng(19)
KEYS = RNG.normal(size=(40, 3)).astype(np.float32)
QUERY = [0.5, -1.0, 0.25]
SHELVES = [["QA76", "SF441", None][i % 3] for i in range(40)]
WRITTEN = [f"{2000 + i}-01-01" for i in range(40)]


@pytest.fixture
def shelf(client, collection):
    documents = [
        {
            "id": f"d{i:02}",
            "key_vector": key.tolist(),
            "metadata": {"at": {"shelf": SHELVES[i]}, "i": i, "written": WRITTEN[i], "tags": ["a"]},
        }
        for i, key in enumerate(KEYS)
    ]
    return collection(documents, encoder=None, similarity="dot", temperature=0.5)


def group_by(client, shelf, field, **options):
    sent = {"query": QUERY, "group_by": {"field": f"metadata.{field}", **options}}
    return client.post(f"{shelf}/attend", json=sent).json()["group_by"]


def test_groups_of_values(client, shelf):
    everything = weights(similarities("dot", QUERY, KEYS), 0.5)[0]
    result = group_by(client, shelf, "at.shelf")
    assert result.keys() == {"field", "groups", "rest_weight", "error", "next_cursor"}
    assert (result["field"], result["rest_weight"]) == ("metadata.at.shelf", pytest.approx(0, abs=1e-12))
    assert 0 < result["error"] < 1e-9
    for group in result["groups"]:
        members = [i for i in range(40) if SHELVES[i] == group["value"]]
        assert group["documents"] == len(members)
        assert group["weight"] == pytest.approx(everything[members].sum(), abs=1e-12)
        best = sorted(members, key=lambda i: -everything[i])[:3]
        assert [match["id"] for match in group["matches"]] == [f"d{i:02}" for i in best]
        assert [match["weight"] for match in group["matches"]] == pytest.approx(everything[best].tolist(), abs=1e-12)
    assert {group["value"] for group in result["groups"]} == {"QA76", "SF441", None}


def test_groups_of_ranges(client, shelf):
    everything = weights(similarities("dot", QUERY, KEYS), 0.5)[0]
    numbers = group_by(client, shelf, "i", ranges=[[None, 10], [10, 25]], documents=1)
    dates = group_by(client, shelf, "written", ranges=[["2010-01-01", "2025-01-01"], [None, "2010-01-01"]], documents=1)
    sums = [everything[:10].sum(), everything[10:25].sum()]
    for result, values in (
        (numbers, [[None, 10], [10, 25]]),
        (dates, [[None, "2010-01-01"], ["2010-01-01", "2025-01-01"]]),
    ):
        by_value = {str(group["value"]): group["weight"] for group in result["groups"]}
        assert [by_value[str(value)] for value in values] == pytest.approx(sums, abs=1e-12)
        assert result["rest_weight"] == pytest.approx(everything[25:].sum(), abs=1e-12)
        assert [len(group["matches"]) for group in result["groups"]] == [1, 1]


def test_each_of_several_queries_has_its_own_groups(client, shelf):
    queries = [QUERY, [-1.0, 0.5, 2.0]]
    sent = {"queries": queries, "top_k": 0, "include": ["explanation"], "null": 0.2}
    sent["group_by"] = {"field": "metadata.at.shelf", "groups": 2}
    results = client.post(f"{shelf}/attend", json=sent).json()["results"]
    for query, result in zip(queries, results, strict=True):
        alone = client.post(f"{shelf}/attend", json={**sent, "queries": [query]}).json()["results"][0]
        assert result["group_by"] == alone["group_by"]
        weight = sum(group["weight"] for group in result["group_by"]["groups"]) + result["group_by"]["rest_weight"]
        assert weight + result["evidence"]["null_weight"] == pytest.approx(1, abs=1e-9)
        for match in result["group_by"]["groups"][0]["matches"]:
            assert np.log(match["weight"]) == pytest.approx(match["explanation"]["log_weight"])
    assert "group_by" not in client.post(f"{shelf}/attend", json={"query": QUERY}).json()


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
