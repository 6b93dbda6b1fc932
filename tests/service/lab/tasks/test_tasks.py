"""The lab's tasks: a second computation confirms each example, and no example is both in training and in a test."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import numpy as np
import pytest

from service.lab import UnreadableSource
from service.lab.tasks import BEGIN, END, PICTURES, TASKS, TextTask, join_patches, spell_english, spell_french

TEXTS = [task for task in TASKS.values() if isinstance(task, TextTask)]


def draw_examples(task, n=300, *, held_out=False, longer=False, seed=3):
    return list(islice(task.examples(np.random.default_rng(seed), held_out=held_out, longer=longer), n))


@pytest.mark.parametrize("task", TEXTS, ids=lambda task: task.name)
def test_what_is_held_out_is_never_trained_on(task):
    trained, unseen = (
        {example.source for example in draw_examples(task, 3000, held_out=held_out)} for held_out in (False, True)
    )
    assert not trained & unseen
    assert len(unseen) > 100


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_a_batch_says_its_examples_again(task):
    examples = [*draw_examples(task, 60), *(draw_examples(task, 60, longer=True) if task.has_longer else [])]
    batch = task.batch(examples)
    assert batch.lengths.max() <= task.max_source
    for i, example in enumerate(examples):
        length, count = batch.lengths[i], batch.counts[i]
        if isinstance(task, TextTask):
            assert tuple(task.source[token] for token in batch.source[i, :length]) == example.source
        else:
            np.testing.assert_array_equal(batch.source[i], example.source)
        target = [task.vocabulary[token] for token in batch.target[i]]
        assert target[:count] == [*example.target, END]
        assert set(target[count:]) <= {END}
        assert [task.vocabulary[token] for token in batch.decoder_input[i, :count]] == [BEGIN, *example.target]
        assert len(example.target) <= task.max_target


@pytest.mark.parametrize("task", TEXTS, ids=lambda task: task.name)
def test_what_is_shown_is_read_again(task):
    for example in draw_examples(task):
        assert task.tokenise(task.format(example.source)) == example.source


def test_letters_are_copied_and_reversed():
    assert all(example.target == example.source for example in draw_examples(TASKS["copy"]))
    assert all(example.target == example.source[::-1] for example in draw_examples(TASKS["reverse"]))
    for name in ("copy", "reverse"):
        for example in draw_examples(TASKS[name]):
            assert [example.source[position] for (position,) in example.alignment] == list(example.target)


def test_dates_are_what_the_standard_library_reads():
    task, forms = TASKS["dates"], ("%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y", "%d. %B %Y", "%d. %b %Y",
                                   "%Y %B %d", "%Y %b %d", "%d/%m/%Y")  # fmt: skip
    forms_read = set()
    for example in draw_examples(task):
        text = task.format(example.source)
        days = set()
        for form in forms:
            try:
                days.add(datetime.strptime(text, form).date().isoformat())
            except ValueError:
                continue
            forms_read.add(form)
        assert days == {"".join(example.target)}, text
        year = ["".join(example.source[position] for (position,) in example.alignment[:4])]
        assert year == ["".join(example.target)[:4]]
        month, day = ("".join(example.source[position] for position in sorted(example.alignment[i])) for i in (5, 8))
        assert (month if not month.isdigit() else f"{month:0>2}") in text or f"{month:0>2}" == "".join(example.target)[
            5:7
        ]
        assert int(day) == int("".join(example.target)[8:])
    assert len(forms_read) == len(forms)


NUMBERS = {
    0: ("zero", "zéro"), 16: ("sixteen", "seize"), 17: ("seventeen", "dix sept"), 21: ("twenty one", "vingt et un"),
    70: ("seventy", "soixante dix"), 71: ("seventy one", "soixante et onze"),
    77: ("seventy seven", "soixante dix sept"),
    80: ("eighty", "quatre vingts"), 81: ("eighty one", "quatre vingt un"), 91: ("ninety one", "quatre vingt onze"),
    99: ("ninety nine", "quatre vingt dix neuf"), 100: ("one hundred", "cent"), 200: ("two hundred", "deux cents"),
    201: ("two hundred one", "deux cent un"), 380: ("three hundred eighty", "trois cent quatre vingts"),
    1000: ("one thousand", "mille"),
    1999: ("one thousand nine hundred ninety nine", "mille neuf cent quatre vingt dix neuf"),
    80_000: ("eighty thousand", "quatre vingt mille"), 200_000: ("two hundred thousand", "deux cent mille"),
    71_021: ("seventy one thousand twenty one", "soixante et onze mille vingt et un"),
}  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_counted_as_in_english_and_in_french(number):
    assert (" ".join(spell_english(number)), " ".join(spell_french(number))) == NUMBERS[number]


def test_every_number_has_words_of_its_own():
    for words in (spell_english, spell_french):
        assert len({tuple(words(number)) for number in range(20_000)}) == 20_000


def test_a_picture_is_taken_apart_and_put_together():
    pixels = np.arange(256, dtype=np.float32).reshape(16, 16)
    patches = PICTURES.read(pixels.tolist())
    np.testing.assert_array_equal(patches[1], pixels[:4, 4:8].ravel())
    np.testing.assert_array_equal(join_patches(patches), pixels)


def test_pictures_show_what_is_said_of_them():
    """The ink lies in the named quarter, and a large shape has more ink than a small one of its kind."""
    ink: dict[tuple[str, str], list[float]] = {}
    for example in draw_examples(PICTURES, 600):
        size, shape, *words = example.target
        picture = join_patches(example.source)
        weights = np.clip(picture - 0.25, 0, 1)
        down, right = ((weights.sum(axis) * np.arange(16)).sum() / weights.sum() for axis in (1, 0))
        expected = [
            word
            for word, is_near in (("top", down < 6), ("bottom", down > 9), ("left", right < 6), ("right", right > 9))
            if is_near
        ]
        assert (expected or ["middle"]) == words
        ink.setdefault((shape, size), []).append(float(weights.sum() / weights.max()))
    for shape in {shape for shape, _ in ink}:
        assert np.median(ink[shape, "large"]) > 1.2 * np.median(ink[shape, "small"])


@pytest.mark.parametrize(
    ("task", "source", "message"),
    [
        ("copy", "abz", "'z' is not a token of the task copy: use a b c"),
        ("copy", "", "1 to 14 tokens, this one has 0"),
        ("reverse", "a" * 15, "1 to 14 tokens, this one has 15"),
        ("dates", "3 Brumaire 2014", "'Brumaire' is not a token of the task dates"),
        ("numbers", "two hundred cats", "'cats' is not a token"),
    ],
)
def test_what_a_task_does_not_have_is_named(task, source, message):
    from service.lab.tasks import Example

    task = TASKS[task]
    with pytest.raises(UnreadableSource, match=message):
        task.batch([Example(task.tokenise(source), ())])


@pytest.mark.parametrize("pixels", [[[0.0] * 16] * 15, [[0.0] * 16] * 15 + [[0.0] * 9], []])
def test_a_picture_of_another_size_is_refused(pixels):
    with pytest.raises(UnreadableSource, match="a picture has 16 rows of 16 numbers"):
        PICTURES.read(pixels)
