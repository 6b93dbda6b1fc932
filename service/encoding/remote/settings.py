"""The settings of an encoder behind a URL, from the operator's file of encoders."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from service.encoding.background import TOPICS

ENDPOINT = "embeddings"
MAX_BATCH_TEXTS = 2048  # as many as OpenAI takes
MAX_CONCURRENCY = 256
MAX_DIMENSIONS = 65_536  # the widest vector that a request may hold
KEY_CHARACTERS = re.compile(r"[\x21-\x7e]+")
"""The characters of a key: all of them can stand in a header."""


class InvalidRemoteSettings(ValueError):
    """A setting of an encoder behind a URL is invalid.

    Attributes:
        field: the name of the setting.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class RemoteSettings:
    """The settings of an encoder that a provider computes, behind an OpenAI-compatible URL.

    Attributes:
        name: the name by which collections and callers choose the encoder.
        url: the base URL of the provider, to which `/embeddings` is added: `http://127.0.0.1:11434/v1`.
        model: the name of the model at the provider.
        api_key: the secret that is sent as `Authorization: Bearer`; None without one.
        dimensions: the width of the vectors to ask for; None for the model's own.
        query_prefix, document_prefix: texts that are put before each query and each document.
        batch_texts: the most texts of one call.
        batch_tokens: the most tokens of one call, estimated from the characters; a longer text is a call of its own.
        concurrency: the most calls in flight.
        requests_per_minute: the most calls that start within a minute, repetitions included; None for no limit.
        timeout_seconds: the time within which a call is answered, with all its repetitions.

    Raises:
        InvalidRemoteSettings: a value is outside its range.
    """

    name: str
    url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    dimensions: int | None = None
    query_prefix: str = ""
    document_prefix: str = ""
    batch_texts: int = 32
    batch_tokens: int = 8192
    concurrency: int = 4
    requests_per_minute: int | None = None
    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            InvalidRemoteSettings: a value is outside its range.
        """
        _check_url(self.url)
        if not self.model or not self.model.isprintable():
            raise InvalidRemoteSettings("model", f"Expected the name of the provider's model, got {self.model!r}.")
        if self.api_key is not None and not KEY_CHARACTERS.fullmatch(self.api_key):
            raise InvalidRemoteSettings(
                "api_key_env", "Expected a key of visible ASCII characters, without spaces and line breaks."
            )
        _check_range("dimensions", self.dimensions, 1, MAX_DIMENSIONS)
        _check_range("batch_texts", self.batch_texts, 1, MAX_BATCH_TEXTS)
        _check_range("batch_tokens", self.batch_tokens, 1, 10_000_000)
        _check_range("concurrency", self.concurrency, 1, MAX_CONCURRENCY)
        _check_range("requests_per_minute", self.requests_per_minute, 1, 1_000_000)
        if not (math.isfinite(self.timeout_seconds) and 0 < self.timeout_seconds <= 3600):
            raise InvalidRemoteSettings(
                "timeout_seconds", f"Expected a number of seconds up to 3600, got {self.timeout_seconds}."
            )

    @property
    def endpoint(self) -> str:
        """The URL of the call that encodes texts."""
        return f"{self.url.rstrip('/')}/{ENDPOINT}"

    @property
    def model_identity(self) -> str:
        """The model and the settings that change its vectors, as a text that collections record.

        It is the name of the model alone unless other settings change the vectors. The URL is not part of it, so that
        a provider may move to another machine.
        """
        changes = {
            name: value
            for name in ("dimensions", "query_prefix", "document_prefix")
            if (value := getattr(self, name)) not in (None, "")
        }
        return f"{self.model} {json.dumps(changes, ensure_ascii=False)}" if changes else self.model

    @property
    def measurement_key(self) -> str:
        """The text that a measurement belongs to: another one means that the encoder has to be measured again."""
        topics = hashlib.blake2b(repr(TOPICS).encode(), digest_size=8).hexdigest()
        return f"{self.model_identity} topics {topics}"


def _check_url(url: str) -> None:
    """Raise InvalidRemoteSettings unless a text is a base URL without secrets, which logs and errors may show."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not url.isprintable() or " " in url:
        raise InvalidRemoteSettings(
            "url", "Expected a URL such as http://127.0.0.1:11434/v1, with http or https and a host."
        )
    if parts.username is not None or parts.password is not None:
        raise InvalidRemoteSettings(
            "url", "The URL holds a user or a password. Put a key into a variable, and name that with api_key_env."
        )
    if parts.query or parts.fragment:
        raise InvalidRemoteSettings("url", "The URL has a part after ? or #. Leave it out.")
    if parts.path.rstrip("/").endswith(f"/{ENDPOINT}"):
        raise InvalidRemoteSettings("url", f"The URL ends in /{ENDPOINT}, which is added to it. Leave that out.")


def _check_range(field: str, value: int | None, low: int, high: int) -> None:
    if value is not None and not (type(value) is int and low <= value <= high):
        raise InvalidRemoteSettings(field, f"Expected a whole number from {low} to {high}, got {value!r}.")
