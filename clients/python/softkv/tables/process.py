"""The process that reads a file, since a damaged or hostile one may fill the memory of its reader, or end it.

The process is `python -m softkv.tables`. Its order is a line of JSON. It answers in messages: one about the table, then
the rows, and at the end how the reading went. A message is lines of JSON, and vectors as bytes behind them.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from struct import Struct
from subprocess import PIPE, Popen
from typing import Any, TypeAlias

import numpy as np

from softkv.answers.documents import TableRow
from softkv.problems import invalid_value
from softkv.tables.cells import Floats, to_json
from softkv.tables.columns import Reading
from softkv.tables.content import Content, NumberedRow
from softkv.tables.formats import libraries_of
from softkv.tables.table import Table, id_of

try:
    import orjson

    _MOVES = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_APPEND_NEWLINE
    _LISTS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
except ImportError:
    orjson = None  # type: ignore[assignment]

TABLE, ROWS, END = b"t", b"r", b"e"
MESSAGE = Struct("<cQQ")
"""The head of a message: its kind, the bytes of its lines, and those of its vectors."""
Message: TypeAlias = tuple[bytes, bytes, bytes]
"""The kind, the lines and the vectors of a message."""

_ADVICE = "convert it to another format, such as Parquet or NDJSON"
_KEPT = ("DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "SYSTEMROOT")
_VECTORS = ("key_vector", "value_vector")


def reader_command() -> list[str]:
    """Return the command that starts the process; it is empty where none can start, as in a frozen program."""
    is_python = Path(sys.executable or "").name.lower().startswith(("python", "pypy"))
    return [sys.executable, "-P", "-m", "softkv.tables"] if is_python and not hasattr(sys, "frozen") else []


def reader_environment() -> dict[str, str]:
    """Return the variables of the process: those by which Python finds its libraries and modules, and no others."""
    variables = {name: os.environ[name] for name in _KEPT if name in os.environ}
    modules = os.pathsep.join(path for path in sys.path if os.path.isabs(path))
    return {**variables, "PYTHONPATH": modules, "OPENBLAS_NUM_THREADS": "1"}


def why_ended(order: Mapping[str, Any]) -> str:
    """Return why a process probably ended before its answer did, and what to do."""
    file, memory_bytes, seconds = order["file"], order["memory_bytes"], order["seconds"]
    limits = [f"{memory_bytes:,} bytes of memory"] if memory_bytes else []
    limits += [f"{seconds:,} seconds"] if seconds else []
    needs = f"needs more than {' or '.join(limits)}, or it " if limits else ""
    is_sheet = "python_calamine" in libraries_of(Path(file))
    advice = "delete the empty rows and columns beside its data" if is_sheet else "split it"
    return f"{file} {needs}is damaged: {advice}, or {order['advice']}"


class Vectors:
    """The arrays of a message, which leave its lines and follow them as bytes.

    Args:
        mark: the name by which a line says that an array has left it, unknown to the author of a file.

    Attributes:
        arrays: the bytes of each, in their order in the lines.
        size: the number of bytes.
    """

    def __init__(self, mark: str) -> None:
        self.arrays: list[memoryview] = []
        self.size = 0
        self._mark = mark

    def move(self, cell: Any) -> Any:
        """Return what a line has in place of a cell that JSON has not: of numbers, their type and shape.

        Raises:
            BadCell: there is no such form.
        """
        array = cell.array if isinstance(cell, Floats) else cell
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            return to_json(cell)
        self.arrays.append(np.ascontiguousarray(array).data)
        self.size += array.nbytes
        return {self._mark: (array.dtype.str, array.shape, array is not cell)}


def write_line(line: Mapping[str, Any], vectors: Vectors | None = None) -> bytes:
    """Return a line of NDJSON. It begins with a space if orjson would lose digits, so that json must read it.

    Args:
        line: the object.
        vectors: takes the arrays; if None, they become lists.

    Raises:
        BadCell: a cell has no form in JSON.
    """
    before = 0 if vectors is None else len(vectors.arrays)
    try:
        if vectors is None:
            return orjson.dumps(line, default=to_json, option=_LISTS)
        return orjson.dumps(line, default=vectors.move, option=_MOVES)
    except (AttributeError, TypeError):
        if vectors is not None:
            del vectors.arrays[before:]
        return b" " + json.dumps(line, default=to_json if vectors is None else vectors.move).encode() + b"\n"


def read_line(line: bytes) -> Any:
    """Return the object of a line, as `write_line` wrote it."""
    return json.loads(line) if orjson is None or line.startswith(b" ") else orjson.loads(line)


def open_elsewhere(path: Path, reading: Reading, *, lines: str | None) -> Table:
    """Open a file as `softkv.tables.opening.open_here` does, in another process.

    Raises:
        OSError: no process can start.
        Invalid: the file cannot be read, or the columns do not fit it.
    """
    read_as = vars(reading) | {"options": reading.options._fields()}
    order = {"folder": ".", "file": str(path), "reading": read_as, "lines": lines}
    limits = {"line_bytes": None, "memory_bytes": _memory_bytes(), "seconds": None}
    answer = _ProcessAnswer(order | limits | {"mark": token_hex(4), "advice": _ADVICE})
    if answer.matrix is None:
        return _FileTable(answer)
    content = Content([answer.matrix[0]], answer.vectors, answer.facts["total"], numbered=True)
    table = Table(path.name, replace(content, settings=answer.facts["settings"]), reading)
    table.notices = answer.facts["notices"]
    return table


class _ProcessAnswer:
    """The answer of a process that reads a file. Going through its rows again starts another process.

    Attributes:
        mark: as `Vectors` has it.
        facts: the attributes of the table.
        matrix: of a table that is vectors alone, their column, type and width; None for others.
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        self.mark: str = order["mark"]
        self._order = order
        self._messages: Iterator[Message] | None = _answer(order)
        self.facts: dict[str, Any] = read_line(next(self._messages)[1])
        self.matrix: tuple[str, str, int] | None = self.facts.pop("matrix", None)

    def messages(self) -> Iterator[Message]:
        """Return the messages about the rows."""
        messages, self._messages = self._messages or _answer(self._order), None
        return messages

    def vectors(self) -> Iterator[NumberedRow]:
        """Yield the rows of a table that is vectors alone."""
        assert self.matrix is not None
        column, kind, width = self.matrix
        number = 0
        for name, _, numbers in self.messages():
            if name == ROWS:
                for vector in np.frombuffer(numbers, kind).reshape(-1, width):
                    number += 1
                    yield number, {column: vector}


