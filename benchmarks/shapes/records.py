"""Facts about people in several versions, the tickets and log lines of a building's faults, and a dictionary."""

from __future__ import annotations

import random

from benchmarks.shapes.shape import Shape, lines

PEOPLE = (
    *("Amara", "Björn", "Chiara", "Dmitri", "Esther", "Fergus", "Guadalupe", "Hiroshi", "Ilse", "Jamal", "Kirsten"),
    *("Lorenzo", "Mireille", "Nadia", "Otto", "Priya", "Quentin", "Rosalind", "Stefan", "Tamsin"),
)
STRANGERS = ("Ursula", "Viktor", "Wanda", "Xavier")
VERSIONS = (1, 1, 2, 1, 1, 3)
MISSING_FACTS = 0.2
FAULTS, FEWEST, MOST = 40, 4, 90
FLOORS = ("ground floor", "second floor", "basement", "east wing", "west wing", "roof", "annex", "canteen")
BEGINNINGS = (
    "Ticket {}: ",
    "{}: ",
    "{floor}: ",
    "Urgent, no. {}: ",
    "Again in the {floor}: ",
    "Hello, ",
    "{}, {floor}: ",
)
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


def memory() -> Shape:
    """Return facts about twenty people; all versions of a fact are right."""
    chance = random.Random("memory")
    rows = list[str]()
    present, near = list[tuple[str, range]](), list[str]()
    for person in (*PEOPLE, *STRANGERS):
        for statements, values, templates in ([field.split(";") for field in line] for line in lines("facts")):
            questions = [template.format(person) for template in templates]
            if person in STRANGERS or chance.random() < MISSING_FACTS:
                near += questions
                continue
            versions = chance.sample(values, chance.choice(VERSIONS))
            numbers = range(len(rows), len(rows) + len(versions))
            present += [(question, numbers) for question in chance.sample(questions, 2)]
            rows += [chance.choice(statements).format(person, value) for value in versions]
    return Shape.of("memory", rows, present, near)


def faults() -> Shape:
    """Return tickets and log lines of forty faults; all of one fault are right."""
    chance = random.Random("faults")
    rows = list[str]()
    present, near = list[tuple[str, range]](), list[str]()
    for number, (log_text, ticket, questions) in enumerate(lines("faults")):
        if number >= FAULTS:
            near += questions.split(";")
            continue
        copies = round(FEWEST * (MOST / FEWEST) ** chance.random())
        present += [(question, range(len(rows), len(rows) + copies)) for question in questions.split(";")]
        for copy in range(copies):
            id_, floor = chance.randrange(1000, 9999), chance.choice(FLOORS)
            time = f"2024-{id_ % 12 + 1:02}-{id_ % 28 + 1:02} {id_ % 24:02}:{id_ % 60:02}:{id_ % 59:02}"
            logged = f"{time} WARN {log_text.format(n=f'{id_ % 40:02}')}"
            rows.append(logged if copy % 2 else chance.choice(BEGINNINGS).format(id_, floor=floor) + ticket)
    return Shape.of("faults", rows, present, near, without=("weather",))


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
