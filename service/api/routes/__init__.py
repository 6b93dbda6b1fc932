"""The routes, one router a file: parse, call, shape the answer. `ALL` is every router of the API."""

from __future__ import annotations

from service.api.mcp import route as mcp
from service.api.routes import (
    attend,
    attention,
    backup,
    collections,
    compare,
    documents,
    encode,
    fields,
    lab,
    metrics,
    probes,
    service,
    sweep,
    trace,
    upload,
)
from service.api.routes.labels import calibrate
from service.api.routes.openai import embeddings, models
from service.api.routes.rooms import questions, rooms, rows

# What is called most comes first, since a request is held against one after another; and upload before documents, as of
# the routes on one path the first whose content type fits is taken.
ALL = tuple(
    room.router
    for room in (
        attend,
        upload,
        documents,
        collections,
        probes,
        metrics,
        service,
        fields,
        sweep,
        compare,
        calibrate,
        attention,
        encode,
        trace,
        embeddings,
        models,
        lab,
        backup,
        rooms,
        rows,
        questions,
        mcp,
    )
)
