"""The service, put together: `create_app(settings)`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version

import structlog
from fastapi import Depends, FastAPI
from starlette.types import ASGIApp
from threadpoolctl import ThreadpoolController

from service import logs
from service.api import openapi, routes
from service.api.middleware import cors
from service.api.middleware.access import Access, Hosts, machine_names
from service.api.middleware.head_as_get import HeadAsGet
from service.api.middleware.limits import Limits
from service.api.middleware.request_id import RequestId
from service.api.middleware.wellformed import WellFormed
from service.api.places import Places
from service.api.problems import handlers
from service.api.routes import metrics, once, page
from service.api.routing import undeclared_writes
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


class UnknownDemo(ValueError):
    """A demo collection was asked for that there is none of."""


class Service(FastAPI):
    """FastAPI, with what every answer carries put around all of it: the answer to an unexpected error, too."""

    def build_middleware_stack(self) -> ASGIApp:
        """The application as the server calls it."""
        answered = cors.answering(super().build_middleware_stack(), self.state.cors_origins)
        return RequestId(answered, frame_ancestors=self.state.frame_ancestors)


def create_app(settings: Settings, opening: Future[Store] | None = None) -> FastAPI:
    """The application; storage opens when it starts, the encoder and the keys load while it answers.

    Args:
        opening: where that has begun already, of the settings' directory; the application starts once.
    """
    logs.configure(settings.log_format)
    if unknown := [name for name in settings.demo if name not in DEMOS]:
        raise UnknownDemo(f"there is no demo collection {', '.join(unknown)}: choose from {', '.join(DEMOS)}")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # What reads many rows has threads of its own, and those of a BLAS, which spin while they wait, take the cores
        # from them. Libraries that are loaded later, as the encoder's, keep theirs.
        with ThreadpoolController().select(internal_api="openblas").limit(limits=1):
            async with running(app):
                yield

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        store = await (asyncio.to_thread(open_store, settings) if opening is None else asyncio.wrap_future(opening))
        try:
            if store.warning is not None:
                log.warning(store.warning)
            encoder = _encoder(settings)
            catalogue = Catalogue(store, encoder, settings.data_dir if settings.originals == "files" else None)
            parts = State(
                catalogue,
                MachineCode(settings.cache_dir),
                Seeding(catalogue, [DEMOS[name] for name in settings.demo]),
                settings.max_queries,
                settings.max_documents,
                settings.max_body_bytes,
                settings.max_queue,
                keys_required=settings.keyed and settings.allow_anonymous is None,
            )
            app.state.parts = parts
            loading = asyncio.create_task(_load(app, parts))
            loading.add_done_callback(_report)
            try:
                yield
            finally:
                loading.cancel()
                await asyncio.gather(loading, return_exceptions=True)
                if encoder is not None:
                    await encoder.close()
        finally:
            await asyncio.to_thread(store.close)

    app = Service(
        title="softkv",
        description=openapi.INTRODUCTION,
        openapi_tags=openapi.TAGS,
        generate_unique_id_function=openapi.operation_id,
        version=version("softkv"),
        lifespan=lifespan,
        dependencies=[Depends(undeclared_writes)],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in routes.ALL:
        app.include_router(router)
    page.mount(app)
    handlers.install(app)
    once.install(app)
    openapi.describe(app)
    _surround(app, settings)
    return app


def _surround(app: FastAPI, settings: Settings) -> None:
    """What a request goes through within `RequestId`, the outermost last: its time, its form, who calls, how much."""
    app.state.frame_ancestors = settings.frame_ancestors
    app.state.cors_origins = settings.cors_origins
    app.state.meters = metrics.Meters()
    app.state.places = Places(settings.max_queue)
    app.add_middleware(HeadAsGet)
    app.add_middleware(Limits, max_body_bytes=settings.max_body_bytes, places=app.state.places)
    app.add_middleware(
        Access,
        write_keys=settings.api_keys,
        read_keys=settings.read_keys,
        anonymous=settings.allow_anonymous,
        hosts=Hosts(own=(settings.host, *machine_names(socket.gethostname())), allowed=settings.allowed_hosts),
    )
    app.add_middleware(WellFormed)
    app.add_middleware(metrics.Metered, meters=app.state.meters)


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
