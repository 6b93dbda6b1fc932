"""The collections, opened and read: the first thing that a service does, while most of it is still imported."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

# What else is imported here is imported where it is used: in the thread that opens, beside what the others import.
from typing import TYPE_CHECKING

import structlog

from service import logs
from service.settings import Settings
from service.storage import BALLAST_BYTES, SharedStore, SQLiteStore, StorageError, StorageFailed, open_shared

if TYPE_CHECKING:
    from service.encoding import LoadingEncoder
    from service.retrieval.collections import Catalogue

log = structlog.get_logger("softkv")


@dataclass(frozen=True)
class Opening:
    """What comes of it.

    Attributes:
        catalogue: there when the store is open; fails where it can't be.
        keys: done when every collection's keys were read.
    """

    catalogue: Future[Catalogue]
    keys: Future[None]

    def give_up(self) -> None:
        """Let go of the directory, where no application takes what was opened; what is read yet is read no further."""
        with suppress(StorageError):
            self.catalogue.result().store.close()


def begin(settings: Settings) -> Opening:
    """Open and read in a thread of its own, mostly outside of Python's lock."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="opening")
    catalogue = thread.submit(_open, settings)
    keys = thread.submit(lambda: catalogue.result().rebuild())
    thread.shutdown(wait=False)
    return Opening(catalogue, keys)


def _open(settings: Settings) -> Catalogue:
    """The settings' store, with its collections; where it is written anew, the log says how far that is."""
    if settings.store is not None:
        shared = open_shared(settings.store)
        if settings.shards is not None:
            return _sharded(settings, settings.shards, shared)
        from service.retrieval.collections import SharedCatalogue

        if settings.originals == "files":
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        return SharedCatalogue(shared, _encoder(settings), _originals(settings))
    store = SQLiteStore.open(settings.data_dir, logs.progress("the store is written anew"), BALLAST_BYTES, soon=True)
    # Here, beside what others import meanwhile.
    from service.retrieval.collections import Catalogue

    return Catalogue(store, _encoder(settings), _originals(settings), sealed=settings.data_dir)


def _sharded(settings: Settings, address: str, store: SharedStore) -> Catalogue:
    """The collections of a store whose keys lie with slots; this process joins the cluster that these are in."""
    from service.cluster import ClusterError, Router, ShardedCatalogue, join_cluster, open_transport

    try:
        membership = join_cluster(address, settings.cache_dir / "cluster")
    except ClusterError as error:
        store.close()
        raise StorageFailed(str(error)) from None
    calling = Router(open_transport(), store.nodes, settings.copies)
    return ShardedCatalogue(store, _encoder(settings), calling, membership.close)


def _originals(settings: Settings) -> Path | None:
    return settings.data_dir if settings.originals == "files" else None


def _encoder(settings: Settings) -> LoadingEncoder | None:
    if settings.encoder_name is None:
        return None
    from service.encoding import LoadingEncoder, encoder_name, load_encoder

    load = partial(load_encoder, settings.encoder_name, threads=settings.threads, precision=settings.precision)
    return LoadingEncoder(encoder_name(settings.encoder_name), load)
