"""The tasks that the lab's models learn: letters, dates, numerals, sentences, pictures."""

from __future__ import annotations

import calendar
import re
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from softkv_workshop.lab.errors import UnreadableSource

if TYPE_CHECKING:
    from numpy.random import Generator

BEGIN, END = "<begin>", "<end>"
HELD_OUT_MODULUS = 10
"""One source in ten is held out for the test; a checksum of its content decides."""

MIN_HELD_OUT = 3
"""Shorter sources, in tokens, are never held out: a model cannot know a word that it never read."""


class Example(NamedTuple):
    """A source and its target.

    Attributes:
        source: tokens, or the patches of a picture, float32 [n, numbers].
        target: the tokens to write.
        alignment: for each target token, the positions in the source from which it follows; an empty set if any
            position would do. None if the positions are unknown.
    """

    source: Any
    target: tuple[str, ...]
    alignment: tuple[frozenset[int], ...] | None = None


class Batch(NamedTuple):
    """A batch of examples as arrays.

    Attributes:
        source: integers [b, n], padded with 0; for pictures, float32 [b, n, numbers].
        lengths: integers [b], the length of each source.
        decoder_input: integers [b, m], `BEGIN` and the target.
        target: integers [b, m], the target and `END`, which also pads.
        counts: integers [b], the tokens of each target, and one `END`.
    """

    source: NDArray[Any]
    lengths: NDArray[np.int64]
    decoder_input: NDArray[np.int64]
    target: NDArray[np.int64]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class Task(ABC):
    """A task: to write a sequence of tokens for a source.

    Attributes:
        name: the name that callers use.
        target: all tokens that may occur in a target.
        draw: makes a random example; if its second argument is True, a longer one than training uses.
        join: the tokens of a target → its text.
        max_source: the longest source, in tokens or patches; longer examples included.
        max_target: the longest target, in tokens.
        has_longer: whether `draw` can make longer examples.
    """

    name: str
    target: tuple[str, ...]
    draw: Callable[[Generator, bool], Example]
    join: Callable[[Sequence[str]], str]
    max_source: int
    max_target: int
    has_longer: bool

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The tokens that a network can write; the number of a token is its index."""
        return (BEGIN, END, *self.target)

    @abstractmethod
    def encode_sources(self, examples: Sequence[Example]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return `source` and `lengths` of a batch.

        Raises:
            UnreadableSource: a source is invalid for this task.
        """

    @abstractmethod
    def is_held_out(self, example: Example) -> bool:
        """Return whether the example is for the test, and training may not use it."""

    def examples(self, random: Generator, *, held_out: bool, longer: bool = False) -> Iterator[Example]:
        """Yield random examples without end.

        Args:
            held_out: whether to yield examples for the test, or examples for training.
            longer: yield longer examples; all of them are for the test.
        """
        while True:
            example = self.draw(random, longer)
            if longer or self.is_held_out(example) == held_out:
                yield example

    def batch(self, examples: Sequence[Example]) -> Batch:
        """Return the examples as one batch."""
        numbers = {token: i for i, token in enumerate(self.vocabulary)}
        counts = np.array([len(example.target) + 1 for example in examples])
        target = np.full((len(examples), counts.max()), numbers[END])
        for row, example in zip(target, examples, strict=True):
            row[: len(example.target)] = [numbers[token] for token in example.target]
        decoder_input = np.concatenate([np.full((len(examples), 1), numbers[BEGIN]), target[:, :-1]], axis=1)
        return Batch(*self.encode_sources(examples), decoder_input, target, counts)


