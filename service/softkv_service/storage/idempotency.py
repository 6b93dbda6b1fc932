"""Idempotent writes: a write is done once, however often it is sent, and gets the same answer each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from softkv_service.storage.checksums import CHECKSUM_BYTES, answer_checksum
from softkv_service.storage.errors import KeyReused, StorageFailed, WriteAnswered
from softkv_service.storage.records import WriteAnswer, WriteRequest

LIFETIME_SECONDS = 24 * 60 * 60
"""Time for which the answer to a write is stored, from its request on."""

Result = TypeVar("Result")
Inner = TypeVar("Inner")


@dataclass(frozen=True)
class IdempotentWrite(Generic[Result]):
    """A write request with an idempotency key, and the function that makes its answer from the result.

    Attributes:
        answer: makes the answer from the result of the write. The answer is stored in the same transaction. It is
            called under the writer's lock; an exception from it rolls the write back.
    """

    request: WriteRequest
    answer: Callable[[Result], WriteAnswer]

    def adapt(self, convert: Callable[[Inner], Result]) -> IdempotentWrite[Inner]:
        """Return this object for an inner part of the write.

        `convert` turns the result of the part into the result of the whole write.
        """
        return IdempotentWrite(self.request, lambda inner: self.answer(convert(inner)))


def encode_answer(request: WriteRequest, answer: WriteAnswer) -> bytes:
    """Return the bytes in which an answer is stored: the checksum, then the body."""
    return answer_checksum(request.digest, answer.status, answer.body) + answer.body


def refuse_stored(request: WriteRequest, row: tuple[bytes, int, bytes] | None) -> None:
    """Raise if the store has an answer under the request's key.

    Args:
        row: the digest of the answered request, its status and its encoded answer; None if there is no answer.

    Raises:
        WriteAnswered: the stored answer is for this request.
        KeyReused: the stored answer is for another request.
        StorageFailed: the stored answer is damaged.
    """
    if row is None:
        return
    digest, status, encoded = row
    answer = WriteAnswer(status, encoded[CHECKSUM_BYTES:])
    if encoded[:CHECKSUM_BYTES] != answer_checksum(digest, answer.status, answer.body):
        raise StorageFailed(
            f"the answer that is stored under the Idempotency-Key {request.key!r} is not what was written: see whether "
            "the write was done, and send a new key"
        )
    if digest != request.digest:
        raise KeyReused(request.key)
    raise WriteAnswered(answer)
