"""The setting KERNELS: the kernels that answer, and messages on a machine without a library of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from softkv_attention.kernels import in_numpy, kernels, kernels_in_c, reason_for_numpy
from softkv_attention.kernels.native.build import compile_library
from softkv_attention.kernels.native.kinds import this_platform
from softkv_attention.kernels.native.library import usable_kinds
from softkv_attention.kernels.transformer import encoder_kernels
from softkv_service.kernels import choose_kernels
from tests.running import RunningService
from tests.service.commands.conftest import COMMAND
from tests.thorough import thorough

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def default_kernels() -> Iterator[None]:
    """Choose the fastest kernels for the tests that follow."""
    yield
    choose_kernels(None)


def test_the_setting_chooses_the_kernels_of_scans_and_of_the_encoder(tmp_path: Path) -> None:
    matches = {}
    for choice in ("numpy", "native"):
        with RunningService(
            data_dir=tmp_path / choice, demo=("library",), kernels=choice, precision="float32"
        ) as running:
            running.wait_until_ready()
            assert (kernels() is in_numpy) == (encoder_kernels() is None) == (choice == "numpy")
            with running.client() as client:
                assert client.get("/readyz").json()["kernels"] == choice
                answer = client.post("/v1/collections/library/attend", json={"query": "pets that purr", "top_k": 3})
            matches[choice] = {match["id"]: match["weight"] for match in answer.json()["matches"]}
    assert matches["native"] == pytest.approx(matches["numpy"], rel=1e-4)


def test_without_a_choice_the_kernels_in_c_answer() -> None:
    choose_kernels("numpy")
    choose_kernels(None)
    assert kernels() is kernels_in_c()
    assert reason_for_numpy() is None


def copied_core(folder: Path) -> dict[str, str]:
    """Return the variables of an environment whose softkv-core is a copy in this folder without a library."""
    ignored = shutil.ignore_patterns("*.so.1", "*.dylib", "*.dll", "__pycache__")
    shutil.copytree(ROOT / "attention" / "softkv_attention", folder / "softkv_attention", ignore=ignored)
    path = os.pathsep.join(map(str, (folder, ROOT / "service", ROOT / "clients" / "python")))
    variables = {"PYTHONPATH": path, "SOFTKV_ENCODER": "none", "SOFTKV_DATA_DIR": str(folder / "data")}
    return os.environ | variables


@pytest.fixture(params=["missing", thorough("damaged"), "compiled elsewhere"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, str], str]:
    """An environment whose copy of softkv-core has no library for this processor, and a part of the reason."""
    core, environment = tmp_path / "softkv_attention", copied_core(tmp_path)
    if request.param == "missing":
        return environment, "the installed package has none for "
    if request.param == "compiled elsewhere":
        compile_library(this_platform(), core / "kernels" / "native" / "softkv-kernels.so.1", [])
        return environment, "was compiled on another kind of processor than this one, which is "
    for name in ("softkv-kernels.so.1", "softkv-kernels.dylib", "softkv-kernels.dll"):
        (core / "kernels" / "native" / name).write_bytes(b"not a library")
    return environment, "cannot be loaded ("


def test_serve_and_doctor_give_the_reason_if_kernels_are_missing(
    elsewhere: tuple[dict[str, str], str], tmp_path: Path
) -> None:
    environment, reason = elsewhere
    choosing = [sys.executable, "-c", "from softkv_service.kernels import choose_kernels; choose_kernels(None)"]
    logged = subprocess.run(choosing, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stderr
    assert "NumPy answers, more slowly than the kernels in C would" in logged
    assert reason in logged

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # In a folder of its own, because Python imports from the current one first.
        command = [*COMMAND, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    ended = run("serve", "--port", "0", "--kernels", "native")
    assert ended.returncode == 1
    line = ended.stderr.splitlines()[-1]
    assert line.startswith("softkv: SOFTKV_KERNELS=native asks for kernels in C, but ")
    assert reason in line
    assert "install the wheel of softkv-core for this platform again" in line
    ended = run("doctor", "--json")
    (check,) = [check for check in json.loads(ended.stdout)["checks"] if check["name"] == "kernels"]
    assert (ended.returncode, check["state"]) == (0, "note")
    assert check["detail"].startswith("NumPy, since ")
    assert reason in check["detail"]


@pytest.mark.skipif(len(usable_kinds()) < 2, reason="needs a processor that runs the code of an older one")
def test_doctor_notes_kernels_that_were_compiled_on_an_older_machine(tmp_path: Path) -> None:
    environment = copied_core(tmp_path)
    library = tmp_path / "softkv_attention" / "kernels" / "native" / "softkv-kernels.so.1"
    best, oldest = usable_kinds()[0], usable_kinds()[-1]
    compile_library(this_platform(), library, [oldest])
    ended = subprocess.run(
        [*COMMAND, "doctor", "--json"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    (check,) = [check for check in json.loads(ended.stdout)["checks"] if check["name"] == "kernels"]
    assert (ended.returncode, check["state"]) == (0, "note")
    assert check["detail"].startswith(f"C + {oldest.instruction}")
    assert f"compiled on another machine, without {best.name}: " in check["detail"]
