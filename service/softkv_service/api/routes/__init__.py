"""The routes: each parses a request, calls the function that does the work, and turns its result into JSON. `ALL` lists
the routers of calls by clients. A server adds others.
"""

from __future__ import annotations

from softkv_service.api.routes import (
    aliases,
    attend,
    backup,
    calibrate,
    collections,
    compare,
    documents,
    encode,
    encoders,
    feedback,
    openai,
    projection,
    re_encoding,
    rerank,
    service,
    tables,
    upload,
)

# Starlette tries routes in this order, so frequent calls come first. Upload precedes documents: of the routes on one
# path, the first with a matching content type is used.
ALL = (
    attend.router,
    upload.router,
    documents.router,
    collections.router,
    service.probes_router,
    service.router,
    service.slow_router,
    collections.fields_router,
    aliases.router,
    attend.sweep_router,
    compare.router,
    calibrate.router,
    feedback.router,
    projection.router,
    re_encoding.router,
    attend.arrays_router,
    encode.router,
    encode.trace_router,
    encoders.router,
    openai.embeddings_router,
    openai.models_router,
    rerank.router,
    backup.router,
    tables.router,
)
