"""Opening of the store, and reading of the collections' keys, in the background while the rest of the service is
imported.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

# Everything else is imported in the functions below: in the background thread, beside the imports of the others.
from typing import TYPE_CHECKING

import structlog

from service import logs
from service.settings import Settings
from service.storage import BALLAST_BYTES, SharedStore, SQLiteStore, StorageError, StorageFailed, open_shared

if TYPE_CHECKING:
    from attention.lookup import Limits
    from service.encoding import LoadingEncoder
    from service.retrieval.collections import Catalogue

log = structlog.get_logger("softkv")


@dataclass(frozen=True)
class Opening:
    """A store that is being opened in the background, with the collections whose keys are being read.

    Attributes:
        catalogue: completes when the store is open, and fails if it cannot be opened.
        keys: completes when the keys of every collection were read.
    """

    catalogue: Future[Catalogue]
    keys: Future[None]

    def cancel(self) -> None:
        """Close the store, because no application will use it. The reading of keys stops."""
        with suppress(StorageError):
            self.catalogue.result().store.close()


def open_in_background(settings: Settings, limits: Limits | None = None) -> Opening:
    """Open the store and read its keys in a separate thread, which holds the GIL only a small part of the time.

    Args:
        limits: of the collections' memories, unless nodes hold them; None for the defaults.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="opening")
    catalogue = thread.submit(_open, settings, limits)
    keys = thread.submit(lambda: catalogue.result().rebuild())
    thread.shutdown(wait=False)
    return Opening(catalogue, keys)


def _open(settings: Settings, limits: Limits | None) -> Catalogue:
    """Return the collections of the settings' store; if its file has to be rewritten, log the progress."""
    if settings.store is not None:
        shared = open_shared(settings.store)
        if settings.shards is not None:
            return _open_sharded(settings, settings.shards, shared)
        from attention.lookup import Limits
        from service.retrieval.collections import SharedCatalogue

        if settings.vector_storage == "files":
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        return SharedCatalogue(shared, _encoder(settings), _originals(settings), limits or Limits())
    store = SQLiteStore.open(settings.data_dir, logs.progress("rewriting the store"), BALLAST_BYTES, soon=True)
    # Imported here, beside the imports of the main thread.
    from attention.lookup import Limits
    from service.retrieval.collections import Catalogue

    return Catalogue(store, _encoder(settings), _originals(settings), settings.data_dir, limits or Limits())


def _open_sharded(settings: Settings, address: str, store: SharedStore) -> Catalogue:
    """Join the cluster whose nodes hold the keys, and return the collections."""
    from service.cluster import ClusterError, Router, ShardedCatalogue, join_cluster, open_transport

    try:
        membership = join_cluster(address, settings.cache_dir / "cluster")
    except ClusterError as error:
        store.close()
        raise StorageFailed(str(error)) from None
    router = Router(open_transport(), store.nodes, settings.copies)
    return ShardedCatalogue(store, _encoder(settings), router, membership.close)


def _originals(settings: Settings) -> Path | None:
    return settings.data_dir if settings.vector_storage == "files" else None


def _encoder(settings: Settings) -> LoadingEncoder | None:
    if settings.encoder_name is None:
        return None
    from service.encoding import LoadingEncoder, encoder_name, load_encoder

    load = partial(load_encoder, settings.encoder_name, threads=settings.threads, precision=settings.precision)
    return LoadingEncoder(encoder_name(settings.encoder_name), load)
