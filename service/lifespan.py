"""What runs while the service does: its store, its encoder, and the loading of both and of the keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from functools import partial

import structlog
from fastapi import FastAPI
from threadpoolctl import ThreadpoolController

from service.api.state import State
from service.api.warming import warm
from service.datasets import DEMOS
from service.encoding import LoadingEncoder, encoder_name, load_encoder
from service.opening import open_store
from service.retrieval.collections import Catalogue, MachineCode
from service.retrieval.documents import Seeding
from service.settings import Settings
from service.storage import Store

log = structlog.get_logger("softkv")

Load = Callable[[], Awaitable[None]]

KEYS_FIRST_SECONDS = 2.0
"""How long the encoder and machine code wait for keys to be read."""


@asynccontextmanager
async def lifespan(settings: Settings, opening: Future[Store] | None, app: FastAPI) -> AsyncIterator[None]:
    """Open storage, then load while the application answers; afterwards leave the directory to others."""
    # What reads many rows has threads of its own, and those of a BLAS, which spin while they wait, take the cores
    # from them. Libraries that are loaded later, as the encoder's, keep theirs.
    with ThreadpoolController().select(internal_api="openblas").limit(limits=1):
        store = await (asyncio.to_thread(open_store, settings) if opening is None else asyncio.wrap_future(opening))
        try:
            if store.warning is not None:
                log.warning(store.warning)
            async with _running(settings, store, app):
                yield
        finally:
            await asyncio.to_thread(store.close)


@asynccontextmanager
async def _running(settings: Settings, store: Store, app: FastAPI) -> AsyncIterator[None]:
    """Give the application its parts over an open store, and load them."""
    encoder = _encoder(settings)
    catalogue = Catalogue(store, encoder, settings.data_dir if settings.originals == "files" else None)
    app.state.parts = State(
        catalogue,
        MachineCode(settings.cache_dir),
        Seeding(catalogue, [DEMOS[name] for name in settings.demo]),
        settings.max_queries,
        settings.max_documents,
        settings.max_body_bytes,
        settings.max_queue,
        keys_required=settings.keyed and settings.allow_anonymous is None,
    )
    loading = asyncio.create_task(_load(app, app.state.parts))
    loading.add_done_callback(_report)
    try:
        yield
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        if encoder is not None:
            await encoder.close()


def _encoder(settings: Settings) -> LoadingEncoder | None:
    if settings.encoder_name is None:
        return None
    load = partial(load_encoder, settings.encoder_name, threads=settings.threads, precision=settings.precision)
    return LoadingEncoder(encoder_name(settings.encoder_name), load)


def _report(loading: asyncio.Task[None]) -> None:
    """Say what ended the loading, which /readyz would wait for."""
    if not loading.cancelled() and (error := loading.exception()) is not None:
        log.error("loading ended by an unexpected error", exc_info=error)


async def _load(app: FastAPI, parts: State) -> None:
    """Load keys, encoder and machine code, then the demo collections; ask a first question; check all texts."""
    catalogue = parts.catalogue
    await keys_first(
        partial(asyncio.to_thread, catalogue.rebuild),
        partial(asyncio.to_thread, parts.machine_code.load),
        *([catalogue.encoder.start] if catalogue.encoder else []),
    )
    await parts.demo.run()
    await warm(app, catalogue)
    parts.warmed.set()
    await asyncio.to_thread(catalogue.check_texts)


async def keys_first(keys: Load, *others: Load) -> None:
    """All of them; the others begin when the keys are there, or after a while: large collections take longer.

    What is imported holds Python's lock most of the time, so that beside it nothing else gets on.
    """
    there = asyncio.Event()

    async def first() -> None:
        try:
            await keys()
        finally:
            there.set()

    async def later(other: Load) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(there.wait(), KEYS_FIRST_SECONDS)
        await other()

    await asyncio.gather(first(), *map(later, others))
