"""The notebook that runs in a browser: Python, NumPy and softkv-core as WebAssembly, from the service alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import FLAGS
from tests.examples import ROOT
from tests.running import RunningService
from tools.documentation import in_browser
from tools.node import NodeMissingError
from tools.notebook import Notebook, assert_shows

pytestmark = pytest.mark.thorough  # it downloads 113 MB, if dist/in-browser lacks the files

ENGLISH = Notebook(ROOT / "docs" / "notebooks" / "attention-as-a-lookup.ipynb")
CHINESE = Notebook(ROOT / "docs" / "zh" / "attention-as-a-lookup.ipynb")
ONLY_HERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
LOADED = 120_000
"""Milliseconds in which Python must have loaded."""


@pytest.fixture(scope="module")
def site(documentation_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a built site with the notebook."""
    folder = tmp_path_factory.mktemp("with-notebook") / "site"
    shutil.copytree(documentation_site, folder)
    try:
        megabytes = in_browser.add(folder, ROOT / "dist" / "in-browser")
    except (SystemExit, NodeMissingError) as error:
        pytest.skip(f"the files of the notebook cannot be had: {error}")
    assert megabytes < 12
    return folder


@pytest.fixture(scope="module")
def service(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Yield a service with that site."""
    with RunningService(data_dir=tmp_path_factory.mktemp("data"), encoder="none", site=site) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def offline(browser_path: str) -> Iterator[Any]:
    """Yield a browser that finds no other host than this machine."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=[*FLAGS, ONLY_HERE])
        yield browser
        browser.close()


@pytest.fixture
def open_notebook(offline: Any, service: RunningService) -> Iterator[Any]:
    """Yield a function that opens a document of the notebook and waits for Python; nothing may go wrong meanwhile."""
    page = offline.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))

    def open_and_wait(name: str) -> Any:
        page.goto(f"{service.url}/docs/in-browser/{name}")
        page.wait_for_selector("#all:enabled", timeout=LOADED)
        return page

    yield open_and_wait
    page.close()
    assert wrong == []


def run_all(page: Any, ready: str) -> list[str]:
    """Run all cells → their outputs."""
    page.click("#all")
    page.wait_for_function("text => document.querySelector('#state').textContent === text", arg=ready, timeout=LOADED)
    return [output.text_content() for output in page.query_selector_all(".cell pre")]


def answer(page: Any, cell: int, expression: str) -> str:
    """Put an expression into the blank of an exercise and run it → its output."""
    area = page.locator(".cell textarea").nth(cell)
    area.fill(area.input_value().replace("= ...", f"= {expression}"))
    output = page.locator(".cell pre").nth(cell)
    before = output.text_content()
    area.press("Shift+Enter")
    page.wait_for_function("([node, text]) => node.textContent !== text", arg=[output.element_handle(), before])
    return output.text_content()


@pytest.mark.parametrize(
    ("name", "notebook", "ready"),
    [("index.html", ENGLISH, "Python is ready."), ("zh.html", CHINESE, "Python 已就绪。")],
    ids=["english", "chinese"],
)
def test_every_cell_prints_in_the_browser_as_in_python(open_notebook, name, notebook, ready):
    outputs = run_all(open_notebook(name), ready)
    shown = [[{"name": "stdout", "output_type": "stream", "text": text}] if text else [] for text in outputs]
    assert_shows(notebook, shown)


def test_a_right_answer_a_mistake_and_an_error_of_python(open_notebook):
    page = open_notebook("index.html")
    numbers = [index for index, cell in enumerate(ENGLISH.cells) if cell["id"] in ENGLISH.exercises]
    first, second, third = numbers[:3]
    assert answer(page, first, "keys @ query / np.linalg.norm(query)").startswith("Right. ")
    assert answer(page, second, "np.exp(logits)").startswith("These are exp(logits)")
    message = answer(page, third, "weights @ nothing")
    assert message.splitlines()[0].strip() == f'File "cell {third}", line 2, in <module>'
    assert message.splitlines()[-1] == "NameError: name 'nothing' is not defined"
