"""The sentence encoder beside other engines on a CPU from Python: texts a second, fidelity, first embedding.

    python -m benchmarks.encoder [--engines softkv,openvino] [--rounds 7] [--texts 500] [--starts 5]
                                 [--threads 1,2]

All engines have the same model, texts and threads, and one process calls them in turns: one query of some ten tokens
(another one each call), 64 of them, one passage of some 145 tokens, 64. Tokenising counts. sentence-transformers has
its defaults, with batches of 32; softkv packs texts; the others get texts of similar length in their best batch size.
ONNX Runtime has torch's export, fused by its optimiser, OpenVINO the same before fusion, CTranslate2 the output of its
own converter; the exports include the pooling. int8 is dynamic. The error of an engine is measured against the
definition in float64.

Each number of threads in `--threads` has its own process, in which every engine and the tokeniser use that number: by
default one, then all cores. With one thread, the time is that of the processor.

`--engines` takes parts of names. An engine that is not installed (`pip install -e '.[bench]'`) or refuses this
processor is left out with the reason. If the machine multiplies matrices by a fifth faster or slower after the run than
before, other work disturbed it, and there are no ratios.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.engines import contest, fidelity, products, starts, tables, texts
from benchmarks.engines.engine import Engine, Setting
from benchmarks.engines.onnxruntime import FUSED
from benchmarks.engines.reading import tokenizer
from benchmarks.results import machine
from service.encoding import default_checkpoint

STARTED = {"softkv": "softkv", "sentence-transformers": "sentence-transformers", "ONNX Runtime float32": "onnxruntime"}
"""The engine to restart for each beginning of an engine's name."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", default=",".join(contest.ENGINES), help="parts of names, with commas between them")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--texts", type=int, default=500, help="to compare vectors of")
    parser.add_argument("--starts", type=int, default=5, help="of a process, to its first embedding; 0 for none")
    parser.add_argument("--threads", type=counts, help="of each engine, with commas between them")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    (threads, *further_threads) = options.threads or dict.fromkeys((1, cores))
    if further_threads:
        sys.exit(max(in_a_process(sys.argv[1:], count) for count in (threads, *further_threads)))
    try:
        names = contest.chosen(options.engines.split(","))
    except ValueError as error:
        parser.error(str(error))
    console = Console(width=220, markup=False, highlight=False)
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(default_checkpoint(), Path(folder), threads)
        console.print(f"{machine()}; {threads} threads each")
        engines, left_out = contest.made(names, setting)
        moments = {"before": products.rates()}
        columns = texts.columns()
        clock = time.process_time if threads == 1 else time.perf_counter
        rates = contest.timed(engines, columns, options.rounds, clock)
        moments["after"] = products.rates()
        steady = products.steady(moments["before"], moments["after"])
        fidelities = distances(engines, setting.model, options.texts)
        for column in columns:
            console.print(described(column, setting.model))
        console.print(tables.speed(engines, rates, ratios=steady))
        if steady:
            console.print(tables.against_best(rates, fidelities))
        console.print(tables.distances(fidelities, options.texts, len(texts.questions())))
        again = [name for begins, name in STARTED.items() if any(engine.startswith(begins) for engine in engines)]
        if options.starts and again:
            moments["before starts"] = products.rates()
            result = starts.seconds_to_first(again, setting.model, setting.folder / FUSED, threads, options.starts)
            moments["after starts"] = products.rates()
            unmoved = products.steady(moments["before starts"], moments["after starts"])
            console.print(tables.starts(result, ratios=unmoved))
    console.print(tables.products(moments))
    console.print("no ratios stand where a rate after is by more than a fifth another than before")
    for name, reason in left_out.items():
        console.print(f"left out: {name}: {reason}")


def counts(text: str) -> list[int]:
    """Numbers of threads, such as `1,2`.

    Raises:
        ValueError: one is not a whole number above 0.
    """
    numbers = [int(number) for number in text.split(",")]
    if min(numbers) < 1:
        raise ValueError("threads are at least 1")
    return numbers


def in_a_process(arguments: Sequence[str], threads: int) -> int:
    """Measure with this number of threads, the tokeniser's too; return the process's exit status."""
    command = [sys.executable, "-m", "benchmarks.encoder", *arguments, "--threads", str(threads)]
    return subprocess.run(command, env=os.environ | {"RAYON_NUM_THREADS": str(threads)}, check=False).returncode


def described(column: texts.Column, model: Path) -> str:
    """Describe the token counts of its texts."""
    lengths = [len(encoding.ids) for encoding in tokenizer(model).encode_batch(list(column.texts))]
    return f"{column.name}: {sum(lengths) / len(lengths):.1f} tokens, from {min(lengths)} to {max(lengths)}"


def distances(engines: Mapping[str, Engine], model: Path, count: int) -> dict[str, fidelity.Fidelity]:
    """Return the distance of each engine from the definition, over all questions and `count` texts."""
    question_texts, written = texts.questions(), texts.mixture(count)
    expected = fidelity.definition(model, question_texts), fidelity.definition(model, written)
    return {
        name: fidelity.compared((engine.encode(question_texts), engine.encode(written)), expected)
        for name, engine in engines.items()
    }


if __name__ == "__main__":
    main()
