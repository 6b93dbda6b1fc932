"""A copy equals its source, and an interrupted copy resumes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from softkv_service.storage import SQLiteStore, Store
from softkv_service.storage.copying import PAGE, compare_collection, copy_collection, digest
from softkv_service.storage.errors import CollectionFixed, CollectionMissing
from softkv_service.storage.records import TextSpan
from tests.service.storage.making import OF_ITSELF, SETTINGS, collection, document, plain

KINDS = [
    document("a"), document("\U0001d11e beyond", value={"b": 1, "a": [1.0, True, None, "\ud800"]}),
    document("\uffff", metadata={"n": 2**200, "x": 0.1, "nested": {"deep": ["ü", 1, 1.0, True]}}),
    document("keyless", key=None, keys=np.empty((0, 3), np.float32), value_vector=None),
    document("parts", keys=np.eye(3, dtype=np.float32)[:2], parts=(TextSpan(0, 3), TextSpan(3, 5))),
    document("no value sent", value="key 0", value_sent=False), document("the key text sent", value="key 0"),
    document("no key and no value sent", key=None, value=None, value_sent=False),
    document("null sent", key=None, value=None), document("escapes", key='"\\\n', value='"\\\n', value_sent=False),
    document("escapes sent", key='"\\\n', value='"\\\n'), document("expires", expires=10**15),
    document("zero", keys=np.array([[-0.0, 1e-40, 3e38]], np.float32)),
]  # fmt: skip


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    """Yield the target: an empty store, another one than `store`."""
    with SQLiteStore.open(tmp_path / "other") as opened:
        yield opened


def everything(store: Store, name: str = "c") -> list[tuple]:
    with store.reading() as reader:
        return [plain(document) for document in reader.page(reader.collection(name).id)]


def verdict(store: Store, other: Store):
    with store.reading() as reader, other.reading() as target:
        return compare_collection(reader, target, "c")


def test_every_kind_of_document_arrives_as_it_was(store, other):
    collection(store, KINDS)
    with store.reading() as reader:
        assert copy_collection(reader, other, "c").written == len(KINDS)
        assert copy_collection(reader, other, "c").written == 0
    assert everything(other) == everything(store)
    assert verdict(store, other).same


def test_a_collection_keeps_its_settings(store, other):
    with store.writing() as writer:
        settings = replace(SETTINGS, null="calibrated", encoder="one", calibration='{"version":1}', projection="{}")
        writer.create_collection("c", settings)
    with store.reading() as reader:
        copy_collection(reader, other, "c")
    with other.reading() as target:
        assert target.collection("c").settings == settings


def test_an_interrupted_copy_continues_at_its_end(store, other):
    collection(store, [document(f"{i:04}", i) for i in range(PAGE + 40)])

    def stops(done: int) -> None:
        raise KeyboardInterrupt

    with store.reading() as reader:
        with pytest.raises(KeyboardInterrupt):
            copy_collection(reader, other, "c", stops)
        assert len(verdict(store, other).missing) == 40
        assert copy_collection(reader, other, "c").written == 40
    assert verdict(store, other).same


def test_differences_are_named_and_copied_again(store, other):
    number = collection(store, [document("a"), document("b"), document("c"), document("d")])
    target = collection(other, [document("b"), document("c", value="c"), document("e")])
    result = verdict(store, other)
    assert (result.missing, result.other, result.added) == (("a", "d"), ("c",), ("e",))
    assert not result.same
    with store.reading() as reader:
        assert copy_collection(reader, other, "c").written == 3
    assert [document[0] for document in everything(other)] == ["a", "b", "c", "d", "e"]
    assert verdict(store, other).added == ("e",)
    with other.writing() as writer:
        writer.delete_ids(target, ["e"])
        writer.update_collection("c", replace(writer.collection("c").settings, temperature=9))
    assert verdict(store, other).settings == ("temperature",)
    with store.reading() as reader:
        copy_collection(reader, other, "c")
        assert reader.count(number) == 4
    assert verdict(store, other).same


def test_another_collection_of_that_name_is_left_alone(store, other):
    collection(store, [document("a")])
    with other.writing() as writer:
        writer.create_collection("c", replace(SETTINGS, similarity="dot"))
    with store.reading() as reader:
        with pytest.raises(CollectionFixed, match="similarity"):
            copy_collection(reader, other, "c")
        with pytest.raises(CollectionMissing):
            copy_collection(reader, other, "none")
        with pytest.raises(CollectionMissing):
            compare_collection(reader, reader, "none")
    assert everything(other) == []


@pytest.mark.parametrize(
    "texts",
    [
        {"key": None}, {"key": ""}, {"value": 0}, {"value": False}, {"metadata": {"seed": 0.0}}, {"value_vector": None},
        {"keys": np.zeros((0, 3), np.float32)}, {"keys": np.array([[-0.0, 0.1, -1]], np.float32)},
        {"parts": (TextSpan(0, 1),)}, {"expires": 10**15},
    ],
    ids=repr,
)  # fmt: skip
def test_no_other_document_has_its_digest(texts):
    assert digest(document("a", **texts)) != digest(document("a"))


def test_a_digest_does_not_hang_on_where_a_document_lies():
    assert digest(document("a", row=3)) == digest(document("a", row=None))


def test_a_copy_lacks_a_calibration_of_its_own_texts(store, other):
    with store.writing() as writer:
        writer.create_collection(
            "c", replace(SETTINGS, temperature=0.05832645197880583, null="auto", calibration=OF_ITSELF)
        )
    with store.reading() as reader:
        copy_collection(reader, other, "c")
        assert verdict(store, other).same
    with other.reading() as reader:
        settings = reader.collection("c").settings
    assert (settings.temperature, settings.null, settings.has_lost_calibration) == (0.2, 0.31, True)
