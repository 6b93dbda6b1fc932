"""`python -m softkv.tables`: read a file of a stranger as a table, and write its rows as `softkv.tables.process` says.

The process limits its own memory and time, and may open no file but those that its order names.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from softkv.errors import Invalid
from softkv.problems import INVALID_CONTENT, invalid_value
from softkv.table_options import TableOptions
from softkv.tables.cells import BadCell
from softkv.tables.columns import Reading
from softkv.tables.confinement import clock_stopped, limit, open_only, refuse_calls
from softkv.tables.content import ReaderMissing, own_file
from softkv.tables.formats import libraries_of
from softkv.tables.objects import beir_file
from softkv.tables.opening import IDS_ENDING, open_here
from softkv.tables.process import END, MESSAGE, ROWS, TABLE, Message, Vectors, write_line
from softkv.tables.shards import find_shards
from softkv.tables.table import Table

MESSAGE_BYTES = 256 * 1024
"""The bytes from which on a message of rows is complete."""


def main() -> None:
    """Read the table that the first line of standard input describes, and write messages to standard output.

    The line is a JSON object with `folder` and `file`, the path of a file from there; `reading`, as `Reading` has it;
    `lines`, as `open_here` takes it; `mark`, as `Vectors` takes it, or null if arrays become lists; and the limits
    `line_bytes`, `memory_bytes` and `seconds` of a line and of this process, or null. The end of standard input ends
    the process.
    """
    request, answer = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a library may print; only messages go to standard output
    order = json.loads(request.readline())
    os.chdir(order["folder"])  # messages then name the file alone
    limit(order["memory_bytes"], order["seconds"])
    gc.set_threshold(100_000)  # rows hold no cycles, and the search for some takes a tenth of the time
    for kind, lines, vectors in _read(order, request.fileno()):
        with clock_stopped():  # the caller takes what time it needs
            answer.write(MESSAGE.pack(kind, len(lines), len(vectors)) + lines + vectors)
            answer.flush()
    os._exit(0)


def _read(order: dict[str, Any], request: int) -> Iterator[Message]:
    """Yield the messages of the answer; without one of the kind END if the memory is not enough."""
    path, counts = Path(order["file"]), {"rows": 0, "refused": 0}
    try:
        options = TableOptions(**order["reading"].get("options", {}))
        _confine(path, options.ids)
        Thread(target=_exit_at_end_of, args=(request,), daemon=True).start()
        table = open_here(path, Reading(**order["reading"] | {"options": options}), lines=order["lines"])
        yield TABLE, _describe(table, order), b""
        if order["mark"] and table.matrix is not None:
            yield from _read_matrix(table.matrix[1])
        else:
            yield from _read_rows(table, order, counts)
    except Invalid as error:
        code = "library_missing" if isinstance(error, ReaderMissing) else INVALID_CONTENT
        yield END, write_line({"done": False, "code": code, "detail": str(error)}), b""
    except MemoryError:
        return
    else:
        yield END, write_line({"done": True, **counts, "keyless": table.keyless, "expired": table.expired}), b""


def _confine(path: Path, ids: str | Path | None) -> None:
    """Let this process open no other file than that, and ask no more of the system; then import what reads the file.

    A library may start threads as it is imported, and a thread is confined only if it starts later. What the system
    lacks, Landlock or seccomp, does not confine.

    Raises:
        Invalid: the system refuses to confine this process.
    """
    files, shards = [path, *([] if ids is None else [Path(ids)])], list[Path]()
    with suppress(OSError):  # open_here gives the reason
        shards = [] if path.is_dir() and beir_file(path, "corpus") else find_shards(path)
    libraries = {library for file in (*files, *shards[:1]) for library in libraries_of(file)}
    files += shards
    with suppress(Invalid):  # a link, which the reader refuses if it needs ids
        files += [file] if (file := own_file(path.parent, path.stem + IDS_ENDING)) else []
    try:
        open_only(files, folders=_folders_of(libraries), listed=path.parent if shards else None)
        refuse_calls()
    except OSError as error:
        raise invalid_value("", f"{path} is not read, since its reader cannot be confined: {error.strerror}") from None
    for library in libraries:
        with suppress(ImportError):  # open_here gives the reason
            import_module(library)


def _folders_of(libraries: Iterable[str]) -> list[Path]:
    """Return the folders of libraries and of NumPy, which may lie elsewhere than Python's packages."""
    specifications = [find_spec(name) for name in {"numpy", *(library.partition(".")[0] for library in libraries)}]
    folders = [Path(folder) for one in specifications if one for folder in one.submodule_search_locations or ()]
    return [*folders, *(folder.with_name(f"{folder.name}.libs") for folder in folders)]


def _exit_at_end_of(request: int) -> None:
    """End this process when its caller closes the pipe, or is killed."""
    os.read(request, 1)
    os._exit(0)


def _describe(table: Table, order: Mapping[str, Any]) -> bytes:
    """Return the line about a table.

    Raises:
        Invalid: it has more bytes than a line may have.
    """
    facts = {part: getattr(table, part) for part in ("name", "unit", "total", "columns", "settings", "notices")}
    if order["mark"] and table.matrix is not None:
        column, vectors = table.matrix
        facts["matrix"] = column, vectors.dtype.str, vectors.shape[1]
    line, line_bytes = write_line(facts), order["line_bytes"]
    if line_bytes and len(line) > line_bytes:
        raise invalid_value("", f"the names of the columns of {table.name} have more than {line_bytes:,} bytes")
    return line


def _read_matrix(matrix: Any) -> Iterator[Message]:
    """Yield the messages of rows that are vectors alone: their numbers."""
    step = max(1, MESSAGE_BYTES // (matrix.dtype.itemsize * matrix.shape[1]))
    for start in range(0, len(matrix), step):
        yield ROWS, b"", np.ascontiguousarray(matrix[start : start + step]).tobytes()


def _read_rows(table: Table, order: Mapping[str, Any], counts: dict[str, int]) -> Iterator[Message]:
    """Yield the messages of rows, and count the rows."""
    mark, line_bytes = order["mark"], order["line_bytes"]
    lines, size, vectors = list[bytes](), 0, Vectors(mark)
    for number, cells, flaw, id_ in table:
        line = b""
        if cells is not None:
            try:
                line = write_line({"line": number, "cells": cells}, vectors if mark else None)
            except BadCell as error:
                flaw = str(error)
        if line_bytes and len(line) > line_bytes:
            flaw = f"the row has {len(line):,} bytes as JSON, a line may have {line_bytes:,}: shorten it"
        counts["rows"] += 1
        if flaw:
            counts["refused"] += 1
            line = write_line({"line": number, "id": id_, "detail": flaw})
        lines.append(line)
        size += len(line)
        if size + vectors.size >= MESSAGE_BYTES:
            yield ROWS, b"".join(lines), b"".join(vectors.arrays)
            lines, size, vectors = [], 0, Vectors(mark)
    yield ROWS, b"".join(lines), b"".join(vectors.arrays)


if __name__ == "__main__":
    main()
