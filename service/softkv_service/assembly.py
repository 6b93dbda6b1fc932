"""The application that answers the calls of clients, assembled from its parts by `assemble(settings)`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI
from starlette.types import ASGIApp

from softkv_service.api import routes
from softkv_service.api.access_log import FILE_BYTES, AccessLog
from softkv_service.api.admission import Admission, ConnectionLimits
from softkv_service.api.body import HEAVY, BodyLimits
from softkv_service.api.keyring import KeyFile, Keyring
from softkv_service.api.middleware.access import AccessCheck, Hosts, machine_names
from softkv_service.api.middleware.requests import RequestMiddleware, Telemetry
from softkv_service.api.parts import Part
from softkv_service.api.problems import handlers
from softkv_service.api.received import ReceivedFiles
from softkv_service.api.routes import idempotency
from softkv_service.api.routing import DirectCall, DirectRoutes, direct_calls, operation_id, require_write_by_default
from softkv_service.api.shutdown import Shutdown
from softkv_service.api.telemetry import NO_TELEMETRY, NullRequestListener, RequestListener, SlowRequests, Tracing
from softkv_service.configuration import Configuration
from softkv_service.datasets import DEMOS
from softkv_service.lifespan import lifespan
from softkv_service.scheduling import FairSemaphore
from softkv_service.startup import Opening


class UnknownDemo(ValueError):
    """The settings name a demo collection that does not exist."""


class Service(FastAPI):
    """The FastAPI application, with `RequestMiddleware` around everything, even its answers to unexpected errors."""

    @cached_property
    def direct_calls(self) -> dict[int, DirectCall]:
        """The routes that need nothing of FastAPI's, by `id`, as they are at the first request."""
        return direct_calls(self.routes)

    def build_middleware_stack(self) -> ASGIApp:
        """Build the stack of middleware around the routes, as the server calls it."""
        return RequestMiddleware(
            super().build_middleware_stack(),
            find_route=DirectRoutes(self, {} if self.state.tracing else self.direct_calls).find,  # FastAPI names spans
            handlers=self.exception_handlers,
            **self.state.middleware,
        )


@dataclass(frozen=True)
class ServerParts:
    """What only a server adds to the application.

    Attributes:
        routers: its own routers.
        parts: the parts whose routers and states it has. Their refusals are known already.
        listener: counts and times requests.
    """

    routers: Iterable[APIRouter]
    parts: Sequence[Part]
    listener: RequestListener


def assemble(
    settings: Configuration,
    opening: Opening | None = None,
    tracing: Tracing | None = None,
    connections: ConnectionLimits | None = None,
    *,
    server: ServerParts | None = None,
) -> FastAPI:
    """Create the application. At its start it opens the store, then it answers and loads keys and the encoder.

    Args:
        settings: the settings.
        opening: the store, if its opening has begun already; then the application can start only once.
        tracing: the tracer of requests; by default the one that the settings say.
        connections: how slow clients may be; the settings say the number of connections, and how long idle ones stay.
        server: what a server adds; None if another program hosts the service. Then garbage collection stays as that
            program has it, and nothing is computed without a call.

    Raises:
        UnknownDemo: the settings name a demo collection that does not exist.
    """
    if unknown := [name for name in settings.demo if name not in DEMOS]:
        raise UnknownDemo(f"unknown demo collection {', '.join(unknown)}: choose from {', '.join(DEMOS)}")

    if tracing is None and settings.traces == "otlp":
        tracing = Tracing.with_otlp()
    added = server or ServerParts((), (), NullRequestListener())
    app = Service(
        title="softkv",
        generate_unique_id_function=operation_id,
        version=version("softkv"),
        lifespan=partial(lifespan, settings, opening, parts=added.parts, hosted=server is None),
        dependencies=[Depends(require_write_by_default)],
        openapi_url=None,  # page.mount serves the file
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,  # a filter that is answered is as it is sent
        telemetry=NO_TELEMETRY if tracing is None else tracing.config,
    )
    # Not by `include_router`, which would build each route a second time. These routes guard themselves.
    routers = (*routes.ALL, *added.routers, *(router for part in added.parts for router in part.routers()))
    app.router.routes.extend(route for router in routers for route in router.routes)
    handlers.install(app)
    idempotency.install(app)
    _set_state(app, settings, added.listener, tracing, connections or ConnectionLimits())
    return app


def _open_access_log(settings: Configuration) -> AccessLog | None:
    if settings.access_log is None:
        return None
    return AccessLog(settings.access_log, max_bytes=FILE_BYTES, old_files=settings.access_log_files)


def _set_state(
    app: FastAPI,
    settings: Configuration,
    listener: RequestListener,
    tracing: Tracing | None,
    connections: ConnectionLimits,
) -> None:
    """Set the state that routes and middleware share, and the parts of the middleware."""
    app.state.cors_origins = settings.cors_origins
    app.state.trusted_proxies = settings.trusted_proxies
    app.state.root_path = settings.root_path
    app.state.slow_requests = SlowRequests(settings.slow_request_ms)
    app.state.tracing = tracing
    app.state.connection_limits = replace(
        connections, connections=settings.max_connections, keepalive_timeout=settings.keepalive_timeout
    )
    app.state.admission = Admission(settings.max_queue)
    app.state.backup = asyncio.Lock()
    app.state.received = ReceivedFiles(settings.upload_folder, settings.max_body_bytes)
    app.state.tables = FairSemaphore(HEAVY, HEAVY - 1)
    app.state.shutdown = Shutdown()
    app.state.keyring = Keyring(
        write_keys=settings.api_keys,
        read_keys=settings.read_keys,
        file=None if settings.keys_file is None else KeyFile.open(settings.keys_file),
    )
    app.state.access_log = _open_access_log(settings)
    app.state.middleware = {
        "telemetry": Telemetry(
            listener, app.state.slow_requests, loading=lambda: app.state.parts.loading(), tracing=tracing
        ),
        "shutdown": app.state.shutdown,
        "access": AccessCheck(
            keyring=app.state.keyring,
            anonymous=settings.allow_anonymous,
            hosts=Hosts(names=(settings.host, *machine_names(socket.gethostname())), allowed=settings.allowed_hosts),
        ),
        "bodies": BodyLimits(max_body_bytes=settings.max_body_bytes, admission=app.state.admission),
        "access_log": app.state.access_log,
        "cors_origins": settings.cors_origins,
        "frame_ancestors": settings.frame_ancestors,
    }
