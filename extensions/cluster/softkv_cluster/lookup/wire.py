"""Messages between processes: JSON fields, and arrays in the smallest number type that holds them."""

from __future__ import annotations

import dataclasses
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from softkv_attention.aligned import Array
from softkv_attention.arrays import I64, Index
from softkv_attention.lookup import BlockStatistics
from softkv_attention.lookup.shards import Residuals, ScanRequest, ScanResult, Spread, expand_ranges

Record = TypeVar("Record", ScanRequest, ScanResult)
MutableMessage = tuple[dict[str, Any], dict[str, Array]]
"""JSON fields and arrays, which the receiver may change."""

_HEAD = struct.Struct("<I")
_COMPRESSION_LEVEL = 1
"""The level at which zlib compresses a head, names of arrays and numbers, to about half of its size."""


def to_bytes(fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """Encode a message (JSON fields and arrays) as bytes.

    They are the length of the head, the head in compressed JSON, and the arrays. The message contains no code that the
    receiver would execute. float64 numbers that float32 can hold, and int64 numbers within a small range, take half of
    their bytes or less.
    """
    sections, pieces = dict[str, tuple[str, tuple[int, ...], str, int]](), list[bytes]()
    for name, array in arrays.items():
        narrow, offset = _narrow(array)
        sections[name] = (array.dtype.str, array.shape, narrow.dtype.str, offset)
        pieces.append(narrow.tobytes())
    json_head = json.dumps([fields, sections], separators=(",", ":"))
    head = zlib.compress(json_head.encode(), _COMPRESSION_LEVEL)
    return b"".join([_HEAD.pack(len(head)), head, *pieces])


def of_bytes(message: bytes) -> MutableMessage:
    """Decode a message that `to_bytes` encoded, and return its JSON fields and its arrays."""
    start = _HEAD.size + _HEAD.unpack_from(message)[0]
    fields, sections = json.loads(zlib.decompress(message[_HEAD.size : start]))
    arrays = dict[str, Array]()
    for name, (dtype, shape, stored_dtype, offset) in sections.items():
        stored = np.frombuffer(message, stored_dtype, int(np.prod(shape, dtype=np.int64)), start)
        start += stored.nbytes
        wide = stored.astype(dtype).reshape(shape)  # a copy, which is aligned
        arrays[name] = wide + offset if offset else wide
    return fields, arrays


def _narrow(array: Array) -> tuple[Array, int]:
    """Return an array in the smallest number type that holds it, and an offset.

    The receiver adds the offset to each number.
    """
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


def split_record(record: ScanRequest | ScanResult) -> MutableMessage:
    """Return the request or the result of a scan as JSON fields and arrays, for a message to another process."""
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    return {name: value for name, value in values.items() if name not in arrays}, arrays


def join_record(kind: type[Record], fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> Record:
    """Return the request or the result of a scan that `split_record` split into JSON fields and arrays.

    Args:
        kind: the class of the record.
        fields, arrays: from `split_record`.
    """
    values: dict[str, Any] = {
        field.name: arrays.get(field.name, fields.get(field.name)) for field in dataclasses.fields(kind)
    }
    return kind(**values)


def split_result(result: ScanResult) -> MutableMessage:
    """Return the result of a scan as JSON fields and arrays, for a message to another process.

    For candidates (listed rows) that were looked up in float64, only the exact similarity is included, and not the
    scanned one.
    """
    fields, arrays = split_record(result)
    arrays["similarities"] = np.delete(result.similarities, exact_positions(result.starts, result.known_starts))
    return fields, arrays


def join_result(fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> ScanResult:
    """Return the result of a scan that `split_result` split into JSON fields and arrays.

    For candidates that were looked up in float64, the exact similarity replaces the scanned one, which the message
    leaves out.
    """
    is_exact = np.zeros(len(arrays["rows"]), dtype=np.bool_)
    is_exact[exact_positions(arrays["starts"], arrays["known_starts"])] = True
    similarities = np.empty(len(is_exact))
    similarities[is_exact], similarities[~is_exact] = arrays["known"], arrays["similarities"]
    return join_record(ScanResult, fields, {**arrays, "similarities": similarities})


def exact_positions(starts: I64, known_starts: I64) -> Index:
    """Return int64, the positions of all candidates that were looked up in float64, the first ones of each query.

    Args:
        starts: int64[q + 1], where each query's candidates begin.
        known_starts: int64[q + 1], where each query's exact similarities begin in the array of these.
    """
    return expand_ranges(starts[:-1], starts[:-1] + np.diff(known_starts))


def split_statistics(statistics: BlockStatistics) -> MutableMessage:
    """Return the statistics of rows as JSON fields and arrays, for a message to a process without these rows."""
    plain = ("similarity", "n", "documents", "most_keys", "value_dimension", "key_norm", "value_norm", "blocks")
    fields = {name: getattr(statistics, name) for name in plain}
    arrays: dict[str, Array] = {"longest": statistics.longest}
    if (spread := statistics.value_spread) is not None:
        values = {field.name: getattr(spread, field.name) for field in dataclasses.fields(spread)}
        residuals = values.pop("residuals")
        arrays |= {"mean": values.pop("mean"), "residuals": residuals.total}
        fields["spread"] = {**values, "residual_count": residuals.count}
    return fields, arrays


def join_statistics(fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> BlockStatistics:
    """Return the statistics that `split_statistics` split into these JSON fields and arrays."""
    plain = dict(fields)
    spread = plain.pop("spread", None)
    spreads: tuple[Spread, ...] = ()
    if spread is not None:
        residuals = Residuals(spread.pop("residual_count"), arrays["residuals"])
        spreads = (Spread(**spread, mean=arrays["mean"], residuals=residuals),)
    return BlockStatistics(**plain, longest=arrays["longest"], value_spreads=spreads)


def pack_messages(messages: Sequence[MutableMessage]) -> MutableMessage:
    """Return one message (JSON fields and arrays) that contains several."""
    packed = {f"{index} {name}": array for index, (_, arrays) in enumerate(messages) for name, array in arrays.items()}
    return {"each": [fields for fields, _ in messages]}, packed


def unpack_messages(fields: Mapping[str, Any], arrays: Mapping[str, Array]) -> list[MutableMessage]:
    """Return the messages that `pack_messages` packed into one with these JSON fields and arrays."""
    messages = [(dict(own_fields), dict[str, Array]()) for own_fields in fields["each"]]
    for packed_name, array in arrays.items():
        index, _, name = packed_name.partition(" ")
        messages[int(index)][1][name] = array
    return messages
