"""The temperature that an encoder's similarities want."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from softkv_service.encoding.background import TOPICS
from softkv_service.encoding.models.declaration import card_temperature
from softkv_service.encoding.registry import load_encoder
from softkv_service.encoding.temperature import Temperature, fit_temperature, temperatures
from tests.bfloat16 import ROUGH

CARD = """# A model

#### Unnamed Dataset
* Loss: [<code>{loss}</code>](https://sbert.net/docs/package_reference/sentence_transformer/losses.html#{loss}) \
with these parameters:
  ```json
{parameters}
  ```
"""
CACHED = "CachedMultipleNegativesSymmetricRankingLoss"
OLD_CARD = """## Training
The model was trained with the parameters:

**DataLoader**:

`torch.utils.data.dataloader.DataLoader` of length 7 with parameters:
```
{{'batch_size': 16, 'scale': 3.0}}
```

**Loss**:

`sentence_transformers.losses.{loss}.{loss}` with parameters:
  ```
  {parameters}
  ```
"""


def card(directory, text):
    (directory / "README.md").write_text(text)
    return card_temperature(directory)


def likelihood(similarity, temperature):
    logits = similarity / temperature
    return (np.diagonal(logits) - np.logaddexp.reduce(logits, axis=1)).mean()


def unit(random, n, d, spread):
    """n questions and their texts: directions that differ by `spread`; float32 [n, d] each."""
    centres = random.standard_normal((n, d))
    both = [centres + spread * random.standard_normal((n, d)) for _ in range(2)]
    return [(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32) for vectors in both]


@pytest.mark.thorough
@pytest.mark.parametrize("precision", ["float32", ROUGH])
def test_the_temperature_of_the_default_model_matches_its_training(precision):
    encoder = load_encoder("all-MiniLM-L6-v2", precision=precision)
    assert encoder.temperature == Temperature(0.05, "measured")
    questions = encoder.encode([topic.question for topic in TOPICS], "query").vectors
    texts = encoder.encode([topic.text for topic in TOPICS], "document").vectors
    doubled = 2 * fit_temperature(questions.astype(float) @ texts.astype(float).T)
    # Far from where it would be rounded to 0.02 or 0.1, each √(2 · 5) or √(5 · 10) in hundredths.
    assert 1.35 * math.sqrt(0.02 * 0.05) < doubled < math.sqrt(0.05 * 0.1) / 1.35


@pytest.mark.parametrize("spread", [0.7, 1.0, 1.6])
def test_the_likeliest_temperature_is_the_best_of_a_grid(spread):
    questions, texts = unit(np.random.default_rng(7), 53, 31, spread)
    similarity = questions.astype(float) @ texts.astype(float).T
    best = fit_temperature(similarity)
    assert 0 < best < math.inf
    assert all(likelihood(similarity, best) >= likelihood(similarity, best * factor) for factor in np.geomspace(0.2, 5))
    assert fit_temperature(3 * similarity) == pytest.approx(3 * best, rel=1e-6)
    order = np.random.default_rng(1).permutation(53)
    assert fit_temperature(similarity[np.ix_(order, order)]) == pytest.approx(best, rel=1e-6)


def test_pairs_that_say_nothing_have_the_ends():
    random = np.random.default_rng(3)
    assert fit_temperature(np.ones((5, 5))) == math.inf
    assert fit_temperature(1 - np.eye(5)) == math.inf
    assert fit_temperature(np.eye(5)) == 0
    sharp, blind = unit(random, 53, 31, 0.0), unit(random, 53, 31, 1e3)
    assert temperatures(*sharp, similarity="cosine")["cosine"] == Temperature(0.01, "measured")
    assert temperatures(*blind, similarity="cosine")["cosine"] == Temperature(0.2, "measured")
    zeros = np.zeros((5, 3), np.float32)
    assert math.isfinite(temperatures(zeros, zeros, similarity="dot")["dot"].value)


def test_a_dot_of_long_vectors_has_a_temperature_of_its_size():
    questions, texts = unit(np.random.default_rng(7), 53, 31, 1.0)
    plain = temperatures(questions, texts, similarity="gaussian")
    assert plain["dot"] == plain["cosine"] == plain["gaussian"]
    longer = temperatures(10 * questions, 10 * texts, similarity="gaussian")
    assert longer["cosine"] == plain["cosine"]
    assert longer["dot"].value == longer["gaussian"].value == pytest.approx(100 * plain["dot"].value, rel=1e-12)
    assert "gaussian" not in temperatures(questions, texts, similarity="dot")


def test_the_makers_temperature_is_taken_before_a_measured_one():
    questions, texts = unit(np.random.default_rng(7), 53, 31, 1.0)
    from_card = temperatures(questions, texts, similarity="cosine", declared=("cosine", 0.013))
    assert from_card["cosine"] == from_card["dot"] == Temperature(0.013, "model card")
    # A scale of cosines says nothing of dots of other lengths.
    longer = temperatures(10 * questions, texts, similarity="dot", declared=("cosine", 0.013))
    assert longer["cosine"] == Temperature(0.013, "model card")
    assert longer["dot"].source == "measured"


@pytest.mark.parametrize(
    ("loss", "parameters", "expected"),
    [
        ("MultipleNegativesRankingLoss", '{"scale": 20.0, "similarity_fct": "cos_sim"}', ("cosine", 0.05)),
        ("MultipleNegativesRankingLoss", '{"scale": 1.0, "similarity_fct": "dot_score"}', ("dot", 1.0)),
        (CACHED, '{"scale": 100, "similarity_fct": "cos_sim"}', ("cosine", 0.01)),
        ("GISTEmbedLoss", '{"guide": "SentenceTransformer()", "temperature": 0.02}', ("cosine", 0.02)),
        ("MultipleNegativesRankingLoss", '{"scale": 20.0, "similarity_fct": "manhattan_sim"}', None),
        ("MultipleNegativesRankingLoss", '{"scale": 20.0}', None),
        ("MultipleNegativesRankingLoss", '{"scale": "20", "similarity_fct": "cos_sim"}', None),
        ("MultipleNegativesRankingLoss", '{"scale": 0, "similarity_fct": "cos_sim"}', None),
        ("MultipleNegativesRankingLoss", '{"scale": NaN, "similarity_fct": "cos_sim"}', None),
        ("MultipleNegativesRankingLoss", '{"scale": true, "similarity_fct": "cos_sim"}', None),
        ("MultipleNegativesRankingLoss", "[20.0]", None),
        ("MultipleNegativesRankingLoss", "no parameters", None),
        # Its scale is that of differences, and a Matryoshka loss does not describe its inner loss.
        ("CoSENTLoss", '{"scale": 20.0, "similarity_fct": "pairwise_cos_sim"}', None),
        ("MatryoshkaLoss", '{"loss": "MultipleNegativesRankingLoss", "matryoshka_dims": [32]}', None),
    ],
)
@pytest.mark.parametrize("form", [CARD, OLD_CARD])
def test_a_model_card_says_it_in_the_parameters_of_a_loss(tmp_path, form, loss, parameters, expected):
    if form is OLD_CARD:
        parameters = parameters.replace("true", "True")
    assert card(tmp_path, form.format(loss=loss, parameters=parameters)) == expected


def test_a_temperature_in_the_prose_of_a_card_is_ignored(tmp_path):
    assert card(tmp_path, "We train with a temperature of 0.01, that is scale=100.\n\n`scale: 20.0`") is None
    assert card_temperature(tmp_path / "nowhere") is None


def test_losses_that_disagree_say_nothing(tmp_path):
    parameters = (f'{{"scale": {scale}, "similarity_fct": "cos_sim"}}' for scale in (20.0, 20, 50.0))
    cards = [CARD.format(loss="MultipleNegativesRankingLoss", parameters=text) for text in parameters]
    assert card(tmp_path, "".join(cards[:2])) == ("cosine", 0.05)
    assert card(tmp_path, "".join(cards)) is None


def test_the_card_that_the_library_itself_writes_is_read(bare_model, tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    model = SentenceTransformer(modules=[Transformer(bare_model("BertConfig")), Pooling(32), Normalize()], device="cpu")
    parameters = json.dumps(MultipleNegativesRankingLoss(model, scale=32).get_config_dict(), indent=4)
    name = "sentence_transformers.sentence_transformer.losses.MultipleNegativesRankingLoss"
    loss = {"fullname": name, "config_code": f"  ```json\n  {parameters}\n  ```"}
    dataset = {"name": "pairs", "size": 2, "columns": ["<code>anchor</code>"], "loss": loss}
    model.model_card_data.train_datasets = [dataset]
    model.save_pretrained(str(tmp_path / "model"))
    encoder = load_encoder(str(tmp_path / "model"))
    assert encoder.temperature == Temperature(1 / 32, "model card")
    assert encoder.temperatures["dot"] == Temperature(1 / 32, "model card")
