"""The script `softkv`: the commands of the client alone, and with those of the service."""

from __future__ import annotations

import sys

import pytest
import typer
from typer.testing import CliRunner

from service.cli import app
from softkv import cli, scripts


def names(program: typer.Typer) -> set[str]:
    """Return the names of a program's commands and groups of commands."""
    commands = getattr(typer.main.get_command(program), "commands", {})
    return set(commands)


def test_the_client_alone_lists_all_commands_and_runs_its_own() -> None:
    client = names(cli.client_program())
    assert client == names(app)
    assert client - cli.OF_THE_SERVICE.keys() == {
        *("alias", "attend", "backup", "calibrate", "check-index", "encode", "export", "load", "mcp", "re-encode"),
    }


@pytest.mark.parametrize("name", cli.OF_THE_SERVICE)
@pytest.mark.parametrize("arguments", [(), ("--help",), ("--port", "80", "more")], ids=" ".join)
def test_a_command_of_the_service_names_the_package_to_install(name: str, arguments: tuple[str, ...]) -> None:
    ended = CliRunner().invoke(cli.client_program(), [name, *arguments])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"softkv: `softkv {name}` comes with the service")
    assert "pip install dist/*.whl" in " ".join(ended.stderr.split())


def test_help_and_version_of_the_client_alone_name_the_client() -> None:
    ended = CliRunner().invoke(cli.client_program(), ["--help"])
    assert "Commands of the service, which is not installed" in ended.stdout
    assert CliRunner().invoke(cli.client_program(), ["--version"]).stdout.startswith("softkv-client ")


@pytest.mark.parametrize(
    ("script", "missing", "requirement"),
    [
        (scripts.softkv, "orjson", "orjson>=3.10"),
        (scripts.softkv_mcp, "mcp", "mcp>=2.3,<3"),
        (scripts.softkv_mcp, "typer", "typer>=0.24"),
    ],
)
def test_a_script_says_which_package_it_needs(
    script: object, missing: str, requirement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert callable(script)
    with pytest.raises(SystemExit, match=f"{missing} is not installed: run `pip install '{requirement}'`"):
        script()
