"""Large bodies read and large answers written in parts, so that other threads get Python's lock in between."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import orjson

Array = np.ndarray[Any, Any]

PART_BYTES = 128 * 1024
PART_NUMBERS = 16 * 1024  # of an answer, written at a time
FEW, FREED = 256, 1024  # elements of a list: so few may be large themselves; so many are let go of at a time
BLOCK = 1 << 20  # bytes looked through at a time
MOST_LISTS = 1_000_000
"""Lists and objects of one body: each takes a hundred times the bytes that it may have come as."""
MOST_VALUES = 8_000_000
QUOTE, BACKSLASH, COMMA, OPENS, CLOSES, TO_BRACE = b'"\\,{} '
OPTIONS = orjson.OPT_SERIALIZE_NUMPY


def crowd(body: bytes) -> tuple[int, int] | None:
    """How many lists and objects, and how many commas a body has, where it is more than could be held of either."""
    if body.count(b"{") + body.count(b"[") <= MOST_LISTS and body.count(b",") <= MOST_VALUES:
        return None
    lists = values = 0
    for _, _, opens, commas, _ in _outline(body):
        lists, values = lists + int(opens.sum()), values + int(commas.sum())
    return (lists, values) if lists > MOST_LISTS or values > MOST_VALUES else None


def loads(body: bytes) -> Any:
    """JSON text → Python values, the elements of its longest lists a part at a time.

    Raises:
        orjson.JSONDecodeError: it is not JSON, or not as orjson reads it.
    """
    lists = _long_lists(body)
    if not lists:
        return orjson.loads(body)
    mark, frame, end = secrets.token_hex(8), list[bytes](), 0
    for number, (first, last, _) in enumerate(lists):
        frame += [body[end:first], f'"{mark}{number}"'.encode()]
        end = last + 1
    content = orjson.loads(b"".join((*frame, body[end:])))
    for name, value in content.items():
        if isinstance(value, str) and value.startswith(mark):
            content[name] = _elements(body, *lists[int(value[len(mark) :])])
    return content


def _elements(body: bytes, first: int, last: int, commas: Array) -> list[Any]:
    """The list between two brackets, whose elements these commas part."""
    elements, start = list[Any](), first + 1
    for comma in (*commas[np.diff(commas // PART_BYTES, prepend=commas[:1] // PART_BYTES) > 0].tolist(), last):
        part = orjson.loads(b"".join((b"[", body[start:comma], b"]")))
        if not part:
            raise orjson.JSONDecodeError("a list has a comma too many", "", 0)
        elements += part
        start = comma + 1
    return elements


def _long_lists(body: bytes) -> list[tuple[int, int, Array]]:
    """Of each long list that is a field of the outermost object: where its brackets and its own commas are."""
    text = np.frombuffer(body, np.uint8)
    if not body[:PART_BYTES].lstrip().startswith(b"{"):
        return []
    begins, ends, commas = list[Array](), list[Array](), list[Array]()
    for start, levels, opens, between, closes in _outline(body):
        begins.append(start + np.flatnonzero(opens & (levels == 2)))
        ends.append(start + np.flatnonzero(closes & (levels == 1)))
        commas.append(start + np.flatnonzero(between & (levels == 2)))
    first, last, parting = (np.concatenate(each) for each in (begins, ends, commas))
    if len(first) != len(last):
        return []  # no JSON
    long = (last - first > PART_BYTES) & (text[first] == ord("[")) & (text[last] == ord("]"))
    found = [(int(i), int(j)) for i, j in zip(first[long], last[long], strict=True)]
    edges = [np.searchsorted(parting, pair) for pair in found]
    return [(i, j, parting[low:high]) for (i, j), (low, high) in zip(found, edges, strict=True)]


def _outline(body: bytes) -> Iterator[tuple[int, Array, Array, Array, Array]]:
    """A block at a time: where it begins; of each byte how deep it is; whether it opens, parts or closes anything."""
    text, inside, depth, escapes = np.frombuffer(body, np.uint8), 0, 0, False
    for start in range(0, len(text), BLOCK):
        block = text[start : start + BLOCK]
        quotes = block == QUOTE
        if escapes or (block == BACKSLASH).any():
            escaped, escapes = _escaped(block, escapes)
            quotes &= ~escaped
        outside = ((np.cumsum(quotes, dtype=np.int32) + inside) & 1) == 0
        inside = (inside + int(quotes.sum())) & 1
        braces = block | TO_BRACE
        opens, closes = (braces == OPENS) & outside, (braces == CLOSES) & outside
        levels = np.cumsum(opens.astype(np.int8) - closes.astype(np.int8), dtype=np.int32) + depth
        depth = int(levels[-1])
        yield start, levels, opens, (block == COMMA) & outside, closes


def _escaped(block: Array, before: bool) -> tuple[Array, bool]:
    """Which bytes a backslash goes before that is not one of a pair; and whether the last byte is such a one."""
    places = np.flatnonzero(block == BACKSLASH)
    if before:
        places = np.concatenate([[-1], places])
    runs = np.cumsum(np.diff(places, prepend=places[:1] - 2) > 1)
    first = places[np.searchsorted(runs, runs)]
    odd = places[(places - first) % 2 == 0] + 1
    escaped = np.zeros(len(block) + 1, bool)
    escaped[odd] = True
    return escaped[:-1], bool(escaped[-1])


def free(content: Any) -> None:
    """Let go of what a body has said, a part at a time: of objects by the million this takes as long as making them."""
    for value in content.values() if isinstance(content, dict) else (content,):
        if not isinstance(value, list):
            continue
        if len(value) <= FEW:
            for each in value:
                if isinstance(each, dict):
                    free(each)
        while value:
            del value[-FREED:]


def weight(content: Any) -> int:
    """About how many numbers, or eighths of a text's bytes, an answer has; a list's first stands for all of it."""
    if isinstance(content, dict):
        return sum(map(weight, content.values()))
    if isinstance(content, list | tuple):
        return len(content) * (1 + weight(content[0])) if content else 1
    if isinstance(content, np.ndarray):
        return content.size
    return 1 + len(content) // 8 if isinstance(content, str) else 1


def written(content: Any) -> Iterator[bytes]:
    """An answer as JSON, in parts."""
    if isinstance(content, dict):
        yield b"{"
        for number, (name, value) in enumerate(content.items()):
            yield (b"," if number else b"") + orjson.dumps(name) + b":"
            yield from written(value)
        yield b"}"
    elif isinstance(content, list) or (isinstance(content, np.ndarray) and content.ndim and len(content) > 1):
        yield b"["
        yield from _in_parts(content)
        yield b"]"
    else:
        yield orjson.dumps(content, option=OPTIONS)


def _in_parts(content: Any) -> Iterator[bytes]:
    """The elements of a list or an array: many small ones at a time, large ones in parts themselves."""
    if isinstance(content, list):
        heaviest = max((weight(each) for each in islice(content, 0, None, max(1, len(content) // 16))), default=1)
    else:
        heaviest = content[0].size if content.ndim > 1 else 1
    step = PART_NUMBERS // max(1, heaviest)
    for start in range(0, len(content), max(1, step)):
        if start:
            yield b","
        if step:
            yield orjson.dumps(content[start : start + step], option=OPTIONS)[1:-1]
        else:
            yield from written(content[start])
