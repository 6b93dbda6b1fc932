"""The documents of the page, and the files that they load, as they stand in a folder without a service.

The folder has `assets/`, as the service has, but without a digest in its name. Scripts are classic ones: a document
that is opened from a disk has an opaque origin, and may load neither modules nor JSON.
"""

from __future__ import annotations

import html
import posixpath
import re
from urllib.parse import urljoin

from softkv_service.api.routes.page import LANGUAGES, Assets, render_page

DOCUMENTS = {
    "index.html": "story.html",
    **{name: name for name in ("deeper.html", "explore.html", "lesson.html", "teacher.html", "worksheet.html")},
}
"""The documents of the page by the names of their files."""
PICTURE = "og.png"
LATER = (
    "built/clicker.js",
    "built/editing.js",
    "built/exported.js",
    "built/images.js",
    "built/word.js",
    "css/",
    "icons/",
    "recorded/",
    "vendor/plex/",
)
"""Folders, and five scripts, which scripts and style sheets load later."""
_BASE = re.compile(r"""data-assets="assets/\w+/\"""")
_LINK = re.compile(r"""((?:href|src)=")assets/\w+/([^"]+)""")
_IMPORTED = re.compile(r"""url\("?([^")]+)"?\)""")


def write_documents(assets: Assets, address: str | None, service: str | None = None) -> dict[str, bytes]:
    """Return the documents and the files that they load, by their paths in the folder.

    Args:
        assets: the page's files.
        address: the address at which the folder will be found, from which previews take the picture; None leaves the
            picture out, since previews need its whole address.
        service: the address of a service with rooms, to which the page then links; None for no link.
    """
    documents = {name: _document(assets, source, name, address, service) for name, source in DOCUMENTS.items()}
    loaded = {path for path in assets.files if path.startswith(LATER)}
    loaded |= {
        match[2] for text in documents.values() for match in re.finditer(r"""((?:href|src)=")assets/([^"]+)""", text)
    }
    if address is not None:
        loaded.add(PICTURE)
    for path in [path for path in loaded if path.endswith(".css")]:
        for link in _IMPORTED.findall(assets.text(path)):
            if (target := posixpath.normpath(posixpath.join(posixpath.dirname(path), link))) in assets.files:
                loaded.add(target)
    files = {f"assets/{path}": assets.files[path].content for path in sorted(loaded) if path in assets.files}
    return {name: text.encode() for name, text in documents.items()} | files


def _document(assets: Assets, source: str, name: str, address: str | None, service: str | None) -> str:
    """Return a document with links into `assets/`."""
    text = render_page(assets, source, LANGUAGES[0]).content.decode()
    linked = "" if service is None else f' data-service="{html.escape(service)}"'
    text = _BASE.sub(lambda _: f'data-exported{linked} data-assets="assets/"', text)
    text = _LINK.sub(r"\1assets/\2", text)
    text = text.replace('href="deeper"', 'href="deeper.html"').replace('href="./"', 'href="index.html"')
    if address is not None and 'property="og:title"' in text:
        text = text.replace("</head>", f"{_preview(address, name)}</head>", 1)
    return text


def _preview(address: str, name: str) -> str:
    """Return the elements from which a preview of a link takes the page's address and picture."""
    page, picture = urljoin(address, name), urljoin(address, f"assets/{PICTURE}")
    properties = {"og:url": page, "og:image": picture, "og:image:width": "1200", "og:image:height": "630"}
    return "".join(f'  <meta property="{key}" content="{html.escape(value)}">\n' for key, value in properties.items())
