"""Bars as long as their weights, and texts that stay on their line."""

from __future__ import annotations

import pytest

from softkv.commands.console import one_line, output, weight_bar


def test_any_text_becomes_one_line() -> None:
    assert one_line("a\tb\n\n c\x00d\u2028e\x9bf") == "a b c d e f"
    assert one_line("naïve 注意力 👩\u200d🔬") == "naïve 注意力 👩\u200d🔬"


@pytest.mark.parametrize(("columns", "lines"), [(None, 1), ("40", 3)])
def test_a_pipe_gets_whole_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str | None, lines: int
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    output().print("ten letter " * 10)
    assert len(capsys.readouterr().out.splitlines()) == lines


@pytest.mark.parametrize("weight", [0.0, 1e-9, 0.01, 0.5, 0.51, 0.999, 1.0, 1.0000001])
def test_a_bar_is_as_long_as_its_weight(weight: float) -> None:
    bar = weight_bar(weight, 8, ascii_only=False)
    assert len(bar) == 8
    eighths = sum({"█": 8, " ": 0}.get(mark, " ▏▎▍▌▋▊▉".index(mark) if mark != "█" else 8) for mark in bar)
    assert eighths / 64 == pytest.approx(min(weight, 1), abs=1 / 128)
    assert abs(weight_bar(weight, 8, ascii_only=True).count("#") / 8 - weight) <= 1 / 16 + 1e-6
