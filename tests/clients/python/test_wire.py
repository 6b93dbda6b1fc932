"""Values that JSON has no form for: dates of NumPy and pandas, names of objects, and arrays of other libraries."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pandas
import pytest
import torch

import softkv
from softkv import Document
from softkv.wire import as_float32, encode_json, is_vector, to_nested_lists

NOON = np.datetime64("2026-01-01T12:00:00.000000001", "ns")
NAT = "which has no NaT"
LENGTH = "which has no length of time"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (NOON, "2026-01-01T12:00:00"),
        (NOON.astype("datetime64[ms]"), "2026-01-01T12:00:00"),
        (np.datetime64("2026-01-01"), "2026-01-01"),
        (np.array(NOON), "2026-01-01T12:00:00"),
        (np.array([NOON, NOON]), ["2026-01-01T12:00:00"] * 2),
        (np.array([[NOON]]), [["2026-01-01T12:00:00"]]),
        (np.array([], "datetime64[ns]"), []),
        (pandas.Timestamp("2026-01-01T12:00:00Z"), "2026-01-01T12:00:00+00:00"),
        (pandas.Series([NOON]).astype("datetime64[us]"), ["2026-01-01T12:00:00"]),
    ],
    ids=str,
)
def test_a_date_of_any_unit_is_written_in_iso_8601(value, expected):
    assert json.loads(encode_json({"at": [value]})) == {"at": [expected]}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (pandas.NaT, NAT),
        (np.datetime64("NaT"), NAT),
        (np.datetime64("NaT", "ns"), NAT),
        (np.array([NOON, "NaT"], "datetime64[ns]"), NAT),
        (pandas.Series([NOON, None]), NAT),
        (np.timedelta64(3, "s"), LENGTH),
        (np.timedelta64("NaT"), LENGTH),
        (np.array([3], "timedelta64[ns]"), LENGTH),
        (pandas.Timedelta(1, "D"), LENGTH),
        (timedelta(days=1), LENGTH),
        (np.datetime64("20000-01-01"), "years 1 to 9999"),
        (np.datetime64("20000-01-01", "us"), "years 1 to 9999"),
    ],
    ids=str,
)
def test_a_value_without_a_date_is_refused_at_its_pointer(value, reason):
    for content, pointer in (({"a": [0, {"b/c": value}]}, "/a/1/b~1c"), (value, "")):
        with pytest.raises(softkv.Invalid, match=reason) as refused:
            encode_json(content)
        assert refused.value.errors[0].pointer in (pointer, f"{pointer}/1"), "of a Series, the item"


def test_a_row_with_nat_is_refused_and_the_others_are_written(made):
    frame = pandas.DataFrame({"id": ["a", "b"], "at": pandas.to_datetime(["2026-01-01", None])})
    shelf = made(encoder=None)
    rows = [{"id": row["id"], "metadata": {"at": row["at"]}} for row in frame.to_dict("records")]
    report = shelf.upsert(rows, resume=softkv.Report())
    assert [(refusal.row, refusal.errors[0].pointer) for refusal in report.refused] == [(1, "/metadata/at")]
    assert shelf.get("a").metadata == {"at": "2026-01-01T00:00:00"}
    assert shelf.count(where=softkv.F.at == frame["at"].to_numpy()[0]) == 1
    with pytest.raises(softkv.Invalid, match=NAT):
        shelf.put("c", pandas.NaT)


def test_two_names_that_json_takes_for_one_are_refused():
    for content in ({1: "a", "1": "b"}, {None: "a", "null": "b"}, {True: "a", "true": "b"}):
        with pytest.raises(softkv.Invalid, match="/metadata/x: two names") as refused:
            encode_json({"metadata": {"x": content}})
        assert refused.value.errors[0].pointer == "/metadata/x"
    with pytest.raises(softkv.Invalid, match=r"wanted texts as the names of an object, got \(1, 2\)"):
        encode_json([{(1, 2): "a"}])
    assert json.loads(encode_json({1: {2.5: "a"}, "x": {None: 1}})) == {"1": {"2.5": "a"}, "x": {"null": 1}}


@pytest.mark.parametrize(
    "vector",
    [
        torch.tensor([0.5, 2.0], dtype=torch.bfloat16),
        torch.tensor([0.5, 2.0], requires_grad=True),
        torch.tensor([0.5, 2.0], dtype=torch.float64),
        torch.tensor([0.5, 2.0]).to_sparse(),
        np.ma.array([0.5, 2.0], mask=False),
        memoryview(np.array([0.5, 2.0])),
    ],
    ids=lambda vector: f"{type(vector).__name__}-{getattr(vector, 'dtype', '')}",
)
def test_vectors_of_other_libraries_are_vectors(vector):
    assert is_vector(vector)
    assert as_float32(vector, "").tolist() == [0.5, 2.0]
    assert to_nested_lists([vector, vector], "") == [[0.5, 2.0], [0.5, 2.0]]
    assert Document("a", key_vector=vector) == Document("a", key_vector=[0.5, 2.0])
    assert json.loads(encode_json({"a": vector})) == {"a": [0.5, 2.0]}


def test_a_tensor_without_numbers_is_refused():
    with pytest.raises(softkv.Invalid, match="wanted numbers, got a tensor that has none to read"):
        as_float32(torch.empty(2, device="meta"), "/key_vector")
    with pytest.raises(softkv.Invalid, match=r"^/metadata/a: wanted numbers, got a tensor that has none"):
        encode_json({"metadata": {"a": torch.empty(2, device="meta")}})


def test_hidden_numbers_of_a_masked_array_are_not_sent():
    for masked in (np.ma.array([1.0, 9.0], mask=[False, True]), np.ma.array([[1.0, 9.0]], mask=[[False, True]])):
        with pytest.raises(softkv.Invalid, match="/key_vector: wanted numbers, got an array that masks some"):
            to_nested_lists(masked, "/key_vector")
    assert json.loads(encode_json({"a": np.ma.array([1, 9], mask=[False, True])})) == {"a": [1, None]}
