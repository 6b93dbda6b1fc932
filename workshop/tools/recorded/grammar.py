"""A reader of the small world's grammar by its words and rules, without the forms that texts are made of."""

from __future__ import annotations

from collections.abc import Sequence

from workshop.tools.recorded import world

ONE = {one: (pronoun, deeds) for one, _, pronoun, deeds in world.NOUNS}
MANY = {many: ("they", deeds) for _, many, _, deeds in world.NOUNS}


class _EndError(Exception):
    """The words end before the text does."""


class _Reader:
    """Words of which the next are read."""

    def __init__(self, words: Sequence[str]) -> None:
        self.rest = list(words)

    def one_of(self, texts: Sequence[str]) -> str:
        """Return the one of these texts that comes next."""
        for text in sorted(texts, key=lambda text: -len(text.split())):
            words = text.split()
            if self.rest[: len(words)] == words:
                del self.rest[: len(words)]
                return text
            if len(self.rest) < len(words) and words[: len(self.rest)] == self.rest:
                raise _EndError
        raise ValueError(self.rest)


def is_grammatical(words: Sequence[str]) -> bool:
    """Return whether words are texts of the world one after the other, of which the last may be unfinished."""
    reader = _Reader(words)
    try:
        while True:
            _read_text(reader)
    except _EndError:
        return True
    except ValueError:
        return False


def _read_text(reader: _Reader) -> None:
    subject = reader.one_of([*world.NAMES, "the"])
    if subject == "the":
        pronoun, deeds = (ONE | MANY)[reader.one_of([*ONE, *MANY])]
        if is_near := reader.rest[:1] == ["near"]:
            reader.one_of(["near the"])
            reader.one_of([*ONE, *MANY])
    else:
        pronoun, deeds, is_near = world.NAMES[subject], world.PEOPLE, False
    are, have = ("are", "have") if pronoun == "they" else ("is", "has")
    verbs = {deed.many if pronoun == "they" else deed.one: deed for deed in deeds}
    auxiliaries = [] if is_near else [are, have] if deeds is world.PEOPLE else [are]
    verb = reader.one_of([*verbs, *auxiliaries])
    if verb == have:
        reader.one_of(["a"])
        colour, thing = reader.one_of(world.COLOURS), reader.one_of(world.THINGS)
        for text in (world.END, world.OWNERS[pronoun], thing, "is", colour, world.END):
            reader.one_of([text])
        return
    state = reader.one_of([deed.state for deed in deeds]) if verb == are else ""
    if verb == are:
        reader.one_of([f". {pronoun}"])
        verb = reader.one_of([verb for verb, deed in verbs.items() if deed.state == state])
    deed = verbs[verb]
    reader.one_of(deed.objects)
    is_placed = bool(reader.rest) and reader.rest[0] not in (world.END, "because") and bool(reader.one_of(deed.places))
    if state:
        reader.one_of([world.END])
        return
    reader.one_of([f". {pronoun}"] if is_placed else [f". {pronoun}", f"because {pronoun}"])
    for text in (are, deed.state, world.END):
        reader.one_of([text])
