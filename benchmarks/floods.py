"""The largest requests that a service's limits allow, from callers that send nothing else, or that stall."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Callable
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson

KEYS = ("flood", "other")
WIDTH = 384
CONNECTIONS = 8
MOST_BYTES = 33_000_000
Call = tuple[str, str, Any]


def _vectors(rows: int) -> list[list[float]]:
    return np.random.default_rng(2).standard_normal((rows, WIDTH)).round(4).tolist()


def _arrays() -> Call:
    ones = [[1.0]] * 2000
    return "POST", "/v1/attend", {"query": ones, "key": ones, "value": ones, "intermediates": True}


def _sweep() -> Call:
    temperatures = np.linspace(0.01, 1, 1024).tolist()
    body = {"query": _vectors(1)[0], "temperatures": temperatures, "top_k": 10_000, "include": []}
    return "POST", "/v1/collections/keys/sweep", body


def _upload() -> Call:
    documents = [{"id": f"f{i}", "key_vector": row} for i, row in enumerate(_vectors(9000))]
    return "POST", "/v1/collections/written/documents", {"documents": documents}


FLOODS: dict[str, Callable[[], Call]] = {
    "arrays of 4,000,000 logits": _arrays,
    "10,000 texts to encode": lambda: (
        "POST",
        "/v1/encode",
        {"texts": [f"text {i} of a flood" for i in range(10_000)]},
    ),
    "33 MB of wrong texts": lambda: ("POST", "/v1/encode", {"texts": [1] * (MOST_BYTES // 2)}),
    "33 MB of empty documents": lambda: (
        "POST",
        "/v1/collections/written/documents",
        {"documents": [{}] * (MOST_BYTES // 3)},
    ),
    "sweeps of 1,024 temperatures": _sweep,
    "64 queries for 10,000 matches": lambda: (
        "POST",
        "/v1/collections/keys/attend",
        {"queries": _vectors(64), "top_k": 10_000},
    ),
    "pages of 10,000 with vectors": lambda: (
        "POST",
        "/v1/collections/keys/documents/query",
        {"limit": 10_000, "include": ["key_vector", "value"]},
    ),
    "uploads of 9,000 vectors": _upload,
}


def _sent(call: Call) -> bytes:
    method, path, body = call
    content = orjson.dumps(body)
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEYS[0]}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(content) + content


def _answered(raw: socket.socket) -> None:
    """Read an answer to its end."""
    received = b""
    while b"\r\n\r\n" not in received:
        if not (part := raw.recv(1 << 16)):
            return
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    left = int(lengths[0].split(b":")[1]) - len(body) if lengths else 0
    while left > 0 and (part := raw.recv(1 << 18)):
        left -= len(part)


def flood(url: str, name: str, over: Any) -> None:
    """In a process: one request again and again, over eight connections."""
    request, address = _sent(FLOODS[name]()), _address(url)

    def send() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(address, timeout=60) as raw:
                while not over.is_set():
                    raw.sendall(request)
                    _answered(raw)
            time.sleep(0.05)

    for _ in range(CONNECTIONS):
        Thread(target=send, daemon=True).start()
    over.wait()


def stalled(url: str, name: str, over: Any) -> None:
    """In a process: connections that begin and go no further, made anew when they are closed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    bodies = name.startswith("256")
    begun = b"GET /livez HT" if not bodies else _sent(("POST", "/v1/attend", {"query": [1] * 5000}))[:-4000]
    sockets = list[socket.socket]()
    for _ in range(256 if bodies else 2000):
        with contextlib.suppress(OSError):
            raw = socket.create_connection(_address(url), timeout=5)
            raw.sendall(begun)
            sockets.append(raw)
    over.wait()
    for raw in sockets:
        raw.close()


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 80
