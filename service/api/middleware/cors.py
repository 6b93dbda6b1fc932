"""Which web pages of other origins may call the API from a browser (the Fetch standard's CORS protocol)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
EXPOSED = ("X-Request-ID", "Retry-After", "Idempotency-Replayed")


def answering(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """The application, for pages of these origins too; `*` is any, and none leaves it as it is.

    It goes around everything that may refuse: a browser shows a page no answer without these headers, and it asks
    beforehand without the key, so that neither a key nor the Host can be wanted of that. A key is a header which the
    page itself sends, never a cookie: credentials are not allowed, and every header is.
    """
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=["*"],
        allow_private_network="*" not in origins,  # who names an origin means it for a service on a private address
        expose_headers=EXPOSED,
    )


def is_foreign(headers: Headers, origins: Sequence[str]) -> bool:
    """Whether a page of another origin sends this, and none of those that may; what is no page has no origin."""
    origin = headers.get("origin", "").lower()
    own = origin.partition("://")[2] == headers.get("host", "").lower()
    return bool(origin) and not own and origin not in origins and "*" not in origins
