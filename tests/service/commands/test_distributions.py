"""Distributions that have files in softkv's folders are named by `softkv doctor` and by `softkv serve`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from softkv_service.commands.distributions import find_conflicts
from tests.service.commands.conftest import Softkv, serving


def install(site: Path, name: str, version: str, files: Mapping[str, str]) -> None:
    """Write a distribution as pip does; a later one overwrites files of an earlier one."""
    for file, content in files.items():
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_text(content)
    information = site / f"{name.replace('-', '_')}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [*(f"{file},sha256=x,{len(content)}" for file, content in files.items()), f"{information.name}/RECORD,,"]
    (information / "RECORD").write_text("\n".join(lines))


OWN = {"softkv_attention/__init__.py": "", "softkv_attention/arrays.py": "", "softkv_attention/masks.py": ""}


def test_files_that_two_distributions_have_are_named(tmp_path: Path) -> None:
    install(tmp_path, "softkv-core", "0.1.0", OWN)
    install(tmp_path, "softkv", "0.1.0", {"softkv_service/__init__.py": "", "softkv_service/app.py": ""})
    install(tmp_path, "self-service", "1.0", {"self/service/__init__.py": "", "services/service.py": ""})
    assert find_conflicts([str(tmp_path)]) == []
    install(
        tmp_path,
        "attention",
        "5.0.0",
        {"softkv_attention/__init__.py": "", "softkv_attention/masks.py": "", "softkv_attention/x.py": ""},
    )
    install(tmp_path, "service", "0.6", {"softkv_service/__init__.py": "", "softkv_attention/arrays.py": ""})
    lines = {conflict.name: str(conflict) for conflict in find_conflicts([str(tmp_path), str(tmp_path)])}
    assert sorted(lines) == ["attention", "service"]
    assert (
        "attention 5.0.0 and softkv overwrite each other's softkv_attention/__init__.py and 1 more in"
        in lines["attention"]
    )
    assert "`pip uninstall attention`" in lines["attention"]
    assert "`pip install --force-reinstall --no-deps dist/softkv_core-[0-9]*.whl`" in lines["attention"]
    assert (
        "`pip install --force-reinstall --no-deps dist/softkv-[0-9]*.whl dist/softkv_core-[0-9]*.whl`"
        in lines["service"]
    )


def test_a_folder_of_the_same_name_beside_a_checkout_is_named(tmp_path: Path) -> None:
    install(tmp_path / "site", "attention", "5.0.0", {"softkv_attention/__init__.py": ""})
    [conflict] = find_conflicts([str(tmp_path), str(tmp_path / "site")])
    assert conflict.overwritten == ()
    assert f"softkv_attention/__init__.py in {tmp_path / 'site'}, and softkv has a folder of the same name" in str(
        conflict
    )
    assert "`pip uninstall attention`, or install softkv into an environment of its own" in str(conflict)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory that new processes import from after this checkout."""
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*filter(None, sys.path), str(path)]))
    monkeypatch.syspath_prepend(str(path))
    sys.path.append(sys.path.pop(0))
    return path


def test_doctor_names_it(bare: Softkv, tmp_path: Path, site: Path) -> None:
    arguments = ["doctor", "--encoder", "none", "--data-dir", str(tmp_path / "none"), "--json"]

    def packages() -> list[tuple[str, str]]:
        checks = json.loads(bare(*arguments).stdout)["checks"]
        return [(check["state"], check["detail"]) for check in checks if check["name"] == "packages"]

    assert len(packages()) == 1
    install(site, "attention", "5.0.0", {"softkv_attention/__init__.py": ""})
    [(_, versions), (state, line)] = packages()
    assert (state, "softkv" in versions) == ("note", True)
    assert "the distribution attention 5.0.0 has softkv_attention/__init__.py" in line
    install(site, "softkv", "0.1.0", OWN)
    [_, (state, line)] = packages()
    assert state == "broken"
    assert "overwrite each other's softkv_attention/__init__.py" in line


@pytest.mark.process
@pytest.mark.end_to_end
def test_serve_names_it_and_serves(tmp_path: Path, site: Path) -> None:
    install(site, "attention", "5.0.0", {"softkv_attention/__init__.py": ""})
    with serving(tmp_path / "data") as running:
        lines: list[str] = []
        assert running.process.stderr is not None
        while not lines or "conflicting distribution" not in lines[-1]:
            lines.append(running.process.stderr.readline())
            assert lines[-1], lines
        assert "the distribution attention 5.0.0 has softkv_attention/__init__.py" in lines[-1]
        assert running.stop(signal.SIGTERM)[0] == 0


@pytest.mark.process
@pytest.mark.end_to_end
@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_a_command_that_cannot_import_an_overwritten_file_says_which_distribution_it_was(
    tmp_path: Path, command: str
) -> None:
    install(tmp_path, "attention", "5.0.0", {"softkv_attention/__init__.py": ""})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    arguments = [command, "--encoder", "none", "--data-dir", str(tmp_path / "data")]
    program = [sys.executable, "-P", "-c", "from softkv.scripts import softkv; softkv()", *arguments]
    ended = subprocess.run(program, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "the distribution attention 5.0.0 has" in " ".join((ended.stdout + ended.stderr).split())
    assert "cannot import name" in " ".join((ended.stdout + ended.stderr).split())
