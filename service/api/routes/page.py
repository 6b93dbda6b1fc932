"""The workshop page and the documentation, open to everyone, from here and nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Mount
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
    "/docs": "docs.html",
}
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}  # another content has another digest
EACH_TIME = {"Cache-Control": "no-cache"}


class Files:
    """Answers with the page: its documents by their names, and what they link to under the digest of it all.

    A document is asked for again each time and is sent where it changed; a file under a digest never changes. All are
    of any origin's pages to read: they say nothing that the project does not.
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
        request = Request(scope)
        if request.method != "GET":
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        await (await self._answer(scope["path"], request.headers))(scope, receive, send)

    async def _answer(self, path: str, headers: Mapping[str, str]) -> Response:
        if path in DOCUMENTS:
            language = preferred(headers.get("accept-language", ""))
            tag = f'W/"{self._assets.digest}-{language}"'
            told = EACH_TIME | {"ETag": tag, "Vary": "Accept-Language, Accept-Encoding"}
            if tag in headers.get("if-none-match", ""):
                return Response(status_code=304, headers=told)
            return await _sent(self._documents[DOCUMENTS[path], language], told, headers)
        name = path.removeprefix(f"/assets/{self._assets.digest}/")
        if (file := self._assets.files.get(name)) is None or name in DOCUMENTS.values():
            raise HTTPException(404)
        return await _sent(file, FOR_EVER | {"Vary": "Accept-Encoding"}, headers)


async def _sent(asset: Asset, told: Mapping[str, str], headers: Mapping[str, str]) -> Response:
    told = {**told, "Content-Type": asset.media_type, "Access-Control-Allow-Origin": "*"}
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
    app.router.routes.append(PageMount("/", app=Files(WEB), name="page"))
