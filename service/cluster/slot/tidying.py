"""What a slot does beside its looks: ranges made fast to read, and then written into files for the next start."""

from __future__ import annotations

from collections.abc import Callable, Collection

from attention.lookup import SealedError
from service.cluster.slot.arrangement import Range
from service.cluster.slot.files import SlotFiles
from service.cluster.slot.ranges import HeldRange


class Tidying:
    """One thing at a time; what is to be compacted comes before what is to be checked or sealed.

    Args:
        held: a range, where the slot has it.
        discard: is told of a file that is not what was written.
        later: has some work be done in another thread.
        clock: seconds.
    """

    def __init__(
        self,
        files: SlotFiles,
        held: Callable[[Range], HeldRange | None],
        discard: Callable[[SealedError], None],
        later: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
    ) -> None:
        self._files, self._held, self._discard = files, held, discard
        self._later, self._clock = later, clock
        self._untidy, self._unsealed = set[Range](), set[Range]()
        self._collections: Collection[int] = ()
        self._needed: Collection[Range] = ()
        self._running = self._closed = False

    def note(self, each: Range) -> None:
        """A range that was read, or that changed: it is worth a look, the next time that it begins."""
        self._untidy.add(each)

    def begin(self, collections: Collection[int], needed: Collection[Range]) -> None:
        """Begin, where there is anything to do; where it runs already it goes on.

        Args:
            collections: that there are now.
            needed: ranges that the slot has, or is to have: their files are kept, whatever it does with them.
        """
        self._collections, self._needed = collections, needed
        if not self._running and (self._untidy or self._unsealed or self._files.due(self._clock())):
            self._running = True
            self._later(self._run)

    def close(self) -> None:
        """Begin nothing more."""
        self._closed = True

    def _run(self) -> None:
        try:
            while (self._untidy or self._unsealed) and not self._closed:
                if self._untidy:
                    self._compact(self._untidy.pop())
                else:
                    self._seal(next(iter(self._unsealed)))
            if self._files.due(self._clock()) and not self._closed:
                self._files.sweep(self._clock(), self._collections, self._needed)
        except MemoryError:
            pass  # the keys stay as they are, until the next write
        finally:
            self._running = False

    def _compact(self, each: Range) -> None:
        while self._stepped(each, HeldRange.compact):
            pass
        self._unsealed.add(each)

    def _seal(self, each: Range) -> None:
        if not self._stepped(each, HeldRange.seal):
            self._unsealed.discard(each)

    def _stepped(self, each: Range, step: Callable[[HeldRange], bool]) -> bool:
        """Take a step with a range, where it is held → whether there was anything to do."""
        held = self._held(each)
        try:
            return held is not None and step(held)
        except SealedError as error:
            self._discard(error)
            return False
