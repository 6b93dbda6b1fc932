"""The web page: its HTML documents in each language, and the routes that serve them, the documentation and the API's
description.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from softkv_service.api.middleware.requests import POLICY
from softkv_service.api.parts import Part, find_parts
from softkv_service.api.paths import is_call, route_path
from softkv_service.api.routes.assets import (
    EACH_TIME,
    FOR_ANYONE,
    FOR_EVER,
    MEDIA_TYPES,
    READING,
    Asset,
    Assets,
    send_asset,
    send_file,
)
from softkv_service.api.routes.documentation import SITE, Documentation
from softkv_service.datasets import DEMOS

LANGUAGES = ("en", "zh")  # of the page, as in the names of its files
FILLED = re.compile(r"""(<(\w+)[^>]*) data-words="([\w.]+)"([^>]*>)(?=</\2>)""")
STYLE = r"""^ *<link rel="stylesheet" href="assets/(css/[\w.-]+)">\n"""
STYLES = re.compile(rf"(?:{STYLE}){{2,}}", re.MULTILINE)
PREFERENCE = re.compile(r"([a-zA-Z]+)(?:-[\w-]+)?(?:\s*;\s*q=([01](?:\.\d{0,3})?))?")


def choose_language(accept_language: str) -> str:
    """Return the language of the page that an Accept-Language header prefers.

    Return English if it names no language of the page.
    """
    best, best_weight = "en", 0.0
    for part in accept_language.split(","):
        if (match := PREFERENCE.fullmatch(part.strip())) and match[1].lower() in LANGUAGES:
            weight = 1.0 if match[2] is None else float(match[2])
            if weight > best_weight:
                best, best_weight = match[1].lower(), weight
    return best


def render_page(assets: Assets, name: str, language: str) -> Asset:
    """Render a document of the page in a language.

    - Links into `assets/`, and the attribute by which scripts know of that folder, point to files under the digest.
    - Adjacent style sheets become one file.
    - `:language` is replaced by the name of the language.
    - An element with `data-words` gets the text of that name, from the JSON file that is called as the document.

    Raises:
        KeyError: the document names an unknown text.
    """
    text = assets.text(name).replace(":language", language)
    if FILLED.search(text):
        words = json.loads(assets.text(name.replace(".html", ".json")))[language]
        text = FILLED.sub(lambda match: match[1] + match[4] + html.escape(words[match[3]], quote=False), text)
    text = STYLES.sub(lambda match: _join_sheets(assets, name, match[0]), text, count=1)
    text = re.sub(r"""((?:href|src|data-assets)=")assets/""", rf"\1assets/{assets.digest}/", text)
    return Asset(text.encode(), "text/html; charset=utf-8")


def _join_sheets(assets: Assets, name: str, links: str) -> str:
    """Join adjacent style sheets into one file, in their order, and return a link to it.

    Args:
        assets: the files of the page.
        name: the name of the document.
        links: the links to the style sheets.
    """
    sheets = [assets.files[path].content for path in re.findall(STYLE, links, re.MULTILINE)]
    assets.files[f"css/{name}.css"] = Asset(b"\n".join(sheets), MEDIA_TYPES[".css"])
    return f'  <link rel="stylesheet" href="assets/css/{name}.css">\n'


WEB = Path(__file__).parents[2] / "web"
DOCUMENTS = dict.fromkeys(("/", "/index.html", "/explore"), "explore.html")  # a part may have others at these paths
REFERENCE = "docs.html"  # which `documentation.py` serves
MISSING = "missing.html"  # for a person whose browser asks for a page that does not exist
PICTURES = frozenset({"/", "/index.html", "/deeper"})
"""The paths of pages that any site may frame if their query is `embed=1`: they are a picture, without a key."""
EMBEDDED = b"embed=1"
"""The whole query of a picture. Scripts do not read it: the document has the mark `data-embed`."""
DEEPER = "/deeper"  # which a part has; without it, documents tell their scripts that they are alone
DEMO = "library"  # which a visitor of an empty service may load
LINK = re.compile(r"""((?:href|src)=")(?:\./)?""")


