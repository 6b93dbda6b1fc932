"""Engines of the benchmark `encoder` are given the same, told apart by what they compute, and no time is judged."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks.engines import tables, texts
from benchmarks.engines.contest import ENGINES, OWN, PEER
from benchmarks.engines.engine import Refused, Setting
from benchmarks.engines.fidelity import Fidelity, Grade, compared, definition
from benchmarks.engines.reading import tokenizer
from service.encoding import default_checkpoint

ROOT = Path(__file__).parents[2]
EXACT, HALF, POOR = Fidelity(1, 1, 1e-7, 1), Fidelity(0.9999, 1, 1e-3, 1), Fidelity(0.97, 0.99, 0.1, 0.9)


@pytest.fixture(scope="module")
def model():
    return default_checkpoint()


def rows(table):
    console = Console(width=300, record=True, file=StringIO())
    console.print(table)
    lines = [line for line in console.export_text().splitlines() if "|" in line]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


def spread(angle: float, count: int = 40):
    """Return unit vectors, and the same vectors turned by an angle, each in a different direction."""
    straight = np.eye(2 * count)[:count]
    return straight, np.cos(angle) * straight + np.sin(angle) * np.eye(2 * count)[count:]


def test_texts_are_reproducible_and_have_the_declared_lengths(model):
    library = tokenizer(model)
    for column, tokens in zip(texts.columns(), (10, 10, 145, 145), strict=True):
        lengths = [len(encoding.ids) for encoding in library.encode_batch(list(column.texts))]
        assert np.mean(lengths) == pytest.approx(tokens, rel=0.15)
        assert len(set(column.texts)) == len(column.texts)
        assert len(column.texts) % column.at_a_time == 0
    lengths = [len(encoding.ids) for encoding in library.encode_batch(texts.mixture(500))]
    assert len(set(texts.mixture(500))) == 500
    assert min(lengths) < 20
    assert max(lengths) == 256
    before = texts.mixture(20)
    texts.pieces.cache_clear()
    assert texts.mixture(20) == before


@pytest.mark.parametrize(
    ("angle", "grade"), [(0, Grade.FLOAT32), (5e-6, Grade.FLOAT32), (2e-5, Grade.BFLOAT16), (0.05, Grade.LESS)]
)
def test_distance_is_that_of_the_worst_text(angle, grade):
    straight, turned = spread(angle)
    turned[1:] = straight[1:]
    result = compared((turned[:10], turned[10:]), (straight[:10], straight[10:]))
    assert result.least == pytest.approx(np.cos(angle), abs=1e-12)
    assert result.mean == pytest.approx((39 + np.cos(angle)) / 40, abs=1e-12)
    assert result.component == pytest.approx(np.sin(angle), abs=1e-12)
    assert result.grade is grade


RATES = {
    "one query": {"softkv a": [30.0, 10, 20], "softkv b": [50], PEER: [4, 5, 6], "rough": [100], "half": [40]},
    "64 queries": {"softkv a": [20], "softkv b": [50], PEER: [10], "rough": [100], "half": [5]},
}
FIDELITIES = {"softkv a": EXACT, "softkv b": HALF, PEER: EXACT, "rough": POOR, "half": HALF}


def test_softkv_is_set_against_the_fastest_that_is_as_faithful():
    assert rows(tables.against_best(RATES, FIDELITIES)) == [
        ["softkv a", f"4.00× {PEER}", f"2.00× {PEER}"],
        ["softkv b", "1.25× half", f"5.00× {PEER}"],
    ]
    own_fidelities = {name: fidelity for name, fidelity in FIDELITIES.items() if name.startswith(OWN)}
    assert rows(tables.against_best(RATES, own_fidelities))[0] == ["softkv a", "nobody", "nobody"]


@pytest.fixture(scope="module")
def setting(model, tmp_path_factory):
    return Setting(model, tmp_path_factory.mktemp("engines"), 2)


@pytest.fixture(scope="module")
def defined(model):
    question_texts, written = texts.questions()[:20], texts.mixture(13)
    return (question_texts, written), (definition(model, question_texts), definition(model, written))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_that_can_be_had_computes_the_same_model(name, setting, defined):
    (question_texts, written), expected = defined
    try:
        engine = ENGINES[name](setting)
    except Refused as reason:
        pytest.skip(str(reason))
    actual = engine.encode(question_texts), engine.encode(written)
    assert actual[0].dtype == np.float32
    fidelity = compared(actual, expected)
    assert fidelity.grade >= {"float32": Grade.FLOAT32, "bfloat16": Grade.BFLOAT16}.get(name.split()[-1], Grade.LESS)
    assert fidelity.least > 0.95


@pytest.mark.thorough
def test_the_benchmark_prints_its_tables():
    command = [sys.executable, "-m", "benchmarks.encoder", "--engines", "Compiled float32"]
    command += ["--rounds", "1", "--texts", "24", "--starts", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for title in ("texts a second", "distance to the definition", "softkv is sooner", "products of matrices"):
        assert title in done.stdout
    assert done.stdout.count("softkv Compiled float32 ") >= 2
