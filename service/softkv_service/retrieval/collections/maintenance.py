"""Background maintenance of a collection: compaction of its keys, and its known damage on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path
from threading import Lock, Thread
from time import sleep

from softkv_attention.lookup import SealedError
from softkv_service.retrieval.errors import CollectionUnsound
from softkv_service.storage.errors import DocumentDamaged


class Compaction:
    """A background thread that compacts the keys of a collection; readers and writers do not wait for it.

    Args:
        name: the collection's name, for the thread.
        step: compacts a part of the keys; returns False if there is nothing more to do.
    """

    def __init__(self, name: str, step: Callable[[], bool]) -> None:
        self._name = name
        self._step = step
        self._running = Lock()
        self._asked = False

    @property
    def running(self) -> bool:
        """Whether the compaction's thread is running."""
        return self._running.locked()

    def begin(self) -> None:
        """Start the thread, or let the running one continue."""
        self._asked = True
        if self._running.acquire(blocking=False) and not start_background(self._run, f"compact {self._name}"):
            self._running.release()

    def _run(self) -> None:
        while True:
            self._asked = False
            try:
                while self._step():
                    pass
            except MemoryError:
                pass  # the keys stay as they are, until the next write
            finally:
                self._running.release()
            if not self._asked or not self._running.acquire(blocking=False):
                return


def start_background(work: Callable[[], None], name: str) -> bool:
    """Start a daemon thread; return False if there is not enough memory for one."""
    try:
        Thread(target=work, name=name, daemon=True).start()
    except RuntimeError:
        return False
    return True


def retry_forever() -> Iterator[None]:
    """Yield immediately, then after pauses that grow to 8 seconds, until the caller stops the iteration."""
    for seconds in chain((0.0, 0.5, 1.0, 2.0, 4.0), repeat(8.0)):
        sleep(seconds)
        yield


SHOWN = 3


class Damage:
    """The known damaged documents of a collection, safe for many threads.

    Reading a document with damaged texts raises an error. Damaged vectors make every weight wrong, so the whole
    collection cannot be queried. A damaged sealed file does not count, because its rows are also in the store.

    Attributes:
        errors: the known damage, by row number.

    Args:
        collection: the name of the collection.
        wrong_file: receives the path of a damaged sealed file, and returns the exception to raise.
        check_files: raises a SealedError if a sealed file was cut.
    """

    def __init__(
        self, collection: str, wrong_file: Callable[[Path], Exception], check_files: Callable[[], None] = lambda: None
    ) -> None:
        self._collection = collection
        self._wrong_file, self._check_files = wrong_file, check_files
        self._lock = Lock()
        self.errors: dict[int | None, DocumentDamaged] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record damaged documents that are found while the block runs, and report damaged sealed files.

        Files that were cut before are reported before it runs.
        """
        try:
            self._check_files()
            yield
        except DocumentDamaged as error:
            self.note(error)
            raise
        except SealedError as error:
            raise self._wrong_file(error.path) from error

    def note(self, error: DocumentDamaged) -> None:
        """Record a damaged document, so that later reads and queries know about it."""
        with self._lock:
            self.errors[error.row] = error

    def forget(self, rows: Iterable[int]) -> None:
        """Forget rows that were deleted or replaced; damage without a row number has to be observed again."""
        if self.errors:
            with self._lock:
                for row in (None, *rows):
                    self.errors.pop(row, None)

    def report(self) -> list[str]:
        """Return one line of text about all known damage; empty if no damage is known."""
        errors = list(self.errors.values())
        if not errors:
            return []
        more = f", and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
        return [f"collection {self._collection}: {'; '.join(map(str, errors[:SHOWN]))}{more}"]

    def require_sound_keys(self) -> None:
        """Raise CollectionUnsound if a vector is damaged."""
        if self.errors:
            errors = [error for error in list(self.errors.values()) if error.vectors]
            if errors:
                raise CollectionUnsound(self._collection, len(errors), errors[0])
