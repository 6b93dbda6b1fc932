"""Three collections with questions written by hand, before anything was run on them; they are never changed.

    office    an FAQ of a city's offices
    coffee    the manual of a coffee machine
    outdoor   the catalogue of a shop

A line of `written/NAME.txt` is a key with its id, or a question. Questions of the kind `present` are in a layman's
words, with the ids that answer them; those of the kind `near` are about the subject, and no key answers them.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.shapes.shape import OFF_TOPIC, Shape, off_topic, sample

FOLDER = Path(__file__).parent / "written"
COMMIT = "99b77dc2"
"""The commit with which the questions were written; nothing had been run on them."""
TOUCHED = {"office": ("politics",), "coffee": ("cooking",), "outdoor": ("cooking",)}
"""Off-topic topics that a collection touches."""


def written() -> list[Shape]:
    """Return the three collections, the same every time."""
    return [_read(name, without) for name, without in TOUCHED.items()]


def _read(name: str, without: tuple[str, ...]) -> Shape:
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    lines = [line.split("|") for line in text.splitlines()]
    return Shape(
        name,
        {identity: key for kind, identity, key in lines if kind == "key"},
        [(question, tuple(ids.split())) for kind, ids, question in lines if kind == "present"],
        [question for kind, _, question in lines if kind == "near"],
        sample(name, off_topic(without), OFF_TOPIC),
    )
