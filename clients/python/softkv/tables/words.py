"""Word vectors, as fastText, GloVe and word2vec write them: a word is an id and a key, and has its vector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from softkv.tables.content import Content, NumberedRow, unreadable
from softkv.tables.packing import File

_COLUMNS = ("id", "key", "key_vector")
_SETTINGS = {"encoder": None}
_LONGEST_WORD, _WIDEST = 4096, 1 << 16
_PART_BYTES = 1 << 20


def read_words(file: File) -> Content:
    """Return the words of a text with a word and its numbers in each line; the first line may count both.

    Raises:
        Invalid: the first line has no numbers.
    """
    with file.open() as lines:
        first = lines.readline().split()
        total = int(first[0]) if _is_head(first) else 1 + sum(1 for _ in lines)
    width = int(first[1]) if _is_head(first) else len(first) - 1
    if not 2 <= width <= _WIDEST or (not _is_head(first) and _numbers(first[1:]) is None):
        reason = "its first line is not a word and its numbers: name a table with the ending of its format"
        raise unreadable(file.path, f"is read as vectors of words, and {reason}")

    def rows() -> Iterator[NumberedRow]:
        number = 0
        with file.open() as lines:
            for number, line in enumerate(lines, start=1):
                word, *parts = line.rstrip().rsplit(b" ", width)
                if number == 1 and _is_head(first):
                    continue
                vector, text = _numbers(parts) if len(parts) == width else None, _text(word)
                if vector is None or text is None:
                    yield number, f"expected a word in UTF-8 and {width} numbers"
                else:
                    yield number, {"id": text, "key": text, "key_vector": vector}
            if number - _is_head(first) < total:
                yield number + 1, f"the file ends before it, and its first line counts {total:,} words: it is cut"

    return Content(_COLUMNS, rows, total, unit="line", settings=_SETTINGS)


def read_binary_words(file: File) -> Content:
    """Return the words of word2vec's binary format: a line that counts words and numbers, then words and float32.

    Raises:
        Invalid: it is another file, or is not as long as its head says.
    """
    with file.open() as stream:
        first = stream.readline(_LONGEST_WORD).split()
        if not _is_head(first) or not 1 <= int(first[1]) <= _WIDEST:
            raise unreadable(file.path, "is not in the binary format of word2vec: save vectors of fastText as .vec")
        total, width = map(int, first)
        for _ in _walk(stream, total, width, file.path):
            pass

    def rows() -> Iterator[NumberedRow]:
        with file.open() as stream:
            stream.readline()
            for number, (word, vector) in enumerate(_walk(stream, total, width, file.path), start=1):
                text = _text(word)
                if text is None:
                    yield number, f"its word is not in UTF-8: {word.decode(errors='replace')}"
                else:
                    yield number, {"id": text, "key": text, "key_vector": vector}

    return Content(_COLUMNS, rows, total, settings=_SETTINGS)


def _walk(stream: BinaryIO, total: int, width: int, path: Path) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
    """Yield the words and vectors of a binary file.

    Raises:
        Invalid: the file has fewer words, or more bytes, or a word is missing.
    """
    size, buffer, start = 4 * width, b"", 0
    for number in range(1, total + 1):
        if len(buffer) - start < size + _LONGEST_WORD:
            buffer, start = buffer[start:] + stream.read(max(_PART_BYTES, size + _LONGEST_WORD)), 0
        begin = buffer.find(b" ", start, start + _LONGEST_WORD) + 1
        if not begin or begin + size > len(buffer):
            raise unreadable(path, f"ends in word {number:,} of {total:,}: it is cut, or a word has a space")
        word = buffer[start : begin - 1].lstrip(b"\n")
        if not word or min(word) < ord("!"):  # bytes of a number, which came before
            raise unreadable(path, f"has no text as word {number:,}: save it as .vec, or a word before has a space")
        yield word, np.frombuffer(buffer, "<f4", width, begin)
        start = begin + size
    if buffer[start:].strip() or stream.read(1):
        raise unreadable(path, f"has more bytes than {total:,} words: a word may have no space")


def _is_head(parts: list[bytes]) -> bool:
    """Return whether a line counts the words and the numbers of each."""
    return len(parts) == 2 and all(part.isdigit() for part in parts)


def _numbers(parts: list[bytes]) -> NDArray[np.float32] | None:
    try:
        return np.array(parts, np.float32)
    except ValueError:
        return None


def _text(word: bytes) -> str | None:
    try:
        return word.decode()
    except UnicodeDecodeError:
        return None
