"""Memories as writes leave them."""

from __future__ import annotations

import numpy as np

from softkv_attention.lookup import Limits, Memory, Rows


def piecemeal(similarity, keys, values, limits=Limits()):
    """Return a view with rows from 0, written in three parts, with removed rows between them."""
    memory = Memory(similarity, limits=limits)
    for part in np.array_split(np.arange(len(keys)), 3):
        memory.publish(add=Rows(part, keys[part], values[part]))
        gone = len(keys) + 1000 + part
        memory.publish(add=Rows(gone, keys[part] + 1, values[part]))
        memory.publish(remove=gone)
    return memory
