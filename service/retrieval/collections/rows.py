"""Documents that are stored → the rows that a memory of keys holds of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from attention.lookup import Memory, Rows, SealedError
from service.retrieval.collections.sealed import RestoredRows, SealedBlocks
from service.storage import CollectionRecord, DocumentDamaged, DocumentRecord, KeyRows, Reader

log = structlog.get_logger("softkv")

MAX_UNCODED_COMPONENTS = 2**18 * 384
"""So many components or fewer are answered from as they are stored, in some tens of milliseconds, before they have
codes."""


def build_rows(numbers: np.ndarray, documents: Sequence[DocumentRecord]) -> Rows | None:
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


def concatenate_rows(found: Sequence[KeyRows]) -> Rows | None:
    """The rows of keys that were read one after another; None where there are none."""
    if not found:
        return None
    values = None
    if any(each.values is not None for each in found):
        values = np.concatenate([each.keys if each.values is None else each.values for each in found])
    numbers, owners = (np.concatenate([getattr(each, name) for each in found]) for name in ("numbers", "owners"))
    return Rows(numbers, np.concatenate([each.keys for each in found]), values, owners)


@dataclass(frozen=True)
class KeyStorage:
    """How the keys of a collection are kept on this machine.

    Attributes:
        originals: a directory for the float32 vectors of a large one; None keeps them in memory.
    """

    originals: Path | None

    def memory(self, record: CollectionRecord, *, expected: int = 0, codes_later: bool = False) -> Memory:
        """An empty memory for its keys, see there."""
        return Memory(
            record.settings.similarity,
            self.originals,
            expected=expected,
            codes_later=codes_later,
        )


def load_memory(
    record: CollectionRecord,
    reader: Reader,
    damaged: Callable[[DocumentDamaged], object],
    sealed: SealedBlocks,
    kept: KeyStorage,
) -> Memory:
    """The keys and values that are stored of a collection; those of a small one have no codes yet, see `Memory.code`.

    A file that proves to be not what was written is removed, and its rows are read from the store.

    Args:
        damaged: is told of each document that is not what its checksum says, which is left out.
        sealed: what of it lies in files, and is not read from the store.
        kept: how the memory is made.

    Raises:
        StorageError: they can't be read.
        MemoryError: there is no room for them.
    """
    while True:
        try:
            return _build_memory(record, reader, damaged, sealed.read(record, reader), kept)
        except SealedError as error:  # a row was to stand behind those of a file, which are copied then
            log.warning("a sealed block is made anew", file=error.path.name, reason=str(error))
            sealed.discard(error.path)


def _build_memory(
    record: CollectionRecord,
    reader: Reader,
    damaged: Callable[[DocumentDamaged], object],
    found: RestoredRows | None,
    kept: KeyStorage,
) -> Memory:
    rows = record.attendable
    soon = found is None and rows * (record.settings.dimension or 1) <= MAX_UNCODED_COMPONENTS
    memory = kept.memory(record, expected=rows, codes_later=soon)
    gone = list[int]()

    def note(error: DocumentDamaged) -> None:
        damaged(error)
        gone.append(error.row or 0)

    among = None if found is None else found.documents
    with closing(prefetch_rows(reader.vectors(record.id, among=among, damaged=note))) as batches:
        fill_memory(memory, found, batches, gone)
    return memory


def fill_memory(memory: Memory, found: RestoredRows | None, batches: Iterable[Rows], gone: list[int]) -> None:
    """Have an empty memory hold what was found in files, and what is read beside.

    Args:
        batches: the rows of all documents of which rows were not found.
        gone: damaged ones, which are to be left out, as they are known once all batches were read.

    Raises:
        SealedError: an original in a file is not what was written, and was to be copied.
    """
    if found is not None:
        memory.adopt(found.segments)
    for batch in batches:
        memory.publish(add=batch if found is None else _without_numbers(batch, found.numbers))
    if gone and found is not None:  # a part of a document may lie in a file
        memory.publish(remove=np.array(gone, dtype=np.int64))


def _without_numbers(rows: Rows, there: np.ndarray) -> Rows:
    """Those of the rows whose numbers are not among int64[n], which ascend: of a document a part may be there."""
    at = np.minimum(np.searchsorted(there, rows.numbers), len(there) - 1)
    left = there[at] != rows.numbers
    if left.all():
        return rows
    values = None if rows.values is None else rows.values[left]
    owners = None if rows.owners is None else rows.owners[left]
    return Rows.stored(rows.numbers[left], rows.keys[left], values, owners)


def prefetch_rows(batches: Iterator[KeyRows]) -> Generator[Rows]:
    """The rows of batches as they are read, each in a thread of its own while the one before is used."""

    def following() -> Rows | None:
        found = next(batches, None)
        return None if found is None else Rows(found.numbers, found.keys, found.values, found.owners)

    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        coming = thread.submit(following)
        while (rows := coming.result()) is not None:
            coming = thread.submit(following)
            yield rows
