"""The tests of the lookup and of the kernels mirror their modules: each stands under its module's name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MODULES = TESTS.parents[1] / "attention"
ROOMS = ("lookup", "kernels")

ELSEWHERE = {
    "kernels/in_numpy": "test_interface.py holds it against its twin, kernel by kernel",
    "kernels/listed/in_numpy": "test_order.py and test_weights.py beside it hold it against plain definitions",
    "kernels/listed/interface": "test_interface.py, which asks both twins for every function of it",
    "kernels/transformer/lane_blocks": "test_products.py beside it multiplies in every way",
    "kernels/transformer/building": "test_rows.py and test_normalising.py beside it read what it writes",
    "kernels/transformer/encoding": "tests/attention/transformer/test_compiled.py holds it against the definition",
    "kernels/transformer/parameters": "tests/attention/transformer/test_compiled.py, in rooms of every size",
    "kernels/transformer/tile_blocks": "test_products.py beside it multiplies in every way",
    "lookup/parts/part": "test_whole.py and test_joined.py beside it hold the two kinds of parts",
}
"""Modules without a test of their own name, and where they are tested. Records and faces have nothing to test."""


def behaves(path: Path) -> bool:
    """Whether a module defines a function, or a class with a method: a record has fields alone, a face imports."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return any(
        isinstance(node, kinds)
        or (isinstance(node, ast.ClassDef) and any(isinstance(each, kinds) for each in node.body))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
    )


def names(folder: Path, prefix: str = "") -> dict[str, Path]:
    """The Python files in both rooms whose names begin so, by their path with neither prefix nor ending."""
    found = [path for room in ROOMS for path in sorted((folder / room).rglob(f"{prefix}*.py"))]
    return {str(path.relative_to(folder).with_name(path.stem.removeprefix(prefix)).as_posix()): path for path in found}


TESTED = names(TESTS, "test_")
WITH_BEHAVIOUR = {name for name, path in names(MODULES).items() if behaves(path)}


def test_there_is_something_to_mirror():
    assert {"lookup/answer", "lookup/bounds/total", "kernels/simd"} <= WITH_BEHAVIOUR
    assert not {"lookup/softmax/evidence", "kernels/in_machine_code", "lookup/__init__"} & WITH_BEHAVIOUR


@pytest.mark.parametrize("name", sorted(WITH_BEHAVIOUR - set(ELSEWHERE)))
def test_every_module_that_does_something_has_tests_of_its_name(name):
    assert name in TESTED, f"write tests/attention/{Path(name).with_name('test_' + Path(name).name)}.py"


def test_every_test_has_a_module_of_its_name():
    assert sorted(set(TESTED) - set(names(MODULES))) == []


def test_the_exceptions_are_some_still():
    assert set(ELSEWHERE) <= WITH_BEHAVIOUR - set(TESTED)