class _FileTable(Table):
    """A table whose rows come from another process."""

    def __init__(self, answer: _ProcessAnswer) -> None:
        self._answer = answer
        vars(self).update(answer.facts, keyless=0, expired=0)

    def __iter__(self) -> Iterator[TableRow]:
        """Yield each row. Of the rows with one id, all but the first are refused."""
        for kind, lines, vectors in self._answer.messages():
            if kind == ROWS:
                yield from _rows(lines, vectors, self._answer.mark)
            elif kind == END:
                counts = read_line(lines)
                self.keyless, self.expired = counts["keyless"], counts["expired"]


def _memory_bytes() -> int | None:
    """Return three quarters of the machine's memory; None if the system does not say how much it has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4
    except (AttributeError, ValueError, OSError):
        return None


def _answer(order: Mapping[str, Any]) -> Iterator[Message]:
    """Start a process, and yield the messages of its answer. The end of the generator is the end of the process.

    Raises:
        OSError: no process can start.
        Invalid: the file cannot be read, or not to its end.
    """
    command, environment = reader_command(), reader_environment()
    with Popen(command, stdin=PIPE, stdout=PIPE, env=environment, process_group=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with suppress(BrokenPipeError):
                os.write(process.stdin.fileno(), write_line(order))
            kind = b""
            while kind != END and len(head := process.stdout.read(MESSAGE.size)) == MESSAGE.size:
                kind, length, width = MESSAGE.unpack(head)
                lines, vectors = process.stdout.read(length), process.stdout.read(width)
                if len(lines) + len(vectors) < length + width:
                    kind = b""
                    break
                if kind == END and "detail" in (end := read_line(lines)):
                    raise invalid_value("", end["detail"])
                yield kind, lines, vectors
        finally:
            process.kill()
    if kind != END:
        raise invalid_value("", why_ended(order))


def _rows(lines: bytes, vectors: bytes, mark: str) -> Iterator[TableRow]:
    """Yield the rows of a message."""
    start = 0
    for line in lines.splitlines():
        row = read_line(line)
        document = row.get("cells")
        if document is None:
            yield TableRow(row["line"], None, row["detail"], row["id"])
            continue
        for name in _VECTORS:
            cell = document.get(name)
            if isinstance(cell, dict) and mark in cell:
                kind, shape, is_list = cell[mark]
                vector = np.frombuffer(vectors, kind, math.prod(shape), start).reshape(shape)
                document[name] = vector.tolist() if is_list else vector
                start += vector.nbytes
        yield TableRow(row["line"], document, "", id_of(document))
