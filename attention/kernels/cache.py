"""Files of machine code, shared by every checkout and process that would compile the same code.

The name of a folder is a hash of everything the code depends on: the source of every kernel, the versions of Python,
numba and llvmlite, and the compiler's target. A file begins with the digest of its content.
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
"""An optional package with machine code for common processors."""

NOT_COMPILED = {"dispatch.py", "in_c.py", "in_numpy.py", "machine_code.py"}
"""Source files that hold no compiled code: changing them does not change the key."""

KEPT = 16
"""Number of folders to keep in a directory; the oldest are deleted first."""

_DIGEST_BYTES = hashlib.sha256().digest_size

_directory: Path | None = None


def default_directory() -> Path:
    """Return the default directory for machine code: softkv's folder in the user's cache directory."""
    try:
        return Path.home() / ".cache" / "softkv"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / "softkv"


def set_directory(directory: Path | None) -> None:
    """Set the directory in which machine code is cached; None for `default_directory()`."""
    global _directory
    _directory = directory


def folder() -> Path:
    """Return the folder with the machine code that this process can load. It may not exist yet.

    Its name is `key()`.
    """
    return (_directory or default_directory()) / "kernels" / key()


@cache
def key() -> str:
    """Return a hash of everything that machine code depends on: sources, versions and the compiler's target."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    python = (path for path in root.rglob("*.py") if path.parent.name != "native")
    for path in sorted(path for path in python if path.name not in NOT_COMPILED):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    versions = (sys.implementation.cache_tag, numba.__version__, llvmlite.__version__)
    digest.update(repr((versions, cpu_target.target_context.codegen().magic_tuple())).encode())
    return digest.hexdigest()[:32]


@cache
def package_directory() -> Path | None:
    """Return the folder of the installed package of machine code that matches `key()`, or None.

    Log a warning if the package is installed but has no such folder.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / key()
    if path.is_dir():
        return path
    logger.warning("%s has no machine code for this processor and these versions: compiling it here", PACKAGE)
    return None


@cache
def _log_compilation() -> None:
    """Log one line in this process, because its first compilation may take minutes."""
    logger.info("compiling machine code, once, which may take minutes; later processes load it from %s", folder())


class KernelCache(_Cache):
    """A cache of one kernel's machine code, in place of numba's own.

    Args:
        function: the kernel in Python.
    """

    def __init__(self, function: Any) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"

    @property
    def cache_path(self) -> str:
        """The path of the folder with the machine code; numba reads this attribute."""
        return str(folder())

    def holds(self, signature: Any) -> bool:
        """Return whether a file with machine code exists for these argument types. Its content is not checked."""
        return any(path.exists() for path in self._paths(signature))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for these argument types, or None if every file is missing or damaged."""
        target_context.refresh()
        for path in self._paths(sig):
            try:
                content = path.read_bytes()
            except OSError:
                continue
            digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
            if hashlib.sha256(payload).digest() != digest:
                logger.warning("machine code in %s is damaged: compiling it again", path)
                continue
            return CompileResult._rebuild(target_context, *pickle.loads(payload))
        _log_compilation()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write compiled code to its file, completely or not at all.

        Log a warning if the file cannot be written.
        """
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
            logger.warning("machine code cannot be cached, and will be compiled again: %s", error)

    def enable(self) -> None:
        """Do nothing, because the cache is always on. Numba calls this."""

    def disable(self) -> None:
        """Do nothing, because the cache is always on. Numba may call this."""

    def flush(self) -> None:
        """Do nothing, because changed code has another key, and so another folder."""

    def _paths(self, signature: Any) -> list[Path]:
        """Return the paths of the files that may hold this kernel's code for these argument types.

        The first is in the cache directory; the second, if a package of machine code is installed, is in the package.
        """
        name = f"{self._name}-{hashlib.sha256(repr(signature).encode()).hexdigest()[:8]}"
        return [folder() / name] + ([package_folder / name] if (package_folder := package_directory()) else [])


def prune() -> None:
    """Delete all but the newest KEPT folders of machine code.

    Several processes may call this at the same time.
    """
    made: dict[Path, float] = {}
    for path in folder().parent.glob("*"):
        with suppress(FileNotFoundError):
            made[path] = path.stat().st_mtime
    for old in sorted(made, key=made.__getitem__)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
