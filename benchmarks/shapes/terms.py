"""A dictionary of units, and of words of music, cooking and sailing."""

from __future__ import annotations

import random

from benchmarks.shapes.shape import Shape, lines

PREFIXES = (
    *(
        ("pico", "a trillionth of"),
        ("nano", "a billionth of"),
        ("micro", "a millionth of"),
        ("milli", "a thousandth of"),
    ),
    *(("centi", "a hundredth of"), ("deci", "a tenth of"), ("deca", "ten times"), ("hecto", "a hundred times")),
    *(("kilo", "a thousand times"), ("mega", "a million times"), ("giga", "a billion times")),
)
UNITS = (
    *(("metre", "length"), ("gram", "mass"), ("second", "time"), ("ampere", "electric current"), ("watt", "power")),
    *(("joule", "energy"), ("volt", "voltage"), ("hertz", "frequency"), ("pascal", "pressure"), ("litre", "volume")),
    *(("newton", "force"), ("ohm", "electrical resistance"), ("farad", "capacitance"), ("lumen", "luminous flux")),
)
MISSING_UNITS = 0.25
MISSING_TERMS = 4
"""One of this number of terms is missing."""
UNIT_QUESTIONS = ("{0} one {1}", "what is {0} one {1} called?", "unit of {2}: {0} one {1}", "word for {0} one {1}")


def terms() -> Shape:
    """Return words with their meanings, asked for by descriptions; a quarter is missing."""
    chance = random.Random("terms")
    rows = list[str]()
    present, near = list[tuple[str, list[int]]](), list[str]()
    for number, (term, meaning, questions) in enumerate(lines("terms")):
        texts = [*questions.split(";"), term]
        if number % MISSING_TERMS == MISSING_TERMS - 1:
            near += texts
            continue
        present += [(text, [len(rows)]) for text in texts[: 2 + number % 2]]
        rows.append(f"{term}: {meaning}")
    for unit, of in UNITS:
        for prefix, times in PREFIXES:
            question = chance.choice(UNIT_QUESTIONS).format(times, unit, of)
            if chance.random() < MISSING_UNITS:
                near.append(question)
                continue
            present.append((question, [len(rows)]))
            rows.append(f"{prefix}{unit}: {times} one {unit}, a unit of {of}")
    return Shape.of("terms", rows, present, near, without=("mathematics", "physics", "cooking", "chemistry"))
