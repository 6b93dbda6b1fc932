"""Import and run softkv without what only POSIX has, as on Windows: `python -m tools.portability`."""

from __future__ import annotations

# Windows has other parts of these; imported before anything is missing, they work with those of POSIX.
import asyncio  # noqa: F401
import concurrent.futures.process  # noqa: F401
import importlib
import os
import pkgutil
import pty  # noqa: F401
import select
import sys
import tempfile
from types import ModuleType

import filelock  # noqa: F401

POSIX_MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty")
POSIX_NAMES = (
    *((os, name) for name in ("fork", "geteuid", "getuid", "killpg", "nice", "posix_fallocate", "register_at_fork")),
    *((os, name) for name in ("sched_getaffinity", "setsid", "sysconf")),
    (select, "poll"),
)
OPTIONAL = ("mcp", "psycopg", "pyarrow", "ray", "sklearn", "softkv_widget", "torch")
"""Packages that some modules need, and that do without POSIX in their own way."""


def lack_posix() -> None:
    """Take from this process the modules and names that exist on POSIX alone, and optional packages."""
    for name in (*POSIX_MODULES, *OPTIONAL):
        sys.modules[name] = None  # type: ignore[assignment]  # as `import` documents it
    if hasattr(os, "process_cpu_count"):  # its POSIX form calls sched_getaffinity
        os.process_cpu_count = os.cpu_count
    for module, name in POSIX_NAMES:
        if hasattr(module, name):
            delattr(module, name)


def import_all(package: ModuleType) -> int:
    """Import each module of a package, except modules that need an optional package; return how many."""
    count = 0
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if found.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(found.name)
            count += 1
        except ImportError as error:
            missing = error.__cause__ if isinstance(error.__cause__, ImportError) else error
            if (missing.name or "").partition(".")[0] not in OPTIONAL:
                raise
    return count


def run_service() -> str:
    """Write a document into a service of this process; return the id of the document that answers."""
    import softkv
    from softkv_service.server.process import limit_connections, limit_heaps, raise_descriptor_limit

    limit_heaps()
    assert limit_connections(1000, raise_descriptor_limit()) == 1000
    with tempfile.TemporaryDirectory() as directory, softkv.Client.local(directory, encoder="none") as client:
        collection = client.collection("c")
        collection.create()
        collection.put("a", value=1, key_vector=[1.0, 0.0])
        return collection.attend([1.0, 0.0]).matches[0].id


def main() -> None:
    """Import everything, and write how many modules of each package; then run a service."""
    lack_posix()
    import softkv
    import softkv_attention
    import softkv_service

    for package in (softkv_attention, softkv_service, softkv):
        sys.stdout.write(f"{package.__name__} {import_all(package)}\n")
    sys.stdout.write(f"{run_service()}\n")


if __name__ == "__main__":
    main()
