"""An FAQ of templates, and the rules of a library of things, whose keys are answers."""

from __future__ import annotations

import random

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
