"""Locks and cached properties that work on in a forked process, which has only the thread that forked.

A lock that another thread holds at a fork stays locked in the new process for ever, and a pool has no threads there.
`multiprocessing` forks by default on Linux before Python 3.14, as gunicorn and Celery do.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

AnyLock = TypeVar("AnyLock")
T_co = TypeVar("T_co", covariant=True)

_locks: WeakSet[Any] = WeakSet()


def new_lock() -> Lock:
    """Return a new lock, which is free in each forked process."""
    return free_after_fork(Lock())


def free_after_fork(lock: AnyLock) -> AnyLock:
    """Let a Lock or RLock be free in each forked process, and return it."""
    _locks.add(lock)
    return lock


class cached_property(functools.cached_property[T_co]):  # noqa: N801  # replaces the one of functools
    """A cached property that locks nothing, as that of functools from Python 3.12 on.

    Before, one lock for all objects of a class makes threads wait for each other, and a forked process for ever.
    """

    if not TYPE_CHECKING:  # its types are those of functools

        def __get__(self, instance, owner=None):
            """Compute the value, and store it in place of this descriptor."""
            if instance is None:
                return self
            value = instance.__dict__[self.attrname] = self.func(instance)
            return value


def in_forked_process(call: Callable[[], object]) -> None:
    """Have `call` run at the start of each forked process, in the thread that forked."""
    if hasattr(os, "register_at_fork"):  # Windows does not fork
        os.register_at_fork(after_in_child=call)


def _free_locks() -> None:
    for lock in _locks:
        lock._at_fork_reinit()  # as the standard library does with its own


in_forked_process(_free_locks)
