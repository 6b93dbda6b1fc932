"""Rerankers against sentence-transformers' CrossEncoder, on small random checkpoints."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from softkv_attention.transformer import load_cross_encoder, map_arrays
from softkv_service.encoding import ACTIVATIONS, load_reranker, write_pair
from softkv_service.encoding.models.core_network import embed_by_definition
from softkv_service.encoding.models.pair_network import WITHOUT_TOKENS
from tests.checkpoints import (
    assert_unusable,
    edit_json,
    save_cross_encoder,
    save_one_sided_cross_encoder,
    save_sentence_encoder,
    save_transformer,
)

TOLERANCE = 1e-5
LONG = "a long tale of a dog that chased a cat across the street " * 12
PAIRS = [
    ("where is the key?", "the key is under the mat"),
    ("where is the key?", ""),
    ("", ""),
    ("cats", LONG),
    (LONG, "cats"),
    (LONG, LONG[20:]),
    ("a [SEP] b [PAD]", "猫 [CLS] Ärger"),
    *(("dogs", "tree " * n) for n in range(1, 40)),
]
DISTILBERT = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4}
AFTER_PADDING = {"max_position_embeddings": 66, "pad_token_id": 1}
FAMILIES = {
    "bert": partial(save_cross_encoder),
    "bert without types": partial(save_cross_encoder, tokenizer_class="TokenizersBackend"),
    "bert wide": partial(save_cross_encoder, hidden_size=64, num_attention_heads=2),
    "distilbert": partial(save_cross_encoder, config="DistilBertConfig", **DISTILBERT),
    "mpnet": partial(save_cross_encoder, config="MPNetConfig", **AFTER_PADDING),
    "roberta": partial(save_cross_encoder, config="RobertaConfig", type_vocab_size=2, **AFTER_PADDING),
    "camembert": partial(save_cross_encoder, config="CamembertConfig", type_vocab_size=2, **AFTER_PADDING),
}


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory):
    return FAMILIES[request.param](tmp_path_factory.mktemp("cross") / "model")


def predict(folder, pairs=PAIRS):
    """Return the logits of the library, each pair alone, and its limit of tokens."""
    from sentence_transformers import CrossEncoder  # takes seconds to import

    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    logits = [model.predict([list(pair)], activation_fn=torch.nn.Identity(), show_progress_bar=False) for pair in pairs]
    return np.concatenate(logits), model.max_seq_length


def encode(reranker, pairs=PAIRS):
    return reranker.encode([write_pair(*pair) for pair in pairs], "query")


def test_logits_match_sentence_transformers(folder):
    reranker, (expected, limit) = load_reranker(str(folder)), predict(folder)
    encoded = encode(reranker)
    assert (reranker.kind, reranker.max_tokens) == ("core", limit)
    np.testing.assert_allclose(encoded.vectors[:, 0], expected, rtol=0, atol=TOLERANCE)
    assert np.ptp(expected) > 0.1
    assert encoded.truncated[:7].tolist() == [False, False, False, True, True, True, False]
    assert encoded.token_counts[3:6].tolist() == [limit] * 3


def test_neighbours_do_not_change_a_logit(folder):
    reranker = load_reranker(str(folder))
    alone = np.concatenate([encode(reranker, [pair]).vectors for pair in PAIRS])
    np.testing.assert_array_equal(encode(reranker, PAIRS[::-1]).vectors[::-1], alone)


def test_the_definition_computes_the_same_in_numpy_and_torch(folder, monkeypatch):
    network, definition = load_reranker(str(folder)).network, load_cross_encoder(folder).model
    expected = network.logits(PAIRS).values
    for model in (definition, map_arrays(torch.as_tensor, definition)):
        monkeypatch.setattr(network, "_compute", partial(embed_by_definition, model))
        np.testing.assert_allclose(network.logits(PAIRS).values, expected, rtol=0, atol=TOLERANCE)


def test_a_folder_of_the_library_with_modules_and_a_limit(tmp_path):
    from sentence_transformers import CrossEncoder  # takes seconds to import

    bare = save_cross_encoder(tmp_path / "bare")
    CrossEncoder(str(bare), max_length=40, activation_fn=torch.nn.Identity(), device="cpu").save(
        str(tmp_path / "saved")
    )
    reranker, (expected, limit) = load_reranker(str(tmp_path / "saved")), predict(tmp_path / "saved")
    assert (reranker.kind, reranker.max_tokens, reranker.activation) == ("core", limit, "Identity")
    assert (limit, load_reranker(str(bare)).activation) == (40, "Sigmoid")
    np.testing.assert_allclose(encode(reranker).vectors[:, 0], expected, rtol=0, atol=TOLERANCE)


def test_other_models_are_refused(tmp_path):
    bare, sentences = tmp_path / "bare", tmp_path / "sentences"
    save_transformer(bare, "BertConfig")
    save_sentence_encoder(sentences, bare)
    assert_unusable(bare, "holds BertModel, wanted a cross-encoder", load_reranker)
    assert_unusable(sentences, "holds a SentenceTransformer, wanted a cross-encoder", load_reranker)
    assert_unusable(save_cross_encoder(tmp_path / "labels", num_labels=3), "has 3 labels, wanted one", load_reranker)
    edit_json(bare / "config.json", {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "yes"}})
    assert_unusable(bare, r"lacks the tensor .* of shape", load_reranker)
    assert_unusable("cross-encoder/none", "there is no model 'cross-encoder/none' on this machine", load_reranker)


ACTIVATION_FILES = {
    "saved today": ("config_sentence_transformers.json", lambda name: {"activation_fn": name}),
    "nested": ("config.json", lambda name: {"sentence_transformers": {"activation_fn": name}}),
    "of version 2": ("config.json", lambda name: {"sbert_ce_default_activation_function": name}),
}


@pytest.mark.parametrize("file", ACTIVATION_FILES)
@pytest.mark.parametrize(
    "name",
    [
        *("torch.nn.Identity", "torch.nn.modules.activation.Sigmoid", "torch.nn.Tanh", "torch.nn.ReLU"),
        *("torch.nn.modules.activation.LogSigmoid", "somebody.Own"),
    ],
)
def test_scores_have_the_activation_that_the_library_reads(tmp_path, file, name):
    from sentence_transformers import CrossEncoder  # takes seconds to import

    folder, (path, fields) = save_cross_encoder(tmp_path / "model"), ACTIVATION_FILES[file]
    if file == "saved today":
        CrossEncoder(str(folder), device="cpu").save(str(folder))
    edit_json(folder / path, fields(name))
    model, reranker = CrossEncoder(str(folder), device="cpu", local_files_only=True), load_reranker(str(folder))
    expected = model.predict([list(pair) for pair in PAIRS[:9]], show_progress_bar=False)
    scores = ACTIVATIONS[reranker.activation](encode(reranker, PAIRS[:9]).vectors[:, 0].astype(np.float64))
    np.testing.assert_allclose(scores, expected, rtol=0, atol=TOLERANCE)


def test_a_head_of_other_labels_than_its_config(tmp_path):
    folder = save_cross_encoder(tmp_path / "model", num_labels=2)
    edit_json(folder / "config.json", {"id2label": {"0": "relevant"}})
    assert_unusable(folder, r"one logit, so classifier\.weight must have shape", load_reranker)
    assert load_cross_encoder(save_cross_encoder(tmp_path / "good")).model.dimension == 1


def without_special_tokens(folder):
    """Make a tokeniser add no tokens to a pair, so that two empty texts have none."""
    edit_json(folder / "tokenizer.json", {"post_processor": None})
    return folder


ROWS = {"core": {}, "library": {"config": "ElectraConfig", "embedding_size": 32}}


@pytest.mark.parametrize("kind", ROWS)
def test_a_pair_without_tokens_is_refused_alone_and_among_others(tmp_path, kind):
    folder = save_cross_encoder(tmp_path / "model", tokenizer_class="TokenizersBackend", **ROWS[kind])
    reranker = load_reranker(str(without_special_tokens(folder)))
    assert reranker.kind == kind
    pairs = [("a", "b"), ("", ""), ("", "b")]
    expected, _ = predict(folder, [pairs[0], pairs[2]])
    encoded = encode(reranker, pairs)
    assert encoded.refused == {1: WITHOUT_TOKENS}
    assert encode(reranker, pairs[1:2]).refused == {0: WITHOUT_TOKENS}
    np.testing.assert_allclose(encoded.vectors[[0, 2], 0], expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("strategy", "long"), [("only_second", (LONG, "cats")), ("only_first", ("cats", LONG))])
def test_a_pair_is_refused_if_the_text_that_must_stay_is_too_long(tmp_path, strategy, long):
    folder = save_one_sided_cross_encoder(tmp_path / "model", strategy)
    reranker, good = load_reranker(str(folder)), long[::-1]
    assert reranker.kind == "library"
    expected, _ = predict(folder, [good])
    encoded = encode(reranker, [good, long])
    np.testing.assert_allclose(encoded.vectors[0, 0], expected[0], rtol=0, atol=TOLERANCE)
    assert encoded.truncated[0]
    (message,) = encoded.refused.values()
    assert "alone has more tokens than the 64 that the model reads" in message


@pytest.mark.parametrize("kind", ROWS)
def test_a_default_prompt_is_read_and_counted(tmp_path, kind):
    from sentence_transformers import CrossEncoder  # takes seconds to import

    bare, folder = save_cross_encoder(tmp_path / "bare", **ROWS[kind]), tmp_path / "model"
    prompts = {"prompts": {"rank": "rank these pages: "}, "default_prompt_name": "rank"}
    CrossEncoder(str(bare), device="cpu", **prompts).save(str(folder))
    reranker, plain = load_reranker(str(folder)), load_reranker(str(bare))
    assert reranker.kind == kind
    pairs = [pair for pair in PAIRS if pair != ("", "")]
    np.testing.assert_allclose(encode(reranker, pairs).vectors[:, 0], predict(folder, pairs)[0], rtol=0, atol=TOLERANCE)
    assert (encode(reranker, pairs[:1]).token_counts - encode(plain, pairs[:1]).token_counts).tolist() == [4]


@pytest.mark.parametrize("kind", ROWS)
def test_a_folder_without_modules_is_read_without_the_librarys_files(tmp_path, kind):
    from sentence_transformers import CrossEncoder  # takes seconds to import

    folder = save_cross_encoder(tmp_path / "model", **ROWS[kind])
    options = {"prompts": {"rank": "rank these pages: "}, "default_prompt_name": "rank", "max_length": 40}
    CrossEncoder(str(folder), activation_fn=torch.nn.Tanh(), device="cpu", **options).save(str(folder))
    (folder / "modules.json").unlink()
    reranker, pairs = load_reranker(str(folder)), PAIRS[:6]
    expected, limit = predict(folder, pairs)
    assert (reranker.kind, reranker.max_tokens, reranker.activation) == (kind, limit, "Sigmoid")
    np.testing.assert_allclose(encode(reranker, pairs).vectors[:, 0], expected, rtol=0, atol=TOLERANCE)
