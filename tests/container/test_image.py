"""The contents of the image."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from softkv_attention.kernels.native.library import usable_kinds
from tests.container.composition import build_options
from tests.container.tool import Tool

pytestmark = [pytest.mark.container, pytest.mark.timeout(3600)]

LARGEST_BYTES = 520_000_000
LARGEST_FULL_BYTES = 1_300_000_000
"""Of this, torch for the CPU has 0.52 GB; the CUDA build alone would have several times as much."""
# Run in the image: which kinds of this machine's processors its kernels in C serve, and whether they answer.
LOAD = """
import json
from softkv_attention.kernels import kernels, kernels_in_c, products_are_exact
from softkv_attention.kernels.native.library import usable_kinds
print(json.dumps({
    "kinds": [kind.name for kind in usable_kinds()],
    "answer": kernels() is kernels_in_c(),
    "exact": products_are_exact(),
}))
"""
# Run in the image: every installed distribution, and which of these modules have no bytecode.
LOOK = """
import importlib.metadata, importlib.util, json, os
specs = [importlib.util.find_spec(name) for name in ("numpy", "pydantic", "fastapi", "uvicorn",
         "softkv_attention", "softkv_service", "softkv.commands.load")]
print(json.dumps({
    "distributions": {found.name.lower(): found.version for found in importlib.metadata.distributions()},
    "uncompiled": [spec.name for spec in specs if not os.path.exists(spec.cached)],
    "found": [name for name in ("tests", "tools", "benchmarks") if importlib.util.find_spec(name)],
}))
"""


def inside(tool: Tool, image: str, *command: str) -> str:
    """Run a command in a container of the image, without a network → what it wrote."""
    return tool("run", "--rm", "--network", "none", "--entrypoint", command[0], image, *command[1:])


@pytest.fixture(scope="module")
def looked(tool: Tool, image: str) -> dict[str, Any]:
    """Return the report of `LOOK`."""
    report: dict[str, Any] = json.loads(inside(tool, image, "python", "-c", LOOK))
    return report


@pytest.mark.end_to_end
def test_the_image_is_small_and_without_torch(tool, image, looked):
    assert tool.inspect(image)["Size"] < LARGEST_BYTES
    others = {"torch", "transformers", "softkv-model-multilingual", "softkv-model-mpnet"}
    assert not looked["distributions"].keys() & others


@pytest.mark.thorough
def test_the_full_one_has_the_cpu_build_of_torch_and_loads_it(tool, image):
    full = f"{image}-full"
    try:
        tool.build(full, *build_options(), "--build-arg", "FULL=1")
    except RuntimeError as error:
        if "softkv: pip did not get torch" not in str(error) or "CONTAINER_BUILD_FLAGS" in os.environ:
            raise
        pytest.skip("pip finds no CPU build of torch: set PIP_EXTRA_INDEX_URL, as docker/README.md says")
    assert tool.inspect(full)["Size"] < LARGEST_FULL_BYTES
    names = json.loads(inside(tool, full, "python", "-c", LOOK))["distributions"]
    assert names["torch"].endswith("+cpu")
    assert "sentence-transformers" in names
    assert not [name for name in names if name.startswith(("nvidia", "triton"))]
    assert (
        inside(tool, full, "python", "-c", "import sentence_transformers, torch; print(torch.ones(2).sum())")
        == "tensor(2.)"
    )


def test_the_image_holds_the_service_with_bytecode_and_no_build_tools(looked):
    assert {"softkv", "softkv-core", "softkv-client", "softkv-model-minilm"} <= looked["distributions"].keys()
    assert not looked["distributions"].keys() & {"pip", "pytest", "mypy", "ruff", "hypothesis", "statsmodels"}
    assert (looked["uncompiled"], looked["found"]) == ([], [])


def test_the_user_of_the_image_may_write_to_the_data_only(tool, image):
    config = tool.inspect(image)["Config"]
    assert config["User"] == "10001:10001"
    assert list(config["Volumes"]) == ["/data"]
    assert inside(tool, image, "id", "-u") == "10001"
    folders = "find / -xdev -type d -writable ! -path '/proc*' ! -path '/dev*' 2>/dev/null; true"
    assert "/data" in (writable := inside(tool, image, "sh", "-c", folders).splitlines())
    assert set(writable) <= {"/data", "/tmp", "/var/tmp", "/run/lock"}


def test_the_kernels_of_the_image_answer_on_every_kind_of_processor(tool, image):
    loaded = json.loads(inside(tool, image, "python", "-c", LOAD))
    if not usable_kinds():
        pytest.skip("no kernels in C are for this processor")
    assert loaded == {"kinds": [kind.name for kind in usable_kinds()], "answer": True, "exact": True}


def test_the_image_lists_its_distributions(tool, image, looked):
    listed = json.loads(inside(tool, image, "cat", "/opt/softkv/sbom.cdx.json"))
    assert listed["bomFormat"] == "CycloneDX"
    versions = {component["name"].lower(): component["version"] for component in listed["components"]}
    assert versions == looked["distributions"]
    assert all(
        component["purl"].startswith("pkg:pypi/") for component in listed["components"] if component["name"] == "numpy"
    )
