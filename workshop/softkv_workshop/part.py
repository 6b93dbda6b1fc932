"""The part of the service that the workshop adds, by the entry point `workshop` of `softkv.parts`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fastapi import APIRouter

from softkv_service.api.parts import Part
from softkv_workshop.refusals import ERRORS, REFUSALS
from softkv_workshop.state import NAME, Workshop


def _routers() -> Iterable[APIRouter]:
    from softkv_workshop.routes import lab, rooms

    return lab.router, rooms.router, rooms.rows_router, rooms.questions_router


PART = Part(
    NAME,
    Workshop,
    _routers,
    REFUSALS,
    errors=ERRORS,
    web=Path(__file__).with_name("web"),
    documents={
        "/": "story.html",
        "/index.html": "story.html",
        "/deeper": "deeper.html",
        "/lesson.html": "lesson.html",
        "/teacher.html": "teacher.html",
        "/worksheet.html": "worksheet.html",
        "/room": "room.html",
    },
    moved={"/room.html": "/room"},
)
