"""The language model of the page: its text, its training, and what a browser computes of its record beside the core."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention.transformer import GPT2, arrays
from tools.node import ROOT, checked, node
from workshop.benchmarks import sentences
from workshop.benchmarks.sentences import (
    DEFINITION,
    EXAMPLE,
    LICENSE,
    N_POSITIONS,
    SHOWN,
    SPECIAL,
    UNKNOWN,
    Text,
    Vocabulary,
    log_probabilities,
    model_of,
    record,
    split,
    texts,
    train,
)
from workshop.benchmarks.writing import Counted
from workshop.tools import recorded

SCRIPT = Path("workshop", "tests", "benchmarks", "write_words.mjs")
LONG = "the dog chased the cat, and " * 20
TEXTS = [
    "",
    "The dog chased the",
    "the dog chased the cat across the street.",
    "She drank a cup of Zebrawood-tea, didn’t she?",
    "zqx",
    "The king’s horses; 'such' it's x's sss's 12 345 3½ ² naïve ÉTÉ 猫追老鼠 a_b l'été",
    "He was a",
    LONG,
]
LINES = [
    "  1 This line is of the licence.  ",
    '02084071 05 n 01 dog 0 000 | a member of the genus Canis; "the dog barked all night"',
    '01234567 30 v 01 run 0 000 | move fast; "Don\'t run--you\'ll be out of breath!"; "the dog barked all night"',
    "00000001 00 a 01 bare 0 000 | ",
]


@pytest.fixture(scope="module")
def stored() -> Any:
    return recorded.read(sentences.NAME)


@pytest.fixture(scope="module")
def core(stored: Any) -> tuple[GPT2, Vocabulary]:
    """The model of the record in the core, in float64."""
    return model_of(stored)


@pytest.fixture(scope="module")
def page() -> Any:
    given = json.dumps({"folder": str(recorded.FOLDER), "texts": TEXTS})
    return json.loads(checked(node(ROOT, SCRIPT, given=given)))


def ids_of(vocabulary: Vocabulary, text: str) -> np.ndarray[Any, Any]:
    return vocabulary.ids(Text(EXAMPLE, split(text)[-(N_POSITIONS - 1) :]))


def test_texts_are_the_examples_and_the_definition_of_a_meaning():
    assert list(texts(LINES)) == [
        Text(EXAMPLE, ("the", "dog", "barked", "all", "night", ".")),
        Text(DEFINITION, ("a", "member", "of", "the", "genus", "Canis", ".")),
        Text(EXAMPLE, ("Don't", "run", "you'll", "be", "out", "of", "breath", "!")),
        Text(EXAMPLE, ("the", "dog", "barked", "all", "night", ".")),
        Text(DEFINITION, ("move", "fast", ".")),
    ]


def test_a_vocabulary_has_the_frequent_words_as_they_are_written_within_a_text():
    read = [Text(EXAMPLE, split(text)) for text in ("The I the", "Dogs I saw", "dogs I like", "No cat")]
    vocabulary = Vocabulary.choose(read, n=len(SPECIAL) + 13 + 2)
    shown = {word.lower() for word in split(SHOWN)}
    assert vocabulary.words[:3] == SPECIAL
    assert shown - {"dog", "chased", "across", "street", "because", "it", "was", "too", "tired"} <= set(
        vocabulary.words
    )
    assert "I" in vocabulary.words
    ids = vocabulary.ids(Text(EXAMPLE, ("i", "zqx")))
    assert [vocabulary.words[number] for number in ids] == [EXAMPLE, "I", UNKNOWN]


def test_training_learns_and_is_the_same_each_time():
    learned = [
        Text(EXAMPLE, split(f"the {animal} {verb} the {thing} ."))
        for animal in ("dog", "cat", "man")
        for verb in ("saw", "ate")
        for thing in ("fish", "bone", "house")
    ]
    learned = [text for text in learned if not text.is_held_out]
    vocabulary = Vocabulary.choose(learned, n=20)
    first, second = (list(train(learned, vocabulary, steps=12))[-1] for _ in range(2))
    for (name, one), (_, other) in zip(arrays(first.model), arrays(second.model), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
    assert first.loss < math.log(20)
    ids = [vocabulary.ids(text) for text in learned]
    untrained = sentences.build(np.random.default_rng(0), len(vocabulary.words))
    assert log_probabilities(first.model, ids).mean() > log_probabilities(untrained, ids).mean() + 0.5


def test_a_model_comes_back_from_its_record(stored, core):
    again = record(*model_of(stored, np.float32))
    assert again == stored
    assert stored["license"] == LICENSE.read_text(encoding="utf-8")
    assert {word.lower() for word in split(SHOWN)} <= {word.lower() for word in core[1].words}


def test_the_log_probabilities_are_those_of_the_softmax(core):
    model, vocabulary = core
    ids = ids_of(vocabulary, "the dog chased the cat")
    logits = model(ids[None])[0] @ model.embeddings.tokens.T
    expected = [
        logits[place, word] - np.log(np.exp(logits[place]).sum()) for place, word in enumerate(ids[1:]) if word > 2
    ]
    np.testing.assert_allclose(log_probabilities(model, [ids]), expected, atol=1e-9)


@pytest.mark.node
@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_a_text_has_the_words_that_training_reads(core, page, number):
    text, answer = TEXTS[number], page["answers"][number]
    _, vocabulary = core
    assert answer["ids"] == ids_of(vocabulary, text).tolist()
    straight = text.replace("’", "'")
    words = split(text)
    assert [word["text"] for word in (*answer["left"], *answer["words"])] == list(words)
    assert all(straight[word["start"] : word["end"]] == word["text"] for word in answer["words"])
    numbers = {word.lower() for word in vocabulary.words}
    assert answer["unknown"] == [word["text"] for word in answer["words"] if word["text"].lower() not in numbers]
    assert len(answer["left"]) == max(0, len(words) - (N_POSITIONS - 1))


@pytest.mark.node
@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_the_browser_computes_the_numbers_of_the_core(core, page, number):
    model, answer = core[0], page["answers"][number]
    ids = np.array(answer["ids"])[None]
    n = ids.shape[1]
    np.testing.assert_allclose(answer["logits"], (model(ids) @ model.embeddings.tokens.T)[0, -1], atol=1e-5)
    x = model.embeddings(ids)
    lens = [x]
    layers = zip(model.decoder.layers, model.decoder.steps(x, model.decoder.start()), strict=True)
    for shown, (layer, steps) in zip(answer["layers"], layers, strict=True):
        weights = np.array(shown["attention"]).reshape(4, n, n)
        np.testing.assert_allclose(weights, steps.attended.weights[0], atol=1e-6)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
        assert (weights[:, np.triu(np.ones((n, n), bool), 1)] == 0).all()
        np.testing.assert_allclose(np.array(shown["keys"]).reshape(4, n, 32), steps.cache.past.key[0], atol=1e-5)
        np.testing.assert_allclose(np.array(shown["values"]).reshape(4, n, 32), steps.cache.past.value[0], atol=1e-5)
        queries = layer.attention.queries(layer.attention_residual.read(x))
        np.testing.assert_allclose(np.array(shown["queries"]).reshape(4, n, 32), queries[0], atol=1e-5)
        update = layer.attention.join(steps.attended.output)
        np.testing.assert_allclose(np.array(shown["attended"]).reshape(n, -1), update[0], atol=1e-5)
        fed = steps.output - x - update
        np.testing.assert_allclose(np.array(shown["fed"]).reshape(n, -1), fed[0], atol=1e-5)
        lens += [x + update, steps.output]
        x = steps.output
    halves = [(half["layer"], half["half"]) for half in answer["halves"]]
    expected = [(None, "words"), *((layer, half) for layer in range(3) for half in ("attention", "feedForward"))]
    assert halves == expected
    for half, stream in zip(answer["halves"], lens, strict=True):
        vector = model.decoder.norm(stream[0, -1])
        np.testing.assert_allclose(half["logits"], vector @ model.embeddings.tokens.T, atol=1e-5)


@pytest.mark.node
def test_word_by_word_is_as_all_at_once(page):
    for answer in page["answers"]:
        np.testing.assert_allclose(answer["byWord"]["logits"], answer["logits"], atol=1e-6)
        for stored, fresh in zip(answer["layers"], answer["byWord"]["layers"], strict=True):
            for name, values in stored.items():
                np.testing.assert_allclose(fresh[name], values, atol=1e-6, err_msg=name)


@pytest.mark.node
def test_the_next_word_follows_the_temperature(core, page):
    words = core[1].words
    for answer in page["answers"]:
        logits = np.array(answer["logits"])[len(SPECIAL) :]
        best = (np.argsort(-logits, kind="stable") + len(SPECIAL))[:5].tolist()
        coldest, colder, one, hottest = answer["candidates"]
        assert coldest == [{"id": best[0], "word": words[best[0]], "probability": 1}]
        for candidates, temperature in ((colder, 0.5), (one, 1.0)):
            assert [candidate["id"] for candidate in candidates] == best
            shares = np.exp((logits - logits.max()) / temperature)
            expected = (shares / shares.sum())[np.array(best) - len(SPECIAL)]
            np.testing.assert_allclose([candidate["probability"] for candidate in candidates], expected, atol=1e-9)
        equal = 1 / (len(words) - len(SPECIAL))
        assert [candidate["probability"] for candidate in hottest] == pytest.approx([equal] * 5)
        assert answer["sums"] == pytest.approx([1, 1, 1, 1])


@pytest.mark.node
def test_a_word_is_drawn_by_its_probability(core, page):
    for answer in page["answers"]:
        logits = np.array(answer["logits"])
        shares = np.exp(logits - logits.max())
        shares[: len(SPECIAL)] = 0
        ends = np.cumsum(shares / shares.sum())
        expected = [int(np.searchsorted(ends, share, side="right")) for share in (0, 0.25, 0.5, 0.75)]
        assert answer["drawn"][:4] == expected
        assert len(SPECIAL) <= answer["drawn"][4] < len(core[1].words)


@pytest.mark.node
def test_no_words_and_too_many_are_errors(page):
    assert page["errors"] == [
        f"RangeError: Expected 1 to {N_POSITIONS} words with the beginning, got {n}. Shorten the text."
        for n in (0, N_POSITIONS + 1)
    ]


def test_counts_predict_as_a_hand_computes():
    counted = Counted.of([np.array([1, 3, 4, 3]), np.array([1, 3, 5])], n_words=6)
    alone = [counted.alone(word) for word in (3, 4, 5)]
    assert alone == pytest.approx([(3 + 1) / 8, 2 / 8, 2 / 8])
    for before in (0, 1, 3, 4, 5):
        assert sum(counted.after(before, word) for word in (3, 4, 5)) == pytest.approx(1)
    # Of the pairs (begin 3, 3 4, 4 3, 3 5), two kinds end in 3: 3 follows 4, and 4 had one follower.
    continued = (2 - 0.75) / 4 + 3 * 0.75 / 4 / 3
    assert counted.after(4, 3) == pytest.approx((1 - 0.75) / 1 + 0.75 * continued)
