"""The script `softkv`: the commands of the client alone, and with those of other distributions."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import EntryPoint

import pytest
import typer
from typer.testing import CliRunner

from softkv import cli, scripts
from tests.examples import ROOT
from tools.walls import WALLS

ALONE = cli.create_program(())
OTHERS = {name: requirement for requirement, commands in cli.NOT_INSTALLED.values() for name in commands}


def commands(program: typer.Typer) -> dict[str, typer.core.TyperCommand]:
    """Return a program's commands and groups of commands by their names."""
    return getattr(typer.main.get_command(program), "commands", {})


def test_the_client_alone_lists_all_commands_and_runs_its_own() -> None:
    names = commands(ALONE).keys()
    assert names == commands(cli.program()).keys()
    assert names - OTHERS.keys() == {
        *("alias", "attend", "backup", "calibrate", "encode", "export", "label", "load", "mcp", "re-encode")
    }


def test_a_command_has_the_same_help_before_and_after_its_installation() -> None:
    alone, whole = commands(ALONE), commands(cli.program())
    helps = {name: " ".join((whole[name].help or "").partition("\n\n")[0].split()) for name in OTHERS}
    assert helps == {name: alone[name].help for name in OTHERS}


@pytest.mark.parametrize(("name", "requirement"), OTHERS.items())
@pytest.mark.parametrize("arguments", [(), ("--help",), ("--port", "80", "more")], ids=" ".join)
def test_a_command_that_is_not_installed_names_its_requirement(
    name: str, requirement: str, arguments: tuple[str, ...]
) -> None:
    ended = CliRunner().invoke(ALONE, [name, *arguments])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"softkv: `softkv {name}` is not installed: install `{requirement}`, ")
    assert ended.stderr.count("\n") == 1


def test_a_requirement_is_of_an_existing_extra_or_distribution() -> None:
    extras = {}
    for folder in (ROOT / "clients/python", ROOT):
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras |= {f"{project['name']}[{name}]": lines for name, lines in project["optional-dependencies"].items()}
    for part, (requirement, _) in cli.NOT_INSTALLED.items():
        if part == "service":
            assert requirement == project["name"]
        else:
            distribution = WALLS[part].package.replace("_", "-")
            required = extras.get(requirement, [])
            assert requirement == distribution or any(line.startswith(f"{distribution}==") for line in required)


@pytest.mark.parametrize("name", cli.NOT_INSTALLED)
def test_one_distribution_without_the_others_has_its_commands(name: str) -> None:
    folder = WALLS[name].folder if name in WALLS else "."
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    part = EntryPoint(name, project["entry-points"][cli.ENTRY_POINTS][name], cli.ENTRY_POINTS)
    program = cli.create_program([part])
    listed = CliRunner().invoke(program, ["--help"], env={"COLUMNS": "120"}).stdout.split("─ Not installed ─")
    assert len(listed) == 2
    commands = cli.NOT_INSTALLED[name][1].keys()
    assert [command for command in OTHERS if f"│ {command} " in listed[0]] == [*commands]
    assert [command for command in OTHERS if f"│ {command} " in listed[1]] == [c for c in OTHERS if c not in commands]
    version = "softkv 0" if name == "service" else "softkv-client 0"
    assert CliRunner().invoke(program, ["--version"]).stdout.startswith(version)


def test_the_script_says_which_package_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    with pytest.raises(SystemExit, match=r"softkv: orjson is not installed: run `pip install 'orjson>=3\.10'`"):
        scripts.softkv()


def test_the_script_of_the_mcp_server_without_that_names_the_extra_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scripts, "find_spec", lambda name: None if name == "mcp" else object())
    with pytest.raises(SystemExit) as ended:
        scripts.softkv_mcp()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "softkv-mcp: mcp is not installed: install `softkv-client[mcp]`\n"
