"""A key with a filter reads and changes nothing outside it, in whatever way a request is spelled.

test_access_pairs.py compares its answers with those of a service without hidden documents.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import logging
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from softkv_service.api.keyring import line_of
from softkv_service.app import create_app
from softkv_service.settings import Settings
from tests.service.api.spellings import Call, Spelling, send, spellings
from tests.thorough import thorough

NUMBER = 3000
"""Requests at night."""
MARKER = "zmarker7"
NUMBER_MARKER = 777_123.5
MARKS = (MARKER.encode(), b"777123", base64.b64encode(MARKER.encode())[:-2])
OWN: dict[str, Any] = {"field": "metadata.tenant", "operator": "==", "value": "a"}
HIDDEN: dict[str, Any] = {"field": "metadata.tenant", "operator": "==", "value": "b"}
KEYS = {"whole": {}, "part": {"filter": OWN}}
WAYS = (
    [("x-api-key", "part")],
    [("authorization", "Bearer part")],
    [("authorization", "bearer  part "), ("x-api-key", "part")],
    [("x-api-key", "part"), ("authorization", "Bearer other")],
)
VISIBLE = [
    {
        "id": f"own-{i}",
        "key": f"words {i}",
        "value": {"n": i},
        "key_vector": [1, i, 0.5],
        "metadata": {"tenant": "a", "year": 1900 + i, "tags": ["x", f"tag {i}"]},
    }
    for i in range(5)
]
# Two have ids that a caller may guess; the marker is in all else that they have, and in the ids of the others.
SECRET = [
    {
        "id": name,
        "key": f"words of {MARKER}",
        "value": {MARKER: MARKER},
        "key_vector": [1, 2, NUMBER_MARKER],
        "metadata": {
            "tenant": "b",
            "year": NUMBER_MARKER,
            "tags": [MARKER, "x"],
            MARKER: 1,
            "note": MARKER,
        },
    }
    for name in ("guessed", "own/guessed", f"id-{MARKER}-1", f"id-{MARKER}-2")
]
NUMBERS: dict[str, Any] = {"field": "metadata.year", "operator": ">", "value": 0}
NOTHING: dict[str, Any] = {"operator": "AND", "conditions": []}


def not_(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"operator": "NOT", "conditions": [*conditions]}


FILTERS: list[dict[str, Any] | None] = [
    None,
    HIDDEN,
    NOTHING,
    not_(OWN),
    not_(not_(HIDDEN)),
    not_({"operator": "OR", "conditions": []}),
    {"operator": "OR", "conditions": [OWN, HIDDEN, NOTHING]},
    {"operator": "AND", "conditions": [not_({"field": "id", "operator": "==", "value": "own-0"}), NOTHING]},
    {"field": "id", "operator": "in", "value": ["guessed", "own/guessed", "own-1"]},
    {"field": "id", "operator": ">=", "value": ""},
    {"field": "key", "operator": "contains", "value": "OF", "ignore_case": True},
    {"field": "metadata.tags", "operator": "contains", "value": "x"},
    {"field": "metadata.note", "operator": "!=", "value": None},
    {"field": "metadata.note", "operator": "==", "value": 1},
    {"field": "metadata.year", "operator": ">", "value": 5000},
    {"field": "metadata.tags", "operator": "==", "value": "x"},
    {"field": "metadata.nothing", "operator": "==", "value": "x"},
]
C, DOCUMENTS = "/v1/collections/c", "/v1/collections/c/documents"
ALL = ["key", "value", "metadata", "key_vector", "value_vector"]
RECENCY = [{"field": "metadata.year", "half_life": 2}, {"filter": HIDDEN, "addend": 5}]
BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/attend", {"query": [1, 2, 3], "include": [*ALL, "explanation", "output"]}),
    ("/attend", {"queries": [[1, 0, 0], [1, 2, 777_123.5]], "top_k": 100, "include": ALL, "vector_format": "base64"}),
    ("/attend", {"query": [1, 2, 3], "temperature": "auto", "top_p": 1, "allow_missing": True}),
    ("/attend", {"query": [1, 2, 3], "bias": RECENCY, "include": ["explanation", "metadata"]}),
    ("/attend", {"query": [1, 2, 3], "read": {"field": "metadata.note", "as": "vote"}}),
    ("/attend", {"query": [1, 2, 3], "read": {"field": "metadata.year", "as": "quantile"}, "null": 0.5}),
    ("/attend", {"query": [1, 2, 3], "group_by": {"field": "metadata.year"}, "null": 0.5}),
    ("/attend", {"query": [1, 2, 3], "group_by": {"field": "metadata.year", "ranges": [[None, 2000], [2000, None]]}}),
    ("/attend", {"query": [1, 2, 3], "normaliser": "sparsemax", "top_k": 0}),
    ("/attend", {"query": [1, 2, 3], "diversity": 0.5, "top_k": 2, "include": ALL}),
    ("/attend", {"query": [{"id": "own-1"}, {"vector": [1, 2, 3], "weight": -0.5}]}),
    ("/attend", {"queries": [[{"id": name}] for name in ("guessed", "own/guessed", "none", "own-1")]}),
    ("/sweep", {"query": [{"id": "guessed"}, {"id": "own-2"}], "temperatures": [0.1]}),
    ("/sweep", {"query": [1, 2, 3], "temperatures": [0, 0.1, 10], "include": ALL, "bias": RECENCY[0]}),
    ("/documents/query", {"count": True, "include": ALL}),
    ("/documents/query", {"count": True, "limit": 0}),
    ("/documents/query", {"count": True, "limit": 2, "cursor": base64.b64encode(b"a").decode()}),
    ("/documents/query", {"count": True, "ids": ["guessed", "own/guessed", "own-1", "nothing"], "include": ALL}),
    ("/documents/fields", {"values": True, "limit": 100}),
    ("/documents/fields", {"values": True, "fields": ["metadata.note", "metadata.year", "metadata.tenant"]}),
    ("/documents/fields", {"cursor": base64.b64encode(b'["a"]').decode()}),
]
READS: list[Call] = [
    *(
        ("POST", f"{C}{path}", json.dumps(body if condition is None else {**body, "filter": condition}).encode())
        for (path, body), condition in product(BODIES, FILTERS)
    ),
    *(("GET", path, b"") for path in (C, "/v1/collections", "/v1/collections?prefix=c", "/v1", "/v1/collections/cc")),
    *(("GET", f"{DOCUMENTS}/{name}?include=metadata", b"") for name in ("guessed", "own/guessed", "own-1", "none")),
    *(("DELETE", f"{DOCUMENTS}/{name}", b"") for name in ("guessed", "own/guessed", "none")),
    *(("PATCH", f"{DOCUMENTS}/{name}", b'{"metadata": {"tenant": "a"}}') for name in ("guessed", "none")),
    ("POST", f"{DOCUMENTS}/delete", b'{"ids": ["guessed", "own/guessed", "none"]}'),
    ("POST", f"{DOCUMENTS}/delete", json.dumps({"filter": HIDDEN}).encode()),
    ("POST", f"{DOCUMENTS}/delete", json.dumps({"filter": not_(OWN)}).encode()),
    ("POST", f"{DOCUMENTS}/update", b'{"ids": ["guessed", "none"], "patch": {"metadata": {"tenant": "a"}}}'),
    ("POST", f"{DOCUMENTS}/update", json.dumps({"filter": HIDDEN, "patch": {"metadata": {"tenant": "a"}}}).encode()),
    ("POST", f"{DOCUMENTS}/update", json.dumps({"filter": NOTHING, "patch": {"metadata": {"tenant": "b"}}}).encode()),
    ("POST", f"{C}/compare", b'{"query": "words of"}'),
    ("POST", f"{C}/calibrate", b'{"questions": []}'),
    ("GET", "/v1/backup", b""),
    ("GET", "/v1/lab", b""),
    ("PUT", C, b"{}"),
    ("PATCH", C, b'{"temperature": 1}'),
    ("DELETE", C, b""),
    ("GET", "/v1/rooms/MATH", b""),
]
OUTSIDE = {"key_vector": [3, 4, 5], "metadata": {"tenant": "b"}}
INSIDE = {"key_vector": [3, 4, 5], "metadata": {"tenant": "a"}}
# What these are answered depends on the hidden documents, as the page about keys says: an id may be taken.
WRITES: list[Call] = [
    *(
        ("PUT", f"{DOCUMENTS}/{name}", json.dumps(body).encode())
        for name, body in (("guessed", INSIDE), ("own/guessed", INSIDE), ("guessed", OUTSIDE), ("own-1", OUTSIDE))
    ),
    *(
        ("POST", DOCUMENTS, json.dumps({"mode": mode, "documents": [INSIDE | {"id": "new"}, body]}).encode())
        for mode in ("upsert", "create", "skip")
        for body in (INSIDE | {"id": "guessed"}, OUTSIDE | {"id": "other"})
    ),
    ("POST", DOCUMENTS, json.dumps(INSIDE | {"id": "guessed"}).encode() + b"\n"),
    ("POST", DOCUMENTS, json.dumps(OUTSIDE | {"id": "other"}).encode() + b"\n"),
    ("PATCH", f"{DOCUMENTS}/own-1", b'{"metadata": {"tenant": "b"}}'),
    ("PATCH", f"{DOCUMENTS}/own-1", b'{"metadata": {"tenant": null}}'),
    ("POST", f"{DOCUMENTS}/update", b'{"ids": ["own-1"], "patch": {"metadata": {"tenant": ["a"]}}}'),
]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


class Answer:
    """An answer of the application, as a client gets it."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        start, *parts = messages
        self.status: int = start["status"]
        self.headers = {name.decode().lower(): text.decode() for name, text in start["headers"]}
        body = b"".join(part.get("body", b"") for part in parts)
        self.body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body


