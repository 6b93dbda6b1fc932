"""Files of folders as the service sends them: read once, under a digest of their contents, compressed when asked."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from softkv_service.api.problems.errors import refusal_of_file

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".whl": "application/zip",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
    ".zip": "application/zip",
}
OTHERWISE = "text/plain; charset=utf-8"  # licences and sources
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}  # other content gets another digest
FOR_ANYONE = {"Access-Control-Allow-Origin": "*"}
EACH_TIME = {"Cache-Control": "no-cache"}
READING = ("GET", "HEAD")
COMPRESSED_ALREADY = {".png", ".whl", ".woff2", ".zip"}
LEAST_BYTES = 512  # for shorter files, gzip's head and checksum cost more than it saves
# Files of the tools that bundle and check the scripts of the page.
OF_TOOLS = ("biome.json", "package.json", "package-lock.json", "tsconfig.json", ".d.ts")
OTHERS = "vendor"  # files of other projects, unchanged, with their licences
# A comment on lines of its own. It is for readers of the source, and a sixth of the bytes that a browser would load.
COMMENT = re.compile(rb"^[ \t]*/\*(?:(?!\*/).)*\*/[ \t]*$", re.MULTILINE | re.DOTALL)
COMMENTED = {".css"}  # esbuild takes those of the scripts away


@dataclass(frozen=True)
class Asset:
    """A file of the page, as the service sends it."""

    content: bytes
    media_type: str
    compressible: bool = True

    @cached_property
    def compressed(self) -> bytes | None:
        """The content in gzip, or None if compression saves nothing."""
        return gzip.compress(self.content, mtime=0) if self.compressible and len(self.content) >= LEAST_BYTES else None


class Assets:
    """All files of some folders, read once at the start.

    Attributes:
        files: the files, by their paths in their folder.
        digest: a digest of all paths and contents.
    """

    def __init__(self, *folders: Path) -> None:
        paths = [(folder, path) for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
        self.files = {
            path.relative_to(folder).as_posix(): _read(folder, path)
            for folder, path in paths
            if not path.name.endswith(OF_TOOLS)
        }
        checksum = sha256()
        for name, asset in self.files.items():
            checksum.update(f"{name}\n{len(asset.content)}\n".encode() + asset.content)
        self.digest = checksum.hexdigest()[:16]

    def text(self, name: str) -> str:
        """Return the text of a file."""
        return self.files[name].content.decode()


def _read(folder: Path, path: Path) -> Asset:
    content = path.read_bytes()
    if path.suffix in COMMENTED and OTHERS not in path.relative_to(folder).parts:
        content = COMMENT.sub(lambda comment: b"\n" * comment[0].count(b"\n"), content)  # lines keep their numbers
    return Asset(content, MEDIA_TYPES.get(path.suffix, OTHERWISE), path.suffix not in COMPRESSED_ALREADY)


async def send_file(answer: Response | None, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the answer to a request for a file.

    Raises:
        the refusal of a file: the answer is None, so that no method would work, or the method changes things.
    """
    if answer is None or scope["method"] not in READING:
        raise refusal_of_file(exists=answer is not None)
    await answer(scope, receive, send)


async def send_asset(asset: Asset, answer_headers: Mapping[str, str], headers: Mapping[str, str]) -> Response:
    """Return the answer with a file, in gzip if the client accepts that."""
    answer_headers = {**answer_headers, "Content-Type": asset.media_type}
    if "gzip" in headers.get("accept-encoding", ""):
        # The first compression may take a tenth of a second.
        compressed = await asyncio.to_thread(lambda: asset.compressed)
        if compressed is not None:
            return Response(compressed, headers=answer_headers | {"Content-Encoding": "gzip"})
    return Response(asset.content, headers=answer_headers)
