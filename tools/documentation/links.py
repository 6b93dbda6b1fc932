"""Dead links of a built site, and what it would load from another host."""

from __future__ import annotations

import posixpath
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "srcset"}


class Document(HTMLParser):
    """The ids and the targets of links of an HTML document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag names and links to."""
        attributes = {name: value for name, value in attrs if value is not None}
        self.ids |= {attributes[name] for name in ("id", "name") if name in attributes}
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        if (target := attributes.get(LOADED.get(tag, ""))) and attributes.get("rel") != "canonical":
            self.loaded.append(target)


def problems(folder: Path, elsewhere: tuple[str, ...] = ()) -> list[str]:
    """Return a line for each link of a site that leads nowhere, and for each file from another host.

    Args:
        folder: the site.
        elsewhere: paths in the site that only the service has.
    """
    documents = {
        path.relative_to(folder).as_posix(): Document(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.html"))
        if path.name != "404.html"  # its links are absolute
    }
    lines = []
    for name, document in documents.items():
        for target in dict.fromkeys([*document.links, *document.loaded]):
            url = urlsplit(target)
            if url.scheme or url.netloc:
                if target in document.loaded and url.scheme != "data":
                    lines.append(f"{name} loads {target}")
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(url.path))) if url.path else name
            if path in elsewhere:
                continue
            if not (folder / path).is_file():
                lines.append(f"{name} links to {target}, which does not exist")
            elif url.fragment and path in documents and unquote(url.fragment) not in documents[path].ids:
                lines.append(f"{name} links to {target}, which has no such section")
    return lines
