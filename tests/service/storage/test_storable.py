"""What cannot be stored is refused, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.storage import DocumentsRepeated, Store, Unstorable, WidthMismatch
from tests.service.storage.making import collection, document, plain


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
