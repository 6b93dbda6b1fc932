"""The application of a server: that of `assembly` with metrics, the page, `/mcp` and parts of other distributions."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI

from softkv_service.api import mcp, metrics, openapi
from softkv_service.api.admission import ConnectionLimits
from softkv_service.api.parts import find_parts
from softkv_service.api.problems.table import add_refusals
from softkv_service.api.routes import page
from softkv_service.api.telemetry import Tracing
from softkv_service.assembly import ServerParts, assemble
from softkv_service.settings import Settings
from softkv_service.startup import Opening


def create_app(
    settings: Settings,
    opening: Opening | None = None,
    tracing: Tracing | None = None,
    site: Path = page.SITE,
    connections: ConnectionLimits | None = None,
) -> FastAPI:
    """Create the application of a server.

    Args:
        settings, opening, tracing, connections: those of `assemble`.
        site: the folder of the built documentation.

    Raises:
        UnknownDemo: the settings name a demo collection that does not exist.
    """
    installed = find_parts()
    for part in installed:
        add_refusals(part.refusals, part.errors)
    meters = metrics.Meters()
    server = ServerParts([metrics.router], [mcp.PART, *installed], meters)
    app = assemble(settings, opening, tracing, connections, server=server)
    app.state.meters = meters
    needs_key = settings.keyed and settings.allow_anonymous is None
    embeds = settings.embed == "any" and "frame_ancestors" not in settings.model_fields_set
    page.mount(app, settings.root_path, settings.frame_ancestors, site, keyed=needs_key, embeds=embeds)
    openapi.describe(app)
    return app
