"""Methods of a client without a collection, in each of the three ways."""

from __future__ import annotations

import numpy as np
import pytest

import softkv
from softkv.sending import http_options
from tests.clients.python.scripted import Said, Scripted


def test_info_describes_the_service(softkv_client, local_client):
    info = softkv_client.info()
    assert (info.encoder, info.limits["queries"]) == ("all-MiniLM-L6-v2", 64)
    assert softkv_client.access() == "write"
    assert softkv_client.alive()
    assert softkv_client.ready().status in ("ready", "loading")
    if softkv_client is local_client:
        with pytest.raises(softkv.NotFound, match="a service inside a program has no metrics"):
            softkv_client.metrics()
    else:
        assert "softkv" in softkv_client.metrics()


STATES = {
    status: Said(
        200 if status == "ready" else 503, {"status": status, "loading": [], "failed": [], "kernels": "native"}
    )
    for status in ("draining", "ready")
}


def test_a_service_that_stops_is_waited_for_until_one_is_ready():
    with Scripted(STATES["draining"], STATES["draining"], STATES["ready"]).running() as scripted:
        assert softkv.Client(scripted.url).wait_until_ready()
    with (
        Scripted(STATES["draining"]).running() as scripted,
        pytest.raises(softkv.TimedOut, match=r"the service is stopping: wait longer with seconds="),
    ):
        softkv.Client(scripted.url).wait_until_ready(0)


def test_encode_returns_an_array_with_counts_for_each_text(softkv_client):
    encoded = softkv_client.encode(["a cat", "word " * 400])
    assert (encoded.shape, encoded.dtype, encoded.truncated) == ((2, 384), np.float32, [False, True])
    assert encoded[0].token_counts is None
    assert softkv_client.encode([]).shape == (0, 384)


def test_a_trace_is_of_arrays(softkv_client):
    trace = softkv_client.trace("cat", "pets", layers=[-1], heads=[0, 1], include=["changes", "query"])
    assert trace.attention.shape == (1, 2, 5, 5)
    assert trace.query.shape[:3] == (1, 2, 5)
    assert (trace.changes[0]["layer"].shape, trace.logits) == ((5,), None)


def test_embeddings_as_openai_has_them(softkv_client):
    result = softkv_client.embed(["cat", "dog"], "all-MiniLM-L6-v2", dimensions=2)
    assert result.vectors.shape == (2, 2)
    assert result.vectors[0] == pytest.approx([0.5894, 0.8078], abs=1e-3)
    assert (result.prompt_tokens, result.truncated) == (6, [])
    with pytest.raises(softkv.Invalid) as refused:
        softkv_client.embed("cat", "all-MiniLM-L6-v2", dimensions=1000)
    assert refused.value.errors[0].pointer == "/dimensions"


def test_attention_on_arrays(softkv_client):
    query, key, value = np.array([[1.0, 0.0]]), np.eye(2), np.array([[10.0], [20.0]])
    masked = softkv_client.attend(query, key, value, bias=[[0, 1]], mask=[[True, False]], intermediates=True)
    assert set(masked.intermediates) >= {"similarities", "weights"}
    assert masked.weights.tolist() == [[1.0, 0.0]]
    assert not np.isfinite(masked.logits[0, 1])
    output = softkv_client.attend(query, key, value, include=[])
    assert (output.weights, output.logits, output.output.shape) == (None, None, (1, 1))
    bilinear = softkv_client.attend(query, key, value, similarity="bilinear", parameters={"W": np.eye(2)})
    assert bilinear.logits.tolist() == [[1.0, 0.0]]


def test_rows_that_come_with_the_question_are_compared(softkv_client):
    rows = [{"key": "cat", "value": "meows"}, softkv.Document("d", "dog", ["barks"])]
    result = softkv_client.compare("cat", rows, top_k=1)
    assert result.top_k.matches[0].value == result.attention[0].value == "meows"
    assert result.attention.request_id


def test_certificates_are_read_but_for_this_machine_s_own_addresses():
    read = {
        url: http_options(url, None, 1)["verify"] for url in ("http://127.0.0.1:9", "http://books", "https://books")
    }
    assert read == {"http://127.0.0.1:9": False, "http://books": True, "https://books": True}
    assert http_options("https://localhost", None, 1)["verify"] is True
