"""Pages of the site: copies of the repository's Markdown, with links that also work there, and the navigation."""

from __future__ import annotations

import base64
import json
import posixpath
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools import ROOT
from tools.walls import FRAMEWORKS, WALLS

DOCS = ROOT / "docs"
# Pages that are outside docs/ in the repository, and their places in the site.
GUESTS = {"docker/README.md": "operate/container.md", "CHANGELOG.md": "operate/changes.md"}
# Files that the site has as pages which are made of them.
MADE = {
    "attention/softkv_attention/lookup/bounds/__init__.py": "reference/python/bounds.md",
    "clients/python/softkv/answers/__init__.py": "reference/python/answers.md",
    "service/softkv_service/api/openapi.json": "reference/http.md",
}
NOT_PAGES = {"site"}  # folders of docs/ without pages
# Where walls have pages, at the same places of the site.
OF_WALLS = [wall.folder for wall in (WALLS | FRAMEWORKS).values()]
OF_A_WALL = re.compile(rf"^(?:{'|'.join(OF_WALLS)})/(?=docs/)")
FENCE = re.compile(r"^ *(```+|~~~+)")
LINK = re.compile(r"(!?\[(?:(?!\n\n)[^\[\]]|\[[^\]]*\])*\]\()([^)\s]+)(\))")
SOURCE = re.compile(r"""(\b(?:src|srcset|href)=")([^"]+)(")""")
CODE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)")
ITEM = re.compile(r"^(?:[-*+]|\d+\.) ")


@dataclass(frozen=True)
class Entry:
    """An entry of the navigation.

    Attributes:
        title: what the reader sees.
        page: the page's path in the site, or empty for a group.
        entries: the entries of a group.
    """

    title: str
    page: str = ""
    entries: list[Entry] = field(default_factory=list)

    def toml(self) -> str:
        """Return the entry as an inline table."""
        content = json.dumps(self.page) if self.page else f"[{', '.join(entry.toml() for entry in self.entries)}]"
        return f"{{{json.dumps(self.title, ensure_ascii=False)} = {content}}}"

    def pages(self) -> list[str]:
        """Return the pages of the entry and of all entries below it."""
        return [self.page] if self.page else [page for entry in self.entries for page in entry.pages()]


def repository(root: Path = ROOT) -> str:
    """Return the URL of the repository."""
    return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"])


def page_of(path: str) -> str | None:
    """Return the place in the site of a file of the repository, or None if the site does not have it.

    Args:
        path: the path from the root of the repository.
    """
    if path in GUESTS or path in MADE:
        return (GUESTS | MADE)[path]
    path = OF_A_WALL.sub("", path)
    inside = path.removeprefix("docs/")
    if inside == path or inside.split("/")[0] in NOT_PAGES:
        return None
    return inside.removesuffix(".ipynb") + ".md" if inside.endswith(".ipynb") else inside


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return a Markdown text whose parts outside fenced code are changed."""
    parts: list[list[str]] = [[]]  # by turns outside code and inside
    fence = ""
    for line in text.split("\n"):
        match = FENCE.match(line)
        if match and not fence:
            fence = match[1]
            parts.append([line])
            continue
        parts[-1].append(line)
        if match and match[1].startswith(fence):
            fence = ""
            parts.append([])
    texts = ["\n".join(part) for part in parts]
    return "\n".join(part if number % 2 else change(part) for number, part in enumerate(texts) if parts[number])


def with_site_links(text: str, source: str, target: str, branch: str) -> str:
    """Return a page whose links lead to pages of the site, or to the repository on the web.

    Args:
        text: the page.
        source: its path in the repository.
        target: its path in the site.
        branch: the branch or tag of links to the repository.
    """

    def rewrite(match: re.Match[str]) -> str:
        path, _, anchor = match[2].partition("#")
        if not path or ":" in path:
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if (page := page_of(path)) is not None and (ROOT / path).is_file():
            link = posixpath.relpath(page, posixpath.dirname(target) or ".")
        else:
            link = f"{repository()}/{'tree' if (ROOT / path).is_dir() else 'blob'}/{branch}/{path}"
        return f"{match[1]}{link}{'#' if anchor else ''}{anchor}{match[3]}"

    return outside_code(text, lambda part: SOURCE.sub(rewrite, LINK.sub(rewrite, part)))


def as_python_markdown(text: str) -> str:
    """Return a page of GitHub's Markdown that Python-Markdown shows in the same way.

    A list gets an empty line before it. Code in a cell has its bars unescaped: GitHub does that itself.
    """

    def change(part: str) -> str:
        lines: list[str] = []
        for line in part.split("\n"):
            before = lines[-1] if lines else ""
            if ITEM.match(line) and before.strip() and not before.startswith(" ") and not ITEM.match(before):
                lines.append("")
            is_row = line.startswith("|")
            lines.append(CODE.sub(lambda code: code[0].replace("\\|", "|"), line) if is_row else line)
        return "\n".join(lines)

    return outside_code(text, change)


def notebook(content: dict[str, Any], folder: Path, name: str) -> str:
    """Return a Jupyter notebook as a page, with its stored results; its pictures go into files beside it.

    A cell whose source Jupyter hides is not on the page.

    Args:
        content: the notebook.
        folder: where the page will be.
        name: the start of the names of the pictures.
    """
    parts = []
    for number, cell in enumerate(content["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        if not cell["metadata"].get("jupyter", {}).get("source_hidden"):
            parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                picture = f"{name}-{number}.png"
                (folder / picture).write_bytes(base64.b64decode("".join(data["image/png"])))
                parts.append(f"![What the cell above draws]({picture})")
            elif text := "".join(output.get("text", data.get("text/plain", ""))).rstrip():
                parts.append(f"```text\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def sources() -> list[Path]:
    """Return the files of docs/, and of the folders docs/ of walls."""
    folders = (DOCS, *(ROOT / folder / "docs" for folder in OF_WALLS))
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def copy_pages(folder: Path, branch: str) -> None:
    """Write all pages of the repository, with pictures, into a folder.

    Args:
        folder: the folder, which is the site's `docs_dir`.
        branch: the branch or tag of links to the repository.
    """
    for path in (*sources(), *(ROOT / name for name in GUESTS)):
        source = path.relative_to(ROOT).as_posix()
        if (page := page_of(source)) is None:
            continue
        target = folder / page
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix not in {".md", ".ipynb"}:
            target.write_bytes(path.read_bytes())
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            content = json.loads(text)
            for cell in content["cells"]:
                cell["source"] = with_site_links("".join(cell["source"]), source, page, branch)
            text = notebook(content, target.parent, path.stem)
        else:
            text = with_site_links(text, source, page, branch)
        target.write_text(as_python_markdown(text), encoding="utf-8")


def navigation(home: str) -> list[Entry]:
    """Return the parts of the site, as the home page lists their pages in tables below its headings.

    A link in the first cell of a row is an entry, under the link's text.

    Args:
        home: the text of docs/README.md.
    """
    parts = [Entry("Home", "README.md")]
    group = parts
    for line in home.splitlines():
        if line.startswith("## "):
            parts.append(Entry(line[3:]))
            group = parts[-1].entries
        elif line.startswith("### "):
            group = parts[-1].entries
            group.append(Entry(line[4:]))
            group = group[-1].entries
        elif line.startswith("| [") and len(parts) > 1:
            for title, target in re.findall(r"\[([^\]]+)\]\(([^)]+)\)", line.split(" | ")[0]):
                if page := page_of(posixpath.normpath(posixpath.join("docs", target.partition("#")[0]))):
                    group.append(Entry(title, page))
    return parts
