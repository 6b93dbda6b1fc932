"""The demo collections, each written for this project or made at run time from what is installed."""

from __future__ import annotations

from service.datasets.characters import characters
from service.datasets.demo import Demo
from service.datasets.lines import library, videos
from service.datasets.standard_library import standard_library

__all__ = ["DEMOS", "Demo"]

DEMOS: dict[str, Demo] = {
    demo.name: demo
    for demo in (
        Demo("library", "A card catalogue: what a card says, and the book it leads to", {}, library),
        Demo("videos", "A video search: titles and descriptions, and the video", {}, videos),
        Demo("python", "The standard library: what a name does, and how it is called", {}, standard_library),
        # The encoder reads most characters as one unknown token, so their names stand for them.
        Demo("unicode", "Unicode: a character's name, and the character", {"value_from": "key"}, characters),
    )
}
