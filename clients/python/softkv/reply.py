"""What a service answered, before it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from softkv.record import Record


class Reply(Record):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: object

    @property
    def request_id(self) -> str | None:
        """The request's name in the service's log."""
        return self.headers.get("x-request-id")

    @property
    def retry_after(self) -> float | None:
        """After how many seconds to call again, where it says so in seconds."""
        asked = self.headers.get("retry-after", "")
        return float(asked) if asked.isdecimal() else None

    def json(self) -> Any:
        """Its content; ValueError where that is no JSON."""
        return json.loads(self.content)
