"""A provider's answers: its vectors, and the messages of its errors."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

MAX_MESSAGE_CHARACTERS = 300
_MAX_PAGE = 4096  # characters, in which a page has its title
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_NOT_FINITE = re.compile(rb"(?<![\w\"])(?:NaN|-?Infinity)(?![\w\"])")


class ProviderError(Exception):
    """Base class of the errors of one request to a provider."""


class AnswerInvalid(ProviderError):
    """An answer with status 200 does not have the vectors that were asked for; the message says what it has."""


class AnswerNotJSON(AnswerInvalid):
    """The answer is not JSON, perhaps because it was cut off."""


class Embeddings(NamedTuple):
    """The vectors of the texts of one call, float32 [n, d], and the tokens that the provider counted for all.

    The tokens are None if the provider did not say. `refused` has the reason for each text that the provider refuses,
    by its index; its vector is zero.
    """

    vectors: NDArray[np.float32]
    tokens: int | None
    refused: Mapping[int, str] = MappingProxyType({})


def read_embeddings(body: bytes, n: int, dimension: int | None) -> Embeddings:
    """Read the vectors of n texts, in the order of the texts.

    Each vector is a list of numbers, or base64 of little-endian float32.

    Args:
        body: the body of the answer.
        n: the number of texts that were sent.
        dimension: the width that the vectors must have; None if any width will do, as long as it is the same for all.

    Raises:
        AnswerInvalid: the answer does not have a finite vector of this width for each text.
    """
    answer = _parse(body)
    items = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        message = clean(_find_message(answer))  # some gateways send errors with the status 200
        raise AnswerInvalid(f"its answer has no list `data`{f', but the message {message!r}' if message else ''}")
    if len(items) != n:
        raise AnswerInvalid(f"it sent {len(items)} vectors for {n} texts")
    rows: list[NDArray[np.float32] | None] = [None] * n
    for item in items:
        index = item.get("index") if isinstance(item, dict) else None
        if type(index) is not int or not 0 <= index < n or rows[index] is not None:
            shown = clean(repr(index))
            raise AnswerInvalid(
                f"its answer has an `index` that is missing, repeated or not from 0 to {n - 1}: {shown}"
            )
        rows[index] = _read_vector(item.get("embedding"), index)
    vectors = [row for row in rows if row is not None]
    widths = sorted({len(vector) for vector in vectors})
    if len(widths) > 1:
        raise AnswerInvalid(f"it sent vectors of different widths, {widths[0]} and {widths[-1]}")
    if dimension is not None and widths[0] != dimension:
        raise AnswerInvalid(f"it sent vectors of width {widths[0]}, wanted {dimension}")
    return Embeddings(np.stack(vectors), _read_tokens(answer.get("usage")))


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    if _NOT_FINITE.search(body):
        raise AnswerInvalid("its answer has numbers that are not finite")
    if not body.strip():
        raise AnswerNotJSON("its answer is empty")
    if body.lstrip().startswith(b"<"):
        raise AnswerNotJSON(f"its answer is not JSON but {_describe_page(body.decode(errors='replace'))}")
    raise AnswerNotJSON(f"its answer of {len(body)} bytes is not JSON, or was cut off")


def _read_vector(embedding: Any, index: int) -> NDArray[np.float32]:
    if isinstance(embedding, str):
        try:
            content = base64.b64decode(embedding, validate=True)
        except (binascii.Error, ValueError):
            raise AnswerInvalid(f"vector {index} is a text that is not base64") from None
        if len(content) % 4:
            raise AnswerInvalid(f"vector {index} has {len(content)} bytes, which is not a multiple of 4")
        vector = np.frombuffer(content, dtype="<f4").astype(np.float32)
    else:
        numbers = isinstance(embedding, list) and all(type(number) in (int, float) for number in embedding)
        if not numbers:
            raise AnswerInvalid(f"vector {index} is neither a list of numbers nor base64")
        with np.errstate(over="ignore"):
            vector = np.asarray(embedding, dtype=np.float64).astype(np.float32)
    if not len(vector):
        raise AnswerInvalid(f"vector {index} is empty")
    if not np.isfinite(vector).all():
        raise AnswerInvalid(f"vector {index} has numbers that are not finite")
    return vector


def _read_tokens(usage: Any) -> int | None:
    fields = usage if isinstance(usage, dict) else {}
    counts = (fields.get("prompt_tokens"), fields.get("total_tokens"))
    return next((count for count in counts if type(count) is int and count >= 0), None)


def read_message(body: bytes) -> str | None:
    """Return the message of a provider's error, in one line; None if it has none.

    The forms are those of OpenAI and vLLM `{"error": {"message"}}`, Ollama and TEI `{"error"}`, FastAPI `{"detail"}`,
    and older vLLM `{"message"}`. Other text is returned as it is, and of a page its title.
    """
    text = body.decode(errors="replace").strip()
    try:
        message = _find_message(orjson.loads(body))
    except orjson.JSONDecodeError:
        message = _describe_page(text) if text.startswith("<") else text
    return clean(message) or None


def _find_message(content: Any) -> str:
    """Return the text of a message; empty if there is none.

    Args:
        content: an error in JSON, or a part of it.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # FastAPI: a list of flaws
        return "; ".join(filter(None, map(_find_message, content[:3])))
    if not isinstance(content, dict):
        return ""
    messages = (_find_message(content.get(name)) for name in ("error", "detail", "message", "msg"))
    message = next(filter(None, messages), "")
    location = content.get("loc")
    if message and isinstance(location, list):
        return f"{'.'.join(map(str, location))}: {message}"
    return message


def _describe_page(text: str) -> str:
    title = _TITLE.search(text, 0, _MAX_PAGE)
    return f'a web page titled "{clean(html.unescape(title[1]))}"' if title else "a web page"


def clean(text: str) -> str:
    """Return a text in one line of printable characters, cut to a readable length."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= MAX_MESSAGE_CHARACTERS else f"{line[:MAX_MESSAGE_CHARACTERS]}…"
