"""The state of the workshop while a service runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from softkv_workshop.lab import Lab
from softkv_workshop.rooms import Rooms
from softkv_workshop.schemas.rooms import MAX_TEXT

if TYPE_CHECKING:
    from softkv_service.api.state import State

NAME = "workshop"


@dataclass(frozen=True)
class Workshop:
    """The rooms and the lab of a running service."""

    lab: Lab = field(default_factory=Lab)
    rooms: Rooms = field(default_factory=Rooms)

    @classmethod
    def of(cls, running: State) -> Workshop:
        """Return the workshop of a running service."""
        workshop = running.added[NAME]
        assert isinstance(workshop, cls)
        return workshop

    def limits(self) -> Mapping[str, int]:
        """Return the limits of rooms, by their names in the answer of `GET /v1`."""
        limits = self.rooms.limits
        return {
            "rooms": limits.rooms,
            "room_rows": limits.rows,
            "room_bytes": limits.bytes,
            "room_characters": MAX_TEXT,
            "room_listeners": limits.listeners,
            "room_seconds": int(limits.seconds),
        }

    async def close(self) -> None:
        """Leave rooms and the lab as they are: they end with the process."""
