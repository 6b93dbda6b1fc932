"""Machine code in files that any checkout and any process can use, if they would have made the same.

A folder of files is named by all that machine code follows from: the text of every kernel, the versions of Python,
numba and llvmlite, and what the compiler was told of the processor. A file begins with the digest of the rest.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import shutil
import sys
import tempfile
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target
from numba.core.serialize import dumps

logger = logging.getLogger(__name__)

PACKAGE = "softkv_kernels"
"""A package with machine code for common processors, which may be installed beside this one."""

NOT_COMPILED = {"engine.py", "in_numpy.py", "machine_code.py", "targets.py"}
"""Of the kernels' files, which may change without another key."""

KEPT = 16
"""Folders in a directory; the oldest goes first."""

_DIGEST_BYTES = hashlib.sha256().digest_size

_directory: Path | None = None


def default_directory() -> Path:
    """Return where this user's programs keep what they can make again, for softkv."""
    try:
        return Path.home() / ".cache" / "softkv"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / "softkv"


def keep_in(directory: Path | None) -> None:
    """Keep machine code in a directory from now on; None for the user's own."""
    global _directory
    _directory = directory


def folder() -> Path:
    """Return where this process keeps its machine code; it need not be there yet."""
    return (_directory or default_directory()) / "kernels" / key()


@cache
def key() -> str:
    """Return the name of all that this process's machine code follows from."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*.py") if path.name not in NOT_COMPILED):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    versions = (sys.implementation.cache_tag, numba.__version__, llvmlite.__version__)
    digest.update(repr((versions, cpu_target.target_context.codegen().magic_tuple())).encode())
    return digest.hexdigest()[:32]


@cache
def shipped() -> Path | None:
    """Return the folder of the installed package for this process; None if there is none."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / key()
    if path.is_dir():
        return path
    logger.warning("%s has no machine code for this processor and these versions: it is made here", PACKAGE)
    return None


class KernelCache(_Cache):
    """One kernel's machine code in files, in the place of numba's own cache.

    Args:
        function: the kernel in Python.
    """

    def __init__(self, function: Any) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"

    @property
    def cache_path(self) -> str:
        """The folder of the files, which numba asks for."""
        return str(folder())

    def holds(self, signature: Any) -> bool:
        """Whether a file has machine code for these types, which need not be sound."""
        return any(path.exists() for path in self._paths(signature))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was compiled for these types; None if there is no file of it that is sound."""
        target_context.refresh()
        for path in self._paths(sig):
            try:
                content = path.read_bytes()
            except OSError:
                continue
            digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
            if hashlib.sha256(payload).digest() != digest:
                logger.warning("machine code in %s is damaged: it is made anew", path)
                continue
            return CompileResult._rebuild(target_context, *pickle.loads(payload))
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled for these types, whole or not at all; do nothing if it cannot be written."""
        if data.library.has_dynamic_globals or any(not lifted.can_cache for lifted in data.lifted):
            return
        payload = dumps(data._reduce())
        path = self._paths(sig)[0]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
                written = Path(temporary) / path.name
                written.write_bytes(hashlib.sha256(payload).digest() + payload)
                written.chmod(0o644)  # other users may run the service, whatever this one's mask is
                os.replace(written, path)
        except OSError as error:
            logger.warning("machine code is not kept, and will be made again: %s", error)

    def enable(self) -> None:
        """Do nothing: it is always on."""

    def disable(self) -> None:
        """Do nothing: it is always on."""

    def flush(self) -> None:
        """Do nothing: whatever changes has another folder."""

    def _paths(self, signature: Any) -> list[Path]:
        """The file that it is kept in, then the one that was shipped."""
        name = f"{self._name}-{hashlib.sha256(repr(signature).encode()).hexdigest()[:8]}"
        return [folder() / name] + ([place / name] if (place := shipped()) else [])


def prune() -> None:
    """Delete all folders beside this process's but those that were made last; others may do so at the same time."""
    made: dict[Path, float] = {}
    for path in folder().parent.glob("*"):
        with suppress(FileNotFoundError):
            made[path] = path.stat().st_mtime
    for old in sorted(made, key=made.__getitem__)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
