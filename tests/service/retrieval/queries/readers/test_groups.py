"""Groups of documents by a field, against a float64 computation over random collections."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv.questions import GroupBy
from softkv_attention.lookup import Limits
from softkv_service.retrieval import InvalidContent
from softkv_service.retrieval.documents import encode_cursor
from softkv_service.retrieval.queries.readers.groups import GroupReader
from softkv_service.storage.records import DocumentRecord
from tests.service.retrieval.making import attend, opened, weigh, with_keys
from tests.thorough import examples

VALUES = [None, True, False, "a", "b", "2020-02-03", "2021-05-06T07:00:00Z", 1, 1.0, 2, -3.5, 2**64 - 1]
RANGES = [(-10, 1), (1, 2), (2, None), ("2020-01-01", "2021-01-01"), ("2021-01-01", None)]
EVEN = {"field": "metadata.even", "operator": "==", "value": True}
SCANNED = Limits(block_rows=64, exact_max_components=-1)


def name(value):
    """A value as its group has it: 1 is 1.0, and neither is true."""
    return json.dumps(float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value)


def range_of(value):
    """The range that holds a value; "outside" if none does, null for a missing value."""
    if value is None:
        return "null"
    for low, high in RANGES:
        bound = low if high is None else high
        if isinstance(bound, str) != isinstance(value, str) or isinstance(value, bool):
            continue
        if isinstance(value, str) and not value[0].isdigit():
            continue
        if (low is None or low <= value) and (high is None or value < high):
            return name([low, high])
    return "outside"


def check(grouped, documents, size, of):
    """Check groups against {id: (group, weight)} of the documents that pass."""
    expected: dict[str, list[tuple[float, str]]] = {}
    for identity, (group, weight) in documents.items():
        expected.setdefault(group, []).append((weight, identity))
    weights = {group: math.fsum(weight for weight, _ in members) for group, members in expected.items()}
    listed = [of(group.value) for group in grouped.groups]
    assert len(set(listed)) == len(listed)
    assert "outside" not in listed
    heaviest = sorted((weight for group, weight in weights.items() if weight and group != "outside"), reverse=True)
    assert [group.weight for group in grouped.groups] == pytest.approx(heaviest[:size], abs=1e-9)
    for group, label in zip(grouped.groups, listed, strict=True):
        assert abs(group.weight - weights[label]) <= grouped.error + 1e-15
        assert group.documents == len(expected[label])
        best = sorted((-weight, identity) for weight, identity in expected[label])[:2]
        assert [-match.weight for match in group.matches] == pytest.approx([weight for weight, _ in best], abs=1e-9)
        assert {match.id for match in group.matches} <= {identity for _, identity in expected[label]}
    rest = math.fsum(weights.values()) - math.fsum(weights[label] for label in listed)
    assert grouped.rest_weight == pytest.approx(rest, abs=1e-9)
    assert grouped.error < 1e-9


@settings(max_examples=examples(20), deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_groups_match_their_definition(seed, scanned):
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        made = opened(Path(folder), [], *([SCANNED] if scanned else []))
        collection, records = made.collection("c"), with_keys(random, VALUES)
        for part in (records[:40], records[40:]):  # a later write is a part of its own in the cached column
            collection.write(part)
            attend(collection, np.ones(2, np.float32), filter={**EVEN, "field": "metadata.at.x", "value": 1})
        collection.delete(ids=["d03", "d30"])
        records = [record for record in records if record.id not in ("d03", "d30")]
        query = random.standard_normal(2).astype(np.float32)
        for temperature in (0.0, 0.05, 1.0):
            null, filtered, biased = [None, 0.3][random.integers(2)], bool(random.integers(2)), temperature == 1
            passing = [record for record in records if not filtered or record.metadata["even"]]
            addends = [0.5 * biased * record.metadata["even"] for record in passing]
            weights = weigh([record.keys for record in passing], query, temperature, null, addends)
            options = {"temperature": temperature, "null": False if null is None else null}
            options |= {"filter": EVEN} if filtered else {}
            options |= {"bias": {"filter": EVEN, "addend": 0.5}} if biased else {}
            for grouping, of, label in (
                (GroupBy("metadata.at.x", 4, 2), name, name),
                (GroupBy("metadata.at.x", 3, 2, RANGES), range_of, name),
            ):
                documents = {
                    record.id: (of(record.metadata["at"]["x"]), weight)
                    for record, weight in zip(passing, weights.tolist(), strict=True)
                }
                (result,) = attend(collection, query, group_by=grouping, **options)
                check(result.readings[0], documents, grouping.groups, label)
        made.store.close()


@pytest.fixture
def shelf(create):
    records = [
        DocumentRecord(f"d{i}", None, None, np.array([[i, 1]], np.float32), metadata={"x": x, "i": i})
        for i, x in enumerate(["a", "a", "b", None, "b", "c"])
    ]
    return create(records)


ASKED: dict[str, Any] = {"temperature": 1.0, "null": False}
QUERY = np.array([1, 0], np.float32)


def test_the_verdict_counts_a_group_as_one_document(create):
    metadata = [{"x": "a"}, {"x": "a"}, {"x": "b"}, {}, {}, {}]
    records = [
        DocumentRecord(f"d{i}", None, None, np.array([[5, i % 2]], np.float32), metadata=fields)
        for i, fields in enumerate(metadata)
    ]
    collection = create(records)
    options = {**ASKED, "group_by": GroupBy("metadata.x", 10, 0)}
    with_field = {"field": "metadata.x", "operator": "!=", "value": None}
    assert attend(collection, QUERY, **{**options, "group_by": None}, filter=with_field)[0].verdict.stands == "several"
    (result,) = attend(collection, QUERY, **options, filter=with_field)
    assert (result.verdict.stands, result.verdict.certain, result.alike) == ("one", True, False)
    assert result.reason.startswith(
        '“metadata.x = "a"” stands out: it has 67 % of the weight and all other documents 33 %.'
    )
    # Half of the documents lack the field: they are no document together.
    assert attend(collection, QUERY, **options)[0].verdict.stands == "several"
    # On a later page the group still counts.
    page = {**options, "group_by": GroupBy("metadata.x", 1, 0, cursor=encode_cursor("1"))}
    (later,) = attend(collection, QUERY, **page, filter=with_field)
    assert later.verdict.stands == "one"
    # The null key comes first.
    assert attend(collection, QUERY, **{**options, "null": 9.0}, filter=with_field)[0].verdict.stands == "none"


def test_groups_of_no_documents_have_weights_alone(shelf):
    grouped = attend(shelf, QUERY, **ASKED, group_by=GroupBy("metadata.x", 2, 0))[0].readings[0]
    assert [(group.value, group.documents, group.matches) for group in grouped.groups] == [("c", 1, ()), ("b", 2, ())]
    assert grouped.rest_weight > 0


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ([(None, None)], "wanted a range with a bound"),
        ([("then", None)], "a bound is a number or an ISO 8601 date"),
        ([(1, "2020-01-01")], "one bound is a number and the other a date"),
        ([(2, 2)], "no value is from 2 up to 2"),
        ([("2021-01-01", "2020-01-01")], "no value is from 2021-01-01"),
        ([(0, 3), (2, 5)], "the range from 2 overlaps the one from 0 up to 3"),
        ([(None, 3), (None, 1)], "overlaps"),
    ],
)
def test_a_range_that_is_empty_unclear_or_overlaps_another_is_refused(bounds, message):
    with pytest.raises(InvalidContent, match=message):
        GroupReader.of(GroupBy("metadata.x", 10, 3, bounds))
