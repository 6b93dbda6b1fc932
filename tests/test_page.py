"""The bundles of the page's scripts are of its sources, each of which is in one; and `make lint` finds mistakes."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from tools.node import CLIENT, ROOT, NodeMissingError, checked, node, packages
from tools.page import BUILT, DOCUMENTS, OF_WIDGET, WEB, WIDGET, build, build_widget, check, library

pytestmark = pytest.mark.node
SOURCES = ("deeper", "docs", "encoder", "explore", "exported", "lesson", "room", "shared", "story", "widget")
PICTURES = ("threads.js", "threads.css", "heads.js", "headmap.js", "lines.js")
MISTAKES = {
    "story/wrong.js": ("/** @param {number} t */\nexport const half = (t) => t / 2;\nhalf(null);\n", "TS2345"),
    "shared/wrong.js": ('/** @param {number} t */\nexport const half = (t) => t / 2;\nhalf("2");\n', "TS2345"),
    "encoder/wrong.js": ("const unused = 1;\n", "noUnusedVariables"),
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[Path]]:
    """Return a folder with the bundles, made now, and the sources that are in them."""
    folder = tmp_path_factory.mktemp("built")
    try:
        return folder, build(folder)
    except NodeMissingError as missing:
        pytest.skip(str(missing))


@pytest.mark.end_to_end
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_bundle_is_of_its_sources(bundles: tuple[Path, set[Path]], name: str) -> None:
    made = (bundles[0] / f"{name}.js").read_bytes()
    assert made == (BUILT / f"{name}.js").read_bytes(), f"service/web/built/{name}.js is of other sources: make page"


@pytest.mark.end_to_end
def test_nothing_else_is_built(bundles: tuple[Path, set[Path]]) -> None:
    assert sorted(path.name for path in BUILT.iterdir()) == sorted(path.name for path in bundles[0].iterdir())


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
    documents = "".join(path.read_text(encoding="utf-8") for path in WEB.glob("*.html"))
    named = {WEB / path for path in re.findall(r'src="assets/([^"]+)"', documents)}
    sources = {path for folder in SOURCES for path in (WEB / folder).rglob("*.js")}
    assert sorted(path.relative_to(WEB).as_posix() for path in sources - bundles[1] - widget[1] - named) == []


def test_mistakes_are_found(tmp_path: Path) -> None:
    try:
        tools = packages(WEB)
    except NodeMissingError as missing:
        pytest.skip(str(missing))
    web = tmp_path / WEB.relative_to(ROOT)
    for folder in (WEB, ROOT / CLIENT / "src"):  # whose types the page's are made of
        shutil.copytree(folder, tmp_path / folder.relative_to(ROOT))
    assert check(tools, web) == []
    for name, (text, _) in MISTAKES.items():
        (web / name).write_text(text, encoding="utf-8")
    complaints = "".join(check(tools, web))
    assert [name for name, (_, complaint) in MISTAKES.items() if name not in complaints] == []
    assert [complaint for _, complaint in MISTAKES.values() if complaint not in complaints] == []
