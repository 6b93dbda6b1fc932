"""Facts about people in several versions, and the tickets and log lines of a building's faults."""

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
