"""The similarity of unrelated texts, measured on topics that were written for softkv."""

from __future__ import annotations

import json
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from softkv_attention import SIMILARITIES
from softkv_attention.lookup import Background


class Topic(NamedTuple):
    """One topic of the file `topics.jsonl`, on which an encoder's similarities are measured.

    It has a question, a text that answers the question, and a word that names the topic.
    """

    question: str
    text: str
    name: str


_LINES = resources.files("softkv_service.encoding").joinpath("topics.jsonl").read_text(encoding="utf-8").splitlines()
TOPICS: tuple[Topic, ...] = tuple(Topic(**json.loads(line)) for line in _LINES)

SHORT_WORDS, SHORT_CHARACTERS = 3, 32
"""The most words and characters of a short text; the characters decide in languages without spaces."""


class Backgrounds(NamedTuple):
    """Mean and deviation of the cosine similarity of unrelated pairs: the encoder's backgrounds.

    The first is of a question and a text, the other of a short question and a short text. The null key ("none of
    these") of a collection is computed from them.
    """

    texts: Background
    short: Background


def is_short(text: str, *, in_bytes: bool = False) -> bool:
    """Return whether a text is a few words at most, so that the background of short texts applies to it.

    >>> is_short("flurb zindle quax"), is_short("What is a soft lookup?")
    (True, False)
    >>> is_short("我什么时候可以去借小说？"), is_short("我什么时候可以去借小说？", in_bytes=True)
    (True, False)

    Args:
        text: the text.
        in_bytes: whether a text without spaces is counted in bytes: three for each character of Chinese or Japanese.
    """
    words = len(text.split())
    length = len(text.encode() if in_bytes and words == 1 else text)
    return length <= SHORT_CHARACTERS and words <= SHORT_WORDS


def measure_background(
    questions: NDArray[np.float32], texts: NDArray[np.float32], similarity: str = "cosine"
) -> Background:
    """Return the mean and deviation of the similarity between a question and a text of another topic.

    Args:
        questions: float32 [n, d], the vectors of n questions, one for each topic.
        texts: float32 [n, d], those of the texts of the same topics; for short texts, both are vectors of the topics'
            names.
        similarity: the name of the similarity.
    """
    similarities = SIMILARITIES[similarity](questions.astype(np.float64), texts.astype(np.float64))  # [n, n]
    unrelated = similarities[~np.eye(len(similarities), dtype=np.bool_)]  # [n(n − 1)]
    return Background(float(unrelated.mean()), float(unrelated.std()))
