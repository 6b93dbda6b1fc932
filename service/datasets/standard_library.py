"""The standard library as a collection: what a name does → how it is called."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_PRINT_DOCUMENTS = f"""
import runpy, sys
sys.path.insert(0, {str(_ROOT)!r})
runpy.run_module("service.datasets.public_documents", run_name="__main__")
"""


def standard_library() -> Iterator[dict[str, Any]]:
    """Everything public in the interpreter's standard library that has a docstring.

    The key is the qualified name and the docstring's first sentence; the value is the signature and
    the docstring, shortened; something with several names stands under the one that comes first
    (`builtins`, then shorter module paths). The order is that of the names.

    A fresh interpreter without site packages is asked, because installed packages replace parts of
    the library when they are imported (torch `inspect.getfile`, transformers methods of loggers):
    so the same Python always gives the same documents, and nothing is imported here.

    Raises subprocess.CalledProcessError where that interpreter fails; what it says goes to stderr.
    """
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PRINT_DOCUMENTS]
    printed = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    yield from map(json.loads, printed.splitlines())
