"""Parts of other libraries that they do not document: the product's code uses no others than a table lists."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Match, Route

from softkv_service.api.paths import route_path
from softkv_service.commands.doctor import UNDOCUMENTED, UndocumentedParts, examination
from softkv_service.settings import Settings
from tests.examples import ROOT

FOLDERS = ("attention", "clients", "extensions", "service", "workshop")
OF_PYTHON = {"_asdict", "_fields", "_fields_", "_make", "_replace", "_exit", "_getframe", "_at_fork_reinit"}
"""Names of Python's own library, all of which the tests run with each Python that softkv supports."""
OF_RAY = {"_private", "ray._private.services"}
"""The extra `cluster` pins Ray to one version, so no newer one is installed beside it."""


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax of each module of the product, by its path."""
    paths = {path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    ours = (path for path in paths if not {"tests", "tools", "build", "node_modules"} & set(path.parts))
    return {str(path): ast.parse((ROOT / path).read_text(encoding="utf-8")) for path in ours}


def defined(tree: ast.Module) -> set[str]:
    """Return the names of functions, classes, attributes and variables that a module defines."""
    names = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Constant(value=str(name)) if name.isidentifier():  # as in __slots__
                names.add(name)
    return names


def used(tree: ast.Module) -> set[str]:
    """Return the private modules that a module imports, and the private names that it imports or reads."""
    names = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=aliases):
                if any(map(private, module.split("."))):
                    names.add(module)
                names |= {alias.name for alias in aliases if private(alias.name)}
            case ast.Import(names=aliases):
                names |= {alias.name for alias in aliases if any(map(private, alias.name.split(".")))}
            case ast.Attribute(attr=name) if private(name):
                names.add(name)
    return names


def used_or_defined(tree: ast.Module) -> set[str]:
    """Return all names that a module imports, reads or defines."""
    reads = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return defined(tree) | reads | imports


def listed() -> set[str]:
    return {part.rpartition(".")[2] for parts in UNDOCUMENTED for part in parts.parts}


def test_no_private_name_of_a_library_is_used_that_the_table_lacks() -> None:
    trees = modules()
    assert len(trees) > 500
    known = OF_PYTHON | OF_RAY | listed() | set[str]().union(*map(defined, trees.values()))
    strange = {path: names for path, tree in trees.items() if (names := used(tree) - known)}
    assert strange == {}, "use a documented part, or list it in softkv_service.commands.doctor.UNDOCUMENTED"


@pytest.mark.parametrize(
    "line", ["from starlette._utils import get_route_path", "import a._b", "from a import _b", "a.b._c()"]
)
def test_a_private_name_is_found(line: str) -> None:
    assert used(ast.parse(line)) - defined(ast.parse(line))


def resolve(name: str) -> Any:
    """Return the object with a dotted name; its module is the longest one that can be imported."""
    module, _, last = name.rpartition(".")
    try:
        holder = import_module(module)
    except ImportError:
        holder = resolve(module)
    return getattr(holder, last)


@pytest.mark.parametrize("parts", UNDOCUMENTED, ids=lambda parts: parts.library)
def test_each_part_exists_is_used_and_was_tested_with_the_versions_of_the_table(parts: UndocumentedParts) -> None:
    for name in parts.parts:
        resolve(name)
    # A method that a subclass overrides is used by its definition.
    names = set[str]().union(*(used_or_defined(tree) for tree in modules().values()))
    assert [name for name in parts.parts if name.rpartition(".")[2] not in names] == []
    [pinned] = re.findall(rf"^{parts.library}==(.*)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert series(parts.oldest) <= series(pinned)[: len(series(parts.newest))] <= series(parts.newest)
    required = re.findall(rf'"{parts.library}([<>=].*?)"', (ROOT / "pyproject.toml").read_text())
    if parts.library != "transformers":  # it comes with sentence-transformers
        assert required == [f">={parts.oldest}"], "an upper bound would forbid a host's newer version"


def series(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_a_version_that_is_newer_than_those_tested_is_one_note() -> None:
    def notes(*undocumented: UndocumentedParts) -> list[tuple[str, str]]:
        step = next(step for step in examination(Settings(), undocumented) if step.name == "versions")
        return [(check.state, check.detail) for check in step.run()]

    assert notes(*UNDOCUMENTED) == []
    assert notes(UndocumentedParts("none-of-this-name", "1", "1", ())) == []
    assert notes(UndocumentedParts("uvicorn", "0.1", "1", ())) == []
    [(state, detail)] = notes(UNDOCUMENTED[0], UndocumentedParts("uvicorn", "0.1", "0.9", ()))
    assert state == "note"
    assert re.fullmatch(
        r"uvicorn [\d.]+ is newer than 0\.9, the newest that softkv was tested with: "
        r"if something fails, install 'uvicorn==0\.9\.\*'",
        detail,
    )


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("", "/v1", "/v1"),
        ("/softkv", "/softkv/v1", "/v1"),
        ("/softkv", "/v1", "/v1"),  # some servers leave the root path out
        ("/softkv", "/softkvs/v1", "/softkvs/v1"),
        ("/a/b", "/a/b/a/b", "/a/b"),
        ("/softkv", "/softkv/", "/"),
        ("/softkv", "/softkv", ""),
    ],
)
def test_the_path_below_the_root_path_is_the_one_that_starlette_matches(root: str, path: str, expected: str) -> None:
    scope = {"type": "http", "method": "GET", "path": path, "root_path": root}
    assert route_path(scope) == expected
    if expected:  # a route has a path
        assert Route(expected, Path).matches(scope)[0] == Match.FULL
