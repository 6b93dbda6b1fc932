"""The workshop page and the documentation, open to everyone, from here and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Match, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from service.api.assets import Asset, Assets
from service.api.first_words import LANGUAGES, document, preferred
from service.api.middleware.access import is_call

WEB = Path(__file__).parents[2] / "web"
DOCUMENTS = {
    "/": "index.html",
    "/index.html": "index.html",
    "/lesson.html": "lesson.html",
    "/worksheet.html": "worksheet.html",
    "/room": "room.html",
    "/docs": "docs.html",
}
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}  # another content has another digest
FOR_ANYONE = {"Access-Control-Allow-Origin": "*"}
EACH_TIME = {"Cache-Control": "no-cache"}
NOWHERE = Router()


class Files:
    """Answers with the page: its documents by their names, and what they link to under the digest of it all.

    A document is asked for again each time and is sent where it changed. A file under a digest never changes, and the
    pages of any origin may read it: a document in a sandboxed frame has another origin than its own files.
    """

    def __init__(self, folder: Path) -> None:
        self._assets = Assets(folder)
        self._documents = {
            (name, language): document(self._assets, name, language)
            for name in set(DOCUMENTS.values())
            for language in LANGUAGES
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        answer = await self._answer(scope["path"], Headers(scope=scope))
        await (answer or NOWHERE.not_found)(scope, receive, send)

    async def _answer(self, path: str, headers: Mapping[str, str]) -> Response | None:
        if path in DOCUMENTS:
            language = preferred(headers.get("accept-language", ""))
            tag = f'W/"{self._assets.digest}-{language}"'
            told = EACH_TIME | {"ETag": tag, "Vary": "Accept-Language, Accept-Encoding"}
            if tag in headers.get("if-none-match", ""):
                return Response(status_code=304, headers=told)
            return await _sent(self._documents[DOCUMENTS[path], language], told, headers)
        name = path.removeprefix(f"/assets/{self._assets.digest}/")
        if (file := self._assets.files.get(name)) is None or name in DOCUMENTS.values():
            return None
        return await _sent(file, FOR_EVER | FOR_ANYONE | {"Vary": "Accept-Encoding"}, headers)


async def _sent(asset: Asset, told: Mapping[str, str], headers: Mapping[str, str]) -> Response:
    told = {**told, "Content-Type": asset.media_type}
    if "gzip" in headers.get("accept-encoding", ""):
        # The first time may take a tenth of a second.
        compressed = await asyncio.to_thread(lambda: asset.compressed)
        if compressed is not None:
            return Response(compressed, headers=told | {"Content-Encoding": "gzip"})
    return Response(asset.content, headers=told)


class PageMount(Mount):
    """Everything outside `/v1`: an unknown call there is the API's to refuse."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As any mount, but for the API's paths."""
        if is_call(scope["path"]):
            return Match.NONE, {}
        return super().matches(scope)


def mount(app: Starlette) -> None:
    """Serve the page at `/`, after every other route."""
    page = Router([Route("/{path:path}", Files(WEB), methods=["GET"])])
    app.router.routes.append(PageMount("/", app=page, name="page"))
