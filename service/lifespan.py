"""What runs while the service does, and in what order it is loaded."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from functools import partial

import structlog
from fastapi import FastAPI

from attention.kernels import one_blas_thread
from service.api.keyring import KeyFile
from service.api.state import State
from service.api.warmup import warm
from service.datasets import DEMOS
from service.opening import Opening, begin
from service.retrieval.collections import Catalogue, MachineCode
from service.retrieval.documents import Seeding
from service.settings import Settings

log = structlog.get_logger("softkv")
COLLECTING = (10_000, 10, 100)
"""How many new objects Python looks through for cycles, and how often it looks through all: what an answer of 640,000
matches is made of would be looked through again and again, and all threads wait for that."""

Load = Callable[[], Awaitable[None]]

KEYS_SECONDS = 0.5
"""Between two looks at the file of keys."""

KEYS_FIRST_SECONDS = 1.0
"""How long the encoder and machine code wait for keys to be read."""


@asynccontextmanager
async def lifespan(settings: Settings, opening: Opening | None, app: FastAPI) -> AsyncIterator[None]:
    """Load while the application answers; afterwards leave the directory to others."""
    with one_blas_thread():
        opening = opening or begin(settings)
        catalogue = await asyncio.wrap_future(opening.catalogue)
        try:
            if (unclean := catalogue.store.unclean_shutdown) is not None:
                log.warning("the store was not closed by the last process", **asdict(unclean))
            app.state.parts = _parts(settings, catalogue)
            loading = asyncio.create_task(_load(app, app.state.parts, opening.keys))
            loading.add_done_callback(_report)
            watching = asyncio.create_task(_watch(app.state.keyring.file))
            try:
                yield
            finally:
                await app.state.mcp.close()
                app.state.parts.machine_code.stop()
                loading.cancel()
                watching.cancel()
                await asyncio.gather(loading, watching, return_exceptions=True)
                await asyncio.to_thread(catalogue.close)
                if catalogue.encoder is not None:
                    await catalogue.encoder.close()
                if app.state.tracing is not None:
                    await asyncio.to_thread(app.state.tracing.close)
        finally:
            await asyncio.to_thread(catalogue.store.close)


def _parts(settings: Settings, catalogue: Catalogue) -> State:
    return State(
        catalogue,
        MachineCode(settings.cache_dir, encodes=settings.encoder_name is not None),
        Seeding(catalogue, [DEMOS[name] for name in settings.demo]),
        settings.max_queries,
        settings.max_documents,
        settings.max_body_bytes,
        settings.max_queue,
        keys_required=settings.keyed and settings.allow_anonymous is None,
        host=settings.host,
        lab_for=settings.lab,
    )


async def _watch(keys: KeyFile | None) -> None:
    """Have the keys be those of their file, as long as the service runs."""
    while keys is not None:
        await asyncio.sleep(KEYS_SECONDS)
        await asyncio.to_thread(keys.look)


def _report(loading: asyncio.Task[None]) -> None:
    """Say what ended the loading, which /readyz would wait for."""
    if not loading.cancelled() and (error := loading.exception()) is not None:
        log.error("loading ended by an unexpected error", exc_info=error)


async def _load(app: FastAPI, parts: State, keys: Future[None]) -> None:
    """Wait for keys, load encoder, machine code and demo collections; ask a first question; check all texts."""
    catalogue = parts.catalogue

    async def machine_code() -> None:
        await asyncio.to_thread(parts.machine_code.load)

    async def demos() -> None:
        await asyncio.wrap_future(keys)
        await parts.demo.run()

    await asyncio.gather(
        demos(),
        keys_first(
            partial(asyncio.wrap_future, keys), machine_code, *([catalogue.encoder.start] if catalogue.encoder else [])
        ),
    )
    await warm(app, catalogue)
    # What is there now stays: looking through it again and again would stop every thread.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTING)
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
