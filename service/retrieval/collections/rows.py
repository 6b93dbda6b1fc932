"""Documents that are stored → the rows that a memory of keys holds of them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from attention.lookup import Rows
from service.storage import DocumentRecord, KeyRows


def rows_of(numbers: np.ndarray, documents: Sequence[DocumentRecord]) -> Rows | None:
    """What a lookup needs of documents that are stored under these numbers; None where none has a key."""
    keyed = [(number, each) for number, each in zip(numbers.tolist(), documents, strict=True) if len(each.keys)]
    if not keyed:
        return None
    values = None
    if any(document.value_vector is not None for _, document in keyed):
        values = np.concatenate([document.values() for _, document in keyed])
    return Rows(
        np.concatenate([number + np.arange(len(document.keys)) for number, document in keyed]),
        np.concatenate([document.keys for _, document in keyed]),
        values,
        np.repeat([number for number, _ in keyed], [len(document.keys) for _, document in keyed]),
    )


def rows_ahead(batches: Iterator[KeyRows]) -> Generator[Rows]:
    """The rows of batches as they are read, each in a thread of its own while the one before is used."""

    def following() -> Rows | None:
        found = next(batches, None)
        return None if found is None else Rows(found.numbers, found.keys, found.values, found.owners)

    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        coming = thread.submit(following)
        while (rows := coming.result()) is not None:
            coming = thread.submit(following)
            yield rows
