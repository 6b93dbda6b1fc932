"""Blocks that two processes have: where their arrays lie is told, and the other process maps it."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from attention.lookup.codes.quantisation import Codes, ValueCodes
from attention.lookup.memory.blocks import Block
from attention.shared_memory import Array, Mapped, located, mapping


@dataclass(frozen=True)
class Described:
    """Where a block's arrays lie.

    Attributes:
        said: what the other process needs to know, for `mapped`.
        files: whose descriptors it needs, in that order.
    """

    said: dict[str, Any]
    files: tuple[Mapped, ...]


_known: WeakKeyDictionary[Block, Described | None] = WeakKeyDictionary()


def described(block: Block) -> Described | None:
    """Where the arrays of a block lie; None where one lies in this process's own memory, or there are no codes.

    None, too, as long as originals are left to be checked, which nobody does elsewhere. What is added up of its rows
    stays here: who scans needs none of it, see `Asked.errors`.
    """
    if block.unchecked:
        return None
    if block not in _known:
        _known[block] = _described(block)
    return _known[block]


def _described(block: Block) -> Described | None:
    codes, values = block.codes, block.value_codes
    if codes is None or values is None:
        return None
    arrays: dict[str, Array] = {
        "numbers": block.numbers,
        "owners": block.owners,
        "keys": block.keys,
        "norms": block.norms,
        "codes": codes.codes,
        "scales": codes.scales,
        "residuals": codes.residuals,
        "value_codes": values.codes,
        "value_scales": values.scales,
        "value_residuals": values.residuals,
    }
    if block.values is not None:
        arrays |= {"values": block.values, "value_norms": block.value_norms}
    files, places = list[Mapped](), {}
    for name, array in arrays.items():
        if (found := located(array)) is None:
            return None
        if found.mapped not in files:
            files.append(found.mapped)
        places[name] = (files.index(found.mapped), found.offset, array.dtype.str, array.shape)
    said = {
        "arrays": places,
        "files": [(file.size, file.writable, file.on_disk) for file in files],
        "value_width": values.width,
        "normalised": block.normalised,
    }
    return Described(said, tuple(files))


def mapped(said: Mapping[str, Any], descriptors: Sequence[int]) -> Block:
    """The block that was described, in this process; the descriptors belong to it from now on.

    Raises:
        OSError: it cannot be mapped.
    """
    pages = [
        mapping(descriptor, size, writable=writable, on_disk=on_disk)
        for descriptor, (size, writable, on_disk) in zip(descriptors, said["files"], strict=True)
    ]
    arrays = {name: _array(pages, *place) for name, place in said["arrays"].items()}
    norms = arrays["norms"]
    return Block(
        numbers=arrays["numbers"],
        owners=arrays["owners"],
        keys=arrays["keys"],
        values=arrays.get("values"),
        norms=norms,
        value_norms=arrays.get("value_norms", norms),
        codes=Codes(arrays["codes"], arrays["scales"], arrays["residuals"], None),
        value_codes=ValueCodes(
            arrays["value_codes"], arrays["value_scales"], arrays["value_residuals"], said["value_width"], None
        ),
        normalised=said["normalised"],
    )


def _array(pages: Sequence[mmap.mmap], file: int, offset: int, dtype: str, shape: Sequence[int]) -> Array:
    return np.ndarray(tuple(shape), dtype, buffer=pages[file], offset=offset)
