"""The scripts of the page: bundled by esbuild into one classic script for each document, with their types checked by
TypeScript and their style by biome. The widget of notebooks is bundled of the same sources into one module.

python -m tools.page          bundles them: make page
python -m tools.page check    is part of make lint
python -m tools.page format   is part of make format
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.node import ROOT, NodeMissingError, Packages, checked, packages

WEB = ROOT / "service" / "softkv_service" / "web"
WORKSHOP = ROOT / "workshop" / "softkv_workshop" / "web"
WIDGET = ROOT / "clients" / "widget" / "softkv_widget" / "built"
DOCUMENTS = {"explore": "explore/index.js", "images": "shared/images.js", "docs": "docs/index.js"}
OF_WORKSHOP = {
    "story": "story/index.js",
    "word": "story/word/index.js",
    "editing": "story/editing.js",
    "exported": "exported/index.js",
    "deeper": "deeper/index.js",
    "room": "room/index.js",
    "lesson": "lesson/index.js",
    "clicker": "lesson/clicker.js",
    "teacher": "lesson/teacher.js",
}
"""The modules that the scripts of the service and of the workshop start with. The story loads `clicker`
in a lesson, `editing` after its first picture, `word` with its last chapter, `images` for a picture or a film, and
`exported` in an exported page."""
BUNDLES = {WEB: DOCUMENTS, WORKSHOP: OF_WORKSHOP}
OF_WIDGET = {"widget.js": "widget/index.js", "widget.css": "widget/widget.css"}
"""The files of the widget of notebooks, and the source that each starts with."""
# Chinese stays Chinese.
BUNDLED = ("--bundle", "--minify", "--target=es2022", "--charset=utf8", "--legal-comments=none", "--log-level=warning")
# Classic scripts, which a document opened from a file may load.
OPTIONS = (*BUNDLED, "--format=iife")

STRICTLY = ("--error-on-warnings", "--max-diagnostics=50")


def build(folder: Path, web: Path = WEB) -> set[Path]:
    """Write the bundles of the service's page, or of the workshop's, into a folder, and return all their sources.

    Raises:
        NodeMissingError: npm cannot reach esbuild.
        AssertionError: esbuild cannot bundle the sources; the message says where.
    """
    return _bundle(folder, OPTIONS, [f"{name}={web / start}" for name, start in BUNDLES[web].items()])


def build_widget(folder: Path) -> set[Path]:
    """Write the module and the style sheet of the widget into a folder, and return their sources.

    Raises:
        NodeMissingError: npm cannot reach esbuild.
        AssertionError: esbuild cannot bundle the sources; the message says where.
    """
    entries = [f"{Path(name).stem}={WEB / start}" for name, start in OF_WIDGET.items()]
    return _bundle(folder, (*BUNDLED, "--format=esm"), entries)


def _bundle(folder: Path, options: Sequence[str], entries: Sequence[str]) -> set[Path]:
    meta = folder / "meta.json"
    tools = packages(WEB)
    checked(tools.run("esbuild", *options, f"--outdir={folder}", f"--metafile={meta}", *entries))
    inputs = json.loads(meta.read_text(encoding="utf-8"))["inputs"]
    meta.unlink()
    return {(tools.folder / name).resolve() for name in inputs}


def library(start: str, name: str) -> str:
    """Return a module and what it imports as one classic script, which puts what it exports into a global of that name.

    Raises:
        NodeMissingError: npm cannot reach esbuild.
        AssertionError: esbuild cannot bundle the sources; the message says where.
    """
    tools = packages(WEB)
    path = next(web / start for web in BUNDLES if (web / start).exists())
    script = checked(tools.run("esbuild", *OPTIONS, f"--global-name={name}", path))
    # A `var` of a script that a test evaluates is in its function's scope.
    return f"{script};globalThis.{name} = {name};"


def check(tools: Packages, root: Path = ROOT) -> list[str]:
    """Return what biome and TypeScript have to say of the page's folders; nothing if all is well."""
    types = tools.folder / "node_modules" / "@types"
    folders = [root / web.relative_to(ROOT) for web in BUNDLES]
    results = [tools.run("tsc", "--project", web, "--typeRoots", types) for web in folders]
    results += [tools.run("biome", "check", f"--config-path={web}", *STRICTLY, web) for web in folders]
    return [f"{result.stdout}{result.stderr}" for result in results if result.returncode != 0]


def main(command: str = "build") -> int:
    """Do what the command line says, and return the exit code."""
    try:
        tools = packages(WEB)
    except NodeMissingError as missing:
        sys.stderr.write(f"THE SCRIPTS OF THE PAGE WERE NOT CHECKED: {missing}\n")
        return 0 if command == "check" else 1
    if command == "check":
        complaints = check(tools)
        sys.stdout.write("\n".join(complaints) or "The scripts of the page are checked.\n")
        return 1 if complaints else 0
    if command == "format":
        for web in BUNDLES:
            sys.stdout.write(checked(tools.run("biome", "check", "--write", f"--config-path={web}", *STRICTLY, web)))
        return 0
    targets = [(partial(build, web=web), web / "built") for web in BUNDLES]
    for bundles, target in (*targets, (build_widget, WIDGET)):
        with TemporaryDirectory() as made:
            bundles(Path(made))
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            for file in Path(made).iterdir():
                shutil.copy(file, target)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
