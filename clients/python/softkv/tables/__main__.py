"""`python -m softkv.tables`: read a file of a stranger as a table, and write its rows as NDJSON.

A service runs it for each file that `POST /v1/tables` receives, since a damaged or hostile file may fill the memory of
the process that reads it, or end it. The process limits its own memory and time.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from softkv.errors import Invalid
from softkv.problems import INVALID_CONTENT, invalid_value
from softkv.tables.columns import Columns
from softkv.tables.content import ReaderMissing
from softkv.tables.opening import open_with
from softkv.tables.table import Table

NICENESS = 5


def main() -> None:
    """Read the table that the first line of standard input describes, and write its lines to standard output.

    The line is a JSON object with `folder` and `file`, the name of a file in it; `columns`, as `Columns` has them;
    `delimiter` and `charset`; `line_bytes`, the most that a line may have; and `memory_bytes` and `seconds`, which this
    process may take. The end of standard input ends the process, which then removes the folder.
    """
    request, lines = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # a library may print; only rows go to standard output
    order = json.loads(request.readline())
    os.chdir(order["folder"])  # messages then name the file alone
    _limit(order["memory_bytes"], order["seconds"])
    threading.Thread(target=_exit_at_end_of, args=(request, order["folder"]), daemon=True).start()
    for line in _read(order):
        lines.write(line)
    lines.flush()


def _limit(memory_bytes: int, seconds: int) -> None:
    """Limit the memory that this process may write, and its processor time; Windows has no such limits."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    try:
        import resource
    except ModuleNotFoundError:
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _exit_at_end_of(request: BinaryIO, folder: str) -> None:
    """Remove the folder and end this process when the service closes its end of the pipe, or is killed."""
    request.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _read(order: dict[str, Any]) -> Iterator[bytes]:
    """Yield the lines of the answer: what the table is, its rows, and how the reading ended."""
    file, rows, refused = order["file"], 0, 0
    try:
        table = open_with(
            Path(file), Columns(**order["columns"]), delimiter=order["delimiter"], charset=order["charset"]
        )
        yield _describe(table, order["line_bytes"])
        for number, cells, flaw, id_ in table:
            line = b"" if cells is None else serialise({"line": number, "cells": cells})
            if len(line) > order["line_bytes"]:
                flaw = f"the row has {len(line):,} bytes as JSON, a line may have {order['line_bytes']:,}: shorten it"
            rows += 1
            refused += bool(flaw)
            yield serialise({"line": number, "id": id_, "detail": flaw}) if flaw else line
    except ReaderMissing as error:
        yield serialise({"done": False, "code": "library_missing", "detail": str(error)})
    except Invalid as error:
        yield serialise({"done": False, "code": INVALID_CONTENT, "detail": str(error)})
    except MemoryError:
        detail = (
            f"{file} needs more than {order['memory_bytes']:,} bytes of memory: split it, or load it with `softkv load`"
        )
        yield serialise({"done": False, "code": INVALID_CONTENT, "detail": detail})
    else:
        counts = {"rows": rows, "refused": refused, "keyless": table.keyless, "expired": table.expired}
        yield serialise({"done": True, **counts})


def _describe(table: Table, line_bytes: int) -> bytes:
    """Return the line about a table.

    Raises:
        Invalid: it has more bytes than a line may have.
    """
    parts = {name: getattr(table, name) for name in ("name", "unit", "total", "columns", "settings", "notices")}
    line = serialise(parts)
    if len(line) > line_bytes:
        raise invalid_value("", f"the names of the columns of {table.name} have more than {line_bytes:,} bytes")
    return line


def serialise(line: dict[str, Any]) -> bytes:
    """Return a line of NDJSON; numbers beyond 64 bits and lone surrogates keep their form."""
    try:
        import orjson

        return orjson.dumps(line, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    except (ImportError, TypeError):
        return json.dumps(line, default=lambda array: array.tolist()).encode() + b"\n"


if __name__ == "__main__":
    main()
