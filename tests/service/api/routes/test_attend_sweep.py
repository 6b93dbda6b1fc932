"""A sweep agrees with `attend` at each of its temperatures."""

from __future__ import annotations

import numpy as np
import pytest

from tests.service.api.routes.test_attend import QUERY, fill

TEMPERATURES = [0, 1e-30, 1e-3, 0.02, 0.05, 0.3, 1, 10, 1e6]


@pytest.mark.parametrize("null", [False, 0.4])
def test_every_temperature_answers_as_attend_does(client, collection, null):
    path = fill(client, collection(encoder=None))
    body = {"query": QUERY.tolist(), "null": null, "top_k": 5}
    swept = client.post(f"{path}/sweep", json={**body, "temperatures": TEMPERATURES}).json()
    assert [swept_temperature["temperature"] for swept_temperature in swept["temperatures"]] == TEMPERATURES
    for temperature in swept["temperatures"]:
        alone = client.post(f"{path}/attend", json={**body, "temperature": temperature["temperature"]}).json()
        assert [match["id"] for match in swept["matches"]] == [match["id"] for match in alone["matches"]]
        np.testing.assert_allclose(temperature["weights"], [match["weight"] for match in alone["matches"]], atol=1e-6)
        assert temperature["rest_weight"] == pytest.approx(alone["rest_weight"], abs=1e-6)
        for name, number in alone["evidence"].items():
            expected = pytest.approx(number, rel=1e-6, abs=1e-6) if isinstance(number, float) else number
            assert temperature["evidence"][name] == expected, name
        assert sum(temperature["weights"]) + temperature["rest_weight"] + temperature["evidence"][
            "null_weight"
        ] == pytest.approx(1, abs=1e-6)


def test_a_sweep_takes_a_filter_and_included_fields(client, collection):
    path = fill(client, collection(encoder=None))
    below = {"field": "metadata.i", "operator": "<", "value": 4}
    body = {"query": QUERY.tolist(), "temperatures": [0.05], "filter": below, "include": ["metadata"]}
    swept = client.post(f"{path}/sweep", json=body).json()
    assert swept["documents"] == 4
    assert all(match.keys() == {"id", "similarity", "metadata"} for match in swept["matches"])
