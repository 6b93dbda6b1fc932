"""The language model of the page: what it writes, its training, and what a browser computes of its record."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softkv_attention.transformer import GPT2, arrays
from softkv_attention.transformer.feed_forward import relu
from tools.node import ROOT, checked, node
from workshop.tools import recorded
from workshop.tools.recorded import world, writing
from workshop.tools.recorded.grammar import is_grammatical
from workshop.tools.recorded.writing import N_POSITIONS, SPECIAL, Vocabulary, log_probabilities, model_of, split

SCRIPT = Path("workshop", "tests", "tools", "write_words.mjs")
LONG = "the dog chased the cat, and " * 20
TEXTS = [
    "",
    "The dogs near the",
    "the queen eats bread because she",
    "She drank a cup of Zebrawood-tea, didn’t she?",
    "zqx",
    "The king’s horses; 'such' it's x's sss's 12 345 3½ ² naïve ÉTÉ 猫追老鼠 a_b l'été",
    "Anna has a red ball. Her ball is",
    LONG,
]
SEED, DRAWN, SHOWN, WRITTEN = 81, 200, 10, 10
"""The beginnings that are drawn, those of them that are looked at, and the words that follow each."""


@pytest.fixture(scope="module")
def stored() -> Any:
    return recorded.read(writing.NAME)


@pytest.fixture(scope="module")
def core(stored: Any) -> tuple[GPT2, Vocabulary]:
    """The model of the record in the core, in float64."""
    return model_of(stored)


@pytest.fixture(scope="module")
def page() -> Any:
    given = json.dumps({"folder": str(recorded.FOLDER), "texts": TEXTS})
    return json.loads(checked(node(ROOT, SCRIPT, given=given)))


def ids_of(vocabulary: Vocabulary, text: str) -> np.ndarray[Any, Any]:
    return vocabulary.ids(split(text)[-(N_POSITIONS - 1) :])


def likeliest(core: tuple[GPT2, Vocabulary], words: list[str]) -> tuple[str, float]:
    """Return the likeliest next word, and its probability."""
    *_, logits = writing.read(core[0], ids_of(core[1], " ".join(words))[None])
    shares = np.exp(logits[0, -1, len(SPECIAL) :] - logits.max())
    return core[1].words[len(SPECIAL) + shares.argmax()], shares.max() / shares.sum()


@pytest.fixture(scope="module")
def written(core: tuple[GPT2, Vocabulary]) -> list[tuple[list[str], float, list[str]]]:
    """Beginnings of held-out texts, the share of the top word after each, and the words at temperature 0."""
    random = np.random.default_rng(SEED)
    held_out = [text.words for text in world.texts() if text.is_held_out]
    answers = []
    for number in random.integers(len(held_out), size=DRAWN):
        words = list(held_out[number][: random.integers(3, len(held_out[number]))])
        begun, (_, share) = len(words), likeliest(core, words)
        for _ in range(WRITTEN):
            words.append(likeliest(core, words)[0])
        answers.append((words[:begun], share, words[begun:]))
    return answers


def test_beginnings_of_unseen_texts_go_on_in_the_grammar(written):
    for answers in (written[:SHOWN], written):
        assert np.median([share for _, share, _ in answers]) >= 0.3
        right = [is_grammatical([*begun, *words]) for begun, _, words in answers]
        assert np.mean(right) >= 0.8, [" ".join([*begun, "|", *words]) for begun, _, words in answers]
    for _, _, words in written[:SHOWN]:
        assert max(words.count(word) for word in words) < 3, words
    for begun, _, words in written:
        text = [*begun, *words]
        assert all(one != other for one, other in pairwise(text)), text


def test_the_grammar_knows_the_world_and_no_other():
    texts = list(world.texts())
    assert all(is_grammatical(text.words) for text in texts)
    assert len({text.words for text in texts}) == len(texts)
    random, words = np.random.default_rng(SEED), sorted({word for text in texts for word in text.words})
    changed = [list(texts[number].words) for number in random.integers(len(texts), size=DRAWN)]
    for text in changed:
        place = random.integers(len(text))
        text[place] = random.choice([word for word in words if word != text[place]])
    # Some changes give another text of the world.
    assert np.mean([is_grammatical(text) for text in changed]) < 0.1


def test_the_record_describes_the_model(stored, core):
    model, vocabulary = core
    texts = list(world.texts())
    facts, described = stored["facts"], writing.describe(model, vocabulary, texts)
    assert described == {name: stored[name] for name in described}
    assert facts["parameters"] == sum(array.size for _, array in arrays(model)) <= 1_249_672
    assert facts["texts"] + facts["unseen"] == len(texts)
    assert vocabulary == Vocabulary.of(texts)
    for beginning, (text, word) in zip(stored["beginnings"], writing.BEGINNINGS, strict=True):
        weights, *_ = writing.read(model, ids_of(vocabulary, text)[None])
        last = weights[beginning["layer"] - 1][0, beginning["head"] - 1, -1]
        assert last.argmax() == beginning["at"] == text.split().index(word) + 1
        assert last.max() > 0.5
    assert len({(one["layer"], one["head"]) for one in stored["beginnings"]}) > 1


def test_training_learns_and_is_the_same_each_time():
    learned = [text for text in world.texts() if text.form == "because" and not text.is_held_out]
    vocabulary = Vocabulary.of(learned)
    first, second = (writing.train(learned, vocabulary, steps=12) for _ in range(2))
    for (name, one), (_, other) in zip(arrays(first), arrays(second), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)
    ids = vocabulary.ids(learned[0].words)
    untrained = writing.build(np.random.default_rng(0), len(vocabulary.words))
    logits = [writing.read(model, ids[None, :-1])[2][0] for model in (untrained, first)]
    before, after = (log_probabilities(one, ids).mean() for one in logits)
    assert after > before + 0.5


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
def test_the_browser_computes_the_numbers_of_the_core(stored, core, page, number):
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
        np.testing.assert_allclose(np.array(shown["keys"]).reshape(4, n, -1), steps.cache.past.key[0], atol=1e-5)
        np.testing.assert_allclose(np.array(shown["values"]).reshape(4, n, -1), steps.cache.past.value[0], atol=1e-5)
        queries = layer.attention.queries(layer.attention_residual.read(x))
        np.testing.assert_allclose(np.array(shown["queries"]).reshape(4, n, -1), queries[0], atol=1e-5)
        update = layer.attention.join(steps.attended.output)
        np.testing.assert_allclose(np.array(shown["attended"]).reshape(n, -1), update[0], atol=1e-5)
        fed = steps.output - x - update
        np.testing.assert_allclose(np.array(shown["fed"]).reshape(n, -1), fed[0], atol=1e-5)
        np.testing.assert_allclose(np.array(shown["before"]).reshape(n, -1), x[0], atol=1e-5)
        network, reads = layer.feed_forward, layer.feed_forward_residual.read(x + update)
        hidden = relu(network.inner(reads))[0]
        np.testing.assert_allclose(np.array(shown["hidden"]).reshape(n, -1), hidden, atol=1e-5)
        lengths = hidden[-1] * np.linalg.norm(network.outer.weight, axis=1)
        number_of_layer = len(lens) // 2
        looked_up = answer["lookedUp"][number_of_layer]
        order = [number for number in np.argsort(-lengths) if lengths[number] > 0]
        assert (len(looked_up["neurons"]), looked_up["others"]) == (len(order[:6]), len(lengths) - len(order[:6]))
        assert looked_up["othersShare"] == pytest.approx(lengths[order[6:]].sum() / (lengths.sum() or 1), abs=1e-5)
        for neuron, number in zip(looked_up["neurons"], order, strict=False):
            assert neuron["key"] == stored["neurons"][number_of_layer][number]
            assert neuron["share"] == pytest.approx(lengths[number] / lengths.sum(), abs=1e-5)
            value = network.outer.weight[number]
            pushes = model.embeddings.tokens @ (model.decoder.norm.scale * (value - value.mean()))
            pushed = len(SPECIAL) + np.argsort(-pushes[len(SPECIAL) :], kind="stable")[:3]
            clear = [word for word in pushed if pushes[word] > 0.7 * pushes[pushed[0]]]
            assert neuron["writes"] == [core[1].words[word] for word in clear]
        lens += [x + update, steps.output]
        x = steps.output
    for half, stream in zip(answer["halves"], lens, strict=True):
        vector = model.decoder.norm(stream[0, -1])
        np.testing.assert_allclose(half, vector @ model.embeddings.tokens.T, atol=1e-5)


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


@pytest.mark.thorough
def test_the_recipe_gives_the_record(stored):
    again = writing.writing()
    assert again["facts"] == stored["facts"] | {
        name: pytest.approx(stored["facts"][name], rel=0.05) for name in ("right", "perplexity")
    }
