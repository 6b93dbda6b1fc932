"""What was measured of encoders, kept in the store."""

from __future__ import annotations

from typing import Any

from softkv_service.storage import SQLiteStore, Store, copy_encoder_measurements
from softkv_service.storage.records import EncoderMeasurements

MEASURED = EncoderMeasurements("nomic-embed-text", '{"unit_length": true}')


def test_stored_measurements_are_read_and_replaced(store: Store) -> None:
    assert store.encoder_measurements("nomic") is None
    store.keep_encoder_measurements("nomic", *MEASURED)
    store.keep_encoder_measurements("other", "x", "{}")
    assert store.encoder_measurements("nomic") == MEASURED
    store.keep_encoder_measurements("nomic", "nomic-embed-text-v2", "{}")
    assert store.encoder_measurements("nomic") == EncoderMeasurements("nomic-embed-text-v2", "{}")
    assert store.measured_encoders() == ["nomic", "other"]


def test_a_copy_of_a_store_has_it(store: Store, tmp_path) -> None:
    store.keep_encoder_measurements("nomic", *MEASURED)
    with SQLiteStore.open(tmp_path / "copy") as target:
        copy_encoder_measurements(store, target)
        assert target.encoder_measurements("nomic") == MEASURED


def test_a_damaged_row_is_reported_and_not_served(store: Any) -> None:
    store.keep_encoder_measurements("nomic", *MEASURED)
    schema = "" if isinstance(store, SQLiteStore) else "softkv."
    with store.writing() as writer:
        writer._connection.execute(f"UPDATE {schema}encoder_measurements SET measurements = '{{}}'")
    assert store.encoder_measurements("nomic") is None
    assert [line for line in store.check() if "'nomic'" in line]
