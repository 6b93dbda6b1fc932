"""Add the notebook that runs in a browser to a built site: `python -m tools.documentation.in_browser SITE --cache DIR`.

Python is Pyodide, from its package in npm, whose lock has the digest of its own wheel of NumPy. That wheel is on PyPI
only inside the package of another application, from which it is taken if it has this digest. All downloads are pinned.
The files are kept in the cache: `make docs LESSON=1` then needs no network. If Pyodide's wheel of NumPy is put there by
hand, the large package is not downloaded.
"""

from __future__ import annotations

import argparse
import gzip
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from markdown_it import MarkdownIt

from tools import node
from tools.documentation.pages import DOCS, ROOT, with_site_links

SOURCES = DOCS / "site" / "in-browser"
NOTEBOOKS = {"en": "notebooks/attention-as-a-lookup", "zh": "zh/attention-as-a-lookup"}
FILES = {"en": "index.html", "zh": "zh.html"}
TARGET = "in-browser"
PYODIDE = "314.0.3"
PYODIDE_SHA256 = "d7f7d24f8db486c7eda7280f3b0f7517524c8e43e8b086c6ee6ae8016658b484"
RUNTIME = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
CARRIER = "open_webui"
"""The distribution that has the wheel of NumPy among its files."""
PLATFORM = ("--platform", "pyemscripten_2026_0_wasm32", "--python-version", "3.14", "--implementation", "cp")
LINKS = {
    "en": "[Run this notebook in your browser](../in-browser/index.html), without installing anything.",
    "zh": "[在浏览器里运行这份笔记本](../in-browser/zh.html)，什么都不用安装。",
}


def add(site: Path, cache: Path) -> float:
    """Write the notebook and all that it needs into a built site, and return its size in MB as a browser loads it.

    Args:
        site: the site's folder.
        cache: the folder of downloaded files.

    Raises:
        SystemExit: a file cannot be had, or has another digest.
    """
    folder = site / TARGET
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    cache.mkdir(parents=True, exist_ok=True)
    _unpack_pyodide(_pyodide(cache), folder / "pyodide")
    lock = json.loads((folder / "pyodide" / "pyodide-lock.json").read_text(encoding="utf-8"))
    wheels = [_numpy(cache, lock["packages"]["numpy"]), *_other_wheels(cache), *_own(folder)]
    for wheel in wheels:
        if wheel.parent != folder:
            shutil.copy(wheel, folder)
    for name in ("page.css", "page.js", "worker.js"):
        shutil.copy(SOURCES / name, folder)
    size = sum(len(gzip.compress(path.read_bytes())) for path in folder.rglob("*") if path.is_file()) / 1e6
    files = {"wheels": [wheel.name for wheel in wheels], "megabytes": round(size)}
    (folder / "files.json").write_text(json.dumps(files), encoding="utf-8")
    for language in FILES:
        (folder / FILES[language]).write_text(page(language), encoding="utf-8")
        _link(site / f"{NOTEBOOKS[language]}.html", language)
    return size


def page(language: str) -> str:
    """Return the document of the notebook in a language."""
    words = json.loads((SOURCES / "words.json").read_text(encoding="utf-8"))[language]
    [other] = set(FILES) - {language}
    source = f"docs/{NOTEBOOKS[language]}.ipynb"
    content = json.loads((ROOT / source).read_text(encoding="utf-8"))
    numbers = iter(range(len(content["cells"])))
    parts = [
        _text(cell, source) if cell["cell_type"] == "markdown" else _code(cell, next(numbers), words)
        for cell in content["cells"]
    ]
    [title] = re.findall(r"^# (.+)$", "".join(content["cells"][0]["source"]), re.MULTILINE)
    values = {name: html.escape(text) for name, text in words.items()} | {
        "title": html.escape(title),
        "language": {"en": "en", "zh": "zh-Hans"}[language],
        "other_language": {"en": "en", "zh": "zh-Hans"}[other],
        "other": FILES[other],
        "page": f"../{NOTEBOOKS[language]}.html",
        "words": html.escape(json.dumps(words, ensure_ascii=False)),
        "cells": "\n".join(parts),
    }
    template = (SOURCES / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], template)


def _text(cell: dict[str, Any], source: str) -> str:
    linked = with_site_links("".join(cell["source"]), source, f"{TARGET}/index.md", "main")
    return re.sub(r'(href="[^":#]+)\.md(?=[#"])', r"\1.html", str(MarkdownIt("commonmark").render(linked)))