async def ask(app: FastAPI, request: Spelling, key: list[tuple[str, str]]) -> Answer:
    return Answer(await send(app, request, key))


def spelled(call: Call, *headers: tuple[str, str]) -> Spelling:
    method, target, body = call
    kind = "application/x-ndjson" if body.endswith(b"\n") else "application/json"
    length = [("content-length", str(len(body))), ("content-type", kind)] if body else []
    return Spelling(method, target, (*length, *headers), body)


class Service:
    """A service with documents that the key `part` sees, and hidden ones."""

    def __init__(self, folder: Path) -> None:
        (folder / "keys").write_text(
            "".join(line_of(name, "write", "", name, **limits) + "\n" for name, limits in KEYS.items())
        )
        self.app = create_app(Settings(data_dir=folder / "data", encoder="none", keys_file=folder / "keys"))
        self._running = self.app.router.lifespan_context(self.app)

    async def __aenter__(self) -> Service:
        await self._running.__aenter__()
        while (await ask(self.app, spelled(("GET", "/readyz", b"")), [])).status != 200:
            await asyncio.sleep(0.01)
        content = json.dumps({"documents": [*SECRET[:2], *VISIBLE, *SECRET[2:]]}).encode()
        for call in (("PUT", C, b"{}"), ("POST", DOCUMENTS, content)):
            assert (await ask(self.app, spelled(call), [("x-api-key", "whole")])).status < 300
        return self

    async def __aexit__(self, *details: Any) -> None:
        await self._running.__aexit__(*details)

    async def contents(self) -> list[dict[str, Any]]:
        """Return all documents."""
        call = "POST", f"{DOCUMENTS}/query", json.dumps({"include": ALL}).encode()
        answer = await ask(self.app, spelled(call), [("x-api-key", "whole")])
        documents: list[dict[str, Any]] = json.loads(answer.body)["documents"]
        return documents

    async def hidden(self) -> list[dict[str, Any]]:
        """Return the documents that the key must not see."""
        return [document for document in await self.contents() if document["metadata"].get("tenant") != "a"]


