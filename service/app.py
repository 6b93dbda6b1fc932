"""The service, put together: `create_app(settings)`."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from importlib.metadata import version

from fastapi import Depends, FastAPI
from starlette.types import ASGIApp

from service import logs
from service.api import openapi, routes
from service.api.bounds import Bounds
from service.api.draining import Draining
from service.api.keyring import KeyFile, Keyring
from service.api.mcp.speaking import Speaking
from service.api.middleware import cors
from service.api.middleware.access import Access, Hosts, machine_names
from service.api.middleware.drained import Drained
from service.api.middleware.followed import Followed
from service.api.middleware.head_as_get import HeadAsGet
from service.api.middleware.limits import Limits
from service.api.middleware.request_id import RequestId
from service.api.middleware.wellformed import WellFormed
from service.api.places import Places
from service.api.problems import handlers
from service.api.routes import once, page
from service.api.routing import undeclared_writes
from service.api.telemetry.meters import Meters
from service.api.telemetry.tracing import Tracing
from service.datasets import DEMOS
from service.lifespan import lifespan
from service.opening import Opening
from service.settings import Settings


class UnknownDemo(ValueError):
    """A demo collection was asked for that there is none of."""


class Service(FastAPI):
    """FastAPI, with what every answer carries put around all of it: the answer to an unexpected error, too."""

    def build_middleware_stack(self) -> ASGIApp:
        """The application as the server calls it."""
        answered = cors.answering(super().build_middleware_stack(), self.state.cors_origins)
        return RequestId(answered, frame_ancestors=self.state.frame_ancestors)


def create_app(settings: Settings, opening: Opening | None = None) -> FastAPI:
    """The application; storage opens when it starts, keys and the encoder load while it answers.

    Args:
        opening: where that has begun already, of the settings' directory; the application starts once.
    """
    logs.configure(settings.log_format)
    if unknown := [name for name in settings.demo if name not in DEMOS]:
        raise UnknownDemo(f"there is no demo collection {', '.join(unknown)}: choose from {', '.join(DEMOS)}")

    app = Service(
        title="softkv",
        description=openapi.INTRODUCTION,
        openapi_tags=openapi.TAGS,
        generate_unique_id_function=openapi.operation_id,
        version=version("softkv"),
        lifespan=partial(lifespan, settings, opening),
        dependencies=[Depends(undeclared_writes)],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its own would tell of what is refused in words of the body: spans are made by service.api.telemetry.tracing.
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
        },
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
    app.state.meters = Meters()
    app.state.tracing = Tracing.by_otlp() if settings.traces == "otlp" else None
    app.state.bounds = Bounds(
        settings.max_connections,
        settings.head_seconds,
        settings.body_seconds,
        settings.body_rate,
        settings.idle_seconds,
    )
    app.state.places = Places(settings.max_queue)
    app.state.backup = asyncio.Lock()
    app.state.draining = Draining()
    app.state.mcp = Speaking(settings.max_body_bytes)
    app.state.keyring = Keyring(
        write_keys=settings.api_keys,
        read_keys=settings.read_keys,
        file=None if settings.keys_file is None else KeyFile.opened(settings.keys_file),
    )
    app.add_middleware(HeadAsGet)
    app.add_middleware(Limits, max_body_bytes=settings.max_body_bytes, places=app.state.places)
    app.add_middleware(
        Access,
        keyring=app.state.keyring,
        anonymous=settings.allow_anonymous,
        hosts=Hosts(own=(settings.host, *machine_names(socket.gethostname())), allowed=settings.allowed_hosts),
    )
    app.add_middleware(WellFormed)
    app.add_middleware(Drained, draining=app.state.draining)
    app.add_middleware(Followed, meters=app.state.meters, slow_ms=settings.slow_ms, tracing=app.state.tracing)
