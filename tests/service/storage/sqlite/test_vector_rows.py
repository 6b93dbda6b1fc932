"""A document has one key, several, or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from softkv_service.storage import SQLiteStore
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.records import DocumentRecord, TextSpan
from softkv_service.storage.sqlite import vector_rows
from tests.service.storage.making import WIDTH, collection, document, plain


def with_keys(identity: str, count: int, seed: int = 0, *, values: bool = True) -> DocumentRecord:
    """Return a document with `count` keys; several keys are parts of its text."""
    keys = np.random.default_rng([seed, count]).normal(size=(count, WIDTH)).astype(np.float32)
    key = " ".join(f"word{i}" for i in range(count)) if count else None
    parts = tuple(TextSpan(6 * i, 6 * i + 5) for i in range(count)) if count > 1 else ()
    value = np.array([seed, count], np.float32) if values else None
    return document(identity, seed, key=key, keys=keys, parts=parts, value_vector=value)


def every_key(store: SQLiteStore, number: int, batch: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    with store.reading() as reader:
        batches = list(reader.vectors(number, batch=batch))
    stood_in = [rows.keys if rows.values is None else rows.values for rows in batches]
    numbers, owners = (np.concatenate([getattr(rows, name) for rows in batches]) for name in ("numbers", "owners"))
    return numbers, owners, np.concatenate([rows.keys for rows in batches]), np.concatenate(stood_in)


@pytest.mark.parametrize("values", ["all", "none", "mixed"])
def test_documents_come_back_with_all_their_keys(tmp_path: Path, values: str) -> None:
    counts = [1, 0, 3, 1, 7, 0, 2]
    if values == "mixed":  # keys stand in, so the others have as many components
        written = [with_keys(f"{i}", count, i, values=False) for i, count in enumerate(counts)]
        written[::2] = [replace(one, value_vector=np.full(WIDTH, i, np.float32)) for i, one in enumerate(written[::2])]
    else:
        written = [with_keys(f"{i}", count, i, values=values == "all") for i, count in enumerate(counts)]
    with SQLiteStore.open(tmp_path) as store:
        number = collection(store, written)
    with SQLiteStore.open(tmp_path) as store:
        with store.reading() as reader:
            ways: list[Sequence[DocumentRecord]] = [
                reader.page(number),
                reader.documents(number, reader.rows_where(number)),
                [found for document in written if (found := reader.document(number, document.id)) is not None],
            ]
            record = reader.collection("c")
        for way in ways:
            assert [plain(document) for document in way] == [plain(document) for document in written]
        assert (record.documents, record.keyless, record.attendable) == (7, 2, 5)
        numbers, owners, keys, stood_in = every_key(store, number)
        with_some = [document for document in written if len(document.keys)]
        np.testing.assert_array_equal(keys, np.concatenate([document.keys for document in with_some]))
        np.testing.assert_array_equal(stood_in, np.concatenate([document.values() for document in with_some]))
        assert (np.diff(numbers) > 0).all()
        first_rows = [document.row for document in ways[0] if len(document.keys)]
        assert owners.tolist() == np.repeat(first_rows, [len(document.keys) for document in with_some]).tolist()
        assert list(store.check()) == []


@pytest.mark.parametrize("values", [True, False])
@pytest.mark.parametrize("counts", [[1] * 9, [1, 3, 1, 2, 7], [2, 2, 2]])
def test_keys_that_are_read_at_once_are_those_that_are_read_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: bool, counts: list[int]
) -> None:
    with SQLiteStore.open(tmp_path) as store:
        number, other = collection(store), collection(store, name="other")
        for i, count in enumerate(counts):
            with store.writing() as writer:
                # Rows of another collection lie between: first few, then too many for a walk through them.
                writer.upsert(other, [with_keys(f"{j}", 1 + j % 2, j) for j in range(12 if i > 2 else 1)])
                writer.upsert(number, [with_keys(f"{i}", count, i, values=values)])
        with monkeypatch.context() as patched:
            patched.setattr(vector_rows, "_at_once", lambda *_: None)
            one_by_one = every_key(store, number)
        monkeypatch.setattr(vector_rows, "_one_by_one", None)
        for batch in (1, 3, 100):
            for actual, expected in zip(every_key(store, number, batch), one_by_one, strict=True):
                np.testing.assert_array_equal(actual, expected)
                assert actual.dtype == expected.dtype


@pytest.mark.parametrize("lost", [0, 1])
def test_a_key_that_is_gone_is_damage(tmp_path: Path, lost: int) -> None:
    with SQLiteStore.open(tmp_path) as store:
        number = collection(store, [with_keys("whole", 2), with_keys("hurt", 3)])
        path = store.path
        with store.reading() as reader:
            hurt = reader.existing(number, ["hurt"])["hurt"]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('DELETE FROM vectors WHERE "row" = ?', (hurt + lost,))
        connection.commit()
    with SQLiteStore.open(tmp_path) as store:
        with store.reading() as reader:
            with pytest.raises(DocumentDamaged, match="hurt"):
                reader.document(number, "hurt")
            damage: list[DocumentDamaged] = []
            batches = list(reader.vectors(number, damaged=damage.append))
        assert [error.row for error in damage] == [hurt]
        assert [len(rows.numbers) for rows in batches] == [2]
        assert any(f"row {hurt}" in finding for finding in store.check())
