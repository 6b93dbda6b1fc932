"""The way from a command to the service: HTTP, with every failure as an error that names its exit code."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import httpx
import orjson

from service.commands.errors import Misused, Refused, Unreachable

_TRIES = 8
# Statuses that say "later", not "no".
_LATER = (429, 503)
_LONGEST_WAIT = 30.0
# A write is acknowledged after its texts are encoded and on disk: minutes; reaching the service: moments.
_TIMEOUT = httpx.Timeout(600.0, connect=5.0)


class Connection:
    """An HTTP connection to one service; a context manager.

    `call` and `lines` raise `Refused` for any answer that is not a success, `Unreachable` where there
    is none.
    """

    def __init__(self, url: str, api_key: str | None = None, sleep: Callable[[float], None] = time.sleep) -> None:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise Misused(f"--url {url!r} is not a URL ({error}): give one such as http://127.0.0.1:8000") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise Misused(f"--url {url!r} is not an http address: give one such as http://127.0.0.1:8000")
        self.url = url
        self._sleep = sleep
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # A proxy of the environment cannot reach this machine's own loopback address.
        local = parsed.host in ("localhost", "127.0.0.1", "::1")
        self._client = httpx.Client(base_url=parsed, headers=headers, timeout=_TIMEOUT, trust_env=not local)

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One JSON call → the answer's value, None where the answer has no body."""
        content = None if body is None else orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        response = self._send(method, path, content, "application/json")
        return self._parsed(response) if response.content else None

    def lines(self, path: str, content: bytes) -> list[Any]:
        """One NDJSON upload → the values of the answer's lines; sent again where it stopped for a while only."""
        for tried in range(1, _TRIES + 1):
            response = self._send("POST", path, content, "application/x-ndjson")
            lines = [self._parsed(response, line) for line in response.content.splitlines()]
            if not lines or "done" not in lines[-1]:
                raise _foreign(response)
            if lines[-1]["done"]:
                return lines
            # The answer had begun when the service had to stop, so its status says nothing.
            problem = lines[-1]["problem"]
            if problem["status"] not in _LATER or tried == _TRIES:
                break
            self._sleep(1.0)
        raise Refused(_shown(problem), problem["status"], problem)

    def _send(self, method: str, path: str, content: bytes | None, kind: str) -> httpx.Response:
        headers = {} if content is None else {"Content-Type": kind}
        for tried in range(1, _TRIES + 1):
            try:
                response = self._client.request(method, path, content=content, headers=headers)
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
                raise Unreachable(
                    f"no service answers at {self.url} ({reason}): start one with `softkv serve`, or give its --url"
                ) from None
            if response.status_code not in _LATER or tried == _TRIES:
                break
            self._sleep(_wanted_wait(response))
        if not response.is_success:
            raise refusal(response)
        return response

    def _parsed(self, response: httpx.Response, content: bytes | None = None) -> Any:
        try:
            return orjson.loads(response.content if content is None else content)
        except orjson.JSONDecodeError:
            raise _foreign(response) from None


def _wanted_wait(response: httpx.Response) -> float:
    """The seconds that `Retry-After` asks for, one where it says nothing that we read."""
    asked = response.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_WAIT) if asked.isdecimal() else 1.0


def refusal(response: httpx.Response) -> Refused:
    """An answer that is not a success → the error to show: its `detail`, and each of its `errors`."""
    try:
        problem = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return _foreign(response)
    if not isinstance(problem, dict) or not isinstance(problem.get("detail"), str):
        return _foreign(response)
    return Refused(_shown(problem), response.status_code, problem)


def _shown(problem: dict[str, Any]) -> str:
    flaws = [(error.get("pointer") or "", error.get("detail") or "") for error in problem.get("errors") or ()]
    # One flaw is usually the whole of `detail` already.
    more = [f"  {pointer}: {flaw}" for pointer, flaw in flaws if flaw not in problem["detail"]]
    return "\n".join([problem["detail"], *more])


def _foreign(response: httpx.Response) -> Refused:
    """What to say of an answer that softkv would not give."""
    kind = response.headers.get("content-type", "no content type")
    return Refused(
        f"{response.url} answered {response.status_code} with {kind}, which is not softkv's: check --url",
        response.status_code,
        {},
    )
