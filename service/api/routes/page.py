"""The page: its files under a digest of them all, its documents in each language, and the routes that serve them."""

from __future__ import annotations

import asyncio
import gzip
import html
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Match, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from service.api.middleware.access import is_call

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
OTHERWISE = "text/plain; charset=utf-8"  # licences, and where things come from
COMPRESSED_ALREADY = {".woff2"}
LEAST_BYTES = 512  # below, a head and a checksum are most of what is sent
OTHERS = "vendor"  # files as they were published, and licences in them
# A comment that has its lines to itself. It is for whoever reads the source, and a sixth of what a browser would load.
COMMENT = re.compile(rb"^[ \t]*/\*(?:(?!\*/).)*\*/[ \t]*$", re.MULTILINE | re.DOTALL)
COMMENTED = {".css", ".js"}
# A module's `import … from "./x.js"`, `import "./x.js"` or `export … from "./x.js"`, but no `import("./x.js")`.
IMPORTED = re.compile(r"""^\s*(?:import|export)\b[^"'()]*["'](\.[^"']+)["']""", re.MULTILINE)


@dataclass(frozen=True)
class Asset:
    """A file, as it is sent."""

    content: bytes
    media_type: str
    compressible: bool = True

    @cached_property
    def compressed(self) -> bytes | None:
        """The same in gzip; None where that is no gain."""
        return gzip.compress(self.content, mtime=0) if self.compressible and len(self.content) >= LEAST_BYTES else None


class Assets:
    """All files of a folder, read once; what changes on disk later is another start's.

    Attributes:
        files: by their paths in the folder.
        digest: of all paths and contents.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        self.files = {path.relative_to(folder).as_posix(): _read(folder, path) for path in paths}
        whole = sha256()
        for name, asset in self.files.items():
            whole.update(f"{name}\n{len(asset.content)}\n".encode() + asset.content)
        self.digest = whole.hexdigest()[:16]

    def text(self, name: str) -> str:
        """A file's text."""
        return self.files[name].content.decode()

    def wave(self, modules: Iterable[str]) -> list[str]:
        """These modules and all that they import, each once, the nearest first.

        Raises:
            KeyError: there is no such module.
        """
        found = dict.fromkeys(modules)
        for name in (order := list(found)):
            for other in IMPORTED.findall(self.text(name)):
                if (path := posixpath.normpath(posixpath.join(posixpath.dirname(name), other))) not in found:
                    found[path] = None
                    order.append(path)
        return order


def _read(folder: Path, path: Path) -> Asset:
    content = path.read_bytes()
    if path.suffix in COMMENTED and OTHERS not in path.relative_to(folder).parts:
        content = COMMENT.sub(lambda comment: b"\n" * comment[0].count(b"\n"), content)  # lines keep their numbers
    return Asset(content, MEDIA_TYPES.get(path.suffix, OTHERWISE), path.suffix not in COMPRESSED_ALREADY)


LANGUAGES = ("en", "zh")  # of the page, as its files are named
WORDS = re.compile(r"""\s*"([\w.-]+)":\s*("(?:[^"\\]|\\.)*"),?""")
TERM = re.compile(r"\[(query|key|value|weight|code|b|number)\|([^\]]*)\]")
TAGS = {"code": "code", "b": "strong"}
FILLED = re.compile(r"""(<(\w+)[^>]* )data-words="([\w.]+)"([^>]*>)(?=</\2>)""")
PLACE = re.compile(r"""data-(\w+)="([^"]*)\"""")
MODULE = re.compile(r"""<(?:link rel="modulepreload" href|script type="module" src)="assets/([^"]+)\"""")
STYLE = r"""^ *<link rel="stylesheet" href="assets/(css/[\w.-]+)">\n"""
STYLES = re.compile(rf"(?:{STYLE}){{2,}}", re.MULTILINE)
PRELOAD = re.compile(r"""^ *<link rel="modulepreload"[^>]*>\n""", re.MULTILINE)
PREFERENCE = re.compile(r"([a-zA-Z]+)(?:-[\w-]+)?(?:\s*;\s*q=([01](?:\.\d{0,3})?))?")


