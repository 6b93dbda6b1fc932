"""Every store that there is: what is tried here holds for each of them. A disk that is soon full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service.storage import SharedStore, SQLiteStore, Store, open_shared
from tests.postgres import PostgresServer

STORES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def shared_store(postgres: PostgresServer) -> Iterator[SharedStore]:
    """One in PostgreSQL, with what other tests left in it."""
    store = open_shared(postgres.database())
    yield store
    store.close()


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    if request.param == "sqlite":
        with SQLiteStore.open(tmp_path / "data") as opened:
            yield opened
    else:
        yield emptied(request.getfixturevalue("shared_store"))


@pytest.fixture(scope="module", params=STORES)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store of each kind for all tests of a file, which leave it empty."""
    if request.param == "sqlite":
        with SQLiteStore.open(tmp_path_factory.mktemp("shared")) as opened:
            yield opened
    else:
        yield emptied(request.getfixturevalue("shared_store"))


def emptied(store: Any) -> Store:
    """Remove all collections and all answers to writes."""
    with store.writing() as writer:
        for record in writer.collections():
            writer.delete_collection(record.name)
        writer._connection.execute("DELETE FROM softkv.answered_writes")
        writer._connection.execute("DELETE FROM softkv.encoder_measurements")
    return store  # type: ignore[no-any-return]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, where this user may mount one."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(mounted)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no small file system can be mounted here")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)
