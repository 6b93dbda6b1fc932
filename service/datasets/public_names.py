"""Every public name of the running interpreter's standard library, each thing under one name."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from service.datasets.standard_modules import LEFT_OUT, SUBMODULES


@dataclass(frozen=True)
class PublicName:
    """A qualified name (`len` and `str.split` without `builtins.`), what it names, its module and its kind."""

    name: str
    named: Any
    module: str
    kind: str  # module, class, exception, function, method or property


def public_names() -> Iterator[PublicName]:
    """Modules, classes, functions, methods and properties.

    Where several modules offer one thing, the first claims it: `builtins` comes before all, shorter
    paths before longer ones. Modules that this platform does not have are skipped.
    """
    claimed: set[int] = set()
    for path, module in _modules():
        yield PublicName(path, module, path, "module")
        prefix = "" if path == "builtins" else f"{path}."
        for name, named, kind in _offered(path, module):
            if id(named) in claimed:
                continue
            claimed.add(id(named))
            yield PublicName(prefix + name, named, path, kind)
            for member_name, member, member_kind in _members(named):
                if id(member) not in claimed:
                    claimed.add(id(member))
                    yield PublicName(f"{prefix}{name}.{member_name}", member, path, member_kind)


def _modules() -> Iterator[tuple[str, ModuleType]]:
    top = sorted(name for name in sys.stdlib_module_names if not name.startswith("_") and name not in LEFT_OUT)
    for path in ["builtins", *(name for name in top if name != "builtins"), *SUBMODULES]:
        try:
            yield path, importlib.import_module(path)
        except ImportError:  # of another platform, or an optional part that this build lacks
            continue


def _offered(path: str, module: ModuleType) -> Iterator[tuple[str, Any, str]]:
    declared = getattr(module, "__all__", None)
    # A package may declare submodules that are not imported: those are None here, and pass by.
    offered = {name: getattr(module, name, None) for name in (declared if declared is not None else vars(module))}
    for name, named in sorted(offered.items(), key=_own_name_first):
        if name.startswith("_"):
            continue
        # Without a declaration, what a module imported for itself is not its own offer; _ssl is ssl's C half.
        if declared is None and path != "builtins" and getattr(named, "__module__", None) not in {path, f"_{path}"}:
            continue
        if inspect.isclass(named):
            yield name, named, "exception" if issubclass(named, BaseException) else "class"
        elif inspect.isroutine(named):
            yield name, named, "function"


def _members(named: Any) -> Iterator[tuple[str, Any, str]]:
    if not inspect.isclass(named):
        return
    for name, member in sorted(vars(named).items(), key=_own_name_first):
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield name, member, "property"
        elif isinstance(member, staticmethod | classmethod):
            yield name, member.__func__, "method"
        elif inspect.isroutine(member):
            yield name, member, "method"


def _own_name_first(item: tuple[str, Any]) -> tuple[bool, str]:
    """Sorts `array.array` before its alias `array.ArrayType`, then by name."""
    name, named = item
    return getattr(named, "__name__", name) != name, name
