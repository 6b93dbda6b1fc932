"""Imports between packages: each goes by a package's face, and some modules and libraries have only a few importers.

The contracts in pyproject.toml have what `lint-imports` checks: layers, cycles, and what a room must not reach.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest

from tools.walls import CORE, WALLS

WEB = Path(__file__).parents[1] / "service" / "softkv_service" / "web"
# Of each folder of the page that the core has, the folders that its scripts, types and style sheets import.
OF_PAGE = {"docs": set(), "explore": {"shared", "vendor"}, "shared": {"vendor"}, "widget": {"css", "shared"}}
IMPORTED = re.compile(r"""(?:\bfrom |\bimport\(|\bimport |@import )"(\.[^"]+)\"""")

ROOTS = (*CORE, *(wall.package for wall in WALLS.values()))

# Their packages are rooms of their own, each with its own face; a face of the whole would be all of them.
OPEN = {"softkv_attention", "softkv_attention.lookup.shards", "softkv_service.retrieval"}

# What others import by itself, beside the face of the whole.
ROOMS = (
    "softkv_attention.lookup.shards",
    "softkv_service.storage.conditions",
    "softkv_service.storage.errors",
    "softkv_service.storage.fields",
    "softkv_service.storage.instants",
    "softkv_service.storage.records",
    "softkv.answers",
    "softkv.commands",
    "softkv.integrations",
    "softkv.mcp",
    "softkv.questions",
    "softkv.record",
    "softkv.scripts",
    "softkv.settings",
    "softkv.table_options",
    "softkv.tables",
)

# Imports past a face, as (importer, imported). The list may only shrink: strike off what is not imported any more.
PAST_A_FACE = [
    (
        "softkv_attention.lookup.**",
        "softkv_attention.kernels.layout",
    ),  # the order of bytes in memory, which both sides have to know
    (
        "softkv_attention.transformer.compiled",
        "softkv_attention.kernels.transformer",
    ),  # loaded only with a compiled encoder
    ("softkv_service.assembly", "softkv_service.api.routes.idempotency"),
    ("softkv_service.app", "softkv_service.api.routes.page"),
    ("softkv_workshop.page.**", "softkv_service.api.routes.page"),  # the page as files
    ("softkv_workshop.routes.rooms", "softkv_service.api.routes.collections"),  # the shape of a background
]

# What the store in PostgreSQL shares with the one in SQLite, beside the faces: statements, rows and checksums.
OF_STORES = [
    ("softkv_postgres.**", f"softkv_service.storage.{module}")
    for module in ("checksums", "key_rows", "re_encoding", "restricted", "serialisation", "sql", "writes")
]

OF_WALLS = [f"{wall.package}.**" for wall in WALLS.values()]
# Modules, packages and libraries that only these import, besides what lies within them.
ONLY = {
    "mcp": ["softkv_service.api.mcp.**", "softkv.mcp.**"],
    "mcp_types": ["softkv.mcp.**"],
    "psycopg": ["softkv_postgres.**"],
    "ray": ["softkv_cluster.ray_cluster"],
    "softkv_service.schemas": [
        "softkv_service.api.**",
        "softkv_workshop.part",
        "softkv_workshop.routes.**",
        "softkv_workshop.schemas.**",
    ],
    "softkv_service.configuration": [
        *(
            "softkv_service.settings",
            "softkv_service.assembly",
            "softkv_service.lifespan",
            "softkv_service.local",
            "softkv_service.startup",
            "softkv_service.server.**",
            "softkv_service.commands.**",
        )
    ],
    "softkv_service.settings": [
        *(
            "softkv_service.cli",
            "softkv_service.app",
            "softkv_service.server.**",
            "softkv_service.commands.**",
            "softkv_cluster.command",
        )
    ],
    "softkv_service.storage.sqlite": ["softkv_service.storage"],
    "softkv": [
        "softkv_service.__main__",
        "softkv_service.addresses",
        "softkv_service.api.mcp.**",
        "softkv_service.api.routes.**",
        "softkv_service.cli",
        "softkv_service.commands.**",
        "softkv_service.retrieval.**",  # questions
        "softkv_service.schemas.**",
        *OF_WALLS,
    ],
    "typer": ["softkv_service.cli", "softkv_service.commands.**", "softkv.cli", "softkv.commands.**", *OF_WALLS],
}


@cache
def product() -> grimp.ImportGraph:
    """Return every import of the product, those for type checkers too."""
    return grimp.build_graph(*ROOTS, include_external_packages=True, cache_dir=None)


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def matches(module: str, pattern: str) -> bool:
    """Return whether a module has this name, or with `.**` lies within the package."""
    package = pattern.removesuffix(".**")
    return module == pattern or (package != pattern and within(module, package))


def imports(graph: grimp.ImportGraph) -> Iterator[tuple[str, str]]:
    """Yield the imports of the product's own modules, as (importer, imported)."""
    for importer in sorted(graph.modules):
        if importer.partition(".")[0] in ROOTS:
            for imported in sorted(graph.find_modules_directly_imported_by(importer)):
                yield importer, imported