@dataclass(frozen=True)
class TextTask(Task):
    """A task that reads a text.

    Attributes:
        source: all tokens that may occur in a source.
        tokenise: a text as a person writes it → its tokens, which may be unknown.
        format: tokens → a text as a person writes it.
    """

    source: tuple[str, ...]
    tokenise: Callable[[str], tuple[str, ...]]
    format: Callable[[Sequence[str]], str]

    def is_held_out(self, example: Example) -> bool:
        """Return True for one text in ten; the same ones in every process and for every seed."""
        tokens = example.source
        return len(tokens) >= MIN_HELD_OUT and zlib.crc32(" ".join(tokens).encode()) % HELD_OUT_MODULUS == 0

    def encode_sources(self, examples: Sequence[Example]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the numbers of the tokens, padded with 0, and the lengths."""
        sequences = [self._numbers(example.source) for example in examples]
        lengths = np.array([len(sequence) for sequence in sequences])
        source = np.zeros((len(sequences), lengths.max()), np.int64)
        for row, sequence in zip(source, sequences, strict=True):
            row[: len(sequence)] = sequence
        return source, lengths

    def _numbers(self, tokens: Sequence[str]) -> list[int]:
        numbers = {token: i for i, token in enumerate(self.source)}
        unknown = [token for token in tokens if token not in numbers]
        if unknown:
            raise UnreadableSource(
                f"{unknown[0][:40]!r} is not a token of the task {self.name}: use {' '.join(self.source)}"
            )
        if not 1 <= len(tokens) <= self.max_source:
            raise UnreadableSource(
                f"a source of {self.name} has 1 to {self.max_source} tokens, this one has {len(tokens)}"
            )
        return [numbers[token] for token in tokens]


LETTERS = tuple("abcdefghij")
TRAINED_LENGTHS, LONGER_LENGTHS = (3, 10), (11, 14)
"""The shortest and the longest length of each kind, in letters."""


def _draw_letters(random: Generator, longer: bool) -> tuple[str, ...]:
    low, high = LONGER_LENGTHS if longer else TRAINED_LENGTHS
    return tuple(LETTERS[i] for i in random.integers(len(LETTERS), size=random.integers(low, high + 1)))


def _draw_copy(random: Generator, longer: bool) -> Example:
    letters = _draw_letters(random, longer)
    return Example(letters, letters, tuple(frozenset({i}) for i in range(len(letters))))


def _draw_reverse(random: Generator, longer: bool) -> Example:
    letters = _draw_letters(random, longer)
    return Example(letters, letters[::-1], tuple(frozenset({i}) for i in reversed(range(len(letters)))))


COPY, REVERSE = (
    TextTask(
        name=name,
        source=LETTERS,
        target=LETTERS,
        draw=draw,
        tokenise=lambda text: tuple("".join(text.split())),
        format="".join,
        join="".join,
        max_source=LONGER_LENGTHS[1],
        max_target=LONGER_LENGTHS[1],
        has_longer=True,
    )
    for name, draw in (("copy", _draw_copy), ("reverse", _draw_reverse))
)

MONTHS = tuple(calendar.month_name)[1:]
SHORT_MONTHS = tuple(name[:3] for name in MONTHS)
DATE_SIGNS = (",", ".", "/")
FIRST_DATE, LAST_DATE = date(1000, 1, 1), date(2999, 12, 31)
DATE_FORMS = (
    ("{day}", "{month}", "{year}"),
    ("{month}", "{day}", ",", "{year}"),
    ("{day}", ".", "{month}", "{year}"),
    ("{year}", "{month}", "{day}"),
    ("{day}", "/", "{number}", "/", "{year}"),
)
DATE_TOKEN = re.compile(r"\d|[^\W\d]+|[^\w\s]")


def tokenise_date(text: str) -> tuple[str, ...]:
    """Split a date into words, signs and single digits, and drop spaces."""
    return tuple(DATE_TOKEN.findall(text))


def _format_date(tokens: Sequence[str]) -> str:
    """Join the tokens of a date as people write it: "3 March 2014", "March 3, 2014", "3/3/2014"."""
    text = ""
    for previous, token in pairwise(("", *tokens)):
        joined = (previous.isdigit() and token.isdigit()) or "/" in (previous, token) or token in (",", ".")
        text += token if joined or not previous else f" {token}"
    return text


def _draw_date(random: Generator, _: bool) -> Example:
    """Draw a day in one of the forms.

    Each digit of the year follows from its own digit in the source; month and day follow from all of their tokens.
    """
    day = date.fromordinal(int(random.integers(FIRST_DATE.toordinal(), LAST_DATE.toordinal() + 1)))
    names = SHORT_MONTHS if random.integers(2) else MONTHS
    values = {"{day}": day.day, "{month}": names[day.month - 1], "{number}": day.month, "{year}": day.year}
    source: tuple[str, ...] = ()
    positions: dict[str, tuple[int, ...]] = {}
    for part in DATE_FORMS[random.integers(len(DATE_FORMS))]:
        tokens = tokenise_date(str(values.get(part, part)))
        positions["{month}" if part == "{number}" else part] = tuple(range(len(source), len(source) + len(tokens)))
        source += tokens
    year = [frozenset({position}) for position in positions["{year}"]]
    month, day_of_month, sign = frozenset(positions["{month}"]), frozenset(positions["{day}"]), frozenset[int]()
    return Example(source, tuple(day.isoformat()), (*year, sign, month, month, sign, day_of_month, day_of_month))


DATES = TextTask(
    name="dates",
    source=(*"0123456789", *DATE_SIGNS, *dict.fromkeys((*MONTHS, *SHORT_MONTHS))),
    target=(*"0123456789", "-"),
    draw=_draw_date,
    tokenise=tokenise_date,
    format=_format_date,
    join="".join,
    max_source=12,
    max_target=10,
    has_longer=False,
)

ENGLISH_UNITS = tuple(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen""".split()  # noqa: SIM905, a text is easier to read than a list of strings
)
ENGLISH_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
FRENCH_UNITS = tuple(
    """zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit
    dix-neuf""".split()  # noqa: SIM905
)
FRENCH_TENS = ("vingt", "trente", "quarante", "cinquante", "soixante", "soixante", "quatre-vingt", "quatre-vingt")
TRAINED_BELOW, LONGER_BELOW = 10_000, 1_000_000
"""Numbers in training lie below the first; longer ones lie between the two."""


