"""A transport that sends each request to one of several replicas, and to another one if that does not answer."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Sequence
from typing import NamedTuple

import httpx

KEY = "Idempotency-Key"
PAUSE_SECONDS = 0.02


class Acknowledged(NamedTuple):
    """A write that was, by which replica; its times are of time.monotonic()."""

    began: float
    ended: float
    replica: int


class Either(httpx.BaseTransport):
    """Sends each request to a replica drawn by lot.

    What is not answered, or put off, is sent again to the next one under the same Idempotency-Key; or, without
    `repeats`, raises httpx.TransportError.

    Args:
        acknowledged: gets a line for each request that was done.
        stop: ends it all, requests that are sent again too.

    Attributes:
        last: the replica that answered last.
        repeated: how many requests were sent again.
    """

    def __init__(
        self,
        urls: Sequence[str],
        chosen: random.Random,
        acknowledged: list[Acknowledged],
        stop: threading.Event,
        *,
        repeats: bool,
    ) -> None:
        self._urls = [httpx.URL(url) for url in urls]
        self._chosen, self._acknowledged, self._stop, self._repeats = chosen, acknowledged, stop, repeats
        self._transport = httpx.HTTPTransport()
        self.last = self.repeated = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer of the first replica that gives one; raise AssertionError if none does within a minute."""
        if self._repeats:
            request.headers[KEY] = str(uuid.UUID(int=self._chosen.getrandbits(128)))
        replica = self._chosen.randrange(len(self._urls))
        while True:
            began = time.monotonic()
            answer = self._sent(request, replica)
            if isinstance(answer, httpx.Response):
                self.last = replica
                # A stream's answer begins before anything is written.
                if request.headers.get("content-type") == "application/json" and answer.is_success:
                    self._acknowledged.append(Acknowledged(began, time.monotonic(), replica))
                return answer
            if not self._repeats or self._stop.is_set():
                raise answer
            self.repeated += 1
            replica = (replica + 1) % len(self._urls)
            time.sleep(PAUSE_SECONDS)

    def _sent(self, request: httpx.Request, replica: int) -> httpx.Response | httpx.TransportError:
        url = self._urls[replica]
        request.url = request.url.copy_with(host=url.host, port=url.port)
        request.headers["host"] = f"{url.host}:{url.port}"
        try:
            answer = self._transport.handle_request(request)
            if not put_off(answer):
                return answer
            answer.read()
            return httpx.ReadError(f"put off: {answer.text}")
        except httpx.TimeoutException:
            raise AssertionError(f"{url} did not answer {request.method} {request.url.path} in time") from None
        except httpx.TransportError as error:
            return error

    def close(self) -> None:
        """Let go of all connections."""
        self._transport.close()


def put_off(answer: httpx.Response) -> bool:
    """Whether a service says to try again; what it says without that is an answer."""
    return answer.status_code == 503 and "retry-after" in answer.headers
