"""Calls to a provider: one call encodes one batch, and is repeated while that may help."""

from __future__ import annotations

import asyncio
import math
import random
import ssl
import time
import weakref
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.request import getproxies

import httpx2
import numpy as np
import orjson

from softkv_service.addresses import is_this_machine
from softkv_service.encoding.errors import ModelUnusable, ProviderUnavailable
from softkv_service.encoding.provider_counts import Failure, ProviderCounts
from softkv_service.encoding.remote.answers import (
    AnswerInvalid,
    AnswerNotJSON,
    Embeddings,
    ProviderError,
    clean,
    read_embeddings,
    read_message,
)
from softkv_service.encoding.remote.background_loop import PROVIDERS
from softkv_service.encoding.remote.settings import MAX_DIMENSIONS, RemoteSettings
from softkv_service.encoding.texts import Purpose
from softkv_service.logs import log

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 8.0
"""The pause before the first repetition, and the longest one; each is twice as long as the one before."""

MAX_QUIET_SECONDS = 300.0
"""The longest pause for all calls that a provider may ask for by Retry-After."""

FEW_ATTEMPTS = 3
"""Attempts if the provider itself fails: the text may be the cause, and would fail again."""

QUERY_ATTEMPTS = 4
"""Attempts for a query if nothing listens at the URL: some four seconds, since a person waits."""

CONNECT_SECONDS = 10.0
NUMBER_BYTES = 32  # more than the longest float64 in JSON, with its comma
MAX_ERROR_BYTES = 65_536
SHOWN_CHARACTERS = 60
UNFIT_TEXT = (400, 413, 422)
"""Statuses with which providers refuse a text; some answer a wrong model or width with them, too."""

HARMLESS_TEXT = "hello"
"""A text that every provider takes: if it is refused, too, the settings are wrong and not the text."""

MINUTE = 60.0

TRY_AGAIN = (408, 425, 429, 502, 503, 504, 529)
"""Statuses after which a call is repeated until its time is over; after other errors of a server a few times."""


