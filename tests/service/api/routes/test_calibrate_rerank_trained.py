"""The logit of a cross-encoder for the first match is a feature of the curve: here one that was trained on colours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from softkv_service.encoding import load_reranker, write_pair
from tests.checkpoints import save_cross_encoder
from tests.running import RunningService

pytestmark = pytest.mark.thorough

PATH = "/v1/collections/shop"
COLOURS = {
    "crimson": "red",
    "azure": "blue",
    "emerald": "green",
    "ivory": "white",
    "ebony": "black",
    "golden": "yellow",
    "chestnut": "brown",
    "violet": "purple",
}
"""What a customer says, and what the shop says."""
SOLD = ("red", "green", "black", "brown")
WORDINGS = ("do you sell a {} lamp?", "I am looking for a {} lamp", "is there a lamp in {}?", "{} lamps, please")
WORDINGS += ("how much is the {} lamp?", "my lamp should be {}", "which of your lamps are {}?", "a {} lamp for my desk")
STEPS, BATCH = 250, 48


def train(folder: Path) -> Path:
    """Train a cross-encoder to say whether a document has the colour of a question."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    save_cross_encoder(folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokens = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(0.5)
    random, optimiser = np.random.default_rng(0), torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(STEPS):
        pairs, labels = [], []
        for i in range(BATCH):
            said, right = [*COLOURS.items()][random.integers(len(COLOURS))]
            read = right if i % 2 else [*COLOURS.values()][random.integers(len(COLOURS))]
            pairs.append((WORDINGS[random.integers(len(WORDINGS))].format(said), f"a {read} lamp"))
            labels.append(float(read == right))
        encoded = tokens([a for a, _ in pairs], [b for _, b in pairs], padding=True, return_tensors="pt")
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(**encoded).logits[:, 0], torch.tensor(labels))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("trained")
    model, file = train(folder / "pairs"), folder / "encoders.toml"
    pairs = [write_pair(WORDINGS[0].format("ivory"), f"a {colour} lamp") for colour in ("white", "black")]
    said = load_reranker(str(model)).encode(pairs, "query").vectors
    assert said[0, 0] > said[1, 0] + 2, "it has not learnt the task"
    file.write_text(f'[encoders.minilm]\nmodel = "all-MiniLM-L6-v2"\n[rerankers.pairs]\nmodel = "{model}"\n')
    with RunningService(data_dir=folder / "data", encoders=file) as running:
        running.wait_until_ready()
        with running.client() as client:
            client.timeout = httpx.Timeout(300)
            client.put(PATH, json={})
            documents = [{"id": colour, "key": f"a {colour} lamp"} for colour in SOLD]
            client.post(f"{PATH}/documents", json={"documents": documents}).raise_for_status()
            yield client


def test_the_score_separates_near_questions_from_answered_ones(client: httpx.Client) -> None:
    questions = [
        {"query": wording.format(said), "id": colour if colour in SOLD else None}
        for said, colour in COLOURS.items()
        for wording in WORDINGS
    ]
    training, tested = [one for i, one in enumerate(questions) if i % 4], questions[::4]
    rerank = {"model": "pairs", "depth": 5}
    answer = client.post(f"{PATH}/calibrate", json={"questions": training, "rerank": rerank, "apply": True})
    fitted: dict[str, Any] = answer.json()
    assert fitted["applied"], fitted
    assert fitted["reranked"] is not None
    assert fitted["after_reranked"]["log_loss"]["value"] < fitted["after"]["log_loss"]["value"]
    confidences: dict[bool, list[float]] = {True: [], False: []}
    for question in tested:
        body = {"query": question["query"], "top_k": 1, "rerank": rerank}
        (match,) = client.post(f"{PATH}/attend", json=body).json()["matches"]
        confidences[question["id"] is not None].append(match["confidence"])
    assert min(confidences[True]) > max(confidences[False])
