"""What SQLite's statements are made of: columns in their order, question marks, row numbers as texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from service.storage.forms import SETTINGS_COLUMNS
from service.storage.records import RowNumbers

COLLECTION_COLUMNS = f"id, name, documents, keyless, checksum, {SETTINGS_COLUMNS}"
TEXT_COLUMNS = (
    'documents."row", documents.collection, documents.id, documents.key, documents.value, documents.metadata, '
    "documents.keys, documents.checksum"
)
VECTOR_COLUMNS = (
    'vectors."row", vectors.document, vectors.first, vectors.last, vectors.key_vector, vectors.value_vector, '
    "vectors.checksum"
)


def marks(values: Sequence[Any]) -> str:
    """A question mark for each value."""
    return ", ".join("?" * len(values))


def numbers_of(text: str | None) -> RowNumbers:
    """Row numbers int64[n] from what `group_concat` makes of them, much faster than row by row; None for none."""
    return np.fromstring(text or "", dtype=np.int64, sep=",")


def numbers_text(rows: Any) -> str:
    """Row numbers as the JSON list that `json_each` reads: one parameter for any number of them."""
    return json.dumps(np.asarray(rows, dtype=np.int64).tolist())
