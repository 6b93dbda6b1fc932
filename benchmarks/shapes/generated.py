"""Shapes made of word lists: an FAQ, rules, two catalogues, facts, faults and a dictionary."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.shapes.shape import Shape, lines

MISSING_PAIRS = 0.08
"""The share of things and templates that have no row."""
QUESTIONS_OF_ROW = 3

# {a}: with its article; {n}: the name; {c}: what people say
SERVICES = (
    (
        "How do I apply for {a}?",
        *("I want {a}, where do I start?", "getting {a}", "{n} application form", "how can I get {c} from the town?"),
    ),
    ("What does {a} cost?", "price of {c}", "{n} fee", "is {c} free?", "how much is {a}"),
    (
        "How do I cancel my {n}?",
        *("I no longer need the {n}", "stop {n}", "I changed my mind about {c}", "how to get out of {c} again?"),
    ),
    (
        "How can I renew my {n}?",
        *("my {n} runs out next month", "{n} expired", "extend {c} for another year", "prolong {n}"),
    ),
    (
        "What can I do if my application for {a} was refused?",
        *(
            "they common_name no to {c}",
            "appeal {n}",
            "my {n} was turned down, and now?",
            "complaint about a rejected {n}",
        ),
    ),
    (
        "How long does it take to get {a}?",
        *("when will I have my {n}?", "still waiting for the {n}", "{n} processing time", "how many weeks for {a}?"),
    ),
    (
        "Which documents do I have to bring for {a}?",
        *("what papers are needed for {a}", "{n} paperwork", "do I need proof of my address for {c}?", "{n} documents"),
    ),
    (
        "Can I transfer my {n} to someone else?",
        *("give the {n} to my brother", "put the {n} in my wife's name", "can a friend take over my {n}?"),
    ),
    (
        "Whom can I call with questions about {a}?",
        *("phone number {n}", "who is in charge of {n}?", "talk to somebody about {c}", "contact person {n}"),
    ),
    (
        "Can I pay for {a} by card?",
        *(
            "do you take credit cards for {c}",
            "paying the {n} with my phone",
            "is it cash only for {c}?",
            "{n} by Visa",
        ),
    ),
)
UNHEARD_SERVICES = (
    *("is {c} tax deductible?", "can tourists get {a}?", "{n} for companies"),
    *("are there statistics on {c}?", "who invented the {n}?"),
)

# {p}: the things; {c}: what people say; {n}: a number
LENDING = (
    (
        "{P} may be kept for {n} days.",
        *(
            "how long can I keep {p}?",
            "loan period of {p}",
            "when do I have to bring back {c}?",
            "{p}, how many days?",
        ),
    ),
    (
        "The loan of {p} can be extended {n} times unless somebody waits for them.",
        *("can I keep {p} longer?", "renew {p}", "I am not done with {c} yet, can I have more time?"),
    ),
    (
        "For each day that {p} come back late we charge {n} cents.",
        *("fine for overdue {p}", "I forgot to return {c} in time, what does it cost?", "late fee {p}"),
    ),
    (
        "{P} that are out can be reserved at the desk, and we call you within {n} days.",
        *("put {c} on hold", "somebody else has the {p}, can I be next?", "reserve {p}"),
    ),
    (
        "Nobody may take home more than {n} of our {p} at a time.",
        *("how many {p} can I borrow at once?", "limit of {p}", "maximum number of {p} per person"),
    ),
    (
        "Whoever borrows {p} has to be at least {n} years old.",
        *("can my child borrow {p}?", "minimum age for {p}", "am I too young for {c}?"),
    ),
    (
        "If {p} are lost or broken, you pay {n} euros for new ones.",
        *("I broke {c}", "my dog chewed the {p}", "I cannot find {c} any more, what do I owe?", "damaged {p}"),
    ),
    (
        "{P} go back to counter {n} and never into the book drop.",
        *("where do I give back {p}?", "can I throw {p} into the box at night?", "returning {p}"),
    ),
    (
        "For {p} we ask for a deposit of {n} euros, which you get back.",
        *("do I have to leave money for {p}?", "deposit {p}", "security for {c}, how much?"),
    ),
)
UNHEARD_LENDING = (
    *("which brand are the {p}?", "can I buy {c} from you?", "do you deliver {p} to my home?"),
    *("who donated the {p}?", "course on how to use {c}"),
)
NUMBERS = (2, 3, 4, 5, 6, 7, 10, 12, 14, 16, 18, 20, 21, 28, 30, 40, 50, 60, 80, 90)


def services() -> Shape:
    """Return questions to a town hall."""
    things = [
        {"a": name if name == "meals on wheels" else f"{_article(name)} {name}", "n": name, "c": common_name}
        for name, common_name in lines("services")
    ]
    return _grid("services", things, 30, SERVICES, UNHEARD_SERVICES)


def lending() -> Shape:
    """Return the rules of a library that lends things."""
    things = [{"P": name[0].upper() + name[1:], "p": name, "c": common_name} for name, common_name in lines("lending")]
    return _grid("lending", things, 24, LENDING, UNHEARD_LENDING)


def _article(name: str) -> str:
    return "an" if name[0] in "aeiou" else "a"


def _grid(
    name: str,
    things: list[dict[str, str]],
    present_things: int,
    rules: tuple[tuple[str, ...], ...],
    unheard: tuple[str, ...],
) -> Shape:
    chance = random.Random(name)
    rows = list[str]()
    present, near = list[tuple[str, list[int]]](), list[str]()
    chance.shuffle(things)
    for number, thing in enumerate(things):
        for row, *questions in rules:
            fields = thing | {"n": thing.get("n", str(chance.choice(NUMBERS)))}
            texts = [text.format(**fields) for text in chance.sample(questions, min(QUESTIONS_OF_ROW, len(questions)))]
            if number >= present_things or chance.random() < MISSING_PAIRS:
                near += texts[:2]
            else:
                present += [(text, [len(rows)]) for text in texts]
                rows.append(row.format(**fields))
        if number < present_things:
            near += [text.format(**thing) for text in chance.sample(unheard, 2)]
    return Shape.of(name, rows, present, near)


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
