"""What is written comes back as it was, and what cannot be written leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.storage import (
    CollectionFixed,
    CollectionMissing,
    CollectionSettings,
    Comparison,
    DocumentDamaged,
    DocumentsExist,
    DocumentsRepeated,
    Store,
    Unstorable,
    WidthMismatch,
)
from tests.service.storage.making import SETTINGS, collection, document, plain

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def exactly(value: Any) -> str:
    """Tells 1 from 1.0 and true, and 0.0 from -0.0, where == does not."""
    return repr(value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=json_values | st.integers(min_value=-(10**400), max_value=10**400),
    key=st.none() | st.text(),
    metadata=st.dictionaries(st.text(), scalars | st.lists(scalars, max_size=4), max_size=4),
)
def test_any_json_round_trips(store: Store, value: Any, key: str | None, metadata: dict[str, Any]) -> None:
    with store.writing() as writer:
        number = writer.create_collection("round trip", SETTINGS).id
        writer.upsert(number, [document("a", value=value, key=key, metadata=metadata)])
    with store.reading() as reader:
        found = reader.document(number, "a")
    with store.writing() as writer:
        writer.delete_collection("round trip")
    assert found is not None
    assert exactly(found.value) == exactly(value)
    assert exactly(found.metadata) == exactly(metadata)
    assert found.key == key


def test_deep_nesting_huge_numbers_and_half_a_surrogate_pair_round_trip(store: Store) -> None:
    nested: Any = "bottom"
    for _ in range(100):
        nested = [{"": nested}]
    values = [nested, 2**64, -(10**300), -0.0, 5e-324, "\ud800 alone", "猫 😺 \u0000", {"\udc00": 1}]
    number = collection(store, [document(str(i), value=value) for i, value in enumerate(values)])
    with store.reading() as reader:
        assert [exactly(each.value) for each in reader.page(number)] == [exactly(each) for each in values]


@pytest.mark.parametrize("null", ["auto", False, 0.0, 0.35, -1.5])
def test_every_null_round_trips(store: Store, null: Any) -> None:
    wanted = CollectionSettings(
        similarity="gaussian",
        temperature=0.1,
        dimension=5,
        value_dimension=7,
        encoder="some-encoder",
        precision="bfloat16",
        value_from="key",
        null=null,
    )
    with store.writing() as writer:
        made = writer.create_collection("n", wanted)
    with store.reading() as reader:
        found = reader.collection("n")
    assert found == made
    assert found.settings == wanted
    assert type(found.settings.null) is type(null)


@pytest.mark.parametrize(
    "value", [float("nan"), [float("inf")], {"a": {1, 2}}, 10**5000], ids=["nan", "inf", "set", "5001 digits"]
)
def test_what_is_not_json_is_refused(store: Store, value: Any) -> None:
    number = collection(store, [document("a", 1)])
    with store.writing() as writer, pytest.raises(Unstorable, match="'b'"):
        writer.upsert(number, [document("a", 2), document("b", value=value)])
    with store.reading() as reader:
        assert [plain(each) for each in reader.page(number)] == [plain(document("a", 1))]


@pytest.mark.parametrize(
    "given",
    [{"key": "\ud800"}, {"metadata": {"a": "\ud800"}}, {"metadata": {"\udfff": 1}}, {"metadata": {"a": {"b": 1}}}],
)
def test_texts_that_are_not_utf8_and_nested_metadata_are_refused(store: Store, given: dict[str, Any]) -> None:
    number = collection(store)
    with store.writing() as writer, pytest.raises(Unstorable):
        writer.upsert(number, [document("a", **given)])


def test_a_document_written_again_gets_a_row_number_never_used_before(store: Store) -> None:
    number = collection(store)
    seen: set[int] = set()
    for seed in range(5):
        with store.writing() as writer:
            change = writer.upsert(number, [document("b", seed), document("a", seed)])
        assert not seen & set(change.added.tolist())
        assert set(change.removed.tolist()) <= seen
        seen |= set(change.added.tolist())
        with store.reading() as reader:
            assert [each.id for each in reader.documents(number, change.added)] == ["b", "a"]
            assert reader.ids(number, change.added[::-1]) == ["a", "b"]
        with store.writing() as writer:
            assert writer.delete_ids(number, ["b", "b", "unknown", "\ud800"]).tolist() == [change.added[0]]


def test_mode_create_names_what_is_there_and_writes_nothing(store: Store) -> None:
    number = collection(store, [document("a", 1), document("b", 1)])
    with store.writing() as writer, pytest.raises(DocumentsExist) as refused:
        writer.upsert(number, [document("new"), document("b", 2), document("a", 2)], mode="create")
    assert refused.value.ids == ("b", "a")
    with store.reading() as reader:
        assert [each.value["seed"] for each in reader.page(number)] == [1, 1]


def test_an_id_twice_in_one_call_writes_nothing(store: Store) -> None:
    number = collection(store)
    with store.writing() as writer, pytest.raises(DocumentsRepeated, match="'a'"):
        writer.upsert(number, [document("a", 1), document("b"), document("a", 2)])
    with store.reading() as reader:
        assert reader.count(number) == 0


def test_widths_come_from_the_first_write_that_commits(store: Store) -> None:
    number = collection(store)

    def two_widths() -> None:
        with store.writing() as writer:
            writer.upsert(number, [document("a")])
            writer.upsert(number, [document("b", key_vector=np.ones(5))])

    with pytest.raises(WidthMismatch):
        two_widths()
    with store.writing() as writer:
        writer.upsert(number, [document("a", key_vector=np.ones(5), value_vector=None)])
        assert writer.collection("c").settings.dimension == 5
    with store.reading() as reader:
        assert (reader.collection("c").settings.dimension, reader.collection("c").settings.value_dimension) == (5, 5)


@pytest.mark.parametrize(
    ("given", "wanted", "came"),
    [
        ({"key_vector": np.ones(4)}, 3, 4),
        ({"value_vector": np.ones(5)}, 2, 5),
        ({"value_vector": None}, 2, 3),  # the key vector stands in
    ],
)
def test_another_width_writes_nothing(store: Store, given: dict[str, Any], wanted: int, came: int) -> None:
    number = collection(store, [document("a", 1)])
    with store.writing() as writer, pytest.raises(WidthMismatch) as refused:
        writer.upsert(number, [document("a", 2), document("b", **given)])
    assert (refused.value.document, refused.value.wanted, refused.value.given) == ("b", wanted, came)
    with store.reading() as reader:
        assert [plain(each) for each in reader.page(number)] == [plain(document("a", 1))]


def test_vectors_stream_in_row_order_and_keys_stand_in_for_missing_values(store: Store) -> None:
    keys = np.random.default_rng(3).standard_normal((11, 3)).astype(np.float32)
    values = -keys
    number = collection(
        store,
        [document(f"{i}", key_vector=keys[i], value_vector=values[i] if i > 5 else None) for i in range(11)],
    )
    with store.reading() as reader:
        batches = list(reader.vectors(number, batch=4))
    assert [len(rows) for rows, _, _ in batches] == [4, 4, 3]
    assert batches[0][2] is None
    rows = np.concatenate([rows for rows, _, _ in batches])
    assert (np.diff(rows) > 0).all()
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(np.concatenate([each for _, each, _ in batches]), keys)
    stood_in = np.concatenate([k if v is None else v for _, k, v in batches])
    np.testing.assert_array_equal(stood_in, np.concatenate([keys[:6], values[6:]]))


def test_pages_go_by_code_point_and_each_document_is_seen_once(store: Store) -> None:
    ids = ["a", "B", "é", "猫", "😺", "z/1", "10", "9", "\uffff"]
    number = collection(store, [document(each) for each in ids])
    seen: list[str] = []
    while True:
        with store.reading() as reader:
            page = reader.page(number, after=seen[-1] if seen else None, limit=2)
        if not page:
            break
        seen += [each.id for each in page]
        with store.writing() as writer:
            writer.upsert(number, [document(each, seed=1) for each in ids])
    assert seen == sorted(ids)
    wanted = [f"n{i}" for i in range(3000)] + ["z/1", "a", "a", "\ud800"]
    with store.reading() as reader:
        assert [each.id for each in reader.page(number, ids=wanted)] == ["a", "z/1"]
        assert [each.id for each in reader.page(number, ids=wanted, after="a", limit=1)] == ["z/1"]
        assert reader.page(number, ids=[]) == []
        condition = Comparison("metadata.seed", "==", 1)
        assert reader.count(number, ids=wanted, condition=condition) == 2
        assert reader.count(number, condition=Comparison("id", "<", "a")) == 3


def test_only_temperature_and_null_can_be_changed(store: Store) -> None:
    collection(store)
    with store.writing() as writer:
        changed = writer.update_collection("c", replace(SETTINGS, temperature=0.5, null="auto"))
        assert changed.settings == replace(SETTINGS, temperature=0.5, null="auto")
        with pytest.raises(CollectionFixed, match="similarity"):
            writer.update_collection("c", replace(changed.settings, similarity="dot"))
        with pytest.raises(CollectionMissing):
            writer.update_collection("nowhere", SETTINGS)


def test_a_deleted_collection_leaves_no_row_of_its_own(store: Store) -> None:
    kept = collection(store, [document("a", 1)], "kept")
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
        assert not [name for name in tables if name.startswith(f"words_{gone}")]
        assert reader.count(kept) == 1
        assert reader.count(gone) == 0
        with pytest.raises(DocumentDamaged, match="row 999"):
            reader.documents(kept, np.array([999]))
    with store.writing() as writer, pytest.raises(CollectionMissing):
        writer.upsert(gone, [document("a")])
    assert collection(store, name="gone") > gone
    assert list(store.check()) == []


def test_a_caller_who_goes_on_after_an_error_commits_no_half(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        number = collection(store, [document("a", 1)])
        with store.writing() as writer:
            broken = document("b", key_vector=np.array(["x", "y", "z"], dtype=object))
            with pytest.raises(ValueError, match="could not convert"):
                writer.upsert(number, [document("a", 2), broken])
            writer.upsert(number, [document("c", 3)])
        with store.reading() as reader:
            assert [each.value["seed"] for each in reader.page(number)] == [1, 3]


def test_documents_are_looked_up_by_row_and_not_searched_for(store: Store) -> None:
    number = collection(store)
    with store.writing() as writer:
        rows = writer.upsert(number, [document(str(i)) for i in range(20)]).added
    ran: list[str] = []
    with store.reading() as reader:
        reader._connection.set_trace_callback(ran.append)
        assert reader.ids(number, rows[[7, 3]]) == ["7", "3"]
        assert [each.id for each in reader.documents(number, rows[[7, 3]])] == ["7", "3"]
        reader._connection.set_trace_callback(None)
        steps = [row[3] for read in ran for row in reader._connection.execute(f"EXPLAIN QUERY PLAN {read}")]
    assert not [step for step in steps if "(collection=?" in step]
    assert sum("USING INTEGER PRIMARY KEY" in step for step in steps) == 3
