"""The lab's tasks: a second computation confirms each example, and no example is both in training and in a test."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import numpy as np
import pytest

from softkv_workshop.lab import UnreadableSource
from softkv_workshop.lab.tasks import (
    BEGIN,
    END,
    PICTURES,
    TASKS,
    TRANSLATION,
    TextTask,
    join_patches,
    spell_english,
    spell_french,
    translate_noun_phrase,
    translate_sentence,
)

TEXTS = [task for task in TASKS.values() if isinstance(task, TextTask)]


def draw_examples(task, n=300, *, held_out=False, longer=False, seed=3):
    return list(islice(task.examples(np.random.default_rng(seed), held_out=held_out, longer=longer), n))


@pytest.mark.parametrize("task", TEXTS, ids=lambda task: task.name)
def test_held_out_examples_are_never_trained_on(task):
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
def test_a_formatted_example_is_read_back(task):
    for example in draw_examples(task):
        assert task.tokenise(task.format(example.source)) == example.source


def test_letters_are_copied_and_reversed():
    assert all(example.target == example.source for example in draw_examples(TASKS["copy"]))
    assert all(example.target == example.source[::-1] for example in draw_examples(TASKS["reverse"]))
    for name in ("copy", "reverse"):
        for example in draw_examples(TASKS[name]):
            assert [example.source[position] for (position,) in example.alignment] == list(example.target)


def test_dates_can_be_read_by_the_standard_library():
    task, forms = (
        TASKS["dates"],
        (
            "%d %B %Y",
            "%d %b %Y",
            "%B %d, %Y",
            "%b %d, %Y",
            "%d. %B %Y",
            "%d. %b %Y",
            "%Y %B %d",
            "%Y %b %d",
            "%d/%m/%Y",
        ),
    )
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
    0: ("zero", "zéro"),
    16: ("sixteen", "seize"),
    17: ("seventeen", "dix sept"),
    21: ("twenty one", "vingt et un"),
    70: ("seventy", "soixante dix"),
    71: ("seventy one", "soixante et onze"),
    77: ("seventy seven", "soixante dix sept"),
    80: ("eighty", "quatre vingts"),
    81: ("eighty one", "quatre vingt un"),
    91: ("ninety one", "quatre vingt onze"),
    99: ("ninety nine", "quatre vingt dix neuf"),
    100: ("one hundred", "cent"),
    200: ("two hundred", "deux cents"),
    201: ("two hundred one", "deux cent un"),
    380: ("three hundred eighty", "trois cent quatre vingts"),
    1000: ("one thousand", "mille"),
    1999: ("one thousand nine hundred ninety nine", "mille neuf cent quatre vingt dix neuf"),
    80_000: ("eighty thousand", "quatre vingt mille"),
    200_000: ("two hundred thousand", "deux cent mille"),
    71_021: ("seventy one thousand twenty one", "soixante et onze mille vingt et un"),
}


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_counted_as_in_english_and_in_french(number):
    assert (" ".join(spell_english(number)), " ".join(spell_french(number))) == NUMBERS[number]


def test_every_number_has_words_of_its_own():
    for words in (spell_english, spell_french):
        assert len({tuple(words(number)) for number in range(20_000)}) == 20_000


NOUN_PHRASES = {
    ("the", None, "red", "car"): ("the red car", "la voiture rouge"),
    ("the", "old", "red", "car"): ("the old red car", "la vieille voiture rouge"),
    ("a", None, "green", "house"): ("a green house", "une maison verte"),
    ("the", None, None, "tree"): ("the tree", "l'arbre"),
    ("the", "old", None, "tree"): ("the old tree", "le vieil arbre"),
    ("the", "old", "black", "cat"): ("the old black cat", "le vieux chat noir"),
    ("my", None, None, "star"): ("my star", "mon étoile"),
    ("my", "beautiful", None, "star"): ("my beautiful star", "ma belle étoile"),
    ("a", None, None, "star"): ("a star", "une étoile"),
    ("a", "new", "white", "bird"): ("a new white bird", "un nouvel oiseau blanc"),
    ("the", None, None, "man"): ("the man", "l'homme"),
}


@pytest.mark.parametrize("words", NOUN_PHRASES)
def test_noun_phrases_agree_as_in_french(words):
    phrase = translate_noun_phrase(*words)
    assert (" ".join(phrase.source), TRANSLATION.join(phrase.target)) == NOUN_PHRASES[words]


@pytest.mark.parametrize(
    ("verb", "negated", "article", "english", "french"),
    [
        ("see", False, "a", "the man sees a bird", "l'homme voit un oiseau"),
        ("see", True, "a", "the man does not see a bird", "l'homme ne voit pas d'oiseau"),
        ("love", True, "the", "the man does not love the bird", "l'homme n'aime pas l'oiseau"),
        ("follow", True, "my", "the man does not follow my bird", "l'homme ne suit pas mon oiseau"),
    ],
)
def test_a_negation_stands_around_the_french_verb(verb, negated, article, english, french):
    man, bird = translate_noun_phrase("the", None, None, "man"), (article, None, None, "bird")
    sentence = translate_sentence(man, verb, translate_noun_phrase(*bird, negated=negated), negated=negated)
    assert (" ".join(sentence.source), TRANSLATION.join(sentence.target)) == (english, french)


def test_each_french_word_lies_over_its_english_one():
    """A dictionary of its own confirms the alignment, and a colour crosses its noun."""
    meanings = {
        "the": "le la l'",
        "a": "un une de d'",
        "my": "mon ma",
        "does": "ne n' pas",
        "not": "ne n' pas",
        "small": "petit petite",
        "big": "grand grande",
        "old": "vieux vieille vieil",
        "new": "nouveau nouvelle nouvel",
        "beautiful": "beau belle bel",
        "red": "rouge",
        "yellow": "jaune",
        "green": "vert verte",
        "blue": "bleu bleue",
        "black": "noir noire",
        "white": "blanc blanche",
        "car": "voiture",
        "house": "maison",
        "flower": "fleur",
        "door": "porte",
        "mouse": "souris",
        "apple": "pomme",
        "star": "étoile",
        "cat": "chat",
        "dog": "chien",
        "horse": "cheval",
        "book": "livre",
        "boat": "bateau",
        "tree": "arbre",
        "bird": "oiseau",
        "man": "homme",
        "see": "voit",
        "follow": "suit",
        "find": "trouve",
        "want": "veut",
        "paint": "peint",
        "love": "aime",
    }
    crossings = 0
    for example in draw_examples(TRANSLATION, 1000):
        for word, positions in zip(example.target, example.alignment, strict=True):
            sources = [example.source[position] for position in sorted(positions)]
            stems = [source if source in meanings else source.removesuffix("s") for source in sources]
            assert word in meanings[stems[0]].split(), (example, word)
        order = [max(positions) for positions in example.alignment[1:]]
        crossings += order != sorted(order)
    assert crossings > 300


def test_a_picture_is_taken_apart_and_put_together():
    pixels = np.arange(256, dtype=np.float32).reshape(16, 16)
    patches = PICTURES.read(pixels.tolist())
    np.testing.assert_array_equal(patches[1], pixels[:4, 4:8].ravel())
    np.testing.assert_array_equal(join_patches(patches), pixels)


def test_pictures_match_their_descriptions():
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
        ("translation", "The red bicycle.", "'bicycle' is not a token"),
    ],
)
def test_an_unknown_input_of_a_task_is_named(task, source, message):
    from softkv_workshop.lab.tasks import Example

    task = TASKS[task]
    with pytest.raises(UnreadableSource, match=message):
        task.batch([Example(task.tokenise(source), ())])


@pytest.mark.parametrize("pixels", [[[0.0] * 16] * 15, [[0.0] * 16] * 15 + [[0.0] * 9], []])
def test_a_picture_of_another_size_is_refused(pixels):
    with pytest.raises(UnreadableSource, match="a picture has 16 rows of 16 numbers"):
        PICTURES.read(pixels)
