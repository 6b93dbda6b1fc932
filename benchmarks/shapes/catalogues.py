"""Two catalogues of many near copies of each kind; in the second, the keys share a long sentence."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.shapes.shape import Shape, lines

VARIANTS = 60
SIZES = {
    "l": (1, 2, 5, 8),
    "W": (300, 500, 900, 1200),
    "cm": (20, 35, 60, 90),
    "kg": (2, 5, 20),
    "V": (12, 18),
    "g": (70, 90, 120),
    "m": (10, 15, 25),
    "mm": (38, 40, 42),
}
SHARED = "an online course with videos, exercises and a certificate, which you can start at any time"


@dataclass(frozen=True)
class Kind:
    """A kind of product.

    Attributes:
        name: in the keys.
        common_name: what people call it.
        phrases: other words that people type.
        sizes, unit: some of the sizes, each with the unit.
    """

    name: str
    common_name: str
    phrases: Sequence[str]
    sizes: Sequence[int]
    unit: str


@dataclass(frozen=True)
class Attribute:
    """An attribute of products.

    Attributes:
        name: in a key's template.
        values: of which each product has one.
        question: with the attribute's value and the kind.
        missing: values that no product has.
    """

    name: str
    values: tuple[str, ...]
    question: str
    missing: tuple[str, ...] = ()


GOODS = (
    Attribute("brand", ("Bellavo", "Norrland", "Kestrel", "Tamaru", "Ostwind", "Pikko", "Verano"), "{kind} by {value}"),
    Attribute(
        "colour",
        ("red", "black", "white", "green", "silver", "dark blue", "yellow"),
        "{value} {kind}",
        ("purple", "orange", "pink"),
    ),
    Attribute("line", ("Classic", "Pro", "Basic", "Comfort", "Nova", "Eco"), "{kind} {value}"),
)
COURSES = (
    Attribute(
        "level",
        ("for beginners", "for advanced learners", "for children", "as a refresher", "for pensioners"),
        "{kind} {value}",
    ),
    Attribute(
        "language",
        ("English", "German", "French", "Polish", "Italian"),
        "{kind} in {value}",
        ("Japanese", "Swahili", "Greek"),
    ),
    Attribute(
        "teacher",
        ("Ada Lund", "Bruno Keita", "Carla Weiss", "Dario Okafor", "Elin Marsh", "Farid Nowak"),
        "{kind} with {value}",
    ),
)


def goods() -> Shape:
    """Return household goods."""
    kinds = [
        Kind(name, common_name, phrases.split("; "), SIZES[unit], unit)
        for name, unit, common_name, phrases in lines("goods")
    ]
    key = "{brand} {line} {kind}, {colour}, {size} {unit}, model {model}"
    return _catalogue("goods", kinds, 30, key, GOODS, ("cooking",))


def courses() -> Shape:
    """Return online courses."""
    kinds = [
        Kind(name, common_name, phrases.split("; "), range(2, 13), "weeks")
        for name, common_name, phrases in lines("courses")
    ]
    key = "{kind} {level}, " + SHARED + ", {size} {unit}, in {language}, taught by {teacher}"
    return _catalogue("courses", kinds, 24, key, COURSES, ("cooking", "pop", "religion", "novels"))


def _catalogue(
    name: str,
    kinds: Iterable[Kind],
    present_kinds: int,
    key: str,
    attributes: Sequence[Attribute],
    without: Sequence[str],
) -> Shape:
    chance = random.Random(name)
    rows = list[str]()
    present, near = list[tuple[str, list[int]]](), list[str]()
    for number, kind in enumerate(kinds):
        products = [{one.name: chance.choice(one.values) for one in attributes} for _ in range(VARIANTS)]
        numbers = list(range(len(rows), len(rows) + VARIANTS))
        questions = [(text, numbers) for text in (kind.name.lower(), kind.common_name, *kind.phrases)]
        for one, called in zip(attributes, (kind.common_name, kind.name.lower(), kind.common_name), strict=True):
            value = chance.choice(products)[one.name]
            right = [row for row, product in zip(numbers, products, strict=True) if product[one.name] == value]
            questions.append((one.question.format(kind=called, value=value), right))
        if number >= present_kinds:
            near += [text for text, _ in questions]
            continue
        present += questions
        for one in attributes:
            if one.missing and number % 3 == 0:
                near.append(one.question.format(kind=kind.common_name, value=chance.choice(one.missing)))
        for product in products:
            size, model = chance.choice(kind.sizes), chance.randrange(100, 999)
            rows.append(key.format(kind=kind.name, size=size, unit=kind.unit, model=model, **product))
    return Shape.of(name, rows, present, near, without=without)
