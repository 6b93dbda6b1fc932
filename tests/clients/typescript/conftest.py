"""The TypeScript client, built in a folder laid out like the repository. Skips if npm cannot reach packages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tools import node
from tools.bundle import build

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if os.path.dirname(__file__) in str(item.path):
            item.add_marker(pytest.mark.node)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder like the repository: client, packages and generated files, and these tests' TypeScript."""
    folder = tmp_path_factory.mktemp("typescript")
    try:
        project = node.client(folder)
    except node.NodeMissingError as missing:
        pytest.skip(str(missing))
    build(project)
    copy_folder = folder / HERE.relative_to(node.ROOT)
    copy_folder.mkdir(parents=True)
    for path in (*HERE.glob("*.mts"), HERE / "tsconfig.json"):
        shutil.copy(path, copy_folder)
    return folder


@pytest.fixture(scope="session")
def project(checkout: Path) -> Path:
    """The client in there."""
    return checkout / node.CLIENT
