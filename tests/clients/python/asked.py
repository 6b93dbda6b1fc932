"""Run a case with the Python client; return the answer under the wire's names, or the error."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from softkv import Answer, Client, Document, Error, Pages, Read, Report, Swept
from softkv.answers.encoded import Encoded
from softkv.record import Record
from tests.clients.cases import Case, jsonable
from tests.clients.python.ways import Awaited

FIRST = {
    "attend": ("query", "queries"),
    "sweep": ("query", "temperatures"),
    "compare": ("query", "rows"),
    "put": ("id",),
    "encode": ("texts",),
    "get": ("id",),
    "patch": ("id",),
    "remove": ("id",),
    "exists": ("id",),
    "get_many": ("ids",),
    "write": ("documents",),
    "upsert": ("documents",),
    "values": ("field",),
    "collections": ("prefix",),
    "trace": ("text",),
    "calibrate": ("questions",),
}
NAMED = {"filter": "where", "mode": "on_conflict"}
MODES = {"upsert": "replace", "skip": "skip", "create": "fail"}


def ask_all(client: Client | Awaited, story: Sequence[Case]) -> list[dict[str, Any]]:
    """Run cases one after another, without their collections before and afterwards."""
    clear(client, story)
    came = [ask(client, case) for case in story]
    clear(client, story)
    return came


def clear(client: Client | Awaited, story: Sequence[Case]) -> None:
    """Drop the collections that cases are of."""
    for name in {case["collection"] for case in story if "collection" in case}:
        with suppress(Error):
            client.collection(name).drop()


def ask(client: Client | Awaited, case: Case) -> dict[str, Any]:
    """Return the `answer` or the `error`."""
    call, arguments = case["call"], dict(case["arguments"])
    first = [arguments.pop(name) for name in FIRST.get(call, ()) if name in arguments]
    arguments |= arguments.pop("patch", {})
    if "mode" in arguments:
        arguments["mode"] = MODES[arguments["mode"]]
    if call == "find" and "limit" in arguments:
        arguments["page"] = arguments.pop("limit")
    named = {NAMED.get(name, name): argument for name, argument in arguments.items()}
    try:
        target = client.collection(case["collection"]) if "collection" in case else client
        answer = getattr(target, call)(*first, **named)
        return {"answer": plain(answer)}
    except Error as error:
        flaws = [{"pointer": flaw.pointer, "detail": flaw.detail} for flaw in error.errors]
        fields = {"class": type(error).__name__, "code": error.code, "status": error.status}
        return {"error": fields | {"detail": error.detail, "errors": flaws}}


def plain(value: Any) -> Any:
    """Convert an answer of the client to the wire's JSON."""
    if isinstance(value, Encoded):
        named = ("model", "token_counts", "truncated", "unknown_tokens", "tokens")
        rows = np.asarray(value).tolist()
        return {"embeddings": rows, "dimension": value.shape[1]} | {name: getattr(value, name) for name in named}
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, Answer):
        names = (
            "matches",
            "rest_weight",
            "complete",
            "evidence",
            "certificate",
            "coverage",
            "unknown_tokens",
            "full_text",
        )
        return {
            name: plain(getattr(value, name))
            for name in (*names, "applied", "reason", "read", "group_by", "output", "temperature", "documents", "keys")
        }
    if isinstance(value, Read):
        return {"as" if name == "how" else name: plain(member) for name, member in vars(value).items()}
    if isinstance(value, Swept):
        names = ("temperature", "weights", "rest_weight", "evidence")
        columns = zip(value.temperatures, value.weights, value.rest_weights, value.evidence, strict=True)
        records = [dict(zip(names, map(plain, column), strict=True)) for column in columns]
        alike = ("matches", "documents", "keys", "unknown_tokens", "full_text", "applied")
        return {"temperatures": records} | {name: plain(getattr(value, name)) for name in alike}
    if isinstance(value, Document):
        return {"id": value.id} | {name: plain(field) for name, field in value.fields.items()}
    if isinstance(value, Report):
        refused = [
            {
                "row": refusal.row,
                "id": refusal.id,
                "detail": refusal.detail,
                "errors": [flaw._asdict() for flaw in refusal.errors],
            }
            for refusal in value.refused
        ]
        counts = {name: getattr(value, name) for name in ("rows", "acknowledged", "upserted", "expired")}
        return counts | {"skipped": value.skipped, "truncated": value.truncated, "refused": refused}
    if isinstance(value, Record):
        return {name: plain(member) for name, member in vars(value).items()}
    if isinstance(value, float):
        return jsonable(value)
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple | Pages | Awaited) else value
