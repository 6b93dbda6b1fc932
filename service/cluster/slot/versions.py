"""The views of the last versions of one range: each question is answered from the version that it names."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import NamedTuple

from attention.lookup import View

KEPT = 64
"""Versions that are kept, and those of the last KEPT_SECONDS, if they are more."""
KEPT_SECONDS = 2.0
LONGEST_SECONDS = 240.0
"""How long ago a version may have been followed by the next one: a filter reads it from the store, which clears after
ten minutes what is gone."""


class _Kept(NamedTuple):
    """A view, and since when its version is not the newest; inf for the newest."""

    view: View
    superseded: float


class Versions:
    """Views of versions that follow one another without a gap; for one writer and many readers.

    Args:
        version, view: of the first one.
    """

    def __init__(self, version: int, view: View) -> None:
        self._kept = deque([_Kept(view, float("inf"))])
        self._newest = version
        self._lock = Lock()

    @property
    def newest(self) -> int:
        """The last version."""
        return self._newest

    @property
    def oldest(self) -> int:
        """The first version that is kept."""
        with self._lock:
            return self._newest - len(self._kept) + 1

    @property
    def view(self) -> View:
        """That of the newest version."""
        return self._kept[-1].view

    def at(self, version: int) -> View | None:
        """That of a version; None where it is not kept any more, or not there yet."""
        with self._lock:
            behind = self._newest - version
            return self._kept[-1 - behind].view if 0 <= behind < len(self._kept) else None

    def follow(self, view: View, since: float) -> None:
        """The next version, and since when it is the newest."""
        with self._lock:
            self._kept[-1] = _Kept(self._kept[-1].view, since)
            self._kept.append(_Kept(view, float("inf")))
            self._newest += 1

    def begin(self, version: int, view: View) -> None:
        """A version that does not follow the last one, or of which the ones before are not to be had."""
        with self._lock:
            self._kept.clear()
            self._kept.append(_Kept(view, float("inf")))
            self._newest = version

    def replace(self, view: View) -> None:
        """Another view of the newest version, with the same rows."""
        with self._lock:
            self._kept[-1] = _Kept(view, float("inf"))

    def forget(self, now: float) -> None:
        """Let go of those that nobody asks for any more."""
        with self._lock:
            while len(self._kept) > 1 and self._outdated(now - self._kept[0].superseded):
                self._kept.popleft()

    def _outdated(self, seconds: float) -> bool:
        return seconds > LONGEST_SECONDS or (len(self._kept) > KEPT and seconds > KEPT_SECONDS)
