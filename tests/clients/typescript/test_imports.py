"""The files of the TypeScript client import one another without circles; imports of types count too."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from tools.node import CLIENT, ROOT

SOURCES = ROOT / CLIENT / "src"
IMPORT = re.compile(r'^(?:import|export)\b[^;]*?\bfrom "(\.[^"]+)"|^import "(\.[^"]+)"', re.MULTILINE)


def imports(folder: Path) -> dict[Path, set[Path]]:
    """Return the files that each file below a folder imports."""
    return {
        file: {(file.parent / (path or bare)).resolve() for path, bare in IMPORT.findall(file.read_text("utf-8"))}
        for file in folder.resolve().rglob("*.ts")
    }


def find_circle(graph: dict[Path, set[Path]]) -> list[str]:
    """Return the names of the files in a circle; empty without one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [file.name for file in error.args[1]]
    return []


def test_no_file_imports_itself_through_others():
    graph = imports(SOURCES)
    assert graph[(SOURCES / "index.ts").resolve()] >= {SOURCES / "client.ts", SOURCES / "calls" / "answer.ts"}
    assert {file for files in graph.values() for file in files} <= graph.keys()
    assert find_circle(graph) == []


def test_shared_types_import_only_generated_ones():
    assert imports(SOURCES)[SOURCES / "types.ts"] == {SOURCES / "generated" / "api.ts"}
