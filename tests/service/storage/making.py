"""Documents and collections for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from softkv_service.storage import Store
from softkv_service.storage.records import CollectionSettings, DocumentRecord, JSONText
from tests.examples import ROOT

WIDTH = 3
SETTINGS = CollectionSettings(similarity="cosine", temperature=0.05)
OF_ITSELF = JSONText((ROOT / "tests/service/storage/self_calibration.json").read_text())
"""A calibration of a collection's own texts, as an earlier version stored it."""
WITH_SETS = JSONText((ROOT / "tests/service/storage/conformal_calibration.json").read_text())
"""A calibration with conformal sets, and what feedback said of it, as an earlier build stored it."""


def document(identity: str, seed: int = 0, **fields: Any) -> DocumentRecord:
    """Return a document whose parts follow from its seed, except the fields that are set."""
    made = DocumentRecord(
        id=identity,
        key=f"key {seed}",
        value={"seed": seed},
        keys=np.array([[seed, 0.1, -1]], np.float32),
        value_vector=np.array([seed, 7], np.float32),
        metadata={"seed": seed},
    )
    return replace(made, **fields)


def plain(record: DocumentRecord) -> tuple[Any, ...]:
    """Return a record without its row number, in a comparable form."""
    value = None if record.value_vector is None else record.value_vector.tolist()
    return (
        record.id,
        record.key,
        record.value,
        record.metadata,
        record.keys.tolist(),
        record.parts,
        value,
        record.value_sent,
        record.expires,
    )


def collection(store: Store, documents: Sequence[DocumentRecord] = (), name: str = "c") -> int:
    """The number of a new collection that holds these documents, in place of any other of its name."""
    with store.writing() as writer:
        if name in [record.name for record in writer.collections()]:
            writer.delete_collection(name)
        number = writer.create_collection(name, SETTINGS).id
        if documents:
            writer.upsert(number, documents)
    return number
