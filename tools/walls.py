"""Walls: parts of softkv that are distributions of their own, whose tests a landing of the core leaves out.

Suites of the core are left out of `make test` in the same way: those that passed in this checkout as they are now.

    python -m tools.walls                 for each wall all tests, or those with the mark end_to_end if it has passed
    python -m tools.walls postgres        all tests of one wall
    python -m tools.walls all             all tests of all walls, as at night
    python -m tools.walls frameworks      the same as without a word, for the packages in clients/ for frameworks
    python -m tools.walls core COMMAND    the tests that a command of pytest runs, without suites that passed

A file in the folder `.passed`, which git ignores, has the digest of each wall or suite whose tests have passed. A new
clone has none of them, so all its tests run. The digest is of the version of Python, of all files of the wall but its
pages in Markdown, of the modules of the core that it imports, and of `Wall.files`. A name that it imports from a face
counts as the module that defines the name. Further arguments go to pytest.
"""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tools import ROOT

CORE = {"softkv_attention": "attention", "softkv_service": "service", "softkv": "clients/python"}
"""The packages of the core, each with its folder."""
PASSED = ".passed"
"""The folder of the digests, in the checkout."""
BY_DAY = ("-m", "not thorough")
FOR_A_LANDING = ("-m", "end_to_end and not thorough")
BY_NIGHT = ("--hypothesis-profile=night",)


@dataclass(frozen=True)
class Wall:
    """A distribution beside the core.

    Attributes:
        folder: its folder in the repository, whose folder `tests` has its tests.
        package: the package of its modules; empty for a suite of the core, whose folder has only tests.
        environment: the folder of an environment with what its tests need; empty for that of the core.
        files: files and folders of the core that its pages load or its tests read.
    """

    folder: str
    package: str
    environment: str = ""
    files: tuple[str, ...] = ()

    @property
    def python(self) -> str:
        """The program that runs its tests."""
        return str(ROOT / self.environment / "bin" / "python") if self.environment else sys.executable

    @property
    def tests(self) -> str:
        """The folder of its tests."""
        return f"{self.folder}/tests" if self.package else self.folder


WALLS = {
    "cluster": Wall(
        "extensions/cluster",
        "softkv_cluster",
        ".venv-cluster",
        files=("constraints-cluster.txt", "docker/compose.cluster.yaml", "docker/kuberay", "docker/proxy.conf"),
    ),
    "postgres": Wall("extensions/postgres", "softkv_postgres"),
    "workshop": Wall(
        "workshop", "softkv_workshop", files=("service/softkv_service/web/css", "service/softkv_service/web/shared")
    ),
}
FRAMEWORKS = {
    "haystack": Wall("clients/haystack", "haystack_integrations"),
    "langchain": Wall("clients/langchain", "langchain_softkv"),
    "langgraph": Wall("clients/langgraph", "langgraph_store_softkv"),
    "llamaindex": Wall("clients/llamaindex", "llama_index"),
    "mem0": Wall("clients/mem0", "softkv_mem0"),
    "widget": Wall("clients/widget", "softkv_widget"),
}
"""The packages for frameworks: walls whose tests run in environments of their own, against one service."""
ALWAYS = ("constraints.txt", "tests/conftest.py")
ENCODING = (
    ":(glob)attention/softkv_attention/*.py",
    "attention/softkv_attention/kernels",
    "attention/softkv_attention/transformer",
    "service/softkv_service/encoding",
)
SUITES = {
    "attention": Wall("tests/attention", "", files=(*ALWAYS, "attention", "docs/notebooks")),
    "calibration": Wall(
        "tests/service/retrieval/calibration",
        "",
        files=(
            *ALWAYS,
            "attention/softkv_attention/lookup",
            "service/softkv_service/retrieval/calibration",
            "service/softkv_service/retrieval/labels",
        ),
    ),
    "encoding": Wall("tests/service/encoding", "", files=(*ALWAYS, *ENCODING)),
    "parity": Wall(
        "tests/parity",
        "",
        files=(*ALWAYS, *ENCODING, "attention/softkv_attention/lookup", "workshop/softkv_workshop/recurrent"),
    ),
    "storage": Wall("tests/service/storage", "", files=(*ALWAYS, "service/softkv_service/storage")),
    "tables": Wall("tests/clients/python/tables", "", files=(*ALWAYS, "clients/python/softkv/tables")),
}
"""Folders of tests of the core, each with the rooms that it tests. CONTRIBUTING.md has what tests a room every time."""
FOLDERS = CORE | {"tests": "."} | {wall.package: wall.folder for wall in FRAMEWORKS.values()}
"""The packages whose modules count if a wall imports them: that for mem0 has the one for LangChain."""


