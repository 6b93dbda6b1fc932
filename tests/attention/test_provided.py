"""A module that needs more than the core says in one line what to install, and the core imports none of these."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import softkv_attention


def test_a_name_stands_for_the_module_of_the_installed_distribution() -> None:
    module = importlib.import_module("softkv_attention.recurrent")
    assert module.__name__ == "softkv_workshop.recurrent"
    assert softkv_attention.recurrent is sys.modules["softkv_attention.recurrent"] is module


def test_without_the_distribution_a_name_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "softkv_attention.recurrent", raising=False)
    monkeypatch.setattr("softkv_attention.provided.entry_points", lambda **_: ())
    with pytest.raises(ImportError, match=r"attention\.recurrent is not installed: install `softkv-workshop`, "):
        importlib.import_module("softkv_attention.recurrent")


@pytest.mark.parametrize(
    ("name", "module", "library", "extra"),
    [
        ("softkv_attention.torch", "torch", "torch", "torch"),
        ("softkv_attention.estimators", "sklearn", "scikit-learn", "sklearn"),
    ],
)
def test_without_its_library_a_module_asks_for_the_extra(name: str, module: str, library: str, extra: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; import {name}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    line = f"ImportError: {name} needs {library}, which is not installed: install `softkv-core[{extra}]`"
    assert ended.stderr.splitlines()[-1] == line


def test_importing_the_core_imports_neither_torch_nor_scikit_learn() -> None:
    modules = "attention, softkv_attention.lookup, softkv_attention.transformer"
    code = f"import sys, {modules}; print({{'torch', 'sklearn'}} & {{*sys.modules}})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
