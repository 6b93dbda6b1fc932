"""Wheels of the client in environments with nothing else: what each extra brings, and the service beside it.

pip takes the wheels of this checkout, and every other package from where it finds packages, at the tested versions.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from tests.examples import ROOT
from tests.running import RunningService
from tests.test_wheels import dist, plain_environment

__all__ = ["dist"]
pytestmark = pytest.mark.thorough

ROWS = [{"id": "a", "key_vector": [1, 0], "value": "first"}, {"id": "b", "key_vector": [0, 1], "value": "second"}]
MEGABYTE = 10**6
MOST_MEGABYTES = {"": 95, "[cli]": 115, "[mcp]": 145}


@dataclass(frozen=True)
class Environment:
    """A virtual environment without pip; pip of these tests changes it, and takes wheels of the folder `dist`."""

    folder: Path
    dist: Path

    def pip(self, *words: str) -> None:
        """Run pip for this environment."""
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(self.python)]
        subprocess.run([*pip, *words], check=True, env=plain_environment(), cwd=self.folder)

    def install(self, *requirements: str) -> None:
        """Install distributions, those of this checkout from its wheels."""
        find = ["--find-links", str(self.dist), "-c", str(ROOT / "constraints.txt")]
        self.pip("install", *find, *requirements)

    def run(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a script of this environment."""
        command = [str(self.folder / "bin" / script), *words]
        return subprocess.run(
            command, env=plain_environment(), cwd=self.folder, capture_output=True, text=True, check=False
        )

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        """The folder of its packages."""
        return self.folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    @property
    def megabytes(self) -> float:
        """The size of all files of its packages, in 10⁶ bytes."""
        return sum(path.stat().st_size for path in self.packages.rglob("*") if path.is_file()) / MEGABYTE


def bare(folder: Path, dist: Path) -> Environment:
    venv.create(folder, with_pip=False)
    return Environment(folder, dist)


@pytest.fixture(scope="module", params=MOST_MEGABYTES, ids=lambda extra: extra or "alone")
def extra(request: pytest.FixtureRequest) -> str:
    """Return each extra, as in a requirement."""
    return str(request.param)


@pytest.fixture(scope="module")
def client(extra: str, dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with only the client and the packages of one extra."""
    environment = bare(tmp_path_factory.mktemp("client") / "env", dist)
    environment.install(f"softkv-client{extra}")
    return environment


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Return a service in this process, with a small collection."""
    with (
        RunningService(data_dir=tmp_path_factory.mktemp("data"), encoder="none") as running,
        running.client() as http,
    ):
        http.put("/v1/collections/letters", json={"similarity": "dot"}).raise_for_status()
        http.post("/v1/collections/letters/documents", json={"documents": ROWS}).raise_for_status()
        yield running


def test_it_imports_without_the_service_and_is_small(client: Environment, extra: str) -> None:
    program = "from importlib.util import find_spec as find; import softkv; print(find('service'), find('attention'))"
    assert client.run("python", "-c", program).stdout == "None None\n"
    assert client.megabytes <= MOST_MEGABYTES[extra]


def test_a_script_without_its_extra_says_what_to_install(client: Environment, extra: str) -> None:
    for script, needed in (("softkv", "[cli]"), ("softkv-mcp", "[mcp]")):
        ended = client.run(script, "--help")
        if needed == extra:
            assert (ended.returncode, ended.stderr) == (0, "")
        else:
            assert (ended.returncode, ended.stdout) == (1, "")
            assert f"pip install 'softkv-client{needed}'" in ended.stderr


@pytest.mark.parametrize("extra", ["[cli]"], indirect=True)
def test_its_commands_reach_a_service(client: Environment, served: RunningService) -> None:
    where = ("--url", served.url, "--json")
    attended = client.run("softkv", "attend", "letters", "[1, 0]", "--vector", *where)
    assert json.loads(attended.stdout)["matches"][0]["value"] == "first", attended.stderr
    for words in (
        ("export", "letters", "letters.ndjson"),
        ("load", "letters.ndjson", "--collection", "copied"),
        ("backup", "all.softkv"),
    ):
        ended = client.run("softkv", *words, *where)
        assert ended.returncode == 0, ended.stderr
    with served.client() as http:
        assert http.get("/v1/collections/copied").json()["documents"] == len(ROWS)
    ended = client.run("softkv", "serve", "--port", "8001")
    assert ended.returncode == 1
    assert "pip install softkv" in ended.stderr


@pytest.mark.parametrize("extra", ["[mcp]"], indirect=True)
def test_its_mcp_server_reaches_a_service(client: Environment, served: RunningService) -> None:
    server = StdioServerParameters(command=str(client.folder / "bin" / "softkv-mcp"), args=["--url", served.url])

    async def talk() -> list[str]:
        async with Client(server) as speaker:
            found = await speaker.call_tool("find", {"collection": "letters"})
            assert found.structured_content is not None
            return [document["id"] for document in found.structured_content["documents"]]

    assert asyncio.run(talk()) == ["a", "b"]


def test_either_distribution_comes_and_goes_beside_the_other(dist: Path, tmp_path: Path) -> None:
    """The script belongs to the client, and finds the service's commands by an entry point."""
    environment = bare(tmp_path / "env", dist)

    def knows_the_service() -> bool:
        return environment.run("softkv", "--version").stdout.startswith("softkv 0")

    environment.install("softkv-client[cli]")
    assert not knows_the_service()
    service = ("--no-deps", "--no-index", "softkv")
    environment.install(*service)
    assert knows_the_service()
    assert "--data-dir" in environment.run("softkv", "restore", "--help").stdout
    environment.pip("uninstall", "--yes", "softkv")
    assert not knows_the_service()
    assert "comes with the service" in environment.run("softkv", "serve").stderr
    assert environment.run("softkv", "attend", "--help").returncode == 0

    environment.install(*service)
    environment.pip("uninstall", "--yes", "softkv-client")
    assert not (environment.folder / "bin" / "softkv").exists()
    environment.install("--no-deps", "--no-index", "softkv-client")
    assert knows_the_service()
    scripts = {"softkv", "softkv-mcp"}
    assert scripts <= {path.name for path in (environment.folder / "bin").iterdir()}
    environment.pip("uninstall", "--yes", "softkv", "softkv-client")
    assert not scripts & {path.name for path in (environment.folder / "bin").iterdir()}
