"""Build the site: `python -m tools.documentation FOLDER [--version VERSION]`, with the packages of docs/site."""

from __future__ import annotations

import argparse
import ast
import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.documentation import models
from tools.documentation.links import problems
from tools.documentation.pages import DOCS, ROOT, Entry, as_python_markdown, copy_pages, navigation, repository
from tools.documentation.python_reference import PythonReference

CONFIGURATION = DOCS / "site"
API = "api"  # the page of the service on which calls can be tried, beside the site
HTTP = "reference/http.md"  # which shows the description of the API
SHOWN = """
<link rel="stylesheet" href="http/swagger-ui.css">
<div id="description"></div>
<script src="http/swagger-ui-bundle.js"></script>
<script src="http/show.js"></script>
"""
TRIAL = f"\nYou can try each call [on a page of this service](../{API}).\n"
# No repo_url, for which a page would ask GitHub's API.
SOURCE = '\n[[project.extra.social]]\nicon = "lucide/git-branch"\nname = "The repository"\nlink = {}\n'
INDEX = "search.json"
STYLES = "styles.json"  # for the content policy of the service
ANSI = re.compile(r"\x1b\[[0-9;]*m")
# The table of the home page that has no generated pages in the repository.
REFERENCE = "## Reference\n\n| | |\n|---|---|\n"
GENERATED = "| [Python](reference/python/client.md) | the client, its answers and errors, and the library |\n"
VERSIONED = '\n[project.extra.version]\nprovider = "mike"\n'


def build(target: Path, version: str = "") -> None:
    """Write the site into a folder, in place of what is there.

    Args:
        target: the folder.
        version: the version of a published site, which has a menu of versions; empty for the site of a service.

    Raises:
        SystemExit: a page is in no part of the navigation, a link is dead, or the folder has other files.
    """
    if target.exists() and any(target.iterdir()) and not (target / INDEX).exists():
        raise SystemExit(f"{target} has other files: choose an empty folder")
    with tempfile.TemporaryDirectory() as work:
        _build(Path(work), target, version)


def _build(work: Path, target: Path, version: str) -> None:
    pages = work / "pages"
    copy_pages(pages, f"v{version}" if version[:1].isdigit() else "main")
    with (pages / HTTP).open("a", encoding="utf-8") as page:
        page.write(SHOWN if version else TRIAL + SHOWN)
    swagger = ROOT / "service" / "softkv_service" / "web" / "vendor" / "swagger-ui"
    shown = (swagger / "swagger-ui-bundle.js", swagger / "swagger-ui.css", CONFIGURATION / "show.js")
    (pages / HTTP).with_suffix("").mkdir()
    for file in (*shown, ROOT / "service" / "softkv_service" / "api" / "openapi.json"):
        shutil.copy(file, (pages / HTTP).with_suffix(""))
    python = PythonReference()
    for path, text in python.pages().items():
        (pages / path).parent.mkdir(parents=True, exist_ok=True)
        (pages / path).write_text(as_python_markdown(text), encoding="utf-8")
    home = (pages / "README.md").read_text(encoding="utf-8")
    (pages / "README.md").write_text(home.replace(REFERENCE, REFERENCE + GENERATED), encoding="utf-8")
    shutil.copy(CONFIGURATION / "site.css", pages)
    shutil.copy(ROOT / "service" / "softkv_service" / "web" / "icon.svg", pages)

    parts = navigation((DOCS / "README.md").read_text(encoding="utf-8"))
    [reference] = [part for part in parts if part.title == "Reference"]
    reference.entries.insert(0, Entry("Python", entries=[Entry(name, page) for page, name in python.titles().items()]))
    listed = {page for part in parts for page in part.pages()}
    written = {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")}
    if forgotten := sorted(written - listed):
        raise SystemExit(f"docs/README.md links to these pages in no table: {', '.join(forgotten)}")

    head, _, rest = (CONFIGURATION / "zensical.toml").read_text(encoding="utf-8").partition("[project]\n")
    nav = f"nav = [{', '.join(part.toml() for part in parts)}]\n"
    text = f"{head}[project]\n{nav}{rest}{SOURCE.format(json.dumps(repository()))}{VERSIONED if version else ''}"
    (work / "zensical.toml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(work / "zensical.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or (dead := problems(work / "site", () if version else (API,))):
        raise SystemExit(ANSI.sub("", done.stdout + done.stderr) if done.returncode else "\n".join(dead))
    styles = [style for path in sorted((work / "site").rglob("bundle.*.js")) for style in inserted_styles(path)]
    (work / "site" / STYLES).write_text(json.dumps([_source(style) for style in styles]), encoding="utf-8")
    models.write(pages, work / "site", parts, "" if version else "docs/")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(work / "site", target)


def inserted_styles(script: Path) -> list[str]:
    """Return the style sheets that Zensical's script puts into a page, as strings of its text.

    Args:
        script: the file, minified, which inserts `NAME` by `("style",{},NAME.toString())`.
    """
    text = script.read_text(encoding="utf-8")
    names = re.findall(r"""\("style",\{\},(\w+)\.toString\(\)\)""", text)
    literals = [re.search(rf"""\b{name}=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", text) for name in names]
    return [ast.literal_eval(literal[1]) for literal in literals if literal]


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", default="")
    arguments = parser.parse_args()
    build(arguments.folder, arguments.version)
