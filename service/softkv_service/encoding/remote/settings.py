"""The settings of an encoder behind a URL, from the operator's file of encoders."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import field
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from softkv_service.encoding.background import TOPICS

ENDPOINT = "embeddings"
MAX_BATCH_TEXTS = 2048  # as many as OpenAI takes
MAX_CONCURRENCY = 256
MAX_DIMENSIONS = 65_536  # the widest vector that a request may hold
KEY_CHARACTERS = re.compile(r"[\x21-\x7e]+")
"""The characters of a key: all of them can stand in a header."""


def _check_url(url: str) -> str:
    """Check that a text is a base URL without secrets, which logs and errors may show."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not url.isprintable() or " " in url:
        raise _flaw("Expected a URL such as http://127.0.0.1:11434/v1, with http or https and a host.")
    if parts.username is not None or parts.password is not None:
        raise _flaw("The URL holds a user or a password. Put a key into a variable, and name that with api_key_env.")
    if parts.query or parts.fragment:
        raise _flaw("The URL has a part after ? or #. Leave it out.")
    if parts.path.rstrip("/").endswith(f"/{ENDPOINT}"):
        raise _flaw(f"The URL ends in /{ENDPOINT}, which is added to it. Leave that out.")
    return url


def _check_model(model: str) -> str:
    if not model or not model.isprintable():
        raise _flaw(f"Expected the name of the provider's model, got {model!r}.")
    return model


def _check_key(key: str | None) -> str | None:
    if key is not None and not KEY_CHARACTERS.fullmatch(key):
        raise _flaw("Expected a key of visible ASCII characters, without spaces and line breaks.")
    return key


def _flaw(message: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{message}", {"message": message})


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True))
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
        ValidationError: a value is outside its range; the error does not show it.
    """

    name: str
    url: Annotated[str, AfterValidator(_check_url)]
    model: Annotated[str, AfterValidator(_check_model)]
    api_key: Annotated[str | None, AfterValidator(_check_key)] = field(default=None, repr=False)
    dimensions: Annotated[int, Field(ge=1, le=MAX_DIMENSIONS)] | None = None
    query_prefix: str = ""
    document_prefix: str = ""
    batch_texts: Annotated[int, Field(ge=1, le=MAX_BATCH_TEXTS)] = 32
    batch_tokens: Annotated[int, Field(ge=1, le=10_000_000)] = 8192
    concurrency: Annotated[int, Field(ge=1, le=MAX_CONCURRENCY)] = 4
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 60.0

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


class KeyMissing(ValueError):
    """The environment variable that should hold a provider's key is not set, or empty."""


def provider_key(variable: str) -> str:
    """Return a provider's key from the environment variable that the file of encoders names.

    Raises:
        KeyMissing: the variable is not set, or empty.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise KeyMissing(
            f"Expected the key of a provider in the environment variable {variable}, which is not set. Set it, or "
            "leave api_key_env out for a provider without keys."
        )
    return key
