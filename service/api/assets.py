"""The page's files: under one digest of them all, compressed once, without comments, and what each module imports."""

from __future__ import annotations

import gzip
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

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