def folders(parts: Iterable[Part]) -> list[Path]:
    """Return the folders of the page's files: the service's own, and those of parts."""
    return [WEB, *(part.web for part in parts if part.web is not None)]


class Files:
    """An ASGI app that serves the page: documents by name, and other files under a digest of their contents.

    A browser asks again for a document each time, and the document is sent if it has changed. A file under a digest
    never changes, and pages of any origin may read it: a document in a sandboxed frame has another origin than its own
    files.

    Args:
        parts: the parts that add files and documents to the page.
        frame_ancestors: origins that may show the documents in a frame, as in a Content-Security-Policy.
        keyed: whether calls need a key. The documents tell that to their scripts, so that a page that opens without a
            key makes no call in vain.
        embeds: whether any site may show a picture alone in a frame.
    """

    def __init__(
        self, parts: Sequence[Part], frame_ancestors: str = "'self'", *, keyed: bool = False, embeds: bool = False
    ) -> None:
        self._assets = Assets(*folders(parts))
        self._names = DOCUMENTS | {path: name for part in parts for path, name in part.documents.items()}
        self._moved = {path: now for part in parts for path, now in part.moved.items()}
        self._assets.files[f"demo/{DEMO}.json"] = _demo(DEMO)
        # A picture to share is drawn from an image that the page itself has made, which has a `blob:` address.
        self._policy = f"{POLICY}{frame_ancestors}; img-src 'self' blob:"
        has_pictures = embeds and DEEPER in self._names
        self._picture_policy = f"{POLICY}*; img-src 'self' blob:" if has_pictures else self._policy
        self._documents = {
            (name, language): render_page(self._assets, name, language)
            for name in {*self._names.values(), MISSING}
            for language in LANGUAGES
        }
        marks = (["data-keyed"] if keyed else []) + ([] if DEEPER in self._names else ["data-alone"])
        for mark in marks:
            self._documents = {name: _with_mark(document, mark) for name, document in self._documents.items()}
        self._pictures = {name: _with_mark(document, "data-embed") for name, document in self._documents.items()}
        self._version = f"{self._assets.digest}{'-keyed' if keyed else ''}"
        self.reference = render_page(self._assets, REFERENCE, "en")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for a document or a file of the page; an ASGI call."""
        path, headers = route_path(scope), Headers(scope=scope)
        root = scope.get("root_path", "")
        if path in self._moved:
            query = scope["query_string"].decode("ascii")
            await RedirectResponse(f"{root}{self._moved[path]}{query and f'?{query}'}", 308)(scope, receive, send)
            return
        answer = await self._answer(path, headers, is_picture=scope["query_string"] == EMBEDDED)
        if answer is None and scope["method"] in READING and "text/html" in headers.get("accept", ""):
            answer = self._missing(root, headers)
        await send_file(answer, scope, receive, send)

    def _missing(self, root: str, headers: Mapping[str, str]) -> Response:
        """Return the page that leads on from an address without one; its links are relative to the root path."""
        language = choose_language(headers.get("accept-language", ""))
        text = self._documents[MISSING, language].content.decode()
        content = LINK.sub(lambda match: f"{match[1]}{root}/", text)
        page_headers = EACH_TIME | {"Vary": "Accept, Accept-Language", "Content-Type": MEDIA_TYPES[".html"]}
        return Response(content, 404, page_headers)

    async def _answer(self, path: str, headers: Mapping[str, str], *, is_picture: bool) -> Response | None:
        if path in self._names:
            language = choose_language(headers.get("accept-language", ""))
            documents = self._pictures if is_picture else self._documents
            tag = f'W/"{self._version}{"-embed" if is_picture else ""}-{language}"'
            page_headers = EACH_TIME | {
                "ETag": tag,
                "Vary": "Accept-Language, Accept-Encoding",
                "Content-Security-Policy": self._picture_policy if is_picture and path in PICTURES else self._policy,
            }
            if tag in headers.get("if-none-match", ""):
                return Response(status_code=304, headers=page_headers)
            return await send_asset(documents[self._names[path], language], page_headers, headers)
        name = path.removeprefix(f"/assets/{self._assets.digest}/")
        if (file := self._assets.files.get(name)) is None or name in (
            *self._names.values(),
            REFERENCE,
            MISSING,
        ):
            return None
        return await send_asset(file, FOR_EVER | FOR_ANYONE | {"Vary": "Accept-Encoding"}, headers)


def _with_mark(document: Asset, attribute: str) -> Asset:
    return Asset(document.content.replace(b"<html ", f'<html {attribute}="" '.encode(), 1), document.media_type)


def _demo(name: str) -> Asset:
    """Return the settings and documents of a demo collection, which the page writes with calls of the API."""
    demo = DEMOS[name]
    content = {"settings": demo.settings, "documents": list(demo.documents())}
    return Asset(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), MEDIA_TYPES[".json"])


DESCRIPTION = Path(__file__).parents[1] / "openapi.json"


class Description:
    """An ASGI app that serves the API's description from its file. FastAPI would need seconds to derive it.

    Args:
        file: the file.
        root_path: the path below which the API is served, for the description; empty if that is the root.
        paths: the paths of the calls that the service has. It lacks those of parts that are not installed.
    """

    def __init__(self, file: Path, root_path: str, paths: Collection[str]) -> None:
        content = file.read_bytes()
        description = json.loads(content)
        calls = {path: calls for path, calls in description["paths"].items() if path in paths}
        if root_path or len(calls) < len(description["paths"]):
            servers = {"servers": [{"url": root_path}]} if root_path else {}
            content = json.dumps(description | servers | {"paths": calls}, ensure_ascii=False).encode()
        self._asset = Asset(content, "application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for the description; an ASGI call."""
        answer = await send_asset(self._asset, {"Vary": "Accept-Encoding"}, Headers(scope=scope))
        await answer(scope, receive, send)


