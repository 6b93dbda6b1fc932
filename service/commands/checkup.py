"""What `softkv doctor` looks at; each check says what it found and whether something is broken."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from service.settings import Settings

if TYPE_CHECKING:
    from service.storage import CollectionRecord, SharedStore

Severity = Literal["ok", "note", "broken"]

_NEEDED = (
    "softkv-client",
    "numpy",
    "numba",
    "fastapi",
    "uvicorn",
    "pydantic",
    "orjson",
    "httpx2",
)
# What each adds to the service where it is installed.
_OPTIONAL = {
    "torch": "computes models that the core has no machine code for",
    "sentence-transformers": "loads models of other kinds than the BERT family",
    "pyarrow": "reads Parquet files",
    "mcp": "speaks the Model Context Protocol, at /mcp and as `softkv mcp`",
}
_SHOWN = 5  # collections, by name


@dataclass(frozen=True)
class Check:
    """One finding: a `note` is worth knowing, something `broken` keeps the service from working."""

    name: str
    state: Severity
    detail: str


def examine(settings: Settings) -> Iterator[Check]:
    """Every check, one after the other; those of the model and of what is stored take seconds."""
    yield _machine()
    yield _packages()
    yield from _optional_packages()
    yield _arithmetic(settings)
    yield _model(settings)
    yield from _data_directory(settings.data_dir) if settings.store is None else _store(settings.store, settings)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _machine() -> Check:
    python = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return Check("machine", "ok", f"{python}, {platform.system()} on {platform.machine()}, {_cores()} cores")


def _packages() -> Check:
    try:
        found = [f"{name} {version(name)}" for name in ("softkv", *_NEEDED)]
    except PackageNotFoundError as error:
        return Check("packages", "broken", f"{error.name} is not installed: run `pip install softkv` again")
    return Check("packages", "ok", ", ".join(found))


def _optional_packages() -> Iterator[Check]:
    for name, use in _OPTIONAL.items():
        try:
            yield Check(name, "ok", f"{version(name)}: {use}")
        except PackageNotFoundError:
            yield Check(name, "note", f"not installed (optional): {use}")


def _arithmetic(settings: Settings) -> Check:
    """What computes, in how many threads; machine code is loaded or made as the service does it, and kept for it."""
    import numpy as np

    from attention.kernels import kernels, products_are_exact, workers
    from service.retrieval.collections import MachineCode

    started = time.perf_counter()
    MachineCode(settings.cache_dir, encodes=settings.encoder_name is not None).load()
    loaded = time.perf_counter() - started
    running = kernels().NAME
    if not products_are_exact():
        return Check("arithmetic", "broken", f"{running} multiplies integers wrongly on this processor: remove it")
    shown: Any = np.show_config(mode="dicts")
    blas = shown["Build Dependencies"]["blas"]
    return Check(
        "arithmetic",
        "ok",
        f"lookup: {running}, {workers()} threads, machine code in {loaded:.1f} s; "
        f"NumPy over {blas['name']} {blas['version']}",
    )


def _model(settings: Settings) -> Check:
    """Find the model, verify it, load it, encode a sentence."""
    from service.encoding import DEFAULT_MODEL, EncodingError, load_encoder

    if settings.encoder_name is None:
        return Check("model", "note", "none: documents and queries bring vectors")
    started = time.perf_counter()
    try:
        encoder = load_encoder(settings.encoder_name, threads=settings.threads, precision=settings.precision)
        loaded = time.perf_counter() - started
        encoded = encoder.encode(["softkv doctor encodes a sentence"], "query")
    except EncodingError as error:
        return Check("model", "broken", str(error))
    if not (abs(encoded.vectors).max() > 0):
        return Check("model", "broken", f"{encoder.name} encodes a sentence as zeros: install softkv again")
    # The default model's checksum is known, another's is not.
    verified = "verified, " if encoder.name == DEFAULT_MODEL else ""
    reads = "texts of any length" if encoder.max_tokens is None else f"{encoder.max_tokens} tokens"
    facts = (
        f"{encoder.name}: {verified}loads in {loaded:.1f} s, {encoder.dimension} wide, {encoder.precision}, "
        f"reads {reads}; runs on {encoder.runs_on}, {_torch()}; "
        f"compared by {encoder.similarity} at temperature {encoder.temperature.value:g} "
        f"({encoder.temperature.source}); unrelated texts are {encoder.background.mean:.2f} "
        f"± {encoder.background.deviation:.2f} similar"
    )
    return Check("model", "note" if encoder.notes else "ok", "; ".join([facts, *encoder.notes]))


def _torch() -> str:
    """Whether that computes the model, which is then loaded, and how."""
    if "torch" not in sys.modules:
        return "without torch"
    import torch

    return f"with torch for {torch.backends.cpu.get_cpu_capability()} in {torch.get_num_threads()} threads"


def _data_directory(path: Path) -> Iterator[Check]:
    """Open the store as the service does, lock and version; then read all of it, row by row."""
    from service.storage import DirectoryLocked, SQLiteStore, StorageError

    name = "data directory"
    if not path.exists():
        yield Check(name, "note", f"{path.resolve()} is not there yet: `softkv serve` makes it")
        return
    try:
        store = SQLiteStore.open(path)
    except DirectoryLocked as error:
        owner = "another process" if error.pid is None else f"process {error.pid}"
        yield Check(name, "note", f"{path} is in use by {owner}; its integrity is checked when that has stopped")
        return
    except StorageError as error:
        yield Check(name, "broken", str(error))
        return
    if store.unclean_shutdown is not None:
        found = store.unclean_shutdown
        yield Check(
            name,
            "note",
            f"process {found.process} did not close it; what it had committed, {found.log_bytes:,} bytes of log, was "
            f"read back in {found.seconds:.2f} s",
        )
    try:
        findings = list(store.check())
        with store.reading() as reader:
            collections = reader.collections()
    except StorageError as error:
        findings = [str(error)]
    finally:
        store.close()
    if findings:
        yield from (Check(name, "broken", finding) for finding in findings)
        return
    yield Check(name, "ok", _sound(str(store.path), collections, store.path.stat().st_size))


def _store(address: str, settings: Settings) -> Iterator[Check]:
    """Reach the database, and read all of it, row by row, beside whoever uses it; nothing is made or changed."""
    from service.storage import StorageError, StoreUnavailable, inspect_shared, open_shared

    name = "store"
    try:
        standing = inspect_shared(address)
        where = f"{standing.name}, PostgreSQL {standing.server}"
        if not standing.migrations:
            yield Check(name, "note", f"{where}, has no tables of softkv yet: `softkv serve` makes them")
            return
        if standing.migrations < standing.known:
            yield Check(
                name,
                "note",
                f"{where}, has schema version {standing.migrations}, this softkv has {standing.known}: the next "
                "`softkv serve` brings it there; then its rows can be checked",
            )
            return
        with closing(open_shared(address)) as store:
            findings = list(store.check())
            with store.reading() as reader:
                collections = reader.collections()
            size = store.sizes()["database"]
            shards = None if settings.shards is None else _shards(store, settings.copies)
    except StoreUnavailable as error:
        advice = "if that stays so, see that the server runs, listens there and lets this machine in (pg_hba.conf)"
        yield Check(name, "broken", f"{error}; {advice}")
    except StorageError as error:
        yield Check(name, "broken", str(error))
    else:
        yield from (Check(name, "broken", finding) for finding in findings)
        if not findings:
            yield Check(name, "ok", _sound(f"{where}, schema version {standing.migrations},", collections, size))
        if shards is not None:
            yield shards


def _shards(store: SharedStore, copies: int) -> Check:
    """Who holds the keys, as the database knows it: no cluster is joined, and no slot asked."""
    from service.cluster import read_cluster_status

    name, found = "shards", read_cluster_status(store, copies)
    if not found.slots:
        return Check(name, "broken", "no slot was seen in the last 30 seconds: start some with `softkv shard`")
    nodes = len({slot.node for slot in found.slots})
    seen = f"{len(found.slots)} slots on {nodes} machines were seen in the last 30 seconds"
    held = f"{found.ranges} ranges: {found.whole} have {copies} copies, {found.fewer} have fewer, {found.unheld} none"
    if found.unheld:
        advice = "where that stays so, see that all machines are there and have the memory"
        return Check(name, "broken", f"{seen}; {held}; {advice}")
    return Check(name, "note" if found.fewer else "ok", f"{seen}; {held}")


def _sound(where: str, collections: Sequence[CollectionRecord], size: int) -> str:
    """What a store holds, of which every row was read."""
    largest = sorted(collections, key=lambda record: -record.documents)[:_SHOWN]
    named = ", ".join(f"{record.name}: {record.documents:,}" for record in largest)
    shown = f" ({named}{', …' if len(collections) > _SHOWN else ''})" if collections else ""
    documents = sum(record.documents for record in collections)
    return (
        f"{where} is sound: {len(collections):,} collections, {documents:,} documents{shown}, {size / 2**20:,.1f} MiB; "
        "every row is what was written"
    )
