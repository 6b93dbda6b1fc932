"""The documentation at `/docs/`: the site that `make docs` builds, and beside it the API reference."""

from __future__ import annotations

import json
import os.path
import posixpath
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from softkv_service.api.middleware.requests import POLICY
from softkv_service.api.paths import route_path
from softkv_service.api.routes.assets import EACH_TIME, OTHERWISE, Asset, Assets, send_asset, send_file

SITE = Path(__file__).parents[2] / "site"
ROOT, REFERENCE = "/docs/", "/docs/api"
STYLES = "styles.json"  # hashes, which `make docs` writes
FOR_MODELS = ("llms.txt", "llms-full.txt")
"""The documentation for language models, in the form of llmstxt.org. `make docs` writes it, with links from `/`."""
INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
INLINE_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)  # of a drawing
DOCUMENTS = (".html", ".svg")
PYTHON = "in-browser/worker.js"
"""The worker in which Python runs, as WebAssembly. Its own policy allows that; the pages of the site do not."""
NOTE = "<!-- documentation -->"
BUILT = '<a href="./">Documentation</a>'
NOT_BUILT = (
    "This installation has no other pages. In a checkout they are in the folder <code>docs</code>, from "
    "<code>docs/README.md</code> on; <code>make docs</code> builds them for this address."
)
OF_CHECKOUT = (
    'The documentation as text: <a href="README.md">contents</a>, <a href="start/tutorial.md">tutorial</a>, '
    '<a href="start/spreadsheet.md">load your spreadsheet</a>, <a href="reference/http.md">HTTP</a>, '
    '<a href="guide/symptoms.md">symptoms</a>, <a href="teach/publishing.md">put the page on the web</a>. '
    "<code>make docs</code> builds it as pages for this address."
)
"""The note of a service that runs from a checkout, whose documentation is not built."""
CHECKOUT = Path(__file__).parents[4] / "docs"
LINKED = re.compile(r"(?<=\]\()([^()#\s:]+\.md)(?=[#)])")
"""The target of a link to another page, in Markdown."""
INDEX_NOT_BUILT = (
    "# softkv\n\n"
    "This installation has no pages for language models. In a checkout they are in the folder docs, from "
    "docs/README.md on; `make docs` builds them for this address.\n\n"
    "- [The HTTP API](openapi.json)\n"
)
"""`llms.txt` of a checkout whose documentation is not built."""


