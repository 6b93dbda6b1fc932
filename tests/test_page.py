"""The bundled scripts of the page are those of its sources."""

from __future__ import annotations

import pytest

from tests.node import NodeMissingError
from tests.page import BUILT, DOCUMENTS, build

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the bundles, made now."""
    made = tmp_path_factory.mktemp("built")
    try:
        build(made)
    except NodeMissingError as missing:
        pytest.skip(str(missing))
    return made


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_bundle_is_of_its_sources(folder, name):
    made = (folder / f"{name}.js").read_bytes()
    assert made == (BUILT / f"{name}.js").read_bytes(), f"service/web/built/{name}.js is of other sources: make page"


def test_nothing_else_is_built(folder):
    assert sorted(path.name for path in BUILT.iterdir()) == sorted(path.name for path in folder.iterdir())
