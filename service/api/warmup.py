"""A first call of every kind, made by the service itself: what is loaded and made on the way is there for the next."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from threading import Barrier, BrokenBarrierError
from typing import Any

import numpy as np
import orjson
from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.datastructures import Headers
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Message

from service.api.admission import Admission, CallerShares
from service.api.keyring import Holder
from service.api.middleware.body_limit import BodyLimit
from service.retrieval.collections import LONG_ANSWERS, LOOKUPS, Catalogue, get_loaded_encoder
from service.scheduling import ARRAYS, BODIES, READS, TEXTS, WRITES

TEXT = "a first question"
WARMING = Holder("warming", "write")
POOLS = (LOOKUPS, LONG_ANSWERS, READS, WRITES, BODIES, ARRAYS, TEXTS)
SIDE, PATIENCE_SECONDS = 512, 2.0
Call = tuple[str, dict[str, Any]]


async def warm(app: FastAPI, catalogue: Catalogue) -> None:
    """Make the calls, past what counts, logs and checks those of others; whatever they answer."""
    await asyncio.to_thread(catalogue.warm)
    # Each has its stack, and room for products of matrices, before memory may be short: the library under NumPy ends
    # the process where it gets none.
    together = Barrier(sum(pool.size for pool in POOLS))
    work, turns = partial(_work, together), [(pool, str(number)) for pool in POOLS for number in range(pool.size)]
    await asyncio.gather(*(asyncio.wrap_future(pool.submit(work, turn)) for pool, turn in turns))
    # Refusals are answers too, as of a document that is damaged.
    handlers = {kind: handle for kind, handle in app.exception_handlers.items() if kind is not Exception}
    inner = ExceptionMiddleware(AsyncExitStackMiddleware(app.router), handlers=handlers)
    for path, body in _calls(catalogue):
        await _call(app, inner, path, orjson.dumps(body))


def _work(together: Barrier) -> None:
    """Multiply while the others do."""
    square = np.ones((SIDE, SIDE))
    try:
        together.wait(PATIENCE_SECONDS)
    except BrokenBarrierError:
        return  # the threads have other work already
    np.matmul(square, square)


def _calls(catalogue: Catalogue) -> Iterator[Call]:
    yield "/v1/attend", {"query": [[1.0, 0.0]], "key": [[1.0, 0.0]], "value": [[1.0]]}
    collections = sorted((each for each in catalogue.collections() if each.ready), key=lambda each: each.size)
    for collection in collections[:1]:
        path, width = f"/v1/collections/{collection.name}", collection.record.settings.dimension or 1
        yield f"{path}/attend", {"query": [1.0] * width}
        yield f"{path}/sweep", {"query": [1.0] * width, "temperatures": [0.1]}
        yield f"{path}/documents/query", {"limit": 1}
    if catalogue.encoder is not None and catalogue.encoder.state == "ready":
        for collection in collections[:1]:
            if get_loaded_encoder(catalogue.encoder, collection.record.settings) is not None:
                yield f"/v1/collections/{collection.name}/compare", {"query": TEXT}
        yield "/v1/compare", {"query": TEXT, "rows": [{"key": TEXT, "value": TEXT}]}
        yield "/v1/encode", {"texts": [TEXT]}
        yield "/v1/trace", {"text": TEXT}


async def _call(app: FastAPI, inner: ASGIApp, path: str, body: bytes) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_: Message) -> None:
        pass

    limit = BodyLimit(receive, Headers(), max_bytes=len(body), bodies=CallerShares(len(body)))
    scope = {
        "type": "http",
        "app": app,
        "method": "POST",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "state": {"holder": WARMING, "body_limit": limit, "admission": Admission(1)},
    }
    await inner(scope, limit.receive, send)
