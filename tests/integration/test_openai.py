"""LangChain's and LlamaIndex's classes for OpenAI's embeddings, pointed at this service."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-integrations" / "bin" / "python"
MODEL = "all-MiniLM-L6-v2"
TEXTS = ["relational databases", "a cat asleep in the sun", "word " * 300]


@pytest.fixture(scope="module")
def wanted(client):
    return np.asarray(client.post("/v1/encode", json={"texts": TEXTS}).json()["embeddings"])


def embedded(script, service, **asked):
    """Run a script of this folder on texts, in the environment of other libraries; return its output."""
    if not PYTHON.exists():
        pytest.skip("there is no .venv-integrations: make test-long makes it")
    asked = {"url": service.url, "model": MODEL, "texts": TEXTS} | asked
    done = subprocess.run(
        # Isolated: else the script's own folder is searched first, where files are called as those libraries are.
        [PYTHON, "-I", Path(__file__).with_name(f"{script}.py")],
        input=json.dumps(asked),
        env={name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "LANGCHAIN_"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def close(made, expected):
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-6)


def test_langchain(service, wanted):
    made = embedded("langchain", service, dimensions=None)
    close(made["documents"], wanted)
    close(made["query"], wanted[1])
    close(made["later"], wanted)


def test_langchain_with_fewer_dimensions(service, wanted):
    cut = wanted[:, :64] / np.linalg.norm(wanted[:, :64], axis=1, keepdims=True)
    made = embedded("langchain", service, dimensions=64)
    close(made["documents"], cut)
    close(made["query"], cut[1])


def test_llama_index(service, wanted):
    made = embedded("llama_index", service)
    close(made["documents"], wanted)
    close(made["query"], wanted[1])
    close(made["later"], wanted)
