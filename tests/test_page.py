"""The bundles of the page's scripts are of its sources, each of which is in one; and `make lint` finds mistakes."""

from __future__ import annotations

import gzip
import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tools.node import ROOT, NodeMissingError, checked, node
from tools.page import BUNDLES, OF_WIDGET, WEB, WIDGET, WORKSHOP, build, build_widget, library

pytestmark = pytest.mark.node
SOURCES = {
    WEB: ("docs", "explore", "shared", "widget"),
    WORKSHOP: ("deeper", "encoder", "exported", "language", "lesson", "room", "story"),
}
PICTURES = ("threads.js", "threads.css", "heads.js", "headmap.js", "lines.js")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[Path]]:
    """Return a folder with the bundles of each folder of the page, made now, and the sources that are in them."""
    folder, sources = tmp_path_factory.mktemp("built"), set[Path]()
    for web in BUNDLES:
        try:
            sources |= build(folder / web.parent.name, web)
        except NodeMissingError as missing:
            pytest.skip(str(missing))
    return folder, sources


@pytest.mark.end_to_end
@pytest.mark.parametrize(("web", "name"), [(web, name) for web, names in BUNDLES.items() for name in names])
def test_a_bundle_is_of_its_sources(bundles: tuple[Path, set[Path]], web: Path, name: str) -> None:
    made, built = (folder / f"{name}.js" for folder in (bundles[0] / web.parent.name, web / "built"))
    assert made.read_bytes() == built.read_bytes(), f"{built.relative_to(ROOT)} is of other sources: make page"


@pytest.mark.end_to_end
def test_nothing_else_is_built(bundles: tuple[Path, set[Path]]) -> None:
    for web in BUNDLES:
        made, built = (folder.iterdir() for folder in (bundles[0] / web.parent.name, web / "built"))
        assert sorted(path.name for path in made) == sorted(path.name for path in built)


@pytest.fixture(scope="module")
def widget(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[Path]]:
    """Return a folder with the widget's files, made now, and their sources."""
    folder = tmp_path_factory.mktemp("widget")
    try:
        return folder, build_widget(folder)
    except NodeMissingError as missing:
        pytest.skip(str(missing))


@pytest.mark.end_to_end
@pytest.mark.parametrize("name", OF_WIDGET)
def test_a_file_of_the_widget_is_of_its_sources(widget: tuple[Path, set[Path]], name: str) -> None:
    assert (widget[0] / name).read_bytes() == (WIDGET / name).read_bytes(), f"{name} is of other sources: make page"


def test_the_widget_has_the_pictures_of_the_page_and_is_small(widget: tuple[Path, set[Path]]) -> None:
    folder, sources = widget
    assert {WEB / "shared" / name for name in PICTURES} <= sources
    assert sorted(path.name for path in folder.iterdir()) == sorted(OF_WIDGET)
    files = [(folder / name).read_bytes() for name in OF_WIDGET]
    assert sum(len(gzip.compress(file)) for file in files) < 150_000
    assert not [
        address
        for file in files
        for address in re.findall(rb"(?:https?:)?//[\w.-]+\.\w+/[\w./-]*", file)
        if b"w3.org" not in address
    ]


def test_weights_are_swept_at_each_stop_of_the_temperature(tmp_path: Path) -> None:
    file = ROOT / "clients" / "widget" / "softkv_widget" / "sources.py"
    spec = spec_from_file_location("sources", file)  # its package needs anywidget
    assert spec is not None
    assert spec.loader is not None
    sources = module_from_spec(spec)
    spec.loader.exec_module(sources)
    stops = "console.log(JSON.stringify(Array.from({ length: scale.STEPS }, (_, i) => scale.temperatureAt(i))))"
    try:
        script = library("shared/scale.js", "scale")
    except NodeMissingError as missing:
        pytest.skip(str(missing))
    (tmp_path / "stops.js").write_text(script + stops, encoding="utf-8")
    assert set(json.loads(checked(node(tmp_path, "stops.js")))) <= set(sources.TEMPERATURES)


def test_every_source_is_in_a_bundle_or_in_a_document(
    bundles: tuple[Path, set[Path]], widget: tuple[Path, set[Path]]
) -> None:
    sources = {path for web, folders in SOURCES.items() for folder in folders for path in (web / folder).rglob("*.js")}
    assert sorted(path.relative_to(ROOT).as_posix() for path in sources - bundles[1] - widget[1]) == []
