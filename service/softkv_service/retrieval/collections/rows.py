"""Rows of keys for the memory of a collection, built from stored documents."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from softkv_attention.lookup import Limits, Memory, Rows, SealedError
from softkv_service.logs import log
from softkv_service.retrieval.collections.sealed import RestoredRows, SealedBlocks
from softkv_service.storage import Reader
from softkv_service.storage.errors import DocumentDamaged
from softkv_service.storage.records import CollectionRecord, DocumentRecord, KeyRows

DOCUMENTS_AT_ONCE = 4096
"""Documents whose keys are read from the store at a time."""

MAX_UNCODED_COMPONENTS = 2**18 * 384
"""Collections up to this size answer from uncoded keys after a start, in some tens of milliseconds, until they have
codes.
"""


def build_rows(numbers: np.ndarray, documents: Sequence[DocumentRecord]) -> Rows | None:
    """Return the rows of stored documents with these row numbers; None if no document has a key."""
    counts = np.array([len(document.keys) for document in documents])
    keyed = [document for document in documents if len(document.keys)]
    if not keyed:
        return None
    values = None
    if any(document.value_vector is not None for document in keyed):
        values = np.concatenate([document.values() for document in keyed])
    owners, firsts = np.repeat(numbers, counts), np.repeat(np.cumsum(counts) - counts, counts)
    keys = np.concatenate([document.keys for document in keyed])
    return Rows(owners + np.arange(len(keys)) - firsts, keys, values, owners)


def concatenate_rows(batches: Sequence[KeyRows]) -> Rows | None:
    """Join batches of keys that were read one after another; return None without any batch."""
    if not batches:
        return None
    values = None
    if any(batch.values is not None for batch in batches):
        values = np.concatenate([batch.keys if batch.values is None else batch.values for batch in batches])
    numbers, owners = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("numbers", "owners"))
    return Rows(numbers, np.concatenate([batch.keys for batch in batches]), values, owners)


@dataclass(frozen=True)
class KeyStorage:
    """The storage of a collection's keys on this machine: in memory, or partly on disk.

    Attributes:
        originals: a directory for the float32 vectors of a large collection; None keeps them in memory.
        limits: of the memories, see `softkv_attention.lookup.Limits`.
        codes_from: see `softkv_attention.lookup.Memory`.
    """

    originals: Path | None
    limits: Limits = Limits()
    codes_from: int = 0

    def memory(self, record: CollectionRecord, *, expected: int = 0, codes_later: bool = False) -> Memory:
        """Return an empty memory for the keys of a collection.

        Args:
            record: the collection's record.
            expected: about how many keys will be added.
            codes_later: whether the 8-bit codes of the keys are computed later.
        """
        return Memory(
            record.settings.similarity,
            self.originals,
            expected=expected,
            codes_later=codes_later,
            limits=self.limits,
            codes_from=self.codes_from,
        )


def read_waiting(record: CollectionRecord, reader: Reader) -> np.ndarray:
    """Return int64[n], ascending, the row numbers of the documents whose values wait.

    Where rows may get their values meanwhile, this is read before their vectors: it then has all whose vectors lack.
    """
    return np.sort(np.concatenate(reader.find_waiting_values(record.id)))


def load_memory(
    record: CollectionRecord,
    reader: Reader,
    damaged: Callable[[DocumentDamaged], object],
    sealed: SealedBlocks,
    storage: KeyStorage,
) -> Memory:
    """Load the keys and values of a collection into memory, from files of coded keys and from the store.

    A damaged file is removed, and its rows are read from the store. The keys of a small collection have no 8-bit codes
    yet, see `Memory.code`.

    Args:
        record: the collection's record.
        reader: reads the store.
        damaged: called for each document that does not match its checksum; the document is left out.
        sealed: the files that an earlier run wrote; their rows are not read from the store.
        storage: builds the memory.

    Raises:
        StorageError: the rows cannot be read.
        MemoryError: there is not enough memory.
    """
    while True:
        try:
            return _build_memory(record, reader, damaged, sealed.read(record, reader), storage)
        except SealedError as error:  # adding a row after those of a file copies these, and an original was damaged
            log.warning("sealed block is damaged; rebuilding", file=error.path.name, reason=str(error))
            sealed.discard(error.path)


def _build_memory(
    record: CollectionRecord,
    reader: Reader,
    damaged: Callable[[DocumentDamaged], object],
    restored: RestoredRows | None,
    storage: KeyStorage,
) -> Memory:
    rows = record.attendable
    codes_later = restored is None and rows * (record.settings.dimension or 1) <= MAX_UNCODED_COMPONENTS
    memory = storage.memory(record, expected=rows, codes_later=codes_later)
    damaged_rows = list[int]()

    def record_damage(error: DocumentDamaged) -> None:
        damaged(error)
        damaged_rows.append(error.row or 0)

    documents = None if restored is None else restored.documents
    stored = reader.vectors(record.id, DOCUMENTS_AT_ONCE, documents=documents, damaged=record_damage)
    # A thread would take longer to start than a single batch takes to read.
    with closing(prefetch_rows(stored) if rows > DOCUMENTS_AT_ONCE else read_rows(stored)) as batches:
        fill_memory(memory, restored, batches, damaged_rows)
    return memory


def fill_memory(
    memory: Memory, restored: RestoredRows | None, batches: Iterable[Rows], damaged_rows: list[int]
) -> None:
    """Fill an empty memory with rows restored from files, and with rows read from the store.

    Args:
        batches: the rows of all documents of which some rows were not restored.
        damaged_rows: damaged documents to leave out; complete only after all batches were read.

    Raises:
        SealedError: an original in a file is damaged and had to be copied.
    """
    if restored is not None:
        memory.adopt(restored.segments)
    for batch in batches:
        memory.publish(add=batch if restored is None else _without_numbers(batch, restored.numbers))
    if damaged_rows and restored is not None:  # a file may hold some rows of a damaged document
        memory.publish(remove=np.array(damaged_rows, dtype=np.int64))


def _without_numbers(rows: Rows, numbers: np.ndarray) -> Rows:
    """Return the rows whose numbers are not among `numbers`, since a part of a document may be restored from a file.

    Args:
        rows: rows from the store.
        numbers: int64[n], ascending.
    """
    indices = np.minimum(np.searchsorted(numbers, rows.numbers), len(numbers) - 1)
    remaining = numbers[indices] != rows.numbers
    if remaining.all():
        return rows
    values = None if rows.values is None else rows.values[remaining]
    owners = None if rows.owners is None else rows.owners[remaining]
    return Rows.without_checks(rows.numbers[remaining], rows.keys[remaining], values, owners)


def read_rows(batches: Iterator[KeyRows]) -> Generator[Rows]:
    """Yield the rows of batches."""
    for batch in batches:
        yield Rows(batch.numbers, batch.keys, batch.values, batch.owners)


def prefetch_rows(batches: Iterator[KeyRows]) -> Generator[Rows]:
    """Yield the rows of batches; a thread reads the next batch while the caller uses the current one."""
    all_rows = read_rows(batches)
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        pending = thread.submit(next, all_rows, None)
        while (rows := pending.result()) is not None:
            pending = thread.submit(next, all_rows, None)
            yield rows