class _Failed(ProviderError):
    """One attempt failed.

    Attributes:
        failure: the reason.
        attempts: the most attempts that make sense; None for as many as the time allows.
        retry_after: the number of seconds after which the provider asked to try again; None if it did not say.
        text: whether the texts are the reason.
        may_be_a_text: whether one of several texts may be the reason.
        unconnected: whether there was no connection, so that the provider never saw the call.
    """

    def __init__(
        self,
        message: str,
        failure: Failure,
        *,
        attempts: int | None = 1,
        retry_after: float | None = None,
        text: bool = False,
        may_be_a_text: bool = False,
        unconnected: bool = False,
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.attempts = attempts
        self.retry_after = retry_after
        self.text = text
        self.may_be_a_text = may_be_a_text
        self.unconnected = unconnected


class _Refused(ProviderError):
    """The provider refuses one or several texts; the message is its reason."""


class Pace:
    """A limit on the calls that start within any minute, and pauses that the provider asks for.

    It belongs to one event loop.

    Args:
        per_minute: the most calls that start within a minute; None for no limit.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._starts: deque[float] | None = None if per_minute is None else deque(maxlen=per_minute)
        self._quiet_until = 0.0
        self._turn = asyncio.Lock()

    def pause(self, seconds: float) -> None:
        """Note that the provider wants no call within the next `seconds`."""
        self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)

    @property
    def quiet_seconds(self) -> float:
        """For how many seconds the provider still wants no call."""
        return max(0.0, self._quiet_until - time.monotonic())

    async def wait(self) -> None:
        """Wait until the limit allows a call to start, and count it; calls start in the order in which they came."""
        if self._starts is None:
            return
        async with self._turn:
            if len(self._starts) == self._starts.maxlen:
                await asyncio.sleep(self._starts[0] + MINUTE - time.monotonic())
            self._starts.append(time.monotonic())


class Provider:
    """The provider of an encoder. Its coroutines run on the loop of `PROVIDERS`.

    Attributes:
        dimension: the width of its vectors; None until the first answer.
        counts: counts of its calls.

    Raises:
        ModelUnusable: the environment names a proxy that cannot be used.
    """

    def __init__(self, settings: RemoteSettings, dimension: int | None = None) -> None:
        self.dimension = settings.dimensions if dimension is None else dimension
        self.counts = ProviderCounts()
        self._settings = settings
        self._format: str | None = "base64"
        self._pace = Pace(settings.requests_per_minute)
        self._calls = asyncio.Semaphore(settings.concurrency)
        self._accepted = -math.inf  # the time at which the last call began that succeeded
        self._failing = False  # whether the last call failed, which the log says once
        timeout = httpx2.Timeout(None, connect=min(CONNECT_SECONDS, settings.timeout_seconds))
        limits = httpx2.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": "application/json"}
        if settings.api_key is not None:
            headers["Authorization"] = f"Bearer {settings.api_key}"
        url = httpx2.URL(settings.endpoint)
        # The environment's proxy cannot reach this machine's loopback address, and would get the texts and the key.
        self._may_be_proxied = not is_this_machine(url.host)
        try:
            self._client = httpx2.AsyncClient(
                headers=headers,
                timeout=timeout,
                limits=limits,
                follow_redirects=False,
                trust_env=self._may_be_proxied,
                verify=httpx2.create_ssl_context() if url.scheme == "https" else True,
            )
        except (ImportError, ValueError):
            raise ModelUnusable(
                f"Expected a proxy of HTTP for encoder {settings.name!r}, got {_describe_proxies()}. Name one that "
                f"begins with http:// or https://, or add {url.host} to NO_PROXY."
            ) from None
        weakref.finalize(self, _close, self._client).atexit = False

    async def embed(self, texts: Sequence[str], seconds: float, purpose: Purpose = "document") -> Embeddings:
        """Return the vectors of the texts of one batch, with their prefix, and which of them the provider refuses.

        If the provider refuses several texts together, each half is sent alone, until each refused text is known.
        Before that, a harmless text shows whether the provider refuses every text.

        Args:
            texts: at least one.
            seconds: the time limit of a call, with its repetitions.
            purpose: the purpose of the texts; queries wait only some seconds for a provider that is not there.

        Raises:
            ProviderUnavailable: the provider cannot be reached, or fails, or refuses every text, or its answer is
                invalid.
        """
        return await self._embed(texts, seconds, purpose, time.monotonic())

    async def _embed(self, texts: Sequence[str], seconds: float, purpose: Purpose, began: float) -> Embeddings:
        """Return what `embed` returns; `began` is the time at which the first call of these texts began."""
        try:
            async with self._calls:
                return await self._call(texts, seconds, purpose)
        except _Refused as refusal:
            await self._check_settings(seconds, purpose, began)
            if len(texts) == 1:
                assert self.dimension is not None  # the provider took a text since
                vector = np.zeros((1, self.dimension), dtype=np.float32)
                return Embeddings(vector, None, {0: self._describe_refusal(texts[0], refusal)})
        middle = len(texts) // 2
        halves = [await self._embed(half, seconds, purpose, began) for half in (texts[:middle], texts[middle:])]
        tokens = [half.tokens for half in halves if half.tokens is not None]
        first, second = halves
        return Embeddings(
            np.concatenate([first.vectors, second.vectors]),
            sum(tokens) if len(tokens) == len(halves) else None,
            {**first.refused, **{middle + i: reason for i, reason in second.refused.items()}},
        )

    async def _check_settings(self, seconds: float, purpose: Purpose, began: float) -> None:
        """Send a harmless text, unless a call that began after `began` has succeeded.

        Raises:
            ProviderUnavailable: it is refused, too, so the settings of the encoder are wrong; or the provider fails.
        """
        if self._accepted >= began:
            return
        try:
            async with self._calls:
                await self._call([HARMLESS_TEXT], seconds, purpose)
        except _Refused as refusal:
            raise ProviderUnavailable(
                f"The provider of encoder {self._settings.name!r} refuses every text, also {HARMLESS_TEXT!r}: "
                f"{refusal}. Check the settings `model`, `dimensions` and the key of this encoder."
            ) from None

    def _describe_refusal(self, text: str, refusal: _Refused) -> str:
        shown = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
        return f"The provider of encoder {self._settings.name!r} refused the text {shown!r}: {refusal}."

    async def _call(self, texts: Sequence[str], seconds: float, purpose: Purpose) -> Embeddings:
        await self._pace.wait()
        deadline = time.monotonic() + seconds
        attempts = 0
        before: _Failed | None = None
        while True:
            try:
                await self._stay_quiet(deadline)
                began = time.monotonic()
                embeddings = await self._attempt(texts, deadline)
            except _Failed as failed:
                attempts += 1
                pause = self._pause_after(failed, attempts)
                limit = QUERY_ATTEMPTS if failed.unconnected and purpose == "query" else failed.attempts
                if attempts in (failed.attempts, limit) or time.monotonic() + pause >= deadline:
                    raise self._give_up(failed, before) from None
                before = failed
                self._report_failing(failed, deadline)
                self.counts.repeats += 1
                await asyncio.sleep(pause)
                await self._pace.wait()
            else:
                self._accepted, self._failing = max(self._accepted, began), False
                self.dimension = embeddings.vectors.shape[1]
                self.counts.tokens += embeddings.tokens or 0
                return embeddings

    def _report_failing(self, failed: _Failed, deadline: float) -> None:
        """Say in the log that a call is repeated: once, until a call succeeds."""
        if not self._failing and failed.failure != "refused":
            self._failing = True
            log.warning(
                "provider fails, trying again",
                encoder=self._settings.name,
                reason=self._redact(str(failed)),
                seconds=round(max(0.0, deadline - time.monotonic())),
            )

    async def _stay_quiet(self, deadline: float) -> None:
        """Wait as long as the provider asked for, in an answer to any call."""
        while quiet := self._pace.quiet_seconds:
            if time.monotonic() + quiet >= deadline:
                raise _Failed(f"it asked for a pause of {quiet:.0f} more seconds", "rate limit", retry_after=quiet)
            await asyncio.sleep(quiet)

    def _pause_after(self, failed: _Failed, attempts: int) -> float:
        if failed.retry_after is not None:
            self._pace.pause(min(failed.retry_after, MAX_QUIET_SECONDS))
            return failed.retry_after
        longest = min(FIRST_PAUSE_SECONDS * 2 ** (attempts - 1), MAX_PAUSE_SECONDS)
        return random.uniform(longest / 2, longest)  # so that callers that failed together do not return together

    def _give_up(self, failed: _Failed, before: _Failed | None) -> ProviderUnavailable | _Refused:
        self.counts.failures[failed.failure] += 1
        reason = str(failed)
        if failed.failure == "too slow" and before is not None:  # the time may have been spent on what failed before
            reason += f"; the attempt before failed, too: {before}"
        if self._may_be_proxied and (proxies := _describe_proxies()):
            reason += f". The environment has the proxy {proxies}, which may be what answered"
        name, reason = self._settings.name, self._redact(reason)
        if failed.text:
            return _Refused(reason)
        return ProviderUnavailable(
            f"The provider of encoder {name!r} is not usable now: {reason}.",
            failed.retry_after,
            may_be_a_text=failed.may_be_a_text,
        )

    async def _attempt(self, texts: Sequence[str], deadline: float) -> Embeddings:
        self.counts.requests += 1
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                status, headers, body = await self._send(texts)
        except TimeoutError:
            limit = self._settings.timeout_seconds
            raise _Failed(f"it did not answer in time (timeout_seconds is {limit:g})", "too slow") from None
        except httpx2.HTTPError as error:
            attempts = 1 if _is_certificate_error(error) else None
            unconnected = isinstance(error, httpx2.ConnectError)
            message = _describe_transport_error(error)
            raise _Failed(message, "unreachable", attempts=attempts, unconnected=unconnected) from None
        if status != 200:
            raise self._read_error(status, headers, body)
        try:
            embeddings = read_embeddings(body, len(texts), self.dimension)
        except AnswerNotJSON as error:
            raise _Failed(str(error), "invalid answer", attempts=FEW_ATTEMPTS) from None
        except AnswerInvalid as error:
            raise _Failed(str(error), "invalid answer", may_be_a_text=True) from None
        return embeddings

    async def _send(self, texts: Sequence[str]) -> tuple[int, httpx2.Headers, bytes]:
        """Send one request, and return the status, the headers and the body of its answer.

        Raises:
            _Failed: the body is too long, or compressed.
            httpx2.HTTPError: the connection failed.
        """
        content: dict[str, object] = {"model": self._settings.model, "input": list(texts)}
        if self._format is not None:
            content["encoding_format"] = self._format
        if self._settings.dimensions is not None:
            content["dimensions"] = self._settings.dimensions
        request = self._client.build_request("POST", self._settings.endpoint, content=orjson.dumps(content))
        answer = await self._client.send(request, stream=True)
        try:
            max_bytes = MAX_ERROR_BYTES
            if answer.status_code == 200:
                max_bytes += len(texts) * NUMBER_BYTES * (self.dimension or MAX_DIMENSIONS)
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise _Failed("its answer is compressed, which was not asked for", "invalid answer")
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > max_bytes:
                    if answer.status_code == 200:
                        raise _Failed(f"its answer has more than {max_bytes} bytes", "invalid answer")
                    del body[max_bytes:]
                    break
            return answer.status_code, answer.headers, bytes(body)
        finally:
            await answer.aclose()

    def _read_error(self, status: int, headers: httpx2.Headers, body: bytes) -> _Failed:
        """Return the failure that an answer with another status than 200 means."""
        message = read_message(self._redact(body.decode(errors="replace")).encode())
        answer = f"{status}" if message is None else f"{status}, {message!r}"
        if 300 <= status < 400:
            location = clean(self._redact(headers.get("location", "")))
            return _Failed(
                f"it answered with a redirect ({status}) to {location!r}, which is not followed: write that into `url`",
                "refused",
            )
        retry_after = _read_retry_after(headers)
        if status == 429:
            attempts = 1 if _is_out_of_credit(body) else None
            return _Failed(f"it answered {answer}", "rate limit", attempts=attempts, retry_after=retry_after)
        if status in TRY_AGAIN:
            return _Failed(f"it answered {answer}", "server error", attempts=None, retry_after=retry_after)
        if status >= 500:
            return _Failed(
                f"it answered {answer}",
                "server error",
                attempts=FEW_ATTEMPTS,
                retry_after=retry_after,
                may_be_a_text=True,
            )
        if status in UNFIT_TEXT:
            if self._format is not None and b"encoding_format" in body:
                self._format = None  # it does not know the field: lists are what it sends then
                return _Failed(f"it answered {answer}", "refused", attempts=2, retry_after=0.0)
            return _Failed(answer, "text refused", text=True)
        return _Failed(f"it answered {answer}", "refused")

    def _redact(self, text: str) -> str:
        """Return a text of the provider without the key, which some providers repeat."""
        key = self._settings.api_key
        return text if key is None else text.replace(key, "[key]")


def _describe_proxies() -> str:
    """Return the proxies of the environment for HTTP, HTTPS and all, without passwords; empty without any."""
    proxies = {scheme: proxy for scheme, proxy in getproxies().items() if scheme in ("http", "https", "all")}
    return ", ".join(f"{scheme.upper()}_PROXY={_without_password(proxy)}" for scheme, proxy in sorted(proxies.items()))


def _without_password(proxy: str) -> str:
    scheme, separator, address = proxy.rpartition("://")
    return f"{scheme}{separator}{address.rpartition('@')[2]}"


def _close(client: httpx2.AsyncClient) -> None:
    PROVIDERS.submit(client.aclose())


def _is_certificate_error(error: Exception) -> bool:
    """Return whether a connection failed because of the provider's certificate, which another attempt does not mend."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _describe_transport_error(error: httpx2.HTTPError) -> str:
    reason = clean(str(error)) or type(error).__name__
    if isinstance(error, httpx2.ConnectTimeout | httpx2.ConnectError | httpx2.ProxyError):
        return f"it cannot be reached ({reason})"
    return f"the connection to it broke off ({reason})"


def _is_out_of_credit(body: bytes) -> bool:
    """Return whether a 429 says that an account has no credit, so that waiting does not help."""
    return b"insufficient_quota" in body


def _read_retry_after(headers: httpx2.Headers) -> float | None:
    """Return the seconds of a Retry-After header, which has seconds or a date; None without a valid one."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, min(float(value), 86_400.0)) if value.replace(".", "", 1).isdecimal() else _seconds_until(value)
    except (ValueError, TypeError, OverflowError):
        return None


def _seconds_until(date: str) -> float | None:
    moment = parsedate_to_datetime(date)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, min((moment - datetime.now(UTC)).total_seconds(), 86_400.0))
