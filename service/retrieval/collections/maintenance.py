"""Background maintenance of a collection: compaction of its keys, and its known damage on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path
from threading import Lock, Thread
from time import sleep

from attention.lookup import SealedError
from service.retrieval.errors import CollectionUnsound
from service.storage import DocumentDamaged


class Compaction:
    """Makes the keys of a collection fast to read, beside its readers and writers; they do not wait for it.

    Args:
        name: the collection's, for the thread.
        step: makes a part of them fast; False where there is nothing more to do.
    """

    def __init__(self, name: str, step: Callable[[], bool]) -> None:
        self._name = name
        self._step = step
        self._running = Lock()
        self._asked = False

    @property
    def running(self) -> bool:
        """Whether its thread is at work."""
        return self._running.locked()

    def begin(self) -> None:
        """Begin, or go on where it runs already."""
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
    """Whether the thread could be started: where memory is short it may not."""
    try:
        Thread(target=work, name=name, daemon=True).start()
    except RuntimeError:
        return False
    return True


def retry_forever() -> Iterator[None]:
    """At once, and again after a pause that grows to some seconds, for as long as one tries."""
    for seconds in chain((0.0, 0.5, 1.0, 2.0, 4.0), repeat(8.0)):
        sleep(seconds)
        yield


SHOWN = 3


class Damage:
    """The damaged documents of a collection, as far as they were read; for many threads.

    A document whose texts are damaged is refused where it would be given out. Where vectors are, every weight would be
    wrong, so the collection is not attended to. A file of a block that is not what was written is none of that: the
    same rows are stored.

    Args:
        collection: its name.
        wrong_file: is told where such a file is, and says what to raise.
    """

    def __init__(self, collection: str, wrong_file: Callable[[Path], Exception]) -> None:
        self._collection = collection
        self._wrong_file = wrong_file
        self._lock = Lock()
        self._found: dict[int | None, DocumentDamaged] = {}

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Remember which document was damaged where a read or a write comes to one; tell of a file that is wrong."""
        try:
            yield
        except DocumentDamaged as error:
            self.note(error)
            raise
        except SealedError as error:
            raise self._wrong_file(error.path) from error

    def note(self, error: DocumentDamaged) -> None:
        """Remember a damaged document."""
        with self._lock:
            self._found[error.row] = error

    def forget(self, rows: Iterable[int]) -> None:
        """These rows were deleted, or replaced by new ones; of what has no number it has to be seen again."""
        if self._found:
            with self._lock:
                for row in (None, *rows):
                    self._found.pop(row, None)

    def report(self) -> list[str]:
        """What is damaged, one line for all of it; empty where nothing is known to be."""
        found = list(self._found.values())
        if not found:
            return []
        more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        return [f"collection {self._collection}: {'; '.join(map(str, found[:SHOWN]))}{more}"]

    def require_sound_keys(self) -> None:
        """Raise CollectionUnsound where a vector is damaged."""
        if self._found:
            found = [each for each in list(self._found.values()) if each.vectors]
            if found:
                raise CollectionUnsound(self._collection, len(found), found[0])
