"""A provider of embeddings in this process, which can fail in every way."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

WIDTH = 48
JSON = {"Content-Type": "application/json"}


def vector_of(text: str, width: int = WIDTH) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A vector of length one: the sum of one for each word, so that texts with common words are similar."""
    total = np.full(width, 0.05)
    for word in text.lower().split():
        seed = int.from_bytes(hashlib.blake2b(word.strip(".,?!").encode(), digest_size=8).digest(), "little")
        total += np.random.default_rng(seed).normal(size=width)
    return (total / np.linalg.norm(total)).astype(np.float32)


@dataclass
class Reply:
    """An answer of the provider: a body in JSON or bytes.

    A body that is cut has this many bytes, and then the connection ends.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


DROPPED = Reply(0)
"""No answer: the connection ends."""
TOO_MANY = Reply(429, b"", {"Retry-After": "0"})


@dataclass
class Call:
    """What came: the body in JSON, and the headers."""

    body: dict[str, Any]
    headers: dict[str, str]
    at: float = field(default_factory=time.monotonic)


Behaviour = Callable[[Call], Reply | None]


class StubProvider:
    """An OpenAI-compatible provider. A behaviour may answer a call in place of the usual answer."""

    def __init__(self, *, as_base64: bool = True, width: int = WIDTH) -> None:
        self.calls: list[Call] = []
        self.in_flight = self.most_in_flight = 0
        self.behaviour: Behaviour | None = None
        self.as_base64 = as_base64
        self.width = width
        self._lock = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                call = Call(json.loads(self.rfile.read(int(self.headers["Content-Length"]))), dict(self.headers))
                stub._enter(call)
                try:
                    reply = stub.reply(call) if self.path == "/v1/embeddings" else Reply(404, b"404 page not found")
                finally:
                    stub._leave()
                self.close_connection |= reply is DROPPED or reply.cut is not None
                if reply is DROPPED:
                    return
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.send_response(reply.status)
                    for name, value in ({"Content-Length": str(len(body))} | JSON | reply.headers).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body[: reply.cut])

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def texts(self) -> list[str]:
        return [text for call in self.calls for text in call.body["input"]]

    def _enter(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def _leave(self) -> None:
        with self._lock:
            self.in_flight -= 1

    def reply(self, call: Call) -> Reply:
        if self.behaviour is not None and (reply := self.behaviour(call)) is not None:
            return reply
        return Reply(200, self.answer(call))

    def answer(self, call: Call) -> dict[str, Any]:
        """The usual answer to a call, as OpenAI sends it."""
        width = call.body.get("dimensions", self.width)
        as_base64 = self.as_base64 and call.body.get("encoding_format") == "base64"
        vectors = [vector_of(text, width) for text in call.body["input"]]
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(vector.tobytes()).decode() if as_base64 else vector.tolist(),
            }
            for index, vector in enumerate(vectors)
        ]
        tokens = sum(len(text.split()) for text in call.body["input"])
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": call.body["model"], "usage": usage}

    @contextmanager
    def running(self) -> Iterator[StubProvider]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
