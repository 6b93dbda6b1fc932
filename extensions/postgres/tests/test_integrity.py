"""Integrity checks name each kind of difference from what was written, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from softkv_service.storage import ReEncoding
from softkv_service.storage.records import DocumentRecord
from tests.service.storage.making import SETTINGS, collection, document


def documents() -> list[DocumentRecord]:
    metadata = {"shelf": "Straße", "year": 0.1, "tags": ["a", 2**70, True, None], "deep": {"er": 1.0}}
    return [document(f"Id-{i}", key=f"Text {i} ﬁ", metadata={**metadata, "n": i}) for i in range(20)]


@pytest.fixture
def filled(store: Any) -> Any:
    """Documents that live, some that were replaced or deleted, and one without a key."""
    number = collection(store, documents())
    with store.writing() as writer:
        writer.upsert(number, documents()[:5])
        writer.delete_ids(number, ["Id-19"])
        writer.upsert(number, [document("keyless", key=None, keys=[])])
    collection(store, name="empty")
    return store


def test_a_filled_store_passes_its_integrity_check(filled: Any) -> None:
    assert list(filled.check()) == []


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE softkv.documents SET value = '{\"seed\":8}' WHERE id = 'Id-7'", "document 'Id-7', row 8 is damaged"),
        (
            "UPDATE softkv.documents SET metadata = '{}' WHERE id = 'Id-0' AND died IS NOT NULL",
            "'Id-0', row 1 is damaged",
        ),
        (
            "UPDATE softkv.vectors SET key_vector = set_bit(key_vector, 9, 1 - get_bit(key_vector, 9))"
            " WHERE document = 7",
            "row 7",
        ),
        ("DELETE FROM softkv.vectors WHERE document = 9", "row 9 is damaged on disk: its vectors"),
        (
            "UPDATE softkv.documents SET id_hash = id_hash + 1 WHERE id = 'Id-8'",
            "document 'Id-8' (row 9) stands in another place",
        ),
        (
            'UPDATE softkv.fields SET number = number + 1e-30 WHERE "row" = 9 AND NOT whole',
            "document 'Id-8' (row 9): what filters",
        ),
        (
            'DELETE FROM softkv.fields WHERE "row" = 9 AND element = 1 AND kind = 1',
            "document 'Id-8' (row 9): what filters",
        ),
        ("UPDATE softkv.documents SET folded_key = 'text' WHERE \"row\" = 9", "document 'Id-8' (row 9): what filters"),
        ("UPDATE softkv.collections SET temperature = 2 WHERE name = 'empty'", "collection 'empty' is damaged"),
        (
            "UPDATE softkv.collections SET documents = documents + 1 WHERE name = 'c'",
            "'c' holds 21 documents, and 20 are found",
        ),
        (
            "UPDATE softkv.collections SET keyless = 0 WHERE name = 'c'",
            "'c' holds 0 documents without a key, and 1 are found",
        ),
        ("UPDATE softkv.collections SET next_row = 20 WHERE name = 'c'", "'c' gives the row number 20 next"),
        ("UPDATE softkv.documents SET born = 99 WHERE id = 'Id-8'", "has the version 4, and 1 rows are of versions"),
        ("DELETE FROM softkv.changes WHERE version = 2", "its log, which ends at 4, does not lead there"),
        ("DELETE FROM softkv.changes WHERE version = 4", "its log, which ends at 3, does not lead there"),
        ("DELETE FROM softkv.collections WHERE name = 'c'", "26 rows of documents are of nothing that is there"),
    ],
)
def test_each_thing_that_is_not_so_is_named(filled: Any, statement: str, named: str) -> None:
    with filled.writing() as writer:
        changed = writer._connection.execute(statement).rowcount
    assert changed > 0
    assert named in "\n".join(filled.check())


def test_a_damaged_move_to_another_encoder_has_failed_and_is_named(filled: Any) -> None:
    with filled.reading() as reader:
        number = reader.collection("empty").id
    job = ReEncoding(number, None, "running", None, None, "new", None, None, (), 0.0)
    with filled.writing() as writer:
        begun = writer.begin_re_encoding(job, SETTINGS)
    assert list(filled.check()) == []
    with filled.reading() as reader:
        assert reader.re_encoding(number) == begun
    with filled.writing() as writer:
        writer._run("UPDATE softkv.re_encodings SET job = replace(job, 'new', 'now')")
    assert [line for line in filled.check() if "to another encoder is not what was written" in line]
    with filled.reading() as reader:
        (read,) = reader.re_encodings()
    assert (read.damaged, read.state, read.shadow) == (True, "failed", None)


def test_words_of_another_text_are_named(filled: Any) -> None:
    with filled.writing() as writer:
        writer._connection.execute("ALTER TABLE softkv.documents ALTER COLUMN words DROP EXPRESSION")
        writer._connection.execute("UPDATE softkv.documents SET words = '' WHERE id = 'Id-8'")
    assert list(filled.check()) == [
        "document 'Id-8' (row 9): the words that full text looks for are not those of its key"
    ]
