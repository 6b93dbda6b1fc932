"""Chroma's server, asked over HTTP with what its own client sends."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.callers import Http, body_of, request_of
from benchmarks.contenders.documents import TOP, Documents, id_of
from benchmarks.contenders.server import Server
from benchmarks.contenders.store import Store, Way, until_answered
from benchmarks.keys import Array
from benchmarks.running import HOST, free_port

COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"
SETTINGS: dict[str, Any] = {
    "name": "bench",
    "get_or_create": True,
    "configuration": {"hnsw": {"space": "cosine"}},
}
ADDED_AT_ONCE = 1000


class Chroma(Store):
    """One server with one collection: HNSW by cosine, all else as chroma has it by default.

    Args:
        directory: where its data are.
        programs: the folder that has the program `chroma`.
    """

    name = "chroma"

    def __init__(self, directory: Path, programs: Path) -> None:
        self._address = (HOST, free_port())
        command = [programs / "chroma", "run", "--path", directory, "--host", HOST, "--port", str(self._address[1])]
        self.server = Server(command, directory / "chroma.log", ANONYMIZED_TELEMETRY="False")

    def wait_until_started(self) -> None:
        """See `Store`."""

        def started() -> None:
            try:
                self._client().get("/api/v2/heartbeat").raise_for_status()
            except httpx.TransportError as error:
                if self.server.process.poll() is not None:
                    raise RuntimeError(f"chroma ended: {self.server.said}") from None
                raise ConnectionError(error) from error

        until_answered(started)

    def fill(self, documents: Documents) -> None:
        """See `Store`."""
        with self._client() as client:
            path = self._collection(client)
            for start in range(0, len(documents), ADDED_AT_ONCE):
                positions = range(start, min(start + ADDED_AT_ONCE, len(documents)))
                body = {
                    "ids": [id_of(position) for position in positions],
                    "embeddings": [
                        base64.b64encode(documents.keys[position].tobytes()).decode() for position in positions
                    ],
                    "documents": [documents.texts[position] for position in positions],
                    "metadatas": [documents.metadata(position) for position in positions],
                    "uris": None,
                }
                client.post(f"{path}/add", json=body).raise_for_status()
            first = body_for([float(x) for x in documents.keys[0]], None)
            client.post(f"{path}/query", json=first).raise_for_status()  # which may wait for the index

    def ways(self, queries: Array, filters: Sequence[int | None]) -> list[Way]:
        """See `Store`."""
        with self._client() as client:
            path = f"{self._collection(client)}/query"
        numbers = queries.tolist()
        requests = {
            below: [request_of(self._address, path, json.dumps(body_for(query, below)).encode()) for query in numbers]
            for below in filters
        }
        return [Way(self.name, self._address, Http(), requests, ids, self.pid)]

    def _client(self) -> httpx.Client:
        host, port = self._address
        return httpx.Client(base_url=f"http://{host}:{port}", timeout=1800, trust_env=False)

    def _collection(self, client: httpx.Client) -> str:
        return f"{COLLECTIONS}/{client.post(COLLECTIONS, json=SETTINGS).raise_for_status().json()['id']}"


def body_for(query: Sequence[float], below: int | None) -> dict[str, object]:
    """Return the body that its client's `Collection.query` sends."""
    return {
        "ids": None,
        "query_embeddings": [query],
        "n_results": TOP,
        "where": None if below is None else {"percent": {"$lt": below}},
        "where_document": None,
        "include": ["metadatas", "documents", "distances"],
    }


def ids(answer: bytes) -> list[str]:
    """Return the ids of the one query's results."""
    names: list[str] = json.loads(body_of(answer))["ids"][0]
    return names
