"""`softkv page export`: the files that it writes, and their links."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from softkv.cli import program
from softkv_service.api.parts import find_parts
from softkv_service.api.routes.assets import Assets
from softkv_service.api.routes.page import folders
from softkv_service.datasets.demos import DEMOS
from softkv_service.encoding import Encoder, load_encoder
from softkv_workshop.page.documents import DOCUMENTS, PICTURE, write_documents
from softkv_workshop.page.recording import TEXTS, record

ASSETS = Assets(*folders(find_parts()))
LINK = re.compile(r"""(?:href|src)="(?!https?:|#)([^"]+)\"""")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("all-MiniLM-L6-v2")


def test_texts_that_the_page_asks_about_need_no_encoder() -> None:
    texts = TEXTS.read_text(encoding="utf-8").splitlines()
    assert 250 <= len(set(texts)) == len(texts)
    rows = json.loads(ASSETS.text("story/rows.json"))["shelf"]["rows"]
    questions = re.findall(
        r'"([^"]*)"', re.findall(r"QUESTIONS = \[(.*?)\]", ASSETS.text("deeper/pictures/four.js"))[0]
    )
    assert (len(rows), len(questions)) == (8, 3)
    keys = {row["key"] for row in DEMOS["library"].documents()}
    assert {*questions, *(row["key"] for row in rows)} <= {*texts, *keys}


def test_every_link_of_a_document_leads_to_a_file() -> None:
    files = write_documents(ASSETS, None)
    assert set(DOCUMENTS) < set(files)
    for name in DOCUMENTS:
        text = files[name].decode()
        markup = re.sub(r"<script type=.*?</script>", "", text, flags=re.DOTALL)
        links = {link.split("#")[0].split("?")[0] for link in LINK.findall(markup)}
        assert links
        assert links <= set(files), (name, links - set(files))
        assert "data-exported" in text
        assert ASSETS.digest not in text
        assert "og:image" not in text
    assert not [
        name for name in files if name.endswith((".svg.gz", ".part")) or "swagger" in name or "built/docs" in name
    ]
    later = {f"assets/built/{name}.js" for name in ("clicker", "editing", "exported", "images", "word")}
    assert later | {"assets/css/clicker.css"} < set(files)
    fonts = [name for name in files if name.endswith(".woff2")]
    assert len(fonts) == len(set(fonts)) >= 3


def test_the_address_of_the_page_gives_previews_a_picture(tmp_path: Path) -> None:
    files = write_documents(ASSETS, "https://example.org/softkv/")
    picture = f'<meta property="og:image" content="https://example.org/softkv/assets/{PICTURE}">'
    assert [picture in files[name].decode() for name in ("index.html", "deeper.html")] == [True, True]
    assert f"assets/{PICTURE}" in files
    result = CliRunner().invoke(program(), ["page", "export", str(tmp_path), "--url", "example.org"])
    assert (result.exit_code, "Expected an address" in result.stderr) == (1, True)


def test_the_address_of_a_service_is_linked_and_checked(tmp_path: Path) -> None:
    files = write_documents(ASSETS, None, "https://example.org/softkv/")
    assert all(b'data-service="https://example.org/softkv/"' in files[name] for name in DOCUMENTS)
    assert not any(b"data-service" in content for content in write_documents(ASSETS, None).values())
    result = CliRunner().invoke(program(), ["page", "export", str(tmp_path), "--service", "javascript:alert(1)"])
    assert (result.exit_code, "Expected an address" in result.stderr) == (1, True)


@pytest.mark.thorough
def test_collections_and_texts_are_recorded_with_vectors_that_are_exact_enough(encoder: Encoder) -> None:
    lines: list[str] = []
    scripts = record(encoder, lines.append)
    assert {f"collection-{name}.js" for name in DEMOS} < set(scripts)
    assert len(lines) == len(DEMOS) + 1
    recorded = {
        name.removesuffix(".js"): json.loads(text.decode().split(" = ", 1)[1].rstrip(";\n"))
        for name, text in scripts.items()
    }
    exported = recorded["exported"]
    assert len(exported["vectors"]["texts"]) == len(exported["vectors"]["packed"]["scales"]) > 400
    for name in DEMOS:
        rows = recorded[f"collection-{name}"]["rows"]
        assert len(rows) == exported["collections"][name]["documents"]
        assert exported["collections"][name]["measured"]["pairs"] > 500
    keys, texts = recorded["collection-library"]["keys"], exported["vectors"]["texts"]
    for packed, text in (
        (keys, recorded["collection-library"]["rows"][3]["key"]),
        (exported["vectors"]["packed"], texts[3]),
    ):
        numbers = np.frombuffer(b64decode(packed["numbers"]), "<i2").reshape(-1, encoder.dimension)
        vector = numbers[3] * packed["scales"][3]
        np.testing.assert_allclose(vector, encoder.encode([text], "query").vectors[0], atol=2e-5)
