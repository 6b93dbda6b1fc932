"""Old addresses lead to the chapter or the picture about the same idea."""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from service.api.routes.page import WEB
from tests.running import RunningService
from tests.thorough import thorough

ADDRESSES = {
    "#scene=library&t=0.2": "#hard-and-soft",
    "#scene=videos&lang=zh&theme=dark&projector=1": "#key-is-not-value&lang=zh&theme=dark&large=1",
    "#scene=sure&labels=rw": "#nothing-fits",
    "#scene=encoder&layer=2": "#inside-a-model",
    "#scene=nowhere": "#hard-and-soft",
    "#scene=regression&t=1&at=3": "deeper#regression&t=1&at=3",
    "#scene=million&query=a dog": "deeper#certificate&q=a%20dog",
    "#scene=scores&t=0.1&similarity=cosine": "deeper#similarities&t=0.1&similarity=cosine",
    "?embed=1#scene=lowrank&rank=64": "deeper?embed=1#low-rank&rank=64",
    "#scene=photo&noise=0.2": "deeper#patches&noise=0.2",
    "#scene=pairs": "deeper#pairs",
    "#scene=learning&task=reverse": "deeper#networks&task=reverse",
    "#scene=vision": "deeper#captions",
}


@pytest.mark.parametrize("document", ["", "scenes", thorough("index.html"), thorough("scenes.html")])
def test_an_address_of_a_scene_leads_on(chromium: Any, site: RunningService, document: str) -> None:
    page = chromium.new_page()
    for address, target in ADDRESSES.items():
        page.goto("about:blank")
        page.goto(f"{site.url}/{document}{address}", wait_until="commit")
        page.wait_for_url(f"{site.url}/{target}")
        page.wait_for_selector("article:visible .screen")
    page.goto(f"{site.url}/scenes")
    page.wait_for_url(f"{site.url}/deeper")
    page.close()


def test_a_packed_address_leads_on_and_one_that_cannot_be_read_to_the_story(
    chromium: Any, site: RunningService
) -> None:
    packed = zlib.compress(b"#scene=learning&task=copy", wbits=-15)
    letters = urlsafe_b64encode(packed).decode().rstrip("=")
    page = chromium.new_page()
    page.goto(f"{site.url}/#scene=learning&packed={letters}", wait_until="commit")
    page.wait_for_url(f"{site.url}/deeper#networks&task=copy")
    page.goto("about:blank")
    page.goto(f"{site.url}/#scene=rows&packed=c07O", wait_until="commit")
    page.wait_for_url(f"{site.url}/#hard-and-soft*")
    page.close()


def test_an_old_link_in_an_open_page_leads_on(chromium: Any, site: RunningService) -> None:
    page = chromium.new_page()
    page.goto(site.url)
    page.wait_for_selector("article .screen")
    page.evaluate("location.hash = '#scene=regression'")
    page.wait_for_url(f"{site.url}/deeper#regression")
    page.close()


def test_each_place_that_an_address_leads_to_exists() -> None:
    moved = (WEB / "moved.js").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in WEB.glob("*/*s/*.js"))
    for target in ADDRESSES.values():
        name = target.split("#")[1].split("&")[0]
        assert f'"{name}"' in moved
        assert f'id: "{name}"' in sources
