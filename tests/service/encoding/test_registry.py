from __future__ import annotations

import json

import numpy as np
import pytest

from softkv_attention.kernels.native.kinds import KINDS
from softkv_attention.kernels.native.library import Library, load
from softkv_attention.kernels.transformer import Encoder, dispatch
from softkv_service.encoding.errors import ModelUnusable
from softkv_service.encoding.registry import default_precision, encoder_name, load_encoder
from softkv_service.encoding.texts import PURPOSES
from tests.checkpoints import assert_unusable


def replace(file, content: bytes):
    file.unlink()
    file.write_bytes(content)


def test_one_model_has_one_name(model_copy, monkeypatch):
    assert encoder_name("all-MiniLM-L6-v2") == "all-MiniLM-L6-v2"
    assert encoder_name("sentence-transformers/all-MiniLM-L6-v2") == "all-MiniLM-L6-v2"
    assert encoder_name("BAAI/bge-small-en-v1.5") == "BAAI/bge-small-en-v1.5"
    monkeypatch.chdir(model_copy.parent)
    assert encoder_name("./model") == encoder_name("model") == str(model_copy)


@pytest.mark.parametrize("name", ["no-such-model", "nobody/no-such-model", "a/b/c", "not a name!", ""])
def test_a_model_that_is_not_here_is_refused_offline(name, monkeypatch):
    def refuse(*arguments, **named):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(ModelUnusable, match="on this machine") as refusal:
        load_encoder(name)
    assert repr(name) in str(refusal.value)
    assert "all-MiniLM-L6-v2" in str(refusal.value)


def test_a_directory_without_a_model_is_refused(tmp_path):
    assert_unusable(tmp_path, r"no modules\.json")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b"half a file"),
        ("config.json", b"{"),
        ("modules.json", b"[]"),
        ("modules.json", json.dumps([{"idx": 0, "name": "0", "path": "", "type": "no.such.Module"}]).encode()),
    ],
)
def test_a_broken_model_is_refused_by_name(model_copy, file, content):
    replace(model_copy / file, content)
    assert_unusable(model_copy, str(model_copy))


def test_no_threads_are_refused():
    assert_unusable("all-MiniLM-L6-v2", "threads is 0", threads=0)


@pytest.mark.parametrize("name", ["document", "passage"])
def test_the_prompt_of_a_purpose_is_read_and_counted(model_copy, encoder, name):
    prompts = {"query": "search for: ", name: "read: "}
    replace(model_copy / "config_sentence_transformers.json", json.dumps({"prompts": prompts}).encode())
    prompted = load_encoder(str(model_copy))
    for purpose in PURPOSES:
        encoded = prompted.encode(["a red bicycle"], purpose)
        expected = encoder.encode([prompts.get(purpose, "") + "a red bicycle"], purpose)
        np.testing.assert_array_equal(encoded.vectors, expected.vectors)
        np.testing.assert_array_equal(encoded.token_counts, expected.token_counts)


@pytest.mark.parametrize(("kind", "precision"), [("avx2", "int16"), ("amx", "float32"), ("arm", "float32")])
def test_the_default_precision_is_the_fastest_that_is_nearly_exact(monkeypatch, kind, precision):
    library = load()
    if library is None:
        pytest.skip("the library of kernels is not built")
    of_kind = Library(library._loaded, next(one for one in KINDS if one.name == kind))
    monkeypatch.setattr(Library, "function", lambda *_: None)  # which this processor may lack
    monkeypatch.setattr(dispatch, "native", lambda: Encoder(of_kind))
    assert default_precision() == precision
