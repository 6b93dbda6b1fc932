"""Written documents read back unchanged, and a failed write leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softkv_service.storage import SQLiteStore
from softkv_service.storage.errors import CollectionMissing, DocumentDamaged
from softkv_service.storage.records import CollectionSettings
from tests.service.storage.making import collection, document, plain
from tests.thorough import examples

kept = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
kept_scalars = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.none() | st.booleans() | kept
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def exactly(value: Any) -> str:
    """Return a text that distinguishes 1 from 1.0 and true, and 0.0 from -0.0, unlike ==."""
    return repr(value)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    value=json_values | st.integers(min_value=-(10**400), max_value=10**400),
    key=st.none() | kept,
    metadata=st.dictionaries(kept, kept_scalars | st.lists(kept_scalars, max_size=4), max_size=4),
)
def test_any_json_round_trips(store: SQLiteStore, value: Any, key: str | None, metadata: dict[str, Any]) -> None:
    number = collection(store, [document("a", value=value, key=key, metadata=metadata)])
    with store.reading() as reader:
        result = reader.document(number, "a")
        assert result is not None
        (text,) = reader.texts(number, np.array([result.row]))
    assert exactly(result.value) == exactly(json.loads(text.value)) == exactly(value)
    assert exactly(result.metadata) == exactly(json.loads(text.metadata)) == exactly(metadata)
    assert result.key == key


@pytest.mark.parametrize("optional", [False, True], ids=["columns without a value", "columns with some"])
def test_a_write_of_many_documents_is_read_back_in_order(store: SQLiteStore, optional: bool) -> None:
    documents = [
        document(f"{i:04}", i, value_vector=None, metadata={"seed": i, "tags": ["a", "b"]}) for i in range(2500)
    ]
    if optional:
        documents[3] = document("0003", keys=np.empty((0, 0), np.float32), key=None, value_vector=None)
        documents[2000] = document("2000", expires=2**62, value_vector=np.array([1, 2, 3], np.float32), metadata={})
    number = collection(store, documents)
    with store.reading() as reader:
        assert [plain(stored) for stored in reader.page(number, limit=2500)] == list(map(plain, documents))
        assert reader.field_facts(number, ["tags"])[0].count == 2500 - 2 * optional
    assert not list(store.check())


def test_deep_nesting_huge_numbers_and_half_a_surrogate_pair_round_trip(store: SQLiteStore) -> None:
    nested: Any = "bottom"
    for _ in range(100):
        nested = [{"": nested}]
    values = [nested, 2**64, -(10**300), -0.0, 5e-324, "\ud800 alone", "猫 😺 \u0000", {"\udc00": 1}]
    number = collection(store, [document(str(i), value=value) for i, value in enumerate(values)])
    with store.reading() as reader:
        assert [exactly(document.value) for document in reader.page(number)] == [exactly(value) for value in values]


@pytest.mark.parametrize("null", ["auto", False, 0.0, 0.35, -1.5])
def test_every_null_round_trips(store: SQLiteStore, null: Any) -> None:
    settings = CollectionSettings("gaussian", 0.1, 5, 7, "some-encoder", "bfloat16", "key", null)
    with store.writing() as writer:
        made = writer.create_collection("n", settings)
    with store.reading() as reader:
        collection = reader.collection("n")
    assert collection == made
    assert collection.settings == settings
    assert type(collection.settings.null) is type(null)


def test_a_deleted_collection_leaves_no_row_of_its_own(store: SQLiteStore) -> None:
    kept_number = collection(store, [document("a", 1)], "kept")
    gone = collection(store, [document(f"{i}", i) for i in range(20)], "gone")
    with store.writing() as writer:
        writer.delete_collection("gone")
    with store.reading() as reader:
        counts = [
            reader._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("collections", "documents", "vectors", "fields")
        ]
        tables = [name for (name,) in reader._connection.execute("SELECT name FROM sqlite_schema")]
        assert counts == [1, 1, 1, 1]
        assert not [name for name in tables if name.startswith(f"folds_{gone}")]
        assert reader.count(kept_number) == 1
        assert reader.count(gone) == 0
        with pytest.raises(DocumentDamaged, match="row 999"):
            reader.documents(kept_number, np.array([999]))
    with store.writing() as writer, pytest.raises(CollectionMissing):
        writer.upsert(gone, [document("a")])
    assert collection(store, name="gone") > gone
    assert list(store.check()) == []


def test_a_caller_that_continues_after_an_error_commits_no_half_write(tmp_path: Path) -> None:
    with SQLiteStore.open(tmp_path) as store:
        number = collection(store, [document("a", 1)])
        with store.writing() as writer:
            broken = document("b", keys=np.array([["x", "y", "z"]], dtype=object))
            with pytest.raises(ValueError, match="could not convert"):
                writer.upsert(number, [document("a", 2), broken])
            writer.upsert(number, [document("c", 3)])
        with store.reading() as reader:
            assert [document.value["seed"] for document in reader.page(number)] == [1, 3]
