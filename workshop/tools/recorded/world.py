"""A small world of sentences that this project wrote for the page's language model: actors, deeds, places, reasons.

A text has two clauses, and most of its words follow from an earlier one. A verb agrees with its noun across others.
A pronoun returns to the actor, a colour to its thing, and a state to a deed. So a reader can say what a head looks for.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

END = "."
HELD_OUT_MODULUS = 20


class Deed(NamedTuple):
    """A kind of action.

    Attributes:
        one: the verb after a single actor.
        many: the verb after several.
        state: the reason, an adjective.
        objects: what may follow the verb.
        places: where it happens.
    """

    one: str
    many: str
    state: str
    objects: tuple[str, ...]
    places: tuple[str, ...]


def _parse_deed(verbs: str, state: str, objects: str, adverbials: str) -> Deed:
    one, many = verbs.split()
    return Deed(one, many, state, tuple(objects.split(", ")), tuple(adverbials.split(", ")))


PEOPLE = (
    _parse_deed("eats eat", "hungry", "bread, soup, an apple", "in the kitchen, at home"),
    _parse_deed("drinks drink", "thirsty", "tea, milk, water", "in the kitchen, by the river"),
    _parse_deed("reads read", "curious", "a book, a letter", "at school, in the garden"),
    _parse_deed("wears wear", "cold", "a coat, a hat", "in the snow, at school"),
    _parse_deed("sings sing", "happy", "a song", "at school, in the garden"),
    _parse_deed("rides ride", "late", "a bicycle, a horse", "to school, to the town"),
    _parse_deed("needs need", "tired", "a bed, a chair", "at home"),
)
DOGS = (
    _parse_deed("chases chase", "fast", "a cat, a ball", "in the garden, in the snow"),
    _parse_deed("eats eat", "hungry", "meat, a bone", "in the kitchen, at home"),
    _parse_deed("drinks drink", "thirsty", "water", "by the river, in the garden"),
    _parse_deed("bites bite", "angry", "a thief, a shoe", "at home, in the garden"),
)
CATS = (
    _parse_deed("chases chase", "fast", "a mouse, a bird", "in the garden, in the snow"),
    _parse_deed("eats eat", "hungry", "meat, fish", "in the kitchen, at home"),
    _parse_deed("drinks drink", "thirsty", "milk", "in the kitchen, at home"),
    _parse_deed("needs need", "tired", "a bed, a chair", "at home"),
)
HORSES = (
    _parse_deed("eats eat", "hungry", "grass, an apple", "in the field, by the river"),
    _parse_deed("drinks drink", "thirsty", "water", "by the river, in the field"),
    _parse_deed("pulls pull", "strong", "a cart, a plough", "in the field, to the town"),
)
BIRDS = (
    _parse_deed("eats eat", "hungry", "bread, seeds", "in the garden, in the snow"),
    _parse_deed("drinks drink", "thirsty", "water", "by the river, in the garden"),
    _parse_deed("sings sing", "happy", "a song", "in the garden, in the field"),
    _parse_deed("builds build", "busy", "a nest", "in the garden, by the river"),
)
NAMES = {"Anna": "she", "Lucy": "she", "Maria": "she", "Ben": "he", "Tom": "he", "Paul": "he"}
"""People by their names, and the pronoun of each."""
NOUNS = (
    ("girl", "girls", "she", PEOPLE),
    ("woman", "women", "she", PEOPLE),
    ("queen", "queens", "she", PEOPLE),
    ("boy", "boys", "he", PEOPLE),
    ("man", "men", "he", PEOPLE),
    ("king", "kings", "he", PEOPLE),
    ("dog", "dogs", "it", DOGS),
    ("cat", "cats", "it", CATS),
    ("horse", "horses", "it", HORSES),
    ("bird", "birds", "it", BIRDS),
)
"""Nouns in singular and plural, the pronoun of the singular, and their deeds."""
OWNERS = {"she": "her", "he": "his", "it": "its", "they": "their"}
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown")
THINGS = ("ball", "hat", "coat", "bag", "boat", "house")


class Actor(NamedTuple):
    """A subject of sentences: its words, the pronoun that returns to it, and its deeds."""

    words: str
    pronoun: str
    deeds: tuple[Deed, ...]

    @property
    def be(self) -> str:
        return "are" if self.pronoun == "they" else "is"

    def verb(self, deed: Deed) -> str:
        """Return the verb that agrees."""
        return deed.many if self.pronoun == "they" else deed.one


ACTORS = (
    *(Actor(name, pronoun, PEOPLE) for name, pronoun in NAMES.items()),
    *(Actor(f"the {one}", pronoun, deeds) for one, _, pronoun, deeds in NOUNS),
    *(Actor(f"the {many}", "they", deeds) for _, many, _, deeds in NOUNS),
)


class Text(NamedTuple):
    """A text of the world.

    Attributes:
        form: which of the forms below it has.
        words: its words and stops.
        fact: what it tells, by which it is held out.
    """

    form: str
    words: tuple[str, ...]
    fact: str

    @property
    def is_held_out(self) -> bool:
        """Whether no text with this fact is learned from."""
        return zlib.crc32(self.fact.encode()) % HELD_OUT_MODULUS == 0


def texts() -> Iterator[Text]:
    """Yield each text of the world once."""
    for actor in ACTORS:
        words, pronoun, be = actor.words, actor.pronoun, actor.be
        for deed in actor.deeds:
            for thing in deed.objects:
                does = f"{actor.verb(deed)} {thing}"
                forms = [("because", f"{words} {does} because {pronoun} {be} {deed.state} .")]
                for location in deed.places:
                    forms += [
                        ("place", f"{words} {does} {location} . {pronoun} {be} {deed.state} ."),
                        ("state", f"{words} {be} {deed.state} . {pronoun} {does} {location} ."),
                    ]
                if words.startswith("the "):
                    forms += [
                        ("near", f"{words} near {other.words} {does} . {pronoun} {be} {deed.state} .")
                        for other in ACTORS
                        if other.words.startswith("the ") and other.deeds is not actor.deeds
                    ]
                for form, text in forms:
                    yield Text(form, tuple(text.split()), f"{words} {does}")
        if actor.deeds is PEOPLE:
            for colour, thing in product(COLOURS, THINGS):
                has = f"{words} {'have' if be == 'are' else 'has'} a {colour} {thing}"
                text = f"{has} . {OWNERS[pronoun]} {thing} is {colour} ."
                yield Text("colour", tuple(text.split()), has)
