"""Many temperatures from one reading: one order of matches for all."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from service.retrieval import InvalidContent
from service.retrieval.queries import Options, attend_collection, sweep_collection

QUERY = np.array([1, 2], np.float32)


async def test_matches_that_tie_are_ordered_by_id_with_the_weights_of_attend(collection):
    options = Options(top_k=3, null=False)
    swept = await sweep_collection(collection, QUERY, [0.0, 0.5, 2.0], options)
    alone = [
        (await attend_collection(collection, [QUERY], Options(temperature=t, top_k=3), ["/query"]))[0]
        for t in (0.0, 0.5, 2.0)
    ]
    assert [match.document.id for match in swept.matches] == ["000", "001", "002"]
    for temperature, result in zip(swept.temperatures, alone, strict=True):
        np.testing.assert_allclose(temperature.weights, [match.weight for match in result.matches])
        assert temperature.rest_weight == pytest.approx(result.rest_weight)
        assert temperature.weights.sum() + temperature.rest_weight == pytest.approx(1)


def test_a_filter_without_documents_leaves_no_rest(collection):
    nobody = {"field": "id", "operator": "==", "value": "nobody"}
    swept = asyncio.run(sweep_collection(collection, QUERY, [0.0, 1.0], Options(filter=nobody)))
    assert (swept.matches, swept.documents) == ([], 0)
    assert [temperature.rest_weight for temperature in swept.temperatures] == [0, 0]


@pytest.mark.parametrize("options", [Options(top_p=0.5), Options(normaliser="sparsemax"), Options(temperature="auto")])
def test_a_sweep_is_softmax_at_given_temperatures(collection, options):
    with pytest.raises(InvalidContent, match="a sweep is softmax at given temperatures"):
        asyncio.run(sweep_collection(collection, QUERY, [1.0], options))
