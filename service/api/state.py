"""What the routes need of the running service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Path, Request

from service.retrieval.collections import Catalogue, MachineCode
from service.retrieval.documents import Seeding
from service.rooms import Rooms
from service.schemas.wire import CollectionName, DocumentId


@dataclass(frozen=True)
class State:
    """The parts of a running service, and the limits that it keeps.

    `keys_required`: a call without a key is refused. `warmed` is set when a first call of each kind was made. `host` is
    what the service listens on.
    """

    catalogue: Catalogue
    machine_code: MachineCode
    demo: Seeding
    max_queries: int
    max_documents: int
    max_body_bytes: int
    max_queue: int
    keys_required: bool
    warmed: asyncio.Event = field(default_factory=asyncio.Event)
    rooms: Rooms = field(default_factory=Rooms)
    host: str = "127.0.0.1"


async def parts_of(request: Request) -> State:
    """The parts of the service that answers this request."""
    state: State = request.app.state.parts
    return state


Running = Annotated[State, Depends(parts_of)]
NameInPath = Annotated[CollectionName, Path(description="The collection's name.")]
IdInPath = Annotated[DocumentId, Path(description="The document's id; a / in it works.")]
