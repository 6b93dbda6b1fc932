"""The house's invariants that no linter checks: sizes, names, and who reads the environment."""

from __future__ import annotations

import ast
import builtins
from http import HTTPStatus
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OWN = [
    path
    for pattern in ("attention/**/*", "service/**/*", "clients/**/*", "tests/**/*", "benchmarks/**/*")
    for path in ROOT.glob(pattern)
    if path.suffix in {".py", ".js", ".ts", ".css", ".html", ".sql"}
    and not {"vendor", "node_modules", "dist", "build"} & set(path.parts)
]
HOUSE = ("attention", "service", "clients")
PYTHON = [path for path in OWN if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in HOUSE]
# Routes say how they succeed; commands and clients read what they are answered.
READERS_OF_STATUSES = ("service/api/routes/", "service/commands/", "clients/")
REFUSING = {status.value for status in HTTPStatus if status >= 400}
# A probe's answer is no problem; and what ends in an unexpected error has no status of its own to count or to log.
OWN_STATUSES = {
    "service/api/routes/probes.py": {503},
    "service/api/middleware/followed.py": {500},
    "service/api/middleware/request_id.py": {500},
}
BUILT_IN = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)}
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "base"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_something_to_check():
    assert len(OWN) > 50


@pytest.mark.parametrize("path", OWN, ids=name)
def test_a_file_has_at_most_300_lines_and_a_name_that_says_what_it_is(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    assert path.stem not in VAGUE


@pytest.mark.parametrize("folder", sorted({path.parent for path in PYTHON}), ids=name)
def test_a_folder_has_at_most_18_modules(folder):
    assert len([path for path in PYTHON if path.parent == folder]) <= 18


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_only_settings_reads_the_environment(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    reads = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & {"environ", "getenv"}
    assert not reads or path.name == "settings.py"


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_only_problems_knows_statuses(path):
    room = name(path)
    if room.startswith("service/api/problems/"):
        return
    text = path.read_text(encoding="utf-8")
    assert "HTTPException" not in text
    if not room.startswith(READERS_OF_STATUSES):
        assert "status_code" not in text.replace('"http.response.status_code"', "")  # as a trace calls it
    if room.startswith(("service/api/", "service/schemas/")) or room == "service/app.py":
        numbers = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
        assert {each for each in numbers if type(each) is int} & REFUSING == OWN_STATUSES.get(room, set())


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_only_storage_writes_sql(path):
    if "storage" in path.parts:
        return
    text = path.read_text(encoding="utf-8")
    calls = {
        node.func.attr
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    if "stores" in path.parts:  # of others, which are only read
        assert text.count("sqlite3.connect(") == text.count("?mode=ro")
        return
    assert not calls & {"execute", "executemany", "executescript"}


def exceptions_of_the_service():
    """Every exception class in service/: its file, its name and the names of its bases."""
    classes = [
        (name(path), node.name, {each.id if isinstance(each, ast.Name) else each.attr for each in bases})
        for path in PYTHON
        if path.relative_to(ROOT).parts[0] == "service"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and (bases := [each for each in node.bases if isinstance(each, ast.Name | ast.Attribute)])
    ]
    known: set[str] = set()
    while more := {own for _, own, bases in classes if bases & (BUILT_IN | known)} - known:
        known |= more
    return [each for each in classes if each[1] in known]


def test_only_the_root_of_a_room_s_exceptions_ends_in_error():
    found = exceptions_of_the_service()
    roots = {(file, own) for file, own, bases in found if "Exception" in bases}
    assert ("service/retrieval/errors.py", "RetrievalError") in roots
    assert len({Path(file).parent for file, _ in roots}) == len(roots)
    assert {(file, own) for file, own, _ in found if own.endswith("Error")} == roots
