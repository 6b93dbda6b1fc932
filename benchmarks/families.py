"""Encoders of other families than BERT's, at their real sizes, in softkv's kernels and in sentence-transformers.

    python -m benchmarks.families [--models mpnet,gemma] [--rounds 5] [--threads 2]

The weights are random, which changes neither the speed nor the way to compute. All models have the tokeniser of the
default model, so all have the same tokens. Both engines have the same texts and threads, and one process calls them in
turns, for one query of some ten tokens (another one each call) and for 64 passages of some 140. Tokenising counts. The
error is the largest difference of a component between the two, of vectors of length one.

Layers of a model are alike, so some models have fewer than the real one, and the first column says so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ENGINES = ("softkv Compiled float32", "sentence-transformers float32")
QUERIES = 24


@dataclass(frozen=True)
class Model:
    """A model's configuration.

    Attributes:
        kind: the class of its configuration in transformers.
        pooling: how the tokens' vectors become one.
        layers: the number of layers that it has here.
        real: the number of layers of the real model.
        fields: the other fields of the configuration.
    """

    kind: str
    pooling: str
    layers: int
    real: int
    fields: dict[str, Any]


MODELS = {
    "all-mpnet-base-v2": Model(
        "MPNetConfig", "mean", 12, 12, {"vocab_size": 30_527, "max_position_embeddings": 514, "pad_token_id": 1}
    ),
    "nomic-embed-text-v1.5": Model(
        "NomicBertConfig", "mean", 12, 12, {"vocab_size": 30_528, "hidden_act": "silu", "intermediate_size": 3072}
    ),
    "ModernBERT-base": Model("ModernBertConfig", "mean", 22, 22, {"vocab_size": 50_368}),
    "SmolLM2-135M": Model(
        "LlamaConfig",
        "mean",
        30,
        30,
        {
            "vocab_size": 49_152,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "max_position_embeddings": 8192,
            "rope_theta": 100_000.0,
        },
    ),
    "Gemma 3 270M": Model(
        "Gemma3TextConfig",
        "mean",
        18,
        18,
        {
            "vocab_size": 262_144,
            "hidden_size": 640,
            "intermediate_size": 2048,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 256,
            "sliding_window": 512,
            "query_pre_attn_scalar": 256,
            "max_position_embeddings": 32_768,
        },
    ),
    "Qwen3-Embedding-0.6B": Model(
        "Qwen3Config",
        "lasttoken",
        7,
        28,
        {
            "vocab_size": 151_669,
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 32_768,
        },
    ),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="", help="parts of names, with commas between them; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each engine")
    parser.add_argument("--alone", choices=MODELS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        measure(options.alone, options.rounds, options.threads)
        return
    words = options.models.lower().split(",")
    environment = os.environ | {"RAYON_NUM_THREADS": str(options.threads), "TOKENIZERS_PARALLELISM": "true"}
    from benchmarks.results import machine

    print(f"{machine()}; {options.threads} threads each; load {os.getloadavg()[0]:.1f} at the start")
    statuses = []
    for name in (name for name in MODELS if any(word in name.lower() for word in words)):
        command = [sys.executable, "-m", "benchmarks.families", "--alone", name, "--rounds", str(options.rounds)]
        command += ["--threads", str(options.threads)]
        statuses.append(subprocess.run(command, env=environment, check=False).returncode)
    sys.exit(max(statuses, default=2))


def measure(name: str, rounds: int, threads: int) -> None:
    """Measure one model in this process, and print a line for each column."""
    import torch

    from benchmarks.engines import contest, texts
    from benchmarks.engines.engine import Setting

    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        write(MODELS[name], path)
        engines, left_out = contest.made(ENGINES, Setting(path, Path(folder), threads))
        for engine, reason in left_out.items():
            print(f"{name}: {engine} is left out: {reason}")
        queries, passages = texts.questions()[:QUERIES], texts.passages(64)
        columns = [texts.Column("one query", queries, 1), texts.Column("64 passages", passages, 64)]
        some = queries[:8] + passages[:8]
        vectors = [engine.encode(some) for engine in engines.values()]
        rates = contest.timed(engines, columns, rounds)
    layers = (
        "" if MODELS[name].layers == MODELS[name].real else f", {MODELS[name].layers} of {MODELS[name].real} layers"
    )
    for column, by_engine in rates.items():
        medians = [median(by_engine[engine]) for engine in engines]
        ratio = f"{medians[0] / medians[-1]:.2f}×"
        speeds = " : ".join(
            f"{value:.3g} ({max(by_engine[engine]):.3g})" for value, engine in zip(medians, engines, strict=True)
        )
        error = f"{np.abs(vectors[0] - vectors[-1]).max():.1e}"
        load = f"{os.getloadavg()[0]:.1f}"
        print(
            f"{name}{layers} | {column} | {speeds} texts/s, median (best) | {ratio} | error {error} | load {load}",
            flush=True,
        )


def write(model: Model, path: Path) -> None:
    """Write a random checkpoint with the default model's tokeniser, as sentence-transformers does."""
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    from service.encoding import default_checkpoint

    bare = path.parent / "bare"
    torch.manual_seed(0)
    config = getattr(transformers, model.kind)(num_hidden_layers=model.layers, **model.fields)
    transformers.AutoModel.from_config(config).save_pretrained(bare)
    transformers.AutoTokenizer.from_pretrained(default_checkpoint()).save_pretrained(bare)
    transformer = Transformer(str(bare), max_seq_length=256)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode=model.pooling)
    SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu").save(str(path))
    settings = path / "sentence_bert_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"max_seq_length": 256}))


if __name__ == "__main__":
    main()
