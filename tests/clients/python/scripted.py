"""A small server with scripted responses, for tests of when and with what a client retries."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Said:
    """One answer. Without a status the connection closes instead; `after` delays it by so many seconds."""

    status: int | None = 200
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    after: float = 0.0


@dataclass(frozen=True)
class Heard:
    """One request, and when it came."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Scripted:
    """Gives its answers one after another, the last one again and again."""

    def __init__(self, *answers: Said) -> None:
        self.heard: list[Heard] = []
        self._answers = list(answers)
        scripted = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                scripted.heard.append(Heard(time.monotonic(), self.command, self.path, dict(self.headers), body))
                answers = scripted._answers
                reply = answers.pop(0) if len(answers) > 1 else answers[0]
                time.sleep(reply.after)
                if reply.status is None:
                    self.close_connection = True
                    return
                content = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _answer

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # A client that hangs up would have a traceback written among the output of the next test.
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Scripted]:
        """Serve while the block runs."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def problem(status: int, code: str, **headers: str) -> Said:
    """A refusal as the service says it."""
    return Said(status, {"status": status, "code": code, "detail": f"{code} it is"}, headers)
