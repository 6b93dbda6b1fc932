"""Clients and classes for OpenAI's embeddings at a service with two encoders.

They are OpenAI's own, those of LangChain and LlamaIndex, and the clients of Mistral and Voyage, whose call is alike.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import openai
import pytest

from tests.checkpoints import SMALL, save_two_encoders
from tests.running import RunningService

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-integrations" / "bin" / "python"
MODEL = "all-MiniLM-L6-v2"
TEXTS = ["relational databases", "a cat asleep in the sun", "word " * 300]

each_model = pytest.mark.parametrize("model", [MODEL, SMALL])


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A service with the default model and a small one."""
    encoders = save_two_encoders(tmp_path_factory.mktemp("models"))
    with RunningService(data_dir=tmp_path_factory.mktemp("data"), encoders=encoders) as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(scope="module")
def expected(two):
    """The service's vectors of TEXTS by each model."""
    with two.client() as client:
        return {
            model: np.asarray(client.post("/v1/encode", json={"texts": TEXTS, "model": model}).json()["embeddings"])
            for model in (MODEL, SMALL)
        }


def embedded(script, service, calls):
    """Run a script of this folder on texts, in the environment of other libraries; return its answer to each call."""
    if not PYTHON.exists():
        pytest.skip("there is no .venv-integrations: make test-alone makes it")
    done = subprocess.run(
        # Isolated: else the script's own folder is searched first, where files are called as those libraries are.
        [PYTHON, "-I", Path(__file__).with_name(f"{script}.py")],
        input=json.dumps({"url": service.url, "texts": TEXTS, "calls": calls}),
        env={name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "LANGCHAIN_"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def close(made, vectors):
    np.testing.assert_allclose(made, vectors, rtol=0, atol=1e-6)


@pytest.mark.end_to_end
@each_model
def test_the_official_client(two, expected, model):
    with openai.OpenAI(base_url=f"{two.url}/v1", api_key="none", max_retries=0) as api:
        answer = api.embeddings.create(model=model, input=TEXTS)
        assert answer.model == model
        close([item.embedding for item in answer.data], expected[model])
        assert {listed.id for listed in api.models.list()} == {MODEL, SMALL}
        assert api.models.retrieve(model).state == "ready"
        # An addition of softkv's: OpenAI's call does not say what a text is for.
        asked = api.embeddings.create(model=model, input=TEXTS[1], extra_body={"purpose": "query"})
        assert np.allclose(asked.data[0].embedding, expected[model][1], atol=1e-3) == (model == MODEL)


@pytest.mark.parametrize(
    ("script", "error", "refused"),
    [
        ("langchain", "NotFoundError", []),
        ("llama_index", "NotFoundError", []),
        ("mistral", "SDKError", ["/output_dtype: wanted 'float'"]),
        ("voyage", "APIError", ["/output_dtype: wanted 'float'", "would cut this text, and the request forbids it"]),
    ],
)
def test_another_class_or_client(two, expected, script, error, refused):
    calls = [(MODEL, None), (SMALL, None), (SMALL, 16), ("nothing", None)]
    *answers, refusal = embedded(script, two, calls)
    for (model, dimensions), made in zip(calls, answers, strict=False):
        vectors = expected[model][:, :dimensions]
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        close(made["documents"], vectors)
        close(made["query"], vectors[1])
        close(made["later"], vectors)
        assert all(words in made["refusal"].replace("\\'", "'") for words in refused)
    assert refusal["error"] == error
    assert f"{MODEL}, {SMALL}" in refusal["message"]
    assert "'nothing'" in refusal["message"].replace("\\'", "'")
