"""Requests that would write, spelled in thousands of ways: paths, methods, headers and bodies, from one seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI

NDJSON = "application/x-ndjson"
ONE = b'{"key_vector": [3, 4], "value": "written"}'
LINE = b'{"id": "line", "key_vector": [3, 4]}\n'
MANY = json.dumps({"documents": [{"id": name, "key_vector": [3, 4]} for name in ("a", "new")]}).encode()
# Every call that writes, with a body that does; and some that read, which a spelling may turn into one that writes.
CALLS = [
    ("PUT", "/v1/collections/new", b'{"dimension": 2}'),
    ("PUT", "/v1/collections/c", b"{}"),
    ("PATCH", "/v1/collections/c", b'{"temperature": 3}'),
    ("DELETE", "/v1/collections/c", b""),
    ("PUT", "/v1/collections/c/documents/a", ONE),
    ("PUT", "/v1/collections/c/documents/b/c", ONE),
    ("PUT", "/v1/collections/c/documents/query", ONE),
    ("PATCH", "/v1/collections/c/documents/a", b'{"value": "written"}'),
    ("DELETE", "/v1/collections/c/documents/a", b""),
    ("POST", "/v1/collections/c/documents", MANY),
    ("POST", "/v1/collections/c/documents", LINE),
    ("POST", "/v1/collections/c/documents/delete", b'{"ids": ["a", "b/c"]}'),
    ("POST", "/v1/collections/c/documents/delete", b'{"filter": {"field": "id", "operator": "!=", "value": "z"}}'),
    ("POST", "/v1/collections/c/documents/update", b'{"ids": ["a", "b/c"], "patch": {"value": "written"}}'),
    ("POST", "/v1/collections/c/documents/query", b'{"ids": ["a"]}'),
    ("POST", "/v1/collections/c/attend", b'{"query": [1, 2]}'),
    ("GET", "/v1/collections/c", b""),
    ("POST", "/v1/compare", b'{"query": "a", "rows": []}'),
]
METHODS = "POST PUT PATCH DELETE GET HEAD OPTIONS TRACE CONNECT post Put pAtCh delete POSTS BREW PROPFIND MERGE"
ENDS = (
    "%0A %0D %0D%0A %0A%0A %00 %09 %0B %0C %1F %20 %7F %C2%85 %C2%A0 %E2%80%A8 %E2%80%A9 %EF%BB%BF %E2%80%8B %FF %C3 "
    "%25 %250A %252F %2F / // /// /. /.. /./ /../ /%2e %2e%2e/ . .. .json ; ;a=b ;.json : , & = + ~ ! $ @ * ' ( ) | \\ "
    "%5C %3F %23 %3B %uFF0A ? ?a ?%0A ?_method=DELETE ?method=PUT&_method=PUT # #a %0A/ /%0A %0Adelete /delete%0A "
    "%0A%0D%0A%0DGET%20/livez /..%2f..%2f %c0%ae%c0%ae %ef%bc%8f %E2%81%84"
)
STARTS = (
    "/ // /. /.. /./ /../ /%2e /%2e%2e /v1 /v1/.. /v1/. /v1/../v1 /V1 /v1%2F /%2Fv1 /;a /a/.. /livez/.. /docs/../ "
    "http://localhost http://localhost:80/ https://evil.example //evil.example /openapi.json/.. %0A %20 /%0A * /v1%0A"
)
INSERTED = "%0A %0D %09 %00 %0B %20 %2F / // /./ /../ . .. %2e ; %3B %25 %C2%85 %E2%80%A8 %EF%BC%8F \\ %5C %7F"
KINDS = (
    "application/json",
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    NDJSON,
    f"{NDJSON};a=b",
    f"{NDJSON}+json",
    "application/vnd.a+json",
    "application/json\t",
    "text/plain",
    "",
    "application/json, application/x-ndjson",
    "multipart/form-data; boundary=a",
    "application/x-www-form-urlencoded",
    "application/merge-patch+json",
    "*/*",
)
OTHERS = [
    *(
        (name, method)
        for name in ("x-http-method-override", "x-http-method", "x-method-override", "_method")
        for method in ("DELETE", "PUT", "GET", "get")
    ),
    *(
        (name, path)
        for name in ("x-original-url", "x-rewrite-url", "x-forwarded-prefix", "x-script-name")
        for path in ("/v1/collections/c", "/livez", "/", "/v1/collections/c/documents/query")
    ),
    ("x-forwarded-for", "127.0.0.1"),
    ("x-real-ip", "127.0.0.1"),
    ("x-forwarded-host", "localhost"),
    ("forwarded", "for=127.0.0.1;host=localhost"),
    ("accept", NDJSON),
    ("content-encoding", "gzip"),
    ("transfer-encoding", "chunked"),
    ("content-type", "application/json"),
    ("content-type", NDJSON),
    ("expect", "100-continue"),
    ("upgrade", "h2c"),
    ("connection", "close, x-api-key"),
    ("range", "bytes=0-1"),
    ("origin", "http://localhost"),
    ("access-control-request-method", "DELETE"),
    ("if-match", "*"),
    ("depth", "0"),
    ("cookie", "key=w"),
    ("authorization", "Basic dzp3"),
    ("authorization", "w"),
    ("proxy-authorization", "Bearer w"),
]


@dataclass(frozen=True)
class Spelling:
    """One request, without its key."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


