"""The default model without torch: in every process that has the kernels, and where torch is not installed at all."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from softkv_service.encoding.registry import load_encoder
from tests.bfloat16 import FLOAT32_BY_TILES, needs_bfloat16
from tests.thorough import thorough

ROOT = Path(__file__).parents[3]
TEXTS = ["Straße, a RED house", "", "a cat sleeps on the mat"]

# An installation without the extras `models` and `lab`, as an image without FULL=1.
BLOCKED = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "sentence_transformers", "transformers", "scipy", "sklearn", "sympy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""
ENCODED = """
import json, sys
from softkv_service.encoding import load_encoder, read_pair, trace_layers, traceable
encoder = load_encoder("all-MiniLM-L6-v2", precision=sys.argv[2])
vectors = encoder.encode(json.loads(sys.argv[1]), "document").vectors
(layer,) = trace_layers(traceable(encoder), read_pair(encoder, "a dog", "a cat"), layers=[-1], heads=None, causal=False)
print(json.dumps({"vectors": vectors.tolist(), "weights": layer.weights.sum(axis=-1).tolist(),
                  "loaded": sorted(sys.modules)}))
"""
STATIC = """
import json, sys
from softkv_service.encoding import load_encoder
print(json.dumps(load_encoder(sys.argv[1]).encode(json.loads(sys.argv[2]), "document").vectors.tolist()))
"""
OTHER = """
import sys
from softkv_service.encoding import LibraryMissing, load_encoder
try:
    load_encoder(sys.argv[1])
except LibraryMissing as error:
    print(error)
"""


def run(script, *arguments):
    ended = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("begin", "precision"),
    [thorough("", "float32"), (BLOCKED, "float32"), pytest.param(BLOCKED, "bfloat16", marks=needs_bfloat16)],
)
def test_the_default_model_is_encoded_with_and_looked_into_without_torch(encoder, begin, precision):
    report = json.loads(run(begin + ENCODED, json.dumps(TEXTS), precision))
    assert "softkv_attention.transformer" in report["loaded"]
    assert not {"torch", "transformers", "sentence_transformers"} & set(report["loaded"])
    expected = encoder.encode(TEXTS, "document").vectors
    # With a matrix unit, float32 is multiplied in two ways, and these processes may have chosen different ones.
    limit = 2e-3 if precision == "bfloat16" else 5e-6 if FLOAT32_BY_TILES else 1e-6
    np.testing.assert_allclose(report["vectors"], expected, rtol=0, atol=limit)
    np.testing.assert_allclose(report["weights"], 1, atol=1e-6)


def test_a_model_of_the_family_beyond_the_kernels_is_computed_by_its_definition(random_model):
    directory = str(random_model("BertConfig"))
    script = ENCODED.replace('"all-MiniLM-L6-v2"', repr(directory))
    report = json.loads(run(BLOCKED + script, json.dumps(TEXTS), "float32"))
    expected = load_encoder(directory).encode(TEXTS, "document").vectors
    np.testing.assert_allclose(report["vectors"], expected, rtol=0, atol=1e-5)


def test_a_static_model_needs_no_torch(static_model):
    directory = str(static_model())
    report = json.loads(run(BLOCKED + STATIC, directory, json.dumps(TEXTS)))
    np.testing.assert_array_equal(report, load_encoder(directory).encode(TEXTS, "document").vectors.tolist())


@pytest.mark.parametrize(
    ("file", "fields", "reason"),
    [
        ("config.json", {"model_type": "megabert"}, r"config\.json: model_type must be one of bert, .* got 'megabert'"),
        ("tokenizer.json", None, r"the tokenizer must be in .*tokenizer\.json, which is missing"),
    ],
)
def test_a_model_that_needs_torch_is_refused_with_the_reason_and_an_install_command(random_model, file, fields, reason):
    directory = random_model("BertConfig")
    if fields is None:
        (directory / file).unlink()
    else:
        (directory / file).write_text(json.dumps(json.loads((directory / file).read_text()) | fields))
    message = run(BLOCKED + OTHER, str(directory))
    assert re.search(rf"does not compute the model in .* itself: .*{reason}\. If that is as it should be, ", message)
    assert "this installation has no torch: install both with `pip install sentence-transformers torch`" in message
