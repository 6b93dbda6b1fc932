"""Services in trouble: each real, and brought there as an operator would find it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from softkv_service.encoding import default_checkpoint
from softkv_service.storage import SQLiteStore
from softkv_service.storage.records import CollectionSettings, DocumentRecord
from tests.running import RunningService

MISSING_MODEL = "no-such-model"


def prepare(data: Path, encoder: str | None) -> None:
    """A data directory with the collection `library`, the document `qa76` and the alias `current`."""
    with SQLiteStore.open(data) as store, store.writing() as writer:
        settings = CollectionSettings("cosine", 0.05, dimension=2, encoder=encoder)
        collection = writer.create_collection("library", settings)
        writer.put_alias("current", "library")
        vector = np.array([[1, 2]], np.float32)
        writer.upsert(collection.id, [DocumentRecord("qa76", "relational databases", "A first course", vector)])


@contextmanager
def without_its_encoder(data: Path) -> Iterator[httpx.Client]:
    """A service whose encoder could not be loaded, and a collection that needs it."""
    prepare(data, MISSING_MODEL)
    with RunningService(data_dir=data, encoder=MISSING_MODEL) as running, running.client() as client:
        while client.get("/readyz").json()["loading"]:
            time.sleep(0.01)
        yield client


@contextmanager
def without_its_library(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A service whose encoder needs sentence-transformers, in an installation that has none."""
    model = data / MISSING_MODEL
    for source in default_checkpoint().rglob("*"):
        if source.is_file():
            link = model / source.relative_to(default_checkpoint())
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(source)
    described = model / "tokenizer_config.json"
    content = json.loads(described.read_bytes()) | {"tokenizer_class": "TapasTokenizer"}  # which the core does not know
    described.unlink()
    described.write_text(json.dumps(content))
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)  # so that importing it fails
    monkeypatch.setattr("softkv_service.encoding.registry._find_in_cache", lambda name: model)
    with without_its_encoder(data / "data") as client:
        yield client


@contextmanager
def still_reading(data: Path) -> Iterator[httpx.Client]:
    """A service that has not read its collection back from disk."""
    prepare(data, None)
    with RunningService(data_dir=data, encoder="none") as running, running.client() as client:
        running.wait_until_ready()
        running.app.state.parts.catalogue.collection("library").ready = False
        yield client


@contextmanager
def busy(data: Path) -> Iterator[httpx.Client]:
    """A service whose file another program writes, and that does not wait the usual five seconds."""
    prepare(data, None)
    with RunningService(data_dir=data, encoder="none") as running, running.client() as client:
        running.app.state.parts.catalogue.store._connection.execute("PRAGMA busy_timeout = 1")
        other = sqlite3.connect(next(data.glob("*.sqlite3")), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        yield client
        other.close()


@contextmanager
def overwritten(data: Path) -> Iterator[httpx.Client]:
    """A service whose file something has overwritten."""
    prepare(data, None)
    with RunningService(data_dir=data, encoder="none") as running, running.client() as client:
        running.wait_until_ready()
        path = running.app.state.parts.catalogue.store.path
        path.write_bytes(b"\0" * path.stat().st_size)
        for connection in running.app.state.parts.catalogue.store._readers._idle:
            connection.execute("PRAGMA shrink_memory")  # what it read before is forgotten
        yield client


@contextmanager
def small_disk(directory: Path) -> Iterator[Callable[[], None]]:
    """A file system of four megabytes, where this user may mount one; the callable fills it."""
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no small file system can be mounted here")

    def fill() -> None:
        with (directory / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(4096))

    yield fill
    subprocess.run(["umount", "-l", str(directory)], check=True)
