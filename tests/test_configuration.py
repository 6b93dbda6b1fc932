"""Names of modules in files of configuration: each resolves. A wrong one often matches nothing, and no tool says so."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from fnmatch import filter as select
from functools import cache
from glob import glob
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import pytest

from tests.examples import ROOT
from tools.walls import FRAMEWORKS

FILES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml"))
)
OF_FRAMEWORKS = {wall.folder for wall in FRAMEWORKS.values()}
"""Folders of packages that are not installed here."""


@cache
def content(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


def exists(module: str) -> bool:
    """Return whether there is a module of this name; `.*` and `.**` at its end stand for modules below it."""
    name = re.sub(r"\.\*\*?$", "", module)
    return find_spec(name) is not None


def resolves(name: str) -> bool:
    """Return whether a dotted name is a module, or an attribute of one."""
    module, _, attribute = name.rpartition(".")
    return exists(module) and hasattr(import_module(module), attribute)


def test_there_are_files_to_check() -> None:
    assert {"pyproject.toml", "attention/pyproject.toml", "clients/python/pyproject.toml"} < set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_an_entry_point_names_an_object_of_a_module(name: str) -> None:
    project = content(name)["project"]
    points = [*project.get("scripts", {}).values()]
    points += [point for group in project.get("entry-points", {}).values() for point in group.values()]
    for point in points:
        module, _, attribute = point.partition(":")
        assert exists(module), point
        assert not attribute or hasattr(import_module(module), attribute), point


@pytest.mark.parametrize("name", FILES)
def test_packages_of_setuptools_are_folders(name: str) -> None:
    folder = (ROOT / name).parent
    settings = content(name)["tool"]["setuptools"]
    below = folder / settings.get("package-dir", {}).get("", ".")
    patterns = settings["packages"]["find"]["include"]
    assert all(list(below.glob(pattern)) for pattern in patterns)
    for package, files in settings.get("package-data", {}).items():
        inside = below / package.replace(".", "/")
        assert inside.is_dir(), package
        # `make docs` writes the site.
        assert [file for file in files if not list(inside.glob(file)) and not file.startswith("site/")] == []
    for command in settings.get("cmdclass", {}).values():
        module, _, attribute = command.rpartition(".")
        assert f"class {attribute}(" in (folder / f"{module}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_files_that_uv_watches_exist(name: str) -> None:
    for key in content(name)["tool"].get("uv", {}).get("cache-keys", []):
        assert "file" not in key or list((ROOT / name).parent.glob(key["file"])), key


@pytest.mark.parametrize("name", FILES)
def test_modules_of_mypy_exist(name: str) -> None:
    settings = content(name)["tool"].get("mypy", {})
    folders = [path for path in settings.get("mypy_path", "").split(":") if path and not path.startswith("$")]
    assert [path for path in folders if not (ROOT / name).parent.joinpath(path).is_dir()] == []
    if str((ROOT / name).parent.relative_to(ROOT)) in OF_FRAMEWORKS:
        return
    modules = [*settings.get("packages", ()), *settings.get("plugins", ())]
    for override in settings.get("overrides", ()):
        listed = [override["module"]] if isinstance(override["module"], str) else override["module"]
        modules += [module for module in listed if module.startswith("softkv") and "softkv_widget" not in module]
    assert [module for module in modules if not exists(module)] == []


def test_modules_of_import_contracts_exist() -> None:
    settings = content("pyproject.toml")["tool"]["importlinter"]
    modules = [*settings["root_packages"]]
    for contract in settings["contracts"]:
        modules += [*contract.get("source_modules", ()), *contract.get("ancestors", ())]
        modules += [module for module in contract.get("forbidden_modules", ()) if module.startswith("softkv")]
        modules += [module for edge in contract.get("ignore_imports", ()) for module in edge.split(" -> ")]
        containers = contract.get("containers", ())
        layers = [re.split(r" [|:] ", layer) for layer in contract.get("layers", ())]
        modules += [*containers, *(f"{one}.{name}" for one in containers for layer in layers for name in layer)]
        if not containers:
            modules += [name for layer in layers for name in layer]
    assert len(modules) > 80
    assert [module for module in modules if not exists(module)] == []


def test_names_and_files_of_ruff_exist() -> None:
    settings = content("pyproject.toml")["tool"]["ruff"]
    assert [folder for folder in settings["src"] if not glob(folder, root_dir=ROOT)] == []
    lint = settings["lint"]
    names = [*lint["flake8-bugbear"]["extend-immutable-calls"], *lint["pydocstyle"]["property-decorators"]]
    names += lint["flake8-tidy-imports"]["banned-api"]
    assert len(names) > 3
    assert [name for name in names if not resolves(name)] == []
    for name in lint["isort"]["known-first-party"]:
        assert list(ROOT.glob(f"clients/*/{name.replace('.', '/')}")), name
    files = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    for pattern in lint["per-file-ignores"]:  # of ruff, * matches a slash, too
        assert any(select(files, one) for one in alternatives(pattern)), pattern


def alternatives(pattern: str) -> list[str]:
    """Return a pattern once for each choice in braces, which may be nested."""
    if not (match := re.search(r"\{([^{}]*)\}", pattern)):
        return [pattern]
    choices = [pattern.replace(match[0], choice, 1) for choice in match[1].split(",")]
    return [one for choice in choices for one in alternatives(choice)]


def test_paths_and_modules_of_pytest_exist() -> None:
    settings = content("pyproject.toml")["tool"]["pytest"]["ini_options"]
    assert [folder for folder in settings["pythonpath"] if not (ROOT / folder).is_dir()] == []
    filters = [line.split(":") for line in settings["filterwarnings"]]
    modules = [parts[3] for parts in filters if len(parts) > 3]
    assert modules
    assert [module for module in modules if not exists(module)] == []


def test_files_of_the_image_exist() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line[1:] for line in lines if line.startswith("!") and not line.startswith("!dist/")]
    assert len(kept) > 10
    assert [path for path in kept if not (ROOT / path).exists()] == []
    dropped = [line for line in lines if line[:1] not in ("#", "!", "*", "")]
    parents = [line.rpartition("/")[0] for line in dropped]
    assert [path for path in parents if path and not list(ROOT.glob(path))] == []


BY_NAME = {"files", "find_spec", "import_module", "run_module"}
"""Functions whose argument is the name of a module."""


def names_in(tree: ast.AST) -> set[str]:
    """Return the modules of softkv that code names in texts: for these functions, or behind `-m` of a command."""
    names = set[str]()
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(attr=function) | ast.Name(id=function), args=[ast.Constant(value=str(name)), *_]
            ):
                names |= {name} if function in BY_NAME else set()
            case ast.Call(args=[ast.Name(id="import_module") | ast.Attribute(attr="import_module"), *others]):
                # as in map(import_module, names) and to_thread(import_module, name)
                texts = [one.value for other in others for one in ast.walk(other) if isinstance(one, ast.Constant)]
                names |= {text for text in texts if isinstance(text, str)}
            case ast.List(elts=words):
                texts = [word.value if isinstance(word, ast.Constant) else None for word in words]
                names |= {str(name) for option, name in pairwise(texts) if option == "-m" and name}
    return {name for name in names if re.fullmatch(r"softkv[\w.]*", name)}  # not a distribution, as in softkv-core


def test_modules_that_code_names_exist() -> None:
    listed = subprocess.check_output(["git", "ls-files", "*.py"], cwd=ROOT, text=True).splitlines()
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in listed if not path.startswith("findings/")}
    names = {path: names_in(ast.parse(text)) for path, text in texts.items() if "softkv" in text}
    assert set[str]().union(*names.values()) > {"softkv.tables", "softkv_service.encoding"}
    wrong = {path: [name for name in some if not exists(name)] for path, some in names.items()}
    assert {path: some for path, some in wrong.items() if some} == {}


def test_groups_of_entry_points_that_code_reads_are_declared() -> None:
    declared = {group for name in FILES for group in content(name)["project"].get("entry-points", {})}
    code = [
        path.read_text(encoding="utf-8")
        for folder in ("attention", "clients/python", "service")
        for path in (ROOT / folder).rglob("*.py")
    ]
    reading = re.compile(r'(?:group=|GROUP = |ENTRY_POINTS = )"(softkv[\w.]+)"')
    groups = {group for text in code for group in reading.findall(text)}
    assert groups == {group for group in declared if group.startswith("softkv.")}
