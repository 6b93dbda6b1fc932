"""OpenAI's embeddings and models, as raw HTTP and by OpenAI's own client."""

from __future__ import annotations

import base64
import json

import numpy as np
import openai
import pytest
from tokenizers import Tokenizer

from softkv_service.encoding.registry import default_checkpoint
from tests.checkpoints import FEW_TOKENS, link_default_model
from tests.running import RunningService

MODEL = "all-MiniLM-L6-v2"
TEXTS = ["relational databases", "", "a cat asleep in the sun", "word " * 300]


@pytest.fixture(scope="module")
def api(service):
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as api:
        yield api


@pytest.fixture(scope="module")
def expected(client):
    return np.asarray(client.post("/v1/encode", json={"texts": TEXTS}).json()["embeddings"], dtype=np.float32)


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = Tokenizer.from_file(str(default_checkpoint() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@pytest.fixture(scope="module")
def asymmetric(tmp_path_factory):
    """A service whose model reads a query behind other words than a document."""
    prompts = json.dumps({"prompts": {"query": "question: "}})
    model = link_default_model(
        tmp_path_factory.mktemp("model"), FEW_TOKENS | {"config_sentence_transformers.json": prompts}
    )
    folder = tmp_path_factory.mktemp("asymmetric")
    (folder / "encoders.toml").write_text(f"[encoders.{MODEL}]\nmodel = {json.dumps(str(model))}\n")
    with RunningService(data_dir=folder / "data", encoders=folder / "encoders.toml") as running:
        running.wait_until_ready()
        with running.client() as client:
            yield client


def ask(client, **body):
    return client.post("/v1/embeddings", json={"model": MODEL, "input": "a"} | body)


@pytest.mark.parametrize("options", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_the_official_client_gets_the_services_vectors(api, expected, options):
    answer = api.embeddings.create(model=MODEL, input=TEXTS, **options)
    vectors = [item.embedding for item in answer.data]
    if options.get("encoding_format") == "base64":
        vectors = [np.frombuffer(base64.b64decode(vector), dtype="<f4") for vector in vectors]
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)
    assert [item.index for item in answer.data] == [0, 1, 2, 3]
    assert (answer.model, answer.object, answer.data[0].object) == (MODEL, "list", "embedding")
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 4 + 2 + 8 + 256
    assert answer.truncated == [3]


def test_token_arrays_are_the_texts_they_stand_for(api, expected, tokenizer):
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    many = api.embeddings.create(model=MODEL, input=ids)
    np.testing.assert_allclose([item.embedding for item in many.data], expected, rtol=0, atol=1e-6)
    one = api.embeddings.create(model=MODEL, input=ids[2])
    np.testing.assert_allclose(one.data[0].embedding, expected[2], rtol=0, atol=1e-6)


def test_fewer_dimensions_are_the_first_ones_at_length_one(api, expected):
    answer = api.embeddings.create(model=MODEL, input=TEXTS, dimensions=100)
    vectors = np.asarray([item.embedding for item in answer.data])
    assert vectors.shape == (4, 100)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    cut = expected[:, :100] / np.linalg.norm(expected[:, :100], axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, cut, rtol=0, atol=1e-6)


def test_other_providers_names_mean_the_same(client, asymmetric):
    """`input_type` is `purpose`, `output_dimension` is `dimensions`; Mistral's client needs an `id`."""
    answer = ask(client, output_dimension=100, output_dtype="float", embedding_type="float", input_type=None).json()
    assert answer["id"]
    assert answer["data"] == ask(client, dimensions=100).json()["data"]
    by_kind = {kind: ask(asymmetric, purpose=kind).json()["data"] for kind in ("query", "document")}
    assert by_kind["query"] != by_kind["document"]
    for name, kind in [
        ("query", "query"),
        ("search_query", "query"),
        ("document", "document"),
        ("passage", "document"),
    ]:
        assert ask(asymmetric, input_type=name).json()["data"] == by_kind[kind]
    for task, kind in (("retrieval.query", "query"), ("retrieval.passage", "document"), ("text-matching", "document")):
        assert ask(asymmetric, task=task).json()["data"] == by_kind[kind]
    long = ask(asymmetric, normalized=True).json()["data"][0]["embedding"]
    assert np.linalg.norm(long) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"truncation": True}, 200),
        ({"truncation": None}, 200),
        ({"truncate": "END"}, 200),
        ({"truncation": False}, 400),
        ({"truncate": False}, 400),
        ({"truncate": "NONE"}, 400),
    ],
)
def test_a_long_text_is_cut_or_refused_as_the_request_says(client, options, status):
    answer = ask(client, input=["a cat", "word " * 600], **options)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["truncated"] == [1]
    else:
        assert answer.json()["error"]["param"] == "input.1"
        assert ask(client, input=["a cat"], **options).status_code == 200