def digest(wall: Wall, root: Path = ROOT) -> str:
    """Return the digest of a wall, and of what it imports and reads of the core."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", wall.folder, *wall.files]
    listed = subprocess.run(listing, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    files = {path for name in listed if (path := root / name).is_file() and path.suffix != ".md"}
    modules = {
        path for path in files if path.suffix == ".py" and path.is_relative_to(root / wall.folder / wall.package)
    }
    core = {path for module in modules for path in imported(module, root)}
    result = hashlib.sha256(f"{sys.version_info[:2]}\n".encode())
    for path in sorted(files | core):
        result.update(f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return result.hexdigest()


def imported(module: Path, root: Path = ROOT) -> set[Path]:
    """Return the files of the core that a module imports from, at its beginning or in a function."""
    files = set[Path]()
    for node in _imports(module.read_text(encoding="utf-8")):
        if isinstance(node, ast.Import):
            files |= {path for alias in node.names if (path := _file(alias.name, root))}
        else:
            files |= {path for alias in node.names if (path := _defining(str(node.module), alias.name, root))}
    return files


@cache
def _imports(text: str) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in ast.walk(_tree(text)) if isinstance(node, ast.Import | ast.ImportFrom)]


@cache
def _tree(text: str) -> ast.Module:
    return ast.parse(text)


def _file(module: str, root: Path) -> Path | None:
    """Return the file of a module of the core or of a package for a framework; None for other modules."""
    package = module.partition(".")[0]
    if package not in FOLDERS:
        return None
    path = root / FOLDERS[package] / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def _defining(module: str, name: str, root: Path) -> Path | None:
    """Return the file that defines a name of a module: a face has it from elsewhere."""
    if (submodule := _file(f"{module}.{name}", root)) is not None:
        return submodule
    if (file := _file(module, root)) is None or file.name != "__init__.py":
        return file
    for node in _tree(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and name in {alias.asname or alias.name for alias in node.names}:
            return _defining(str(node.module), name, root) or file
    return file


def read_passed(root: Path = ROOT) -> dict[str, str]:
    """Return the digest at which all tests of a wall or suite have passed, by name."""
    return {path.name: path.read_text(encoding="utf-8") for path in (root / PASSED).glob("*")}


def write_passed(digests: Mapping[str, str], root: Path = ROOT) -> None:
    """Write the digests of walls and suites whose tests have passed. Each has a file, since tiers run side by side."""
    (root / PASSED).mkdir(exist_ok=True)
    for name, passed in digests.items():
        (root / PASSED / name).write_text(passed, encoding="utf-8")


def runs(
    words: Sequence[str], passed: Mapping[str, str], root: Path = ROOT
) -> Iterator[tuple[list[str], Sequence[str]]]:
    """Yield names of walls with the arguments of pytest for their tests. A process tests all names of one item.

    Args:
        words: what the command line asks for: nothing, `all`, `frameworks`, or names of walls.
        passed: the digests of walls whose tests have passed.
    """
    if words == ["frameworks"]:  # one service for all that run the same
        unchanged = [name for name, wall in FRAMEWORKS.items() if passed.get(name) == digest(wall, root)]
        changed = [name for name in FRAMEWORKS if name not in unchanged]
        yield from ((names, options) for names, options in ((unchanged, FOR_A_LANDING), (changed, ())) if names)
    elif words == ["all"]:
        yield from (([name], BY_NIGHT) for name in WALLS)
    elif words:
        yield from (([name], BY_DAY) for name in words)
    else:
        for name, wall in WALLS.items():
            yield [name], FOR_A_LANDING if passed.get(name) == digest(wall, root) else BY_DAY


def command(names: Sequence[str], selection: Sequence[str]) -> list[str]:
    """Return the command that runs these tests: of frameworks and of a wall in their own environments."""
    if names[0] in FRAMEWORKS:
        return [sys.executable, "-m", "tests.integrations.run", *names, *selection]
    [name] = names
    cache = ["-o", f"cache_dir=.pytest_cache/{name}", "--durations", "10"]
    wall = WALLS[name]
    return [wall.python, "-m", "pytest", wall.tests, *selection, *cache]


def run_core(command_line: Sequence[str], root: Path = ROOT) -> int:
    """Run a command of pytest without the suites of the core that have passed as they are; return its exit status."""
    passed, digests = read_passed(root), {name: digest(suite, root) for name, suite in SUITES.items()}
    ignored = [f"--ignore={SUITES[name].tests}" for name in SUITES if passed.get(name) == digests[name]]
    status = subprocess.run([*command_line, *ignored], cwd=root, check=False).returncode
    if not status:
        write_passed(digests, root)
    return status


def main(words: list[str], root: Path = ROOT) -> int:
    """Run tests, and return the exit status of the first run that fails."""
    if words[:1] == ["core"]:
        return run_core(words[1:], root)
    options = [word for word in words if word.startswith("-")]
    words = [word for word in words if word not in options]
    if words not in (["all"], ["frameworks"]) and (others := [word for word in words if word not in WALLS]):
        sys.exit(f"Expected names of walls, some of {', '.join(WALLS)}, got {', '.join(others)}.")
    statuses = []
    for names, selection in runs(words, read_passed(root), root):
        # Before the tests: what changes while they run has not passed.
        digests = {name: digest((WALLS | FRAMEWORKS)[name], root) for name in names}
        run = [*command(names, selection), *options]
        statuses.append(subprocess.run(run, cwd=root, check=False).returncode)
        if not statuses[-1] and not options and selection != FOR_A_LANDING:
            write_passed(digests, root)
    return next((status for status in statuses if status), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
