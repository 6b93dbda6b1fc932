"""Startup of the store: it is opened, and the collections' keys are read, in the background while the rest of the
service is imported.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from threading import Event

# Everything else is imported in the functions below: in the background thread, beside the imports of the others.
from typing import TYPE_CHECKING, Any

from softkv_service.configuration import Configuration
from softkv_service.logs import log
from softkv_service.memory_limit import memory_limit
from softkv_service.storage import BALLAST_BYTES, PRIVATE, SharedStore, SQLiteStore, Store, open_shared
from softkv_service.storage.errors import StorageError, StorageFailed, StoreClosed, StoreRefused, StoreUnavailable

if TYPE_CHECKING:
    from softkv_attention.lookup import Limits
    from softkv_service.encoding import Encoders, LoadingEncoder, RemoteEncoder, RemoteSettings, RerankerSettings
    from softkv_service.retrieval.collections import Catalogue

WAIT_SECONDS = 60.0
"""The time that a start waits for a database that cannot be reached yet, since many hosts start both at once."""
SECONDS_BETWEEN_LINES = 10.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 3.0  # seconds between two attempts, which double


@dataclass(frozen=True)
class Opening:
    """A store that is being opened in the background, with the collections whose keys are being read.

    Attributes:
        catalogue: completes when the store is open, and fails if it cannot be opened.
        keys: completes when the keys of every collection were read.
    """

    catalogue: Future[Catalogue]
    keys: Future[None]
    _stopped: Event

    def stop_waiting(self) -> None:
        """Make no further attempt to reach the database. `catalogue` fails, unless the store is open."""
        self._stopped.set()

    def cancel(self) -> None:
        """Close the store, because no application will use it. The reading of keys stops."""
        self.stop_waiting()
        with suppress(StorageError):
            self.catalogue.result().store.close()


def open_in_background(
    settings: Configuration, limits: Limits | None = None, wait_seconds: float = WAIT_SECONDS
) -> Opening:
    """Open the store and read its keys in a separate thread, which holds the GIL only a small part of the time.

    Args:
        limits: of the collections' memories, unless shard servers hold them; None for the defaults.
        wait_seconds: how long to wait for a database that cannot be reached yet.

    Raises:
        KernelsMissing: the settings demand kernels that this machine does not have.
    """
    from softkv_service.kernels import choose_kernels

    choose_kernels(settings.kernels)
    stopped = Event()
    thread = ThreadPoolExecutor(1, thread_name_prefix="opening")
    catalogue = thread.submit(_open, settings, limits, wait_seconds, stopped)
    keys = thread.submit(lambda: catalogue.result().rebuild())
    thread.shutdown(wait=False)
    return Opening(catalogue, keys, stopped)


def _open(settings: Configuration, limits: Limits | None, wait_seconds: float, stopped: Event) -> Catalogue:
    """Return the collections of the settings' store."""
    if settings.store is not None:
        shared = _wait_for_store(settings.store, wait_seconds, stopped)
        if settings.shards is not None:
            return _open_sharded(settings, settings.shards, shared)
        from softkv_attention.lookup import Limits
        from softkv_service.retrieval.collections import SharedCatalogue

        if settings.vector_storage == "files":
            settings.data_dir.mkdir(PRIVATE, parents=True, exist_ok=True)
        return SharedCatalogue(shared, _encoders(settings, shared), _originals(settings), limits or Limits())
    store = SQLiteStore.open(settings.data_dir, BALLAST_BYTES, soon=True)
    max_bytes = memory_limit() // 4 if settings.max_loaded_bytes is None else settings.max_loaded_bytes
    store.cached_texts.resize(max_bytes // 4)
    # Imported here, beside the imports of the main thread.
    from softkv_attention.lookup import Limits
    from softkv_service.retrieval.collections import Catalogue

    return Catalogue(
        store,
        _encoders(settings, store),
        _originals(settings),
        settings.data_dir,
        limits or Limits(),
        settings.max_loaded_collections,
        max_bytes,
    )


def _wait_for_store(address: str, seconds: float, stopped: Event) -> SharedStore:
    """Open the store in a database; while the server cannot be reached, try again.

    The wait begins when the first attempt has failed, so that it is always reported, however long that attempt took.

    Raises:
        StoreUnavailable: the server could not be reached within `seconds`.
        StoreRefused: the server refuses this user, password or database.
        StoreClosed: `stopped` was set.
    """
    started, next_line, pause = 0.0, 0.0, _SHORTEST_PAUSE
    while True:
        try:
            store = open_shared(address)
        except StoreRefused:
            raise
        except StoreUnavailable as error:
            started = started or time.monotonic()
            waited = time.monotonic() - started
            if waited >= seconds:
                raise StoreUnavailable(
                    f"expected a database within {seconds:g} seconds, but {error.problem}",
                    "check that the server runs, listens there and lets this machine in (pg_hba.conf), "
                    "then start softkv again",
                ) from None
            if waited >= next_line:
                log.warning(
                    "waiting for the database", reason=error.problem, waited_s=round(waited, 1), at_most_s=seconds
                )
                next_line = waited + SECONDS_BETWEEN_LINES
            if stopped.wait(min(pause, seconds - waited)):
                raise StoreClosed("the start was stopped before the database was reached") from None
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            if next_line:
                log.info("reached the database", waited_s=round(time.monotonic() - started, 1))
            return store


def _open_sharded(settings: Configuration, address: str, store: SharedStore) -> Catalogue:
    """Join the Ray cluster whose servers hold the keys, and return the collections."""
    try:
        catalogue: Catalogue = find_cluster().open_catalogue(store, _encoders(settings, store), address)
    except StorageError:
        store.close()
        raise
    return catalogue


def find_cluster() -> Any:
    """Return the module of the distribution `softkv-cluster`.

    Raises:
        StorageFailed: it is not installed.
    """
    for part in entry_points(group="softkv.modules", name="cluster"):
        return part.load()
    raise StorageFailed(
        "shards need the distribution softkv-cluster, which is not installed: install `softkv[cluster]`, or unset "
        "SOFTKV_SHARDS"
    )


def _remote_encoder(one: RemoteSettings, store: Store, *, lazy: bool) -> LoadingEncoder:
    from softkv_service.encoding import LoadingEncoder

    def load() -> RemoteEncoder:
        from softkv_service.encoding import load_remote

        return load_remote(one, store)

    return LoadingEncoder(one.name, load, model=one.model_identity, lazy=lazy, remote=True)


def _originals(settings: Configuration) -> Path | None:
    return settings.data_dir if settings.vector_storage == "files" else None


def _encoders(settings: Configuration, store: Store) -> Encoders:
    """Return the encoders of the settings, which are not loaded yet; `store` keeps what providers' were measured as."""
    from softkv_service.encoding import Encoders, LoadingEncoder, LoadingReranker, LocalSettings, encoder_name

    def local(one: LocalSettings, *, lazy: bool) -> LoadingEncoder:
        from softkv_service.encoding import load_encoder

        load = partial(
            load_encoder,
            one.model,
            name=one.name,
            prompts=one.prompts,
            threads=settings.threads,
            precision=one.precision,
        )
        return LoadingEncoder(one.name, load, model=one.model_identity(encoder_name(one.model)), lazy=lazy)

    def reranker(one: RerankerSettings) -> LoadingReranker:
        from softkv_service.encoding import load_reranker

        load = partial(load_reranker, one.model, name=one.name, threads=settings.threads, precision=one.precision)
        return LoadingReranker(one.name, load, model=one.model, lazy=True)

    file = settings.encoders_file
    if file is not None:
        return Encoders(
            [
                local(one, lazy=one.name != file.default)
                if isinstance(one, LocalSettings)
                else _remote_encoder(one, store, lazy=one.name != file.default)
                for one in file.encoders
            ],
            file.default,
            map(reranker, file.rerankers),
        )
    if settings.encoder_name is None:
        return Encoders()
    name = encoder_name(settings.encoder_name)
    return Encoders([local(LocalSettings(name, name, settings.model_precision), lazy=False)])
