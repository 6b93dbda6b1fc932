"""The answers to writes that may be sent again, kept in the transaction of what they did."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from service.storage.checksums import id_hash
from service.storage.once import LIFETIME_SECONDS, WriteAnswer, WriteRequest
from service.storage.writes import encode_answer, refuse_answer


def hold(connection: Connection[Any], request: WriteRequest) -> None:
    """Have whoever else does a write of that name wait until this transaction ends, on any machine."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (id_hash(f"{request.caller}\n{request.key}"),))


def refuse_answered(connection: Connection[Any], request: WriteRequest) -> None:
    """Raises: WriteAnswered where this write was answered before; KeyReused where another one was, under its key."""
    found = connection.execute(
        "SELECT request, status, answer FROM answered_writes WHERE caller = %s AND idempotency_key = %s AND at > %s",
        (request.caller, request.key, request.at - LIFETIME_SECONDS),
    ).fetchone()
    refuse_answer(request, found)


def keep_answer(connection: Connection[Any], request: WriteRequest, answer: WriteAnswer) -> None:
    """Store the answer to a write, behind its checksum, and drop those that are too old to be given again."""
    connection.execute("DELETE FROM answered_writes WHERE at <= %s", (request.at - LIFETIME_SECONDS,))
    connection.execute(
        "INSERT INTO answered_writes (caller, idempotency_key, request, status, answer, at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (request.caller, request.key, request.digest, answer.status, encode_answer(request, answer), request.at),
    )
