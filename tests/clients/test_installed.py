"""Wheels of the client in environments with nothing else: what each extra brings, and the service beside it.

pip takes the wheels of this checkout, and every other package from where it finds packages, at the tested versions.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.test_wheels import Bare, dist, plain_environment

__all__ = ["dist"]
pytestmark = pytest.mark.install

MOST_MEGABYTES = {"": 75, "[cli]": 90, "[mcp]": 115}


class Environment(Bare):
    """A bare environment, whose scripts may fail."""

    def __init__(self, folder: Path, dist: Path) -> None:
        super().__init__(folder, dist)
        self.folder, self.scripts = folder, folder / "bin"

    def pip(self, *words: str) -> None:
        """Run pip for this environment."""
        self._run([*self._pip, *words])

    def end(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a script of this environment to its end."""
        command = [str(self.scripts / script), *words]
        return subprocess.run(
            command, env=plain_environment(), cwd=self.folder, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module", params=MOST_MEGABYTES, ids=lambda extra: extra or "alone")
def extra(request: pytest.FixtureRequest) -> str:
    """Return each extra, as in a requirement."""
    return str(request.param)


@pytest.fixture(scope="module")
def client(extra: str, dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with only the client and the packages of one extra."""
    environment = Environment(tmp_path_factory.mktemp("client") / "env", dist)
    environment.install(f"softkv-client{extra}")
    return environment


def test_the_client_imports_without_the_service_and_is_small(client: Environment, extra: str) -> None:
    found = "find('softkv_service'), find('softkv_attention')"
    program = f"from importlib.util import find_spec as find; import softkv; print({found})"
    assert client.run("python", "-c", program) == "None None\n"
    assert client.megabytes() <= MOST_MEGABYTES[extra]


def test_a_script_without_its_extra_names_the_package_to_install(client: Environment, extra: str) -> None:
    for script, needed, code, named in (
        ("softkv", "[cli]", 1, "'orjson>="),
        ("softkv-mcp", "[mcp]", 2, "`softkv-client[mcp]`"),
    ):
        ended = client.end(script, "--help")
        if needed == extra:
            assert (ended.returncode, ended.stderr) == (0, "")
        else:
            assert (ended.returncode, ended.stdout) == (code, "")
            assert named in ended.stderr.partition("install ")[2]


@pytest.mark.thorough
def test_either_distribution_comes_and_goes_beside_the_other(dist: Path, tmp_path: Path) -> None:
    """The script belongs to the client, and finds the service's commands by an entry point."""
    environment = Environment(tmp_path / "env", dist)

    def knows_the_service() -> bool:
        return environment.end("softkv", "--version").stdout.startswith("softkv 0")

    environment.install("softkv-client[cli]")
    assert not knows_the_service()
    take = ("install", "--quiet", "--no-deps", "--no-index", "--find-links", str(dist))
    environment.pip(*take, "softkv")
    assert knows_the_service()
    assert "--data-dir" in environment.end("softkv", "restore", "--help").stdout
    environment.pip("uninstall", "--yes", "softkv")
    assert not knows_the_service()
    assert "install `softkv`" in environment.end("softkv", "serve").stderr
    assert environment.end("softkv", "attend", "--help").returncode == 0

    environment.pip(*take, "softkv")
    environment.pip("uninstall", "--yes", "softkv-client")
    assert not (environment.scripts / "softkv").exists()
    environment.pip(*take, "softkv-client")
    assert knows_the_service()
    scripts = {"softkv", "softkv-mcp"}
    assert scripts <= {path.name for path in environment.scripts.iterdir()}
    environment.pip("uninstall", "--yes", "softkv", "softkv-client")
    assert not scripts & {path.name for path in environment.scripts.iterdir()}
