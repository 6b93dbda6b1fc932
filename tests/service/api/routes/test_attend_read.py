"""A field read over HTTP: what comes back, for one query and for several."""

from __future__ import annotations

import numpy as np
import pytest

from tests import oracle
from tests.oracle import similarities

RNG = np.random.default_rng(17)
KEYS = RNG.normal(size=(40, 3)).astype(np.float32)
QUERY = [0.5, -1.0, 0.25]
YEARS = [1900 + i if i % 3 else None for i in range(40)]


@pytest.fixture
def shelf(client, collection):
    documents = [
        {"id": f"d{i:02}", "key_vector": key.tolist(), "metadata": {"at": {"year": year}, "odd": i % 2 == 1}}
        for i, (key, year) in enumerate(zip(KEYS, YEARS, strict=True))
    ]
    return collection(documents, encoder=None, similarity="dot", temperature=0.5)


def weights(query):
    levels, having = similarities("dot", query, KEYS), np.array([year is not None for year in YEARS])
    return oracle.weights(levels, 0.5)[0], having, oracle.weights(levels[having], 0.5)[0]


def read(client, shelf, **options):
    sent = {"query": QUERY, "read": {"field": "metadata.at.year", **options}}
    return client.post(f"{shelf}/attend", json=sent).json()["read"]


def test_a_mean(client, shelf):
    everything, having, own_weights = weights(QUERY)
    years = np.array([year for year in YEARS if year is not None])
    result = read(client, shelf, **{"as": "mean"})
    assert result.keys() == {"field", "as", "value", "weight", "deviation", "error"}
    assert (result["field"], result["as"]) == ("metadata.at.year", "mean")
    assert result["value"] == pytest.approx(own_weights @ years, rel=1e-12)
    assert result["weight"] == pytest.approx(everything[having].sum())
    assert result["deviation"] == pytest.approx(np.sqrt(own_weights @ (years - own_weights @ years) ** 2))
    assert 0 < result["error"] < 1e-8


def test_a_vote(client, shelf):
    everything, _, _ = weights(QUERY)
    sent = {"query": QUERY, "read": {"field": "metadata.odd", "as": "vote"}}
    reading = client.post(f"{shelf}/attend", json=sent).json()["read"]
    assert reading.keys() == {"field", "as", "value", "weight", "votes", "rest_weight", "error"}
    odd = everything[1::2].sum()
    assert reading["value"] is bool(odd > 0.5)
    votes = {vote["value"]: vote["weight"] for vote in reading["votes"]}
    assert votes == {True: pytest.approx(odd), False: pytest.approx(1 - odd)}


def test_quantiles(client, shelf):
    _, _, own_weights = weights(QUERY)
    years = np.array([year for year in YEARS if year is not None])
    result = read(client, shelf, **{"as": "quantile", "quantiles": [0.9, 0.25]})
    assert result.keys() == {"field", "as", "value", "weight", "quantiles"}
    expected = [float(years[np.searchsorted(np.cumsum(own_weights), level)]) for level in (0.9, 0.25)]
    assert [answer["value"] for answer in result["quantiles"]] == expected
    assert [answer["quantile"] for answer in result["quantiles"]] == [0.9, 0.25]
    assert result["value"] == expected[0]
    for quantile in result["quantiles"]:
        assert quantile["at_least"] <= quantile["value"] <= quantile["at_most"]


def test_a_field_that_no_document_has_is_null(client, shelf):
    sent = {"query": QUERY, "read": {"field": "metadata.none", "as": "quantile"}}
    assert client.post(f"{shelf}/attend", json=sent).json()["read"] == {
        "field": "metadata.none",
        "as": "quantile",
        "value": None,
        "weight": 0.0,
        "quantiles": [{"quantile": 0.5, "value": None, "at_least": None, "at_most": None}],
    }
    assert "read" not in client.post(f"{shelf}/attend", json={"query": QUERY}).json()


def test_a_list_has_the_results_of_each_field_alone(client, shelf):
    fields = [
        {"field": "metadata.at.year", "as": "mean"},
        {"field": "metadata.odd", "as": "vote"},
        {"field": "metadata.at.year", "as": "quantile", "quantiles": [0.2]},
    ]
    alone = [client.post(f"{shelf}/attend", json={"query": QUERY, "read": field}).json()["read"] for field in fields]
    sent = {"queries": [QUERY, [1, 0, 0]], "read": fields}
    first, second = (answer["read"] for answer in client.post(f"{shelf}/attend", json=sent).json()["results"])
    assert first == alone
    assert first != second
    assert client.post(f"{shelf}/attend", json={"query": QUERY, "read": fields[:1]}).json()["read"] == alone[:1]
