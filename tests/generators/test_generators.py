"""Clients that generators make of openapi.json, by the commands of the documentation: none lacks a call, their types
hold, and calls by them are answered."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import ROOT, SHOWN_URL, Page
from tests.running import RunningService
from tests.service.api.contract import Contract, checked_in
from tools.node import DESCRIPTION, NodeMissingError, Packages, checked, node, packages

HERE = Path(__file__).parent
PAGE = Page("docs/reference/other-languages.md")
COMMANDS = [
    shlex.split(text.replace("\\\n", " ").removeprefix("npx ")) for language, text in PAGE.blocks if language == "sh"
]
INSTALLED = ROOT / ".venv-integrations" / "bin"
OPERATIONS = Contract(checked_in()).operations.keys()
# program → how what it makes names a call
IN_PYTHON = {
    "openapi-python-client": r"^softkv_client/api/\w+/([a-z]\w*)\.py",
    "datamodel-codegen": r"^client/resources/\w+/_sync\.py:    def ([a-z]\w*)\(",
}
IN_TYPESCRIPT = {
    "openapi-typescript": r"\.ts:    (\w+): \{$",
    "orval": r"\.ts:export const (\w+) = async",
    "openapi-ts": r"\.ts:export const (\w+) = <",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with RunningService(data_dir=tmp_path_factory.mktemp("data")) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture
def folder(tmp_path, running):
    """Return a folder with the files that the commands read."""
    shutil.copy(ROOT / DESCRIPTION, tmp_path)
    for language, name in {"yaml": "generator.yml", "js": "orval.config.mjs"}.items():
        (text,) = (text for shown, text in PAGE.blocks if shown == language)
        (tmp_path / name).write_text(text.replace(SHOWN_URL, running.url), encoding="utf-8")
    return tmp_path


def command(program: str) -> list[str]:
    """Return the page's command that begins with a program."""
    (words,) = (words for words in COMMANDS if words[0] == program)
    return words


def script(program: str, suffix: str) -> Path:
    """Return the file of the calls by a program's client."""
    return HERE / f"with_{program.replace('-', '_')}{suffix}"


def calls(folder: Path, suffix: str, pattern: str) -> set[str]:
    """Return the calls that a client has, by their names in the description."""
    lines = "".join(
        f"{path.relative_to(folder)}:{line}\n"
        for path in folder.rglob(f"*{suffix}")
        if "node_modules" not in path.parts
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    return {re.sub("[A-Z]", r"_\g<0>", name).lower() for name in re.findall(pattern, lines, re.MULTILINE)}


def check(answers: str, running: RunningService) -> None:
    """Check what a script has written."""
    with running.client() as client:
        embeddings = client.post("/v1/encode", json={"texts": ["cats"]}).json()["embeddings"]
    second, key = 1 / (1 + math.e), 1 / (1 + math.exp(2))
    assert json.loads(answers) == {
        "dimension": 2,
        "upserted": 3,
        "document": ["a/b?", 2001],
        "weights": [["a/b?", pytest.approx(1 - second)], ["c", pytest.approx(second)]],
        "best": ["a/b?", "c", "c"],
        "output": [[pytest.approx(10 + 10 * key)]],
        "embeddings": embeddings,
        "rows": 1,
        "refused": [422, "invalid_content", "/query"],
        "deleted": 1,
        "statuses": [204, 204],
        "missing": "collection_not_found",
    }


def run(folder: Path, *words: str | Path, **variables: str) -> str:
    """Run a command in the folder, whose modules Python and mypy find."""
    found = {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"} | variables
    return checked(
        subprocess.run(words, cwd=folder, env=os.environ | found, capture_output=True, text=True, check=False)
    )


@pytest.mark.thorough
@pytest.mark.integration
@pytest.mark.parametrize("program", IN_PYTHON)
def test_a_client_in_python(folder, running, program):
    name, *options = command(program)
    if not (INSTALLED / name).exists():
        pytest.skip(f"there is no {name} in .venv-integrations: make test-thorough installs it")
    assert "WARNING" not in run(folder, INSTALLED / name, *options)
    assert OPERATIONS - calls(folder, ".py", IN_PYTHON[program]) == set()

    file = script(program, ".py")
    options = ["--config-file=", f"--cache-dir={folder / 'cache'}", f"--python-executable={INSTALLED / 'python'}"]
    run(folder, sys.executable, "-m", "mypy", *options, file, folder, PYTHONPATH="", MYPYPATH=str(folder))
    check(run(folder, INSTALLED / "python", file, running.url), running)


@pytest.mark.thorough
@pytest.mark.node
@pytest.mark.parametrize("program", IN_TYPESCRIPT)
def test_a_client_in_typescript(folder, running, program):
    try:
        (folder / "node_modules").symlink_to(packages(HERE).folder / "node_modules")
    except NodeMissingError as missing:
        pytest.skip(str(missing))
    tools = Packages(folder)
    checked(tools.run(*command(program)))
    assert OPERATIONS - calls(folder, ".ts", IN_TYPESCRIPT[program]) == set()

    file = shutil.copy(script(program, ".mts"), folder)
    shutil.copy(HERE / "tsconfig.json", folder)
    checked(tools.run("tsc", "--project", folder))
    checked(tools.run("esbuild", file, "--bundle", "--platform=node", "--format=esm", "--outfile=calls.mjs"))
    check(checked(node(folder, "calls.mjs", running.url)), running)


def test_the_page_names_the_versions_that_are_tested():
    pins = (ROOT / "constraints-integrations.txt").read_text(encoding="utf-8")
    locked = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    versions = re.findall(r"^(?:openapi-python-client|datamodel-code-generator)==(.*)$", pins, re.MULTILINE)
    versions += [locked[name] for name in ("openapi-typescript", "openapi-fetch", "orval", "@hey-api/openapi-ts")]
    assert sorted(versions) == sorted(re.findall(r"\d+\.\d+\.\d+", PAGE.prose.replace("127.0.0.1", "")))
