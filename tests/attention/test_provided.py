"""Modules that another distribution has keep their names in `attention`, and say what to install without it."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

import attention

NAMES = {
    "attention.estimators": ("softkv_torch.estimators", "softkv[torch]"),
    "attention.recurrent": ("softkv_workshop.recurrent", "softkv-workshop"),
    "attention.torch": ("softkv_torch.gradients", "softkv[torch]"),
}
"""The module that stands in for each name, and what to install."""


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stands_for_the_module_of_the_installed_distribution(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__name__ == NAMES[name][0]
    assert getattr(attention, name.rpartition(".")[2]) is sys.modules[name] is module


@pytest.mark.parametrize("name", NAMES)
def test_without_the_distribution_a_name_asks_for_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr("attention.provided.entry_points", lambda **_: ())
    with pytest.raises(ImportError, match=re.escape(f"{name} is not installed: install `{NAMES[name][1]}`, ")):
        importlib.import_module(name)


def test_without_a_package_that_its_module_needs_a_name_asks_for_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("attention.torch", "softkv_torch"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"^attention\.torch needs torch, .*: install `softkv\[torch\]`$"):
        importlib.import_module("attention.torch")


def test_each_of_these_files_has_at_most_ten_lines() -> None:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in Path(attention.__file__).parent.rglob("*.py")}
    texts = {f"attention.{name}": text for name, text in texts.items() if "\nprovide(" in text}
    assert texts.keys() == NAMES.keys()
    assert max(sum(map(bool, text.splitlines())) for text in texts.values()) <= 10
