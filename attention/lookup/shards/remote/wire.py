"""Records as they travel: plain arrays in as few bytes as hold their numbers, and what JSON holds."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from attention.dtypes import I64, Index
from attention.lookup.codes.moments import Residuals, Spread
from attention.lookup.memory.rows import expand_ranges
from attention.lookup.memory.statistics import BlockStatistics
from attention.lookup.shards.scan_result import ScanRequest, ScanResult
from attention.shared_memory import Array

Record = TypeVar("Record", ScanRequest, ScanResult)

_HEAD = struct.Struct("<I")
_QUICK = 1
"""How hard a head is pressed: names of arrays and numbers, about half of which that takes away."""


def to_bytes(said: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """One message: the length of its head, the head, and the arrays behind it; nothing in it can be run.

    float64 that float32 holds, and int64 that lie close together, take half of their bytes.
    """
    sections, pieces = dict[str, tuple[str, tuple[int, ...], str, int]](), list[bytes]()
    for name, array in arrays.items():
        narrow, least = _narrowed(array)
        sections[name] = (array.dtype.str, array.shape, narrow.dtype.str, least)
        pieces.append(narrow.tobytes())
    head = zlib.compress(json.dumps([said, sections], separators=(",", ":")).encode(), _QUICK)
    return b"".join([_HEAD.pack(len(head)), head, *pieces])


def of_bytes(message: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """What was said, and the arrays as they were."""
    start = _HEAD.size + _HEAD.unpack_from(message)[0]
    said, sections = json.loads(zlib.decompress(message[_HEAD.size : start]))
    arrays = dict[str, Array]()
    for name, (dtype, shape, stored, least) in sections.items():
        found = np.frombuffer(message, stored, int(np.prod(shape, dtype=np.int64)), start)
        start += found.nbytes
        wide = found.astype(dtype).reshape(shape)  # a copy, which is aligned
        arrays[name] = wide + least if least else wide
    return said, arrays


def _narrowed(array: Array) -> tuple[Array, int]:
    """The array in as few bytes as hold it, and what is to be added to each number."""
    if array.dtype == np.float64 and array.size:
        with np.errstate(over="ignore"):
            half = array.astype(np.float32)
        return (half if np.array_equal(half, array) else array), 0
    if array.dtype == np.int64 and array.size:
        least = int(array.min())
        span = int(array.max()) - least
        if span < 2**32:
            return (array - least).astype(np.uint16 if span < 2**16 else np.uint32), least
    return array, 0


def split_record(record: ScanRequest | ScanResult) -> tuple[dict[str, Any], dict[str, Array]]:
    """Split a record into what JSON holds and its arrays."""
    named = {each.name: getattr(record, each.name) for each in fields(record)}
    arrays = {name: value for name, value in named.items() if isinstance(value, np.ndarray)}
    return {name: value for name, value in named.items() if name not in arrays}, arrays


def join_record(kind: type[Record], said: Mapping[str, Any], arrays: Mapping[str, Array]) -> Record:
    """Return the record that `split_record` split."""
    named: dict[str, Any] = {each.name: arrays.get(each.name, said.get(each.name)) for each in fields(kind)}
    return kind(**named)


def split_result(found: ScanResult) -> tuple[dict[str, Any], dict[str, Array]]:
    """What one gathered; what candidates were scanned at is told of those only that were not looked up."""
    said, arrays = split_record(found)
    arrays["similarities"] = np.delete(found.similarities, _known(found.starts, found.known_starts))
    return said, arrays


def join_result(said: Mapping[str, Any], arrays: Mapping[str, Array]) -> ScanResult:
    """What `split_result` gave, with similarities that were looked up in the place of scanned ones."""
    known = np.zeros(len(arrays["places"]), dtype=np.bool_)
    known[_known(arrays["starts"], arrays["known_starts"])] = True
    similarities = np.empty(len(known))
    similarities[known], similarities[~known] = arrays["known"], arrays["similarities"]
    return join_record(ScanResult, said, {**arrays, "similarities": similarities})


def _known(starts: I64, known_starts: I64) -> Index:
    """Where the first candidates of each query stand among all, those that were looked up."""
    return expand_ranges(starts[:-1], starts[:-1] + np.diff(known_starts))


def split_statistics(each: BlockStatistics) -> tuple[dict[str, Any], dict[str, Array]]:
    """The facts of some rows, for those who hold none."""
    plain = ("similarity", "n", "documents", "most_keys", "value_dimension", "key_norm", "value_norm", "blocks")
    said = {name: getattr(each, name) for name in plain}
    arrays: dict[str, Array] = {"longest": each.longest}
    if (spread := each.value_spread) is not None:
        named = {part.name: getattr(spread, part.name) for part in fields(spread)}
        residuals = named.pop("residuals")
        arrays |= {"mean": named.pop("mean"), "residuals": residuals.total}
        said["spread"] = {**named, "residual_count": residuals.count}
    return said, arrays


def join_statistics(said: Mapping[str, Any], arrays: Mapping[str, Array]) -> BlockStatistics:
    """What `split_statistics` gave."""
    fields_left = dict(said)
    spread = fields_left.pop("spread", None)
    spreads: tuple[Spread, ...] = ()
    if spread is not None:
        residuals = Residuals(spread.pop("residual_count"), arrays["residuals"])
        spreads = (Spread(**spread, mean=arrays["mean"], residuals=residuals),)
    return BlockStatistics(**fields_left, longest=arrays["longest"], value_spreads=spreads)


def pack_messages(
    records: Sequence[tuple[dict[str, Any], dict[str, Array]]],
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Some messages as one."""
    arrays = {f"{index} {name}": array for index, (_, own) in enumerate(records) for name, array in own.items()}
    return {"each": [said for said, _ in records]}, arrays


def unpack_messages(
    said: Mapping[str, Any], arrays: Mapping[str, Array]
) -> list[tuple[dict[str, Any], dict[str, Array]]]:
    """What `pack_messages` gave."""
    found = [(dict(own), dict[str, Array]()) for own in said["each"]]
    for name, array in arrays.items():
        index, _, own_name = name.partition(" ")
        found[int(index)][1][own_name] = array
    return found
