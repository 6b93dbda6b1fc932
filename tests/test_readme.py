"""The first pages: the README is short, what they print is what a start prints, and the Chinese ones take these steps.

Their examples are tested in `test_docs.py`; those of the Chinese tutorial here, at night, by the model that it needs.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from zipfile import ZipFile

import pytest

from softkv.commands.console import messages
from softkv_service.api.state import ReadinessReport
from softkv_service.datasets import DEMOS
from softkv_service.encoding.registry import DEFAULT_MODEL, MULTILINGUAL
from softkv_service.retrieval.documents.seeding import Progress
from softkv_service.server.startup import StartupProgress, announcement
from tests.checkpoints import made_wheel
from tests.examples import ROOT, Page, run_python
from tests.running import RunningService
from tests.service.server.test_startup import Service
from tests.test_house import HOUSE
from tools.release import PLACEHOLDER, source

README = Page("README.md")
TUTORIAL = Page("docs/start/tutorial.md")
CHINESE = {README: Page("docs/zh/README.md"), TUTORIAL: Page("docs/zh/tutorial.md")}
CLONE = f"git clone https://github.com/{source(ROOT)[1]}/softkv"
BY_NAME = re.compile(
    r"\b(?:pip3?|pipx|npm|uv tool) install [^`\n]*(?<![./\-\w])(?:[a-z-]+-)?softkv\b(?!_).*|--from\W+softkv.*"
)


def test_the_readme_is_short():
    lines = README.prose.splitlines()
    words = [word for line in lines if not line.startswith("|") for word in line.split()]
    assert len(README.text.splitlines()) <= 110
    assert len(words) <= 560


def test_the_first_screen_of_the_readme_has_a_picture_a_command_and_python_without_a_server():
    screen = "\n".join(README.text.splitlines()[:32])
    assert README.text.splitlines()[3].startswith("Apache-2.0 · not released yet · Linux on x86-64, ")
    assert "](docs/pictures/answer.svg)" in screen
    assert f"```sh\n{CLONE} && cd softkv && make run\n```" in screen
    first = next(text for language, text in README.blocks if language == "python")
    assert first in screen
    assert "Client.local()" in first
    assert 4 <= sum(bool(line) and not line.startswith("#") for line in first.splitlines()) <= 8


@pytest.mark.parametrize("name", ["README.md", "docs/zh/README.md", "docs/start/installing.md"])
def test_a_page_explains_the_placeholder_as_long_as_it_is_one(name):
    assert (f"`{PLACEHOLDER}`" in Page(name).prose) == (PLACEHOLDER in CLONE)
    assert CLONE in Page(name).text


@pytest.mark.skipif(PLACEHOLDER not in CLONE, reason="softkv is published")
def test_neither_a_page_nor_a_message_installs_an_unpublished_package_by_name():
    """An index may have another project's package of that name, and pip takes the highest version of all sources."""
    listed = ["git", "ls-files", "*.md", "*.ipynb", "*.toml", *(f"{name}/*.py" for name in HOUSE)]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert [line for name in [*names, "Makefile"] for line in BY_NAME.findall((ROOT / name).read_text("utf-8"))] == []


def test_the_chinese_readme_has_the_code_of_the_english_one():
    assert CHINESE[README].blocks == README.blocks


def test_the_chinese_tutorial_takes_the_steps_of_the_english_one():
    def steps(page):
        code = "".join(text for language, text in page.blocks if language == "python")
        calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)}
        named = {call for call in calls if "'" not in call} - {"faq.change"}  # its null level stays
        return [language for language, _ in page.blocks], named

    assert steps(CHINESE[TUTORIAL]) == steps(TUTORIAL)


@pytest.mark.parametrize(
    ("page", "encoder", "line", "encoded"), [(TUTORIAL, DEFAULT_MODEL, -1, 2), (CHINESE[TUTORIAL], MULTILINGUAL, 0, 0)]
)
def test_the_tutorial_shows_the_lines_of_a_first_start(page, encoder, line, encoded):
    """Each line of the block comes from a start with the demo collections of `make run`, in the same order.

    Args:
        encoded: the number of demo collections whose vectors need not be computed.
    """
    start = shown(page)[0]
    names = re.findall(r"^DEMO \?= (.+)$", Page("Makefile").text, re.MULTILINE)[line].split(",")
    demos = {name: Progress(name) for name in names}
    progress = Service(*demos.values()).starting(command=".venv/bin/softkv")
    loading = [f"encoder {encoder}", *(f"demo {name}" for name in names[encoded:])]
    printed = [announcement("127.0.0.1", 8000, messages()), *lines(progress, loading)]
    for name in names:
        shown_count = int(re.findall(rf"^{name} \d+ of (\d+)", start, re.MULTILINE)[0])
        other_python = name in {"python", "unicode"}
        demos[name].done = demos[name].total = shown_count if other_python else len(list(DEMOS[name].documents()))
        printed += lines(progress, loading)
    printed += lines(progress, [])
    assert printed == start.splitlines()


def lines(progress: StartupProgress, loading: list[str]) -> list[str]:
    return [message.line for message in progress.messages(ReadinessReport(loading, []))]


def shown(page: Page) -> list[str]:
    """Return what a terminal shows: the lines of a start, and the answer to the first question."""
    return [text for language, text in page.blocks if language == "text"]


def check_command(page: Page, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare the output of the tutorial's command with the block below it."""
    from typer.testing import CliRunner

    from softkv.cli import program

    monkeypatch.setenv("COLUMNS", "80")
    command = next(text for language, text in page.blocks if language == "sh" and "softkv attend" in text)
    printed = CliRunner().invoke(program(), [*shlex.split(command)[1:], "--url", url]).stdout
    expected = shown(page)[1].splitlines()
    assert [line.rstrip() for line in printed.splitlines()][: len(expected)] == expected


def test_the_tutorial_shows_the_output_of_the_command(tmp_path, monkeypatch):
    with RunningService(data_dir=tmp_path, demo=("library",), precision="int16") as running:
        running.wait_until_ready()
        check_command(TUTORIAL, running.url, monkeypatch)


@pytest.mark.thorough
def test_the_chinese_tutorial_shows_the_answers_of_the_model_of_many_languages(tmp_path, monkeypatch):
    with ZipFile(made_wheel(MULTILINGUAL)) as wheel:
        wheel.extractall(tmp_path / "model")
    monkeypatch.syspath_prepend(tmp_path / "model")
    settings = {"demo": ("library-zh",), "encoder": MULTILINGUAL, "precision": "int16"}
    with RunningService(data_dir=tmp_path / "data", **settings) as running:
        running.wait_until_ready()
        check_command(CHINESE[TUTORIAL], running.url, monkeypatch)
        assert run_python(CHINESE[TUTORIAL], running.url) > 0
