"""A picture whose patches attend: what the page shows of it is what NumPy computes of the same numbers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tests.browser.conftest import PHONE
from tests.browser.reading import module, same_names_in_both, sideways

GIVEN = """({madePicture, withNoise, SIDE}) => ({side: SIDE, clean: [...madePicture()],
  noisy: [...withNoise(madePicture(), 0.1)]})"""
REPAIRED = "() => document.querySelector('#psnr-after')?.textContent.endsWith('dB')"
REPAIRED_PIXELS = """() => [...document.querySelectorAll('.panel canvas')[1].getContext('2d')
  .getImageData(0, 0, 48, 48).data]"""
TEMPERATURE = 0.1


def psnr(levels: Any, clean: Any) -> float:
    return float(10 * np.log10(255**2 / ((levels - clean) ** 2).mean()))


def decibels(page: Any, name: str) -> float:
    return float(page.locator(name).inner_text().split()[0])


def test_the_repaired_picture_is_numpys_and_a_patch_shows_where_it_looks(visit: Any) -> None:
    opened = visit("#scene=photo", covered=True)
    page = opened.page
    page.locator(".choice[value=same]").click()
    page.wait_for_function(REPAIRED, timeout=240_000)
    assert page.locator("#reply").inner_text().startswith("Yes: each patch is one of its own 2,304 keys")

    patterns = module(page, "/js/views/images/picture.js", GIVEN)
    side = patterns["side"]
    clean, noisy = (np.array(patterns[name], float).reshape(side, side, 3) for name in ("clean", "noisy"))
    around = np.pad(noisy, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    patches = np.lib.stride_tricks.sliding_window_view(around, (3, 3), axis=(0, 1)).reshape(side * side, 27)
    squares = (patches**2).sum(1)
    distances = squares[:, None] + squares - 2 * patches @ patches.T
    weights = np.exp(-distances / (2 * TEMPERATURE * 255**2))
    weights /= weights.sum(1, keepdims=True)
    repaired = (weights @ noisy.reshape(-1, 3)).reshape(clean.shape)
    before, after = psnr(noisy, clean), psnr(repaired, clean)
    assert after - before > 3
    assert abs(decibels(page, "#psnr-before") - before) <= 0.051
    assert abs(decibels(page, "#psnr-after") - after) <= 0.051

    page.focus("#picker")
    for key in ("ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    patch = 1300 + 1 + side
    page.wait_for_function(
        "(own) => document.querySelector('#photo-looked').textContent.includes(own)",
        arg=f"itself {weights[patch, patch]:.1%},",
    )
    page.wait_for_function("(at) => location.hash.includes(`patch=${at}`)", arg=patch)
    assert len(re.findall(r"\d%", page.locator("#photo-looked").inner_text())) == 3


def test_the_whole_picture_is_seen_before_its_tiles(visit: Any) -> None:
    opened = visit("#scene=photo", covered=True)
    page = opened.page
    asked: list[int] = []

    def hold_back(route: Any) -> None:
        body = route.request.post_data_json
        is_look = bool(body["include"])  # where one patch looks
        if not is_look:
            asked.append(len(body["query"]))
        if is_look or len(asked) == 1:
            route.continue_()

    page.route("**/v1/attend", hold_back)
    page.locator(".choice[value=same]").click()
    page.wait_for_function("() => /^0 of 16 /.test(document.querySelector('#photo-words').textContent)")
    pixels = np.array(page.evaluate(REPAIRED_PIXELS)).reshape(48, 48, 4)
    assert (pixels[..., 3] == 255).all()
    squares = pixels.reshape(12, 4, 12, 4, 4)
    assert (squares == squares[:, :1, :, :1]).all()
    assert len(np.unique(squares[:, 0, :, 0].reshape(144, 4), axis=0)) > 50
    assert asked[0] == 144
    page.unroute_all()


def test_a_photo_of_ones_own_is_repaired_on_a_phone_in_chinese(visit: Any, tmp_path: Any) -> None:
    opened = visit("#scene=photo&lang=zh&noise=0.15&t=0.2", PHONE)
    page = opened.page
    page.wait_for_function(REPAIRED, timeout=240_000)
    made = page.locator("#psnr-after").inner_text()
    assert sideways(page) <= 0
    photo = tmp_path / "own.png"
    page.locator("h1").screenshot(path=photo)
    page.set_input_files("#own-photo", photo)
    page.wait_for_function(f"{REPAIRED} && document.querySelector('#psnr-after').textContent !== '{made}'")
    same_names_in_both("images")
