"""Pages on the TypeScript client: examples compile and print their comments; every name is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.clients.typescript.conftest import HERE
from tests.examples import SHOWN_URL, Page, same_text
from tests.running import RunningService
from tools.node import CLIENT, ROOT, checked, node

PAGES = [Page("docs/reference/typescript.md"), Page("clients/typescript/README.md")]
INDEX = (ROOT / CLIENT / "src" / "index.ts").read_text(encoding="utf-8")
BETWEEN = "<next block>"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory):
    with RunningService(data_dir=tmp_path_factory.mktemp("typescript"), demo=("library",)) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def installed(checkout: Path) -> Path:
    """A folder where `softkv` is installed."""
    folder = checkout / HERE.relative_to(ROOT)
    modules = folder / "node_modules"
    modules.mkdir()
    (modules / "softkv").symlink_to(checkout / CLIENT)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_in_typescript_print_their_comments(page, installed, library):
    blocks = [text.replace(SHOWN_URL, library.url) for language, text in page.blocks if language == "ts"]
    assert blocks
    file = installed / "documented.mts"
    file.write_text(f"console.log('{BETWEEN}');\n".join(blocks), encoding="utf-8")
    compiler = installed / "node_modules" / "softkv" / "node_modules" / "typescript" / "bin" / "tsc"
    checked(node(installed, compiler, "--noEmit", "--project", installed))
    printed = checked(node(installed, file)).split(f"{BETWEEN}\n")
    file.unlink()
    for text, came in zip(blocks, printed, strict=True):
        same_text("\n".join(line[3:] for line in text.splitlines() if line.startswith("// ")), came.strip(), text)


def test_every_class_and_function_is_documented():
    exported = re.findall(r"^export \{([^}]+)\}", INDEX, re.MULTILINE)
    names = {name.strip() for item in exported for name in item.split(",")} - {"", "VERSION"}
    assert {"Client", "Pages", "F"} <= names
    assert names - set(re.findall(r"\w+", PAGES[0].text)) == set()


@pytest.mark.parametrize("file", ["client.ts", "collection.ts"])
def test_every_method_is_documented(file):
    text = (ROOT / CLIENT / "src" / file).read_text(encoding="utf-8")
    methods = set(re.findall(r"^  (?:async )?\*?([a-z]\w*)(?:<[^(]*>)?\(", text, re.MULTILINE)) - {"constructor"}
    assert len(methods) > 15
    assert methods - set(re.findall(r"\w+", PAGES[0].text)) == set()
