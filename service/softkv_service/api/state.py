"""The state of a running service that its routes use."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from fastapi import Depends, Path, Request

from softkv_service.api.keyring import Holder
from softkv_service.api.parts import PartState
from softkv_service.retrieval.collections import Catalogue
from softkv_service.retrieval.documents import ReEncodings, Seeding
from softkv_service.schemas.wire import CollectionName, DocumentId


@dataclass(frozen=True)
class ReadinessReport:
    """The parts of a service that are still loading or have failed."""

    loading: list[str]
    failed: list[str]

    @property
    def ready(self) -> bool:
        """Whether every part of the service is loaded, and none has failed."""
        return not self.loading and not self.failed


@dataclass(frozen=True)
class State:
    """The components of a running service, and its limits.

    Attributes:
        keys_required: whether a call without a key is refused.
        lab_for: which callers may train models.
        warmed: set when the warm-up has made a first call of each kind.
        host: the address that the service listens on.
        added: the states of the parts that a server adds, by the names of the parts.
    """

    catalogue: Catalogue
    demo: Seeding
    re_encodings: ReEncodings
    max_body_bytes: int
    max_queue: int
    keys_required: bool
    lab_for: Literal["writers", "readers"] = "writers"
    warmed: asyncio.Event = field(default_factory=asyncio.Event)
    host: str = "127.0.0.1"
    added: Mapping[str, PartState] = field(default_factory=dict)

    def loading(self) -> list[str]:
        """Return what is being loaded in the background, which keeps the process busy."""
        loading = [f"encoder {name}" for name in self.catalogue.encoders.loading()]
        loading += [f"collection {name}" for name in self.catalogue.loading()]
        return loading + [f"demo {name}" for name in self.demo.loading()]

    def readiness(self) -> ReadinessReport:
        """Return the parts that are loading and those that failed; blocks."""
        loading = self.loading()
        failed = [*self.catalogue.encoders.failures(), *self.catalogue.failures(), *self.demo.failures()]
        failed += self.re_encodings.failures()
        if not (self.warmed.is_set() or loading or failed):
            loading.append("first answers")
        return ReadinessReport(loading, failed)


async def parts_of(request: Request) -> State:
    """Return the state of the service that answers this request, with the collections as the caller sees them."""
    state: State = request.app.state.parts
    holder: Holder | None = request.scope.get("state", {}).get("holder")
    if holder is None or holder.restriction is None:
        return state
    restriction = holder.restriction.at(instant_of(request))
    return replace(state, catalogue=state.catalogue.restrict(restriction))


def instant_of(request: Request) -> int:
    """Return the time of a request by the clock of the collections, in microseconds of Unix time; always the same."""
    state = request.scope["state"]
    if "instant" not in state:
        state["instant"] = request.app.state.parts.catalogue.clock()
    instant: int = state["instant"]
    return instant


def collection_behind(request: Request) -> dict[str, str]:
    """Return the field with the name of the collection behind the alias in the path; empty if there is no alias."""
    name = request.path_params["name"]
    return {} if request.scope["state"]["named"] == name else {"collection": name}


Running = Annotated[State, Depends(parts_of)]
NameInPath = Annotated[CollectionName, Path(description="The collection's name.")]
IdInPath = Annotated[DocumentId, Path(description="The document's id; it may contain a /.")]
