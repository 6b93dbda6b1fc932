"""What processes tell each other: named arrays, and what JSON holds. Nothing in a message can be run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from attention.shared_memory import Array

_ALIGNMENT = 8


def packed(said: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """One message: the length of its head, the head in JSON, and the arrays behind it."""
    contents = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    sections = {name: (array.dtype.str, array.shape) for name, array in contents.items()}
    head = json.dumps({"said": said, "sections": sections}).encode()
    head += b" " * (-len(head) % _ALIGNMENT)
    pieces = [len(head).to_bytes(_ALIGNMENT, "little"), head]
    for array in contents.values():
        pieces += [array.tobytes(), bytes(-array.nbytes % _ALIGNMENT)]
    return b"".join(pieces)


def unpacked(message: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """What was said, and the arrays, which have one buffer together; they may be written to."""
    start = _ALIGNMENT + int.from_bytes(message[:_ALIGNMENT], "little")
    head = json.loads(message[_ALIGNMENT:start])
    arrays, content = {}, bytearray(message)
    for name, (dtype, shape) in head["sections"].items():
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(content, dtype, count, start).reshape(shape)
        start += arrays[name].nbytes + -arrays[name].nbytes % _ALIGNMENT
    return head["said"], arrays
