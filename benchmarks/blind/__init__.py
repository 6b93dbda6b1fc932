"""Three collections with questions by another hand, written without knowledge of softkv and of the tested method.

Nothing had been run on them when they were committed, and they are never changed:

    repairs      60 passages of 115 to 200 tokens, a manual of repairs at home
    clinic       120 short entries of a veterinary clinic and an animal shelter
    dictionary   5,000 nouns with their glosses, from WordNet 3.0

A line of a file is a document, or a question: `present` with the ids that answer it, `near` about the subject
without an answer, or `off` about something else. The documents of `dictionary` are made from the file `data.noun` of
WordNet 3.0, which Debian's package `wordnet-base` 1:3.0-37 has:

    apt-get download wordnet-base && dpkg-deb --extract wordnet-base_*.deb FOLDER
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
NAMES = ("repairs", "clinic", "dictionary")


class Document(NamedTuple):
    """A document: its id, its title and its text."""

    id: str
    title: str
    text: str


@dataclass(frozen=True)
class Asked:
    """A collection and its questions.

    Attributes:
        present: questions, each with the ids of all documents that answer it.
        near: questions about the subject that no document answers.
        off: questions about something else.
    """

    name: str
    documents: list[Document]
    present: list[tuple[str, tuple[str, ...]]]
    near: list[str]
    off: list[str]


def read(name: str, nouns: Path | None = None) -> Asked:
    """Return the collection of this name.

    Args:
        name: one of `NAMES`.
        nouns: the file `data.noun`, which `dictionary` needs.
    """
    lines = [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    documents = [Document(line["id"], line["title"], line["text"]) for line in lines if line["kind"] == "document"]
    if nouns is not None and name == "dictionary":
        documents = choose_nouns(nouns)
    questions = {kind: [line for line in lines if line["kind"] == kind] for kind in ("present", "near", "off")}
    present = [(line["question"], tuple(line["answers"])) for line in questions["present"]]
    near, off = ([line["question"] for line in questions[kind]] for kind in ("near", "off"))
    return Asked(name, documents, present, near, off)


QUOTAS = {"06": 2700, "13": 700, "04": 400, "18": 550, "05": 200, "20": 120, "27": 150, "08": 120, "17": 60}
"""The nouns of each of WordNet's files: artifact, food, act, person, animal, plant, substance, body, object."""
LEAST_WORDS = 6
NOT_FOR_A_WORKSHOP = re.compile(
    r"\b(offensive|slur|contempt\w*|disparag\w*|derogat\w*|obscene|sexual\w*|genital\w*|vulva\w*|vagina\w*|penis)\b"
)
KINDS_OF_LIFE = re.compile(r"(any |an? )?(species|genus|family|order|class|type genus)\b")


class Synset(NamedTuple):
    """A set of synonyms: its offset, WordNet's file, its words, pointers and gloss."""

    offset: str
    file: str
    words: list[str]
    pointers: list[str]
    gloss: str


def choose_nouns(nouns: Path) -> list[Document]:
    """Return 5,000 nouns of everyday things, the same every time: in each file those of the first hashes."""
    pools, glosses = defaultdict[str, list[Synset]](list), set[str]()
    for synset in read_synsets(nouns):
        if is_everyday(synset) and synset.gloss not in glosses:
            glosses.add(synset.gloss)
            pools[synset.file].append(synset)
    chosen = [
        synset
        for file, quota in QUOTAS.items()
        for synset in sorted(pools[file], key=lambda one: hashlib.sha256(one.offset.encode()).hexdigest())[:quota]
    ]
    chosen.sort()
    return [Document(synset.offset, ", ".join(synset.words), synset.gloss) for synset in chosen]


def read_synsets(nouns: Path) -> Iterator[Synset]:
    """Yield the synsets of `data.noun`, with glosses without their examples."""
    for line in nouns.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):  # the licence
            continue
        data, _, gloss = line.partition(" | ")
        fields = data.split(" ")
        count = int(fields[3], 16)
        words = [fields[4 + 2 * i].replace("_", " ") for i in range(count)]
        for example in (r';\s*".*$', r'^\s*".*$', r'\s*:?\s*"[^"]*"\s*$'):
            gloss = re.sub(example, "", gloss)
        gloss = re.sub(r"\s+", " ", gloss).strip(" ;:")
        yield Synset(fields[0], fields[1], words, fields[5 + 2 * count :], gloss)


def is_everyday(synset: Synset) -> bool:
    """Return whether a synset has a gloss and is neither a name, a rare species, a trade name nor offensive."""
    file, words, pointers, gloss = synset[1:]
    if file not in QUOTAS or len(gloss.split()) < LEAST_WORDS or '"' in gloss:
        return False
    if "@i" in pointers or any(character.isupper() for character in words[0]):
        return False
    if file in ("05", "20") and len(pointers) // 4 < 4 and len(words) < 2:
        return False
    if "trade name" in gloss or KINDS_OF_LIFE.match(gloss):
        return False
    return not NOT_FOR_A_WORKSHOP.search(gloss)
