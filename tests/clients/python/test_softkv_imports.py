"""`import softkv` loads only its own modules and those of httpx2."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.examples import ROOT

CLIENT = ROOT / "clients" / "python"


def loaded(statements: str) -> set[str]:
    program = f"import json, sys\n{statements}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(CLIENT)}
    )
    return set(json.loads(done.stdout))


def test_importing_it_loads_little_more_than_httpx2():
    more = loaded("import softkv") - loaded("import httpx2")
    assert {name for name in more if name.partition(".")[0] != "softkv"} == set()
    assert len(more) < 60


def test_importing_it_leaves_the_http_library_and_the_core_unloaded():
    assert {"httpx2", "numpy", "softkv.attention", "softkv_attention", "softkv_service"}.isdisjoint(
        loaded("import softkv")
    )
    assert "softkv_attention" in loaded("import softkv.attention")


def test_answers_come_without_an_http_library_and_without_numpy():
    """The service imports them to describe its answers."""
    modules = "answer, arrays, documents, info"
    outside = {name.partition(".")[0] for name in loaded(f"from softkv.answers import {modules}")}
    assert outside.isdisjoint({"asyncio", "httpx2", "numpy", "ssl"})


def test_numpy_comes_with_the_first_array():
    filters = "from softkv import F, Client\n(F.year > 3).wire()\nclient = Client('http://127.0.0.1:9')"
    assert "numpy" not in loaded(filters)
    assert "numpy" in loaded("from softkv.wire import encode_vector\nencode_vector([1.0], '')")


def test_the_service_comes_with_a_local_client_only():
    assert not {
        name
        for name in loaded("import softkv.local")
        if name.partition(".")[0] in ("softkv_service", "softkv_attention")
    }


WITHOUT_SERVICE = """
import importlib.metadata, softkv
importlib.metadata.entry_points = lambda group: {'softkv.local': ()}[group]
softkv.Client.local()
"""
WITHOUT_WIDGET = """
import sys
sys.modules['softkv_widget'] = None  # as if it were not installed
import softkv.widget
"""


@pytest.mark.parametrize(
    ("program", "message"),
    [(WITHOUT_SERVICE, "pip install dist/*.whl"), (WITHOUT_WIDGET, "softkv-widget, which is not installed")],
)
def test_a_part_that_is_not_installed_is_named(program, message):
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env={"PYTHONPATH": str(CLIENT)}
    )
    assert message in done.stderr
