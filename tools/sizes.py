"""Sizes of the repository, tree by tree: `python -m tools.sizes [ROOT]` prints them for this or another checkout.

Code lines are neither blank nor comment nor docstring. Only files that git tracks are counted, and nothing generated.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tools.prose import ROOT, Source, code_lines, comment_lines, docstring_lines
from tools.walls import FRAMEWORKS, WALLS

OF_WALLS = {name: wall.folder for name, wall in WALLS.items()}
FOLDERS = "|".join(["clients/python/softkv/integrations", *(wall.folder for wall in FRAMEWORKS.values())])
OF_WALLS["frameworks"] = f"({FOLDERS})"
PYTHON = {
    "attention": r"attention/",
    "service": r"service/",
    "client": r"clients/python/softkv/",
    **{f"{name} (wall)": f"{folder}/" for name, folder in OF_WALLS.items()},
    "walls (benchmarks)": r"(extensions/\w+|workshop)/benchmarks/",
    "tests": r"tests/|(extensions|workshop)/conftest",
    **{f"{name} (its tests)": f"{folder}/tests/" for name, folder in OF_WALLS.items()},
    "tools": r"tools/",
    "benchmarks": r"benchmarks/",
}
GENERATED = re.compile(r"(^|/)(built|vendor|generated|web/recorded|node_modules|dist)/|/schema\.ts$")


@dataclass(frozen=True)
class Module:
    """The lines of one Python file."""

    lines: int
    code: int
    docstrings: int
    comments: int

    @classmethod
    def read(cls, path: Path) -> Module:
        """Count the lines of a file."""
        source = Source(path.read_text(encoding="utf-8"))
        return cls(source.lines, len(code_lines(source)), len(docstring_lines(source)), len(comment_lines(source)))


def tracked(root: Path) -> list[str]:
    """Return the paths of a checkout's files, without generated ones."""
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.splitlines() if not GENERATED.search(name)]


def python_table(root: Path, names: list[str]) -> list[str]:
    """Return the lines of the table of Python trees. A file counts in the last tree whose pattern it matches."""
    trees: dict[str, list[Module]] = {tree: [] for tree in PYTHON}
    for name in names:
        if name.endswith(".py"):
            for tree in reversed(PYTHON):
                if re.match(PYTHON[tree], name):
                    trees[tree].append(Module.read(root / name))
                    break
    rows = [f"{'':23}{'files':>7}{'lines':>9}{'code':>9}{'docstring':>11}{'comments':>10}{'median':>8}{'largest':>9}"]
    for tree, modules in trees.items():
        if not modules:
            continue
        lines = sum(module.lines for module in modules)
        code = sum(module.code for module in modules)
        docstrings = sum(module.docstrings for module in modules) / lines
        comments = 1000 * sum(module.comments for module in modules) / lines
        sizes = [module.lines for module in modules]
        rows.append(
            f"{tree:23}{len(modules):>7,}{lines:>9,}{code:>9,}{docstrings:>11.0%}{comments:>10.0f}"
            f"{median(sizes):>8.0f}{max(sizes):>9,}"
        )
    return rows


def other_table(root: Path, names: list[str]) -> list[str]:
    """Return a line for each tree of scripts, with their lines, and each of docs, with its words."""
    scripts = {
        "page scripts": r"service/web/.*\.js$",
        **{f"{name} (scripts)": rf"{folder}/.*\.js$" for name, folder in OF_WALLS.items()},
        "page styles": r"(service/web|workshop)/.*\.css$",
        "typescript client": r"clients/typescript/.*\.ts$",
    }
    rows = []
    for tree, pattern in scripts.items():
        paths = [root / name for name in names if re.match(pattern, name)]
        lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)
        if paths:
            rows.append(f"{tree:23}{len(paths):>7,}{lines:>9,} lines")
    docs = {"docs": r"docs/.*\.md$"} | {f"{name} (docs)": rf"{folder}/.*\.md$" for name, folder in OF_WALLS.items()}
    for tree, pattern in docs.items():
        pages = [root / name for name in names if re.match(pattern, name)]
        words = sum(len(path.read_text(encoding="utf-8").split()) for path in pages)
        rows.append(f"{tree:23}{len(pages):>7,}{words:>9,} words")
    return rows


def main() -> None:
    """Print the tables."""
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    names = tracked(root)
    sys.stdout.write("\n".join([*python_table(root, names), "", *other_table(root, names)]) + "\n")


if __name__ == "__main__":
    main()
