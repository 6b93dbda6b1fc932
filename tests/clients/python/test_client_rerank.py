"""The calls of a reranker, against a service with a small random cross-encoder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from softkv import Client
from softkv.answers.rendering import list_weights
from tests.running import RunningService

DOCUMENTS = ["a cat needs sleep", "relational databases", "a cat asleep in the sun"]


@pytest.fixture
def reranking(reranking_service: RunningService) -> Iterator[Client]:
    with Client(reranking_service.url) as client:
        yield client


def test_documents_are_reranked_as_they_are_scored(reranking: Client) -> None:
    scores = reranking.score("what does a cat need?", DOCUMENTS, model="pairs")
    ranked = reranking.rerank("what does a cat need?", DOCUMENTS)
    assert [one.index for one in ranked] == sorted(range(3), key=lambda i: -scores[i])
    assert [one.relevance_score for one in ranked] == pytest.approx(sorted(scores, reverse=True))
    assert reranking.rerank("what does a cat need?", DOCUMENTS, top_n=1) == ranked[:1]
    assert reranking.score(DOCUMENTS, DOCUMENTS[::-1])[1] == reranking.score(DOCUMENTS[1], DOCUMENTS[1])[0]


def test_a_reranker_adds_to_the_logits_of_an_answer(reranking: Client) -> None:
    pets = reranking.collection("pets")
    pets.create(late=False)
    pets.upsert([{"id": str(i), "key": key} for i, key in enumerate(DOCUMENTS)])
    answer = pets.attend("what does a cat need?", rerank={"depth": 2, "weight": 0.5}, include=["key", "explanation"])
    assert answer.certificate.reranked == 2
    read = [
        match for match in answer.matches if match.explanation and match.explanation.addends[0]["logit"] is not None
    ]
    assert len(read) == 2
    assert "of a reranker, logit " in list_weights(answer)
    assert pets.attend("what does a cat need?").certificate.reranked is None
