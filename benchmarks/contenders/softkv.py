"""softkv as an operator starts it, and `attend` as its own clients call it: the vector as base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from benchmarks.callers import Http, address_of, body_of, get_of, request_of
from benchmarks.contenders.documents import TOP, Documents, id_of
from benchmarks.contenders.store import Store, Way
from benchmarks.keys import Array
from benchmarks.running import Service
from benchmarks.upload import LINES_AT_ONCE

TEMPERATURE = 0.05
COLLECTION = "/v1/collections/bench"
ENCODED_AT_ONCE = 50


class Softkv(Store):
    """One service with one collection.

    Args:
        directory: where its data are.
        encoder: whether it loads its own, to be asked with texts.
        checkout: the folder of another commit, see `Service`.
        name: in the tables.
        fields: of every question, beside those that all contenders have.
    """

    def __init__(
        self,
        directory: Path,
        *,
        encoder: bool = False,
        checkout: Path | None = None,
        name: str = "softkv",
        fields: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self._encoder, self._fields = encoder, fields
        self.server: Service = Service(directory, *([] if encoder else ["--encoder", "none"]), checkout=checkout)

    def wait_until_started(self) -> None:
        """See `Store`."""
        self.server.wait_until_ready()

    def fill(self, documents: Documents) -> None:
        """See `Store`."""
        settings = {"late": False} if self._encoder else {"encoder": None, "dimension": documents.keys.shape[1]}
        with self.server.client() as client:
            client.put(COLLECTION, json=settings).raise_for_status()
            answer = client.post(
                f"{COLLECTION}/documents",
                content=ndjson(documents),
                headers={"Content-Type": "application/x-ndjson"},
            )
        last = json.loads(answer.text.splitlines()[-1])
        if last != {"done": True, "upserted": len(documents), "refused": 0}:
            raise RuntimeError(f"the upload ended with {last}")

    def ways(self, queries: Array, filters: Sequence[int | None]) -> list[Way]:
        """See `Store`."""
        vectors = [{"base64": base64.b64encode(query.astype("<f4").tobytes()).decode()} for query in queries]
        return [self._way(self.name, vectors, filters)]

    def asked_with(self, texts: Sequence[str]) -> Way:
        """Return the way with texts, which the service encodes, without late interaction."""
        return self._way(f"{self.name}, texts, late off", texts, [None])

    def livez(self) -> Way:
        """Return the way to ask whether it runs, which needs no data."""
        address = address_of(self.server.url)
        return Way(f"{self.name} /livez", address, Http(), {None: [get_of(address, "/livez")]}, ids, self.pid)

    def encoded(self, texts: Sequence[str]) -> Array:
        """Return float32[n, d], the vectors of texts by its encoder."""
        vectors = []
        with self.server.client() as client:
            for start in range(0, len(texts), ENCODED_AT_ONCE):
                body = {"texts": texts[start : start + ENCODED_AT_ONCE]}
                vectors += client.post("/v1/encode", json=body).raise_for_status().json()["embeddings"]
        return np.array(vectors, dtype=np.float32)

    def _way(self, name: str, queries: Sequence[object], filters: Sequence[int | None]) -> Way:
        address = address_of(self.server.url)
        requests = {}
        for below in filters:
            shared = {"temperature": TEMPERATURE, "top_k": TOP} | passing(below) | dict(self._fields)
            bodies = ({"query": query} | shared for query in queries)
            requests[below] = [
                request_of(address, f"{COLLECTION}/attend", json.dumps(body).encode()) for body in bodies
            ]
        return Way(name, address, Http(), requests, ids, self.pid)


def passing(below: int | None) -> dict[str, object]:
    """Return the filter as part of a body; empty without a filter."""
    return {} if below is None else {"filter": {"field": "metadata.percent", "operator": "<", "value": below}}


def ids(answer: bytes) -> list[str]:
    """Return the ids of the matches."""
    return [match["id"] for match in json.loads(body_of(answer))["matches"]]


def ndjson(documents: Documents) -> Iterator[bytes]:
    """A thousand lines at a time, vectors as base64."""
    for start in range(0, len(documents), LINES_AT_ONCE):
        lines = [
            {
                "id": id_of(position),
                "key_vector": {"base64": base64.b64encode(documents.keys[position].astype("<f4").tobytes()).decode()},
                "value": documents.texts[position],
                "metadata": documents.metadata(position),
            }
            for position in range(start, min(start + LINES_AT_ONCE, len(documents)))
        ]
        yield b"".join(json.dumps(line).encode() + b"\n" for line in lines)
