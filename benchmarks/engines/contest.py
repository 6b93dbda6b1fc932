"""Every engine by its name; those that can be had, made; and all of them timed in turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmarks.engines import ctranslate2, onnxruntime, openvino, sentence_transformers, softkv
from benchmarks.engines.engine import Engine, Refused, Setting
from benchmarks.engines.texts import Column

REST, WARM_UP = 0.05, 0.03
"""Seconds before each measurement: for threads of the one before that still spin, and for caches and clocks."""
OWN = "softkv"
PEER = "sentence-transformers float32"
ENGINES: Mapping[str, Callable[[Setting], Engine]] = {
    "softkv Compiled float32": softkv.compiled("float32"),
    "softkv Compiled int16": softkv.compiled("int16"),
    "softkv Compiled bfloat16": softkv.compiled("bfloat16"),
    PEER: sentence_transformers.library("float32"),
    "sentence-transformers bfloat16": sentence_transformers.library("bfloat16"),
    "ONNX Runtime float32": onnxruntime.session("float32"),
    "ONNX Runtime int8": onnxruntime.session("int8"),
    "OpenVINO float32": openvino.compiled("float32"),
    "OpenVINO bfloat16": openvino.compiled("bfloat16"),
    "CTranslate2 float32": ctranslate2.encoder("float32"),
    "CTranslate2 bfloat16": ctranslate2.encoder("bfloat16"),
    "CTranslate2 int8": ctranslate2.encoder("int8_float32"),
}

Rates = Mapping[str, Mapping[str, Sequence[float]]]
"""Texts a second, round by round: of each column, of each engine."""


def chosen(words: Iterable[str]) -> list[str]:
    """The engines whose names have one of these in them, in any case, such as `openvino` or `compiled float32`.

    Raises:
        ValueError: none has.
    """
    names = set()
    for word in words:
        fitting = {name for name in ENGINES if word.strip().lower() in name.lower()}
        if not fitting:
            raise ValueError(f"there is no engine {word!r}; there are: {', '.join(ENGINES)}")
        names |= fitting
    return [name for name in ENGINES if name in names]


def made(names: Sequence[str], setting: Setting) -> tuple[dict[str, Engine], dict[str, str]]:
    """Return the available engines, ready to use; and the reason for each unavailable one."""
    engines, left_out = {}, {}
    for name in names:
        began = time.perf_counter()
        try:
            engines[name] = ENGINES[name](setting)
        except Refused as error:
            left_out[name] = str(error)
            continue
        print(f"{name} is ready after {time.perf_counter() - began:.1f} s", file=sys.stderr)
    return engines, left_out


def timed(engines: Mapping[str, Engine], columns: Sequence[Column], rounds: int, clock: Callable[[], float]) -> Rates:
    """Time all columns of all engines in turns, in `rounds` rounds after a warm-up, by a clock that tells seconds."""
    rates: dict[str, dict[str, list[float]]] = {column.name: {name: [] for name in engines} for column in columns}
    names = list(engines)
    for turn in range(rounds + 1):
        for column in columns:
            for name in names:
                rate = texts_a_second(engines[name], column, clock)
                if turn:
                    rates[column.name][name].append(rate)
        names = names[1:] + names[:1]  # no engine always runs after the same one
        print(f"round {turn} of {rounds}", file=sys.stderr)
    return rates


def texts_a_second(engine: Engine, column: Column, clock: Callable[[], float]) -> float:
    """All texts of a column, once."""
    parts = [column.texts[start : start + column.at_a_time] for start in range(0, len(column.texts), column.at_a_time)]
    time.sleep(REST)
    warm = time.perf_counter() + WARM_UP
    while time.perf_counter() < warm:
        engine.encode(parts[-1][:1])
    began = clock()
    for part in parts:
        engine.encode(part)
    return len(column.texts) / (clock() - began)
