"""Server-sent events as they come in: whoever asked hears of each, and says when it is enough."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from softkv.calls.call import WRITE_SECONDS, Call, Plan, nothing
from softkv.errors import Error
from softkv.record import Record

T = TypeVar("T")
Heard = Callable[[str, Any], object]
"""Is told the name and the data of each event; True is enough."""


class Stream(Record, Generic[T]):
    """Events of one call, each read as it comes.

    Attributes:
        hear: makes the call of who is told of each event.
        made: what an event's name and data become; a refusal where that is what it says.
    """

    hear: Callable[[Heard], Plan[None]]
    made: Callable[[str, Any], T]


def hear(method: str, path: str, heard: Heard, content: bytes | None = None) -> Plan[None]:
    """Listen until the events end, or until it is enough; a service in this process tells all of them at the end."""
    take = _Hearing(heard).take
    call = Call(method, path, nothing, content=content, take=take, repeatable=False, timeout=WRITE_SECONDS)
    try:
        yield from call
    except _Enough:
        return


class _Enough(Error):
    """Whoever listened has heard enough."""


class _Hearing:
    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._rest = b""

    def take(self, part: bytes) -> None:
        """Tell of every event that is whole now."""
        *whole, self._rest = (self._rest + part).split(b"\n\n")
        for event in whole:
            fields = dict(line.split(": ", 1) for line in event.decode().split("\n") if not line.startswith(":"))
            if "data" in fields and self._heard(fields["event"], json.loads(fields["data"])) is True:
                raise _Enough("enough was heard")
