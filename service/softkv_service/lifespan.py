"""The lifespan of the service: its background tasks, and the order in which its parts load."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict

from fastapi import FastAPI

from softkv_attention.kernels import one_blas_thread
from softkv_service.api.keyring import KeyFile
from softkv_service.api.parts import Part
from softkv_service.api.state import State
from softkv_service.api.warmup import warm
from softkv_service.configuration import Configuration
from softkv_service.datasets import DEMOS
from softkv_service.logs import log
from softkv_service.retrieval.collections import Catalogue
from softkv_service.retrieval.documents import ExpirySweep, ReEncodings, Seeding, Worker
from softkv_service.startup import Opening, open_in_background
from softkv_service.storage.errors import StorageError

GC_THRESHOLDS = (10_000, 10, 100)
"""Thresholds of the garbage collector. With the defaults, it would scan the objects of an answer of 640,000 matches
again and again, and all threads wait for each scan."""

IDLE_SECONDS = 5.0
"""A collection is idle if nothing was written to it for this time."""

KEY_FILE_SECONDS = 0.5
"""Seconds between two checks of the file of API keys."""


@asynccontextmanager
async def lifespan(
    settings: Configuration, opening: Opening | None, app: FastAPI, *, parts: Sequence[Part], hosted: bool
) -> AsyncIterator[None]:
    """Run the service's background tasks for the duration of the block: they load its parts while it answers.

    At the end, close the store.
    """
    with one_blas_thread():
        opening = opening or open_in_background(settings)
        try:
            catalogue = await asyncio.wrap_future(opening.catalogue)
        except asyncio.CancelledError:
            opening.stop_waiting()
            raise
        try:
            if (unclean := catalogue.store.unclean_shutdown) is not None:
                log.warning("the last process did not close the store", **asdict(unclean))
            await asyncio.to_thread(app.state.received.clear)
            app.state.parts = _parts(settings, catalogue, parts)
            loading = asyncio.create_task(_load(app, catalogue, app.state.parts, opening.keys, hosted=hosted))
            loading.add_done_callback(_log_failure)
            working = asyncio.create_task(_work(catalogue, opening.keys))
            working.add_done_callback(_log_failure)
            sweeping = asyncio.create_task(_sweep(catalogue, opening.keys))
            sweeping.add_done_callback(_log_failure)
            tidying = asyncio.create_task(_tidy_idle(catalogue, opening.keys))
            tidying.add_done_callback(_log_failure)
            watching = asyncio.create_task(_watch(app.state.keyring.file))
            try:
                yield
            finally:
                for added in app.state.parts.added.values():
                    await added.close()
                loading.cancel()
                watching.cancel()
                working.cancel()
                sweeping.cancel()
                tidying.cancel()
                await asyncio.gather(loading, watching, working, sweeping, tidying, return_exceptions=True)
                await asyncio.to_thread(app.state.received.close)
                await asyncio.to_thread(catalogue.close)
                await catalogue.encoders.close()
                if app.state.tracing is not None:
                    await asyncio.to_thread(app.state.tracing.close)
        finally:
            await asyncio.to_thread(catalogue.store.close)
            if app.state.access_log is not None:
                await asyncio.to_thread(app.state.access_log.close)


def _parts(settings: Configuration, catalogue: Catalogue, parts: Sequence[Part]) -> State:
    return State(
        catalogue,
        Seeding(catalogue, [DEMOS[name] for name in settings.demo]),
        ReEncodings(catalogue),
        settings.max_body_bytes,
        settings.max_queue,
        keys_required=settings.keyed and settings.allow_anonymous is None,
        lab_for=settings.lab,
        host=settings.host,
        added={part.name: part.start() for part in parts},
    )


async def _work(catalogue: Catalogue, keys: Future[None]) -> None:
    """Do what rows lack and jobs want, once the collections' keys were read."""
    with suppress(StorageError):  # collections that could not be read are retried, and reported, by themselves
        await asyncio.wrap_future(keys)
    await Worker(catalogue).run()


async def _sweep(catalogue: Catalogue, keys: Future[None]) -> None:
    """Delete expired documents, once the collections' keys were read."""
    with suppress(StorageError):
        await asyncio.wrap_future(keys)
    await ExpirySweep(catalogue).run()


async def _tidy_idle(catalogue: Catalogue, keys: Future[None]) -> None:
    """Let idle collections write files for the next start, once the collections' keys were read."""
    with suppress(StorageError):
        await asyncio.wrap_future(keys)
    while True:
        await asyncio.sleep(IDLE_SECONDS)
        catalogue.tidy_idle()


async def _watch(keys: KeyFile | None) -> None:
    """Reload the file of API keys when it changes, as long as the service runs."""
    while keys is not None:
        await asyncio.sleep(KEY_FILE_SECONDS)
        await asyncio.to_thread(keys.reload)


def _log_failure(loading: asyncio.Task[None]) -> None:
    """Log the error that ended the loading. Without this line nothing would tell why /readyz never answers 200."""
    if not loading.cancelled() and (error := loading.exception()) is not None:
        log.error("loading failed with an unexpected error", exc_info=error)


def return_free_memory() -> None:
    """Return the free memory of glibc's heaps to the system: the reading of keys leaves tens of MiB of it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None  # Windows needs a name
    if trim is not None:
        trim(0)


async def _load(app: FastAPI, catalogue: Catalogue, parts: State, keys: Future[None], *, hosted: bool) -> None:
    """Load the keys, the encoder and demo collections, and run first queries unless another program hosts the service.

    Then check the stored texts of all documents against their checksums, and keys that were not read.
    """

    async def demos() -> None:
        await asyncio.wrap_future(keys)
        await parts.demo.run()

    await asyncio.gather(demos(), catalogue.encoders.start())
    if not hosted:
        await warm(app, catalogue)
        # These objects stay: the garbage collector would scan them again and again and stop every thread.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        await asyncio.to_thread(return_free_memory)
    parts.warmed.set()
    await asyncio.to_thread(catalogue.check_texts)
    await asyncio.to_thread(catalogue.check_keys)
