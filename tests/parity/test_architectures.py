"""Encoders and rerankers of every architecture, beside sentence-transformers, which computes each text alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from softkv_service.encoding import load_encoder, load_reranker, write_pair
from tests.checkpoints import assert_unusable, save_cross_encoder, save_sentence_encoder, save_transformer

TOLERANCE = 1e-5
"""The largest error: of a vector relative to its length, of a logit, and so of the score, as it is."""
LONG = "a long tale of a dog that chased a cat across the street " * 12
TEXTS = [
    "a red house",
    "",
    "word",
    *("word " * n for n in (3, 17, 50, 80)),
    "猫 and dogs",
    "注意力把查询与键比较。",
    LONG,
]
PAIRS = [
    ("where is the key?", "the key is under the mat"),
    ("where is the key?", ""),
    ("", "the key"),
    ("", ""),
    ("cats", LONG),
    (LONG, "cats"),
    (LONG, LONG[20:]),
    ("a [SEP] b [PAD]", "猫 [CLS] Ärger"),
    ("什么是注意力？", "注意力把查询与键比较。"),
    *(("dogs", "tree " * n) for n in (1, 3, 9, 20, 39)),
]
HEADS = {"num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
PADDED = {"pad_token_id": 0}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 96, "bos_token_id": 101, "eos_token_id": 102}
XLNET = {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}
DISTILBERT = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4}
BY_DAY = ("bert", "electra", "fnet", "gpt2 padded on the left", "llama without a token for padding")
CORE, LIBRARY, ALONE, NONE = "core", "library", "library, alone", "none"
ARCHITECTURES: dict[str, tuple[Any, ...]] = {
    "albert": ("AlbertConfig", {}),
    "bert": ("BertConfig", {}, CORE, CORE),
    "big bird": ("BigBirdConfig", {"block_size": 4, "num_random_blocks": 1}),
    "biogpt": ("BioGptConfig", {}, LIBRARY, ALONE),
    "bloom": ("BloomConfig", PADDED),
    "camembert": ("CamembertConfig", {"pad_token_id": 1}, CORE, NONE),
    "canine": ("CanineConfig", {}, "loads, but fails on", "loads, but fails on"),
    "convbert": ("ConvBertConfig", {}, ALONE, ALONE),
    "data2vec": ("Data2VecTextConfig", {"pad_token_id": 1}, LIBRARY, "and fails on them"),
    "data2vec with too few positions": (
        "Data2VecTextConfig",
        {"pad_token_id": 1, "max_position_embeddings": 64},
        "and fails on them",
        "and fails on them",
    ),
    "deberta": ("DebertaConfig", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "deberta v2": ("DebertaV2Config", {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "distilbert": ("DistilBertConfig", DISTILBERT, CORE, CORE),
    "electra": ("ElectraConfig", {"embedding_size": 32}),
    "ernie": ("ErnieConfig", {}),
    "esm": ("EsmConfig", {"pad_token_id": 1, "mask_token_id": 103}, LIBRARY, "and fails on them"),
    "eurobert": ("EuroBertConfig", HEADS),
    "falcon": ("FalconConfig", PADDED),
    "flaubert": ("FlaubertConfig", {"emb_dim": 32, "n_layers": 2, "n_heads": 4}),
    "fnet": ("FNetConfig", {}, ALONE, ALONE),
    "gemma": ("GemmaConfig", HEADS),
    "gemma 2": ("Gemma2Config", HEADS),
    "gemma 3": ("Gemma3TextConfig", HEADS | {"query_pre_attn_scalar": 8}, CORE, LIBRARY),
    "glm": ("GlmConfig", HEADS),
    "gpt2": ("GPT2Config", GPT2 | PADDED),
    "gpt2 padded on the left": ("GPT2Config", GPT2 | PADDED | {"padding_side": "left"}, ALONE, ALONE),
    "gpt neo": ("GPTNeoXConfig", PADDED),
    "granite": ("GraniteConfig", {"num_key_value_heads": 2} | PADDED, LIBRARY, NONE),
    "gte": ("GteConfig", {"type_vocab_size": 1, "pad_token_id": 0}, CORE, LIBRARY),
    "ibert": ("IBertConfig", {"pad_token_id": 1}, LIBRARY, "and fails on them"),
    "llama": ("LlamaConfig", {"num_key_value_heads": 2} | PADDED, CORE, LIBRARY),
    "llama padded on the left": (
        "LlamaConfig",
        {"num_key_value_heads": 2, "padding_side": "left"} | PADDED,
        CORE,
        LIBRARY,
    ),
    "llama without a token for padding": ("LlamaConfig", {"num_key_value_heads": 2}, CORE, ALONE),
    "longformer": ("LongformerConfig", {"pad_token_id": 1, "attention_window": [8, 8]}, LIBRARY, "and fails on them"),
    "luke": (
        "LukeConfig",
        {"pad_token_id": 1, "entity_vocab_size": 9, "entity_emb_size": 8},
        LIBRARY,
        "and fails on them",
    ),
    "megatron": ("MegatronBertConfig", {}),
    "minimax": ("MiniMaxConfig", HEADS),
    "mistral": ("MistralConfig", HEADS, CORE, LIBRARY),
    "mixtral": ("MixtralConfig", HEADS | {"num_local_experts": 4}),
    "mobilebert": (
        "MobileBertConfig",
        {"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
        ALONE,
        ALONE,
    ),
    "modernbert": ("ModernBertConfig", {"local_attention": 16, "pad_token_id": 0}, CORE, LIBRARY),
    "mpnet": ("MPNetConfig", {"pad_token_id": 1}, CORE, NONE),
    "mpt": ("MptConfig", PADDED),
    "nomic": ("NomicBertConfig", {}, CORE, LIBRARY),
    "nystromformer": (
        "NystromformerConfig",
        {"segment_means_seq_len": 16, "num_landmarks": 4},
        "loads, but fails on",
        "loads, but fails on",
    ),
    "olmo 2": ("Olmo2Config", {"num_key_value_heads": 2, "pad_token_id": 0}),
    "opt": ("OPTConfig", {"ffn_dim": 64, "word_embed_proj_dim": 32}, LIBRARY, ALONE),
    "phi": ("PhiConfig", PADDED),
    "qwen 2": ("Qwen2Config", HEADS, CORE, LIBRARY),
    "qwen 3": ("Qwen3Config", HEADS, CORE, LIBRARY),
    "reformer": (
        "ReformerConfig",
        {
            "axial_pos_embds_dim": [16, 16],
            "axial_pos_shape": [8, 12],
            "attn_layers": ["local", "lsh"],
            "attention_head_size": 8,
            "feed_forward_size": 64,
            "num_hashes": 2,
            "is_decoder": False,
        },
        "must give 32 finite numbers",
        LIBRARY,
    ),
    "rembert": ("RemBertConfig", {"input_embedding_size": 16, "output_embedding_size": 16}),
    "roberta": ("RobertaConfig", {"pad_token_id": 1, "type_vocab_size": 2}, CORE, NONE),
    "roformer": ("RoFormerConfig", {}),
    "smollm 3": ("SmolLM3Config", {"num_key_value_heads": 2, "pad_token_id": 0}),
    "squeezebert": ("SqueezeBertConfig", {"embedding_size": 32}),
    "stablelm": ("StableLmConfig", {"num_key_value_heads": 2} | PADDED),
    "starcoder 2": ("Starcoder2Config", {"num_key_value_heads": 2, "sliding_window": 8} | PADDED),
    "t5": (
        "T5Config",
        {
            "d_model": 32,
            "d_ff": 64,
            "d_kv": 8,
            "num_layers": 2,
            "num_heads": 4,
            "decoder_start_token_id": 0,
            "eos_token_id": 102,
        },
        LIBRARY,
        NONE,
    ),
    "xlm": ("XLMConfig", {"emb_dim": 32, "n_layers": 2, "n_heads": 4}),
    "xlm-roberta": ("XLMRobertaConfig", {"pad_token_id": 1, "type_vocab_size": 2}, CORE, NONE),
    "xlnet": ("XLNetConfig", XLNET, LIBRARY, NONE),
    "xlnet padded on the left": ("XLNetConfig", XLNET | {"padding_side": "left"}, LIBRARY, NONE),
    "xmod": ("XmodConfig", {"pad_token_id": 1, "default_language": "en_XX"}, LIBRARY, "and fails on them"),
    "yoso": ("YosoConfig", {}, ALONE, ALONE),
}


def cases(place: int) -> list[Any]:
    """Return the architectures by the name, with what becomes of their encoder (place 0) or their reranker (1).

    That is how it runs, or words of its refusal. A reranker that transformers lacks, or that reads no such pairs, is
    left out.
    """
    rows = []
    for name, (config, options, *outcomes) in ARCHITECTURES.items():
        row = config, options, (outcomes or [LIBRARY, LIBRARY])[place]
        if row[2] != NONE:
            rows.append(pytest.param(*row, id=name, marks=() if name in BY_DAY else pytest.mark.thorough))
    return rows


def outcome(model: Any) -> str:
    return str(model.kind) if model.network.batched else f"{model.kind}, alone"


@pytest.mark.parametrize(("config", "options", "expected"), cases(0))
def test_an_encoder_has_the_librarys_vectors(
    tmp_path: Path, config: str, options: dict[str, Any], expected: str
) -> None:
    from sentence_transformers import SentenceTransformer  # takes seconds to import

    bare, folder = tmp_path / "bare", tmp_path / "model"
    save_transformer(bare, config, **options)
    save_sentence_encoder(folder, bare)
    if expected not in (CORE, LIBRARY, ALONE):
        assert_unusable(folder, expected)
        return
    encoder = load_encoder(str(folder))
    assert outcome(encoder) == expected
    reference = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    vectors = np.stack([reference.encode(text, show_progress_bar=False) for text in TEXTS])
    distance = np.linalg.norm(encoder.encode(TEXTS, "document").vectors - vectors, axis=1)
    assert (distance / np.linalg.norm(vectors, axis=1)).max() < TOLERANCE


@pytest.mark.parametrize(("config", "options", "expected"), cases(1))
def test_a_reranker_has_the_librarys_logits_beside_any_others(
    tmp_path: Path, config: str, options: dict[str, Any], expected: str
) -> None:
    from sentence_transformers import CrossEncoder  # takes seconds to import

    folder = save_cross_encoder(tmp_path / "model", config, "TokenizersBackend", **options)
    if expected not in (CORE, LIBRARY, ALONE):
        assert_unusable(folder, expected, load_reranker)
        return
    reranker = load_reranker(str(folder))
    assert outcome(reranker) == expected
    reference = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    logits = [reference.predict([list(pair)], activation_fn=torch.nn.Identity())[0] for pair in PAIRS]
    together = reranker.encode([write_pair(*pair) for pair in PAIRS], "query").vectors[:, 0]
    np.testing.assert_allclose(together, logits, rtol=0, atol=TOLERANCE)