Call = tuple[str, str, bytes]


def spellings(number: int, seed: int = 20261120, calls: Sequence[Call] = CALLS) -> Iterator[Spelling]:
    """Yield `number` requests, each a call of the API with one to three changes."""
    made = random.Random(seed)
    for _ in range(number):
        method, path, body = made.choice(calls)
        kind = NDJSON if body.endswith(b"\n") else "application/json"
        changes = made.choices(("path", "method", "kind", "headers"), (12, 3, 3, 3), k=made.choice((1, 1, 1, 2, 3)))
        headers: list[tuple[str, str]] = []
        for change in changes:
            if change == "path":
                path = _respelled(made, path)
            elif change == "method":
                method = _one(made, METHODS)
            elif change == "kind":
                kind = made.choice(KINDS)
            else:
                headers += made.sample(OTHERS, made.randint(1, 3))
        if kind:
            headers.insert(made.randint(0, len(headers)), ("content-type", kind))
        if body and ("transfer-encoding", "chunked") not in headers:
            headers.append(("content-length", str(len(body))))
        yield Spelling(method, path, tuple(headers), body)


def _one(made: random.Random, words: str) -> str:
    return made.choice(words.split())


def _respelled(made: random.Random, path: str) -> str:
    position = made.randrange(1, len(path))
    match made.randrange(8):
        case 0 | 1 | 2:
            return path + _one(made, ENDS)
        case 3:
            return _one(made, STARTS) + path
        case 4:
            return path[:position] + _one(made, INSERTED) + path[position:]
        case 5:  # percent-encoded where it need not be, once or twice
            code = f"%{ord(path[position]):02{made.choice('xX')}}"
            return path[:position] + made.choice((code, code.replace("%", "%25"))) + path[position + 1 :]
        case 6:
            return path[:position] + path[position:].swapcase()
        case _:
            return path.replace("/", made.choice(("//", "%2F", "\\", "/./", "%2f", "/%20")), made.randint(1, 5))


async def send(app: FastAPI, request: Spelling, key: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Send a request to the application as the server does, with the headers of `key`; return its messages."""
    raw, _, query = request.target.partition("#")[0].partition("?")
    headers = [("host", "localhost"), *key, *request.headers]
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def record(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(raw),
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), content.encode("latin-1")) for name, content in headers],
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 40000),
        "state": {},
    }
    await app(scope, receive, record)
    return messages
