"""What a client knows by heart: the service's limits, and how wide a collection's keys are."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from softkv.record import Record
from softkv.wire.checks import name_in_path


class Known:
    """What the service has said of itself so far.

    Attributes:
        limits: of `GET /v1`; None until they are needed.
        widths: of the keys of collections that have been answered.
    """

    def __init__(self) -> None:
        self.limits: Mapping[str, int] | None = None
        self.widths: dict[str, int] = {}


class Place(Record):
    """A collection by its name, and where its calls go.

    Raises:
        Invalid: no collection can have that name.
    """

    name: str
    known: Known

    def _made(self) -> None:
        name_in_path(self.name)

    @property
    def path(self) -> str:
        """Where it is called."""
        return f"/v1/collections/{self.name}"

    @property
    def documents(self) -> str:
        """Where its documents are."""
        return f"{self.path}/documents"

    def document(self, document_id: str) -> str:
        """Where one of its documents is."""
        return f"{self.documents}/{quote(document_id, safe='')}"
