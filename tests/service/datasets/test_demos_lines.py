from __future__ import annotations

import numpy as np
import pytest

from service.datasets import DEMOS


@pytest.fixture(scope="module")
def cards():
    return list(DEMOS["library"].documents())


@pytest.fixture(scope="module")
def look_up(cards, encoder):
    """Return weights of the cards for a query at the encoder's own temperature, and the best similarity."""
    keys = unit(encoder.encode([card["key"] for card in cards], "document").vectors)

    def ask(query: str) -> tuple[list[tuple[str, float]], float]:
        similarity = keys @ unit(encoder.encode([query], "query").vectors)[0]
        weights = np.exp((similarity - similarity.max()) / 0.05)
        weights /= weights.sum()
        order = np.argsort(-weights)
        return [(cards[i]["value"], float(weights[i])) for i in order], float(similarity.max())

    return ask


@pytest.fixture(scope="module")
def null_similarity(cards, encoder):
    background = encoder.background
    return background.mean + background.deviation * np.sqrt(2 * np.log(len(cards)))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def words(text):
    return set(text.lower().replace(",", " ").replace("?", " ").split())


@pytest.mark.parametrize(
    ("query", "book"),
    [
        ("tumours", "The Emperor of All Maladies, Siddhartha Mukherjee"),
        ("insomnia", "Why We Sleep, Matthew Walker"),
        ("feline companions", "Old Possum's Book of Practical Cats, T. S. Eliot"),
    ],
)
def test_a_query_that_shares_no_word_with_its_answer(query, book, cards, look_up):
    (first, weight), *_ = look_up(query)[0]
    key = next(card["key"] for card in cards if card["value"] == book)
    assert not words(query) & (words(key) | words(book))
    assert first == book
    assert weight > 0.9


def test_two_books_split_the_weight(look_up):
    (first, its_weight), (second, other_weight), (_, third_weight), *_ = look_up("apes")[0]
    assert {first, second} == {"Gorillas in the Mist, Dian Fossey", "In the Shadow of Man, Jane Goodall"}
    assert its_weight + other_weight > 0.95
    assert its_weight < 0.6
    assert third_weight < 0.02


def test_a_question_that_nothing_answers(look_up, null_similarity):
    for query in ("flibber wozzle grunk", "How do I get a red wine stain out of a carpet?"):
        assert look_up(query)[1] < null_similarity
    for query in ("machine learning", "tumours", "apes"):
        assert look_up(query)[1] > null_similarity
