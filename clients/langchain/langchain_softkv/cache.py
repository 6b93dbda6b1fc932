"""A collection as LangChain's cache of a language model's answers, which finds them by the meaning of a question."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.messages import messages_from_dict
from langchain_core.outputs import ChatGeneration, Generation
from typing_extensions import override

from langchain_softkv.inputs import convert_errors
from softkv.calls.call import CollectionRef, ServiceCache
from softkv.errors import NotFound
from softkv.filters import Comparison
from softkv.integrations import Connection
from softkv.problems import COLLECTION_NOT_FOUND, invalid_value
from softkv.wire import OMITTED, OmittedType

if TYPE_CHECKING:
    from softkv.answers.answer import Answer
    from softkv.answers.documents import Match
    from softkv.answers.info import CollectionInfo
    from softkv.client import AsyncClient, AsyncCollection, Client, Collection

MAX_LENGTH = 500
"""The most characters of a question that is found by its meaning: encoders read only the beginning of a long text."""

UNSURE = 0.5
"""The confidence from which a question probably repeats a stored one. It is stored without a key: beside each other,
two keys of one meaning would share the weight, and neither would be confident.
"""

BOUND_SECONDS = 60.0
"""Seconds after which the confidence that keeps a promise is read again: the collection may be calibrated anew."""

_EVERY_DOCUMENT = Comparison("id", "!=", "")
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")  # NUL, and halves of characters, of which a key text has none


class SoftkvCache(BaseCache):
    """A collection as a cache: `set_llm_cache(SoftkvCache(max_error=0.05))`.

    An answer is found for the same question. In a calibrated collection, it is also found for a question that means the
    same, with enough confidence. The model, its settings and all earlier messages must be the same.

    Args:
        collection: its name; the first write creates it.
        max_error: the largest share of answers that are those to another question. The calibration has a confidence
            that keeps this promise, or there were too few labels for it; then only the same question is found.
        min_confidence: the least confidence, from 0 to 1, in place of `max_error`.
        of: whether the error is a share of the `"answers"` that are found, or of all `"questions"`.
        seconds: how long an answer is valid; for ever if left out.
        url: the URL of the service; `SOFTKV_URL`, or http://127.0.0.1:8000 if left out.
        key: the API key; `SOFTKV_KEY`, or none if left out.
        client: an open client, used in place of `url` and `key`.
        async_client: an asynchronous client; derived from the other arguments if left out.
        settings: arguments of `create` for a new collection.
        clock: returns the seconds of Unix time.

    Raises:
        InvalidInput: the collection's name, the bound or the URL is invalid.
    """

    def __init__(
        self,
        collection: str = "llm-cache",
        *,
        max_error: float | None = None,
        min_confidence: float | None = None,
        of: Literal["answers", "questions"] = "answers",
        seconds: float | None = None,
        url: str | None = None,
        key: str | None = None,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        settings: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        with convert_errors():
            self._connection = Connection(url, key, client, async_client)
            self._name = CollectionRef(collection, ServiceCache()).name
            for name, share in (("max_error", max_error), ("min_confidence", min_confidence)):
                if share is not None and not 0 <= share <= 1:
                    raise invalid_value("", f"{name}: wanted a number from 0 to 1, got {share!r}")
            if max_error is not None and min_confidence is not None:
                raise invalid_value("", "max_error and min_confidence both say when an answer is found: give one")
        self._max_error = max_error
        self._of: Literal["answers", "questions"] = of
        self._min_confidence = min_confidence
        self._read_at = -math.inf
        self._seconds = seconds
        self._settings = dict(settings or {})
        self._clock = clock

    @property
    def collection(self) -> Collection:
        """The collection, with blocking methods."""
        return self._connection.client.collection(self._name)

    @property
    def async_collection(self) -> AsyncCollection:
        """The collection, with awaited methods."""
        return self._connection.async_client.collection(self._name)

    @override
    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return the stored answer, or None."""
        entry = _Entry.of(prompt, llm_string)
        with convert_errors():
            try:
                best = self._confident(entry, self._ask(entry), self._bound())
                if best is not None and (generations := self._valid(best.value, entry)) is not None:
                    return generations
                return self._valid(self.collection.get(entry.id).value, entry)
            except NotFound:
                return None

    @override
    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return the stored answer, or None, asynchronously."""
        entry = _Entry.of(prompt, llm_string)
        with convert_errors():
            try:
                best = self._confident(entry, await self._aask(entry), await self._abound())
                if best is not None and (generations := self._valid(best.value, entry)) is not None:
                    return generations
                return self._valid((await self.async_collection.get(entry.id)).value, entry)
            except NotFound:
                return None

    @override
    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Store an answer."""
        entry = _Entry.of(prompt, llm_string)
        expires = self._expires()
        value = _encode_answer(entry, return_val, expires)
        with convert_errors():
            try:
                self.collection.patch(entry.id, value=value, expires=expires)
            except NotFound as error:
                if error.code == COLLECTION_NOT_FOUND:
                    self.collection.create(exist_ok=True, **self._settings)
                written = self.collection.put(entry.id, self._key(entry, self._ask(entry)), value, expires=expires)
                if written.truncated:
                    self.collection.put(entry.id, None, value, expires=expires)

    @override
    async def aupdate(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Store an answer, asynchronously."""
        entry = _Entry.of(prompt, llm_string)
        expires = self._expires()
        value = _encode_answer(entry, return_val, expires)
        with convert_errors():
            try:
                await self.async_collection.patch(entry.id, value=value, expires=expires)
            except NotFound as error:
                if error.code == COLLECTION_NOT_FOUND:
                    await self.async_collection.create(exist_ok=True, **self._settings)
                key = self._key(entry, await self._aask(entry))
                written = await self.async_collection.put(entry.id, key, value, expires=expires)
                if written.truncated:
                    await self.async_collection.put(entry.id, None, value, expires=expires)

    @override
    def clear(self, **kwargs: Any) -> None:
        """Delete all answers. The collection keeps its settings and its calibration."""
        with convert_errors():
            self.collection.delete(where=_EVERY_DOCUMENT)

    @override
    async def aclear(self, **kwargs: Any) -> None:
        """Delete all answers, asynchronously."""
        with convert_errors():
            await self.async_collection.delete(where=_EVERY_DOCUMENT)

    def _ask(self, entry: _Entry) -> Answer | None:
        """Return the collection's answer to a question; None if it is not asked by its meaning."""
        if entry.question is None or not self._has_bound:
            return None
        return self.collection.attend(entry.question, top_k=1)

    async def _aask(self, entry: _Entry) -> Answer | None:
        """Return the collection's answer to a question; None if it is not asked by its meaning."""
        if entry.question is None or not self._has_bound:
            return None
        return await self.async_collection.attend(entry.question, top_k=1)

    @property
    def _has_bound(self) -> bool:
        return self._max_error is not None or self._min_confidence is not None

    def _bound(self) -> float | None:
        """Return the least confidence of an answer that is found; None if the calibration has none."""
        if self._is_old():
            self._set_bound(self.collection.info())
        return self._min_confidence

    async def _abound(self) -> float | None:
        """Return the least confidence of an answer that is found; None if the calibration has none."""
        if self._is_old():
            self._set_bound(await self.async_collection.info())
        return self._min_confidence

    def _is_old(self) -> bool:
        return self._max_error is not None and self._clock() >= self._read_at + BOUND_SECONDS

    def _set_bound(self, info: CollectionInfo) -> None:
        assert self._max_error is not None
        calibration = info.calibration
        self._min_confidence = (
            None if calibration is None else calibration.find_min_confidence(self._max_error, self._of)
        )
        self._read_at = self._clock()

    def _confident(self, entry: _Entry, answer: Answer | None, bound: float | None) -> Match | None:
        """Return the stored question that is the same, or means the same with enough confidence."""
        if answer is None or not answer.matches:
            return None
        (match,) = answer.matches
        if match.id == entry.id:
            return match
        if bound is None or match.confidence is None:  # not calibrated
            return None
        return match if answer.verdict != "none" and match.confidence >= bound else None

    def _key(self, entry: _Entry, answer: Answer | None) -> str | None:
        """Return the text by which a new question is found; None if it probably repeats a stored one."""
        if answer is None or not answer.matches:
            return entry.question
        return None if (answer.matches[0].confidence or 0) >= UNSURE else entry.question

    def _expires(self) -> float | OmittedType:
        """Return the instant at which an answer expires that is written now, in seconds of Unix time."""
        return OMITTED if self._seconds is None else self._clock() + self._seconds

    def _valid(self, value: Any, entry: _Entry) -> list[Generation] | None:
        """Return the answer of this model in these circumstances, unless it expired."""
        stored = value["answers"].get(entry.circumstances)
        if stored is None or stored.get("expires", math.inf) <= self._clock():
            return None
        return [_decode_generation(generation) for generation in json.loads(stored["generations"])]


@dataclass(frozen=True)
class _Entry:
    """The place of an answer in the cache.

    Attributes:
        prompt: the question, or the whole prompt if it has none, as it came.
        question: the text whose meaning counts, with U+FFFD for what no key has; None if the prompt is long, or does
            not end with a text of a human.
        circumstances: a hash of the model, its settings and all else in the prompt.
    """

    prompt: str
    question: str | None
    circumstances: str

    @property
    def id(self) -> str:
        """The id of the document that has the answers to this question."""
        return _hash(self.prompt)

    @classmethod
    def of(cls, prompt: str, llm_string: str) -> _Entry:
        """Return the place of a prompt: a text, or the messages of a chat as LangChain serialises them."""
        text, rest = _split_chat(prompt)
        question = _storable(text) if text is not None and 0 < len(text.strip()) <= MAX_LENGTH else None
        return cls(prompt if text is None else text, question, _hash(llm_string, rest))


def _split_chat(prompt: str) -> tuple[str | None, str]:
    """Return the text of the last message, and all else of a chat; the text is None if that message has none.

    A prompt of another form is a text.
    """
    try:
        messages = json.loads(prompt)
        *earlier, last = [dict(message["kwargs"], kind=message["id"]) for message in messages]
    except (ValueError, TypeError, KeyError):
        return prompt, ""
    text = last.pop("content", None)
    if not isinstance(text, str) or last.get("type") != "human":
        return None, ""
    for message in (*earlier, last):
        message.pop("id", None)  # differs each time
    return text, json.dumps([*earlier, last], sort_keys=True)


def _hash(*texts: str) -> str:
    return sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:32]


