"""The map of keys: its plane is NumPy's, and a spot on it is asked as the vector that NumPy lifts from there."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np

from tests.browser.conftest import PHONE
from tests.browser.reading import same_names_in_both, sideways
from tests.browser.written import fixed, percent

ALL = {"query": "books about felines", "top_k": 1000, "include": ["key", "key_vector"]}
STEP = 0.02


def test_the_plane_and_the_weights_at_a_spot_are_numpys(visit: Any) -> None:
    opened = visit("#scene=space&spot=[0.1,0.2]", covered=True)
    page = opened.page
    page.wait_for_selector("#space-words:not(:empty)")
    matches = httpx.post(f"{opened.origin}/v1/collections/library/attend", json=ALL, timeout=60).json()["matches"]
    keys = np.array([match["key_vector"] for match in matches])
    mean = keys.mean(0)
    _, sizes, axes = np.linalg.svd(keys - mean, full_matrices=False)
    share = float((sizes[:2] ** 2).sum() / (sizes**2).sum())
    assert percent(share) in page.locator("#space-left").inner_text()

    # Two steps by the keyboard, to the right and up. Of a direction the page takes the largest number as positive.
    page.focus("#space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.wait_for_function("() => location.hash.includes(encodeURIComponent('[0.12,0.22]'))")
    opened.settle()
    signs = [np.sign(axis[np.abs(axis).argmax()]) for axis in axes[:2]]
    lifted = mean + (0.1 + STEP) * signs[0] * axes[0] + (0.2 + STEP) * signs[1] * axes[1]
    cosines = keys @ lifted / np.linalg.norm(keys, axis=1) / np.linalg.norm(lifted)
    weights = np.exp((cosines - cosines.max()) / 0.05)
    weights /= weights.sum()
    best = int(weights.argmax())
    text = page.locator("#space-words").inner_text()
    assert (
        f"“{matches[best]['key']}” {percent(float(weights[best]))}, at similarity {fixed(float(cosines[best]))}" in text
    )
    radii = sorted(float(dot.get_attribute("r") or 0) for dot in page.locator(".dots circle").all())
    np.testing.assert_allclose(radii, sorted(4 + 36 * np.sqrt(weights)), atol=0.01)

    # Rings grow with the temperature; dragging asks anew.
    size = "() => document.querySelector('.rings path').getBBox().width"
    before = page.evaluate(size)
    page.locator(".tick", has_text="0.2").click()
    page.wait_for_function(f"(before) => ({size})() > 1.5 * before", arg=before)
    box = page.locator("#space").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4, steps=3)
    page.mouse.up()
    page.wait_for_function("(said) => document.querySelector('#space-words').textContent !== said", arg=text)
    page.wait_for_function("() => location.hash.includes('spot=')")
    same_names_in_both("space")
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert sideways(page) <= 0


def test_its_question_is_answered_by_the_planes_share(visit: Any) -> None:
    page = visit("#scene=space&lang=zh", covered=True).page
    page.locator(".choice[value=part]").click()
    assert page.locator("#reply").inner_text().startswith("答对了")
