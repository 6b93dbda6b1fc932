"""Made part codes and abbreviations with their meanings, and questions that use them: words that no encoder knows.

Nothing is read from a file. All follows from a seed: which parts there are, their codes, and what is asked.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

KINDS = (
    *("hex bolt", "ball bearing", "drive belt", "oil filter", "pressure valve", "pump housing", "gasket ring"),
    *("control panel", "heating coil", "fan blade", "power cable", "sensor bracket", "gear wheel", "shock absorber"),
    *("fuel hose", "brake pad", "door hinge", "spring clip", "circuit board", "cooling plate"),
)
MATERIALS = ("stainless steel", "brass", "nylon", "aluminium", "rubber", "copper", "ceramic")
PLACES = ("for the packing line", "for the forklift", "for the boiler room", "for the paint booth", "for the crane")
CODE_QUESTIONS = (
    *("where is {}", "do we have {} in stock", "order ten {}", "price of {}", "{} is broken", "replacement for {}"),
    *("who delivers {}", "data sheet of {}", "{}", "how is {} mounted"),
)
TEAMS = ("delivery", "supplier", "invoice", "safety", "warranty", "shift", "machine", "customs", "training", "energy")
ACTS = ("verification", "evaluation", "correction", "inspection", "handover", "clearance", "planning", "approval")
PAPERS = ("report", "form", "protocol", "checklist", "certificate", "schedule")
ABBREVIATION_QUESTIONS = (
    *("what is a {}", "who signs the {}", "deadline of the {}", "template of {}", "where do I file the {}"),
    *("{} is missing", "my {} was refused", "how long is a {} valid", "the {} of last month", "send me the {}"),
)


@dataclass(frozen=True)
class NamedDocument:
    """A document that people call by a made name.

    Attributes:
        text: what it says, without the name.
        name: a code or an abbreviation.
        questions: what is asked of it, by the name alone.
    """

    text: str
    name: str
    questions: tuple[str, ...]


def make_documents(named: int, questions: int, seed: int = 0) -> tuple[list[NamedDocument], list[str]]:
    """Return documents with a made name, half of them parts and half papers, and the texts of all others.

    Args:
        named: the number of documents that have a name.
        questions: the number of questions of each, at most 10.
        seed: the seed of all that is drawn.
    """
    random = np.random.default_rng(seed)
    parts = [f"{kind}, {material}, {place}" for kind, material, place in product(KINDS, MATERIALS, PLACES)]
    papers = [f"{team} {act} {paper}" for team, act, paper in product(TEAMS, ACTS, PAPERS)]
    documents, others, names = list[NamedDocument](), list[str](), set[str]()
    for texts, forms, draw in ((parts, CODE_QUESTIONS, _draw_code), (papers, ABBREVIATION_QUESTIONS, _draw_letters)):
        order = random.permutation(len(texts))
        for i in order[: named // 2]:
            while (name := draw(random)) in names:
                pass
            names.add(name)
            wordings = tuple(forms[j].format(name) for j in random.permutation(len(forms))[:questions])
            documents.append(NamedDocument(texts[i], name, wordings))
        others += [texts[i] for i in order[named // 2 :]]
    return documents, others


def _draw_code(random: np.random.Generator) -> str:
    """Return a part code, such as KX-4471."""
    return f"{_draw(random, string.ascii_uppercase, 2)}-{random.integers(1000, 10_000)}"


def _draw_letters(random: np.random.Generator) -> str:
    """Return an abbreviation whose letters do not begin the words of its meaning, such as QZOV."""
    return _draw(random, string.ascii_uppercase, 4)


def _draw(random: np.random.Generator, letters: Sequence[str], count: int) -> str:
    return "".join(random.choice(list(letters), count))