class PageMount(Mount):
    """The mount of the page, for every path outside the API. The API itself refuses unknown calls."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match a request as any mount does, but never a path of the API."""
        if is_call(path := route_path(scope)):
            return Match.NONE, {}
        if path == "":  # the root path without its slash
            return Match.FULL, {}
        return super().matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the root path is redirected to the same with a slash, since links are relative to that."""
        if route_path(scope) == "":
            await RedirectResponse(f"{scope['root_path']}/")(scope, receive, send)
            return
        await super().handle(scope, receive, send)


def mount(
    app: Starlette,
    root_path: str = "",
    frame_ancestors: str = "'self'",
    site: Path = SITE,
    *,
    keyed: bool = False,
    embeds: bool = False,
) -> None:
    """Serve the description at `/openapi.json`, the documentation at `/docs/` and the page at `/`, after other routes.

    Args:
        app: the application.
        root_path: the path below which the API is served, empty if that is the root.
        frame_ancestors: origins that may show the documents in a frame, as in a Content-Security-Policy.
        site: the folder of the built documentation.
        keyed: whether calls need a key.
        embeds: whether any site may show a picture alone in a frame.
    """
    paths = {route.path_format for route in app.routes if isinstance(route, APIRoute)}
    app.router.routes.append(Route("/openapi.json", Description(DESCRIPTION, root_path, paths), methods=["GET"]))
    files = Files(find_parts(), frame_ancestors, keyed=keyed, embeds=embeds)
    documentation = Documentation(site, files.reference, frame_ancestors)
    page = Router(
        [  # these take all methods: only they know whether a path has a file
            *(Route(path, documentation) for path in ("/docs", "/docs/{path:path}", "/llms.txt", "/llms-full.txt")),
            Route("/{path:path}", files),
        ]
    )
    app.router.routes.append(PageMount("/", app=page, name="page"))