def _code(cell: dict[str, Any], number: int, words: dict[str, str]) -> str:
    text = "".join(cell["source"])
    label = html.escape(words["cell"].replace("{number}", str(number)))
    attributes = f'aria-label="{label}" rows="{text.count(chr(10)) + 1}" spellcheck="false" autocapitalize="off"'
    area = f"<textarea {attributes}>\n{html.escape(text)}</textarea>"
    button = f'<button type="button" disabled>{words["run"]}</button>'
    if cell["metadata"].get("jupyter", {}).get("source_hidden"):
        area = f"<details><summary>{words['checks']}</summary>{area}</details>"
    return f'<div class="cell">{area}{button}<pre aria-live="polite"></pre></div>'


def _link(file: Path, language: str) -> None:
    """Lead from the page of the notebook to the one that runs."""
    text = file.read_text(encoding="utf-8")
    linked, count = re.subn("</h1>", lambda end: end[0] + MarkdownIt().render(LINKS[language]), text, count=1)
    if not count:
        raise SystemExit(f"{file} has no heading below which a link could be")
    file.write_text(linked, encoding="utf-8")


def _pyodide(cache: Path) -> Path:
    file = cache / f"pyodide-{PYODIDE}.tgz"
    if not file.exists():
        done = node.npm(cache, "pack", f"pyodide@{PYODIDE}")
        if done.returncode:
            raise SystemExit(f"npm could not get Pyodide: {done.stderr.strip()[-500:]}")
    _check(file, PYODIDE_SHA256)
    return file


def _unpack_pyodide(file: Path, folder: Path) -> None:
    folder.mkdir()
    with tarfile.open(file) as archive:
        for name in RUNTIME:
            member = archive.extractfile(f"package/{name}")
            assert member is not None
            (folder / name).write_bytes(member.read())


def _numpy(cache: Path, package: dict[str, Any]) -> Path:
    """Return Pyodide's wheel of NumPy, whose name and digest are in Pyodide's lock."""
    wheel = cache / package["file_name"]
    if not wheel.exists():
        with tempfile.TemporaryDirectory() as temporary:
            [carrier] = _download(Path(temporary), CARRIER)
            with ZipFile(carrier) as archive:
                [name] = [name for name in archive.namelist() if name.endswith("/" + wheel.name)]
                wheel.write_bytes(archive.read(name))
    _check(wheel, package["sha256"])
    return wheel


def _other_wheels(cache: Path) -> list[Path]:
    names = ("array_api_compat", "xxhash")
    missing = [name for name in names if not list(cache.glob(f"{name}-*.whl"))]
    if missing:
        _download(cache, *missing)
    return [path for name in names for path in cache.glob(f"{name}-*.whl")]


def _own(folder: Path) -> list[Path]:
    """Build the wheels of the client and of softkv-core, without kernels in C: NumPy answers in a browser."""
    ignored = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    for name in ("attention", "clients/python"):
        with tempfile.TemporaryDirectory() as temporary:
            copy = shutil.copytree(ROOT / name, Path(temporary, name), ignore=ignored)
            _pip("wheel", "--no-deps", "--no-build-isolation", "-w", folder, copy, SOFTKV_PLATFORM="any")
    return sorted(folder.glob("softkv_*.whl"))


def _download(folder: Path, *distributions: str) -> list[Path]:
    """Download distributions of the lock for Pyodide, by their digests."""
    blocks = re.findall(
        r"^[\w-]+==.+?(?=^\w|\Z)", (SOURCES / "requirements.lock").read_text(), re.DOTALL | re.MULTILINE
    )
    chosen = [block for block in blocks if block.partition("==")[0].replace("-", "_") in distributions]
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as lock:
        lock.write("".join(chosen))
        lock.flush()
        flags = ("--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--require-hashes", *PLATFORM)
        _pip("download", *flags, "-r", lock.name, "-d", folder)
    return [path for name in distributions for path in folder.glob(f"{name}-*.whl")]


def _pip(*arguments: str | Path, **environment: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pip {arguments[0]} failed: {done.stderr.strip()[-500:]}")


def _check(file: Path, digest: str) -> None:
    came = sha256(file.read_bytes()).hexdigest()
    if came != digest:
        raise SystemExit(f"{file} has the digest {came}, expected {digest}: delete it")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    arguments = parser.parse_args()
    sys.stdout.write(f"The notebook in the browser loads {add(arguments.folder, arguments.cache):.1f} MB.\n")
