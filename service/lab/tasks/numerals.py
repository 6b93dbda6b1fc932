"""English number words → French ones, where the places of tens and units change their names and their order."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from numpy.random import Generator

from service.lab.tasks.task import Example, TextTask

ENGLISH_UNITS = tuple(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen""".split()  # noqa: SIM905, words as one reads them
)
ENGLISH_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
FRENCH_UNITS = tuple(
    """zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit
    dix-neuf""".split()  # noqa: SIM905
)
FRENCH_TENS = ("vingt", "trente", "quarante", "cinquante", "soixante", "soixante", "quatre-vingt", "quatre-vingt")
TRAINED, LONGER = 10_000, 1_000_000
"""What is trained on lies below the first, what is longer between the two."""


def english(number: int) -> list[str]:
    """0 to 999,999 in words, as in "three hundred forty two"."""
    if number >= 1000:
        return [*english(number // 1000), "thousand", *_unless_zero(english, number % 1000)]
    if number >= 100:
        return [ENGLISH_UNITS[number // 100], "hundred", *_unless_zero(english, number % 100)]
    if number >= 20:
        return [ENGLISH_TENS[number // 10 - 2], *_unless_zero(english, number % 10)]
    return [ENGLISH_UNITS[number]]


def french(number: int, *, last: bool = True) -> list[str]:
    """The same as one counts in France; `last`: nothing follows, so that cents and vingts may have their s."""
    if number >= 1000:
        before = [] if number < 2000 else french(number // 1000, last=False)
        return [*before, "mille", *_unless_zero(french, number % 1000)]
    if number >= 100:
        before = [] if number < 200 else french(number // 100)
        plural = last and number >= 200 and number % 100 == 0
        return [*before, "cents" if plural else "cent", *_unless_zero(partial(french, last=last), number % 100)]
    if number < 20:
        return FRENCH_UNITS[number].split("-")
    ten, unit = divmod(number, 10)
    if number == 80 and last:
        return ["quatre", "vingts"]
    unit += 10 if ten in (7, 9) else 0
    joint = ["et"] if unit in (1, 11) and ten < 8 else []
    return [*FRENCH_TENS[ten - 2].split("-"), *joint, *_unless_zero(french, unit)]


def _unless_zero(words: Callable[[int], list[str]], number: int) -> list[str]:
    return words(number) if number else []


def _draw(random: Generator, longer: bool) -> Example:
    """As many of one digit as of two, three and four; the longer ones have five or six."""
    number = int(random.integers(TRAINED, LONGER) if longer else random.integers(10 ** random.integers(1, 5)))
    return Example(tuple(english(number)), tuple(french(number)))


NUMBERS = TextTask(
    name="numbers",
    source=(*ENGLISH_UNITS, *ENGLISH_TENS, "hundred", "thousand"),
    target=tuple(dict.fromkeys(word for number in (*range(101), 200, 1000) for word in french(number))),
    draw=_draw,
    read=lambda text: tuple(word for word in re.split(r"[\s,-]+", text.lower()) if word and word != "and"),
    shown=" ".join,
    joined=" ".join,
    longest=9,
    most_written=14,
    reaches=True,
)