def faces(graph: grimp.ImportGraph) -> set[str]:
    """Return the packages with a face: their `__init__` imports from their own modules."""
    return {importer for importer, imported in imports(graph) if imported.startswith(f"{importer}.")}


def past_a_face(graph: grimp.ImportGraph) -> list[tuple[str, str]]:
    """Return the imports of a module below a package with a face, from outside this package."""
    packages = faces(graph) - OPEN
    return [
        (importer, imported)
        for importer, imported in imports(graph)
        if any(
            imported.startswith(f"{package}.")
            and not within(importer, package)
            and not any(room.startswith(f"{package}.") and within(imported, room) for room in ROOMS)
            for package in packages
        )
    ]


def is_known(edge: tuple[str, str]) -> bool:
    known = (*PAST_A_FACE, *OF_STORES)
    return any(matches(edge[0], importer) and edge[1] == imported for importer, imported in known)


def strangers(graph: grimp.ImportGraph, name: str) -> list[str]:
    """Return the modules that import this name, or what is below it, and may not."""
    return [
        importer
        for importer, imported in imports(graph)
        if within(imported, name)
        and not within(importer, name)
        and not any(matches(importer, pattern) for pattern in ONLY[name])
    ]


def test_packages_are_imported_by_their_faces():
    wrong = [
        f"{importer} -> {imported}" for importer, imported in filter(lambda e: not is_known(e), past_a_face(product()))
    ]
    assert wrong == [], "import the name from the package; if it is not there, consider whether it should be"


def test_every_known_import_past_a_face_is_still_there():
    edges = past_a_face(product())
    assert [
        (importer, imported)
        for importer, imported in (*PAST_A_FACE, *OF_STORES)
        if not any(matches(edge[0], importer) and edge[1] == imported for edge in edges)
    ] == []
    assert len(PAST_A_FACE) <= 11


@pytest.mark.parametrize("name", ONLY)
def test_only_these_import(name):
    assert strangers(product(), name) == [], f"{name} is imported by {', '.join(ONLY[name])} only"
    assert any(within(imported, name) and not within(importer, name) for importer, imported in imports(product()))


def test_a_wrong_import_is_found():
    graph = grimp.build_graph(*ROOTS, include_external_packages=True, cache_dir=None)
    assert {
        "softkv_attention.lookup",
        "softkv_service.storage",
        "softkv_service.storage.conditions",
        "softkv_service.retrieval.collections",
    } <= faces(graph)
    edge = ("softkv_service.api.json", "softkv_service.storage.sqlite.writer")
    graph.add_import(importer=edge[0], imported=edge[1])
    assert [wrong for wrong in past_a_face(graph) if not is_known(wrong)] == [edge]
    assert strangers(graph, "softkv_service.storage.sqlite") == [edge[0]]
    graph.add_import(importer="softkv_service.retrieval.terms.bias", imported="psycopg")
    assert strangers(graph, "psycopg") == ["softkv_service.retrieval.terms.bias"]


def folders_imported(web: Path, folder: str) -> set[str]:
    """Return the folders of the page, or names of its files, from which the files of a folder import."""
    return {
        (path.parent / imported).resolve().relative_to(web.resolve()).parts[0]
        for path in (web / folder).rglob("*")
        if path.suffix in {".css", ".js", ".ts"}
        for imported in IMPORTED.findall(path.read_text(encoding="utf-8"))
    } - {folder}


@pytest.mark.parametrize("folder", OF_PAGE)
def test_the_explorer_and_its_shared_scripts_import_no_lesson(folder):
    assert folders_imported(WEB, folder) == OF_PAGE[folder]


def test_a_wrong_import_of_the_page_is_found(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "a.js").write_text('/** @typedef {import("../story/b.js").B} B */\nimport "./c.js";\n')
    (tmp_path / "shared" / "a.css").write_text('@import "../deeper/b.css";\n')
    assert folders_imported(tmp_path, "shared") == {"story", "deeper"}
