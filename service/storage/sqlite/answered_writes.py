"""The answers to writes that may be sent again, kept in the transaction of what they did."""

from __future__ import annotations

from sqlite3 import Connection

from service.storage.once import LIFETIME_SECONDS, WriteAnswer, WriteRequest
from service.storage.writes import encode_answer, refuse_answer


def refuse_answered(connection: Connection, request: WriteRequest) -> None:
    """Raises: WriteAnswered where this write was answered before; KeyReused where another one was, under its key."""
    found = connection.execute(
        "SELECT request, status, answer FROM answered_writes WHERE caller = ? AND idempotency_key = ? AND at > ?",
        (request.caller, request.key, request.at - LIFETIME_SECONDS),
    ).fetchone()
    refuse_answer(request, found)


def keep_answer(connection: Connection, request: WriteRequest, answer: WriteAnswer) -> None:
    """Store the answer to a write, behind its checksum, and drop those that are too old to be given again."""
    connection.execute("DELETE FROM answered_writes WHERE at <= ?", (request.at - LIFETIME_SECONDS,))
    connection.execute(
        "INSERT INTO answered_writes (caller, idempotency_key, request, status, answer, at) VALUES (?, ?, ?, ?, ?, ?)",
        (request.caller, request.key, request.digest, answer.status, encode_answer(request, answer), request.at),
    )
