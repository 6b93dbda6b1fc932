"""Build the site: `python -m tests.documentation FOLDER [--version VERSION]`, with the packages of docs/site."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.documentation.http_reference import HttpReference
from tests.documentation.links import problems
from tests.documentation.pages import DOCS, ROOT, Entry, copy_pages, navigation, repository
from tests.documentation.python_reference import PythonReference

WORK = ROOT / "build" / "docs"
CONFIGURATION = DOCS / "site"
API = "api"  # the page of the service on which calls can be tried, beside the site
# No repo_url, for which a page would ask GitHub's API.
SOURCE = '\n[[project.extra.social]]\nicon = "lucide/git-branch"\nname = "The repository"\nlink = {}\n'
VERSIONED = '\n[project.extra.version]\nprovider = "mike"\n'


def build(target: Path, version: str = "") -> None:
    """Write the site into a folder, in place of what is there.

    Args:
        target: the folder.
        version: the version of a published site, which has a menu of versions; empty for the site of a service.

    Raises:
        SystemExit: a page is in no part of the navigation, or a link is dead.
    """
    shutil.rmtree(WORK, ignore_errors=True)
    pages = WORK / "pages"
    copy_pages(pages, version if version.startswith("v") else "main")
    http = HttpReference(json.loads((ROOT / "service" / "api" / "openapi.json").read_text(encoding="utf-8")))
    python = PythonReference()
    for path, text in (http.pages() | python.pages()).items():
        (pages / path).parent.mkdir(parents=True, exist_ok=True)
        (pages / path).write_text(text, encoding="utf-8")
    shutil.copy(CONFIGURATION / "site.css", pages)
    shutil.copy(ROOT / "service" / "web" / "icon.svg", pages)

    parts = navigation((DOCS / "README.md").read_text(encoding="utf-8"))
    [reference] = [part for part in parts if part.title == "Reference"]
    groups = {"HTTP": http.titles(), "Python": python.titles()}
    reference.entries[:0] = [
        Entry(title, entries=[Entry(name, page) for page, name in titles.items()]) for title, titles in groups.items()
    ]
    listed = {page for part in parts for page in part.pages()}
    written = {path.relative_to(pages).as_posix() for path in pages.rglob("*.md")}
    if forgotten := sorted(written - listed):
        raise SystemExit(f"docs/README.md links to these pages in no table: {', '.join(forgotten)}")

    head, _, rest = (CONFIGURATION / "zensical.toml").read_text(encoding="utf-8").partition("[project]\n")
    nav = f"nav = [{', '.join(part.toml() for part in parts)}]\n"
    text = f"{head}[project]\n{nav}{rest}{SOURCE.format(json.dumps(repository()))}{VERSIONED if version else ''}"
    (WORK / "zensical.toml").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", str(WORK / "zensical.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or (dead := problems(WORK / "site", (API,))):
        raise SystemExit("\n".join([done.stdout[-10_000:], done.stderr[-2_000:]] if done.returncode else dead))
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(WORK / "site", target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--version", default="")
    arguments = parser.parse_args()
    build(arguments.folder, arguments.version)
