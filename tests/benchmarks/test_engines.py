"""Engines of the benchmark `encoder` are given the same, told apart by what they compute, and no time is judged."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from benchmarks import encoder
from benchmarks.engines import contest, products, starts, tables, texts
from benchmarks.engines.contest import ENGINES, OWN, PEER, chosen, made, timed
from benchmarks.engines.engine import Engine, Refused, Setting, require
from benchmarks.engines.fidelity import Fidelity, Grade, compared, definition
from benchmarks.engines.reading import BATCH_TOKENS, in_batches, padded, parted, tokenizer
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


def test_batches_have_the_longest_first_and_vectors_the_order_of_their_texts(model):
    sizes = []

    def run(ids):
        lengths = [len(identity) for identity in ids]
        assert lengths == sorted(lengths, reverse=True)
        sizes.append(len(ids))
        return np.asarray(lengths, np.float32)[:, None]

    sentences = ["a " * (1 + position * 7 % 50) for position in range(50)]
    vectors = in_batches(model, run)(sentences)
    assert sizes[0] == BATCH_TOKENS // 52
    assert sum(sizes) == 50
    assert parted([BATCH_TOKENS + 1, 1, BATCH_TOKENS // 2, 3]) == [[0], [2, 3], [1]]
    assert vectors[:, 0].tolist() == [2 + len(text.split()) for text in sentences]


def test_padded_tokens_have_a_mask():
    tokens, mask = padded([[5, 6, 7], [8]])
    assert tokens.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


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


def test_agreement_is_the_share_of_the_ten_nearest():
    written = np.eye(30)
    expected, output = np.zeros((2, 30)), np.zeros((2, 30))
    expected[:, :10] = output[0, :10] = output[1, 5:15] = 1 / np.sqrt(10)
    assert compared((output, written), (expected, written)).agreement == pytest.approx(0.75)


def test_engines_are_chosen_by_parts_of_their_names():
    assert chosen(["openvino", " softkv Compiled Float32"]) == [
        "softkv Compiled float32",
        "OpenVINO float32",
        "OpenVINO bfloat16",
    ]
    assert chosen(ENGINES) == list(ENGINES)
    with pytest.raises(ValueError, match="no engine 'llama'; there are: softkv Compiled float32,"):
        chosen(["llama"])


def test_an_unavailable_engine_is_left_out_with_the_reason(monkeypatch, tmp_path):
    with pytest.raises(Refused, match=r"nobody_has_this not installed: pip install -e '\.\[bench\]'"):
        require("numpy", "nobody_has_this")

    def refuses(setting):
        raise Refused("not on this processor")

    engine = Engine(lambda some: np.zeros((len(some), 1), np.float32), "")
    monkeypatch.setattr(contest, "ENGINES", {"one": lambda setting: engine, "two": refuses})
    ready, left_out = made(["one", "two"], Setting(tmp_path, tmp_path, 2))
    assert ready == {"one": engine}
    assert left_out == {"two": "not on this processor"}


def test_engines_take_turns_and_encode_all_texts_of_a_column_as_it_says(monkeypatch):
    monkeypatch.setattr(contest, "REST", 0)
    monkeypatch.setattr(contest, "WARM_UP", 0)
    calls = []

    def engine(name):
        return Engine(lambda some: calls.append((name, tuple(some))), "")

    column = texts.Column("column", ("a", "b", "c", "d"), 2)
    rates = timed({name: engine(name) for name in "xy"}, [column], 3)
    assert {name: len(speeds) for name, speeds in rates["column"].items()} == {"x": 3, "y": 3}
    assert min(min(speeds) for speeds in rates["column"].values()) > 0
    turns = [name for name, batch in calls if batch == ("a", "b")]
    assert turns == ["x", "y", "y", "x"] * 2
    assert [batch for name, batch in calls if name == "x"] == [("a", "b"), ("c", "d")] * 4


RATES = {
    "one query": {"softkv a": [30.0, 10, 20], "softkv b": [50], PEER: [4, 5, 6], "rough": [100], "half": [40]},
    "64 queries": {"softkv a": [20], "softkv b": [50], PEER: [10], "rough": [100], "half": [5]},
}
FIDELITIES = {"softkv a": EXACT, "softkv b": HALF, PEER: EXACT, "rough": POOR, "half": HALF}


def test_ratios_are_of_medians_and_are_left_out_where_they_say_nothing():
    engines = {name: Engine(lambda some: np.empty(0), "2 threads") for name in FIDELITIES}
    assert rows(tables.speed(engines, RATES, ratios=True))[0] == [
        "softkv a",
        "20 (30) 4.00×",
        "20 (20) 2.00×",
        "2 threads",
    ]
    assert rows(tables.speed(engines, RATES, ratios=False))[0][1:3] == ["20 (30)", "20 (20)"]
    alone = {name: {"softkv a": rate["softkv a"]} for name, rate in RATES.items()}
    assert rows(tables.speed({"softkv a": engines["softkv a"]}, alone, ratios=True))[0][1] == "20 (30)"


def test_softkv_is_set_against_the_fastest_that_is_as_faithful():
    assert rows(tables.against_best(RATES, FIDELITIES)) == [
        ["softkv a", f"4.00× {PEER}", f"2.00× {PEER}"],
        ["softkv b", "1.25× half", f"5.00× {PEER}"],
    ]
    own_fidelities = {name: fidelity for name, fidelity in FIDELITIES.items() if name.startswith(OWN)}
    assert rows(tables.against_best(RATES, own_fidelities))[0] == ["softkv a", "nobody", "nobody"]


def test_a_machine_that_changed_by_more_than_a_fifth_is_not_steady():
    assert products.steady({"a": 100, "b": 10}, {"a": 119, "b": 8.4})
    assert not products.steady({"a": 100, "b": 10}, {"a": 121, "b": 10})
    assert not products.steady({"a": 100, "b": 10}, {"a": 100, "b": 8.3})
    assert min(products.rates().values()) > 0


def test_a_process_without_an_embedding_has_no_time(tmp_path):
    with pytest.raises(RuntimeError, match="onnxruntime has no embedding, but ''"):
        starts.first("onnxruntime", tmp_path, tmp_path / "nothing.onnx", 1)


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


def test_threads_are_counted_from_one():
    assert encoder.counts("1,2") == [1, 2]
    for wrong in ("0", "1,x", ""):
        with pytest.raises(ValueError, match=r"at least 1|invalid literal"):
            encoder.counts(wrong)
