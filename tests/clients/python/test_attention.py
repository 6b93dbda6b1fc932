"""`softkv.attention` and its modules: doors to softkv-core, with its names and no code of their own."""

from __future__ import annotations

import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import softkv.attention
from softkv.attention.lookup import Memory, attend
from tests.examples import ROOT
from tests.type_checking import check_typed, check_typed_by_pyright

FOLDER = ROOT / "clients" / "python" / "softkv" / "attention"
MODULES = ["", *(f".{path.stem}" for path in sorted(FOLDER.glob("*.py")) if path.stem != "__init__")]
WITHOUT_CORE = "import sys; sys.modules['softkv_attention'] = None  # as if it were not installed\nimport {}"


def test_the_modules_are_those_that_pages_name() -> None:
    assert MODULES == ["", ".estimators", ".lookup", ".torch", ".transformer"]


@pytest.mark.parametrize("module", MODULES)
def test_a_door_has_the_names_of_the_core_s_module(module: str) -> None:
    door, core = import_module(f"softkv.attention{module}"), import_module(f"softkv_attention{module}")
    public = getattr(core, "__all__", ["SoftNeighborsClassifier", "SoftNeighborsRegressor"])
    assert public
    assert [name for name in public if getattr(door, name) is not getattr(core, name)] == []
    kinds = [value for name in public if isinstance(value := getattr(door, name), type)]
    assert [kind for kind in kinds if not kind.__module__.startswith("softkv_attention")] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_door_has_no_code_of_its_own(module: str) -> None:
    path = FOLDER / f"{module.removeprefix('.') or '__init__'}.py"
    code = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith(("def ", "class "))]
    assert code == []


@pytest.mark.parametrize("module", MODULES)
def test_without_the_core_an_error_names_the_distribution(module: str) -> None:
    program = WITHOUT_CORE.format(f"softkv.attention{module}")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    line = done.stderr.splitlines()[-1]
    assert line == "ImportError: softkv.attention needs softkv_attention, which is not installed: install `softkv-core`"


def test_a_pickle_names_the_core_and_not_the_door() -> None:
    """So it is read where softkv-core is installed without the client."""
    content = pickle.dumps(Memory.of(np.eye(3)).view)
    assert b"softkv_attention" in content
    assert b"softkv.attention" not in content
    program = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).n, 'softkv' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, check=True)
    assert done.stdout.split() == [b"3", b"False"]
    assert attend(np.eye(3)[1], pickle.loads(content), temperature=0.5, top_k=1).numbers.tolist() == [1]


@pytest.mark.thorough
def test_a_type_checker_sees_the_core_through_the_doors(tmp_path: Path) -> None:
    """In a project of its own, which finds both packages by their editable installations."""
    file = tmp_path / "main.py"
    file.write_text(Path(__file__).with_name("typed_attention.py").read_text(encoding="utf-8"), encoding="utf-8")
    check_typed(file, mistakes=3, folder=tmp_path)


@pytest.mark.node
@pytest.mark.thorough
def test_pyright_sees_the_core_through_the_doors(tmp_path: Path) -> None:
    check_typed_by_pyright(Path(__file__).with_name("typed_attention.py"), mistakes=3, folder=tmp_path)


def test_the_client_s_face_names_no_door() -> None:
    assert "attention" not in softkv.__all__
