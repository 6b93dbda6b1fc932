"""The documentation for language models: `llms.txt`, an index as in llmstxt.org, and `llms-full.txt`, one text."""

from __future__ import annotations

import posixpath
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tools.documentation.pages import DOCS, LINK, Entry, outside_code, page_of

INDEX, FULL = "llms.txt", "llms-full.txt"
OPTIONAL = ("operate/changes.md",)
"""Pages that a short context may leave out, besides those of `OPTIONAL_FOLDER`."""
OPTIONAL_FOLDER = "zh/"
ROW = re.compile(r"^\| (\[.*\]\([^)]+\)) \| (.*) \|$", re.MULTILINE)
TARGET = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def write(pages: Path, site: Path, parts: list[Entry], prefix: str) -> None:
    """Write the pages as Markdown beside their documents, the index of them, and all of them as one text.

    Args:
        pages: the folder of the pages.
        site: the folder of the site.
        parts: the navigation.
        prefix: the path from the two files to the site: a service has the files at its root, and the site at `/docs/`.
    """
    home = (DOCS / "README.md").read_text(encoding="utf-8")
    configuration = tomllib.loads((DOCS / "site" / "zensical.toml").read_text(encoding="utf-8"))
    summary = configuration["project"]["site_description"]
    for page in sorted(pages.rglob("*.md")):
        copy = site / page.relative_to(pages)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(page, copy)
    (site / INDEX).write_text(index(home, parts, summary, prefix), encoding="utf-8")
    (site / FULL).write_text(full(pages, parts, summary, prefix), encoding="utf-8")


def index(home: str, parts: list[Entry], summary: str, prefix: str) -> str:
    """Return `llms.txt`: the name, a summary, and a list of links for each part of the navigation.

    Args:
        home: the text of docs/README.md, whose tables describe the pages.
        parts: the parts of the navigation.
        summary: the site in one sentence.
        prefix: what links begin with, so that they lead from the file to the site.
    """
    descriptions = dict(_descriptions(home))
    lines = ["# softkv", "", f"> {summary}", "", _introduction(home), ""]
    optional: list[str] = []
    for part in parts:
        links = list[str]()
        for entry in _pages(part):
            description = descriptions.get(entry.page, "")
            link = f"- [{entry.title}]({prefix}{entry.page}){': ' if description else ''}{description}"
            (optional if _is_optional(entry.page) else links).append(link)
        if links and part.entries:
            lines += [f"## {part.title}", "", *links, ""]
    return "\n".join([*lines, "## Optional", "", *optional, ""])


def full(pages: Path, parts: list[Entry], summary: str, prefix: str) -> str:
    """Return `llms-full.txt`: all pages of the navigation but the optional ones, each below a line with its path.

    Links between pages lead from the file to the site.
    """
    texts = [f"# softkv\n\n> {summary}\n"]
    for part in parts:
        for entry in _pages(part):
            if not _is_optional(entry.page):
                text = (pages / entry.page).read_text(encoding="utf-8").strip()
                texts.append(f"<!-- {prefix}{entry.page} -->\n\n{_from_the_root(text, entry.page, prefix)}\n")
    return "\n".join(texts)


def _is_optional(page: str) -> bool:
    return page in OPTIONAL or page.startswith(OPTIONAL_FOLDER)


def _pages(entry: Entry) -> Iterator[Entry]:
    """Yield the entries with a page, in their order."""
    if entry.page:
        yield entry
    for inner in entry.entries:
        yield from _pages(inner)


def _descriptions(home: str) -> Iterator[tuple[str, str]]:
    for links, description in ROW.findall(home):
        for _, target in TARGET.findall(links):
            if page := page_of(posixpath.normpath(posixpath.join("docs", target.partition("#")[0]))):
                yield page, TARGET.sub(r"\1", description)


def _introduction(home: str) -> str:
    """Return the first paragraph of the home page, without its links."""
    return TARGET.sub(r"\1", " ".join(home.split("\n\n")[1].split()))


def _from_the_root(text: str, page: str, prefix: str) -> str:
    """Return a page whose links are relative to the file that has all pages."""

    def rewrite(match: re.Match[str]) -> str:
        path, _, anchor = match[2].partition("#")
        if ":" in path:
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
        return f"{match[1]}{prefix}{target}{'#' if anchor else ''}{anchor}{match[3]}"

    return outside_code(text, lambda part: LINK.sub(rewrite, part))
