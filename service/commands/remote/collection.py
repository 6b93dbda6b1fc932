"""A collection of the running service, as the commands use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from service.commands.errors import Refused
from service.commands.remote.connection import Connection


class RemoteCollection:
    """One collection behind a connection, by name; it need not exist yet."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.name = name
        self._connection = connection
        self._path = f"/v1/collections/{quote(name, safe='')}"

    def exists(self) -> bool:
        """Whether the service has it."""
        try:
            self._connection.call("GET", self._path)
        except Refused as refused:
            if refused.status == 404:
                return False
            raise
        return True

    def create(self, settings: dict[str, Any]) -> None:
        """Create it, or confirm that it is there with these settings."""
        self._connection.call("PUT", self._path, settings)

    def attend(self, request: dict[str, Any]) -> Any:
        """The soft lookup: an `attend` request → its answer."""
        return self._connection.call("POST", f"{self._path}/attend", request)

    def upsert(self, documents: Sequence[dict[str, Any]]) -> list[str]:
        """Write documents, all or none → the ids of those whose text was longer than the encoder reads."""
        answer = self._connection.call("POST", f"{self._path}/documents", {"documents": documents})
        truncated: list[str] = answer["truncated"]
        return truncated

    def upload(self, lines: Sequence[bytes]) -> list[dict[str, Any]]:
        """Write documents given as lines of NDJSON: the good lines; the answer's lines name the refused."""
        answers: list[dict[str, Any]] = self._connection.lines(f"{self._path}/documents", b"\n".join(lines) + b"\n")
        return answers

    def present(self, ids: Sequence[str]) -> set[str]:
        """Which of these ids the collection holds."""
        found: set[str] = set()
        request: dict[str, Any] = {"ids": list(ids), "include": [], "limit": 1000}
        while True:
            answer = self._connection.call("POST", f"{self._path}/documents/query", request)
            found.update(document["id"] for document in answer["documents"])
            if answer["next_cursor"] is None:
                return found
            request["cursor"] = answer["next_cursor"]
