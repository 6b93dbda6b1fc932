"""Heaps of the C library: by itself it has eight for every core, and what lies free in one is of no use to another.

Memory then grows for as long as threads come and go, though nothing is kept. With few heaps it stays where it is, and
threads, which allocate rarely beside Python's own small objects, seldom wait for each other.
"""

from __future__ import annotations

import ctypes

from service.settings import chooses_heaps

HEAPS = 2
ARENA_MAX = -8
"""`M_ARENA_MAX` of glibc's malloc.h."""


def few() -> bool:
    """Let this process have few; whether it does. Who sets MALLOC_ARENA_MAX has chosen for himself."""
    allocator = getattr(ctypes.CDLL(None), "mallopt", None)
    if allocator is None or chooses_heaps():
        return False
    return bool(allocator(ARENA_MAX, HEAPS))
