"""The tasks that the lab's models learn: letters, dates, numerals, pictures."""

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
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from service.lab.errors import UnreadableSource

BEGIN, END = "<begin>", "<end>"
HELD_OUT = 10
"""One in so many sources is kept for the test: which ones, their content says."""

LEAST_HELD_OUT = 3
"""Sources of fewer tokens are all trained on: a word that never was cannot be known."""


class Example(NamedTuple):
    """One pair.

    Attributes:
        source: what is read: tokens, or the patches of a picture, float32 [n, numbers].
        target: the tokens that are to be written.
        right: for each of them, which places of the source it is read from; empty where every place would do, None
            where nobody knows.
    """

    source: Any
    target: tuple[str, ...]
    right: tuple[frozenset[int], ...] | None = None


class Batch(NamedTuple):
    """Examples as a network reads them.

    Attributes:
        source: integers [b, n], filled up with 0; of pictures, float32 [b, n, numbers].
        lengths: integers [b], how many places of the source each example has.
        given: integers [b, m], what the decoder is given: `BEGIN` and the target.
        wanted: integers [b, m], what it is to say: the target and `END`, which fills up.
        counts: integers [b], how many of these count: the target and one end.
    """

    source: NDArray[Any]
    lengths: NDArray[np.int64]
    given: NDArray[np.int64]
    wanted: NDArray[np.int64]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class Task(ABC):
    """From a source to a sequence of tokens.

    Attributes:
        name: as callers know it.
        target: the tokens that are written.
        draw: makes an example; where it is told so, one longer than those that are trained on.
        joined: the tokens of a target → its text.
        longest: most places of a source, longer ones included.
        most_written: most tokens of a target.
        reaches: whether there are longer ones at all.
    """

    name: str
    target: tuple[str, ...]
    draw: Callable[[Generator, bool], Example]
    joined: Callable[[Sequence[str]], str]
    longest: int
    most_written: int
    reaches: bool

    @property
    def written(self) -> tuple[str, ...]:
        """What a network can say, by number."""
        return (BEGIN, END, *self.target)

    @abstractmethod
    def sources(self, examples: Sequence[Example]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """`source` and `lengths` of a batch.

        Raises:
            UnreadableSource: one that is none of this task's.
        """

    @abstractmethod
    def held_out(self, example: Example) -> bool:
        """Whether it is kept for the test."""

    def examples(self, random: Generator, *, held_out: bool, longer: bool = False) -> Iterator[Example]:
        """Without end; of longer ones all are unseen."""
        while True:
            example = self.draw(random, longer)
            if longer or self.held_out(example) == held_out:
                yield example

    def batch(self, examples: Sequence[Example]) -> Batch:
        """These examples side by side."""
        known = {token: i for i, token in enumerate(self.written)}
        counts = np.array([len(example.target) + 1 for example in examples])
        wanted = np.full((len(examples), counts.max()), known[END])
        for row, example in zip(wanted, examples, strict=True):
            row[: len(example.target)] = [known[token] for token in example.target]
        given = np.concatenate([np.full((len(examples), 1), known[BEGIN]), wanted[:, :-1]], axis=1)
        return Batch(*self.sources(examples), given, wanted, counts)


@dataclass(frozen=True)
class TextTask(Task):
    """From tokens to tokens.

    Attributes:
        source: the tokens that are read.
        read: a person's text → tokens, which need not be known.
        shown: tokens → a text as a person writes it.
    """

    source: tuple[str, ...]
    read: Callable[[str], tuple[str, ...]]
    shown: Callable[[Sequence[str]], str]

    def held_out(self, example: Example) -> bool:
        """One in ten, whoever asks and whatever the seed."""
        tokens = example.source
        return len(tokens) >= LEAST_HELD_OUT and zlib.crc32(" ".join(tokens).encode()) % HELD_OUT == 0

    def sources(self, examples: Sequence[Example]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Numbers of tokens, filled up."""
        numbers = [self._numbers(example.source) for example in examples]
        lengths = np.array([len(each) for each in numbers])
        source = np.zeros((len(numbers), lengths.max()), np.int64)
        for row, each in zip(source, numbers, strict=True):
            row[: len(each)] = each
        return source, lengths

    def _numbers(self, tokens: Sequence[str]) -> list[int]:
        known = {token: i for i, token in enumerate(self.source)}
        strange = [token for token in tokens if token not in known]
        if strange:
            raise UnreadableSource(
                f"{strange[0][:40]!r} is nothing that the task {self.name} has: use {' '.join(self.source)}"
            )
        if not 1 <= len(tokens) <= self.longest:
            raise UnreadableSource(
                f"a source of {self.name} has 1 to {self.longest} tokens, this one has {len(tokens)}"
            )
        return [known[token] for token in tokens]


LETTERS = tuple("abcdefghij")
TRAINED_LENGTHS, LONGER_LENGTHS = (3, 10), (11, 14)
"""Lengths, the least and the most."""


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
        read=lambda text: tuple("".join(text.split())),
        shown="".join,
        joined="".join,
        longest=LONGER_LENGTHS[1],
        most_written=LONGER_LENGTHS[1],
        reaches=True,
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
    """Words, signs, and digits one by one; spaces only part."""
    return tuple(DATE_TOKEN.findall(text))


def _format_date(read: Sequence[str]) -> str:
    """As people write them: digits of one number together, and a space after a word or a comma."""
    text = ""
    for before, token in pairwise(("", *read)):
        close = (before.isdigit() and token.isdigit()) or "/" in (before, token) or token in (",", ".")
        text += token if close or not before else f" {token}"
    return text


def _draw_date(random: Generator, _: bool) -> Example:
    """A day in one of the forms. Of the year each digit is read from its own, of month and day from all of theirs."""
    day = date.fromordinal(int(random.integers(FIRST_DATE.toordinal(), LAST_DATE.toordinal() + 1)))
    names = SHORT_MONTHS if random.integers(2) else MONTHS
    told = {"{day}": day.day, "{month}": names[day.month - 1], "{number}": day.month, "{year}": day.year}
    source: tuple[str, ...] = ()
    places: dict[str, tuple[int, ...]] = {}
    for part in DATE_FORMS[random.integers(len(DATE_FORMS))]:
        read = tokenise_date(str(told.get(part, part)))
        places["{month}" if part == "{number}" else part] = tuple(range(len(source), len(source) + len(read)))
        source += read
    year = [frozenset({at}) for at in places["{year}"]]
    month, of_month, sign = frozenset(places["{month}"]), frozenset(places["{day}"]), frozenset[int]()
    return Example(source, tuple(day.isoformat()), (*year, sign, month, month, sign, of_month, of_month))


DATES = TextTask(
    name="dates",
    source=(*"0123456789", *DATE_SIGNS, *dict.fromkeys((*MONTHS, *SHORT_MONTHS))),
    target=(*"0123456789", "-"),
    draw=_draw_date,
    read=tokenise_date,
    shown=_format_date,
    joined="".join,
    longest=12,
    most_written=10,
    reaches=False,
)

ENGLISH_UNITS = tuple(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen""".split()  # noqa: SIM905, words as one reads them
)
ENGLISH_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
FRENCH_UNITS = tuple(
    """zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept dix-huit
    dix-neuf""".split()  # noqa: SIM905
)
FRENCH_TENS = ("vingt", "trente", "quarante", "cinquante", "soixante", "soixante", "quatre-vingt", "quatre-vingt")
TRAINED_BELOW, LONGER_BELOW = 10_000, 1_000_000
"""What is trained on lies below the first, what is longer between the two."""


def spell_english(number: int) -> list[str]:
    """0 to 999,999 in words, as in "three hundred forty two"."""
    if number >= 1000:
        return [*spell_english(number // 1000), "thousand", *_unless_zero(spell_english, number % 1000)]
    if number >= 100:
        return [ENGLISH_UNITS[number // 100], "hundred", *_unless_zero(spell_english, number % 100)]
    if number >= 20:
        return [ENGLISH_TENS[number // 10 - 2], *_unless_zero(spell_english, number % 10)]
    return [ENGLISH_UNITS[number]]


def spell_french(number: int, *, last: bool = True) -> list[str]:
    """The same as one counts in France; `last`: nothing follows, so that cents and vingts may have their s."""
    if number >= 1000:
        before = [] if number < 2000 else spell_french(number // 1000, last=False)
        return [*before, "mille", *_unless_zero(spell_french, number % 1000)]
    if number >= 100:
        before = [] if number < 200 else spell_french(number // 100)
        plural = last and number >= 200 and number % 100 == 0
        return [*before, "cents" if plural else "cent", *_unless_zero(partial(spell_french, last=last), number % 100)]
    if number < 20:
        return FRENCH_UNITS[number].split("-")
    ten, unit = divmod(number, 10)
    if number == 80 and last:
        return ["quatre", "vingts"]
    unit += 10 if ten in (7, 9) else 0
    joint = ["et"] if unit in (1, 11) and ten < 8 else []
    return [*FRENCH_TENS[ten - 2].split("-"), *joint, *_unless_zero(spell_french, unit)]


def _unless_zero(words: Callable[[int], list[str]], number: int) -> list[str]:
    return words(number) if number else []


def _draw_number(random: Generator, longer: bool) -> Example:
    """As many of one digit as of two, three and four; the longer ones have five or six."""
    number = int(
        random.integers(TRAINED_BELOW, LONGER_BELOW) if longer else random.integers(10 ** random.integers(1, 5))
    )
    return Example(tuple(spell_english(number)), tuple(spell_french(number)))


NUMBERS = TextTask(
    name="numbers",
    source=(*ENGLISH_UNITS, *ENGLISH_TENS, "hundred", "thousand"),
    target=tuple(dict.fromkeys(word for number in (*range(101), 200, 1000) for word in spell_french(number))),
    draw=_draw_number,
    read=lambda text: tuple(word for word in re.split(r"[\s,-]+", text.lower()) if word and word != "and"),
    shown=" ".join,
    joined=" ".join,
    longest=9,
    most_written=14,
    reaches=True,
)

SIDE, PATCH = 16, 4
"""Pixels of a picture's side, and of a patch's."""

SHAPES = ("disc", "ring", "square", "frame", "cross", "bar")
RADII = {"small": (2.1, 2.6), "large": (3.3, 3.9)}
"""Pixels from the middle of a shape to its edge, the least and the most."""

CENTRES = {
    "top left": (4.0, 4.0),
    "top right": (4.0, 11.0),
    "bottom left": (11.0, 4.0),
    "bottom right": (11.0, 11.0),
    "middle": (7.5, 7.5),
}
"""Row and column, from which a shape is at most a pixel away."""

HALF_LINE = 0.7
NOISE = 0.08


def render_shape(name: str, centre: tuple[float, float], radius: float) -> NDArray[np.float64]:
    """Where a shape has ink, [SIDE, SIDE], 0 to 1, its edges smooth over a pixel."""
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
    """[SIDE, SIDE] → [n, PATCH·PATCH], row by row from the top left."""
    parts = np.asarray(picture, np.float32).reshape(SIDE // PATCH, PATCH, SIDE // PATCH, PATCH)
    return parts.swapaxes(1, 2).reshape(-1, PATCH * PATCH)


def join_patches(parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """What `split_patches` takes apart."""
    across = SIDE // PATCH
    return parts.reshape(across, across, PATCH, PATCH).swapaxes(1, 2).reshape(SIDE, SIDE)


def _draw_picture(random: Generator, _: bool) -> Example:
    shape, size, place = (names[random.integers(len(names))] for names in (SHAPES, tuple(RADII), tuple(CENTRES)))
    down, right = np.array(CENTRES[place]) + random.uniform(-1, 1, 2)
    ink = render_shape(shape, (down, right), random.uniform(*RADII[size]))
    grey = random.uniform(0.6, 1) * ink + NOISE * random.standard_normal(ink.shape)
    return Example(split_patches(np.round(np.clip(grey, 0, 1), 2)), (size, shape, *place.split()))


@dataclass(frozen=True)
class PictureTask(Task):
    """From a picture's patches to tokens."""

    def held_out(self, example: Example) -> bool:
        """One picture in ten; the noise alone makes all of them different."""
        return zlib.crc32(example.source.tobytes()) % HELD_OUT == 0

    def sources(self, examples: Sequence[Example]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The patches side by side."""
        stacked = np.stack([example.source for example in examples])
        return stacked, np.full(len(examples), stacked.shape[1])

    def of(self, pixels: Sequence[Sequence[float]]) -> NDArray[np.float32]:
        """A picture's patches [n, numbers].

        Raises:
            UnreadableSource: it is not SIDE rows of as many numbers.
        """
        if len(pixels) != SIDE or any(len(row) != SIDE for row in pixels):
            raise UnreadableSource(
                f"a picture has {SIDE} rows of {SIDE} numbers, this one has {len(pixels)} rows of "
                f"{', '.join(map(str, sorted({len(row) for row in pixels})))}: 0 is paper, 1 is ink"
            )
        return split_patches(np.array(pixels))


PICTURES = PictureTask(
    name="pictures",
    target=(*RADII, *SHAPES, *dict.fromkeys(word for place in CENTRES for word in place.split())),
    draw=_draw_picture,
    joined=" ".join,
    longest=(SIDE // PATCH) ** 2,
    most_written=4,
    reaches=False,
)

TASKS: Mapping[str, Task] = {task.name: task for task in (COPY, REVERSE, DATES, NUMBERS, PICTURES)}
