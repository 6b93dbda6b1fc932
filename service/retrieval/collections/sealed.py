"""The blocks of a collection in files, so that a start need not read and code all of its keys again.

The store is the truth. A row's number and its checksum there, which is of its number, its document and its vectors,
tell whether a file has the same row: a file one of whose rows is another one in the store is removed, whatever came
about: a store that was restored, copied over, or changed while nobody looked. Rows that are in the store and in no
file are read from the store. The float32 originals in a file are held against their checksums as they are used, and
all of them soon after a start: where one is not what was written, its file is removed as well.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from time import sleep
from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np
import structlog

from attention.lookup import SealedError, Segment, View, seal, sealable, unseal
from service.retrieval.collections.fitting import ALL, ChecksumReader, SealedFile, Span, match_files, read_checksums
from service.storage import CollectionRecord, StorageError

log = structlog.get_logger("softkv")

_NAME = "softkv.sealed-"
_READERS = 4
"""Files that are held against their checksums, and the store, at a time."""

_CHECK_BYTES = 2**24
_PAUSE_SECONDS = 0.05
"""Bytes of originals that are checked at a time after a start, and the pause in between, in which others run."""

_FREE_SPACE_FACTOR = 2
"""A file is written where the disk has room for so many of it."""

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class RestoredRows:
    """What of a collection was found in files.

    Attributes:
        segments: with the rows that the store has as well, each once.
        numbers: int64[n], of these rows, ascending.
        documents: int64[m], ascending, those of which the store has rows that were not found; to be read from it.
    """

    segments: Sequence[Segment]
    numbers: Array
    documents: Array


class ChecksumStore(Protocol):
    """What has the rows that files are held against: a `service.storage.Store` is one."""

    def reading(self) -> AbstractContextManager[ChecksumReader]:
        """One consistent state for as long as the block runs."""


class SealedBlocks:
    """The files of one collection, or of some of its documents, and which of the blocks they have.

    Args:
        directory: where they lie; None: there are none, and none is written.
        collection: its number in the store.
        span: of which documents; files of others have other names, see `name_of`.
        wrong: files that are never read again, since they were not what was written.
    """

    def __init__(
        self,
        directory: Path | None,
        store: ChecksumStore,
        collection: int,
        span: Span = ALL,
        wrong: set[Path] | None = None,
    ) -> None:
        self._directory = directory
        self._store = store
        self._collection, self._span = collection, span
        self._files: WeakKeyDictionary[object, tuple[Path, int]] = WeakKeyDictionary()
        self._wrong = set[Path]() if wrong is None else wrong
        self._lock = Lock()
        self._gone = False

    def read(self, record: CollectionRecord, reader: ChecksumReader) -> RestoredRows | None:
        """What the files have of what is stored; None where that is nothing. Files that do not fit are removed.

        The files of all documents are read in several threads, whose readers see the same only while nobody writes.
        """
        with self._lock:
            paths = [path for path in self._paths() if path not in self._wrong]
            if not paths:
                return None
            if self._span == ALL:
                with ThreadPoolExecutor(_READERS, thread_name_prefix="unseal") as threads:
                    opened = list(threads.map(partial(self._opened_beside, record), paths))
            else:
                opened = [self._opened(record, path, reader) for path in paths]
            found = match_files(reader, self._collection, [each for each in opened if each is not None], self._span)
            segments = [file.sealed.segment(live) for file, live in found.files]
            for file, _ in found.files:
                self._files[file.sealed.block] = file.path, file.sealed.count
            self._remove_all_but({path for path, _ in self._files.values()} - self._wrong)
        segments.sort(key=lambda segment: int(segment.numbers[0]))
        return RestoredRows(segments, found.numbers, found.documents) if segments else None

    def step(self, view: View, *, complete: bool = False) -> bool:
        """Write a file of a block that has none yet; where each has one, remove files of blocks that are gone.

        Args:
            complete: no row will be added to the view any more.

        Returns:
            Whether one was written. It is not where the disk has no room, or fails.
        """
        if self._directory is None:
            return False
        with self._lock:
            if self._gone:
                return False
            for segment in sealable(view, complete=complete):
                _, count = self._files.get(segment.block, (None, 0))
                if count == segment.count:
                    continue
                try:
                    return self._seal(view, segment)
                except (OSError, StorageError) as error:
                    log.warning("a block could not be sealed", collection=self._collection, reason=str(error))
                    return False
            there = {segment.block for segment in view.segments}
            self._remove_all_but({path for block, (path, _) in self._files.items() if block in there})
        return False

    def check_some(self, view: View) -> bool:
        """Hold some of the originals of a view's blocks against their checksums, and pause: whether any were left.

        Raises:
            SealedError: one is not what was written.
        """
        unread = next((s.block.unread for s in view.segments if s.block.unchecked), None)
        if unread is None or self._gone:
            return False
        unread.check_next(_CHECK_BYTES)
        sleep(_PAUSE_SECONDS)
        return True

    def discard(self, path: Path, view: View | None = None) -> bool:
        """Remove a file that is not what was written, and never read it again: whether a block of the view lies in it.

        It stays open where it is mapped, and may be there still where nothing can be removed.
        """
        self._wrong.add(path)
        _unlink(path)
        blocks = [] if view is None else [segment.block for segment in view.segments]
        return any(self._files.get(block, (None, 0))[0] == path for block in blocks)

    def remove(self) -> None:
        """The collection is gone: so are its files, and none is written any more."""
        with self._lock:
            self._gone = True
            self._remove_all_but(set())

    def let_go(self) -> None:
        """Nobody has these documents here any more: no file is written or removed, and those that are there stay."""
        self._gone = True

    @staticmethod
    def remove_others(directory: Path, collections: Collection[int]) -> None:
        """Remove what lies in a directory of collections that are not there, or was not written to its end."""
        for path in directory.glob(f"{_NAME}*"):
            if path.suffix != ".block" or path.name.split("-")[1] not in {str(number) for number in collections}:
                _unlink(path)

    @staticmethod
    def parts(directory: Path) -> Iterable[tuple[Path, int, int]]:
        """The files of parts of collections in a directory, each with the collection's number and the first row."""
        for path in directory.glob(f"{_NAME}*.block"):
            with suppress(ValueError):  # a file of a whole collection, or nobody's
                collection, first_row, _ = path.name.removeprefix(_NAME).split("-")
                yield path, int(collection), int(first_row)

    def _seal(self, view: View, segment: Segment) -> bool:
        assert self._directory is not None
        block = segment.block
        size = sum(each.nbytes for each in (block.keys, block.norms, block.owners, block.numbers))
        size += 0 if block.values is None else block.values.nbytes
        if shutil.disk_usage(self._directory).free < 2 * _FREE_SPACE_FACTOR * size:
            return False
        ties = np.zeros(segment.count, dtype=np.int64)
        with self._store.reading() as reader:
            for numbers, _, checksums in read_checksums(reader, self._collection, *segment.numbers[[0, -1]].tolist()):
                at = np.searchsorted(numbers, segment.numbers)
                there = numbers[np.minimum(at, len(numbers) - 1)] == segment.numbers if len(numbers) else at < 0
                ties[there] = checksums[at[there]]
        path = self._directory / f"{self._name}{secrets.token_hex(8)}.block"
        seal(path, view, segment, ties)
        self._files[block] = path, segment.count
        return True

    def _opened_beside(self, record: CollectionRecord, path: Path) -> SealedFile | None:
        """The same, beside others: nobody writes a collection whose keys are not there yet."""
        with self._store.reading() as reader:
            return self._opened(record, path, reader)

    def _opened(self, record: CollectionRecord, path: Path, reader: ChecksumReader) -> SealedFile | None:
        """A file that is what was written, but perhaps for its originals, and what it has of what is stored."""
        try:
            sealed = unseal(path)
        except (SealedError, OSError) as error:
            log.warning("a sealed block is made anew", file=path.name, reason=str(error))
            return None
        settings = record.settings
        # The first document sets the dimension of a collection that has none; its record may be from before.
        if sealed.similarity != settings.similarity or settings.dimension not in (None, sealed.block.dimension):
            return None
        first, last = self._span
        if sealed.owners[0] < first or (last is not None and sealed.owners[-1] > last):
            return None
        return SealedFile.of(path, sealed, reader, self._collection)

    @property
    def _name(self) -> str:
        part = "" if self._span == ALL else f"{self._span.first}-"
        return f"{_NAME}{self._collection}-{part}"

    def _paths(self) -> list[Path]:
        if self._directory is None:
            return []
        return sorted(self._directory.glob(f"{self._name}*.block"))

    def _remove_all_but(self, kept: set[Path]) -> None:
        for path in set(self._paths()) - kept:
            _unlink(path)


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