def leaked(answer: Answer) -> list[bytes]:
    told = answer.body + repr(answer.headers).encode()
    return [mark for mark in MARKS if mark in told]


@pytest.mark.parametrize("number", [900, thorough(NUMBER)])
async def test_a_key_with_a_filter_finds_and_changes_no_document_outside_it(tmp_path: Path, number: int) -> None:
    statuses: Counter[int] = Counter()
    async with Service(tmp_path) as service:
        before = await service.hidden()
        assert len(before) == len(SECRET)
        for calls, share in ((READS, 3), (WRITES, 1)):
            for position, request in enumerate(requests(calls, number * share // 4)):
                answer = await ask(service.app, request, WAYS[position % len(WAYS)])
                assert not leaked(answer), (request, answer.body[:2000])
                statuses[answer.status] += 1
            assert await service.hidden() == before
        assert all(document["id"] != "other" for document in await service.contents())
    assert sum(statuses.values()) == number
    assert max(statuses) < 500
    # They do arrive: at calls that answer, at the filter, at others, and at the door.
    assert statuses[200] > number / 10
    assert min(statuses[status] for status in (400, 403, 404, 405)) > number / 100


def requests(calls: list[Call], number: int) -> Iterator[Spelling]:
    """Yield each call as it is, and then spelled in other ways."""
    yield from (spelled(call) for call in calls)
    yield from spellings(number - len(calls), 31, calls)


async def test_warnings_of_a_filter_are_of_visible_documents_only(tmp_path: Path) -> None:
    async def warnings(service: Service, key: str) -> list[bool]:
        either = {"operator": "OR", "conditions": [NUMBERS, OWN]}
        return [
            b"warnings" in (await ask(service.app, spelled(("POST", path, body)), [("x-api-key", key)])).body
            for path, fields in ((f"{C}/attend", {"query": [1, 0, 0]}), (f"{DOCUMENTS}/query", {}))
            for body in [json.dumps({**fields, "filter": either}).encode()]
        ]

    async with Service(tmp_path) as service:
        text = {"id": "text", "key_vector": [1, 0, 0], "metadata": {"tenant": "b", "year": "1900"}}
        content = json.dumps({"documents": [text]}).encode()
        assert (await ask(service.app, spelled(("POST", DOCUMENTS, content)), [("x-api-key", "whole")])).status == 200
        for _ in range(2):
            assert await warnings(service, "whole") == [True, True]
            assert await warnings(service, "part") == [False, False]


def test_without_the_filter_the_same_requests_find_them(tmp_path: Path) -> None:
    async def run() -> int:
        async with Service(tmp_path) as service:
            reads = READS[: len(FILTERS) * len(BODIES)]
            answers = [await ask(service.app, spelled(call), [("x-api-key", "whole")]) for call in reads]
            return sum(bool(leaked(answer)) for answer in answers)

    assert asyncio.run(run()) > 100
