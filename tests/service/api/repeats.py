"""Writes that are sent again under an Idempotency-Key."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Write:
    """A call on a collection, or below it."""

    method: str
    below: str
    body: Any = None

    def send(self, client: httpx.Client, path: str, key: str | bytes | None = None) -> httpx.Response:
        headers = {} if key is None else {"idempotency-key": key}
        return client.request(self.method, path + self.below, json=self.body, headers=headers)


def new() -> str:
    return str(uuid.uuid4())


def same(repeat: httpx.Response, first: httpx.Response) -> None:
    assert "idempotency-replayed" not in first.headers
    assert repeat.headers["idempotency-replayed"] == "true"
    assert (repeat.status_code, repeat.content) == (first.status_code, first.content)
    assert repeat.headers.get("content-type") == first.headers.get("content-type")
    assert repeat.headers["x-request-id"] != first.headers["x-request-id"]
