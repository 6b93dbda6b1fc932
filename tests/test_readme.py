"""The first pages: the README is short, what they print is what a start prints, and the Chinese ones run the same code.

Their examples are tested in `test_docs.py`.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from service.api.routes.service import ReadinessReport
from service.datasets import DEMOS
from service.retrieval.documents.seeding import Progress
from service.server.startup import StartupProgress, announcement
from softkv.commands.console import messages
from tests.examples import ROOT, Page
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
START, ASKED = (text for language, text in TUTORIAL.blocks if language == "text")


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


@pytest.mark.parametrize("english", CHINESE, ids=lambda page: page.name)
def test_a_chinese_page_has_the_code_of_the_english_one(english):
    assert CHINESE[english].blocks == english.blocks


def test_the_tutorial_shows_the_lines_of_a_first_start():
    """Each line of the block comes from a start with the demo collections of `make run`, in the same order."""
    names = re.findall(r"^DEMO \?= (.+)$", Page("Makefile").text, re.MULTILINE)[0].split(",")
    demos = {name: Progress(name) for name in names}
    service = Service(*demos.values())
    progress = service.starting(command=".venv/bin/softkv")
    loading = ["encoder all-MiniLM-L6-v2", "demo python", "demo unicode"]
    printed = [announcement("127.0.0.1", 8000, messages())]
    printed += lines(progress, loading)
    for name in ("library", "videos"):
        demos[name].done = demos[name].total = count(name)
        printed += lines(progress, loading)
    service.now = 10.0
    printed += lines(progress, loading)
    for name in ("python", "unicode"):
        demos[name].done = demos[name].total = int(re.findall(rf"^{name} \d+ of (\d+)$", START, re.MULTILINE)[0])
        printed += lines(progress, loading)
    printed += lines(progress, [])
    assert printed == START.splitlines()


def lines(progress: StartupProgress, loading: list[str]) -> list[str]:
    return [message.line for message in progress.messages(ReadinessReport(loading, []))]


def count(name: str) -> int:
    return sum(1 for _ in DEMOS[name].documents())


def test_the_tutorial_shows_the_output_of_the_command(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from softkv.cli import program

    monkeypatch.setenv("COLUMNS", "80")
    with RunningService(data_dir=tmp_path, demo=("library",), precision="int16") as running:
        running.wait_until_ready()
        command = ["attend", "--url", running.url, "library", "pets that purr", "--top-k", "2"]
        printed = CliRunner().invoke(program(), command).stdout
    assert [line.rstrip() for line in printed.splitlines()][: len(ASKED.splitlines())] == ASKED.splitlines()
