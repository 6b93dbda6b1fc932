"""Values that cannot be stored are refused, and leave nothing behind."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_service.retrieval.calibration import Calibration, has_conformal_sets
from softkv_service.retrieval.collections import Catalogue
from softkv_service.storage import SQLiteStore, Store
from softkv_service.storage.conditions import Comparison
from softkv_service.storage.errors import Unstorable, WidthMismatch
from softkv_service.storage.fields import paths
from softkv_service.storage.records import DROPPED_CALIBRATION
from tests.captured_logs import capture_logs
from tests.service.storage.making import OF_ITSELF, SETTINGS, WITH_SETS, collection, document, plain
from tests.service.storage.meaning import readings
from tests.thorough import examples


@pytest.mark.parametrize(
    "content",
    [
        *({"value": value} for value in (float("nan"), [float("inf")], {"a": {1, 2}}, 10**5000)),
        {"key": "\ud800"},
        *({"metadata": metadata} for metadata in ({"a": "\ud800"}, {"\udfff": 1}, {"a": {"b": "\ud800"}})),
    ],
    ids=["nan", "inf", "set", "5001 digits", "key", "value of a field", "name of a field", "nested"],
)
def test_content_that_is_not_json_in_utf8_is_refused(store: Store, content: dict[str, Any]) -> None:
    number = collection(store, [document("a", 1)])
    with store.writing() as writer, pytest.raises(Unstorable, match="'b'"):
        writer.upsert(number, [document("a", 2), document("b", **content)])
    with store.reading() as reader:
        assert [plain(document) for document in reader.page(number)] == [plain(document("a", 1))]


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"identity": "a\0"}, "id"),
        ({"key": "\0"}, "key"),
        ({"metadata": {"x": ["a", "b\0"]}}, "metadata"),
        ({"metadata": {"x": {"\0": 1}}}, "metadata"),
        ({"metadata": {"x": [{"y": [["\0"]]}]}}, "metadata"),
    ],
)
def test_a_nul_is_refused_but_in_a_value(store: Store, values: dict[str, Any], where: str) -> None:
    number = collection(store, [document("a", value={"\0": ["\0"]}, metadata={"\\u0000": "\\u0000"})])
    with store.writing() as writer, pytest.raises(Unstorable, match=f"the {where} of document .* holds a NUL"):
        writer.upsert(number, [document(**{"identity": "b", **values})])
    with store.reading() as reader:
        assert [(document.id, document.value) for document in reader.page(number)] == [("a", {"\0": ["\0"]})]
        assert reader.page(number, ids=["a\0"]) == reader.search(number).equal("\0", 1).rows == []
        assert reader.existing(number, ["a\0", "a"]).keys() == {"a"}
        assert [document.id for document in reader.page(number, after="a\0")] == []


def deep(levels: int) -> dict[str, Any]:
    """An object in which `levels - 1` others lie, one in the other."""
    made: dict[str, Any] = {"x": 1}
    for _ in range(levels - 1):
        made = {"x": made}
    return made


def test_metadata_comes_back_as_it_went_in_and_has_limits(store: Store) -> None:
    listed = [1, [2, {"x": [None, 2.0, True]}], {}]
    all_metadata = [deep(6), deep(32), {"": {"": {"": listed}}, "a.b": {}, "a": {"b": [[]], "c": None}}]
    all_metadata.append({"x" * 70_000: 1} | {str(i): i for i in range(5000)})  # names that are not nested have no limit
    all_metadata.append({"many": [{"page": i} for i in range(20_000)]})
    number = collection(store, [document(str(i), metadata=fields) for i, fields in enumerate(all_metadata)])
    with store.reading() as reader:
        assert [document.metadata for document in reader.page(number)] == all_metadata
        assert reader.count(number, condition=Comparison("metadata." + ".".join("x" * 6), "==", 1)) == 1
        assert reader.count(number, condition=Comparison("metadata." + ".".join("x" * 32), "==", 1)) == 1
    if isinstance(store, SQLiteStore):
        assert list(store.check()) == []
    too_much = [deep(33), {"x": [deep(31)]}, {"x" * 3000: {str(i): i for i in range(30)}}]
    for metadata in too_much:
        with store.writing() as writer, pytest.raises(Unstorable, match="put some of it into the value"):
            writer.upsert(number, [document("b", metadata=metadata)])


inner = st.sampled_from(["a", "b", "a.b", "b.a", "", "a."])
nested = st.recursive(
    st.none() | st.integers(0, 9), lambda below: st.dictionaries(inner, below, max_size=4), max_leaves=12
)


@settings(max_examples=examples(300), deadline=None)
@given(st.dictionaries(inner, nested, max_size=4))
def test_a_path_leads_where_its_names_lead_the_longer_ones_first(metadata: dict[str, Any]) -> None:
    paths_found = paths(metadata)
    expected = [".".join(value) for n in range(1, 4) for value in product(["a", "b", ""], repeat=n)]
    assert {path: paths_found[path] for path in expected if path in paths_found} == {
        path: value for path in expected for value in islice(readings(metadata, path), 1)
    }


def test_widths_come_from_the_first_keys_whose_write_commits(store: Store) -> None:
    number = collection(store, [document("none", keys=np.zeros((0, 3)), value_vector=None)])

    def two_widths() -> None:
        with store.writing() as writer:
            writer.upsert(number, [document("a")])
            writer.upsert(number, [document("b", keys=np.ones((1, 5)))])

    with pytest.raises(WidthMismatch):
        two_widths()
    with store.writing() as writer:
        writer.upsert(number, [document("a", keys=np.ones((1, 5)), value_vector=None)])
        assert writer.collection("c").settings.dimension == 5
    with store.reading() as reader:
        assert (reader.collection("c").settings.dimension, reader.collection("c").settings.value_dimension) == (5, 5)


@pytest.mark.parametrize(
    ("vectors", "expected", "came"),
    [
        ({"keys": np.ones((1, 4))}, 3, 4),
        ({"value_vector": np.ones(5)}, 2, 5),
        ({"value_vector": None}, 2, 3),  # the key vector stands in
    ],
)
def test_another_width_writes_nothing(store: Store, vectors: dict[str, Any], expected: int, came: int) -> None:
    number = collection(store, [document("a", 1)])
    with store.writing() as writer, pytest.raises(WidthMismatch) as refused:
        writer.upsert(number, [document("a", 2), document("b", **vectors)])
    assert (refused.value.document, refused.value.expected, refused.value.width) == ("b", expected, came)
    with store.reading() as reader:
        assert [plain(document) for document in reader.page(number)] == [plain(document("a", 1))]


@pytest.mark.parametrize(
    ("changed", "read"),
    [
        ({}, {"temperature": 0.2, "null": 0.31}),
        ({"temperature": 0.07}, {"temperature": 0.07, "null": 0.31}),
        ({"null": "strict"}, {"temperature": 0.2, "null": "strict"}),
    ],
    ids=["as it was", "another temperature", "another null key"],
)
def test_a_calibration_of_its_own_texts_is_dropped_with_its_settings(
    store: Store, changed: dict[str, Any], read: dict[str, Any]
) -> None:
    set_by_it = {"temperature": 0.05832645197880583, "null": "auto"}
    settings = replace(SETTINGS, calibration=OF_ITSELF, **set_by_it | changed)
    with store.writing() as writer:
        writer.create_collection("own", settings)
    expected = replace(SETTINGS, calibration=DROPPED_CALIBRATION, **read)
    with store.reading() as reader:
        assert reader.collection("own").settings == expected
    again = replace(expected, **set_by_it)
    with store.writing() as writer:
        writer.update_collection("own", again)
    with store.reading() as reader:
        assert reader.collection("own").settings == again, "what a caller sets later stays"


def test_a_calibration_with_conformal_sets_is_read_without_them_and_named(store: Store) -> None:
    with store.writing() as writer:
        writer.create_collection("sets", replace(SETTINGS, calibration=WITH_SETS))
        writer.create_collection("none", SETTINGS)
    with capture_logs() as lines:
        record = Catalogue(store, None).collection("sets").record
    assert [(line["log_level"], line["event"], line["collections"]) for line in lines] == [
        ("warning", "conformal sets of stored calibrations are not read any more", ["sets"])
    ]
    calibration, stored = Calibration.read(record.settings.calibration), json.loads(WITH_SETS)
    assert calibration is not None
    assert (calibration.temperature, calibration.present) == (stored["temperature"], stored["present"])
    assert (calibration.plain.level, calibration.plain.none_from) == (
        stored["plain"]["level"],
        stored["plain"]["none_from"],
    )
    assert [bound.min_confidence for bound in calibration.plain.bounds] == [
        bound["min_confidence"] for bound in stored["plain"]["bounds"]
    ]
    assert not has_conformal_sets(calibration.text())