def test_unknown_fields_are_tolerated(client):
    assert ask(client, user="u", priority="flex", anything={"a": 1}).status_code == 200
    assert ask(client, encoding_format=None, dimensions=None).status_code == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": ["a", 5]}, "input"),
        ({"input": [[]]}, "input"),
        ({"model": None}, "model"),
        ({"dimensions": 385}, "dimensions"),
        ({"input": [101, 30_522, 102]}, "input"),
        ({"input": [101, 10**30, 102]}, "input"),
        ({"input": ["a", [7592]]}, "input.1"),
        ({"input": [101, 102, 101, 102, 102]}, None),
        ({"input": [101, 7592]}, "input"),
        ({"output_dimension": 385}, "output_dimension"),
        ({"output_dimension": 64, "dimensions": 32}, "output_dimension"),
        ({"input_type": "clustering"}, "input_type"),
        ({"input_type": "search_query", "purpose": "document"}, "input_type"),
        ({"output_dtype": "int8"}, "output_dtype"),
        ({"embedding_type": "ubinary"}, "embedding_type"),
        ({"normalized": False}, "normalized"),
        ({"task": "classification"}, "task"),
        ({"task": "retrieval.query", "purpose": "document"}, "task"),
        ({"task": "retrieval.query", "input_type": "passage"}, "task"),
        ({"late_chunking": True}, "late_chunking"),
        ({"truncate": "START"}, "truncate"),
    ],
)
def test_wrong_content_is_a_400_in_openais_shape(client, body, param):
    answer = ask(client, **body)
    if param is None:  # special tokens inside a text are a text too
        assert answer.status_code == 200
        return
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, "invalid_content")


def test_the_tokens_of_another_model_are_refused_with_advice(client):
    error = ask(client, input=[[15339, 1917]]).json()["error"]  # "hello world" to OpenAI's own models
    assert "check_embedding_ctx_length" in error["message"]
    assert "another's" in error["message"]


def test_a_body_that_is_not_json_is_a_400_and_another_media_type_a_415(client):
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/embeddings", content=b'{"input": NaN}', headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_json")
    answer = client.post("/v1/embeddings", content=b"a=b")
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


def test_the_official_client_raises_its_own_errors(api):
    with pytest.raises(openai.NotFoundError) as missing:
        api.embeddings.create(model="text-embedding-3-small", input="a")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        api.models.retrieve("text-embedding-3-small")
    with pytest.raises(openai.BadRequestError) as wrong:
        api.embeddings.create(model=MODEL, input=TEXTS, dimensions=1000)
    assert wrong.value.param == "dimensions"


def test_the_models_are_listed(api):
    (model,) = api.models.list().data
    assert (model.id, model.object, model.owned_by) == (MODEL, "model", "softkv")
    assert model.created > 1_600_000_000
    assert (model.state, model.dimension, model.max_tokens, model.precision) == ("ready", 384, 256, "int16")
    assert (model.similarity, model.temperature, model.temperature_source) == ("cosine", 0.05, "measured")
    assert (model.batched, model.notes) == (True, [])
    assert api.models.retrieve(MODEL) == api.models.retrieve(f"sentence-transformers/{MODEL}") == model


@pytest.fixture(scope="module")
def keyed(service_of):
    return service_of(api_keys=("w",))


@pytest.mark.parametrize("path", ["chat/completions", "completions", "responses"])
def test_calls_that_write_texts_are_refused_by_name(client, path):
    answer = client.post(f"/v1/{path}", json={"model": MODEL})
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        f"there is nothing at /v1/{path}: softkv writes no texts; of OpenAI's calls it has /v1/embeddings",
    )


def test_an_invalid_key_has_the_error_form_of_openai(keyed):
    with openai.OpenAI(base_url=f"{keyed.url}/v1", api_key="wrong", max_retries=0) as api:
        with pytest.raises(openai.AuthenticationError) as refused:
            api.models.list()
        assert refused.value.code == "invalid_api_key"
        assert refused.value.response.headers["www-authenticate"] == "Bearer"
        with pytest.raises(openai.AuthenticationError):
            api.embeddings.create(model=MODEL, input="a")
    with openai.OpenAI(base_url=f"{keyed.url}/v1", api_key="w", max_retries=0) as api:
        assert api.models.list().data == []
        with pytest.raises(openai.NotFoundError, match="ENCODER=none"):
            api.embeddings.create(model=MODEL, input="a")
