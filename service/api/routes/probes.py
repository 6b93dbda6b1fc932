"""Is the process alive, and is everything loaded?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from service.api.json import JSONAnswer
from service.api.problems.refusals import OPEN_TO_ALL
from service.api.routing import GuardedRoute, requires
from service.api.state import Running, State
from service.schemas.service import Liveness, Readiness

router = APIRouter(tags=["probes"], route_class=GuardedRoute, dependencies=[requires("none")], responses=OPEN_TO_ALL)


@dataclass(frozen=True)
class Standing:
    """What keeps a service from being ready."""

    loading: list[str]
    failed: list[str]

    @property
    def ready(self) -> bool:
        """Whether nothing does."""
        return not self.loading and not self.failed


def readiness(running: State) -> Standing:
    """What still loads, and what failed; blocks."""
    encoder = running.catalogue.encoder
    loading = [f"collection {name}" for name in running.catalogue.loading()]
    failed = [*running.catalogue.failed(), *running.demo.failed()]
    if encoder is not None and encoder.state == "loading":
        loading.insert(0, f"encoder {encoder.name}")
    if encoder is not None and encoder.state == "failed":
        failed.insert(0, f"encoder {encoder.name}: {encoder.failure}")
    loading += [f"demo {name}" for name in running.demo.loading()]
    if not running.machine_code.ready:
        loading.append("machine code")
    if not (running.warmed.is_set() or loading or failed):
        loading.append("first answers")
    return Standing(loading, failed)


@router.get("/livez", response_model=Liveness, response_description="It does.", summary="The process answers")
async def livez() -> Response:
    """200 as long as the process runs."""
    return JSONAnswer({"status": "alive"})


@router.get(
    "/readyz",
    response_model=Readiness,
    response_description="It is.",
    responses={503: {"model": Readiness, "description": "Something still loads, or failed to; or the service stops."}},
    summary="Everything is loaded",
)
async def readyz(request: Request, running: Running) -> Response:
    """503 while the encoder, a collection, a demo collection or machine code loads; the API already answers, slower.

    It turns 200 when the first answer takes no longer than the tenth. And 503 where reads are not sound: a collection
    that could not be read, a document that is damaged on disk. And 503, `draining`, once the service is told to stop:
    it answers for a moment more, and who sends to it should send elsewhere.
    """
    found = await asyncio.to_thread(readiness, running)
    draining = request.app.state.draining.begun.is_set()
    status = "draining" if draining else "ready" if found.ready else "loading" if found.loading else "failed"
    content = {"status": status, "loading": found.loading, "failed": found.failed}
    return JSONAnswer(content, status_code=200 if status == "ready" else 503)
