"""The scripts of the page, bundled by esbuild into one classic script for each document; `make page`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.node import ROOT, checked, packages

WEB = ROOT / "service" / "web"
BUILT = WEB / "built"
DOCUMENTS = {
    "story": "story/index.js",
    "scenes": "js/main.js",
    "room": "js/room/main.js",
    "lesson": "js/lesson.js",
    "docs": "js/docs.js",
}
"""The module that each script starts with."""
# Classic scripts, which a document opened from a file may load; Chinese stays Chinese.
OPTIONS = ("--bundle", "--minify", "--format=iife", "--target=es2022", "--charset=utf8", "--legal-comments=none")


def build(folder: Path) -> set[Path]:
    """Write all bundles into a folder, and return the sources that are in any of them.

    Raises:
        NodeMissingError: npm cannot reach esbuild.
        AssertionError: esbuild cannot bundle the sources; the message says where.
    """
    meta = folder / "meta.json"
    entries = [f"{name}={WEB / start}" for name, start in DOCUMENTS.items()]
    tools = packages(WEB)
    checked(tools.run("esbuild", *OPTIONS, f"--outdir={folder}", f"--metafile={meta}", "--log-level=warning", *entries))
    inputs = json.loads(meta.read_text(encoding="utf-8"))["inputs"]
    meta.unlink()
    return {(tools.folder / name).resolve() for name in inputs}


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        build(Path(made))
        shutil.rmtree(BUILT, ignore_errors=True)
        BUILT.mkdir()
        for name in DOCUMENTS:
            shutil.copy(Path(made, f"{name}.js"), BUILT)
