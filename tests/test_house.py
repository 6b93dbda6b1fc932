"""Invariants that no linter checks: names, and the modules that read the environment."""

from __future__ import annotations

import ast
import builtins
from functools import cache
from http import HTTPStatus
from pathlib import Path

import pytest

from tools.walls import WALLS

ROOT = Path(__file__).parents[1]
OWN = [
    path
    for folder in ("attention", "service", "clients", "extensions", "workshop", "tests", "tools", "benchmarks")
    for path in (ROOT / folder).glob("**/*")
    if path.suffix in {".py", ".js", ".ts", ".css", ".html", ".sql"}
    and not {"vendor", "node_modules", "dist", "build", "generated"} & set(path.parts)
]
HOUSE = ("attention", "service", "clients", "extensions", "workshop")
PYTHON = [
    path
    for path in OWN
    if path.suffix == ".py"
    and path.relative_to(ROOT).parts[0] in HOUSE
    and not {"tests", "benchmarks"} & set(path.relative_to(ROOT).parts)
]
# Routes say how they succeed; commands and clients read what they are answered.
READERS_OF_STATUSES = (
    "service/softkv_service/api/routes/",
    "workshop/softkv_workshop/routes/",
    "service/softkv_service/commands/",
    "service/softkv_service/encoding/remote/",
    "clients/",
    "extensions/",
)
PASSES_ON = "clients/python/softkv/tables/process.py"  # to the process that reads files, what Python needs
TELLS_RAY = "extensions/cluster/softkv_cluster/ray_cluster.py"  # by its environment: Ray has no other way to set these
REFUSING = {status.value for status in HTTPStatus if status >= 400}
# A probe's answer is not a problem, nor is the page for a person with a wrong address; an unexpected error has no
# separate status to count or to log.
OWN_STATUSES = {
    "service/softkv_service/api/routes/page.py": {404},
    "service/softkv_service/api/routes/service.py": {503},
    "service/softkv_service/api/middleware/requests.py": {500},
}
BUILT_IN = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)}
SQL = {"execute", "executemany", "executescript"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base"}

# Where the tests of a package are: each folder mirrors one of the product.
MIRRORS = {
    "tests/attention": "attention/softkv_attention",
    "tests/service": "service/softkv_service",
    "tests/clients/python": "clients/python/softkv",
}
OTHER_SUBJECTS = {"benchmarks", "browser", "tools"}  # folders of a wall's tests, of which the second is of its pages
MIRRORS |= {f"{wall.folder}/tests": f"{wall.folder}/{wall.package}" for wall in WALLS.values()}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(text_of(path))))


def test_there_is_something_to_check():
    assert len(OWN) > 50


def test_no_file_has_a_vague_name():
    assert [name(path) for path in OWN if path.stem in VAGUE] == []


def is_named_after_a_module(test: Path, mirrored: Path) -> bool:
    """Return whether a test file's name begins with the name of a module or package in the mirrored folder.

    Tests of several modules begin with the name of the folder. A folder of tests may be that of one module.
    """
    if not mirrored.is_dir():
        return mirrored.with_suffix(".py").is_file()
    modules = {path.stem for path in mirrored.glob("*.py")} | {
        path.name for path in mirrored.iterdir() if path.is_dir()
    }
    subject = test.stem.removeprefix("test_")
    return any(
        subject == name or subject.startswith(f"{name}_")
        for name in modules | {mirrored.name, mirrored.name.removeprefix("softkv_")}
    )


@pytest.mark.parametrize(("tests", "product"), MIRRORS.items())
def test_a_test_file_is_named_after_its_module(tests: str, product: str) -> None:
    paths = sorted((ROOT / tests).rglob("test_*.py"))
    files = [path for path in paths if path.relative_to(ROOT / tests).parts[0] not in OTHER_SUBJECTS]
    assert len(files) > (30 if tests.startswith("tests/") else 0)
    assert [
        name(file)
        for file in files
        if not is_named_after_a_module(file, ROOT / product / file.parent.relative_to(ROOT / tests))
    ] == []


def test_only_settings_reads_the_environment():
    readers = [
        name(path)
        for path in PYTHON
        if {node.attr for node in nodes_of(path) if isinstance(node, ast.Attribute)} & {"environ", "getenv"}
    ]
    others = {PASSES_ON, TELLS_RAY, "attention/softkv_core_build.py"}  # the second runs when a wheel is built
    assert [path for path in readers if Path(path).name != "settings.py" and path not in others] == []
    assert readers


def knows_statuses(path: Path) -> bool:
    room, text = name(path), text_of(path)
    if room.startswith("service/softkv_service/api/problems/"):
        return False
    # The attribute of a trace does not count.
    if "HTTPException" in text or (
        not room.startswith(READERS_OF_STATUSES) and "status_code" in text.replace('"http.response.status_code"', "")
    ):
        return True
    if not (
        room.startswith(("service/softkv_service/api/", "service/softkv_service/schemas/"))
        or room in ("service/softkv_service/app.py", "service/softkv_service/assembly.py")
    ):
        return False
    numbers = {node.value for node in nodes_of(path) if isinstance(node, ast.Constant)}
    return {number for number in numbers if type(number) is int} & REFUSING != OWN_STATUSES.get(room, set())


def test_only_problems_knows_statuses():
    assert [name(path) for path in PYTHON if knows_statuses(path)] == []


def writes_sql(path: Path) -> bool:
    called = (node.func for node in nodes_of(path) if isinstance(node, ast.Call))
    return bool({argument.attr for argument in called if isinstance(argument, ast.Attribute)} & SQL)


def test_only_storage_writes_sql():
    writers = {path for path in PYTHON if writes_sql(path)}
    stores = {path for path in writers if {"storage", "softkv_postgres"} & set(path.parts)}
    assert stores
    assert [*map(name, writers - stores)] == []


def exceptions_of_the_service():
    """Every exception class in service/: its file, its name and the names of its bases."""
    classes = [
        (name(path), node.name, {base.id if isinstance(base, ast.Name) else base.attr for base in bases})
        for path in PYTHON
        if path.relative_to(ROOT).parts[0] == "service"
        for node in nodes_of(path)
        if isinstance(node, ast.ClassDef)
        and (bases := [base for base in node.bases if isinstance(base, ast.Name | ast.Attribute)])
    ]
    names: set[str] = set()
    while more := {name for _, name, bases in classes if bases & (BUILT_IN | names)} - names:
        names |= more
    return [definition for definition in classes if definition[1] in names]


def test_only_the_root_of_a_room_s_exceptions_ends_in_error():
    result = exceptions_of_the_service()
    roots = {(file, name) for file, name, bases in result if "Exception" in bases}
    assert ("service/softkv_service/retrieval/errors.py", "RetrievalError") in roots
    assert len({Path(file).parent for file, _ in roots}) == len(roots)
    assert {(file, name) for file, name, _ in result if name.endswith("Error")} == roots
