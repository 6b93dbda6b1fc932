"""Warm-up: the service makes a first call of every kind itself, so that everything is loaded for later calls."""

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
from numpy.typing import NDArray
from starlette.datastructures import Headers
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Message

from softkv_service.api.admission import Admission, CallerShares
from softkv_service.api.body import BodyLimit
from softkv_service.api.keyring import Holder
from softkv_service.retrieval.collections import LONG_ANSWERS, LOOKUPS, Catalogue, get_known_facts
from softkv_service.scheduling import ARRAYS, BODIES, READS, TEXTS, WRITES, FairThreads

TEXT = "a first question"
WARMING = Holder("warming", "write")
POOLS = (LOOKUPS, LONG_ANSWERS, READS, WRITES, BODIES, ARRAYS, TEXTS)
SIDE, BARRIER_SECONDS = 512, 2.0
_warm_pools = set[FairThreads]()
Call = tuple[str, dict[str, Any]]
Array = NDArray[np.float64]


async def warm(app: FastAPI, catalogue: Catalogue) -> None:
    """Make a first call of each kind to the service itself, so that later calls find all code loaded.

    The calls pass no metrics, logs and access checks, and their responses are ignored.
    """
    await asyncio.to_thread(catalogue.warm)
    # Each thread gets its stack and its buffers for matrix products now: without memory, the BLAS under NumPy would
    # end the process later.
    # The threads are the process's: a second service in it finds them warm.
    if pools := [pool for pool in POOLS if pool not in _warm_pools]:
        barrier = Barrier(sum(pool.size for pool in pools))
        # Shared: a matrix for each thread would leave 4 MiB per thread in the heap.
        square, product = np.ones((SIDE, SIDE)), np.empty((SIDE, SIDE))
        work = partial(_work, barrier, square, product)
        turns = [(pool, str(number)) for pool in pools for number in range(pool.size)]
        await asyncio.gather(*(asyncio.wrap_future(pool.submit(work, turn)) for pool, turn in turns))
        _warm_pools.update(pools)
    # Errors are handled as for other calls, for example of a damaged document.
    handlers = {kind: handle for kind, handle in app.exception_handlers.items() if kind is not Exception}
    inner = ExceptionMiddleware(AsyncExitStackMiddleware(app.router), handlers=handlers)
    for path, body in _calls(catalogue):
        await _call(app, inner, path, orjson.dumps(body))


def _work(barrier: Barrier, square: Array, product: Array) -> None:
    """Multiply matrices in this thread at the same time as in all others, so that each thread is warm.

    Args:
        barrier: waits until every thread is here.
        square: float64[512, 512], which no thread changes.
        product: float64[512, 512], in which every thread writes the same.
    """
    try:
        barrier.wait(BARRIER_SECONDS)
    except BrokenBarrierError:
        return  # the threads already have other work
    np.matmul(square, square, out=product)


def _calls(catalogue: Catalogue) -> Iterator[Call]:
    yield "/v1/attend", {"query": [[1.0, 0.0]], "key": [[1.0, 0.0]], "value": [[1.0]]}
    collections = sorted((entry for entry in catalogue.collections() if entry.ready), key=lambda entry: entry.size)
    for collection in collections[:1]:
        path, width = f"/v1/collections/{collection.name}", collection.record.settings.dimension or 1
        yield f"{path}/attend", {"query": [1.0] * width}
        yield f"{path}/sweep", {"query": [1.0] * width, "temperatures": [0.1]}
        yield f"{path}/documents/query", {"limit": 1}
    default = catalogue.encoders.default
    if default is not None and default.state == "ready" and default.kind != "remote":
        for collection in collections[:1]:
            if get_known_facts(catalogue.encoders, collection.record.settings) is not None:
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