def _storable(text: str) -> str:
    """Return a text with U+FFFD in place of each NUL and each lone surrogate."""
    return _NOT_STORABLE.sub("\ufffd", text)


def _encode_answer(entry: _Entry, generations: RETURN_VAL_TYPE, expires: float | OmittedType) -> dict[str, Any]:
    """Return the value that stores an answer. Answers of several models to one question are beside each other.

    The generations are one text, since a model's answer may have what the service's JSON lacks: half a character.
    """
    stored: dict[str, Any] = {"generations": json.dumps(list(map(_encode_generation, generations)))}
    if expires is not OMITTED:
        stored["expires"] = expires
    return {"prompt": _storable(entry.prompt), "answers": {entry.circumstances: stored}}


def _encode_generation(generation: Generation) -> dict[str, Any]:
    """Return a generation as JSON."""
    fields = generation.model_dump(mode="json", include={"text", "generation_info"})
    if isinstance(generation, ChatGeneration):
        fields["message"] = {"type": generation.message.type, "data": generation.message.model_dump(mode="json")}
    return fields


def _decode_generation(fields: Mapping[str, Any]) -> Generation:
    """Return a generation from its JSON."""
    if "message" not in fields:
        return Generation(text=fields["text"], generation_info=fields["generation_info"])
    (message,) = messages_from_dict([dict(fields["message"])])
    return ChatGeneration(message=message, generation_info=fields["generation_info"])
