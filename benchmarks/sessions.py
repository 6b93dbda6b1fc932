"""A generated memory of an agent: what 50 sessions said, and questions to it, the same for each seed.

A statement is about one person and one subject. Statements and questions of a subject share few words. Some facts
change: the agent either notices, and replaces the old statement, or only adds the new one, which contradicts the old
one. Some facts hold for a few days.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

SESSIONS = 50
STATED, TEMPORARY, REPLACED, CONTRADICTED = 260, 60, 20, 20
"""The numbers of lasting facts and of temporary ones, and of the lasting ones that change in either way."""
ASKED, LABELS = (160, 40, 20, 20), (68, 17, 8, 8)
"""The numbers of questions with an answer; on what was never said; on what has expired; and on something else."""

PEOPLE = (
    *("Ruth", "Paul", "Ines", "Omar", "Greta", "Hugo", "Nadia", "Felix", "Clara", "Viktor", "Amara", "Jonas", "Leila"),
    *("Bruno", "Sofia", "Emil", "Tara", "Ivan", "Mona", "Oscar", "Priya", "Stefan", "Yuki", "Diego", "Elsa", "Karim"),
    *("Lotte", "Marco", "Noor", "Rafael"),
)


class Subject(NamedTuple):
    """Statements on a person with a value, questions on it, and the values."""

    statements: tuple[str, ...]
    questions: tuple[str, ...]
    values: tuple[str, ...]


LASTING = {
    "job": Subject(
        ("{who} works as {value}.", "{who} earns money as {value}."),
        ("What does {who} do for a living?", "What is the profession of {who}?"),
        ("a nurse", "a carpenter", "a pilot", "a tax adviser", "a gardener", "a judge", "a baker", "a geologist"),
    ),
    "town": Subject(
        ("{who} has a flat in {value}.", "{who} moved to {value}."),
        ("Where is {who} at home?", "In which town does {who} live?"),
        ("Lisbon", "Oslo", "Krakow", "Turin", "Ghent", "Seville", "Tallinn", "Graz"),
    ),
    "pet": Subject(
        ("{who} keeps {value} at home.", "{who} feeds {value} every morning."),
        ("Which animal does {who} own?", "What kind of pet lives with {who}?"),
        ("a parrot", "two cats", "a tortoise", "an old greyhound", "three rabbits", "a ferret", "goldfish"),
    ),
    "allergy": Subject(
        ("{who} must not eat {value}.", "{who} gets a rash from {value}."),
        ("What is {who} allergic to?", "Which food is dangerous for {who}?"),
        ("peanuts", "shellfish", "celery", "kiwis", "soya", "hazelnuts", "mustard"),
    ),
    "instrument": Subject(
        ("{who} plays the {value}.", "{who} takes lessons on the {value}."),
        ("Which musical instrument is {who} good at?", "On what does {who} make music?"),
        ("cello", "trumpet", "accordion", "harp", "oboe", "double bass", "banjo"),
    ),
    "birthday": Subject(
        ("{who} was born on {value}.", "{who} blows out candles on {value}."),
        ("When is the birthday of {who}?", "On what date does {who} get a year older?"),
        ("3 March", "17 June", "29 August", "5 October", "11 December", "24 January", "8 May"),
    ),
    "car": Subject(
        ("{who} drives {value}.", "{who} bought {value}."),
        ("What vehicle does {who} have?", "How does {who} get around by road?"),
        ("a red van", "a small electric car", "an old estate car", "a motorbike", "a pickup", "a convertible"),
    ),
    "language": Subject(
        ("{who} is learning {value}.", "{who} practises {value} with an app."),
        ("Which foreign tongue does {who} study?", "What language course does {who} take?"),
        ("Finnish", "Korean", "Arabic", "Portuguese", "Turkish", "Hindi", "Greek"),
    ),
    "sport": Subject(
        ("{who} goes {value} twice a week.", "{who} is in a club for {value}."),
        ("How does {who} keep fit?", "What sport does {who} do?"),
        ("rowing", "fencing", "climbing", "swimming", "skating", "bouldering", "cycling"),
    ),
    "drink": Subject(
        ("{who} always orders {value}.", "{who} asks for {value} in every bar."),
        ("What should I pour for {who}?", "What does {who} like to drink?"),
        ("green tea", "tonic water", "espresso", "apple cider", "hot chocolate", "ginger beer"),
    ),
    "employer": Subject(
        ("{who} is on the payroll of {value}.", "{who} signed a contract with {value}."),
        ("Which company employs {who}?", "Who pays the salary of {who}?"),
        ("Northwind Shipping", "Helios Solar", "the city library", "Brandt Optics", "Alpine Rail", "Marlow Foods"),
    ),
    "sister": Subject(
        ("{who} grew up with a sister called {value}.", "The sister of {who} is {value}."),
        ("What is the name of {who}'s sibling?", "Who is {who}'s sister?"),
        ("Agnes", "Beatrice", "Carmen", "Dorothea", "Edith", "Flora", "Hilda"),
    ),
    "fear": Subject(
        ("{who} is afraid of {value}.", "{who} cannot stand {value}."),
        ("What frightens {who}?", "What makes {who} panic?"),
        ("spiders", "heights", "thunderstorms", "lifts", "dentists", "deep water", "the dark"),
    ),
    "university": Subject(
        ("{who} studied in {value}.", "{who} has a degree from {value}."),
        ("Where did {who} go to university?", "Which alma mater does {who} have?"),
        ("Uppsala", "Bologna", "Leiden", "Coimbra", "Heidelberg", "Edinburgh", "Vilnius"),
    ),
}
PASSING = {
    "hotel": Subject(
        ("{who} is staying at the hotel {value} this week.",),
        ("Where can I reach {who} tonight?", "In which hotel is {who}?"),
        ("Astoria", "Bristol", "Continental", "Miramar", "Savoy", "Excelsior"),
    ),
    "parking": Subject(
        ("{who} left the car on level {value} of the garage.",),
        ("Where is the car of {who} parked?", "On which parking deck is {who}?"),
        ("B2", "C4", "A1", "D3", "E5"),
    ),
    "room": Subject(
        ("{who} has a meeting in room {value}.",),
        ("In which room does {who} meet people today?", "Where is the appointment of {who}?"),
        ("Amber", "Cobalt", "Jade", "Ivory", "Maroon"),
    ),
    "code": Subject(
        ("The door code for guests of {who} is {value}.",),
        ("How do I open the door at {who}'s?", "Which number lets me in at {who}'s?"),
        ("4711", "8203", "1954", "6620", "3097"),
    ),
    "loan": Subject(
        ("{who} has borrowed {value} until Friday.",),
        ("What did {who} take on loan?", "Which thing of mine does {who} have?"),
        ("the ladder", "my drill", "the tent", "a projector", "the folding table"),
    ),
}
OFF_TOPIC = (
    *("How do glaciers move?", "What is the boiling point of tungsten?", "Who wrote the Magna Carta?"),
    *("How is the sales tax computed?", "Why is the sky blue?", "What causes earthquakes?"),
    *("How many moons does Saturn have?", "What is the capital of Mongolia?", "How do vaccines work?"),
    *("When did the Bronze Age end?", "What is a prime number?", "How deep is the Baltic Sea?"),
    *("How do I sharpen a chisel?", "What does a notary do?", "Why do leaves turn red?"),
    *("How is steel made?", "What is the speed of sound?", "Who invented the telegraph?"),
    *("How do I remove rust?", "What is inflation?", "Which planet is the hottest?"),
    *("How does a heat pump work?", "What is the longest river in Asia?", "How do bees make honey?"),
    *("What is a black hole?", "How do I prune roses?", "Why is sea water salty?", "What is photosynthesis?"),
)


class Slot(NamedTuple):
    """A person and a subject, on which one fact is true at a time."""

    who: str
    subject: str


class Statement(NamedTuple):
    """A fact as a session said it.

    Attributes:
        key: the name under which the agent stores it; a later statement of the same key replaces it.
        lasts: whether it holds when the questions come; False for a fact that has expired.
        temporary: whether it has a time to live.
    """

    key: str
    session: int
    slot: Slot
    text: str
    lasts: bool
    temporary: bool


@dataclass(frozen=True)
class Asked:
    """A question to the memory.

    Attributes:
        kind: "known", "unknown", "expired" or "off-topic".
        right: the key of the statement that answers it; None if no statement does.
        stale: the key of the statement that was true before, and that the agent did not replace; None without one.
    """

    text: str
    kind: str
    right: str | None
    stale: str | None = None


@dataclass(frozen=True)
class AgentMemory:
    """The statements of all sessions in their order, questions to them, and other questions with their answers."""

    statements: list[Statement]
    questions: list[Asked]
    labels: list[Asked]


def agent_memory(seed: int) -> AgentMemory:
    """Generate a memory and its questions; no fact is asked for by a question and a label."""
    rng = random.Random(seed)
    slots = [Slot(who, subject) for who in PEOPLE for subject in LASTING]
    passing = [Slot(who, subject) for who in PEOPLE for subject in PASSING]
    rng.shuffle(slots)
    rng.shuffle(passing)
    known, unknown, temporary = slots[:STATED], slots[STATED:], passing[:TEMPORARY]
    statements: list[Statement] = []
    right: dict[Slot, str] = {}
    stale: dict[Slot, str] = {}

    def state(slot: Slot, session: int, key: str, before: str = "", lasts: bool = True) -> None:
        subject = (LASTING | PASSING)[slot.subject]
        value = rng.choice([value for value in subject.values if value not in before])
        text = rng.choice(subject.statements).format(who=slot.who, value=value)
        statements.append(Statement(key, session, slot, text, lasts, slot.subject in PASSING))
        right[slot] = key

    for number, slot in enumerate(known):
        changes = number < REPLACED + CONTRADICTED
        session = rng.randrange(SESSIONS // 2) if changes else rng.randrange(SESSIONS)
        state(slot, session, f"fact-{number}")
        if changes:
            later = rng.randrange(session + 5, SESSIONS)
            noticed = number < REPLACED
            if not noticed:
                stale[slot] = right[slot]
            state(slot, later, right[slot] if noticed else f"change-{number}", statements[-1].text)
    for number, slot in enumerate(temporary):
        session = rng.randrange(SESSIONS)
        state(slot, session, f"temporary-{number}", lasts=session + rng.randrange(1, 15) >= SESSIONS)
    statements.sort(key=lambda statement: statement.session)
    expired = {statement.slot for statement in statements if not statement.lasts}
    pools = {
        "known": [*known, *(slot for slot in temporary if slot not in expired)],
        "unknown": unknown,
        "expired": sorted(expired),
    }
    for pool in pools.values():
        rng.shuffle(pool)
    pools["known"].sort(key=lambda slot: slot not in stale)  # each contradiction is asked for
    other = rng.sample(OFF_TOPIC, len(OFF_TOPIC))

    def ask(counts: tuple[int, ...]) -> list[Asked]:
        questions = []
        for kind, count in zip(pools, counts, strict=False):
            for slot in pools[kind][:count]:
                text = rng.choice((LASTING | PASSING)[slot.subject].questions).format(who=slot.who)
                is_known = kind == "known"
                questions.append(Asked(text, kind, right[slot] if is_known else None, stale.get(slot)))
            del pools[kind][:count]
        questions += [Asked(text, "off-topic", None) for text in other[: counts[-1]]]
        del other[: counts[-1]]
        return questions

    return AgentMemory(statements, ask(ASKED), ask(LABELS))