class Documentation:
    """An ASGI app that serves the documentation: the built site if there is one, and the API reference.

    Each document of the site has a content policy. It allows pictures in style sheets. By their hashes, it allows the
    document's inline scripts and styles, and the style sheets that the search inserts. One worker may run WebAssembly.

    Args:
        folder: the built site; without it, `/docs/` is the API reference, and a checkout's pages are sent as text.
        reference: the document of the API reference, whose links are relative to the page's root.
        frame_ancestors: origins that may show the documents in a frame, as in a Content-Security-Policy.
    """

    def __init__(self, folder: Path, reference: Asset, frame_ancestors: str) -> None:
        self._folder = folder
        self._frame_ancestors = frame_ancestors
        text = reference.content.decode().replace('="assets/', '="../assets/')
        not_built = OF_CHECKOUT if (CHECKOUT / "README.md").is_file() else NOT_BUILT
        self._references = [
            Asset(text.replace(NOTE, note).encode(), reference.media_type) for note in (not_built, BUILT)
        ]
        self._policies: dict[str, str] = {}

    @property
    def _is_built(self) -> bool:
        """Whether the site is there: `make docs` may build it while the service runs."""
        return (self._folder / "index.html").is_file()

    @cached_property
    def _site(self) -> Assets:
        return Assets(self._folder)

    @cached_property
    def _checkout(self) -> Mapping[str, Asset]:
        """The pages as they are written, for a service that runs from a checkout; empty elsewhere."""
        return _read_pages(CHECKOUT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a file of the documentation; an ASGI call."""
        path = route_path(scope)
        if (name := path.removeprefix("/")) in FOR_MODELS:
            answer = await self._for_models(name, Headers(scope=scope))
            await send_file(answer, scope, receive, send)
            return
        if path == ROOT.rstrip("/"):
            await RedirectResponse(f"{scope['root_path']}{ROOT}")(scope, receive, send)
            return
        answer = await self._answer(path.removeprefix(ROOT), Headers(scope=scope))
        await send_file(answer, scope, receive, send)

    async def _answer(self, name: str, headers: Mapping[str, str]) -> Response | None:
        if name == REFERENCE.removeprefix(ROOT) or (name == "" and not self._is_built):
            reference = self._references[self._is_built]
            return await _send(reference, sha256(reference.content).hexdigest()[:16], {}, headers)
        if not self._is_built:
            page = self._checkout.get(name)
            return None if page is None else await _send(page, sha256(page.content).hexdigest()[:16], {}, headers)
        if name == "" or name.endswith("/"):
            name += "index.html"
        if name in FOR_MODELS or (file := self._site.files.get(name)) is None:
            return None
        has_policy = name.endswith(DOCUMENTS) or name == PYTHON
        policy = {"Content-Security-Policy": self._policy(name, file)} if has_policy else {}
        return await _send(file, self._site.digest, policy, headers)

    async def _for_models(self, name: str, headers: Mapping[str, str]) -> Response | None:
        if not self._is_built:
            return PlainTextResponse(INDEX_NOT_BUILT, headers=EACH_TIME) if name == FOR_MODELS[0] else None
        file = self._site.files.get(name)
        return None if file is None else await _send(file, self._site.digest, {}, headers)

    def _policy(self, name: str, document: Asset) -> str:
        if name == PYTHON:
            return f"script-src 'self' 'wasm-unsafe-eval'; {POLICY}{self._frame_ancestors}"
        if name not in self._policies:
            text = document.content.decode()
            scripts = [_source(script) for script in INLINE_SCRIPT.findall(text)]
            styles = [*json.loads(self._site.text(STYLES)), *map(_source, INLINE_STYLE.findall(text))]
            sources = f"script-src {_join(scripts)}; style-src {_join(styles)}; img-src 'self' data:; "
            self._policies[name] = sources + POLICY + self._frame_ancestors
        return self._policies[name]


def _read_pages(folder: Path) -> dict[str, Asset]:
    """Return the pages of a checkout by their paths below `/docs/`, with their links to each other as they are there.

    Args:
        folder: the folder `docs` of the checkout, if there is one. Packages beside it have such folders, too.
    """
    root = folder.parent
    folders = [folder, *sorted(root.glob("*/docs")), *sorted(root.glob("*/*/docs"))]
    names = {page: page.relative_to(docs).as_posix() for docs in folders for page in sorted(docs.rglob("*.md"))}

    def read(page: Path) -> Asset:
        def link(target: re.Match[str]) -> str:
            name = names.get(Path(os.path.normpath(page.parent / target[1])))
            return target[1] if name is None else posixpath.relpath(name, posixpath.dirname(names[page]) or ".")

        return Asset(LINKED.sub(link, page.read_text(encoding="utf-8")).encode(), OTHERWISE)

    return {name: read(page) for page, name in names.items()} if folder.is_dir() else {}


def _source(text: str) -> str:
    """Return a script or a style sheet as a source of a content policy."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _join(sources: list[str]) -> str:
    return " ".join(["'self'", *dict.fromkeys(sources)])


async def _send(file: Asset, digest: str, policy: Mapping[str, str], headers: Mapping[str, str]) -> Response:
    answer_headers = {**EACH_TIME, "ETag": f'W/"{digest}"', "Vary": "Accept-Encoding", **policy}
    if answer_headers["ETag"] in headers.get("if-none-match", ""):
        return Response(status_code=304, headers=answer_headers)
    return await send_asset(file, answer_headers, headers)
