"""Sharing what is on the screen: an address, a picture and a moving picture."""

from __future__ import annotations

import io
from base64 import b64decode
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import module
from tools.picture import SHARED, SHARED_BYTES, SHARED_SIZE

SHARE, FRAME = "/shared/images.js", "/shared/sharing.js"
READ = "const text = (blob) => blob.arrayBuffer().then((all) => btoa(Array.from(new Uint8Array(all), (byte) => String.fromCharCode(byte)).join('')));"  # noqa: E501
PNG = f"async ({{pngOf}}) => {{ {READ} return text(await pngOf(document.querySelector('.plot'))); }}"
CAPTIONED = PNG.replace("'.plot'))", "'.plot'), {caption: document.querySelector('#regression h2')})")
# The query's dot goes to the right, a step a frame.
GIF = f"""async ({{gifOf}}, {{frames, width}}) => {{ {READ}
  const svg = document.querySelector('.plot');
  const told = [];
  const frame = (i) => {{ svg.querySelector('.seeker circle').setAttribute('cx', 60 + 40 * i); return svg; }};
  return [await text(await gifOf(frame, {{frames, width, told: (...now) => told.push(now)}})), told]; }}"""
COLOURS = """() => ['paper', 'raised', 'query', 'key', 'weight'].map((name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim())"""
BOX = """() => { const {width, height} = document.querySelector('.plot').getBoundingClientRect();
  return [width, height]; }"""
# Of the query only its dot stays, whose pixels are counted.
DOT_ALONE = "document.querySelectorAll('.seeker :is(line, text)').forEach((element) => element.remove())"
MOST = 800
MARGIN = 24
NEAR = 40


def pixels(image: Image.Image) -> Any:
    return np.asarray(image.convert("RGB")).astype(int)


def close(picture: Any, colour: str) -> Any:
    """Return which pixels have about that colour, `#rrggbb`."""
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return np.abs(picture - wanted).sum(axis=-1) <= NEAR


@pytest.mark.parametrize(("size", "theme"), [(PROJECTOR, "light"), (PHONE, "dark")])
def test_a_picture_has_twice_the_pixels_and_the_colours_of_the_page(
    visit: Any, size: tuple[int, int], theme: str
) -> None:
    page = visit(f"deeper#regression&theme={theme}", size, reduced_motion="reduce").page
    page.evaluate(DOT_ALONE)
    image = Image.open(io.BytesIO(b64decode(module(page, SHARE, PNG))))
    assert image.format == "PNG"
    np.testing.assert_allclose(image.size, [2 * (side + 2 * MARGIN) for side in page.evaluate(BOX)], atol=1)
    picture = pixels(image)
    _, raised, query, key, weight = page.evaluate(COLOURS)
    assert close(picture, raised).mean() > 0.3
    assert close(picture[:4, :4], raised).all()
    # The dot of the query, within its white edge; the dots of the keys; the letters of the weights.
    assert 300 < close(picture, query).sum() < 4 * np.pi * 8**2
    assert close(picture, key).sum() > 500
    assert close(picture, weight).sum() > 500
    # A caption takes room above, and is written there in the colour of the title.
    captioned = Image.open(io.BytesIO(b64decode(module(page, SHARE, CAPTIONED))))
    assert captioned.width == image.width
    above = pixels(captioned)[: captioned.height - image.height]
    assert len(above) > MARGIN
    assert (~close(above, raised)).sum() > 500
    np.testing.assert_allclose(pixels(captioned)[2 * MARGIN + len(above) :], picture[2 * MARGIN :], atol=8)


def test_a_moving_picture_has_the_frames_it_was_given(visit: Any) -> None:
    page = visit("deeper#regression", reduced_motion="reduce").page
    page.evaluate(DOT_ALONE)
    frames, width = 6, 400
    told_of = [[i + 1, frames] for i in range(frames)]
    text, told = module(page, SHARE, GIF, {"frames": frames, "width": width})
    assert told == told_of
    image = Image.open(io.BytesIO(b64decode(text)))
    assert (image.format, getattr(image, "n_frames", 1), image.width) == ("GIF", frames, width)
    assert image.info["loop"] == 0
    *_, query, _, _ = page.evaluate(COLOURS)
    places = []
    for i in range(frames):
        image.seek(i)
        assert image.info["duration"] == 100
        dot = close(pixels(image), query)
        assert dot.sum() > 20
        places.append(np.nonzero(dot)[1].mean())
    scale = width / (page.evaluate(BOX)[0] + 2 * MARGIN)
    np.testing.assert_allclose(np.diff(places), 40 * scale, atol=2)
    np.testing.assert_allclose(places[0], (60 + MARGIN) * scale, atol=2)


def test_five_seconds_are_saved_in_a_small_file(visit: Any) -> None:
    page = visit("deeper#regression", reduced_motion="reduce").page
    film = """({saveGif}) => { const svg = document.querySelector('.plot');
      return saveGif((i) => { svg.querySelector('.seeker circle').setAttribute('cy', 60 + 6 * i); return svg; },
        'softkv.gif'); }"""
    with page.expect_download() as download:
        module(page, SHARE, film)
    assert download.value.suggested_filename == "softkv.gif"
    image: Any = Image.open(download.value.path())
    assert image.n_frames * image.info["duration"] == 5000
    assert image.info["duration"] >= 1000 / 12
    assert image.width <= MOST
    assert download.value.path().stat().st_size < 1_000_000
    with page.expect_download() as download:
        module(page, SHARE, "({savePng}) => savePng(document.querySelector('.plot'), 'softkv.png')")
    assert download.value.suggested_filename == "softkv.png"
    assert Image.open(download.value.path()).format == "PNG"


def test_a_link_is_the_address_of_the_state_alone(visit: Any) -> None:
    opened = visit("deeper?embed=1#regression&t=0.2")
    link = "({linkOf}, hash) => linkOf(location, hash)"
    assert module(opened.page, FRAME, link, "#hard&t=0.1") == f"{opened.origin}/deeper#hard&t=0.1"
    same = module(opened.page, FRAME, "({linkOf}) => linkOf(location)")
    assert same.startswith(f"{opened.origin}/deeper#")


def test_a_link_is_shown_with_a_picture_of_the_opening(visit: Any) -> None:
    assert SHARED.stat().st_size <= SHARED_BYTES
    image = Image.open(SHARED)
    assert image.size == SHARED_SIZE
    picture = pixels(image)
    paper, _, query, key, _ = visit("deeper#regression").page.evaluate(COLOURS)
    assert close(picture, paper).mean() > 0.4
    assert all(close(picture, colour).sum() > 500 for colour in (query, key))