def preferred(accept_language: str) -> str:
    """The page's language that a browser would have, by its Accept-Language; English where it would have neither."""
    best, most = "en", 0.0
    for part in accept_language.split(","):
        if (wanted := PREFERENCE.fullmatch(part.strip())) and wanted[1].lower() in LANGUAGES:
            weight = 1.0 if wanted[2] is None else float(wanted[2])
            if weight > most:
                best, most = wanted[1].lower(), weight
    return best


def render_page(assets: Assets, name: str, language: str) -> Asset:
    """A document of the page in a language.

    In its HTML, links into `assets/` are by the files' own paths; style sheets that follow one another are sent as one;
    `:language` stands for the language; an element with `data-words` gets the words of that name, its places filled by
    its other `data-` attributes, and the script `words` all words, since each file would have to be waited for; each
    module brings all that it imports.

    Raises:
        KeyError: it names words or modules that there are not.
        ValueError: there are words that cannot be read.
    """
    text = assets.text(name).replace(":language", language)
    words = _words(assets, language)
    # Of JSON, what could end a script's element: its text is no HTML.
    data = json.dumps(words, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    text = re.sub(r'(<script [^>]*id="words"[^>]*>)', lambda found: found[1] + data, text)
    text = FILLED.sub(lambda found: found[1].rstrip() + found[4] + _rich(_placed(words[found[3]], found[0])), text)
    text = STYLES.sub(lambda found: _joined(assets, name, found[0]), text, count=1)
    # After the opening question, which is asked by a script of its own, and is the longest to come.
    wave = "".join(
        f'  <link rel="modulepreload" href="assets/{each}" fetchpriority="low">\n'
        for each in assets.wave(MODULE.findall(text))
    )
    text = PRELOAD.sub("", text).replace("</head>", f"{wave}</head>", 1)
    text = re.sub(r"""((?:href|src)=")assets/""", rf"\1assets/{assets.digest}/", text)
    return Asset(text.encode(), "text/html; charset=utf-8")


def _joined(assets: Assets, name: str, links: str) -> str:
    """One link to a sheet of all of these, in their order."""
    sheets = [assets.files[path].content for path in re.findall(STYLE, links, re.MULTILINE)]
    assets.files[f"css/{name}.css"] = Asset(b"\n".join(sheets), MEDIA_TYPES[".css"])
    return f'  <link rel="stylesheet" href="assets/css/{name}.css">\n'


def _words(assets: Assets, language: str) -> dict[str, str]:
    """The page's words by their names, of the modules that a language's own brings together.

    Raises:
        ValueError: a line of them is none of a name and a text.
    """
    words: dict[str, str] = {}
    for name in assets.wave([f"js/words/{language}.js"]):
        for line in re.findall(r'^ *".*$', assets.text(name), re.MULTILINE):
            if (found := WORDS.fullmatch(line)) is None:
                raise ValueError(f'{name} has {line.strip()!r}: write "a.name": "and its text", on a line')
            words[found[1]] = json.loads(found[2])
    return words


def _placed(words: str, tag: str) -> str:
    """Words with their `{places}` filled by the `data-` attributes of a tag."""
    places = dict(PLACE.findall(tag))
    return re.sub(r"\{(\w+)\}", lambda found: html.unescape(places[found[1]]), words)


def _rich(words: str) -> str:
    """Words with their terms coloured, as the page's `rich` has them."""

    def marked(found: re.Match[str]) -> str:
        kind = found[1]
        return f"<{TAGS[kind]}>{found[2]}</{TAGS[kind]}>" if kind in TAGS else f'<span class="{kind}">{found[2]}</span>'

    return TERM.sub(marked, html.escape(words, quote=False))


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
            (name, language): render_page(self._assets, name, language)
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
