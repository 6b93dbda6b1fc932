"""A field that is read softly, against a float64 computation over random histories of writes."""

from __future__ import annotations

import json
import math
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv.questions import Read
from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.collections import snapshot as snapshots
from softkv_service.storage.records import DocumentRecord
from tests.service.retrieval.making import attend, numbered, opened, weigh, with_keys
from tests.thorough import examples

SCALARS = [None, True, False, "a", "b", 1, 1.0, 2, -3.5, 10**6, 2**64 - 1, -(2**63), [1, 2], {"y": 1}]
TEMPERATURES = [0.0, 0.05, 1.0, math.inf]
LEVELS = [0.1, 0.5, 0.9]
EVEN = {"field": "metadata.even", "operator": "==", "value": True}


def is_number(x):
    return isinstance(x, int | float) and not isinstance(x, bool)


def check(actual, how, weighed):
    """Check a reading against [(weight, x)]."""
    having = [(w, x) for w, x in weighed if (is_number(x) if how != "vote" else isinstance(x, str | int | float))]
    total = math.fsum(w for w, _ in having)
    everything = math.fsum(w for w, _ in weighed)
    assert actual["weight"] == pytest.approx(total / everything if everything else 0, abs=1e-9)
    if not total:
        assert actual["value"] is None
        return
    if how == "mean":
        mean = float(sum(Fraction(w) * Fraction(x) for w, x in having) / sum(Fraction(w) for w, _ in having))
        size = math.fsum(w * abs(x) for w, x in having) / total
        assert actual["value"] == pytest.approx(mean, rel=1e-6, abs=1e-9 * size)
        assert actual["error"] is not None or total < 1e-12
        if actual["error"] is not None:
            assert abs(actual["value"] - mean) <= actual["error"] + 1e-12 * size
        deviation = math.sqrt(math.fsum(w * (x - mean) ** 2 for w, x in having) / total)
        assert actual["deviation"] == pytest.approx(deviation, rel=1e-6, abs=1e-6 * size)
    elif how == "vote":
        shares: dict[Any, float] = {}
        for w, x in having:
            name = json.dumps(float(x) if is_number(x) else x)  # 1 is 1.0, and neither is true
            shares[name] = shares.get(name, 0) + w / total
        best = max(shares.values())
        assert actual["votes"][0]["weight"] == pytest.approx(best)
        for vote in actual["votes"]:
            value = vote["value"]
            assert not isinstance(value, float) or value % 1 or abs(value) >= 2**63  # 1.0 is named 1
            assert shares[json.dumps(float(value) if is_number(value) else value)] == pytest.approx(vote["weight"])
        assert actual["rest_weight"] + sum(vote["weight"] for vote in actual["votes"]) == pytest.approx(1)
        assert actual["value"] == actual["votes"][0]["value"]
    else:
        for quantile in actual["quantiles"]:
            below, expected = Fraction(0), None
            for w, x in sorted(having, key=lambda pair: pair[1]):
                below += Fraction(w)
                if expected is None and below >= Fraction(quantile["quantile"]) * Fraction(total):
                    expected = float(x)
            assert quantile["at_least"] <= expected <= quantile["at_most"]
            assert quantile["at_least"] <= quantile["value"] <= quantile["at_most"]
        assert actual["value"] == actual["quantiles"][LEVELS.index(0.5)]["value"]


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_aggregates_match_their_definition(seed):
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        made = opened(Path(folder))
        collection, there = made.collection("c"), dict[str, DocumentRecord]()
        for _ in range(4):
            gone = [f"d{i:02}" for i in random.integers(0, 40, 4)]
            records = with_keys(random, SCALARS, int(random.integers(1, 40)))
            collection.write(records)
            collection.delete(ids=gone)
            there |= {record.id: record for record in records}
            there = {name: record for name, record in there.items() if name not in gone}
            query = random.standard_normal(2).astype(np.float32)
            for temperature in TEMPERATURES:
                null, filtered = [None, 0.3][random.integers(2)], bool(random.integers(2))
                passing = [record for record in there.values() if not filtered or record.metadata["even"]]
                keys = [record.keys for record in passing]
                weights = weigh(keys, query, temperature, null, [0.0] * len(keys)).tolist() if keys else []
                weighed = [
                    (weight, record.metadata["at"]["x"]) for weight, record in zip(weights, passing, strict=True)
                ]
                for how in ("mean", "vote", "quantile"):
                    read = Read("metadata.at.x", how, LEVELS if how == "quantile" else None)
                    options = {"null": False if null is None else null, "filter": EVEN if filtered else None}
                    (result,) = attend(collection, query, temperature=temperature, read=read, **options)
                    check(result.readings[0].values[0], how, weighed)
        made.store.close()


@pytest.fixture
def forty(create):
    return create(numbered(*range(40)))


def read_of(collection, read, **options):
    return attend(collection, np.array([1, 0], np.float32), read=read, **options)[0].readings[0].values[0]


def test_votes_that_tie_stand_in_the_order_of_their_json(forty):
    result = read_of(forty, Read("metadata.i", "vote"), temperature=math.inf)
    assert [vote["value"] for vote in result["votes"]] == [0, 1, 10, 11, 12, 13, 14, 15, 16, 17]
    assert result["rest_weight"] == pytest.approx(30 / 40)


def test_a_field_that_is_not_held_in_memory_is_read_from_the_store(forty, monkeypatch):
    read = Read("metadata.i", "mean")
    reading = read_of(forty, read)
    monkeypatch.setattr("softkv_service.retrieval.collections.snapshot.Columns.of", lambda *_: None)
    assert read_of(forty, read) == reading
    monkeypatch.setattr(snapshots, "MAX_COLUMN_BYTES", 100)
    with pytest.raises(InvalidContent, match=r"the values of metadata.i take more than 100 bytes: take a field"):
        read_of(forty, read)