def spell_english(number: int) -> list[str]:
    """Return the English words of 0 to 999,999, as in "three hundred forty two"."""
    if number >= 1000:
        return [*spell_english(number // 1000), "thousand", *_unless_zero(spell_english, number % 1000)]
    if number >= 100:
        return [ENGLISH_UNITS[number // 100], "hundred", *_unless_zero(spell_english, number % 100)]
    if number >= 20:
        return [ENGLISH_TENS[number // 10 - 2], *_unless_zero(spell_english, number % 10)]
    return [ENGLISH_UNITS[number]]


def spell_french(number: int, *, last: bool = True) -> list[str]:
    """Return the words that France uses for 0 to 999,999.

    Args:
        last: whether no word follows: only then do "cents" and "vingts" have an s.
    """
    if number >= 1000:
        thousands = [] if number < 2000 else spell_french(number // 1000, last=False)
        return [*thousands, "mille", *_unless_zero(spell_french, number % 1000)]
    if number >= 100:
        hundreds = [] if number < 200 else spell_french(number // 100)
        plural = last and number >= 200 and number % 100 == 0
        return [*hundreds, "cents" if plural else "cent", *_unless_zero(partial(spell_french, last=last), number % 100)]
    if number < 20:
        return FRENCH_UNITS[number].split("-")
    ten, unit = divmod(number, 10)
    if number == 80 and last:
        return ["quatre", "vingts"]
    unit += 10 if ten in (7, 9) else 0
    conjunction = ["et"] if unit in (1, 11) and ten < 8 else []
    return [*FRENCH_TENS[ten - 2].split("-"), *conjunction, *_unless_zero(spell_french, unit)]


def _unless_zero(spell: Callable[[int], list[str]], number: int) -> list[str]:
    return spell(number) if number else []


def _draw_number(random: Generator, longer: bool) -> Example:
    """Draw a number of one to four digits, each length equally often; a longer one has five or six."""
    number = int(
        random.integers(TRAINED_BELOW, LONGER_BELOW) if longer else random.integers(10 ** random.integers(1, 5))
    )
    return Example(tuple(spell_english(number)), tuple(spell_french(number)))


NUMBERS = TextTask(
    name="numbers",
    source=(*ENGLISH_UNITS, *ENGLISH_TENS, "hundred", "thousand"),
    target=tuple(dict.fromkeys(word for number in (*range(101), 200, 1000) for word in spell_french(number))),
    draw=_draw_number,
    tokenise=lambda text: tuple(word for word in re.split(r"[\s,-]+", text.lower()) if word and word != "and"),
    format=" ".join,
    join=" ".join,
    max_source=9,
    max_target=14,
    has_longer=True,
)


class Noun(NamedTuple):
    """A French noun.

    Attributes:
        text: the noun.
        feminine: whether it is feminine.
    """

    text: str
    feminine: bool = False


class Forms(NamedTuple):
    """The forms of a French article or adjective, by the gender of its noun and the first letter of the next word."""

    masculine: str
    feminine: str
    masculine_before_vowel: str
    feminine_before_vowel: str

    def agree(self, noun: Noun, following: str) -> str:
        """Return the form for a noun, before the word that follows."""
        return self[2 * (following[0] in VOWELS) + noun.feminine]


VOWELS = "aeiouéh"
"""The first letters before which "le" becomes "l'"; the h of the task's nouns is mute."""

NOUNS: Mapping[str, Noun] = {
    "car": Noun("voiture", feminine=True),
    "house": Noun("maison", feminine=True),
    "flower": Noun("fleur", feminine=True),
    "door": Noun("porte", feminine=True),
    "mouse": Noun("souris", feminine=True),
    "apple": Noun("pomme", feminine=True),
    "star": Noun("étoile", feminine=True),
    "cat": Noun("chat"),
    "dog": Noun("chien"),
    "horse": Noun("cheval"),
    "book": Noun("livre"),
    "boat": Noun("bateau"),
    "tree": Noun("arbre"),
    "bird": Noun("oiseau"),
    "man": Noun("homme"),
}
BEFORE_NOUN: Mapping[str, Forms] = {
    "small": Forms("petit", "petite", "petit", "petite"),
    "big": Forms("grand", "grande", "grand", "grande"),
    "old": Forms("vieux", "vieille", "vieil", "vieille"),
    "beautiful": Forms("beau", "belle", "bel", "belle"),
    "new": Forms("nouveau", "nouvelle", "nouvel", "nouvelle"),
}
AFTER_NOUN: Mapping[str, Forms] = {
    "red": Forms("rouge", "rouge", "rouge", "rouge"),
    "yellow": Forms("jaune", "jaune", "jaune", "jaune"),
    "green": Forms("vert", "verte", "vert", "verte"),
    "blue": Forms("bleu", "bleue", "bleu", "bleue"),
    "black": Forms("noir", "noire", "noir", "noire"),
    "white": Forms("blanc", "blanche", "blanc", "blanche"),
}
"""Colours: English has them before the noun, French after it."""

ARTICLES: Mapping[str, Forms] = {
    "the": Forms("le", "la", "l'", "l'"),
    "a": Forms("un", "une", "un", "une"),
    "my": Forms("mon", "ma", "mon", "mon"),
}
NO_ARTICLE = Forms("de", "de", "d'", "d'")
"""The article that replaces "un" after a negation, as in "ne voit pas de chat"."""

VERBS: Mapping[str, tuple[str, str]] = {
    "see": ("sees", "voit"),
    "follow": ("follows", "suit"),
    "find": ("finds", "trouve"),
    "want": ("wants", "veut"),
    "paint": ("paints", "peint"),
    "love": ("loves", "aime"),
}
"""The English verb → its form after "he", and the French form."""


class Phrase(NamedTuple):
    """A part of a sentence in both languages, each French word with the positions of its English ones."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    alignment: tuple[frozenset[int], ...]


def translate_noun_phrase(
    article: str, before: str | None, after: str | None, noun: str, *, negated: bool = False
) -> Phrase:
    """Return "the old red car" with "la vieille voiture rouge".

    Args:
        article: one of `ARTICLES`.
        before: an adjective of `BEFORE_NOUN`, or None.
        after: an adjective of `AFTER_NOUN`, or None.
        noun: one of `NOUNS`.
        negated: whether it follows a negated verb.
    """
    source = [word for word in (article, before, after, noun) if word]
    name, last = NOUNS[noun], len(source) - 1
    words = [(name.text, frozenset({last}))]
    if before:
        words.insert(0, (BEFORE_NOUN[before].agree(name, name.text), frozenset({1})))
    if after:
        words.append((AFTER_NOUN[after].agree(name, "-"), frozenset({last - 1})))
    forms = NO_ARTICLE if negated and article == "a" else ARTICLES[article]
    # The gender of an article follows from the noun.
    words.insert(0, (forms.agree(name, words[0][0]), frozenset({0, last})))
    target, alignment = zip(*words, strict=True)
    return Phrase(tuple(source), target, alignment)


def translate_sentence(subject: Phrase, verb: str, complement: Phrase, *, negated: bool = False) -> Phrase:
    """Return "the cat does not see my bird" with "le chat ne voit pas mon oiseau".

    Args:
        subject: a noun phrase.
        verb: one of `VERBS`.
        complement: a noun phrase, which knows whether the verb is negated.
        negated: whether the verb is negated.
    """
    third_person, french = VERBS[verb]
    english = ("does", "not", verb) if negated else (third_person,)
    start, end = len(subject.source), len(subject.source) + len(english)
    words = [(french, frozenset({end - 1}))]
    if negated:
        negation = frozenset({start, start + 1})
        words = [("n'" if french[0] in VOWELS else "ne", negation), *words, ("pas", negation)]
    moved = [frozenset(position + end for position in positions) for positions in complement.alignment]
    return Phrase(
        subject.source + english + complement.source,
        (*subject.target, *(word for word, _ in words), *complement.target),
        (*subject.alignment, *(positions for _, positions in words), *moved),
    )


def _draw_translation(random: Generator, _: bool) -> Example:
    """Draw a sentence, or one time in five a noun phrase alone."""
    subject = _draw_noun_phrase(random)
    if random.integers(5) == 0:
        return Example(*subject)
    negated = bool(random.integers(2))
    complement = _draw_noun_phrase(random, negated=negated)
    return Example(*translate_sentence(subject, _draw_one(random, VERBS), complement, negated=negated))


def _draw_noun_phrase(random: Generator, *, negated: bool = False) -> Phrase:
    article = _draw_one(random, ARTICLES)
    before, after = (
        _draw_one(random, adjectives) if random.integers(2) else None for adjectives in (BEFORE_NOUN, AFTER_NOUN)
    )
    return translate_noun_phrase(article, before, after, _draw_one(random, NOUNS), negated=negated)


def _draw_one(random: Generator, words: Mapping[str, object]) -> str:
    return list(words)[random.integers(len(words))]


def _join_french(tokens: Sequence[str]) -> str:
    return " ".join(tokens).replace("' ", "'")


TRANSLATION = TextTask(
    name="translation",
    source=(*ARTICLES, *BEFORE_NOUN, *AFTER_NOUN, *NOUNS, *VERBS, *(form for form, _ in VERBS.values()), "does", "not"),
    target=tuple(
        dict.fromkeys(
            (
                *(form for words in (ARTICLES, BEFORE_NOUN, AFTER_NOUN) for forms in words.values() for form in forms),
                *NO_ARTICLE,
                *(noun.text for noun in NOUNS.values()),
                *("ne", "n'", *(french for _, french in VERBS.values()), "pas"),
            )
        )
    ),
    draw=_draw_translation,
    tokenise=lambda text: tuple(re.findall(r"\w+|[^\w\s.]", text.lower())),
    format=" ".join,
    join=_join_french,
    max_source=11,
    max_target=11,
    has_longer=False,
)

SIDE, PATCH = 16, 4
"""The side of a picture and the side of a patch, in pixels."""

SHAPES = ("disc", "ring", "square", "frame", "cross", "bar")
RADII = {"small": (2.1, 2.6), "large": (3.3, 3.9)}
"""The distance from the middle of a shape to its edge: the smallest and the largest, in pixels."""

CENTRES = {
    "top left": (4.0, 4.0),
    "top right": (4.0, 11.0),
    "bottom left": (11.0, 4.0),
    "bottom right": (11.0, 11.0),
    "middle": (7.5, 7.5),
}
"""Row and column; the middle of a shape is at most one pixel away from them in each direction."""

HALF_LINE = 0.7
NOISE = 0.08


def render_shape(name: str, centre: tuple[float, float], radius: float) -> NDArray[np.float64]:
    """Return the ink of a shape, 0 to 1, [SIDE, SIDE]; its edges are smooth over one pixel."""
    y, x = np.abs(np.mgrid[:SIDE, :SIDE] - np.array(centre)[:, None, None])
    outside = {
        "disc": np.hypot(y, x) - radius,
        "ring": np.abs(np.hypot(y, x) - radius) - HALF_LINE,
        "square": np.maximum(y, x) - radius,
        "frame": np.abs(np.maximum(y, x) - radius) - HALF_LINE,
        "cross": np.maximum(np.minimum(y, x) - HALF_LINE, np.maximum(y, x) - radius),
        "bar": np.maximum(y - HALF_LINE, x - radius),
    }[name]
    ink: NDArray[np.float64] = np.clip(0.5 - outside, 0, 1)
    return ink


def split_patches(picture: NDArray[Any]) -> NDArray[np.float32]:
    """Split a picture [SIDE, SIDE] into patches [n, PATCH·PATCH], row by row from the top left."""
    tiles = np.asarray(picture, np.float32).reshape(SIDE // PATCH, PATCH, SIDE // PATCH, PATCH)
    return tiles.swapaxes(1, 2).reshape(-1, PATCH * PATCH)


def join_patches(patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the picture that `split_patches` split."""
    n = SIDE // PATCH
    return patches.reshape(n, n, PATCH, PATCH).swapaxes(1, 2).reshape(SIDE, SIDE)


def _draw_picture(random: Generator, _: bool) -> Example:
    shape, size, centre = (names[random.integers(len(names))] for names in (SHAPES, tuple(RADII), tuple(CENTRES)))
    down, right = np.array(CENTRES[centre]) + random.uniform(-1, 1, 2)
    ink = render_shape(shape, (down, right), random.uniform(*RADII[size]))
    grey = random.uniform(0.6, 1) * ink + NOISE * random.standard_normal(ink.shape)
    return Example(split_patches(np.round(np.clip(grey, 0, 1), 2)), (size, shape, *centre.split()))


@dataclass(frozen=True)
class PictureTask(Task):
    """A task that reads the patches of a picture."""

    def is_held_out(self, example: Example) -> bool:
        """Return True for one picture in ten; their noise makes all of them different."""
        return zlib.crc32(example.source.tobytes()) % HELD_OUT_MODULUS == 0

    def encode_sources(self, examples: Sequence[Example]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return the patches [b, n, numbers] and their number for each picture."""
        patches = np.stack([example.source for example in examples])
        return patches, np.full(len(examples), patches.shape[1])

    def read(self, pixels: Sequence[Sequence[float]]) -> NDArray[np.float32]:
        """Return the patches [n, numbers] of a picture.

        Raises:
            UnreadableSource: the picture does not have SIDE rows of SIDE numbers.
        """
        if len(pixels) != SIDE or any(len(row) != SIDE for row in pixels):
            raise UnreadableSource(
                f"a picture has {SIDE} rows of {SIDE} numbers, this one has {len(pixels)} rows of "
                f"{', '.join(map(str, sorted({len(row) for row in pixels})))}: 0 is paper, 1 is ink"
            )
        return split_patches(np.array(pixels))


PICTURES = PictureTask(
    name="pictures",
    target=(*RADII, *SHAPES, *dict.fromkeys(word for centre in CENTRES for word in centre.split())),
    draw=_draw_picture,
    join=" ".join,
    max_source=(SIDE // PATCH) ** 2,
    max_target=4,
    has_longer=False,
)

TASKS: Mapping[str, Task] = {task.name: task for task in (COPY, REVERSE, DATES, NUMBERS, TRANSLATION, PICTURES)}
